#include "query/core/documents_request.h"

#include "query/core/node_answer.h"
#include "shared/json/json_shown.h"

#define BOTH PARAMETER_PLACE_BOTH
#define NOT_NULL PARAMETER_NOT_NULL

enum {
	ROW_OFFSET,
	ROW_LIMIT,
	ROW_FIELDS,
	ROW_VECTORS,
	ROWS_OF_ONE, /* begin at FIELDS */
	ROW_IDS = ROWS_OF_ONE,
	ROW_FILTER,
	ROW_SORT,
	ROW_NETWORK,
	ROWS
};

static const struct parameter rows[ROWS] = {
	[ROW_OFFSET] = {"offset", PARAMETER_KIND_COUNT, BOTH, "invalid_document_offset", NULL, NOT_NULL},
	[ROW_LIMIT] = {"limit", PARAMETER_KIND_COUNT, BOTH, "invalid_document_limit", NULL, NOT_NULL},
	[ROW_FIELDS] = {"fields", PARAMETER_KIND_STRINGS, BOTH, "invalid_document_fields", NULL, 0},
	[ROW_VECTORS] = {"retrieveVectors", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_document_retrieve_vectors",
                         "false", NOT_NULL},
	[ROW_IDS] = {"ids", PARAMETER_KIND_ARRAY, BOTH, "invalid_document_ids", NULL, 0},
	[ROW_FILTER] = {"filter", PARAMETER_KIND_ANY, BOTH, "invalid_document_filter", "\"\" [] null", 0},
	[ROW_SORT] = {"sort", PARAMETER_KIND_STRINGS, BOTH, "invalid_document_sort", "[]", 0},
	[ROW_NETWORK] = {"useNetwork", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_document_use_network", "false",
                         PARAMETER_UNAVAILABLE},
};

static const struct parameter_table table = {rows, ROWS};
static const struct parameter_table table_of_one = {rows + ROW_FIELDS, ROWS_OF_ONE - ROW_FIELDS};

static int refuse_memory(struct error_answer *refusal)
{
	return error_answer_set(refusal, "internal", "out of memory for a request of documents");
}

/* ---- fields ---- */

static bool is_star(struct slice name)
{
	return slice_equal(name, slice_string("*"));
}

static void take_fields(const struct parameter_value *value, bool star_is_all,
                        struct listing_request *listing)
{
	listing->has_fields = value->given;
	listing->fields = value->list;
	listing->fields_len = 0;
	for (size_t i = 0; value->given && i < value->list_len; i++) {
		if (!is_star(value->list[i]))
			value->list[listing->fields_len++] = value->list[i];
		else if (star_is_all)
			listing->has_fields = false;
	}
}

/* ---- ids ---- */

/* An integer's text is the id. */
static bool is_integer(struct slice raw)
{
	size_t at = raw.len > 0 && raw.ptr[0] == '-';

	for (size_t i = at; i < raw.len; i++)
		if (raw.ptr[i] < '0' || raw.ptr[i] > '9')
			return false;
	return raw.len > at;
}

static int refuse_id(size_t at, yyjson_val *item, struct error_answer *refusal)
{
	struct buffer json;
	struct slice shown;
	int result;

	buffer_init(&json, SIZE_MAX);
	json_append_shown(&json, item);
	shown = slice_within(buffer_slice(&json), PARAMETER_ECHO_BYTES_MAX);
	result = error_answer_set(
		refusal, "invalid_document_ids",
		"In `.ids[%zu]`: Document identifier `%.*s` is invalid. A document identifier can be of type "
		"integer or string, only composed of alphanumeric characters (a-z A-Z 0-9), hyphens (-) and "
		"underscores (_), and can not be more than 511 bytes.",
		at, SLICE_ARGS(shown));
	buffer_deinit(&json);
	return result;
}

/* `,"ids":["1","a"]` */
static int append_ids(struct buffer *members, struct slice json, struct error_answer *refusal)
{
	struct error error;
	yyjson_doc *doc;
	yyjson_val *item;
	size_t at;
	size_t len;
	int result = 0;

	if (json_parse(json, JSON_DEPTH_MAX, &doc, &error) < 0)
		return refuse_memory(refusal);
	buffer_append_string(members, ",\"ids\":[");
	yyjson_arr_foreach(yyjson_doc_get_root(doc), at, len, item)
	{
		struct slice id = json_string(item);

		if (id.ptr == NULL && is_integer(json_raw_number(item)))
			id = json_raw_number(item);
		if (!document_id_is_valid(id)) {
			result = refuse_id(at, item, refusal);
			break;
		}
		buffer_append_string(members, at > 0 ? "," : "");
		json_append_string(members, id);
	}
	buffer_put_u8(members, ']');
	yyjson_doc_free(doc);
	return result;
}

