#include "shard/core/search_facets.h"

#include "shard/core/facet_table.h"
#include "shard/core/reading.h"
#include "shard/core/words.h"
#include "shard/engine/typo.h"

#include "shared/json/json.h"

#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096
#define FOLDED_BYTES_MAX ((size_t)64 << 20)
/* Bytes of a query from which on it may have a typo, or two, in facet search. */
#define TYPO_BYTES_ONE 5
#define TYPO_BYTES_TWO 9

/* ---- fields ---- */

/* Paths that patterns name, each once. */
struct naming {
	const struct settings *settings;
	const struct settings_texts *patterns;
	struct map paths;
	struct arena arena;
};

static bool has_star(struct slice pattern)
{
	return pattern.len > 0 && memchr(pattern.ptr, '*', pattern.len) != NULL;
}

static bool pattern_names(const struct settings *settings, struct slice pattern, struct slice path)
{
	if (has_star(pattern))
		return settings_matches(pattern, path);
	return slice_equal(pattern, path) ||
	       (settings_covers(pattern, path) && settings_filterable(settings, pattern) != NULL);
}

static bool path_is_named(const struct naming *naming, struct slice path)
{
	if (settings_filterable(naming->settings, path) == NULL)
		return false;
	for (size_t i = 0; i < naming->patterns->len; i++)
		if (pattern_names(naming->settings, naming->patterns->list[i], path))
			return true;
	return false;
}

/* The path and what it is nested in. */
static bool path_offer(struct naming *naming, struct slice path)
{
	struct slice kept;

	for (size_t len = 1; len <= path.len; len++) {
		struct slice part = slice_of(path.ptr, len);

		if (len < path.len && path.ptr[len] != '.')
			continue;
		if (!path_is_named(naming, part) || map_get(&naming->paths, part) != NULL)
			continue;
		if (!arena_copy(&naming->arena, part, &kept) || !map_put(&naming->paths, kept, 0))
			return false;
	}
	return true;
}

static bool settings_offer(struct naming *naming)
{
	const struct settings_filterables *filterable = &naming->settings->filterable;

	for (size_t i = 0; i < filterable->len; i++)
		for (size_t p = 0; p < filterable->list[i].patterns.len; p++) {
			struct slice pattern = filterable->list[i].patterns.list[p];

			if (!has_star(pattern) && !path_offer(naming, pattern))
				return false;
		}
	return true;
}

static bool snapshot_offer(struct naming *naming, const struct snapshot *snapshot)
{
	const struct attributes *attributes = &snapshot->attributes->attributes;
	uint64_t digest;

	for (size_t i = 0; i < attributes->len; i++)
		if (!words_beside_read(attributes->list[i].path, &digest) &&
		    !path_offer(naming, attributes->list[i].path))
			return false;
	for (size_t i = 0; i < snapshot->fields->len; i++)
		if (!path_offer(naming, snapshot->fields->paths[i]))
			return false;
	return true;
}

static int path_compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int paths_list(struct naming *naming, struct slice **paths, struct error *error)
{
	const struct map_entry *entry;
	size_t len = 0;
	size_t at = 0;

	*paths = arena_alloc(&naming->arena, (naming->paths.count + 1) * sizeof **paths);
	if (*paths == NULL)
		return error_memory(error, naming->paths.count * sizeof **paths);
	while ((entry = map_next(&naming->paths, &at)) != NULL)
		(*paths)[len++] = entry->key;
	qsort(*paths, len, sizeof **paths, path_compare);
	return 0;
}

static int naming_offer(struct naming *naming, const struct facets_scope *scope, struct error *error)
{
	bool done = settings_offer(naming);

	for (size_t i = 0; done && i < scope->len; i++)
		done = snapshot_offer(naming, scope->snapshots[i]);
	return done ? 0 : error_memory(error, arena_bytes(&naming->arena));
}

/* ---- order of values ---- */

