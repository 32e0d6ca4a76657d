/* What a replica keeps of identities and origins, as bytes. */
#include "shard/core/stored.h"

#include "shared/base/assert.h"

#define CHUNK_HEAD_BYTES 12 /* checksum, count */
#define CHUNK_ENTRY_BYTES 26

_Static_assert(CHUNK_HEAD_BYTES + STORED_CHUNK * CHUNK_ENTRY_BYTES <= 65536, "a chunk is one small value");

static const char identities_name[] = "identities";
static const char chunk_name[] = "identities/";
static const char origins_name[] = "origins";

static struct stored_key named(const char *name)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string(name));
	return key;
}

struct stored_key stored_identities_key(void)
{
	return named(identities_name);
}

struct stored_key stored_origins_key(void)
{
	return named(origins_name);
}

struct stored_key stored_chunk_key(int64_t chunk)
{
	struct stored_key key = named(chunk_name);

	stored_key_append_big_endian(&key, (uint64_t)chunk, 8);
	return key;
}

bool stored_chunk_number(struct slice key, int64_t *chunk)
{
	size_t name = sizeof chunk_name - 1;

	if (key.len != name + 8 || !slice_starts_with(key, slice_string(chunk_name)))
		return false;
	*chunk = (int64_t)stored_big_endian(key.ptr + name, 8);
	return *chunk >= 0 && *chunk <= INT64_MAX / STORED_CHUNK - 1;
}

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "the stored %s do not match their checksum or are none", what);
}

void stored_identities_encode(struct buffer *value, int64_t last)
{
	struct stored_key key = stored_identities_key();
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_i64(value, last);
	stored_seal(value, from, stored_key_slice(&key));
}

int stored_identities_decode(struct slice value, int64_t *last, struct error *error)
{
	struct stored_key key = stored_identities_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	int64_t found = reader_i64(&reader);

	if (reader_failed(&reader) || reader_left(&reader) != 0 || found < 0)
		return damaged(error, "identities");
	*last = found;
	return 0;
}

void stored_chunk_begin(struct buffer *value)
{
	ASSERT(value->len == 0);
	buffer_put_u64(value, 0);
	buffer_put_u32(value, 0);
}

void stored_chunk_add(struct buffer *value, const struct identity_entry *entry)
{
	buffer_put_u16(value, (uint16_t)(entry->offset % STORED_CHUNK));
	buffer_put_u64(value, entry->identity.key.low);
	buffer_put_u64(value, entry->identity.key.high);
	buffer_put_u64(value, entry->identity.operation);
}

void stored_chunk_end(struct buffer *value, int64_t chunk)
{
	struct stored_key key = stored_chunk_key(chunk);

	if (buffer_failed(value))
		return;
	buffer_set_u32(value, 8, (uint32_t)((value->len - CHUNK_HEAD_BYTES) / CHUNK_ENTRY_BYTES));
	stored_seal(value, 0, stored_key_slice(&key));
}

int stored_chunk_decode(int64_t chunk, struct slice value, struct stored_chunk *found, struct error *error)
{
	struct stored_key key = stored_chunk_key(chunk);
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	struct stored_chunk read = {.chunk = chunk, .count = reader_u32(&reader)};
	struct identity_entry entry;
	int64_t last = -1;
	size_t at = 0;

	read.entries = reader_take(&reader, reader_left(&reader));
	if (reader_failed(&reader) || read.count == 0 || read.count > STORED_CHUNK ||
	    read.entries.len != (size_t)read.count * CHUNK_ENTRY_BYTES)
		return damaged(error, "identities");
	while (stored_chunk_next(&read, &at, &entry)) {
		if (entry.offset <= last || entry.offset / STORED_CHUNK != chunk)
			return damaged(error, "identities");
		last = entry.offset;
	}
	*found = read;
	return 0;
}

bool stored_chunk_next(const struct stored_chunk *chunk, size_t *at, struct identity_entry *entry)
{
	struct reader reader;

	if (*at == chunk->entries.len)
		return false;
	reader = reader_of(slice_of(chunk->entries.ptr + *at, CHUNK_ENTRY_BYTES));
	entry->offset = chunk->chunk * STORED_CHUNK + reader_u16(&reader);
	entry->identity.key.low = reader_u64(&reader);
	entry->identity.key.high = reader_u64(&reader);
	entry->identity.operation = reader_u64(&reader);
	*at += CHUNK_ENTRY_BYTES;
	return true;
}

void stored_origins_encode(struct buffer *value, const struct origins *origins)
{
	struct stored_key key = stored_origins_key();
	size_t from = value->len;
	struct origin origin;
	size_t at = 0;

	buffer_put_u64(value, 0);
	buffer_put_u32(value, (uint32_t)origins_count(origins));
	while (origins_next(origins, &at, &origin)) {
		buffer_put_u8(value, (uint8_t)origin.source.len);
		buffer_append_slice(value, origin.source);
		buffer_put_u32(value, origin.life);
		buffer_put_u32(value, (uint32_t)origin.partition);
		buffer_put_i64(value, origin.offset);
		buffer_put_u32(value, origin.n);
	}
	stored_seal(value, from, stored_key_slice(&key));
}

int stored_origins_decode(struct slice value, struct origins *origins, struct error *error)
{
	struct stored_key key = stored_origins_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	uint32_t count = reader_u32(&reader);

	if (reader_failed(&reader) || count == 0 || count > ORIGINS_MAX)
		return damaged(error, "origins");
	for (uint32_t i = 0; i < count; i++) {
		struct origin origin = {.source = reader_take(&reader, reader_u8(&reader))};

		origin.life = reader_u32(&reader);
		origin.partition = (int32_t)reader_u32(&reader);
		origin.offset = reader_i64(&reader);
		origin.n = reader_u32(&reader);
		if (reader_failed(&reader) || origin.source.len == 0 ||
		    origin.source.len > RECORD_SOURCE_BYTES_MAX)
			return damaged(error, "origins");
		if (origins_note(origins, &origin, error) != 0)
			return error->code == ERROR_MEMORY ? error->code : damaged(error, "origins");
	}
	return reader_left(&reader) == 0 ? 0 : damaged(error, "origins");
}
