/*
 * Bodies of the routes for sources: what becomes a request, and the answer
 * to what does not.
 */
#include "query/core/source_request.h"

#include "tests/unit/suite.h"

#include <stdio.h>

static const struct {
	const char *body;
	const char *code; /* NULL: taken */
	const char *text; /* the request it makes, or what the message begins with */
} additions[] = {
	{"{\"topic\":\"shop.a\"}", NULL,
         "{\"name\":\"shop.a\",\"topic\":\"shop.a\",\"life\":1,\"paused\":false,\"start_ms\":0,\"rules\":{}"
         "}"},
	{"{\"name\":\"l\",\"pattern\":\"^l\",\"paused\":true,\"start_ms\":9223372036854775807,"
         "\"dead_letter_topic\":\"bad\",\"rules\":{\"where\":[{\"field\":\"a\",\"op\":\"=\",\"value\":1.0}]}"
         "}",
         NULL,
         "{\"name\":\"l\",\"pattern\":\"^l\",\"life\":1,\"paused\":true,\"start_ms\":9223372036854775807,"
         "\"dead_letter_topic\":\"bad\",\"rules\":{\"where\":[{\"field\":\"a\",\"op\":\"=\",\"value\":1.0}]}"
         "}"},
	{"{\"topic\":", "malformed_payload", "The `json` payload provided is malformed."},
	{"[]", "bad_request", "Invalid value type: expected an object"},
	{"{\"topic\":\"a\",\"life\":2}", "bad_request", "Unknown field `life`"},
	{"{}", "invalid_source", "member topic or pattern (exactly one) of source 0"},
	{"{\"topic\":\"a/b\"}", "invalid_source", "member topic of source 0"},
	{"{\"topic\":\"a\",\"rules\":{\"format\":\"xml\"}}", "invalid_source",
         "rules: format: unknown value \"xml\""},
	{"{\"topic\":\"a\",\"rules\":[]}", "invalid_source", "member rules of source 0"},
};

static void check_refusal(const struct error_answer *refusal, const char *code, const char *text)
{
	CU_ASSERT_STRING_EQUAL(refusal->code, code);
	if (strncmp(refusal->message, text, strlen(text)) != 0) {
		printf("\n%s\n", refusal->message);
		CU_FAIL("another message than expected");
	}
}

static void check_value(const struct task_request *request, const char *member)
{
	struct buffer value;

	buffer_init(&value, 1 << 20);
	task_request_write(&value, request);
	buffer_put_u8(&value, 0);
	if (strstr((const char *)value.ptr, member) == NULL) {
		printf("\n%s\n", (const char *)value.ptr);
		CU_FAIL("another request than expected");
	}
	buffer_deinit(&value);
}

static void test_additions(void)
{
	for (size_t i = 0; i < sizeof additions / sizeof *additions; i++) {
		struct task_request request;
		struct error_answer refusal;
		int result = source_addition_from_body(slice_string(additions[i].body),
		                                       slice_string("orders"), &request, &refusal);

		CU_ASSERT_EQUAL_FATAL(result == 0, additions[i].code == NULL);
		if (result != 0) {
			check_refusal(&refusal, additions[i].code, additions[i].text);
			continue;
		}
		CU_ASSERT_STRING_EQUAL(request.uid, "orders");
		check_value(&request, additions[i].text);
		task_request_deinit(&request);
	}
}

static const struct {
	const char *name;
	const char *body;
	const char *code;
	const char *text;
} updates[] = {
	{"a", "{\"paused\":true}", NULL, ",\"name\":\"a\",\"paused\":true}"},
	{"a", "{\"start_ms\":0}", NULL, ",\"name\":\"a\",\"start_ms\":0}"},
	{"a", "{\"start_ms\":9223372036854775807,\"paused\":false}", NULL,
         ",\"name\":\"a\",\"paused\":false,\"start_ms\":9223372036854775807}"},
	{"a", "{}", "bad_request", "Expected `paused` or `start_ms`"},
	{"a", "{\"paused\":1}", "bad_request", "Invalid value type at `.paused`: expected a boolean"},
	{"a", "{\"start_ms\":-1}", "bad_request",
         "Invalid value at `.start_ms`: expected a positive integer"},
	{"a", "{\"start_ms\":9223372036854775808}", "bad_request",
         "Invalid value at `.start_ms`: expected a positive integer"},
	{"a", "{\"rules\":{}}", "bad_request", "Unknown field `rules`"},
	{"a b", "{\"paused\":true}", "source_not_found", "No source can have the name `a b`."},
};

