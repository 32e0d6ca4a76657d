/* Which hits are shown and which documents count, where no node can know it by itself. */
#include "query/flight_private.h"

static bool lists(const struct flight *flight)
{
	return flight->request.kind == FLIGHT_KIND_SEARCH || flight->request.kind == FLIGHT_KIND_FEDERATED;
}

bool flight_leaves_out(const struct flight *flight)
{
	const struct flight_request *request = &flight->request;

	return lists(flight) && !request->counts &&
	       (request->search.distinct.ptr != NULL || flight->settings.settings->distinct.ptr != NULL);
}

/* Whether what is below the threshold counts: behind the hits that are wanted, which are all there. Of a list without
 * repetitions only hits count. */
static bool counts_behind(const struct flight *flight)
{
	const struct search_request *search = &flight->request.search;

	return search->has_threshold && !search->by_page && flight->request.asks.distinct.ptr == NULL &&
	       flight->asked.limit > 0 && flight->merge.hits_len >= flight->asked.limit;
}

/* Where the hits that are wanted end, equal ones too; they are in order. */
static bool keep_cut(struct flight *flight)
{
	struct node_hit *cut = arena_alloc(&flight->arena, sizeof *cut);

	if (cut != NULL)
		*cut = flight->merge.hits[flight->asked.limit - 1];
	flight->words.cut = cut;
	return cut != NULL;
}

static bool keep_ids(struct flight *flight, size_t len, struct slice *list)
{
	struct buffer ids;
	bool kept;

	buffer_init(&ids, RESPONSE_BYTES_MAX);
	buffer_put_u8(&ids, '[');
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(&ids, i > 0 ? "," : "");
		json_append_string(&ids, flight->merge.hits[i].id);
	}
	buffer_put_u8(&ids, ']');
	kept = !buffer_failed(&ids) && arena_copy(&flight->arena, buffer_slice(&ids), list);
	buffer_deinit(&ids);
	return kept;
}

/* Nodes have told all hits, equal ones too, then also what is below the threshold behind them: shown are the first that
 * are distinct among hits, counted those that are distinct among all. False when out of memory. */
static bool settle_distinct(struct flight *flight)
{
	bool behind = flight->words.cut == NULL && counts_behind(flight);
	size_t len;
	struct error error;

	merge_sort(&flight->merge);
	if ((behind && !keep_cut(flight)) || merge_order(&flight->merge, &error) < 0)
		return false;
	len = flight->merge.hits_len < flight->asked.limit ? flight->merge.hits_len
	                                                   : (size_t)flight->asked.limit;
	if (flight->shown.ptr == NULL && !keep_ids(flight, len, &flight->shown))
		return false;
	if (behind) {
		flight_begin(flight, "threshold");
		return true;
	}
	if (!keep_ids(flight, flight->merge.hits_len, &flight->counted))
		return false;
	flight->total = (int64_t)flight->merge.hits_len;
	flight->settled = true;
	flight->words.cut = NULL;
	flight->words.ids = flight->shown;
	if (flight->request.search.facets.len > 0)
		flight->words.counted = flight->counted;
	flight_begin(flight, "distinct");
	return true;
}

static bool settle_threshold(struct flight *flight)
{
	merge_sort(&flight->merge);
	flight->settled = true;
	if (!keep_cut(flight))
		return false;
	flight_begin(flight, "threshold");
	return true;
}

bool flight_settle(struct flight *flight)
{
	bool distinct = flight->words.equal;

	if (flight->settled || !lists(flight) ||
	    (!distinct && (flight->merge.answers <= 1 || !counts_behind(flight))))
		return false;
	if (flight->merge.failed || !(distinct ? settle_distinct(flight) : settle_threshold(flight)))
		flight_refuse(flight, "internal", "out of memory");
	return true;
}

bool flight_tell_counted(struct flight *flight, struct slice *counted)
{
	const struct search_request *search = &flight->request.search;
	uint64_t limit = search->has_threshold ? flight->asked.limit : 0;
	struct buffer question;
	bool told;

	buffer_init(&question, RESPONSE_BYTES_MAX);
	if (flight->counted.ptr != NULL) {
		buffer_printf(&question, "{\"documents\":true,\"ids\":%.*s}", SLICE_ARGS(flight->counted));
	} else if (flight->words.cut != NULL || !counts_behind(flight) || keep_cut(flight)) {
		ask_counted(&question, limit, search, &flight->words);
	}
	told = question.len > 0 && !buffer_failed(&question) &&
	       arena_copy(&flight->arena, buffer_slice(&question), counted);
	buffer_deinit(&question);
	return told;
}
