/*
 * Faults of copies: wherever the copying was interrupted it goes on and ends
 * in the same replica; no byte that was lost, changed or moved on the way gets
 * in.
 */
#include "tests/unit/kv_faults.h"

#include "tests/unit/copy_bed.h"

/* Without its last transaction it is no replica. */
static void check_no_replica(const struct model *model)
{
	struct replica_identity identity = target_identity(model);
	struct replica *replica;
	struct error error;
	struct kv *kv;

	if (access(TARGET, F_OK) != 0)
		return;
	kv = target_kv();
	if (replica_open(kv, &identity, 9, &replica, &error) != 0) {
		CU_ASSERT_EQUAL_FATAL(error.code, ERROR_DAMAGED);
		kv_close(kv);
		return;
	}
	/* nothing had been begun: an empty one was made, which no copy may touch */
	replica_close(replica);
	CU_ASSERT_EQUAL_FATAL(system("rm -rf " TARGET), 0);
}

/* Goes on until it is a replica; what fails is begun again on the store as it is. */
static void copy_through(const struct model *model, const struct copy_source *source, struct slice head)
{
	struct copy_target *target = NULL;
	struct kv *kv = NULL;
	bool is_replica = false;

	while (!is_replica) {
		struct error error = {fault_code, ERROR_ACTION_RETRY, ""};
		int rc = kv == NULL ? kv_open(TARGET, &kv, &error) : 0;

		if (rc == 0 && target == NULL) {
			rc = target_open(kv, model, slice_of("", 0), &target, &error);
			if (rc == ERROR_NOT_FOUND)
				rc = target_open(kv, model, head, &target, &error);
		} else if (rc == 0 && !copy_target_is_whole(target)) {
			rc = page_turn(target, source, &error);
		} else if (rc == 0) {
			rc = copy_target_finish(target, &error);
			is_replica = rc == 0;
		}
		if (rc == 0)
			continue;
		CU_ASSERT_TRUE_FATAL(has_failed);
		CU_ASSERT_EQUAL_FATAL(rc, fault_code);
		if (kv != NULL)
			target_kill(&target, &kv);
		check_no_replica(model);
	}
	target_kill(&target, &kv);
}

static void sweep(void)
{
	struct model *model = source_new();
	struct replica_status then = status_of(model);
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	long n = 0;

	do {
		CU_ASSERT_EQUAL_FATAL(system("rm -rf " TARGET), 0);
		has_failed = false;
		calls_left = n++;
		copy_through(model, source, buffer_slice(&head));
		calls_left = -1;
		if (n % 16 == 1 || !has_failed)
			check_copy(model, &then);
	} while (has_failed);
	printf("%ld faults ", n - 1);
	CU_ASSERT_TRUE(n > 100);
	copy_source_release(source);
	buffer_deinit(&head);
	model_free(model);
}

static void test_faults(void)
{
	sweep();
}

/* What does not fit into the map is written when that has grown. */
static void test_full_map(void)
{
	fault_code = ERROR_LIMIT;
	sweep();
	fault_code = ERROR_STORAGE;
}

/* The source's n-th call fails: the copy is taken again, and nothing is pinned by the one before. */
static void test_source_faults(void)
{
	struct model *model = source_new();
	struct buffer whole;
	struct copy_source *source = copy_of(model, &whole);
	struct buffer head;
	long n = 0;

	copy_source_release(source);
	buffer_init(&head, COPY_HEAD_BYTES_MAX);
	do {
		struct error error;
		int rc;

		buffer_clear(&head);
		has_failed = false;
		calls_left = n++;
		rc = replica_copy(model->replica, &source, &error);
		if (rc == 0) {
			rc = copy_source_head(source, &head, &error);
			copy_source_release(source);
		}
		calls_left = -1;
		CU_ASSERT_EQUAL_FATAL(rc, has_failed ? fault_code : 0);
		CU_ASSERT_EQUAL_FATAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	} while (has_failed);
	CU_ASSERT_TRUE(n > 10);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&head), buffer_slice(&whole)));
	buffer_deinit(&head);
	buffer_deinit(&whole);
	model_free(model);
}

