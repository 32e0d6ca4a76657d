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
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const int32_t asked[] = {0, 1};
	static const bool first[] = {true, false};
	struct node_question question = {asked, 2, 3, NULL};
	struct slice text = slice_of(bytes, len);
	struct node_refusals refusals;
	struct node_answer answer;
	struct node_document document;
	struct merge merge;
	struct stats *stats;
	struct error error;
	struct arena arena;
	size_t page_len;

	arena_init(&arena, 4096);
	merge_init(&merge);
	if (node_answer_parse(text, &question, &arena, &answer, &error) == 0) {
		check(&answer, &question, text);
		ASSERT(merge_add(&merge, &answer, &error) == 0);
		(void)merge_page(&merge, (struct page){0, 20}, &page_len);
	}
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
	merge_deinit(&merge);
	arena_deinit(&arena);
	return 0;
}
