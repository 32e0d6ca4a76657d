/* Search: per word the documents of memory and disk, intersected; then the page in ranked order. */
#include "shard/core/reading.h"
#include "shard/core/words.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Words of a query beyond this many are ignored. */
#define QUERY_WORDS_MAX 64

/* Of one posting list, which is never that long. */
#define LIST_BYTES_MAX UINT32_MAX

struct query {
	struct slice words[QUERY_WORDS_MAX];
	size_t len;
	bool prefix; /* the last word is one */
};

struct search {
	struct reading reading;
	struct words *words;
	struct query query;
	struct postings hits;  /* what matches, live */
	struct postings exact; /* those of them with the last word as it stands */
	struct buffer joined;  /* a list that stands in several chunks */
};

/* The last word is a prefix if nothing follows it. */
static int query_cut(struct search *search, struct slice bytes, struct error *error)
{
	struct query *query = &search->query;
	struct text *text = words_text(search->words);
	struct token token;
	int rc;

	text_begin(text, NULL, bytes);
	while ((rc = text_next(text, &token, error)) > 0 && query->len < QUERY_WORDS_MAX) {
		query->prefix = token.kind == TOKEN_WORD && token.form.len > 0 &&
		                token.form.len <= TEXT_WORD_BYTES_MAX;
		if (!query->prefix)
			continue;
		if (!arena_copy(search->reading.arena, token.form, &query->words[query->len]))
			return error_memory(error, token.form.len);
		query->len++;
	}
	return rc < 0 ? rc : 0;
}

/* Where one word's numbers go: all that match, and those that match exactly (NULL: not asked). */
struct wanted {
	struct slice word;
	bool prefix;
	struct postings *all;
	struct postings *exact;
};

static int wanted_add(const struct wanted *wanted, struct slice word, const struct posting_list *list,
                      struct error *error)
{
	if (posting_list_numbers(list, wanted->all, error) != 0)
		return error->code;
	if (wanted->exact != NULL && slice_equal(word, wanted->word))
		return posting_list_numbers(list, wanted->exact, error);
	return 0;
}

static bool wanted_is(const struct wanted *wanted, struct slice word)
{
	return wanted->prefix ? slice_starts_with(word, wanted->word) : slice_equal(word, wanted->word);
}

static int wanted_from_memory(const struct snapshot *snapshot, const struct wanted *wanted,
                              struct error *error)
{
	for (size_t i = 0; i < snapshot->segments_len; i++) {
		const struct dictionary *dictionary = snapshot->segments[i]->dictionary;

		for (size_t at = dictionary_seek(dictionary, wanted->word); at < dictionary_len(dictionary);
		     at++) {
			struct dictionary_entry entry = dictionary_at(dictionary, at);

			if (!wanted_is(wanted, entry.word))
				break;
			if (wanted_add(wanted, entry.word, &entry.list, error) != 0)
				return error->code;
		}
	}
	return 0;
}

/* Every word of a disk segment with the prefix. */
static int wanted_expand(struct search *search, struct disk_view *view, const struct wanted *wanted,
                         struct error *error)
{
	struct section_reader *sections = disk_view_sections(view);
	struct posting_list list;
	struct terms_cursor cursor;
	struct term term;
	int rc;

	terms_cursor_init(&cursor, sections);
	if (terms_cursor_seek(&cursor, wanted->word, error) != 0)
		return error->code;
	while ((rc = terms_cursor_next(&cursor, &term, error)) > 0 && wanted_is(wanted, term.word))
		if (terms_list(sections, &term, disk_view_segment(view)->first, &search->joined, &list,
		               error) != 0 ||
		    wanted_add(wanted, term.word, &list, error) != 0)
			return error->code;
	return rc < 0 ? rc : 0;
}

static int wanted_from_disk(struct search *search, const struct wanted *wanted, struct error *error)
{
	struct views *views = &search->reading.views;
	struct posting_list list;
	struct disk_view *view;

	for (size_t i = 0; i < views->manifest->segments_len; i++) {
		if (views_at(views, i, &view, error) != 0)
			return error->code;
		if (wanted->prefix) {
			if (wanted_expand(search, view, wanted, error) != 0)
				return error->code;
		} else if (disk_list(view, wanted->word, &list, error) == 0) {
			if (wanted_add(wanted, wanted->word, &list, error) != 0)
				return error->code;
		} else if (error->code != ERROR_NOT_FOUND) {
			return error->code;
		}
	}
	return 0;
}

/* Intersects the hits with the documents of the i-th word. */
static int search_word(struct search *search, size_t i, struct error *error)
{
	bool last = i + 1 == search->query.len;
	struct postings set;
	struct wanted wanted = {search->query.words[i], last && search->query.prefix,
	                        i == 0 ? &search->hits : &set,
	                        last && search->query.prefix ? &search->exact : NULL};
	int rc;

	postings_init(&set);
	rc = wanted_from_memory(search->reading.snapshot, &wanted, error);
	if (rc == 0)
		rc = wanted_from_disk(search, &wanted, error);
	if (rc == 0 && i > 0)
		postings_and(&search->hits, &set);
	postings_deinit(&set);
	return rc;
}

static int search_match(struct search *search, struct error *error)
{
	for (size_t i = 0; i < search->query.len; i++) {
		if (search_word(search, i, error) != 0)
			return error->code;
		if (search->hits.len == 0)
			break;
	}
	postings_and_not(&search->hits, &search->reading.snapshot->deleted);
	search->reading.page.total = postings_count(&search->hits);
	if (search->query.prefix) {
		postings_and(&search->exact, &search->hits);
		postings_and_not(&search->hits, &search->exact);
	}
	return 0;
}

static int search_run(struct search *search, struct slice text, struct error *error)
{
	uint32_t words;

	if (query_cut(search, text, error) != 0)
		return error->code;
	words = (uint32_t)search->query.len;
	if (words == 0)
		return reading_list(&search->reading, 0, error);
	if (search_match(search, error) != 0)
		return error->code;
	if (!search->query.prefix)
		return reading_fill(&search->reading, &search->hits, SIZE_MAX, words, error);
	if (reading_fill(&search->reading, &search->exact, SIZE_MAX, words, error) != 0)
		return error->code;
	return reading_fill(&search->reading, &search->hits, SIZE_MAX, words - 1, error);
}

int snapshot_search(const struct snapshot *snapshot, struct words *words, struct slice query,
                    const struct document_request *request, struct document_page *page, struct error *error)
{
	struct search search = {.words = words};
	int rc;

	ASSERT(request->offset == 0);
	postings_init(&search.hits);
	postings_init(&search.exact);
	buffer_init(&search.joined, LIST_BYTES_MAX);
	rc = reading_begin(&search.reading, snapshot, request, error);
	if (rc == 0)
		rc = search_run(&search, query, error);
	if (rc == 0)
		*page = search.reading.page;
	postings_deinit(&search.hits);
	postings_deinit(&search.exact);
	buffer_deinit(&search.joined);
	reading_end(&search.reading);
	return rc;
}
