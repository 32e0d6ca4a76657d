/* Search: per word the documents of memory and store, intersected; then the page in ranked order. */
#include "shard/core/walk.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Words of a query beyond this many are ignored. */
#define QUERY_WORDS_MAX 64

/* A step of a walk costs about an eighth of fetching a document for its key. */
#define WALK_STEPS_A_FETCH 8

struct query {
	struct slice words[QUERY_WORDS_MAX];
	size_t len;
	struct arena *arena;
	bool prefix; /* the last word is one */
};

struct search {
	struct reading reading;
	struct query query;
	struct postings hits;  /* what matches, live */
	struct postings exact; /* those of them with the last word as it stands */
};

static bool query_word(void *context, struct slice word)
{
	struct query *query = context;

	if (query->len == QUERY_WORDS_MAX)
		return true;
	if (!arena_copy(query->arena, word, &query->words[query->len]))
		return false;
	query->len++;
	return true;
}

static int query_cut(struct search *search, struct slice text, struct error *error)
{
	struct words *words = search->reading.replica->words;
	struct words_sink sink = {query_word, &search->query};

	search->query.arena = search->reading.arena;
	if (words_of_text(words, text, &sink, error) != 0)
		return error->code;
	search->query.prefix = words_is_open(words);
	return 0;
}

/* Where one word's numbers go: all that match, and those that match exactly (NULL: not asked). */
struct wanted {
	struct slice word;
	bool prefix;
	struct postings *all;
	struct postings *exact;
};

static void wanted_from_memory(const struct replica *replica, const struct wanted *wanted)
{
	for (size_t i = 0; i < replica->segments_len; i++) {
		const struct dictionary *dictionary = replica->segments[i]->dictionary;

		for (size_t at = dictionary_seek(dictionary, wanted->word); at < dictionary_len(dictionary);
		     at++) {
			struct dictionary_entry entry = dictionary_at(dictionary, at);
			bool equal = slice_equal(entry.word, wanted->word);

			if (!equal && !(wanted->prefix && slice_starts_with(entry.word, wanted->word)))
				break;
			postings_add_rising(wanted->all, entry.base, entry.numbers, entry.numbers_len);
			if (equal && wanted->exact != NULL)
				postings_add_rising(wanted->exact, entry.base, entry.numbers,
				                    entry.numbers_len);
		}
	}
}

static int wanted_block(const struct wanted *wanted, struct slice key, struct slice value,
                        struct error *error)
{
	struct slice word;
	uint64_t block;

	if (!stored_postings_split(key, &word, &block))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a posting list has a malformed key");
	if (postings_decode(wanted->all, block, key, value, error) != 0)
		return error->code;
	if (wanted->exact != NULL && slice_equal(word, wanted->word))
		return postings_decode(wanted->exact, block, key, value, error);
	return 0;
}

static int wanted_from_store(struct kv_txn *txn, const struct wanted *wanted, struct error *error)
{
	struct stored_key key = stored_word_key(wanted->word);
	struct slice start = wanted->prefix ? wanted->word : stored_key_slice(&key);
	struct kv_cursor *cursor;
	struct slice found;
	struct slice value;
	int rc;

	if (kv_cursor_open(txn, KV_TABLE_POSTINGS, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, start, &found, &value, error);
	while (rc == 0 && slice_starts_with(found, start)) {
		rc = wanted_block(wanted, found, value, error);
		if (rc == 0)
			rc = kv_cursor_next(cursor, &found, &value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
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
	wanted_from_memory(search->reading.replica, &wanted);
	rc = wanted_from_store(search->reading.txn, &wanted, error);
	if (rc == 0 && i > 0)
		postings_and(&search->hits, &set);
	postings_deinit(&set);
	return rc;
}

static int search_match(struct search *search, struct error *error)
{
	struct replica *replica = search->reading.replica;

	for (size_t i = 0; i < search->query.len; i++) {
		if (search_word(search, i, error) != 0)
			return error->code;
		if (search->hits.len == 0)
			break;
	}
	postings_and_not(&search->hits, &replica->deleted);
	search->reading.page.total = postings_count(&search->hits);
	if (search->query.prefix) {
		postings_and(&search->exact, &search->hits);
		postings_and_not(&search->hits, &search->exact);
	}
	return 0;
}

static int candidate_compare(const void *a, const void *b)
{
	const struct stored_document *left = a;
	const struct stored_document *right = b;

	return insertion_key_compare(left->key, left->id, right->key, right->id);
}

/* Few hits: fetch them all, and take the first in insertion order. */
static int page_from_hits(struct search *search, const struct postings *set, uint32_t score,
                          struct error *error)
{
	struct reading *reading = &search->reading;
	size_t len = (size_t)postings_count(set);
	uint64_t *numbers = arena_alloc(reading->arena, (len + 1) * sizeof *numbers);
	struct stored_document *found = arena_alloc(reading->arena, (len + 1) * sizeof *found);

	if (numbers == NULL || found == NULL)
		return error_memory(error, len * sizeof *found);
	postings_list(set, numbers);
	for (size_t i = 0; i < len; i++)
		if (replica_document(reading->replica, reading->txn, numbers[i], &found[i], error) != 0)
			return error->code;
	qsort(found, len, sizeof *found, candidate_compare);
	for (size_t i = 0; i < len && reading->page.count < reading->limit; i++)
		if (reading_add(reading, &found[i], score, error) != 0)
			return error->code;
	return 0;
}

/* Many hits: walk the documents in insertion order until there are enough. */
static int page_from_walk(struct search *search, struct postings *set, uint32_t score, struct error *error)
{
	struct reading *reading = &search->reading;
	struct walk_entry entry;
	struct walk *walk;
	int rc = 0;

	if (walk_open(reading->replica, reading->txn, &walk, error) != 0)
		return error->code;
	while (reading->page.count < reading->limit && (rc = walk_next(walk, &entry, error)) > 0) {
		if (!postings_contains(set, entry.number))
			continue;
		rc = reading_add_number(reading, entry.number, score, error);
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
	uint64_t documents = search->reading.replica->now.documents;

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

int replica_search(struct replica *replica, struct slice query, const struct document_request *request,
                   struct document_page *page, struct error *error)
{
	struct search search = {.query = {.len = 0}};
	int rc;

	ASSERT(request->offset == 0);
	if (replica_check_serving(replica, request->stale_ok, error) != 0)
		return error->code;
	rc = reading_begin(&search.reading, replica, request, error);
	postings_init(&search.hits);
	postings_init(&search.exact);
	if (rc == 0)
		rc = search_run(&search, query, error);
	postings_deinit(&search.hits);
	postings_deinit(&search.exact);
	return reading_end(&search.reading, rc, page, error);
}
