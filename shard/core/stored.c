#include "shard/core/stored.h"

#include "shared/base/assert.h"

#define BLOCK_KEY_BYTES 8

struct slice stored_key_slice(const struct stored_key *key)
{
	return slice_of(key->bytes, key->len);
}

void stored_key_append(struct stored_key *key, struct slice bytes)
{
	ASSERT(key->len + bytes.len <= sizeof key->bytes);
	if (bytes.len > 0)
		memcpy(key->bytes + key->len, bytes.ptr, bytes.len);
	key->len += bytes.len;
}

void stored_key_append_big_endian(struct stored_key *key, uint64_t value, size_t bytes)
{
	ASSERT(key->len + bytes <= sizeof key->bytes);
	for (size_t i = bytes; i-- > 0;)
		key->bytes[key->len++] = (uint8_t)(value >> (8 * i));
}

uint64_t stored_big_endian(const uint8_t *ptr, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | ptr[i];
	return value;
}

static struct stored_key named(const char *name)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string(name));
	return key;
}

struct stored_key stored_state_key(void)
{
	return named("state");
}

struct stored_key stored_seals_key(void)
{
	return named("seals");
}

struct stored_key stored_manifest_key(void)
{
	return named("manifest");
}

struct stored_key stored_fields_key(void)
{
	return named("fields");
}

struct stored_key stored_dead_key(uint64_t block)
{
	struct stored_key key = {.len = 0};

	stored_key_append_big_endian(&key, block, BLOCK_KEY_BYTES);
	return key;
}

bool stored_dead_block(struct slice key, uint64_t *block)
{
	if (key.len != BLOCK_KEY_BYTES)
		return false;
	*block = stored_big_endian(key.ptr, BLOCK_KEY_BYTES);
	return *block <= UINT64_MAX >> POSTINGS_BLOCK_BITS;
}

void stored_seal(struct buffer *value, size_t from, struct slice key)
{
	uint64_t checksum;

	if (buffer_failed(value))
		return;
	checksum = hash64(slice_of(value->ptr + from + 8, value->len - from - 8), hash64(key, 0));
	buffer_set_u32(value, from, (uint32_t)checksum);
	buffer_set_u32(value, from + 4, (uint32_t)(checksum >> 32));
}

struct reader stored_unseal(struct slice value, struct slice key)
{
	struct reader reader = reader_of(value);
	uint64_t checksum = reader_u64(&reader);

	if (!reader.failed && checksum != hash64(slice_of(reader.ptr, reader_left(&reader)), hash64(key, 0)))
		reader.failed = true;
	return reader;
}

static void hash128_put(struct buffer *value, struct hash128 hash)
{
	buffer_put_u64(value, hash.low);
	buffer_put_u64(value, hash.high);
}

static struct hash128 hash128_read(struct reader *reader)
{
	struct hash128 hash;

	hash.low = reader_u64(reader);
	hash.high = reader_u64(reader);
	return hash;
}

static void mark_put(struct buffer *value, const struct mark *mark)
{
	buffer_put_i64(value, mark->received);
	buffer_put_i64(value, mark->anchor.offset);
	buffer_put_i64(value, mark->anchor.timestamp_ms);
	buffer_put_u64(value, mark->anchor.checksum);
	hash128_put(value, mark->digest);
	buffer_put_u64(value, mark->documents);
	buffer_put_u64(value, mark->body_bytes);
	buffer_put_u64(value, mark->number_next);
}

static struct mark mark_read(struct reader *reader)
{
	struct mark mark = {.identity_last = -1};

	mark.received = reader_i64(reader);
	mark.anchor.offset = reader_i64(reader);
	mark.anchor.timestamp_ms = reader_i64(reader);
	mark.anchor.checksum = reader_u64(reader);
	mark.digest = hash128_read(reader);
	mark.documents = reader_u64(reader);
	mark.body_bytes = reader_u64(reader);
	mark.number_next = reader_u64(reader);
	return mark;
}

/* The format comes first and outside the checksum's place, so that every version can tell its own. */
void stored_state_encode(struct buffer *value, const struct replica_identity *identity,
                         const struct mark *mark)
{
	struct slice written;

	buffer_put_u32(value, REPLICA_FORMAT);
	buffer_put_u32(value, text_version());
	buffer_put_bytes(value, slice_string(identity->cluster_id));
	buffer_put_u64(value, identity->index_id);
	buffer_put_u32(value, (uint32_t)identity->generation);
	buffer_put_u32(value, (uint32_t)identity->partition);
	buffer_put_i64(value, identity->base);
	buffer_put_u64(value, identity->rules_digest);
	buffer_put_u64(value, identity->incarnation.word[0]);
	buffer_put_u64(value, identity->incarnation.word[1]);
	mark_put(value, mark);
	written = buffer_slice(value);
	buffer_put_u64(value, hash64(written, 0));
}

