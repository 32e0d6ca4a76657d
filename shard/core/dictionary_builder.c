/* A dictionary's words while they are collected, and how they become lists. */
#include "shard/core/dictionary_private.h"

#include "shard/engine/typo.h"
#include "shared/base/arena.h"
#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <stdlib.h>

#define BUILDER_BLOCK_BYTES (64U * 1024)
/* A large table would cost every small range its clearing, and an idle replica keeps no large arrays. */
#define BUILDER_TABLE_KEPT 1024
#define BUILDER_TABLE_MIN 256
#define BUILDER_ARRAY_KEPT 512

/* A word while it is collected. */
struct collected {
	uint64_t prefix;
	const uint8_t *text;
	uint32_t hash;
	uint32_t count; /* occurrences */
	uint32_t at;    /* of the next one, while they are brought together */
	uint16_t len;
};

/* Where a word stands in a document. */
struct standing {
	uint32_t distance; /* number - base */
	struct place place;
};

struct occurrence {
	uint32_t word; /* place in collected */
	struct standing standing;
};

struct dictionary_builder {
	struct arena arena; /* words */
	uint32_t *table;    /* place in collected + 1 by hash, linear probing, at most half full; 0: free */
	size_t table_size;  /* power of two, or 0 */
	struct collected *collected;
	size_t collected_len;
	size_t collected_size;
	struct occurrence *occurrences;
	size_t occurrences_len;
	size_t occurrences_size;
	uint64_t base; /* number of the first occurrence */
	size_t text_bytes;
};

struct dictionary_builder *dictionary_builder_new(void)
{
	struct dictionary_builder *builder = calloc(1, sizeof *builder);

	if (builder == NULL)
		return NULL;
	arena_init(&builder->arena, BUILDER_BLOCK_BYTES);
	return builder;
}

void dictionary_builder_free(struct dictionary_builder *builder)
{
	if (builder == NULL)
		return;
	arena_deinit(&builder->arena);
	free(builder->table);
	free(builder->collected);
	free(builder->occurrences);
	free(builder);
}

void dictionary_builder_clear(struct dictionary_builder *builder)
{
	arena_clear(&builder->arena);
	if (builder->table_size > BUILDER_TABLE_KEPT) {
		free(builder->table);
		builder->table = NULL;
		builder->table_size = 0;
	} else if (builder->table_size > 0) {
		memset(builder->table, 0, builder->table_size * sizeof *builder->table);
	}
	if (builder->occurrences_size > BUILDER_ARRAY_KEPT) {
		free(builder->collected);
		free(builder->occurrences);
		builder->collected = NULL;
		builder->occurrences = NULL;
		builder->collected_size = 0;
		builder->occurrences_size = 0;
	}
	builder->collected_len = 0;
	builder->occurrences_len = 0;
	builder->text_bytes = 0;
}

/* Room for one more element of `element` bytes in an array that doubles. */
static bool array_reserve(void **array, size_t len, size_t *size, size_t element)
{
	size_t wanted = *size == 0 ? 256 : *size * 2;
	void *grown;

	if (len < *size)
		return true;
	if (len >= UINT32_MAX - 1)
		return false;
	grown = realloc(*array, wanted * element);
	if (grown == NULL)
		return false;
	*array = grown;
	*size = wanted;
	return true;
}

static bool is_word(const struct collected *collected, uint32_t hash, struct slice word)
{
	return collected->hash == hash && collected->len == word.len &&
	       memcmp(collected->text, word.ptr, word.len) == 0;
}

/* Where the word stands in the table, or where it belongs. */
static uint32_t *table_find(const struct dictionary_builder *builder, uint32_t hash, struct slice word)
{
	size_t at = hash & (builder->table_size - 1);

	while (builder->table[at] != 0 && !is_word(&builder->collected[builder->table[at] - 1], hash, word))
		at = (at + 1) & (builder->table_size - 1);
	return &builder->table[at];
}

