/*
 * Routes of settings: what GET shows, which changes are taken and as which
 * request, and the refusals that a client reads.
 */
#include "query/core/settings_request.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

static const struct settings_route *route_of(const char *path)
{
	const struct settings_route *route = settings_route_find(slice_string(path));

	ASSERT(path[0] == '\0' || route != NULL);
	return route;
}

/* In force: typo tolerance with 3 characters for one typo. */
static struct settings_record in_force(struct buffer *text)
{
	struct settings_request wanted = {.route = route_of("typo-tolerance"),
	                                  .body = slice_string("{\"minWordSizeForTypos\":{\"oneTypo\":3}}")};
	struct settings_refusal refusal;

	buffer_init(text, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &wanted, text, &refusal), 0);
	return (struct settings_record){
		.index_id = 1, .task = 5, .version = 5, .settings = buffer_slice(text)};
}

static void check_shown(const struct settings_record *record, const char *path, const char *expected)
{
	struct error_answer refusal;
	struct buffer json;

	buffer_init(&json, 1 << 20);
	CU_ASSERT_EQUAL(settings_request_show(record, route_of(path), &json, &refusal), 0);
	if (!slice_equal(buffer_slice(&json), slice_string(expected))) {
		printf("\n%s: %.*s\n", path, SLICE_ARGS(buffer_slice(&json)));
		CU_FAIL("shown otherwise");
	}
	buffer_deinit(&json);
}

static void test_show(void)
{
	struct buffer text;
	struct settings_record record = in_force(&text);
	struct settings_record odd = {.settings = slice_string("{\"format\":99,\"settings\":{}}")};
	struct error_answer refusal;
	struct buffer json;

	check_shown(NULL, "stop-words", "[]");
	check_shown(NULL, "pagination", "{\"maxTotalHits\":1000}");
	check_shown(&record, "typo-tolerance",
	            "{\"enabled\":true,\"minWordSizeForTypos\":{\"oneTypo\":3,\"twoTypos\":9},"
	            "\"disableOnWords\":[],\"disableOnAttributes\":[],\"disableOnNumbers\":false}");
	buffer_init(&json, 1 << 20);
	CU_ASSERT_EQUAL(settings_request_show(&record, NULL, &json, &refusal), 0);
	CU_ASSERT_TRUE(
		slice_starts_with(buffer_slice(&json), slice_string("{\"displayedAttributes\":[\"*\"],")));
	buffer_clear(&json);
	CU_ASSERT_NOT_EQUAL(settings_request_show(&odd, NULL, &json, &refusal), 0);
	CU_ASSERT_STRING_EQUAL(refusal.code, "internal");
	buffer_deinit(&json);
	buffer_deinit(&text);
}

static const struct {
	const char *path;
	const char *body; /* NULL: reset */
	const char *taken;
	const char *code;
	const char *message;
} rows[] = {
	{"", "{ \"stopWords\" : [ \"the\" ] }", "{\"stopWords\":[\"the\"]}", NULL, NULL},
	{"stop-words", "null", "null", NULL, NULL},
	{"distinct-attribute", " \"sku\"\n", "\"sku\"", NULL, NULL},
	{"stop-words", NULL, "", NULL, NULL},
	{"", NULL, "", NULL, NULL},
	/* merged with what is in force: 2 is less than the 3 there, 3 is not */
	{"typo-tolerance", "{\"minWordSizeForTypos\":{\"twoTypos\":3}}",
         "{\"minWordSizeForTypos\":{\"twoTypos\":3}}", NULL, NULL},
	{"typo-tolerance", "{\"minWordSizeForTypos\":{\"twoTypos\":2}}", NULL,
         "invalid_settings_typo_tolerance",
         "`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` "
         "and "
         "`255`, and `twoTypos` should be greater or equals to `oneTypo` but found `oneTypo: 3` and "
         "twoTypos: "
         "2`."},
	{"", "", NULL, "missing_payload", "A json payload is missing."},
	{"stop-words", "[", NULL, "malformed_payload", NULL},
	{"stop-words", "7", NULL, "invalid_settings_stop_words",
         "Invalid value type: expected an array, but found a positive integer: `7`"},
	{"", "{\"stopWords\":7}", NULL, "invalid_settings_stop_words",
         "Invalid value type at `.stopWords`: expected an array, but found a positive integer: `7`"},
	{"", "{\"chat\":{}}", NULL, "feature_not_enabled", NULL},
};

static void test_change(void)
{
	struct buffer text;
	struct settings_record record = in_force(&text);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings_request wanted = {.route = route_of(rows[i].path),
		                                  .reset = rows[i].body == NULL,
		                                  .body = slice_string(rows[i].body ? rows[i].body : "")};
		struct error_answer refusal = {.code = ""};
		struct task_request request = {0};
		int result = settings_request_change(&record, &wanted, &request, &refusal);

		if ((result == 0) != (rows[i].code == NULL) ||
		    (result != 0 && strcmp(refusal.code, rows[i].code) != 0) ||
		    (rows[i].message != NULL && strcmp(refusal.message, rows[i].message) != 0)) {
			printf("\nrow %zu: %s: %s\n", i, refusal.code, refusal.message);
			CU_FAIL("another answer than expected");
		}
		if (result != 0)
			continue;
		CU_ASSERT_EQUAL(request.type, TASK_TYPE_SETTINGS_UPDATE);
		CU_ASSERT_STRING_EQUAL(request.setting, rows[i].path);
		CU_ASSERT_EQUAL(request.reset, rows[i].body == NULL);
		CU_ASSERT_TRUE(slice_equal(request.body, slice_string(rows[i].taken)));
		task_request_deinit(&request);
	}
	buffer_deinit(&text);
}

/* What takes few bytes as settings may be sent with many, but not more than a request takes. */
static void test_too_long(void)
{
	struct settings_request wanted = {.reset = false};
	struct error_answer refusal;
	struct task_request request;
	struct buffer body;

	buffer_init(&body, 1 << 20);
	/* of a name that is repeated the last one counts */
	buffer_append_string(&body, "{\"stopWords\":[\"");
	while (body.len <= TASK_BODY_BYTES_MAX)
		buffer_append_string(&body, "x");
	buffer_append_string(&body, "\"],\"stopWords\":[]}");
	wanted.body = buffer_slice(&body);
	CU_ASSERT_NOT_EQUAL(settings_request_change(NULL, &wanted, &request, &refusal), 0);
	CU_ASSERT_STRING_EQUAL(refusal.code, "payload_too_large");
	buffer_deinit(&body);
}

/* Every code of a setting's refusal can be answered. */
static void test_codes(void)
{
	const struct settings_route *route;

	for (size_t at = 0; (route = settings_route_at(at)) != NULL; at++)
		CU_ASSERT_EQUAL(error_answer_status(route->code), 400);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is shown", test_show}, {"changes", test_change}, {"too long", test_too_long},
		{"codes", test_codes},        CU_TEST_INFO_NULL,
	};

	return suite_run("settings request", tests);
}
