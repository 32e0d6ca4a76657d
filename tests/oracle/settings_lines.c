/*
 * Settings, a case a line: a JSON object goes in, what became of it comes out (settings_cases.py).
 *
 *   {"changes": [{"path": string or absent: all, "body": JSON, or absent: DELETE}, …],
 *    "paths": [string, …], "patterns": [string, …]}
 *   → {"outcomes": [null or [code, message], …], "settings": what GET shows,
 *      "values", "words": of the last change, "attributes": […], and of each path: "features" (null or three booleans),
 *      "sortable", "weights" (null: not searched), "counts"; of each pattern a list by path: "matches", "covers"}
 */
#include "shared/base/assert.h"
#include "shared/json/json.h"
#include "shared/settings/settings.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 65536

struct lines {
	struct arena arena;
	struct settings *settings;
	struct settings_effects effects; /* of the last change that was made */
	yyjson_val *paths;
	yyjson_val *patterns;
	struct buffer out;
};

static void settings_take(struct lines *lines, struct slice record)
{
	struct settings *next;
	struct buffer again;
	struct error error;

	ASSERT(settings_parse(record, &lines->arena, &next, &error) == 0);
	buffer_init(&again, SIZE_MAX);
	settings_append_record(next, &again);
	ASSERT(slice_equal(buffer_slice(&again), record));
	buffer_deinit(&again);
	ASSERT(settings_effects(lines->settings, next, &lines->arena, &lines->effects, &error) == 0);
	lines->settings = next;
}

static void change_make(struct lines *lines, yyjson_val *change)
{
	struct slice path = json_string(yyjson_obj_get(change, "path"));
	yyjson_val *value = yyjson_obj_get(change, "body");
	struct settings_request request = {.reset = value == NULL};
	struct settings_refusal refusal;
	struct buffer record;
	struct buffer body;
	struct error error;

	buffer_init(&record, SIZE_MAX);
	buffer_init(&body, SIZE_MAX);
	if (path.ptr != NULL)
		request.route = settings_route_find(path);
	if (value != NULL)
		ASSERT(json_append_value(&body, value, &error) == 0);
	request.body = buffer_slice(&body);
	if (settings_change(lines->settings, &request, &record, &refusal) == 0) {
		settings_take(lines, buffer_slice(&record));
		buffer_append_string(&lines->out, "null");
	} else {
		buffer_put_u8(&lines->out, '[');
		json_append_string(&lines->out, slice_string(refusal.code));
		buffer_put_u8(&lines->out, ',');
		json_append_string(&lines->out, slice_of(refusal.text, refusal.len));
		buffer_put_u8(&lines->out, ']');
	}
	buffer_deinit(&record);
	buffer_deinit(&body);
}

static void changes_show(struct lines *lines, yyjson_val *changes)
{
	yyjson_val *change;
	size_t at;
	size_t len;

	yyjson_arr_foreach(changes, at, len, change)
	{
		buffer_append_string(&lines->out, at == 0 ? "" : ",");
		change_make(lines, change);
	}
}

static void effects_show(struct lines *lines)
{
	const struct settings_effects *effects = &lines->effects;

	buffer_printf(&lines->out, ",\"values\":%s,\"words\":%s,\"attributes\":[",
	              effects->values ? "true" : "false", effects->words ? "true" : "false");
	for (size_t i = 0; i < effects->attributes.len; i++) {
		buffer_append_string(&lines->out, i == 0 ? "" : ",");
		json_append_string(&lines->out, effects->attributes.list[i]);
	}
	buffer_put_u8(&lines->out, ']');
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static void features_show(struct lines *lines, struct slice path)
{
	const struct settings_features *features = settings_filterable(lines->settings, path);

	if (features == NULL)
		buffer_append_string(&lines->out, "null");
	else
		buffer_printf(&lines->out, "[%s,%s,%s]", truth(features->facet_search),
		              truth(features->equality), truth(features->comparison));
}

static void sortable_show(struct lines *lines, struct slice path)
{
	buffer_append_string(&lines->out, truth(settings_is_sortable(lines->settings, path)));
}

static void weight_show(struct lines *lines, struct slice path)
{
	size_t weight = settings_weight(lines->settings, path);

	if (weight == SETTINGS_NOT_SEARCHED)
		buffer_append_string(&lines->out, "null");
	else
		buffer_printf(&lines->out, "%zu", weight);
}

static void count_show(struct lines *lines, struct slice path)
{
	buffer_append_string(&lines->out, truth(settings_facet_by_count(lines->settings, path)));
}

static void paths_show(struct lines *lines, const char *name, void (*show)(struct lines *, struct slice))
{
	yyjson_val *path;
	size_t at;
	size_t len;

	buffer_printf(&lines->out, ",\"%s\":[", name);
	yyjson_arr_foreach(lines->paths, at, len, path)
	{
		buffer_append_string(&lines->out, at == 0 ? "" : ",");
		show(lines, json_string(path));
	}
	buffer_put_u8(&lines->out, ']');
}

static void patterns_show(struct lines *lines, const char *name, bool (*holds)(struct slice, struct slice))
{
	yyjson_val *pattern;
	yyjson_val *path;
	size_t at;
	size_t len;
	size_t inner;
	size_t inner_len;

	buffer_printf(&lines->out, ",\"%s\":[", name);
	yyjson_arr_foreach(lines->patterns, at, len, pattern)
	{
		buffer_append_string(&lines->out, at == 0 ? "[" : ",[");
		yyjson_arr_foreach(lines->paths, inner, inner_len, path)
		{
			buffer_append_string(&lines->out, inner == 0 ? "" : ",");
			buffer_append_string(&lines->out,
			                     truth(holds(json_string(pattern), json_string(path))));
		}
		buffer_put_u8(&lines->out, ']');
	}
	buffer_put_u8(&lines->out, ']');
}

static void case_show(struct lines *lines, struct slice line)
{
	struct error error;
	yyjson_doc *doc;
	yyjson_val *root;

	ASSERT(json_parse(line, JSON_DEPTH_MAX, &doc, &error) == 0);
	root = yyjson_doc_get_root(doc);
	lines->paths = yyjson_obj_get(root, "paths");
	lines->patterns = yyjson_obj_get(root, "patterns");
	lines->settings = (struct settings *)(uintptr_t)settings_default();
	lines->effects = (struct settings_effects){false};
	buffer_append_string(&lines->out, "{\"outcomes\":[");
	changes_show(lines, yyjson_obj_get(root, "changes"));
	buffer_append_string(&lines->out, "],\"settings\":");
	settings_show(lines->settings, NULL, &lines->out);
	effects_show(lines);
	paths_show(lines, "features", features_show);
	paths_show(lines, "sortable", sortable_show);
	paths_show(lines, "weights", weight_show);
	paths_show(lines, "counts", count_show);
	patterns_show(lines, "matches", settings_matches);
	patterns_show(lines, "covers", settings_covers);
	buffer_append_string(&lines->out, "}\n");
	yyjson_doc_free(doc);
	arena_clear(&lines->arena);
}

int main(void)
{
	struct lines lines = {0};
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	arena_init(&lines.arena, ARENA_BLOCK_BYTES);
	buffer_init(&lines.out, SIZE_MAX);
	while ((len = getline(&line, &size, stdin)) > 0) {
		buffer_clear(&lines.out);
		case_show(&lines, slice_of(line, (size_t)len));
		ASSERT(!buffer_failed(&lines.out));
		(void)fwrite(lines.out.ptr, 1, lines.out.len, stdout);
	}
	arena_deinit(&lines.arena);
	buffer_deinit(&lines.out);
	free(line);
	return 0;
}
