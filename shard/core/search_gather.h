/*
 * Gathering: what stands for a query's nodes in documents of one segment, some
 * hundreds at a time. It is taken list by list, which costs a fraction of going
 * from list to list for every document, then sorted by document.
 *
 * Between search_gather.c and search_rank.c. One thread. Memory: the places of
 * a chunk. Failure: ERROR_MEMORY, ERROR_DAMAGED.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_GATHER_H
#define MILLRACE_SHARD_CORE_SEARCH_GATHER_H

#include "shard/core/search_private.h"

#define GATHERING_CHUNK 512

/* A list to go through, and what its places are. */
struct gathering_source {
	struct posting_cursor cursor;
	const struct postings *only; /* NULL: every document */
	bool exact;
	bool tolerant;
	bool counted;  /* only where a field counts */
	uint16_t word; /* of a word of a phrase term */
	uint8_t node;
	uint8_t part;
};

/* Places of one word in one document. */
struct gathering_entry {
	uint32_t source;
	uint32_t document; /* of the chunk */
	uint32_t at;       /* in places */
	uint32_t len;
};

/* All zero but for `search`, `ranking` and `phrases` before the first use. */
struct gathering {
	struct search *search;
	const struct search_ranking *ranking;
	struct gathering_source *sources; /* of one segment */
	uint64_t *stand; /* the document at which each of them stands; UINT64_MAX behind the last */
	size_t sources_len;
	/* the chunk, which the caller fills with rising numbers of the segment, all above those of the chunk before */
	uint64_t chunk[GATHERING_CHUNK];
	size_t chunk_len;
	struct gathering_entry *entries; /* by source */
	struct gathering_entry *sorted;  /* by document, then by source */
	size_t entries_len;
	size_t entries_size;
	uint32_t ends[GATHERING_CHUNK + 1]; /* in `sorted`: by document, where its entries end */
	struct place *places;
	size_t places_len;
	size_t places_size;
	/* of one document */
	struct place *joined; /* of several words, sorted */
	size_t joined_len;
	size_t joined_size;
	struct rank_found_node nodes[QUERY_NODES_MAX];
	struct places *phrases; /* room for search->phrase_words */
};

int gathering_open(struct gathering *gathering, const struct search_segment *segment, struct error *error);
void gathering_close(struct gathering *gathering);
/* Takes what all lists have of the chunk, which is not empty. */
int gathering_chunk(struct gathering *gathering, struct error *error);
/* What stands for the nodes in a document of the chunk, but for its fields; until the next one is asked for. */
int gathering_found(struct gathering *gathering, size_t document, struct rank_found *found,
                    struct error *error);

#endif
