/*
 * Manifest: the disk segments of a replica, by rising numbers, and what of
 * them should be merged. One value in STATE, changed only in the transaction
 * that makes it true.
 *
 *   "manifest" → u64 checksum, u64 next segment id,
 *                u32 building, each u64 id    (their chunks are nobody's after a crash)
 *                u32 leaving, each u64 id     (replaced; their chunks are still there)
 *                u32 segments, each: u64 id, u32 level, u64 first, u64 end,
 *                u32 documents, u32 dead, u64 bytes, u64[SECTIONS] lengths
 *
 * Merge policy: MANIFEST_FANOUT neighbours of one level (or above its share of
 * the dead) become one segment of the next level, unless it would exceed
 * DISK_SEGMENT_DOCUMENTS_MAX documents or MANIFEST_SEGMENT_BYTES_MAX; a segment a third
 * of whose documents are dead is written anew. Segments smaller than the
 * outcome allows are merged at the latest when there are MANIFEST_CROWDED.
 * So n documents are written about log8(n / flush) times, and at most
 * MANIFEST_SEGMENTS_MAX segments are ever there (a store waits for a merge at that).
 *
 * Pure; a plain value. ERROR_DAMAGED (FATAL), ERROR_VERSION.
 */
#ifndef MILLRACE_SHARD_CORE_MANIFEST_H
#define MILLRACE_SHARD_CORE_MANIFEST_H

#include "shard/core/disk_segment.h"

#define MANIFEST_FANOUT 8
#define MANIFEST_SEGMENTS_MAX 128
#define MANIFEST_CROWDED 48
#define MANIFEST_BUILDING_MAX 4
#define MANIFEST_LEAVING_MAX 256
#define MANIFEST_SEGMENT_BYTES_MAX (512ULL * 1024 * 1024)

struct manifest {
	uint64_t segment_next;
	size_t building_len;
	uint64_t building[MANIFEST_BUILDING_MAX];
	size_t leaving_len;
	uint64_t leaving[MANIFEST_LEAVING_MAX];
	size_t segments_len;
	struct disk_segment segments[MANIFEST_SEGMENTS_MAX]; /* by rising first */
};

void manifest_init(struct manifest *manifest);
/* The whole value, appended. */
void manifest_encode(const struct manifest *manifest, struct buffer *value);
int manifest_decode(struct manifest *manifest, struct slice value, struct error *error);

/* The segment that covers a number; NULL. */
struct disk_segment *manifest_find(struct manifest *manifest, uint64_t number);
/* Behind the last one; false if there is no room. */
bool manifest_add(struct manifest *manifest, const struct disk_segment *segment);
/* `len` neighbours at `at` leave; `segment` (NULL: nothing) stands in their place. False if `leaving` has no room. */
bool manifest_replace(struct manifest *manifest, size_t at, size_t len, const struct disk_segment *segment);
void manifest_building_add(struct manifest *manifest, uint64_t segment);
void manifest_building_remove(struct manifest *manifest, uint64_t segment);
void manifest_leaving_remove(struct manifest *manifest, uint64_t segment);
/* What should be merged: `len` (1: written anew) neighbours at `at`; false if nothing. */
bool manifest_merge_place(const struct manifest *manifest, size_t *at, size_t *len);

#endif
