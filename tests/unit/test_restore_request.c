/* The body of POST /indexes/{uid}/restore: what a request is made of, and what is refused. */
#include "query/core/restore_request.h"

#include "tests/unit/suite.h"

#define SHARD "{\"partition\":3,\"head\":\"00112233445566778899aabbccddeeff\",\"stored\":7,\"from\":8}"

static void test_body(void)
{
	struct task_request request;
	struct error_answer refusal;

	CU_ASSERT_EQUAL_FATAL(restore_request_from_body(
				      slice_string("{\"index\":\"00000000000000aa\",\"shards\":[" SHARD "]}"),
				      slice_string("books"), &request, &refusal),
	                      0);
	CU_ASSERT_EQUAL(request.type, TASK_TYPE_INDEX_RESTORE);
	CU_ASSERT_STRING_EQUAL(request.uid, "books");
	CU_ASSERT_EQUAL(request.index_id, 0xaa);
	CU_ASSERT_EQUAL_FATAL(request.shards_len, 1);
	CU_ASSERT_EQUAL(request.shards[0].partition, 3);
	CU_ASSERT_EQUAL(request.shards[0].copy.from, 8);
	task_request_deinit(&request);
}

static void test_refused(void)
{
	static const struct {
		const char *body;
		const char *code;
	} rows[] = {
		{"", "malformed_payload"},
		{"{", "malformed_payload"},
		{"[]", "bad_request"},
		{"{\"shards\":[" SHARD "]}", "bad_request"},
		{"{\"index\":\"aa\",\"shards\":[" SHARD "]}", "bad_request"},
		{"{\"index\":\"00000000000000aa\"}", "bad_request"},
		{"{\"index\":\"00000000000000aa\",\"shards\":[]}", "bad_request"},
		{"{\"index\":\"00000000000000aa\",\"shards\":[" SHARD "," SHARD "]}", "bad_request"},
		{"{\"index\":\"00000000000000aa\",\"shards\":[7]}", "bad_request"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct task_request request;
		struct error_answer refusal;

		CU_ASSERT_TRUE(restore_request_from_body(slice_string(rows[i].body), slice_string("books"),
		                                         &request, &refusal) < 0);
		CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a body", test_body}, {"bodies that cannot be", test_refused}, CU_TEST_INFO_NULL};

	return suite_run("restore_request", tests);
}
