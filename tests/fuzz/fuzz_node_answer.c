/*
 * Answers of nodes are untrusted: whatever the bytes, what is accepted stays
 * inside them and inside what was asked.
 */
#include "query/core/merge.h"
#include "query/core/stats.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct node_answer *answer, const struct node_question *question, struct slice text)
{
	ASSERT(answer->hits_len <= question->hits_max);
	ASSERT(answer->stale_len <= question->partitions_len);
	for (size_t i = 0; i < answer->hits_len; i++) {
		const struct node_hit *hit = &answer->hits[i];

		ASSERT(hit->document.ptr >= text.ptr &&
		       hit->document.ptr + hit->document.len <= text.ptr + text.len);
		ASSERT(hit->document.ptr[0] == '{' && hit->document.ptr[hit->document.len - 1] == '}');
		ASSERT(document_id_is_valid(hit->id));
		ASSERT(hit->distinct_len <= NODE_DISTINCT_MAX && hit->scores_len <= NODE_SCORES_MAX);
	}
	ASSERT(answer->terms <= SEARCH_TERMS_MAX && answer->known >> answer->terms == 0);
}

/* What is merged is shown as JSON. */
static void check_merge(const struct node_answer *answer)
{
	struct merge_words words;
	struct buffer body;
	struct merge merge;
	struct error error;
	yyjson_doc *doc;
	size_t len;

	merge_init(&merge);
	buffer_init(&body, SIZE_MAX);
	for (int i = 0; i < 2; i++)
		ASSERT(merge_add(&merge, answer, &error) == 0);
	ASSERT(!merge_wants(&merge, &words) || words.rarest < SEARCH_TERMS_MAX);
	ASSERT(merge_order(&merge, &error) == 0);
	(void)merge_page(&merge, (struct page){0, 20}, &len);
	ASSERT(merge.total >= 0);
	buffer_put_u8(&body, '{');
	facet_merge_append(&merge.facets, settings_default(), &body);
	buffer_put_u8(&body, '}');
	ASSERT(json_parse(buffer_slice(&body), 8, &doc, &error) == 0);
	yyjson_doc_free(doc);
	buffer_deinit(&body);
	merge_deinit(&merge);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const int32_t asked[] = {0, 1};
	static const bool first[] = {true, false};
	struct node_question question = {.partitions = asked, .partitions_len = 2, .hits_max = 3};
	struct slice text = slice_of(bytes, len);
	struct node_refusals refusals;
	struct node_answer answer;
	struct node_document document;
	struct stats *stats;
	struct error error;
	struct arena arena;
	int64_t version;

	arena_init(&arena, 4096);
	for (int i = 0; i < 2; i++) {
		question.facets = i == 0;
		if (node_answer_parse(text, &question, &arena, &answer, &error) == 0) {
			check(&answer, &question, text);
			check_merge(&answer);
		}
	}
	(void)node_settings_parse(text, &version);
	(void)node_refusal_parse(text, &question, &arena, &refusals, &error);
	if (node_answer_parse(text, &question, &arena, &answer, &error) == 0 &&
	    node_answer_restrict(&answer, &question, first)) {
		check(&answer, &question, text);
		for (size_t i = 0; i < answer.hits_len; i++)
			ASSERT(answer.hits[i].partition == 0);
		ASSERT(answer.total >= 0);
	}
	(void)node_document_parse(text, 0, true, &document, &error);
	(void)node_document_parse(text, 0, false, &document, &error);
	stats = stats_new(NULL, &arena);
	ASSERT(stats != NULL);
	(void)stats_add(stats, text, &error);
	arena_deinit(&arena);
	return 0;
}
