#include "shared/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

struct arena_block {
	struct arena_block *next;
	size_t len;
	size_t size;
	alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t block_bytes)
{
	*arena = (struct arena){.block_bytes = block_bytes};
}

void arena_clear(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	arena->bytes = 0;
}

void arena_deinit(struct arena *arena)
{
	arena_clear(arena);
}

static struct arena_block *block_new(struct arena *arena, size_t len)
{
	size_t size = len > arena->block_bytes ? len : arena->block_bytes;
	struct arena_block *block = malloc(sizeof *block + size);

	if (block == NULL)
		return NULL;
	*block = (struct arena_block){.next = arena->blocks, .size = size};
	arena->blocks = block;
	arena->bytes += sizeof *block + size;
	return block;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	struct arena_block *block = arena->blocks;
	size_t align = alignof(max_align_t);
	void *ptr;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = (len + align - 1) / align * align;
	if (block == NULL || block->size - block->len < len)
		block = block_new(arena, len);
	if (block == NULL)
		return NULL;
	ptr = block->bytes + block->len;
	block->len += len;
	return ptr;
}

bool arena_copy(struct arena *arena, struct slice bytes, struct slice *copy)
{
	uint8_t *ptr = arena_alloc(arena, bytes.len);

	if (ptr == NULL)
		return false;
	if (bytes.len > 0)
		memcpy(ptr, bytes.ptr, bytes.len);
	*copy = slice_of(ptr, bytes.len);
	return true;
}

size_t arena_bytes(const struct arena *arena)
{
	return arena->bytes;
}
