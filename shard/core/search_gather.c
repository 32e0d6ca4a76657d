/* What documents have, chunk by chunk. */
#include "shard/core/search_gather.h"

#include <stdlib.h>

#define PLACES_FIRST (2 * SEARCH_PLACES_MAX)
#define ENTRIES_FIRST 1024

/* What places are, of a node: one of SEARCH_CLASSES each, but the last. */
enum part {
	PART_WORDS = 0,
	PART_FIRSTS = PART_WORDS + SEARCH_CLASSES,
	PART_LASTS = PART_FIRSTS + SEARCH_CLASSES,
	PART_PHRASE = PART_LASTS + SEARCH_CLASSES /* a word of it */
};

/* ---- sources ---- */

/* Where it is known what a document keeps, nothing else counts in it. */
bool search_ranking_keeps(const struct search *search, const struct search_ranking *ranking, size_t number,
                          uint32_t typos)
{
	const struct query_node *node = &search->request->query->nodes[number];
	uint32_t joined = node->terms > 1 ? node->terms : 0;

	return ranking->terms == 0 ||
	       ((size_t)node->first + node->terms <= ranking->terms && typos + joined <= ranking->typos);
}

static void source_add(struct gathering *gathering, const struct posting_list *list,
                       struct gathering_source source)
{
	struct gathering_source *added = &gathering->sources[gathering->sources_len];
	uint32_t typos = source.part < PART_PHRASE ? source.part % SEARCH_CLASSES : 0;

	if (list->count == 0 ||
	    !search_ranking_keeps(gathering->search, gathering->ranking, source.node, typos))
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
		           (struct gathering_source){.node = phrase->node,
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
			           (struct gathering_source){.node = phrase->node,
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
			           (struct gathering_source){.node = word->node,
			                                     .part = (uint8_t)(PART_WORDS + typos),
			                                     .exact = word->exact,
			                                     .counted = gathering->search->some_fields,
			                                     .tolerant = word->tolerant});
	}
}

static size_t sources_most(const struct search_segment *segment)
{
	size_t most = segment->words.len;

	for (size_t i = 0; i < segment->phrases.len; i++)
		most += 2 + (segment->phrases.ptr[i].is_term ? segment->phrases.ptr[i].len : 0);
	return most;
}

static int sources_reserve(struct gathering *gathering, size_t most, struct error *error)
{
	free(gathering->sources);
	free(gathering->stand);
	gathering->sources_len = 0;
	gathering->sources = malloc((most + 1) * sizeof *gathering->sources);
	gathering->stand = malloc((most + 1) * sizeof *gathering->stand);
	if (gathering->sources == NULL || gathering->stand == NULL)
		return error_memory(error, most * sizeof *gathering->sources);
	return 0;
}

