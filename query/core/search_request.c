#include "query/core/search_request.h"

#define BODY PARAMETER_PLACE_BODY
#define URL PARAMETER_PLACE_URL
#define BOTH PARAMETER_PLACE_BOTH

enum {
	ROW_Q,
	ROW_OFFSET,
	ROW_LIMIT
};

static const struct parameter rows[] = {
	[ROW_Q] = {"q", PARAMETER_KIND_STRING, BOTH, "invalid_search_q", NULL},
	[ROW_OFFSET] = {"offset", PARAMETER_KIND_COUNT, BOTH, "invalid_search_offset", NULL},
	[ROW_LIMIT] = {"limit", PARAMETER_KIND_COUNT, BOTH, "invalid_search_limit", NULL},
	{"page", PARAMETER_KIND_COUNT, BOTH, "invalid_search_page", ""},
	{"hitsPerPage", PARAMETER_KIND_COUNT, BOTH, "invalid_search_hits_per_page", ""},
	{"attributesToRetrieve", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_attributes_to_retrieve",
         "[\"*\"]"},
	{"attributesToCrop", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_attributes_to_crop", "[]"},
	{"cropLength", PARAMETER_KIND_COUNT, BOTH, "invalid_search_crop_length", "10"},
	{"cropMarker", PARAMETER_KIND_STRING, BOTH, "invalid_search_crop_marker", "\"…\""},
	{"attributesToHighlight", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_attributes_to_highlight",
         "[]"},
	{"highlightPreTag", PARAMETER_KIND_STRING, BOTH, "invalid_search_highlight_pre_tag", "\"<em>\""},
	{"highlightPostTag", PARAMETER_KIND_STRING, BOTH, "invalid_search_highlight_post_tag", "\"</em>\""},
	{"showMatchesPosition", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_show_matches_position",
         "false"},
	{"filter", PARAMETER_KIND_ANY, BOTH, "invalid_search_filter", "\"\" []"},
	{"sort", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_sort", "[]"},
	{"distinct", PARAMETER_KIND_STRING, BOTH, "invalid_search_distinct", ""},
	{"facets", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_facets", ""},
	{"matchingStrategy", PARAMETER_KIND_STRATEGY, BOTH, "invalid_search_matching_strategy",
         "\"last\" \"all\""},
	{"attributesToSearchOn", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_attributes_to_search_on",
         "[\"*\"]"},
	{"rankingScoreThreshold", PARAMETER_KIND_RATIO, BOTH, "invalid_search_ranking_score_threshold", ""},
	{"locales", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_locales", ""},
	{"hybrid", PARAMETER_KIND_OBJECT, BODY, "invalid_search_hybrid_query", ""},
	{"hybridEmbedder", PARAMETER_KIND_STRING, URL, "invalid_search_embedder", ""},
	{"hybridSemanticRatio", PARAMETER_KIND_RATIO, URL, "invalid_search_semantic_ratio", ""},
	{"vector", PARAMETER_KIND_NUMBERS, BOTH, "invalid_search_vector", ""},
	/* no index has an embedder, so there are never vectors to retrieve */
	{"retrieveVectors", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_retrieve_vectors", "false true"},
	{"media", PARAMETER_KIND_ANY, BODY, "invalid_search_media", ""},
	{"personalize", PARAMETER_KIND_OBJECT, BODY, "invalid_search_personalize", ""},
	{"personalizeUserContext", PARAMETER_KIND_STRING, URL, "invalid_search_personalize_user_context", ""},
	{"useNetwork", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_use_network", "false"},
	{"showRankingScore", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_show_ranking_score", "false"},
	{"showRankingScoreDetails", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_show_ranking_score_details",
         "false"},
	{"showPerformanceDetails", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_show_performance_details",
         "false"},
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct parameter_table table = {rows, ROWS};

_Static_assert(ROWS <= PARAMETERS_MAX, "the table of search parameters is over PARAMETERS_MAX");

static void request_of(const struct parameter_value *values, struct search_request *request)
{
	*request = (struct search_request){
		.q = values[ROW_Q].given ? values[ROW_Q].text : slice_string(""),
		.offset = values[ROW_OFFSET].given ? values[ROW_OFFSET].count : 0,
		.limit = values[ROW_LIMIT].given ? values[ROW_LIMIT].count : SEARCH_LIMIT_DEFAULT,
	};
}

int search_request_from_body(struct slice body, struct arena *arena, struct search_request *request,
                             struct error_answer *refusal)
{
	struct parameter_value values[ROWS];
	int result = parameters_from_body(&table, body, arena, values, refusal);

	if (result == 0)
		request_of(values, request);
	return result;
}

int search_request_from_url(const struct argument *arguments, struct arena *arena,
                            struct search_request *request, struct error_answer *refusal)
{
	struct parameter_value values[ROWS];
	int result = parameters_from_url(&table, arguments, arena, values, refusal);

	if (result == 0)
		request_of(values, request);
	return result;
}
