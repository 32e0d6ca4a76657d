#include "shared/record/memtable.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "shared/base/map.h"
#include "shared/record/record_private.h"

#include <stdlib.h>

#define MEMTABLE_BLOCK_BYTES 16384
#define MEMTABLE_LIST_FIRST 16
#define NONE SIZE_MAX

/* What the range did to one id, up to and with some operation. */
struct past {
	bool deleted;                     /* at least once */
	bool created;                     /* by a put or merge, since the last delete */
	struct insertion_key created_key; /* of the oldest such */
};

/* A survivor, or the place of an operation that was dropped for a later one. */
struct memtable_op {
	struct op op;
	bool dropped;
	size_t older; /* survivor of the same id in ops, or NONE */
	struct past past;
};

/* The highest of its source partition when it was noted. */
struct memtable_origin {
	struct origin_entry entry;
	int64_t exceeded_at; /* offset of the next higher one; INT64_MAX: none */
};

struct memtable {
	int64_t from;
	int64_t to;
	struct anchor anchor;
	struct arena arena;
	struct map newest; /* id → place in ops */
	struct memtable_op *ops;
	size_t ops_len;
	size_t ops_size;
	size_t survivors;
	size_t op_bytes; /* of operations added, dropped ones too, as they count for the range */
	bool barrier;    /* the one operation is one */
	struct identity_entry *identities;
	size_t identities_len;
	size_t identities_size;
	int64_t *skipped;
	size_t skipped_len;
	size_t skipped_size;
	struct memtable_origin *origins;
	size_t origins_len;
	size_t origins_size;
	int64_t origin_noted; /* the offset noted last; -1: none */
	struct map highest;   /* source partition → place in origins */
};

struct memtable *memtable_new(int64_t from)
{
	struct memtable *memtable = calloc(1, sizeof *memtable);

	if (memtable == NULL)
		return NULL;
	memtable->from = from;
	memtable->to = from;
	memtable->anchor.offset = -1;
	memtable->origin_noted = -1;
	arena_init(&memtable->arena, MEMTABLE_BLOCK_BYTES);
	map_init(&memtable->newest);
	map_init(&memtable->highest);
	return memtable;
}

void memtable_free(struct memtable *memtable)
{
	if (memtable == NULL)
		return;
	arena_deinit(&memtable->arena);
	map_deinit(&memtable->newest);
	map_deinit(&memtable->highest);
	free(memtable->ops);
	free(memtable->identities);
	free(memtable->skipped);
	free(memtable->origins);
	free(memtable);
}

int64_t memtable_seal(const struct memtable *memtable)
{
	return (memtable->from / RANGE_SEAL + 1) * RANGE_SEAL;
}

/* It shares its range with no other operation. */
static bool is_alone(const struct op *op)
{
	return op_kind_is_barrier(op->kind) && !KNOCKOUT(COALESCE_OVER_BARRIER);
}

static bool is_merge(enum op_kind kind)
{
	return kind == OP_KIND_MERGE || kind == OP_KIND_MERGE_IF_EXISTS;
}

size_t memtable_op_bytes(const struct op *op)
{
	size_t bytes = op->id.len + op->body.len;

	if (is_alone(op))
		return RANGE_BYTES_ALONE;
	return is_merge(op->kind) && bytes < MERGE_BYTES_COUNTED ? MERGE_BYTES_COUNTED : bytes;
}

bool memtable_is_full(const struct memtable *memtable, int64_t offset, size_t bytes)
{
	if (offset >= memtable_seal(memtable))
		return true;
	if (memtable->ops_len == 0)
		return false;
	if (memtable->barrier && bytes > 0)
		return true;
	return memtable->op_bytes > RANGE_BYTES_MAX || bytes > RANGE_BYTES_MAX - memtable->op_bytes;
}

/* The list with room for one more of `width` bytes, moved or not; NULL when out of memory, then it stays. */
static void *with_room(void *list, size_t len, size_t *size, size_t width)
{
	size_t grown = *size ? *size * 2 : MEMTABLE_LIST_FIRST;
	void *moved;

	if (len < *size)
		return list;
	moved = realloc(list, grown * width);
	if (moved != NULL)
		*size = grown;
	return moved;
}

static bool ops_reserve(struct memtable *memtable)
{
	struct memtable_op *ops =
		with_room(memtable->ops, memtable->ops_len, &memtable->ops_size, sizeof *ops);

	if (ops != NULL)
		memtable->ops = ops;
	return ops != NULL;
}

