/*
 * Answers of nodes: what is believed.
 */
#include "query/core/node_answer.h"

#include "tests/unit/suite.h"

static const int32_t asked[] = {0, 2};
static const struct node_question question = {.partitions = asked, .partitions_len = 2, .hits_max = 3};

#define RECEIVED \
	"\"received\":[{\"p\":2,\"received\":5,\"state\":\"active\"},{\"p\":0,\"received\":7,\"state\":" \
	"\"active\"}]"
#define HIT(p, rank, ts, id) \
	"{\"p\":" p ",\"rank\":\"" rank "\",\"ts\":" ts ",\"seq\":0,\"id\":\"" id "\",\"doc\":{\"id\":\"" id \
	"\"}}"

#define HIT_WITH(member) "{\"p\":0,\"ts\":1,\"seq\":0,\"id\":\"a\"," member ",\"doc\":{}}"

#define SHARE(p, total) "{\"p\":" p ",\"received\":9,\"state\":\"recovering\",\"total\":" total "}"

static int parse(const char *text, struct arena *arena, struct node_answer *answer)
{
	struct error error;

	return node_answer_parse(slice_string(text), &question, arena, answer, &error);
}

static void test_answer_is_read(void)
{
	static const char text[] =
		"{" RECEIVED
		", \"total\" : 9 ,\"hits\":[\n{\"p\":0,\"rank\":\"0aff\",\"ts\":-4,\"seq\":1,\"id\":\"a\","
		"\"doc\":{ \"n\": 1.10, \"s\":\"\\u00e9 ] }\" }} , " HIT("2", "01", "8", "b") "]}";
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
	CU_ASSERT_TRUE(slice_equal(answer.hits[0].rank, slice_string("0aff")));
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
			 "0", "03", "1", "a") "," HIT("2", "02", "1", "b") "," HIT("2", "01", "1", "c") "]}",
	         true, 2, 2},
		/* a page that was cut off, but it is the other shard's from end to end */
		{"{\"received\":[" SHARE("0", "4") "," SHARE("2", "2") "],\"total\":6,\"hits\":[" HIT(
			 "2", "03", "1", "a") "," HIT("2", "02", "1", "b") "]}",
	         true, 2, 2},
		/* cut off: behind the last hit there may be one that is needed now */
		{"{\"received\":[" SHARE("0", "4") "," SHARE("2", "2") "],\"total\":6,\"hits\":[" HIT(
			 "0", "03", "1", "a") "," HIT("2", "02", "1", "b") "]}",
	         false, 0, 0},
		/* it knows a word, perhaps by the other shard */
		{"{\"received\":[" SHARE("0", "1") "," SHARE("2",
	                                                     "2") "],\"total\":3,\"hits\":[],\"terms\":1,"
	                                                          "\"known\":1}",
	         false, 0, 0},
		/* a hit may be missing for the sake of one of the other shard */
		{"{\"received\":[" SHARE("0", "1") "," SHARE("2", "0") "],\"total\":1,\"hits\":[" HIT_WITH(
			 "\"distinct\":[\"aa\"]") "]}",
	         false, 0, 0},
		/* nobody can say how much of the total is left */
		{"{" RECEIVED ",\"total\":1,\"hits\":[" HIT("2", "03", "1", "a") "]}", false, 0, 0},
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

/* The same of a question whose answers cannot be taken apart, or must have facets. */
static void test_answer_as_a_whole(void)
{
	static const char plain[] = "{\"received\":[" SHARE("0", "0") "," SHARE(
		"2", "0") "],\"total\":0,\"hits\":[],\"facets\":{}}";
	static const bool second[] = {false, true};
	struct node_question asking = question;
	struct node_answer answer;
	struct error error;
	struct arena arena;

	arena_init(&arena, 1024);
	for (int i = 0; i < 3; i++) {
		asking.whole = i == 1;
		asking.facets = i == 2;
		CU_ASSERT_EQUAL_FATAL(
			node_answer_parse(slice_string(plain), &asking, &arena, &answer, &error), 0);
		CU_ASSERT_EQUAL(node_answer_restrict(&answer, &asking, second), i == 0);
	}
	CU_ASSERT_TRUE(node_answer_parse(slice_string("{" RECEIVED ",\"total\":0,\"hits\":[]}"), &asking,
	                                 &arena, &answer, &error) < 0);
	arena_deinit(&arena);
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
		"{" RECEIVED ",\"total\":0,\"hits\":[" HIT("0", "01", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("1", "01", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "01", "1", "a b") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "01", "1", "") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "0g", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "01", "99999999999999999999", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[1]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "0", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "0A", "1", "a") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"distinct\":[\"a\"]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"distinct\":\"aa\"") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":2") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[2,1]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[1]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[1,2,3]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[-1,2]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[0,2]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[0,0]]") "]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT_WITH("\"score\":[[0,1],[1,2]]") "]}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":1}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":17,\"known\":0}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":1,\"known\":2}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":1,\"known\":-1}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":2,\"known\":0,\"frequencies\":[1]}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":2,\"known\":0,\"frequencies\":[1,2,3]}",
		"{" RECEIVED ",\"total\":0,\"hits\":[],\"terms\":1,\"known\":0,\"frequencies\":[-1]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[{\"p\":0,\"ts\":1,\"seq\":0,\"id\":\"a\",\"doc\":[]}]}",
		"{" RECEIVED
		",\"total\":9,\"hits\":[{\"p\":0,\"ts\":1,\"seq\":4294967296,\"id\":\"a\",\"doc\":{}}]}",
		"{" RECEIVED ",\"total\":9,\"hits\":[" HIT("0", "01", "1", "a") "," HIT(
			"0", "01", "1", "b") "," HIT("0", "01", "1", "c") "," HIT("0", "01", "1", "d") "]}",
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

