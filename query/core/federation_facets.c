/* Facets of a federated list: an index's own, or all of them added up. */
#include "query/core/federation.h"

#include "query/core/json_text.h"
#include "shared/base/map.h"

#include <inttypes.h>
#include <stdlib.h>

/* How often a value of a facet occurs; without a value the facet itself. */
struct row {
	struct slice field;
	struct slice value; /* ptr NULL: of the facet */
	uint64_t count;
	yyjson_val *min; /* of the facet; NULL: it has no numbers */
	yyjson_val *max;
};

struct rows {
	struct row *list;
	size_t len;
	size_t size;
	struct map places;
	struct arena keys;
	bool failed;
};

static void append_by_index(const struct federation *federation, struct buffer *body)
{
	const struct federation_request *request = &federation->request->federation;

	buffer_append_string(body, ",\"facetsByIndex\":{");
	for (size_t i = 0; i < request->facets_len; i++) {
		struct slice counts = slice_string("{}");
		struct slice stats = slice_string("{}");

		if (federation->facets[i].ptr != NULL) {
			(void)json_text_member(federation->facets[i], "facetDistribution", &counts);
			(void)json_text_member(federation->facets[i], "facetStats", &stats);
		}
		buffer_append_string(body, i > 0 ? "," : "");
		json_append_string(body, request->facets[i].uid);
		buffer_printf(body, ":{\"distribution\":%.*s,\"stats\":%.*s}", SLICE_ARGS(counts),
		              SLICE_ARGS(stats));
	}
	buffer_put_u8(body, '}');
}

/* ---- added up ---- */

static struct row *row_of(struct rows *rows, struct slice field, struct slice value)
{
	uint32_t field_len = (uint32_t)field.len;
	size_t len = sizeof field_len + field.len + 1 + value.len;
	uint8_t *key = arena_alloc(&rows->keys, len + 1);
	const uint64_t *at;

	if (key == NULL)
		return NULL;
	memcpy(key, &field_len, sizeof field_len);
	if (field.ptr != NULL)
		memcpy(key + sizeof field_len, field.ptr, field.len);
	key[sizeof field_len + field.len] = value.ptr != NULL;
	if (value.ptr != NULL)
		memcpy(key + len - value.len, value.ptr, value.len);
	at = map_get(&rows->places, slice_of(key, len));
	if (at != NULL)
		return &rows->list[*at];
	if (rows->len == rows->size) {
		size_t size = rows->size > 0 ? 2 * rows->size : 64;
		struct row *list = realloc(rows->list, size * sizeof list[0]);

		if (list == NULL)
			return NULL;
		rows->list = list;
		rows->size = size;
	}
	if (!map_put(&rows->places, slice_of(key, len), rows->len))
		return NULL;
	rows->list[rows->len] = (struct row){.field = field, .value = value};
	return &rows->list[rows->len++];
}

static double number_of(yyjson_val *value)
{
	return yyjson_get_num(value);
}

static void add_stats(struct rows *rows, yyjson_val *stats)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t len;

	yyjson_obj_foreach(stats, at, len, key, value)
	{
		struct row *row = row_of(rows, json_string(key), slice_of(NULL, 0));
		yyjson_val *min = yyjson_obj_get(value, "min");
		yyjson_val *max = yyjson_obj_get(value, "max");

		rows->failed |= row == NULL;
		if (row == NULL)
			return;
		if (row->min == NULL || number_of(min) < number_of(row->min))
			row->min = min;
		if (row->max == NULL || number_of(max) > number_of(row->max))
			row->max = max;
	}
}

static void add_counts(struct rows *rows, yyjson_val *counts)
{
	yyjson_val *field;
	yyjson_val *values;
	size_t at;
	size_t len;

	yyjson_obj_foreach(counts, at, len, field, values)
	{
		yyjson_val *value;
		yyjson_val *count;
		size_t value_at;
		size_t values_len;

		rows->failed |= row_of(rows, json_string(field), slice_of(NULL, 0)) == NULL;
		yyjson_obj_foreach(values, value_at, values_len, value, count)
		{
			struct row *row = row_of(rows, json_string(field), json_string(value));

			if (row != NULL)
				row->count += yyjson_get_uint(count);
			rows->failed |= row == NULL;
		}
	}
}

