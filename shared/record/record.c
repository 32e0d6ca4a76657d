#include "shared/record/record.h"

#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A name or id of up to this many bytes is quoted in a refusal's text. */
#define QUOTED_BYTES_MAX 64

struct refusal_row {
	const char *name;
	const char *stage;
};

static const struct refusal_row refusal_rows[] = {
	[REFUSAL_MISSING_KEY] = {"missing_key", "KEY_CONVERTER"},
	[REFUSAL_INVALID_DOCUMENT_ID] = {"invalid_document_id", "KEY_CONVERTER"},
	[REFUSAL_WRONG_PARTITION] = {"wrong_partition", "KEY_CONVERTER"},
	[REFUSAL_UNKNOWN_OPERATION] = {"unknown_operation", "HEADER_CONVERTER"},
	[REFUSAL_INVALID_HEADER] = {"invalid_header", "HEADER_CONVERTER"},
	[REFUSAL_TOO_LARGE] = {"too_large", "VALUE_CONVERTER"},
	[REFUSAL_NOT_JSON] = {"not_json", "VALUE_CONVERTER"},
	[REFUSAL_TOO_DEEP] = {"too_deep", "VALUE_CONVERTER"},
	[REFUSAL_NOT_AN_OBJECT] = {"not_an_object", "VALUE_CONVERTER"},
	[REFUSAL_ID_MISMATCH] = {"id_mismatch", "TASK_PUT"},
};

const char *refusal_name(enum refusal_code code)
{
	return refusal_rows[code].name;
}

const char *refusal_stage(enum refusal_code code)
{
	return refusal_rows[code].stage;
}

