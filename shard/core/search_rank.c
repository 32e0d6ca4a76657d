/* Ranking a group of documents: their places are gathered list by list, put in order of the documents, and judged. */
#include "shard/core/search_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#define SCORES_FIRST 64
#define PLACES_FIRST (2 * SEARCH_PLACES_MAX)

/* What places are, of a node: one of SEARCH_CLASSES each, but the last two. */
enum part {
	PART_WORDS = 0,
	PART_FIRSTS = PART_WORDS + SEARCH_CLASSES,
	PART_LASTS = PART_FIRSTS + SEARCH_CLASSES,
	PART_PHRASE = PART_LASTS + SEARCH_CLASSES, /* a word of it */
	PART_LENGTHS
};

/* Places of one word in the document at hand. */
struct entry {
	uint32_t source;
	uint32_t at; /* in places */
	uint32_t len;
};

/* A list to go through, and what its places are. */
struct source {
	struct posting_cursor cursor;
	uint64_t number;             /* of the document that it stands at */
	const struct postings *only; /* NULL: every document */
	bool exact;
	bool tolerant;
	bool counted;  /* only where a field counts */
	uint16_t word; /* of a PART_PHRASE */
	uint8_t node;
	uint8_t part;
};

struct gathering {
	struct search *search;
	const struct rank_plan *plan;
	struct search_scores *scores;
	struct source *sources; /* of one segment */
	size_t sources_len;
	uint32_t *heap; /* sources that have not ended, the one with the lowest number first */
	size_t heap_len;
	/* of the document at hand */
	struct entry *entries; /* room for one a source */
	size_t entries_len;
	struct place *places;
	size_t places_len;
	size_t places_size;
	struct place *joined; /* of several words, sorted */
	size_t joined_len;
	size_t joined_size;
	struct rank_found_node nodes[QUERY_NODES_MAX];
	struct places *phrases;
	struct rank_field fields[UINT8_MAX + 1];
	struct rank_work work;
};

/* ---- sources ---- */

static void source_add(struct gathering *gathering, const struct posting_list *list, struct source source)
{
	struct source *added = &gathering->sources[gathering->sources_len];

	if (list->count == 0)
		return;
	*added = source;
	posting_cursor_init(&added->cursor, list);
	gathering->sources_len++;
}

/* First or last words of phrases, those of a node next to each other. */
static void phrases_sources(struct gathering *gathering, const struct search_phrases *phrases, uint8_t typos,
                            enum part part)
{
	for (size_t i = 0; i < phrases->len; i++) {
		const struct search_phrase *phrase = &phrases->ptr[i];
		size_t at = part == PART_FIRSTS ? 0 : phrase->len - 1;

		if (phrase->typos != typos)
			continue;
		while (phrase->lists[at].count == 0)
			at = part == PART_FIRSTS ? at + 1 : at - 1;
		source_add(gathering, &phrase->lists[at],
		           (struct source){.node = phrase->node,
		                           .part = (uint8_t)(part + typos),
		                           .only = &phrase->numbers});
	}
}

static void terms_sources(struct gathering *gathering, const struct search_phrases *phrases)
{
	for (size_t i = 0; i < phrases->len; i++) {
		const struct search_phrase *phrase = &phrases->ptr[i];

		for (size_t k = 0; phrase->is_term && k < phrase->len; k++)
			source_add(gathering, &phrase->lists[k],
			           (struct source){.node = phrase->node,
			                           .part = PART_PHRASE,
			                           .word = (uint16_t)k,
			                           .only = &phrase->numbers});
	}
}

static void words_sources(struct gathering *gathering, const struct search_words *words, uint8_t typos)
{
	for (size_t i = 0; i < words->len; i++) {
		const struct search_word *word = &words->ptr[i];

		if (word->typos == typos)
			source_add(gathering, &word->list,
			           (struct source){.node = word->node,
			                           .part = (uint8_t)(PART_WORDS + typos),
			                           .exact = word->exact,
			                           .counted = gathering->search->some_fields,
			                           .tolerant = word->tolerant});
	}
}

