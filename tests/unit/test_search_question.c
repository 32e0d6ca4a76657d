/*
 * Search questions: what is read of each member, what is refused, and the rules
 * that a search goes by.
 */
#include "shard/core/search_question.h"
#include "shard/core/search_rules.h"

#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

/* ---- questions ---- */

static int read(const char *text, struct arena *arena, struct search_question *question, yyjson_doc **doc,
                struct error *error)
{
	struct error parsing;

	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(text), doc, &parsing), 0);
	return search_question_read(yyjson_doc_get_root(*doc), arena, question, error);
}

static void test_defaults(void)
{
	static const char *const rows[] = {
		"{}",
		"{\"q\":null,\"limit\":null,\"filter\":null,\"ids\":null,\"settings\":null,\"scores\":null,"
		"\"spellings\":null,\"pathsKnown\":null}",
		"{\"other\":1,\"offset\":-1,\"shards\":{}}",
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct search_question question;
		struct arena arena;
		struct error error;
		yyjson_doc *doc;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(read(rows[i], &arena, &question, &doc, &error), 0);
		CU_ASSERT_EQUAL(question.settings, -1);
		CU_ASSERT_EQUAL(question.limit, 20);
		CU_ASSERT_EQUAL(question.cutoff_ms, UINT64_MAX);
		CU_ASSERT(question.q.ptr != NULL && question.q.len == 0);
		CU_ASSERT_PTR_NULL(question.filter.ptr);
		CU_ASSERT_PTR_NULL(question.distinct.ptr);
		CU_ASSERT_PTR_NULL(question.ids.list);
		CU_ASSERT_PTR_NULL(question.search_on.list);
		CU_ASSERT_PTR_NULL(question.retrieve.list);
		CU_ASSERT_PTR_NULL(question.facet_name.ptr);
		CU_ASSERT_EQUAL(question.strategy, RANK_LAST);
		CU_ASSERT_EQUAL(question.crop_words, 10);
		CU_ASSERT(slice_equal(question.crop_marker, slice_string("…")));
		CU_ASSERT(slice_equal(question.pre_tag, slice_string("<em>")));
		CU_ASSERT(slice_equal(question.post_tag, slice_string("</em>")));
		CU_ASSERT_FALSE(question.has_threshold || question.has_known || question.has_rarest ||
		                question.documents || question.by_page || question.scores ||
		                question.paths_known || question.spellings.list != NULL ||
		                question.counted.list != NULL || question.shows_score ||
		                question.shows_details || question.shows_positions);
		yyjson_doc_free(doc);
		arena_deinit(&arena);
	}
}

static const char all_members[] =
	"{\"settings\":12,\"limit\":1000000,\"cutoff\":0,\"q\":\"a b\",\"filter\":[\"a = 1\",[\"b = "
	"2\"]],\"sort\":[\"a:asc\"],"
	"\"distinct\":\"d\",\"matchingStrategy\":\"frequency\",\"attributesToSearchOn\":[],"
	"\"rankingScoreThreshold\":0.5,\"facets\":[\"*\"],\"attributesToRetrieve\":[\"r\",\"s\"],"
	"\"attributesToCrop\":[\"c:3\"],\"cropLength\":18446744073709551615,\"cropMarker\":\"\","
	"\"attributesToHighlight\":[\"h\"],\"highlightPreTag\":\"<\",\"highlightPostTag\":\">\","
	"\"showMatchesPosition\":true,\"showRankingScore\":true,\"showRankingScoreDetails\":true,\"byPage\":"
	"true,"
	"\"documents\":true,\"ids\":[\"1\",\"x\"],\"fields\":[\"f\"],\"known\":1023,\"rarest\":9,"
	"\"facetName\":\"n\",\"facetQuery\":\"\",\"scores\":true,\"spellings\":{\"a.b\":[],\"c\":[\"x\","
	"\"y\"]},"
	"\"pathsKnown\":true,\"union\":[{\"q\":\"u\",\"limit\":3},{\"documents\":true}]}";

