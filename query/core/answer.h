/*
 * Answers: the bodies of searches and document routes, as Meilisearch shapes
 * them, around the bytes of documents as their producers wrote them.
 *
 * Writers append to the caller's buffer and never fail themselves: check
 * buffer_failed once. Pure core: time and identity come in as values.
 */
#ifndef MILLRACE_QUERY_CORE_ANSWER_H
#define MILLRACE_QUERY_CORE_ANSWER_H

#include "query/core/documents_request.h"
#include "query/core/merge.h"

#define UUID_BYTES 37

/* A UUID version 7 (RFC 9562): 48 bits of time, then random ones. Text and a NUL. */
void uuid7_print(int64_t wall_ms, const uint8_t random[10], char text[UUID_BYTES]);

struct search_outcome {
	const struct node_hit *hits; /* of the page, in order */
	size_t hits_len;
	int64_t total;
	struct facet_merge *facets; /* ordered and cut by this */
	const struct settings *settings;
	int64_t took_ms;
	const char *uuid;
};

void answer_search(struct buffer *body, const struct search_request *request,
                   const struct search_outcome *outcome);
void answer_documents(struct buffer *body, const struct listing_request *request, const struct node_hit *hits,
                      size_t hits_len, int64_t total);
/* One document with the fields asked for: names of members, `a.b` for one inside an object or inside the
 * objects of an array. Without fields: its bytes. With vectors: a member says that there are none. */
void answer_document(struct buffer *body, const struct listing_request *request, struct slice document);

/* `,"limit":…`, or by page: what an answer says of paging. */
void answer_append_paging(struct buffer *body, const struct search_request *request, int64_t total);
/* Puts `"name":value` into the object that `body` ends with. */
void answer_append_member(struct buffer *body, struct slice member);

/* What a search's question says beside the request. */
struct search_asking {
	uint64_t index_id;
	int64_t settings_version; /* -1: nobody set any */
	bool stale;
	struct merge_words words;
	bool has_cutoff;
	uint64_t cutoff_ms; /* from its arrival at the node on: ranking ends */
};

/* The body of a request to a node: of /search, /list and /get, which asks the first partition only. */
void ask_search(struct buffer *body, const struct node_question *question,
                const struct search_request *request, const struct search_asking *asking);
/* The question of a search whose documents are counted together with those of others, in `union`: an object. A limit
 * is for what a threshold counts behind it. */
void ask_counted(struct buffer *body, uint64_t limit, const struct search_request *request,
                 const struct merge_words *words);
/* Of /search, which asks for what `members` say instead of hits. */
void ask_aside(struct buffer *body, uint64_t index_id, const struct node_question *question,
               struct slice members, bool stale);
void ask_list(struct buffer *body, uint64_t index_id, const struct node_question *question, struct page page,
              bool stale);
void ask_get(struct buffer *body, uint64_t index_id, const struct node_question *question, struct slice id,
             bool stale);

#endif
