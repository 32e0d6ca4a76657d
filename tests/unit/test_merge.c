/*
 * How the pages of nodes become one, and what is asked and answered.
 */
#include "query/core/answer.h"

#include "tests/unit/suite.h"

static const int32_t asked[] = {0, 2};
static const struct node_question question = {.partitions = asked, .partitions_len = 2, .hits_max = 3};

#define MERGED(rank_, ts, seq, id_) \
	{ \
		.rank = {(const uint8_t *)(rank_), sizeof(rank_) - 1}, .key = {ts, seq}, \
		.id = {(const uint8_t *)(id_), sizeof(id_) - 1}, .document = { \
			(const uint8_t *)"{}", \
			2 \
		} \
	}

/* Two nodes' pages: by rank, then time, then seq, then id; totals add up. */
static void test_order(void)
{
	struct node_hit first[] = {
		MERGED("00", 10, 0, "d"),
		MERGED("00ff", 5, 0, "c"),
		MERGED("00ff", 7, 0, "e"),
	};
	struct node_hit second[] = {
		MERGED("00", 9, 0, "z"),
		MERGED("00ff", 5, 0, "b"),
		MERGED("00ff", 7, 1, "a"),
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
		CU_ASSERT_EQUAL(merge_order(&merge, &error), 0);
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

/* Of hits that share a value the first stays; who has none stays, and who was left out hides nobody. */
static void test_distinct(void)
{
	static const struct slice red[] = {{(const uint8_t *)"aa", 2}};
	static const struct slice both[] = {{(const uint8_t *)"aa", 2}, {(const uint8_t *)"bb", 2}};
	static const struct slice blue[] = {{(const uint8_t *)"bb", 2}};
	struct node_hit first[] = {MERGED("01", 1, 0, "red"), MERGED("05", 1, 0, "none")};
	struct node_hit second[] = {MERGED("02", 1, 0, "both"), MERGED("03", 1, 0, "blue"),
	                            MERGED("04", 1, 0, "red2")};
	static const char *const expected[] = {"red", "blue", "none"};
	struct node_answer a = {.total = 5, .hits_len = 2, .hits = first};
	struct node_answer b = {.total = 3, .hits_len = 3, .hits = second};
	const struct node_hit *hits;
	struct error error;
	struct merge merge;
	size_t len;

	first[0].distinct = red;
	first[0].distinct_len = 1;
	second[0].distinct = both;
	second[0].distinct_len = 2;
	second[1].distinct = blue;
	second[1].distinct_len = 1;
	second[2].distinct = red;
	second[2].distinct_len = 1;
	merge_init(&merge);
	CU_ASSERT_EQUAL(merge_add(&merge, &b, &error), 0);
	CU_ASSERT_EQUAL(merge_add(&merge, &a, &error), 0);
	CU_ASSERT_EQUAL(merge_order(&merge, &error), 0);
	hits = merge_page(&merge, (struct page){0, 20}, &len);
	CU_ASSERT_EQUAL_FATAL(len, 3);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(slice_equal(hits[i].id, slice_string(expected[i])));
	CU_ASSERT_EQUAL(merge.total, 6);
	merge_deinit(&merge);
}

/* When nodes are asked again, and with what. */
static void test_rounds(void)
{
	static const struct {
		size_t answers;
		size_t terms;
		uint32_t known[3];
		size_t frequencies; /* how many there are */
		uint64_t counts[3][3];
		bool again;
		uint32_t all;
		size_t rarest;
	} rows[] = {
		{1, 3, {5}, 0, {{0}}, false, 5, 0},
		{1, 3, {5}, 3, {{3, 2, 1}}, false, 5, 2},
		{2, 3, {5, 5}, 0, {{0}}, false, 5, 0},
		{2, 3, {5, 4}, 0, {{0}}, true, 5, 0},
		{3, 3, {0, 2, 2}, 0, {{0}}, true, 2, 0},
		{3, 3, {1, 2, 3}, 0, {{0}}, true, 3, 0},
		{2, 0, {0, 0}, 0, {{0}}, false, 0, 0},
		{2, 3, {7, 7}, 3, {{3, 2, 1}, {0, 0, 2}}, true, 7, 1},
		{2, 3, {7, 7}, 3, {{3, 2, 1}, {0, 1, 2}}, true, 7, 0},
		/* what no document holds is not the rarest */
		{2, 3, {6, 6}, 3, {{0, 2, 1}, {0, 0, 0}}, true, 6, 2},
		{2, 2, {0, 0}, 2, {{0, 0}, {0, 0}}, true, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct merge_words words;
		struct error error;
		struct merge merge;

		merge_init(&merge);
		for (size_t n = 0; n < rows[i].answers; n++) {
			struct node_answer answer = {.terms = rows[i].terms,
			                             .known = rows[i].known[n],
			                             .frequencies_len = rows[i].frequencies};

			memcpy(answer.frequencies, rows[i].counts[n], sizeof rows[i].counts[n]);
			CU_ASSERT_EQUAL_FATAL(merge_add(&merge, &answer, &error), 0);
		}
		CU_ASSERT_EQUAL(merge_wants(&merge, &words), rows[i].again);
		CU_ASSERT_EQUAL(words.all_known, rows[i].terms > 0);
		CU_ASSERT_EQUAL(words.known, rows[i].all);
		CU_ASSERT_EQUAL(words.has_rarest, rows[i].frequencies > 0);
		CU_ASSERT_EQUAL(words.rarest, rows[i].rarest);
		merge_deinit(&merge);
	}
}

static void test_answers_to_other_queries(void)
{
	struct node_answer two = {.terms = 2, .known = 3, .total = 1};
	struct node_answer three = {.terms = 3, .known = 3, .total = 1};
	struct node_answer frequent = {.terms = 2, .known = 3, .total = 1, .frequencies_len = 2};
	struct error error;
	struct merge merge;

	merge_init(&merge);
	CU_ASSERT_EQUAL(merge_add(&merge, &two, &error), 0);
	CU_ASSERT_EQUAL(merge_add(&merge, &three, &error), ERROR_FORMAT);
	CU_ASSERT_EQUAL(merge_add(&merge, &frequent, &error), ERROR_FORMAT);
	CU_ASSERT_EQUAL(merge.total, 1);
	CU_ASSERT_EQUAL(merge.answers, 1);
	merge_deinit(&merge);
}

static void test_pages(void)
{
	static const struct {
		struct search_request request;
		uint64_t hits_max;
		struct page page;
	} rows[] = {
		{{.offset = 0, .limit = 20}, 1000, {0, 20}},
		{{.offset = 0, .limit = 1001}, 1000, {0, 1000}},
		{{.offset = 990, .limit = 20}, 1000, {990, 10}},
		{{.offset = 1000, .limit = 1}, 1000, {1000, 0}},
		{{.offset = UINT64_MAX, .limit = UINT64_MAX}, 1000, {1000, 0}},
		{{.offset = 15, .limit = 10}, 20, {15, 5}},
		{{.by_page = true, .page = 1, .hits_per_page = 20, .offset = 5, .limit = 7}, 1000, {0, 20}},
		{{.by_page = true, .page = 3, .hits_per_page = 20}, 1000, {40, 20}},
		{{.by_page = true, .page = 3, .hits_per_page = 20}, 50, {40, 10}},
		{{.by_page = true, .page = 0, .hits_per_page = 20}, 1000, {0, 0}},
		{{.by_page = true, .page = 2, .hits_per_page = 0}, 1000, {0, 0}},
		{{.by_page = true, .page = UINT64_MAX, .hits_per_page = 2}, 1000, {1000, 0}},
		{{.by_page = true, .page = UINT64_MAX, .hits_per_page = UINT64_MAX}, 1000, {1000, 0}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct page page = page_of_search(&rows[i].request, rows[i].hits_max);

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
	struct node_hit hits[] = {{.document = slice_string("{ \"n\" : 1.10 }")},
	                          {.document = slice_string("{}")}};
	static const struct slice facets[] = {{(const uint8_t *)"f", 1}};
	static const struct {
		struct search_request request;
		const char *paging;
	} rows[] = {
		{{.offset = 1, .limit = 2000}, "\"limit\":2000,\"offset\":1,\"estimatedTotalHits\":1300"},
		{{.by_page = true, .page = 2, .hits_per_page = 7},
	         "\"hitsPerPage\":7,\"page\":2,\"totalPages\":186,\"totalHits\":1300"},
		{{.by_page = true, .page = 2, .hits_per_page = 13},
	         "\"hitsPerPage\":13,\"page\":2,\"totalPages\":100,\"totalHits\":1300"},
		{{.by_page = true, .page = 1, .hits_per_page = 0},
	         "\"hitsPerPage\":0,\"page\":1,\"totalPages\":0,\"totalHits\":1300"},
		{{.limit = 20, .facets = {facets, 1}},
	         "\"limit\":20,\"offset\":0,\"estimatedTotalHits\":1300,\"facetDistribution\":{},"
	         "\"facetStats\":{}"},
	};
	struct facet_merge merge;

	facet_merge_init(&merge);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct search_outcome outcome = {hits, 2, 1300, &merge, settings_default(), 4, "uid"};
		struct search_request request = rows[i].request;
		struct buffer expected;
		struct buffer body;

		buffer_init(&body, 4096);
		buffer_init(&expected, 4096);
		request.q = slice_string("a\"b");
		answer_search(&body, &request, &outcome);
		buffer_printf(
			&expected,
			"{\"hits\":[{ \"n\" : 1.10 },{}],\"query\":\"a\\\"b\",\"processingTimeMs\":4,%s,"
			"\"requestUid\":\"uid\"}",
			rows[i].paging);
		buffer_put_u8(&expected, 0);
		check_text(&body, (const char *)expected.ptr);
		buffer_deinit(&expected);
		buffer_deinit(&body);
	}
	facet_merge_deinit(&merge);
}

#define SHARDS "\"shards\":[{\"index\":\"00000000000000ab\",\"partitions\":[0,2]}],"

static void test_questions(void)
{
	struct search_request request = {.asked = slice_string(",\"q\":\"x y\",\"sort\":[\"a:asc\"]")};
	struct search_asking asking = {.index_id = 0xab, .settings_version = -1, .stale = true};
	struct buffer body;

	buffer_init(&body, 4096);
	ask_search(&body, &question, &request, &asking);
	check_text(&body, "{" SHARDS
	                  "\"settings\":-1,\"limit\":3,\"q\":\"x y\",\"sort\":[\"a:asc\"],\"stale\":true}");
	buffer_clear(&body);
	asking = (struct search_asking){
		.index_id = 0xab,
		.settings_version = 12,
		.words = {.all_known = true, .known = 5, .has_rarest = true, .rarest = 2},
		.has_cutoff = true};
	request = (struct search_request){.by_page = true, .asked = slice_string("")};
	ask_search(&body, &question, &request, &asking);
	check_text(&body, "{\"cutoff\":0," SHARDS
	                  "\"settings\":12,\"limit\":3,\"byPage\":true,\"known\":5,\"rarest\":2,"
	                  "\"stale\":false}");
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
		struct node_question with_token = question;

		with_token.required = rows[i].required;
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
		{"questions with a token", test_questions_with_a_token},
		{"order", test_order},
		{"distinct", test_distinct},
		{"rounds", test_rounds},
		{"answers to other queries", test_answers_to_other_queries},
		{"pages", test_pages},
		{"a search's answer", test_search_answer},
		{"questions to nodes", test_questions},
		{"a UUID of version 7", test_uuid},
		CU_TEST_INFO_NULL,
	};

	return suite_run("merge", tests);
}
