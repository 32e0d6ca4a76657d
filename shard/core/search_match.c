/* Which documents match: sets of numbers for each node and number of typos, joined as the strategy says. */
#include "shard/core/search_private.h"

#include <stdlib.h>

/* Words of a phrase are told apart by distances up to this. */
#define PHRASE_WINDOW 3
#define DISTANCE_FAR 4

/* Those in fields that are not hidden, as many as are looked at. */
static size_t places_keep(const struct search *search, struct place *places, size_t len)
{
	size_t kept = 0;

	if (len > SEARCH_PLACES_MAX)
		len = SEARCH_PLACES_MAX;
	if (!search->some_fields)
		return len;
	for (size_t i = 0; i < len; i++)
		if (places[i].field < search->fields_len &&
		    !(search->fields[places[i].field] & SEARCH_HIDDEN))
			places[kept++] = places[i];
	return kept;
}

int search_places_back(const struct search *search, struct posting_cursor *cursor, uint32_t back,
                       struct place *places, size_t *len, struct error *error)
{
	struct places_room room = {places, SEARCH_PLACES_MAX};

	if (posting_cursor_places_back(cursor, back, room, len, error) != 0)
		return error->code;
	*len = places_keep(search, places, *len);
	return 0;
}

int search_places_read(const struct search *search, struct posting_cursor *cursor, struct place *places,
                       size_t *len, struct error *error)
{
	return search_places_back(search, cursor, 0, places, len, error);
}

bool search_places_count(const struct search *search, const struct place *places, size_t len, bool tolerant)
{
	for (size_t i = 0; i < len; i++) {
		uint16_t field = places[i].field;

		if (search->weights[field] != RANK_UNSEARCHED &&
		    !(tolerant && (search->fields[field] & SEARCH_EXACT)))
			return true;
	}
	return len > 0 && !search->some_fields;
}

