/* Ranking a group of documents: their places are gathered list by list, put in order of the documents, and judged. */
#include "shard/core/search_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Documents whose places are in memory at once. */
#define CHUNK_DOCUMENTS 4096
#define SCORES_FIRST 1024
#define PLACES_FIRST 65536

/* What an entry's places are, of its node: one of SEARCH_CLASSES each, but the last two. */
enum part {
	PART_WORDS = 0,
	PART_FIRSTS = PART_WORDS + SEARCH_CLASSES,
	PART_LASTS = PART_FIRSTS + SEARCH_CLASSES,
	PART_EXACT = PART_LASTS + SEARCH_CLASSES,
	PART_PHRASE, /* a word of it */
	PART_LENGTHS,
	PARTS
};

/* Places of one word in one document of the chunk. */
struct entry {
	uint32_t document;
	uint32_t at; /* in places */
	uint32_t len;
	uint16_t word; /* of a PART_PHRASE */
	uint8_t node;
	uint8_t part;
};

/* Which list to go through, and what its places are. */
struct source {
	struct posting_cursor cursor;
	uint64_t number;             /* given last; UINT64_MAX: none is left */
	const struct postings *only; /* NULL: every document */
	bool begun;
	bool exact;
	bool tolerant;
	bool counted; /* only where a field counts */
	uint16_t word;
	uint8_t node;
	uint8_t part;
};

struct gathering {
	struct search *search;
	const struct rank_plan *plan;
	struct search_scores *scores;
	struct source *sources; /* of one segment */
	size_t sources_len;
	uint64_t numbers[CHUNK_DOCUMENTS];
	size_t numbers_len;
	struct entry *entries;
	size_t entries_len;
	size_t entries_size;
	struct entry *ordered; /* the same by document */
	struct place *places;
	size_t places_len;
	size_t places_size;
	size_t begins[CHUNK_DOCUMENTS + 1]; /* in ordered */
	/* of the document at hand */
	struct place *joined; /* of several words, sorted */
	size_t joined_len;
	size_t joined_size;
	struct rank_found_node nodes[QUERY_NODES_MAX];
	struct rank_places *phrases;
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

static void phrase_sources(struct gathering *gathering, const struct search_phrase *phrase)
{
	struct source source = {.node = phrase->node, .only = &phrase->numbers};
	size_t first = 0;
	size_t last = phrase->len - 1;

	while (phrase->lists[first].count == 0)
		first++;
	while (phrase->lists[last].count == 0)
		last--;
	source.part = (uint8_t)(PART_FIRSTS + phrase->typos);
	source_add(gathering, &phrase->lists[first], source);
	source.part = (uint8_t)(PART_LASTS + phrase->typos);
	source_add(gathering, &phrase->lists[last], source);
	source.part = PART_PHRASE;
	for (size_t i = 0; phrase->is_term && i < phrase->len; i++) {
		source.word = (uint16_t)i;
		source_add(gathering, &phrase->lists[i], source);
	}
}

static bool wants_lengths(const struct rank_plan *plan)
{
	for (size_t i = 0; i < plan->rules_len; i++)
		if (plan->rules[i] == RANK_EXACTNESS)
			return true;
	return false;
}

static int sources_open(struct gathering *gathering, const struct search_segment *segment,
                        struct error *error)
{
	size_t most = segment->words.len + 1;

