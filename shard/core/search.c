/* A search of one snapshot: what matches, and the first of it in order. */
#include "shard/core/search_private.h"

#include "shard/core/snapshot_filter.h"
#include "shared/settings/settings.h"

#include <stdlib.h>

/* Of one posting list, which is never that long. */
#define LIST_BYTES_MAX UINT32_MAX

/* ---- fields ---- */

/* Every field there can be, all of one weight. */
static const uint16_t weights_of_all[FIELD_OTHER + 1];

static bool is_star(struct slice entry)
{
	return slice_equal(entry, slice_string("*"));
}

static uint16_t weight_of(const struct search_request *request, struct slice path)
{
	for (size_t i = 0; i < request->searchable_len; i++)
		if (is_star(request->searchable[i]) || settings_covers(request->searchable[i], path))
			return (uint16_t)i;
	return RANK_UNSEARCHED;
}

static bool is_searched_on(const struct search_request *request, struct slice path)
{
	for (size_t i = 0; i < request->search_on_len; i++)
		if (settings_matches(request->search_on[i], path))
			return true;
	return request->search_on_len == 0;
}

static bool is_exact(const struct search_typos *typos, struct slice path)
{
	for (size_t i = 0; i < typos->attributes_len; i++)
		if (settings_covers(typos->attributes[i], path))
			return true;
	return false;
}

static int fields_weigh(struct search *search, struct error *error)
{
	const struct search_request *request = search->request;
	const struct field_list *list = search->reading.snapshot->fields;
	uint16_t *weights;

	search->weights = weights_of_all;
	search->fields_len = FIELD_OTHER + 1;
	search->some_fields = request->searchable_len != 1 || !is_star(request->searchable[0]) ||
	                      request->search_on_len > 0 || request->typos.attributes_len > 0;
	if (!search->some_fields)
		return 0;
	weights = arena_alloc(search->arena, (list->len + 1) * sizeof *weights);
	search->fields = arena_alloc(search->arena, list->len + 1);
	if (weights == NULL || search->fields == NULL)
		return error_memory(error, list->len * sizeof *weights);
	for (size_t i = 0; i < list->len; i++) {
		uint16_t weight = weight_of(request, list->paths[i]);

		search->fields[i] = (uint8_t)((weight == RANK_UNSEARCHED ? SEARCH_HIDDEN : 0) |
		                              (is_exact(&request->typos, list->paths[i]) ? SEARCH_EXACT : 0));
		weights[i] = is_searched_on(request, list->paths[i]) ? weight : RANK_UNSEARCHED;
	}
	search->weights = weights;
	search->fields_len = list->len;
	return 0;
}

/* ---- sets ---- */

static void phrases_place(struct search *search)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_term *term = &query->terms[query->nodes[i].first];

		search->phrase_at[i] = search->phrase_words;
		if (term->is_phrase)
			search->phrase_words += term->phrase.len;
	}
}

/* The document of an id, if it lives. */
static int id_take(struct search *search, struct slice id, struct postings *numbers, struct error *error)
{
	const struct snapshot *snapshot = search->reading.snapshot;
	const struct version *version = NULL;
	struct disk_entry entry;
	struct disk_view *view;
	uint64_t number;

	if (id.len == 0 || id.len > RECORD_ID_BYTES_MAX)
		return 0;
	for (size_t i = snapshot->segments_len; i-- > 0 && version == NULL;)
		version = segment_find(snapshot->segments[i], id);
	if (version != NULL) {
		number = version->number;
	} else {
		int rc = views_find(&search->reading.views, id, &entry, &view, error);

		if (rc != 0)
			return rc == ERROR_NOT_FOUND ? 0 : rc;
		number = entry.number;
	}
	if (!postings_contains(&snapshot->deleted, number))
		postings_add(numbers, number);
	return 0;
}

static int passing_find(struct search *search, struct error *error)
{
	const struct search_request *request = search->request;
	struct filter_cost cost = {.watch = request->watch};
	struct postings numbers;
	int rc = 0;

	search->has_passing = request->filter != NULL || request->has_ids;
	if (request->filter != NULL)
		rc = snapshot_filter(search->reading.snapshot, request->words, request->filter,
		                     &search->passing, &cost, error);
	if (rc != 0 || !request->has_ids)
		return rc;
	postings_init(&numbers);
	for (size_t i = 0; i < request->ids_len && rc == 0; i++) {
		rc = watch_step(request->watch, WATCH_FIND, error);
		if (rc == 0)
			rc = id_take(search, request->ids[i], &numbers, error);
	}
	if (rc == 0 && request->filter == NULL)
		postings_or(&search->passing, &numbers);
	else if (rc == 0)
		postings_and(&search->passing, &numbers);
	postings_deinit(&numbers);
	return rc;
}

int search_open(struct search *search, const struct snapshot *snapshot, const struct search_request *request,
                struct error *error)
{
	*search = (struct search){.request = request, .arena = request->arena};
	buffer_init(&search->joined, LIST_BYTES_MAX);
	if (reading_open(&search->reading, snapshot, error) != 0)
		return error->code;
	search->reading.arena = request->arena;
	search->reading.watch = request->watch;
	search->reading.keys_only = true;
	search_typos_allow(search);
	phrases_place(search);
	if (fields_weigh(search, error) != 0 || passing_find(search, error) != 0 ||
	    search_words_open(search, error) != 0)
		return error->code;
	return search_match(search, error);
}

void search_close(struct search *search)
{
	for (size_t i = 0; i < QUERY_NODES_MAX; i++)
		for (size_t typos = 0; typos < SEARCH_CLASSES; typos++)
			postings_deinit(&search->sets[i][typos]);
	for (size_t i = 0; i < search->segments_len; i++) {
		struct search_segment *segment = &search->segments[i];

		section_reader_free(segment->beside);
		for (size_t k = 0; k < segment->phrases.len; k++)
			postings_deinit(&segment->phrases.ptr[k].numbers);
		for (size_t k = 0; k < segment->excluded.len; k++)
			postings_deinit(&segment->excluded.ptr[k].numbers);
	}
	postings_deinit(&search->matches);
	postings_deinit(&search->excluded);
	postings_deinit(&search->passing);
	buffer_deinit(&search->joined);
	reading_end(&search->reading);
}

/* Without words in the query everything that passes matches, but for what is to be left out. */
static int rest_join(struct search *search, struct error *error)
{
	const struct search_request *request = search->request;
	bool lists = request->lists_counted || request->rules_len > 0 || search->excluded.len > 0;
	struct filter_cost cost = {.watch = request->watch};

	search->is_all = !search->has_passing && !lists;
	search->total = search->reading.snapshot->documents;
	if (search->is_all)
		return 0;
	if (search->has_passing)
		postings_share(&search->matches, &search->passing);
	else if (snapshot_filter(search->reading.snapshot, request->words, NULL, &search->matches, &cost,
	                         error) != 0)
		return error->code;
	postings_and_not(&search->matches, &search->excluded);
	search->total = postings_count(&search->matches);
	return 0;
}

int search_join(struct search *search, uint8_t rarest, struct error *error)
{
	search->rarest = rarest;
	if (search->request->query->terms_len == 0)
		return rest_join(search, error);
	if (search_match_join(search, error) != 0)
		return error->code;
	search->total = postings_count(&search->matches);
	return 0;
}
