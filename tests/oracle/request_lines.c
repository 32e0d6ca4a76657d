/*
 * Requests, one a line: what the gateway says of it before any node is asked (request_cases.py).
 *
 *   {"route": string, "settings": {…}, "uid": string, "body": JSON, or "url": {name: string, …},
 *    "others": {uid: settings}}
 *   → {} for one that is allowed, or {"message": string, "code": string, …}
 *
 * Routes: search, facet-search, documents, multi-search.
 */
#include "query/core/documents_request.h"
#include "query/core/facet_search_request.h"
#include "query/core/multi_search_request.h"
#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define ARGUMENTS_MAX 64

/* The defaults, changed. */
static struct settings *settings_of(yyjson_val *change, struct arena *arena)
{
	struct settings_request request = {.reset = false};
	struct settings_refusal refusal;
	struct settings *settings;
	struct buffer record;
	struct buffer body;
	struct error error;
	struct slice kept;

	buffer_init(&record, SIZE_MAX);
	buffer_init(&body, SIZE_MAX);
	ASSERT(json_append_value(&body, change, &error) == 0);
	request.body = buffer_slice(&body);
	ASSERT(settings_change(settings_default(), &request, &record, &refusal) == 0);
	ASSERT(arena_copy(arena, buffer_slice(&record), &kept));
	ASSERT(settings_parse(kept, arena, &settings, &error) == 0);
	buffer_deinit(&record);
	buffer_deinit(&body);
	return settings;
}

/* What one line says. */
struct asked {
	yyjson_val *line;
	struct slice body;
	const struct argument *url; /* NULL: a body */
	struct arena *arena;
	struct error_answer *refusal;
};

static void read_url(yyjson_val *url, struct argument arguments[ARGUMENTS_MAX + 1])
{
	size_t at;
	size_t len;
	yyjson_val *name;
	yyjson_val *value;

	ASSERT(yyjson_obj_size(url) <= ARGUMENTS_MAX);
	yyjson_obj_foreach(url, at, len, name, value)
	{
		arguments[at] = (struct argument){yyjson_get_str(name), yyjson_get_str(value)};
	}
	arguments[len] = (struct argument){NULL, NULL};
}

static int judge_search(const struct asked *asked, struct search_check *check)
{
	struct search_request request;
	int result = asked->url != NULL
	                     ? search_request_from_url(asked->url, asked->arena, &request, asked->refusal)
	                     : search_request_from_body(asked->body, asked->arena, &request, asked->refusal);

	check->uid = json_string(yyjson_obj_get(asked->line, "uid"));
	return result < 0 ? result : search_check(check, &request);
}

static int judge_facet(const struct asked *asked, const struct search_check *check)
{
	struct facet_search_request request;
	int result = facet_search_request_from_body(asked->body, asked->arena, &request, asked->refusal);

	return result < 0 ? result : facet_search_check(check, &request.facet, &request.search);
}

static int judge_documents(const struct asked *asked, const struct search_check *check)
{
	struct documents_request request;
	int result =
		asked->url != NULL
			? documents_request_from_url(asked->url, asked->arena, &request, asked->refusal)
			: documents_request_from_body(asked->body, asked->arena, &request, asked->refusal);

	return result < 0 || !request.is_search ? result : documents_check(check, &request.search);
}

/* One query of several, with the index that it names. */
static int judge_query(const struct asked *asked, const struct multi_search_request *request, size_t at)
{
	const struct multi_search_query *query = &request->queries[at];
	bool own = slice_equal(query->uid, json_string(yyjson_obj_get(asked->line, "uid")));
	yyjson_val *settings = own ? yyjson_obj_get(asked->line, "settings")
	                           : yyjson_obj_getn(yyjson_obj_get(asked->line, "others"),
	                                             (const char *)query->uid.ptr, query->uid.len);
	struct search_check check = {.uid = query->uid, .arena = asked->arena, .refusal = asked->refusal};
	struct federation_asks asks;

	if (settings == NULL)
		return error_answer_set(asked->refusal, "index_not_found", "Index `%.*s` not found.",
		                        SLICE_ARGS(query->uid));
	check.settings = settings_of(settings, asked->arena);
	if (multi_search_query_check(request, at, asked->refusal) < 0)
		return ERROR_FORMAT;
	asks = federation_asks_of(request, at);
	return request->is_federated ? federation_check(&check, &asks, &query->search)
	                             : search_check(&check, &query->search);
}

static int judge_multi(const struct asked *asked)
{
	struct multi_search_request request;
	int result = multi_search_request_from_body(asked->body, asked->arena, &request, asked->refusal);
	char place[MULTI_SEARCH_PLACE_BYTES];

	for (size_t i = 0; result == 0 && i < request.len; i++) {
		result = multi_search_uid_check(&request, i, asked->refusal);
		if (result < 0 || judge_query(asked, &request, i) == 0)
			continue;
		multi_search_place(i, place);
		error_answer_inside(asked->refusal, place);
		result = ERROR_FORMAT;
	}
	return result < 0 ? result : federation_request_check(&request, asked->refusal);
}

static int judge_route(const struct asked *asked)
{
	struct slice route = json_string(yyjson_obj_get(asked->line, "route"));
	struct search_check check = {
		.settings = settings_of(yyjson_obj_get(asked->line, "settings"), asked->arena),
		.arena = asked->arena,
		.refusal = asked->refusal};

	if (slice_equal(route, slice_string("search")))
		return judge_search(asked, &check);
	if (slice_equal(route, slice_string("facet-search")))
		return judge_facet(asked, &check);
	if (slice_equal(route, slice_string("documents")))
		return judge_documents(asked, &check);
	return judge_multi(asked);
}

static void judge(yyjson_val *line, struct buffer *out)
{
	yyjson_val *url = yyjson_obj_get(line, "url");
	struct argument arguments[ARGUMENTS_MAX + 1];
	struct error_answer refusal;
	struct arena arena;
	struct buffer body;
	struct error error;
	struct asked asked = {.line = line, .arena = &arena, .refusal = &refusal};

	arena_init(&arena, 4096);
	buffer_init(&body, SIZE_MAX);
	if (url != NULL) {
		read_url(url, arguments);
		asked.url = arguments;
	} else {
		ASSERT(json_append_value(&body, yyjson_obj_get(line, "body"), &error) == 0);
		asked.body = buffer_slice(&body);
	}
	if (judge_route(&asked) == 0)
		buffer_append_string(out, "{}");
	else
		error_answer_append(out, slice_string(refusal.code), slice_string(refusal.message));
	buffer_put_u8(out, '\n');
	buffer_deinit(&body);
	arena_deinit(&arena);
}

int main(void)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	struct buffer out;

	buffer_init(&out, SIZE_MAX);
	while ((len = getline(&text, &size, stdin)) > 0) {
		struct error error;
		yyjson_doc *line;

		ASSERT(json_parse(slice_of(text, (size_t)len), JSON_DEPTH_MAX, &line, &error) == 0);
		buffer_clear(&out);
		judge(yyjson_doc_get_root(line), &out);
		ASSERT(!buffer_failed(&out) && fwrite(out.ptr, 1, out.len, stdout) == out.len);
		yyjson_doc_free(line);
	}
	buffer_deinit(&out);
	free(text);
	return 0;
}