size_t search_numbers_seek(const uint64_t *numbers, size_t len, size_t from, uint64_t number)
{
	size_t low = from;
	size_t step = 1;
	size_t high;

	while (low + step < len && numbers[low + step] < number) {
		low += step;
		step *= 2;
	}
	high = low + step < len ? low + step + 1 : len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- words ---- */

/* Those of a list in a field that counts. */
static int word_numbers(struct search *search, const struct search_word *word, struct postings *set,
                        struct error *error)
{
	struct watch *watch = search->request->watch;
	struct posting_cursor cursor;
	uint64_t number;
	size_t len;
	int rc;

	if (watch_step(watch, word->list.count / WATCH_NUMBERS + 1, error) != 0)
		return error->code;
	if (!search->some_fields)
		return posting_list_numbers(&word->list, set, error);
	posting_cursor_init(&cursor, &word->list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		if (watch_step(watch, 1, error) != 0 ||
		    search_places_read(search, &cursor, search->places, &len, error) != 0)
			return error->code;
		if (search_places_count(search, search->places, len, word->tolerant))
			postings_add(set, number);
	}
	return rc;
}

/* ---- phrases ---- */

/* The words of a phrase in one segment. */
struct row {
	struct search *search;
	const struct search_phrase *phrase;
	struct posting_cursor *cursors; /* of words that are no stop words */
	uint64_t *numbers;              /* where they stand */
	struct place *places;           /* SEARCH_PLACES_MAX of each */
	size_t *lens;
	bool is_narrow; /* only documents of `common`, which have all words whose numbers are known */
	struct postings common;
};

static struct places row_places_of(const struct row *row, size_t word)
{
	return (struct places){row->places + word * SEARCH_PLACES_MAX, row->lens[word]};
}

static bool pair_is_near(const struct row *row, size_t left, size_t right)
{
	struct places a = row_places_of(row, left);
	struct places b = row_places_of(row, right);

	if (row->search->request->by_attribute)
		return places_share_field(a, b);
	return places_distance(a, b, DISTANCE_FAR) <= right - left;
}

/* The document at hand has all the words; whether each two of any three in a row are as near as in the phrase. */
static bool row_is_near(const struct row *row)
{
	const struct search_phrase *phrase = row->phrase;

	for (size_t i = 0; i < phrase->len; i++)
		for (size_t j = i + 1; j < phrase->len && j < i + PHRASE_WINDOW; j++)
			if (phrase->lists[i].count > 0 && phrase->lists[j].count > 0 &&
			    !pair_is_near(row, i, j))
				return false;
	return true;
}

static int row_places(struct row *row, struct error *error)
{
	for (size_t i = 0; i < row->phrase->len; i++) {
		if (row->phrase->lists[i].count == 0)
			continue;
		if (search_places_read(row->search, &row->cursors[i], row->places + i * SEARCH_PLACES_MAX,
		                       &row->lens[i], error) != 0)
			return error->code;
	}
	return 0;
}

static bool row_counts(const struct row *row)
{
	for (size_t i = 0; i < row->phrase->len; i++)
		if (row->phrase->lists[i].count > 0 &&
		    !search_places_count(row->search, row->places + i * SEARCH_PLACES_MAX, row->lens[i],
		                         false))
			return false;
	return true;
}

static void row_narrow(struct row *row)
{
	for (size_t i = 0; i < row->phrase->len; i++) {
		const struct posting_list *list = &row->phrase->lists[i];

		if (list->count == 0 || list->blocks == NULL)
			continue;
		if (row->is_narrow)
			postings_and(&row->common, list->blocks->numbers);
		else
			postings_share(&row->common, list->blocks->numbers);
		row->is_narrow = true;
	}
}

/* The first number at or above it that may do; false if there is none. */
static bool row_passes(const struct row *row, uint64_t *number)
{
	return !row->is_narrow || postings_next(&row->common, *number, number);
}

/* Brings every word to the same document, at or above `number`; 0 if there is none. */
static int row_align(struct row *row, uint64_t *number, struct error *error)
{
	if (!row_passes(row, number))
		return 0;
	for (size_t i = 0, agreeing = 0; agreeing < row->phrase->len; i = (i + 1) % row->phrase->len) {
		agreeing++;
		if (row->phrase->lists[i].count == 0 || row->numbers[i] == *number)
			continue;
		if (row->numbers[i] == UINT64_MAX || row->numbers[i] < *number) {
			int rc = watch_step(row->search->request->watch, 1, error);

			if (rc == 0)
				rc = posting_cursor_seek(&row->cursors[i], *number, &row->numbers[i], error);
			if (rc <= 0)
				return rc;
		}
		if (row->numbers[i] > *number) {
			*number = row->numbers[i];
			if (!row_passes(row, number))
				return 0;
			agreeing = row->numbers[i] == *number;
		}
	}
	return 1;
}

static int row_match(struct row *row, struct postings *numbers, struct error *error)
{
	uint64_t number = 0;
	int rc;

	for (; (rc = row_align(row, &number, error)) > 0; number++) {
		if (row_places(row, error) != 0)
			return error->code;
		if (row_counts(row) && row_is_near(row))
			postings_add(numbers, number);
	}
	return rc;
}

static int phrase_match(struct search *search, struct search_phrase *phrase, struct error *error)
{
	size_t len = phrase->len;
	struct row row = {.search = search, .phrase = phrase};
	int rc;

	row.cursors = malloc(len * (sizeof *row.cursors + sizeof *row.numbers + sizeof *row.lens +
	                            SEARCH_PLACES_MAX * sizeof *row.places));
	if (row.cursors == NULL)
		return error_memory(error, len * SEARCH_PLACES_MAX * sizeof *row.places);
	row.numbers = (uint64_t *)(row.cursors + len);
	row.lens = (size_t *)(row.numbers + len);
	row.places = (struct place *)(row.lens + len);
	for (size_t i = 0; i < len; i++) {
		row.numbers[i] = UINT64_MAX; /* none yet */
		if (phrase->lists[i].count > 0)
			posting_cursor_init(&row.cursors[i], &phrase->lists[i]);
	}
	postings_init(&row.common);
	row_narrow(&row);
	rc = row_match(&row, &phrase->numbers, error);
	postings_deinit(&row.common);
	free(row.cursors);
	return rc;
}

/* ---- sets ---- */

/* What was found last: words and phrases from there on. */
static int found_match(struct search *search, struct search_segment *segment, size_t words, size_t phrases,
                       struct error *error)
{
	for (size_t i = words; i < segment->words.len; i++) {
		const struct search_word *word = &segment->words.ptr[i];

		if (word_numbers(search, word, &search->sets[word->node][word->typos], error) != 0)
			return error->code;
	}
	for (size_t i = phrases; i < segment->phrases.len; i++) {
		struct search_phrase *phrase = &segment->phrases.ptr[i];

		if (phrase_match(search, phrase, error) != 0)
			return error->code;
		postings_or(&search->sets[phrase->node][phrase->typos], &phrase->numbers);
	}
	return 0;
}

static int excluded_match(struct search *search, struct error *error)
{
	for (size_t i = 0; i < search->segments_len; i++) {
		struct search_phrases *excluded = &search->segments[i].excluded;

		for (size_t k = 0; k < excluded->len; k++) {
			if (phrase_match(search, &excluded->ptr[k], error) != 0)
				return error->code;
			postings_or(&search->excluded, &excluded->ptr[k].numbers);
		}
	}
	postings_and_not(&search->excluded, &search->reading.snapshot->deleted);
	return 0;
}

/* Whether a live document has the word in a field that can be searched. */
static int word_is_known(struct search *search, const struct posting_list *list, bool *known,
                         struct error *error)
{
	struct posting_cursor cursor;
	uint64_t number;
	size_t len = 1;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		if (watch_step(search->request->watch, 1, error) != 0)
			return error->code;
		if (postings_contains(&search->reading.snapshot->deleted, number))
			continue;
		if (search->some_fields &&
		    search_places_read(search, &cursor, search->places, &len, error) != 0)
			return error->code;
		*known = len > 0;
		if (*known)
			return 0;
	}
	return rc;
}

