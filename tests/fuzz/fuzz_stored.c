/*
 * Fuzz: what a node reads from its disk. The checksum is made to match, so
 * that the bytes behind it are met, as after a fault that checksums miss.
 */
#include "shard/core/attributes.h"
#include "shard/core/node_identity.h"
#include "shard/core/postings.h"
#include "shard/core/stored.h"
#include "shared/base/hash.h"
#include "tests/fuzz/seeds.h"

/* Called by nobody here: attributes.c asks for a store. */
#include "tests/simulation/sim_kv.c"

#define ATTRIBUTES_KEY "attributes"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void put_u64(uint8_t *to, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* A block of the dead, under any key that is one's. */
static void dead(struct slice key, struct slice value)
{
	struct postings set;
	struct error error;
	uint64_t block;

	if (!stored_dead_block(key, &block))
		return;
	postings_init(&set);
	if (postings_decode(&set, block, key, value, &error) == 0) {
		uint64_t count = postings_count(&set);
		uint64_t *numbers = malloc((size_t)count * sizeof *numbers);

		ASSERT(numbers != NULL && count >= 1 && count <= 65536);
		postings_list(&set, numbers);
		ASSERT(numbers[0] >> 16 == block && numbers[count - 1] >> 16 == block);
		free(numbers);
	} else {
		ASSERT(error.code == ERROR_DAMAGED && postings_count(&set) == 0);
	}
	postings_deinit(&set);
}

/* Every path is found under its number. */
static void fields(struct slice value)
{
	struct fields *known = fields_new();
	struct error error;
	uint16_t number;

	ASSERT(known != NULL);
	if (stored_fields_decode(value, known, &error) == 0)
		for (size_t i = 0; i < fields_len(known); i++)
			ASSERT(fields_number(known, fields_path(known, (uint16_t)i), &number) && number == i);
	else
		ASSERT(error.code == ERROR_DAMAGED || error.code == ERROR_MEMORY);
	fields_free(known);
}

/* Every path is found, with a number that is wanted; written again they are the value. */
static void attributes(struct slice value)
{
	struct attributes_ref *known;
	struct buffer again;
	struct error error;

	if (attributes_decode(value, &known, &error) != 0) {
		ASSERT(error.code == ERROR_DAMAGED);
		return;
	}
	ASSERT(known->attributes.len <= VALUE_ATTRIBUTES_MAX);
	for (size_t i = 0; i < known->attributes.len; i++) {
		const struct attribute *attribute = &known->attributes.list[i];

		ASSERT(value_cover_has(&known->wanted, attribute->number) &&
		       attributes_find(known, attribute->path) == attribute);
	}
	buffer_init(&again, SIZE_MAX);
	attributes_encode(known, &again);
	ASSERT(slice_equal(buffer_slice(&again), value));
	buffer_deinit(&again);
	attributes_release(known);
}

static void state(struct slice value)
{
	struct replica_identity identity;
	struct mark mark;
	struct error error;

	if (stored_state_decode(value, &identity, &mark, &error) == 0)
		ASSERT(memchr(identity.cluster_id, '\0', sizeof identity.cluster_id) != NULL);
}

/* Whatever they say, seals rise, and none lies above the watermark. */
static void seals(struct slice value)
{
	struct mark mark = {.received = 5 * RANGE_SEAL + 7};
	struct error error;

	if (stored_seals_decode(value, &mark, &error) != 0) {
		ASSERT(error.code == ERROR_DAMAGED && mark.seals_len == 0);
		return;
	}
	ASSERT(mark.seals_len <= 5);
	for (size_t i = 0; i < mark.seals_len; i++)
		ASSERT(mark.seals[i].offset % RANGE_SEAL == 0 && mark.seals[i].offset <= mark.received &&
		       mark.seals[i].offset > (i == 0 ? 0 : mark.seals[i - 1].offset));
}

/* A chunk's identities lie in it and rise. */
static void chunk(struct slice value)
{
	struct identity_entry entry;
	struct stored_chunk found;
	struct error error;
	int64_t last = 3 * STORED_CHUNK - 1;
	uint32_t count = 0;
	size_t at = 0;

	if (stored_chunk_decode(3, value, &found, &error) != 0) {
		ASSERT(error.code == ERROR_DAMAGED);
		return;
	}
	for (; stored_chunk_next(&found, &at, &entry); last = entry.offset, count++)
		ASSERT(entry.offset > last && entry.offset < 4 * STORED_CHUNK);
	ASSERT(count == found.count && count > 0);
}

static void origins(struct slice value)
{
	struct origins *noted = origins_new();
	struct error error;

	ASSERT(noted != NULL);
	if (stored_origins_decode(value, noted, &error) == 0)
		ASSERT(origins_count(noted) > 0);
	else
		ASSERT(error.code == ERROR_DAMAGED);
	origins_free(noted);
}

/* The file that says whose the directory is has no checksum. */
static void identity(struct slice content)
{
	struct node_identity found;
	struct error error;

	if (node_identity_parse(content, &found, &error) == 0)
		ASSERT(memchr(found.id, '\0', sizeof found.id) != NULL && found.id[0] != '\0' &&
		       !incarnation_is_none(found.incarnation));
	else
		ASSERT(error.code == ERROR_CONFIGURATION);
}

