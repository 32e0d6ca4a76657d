/*
 * Requests and finals of tasks: literal texts, round trips, refusals.
 */
#include "shared/meta/task.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

static const char creation[] =
	"{\"v\":1,\"type\":\"indexCreation\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"primary_key\":\"id\",\"partitions\":12,\"partitioner\":\"murmur2\"}";
static const char adoption[] = "{\"v\":1,\"type\":\"indexCreation\",\"nonce\":"
			       "\"00112233445566778899aabbccddeeff\",\"uid\":\"packages\","
			       "\"enqueued_at\":1700000000000,\"primary_key\":\"a "
			       "\\\"b\\\"\",\"partitions\":1,\"partitioner\":\"none\","
			       "\"topic\":\"shop.orders\"}";
static const char deletion[] = "{\"v\":1,\"type\":\"indexDeletion\",\"nonce\":"
			       "\"00112233445566778899aabbccddeeff\",\"uid\":\"packages\","
			       "\"enqueued_at\":1700000000000}";
static const char import[] =
	"{\"v\":1,\"type\":\"indexCreation\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"primary_key\":\"id\",\"partitions\":12,\"partitioner\":\"murmur2\","
	"\"dedup_window\":0,\"sources\":[{\"name\":\"a\",\"topic\":\"shop.a\",\"life\":1,\"paused\":false,"
	"\"start_ms\":0,\"rules\":{\"id\":\"key\"}},{\"name\":\"b\",\"topic\":\"shop.b\",\"life\":1,"
	"\"paused\":false,\"start_ms\":0,\"rules\":{}}]}";
static const char skip[] =
	"{\"v\":1,\"type\":\"recordSkip\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"index\":\"00000000000000aa\",\"partition\":1023,"
	"\"offset\":9223372036854775807,\"reason\":\"it ended the \\\"worker\\\" 3 times\"}";
static const char addition[] =
	"{\"v\":1,\"type\":\"sourceAddition\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"source\":{\"name\":\"logs\",\"pattern\":\"^logs\",\"life\":1,"
	"\"paused\":false,\"start_ms\":7,\"rules\":{\"where\":[{\"field\":\"a\",\"op\":\"=\",\"value\":1.0}]}"
	"}}";
static const char update[] =
	"{\"v\":1,\"type\":\"sourceUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"name\":\"logs\",\"paused\":false,\"start_ms\":0}";
static const char pause[] =
	"{\"v\":1,\"type\":\"sourceUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"name\":\"logs\",\"paused\":true}";
static const char removal[] =
	"{\"v\":1,\"type\":\"sourceDeletion\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"name\":\"logs\"}";
static const char rebuild[] =
	"{\"v\":1,\"type\":\"indexRebuild\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\","
	"\"enqueued_at\":1700000000000,\"partitions\":7,\"dedup_window\":5,\"sources\":[{\"name\":\"a\","
	"\"topic\":"
	"\"shop.a\",\"life\":3,\"paused\":false,\"start_ms\":0,\"rules\":{}}]}";
static const char rebuild_anyway[] =
	"{\"v\":1,\"type\":\"indexRebuild\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"accept_loss\":true}";
static const char rebuild_cancelled[] =
	"{\"v\":1,\"type\":\"indexRebuild\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"cancel\":true}";
static const char rebuild_as_before[] =
	"{\"v\":1,\"type\":\"indexRebuild\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000}";
static const char restore[] =
	"{\"v\":1,\"type\":\"indexRestore\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"index\":\"00000000000000aa\",\"shards\":["
	"{\"partition\":0,\"head\":\"00112233445566778899aabbccddeeff\",\"stored\":7,\"from\":7},"
	"{\"partition\":1023,\"head\":\"00000000000000000000000000000001\",\"stored\":0,\"from\":9}]}";
static const char settings[] =
	"{\"v\":1,\"type\":\"settingsUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"body\":{\"stopWords\":[\"d\xc3\xa9j\xc3\xa0\"],\"x\":1."
	"5}}";
static const char setting_null[] =
	"{\"v\":1,\"type\":\"settingsUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"setting\":\"stop-words\",\"body\":null}";
static const char setting_reset[] =
	"{\"v\":1,\"type\":\"settingsUpdate\",\"nonce\":\"00112233445566778899aabbccddeeff\",\"uid\":"
	"\"packages\",\"enqueued_at\":1700000000000,\"setting\":\"stop-words\",\"reset\":true}";
static const char succeeded[] =
	"{\"v\":1,\"task\":5,\"kind\":\"final\",\"status\":\"succeeded\",\"started_at\":1,\"finished_at\":2}";
