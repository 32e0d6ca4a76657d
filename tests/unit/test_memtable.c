/*
 * Memtable: coalescing against a naive fold, bounds, anchors.
 */
#include "shared/record/memtable.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define IDS 4
#define FIELDS 3
#define OPS_MAX 40
#define SEEDS 6000

/* Stands for a document or for a patch; 0: the field is not there. */
struct fields {
	int64_t value[FIELDS];
};

struct cell {
	bool live;
	struct fields fields;
	struct insertion_key key;
};

struct fold {
	struct cell cells[IDS];
};

static const char *const ids[IDS] = {"a", "b", "c", "d"};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15U);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

/* A filter deletes the documents whose first field is even, or odd, as its own is. */
static void apply_barrier(struct fold *fold, const struct op *op)
{
	struct fields filter = {0};

	if (op->body.len > 0)
		memcpy(&filter, op->body.ptr, sizeof filter);
	for (size_t i = 0; i < IDS; i++)
		if (op->kind == OP_KIND_DELETE_ALL ||
		    fold->cells[i].fields.value[0] % 2 == filter.value[0] % 2)
			fold->cells[i] = (struct cell){0};
}

static void apply_put(struct cell *cell, const struct op *op, const struct fields *fields)
{
	if (!cell->live || op->fresh)
		cell->key = op->key;
	cell->live = true;
	cell->fields = *fields;
}

static void apply_merge(struct cell *cell, const struct op *op, const struct fields *fields)
{
	struct fields merged = cell->fields; /* all zeros if there is no document */

	for (size_t i = 0; i < FIELDS; i++)
		if (fields->value[i] != 0)
			merged.value[i] = fields->value[i];
	apply_put(cell, op, &merged);
}

static void apply(struct fold *fold, const struct op *op)
{
	struct cell *cell = NULL;
	struct fields fields = {0};

	for (size_t i = 0; i < IDS; i++)
		if (slice_equal(op->id, slice_string(ids[i])))
			cell = &fold->cells[i];
	if (cell == NULL || op->kind == OP_KIND_DELETE) {
		if (cell == NULL)
			apply_barrier(fold, op);
		else
			*cell = (struct cell){0};
		return;
	}
	memcpy(&fields, op->body.ptr, sizeof fields);
	if (op->kind == OP_KIND_PUT || (op->kind == OP_KIND_PUT_IF_EXISTS && cell->live))
		apply_put(cell, op, &fields);
	if (op->kind == OP_KIND_MERGE || (op->kind == OP_KIND_MERGE_IF_EXISTS && cell->live))
		apply_merge(cell, op, &fields);
}

static bool same(const struct fold *a, const struct fold *b)
{
	for (size_t i = 0; i < IDS; i++) {
		const struct cell *x = &a->cells[i];
		const struct cell *y = &b->cells[i];

		if (x->live != y->live || memcmp(&x->fields, &y->fields, sizeof x->fields) != 0 ||
		    x->key.timestamp_ms != y->key.timestamp_ms || x->key.seq != y->key.seq)
			return false;
	}
	return true;
}

struct log {
	struct op ops[OPS_MAX];
	struct fields bodies[OPS_MAX];
	size_t len;
	int64_t from;
	int64_t to;
};

/* One of forty is a barrier. */
static enum op_kind draw_kind(uint64_t *random)
{
	static const enum op_kind kinds[] = {
		OP_KIND_PUT,   OP_KIND_PUT,           OP_KIND_DELETE,         OP_KIND_MERGE,
		OP_KIND_MERGE, OP_KIND_PUT_IF_EXISTS, OP_KIND_MERGE_IF_EXISTS};

	if (next_random(random) % 40 == 0)
		return next_random(random) % 2 == 0 ? OP_KIND_DELETE_ALL : OP_KIND_DELETE_BY_FILTER;
	return kinds[next_random(random) % (sizeof kinds / sizeof *kinds)];
}

static void draw_op(struct log *log, size_t i, int64_t offset, uint64_t *random)
{
	struct op *op = &log->ops[i];
	struct fields *fields = &log->bodies[i];

	*op = (struct op){
		.offset = offset,
		.kind = draw_kind(random),
		.key = {(int64_t)(next_random(random) % 5), (uint32_t)(next_random(random) % 3)},
	};
	*fields = (struct fields){{0}};
	fields->value[next_random(random) % FIELDS] = offset + 1;
	fields->value[next_random(random) % FIELDS] = offset + 1;
	if (!op_kind_is_barrier(op->kind))
		op->id = slice_string(ids[next_random(random) % IDS]);
	if (op->kind != OP_KIND_DELETE && op->kind != OP_KIND_DELETE_ALL)
		op->body = slice_of(fields, sizeof *fields);
}

