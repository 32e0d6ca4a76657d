/*
 * Rules of federated queries: by what their hits are ordered, and which of them can stand in one list.
 */
#include "query/core/federation_rules.h"
#include "query/core/multi_search_request.h"

#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#define RULES(rules) "{\"rankingRules\":[" rules "],\"sortableAttributes\":[\"n\",\"m\",\"_geo\"]}"
#define DEFAULT \
	RULES("\"words\",\"typo\",\"proximity\",\"attributeRank\",\"sort\",\"wordPosition\",\"exactness\"")

struct row {
	const char *settings;
	const char *query;
	const char *rules; /* W words, R rising, F falling, N nearest, A farthest */
};

static const struct row rows[] = {
	{DEFAULT, "", ""},
	{DEFAULT, ",\"q\":\"\",\"sort\":[\"n:asc\"]", "R"},
	{DEFAULT, ",\"q\":\"x\"", "W"},
	/* any text makes a query one about words */
	{DEFAULT, ",\"q\":\" \"", "W"},
	{DEFAULT, ",\"q\":\"x\",\"sort\":[\"n:desc\",\"_geoPoint(1,2):asc\",\"m:asc\"]", "WFNRW"},
	{DEFAULT, ",\"q\":\"x\",\"sort\":[\"_geoPoint(1,2):desc\",\"_geoPoint(1,2):asc\"]", "WANW"},
	/* a field sorts once */
	{RULES("\"n:desc\",\"words\",\"sort\""), ",\"q\":\"x\",\"sort\":[\"n:asc\",\"m:asc\"]", "FWR"},
	{RULES("\"sort\",\"n:desc\",\"m:asc\""), ",\"q\":\"x\",\"sort\":[\"n:asc\"]", "RR"},
	/* `words` comes before the first rule about words, and says nothing with strategy `all` */
	{RULES("\"typo\",\"sort\",\"words\""), ",\"q\":\"x\",\"sort\":[\"n:asc\"]", "WR"},
	{RULES("\"words\",\"sort\",\"typo\""),
         ",\"q\":\"x\",\"sort\":[\"n:asc\"],\"matchingStrategy\":\"all\"", "RW"},
	{RULES("\"typo\",\"sort\",\"typo\""), ",\"q\":\"x\",\"sort\":[\"n:asc\"]", "WR"},
	/* a sort that is none is refused by itself */
	{DEFAULT, ",\"q\":\"x\",\"sort\":[\"n:up\"]", ""},
	{DEFAULT, ",\"q\":\"x\",\"sort\":[\"_geoPoint(1):asc\"]", ""},
};

static void rules_of(const struct row *row, struct arena *arena, struct federation_rules *rules)
{
	struct multi_search_request request;
	struct error_answer refusal;
	struct buffer body;

	buffer_init(&body, 4096);
	buffer_printf(&body, "{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"%s}]}", row->query);
	CU_ASSERT_EQUAL_FATAL(multi_search_request_from_body(buffer_slice(&body), arena, &request, &refusal),
	                      0);
	*rules = (struct federation_rules){.uid = slice_string("a")};
	federation_rules_of(settings_bed(row->settings, arena), &request.queries[0].search, rules);
	buffer_deinit(&body);
}

static void test_rules(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct federation_rules rules;
		struct arena arena;
		char found[16] = "";

		arena_init(&arena, 4096);
		rules_of(&rows[i], &arena, &rules);
		for (size_t k = 0; k < rules.len; k++)
			found[k] = " WRFNA"[rules.list[k]];
		CU_ASSERT_STRING_EQUAL(found, rows[i].rules);
		arena_deinit(&arena);
	}
}

static void test_compared(void)
{
	static const struct {
		size_t one; /* rows */
		size_t other;
		const char *kinds[2];
		const char *reason; /* NULL: they have an order in common */
	} pairs[] = {
		{0, 2, {NULL}, NULL},
		{2, 4, {NULL}, NULL},
		{4, 2, {NULL}, NULL},
		{1, 2, {"ascending sort", "relevancy"}, "a relevancy rule with a sort rule"},
		{6, 1, {"descending sort", "ascending sort"}, "two sort rules in opposite directions"},
		{4, 5, {"descending sort", "descending geo sort"}, "a sort rule with a geosort rule"},
	};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct error_answer refusal = {.code = ""};
		struct federation_rules one;
		struct federation_rules other;
		struct arena arena;
		struct buffer expected;

		arena_init(&arena, 4096);
		buffer_init(&expected, 4096);
		rules_of(&rows[pairs[i].one], &arena, &one);
		rules_of(&rows[pairs[i].other], &arena, &other);
		other.query = 3;
		other.uid = slice_string("b");
		CU_ASSERT_EQUAL(federation_rules_compare(&one, &other, &refusal) == 0,
		                pairs[i].reason == NULL);
		if (pairs[i].reason != NULL) {
			buffer_printf(&expected,
			              "The results of queries #0 and #3 are incompatible: \n  1. "
			              "`queries[0]`, `a`: %s\n  2. `queries[3]`, `b`: %s\n  - cannot "
			              "compare %s\n",
			              pairs[i].kinds[0], pairs[i].kinds[1], pairs[i].reason);
			buffer_put_u8(&expected, '\0');
			CU_ASSERT_STRING_EQUAL(refusal.code, "invalid_multi_search_query_ranking_rules");
			CU_ASSERT_STRING_EQUAL(refusal.message, (const char *)expected.ptr);
		}
		buffer_deinit(&expected);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"rules", test_rules},
		{"rules compared", test_compared},
		CU_TEST_INFO_NULL,
	};

	return suite_run("federation_rules", tests);
}
