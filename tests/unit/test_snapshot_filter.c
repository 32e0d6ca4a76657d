/*
 * Filter of a snapshot: literal answers of a few documents, wherever they
 * stand; random trees over random documents while a replica receives, merges,
 * stores, compacts, restarts and gets other attributes, beside filter_matches
 * on every body; and damaged chunks, which may fail but never answer wrong.
 *
 *     test_snapshot_filter bench    what a filter costs
 */
#include "tests/unit/disk_bed.h"
#include "tests/unit/replica_model.h"

#include "shard/core/reading.h"
#include "shard/core/snapshot_filter.h"
#include "shared/record/memtable.h"

#include <time.h>

#define BODY_BYTES_MAX 65536
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a replica ---- */

/* Which document, and the body that it has; NULL: none. */
struct world {
	struct model *model;
	struct words *words;
	char *bodies[IDS];
	bool built; /* all attributes were set before anything was received */
	uint64_t bodies_read;
	uint64_t matched;
	uint64_t asked;
};

static struct error fold_error;

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	return words_fold(context, text, folded, &fold_error) == 0;
}

static struct world world_new(const char *directory)
{
	struct world world = {.model = model_new(directory), .words = words_new()};

	CU_ASSERT_PTR_NOT_NULL_FATAL(world.words);
	return world;
}

static void world_free(struct world *world)
{
	for (size_t i = 0; i < IDS; i++)
		free(world->bodies[i]);
	words_free(world->words);
	model_free(world->model);
}

