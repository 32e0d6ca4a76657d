/*
 * Faults in a complete fold: the n-th call to the store fails, for n = 1, 2,
 * 3, … until merges and barriers, on what is in memory and on what is stored,
 * pass without one.
 */
#include "tests/unit/fold_model.h"
#include "tests/unit/kv_faults.h"

/* What came does not matter, only that a failure leaves the fold where it was. */
static void fold_life_receive(struct fold_model *model, int64_t to)
{
	while (fold_status(model).received < to) {
		struct range_answer answer;
		struct buffer frame;
		struct range range;
		struct error error;

		fold_range(model, fold_status(model).received, to, &frame, &range);
		if (replica_receive(model->replica, &range, &answer, &error) != 0) {
			long left = calls_left;

			CU_ASSERT_TRUE_FATAL(has_failed && error.action == ERROR_ACTION_RETRY);
			calls_left = -1;
			fold_check(model);
			calls_left = left;
		}
		buffer_deinit(&frame);
	}
}

static void fold_life_store(struct fold_model *model)
{
	while (fold_status(model).stored < fold_status(model).received) {
		struct replica_store_job *job = replica_store_begin(model->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(model->replica, job, rc, &error);
		CU_ASSERT_TRUE_FATAL(rc == 0 || (has_failed && error.action == ERROR_ACTION_RETRY));
	}
}

static void test_fold_faults(void)
{
	static const enum op_kind kinds[] = {
		OP_KIND_PUT,          OP_KIND_PUT,   OP_KIND_MERGE,         OP_KIND_MERGE_IF_EXISTS,
		OP_KIND_PUT,          OP_KIND_MERGE, OP_KIND_PUT_IF_EXISTS, OP_KIND_DELETE_BY_FILTER,
		OP_KIND_MERGE,        OP_KIND_PUT,   OP_KIND_PUT,           OP_KIND_DELETE_BY_FILTER,
		OP_KIND_DELETE_ALL,   OP_KIND_MERGE, OP_KIND_PUT,           OP_KIND_DELETE_BY_FILTER,
		OP_KIND_PUT_IF_EXISTS};
	long n = 0;

	do {
		struct fold_model model;

		CU_ASSERT_EQUAL_FATAL(system("rm -rf fold-77"), 0);
		calls_left = -1;
		fold_model_init(&model, 77, 40);
		for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++)
			(void)fold_append_kind(&model, kinds[i % (sizeof kinds / sizeof kinds[0])]);
		has_failed = false;
		calls_left = n++;
		fold_life_receive(&model, FOLD_BASE + 6);
		fold_life_store(&model);
		fold_life_receive(&model, FOLD_BASE + 11);
		fold_life_store(&model);
		fold_life_receive(&model, model.end);
		fold_life_store(&model);
		calls_left = -1;
		fold_check(&model);
		fold_reopen(&model);
		fold_check(&model);
		fold_model_deinit(&model);
	} while (has_failed);
	printf("%ld faults ", n - 1);
	CU_ASSERT_TRUE(n > 60);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the n-th call fails", test_fold_faults}, CU_TEST_INFO_NULL};

	return suite_run("replica fold faults", tests);
}
