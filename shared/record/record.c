#include "shared/record/record_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "shared/filter/filter.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define FILTER_BLOCK_BYTES 4096

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
	[REFUSAL_UNEXPECTED_KEY] = {"unexpected_key", "KEY_CONVERTER"},
	[REFUSAL_INVALID_FILTER] = {"invalid_filter", "VALUE_CONVERTER"},
	[REFUSAL_IDEMPOTENCY_KEY_REUSED] = {"idempotency_key_reused", "TASK_PUT"},
	[REFUSAL_TOO_MANY_SOURCES] = {"too_many_sources", "HEADER_CONVERTER"},
	[REFUSAL_SKIPPED] = {"skipped", "TASK_PUT"},
};

const char *refusal_name(enum refusal_code code)
{
	return refusal_rows[code].name;
}

const char *refusal_stage(enum refusal_code code)
{
	return refusal_rows[code].stage;
}

enum record_verdict record_refuse(struct refusal *refusal, enum refusal_code code, const char *format, ...)
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
		return record_refuse(refusal, REFUSAL_MISSING_KEY,
		                     "the record has no key; a log's key is the document id");
	if (!id_is_valid(record->key, place->rules->id_bytes_max))
		return record_refuse(refusal, REFUSAL_INVALID_DOCUMENT_ID,
		                     "the key is no document id: 1 to %" PRIu32
		                     " bytes of A-Z a-z 0-9 _ - are allowed, this one has %zu bytes",
		                     place->rules->id_bytes_max, record->key.len);
	home = partitioner_choose(place->partitioner, record->key, place->partitions);
	if (home >= 0 && home != place->partition)
		return record_refuse(
			refusal, REFUSAL_WRONG_PARTITION,
			"the key belongs to partition %" PRId32 " of %" PRId32
			" by %s, but the record is in %" PRId32 "; set the producer's partitioner%s",
			home, place->partitions, partitioner_name(place->partitioner), place->partition,
			place->partitioner == PARTITIONER_MURMUR2
				? " (librdkafka: partitioner=murmur2_random)"
				: " (librdkafka: partitioner=consistent_random)");
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
			return record_refuse(check->refusal, REFUSAL_ID_MISMATCH,
			                     "the body's `%.*s` is not the record's key",
			                     SLICE_ARGS(primary_key));
		found = true;
	}
	if (!found)
		return add_primary_key(check->record, primary_key, check->arena, count == 0, check->op);
	check->op->body = check->record->value;
	return RECORD_VERDICT_APPLY;
}

/* The value as JSON within the rules' limits; the caller frees `*doc` on APPLY. */
static enum record_verdict parse_value(const struct body_check *check, const char *what, yyjson_doc **doc)
{
	const struct rules *rules = check->place->rules;
	struct slice value = check->record->value;
	struct error error;
	int rc;

	if (value.len > rules->document_bytes_max)
		return record_refuse(check->refusal, REFUSAL_TOO_LARGE,
		                     "the %s has %zu bytes, at most %" PRIu32 " are allowed", what, value.len,
		                     rules->document_bytes_max);
	rc = json_parse(value, rules->depth_max, doc, &error);
	if (rc == ERROR_MEMORY)
		return RECORD_VERDICT_MEMORY;
	if (rc != 0)
		return record_refuse(check->refusal, rc == ERROR_LIMIT ? REFUSAL_TOO_DEEP : REFUSAL_NOT_JSON,
		                     "%.250s", error.text);
	return RECORD_VERDICT_APPLY;
}

static enum record_verdict check_body(const struct body_check *check)
{
	yyjson_doc *doc = NULL;
	enum record_verdict verdict = parse_value(check, "document", &doc);

	if (verdict != RECORD_VERDICT_APPLY)
		return verdict;
	if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
		verdict = record_refuse(check->refusal, REFUSAL_NOT_AN_OBJECT,
		                        "the value is JSON, but not an object");
	else
		verdict = check_object(check, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return verdict;
}

/* Whether a filter parses does not depend on how its literals are folded. */
static bool fold_nothing(void *context, struct slice text, struct buffer *folded)
{
	(void)context;
	buffer_append_slice(folded, text);
	return !buffer_failed(folded);
}

/* Whole characters only. */
static enum record_verdict refuse_filter(struct refusal *refusal, const char *text)
{
	size_t len = strlen(text);

