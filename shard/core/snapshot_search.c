/* Search: per word the documents of memory and disk, intersected; then the page in ranked order. */
#include "shard/core/walk.h"
#include "shard/core/words.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Words of a query beyond this many are ignored. */
#define QUERY_WORDS_MAX 64

/* A step of a walk costs about a quarter of finding a document's key and id by its number. */
#define WALK_STEPS_A_FETCH 4

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

/* A hit on its way into the page. */
struct candidate {
	struct located located;
	struct slice id; /* read where keys are equal only */
};

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *left = a;
	const struct candidate *right = b;

	return insertion_key_compare(left->located.key, left->id, right->located.key, right->id);
}

static bool candidates_tie(const struct candidate *a, const struct candidate *b)
{
	struct slice none = slice_of("", 0);

	return insertion_key_compare(a->located.key, none, b->located.key, none) == 0;
}

static int candidate_id(struct candidate *candidate, struct arena *arena, struct error *error)
{
	struct slice id;

	if (located_id(&candidate->located, &id, error) != 0)
		return error->code;
	return arena_copy(arena, id, &candidate->id) ? 0 : error_memory(error, id.len);
}

/* Candidates of one key, in the order of their ids. */
static int candidates_order(struct candidate *tied, size_t len, struct arena *arena, struct error *error)
{
	if (len == 1)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (candidate_id(&tied[i], arena, error) != 0)
			return error->code;
	qsort(tied, len, sizeof *tied, candidate_compare);
	return 0;
}

/* Few hits: find them all, and take the first in insertion order. */
static int page_from_hits(struct search *search, const struct postings *set, uint32_t score,
                          struct error *error)
{
	struct reading *reading = &search->reading;
	size_t len = (size_t)postings_count(set);
	uint64_t *numbers = arena_alloc(reading->arena, (len + 1) * sizeof *numbers);
	struct candidate *found = arena_alloc(reading->arena, (len + 1) * sizeof *found);
	size_t ordered = 0;

	if (numbers == NULL || found == NULL)
		return error_memory(error, len * sizeof *found);
	postings_list(set, numbers);
	for (size_t i = 0; i < len; i++) {
		found[i].id = slice_of("", 0);
		if (reading_locate(reading, numbers[i], &found[i].located, error) != 0)
			return error->code;
	}
	qsort(found, len, sizeof *found, candidate_compare);
	for (size_t i = 0; i < len && reading->page.count < reading->limit; i++) {
		if (i == ordered) {
			while (ordered < len && candidates_tie(&found[i], &found[ordered]))
				ordered++;
			if (candidates_order(&found[i], ordered - i, reading->arena, error) != 0)
				return error->code;
		}
		if (reading_add(reading, &found[i].located, score, error) != 0)
			return error->code;
	}
	return 0;
}

/* Many hits: walk the documents in insertion order until there are enough. */
static int page_from_walk(struct search *search, struct postings *set, uint32_t score, struct error *error)
{
	struct reading *reading = &search->reading;
	struct located located;
	struct walk *walk;
	int rc = 0;

	if (walk_open(reading, &walk, error) != 0)
		return error->code;
	while (reading->page.count < reading->limit && (rc = walk_next(walk, &located, error)) > 0) {
		if (!postings_contains(set, located.number))
			continue;
		rc = reading_add(reading, &located, score, error);
		if (rc != 0)
			break;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

static int page_fill(struct search *search, struct postings *set, uint32_t score, struct error *error)
{
	uint64_t hits = postings_count(set);
	uint64_t wanted = search->reading.limit - search->reading.page.count;
	uint64_t documents = search->reading.snapshot->documents;

	if (wanted == 0 || hits == 0)
		return 0;
	if (wanted > hits)
		wanted = hits;
	/* the walk takes about wanted * documents / hits steps */
	if (hits < UINT32_MAX && hits * hits <= wanted * documents / WALK_STEPS_A_FETCH)
		return page_from_hits(search, set, score, error);
	return page_from_walk(search, set, score, error);
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
		return page_fill(search, &search->hits, words, error);
	if (page_fill(search, &search->exact, words, error) != 0)
		return error->code;
	return page_fill(search, &search->hits, words - 1, error);
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
