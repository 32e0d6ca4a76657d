/* Searches whose time runs out, by a clock that is set by hand: at every look of each the cutoff passes, or the deadline. */
#include "tests/oracle/search_bed.h"

#include "tests/unit/suite.h"

#define SHARDS 2
#define HITS_MAX 64
#define IDS_BYTES 512

static const struct search_rule words_first[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                 {SEARCH_RULE_RANK, .rank = RANK_TYPO},
                                                 {SEARCH_RULE_RANK, .rank = RANK_PROXIMITY},
                                                 {SEARCH_RULE_FIELD, .path = {(const uint8_t *)"n", 1}},
                                                 {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};
static const struct search_rule sort_first[] = {{SEARCH_RULE_FIELD, .path = {(const uint8_t *)"n", 1}},
                                                {SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                {SEARCH_RULE_RANK, .rank = RANK_PROXIMITY}};
static const struct slice everything = {(const uint8_t *)"*", 1};

/* The time changes at the n-th look, 1 for the first; 0: never. */
struct clock {
	unsigned at;
	enum watch_time then;
	unsigned looks;
};

struct world {
	struct bed beds[SHARDS];
	struct snapshot *snapshots[SHARDS];
	struct clock clock;
};

/* An answer, as far as it is looked at. */
struct found {
	int rc;
	bool at_cutoff;
	uint64_t total;
	uint64_t totals[SHARDS];
	uint64_t counted[SHARDS];
	size_t len;
	char ids[HITS_MAX][8];
	size_t ranked[HITS_MAX];
	struct buffer ranks[HITS_MAX];
	double scores[HITS_MAX];
};

struct asked {
	const char *name;
	const char *q;
	const char *filter;
	struct search_request request; /* but for what follows from the others */
};

static enum watch_time look(void *context)
{
	struct clock *clock = context;

	clock->looks++;
	return clock->at > 0 && clock->looks >= clock->at ? clock->then : WATCH_TIME_LEFT;
}

static void world_begin(struct world *world, const char *name)
{
	char directory[32];

	*world = (struct world){0};
	for (size_t i = 0; i < SHARDS; i++) {
		(void)snprintf(directory, sizeof directory, "%s%zu", name, i);
		bed_open(&world->beds[i], directory);
	}
}

static void world_snap(struct world *world)
{
	for (size_t i = 0; i < SHARDS; i++)
		world->snapshots[i] = replica_snapshot(world->beds[i].replica);
}

static void world_open(struct world *world, const char *name)
{
	world_begin(world, name);
	bed_feed(&world->beds[0], "a", "{\"t\":\"lake\",\"n\":7,\"k\":\"x\"}");
	bed_feed(&world->beds[0], "b", "{\"t\":\"a garden, a lake\",\"n\":\"b\",\"k\":\"y\"}");
	bed_store(&world->beds[0]);
	bed_feed(&world->beds[0], "c", "{\"t\":\"lake garden\",\"n\":3,\"k\":\"z\"}");
	bed_feed(&world->beds[0], "d", "{\"t\":\"lake gardens\",\"n\":1,\"k\":\"x\"}");
	bed_feed(&world->beds[1], "e", "{\"t\":\"lake and a very large garden\",\"n\":2,\"k\":\"y\"}");
	bed_feed(&world->beds[1], "f", "{\"t\":\"lake garden\",\"n\":1,\"k\":\"x\"}");
	bed_store(&world->beds[1]);
	bed_feed(&world->beds[1], "g", "{\"t\":\"the lake\",\"k\":\"z\"}");
	bed_feed(&world->beds[1], "h", "{\"t\":\"garden gardenlake\",\"n\":5}");
	world_snap(world);
}

static void world_close(struct world *world)
{
	for (size_t i = 0; i < SHARDS; i++) {
		snapshot_release(world->snapshots[i]);
		words_free(world->beds[i].words);
		replica_close(world->beds[i].replica);
	}
}

static bool fold_append(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	return text_fold(context, text, folded, &error) == 0;
}

static void filter_ask(struct words *words, const struct asked *asked, struct search_request *request)
{
	struct filter_fold fold = {fold_append, words_text(words)};
	struct filter_refusal refusal;
	struct filter *filter;

	if (asked->filter == NULL)
		return;
	CU_ASSERT_EQUAL_FATAL(
		filter_parse_search(slice_string(asked->filter), &fold, request->arena, &filter, &refusal),
		0);
	request->filter = filter;
}

static void answer_keep(const struct search_answer *answer, struct found *found)
{
	found->at_cutoff = answer->at_cutoff;
	found->total = answer->total;
	for (size_t i = 0; i < SHARDS; i++) {
		found->totals[i] = answer->totals[i];
		found->counted[i] = postings_count(&answer->counted[i]);
	}
	CU_ASSERT_FATAL(answer->hits_len <= HITS_MAX);
	for (found->len = 0; found->len < answer->hits_len; found->len++) {
		const struct search_hit *hit = &answer->hits[found->len];

		(void)snprintf(found->ids[found->len], 8, "%.*s", SLICE_ARGS(hit->document.id));
		found->ranked[found->len] = hit->ranked;
		found->scores[found->len] = hit->score;
		buffer_init(&found->ranks[found->len], 4096);
		buffer_append_slice(&found->ranks[found->len], hit->rank);
	}
}

static void found_clear(struct found *found)
{
	for (size_t i = 0; i < found->len; i++)
		buffer_deinit(&found->ranks[i]);
	found->len = 0;
}

/* With a clock that changes at look `at`, when the search is over. */
static struct found search_at(struct world *world, const struct asked *asked, unsigned at,
                              enum watch_time then)
{
	struct watch watch = {.look = look, .context = &world->clock, .every = 1};
	struct query_request parsed = {.text = slice_string(asked->q), .prefix_search = true};
	struct search_request request = asked->request;
	struct words *words = world->beds[0].words;
	struct found found = {.len = 0};
	struct search_answer answer;
	struct arena arena;
	struct query query;
	struct error error;
	size_t failed;

	world->clock = (struct clock){.at = at, .then = then};
	arena_init(&arena, 65536);
	parsed.arena = request.arena = &arena;
	request.words = words;
	request.query = &query;
	request.watch = &watch;
	request.typos.enabled = true;
	request.typos.one = 4;
	request.typos.two = 9;
	request.searchable = &everything;
	request.searchable_len = 1;
	request.distinct_max = 1000;
	CU_ASSERT_EQUAL_FATAL(query_parse(words_text(words), &parsed, &query, &error), 0);
	filter_ask(words, asked, &request);
	found.rc = snapshots_search(world->snapshots, SHARDS, &request, &answer, &failed, &error);
	if (found.rc == 0)
		answer_keep(&answer, &found);
	search_answer_deinit(&answer);
	arena_deinit(&arena);
	return found;
}

static const char *ids_of(const struct found *found, char ids[IDS_BYTES])
{
	ids[0] = '\0';
	for (size_t i = 0; i < found->len; i++)
		(void)snprintf(ids + strlen(ids), IDS_BYTES - strlen(ids), "%s ", found->ids[i]);
	return ids;
}

static bool found_equal(const struct found *a, const struct found *b)
{
	char left[IDS_BYTES];
	char right[IDS_BYTES];

	return a->total == b->total && strcmp(ids_of(a, left), ids_of(b, right)) == 0;
}

static struct slice rank_in(const struct found *found, const char *id)
{
	for (size_t i = 0; i < found->len; i++)
		if (strcmp(found->ids[i], id) == 0)
			return buffer_slice(&found->ranks[i]);
	return slice_of(NULL, 0);
}

/* Each hit once, by rising rank; what is ranked has its own rank, and no other one stands before that. */
static void check_hits(const struct asked *asked, const struct found *found, const struct found *all)
{
	for (size_t i = 0; i < found->len; i++) {
		struct slice rank = buffer_slice(&found->ranks[i]);
		struct slice whole = rank_in(all, found->ids[i]);
		int order = slice_compare(rank, whole);

		CU_ASSERT_PTR_NOT_NULL_FATAL(whole.ptr);
		CU_ASSERT(i == 0 || slice_compare(buffer_slice(&found->ranks[i - 1]), rank) <= 0);
		CU_ASSERT(found->ranked[i] == asked->request.rules_len ? order == 0 : order > 0);
		CU_ASSERT(!asked->request.has_threshold || found->scores[i] >= asked->request.threshold);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(found->ids[i], found->ids[k]);
	}
}

static void check_cut(const struct asked *asked, const struct found *found, const struct found *whole,
                      const struct found *all)
{
	CU_ASSERT_EQUAL_FATAL(found->rc, 0);
	check_hits(asked, found, all);
	if (!found->at_cutoff)
		CU_ASSERT(found_equal(found, whole));
	/* what is below a threshold is not known of what is not ranked */
	if (asked->request.has_threshold)
		return;
	CU_ASSERT_EQUAL(found->len, whole->len);
	CU_ASSERT_EQUAL(found->total, whole->total);
	for (size_t i = 0; i < SHARDS; i++)
		if (asked->request.distinct.ptr == NULL) {
			CU_ASSERT_EQUAL(found->totals[i], whole->totals[i]);
			CU_ASSERT_EQUAL(found->counted[i], whole->counted[i]);
		}
}

#define WORDS_FIRST .rules = words_first, .rules_len = 5
#define SORT_FIRST .rules = sort_first, .rules_len = 3

static const struct asked rows[] = {
	{"words", "lake garden", NULL, {WORDS_FIRST, .limit = 20}},
	{"a few of them", "lake garden", NULL, {WORDS_FIRST, .limit = 3}},
	{"one word", "lake", NULL, {WORDS_FIRST, .limit = 20, .shows_scores = true}},
	{"all words",
         "lake garden",
         NULL,
         {.rules = words_first + 1, .rules_len = 4, .strategy = RANK_ALL, .limit = 20}},
	{"the rarest",
         "lake garden",
         NULL,
         {WORDS_FIRST, .strategy = RANK_FREQUENCY, .limit = 20, .shows_scores = true}},
	{"a phrase", "\"lake garden\" lake", NULL, {WORDS_FIRST, .limit = 20}},
	{"without some", "lake -\"lake garden\"", NULL, {WORDS_FIRST, .limit = 20}},
	{"sorted first", "lake garden", NULL, {SORT_FIRST, .limit = 20, .shows_scores = true}},
	{"sorted alone", "", NULL, {.rules = sort_first, .rules_len = 1, .limit = 4}},
	{"unranked", "", NULL, {.limit = 4}},
	{"filtered", "lake", "\"n > 1 OR k = z\"", {WORDS_FIRST, .limit = 20, .lists_counted = true}},
	{"filtered alone", "", "\"NOT k = x\"", {.limit = 20}},
	{"scores",
         "lake garden",
         NULL,
         {WORDS_FIRST, .limit = 5, .shows_scores = true, .lists_counted = true}},
	{"distinct", "lake garden", NULL, {WORDS_FIRST, .limit = 20, .distinct = {(const uint8_t *)"k", 1}}},
	{"a threshold",
         "lake garden",
         NULL,
         {WORDS_FIRST, .limit = 20, .has_threshold = true, .threshold = 0.4}},
};

/* The hits of a row if all are shown. */
static struct found search_all(struct world *world, const struct asked *asked)
{
	struct asked all = *asked;

	all.request.limit = HITS_MAX;
	all.request.distinct = slice_of(NULL, 0);
	all.request.has_threshold = false;
	return search_at(world, &all, 0, WATCH_TIME_LEFT);
}

static void check_row(struct world *world, const struct asked *asked)
{
	struct found all = search_all(world, asked);
	struct found whole = search_at(world, asked, 0, WATCH_TIME_LEFT);
	unsigned looks = world->clock.looks;
	unsigned cut = 0;

	CU_ASSERT_EQUAL_FATAL(whole.rc, 0);
	CU_ASSERT(!whole.at_cutoff);
	for (unsigned at = 1; at <= looks; at++) {
		struct found found = search_at(world, asked, at, WATCH_TIME_CUTOFF);

		check_cut(asked, &found, &whole, &all);
		cut += found.at_cutoff;
		found_clear(&found);
		found = search_at(world, asked, at, WATCH_TIME_OVER);
		CU_ASSERT_EQUAL(found.rc, ERROR_TIMEOUT);
		CU_ASSERT_EQUAL(world->clock.looks, at);
		found_clear(&found);
	}
	if ((cut > 0) != (asked->request.rules_len > 0)) {
		(void)printf("\n%s: cut at %u looks of %u\n", asked->name, cut, looks);
		CU_FAIL("the cutoff does not end ranking, or what is none");
	}
	found_clear(&whole);
	found_clear(&all);
}

static void test_every_look(void)
{
	struct world world;

	world_open(&world, "every");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_row(&world, &rows[i]);
	world_close(&world);
}

/* Passed before it begins: in insertion order, but by words and typos where these come first. */
static void test_nothing_ranked(void)
{
	static const struct {
		struct asked asked;
		const char *ids;
		double first; /* score of the first hit */
		double last;
	} cut[] = {
		{{"", "lake garden", NULL, {WORDS_FIRST, .limit = 20, .shows_scores = true}},
	         "e b f c d a g ",
	         0.5,
	         0},
		{{"", "lake garden", NULL, {SORT_FIRST, .limit = 20, .shows_scores = true}},
	         "a e b f c g d ",
	         0,
	         0},
	};
	struct world world;

	world_open(&world, "nothing");
	for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
		struct found found = search_at(&world, &cut[i].asked, 1, WATCH_TIME_CUTOFF);
		char ids[IDS_BYTES];

		CU_ASSERT_EQUAL_FATAL(found.rc, 0);
		CU_ASSERT(found.at_cutoff);
		CU_ASSERT_STRING_EQUAL(ids_of(&found, ids), cut[i].ids);
		if (strcmp(ids, cut[i].ids) != 0)
			(void)printf("\ngot %s\n", ids);
		CU_ASSERT_DOUBLE_EQUAL(found.scores[0], cut[i].first, 0);
		CU_ASSERT_DOUBLE_EQUAL(found.scores[found.len - 1], cut[i].last, 0);
		found_clear(&found);
	}
	world_close(&world);
}

/* What is distinct is found in longer and longer lists: the hits of one are not lost to a cutoff in the next. */
static void test_longer_list(void)
{
	const struct asked asked = {
		"", "lake garden", NULL, {WORDS_FIRST, .limit = 5, .distinct = {(const uint8_t *)"k", 1}}};
	struct found whole;
	struct found found;
	struct world world;
	unsigned at;

	world_begin(&world, "longer");
	for (unsigned i = 0; i < 700; i++) {
		char id[16];
		char body[96];

		(void)snprintf(id, sizeof id, "d%u", i);
		(void)snprintf(body, sizeof body, "{\"t\":\"lake %.*sgarden\",\"n\":%u,\"k\":%u}",
		               (int)(2 * (i % 3)), "a a a ", i % 13, i);
		bed_feed(&world.beds[i % SHARDS], id, body);
		(void)replica_merge(world.beds[i % SHARDS].replica);
	}
	world_snap(&world);
	whole = search_at(&world, &asked, 0, WATCH_TIME_LEFT);
	CU_ASSERT_EQUAL_FATAL(whole.rc, 0);
	at = world.clock.looks;
	for (found = search_at(&world, &asked, at, WATCH_TIME_CUTOFF); !found.at_cutoff && at > 64;) {
		found_clear(&found);
		found = search_at(&world, &asked, at -= 64, WATCH_TIME_CUTOFF);
	}
	CU_ASSERT(found.at_cutoff);
	CU_ASSERT(found_equal(&found, &whole));
	found_clear(&found);
	found_clear(&whole);
	world_close(&world);
}

/* Documents of one word each, `garden` with a letter too many: as many as are returned. */
static unsigned similar_feed(struct bed *bed)
{
	static const char word[] = "garden";
	unsigned fed = 0;

	for (size_t at = 1; at < sizeof word - 1; at++)
		for (char letter = 'a'; letter <= 'z'; letter++) {
			char id[16];
			char body[64];

			if (strchr(word, letter) != NULL)
				continue;
			fed++;
			(void)snprintf(id, sizeof id, "s%u", fed);
			(void)snprintf(body, sizeof body, "{\"t\":\"%.*s%c%s\"}", (int)at, word, letter,
			               word + at);
			bed_feed(bed, id, body);
		}
	return fed;
}

/* Each similar word takes a step at least: a list that words as typed fill takes none of them, a longer one does. */
static void test_unfound(void)
{
	const struct asked few = {"", "lake garden lake", NULL, {WORDS_FIRST, .limit = 1}};
	const struct asked all = {"", "lake garden lake", NULL, {WORDS_FIRST, .limit = 3}};
	struct found found;
	struct world world;
	unsigned similar;

	world_begin(&world, "unfound");
	similar = similar_feed(&world.beds[0]);
	bed_feed(&world.beds[0], "a", "{\"t\":\"lake garden lake\"}");
	bed_feed(&world.beds[0], "b", "{\"t\":\"lake gardxen lake\"}");
	bed_feed(&world.beds[0], "c", "{\"t\":\"lake lake\"}");
	bed_store(&world.beds[0]);
	world_snap(&world);
	found = search_at(&world, &few, 0, WATCH_TIME_LEFT);
	CU_ASSERT_EQUAL(found.total, 3);
	CU_ASSERT(world.clock.looks < similar);
	found_clear(&found);
	found = search_at(&world, &all, 0, WATCH_TIME_LEFT);
	CU_ASSERT_EQUAL(found.total, 3);
	CU_ASSERT_EQUAL(found.len, 3);
	CU_ASSERT(world.clock.looks > similar);
	found_clear(&found);
	world_close(&world);
}

int main(void)
{
	CU_TestInfo tests[] = {{"at every look", test_every_look},
	                       {"words are left unfound", test_unfound},
	                       {"nothing is ranked", test_nothing_ranked},
	                       {"a longer list", test_longer_list},
	                       CU_TEST_INFO_NULL};

	return suite_run("search_cutoff", tests);
}
