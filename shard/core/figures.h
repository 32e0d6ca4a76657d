/*
 * Figures: how much a replica holds in memory and on disk, and which jobs it
 * has, for whoever watches it.
 *
 * Figures are known without looking at the store. They are as of the last job that
 * ended on the owner's thread; a job that runs says only what it was given.
 * Active is what memory has beside a running store, immutable what that store
 * puts on disk.
 *
 * Owner: the replica's. Bound: a row a level, at most MANIFEST_SEGMENTS_MAX.
 */
#ifndef MILLRACE_SHARD_CORE_FIGURES_H
#define MILLRACE_SHARD_CORE_FIGURES_H

#include "shard/core/manifest.h"
#include "shard/core/replica.h"

struct memory_figures {
	size_t segments;
	size_t bytes;
};

/* Disk segments of one level. */
struct level_figures {
	uint32_t level;
	size_t segments;
	uint64_t documents; /* the dead ones too */
	uint64_t dead;
	uint64_t bytes;
};

struct replica_figures {
	struct memory_figures active;
	struct memory_figures immutable;
	size_t ids_bytes;    /* of the table of ids in memory; the rest of memory_bytes is segments */
	size_t words;        /* of the segments in memory; once for each that has it */
	size_t tables_bytes; /* of the words of disk segments that searches have asked for (word_table.h) */
	size_t levels_len;
	struct level_figures levels[MANIFEST_SEGMENTS_MAX]; /* by rising level */
	uint64_t live_bytes;     /* of the disk segments' bytes, the share of the live documents */
	uint64_t words_bytes;    /* of the disk segments' words, with the lists that stand beside them … */
	uint64_t postings_bytes; /* … and with those that are too long for that */
	size_t leaving;          /* segments whose chunks are to be removed */
	bool storing;
	bool compacting;
	size_t merging;         /* segments that become one; 0: a removal */
	uint64_t merging_bytes; /* of them */
};

/* Of the disk segments' bytes, the share of the live documents: as in the figures. */
uint64_t replica_live_bytes(const struct replica *replica);
void replica_figures(const struct replica *replica, struct replica_figures *figures);
/* Of the store's file: the part in use, and what it can grow to before it is mapped anew. Looks at the store; waits
 * for one that is opened anew, and if that fails the part in use is 0. */
void replica_file_size(const struct replica *replica, uint64_t *used_bytes, uint64_t *map_bytes);

#endif