/* ---- the question ---- */

static void append_names(struct buffer *members, const char *name, const struct slice *list, size_t len)
{
	buffer_printf(members, ",\"%s\":[", name);
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(members, i > 0 ? "," : "");
		json_append_string(members, list[i]);
	}
	buffer_put_u8(members, ']');
}

static int ask_documents(struct documents_request *request, const struct parameter_value *values,
                         struct arena *arena, struct error_answer *refusal)
{
	const struct listing_request *listing = &request->listing;
	struct buffer members;
	int result = 0;

	buffer_init(&members, SIZE_MAX);
	buffer_append_string(&members, ",\"documents\":true");
	if (listing->has_fields)
		append_names(&members, "fields", listing->fields, listing->fields_len);
	if (values[ROW_IDS].given)
		result = append_ids(&members, values[ROW_IDS].json, refusal);
	if (result == 0 && buffer_failed(&members))
		result = refuse_memory(refusal);
	if (result == 0)
		result = search_request_ask(&request->search, buffer_slice(&members), arena, refusal);
	buffer_deinit(&members);
	return result;
}

static int make_search(struct documents_request *request, const struct parameter_value *values,
                       struct arena *arena, struct error_answer *refusal)
{
	struct parameter_value search[SEARCH_PARAMETERS] = {
		[SEARCH_PARAMETER_FILTER] = values[ROW_FILTER], [SEARCH_PARAMETER_SORT] = values[ROW_SORT]};

	if (search_request_of(search, arena, &request->search, refusal) < 0)
		return ERROR_FORMAT;
	request->search.offset = request->listing.offset;
	request->search.limit = request->listing.limit;
	return ask_documents(request, values, arena, refusal);
}

static int make_request(const struct parameter_value *values, bool from_url, struct arena *arena,
                        struct documents_request *request, struct error_answer *refusal)
{
	struct documents_request made = {
		.listing.offset = values[ROW_OFFSET].given ? values[ROW_OFFSET].count : 0,
		.listing.limit = values[ROW_LIMIT].given ? values[ROW_LIMIT].count : ROUTE_LIMIT_DEFAULT,
		.listing.vectors = values[ROW_VECTORS].given,
		.is_search = values[ROW_IDS].given || values[ROW_FILTER].given || values[ROW_SORT].given};

	take_fields(&values[ROW_FIELDS], from_url, &made.listing);
	if (made.is_search && make_search(&made, values, arena, refusal) < 0)
		return ERROR_FORMAT;
	*request = made;
	return 0;
}

int documents_request_from_url(const struct argument *arguments, struct arena *arena,
                               struct documents_request *request, struct error_answer *refusal)
{
	struct parameter_value values[ROWS];
	int result = parameters_from_url(&table, arguments, arena, values, refusal);

	return result < 0 ? result : make_request(values, true, arena, request, refusal);
}

int documents_request_from_body(struct slice body, struct arena *arena, struct documents_request *request,
                                struct error_answer *refusal)
{
	struct parameter_value values[ROWS];
	int result = parameters_from_body(&table, body, arena, values, refusal);

	return result < 0 ? result : make_request(values, false, arena, request, refusal);
}

int documents_request_of_one(const struct argument *arguments, struct arena *arena,
                             struct listing_request *request, struct error_answer *refusal)
{
	struct parameter_value values[ROWS_OF_ONE - ROW_FIELDS];
	int result = parameters_from_url(&table_of_one, arguments, arena, values, refusal);

	if (result < 0)
		return result;
	*request = (struct listing_request){.vectors = values[ROW_VECTORS - ROW_FIELDS].given};
	take_fields(&values[0], true, request);
	return 0;
}

int documents_check(const struct search_check *check, const struct search_request *search)
{
	if (search_check_filter(check, search->filter, "invalid_document_filter") < 0)
		return ERROR_FORMAT;
	return search_check_sort(check, &search->sort, "invalid_document_sort");
}
