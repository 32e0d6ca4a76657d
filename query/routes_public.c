/*
 * The public listener's routes: Meilisearch's reads and settings, and how a
 * search goes. Each handler parses its request and hands it to a gathering, a
 * multi-search, a reading or a survey, which answers it.
 */
#include "query/bodies.h"
#include "query/gather.h"
#include "query/multi.h"
#include "query/reading.h"
#include "query/routes.h"
#include "query/survey.h"

#define ARENA_BLOCK_BYTES 4096

static void route_version(const struct exchange *exchange)
{
	struct buffer body;

	buffer_init(&body, 256);
	buffer_append_string(
		&body,
		"{\"commitSha\":\"unknown\",\"commitDate\":\"unknown\",\"pkgVersion\":\"" MILLRACE_VERSION
		"\"}");
	gateway_respond(exchange, 200, &body, NULL);
}

static void route_list_indexes(const struct exchange *exchange)
{
	route_indexes(exchange, false);
}

static void route_index(const struct exchange *exchange)
{
	const struct snapshot *snapshot;
	const struct index_record *index;
	struct error_answer refusal;
	struct buffer body;

	if (index_uid_check(exchange->segments[1], &refusal) < 0 ||
	    gateway_resolve(exchange, exchange->segments[1], &snapshot, &index, &refusal) < 0) {
		gateway_respond_error(exchange, &refusal);
		return;
	}
	buffer_init(&body, 64 * 1024);
	body_index(&body, NULL, index);
	gateway_respond(exchange, 200, &body, NULL);
	snapshot_release(snapshot);
}

static int check_body(const struct exchange *exchange, struct error_answer *refusal)
{
	return parameters_check_content_type(http_request_header(exchange->request, "Content-Type"), refusal);
}

static void refuse(const struct exchange *exchange, struct arena *arena, const struct error_answer *refusal)
{
	arena_deinit(arena);
	gateway_respond_error(exchange, refusal);
}

/* ---- searches ---- */

static int read_search(const struct exchange *exchange, struct arena *arena, struct search_request *request,
                       struct error_answer *refusal)
{
	if (check_body(exchange, refusal) < 0)
		return -1;
	return search_request_from_body(http_request_body(exchange->request), arena, request, refusal);
}

static void search(const struct exchange *exchange, bool from_body)
{
	struct argument arguments[ARGUMENTS_MAX + 1];
	struct search_request request;
	struct error_answer refusal;
	struct arena arena;
	int result;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (from_body) {
		result = read_search(exchange, &arena, &request, &refusal);
	} else {
		result = gateway_arguments(exchange, arguments, &refusal);
		if (result == 0)
			result = search_request_from_url(arguments, &arena, &request, &refusal);
	}
	if (result < 0)
		refuse(exchange, &arena, &refusal);
	else
		gather_search(exchange->gateway->gather, exchange, &request, &arena);
}

static void route_search_post(const struct exchange *exchange)
{
	search(exchange, true);
}

static void route_search_get(const struct exchange *exchange)
{
	search(exchange, false);
}

static void route_explain(const struct exchange *exchange)
{
	struct search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (read_search(exchange, &arena, &request, &refusal) < 0)
		refuse(exchange, &arena, &refusal);
	else
		reading_explain(exchange, &request, &arena);
}

static void route_facet_search(const struct exchange *exchange)
{
	struct facet_search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (check_body(exchange, &refusal) < 0 ||
	    facet_search_request_from_body(http_request_body(exchange->request), &arena, &request, &refusal) <
	            0)
		refuse(exchange, &arena, &refusal);
	else
		reading_facet(exchange, &request, &arena);
}

static void route_multi_search(const struct exchange *exchange)
{
	struct multi_search_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (check_body(exchange, &refusal) < 0 ||
	    multi_search_request_from_body(http_request_body(exchange->request), &arena, &request, &refusal) <
	            0)
		refuse(exchange, &arena, &refusal);
	else
		multi_search(exchange, &request, &arena);
}

/* ---- documents ---- */

