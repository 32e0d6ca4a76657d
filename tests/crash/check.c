#include "tests/crash/check.h"

#include "shared/record/marks.h"
#include "tests/crash/workload.h"

#define FED_ON 12 /* records, after an image is found good */

/* The identities of the last window, each at its offset. */
static void check_marks(struct fold_model *model)
{
	int64_t received = fold_status(model).received;
	struct identity_entry entry;
	struct marks_page page;
	struct buffer bytes;
	struct error error;
	size_t at = 0;
	int64_t offset = FOLD_BASE;

	buffer_init(&bytes, MARKS_PAGE_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(replica_marks(model->replica, 0, &bytes, &error), 0);
	CU_ASSERT_EQUAL_FATAL(marks_open(&page, buffer_slice(&bytes), &error), 0);
	for (; marks_page_identity(&page, &at, &entry); offset++) {
		CU_ASSERT_EQUAL_FATAL(entry.offset, offset);
		CU_ASSERT_EQUAL_FATAL(entry.identity.key.low, (uint64_t)offset);
	}
	CU_ASSERT_EQUAL_FATAL(offset, received);
	buffer_deinit(&bytes);
}

void check_contents(struct fold_model *model)
{
	struct error error;
	int rc;

	fold_check(model);
	check_marks(model);
	rc = reads_verify(model->replica, &error);
	if (rc != 0)
		fprintf(stderr, "%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

void check_image(struct fold_model *model, int64_t low, int64_t high)
{
	struct error error;
	int64_t stored;

	fold_reopen(model);
	stored = fold_status(model).stored;
	if (stored < low || stored > high)
		fprintf(stderr, "stored up to %lld, must be in [%lld, %lld]\n", (long long)stored,
		        (long long)low, (long long)high);
	CU_ASSERT_TRUE_FATAL(stored >= low && stored <= high);
	check_contents(model);
	if (stored < model->end) {
		fold_receive_all(model, stored + FED_ON < model->end ? stored + FED_ON : model->end);
		while (fold_status(model).stored < fold_status(model).received)
			CU_ASSERT_EQUAL_FATAL(workload_store(model, &error), 0);
		stored = fold_status(model).stored;
		fold_reopen(model);
		CU_ASSERT_EQUAL_FATAL(fold_status(model).stored, stored);
		check_contents(model);
	}
	replica_close(model->replica);
	model->replica = NULL;
}
