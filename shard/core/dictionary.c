#include "shard/core/dictionary_private.h"

#include "shard/core/word_filter.h"
#include "shared/base/assert.h"

#include <stdlib.h>

struct dictionary {
	uint64_t base;
	size_t len;
	size_t bytes; /* of the whole block */
	size_t filter_blocks;
	uint64_t *filter; /* of all words */
	const uint32_t *letters;
	const uint8_t *text;
	const uint8_t *lists;
	struct dictionary_word words[]; /* and one that ends the last */
};

static struct slice word_at(const struct dictionary *dictionary, size_t i)
{
	const struct dictionary_word *word = &dictionary->words[i];

	return slice_of(dictionary->text + word->text_at, word[1].text_at - word->text_at);
}

bool dictionary_filler_init(struct dictionary_filler *filler, uint64_t base, size_t words, size_t text,
                            size_t lists)
{
	*filler = (struct dictionary_filler){.base = base,
	                                     .words = malloc((words + 1) * sizeof *filler->words),
	                                     .letters = malloc((words + 1) * sizeof *filler->letters)};
	buffer_init(&filler->text, UINT32_MAX);
	buffer_init(&filler->lists, UINT32_MAX);
	if (filler->words == NULL || filler->letters == NULL || words >= UINT32_MAX ||
	    buffer_grow(&filler->text, text) == NULL || buffer_grow(&filler->lists, lists) == NULL)
		return false;
	buffer_clear(&filler->text);
	buffer_clear(&filler->lists);
	return true;
}

void dictionary_filler_deinit(struct dictionary_filler *filler)
{
	free(filler->words);
	free(filler->letters);
	buffer_deinit(&filler->text);
	buffer_deinit(&filler->lists);
}

void dictionary_filler_word(struct dictionary_filler *filler, struct slice word, uint32_t letters,
                            uint32_t documents)
{
	filler->letters[filler->len] = letters;
	filler->words[filler->len++] =
		(struct dictionary_word){(uint32_t)(dictionary_prefix(word) >> 32),
	                                 (uint32_t)filler->text.len, (uint32_t)filler->lists.len, documents};
	buffer_append_slice(&filler->text, word);
}

static void filter_fill(struct dictionary *dictionary)
{
	memset(dictionary->filter, 0, dictionary->filter_blocks * sizeof *dictionary->filter);
	for (size_t i = 0; i < dictionary->len; i++)
		word_filter_add(dictionary->filter, dictionary->filter_blocks, word_at(dictionary, i));
}

struct dictionary *dictionary_filler_end(struct dictionary_filler *filler)
{
	struct dictionary *dictionary;
	size_t blocks = word_filter_blocks(filler->len);
	size_t words_bytes = (filler->len + 1) * sizeof *filler->words;
	size_t letters_bytes = filler->len * sizeof *filler->letters;
	size_t bytes = sizeof *dictionary + words_bytes + blocks * sizeof *dictionary->filter +
	               letters_bytes + filler->text.len + filler->lists.len;
	uint32_t *letters;
	uint8_t *text;

	if (buffer_failed(&filler->text) || buffer_failed(&filler->lists))
		return NULL;
	dictionary = malloc(bytes);
	if (dictionary == NULL)
		return NULL;
	filler->words[filler->len] =
		(struct dictionary_word){0, (uint32_t)filler->text.len, (uint32_t)filler->lists.len, 0};
	memcpy(dictionary->words, filler->words, words_bytes);
	dictionary->filter = (uint64_t *)(dictionary->words + filler->len + 1);
	dictionary->filter_blocks = blocks;
	letters = (uint32_t *)(dictionary->filter + blocks);
	text = (uint8_t *)(letters + filler->len);
	if (filler->len > 0) {
		memcpy(letters, filler->letters, letters_bytes);
		memcpy(text, filler->text.ptr, filler->text.len);
		memcpy(text + filler->text.len, filler->lists.ptr, filler->lists.len);
	}
	dictionary->base = filler->base;
	dictionary->len = filler->len;
	dictionary->bytes = bytes;
	dictionary->letters = letters;
	dictionary->text = text;
	dictionary->lists = text + filler->text.len;
	filter_fill(dictionary);
	return dictionary;
}

static uint64_t bytes_u32(const uint8_t *bytes)
{
	return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
}

