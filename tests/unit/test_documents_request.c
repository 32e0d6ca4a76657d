/*
 * Documents by ids, filter, sort and fields: what a client may ask, by a body or a URL, what the settings allow, and
 * which fields are shown.
 */
#include "query/core/answer.h"

#include "tests/unit/settings_bed.h"
#include "tests/unit/suite.h"

#define ID_RULE \
	" is invalid. A document identifier can be of type integer or string, only composed of " \
	"alphanumeric characters (a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than " \
	"511 bytes."
#define NAMES \
	"expected one of `offset`, `limit`, `fields`, `retrieveVectors`, `ids`, `filter`, `sort`, " \
	"`useNetwork`"

struct row {
	const char *body; /* NULL: a URL */
	struct argument arguments[4];
	const char *code;    /* NULL: allowed */
	const char *message; /* or what nodes are asked; NULL: a listing */
};

static const struct row rows[] = {
	{"{}", {{0}}, NULL, NULL},
	{"{\"filter\":null,\"sort\":[],\"ids\":null,\"fields\":[\"a\"],\"useNetwork\":false}",
         {{0}},
         NULL,
         NULL},
	{"{\"filter\":\"\",\"retrieveVectors\":true}", {{0}}, NULL, NULL},
	{"{\"filter\":\"price > 2\",\"fields\":[\"id\",\"a.b\",\"*\"],\"sort\":[\"price:desc\"]}",
         {{0}},
         NULL,
         ",\"filter\":\"price > "
         "2\",\"sort\":[\"price:desc\"],\"documents\":true,\"fields\":[\"id\",\"a.b\"]"},
	{"{\"ids\":[1,\"3\",-7,\"a_b-C\"]}",
         {{0}},
         NULL,
         ",\"documents\":true,\"ids\":[\"1\",\"3\",\"-7\",\"a_b-C\"]"},
	{"{\"ids\":[]}", {{0}}, NULL, ",\"documents\":true,\"ids\":[]"},
	{NULL, {{NULL, NULL}}, NULL, NULL},
	{NULL,
         {{"ids", "2,a"}, {"fields", "id,x"}, {NULL, NULL}},
         NULL,
         ",\"documents\":true,\"fields\":[\"id\",\"x\"],\"ids\":[\"2\",\"a\"]"},
	{NULL, {{"ids", ""}, {"fields", "id,*"}, {NULL, NULL}}, NULL, ",\"documents\":true,\"ids\":[]"},
	{NULL,
         {{"sort", "price:asc,secret:desc"}, {"filter", "[\"price = 1\"]"}, {NULL, NULL}},
         NULL,
         ",\"filter\":[\"price = 1\"],\"sort\":[\"price:asc\",\"secret:desc\"],\"documents\":true"},
	{"{\"limit\":-1}",
         {{0}},
         "invalid_document_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found a negative integer: `-1`"},
	{"{\"limit\":null}",
         {{0}},
         "invalid_document_limit",
         "Invalid value type at `.limit`: expected a positive integer, but found null"},
	{"{\"fields\":\"id\"}",
         {{0}},
         "invalid_document_fields",
         "Invalid value type at `.fields`: expected an array, but found a string: `\"id\"`"},
	{"{\"ids\":5}",
         {{0}},
         "invalid_document_ids",
         "Invalid value type at `.ids`: expected an array, but found a positive integer: `5`"},
	{"{\"ids\":[1,\"a b\"]}",
         {{0}},
         "invalid_document_ids",
         "In `.ids[1]`: Document identifier `\"a b\"`" ID_RULE},
	{"{\"ids\":[1.5]}", {{0}}, "invalid_document_ids", "In `.ids[0]`: Document identifier `1.5`" ID_RULE},
	{"{\"ids\":[1e3]}",
         {{0}},
         "invalid_document_ids",
         "In `.ids[0]`: Document identifier `1000.0`" ID_RULE},
	{"{\"ids\":[null]}",
         {{0}},
         "invalid_document_ids",
         "In `.ids[0]`: Document identifier `null`" ID_RULE},
	{"{\"ids\":[\"\"]}",
         {{0}},
         "invalid_document_ids",
         "In `.ids[0]`: Document identifier `\"\"`" ID_RULE},
	{NULL,
         {{"ids", "a b"}, {NULL, NULL}},
         "invalid_document_ids",
         "In `.ids[0]`: Document identifier `\"a b\"`" ID_RULE},
	{"{\"nope\":1}", {{0}}, "bad_request", "Unknown field `nope`: " NAMES},
	{NULL, {{"nope", "1"}, {NULL, NULL}}, "bad_request", "Unknown parameter `nope`: " NAMES},
	{"{\"retrieveVectors\":\"x\"}",
         {{0}},
         "invalid_document_retrieve_vectors",
         "Invalid value type at `.retrieveVectors`: expected a boolean, but found a string: `\"x\"`"},
	{NULL,
         {{"retrieveVectors", "True"}, {NULL, NULL}},
         "invalid_document_retrieve_vectors",
         "Invalid value in parameter `retrieveVectors`: could not parse `True` as a boolean, expected either "
         "`true` or `false`"},
	{"{\"useNetwork\":true}", {{0}}, "bad_request", NULL},
	/* the settings; the index is not named, and the filter comes first */
	{"{\"sort\":[\"title:asc\"]}",
         {{0}},
         "invalid_document_sort",
         "Attribute `title` is not sortable. Available sortable attributes are: `price, secret`."},
	{"{\"filter\":5}",
         {{0}},
         "invalid_document_filter",
         "Invalid syntax for the filter parameter: `expected String, Array, found: 5`."},
	{"{\"filter\":\"title = 1\",\"sort\":[\"x\"]}", {{0}}, "invalid_document_filter", NULL},
};