/* By their string; a number comes before a string that is written like it. */
static int order_by_text(const void *a, const void *b)
{
	const struct facet_row *left = a;
	const struct facet_row *right = b;
	int order = slice_compare(left->order, right->order);

	if (order == 0)
		order = right->is_number - left->is_number;
	return order != 0 ? order : slice_compare(left->key, right->key);
}

/* Falling. */
static int order_by_count(const void *a, const void *b)
{
	const struct facet_row *left = a;
	const struct facet_row *right = b;
	int order;

	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	if (left->is_number != right->is_number)
		return left->is_number ? 1 : -1;
	if (left->is_number)
		return (left->number < right->number) - (left->number > right->number);
	order = slice_compare(right->order, left->order);
	return order != 0 ? order : slice_compare(right->key, left->key);
}

/* Returns how many of them are to be shown. */
static size_t rows_sort(struct facet_table *table, struct slice path)
{
	const struct settings *settings = table->scope->settings;
	bool by_count = settings_facet_by_count(settings, path);

	if (table->rows_len > 0)
		qsort(table->rows, table->rows_len, sizeof *table->rows,
		      by_count ? order_by_count : order_by_text);
	if (by_count)
		return table->rows_len;
	return table->rows_len < settings->faceting.values_max ? table->rows_len
	                                                       : (size_t)settings->faceting.values_max;
}

/* ---- the distribution ---- */

static void row_write(const struct facet_row *row, struct buffer *json)
{
	buffer_append_string(json, "{\"key\":");
	json_append_string(json, row->key);
	if (row->is_number)
		buffer_append_string(json, ",\"number\":true");
	buffer_append_string(json, ",\"value\":");
	json_append_string(json, row->spelling);
	buffer_printf(json, ",\"count\":%llu}", (unsigned long long)row->count);
}

static void stats_write(const struct facet_table *table, struct buffer *json)
{
	const struct facet_row *min = NULL;
	const struct facet_row *max = NULL;
	char text[FACET_NUMBER_BYTES_MAX];

	for (size_t i = 0; i < table->rows_len; i++) {
		const struct facet_row *row = &table->rows[i];

		if (!row->is_number)
			continue;
		if (min == NULL || row->number < min->number)
			min = row;
		if (max == NULL || row->number > max->number)
			max = row;
	}
	if (min == NULL)
		return;
	buffer_append_string(json, ",\"min\":");
	buffer_append_slice(json, facet_number(min->number, false, text));
	buffer_append_string(json, ",\"max\":");
	buffer_append_slice(json, facet_number(max->number, false, text));
}

static int table_write(struct facet_table *table, struct slice path, struct buffer *json, struct error *error)
{
	size_t shown;

	for (size_t i = 0; i < table->rows_len; i++)
		table->rows[i].order = table->rows[i].key;
	shown = rows_sort(table, path);
	json_append_string(json, path);
	buffer_append_string(json, ":{\"values\":[");
	for (size_t i = 0; i < shown; i++) {
		if (facet_table_spell(table, &table->rows[i], error) != 0)
			return error->code;
		buffer_append_string(json, i == 0 ? "" : ",");
		row_write(&table->rows[i], json);
	}
	buffer_append_string(json, "]");
	stats_write(table, json);
	buffer_append_string(json, "}");
	return 0;
}

static int json_check(const struct buffer *json, struct error *error)
{
	if (!buffer_failed(json))
		return 0;
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "the facets do not fit into %zu bytes",
	                 json->len_max);
}

static int path_write(struct facets_scope *scope, struct slice path, bool *has_any, struct buffer *json,
                      struct error *error)
{
	struct facet_table table;
	int rc = facet_table_open(&table, scope, path, error);

	if (rc == 0 && table.exists) {
		buffer_append_string(json, *has_any ? "," : "");
		*has_any = true;
		rc = table_write(&table, path, json, error);
	}
	facet_table_close(&table);
	return rc;
}

