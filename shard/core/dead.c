#include "shard/core/dead.h"

#include "shard/core/stored.h"

/* Of one block: a bitmap of 65,536 numbers and what frames it. */
#define BLOCK_BYTES_MAX (64U * 1024)

static int block_decode(struct slice key, struct slice value, struct postings *dead, struct error *error)
{
	uint64_t block;

	if (!stored_dead_block(key, &block))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a block of dead documents has a key that is no number");
	return postings_decode(dead, block, key, value, error);
}

static int blocks_read(struct kv_cursor *cursor, uint64_t from, uint64_t to, struct postings *dead,
                       struct error *error)
{
	struct stored_key first = stored_dead_key(from >> POSTINGS_BLOCK_BITS);
	struct stored_key last = stored_dead_key((to - 1) >> POSTINGS_BLOCK_BITS);
	struct slice key;
	struct slice value;
	int rc = kv_cursor_seek(cursor, stored_key_slice(&first), &key, &value, error);

	while (rc == 0 && slice_compare(key, stored_key_slice(&last)) <= 0) {
		if (block_decode(key, value, dead, error) != 0)
			return error->code;
		rc = kv_cursor_next(cursor, &key, &value, error);
	}
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int dead_read(struct kv_txn *txn, uint64_t from, uint64_t to, struct postings *dead, struct error *error)
{
	struct postings found;
	struct kv_cursor *cursor;
	int rc;

	if (from >= to)
		return 0;
	if (kv_cursor_open(txn, KV_TABLE_DEAD, &cursor, error) != 0)
		return error->code;
	postings_init(&found);
	rc = blocks_read(cursor, from, to, &found, error);
	kv_cursor_close(cursor);
	if (rc == 0) {
		postings_remove_range(&found, 0, from);
		postings_remove_range(&found, to, UINT64_MAX);
		postings_or(dead, &found);
	}
	postings_deinit(&found);
	return rc;
}

static int block_read(struct kv_txn *txn, uint64_t block, struct postings *set, struct error *error)
{
	struct stored_key key = stored_dead_key(block);
	struct slice value;

	if (kv_get(txn, KV_TABLE_DEAD, stored_key_slice(&key), &value, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	return postings_decode(set, block, stored_key_slice(&key), value, error);
}

/* The block as it is in the set; without a value where nothing is in it. */
static int block_write(struct kv_txn *txn, uint64_t block, const struct postings *set, struct error *error)
{
	struct stored_key key = stored_dead_key(block);
	struct buffer value;
	int rc;

	if (postings_count(set) == 0) {
		rc = kv_delete(txn, KV_TABLE_DEAD, stored_key_slice(&key), error);
		return rc == ERROR_NOT_FOUND ? 0 : rc;
	}
	buffer_init(&value, BLOCK_BYTES_MAX);
	(void)postings_encode(set, block, stored_key_slice(&key), &value); /* it has numbers */
	if (buffer_failed(&value))
		rc = error_memory(error, BLOCK_BYTES_MAX);
	else
		rc = kv_put(txn, KV_TABLE_DEAD, stored_key_slice(&key), buffer_slice(&value), error);
	buffer_deinit(&value);
	return rc;
}

static int contradiction(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a document that is dead on disk %s",
	                 what);
}

static int block_add(struct kv_txn *txn, uint64_t block, const struct postings *numbers, struct error *error)
{
	struct postings set;
	uint64_t before;
	int rc;

	postings_init(&set);
	rc = block_read(txn, block, &set, error);
	before = postings_count(&set);
	postings_or(&set, numbers);
	if (rc == 0 && postings_count(&set) != before + postings_count(numbers))
		rc = contradiction(error, "dies again");
	if (rc == 0)
		rc = block_write(txn, block, &set, error);
	postings_deinit(&set);
	return rc;
}

static int block_remove(struct kv_txn *txn, uint64_t block, const struct postings *numbers,
                        struct error *error)
{
	struct postings set;
	uint64_t before;
	int rc;

	postings_init(&set);
	rc = block_read(txn, block, &set, error);
	before = postings_count(&set);
	postings_and_not(&set, numbers);
	if (rc == 0 && before != postings_count(&set) + postings_count(numbers))
		rc = contradiction(error, "was not known to be");
	if (rc == 0)
		rc = block_write(txn, block, &set, error);
	postings_deinit(&set);
	return rc;
}

typedef int block_change(struct kv_txn *txn, uint64_t block, const struct postings *numbers,
                         struct error *error);

static int blocks_change(struct kv_txn *txn, const struct postings *numbers, block_change *change,
                         struct error *error)
{
	struct postings part;
	uint64_t block;
	int rc = 0;

	postings_init(&part);
	for (size_t i = 0; rc == 0 && postings_block_at(numbers, i, &block); i++) {
		postings_clear(&part);
		postings_or_block(&part, numbers, block);
		rc = change(txn, block, &part, error);
	}
	postings_deinit(&part);
	return rc;
}

int dead_add(struct kv_txn *txn, const struct postings *numbers, struct error *error)
{
	return blocks_change(txn, numbers, block_add, error);
}

int dead_remove(struct kv_txn *txn, const struct postings *numbers, struct error *error)
{
	return blocks_change(txn, numbers, block_remove, error);
}
