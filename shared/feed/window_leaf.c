#include "shared/feed/window_leaf.h"

#include <stdlib.h>

#define FACT_BYTES 32U
#define FILTER_BITS_A_FACT 12U
#define FILTER_BLOCK_WORDS 8U /* one cache line */
#define FILTER_BLOCK_BITS (FILTER_BLOCK_WORDS * 64U)
#define FILTER_PROBES 6
#define FILTER_PROBE_SHIFT 9 /* bits of the identity a probe: 2^9 = FILTER_BLOCK_BITS */

struct leaf {
	int64_t number;
	size_t facts_len;
	size_t blocks;
	struct occurrence *first; /* fact of each block */
	uint64_t *filter;
	size_t filter_blocks;
};

static int compare(struct hash128 a, int64_t a_offset, struct hash128 b, int64_t b_offset)
{
	if (a.low != b.low)
		return a.low < b.low ? -1 : 1;
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return (a_offset > b_offset) - (a_offset < b_offset);
}

static int compare_facts(const void *left, const void *right)
{
	const struct occurrence *a = left;
	const struct occurrence *b = right;

	return compare(a->identity, a->offset, b->identity, b->offset);
}

/* ---- filter ---- */

static uint64_t *filter_block(const struct leaf *leaf, struct hash128 identity)
{
	/* multiplication in place of a division: Lemire, "Fast random integer generation in an interval", 2019 */
	size_t block = (size_t)(((unsigned __int128)identity.low * leaf->filter_blocks) >> 64);

	return leaf->filter + block * FILTER_BLOCK_WORDS;
}

static void filter_add(struct leaf *leaf, struct hash128 identity)
{
	uint64_t *block = filter_block(leaf, identity);
	uint64_t bits = identity.high;

	for (int i = 0; i < FILTER_PROBES; i++, bits >>= FILTER_PROBE_SHIFT) {
		unsigned bit = (unsigned)(bits % FILTER_BLOCK_BITS);

		block[bit / 64] |= 1ULL << (bit % 64);
	}
}

bool leaf_may_have(const struct leaf *leaf, struct hash128 identity)
{
	const uint64_t *block = filter_block(leaf, identity);
	uint64_t bits = identity.high;

	for (int i = 0; i < FILTER_PROBES; i++, bits >>= FILTER_PROBE_SHIFT) {
		unsigned bit = (unsigned)(bits % FILTER_BLOCK_BITS);

		if ((block[bit / 64] & (1ULL << (bit % 64))) == 0)
			return false;
	}
	return true;
}

/* ---- sealing ---- */

static uint64_t block_checksum(int64_t leaf, size_t block, const uint8_t *bytes)
{
	return hash64(slice_of(bytes, LEAF_BLOCK_BYTES - sizeof(uint64_t)),
	              (uint64_t)leaf * LEAF_BYTES_MAX + block);
}

static void encode_block(const struct leaf *leaf, size_t block, const struct occurrence *facts, size_t len,
                         struct buffer *bytes)
{
	size_t start = bytes->len;
	size_t rest = LEAF_BLOCK_BYTES - sizeof(uint64_t) - len * FACT_BYTES;
	uint8_t *padding;

	for (size_t i = 0; i < len; i++) {
		buffer_put_u64(bytes, facts[i].identity.low);
		buffer_put_u64(bytes, facts[i].identity.high);
		buffer_put_i64(bytes, facts[i].offset);
		buffer_put_u64(bytes, facts[i].operation);
	}
	padding = buffer_grow(bytes, rest);
	if (padding == NULL)
		return;
	memset(padding, 0, rest);
	buffer_put_u64(bytes, block_checksum(leaf->number, block, bytes->ptr + start));
}

static struct leaf *leaf_new(int64_t number, size_t facts_len)
{
	struct leaf *leaf = calloc(1, sizeof *leaf);