/* u8 key length, key, then the value; the value's first eight bytes become its checksum. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct stored_key of_fields = stored_fields_key();
	struct stored_key of_seals = stored_seals_key();
	struct stored_key of_chunk = stored_chunk_key(3);
	struct stored_key of_origins = stored_origins_key();
	struct slice key;
	size_t key_len = len == 0 ? 0 : bytes[0];
	size_t value_len;
	uint8_t *value;

	identity(slice_of(bytes, len));
	if (len < 1 + key_len + 16)
		return 0;
	key = slice_of(bytes + 1, key_len);
	value_len = len - 1 - key_len;
	value = malloc(value_len);
	ASSERT(value != NULL);
	memcpy(value, bytes + 1 + key_len, value_len);
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(key, 0)));
	dead(key, slice_of(value, value_len));
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(stored_key_slice(&of_fields), 0)));
	fields(slice_of(value, value_len));
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(stored_key_slice(&of_seals), 0)));
	seals(slice_of(value, value_len));
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(stored_key_slice(&of_chunk), 0)));
	chunk(slice_of(value, value_len));
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(stored_key_slice(&of_origins), 0)));
	origins(slice_of(value, value_len));
	put_u64(value, hash64(slice_of(value + 8, value_len - 8), hash64(slice_string(ATTRIBUTES_KEY), 0)));
	attributes(slice_of(value, value_len));
	memcpy(value, bytes + 1 + key_len, 8);
	put_u64(value + value_len - 8, hash64(slice_of(value, value_len - 8), 0));
	state(slice_of(value, value_len));
	free(value);
	return 0;
}

static void seed_entry(struct slice key, struct buffer *value)
{
	struct buffer entry;

	ASSERT(!buffer_failed(value) && key.len <= UINT8_MAX);
	buffer_init(&entry, SIZE_MAX);
	buffer_put_u8(&entry, (uint8_t)key.len);
	buffer_append_slice(&entry, key);
	buffer_append_slice(&entry, buffer_slice(value));
	seed_write(buffer_slice(&entry));
	buffer_clear(value);
	buffer_deinit(&entry);
}

static void seed_fields(struct buffer *value)
{
	struct fields *known = fields_new();
	uint16_t number;

	ASSERT(known != NULL && fields_number(known, slice_string("title"), &number) &&
	       fields_number(known, slice_string("author.name"), &number));
	stored_fields_encode(value, known, 2);
	fields_free(known);
	seed_entry(slice_string(""), value);
}

static void seed_attributes(struct buffer *value)
{
	struct attributes list = {2, {{5, slice_string("price")}, {0, slice_string("author.name")}}};
	struct attributes_ref *known = attributes_new(3, &list);

	ASSERT(known != NULL);
	attributes_encode(known, value);
	attributes_release(known);
	seed_entry(slice_string(""), value);
}

/* A list, and more numbers than a list holds. */
static void seed_dead(struct buffer *value)
{
	struct stored_key key = stored_dead_key(3);
	struct postings set;

	postings_init(&set);
	postings_add(&set, (3 << POSTINGS_BLOCK_BITS) + 5);
	postings_add(&set, (3 << POSTINGS_BLOCK_BITS) + 500);
	ASSERT(postings_encode(&set, 3, stored_key_slice(&key), value));
	seed_entry(stored_key_slice(&key), value);
	for (uint64_t number = 0; number < 100; number++)
		postings_add(&set, (3 << POSTINGS_BLOCK_BITS) + 700 + 3 * number);
	ASSERT(postings_encode(&set, 3, stored_key_slice(&key), value));
	seed_entry(stored_key_slice(&key), value);
	postings_deinit(&set);
}

static void seed_marks(struct buffer *value)
{
	struct origins *known = origins_new();
	struct origin origin = {slice_string("orders"), 1, 2, 3, 4};
	struct stored_key key = stored_chunk_key(3);
	struct error error;

	ASSERT(known != NULL && origins_note(known, &origin, &error) == 0);
	stored_origins_encode(value, known);
	origins_free(known);
	seed_entry(slice_string(""), value);
	stored_chunk_begin(value);
	for (int64_t i = 0; i < 3; i++) {
		struct identity_entry entry = {3 * STORED_CHUNK + i * i, {{7, 8}, 9}};

		stored_chunk_add(value, &entry);
	}
	stored_chunk_end(value, 3);
	seed_entry(stored_key_slice(&key), value);
}

static void seeds_make(void)
{
	struct replica_identity owner = {
		.cluster_id = "kafka", .index_id = 1, .generation = 1, .incarnation = {{1, 2}}};
	struct node_identity node = {"n1", {{1, 2}}};
	struct mark mark = {
		.received = 2 * RANGE_SEAL, .anchor = {.offset = 2 * RANGE_SEAL - 1}, .seals_len = 2};
	struct buffer value;

	buffer_init(&value, SIZE_MAX);
	mark.seals[0].offset = RANGE_SEAL;
	mark.seals[1].offset = 2 * RANGE_SEAL;
	stored_state_encode(&value, &owner, &mark);
	seed_entry(slice_string(""), &value);
	stored_seals_encode(&value, &mark);
	seed_entry(slice_string(""), &value);
	seed_fields(&value);
	seed_attributes(&value);
	seed_dead(&value);
	seed_marks(&value);
	node_identity_append(&value, &node);
	seed_write(buffer_slice(&value));
	buffer_deinit(&value);
}