static const char failed[] = "{\"v\":1,\"task\":5,\"kind\":\"final\",\"status\":\"failed\",\"error\":{"
			     "\"code\":\"index_already_exists\","
			     "\"message\":\"Index `a` already exists.\"},\"started_at\":1,\"finished_at\":2}";

static void check_text(struct buffer *buffer, const char *expected)
{
	CU_ASSERT_TRUE(slice_equal(buffer_slice(buffer), slice_string(expected)));
	buffer_clear(buffer);
}

static void test_request_round_trips(void)
{
	static const char *const texts[] = {
		creation,     adoption,          deletion,       import,
		skip,         addition,          update,         pause,
		rebuild,      rebuild_as_before, rebuild_anyway, rebuild_cancelled,
		removal,      restore,           settings,       setting_null,
		setting_reset};
	struct buffer buffer;

	buffer_init(&buffer, 1 << 16);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct task_request request;
		struct error error;

		CU_ASSERT_EQUAL(task_request_parse(slice_string(texts[i]), &request, &error), 0);
		task_request_write(&buffer, &request);
		check_text(&buffer, texts[i]);
		task_request_deinit(&request);
	}
	buffer_deinit(&buffer);
}

static void test_request_members(void)
{
	struct task_request request;
	struct error error;

	CU_ASSERT_EQUAL(task_request_parse(slice_string(adoption), &request, &error), 0);
	CU_ASSERT_EQUAL(request.type, TASK_TYPE_INDEX_CREATION);
	CU_ASSERT_STRING_EQUAL(request.nonce, "00112233445566778899aabbccddeeff");
	CU_ASSERT_STRING_EQUAL(request.uid, "packages");
	CU_ASSERT_STRING_EQUAL(request.primary_key, "a \"b\"");
	CU_ASSERT_STRING_EQUAL(request.topic, "shop.orders");
	CU_ASSERT_EQUAL(request.partitions, 1);
	CU_ASSERT_EQUAL(request.partitioner, PARTITIONER_NONE);
	CU_ASSERT_EQUAL(request.enqueued_at_ms, 1700000000000);
	CU_ASSERT_FALSE(request.has_dedup_window);
	CU_ASSERT_PTR_NULL(request.sources);
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(import), &request, &error), 0);
	CU_ASSERT_TRUE(request.has_dedup_window);
	CU_ASSERT_EQUAL(request.dedup_window, 0);
	CU_ASSERT_EQUAL_FATAL(request.sources_len, 2);
	CU_ASSERT_STRING_EQUAL(request.sources[1].topic, "shop.b");
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(skip), &request, &error), 0);
	CU_ASSERT_EQUAL(request.type, TASK_TYPE_RECORD_SKIP);
	CU_ASSERT_EQUAL(request.index_id, 0xaa);
	CU_ASSERT_EQUAL(request.partition, 1023);
	CU_ASSERT_EQUAL(request.offset, INT64_MAX);
	CU_ASSERT_STRING_EQUAL(request.reason, "it ended the \"worker\" 3 times");
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(setting_null), &request, &error), 0);
	CU_ASSERT_STRING_EQUAL(request.setting, "stop-words");
	CU_ASSERT_FALSE(request.reset);
	CU_ASSERT_TRUE(slice_equal(request.body, slice_string("null")));
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(setting_reset), &request, &error), 0);
	CU_ASSERT_TRUE(request.reset);
	CU_ASSERT_PTR_NULL(request.body.ptr);
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(restore), &request, &error), 0);
	CU_ASSERT_EQUAL(request.type, TASK_TYPE_INDEX_RESTORE);
	CU_ASSERT_EQUAL_FATAL(request.shards_len, 2);
	CU_ASSERT_EQUAL(request.shards[0].copy.head.high, 0x0011223344556677);
	CU_ASSERT_EQUAL(request.shards[0].copy.head.low, 0x8899aabbccddeeff);
	CU_ASSERT_EQUAL(request.shards[1].partition, 1023);
	CU_ASSERT_EQUAL(request.shards[1].copy.from, 9);
	task_request_deinit(&request);
	CU_ASSERT_EQUAL(task_request_parse(slice_string(pause), &request, &error), 0);
	CU_ASSERT_EQUAL(request.type, TASK_TYPE_SOURCE_UPDATE);
	CU_ASSERT_STRING_EQUAL(request.source, "logs");
	CU_ASSERT_TRUE(request.has_paused);
	CU_ASSERT_TRUE(request.paused);
	CU_ASSERT_FALSE(request.has_start);
	task_request_deinit(&request);
}

