/*
 * Memtable: coalescing against a naive fold, bounds, anchors.
 */
#include "shared/record/memtable.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define IDS 4
#define OPS_MAX 40
#define SEEDS 4000

struct cell {
	bool live;
	int64_t body; /* the offset that wrote it stands for the body */
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

static void apply(struct fold *fold, const struct op *op)
{
	struct cell *cell = NULL;
	int64_t body = 0;

	for (size_t i = 0; i < IDS; i++)
		if (slice_equal(op->id, slice_string(ids[i])))
			cell = &fold->cells[i];
	CU_ASSERT_PTR_NOT_NULL_FATAL(cell);
	if (op->kind == OP_KIND_DELETE) {
		*cell = (struct cell){0};
		return;
	}
	CU_ASSERT_EQUAL_FATAL(op->body.len, sizeof body);
	memcpy(&body, op->body.ptr, sizeof body);
	if (!cell->live || op->fresh)
		cell->key = op->key;
	cell->live = true;
	cell->body = body;
}

static bool same(const struct fold *a, const struct fold *b)
{
	for (size_t i = 0; i < IDS; i++) {
		const struct cell *x = &a->cells[i];
		const struct cell *y = &b->cells[i];

		if (x->live != y->live || x->body != y->body || x->key.timestamp_ms != y->key.timestamp_ms ||
		    x->key.seq != y->key.seq)
			return false;
	}
	return true;
}

struct log {
	struct op ops[OPS_MAX];
	int64_t bodies[OPS_MAX];
	size_t len;
	int64_t from;
	int64_t to;
};

/* Up to `before` operations precede the range, so that x = from is not always an empty fold. */
static void draw(struct log *log, uint64_t *random, size_t before)
{
	int64_t offset = (int64_t)(next_random(random) % 100);

	log->len = before + 1 + next_random(random) % (OPS_MAX - before - 1);
	for (size_t i = 0; i < log->len; i++) {
		struct op *op = &log->ops[i];

		int64_t step = (int64_t)(next_random(random) % 3);

		if (i == before) /* a range may begin with a hole */
			log->from = offset + 1 + (int64_t)(next_random(random) % (uint64_t)(step + 1));
		offset += 1 + step;
		*op = (struct op){
			.offset = offset,
			.kind = next_random(random) % 3 == 0 ? OP_KIND_DELETE : OP_KIND_PUT,
			.key = {(int64_t)(next_random(random) % 5), (uint32_t)(next_random(random) % 3)},
			.id = slice_string(ids[next_random(random) % IDS]),
		};
		log->bodies[i] = offset;
		if (op->kind == OP_KIND_PUT)
			op->body = slice_of(&log->bodies[i], sizeof log->bodies[i]);
	}
	log->to = offset + 1 + (int64_t)(next_random(random) % 3);
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
	fold_until(log, log->to, &expected);
	while ((op = memtable_next(memtable, &at)) != NULL)
		if (op->offset >= x)
			apply(&fold, op);
	return same(&fold, &expected);
}

static void test_survivors_are_the_fold(void)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t random = seed;
		size_t before = next_random(&random) % 10;
		struct memtable *memtable;
		struct log log;
		bool good = true;

		draw(&log, &random, before);
		memtable = memtable_new(log.from);
		CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
		for (size_t i = before; i < log.len; i++)
			good = good && memtable_add(memtable, &log.ops[i]);
		memtable_cover(memtable, log.to);
		CU_ASSERT_EQUAL(memtable_to(memtable), log.to);
		for (int64_t x = log.from; x <= log.to; x++)
			good = good && check(&log, memtable, x);
		memtable_free(memtable);
		if (!good)
			(void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		CU_ASSERT_TRUE_FATAL(good);
	}
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
		{"copies", test_copies},
		{"seal", test_seal},
		{"size", test_size},
		{"anchor", test_anchor},
		CU_TEST_INFO_NULL,
	};

	return suite_run("memtable", tests);
}
