#include "query/core/multi_search_request.h"

#include "query/core/merge.h"
#include "query/core/route_request.h"

#include <stdio.h>

#define BODY PARAMETER_PLACE_BODY
#define NOT_NULL PARAMETER_NOT_NULL
#define UNAVAILABLE PARAMETER_UNAVAILABLE
#define PLACE_BYTES_MAX 64

static const char facets_code[] = "invalid_multi_search_facets_by_index";
static const char merge_code[] = "invalid_multi_search_merge_facets";

enum {
	ROW_QUERIES,
	ROW_FEDERATION,
	ROWS
};

static const struct parameter rows[ROWS] = {
	[ROW_QUERIES] = {"queries", PARAMETER_KIND_ARRAY, BODY, "bad_request", NULL, NOT_NULL},
	[ROW_FEDERATION] = {"federation", PARAMETER_KIND_OBJECT, BODY, "bad_request", NULL, 0},
};

enum {
	FEDERATION_LIMIT,
	FEDERATION_OFFSET,
	FEDERATION_PAGE,
	FEDERATION_HITS_PER_PAGE,
	FEDERATION_FACETS,
	FEDERATION_MERGE,
	FEDERATION_DISTINCT,
	FEDERATION_PERFORMANCE,
	FEDERATION_PERSONALIZE,
	FEDERATION_ROWS
};

static const struct parameter federation_rows[FEDERATION_ROWS] = {
	[FEDERATION_LIMIT] = {"limit", PARAMETER_KIND_COUNT, BODY, "invalid_search_limit", NULL, NOT_NULL},
	[FEDERATION_OFFSET] = {"offset", PARAMETER_KIND_COUNT, BODY, "invalid_search_offset", NULL, NOT_NULL},
	[FEDERATION_PAGE] = {"page", PARAMETER_KIND_COUNT, BODY, "invalid_search_page", NULL, 0},
	[FEDERATION_HITS_PER_PAGE] = {"hitsPerPage", PARAMETER_KIND_COUNT, BODY,
                                      "invalid_search_hits_per_page", NULL, 0},
	[FEDERATION_FACETS] = {"facetsByIndex", PARAMETER_KIND_OBJECT, BODY, facets_code, NULL, NOT_NULL},
	[FEDERATION_MERGE] = {"mergeFacets", PARAMETER_KIND_ANY, BODY, merge_code, NULL, 0},
	[FEDERATION_DISTINCT] = {"distinct", PARAMETER_KIND_STRING, BODY, "invalid_multi_search_distinct",
                                 NULL, 0},
	[FEDERATION_PERFORMANCE] = {"showPerformanceDetails", PARAMETER_KIND_BOOLEAN, BODY,
                                    "invalid_search_show_performance_details", "false",
                                    UNAVAILABLE | NOT_NULL},
	[FEDERATION_PERSONALIZE] = {"personalize", PARAMETER_KIND_ANY, BODY, "invalid_search_personalize",
                                    NULL, UNAVAILABLE},
};

enum {
	OPTION_WEIGHT,
	OPTION_REMOTE,
	OPTION_POSITION,
	OPTION_ROWS
};

static const struct parameter option_rows[OPTION_ROWS] = {
	[OPTION_WEIGHT] = {"weight", PARAMETER_KIND_WEIGHT, BODY, "invalid_multi_search_weight", NULL,
                           NOT_NULL},
	[OPTION_REMOTE] = {"remote", PARAMETER_KIND_STRING, BODY, "invalid_multi_search_remote", NULL,
                           UNAVAILABLE},
	[OPTION_POSITION] = {"queryPosition", PARAMETER_KIND_COUNT, BODY,
                             "invalid_multi_search_query_position", NULL, 0},
};

static const struct parameter merge_row = {.name = "maxValuesPerFacet",
                                           .kind = PARAMETER_KIND_COUNT,
                                           .place = BODY,
                                           .code = "invalid_multi_search_max_values_per_facet"};

static const struct parameter_table table = {rows, ROWS};
static const struct parameter_table federation_table = {federation_rows, FEDERATION_ROWS};
static const struct parameter_table option_table = {option_rows, OPTION_ROWS};
static const struct parameter_table merge_table = {&merge_row, 1};

static int refuse_memory(struct error_answer *refusal)
{
	return error_answer_set(refusal, "internal", "out of memory for a multi-search");
}

