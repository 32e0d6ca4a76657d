#include "shared/base/hash.h"

#define XXH_INLINE_ALL
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

uint64_t hash64(struct slice bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes.ptr, bytes.len, seed);
}

uint64_t hash64_pieces(const struct slice *pieces, size_t pieces_len)
{
	XXH3_state_t state;

	(void)XXH3_64bits_reset(&state);
	for (size_t i = 0; i < pieces_len; i++)
		if (pieces[i].len > 0)
			(void)XXH3_64bits_update(&state, pieces[i].ptr, pieces[i].len);
	return XXH3_64bits_digest(&state);
}

struct hash128 hash128_of(struct slice bytes, uint64_t seed)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.ptr, bytes.len, seed);

	return (struct hash128){hash.low64, hash.high64};
}

void hash128_add(struct hash128 *sum, struct hash128 value)
{
	sum->low += value.low;
	sum->high += value.high + (sum->low < value.low);
}

void hash128_subtract(struct hash128 *sum, struct hash128 value)
{
	uint64_t borrow = sum->low < value.low;

	sum->low -= value.low;
	sum->high -= value.high + borrow;
}

bool hash128_equal(struct hash128 a, struct hash128 b)
{
	return a.low == b.low && a.high == b.high;
}

void hash128_print(struct hash128 value, char text[33])
{
	(void)snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, value.high, value.low);
}

uint32_t hash_crc32(struct slice bytes)
{
	uint32_t crc = 0xffffffffU;

	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= bytes.ptr[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
	}
	return ~crc;
}

uint32_t hash_murmur2(struct slice bytes)
{
	const uint32_t m = 0x5bd1e995U;
	uint32_t h = 0x9747b28cU ^ (uint32_t)bytes.len;
	size_t whole = bytes.len / 4 * 4;

	for (size_t i = 0; i < whole; i += 4) {
		uint32_t k = (uint32_t)bytes.ptr[i] | (uint32_t)bytes.ptr[i + 1] << 8 |
		             (uint32_t)bytes.ptr[i + 2] << 16 | (uint32_t)bytes.ptr[i + 3] << 24;

		k *= m;
		k ^= k >> 24;
		k *= m;
		h *= m;
		h ^= k;
	}
	if (bytes.len - whole >= 3)
		h ^= (uint32_t)bytes.ptr[whole + 2] << 16;
	if (bytes.len - whole >= 2)
		h ^= (uint32_t)bytes.ptr[whole + 1] << 8;
	if (bytes.len - whole >= 1) {
		h ^= (uint32_t)bytes.ptr[whole];
		h *= m;
	}
	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return h;
}
