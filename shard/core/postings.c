#include "shard/core/postings.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <roaring/roaring.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BLOCK_NUMBERS (1U << POSTINGS_BLOCK_BITS)
#define LISTED 256      /* at once */
#define RISING_MAX 4096 /* of an array in Roaring */
#define RISING_HEAD_BYTES 16
#define RISING_MIN 16 /* fewer are added one by one */

enum form {
	FORM_LIST = 1,
	FORM_ROARING = 2
};

/* Numbers of one block; whoever holds the only reference may change them. */
struct shared_bits {
	atomic_size_t references;
	roaring_bitmap_t *bits;
};

struct postings_block {
	uint64_t block;
	struct shared_bits *shared;
};

static void *checked(void *ptr)
{
	ASSERT(ptr != NULL);
	return ptr;
}

static void *checked_malloc(size_t size)
{
	return checked(malloc(size));
}

static void *checked_realloc(void *ptr, size_t size)
{
	return checked(realloc(ptr, size));
}

static void *checked_calloc(size_t count, size_t size)
{
	return checked(calloc(count, size));
}

static void *checked_aligned(size_t alignment, size_t size)
{
	void *ptr = NULL;

	ASSERT(posix_memalign(&ptr, alignment, size) == 0);
	return ptr;
}

/* Before main, because the hook is one for the process and two threads use sets. */
__attribute__((constructor)) static void roaring_hook(void)
{
	roaring_init_memory_hook((roaring_memory_t){.malloc = checked_malloc,
	                                            .realloc = checked_realloc,
	                                            .calloc = checked_calloc,
	                                            .free = free,
	                                            .aligned_malloc = checked_aligned,
	                                            .aligned_free = free});
}

void postings_init(struct postings *set)
{
	*set = (struct postings){0};
}

/* Takes the bits. */
static struct shared_bits *shared_new(roaring_bitmap_t *bits)
{
	struct shared_bits *shared = checked_malloc(sizeof *shared);

	atomic_init(&shared->references, 1);
	shared->bits = bits;
	return shared;
}

static struct shared_bits *shared_hold(struct shared_bits *shared)
{
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

static void shared_release(struct shared_bits *shared)
{
	if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) > 1)
		return;
	roaring_bitmap_free(shared->bits);
	free(shared);
}

/* The block's numbers, to be changed. */
static roaring_bitmap_t *block_own(struct postings_block *block)
{
	struct shared_bits *own;

	if (atomic_load_explicit(&block->shared->references, memory_order_acquire) == 1)
		return block->shared->bits;
	own = shared_new(checked(roaring_bitmap_copy(block->shared->bits)));
	shared_release(block->shared);
	block->shared = own;
	return own->bits;
}

void postings_clear(struct postings *set)
{
	for (size_t i = 0; i < set->len; i++)
		shared_release(set->blocks[i].shared);
	set->len = 0;
	set->last = 0;
}

void postings_deinit(struct postings *set)
{
	postings_clear(set);
	free(set->blocks);
	postings_init(set);
}

void postings_share(struct postings *copy, const struct postings *set)
{
	ASSERT(copy->len == 0);
	if (set->len == 0)
		return;
	if (copy->size < set->len) {
		copy->blocks = checked_realloc(copy->blocks, set->len * sizeof *copy->blocks);
		copy->size = set->len;
	}
	for (size_t i = 0; i < set->len; i++) {
		copy->blocks[i] =
			(struct postings_block){set->blocks[i].block, shared_hold(set->blocks[i].shared)};
	}
	copy->len = set->len;
	copy->last = 0;
}

