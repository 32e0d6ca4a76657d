#include "query/core/facet_merge.h"

#include "query/core/node_facets.h"
#include "shared/base/assert.h"
#include "shared/base/decimal.h"

#include <inttypes.h>
#include <stdlib.h>

struct facet_value {
	struct node_facet_value told;
	size_t answers; /* that had it */
};

/* One facet. */
struct facet_rows {
	struct slice path;
	struct facet_value *values;
	size_t len;
	size_t size;
	struct map strings; /* key to place */
	struct map numbers;
	struct slice min;
	struct slice max;
};

void facet_merge_init(struct facet_merge *merge)
{
	*merge = (struct facet_merge){0};
	map_init(&merge->by_path);
}

static void rows_free(struct facet_rows *rows)
{
	map_deinit(&rows->strings);
	map_deinit(&rows->numbers);
	free(rows->values);
	free(rows);
}

void facet_merge_deinit(struct facet_merge *merge)
{
	for (size_t i = 0; i < merge->len; i++)
		rows_free(merge->facets[i]);
	free(merge->facets);
	map_deinit(&merge->by_path);
}

/* ---- adding ---- */

/* NULL when out of memory. */
static struct facet_rows *rows_new(struct facet_merge *merge, struct slice path)
{
	struct facet_rows *rows;

	if (merge->len == merge->size) {
		size_t size = merge->size > 0 ? 2 * merge->size : 8;
		struct facet_rows **facets = realloc(merge->facets, size * sizeof(struct facet_rows *));

		if (facets == NULL)
			return NULL;
		merge->facets = facets;
		merge->size = size;
	}
	rows = calloc(1, sizeof *rows);
	if (rows == NULL)
		return NULL;
	rows->path = path;
	map_init(&rows->strings);
	map_init(&rows->numbers);
	if (!map_put(&merge->by_path, path, merge->len)) {
		rows_free(rows);
		return NULL;
	}
	merge->facets[merge->len++] = rows;
	return rows;
}

static bool reserve(struct facet_rows *rows, size_t more)
{
	size_t size = rows->size > 0 ? rows->size : 16;
	struct facet_value *values;

	if (rows->len + more <= rows->size)
		return true;
	while (size < rows->len + more)
		size *= 2;
	values = realloc(rows->values, size * sizeof values[0]);
	if (values == NULL)
		return false;
	rows->values = values;
	rows->size = size;
	return true;
}

/* There is room. */
static bool add_value(struct facet_rows *rows, const struct node_facet_value *value)
{
	struct map *map = value->is_number ? &rows->numbers : &rows->strings;
	const uint64_t *at = map_get(map, value->key);
	struct node_facet_value *held;

	if (at == NULL) {
		rows->values[rows->len] = (struct facet_value){*value, 1};
		return map_put(map, value->key, rows->len++);
	}
	rows->values[*at].answers++;
	held = &rows->values[*at].told;
	held->count = held->count > UINT64_MAX - value->count ? UINT64_MAX : held->count + value->count;
	if (slice_compare(value->value, held->value) < 0)
		held->value = value->value;
	return true;
}

/* What node_facets_parse has found to be a number. */
static double number_of(struct slice text)
{
	double number = 0;

	bool is_number = decimal_parse(text, &number);

	ASSERT(is_number);
	return number;
}

static void add_span(struct facet_rows *rows, const struct node_facet *facet)
{
	if (facet->min.ptr == NULL)
		return;
	if (rows->min.ptr == NULL || number_of(facet->min) < number_of(rows->min))
		rows->min = facet->min;
	if (rows->max.ptr == NULL || number_of(facet->max) > number_of(rows->max))
		rows->max = facet->max;
}

static bool add_facet(struct facet_merge *merge, const struct node_facet *facet)
{
	const uint64_t *at = map_get(&merge->by_path, facet->path);
	struct facet_rows *rows = at != NULL ? merge->facets[*at] : rows_new(merge, facet->path);

	if (rows == NULL || !reserve(rows, facet->values_len))
		return false;
	for (size_t i = 0; i < facet->values_len; i++)
		if (!add_value(rows, &facet->values[i]))
			return false;
	add_span(rows, facet);
	return true;
}

int facet_merge_add(struct facet_merge *merge, const struct node_facet *facets, size_t len,
                    struct error *error)
{
	merge->answers++;
	for (size_t i = 0; i < len; i++)
		if (!add_facet(merge, &facets[i]))
			return error_memory(error, facets[i].values_len * sizeof facets[i].values[0]);
	return 0;
}

/* ---- showing ---- */

static int compare_paths(const void *left, const void *right)
{
	struct facet_rows *const *a = left;
	struct facet_rows *const *b = right;

	return slice_compare((*a)->path, (*b)->path);
}

static int compare_keys(const void *left, const void *right)
{
	const struct node_facet_value *a = &((const struct facet_value *)left)->told;
	const struct node_facet_value *b = &((const struct facet_value *)right)->told;
	int order = slice_compare(a->key, b->key);

	return order != 0 ? order : b->is_number - a->is_number;
}

static int compare_counts(const void *left, const void *right)
{
	const struct node_facet_value *a = &((const struct facet_value *)left)->told;
	const struct node_facet_value *b = &((const struct facet_value *)right)->told;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	if (a->is_number != b->is_number)
		return a->is_number ? 1 : -1;
	if (a->is_number)
		return (a->number < b->number) - (a->number > b->number);
	return slice_compare(b->key, a->key);
}

