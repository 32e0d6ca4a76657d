/*
 * What settings allow: rows of settings and requests with the refusal that Meilisearch 1.50 gives.
 */
#include "query/core/search_check.h"

#include "tests/unit/suite.h"

#define NOTHING_FILTERABLE "This index does not have configured filterable attributes."
#define SOME \
	"{\"filterableAttributes\":[\"color\",\"a.b\",{\"attributePatterns\":[\"p*\",\"color\"]," \
	"\"features\":{\"filter\":" \
	"{\"equality\":false,\"comparison\":true}}},{\"attributePatterns\":[\"eq\"]}," \
	"{\"attributePatterns\":[\"none\"],\"features\":{\"facetSearch\":true,\"filter\":{\"equality\":" \
	"false}}}]," \
	"\"sortableAttributes\":[\"price\",\"_geo\",\"n\"],\"searchableAttributes\":[\"title\",\"meta\"," \
	"\"secret\"]," \
	"\"displayedAttributes\":[\"title\",\"meta\"]}"

#define NO_HYBRID "Invalid request: missing `hybrid` parameter when `vector` or `media` are present."
#define HYBRID "\"hybrid\":{\"embedder\":\"nope\"}"
#define BY_WORDS "\"hybrid\":{\"embedder\":\"nope\",\"semanticRatio\":0}"

struct row {
	const char *settings;
	const char *request;
	const char *code; /* NULL: allowed */
	const char *message;
};

