/*
 * Memory: the n-th allocation of a range on its way into a replica fails, for
 * n = 1, 2, 3, … until the range is received. Each time nothing has changed.
 */
#include "tests/unit/fold_model.h"

/* Before that many allocations the next one fails; -1: none does. */
static long allocations_left = -1;

static bool fails(void)
{
	if (allocations_left < 0)
		return false;
	return allocations_left-- == 0;
}

static void *failing_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

static void *failing_calloc(size_t count, size_t size)
{
	return fails() ? NULL : calloc(count, size);
}

static void *failing_realloc(void *ptr, size_t size)
{
	return fails() ? NULL : realloc(ptr, size);
}

/* The real modules, with allocations that fail. */
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#include "shard/core/dictionary.c"
#include "shard/core/notes.c"
#include "shard/core/replica_barrier.c"
#include "shard/core/replica_fold.c"
#include "shard/core/replica_receive.c"
#include "shard/core/segment.c"
#include "shared/base/arena.c"
#include "shared/base/map.c"
#include "shared/record/record_merge.c"
#undef malloc
#undef calloc
#undef realloc

static size_t failures;

/* The next range, at the first number of allocations that suffices. */
static void receive(struct fold_model *model)
{
	int64_t received = fold_status(model).received;
	struct range_answer answer;
	struct buffer frame;
	struct range range;
	struct error error;
	int rc = -1;

	fold_range(model, received, model->end, &frame, &range);
	for (long n = 0; rc != 0; n++) {
		allocations_left = n;
		rc = replica_receive(model->replica, &range, &answer, &error);
		allocations_left = -1;
		if (rc == 0)
			break;
		failures++;
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_MEMORY);
		CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_EQUAL_FATAL(fold_status(model).received, received);
		CU_ASSERT_EQUAL_FATAL(fold_status(model).has_identities, received > FOLD_BASE);
		fold_check(model);
	}
	CU_ASSERT_EQUAL_FATAL(answer.received, range.to);
	CU_ASSERT_TRUE_FATAL(fold_status(model).has_identities);
	fold_check(model);
	buffer_deinit(&frame);
}

static void test_memory(void)
{
	struct fold_model model;

	fold_model_init(&model, 5, 400);
	model.noting = true;
	for (int round = 0; round < 12; round++) {
		for (int i = 0; i < 30; i++)
			fold_append(&model);
		while (fold_status(&model).received < model.end)
			receive(&model);
		if (round % 3 != 1)
			continue;
		fold_store(&model);
		/* only what the disk lists still */
		CU_ASSERT_EQUAL(postings_count(&model.replica->deleted), fold_status(&model).disk_dead);
		CU_ASSERT_EQUAL(model.replica->overlay.count, 0);
	}
	CU_ASSERT_TRUE(failures > 300);
	printf("%zu failures ", failures);
	fold_model_deinit(&model);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the n-th allocation fails", test_memory}, CU_TEST_INFO_NULL};

	return suite_run("replica memory", tests);
}
