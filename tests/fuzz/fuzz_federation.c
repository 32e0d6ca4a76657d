/*
 * A federated list of what hostile nodes answer. A line is the body of the
 * request; then of each query what node 0 and node 1 answer, for the partition
 * of their number, and what both say of spellings.
 *
 * Whatever they say: the answer is JSON with no more hits than the page, its
 * total is not below them, no document of an index stands in the list twice,
 * nothing depends on which answer or which query came first; and where only
 * words count, scores fall, and those of an earlier query come first.
 */
#include "query/core/federation.h"
#include "query/core/merge.h"

#include "tests/fuzz/lines.h"
#include "tests/fuzz/seeds.h"

#define NODES 2
#define QUERIES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What was read of a query's answers. */
struct answers {
	struct node_answer of[NODES];
	bool given[NODES];
	struct slice spellings;
};

/* One of two ways to make the list. */
struct making {
	const struct multi_search_request *request;
	const struct answers *answers;
	struct arena *arena;
	bool backwards;
	bool rises; /* the score of some hit is above that of the one before it in its query: so may the list's be */
};

/* Indexes are told by the first query that asks them. */
static uint64_t index_of(const struct multi_search_request *request, size_t query)
{
	size_t first = 0;

	while (!slice_equal(request->queries[first].uid, request->queries[query].uid))
		first++;
	return first;
}

static void read_answers(const struct multi_search_request *request, size_t query, struct slice *text,
                         struct arena *arena, struct answers *answers)
{
	for (int32_t node = 0; node < NODES; node++) {
		struct node_question question = {.partitions = &node,
		                                 .partitions_len = 1,
		                                 .hits_max = request->queries[query].search.limit,
		                                 .facets = request->queries[query].search.facets.len > 0};
		struct error error;

		answers->given[node] =
			node_answer_parse(take_line(text), &question, arena, &answers->of[node], &error) == 0;
	}
	answers->spellings = take_line(text);
	/* of two that speak of different queries only the first one counts, whichever it is */
	if (answers->of[0].terms != answers->of[1].terms ||
	    answers->of[0].frequencies_len != answers->of[1].frequencies_len)
		answers->given[1] = false;
}

/* As a flight asks, and takes what it is told; refused, all stays as it was. */
static void check_spellings(const struct making *making, struct merge *merge, struct slice spellings)
{
	struct buffer asked;
	struct error error;
	yyjson_doc *doc;

	buffer_init(&asked, SIZE_MAX);
	if (facet_merge_ask(&merge->facets, settings_default(), &asked)) {
		ASSERT(json_parse(buffer_slice(&asked), 3, &doc, &error) == 0);
		yyjson_doc_free(doc);
		if (json_parse(spellings, JSON_DEPTH_MAX, &doc, &error) == 0) {
			(void)facet_merge_spell(&merge->facets, yyjson_doc_get_root(doc), making->arena,
			                        &error);
			yyjson_doc_free(doc);
		}
	}
	buffer_deinit(&asked);
}

static double hit_score(const struct node_hit *hit)
{
	double rank = 1;
	double highest = 1;

	for (size_t i = 0; i < hit->scores_len; i++) {
		rank = (rank - 1) * hit->scores[i].highest + hit->scores[i].rank;
		highest *= hit->scores[i].highest;
	}
	return rank / highest;
}

static void add_query(struct making *making, struct federation *federation, size_t query,
                      struct federation_count *count)
{
	const struct answers *answers = &making->answers[query];
	const struct search_request *search = &making->request->queries[query].search;
	struct page page = {0, search->limit};
	struct federation_part part = {.query = query, .index_id = index_of(making->request, query)};
	struct buffer facets;
	struct merge merge;
	struct error error;

