/*
 * Fuzz: record_decode. The input is flags, key length, header value length,
 * key, header value, body. What is accepted must satisfy the contract.
 */
#include "shared/record/record.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const header_names[] = {"op", "seq", "created", "other"};

/* Takes up to `len` bytes from the front. */
static struct slice take(const uint8_t **bytes, size_t *left, size_t len)
{
	struct slice slice = slice_of(*bytes, len < *left ? len : *left);

	*bytes += slice.len;
	*left -= slice.len;
	return slice;
}

static void check(const struct record *record, const struct op *op)
{
	yyjson_doc *doc;
	struct error error;

	ASSERT(slice_equal(op->id, record->key) && op->id.len >= 1 && op->id.len <= RECORD_ID_BYTES_MAX);
	ASSERT(op->offset == record->offset);
	if (op->kind == OP_KIND_DELETE) {
		ASSERT(op->body.len == 0);
		return;
	}
	ASSERT(op->kind == OP_KIND_PUT);
	ASSERT(json_parse(op->body, JSON_DEPTH_MAX, &doc, &error) == 0);
	ASSERT(yyjson_obj_get(yyjson_doc_get_root(doc), "id") != NULL);
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct rules rules = rules_default();
	struct record_place place = {
		.rules = &rules,
		.partitions = 1,
		.primary_key = slice_string("id"),
	};
	struct record_header header;
	struct record record = {.offset = 7, .timestamp_ms = 1700000000000, .headers = &header};
	struct refusal refusal = {0};
	struct arena arena;
	struct op op;

	if (len < 3)
		return 0;
	place.partitioner = (enum partitioner)(bytes[0] % 3);
	place.partitions = 1 + (bytes[0] >> 4);
	record.headers_len = bytes[0] >> 2 & 1;
	header.name = slice_string(header_names[bytes[2] % 4]);
	record.key.len = bytes[1];
	header.value.len = bytes[2] >> 2;
	bytes += 3;
	len -= 3;
	record.key = take(&bytes, &len, record.key.len);
	header.value = take(&bytes, &len, header.value.len);
	record.value = slice_of(bytes, len);
	arena_init(&arena, 1024);
	switch (record_decode(&record, &place, &arena, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		check(&record, &op);
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