static bool wants_lengths(const struct rank_plan *plan)
{
	for (size_t i = 0; i < plan->rules_len; i++)
		if (plan->rules[i] == RANK_EXACTNESS)
			return true;
	return false;
}

static size_t sources_most(const struct search_segment *segment)
{
	size_t most = segment->words.len + 1;

	for (size_t i = 0; i < segment->phrases.len; i++)
		most += 2 + (segment->phrases.ptr[i].is_term ? segment->phrases.ptr[i].len : 0);
	return most;
}

static void sources_free(struct gathering *gathering)
{
	free(gathering->sources);
	free(gathering->heap);
	free(gathering->entries);
	gathering->sources = NULL;
	gathering->heap = NULL;
	gathering->entries = NULL;
	gathering->sources_len = 0;
	gathering->heap_len = 0;
}

static int sources_reserve(struct gathering *gathering, size_t most, struct error *error)
{
	sources_free(gathering);
	gathering->sources = malloc(most * sizeof *gathering->sources);
	gathering->heap = malloc(most * sizeof *gathering->heap);
	gathering->entries = malloc(most * sizeof *gathering->entries);
	if (gathering->sources == NULL || gathering->heap == NULL || gathering->entries == NULL)
		return error_memory(error, most * sizeof *gathering->sources);
	return 0;
}