	merge_init(&merge);
	buffer_init(&facets, SIZE_MAX);
	for (size_t i = 0; i < NODES; i++) {
		size_t node = making->backwards ? NODES - 1 - i : i;

		if (answers->given[node])
			ASSERT(merge_add(&merge, &answers->of[node], &error) == 0);
	}
	ASSERT(merge_order(&merge, &error) == 0);
	if (search->facets.len > 0) {
		check_spellings(making, &merge, answers->spellings);
		buffer_put_u8(&facets, '{');
		facet_merge_append(&merge.facets, settings_default(), &facets);
		buffer_put_u8(&facets, '}');
		if (count->facets.ptr == NULL)
			ASSERT(arena_copy(making->arena, buffer_slice(&facets), &count->facets));
	}
	part.hits = merge_page(&merge, page, &part.hits_len);
	count->total += merge.total;
	ASSERT(merge.total >= (int64_t)part.hits_len);
	for (size_t i = 1; i < part.hits_len; i++)
		making->rises |= hit_score(&part.hits[i]) > hit_score(&part.hits[i - 1]);
	ASSERT(federation_add(federation, &part, &error) == 0);
	buffer_deinit(&facets);
	merge_deinit(&merge);
}

/* The queries of an index, and what they count: no more than all of them, as that they say alone. */
static void add_index(struct making *making, struct federation *federation, size_t first)
{
	const struct multi_search_request *request = making->request;
	struct federation_count count = {.uid = request->queries[first].uid};
	struct error error;

	for (size_t query = first; query < request->len; query++)
		if (index_of(request, query) == first)
			add_query(making, federation, query, &count);
	ASSERT(federation_add_count(federation, &count, &error) == 0);
}

static void make(struct making *making, struct buffer *body)
{
	struct federation federation;
	struct error error;

	federation_init(&federation, making->request, making->arena);
	for (size_t i = 0; i < making->request->len; i++) {
		size_t query = making->backwards ? making->request->len - 1 - i : i;

		if (index_of(making->request, query) == query)
			add_index(making, &federation, query);
	}
	ASSERT(federation_order(&federation, &error) == 0);
	federation_answer(&federation, 7, "uid", body);
	ASSERT(!buffer_failed(body));
	federation_deinit(&federation);
}

/* How many documents were found, each counted once. */
static size_t count_documents(const struct making *making)
{
	struct map seen;

	map_init(&seen);
	for (size_t query = 0; query < making->request->len; query++)
		for (size_t node = 0; node < NODES; node++) {
			const struct node_answer *answer = &making->answers[query].of[node];
			size_t len = making->answers[query].given[node] ? answer->hits_len : 0;

			for (size_t i = 0; i < len; i++) {
				struct buffer name;
				struct slice kept;

				buffer_init(&name, SIZE_MAX);
				buffer_put_u64(&name, index_of(making->request, query));
				buffer_put_u64(&name, node);
				buffer_append_slice(&name, answer->hits[i].id);
				ASSERT(arena_copy(making->arena, buffer_slice(&name), &kept));
				if (map_get(&seen, kept) == NULL)
					ASSERT(map_put(&seen, kept, 0));
				buffer_deinit(&name);
			}
		}
	size_t count = seen.count;
	map_deinit(&seen);
	return count;
}

static int64_t number_of(yyjson_val *value)
{
	struct slice raw = json_raw_number(value);

	ASSERT(raw.ptr != NULL);
	return (int64_t)strtoll((const char *)raw.ptr, NULL, 10);
}

static double score_of(yyjson_val *hit)
{
	struct slice raw =
		json_raw_number(yyjson_obj_get(yyjson_obj_get(hit, "_federation"), "weightedRankingScore"));

	ASSERT(raw.ptr != NULL);
	return strtod((const char *)raw.ptr, NULL);
}

