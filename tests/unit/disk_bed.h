/*
 * Disk bed: a store in the test's directory, with transactions that must
 * succeed, and chunks that are damaged on purpose.
 */
#ifndef MILLRACE_TESTS_UNIT_DISK_BED_H
#define MILLRACE_TESTS_UNIT_DISK_BED_H

#include "shard/kv.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

static inline struct kv *bed_open(const char *directory)
{
	struct error error;
	struct kv *kv = NULL;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	return kv;
}

static inline struct kv_txn *bed_begin(struct kv *kv, bool write)
{
	struct error error;
	struct kv_txn *txn = NULL;

	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, write, &txn, &error), 0);
	return txn;
}

static inline void bed_commit(struct kv_txn *txn)
{
	struct error error;

	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
}

/* The n-th chunk of all loses a bit in its byte `at` (cut to its length), or is deleted; false if there is none. */
static inline bool bed_damage(struct kv *kv, size_t n, size_t at, bool deleted)
{
	struct kv_txn *txn = bed_begin(kv, true);
	struct kv_cursor *cursor;
	struct slice found;
	struct slice value;
	struct error error;
	uint8_t key[KV_KEY_BYTES_MAX];
	size_t key_len;
	uint8_t *bytes;
	int rc;

	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, &error), 0);
	rc = kv_cursor_seek(cursor, slice_of("", 0), &found, &value, &error);
	while (rc == 0 && n-- > 0)
		rc = kv_cursor_next(cursor, &found, &value, &error);
	kv_cursor_close(cursor);
	if (rc != 0) {
		kv_abort(txn);
		return false;
	}
	key_len = found.len;
	memcpy(key, found.ptr, key_len);
	bytes = malloc(value.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	memcpy(bytes, value.ptr, value.len);
	bytes[at % value.len] ^= 0x10;
	if (deleted)
		rc = kv_delete(txn, KV_TABLE_CHUNKS, slice_of(key, key_len), &error);
	else
		rc = kv_put(txn, KV_TABLE_CHUNKS, slice_of(key, key_len), slice_of(bytes, value.len), &error);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	free(bytes);
	bed_commit(txn);
	return true;
}

#endif
