#include "shared/record/memtable.h"

#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <stdlib.h>

#define MEMTABLE_BLOCK_BYTES 16384
#define MEMTABLE_OPS_FIRST 16

/* A survivor, or the place of an operation that was dropped for a later one. */
struct memtable_op {
	struct op op;
	bool dropped;
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
	size_t body_bytes; /* of operations added, dropped ones too */
};

struct memtable *memtable_new(int64_t from)
{
	struct memtable *memtable = calloc(1, sizeof *memtable);

	if (memtable == NULL)
		return NULL;
	memtable->from = from;
	memtable->to = from;
	memtable->anchor.offset = -1;
	arena_init(&memtable->arena, MEMTABLE_BLOCK_BYTES);
	map_init(&memtable->newest);
	return memtable;
}

void memtable_free(struct memtable *memtable)
{
	if (memtable == NULL)
		return;
	arena_deinit(&memtable->arena);
	map_deinit(&memtable->newest);
	free(memtable->ops);
	free(memtable);
}

int64_t memtable_seal(const struct memtable *memtable)
{
	return (memtable->from / RANGE_SEAL + 1) * RANGE_SEAL;
}

bool memtable_is_full(const struct memtable *memtable, int64_t offset, size_t bytes)
{
	if (offset >= memtable_seal(memtable))
		return true;
	return memtable->ops_len > 0 && memtable->body_bytes + bytes > RANGE_BYTES_MAX;
}

static bool ops_reserve(struct memtable *memtable)
{
	size_t size = memtable->ops_size ? memtable->ops_size * 2 : MEMTABLE_OPS_FIRST;
	struct memtable_op *ops;

	if (memtable->ops_len < memtable->ops_size)
		return true;
	ops = realloc(memtable->ops, size * sizeof *ops);
	if (ops == NULL)
		return false;
	memtable->ops = ops;
	memtable->ops_size = size;
	return true;
}

/* What the newer operation inherits from the one it replaces: the insertion
 * key while no delete came between, and that one did. */
static void inherit(struct op *newer, const struct op *older)
{
	if (older->kind == OP_KIND_DELETE) {
		newer->fresh = true;
		return;
	}
	newer->fresh = older->fresh;
	if (newer->kind == OP_KIND_PUT)
		newer->key = older->key;
}

bool memtable_add(struct memtable *memtable, const struct op *op)
{
	struct op copy = *op;
	uint64_t *place;

	ASSERT(op->offset >= memtable->to && op->offset < memtable_seal(memtable));
	if (!ops_reserve(memtable) || !arena_copy(&memtable->arena, op->id, &copy.id) ||
	    !arena_copy(&memtable->arena, op->body, &copy.body))
		return false;
	place = map_get(&memtable->newest, copy.id);
	if (place != NULL) {
		struct memtable_op *older = &memtable->ops[*place];

		inherit(&copy, &older->op);
		older->dropped = true;
		memtable->survivors--;
		*place = memtable->ops_len;
	} else if (!map_put(&memtable->newest, copy.id, memtable->ops_len)) {
		return false;
	}
	memtable->ops[memtable->ops_len++] = (struct memtable_op){.op = copy};
	memtable->survivors++;
	memtable->body_bytes += copy.body.len + copy.id.len;
	memtable->to = op->offset + 1;
	return true;
}

void memtable_cover(struct memtable *memtable, int64_t to)
{
	ASSERT(to <= memtable_seal(memtable));
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
	       memtable->newest.size * sizeof *memtable->newest.entries;
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
