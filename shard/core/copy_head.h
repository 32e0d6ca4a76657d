/*
 * Copy head: its bytes, and those of pages, told apart (copy.h says how they
 * are laid out). What copy_source.c, copy_target.c and who tells what a head
 * says share.
 *
 * Pure. Everything read is borrowed from the bytes.
 */
#ifndef MILLRACE_SHARD_CORE_COPY_HEAD_H
#define MILLRACE_SHARD_CORE_COPY_HEAD_H

#include "shard/core/copy.h"
#include "shard/core/manifest.h"
#include "shard/core/stored.h"

struct copy_entry {
	enum kv_table table;
	struct slice key;
	struct slice value;
};

/* A head that was checked: its digest, the order of its entries, and whose it is. The values of other entries
 * than state and manifest are not looked at. */
struct copy_head {
	struct hash128 digest;
	struct slice entries;
	struct slice state;
	struct replica_identity identity;
	struct mark mark; /* without seals, identities and origins */
	struct manifest manifest;
};

/* The chunks of one id: a segment's own, or those of its values. */
struct copy_unit {
	uint64_t id;
	const uint64_t *lengths; /* of the sections; borrowed from the manifest */
	uint64_t bytes;
};

#define COPY_UNITS_MAX (MANIFEST_SEGMENTS_MAX * MANIFEST_IDS_A_SEGMENT)

/* All that the segments of a manifest have, by rising id; returns how many. */
size_t copy_units(const struct manifest *manifest, struct copy_unit units[COPY_UNITS_MAX]);

struct stored_key copy_key(void);

/* Writing a head: begin, entries by table and key, end. */
void copy_head_begin(struct buffer *head);
void copy_head_add(struct buffer *head, const struct copy_entry *entry);
void copy_head_end(struct buffer *head);
/* ERROR_VERSION (FATAL) for another format; ERROR_DAMAGED (REJECT). */
int copy_head_read(struct slice bytes, struct copy_head *head, struct error *error);
/* The next entry of a checked head; false at the end. */
bool copy_head_next(struct reader *entries, struct copy_entry *entry);

void copy_page_add(struct buffer *page, struct slice key, struct slice value);
/* 1, 0 at the end, or ERROR_DAMAGED (REJECT). */
int copy_page_next(struct reader *page, struct slice *key, struct slice *value, struct error *error);

#endif