static void test_final_round_trips(void)
{
	struct task_final final;
	struct buffer buffer;
	struct error error;

	buffer_init(&buffer, 1 << 16);
	CU_ASSERT_EQUAL(task_final_parse(slice_string(succeeded), &final, &error), 0);
	CU_ASSERT_TRUE(final.succeeded);
	CU_ASSERT_EQUAL(final.task, 5);
	task_final_write(&buffer, &final);
	check_text(&buffer, succeeded);
	CU_ASSERT_EQUAL(task_final_parse(slice_string(failed), &final, &error), 0);
	CU_ASSERT_FALSE(final.succeeded);
	CU_ASSERT_STRING_EQUAL(final.code, "index_already_exists");
	CU_ASSERT_STRING_EQUAL(final.message, "Index `a` already exists.");
	task_final_write(&buffer, &final);
	check_text(&buffer, failed);
	buffer_deinit(&buffer);
}

static const struct {
	const char *value;
	const char *from;
	const char *to;
	int expected;
} refused_rows[] = {
	{creation, "\"v\":1", "\"v\":2", ERROR_VERSION},
	{creation, "\"v\":1", "\"w\":1", ERROR_FORMAT},
	{creation, "indexCreation", "indexSwap", ERROR_VERSION},
	{creation, "\"type\"", "\"kind\"", ERROR_FORMAT},
	{creation, "0011", "001", ERROR_FORMAT},
	{creation, "0011", "00AA", ERROR_FORMAT},
	{creation, "\"uid\":\"packages\"", "\"uid\":\"\"", ERROR_FORMAT},
	{creation, "packages", "pack\\u0000ages", ERROR_FORMAT},
	{creation, "\"uid\":\"packages\"", "\"uid\":7", ERROR_FORMAT},
	{creation, "1700000000000", "\"now\"", ERROR_FORMAT},
	{creation, "\"partitions\":12", "\"partitions\":99999999999", ERROR_FORMAT},
	{creation, "murmur2", "md5", ERROR_FORMAT},
	{adoption, "\"shop.orders\"", "\"\"", ERROR_FORMAT},
	{deletion, "}", "", ERROR_FORMAT},
	{rebuild, "\"partitions\":7", "\"partitions\":\"7\"", ERROR_FORMAT},
	{rebuild_anyway, ":true}", ":1}", ERROR_FORMAT},
	{rebuild_cancelled, ":true}", ":\"yes\"}", ERROR_FORMAT},
	{rebuild, "\"dedup_window\":5", "\"dedup_window\":null", ERROR_FORMAT},
	{rebuild, "\"sources\":[", "\"sources\":7,\"x\":[", ERROR_FORMAT},
	{import, "\"dedup_window\":0", "\"dedup_window\":\"0\"", ERROR_FORMAT},
	{import, "\"sources\":[", "\"sources\":{},\"x\":[", ERROR_FORMAT},
	{import, "\"name\":\"b\"", "\"name\":\"a\"", ERROR_FORMAT},
	{import, "\"topic\":\"shop.b\"", "\"topic\":\"shop/b\"", ERROR_FORMAT},
	{skip, "00000000000000aa", "aa", ERROR_FORMAT},
	{skip, "1023", "1024", ERROR_FORMAT},
	{skip, "1023", "-1", ERROR_FORMAT},
	{skip, "9223372036854775807", "-1", ERROR_FORMAT},
	{skip, "9223372036854775807", "9223372036854775808", ERROR_FORMAT},
	{skip, "9223372036854775807", "1.5", ERROR_FORMAT},
	{skip, "\"reason\":\"", "\"reason\":\"\",\"x\":\"", ERROR_FORMAT},
	{addition, "\"source\":{", "\"source\":[],\"x\":{", ERROR_FORMAT},
	{addition, "\"source\":{", "\"x\":{", ERROR_FORMAT},
	{addition, "\"name\":\"logs\",", "", ERROR_FORMAT},
	{addition, "^logs", "logs", ERROR_FORMAT},
	{addition, "\"life\":1", "\"life\":0", ERROR_FORMAT},
	{update, "\"name\":\"logs\"", "\"name\":7", ERROR_FORMAT},
	{update, "\"paused\":false", "\"paused\":null", ERROR_FORMAT},
	{removal, "\"name\":\"logs\"", "\"name\":7", ERROR_FORMAT},
	{restore, "\"index\":\"00000000000000aa\"", "\"index\":\"aa\"", ERROR_FORMAT},
	{restore, "\"shards\":[", "\"shards\":[],\"x\":[", ERROR_FORMAT},
	{restore, "\"shards\":[", "\"x\":[", ERROR_FORMAT},
	{restore, "\"partition\":0", "\"partition\":-1", ERROR_FORMAT},
	{restore, "\"partition\":0", "\"partition\":1023", ERROR_FORMAT}, /* twice */
	{restore, "1023", "1024", ERROR_FORMAT},
	{restore, "\"head\":\"0011", "\"head\":\"011", ERROR_FORMAT},
	{restore, "00000000000000000000000000000001", "00000000000000000000000000000000", ERROR_FORMAT},
	{restore, "\"from\":7", "\"from\":6", ERROR_FORMAT},
	{restore, "\"stored\":0", "\"stored\":-1", ERROR_FORMAT},
	{settings, "\"body\":", "\"x\":", ERROR_FORMAT},
	{setting_null, "\"stop-words\"", "7", ERROR_FORMAT},
	{setting_null, "\"stop-words\"", "\"\"", ERROR_FORMAT},
	{setting_reset, ":true}", ":\"yes\"}", ERROR_FORMAT},
	{setting_reset, ":true}", ":false}", ERROR_FORMAT},
	{update, "\"start_ms\":0", "\"start_ms\":-1", ERROR_FORMAT},
	{update, "\"start_ms\":0", "\"start_ms\":\"now\"", ERROR_FORMAT},
};

