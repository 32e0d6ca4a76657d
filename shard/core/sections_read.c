#include "shard/core/sections_private.h"

#include <stdlib.h>

/* Neighbours: a reader that looks at one place of a long section does not pay for all of it. */
#define STRETCH_CHUNKS 64
struct stretch {
	struct chunk chunks[STRETCH_CHUNKS];
};

struct section_reader {
	struct kv_txn *txn;
	uint64_t segment;
	const uint64_t *lengths;
	struct stretch **stretches[SECTIONS]; /* NULL: none was looked at */
	struct kv_cursor *cursor;             /* of section_read_terms */
	struct terms_chunk *terms;            /* by rising last word */
	size_t terms_len;
	size_t terms_size;
};

struct section_reader *section_reader_new(struct kv_txn *txn, uint64_t segment,
                                          const uint64_t lengths[SECTIONS])
{
	struct section_reader *reader = calloc(1, sizeof *reader);

	if (reader == NULL)
		return NULL;
	reader->txn = txn;
	reader->segment = segment;
	reader->lengths = lengths;
	return reader;
}

/* Chunks of a section, without TERMS. */
static uint64_t chunks_of(const struct section_reader *reader, enum section section)
{
	return (reader->lengths[section] + capacities[section] - 1) / capacities[section];
}

static size_t stretches_of(const struct section_reader *reader, enum section section)
{
	return (size_t)((chunks_of(reader, section) + STRETCH_CHUNKS - 1) / STRETCH_CHUNKS);
}

static void stretches_free(struct section_reader *reader, enum section section)
{
	if (reader->stretches[section] == NULL)
		return;
	for (size_t i = 0; i < stretches_of(reader, section); i++)
		free(reader->stretches[section][i]);
	free(reader->stretches[section]);
}

void section_reader_free(struct section_reader *reader)
{
	if (reader == NULL)
		return;
	for (enum section section = 0; section < SECTIONS; section++)
		stretches_free(reader, section);
	kv_cursor_close(reader->cursor);
	free(reader->terms);
	free(reader);
}

uint64_t section_reader_length(const struct section_reader *reader, enum section section)
{
	return reader->lengths[section];
}

static int damaged(const struct section_reader *reader, enum section section, const char *what,
                   struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "segment %llu, section %s: %s",
	                 (unsigned long long)reader->segment, section_names[section], what);
}

bool section_chunk_cut(struct slice value, struct chunk *chunk)
{
	size_t pieces =
		(value.len + CHUNK_PIECE_BYTES + CHECKSUM_BYTES - 1) / (CHUNK_PIECE_BYTES + CHECKSUM_BYTES);

	if (value.len > CHUNK_BYTES_MAX || value.len <= pieces * CHECKSUM_BYTES)
		return false;
	*chunk = (struct chunk){.payload = value.ptr + pieces * CHECKSUM_BYTES,
	                        .len = (uint32_t)(value.len - pieces * CHECKSUM_BYTES)};
	return pieces_of(chunk->len) == pieces;
}

bool section_pieces_check(struct chunk *chunk, struct slice key, size_t first, size_t last)
{
	uint64_t seed = hash64(key, 0);
	size_t pieces = pieces_of(chunk->len);

	for (size_t i = first; i <= last; i++) {
		if (column_u64(chunk->payload - (pieces - i) * CHECKSUM_BYTES) !=
		    checksum_of(seed, chunk->payload, chunk->len, i))
			return false;
		chunk->checked |= 1U << i;
	}
	return true;
}

static struct chunk_key chunk_key_of(const struct section_reader *reader, enum section section,
                                     uint64_t number)
{
	struct chunk_key key;

	key_begin(&key, reader->segment, section);
	key_append_chunk(&key, (uint32_t)number);
	return key;
}

/* Looks at a chunk for the first time. */
static int chunk_get(struct section_reader *reader, enum section section, uint64_t number,
                     struct chunk *chunk, struct error *error)
{
	uint64_t rest = reader->lengths[section] - number * capacities[section];
	struct chunk_key key = chunk_key_of(reader, section, number);
	struct slice value;
	struct chunk found;

	if (kv_get(reader->txn, KV_TABLE_CHUNKS, key_slice(&key), &value, error) != 0) {
		if (error->code != ERROR_NOT_FOUND)
			return error->code;
		return damaged(reader, section, "a chunk is missing", error);
	}
	if (!section_chunk_cut(value, &found) ||
	    found.len != (rest < capacities[section] ? rest : capacities[section]))
		return damaged(reader, section, "a chunk has another length than its segment says", error);
	*chunk = found;
	return 0;
}

