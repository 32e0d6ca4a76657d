/*
 * Bodies and URLs of clients: every input is accepted or refused with an error
 * object that is itself JSON.
 */
#include "query/core/answer.h"
#include "query/core/search_check.h"

#include "shared/base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_refusal(const struct error_answer *refusal)
{
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	buffer_init(&body, SIZE_MAX);
	error_answer_append(&body, slice_string(refusal->code), slice_string(refusal->message));
	ASSERT(error_answer_status(refusal->code) >= 400);
	ASSERT(json_parse(buffer_slice(&body), 8, &doc, &error) == 0);
	yyjson_doc_free(doc);
	buffer_deinit(&body);
}

/* What nodes are asked is JSON, and a refusal by settings is an error object. */
static void check_request(const struct search_request *request, struct arena *arena)
{
	struct error_answer refusal;
	struct search_check check = {.settings = settings_default(),
	                             .uid = slice_string("index"),
	                             .arena = arena,
	                             .refusal = &refusal};
	int32_t partition = 0;
	struct node_question question = {.partitions = &partition, .partitions_len = 1};
	struct search_asking asking = {.index_id = 1};
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	if (search_check(&check, request) < 0)
		check_refusal(&refusal);
	buffer_init(&body, SIZE_MAX);
	ask_search(&body, &question, request, &asking);
	ASSERT(json_parse(buffer_slice(&body), JSON_DEPTH_MAX + 1, &doc, &error) == 0);
	yyjson_doc_free(doc);
	buffer_deinit(&body);
}

/* Any document with any list of fields stays JSON. */
static void check_fields(struct slice document, struct slice field)
{
	struct listing_request request = {
		.has_fields = true, .fields = &field, .fields_len = 1, .vectors = true};
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	if (json_parse(document, JSON_DEPTH_MAX, &doc, &error) < 0)
		return;
	if (yyjson_is_obj(yyjson_doc_get_root(doc))) {
		yyjson_doc *part;

		buffer_init(&body, SIZE_MAX);
		answer_document(&body, &request, document);
		ASSERT(json_parse(buffer_slice(&body), JSON_DEPTH_MAX, &part, &error) == 0);
		yyjson_doc_free(part);
		buffer_deinit(&body);
	}
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	size_t half = len / 2;
	char *name = strndup((const char *)bytes, half);
	char *value = strndup((const char *)bytes + half, len - half);
	struct argument arguments[] = {{name, value}, {NULL, NULL}};
	struct search_request request;
	struct task_request task;
	struct error_answer refusal;
	struct arena arena;

	ASSERT(name != NULL && value != NULL);
	arena_init(&arena, 4096);
	if (search_request_from_body(slice_of(bytes, len), &arena, &request, &refusal) < 0)
		check_refusal(&refusal);
	else
		check_request(&request, &arena);
	if (search_request_from_url(arguments, &arena, &request, &refusal) < 0)
		check_refusal(&refusal);
	else
		check_request(&request, &arena);
	if (index_request_from_body(slice_of(bytes, len), 1, &arena, &task, &refusal) < 0)
		check_refusal(&refusal);
	if (len > 0)
		check_fields(slice_of(bytes + bytes[0] % len, len - bytes[0] % len),
		             slice_of(bytes, bytes[0] % len));
	arena_deinit(&arena);
	free(name);
	free(value);
	return 0;
}