static const struct row rows[] = {
	{"{}", "{\"q\":\"x\",\"attributesToSearchOn\":[\"whatever\"]}", NULL, NULL},
	{SOME,
         "{\"attributesToSearchOn\":[\"title\",\"meta.x\",\"tit*\"],\"sort\":[\"price:asc\",\"n.x:desc\","
         "\"_geoPoint(1, -2.5):asc\"],\"distinct\":\"color\",\"filter\":[\"color = 1 AND a.b.c "
         "EXISTS\",[\"px > 2\","
         "\"NOT eq IN [1]\"]],\"facets\":[\"*\",\"color\",\"a\",\"c*\",\"pq\"]}",
         NULL, NULL},
	/* no index has an embedder: what asks for none is a search by words */
	{"{}", "{\"vector\":[1.5]}", "missing_search_hybrid", NO_HYBRID},
	{"{}", "{\"media\":{}}", "missing_search_hybrid", NO_HYBRID},
	{"{}", "{\"media\":{},\"vector\":[]," HYBRID "}", "invalid_search_media_and_vector",
         "Invalid request: both `media` and `vector` parameters are present."},
	{"{}", "{\"q\":\"medal\"," HYBRID "}", "invalid_search_embedder",
         "Cannot find embedder with name `nope`."},
	{"{}", "{\"vector\":[1]," HYBRID "}", "invalid_search_embedder", NULL},
	{"{}", "{\"media\":1," HYBRID "}", "invalid_search_embedder", NULL},
	{"{}", "{" HYBRID "}", NULL, NULL},
	{"{}", "{\"q\":\" \\u3000\\n\"," HYBRID "}", NULL, NULL},
	{"{}", "{\"q\":\"x\"," BY_WORDS "}", NULL, NULL},
	{"{}", "{\"q\":\"x\",\"vector\":[1]," BY_WORDS "}", NULL, NULL},
	{"{}", "{\"media\":1," BY_WORDS "}", "feature_not_enabled",
         "passing `media` in a search query requires enabling the `multimodal` experimental feature. See "
         "https://github.com/orgs/meilisearch/discussions/846"},
	{SOME, "{\"q\":\"x\"," HYBRID ",\"attributesToSearchOn\":[\"titl\"]}", "invalid_search_embedder",
         NULL},
	/* attributes to search on */
	{SOME, "{\"attributesToSearchOn\":[\"titl\"]}", "invalid_search_attributes_to_search_on",
         "Index `idx`: Attribute `titl` is not searchable. Available searchable attributes are: `meta, "
         "title, "
         "<..hidden-attributes>`."},
	{"{\"searchableAttributes\":[\"t\"],\"displayedAttributes\":[\"x\"]}",
         "{\"attributesToSearchOn\":[\"\"]}", "invalid_search_attributes_to_search_on",
         "Index `idx`: Attribute `` is not searchable. Available searchable attributes are: "
         "`<..hidden-attributes>`."},
	/* sort */
	{SOME,
         "{\"sort\":[\"n:asc\",\"n:asc\",\"n:asc\",\"n:asc\",\"n:asc\",\"n:asc\",\"n:asc\",\"n:asc\",\"n:"
         "asc\"]}",
         "invalid_search_sort",
         "Invalid value of the sort parameter: Millrace allows 8 criteria, but found 9."},
	{"{}", "{\"sort\":[\"price\"]}", "invalid_search_sort",
         "Invalid syntax for the sort parameter: expected expression ending by `:asc` or `:desc`, found "
         "`price`."},
	{"{}", "{\"sort\":[\"price:asc\"]}", "invalid_search_sort",
         "Index `idx`: Attribute `price` is not sortable. This index does not have configured sortable "
         "attributes."},
	{SOME, "{\"sort\":[\"price:asc\",\"x:desc\"]}", "invalid_search_sort",
         "Index `idx`: Attribute `x` is not sortable. Available sortable attributes are: `_geo, n, price`."},
	{SOME, "{\"sort\":[\":asc\"]}", "invalid_search_sort",
         "Index `idx`: Attribute `` is not sortable. Available sortable attributes are: `_geo, n, price`."},
	{SOME, "{\"sort\":[\"_geo(1,2):asc\"]}", "invalid_search_sort",
         "`_geo` is a reserved keyword and thus can't be used as a sort expression. Use the "
         "_geoPoint(latitude, "
         "longitude) built-in rule to sort on _geo field coordinates."},
	{SOME, "{\"sort\":[\"_geoDistance:asc\"]}", "invalid_search_sort",
         "`_geoDistance` is a reserved keyword and thus can't be used as a sort expression."},
	{SOME, "{\"sort\":[\"_geoPoint(1):asc\"]}", "invalid_search_sort",
         "Invalid syntax for the geo parameter: expected expression formated like `_geoPoint(latitude, "
         "longitude)` "
         "and ending by `:asc` or `:desc`, found `_geoPoint(1)`."},
	{SOME, "{\"sort\":[\"_geoPoint(1,2,3):asc\"]}", "invalid_search_sort", NULL},
	{SOME, "{\"sort\":[\"_geoPoint(,):asc\"]}", "invalid_search_sort", NULL},
	{SOME, "{\"sort\":[\"_geoPoint():asc\"]}", "invalid_search_sort", NULL},
	{SOME, "{\"sort\":[\"_geoPoint(nan,1):asc\"]}", "invalid_search_sort", NULL},
	{SOME, "{\"sort\":[\"_geoPoint(0x1,1):asc\"]}", "invalid_search_sort", NULL},
	{SOME, "{\"sort\":[\"_geoPoint(90.5,1):asc\"]}", "invalid_search_sort",
         "Bad latitude `90.5`. Latitude must be contained between -90 and 90 degrees."},
	{SOME, "{\"sort\":[\"_geoPoint(1, 190):asc\"]}", "invalid_search_sort",
         "Bad longitude `190`. Longitude must be contained between -180 and 180 degrees. Hint: try using "
         "`-170` "
         "instead."},
	{"{\"sortableAttributes\":[\"x\"]}", "{\"sort\":[\"_geoPoint(1,1):asc\"]}", "invalid_search_sort",
         "Index `idx`: Attribute `_geo` is not sortable. Available sortable attributes are: `x`."},
	{SOME, "{\"sort\":[\"_geoPoint:asc\"]}", "invalid_search_sort",
         "Index `idx`: Attribute `_geoPoint` is not sortable. Available sortable attributes are: `_geo, n, "
         "price`."},
	/* distinct */
	{"{}", "{\"distinct\":\"x\"}", "invalid_search_distinct",
         "Index `idx`: Attribute `x` is not filterable and thus, cannot be used as distinct "
         "attribute. " NOTHING_FILTERABLE},
	{SOME, "{\"distinct\":\"\"}", "invalid_search_distinct",
         "Index `idx`: Attribute `` is not filterable and thus, cannot be used as distinct attribute. "
         "Available "
         "filterable attributes patterns are: `a.b, color, eq, none, p*`."},
	/* filter */
	{"{}", "{\"filter\":\"x = 1\"}", "invalid_search_filter",
         "Index `idx`: Attribute `x` is not filterable. " NOTHING_FILTERABLE},
	{SOME, "{\"filter\":\"color = 1 OR (NOT x = 1)\"}", "invalid_search_filter",
         "Index `idx`: Attribute `x` is not filterable. Available filterable attribute patterns are: `a.b`, "
         "`color`, "
         "`eq`, `none`, `p*`."},
	{SOME, "{\"filter\":\"none EXISTS\"}", "invalid_search_filter", NULL},
	{SOME, "{\"filter\":\"eq > 1\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `>` is not allowed for the attribute `eq`."},
	{SOME, "{\"filter\":\"eq 1 TO 2\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `TO` is not allowed for the attribute `eq`."},
	{SOME, "{\"filter\":\"eq STARTS WITH a\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `STARTS WITH` is not allowed for the attribute `eq`."},
	{SOME, "{\"filter\":\"px != 1\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `!=` is not allowed for the attribute `px`."},
	{SOME, "{\"filter\":\"px NOT IN [1]\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `IN` is not allowed for the attribute `px`."},
	{SOME, "{\"filter\":\"px IS NULL\"}", "invalid_search_filter",
         "Index `idx`: Filter operator `NULL` is not allowed for the attribute `px`."},
	{SOME, "{\"filter\":\"color = \"}", "invalid_search_filter",
         "Was expecting a value but instead got nothing.\n9:9 color = "},
	{SOME, "{\"filter\":{}}", "invalid_search_filter",
         "Invalid syntax for the filter parameter: `expected String, Array, found: {}`."},
	{SOME, "{\"filter\":\"color CONTAINS a\"}", "feature_not_enabled", NULL},
	{"{}", "{\"filter\":\"_vectors EXISTS\"}", "feature_not_enabled",
         "using a vector filter requires enabling the `multimodal` experimental feature. See "
         "https://github.com/orgs/meilisearch/discussions/846\n1:9 _vectors EXISTS"},
	{"{}", "{\"filter\":\"_vectorsx EXISTS\"}", "invalid_search_filter", NULL},
	{"{\"filterableAttributes\":[\"_geo\"]}",
         "{\"filter\":\"_geoRadius(1, 2, 3) OR _geoBoundingBox([2, 1], [1, 2])\"}", NULL, NULL},
	{"{\"filterableAttributes\":[\"_geo\"]}", "{\"filter\":\"_geoRadius(91, 2, 3)\"}",
         "invalid_search_filter",
         "Index `idx`: Bad latitude `91`. Latitude must be contained between -90 and 90 degrees."},
	{"{\"filterableAttributes\":[\"_geo\"]}", "{\"filter\":\"_geoPolygon([1, 2], [3, 4], [5, 6])\"}",
         "invalid_search_filter",
         "Index `idx`: Attribute `_geojson` is not filterable. Available filterable attribute patterns are: "
         "`_geo`."},
	{"{}", "{\"filter\":\"_geoRadius(1, 2, 3)\"}", "invalid_search_filter",
         "Index `idx`: Attribute `_geo/_geojson` is not filterable. " NOTHING_FILTERABLE},
	/* facets */
	{"{}", "{\"facets\":[\"x\"]}", "invalid_search_facets",
         "Invalid facet distribution: Pattern `x` is not filterable. " NOTHING_FILTERABLE},
	{"{}", "{\"facets\":[\"*\"]}", NULL, NULL},
	{SOME, "{\"facets\":[\"color\",\"x*\"]}", "invalid_search_facets",
         "Invalid facet distribution: Pattern `x*` is not filterable. Available filterable attributes "
         "patterns are: "
         "`a.b, color, eq, none, p*`."},
	/* the order of the checks */
	{SOME,
         "{\"facets\":[\"x\"],\"filter\":\"x = "
         "1\",\"distinct\":\"x\",\"sort\":[\"x\"],\"attributesToSearchOn\":[\"x\"]}",
         "invalid_search_attributes_to_search_on", NULL},
	{SOME, "{\"facets\":[\"x\"],\"filter\":\"x = 1\",\"distinct\":\"x\",\"sort\":[\"x\"]}",
         "invalid_search_sort", NULL},
	{SOME, "{\"facets\":[\"x\"],\"filter\":\"x = 1\",\"distinct\":\"x\"}", "invalid_search_distinct",
         NULL},
	{SOME, "{\"facets\":[\"x\"],\"filter\":\"x = 1\"}", "invalid_search_filter", NULL},
};

