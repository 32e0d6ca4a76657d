/*
 * Answers of nodes: what is believed, and how pages become one.
 */
#include "query/core/answer.h"

#include "tests/unit/suite.h"

static const int32_t asked[] = {0, 2};
static const struct node_question question = {asked, 2, 3, NULL};

#define RECEIVED \
	"\"received\":[{\"p\":2,\"received\":5,\"state\":\"active\"},{\"p\":0,\"received\":7,\"state\":" \
	"\"active\"}]"
#define HIT(p, score, ts, id) \
	"{\"p\":" p ",\"score\":" score ",\"ts\":" ts ",\"seq\":0,\"id\":\"" id "\",\"doc\":{\"id\":\"" id \
	"\"}}"

static int parse(const char *text, struct arena *arena, struct node_answer *answer)
{
	struct error error;

	return node_answer_parse(slice_string(text), &question, arena, answer, &error);
}

static void test_answer_is_read(void)
{
	static const char text[] =
		"{" RECEIVED
		", \"total\" : 9 ,\"hits\":[\n{\"p\":0,\"score\":2,\"ts\":-4,\"seq\":1,\"id\":\"a\","
		"\"doc\":{ \"n\": 1.10, \"s\":\"\\u00e9 ] }\" }} , " HIT("2", "1", "8", "b") "]}";
	struct node_answer answer;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(parse(text, &arena, &answer), 0);
	CU_ASSERT_EQUAL(answer.total, 9);
	CU_ASSERT_EQUAL(answer.stale_len, 0);
	/* in the order of the question */
	CU_ASSERT_EQUAL(answer.received[0], 7);
	CU_ASSERT_EQUAL(answer.received[1], 5);
	CU_ASSERT_EQUAL_FATAL(answer.hits_len, 2);
	CU_ASSERT_EQUAL(answer.hits[0].partition, 0);
	CU_ASSERT_EQUAL(answer.hits[0].score, 2);
	CU_ASSERT_EQUAL(answer.hits[0].key.timestamp_ms, -4);
	CU_ASSERT_EQUAL(answer.hits[0].key.seq, 1);
	CU_ASSERT_TRUE(slice_equal(answer.hits[0].id, slice_string("a")));
	/* every byte of the document, spaces, escapes and digits alike */
	CU_ASSERT_TRUE(
		slice_equal(answer.hits[0].document, slice_string("{ \"n\": 1.10, \"s\":\"\\u00e9 ] }\" }")));
	CU_ASSERT_TRUE(slice_equal(answer.hits[1].document, slice_string("{\"id\":\"b\"}")));
	arena_deinit(&arena);
}

static void test_stale_partitions(void)
{
	static const char text[] = "{\"received\":[{\"p\":0,\"received\":1,\"state\":\"recovering\"},"
				   "{\"p\":2,\"received\":1,\"state\":\"active\"}],\"total\":0,\"hits\":[]}";
	struct node_answer answer;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(parse(text, &arena, &answer), 0);
	CU_ASSERT_EQUAL_FATAL(answer.stale_len, 1);
	CU_ASSERT_EQUAL(answer.stale[0], 0);
	arena_deinit(&arena);
}

#define SHARE(p, total) "{\"p\":" p ",\"received\":9,\"state\":\"recovering\",\"total\":" total "}"