/* ---- federation ---- */

/* What the reading of one request shares. */
struct multi_reading {
	yyjson_val *root;
	struct arena *arena;
	struct multi_search_request *request;
	struct error_answer *refusal;
};

static int read_facets(struct multi_reading *reading, yyjson_val *given)
{
	struct federation_request *federation = &reading->request->federation;
	size_t at;
	size_t len = yyjson_obj_size(given);
	yyjson_val *key;
	yyjson_val *value;

	federation->facets = arena_alloc(reading->arena, (len + 1) * sizeof federation->facets[0]);
	if (federation->facets == NULL)
		return refuse_memory(reading->refusal);
	yyjson_obj_foreach(given, at, len, key, value)
	{
		struct federation_facets *facets = &federation->facets[federation->facets_len];
		struct parameter_object object = {.value = value, .place = ".federation.facetsByIndex"};
		struct parameter row = {.kind = PARAMETER_KIND_STRINGS, .place = BODY, .code = facets_code};
		struct parameter_value patterns;
		struct slice name;

		if (yyjson_is_null(value))
			continue;
		/* with its NUL */
		if (!arena_copy(reading->arena, slice_of(yyjson_get_str(key), yyjson_get_len(key) + 1),
		                &name))
			return refuse_memory(reading->refusal);
		row.name = (const char *)name.ptr;
		if (parameters_from_value(&row, &object, reading->arena, &patterns, reading->refusal) < 0)
			return ERROR_FORMAT;
		facets->uid = slice_of(name.ptr, name.len - 1);
		facets->patterns = (struct search_names){patterns.list, patterns.list_len};
		federation->facets_len++;
	}
	return 0;
}

static int read_merge(struct multi_reading *reading, yyjson_val *given)
{
	struct federation_request *federation = &reading->request->federation;
	struct parameter_object object = {.value = given, .place = ".federation.mergeFacets"};
	struct parameter_value values_max;

	if (parameters_from_object(&merge_table, &object, reading->arena, &values_max, reading->refusal) <
	    0) {
		if (strcmp(reading->refusal->code, "bad_request") == 0)
			reading->refusal->code = merge_code;
		return ERROR_FORMAT;
	}
	federation->merges_facets = true;
	federation->values_max = values_max.given ? values_max.count : UINT64_MAX;
	return 0;
}

static uint64_t count_of(const struct parameter_value *value, uint64_t otherwise)
{
	return value->given ? value->count : otherwise;
}

static int read_federation(struct multi_reading *reading)
{
	struct federation_request *federation = &reading->request->federation;
	struct parameter_object object = {.value = yyjson_obj_get(reading->root, "federation"),
	                                  .place = ".federation"};
	struct parameter_value values[FEDERATION_ROWS];

	if (parameters_from_object(&federation_table, &object, reading->arena, values, reading->refusal) < 0)
		return ERROR_FORMAT;
	reading->request->is_federated = true;
	*federation = (struct federation_request){
		.paging.by_page = values[FEDERATION_PAGE].given || values[FEDERATION_HITS_PER_PAGE].given,
		.paging.offset = count_of(&values[FEDERATION_OFFSET], 0),
		.paging.limit = count_of(&values[FEDERATION_LIMIT], SEARCH_LIMIT_DEFAULT),
		.paging.page = count_of(&values[FEDERATION_PAGE], 1),
		.paging.hits_per_page = count_of(&values[FEDERATION_HITS_PER_PAGE], SEARCH_LIMIT_DEFAULT)};
	if (values[FEDERATION_DISTINCT].given)
		federation->distinct = values[FEDERATION_DISTINCT].text;
	if (values[FEDERATION_FACETS].given &&
	    read_facets(reading, yyjson_obj_get(object.value, "facetsByIndex")) < 0)
		return ERROR_FORMAT;
	if (values[FEDERATION_MERGE].given)
		return read_merge(reading, yyjson_obj_get(object.value, "mergeFacets"));
	return 0;
}

/* ---- what is asked of an index ---- */

static size_t count_queries(const struct multi_search_request *request, struct slice uid)
{
	size_t count = 0;

	for (size_t i = 0; i < request->len; i++)
		count += slice_equal(request->queries[i].uid, uid);
	return count;
}