static void test_members(void)
{
	struct search_question question;
	struct arena arena;
	struct error error;
	yyjson_doc *doc;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(read(all_members, &arena, &question, &doc, &error), 0);
	CU_ASSERT_EQUAL(question.settings, 12);
	CU_ASSERT_EQUAL(question.limit, 1000000);
	CU_ASSERT_EQUAL(question.cutoff_ms, 0);
	CU_ASSERT(slice_equal(question.q, slice_string("a b")));
	CU_ASSERT(slice_equal(question.filter, slice_string("[\"a = 1\",[\"b = 2\"]]")));
	CU_ASSERT(question.sort.len == 1 && slice_equal(question.sort.list[0], slice_string("a:asc")));
	CU_ASSERT(slice_equal(question.distinct, slice_string("d")));
	CU_ASSERT_EQUAL(question.strategy, RANK_FREQUENCY);
	CU_ASSERT(question.search_on.list != NULL && question.search_on.len == 0);
	CU_ASSERT(question.has_threshold && question.threshold == 0.5);
	CU_ASSERT(question.facets.len == 1 && question.retrieve.len == 2 && question.crop.len == 1);
	CU_ASSERT_EQUAL(question.crop_words, UINT32_MAX);
	CU_ASSERT(question.crop_marker.ptr != NULL && question.crop_marker.len == 0);
	CU_ASSERT(question.highlight.len == 1 && slice_equal(question.highlight.list[0], slice_string("h")));
	CU_ASSERT(slice_equal(question.pre_tag, slice_string("<")));
	CU_ASSERT(slice_equal(question.post_tag, slice_string(">")));
	CU_ASSERT(question.shows_positions && question.shows_score && question.shows_details);
	CU_ASSERT(question.by_page && question.documents && question.scores);
	CU_ASSERT(question.paths_known && question.spellings.len == 2);
	CU_ASSERT_EQUAL_FATAL(question.counted.len, 2);
	CU_ASSERT(slice_equal(question.counted.list[0].q, slice_string("u")));
	CU_ASSERT(question.counted.list[0].limit == 3 && question.counted.list[1].documents);
	CU_ASSERT(slice_equal(question.spellings.list[0].path, slice_string("a.b")));
	CU_ASSERT_EQUAL(question.spellings.list[0].folded.len, 0);
	CU_ASSERT_EQUAL(question.spellings.list[1].folded.len, 2);
	CU_ASSERT(slice_equal(question.spellings.list[1].folded.list[1], slice_string("y")));
	CU_ASSERT(question.ids.len == 2 && slice_equal(question.ids.list[1], slice_string("x")));
	CU_ASSERT(question.fields.len == 1);
	CU_ASSERT(question.has_known && question.known == 1023);
	CU_ASSERT(question.has_rarest && question.rarest == 9);
	CU_ASSERT(slice_equal(question.facet_name, slice_string("n")));
	CU_ASSERT(question.facet_query.ptr != NULL && question.facet_query.len == 0);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
}

