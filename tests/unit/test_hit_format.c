/*
 * Hit format: which words match and which fields are known, by settings, query
 * and snapshots. What follows from that is format's (test_format.c).
 */
#include "shard/core/hit_format.h"

#include "tests/oracle/search_bed.h"
#include "tests/unit/search_settings_bed.h"
#include "tests/unit/suite.h"

static const char *const documents[] = {
	"{\"title\":\"x\",\"nested\":{\"inner\":\"y\"},\"list\":[{\"deep\":1}],\"empty\":null}",
	"{\"other\":\"z\"}",
};

static struct snapshot *snapshot_of(struct bed *bed, const char *directory, const char *body)
{
	struct memtable *memtable;

	bed_open(bed, directory);
	memtable = memtable_new(bed->offset);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	bed_put(bed, memtable, slice_string("1"), slice_string(body));
	bed_receive(bed, memtable);
	memtable_free(memtable);
	return replica_snapshot(bed->replica);
}

static void bed_close(struct bed *bed, struct snapshot *snapshot)
{
	snapshot_release(snapshot);
	replica_close(bed->replica);
	words_free(bed->words);
}

struct row {
	const char *name;
	const char *settings;
	const char *query;
	const char *highlight;
	const char *document;
	const char *expected; /* of _formatted; NULL: there is none */
};

/* Two shards, each with a document. */
struct shards {
	struct bed beds[2];
	struct snapshot *snapshots[2];
};

static void format_row(const struct row *row, struct shards *shards, struct buffer *out)
{
	static const struct slice all = {(const uint8_t *)"*", 1};
	struct search_settings *settings = search_settings_bed(row->settings, 0);
	struct slice highlight = slice_string(row->highlight);
	struct arena arena;
	struct query query;
	struct hit_format_request request = {
		.text = words_text(shards->beds[0].words),
		.settings = settings,
		.query = &query,
		.snapshots = shards->snapshots,
		.snapshots_len = 2,
		.shown = {.displayed = {&all, 1},
	                  .highlight = {&highlight, 1},
	                  .pre_tag = slice_string("<"),
	                  .post_tag = slice_string(">")},
		.arena = &arena,
	};
	struct query_request parsed = {.rules = settings->rules,
	                               .text = slice_string(row->query),
	                               .prefix_search = true,
	                               .arena = &arena};
	struct hit_format *format;
	struct error error;
	yyjson_doc *doc;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(query_parse(request.text, &parsed, &query, &error), 0);
	CU_ASSERT_EQUAL_FATAL(hit_format_new(&request, &format, &error), 0);
	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(row->document), JSON_DEPTH_MAX, &doc, &error), 0);
	CU_ASSERT_EQUAL(hit_format_append(format, yyjson_doc_get_root(doc), out, &error), 0);
	yyjson_doc_free(doc);
	hit_format_free(format);
	arena_deinit(&arena);
	search_settings_release(settings);
}

#define NUMBERS \
	"{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypo\":3,\"twoTypos\":6},\"disableOnNumbers\":" \
	"true}}"

