/*
 * Cutting: the rules by which a replica cuts texts into words (text.h), told
 * apart by a digest that every segment is tagged with. One value in STATE:
 *
 *   "cuttings" → u64 checksum, u32 count, each u32 length, bytes
 *                (absent: the defaults alone)
 *
 * The first are those in force, by which the words of what comes are cut, the
 * others those that are coming (words_beside.h) or that some segment was cut by
 * before. The bytes of one are, for separators, excepted
 * separators, dictionary and stop words, u32 count, each u32 length, text; its
 * digest is their hash64, and 0 for the defaults, which list nothing. The same
 * lists in the same order are the same rules.
 *
 * A cutting is immutable and counted; any thread. Failure: ERROR_MEMORY
 * (RETRY), ERROR_DAMAGED (FATAL) for a value that is none.
 */
#ifndef MILLRACE_SHARD_CORE_CUTTING_H
#define MILLRACE_SHARD_CORE_CUTTING_H

#include "shard/core/stored.h"
#include "shard/engine/text.h"

#include <stdatomic.h>

/* At once, in the segments of a replica: as long as settings are, they fill a third of a transaction. */
#define CUTTINGS_MAX 3
/* Those in force, and those that are coming. */
#define CUTTINGS_TOLD_MAX 2

struct cutting {
	atomic_size_t references;
	uint64_t digest;
	struct text_rules *rules; /* NULL: the defaults */
	struct buffer bytes;
};

/* Held ones, of distinct digests; never none. */
struct cuttings {
	size_t len;
	struct cutting *list[CUTTINGS_MAX];
};

/* `settings` is copied. */
int cutting_new(const struct text_settings *settings, struct cutting **cutting, struct error *error);
struct cutting *cutting_hold(struct cutting *cutting);
/* NULL: nothing happens. */
void cutting_release(struct cutting *cutting);

/* Holds those of another one, into an empty one. */
void cuttings_copy(struct cuttings *cuttings, const struct cuttings *from);
void cuttings_deinit(struct cuttings *cuttings);
/* NULL if there is none of that digest. */
const struct cutting *cuttings_find(const struct cuttings *cuttings, uint64_t digest);
/* The whole value, appended; check buffer_failed. */
void cuttings_encode(const struct cuttings *cuttings, struct buffer *value);
int cuttings_decode(struct slice value, struct cuttings *cuttings, struct error *error);
/* An encoded value becomes the stored one. */
int cuttings_write(struct kv_txn *txn, struct slice value, struct error *error);
/* The stored ones. */
int cuttings_read(struct kv_txn *txn, struct cuttings *cuttings, struct error *error);

#endif
