/*
 * Words beside: what the documents of a segment are cut into by other rules
 * than the segment's own words, so that settings can be built beside those in
 * force. They are the keys of an attribute (attributes.h) whose path no
 * document has, 0xFF and the digest of the rules (cutting.h), and are built,
 * stored, merged and dropped as the keys of any attribute are:
 *
 *   key   BE16 number of the attribute, the word
 *
 * with lists as words have them, places and all. What a segment covers of such
 * an attribute it has really; by its own rules it has no words beside.
 *
 * Pure.
 */
#ifndef MILLRACE_SHARD_CORE_WORDS_BESIDE_H
#define MILLRACE_SHARD_CORE_WORDS_BESIDE_H

#include "shard/core/attributes.h"
#include "shard/core/cutting.h"
#include "shard/core/words.h"

#define WORDS_BESIDE_PATH_BYTES 9
#define WORDS_BESIDE_HEAD_BYTES 2
#define WORDS_BESIDE_KEY_BYTES_MAX (WORDS_BESIDE_HEAD_BYTES + TEXT_WORD_BYTES_MAX)

/* What words of an attribute begin with. */
struct words_beside_head {
	uint8_t bytes[WORDS_BESIDE_HEAD_BYTES];
};

void words_beside_path(uint64_t digest, uint8_t path[WORDS_BESIDE_PATH_BYTES]);
/* False if the path is one of documents. */
bool words_beside_read(struct slice path, uint64_t *digest);
/* NULL if words by those rules are not among the attributes. */
const struct attribute *words_beside_find(const struct attributes *attributes, uint64_t digest);
struct words_beside_head words_beside_head(uint16_t attribute);
/* What is wanted of a segment whose own words are cut by those rules. */
struct value_cover words_beside_wanted(const struct attributes_ref *attributes, uint64_t own);
/* ERROR_DAMAGED (FATAL) if the rules of one are not among the cuttings. */
int words_beside_check(const struct attributes *attributes, const struct cuttings *cuttings,
                       struct error *error);

/* How documents of a segment are cut. */
struct words_beside {
	const struct attributes *attributes;
	const struct cuttings *cuttings; /* has the rules of all of them */
	uint64_t own;                    /* digest of the segment's own rules */
	struct fields *fields;           /* as words_of_body has them */
};

/* The keys of a document, each with its place, by attribute. Fails as words_of_body does. */
int words_beside_of_body(struct words *words, const struct words_beside *beside, struct slice body,
                         const struct words_sink *sink, struct error *error);

#endif
