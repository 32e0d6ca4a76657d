#include "shard/core/dictionary.h"

#include "shared/base/arena.h"
#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <stdlib.h>

#define BUILDER_BLOCK_BYTES (64U * 1024)

struct dictionary_word {
	uint32_t at; /* in bytes */
	uint32_t numbers_at;
	uint32_t numbers_len;
	uint16_t len;
};

struct dictionary {
	uint64_t base;
	size_t len;
	size_t bytes; /* of the whole block */
	const uint32_t *numbers;
	const uint8_t *text;
	struct dictionary_word words[];
};

/* A word while it is collected; its occurrences are a chain through `pairs`. */
struct collected {
	struct slice word;
	uint64_t last;
	uint32_t count;
	uint32_t first_pair;
	uint32_t last_pair;
};

struct pair {
	uint64_t number;
	uint32_t next; /* UINT32_MAX at the end */
};

struct dictionary_builder {
	struct arena arena; /* words */
	struct map map;     /* word → place in collected */
	struct collected *collected;
	size_t collected_len;
	size_t collected_size;
	struct pair *pairs;
	size_t pairs_len;
	size_t pairs_size;
	size_t text_bytes;
};

struct dictionary_builder *dictionary_builder_new(void)
{
	struct dictionary_builder *builder = calloc(1, sizeof *builder);

	if (builder == NULL)
		return NULL;
	arena_init(&builder->arena, BUILDER_BLOCK_BYTES);
	map_init(&builder->map);
	return builder;
}

void dictionary_builder_free(struct dictionary_builder *builder)
{
	if (builder == NULL)
		return;
	arena_deinit(&builder->arena);
	map_deinit(&builder->map);
	free(builder->collected);
	free(builder->pairs);
	free(builder);
}

