/*
 * Batch: operations that a frame can carry and a replica does not fold yet.
 * It refuses their ranges as a whole, and goes on with the next one.
 */
#include "tests/unit/replica_model.h"

static void refuse_kind(struct model *model, enum op_kind kind)
{
	int64_t from = status_of(model).received;
	struct op *op = &model->log[from + 1 - BASE].op;
	struct op kept = *op;
	struct range_answer answer;
	int64_t to = from + 2;

	op->kind = kind;
	if (op_kind_is_barrier(kind)) {
		op->id = op->body = slice_string("");
		to = ++from + 1; /* alone in its range */
		CU_ASSERT_EQUAL_FATAL(send(model, from - 1, from, -1, &answer), 0);
	}
	CU_ASSERT_EQUAL(send(model, from, to, -1, &answer), ERROR_VERSION);
	CU_ASSERT_EQUAL(status_of(model).received, from);
	*op = kept;
	CU_ASSERT_EQUAL(send(model, from, to, -1, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_APPLIED);
	CU_ASSERT_EQUAL(answer.received, to);
}

static void test_kinds_refused(void)
{
	struct model *model = model_new("kinds");
	struct live live[IDS];

	for (int kind = OP_KIND_MERGE; kind <= OP_KIND_DELETE_ALL; kind++)
		refuse_kind(model, (enum op_kind)kind);
	fold(model, status_of(model).received, live);
	check_state(model, live);
	check_gets(model, live);
	model_free(model);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a replica refuses what it does not fold", test_kinds_refused},
		CU_TEST_INFO_NULL,
	};

	return suite_run("batch_replica", tests);
}
