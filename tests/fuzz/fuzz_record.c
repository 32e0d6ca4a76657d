/*
 * Fuzz: record_decode, and record_merge of what it lets through. The input is
 * flags, key length, two header names and value lengths, key, header values,
 * body. What is accepted must satisfy the contract.
 */
#include "shared/record/record.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const header_names[] = {"op",        "seq",   "created", "idempotency-key",
                                           "ce_source", "ce_id", "origin",  "other"};

/* Takes up to `len` bytes from the front. */
static struct slice take(const uint8_t **bytes, size_t *left, size_t len)
{
	struct slice slice = slice_of(*bytes, len < *left ? len : *left);

	*bytes += slice.len;
	*left -= slice.len;
	return slice;
}

/* A document merged into itself means what it meant; merged again, the bytes stay. */
static void check_merge(struct slice body)
{
	struct arena arena;
	struct slice once;
	struct slice twice;
	yyjson_doc *doc;
	struct error error;

	arena_init(&arena, 1024);
	ASSERT(record_merge(body, body, &arena, &once, &error) == 0);
	ASSERT(record_merge(once, body, &arena, &twice, &error) == 0 && slice_equal(once, twice));
	ASSERT(json_parse(once, JSON_DEPTH_MAX, &doc, &error) == 0);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
}

static void check_document(const struct op *op)
{
	yyjson_doc *doc;
	struct error error;

	ASSERT(json_parse(op->body, JSON_DEPTH_MAX, &doc, &error) == 0);
	ASSERT(yyjson_obj_get(yyjson_doc_get_root(doc), "id") != NULL);
	yyjson_doc_free(doc);
	check_merge(op->body);
}

static void check(const struct record *record, const struct op *op, uint32_t contract)
{
	ASSERT(op->offset == record->offset && !op->fresh);
	ASSERT(contract > 1 ||
	       (op->kind <= OP_KIND_DELETE && !op->has_identity && op->origin.source.len == 0));
	if (op_kind_is_barrier(op->kind)) {
		ASSERT(record->key.len == 0 && op->id.len == 0);
		ASSERT((op->body.len == 0) == (op->kind == OP_KIND_DELETE_ALL));
		return;
	}
	ASSERT(slice_equal(op->id, record->key) && op->id.len >= 1 && op->id.len <= RECORD_ID_BYTES_MAX);
	if (op->kind == OP_KIND_DELETE)
		ASSERT(op->body.len == 0);
	else
		check_document(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct rules rules = rules_default();
	struct record_place place = {
		.rules = &rules,
		.partitions = 1,
		.primary_key = slice_string("id"),
	};
	struct record_header headers[2];
	struct record record = {.offset = 7, .timestamp_ms = 1700000000000, .headers = headers};
	struct refusal refusal = {0};
	struct arena arena;
	struct op op;

	if (len < 4)
		return 0;
	place.partitioner = (enum partitioner)(bytes[0] % 3);
	place.partitions = 1 + (bytes[0] >> 4);
	rules.contract = 1 + (bytes[0] >> 2 & 1);
	record.headers_len = bytes[0] >> 3 & 1 ? 2 : 1;
	record.key.len = bytes[1];
	for (size_t i = 0; i < 2; i++) {
		headers[i].name = slice_string(header_names[bytes[2 + i] % 8]);
		headers[i].value.len = bytes[2 + i] >> 3;
	}
	bytes += 4;
	len -= 4;
	record.key = take(&bytes, &len, record.key.len);
	for (size_t i = 0; i < 2; i++)
		headers[i].value = take(&bytes, &len, headers[i].value.len);
	record.value = slice_of(bytes, len);
	arena_init(&arena, 1024);
	switch (record_decode(&record, &place, &arena, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		check(&record, &op, rules.contract);
		break;
	case RECORD_VERDICT_REFUSE:
		ASSERT(refusal.text[0] != '\0' && refusal_name(refusal.code) != NULL);
		break;
	case RECORD_VERDICT_MEMORY:
		break;
	}
	arena_deinit(&arena);
	return 0;
}
