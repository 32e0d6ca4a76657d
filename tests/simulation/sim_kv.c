#include "tests/simulation/sim_kv.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#define TXN_BLOCK_BYTES 512

struct sim_entry {
	struct slice key;
	struct slice value;
};

/* Immutable once a commit or a copy shares it (refs > 1). */
struct sim_table {
	size_t refs;
	size_t len;
	size_t size;
	struct sim_entry *entries;
};

struct kv {
	struct sim_disk *disk;
};

struct kv_txn {
	struct sim_disk *disk;
	struct sim_table *tables[KV_TABLES];
	struct arena lent; /* values handed out */
	bool write;
	bool wrote;
};

struct kv_cursor {
	struct kv_txn *txn;
	enum kv_table table;
	struct slice key; /* of the last entry, in the disk's arena */
	bool placed;
};

static struct sim_table *table_new(size_t size)
{
	struct sim_table *table = malloc(sizeof *table);

	ASSERT(table != NULL);
	*table = (struct sim_table){.refs = 1, .size = size};
	table->entries = malloc((size + 1) * sizeof *table->entries);
	ASSERT(table->entries != NULL);
	return table;
}

static void table_unref(struct sim_table *table)
{
	if (--table->refs > 0)
		return;
	free(table->entries);
	free(table);
}

static struct sim_table *table_ref(struct sim_table *table)
{
	table->refs++;
	return table;
}

/* The place of the first entry with a key >= `key`. */
static size_t table_find(const struct sim_table *table, struct slice key, bool *found)
{
	size_t low = 0;
	size_t high = table->len;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(table->entries[middle].key, key);

		if (order == 0)
			*found = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void sim_disk_init(struct sim_disk *disk, struct arena *arena)
{
	*disk = (struct sim_disk){.arena = arena};
	for (int i = 0; i < KV_TABLES; i++)
		disk->tables[i] = table_new(0);
}

void sim_disk_deinit(struct sim_disk *disk)
{
	for (int i = 0; i < KV_TABLES; i++)
		if (disk->tables[i] != NULL)
			table_unref(disk->tables[i]);
	*disk = (struct sim_disk){0};
}

void sim_disk_copy(struct sim_disk *copy, const struct sim_disk *disk)
{
	*copy = (struct sim_disk){.arena = disk->arena, .commits = disk->commits};
	for (int i = 0; i < KV_TABLES; i++)
		copy->tables[i] = table_ref(disk->tables[i]);
}

void sim_disk_wipe(struct sim_disk *disk)
{
	struct arena *arena = disk->arena;

	ASSERT(disk->transactions == 0);
	sim_disk_deinit(disk);
	sim_disk_init(disk, arena);
}

bool sim_disk_is_empty(const struct sim_disk *disk)
{
	for (int i = 0; i < KV_TABLES; i++)
		if (disk->tables[i]->len > 0)
			return false;
	return true;
}

void sim_disk_arm(struct sim_disk *disk, enum sim_disk_fault fault, uint32_t fault_in)
{
	disk->fault = fault;
	disk->fault_in = fault_in;
	disk->fault_hit = false;
}

void sim_disk_revive(struct sim_disk *disk)
{
	disk->fault = SIM_DISK_FAULT_NONE;
	disk->full = false;
	disk->dead = false;
	disk->transactions = 0;
}

struct kv *sim_kv_open(struct sim_disk *disk)
{
	struct kv *kv = malloc(sizeof *kv);

	ASSERT(kv != NULL);
	kv->disk = disk;
	return kv;
}

/* Counts one call; 0 if it may go on. */
static int call(struct sim_disk *disk, struct error *error)
{
	if (disk->dead)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the process is dead");
	if (disk->fault == SIM_DISK_FAULT_NONE || disk->fault_in-- > 0)
		return 0;
	disk->fault_hit = true;
	if (disk->fault == SIM_DISK_FAULT_FULL)
		disk->full = true;
	else if (disk->fault != SIM_DISK_FAULT_ERROR)
		disk->dead = true;
	if (disk->fault != SIM_DISK_FAULT_DIE_DURABLE)
		disk->fault = SIM_DISK_FAULT_NONE;
	if (disk->full)
		return 0;
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the store fails here");
}

static int full(const struct sim_disk *disk, struct error *error)
{
	if (!disk->full)
		return 0;
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "the map is full");
}