/* Whether all hits are ranked by words, and by nothing else. */
static bool is_of_words(const struct making *making)
{
	for (size_t query = 0; query < making->request->len; query++)
		for (size_t node = 0; node < NODES; node++) {
			const struct node_answer *answer = &making->answers[query].of[node];
			size_t len = making->answers[query].given[node] ? answer->hits_len : 0;

			for (size_t i = 0; i < len; i++) {
				if (answer->hits[i].scores_len == 0)
					return false;
				for (size_t s = 0; s < answer->hits[i].scores_len; s++)
					if (answer->hits[i].scores[s].value.ptr != NULL)
						return false;
			}
		}
	return true;
}

static void check_scores(yyjson_val *hits)
{
	for (size_t i = 1; i < yyjson_arr_size(hits); i++) {
		yyjson_val *before = yyjson_arr_get(hits, i - 1);
		yyjson_val *hit = yyjson_arr_get(hits, i);
		int64_t place =
			number_of(yyjson_obj_get(yyjson_obj_get(before, "_federation"), "queriesPosition"));

		ASSERT(score_of(before) >= score_of(hit));
		if (score_of(before) == score_of(hit))
			ASSERT(place <= number_of(yyjson_obj_get(yyjson_obj_get(hit, "_federation"),
			                                         "queriesPosition")));
	}
}

static void check_answer(const struct making *making, const struct buffer *body)
{
	const struct search_request *paging = &making->request->federation.paging;
	struct page page = page_of_search(paging, UINT64_MAX);
	struct error error;
	yyjson_doc *doc;
	yyjson_val *root;
	int64_t total;
	size_t hits;

	ASSERT(json_parse(buffer_slice(body), NODE_ANSWER_DEPTH_MAX, &doc, &error) == 0);
	root = yyjson_doc_get_root(doc);
	hits = yyjson_arr_size(yyjson_obj_get(root, "hits"));
	total = number_of(yyjson_obj_get(root, paging->by_page ? "totalHits" : "estimatedTotalHits"));
	if (is_of_words(making) && !making->rises)
		check_scores(yyjson_obj_get(root, "hits"));
	ASSERT(hits <= page.limit && hits <= count_documents(making) && total >= (int64_t)hits);
	yyjson_doc_free(doc);
}

