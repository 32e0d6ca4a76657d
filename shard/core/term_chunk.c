#include "shard/core/term_chunk.h"

#include "shared/base/assert.h"

#define OFFSET_BYTES 2
/* A group's head, and a word's four numbers. */
#define TERM_HEADS_MAX (5 * VARINT_BYTES_MAX)

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a chunk of terms %s", what);
}

void term_chunk_writer_init(struct term_chunk_writer *writer, size_t len_max)
{
	ASSERT(len_max <= TERM_CHUNK_BYTES_MAX && len_max >= 1024);
	*writer = (struct term_chunk_writer){.len_max = len_max};
	buffer_init(&writer->groups, len_max);
	buffer_init(&writer->offsets, len_max);
}

void term_chunk_writer_deinit(struct term_chunk_writer *writer)
{
	buffer_deinit(&writer->groups);
	buffer_deinit(&writer->offsets);
}

static size_t shared_len(struct slice a, struct slice b)
{
	size_t len = 0;

	while (len < a.len && len < b.len && a.ptr[len] == b.ptr[len])
		len++;
	return len;
}

/* At most: its exact size would have to be found by encoding it. */
static bool has_room(const struct term_chunk_writer *writer, const struct term *term)
{
	size_t trailer = writer->offsets.len + 2 * OFFSET_BYTES;

	return writer->groups.len + TERM_HEADS_MAX + term->word.len + term->list.len + trailer <=
	       writer->len_max;
}

bool term_chunk_add(struct term_chunk_writer *writer, const struct term *term)
{
	struct slice last = term_chunk_last(writer);
	bool is_inline = term->list.ptr != NULL;
	size_t shared = 0;

	ASSERT(term->word.len >= 1 && term->word.len <= TERM_BYTES_MAX && term->documents >= 1);
	ASSERT(term->bytes >= 1 && (!is_inline || term->list.len == term->bytes));
	ASSERT(slice_compare(last, term->word) < 0);
	if (!has_room(writer, term))
		return false;
	if (writer->offsets.len == 0 || writer->in_group == TERMS_GROUP) {
		buffer_put_u16(&writer->offsets, (uint16_t)writer->groups.len);
		buffer_put_varint(&writer->groups, writer->at);
		writer->in_group = 0;
	} else {
		shared = shared_len(last, term->word);
	}
	buffer_put_varint(&writer->groups, shared);
	buffer_put_varint(&writer->groups, term->word.len - shared);
	buffer_append(&writer->groups, term->word.ptr + shared, term->word.len - shared);
	buffer_put_varint(&writer->groups, term->documents);
	buffer_put_varint(&writer->groups, (uint64_t)term->bytes << 1 | is_inline);
	buffer_append_slice(&writer->groups, term->list);
	if (!is_inline)
		writer->at += term->bytes;
	memcpy(writer->last + shared, term->word.ptr + shared, term->word.len - shared);
	writer->last_len = term->word.len;
	writer->in_group++;
	return true;
}

struct slice term_chunk_last(const struct term_chunk_writer *writer)
{
	return slice_of(writer->last, writer->last_len);
}

int term_chunk_end(struct term_chunk_writer *writer, struct slice *chunk, struct error *error)
{
	size_t groups = writer->offsets.len / OFFSET_BYTES;

	if (groups > 0) {
		buffer_append_slice(&writer->groups, buffer_slice(&writer->offsets));
		buffer_put_u16(&writer->groups, (uint16_t)groups);
	}
	if (buffer_failed(&writer->groups) || buffer_failed(&writer->offsets))
		return error_memory(error, writer->len_max);
	*chunk = buffer_slice(&writer->groups);
	buffer_clear(&writer->groups);
	buffer_clear(&writer->offsets);
	writer->in_group = 0;
	return 0;
}

static uint16_t chunk_u16(struct slice chunk, size_t at)
{
	return (uint16_t)(chunk.ptr[at] | chunk.ptr[at + 1] << 8);
}

int term_chunk_open(struct term_chunk_cursor *cursor, struct slice chunk, struct error *error)
{
	size_t groups;

	if (chunk.len < OFFSET_BYTES || chunk.len > TERM_CHUNK_BYTES_MAX)
		return damaged(error, "is too short or too long");
	groups = chunk_u16(chunk, chunk.len - OFFSET_BYTES);
	if (groups == 0 || (groups + 1) * OFFSET_BYTES >= chunk.len)
		return damaged(error, "has no groups");
	*cursor = (struct term_chunk_cursor){.chunk = chunk, .groups = groups};
	return 0;
}