static void test_refused_requests(void)
{
	for (size_t i = 0; i < sizeof refused_rows / sizeof *refused_rows; i++) {
		struct task_request request;
		struct error error = {0};
		const char *at = strstr(refused_rows[i].value, refused_rows[i].from);
		char text[1024];

		ASSERT(at != NULL);
		(void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - refused_rows[i].value),
		               refused_rows[i].value, refused_rows[i].to, at + strlen(refused_rows[i].from));
		if (task_request_parse(slice_string(text), &request, &error) != refused_rows[i].expected) {
			printf("\nrow %zu: %s: code %d, %s\n", i, text, error.code, error.text);
			CU_FAIL("another answer than expected");
		}
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	}
}

/* The longest body is taken, one byte more is not. */
static void test_longest_body(void)
{
	for (size_t more = 0; more < 2; more++) {
		size_t len = TASK_BODY_BYTES_MAX - 2 + more;
		struct task_request request = {0};
		struct error error = {0};
		struct buffer value;
		uint8_t *text;

		buffer_init(&value, TASK_RECORD_BYTES_MAX);
		buffer_append(&value, setting_null, strlen(setting_null) - strlen("null}"));
		buffer_put_u8(&value, '"');
		text = buffer_grow(&value, len);
		ASSERT(text != NULL);
		memset(text, 'x', len);
		buffer_append_string(&value, "\"}");
		CU_ASSERT_EQUAL(task_request_parse(buffer_slice(&value), &request, &error),
		                more == 0 ? 0 : ERROR_LIMIT);
		CU_ASSERT_EQUAL(request.body.len, more == 0 ? TASK_BODY_BYTES_MAX : 0);
		task_request_deinit(&request);
		buffer_deinit(&value);
	}
}

static void test_refused_finals(void)
{
	static const char *const texts[] = {
		"{\"v\":3}",
		"{\"v\":1,\"task\":5,\"kind\":\"accepted\",\"status\":\"succeeded\",\"started_at\":1,"
		"\"finished_at\":2}",
		"{\"v\":1,\"task\":-5,\"kind\":\"final\",\"status\":\"succeeded\",\"started_at\":1,"
		"\"finished_at\":2}",
		"{\"v\":1,\"task\":5,\"kind\":\"final\",\"status\":\"odd\",\"started_at\":1,\"finished_at\":"
		"2}",
		"{\"v\":1,\"task\":5,\"kind\":\"final\",\"status\":\"failed\",\"started_at\":1,\"finished_"
		"at\":2}",
		"{\"v\":1,\"task\":5,\"kind\":\"final\",\"status\":\"succeeded\",\"finished_at\":2}",
		"\"final\"",
		"",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct task_final final;
		struct error error;

		CU_ASSERT_NOT_EQUAL(task_final_parse(slice_string(texts[i]), &final, &error), 0);
	}
}

/* The same request always makes the same index; another offset or nonce another one. */
static void test_index_id(void)
{
	const char *nonce = "00112233445566778899aabbccddeeff";

	/* XXH3-64 of the nonce's 32 characters with seed 5, by the reference implementation */
	CU_ASSERT_EQUAL(task_index_id(5, nonce), 0xe5618e1a90190723ULL);
	CU_ASSERT_NOT_EQUAL(task_index_id(6, nonce), task_index_id(5, nonce));
	CU_ASSERT_NOT_EQUAL(task_index_id(5, "00112233445566778899aabbccddeefe"), task_index_id(5, nonce));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"request round trips", test_request_round_trips},
		{"the longest body", test_longest_body},
		{"request members", test_request_members},
		{"final round trips", test_final_round_trips},
		{"refused requests", test_refused_requests},
		{"refused finals", test_refused_finals},
		{"index id", test_index_id},
		CU_TEST_INFO_NULL,
	};

	return suite_run("task", tests);
}