const struct federation_facets *federation_facets_of(const struct federation_request *federation,
                                                     struct slice uid)
{
	for (size_t i = 0; i < federation->facets_len; i++)
		if (slice_equal(federation->facets[i].uid, uid))
			return &federation->facets[i];
	return NULL;
}

bool federation_is_counted_apart(const struct multi_search_request *request, struct slice uid)
{
	return request->federation.distinct.ptr != NULL || count_queries(request, uid) > 1;
}

void federation_append_patterns(const struct federation_facets *facets, struct buffer *json)
{
	buffer_put_u8(json, '[');
	for (size_t i = 0; i < facets->patterns.len; i++) {
		buffer_append_string(json, i > 0 ? "," : "");
		json_append_string(json, facets->patterns.list[i]);
	}
	buffer_put_u8(json, ']');
}

/* ---- queries ---- */

void multi_search_place(size_t at, char place[MULTI_SEARCH_PLACE_BYTES])
{
	(void)snprintf(place, MULTI_SEARCH_PLACE_BYTES, ".queries[%zu]", at);
}

static int read_options(struct multi_reading *reading, yyjson_val *options, const char *place,
                        struct multi_search_query *query)
{
	char inside[PLACE_BYTES_MAX];
	struct parameter_object object = {.value = options, .place = inside};
	struct parameter_value values[OPTION_ROWS];

	query->weight = 1.0;
	query->has_options = options != NULL && !yyjson_is_null(options);
	if (!yyjson_is_obj(options))
		return 0;
	(void)snprintf(inside, sizeof inside, "%s.federationOptions", place);
	if (parameters_from_object(&option_table, &object, reading->arena, values, reading->refusal) < 0)
		return ERROR_FORMAT;
	if (values[OPTION_WEIGHT].given)
		query->weight = values[OPTION_WEIGHT].ratio;
	return 0;
}

/* Hits that a federated list may need of each query. */
static uint64_t window_of(const struct federation_request *federation)
{
	struct page page = page_of_search(&federation->paging, FEDERATION_HITS_MAX);

	return federation->distinct.ptr != NULL ? FEDERATION_HITS_MAX : page.offset + page.limit;
}

/* Paging and facets are the whole list's. */
static int federate(struct multi_reading *reading, struct multi_search_query *query,
                    struct parameter_value *search)
{
	static const enum search_parameter paging[] = {SEARCH_PARAMETER_LIMIT, SEARCH_PARAMETER_OFFSET,
	                                               SEARCH_PARAMETER_PAGE, SEARCH_PARAMETER_HITS_PER_PAGE};
	struct slice distinct = reading->request->federation.distinct;
	struct parameter_value *own = &search[SEARCH_PARAMETER_DISTINCT];
	struct buffer json;
	int result = 0;

	for (size_t i = 0; i < sizeof paging / sizeof paging[0]; i++) {
		if (search[paging[i]].given && query->paging == NULL)
			query->paging = search_parameters()->rows[paging[i]].name;
		search[paging[i]].given = false;
	}
	if (search[SEARCH_PARAMETER_FACETS].given)
		query->patterns = search[SEARCH_PARAMETER_FACETS].json;
	search[SEARCH_PARAMETER_FACETS] = (struct parameter_value){0};
	query->has_distinct = own->given;
	if (distinct.ptr == NULL)
		return 0;
	buffer_init(&json, SIZE_MAX);
	json_append_string(&json, distinct);
	*own = (struct parameter_value){.given = true, .text = distinct};
	if (buffer_failed(&json) || !arena_copy(reading->arena, buffer_slice(&json), &own->json))
		result = refuse_memory(reading->refusal);
	buffer_deinit(&json);
	return result;
}

static int read_query(struct multi_reading *reading, size_t at, yyjson_val *value)
{
	struct multi_search_query *query = &reading->request->queries[at];
	struct parameter_value values[SEARCH_QUERY_PARAMETERS];
	char place[MULTI_SEARCH_PLACE_BYTES];
	struct parameter_object object = {.value = value, .place = place};

	*query = (struct multi_search_query){0};
	multi_search_place(at, place);
	if (yyjson_is_obj(value) &&
	    read_options(reading, yyjson_obj_get(value, "federationOptions"), place, query) < 0)
		return ERROR_FORMAT;
	if (parameters_from_object(search_query_parameters(), &object, reading->arena, values,
	                           reading->refusal) < 0)
		return ERROR_FORMAT;
	if (!values[SEARCH_QUERY_INDEX_UID].given)
		return error_answer_set(reading->refusal, "missing_index_uid",
		                        "Missing field `indexUid` inside `%s`", place);
	query->uid = values[SEARCH_QUERY_INDEX_UID].text;
	if (reading->request->is_federated && federate(reading, query, values + SEARCH_QUERY_FIRST) < 0)
		return ERROR_FORMAT;
	return search_request_of(values + SEARCH_QUERY_FIRST, reading->arena, &query->search,
	                         reading->refusal);
}

