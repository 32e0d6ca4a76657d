/*
 * Tables for people; the one file that includes libsmartcols.
 */
#include "shared/cli/cli.h"

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

struct column {
	const char *title;
	const char *member;
	int flags;
};

static const struct column columns[] = {
	{"UID", "uid", 0},
	{"PRIMARY KEY", "primaryKey", 0},
	{"DOCUMENTS", "numberOfDocuments", SCOLS_FL_RIGHT},
	{"PARTITIONS", "partitions", SCOLS_FL_RIGHT},
	{"PARTITIONER", "partitioner", 0},
	{"TOPIC", "topic", 0},
	{"CREATED", "createdAt", 0},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

static int fill_cell(struct libscols_line *line, size_t column, yyjson_val *value)
{
	char number[32];

	if (yyjson_is_str(value))
		return scols_line_set_data(line, column, yyjson_get_str(value));
	if (!yyjson_is_int(value))
		return scols_line_set_data(line, column, "-");
	(void)snprintf(number, sizeof number, "%" PRId64, yyjson_get_sint(value));
	return scols_line_set_data(line, column, number);
}

static int fill_table(struct libscols_table *table, yyjson_val *results)
{
	yyjson_val *index;
	size_t at;
	size_t len;

	for (size_t i = 0; i < COLUMNS; i++)
		if (scols_table_new_column(table, columns[i].title, 0, columns[i].flags) == NULL)
			return -1;
	yyjson_arr_foreach(results, at, len, index)
	{
		struct libscols_line *line = scols_table_new_line(table, NULL);

		for (size_t i = 0; i < COLUMNS; i++)
			if (line == NULL || fill_cell(line, i, yyjson_obj_get(index, columns[i].member)) != 0)
				return -1;
	}
	return 0;
}

int cli_print_indexes(yyjson_val *results)
{
	struct libscols_table *table = scols_new_table();
	int result = table == NULL ? -1 : fill_table(table, results);

	/* libsmartcols prints nothing at all for a table without lines */
	if (result == 0 && yyjson_arr_size(results) == 0)
		printf("no indexes\n");
	else if (result == 0)
		result = scols_print_table(table) < 0 ? -1 : 0;
	scols_unref_table(table);
	return result;
}