/* By field, the facet itself first, then by value. */
static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left;
	const struct row *b = right;
	int order = slice_compare(a->field, b->field);

	if (order != 0)
		return order;
	if (a->value.ptr == NULL || b->value.ptr == NULL)
		return (a->value.ptr != NULL) - (b->value.ptr != NULL);
	return slice_compare(a->value, b->value);
}

static void append_counts(const struct rows *rows, uint64_t values_max, struct buffer *body)
{
	uint64_t shown = 0;

	for (size_t i = 0; i < rows->len; i++) {
		const struct row *row = &rows->list[i];

		if (row->value.ptr == NULL) {
			buffer_append_string(body, i > 0 ? "}," : "");
			json_append_string(body, row->field);
			buffer_append_string(body, ":{");
			shown = 0;
		} else if (shown < values_max) {
			buffer_append_string(body, shown++ > 0 ? "," : "");
			json_append_string(body, row->value);
			buffer_printf(body, ":%" PRIu64, row->count);
		}
	}
	buffer_append_string(body, rows->len > 0 ? "}" : "");
}

static void append_stats(struct rows *rows, struct buffer *body)
{
	const char *before = "";
	struct error error;

	for (size_t i = 0; i < rows->len; i++) {
		const struct row *row = &rows->list[i];

		if (row->min == NULL)
			continue;
		buffer_append_string(body, before);
		before = ",";
		json_append_string(body, row->field);
		buffer_append_string(body, ":{\"min\":");
		rows->failed |= json_append_value(body, row->min, &error) < 0;
		buffer_append_string(body, ",\"max\":");
		rows->failed |= json_append_value(body, row->max, &error) < 0;
		buffer_put_u8(body, '}');
	}
}

/* What one index has; what the rows point to is kept by `doc`. */
static void add_facets(struct rows *rows, struct slice facets, yyjson_doc **doc)
{
	struct error error;
	yyjson_val *root;

	*doc = NULL;
	if (facets.ptr == NULL)
		return;
	rows->failed |= json_parse_typed(facets, doc, &error) < 0;
	root = yyjson_doc_get_root(*doc);
	add_counts(rows, yyjson_obj_get(root, "facetDistribution"));
	add_stats(rows, yyjson_obj_get(root, "facetStats"));
}

static void append_merged(const struct federation *federation, struct buffer *body)
{
	const struct federation_request *request = &federation->request->federation;
	yyjson_doc **docs = arena_alloc(federation->arena, request->facets_len * sizeof docs[0]);
	struct rows rows = {.failed = docs == NULL};

	arena_init(&rows.keys, 4096);
	map_init(&rows.places);
	for (size_t i = 0; docs != NULL && i < request->facets_len; i++)
		add_facets(&rows, federation->facets[i], &docs[i]);
	if (rows.len > 1)
		qsort(rows.list, rows.len, sizeof rows.list[0], compare_rows);
	buffer_append_string(body, ",\"facetDistribution\":{");
	append_counts(&rows, request->values_max, body);
	buffer_append_string(body, "},\"facetStats\":{");
	append_stats(&rows, body);
	buffer_put_u8(body, '}');
	body->failed |= rows.failed;
	for (size_t i = 0; docs != NULL && i < request->facets_len; i++)
		yyjson_doc_free(docs[i]);
	map_deinit(&rows.places);
	arena_deinit(&rows.keys);
	free(rows.list);
}

void federation_append_facets(const struct federation *federation, struct buffer *body)
{
	if (federation->request->federation.facets_len == 0)
		return;
	if (federation->request->federation.merges_facets)
		append_merged(federation, body);
	else
		append_by_index(federation, body);
}
