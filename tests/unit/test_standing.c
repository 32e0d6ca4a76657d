/*
 * Standing: what is believed of a node's list of shards.
 */
#include "shared/feed/standing.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define BARE_ENTRY(members) \
	"{\"node\":\"n1\",\"shards\":[{\"index\":\"000000000000004d\",\"generation\":1,\"partition\":0," \
	"\"state\":\"active\",\"incarnation\":\"00000000000000b200000000000000a1\"," \
	"\"session\":\"00000000000000ff\",\"received\":9,\"stored\":9," \
	"\"anchor\":{\"offset\":8,\"timestamp\":5,\"checksum\":\"0000000000000007\"}}," \
	"{\"index\":\"000000000000004d\",\"generation\":1,\"partition\":3," members "}]}"
#define ENTRY(members) BARE_ENTRY("\"marks\":0," members)
#define STATE "\"state\":\"active\""
#define INCARNATION "\"incarnation\":\"00000000000000b200000000000000a1\""
#define SESSION "\"session\":\"ffffffffffffffff\""
#define MARKS "\"received\":120,\"stored\":100"
#define ANCHOR "\"anchor\":{\"offset\":119,\"timestamp\":1700000000000,\"checksum\":\"fedcba9876543210\"}"
#define GOOD STATE "," INCARNATION "," SESSION "," MARKS "," ANCHOR

static int find(const char *text, struct range_answer *found, char reason[64])
{
	struct range_answer wanted = {.index_id = 77, .partition = 3};
	struct standing *standing;
	struct slice stop_reason = slice_of(NULL, 0);
	struct error error;
	int rc = standing_parse(slice_string(text), &standing, &error);

	if (rc != 0)
		return rc;
	rc = standing_find(standing, &wanted, 1, found, &stop_reason, &error);
	(void)snprintf(reason, 64, "%.*s", SLICE_ARGS(stop_reason));
	standing_free(standing);
	return rc;
}

static void test_entry_is_read(void)
{
	struct range_answer found;
	char reason[64];

	CU_ASSERT_EQUAL_FATAL(find(ENTRY(GOOD ",\"later\":[1]"), &found, reason), 0);
	CU_ASSERT_EQUAL(found.index_id, 77);
	CU_ASSERT_EQUAL(found.partition, 3);
	CU_ASSERT_EQUAL(found.result, RANGE_RESULT_ALREADY);
	CU_ASSERT_TRUE(incarnation_equal(found.incarnation, (struct incarnation){{0xa1, 0xb2}}));
	CU_ASSERT_EQUAL(found.session, UINT64_MAX);
	CU_ASSERT_EQUAL(found.received, 120);
	CU_ASSERT_EQUAL(found.stored, 100);
	CU_ASSERT_EQUAL(found.anchor.offset, 119);
	CU_ASSERT_EQUAL(found.anchor.timestamp_ms, 1700000000000);
	CU_ASSERT_EQUAL(found.anchor.checksum, 0xfedcba9876543210);
	CU_ASSERT_STRING_EQUAL(reason, "");
}

