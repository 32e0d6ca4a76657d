/*
 * Fuzz: the head of a copy, with a digest that matches, so that the entries
 * behind it are met; and the same bytes as a page.
 */
#include "shard/core/copy_head.h"
#include "tests/fuzz/seeds.h"

#define HEAD_BYTES 20

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Entries written again are the head. */
static void head_check(const struct copy_head *head, struct slice bytes)
{
	struct reader reader = reader_of(head->entries);
	struct copy_entry entry;
	struct buffer again;

	buffer_init(&again, SIZE_MAX);
	copy_head_begin(&again);
	while (copy_head_next(&reader, &entry))
		copy_head_add(&again, &entry);
	copy_head_end(&again);
	ASSERT(slice_equal(buffer_slice(&again), bytes));
	ASSERT(head->manifest.segments_len <= MANIFEST_SEGMENTS_MAX && head->state.len > 0);
	buffer_deinit(&again);
}

static void page_check(struct slice bytes)
{
	struct reader reader = reader_of(bytes);
	struct buffer again;
	struct slice key;
	struct slice value;
	struct error error;
	int rc;

	buffer_init(&again, SIZE_MAX);
	while ((rc = copy_page_next(&reader, &key, &value, &error)) > 0)
		copy_page_add(&again, key, value);
	ASSERT(rc == 0 ? slice_equal(buffer_slice(&again), bytes) : error.code == ERROR_DAMAGED);
	buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct copy_head head;
	struct buffer framed;
	struct error error;

	page_check(slice_of(bytes, len));
	buffer_init(&framed, SIZE_MAX);
	buffer_append(&framed, bytes, len);
	if (len >= HEAD_BYTES) {
		copy_head_end(&framed);
		if (copy_head_read(buffer_slice(&framed), &head, &error) == 0)
			head_check(&head, buffer_slice(&framed));
		else
			ASSERT(error.code == ERROR_DAMAGED || error.code == ERROR_VERSION);
	}
	buffer_deinit(&framed);
	return 0;
}

static void entry_add(struct buffer *head, struct stored_key key, struct buffer *value)
{
	struct copy_entry entry = {KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(value)};

	copy_head_add(head, &entry);
	buffer_clear(value);
}

/* Of a replica without documents, and with an empty manifest. */
static void seeds_make(void)
{
	struct replica_identity identity = {.cluster_id = "kafka", .index_id = 7, .generation = 1};
	struct mark mark = {.received = 9, .anchor = {.offset = 8}, .number_next = 1, .identity_last = -1};
	static struct manifest manifest;
	struct buffer head;
	struct buffer value;

	buffer_init(&head, SIZE_MAX);
	buffer_init(&value, SIZE_MAX);
	manifest_init(&manifest);
	for (int with = 0; with < 2; with++) {
		buffer_clear(&head);
		copy_head_begin(&head);
		if (with) {
			manifest_encode(&manifest, &value);
			entry_add(&head, stored_manifest_key(), &value);
		}
		stored_state_encode(&value, &identity, &mark);
		entry_add(&head, stored_state_key(), &value);
		copy_head_end(&head);
		seed_write(buffer_slice(&head));
	}
	buffer_deinit(&head);
	buffer_deinit(&value);
}
