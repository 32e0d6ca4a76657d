/*
 * Answers: the bodies of searches and document routes, as Meilisearch shapes
 * them, around the bytes of documents as their producers wrote them.
 *
 * Writers append to the caller's buffer and never fail themselves: check
 * buffer_failed once. Pure core: time and identity come in as values.
 */
#ifndef MILLRACE_QUERY_CORE_ANSWER_H
#define MILLRACE_QUERY_CORE_ANSWER_H

#include "query/core/merge.h"
#include "query/core/route_request.h"

#define UUID_BYTES 37

/* A UUID version 7 (RFC 9562): 48 bits of time, then random ones. Text and a NUL. */
void uuid7_print(int64_t wall_ms, const uint8_t random[10], char text[UUID_BYTES]);

struct search_outcome {
	const struct node_hit *hits; /* of the page, in order */
	size_t hits_len;
	int64_t total; /* unclipped */
	int64_t took_ms;
	const char *uuid;
};

void answer_search(struct buffer *body, const struct search_request *request,
                   const struct search_outcome *outcome);
void answer_documents(struct buffer *body, const struct listing_request *request, const struct node_hit *hits,
                      size_t hits_len, int64_t total);
/* One document with the fields asked for: names of members, `a.b` for one inside an object or inside the
 * objects of an array. Without fields: its bytes. */
void answer_document(struct buffer *body, const struct listing_request *request, struct slice document);

/* The body of a request to a node: of /search, /list and /get, which asks the first partition only. */
void ask_search(struct buffer *body, uint64_t index_id, const struct node_question *question,
                const struct search_request *request, bool stale);
void ask_list(struct buffer *body, uint64_t index_id, const struct node_question *question, struct page page,
              bool stale);
void ask_get(struct buffer *body, uint64_t index_id, const struct node_question *question, struct slice id,
             bool stale);

#endif
