/*
 * Engine: what searches of one replica take, inside the node.
 *
 *   bench_engine CORPUS DIRECTORY DOCUMENTS STORE_BYTES QUERIES ROUNDS
 *
 * The replica is loaded as by bench_store (store_bed.h). QUERIES is a file of
 * lines `kind TAB query`; each is searched ROUNDS times after one that warms
 * up. A line of JSON: by kind, the number of queries, hits on average, and
 * how long a search took.
 */
#include "tests/bench/store_bed.h"

#include "shard/core/search.h"
#include "shard/core/words.h"
#include "shared/runtime/clock.h"

#define SEARCH_LIMIT 20
#define KINDS_MAX 8
#define SEARCHES_MAX 65536

struct kind {
	char *name; /* NULL: none yet */
	int64_t us[SEARCHES_MAX];
	size_t len;
	uint64_t hits;
};

static struct kind kinds[KINDS_MAX];
static const struct search_rule rules[] = {
	{SEARCH_RULE_RANK, .rank = RANK_WORDS},         {SEARCH_RULE_RANK, .rank = RANK_TYPO},
	{SEARCH_RULE_RANK, .rank = RANK_PROXIMITY},     {SEARCH_RULE_RANK, .rank = RANK_ATTRIBUTE_RANK},
	{SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION}, {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};

/* As a node looks, and never late. */
static enum watch_time look(void *context)
{
	const int64_t *until_ms = context;

	return clock_monotonic_ms() >= *until_ms ? WATCH_TIME_OVER : WATCH_TIME_LEFT;
}

static uint64_t search(struct bed *bed, struct words *words, const char *q)
{
	const struct slice star = slice_string("*");
	struct query_request parsed = {.text = slice_string(q), .prefix_search = true};
	int64_t until_ms = INT64_MAX;
	struct watch watch = {.look = look, .context = &until_ms, .every = WATCH_EVERY};
	struct search_request request = {.words = words,
	                                 .strategy = RANK_LAST,
	                                 .any_cutting = true,
	                                 .rules = rules,
	                                 .rules_len = sizeof rules / sizeof rules[0],
	                                 .typos = {.enabled = true, .one = 5, .two = 9},
	                                 .searchable = &star,
	                                 .searchable_len = 1,
	                                 .limit = SEARCH_LIMIT,
	                                 .watch = &watch};
	struct snapshot *snapshot = replica_snapshot(bed->replica);
	struct search_answer page;
	struct arena arena;
	struct query query;
	struct error error;
	size_t failed;

	arena_init(&arena, 65536);
	parsed.arena = request.arena = &arena;
	request.query = &query;
	if (query_parse(words_text(words), &parsed, &query, &error) != 0 ||
	    snapshots_search(&snapshot, 1, &request, &page, &failed, &error) != 0)
		fail(q, error.text);
	search_answer_deinit(&page);
	arena_deinit(&arena);
	snapshot_release(snapshot);
	return page.total;
}

static struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KINDS_MAX; i++) {
		if (kinds[i].name == NULL)
			kinds[i].name = strdup(name);
		if (kinds[i].name == NULL)
			fail(name, "out of memory");
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	fail(name, "there are too many kinds");
}

static void round_run(struct bed *bed, const char *path, struct words *words, bool measured)
{
	FILE *file = fopen(path, "r");
	char line[4096];

	if (file == NULL)
		fail(path, strerror(errno));
	while (fgets(line, sizeof line, file) != NULL) {
		char *tab = strchr(line, '\t');
		struct clocks from = read_clocks();
		struct clocks spent;
		struct kind *kind;
		uint64_t hits;

		if (tab == NULL)
			fail(path, "a line without a tab");
		*tab = '\0';
		tab[1 + strcspn(tab + 1, "\n")] = '\0';
		kind = kind_of(line);
		hits = search(bed, words, tab + 1);
		spent = clocks_since(&from);
		if (!measured || kind->len == SEARCHES_MAX)
			continue;
		kind->us[kind->len++] = spent.wall_us;
		kind->hits += hits;
	}
	(void)fclose(file);
}

static int us_compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	struct course course = {0};
	struct words *words = words_new();
	struct bed bed;

	if (argc != 7)
		fail("usage", "bench_engine CORPUS DIRECTORY DOCUMENTS STORE_BYTES QUERIES ROUNDS");
	bed_init(&bed, argv[1], argv[2], strtoul(argv[4], NULL, 10));
	course.end = strtoul(argv[3], NULL, 10);
	bed_open(&bed);
	bed_load(&bed, &course);
	for (size_t i = 0; i <= strtoul(argv[6], NULL, 10); i++)
		round_run(&bed, argv[5], words, i > 0);
	(void)printf("{\"disk_segments\": %zu", bed_status(&bed).disk_segments);
	for (size_t i = 0; i < KINDS_MAX && kinds[i].len > 0; i++) {
		struct kind *kind = &kinds[i];

		qsort(kind->us, kind->len, sizeof kind->us[0], us_compare);
		(void)printf(", \"%s\": {\"searches\": %zu, \"hits\": %.1f, \"p50_us\": %" PRId64
		             ", \"p99_us\": %" PRId64 ", \"max_us\": %" PRId64 "}",
		             kind->name, kind->len, (double)kind->hits / (double)kind->len,
		             kind->us[kind->len / 2], kind->us[kind->len - 1 - kind->len / 100],
		             kind->us[kind->len - 1]);
	}
	(void)printf("}\n");
	words_free(words);
	bed_deinit(&bed);
	return 0;
}