/* Up to `before` operations precede the ranges, so that x = from is not always an empty fold. */
static void draw(struct log *log, uint64_t *random, size_t before)
{
	int64_t offset = (int64_t)(next_random(random) % 100);

	if (next_random(random) % 4 == 0)
		offset += RANGE_SEAL - 70; /* across a seal */
	log->len = before + 1 + next_random(random) % (OPS_MAX - before - 1);
	for (size_t i = 0; i < log->len; i++) {
		int64_t step = (int64_t)(next_random(random) % 3);

		if (i == before) /* a range may begin with a hole */
			log->from = offset + 1 + (int64_t)(next_random(random) % (uint64_t)(step + 1));
		offset += 1 + step;
		draw_op(log, i, offset, random);
	}
	log->to = offset + 1;
}

static void fold_until(const struct log *log, int64_t x, struct fold *fold)
{
	*fold = (struct fold){0};
	for (size_t i = 0; i < log->len; i++)
		if (log->ops[i].offset < x)
			apply(fold, &log->ops[i]);
}

static bool check(const struct log *log, const struct memtable *memtable, int64_t x)
{
	struct fold fold;
	struct fold expected;
	const struct op *op;
	size_t at = 0;

	fold_until(log, x, &fold);
	fold_until(log, memtable_to(memtable), &expected);
	while ((op = memtable_next(memtable, &at)) != NULL)
		if (op->offset >= x)
			apply(&fold, op);
	return same(&fold, &expected);
}

/* For every x at which a replica may stand; frees the memtable. */
static bool check_range(const struct log *log, struct memtable *memtable)
{
	bool good = true;

	for (int64_t x = memtable_from(memtable); x <= memtable_to(memtable); x++)
		good = good && check(log, memtable, x);
	memtable_free(memtable);
	return good;
}

/* The log as ranges, as a feeder cuts them. */
static bool check_log(const struct log *log, size_t before, size_t *ranges)
{
	struct memtable *memtable = memtable_new(log->from);
	bool good = true;

	for (size_t i = before; good && i < log->len; i++) {
		const struct op *op = &log->ops[i];

		while (good && memtable_is_full(memtable, op->offset, memtable_op_bytes(op))) {
			int64_t seal = memtable_seal(memtable);
			int64_t to = op->offset < seal ? op->offset : seal;

			memtable_cover(memtable, to);
			good = check_range(log, memtable);
			memtable = memtable_new(to);
			(*ranges)++;
		}
		good = good && memtable_add(memtable, op);
	}
	return check_range(log, memtable) && good;
}

static void test_survivors_are_the_fold(void)
{
	size_t ranges = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t random = seed;
		size_t before = next_random(&random) % 10;
		struct log log;
		bool good;

		draw(&log, &random, before);
		good = check_log(&log, before, &ranges);
		if (!good)
			(void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		CU_ASSERT_TRUE_FATAL(good);
	}
	CU_ASSERT_TRUE(ranges > SEEDS / 4); /* barriers and seals were met */
}

static struct op put(int64_t offset, const char *id, const char *body)
{
	return (struct op){.offset = offset,
	                   .kind = OP_KIND_PUT,
	                   .key = {offset * 10, 0},
	                   .id = slice_string(id),
	                   .body = slice_string(body)};
}

static struct op delete (int64_t offset, const char *id)
{
	return (struct op){
		.offset = offset, .kind = OP_KIND_DELETE, .key = {offset * 10, 0}, .id = slice_string(id)};
}

