/*
 * The complete fold of a replica: every kind of operation, in random
 * sequences, cut into random ranges (overlapping, repeated), with merges of
 * segments, stores that end, fail or are cut off, and restarts; after every
 * step all that can be read equals a plain fold of the log. SEED=n runs one.
 */
#include "tests/unit/fold_model.h"

static void step_receive(struct fold_model *model)
{
	int64_t received = fold_status(model).received;
	int64_t from = received - (int64_t)fold_draw(model, 2) * (int64_t)fold_draw(model, 12);
	int64_t to = received + 1 + (int64_t)fold_draw(model, 20);

	while (model->end < to)
		fold_append(model);
	fold_receive(model, from < FOLD_BASE ? FOLD_BASE : from, to);
	fold_check(model);
}

/* A job that ends, that is dropped, or that ran but whose end nobody saw (a crash). */
static void step_store(struct fold_model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	int64_t stored = fold_status(model).stored;
	struct error error = {.code = 0};
	int rc = 0;

	if (job == NULL)
		return;
	if (fold_draw(model, 2) == 0)
		step_receive(model);
	if (fold_draw(model, 5) == 0) {
		rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "not run");
	} else {
		rc = replica_store_run(job, &error);
		if (rc != 0)
			printf("%s\n", error.text);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		fold_check(model); /* in memory and on disk at once */
		step_receive(model);
	}
	replica_store_end(model->replica, job, rc, &error);
	fold_check(model);
	rc = reads_verify(model->replica, &error);
	if (rc != 0)
		printf("%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	if (fold_draw(model, 3) != 0)
		return;
	stored = fold_status(model).stored;
	fold_reopen(model);
	CU_ASSERT_EQUAL_FATAL(fold_status(model).received, stored);
	fold_check(model);
}

static void model_run(uint64_t seed)
{
	struct fold_model model;

	fold_model_init(&model, seed, 2500);
	while (model.end < FOLD_BASE + 2400) {
		uint64_t what = fold_draw(&model, 20);

		if (what < 16)
			step_receive(&model);
		else if (what < 18)
			(void)replica_merge(model.replica);
		else
			step_store(&model);
	}
	fold_model_deinit(&model);
}

