/*
 * Attributes: the paths whose values a replica keeps (values.h), each with a
 * number that keys begin with. One value in STATE:
 *
 *   "attributes" → u64 checksum, u64 version, u32 count, each u16 number, u16 length, path
 *                  (absent: none, of version 0)
 *
 * A path keeps its number as long as it is among them. A number that was
 * another path's is given anew only when nothing of the replica covers it any
 * more: what a segment covers, it covers in today's meaning.
 *
 * Immutable and counted: a snapshot keeps those of its moment. Any thread
 * reads; failure: NULL or ERROR_MEMORY, ERROR_DAMAGED (FATAL).
 */
#ifndef MILLRACE_SHARD_CORE_ATTRIBUTES_H
#define MILLRACE_SHARD_CORE_ATTRIBUTES_H

#include "shard/core/stored.h"
#include "shard/core/values.h"

#include <stdatomic.h>

#define ATTRIBUTE_PATH_BYTES_MAX FIELD_BYTES_MAX

struct attributes_ref {
	atomic_size_t references;
	uint64_t version;
	struct attributes attributes; /* paths stand in the same memory */
	struct value_cover wanted;    /* their numbers */
};

/* Copies the paths; NULL when out of memory. */
struct attributes_ref *attributes_new(uint64_t version, const struct attributes *attributes);
struct attributes_ref *attributes_hold(struct attributes_ref *attributes);
/* NULL: nothing happens. */
void attributes_release(struct attributes_ref *attributes);
/* NULL if the path is not among them. */
const struct attribute *attributes_find(const struct attributes_ref *attributes, struct slice path);

void attributes_encode(const struct attributes_ref *attributes, struct buffer *value);
int attributes_decode(struct slice value, struct attributes_ref **attributes, struct error *error);
/* The stored ones; `scratch` is the caller's. */
int attributes_write(struct kv_txn *txn, const struct attributes_ref *attributes, struct buffer *scratch,
                     struct error *error);
/* The stored ones. */
int attributes_read(struct kv_txn *txn, struct attributes_ref **attributes, struct error *error);

#endif
