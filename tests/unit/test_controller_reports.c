/*
 * What nodes tell of themselves, read without trusting a byte: literal
 * answers in, values or a refusal out.
 */
#include "rebalance/core/node_report.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* As a node answers, members that nobody reads here included. */
static const char answer[] =
	"{\"node\":\"n1\",\"incarnation\":\"000102030405060708090a0b0c0d0e0f\",\"session\":"
	"\"00000000000000ab\","
	"\"format\":3,\"kafka\":\"K1\",\"ready\":true,\"shards\":["
	"{\"index\":\"00000000000000aa\",\"uid\":\"books\",\"generation\":2,\"partition\":5,\"state\":"
	"\"active\","
	"\"incarnation\":\"00000000000000010000000000000002\",\"session\":\"00000000000000cd\","
	"\"received\":12300,\"stored\":12000,\"settings\":17,\"log_end\":-1,\"anchor\":{\"offset\":12299},"
	"\"digest\":\"000000000000000a000000000000000b\","
	"\"seals\":[{\"offset\":8192,\"digest\":\"00000000000000000000000000000008\"},"
	"{\"offset\":12288,\"digest\":\"00000000000000070000000000000000\"}],\"documents\":7},"
	"{\"index\":\"00000000000000bb\",\"uid\":\"\",\"generation\":1,\"partition\":0,\"state\":\"stopped\","
	"\"incarnation\":\"00000000000000000000000000000000\",\"session\":\"0000000000000000\","
	"\"received\":0,\"stored\":0,\"digest\":\"00000000000000000000000000000000\"}]}";

static int parse(const char *text, size_t len, struct node_report *report, struct error *error)
{
	char *copy = malloc(len + 1); /* exactly as long as it is: what is read beyond it is found */
	int rc;

	ASSERT(copy != NULL);
	memcpy(copy, text, len);
	rc = node_report_parse(slice_of(copy, len), report, error);
	free(copy);
	return rc;
}

static void test_an_answer(void)
{
	struct node_report report = {.node = "n1", .asked_ms = 77};
	const struct replica_report *replica;
	struct error error;
	char text[33];

	CU_ASSERT_EQUAL_FATAL(parse(answer, strlen(answer), &report, &error), 0);
	CU_ASSERT_STRING_EQUAL(report.node, "n1");
	CU_ASSERT_EQUAL(report.asked_ms, 77);
	CU_ASSERT_STRING_EQUAL(report.id, "n1");
	incarnation_print(report.incarnation, text);
	CU_ASSERT_STRING_EQUAL(text, "000102030405060708090a0b0c0d0e0f");
	CU_ASSERT_EQUAL(report.session, 0xab);
	CU_ASSERT_EQUAL(report.format, 3);
	CU_ASSERT_STRING_EQUAL(report.kafka, "K1");
	CU_ASSERT_TRUE(report.ready);
	CU_ASSERT_EQUAL_FATAL(report.replicas_len, 2);
	replica = &report.replicas[0];
	CU_ASSERT_EQUAL(replica->index_id, 0xaa);
	CU_ASSERT_EQUAL(replica->generation, 2);
	CU_ASSERT_EQUAL(replica->partition, 5);
	CU_ASSERT_EQUAL(replica->state, REPORT_STATE_ACTIVE);
	incarnation_print(replica->incarnation, text);
	CU_ASSERT_STRING_EQUAL(text, "00000000000000010000000000000002");
	CU_ASSERT_EQUAL(replica->session, 0xcd);
	CU_ASSERT_EQUAL(replica->received, 12300);
	CU_ASSERT_EQUAL(replica->stored, 12000);
	CU_ASSERT_EQUAL(replica->settings, 17);
	hash128_print(replica->digest, text);
	CU_ASSERT_STRING_EQUAL(text, "000000000000000a000000000000000b");
	CU_ASSERT_EQUAL(replica->seals_len, 2);
	CU_ASSERT_EQUAL(replica->seals[0].offset, 8192);
	CU_ASSERT_EQUAL(replica->seals[1].offset, 12288);
	hash128_print(replica->seals[1].digest, text);
	CU_ASSERT_STRING_EQUAL(text, "00000000000000070000000000000000");
	replica = &report.replicas[1];
	CU_ASSERT_EQUAL(replica->state, REPORT_STATE_STOPPED);
	CU_ASSERT_TRUE(incarnation_is_none(replica->incarnation));
	CU_ASSERT_EQUAL(replica->seals_len, 0);
	CU_ASSERT_EQUAL(replica->settings, -1);
	node_report_deinit(&report);
	CU_ASSERT_EQUAL(report.replicas_len, 0);
}

static void test_a_node_that_has_just_started(void)
{
	static const char text[] =
		"{\"node\":\"n2\",\"incarnation\":\"00000000000000000000000000000001\","
		"\"session\":\"0000000000000001\",\"format\":1,\"kafka\":\"\",\"ready\":false,"
		"\"shards\":[]}";
	struct node_report report = {0};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(parse(text, strlen(text), &report, &error), 0);
	CU_ASSERT_STRING_EQUAL(report.kafka, "");
	CU_ASSERT_FALSE(report.ready);
	CU_ASSERT_EQUAL(report.replicas_len, 0);
	node_report_deinit(&report);
}

