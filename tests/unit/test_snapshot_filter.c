/*
 * Filter of a snapshot: literal answers of a few documents, wherever they
 * stand; random trees over random documents while a replica receives, merges,
 * stores, compacts, restarts and gets other attributes, beside filter_matches
 * on every body; and damaged chunks, which may fail but never answer wrong.
 *
 *     test_snapshot_filter bench    what a filter costs
 */
#include "tests/unit/disk_bed.h"
#include "tests/unit/values_bed.h"

#include "shard/core/snapshot_filter.h"

#include <time.h>

/* ---- asking ---- */

static struct filter *parsed(struct world *world, const char *expression, struct arena *arena)
{
	static struct filter_refusal refusal;
	struct filter_fold fold = {append_folded, world->words};
	struct filter *filter = NULL;
	struct buffer json;

	buffer_init(&json, FILTER_EXPRESSION_BYTES_MAX);
	json_append_string(&json, slice_string(expression));
	if (filter_parse(buffer_slice(&json), &fold, arena, &filter, &refusal) != 0)
		printf("\n%s\n%s\n", expression, refusal.text);
	buffer_deinit(&json);
	return filter;
}

static bool body_matches(struct world *world, const struct filter *filter, const char *body)
{
	struct filter_fold fold = {append_folded, world->words};
	struct error error;
	yyjson_doc *doc;
	bool matches = false;

	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(body), JSON_DEPTH_MAX, &doc, &error), 0);
	CU_ASSERT_EQUAL_FATAL(filter_matches(filter, yyjson_doc_get_root(doc), &fold, &matches, &error), 0);
	yyjson_doc_free(doc);
	return matches;
}

/* ---- literal answers ---- */

static const char *const names[] = {"n", "tag", "a", "a.b", "long"};
#define NAMES_ALL 31U

static const char *const bodies[] = {
	"{\"n\":5,\"tag\":[\"Red\",\"blue\"]}",
	"{\"n\":-1.5,\"tag\":\" RED \"}",
	"{\"n\":\"5\",\"tag\":null}",
	"{\"n\":[5,70],\"tag\":\"\"}",
	"{\"a\":[{\"b\":1},{\"b\":true}],\"n\":{}}",
	"{\"a.b\":[[\"x\",[]],{}],\"n\":[]}",
	"{\"tag\":\"É\",\"n\":-0.0,\"a\":{\"b\":null}}",
	"{\"tag\":\"  \",\"n\":1e999}",
	"{\"long\":\"" LONG_240 "b\"}",
	"{\"long\":[\"" LONG_240 "d\",3]}",
	"{\"long\":\"" LONG_480 "zzzz\"}",
	"{\"long\":\"" LONG_60 "\"}",
};

