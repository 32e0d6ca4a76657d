/*
 * Fuzz: rules of a mapping, and a record through them. The input is the rules
 * in a line, then a record as lines.h has it. The record goes through fixed
 * rules that use everything as well. What is accepted must meet a log's
 * contract; the canonical text must be read again.
 */
#include "shared/mapping/mapping.h"

#include "tests/fuzz/lines.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const everything[] = {
	"{\"id\":\"{a}-{b.c}\",\"include\":[\"a\",\"b\",\"d.e\"],\"exclude\":[\"b.x\"],\"mask\":{\"d.e\":"
	"\"hash\"},"
	"\"rename\":{\"a\":\"z\",\"b.c\":\"y\"},\"where\":[{\"field\":\"a\",\"op\":\">\",\"value\":1.5}]}",
	"{\"flatten\":\"_\",\"rename\":{\"a\":\"b\"},\"mask\":{\"c\":\"***\"},\"ignore_when\":[{\"field\":"
	"\"q\","
	"\"op\":\"in\",\"value\":[1,\"x\",null]}],\"op\":\"merge\"}",
	"{\"format\":\"cloudevents\",\"id\":\"ce.subject\",\"delete_types\":[\"*.deleted\"],\"exclude\":[\"a."
	"b\"]}",
	"{\"format\":\"connect-json\",\"id\":\"key.id\",\"delete_when\":[{\"field\":\"__deleted\",\"op\":\"="
	"\","
	"\"value\":\"true\"}]}",
};

static bool is_id_character(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

static void check_accepted(const struct mapped *mapped, const struct rules *limits)
{
	struct error error;
	yyjson_doc *doc;

	ASSERT(mapped->id.len >= 1 && mapped->id.len <= limits->id_bytes_max);
	for (size_t i = 0; i < mapped->id.len; i++)
		ASSERT(is_id_character(mapped->id.ptr[i]));
	ASSERT(mapped->idempotency_key.len <= MAPPING_IDEMPOTENCY_KEY_BYTES_MAX);
	if (mapped->op == MAPPING_OP_DELETE) {
		ASSERT(mapped->body.len == 0);
		return;
	}
	ASSERT(mapped->body.len <= limits->document_bytes_max);
	ASSERT(json_parse(mapped->body, limits->depth_max, &doc, &error) == 0);
	ASSERT(yyjson_is_obj(yyjson_doc_get_root(doc)));
	yyjson_doc_free(doc);
}

static void apply_twice(const struct mapping *mapping, const struct record *record,
                        const struct rules *limits)
{
	struct mapped mapped;
	struct mapped again;
	struct arena arena;
	enum mapping_verdict verdict;

	arena_init(&arena, 1024);
	verdict = mapping_apply(mapping, record, &arena, &mapped);
	ASSERT(mapping_apply(mapping, record, &arena, &again) == verdict);
	if (verdict == MAPPING_VERDICT_APPLY) {
		check_accepted(&mapped, limits);
		ASSERT(slice_equal(mapped.id, again.id) && slice_equal(mapped.body, again.body));
	}
	if (verdict == MAPPING_VERDICT_REFUSE)
		ASSERT(mapped.text[0] != '\0' && mapping_refusal_name(mapped.code) != NULL &&
		       mapped.code == again.code);
	arena_deinit(&arena);
}

static void check_canonical(const struct mapping *mapping, const struct rules *limits, struct arena *arena)
{
	struct mapping *again;
	struct error error;

	ASSERT(mapping_parse(mapping_canonical(mapping), limits, arena, &again, &error) == 0);
	ASSERT(slice_equal(mapping_canonical(again), mapping_canonical(mapping)));
	ASSERT(mapping_digest(again) == mapping_digest(mapping));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct slice text = slice_of(bytes, len);
	struct slice rules = take_line(&text);
	struct rules limits = rules_default();
	struct record_header headers[RECORD_HEADERS_MAX];
	struct record record = record_of_lines(text, headers);
	struct mapping *mapping = NULL;
	struct error error;
	struct arena arena;

	limits.depth_max = 8;
	limits.document_bytes_max = 256;
	arena_init(&arena, 1024);
	if (mapping_parse(rules, &limits, &arena, &mapping, &error) == 0) {
		check_canonical(mapping, &limits, &arena);
		apply_twice(mapping, &record, &limits);
	} else {
		ASSERT(error.text[0] != '\0');
	}
	for (size_t i = 0; i < sizeof everything / sizeof *everything; i++) {
		ASSERT(mapping_parse(slice_string(everything[i]), &limits, &arena, &mapping, &error) == 0);
		apply_twice(mapping, &record, &limits);
	}
	arena_deinit(&arena);
	return 0;
}
