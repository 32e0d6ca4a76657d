/*
 * Query: text to terms, words and phrases with their positions, and what
 * excludes documents; and the nodes that a document may be matched by.
 *
 * A word is at the position after the one before it, TEXT_HARD_GAP further
 * over a hard separator; stop words take a position and are no terms, but as
 * the last token. A term is a prefix if it is the last token, outside quotes.
 * A node is a term, or two or three neighbouring words without a gap joined.
 *
 * Everything lives in the arena that it was asked with.
 */
#ifndef MILLRACE_SHARD_ENGINE_QUERY_H
#define MILLRACE_SHARD_ENGINE_QUERY_H

#include "shard/engine/text.h"
#include "shared/base/arena.h"

#define QUERY_TERMS_MAX 10
#define QUERY_TOKENS_MAX 1000 /* the rest is not looked at */
#define QUERY_NGRAM_MAX 3
#define QUERY_NODES_MAX (3 * QUERY_TERMS_MAX - 3)

/* Words in a row; a stop word among them has no ptr, and stands for any word. */
struct query_phrase {
	struct slice *words;
	size_t len; /* one for a term that is a word */
};

struct query_term {
	struct query_phrase phrase;
	bool is_phrase;
	bool is_prefix;
	uint32_t start; /* position of its first word that is no stop word */
	uint32_t end;   /* of its last word */
	uint32_t words; /* that are no stop words */
};

struct query_node {
	uint8_t first; /* term */
	uint8_t terms; /* 1, or 2 or 3 joined */
	bool is_prefix;
	struct slice text; /* the word, or the words joined; no ptr for a phrase */
};

struct query {
	struct query_term terms[QUERY_TERMS_MAX];
	size_t terms_len;
	struct query_node nodes[QUERY_NODES_MAX]; /* by first term, then by terms */
	size_t nodes_len;
	struct query_phrase *excluded; /* words and phrases */
	size_t excluded_len;
	uint32_t words; /* of all terms */
};

struct query_request {
	const struct text_rules *rules;
	struct slice text;
	bool prefix_search; /* as the settings say */
	struct arena *arena;
};

/* ERROR_MEMORY. */
int query_parse(struct text *text, const struct query_request *request, struct query *query,
                struct error *error);

#endif
