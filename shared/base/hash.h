/*
 * Hashes: XXH3 for everything internal, murmur2 and CRC32 for the
 * partitioners of Kafka's clients, and the 128-bit sum that is a digest.
 *
 * XXH3 values are part of stored formats (checksums, digests, placement,
 * slots): they never change. This module alone includes xxhash.h.
 */
#ifndef MILLRACE_BASE_HASH_H
#define MILLRACE_BASE_HASH_H

#include "shared/base/slice.h"

uint64_t hash64(struct slice bytes, uint64_t seed);

/* A 128-bit number; also the sum of such numbers mod 2^128. */
struct hash128 {
	uint64_t low;
	uint64_t high;
};

struct hash128 hash128_of(struct slice bytes, uint64_t seed);
void hash128_add(struct hash128 *sum, struct hash128 value);
void hash128_subtract(struct hash128 *sum, struct hash128 value);
bool hash128_equal(struct hash128 a, struct hash128 b);
/* 32 lower-case hex digits and a NUL, high word first. */
void hash128_print(struct hash128 value, char text[33]);

/* Incremental hash64 with seed 0 over several pieces, as over their concatenation. */
uint64_t hash64_pieces(const struct slice *pieces, size_t pieces_len);

/* CRC-32 (IEEE 802.3, zlib's) as librdkafka's `consistent` partitioner uses it. */
uint32_t hash_crc32(struct slice bytes);
/* Murmur2 with seed 0x9747b28c as Kafka's Java clients use it
 * (org.apache.kafka.common.utils.Utils.murmur2). */
uint32_t hash_murmur2(struct slice bytes);

#endif