/* One of two shards was answered by somebody else. */
static void test_answer_in_part(void)
{
	static const bool second[] = {false, true};
	static const struct {
		const char *text;
		bool usable;
		int64_t total;
		size_t hits_len;
	} rows[] = {
		/* everything is there: the rest is exact */
		{"{\"received\":[" SHARE("0", "1") "," SHARE("2", "2") "],\"total\":3,\"hits\":[" HIT(
			 "0", "3", "1", "a") "," HIT("2", "2", "1", "b") "," HIT("2", "1", "1", "c") "]}",
	         true, 2, 2},
		/* a page that was cut off, but it is the other shard's from end to end */
		{"{\"received\":[" SHARE("0", "4") "," SHARE("2", "2") "],\"total\":6,\"hits\":[" HIT(
			 "2", "3", "1", "a") "," HIT("2", "2", "1", "b") "]}",
	         true, 2, 2},
		/* cut off: behind the last hit there may be one that is needed now */
		{"{\"received\":[" SHARE("0", "4") "," SHARE("2", "2") "],\"total\":6,\"hits\":[" HIT(
			 "0", "3", "1", "a") "," HIT("2", "2", "1", "b") "]}",
	         false, 0, 0},
		/* nobody can say how much of the total is left */
		{"{" RECEIVED ",\"total\":1,\"hits\":[" HIT("2", "3", "1", "a") "]}", false, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct node_answer answer;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL_FATAL(parse(rows[i].text, &arena, &answer), 0);
		CU_ASSERT_EQUAL(node_answer_restrict(&answer, &question, second), rows[i].usable);
		if (rows[i].usable) {
			CU_ASSERT_EQUAL(answer.total, rows[i].total);
			CU_ASSERT_EQUAL_FATAL(answer.hits_len, rows[i].hits_len);
			for (size_t j = 0; j < answer.hits_len; j++)
				CU_ASSERT_EQUAL(answer.hits[j].partition, 2);
			CU_ASSERT_EQUAL_FATAL(answer.stale_len, 1);
			CU_ASSERT_EQUAL(answer.stale[0], 2);
		}
		arena_deinit(&arena);
	}
}

static void test_documents(void)
{
	static const struct {
		const char *text;
		bool found;
		int code;
		const char *document; /* NULL: none */
		int64_t received;
		bool stale;
	} rows[] = {
		{"{\"doc\":{\"a\":1.0}}", true, 0, "{\"a\":1.0}", -1, false},
		{"{\"received\":[{\"p\":2,\"received\":7,\"state\":\"active\"}],\"doc\":{}}", true, 0, "{}",
	         7, false},
		{"{\"received\":[{\"p\":2,\"received\":7,\"state\":\"recovering\"}],\"doc\":{}}", true, 0,
	         "{}", 7, true},
		{"{\"received\":[{\"p\":1,\"received\":7,\"state\":\"active\"}],\"doc\":{}}", true,
	         ERROR_FORMAT, NULL, 0, false},
		{"{\"received\":[],\"doc\":{}}", true, ERROR_FORMAT, NULL, 0, false},
		{"{\"doc\":[]}", true, ERROR_FORMAT, NULL, 0, false},
		{"{\"code\":\"document_not_found\"}", false, 0, NULL, -1, false},
		{"{\"code\":\"document_not_found\",\"received\":[{\"p\":2,\"received\":7,\"state\":"
	         "\"active\"}]}",
	         false, 0, NULL, 7, false},
		{"{\"code\":\"not_found\"}", false, ERROR_FORMAT, NULL, 0, false},
		{"{}", false, ERROR_FORMAT, NULL, 0, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct node_document document = {0};
		struct error error;
		int code =
			node_document_parse(slice_string(rows[i].text), 2, rows[i].found, &document, &error);

		CU_ASSERT_EQUAL(code, rows[i].code);
		if (code != 0 || rows[i].code != 0)
			continue;
		CU_ASSERT_EQUAL(document.received, rows[i].received);
		CU_ASSERT_EQUAL(document.stale, rows[i].stale);
		CU_ASSERT_EQUAL(document.document.ptr == NULL, rows[i].document == NULL);
		if (rows[i].document != NULL)
			CU_ASSERT_TRUE(slice_equal(document.document, slice_string(rows[i].document)));
	}
}

/* Whatever is not exactly an answer to the question is none. */
static void test_malformed_answers(void)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{" RECEIVED ",\"total\":0,\"hits\":[]",
		"{" RECEIVED ",\"hits\":[]}",
		"{" RECEIVED ",\"total\":0}",
		"{" RECEIVED ",\"total\":0,\"hits\":{}}",
		"{" RECEIVED ",\"total\":1.5,\"hits\":[]}",
		"{" RECEIVED ",\"total\":-1,\"hits\":[]}",
		"{" RECEIVED ",\"total\":0,\"hits\":[" HIT("0", "1", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("1", "1", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "1", "1", "a b") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "1", "1", "") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "1.5", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "1", "99999999999999999999", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[1]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[{\"p\":0,\"ts\":1,\"seq\":0,\"id\":\"a\",\"doc\":[]}]}",
		"{" RECEIVED
		",\"total\":9,\"hits\":[{\"p\":0,\"ts\":1,\"seq\":4294967296,\"id\":\"a\",\"doc\":{}}]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "1", "1", "a") "," HIT(
			"0", "1", "1", "b") "," HIT("0", "1", "1", "c") "," HIT("0", "1", "1", "d") "]}",
		"{\"received\":[{\"p\":0,\"received\":1,\"state\":\"active\"}],\"total\":0,\"hits\":[]}",
		"{\"received\":[{\"p\":0,\"received\":1,\"state\":\"active\"},{\"p\":0,\"received\":1,"
		"\"state\":\"active\"}],"
		"\"total\":0,\"hits\":[]}",
		"{\"received\":[{\"p\":0,\"received\":1,\"state\":\"active\"},{\"p\":1,\"received\":1,"
		"\"state\":\"active\"}],"
		"\"total\":0,\"hits\":[]}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct node_answer answer;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_TRUE(parse(texts[i], &arena, &answer) < 0);
		arena_deinit(&arena);
	}
}

static void test_refusals(void)
{
	static const char text[] = "{\"code\":\"not_serving\",\"shards\":[{\"p\":2,\"state\":\"recovering\"},"
				   "{\"p\":1,\"state\":\"absent\"},"
				   "{\"p\":0,\"state\":\"stopped\",\"reason\":\"x\"}]}";
	static const char others[] = "{\"shards\":[{\"p\":0,\"state\":\"absent\"},"
				     "{\"p\":2,\"state\":\"behind\"}]}";
	struct node_refusals refusals;
	struct error error;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(node_refusal_parse(slice_string(text), &question, &arena, &refusals, &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(refusals.len, 2);
	CU_ASSERT_EQUAL(refusals.list[0].partition, 2);
	CU_ASSERT_EQUAL(refusals.list[0].reason, NODE_REFUSAL_RECOVERING);
	CU_ASSERT_EQUAL(refusals.list[1].partition, 0);
	CU_ASSERT_EQUAL(refusals.list[1].reason, NODE_REFUSAL_STOPPED);
	CU_ASSERT_EQUAL_FATAL(node_refusal_parse(slice_string(others), &question, &arena, &refusals, &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(refusals.len, 2);
	CU_ASSERT_EQUAL(refusals.list[0].reason, NODE_REFUSAL_ABSENT);
	CU_ASSERT_EQUAL(refusals.list[1].reason, NODE_REFUSAL_BEHIND);
	CU_ASSERT_TRUE(node_refusal_parse(slice_string("{}"), &question, &arena, &refusals, &error) < 0);
	CU_ASSERT_TRUE(node_refusal_parse(slice_string("410"), &question, &arena, &refusals, &error) < 0);
	arena_deinit(&arena);
}

/* Two nodes' pages: by score, then time, then seq, then id; totals add up. */
static void test_order(void)
{
	struct node_hit first[] = {
		{0, 2, {10, 0}, slice_string("d"), slice_string("{}")},
		{0, 1, {5, 0}, slice_string("c"), slice_string("{}")},
		{0, 1, {7, 0}, slice_string("e"), slice_string("{}")},
	};
	struct node_hit second[] = {
		{1, 2, {9, 0}, slice_string("z"), slice_string("{}")},
		{1, 1, {5, 0}, slice_string("b"), slice_string("{}")},
		{1, 1, {7, 1}, slice_string("a"), slice_string("{}")},
	};
	static const char *const expected[] = {"z", "d", "b", "c", "e", "a"};
	struct node_answer a = {.total = 700, .hits_len = 3, .hits = first};
	struct node_answer b = {.total = 600, .hits_len = 3, .hits = second};
	struct error error;

	for (int turn = 0; turn < 2; turn++) {
		struct merge merge;
		const struct node_hit *hits;
		size_t len;

		merge_init(&merge);
		CU_ASSERT_EQUAL(merge_add(&merge, turn == 0 ? &a : &b, &error), 0);
		CU_ASSERT_EQUAL(merge_add(&merge, turn == 0 ? &b : &a, &error), 0);
		CU_ASSERT_EQUAL(merge.total, 1300);
		hits = merge_page(&merge, (struct page){0, 20}, &len);
		CU_ASSERT_EQUAL_FATAL(len, 6);
		for (size_t i = 0; i < 6; i++)
			CU_ASSERT_TRUE(slice_equal(hits[i].id, slice_string(expected[i])));
		hits = merge_page(&merge, (struct page){2, 3}, &len);
		CU_ASSERT_EQUAL_FATAL(len, 3);
		CU_ASSERT_TRUE(slice_equal(hits[0].id, slice_string("b")));
		(void)merge_page(&merge, (struct page){6, 3}, &len);
		CU_ASSERT_EQUAL(len, 0);
		(void)merge_page(&merge, (struct page){0, 0}, &len);
		CU_ASSERT_EQUAL(len, 0);
		merge_deinit(&merge);
	}
}

static void test_clipping(void)
{
	static const struct {
		uint64_t offset;
		uint64_t limit;
		struct page page;
	} rows[] = {
		{0, 20, {0, 20}},     {0, 1000, {0, 1000}}, {0, 1001, {0, 1000}},
		{990, 20, {990, 10}}, {1000, 1, {1000, 0}}, {UINT64_MAX, UINT64_MAX, {1000, 0}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct search_request request = {slice_string(""), rows[i].offset, rows[i].limit};
		struct page page = page_of_search(&request);

		CU_ASSERT_EQUAL(page.offset, rows[i].page.offset);
		CU_ASSERT_EQUAL(page.limit, rows[i].page.limit);
	}
}

static void check_text(const struct buffer *buffer, const char *expected)
{
	CU_ASSERT_TRUE(slice_equal(buffer_slice(buffer), slice_string(expected)));
	if (!slice_equal(buffer_slice(buffer), slice_string(expected)))
		printf("\n%.*s\n", (int)buffer->len, (const char *)buffer->ptr);
}

static void test_search_answer(void)
{
	struct node_hit hits[] = {
		{0, 2, {10, 0}, slice_string("d"), slice_string("{ \"n\" : 1.10 }")},
		{0, 1, {5, 0}, slice_string("c"), slice_string("{}")},
	};
	struct search_request request = {slice_string("a\"b"), 1, 2000};
	struct search_outcome outcome = {hits, 2, 1300, 4, "uid"};
	struct buffer body;

	buffer_init(&body, 4096);
	answer_search(&body, &request, &outcome);
	check_text(
		&body,
		"{\"hits\":[{ \"n\" : 1.10 },{}],\"query\":\"a\\\"b\",\"processingTimeMs\":4,\"limit\":2000,"
		"\"offset\":1,\"estimatedTotalHits\":1000,\"requestUid\":\"uid\"}");
	buffer_deinit(&body);
}

static void test_questions(void)
{
	struct search_request request = {slice_string("x y"), 0, 20};
	struct buffer body;

	buffer_init(&body, 4096);
	ask_search(&body, 0xab, &question, &request, true);
	check_text(&body, "{\"shards\":[{\"index\":\"00000000000000ab\",\"partitions\":[0,2]}],\"q\":\"x "
	                  "y\",\"limit\":3,"
	                  "\"stale\":true}");
	buffer_clear(&body);
	ask_list(&body, 0xab, &question, (struct page){5, 6}, false);
	check_text(&body, "{\"index\":\"00000000000000ab\",\"partitions\":[0,2],\"offset\":5,\"limit\":6,"
	                  "\"stale\":false}");
	buffer_clear(&body);
	ask_get(&body, 0xab, &question, slice_string("d"), false);
	check_text(&body, "{\"index\":\"00000000000000ab\",\"partition\":0,\"id\":\"d\",\"stale\":false}");
	buffer_deinit(&body);
}

/* What must have been received goes along for the partitions asked, and for those only. */
static void test_questions_with_a_token(void)
{
	static const int64_t some[] = {0, 8, 124};
	static const int64_t every[] = {1, 8, 124};
	static const int64_t none[] = {0, 8, 0};
	static const struct {
		const int64_t *required;
		const char *expected;
	} rows[] = {
		{some, "\"tokens\":[{\"p\":2,\"offset\":124}],"},
		{every, "\"tokens\":[{\"p\":0,\"offset\":1},{\"p\":2,\"offset\":124}],"},
		{none, ""},
	};
	struct buffer expected;
	struct buffer body;

	buffer_init(&body, 4096);
	buffer_init(&expected, 4096);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct node_question with_token = {asked, 2, 3, rows[i].required};

		buffer_clear(&body);
		buffer_clear(&expected);
		ask_list(&body, 0xab, &with_token, (struct page){5, 6}, false);
		buffer_printf(&expected,
		              "{\"index\":\"00000000000000ab\",\"partitions\":[0,2],\"offset\":5,\"limit\":6,"
		              "%s\"stale\":false}",
		              rows[i].expected);
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), buffer_slice(&expected)));
	}
	buffer_deinit(&expected);
	buffer_deinit(&body);
}

static void test_fields(void)
{
	static const char document[] =
		"{\"id\": 5, \"a\":{\"b\":1.0,\"c\":[1]},\"l\":[{\"b\":1,\"c\":2},3,{\"c\":4}],\"a.b\":7,"
		"\"\\u0078\":8}";
	static const struct {
		const char *fields; /* NULL: all */
		const char *expected;
	} rows[] = {
		{NULL, document},
		{"id", "{\"id\":5}"},
		{"id,nothing", "{\"id\":5}"},
		{"", "{}"},
		{"a", "{\"a\":{\"b\":1.0,\"c\":[1]}}"},
		{"a.b", "{\"a\":{\"b\":1.0},\"a.b\":7}"},
		{"l.c,id", "{\"id\":5,\"l\":[{\"c\":2},{\"c\":4}]}"},
		{"x", "{\"\\u0078\":8}"},
		{"id.x", "{}"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct listing_request request = {.has_fields = rows[i].fields != NULL};
		struct buffer body;

		if (rows[i].fields != NULL)
			request.fields = slice_string(rows[i].fields);
		buffer_init(&body, 4096);
		answer_document(&body, &request, slice_string(document));
		check_text(&body, rows[i].expected);
		buffer_deinit(&body);
	}
}

static void test_uuid(void)
{
	static const uint8_t random[10] = {0xff, 0x01, 0xff, 0x02, 3, 4, 5, 6, 7, 8};
	char text[UUID_BYTES];

	uuid7_print(0x0123456789ab, random, text);
	CU_ASSERT_STRING_EQUAL(text, "01234567-89ab-7f01-bf02-030405060708");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"an answer is read", test_answer_is_read},
		{"stale partitions", test_stale_partitions},
		{"malformed answers", test_malformed_answers},
		{"refusals", test_refusals},
		{"an answer in part", test_answer_in_part},
		{"documents", test_documents},
		{"questions with a token", test_questions_with_a_token},
		{"order", test_order},
		{"clipping", test_clipping},
		{"a search's answer", test_search_answer},
		{"questions to nodes", test_questions},
		{"fields", test_fields},
		{"a UUID of version 7", test_uuid},
		CU_TEST_INFO_NULL,
	};

	return suite_run("merge", tests);
}
