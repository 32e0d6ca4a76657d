#include "shard/core/stored.h"

#include "shared/base/assert.h"

#define ORDER_KEY_BYTES 12
#define BLOCK_BYTES 6

static const char state_name[] = "state";
static const char seals_name[] = "seals";

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

struct stored_key stored_state_key(void)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string(state_name));
	return key;
}

struct stored_key stored_seals_key(void)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string(seals_name));
	return key;
}

struct stored_key stored_number_key(uint64_t number)
{
	struct stored_key key = {.len = 0};

	stored_key_append_big_endian(&key, number, 8);
	return key;
}

struct stored_key stored_order_key(struct insertion_key insertion, struct slice id, uint64_t number)
{
	struct stored_key key = {.len = 0};
	bool whole = ORDER_KEY_BYTES + id.len < KV_KEY_BYTES_MAX;

	/* adding 2^63 makes signed order bytewise order */
	stored_key_append_big_endian(&key, (uint64_t)insertion.timestamp_ms ^ (1ULL << 63), 8);
	stored_key_append_big_endian(&key, insertion.seq, 4);
	stored_key_append(&key, whole ? id : slice_of(id.ptr, ORDER_ID_BYTES));
	if (!whole)
		stored_key_append_big_endian(&key, number, 8);
	return key;
}

struct stored_key stored_word_key(struct slice word)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, word);
	stored_key_append(&key, slice_of("", 1));
	return key;
}

struct stored_key stored_postings_key(struct slice word, uint64_t block)
{
	struct stored_key key = stored_word_key(word);

	stored_key_append_big_endian(&key, block, BLOCK_BYTES);
	return key;
}

bool stored_postings_split(struct slice key, struct slice *word, uint64_t *block)
{
	if (key.len < BLOCK_BYTES + 2 || key.ptr[key.len - BLOCK_BYTES - 1] != 0)
		return false;
	*word = slice_of(key.ptr, key.len - BLOCK_BYTES - 1);
	*block = stored_big_endian(key.ptr + key.len - BLOCK_BYTES, BLOCK_BYTES);
	return true;
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
	buffer_put_u32(value, words_version());
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
		return error_set(error, ERROR_VERSION, ERROR_ACTION_FATAL,
		                 "the replica has format %u, this program writes %u; it must be rebuilt",
		                 format, REPLICA_FORMAT);
	if (words != words_version())
		return error_set(
			error, ERROR_VERSION, ERROR_ACTION_FATAL,
			"the replica's words were cut by ICU %08x, this program has %08x; it must be rebuilt",
			words, words_version());
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

void stored_id_encode(struct buffer *value, struct slice id, const struct stored_id *entry)
{
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_u64(value, entry->number);
	buffer_put_i64(value, entry->key.timestamp_ms);
	buffer_put_u32(value, entry->key.seq);
	hash128_put(value, entry->digest);
	buffer_put_u32(value, entry->body_bytes);
	stored_seal(value, from, id);
}

int stored_id_decode(struct slice id, struct slice value, struct stored_id *entry, struct error *error)
{
	struct reader reader = stored_unseal(value, id);
	struct stored_id found;

	found.number = reader_u64(&reader);
	found.key.timestamp_ms = reader_i64(&reader);
	found.key.seq = reader_u32(&reader);
	found.digest = hash128_read(&reader);
	found.body_bytes = reader_u32(&reader);
	if (reader_failed(&reader) || reader_left(&reader) != 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored entry of id %.*s does not match its checksum", SLICE_ARGS(id));
	*entry = found;
	return 0;
}

void stored_document_encode(struct buffer *value, uint64_t number, const struct stored_document *document)
{
	struct stored_key key = stored_number_key(number);
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_i64(value, document->key.timestamp_ms);
	buffer_put_u32(value, document->key.seq);
	buffer_put_u16(value, (uint16_t)document->id.len);
	buffer_append_slice(value, document->id);
	buffer_append_slice(value, document->body);
	stored_seal(value, from, stored_key_slice(&key));
}

int stored_document_decode(uint64_t number, struct slice value, struct stored_document *document,
                           struct error *error)
{
	struct stored_key key = stored_number_key(number);
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	struct stored_document found;

	found.key.timestamp_ms = reader_i64(&reader);
	found.key.seq = reader_u32(&reader);
	found.id = reader_take(&reader, reader_u16(&reader));
	found.body = reader_take(&reader, reader_left(&reader));
	if (reader_failed(&reader))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "stored document %llu does not match its checksum",
		                 (unsigned long long)number);
	*document = found;
	return 0;
}

void stored_order_encode(struct buffer *value, struct slice key, uint64_t number)
{
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_u64(value, number);
	stored_seal(value, from, key);
}

int stored_order_decode(struct slice key, struct slice value, struct stored_document *document,
                        uint64_t *number, struct error *error)
{
	struct reader reader = stored_unseal(value, key);
	uint64_t found = reader_u64(&reader);

	if (reader_failed(&reader) || reader_left(&reader) != 0 || key.len <= ORDER_KEY_BYTES)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "an entry of the stored order does not match its checksum");
	*document = (struct stored_document){0};
	document->key.timestamp_ms = (int64_t)(stored_big_endian(key.ptr, 8) ^ (1ULL << 63));
	document->key.seq = (uint32_t)stored_big_endian(key.ptr + 8, 4);
	if (key.len < KV_KEY_BYTES_MAX)
		document->id = slice_of(key.ptr + ORDER_KEY_BYTES, key.len - ORDER_KEY_BYTES);
	*number = found;
	return 0;
}

int stored_number_decode(struct slice key, uint64_t *number, struct error *error)
{
	if (key.len != 8)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a stored document has a key that is no number");
	*number = stored_big_endian(key.ptr, 8);
	return 0;
}