static const struct {
	const char *filter;
	const char *documents;
	uint64_t bodies; /* that are read */
} rows[] = {
	{"n = 5", "0 2 3 ", 0},
	{"n = 5.0", "0 3 ", 0},
	{"n != 5", "1 4 5 6 7 8 9 10 11 ", 0},
	{"n > 5", "3 ", 0},
	{"n >= 5", "0 2 3 ", 0},
	{"n < 5", "1 6 ", 0},
	{"n <= 5", "0 1 2 3 6 ", 0},
	{"n > 4", "0 2 3 ", 0},
	{"n = 0", "6 ", 0},
	{"n -1.5 TO 5", "0 1 2 3 6 ", 0},
	{"n 6 TO 69", "", 0},
	{"n 70 TO 5", "", 0},
	{"n IN [70, -1.5, \"5\"]", "0 1 2 3 ", 0},
	{"n NOT IN [70, -1.5, 5]", "4 5 6 7 8 9 10 11 ", 0},
	{"n IN []", "", 0},
	{"n EXISTS", "0 1 2 3 4 5 6 7 ", 0},
	{"n NOT EXISTS", "8 9 10 11 ", 0},
	{"n IS EMPTY", "4 5 ", 0},
	{"n IS NOT EMPTY", "0 1 2 3 6 7 8 9 10 11 ", 0},
	{"tag IS NULL", "2 ", 0},
	{"tag IS EMPTY", "3 ", 0},
	{"tag = red", "0 1 ", 0},
	{"tag = ' rED'", "0 1 ", 0},
	{"tag = ''", "7 ", 0},
	{"tag < a", "7 ", 0},
	{"tag >= ''", "0 1 6 7 ", 0},
	{"tag = e", "", 0},
	{"tag STARTS WITH e", "6 ", 0},
	{"tag STARTS WITH ''", "0 1 2 3 6 7 ", 0},
	{"tag CONTAINS 'E'", "0 1 6 ", 0},
	{"tag NOT CONTAINS 'E'", "2 3 4 5 7 8 9 10 11 ", 0},
	{"tag CONTAINS ''", "0 1 6 7 ", 0},
	{"tag blue TO rec", "0 6 ", 0},
	{"a.b EXISTS", "4 5 6 ", 0},
	{"a.b = true OR a.b = X", "4 5 ", 0},
	{"a.b IS NULL", "6 ", 0},
	{"a EXISTS AND NOT a.b = 1", "6 ", 0},
	{"a = 1", "", 0},
	{"NOT (n = 5 OR tag = red)", "4 5 6 7 8 9 10 11 ", 0},
	{"NOT n = 5 AND NOT tag = red AND n EXISTS", "4 5 6 7 ", 0},
	{"n != 5 OR tag = blue", "0 1 4 5 6 7 8 9 10 11 ", 0},
	{"n = 5 AND tag NOT EXISTS", "", 0},
	/* longer than a key */
	{"long = '" LONG_240 "b'", "8 ", 0},
	{"long IN ['" LONG_240 "b','" LONG_240 "d']", "8 9 ", 0},
	{"long < " LONG_240 "c", "8 10 11 ", 3},
	{"long > " LONG_240 "c", "9 ", 3},
	{"long > " LONG_240 "c AND n EXISTS", "", 0},
	{"NOT long > " LONG_240 "c AND long EXISTS", "8 10 11 ", 3},
	{"long " LONG_240 "b TO " LONG_240 "c", "8 ", 3},
	{"long >= " LONG_60, "8 9 10 11 ", 0},
	{"long > " LONG_60, "8 9 10 ", 0},
	{"long < b", "8 9 10 11 ", 0},
	{"long STARTS WITH " LONG_60, "8 9 10 11 ", 0},
	{"long STARTS WITH " LONG_240, "8 9 10 ", 3},
	{"long STARTS WITH " LONG_240 "a", "10 ", 3},
	{"long CONTAINS 9ab", "8 9 10 11 ", 0},
	{"long CONTAINS xd", "9 ", 3},
	{"long CONTAINS zzzz", "", 3},
	{"long = '" LONG_480 "zzzz'", "", 0},
	{"long = 3 OR long = " LONG_60, "9 11 ", 0},
};

/* `built`: all keys are there; else bodies are read, and the answer is the same. */
static void check_rows(struct world *world, bool built)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter_cost cost = {0};
		struct postings numbers;
		struct buffer text;
		struct arena arena;
		struct error error;
		bool found[IDS];

		postings_init(&numbers);
		arena_init(&arena, 4096);
		buffer_init(&text, 4096);
		CU_ASSERT_EQUAL_FATAL(snapshot_filter(snapshot, world->words,
		                                      parsed(world, rows[i].filter, &arena), &numbers, &cost,
		                                      &error),
		                      0);
		documents_of(world->model, snapshot, &numbers, found);
		for (size_t k = 0; k < IDS; k++)
			if (found[k])
				buffer_printf(&text, "%zu ", k);
		buffer_put_u8(&text, 0);
		CU_ASSERT_STRING_EQUAL((const char *)text.ptr, rows[i].documents);
		if (built)
			CU_ASSERT_EQUAL(cost.bodies, rows[i].bodies);
		if (strcmp((const char *)text.ptr, rows[i].documents) != 0 ||
		    (built && cost.bodies != rows[i].bodies))
			printf("\n%.60s: %s, %llu bodies\n", rows[i].filter, (const char *)text.ptr,
			       (unsigned long long)cost.bodies);
		buffer_deinit(&text);
		arena_deinit(&arena);
		postings_deinit(&numbers);
	}
	snapshot_release(snapshot);
}