/* Place of the first block >= `block`. */
static size_t block_seek(const struct postings *set, uint64_t block)
{
	size_t low = 0;
	size_t high = set->len;

	if (set->last < set->len && set->blocks[set->last].block == block)
		return set->last;
	if (set->len > 0 && set->blocks[set->len - 1].block < block)
		return set->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->blocks[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL if it is not there. */
static const roaring_bitmap_t *block_find(const struct postings *set, uint64_t block)
{
	size_t at = block_seek(set, block);

	return at < set->len && set->blocks[at].block == block ? set->blocks[at].shared->bits : NULL;
}

/* Takes a reference to a block that is not there yet. */
static void block_insert(struct postings *set, uint64_t block, struct shared_bits *shared)
{
	size_t at = block_seek(set, block);

	if (set->len == set->size) {
		set->size = set->size == 0 ? 4 : set->size * 2;
		set->blocks = checked_realloc(set->blocks, set->size * sizeof *set->blocks);
	}
	memmove(set->blocks + at + 1, set->blocks + at, (set->len - at) * sizeof *set->blocks);
	set->blocks[at] = (struct postings_block){block, shared};
	set->len++;
	set->last = at;
}

/* The block's numbers, to be changed. */
static roaring_bitmap_t *block_need(struct postings *set, uint64_t block)
{
	size_t at = block_seek(set, block);

	if (at == set->len || set->blocks[at].block != block) {
		roaring_bitmap_t *bits = checked(roaring_bitmap_create_with_capacity(1));

		block_insert(set, block, shared_new(bits));
		return bits;
	}
	set->last = at;
	return block_own(&set->blocks[at]);
}

void postings_add(struct postings *set, uint64_t number)
{
	roaring_bitmap_add(block_need(set, number >> POSTINGS_BLOCK_BITS),
	                   (uint32_t)(number % BLOCK_NUMBERS));
}

/* Rising numbers of one block, at most RISING_MAX, as a bitmap in the portable format of one array, which is read far
 * faster than numbers are added. */
struct rising {
	uint8_t bytes[RISING_HEAD_BYTES + 2 * RISING_MAX];
	size_t len;
};

static void rising_add(struct rising *rising, uint32_t low)
{
	uint8_t *to = rising->bytes + RISING_HEAD_BYTES + 2 * rising->len++;

	to[0] = (uint8_t)low;
	to[1] = (uint8_t)(low >> 8);
}

static void rising_take(struct postings *set, uint64_t block, struct rising *rising)
{
	/* little-endian: u32 cookie without runs, u32 containers, u16 key, u16 numbers − 1, u32 where they begin */
	uint8_t head[RISING_HEAD_BYTES] = {0x3A, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, RISING_HEAD_BYTES};
	roaring_bitmap_t *bits;

	if (rising->len == 0)
		return;
	head[10] = (uint8_t)(rising->len - 1);
	head[11] = (uint8_t)((rising->len - 1) >> 8);
	memcpy(rising->bytes, head, sizeof head);
	bits = checked(roaring_bitmap_portable_deserialize_safe((const char *)rising->bytes,
	                                                        sizeof head + 2 * rising->len));
	rising->len = 0;
	if (block_find(set, block) == NULL) {
		block_insert(set, block, shared_new(bits));
		return;
	}
	roaring_bitmap_or_inplace(block_need(set, block), bits);
	roaring_bitmap_free(bits);
}

static void rising_add_all(struct postings *set, uint64_t base, const uint32_t *numbers, size_t len)
{
	struct rising rising;
	uint64_t block = 0;

	rising.len = 0;
	for (size_t i = 0; i < len; i++) {
		uint64_t number = base + numbers[i];

		if (number >> POSTINGS_BLOCK_BITS != block || rising.len == RISING_MAX)
			rising_take(set, block, &rising);
		block = number >> POSTINGS_BLOCK_BITS;
		rising_add(&rising, (uint32_t)(number % BLOCK_NUMBERS));
	}
	rising_take(set, block, &rising);
}

void postings_add_rising(struct postings *set, uint64_t base, const uint32_t *numbers, size_t len)
{
	if (len >= RISING_MIN) {
		rising_add_all(set, base, numbers, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		postings_add(set, base + numbers[i]);
}

void postings_add_range(struct postings *set, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t block = from >> POSTINGS_BLOCK_BITS;
		uint64_t first = block << POSTINGS_BLOCK_BITS;
		uint64_t end = to - first < BLOCK_NUMBERS ? to : first + BLOCK_NUMBERS;

		roaring_bitmap_add_range(block_need(set, block), from - first, end - first);
		from = end;
	}
}

/* The part of [from, to) in one block, as the block's own numbers. */
struct part {
	uint64_t from;
	uint64_t to;
};

static struct part part_of(uint64_t block, uint64_t from, uint64_t to)
{
	uint64_t first = block << POSTINGS_BLOCK_BITS;
	struct part part = {from > first ? from - first : 0, BLOCK_NUMBERS};

	if (to - first < BLOCK_NUMBERS)
		part.to = to - first;
	return part;
}

void postings_remove_range(struct postings *set, uint64_t from, uint64_t to)
{
	size_t kept = block_seek(set, from >> POSTINGS_BLOCK_BITS);
	size_t at = kept;

	for (; at < set->len && set->blocks[at].block << POSTINGS_BLOCK_BITS < to; at++) {
		struct postings_block block = set->blocks[at];
		struct part part = part_of(block.block, from, to);

		if (part.from < part.to)
			roaring_bitmap_remove_range(block_own(&block), part.from, part.to);
		if (roaring_bitmap_is_empty(block.shared->bits))
			shared_release(block.shared);
		else
			set->blocks[kept++] = block;
	}
	if (kept == at)
		return;
	memmove(set->blocks + kept, set->blocks + at, (set->len - at) * sizeof *set->blocks);
	set->len -= at - kept;
	set->last = 0;
}

bool postings_contains(const struct postings *set, uint64_t number)
{
	const roaring_bitmap_t *bits = block_find(set, number >> POSTINGS_BLOCK_BITS);

	return bits != NULL && roaring_bitmap_contains(bits, (uint32_t)(number % BLOCK_NUMBERS));
}

uint64_t postings_count(const struct postings *set)
{
	uint64_t count = 0;

	for (size_t i = 0; i < set->len; i++)
		count += roaring_bitmap_get_cardinality(set->blocks[i].shared->bits);
	return count;
}

uint64_t postings_count_range(const struct postings *set, uint64_t from, uint64_t to)
{
	uint64_t count = 0;

	for (size_t at = block_seek(set, from >> POSTINGS_BLOCK_BITS);
	     at < set->len && set->blocks[at].block << POSTINGS_BLOCK_BITS < to; at++) {
		struct part part = part_of(set->blocks[at].block, from, to);

		if (part.from < part.to)
			count += roaring_bitmap_range_cardinality(set->blocks[at].shared->bits, part.from,
			                                          part.to);
	}
	return count;
}

void postings_list(const struct postings *set, uint64_t *numbers)
{
	for (size_t i = 0; i < set->len; i++) {
		uint64_t first = set->blocks[i].block << POSTINGS_BLOCK_BITS;
		roaring_uint32_iterator_t iterator;
		uint32_t low[LISTED];
		uint32_t len;

		roaring_iterator_init(set->blocks[i].shared->bits, &iterator);
		while ((len = roaring_uint32_iterator_read(&iterator, low, LISTED)) > 0)
			for (uint32_t k = 0; k < len; k++)
				*numbers++ = first + low[k];
	}
}

bool postings_next(const struct postings *set, uint64_t from, uint64_t *number)
{
	uint64_t block = from >> POSTINGS_BLOCK_BITS;

	for (size_t at = block_seek(set, block); at < set->len; at++) {
		const struct postings_block *found = &set->blocks[at];
		uint32_t low = found->block == block ? (uint32_t)(from % BLOCK_NUMBERS) : 0;
		roaring_uint32_iterator_t iterator;

		roaring_iterator_init(found->shared->bits, &iterator);
		if (!roaring_uint32_iterator_move_equalorlarger(&iterator, low))
			continue;
		*number = (found->block << POSTINGS_BLOCK_BITS) + iterator.current_value;
		return true;
	}
	return false;
}

size_t postings_bytes(const struct postings *set)
{
	size_t bytes = set->size * sizeof *set->blocks;

	for (size_t i = 0; i < set->len; i++)
		bytes += sizeof *set->blocks[i].shared->bits +
		         roaring_bitmap_portable_size_in_bytes(set->blocks[i].shared->bits);
	return bytes;
}

void postings_or(struct postings *set, const struct postings *other)
{
	for (size_t i = 0; i < other->len; i++) {
		const struct postings_block *more = &other->blocks[i];

		if (block_find(set, more->block) == NULL)
			block_insert(set, more->block, shared_hold(more->shared));
		else
			roaring_bitmap_or_inplace(block_need(set, more->block), more->shared->bits);
	}
}

/* Keeps what the others have too (both) or have not, without a copy of what goes. */
static void block_cut(struct postings_block *block, const roaring_bitmap_t *others, bool both)
{
	roaring_bitmap_t *bits = block->shared->bits;
	struct shared_bits *own;

	if (atomic_load_explicit(&block->shared->references, memory_order_acquire) == 1) {
		if (both)
			roaring_bitmap_and_inplace(bits, others);
		else
			roaring_bitmap_andnot_inplace(bits, others);
		return;
	}
	own = shared_new(
		checked(both ? roaring_bitmap_and(bits, others) : roaring_bitmap_andnot(bits, others)));
	shared_release(block->shared);
	block->shared = own;
}

/* Keeps in `set` what is in `other` (both) or what is not. */
static void postings_cut(struct postings *set, const struct postings *other, bool both)
{
	size_t kept = 0;
	size_t at = 0;

	for (size_t i = 0; i < set->len; i++) {
		struct postings_block mine = set->blocks[i];
		const roaring_bitmap_t *others = NULL;

		while (at < other->len && other->blocks[at].block < mine.block)
			at++;
		if (at < other->len && other->blocks[at].block == mine.block)
			others = other->blocks[at].shared->bits;
		if (others != NULL && (both || roaring_bitmap_intersect(mine.shared->bits, others)))
			block_cut(&mine, others, both);
		if ((both && others == NULL) || roaring_bitmap_is_empty(mine.shared->bits))
			shared_release(mine.shared);
		else
			set->blocks[kept++] = mine;
	}
	set->len = kept;
	set->last = 0;
}

void postings_and(struct postings *set, const struct postings *other)
{
	postings_cut(set, other, true);
}

void postings_and_not(struct postings *set, const struct postings *other)
{
	postings_cut(set, other, false);
}

void postings_or_block(struct postings *set, const struct postings *other, uint64_t block)
{
	size_t at = block_seek(other, block);

	if (at < other->len && other->blocks[at].block == block)
		roaring_bitmap_or_inplace(block_need(set, block), other->blocks[at].shared->bits);
}

bool postings_block_at(const struct postings *set, size_t i, uint64_t *block)
{
	if (i >= set->len)
		return false;
	*block = set->blocks[i].block;
	return true;
}

static uint64_t value_checksum(struct slice key, struct slice rest)
{
	return hash64(rest, hash64(key, 0));
}

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a stored posting list %s", what);
}

static void decode_list(struct postings *set, uint64_t block, struct slice list)
{
	uint32_t low[POSTINGS_LIST_MAX];
	size_t n = list.len / 2;

	for (size_t i = 0; i < n; i++)
		low[i] = list.ptr[2 * i] | (uint32_t)list.ptr[2 * i + 1] << 8;
	roaring_bitmap_add_many(block_need(set, block), n, low);
}

static int decode_roaring(struct postings *set, uint64_t block, struct slice bytes, struct error *error)
{
	roaring_bitmap_t *bits = roaring_bitmap_portable_deserialize_safe((const char *)bytes.ptr, bytes.len);

	if (bits == NULL)
		return damaged(error, "is no bitmap");
	/* It reads whatever it is given; before this it may not be asked anything. */
	if (!roaring_bitmap_internal_validate(bits, NULL)) {
		roaring_bitmap_free(bits);
		return damaged(error, "is a bitmap out of order");
	}
	if (roaring_bitmap_is_empty(bits) || roaring_bitmap_maximum(bits) >= BLOCK_NUMBERS) {
		roaring_bitmap_free(bits);
		return damaged(error, "has numbers outside its block");
	}
	if (block_find(set, block) == NULL) {
		block_insert(set, block, shared_new(bits));
		return 0;
	}
	roaring_bitmap_or_inplace(block_need(set, block), bits);
	roaring_bitmap_free(bits);
	return 0;
}

int postings_decode(struct postings *set, uint64_t block, struct slice key, struct slice value,
                    struct error *error)
{
	struct reader reader = reader_of(value);
	uint64_t checksum = reader_u64(&reader);
	struct slice rest = slice_of(reader.ptr, reader_left(&reader));

	if (rest.len == 0 || checksum != value_checksum(key, rest))
		return damaged(error, "does not match its checksum");
	if (rest.ptr[0] == FORM_ROARING)
		return decode_roaring(set, block, slice_of(rest.ptr + 1, rest.len - 1), error);
	if (rest.ptr[0] != FORM_LIST || rest.len % 2 != 1 || rest.len < 3 ||
	    rest.len > 1 + 2 * POSTINGS_LIST_MAX)
		return damaged(error, "has an unknown form");
	decode_list(set, block, slice_of(rest.ptr + 1, rest.len - 1));
	return 0;
}

static void encode_list(const roaring_bitmap_t *bits, struct buffer *value)
{
	uint32_t low[POSTINGS_LIST_MAX];
	uint64_t count = roaring_bitmap_get_cardinality(bits);

	roaring_bitmap_to_uint32_array(bits, low);
	buffer_put_u8(value, FORM_LIST);
	for (size_t i = 0; i < count; i++)
		buffer_put_u16(value, (uint16_t)low[i]);
}

/* Of a copy: the set's own may be shared. */
static void encode_roaring(const roaring_bitmap_t *found, struct buffer *value)
{
	roaring_bitmap_t *bits = checked(roaring_bitmap_copy(found));
	uint8_t *to;

	roaring_bitmap_run_optimize(bits);
	buffer_put_u8(value, FORM_ROARING);
	to = buffer_grow(value, roaring_bitmap_portable_size_in_bytes(bits));
	if (to != NULL)
		roaring_bitmap_portable_serialize(bits, (char *)to);
	roaring_bitmap_free(bits);
}

static void encode_payload(const roaring_bitmap_t *bits, struct buffer *value)
{
	if (roaring_bitmap_get_cardinality(bits) <= POSTINGS_LIST_MAX)
		encode_list(bits, value);
	else
		encode_roaring(bits, value);
}

bool postings_encode(const struct postings *set, uint64_t block, struct slice key, struct buffer *value)
{
	size_t at = block_seek(set, block);
	size_t from = value->len;
	uint64_t checksum;
	struct slice rest;

	if (at == set->len || set->blocks[at].block != block)
		return false;
	buffer_put_u64(value, 0);
	encode_payload(set->blocks[at].shared->bits, value);
	if (buffer_failed(value))
		return true;
	rest = slice_of(value->ptr + from + 8, value->len - from - 8);
	checksum = value_checksum(key, rest);
	buffer_set_u32(value, from, (uint32_t)checksum);
	buffer_set_u32(value, from + 4, (uint32_t)(checksum >> 32));
	return true;
}