static int state_version(struct slice value, struct error *error)
{
	struct reader reader = reader_of(value);
	uint32_t format = reader_u32(&reader);
	uint32_t words = reader_u32(&reader);

	if (reader_failed(&reader))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "the stored state is cut short");
	if (format != REPLICA_FORMAT)
		return error_set(
			error, ERROR_VERSION, ERROR_ACTION_FATAL,
			"the replica has format %u, this program writes %u; removed while the node is "
			"stopped, it is filled anew from the log",
			format, REPLICA_FORMAT);
	if (words != text_version())
		return error_set(
			error, ERROR_VERSION, ERROR_ACTION_FATAL,
			"the replica's words were cut by ICU %08x, this program has %08x; removed while the "
			"node is stopped, it is filled anew from the log",
			words, text_version());
	return 0;
}

int stored_state_decode(struct slice value, struct replica_identity *identity, struct mark *mark,
                        struct error *error)
{
	struct reader reader = reader_of(value);
	struct replica_identity found = {0};
	struct mark read;
	struct slice cluster;
	uint64_t checksum;

	if (state_version(value, error) != 0)
		return error->code;
	reader_take(&reader, 8);
	cluster = reader_bytes(&reader);
	if (cluster.len < sizeof found.cluster_id && cluster.len > 0)
		memcpy(found.cluster_id, cluster.ptr, cluster.len);
	found.index_id = reader_u64(&reader);
	found.generation = (int32_t)reader_u32(&reader);
	found.partition = (int32_t)reader_u32(&reader);
	found.base = reader_i64(&reader);
	found.rules_digest = reader_u64(&reader);
	found.incarnation.word[0] = reader_u64(&reader);
	found.incarnation.word[1] = reader_u64(&reader);
	read = mark_read(&reader);
	checksum = reader_u64(&reader);
	if (reader_failed(&reader) || reader_left(&reader) != 0 ||
	    checksum != hash64(slice_of(value.ptr, value.len - 8), 0))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored state does not match its checksum");
	*identity = found;
	*mark = read;
	return 0;
}

void stored_seals_encode(struct buffer *value, const struct mark *mark)
{
	struct stored_key key = stored_seals_key();
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_u32(value, (uint32_t)mark->seals_len);
	for (size_t i = 0; i < mark->seals_len; i++) {
		buffer_put_i64(value, mark->seals[i].offset);
		hash128_put(value, mark->seals[i].digest);
	}
	stored_seal(value, from, stored_key_slice(&key));
}

int stored_seals_decode(struct slice value, struct mark *mark, struct error *error)
{
	struct stored_key key = stored_seals_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	struct seal found[REPLICA_SEALS_MAX];
	uint32_t len = reader_u32(&reader);
	int64_t above = 0;

	if (len > REPLICA_SEALS_MAX)
		reader.failed = true;
	for (uint32_t i = 0; i < len && !reader.failed; i++) {
		found[i].offset = reader_i64(&reader);
		found[i].digest = hash128_read(&reader);
		if (found[i].offset <= above || found[i].offset > mark->received ||
		    found[i].offset % RANGE_SEAL != 0)
			reader.failed = true;
		above = found[i].offset;
	}
	if (reader_failed(&reader) || reader_left(&reader) != 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored seals do not match their checksum or the watermark");
	mark->seals_len = len;
	memcpy(mark->seals, found, len * sizeof found[0]);
	return 0;
}

void stored_fields_encode(struct buffer *value, const struct fields *fields, size_t len)
{
	struct stored_key key = stored_fields_key();
	size_t from = value->len;

	buffer_put_u64(value, 0);
	fields_encode(fields, len, value);
	stored_seal(value, from, stored_key_slice(&key));
}

int stored_fields_decode(struct slice value, struct fields *fields, struct error *error)
{
	struct stored_key key = stored_fields_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));

	if (reader_failed(&reader))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored fields do not match their checksum");
	return fields_decode(fields, reader_take(&reader, reader_left(&reader)), error);
}
