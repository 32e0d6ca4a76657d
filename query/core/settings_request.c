#include "query/core/settings_request.h"

#include "shared/json/json.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES ((size_t)16 * 1024)

static int out_of_memory(struct error_answer *refusal)
{
	return error_answer_set(refusal, "internal", "out of memory");
}

static int read_in_force(const struct settings_record *in_force, struct arena *arena,
                         const struct settings **settings, struct error_answer *refusal)
{
	struct settings *read;
	struct error error;

	*settings = settings_default();
	if (in_force == NULL)
		return 0;
	if (settings_parse(in_force->settings, arena, &read, &error) != 0)
		return error_answer_set(refusal, "internal", "The settings cannot be read: %s", error.text);
	*settings = read;
	return 0;
}

int settings_request_show(const struct settings_record *in_force, const struct settings_route *route,
                          struct buffer *json, struct error_answer *refusal)
{
	const struct settings *settings;
	struct arena arena;
	int result;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	result = read_in_force(in_force, &arena, &settings, refusal);
	if (result == 0)
		settings_show(settings, route, json);
	if (result == 0 && buffer_failed(json))
		result = out_of_memory(refusal);
	arena_deinit(&arena);
	return result;
}

/* JSON that was read once already, compact. */
static int take_body(struct slice body, struct slice *compact, struct error_answer *refusal)
{
	struct buffer text;
	struct error error;
	yyjson_doc *doc;

	if (json_parse_typed(body, &doc, &error) != 0)
		return out_of_memory(refusal);
	buffer_init(&text, SIZE_MAX); /* not longer than the body */
	if (json_append_value(&text, yyjson_doc_get_root(doc), &error) != 0)
		error_answer_set(refusal, "internal", "%s", error.text);
	else if (text.len > TASK_BODY_BYTES_MAX)
		error_answer_set(refusal, "payload_too_large",
		                 "Settings of %zu bytes were sent; Millrace takes %zu at once.", text.len,
		                 TASK_BODY_BYTES_MAX);
	else
		compact->ptr = buffer_take(&text, &compact->len);
	buffer_deinit(&text);
	yyjson_doc_free(doc);
	return compact->ptr != NULL ? 0 : ERROR_FORMAT;
}

static int check(const struct settings_record *in_force, const struct settings_request *wanted,
                 struct error_answer *refusal)
{
	struct settings_refusal found;
	const struct settings *now;
	struct buffer changed;
	struct arena arena;
	int result;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	buffer_init(&changed, SETTINGS_RECORD_BYTES_MAX);
	result = read_in_force(in_force, &arena, &now, refusal);
	if (result == 0) {
		result = settings_change(now, wanted, &changed, &found);
		if (result == ERROR_MEMORY)
			result = out_of_memory(refusal);
		else if (result != 0)
			result = error_answer_set(refusal, found.code, "%s", found.text);
	}
	buffer_deinit(&changed);
	arena_deinit(&arena);
	return result;
}

int settings_request_change(const struct settings_record *in_force, const struct settings_request *wanted,
                            struct task_request *request, struct error_answer *refusal)
{
	struct task_request made = {.type = TASK_TYPE_SETTINGS_UPDATE, .reset = wanted->reset};
	int result = check(in_force, wanted, refusal);

	if (result == 0 && wanted->route != NULL)
		(void)snprintf(made.setting, sizeof made.setting, "%s", wanted->route->path);
	if (result == 0 && !wanted->reset)
		result = take_body(wanted->body, &made.body, refusal);
	if (result == 0)
		*request = made;
	return result;
}

/* All names, with null. */
static void append_cleared(struct buffer *details)
{
	const struct settings_route *route;
	bool first = true;

	for (size_t at = 0; (route = settings_route_at(at)) != NULL; at++) {
		if (!route->is_shown)
			continue;
		buffer_printf(details, "%s\"%s\":null", first ? "{" : ",", route->name);
		first = false;
	}
	buffer_put_u8(details, '}');
}

void settings_details_append(const struct task_request *request, struct buffer *details)
{
	const struct settings_route *route = settings_route_find(slice_string(request->setting));
	struct slice sent = request->reset ? slice_string("null") : request->body;

	if (route != NULL)
		buffer_printf(details, "{\"%s\":", route->name);
	if (route == NULL && request->reset)
		append_cleared(details);
	else
		buffer_append_slice(details, sent);
	if (route != NULL)
		buffer_put_u8(details, '}');
}