static void test_answers(void)
{
	struct world world = world_new("answers");

	attributes_put(&world, names, NAMES_ALL);
	for (size_t i = 0; i < COUNT(bodies); i++)
		put(&world, i, bodies[i]);
	check_rows(&world, true);
	store(&world);
	check_rows(&world, true);
	reopen(world.model, "answers");
	check_rows(&world, true);
	/* some again: in memory, and dead on disk */
	for (size_t i = 0; i < COUNT(bodies); i += 2)
		put(&world, i, bodies[i]);
	check_rows(&world, true);
	store(&world);
	for (size_t i = 0; i < COUNT(bodies); i += 3)
		put(&world, i, NULL);
	for (size_t i = 0; i < COUNT(bodies); i += 3)
		put(&world, i, bodies[i]);
	store(&world);
	compact(&world, SIZE_MAX);
	CU_ASSERT_EQUAL(status_of(world.model).disk_segments, 1);
	check_rows(&world, true);
	world_free(&world);
}

/* The same without keys, with those of some attributes, with those of some segments. */
static void test_unbuilt(void)
{
	struct world world = world_new("unbuilt");

	for (size_t i = 0; i < COUNT(bodies); i++) {
		if (i == 3)
			attributes_put(&world, names, 2);
		if (i == 6)
			attributes_put(&world, names, NAMES_ALL);
		put(&world, i, bodies[i]);
		if (i % 2 == 0)
			store(&world);
	}
	check_rows(&world, false);
	world_free(&world);
}

/* ---- random trees ---- */

static const char *const literals[] = {
	"x",      "'x y'", "5",      "10",         "-1.5",       "true",
	"false",  "and",   "É",      "e",          "''",         "' x '",
	"5.00",   "0",     "-0",     "1e300",      "1e999",      "123456789012345678901",
	"日",     "日本",  LONG_240, LONG_240 "é", LONG_240 "f", LONG_480 "a",
	LONG_480, LONG_60, "zzz",    "'0'"};

static void print_literal(struct buffer *out)
{
	buffer_append_string(out, literals[dice(COUNT(literals))]);
}

static void print_condition(struct buffer *out)
{
	static const char *const compared[] = {
		"=",  "!=",       ">",           ">=",           "<",
		"<=", "CONTAINS", "STARTS WITH", "NOT CONTAINS", "NOT STARTS WITH"};
	static const char *const alone[] = {"EXISTS",      "NOT EXISTS", "IS NULL",
	                                    "IS NOT NULL", "IS EMPTY",   "IS NOT EMPTY"};
	size_t kind = dice(20);

	buffer_printf(out, "'%s' ", fields[dice(COUNT(fields))]);
	if (kind < 12) {
		buffer_printf(out, "%s ", compared[dice(COUNT(compared))]);
		print_literal(out);
	} else if (kind < 14) {
		print_literal(out);
		buffer_append_string(out, " TO ");
		print_literal(out);
	} else if (kind < 17) {
		buffer_append_string(out, kind == 14 ? "NOT IN [" : "IN [");
		for (size_t i = dice(5); i-- > 0;) {
			print_literal(out);
			buffer_append_string(out, ",");
		}
		buffer_append_string(out, "]");
	} else {
		buffer_append_string(out, alone[dice(COUNT(alone))]);
	}
}

static void print_tree(struct buffer *out, int depth)
{
	size_t side = depth > 0 ? dice(7) : 7;

	if (side >= 4) {
		print_condition(out);
		return;
	}
	if (side == 0)
		buffer_append_string(out, "NOT ");
	buffer_append_string(out, "(");
	for (size_t i = 0, len = side == 0 ? 1 : 2 + dice(2); i < len; i++) {
		if (i > 0)
			buffer_append_string(out, side == 1 ? " OR " : " AND ");
		print_tree(out, depth - 1);
	}
	buffer_append_string(out, ")");
}

/* Of all documents that trees were asked about: how many match, and how many bodies were read. */
static struct {
	uint64_t asked;
	uint64_t matched;
	uint64_t read;
} tally;

