/*
 * Unicode: what text needs of ICU; the one module that includes unicode/.
 *
 * A struct unicode holds scratch memory and ICU's word iterator, opened when
 * first needed; one thread at a time. Bytes that are not UTF-8 count as
 * U+FFFD, one for each longest part of a sequence.
 *
 * Failure: ERROR_MEMORY (RETRY); ERROR_LIMIT (REJECT) for a piece of more than
 * TEXT_TOKEN_BYTES_MAX; ERROR_STATE (FATAL) if ICU's data are missing.
 */
#ifndef MILLRACE_SHARD_ENGINE_TEXT_UNICODE_H
#define MILLRACE_SHARD_ENGINE_TEXT_UNICODE_H

#include "shard/engine/text.h"

enum script {
	SCRIPT_NONE = 0, /* goes with the script before it */
	SCRIPT_LATIN,
	SCRIPT_GREEK,
	SCRIPT_CYRILLIC,
	SCRIPT_ARMENIAN,
	SCRIPT_GEORGIAN,
	SCRIPT_HEBREW,
	SCRIPT_ARABIC,
	SCRIPT_THAI, /* the first that is written without spaces */
	SCRIPT_LAO,
	SCRIPT_KHMER,
	SCRIPT_MYANMAR,
	SCRIPT_HAN /* and Kana */
};

struct unicode;

/* NULL when out of memory. */
struct unicode *unicode_new(void);
void unicode_free(struct unicode *unicode);
/* Of ICU's library and data; the last byte is 0. */
uint32_t unicode_version(void);

/* The code point at the beginning of `text`, which is not empty, and its bytes. */
uint32_t unicode_first(struct slice text, size_t *bytes);
/* Of a code point; digits, signs and non-spacing marks have none. */
enum script unicode_script(uint32_t c);
/* Punctuation, spaces and mathematical signs, but for a few. */
bool unicode_separates(uint32_t c);

/* Replaces `plain`: NFKD without control characters. */
int unicode_decompose(struct unicode *unicode, struct slice text, struct buffer *plain, struct error *error);
/* Appends a decomposed text in lower case, spelling variants and marks dropped as the script asks; false when out of
 * memory. */
bool unicode_normalize(struct slice plain, enum script script, struct buffer *form);
/* Appends NFKD in Unicode's lower case without a locale. */
int unicode_fold(struct unicode *unicode, struct slice text, struct buffer *folded, struct error *error);

/* Words of a text in a script without spaces, by ICU's dictionaries. `run` is borrowed until the last of them. */
int unicode_cut(struct unicode *unicode, struct slice run, struct error *error);
/* Bytes of the next piece; 0 after the last. */
size_t unicode_cut_next(struct unicode *unicode);

#endif