static void test_model(void)
{
	const char *seed = getenv("SEED");

	if (seed != NULL) {
		model_run(strtoull(seed, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 4; i++)
		model_run(i);
}

/* Two ways to cut one log give one digest at every seal and at the end. */
static void test_cuts(void)
{
	struct fold_model one;
	struct fold_model other;
	struct seal seals[REPLICA_SEALS_MAX];
	struct seal others[REPLICA_SEALS_MAX];

	fold_model_init(&one, 101, 400);
	while (one.end < FOLD_BASE + 400)
		fold_append(&one);
	fold_model_init(&other, 102, 400);
	memcpy(other.log, one.log, 400 * sizeof *one.log);
	for (int64_t i = 0; i < 400; i++) {
		struct op *op = &other.log[i].op;

		if (!op_kind_is_barrier(op->kind))
			op->id = slice_string(other.ids[other.log[i].id]);
		if (op->body.len > 0 && op->kind != OP_KIND_DELETE_BY_FILTER)
			op->body = slice_string(other.log[i].sent.text);
	}
	other.end = one.end;
	fold_receive_all(&one, one.end);
	while (fold_status(&other).received < other.end) {
		fold_receive(&other, fold_status(&other).received, fold_status(&other).received + 1);
		if (fold_status(&other).received % 64 == 0)
			fold_store(&other);
	}
	CU_ASSERT_TRUE(hash128_equal(fold_status(&one).digest, fold_status(&other).digest));
	CU_ASSERT_EQUAL_FATAL(replica_seals(one.replica, seals), 1);
	CU_ASSERT_EQUAL_FATAL(replica_seals(other.replica, others), 1);
	CU_ASSERT_TRUE(hash128_equal(seals[0].digest, others[0].digest));
	fold_model_deinit(&one);
	fold_model_deinit(&other);
}

/* A record of document d0 whose body is of our own making; it has the id, as record_decode sees to. */
static void append_body(struct fold_model *model, enum op_kind kind, const char *text)
{
	struct fold_record *record = fold_append_kind(model, kind);

	record->id = 0;
	record->op.id = slice_string(model->ids[0]);
	record->op.body = slice_string(text);
}

static struct document get_first(struct fold_model *model, struct arena *arena)
{
	struct document document = {.body = slice_string("")};
	struct error error;

	if (reads_get(model->replica, slice_string(model->ids[0]), arena, &document, &error) != 0)
		document.body = slice_string("none");
	return document;
}

/* The longest outcome that the rules allow, and one byte more, on what is in memory and on what is stored. */
static void test_too_large(void)
{
	char patch[FOLD_BYTES_MAX + 1];
	struct fold_model model;
	struct arena arena;

	fold_model_init(&model, 103, 20);
	arena_init(&arena, 4096);
	append_body(&model, OP_KIND_MERGE, "{\"id\":\"d0\"}"); /* creates */
	fold_receive_all(&model, model.end);
	for (int stored = 0; stored < 2; stored++) {
		for (size_t extra = 1; extra < 2; extra--) {
			/* {"id":"d0","n":"…"} */
			size_t len = FOLD_BYTES_MAX + extra - strlen("{\"id\":\"d0\",\"n\":\"\"}");

			snprintf(patch, sizeof patch, "{\"n\":\"%.*s\"}", (int)len,
			         "0123456789012345678901234567890123456789012345678901234567890123456789"
			         "0123456789012345678901234567890123456789012345678901234567890123456789"
			         "0123456789");
			append_body(&model, OP_KIND_MERGE_IF_EXISTS, patch);
			fold_receive_all(&model, model.end);
			CU_ASSERT_EQUAL(fold_status(&model).merges_too_large, (uint64_t)stored + 1);
			CU_ASSERT_EQUAL(get_first(&model, &arena).body.len,
			                extra == 0 ? FOLD_BYTES_MAX : strlen("{\"id\":\"d0\"}"));
		}
		append_body(&model, OP_KIND_PUT, "{\"id\":\"d0\"}");
		fold_receive_all(&model, model.end);
		fold_store(&model);
	}
	/* an absent document is created whatever the limit, as by a put */
	append_body(&model, OP_KIND_DELETE, "");
	memset(patch, ' ', FOLD_BYTES_MAX);
	memcpy(patch, "{\"id\":\"d0\"", 10);
	patch[FOLD_BYTES_MAX - 1] = '}';
	patch[FOLD_BYTES_MAX] = '\0';
	append_body(&model, OP_KIND_MERGE, patch);
	fold_receive_all(&model, model.end);
	CU_ASSERT_EQUAL(get_first(&model, &arena).body.len, FOLD_BYTES_MAX);
	CU_ASSERT_EQUAL(fold_status(&model).merges_too_large, 2);
	CU_ASSERT_EQUAL(fold_status(&model).documents, 1);
	arena_deinit(&arena);
	fold_model_deinit(&model);
}

/* Frames lie: a barrier among others, and a filter that no feeder lets pass. Nothing changes then. */
static void test_malformed(void)
{
	struct fold_model model;
	struct range_answer answer;
	struct buffer frame;
	struct range range;
	struct error error;
	struct op *op;

	fold_model_init(&model, 104, 40);
	for (int i = 0; i < 10; i++)
		(void)fold_append_kind(&model, OP_KIND_PUT);
	fold_receive_all(&model, model.end);
	op = &fold_append_kind(&model, OP_KIND_DELETE_BY_FILTER)->op;
	for (int i = 0; i < 2; i++) {
		op->body = slice_string(i == 0 ? "\"n < \"" : "\"\"");
		fold_range(&model, op->offset, model.end, &frame, &range);
		CU_ASSERT_EQUAL(replica_receive(model.replica, &range, &answer, &error), ERROR_FORMAT);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_EQUAL(fold_status(&model).received, op->offset);
		CU_ASSERT_EQUAL(fold_status(&model).documents > 0, true);
		buffer_deinit(&frame);
	}
	op->kind = OP_KIND_DELETE_ALL;
	op->body = slice_string("");
	fold_range(&model, op->offset, model.end, &frame, &range);
	range.ops_len = 2; /* batch_next would not have let it pass */
	CU_ASSERT_EQUAL(replica_receive(model.replica, &range, &answer, &error), ERROR_FORMAT);
	range.ops_len = 1;
	CU_ASSERT_EQUAL(replica_receive(model.replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL(fold_status(&model).documents, 0);
	CU_ASSERT_EQUAL(fold_status(&model).received, model.end);
	buffer_deinit(&frame);
	fold_model_deinit(&model);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the model", test_model},
	                       {"two ways to cut", test_cuts},
	                       {"merges that are too large", test_too_large},
	                       {"ranges that are none", test_malformed},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica fold", tests);
}