	for (size_t i = 0; i < segment->phrases.len; i++)
		most += 2 + (segment->phrases.ptr[i].is_term ? segment->phrases.ptr[i].len : 0);
	free(gathering->sources);
	gathering->sources_len = 0;
	gathering->sources = malloc(most * sizeof *gathering->sources);
	if (gathering->sources == NULL)
		return error_memory(error, most * sizeof *gathering->sources);
	for (size_t i = 0; i < segment->words.len; i++) {
		const struct search_word *word = &segment->words.ptr[i];

		source_add(gathering, &word->list,
		           (struct source){.node = word->node,
		                           .part = (uint8_t)(PART_WORDS + word->typos),
		                           .exact = word->exact,
		                           .counted = gathering->search->some_fields,
		                           .tolerant = word->tolerant});
	}
	for (size_t i = 0; i < segment->phrases.len; i++)
		phrase_sources(gathering, &segment->phrases.ptr[i]);
	if (wants_lengths(gathering->plan))
		source_add(gathering, &segment->lengths, (struct source){.part = PART_LENGTHS});
	return 0;
}

/* ---- gathering ---- */

static int entry_add(struct gathering *gathering, const struct entry *entry, struct error *error)
{
	if (gathering->entries_len == gathering->entries_size) {
		size_t size = gathering->entries_size == 0 ? CHUNK_DOCUMENTS : gathering->entries_size * 2;
		struct entry *entries = realloc(gathering->entries, size * sizeof *entries);

		if (entries == NULL)
			return error_memory(error, size * sizeof *entries);
		gathering->entries = entries;
		gathering->entries_size = size;
	}
	gathering->entries[gathering->entries_len++] = *entry;
	return 0;
}

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

/* The source stands at a document of the chunk. */
static int source_take(struct gathering *gathering, struct source *source, size_t document,
                       struct error *error)
{
	struct entry entry = {.document = (uint32_t)document,
	                      .at = (uint32_t)gathering->places_len,
	                      .word = source->word,
	                      .node = source->node,
	                      .part = source->part};
	struct place *places;
	size_t len;