void kv_close(struct kv *kv)
{
	free(kv);
}

int kv_grow(struct kv *kv, struct error *error)
{
	ASSERT(kv->disk->transactions == 0);
	if (kv->disk->dead)
		return call(kv->disk, error);
	kv->disk->full = false;
	kv->disk->grown++;
	return 0;
}

int kv_begin(struct kv *kv, bool write, struct kv_txn **txn, struct error *error)
{
	struct kv_txn *begun;

	if (call(kv->disk, error) != 0)
		return error->code;
	begun = malloc(sizeof *begun);
	ASSERT(begun != NULL);
	begun->disk = kv->disk;
	begun->write = write;
	begun->wrote = false;
	arena_init(&begun->lent, TXN_BLOCK_BYTES);
	for (int i = 0; i < KV_TABLES; i++)
		begun->tables[i] = table_ref(kv->disk->tables[i]);
	kv->disk->transactions++;
	*txn = begun;
	return 0;
}

void kv_abort(struct kv_txn *txn)
{
	for (int i = 0; i < KV_TABLES; i++)
		table_unref(txn->tables[i]);
	arena_deinit(&txn->lent);
	txn->disk->transactions--;
	free(txn);
}

static void publish(struct kv_txn *txn)
{
	struct sim_disk *disk = txn->disk;

	for (int i = 0; i < KV_TABLES; i++) {
		struct sim_table *former = disk->tables[i];

		disk->tables[i] = table_ref(txn->tables[i]);
		table_unref(former);
	}
	disk->commits += txn->wrote;
}

int kv_commit(struct kv_txn *txn, struct error *error)
{
	struct sim_disk *disk = txn->disk;
	bool was_dead = disk->dead;
	int rc = call(disk, error);

	if (rc == 0)
		rc = full(disk, error);
	if (rc == 0 || (!was_dead && disk->dead && disk->fault == SIM_DISK_FAULT_DIE_DURABLE))
		publish(txn);
	kv_abort(txn);
	return rc;
}

/* A copy that goes when the transaction writes or ends. */
static struct slice lend(struct kv_txn *txn, struct slice bytes)
{
	struct slice copy;
	bool copied = arena_copy(&txn->lent, bytes, &copy);

	ASSERT(copied);
	return copy;
}

int kv_get(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice *value,
           struct error *error)
{
	const struct sim_table *at = txn->tables[table];
	bool found;
	size_t place;

	if (call(txn->disk, error) != 0)
		return error->code;
	place = table_find(at, key, &found);
	if (!found)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no such key");
	*value = lend(txn, at->entries[place].value);
	return 0;
}

/* The transaction's own, with room for one more entry. */
static struct sim_table *writable(struct kv_txn *txn, enum kv_table table)
{
	struct sim_table *at = txn->tables[table];

	if (at->refs > 1 || at->len == at->size) {
		struct sim_table *copy = table_new(at->len * 3 / 2 + 16);

		if (at->len > 0)
			memcpy(copy->entries, at->entries, at->len * sizeof *at->entries);
		copy->len = at->len;
		table_unref(at);
		txn->tables[table] = copy;
	}
	return txn->tables[table];
}

static int begin_write(struct kv_txn *txn, struct slice key, struct error *error)
{
	ASSERT(txn->write);
	ASSERT(key.len >= 1 && key.len <= KV_KEY_BYTES_MAX);
	if (call(txn->disk, error) != 0 || full(txn->disk, error) != 0)
		return error->code;
	txn->wrote = true;
	return 0;
}