/* A range with what each of some documents is now. */
static void receive(struct world *world, const size_t *documents, size_t len)
{
	struct model *model = world->model;
	int64_t from = status_of(model).received;
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX_ID,
	                      .partition = 3,
	                      .incarnation = model->incarnation,
	                      .session = model->session,
	                      .rules_digest = RULES,
	                      .log_end = -1};
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	for (size_t i = 0; i < len; i++) {
		const char *body = world->bodies[documents[i]];
		struct op op = {.offset = from + (int64_t)i,
		                .kind = body == NULL ? OP_KIND_DELETE : OP_KIND_PUT,
		                .id = slice_string(model->ids[documents[i]]),
		                .body = slice_string(body == NULL ? "" : body)};

		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	}
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(model->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static void put(struct world *world, size_t document, const char *body)
{
	free(world->bodies[document]);
	world->bodies[document] = body == NULL ? NULL : strdup(body);
	receive(world, &document, 1);
}

static void store(struct world *world)
{
	struct replica_store_job *job;

	while ((job = replica_store_begin(world->model->replica)) != NULL) {
		struct error error;
		int rc = replica_store_run(job, &error);

		CU_ASSERT_EQUAL_FATAL(rc, 0);
		replica_store_end(world->model->replica, job, rc, &error);
	}
}

/* At most so many jobs. */
static void compact(struct world *world, size_t jobs)
{
	struct replica_compact_job *job;

	while (jobs-- > 0 && (job = replica_compact_begin(world->model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(world->model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

/* The i-th of the names where bit i is set. */
static void attributes_put(struct world *world, const char *const *names, unsigned bits)
{
	static uint64_t version;
	struct slice paths[VALUE_ATTRIBUTES_MAX];
	struct error error;
	size_t len = 0;

	for (size_t i = 0; bits >> i != 0; i++)
		if (bits >> i & 1)
			paths[len++] = slice_string(names[i]);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(world->model->replica, ++version, paths, len, &error),
	                      0);
}

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

static size_t document_of(const struct model *model, struct slice id)
{
	size_t document = 0;

	while (document < IDS && !slice_equal(id, slice_string(model->ids[document])))
		document++;
	CU_ASSERT_TRUE_FATAL(document < IDS);
	return document;
}

/* Which documents a set has; a number that is none of the snapshot's live ones fails. */
static void documents_of(const struct model *model, const struct snapshot *snapshot,
                         const struct postings *numbers, bool found[IDS])
{
	struct reading reading;
	struct located located;
	struct error error;
	struct slice id;
	uint64_t number;

	memset(found, 0, IDS * sizeof found[0]);
	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	for (uint64_t from = 0; postings_next(numbers, from, &number); from = number + 1) {
		CU_ASSERT_EQUAL_FATAL(reading_locate(&reading, number, &located, &error), 0);
		CU_ASSERT_EQUAL_FATAL(located_id(&located, &id, &error), 0);
		CU_ASSERT_FALSE(postings_contains(&snapshot->deleted, number));
		CU_ASSERT_FALSE(found[document_of(model, id)]);
		found[document_of(model, id)] = true;
	}
	reading_end(&reading);
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

/* 236 and 240 bytes that agree in more than a key holds, and 500 that are cut. */
#define LONG_60 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx"
#define LONG_240 LONG_60 LONG_60 LONG_60 LONG_60
#define LONG_480 LONG_240 LONG_240

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
		struct filter_cost cost = {0, 0};
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

static uint64_t dice_state;

/* From 0 to n - 1 (SplitMix64). */
static size_t dice(size_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % n);
}

static const char *const fields[] = {"a", "b", "a.b", "a.c", "b.a.c", "a b", "É"};
/* As a document holds them, and as a filter says them. */
static const char *const scalars[] = {"\"x\"",
                                      "\"X y\"",
                                      "5",
                                      "\"5\"",
                                      "10",
                                      "-1.5",
                                      "\"-1.5\"",
                                      "true",
                                      "false",
                                      "null",
                                      "\"and\"",
                                      "\"É\"",
                                      "\"é\"",
                                      "\"\"",
                                      "\" \"",
                                      "\" X\"",
                                      "5.0",
                                      "1e1",
                                      "{}",
                                      "[]",
                                      "0",
                                      "-0.0",
                                      "1e999",
                                      "1e300",
                                      "123456789012345678901",
                                      "\"日本\"",
                                      "\"\\u0000\"",
                                      "\"" LONG_240 "\"",
                                      "\"" LONG_240 "é\"",
                                      "\"" LONG_240 "z\"",
                                      "\"" LONG_480 "a\"",
                                      "\"" LONG_480 "b\"",
                                      "\"" LONG_60 "\""};
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

static void print_value(struct buffer *out, int depth);

static void print_object(struct buffer *out, int depth)
{
	static const char *const members[] = {"a", "b", "c", "a.b", "b.a", "a b", "É"};

	buffer_append_string(out, "{");
	for (size_t i = 0, len = dice(5); i < len; i++) {
		buffer_printf(out, "%s\"%s\":", i > 0 ? "," : "", members[dice(COUNT(members))]);
		print_value(out, depth - 1);
	}
	buffer_append_string(out, "}");
}

static void print_value(struct buffer *out, int depth)
{
	size_t side = depth > 0 ? dice(8) : 8;

	if (side < 2) {
		print_object(out, depth);
	} else if (side == 2) {
		buffer_append_string(out, "[");
		for (size_t i = 0, len = dice(4); i < len; i++) {
			buffer_append_string(out, i > 0 ? "," : "");
			print_value(out, depth - 1);
		}
		buffer_append_string(out, "]");
	} else {
		buffer_append_string(out, scalars[dice(COUNT(scalars))]);
	}
}

static void step_receive(struct world *world)
{
	size_t documents[IDS];
	size_t len = 1 + dice(12);

	for (size_t i = 0; i < len; i++) {
		size_t document = documents[i] = dice(IDS);
		struct buffer body;

		free(world->bodies[document]);
		world->bodies[document] = NULL;
		if (dice(4) == 0)
			continue;
		buffer_init(&body, BODY_BYTES_MAX);
		print_object(&body, 4);
		buffer_put_u8(&body, 0);
		CU_ASSERT_FALSE_FATAL(buffer_failed(&body));
		world->bodies[document] = (char *)buffer_take(&body, &(size_t){0});
		buffer_deinit(&body);
	}
	/* each once: the body of one that stands twice is that of its last operation */
	for (size_t i = 0; i < len; i++)
		for (size_t k = i + 1; k < len; k++)
			if (documents[k] == documents[i])
				documents[k--] = documents[--len];
	receive(world, documents, len);
}

static void check_tree(struct world *world, const struct snapshot *snapshot)
{
	struct filter_cost cost = {0, 0};
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
		world->matched += wanted;
		world->asked += world->bodies[i] != NULL;
	}
	world->bodies_read += cost.bodies;
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

static void step(struct world *world, const char *directory)
{
	switch (dice(12)) {
	case 0:
		attributes_put(world, fields, (unsigned)dice(1U << COUNT(fields)));
		break;
	case 1:
		attributes_put(world, fields, (1U << COUNT(fields)) - 1);
		break;
	case 2:
	case 3:
		store(world);
		break;
	case 4:
		compact(world, 1 + dice(4));
		break;
	case 5:
		if (dice(3) == 0) {
			store(world); /* what was not stored would come again from the log */
			reopen(world->model, directory);
		}
		break;
	case 6:
		(void)replica_merge(world->model->replica);
		break;
	default:
		step_receive(world);
	}
}

#define SEQUENCES 12
#define STEPS 60

static void test_random(void)
{
	uint64_t asked = 0;
	uint64_t matched = 0;
	uint64_t read = 0;

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
		asked += world.asked;
		matched += world.matched;
		read += world.bodies_read;
		/* everything built: only long strings are read */
		attributes_put(&world, fields, (1U << COUNT(fields)) - 1);
		store(&world);
		compact(&world, SIZE_MAX);
		world.bodies_read = world.asked = 0;
		check_trees(&world, 200);
		CU_ASSERT_TRUE(world.bodies_read < world.asked / 8);
		world_free(&world);
	}
	printf("\n%llu of %llu match, %llu read\n", (unsigned long long)matched, (unsigned long long)asked,
	       (unsigned long long)read);
	/* neither side of the coin is rare */
	CU_ASSERT_TRUE(matched > asked / 5 && matched < asked / 5 * 4);
	CU_ASSERT_TRUE(read > asked / 20 && read < asked / 5 * 4);
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
		struct filter_cost cost = {0, 0};
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

int main(void)
{
	CU_TestInfo tests[] = {
		{"answers", test_answers}, {"unbuilt", test_unbuilt}, {"random trees", test_random},
		{"damaged", test_damaged}, CU_TEST_INFO_NULL,
	};

	return suite_run("snapshot_filter", tests);
}
