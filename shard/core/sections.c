#include "shard/core/sections.h"

#include "shard/core/sections_private.h"

#include <stdlib.h>

size_t section_record_bytes(enum section section)
{
	return record_bytes[section];
}

/* A section as it is written. */
struct filling {
	uint8_t *chunk; /* room for the checksums, then what is not put yet */
	size_t len;     /* of that, without the checksums */
	uint64_t length;
	uint32_t chunks;
};

struct section_writer {
	uint64_t segment;
	struct kv_txn *txn;
	uint64_t put_bytes;
	uint64_t txn_bytes;
	struct filling fillings[SECTIONS];
	uint8_t terms_last[SECTION_WORD_BYTES_MAX]; /* of the chunk of TERMS put last */
	size_t terms_last_len;
};

struct section_writer *section_writer_new(uint64_t segment)
{
	struct section_writer *writer = calloc(1, sizeof *writer);

	if (writer != NULL)
		writer->segment = segment;
	return writer;
}

void section_writer_free(struct section_writer *writer)
{
	if (writer == NULL)
		return;
	for (size_t i = 0; i < SECTIONS; i++)
		free(writer->fillings[i].chunk);
	free(writer);
}

void section_writer_use(struct section_writer *writer, struct kv_txn *txn)
{
	writer->txn = txn;
	writer->txn_bytes = 0;
}

static int chunk_room(struct filling *filling, struct error *error)
{
	if (filling->chunk == NULL)
		filling->chunk = malloc(CHUNK_BYTES_MAX);
	return filling->chunk != NULL ? 0 : error_memory(error, CHUNK_BYTES_MAX);
}

static int chunk_put(struct section_writer *writer, const struct chunk_key *key, struct filling *filling,
                     struct error *error)
{
	uint64_t seed = hash64(key_slice(key), 0);
	uint8_t *payload = filling->chunk + CHECKSUMS_BYTES;
	size_t pieces = pieces_of(filling->len);
	struct slice value =
		slice_of(payload - pieces * CHECKSUM_BYTES, pieces * CHECKSUM_BYTES + filling->len);

	ASSERT(writer->txn != NULL);
	for (size_t i = 0; i < pieces; i++)
		column_put_u64(payload - (pieces - i) * CHECKSUM_BYTES,
		               checksum_of(seed, payload, filling->len, i));
	if (kv_put(writer->txn, KV_TABLE_CHUNKS, key_slice(key), value, error) != 0)
		return error->code;
	writer->put_bytes += value.len;
	writer->txn_bytes += value.len;
	filling->chunks++;
	filling->len = 0;
	return 0;
}

static int filling_put(struct section_writer *writer, enum section section, struct error *error)
{
	struct filling *filling = &writer->fillings[section];
	struct chunk_key key;

	if (filling->chunks >= SECTION_CHUNKS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL,
		                 "segment %llu: %s is longer than a section may be",
		                 (unsigned long long)writer->segment, section_names[section]);
	key_begin(&key, writer->segment, section);
	key_append_chunk(&key, filling->chunks);
	return chunk_put(writer, &key, filling, error);
}

int section_append(struct section_writer *writer, enum section section, const void *bytes, size_t len,
                   struct error *error)
{
	struct filling *filling = &writer->fillings[section];
	size_t capacity = capacities[section];
	const uint8_t *from = bytes;

	ASSERT(section != SECTION_TERMS && len % record_bytes[section] == 0);
	if (chunk_room(filling, error) != 0)
		return error->code;
	while (len > 0) {
		size_t part = capacity - filling->len < len ? capacity - filling->len : len;

		memcpy(filling->chunk + CHECKSUMS_BYTES + filling->len, from, part);
		filling->len += part;
		filling->length += part;
		from += part;
		len -= part;
		if (filling->len == capacity && filling_put(writer, section, error) != 0)
			return error->code;
	}
	return 0;
}

/* A chunk of TERMS behind the one put last. */
static int terms_put(struct section_writer *writer, struct slice word, struct slice chunk,
                     struct error *error)
{
	struct filling *filling = &writer->fillings[SECTION_TERMS];
	struct chunk_key key;
	uint8_t *payload;

