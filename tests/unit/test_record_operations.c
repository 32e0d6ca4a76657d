/*
 * Record under contract 2: every operation and its refusals, every header
 * with its bounds, identities by literal value; and that contract 1 knows
 * nothing of it.
 */
#include "shared/record/record.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADERS_MAX 4
#define BODY "{\"id\":\"a\",\"n\":1}"

struct verdict {
	enum record_verdict verdict;
	struct op op;
	struct refusal refusal;
	char body[256];
};

/* Names and values by turns, up to a NULL. */
struct text_record {
	const char *key;
	const char *value;
	const char *headers[2 * HEADERS_MAX];
};

/* Murmur2 puts "abc" into partition 3 of 12; other keys are judged without a partitioner. */
static struct verdict judge_record(const struct record *record, uint32_t contract, int32_t partition)
{
	struct rules rules = rules_default();
	struct record_place place = {
		.rules = &rules,
		.partitioner = partition < 0 ? PARTITIONER_NONE : PARTITIONER_MURMUR2,
		.partition = partition < 0 ? 0 : partition,
		.partitions = 12,
		.primary_key = slice_string("id"),
	};
	struct verdict verdict = {0};
	struct arena arena;

	rules.contract = contract;
	arena_init(&arena, 4096);
	verdict.verdict = record_decode(record, &place, &arena, &verdict.op, &verdict.refusal);
	if (verdict.verdict == RECORD_VERDICT_APPLY && verdict.op.body.len < sizeof verdict.body)
		(void)snprintf(verdict.body, sizeof verdict.body, "%.*s", SLICE_ARGS(verdict.op.body));
	arena_deinit(&arena);
	return verdict;
}

static struct slice slice_or_null(const char *text)
{
	return text != NULL ? slice_string(text) : slice_of(NULL, 0);
}

static struct verdict judge(const struct text_record *text, uint32_t contract, int32_t partition)
{
	struct record_header headers[HEADERS_MAX];
	struct record record = {
		.offset = 41,
		.timestamp_ms = 1700000000000,
		.key = slice_or_null(text->key),
		.value = slice_or_null(text->value),
		.headers = headers,
	};

	for (; record.headers_len < HEADERS_MAX && text->headers[2 * record.headers_len] != NULL;
	     record.headers_len++)
		headers[record.headers_len] =
			(struct record_header){slice_string(text->headers[2 * record.headers_len]),
		                               slice_or_null(text->headers[2 * record.headers_len + 1])};
	return judge_record(&record, contract, partition);
}

