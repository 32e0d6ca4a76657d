/*
 * Tables for people; the one file that includes libsmartcols.
 */
#include "shared/cli/cli.h"

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cli_column index_columns[] = {
	{"UID", "uid", false},
	{"PRIMARY KEY", "primaryKey", false},
	{"DOCUMENTS", "numberOfDocuments", true},
	{"PARTITIONS", "partitions", true},
	{"PARTITIONER", "partitioner", false},
	{"TOPIC", "topic", false},
	{"CREATED", "createdAt", false},
	{NULL, NULL, false},
};

static int fill_cell(struct libscols_line *line, size_t column, yyjson_val *value)
{
	char number[32];

	if (yyjson_is_str(value))
		return scols_line_set_data(line, column, yyjson_get_str(value));
	if (yyjson_is_bool(value))
		return scols_line_set_data(line, column, yyjson_get_bool(value) ? "yes" : "no");
	if (!yyjson_is_int(value))
		return scols_line_set_data(line, column, "-");
	(void)snprintf(number, sizeof number, "%" PRId64, yyjson_get_sint(value));
	return scols_line_set_data(line, column, number);
}

static int fill_table(struct libscols_table *table, const struct cli_column *columns, yyjson_val *rows)
{
	yyjson_val *row;
	size_t at;
	size_t len;

	for (size_t i = 0; columns[i].title != NULL; i++)
		if (scols_table_new_column(table, columns[i].title, 0,
		                           columns[i].right ? SCOLS_FL_RIGHT : 0) == NULL)
			return -1;
	yyjson_arr_foreach(rows, at, len, row)
	{
		struct libscols_line *line = scols_table_new_line(table, NULL);

		for (size_t i = 0; columns[i].title != NULL; i++)
			if (line == NULL || fill_cell(line, i, yyjson_obj_get(row, columns[i].member)) != 0)
				return -1;
	}
	return 0;
}

int cli_print_table(const struct cli_column *columns, yyjson_val *rows, const char *none)
{
	struct libscols_table *table = scols_new_table();
	int result = table == NULL ? -1 : fill_table(table, columns, rows);

	/* libsmartcols prints nothing at all for a table without lines */
	if (result == 0 && yyjson_arr_size(rows) == 0)
		printf("%s\n", none);
	else if (result == 0)
		result = scols_print_table(table) < 0 ? -1 : 0;
	scols_unref_table(table);
	return result;
}

int cli_print_indexes(yyjson_val *results)
{
	return cli_print_table(index_columns, results, "no indexes");
}