uint64_t dictionary_prefix(struct slice word)
{
	const uint8_t *text = word.ptr;
	size_t len = word.len;
	unsigned missing = len < 8 ? 8 * (8 - (unsigned)len) : 0;

	/* two numbers that overlap where the word is shorter than both */
	if (len >= 8)
		return bytes_u32(text) << 32 | bytes_u32(text + 4);
	if (len >= 4)
		return bytes_u32(text) << 32 | bytes_u32(text + len - 4) << missing;
	return (uint64_t)text[0] << 56 | (uint64_t)text[len / 2] << (56 - 8 * (len / 2)) |
	       (uint64_t)text[len - 1] << missing;
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
	struct slice bytes = slice_of(dictionary->lists + word->list_at, word[1].list_at - word->list_at);

	return (struct dictionary_entry){word_at(dictionary, i),
	                                 {dictionary->base, word->documents, bytes, NULL},
	                                 dictionary->letters[i]};
}

const uint32_t *dictionary_letters(const struct dictionary *dictionary)
{
	return dictionary->letters;
}

bool dictionary_lacks(const struct dictionary *dictionary, struct slice word)
{
	return word_filter_lacks(dictionary->filter, dictionary->filter_blocks, word);
}

/* `prefix` is the word's. */
static bool is_below(const struct dictionary *dictionary, size_t i, uint32_t prefix, struct slice word)
{
	uint32_t its = dictionary->words[i].prefix;

	return its != prefix ? its < prefix : slice_compare(word_at(dictionary, i), word) < 0;
}

size_t dictionary_seek(const struct dictionary *dictionary, struct slice word)
{
	uint32_t prefix = word.len == 0 ? 0 : (uint32_t)(dictionary_prefix(word) >> 32);
	size_t low = 0;
	size_t high = dictionary->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_below(dictionary, middle, prefix, word))
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
	struct buffer rebased;
	uint64_t base;
	size_t len; /* parts that have words left */
	struct head heads[];
};

static void head_load(struct head *head)
{
	struct slice word = word_at(head->part, head->at);

	head->prefix = dictionary_prefix(word);
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
	buffer_init(&cursor->rebased, UINT32_MAX);
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
	buffer_deinit(&cursor->rebased);
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

static struct dictionary_entry head_entry(const struct head *head)
{
	return dictionary_at(head->part, head->at);
}

/* True if the top is at the word too. */
static bool heads_share(const struct dictionary_cursor *cursor, const struct head *head)
{
	const struct head *top = &cursor->heads[0];

	return cursor->len > 0 && top->prefix == head->prefix &&
	       slice_equal(word_at(top->part, top->at), word_at(head->part, head->at));
}

/* A list that is in one part only. */
static int list_alone(struct dictionary_cursor *cursor, struct posting_list *list, struct error *error)
{
	if (list->base == cursor->base)
		return 0;
	buffer_clear(&cursor->rebased);
	if (posting_list_rebase(list, cursor->base, &cursor->rebased, error) != 0)
		return error->code;
	if (buffer_failed(&cursor->rebased))
		return error_memory(error, list->bytes.len);
	list->base = cursor->base;
	list->bytes = buffer_slice(&cursor->rebased);
	return 0;
}

/* The list of the word, which `first` has, and the top and perhaps others. */
static int lists_join(struct dictionary_cursor *cursor, const struct head *first, const struct postings *dead,
                      struct posting_list *list, struct error *error)
{
	struct dictionary_entry entry = head_entry(first);

	posting_writer_begin(&cursor->writer, cursor->base);
	if (posting_writer_append(&cursor->writer, &entry.list, dead, error) != 0)
		return error->code;
	while (heads_share(cursor, first)) {
		entry = head_entry(&cursor->heads[0]);
		if (posting_writer_append(&cursor->writer, &entry.list, dead, error) != 0)
			return error->code;
		heads_advance(cursor);
	}
	return posting_writer_end(&cursor->writer, list, error);
}

int dictionary_cursor_next(struct dictionary_cursor *cursor, const struct postings *dead,
                           struct dictionary_entry *entry, struct error *error)
{
	bool all_live = dead == NULL || dead->len == 0;

	while (cursor->len > 0) {
		struct head first = cursor->heads[0];

		heads_advance(cursor);
		*entry = head_entry(&first);
		if (all_live && !heads_share(cursor, &first)) {
			if (list_alone(cursor, &entry->list, error) != 0)
				return error->code;
			return 1;
		}
		if (lists_join(cursor, &first, dead, &entry->list, error) != 0)
			return error->code;
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
	struct dictionary_filler filler;
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
	if (dictionary_filler_init(&filler, base, words, text, lists) && cursor != NULL) {
		while ((rc = dictionary_cursor_next(cursor, NULL, &entry, &error)) > 0) {
			dictionary_filler_word(&filler, entry.word, entry.letters, entry.list.count);
			buffer_append_slice(&filler.lists, entry.list.bytes);
		}
		merged = rc == 0 ? dictionary_filler_end(&filler) : NULL;
	}
	dictionary_filler_deinit(&filler);
	dictionary_cursor_free(cursor);
	return merged;
}
