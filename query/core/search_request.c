#include "query/core/search_request.h"

#include "shared/filter/filter.h"

#define BODY PARAMETER_PLACE_BODY
#define URL PARAMETER_PLACE_URL
#define BOTH PARAMETER_PLACE_BOTH
#define ROW(parameter) [SEARCH_QUERY_FIRST + SEARCH_PARAMETER_##parameter]
#define NOT_NULL PARAMETER_NOT_NULL
#define UNAVAILABLE PARAMETER_UNAVAILABLE

enum {
	HYBRID_RATIO,
	HYBRID_EMBEDDER,
	HYBRID_ROWS
};

static const struct parameter hybrid_rows[HYBRID_ROWS] = {
	[HYBRID_RATIO] = {"semanticRatio", PARAMETER_KIND_RATIO, BODY, "invalid_search_semantic_ratio", NULL,
                          NOT_NULL},
	[HYBRID_EMBEDDER] = {"embedder", PARAMETER_KIND_STRING, BODY, "invalid_search_embedder", NULL,
                             NOT_NULL | PARAMETER_REQUIRED},
};

static const struct parameter_table hybrid_table = {hybrid_rows, HYBRID_ROWS};

static const struct parameter rows[] = {
	[SEARCH_QUERY_INDEX_UID] = {"indexUid", PARAMETER_KIND_STRING, BODY, "invalid_index_uid", NULL,
                                    NOT_NULL},
	ROW(Q) = {"q", PARAMETER_KIND_STRING, BOTH, "invalid_search_q", "\"\"", 0},
	ROW(OFFSET) = {"offset", PARAMETER_KIND_COUNT, BOTH, "invalid_search_offset", NULL, NOT_NULL},
	ROW(LIMIT) = {"limit", PARAMETER_KIND_COUNT, BOTH, "invalid_search_limit", NULL, NOT_NULL},
	ROW(PAGE) = {"page", PARAMETER_KIND_COUNT, BOTH, "invalid_search_page", NULL, 0},
	ROW(HITS_PER_PAGE) = {"hitsPerPage", PARAMETER_KIND_COUNT, BOTH, "invalid_search_hits_per_page", NULL,
                              0},
	ROW(RETRIEVE) = {"attributesToRetrieve", PARAMETER_KIND_STRINGS, BOTH,
                         "invalid_search_attributes_to_retrieve", "[\"*\"]", 0},
	ROW(CROP) = {"attributesToCrop", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_attributes_to_crop",
                     "[]", 0},
	ROW(CROP_LENGTH) = {"cropLength", PARAMETER_KIND_COUNT, BOTH, "invalid_search_crop_length", "10",
                            NOT_NULL},
	ROW(CROP_MARKER) = {"cropMarker", PARAMETER_KIND_STRING, BOTH, "invalid_search_crop_marker", "\"…\"",
                            NOT_NULL},
	ROW(HIGHLIGHT) = {"attributesToHighlight", PARAMETER_KIND_STRINGS, BOTH,
                          "invalid_search_attributes_to_highlight", "[]", 0},
	ROW(PRE_TAG) = {"highlightPreTag", PARAMETER_KIND_STRING, BOTH, "invalid_search_highlight_pre_tag",
                        "\"<em>\"", NOT_NULL},
	ROW(POST_TAG) = {"highlightPostTag", PARAMETER_KIND_STRING, BOTH, "invalid_search_highlight_post_tag",
                         "\"</em>\"", NOT_NULL},
	ROW(MATCHES_POSITION) = {"showMatchesPosition", PARAMETER_KIND_BOOLEAN, BOTH,
                                 "invalid_search_show_matches_position", "false", NOT_NULL},
	ROW(FILTER) = {"filter", PARAMETER_KIND_ANY, BOTH, "invalid_search_filter", "\"\" [] null", 0},
	ROW(SORT) = {"sort", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_sort", "[]", 0},
	ROW(DISTINCT) = {"distinct", PARAMETER_KIND_STRING, BOTH, "invalid_search_distinct", NULL, 0},
	ROW(FACETS) = {"facets", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_facets", "[]", 0},
	ROW(STRATEGY) = {"matchingStrategy", PARAMETER_KIND_STRATEGY, BOTH,
                         "invalid_search_matching_strategy", "\"last\"", NOT_NULL},
	ROW(SEARCH_ON) = {"attributesToSearchOn", PARAMETER_KIND_STRINGS, BOTH,
                          "invalid_search_attributes_to_search_on", "[\"*\"]", 0},
	ROW(THRESHOLD) = {"rankingScoreThreshold", PARAMETER_KIND_RATIO, BOTH,
                          "invalid_search_ranking_score_threshold", NULL, 0},
	ROW(LOCALES) = {"locales", PARAMETER_KIND_STRINGS, BOTH, "invalid_search_locales", NULL, 0},
	ROW(HYBRID) = {"hybrid", PARAMETER_KIND_OBJECT, BODY, "invalid_search_hybrid_query", NULL, 0,
                       &hybrid_table},
	ROW(HYBRID_EMBEDDER) = {"hybridEmbedder", PARAMETER_KIND_STRING, URL, "invalid_search_embedder", NULL,
                                0},
	ROW(HYBRID_RATIO) = {"hybridSemanticRatio", PARAMETER_KIND_RATIO, URL,
                             "invalid_search_semantic_ratio", NULL, 0},
	ROW(VECTOR) = {"vector", PARAMETER_KIND_NUMBERS, BOTH, "invalid_search_vector", NULL, 0},
	/* no index has an embedder, so there are never vectors to retrieve */
	ROW(RETRIEVE_VECTORS) = {"retrieveVectors", PARAMETER_KIND_BOOLEAN, BOTH,
                                 "invalid_search_retrieve_vectors", NULL, NOT_NULL},
	ROW(MEDIA) = {"media", PARAMETER_KIND_ANY, BODY, "invalid_search_media", NULL, 0},
	ROW(PERSONALIZE) = {"personalize", PARAMETER_KIND_OBJECT, BODY, "invalid_search_personalize", NULL,
                            UNAVAILABLE},
	ROW(PERSONALIZE_CONTEXT) = {"personalizeUserContext", PARAMETER_KIND_STRING, URL,
                                    "invalid_search_personalize_user_context", NULL, UNAVAILABLE},
	ROW(USE_NETWORK) = {"useNetwork", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_use_network", "false",
                            UNAVAILABLE},
	ROW(SCORE) = {"showRankingScore", PARAMETER_KIND_BOOLEAN, BOTH, "invalid_search_show_ranking_score",
                      "false", NOT_NULL},
	ROW(SCORE_DETAILS) = {"showRankingScoreDetails", PARAMETER_KIND_BOOLEAN, BOTH,
                              "invalid_search_show_ranking_score_details", "false", NOT_NULL},
	ROW(PERFORMANCE) = {"showPerformanceDetails", PARAMETER_KIND_BOOLEAN, BOTH,
                            "invalid_search_show_performance_details", "false", UNAVAILABLE | NOT_NULL},
	[SEARCH_QUERY_OPTIONS] = {"federationOptions", PARAMETER_KIND_ANY, BODY,
                                  "invalid_multi_search_federation_options", NULL, 0},
};

/* What nodes obey. */
static const enum search_parameter asked[] = {
	SEARCH_PARAMETER_Q,           SEARCH_PARAMETER_FILTER,
	SEARCH_PARAMETER_SORT,        SEARCH_PARAMETER_DISTINCT,
	SEARCH_PARAMETER_STRATEGY,    SEARCH_PARAMETER_SEARCH_ON,
	SEARCH_PARAMETER_THRESHOLD,   SEARCH_PARAMETER_FACETS,
	SEARCH_PARAMETER_RETRIEVE,    SEARCH_PARAMETER_CROP,
	SEARCH_PARAMETER_CROP_LENGTH, SEARCH_PARAMETER_CROP_MARKER,
	SEARCH_PARAMETER_HIGHLIGHT,   SEARCH_PARAMETER_PRE_TAG,
	SEARCH_PARAMETER_POST_TAG,    SEARCH_PARAMETER_MATCHES_POSITION,
	SEARCH_PARAMETER_SCORE,       SEARCH_PARAMETER_SCORE_DETAILS,
};

_Static_assert(SEARCH_QUERY_PARAMETERS <= PARAMETERS_MAX,
               "the table of search parameters is over PARAMETERS_MAX");

static const struct parameter_table search_table = {rows + SEARCH_QUERY_FIRST, SEARCH_PARAMETERS};
static const struct parameter_table query_table = {rows, SEARCH_QUERY_PARAMETERS};

const struct parameter_table *search_parameters(void)
{
	return &search_table;
}

const struct parameter_table *search_query_parameters(void)
{
	return &query_table;
}

static void append_asked(struct buffer *text, const struct parameter_value *values)
{
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		if (!values[asked[i]].given)
			continue;
		buffer_printf(text, ",\"%s\":", search_table.rows[asked[i]].name);
		buffer_append_slice(text, values[asked[i]].json);
	}
}

static struct search_names names_of(const struct parameter_value *value)
{
	return value->given ? (struct search_names){value->list, value->list_len} : (struct search_names){0};
}

static uint64_t count_of(const struct parameter_value *value, uint64_t otherwise)
{
	return value->given ? value->count : otherwise;
}

/* In Meilisearch's order; the semantics of words and vectors together is its own. */
static enum search_kind kind_of(const struct parameter_value *values, bool hybrid,
                                const struct parameter_value *ratio)
{
	const struct parameter_value *q = &values[SEARCH_PARAMETER_Q];
	bool vector = values[SEARCH_PARAMETER_VECTOR].given;
	bool media = values[SEARCH_PARAMETER_MEDIA].given;
	bool by_words = !hybrid || (ratio->given && ratio->ratio <= 0.0);
	bool placeholder = !q->given || filter_trim(q->text).len == 0;

	if (media && vector)
		return SEARCH_KIND_MEDIA_AND_VECTOR;
	if ((media || vector) && !hybrid)
		return SEARCH_KIND_NO_EMBEDDER;
	if (by_words)
		return media ? SEARCH_KIND_MEDIA : SEARCH_KIND_WORDS;
	return placeholder && !media && !vector ? SEARCH_KIND_WORDS : SEARCH_KIND_EMBEDDER;
}

/* `hybrid` of a body, or what a URL has in its place. */
static void take_kind(const struct parameter_value *values, struct search_request *request)
{
	const struct parameter_value *hybrid = &values[SEARCH_PARAMETER_HYBRID];
	const struct parameter_value *ratio =
		hybrid->given ? &hybrid->members[HYBRID_RATIO] : &values[SEARCH_PARAMETER_HYBRID_RATIO];
	const struct parameter_value *embedder =
		hybrid->given ? &hybrid->members[HYBRID_EMBEDDER] : &values[SEARCH_PARAMETER_HYBRID_EMBEDDER];

	request->kind = kind_of(values, embedder->given, ratio);
	if (request->kind == SEARCH_KIND_EMBEDDER)
		request->embedder = embedder->text;
}

int search_request_of(const struct parameter_value *values, struct arena *arena,
                      struct search_request *request, struct error_answer *refusal)
{
	const struct parameter_value *q = &values[SEARCH_PARAMETER_Q];
	const struct parameter_value *page = &values[SEARCH_PARAMETER_PAGE];
	const struct parameter_value *size = &values[SEARCH_PARAMETER_HITS_PER_PAGE];
	const struct parameter_value *strategy = &values[SEARCH_PARAMETER_STRATEGY];
	struct search_request made = {
		.q = q->given ? q->text : slice_string(""),
		.by_page = page->given || size->given,
		.offset = count_of(&values[SEARCH_PARAMETER_OFFSET], 0),
		.limit = count_of(&values[SEARCH_PARAMETER_LIMIT], SEARCH_LIMIT_DEFAULT),
		.page = count_of(page, 1),
		.hits_per_page = count_of(size, SEARCH_LIMIT_DEFAULT),
		.sort = names_of(&values[SEARCH_PARAMETER_SORT]),
		.facets = names_of(&values[SEARCH_PARAMETER_FACETS]),
		.search_on = names_of(&values[SEARCH_PARAMETER_SEARCH_ON]),
		.by_frequency = strategy->given && slice_equal(strategy->text, slice_string("frequency")),
		.by_all = strategy->given && slice_equal(strategy->text, slice_string("all")),
		.has_threshold = values[SEARCH_PARAMETER_THRESHOLD].given,
	};
	struct buffer text;
	bool copied;

	if (values[SEARCH_PARAMETER_FILTER].given)
		made.filter = values[SEARCH_PARAMETER_FILTER].json;
	if (values[SEARCH_PARAMETER_DISTINCT].given)
		made.distinct = values[SEARCH_PARAMETER_DISTINCT].text;
	take_kind(values, &made);
	buffer_init(&text, SIZE_MAX);
	append_asked(&text, values);
	copied = !buffer_failed(&text) && arena_copy(arena, buffer_slice(&text), &made.asked);
	buffer_deinit(&text);
	if (!copied)
		return error_answer_set(refusal, "internal", "out of memory for the request's parameters");
	*request = made;
	return 0;
}

int search_request_from_body(struct slice body, struct arena *arena, struct search_request *request,
                             struct error_answer *refusal)
{
	struct parameter_value values[SEARCH_PARAMETERS];
	int result = parameters_from_body(&search_table, body, arena, values, refusal);

	return result < 0 ? result : search_request_of(values, arena, request, refusal);
}

/* What a URL may not say without naming an embedder. */
static int check_embedder(const struct parameter_value *values, struct error_answer *refusal)
{
	if (values[SEARCH_PARAMETER_HYBRID_EMBEDDER].given)
		return 0;
	if (values[SEARCH_PARAMETER_HYBRID_RATIO].given)
		return error_answer_set(
			refusal, "invalid_search_hybrid_query",
			"`hybridEmbedder` is mandatory when `hybridSemanticRatio` is present");
	if (values[SEARCH_PARAMETER_VECTOR].given)
		return error_answer_set(refusal, "missing_search_hybrid",
		                        "`hybridEmbedder` is mandatory when `vector` is present");
	return 0;
}

int search_request_from_url(const struct argument *arguments, struct arena *arena,
                            struct search_request *request, struct error_answer *refusal)
{
	struct parameter_value values[SEARCH_PARAMETERS];
	int result = parameters_from_url(&search_table, arguments, arena, values, refusal);

	if (result == 0)
		result = check_embedder(values, refusal);
	return result < 0 ? result : search_request_of(values, arena, request, refusal);
}

int search_request_ask(struct search_request *request, struct slice members, struct arena *arena,
                       struct error_answer *refusal)
{
	size_t len = request->asked.len + members.len;
	uint8_t *all = arena_alloc(arena, len + 1);

	if (all == NULL)
		return error_answer_set(refusal, "internal", "out of memory for the request's parameters");
	if (request->asked.len > 0)
		memcpy(all, request->asked.ptr, request->asked.len);
	if (members.len > 0)
		memcpy(all + request->asked.len, members.ptr, members.len);
	request->asked = slice_of(all, len);
	return 0;
}

static bool copy_text(struct arena *arena, struct slice *text)
{
	return text->ptr == NULL || arena_copy(arena, *text, text);
}

static bool copy_names(struct arena *arena, struct search_names *names)
{
	struct slice *list = arena_alloc(arena, (names->len + 1) * sizeof list[0]);

	if (list == NULL)
		return false;
	for (size_t i = 0; i < names->len; i++)
		if (!arena_copy(arena, names->list[i], &list[i]))
			return false;
	names->list = list;
	return true;
}

bool search_request_copy(const struct search_request *request, struct arena *arena,
                         struct search_request *copy)
{
	struct search_request made = *request;

	if (!copy_text(arena, &made.q) || !copy_text(arena, &made.filter) ||
	    !copy_text(arena, &made.distinct) || !copy_text(arena, &made.asked) ||
	    !copy_text(arena, &made.embedder) || !copy_names(arena, &made.sort) ||
	    !copy_names(arena, &made.facets) || !copy_names(arena, &made.search_on))
		return false;
	*copy = made;
	return true;
}
