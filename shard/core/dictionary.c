#include "shard/core/dictionary.h"

#include "shared/base/arena.h"
#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <stdlib.h>

#define BUILDER_BLOCK_BYTES (64U * 1024)
/* A large map would cost every small range its clearing, and an idle replica keeps no large arrays. */
#define BUILDER_MAP_KEPT 16384
#define BUILDER_ARRAY_KEPT 16384
#define NONE UINT32_MAX

/* Where the word and its list begin; they end where the next one's do. */
struct dictionary_word {
	uint32_t text_at;
	uint32_t list_at;
	uint32_t documents;
};

struct dictionary {
	uint64_t base;
	size_t len;
	size_t bytes; /* of the whole block */
	const uint8_t *text;
	const uint8_t *lists;
	struct dictionary_word words[]; /* and one that ends the last */
};

/* A word while it is collected; its occurrences are a chain. */
struct collected {
	struct slice word;
	uint32_t first;
	uint32_t last;
};

struct occurrence {
	uint32_t distance; /* number - base */
	struct place place;
	uint32_t next;
};

struct dictionary_builder {
	struct arena arena; /* words */
	struct map map;     /* word → place in collected */
	struct collected *collected;
	size_t collected_len;
	size_t collected_size;
	struct occurrence *occurrences;
	size_t occurrences_len;
	size_t occurrences_size;
	uint64_t base; /* number of the first occurrence */
	size_t text_bytes;
};

/* The parts of a dictionary that is being made, in order. */
struct filler {
	uint64_t base;
	struct dictionary_word *words;
	size_t len;
	struct buffer text;
	struct buffer lists;
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
	free(builder->occurrences);
	free(builder);
}

void dictionary_builder_clear(struct dictionary_builder *builder)
{
	arena_clear(&builder->arena);
	if (builder->map.size > BUILDER_MAP_KEPT)
		map_deinit(&builder->map);
	else
		map_clear(&builder->map);
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
	if (len >= NONE - 1)
		return false;
	grown = realloc(*array, wanted * element);
	if (grown == NULL)
		return false;
	*array = grown;
	*size = wanted;
	return true;
}

static bool builder_new_word(struct dictionary_builder *builder, struct slice word)
{
	uint32_t first = (uint32_t)builder->occurrences_len;
	struct slice copy;

	if (!array_reserve((void **)&builder->collected, builder->collected_len, &builder->collected_size,
	                   sizeof *builder->collected) ||
	    !arena_copy(&builder->arena, word, &copy) ||
	    !map_put(&builder->map, copy, builder->collected_len))
		return false;
	builder->text_bytes += word.len;
	builder->collected[builder->collected_len++] = (struct collected){copy, first, first};
	return true;
}

bool dictionary_builder_add(struct dictionary_builder *builder, struct slice word, uint64_t number,
                            struct place place)
{
	uint32_t at = (uint32_t)builder->occurrences_len;
	uint64_t *known;

	ASSERT(word.len >= 1 && word.len <= UINT16_MAX);
	if (!array_reserve((void **)&builder->occurrences, builder->occurrences_len,
	                   &builder->occurrences_size, sizeof *builder->occurrences))
		return false;
	if (at == 0)
		builder->base = number;
	ASSERT(number >= builder->base && number - builder->base <= POSTING_DISTANCE_MAX);
	known = map_get(&builder->map, word);
	if (known == NULL) {
		if (!builder_new_word(builder, word))
			return false;
	} else {
		struct collected *collected = &builder->collected[*known];

		builder->occurrences[collected->last].next = at;
		collected->last = at;
	}
	builder->occurrences[at] = (struct occurrence){(uint32_t)(number - builder->base), place, NONE};
	builder->occurrences_len++;
	return true;
}

/* Room for `words` words, and at first for so many bytes. */
static bool filler_init(struct filler *filler, uint64_t base, size_t words, size_t text, size_t lists)
{
	*filler = (struct filler){.base = base, .words = malloc((words + 1) * sizeof *filler->words)};
	buffer_init(&filler->text, UINT32_MAX);
	buffer_init(&filler->lists, UINT32_MAX);
	if (filler->words == NULL || words >= NONE || buffer_grow(&filler->text, text) == NULL ||
	    buffer_grow(&filler->lists, lists) == NULL)
		return false;
	buffer_clear(&filler->text);
	buffer_clear(&filler->lists);
	return true;
}

static void filler_deinit(struct filler *filler)
{
	free(filler->words);
	buffer_deinit(&filler->text);
	buffer_deinit(&filler->lists);
}