	if (leaf == NULL)
		return NULL;
	leaf->number = number;
	leaf->facts_len = facts_len;
	leaf->blocks = (facts_len + LEAF_BLOCK_FACTS - 1) / LEAF_BLOCK_FACTS;
	leaf->filter_blocks = facts_len * FILTER_BITS_A_FACT / FILTER_BLOCK_BITS + 1;
	leaf->first = calloc(leaf->blocks, sizeof leaf->first[0]);
	leaf->filter = calloc(leaf->filter_blocks * FILTER_BLOCK_WORDS, sizeof leaf->filter[0]);
	if (leaf->first != NULL && leaf->filter != NULL)
		return leaf;
	leaf_free(leaf);
	return NULL;
}

struct leaf *leaf_seal(int64_t number, struct occurrence *facts, size_t facts_len, struct buffer *bytes)
{
	struct leaf *leaf = leaf_new(number, facts_len);

	if (leaf == NULL)
		return NULL;
	qsort(facts, facts_len, sizeof facts[0], compare_facts);
	for (size_t i = 0; i < facts_len; i++)
		filter_add(leaf, facts[i].identity);
	for (size_t block = 0; block < leaf->blocks; block++) {
		size_t at = block * LEAF_BLOCK_FACTS;
		size_t len = facts_len - at < LEAF_BLOCK_FACTS ? facts_len - at : LEAF_BLOCK_FACTS;

		leaf->first[block] = facts[at];
		encode_block(leaf, block, facts + at, len, bytes);
	}
	if (!buffer_failed(bytes))
		return leaf;
	leaf_free(leaf);
	return NULL;
}

void leaf_free(struct leaf *leaf)
{
	if (leaf == NULL)
		return;
	free(leaf->first);
	free(leaf->filter);
	free(leaf);
}

int64_t leaf_number(const struct leaf *leaf)
{
	return leaf->number;
}

size_t leaf_memory(const struct leaf *leaf)
{
	return sizeof *leaf + leaf->blocks * sizeof leaf->first[0] +
	       leaf->filter_blocks * FILTER_BLOCK_WORDS * sizeof leaf->filter[0];
}

size_t leaf_stored(const struct leaf *leaf)
{
	return leaf->blocks * LEAF_BLOCK_BYTES;
}

/* ---- finding ---- */

static struct occurrence decode(const uint8_t *block, size_t at)
{
	struct reader reader = reader_of(slice_of(block + at * FACT_BYTES, FACT_BYTES));
	struct occurrence fact;

	fact.identity.low = reader_u64(&reader);
	fact.identity.high = reader_u64(&reader);
	fact.offset = reader_i64(&reader);
	fact.operation = reader_u64(&reader);
	return fact;
}

/* The last block whose first fact is below (identity, offset); `blocks` if there is none. */
static size_t block_of(const struct leaf *leaf, struct hash128 identity, int64_t offset)
{
	size_t low = 0;
	size_t high = leaf->blocks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct occurrence *first = &leaf->first[middle];

		if (compare(first->identity, first->offset, identity, offset) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : leaf->blocks;
}

int leaf_find(const struct leaf *leaf, struct slice bytes, struct hash128 identity, int64_t offset,
              struct occurrence *fact, struct error *error)
{
	size_t block = block_of(leaf, identity, offset);
	const uint8_t *start;
	struct reader checksum;
	size_t low = 0;
	size_t high;

	if (block == leaf->blocks)
		return 0;
	if (bytes.len != leaf_stored(leaf))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_RETRY,
		                 "a leaf of the window has %zu bytes in place of %zu", bytes.len,
		                 leaf_stored(leaf));
	start = bytes.ptr + block * LEAF_BLOCK_BYTES;
	checksum = reader_of(slice_of(start + LEAF_BLOCK_BYTES - sizeof(uint64_t), sizeof(uint64_t)));
	if (reader_u64(&checksum) != block_checksum(leaf->number, block, start))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_RETRY,
		                 "a block of the window is damaged");
	high = leaf->facts_len - block * LEAF_BLOCK_FACTS;
	if (high > LEAF_BLOCK_FACTS)
		high = LEAF_BLOCK_FACTS;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct occurrence seen = decode(start, middle);

		if (compare(seen.identity, seen.offset, identity, offset) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*fact = decode(start, low - 1); /* the block's first is below */
	return hash128_equal(fact->identity, identity);
}