static struct settings *settings_of(const char *change, struct arena *arena)
{
	struct settings_request request = {.body = slice_string(change)};
	struct settings_refusal refusal;
	struct settings *settings = NULL;
	struct buffer record;
	struct slice kept;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &record, &refusal), 0);
	CU_ASSERT_TRUE_FATAL(arena_copy(arena, buffer_slice(&record), &kept));
	CU_ASSERT_EQUAL_FATAL(settings_parse(kept, arena, &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct search_request request;
		struct error_answer refusal = {0};
		struct arena arena;
		struct search_check check = {
			.uid = slice_string("idx"), .arena = &arena, .refusal = &refusal};
		int result;

		arena_init(&arena, 4096);
		check.settings = settings_of(rows[i].settings, &arena);
		CU_ASSERT_EQUAL_FATAL(
			search_request_from_body(slice_string(rows[i].request), &arena, &request, &refusal),
			0);
		result = search_check(&check, &request);
		CU_ASSERT_EQUAL(result < 0, rows[i].code != NULL);
		if (rows[i].code != NULL)
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
		if (rows[i].message != NULL)
			CU_ASSERT_STRING_EQUAL(refusal.message, rows[i].message);
		if (result < 0 && rows[i].message != NULL && strcmp(refusal.message, rows[i].message) != 0)
			printf("\n%zu: %s\n", i, refusal.message);
		arena_deinit(&arena);
	}
}