static void test_coalescing(void)
{
	struct op ops[] = {put(7, "a", "1"), put(8, "b", "2"), put(9, "a", "3"), delete (10, "b"),
	                   put(12, "b", "4")};
	struct memtable *memtable = memtable_new(5);
	const struct op *op;
	size_t at = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		CU_ASSERT_TRUE(memtable_add(memtable, &ops[i]));
	CU_ASSERT_EQUAL(memtable_from(memtable), 5);
	CU_ASSERT_EQUAL(memtable_to(memtable), 13);
	CU_ASSERT_EQUAL(memtable_count(memtable), 2);
	op = memtable_next(memtable, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(op);
	CU_ASSERT_EQUAL(op->offset, 9);
	CU_ASSERT_EQUAL(op->key.timestamp_ms, 70); /* the oldest put since the last delete */
	CU_ASSERT_FALSE(op->fresh);
	CU_ASSERT_TRUE(slice_equal(op->body, slice_string("3")));
	op = memtable_next(memtable, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(op);
	CU_ASSERT_EQUAL(op->offset, 12);
	CU_ASSERT_EQUAL(op->key.timestamp_ms, 120);
	CU_ASSERT_TRUE(op->fresh);
	CU_ASSERT_PTR_NULL(memtable_next(memtable, &at));
	memtable_free(memtable);
}

/* A letter an operation on one document: put, merge, delete, q: put-if-exists, n: merge-if-exists; the i-th has
 * offset i and key 10 * i. Survivors as offset/key, f: fresh. */
static void test_one_by_one(void)
{
	static const struct {
		const char *ops;
		const char *survivors;
	} rows[] = {
		{"p", "0/0 "},
		{"pp", "1/0 "},
		{"pm", "0/0 1/10 "},
		{"mm", "0/0 1/10 "},
		{"mp", "1/0 "},
		{"qp", "1/10 "},
		{"np", "1/10 "},
		{"qmp", "2/10 "},
		{"pq", "0/0 1/10 "},
		{"dd", "1/10f "},
		{"dp", "1/10f "},
		{"dm", "0/0 1/10 "},
		{"dmp", "2/10f "},
		{"dqp", "2/20f "},
		{"pdm", "1/10 2/20 "},
		{"pdmd", "3/30f "},
		{"pmqn", "0/0 1/10 2/20 3/30 "},
		{"pmqnd", "4/40 "},
		{"pmqnp", "4/0 "},
		{"dpmp", "3/10f "},
		{"dpm", "1/10f 2/20 "},
		{"pdpdp", "4/40f "},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct memtable *memtable = memtable_new(0);
		char survivors[256] = "";
		const struct op *op;
		size_t count = 0;
		size_t len = 0;
		size_t at = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
		for (int64_t offset = 0; rows[i].ops[offset] != '\0'; offset++) {
			static const char letters[] = " pdmqn"; /* in the order of enum op_kind */
			struct op one = put(offset, "a", "{}");

			one.kind = (enum op_kind)(strchr(letters, rows[i].ops[offset]) - letters);
			CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &one));
		}
		for (; (op = memtable_next(memtable, &at)) != NULL; count++)
			len += (size_t)snprintf(survivors + len, sizeof survivors - len, "%d/%d%s ",
			                        (int)op->offset, (int)op->key.timestamp_ms,
			                        op->fresh ? "f" : "");
		if (strcmp(survivors, rows[i].survivors) != 0)
			(void)fprintf(stderr, "row %s: %s\n", rows[i].ops, survivors);
		CU_ASSERT_STRING_EQUAL(survivors, rows[i].survivors);
		CU_ASSERT_EQUAL(memtable_count(memtable), count);
		memtable_free(memtable);
	}
}

static void test_barriers_are_alone(void)
{
	struct op filter = {.offset = 0, .kind = OP_KIND_DELETE_BY_FILTER, .body = slice_string("\"n = 1\"")};
	struct op all = {.offset = 0, .kind = OP_KIND_DELETE_ALL};
	struct op one = put(0, "a", "{}");
	const struct op *first[] = {&filter, &all, &one};

	CU_ASSERT_EQUAL(memtable_op_bytes(&one), 3);
	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		struct memtable *memtable = memtable_new(0);

		CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
		CU_ASSERT_FALSE(memtable_is_full(memtable, 0, memtable_op_bytes(first[i])));
		CU_ASSERT_TRUE(memtable_add(memtable, first[i]));
		CU_ASSERT_TRUE(memtable_is_full(memtable, 1, memtable_op_bytes(&filter)));
		CU_ASSERT_TRUE(memtable_is_full(memtable, 1, memtable_op_bytes(&all)));
		CU_ASSERT_EQUAL(memtable_is_full(memtable, 1, memtable_op_bytes(&one)), first[i] != &one);
		CU_ASSERT_FALSE(memtable_is_full(memtable, 1, 0)); /* what is no operation may follow */
		CU_ASSERT_EQUAL(memtable_count(memtable), 1);
		memtable_free(memtable);
	}
}

static void test_copies(void)
{
	char id[] = "a";
	char body[] = "{}";
	struct op op = put(0, id, body);
	struct memtable *memtable = memtable_new(0);
	size_t at = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	CU_ASSERT_TRUE(memtable_add(memtable, &op));
	id[0] = body[0] = 'X';
	CU_ASSERT_TRUE(slice_equal(memtable_next(memtable, &at)->id, slice_string("a")));
	at = 0;
	CU_ASSERT_TRUE(slice_equal(memtable_next(memtable, &at)->body, slice_string("{}")));
	memtable_free(memtable);
}