static void check_tree(struct world *world, const struct snapshot *snapshot)
{
	struct filter_cost cost = {0};
	struct buffer expression;
	struct postings numbers;
	struct filter *filter;
	struct arena arena;
	struct error error;
	bool found[IDS];

	postings_init(&numbers);
	arena_init(&arena, 4096);
	buffer_init(&expression, FILTER_EXPRESSION_BYTES_MAX);
	print_tree(&expression, 4);
	buffer_put_u8(&expression, 0);
	filter = parsed(world, (const char *)expression.ptr, &arena);
	CU_ASSERT_PTR_NOT_NULL_FATAL(filter);
	CU_ASSERT_EQUAL_FATAL(snapshot_filter(snapshot, world->words, filter, &numbers, &cost, &error), 0);
	documents_of(world->model, snapshot, &numbers, found);
	for (size_t i = 0; i < IDS; i++) {
		bool wanted = world->bodies[i] != NULL && body_matches(world, filter, world->bodies[i]);

		CU_ASSERT_EQUAL(found[i], wanted);
		if (found[i] != wanted)
			printf("\n%d, wanted %d: %s\n%s\n", found[i], wanted, (const char *)expression.ptr,
			       world->bodies[i] == NULL ? "none" : world->bodies[i]);
		tally.matched += wanted;
		tally.asked += world->bodies[i] != NULL;
	}
	tally.read += cost.bodies;
	buffer_deinit(&expression);
	arena_deinit(&arena);
	postings_deinit(&numbers);
}

static void check_trees(struct world *world, size_t trees)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	while (trees-- > 0)
		check_tree(world, snapshot);
	snapshot_release(snapshot);
}

#define SEQUENCES 12
#define STEPS 60

/* With everything built only what long strings leave open is read. */
static void check_built(struct world *world)
{
	uint64_t asked = tally.asked;
	uint64_t read = tally.read;

	attributes_put(world, fields, (1U << COUNT(fields)) - 1);
	store(world);
	compact(world, SIZE_MAX);
	check_trees(world, 100);
	CU_ASSERT_TRUE(tally.read - read < (tally.asked - asked) / 8);
	tally.read = read;
	tally.asked = asked;
}

static void test_random(void)
{
	for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
		char directory[32];
		struct world world;

		snprintf(directory, sizeof directory, "random-%llu", (unsigned long long)seed);
		dice_state = seed << 32;
		world = world_new(directory);
		for (size_t i = 0; i < STEPS; i++) {
			step(&world, directory);
			check_trees(&world, 6);
		}
		check_built(&world);
		world_free(&world);
	}
	printf("\n%llu of %llu match, %llu read\n", (unsigned long long)tally.matched,
	       (unsigned long long)tally.asked, (unsigned long long)tally.read);
	/* neither side of a coin is rare */
	CU_ASSERT_TRUE(tally.matched > tally.asked / 5 && tally.matched < tally.asked / 5 * 4);
	CU_ASSERT_TRUE(tally.read > tally.asked / 20 && tally.read < tally.asked / 5 * 4);
}

/* ---- damage ---- */

/* True if there was such a chunk. */
static bool damaged_checked(size_t chunk, size_t at)
{
	char directory[32];
	struct world world;
	bool damaged;

	snprintf(directory, sizeof directory, "damaged-%zu-%zu", chunk, at);
	world = world_new(directory);
	attributes_put(&world, names, NAMES_ALL);
	for (size_t i = 0; i < COUNT(bodies); i++)
		put(&world, i, bodies[i]);
	store(&world);
	damaged = bed_damage(world.model->replica->kv, chunk, at, at % 3 == 0);
	for (size_t i = 0; damaged && i < COUNT(rows); i++) {
		struct snapshot *snapshot = replica_snapshot(world.model->replica);
		struct filter_cost cost = {0};
		struct postings numbers;
		struct filter *filter;
		struct arena arena;
		struct error error;

		postings_init(&numbers);
		arena_init(&arena, 4096);
		filter = parsed(&world, rows[i].filter, &arena);
		if (snapshot_filter(snapshot, world.words, filter, &numbers, &cost, &error) != 0) {
			CU_ASSERT_EQUAL(error.code, ERROR_DAMAGED);
			CU_ASSERT_EQUAL(numbers.len, 0);
		} else {
			for (size_t k = 0; k < COUNT(bodies); k++)
				CU_ASSERT_EQUAL(postings_contains(&numbers, k + 1),
				                body_matches(&world, filter, bodies[k]));
		}
		postings_deinit(&numbers);
		arena_deinit(&arena);
		snapshot_release(snapshot);
	}
	world_free(&world);
	return damaged;
}

