/*
 * Text: cut into tokens, the same for documents, queries and what is shown.
 *
 * Tokens cover the text without a gap. A token is a word, a stop word, or a
 * separator, soft or hard; its `form` is what it is compared by: decomposed
 * (NFKD), without control characters, lower case, spelling variants and
 * non-spacing marks dropped as its script asks.
 *
 * Rules are what settings say about cutting: separators added and excepted,
 * words kept whole, stop words. Immutable once made; read from any thread.
 * Without rules (NULL) the defaults hold.
 *
 * Cutting goes from left to right. At each place the longest string of several
 * characters that the rules cut out whole (separators, ". " and ", ", words of
 * the dictionary) is a token; else a separating character is; what stands
 * between is a word, cut where its script changes. Characters of no script
 * (digits, signs, marks) go with the script before them. Thai, Lao, Khmer,
 * Myanmar, Chinese and Japanese are cut by ICU's dictionaries. A token's kind
 * follows from its decomposed form, in the case in which it is written.
 *
 * Folding for filters (shared/filter) stands here too: NFKD, then Unicode's
 * lower case without a locale.
 *
 * A struct text holds scratch memory, which grows with the longest token that
 * is not ASCII, and ICU's iterators, opened when first needed; one thread at a
 * time. Failure: ERROR_MEMORY (RETRY), ERROR_LIMIT (REJECT) for a token of
 * more than TEXT_TOKEN_BYTES_MAX that is not ASCII, ERROR_STATE (FATAL) if
 * ICU's data are missing.
 */
#ifndef MILLRACE_SHARD_ENGINE_TEXT_H
#define MILLRACE_SHARD_ENGINE_TEXT_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

/* Words of a longer form are not indexed. */
#define TEXT_WORD_BYTES_MAX 250
#define TEXT_TOKEN_BYTES_MAX (INT32_MAX / 2)
/* A hard separator moves the next word so far. */
#define TEXT_HARD_GAP 8

struct text;
struct text_rules;

struct text_settings {
	const struct slice *separators; /* separatorTokens */
	size_t separators_len;
	const struct slice *not_separators; /* nonSeparatorTokens */
	size_t not_separators_len;
	const struct slice *dictionary;
	size_t dictionary_len;
	const struct slice *stop_words;
	size_t stop_words_len;
};

enum token_kind {
	TOKEN_WORD = 1,
	TOKEN_STOP_WORD,
	TOKEN_SOFT,
	TOKEN_HARD
};

struct token {
	enum token_kind kind;
	struct slice text; /* as it stands, of the text itself */
	struct slice form; /* borrowed until the next call; no control character in it; may be empty */
};

/* What `settings` lists is copied. */
int text_rules_new(const struct text_settings *settings, struct text_rules **rules, struct error *error);
void text_rules_free(struct text_rules *rules);

/* NULL when out of memory. */
struct text *text_new(void);
void text_free(struct text *text);
/* Of ICU's library and data, and of what this module does with them. */
uint32_t text_version(void);

/* Valid UTF-8 or not: invalid bytes count as U+FFFD. `bytes` and `rules` stay the caller's until the last token. */
void text_begin(struct text *text, const struct text_rules *rules, struct slice bytes);
/* 1 and the next token, 0 after the last, or an error, after which the text is begun anew or left. */
int text_next(struct text *text, struct token *token, struct error *error);
/* Bytes at the head of the token given last that make up so many characters of its form, each character folded by
 * itself; all of them if it has fewer. */
size_t text_head(struct text *text, const struct token *token, size_t characters);

/* Appends `bytes` folded for a filter; invalid UTF-8 counts as U+FFFD. */
int text_fold(struct text *text, struct slice bytes, struct buffer *folded, struct error *error);

#endif
