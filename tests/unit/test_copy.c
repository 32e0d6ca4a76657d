/*
 * Copies: a replica's disk in another store is the replica, whatever the
 * source does meanwhile, and nobody else's.
 */
#include "tests/unit/copy_bed.h"

/* The chunks of a page, as their values' bytes. */
static uint64_t chunk_bytes(const struct copy_source *source, struct slice after)
{
	struct reader reader;
	struct buffer page;
	struct slice key;
	struct slice value;
	struct error error;
	uint64_t bytes = 0;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(copy_source_page(source, after, 0, &page, &error), 0);
	reader = reader_of(buffer_slice(&page));
	while (copy_page_next(&reader, &key, &value, &error) > 0)
		bytes += value.len;
	buffer_deinit(&page);
	return bytes;
}

/* What a head tells who takes the pages only to keep them. */
static uint64_t told_bytes(const struct buffer *head)
{
	struct copy_head read;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(copy_head_read(buffer_slice(head), &read, &error), 0);
	return manifest_bytes(&read.manifest);
}

static struct incarnation looked_at(struct kv *kv)
{
	struct incarnation incarnation = {{1, 1}};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(copy_look(kv, &incarnation, &error), 0);
	return incarnation;
}

static void test_copy(void)
{
	struct model *model = source_new();
	struct replica_status then = status_of(model);
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct error error;
	uint64_t bytes = 0;
	int pages = 0;

	CU_ASSERT_TRUE(incarnation_is_none(looked_at(kv)));
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error), 0);
	for (; !copy_target_is_whole(target); pages++) {
		bytes += chunk_bytes(source, copy_target_after(target));
		CU_ASSERT_TRUE(incarnation_is_none(looked_at(kv)));
		CU_ASSERT_EQUAL_FATAL(page_turn(target, source, &error), 0);
	}
	CU_ASSERT_TRUE(pages > STORES);
	CU_ASSERT_EQUAL(bytes, told_bytes(&head));
	CU_ASSERT_TRUE(incarnation_is_none(looked_at(kv)));
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	copy_target_free(target);
	CU_ASSERT_TRUE(incarnation_equal(looked_at(kv), target_incarnation));
	CU_ASSERT_EQUAL(target_open(kv, model, buffer_slice(&head), &target, &error), ERROR_STATE);
	kv_close(kv);
	copy_source_release(source);
	check_copy(model, &then);
	buffer_deinit(&head);
	model_free(model);
}

/* Pages of which some are left out are those that come one after the other. */
static void test_pages_left_out(void)
{
	struct model *model = source_new();
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct buffer page;
	struct buffer far;
	struct slice after[COPY_SKIP_MAX + 1] = {{0}}; /* of the pages before this one, the youngest first */
	uint8_t keys[COPY_SKIP_MAX + 1][KV_KEY_BYTES_MAX];
	struct error error;
	unsigned pages = 0;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	buffer_init(&far, COPY_PAGE_BYTES_MAX);
	for (;; pages++) {
		struct reader reader;
		struct slice key = slice_of("", 0);
		struct slice value;

		buffer_clear(&page);
		CU_ASSERT_EQUAL_FATAL(copy_source_page(source, after[0], 0, &page, &error), 0);
		for (unsigned skip = 1; skip <= COPY_SKIP_MAX && skip <= pages; skip++) {
			buffer_clear(&far);
			CU_ASSERT_EQUAL_FATAL(copy_source_page(source, after[skip], skip, &far, &error), 0);
			CU_ASSERT_TRUE(slice_equal(buffer_slice(&far), buffer_slice(&page)));
		}
		if (page.len == 0)
			break;
		reader = reader_of(buffer_slice(&page));
		while (copy_page_next(&reader, &key, &value, &error) > 0)
			continue;
		for (unsigned i = COPY_SKIP_MAX; i > 0; i--) {
			if (after[i - 1].len > 0)
				memcpy(keys[i], after[i - 1].ptr, after[i - 1].len);
			after[i] = slice_of(keys[i], after[i - 1].len);
		}
		memcpy(keys[0], key.ptr, key.len);
		after[0] = slice_of(keys[0], key.len);
	}
	CU_ASSERT_TRUE(pages > STORES);
	buffer_deinit(&far);
	buffer_deinit(&page);
	copy_source_release(source);
	buffer_deinit(&head);
	model_free(model);
}

/* A replica without documents, and what it may become. */
static void test_copy_of_nothing(void)
{
	struct model *model;
	struct replica_status then;
	struct buffer head;
	struct copy_source *source;
	struct copy_target *target;
	struct buffer page;
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(system("rm -rf " SOURCE " " TARGET), 0);
	model = model_new(SOURCE);
	then = status_of(model);
	source = copy_of(model, &head);
	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	CU_ASSERT_EQUAL(copy_source_page(source, slice_of("", 0), 0, &page, &error), 0);
	CU_ASSERT_EQUAL(page.len, 0);
	kv = target_kv();
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error), 0);
	CU_ASSERT_TRUE_FATAL(copy_target_is_whole(target));
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	copy_target_free(target);
	kv_close(kv);
	copy_source_release(source);
	check_copy(model, &then);
	buffer_deinit(&head);
	buffer_deinit(&page);
	model_free(model);
}

