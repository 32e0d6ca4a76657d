/*
 * Sort of a snapshot: the value that each of some documents is sorted by in an
 * attribute.
 *
 * A document that has numbers is sorted by them, else by its strings: by the
 * smallest if rising, by the largest if falling; "" folded is none. In either
 * direction numbers come before strings, and documents without a value last.
 * Strings are whole, FILTER_VALUE_BYTES_MAX, so that values of several
 * replicas compare: where the chosen one is longer than a key, its document is
 * read.
 *
 * Cost: every key of the attribute, and every list, unless it is rising and
 * each document has its value. Documents of segments that do not cover the
 * attribute are read. Memory: an entry a document, and in the arena the keys
 * that were chosen for a while, each once a segment.
 *
 * One transaction a call, on any thread; `words` is the calling thread's.
 * Failure: as in snapshot.h.
 */
#ifndef MILLRACE_SHARD_CORE_SNAPSHOT_SORT_H
#define MILLRACE_SHARD_CORE_SNAPSHOT_SORT_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shard/core/values.h"
#include "shard/core/watch.h"

enum sort_kind {
	SORT_KIND_NUMBER = 0,
	SORT_KIND_STRING,
	SORT_KIND_NONE
};

struct sort_value {
	enum sort_kind kind;
	double number;     /* NUMBER */
	struct slice text; /* STRING */
};

struct sort_entry {
	uint64_t number; /* of the document */
	struct sort_value value;
};

struct sort_request {
	struct words *words;
	struct slice path;
	bool falling;
	const struct postings *within; /* live documents */
	struct watch *watch;           /* NULL: it takes as long as it does */
	struct arena *arena;           /* where the answer goes */
};

/* One entry a document, by rising number; adds to `bodies` those that were read. */
int snapshot_sort(const struct snapshot *snapshot, const struct sort_request *request,
                  struct sort_entry **entries, uint64_t *bodies, struct error *error);
/* Below 0: `a` comes first. */
int sort_value_compare(const struct sort_value *a, const struct sort_value *b, bool falling);

#endif