static void filler_add(struct filler *filler, struct slice word, const struct posting_list *list)
{
	filler->words[filler->len++] = (struct dictionary_word){(uint32_t)filler->text.len,
	                                                        (uint32_t)filler->lists.len, list->count};
	buffer_append_slice(&filler->text, word);
	buffer_append_slice(&filler->lists, list->bytes);
}

static struct dictionary *filler_end(struct filler *filler)
{
	struct dictionary *dictionary;
	size_t words_bytes = (filler->len + 1) * sizeof *filler->words;
	size_t bytes = sizeof *dictionary + words_bytes + filler->text.len + filler->lists.len;
	uint8_t *text;

	if (buffer_failed(&filler->text) || buffer_failed(&filler->lists))
		return NULL;
	dictionary = malloc(bytes);
	if (dictionary == NULL)
		return NULL;
	filler->words[filler->len] =
		(struct dictionary_word){(uint32_t)filler->text.len, (uint32_t)filler->lists.len, 0};
	memcpy(dictionary->words, filler->words, words_bytes);
	text = (uint8_t *)dictionary->words + words_bytes;
	if (filler->len > 0) {
		memcpy(text, filler->text.ptr, filler->text.len);
		memcpy(text + filler->text.len, filler->lists.ptr, filler->lists.len);
	}
	dictionary->base = filler->base;
	dictionary->len = filler->len;
	dictionary->bytes = bytes;
	dictionary->text = text;
	dictionary->lists = text + filler->text.len;
	return dictionary;
}