	if (source->only != NULL && !postings_contains(source->only, source->number))
		return 0;
	if (places_reserve(gathering, error) != 0)
		return error->code;
	places = gathering->places + gathering->places_len;
	if (posting_cursor_places(&source->cursor, places, SEARCH_PLACES_MAX, &len, error) != 0)
		return error->code;
	entry.len = (uint32_t)(len < SEARCH_PLACES_MAX ? len : SEARCH_PLACES_MAX);
	if (source->counted && !search_places_count(gathering->search, places, entry.len, source->tolerant))
		return 0;
	gathering->places_len += entry.len;
	if (entry_add(gathering, &entry, error) != 0)
		return error->code;
	if (!source->exact)
		return 0;
	entry.part = PART_EXACT;
	return entry_add(gathering, &entry, error);
}

/* Documents of the chunk that the source has. */
static int source_gather(struct gathering *gathering, struct source *source, struct error *error)
{
	size_t i = 0;

	while (i < gathering->numbers_len && source->number != UINT64_MAX) {
		uint64_t wanted = gathering->numbers[i];

		if (!source->begun || source->number < wanted) {
			int rc = posting_cursor_seek(&source->cursor, wanted, &source->number, error);

			if (rc < 0)
				return rc;
			source->begun = true;
			if (rc == 0)
				source->number = UINT64_MAX;
		} else if (source->number > wanted) {
			i++;
		} else {
			if (source_take(gathering, source, i, error) != 0)
				return error->code;
			i++;
		}
	}
	return 0;
}

/* Entries by document, in the order they came: counted, then placed. */
static int entries_order(struct gathering *gathering, struct error *error)
{
	size_t *begins = gathering->begins;
	struct entry *ordered = realloc(gathering->ordered, (gathering->entries_size + 1) * sizeof *ordered);

	if (ordered == NULL)
		return error_memory(error, gathering->entries_size * sizeof *ordered);
	gathering->ordered = ordered;
	memset(begins, 0, sizeof gathering->begins);
	for (size_t i = 0; i < gathering->entries_len; i++)
		begins[gathering->entries[i].document]++;
	for (size_t i = 0, sum = 0; i <= gathering->numbers_len; i++) {
		size_t count = i < gathering->numbers_len ? begins[i] : 0;

		begins[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < gathering->entries_len; i++)
		ordered[begins[gathering->entries[i].document]++] = gathering->entries[i];
	memmove(begins + 1, begins, gathering->numbers_len * sizeof *begins);
	begins[0] = 0;
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

static int entry_compare(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;

	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	if (left->part != right->part)
		return left->part < right->part ? -1 : 1;
	return (left->word > right->word) - (left->word < right->word);
}

static struct rank_places *part_of(struct gathering *gathering, const struct entry *entry)
{
	struct rank_found_node *node = &gathering->nodes[entry->node];

	if (entry->part < PART_FIRSTS)
		return &node->typos[entry->part - PART_WORDS].words;
	if (entry->part < PART_LASTS)
		return &node->typos[entry->part - PART_FIRSTS].firsts;
	if (entry->part < PART_EXACT)
		return &node->typos[entry->part - PART_LASTS].lasts;
	if (entry->part == PART_EXACT)
		return &node->exact;
	return &gathering->phrases[gathering->search->phrase_at[entry->node] + entry->word];
}

/* Places of neighbouring entries of one part, sorted. */
static struct rank_places places_join(struct gathering *gathering, const struct entry *entries, size_t len)
{
	struct place *joined = gathering->joined + gathering->joined_len;
	size_t count = 0;

	if (len == 1)
		return (struct rank_places){gathering->places + entries->at, entries->len};
	for (size_t i = 0; i < len; i++) {
		memcpy(joined + count, gathering->places + entries[i].at, entries[i].len * sizeof *joined);
		count += entries[i].len;
	}
	qsort(joined, count, sizeof *joined, place_compare);
	gathering->joined_len += count;
	return (struct rank_places){joined, count};
}

static int joined_reserve(struct gathering *gathering, const struct entry *entries, size_t len,
                          struct error *error)
{
	size_t sum = 0;
	struct place *joined;

	gathering->joined_len = 0;
	for (size_t i = 0; i < len; i++)
		sum += entries[i].len;
	if (sum <= gathering->joined_size)
		return 0;
	joined = realloc(gathering->joined, sum * sizeof *joined);
	if (joined == NULL)
		return error_memory(error, sum * sizeof *joined);
	gathering->joined = joined;
	gathering->joined_size = sum;
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

static void found_clear(struct gathering *gathering)
{
	const struct query *query = gathering->search->request->query;

	memset(gathering->nodes, 0, query->nodes_len * sizeof gathering->nodes[0]);
	memset(gathering->phrases, 0, gathering->search->phrase_words * sizeof *gathering->phrases);
}

/* What stands for the nodes in the document. */
static int found_make(struct gathering *gathering, struct entry *entries, size_t len,
                      struct rank_found *found, struct error *error)
{
	const struct search *search = gathering->search;

	if (joined_reserve(gathering, entries, len, error) != 0)
		return error->code;
	found_clear(gathering);
	*found = (struct rank_found){.nodes = gathering->nodes, .fields = gathering->fields};
	qsort(entries, len, sizeof *entries, entry_compare);
	for (size_t i = 0, end; i < len; i = end) {
		for (end = i + 1; end < len && entry_compare(&entries[i], &entries[end]) == 0;)
			end++;
		if (entries[i].part == PART_LENGTHS) {
			found->fields_len = fields_take(gathering, &entries[i]);
			continue;
		}
		*part_of(gathering, &entries[i]) = places_join(gathering, &entries[i], end - i);
		if (entries[i].part == PART_PHRASE)
			gathering->nodes[entries[i].node].phrase =
				gathering->phrases + search->phrase_at[entries[i].node];
	}
	return 0;
}

/* ---- scores ---- */

static int costs_compare(const struct search_scored *left, const struct search_scored *right, size_t rules)
{
	for (size_t i = 0; i < rules; i++)
		if (left->costs[i] != right->costs[i])
			return left->costs[i] < right->costs[i] ? -1 : 1;
	return 0;
}

/* Costs beyond the rules are 0. */
static int scored_compare(const void *a, const void *b)
{
	const struct search_scored *left = a;
	const struct search_scored *right = b;
	int order = costs_compare(left, right, RANK_RULES_MAX);

	return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

/* Leaves the best that are wanted, and those that are equal to the last of them. */
static void scores_cut(struct search_scores *scores)
{
	size_t len = scores->wanted;

	qsort(scores->ptr, scores->len, sizeof *scores->ptr, scored_compare);
	if (scores->len <= scores->wanted)
		return;
	while (len < scores->len &&
	       costs_compare(&scores->ptr[len - 1], &scores->ptr[len], RANK_RULES_MAX) == 0)
		len++;
	scores->len = len;
	scores->is_full = true;
	scores->worst = scores->ptr[len - 1];
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

static int document_rank(struct gathering *gathering, size_t i, struct error *error)
{
	struct entry *entries = gathering->ordered + gathering->begins[i];
	size_t len = gathering->begins[i + 1] - gathering->begins[i];
	struct search_scores *scores = gathering->scores;
	struct search_scored scored = {.number = gathering->numbers[i]};
	struct rank_bound bound = {scores->worst.costs, scores->is_full ? gathering->plan->rules_len : 0};
	struct rank_outcome outcome;
	struct rank_found found;

	if (found_make(gathering, entries, len, &found, error) != 0)
		return error->code;
	switch (rank_document(gathering->plan, &found, bound, &gathering->work, &outcome)) {
	case RANK_NO_MATCH:
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "document %llu has not the words that its lists say",
		                 (unsigned long long)scored.number);
	case RANK_WORSE:
		return 0;
	case RANK_MATCH:
		break;
	}
	memcpy(scored.costs, outcome.costs, gathering->plan->rules_len * sizeof scored.costs[0]);
	return scores_add(scores, &scored, error);
}

/* ---- all of a group ---- */

static int chunk_rank(struct gathering *gathering, struct error *error)
{
	gathering->entries_len = 0;
	gathering->places_len = 0;
	for (size_t i = 0; i < gathering->sources_len; i++)
		if (source_gather(gathering, &gathering->sources[i], error) != 0)
			return error->code;
	if (entries_order(gathering, error) != 0)
		return error->code;
	for (size_t i = 0; i < gathering->numbers_len; i++)
		if (document_rank(gathering, i, error) != 0)
			return error->code;
	return 0;
}

static int segment_rank(struct gathering *gathering, const struct search_segment *segment,
                        const struct postings *group, struct error *error)
{
	uint64_t number = segment->first;
	bool more = postings_next(group, number, &number) && number < segment->end;

	if (more && sources_open(gathering, segment, error) != 0)
		return error->code;
	while (more) {
		gathering->numbers_len = 0;
		for (; more && gathering->numbers_len < CHUNK_DOCUMENTS;
		     more = postings_next(group, number + 1, &number) && number < segment->end)
			gathering->numbers[gathering->numbers_len++] = number;
		if (chunk_rank(gathering, error) != 0)
			return error->code;
	}
	return 0;
}

int search_rank(struct search *search, const struct rank_plan *plan, const struct postings *group,
                struct search_scores *scores, struct error *error)
{
	struct gathering *gathering =
		malloc(sizeof *gathering + search->phrase_words * sizeof(struct rank_places));
	int rc = 0;

	if (gathering == NULL)
		return error_memory(error, sizeof *gathering);
	*gathering = (struct gathering){.search = search, .plan = plan, .scores = scores};
	gathering->phrases = (struct rank_places *)(gathering + 1);
	for (size_t i = 0; i < search->segments_len && rc == 0; i++)
		rc = segment_rank(gathering, &search->segments[i], group, error);
	if (rc == 0 && scores->len > 0)
		scores_cut(scores);
	free(gathering->sources);
	free(gathering->entries);
	free(gathering->ordered);
	free(gathering->places);
	free(gathering->joined);
	free(gathering);
	return rc;
}
