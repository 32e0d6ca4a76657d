/*
 * Words: how text becomes the words that are indexed and searched.
 *
 * One function for documents and queries, so that both cut and fold alike:
 * ASCII bytes that are neither letters nor digits always separate; a stretch
 * without them is one word if it is ASCII (lower-cased), else it is folded by
 * ICU (NFKC_Casefold), cut where a code point is no letter, digit or mark,
 * cut by ICU's dictionaries where words are written without spaces (Thai,
 * Lao, Khmer, Myanmar, Chinese, Japanese), and decomposed (NFKD). Non-spacing
 * marks are dropped after Latin, Greek, Hebrew, Arabic and Thai letters only;
 * elsewhere they tell words apart. Words over WORD_BYTES_MAX are dropped.
 *
 * Words of a document: every string value at any depth, numbers and booleans
 * by their JSON text; keys and null are not words. Each has a place: the field
 * that its value stands at (fields.h) and its position there. The first word
 * of a field is at 0; the next one is 1 further, behind a hard separator
 * POSITION_FAR further, and the first of another value of the same field
 * POSITION_FAR behind the last of the one before. Hard separators are
 * ! ; ? ¡ ¿ § ¶ …, a full stop or comma with a space behind it, and what ends a
 * sentence or clause in other scripts. A word that is dropped for its length
 * keeps its position. Positions of a query are counted alike, in field 0.
 *
 * Folding for filters (shared/filter) stands here too: NFKD, then Unicode's
 * lower case without a locale.
 *
 * What comes out is part of a replica's format: words_version changes with
 * ICU's data. This module alone includes unicode/.
 *
 * A struct words holds scratch memory and ICU's break iterator (opened when
 * first needed); one thread at a time. Failure: ERROR_MEMORY (RETRY),
 * ERROR_FORMAT or ERROR_LIMIT (REJECT) for a body that is not JSON.
 */
#ifndef MILLRACE_SHARD_CORE_WORDS_H
#define MILLRACE_SHARD_CORE_WORDS_H

#include "shard/core/fields.h"
#include "shard/core/posting_list.h"

#define WORD_BYTES_MAX 250
#define POSITION_FAR 8

struct words;

struct words_sink {
	/* The word is borrowed until it returns; it has no NUL byte. False: out of memory. */
	bool (*word)(void *context, struct slice word, struct place place);
	void *context;
};

/* NULL when out of memory. */
struct words *words_new(void);
void words_free(struct words *words);
/* Of ICU's library and data. */
uint32_t words_version(void);

/* Any bytes; invalid UTF-8 counts as U+FFFD, which separates. */
int words_of_text(struct words *words, struct slice text, const struct words_sink *sink, struct error *error);
/* True if the text last cut ended inside a word, false if after a separator. */
bool words_is_open(const struct words *words);
/* Paths that are new to `fields` are added, also by a call that fails. */
int words_of_body(struct words *words, struct slice body, struct fields *fields,
                  const struct words_sink *sink, struct error *error);
/* Appends `text` folded for a filter; invalid UTF-8 counts as U+FFFD. */
int words_fold(struct words *words, struct slice text, struct buffer *folded, struct error *error);

#endif
