#include "query/core/source_request.h"

#include "shared/mapping/mapping.h"
#include "shared/meta/source.h"

#include <stdio.h>

#define MAPPING_BLOCK_BYTES (64U * 1024)
#define SHOWN_MAX 100

static const char *const source_members[] = {
	"name", "topic", "pattern", "paused", "start_ms", "dead_letter_topic", "rules", NULL};
static const char *const update_members[] = {"paused", "start_ms", NULL};
static const char *const rebuild_members[] = {"partitions", "dedupWindow", "sources", "acceptLoss", NULL};

/* An object with no other members than `names`; the caller frees *doc. */
static int open_body(struct slice body, const char *const *names, yyjson_doc **doc,
                     struct error_answer *refusal)
{
	struct error error;
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (json_parse(body, JSON_DEPTH_MAX, doc, &error) != 0)
		return error_answer_set(refusal, "malformed_payload",
		                        "The `json` payload provided is malformed. %s", error.text);
	if (!yyjson_is_obj(yyjson_doc_get_root(*doc))) {
		yyjson_doc_free(*doc);
		return error_answer_set(refusal, "bad_request", "Invalid value type: expected an object");
	}
	iter = yyjson_obj_iter_with(yyjson_doc_get_root(*doc));
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		struct slice name = json_string(key);
		size_t i = 0;

		while (names[i] != NULL && !slice_equal(name, slice_string(names[i])))
			i++;
		if (names[i] != NULL)
			continue;
		(void)error_answer_set(refusal, "bad_request", "Unknown field `%.*s`",
		                       (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX),
		                       (const char *)name.ptr);
		yyjson_doc_free(*doc);
		return ERROR_FORMAT;
	}
	return 0;
}

static int check_rules(const struct source_record *source, struct error_answer *refusal)
{
	struct rules limits = rules_default();
	struct mapping *mapping;
	struct arena arena;
	struct error error;
	int result;

	arena_init(&arena, MAPPING_BLOCK_BYTES);
	result = mapping_parse(source->rules, &limits, &arena, &mapping, &error);
	arena_deinit(&arena);
	return result == 0 ? 0 : error_answer_set(refusal, "invalid_source", "rules: %s", error.text);
}

int source_addition_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal)
{
	struct task_request made = {.type = TASK_TYPE_SOURCE_ADDITION};
	struct error error;
	yyjson_doc *doc;
	int result = open_body(body, source_members, &doc, refusal);

	if (result != 0)
		return result;
	(void)snprintf(made.uid, sizeof made.uid, "%.*s", SLICE_ARGS(uid));
	result = sources_take(yyjson_doc_get_root(doc), &made.sources, &made.sources_len, &error);
	if (result != 0)
		(void)error_answer_set(refusal, "invalid_source", "%s", error.text);
	else
		result = check_rules(made.sources, refusal);
	yyjson_doc_free(doc);
	if (result == 0)
		*request = made;
	else
		task_request_deinit(&made);
	return result;
}

/* A whole number without sign. */
static int read_number(yyjson_val *value, int64_t *out)
{
	struct slice text = json_raw_number(value);
	int64_t number = 0;

	if (text.len == 0)
		return ERROR_FORMAT;
	for (size_t i = 0; i < text.len; i++) {
		int64_t digit = (int64_t)text.ptr[i] - '0';

		if (digit < 0 || digit > 9 || number > (INT64_MAX - digit) / 10)
			return ERROR_FORMAT;
		number = number * 10 + digit;
	}
	*out = number;
	return 0;
}

static int read_update(yyjson_val *root, struct task_request *request, struct error_answer *refusal)
{
	yyjson_val *paused = yyjson_obj_get(root, "paused");
	yyjson_val *start = yyjson_obj_get(root, "start_ms");

	request->has_paused = paused != NULL;
	request->has_start = start != NULL;
	if (!request->has_paused && !request->has_start)
		return error_answer_set(refusal, "bad_request", "Expected `paused` or `start_ms`");
	if (request->has_paused && !json_get_bool(root, "paused", &request->paused))
		return error_answer_set(refusal, "bad_request",
		                        "Invalid value type at `.paused`: expected a boolean");
	if (request->has_start && read_number(start, &request->start_ms) != 0)
		return error_answer_set(refusal, "bad_request",
		                        "Invalid value at `.start_ms`: expected a positive integer");
	return 0;
}