static bool replaces(enum op_kind kind)
{
	return kind == OP_KIND_PUT || kind == OP_KIND_DELETE;
}

static struct past past_with(struct past past, const struct op *op)
{
	if (op->kind == OP_KIND_DELETE)
		return (struct past){.deleted = true};
	if (!past.created && (op->kind == OP_KIND_PUT || op->kind == OP_KIND_MERGE)) {
		past.created = true;
		past.created_key = op->key;
	}
	return past;
}

/* Puts an operation after those of its id: a put or delete takes over from all of them. */
static void chain(struct memtable *memtable, struct memtable_op *newer, size_t older)
{
	struct past before = older == NONE ? (struct past){0} : memtable->ops[older].past;

	newer->past = past_with(before, &newer->op);
	newer->older = older;
	if (!replaces(newer->op.kind))
		return;
	newer->op.fresh = before.deleted && !KNOCKOUT(DELETE_PUT_AS_UPDATE);
	if (newer->op.kind == OP_KIND_PUT)
		newer->op.key = newer->past.created_key;
	newer->older = NONE;
	for (; older != NONE; older = memtable->ops[older].older) {
		memtable->ops[older].dropped = true;
		memtable->survivors--;
	}
}

bool memtable_add(struct memtable *memtable, const struct op *op)
{
	bool barrier = op_kind_is_barrier(op->kind);
	struct memtable_op newer = {.op = *op};
	uint64_t *place = NULL;

	ASSERT(op->offset >= memtable->to && op->offset < memtable_seal(memtable));
	ASSERT(!memtable->barrier && !(is_alone(op) && memtable->ops_len > 0));
	newer.op.origin = (struct origin){0};
	if (!ops_reserve(memtable) || !arena_copy(&memtable->arena, op->id, &newer.op.id) ||
	    !arena_copy(&memtable->arena, op->body, &newer.op.body))
		return false;
	if (!barrier)
		place = map_get(&memtable->newest, newer.op.id);
	if (place == NULL && !barrier && !map_put(&memtable->newest, newer.op.id, memtable->ops_len))
		return false;
	chain(memtable, &newer, place != NULL ? (size_t)*place : NONE);
	if (place != NULL)
		*place = memtable->ops_len;
	memtable->ops[memtable->ops_len++] = newer;
	memtable->survivors++;
	memtable->barrier = is_alone(op);
	memtable->op_bytes += is_alone(op) ? 0 : memtable_op_bytes(op);
	memtable->to = op->offset + 1;
	return true;
}

/* False if `offset` was noted last; anything else that is not next is a bug. */
static bool is_next(const struct memtable *memtable, int64_t offset, int64_t last)
{
	ASSERT(offset >= memtable->to && offset < memtable_seal(memtable));
	ASSERT(offset >= last);
	return offset > last;
}

bool memtable_note_identity(struct memtable *memtable, int64_t offset, const struct identity *identity)
{
	size_t len = memtable->identities_len;
	struct identity_entry *entries;

	if (!is_next(memtable, offset, len > 0 ? memtable->identities[len - 1].offset : -1))
		return true;
	entries = with_room(memtable->identities, len, &memtable->identities_size, sizeof *entries);
	if (entries == NULL)
		return false;
	memtable->identities = entries;
	entries[memtable->identities_len++] = (struct identity_entry){offset, *identity};
	return true;
}

bool memtable_note_skipped(struct memtable *memtable, int64_t offset)
{
	size_t len = memtable->skipped_len;
	int64_t *offsets;

	if (!is_next(memtable, offset, len > 0 ? memtable->skipped[len - 1] : -1))
		return true;
	offsets = with_room(memtable->skipped, len, &memtable->skipped_size, sizeof *offsets);
	if (offsets == NULL)
		return false;
	memtable->skipped = offsets;
	offsets[memtable->skipped_len++] = offset;
	return true;
}

static bool origins_reserve(struct memtable *memtable)
{
	struct memtable_origin *origins =
		with_room(memtable->origins, memtable->origins_len, &memtable->origins_size, sizeof *origins);

	if (origins != NULL)
		memtable->origins = origins;
	return origins != NULL;
}

/* Its partition's four bytes, then its source. */
static struct slice source_partition(const struct origin *origin, uint8_t *bytes)
{
	memcpy(bytes, &origin->partition, sizeof origin->partition);
	memcpy(bytes + sizeof origin->partition, origin->source.ptr, origin->source.len);
	return slice_of(bytes, sizeof origin->partition + origin->source.len);
}

