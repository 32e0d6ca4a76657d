/*
 * Bodies of POST /multi-search: every input is accepted, or refused with an
 * error object that is itself JSON. What nodes are asked for a query is JSON
 * whose members stand there once, with scores only for a federated list; and a
 * query that stands by itself asks what a search of the same parameters asks.
 */
#include "query/core/answer.h"
#include "query/core/multi_search_request.h"

#include "tests/fuzz/seeds.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_refusal(const struct error_answer *refusal)
{
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	buffer_init(&body, SIZE_MAX);
	error_answer_append(&body, slice_string(refusal->code), slice_string(refusal->message));
	ASSERT(error_answer_status(refusal->code) >= 400);
	ASSERT(json_parse(buffer_slice(&body), 8, &doc, &error) == 0);
	yyjson_doc_free(doc);
	buffer_deinit(&body);
}

static void check_members(yyjson_val *object)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t len;

	yyjson_obj_foreach(object, at, len, key, value)
		ASSERT(yyjson_obj_getn(object, yyjson_get_str(key), yyjson_get_len(key)) == value);
}

static void check_question(const struct multi_search_request *request, size_t at)
{
	int32_t partition = 0;
	struct node_question question = {.partitions = &partition, .partitions_len = 1};
	struct search_asking asking = {.index_id = 1};
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	buffer_init(&body, SIZE_MAX);
	ask_search(&body, &question, &request->queries[at].search, &asking);
	ASSERT(json_parse(buffer_slice(&body), JSON_DEPTH_MAX + 1, &doc, &error) == 0);
	check_members(yyjson_doc_get_root(doc));
	ASSERT(yyjson_is_true(yyjson_obj_get(yyjson_doc_get_root(doc), "scores")) == request->is_federated);
	yyjson_doc_free(doc);
	buffer_deinit(&body);
}

/* A query as the body of a search. */
static void body_make(yyjson_val *query, struct buffer *body)
{
	const char *before = "{";
	struct error error;
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t len;

	yyjson_obj_foreach(query, at, len, key, value)
	{
		if (yyjson_equals_str(key, "indexUid") || yyjson_equals_str(key, "federationOptions"))
			continue;
		buffer_append_string(body, before);
		before = ",";
		json_append_string(body, json_string(key));
		buffer_put_u8(body, ':');
		ASSERT(json_append_value(body, value, &error) == 0);
	}
	buffer_append_string(body, before[0] == '{' ? "{}" : "}");
}

/* The same parameters, sent as a search of its own. */
static void check_alone(const struct search_request *search, yyjson_val *query, struct arena *arena)
{
	struct search_request alone;
	struct error_answer refusal;
	struct buffer body;

	buffer_init(&body, SIZE_MAX);
	body_make(query, &body);
	ASSERT(search_request_from_body(buffer_slice(&body), arena, &alone, &refusal) == 0);
	ASSERT(slice_equal(alone.asked, search->asked) && slice_equal(alone.q, search->q));
	ASSERT(alone.offset == search->offset && alone.limit == search->limit);
	ASSERT(alone.by_page == search->by_page && alone.page == search->page &&
	       alone.hits_per_page == search->hits_per_page);
	ASSERT(alone.kind == search->kind && alone.sort.len == search->sort.len &&
	       alone.facets.len == search->facets.len && slice_equal(alone.distinct, search->distinct));
	buffer_deinit(&body);
}

/* Paging and facets are the list's, and each query is asked for no more than it may need. */
static void check_federated(const struct multi_search_request *request,
                            const struct multi_search_query *query)
{
	const struct search_request *search = &query->search;

	ASSERT(search->offset == 0 && search->page == 1);
	ASSERT(search->limit <= FEDERATION_HITS_MAX);
	ASSERT(search->limit == request->queries[0].search.limit);
	ASSERT(search->by_page == request->federation.paging.by_page);
	for (size_t i = 0; i < request->federation.facets_len; i++)
		if (slice_equal(request->federation.facets[i].uid, query->uid) &&
		    request->federation.facets[i].patterns.len > 0)
			ASSERT(search->facets.len > 0);
	if (request->federation.facets_len == 0)
		ASSERT(search->facets.len == 0);
	if (request->federation.distinct.ptr != NULL)
		ASSERT(search->distinct.ptr != NULL);
}