/* Between two pages the source stores, merges and removes. What it lists at the end has nothing of the copy. */
static void test_source_goes_on(void)
{
	struct model *model = source_new();
	struct replica_status then = status_of(model);
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct error error;
	uint64_t first;
	uint64_t last;

	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error), 0);
	CU_ASSERT_EQUAL_FATAL(page_turn(target, source, &error), 0);
	grow(model, BASE + 400, 20);
	compact(model);
	grow(model, BASE + 700, 20);
	compact(model);
	CU_ASSERT_TRUE(status_of(model).disk_leaving > 0);
	while (!copy_target_is_whole(target))
		CU_ASSERT_EQUAL_FATAL(page_turn(target, source, &error), 0);
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	first = source->units[0].id;
	last = source->units[source->units_len - 1].id;
	copy_target_free(target);
	kv_close(kv);
	CU_ASSERT_TRUE(replica_is_read(model->replica, first) && replica_is_read(model->replica, last));
	copy_source_release(source);
	CU_ASSERT_FALSE(replica_is_read(model->replica, first) || replica_is_read(model->replica, last));
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).disk_leaving, 0);
	check_copy(model, &then);
	buffer_deinit(&head);
	model_free(model);
}

/* Before the head is read everything is pinned, whatever it will list. */
static void test_head_comes_late(void)
{
	struct model *model = source_new();
	struct replica_status then;
	struct copy_source *source;
	struct copy_target *target;
	struct buffer head;
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(replica_copy(model->replica, &source, &error), 0);
	grow(model, BASE + 300, 20);
	compact(model);
	CU_ASSERT_TRUE(status_of(model).disk_leaving > 0);
	then = status_of(model);
	buffer_init(&head, COPY_HEAD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(copy_source_head(source, &head, &error), 0);
	grow(model, BASE + 600, 20);
	compact(model);
	kv = target_kv();
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&head), &target, &error), 0);
	while (!copy_target_is_whole(target))
		CU_ASSERT_EQUAL_FATAL(page_turn(target, source, &error), 0);
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	target_kill(&target, &kv);
	copy_source_release(source);
	check_copy(model, &then);
	buffer_deinit(&head);
	model_free(model);
}

/* Whose copy it is, is part of it. */
static void test_anothers(void)
{
	static const struct {
		const char *what;
		int expected;
	} rows[] = {{"cluster", ERROR_STATE},
	            {"index", ERROR_STATE},
	            {"generation", ERROR_STATE},
	            {"partition", ERROR_STATE},
	            {"rules", ERROR_VERSION}};
	struct model *model = source_new();
	struct buffer head;
	struct copy_source *source = copy_of(model, &head);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct error error;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct replica_identity identity = target_identity(model);

		identity.cluster_id[0] = (char)(identity.cluster_id[0] + (i == 0));
		identity.index_id += i == 1;
		identity.generation += i == 2;
		identity.partition += i == 3;
		identity.rules_digest += i == 4;
		CU_ASSERT_EQUAL(copy_target_open(kv, &identity, buffer_slice(&head), &target, &error),
		                rows[i].expected);
	}
	CU_ASSERT_EQUAL(target_open(kv, model, slice_of("", 0), &target, &error), ERROR_NOT_FOUND);
	kv_close(kv);
	copy_source_release(source);
	buffer_deinit(&head);
	model_free(model);
}

/* A head that came before any chunk gives way to another one; chunks do not. */
static void test_another_head(void)
{
	struct model *model = source_new();
	struct buffer first;
	struct buffer second;
	struct copy_source *source = copy_of(model, &first);
	struct kv *kv = target_kv();
	struct copy_target *target;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&first), &target, &error), 0);
	copy_target_free(target);
	copy_source_release(source);
	grow(model, BASE + 120, 20);
	source = copy_of(model, &second);
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&second), &target, &error), 0);
	CU_ASSERT_EQUAL(target->units_len, 2 * (STORES + 1));
	CU_ASSERT_EQUAL_FATAL(page_turn(target, source, &error), 0);
	copy_target_free(target);
	CU_ASSERT_EQUAL(target_open(kv, model, buffer_slice(&first), &target, &error), ERROR_STATE);
	CU_ASSERT_EQUAL_FATAL(target_open(kv, model, buffer_slice(&second), &target, &error), 0);
	CU_ASSERT_TRUE(copy_target_after(target).len > 0);
	copy_target_free(target);
	kv_close(kv);
	copy_source_release(source);
	buffer_deinit(&first);
	buffer_deinit(&second);
	model_free(model);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"copy", test_copy},
		{"pages left out", test_pages_left_out},
		{"copy of nothing", test_copy_of_nothing},
		{"source goes on", test_source_goes_on},
		{"head comes late", test_head_comes_late},
		{"another's", test_anothers},
		{"another head", test_another_head},
		CU_TEST_INFO_NULL,
	};

	return suite_run("copy", tests);
}