/* The first `from` becomes `to`; the refusal names `member`. */
static const struct {
	const char *from;
	const char *to;
	const char *member;
} rows[] = {
	{"{\"node\":\"n1\"", "[{\"node\":\"n1\"", "list of shards"},
	{"\"node\":\"n1\"", "\"node\":\"\"", "node"},
	{"\"node\":\"n1\"", "\"node\":5", "node"},
	{"\"node\":\"n1\"", "\"node\":\"n\\u00001\"", "node"},
	{"\"node\":\"n1\"", "\"node\":\"n123456789012345678901234567890123456789012345678901234567890123\"",
         "node"},
	{"\"0001020304", "\"01020304", "incarnation"},
	{"\"000102030405060708090a0b0c0d0e0f\"", "\"00000000000000000000000000000000\"", "incarnation"},
	{"\"00000000000000ab\"", "\"ab\"", "session"},
	{"\"format\":3", "\"format\":0", "format"},
	{"\"format\":3", "\"format\":4294967296", "format"},
	{"\"kafka\":\"K1\",", "", "kafka"},
	{"\"kafka\":\"K1\"", "\"kafka\":\"0123456789012345678901234567890123456789012345678901234567890123\"",
         "kafka"},
	{"\"ready\":true", "\"ready\":1", "ready"},
	{"\"shards\":[", "\"shards\":5,\"x\":[", "shards"},
	{"\"shards\":[", "\"shards\":[7,", "index"},
	{"00000000000000aa", "00000000000000AA", "index"},
	{"\"generation\":2", "\"generation\":0", "generation"},
	{"\"partition\":5", "\"partition\":1024", "partition"},
	{"\"partition\":5", "\"partition\":-1", "partition"},
	{"\"active\"", "\"asleep\"", "state"},
	{"\"00000000000000010000000000000002\"", "\"\"", "incarnation"},
	{"\"00000000000000cd\"", "null", "session"},
	{"\"received\":12300", "\"received\":11999", "received"},
	{"\"received\":12300", "\"received\":12300.5", "received"},
	{"\"stored\":12000", "\"stored\":-1", "stored"},
	{"\"000000000000000a000000000000000b\"", "\"0a\"", "digest"},
	{"\"000000000000000a000000000000000b\"", "\"000000000000000a00000000000000zz\"", "digest"},
	{"\"settings\":17", "\"settings\":-2", "settings"},
	{"\"settings\":17", "\"settings\":\"17\"", "settings"},
	{"\"seals\":[", "\"seals\":7,\"x\":[", "seals"},
	{"{\"offset\":8192", "{\"offset\":12288", "seals"},
	{"{\"offset\":12288", "{\"offset\":12301", "seals"},
	{"{\"offset\":8192", "{\"offset\":-8192", "seals"},
	{"\"00000000000000000000000000000008\"", "8", "seals"},
	{"\"seals\":[", "\"seals\":[{},{},{},{},{},{},{},", "seals"},
};

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *at = strstr(answer, rows[i].from);
		struct node_report report = {0};
		struct error error = {0};
		char text[2048];
		int len;

		ASSERT(at != NULL);
		len = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - answer), answer, rows[i].to,
		               at + strlen(rows[i].from));
		ASSERT(len > 0 && (size_t)len < sizeof text);
		if (parse(text, (size_t)len, &report, &error) != ERROR_FORMAT ||
		    error.action != ERROR_ACTION_REJECT || strstr(error.text, rows[i].member) == NULL) {
			printf("\nrow %zu: %s: code %d, %s\n", i, rows[i].to, error.code, error.text);
			CU_FAIL("another answer than expected");
		}
		CU_ASSERT_PTR_NULL(report.replicas);
	}
}

/* Cut at every byte it is refused, and nothing is read outside it. */
static void test_cut(void)
{
	for (size_t len = 0; len < strlen(answer); len++) {
		struct node_report report = {0};
		struct error error;

		CU_ASSERT_NOT_EQUAL(parse(answer, len, &report, &error), 0);
	}
}

static void test_too_many(void)
{
	static const char entry[] =
		"{\"index\":\"00000000000000bb\",\"generation\":1,\"partition\":0,\"state\":\"stopped\","
		"\"incarnation\":\"00000000000000000000000000000000\",\"session\":\"0000000000000000\","
		"\"received\":0,\"stored\":0,\"digest\":\"00000000000000000000000000000000\"}";
	struct node_report report = {0};
	struct buffer text;
	struct error error;

	buffer_init(&text, 64U << 20);
	buffer_append_string(&text,
	                     "{\"node\":\"n2\",\"incarnation\":\"00000000000000000000000000000001\","
	                     "\"session\":\"0000000000000001\",\"format\":1,\"kafka\":\"\",\"ready\":true,"
	                     "\"shards\":[");
	for (int i = 0; i <= REPORT_REPLICAS_MAX; i++) {
		buffer_append_string(&text, i == 0 ? "" : ",");
		buffer_append_string(&text, entry);
	}
	buffer_append_string(&text, "]}");
	ASSERT(!buffer_failed(&text));
	CU_ASSERT_EQUAL(node_report_parse(buffer_slice(&text), &report, &error), ERROR_LIMIT);
	buffer_deinit(&text);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"an answer", test_an_answer},
		{"a node that has just started", test_a_node_that_has_just_started},
		{"refused", test_refused},
		{"cut", test_cut},
		{"too many", test_too_many},
		CU_TEST_INFO_NULL,
	};

	return suite_run("controller_reports", tests);
}