static void check_settings(const struct multi_search_request *request, size_t at, struct arena *arena)
{
	const struct multi_search_query *query = &request->queries[at];
	struct error_answer refusal;
	struct search_check check = {
		.settings = settings_default(), .uid = query->uid, .arena = arena, .refusal = &refusal};
	struct federation_asks asks = federation_asks_of(request, at);
	int rc = request->is_federated ? federation_check(&check, &asks, &query->search)
	                               : search_check(&check, &query->search);

	if (rc < 0)
		check_refusal(&refusal);
}

static void check_query(const struct multi_search_request *request, size_t at, yyjson_val *sent,
                        struct arena *arena)
{
	const struct multi_search_query *query = &request->queries[at];
	char place[MULTI_SEARCH_PLACE_BYTES];
	struct error_answer refusal;

	ASSERT(isfinite(query->weight) && query->weight >= 0);
	check_question(request, at);
	check_settings(request, at, arena);
	if (request->is_federated)
		check_federated(request, query);
	else
		check_alone(&query->search, sent, arena);
	if (multi_search_uid_check(request, at, &refusal) < 0)
		check_refusal(&refusal);
	else
		ASSERT(index_uid_check(query->uid, &refusal) == 0);
	if (multi_search_query_check(request, at, &refusal) < 0) {
		multi_search_place(at, place);
		error_answer_inside(&refusal, place);
		check_refusal(&refusal);
	}
}

static void check_request(const struct multi_search_request *request, struct slice body, struct arena *arena)
{
	struct error_answer refusal;
	struct error error;
	yyjson_doc *doc;
	yyjson_val *queries;

	ASSERT(request->len <= MULTI_SEARCH_QUERIES_MAX);
	ASSERT(json_parse(body, JSON_DEPTH_MAX, &doc, &error) == 0);
	queries = yyjson_obj_get(yyjson_doc_get_root(doc), "queries");
	ASSERT(yyjson_arr_size(queries) == request->len);
	for (size_t i = 0; i < request->len; i++)
		check_query(request, i, yyjson_arr_get(queries, i), arena);
	yyjson_doc_free(doc);
	if (federation_request_check(request, &refusal) < 0)
		check_refusal(&refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct multi_search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 4096);
	if (multi_search_request_from_body(slice_of(bytes, len), &arena, &request, &refusal) < 0)
		check_refusal(&refusal);
	else
		check_request(&request, slice_of(bytes, len), &arena);
	arena_deinit(&arena);
	return 0;
}

static const char *const seeds[] = {
	"{\"queries\":[]}",
	"{\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\",\"q\":\"x "
	"y\",\"facets\":[\"n\"],\"limit\":3}]}",
	"{\"queries\":[{\"indexUid\":\"a\",\"page\":2,\"hitsPerPage\":4,\"filter\":[\"n=1\",[\"a=b\",\"c>2\"]"
	"]}]}",
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\",\"q\":\"x\",\"federationOptions\":{\"weight\":0."
	"5}}]}",
	"{\"federation\":{\"limit\":3,\"offset\":1,\"distinct\":\"n\"},"
	"\"queries\":[{\"indexUid\":\"a\",\"sort\":[\"n:asc\"]},{\"indexUid\":\"a\",\"q\":\"y\"}]}",
	"{\"federation\":{\"page\":2,\"hitsPerPage\":5,\"facetsByIndex\":{\"a\":[\"n\",\"m\"],\"b\":null},"
	"\"mergeFacets\":{\"maxValuesPerFacet\":3}},"
	"\"queries\":[{\"indexUid\":\"a\",\"federationOptions\":{\"weight\":2,\"queryPosition\":1}},"
	"{\"indexUid\":\"b\",\"showRankingScore\":true}]}",
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a "
	"b\",\"limit\":1},{\"indexUid\":\"a\",\"facets\":[\"n\"]}]}",
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\",\"offset\":2,\"page\":3,\"facets\":[]}]}",
	"{\"queries\":[{\"indexUid\":\"a\",\"federationOptions\":{\"remote\":\"r\"}}]}",
};

static void seeds_make(void)
{
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		seed_write(slice_string(seeds[i]));
}
