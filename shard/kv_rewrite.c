#include "shard/kv_rewrite.h"

#include <stdlib.h>

/* An entry that one of the two does not have. */
struct change {
	uint8_t key[KV_KEY_BYTES_MAX];
	size_t key_len;
	bool is_put;
	struct slice value; /* borrowed from the transaction of the store */
};

struct kv_rewrite {
	struct kv *kv;
	struct kv *beside;     /* NULL: not yet, or it has switched */
	struct change last;    /* its key was looked at last in this walk; empty: none yet */
	size_t walks;          /* that came to their end */
	uint64_t walk_keys;    /* of the store, that this one is still to look at */
	uint64_t walk_bytes;   /* that it has put */
	uint64_t walk_changes; /* and what it has changed */
	int64_t owed_ms;       /* of its thread's time */
	uint64_t given_back;
	size_t changes_len;
	struct change changes[REWRITE_CHANGES_MAX];
};

bool rewrite_is_due(struct kv *kv, uint64_t live_bytes)
{
	struct error error;
	uint64_t used;
	uint64_t map;
	uint64_t kept;

	kv_size(kv, &used, &map);
	if (kv_is_switching(kv) || used < REWRITE_FREE_BYTES_MIN || used / 5 < live_bytes / 2 ||
	    kv_live(kv, &kept, &error) != 0)
		return false;
	return used >= kept + REWRITE_FREE_BYTES_MIN && used - kept >= used / 3;
}

struct kv_rewrite *rewrite_new(struct kv *kv)
{
	struct kv_rewrite *rewrite = calloc(1, sizeof *rewrite);

	if (rewrite != NULL)
		rewrite->kv = kv;
	return rewrite;
}

void rewrite_free(struct kv_rewrite *rewrite)
{
	if (rewrite == NULL)
		return;
	kv_beside_close(rewrite->beside);
	free(rewrite);
}

void rewrite_spent(struct kv_rewrite *rewrite, int64_t others_ms, int64_t own_ms)
{
	rewrite->owed_ms += others_ms * (int64_t)rewrite->walks - own_ms;
	if (rewrite->owed_ms < 0)
		rewrite->owed_ms = 0;
}

bool rewrite_is_behind(const struct kv_rewrite *rewrite)
{
	return rewrite->owed_ms > 0 || rewrite->walks == REWRITE_WALKS_MAX;
}

uint64_t rewrite_given_back(const struct kv_rewrite *rewrite)
{
	return rewrite->given_back;
}

/* Both sides of a walk, each at its next entry. */
struct side {
	struct kv_cursor *cursor; /* NULL: not opened */
	struct slice key;
	struct slice value;
	bool is_over;
};

static int side_found(struct side *side, int rc)
{
	side->is_over = rc == ERROR_NOT_FOUND;
	return side->is_over ? 0 : rc;
}

/* Keys rise, or a walk might never end. */
static int side_check(const struct side *side, struct slice before, struct error *error)
{
	if (side->is_over || slice_compare(side->key, before) > 0)
		return 0;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "keys of a store do not rise");
}

static int side_next(struct side *side, struct error *error)
{
	struct slice before = side->key;
	int rc = side_found(side, kv_cursor_next(side->cursor, &side->key, &side->value, error));

	return rc == 0 ? side_check(side, before, error) : rc;
}

/* Behind the key; at the first entry if that is empty. */
static int side_open(struct side *side, struct kv_txn *txn, struct slice after, struct error *error)
{
	int rc;

	if (kv_cursor_open(txn, KV_TABLE_CHUNKS, &side->cursor, error) != 0)
		return error->code;
	rc = side_found(side, kv_cursor_seek(side->cursor, after, &side->key, &side->value, error));
	if (rc == 0 && !side->is_over && slice_equal(side->key, after))
		return side_next(side, error);
	return rc == 0 ? side_check(side, after, error) : rc;
}

static void key_note(struct change *change, struct slice key)
{
	memcpy(change->key, key.ptr, key.len);
	change->key_len = key.len;
}

