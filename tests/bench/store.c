/*
 * Store: what a replica takes to receive, index and store a corpus.
 *
 *   bench_store load    CORPUS DIRECTORY DOCUMENTS STORE_BYTES [ATTRIBUTE…]
 *   bench_store bare    CORPUS DIRECTORY DOCUMENTS
 *   bench_store latency CORPUS DIRECTORY DOCUMENTS STORE_BYTES BATCHES
 *   bench_store grow    CORPUS DIRECTORY DOCUMENTS STORE_BYTES WORDS
 *   bench_store build   CORPUS DIRECTORY DOCUMENTS STORE_BYTES WORDS ATTRIBUTE…
 *   bench_store reopen  DIRECTORY
 *
 * One replica on one environment in DIRECTORY, which is created, on one thread
 * (store_bed.h). load: from the first byte received until everything is
 * stored, then the same documents over them, each with the body of the next; the disk after
 * each. The values of ATTRIBUTEs, which are paths, are kept from the start.
 * bare: the least that any store does (store_bare.h). latency: over a stored
 * corpus, from the arrival of a batch until its last document is found by a
 * word of its own. grow: as load, from empty, then searches for the words of
 * the file WORDS, then more documents, and an end in the middle, as by
 * kill -9. build: as load, and searches; then the values of ATTRIBUTEs are built
 * for what is stored, with a search after every slice. reopen: what such an
 * environment takes to open. A line of JSON says how it went.
 */
#include "tests/bench/store_bare.h"
#include "tests/unit/replica_asked.h"

#include <signal.h>
#include <unistd.h>

#define LATENCY_DOCUMENTS 1000 /* of the larger batches */
#define SEARCH_LIMIT 20
#define SEARCH_ROUNDS 3 /* the first one warms up */
#define WORDS_LEN_MAX 1000
#define SEARCHED_WORD_BYTES_MAX 64
#define ABANDONED_DOCUMENTS 5000 /* received, not stored */
#define SLICES_MAX 65536

static void print_clocks(const char *name, const struct clocks *spent)
{
	(void)printf("\"%sseconds\": %.6f, \"%scpu_seconds\": %.6f, ", name, (double)spent->wall_us / 1e6,
	             name, (double)spent->process_us / 1e6);
}

static void print_sizes(const char *name, const char *directory)
{
	uint64_t used;
	uint64_t file;

	disk_sizes(directory, &used, &file);
	(void)printf("\"%sused_bytes\": %" PRIu64 ", \"%sfile_bytes\": %" PRIu64 ", ", name, used, name,
	             file);
}

static int us_compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

/* Sorts them. */
static void print_latencies(const char *name, int64_t *us, size_t len)
{
	qsort(us, len, sizeof us[0], us_compare);
	(void)printf("\"%sp50_us\": %" PRId64 ", \"%sp99_us\": %" PRId64 ", ", name, us[len / 2], name,
	             us[len - 1 - len / 100]);
}

/* ---- load ---- */

static void print_load(const char *name, const struct bed *bed, size_t documents)
{
	(void)printf("\"%sdocuments\": %zu, \"%sjson_bytes\": %" PRIu64 ", \"%sstores\": %" PRIu64 ", ", name,
	             documents, name, bed->json_bytes, name, bed->stores);
	(void)printf("\"%sstoring_seconds\": %.6f, \"%scompacting_seconds\": %.6f, ", name,
	             (double)bed->storing.wall_us / 1e6, name, (double)bed->compacting.wall_us / 1e6);
	print_clocks(name, &bed->spent);
}

static void pass(struct bed *bed, size_t documents, bool update)
{
	struct course course = {.end = documents, .update = update};

	bed->json_bytes = 0;
	bed->stores = 0;
	bed->spent = bed->storing = bed->compacting = (struct clocks){0};
	bed_load(bed, &course);
	if (bed_status(bed).documents != documents)
		fail("load", "the replica has another number of documents");
}

static void load(struct bed *bed, size_t documents, char *const *paths, size_t paths_len)
{
	bed_open(bed);
	bed_attributes(bed, paths, paths_len);
	pass(bed, documents, false);
	print_load("", bed, documents);
	replica_close(bed->replica);
	print_sizes("", bed->directory);
	bed_open(bed);
	bed_attributes(bed, paths, paths_len);
	pass(bed, documents, true);
	print_load("again_", bed, documents);
	replica_close(bed->replica);
	bed->replica = NULL;
	print_sizes("again_", bed->directory);
}

/* ---- bare ---- */

