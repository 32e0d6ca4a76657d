#include "shard/core/facet_table.h"

#include "shard/core/words_number.h"

#include "shared/json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 65536
/* Of a spelling, which is as long as its document lets it be. */
#define SPELLING_BYTES_MAX ((size_t)64 << 20)
#define ROWS_FIRST 64
/* Before the key, so that "5" and 5 differ. */
#define MARK_NUMBER 'n'
#define MARK_STRING 's'

_Static_assert(FACET_NUMBER_BYTES_MAX == NUMBER_BYTES_MAX, "both write there");

/* A number that is not whole: with 15 digits if these say it, which then are the fewest that do. */
static void number_print(double number, char text[NUMBER_BYTES_MAX])
{
	yyjson_val back;

	(void)snprintf(text, NUMBER_BYTES_MAX, "%.15g", number);
	if (yyjson_read_number(text, &back, YYJSON_READ_NOFLAG, NULL, NULL) == NULL ||
	    yyjson_get_num(&back) != number)
		(void)snprintf(text, NUMBER_BYTES_MAX, "%.17g", number);
}

struct slice facet_number(double number, bool is_key, char text[FACET_NUMBER_BYTES_MAX])
{
	char printed[NUMBER_BYTES_MAX];

	number += 0.0;
	if (is_key && trunc(number) == number)
		return slice_of(text, (size_t)snprintf(text, FACET_NUMBER_BYTES_MAX, "%.0f", number));
	if (trunc(number) == number)
		(void)snprintf(printed, sizeof printed, "%.16e", number);
	else
		number_print(number, printed);
	/* either in `text` or in `printed` */
	struct slice written = words_number(slice_string(printed), text);

	if (written.ptr != (const uint8_t *)text)
		memcpy(text, written.ptr, written.len);
	return slice_of(text, written.len);
}

struct filling {
	struct facet_table *table;
	struct error *error;
	bool has_failed;
};

static bool rows_grow(struct facet_table *table)
{
	size_t size = table->rows_size == 0 ? ROWS_FIRST : 2 * table->rows_size;
	struct facet_row *rows;

	if (table->rows_len < table->rows_size)
		return true;
	rows = realloc(table->rows, size * sizeof *rows);
	if (rows == NULL)
		return false;
	table->rows = rows;
	table->rows_size = size;
	return true;
}

static bool row_add(struct facet_table *table, const struct facet *facet, struct slice marked)
{
	struct slice kept;

	if (!rows_grow(table) || !arena_copy(&table->arena, marked, &kept) ||
	    !map_put(&table->by_value, kept, table->rows_len))
		return false;
	table->rows[table->rows_len++] = (struct facet_row){.is_number = facet->is_number,
	                                                    .number = facet->number,
	                                                    .key = slice_of(kept.ptr + 1, kept.len - 1),
	                                                    .count = facet->documents};
	return true;
}

static bool facet_add(void *context, const struct facet *facet)
{
	struct filling *filling = context;
	struct facet_table *table = filling->table;
	char text[FACET_NUMBER_BYTES_MAX];
	uint64_t *at;

	buffer_clear(&table->scratch);
	buffer_put_u8(&table->scratch, facet->is_number ? MARK_NUMBER : MARK_STRING);
	buffer_append_slice(&table->scratch,
	                    facet->is_number ? facet_number(facet->number, true, text) : facet->text);
	at = map_get(&table->by_value, buffer_slice(&table->scratch));
	if (at != NULL)
		table->rows[*at].count += facet->documents;
	else if (buffer_failed(&table->scratch) || !row_add(table, facet, buffer_slice(&table->scratch)))
		filling->has_failed = true;
	return !filling->has_failed;
}

static int snapshot_add(struct facet_table *table, size_t at, struct slice path, struct error *error)
{
	struct facets_scope *scope = table->scope;
	struct filling filling = {.table = table, .error = error};
	struct facet_visitor visitor = {facet_add, &filling};
	bool exists = false;

	scope->failed = at;
	if (facet_field_open(scope->snapshots[at], scope->words, path, scope->watch, &table->fields[at],
	                     error) != 0 ||
	    facet_field_exists(table->fields[at], &exists, error) != 0)
		return error->code;
	table->exists |= exists;
	if (!exists)
		return 0;
	if (facet_field_count(table->fields[at], &scope->counted[at], &visitor, error) != 0)
		return error->code;
	return filling.has_failed ? error_memory(error, table->scratch.len) : 0;
}

int facet_table_open(struct facet_table *table, struct facets_scope *scope, struct slice path,
                     struct error *error)
{
	*table = (struct facet_table){.scope = scope};
	map_init(&table->by_value);
	arena_init(&table->arena, ARENA_BLOCK_BYTES);
	buffer_init(&table->scratch, SPELLING_BYTES_MAX);
	table->fields = calloc(scope->len + 1, sizeof *table->fields);
	if (table->fields == NULL)
		return error_memory(error, scope->len * sizeof *table->fields);
	for (size_t i = 0; i < scope->len; i++)
		if (snapshot_add(table, i, path, error) != 0)
			return error->code;
	return 0;
}

void facet_table_close(struct facet_table *table)
{
	for (size_t i = 0; table->fields != NULL && i < table->scope->len; i++) {
		if (table->fields[i] != NULL)
			table->scope->bodies += facet_field_bodies(table->fields[i]);
		facet_field_close(table->fields[i]);
	}
	free(table->fields);
	free(table->rows);
	map_deinit(&table->by_value);
	buffer_deinit(&table->scratch);
	arena_deinit(&table->arena);
}

int facet_table_spell(struct facet_table *table, struct facet_row *row, struct error *error)
{
	struct facets_scope *scope = table->scope;

	if (row->is_number) {
		row->spelling = row->key;
		return 0;
	}
	buffer_clear(&table->scratch);
	for (size_t i = 0; i < scope->len; i++) {
		scope->failed = i;
		if (facet_field_spell(table->fields[i], row->key, &table->scratch, error) != 0)
			return error->code;
	}
	if (!arena_copy(&table->arena, buffer_slice(&table->scratch), &row->spelling))
		return error_memory(error, table->scratch.len);
	return 0;
}