/* The words of a group, behind its head. */
static int group_open(const struct term_chunk_cursor *cursor, size_t group, struct reader *rest, uint64_t *at,
                      struct error *error)
{
	size_t offsets = cursor->chunk.len - (cursor->groups + 1) * OFFSET_BYTES;
	size_t from = chunk_u16(cursor->chunk, offsets + group * OFFSET_BYTES);
	size_t to = offsets;

	if (group + 1 < cursor->groups)
		to = chunk_u16(cursor->chunk, offsets + (group + 1) * OFFSET_BYTES);
	if (from >= to || to > offsets || (group == 0 && from != 0))
		return damaged(error, "has groups that do not follow each other");
	*rest = reader_of(slice_of(cursor->chunk.ptr + from, to - from));
	*at = reader_varint(rest);
	if (reader_failed(rest) || reader_left(rest) == 0)
		return damaged(error, "has a group without words");
	return 0;
}

/* The word at hand becomes the next one; false if that is none, or not above it. */
static bool word_read(struct term_chunk_cursor *cursor, bool first)
{
	size_t shared = reader_varint(&cursor->rest);
	size_t len = reader_varint(&cursor->rest);
	struct slice bytes = reader_take(&cursor->rest, len);
	struct slice word = slice_of(cursor->word, cursor->word_len);

	if (reader_failed(&cursor->rest) || len == 0 || len > TERM_BYTES_MAX || shared > cursor->word_len ||
	    shared + len > TERM_BYTES_MAX)
		return false;
	if (first ? shared > 0 || slice_compare(word, bytes) >= 0
	          : shared < cursor->word_len && bytes.ptr[0] <= cursor->word[shared])
		return false;
	memcpy(cursor->word + shared, bytes.ptr, len);
	cursor->word_len = shared + len;
	return true;
}

int term_chunk_next(struct term_chunk_cursor *cursor, struct term *term, struct error *error)
{
	bool first = reader_left(&cursor->rest) == 0;
	uint64_t documents;
	uint64_t bytes;
	bool is_inline;

	if (first && cursor->group == cursor->groups)
		return 0;
	if (first && group_open(cursor, cursor->group++, &cursor->rest, &cursor->at, error) != 0)
		return error->code;
	if (!word_read(cursor, first))
		return damaged(error, "has words out of order");
	documents = reader_varint(&cursor->rest);
	bytes = reader_varint(&cursor->rest);
	is_inline = bytes & 1;
	bytes >>= 1;
	*term = (struct term){.word = slice_of(cursor->word, cursor->word_len),
	                      .documents = (uint32_t)documents,
	                      .bytes = (uint32_t)bytes,
	                      .at = cursor->at};
	if (is_inline)
		term->list = reader_take(&cursor->rest, bytes);
	else
		cursor->at += bytes;
	if (reader_failed(&cursor->rest) || documents == 0 || documents > UINT32_MAX || bytes == 0 ||
	    bytes > UINT32_MAX || (bytes <= TERMS_INLINE_MAX) != is_inline || cursor->at < term->at)
		return damaged(error, "has a word without a list");
	return 1;
}

/* The first word of a group; it stands in full. */
static int group_first(const struct term_chunk_cursor *cursor, size_t group, struct slice *word,
                       struct error *error)
{
	struct reader rest;
	uint64_t at;
	uint64_t shared;

	if (group_open(cursor, group, &rest, &at, error) != 0)
		return error->code;
	shared = reader_varint(&rest);
	*word = reader_take(&rest, reader_varint(&rest));
	if (reader_failed(&rest) || shared > 0)
		return damaged(error, "has a group that does not begin with a whole word");
	return 0;
}

int term_chunk_seek(struct term_chunk_cursor *cursor, struct slice word, struct term *term,
                    struct error *error)
{
	size_t low = 0; /* the last group that begins at or below the word, or the first one */
	size_t high = cursor->groups;
	int rc;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		struct slice first;

		if (group_first(cursor, middle, &first, error) != 0)
			return error->code;
		if (slice_compare(first, word) <= 0)
			low = middle;
		else
			high = middle;
	}
	cursor->group = low;
	cursor->rest = reader_of(slice_of(NULL, 0));
	cursor->word_len = 0;
	while ((rc = term_chunk_next(cursor, term, error)) > 0)
		if (slice_compare(term->word, word) >= 0)
			return 1;
	return rc;
}