static int collected_compare(const void *a, const void *b)
{
	const struct collected *const *left = a;
	const struct collected *const *right = b;

	return slice_compare((*left)->word, (*right)->word);
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

/* Builds lists from chains; `places` are those of one word in one document. */
struct listing {
	const struct dictionary_builder *builder;
	struct posting_writer writer;
	struct place *places;
	size_t places_size;
};

static bool listing_list(struct listing *listing, const struct collected *collected,
                         struct posting_list *list)
{
	const struct dictionary_builder *builder = listing->builder;
	const struct occurrence *occurrence;
	struct error error;

	posting_writer_begin(&listing->writer, builder->base);
	for (uint32_t at = collected->first; at != NONE;) {
		uint32_t distance = builder->occurrences[at].distance;
		size_t len = 0;

		for (; at != NONE && builder->occurrences[at].distance == distance; at = occurrence->next) {
			occurrence = &builder->occurrences[at];
			if (!array_reserve((void **)&listing->places, len, &listing->places_size,
			                   sizeof *listing->places))
				return false;
			listing->places[len++] = occurrence->place;
		}
		posting_writer_add(&listing->writer, builder->base + distance, listing->places,
		                   places_settle(listing->places, len));
	}
	return posting_writer_end(&listing->writer, list, &error) == 0;
}

struct dictionary *dictionary_build(struct dictionary_builder *builder)
{
	struct listing listing = {.builder = builder};
	size_t len = builder->collected_len;
	const struct collected **order = malloc((len + 1) * sizeof *order);
	struct dictionary *dictionary = NULL;
	struct posting_list list;
	struct filler filler;

	posting_writer_init(&listing.writer);
	if (!filler_init(&filler, builder->base, len, builder->text_bytes, 4 * builder->occurrences_len) ||
	    order == NULL)
		goto out;
	for (size_t i = 0; i < len; i++)
		order[i] = &builder->collected[i];
	qsort(order, len, sizeof *order, collected_compare);
	for (size_t i = 0; i < len; i++) {
		if (!listing_list(&listing, order[i], &list))
			goto out;
		filler_add(&filler, order[i]->word, &list);
	}
	dictionary = filler_end(&filler);
out:
	posting_writer_deinit(&listing.writer);
	filler_deinit(&filler);
	free(listing.places);
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

static struct slice word_at(const struct dictionary *dictionary, size_t i)
{
	const struct dictionary_word *word = &dictionary->words[i];

	return slice_of(dictionary->text + word->text_at, word[1].text_at - word->text_at);
}

struct dictionary_entry dictionary_at(const struct dictionary *dictionary, size_t i)
{
	const struct dictionary_word *word = &dictionary->words[i];
	struct slice bytes = slice_of(dictionary->lists + word->list_at, word[1].list_at - word->list_at);

	return (struct dictionary_entry){word_at(dictionary, i), {dictionary->base, word->documents, bytes}};
}

size_t dictionary_seek(const struct dictionary *dictionary, struct slice word)
{
	size_t low = 0;
	size_t high = dictionary->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_compare(word_at(dictionary, middle), word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where a part stands; in a heap, the smallest word and of equal words the first part on top. */
struct head {
	uint64_t prefix; /* first bytes of the word, padded with zeros: decides most comparisons */
	const struct dictionary *part;
	size_t at;
	size_t order;
};

struct dictionary_cursor {
	struct posting_writer writer;
	uint64_t base;
	size_t len; /* parts that have words left */
	struct head heads[];
};

static void head_load(struct head *head)
{
	struct slice word = word_at(head->part, head->at);
	uint8_t bytes[8] = {0};

	memcpy(bytes, word.ptr, word.len < sizeof bytes ? word.len : sizeof bytes);
	head->prefix = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		head->prefix = head->prefix << 8 | bytes[i];
}

static bool head_is_before(const struct head *a, const struct head *b)
{
	int order;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	order = slice_compare(word_at(a->part, a->at), word_at(b->part, b->at));
	return order != 0 ? order < 0 : a->order < b->order;
}

/* Puts the head at `at` where it belongs, below. */
static void heads_sift(struct dictionary_cursor *cursor, size_t at)
{
	struct head sinking = cursor->heads[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= cursor->len)
			break;
		if (child + 1 < cursor->len &&
		    head_is_before(&cursor->heads[child + 1], &cursor->heads[child]))
			child++;
		if (!head_is_before(&cursor->heads[child], &sinking))
			break;
		cursor->heads[at] = cursor->heads[child];
		at = child;
	}
	cursor->heads[at] = sinking;
}

struct dictionary_cursor *dictionary_cursor_new(const struct dictionary *const *parts, size_t len,
                                                uint64_t base)
{
	struct dictionary_cursor *cursor = malloc(sizeof *cursor + len * sizeof cursor->heads[0]);

	ASSERT(len >= 1);
	if (cursor == NULL)
		return NULL;
	*cursor = (struct dictionary_cursor){.base = base};
	posting_writer_init(&cursor->writer);
	for (size_t i = 0; i < len; i++) {
		if (parts[i]->len == 0)
			continue;
		cursor->heads[cursor->len] = (struct head){.part = parts[i], .order = i};
		head_load(&cursor->heads[cursor->len++]);
	}
	for (size_t i = cursor->len / 2; i-- > 0;)
		heads_sift(cursor, i);
	return cursor;
}

void dictionary_cursor_free(struct dictionary_cursor *cursor)
{
	if (cursor == NULL)
		return;
	posting_writer_deinit(&cursor->writer);
	free(cursor);
}

static void heads_advance(struct dictionary_cursor *cursor)
{
	struct head *top = &cursor->heads[0];

	if (++top->at == top->part->len)
		*top = cursor->heads[--cursor->len];
	else
		head_load(top);
	if (cursor->len > 0)
		heads_sift(cursor, 0);
}

int dictionary_cursor_next(struct dictionary_cursor *cursor, const struct postings *dead,
                           struct dictionary_entry *entry, struct error *error)
{
	while (cursor->len > 0) {
		struct slice word = word_at(cursor->heads[0].part, cursor->heads[0].at);

		posting_writer_begin(&cursor->writer, cursor->base);
		do {
			struct dictionary_entry head =
				dictionary_at(cursor->heads[0].part, cursor->heads[0].at);

			if (!slice_equal(head.word, word))
				break;
			if (posting_writer_append(&cursor->writer, &head.list, dead, error) != 0)
				return error->code;
			heads_advance(cursor);
		} while (cursor->len > 0);
		if (posting_writer_end(&cursor->writer, &entry->list, error) != 0)
			return error->code;
		entry->word = word;
		if (entry->list.count > 0)
			return 1;
	}
	return 0;
}

struct dictionary *dictionary_merge(const struct dictionary *const *parts, size_t len)
{
	struct dictionary *merged = NULL;
	struct dictionary_cursor *cursor;
	struct dictionary_entry entry;
	struct filler filler;
	struct error error;
	uint64_t base = 0;
	size_t words = 0;
	size_t text = 0;
	size_t lists = 0;
	int rc;

	for (size_t i = len; i-- > 0;) {
		const struct dictionary *part = parts[i];

		if (part->len == 0)
			continue;
		base = part->base;
		words += part->len;
		text += part->words[part->len].text_at;
		lists += part->words[part->len].list_at;
	}
	cursor = dictionary_cursor_new(parts, len, base);
	if (filler_init(&filler, base, words, text, lists) && cursor != NULL) {
		while ((rc = dictionary_cursor_next(cursor, NULL, &entry, &error)) > 0)
			filler_add(&filler, entry.word, &entry.list);
		merged = rc == 0 ? filler_end(&filler) : NULL;
	}
	filler_deinit(&filler);
	dictionary_cursor_free(cursor);
	return merged;
}