/* Leaves what is shown, in order; places by key hold no longer. */
static void cut(struct facet_merge *merge, const struct settings *settings)
{
	uint64_t max = settings->faceting.values_max;

	if (merge->is_cut)
		return;
	merge->is_cut = true;
	if (merge->len > 1)
		qsort(merge->facets, merge->len, sizeof merge->facets[0], compare_paths);
	for (size_t i = 0; i < merge->len; i++) {
		struct facet_rows *rows = merge->facets[i];

		if (rows->len > 1)
			qsort(rows->values, rows->len, sizeof rows->values[0],
			      settings_facet_by_count(settings, rows->path) ? compare_counts : compare_keys);
		if (rows->len > max)
			rows->len = (size_t)max;
	}
}

/* Values that look alike become the first of them; how many stay. A failure is the buffer's, as one of its own. */
static size_t unite(struct facet_rows *rows, struct buffer *body)
{
	struct map shown;
	size_t kept = 0;

	map_init(&shown);
	for (size_t i = 0; i < rows->len; i++) {
		const struct node_facet_value *value = &rows->values[i].told;
		const uint64_t *at = map_get(&shown, value->value);

		if (at != NULL) {
			rows->values[*at].told.count += value->count;
			continue;
		}
		body->failed |= !map_put(&shown, value->value, kept);
		rows->values[kept++] = rows->values[i];
	}
	map_deinit(&shown);
	return kept;
}

static void append_values(struct facet_rows *rows, struct buffer *body)
{
	size_t len = unite(rows, body);

	buffer_put_u8(body, '{');
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		json_append_string(body, rows->values[i].told.value);
		buffer_printf(body, ":%" PRIu64, rows->values[i].told.count);
	}
	buffer_put_u8(body, '}');
}

void facet_merge_append(struct facet_merge *merge, const struct settings *settings, struct buffer *body)
{
	const char *before = "";

	cut(merge, settings);
	buffer_append_string(body, "\"facetDistribution\":{");
	for (size_t i = 0; i < merge->len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		json_append_string(body, merge->facets[i]->path);
		buffer_put_u8(body, ':');
		append_values(merge->facets[i], body);
	}
	buffer_append_string(body, "},\"facetStats\":{");
	for (size_t i = 0; i < merge->len; i++) {
		const struct facet_rows *rows = merge->facets[i];

		if (rows->min.ptr == NULL)
			continue;
		buffer_append_string(body, before);
		before = ",";
		json_append_string(body, rows->path);
		buffer_printf(body, ":{\"min\":%.*s,\"max\":%.*s}", SLICE_ARGS(rows->min),
		              SLICE_ARGS(rows->max));
	}
	buffer_put_u8(body, '}');
}

/* ---- spellings ---- */

static bool is_open(const struct facet_merge *merge, const struct facet_value *value)
{
	return !value->told.is_number && value->answers < merge->answers;
}

static size_t count_open(const struct facet_merge *merge, const struct facet_rows *rows)
{
	size_t len = 0;

	for (size_t i = 0; i < rows->len; i++)
		len += is_open(merge, &rows->values[i]);
	return len;
}

static void ask_values(const struct facet_merge *merge, const struct facet_rows *rows, struct buffer *asked)
{
	const char *before = "[";

	json_append_string(asked, rows->path);
	buffer_put_u8(asked, ':');
	for (size_t i = 0; i < rows->len; i++) {
		if (!is_open(merge, &rows->values[i]))
			continue;
		buffer_append_string(asked, before);
		before = ",";
		json_append_string(asked, rows->values[i].told.key);
	}
	buffer_put_u8(asked, ']');
}

bool facet_merge_ask(struct facet_merge *merge, const struct settings *settings, struct buffer *asked)
{
	const char *before = "{";

	cut(merge, settings);
	for (size_t i = 0; i < merge->len; i++) {
		if (count_open(merge, merge->facets[i]) == 0)
			continue;
		buffer_append_string(asked, before);
		before = ",";
		ask_values(merge, merge->facets[i], asked);
	}
	if (before[0] == '{')
		return false;
	buffer_put_u8(asked, '}');
	return true;
}

static int spell_values(const struct facet_merge *merge, struct facet_rows *rows, yyjson_val *list,
                        struct arena *arena, struct error *error)
{
	yyjson_arr_iter items = yyjson_arr_iter_with(list);

	for (size_t i = 0; i < rows->len; i++) {
		struct node_facet_value *told = &rows->values[i].told;
		struct slice value;

		if (!is_open(merge, &rows->values[i]))
			continue;
		if (!node_spelling_read(yyjson_arr_iter_next(&items), &value))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "answer of a node: a spelling that is none");
		if (value.ptr != NULL && slice_compare(value, told->value) < 0 &&
		    !arena_copy(arena, value, &told->value))
			return error_memory(error, value.len);
	}
	return 0;
}

int facet_merge_spell(struct facet_merge *merge, yyjson_val *spellings, struct arena *arena,
                      struct error *error)
{
	for (size_t i = 0; i < merge->len; i++) {
		struct facet_rows *rows = merge->facets[i];
		size_t len = count_open(merge, rows);
		yyjson_val *list = yyjson_obj_getn(spellings, (const char *)rows->path.ptr, rows->path.len);

		if (len > 0 && (!yyjson_is_arr(list) || yyjson_arr_size(list) != len))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "answer of a node: not the spellings that were asked for");
		if (len > 0 && spell_values(merge, rows, list, arena, error) < 0)
			return error->code;
	}
	return 0;
}