static const struct {
	const char *name;
	struct text_record record;
	int refusal; /* 0: accepted */
	enum op_kind kind;
	const char *id;
	const char *body;
} operation_rows[] = {
	{"no header", {"a", BODY, {NULL}}, 0, OP_KIND_PUT, "a", BODY},
	{"put", {"a", BODY, {"op", "put"}}, 0, OP_KIND_PUT, "a", BODY},
	{"delete", {"a", "not looked at", {"op", "delete"}}, 0, OP_KIND_DELETE, "a", ""},
	{"merge", {"a", BODY, {"op", "merge"}}, 0, OP_KIND_MERGE, "a", BODY},
	{"merge without the id",
         {"a", "{\"n\":2}", {"op", "merge"}},
         0,
         OP_KIND_MERGE,
         "a",
         "{\"id\":\"a\",\"n\":2}"},
	{"merge of nothing", {"a", "{}", {"op", "merge"}}, 0, OP_KIND_MERGE, "a", "{\"id\":\"a\"}"},
	{"merge with another id",
         {"a", "{\"id\":\"b\"}", {"op", "merge"}},
         REFUSAL_ID_MISMATCH,
         0,
         NULL,
         NULL},
	{"merge of an array", {"a", "[]", {"op", "merge"}}, REFUSAL_NOT_AN_OBJECT, 0, NULL, NULL},
	{"merge of no JSON", {"a", "{", {"op", "merge"}}, REFUSAL_NOT_JSON, 0, NULL, NULL},
	{"merge without a key", {NULL, "{}", {"op", "merge"}}, REFUSAL_MISSING_KEY, 0, NULL, NULL},
	{"merge with a wrong key",
         {"a b", "{}", {"op", "merge"}},
         REFUSAL_INVALID_DOCUMENT_ID,
         0,
         NULL,
         NULL},
	{"put if exists", {"a", BODY, {"op", "put-if-exists"}}, 0, OP_KIND_PUT_IF_EXISTS, "a", BODY},
	{"put if exists without the id",
         {"a", "{}", {"op", "put-if-exists"}},
         0,
         OP_KIND_PUT_IF_EXISTS,
         "a",
         "{\"id\":\"a\"}"},
	{"put if exists with another id",
         {"a", "{\"id\":1}", {"op", "put-if-exists"}},
         REFUSAL_ID_MISMATCH,
         0,
         NULL,
         NULL},
	{"merge if exists", {"a", BODY, {"op", "merge-if-exists"}}, 0, OP_KIND_MERGE_IF_EXISTS, "a", BODY},
	{"merge if exists, a string",
         {"a", "\"x\"", {"op", "merge-if-exists"}},
         REFUSAL_NOT_AN_OBJECT,
         0,
         NULL,
         NULL},
	{"empty put", {"a", "", {"op", "put"}}, 0, OP_KIND_DELETE, "a", ""},
	{"empty merge", {"a", "", {"op", "merge"}}, 0, OP_KIND_DELETE, "a", ""},
	{"null merge if exists", {"a", NULL, {"op", "merge-if-exists"}}, 0, OP_KIND_DELETE, "a", ""},
	{"filter",
         {NULL, "\"n = 1\"", {"op", "delete-by-filter"}},
         0,
         OP_KIND_DELETE_BY_FILTER,
         "",
         "\"n = 1\""},
	{"filter, empty key",
         {"", " [\"n = 1\"] ", {"op", "delete-by-filter"}},
         0,
         OP_KIND_DELETE_BY_FILTER,
         "",
         " [\"n = 1\"] "},
	{"filter with a key",
         {"a", "\"n = 1\"", {"op", "delete-by-filter"}},
         REFUSAL_UNEXPECTED_KEY,
         0,
         NULL,
         NULL},
	{"empty filter", {NULL, "\"\"", {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"empty list", {NULL, "[]", {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"no filter", {NULL, NULL, {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"filter of no bytes", {NULL, "", {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"filter, an object",
         {NULL, "{\"n\":1}", {"op", "delete-by-filter"}},
         REFUSAL_INVALID_FILTER,
         0,
         NULL,
         NULL},
	{"filter, a number", {NULL, "12", {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"filter, null", {NULL, "null", {"op", "delete-by-filter"}}, REFUSAL_INVALID_FILTER, 0, NULL, NULL},
	{"filter of space",
         {NULL, "\" \"", {"op", "delete-by-filter"}},
         REFUSAL_INVALID_FILTER,
         0,
         NULL,
         NULL},
	{"lists of nothing",
         {NULL, "[[],[\" \"]]", {"op", "delete-by-filter"}},
         REFUSAL_INVALID_FILTER,
         0,
         NULL,
         NULL},
	{"filter that does not parse",
         {NULL, "\"n = \"", {"op", "delete-by-filter"}},
         REFUSAL_INVALID_FILTER,
         0,
         NULL,
         NULL},
	{"filter without quotes",
         {NULL, "n = 1", {"op", "delete-by-filter"}},
         REFUSAL_NOT_JSON,
         0,
         NULL,
         NULL},
	{"delete-all", {NULL, NULL, {"op", "delete-all"}}, 0, OP_KIND_DELETE_ALL, "", ""},
	{"delete-all with a value", {"", "{not json", {"op", "delete-all"}}, 0, OP_KIND_DELETE_ALL, "", ""},
	{"delete-all with a key", {"a", NULL, {"op", "delete-all"}}, REFUSAL_UNEXPECTED_KEY, 0, NULL, NULL},
	{"unknown", {"a", "{}", {"op", "upsert"}}, REFUSAL_UNKNOWN_OPERATION, 0, NULL, NULL},
	{"null op", {"a", "{}", {"op", NULL}}, REFUSAL_UNKNOWN_OPERATION, 0, NULL, NULL},
	{"empty op", {"a", "{}", {"op", ""}}, REFUSAL_UNKNOWN_OPERATION, 0, NULL, NULL},
	{"upper case", {"a", "{}", {"op", "Merge"}}, REFUSAL_UNKNOWN_OPERATION, 0, NULL, NULL},
	{"unknown without a key", {NULL, "{}", {"op", "upsert"}}, REFUSAL_MISSING_KEY, 0, NULL, NULL},
	{"unknown before the tombstone",
         {"a", NULL, {"op", "upsert"}},
         REFUSAL_UNKNOWN_OPERATION,
         0,
         NULL,
         NULL},
	{"the last op counts", {"a", BODY, {"op", "delete-all", "op", "merge"}}, 0, OP_KIND_MERGE, "a", BODY},
	{"the last op is unknown",
         {"a", BODY, {"op", "merge", "op", "x"}},
         REFUSAL_UNKNOWN_OPERATION,
         0,
         NULL,
         NULL},
	{"the header before the value", {"a", "{", {"seq", "x"}}, REFUSAL_INVALID_HEADER, 0, NULL, NULL},
	{"the header before the filter",
         {NULL, "{", {"op", "delete-by-filter", "seq", "x"}},
         REFUSAL_INVALID_HEADER,
         0,
         NULL,
         NULL},
};

static void test_operations(void)
{
	for (size_t i = 0; i < sizeof operation_rows / sizeof *operation_rows; i++) {
		struct verdict got = judge(&operation_rows[i].record, 2, -1);
		bool good;

		if (operation_rows[i].refusal)
			good = got.verdict == RECORD_VERDICT_REFUSE &&
			       (int)got.refusal.code == operation_rows[i].refusal &&
			       got.refusal.text[0] != '\0';
		else
			good = got.verdict == RECORD_VERDICT_APPLY && got.op.kind == operation_rows[i].kind &&
			       got.op.offset == 41 && !got.op.fresh && !got.op.has_identity &&
			       got.op.origin.source.ptr == NULL &&
			       slice_equal(got.op.id, slice_string(operation_rows[i].id)) &&
			       strcmp(got.body, operation_rows[i].body) == 0;
		if (!good)
			(void)fprintf(stderr, "row \"%s\": verdict %d, refusal %d, body %s\n",
			              operation_rows[i].name, (int)got.verdict, (int)got.refusal.code,
			              got.body);
		CU_ASSERT_TRUE(good);
	}
}

/* Nothing of contract 2 means anything to a generation of contract 1. */
static void test_contract_1(void)
{
	static const struct {
		struct text_record record;
		int refusal;
	} rows[] = {
		{{"a", BODY, {"op", "merge"}}, REFUSAL_UNKNOWN_OPERATION},
		{{"a", BODY, {"op", "put-if-exists"}}, REFUSAL_UNKNOWN_OPERATION},
		{{"a", BODY, {"op", "merge-if-exists"}}, REFUSAL_UNKNOWN_OPERATION},
		{{"a", "\"n = 1\"", {"op", "delete-by-filter"}}, REFUSAL_UNKNOWN_OPERATION},
		{{NULL, "\"n = 1\"", {"op", "delete-by-filter"}}, REFUSAL_MISSING_KEY},
		{{NULL, NULL, {"op", "delete-all"}}, REFUSAL_MISSING_KEY},
		{{"a", NULL, {"op", "delete-all"}}, REFUSAL_UNKNOWN_OPERATION},
		{{"a", BODY, {"if-offset", "7"}}, 0},
		{{"a", BODY, {"origin", "nonsense"}}, 0},
		{{"a", BODY, {"idempotency-key", NULL}}, 0},
		{{"a", BODY, {"idempotency-key", "k1"}}, 0},
		{{"a", BODY, {"seq", "007"}}, 0},
		{{"a", BODY, {"created", "1600000000000.3"}}, REFUSAL_INVALID_HEADER},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct verdict got = judge(&rows[i].record, 1, -1);

		CU_ASSERT_EQUAL(got.verdict, rows[i].refusal ? RECORD_VERDICT_REFUSE : RECORD_VERDICT_APPLY);
		if (rows[i].refusal) {
			CU_ASSERT_EQUAL(got.refusal.code, rows[i].refusal);
			continue;
		}
		CU_ASSERT_FALSE(got.op.has_identity);
		CU_ASSERT_PTR_NULL(got.op.origin.source.ptr);
		CU_ASSERT_STRING_EQUAL(got.body, BODY);
	}
}

/* A barrier is good in every partition; all else belongs into one. */
static void test_partition(void)
{
	static const struct text_record all = {NULL, NULL, {"op", "delete-all"}};
	static const struct text_record merge = {"abc", "{}", {"op", "merge"}};

	for (int32_t partition = 0; partition < 12; partition++) {
		CU_ASSERT_EQUAL(judge(&all, 2, partition).verdict, RECORD_VERDICT_APPLY);
		CU_ASSERT_EQUAL(judge(&merge, 2, partition).verdict,
		                partition == 3 ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
	}
	CU_ASSERT_EQUAL(judge(&merge, 2, 4).refusal.code, REFUSAL_WRONG_PARTITION);
}

static void test_insertion_keys(void)
{
	static const struct {
		const char *headers[2 * HEADERS_MAX];
		bool accepted;
		int64_t timestamp_ms;
		uint32_t seq;
	} rows[] = {
		{{NULL}, true, 1700000000000, 0},
		{{"seq", "0"}, true, 1700000000000, 0},
		{{"seq", "7"}, true, 1700000000000, 7},
		{{"seq", "4294967295"}, true, 1700000000000, 4294967295},
		{{"seq", "4294967296"}, false, 0, 0},
		{{"seq", "07"}, false, 0, 0},
		{{"seq", ""}, false, 0, 0},
		{{"seq", NULL}, false, 0, 0},
		{{"seq", "-1"}, false, 0, 0},
		{{"seq", "+1"}, false, 0, 0},
		{{"seq", "x", "seq", "8"}, true, 1700000000000, 8},
		{{"seq", "8", "seq", "x"}, false, 0, 0},
		{{"created", "1600000000000.3"}, true, 1600000000000, 3},
		{{"created", "1600000000000.3", "seq", "9"}, true, 1600000000000, 3},
		{{"created", "1600000000000.3", "seq", "x"}, false, 0, 0},
		{{"created", "1.1", "created", "2.2"}, true, 2, 2},
		{{"created", "0.0"}, true, 0, 0},
		{{"created", "9223372036854775807.4294967295"}, true, INT64_MAX, 4294967295},
		{{"created", "9223372036854775808.0"}, false, 0, 0},
		{{"created", "1.4294967296"}, false, 0, 0},
		{{"created", "01.1"}, false, 0, 0},
		{{"created", "1.01"}, false, 0, 0},
		{{"created", "1600000000000/3"}, false, 0, 0},
		{{"created", "1600000000000"}, false, 0, 0},
		{{"created", "1."}, false, 0, 0},
		{{"created", ".1"}, false, 0, 0},
		{{"created", "1.2.3"}, false, 0, 0},
		{{"created", "1.1 "}, false, 0, 0},
		{{"created", ""}, false, 0, 0},
		{{"created", NULL}, false, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct text_record record = {.key = "a", .value = "{}"};
		struct verdict got;

		memcpy(record.headers, rows[i].headers, sizeof record.headers);
		got = judge(&record, 2, -1);
		CU_ASSERT_EQUAL(got.verdict, rows[i].accepted ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (rows[i].accepted) {
			CU_ASSERT_EQUAL(got.op.key.timestamp_ms, rows[i].timestamp_ms);
			CU_ASSERT_EQUAL(got.op.key.seq, rows[i].seq);
		} else {
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
		}
	}
}

static void test_origins(void)
{
	static const struct {
		const char *header;
		const char *source; /* NULL: refused */
		uint32_t life;
		int32_t partition;
		int64_t offset;
		uint32_t n;
	} rows[] = {
		{"orders.0/0/0.0", "orders", 0, 0, 0, 0},
		{"shop.orders-v2.3/11/4000000000.7", "shop.orders-v2", 3, 11, 4000000000, 7},
		{"a.4294967295/2147483647/9223372036854775807.4294967295", "a", 4294967295, 2147483647,
	         INT64_MAX, 4294967295},
		{"a.4294967296/0/0.0", NULL, 0, 0, 0, 0},
		{"a.0/2147483648/0.0", NULL, 0, 0, 0, 0},
		{"a.0/0/9223372036854775808.0", NULL, 0, 0, 0, 0},
		{"a.0/0/0.4294967296", NULL, 0, 0, 0, 0},
		{"a.01/0/0.0", NULL, 0, 0, 0, 0},
		{"a.0/00/0.0", NULL, 0, 0, 0, 0},
		{"a.0/0/00.0", NULL, 0, 0, 0, 0},
		{"a.0/0/0.00", NULL, 0, 0, 0, 0},
		{"a.0/-1/0.0", NULL, 0, 0, 0, 0},
		{".0/0/0.0", NULL, 0, 0, 0, 0},
		{"0/0/0.0", NULL, 0, 0, 0, 0},
		{"a b.0/0/0.0", NULL, 0, 0, 0, 0},
		{"a/b.0/0/0.0", NULL, 0, 0, 0, 0},
		{"a.0/0/0", NULL, 0, 0, 0, 0},
		{"a.0/0.0", NULL, 0, 0, 0, 0},
		{"a.0/0/.0", NULL, 0, 0, 0, 0},
		{"a.0//0.0", NULL, 0, 0, 0, 0},
		{"a./0/0.0", NULL, 0, 0, 0, 0},
		{"a.0/0/0.", NULL, 0, 0, 0, 0},
		{"a.0/0/0.0 ", NULL, 0, 0, 0, 0},
		{"", NULL, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct text_record record = {"a", "{}", {"origin", rows[i].header}};
		struct verdict got = judge(&record, 2, -1);
		const struct origin *origin = &got.op.origin;

		CU_ASSERT_EQUAL(got.verdict, rows[i].source ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (rows[i].source == NULL) {
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
			continue;
		}
		CU_ASSERT_TRUE(slice_equal(origin->source, slice_string(rows[i].source)));
		CU_ASSERT_EQUAL(origin->life, rows[i].life);
		CU_ASSERT_EQUAL(origin->partition, rows[i].partition);
		CU_ASSERT_EQUAL(origin->offset, rows[i].offset);
		CU_ASSERT_EQUAL(origin->n, rows[i].n);
	}
}

static void test_origin_source_length(void)
{
	char header[300];

	for (int len = 248; len <= 250; len++) {
		struct text_record record = {"a", "{}", {"origin", header}};

		memset(header, 's', sizeof header);
		(void)snprintf(header + len, sizeof header - (size_t)len, ".1/2/3.4");
		CU_ASSERT_EQUAL(judge(&record, 2, -1).verdict,
		                len <= 249 ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
	}
}

static void test_reserved_header(void)
{
	static const struct text_record record = {"a", "{}", {"if-offset", "7"}};
	struct verdict got = judge(&record, 2, -1);

	CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
	CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
	CU_ASSERT_PTR_NOT_NULL(strstr(got.refusal.text, "reserved"));
}

/* Literal values by python-xxhash; they are in batches and in stored replicas and must never change. */
static void test_identities(void)
{
	static const struct {
		struct text_record record;
		const char *key; /* NULL: no identity */
		uint64_t operation;
	} rows[] = {
		{{"a", BODY, {"idempotency-key", "k1"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x1534196fc4ce44b7},
		{{"a", "{\"n\":1}", {"idempotency-key", "x", "idempotency-key", "k1"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x1534196fc4ce44b7},
		{{"a", BODY, {"idempotency-key", "k1", "seq", "5", "created", "1.2"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x1534196fc4ce44b7},
		{{"a", BODY, {"idempotency-key", "k1", "op", "merge"}},
	         "64cc4261942969839c25660f051ba94c",
	         0xf13263056d7277c0},
		{{"a", NULL, {"idempotency-key", "k1"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x6aed0e85c5942f20},
		{{"a", "x", {"idempotency-key", "k1", "op", "delete"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x6aed0e85c5942f20},
		{{"b", NULL, {"idempotency-key", "k1"}}, "acc1c2201558e9e83141a2a87ef68916", 0},
		{{"a", BODY, {"ce_source", "shop", "ce_id", "e-7"}},
	         "9e5f88014777ba0562123bf2a52d605f",
	         0x1534196fc4ce44b7},
		{{"a", BODY, {"ce_source", "shope", "ce_id", "-7"}},
	         "7960532624eb541ddfc7a74b4e09358f",
	         0x1534196fc4ce44b7},
		{{"a", BODY, {"ce_source", "shop", "ce_id", "e-7", "idempotency-key", "k1"}},
	         "64cc4261942969839c25660f051ba94c",
	         0x1534196fc4ce44b7},
		{{NULL, "\"n = 1\"", {"op", "delete-by-filter", "idempotency-key", "k1"}},
	         "81096868172b061a303950d229abde66",
	         0x761c3e1ac773b49},
		{{NULL, "x", {"op", "delete-all", "idempotency-key", "k1"}},
	         "81096868172b061a303950d229abde66",
	         0x2388578ed213216e},
		{{"a", BODY, {"ce_id", "e-7"}}, NULL, 0},
		{{"a", BODY, {"ce_source", ""}}, NULL, 0},
		{{"a", BODY, {NULL}}, NULL, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct verdict got = judge(&rows[i].record, 2, -1);
		char key[33];

		CU_ASSERT_EQUAL_FATAL(got.verdict, RECORD_VERDICT_APPLY);
		CU_ASSERT_EQUAL(got.op.has_identity, rows[i].key != NULL);
		if (rows[i].key == NULL)
			continue;
		hash128_print(got.op.identity.key, key);
		CU_ASSERT_STRING_EQUAL(key, rows[i].key);
		if (rows[i].operation != 0)
			CU_ASSERT_EQUAL(got.op.identity.operation, rows[i].operation);
	}
}

static void test_identity_refusals(void)
{
	static const struct text_record rows[] = {
		{"a", BODY, {"idempotency-key", ""}},
		{"a", BODY, {"idempotency-key", NULL}},
		{"a", BODY, {"idempotency-key", "k1", "idempotency-key", ""}},
		{"a", BODY, {"idempotency-key", "", "ce_source", "shop", "ce_id", "e-7"}},
		{"a", BODY, {"ce_source", "", "ce_id", "e-7"}},
		{"a", BODY, {"ce_source", "shop", "ce_id", ""}},
		{"a", BODY, {"ce_source", "shop", "ce_id", NULL}},
		{"a", NULL, {"idempotency-key", ""}},
		{NULL, NULL, {"op", "delete-all", "idempotency-key", ""}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct verdict got = judge(&rows[i], 2, -1);

		CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
		CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
	}
}

/* With ids and headers as long as they may be, nothing is written past the bytes that are hashed. */
static void test_identity_lengths(void)
{
	static const char *const names[][2] = {
		{"idempotency-key", NULL}, {"ce_source", "ce_id"}, {"ce_id", "ce_source"}};
	char id[512];
	char value[1026];

	memset(id, 'i', sizeof id);
	id[511] = '\0';
	for (size_t row = 0; row < sizeof names / sizeof *names; row++) {
		for (size_t len = 1023; len <= 1025; len++) {
			struct text_record record = {
				id, "{}", {names[row][0], value, names[row][1], value + 1}};
			struct verdict got;

			memset(value, 'v', len);
			value[len] = '\0';
			got = judge(&record, 2, -1);
			CU_ASSERT_EQUAL(got.verdict,
			                len <= 1024 ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
			if (len > 1024)
				CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
		}
	}
}

static void test_names(void)
{
	CU_ASSERT_STRING_EQUAL(refusal_name(REFUSAL_UNEXPECTED_KEY), "unexpected_key");
	CU_ASSERT_STRING_EQUAL(refusal_stage(REFUSAL_UNEXPECTED_KEY), "KEY_CONVERTER");
	CU_ASSERT_STRING_EQUAL(refusal_name(REFUSAL_INVALID_FILTER), "invalid_filter");
	CU_ASSERT_STRING_EQUAL(refusal_stage(REFUSAL_INVALID_FILTER), "VALUE_CONVERTER");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"operations", test_operations},
		{"contract 1", test_contract_1},
		{"partition", test_partition},
		{"insertion keys", test_insertion_keys},
		{"origins", test_origins},
		{"source of 249 and 250 bytes", test_origin_source_length},
		{"reserved header", test_reserved_header},
		{"identities", test_identities},
		{"identities that are refused", test_identity_refusals},
		{"identities of 1024 and 1025 bytes", test_identity_lengths},
		{"names and stages", test_names},
		CU_TEST_INFO_NULL,
	};

	return suite_run("record_operations", tests);
}