static int check_name(struct slice name, struct error_answer *refusal)
{
	if (topic_name_is_valid(name))
		return 0;
	return error_answer_set(refusal, "source_not_found", "No source can have the name `%.*s`.",
	                        (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), (const char *)name.ptr);
}

int source_update_from_body(struct slice body, struct slice uid, struct slice name,
                            struct task_request *request, struct error_answer *refusal)
{
	struct task_request made = {.type = TASK_TYPE_SOURCE_UPDATE};
	yyjson_doc *doc;
	int result = check_name(name, refusal);

	if (result != 0)
		return result;
	result = open_body(body, update_members, &doc, refusal);
	if (result != 0)
		return result;
	(void)snprintf(made.uid, sizeof made.uid, "%.*s", SLICE_ARGS(uid));
	(void)snprintf(made.source, sizeof made.source, "%.*s", SLICE_ARGS(name));
	result = read_update(yyjson_doc_get_root(doc), &made, refusal);
	yyjson_doc_free(doc);
	if (result == 0)
		*request = made;
	return result;
}

int source_deletion_of(struct slice uid, struct slice name, struct task_request *request,
                       struct error_answer *refusal)
{
	int result = check_name(name, refusal);

	if (result != 0)
		return result;
	*request = (struct task_request){.type = TASK_TYPE_SOURCE_DELETION};
	(void)snprintf(request->uid, sizeof request->uid, "%.*s", SLICE_ARGS(uid));
	(void)snprintf(request->source, sizeof request->source, "%.*s", SLICE_ARGS(name));
	return 0;
}

static int read_layout(yyjson_val *root, struct task_request *request, struct error_answer *refusal)
{
	yyjson_val *partitions = yyjson_obj_get(root, "partitions");
	yyjson_val *window = yyjson_obj_get(root, "dedupWindow");
	int64_t number = 0;

	if (partitions != NULL &&
	    (read_number(partitions, &number) != 0 || number < 1 || number > INDEX_PARTITIONS_MAX))
		return error_answer_set(refusal, "bad_request",
		                        "Invalid value at `.partitions`: expected 1 to %d partitions",
		                        INDEX_PARTITIONS_MAX);
	request->partitions = (int32_t)number;
	request->has_dedup_window = window != NULL;
	if (window != NULL && (read_number(window, &request->dedup_window) != 0 ||
	                       request->dedup_window > RULES_DEDUP_WINDOW_MAX))
		return error_answer_set(refusal, "bad_request",
		                        "Invalid value at `.dedupWindow`: expected 0 to %d offsets",
		                        RULES_DEDUP_WINDOW_MAX);
	return 0;
}

static int read_sources(yyjson_val *root, struct task_request *request, struct error_answer *refusal)
{
	yyjson_val *sources = yyjson_obj_get(root, "sources");
	struct error error;
	int result = 0;

	if (sources != NULL && (!yyjson_is_arr(sources) || yyjson_arr_size(sources) == 0))
		return error_answer_set(
			refusal, "bad_request",
			"Invalid value at `.sources`: expected a list of at least one source");
	if (sources_take(sources, &request->sources, &request->sources_len, &error) != 0)
		return error_answer_set(refusal, "invalid_source", "%s", error.text);
	for (size_t i = 0; result == 0 && i < request->sources_len; i++)
		result = check_rules(&request->sources[i], refusal);
	return result;
}

int rebuild_request_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal)
{
	struct task_request made = {.type = TASK_TYPE_INDEX_REBUILD};
	yyjson_doc *doc;
	int result = open_body(body, rebuild_members, &doc, refusal);

	if (result != 0)
		return result;
	(void)snprintf(made.uid, sizeof made.uid, "%.*s", SLICE_ARGS(uid));
	result = read_layout(yyjson_doc_get_root(doc), &made, refusal);
	if (result == 0 && yyjson_obj_get(yyjson_doc_get_root(doc), "acceptLoss") != NULL &&
	    !json_get_bool(yyjson_doc_get_root(doc), "acceptLoss", &made.accept_loss))
		result = error_answer_set(refusal, "bad_request",
		                          "Invalid value type at `.acceptLoss`: expected a boolean");
	if (result == 0)
		result = read_sources(yyjson_doc_get_root(doc), &made, refusal);
	yyjson_doc_free(doc);
	if (result == 0)
		*request = made;
	else
		task_request_deinit(&made);
	return result;
}
