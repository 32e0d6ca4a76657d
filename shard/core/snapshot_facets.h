/*
 * Facets of a snapshot: which values some of its documents have in a field,
 * how many of them have each, and how it is spelled.
 *
 * Values are those of values.h, numbers by size, then folded strings; ""
 * folded is none. Counts are exact. A document that has a value twice counts
 * once. Strings are whole, FILTER_VALUE_BYTES_MAX: of one that is longer than a
 * key, told by its beginning, a document is read. They come bytewise, but those
 * that are longer than VALUE_TEXT_BYTES_MAX and begin alike in an order that is
 * fixed for a snapshot and means nothing. Smallest and largest number of
 * facetStats are the first and the last NUMBER that is given.
 *
 * A spelling is the string as it stands in a document. A value's is the
 * bytewise smallest that any live document has, not only those that are
 * counted.
 *
 * Cost: every key of the field, and every list; a spelling a look-up in each
 * segment. Documents are read, all live ones, of segments that do not cover
 * the field, when it is opened; and those that have a string that is longer
 * than a key, or whose spelling is, when that is spelled. Memory: keys that are
 * made, a body.
 *
 * A struct facet_field is one transaction, of one thread; `words` is that
 * thread's. Failure: as in snapshot.h.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_FACETS_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_FACETS_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shard/core/values.h"
#include "shard/core/watch.h"

struct facet_field;

/* A value that documents have. */
struct facet {
	bool is_number;
	double number;
	struct slice text;  /* else; folded */
	uint64_t documents; /* at least 1 */
};

struct facet_visitor {
	/* By rising value, borrowed until it returns. False: enough. */
	bool (*visit)(void *context, const struct facet *facet);
	void *context;
};

/* The snapshot, the path and the watch (NULL: there is always time) are borrowed as long as the field is open. */
int facet_field_open(const struct snapshot *snapshot, struct words *words, struct slice path,
                     struct watch *watch, struct facet_field **field, struct error *error);
/* NULL: nothing happens. */
void facet_field_close(struct facet_field *field);
/* Documents that were read. */
uint64_t facet_field_bodies(const struct facet_field *field);
/* Whether the path reaches anything in a live document. */
int facet_field_exists(struct facet_field *field, bool *exists, struct error *error);
/* Of `within`, live documents. */
int facet_field_count(struct facet_field *field, const struct postings *within,
                      const struct facet_visitor *visitor, struct error *error);
/* Puts the spelling of a folded string into `spelling`, if that is empty or above it; leaves it, if no document has the
 * string. */
int facet_field_spell(struct facet_field *field, struct slice folded, struct buffer *spelling,
                      struct error *error);

#endif
