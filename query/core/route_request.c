#include "query/core/route_request.h"

#include <stdio.h>

#define LENGTH(rows) (sizeof(rows) / sizeof(rows)[0])

enum {
	ROW_OFFSET,
	ROW_LIMIT
};

static const struct parameter indexes_rows[] = {
	[ROW_OFFSET] = {"offset", PARAMETER_KIND_COUNT, PARAMETER_PLACE_URL, "invalid_index_offset", NULL, 0},
	[ROW_LIMIT] = {"limit", PARAMETER_KIND_COUNT, PARAMETER_PLACE_URL, "invalid_index_limit", NULL, 0},
};

static const struct parameter_table indexes_table = {indexes_rows, LENGTH(indexes_rows)};

enum {
	ROW_SIZES,
	ROW_FORMAT
};

static const struct parameter stats_rows[] = {
	[ROW_SIZES] = {"showInternalDatabaseSizes", PARAMETER_KIND_BOOLEAN, PARAMETER_PLACE_URL,
                       "bad_request", "false", PARAMETER_UNAVAILABLE},
	[ROW_FORMAT] = {"sizeFormat", PARAMETER_KIND_STRING, PARAMETER_PLACE_URL, "bad_request", "\"raw\"",
                        PARAMETER_UNAVAILABLE},
};

static const struct parameter_table stats_table = {stats_rows, LENGTH(stats_rows)};

enum {
	ROW_UID,
	ROW_PRIMARY_KEY,
	ROW_PARTITIONS,
	ROW_PARTITIONER,
	ROW_TOPIC,
	ROW_DEDUP_WINDOW
};

static const struct parameter index_rows[] = {
	[ROW_UID] = {"uid", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY, "invalid_index_uid", NULL, 0},
	[ROW_PRIMARY_KEY] = {"primaryKey", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY,
                             "invalid_index_primary_key", NULL, 0},
	[ROW_PARTITIONS] = {"partitions", PARAMETER_KIND_COUNT, PARAMETER_PLACE_BODY, "bad_request", NULL, 0},
	[ROW_PARTITIONER] = {"partitioner", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY, "bad_request", NULL,
                             0},
	[ROW_TOPIC] = {"topic", PARAMETER_KIND_STRING, PARAMETER_PLACE_BODY, "bad_request", NULL, 0},
	[ROW_DEDUP_WINDOW] = {"dedupWindow", PARAMETER_KIND_COUNT, PARAMETER_PLACE_BODY, "bad_request", NULL,
                              0},
};

static const struct parameter_table index_table = {index_rows, LENGTH(index_rows)};

static void take_page(const struct parameter_value *values, struct listing_request *request)
{
	request->offset = values[ROW_OFFSET].given ? values[ROW_OFFSET].count : 0;
	request->limit = values[ROW_LIMIT].given ? values[ROW_LIMIT].count : ROUTE_LIMIT_DEFAULT;
}

int listing_request_indexes(const struct argument *arguments, struct arena *arena,
                            struct listing_request *request, struct error_answer *refusal)
{
	struct parameter_value values[LENGTH(indexes_rows)];
	int result = parameters_from_url(&indexes_table, arguments, arena, values, refusal);

	if (result < 0)
		return result;
	*request = (struct listing_request){0};
	take_page(values, request);
	return 0;
}

int stats_request_check(const struct argument *arguments, struct arena *arena, struct error_answer *refusal)
{
	struct parameter_value values[LENGTH(stats_rows)];

	return parameters_from_url(&stats_table, arguments, arena, values, refusal);
}

static int refuse_uid(struct slice uid, const char *where, struct error_answer *refusal)
{
	struct slice shown = slice_within(uid, PARAMETER_ECHO_BYTES_MAX);

	return error_answer_set(
		refusal, "invalid_index_uid",
		"%s`%.*s` is not a valid index uid. Index uid can be an integer or a string containing "
		"only alphanumeric characters, hyphens (-) and underscores (_), and can not be more than "
		"%d bytes.",
		where, SLICE_ARGS(shown), INDEX_UID_BYTES_MAX);
}

int index_uid_check(struct slice uid, struct error_answer *refusal)
{
	return index_uid_is_valid(uid) ? 0 : refuse_uid(uid, "", refusal);
}