static int known_find(struct search *search, struct error *error)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++) {
		bool known = false;

		for (size_t k = 0; k < search->segments_len && !known; k++)
			if (search->segments[k].exact[i].count > 0 &&
			    word_is_known(search, &search->segments[k].exact[i], &known, error) != 0)
				return error->code;
		search->known |= (uint16_t)((unsigned)known << query->nodes[i].first);
	}
	return 0;
}

/* Documents that have a node, with any typos. */
static void node_join(struct search *search, size_t node, struct postings *set)
{
	for (size_t typos = 0; typos < SEARCH_CLASSES; typos++)
		postings_or(set, &search->sets[node][typos]);
}

/* Those that have some node of which the term is part. */
static void term_join(struct search *search, size_t term, struct postings *set)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++)
		if (query->nodes[i].first <= term &&
		    term < (size_t)query->nodes[i].first + query->nodes[i].terms)
			node_join(search, i, set);
}

/* Those that have every phrase, if there is one. */
static bool phrases_join(struct search *search, struct postings *set)
{
	const struct query *query = search->request->query;
	bool some = false;

	for (size_t i = 0; i < query->terms_len; i++) {
		struct postings of;

		if (!query->terms[i].is_phrase)
			continue;
		postings_init(&of);
		term_join(search, i, &of);
		if (some)
			postings_and(set, &of);
		else
			postings_or(set, &of);
		postings_deinit(&of);
		some = true;
	}
	return some;
}

/* In how many live documents a term is found by itself. */
static void term_count(struct search *search, size_t node)
{
	struct postings numbers;

	postings_init(&numbers);
	node_join(search, node, &numbers);
	search->frequencies[search->request->query->nodes[node].first] = postings_count(&numbers);
	postings_deinit(&numbers);
}

int search_classes_find(struct search *search, size_t node, unsigned classes, struct error *error)
{
	unsigned more = classes & ~(unsigned)search->classes[node];

	for (size_t i = 0; i < search->segments_len && more != 0; i++) {
		struct search_segment *segment = &search->segments[i];
		size_t words = segment->words.len;
		size_t phrases = segment->phrases.len;

		if (search_words_find(search, segment, node, more, error) != 0 ||
		    found_match(search, segment, words, phrases, error) != 0)
			return error->code;
	}
	for (size_t typos = 0; typos < SEARCH_CLASSES; typos++)
		if (more >> typos & 1)
			postings_and_not(&search->sets[node][typos], &search->reading.snapshot->deleted);
	if (search->request->strategy == RANK_FREQUENCY && search->request->query->nodes[node].terms == 1)
		term_count(search, node);
	for (size_t typos = 0; typos < SEARCH_CLASSES; typos++) {
		if (!(more >> typos & 1))
			continue;
		postings_and_not(&search->sets[node][typos], &search->excluded);
		if (search->has_passing)
			postings_and(&search->sets[node][typos], &search->passing);
	}
	search->classes[node] |= (uint8_t)more;
	return 0;
}

/* What groups may leave unfound: where the last terms may lack, the first one says alone what matches. Details of a score
 * show more than the order depends on. */
static unsigned classes_at_once(const struct search_request *request, const struct query_node *node)
{
	if (request->shows_scores || !search_is_by_words(request) ||
	    (request->strategy == RANK_LAST && node->first == 0))
		return SEARCH_ALL_CLASSES;
	return 0;
}

int search_match(struct search *search, struct error *error)
{
	const struct query *query = search->request->query;

	if (excluded_match(search, error) != 0 || known_find(search, error) != 0)
		return error->code;
	for (size_t i = 0; i < query->nodes_len; i++)
		if (search_classes_find(search, i, classes_at_once(search->request, &query->nodes[i]),
		                        error) != 0)
			return error->code;
	return 0;
}

/* Those that have all terms; or the mandatory ones. */
int search_match_join(struct search *search, struct error *error)
{
	const struct search_request *request = search->request;
	int rc = 0;

	if (request->strategy == RANK_ALL) {
		struct search_groups groups;
		struct postings group;

		search_groups_begin(search, &groups);
		groups.by_words = groups.by_typos = true;
		groups.words = request->query->terms_len;
		postings_init(&group);
		while ((rc = search_groups_next(search, &groups, &group, error)) > 0) {
			postings_or(&search->matches, &group);
			postings_clear(&group);
		}
		postings_deinit(&group);
		search_groups_end(&groups);
	} else if (!phrases_join(search, &search->matches)) {
		term_join(search, request->strategy == RANK_LAST ? 0 : search->rarest, &search->matches);
	}
	return rc;
}