int search_facets(struct facets_scope *scope, const struct settings_texts *patterns, struct buffer *json,
                  struct error *error)
{
	struct naming naming = {.settings = scope->settings, .patterns = patterns};
	struct slice *paths = NULL;
	bool has_any = false;
	int rc;

	map_init(&naming.paths);
	arena_init(&naming.arena, ARENA_BLOCK_BYTES);
	scope->failed = 0;
	rc = naming_offer(&naming, scope, error);
	if (rc == 0)
		rc = paths_list(&naming, &paths, error);
	buffer_append_string(json, "{");
	for (size_t i = 0; rc == 0 && i < naming.paths.count; i++)
		rc = path_write(scope, paths[i], &has_any, json, error);
	buffer_append_string(json, "}");
	if (rc == 0)
		rc = json_check(json, error);
	map_deinit(&naming.paths);
	arena_deinit(&naming.arena);
	return rc;
}

/* ---- the search in values ---- */

/* What a value must begin like. */
struct wanted {
	struct buffer folded; /* a byte that all have in common, then the query */
	struct typo typo;
	bool is_long; /* too long for typos: it must begin so */
};

/* Appends a whole text folded as its words are. */
static int text_fold_words(struct text *text, struct slice bytes, struct buffer *folded, struct error *error)
{
	struct token token;
	int rc;

	text_begin(text, NULL, bytes);
	while ((rc = text_next(text, &token, error)) > 0)
		buffer_append_slice(folded, token.form);
	if (rc == 0 && buffer_failed(folded))
		return error_memory(error, bytes.len);
	return rc;
}

/* With a common first character no other one is wrong there, which typo.h would count twice. */
static int wanted_init(struct wanted *wanted, struct words *words, struct slice query, struct error *error)
{
	struct slice folded;

	buffer_append_string(&wanted->folded, ".");
	if (text_fold_words(words_text(words), query, &wanted->folded, error) != 0)
		return error->code;
	folded = buffer_slice(&wanted->folded);
	wanted->is_long = folded.len > TYPO_BYTES_MAX;
	if (!wanted->is_long)
		typo_init(&wanted->typo, folded,
		          folded.len - 1 < TYPO_BYTES_ONE   ? 0
		          : folded.len - 1 < TYPO_BYTES_TWO ? 1
		                                            : 2,
		          true);
	return 0;
}

static bool is_wanted(const struct wanted *wanted, struct slice folded)
{
	if (wanted->is_long)
		return slice_starts_with(folded, buffer_slice(&wanted->folded));
	return typo_between(&wanted->typo, folded) >= 0;
}

/* What is looked at is no spelling, of which there are others elsewhere. It is what a row is ordered by, if it is wanted. */
static int row_judge(struct facet_table *table, const struct wanted *wanted, struct facet_row *row,
                     bool *kept, struct error *error)
{
	struct buffer *scratch = &table->scratch;
	struct slice order;

	buffer_clear(scratch);
	buffer_append_string(scratch, ".");
	if (text_fold_words(words_text(table->scope->words), row->key, scratch, error) != 0)
		return error->code;
	*kept = is_wanted(wanted, buffer_slice(scratch));
	if (!*kept)
		return 0;
	order = buffer_slice(scratch);
	if (!arena_copy(&table->arena, slice_of(order.ptr + 1, order.len - 1), &row->order))
		return error_memory(error, order.len);
	return 0;
}

/* Leaves those strings that are wanted; NULL: all of them. */
static int rows_choose(struct facet_table *table, const struct wanted *wanted, struct error *error)
{
	size_t len = 0;

	for (size_t i = 0; i < table->rows_len; i++) {
		struct facet_row *row = &table->rows[i];
		bool kept = !row->is_number;

		row->order = row->key;
		if (kept && wanted != NULL && row_judge(table, wanted, row, &kept, error) != 0)
			return error->code;
		if (kept)
			table->rows[len++] = *row;
	}
	table->rows_len = len;
	return 0;
}