static void test_seal(void)
{
	static const struct {
		int64_t from;
		int64_t seal;
	} rows[] = {{0, 4096}, {1, 4096}, {4095, 4096}, {4096, 8192}, {4097, 8192}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct memtable *memtable = memtable_new(rows[i].from);

		CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
		CU_ASSERT_EQUAL(memtable_seal(memtable), rows[i].seal);
		CU_ASSERT_FALSE(memtable_is_full(memtable, rows[i].seal - 1, 100));
		CU_ASSERT_TRUE(memtable_is_full(memtable, rows[i].seal, 0));
		memtable_cover(memtable, rows[i].seal);
		CU_ASSERT_EQUAL(memtable_to(memtable), rows[i].seal);
		memtable_cover(memtable, rows[i].from); /* never back */
		CU_ASSERT_EQUAL(memtable_to(memtable), rows[i].seal);
		memtable_free(memtable);
	}
}

/* 4 MiB, or one operation however large. */
static void test_size(void)
{
	const size_t max = 4194304;
	char *body = calloc(1, max);
	struct op op = {
		.offset = 0, .kind = OP_KIND_PUT, .id = slice_string("a"), .body = slice_of(body, max - 2)};
	struct memtable *memtable = memtable_new(0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	CU_ASSERT_FALSE(memtable_is_full(memtable, 0, 100000000)); /* empty: one fits always */
	CU_ASSERT_TRUE(memtable_add(memtable, &op));
	CU_ASSERT_FALSE(memtable_is_full(memtable, 1, 1));
	CU_ASSERT_TRUE(memtable_is_full(memtable, 1, 2));
	CU_ASSERT_TRUE(memtable_bytes(memtable) >= max);
	/* a dropped operation still holds its memory */
	op = put(1, "a", "x");
	CU_ASSERT_TRUE(memtable_add(memtable, &op));
	CU_ASSERT_EQUAL(memtable_count(memtable), 1);
	CU_ASSERT_TRUE(memtable_is_full(memtable, 2, 1));
	memtable_free(memtable);
	free(body);
}

/* 64 merges, however short; a long one counts as it is. */
static void test_size_of_merges(void)
{
	static const enum op_kind kinds[] = {OP_KIND_MERGE, OP_KIND_MERGE_IF_EXISTS};
	const size_t long_body = 100000;
	char *body = calloc(1, long_body);

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct memtable *memtable = memtable_new(0);
		struct op op = put(0, "a", "{}");
		size_t empty = memtable_bytes(memtable);

		op.kind = kinds[i];
		CU_ASSERT_EQUAL(memtable_op_bytes(&op), 65536);
		for (; op.offset < 64; op.offset++) {
			CU_ASSERT_FALSE(memtable_is_full(memtable, op.offset, memtable_op_bytes(&op)));
			CU_ASSERT_TRUE(memtable_add(memtable, &op));
		}
		CU_ASSERT_TRUE(memtable_is_full(memtable, 64, memtable_op_bytes(&op)));
		CU_ASSERT_TRUE(memtable_is_full(memtable, 64, 1));
		CU_ASSERT_FALSE(memtable_is_full(memtable, 64, 0));
		CU_ASSERT_TRUE(memtable_bytes(memtable) <
		               empty + 64 * 1024); /* what is held, not what counts */
		op.body = slice_of(body, long_body);
		CU_ASSERT_EQUAL(memtable_op_bytes(&op), long_body + 1);
		memtable_free(memtable);
	}
	free(body);
}

static void test_anchor(void)
{
	struct memtable *memtable = memtable_new(3);

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	CU_ASSERT_EQUAL(memtable_anchor(memtable).offset, -1);
	memtable_set_anchor(memtable, (struct anchor){4, 50, 60});
	CU_ASSERT_EQUAL(memtable_anchor(memtable).offset, 4);
	CU_ASSERT_EQUAL(memtable_anchor(memtable).timestamp_ms, 50);
	CU_ASSERT_EQUAL(memtable_anchor(memtable).checksum, 60);
	CU_ASSERT_EQUAL(memtable_count(memtable), 0);
	memtable_free(memtable);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"survivors at or above x give the fold", test_survivors_are_the_fold},
		{"coalescing", test_coalescing},
		{"merges and if-exists one by one", test_one_by_one},
		{"barriers are alone", test_barriers_are_alone},
		{"copies", test_copies},
		{"seal", test_seal},
		{"size", test_size},
		{"size of merges", test_size_of_merges},
		{"anchor", test_anchor},
		CU_TEST_INFO_NULL,
	};

	return suite_run("memtable", tests);
}
