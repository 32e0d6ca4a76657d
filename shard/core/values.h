/*
 * Values: what documents have in the attributes that settings name, as keys
 * that are looked up and walked through as words are (terms.h, dictionary.h).
 *
 * An attribute is a path and a number. What the path reaches in a document,
 * which scalars that has, and how those are folded and compared is what
 * shared/filter says (filter_value.h), so that a look-up finds what
 * filter_matches would. A key is
 *
 *   BE16 number of the attribute, u8 kind, payload
 *     EXISTS  –  the path reaches something, be it null; a document without it lacks the attribute
 *     NULL    –  it reaches null
 *     EMPTY   –  it reaches "", [] or {}
 *     NUMBER  BE64: a double's bits with the sign turned over, or all of them if it is negative; −0 is 0
 *     STRING  folded; longer than VALUE_TEXT_BYTES_MAX: that much of it and a hash of the whole
 *     SPELLING  folded, 0xFF, as it stands in the document; VALUE_PAYLOAD_BYTES_MAX in all, the rest cut off
 *     POINT   BE64 latitude, BE64 longitude, each as in a NUMBER, but −0 as it is, directly below 0
 *
 * A SPELLING is there where it differs from the folded text, and that fits.
 * All of one value stand together, the bytewise smallest first. Where a
 * document has a STRING but no SPELLING of it, the folded text itself is one;
 * it is written down only beside another one of the attribute that is above
 * what it folds to. So the smallest spelling of a value is its first SPELLING,
 * or the folded text if a document has none and that is smaller.
 *
 * The attribute `_geo` alone has POINTs, one where the document has a place (filter_point.h).
 *
 * Booleans are the strings true and false. Arrays give the key of each element,
 * also of arrays in them. A number that no double holds and "" are only EXISTS
 * (and EMPTY). A path that ends at an object has no scalars: those below it
 * belong to attributes of their own.
 *
 * Bytewise order is that of sorting: numbers by size, then strings byte by
 * byte, and behind them what only shows how these were written. Equal keys are equal values, but for hashes of 128 bits that collide.
 * Strings that agree in their first VALUE_TEXT_BYTES_MAX bytes and are longer
 * stand together, behind what they begin with and before whatever is above
 * that, in an order that is fixed and means nothing: where a bound of a range
 * begins with those bytes and is longer, a key of them does not tell on which
 * side it stands (value_compare), and their documents have to be asked.
 *
 * Cost: a body is parsed once more, and each attribute looks at every member
 * of the objects on its path: about what cutting the words costs (measured: 10
 * attributes in a document of 20 members and 700 bytes 5.6 µs, its words 4.6). A
 * value takes 4 bytes a document (a distance, and the place that lists of words
 * have), a distinct one its key besides, front coded: about 10 bytes for a
 * number. A SPELLING costs as much again: 4 bytes a document, and a distinct
 * one a key of the folded text and itself, of which the front is coded; text
 * in lower case without composed accents costs nothing more. An attribute that
 * has both a spelling above its folded text and plain strings is cut twice.
 *
 * Pure; the text given is the calling thread's. Failure: ERROR_MEMORY
 * (RETRY), ERROR_FORMAT or ERROR_LIMIT (REJECT) for a body that is not JSON.
 */
#ifndef MILLRACE_SHARD_CORE_VALUES_H
#define MILLRACE_SHARD_CORE_VALUES_H

#include "shard/engine/text.h"
#include "shared/filter/filter_point.h"

/* Of documents; beside them there may be words by other rules, those in force and those that are coming (words_beside.h). */
#define VALUE_PATHS_MAX 64
#define VALUE_ATTRIBUTES_MAX (VALUE_PATHS_MAX + 2)
/* Numbers are below it: more than there are attributes, so that one which was dropped waits for its keys to go. */
#define VALUE_NUMBERS_MAX 128
#define VALUE_HEAD_BYTES 3
#define VALUE_TEXT_BYTES_MAX 235
#define VALUE_HASH_BYTES 16
#define VALUE_PAYLOAD_BYTES_MAX (VALUE_TEXT_BYTES_MAX + VALUE_HASH_BYTES)
#define VALUE_KEY_BYTES_MAX (VALUE_HEAD_BYTES + VALUE_PAYLOAD_BYTES_MAX)

