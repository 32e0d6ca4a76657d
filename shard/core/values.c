#include "shard/core/values.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"
#include "shared/filter/filter_value.h"

#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define SIGN_BIT (1ULL << 63)
/* Equality of strings that are too long for a key. */
#define TEXT_HASH_SEED 0
/* Between a folded text and a spelling: no UTF-8 has it. */
#define SPELLING_MARK 0xFF

/* One body. */
struct cutting {
	struct text *folder;
	const struct values_sink *sink;
	struct filter_fold fold;
	struct buffer scratch;
	uint16_t attribute;
	bool exists; /* the path has reached something */
	bool plain;  /* a string of the attribute is spelled as it is folded */
	bool above;  /* a spelling of it is above what it folds to */
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

static void key_append_double(struct value_key *key, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof bits);
	key_append_u64(key, bits & SIGN_BIT ? ~bits : bits | SIGN_BIT);
}

void value_key_number(struct value_key *key, uint16_t attribute, double number)
{
	value_key_kind(key, attribute, VALUE_KIND_NUMBER);
	/* makes −0 positive */
	key_append_double(key, number + 0.0);
}

void value_key_point(struct value_key *key, uint16_t attribute, const struct point *point)
{
	value_key_kind(key, attribute, VALUE_KIND_POINT);
	key_append_double(key, point->lat);
	key_append_double(key, point->lng);
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

void value_key_spelling(struct value_key *key, uint16_t attribute, struct slice folded, struct slice spelling)
{
	size_t room = VALUE_PAYLOAD_BYTES_MAX - folded.len - 1;
	size_t len = spelling.len < room ? spelling.len : room;

	ASSERT(folded.len > 0 && folded.len <= VALUE_TEXT_BYTES_MAX);
	value_key_kind(key, attribute, VALUE_KIND_SPELLING);
	memcpy(key->bytes + key->len, folded.ptr, folded.len);
	key->len += folded.len;
	key->bytes[key->len++] = SPELLING_MARK;
	if (len > 0)
		memcpy(key->bytes + key->len, spelling.ptr, len);
	key->len += len;
}

static double double_at(const uint8_t *at)
{
	uint64_t bits = 0;
	double number;

	for (size_t i = 0; i < sizeof bits; i++)
		bits = bits << 8 | at[i];
	bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
	memcpy(&number, &bits, sizeof number);
	return number;
}

static bool number_read(struct slice payload, double *number)
{
	if (payload.len != sizeof *number)
		return false;
	*number = double_at(payload.ptr);
	return true;
}

static bool point_read(struct slice payload, struct point *point)
{
	if (payload.len != 2 * sizeof(double))
		return false;
	*point = (struct point){double_at(payload.ptr), double_at(payload.ptr + sizeof(double))};
	return true;
}

static bool text_read(struct slice payload, struct value *value)
{
	value->is_cut = payload.len > VALUE_TEXT_BYTES_MAX;
	value->text = slice_of(payload.ptr, value->is_cut ? VALUE_TEXT_BYTES_MAX : payload.len);
	return !value->is_cut || payload.len == VALUE_TEXT_BYTES_MAX + VALUE_HASH_BYTES;
}

static bool spelling_read(struct slice payload, struct value *value)
{
	const uint8_t *mark = payload.len == 0 ? NULL : memchr(payload.ptr, SPELLING_MARK, payload.len);

	if (mark == NULL || payload.len > VALUE_PAYLOAD_BYTES_MAX)
		return false;
	value->text = slice_of(payload.ptr, (size_t)(mark - payload.ptr));
	value->spelling = slice_of(mark + 1, payload.len - value->text.len - 1);
	value->spelling_is_cut = payload.len == VALUE_PAYLOAD_BYTES_MAX;
	return value->text.len > 0 && value->text.len <= VALUE_TEXT_BYTES_MAX && value->spelling.len > 0;
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
	case VALUE_KIND_SPELLING:
		return spelling_read(payload, value);
	case VALUE_KIND_POINT:
		return point_read(payload, &value->point);
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

/* Of a string that folds to `text`. */
static bool spelling_cut(struct cutting *cutting, struct slice spelling, struct slice text)
{
	struct value_key key;

	if (text.len == 0 || text.len > VALUE_TEXT_BYTES_MAX)
		return false;
	if (slice_equal(spelling, text)) {
		cutting->plain = true;
		return false;
	}
	cutting->above |= slice_compare(spelling, text) > 0;
	value_key_spelling(&key, cutting->attribute, text, spelling);
	return emit(cutting, &key);
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
	return emit(cutting, &key) ||
	       spelling_cut(cutting, yyjson_is_bool(value) ? text : json_string(value), text);
}

/* A string that is spelled as it is folded. */
static bool plain_cut(void *context, yyjson_val *value)
{
	struct cutting *cutting = context;
	struct value_key key;
	struct slice text;

	if (yyjson_is_raw(value))
		return false;
	if (!filter_value_text(value, &cutting->fold, &cutting->scratch, &text)) {
		cutting->failed = true;
		return true;
	}
	if (text.len == 0 || text.len > VALUE_TEXT_BYTES_MAX ||
	    !(yyjson_is_bool(value) || slice_equal(json_string(value), text)))
		return false;
	value_key_spelling(&key, cutting->attribute, text, text);
	return emit(cutting, &key);
}

static bool reached_plain(void *context, yyjson_val *value)
{
	struct filter_visitor visitor = {plain_cut, context};

	return filter_scalars(value, &visitor);
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

static void point_cut(struct cutting *cutting, yyjson_val *document)
{
	struct value_key key;
	struct point point;
	bool found;

	if (!point_of_document(document, &point, &found)) {
		cutting->failed = true;
		return;
	}
	if (!found)
		return;
	value_key_point(&key, cutting->attribute, &point);
	(void)emit(cutting, &key);
}

static void attribute_cut(struct cutting *cutting, yyjson_val *document, const struct attribute *attribute)
{
	struct filter_visitor visitor = {reached_cut, cutting};

	cutting->attribute = attribute->number;
	cutting->exists = cutting->plain = cutting->above = false;
	(void)filter_reach(document, attribute->path, &visitor);
	visitor.visit = reached_plain;
	if (cutting->plain && cutting->above && !cutting->failed)
		(void)filter_reach(document, attribute->path, &visitor);
	if (slice_equal(attribute->path, slice_string("_geo")) && !cutting->failed)
		point_cut(cutting, document);
}

int values_of_body(struct text *text, struct slice body, const struct attributes *attributes,
                   const struct values_sink *sink, struct error *error)
{
	struct cutting cutting = {
		.folder = text, .sink = sink, .fold = {append_folded, &cutting}, .error = error};
	yyjson_doc *doc;

	if (attributes->len == 0)
		return 0;
	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	buffer_init(&cutting.scratch, SCRATCH_BYTES_MAX);
	for (size_t i = 0; i < attributes->len && !cutting.failed; i++)
		attribute_cut(&cutting, yyjson_doc_get_root(doc), &attributes->list[i]);
	buffer_deinit(&cutting.scratch);
	yyjson_doc_free(doc);
	return cutting.failed ? error_memory(error, body.len) : 0;
}
