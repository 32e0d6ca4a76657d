/*
 * Format: what a search shows of a document: the fields retrieved, `_formatted`
 * and `_matchesPosition`.
 *
 * `_formatted` has what is retrieved and what is cropped or highlighted, with
 * numbers as texts; it is there if a name of `crop` or `highlight` is displayed
 * and known, or is `*`. A field is shaped as its own name says, and those of
 * the fields that it is in and that are in it; else as `*` says.
 * `_matchesPosition` looks at every displayed field; of an array it has the
 * last element with matches.
 *
 * A match is found at a word of the text, from the left, without overlap. The
 * nodes of the query are tried joined terms first, then by their terms: whether
 * a phrase begins here (a phrase of the query, a synonym, or a term cut in two
 * words), and if none does, whether the word is a derivation by itself. A
 * match is marked as one, from its first word to its last; a word that a
 * prefix stands for, only as many characters as were typed.
 *
 * A crop of n words is the run of matches within n words that has most of the
 * query's terms, then is the tightest, then best in order, then the first; it
 * grows to both sides to n words. (The rules are Meilisearch's 1.50, in
 * milli's search/new/matches; so is the order of things.)
 *
 * The text of a number is as it stands in the document, and so is its
 * _formatted. Members keep the document's order.
 *
 * Pure. Whatever a request points to stays the caller's, unchanged, until
 * format_free. Memory: 16 bytes a token and 28 a match of the longest text.
 * Bounds: below, and JSON_DEPTH_MAX. One thread. Failure: ERROR_MEMORY (RETRY),
 * ERROR_LIMIT (REJECT), or what the cutter fails with.
 */
#ifndef MILLRACE_SHARD_ENGINE_FORMAT_H
#define MILLRACE_SHARD_ENGINE_FORMAT_H

#include "shard/engine/query.h"
#include "shared/json/json.h"

/* Names in any one list. */
#define FORMAT_NAMES_MAX 1024
/* Of one text, of what is added to a hit, and of all positions looked at on the way. */
#define FORMAT_BYTES_MAX (64U * 1024 * 1024)

struct format;

/* How a text is cut: as text_begin and text_next do. Tokens cover the text. */
struct format_cutter {
	void *context;
	void (*begin)(void *context, struct slice text);
	int (*next)(void *context, struct token *token, struct error *error);
	/* Bytes at the head of the token given last that make up so many characters of its form; all if it has fewer. */
	size_t (*head)(void *context, size_t characters);
};

struct format_synonyms {
	const struct query_phrase *phrases; /* of one word or more */
	size_t len;
};

struct format_matcher {
	const struct query *query;              /* no terms: nothing matches */
	const struct format_synonyms *synonyms; /* of each node of the query; NULL: of none */
	void *context;
	/* Bit i: the word is by itself a derivation of node i, exactly, as a prefix or with typos; those of phrases are
	 * not looked at. Asked at every word of every text. */
	uint32_t (*derived)(void *context, struct slice form);
};

struct format_names {
	const struct slice *names;
	size_t len;
};

struct format_request {
	struct format_names displayed; /* as the settings say; paths, or `*` among them: all */
	struct format_names retrieve;  /* `*`: all that is displayed */
	struct format_names crop;      /* `name` or `name:words`; of equal names the last counts */
	struct format_names highlight;
	uint32_t crop_words; /* where a name has none; 0: whole */
	struct slice crop_marker;
	struct slice pre_tag;
	struct slice post_tag;
	bool shows_positions;
	void *known_context;
	bool (*is_known)(void *context,
	                 struct slice path); /* whether any document has it; not asked for `*` */
	const struct format_matcher *matcher;
	const struct format_cutter *cutter;
};

/* The name in an entry of `crop`. */
struct slice format_crop_name(struct slice entry);
/* ERROR_LIMIT for too many names. */
int format_new(const struct format_request *request, struct format **format, struct error *error);
void format_free(struct format *format);

/*
 * Appends the members of a hit, without braces, maybe none. The document is an
 * object read by json_parse; members of its own called `_formatted` or
 * `_matchesPosition` give way to those added. A full buffer counts as
 * ERROR_MEMORY; after a failure the buffer has what it had.
 */
int format_append(struct format *format, yyjson_val *document, struct buffer *out, struct error *error);

#endif