	if (chunk_room(filling, error) != 0)
		return error->code;
	payload = filling->chunk + CHECKSUMS_BYTES;
	payload[0] = (uint8_t)writer->terms_last_len;
	payload[1] = (uint8_t)(writer->terms_last_len >> 8);
	memcpy(payload + LINK_BYTES, writer->terms_last, writer->terms_last_len);
	filling->len = LINK_BYTES + writer->terms_last_len;
	if (chunk.len > 0)
		memcpy(payload + filling->len, chunk.ptr, chunk.len);
	filling->len += chunk.len;
	filling->length += filling->len;
	key_begin(&key, writer->segment, SECTION_TERMS);
	key_append_word(&key, word);
	return chunk_put(writer, &key, filling, error);
}

int section_append_terms(struct section_writer *writer, struct slice last, struct slice chunk,
                         struct error *error)
{
	ASSERT(chunk.len > 0 && chunk.len <= SECTION_TERMS_BYTES_MAX && last.len <= SECTION_WORD_BYTES_MAX);
	ASSERT(slice_compare(last, slice_of(writer->terms_last, writer->terms_last_len)) > 0);
	ASSERT(slice_compare(last, slice_of(word_end, sizeof word_end)) < 0);
	if (terms_put(writer, last, chunk, error) != 0)
		return error->code;
	memcpy(writer->terms_last, last.ptr, last.len);
	writer->terms_last_len = last.len;
	return 0;
}

int section_writer_finish(struct section_writer *writer, struct error *error)
{
	for (enum section section = 0; section < SECTION_TERMS; section++)
		if (writer->fillings[section].len > 0 && filling_put(writer, section, error) != 0)
			return error->code;
	if (writer->terms_last_len == 0)
		return 0;
	return terms_put(writer, slice_of(word_end, sizeof word_end), slice_of("", 0), error);
}

uint64_t section_length(const struct section_writer *writer, enum section section)
{
	return writer->fillings[section].length;
}

uint64_t section_writer_put_bytes(const struct section_writer *writer)
{
	return writer->put_bytes;
}

uint64_t section_writer_txn_bytes(const struct section_writer *writer)
{
	return writer->txn_bytes;
}

static uint64_t key_segment(struct slice key)
{
	uint64_t segment = 0;

	for (size_t i = 0; i < 8 && i < key.len; i++)
		segment = segment << 8 | key.ptr[i];
	return segment;
}

int section_remove(struct kv_txn *txn, uint64_t segment, size_t max, bool *left, struct error *error)
{
	struct chunk_key prefix;
	struct kv_cursor *cursor;
	int rc;

	key_begin(&prefix, segment, 0);
	if (kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, error) != 0)
		return error->code;
	for (;;) {
		struct slice found;
		struct slice value;
		struct chunk_key key;

		rc = kv_cursor_seek(cursor, slice_of(prefix.bytes, 8), &found, &value, error);
		if (rc == ERROR_NOT_FOUND || (rc == 0 && key_segment(found) != segment)) {
			*left = false;
			rc = 0;
			break;
		}
		if (rc == 0 && max == 0)
			*left = true;
		if (rc != 0 || max-- == 0)
			break;
		memcpy(key.bytes, found.ptr, found.len); /* gone when the transaction writes */
		key.len = found.len;
		rc = kv_delete(txn, KV_TABLE_CHUNKS, key_slice(&key), error);
		if (rc != 0)
			break;
	}
	kv_cursor_close(cursor);
	return rc;
}

int section_next_segment(struct kv_txn *txn, uint64_t from, uint64_t *segment, struct error *error)
{
	struct chunk_key key;
	struct kv_cursor *cursor;
	struct slice found;
	struct slice value;
	int rc;

	key_begin(&key, from, 0);
	if (kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, slice_of(key.bytes, 8), &found, &value, error);
	if (rc == 0)
		*segment = key_segment(found);
	kv_cursor_close(cursor);
	return rc;
}