static void route_documents(const struct exchange *exchange)
{
	struct argument arguments[ARGUMENTS_MAX + 1];
	struct documents_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (gateway_arguments(exchange, arguments, &refusal) < 0 ||
	    documents_request_from_url(arguments, &arena, &request, &refusal) < 0)
		refuse(exchange, &arena, &refusal);
	else
		reading_documents(exchange, &request, &arena);
}

static void route_fetch(const struct exchange *exchange)
{
	struct documents_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (check_body(exchange, &refusal) < 0 ||
	    documents_request_from_body(http_request_body(exchange->request), &arena, &request, &refusal) < 0)
		refuse(exchange, &arena, &refusal);
	else
		reading_documents(exchange, &request, &arena);
}

static void route_document(const struct exchange *exchange)
{
	struct argument arguments[ARGUMENTS_MAX + 1];
	struct listing_request request;
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	if (gateway_arguments(exchange, arguments, &refusal) < 0 ||
	    documents_request_of_one(arguments, &arena, &request, &refusal) < 0)
		refuse(exchange, &arena, &refusal);
	else
		reading_get(exchange, &request, &arena);
}

/* ---- counts ---- */

static void survey(const struct exchange *exchange, bool one_index)
{
	struct argument arguments[ARGUMENTS_MAX + 1];
	struct error_answer refusal;
	struct arena arena;
	int result;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	result = gateway_arguments(exchange, arguments, &refusal);
	if (result == 0)
		result = stats_request_check(arguments, &arena, &refusal);
	arena_deinit(&arena);
	if (result < 0)
		gateway_respond_error(exchange, &refusal);
	else
		survey_start(exchange, one_index);
}

static void route_index_stats(const struct exchange *exchange)
{
	survey(exchange, true);
}

static void route_stats(const struct exchange *exchange)
{
	survey(exchange, false);
}

static const struct route routes[] = {
	{"GET", "/health", ROUTE_GUARD_NONE, route_health},
	{"GET", "/version", ROUTE_GUARD_ALL, route_version},
	{"GET", "/stats", ROUTE_GUARD_ALL, route_stats},
	{"GET", "/indexes", ROUTE_GUARD_ALL, route_list_indexes},
	{"GET", "/indexes/*", ROUTE_GUARD_ALL, route_index},
	{"POST", "/indexes/*/search", ROUTE_GUARD_ALL, route_search_post},
	{"GET", "/indexes/*/search", ROUTE_GUARD_ALL, route_search_get},
	{"POST", "/indexes/*/explain", ROUTE_GUARD_ALL, route_explain},
	{"POST", "/indexes/*/facet-search", ROUTE_GUARD_ALL, route_facet_search},
	{"POST", "/multi-search", ROUTE_GUARD_ALL, route_multi_search},
	{"GET", "/indexes/*/documents", ROUTE_GUARD_ALL, route_documents},
	{"POST", "/indexes/*/documents/fetch", ROUTE_GUARD_ALL, route_fetch},
	{"GET", "/indexes/*/documents/*", ROUTE_GUARD_ALL, route_document},
	{"GET", "/indexes/*/settings", ROUTE_GUARD_ALL, route_settings_show},
	{"PATCH", "/indexes/*/settings", ROUTE_GUARD_ALL, route_settings_change},
	{"DELETE", "/indexes/*/settings", ROUTE_GUARD_ALL, route_settings_reset},
	{"GET", "/indexes/*/settings/*", ROUTE_GUARD_ALL, route_settings_show},
	{"PUT", "/indexes/*/settings/*", ROUTE_GUARD_ALL, route_settings_change},
	{"PATCH", "/indexes/*/settings/*", ROUTE_GUARD_ALL, route_settings_change},
	{"DELETE", "/indexes/*/settings/*", ROUTE_GUARD_ALL, route_settings_reset},
	{"GET", "/indexes/*/stats", ROUTE_GUARD_ALL, route_index_stats},
	{"GET", "/tasks/*", ROUTE_GUARD_ALL, route_task},
};

struct listener public_listener(struct gateway *gateway)
{
	return (struct listener){gateway, gateway->master_key, routes, sizeof routes / sizeof routes[0]};
}
