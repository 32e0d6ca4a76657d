/*
 * Fuzz: a chunk of terms of any bytes: its words rise, and a seek finds the
 * word that a walk finds.
 *
 * The input is u8 length and bytes of the word sought, the chunk.
 */
#include "shard/core/term_chunk.h"

#include "tests/fuzz/seeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_term(const struct term *term, struct slice last)
{
	ASSERT(term->word.len >= 1 && term->word.len <= TERM_BYTES_MAX);
	ASSERT(slice_compare(last, term->word) < 0);
	ASSERT(term->documents >= 1 && term->bytes >= 1);
	if (term->list.ptr != NULL)
		ASSERT(term->list.len == term->bytes && term->bytes <= TERMS_INLINE_MAX);
	else
		ASSERT(term->bytes > TERMS_INLINE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader reader = reader_of(slice_of(bytes, len));
	struct slice wanted = reader_take(&reader, reader_u8(&reader));
	struct slice chunk = reader_take(&reader, reader_left(&reader));
	struct term_chunk_cursor cursor;
	uint8_t last[TERM_BYTES_MAX];
	uint8_t at_or_above[TERM_BYTES_MAX];
	size_t last_len = 0;
	size_t found_len = 0;
	struct error error;
	struct term term;
	int rc;

	if (reader_failed(&reader) || term_chunk_open(&cursor, chunk, &error) != 0)
		return 0;
	while ((rc = term_chunk_next(&cursor, &term, &error)) > 0) {
		check_term(&term, slice_of(last, last_len));
		memcpy(last, term.word.ptr, term.word.len);
		last_len = term.word.len;
		if (found_len == 0 && slice_compare(term.word, wanted) >= 0) {
			memcpy(at_or_above, term.word.ptr, term.word.len);
			found_len = term.word.len;
		}
	}
	ASSERT(rc == 0 || error.code == ERROR_DAMAGED);
	if (rc < 0)
		found_len = SIZE_MAX;
	rc = term_chunk_seek(&cursor, wanted, &term, &error);
	ASSERT(rc >= 0 || error.code == ERROR_DAMAGED);
	if (rc > 0)
		ASSERT(slice_compare(term.word, wanted) >= 0);
	if (found_len == SIZE_MAX)
		return 0;
	ASSERT(rc == (found_len > 0));
	if (rc > 0)
		ASSERT(slice_equal(term.word, slice_of(at_or_above, found_len)));
	return 0;
}

/* A few words, and groups of them. */
static void seeds_make(void)
{
	struct term_chunk_writer writer;
	struct buffer input;
	struct slice chunk;
	struct error error;
	char word[16];

	term_chunk_writer_init(&writer, 4096);
	buffer_init(&input, 8192);
	for (int words = 3; words < 100; words *= 5) {
		buffer_clear(&input);
		for (int i = 0; i < words; i++) {
			struct term term = {.documents = 1, .bytes = i % 2 ? 4 : 40};

			(void)snprintf(word, sizeof word, "%03d%03d", words, i * 7);
			term.word = slice_string(word);
			if (i % 2)
				term.list = slice_of("list", 4);
			ASSERT(term_chunk_add(&writer, &term));
		}
		ASSERT(term_chunk_end(&writer, &chunk, &error) == 0);
		buffer_put_u8(&input, 5);
		buffer_append_string(&input, "00300");
		buffer_append_slice(&input, chunk);
		ASSERT(!buffer_failed(&input));
		seed_write(buffer_slice(&input));
	}
	buffer_deinit(&input);
	term_chunk_writer_deinit(&writer);
}