/* A string of the body into a record's field; negative if it does not fit. */
static int take_string(const struct parameter *row, const struct parameter_value *value, char *out,
                       size_t size, struct error_answer *refusal)
{
	if (!value->given)
		return 0;
	if (value->text.len == 0 || value->text.len >= size ||
	    memchr(value->text.ptr, 0, value->text.len) != NULL)
		return error_answer_set(refusal, row->code, "Invalid value at `.%s`: expected 1 to %zu bytes",
		                        row->name, size - 1);
	(void)snprintf(out, size, "%.*s", SLICE_ARGS(value->text));
	return 0;
}

static int take_layout(const struct parameter_value *values, int32_t partitions_default,
                       struct task_request *request, struct error_answer *refusal)
{
	uint64_t partitions =
		values[ROW_PARTITIONS].given ? values[ROW_PARTITIONS].count : (uint64_t)partitions_default;
	const struct parameter_value *name = &values[ROW_PARTITIONER];
	const struct parameter_value *window = &values[ROW_DEDUP_WINDOW];

	if (window->given && window->count > RULES_DEDUP_WINDOW_MAX)
		return error_answer_set(
			refusal, "bad_request",
			"Invalid value at `.dedupWindow`: expected 0 to %d offsets, but found "
			"%llu",
			RULES_DEDUP_WINDOW_MAX, (unsigned long long)window->count);
	if (partitions < 1 || partitions > INDEX_PARTITIONS_MAX)
		return error_answer_set(
			refusal, "bad_request",
			"Invalid value at `.partitions`: expected 1 to %d partitions, but found %llu",
			INDEX_PARTITIONS_MAX, (unsigned long long)partitions);
	request->partitions = (int32_t)partitions;
	request->has_dedup_window = window->given;
	request->dedup_window = (int64_t)window->count;
	request->partitioner = PARTITIONER_MURMUR2;
	if (name->given && !partitioner_parse(name->text, &request->partitioner))
		return error_answer_set(
			refusal, "bad_request",
			"Unknown value `%.*s` at `.partitioner`: expected one of `murmur2`, `crc32`, `none`",
			(int)(name->text.len < 200 ? name->text.len : 200), (const char *)name->text.ptr);
	return 0;
}

int index_request_from_body(struct slice body, int32_t partitions_default, struct arena *arena,
                            struct task_request *request, struct error_answer *refusal)
{
	struct parameter_value values[LENGTH(index_rows)];
	struct task_request made = {.type = TASK_TYPE_INDEX_CREATION, .primary_key = "id"};
	int result = parameters_from_body(&index_table, body, arena, values, refusal);

	if (result < 0)
		return result;
	if (!values[ROW_UID].given)
		return error_answer_set(refusal, "missing_index_uid", "Missing field `uid`");
	if (!index_uid_is_valid(values[ROW_UID].text))
		return refuse_uid(values[ROW_UID].text, "Invalid value at `.uid`: ", refusal);
	result = take_string(&index_rows[ROW_UID], &values[ROW_UID], made.uid, sizeof made.uid, refusal);
	if (result == 0)
		result = take_string(&index_rows[ROW_PRIMARY_KEY], &values[ROW_PRIMARY_KEY], made.primary_key,
		                     sizeof made.primary_key, refusal);
	if (result == 0)
		result = take_string(&index_rows[ROW_TOPIC], &values[ROW_TOPIC], made.topic,
		                     sizeof made.topic, refusal);
	if (result == 0)
		result = take_layout(values, partitions_default, &made, refusal);
	if (result == 0)
		*request = made;
	return result;
}

int task_uid_parse(struct slice text, int64_t *task, struct error_answer *refusal)
{
	int64_t value = 0;
	size_t i = 0;

	while (i < text.len && i < 18 && text.ptr[i] >= '0' && text.ptr[i] <= '9')
		value = value * 10 + (text.ptr[i++] - '0');
	if (i == 0 || i != text.len)
		return error_answer_set(
			refusal, "invalid_task_uids",
			"Task uid `%.*s` is invalid. It should only contain numeric characters.",
			(int)(text.len < 200 ? text.len : 200), (const char *)text.ptr);
	*task = value;
	return 0;
}