	if (len >= sizeof refusal->text) {
		len = sizeof refusal->text - 1;
		while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
			len--;
	}
	return record_refuse(refusal, REFUSAL_INVALID_FILTER, "%.*s", (int)len, text);
}

/* The grammar and the bounds of filter.h; the tree is not kept. */
static enum record_verdict check_grammar(const struct body_check *check)
{
	static const struct filter_fold fold = {fold_nothing, NULL};
	struct filter_refusal why;
	struct filter *filter = NULL;
	struct arena tree;
	int rc;

	arena_init(&tree, FILTER_BLOCK_BYTES);
	rc = filter_parse(check->record->value, &fold, &tree, &filter, &why);
	arena_deinit(&tree);
	if (rc == ERROR_MEMORY)
		return RECORD_VERDICT_MEMORY;
	if (rc != 0)
		return refuse_filter(check->refusal, why.text);
	if (filter == NULL)
		return refuse_filter(check->refusal, "Sending an empty filter is forbidden.");
	check->op->body = check->record->value;
	return RECORD_VERDICT_APPLY;
}

static enum record_verdict check_filter(const struct body_check *check)
{
	yyjson_doc *doc = NULL;
	enum record_verdict verdict;

	/* an empty value deletes one document elsewhere; here it must not delete all */
	if (check->record->value.len == 0)
		return record_refuse(check->refusal, REFUSAL_INVALID_FILTER,
		                     "delete-by-filter has no filter; delete-all needs none");
	verdict = parse_value(check, "filter", &doc);
	if (verdict != RECORD_VERDICT_APPLY)
		return verdict;
	yyjson_doc_free(doc);
	return check_grammar(check);
}

static enum record_verdict check_value(const struct body_check *check)
{
	switch (check->op->kind) {
	case OP_KIND_PUT:
	case OP_KIND_MERGE:
	case OP_KIND_PUT_IF_EXISTS:
	case OP_KIND_MERGE_IF_EXISTS:
		return check_body(check);
	case OP_KIND_DELETE_BY_FILTER:
		return check_filter(check);
	case OP_KIND_DELETE:
	case OP_KIND_DELETE_ALL:
		break;
	}
	return RECORD_VERDICT_APPLY;
}

static enum record_verdict check_no_key(const struct record *record, struct refusal *refusal)
{
	if (record->key.len == 0)
		return RECORD_VERDICT_APPLY;
	return record_refuse(refusal, REFUSAL_UNEXPECTED_KEY,
	                     "the operation is for a whole partition, but the record has a key of %zu bytes; "
	                     "produce it without one, to each partition",
	                     record->key.len);
}

enum record_verdict record_decode(const struct record *record, const struct record_place *place,
                                  struct arena *arena, struct op *op, struct refusal *refusal)
{
	uint32_t contract = place->rules->contract;
	struct op decoded = {.offset = record->offset};
	enum record_verdict verdict;
	bool known;

	ASSERT(contract >= 1 && contract <= RULES_CONTRACT_MAX);
	known = record_op_kind(record, contract, &decoded.kind);
	if (known && op_kind_is_barrier(decoded.kind)) {
		verdict = check_no_key(record, refusal);
	} else {
		verdict = check_key(record, place, refusal);
		decoded.id = record->key;
		if (record->value.len == 0)
			decoded.kind = OP_KIND_DELETE;
	}
	if (verdict == RECORD_VERDICT_APPLY && !known)
		verdict = record_refuse_op(record, contract, refusal);
	if (verdict == RECORD_VERDICT_APPLY)
		verdict = record_headers(record, contract, &decoded, refusal);
	if (verdict == RECORD_VERDICT_APPLY)
		verdict = check_value(&(struct body_check){record, place, arena, &decoded, refusal});
	if (verdict != RECORD_VERDICT_APPLY)
		return verdict;
	if (decoded.has_identity)
		decoded.identity.operation = KNOCKOUT(BODY_BYTES_AS_OPERATION)
		                                     ? hash64_pieces(&record->value, 1)
		                                     : record_operation_digest(&decoded);
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
	if (buffer_failed(scratch))
		return (struct hash128){0, 0};
	return hash128_of(buffer_slice(scratch), index_id);
}