static void bare(struct bed *bed, size_t documents)
{
	struct clocks spent;

	if (documents > bed->corpus.len)
		fail("bare", "the corpus has fewer documents");
	if (mkdir(bed->directory, 0700) != 0)
		fail(bed->directory, strerror(errno));
	spent = bare_store(&bed->corpus, documents, bed->directory);
	(void)printf("\"documents\": %zu, ", documents);
	print_clocks("", &spent);
	print_sizes("", bed->directory);
}

/* ---- latency ---- */

static uint64_t search(struct bed *bed, const char *word)
{
	struct arena arena;
	struct asked_search asked = {.query = word, .limit = SEARCH_LIMIT, .arena = &arena};
	struct asked_page page;
	struct error error;

	arena_init(&arena, 4096);
	if (asked_replica(bed->replica, &asked, &page, &error) != 0)
		fail(word, error.text);
	arena_deinit(&arena);
	return page.total;
}

/* Ranges end at seals: what would be cut there goes ahead, off the clock. */
static void reach_room(struct bed *bed, struct course *course)
{
	course->word = NULL;
	while (RANGE_SEAL - (size_t)bed->offset % RANGE_SEAL < course->ops_max) {
		bed_frame(bed, course);
		bed_receive(bed);
	}
}

static void latencies(struct bed *bed, struct course *course, const char *name, size_t batches)
{
	int64_t *us = malloc(batches * sizeof us[0]);

	if (us == NULL)
		fail("latency", "out of memory");
	course->end = SIZE_MAX;
	for (size_t i = 0; i < batches; i++) {
		char word[SEARCHED_WORD_BYTES_MAX];
		int64_t begun;

		reach_room(bed, course);
		(void)snprintf(word, sizeof word, "probe%zux%zu", i, course->ops_max);
		course->word = word;
		bed_frame(bed, course);
		begun = clock_us(CLOCK_MONOTONIC);
		bed_receive(bed);
		if (search(bed, word) != 1)
			fail(word, "was not found");
		us[i] = clock_us(CLOCK_MONOTONIC) - begun;
		bed_settle(bed, bed->store_bytes);
	}
	print_latencies(name, us, batches);
	free(us);
}

static void latency(struct bed *bed, size_t documents, size_t batches)
{
	struct course course = {.end = documents};

	bed_open(bed);
	bed_load(bed, &course);
	course.ops_max = 1;
	latencies(bed, &course, "one_", batches);
	course.ops_max = LATENCY_DOCUMENTS;
	latencies(bed, &course, "thousand_", batches / 10 + 1);
}

/* ---- growth ---- */

static size_t words_read(const char *path, char words[WORDS_LEN_MAX][SEARCHED_WORD_BYTES_MAX])
{
	FILE *file = fopen(path, "re");
	size_t len = 0;

	if (file == NULL)
		fail(path, strerror(errno));
	while (len < WORDS_LEN_MAX && fgets(words[len], SEARCHED_WORD_BYTES_MAX, file) != NULL) {
		words[len][strcspn(words[len], "\n")] = '\0';
		len++;
	}
	(void)fclose(file);
	if (len == 0)
		fail(path, "has no words");
	return len;
}

static void searches(struct bed *bed, const char *path)
{
	static char words[WORDS_LEN_MAX][SEARCHED_WORD_BYTES_MAX];
	static int64_t us[SEARCH_ROUNDS * WORDS_LEN_MAX];
	size_t words_len = words_read(path, words);
	size_t len = 0;
	uint64_t hits = 0;

	for (size_t round = 0; round < SEARCH_ROUNDS; round++) {
		for (size_t i = 0; i < words_len; i++) {
			int64_t begun = clock_us(CLOCK_MONOTONIC);

			hits += search(bed, words[i]);
			if (round > 0)
				us[len++] = clock_us(CLOCK_MONOTONIC) - begun;
		}
	}
	(void)printf("\"hits\": %" PRIu64 ", ", hits / SEARCH_ROUNDS);
	print_latencies("search_", us, len);
}

static _Noreturn void grow(struct bed *bed, size_t documents, const char *words)
{
	struct course more = {.at = documents, .end = documents + ABANDONED_DOCUMENTS};

	bed_open(bed);
	pass(bed, documents, false);
	print_load("", bed, documents);
	searches(bed, words);
	while (more.at < more.end) {
		bed_frame(bed, &more);
		bed_receive(bed);
	}
	(void)printf("\"peak_kb\": %ld}\n", memory_kb("VmHWM"));
	(void)fflush(stdout);
	(void)raise(SIGKILL);
	abort();
}

/* ---- a build ---- */

struct slices {
	size_t len;
	int64_t us[SLICES_MAX];
	int64_t search_us[SLICES_MAX]; /* after each */
};

