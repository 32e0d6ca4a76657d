/*
 * Log lines: what stands on stderr, byte for byte but for the time.
 */
#include "shared/runtime/logline.h"

#include "shared/json/json.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITTEN_BYTES_MAX (1 << 20)

static int stderr_kept;
static FILE *captured;
static char *written;

static void capture(void)
{
	captured = tmpfile();
	CU_ASSERT_PTR_NOT_NULL_FATAL(captured);
	stderr_kept = dup(STDERR_FILENO);
	CU_ASSERT_TRUE_FATAL(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* What was written since capture, without the time of its first line. */
static const char *release(void)
{
	size_t len;

	CU_ASSERT_TRUE_FATAL(dup2(stderr_kept, STDERR_FILENO) >= 0);
	(void)close(stderr_kept);
	rewind(captured);
	len = fread(written, 1, WRITTEN_BYTES_MAX - 1, captured);
	written[len] = 0;
	(void)fclose(captured);
	return written;
}

/* Behind the time, which has the form that it must have. */
static const char *without_time(const char *line, const char *prefix)
{
	size_t len = strlen(prefix);

	CU_ASSERT_EQUAL_FATAL(strncmp(line, prefix, len), 0);
	CU_ASSERT_EQUAL(line[len + 10], 'T');
	CU_ASSERT_EQUAL(line[len + 23], 'Z');
	return line + len + 24;
}

static void test_logfmt(void)
{
	const char *line;

	logline_init("test", LOG_LEVEL_INFO, false);
	capture();
	logline(LOG_LEVEL_WARN, "index_created",
	        "index=%s partitions=%d offset=%" PRId64 " id=%016" PRIx64
	        " size=%zu share=%.2f%% name=%.*s empty=%s",
	        "packages", 12, INT64_MIN, (uint64_t)0xabc, (size_t)7, 12.345, 3, "abcdef", "");
	line = without_time(release(), "ts=");
	CU_ASSERT_STRING_EQUAL(line,
	                       " level=warn program=test event=index_created index=packages partitions=12 "
	                       "offset=-9223372036854775808 id=0000000000000abc size=7 share=12.35% "
	                       "name=abc empty=\"\"\n");
}

static void test_quotes(void)
{
	const char *line;

	logline_init("test", LOG_LEVEL_INFO, false);
	capture();
	logline(LOG_LEVEL_ERROR, "failed", "error=\"%s\" topic=%s reason=\"cannot reach %s: %d\"",
	        "a \"b\"\nlevel=info forged=yes", "x y=z", "host", 5);
	line = without_time(release(), "ts=");
	CU_ASSERT_STRING_EQUAL(line, " level=error program=test event=failed "
	                             "error=\"a \\\"b\\\"\\nlevel=info forged=yes\" topic=\"x y=z\" "
	                             "reason=\"cannot reach host: 5\"\n");
}

static void test_json(void)
{
	const char *line;

	logline_init("test", LOG_LEVEL_INFO, true);
	capture();
	logline(LOG_LEVEL_INFO, "started", "listen=%s threads=%u took=%dms text=\"%d\"", "127.0.0.1:1", 2U, 3,
	        4);
	line = without_time(release(), "{\"ts\":\"");
	CU_ASSERT_STRING_EQUAL(line,
	                       "\",\"level\":\"info\",\"program\":\"test\",\"event\":\"started\","
	                       "\"listen\":\"127.0.0.1:1\",\"threads\":2,\"took\":\"3ms\",\"text\":\"4\"}\n");
}

static void test_level(void)
{
	logline_init("test", LOG_LEVEL_WARN, false);
	capture();
	logline(LOG_LEVEL_INFO, "quiet", "a=%d", 1);
	CU_ASSERT_STRING_EQUAL(release(), "");
}

static void test_bound(void)
{
	char *value = malloc(100000);
	const char *line;
	yyjson_doc *doc;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	memset(value, '"', 99999);
	value[99999] = 0;
	logline_init("test", LOG_LEVEL_INFO, true);
	capture();
	logline(LOG_LEVEL_INFO, "long", "a=%s b=%s c=%d", value, value, 5);
	line = release();
	CU_ASSERT_TRUE(strlen(line) <= LOGLINE_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_of(line, strlen(line)), &doc, &error), 0);
	/* what does not fit is left out as a whole, what follows stands */
	CU_ASSERT_EQUAL(yyjson_get_int(yyjson_obj_get(yyjson_doc_get_root(doc), "c")), 5);
	yyjson_doc_free(doc);
	free(value);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"logfmt", test_logfmt}, {"quotes", test_quotes}, {"json", test_json},
		{"level", test_level},   {"bound", test_bound},   CU_TEST_INFO_NULL,
	};
	int failed;

	written = malloc(WRITTEN_BYTES_MAX);
	if (written == NULL)
		return 1;
	failed = suite_run("logline", tests);
	free(written);
	return failed;
}
