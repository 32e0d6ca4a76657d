/* Which documents match: sets of numbers for each node and number of typos, joined as the strategy says. */
#include "shard/core/search_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Words of a phrase are told apart by distances up to this. */
#define PHRASE_WINDOW 3
#define DISTANCE_FAR 4

int search_places_read(const struct search *search, struct posting_cursor *cursor, struct place *places,
                       size_t *len, struct error *error)
{
	size_t kept = 0;

	if (posting_cursor_places(cursor, places, SEARCH_PLACES_MAX, len, error) != 0)
		return error->code;
	if (*len > SEARCH_PLACES_MAX)
		*len = SEARCH_PLACES_MAX;
	if (!search->some_fields)
		return 0;
	for (size_t i = 0; i < *len; i++)
		if (places[i].field < search->fields_len &&
		    !(search->fields[places[i].field] & SEARCH_HIDDEN))
			places[kept++] = places[i];
	*len = kept;
	return 0;
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

/* ---- words ---- */

/* Those of a list in a field that counts; `known`: in any that is searchable. */
static int word_numbers(struct search *search, const struct search_word *word, bool known,
                        struct postings *set, struct error *error)
{
	struct posting_cursor cursor;
	uint64_t number;
	size_t len;
	int rc;

	if (!search->some_fields)
		return posting_list_numbers(&word->list, set, error);
	posting_cursor_init(&cursor, &word->list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		if (search_places_read(search, &cursor, search->places, &len, error) != 0)
			return error->code;
		if (known ? len > 0 : search_places_count(search, search->places, len, word->tolerant))
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

/* Brings every word to the same document, at or above `number`; 0 if there is none. */
static int row_align(struct row *row, uint64_t *number, struct error *error)
{
	for (size_t i = 0, agreeing = 0; agreeing < row->phrase->len; i = (i + 1) % row->phrase->len) {
		agreeing++;
		if (row->phrase->lists[i].count == 0 || row->numbers[i] == *number)
			continue;
		if (row->numbers[i] == UINT64_MAX || row->numbers[i] < *number) {
			int rc = posting_cursor_seek(&row->cursors[i], *number, &row->numbers[i], error);

			if (rc <= 0)
				return rc;
		}
		if (row->numbers[i] > *number) {
			*number = row->numbers[i];
			agreeing = 1;
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
	rc = row_match(&row, &phrase->numbers, error);
	free(row.cursors);
	return rc;
}

/* ---- sets ---- */

static int segment_match(struct search *search, struct search_segment *segment, struct error *error)
{
	for (size_t i = 0; i < segment->words.len; i++) {
		const struct search_word *word = &segment->words.ptr[i];

		if (word_numbers(search, word, false, &search->sets[word->node][word->typos], error) != 0)
			return error->code;
	}
	for (size_t i = 0; i < segment->phrases.len; i++) {
		struct search_phrase *phrase = &segment->phrases.ptr[i];

		if (phrase_match(search, phrase, error) != 0)
			return error->code;
		postings_or(&search->sets[phrase->node][phrase->typos], &phrase->numbers);
	}
	for (size_t i = 0; i < segment->excluded.len; i++) {
		if (phrase_match(search, &segment->excluded.ptr[i], error) != 0)
			return error->code;
		postings_or(&search->excluded, &segment->excluded.ptr[i].numbers);
	}
	return 0;
}

/* Of a node that is a word as typed: whether a live document has it in a field that can be searched. */
static int known_find(struct search *search, const struct search_word *word, struct error *error)
{
	const struct query_node *node = &search->request->query->nodes[word->node];
	struct postings numbers;
	int rc;

	if (!word->exact || (search->known & 1U << node->first) != 0)
		return 0;
	postings_init(&numbers);
	rc = word_numbers(search, word, true, &numbers, error);
	postings_and_not(&numbers, &search->reading.snapshot->deleted);
	if (numbers.len > 0)
		search->known |= (uint16_t)(1U << node->first);
	postings_deinit(&numbers);
	return rc;
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

/* Those that have all terms; or the mandatory ones. */
static void matches_join(struct search *search)
{
	const struct search_request *request = search->request;

	if (request->strategy == RANK_ALL) {
		struct search_groups groups;
		struct postings group;

		search_groups_begin(search, &groups);
		groups.by_words = groups.by_typos = true;
		groups.words = request->query->terms_len;
		postings_init(&group);
		while (search_groups_next(search, &groups, &group)) {
			postings_or(&search->matches, &group);
			postings_clear(&group);
		}
		postings_deinit(&group);
		search_groups_end(&groups);
	} else if (!phrases_join(search, &search->matches)) {
		term_join(search, request->strategy == RANK_LAST ? 0 : request->rarest, &search->matches);
	}
}

int search_match(struct search *search, struct error *error)
{
	const struct postings *dead = &search->reading.snapshot->deleted;
	const struct query *query = search->request->query;

	for (size_t i = 0; i < search->segments_len; i++) {
		struct search_segment *segment = &search->segments[i];

		if (segment_match(search, segment, error) != 0)
			return error->code;
		for (size_t k = 0; k < segment->words.len; k++)
			if (known_find(search, &segment->words.ptr[k], error) != 0)
				return error->code;
	}
	postings_and_not(&search->excluded, dead);
	for (size_t i = 0; i < query->nodes_len; i++)
		for (size_t typos = 0; typos < SEARCH_CLASSES; typos++) {
			postings_and_not(&search->sets[i][typos], dead);
			postings_and_not(&search->sets[i][typos], &search->excluded);
		}
	matches_join(search);
	return 0;
}

/* ---- groups ---- */

void search_groups_begin(struct search *search, struct search_groups *groups)
{
	const struct search_request *request = search->request;
	bool drops_last = request->strategy == RANK_LAST;

	*groups = (struct search_groups){.words = request->query->terms_len};
	for (size_t i = 0; i < request->query->terms_len; i++)
		if (request->query->terms[i].is_phrase && drops_last)
			drops_last = false;
	groups->by_words = request->strategy == RANK_ALL ||
	                   (drops_last && request->rules_len > 0 && request->rules[0] == RANK_WORDS);
	groups->by_typos = groups->by_words && ((request->strategy == RANK_ALL && request->rules_len > 0 &&
	                                         request->rules[0] == RANK_TYPO) ||
	                                        (request->rules_len > 1 && request->rules[0] == RANK_WORDS &&
	                                         request->rules[1] == RANK_TYPO));
}

void search_groups_end(struct search_groups *groups)
{
	postings_deinit(&groups->placed);
	for (size_t i = 0; i <= QUERY_TERMS_MAX; i++)
		for (size_t typos = 0; typos <= SEARCH_TYPOS_MAX; typos++)
			postings_deinit(&groups->sums[i][typos]);
}

/* Documents with a path through the first `terms` that costs just so many typos; the node is the last of it. */
static void sum_add(struct search *search, struct search_groups *groups, size_t node, size_t at,
                    uint32_t typos)
{
	const struct query_node *last = &search->request->query->nodes[node];
	uint32_t joined = last->terms > 1 ? last->terms : 0;
	size_t before = at - last->terms;

	for (uint32_t own = 0; own < SEARCH_CLASSES && own + joined <= typos; own++) {
		uint32_t rest = typos - own - joined;
		struct postings set;

		if (search->sets[node][own].len == 0 || (before == 0 && rest > 0))
			continue;
		postings_init(&set);
		postings_share(&set, &search->sets[node][own]);
		if (before > 0)
			postings_and(&set, &groups->sums[before][rest]);
		postings_or(&groups->sums[at][typos], &set);
		postings_deinit(&set);
	}
}

static void sums_fill(struct search *search, struct search_groups *groups, size_t terms, uint32_t typos)
{
	const struct query *query = search->request->query;

	for (size_t at = 1; at <= terms; at++)
		for (uint32_t cost = 0; cost <= typos; cost++) {
			if (groups->summed[at][cost])
				continue;
			groups->summed[at][cost] = true;
			for (size_t i = 0; i < query->nodes_len; i++)
				if ((size_t)query->nodes[i].first + query->nodes[i].terms == at)
					sum_add(search, groups, i, at, cost);
		}
}

/* The next step of words and typos; false behind the last. */
static bool groups_step(const struct search *search, struct search_groups *groups)
{
	if (groups->typos < SEARCH_TYPOS_MAX) {
		groups->typos++;
		return true;
	}
	groups->typos = 0;
	groups->words--;
	return groups->words > 0 && search->request->strategy != RANK_ALL;
}

bool search_groups_next(struct search *search, struct search_groups *groups, struct postings *group)
{
	ASSERT(group->len == 0);
	if (!groups->by_words) {
		if (groups->ended)
			return false;
		groups->ended = true;
		postings_share(group, &search->matches);
		return group->len > 0;
	}
	while (!groups->ended) {
		size_t words = groups->words;
		struct postings more;

		sums_fill(search, groups, words, groups->typos);
		postings_init(&more);
		postings_share(&more, &groups->sums[words][groups->typos]);
		postings_and_not(&more, &groups->placed);
		postings_or(&groups->placed, &more);
		postings_or(group, &more);
		postings_deinit(&more);
		groups->ended = !groups_step(search, groups);
		if (group->len > 0 && (groups->by_typos || groups->ended || groups->words != words))
			return true;
	}
	return group->len > 0;
}