static void change_add(struct kv_rewrite *rewrite, const struct side *side, bool is_put)
{
	struct change *change = &rewrite->changes[rewrite->changes_len++];

	key_note(change, side->key);
	change->is_put = is_put;
	change->value = side->value;
}

/* Which side stands at the lower key: below 0 the store's, above 0 the other's, 0 both. */
static int sides_compare(const struct side *from, const struct side *to)
{
	if (from->is_over || to->is_over)
		return from->is_over ? 1 : -1;
	return slice_compare(from->key, to->key);
}

/* As far as a slice goes; `*end` when nothing is left. `at` is where it ended. */
static int changes_find(struct kv_rewrite *rewrite, struct side *from, struct side *to, struct change *at,
                        bool *end, struct error *error)
{
	size_t bytes = 0;

	rewrite->changes_len = 0;
	for (size_t keys = 0; keys < REWRITE_KEYS_MAX && bytes < REWRITE_SLICE_BYTES &&
	                      rewrite->changes_len < REWRITE_CHANGES_MAX;
	     keys++) {
		int order;

		*end = (from->is_over && to->is_over) || rewrite->walk_keys == 0;
		if (*end)
			return 0;
		order = sides_compare(from, to);
		key_note(at, order <= 0 ? from->key : to->key);
		if (order != 0)
			change_add(rewrite, order < 0 ? from : to, order < 0);
		if (order < 0)
			bytes += from->value.len;
		if (order <= 0)
			rewrite->walk_keys--;
		if ((order <= 0 && side_next(from, error) != 0) || (order >= 0 && side_next(to, error) != 0))
			return error->code;
	}
	return 0;
}

static int changes_put(struct kv_rewrite *rewrite, struct kv_txn *txn, struct error *error)
{
	for (size_t i = 0; i < rewrite->changes_len; i++) {
		const struct change *change = &rewrite->changes[i];
		struct slice key = slice_of(change->key, change->key_len);
		int rc = change->is_put ? kv_put(txn, KV_TABLE_CHUNKS, key, change->value, error)
		                        : kv_delete(txn, KV_TABLE_CHUNKS, key, error);

		if (rc != 0)
			return rc;
		rewrite->walk_bytes += change->is_put ? change->value.len : 0;
	}
	rewrite->walk_changes += rewrite->changes_len;
	return 0;
}

/* Of one slice, in its two transactions. */
static int walk_step(struct kv_rewrite *rewrite, struct kv_txn *reading, struct kv_txn *writing, bool *end,
                     struct error *error)
{
	struct slice after = slice_of(rewrite->last.key, rewrite->last.key_len);
	struct side from = {.cursor = NULL};
	struct side to = {.cursor = NULL};
	struct change at = rewrite->last;
	int rc = side_open(&from, reading, after, error);

	if (rc == 0)
		rc = side_open(&to, writing, after, error);
	if (rc == 0)
		rc = changes_find(rewrite, &from, &to, &at, end, error);
	kv_cursor_close(from.cursor);
	kv_cursor_close(to.cursor);
	rewrite->last = at;
	return rc == 0 ? changes_put(rewrite, writing, error) : rc;
}

static int walk_on(struct kv_rewrite *rewrite, struct kv_txn *reading, bool *end, struct error *error)
{
	struct kv_txn *writing;

	if (kv_begin(rewrite->beside, true, &writing, error) != 0)
		return error->code;
	if (walk_step(rewrite, reading, writing, end, error) != 0) {
		kv_abort(writing);
		return error->code;
	}
	if (rewrite->changes_len > 0)
		return kv_commit(writing, error);
	kv_abort(writing);
	return 0;
}

/* Another walk follows, or the last one if this has found little. */
static void walk_end(struct kv_rewrite *rewrite)
{
	bool is_little =
		rewrite->walk_bytes <= REWRITE_SLICE_BYTES && rewrite->walk_changes <= REWRITE_CHANGES_MAX;

	rewrite->walks = is_little ? REWRITE_WALKS_MAX : rewrite->walks + 1;
	rewrite->walk_bytes = 0;
	rewrite->walk_changes = 0;
	rewrite->last.key_len = 0;
}