static void test_damaged(void)
{
	size_t chunk = 0;

	while (damaged_checked(chunk, chunk * 7))
		chunk++;
	CU_ASSERT_TRUE(chunk >= 6);
}

/* ---- what it costs ---- */

#define BENCH_DOCUMENTS 100000
#define BENCH_VALUES 1000
#define BENCH_RANGE 1000
#define BENCH_ROUNDS 100

/* Documents [first, end), or less where a seal is due; returns how many. */
static size_t bench_receive(struct model *model, size_t first, size_t end)
{
	int64_t from = status_of(model).received;
	struct memtable *memtable = memtable_new(from);
	size_t len = 0;
	char id[32];
	char body[128];

	for (; first + len < end && from + (int64_t)len < memtable_seal(memtable); len++) {
		size_t value = (first + len) * 7919 % BENCH_VALUES;
		struct op op = {.offset = from + (int64_t)len, .kind = OP_KIND_PUT};

		snprintf(id, sizeof id, "%zu", first + len);
		snprintf(body, sizeof body, "{\"n\":%zu,\"s\":\"value %zu\",\"u\":%zu}", value, value,
		         first + len);
		op.id = slice_string(id);
		op.body = slice_string(body);
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	}
	memtable_send(model, memtable);
	memtable_free(memtable);
	return len;
}

static void bench_row(struct world *world, const char *expression)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);
	struct filter_cost cost = {0};
	struct timespec before;
	struct timespec after;
	struct postings numbers;
	struct filter *filter;
	struct arena arena;
	struct error error;
	double best = 1e9;

	arena_init(&arena, 4096);
	postings_init(&numbers);
	filter = parsed(world, expression, &arena);
	for (size_t i = 0; i < BENCH_ROUNDS; i++) {
		double took;

		postings_clear(&numbers);
		cost = (struct filter_cost){0};
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
		CU_ASSERT_EQUAL_FATAL(
			snapshot_filter(snapshot, world->words, filter, &numbers, &cost, &error), 0);
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
		took = (double)(after.tv_sec - before.tv_sec) * 1e6 +
		       (double)(after.tv_nsec - before.tv_nsec) / 1e3;
		best = took < best ? took : best;
	}
	printf("%-52.52s %7llu documents %5llu keys %6llu bodies %9.1f us\n", expression,
	       (unsigned long long)postings_count(&numbers), (unsigned long long)cost.keys,
	       (unsigned long long)cost.bodies, best);
	postings_deinit(&numbers);
	arena_deinit(&arena);
	snapshot_release(snapshot);
}

static void bench(void)
{
	static const char *const kept[] = {"n", "s"};
	static const char *const expressions[] = {
		"n = 500",
		"s = 'value 500'",
		"n != 500",
		"n 100 TO 199",
		"n >= 0",
		"n IN [1,101,201,301,401,501,601,701,801,901]",
		"s IN ['value 1','value 11','value 21','value 31','value 41','value 51','value 61','value "
		"71','value 81','value 91']",
		"s STARTS WITH 'value 1'",
		"s CONTAINS 99",
		"n EXISTS",
		"n 100 TO 199 AND NOT s STARTS WITH 'value 15'",
		"n 100 TO 199 AND u > 0",
	};
	struct world world = world_new("bench");

	attributes_put(&world, kept, 3);
	for (size_t i = 0; i < BENCH_DOCUMENTS;) {
		i += bench_receive(world.model, i, i - i % BENCH_RANGE + BENCH_RANGE);
		while (replica_merge(world.model->replica))
			;
	}
	store(&world);
	compact(&world, SIZE_MAX);
	printf("\n%zu disk segments\n", status_of(world.model).disk_segments);
	for (size_t i = 0; i < COUNT(expressions); i++)
		bench_row(&world, expressions[i]);
	world_free(&world);
}

int main(int argc, char **argv)
{
	CU_TestInfo tests[] = {
		{"answers", test_answers}, {"unbuilt", test_unbuilt}, {"random trees", test_random},
		{"damaged", test_damaged}, CU_TEST_INFO_NULL,
	};

	CU_TestInfo figures[] = {{"figures", bench}, CU_TEST_INFO_NULL};

	return suite_run("snapshot_filter", argc == 2 && strcmp(argv[1], "bench") == 0 ? figures : tests);
}
