/*
 * Query parser: what makes a query of tokens that are given one by one, so
 * that it needs no text (query.h).
 *
 * A token is not needed after its call. Whether a token is the last one is
 * known at the end only: a word is a term until a token follows, and then
 * stays one unless it is a stop word.
 *
 * Words and nodes' texts go to the arena, besides QUERY_TOKENS_MAX slices and
 * half as many phrases. Owner: one thread. Failure: ERROR_MEMORY (RETRY).
 */
#ifndef MILLRACE_SHARD_ENGINE_QUERY_PARSER_H
#define MILLRACE_SHARD_ENGINE_QUERY_PARSER_H

#include "shard/engine/query.h"

struct query_parser {
	struct arena *arena;
	bool prefix_search;
	struct query query;
	size_t tokens;
	struct slice *words; /* of every term and exclusion, QUERY_TOKENS_MAX */
	size_t words_len;
	uint32_t position;    /* of the last word; before the first, one below 0 */
	bool has_last;        /* the last token is the last term */
	bool has_stop_word;   /* and a stop word */
	bool is_behind_space; /* the next token is the first, or behind a space */
	bool is_negative;     /* a dash was before */
	bool in_phrase;
	size_t phrase_words; /* it begins in `words` */
	uint32_t phrase_start;
	uint32_t phrase_end;
};

int query_parser_begin(struct query_parser *parser, struct arena *arena, bool prefix_search,
                       struct error *error);
/* 1, 0 when no further token changes anything, or negative. */
int query_parser_add(struct query_parser *parser, const struct token *token, struct error *error);
int query_parser_end(struct query_parser *parser, struct query *query, struct error *error);

#endif
