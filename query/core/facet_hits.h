/*
 * Facet hits: what nodes found in the values of a facet, made one list.
 *
 *   "facetHits":[{"key":"folded","form":"normal","value":"Spelling","count":N}…]   of a node's answer
 *
 * The same value is found by several nodes: told by `form`, from which `key`
 * follows. Its counts add up, and it shows the bytewise smallest of its
 * spellings. A list by count has falling counts, then falling keys, else rising
 * keys; it is cut after that. As whether a value is found, and where it stands,
 * follow from the form too, the list is that of one node with all documents.
 *
 * A node where nothing that counts has a value may have a smaller spelling of
 * it: facet_hits_ask asks all of them.
 *
 * Strings are taken as the node wrote them, escapes undone. Everything lies in
 * the arena given. Bounds: FACET_HITS_MAX of all nodes. Pure core; one thread.
 */
#ifndef MILLRACE_QUERY_CORE_FACET_HITS_H
#define MILLRACE_QUERY_CORE_FACET_HITS_H

#include "query/core/facet_search_request.h"
#include "shared/base/map.h"

#define FACET_HITS_MAX (1024U * 1024)

struct facet_hit {
	struct slice key;
	struct slice form;
	struct slice value;
	uint64_t count;
	size_t answers; /* that had it */
};

struct facet_hits {
	struct facet_hit *list;
	size_t len;
	size_t size;
	struct map forms; /* place in the list */
	size_t answers;
};

void facet_hits_init(struct facet_hits *hits);
void facet_hits_deinit(struct facet_hits *hits);
/* Adds those of a node's answer, JSON that json_parse accepts; strings go into the arena. ERROR_FORMAT (REJECT):
 * nothing is added. ERROR_MEMORY, ERROR_LIMIT (REJECT): some of them may be. */
int facet_hits_add(struct facet_hits *hits, struct slice answer, struct arena *arena, struct error *error);
/* Appends `{"name":["form",…]}`: what will be shown and not every answer had; nothing more is added after. False: there is
 * nothing. A failure is the buffer's. */
bool facet_hits_ask(struct facet_hits *hits, const struct facet_search *facet,
                    const struct settings *settings, struct buffer *asked);
/* What a node says to that, `{"name":["spelling" or null,…]}`. ERROR_FORMAT (REJECT), ERROR_MEMORY: nothing is
 * wrong that was right before. */
int facet_hits_spell(struct facet_hits *hits, const struct facet_search *facet, yyjson_val *spellings,
                     struct arena *arena, struct error *error);
/* Puts them in order and appends the answer of the route, with at most `values_max`. */
void facet_hits_answer(struct facet_hits *hits, const struct facet_search *facet,
                       const struct settings *settings, int64_t took_ms, struct buffer *body);

#endif
