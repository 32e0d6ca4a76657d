/*
 * Segment: what some neighbouring ranges put into memory, searchable.
 *
 * A chunk holds the versions of one range, copied once: for each id that the
 * range touched, what it left of it, a document or none. A segment owns one or
 * more chunks, a dictionary over their words, and its puts by number and by
 * insertion key; merging joins the chunks of neighbours and never moves a
 * version, so pointers to versions stay valid for the life of the segment that
 * owns them.
 *
 * `killed` are the numbers of documents that were alive until one of the
 * segment's ranges superseded or deleted them, alone or by a barrier: of
 * earlier segments, of this one and of the disk. Where a delete-all was among
 * them, every number below `cleared_below` is dead, and `killed` holds only
 * numbers from there on.
 *
 * Puts are numbered without gaps from segment to segment. `end` is the state
 * of the whole fold after the segment's last range, so that any prefix of
 * segments can be stored.
 *
 * Segments and chunks are counted: a snapshot keeps those that the replica has
 * merged or stored meanwhile. Immutable once made, but for what segment_cover
 * and segment_note change (`end`, notes, bytes), which a snapshot does not
 * read. Owner: the replica; a store job reads segments from another thread
 * while the replica keeps them unmerged.
 */
#ifndef MILLRACE_SHARD_CORE_SEGMENT_H
#define MILLRACE_SHARD_CORE_SEGMENT_H

#include "shard/core/dictionary.h"
#include "shard/core/notes.h"
#include "shard/core/postings.h"
#include "shard/core/stored.h"
#include "shard/core/values.h"

#include <stdatomic.h>

/* Neighbours of one size class that become one segment. */
#define SEGMENT_FANOUT 8
/* Segments of this size are never merged again: they bound a store's transaction. */
#define SEGMENT_BYTES_KEPT (512U * 1024)
/* From here on neighbours of any mergeable size are merged. */
#define SEGMENTS_CROWDED 48

struct version {
	uint64_t number; /* PUT; 0 for a delete */
	int64_t offset;
	enum op_kind kind;
	struct insertion_key key;
	struct hash128 digest; /* PUT */
	struct slice id;
	struct slice body; /* PUT */
};

struct chunk {
	atomic_size_t references;
	struct arena arena; /* versions' bytes */
	size_t len;
	struct version versions[];
};

/* Of an open hash table: which put has an id of that hash. */
struct id_slot {
	uint32_t hash;
	uint32_t put; /* its place + 1; 0: free */
};

struct segment {
	atomic_size_t references;
	struct chunk **chunks; /* oldest first */
	size_t chunks_len;
	struct dictionary *dictionary;
	struct dictionary *values; /* keys of the documents in attributes; NULL: none */
	struct value_cover cover;  /* of these attributes; keys of others mean nothing */
	uint64_t cutting;          /* digest of the rules that its words were cut by */
	uint64_t number_first;     /* puts[i] has number_first + i; without puts the next one's */
	size_t puts_len;
	const struct version **puts;
	const struct version **order; /* the same by insertion key, id, number */
	struct id_slot *ids;
	size_t ids_size; /* a power of two, more than twice puts_len */
	size_t versions_len;
	struct postings killed;    /* unlike the rest not const for who asks it */
	uint64_t cleared_below;    /* 0: no delete-all */
	struct notes *notes_first; /* of its ranges that have any, oldest first */
	struct notes *notes_last;
	size_t bytes;      /* all memory of it */
	size_t body_bytes; /* of its versions, and of its notes */
	struct mark end;
};

/* Room for `len` versions whose bytes come to about `bytes`; NULL when out of memory. */
struct chunk *chunk_new(size_t len, size_t bytes);
void chunk_release(struct chunk *chunk);

/* Takes chunk and dictionary, both the caller's alone. NULL when out of memory; then they stay the caller's. */
struct segment *segment_new(struct chunk *chunk, struct dictionary *dictionary, const struct mark *end);
/* Takes the keys (NULL: none) of a new segment's documents in the attributes of `cover`. Without puts it covers all. */
void segment_set_values(struct segment *segment, struct dictionary *values, const struct value_cover *cover);
void segment_hold(struct segment *segment);
void segment_release(struct segment *segment);
/* What its only range killed; takes the set and leaves it empty. */
void segment_kill(struct segment *segment, struct postings *killed, uint64_t cleared_below);
/* Takes what a range noted, the newest of the segment's. */
void segment_note(struct segment *segment, struct notes *notes);
/* An empty range after the segment's last: only the mark moves. */
void segment_cover(struct segment *segment, const struct mark *end);

/* Where SEGMENT_FANOUT neighbours at or after `from`, all cut by the same rules, should be merged; false if nowhere. */
bool segment_merge_place(struct segment *const *segments, size_t len, size_t from, size_t *at);
/* One segment of `len` (1..SEGMENT_FANOUT) neighbours, which lose their notes to it and stay the caller's to
 * release; NULL when out of memory, then nothing changed. */
struct segment *segment_merge(struct segment *const *segments, size_t len);

/* NULL if the number is not one of the segment's. */
const struct version *segment_version(const struct segment *segment, uint64_t number);
/* Of those with the id the one with the highest number, in one segment; NULL. */
const struct version *segment_find(const struct segment *segment, struct slice id);
/* The segment, of some in order, that has the number if one has; NULL. */
const struct segment *segments_covering(struct segment *const *segments, size_t len, uint64_t number);

#endif
