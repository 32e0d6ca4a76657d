#include "shard/core/word_table.h"

#include "shard/core/columns.h"
#include "shard/core/word_filter.h"
#include "shard/core/words.h"
#include "shard/engine/typo.h"

#include <stdatomic.h>
#include <stdlib.h>

#define WORDS_FIRST 1024
#define TEXT_BYTES_MAX UINT32_MAX

struct word_table {
	atomic_size_t references;
	size_t len;
	size_t size;
	uint32_t *ends;    /* of each word in the text */
	uint32_t *letters; /* of each word */
	uint64_t *filter;  /* of all words */
	size_t filter_blocks;
	uint8_t *text;
	struct posting_stops lengths;
	struct known_lists *lists;
	struct known_pages *pages;
};

struct word_table *word_table_hold(struct word_table *table)
{
	if (table != NULL)
		atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
	return table;
}

void word_table_release(struct word_table *table)
{
	if (table == NULL || atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) > 1)
		return;
	free(table->text);
	posting_stops_deinit(&table->lengths);
	known_lists_free(table->lists);
	known_pages_free(table->pages);
	free(table->letters);
	free(table->filter);
	free(table->ends);
	free(table);
}

static int ends_resize(struct word_table *table, size_t size, struct error *error)
{
	uint32_t *ends = realloc(table->ends, (size + 1) * sizeof *ends);

	if (ends == NULL)
		return error_memory(error, size * sizeof *ends);
	table->ends = ends;
	table->size = size;
	return 0;
}

static int word_add(struct word_table *table, struct buffer *text, struct slice word, struct error *error)
{
	if (text->len + word.len > TEXT_BYTES_MAX)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "words are longer than a segment may be");
	if (table->len == table->size &&
	    ends_resize(table, table->size == 0 ? WORDS_FIRST : 2 * table->size, error) != 0)
		return error->code;
	buffer_append_slice(text, word);
	if (buffer_failed(text))
		return error_memory(error, text->len);
	table->ends[table->len++] = (uint32_t)text->len;
	return 0;
}

static int words_read(struct word_table *table, struct section_reader *sections, struct buffer *text,
                      struct error *error)
{
	struct terms_cursor cursor;
	struct term term;
	int rc;

	terms_cursor_init(&cursor, sections);
	while ((rc = terms_cursor_next(&cursor, &term, error)) > 0)
		if (word_add(table, text, term.word, error) != 0 ||
		    known_lists_allow(table->lists, table->len - 1, &term, error) != 0)
			return error->code;
	return rc < 0 ? rc : ends_resize(table, table->len, error);
}

/* What grew by doubling is copied to what it needs. */
static int text_take(struct word_table *table, const struct buffer *text, struct error *error)
{
	table->text = malloc(text->len + 1);
	if (table->text == NULL)
		return error_memory(error, text->len);
	if (text->len > 0)
		memcpy(table->text, text->ptr, text->len);
	return 0;
}

static int letters_find(struct word_table *table, struct error *error)
{
	table->letters = malloc((table->len + 1) * sizeof *table->letters);
	if (table->letters == NULL)
		return error_memory(error, table->len * sizeof *table->letters);
	for (size_t i = 0; i < table->len; i++)
		table->letters[i] = typo_letters(word_table_at(table, i));
	return 0;
}

static int filter_make(struct word_table *table, struct error *error)
{
	table->filter_blocks = word_filter_blocks(table->len);
	table->filter = calloc(table->filter_blocks, sizeof *table->filter);
	if (table->filter == NULL)
		return error_memory(error, table->filter_blocks * sizeof *table->filter);
	for (size_t i = 0; i < table->len; i++)
		word_filter_add(table->filter, table->filter_blocks, word_table_at(table, i));
	return 0;
}

static int lengths_read(struct word_table *table, struct section_reader *sections, uint64_t base,
                        struct error *error)
{
	struct terms_blocks blocks;
	struct term term;
	size_t at;
	int rc;

