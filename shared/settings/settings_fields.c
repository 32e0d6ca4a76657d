#include "shared/settings/settings_private.h"

#include "shared/base/map.h"

#include <string.h>

bool settings_covers(struct slice field, struct slice path)
{
	return slice_starts_with(path, field) && (path.len == field.len || path.ptr[field.len] == '.');
}

static bool ends_with(struct slice text, struct slice end)
{
	return text.len >= end.len &&
	       (end.len == 0 || memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0);
}

/* Both ways at once: `*` goes before or behind what is looked for. */
static bool contains(struct slice text, struct slice part)
{
	return part.len == 0 ||
	       (text.len >= part.len && memmem(text.ptr, text.len, part.ptr, part.len) != NULL);
}

bool settings_matches(struct slice pattern, struct slice path)
{
	bool first = pattern.len > 0 && pattern.ptr[0] == '*';
	bool last = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
	struct slice text = slice_of(pattern.ptr + first, pattern.len - first);

	if (pattern.len == 1 && first)
		return true;
	text.len -= last;
	if (first && last)
		return contains(path, text);
	if (last)
		return slice_starts_with(path, text);
	return first ? ends_with(path, text) : slice_equal(path, text);
}

/* A name covers what is nested in it also where it is written with a `*` before it. */
static bool name_matches(struct slice name, struct slice path)
{
	struct slice text;

	if (settings_matches(name, path))
		return true;
	if (name.len == 0 || name.ptr[0] != '*')
		return slice_starts_with(path, name) && path.len > name.len && path.ptr[name.len] == '.';
	text = slice_of(name.ptr + 1, name.len - 1);
	for (size_t at = 0; at + text.len < path.len; at++)
		if (path.ptr[at + text.len] == '.' &&
		    (text.len == 0 || memcmp(path.ptr + at, text.ptr, text.len) == 0))
			return true;
	return false;
}

const struct settings_features *settings_filterable(const struct settings *settings, struct slice path)
{
	for (size_t i = 0; i < settings->filterable.len; i++) {
		const struct settings_filterable *rule = &settings->filterable.list[i];

		for (size_t p = 0; p < rule->patterns.len; p++)
			if (rule->is_name ? name_matches(rule->patterns.list[p], path)
			                  : settings_matches(rule->patterns.list[p], path))
				return &rule->features;
	}
	return NULL;
}

bool settings_is_sortable(const struct settings *settings, struct slice path)
{
	for (size_t i = 0; i < settings->sortable.len; i++)
		if (settings_covers(settings->sortable.list[i], path) ||
		    settings_matches(settings->sortable.list[i], path))
			return true;
	return false;
}

size_t settings_weight(const struct settings *settings, struct slice path)
{
	for (size_t i = 0; i < settings->searchable.len; i++)
		if (slice_equal(settings->searchable.list[i], slice_string("*")) ||
		    settings_covers(settings->searchable.list[i], path))
			return i;
	return SETTINGS_NOT_SEARCHED;
}

bool settings_facet_by_count(const struct settings *settings, struct slice field)
{
	const struct settings_facet_orders *orders = &settings->faceting.orders;
	bool by_count = false;

	for (size_t i = 0; i < orders->len; i++) {
		if (slice_equal(orders->list[i].field, field))
			return orders->list[i].by_count;
		if (slice_equal(orders->list[i].field, slice_string("*")))
			by_count = orders->list[i].by_count;
	}
	return by_count;
}

/* ---- effects ---- */

/* Paths, each once. */
struct paths {
	struct slice *list;
	size_t len;
	struct map seen;
	bool failed;
};

static void add_path(struct paths *paths, struct slice path)
{
	if (path.len == 0 || memchr(path.ptr, '*', path.len) != NULL || map_get(&paths->seen, path) != NULL)
		return;
	if (!map_put(&paths->seen, path, 0))
		paths->failed = true;
	else
		paths->list[paths->len++] = path;
}

static void add_attributes(struct paths *paths, const struct settings *settings)
{
	add_path(paths, settings->distinct);
	for (size_t i = 0; i < settings->rules.len; i++)
		add_path(paths, settings->rules.list[i].field);
	for (size_t i = 0; i < settings->sortable.len; i++)
		add_path(paths, settings->sortable.list[i]);
	for (size_t i = 0; i < settings->filterable.len; i++)
		for (size_t p = 0; p < settings->filterable.list[i].patterns.len; p++)
			add_path(paths, settings->filterable.list[i].patterns.list[p]);
}

static size_t attributes_max(const struct settings *settings)
{
	size_t max = 1 + settings->rules.len + settings->sortable.len;

	for (size_t i = 0; i < settings->filterable.len; i++)
		max += settings->filterable.list[i].patterns.len;
	return max;
}

static int list_attributes(const struct settings *settings, struct arena *arena,
                           struct settings_texts *attributes, struct error *error)
{
	size_t max = attributes_max(settings);
	struct paths paths = {.list = arena_alloc(arena, max * sizeof *paths.list)};

	if (paths.list == NULL)
		return error_memory(error, max * sizeof *paths.list);
	map_init(&paths.seen);
	add_attributes(&paths, settings);
	map_deinit(&paths.seen);
	if (paths.failed)
		return error_memory(error, max * sizeof(struct map_entry));
	*attributes = (struct settings_texts){paths.list, paths.len};
	return 0;
}

static bool texts_equal(const struct settings_texts *a, const struct settings_texts *b)
{
	bool equal = a->len == b->len;

	for (size_t i = 0; equal && i < a->len; i++)
		equal = slice_equal(a->list[i], b->list[i]);
	return equal;
}

/* What decides about words, as it is shown: equal texts, equal settings. */
static void append_word_settings(const struct settings *settings, struct buffer *json)
{
	const struct settings_route *route;

	for (size_t i = 0; (route = settings_route_at(i)) != NULL; i++)
		if (route->effect == SETTINGS_EFFECT_WORDS)
			settings_show(settings, route, json);
}

static int compare_words(const struct settings *before, const struct settings *after, bool *differ,
                         struct error *error)
{
	struct buffer old;
	struct buffer new;
	int rc = 0;

	buffer_init(&old, SIZE_MAX);
	buffer_init(&new, SIZE_MAX);
	append_word_settings(before, &old);
	append_word_settings(after, &new);
	if (buffer_failed(&old) || buffer_failed(&new))
		rc = error_memory(error, old.len);
	else
		*differ = !slice_equal(buffer_slice(&old), buffer_slice(&new));
	buffer_deinit(&old);
	buffer_deinit(&new);
	return rc;
}

int settings_effects(const struct settings *before, const struct settings *after, struct arena *arena,
                     struct settings_effects *effects, struct error *error)
{
	struct settings_effects found = {false};
	struct settings_texts old;
	int rc = list_attributes(before, arena, &old, error);

	if (rc == 0)
		rc = list_attributes(after, arena, &found.attributes, error);
	if (rc == 0)
		rc = compare_words(before, after, &found.words, error);
	if (rc < 0)
		return rc;
	found.values = !texts_equal(&old, &found.attributes);
	*effects = found;
	return 0;
}