static const struct row rows[] = {
	{"as typed", "{}", "cat dog", "title", "{\"title\":\"Cat catdog dogs\"}",
         "{\"title\":\"<Cat> <catdog> <dog>s\"}"},
	{"accents", "{}", "ete", "title", "{\"title\":\"Été étés\"}", "{\"title\":\"<Été> <été>s\"}"},
	{"one typo", "{}", "hello x", "title", "{\"title\":\"hallo hall hullo\"}",
         "{\"title\":\"<hallo> hall <hullo>\"}"},
	{"two typos", "{}", "wolverine x", "title", "{\"title\":\"wolvorina\"}",
         "{\"title\":\"<wolvorina>\"}"},
	{"none on short words", "{}", "abcd x", "title", "{\"title\":\"abce\"}", "{\"title\":\"abce\"}"},
	{"none at all", "{\"typoTolerance\":{\"enabled\":false}}", "hello x", "title",
         "{\"title\":\"hallo\"}", "{\"title\":\"hallo\"}"},
	{"none on a word", "{\"typoTolerance\":{\"disableOnWords\":[\"HELLO\"]}}", "hello world", "title",
         "{\"title\":\"hallo worlt\"}", "{\"title\":\"hallo <worlt>\"}"},
	{"lengths of their own", "{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypo\":3}}}", "abc x",
         "title", "{\"title\":\"abd\"}", "{\"title\":\"<abd>\"}"},
	{"numbers", "{\"typoTolerance\":{\"minWordSizeForTypos\":{\"oneTypo\":3}}}", "123 4", "title",
         "{\"title\":\"124 1234 12a\"}", "{\"title\":\"<124> <1234> <12a>\"}"},
	{"numbers as typed", NUMBERS, "123 4", "title", "{\"title\":\"124 1234 12a 123 45\"}",
         "{\"title\":\"124 1234 <12a> <123> <4>5\"}"},
	{"a phrase", "{}", "\"big cat\"", "title", "{\"title\":\"big cat, big\"}",
         "{\"title\":\"<big cat>, big\"}"},
	{"a split", "{}", "catdog x", "title", "{\"title\":\"cat dog\"}", "{\"title\":\"<cat dog>\"}"},
	{"a synonym", "{\"synonyms\":{\"cat\":[\"Kleine Katze\"]}}", "cat x", "title",
         "{\"title\":\"kleine katze katze\"}", "{\"title\":\"<kleine katze> katze\"}"},
	{"a synonym of two words", "{\"synonyms\":{\"new york\":[\"nyc\",\"big apple\"]}}", "new york x",
         "title", "{\"title\":\"nyc big apple\"}", "{\"title\":\"<nyc> <big apple>\"}"},
	{"stop words", "{\"stopWords\":[\"the\"]}", "the cat", "title", "{\"title\":\"the cat\"}",
         "{\"title\":\"the <cat>\"}"},
	{"words of a dictionary", "{\"dictionary\":[\"c++\"]}", "c++ x", "title", "{\"title\":\"c++ c\"}",
         "{\"title\":\"<c++> c\"}"},
	{"in an object", "{}", "y", "nested", "{\"nested\":{\"inner\":\"y\"}}",
         "{\"nested\":{\"inner\":\"<y>\"}}"},
	{"through an array", "{}", "1", "list.deep", "{\"list\":[{\"deep\":\"1\"}]}",
         "{\"list\":[{\"deep\":\"<1>\"}]}"},
	{"a field of another shard", "{}", "z", "other", "{\"title\":\"z\"}", "{}"},
	{"a field that none has", "{}", "z", "oth", "{\"title\":\"z\"}", NULL},
	{"a field that none has text in", "{}", "z", "empty", "{\"title\":\"z\"}", NULL},
	{"beside a field", "{}", "z", "nested.in", "{\"title\":\"z\"}", NULL},
};

static void test_rows(void)
{
	struct shards shards = {0};

	shards.snapshots[0] = snapshot_of(&shards.beds[0], "one", documents[0]);
	shards.snapshots[1] = snapshot_of(&shards.beds[1], "two", documents[1]);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer expected;
		struct buffer out;

		buffer_init(&expected, 4096);
		buffer_init(&out, 4096);
		if (rows[i].expected != NULL)
			buffer_printf(&expected, "\"_formatted\":%s", rows[i].expected);
		format_row(&rows[i], &shards, &out);
		if (!slice_equal(buffer_slice(&out), buffer_slice(&expected))) {
			printf("\n%s: got %.*s\n", rows[i].name, SLICE_ARGS(buffer_slice(&out)));
			CU_FAIL("another format");
		}
		buffer_deinit(&expected);
		buffer_deinit(&out);
	}
	bed_close(&shards.beds[0], shards.snapshots[0]);
	bed_close(&shards.beds[1], shards.snapshots[1]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"rows", test_rows}, CU_TEST_INFO_NULL};

	return suite_run("hit_format", tests);
}