static int stretches_room(struct section_reader *reader, enum section section, struct error *error)
{
	size_t size;

	if (reader->lengths[section] > SECTION_CHUNKS_MAX * CHUNK_PAYLOAD_MAX ||
	    chunks_of(reader, section) > SECTION_CHUNKS_MAX)
		return damaged(reader, section, "longer than a section may be", error);
	size = stretches_of(reader, section) * sizeof *reader->stretches[section];
	reader->stretches[section] = calloc(1, size);
	return reader->stretches[section] == NULL ? error_memory(error, size) : 0;
}

/* Room for what is known of a chunk; the section has it. */
static int chunk_at(struct section_reader *reader, enum section section, uint64_t number,
                    struct chunk **chunk, struct error *error)
{
	struct stretch **stretch;

	if (reader->stretches[section] == NULL && stretches_room(reader, section, error) != 0)
		return error->code;
	stretch = &reader->stretches[section][number / STRETCH_CHUNKS];
	if (*stretch == NULL)
		*stretch = calloc(1, sizeof **stretch);
	if (*stretch == NULL)
		return error_memory(error, sizeof **stretch);
	*chunk = &(*stretch)->chunks[number % STRETCH_CHUNKS];
	return 0;
}

/* Bytes of one chunk, at least one of them. */
struct part {
	uint64_t chunk;
	size_t from;
	size_t len;
};

static int part_read(struct section_reader *reader, enum section section, const struct part *part,
                     const uint8_t **bytes, struct error *error)
{
	size_t first = part->from / CHUNK_PIECE_BYTES;
	size_t last = (part->from + part->len - 1) / CHUNK_PIECE_BYTES;
	uint32_t wanted = (2U << last) - (1U << first);
	struct chunk *chunk = NULL;

	if (chunk_at(reader, section, part->chunk, &chunk, error) != 0 ||
	    (chunk->payload == NULL && chunk_get(reader, section, part->chunk, chunk, error) != 0))
		return error->code;
	if ((chunk->checked & wanted) != wanted) {
		struct chunk_key key = chunk_key_of(reader, section, part->chunk);

		if (!section_pieces_check(chunk, key_slice(&key), first, last))
			return damaged(reader, section, "the checksum of a chunk does not match", error);
	}
	*bytes = chunk->payload + part->from;
	return 0;
}

/* Where the record stands; outside of the section: ERROR_DAMAGED. */
static int record_find(const struct section_reader *reader, enum section section, uint64_t i,
                       struct part *part, struct error *error)
{
	size_t bytes = record_bytes[section];
	uint32_t records = records_of_chunk[section];

	/* 32 bits divide far faster than 64, and a search is made of these */
	if (i > UINT32_MAX || (i + 1) * bytes > reader->lengths[section])
		return damaged(reader, section, "a record outside of it is referred to", error);
	part->chunk = (uint32_t)i / records;
	part->from = (i - part->chunk * records) * bytes;
	part->len = bytes;
	return 0;
}

int section_record(struct section_reader *reader, enum section section, uint64_t i, const uint8_t **record,
                   struct error *error)
{
	struct part part = {.len = 0};

	if (record_find(reader, section, i, &part, error) != 0)
		return error->code;
	return part_read(reader, section, &part, record, error);
}

int section_records(struct section_reader *reader, enum section section, uint64_t i,
                    struct section_records *records, struct error *error)
{
	uint32_t bytes = (uint32_t)record_bytes[section];
	struct part part = {.len = 0};
	uint32_t from; /* of the pieces in which the record stands */
	uint32_t to;
	uint64_t left;

	if (record_find(reader, section, i, &part, error) != 0)
		return error->code;
	from = (uint32_t)part.from / CHUNK_PIECE_BYTES * CHUNK_PIECE_BYTES;
	to = ((uint32_t)(part.from + part.len - 1) / CHUNK_PIECE_BYTES + 1) * CHUNK_PIECE_BYTES;
	from = (from + bytes - 1) / bytes;
	to = to / bytes < records_of_chunk[section] ? to / bytes : records_of_chunk[section];
	records->first = part.chunk * records_of_chunk[section] + from;
	left = reader->lengths[section] / bytes - records->first;
	records->len = to - from < left ? to - from : left;
	part.from = from * bytes;
	part.len = records->len * bytes;
	return part_read(reader, section, &part, &records->bytes, error);
}

/* What stands in several chunks, one after the other. */
static int read_joined(struct section_reader *reader, struct span span, struct buffer *joined,
                       struct error *error)
{
	size_t capacity = capacities[span.section];

	buffer_clear(joined);
	while (span.len > 0) {
		struct part part = {span.at / capacity, (size_t)(span.at % capacity), span.len};
		const uint8_t *bytes;

		if (part.len > capacity - part.from)
			part.len = capacity - part.from;
		if (part_read(reader, span.section, &part, &bytes, error) != 0)
			return error->code;
		buffer_append(joined, bytes, part.len);
		span.at += part.len;
		span.len -= part.len;
	}
	return buffer_failed(joined) ? error_memory(error, joined->len) : 0;
}

