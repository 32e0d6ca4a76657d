/*
 * The values of a facet that hostile nodes find. A line is the body of the
 * request; then what two nodes answer, and what they say of spellings.
 *
 * Whatever they say: the answer is JSON with no more values than an index
 * shows, each of them once; it does not depend on which node answered first;
 * and spellings change no count.
 */
#include "query/core/facet_hits.h"

#include "tests/fuzz/lines.h"
#include "tests/fuzz/seeds.h"

#define NODES 2

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct merging {
	struct facet_search_request request;
	struct slice answers[NODES];
	bool given[NODES];
	struct arena arena;
};

static void add(struct merging *merging, bool backwards, struct facet_hits *hits)
{
	struct error error;

	facet_hits_init(hits);
	for (size_t i = 0; i < NODES; i++) {
		size_t node = backwards ? NODES - 1 - i : i;

		merging->given[node] =
			facet_hits_add(hits, merging->answers[node], &merging->arena, &error) == 0;
	}
	ASSERT(hits->answers == (size_t)merging->given[0] + merging->given[1]);
}

static uint64_t sum_of(const struct facet_hits *hits)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < hits->len; i++)
		sum += hits->list[i].count;
	return sum;
}

static void check_hits(const struct facet_hits *hits)
{
	for (size_t i = 0; i < hits->len; i++)
		for (size_t other = 0; other < i; other++)
			ASSERT(!slice_equal(hits->list[i].form, hits->list[other].form));
}

static void answer(struct merging *merging, struct facet_hits *hits, struct buffer *body)
{
	struct error error;
	yyjson_doc *doc;
	yyjson_val *list;

	buffer_init(body, SIZE_MAX);
	facet_hits_answer(hits, &merging->request.facet, settings_default(), 7, body);
	ASSERT(json_parse(buffer_slice(body), 4, &doc, &error) == 0);
	list = yyjson_obj_get(yyjson_doc_get_root(doc), "facetHits");
	ASSERT(yyjson_arr_size(list) <= settings_default()->faceting.values_max);
	ASSERT(yyjson_arr_size(list) <= hits->len);
	yyjson_doc_free(doc);
}

static void check_order(struct merging *merging)
{
	struct facet_hits hits[2];
	struct buffer bodies[2];

	for (size_t i = 0; i < 2; i++) {
		add(merging, i == 1, &hits[i]);
		check_hits(&hits[i]);
		answer(merging, &hits[i], &bodies[i]);
	}
	ASSERT(slice_equal(buffer_slice(&bodies[0]), buffer_slice(&bodies[1])));
	for (size_t i = 0; i < 2; i++) {
		buffer_deinit(&bodies[i]);
		facet_hits_deinit(&hits[i]);
	}
}

static void spell(struct merging *merging, struct facet_hits *hits, struct slice spellings)
{
	struct error error;
	yyjson_doc *doc;

	if (json_parse(spellings, JSON_DEPTH_MAX, &doc, &error) != 0)
		return;
	(void)facet_hits_spell(hits, &merging->request.facet, yyjson_doc_get_root(doc), &merging->arena,
	                       &error);
	yyjson_doc_free(doc);
}

static void check_spellings(struct merging *merging, struct slice spellings)
{
	struct facet_hits hits;
	struct buffer asked;
	struct buffer body;
	struct error error;
	yyjson_doc *doc;
	uint64_t sum;

	add(merging, false, &hits);
	buffer_init(&asked, SIZE_MAX);
	if (facet_hits_ask(&hits, &merging->request.facet, settings_default(), &asked)) {
		ASSERT(json_parse(buffer_slice(&asked), 3, &doc, &error) == 0);
		yyjson_doc_free(doc);
		sum = sum_of(&hits);
		spell(merging, &hits, spellings);
		ASSERT(sum_of(&hits) == sum);
	}
	answer(merging, &hits, &body);
	buffer_deinit(&body);
	buffer_deinit(&asked);
	facet_hits_deinit(&hits);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct slice text = slice_of(bytes, len);
	struct error_answer refusal;
	struct merging merging;

	arena_init(&merging.arena, 4096);
	if (facet_search_request_from_body(take_line(&text), &merging.arena, &merging.request, &refusal) ==
	    0) {
		for (size_t i = 0; i < NODES; i++)
			merging.answers[i] = take_line(&text);
		check_order(&merging);
		check_spellings(&merging, take_line(&text));
	}
	arena_deinit(&merging.arena);
	return 0;
}

#define HIT(key, form, value, count) \
	"{\"key\":\"" key "\",\"form\":\"" form "\",\"value\":\"" value "\",\"count\":" count "}"

static const char *const seeds[] = {
	"{\"facetName\":\"n\",\"facetQuery\":\"re\"}\n"
	"{\"facetHits\":[" HIT("red", "red", "Red", "2") "," HIT(
		"reed", "reed", "reed",
		"1") "]}\n"
		     "{\"facetHits\":[" HIT("red", "red", "RED",
                                            "1") "]}\n"
						 "{\"n\":[{\"value\":\"REED\",\"key\":\"reed\"}]}\n",
	"{\"facetName\":\"n\"}\n{\"facetHits\":[" HIT(
		"e", "é", "É", "18446744073709551615") "]}\n"
						       "{\"facetHits\":[" HIT("e", "é", "é", "1") "," HIT(
							       "z", "z", "z", "3") "]}\n{\"n\":[null]}\n",
	"{\"facetName\":\"n\",\"facetQuery\":\"r\"}\n"
	"{\"facetHits\":[" HIT("rot", "red", "Red", "2") "," HIT(
		"rod", "rod", "rod", "1") "]}\n"
					  "{\"facetHits\":[" HIT("red", "red", "Red", "1") "]}\n{}\n",
	"{\"facetName\":\"n\",\"facetQuery\":\"\"}\n{\"facetHits\":[]}\n{\"facetHits\":[]}\n{}\n",
};

static void seeds_make(void)
{
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		seed_write(slice_string(seeds[i]));
}