	if (table->text == NULL || !word_table_find(table, slice_string(WORD_FIELD_LENGTH), &at))
		return 0;
	if (terms_find(sections, slice_string(WORD_FIELD_LENGTH), &term, error) != 0)
		return error->code;
	if (!terms_blocks_open(&blocks, sections, &term, base))
		return 0;
	rc = terms_stops_read(&blocks, &table->lengths, error);
	terms_blocks_close(&blocks);
	return rc;
}

int word_table_read(struct section_reader *sections, uint64_t base, struct word_table **table,
                    struct error *error)
{
	struct word_table *made = calloc(1, sizeof *made);
	struct buffer text;
	int rc;

	if (made == NULL)
		return error_memory(error, sizeof *made);
	atomic_init(&made->references, 1);
	made->lists = known_lists_new();
	made->pages =
		known_pages_new((size_t)(section_reader_length(sections, SECTION_PAGES) / COLUMN_PAGE_BYTES));
	if (made->lists == NULL || made->pages == NULL) {
		word_table_release(made);
		return error_memory(error, sizeof *made);
	}
	buffer_init(&text, TEXT_BYTES_MAX);
	rc = words_read(made, sections, &text, error);
	if (rc == 0)
		rc = text_take(made, &text, error);
	buffer_deinit(&text);
	if (rc == 0)
		rc = letters_find(made, error);
	if (rc == 0)
		rc = filter_make(made, error);
	if (rc == 0)
		rc = lengths_read(made, sections, base, error);
	if (rc == 0)
		*table = made;
	else
		word_table_release(made);
	return rc;
}

struct known_lists *word_table_lists(const struct word_table *table)
{
	return table->lists;
}

struct known_pages *word_table_pages(const struct word_table *table)
{
	return table->pages;
}

const uint32_t *word_table_letters(const struct word_table *table)
{
	return table->letters;
}

const struct posting_stops *word_table_lengths(const struct word_table *table)
{
	return &table->lengths;
}

size_t word_table_bytes(const struct word_table *table)
{
	size_t text = table == NULL || table->len == 0 ? 0 : table->ends[table->len - 1];

	if (table == NULL)
		return 0;
	return sizeof *table + text + table->len * (sizeof *table->ends + sizeof *table->letters) +
	       table->filter_blocks * sizeof *table->filter + posting_stops_bytes(&table->lengths) +
	       known_lists_bytes(table->lists) + known_pages_bytes(table->pages);
}

size_t word_table_len(const struct word_table *table)
{
	return table->len;
}

struct slice word_table_at(const struct word_table *table, size_t i)
{
	uint32_t from = i == 0 ? 0 : table->ends[i - 1];

	return slice_of(table->text + from, table->ends[i] - from);
}

static bool is_below(const struct word_table *table, size_t i, struct slice word)
{
	return slice_compare(word_table_at(table, i), word) < 0;
}

/* In steps that double, away from `from`, then by halves. */
size_t word_table_seek(const struct word_table *table, size_t from, struct slice word)
{
	size_t low = 0; /* everything before it is below the word */
	size_t high = table->len;
	size_t step = 1;

	if (from < table->len && is_below(table, from, word)) {
		for (low = from + 1; step < high - low && is_below(table, low + step, word); step *= 2)
			low += step + 1;
		if (step < high - low)
			high = low + step;
	} else {
		for (high = from; step <= high && !is_below(table, high - step, word); step *= 2)
			high -= step;
		if (step <= high)
			low = high - step + 1;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_below(table, middle, word))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool word_table_find(const struct word_table *table, struct slice word, size_t *i)
{
	size_t at;

	if (word_filter_lacks(table->filter, table->filter_blocks, word))
		return false;
	at = word_table_seek(table, table->len / 2, word);
	if (at == table->len || !slice_equal(word_table_at(table, at), word))
		return false;
	*i = at;
	return true;
}