/* A small table, of which nothing is there yet. */
static int table_copy(struct kv_rewrite *rewrite, struct kv_txn *reading, enum kv_table table,
                      struct error *error)
{
	struct kv_txn *writing = NULL;
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	size_t bytes = 0;
	int rc;

	if (kv_cursor_open(reading, table, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, slice_of("", 0), &key, &value, error);
	while (rc == 0) {
		if (writing == NULL && (rc = kv_begin(rewrite->beside, true, &writing, error)) != 0)
			break;
		rc = kv_put(writing, table, key, value, error);
		bytes += key.len + value.len;
		if (rc == 0 && bytes >= REWRITE_SLICE_BYTES) {
			rc = kv_commit(writing, error);
			writing = NULL;
			bytes = 0;
		}
		if (rc == 0)
			rc = kv_cursor_next(cursor, &key, &value, error);
	}
	kv_cursor_close(cursor);
	if (rc == ERROR_NOT_FOUND)
		return writing == NULL ? 0 : kv_commit(writing, error);
	kv_abort(writing);
	return rc;
}

/* All that is not there yet; nobody writes meanwhile. */
static int rest_copy(struct kv_rewrite *rewrite, struct kv_txn *reading, struct error *error)
{
	bool end = false;

	rewrite->last.key_len = 0;
	rewrite->walk_keys = UINT64_MAX;
	while (!end)
		if (walk_on(rewrite, reading, &end, error) != 0)
			return error->code;
	if (table_copy(rewrite, reading, KV_TABLE_STATE, error) != 0)
		return error->code;
	return table_copy(rewrite, reading, KV_TABLE_DEAD, error);
}

static int last_slice(struct kv_rewrite *rewrite, struct error *error)
{
	struct kv_txn *reading;
	uint64_t before;
	uint64_t after;
	uint64_t map;
	int rc;

	if (kv_begin(rewrite->kv, false, &reading, error) != 0)
		return error->code;
	rc = rest_copy(rewrite, reading, error);
	kv_abort(reading);
	kv_size(rewrite->kv, &before, &map);
	if (rc != 0 || kv_switch(rewrite->kv, rewrite->beside, error) != 0)
		return error->code;
	rewrite->beside = NULL;
	kv_size(rewrite->kv, &after, &map);
	rewrite->given_back = before > after ? before - after : 0;
	return 0;
}

static int walk_slice(struct kv_rewrite *rewrite, struct error *error)
{
	struct kv_txn *reading;
	bool end = false;
	int rc = 0;

	if (kv_begin(rewrite->kv, false, &reading, error) != 0)
		return error->code;
	if (rewrite->last.key_len == 0)
		rc = kv_count(reading, KV_TABLE_CHUNKS, &rewrite->walk_keys, error);
	if (rc == 0)
		rc = walk_on(rewrite, reading, &end, error);
	kv_abort(reading);
	if (rc == 0 && end)
		walk_end(rewrite);
	return rc;
}

/* As large a map as the store's, whose live entries are less than that. */
static int beside_reserve(const struct kv_rewrite *rewrite, struct error *error)
{
	uint64_t used;
	uint64_t wanted;
	uint64_t map = 0;

	kv_size(rewrite->kv, &used, &wanted);
	for (;;) {
		kv_size(rewrite->beside, &used, &map);
		if (map >= wanted)
			return 0;
		if (kv_grow(rewrite->beside, error) != 0)
			return error->code;
	}
}

static int turn(struct kv_rewrite *rewrite, struct error *error)
{
	if (rewrite->beside == NULL && kv_beside_open(rewrite->kv, &rewrite->beside, error) != 0)
		return error->code;
	if (beside_reserve(rewrite, error) != 0)
		return error->code;
	return rewrite->walks < REWRITE_WALKS_MAX ? walk_slice(rewrite, error) : last_slice(rewrite, error);
}

int rewrite_run(struct kv_rewrite *rewrite, bool *more, struct error *error)
{
	if (turn(rewrite, error) != 0)
		return error->code;
	*more = rewrite->beside != NULL;
	return 0;
}