static void test_marks(void)
{
	static const struct {
		const char *text;
		bool identities;
		bool origins;
	} rows[] = {
		{BARE_ENTRY(GOOD ",\"marks\":0"), false, false},
		{BARE_ENTRY(GOOD ",\"marks\":1"), true, false},
		{BARE_ENTRY(GOOD ",\"marks\":2"), false, true},
		{BARE_ENTRY(GOOD ",\"marks\":3"), true, true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct range_answer found;
		char reason[64];

		CU_ASSERT_EQUAL_FATAL(find(rows[i].text, &found, reason), 0);
		CU_ASSERT_EQUAL(found.has_identities, rows[i].identities);
		CU_ASSERT_EQUAL(found.has_origins, rows[i].origins);
	}
}

static void test_not_listed(void)
{
	struct range_answer found;
	char reason[64];

	CU_ASSERT_EQUAL_FATAL(find("{\"shards\":[]}", &found, reason), 0);
	CU_ASSERT_EQUAL(found.result, RANGE_RESULT_UNKNOWN);
	CU_ASSERT_EQUAL_FATAL(find("{\"shards\":[7,null,{}]}", &found, reason), 0);
	CU_ASSERT_EQUAL(found.result, RANGE_RESULT_UNKNOWN);
	/* another life of the same index, and another index */
	CU_ASSERT_EQUAL_FATAL(
		find("{\"shards\":[{\"index\":\"000000000000004d\",\"generation\":2,\"partition\":3},"
	             "{\"index\":\"000000000000004e\",\"generation\":1,\"partition\":3}]}",
	             &found, reason),
		0);
	CU_ASSERT_EQUAL(found.result, RANGE_RESULT_UNKNOWN);
}

static void test_stopped(void)
{
	struct range_answer found;
	char reason[64];

	CU_ASSERT_EQUAL_FATAL(find(ENTRY("\"state\":\"stopped\",\"stop_reason\":\"damaged\"," INCARNATION
	                                 "," SESSION "," MARKS "," ANCHOR),
	                           &found, reason),
	                      0);
	CU_ASSERT_EQUAL(found.result, RANGE_RESULT_STOPPED);
	CU_ASSERT_STRING_EQUAL(reason, "damaged");
}

static void test_refused(void)
{
	static const char *const rows[] = {
		"",
		"no JSON",
		"[]",
		"{}",
		"{\"shards\":{}}",
		ENTRY(INCARNATION "," SESSION "," MARKS "," ANCHOR),
		ENTRY(STATE "," SESSION "," MARKS "," ANCHOR),
		ENTRY(STATE "," INCARNATION "," MARKS "," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION "," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION "," MARKS),
		ENTRY(STATE ",\"incarnation\":\"b2\"," SESSION "," MARKS "," ANCHOR),
		ENTRY(STATE "," INCARNATION ",\"session\":5," MARKS "," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION ",\"received\":120.0,\"stored\":100," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION ",\"received\":120,\"stored\":121," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION ",\"received\":120,\"stored\":-1," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION ",\"received\":119,\"stored\":100," ANCHOR),
		ENTRY(STATE "," INCARNATION "," SESSION "," MARKS
	                    ",\"anchor\":{\"offset\":-2,\"timestamp\":0,\"checksum\":\"0000000000000000\"}"),
		ENTRY(STATE "," INCARNATION "," SESSION "," MARKS ",\"anchor\":null"),
		BARE_ENTRY(GOOD),
		BARE_ENTRY(GOOD ",\"marks\":4"),
		BARE_ENTRY(GOOD ",\"marks\":-1"),
		BARE_ENTRY(GOOD ",\"marks\":true"),
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct range_answer found;
		char reason[64];
		int rc = find(rows[i], &found, reason);

		if (rc != ERROR_FORMAT)
			(void)fprintf(stderr, "row %zu: %d\n", i, rc);
		CU_ASSERT_EQUAL(rc, ERROR_FORMAT);
	}
}

static void test_who_answers(void)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{"{\"node\":\"n1\",\"shards\":[]}", 0},
		{"{\"node\":\"n2\",\"shards\":[]}", ERROR_STATE},
		{"{\"node\":\"n\",\"shards\":[]}", ERROR_STATE},
		{"{\"node\":\"\",\"shards\":[]}", ERROR_STATE},
		{"{\"node\":1,\"shards\":[]}", ERROR_STATE},
		{"{\"shards\":[]}", ERROR_STATE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct standing *standing;
		struct error error;

		CU_ASSERT_EQUAL_FATAL(standing_parse(slice_string(rows[i].text), &standing, &error), 0);
		CU_ASSERT_EQUAL(standing_check_node(standing, "n1", &error), rows[i].rc);
		standing_free(standing);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"who answers", test_who_answers},
		{"entry is read", test_entry_is_read},
		{"marks", test_marks},
		{"not listed", test_not_listed},
		{"stopped", test_stopped},
		{"refused", test_refused},
		CU_TEST_INFO_NULL,
	};

	return suite_run("standing", tests);
}
