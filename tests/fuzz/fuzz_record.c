/*
 * Fuzz: record_decode. The input is a line for the log's rules and place,
 * "contract partitions partitioner primary-key", one character each but the
 * last, then a record as lines.h has it. What is accepted must satisfy the contract.
 */
#include "tests/fuzz/lines.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_document(const struct op *op, struct slice primary_key)
{
	yyjson_doc *doc;
	struct error error;

	ASSERT(json_parse(op->body, JSON_DEPTH_MAX, &doc, &error) == 0);
	ASSERT(yyjson_obj_getn(yyjson_doc_get_root(doc), (const char *)primary_key.ptr, primary_key.len) !=
	       NULL);
	yyjson_doc_free(doc);
}

static void check_origin(const struct origin *origin)
{
	ASSERT(origin->source.len <= RECORD_SOURCE_BYTES_MAX);
	ASSERT(origin->source.len == 0 || (origin->partition >= 0 && origin->offset >= 0));
}

static void check(const struct record *record, const struct op *op, const struct record_place *place)
{
	ASSERT(op->offset == record->offset && !op->fresh);
	ASSERT(place->rules->contract > 1 ||
	       (op->kind <= OP_KIND_DELETE && !op->has_identity && op->origin.source.len == 0));
	check_origin(&op->origin);
	if (op_kind_is_barrier(op->kind)) {
		ASSERT(record->key.len == 0 && op->id.len == 0);
		ASSERT((op->body.len == 0) == (op->kind == OP_KIND_DELETE_ALL));
		return;
	}
	ASSERT(slice_equal(op->id, record->key) && op->id.len >= 1 && op->id.len <= RECORD_ID_BYTES_MAX);
	ASSERT(place->partitioner == PARTITIONER_NONE ||
	       partitioner_choose(place->partitioner, record->key, place->partitions) == place->partition);
	if (op->kind == OP_KIND_DELETE)
		ASSERT(op->body.len == 0);
	else
		check_document(op, place->primary_key);
}

/* Any text that is UTF-8 is one; these are enough. */
static bool is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return false;
	return text.len > 0;
}

/* "2 3 1 id"; whatever is not there is as usual. */
static struct record_place place_of(struct slice line, struct rules *rules)
{
	struct record_place place = {.rules = rules, .partitions = 1, .primary_key = slice_string("id")};

	rules->contract = line.len > 0 && line.ptr[0] == '1' ? 1 : 2;
	if (line.len > 2 && line.ptr[2] >= '1' && line.ptr[2] <= '9')
		place.partitions = line.ptr[2] - '0';
	if (line.len > 4)
		place.partitioner = (enum partitioner)(line.ptr[4] % 3);
	if (line.len > 6 && is_name(slice_of(line.ptr + 6, line.len - 6)))
		place.primary_key = slice_of(line.ptr + 6, line.len - 6);
	return place;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct slice text = slice_of(bytes, len);
	struct slice first = take_line(&text);
	struct record_header headers[RECORD_HEADERS_MAX];
	struct rules rules = rules_default();
	struct record_place place = place_of(first, &rules);
	struct record record = record_of_lines(text, headers);
	struct refusal refusal = {0};
	struct arena arena;
	struct op op;

	arena_init(&arena, 1024);
	switch (record_decode(&record, &place, &arena, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		check(&record, &op, &place);
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