/* A changed page changes nothing and says so; the right one is taken afterwards. */
static void refused(struct copy_target *target, struct slice page)
{
	struct slice after = copy_target_after(target);
	struct stored_key before = target->place.last;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(copy_target_page(target, page, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_REJECT);
	CU_ASSERT_TRUE_FATAL(slice_equal(after, stored_key_slice(&before)));
}

/* Entries of a page, but for one; the one may be put somewhere else. */
static void page_without(struct slice page, size_t left_out, bool at_the_end, struct buffer *changed)
{
	struct reader reader = reader_of(page);
	struct slice kept_key = slice_of("", 0);
	struct slice kept_value = slice_of("", 0);
	struct slice key;
	struct slice value;
	struct error error;

	buffer_clear(changed);
	for (size_t i = 0; copy_page_next(&reader, &key, &value, &error) > 0; i++) {
		if (i != left_out) {
			copy_page_add(changed, key, value);
			continue;
		}
		kept_key = key;
		kept_value = value;
	}
	if (at_the_end)
		copy_page_add(changed, kept_key, kept_value);
}

static size_t page_entries(struct slice page)
{
	struct reader reader = reader_of(page);
	struct slice key;
	struct slice value;
	struct error error;
	size_t len = 0;

	while (copy_page_next(&reader, &key, &value, &error) > 0)
		len++;
	return len;
}

static void page_abuse(struct copy_target *target, struct buffer *page)
{
	size_t entries = page_entries(buffer_slice(page));
	struct buffer changed;

	buffer_init(&changed, COPY_PAGE_BYTES_MAX);
	refused(target, slice_of("", 0));
	for (size_t i = 0; i < page->len; i += 7) {
		page->ptr[i] ^= 4;
		refused(target, buffer_slice(page));
		page->ptr[i] ^= 4;
	}
	refused(target, slice_of(page->ptr, page->len - 1));
	for (size_t i = 0; i + 1 < entries; i++) {
		page_without(buffer_slice(page), i, false, &changed);
		refused(target, buffer_slice(&changed));
		page_without(buffer_slice(page), i, true, &changed);
		refused(target, buffer_slice(&changed));
	}
	buffer_deinit(&changed);
}

static void test_damaged_pages(void)
{
	struct model *model = source_new();
	struct replica_status then = status_of(model);
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct buffer page;
	struct error error;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error), 0);
	while (!copy_target_is_whole(target)) {
		buffer_clear(&page);
		CU_ASSERT_EQUAL_FATAL(copy_source_page(source, copy_target_after(target), 0, &page, &error),
		                      0);
		page_abuse(target, &page);
		CU_ASSERT_EQUAL_FATAL(copy_target_page(target, buffer_slice(&page), &error), 0);
		refused(target, buffer_slice(&page)); /* it came already */
	}
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	copy_target_free(target);
	kv_close(kv);
	copy_source_release(source);
	check_copy(model, &then);
	buffer_deinit(&page);
	buffer_deinit(&head);
	model_free(model);
}

static void test_damaged_heads(void)
{
	struct model *model = source_new();
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct error error;
	uint64_t count;
	struct kv_txn *txn;

	for (size_t i = 4; i < head.len; i++) {
		head.ptr[i] ^= 1;
		CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error),
		                      ERROR_DAMAGED);
		CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_REJECT);
		head.ptr[i] ^= 1;
	}
	head.ptr[0] ^= 1;
	CU_ASSERT_EQUAL(target_open(kv, model, buffer_slice(&head), &target, &error), ERROR_VERSION);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	CU_ASSERT_EQUAL(kv_count(txn, KV_TABLE_STATE, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 0);
	kv_abort(txn);
	kv_close(kv);
	copy_source_release(source);
	buffer_deinit(&head);
	model_free(model);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"faults", test_faults},
		{"full map", test_full_map},
		{"source faults", test_source_faults},
		{"damaged pages", test_damaged_pages},
		{"damaged heads", test_damaged_heads},
		CU_TEST_INFO_NULL,
	};

	return suite_run("copy faults", tests);
}
