/*
 * Questions of gateways: any JSON is one or refused in words, and what is read
 * keeps its bounds; its query, filter and sorts are parsed or refused.
 */
#include "shard/core/search_question.h"
#include "shard/core/search_rules.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool fold(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	return text_fold(context, text, folded, &error) == 0;
}

static void check_bounds(const struct search_question *question)
{
	ASSERT(question->settings >= -1 && question->limit <= SEARCH_QUESTION_LIMIT_MAX);
	ASSERT(question->threshold >= 0 && question->threshold <= 1);
	ASSERT(question->known >> QUERY_TERMS_MAX == 0 && question->rarest < QUERY_TERMS_MAX);
	ASSERT(question->sort.len <= SEARCH_QUESTION_NAMES_MAX &&
	       question->facets.len <= SEARCH_QUESTION_NAMES_MAX);
	ASSERT(question->q.ptr != NULL && question->pre_tag.ptr != NULL && question->post_tag.ptr != NULL &&
	       question->crop_marker.ptr != NULL);
}

static void check_rules(const struct search_question *question, const struct query *query)
{
	struct search_rules_request request = {.ranking = &settings_default()->rules,
	                                       .sort = question->sort,
	                                       .strategy = question->strategy,
	                                       .has_terms = query->terms_len > 0};
	struct search_rules rules;
	struct error error;

	if (search_rules_resolve(&request, &rules, &error) != 0) {
		ASSERT(error.action == ERROR_ACTION_REJECT && error.text[0] != '\0');
		return;
	}
	ASSERT(rules.len <= SEARCH_RULES_MAX);
	for (size_t i = 0; i < rules.len; i++)
		ASSERT(rules.list[i].kind != SEARCH_RULE_POINT ||
		       (rules.list[i].lat >= -90 && rules.list[i].lat <= 90 && rules.list[i].lng >= -180 &&
		        rules.list[i].lng <= 180));
}

static void check_question(const struct search_question *question, struct text *text, struct arena *arena)
{
	struct query_request request = {.text = question->q, .prefix_search = true, .arena = arena};
	struct filter_fold folding = {fold, text};
	struct filter_refusal refusal;
	struct filter *filter;
	struct query query;
	struct error error;

	check_bounds(question);
	ASSERT(query_parse(text, &request, &query, &error) == 0);
	check_rules(question, &query);
	if (question->filter.ptr != NULL &&
	    filter_parse_search(question->filter, &folding, arena, &filter, &refusal) != 0)
		ASSERT(refusal.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct text *text;
	struct search_question question;
	struct arena arena;
	struct error error;
	yyjson_doc *doc;

	if (text == NULL)
		text = text_new();
	ASSERT(text != NULL);
	if (json_parse_typed(slice_of(bytes, len), &doc, &error) != 0)
		return 0;
	arena_init(&arena, 4096);
	if (search_question_read(yyjson_doc_get_root(doc), &arena, &question, &error) == 0)
		check_question(&question, text, &arena);
	else
		ASSERT(error.action == ERROR_ACTION_REJECT && error.text[0] != '\0');
	arena_deinit(&arena);
	yyjson_doc_free(doc);
	return 0;
}
