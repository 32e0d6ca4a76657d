#include "shard/core/terms.h"

#include "shared/base/assert.h"

#include <stdlib.h>

struct terms_writer {
	struct term_chunk_writer chunk;
};

struct terms_writer *terms_writer_new(void)
{
	struct terms_writer *writer = calloc(1, sizeof *writer);

	if (writer != NULL)
		term_chunk_writer_init(&writer->chunk, SECTION_TERMS_BYTES_MAX);
	return writer;
}

void terms_writer_free(struct terms_writer *writer)
{
	if (writer == NULL)
		return;
	term_chunk_writer_deinit(&writer->chunk);
	free(writer);
}

int terms_writer_finish(struct terms_writer *writer, struct section_writer *sections, struct error *error)
{
	struct slice chunk;

	if (term_chunk_end(&writer->chunk, &chunk, error) != 0)
		return error->code;
	if (chunk.len == 0)
		return 0;
	return section_append_terms(sections, term_chunk_last(&writer->chunk), chunk, error);
}

int terms_writer_add(struct terms_writer *writer, struct section_writer *sections, struct slice word,
                     const struct posting_list *list, struct error *error)
{
	bool is_inline = list->bytes.len <= TERMS_INLINE_MAX;
	struct term term = {.word = word, .documents = list->count, .bytes = (uint32_t)list->bytes.len};

	ASSERT(list->bytes.len <= UINT32_MAX);
	if (is_inline)
		term.list = list->bytes;
	if (!term_chunk_add(&writer->chunk, &term)) {
		if (terms_writer_finish(writer, sections, error) != 0)
			return error->code;
		ASSERT(term_chunk_add(&writer->chunk, &term));
	}
	return is_inline
	               ? 0
	               : section_append(sections, SECTION_POSTINGS, list->bytes.ptr, list->bytes.len, error);
}

static int out_of_place(struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "a chunk of terms does not end with the word that it is stored at");
}

int terms_find(struct section_reader *reader, struct slice word, struct term *term, struct error *error)
{
	struct term_chunk_cursor cursor;
	struct slice chunk;
	struct slice last;
	struct term found;

	if (section_read_terms(reader, word, &chunk, &last, error) != 0 ||
	    term_chunk_open(&cursor, chunk, error) != 0)
		return error->code;
	switch (term_chunk_seek(&cursor, word, &found, error)) {
	case 0:
		return out_of_place(error);
	case 1:
		break;
	default:
		return error->code;
	}
	if (!slice_equal(found.word, word))
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no word %.*s",
		                 SLICE_ARGS(word));
	*term = found;
	term->word = word;
	return 0;
}

int terms_list(struct section_reader *reader, const struct term *term, uint64_t base, struct buffer *joined,
               struct posting_list *list, struct error *error)
{
	struct slice bytes = term->list;

	if (bytes.ptr == NULL && section_read(reader, (struct span){SECTION_POSTINGS, term->at, term->bytes},
	                                      joined, &bytes, error) != 0)
		return error->code;
	*list = (struct posting_list){base, term->documents, bytes, NULL};
	return 0;
}

void terms_cursor_init(struct terms_cursor *cursor, struct section_reader *reader)
{
	*cursor = (struct terms_cursor){.reader = reader};
}

/* The chunk that has the first word at or above `word`; 1, 0 above the last chunk, or negative. */
static int chunk_load(struct terms_cursor *cursor, struct slice word, struct error *error)
{
	struct term_chunk_cursor opened;
	struct slice chunk;
	struct slice last;

	if (section_read_terms(cursor->reader, word, &chunk, &last, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	if (term_chunk_open(&opened, chunk, error) != 0)
		return error->code;
	/* words go on rising from chunk to chunk */
	memcpy(opened.word, cursor->chunk.word, cursor->chunk.word_len);
	opened.word_len = cursor->chunk.word_len;
	cursor->chunk = opened;
	cursor->last = last;
	cursor->begun = true;
	cursor->ended = false;
	return 1;
}

/* The chunk after the one at hand. */
static int chunk_follow(struct terms_cursor *cursor, struct error *error)
{
	uint8_t above[TERM_BYTES_MAX + 1];
	size_t len = cursor->chunk.word_len;

	if (cursor->begun && !slice_equal(cursor->last, slice_of(cursor->chunk.word, len)))
		return out_of_place(error);
	if (!cursor->begun)
		return chunk_load(cursor, slice_of("", 0), error);
	memcpy(above, cursor->chunk.word, len);
	above[len] = 0;
	return chunk_load(cursor, slice_of(above, len + 1), error);
}

int terms_cursor_next(struct terms_cursor *cursor, struct term *term, struct error *error)
{
	int rc;

	if (cursor->has_found) {
		cursor->has_found = false;
		*term = cursor->found;
		return 1;
	}
	if (cursor->ended)
		return 0;
	if (cursor->begun) {
		rc = term_chunk_next(&cursor->chunk, term, error);
		if (rc != 0)
			return rc;
	}
	rc = chunk_follow(cursor, error);
	cursor->ended = rc == 0;
	return rc <= 0 ? rc : term_chunk_next(&cursor->chunk, term, error);
}

int terms_cursor_seek(struct terms_cursor *cursor, struct slice word, struct error *error)
{
	int rc = chunk_load(cursor, word, error);

	cursor->has_found = false;
	cursor->ended = rc == 0;
	if (rc <= 0)
		return rc;
	rc = term_chunk_seek(&cursor->chunk, word, &cursor->found, error);
	if (rc == 0)
		return out_of_place(error);
	cursor->has_found = rc > 0;
	return rc < 0 ? rc : 0;
}
