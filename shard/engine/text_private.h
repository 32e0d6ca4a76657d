/*
 * Text, inside: what settings say (text_rules.c) in the form that cutting
 * (text.c) asks for it.
 */
#ifndef MILLRACE_SHARD_ENGINE_TEXT_PRIVATE_H
#define MILLRACE_SHARD_ENGINE_TEXT_PRIVATE_H

#include "shard/engine/text.h"
#include "shard/engine/text_unicode.h"
#include "shared/base/arena.h"
#include "shared/base/map.h"

/* What a byte is at the beginning of a character. */
enum {
	BYTE_CUTS = 1,    /* is a separator */
	BYTE_LONGER = 2,  /* a string of several characters may begin, which is cut out whole */
	BYTE_FOREIGN = 4, /* not ASCII */
	BYTE_PAIR =
		64, /* is a separator, and with a space behind it another one; nothing longer begins with it */
	BYTE_LETTER = 8,
	BYTE_UPPER = 16,
	BYTE_CONTROL = 32
};

struct text_rules {
	uint8_t classes[256];
	uint8_t kinds[128];      /* enum token_kind of an ASCII character that stands alone */
	uint8_t pair_kinds[128]; /* of it with a space behind it */
	bool has_lists;          /* a word may be something else */
	struct map stop_words;
	struct map dictionary;
	struct map separators;
	struct map not_separators;
	struct slice *longer; /* of several characters, bytewise */
	size_t longer_len;
	struct arena arena; /* what the maps and `longer` borrow */
};

/* Bytes of the longest string that is cut out whole and that `text` begins with; 0: none. */
size_t rules_longest(const struct text_rules *rules, struct slice text);
/* Whether a character of a text separates. */
bool rules_cuts(const struct text_rules *rules, struct slice character, uint32_t c);
/* Of a piece by its decomposed form. */
enum token_kind rules_kind(const struct text_rules *rules, struct slice plain, struct slice piece);

#endif