static int read_row(const struct row *row, struct arena *arena, struct documents_request *request,
                    struct error_answer *refusal)
{
	static const char settings[] = "{\"filterableAttributes\":[\"price\",\"secret\"],"
				       "\"sortableAttributes\":[\"price\",\"secret\"]}";
	struct search_check check = {
		.settings = settings_bed(settings, arena), .arena = arena, .refusal = refusal};
	int result = row->body != NULL
	                     ? documents_request_from_body(slice_string(row->body), arena, request, refusal)
	                     : documents_request_from_url(row->arguments, arena, request, refusal);

	if (result < 0 || !request->is_search)
		return result;
	return documents_check(&check, &request->search);
}

static void test_requests(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error_answer refusal = {.code = "", .message = ""};
		struct documents_request request;
		struct arena arena;
		int result;

		arena_init(&arena, 4096);
		result = read_row(&rows[i], &arena, &request, &refusal);
		CU_ASSERT_EQUAL(result == 0, rows[i].code == NULL);
		if (result == 0) {
			CU_ASSERT_EQUAL(request.is_search, rows[i].message != NULL);
			if (rows[i].message != NULL)
				CU_ASSERT_TRUE(
					slice_equal(request.search.asked, slice_string(rows[i].message)));
		} else if (rows[i].code != NULL) {
			CU_ASSERT_STRING_EQUAL(refusal.code, rows[i].code);
			if (rows[i].message != NULL)
				CU_ASSERT_STRING_EQUAL(refusal.message, rows[i].message);
		}
		arena_deinit(&arena);
	}
}

/* A search of documents has the listing's page; what else is said stays with the listing. */
static void test_page(void)
{
	struct documents_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL(documents_request_from_body(slice_string("{\"offset\":3,\"limit\":7,\"ids\":[1],"
	                                                         "\"retrieveVectors\":true}"),
	                                            &arena, &request, &refusal),
	                0);
	CU_ASSERT_EQUAL(request.search.offset, 3);
	CU_ASSERT_EQUAL(request.search.limit, 7);
	CU_ASSERT_EQUAL(request.listing.offset, 3);
	CU_ASSERT_EQUAL(request.listing.limit, 7);
	CU_ASSERT_TRUE(request.listing.vectors);
	CU_ASSERT_EQUAL(documents_request_from_body(slice_string("{}"), &arena, &request, &refusal), 0);
	CU_ASSERT_EQUAL(request.listing.offset, 0);
	CU_ASSERT_EQUAL(request.listing.limit, 20);
	CU_ASSERT_FALSE(request.listing.has_fields);
	arena_deinit(&arena);
}

