/*
 * Words: what of a document is indexed: the words of its text (text.h), each
 * with its place, and how many words its short fields have.
 *
 * Text is every string at any depth, numbers and booleans by their JSON text;
 * keys and null are not. A number's is what is shown of it (words_number.h). A
 * place is the field that the value stands at (fields.h) and the position
 * there. The first word of a field is at 0; the next one is 1 further, over a
 * hard separator TEXT_HARD_GAP further, and the first of another value of the
 * same field TEXT_HARD_GAP behind the last of the one before. Values that
 * share an array with objects inside an object begin at TEXT_HARD_GAP. Stop
 * words are left out, words over TEXT_WORD_BYTES_MAX and words beyond position
 * 65,535 dropped; each keeps its position.
 *
 * A field of 1..WORD_FIELD_WORDS_MAX words, stop words not counted, has a word
 * of its own: WORD_FIELD_LENGTH, at the position that is their number. No form
 * contains that byte, so no search asks for it unawares.
 *
 * A struct words holds scratch memory; one thread at a time. Failure:
 * ERROR_MEMORY (RETRY), ERROR_FORMAT or ERROR_LIMIT (REJECT) for a body that
 * is not JSON.
 */
#ifndef MILLRACE_SHARD_CORE_WORDS_H
#define MILLRACE_SHARD_CORE_WORDS_H

#include "shard/core/fields.h"
#include "shard/engine/place.h"
#include "shard/engine/text.h"

#define WORD_FIELD_LENGTH "\x01"
#define WORD_FIELD_WORDS_MAX 30

struct words;

struct words_sink {
	/* The word is borrowed until it returns; it has no NUL byte. False: out of memory. */
	bool (*word)(void *context, struct slice word, struct place place);
	void *context;
};

/* NULL when out of memory. */
struct words *words_new(void);
void words_free(struct words *words);
/* What it cuts by; the caller's between its calls. */
struct text *words_text(struct words *words);

/* Cut as `rules` say (NULL: the defaults). Paths that are new to `fields` are added, also by a call that fails. */
int words_of_body(struct words *words, const struct text_rules *rules, struct slice body,
                  struct fields *fields, const struct words_sink *sink, struct error *error);

#endif