int kv_put(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice value, struct error *error)
{
	struct sim_table *at;
	struct slice stored;
	bool found;
	bool copied;
	size_t place;

	if (begin_write(txn, key, error) != 0)
		return error->code;
	at = writable(txn, table);
	place = table_find(at, key, &found);
	copied = arena_copy(txn->disk->arena, value, &stored);
	if (copied && !found) {
		memmove(at->entries + place + 1, at->entries + place,
		        (at->len - place) * sizeof *at->entries);
		copied = arena_copy(txn->disk->arena, key, &at->entries[place].key);
		at->len++;
	}
	ASSERT(copied);
	at->entries[place].value = stored;
	arena_clear(&txn->lent); /* after the copy: key and value may be borrowed from it */
	return 0;
}

int kv_delete(struct kv_txn *txn, enum kv_table table, struct slice key, struct error *error)
{
	struct sim_table *at;
	bool found;
	size_t place;

	if (begin_write(txn, key, error) != 0)
		return error->code;
	at = writable(txn, table);
	place = table_find(at, key, &found);
	if (!found)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no such key");
	at->len--;
	memmove(at->entries + place, at->entries + place + 1, (at->len - place) * sizeof *at->entries);
	arena_clear(&txn->lent);
	return 0;
}

int kv_clear(struct kv_txn *txn, enum kv_table table, struct error *error)
{
	if (begin_write(txn, slice_string("every"), error) != 0)
		return error->code;
	writable(txn, table)->len = 0;
	arena_clear(&txn->lent);
	return 0;
}

int kv_count(struct kv_txn *txn, enum kv_table table, uint64_t *count, struct error *error)
{
	if (call(txn->disk, error) != 0)
		return error->code;
	*count = txn->tables[table]->len;
	return 0;
}

int kv_cursor_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **cursor, struct error *error)
{
	struct kv_cursor *opened;

	if (call(txn->disk, error) != 0)
		return error->code;
	opened = malloc(sizeof *opened);
	ASSERT(opened != NULL);
	*opened = (struct kv_cursor){.txn = txn, .table = table};
	*cursor = opened;
	return 0;
}

void kv_cursor_close(struct kv_cursor *cursor)
{
	free(cursor);
}

static int cursor_yield(struct kv_cursor *cursor, size_t place, struct slice *found, struct slice *value,
                        struct error *error)
{
	const struct sim_table *at = cursor->txn->tables[cursor->table];

	if (place >= at->len)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no further entry");
	cursor->key = at->entries[place].key;
	cursor->placed = true;
	*found = lend(cursor->txn, cursor->key);
	*value = lend(cursor->txn, at->entries[place].value);
	return 0;
}

int kv_cursor_seek(struct kv_cursor *cursor, struct slice key, struct slice *found, struct slice *value,
                   struct error *error)
{
	bool exact;

	if (call(cursor->txn->disk, error) != 0)
		return error->code;
	return cursor_yield(cursor, table_find(cursor->txn->tables[cursor->table], key, &exact), found, value,
	                    error);
}

int kv_cursor_next(struct kv_cursor *cursor, struct slice *found, struct slice *value, struct error *error)
{
	const struct sim_table *at = cursor->txn->tables[cursor->table];
	size_t place = 0;
	bool exact;

	if (call(cursor->txn->disk, error) != 0)
		return error->code;
	if (cursor->placed) {
		place = table_find(at, cursor->key, &exact);
		place += exact;
	}
	return cursor_yield(cursor, place, found, value, error);
}

void kv_size(struct kv *kv, uint64_t *used_bytes, uint64_t *map_bytes)
{
	uint64_t entries = 0;

	for (int i = 0; i < KV_TABLES; i++)
		entries += kv->disk->tables[i]->len;
	*used_bytes = entries * 64;
	*map_bytes = UINT64_MAX;
}