static void test_fields(void)
{
	static const char document[] =
		"{\"id\": 5, \"a\":{\"b\":1.0,\"c\":[1]},\"l\":[{\"b\":1,\"c\":2},3,{\"c\":4}],\"a.b\":7,"
		"\"\\u0078\":8}";
	static const struct {
		const char *url;  /* fields; NULL: none are asked for */
		const char *body; /* the same, or another spelling */
		const char *expected;
	} fields[] = {
		{NULL, "{}", document},
		{"*", "{}", document},
		{"id,*", "{}", document},
		{NULL, "{\"fields\":null}", document},
		{"id", "{\"fields\":[\"id\"]}", "{\"id\":5}"},
		{"id,nothing", "{\"fields\":[\"id\",\"*\"]}", "{\"id\":5}"},
		{"", "{\"fields\":[]}", "{}"},
		{"", "{\"fields\":[\"*\"]}", "{}"},
		{"a", "{\"fields\":[\"a\"]}", "{\"a\":{\"b\":1.0,\"c\":[1]}}"},
		{"a.b", "{\"fields\":[\"a.b\"]}", "{\"a\":{\"b\":1.0},\"a.b\":7}"},
		{"l.c,id", "{\"fields\":[\"l.c\",\"id\"]}", "{\"id\":5,\"l\":[{\"c\":2},{\"c\":4}]}"},
		{"x", "{\"fields\":[\"x\"]}", "{\"\\u0078\":8}"},
		{"id.x", "{\"fields\":[\"id,a\"]}", "{}"},
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct argument arguments[] = {{fields[i].url != NULL ? "fields" : NULL, fields[i].url},
		                               {NULL, NULL}};
		struct listing_request one;
		struct documents_request many;
		struct error_answer refusal;
		struct buffer body;
		struct arena arena;

		arena_init(&arena, 4096);
		buffer_init(&body, 4096);
		CU_ASSERT_EQUAL(documents_request_of_one(arguments, &arena, &one, &refusal), 0);
		answer_document(&body, &one, slice_string(document));
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string(fields[i].expected)));
		buffer_clear(&body);
		CU_ASSERT_EQUAL(
			documents_request_from_body(slice_string(fields[i].body), &arena, &many, &refusal),
			0);
		answer_document(&body, &many.listing, slice_string(document));
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string(fields[i].expected)));
		buffer_deinit(&body);
		arena_deinit(&arena);
	}
}

static void test_vectors(void)
{
	static const struct {
		const char *document;
		const char *expected;
	} vectors[] = {
		{"{\"id\":1}", "{\"id\":1,\"_vectors\":{}}"},
		{"{}", "{\"_vectors\":{}}"},
		{"{ \n}", "{ \n\"_vectors\":{}}"},
		{"{\"a\":{} }", "{\"a\":{} ,\"_vectors\":{}}"},
		{"{\"_vectors\":{\"m\":1}}", "{\"_vectors\":{\"m\":1}}"},
	};

	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		struct listing_request request = {.vectors = true};
		struct buffer body;

		buffer_init(&body, 4096);
		answer_document(&body, &request, slice_string(vectors[i].document));
		CU_ASSERT_TRUE(slice_equal(buffer_slice(&body), slice_string(vectors[i].expected)));
		buffer_deinit(&body);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"requests are read and checked", test_requests},
		{"a page", test_page},
		{"fields", test_fields},
		{"vectors", test_vectors},
		CU_TEST_INFO_NULL,
	};

	return suite_run("documents_request", tests);
}
