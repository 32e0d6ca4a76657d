#include "query/core/node_facets.h"

#include "shared/base/decimal.h"

#include <math.h>

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: facets: %s", what);
}

static bool read_number(struct slice text, double *number)
{
	return decimal_parse(text, number) && isfinite(*number);
}

static bool read_count(struct slice raw, uint64_t *count)
{
	uint64_t sum = 0;

	if (raw.ptr == NULL || raw.len == 0 || raw.len > 18)
		return false;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.ptr[i] < '0' || raw.ptr[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(raw.ptr[i] - '0');
	}
	*count = sum;
	return true;
}

static int parse_value(yyjson_val *item, struct arena *arena, struct node_facet_value *value,
                       struct error *error)
{
	struct slice key = json_string(yyjson_obj_get(item, "key"));
	struct slice spelling = json_string(yyjson_obj_get(item, "value"));

	value->is_number = yyjson_is_true(yyjson_obj_get(item, "number"));
	value->number = 0;
	if (key.ptr == NULL || spelling.ptr == NULL ||
	    !read_count(json_raw_number(yyjson_obj_get(item, "count")), &value->count) ||
	    (value->is_number && !read_number(key, &value->number)))
		return malformed(error, "a value that is none");
	return arena_copy(arena, key, &value->key) && arena_copy(arena, spelling, &value->value)
	               ? 0
	               : error_memory(error, key.len + spelling.len);
}

static int parse_bound(yyjson_val *facet, const char *name, struct arena *arena, struct slice *bound,
                       struct error *error)
{
	yyjson_val *value = yyjson_obj_get(facet, name);
	double ignored;

	*bound = slice_of(NULL, 0);
	if (value == NULL)
		return 0;
	if (!read_number(json_raw_number(value), &ignored))
		return malformed(error, "a `min` or `max` that is no number");
	return arena_copy(arena, json_raw_number(value), bound) ? 0 : error_memory(error, DECIMAL_BYTES_MAX);
}

static int parse_facet(yyjson_val *item, struct arena *arena, struct node_facet *facet, struct error *error)
{
	yyjson_val *values = yyjson_obj_get(item, "values");
	size_t at;
	size_t len;
	yyjson_val *value;

	if (!yyjson_is_arr(values))
		return malformed(error, "no `values`");
	facet->values = arena_alloc(arena, (yyjson_arr_size(values) + 1) * sizeof facet->values[0]);
	facet->values_len = 0;
	if (facet->values == NULL)
		return error_memory(error, yyjson_arr_size(values) * sizeof facet->values[0]);
	yyjson_arr_foreach(values, at, len, value)
	{
		if (parse_value(value, arena, &facet->values[facet->values_len++], error) < 0)
			return error->code;
	}
	if (parse_bound(item, "min", arena, &facet->min, error) < 0 ||
	    parse_bound(item, "max", arena, &facet->max, error) < 0)
		return error->code;
	return (facet->min.ptr == NULL) == (facet->max.ptr == NULL)
	               ? 0
	               : malformed(error, "one of `min` and `max` without the other");
}

static int parse_facets(yyjson_val *root, struct arena *arena, struct node_answer *answer,
                        struct error *error)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *item;

	if (!yyjson_is_obj(root))
		return malformed(error, "no object");
	answer->facets = arena_alloc(arena, (yyjson_obj_size(root) + 1) * sizeof answer->facets[0]);
	if (answer->facets == NULL)
		return error_memory(error, yyjson_obj_size(root) * sizeof answer->facets[0]);
	yyjson_obj_foreach(root, at, len, key, item)
	{
		struct node_facet *facet = &answer->facets[answer->facets_len++];

		if (!arena_copy(arena, json_string(key), &facet->path))
			return error_memory(error, json_string(key).len);
		if (parse_facet(item, arena, facet, error) < 0)
			return error->code;
	}
	return 0;
}

int node_facets_parse(struct slice facets, struct arena *arena, struct node_answer *answer,
                      struct error *error)
{
	yyjson_doc *doc;
	int result = json_parse(facets, NODE_ANSWER_DEPTH_MAX, &doc, error);

	if (result < 0)
		return result;
	result = parse_facets(yyjson_doc_get_root(doc), arena, answer, error);
	yyjson_doc_free(doc);
	return result;
}

bool node_spelling_read(yyjson_val *item, struct slice *value)
{
	*value = json_string(item);
	return value->ptr != NULL || yyjson_is_null(item);
}