static int hits_write(struct facet_table *table, struct slice path, struct buffer *json, struct error *error)
{
	size_t shown = rows_sort(table, path);

	buffer_append_string(json, "[");
	for (size_t i = 0; i < shown; i++) {
		struct facet_row *row = &table->rows[i];

		if (facet_table_spell(table, row, error) != 0)
			return error->code;
		buffer_append_string(json, i == 0 ? "{\"key\":" : ",{\"key\":");
		json_append_string(json, row->order);
		buffer_append_string(json, ",\"form\":");
		json_append_string(json, row->key);
		buffer_append_string(json, ",\"value\":");
		json_append_string(json, row->spelling);
		buffer_printf(json, ",\"count\":%llu}", (unsigned long long)row->count);
	}
	buffer_append_string(json, "]");
	return json_check(json, error);
}

int search_in_facet(struct facets_scope *scope, const struct facet_search *search, struct buffer *json,
                    struct error *error)
{
	struct wanted wanted = {.is_long = false};
	struct facet_table table;
	int rc = facet_table_open(&table, scope, search->path, error);

	buffer_init(&wanted.folded, FOLDED_BYTES_MAX);
	if (rc == 0 && search->has_query)
		rc = wanted_init(&wanted, scope->words, search->query, error);
	if (rc == 0)
		rc = rows_choose(&table, search->has_query ? &wanted : NULL, error);
	if (rc == 0)
		rc = hits_write(&table, search->path, json, error);
	buffer_deinit(&wanted.folded);
	facet_table_close(&table);
	return rc;
}

/* ---- spellings ---- */

struct spelling {
	struct facets_scope *scope;
	struct facet_field **fields; /* by snapshot */
	struct buffer text;
};

static int fields_open(struct spelling *spelling, struct slice path, struct error *error)
{
	struct facets_scope *scope = spelling->scope;

	spelling->fields = calloc(scope->len + 1, sizeof(struct facet_field *));
	if (spelling->fields == NULL)
		return error_memory(error, scope->len * sizeof(struct facet_field *));
	for (size_t i = 0; i < scope->len; i++) {
		scope->failed = i;
		if (facet_field_open(scope->snapshots[i], scope->words, path, scope->watch,
		                     &spelling->fields[i], error) != 0)
			return error->code;
	}
	return 0;
}

static void fields_close(struct spelling *spelling)
{
	for (size_t i = 0; spelling->fields != NULL && i < spelling->scope->len; i++)
		facet_field_close(spelling->fields[i]);
	free(spelling->fields);
}

static int spelling_write(struct spelling *spelling, struct slice folded, struct buffer *json,
                          struct error *error)
{
	struct facets_scope *scope = spelling->scope;

	buffer_clear(&spelling->text);
	/* "" folded is no value */
	for (size_t i = 0; folded.len > 0 && i < scope->len; i++) {
		scope->failed = i;
		if (facet_field_spell(spelling->fields[i], folded, &spelling->text, error) != 0)
			return error->code;
	}
	if (spelling->text.len == 0)
		buffer_append_string(json, "null");
	else
		json_append_string(json, buffer_slice(&spelling->text));
	return 0;
}

int search_spell(struct facets_scope *scope, struct slice path, const struct settings_texts *folded,
                 struct buffer *json, struct error *error)
{
	struct spelling spelling = {.scope = scope};
	int rc = fields_open(&spelling, path, error);

	buffer_init(&spelling.text, FOLDED_BYTES_MAX);
	buffer_append_string(json, "[");
	for (size_t i = 0; rc == 0 && i < folded->len; i++) {
		buffer_append_string(json, i == 0 ? "" : ",");
		rc = spelling_write(&spelling, folded->list[i], json, error);
	}
	buffer_append_string(json, "]");
	if (rc == 0)
		rc = json_check(json, error);
	buffer_deinit(&spelling.text);
	fields_close(&spelling);
	return rc;
}
