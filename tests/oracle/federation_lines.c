/*
 * Federated lists, one a line, of what nodes answer to each query (federation_cases.py).
 *
 *   {"body": JSON, "nodes": [{"hits": …, …} of each query], "counts": [{"uid", "total", "facets": JSON or null}]}
 *   → the answer
 *
 * An index's id is its uid's hash.
 */
#include "query/core/federation.h"
#include "query/core/json_text.h"
#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice text_of(yyjson_val *value, struct arena *arena)
{
	struct buffer text;
	struct error error;
	struct slice kept;

	buffer_init(&text, SIZE_MAX);
	ASSERT(json_append_value(&text, value, &error) == 0);
	ASSERT(arena_copy(arena, buffer_slice(&text), &kept));
	buffer_deinit(&text);
	return kept;
}

static void add(struct federation *federation, yyjson_val *line, size_t query, struct arena *arena)
{
	static const int32_t partitions[] = {0};
	struct node_question question = {
		.partitions = partitions, .partitions_len = 1, .hits_max = FEDERATION_HITS_MAX};
	struct slice node = text_of(yyjson_arr_get(yyjson_obj_get(line, "nodes"), query), arena);
	struct federation_part part = {.query = query,
	                               .index_id = hash64(federation->request->queries[query].uid, 0)};
	struct node_answer answer;
	struct error error;

	ASSERT(node_answer_parse(node, &question, arena, &answer, &error) == 0);
	part.hits = answer.hits;
	part.hits_len = answer.hits_len;
	ASSERT(federation_add(federation, &part, &error) == 0);
}

static void add_count(struct federation *federation, yyjson_val *given, struct arena *arena)
{
	yyjson_val *facets = yyjson_obj_get(given, "facets");
	yyjson_val *total = yyjson_obj_get(given, "total");
	struct federation_count count = {.uid = json_string(yyjson_obj_get(given, "uid"))};
	struct error error;

	ASSERT(json_text_i64(slice_of(yyjson_get_raw(total), yyjson_get_len(total)), &count.total));
	if (!yyjson_is_null(facets))
		count.facets = text_of(facets, arena);
	ASSERT(federation_add_count(federation, &count, &error) == 0);
}

static void answer_line(yyjson_val *line, struct buffer *out)
{
	struct multi_search_request request;
	struct federation federation;
	struct error_answer refusal;
	struct arena arena;
	struct error error;
	yyjson_val *count;
	size_t at;
	size_t len;

	arena_init(&arena, 4096);
	ASSERT(multi_search_request_from_body(text_of(yyjson_obj_get(line, "body"), &arena), &arena, &request,
	                                      &refusal) == 0);
	ASSERT(federation_init(&federation, &request, &arena));
	for (size_t i = 0; i < request.len; i++)
		add(&federation, line, i, &arena);
	yyjson_arr_foreach(yyjson_obj_get(line, "counts"), at, len, count)
	{
		add_count(&federation, count, &arena);
	}
	ASSERT(federation_order(&federation, &error) == 0);
	federation_answer(&federation, 0, "", out);
	buffer_put_u8(out, '\n');
	federation_deinit(&federation);
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
		answer_line(yyjson_doc_get_root(line), &out);
		ASSERT(!buffer_failed(&out) && fwrite(out.ptr, 1, out.len, stdout) == out.len);
		yyjson_doc_free(line);
	}
	buffer_deinit(&out);
	free(text);
	return 0;
}