/* What nodes are asked for a query beside what it says itself: facets only if it alone says what is counted. */
static int ask_federated(struct multi_reading *reading, struct multi_search_query *query)
{
	const struct multi_search_request *request = reading->request;
	const struct federation_facets *facets = federation_facets_of(&request->federation, query->uid);
	struct buffer members;
	int result;

	query->search.limit = window_of(&request->federation);
	query->search.by_page =
		request->federation.paging.by_page; /* for what a threshold leaves in the total */
	buffer_init(&members, SIZE_MAX);
	if (facets != NULL && facets->patterns.len > 0 && !federation_is_counted_apart(request, query->uid)) {
		query->search.facets = facets->patterns;
		buffer_append_string(&members, ",\"facets\":");
		federation_append_patterns(facets, &members);
	}
	buffer_append_string(&members, ",\"scores\":true");
	result = buffer_failed(&members) ? refuse_memory(reading->refusal)
	                                 : search_request_ask(&query->search, buffer_slice(&members),
	                                                      reading->arena, reading->refusal);
	buffer_deinit(&members);
	return result;
}

static int read_queries(struct multi_reading *reading)
{
	yyjson_val *list = yyjson_obj_get(reading->root, "queries");
	struct multi_search_request *request = reading->request;
	yyjson_val *value;
	size_t at;
	size_t len = yyjson_arr_size(list);

	if (len > MULTI_SEARCH_QUERIES_MAX)
		return error_answer_set(reading->refusal, "bad_request",
		                        "A multi-search of more than %d queries is not available in this "
		                        "version of Millrace.",
		                        MULTI_SEARCH_QUERIES_MAX);
	request->queries = arena_alloc(reading->arena, (len + 1) * sizeof request->queries[0]);
	if (request->queries == NULL)
		return refuse_memory(reading->refusal);
	yyjson_arr_foreach(list, at, len, value)
	{
		if (read_query(reading, at, value) < 0)
			return ERROR_FORMAT;
		request->len++;
	}
	for (size_t i = 0; request->is_federated && i < request->len; i++)
		if (ask_federated(reading, &request->queries[i]) < 0)
			return ERROR_FORMAT;
	return 0;
}

/* Its members are looked at one by one, so that what is wrong in `federation` comes before `queries`. */
static int read_root(struct multi_reading *reading)
{
	struct parameter_value values[ROWS];
	struct parameter_object object = {.value = reading->root, .place = ""};
	yyjson_val *queries = yyjson_obj_get(reading->root, "queries");
	yyjson_val *federation = yyjson_obj_get(reading->root, "federation");

	if (parameters_from_object(&table, &object, reading->arena, values, reading->refusal) < 0)
		return ERROR_FORMAT;
	if (queries == NULL)
		return error_answer_set(reading->refusal, "bad_request", "Missing field `queries`");
	if (federation != NULL && !yyjson_is_null(federation) && read_federation(reading) < 0)
		return ERROR_FORMAT;
	return read_queries(reading);
}

int multi_search_request_from_body(struct slice body, struct arena *arena,
                                   struct multi_search_request *request, struct error_answer *refusal)
{
	struct multi_search_request made = {0};
	struct multi_reading reading = {.arena = arena, .request = &made, .refusal = refusal};
	yyjson_doc *doc;
	int result = parameters_parse_body(body, &doc, refusal);

	if (result < 0)
		return result;
	reading.root = yyjson_doc_get_root(doc);
	result = read_root(&reading);
	yyjson_doc_free(doc);
	if (result == 0)
		*request = made;
	return result;
}

/* ---- checks ---- */

int multi_search_uid_check(const struct multi_search_request *request, size_t at,
                           struct error_answer *refusal)
{
	char place[MULTI_SEARCH_PLACE_BYTES];
	char before[PLACE_BYTES_MAX];
	int result = index_uid_check(request->queries[at].uid, refusal);