/* A list without end is cut, the refusal stays one. */
static void test_many_attributes(void)
{
	struct buffer change;
	struct search_request request;
	struct error_answer refusal = {0};
	struct arena arena;
	struct search_check check = {.uid = slice_string("idx"), .arena = &arena, .refusal = &refusal};

	arena_init(&arena, 4096);
	buffer_init(&change, 1 << 20);
	buffer_append_string(&change, "{\"sortableAttributes\":[\"x\"");
	for (int i = 0; i < 900; i++)
		buffer_printf(&change, ",\"an attribute with a long name %d\"", i);
	buffer_append_string(&change, "]}");
	buffer_put_u8(&change, 0);
	check.settings = settings_of((const char *)change.ptr, &arena);
	CU_ASSERT_EQUAL_FATAL(
		search_request_from_body(slice_string("{\"sort\":[\"y:asc\"]}"), &arena, &request, &refusal),
		0);
	CU_ASSERT_EQUAL(search_check(&check, &request), ERROR_FORMAT);
	CU_ASSERT_STRING_EQUAL(refusal.code, "invalid_search_sort");
	CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "Available sortable attributes are: `an attribute"));
	buffer_deinit(&change);
	arena_deinit(&arena);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"rows", test_rows},
		{"many attributes", test_many_attributes},
		CU_TEST_INFO_NULL,
	};

	return suite_run("search_check", tests);
}