int gathering_open(struct gathering *gathering, const struct search_segment *segment, struct error *error)
{
	if (sources_reserve(gathering, sources_most(segment), error) != 0)
		return error->code;
	for (uint8_t typos = 0; typos < SEARCH_CLASSES; typos++) {
		words_sources(gathering, &segment->words, typos);
		phrases_sources(gathering, &segment->phrases, typos, PART_FIRSTS);
		phrases_sources(gathering, &segment->phrases, typos, PART_LASTS);
	}
	terms_sources(gathering, &segment->phrases);
	for (size_t i = 0; i < gathering->sources_len; i++) {
		int rc = posting_cursor_next(&gathering->sources[i].cursor, &gathering->stand[i], error);

		if (rc < 0)
			return rc;
		if (rc == 0)
			gathering->stand[i] = UINT64_MAX;
	}
	return 0;
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

static int entries_reserve(struct gathering *gathering, struct error *error)
{
	size_t size = gathering->entries_size == 0 ? ENTRIES_FIRST : gathering->entries_size * 2;
	struct gathering_entry *entries;

	if (gathering->entries_len < gathering->entries_size)
		return 0;
	entries = realloc(gathering->entries, 2 * size * sizeof *entries);
	if (entries == NULL)
		return error_memory(error, 2 * size * sizeof *entries);
	gathering->entries = entries;
	gathering->sorted = entries + size;
	gathering->entries_size = size;
	return 0;
}

/* The source stands at that document of the chunk. */
static int source_take(struct gathering *gathering, uint32_t number, size_t document, struct error *error)
{
	struct gathering_source *source = &gathering->sources[number];
	struct place *places;
	size_t len;

	if (source->only != NULL && !postings_contains(source->only, gathering->chunk[document]))
		return 0;
	if (places_reserve(gathering, error) != 0 || entries_reserve(gathering, error) != 0)
		return error->code;
	places = gathering->places + gathering->places_len;
	if (search_places_read(gathering->search, &source->cursor, places, &len, error) != 0)
		return error->code;
	if (source->counted && !search_places_count(gathering->search, places, len, source->tolerant))
		return 0;
	gathering->entries[gathering->entries_len++] = (struct gathering_entry){
		number, (uint32_t)document, (uint32_t)gathering->places_len, (uint32_t)len};
	gathering->places_len += len;
	return 0;
}

/* Takes what a source has of the chunk. */
static int source_gather(struct gathering *gathering, uint32_t number, struct error *error)
{
	struct posting_cursor *cursor = &gathering->sources[number].cursor;
	const uint64_t *chunk = gathering->chunk;
	size_t len = gathering->chunk_len;
	uint64_t stand = gathering->stand[number];
	size_t at = 0;
	int rc = 1;

	if (stand < chunk[0])
		rc = posting_cursor_seek(cursor, chunk[0], &stand, error);
	while (rc > 0 && (at = search_numbers_seek(chunk, len, at, stand)) < len) {
		if (chunk[at] != stand) {
			rc = posting_cursor_seek(cursor, chunk[at], &stand, error);
			continue;
		}
		if (source_take(gathering, number, at, error) != 0)
			return error->code;
		rc = posting_cursor_next(cursor, &stand, error);
	}
	gathering->stand[number] = rc > 0 ? stand : UINT64_MAX;
	return rc < 0 ? rc : 0;
}

/* By document; those of one stay in order. */
static void entries_sort(struct gathering *gathering)
{
	uint32_t *ends = gathering->ends;

	memset(ends, 0, (gathering->chunk_len + 1) * sizeof *ends);
	for (size_t i = 0; i < gathering->entries_len; i++)
		ends[gathering->entries[i].document + 1]++;
	for (size_t i = 1; i < gathering->chunk_len; i++)
		ends[i] += ends[i - 1];
	for (size_t i = 0; i < gathering->entries_len; i++)
		gathering->sorted[ends[gathering->entries[i].document]++] = gathering->entries[i];
}

/* Takes what all sources have of the chunk. */
int gathering_chunk(struct gathering *gathering, struct error *error)
{
	gathering->entries_len = 0;
	gathering->places_len = 0;
	for (size_t i = 0; i < gathering->sources_len; i++)
		if (gathering->stand[i] <= gathering->chunk[gathering->chunk_len - 1] &&
		    (watch_step(gathering->search->request->watch, 1, error) != 0 ||
		     source_gather(gathering, (uint32_t)i, error) != 0))
			return error->code;
	entries_sort(gathering);
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

static struct places *part_of(struct gathering *gathering, const struct gathering_source *source)
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
static struct places places_join(struct gathering *gathering, const struct gathering_entry *entries,
                                 size_t len)
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

static bool is_one_part(const struct gathering_source *a, const struct gathering_source *b)
{
	return a->node == b->node && a->part == b->part && a->word == b->word;
}

/* What stands for the nodes in a document of the chunk; sources of one part are neighbours. */
int gathering_found(struct gathering *gathering, size_t document, struct rank_found *found,
                    struct error *error)
{
	size_t from = document == 0 ? 0 : gathering->ends[document - 1];
	const struct gathering_entry *entries = gathering->sorted + from;
	size_t len = gathering->ends[document] - from;

	if (joined_reserve(gathering, error) != 0)
		return error->code;
	memset(gathering->nodes, 0,
	       gathering->search->request->query->nodes_len * sizeof gathering->nodes[0]);
	memset(gathering->phrases, 0, gathering->search->phrase_words * sizeof *gathering->phrases);
	found->nodes = gathering->nodes;
	for (size_t i = 0, end; i < len; i = end) {
		const struct gathering_source *source = &gathering->sources[entries[i].source];

		end = i + 1;
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

void gathering_close(struct gathering *gathering)
{
	free(gathering->sources);
	free(gathering->stand);
	free(gathering->entries);
	free(gathering->places);
	free(gathering->joined);
}