static void test_words_and_scores(void)
{
	static const char text[] =
		"{" RECEIVED
		",\"total\":1,\"terms\":3,\"known\":5,\"frequencies\":[7,0,9],\"hits\":[" HIT_WITH(
			"\"distinct\":[\"0a\",\"\"],\"score\":[[1,3],[1,1]]") "]}";
	struct node_answer answer;
	struct arena arena;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(parse(text, &arena, &answer), 0);
	CU_ASSERT_EQUAL(answer.terms, 3);
	CU_ASSERT_EQUAL(answer.known, 5);
	CU_ASSERT_EQUAL_FATAL(answer.frequencies_len, 3);
	CU_ASSERT_EQUAL(answer.frequencies[2], 9);
	CU_ASSERT_TRUE(answer.has_distinct);
	CU_ASSERT_EQUAL_FATAL(answer.hits[0].distinct_len, 2);
	CU_ASSERT_TRUE(slice_equal(answer.hits[0].distinct[0], slice_string("0a")));
	CU_ASSERT_EQUAL_FATAL(answer.hits[0].scores_len, 2);
	CU_ASSERT_EQUAL(answer.hits[0].scores[0].rank, 1);
	CU_ASSERT_EQUAL(answer.hits[0].scores[0].highest, 3);
	arena_deinit(&arena);
}

/* A node says that its cutoff had passed. */
static void test_cutoff(void)
{
	static const struct {
		const char *text;
		bool at_cutoff;
	} cut[] = {
		{"{\"cutoff\":true," RECEIVED
	         ",\"total\":1,\"hits\":[" HIT_WITH("\"score\":[[1,3],[0,1]]") "]}",
	         true},
		{"{\"cutoff\":false," RECEIVED
	         ",\"total\":1,\"hits\":[" HIT_WITH("\"score\":[\"0a\",[0,1]]") "]}",
	         false},
		{"{" RECEIVED ",\"total\":1,\"hits\":[" HIT_WITH("\"score\":[[1,1],[0,1]]") "]}", false},
	};

	for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
		struct node_answer answer;
		struct arena arena;

		arena_init(&arena, 1024);
		CU_ASSERT_EQUAL_FATAL(parse(cut[i].text, &arena, &answer), 0);
		CU_ASSERT_EQUAL(answer.at_cutoff, cut[i].at_cutoff);
		CU_ASSERT_EQUAL_FATAL(answer.hits[0].scores_len, 2);
		CU_ASSERT_EQUAL(answer.hits[0].scores[1].rank, 0);
		CU_ASSERT_EQUAL(answer.hits[0].scores[1].highest, 1);
		arena_deinit(&arena);
	}
}

static void test_settings_refusal(void)
{
	static const struct {
		const char *text;
		bool read;
	} rows[] = {
		{"{\"code\":\"settings_version\",\"message\":\"x\",\"settings\":-1}", true},
		{"{\"code\":\"settings_version\"}", false},
		{"{\"code\":\"other\",\"settings\":1}", false},
		{"{\"code\":\"settings_version\",\"settings\":1", false},
		{"", false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t version = 7;

		CU_ASSERT_EQUAL(node_settings_parse(slice_string(rows[i].text), &version), rows[i].read);
		CU_ASSERT_EQUAL(version, rows[i].read ? -1 : 7);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"an answer is read", test_answer_is_read},
		{"stale partitions", test_stale_partitions},
		{"an answer in part", test_answer_in_part},
		{"an answer as a whole", test_answer_as_a_whole},
		{"documents", test_documents},
		{"malformed answers", test_malformed_answers},
		{"refusals", test_refusals},
		{"words and scores", test_words_and_scores},
		{"the cutoff", test_cutoff},
		{"settings that a node lacks", test_settings_refusal},
		CU_TEST_INFO_NULL,
	};

	return suite_run("node_answer", tests);
}