	multi_search_place(at, place);
	(void)snprintf(before, sizeof before, "Invalid value at `%s.indexUid`: ", place);
	if (result < 0)
		error_answer_prefix(refusal, before);
	return result;
}

static int check_federated(const struct multi_search_query *query, bool has_distinct,
                           struct error_answer *refusal)
{
	struct slice uid = slice_within(query->uid, PARAMETER_ECHO_BYTES_MAX);
	struct slice patterns = slice_within(query->patterns, PARAMETER_ECHO_BYTES_MAX);

	if (query->paging != NULL)
		return error_answer_set(
			refusal, "invalid_multi_search_query_pagination",
			"Using pagination options is not allowed in federated queries.\n"
			" - Hint: remove `%s` from the query or remove `federation` from the request\n"
			" - Hint: pass `federation.limit` and `federation.offset` for pagination in "
			"federated "
			"search",
			query->paging);
	if (query->patterns.ptr != NULL)
		return error_answer_set(
			refusal, "invalid_multi_search_query_facets",
			"Using facet options is not allowed in federated queries.\n"
			" - Hint: remove `facets` from the query or remove `federation` from the request\n"
			" - Hint: pass `federation.facetsByIndex.%.*s: %.*s` for facets in federated search",
			SLICE_ARGS(uid), SLICE_ARGS(patterns));
	if (!query->has_distinct || !has_distinct)
		return 0;
	return error_answer_set(
		refusal, "invalid_multi_search_distinct",
		"Using `distinct` is not allowed in federated queries beside `federation.distinct`.");
}

int multi_search_query_check(const struct multi_search_request *request, size_t at,
                             struct error_answer *refusal)
{
	const struct multi_search_query *query = &request->queries[at];

	if (request->is_federated)
		return check_federated(query, request->federation.distinct.ptr != NULL, refusal);
	if (!query->has_options)
		return 0;
	return error_answer_set(
		refusal, "invalid_multi_search_federation_options",
		"Using `federationOptions` is not allowed in a non-federated search.\n"
		" - Hint: remove `federationOptions` from the query or add `federation` to the request.");
}

int federation_request_check(const struct multi_search_request *request, struct error_answer *refusal)
{
	const struct federation_request *federation = &request->federation;

	for (size_t i = 0; i < federation->facets_len; i++) {
		struct slice uid = slice_within(federation->facets[i].uid, PARAMETER_ECHO_BYTES_MAX);

		if (count_queries(request, federation->facets[i].uid) == 0) {
			(void)error_answer_set(refusal, "index_not_found",
			                       "Inside `.federation.facetsByIndex.%.*s`: Index `%.*s` not "
			                       "found.\n - Note: index `%.*s` is not used in queries",
			                       SLICE_ARGS(uid), SLICE_ARGS(uid), SLICE_ARGS(uid));
			refusal->status = 400;
			return ERROR_FORMAT;
		}
	}
	return 0;
}

struct federation_asks federation_asks_of(const struct multi_search_request *request, size_t at)
{
	const struct federation_facets *facets =
		federation_facets_of(&request->federation, request->queries[at].uid);
	struct federation_asks asks = {.distinct = request->federation.distinct};

	if (facets != NULL)
		asks.facets = facets->patterns;
	return asks;
}

static int check_facets(const struct search_check *check, const struct search_names *facets)
{
	struct buffer before;
	int result;

	buffer_init(&before, ERROR_ANSWER_MESSAGE_BYTES_MAX);
	buffer_printf(&before, "Inside `.federation.facetsByIndex.%.*s`: ", SLICE_ARGS(check->uid));
	buffer_put_u8(&before, '\0');
	result = buffer_failed(&before) ? refuse_memory(check->refusal)
	                                : search_check_facets(check, facets, (const char *)before.ptr);
	buffer_deinit(&before);
	return result;
}

int federation_check(const struct search_check *check, const struct federation_asks *asks,
                     const struct search_request *search)
{
	if (check_facets(check, &asks->facets) < 0)
		return ERROR_FORMAT;
	if (asks->distinct.ptr != NULL && search_check_distinct(check, asks->distinct) < 0)
		return ERROR_FORMAT;
	return search_check(check, search);
}