static void heap_sink(struct gathering *gathering, size_t at)
{
	uint32_t *heap = gathering->heap;
	uint32_t moved = heap[at];

	for (size_t child; (child = 2 * at + 1) < gathering->heap_len; at = child) {
		if (child + 1 < gathering->heap_len &&
		    gathering->sources[heap[child + 1]].number < gathering->sources[heap[child]].number)
			child++;
		if (gathering->sources[moved].number <= gathering->sources[heap[child]].number)
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

/* Moves the first source of the heap to a document at or above `number`. */
static int heap_advance(struct gathering *gathering, uint64_t number, struct error *error)
{
	struct source *source = &gathering->sources[gathering->heap[0]];
	int rc = posting_cursor_seek(&source->cursor, number, &source->number, error);

	if (rc < 0)
		return rc;
	if (rc == 0)
		gathering->heap[0] = gathering->heap[--gathering->heap_len];
	if (gathering->heap_len > 0)
		heap_sink(gathering, 0);
	return 0;
}

static int heap_make(struct gathering *gathering, struct error *error)
{
	for (size_t i = 0; i < gathering->sources_len; i++) {
		struct source *source = &gathering->sources[i];
		int rc = posting_cursor_next(&source->cursor, &source->number, error);

		if (rc < 0)
			return rc;
		if (rc > 0)
			gathering->heap[gathering->heap_len++] = (uint32_t)i;
	}
	for (size_t i = gathering->heap_len / 2; i-- > 0;)
		heap_sink(gathering, i);
	return 0;
}

static int sources_open(struct gathering *gathering, const struct search_segment *segment,
                        struct error *error)
{
	if (sources_reserve(gathering, sources_most(segment), error) != 0)
		return error->code;
	for (uint8_t typos = 0; typos < SEARCH_CLASSES; typos++) {
		words_sources(gathering, &segment->words, typos);
		phrases_sources(gathering, &segment->phrases, typos, PART_FIRSTS);
		phrases_sources(gathering, &segment->phrases, typos, PART_LASTS);
	}
	terms_sources(gathering, &segment->phrases);
	if (wants_lengths(gathering->plan))
		source_add(gathering, &segment->lengths, (struct source){.part = PART_LENGTHS});
	return heap_make(gathering, error);
}

/* ---- gathering ---- */

static int places_reserve(struct gathering *gathering, struct error *error)
{
	size_t size = gathering->places_size == 0 ? PLACES_FIRST : gathering->places_size * 2;
	struct place *places;

	if (gathering->places_len + SEARCH_PLACES_MAX <= gathering->places_size)
		return 0;
	places = realloc(gathering->places, size * sizeof *places);
	if (places == NULL)
		return error_memory(error, size * sizeof *places);
	gathering->places = places;
	gathering->places_size = size;
	return 0;
}

/* The source stands at the document at hand. */
static int source_take(struct gathering *gathering, uint32_t number, struct error *error)
{
	struct source *source = &gathering->sources[number];
	struct entry entry = {.source = number, .at = (uint32_t)gathering->places_len};
	struct place *places;
	size_t at = gathering->entries_len;
	size_t len;

	if (source->only != NULL && !postings_contains(source->only, source->number))
		return 0;
	if (places_reserve(gathering, error) != 0)
		return error->code;
	places = gathering->places + gathering->places_len;
	if (search_places_read(gathering->search, &source->cursor, places, &len, error) != 0)
		return error->code;
	entry.len = (uint32_t)len;
	if (source->counted && !search_places_count(gathering->search, places, len, source->tolerant))
		return 0;
	gathering->places_len += entry.len;
	for (; at > 0 && gathering->entries[at - 1].source > number; at--)
		gathering->entries[at] = gathering->entries[at - 1];
	gathering->entries[at] = entry;
	gathering->entries_len++;
	return 0;
}

/* Takes what all sources have of the document. */
static int document_gather(struct gathering *gathering, uint64_t number, struct error *error)
{
	gathering->entries_len = 0;
	gathering->places_len = 0;
	while (gathering->heap_len > 0) {
		uint32_t first = gathering->heap[0];

		if (gathering->sources[first].number > number)
			return 0;
		if (gathering->sources[first].number == number) {
			if (source_take(gathering, first, error) != 0 ||
			    heap_advance(gathering, number + 1, error) != 0)
				return error->code;
		} else if (heap_advance(gathering, number, error) != 0) {
			return error->code;
		}
	}
	return 0;
}

/* ---- one document ---- */

static int place_compare(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;

	if (left->field != right->field)
		return left->field < right->field ? -1 : 1;
	return (left->position > right->position) - (left->position < right->position);
}

static struct places *part_of(struct gathering *gathering, const struct source *source)
{
	struct rank_found_node *node = &gathering->nodes[source->node];

	if (source->part < PART_FIRSTS)
		return &node->typos[source->part - PART_WORDS].words;
	if (source->part < PART_LASTS)
		return &node->typos[source->part - PART_FIRSTS].firsts;
	if (source->part < PART_PHRASE)
		return &node->typos[source->part - PART_LASTS].lasts;
	node->phrase = gathering->phrases + gathering->search->phrase_at[source->node];
	return &gathering->phrases[gathering->search->phrase_at[source->node] + source->word];
}

/* Places of neighbouring entries of one part, sorted. */
static struct places places_join(struct gathering *gathering, const struct entry *entries, size_t len)
{
	struct place *joined = gathering->joined + gathering->joined_len;
	size_t count = 0;

	if (len == 1)
		return (struct places){gathering->places + entries->at, entries->len};
	for (size_t i = 0; i < len; i++) {
		memcpy(joined + count, gathering->places + entries[i].at, entries[i].len * sizeof *joined);
		count += entries[i].len;
	}
	qsort(joined, count, sizeof *joined, place_compare);
	gathering->joined_len += count;
	return (struct places){joined, count};
}

static int joined_reserve(struct gathering *gathering, struct error *error)
{
	struct place *joined;

	gathering->joined_len = 0;
	if (gathering->places_len <= gathering->joined_size)
		return 0;
	joined = realloc(gathering->joined, gathering->places_size * sizeof *joined);
	if (joined == NULL)
		return error_memory(error, gathering->places_size * sizeof *joined);
	gathering->joined = joined;
	gathering->joined_size = gathering->places_size;
	return 0;
}

/* Lengths of the fields, which stand as places. */
static size_t fields_take(struct gathering *gathering, const struct entry *entry)
{
	const struct place *places = gathering->places + entry->at;
	size_t len = 0;

	for (size_t i = 0; i < entry->len && len < sizeof gathering->fields / sizeof gathering->fields[0];
	     i++)
		gathering->fields[len++] = (struct rank_field){places[i].field, places[i].position};
	return len;
}

static bool is_one_part(const struct source *a, const struct source *b)
{
	return a->node == b->node && a->part == b->part && a->word == b->word;
}

/* What stands for the nodes in the document; sources of one part are neighbours. */
static int found_make(struct gathering *gathering, struct rank_found *found, struct error *error)
{
	const struct entry *entries = gathering->entries;
	size_t len = gathering->entries_len;

	if (joined_reserve(gathering, error) != 0)
		return error->code;
	memset(gathering->nodes, 0,
	       gathering->search->request->query->nodes_len * sizeof gathering->nodes[0]);
	memset(gathering->phrases, 0, gathering->search->phrase_words * sizeof *gathering->phrases);
	*found = (struct rank_found){.nodes = gathering->nodes, .fields = gathering->fields};
	for (size_t i = 0, end; i < len; i = end) {
		const struct source *source = &gathering->sources[entries[i].source];

		end = i + 1;
		if (source->part == PART_LENGTHS) {
			found->fields_len = fields_take(gathering, &entries[i]);
			continue;
		}
		if (source->exact)
			gathering->nodes[source->node].exact =
				(struct places){gathering->places + entries[i].at, entries[i].len};
		for (; end < len && is_one_part(source, &gathering->sources[entries[end].source]); end++)
			if (gathering->sources[entries[end].source].exact)
				gathering->nodes[source->node].exact = (struct places){
					gathering->places + entries[end].at, entries[end].len};
		*part_of(gathering, source) = places_join(gathering, &entries[i], end - i);
	}
	return 0;
}

/* ---- scores ---- */

/* Costs beyond the rules are 0. */
static int scored_compare(const void *a, const void *b)
{
	const struct search_scored *left = a;
	const struct search_scored *right = b;

	for (size_t i = 0; i < RANK_RULES_MAX; i++)
		if (left->costs[i] != right->costs[i])
			return left->costs[i] < right->costs[i] ? -1 : 1;
	return 0;
}

static void scored_swap(struct search_scored *a, struct search_scored *b)
{
	struct search_scored swapped = *a;

	*a = *b;
	*b = swapped;
}

/* Those of [*from, *to) below the pivot, then its equals, which become the range, then those above (Dijkstra). */
static void scores_part(struct search_scored *ptr, const struct search_scored *pivot, size_t *from,
                        size_t *to)
{
	for (size_t at = *from; at < *to;) {
		int order = scored_compare(&ptr[at], pivot);

		if (order < 0)
			scored_swap(&ptr[at++], &ptr[(*from)++]);
		else if (order > 0)
			scored_swap(&ptr[at], &ptr[--*to]);
		else
			at++;
	}
}

/* Leaves the best that are wanted, and those that are equal to the last of them, which stand behind the `better`. */
static void scores_cut(struct search_scores *scores)
{
	size_t low = 0;
	size_t high = scores->len;

	scores->better = scores->len;
	if (scores->len <= scores->wanted)
		return;
	for (;;) {
		struct search_scored pivot = scores->ptr[low + (high - low) / 2];
		size_t from = low;
		size_t to = high;

		scores_part(scores->ptr, &pivot, &from, &to);
		if (scores->wanted <= from && from > low) {
			high = from;
		} else if (scores->wanted > to) {
			low = to;
		} else {
			scores->better = from;
			scores->len = to;
			scores->is_full = true;
			scores->worst = pivot;
			return;
		}
	}
}

/* A list that is full is cut; one that stays more than half full is doubled. */
static int scores_reserve(struct search_scores *scores, struct error *error)
{
	size_t size = scores->size == 0 ? SCORES_FIRST + 2 * scores->wanted : scores->size * 2;
	struct search_scored *ptr;

	if (scores->len > 0)
		scores_cut(scores);
	if (scores->len < scores->size / 2)
		return 0;
	ptr = realloc(scores->ptr, size * sizeof *ptr);
	if (ptr == NULL)
		return error_memory(error, size * sizeof *ptr);
	scores->ptr = ptr;
	scores->size = size;
	return 0;
}

static int scores_add(struct search_scores *scores, const struct search_scored *scored, struct error *error)
{
	if (scores->len == scores->size && scores_reserve(scores, error) != 0)
		return error->code;
	scores->ptr[scores->len++] = *scored;
	return 0;
}

static int document_rank(struct gathering *gathering, uint64_t number, struct error *error)
{
	struct search_scores *scores = gathering->scores;
	struct search_scored scored = {.number = number};
	struct rank_bound bound = {scores->worst.costs, scores->is_full ? gathering->plan->rules_len : 0};
	struct rank_outcome outcome;
	struct rank_found found;

	if (document_gather(gathering, number, error) != 0 || found_make(gathering, &found, error) != 0)
		return error->code;
	switch (rank_document(gathering->plan, &found, bound, &gathering->work, &outcome)) {
	case RANK_NO_MATCH:
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "document %llu has not the words that its lists say",
		                 (unsigned long long)number);
	case RANK_WORSE:
		return 0;
	case RANK_MATCH:
		break;
	}
	memcpy(scored.costs, outcome.costs, gathering->plan->rules_len * sizeof scored.costs[0]);
	return scores_add(scores, &scored, error);
}

/* Those of the numbers, which rise, that are the segment's. */
static int segment_rank(struct gathering *gathering, const struct search_segment *segment,
                        const uint64_t *numbers, size_t len, struct error *error)
{
	if (len > 0 && sources_open(gathering, segment, error) != 0)
		return error->code;
	for (size_t i = 0; i < len; i++)
		if (document_rank(gathering, numbers[i], error) != 0)
			return error->code;
	return 0;
}

static int numbers_rank(struct gathering *gathering, const uint64_t *numbers, size_t len, struct error *error)
{
	const struct search *search = gathering->search;
	size_t at = 0;

	for (size_t i = 0; i < search->segments_len; i++) {
		const struct search_segment *segment = &search->segments[i];
		size_t end = at;

		while (end < len && numbers[end] < segment->end)
			end++;
		if (segment_rank(gathering, segment, numbers + at, end - at, error) != 0)
			return error->code;
		at = end;
	}
	return 0;
}

int search_rank(struct search *search, const struct rank_plan *plan, const struct postings *group,
                struct search_scores *scores, struct error *error)
{
	size_t len = (size_t)postings_count(group);
	uint64_t *numbers = malloc((len + 1) * sizeof *numbers);
	struct gathering *gathering =
		malloc(sizeof *gathering + search->phrase_words * sizeof(struct places));
	int rc;

	if (gathering == NULL || numbers == NULL) {
		free(gathering);
		free(numbers);
		return error_memory(error, sizeof *gathering + len * sizeof *numbers);
	}
	*gathering = (struct gathering){.search = search, .plan = plan, .scores = scores};
	gathering->phrases = (struct places *)(gathering + 1);
	postings_list(group, numbers);
	rc = numbers_rank(gathering, numbers, len, error);
	if (rc == 0 && scores->len > 0) {
		scores_cut(scores);
		qsort(scores->ptr, scores->better, sizeof *scores->ptr, scored_compare);
	}
	sources_free(gathering);
	free(gathering->places);
	free(gathering->joined);
	free(gathering);
	free(numbers);
	return rc;
}
