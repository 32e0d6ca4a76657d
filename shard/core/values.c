#include "shard/core/values.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"
#include "shared/filter/filter_value.h"

#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define SIGN_BIT (1ULL << 63)
/* Equality of strings that are too long for a key. */
#define TEXT_HASH_SEED 0

/* One body. */
struct cutting {
	struct text *folder;
	const struct values_sink *sink;
	struct filter_fold fold;
	struct buffer scratch;
	uint16_t attribute;
	bool exists; /* the path has reached something */
	bool failed;
	struct error *error;
};

void value_key_kind(struct value_key *key, uint16_t attribute, enum value_kind kind)
{
	ASSERT(attribute < VALUE_NUMBERS_MAX);
	key->bytes[0] = (uint8_t)(attribute >> 8);
	key->bytes[1] = (uint8_t)attribute;
	key->bytes[2] = (uint8_t)kind;
	key->len = VALUE_HEAD_BYTES;
}

static void key_append_u64(struct value_key *key, uint64_t value)
{
	for (unsigned shift = 64; shift > 0; shift -= 8)
		key->bytes[key->len++] = (uint8_t)(value >> (shift - 8));
}

void value_key_number(struct value_key *key, uint16_t attribute, double number)
{
	uint64_t bits;

	/* makes −0 positive */
	number += 0.0;
	memcpy(&bits, &number, sizeof bits);
	value_key_kind(key, attribute, VALUE_KIND_NUMBER);
	key_append_u64(key, bits & SIGN_BIT ? ~bits : bits | SIGN_BIT);
}

void value_key_text(struct value_key *key, uint16_t attribute, struct slice folded)
{
	size_t len = folded.len < VALUE_TEXT_BYTES_MAX ? folded.len : VALUE_TEXT_BYTES_MAX;
	struct hash128 hash;

	value_key_kind(key, attribute, VALUE_KIND_STRING);
	if (len > 0)
		memcpy(key->bytes + key->len, folded.ptr, len);
	key->len += len;
	if (folded.len == len)
		return;
	hash = hash128_of(folded, TEXT_HASH_SEED);
	key_append_u64(key, hash.high);
	key_append_u64(key, hash.low);
}

static bool number_read(struct slice payload, double *number)
{
	uint64_t bits = 0;

	if (payload.len != sizeof bits)
		return false;
	for (size_t i = 0; i < payload.len; i++)
		bits = bits << 8 | payload.ptr[i];
	bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
	memcpy(number, &bits, sizeof *number);
	return true;
}

static bool text_read(struct slice payload, struct value *value)
{
	value->is_cut = payload.len > VALUE_TEXT_BYTES_MAX;
	value->text = slice_of(payload.ptr, value->is_cut ? VALUE_TEXT_BYTES_MAX : payload.len);
	return !value->is_cut || payload.len == VALUE_TEXT_BYTES_MAX + VALUE_HASH_BYTES;
}

bool value_read(struct slice key, struct value *value)
{
	struct slice payload;

	*value = (struct value){0};
	if (key.len < VALUE_HEAD_BYTES)
		return false;
	value->attribute = (uint16_t)(key.ptr[0] << 8 | key.ptr[1]);
	value->kind = (enum value_kind)key.ptr[2];
	payload = slice_of(key.ptr + VALUE_HEAD_BYTES, key.len - VALUE_HEAD_BYTES);
	if (value->attribute >= VALUE_NUMBERS_MAX)
		return false;
	switch (value->kind) {
	case VALUE_KIND_EXISTS:
	case VALUE_KIND_NULL:
	case VALUE_KIND_EMPTY:
		return payload.len == 0;
	case VALUE_KIND_NUMBER:
		return number_read(payload, &value->number);
	case VALUE_KIND_STRING:
		return text_read(payload, value);
	}
	return false;
}

bool value_compare(const struct value *value, struct slice folded, int *order)
{
	struct slice beginning =
		slice_of(folded.ptr, folded.len < VALUE_TEXT_BYTES_MAX ? folded.len : VALUE_TEXT_BYTES_MAX);

	if (!value->is_cut) {
		*order = slice_compare(value->text, folded);
		return true;
	}
	*order = slice_compare(value->text, beginning);
	if (*order != 0)
		return true;
	/* longer than all of the text, or than as much of it as both have */
	*order = 1;
	return folded.len == beginning.len;
}

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct cutting *cutting = context;

	return text_fold(cutting->folder, text, folded, cutting->error) == 0;
}

static bool emit(struct cutting *cutting, const struct value_key *key)
{
	if (!cutting->sink->value(cutting->sink->context, slice_of(key->bytes, key->len)))
		cutting->failed = true;
	return cutting->failed;
}

static bool scalar_cut(void *context, yyjson_val *value)
{
	struct cutting *cutting = context;
	struct value_key key;
	struct slice text;
	double number;

	if (yyjson_is_raw(value)) {
		if (!filter_value_number(value, &cutting->scratch, &number)) {
			cutting->failed = buffer_failed(&cutting->scratch);
			return cutting->failed;
		}
		value_key_number(&key, cutting->attribute, number);
		return emit(cutting, &key);
	}
	if (!filter_value_text(value, &cutting->fold, &cutting->scratch, &text)) {
		cutting->failed = true;
		return true;
	}
	value_key_text(&key, cutting->attribute, text);
	return emit(cutting, &key);
}

static bool kind_emit(struct cutting *cutting, enum value_kind kind)
{
	struct value_key key;

	value_key_kind(&key, cutting->attribute, kind);
	return emit(cutting, &key);
}

static bool reached_cut(void *context, yyjson_val *value)
{
	struct cutting *cutting = context;
	struct filter_visitor visitor = {scalar_cut, cutting};

	if (!cutting->exists && kind_emit(cutting, VALUE_KIND_EXISTS))
		return true;
	cutting->exists = true;
	if (yyjson_is_null(value))
		return kind_emit(cutting, VALUE_KIND_NULL);
	if (filter_value_is_empty(value))
		return kind_emit(cutting, VALUE_KIND_EMPTY);
	return filter_scalars(value, &visitor);
}

int values_of_body(struct text *text, struct slice body, const struct attributes *attributes,
                   const struct values_sink *sink, struct error *error)
{
	struct cutting cutting = {
		.folder = text, .sink = sink, .fold = {append_folded, &cutting}, .error = error};
	struct filter_visitor visitor = {reached_cut, &cutting};
	yyjson_doc *doc;

	if (attributes->len == 0)
		return 0;
	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	buffer_init(&cutting.scratch, SCRATCH_BYTES_MAX);
	for (size_t i = 0; i < attributes->len && !cutting.failed; i++) {
		cutting.attribute = attributes->list[i].number;
		cutting.exists = false;
		(void)filter_reach(yyjson_doc_get_root(doc), attributes->list[i].path, &visitor);
	}
	buffer_deinit(&cutting.scratch);
	yyjson_doc_free(doc);
	return cutting.failed ? error_memory(error, body.len) : 0;
}