static int slice_run(struct replica_compact_job *job, bool *more, struct slices *slices, struct error *error)
{
	int64_t begun = clock_us(CLOCK_MONOTONIC);
	int rc = replica_compact_run(job, REPLICA_SLICE_STEPS, more, error);

	if (slices->len == SLICES_MAX)
		fail("build", "there are more slices than are counted");
	slices->us[slices->len] = clock_us(CLOCK_MONOTONIC) - begun;
	return rc;
}

/* Until there is nothing to do. */
static void build_all(struct bed *bed, const char *path, struct slices *slices)
{
	static char words[WORDS_LEN_MAX][SEARCHED_WORD_BYTES_MAX];
	size_t words_len = words_read(path, words);
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(bed->replica)) != NULL) {
		struct error error = {0};
		bool more = true;
		int rc = 0;

		while (rc == 0 && more) {
			int64_t begun;

			rc = slice_run(job, &more, slices, &error);
			begun = clock_us(CLOCK_MONOTONIC);
			(void)search(bed, words[slices->len % words_len]);
			slices->search_us[slices->len++] = clock_us(CLOCK_MONOTONIC) - begun;
		}
		replica_compact_end(bed->replica, job, rc, &error);
		if (rc != 0 && rc != ERROR_LIMIT) /* then the map has been grown */
			fail("build", error.text);
	}
}

static void build(struct bed *bed, size_t documents, char *const *arguments, size_t arguments_len)
{
	static struct slices slices;
	struct replica_status status;
	struct clocks from;
	struct clocks spent;

	bed_open(bed);
	pass(bed, documents, false);
	print_load("", bed, documents);
	searches(bed, arguments[0]);
	bed_attributes(bed, arguments + 1, arguments_len - 1);
	status = bed_status(bed);
	(void)printf("\"segments\": %zu, \"disk_bytes\": %" PRIu64 ", \"load_peak_kb\": %ld, ",
	             status.disk_segments, status.disk_bytes, memory_kb("VmHWM"));
	from = read_clocks();
	build_all(bed, arguments[0], &slices);
	spent = clocks_since(&from);
	status = bed_status(bed);
	if (status.disk_lacking > 0)
		fail("build", "segments lack values when nothing is left to do");
	(void)printf("\"builds\": %" PRIu64 ", \"built_bytes\": %" PRIu64 ", \"slices\": %zu, ",
	             status.builds, status.built_bytes, slices.len);
	print_clocks("build_", &spent);
	print_latencies("slice_", slices.us, slices.len);
	(void)printf("\"slice_max_us\": %" PRId64 ", ", slices.us[slices.len - 1]);
	print_latencies("beside_search_", slices.search_us, slices.len);
	replica_close(bed->replica);
	bed->replica = NULL;
	print_sizes("", bed->directory);
}

/* ---- */

static void reopen(struct bed *bed)
{
	struct clocks from = read_clocks();
	struct clocks spent;

	bed_open(bed);
	spent = clocks_since(&from);
	(void)printf("\"documents\": %" PRIu64 ", ", bed_status(bed).documents);
	print_clocks("", &spent);
	replica_close(bed->replica);
	bed->replica = NULL;
	print_sizes("", bed->directory);
}

/* ---- */

static size_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end != '\0' || value == 0)
		fail(text, "is no number");
	return (size_t)value;
}

int main(int argc, char **argv)
{
	const char *stage = argc > 1 ? argv[1] : "";
	size_t documents = argc > 4 ? number(argv[4]) : 0;
	struct bed bed;

	if (strcmp(stage, "reopen") == 0 && argc == 3)
		bed_init(&bed, NULL, argv[2], 0);
	else if (argc > 4)
		bed_init(&bed, argv[2], argv[3], argc > 5 ? number(argv[5]) : 0);
	else
		fail("arguments", "see the head of store.c");
	(void)printf("{");
	if (argc == 3)
		reopen(&bed);
	else if (strcmp(stage, "load") == 0 && argc >= 6)
		load(&bed, documents, argv + 6, (size_t)argc - 6);
	else if (strcmp(stage, "bare") == 0 && argc == 5)
		bare(&bed, documents);
	else if (strcmp(stage, "latency") == 0 && argc == 7)
		latency(&bed, documents, number(argv[6]));
	else if (strcmp(stage, "grow") == 0 && argc == 7)
		grow(&bed, documents, argv[6]);
	else if (strcmp(stage, "build") == 0 && argc > 7)
		build(&bed, documents, argv + 6, (size_t)argc - 6);
	else
		fail(stage, "no such stage, or not its arguments");
	(void)printf("\"peak_kb\": %ld}\n", memory_kb("VmHWM"));
	bed_deinit(&bed);
	return 0;
}
