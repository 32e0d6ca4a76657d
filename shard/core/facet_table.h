/*
 * Facet table: the values that counted documents of several snapshots have in
 * one field, summed up. What search_facets.c stands on.
 *
 * A row is a value that is counted somewhere. A spelling is that of all live
 * documents of all the snapshots, found when it is asked for.
 *
 * Owner: one thread; a transaction of each snapshot is open from _open to
 * _close. Memory: all distinct values. Failure: as in snapshot_facets.h.
 */
#ifndef MILLRACE_SHARD_CORE_FACET_TABLE_H
#define MILLRACE_SHARD_CORE_FACET_TABLE_H

#include "shard/core/search_facets.h"
#include "shard/core/snapshot_facets.h"
#include "shared/base/arena.h"
#include "shared/base/map.h"

struct facet_row {
	bool is_number;
	double number;
	struct slice
		key; /* the folded string, or the number as text, which a whole one has without a point */
	uint64_t count;
	struct slice spelling; /* ptr NULL: not asked for; a number's is its key */
	struct slice order;    /* its owner's */
};

struct facet_table {
	struct facets_scope *scope;
	struct facet_field **fields; /* by snapshot */
	bool exists;                 /* the path reaches something in a live document */
	struct facet_row *rows;
	size_t rows_len;
	size_t rows_size;
	struct map by_value;
	struct buffer scratch;
	struct arena arena;
};

/* Whatever it says, _close follows. A path that does not exist has no rows. */
int facet_table_open(struct facet_table *table, struct facets_scope *scope, struct slice path,
                     struct error *error);
void facet_table_close(struct facet_table *table);
int facet_table_spell(struct facet_table *table, struct facet_row *row, struct error *error);

/* A finite number as a key, or, with a point in every one, as JSON. */
#define FACET_NUMBER_BYTES_MAX 512
struct slice facet_number(double number, bool is_key, char text[FACET_NUMBER_BYTES_MAX]);

#endif