static bool table_reserve(struct dictionary_builder *builder)
{
	size_t size = builder->table_size == 0 ? BUILDER_TABLE_MIN : 2 * builder->table_size;
	uint32_t *table;

	if (2 * (builder->collected_len + 1) <= builder->table_size)
		return true;
	table = calloc(size, sizeof *table);
	if (table == NULL)
		return false;
	free(builder->table);
	builder->table = table;
	builder->table_size = size;
	for (size_t i = 0; i < builder->collected_len; i++) {
		size_t at = builder->collected[i].hash & (size - 1);

		while (table[at] != 0)
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	return true;
}

static bool builder_new_word(struct dictionary_builder *builder, uint32_t *place, uint32_t hash,
                             struct slice word)
{
	struct slice copy;

	if (!array_reserve((void **)&builder->collected, builder->collected_len, &builder->collected_size,
	                   sizeof *builder->collected) ||
	    !arena_copy(&builder->arena, word, &copy))
		return false;
	builder->text_bytes += word.len;
	builder->collected[builder->collected_len++] = (struct collected){
		.prefix = dictionary_prefix(copy), .text = copy.ptr, .hash = hash, .len = (uint16_t)word.len};
	*place = (uint32_t)builder->collected_len;
	return true;
}

bool dictionary_builder_add(struct dictionary_builder *builder, struct slice word, uint64_t number,
                            struct place place)
{
	uint32_t hash = (uint32_t)hash64(word, 0);
	uint32_t *known;

	ASSERT(word.len >= 1 && word.len <= UINT16_MAX);
	if (!array_reserve((void **)&builder->occurrences, builder->occurrences_len,
	                   &builder->occurrences_size, sizeof *builder->occurrences) ||
	    !table_reserve(builder))
		return false;
	if (builder->occurrences_len == 0)
		builder->base = number;
	ASSERT(number >= builder->base && number - builder->base <= POSTING_DISTANCE_MAX);
	known = table_find(builder, hash, word);
	if (*known == 0 && !builder_new_word(builder, known, hash, word))
		return false;
	builder->collected[*known - 1].count++;
	builder->occurrences[builder->occurrences_len++] =
		(struct occurrence){*known - 1, {(uint32_t)(number - builder->base), place}};
	return true;
}

/* A word to be sorted. */
struct sorted {
	uint64_t prefix;
	struct collected *collected;
};

static struct slice sorted_word(const struct sorted *sorted)
{
	return slice_of(sorted->collected->text, sorted->collected->len);
}

static int sorted_compare(const void *a, const void *b)
{
	return slice_compare(sorted_word(a), sorted_word(b));
}

/* By prefix, byte by byte from the last: a stable distribution into `other` and back. */
static void sort_by_prefix(struct sorted *words, struct sorted *other, size_t len)
{
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t at[256] = {0};
		size_t sum = 0;
		struct sorted *swap = words;

		for (size_t i = 0; i < len; i++)
			at[words[i].prefix >> shift & 0xFF]++;
		for (size_t i = 0; i < 256; i++) {
			size_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < len; i++)
			other[at[words[i].prefix >> shift & 0xFF]++] = words[i];
		words = other;
		other = swap;
	}
}

/* Few words are faster compared than distributed. */
#define SORT_DISTRIBUTED_MIN 256

/* `words` has room for twice as many. */
static void words_sort(struct sorted *words, size_t len)
{
	if (len < SORT_DISTRIBUTED_MIN) {
		qsort(words, len, sizeof *words, sorted_compare);
		return;
	}
	sort_by_prefix(words, words + len, len);
	for (size_t from = 0; from < len;) {
		size_t to = from + 1;

		while (to < len && words[to].prefix == words[from].prefix)
			to++;
		if (to - from > 1)
			qsort(words + from, to - from, sizeof *words, sorted_compare);
		from = to;
	}
}

static int place_compare(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;

	if (left->field != right->field)
		return left->field < right->field ? -1 : 1;
	return left->position < right->position ? -1 : left->position > right->position;
}