static const char *const refused_rows[] = {
	"[]",
	"1",
	"null",
	"\"q\"",
	"{\"settings\":-2}",
	"{\"settings\":1.5}",
	"{\"settings\":\"1\"}",
	"{\"settings\":9223372036854775808}",
	"{\"limit\":-1}",
	"{\"cutoff\":-1}",
	"{\"limit\":1000001}",
	"{\"limit\":2.0}",
	"{\"limit\":\"2\"}",
	"{\"q\":1}",
	"{\"q\":[]}",
	"{\"sort\":\"a:asc\"}",
	"{\"sort\":[1]}",
	"{\"sort\":{\"a\":\"asc\"}}",
	"{\"distinct\":true}",
	"{\"matchingStrategy\":\"any\"}",
	"{\"matchingStrategy\":0}",
	"{\"attributesToSearchOn\":[null]}",
	"{\"rankingScoreThreshold\":1.01}",
	"{\"rankingScoreThreshold\":-0.1}",
	"{\"rankingScoreThreshold\":\"0.5\"}",
	"{\"facets\":[[\"a\"]]}",
	"{\"attributesToRetrieve\":true}",
	"{\"attributesToCrop\":[false]}",
	"{\"cropLength\":-1}",
	"{\"cropLength\":1.5}",
	"{\"cropMarker\":[]}",
	"{\"attributesToHighlight\":7}",
	"{\"highlightPreTag\":0}",
	"{\"highlightPostTag\":{}}",
	"{\"showMatchesPosition\":1}",
	"{\"showRankingScore\":\"true\"}",
	"{\"showRankingScoreDetails\":[]}",
	"{\"byPage\":0}",
	"{\"documents\":{}}",
	"{\"ids\":[1]}",
	"{\"ids\":\"1\"}",
	"{\"fields\":[{}]}",
	"{\"known\":1024}",
	"{\"known\":-1}",
	"{\"rarest\":10}",
	"{\"rarest\":0.5}",
	"{\"facetName\":[\"a\"]}",
	"{\"facetQuery\":1}",
	"{\"scores\":2}",
	"{\"pathsKnown\":1}",
	"{\"spellings\":[]}",
	"{\"spellings\":{\"a\":\"x\"}}",
	"{\"spellings\":{\"a\":[1]}}",
	"{\"union\":{}}",
	"{\"union\":[1]}",
	"{\"union\":[{\"q\":1}]}",
	"{\"union\":[{},{\"union\":[]}]}",
};

static void test_refused(void)
{
	for (size_t i = 0; i < LEN(refused_rows); i++) {
		struct search_question question = {.limit = 77};
		struct error error = {0};
		struct arena arena;
		yyjson_doc *doc;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL(read(refused_rows[i], &arena, &question, &doc, &error), ERROR_FORMAT);
		if (error.code != ERROR_FORMAT)
			(void)printf("\n%s\n", refused_rows[i]);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT(error.text[0] != '\0');
		CU_ASSERT_EQUAL(question.limit, 77);
		yyjson_doc_free(doc);
		arena_deinit(&arena);
	}
}

/* A list of 1,000 names is read, one of 1,001 is not; ids have no such bound. */
static void test_many(void)
{
	static const struct {
		const char *name;
		size_t len;
		int code;
	} rows[] = {
		{"sort", 1000, 0},
		{"sort", 1001, ERROR_FORMAT},
		{"attributesToHighlight", 1001, ERROR_FORMAT},
		{"facets", 1001, ERROR_FORMAT},
		{"ids", 100000, 0},
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct search_question question;
		struct error error;
		struct buffer text;
		struct arena arena;
		yyjson_doc *doc;

		arena_init(&arena, 4096);
		buffer_init(&text, SIZE_MAX);
		buffer_printf(&text, "{\"%s\":[\"a\"", rows[i].name);
		for (size_t k = 1; k < rows[i].len; k++)
			buffer_append_string(&text, ",\"a\"");
		buffer_append(&text, "]}", sizeof "]}");
		CU_ASSERT_FALSE_FATAL(buffer_failed(&text));
		CU_ASSERT_EQUAL(read((const char *)text.ptr, &arena, &question, &doc, &error), rows[i].code);
		yyjson_doc_free(doc);
		buffer_deinit(&text);
		arena_deinit(&arena);
	}
}

static void test_memory(void)
{
	struct error error;
	yyjson_doc *doc;
	long failed = 0;
	int rc;

	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(all_members), &doc, &error), 0);
	do {
		struct search_question question;
		struct arena arena;

		arena_init(&arena, 16);
		allocations_left = failed;
		rc = search_question_read(yyjson_doc_get_root(doc), &arena, &question, &error);
		allocations_left = -1;
		if (rc != 0) {
			CU_ASSERT_EQUAL_FATAL(rc, ERROR_MEMORY);
			failed++;
		}
		arena_deinit(&arena);
	} while (rc != 0);
	CU_ASSERT(failed > 5);
	yyjson_doc_free(doc);
}