/* A large map would cost every small range its clearing, and an idle replica keeps no large arrays. */
#define BUILDER_MAP_KEPT 16384
#define BUILDER_ARRAY_KEPT 16384
void dictionary_builder_clear(struct dictionary_builder *builder)
{
	arena_clear(&builder->arena);
	if (builder->map.size > BUILDER_MAP_KEPT)
		map_deinit(&builder->map);
	else
		map_clear(&builder->map);
	if (builder->pairs_size > BUILDER_ARRAY_KEPT) {
		free(builder->collected);
		free(builder->pairs);
		builder->collected = NULL;
		builder->pairs = NULL;
		builder->collected_size = 0;
		builder->pairs_size = 0;
	}
	builder->collected_len = 0;
	builder->pairs_len = 0;
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

static bool builder_new_word(struct dictionary_builder *builder, struct slice word, uint64_t number)
{
	struct slice copy;

	if (!array_reserve((void **)&builder->collected, builder->collected_len, &builder->collected_size,
	                   sizeof *builder->collected) ||
	    !arena_copy(&builder->arena, word, &copy) ||
	    !map_put(&builder->map, copy, builder->collected_len))
		return false;
	builder->text_bytes += word.len;
	builder->collected[builder->collected_len++] = (struct collected){
		copy, number, 1, (uint32_t)builder->pairs_len, (uint32_t)builder->pairs_len};
	return true;
}

bool dictionary_builder_add(struct dictionary_builder *builder, struct slice word, uint64_t number)
{
	uint64_t *place;
	uint32_t pair = (uint32_t)builder->pairs_len;

	ASSERT(word.len >= 1 && word.len <= UINT16_MAX);
	if (!array_reserve((void **)&builder->pairs, builder->pairs_len, &builder->pairs_size,
	                   sizeof *builder->pairs))
		return false;
	place = map_get(&builder->map, word);
	if (place == NULL) {
		if (!builder_new_word(builder, word, number))
			return false;
	} else {
		struct collected *known = &builder->collected[*place];

		ASSERT(number >= known->last);
		if (number == known->last)
			return true;
		builder->pairs[known->last_pair].next = pair;
		known->last_pair = pair;
		known->last = number;
		known->count++;
	}
	builder->pairs[builder->pairs_len++] = (struct pair){number, UINT32_MAX};
	return true;
}

static struct dictionary *dictionary_alloc(size_t words, size_t numbers, size_t text)
{
	size_t bytes = sizeof(struct dictionary) + words * sizeof(struct dictionary_word) +
	               numbers * sizeof(uint32_t) + text;
	struct dictionary *dictionary;

	if (words >= UINT32_MAX || numbers >= UINT32_MAX || text >= UINT32_MAX)
		return NULL;
	dictionary = malloc(bytes);
	if (dictionary == NULL)
		return NULL;
	*dictionary = (struct dictionary){.bytes = bytes};
	dictionary->numbers = (const uint32_t *)(const void *)(dictionary->words + words);
	dictionary->text = (const uint8_t *)(dictionary->numbers + numbers);
	return dictionary;
}

/* The parts of a dictionary that is being filled, in order. */
struct filler {
	struct dictionary *dictionary;
	uint32_t *numbers;
	uint8_t *text;
	uint32_t numbers_len;
	uint32_t text_len;
};

static struct filler filler_of(struct dictionary *dictionary)
{
	uint32_t *numbers = (uint32_t *)(uintptr_t)dictionary->numbers;
	uint8_t *text = (uint8_t *)(uintptr_t)dictionary->text;

	return (struct filler){dictionary, numbers, text, 0, 0};
}

static void filler_word(struct filler *filler, struct slice word)
{
	struct dictionary *dictionary = filler->dictionary;

	dictionary->words[dictionary->len++] =
		(struct dictionary_word){filler->text_len, filler->numbers_len, 0, (uint16_t)word.len};
	memcpy(filler->text + filler->text_len, word.ptr, word.len);
	filler->text_len += (uint32_t)word.len;
}

/* Of the word added last. */
static void filler_number(struct filler *filler, uint64_t number)
{
	struct dictionary *dictionary = filler->dictionary;
	uint64_t distance = number - dictionary->base;

	ASSERT(number >= dictionary->base && distance <= UINT32_MAX);
	filler->numbers[filler->numbers_len++] = (uint32_t)distance;
	dictionary->words[dictionary->len - 1].numbers_len++;
}

static int collected_compare(const void *a, const void *b)
{
	const struct collected *const *left = a;
	const struct collected *const *right = b;

	return slice_compare((*left)->word, (*right)->word);
}

struct dictionary *dictionary_build(struct dictionary_builder *builder)
{
	size_t len = builder->collected_len;
	const struct collected **order = malloc((len + 1) * sizeof *order);
	struct dictionary *dictionary = dictionary_alloc(len, builder->pairs_len, builder->text_bytes);
	struct filler filler;

	if (order == NULL || dictionary == NULL) {
		free(order);
		free(dictionary);
		return NULL;
	}
	/* the first pair has the lowest number: numbers never fall */
	dictionary->base = builder->pairs_len == 0 ? 0 : builder->pairs[0].number;
	for (size_t i = 0; i < len; i++)
		order[i] = &builder->collected[i];
	qsort(order, len, sizeof *order, collected_compare);
	filler = filler_of(dictionary);
	for (size_t i = 0; i < len; i++) {
		filler_word(&filler, order[i]->word);
		for (uint32_t at = order[i]->first_pair; at != UINT32_MAX; at = builder->pairs[at].next)
			filler_number(&filler, builder->pairs[at].number);
	}
	free(order);
	return dictionary;
}

void dictionary_free(struct dictionary *dictionary)
{
	free(dictionary);
}

size_t dictionary_len(const struct dictionary *dictionary)
{
	return dictionary->len;
}

size_t dictionary_bytes(const struct dictionary *dictionary)
{
	return dictionary->bytes;
}

struct dictionary_entry dictionary_at(const struct dictionary *dictionary, size_t i)
{
	const struct dictionary_word *word = &dictionary->words[i];

	return (struct dictionary_entry){slice_of(dictionary->text + word->at, word->len), dictionary->base,
	                                 dictionary->numbers + word->numbers_at, word->numbers_len};
}

size_t dictionary_seek(const struct dictionary *dictionary, struct slice word)
{
	size_t low = 0;
	size_t high = dictionary->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_compare(dictionary_at(dictionary, middle).word, word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool dictionary_heads(const struct dictionary *const *parts, const size_t *heads, size_t len,
                      struct slice *word)
{
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		struct slice head;

		if (heads[i] == parts[i]->len)
			continue;
		head = dictionary_at(parts[i], heads[i]).word;
		if (!found || slice_compare(head, *word) < 0)
			*word = head;
		found = true;
	}
	return found;
}

static void merge_fill(struct filler *filler, const struct dictionary *const *parts, size_t len)
{
	size_t heads[DICTIONARY_MERGE_MAX] = {0};
	struct slice word;

	while (dictionary_heads(parts, heads, len, &word)) {
		filler_word(filler, word);
		for (size_t i = 0; i < len; i++) {
			struct dictionary_entry entry;

			if (heads[i] == parts[i]->len)
				continue;
			entry = dictionary_at(parts[i], heads[i]);
			if (!slice_equal(entry.word, word))
				continue;
			heads[i]++;
			for (size_t k = 0; k < entry.numbers_len; k++)
				filler_number(filler, entry.base + entry.numbers[k]);
		}
	}
}

/* Sized for words that no two parts share; what is not needed stays unused until the next merge. */
struct dictionary *dictionary_merge(const struct dictionary *const *parts, size_t len)
{
	struct dictionary *merged;
	struct filler filler;
	size_t words = 0;
	size_t numbers = 0;
	size_t text = 0;

	ASSERT(len >= 1 && len <= DICTIONARY_MERGE_MAX);
	for (size_t i = 0; i < len; i++) {
		const struct dictionary *part = parts[i];
		const struct dictionary_word *last = part->words + part->len;

		words += part->len;
		numbers += part->len == 0 ? 0 : last[-1].numbers_at + last[-1].numbers_len;
		text += part->len == 0 ? 0 : last[-1].at + last[-1].len;
	}
	merged = dictionary_alloc(words, numbers, text);
	if (merged == NULL)
		return NULL;
	for (size_t i = len; i-- > 0;)
		if (parts[i]->len > 0)
			merged->base = parts[i]->base;
	filler = filler_of(merged);
	merge_fill(&filler, parts, len);
	return merged;
}