/* In order, each once: a document's fields need not come by their numbers, and far positions are one. */
static size_t places_settle(struct place *places, size_t len)
{
	bool rising = true;
	size_t kept = 1;

	for (size_t i = 1; i < len; i++)
		rising = rising && place_compare(&places[i - 1], &places[i]) < 0;
	if (rising)
		return len;
	qsort(places, len, sizeof *places, place_compare);
	for (size_t i = 1; i < len; i++)
		if (place_compare(&places[kept - 1], &places[i]) < 0)
			places[kept++] = places[i];
	return kept;
}

/* What turns occurrences into lists. */
struct listing {
	uint64_t base;
	struct posting_writer writer;
	struct standing *standings; /* by words in order, then as they came */
	struct place *places;       /* of one word in one document */
	size_t places_size;
};

/* Brings the occurrences of each word together: the words are in order. */
static void listing_gather(struct listing *listing, const struct dictionary_builder *builder,
                           const struct sorted *words)
{
	uint32_t at = 0;

	for (size_t i = 0; i < builder->collected_len; i++) {
		words[i].collected->at = at;
		at += words[i].collected->count;
	}
	for (size_t i = 0; i < builder->occurrences_len; i++) {
		const struct occurrence *occurrence = &builder->occurrences[i];

		listing->standings[builder->collected[occurrence->word].at++] = occurrence->standing;
	}
}

/* A document's places of the word; false when out of memory. */
static bool listing_add(struct listing *listing, const struct standing *standings, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!array_reserve((void **)&listing->places, i, &listing->places_size,
		                   sizeof *listing->places))
			return false;
		listing->places[i] = standings[i].place;
	}
	posting_writer_add(&listing->writer, listing->base + standings->distance, listing->places,
	                   places_settle(listing->places, len));
	return true;
}

static bool listing_list(struct listing *listing, const struct sorted *sorted,
                         struct dictionary_filler *filler)
{
	const struct collected *collected = sorted->collected;
	const struct slice word = sorted_word(sorted);
	const struct standing *end = listing->standings + collected->at;
	const struct standing *standing = end - collected->count;
	struct posting_list list;
	struct error error;

	if (collected->count == 1) {
		dictionary_filler_word(filler, word, typo_letters(word), 1);
		posting_list_encode_one(&filler->lists, standing->distance, &standing->place, 1);
		return true;
	}
	posting_writer_begin(&listing->writer, listing->base);
	while (standing < end) {
		size_t len = 1;

		while (standing + len < end && standing[len].distance == standing->distance)
			len++;
		if (!listing_add(listing, standing, len))
			return false;
		standing += len;
	}
	if (posting_writer_end(&listing->writer, &list, &error) != 0)
		return false;
	dictionary_filler_word(filler, word, typo_letters(word), list.count);
	buffer_append_slice(&filler->lists, list.bytes);
	return true;
}

struct dictionary *dictionary_build(struct dictionary_builder *builder)
{
	struct listing listing = {.base = builder->base};
	size_t len = builder->collected_len;
	struct sorted *words = malloc((2 * len + 1) * sizeof *words);
	struct dictionary *dictionary = NULL;
	struct dictionary_filler filler;

	posting_writer_init(&listing.writer);
	listing.standings = malloc((builder->occurrences_len + 1) * sizeof *listing.standings);
	if (!dictionary_filler_init(&filler, builder->base, len, builder->text_bytes,
	                            4 * builder->occurrences_len) ||
	    words == NULL || listing.standings == NULL)
		goto out;
	for (size_t i = 0; i < len; i++)
		words[i] = (struct sorted){builder->collected[i].prefix, &builder->collected[i]};
	words_sort(words, len);
	listing_gather(&listing, builder, words);
	for (size_t i = 0; i < len; i++)
		if (!listing_list(&listing, &words[i], &filler))
			goto out;
	dictionary = dictionary_filler_end(&filler);
out:
	posting_writer_deinit(&listing.writer);
	dictionary_filler_deinit(&filler);
	free(listing.standings);
	free(listing.places);
	free(words);
	return dictionary;
}
