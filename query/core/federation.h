/*
 * Federation: the hits of several searches become one list.
 *
 * Hits are compared rule by rule, as far as both searches have them: rules
 * about words that stand together by their score times the weight of the
 * query, the highest first; a sort by its value. A score comes before a value,
 * and a hit that has more rules before one that has fewer. What is equal goes
 * by the place of the query. The next in the list is the best of those that
 * the queries come to next: hits of one query stay in its order.
 *
 *   [[2,2],[1,4],"0a"]   one score of both pairs, then a value
 *
 * A document of an index stays where it stands first. With a distinct
 * attribute, by which each query has left out its own repetitions, so does what
 * stands first of a value in the index, and of what is left, in the list. The
 * total is what the queries of each index count, or with such an attribute the
 * whole list.
 *
 * What is added is copied into the arena. Bounds: FEDERATION_HITS_MAX of each
 * query. Pure core; one thread.
 */
#ifndef MILLRACE_QUERY_CORE_FEDERATION_H
#define MILLRACE_QUERY_CORE_FEDERATION_H

#include "query/core/multi_search_request.h"
#include "query/core/node_answer.h"

struct federation_hit;

struct federation {
	const struct multi_search_request *request; /* borrowed, as the arena */
	struct arena *arena;
	struct federation_hit *hits;
	size_t len;
	size_t size;
	int64_t total;
	struct slice *facets; /* by entry of facetsByIndex; ptr NULL: none */
};

/* What one query found. */
struct federation_part {
	size_t query; /* its place */
	uint64_t index_id;
	const struct node_hit *hits; /* in order */
	size_t hits_len;
};

/* What the queries of one index count together. */
struct federation_count {
	struct slice uid;
	int64_t total;
	struct slice facets; /* {"facetDistribution":{…},"facetStats":{…}}; ptr NULL: none */
};

/* False when out of memory. */
bool federation_init(struct federation *federation, const struct multi_search_request *request,
                     struct arena *arena);
void federation_deinit(struct federation *federation);
/* Each query once, in any order. ERROR_MEMORY; ERROR_LIMIT (REJECT) for more hits than may be. */
int federation_add(struct federation *federation, const struct federation_part *part, struct error *error);
/* Each index that is asked once, in any order. ERROR_MEMORY. */
int federation_add_count(struct federation *federation, const struct federation_count *count,
                         struct error *error);
/* Orders the hits that were added, leaves out what repeats; once, when all of them are there. ERROR_MEMORY. */
int federation_order(struct federation *federation, struct error *error);
/* Appends the ids of the list's documents of one index, after federation_order: a JSON list. */
void federation_append_ids(const struct federation *federation, uint64_t index_id, struct buffer *json);
/* Appends the answer, when all is added and ordered. A failure is the buffer's. */
void federation_answer(const struct federation *federation, int64_t took_ms, const char *uuid,
                       struct buffer *body);

/* `,"facetsByIndex":{…}`, or what it is merged to; nothing if no facets are asked for (federation_facets.c). */
void federation_append_facets(const struct federation *federation, struct buffer *body);

#endif
