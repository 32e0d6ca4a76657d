/*
 * Manifest: the disk segments of a replica, by rising numbers, and what of
 * them should be merged. One value in STATE, changed only in the transaction
 * that makes it true.
 *
 *   "manifest" → u64 checksum, u64 next segment id,
 *                u32 building, each u64 id    (their chunks are nobody's after a crash)
 *                u32 leaving, each u64 id     (replaced; their chunks are still there)
 *                u32 segments, each: u64 id, u32 level, u64 first, u64 end,
 *                u32 documents, u32 dead, u64 bytes, u64[SECTIONS] lengths,
 *                u64 digest of its cutting, u64 id of its values, u64[2] attributes, u64 bytes, u64 lengths of
 *                POSTINGS and TERMS
 *
 * Merge policy, in this order:
 *   MANIFEST_FANOUT segments of level L, and what of lower levels stands between
 *     them, become one, the lowest L first (fewer of them if all would be too
 *     many); MANIFEST_SMALL_FANOUT of them if that writes MANIFEST_SMALL_BYTES
 *     at most: a search asks every segment, and small ones cost it as much as
 *     large ones;
 *   a segment of whose documents a third are dead is written anew;
 *   from MANIFEST_CROWDED segments on neighbours of any level are joined, where
 *     that writes least for every segment saved.
 * At rest, when no store is to come, a search's time counts more than what is
 * written: neighbours are joined, most at once, of which the largest has at most
 * MANIFEST_REST_SHARE times the bytes of the others. So a rest leaves few
 * segments, and a little that came since the last one does not write anew all
 * that was there.
 * Bytes are those of the segments and of their values. An outcome has at most
 * DISK_SEGMENT_DOCUMENTS_MAX documents and (about) MANIFEST_SEGMENT_BYTES_MAX,
 * and its numbers fit posting lists. Segments over
 * half of that are joined in a crowd only. So n documents are written
 * about log8(n / those of a store) times, and at most MANIFEST_SEGMENTS_MAX
 * segments are ever there (a store waits for a merge at that).
 *
 * Pure; a plain value.
 */
#ifndef MILLRACE_SHARD_CORE_MANIFEST_H
#define MILLRACE_SHARD_CORE_MANIFEST_H

#include "shard/core/disk_segment.h"

#ifndef MANIFEST_FANOUT /* the simulation's is smaller, as its segments are few */
#define MANIFEST_FANOUT 8
#endif
#define MANIFEST_SMALL_FANOUT 3
#define MANIFEST_SMALL_BYTES (1024ULL * 1024)
/* Segments that are merged at once. */
#define MANIFEST_MERGE_MAX 16
#define MANIFEST_SEGMENTS_MAX 128
#define MANIFEST_CROWDED 48
#define MANIFEST_REST_SHARE 8
/* Of its own chunks and of its values'. */
#define MANIFEST_IDS_A_SEGMENT 2
#define MANIFEST_BUILDING_MAX 8
#define MANIFEST_LEAVING_MAX 512
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
/* ERROR_DAMAGED (FATAL): not what manifest_encode wrote, or no such segments can be. */
int manifest_decode(struct manifest *manifest, struct slice value, struct error *error);

/* Of all chunks that its segments have. */
uint64_t manifest_bytes(const struct manifest *manifest);
/* Behind the last one; false if there is no room. */
bool manifest_add(struct manifest *manifest, const struct disk_segment *segment);
/* `len` neighbours at `at` leave with their values; `segment` (NULL: nothing) stands in their place. False if `leaving` has no room. */
bool manifest_replace(struct manifest *manifest, size_t at, size_t len, const struct disk_segment *segment);
/* There is room: at most MANIFEST_BUILDING_MAX. */
void manifest_building_add(struct manifest *manifest, uint64_t segment);
void manifest_building_remove(struct manifest *manifest, uint64_t segment);
/* False if there is no room. */
bool manifest_leaving_add(struct manifest *manifest, uint64_t segment);
void manifest_leaving_remove(struct manifest *manifest, uint64_t segment);
/* Of a segment's bytes the share of its live documents: what a merge would make of it, about. */
uint64_t manifest_live_bytes(const struct disk_segment *segment);
/* What should be merged: `len` (1: written anew) neighbours at `at`; false if nothing, or if `leaving` has
 * no room for what a merge leaves. */
bool manifest_merge_place(const struct manifest *manifest, size_t *at, size_t *len);
/* The same of a replica at rest, for which that has nothing; `len` is at least 2. */
bool manifest_rest_place(const struct manifest *manifest, size_t *at, size_t *len);

#endif