static void check_list(struct making *making)
{
	struct buffer bodies[2];

	for (size_t i = 0; i < 2; i++) {
		buffer_init(&bodies[i], SIZE_MAX);
		making->backwards = i == 1;
		make(making, &bodies[i]);
	}
	check_answer(making, &bodies[0]);
	ASSERT(slice_equal(buffer_slice(&bodies[0]), buffer_slice(&bodies[1])));
	for (size_t i = 0; i < 2; i++)
		buffer_deinit(&bodies[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct answers answers[QUERIES_MAX] = {0};
	struct multi_search_request request;
	struct making making = {.request = &request, .answers = answers};
	struct slice text = slice_of(bytes, len);
	struct error_answer refusal;
	struct arena arena;

	arena_init(&arena, 4096);
	making.arena = &arena;
	if (multi_search_request_from_body(take_line(&text), &arena, &request, &refusal) == 0 &&
	    request.is_federated && request.len <= QUERIES_MAX &&
	    federation_request_check(&request, &refusal) == 0) {
		for (size_t i = 0; i < request.len; i++)
			read_answers(&request, i, &text, &arena, &answers[i]);
		check_list(&making);
	}
	arena_deinit(&arena);
	return 0;
}

/* ---- seeds ---- */

#define RECEIVED(p) "{\"received\":[{\"p\":" p ",\"received\":7,\"state\":\"active\"}],\"total\":2,"
#define HIT(p, id, rank, score) \
	"{\"p\":" p ",\"rank\":\"" rank "\",\"ts\":1,\"seq\":0,\"id\":\"" id "\",\"score\":" score \
	",\"doc\":{\"id\":\"" id "\"}}"
#define EQUAL(p, id, rank, value) \
	"{\"p\":" p ",\"rank\":\"" rank "\",\"ts\":1,\"seq\":0,\"id\":\"" id "\",\"distinct\":[\"" value \
	"\"],\"score\":[[1,2]],\"doc\":{\"id\":\"" id "\"}}"
#define FACETS \
	"\"facets\":{\"n\":{\"values\":[{\"key\":\"1.5\",\"number\":true,\"value\":\"1.5\",\"count\":1}," \
	"{\"key\":\"red\",\"value\":\"Red\",\"count\":2}],\"min\":1.5,\"max\":2.0}},"
#define ANSWER(p, a, b) \
	RECEIVED(p) \
	FACETS "\"hits\":[" HIT(p, a, "0a", "[[2,2],[1,4],\"0a\"]") "," HIT(p, b, "0b", \
	                                                                    "[[1,2],[3,4],\"0c\"]") "]}\n"
#define SPELLINGS "{\"n\":[{\"value\":\"RED\",\"key\":\"red\"}]}\n"

static const char *const seeds[] = {
	/* one index by two queries; equal scores */
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"a\"}]}"
	"\n" RECEIVED("0") "\"hits\":[" HIT("0", "x", "0a", "[[1,2]]") "," HIT(
		"0", "y", "0b",
		"[[1,2]]") "]}\n\n\n" RECEIVED("0") "\"hits\":[" HIT("0", "z", "0a",
                                                                     "[[1,2]]") "," HIT("0", "x", "0b",
                                                                                        "[[1,"
                                                                                        "2]]") "]}\n",
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"}]}\n" ANSWER("0", "x", "y")
		ANSWER("1", "z", "y"),
	"{\"federation\":{\"offset\":1,\"limit\":2},\"queries\":[{\"indexUid\":\"a\"},"
	"{\"indexUid\":\"a\",\"federationOptions\":{\"weight\":0.5}}]}\n" ANSWER("0", "x", "y")
		ANSWER("1", "z", "y") "\n" ANSWER("0", "x", "w") ANSWER("1", "v", "y"),
	"{\"federation\":{},\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\","
	"\"federationOptions\":"
	"{\"weight\":0.9}}]}\n" RECEIVED("0") "\"hits\":[" HIT(
		"0", "x", "0a",
		"[[2,2],[1,4]]") "]}\n\n\n" RECEIVED("0") "\"hits\":[" HIT("0", "x", "0a",
                                                                           "[[2,2],[3,4]]") "," HIT("0", "y",
                                                                                                    "0b",
                                                                                                    "[[1,1]]") "]}\n",
	"{\"federation\":{\"page\":1,\"hitsPerPage\":3,\"distinct\":\"n\"},\"queries\":[{\"indexUid\":\"a\"},"
	"{\"indexUid\":\"b\"}]}\n" RECEIVED("0") "\"hits\":[" EQUAL("0", "x", "0a", "0c") "," EQUAL(
		"0", "y", "0b",
		"0d") "]}\n" RECEIVED("1") "\"hits\":[" EQUAL("1", "z", "0a",
                                                              "0d") "]}\n\n" RECEIVED("0") "\"hits\":"
											   "[" EQUAL(
												   "0", "w",
												   "0"
												   "a",
												   "0"
												   "d") "]}"
													"\n",
	"{\"federation\":{\"facetsByIndex\":{\"a\":[\"n\"]}},\"queries\":[{\"indexUid\":"
	"\"a\"}]}\n" ANSWER("0", "x", "y") RECEIVED("1") "\"facets\":{},\"hits\":[]}\n" SPELLINGS,
	"{\"federation\":{\"facetsByIndex\":{\"a\":[\"n\"],\"b\":[\"*\"]},\"mergeFacets\":{}}"
	","
	"\"queries\":[{\"indexUid\":\"a\"},{\"indexUid\":\"b\"}]}\n" ANSWER("0", "x", "y")
		ANSWER("1", "z", "y") SPELLINGS ANSWER("0", "x", "w") ANSWER("1", "v", "y") SPELLINGS,
};

static void seeds_make(void)
{
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		seed_write(slice_string(seeds[i]));
}