/* The first of its source partition: copied as the map's key, in which its source stands. */
static bool add_source_partition(struct memtable *memtable, struct slice key, struct origin *origin)
{
	struct slice copy;

	if (!arena_copy(&memtable->arena, key, &copy) ||
	    !map_put(&memtable->highest, copy, memtable->origins_len))
		return false;
	origin->source = slice_of(copy.ptr + sizeof origin->partition, origin->source.len);
	return true;
}

bool memtable_note_origin(struct memtable *memtable, int64_t offset, const struct origin *origin)
{
	uint8_t bytes[sizeof origin->partition + RECORD_SOURCE_BYTES_MAX];
	struct memtable_origin noted = {{offset, *origin}, INT64_MAX};
	struct slice key;
	uint64_t *place;

	ASSERT(origin->source.len > 0 && origin->source.len <= RECORD_SOURCE_BYTES_MAX);
	if (!is_next(memtable, offset, memtable->origin_noted))
		return true;
	key = source_partition(origin, bytes);
	place = map_get(&memtable->highest, key);
	if (place != NULL && !origin_is_higher(origin, &memtable->origins[*place].entry.origin))
		return true;
	if (!origins_reserve(memtable) ||
	    (place == NULL && !add_source_partition(memtable, key, &noted.entry.origin)))
		return false;
	if (place != NULL) {
		noted.entry.origin.source = memtable->origins[*place].entry.origin.source;
		memtable->origins[*place].exceeded_at = offset;
		*place = memtable->origins_len;
	}
	memtable->origins[memtable->origins_len++] = noted;
	memtable->origin_noted = offset;
	return true;
}

/* No record was read of it. */
static bool is_hole(const struct memtable *memtable)
{
	return memtable->ops_len == 0 && memtable->identities_len == 0 && memtable->skipped_len == 0 &&
	       memtable->origins_len == 0 && memtable->anchor.offset < 0;
}

int64_t memtable_end(const struct memtable *memtable, int64_t offset)
{
	int64_t seal = memtable_seal(memtable);

	return is_hole(memtable) && offset > seal ? offset / RANGE_SEAL * RANGE_SEAL : seal;
}

void memtable_cover(struct memtable *memtable, int64_t to)
{
	ASSERT(to <= memtable_end(memtable, to));
	if (to > memtable->to)
		memtable->to = to;
}

void memtable_set_anchor(struct memtable *memtable, struct anchor anchor)
{
	memtable->anchor = anchor;
}

int64_t memtable_from(const struct memtable *memtable)
{
	return memtable->from;
}

int64_t memtable_to(const struct memtable *memtable)
{
	return memtable->to;
}

struct anchor memtable_anchor(const struct memtable *memtable)
{
	return memtable->anchor;
}

size_t memtable_count(const struct memtable *memtable)
{
	return memtable->survivors;
}

size_t memtable_bytes(const struct memtable *memtable)
{
	return sizeof *memtable + arena_bytes(&memtable->arena) + memtable->ops_size * sizeof *memtable->ops +
	       memtable->newest.size * sizeof *memtable->newest.entries +
	       memtable->identities_size * sizeof *memtable->identities +
	       memtable->skipped_size * sizeof *memtable->skipped +
	       memtable->origins_size * sizeof *memtable->origins +
	       memtable->highest.size * sizeof *memtable->highest.entries;
}

const struct op *memtable_next(const struct memtable *memtable, size_t *at)
{
	while (*at < memtable->ops_len) {
		const struct memtable_op *candidate = &memtable->ops[(*at)++];

		if (!candidate->dropped)
			return &candidate->op;
	}
	return NULL;
}

const struct identity_entry *memtable_next_identity(const struct memtable *memtable, size_t *at)
{
	if (*at == memtable->identities_len || memtable->identities[*at].offset >= memtable->to)
		return NULL;
	return &memtable->identities[(*at)++];
}

const int64_t *memtable_next_skipped(const struct memtable *memtable, size_t *at)
{
	if (*at == memtable->skipped_len || memtable->skipped[*at] >= memtable->to)
		return NULL;
	return &memtable->skipped[(*at)++];
}

bool memtable_next_origin(const struct memtable *memtable, size_t *at, struct origin_entry *entry)
{
	while (*at < memtable->origins_len && memtable->origins[*at].entry.offset < memtable->to) {
		const struct memtable_origin *noted = &memtable->origins[(*at)++];

		if (noted->exceeded_at >= memtable->to) {
			*entry = noted->entry;
			return true;
		}
	}
	return false;
}
