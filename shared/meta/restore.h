/*
 * Restore: what a request asks to make out of copies, and what a shard's record
 * says of a replica that comes by one, as JSON.
 *
 *   copy    "head":"<32 hex>","stored":N,"from":N
 *   shards  [{"partition":p, copy}], each partition once, by rising partition
 *
 * A list of shards is one allocation: free() it. Pure core, no state. Bound:
 * INDEX_PARTITIONS_MAX shards.
 */
#ifndef MILLRACE_META_RESTORE_H
#define MILLRACE_META_RESTORE_H

#include "shared/meta/catalog.h"

/* A shard to be restored. */
struct restore_shard {
	int32_t partition;
	struct placement_copy copy;
};

/* Members of an object; false if one is missing or cannot be. */
bool placement_copy_read(yyjson_val *object, struct placement_copy *copy);
/* Appends them, without braces. */
void placement_copy_append(struct buffer *buffer, const struct placement_copy *copy);
/* Appends `,"copy":{…}`, if it comes by one. */
void placement_append_copy(struct buffer *buffer, const struct placement *placement);
/* Of a value that json_parse gave, at least one. ERROR_FORMAT, REJECT; ERROR_MEMORY. */
int restore_shards_take(yyjson_val *array, struct restore_shard **shards, size_t *len, struct error *error);
void restore_shards_append(struct buffer *buffer, const struct restore_shard *shards, size_t len);
/* 32 lower-case hex digits, as hash128_print prints them. */
bool restore_head_parse(struct slice text, struct hash128 *head);

#endif
