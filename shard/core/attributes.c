#include "shard/core/attributes.h"

#include <stdlib.h>

struct attributes_ref *attributes_new(uint64_t version, const struct attributes *attributes)
{
	struct attributes_ref *made;
	uint8_t *paths;
	size_t bytes = 0;

	for (size_t i = 0; i < attributes->len; i++)
		bytes += attributes->list[i].path.len;
	made = calloc(1, sizeof *made + bytes);
	if (made == NULL)
		return NULL;
	atomic_init(&made->references, 1);
	made->version = version;
	paths = (uint8_t *)(made + 1);
	for (size_t i = 0; i < attributes->len; i++) {
		const struct attribute *attribute = &attributes->list[i];

		memcpy(paths, attribute->path.ptr, attribute->path.len);
		made->attributes.list[made->attributes.len++] =
			(struct attribute){attribute->number, slice_of(paths, attribute->path.len)};
		value_cover_add(&made->wanted, attribute->number);
		paths += attribute->path.len;
	}
	return made;
}

struct attributes_ref *attributes_hold(struct attributes_ref *attributes)
{
	atomic_fetch_add_explicit(&attributes->references, 1, memory_order_relaxed);
	return attributes;
}

void attributes_release(struct attributes_ref *attributes)
{
	if (attributes != NULL &&
	    atomic_fetch_sub_explicit(&attributes->references, 1, memory_order_acq_rel) == 1)
		free(attributes);
}

const struct attribute *attributes_find(const struct attributes_ref *attributes, struct slice path)
{
	for (size_t i = 0; i < attributes->attributes.len; i++)
		if (slice_equal(attributes->attributes.list[i].path, path))
			return &attributes->attributes.list[i];
	return NULL;
}

static struct stored_key attributes_key(void)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string("attributes"));
	return key;
}

void attributes_encode(const struct attributes_ref *attributes, struct buffer *value)
{
	struct stored_key key = attributes_key();
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_u64(value, attributes->version);
	buffer_put_u32(value, (uint32_t)attributes->attributes.len);
	for (size_t i = 0; i < attributes->attributes.len; i++) {
		const struct attribute *attribute = &attributes->attributes.list[i];

		buffer_put_u16(value, attribute->number);
		buffer_put_u16(value, (uint16_t)attribute->path.len);
		buffer_append_slice(value, attribute->path);
	}
	stored_seal(value, from, stored_key_slice(&key));
}

/* Numbers and paths that are there once, and can be. */
static bool list_read(struct reader *reader, struct attributes *attributes)
{
	struct value_cover seen = {{0}};
	uint32_t len = reader_u32(reader);

	attributes->len = 0;
	if (len > VALUE_ATTRIBUTES_MAX)
		return false;
	while (attributes->len < len) {
		uint16_t number = reader_u16(reader);
		struct slice path = reader_take(reader, reader_u16(reader));

		if (reader_failed(reader) || number >= VALUE_NUMBERS_MAX || value_cover_has(&seen, number) ||
		    path.len == 0 || path.len > ATTRIBUTE_PATH_BYTES_MAX)
			return false;
		for (size_t i = 0; i < attributes->len; i++)
			if (slice_equal(attributes->list[i].path, path))
				return false;
		value_cover_add(&seen, number);
		attributes->list[attributes->len++] = (struct attribute){number, path};
	}
	return reader_left(reader) == 0 && !reader_failed(reader);
}

int attributes_decode(struct slice value, struct attributes_ref **out, struct error *error)
{
	struct stored_key key = attributes_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	uint64_t version = reader_u64(&reader);
	struct attributes attributes;

	if (!list_read(&reader, &attributes))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored attributes are %zu bytes that are none", value.len);
	*out = attributes_new(version, &attributes);
	return *out == NULL ? error_memory(error, value.len) : 0;
}

int attributes_write(struct kv_txn *txn, const struct attributes_ref *attributes, struct buffer *scratch,
                     struct error *error)
{
	struct stored_key key = attributes_key();

	buffer_clear(scratch);
	attributes_encode(attributes, scratch);
	if (buffer_failed(scratch))
		return error_memory(error, scratch->len);
	return kv_put(txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(scratch), error);
}

int attributes_read(struct kv_txn *txn, struct attributes_ref **out, struct error *error)
{
	static const struct attributes none;
	struct stored_key key = attributes_key();
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0)
		return attributes_decode(value, out, error);
	if (error->code != ERROR_NOT_FOUND)
		return error->code;
	*out = attributes_new(0, &none);
	return *out == NULL ? error_memory(error, sizeof **out) : 0;
}