static enum record_verdict refuse(struct refusal *refusal, enum refusal_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum record_verdict refuse(struct refusal *refusal, enum refusal_code code, const char *format, ...)
{
	va_list args;

	refusal->code = code;
	va_start(args, format);
	(void)vsnprintf(refusal->text, sizeof refusal->text, format, args);
	va_end(args);
	return RECORD_VERDICT_REFUSE;
}

int insertion_key_compare(struct insertion_key a, struct slice id_a, struct insertion_key b,
                          struct slice id_b)
{
	if (a.timestamp_ms != b.timestamp_ms)
		return a.timestamp_ms < b.timestamp_ms ? -1 : 1;
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return slice_compare(id_a, id_b);
}

static bool id_is_valid(struct slice id, uint32_t len_max)
{
	if (id.len == 0 || id.len > len_max || id.len > RECORD_ID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		uint8_t c = id.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return false;
	}
	return true;
}

static enum record_verdict check_key(const struct record *record, const struct record_place *place,
                                     struct refusal *refusal)
{
	int32_t home;

	if (record->key.ptr == NULL || record->key.len == 0)
		return refuse(refusal, REFUSAL_MISSING_KEY,
		              "the record has no key; a log's key is the document id");
	if (!id_is_valid(record->key, place->rules->id_bytes_max))
		return refuse(refusal, REFUSAL_INVALID_DOCUMENT_ID,
		              "the key is no document id: 1 to %" PRIu32
		              " bytes of A-Z a-z 0-9 _ - are allowed, this one has %zu bytes",
		              place->rules->id_bytes_max, record->key.len);
	home = partitioner_choose(place->partitioner, record->key, place->partitions);
	if (home >= 0 && home != place->partition)
		return refuse(refusal, REFUSAL_WRONG_PARTITION,
		              "the key belongs to partition %" PRId32 " of %" PRId32
		              " by %s, but the record is in %" PRId32 "; set the producer's partitioner%s",
		              home, place->partitions, partitioner_name(place->partitioner), place->partition,
		              place->partitioner == PARTITIONER_MURMUR2
		                      ? " (librdkafka: partitioner=murmur2_random)"
		                      : " (librdkafka: partitioner=consistent_random)");
	return RECORD_VERDICT_APPLY;
}

/* The last header of that name, as Kafka's own lastHeader; NULL if there is none. */
static const struct record_header *find_header(const struct record *record, const char *name)
{
	for (size_t i = record->headers_len; i > 0; i--)
		if (slice_equal(record->headers[i - 1].name, slice_string(name)))
			return &record->headers[i - 1];
	return NULL;
}

/* Digits only, at most `max`. */
static bool parse_number(struct slice text, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	if (value > max)
		return false;
	*number = value;
	return true;
}

/* `created`: "<timestamp ms>/<seq>" of the record that created the document. */
static bool parse_created(struct slice text, struct insertion_key *key)
{
	const uint8_t *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
	uint64_t timestamp;
	uint64_t seq;
	size_t at;

	if (slash == NULL)
		return false;
	at = (size_t)(slash - text.ptr);
	if (!parse_number(slice_of(text.ptr, at), INT64_MAX, &timestamp) ||
	    !parse_number(slice_of(slash + 1, text.len - at - 1), UINT32_MAX, &seq))
		return false;
	*key = (struct insertion_key){(int64_t)timestamp, (uint32_t)seq};
	return true;
}

static enum record_verdict check_headers(const struct record *record, struct op *op, struct refusal *refusal)
{
	const struct record_header *kind = find_header(record, "op");
	const struct record_header *seq = find_header(record, "seq");
	const struct record_header *created = find_header(record, "created");
	uint64_t number = 0;

	if (kind == NULL || slice_equal(kind->value, slice_string("put")))
		op->kind = OP_KIND_PUT;
	else if (slice_equal(kind->value, slice_string("delete")))
		op->kind = OP_KIND_DELETE;
	else
		return refuse(refusal, REFUSAL_UNKNOWN_OPERATION,
		              "header `op` is \"%.*s\"; this index's rules know put and delete",
		              (int)(kind->value.len < QUOTED_BYTES_MAX ? kind->value.len : QUOTED_BYTES_MAX),
		              kind->value.ptr ? (const char *)kind->value.ptr : "");
	if (seq != NULL && !parse_number(seq->value, UINT32_MAX, &number))
		return refuse(refusal, REFUSAL_INVALID_HEADER,
		              "header `seq` is not a number from 0 to 4294967295");
	op->key = (struct insertion_key){record->timestamp_ms, (uint32_t)number};
	if (created != NULL && !parse_created(created->value, &op->key))
		return refuse(refusal, REFUSAL_INVALID_HEADER,
		              "header `created` is not \"<timestamp ms>/<seq>\"");
	if (record->value.len == 0)
		op->kind = OP_KIND_DELETE;
	return RECORD_VERDICT_APPLY;
}

/* True if the primary key's value is the document id: the same string, or the
 * same decimal integer. */
static bool value_is_id(yyjson_val *value, struct slice id)
{
	struct slice text = json_string(value);

	if (text.ptr == NULL)
		text = json_raw_number(value);
	return text.ptr != NULL && slice_equal(text, id);
}

/* {"<primary key>":"<id>", then the object as it was. */
static enum record_verdict add_primary_key(const struct record *record, struct slice primary_key,
                                           struct arena *arena, bool empty, struct op *op)
{
	const uint8_t *brace = memchr(record->value.ptr, '{', record->value.len);
	size_t rest;
	struct buffer text;
	bool copied;

	ASSERT(brace != NULL);
	rest = record->value.len - (size_t)(brace + 1 - record->value.ptr);
	buffer_init(&text, record->value.len + 8 * (primary_key.len + record->key.len) + 64);
	buffer_append_string(&text, "{");
	json_append_string(&text, primary_key);
	buffer_append_string(&text, ":");
	json_append_string(&text, record->key);
	buffer_append_string(&text, empty ? "" : ",");
	buffer_append(&text, brace + 1, rest);
	copied = !buffer_failed(&text) && arena_copy(arena, buffer_slice(&text), &op->body);
	buffer_deinit(&text);
	return copied ? RECORD_VERDICT_APPLY : RECORD_VERDICT_MEMORY;
}

/* A body being judged, and where its verdict goes. */
struct body_check {
	const struct record *record;
	const struct record_place *place;
	struct arena *arena;
	struct op *op;
	struct refusal *refusal;
};

/* Every member of that name must hold the id: which of several wins is then no question. */
static enum record_verdict check_object(const struct body_check *check, yyjson_val *object)
{
	struct slice primary_key = check->place->primary_key;
	size_t at;
	size_t count;
	yyjson_val *name;
	yyjson_val *value;
	bool found = false;

	yyjson_obj_foreach(object, at, count, name, value)
	{
		if (!slice_equal(json_string(name), primary_key))
			continue;
		if (!value_is_id(value, check->record->key))
			return refuse(check->refusal, REFUSAL_ID_MISMATCH,
			              "the body's `%.*s` is not the record's key", SLICE_ARGS(primary_key));
		found = true;
	}
	if (!found)
		return add_primary_key(check->record, primary_key, check->arena, count == 0, check->op);
	check->op->body = check->record->value;
	return RECORD_VERDICT_APPLY;
}

static enum record_verdict check_body(const struct body_check *check)
{
	const struct rules *rules = check->place->rules;
	struct slice value = check->record->value;
	enum record_verdict verdict;
	struct error error;
	yyjson_doc *doc;
	int rc;

	if (value.len > rules->document_bytes_max)
		return refuse(check->refusal, REFUSAL_TOO_LARGE,
		              "the document has %zu bytes, at most %" PRIu32 " are allowed", value.len,
		              rules->document_bytes_max);
	rc = json_parse(value, rules->depth_max, &doc, &error);
	if (rc == ERROR_MEMORY)
		return RECORD_VERDICT_MEMORY;
	if (rc != 0)
		return refuse(check->refusal, rc == ERROR_LIMIT ? REFUSAL_TOO_DEEP : REFUSAL_NOT_JSON,
		              "%.250s", error.text);
	if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
		verdict =
			refuse(check->refusal, REFUSAL_NOT_AN_OBJECT, "the value is JSON, but not an object");
	else
		verdict = check_object(check, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return verdict;
}

enum record_verdict record_decode(const struct record *record, const struct record_place *place,
                                  struct arena *arena, struct op *op, struct refusal *refusal)
{
	struct op decoded = {.offset = record->offset};
	enum record_verdict verdict;

	verdict = check_key(record, place, refusal);
	if (verdict == RECORD_VERDICT_APPLY)
		verdict = check_headers(record, &decoded, refusal);
	if (verdict == RECORD_VERDICT_APPLY && decoded.kind == OP_KIND_PUT)
		verdict = check_body(&(struct body_check){record, place, arena, &decoded, refusal});
	if (verdict != RECORD_VERDICT_APPLY)
		return verdict;
	decoded.id = record->key;
	*op = decoded;
	return RECORD_VERDICT_APPLY;
}

static struct slice u64_bytes(uint64_t value, uint8_t bytes[8])
{
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	return slice_of(bytes, 8);
}

uint64_t record_checksum(const struct record *record)
{
	uint8_t key_len[8];
	uint8_t value_len[8];
	struct slice pieces[] = {
		u64_bytes(record->key.ptr ? record->key.len : UINT64_MAX, key_len),
		record->key,
		u64_bytes(record->value.ptr ? record->value.len : UINT64_MAX, value_len),
		record->value,
	};

	return hash64_pieces(pieces, sizeof pieces / sizeof *pieces);
}

struct hash128 document_digest(uint64_t index_id, struct slice id, struct slice body,
                               struct insertion_key key, struct buffer *scratch)
{
	buffer_clear(scratch);
	buffer_put_bytes(scratch, id);
	buffer_put_bytes(scratch, body);
	buffer_put_i64(scratch, key.timestamp_ms);
	buffer_put_u32(scratch, key.seq);
	ASSERT(!buffer_failed(scratch));
	return hash128_of(buffer_slice(scratch), index_id);
}