static void test_updates(void)
{
	for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
		struct task_request request;
		struct error_answer refusal;
		int result = source_update_from_body(slice_string(updates[i].body), slice_string("orders"),
		                                     slice_string(updates[i].name), &request, &refusal);

		CU_ASSERT_EQUAL_FATAL(result == 0, updates[i].code == NULL);
		if (result == 0)
			check_value(&request, updates[i].text);
		else
			check_refusal(&refusal, updates[i].code, updates[i].text);
	}
}

static void test_deletions(void)
{
	struct task_request request;
	struct error_answer refusal;

	CU_ASSERT_EQUAL(source_deletion_of(slice_string("orders"), slice_string("a.b"), &request, &refusal),
	                0);
	check_value(&request, ",\"name\":\"a.b\"}");
	CU_ASSERT_NOT_EQUAL(
		source_deletion_of(slice_string("orders"), slice_string("a b"), &request, &refusal), 0);
	check_refusal(&refusal, "source_not_found", "No source can have the name `a b`.");
}

static const struct {
	const char *body;
	const char *code;
	const char *text;
} rebuilds[] = {
	{"{}", NULL, "\"uid\":\"orders\",\"enqueued_at\":0}"},
	{"{\"partitions\":1024,\"dedupWindow\":0}", NULL, ",\"partitions\":1024,\"dedup_window\":0}"},
	{"{\"sources\":[{\"topic\":\"a\"},{\"name\":\"l\",\"pattern\":\"^l\"}]}", NULL,
         ",\"sources\":[{\"name\":\"a\",\"topic\":\"a\",\"life\":1,\"paused\":false,\"start_ms\":0,\"rules\":"
         "{}},"
         "{\"name\":\"l\",\"pattern\":\"^l\","},
	{"{\"acceptLoss\":true}", NULL, ",\"accept_loss\":true}"},
	{"{\"acceptLoss\":1}", "bad_request", "Invalid value type at `.acceptLoss`"},
	{"{\"partitions\":0}", "bad_request",
         "Invalid value at `.partitions`: expected 1 to 1024 partitions"},
	{"{\"partitions\":1025}", "bad_request",
         "Invalid value at `.partitions`: expected 1 to 1024 partitions"},
	{"{\"dedupWindow\":1000000001}", "bad_request", "Invalid value at `.dedupWindow`"},
	{"{\"sources\":[]}", "bad_request", "Invalid value at `.sources`"},
	{"{\"sources\":{\"topic\":\"a\"}}", "bad_request", "Invalid value at `.sources`"},
	{"{\"sources\":[{\"topic\":\"a\"},{\"topic\":\"a\"}]}", "invalid_source",
         "there are two sources with the name a"},
	{"{\"sources\":[{\"topic\":\"a\",\"rules\":{\"op\":\"x\"}}]}", "invalid_source",
         "rules: op: unknown value"},
	{"{\"uid\":\"x\"}", "bad_request", "Unknown field `uid`"},
};

static void test_rebuilds(void)
{
	for (size_t i = 0; i < sizeof rebuilds / sizeof *rebuilds; i++) {
		struct task_request request;
		struct error_answer refusal;
		int result = rebuild_request_from_body(slice_string(rebuilds[i].body), slice_string("orders"),
		                                       &request, &refusal);

		CU_ASSERT_EQUAL_FATAL(result == 0, rebuilds[i].code == NULL);
		if (result != 0) {
			check_refusal(&refusal, rebuilds[i].code, rebuilds[i].text);
			continue;
		}
		check_value(&request, rebuilds[i].text);
		task_request_deinit(&request);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"additions", test_additions}, {"updates", test_updates}, {"deletions", test_deletions},
		{"rebuilds", test_rebuilds},   CU_TEST_INFO_NULL,
	};

	return suite_run("source_request", tests);
}
