/* What is asked of nodes when all but that is known. */
#include "query/core/facet_search_request.h"
#include "query/core/federation.h"
#include "query/core/search_check.h"
#include "query/flight_private.h"

/* Of a question; values over it keep the spellings that they have. */
#define ASIDE_BYTES_MAX REQUEST_BODY_BYTES_MAX

/* ---- what the settings allow ---- */

/* Refusals of routes that are no search do not name the index. */
static int check_search(const struct flight_request *request, struct search_check *check)
{
	switch (request->kind) {
	case FLIGHT_KIND_SEARCH:
		return search_check(check, &request->search);
	case FLIGHT_KIND_FEDERATED:
		return federation_check(check, &request->asks, &request->search);
	case FLIGHT_KIND_FACET:
		check->uid = slice_of(NULL, 0);
		return facet_search_check(check, &request->facet, &request->search);
	case FLIGHT_KIND_DOCUMENTS:
		check->uid = slice_of(NULL, 0);
		return documents_check(check, &request->search);
	case FLIGHT_KIND_LIST:
	case FLIGHT_KIND_GET:
		break;
	}
	return 0;
}

/* None when out of memory. */
static struct search_names paths_listed(struct flight *flight)
{
	struct slice *list = arena_alloc(&flight->arena, (flight->paths_known.count + 1) * sizeof *list);
	const struct map_entry *entry;
	struct search_names names = {list, 0};
	size_t at = 0;

	while (list != NULL && (entry = map_next(&flight->paths_known, &at)) != NULL)
		list[names.len++] = entry->key;
	return names;
}

bool flight_check(struct flight *flight)
{
	struct search_check check = {.settings = flight->settings.settings,
	                             .uid = slice_string(flight->request.index->uid),
	                             .known = paths_listed(flight),
	                             .arena = &flight->arena,
	                             .refusal = &flight->refusal};

	return check_search(&flight->request, &check) >= 0;
}

/* ---- questions ---- */

/* Keeps the members that are asked for; false: there are none, or there is no room. */
static bool ask_for(struct flight *flight, enum flight_aside aside, const struct buffer *members)
{
	if (buffer_failed(members) ||
	    !arena_copy(&flight->arena, buffer_slice(members), &flight->aside_asked))
		return false;
	flight->aside = aside;
	return true;
}

static bool spellings_append(struct flight *flight, struct buffer *members)
{
	const struct flight_request *request = &flight->request;

	if (flight->merge.answers <= 1 || flight->merge.failed)
		return false;
	buffer_append_string(members, "\"spellings\":");
	if (request->kind == FLIGHT_KIND_FACET)
		return facet_hits_ask(&flight->facet_hits, &request->facet, flight->settings.settings,
		                      members);
	return (request->kind == FLIGHT_KIND_SEARCH || request->kind == FLIGHT_KIND_FEDERATED) &&
	       request->search.facets.len > 0 &&
	       facet_merge_ask(&flight->merge.facets, flight->settings.settings, members);
}

bool flight_wants_spellings(struct flight *flight)
{
	struct buffer members;
	bool wants;

	if (!flight_searches(flight->request.kind))
		return false;
	buffer_init(&members, ASIDE_BYTES_MAX);
	wants = spellings_append(flight, &members) && ask_for(flight, FLIGHT_ASIDE_SPELLINGS, &members);
	buffer_deinit(&members);
	return wants;
}

bool flight_wants_paths(struct flight *flight)
{
	if (!search_check_lists_known(&flight->refusal))
		return false;
	flight->aside = FLIGHT_ASIDE_PATHS;
	flight->aside_asked = slice_string("\"pathsKnown\":true");
	return true;
}

/* ---- answers ---- */

static int take_paths(struct flight *flight, yyjson_val *list, struct error *error)
{
	yyjson_val *item;
	size_t at;
	size_t len;

	if (!yyjson_is_arr(list))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "answer of a node: no `pathsKnown`");
	yyjson_arr_foreach(list, at, len, item)
	{
		struct slice path = json_string(item);

		if (path.ptr == NULL)
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "answer of a node: a path that is none");
		if (map_get(&flight->paths_known, path) == NULL &&
		    (!arena_copy(&flight->arena, path, &path) || !map_put(&flight->paths_known, path, 0)))
			return error_memory(error, path.len);
	}
	return 0;
}

int flight_take_aside(struct flight *flight, struct slice body, struct error *error)
{
	yyjson_doc *doc;
	yyjson_val *root;
	yyjson_val *spellings;
	int result = json_parse(body, NODE_ANSWER_DEPTH_MAX, &doc, error);

	if (result < 0)
		return result;
	root = yyjson_doc_get_root(doc);
	spellings = yyjson_obj_get(root, "spellings");
	if (flight->aside == FLIGHT_ASIDE_PATHS)
		result = take_paths(flight, yyjson_obj_get(root, "pathsKnown"), error);
	else if (flight->request.kind == FLIGHT_KIND_FACET)
		result = facet_hits_spell(&flight->facet_hits, &flight->request.facet, spellings,
		                          &flight->arena, error);
	else
		result = facet_merge_spell(&flight->merge.facets, spellings, &flight->arena, error);
	yyjson_doc_free(doc);
	return result;
}

void flight_end_aside(struct flight *flight)
{
	if (flight->aside == FLIGHT_ASIDE_SPELLINGS) {
		flight->scatter = flight->scatter_before;
		flight->covered = flight->covered_before;
		flight_finish(flight);
		return;
	}
	(void)flight_check(flight);
	flight_end_refused(flight);
}