/* ---- rules ---- */

static void rules_print(struct buffer *out, const struct search_rules *rules)
{
	static const char *const names[] = {"words",        "typo",      "proximity", "attributeRank",
	                                    "wordPosition", "attribute", "exactness"};

	for (size_t i = 0; i < rules->len; i++) {
		const struct search_rule *rule = &rules->list[i];

		buffer_append_string(out, i > 0 ? " " : "");
		if (rule->kind == SEARCH_RULE_RANK)
			buffer_append_string(out, names[rule->rank]);
		else if (rule->kind == SEARCH_RULE_FIELD)
			buffer_printf(out, "%.*s%s", SLICE_ARGS(rule->path), rule->falling ? "-" : "+");
		else
			buffer_printf(out, "(%g,%g)%s", rule->lat, rule->lng, rule->falling ? "-" : "+");
	}
}

static const struct {
	const char *name;
	const char *ranking; /* settings; NULL: a listing */
	const char *sort;
	enum rank_strategy strategy;
	bool has_terms;
	const char *expected; /* NULL: refused */
} rule_rows[] = {
	{"the defaults", "{}", "[]", RANK_LAST, true,
         "words typo proximity attributeRank wordPosition exactness"},
	{"all terms", "{}", "[]", RANK_ALL, true, "typo proximity attributeRank wordPosition exactness"},
	{"without terms", "{}", "[\"a:desc\"]", RANK_LAST, false, "a-"},
	{"where the sort stands", "{}", "[\"a:desc\",\"b:asc\"]", RANK_FREQUENCY, true,
         "words typo proximity attributeRank a- b+ wordPosition exactness"},
	{"words come first", "{\"rankingRules\":[\"x:asc\",\"exactness\",\"words\",\"typo\"]}", "[]",
         RANK_LAST, true, "x+ words exactness typo"},
	{"without a sort", "{\"rankingRules\":[\"typo\"]}", "[\"a:asc\"]", RANK_LAST, true, "words typo"},
	{"none", "{\"rankingRules\":[]}", "[\"a:asc\"]", RANK_LAST, true, ""},
	{"attribute", "{\"rankingRules\":[\"attribute\",\"typo\"]}", "[]", RANK_LAST, true,
         "words attribute typo"},
	{"a rule once", "{\"rankingRules\":[\"typo\",\"words\",\"typo\"]}", "[]", RANK_LAST, true,
         "words typo"},
	{"a field once", "{\"rankingRules\":[\"sort\",\"a:asc\",\"b:desc\"]}",
         "[\"a:desc\",\"b:asc\",\"a:asc\"]", RANK_LAST, true, "a- b+"},
	{"colons of its own", "{}", "[\"a:b:asc\"]", RANK_LAST, false, "a:b+"},
	{"a listing", NULL, "[\"a:asc\"]", RANK_LAST, false, "a+"},
	{"points", NULL,
         "[\"_geoPoint(1,2):asc\",\"_geoPoint( -1.5 ,\\t180 ):desc\",\"_geoPoint(1.0,2):asc\"]", RANK_LAST,
         false, "(1,2)+ (-1.5,180)-"},
	{"a name like a point", NULL, "[\"_geoPointer:asc\"]", RANK_LAST, false, "_geoPointer+"},
	{"no direction", NULL, "[\"a\"]", RANK_LAST, false, NULL},
	{"another direction", NULL, "[\"a:up\"]", RANK_LAST, false, NULL},
	{"nothing", NULL, "[\"\"]", RANK_LAST, false, NULL},
	{"a point of one number", NULL, "[\"_geoPoint(1):asc\"]", RANK_LAST, false, NULL},
	{"a point of three", NULL, "[\"_geoPoint(1,2,3):asc\"]", RANK_LAST, false, NULL},
	{"an open point", NULL, "[\"_geoPoint(1,2:asc\"]", RANK_LAST, false, NULL},
	{"beyond the pole", NULL, "[\"_geoPoint(90.1,2):asc\"]", RANK_LAST, false, NULL},
	{"beyond the date line", NULL, "[\"_geoPoint(9,-180.5):asc\"]", RANK_LAST, false, NULL},
	{"no numbers", NULL, "[\"_geoPoint(a,b):asc\"]", RANK_LAST, false, NULL},
	{"no finite ones", NULL, "[\"_geoPoint(nan,inf):asc\"]", RANK_LAST, false, NULL},
	{"as many as there may be", NULL,
         "[\"a:asc\",\"b:asc\",\"c:asc\",\"d:asc\",\"e:asc\",\"f:asc\",\"g:asc\",\"h:asc\",\"i:asc\",\"j:"
         "asc\",\"k:asc\","
         "\"l:asc\",\"m:asc\",\"n:asc\",\"o:asc\",\"p:asc\",\"a:asc\"]",
         RANK_LAST, false, "a+ b+ c+ d+ e+ f+ g+ h+ i+ j+ k+ l+ m+ n+ o+ p+"},
	{"too many", NULL,
         "[\"a:asc\",\"b:asc\",\"c:asc\",\"d:asc\",\"e:asc\",\"f:asc\",\"g:asc\",\"h:asc\",\"i:asc\",\"j:"
         "asc\",\"k:asc\","
         "\"l:asc\",\"m:asc\",\"n:asc\",\"o:asc\",\"p:asc\",\"q:asc\"]",
         RANK_LAST, false, NULL},
};