enum value_kind {
	VALUE_KIND_EXISTS = 1,
	VALUE_KIND_NULL,
	VALUE_KIND_EMPTY,
	VALUE_KIND_NUMBER,
	VALUE_KIND_STRING,
	VALUE_KIND_SPELLING,
	VALUE_KIND_POINT
};

struct attribute {
	uint16_t number;
	struct slice path;
};

/* Borrowed; distinct numbers and paths. */
struct attributes {
	size_t len;
	struct attribute list[VALUE_ATTRIBUTES_MAX];
};

/* A set of numbers. */
struct value_cover {
	uint64_t bits[VALUE_NUMBERS_MAX / 64];
};

struct value_key {
	size_t len;
	uint8_t bytes[VALUE_KEY_BYTES_MAX];
};

/* What a key says. */
struct value {
	uint16_t attribute;
	enum value_kind kind;
	double number;     /* NUMBER */
	struct slice text; /* STRING, borrowed: the whole, or its beginning; SPELLING: of which value */
	bool is_cut;       /* it is a beginning */
	struct slice spelling;
	bool spelling_is_cut; /* it may be a beginning */
	struct point point;   /* POINT */
};

static inline bool value_cover_has(const struct value_cover *cover, uint16_t number)
{
	return number < VALUE_NUMBERS_MAX && (cover->bits[number / 64] >> number % 64 & 1) != 0;
}

static inline void value_cover_add(struct value_cover *cover, uint16_t number)
{
	cover->bits[number / 64] |= 1ULL << number % 64;
}

static inline void value_cover_or(struct value_cover *cover, const struct value_cover *other)
{
	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		cover->bits[i] |= other->bits[i];
}

static inline void value_cover_and(struct value_cover *cover, const struct value_cover *other)
{
	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		cover->bits[i] &= other->bits[i];
}

static inline void value_cover_and_not(struct value_cover *cover, const struct value_cover *other)
{
	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		cover->bits[i] &= ~other->bits[i];
}

static inline bool value_cover_is_empty(const struct value_cover *cover)
{
	uint64_t any = 0;

	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		any |= cover->bits[i];
	return any == 0;
}

/* True if it has all that the other has. */
static inline bool value_cover_holds(const struct value_cover *cover, const struct value_cover *other)
{
	struct value_cover lacking = *other;

	value_cover_and_not(&lacking, cover);
	return value_cover_is_empty(&lacking);
}

/* The attribute that a key belongs to, UINT16_MAX if it is none; its first byte is 0, which no word has. */
static inline uint16_t value_key_attribute(struct slice key)
{
	return (uint16_t)(key.len < VALUE_HEAD_BYTES ? UINT16_MAX : key.ptr[0] << 8 | key.ptr[1]);
}

/* EXISTS, NULL and EMPTY; of the others what all their keys begin with. */
void value_key_kind(struct value_key *key, uint16_t attribute, enum value_kind kind);
/* A finite one. */
void value_key_number(struct value_key *key, uint16_t attribute, double number);
/* Folded, as a filter's literal is. */
void value_key_text(struct value_key *key, uint16_t attribute, struct slice folded);
/* `folded` of 1 to VALUE_TEXT_BYTES_MAX bytes; with an empty spelling what all keys of the value begin with. */
void value_key_spelling(struct value_key *key, uint16_t attribute, struct slice folded,
                        struct slice spelling);
/* Of degrees that may be infinite, as bounds. */
void value_key_point(struct value_key *key, uint16_t attribute, const struct point *point);
/* False if it is no such key. */
bool value_read(struct slice key, struct value *value);
/* Where a value of kind STRING stands beside a folded text: below 0, 0 or above. False if its key does not tell. */
bool value_compare(const struct value *value, struct slice folded, int *order);

struct values_sink {
	/* The key is borrowed until it returns, and may be given twice. False: out of memory. */
	bool (*value)(void *context, struct slice key);
	void *context;
};

/* The keys of a document, by attribute. */
int values_of_body(struct text *text, struct slice body, const struct attributes *attributes,
                   const struct values_sink *sink, struct error *error);

#endif