int section_read(struct section_reader *reader, struct span span, struct buffer *joined, struct slice *bytes,
                 struct error *error)
{
	size_t capacity = capacities[span.section];
	uint64_t length = reader->lengths[span.section];
	struct part part = {span.at / capacity, (size_t)(span.at % capacity), span.len};
	const uint8_t *found = NULL;

	ASSERT(span.section != SECTION_TERMS);
	if (span.at > length || span.len > length - span.at)
		return damaged(reader, span.section, "something outside of it is referred to", error);
	if (span.len == 0) {
		*bytes = slice_of("", 0);
		return 0;
	}
	if (part.len > capacity - part.from) {
		if (read_joined(reader, span, joined, error) != 0)
			return error->code;
		*bytes = buffer_slice(joined);
		return 0;
	}
	if (part_read(reader, span.section, &part, &found, error) != 0)
		return error->code;
	*bytes = slice_of(found, span.len);
	return 0;
}

/* Where the chunk of that last word stands or would stand among those checked. */
static size_t terms_place(const struct section_reader *reader, struct slice last, bool *found)
{
	size_t low = 0;
	size_t high = reader->terms_len;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(reader->terms[middle].last, last);

		if (order == 0)
			*found = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool section_terms_cut(struct slice key, struct slice value, struct terms_chunk *checked)
{
	struct reader reader;
	struct chunk chunk;

	if (!section_chunk_cut(value, &chunk) ||
	    !section_pieces_check(&chunk, key, 0, pieces_of(chunk.len) - 1))
		return false;
	reader = reader_of(slice_of(chunk.payload, chunk.len));
	checked->last = slice_of(key.ptr + PREFIX_BYTES, key.len - PREFIX_BYTES);
	checked->before = reader_take(&reader, reader_u16(&reader));
	checked->payload = reader_take(&reader, reader_left(&reader));
	return !reader_failed(&reader);
}

static int terms_check(struct section_reader *reader, size_t place, struct slice key, struct slice value,
                       struct error *error)
{
	struct terms_chunk checked;

	if (!section_terms_cut(key, value, &checked))
		return damaged(reader, SECTION_TERMS, "the checksum of a chunk does not match", error);
	if (reader->terms_len == reader->terms_size) {
		size_t size = reader->terms_size == 0 ? 8 : 2 * reader->terms_size;
		struct terms_chunk *terms = realloc(reader->terms, size * sizeof *terms);

		if (terms == NULL)
			return error_memory(error, size * sizeof *terms);
		reader->terms = terms;
		reader->terms_size = size;
	}
	memmove(reader->terms + place + 1, reader->terms + place,
	        (reader->terms_len - place) * sizeof *reader->terms);
	reader->terms[place] = checked;
	reader->terms_len++;
	return 0;
}

/* The first chunk whose word is not below `word`. */
static int terms_seek(struct section_reader *reader, struct slice word, const struct terms_chunk **chunk,
                      struct error *error)
{
	struct chunk_key key;
	struct slice found;
	struct slice value;
	size_t place;
	bool checked;

	key_begin(&key, reader->segment, SECTION_TERMS);
	key_append_word(&key, word);
	if (reader->cursor == NULL &&
	    kv_cursor_open(reader->txn, KV_TABLE_CHUNKS, &reader->cursor, error) != 0)
		return error->code;
	if (kv_cursor_seek(reader->cursor, key_slice(&key), &found, &value, error) != 0) {
		if (error->code != ERROR_NOT_FOUND)
			return error->code;
		return damaged(reader, SECTION_TERMS, "its end is missing", error);
	}
	if (found.len <= PREFIX_BYTES || memcmp(found.ptr, key.bytes, PREFIX_BYTES) != 0)
		return damaged(reader, SECTION_TERMS, "its end is missing", error);
	place = terms_place(reader, slice_of(found.ptr + PREFIX_BYTES, found.len - PREFIX_BYTES), &checked);
	if (!checked && terms_check(reader, place, found, value, error) != 0)
		return error->code;
	*chunk = &reader->terms[place];
	return 0;
}

int section_read_terms(struct section_reader *reader, struct slice word, struct slice *chunk,
                       struct slice *last, struct error *error)
{
	const struct terms_chunk *found = NULL;

	if (reader->lengths[SECTION_TERMS] > 0 &&
	    slice_compare(word, slice_of(word_end, sizeof word_end)) < 0) {
		if (terms_seek(reader, word, &found, error) != 0)
			return error->code;
		if (found->before.len > 0 && slice_compare(found->before, word) >= 0)
			return damaged(reader, SECTION_TERMS, "a chunk is missing", error);
	}
	if (found == NULL || found->payload.len == 0)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "no word is so high");
	*chunk = found->payload;
	*last = found->last;
	return 0;
}