static struct settings *settings_of(const char *body, struct arena *arena)
{
	struct settings_request request = {.body = slice_string(body)};
	struct settings_refusal refusal;
	struct settings *settings = NULL;
	struct buffer record;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &record, &refusal), 0);
	CU_ASSERT_EQUAL_FATAL(settings_parse(buffer_slice(&record), arena, &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

static void rules_row(size_t i, struct arena *arena, struct buffer *out)
{
	struct search_rules_request request = {.strategy = rule_rows[i].strategy,
	                                       .has_terms = rule_rows[i].has_terms};
	struct search_question question;
	struct search_rules rules;
	struct buffer asked;
	struct error error;
	yyjson_doc *doc;
	int rc;

	buffer_init(&asked, 4096);
	buffer_printf(&asked, "{\"sort\":%s}%c", rule_rows[i].sort, '\0');
	CU_ASSERT_EQUAL_FATAL(read((const char *)asked.ptr, arena, &question, &doc, &error), 0);
	request.sort = question.sort;
	if (rule_rows[i].ranking != NULL)
		request.ranking = &settings_of(rule_rows[i].ranking, arena)->rules;
	rc = search_rules_resolve(&request, &rules, &error);
	if (rc == 0) {
		rules_print(out, &rules);
	} else {
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		buffer_append_string(out, "refused");
	}
	yyjson_doc_free(doc);
	buffer_deinit(&asked);
}

static void test_rules(void)
{
	for (size_t i = 0; i < LEN(rule_rows); i++) {
		const char *expected = rule_rows[i].expected != NULL ? rule_rows[i].expected : "refused";
		struct arena arena;
		struct buffer out;

		arena_init(&arena, 4096);
		buffer_init(&out, 4096);
		rules_row(i, &arena, &out);
		if (!slice_equal(buffer_slice(&out), slice_string(expected))) {
			(void)printf("\n%s: got %.*s\n", rule_rows[i].name, SLICE_ARGS(buffer_slice(&out)));
			CU_FAIL("other rules");
		}
		buffer_deinit(&out);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"defaults", test_defaults}, {"every member", test_members}, {"refused", test_refused},
		{"long lists", test_many},   {"out of memory", test_memory}, {"rules", test_rules},
		CU_TEST_INFO_NULL,
	};

	return suite_run("search_question", tests);
}
