/*
 * Record under contract 1: every refusal with its boundary, what an accepted record becomes,
 * and the checksums and digests that are part of stored formats.
 */
#include "shared/record/record.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

static const struct record_header headers_merge[] = {
	{{(const uint8_t *)"op", 2}, {(const uint8_t *)"merge", 5}}};
static const struct record_header headers_delete[] = {
	{{(const uint8_t *)"op", 2}, {(const uint8_t *)"delete", 6}}};
static const struct record_header headers_null_op[] = {{{(const uint8_t *)"op", 2}, {NULL, 0}}};
static const struct record_header headers_two_ops[] = {
	{{(const uint8_t *)"op", 2}, {(const uint8_t *)"delete", 6}},
	{{(const uint8_t *)"op", 2}, {(const uint8_t *)"put", 3}}};

struct verdict {
	enum record_verdict verdict;
	struct op op;
	struct refusal refusal;
	char body[256];
};

/* Murmur2 puts "abc" into partition 3 of 12; other keys are judged without a partitioner. */
static struct verdict judge(const struct record *record, enum partitioner partitioner, int32_t partition)
{
	struct rules rules = rules_default();
	struct record_place place = {
		.rules = &rules,
		.partitioner = partitioner,
		.partition = partition,
		.partitions = 12,
		.primary_key = slice_string("id"),
	};
	struct verdict verdict = {0};
	struct arena arena;

	rules.contract = 1;
	arena_init(&arena, 4096);
	verdict.verdict = record_decode(record, &place, &arena, &verdict.op, &verdict.refusal);
	if (verdict.verdict == RECORD_VERDICT_APPLY && verdict.op.body.len < sizeof verdict.body)
		(void)snprintf(verdict.body, sizeof verdict.body, "%.*s", SLICE_ARGS(verdict.op.body));
	arena_deinit(&arena);
	return verdict;
}

static struct record record_of(const char *key, const char *value)
{
	return (struct record){
		.offset = 41,
		.timestamp_ms = 1700000000000,
		.key = key != NULL ? slice_string(key) : slice_of(NULL, 0),
		.value = value != NULL ? slice_string(value) : slice_of(NULL, 0),
	};
}

static void test_bodies(void)
{
	static const struct {
		const char *name;
		const char *key;
		const char *value;
		int refusal;      /* 0: accepted */
		const char *body; /* of what was accepted; NULL: a delete */
	} rows[] = {
		{"plain", "a", "{\"id\":\"a\",\"n\":1.10}", 0, "{\"id\":\"a\",\"n\":1.10}"},
		{"number as id", "5", "{\"id\":5}", 0, "{\"id\":5}"},
		{"string as id", "5", "{\"id\":\"5\"}", 0, "{\"id\":\"5\"}"},
		{"number written otherwise", "5", "{\"id\":5.0}", REFUSAL_ID_MISMATCH, NULL},
		{"leading zero in the key", "05", "{\"id\":5}", REFUSAL_ID_MISMATCH, NULL},
		{"large number", "18446744073709551616", "{\"id\":18446744073709551616}", 0,
	         "{\"id\":18446744073709551616}"},
		{"absent primary key", "a", "{\"n\":1}", 0, "{\"id\":\"a\",\"n\":1}"},
		{"absent in an empty object", "a", " { } ", 0, "{\"id\":\"a\" } "},
		{"absent, space before", "a", "\n {\"n\":{}}", 0, "{\"id\":\"a\",\"n\":{}}"},
		{"another id", "a", "{\"id\":\"b\"}", REFUSAL_ID_MISMATCH, NULL},
		{"null as id", "a", "{\"id\":null}", REFUSAL_ID_MISMATCH, NULL},
		{"object as id", "a", "{\"id\":{\"id\":\"a\"}}", REFUSAL_ID_MISMATCH, NULL},
		{"two equal ids", "a", "{\"id\":\"a\",\"id\":\"a\"}", 0, "{\"id\":\"a\",\"id\":\"a\"}"},
		{"two ids, the first wrong", "a", "{\"id\":\"b\",\"id\":\"a\"}", REFUSAL_ID_MISMATCH, NULL},
		{"two ids, the last wrong", "a", "{\"id\":\"a\",\"id\":\"b\"}", REFUSAL_ID_MISMATCH, NULL},
		{"escaped primary key name", "a", "{\"\\u0069d\":\"a\"}", 0, "{\"\\u0069d\":\"a\"}"},
		{"escaped name, another id", "a", "{\"i\\u0064\":\"b\"}", REFUSAL_ID_MISMATCH, NULL},
		{"escaped id", "a", "{\"id\":\"\\u0061\"}", 0, "{\"id\":\"\\u0061\"}"},
		{"nested name is none", "a", "{\"x\":{\"id\":\"b\"}}", 0,
	         "{\"id\":\"a\",\"x\":{\"id\":\"b\"}}"},
		{"array", "a", "[1]", REFUSAL_NOT_AN_OBJECT, NULL},
		{"string", "a", "\"x\"", REFUSAL_NOT_AN_OBJECT, NULL},
		{"null", "a", "null", REFUSAL_NOT_AN_OBJECT, NULL},
		{"cut off", "a", "{\"id\":\"a\"", REFUSAL_NOT_JSON, NULL},
		{"two values", "a", "{\"id\":\"a\"} {}", REFUSAL_NOT_JSON, NULL},
		{"space only", "a", " ", REFUSAL_NOT_JSON, NULL},
		{"NaN", "a", "{\"id\":\"a\",\"n\":NaN}", REFUSAL_NOT_JSON, NULL},
		{"trailing comma", "a", "{\"id\":\"a\",}", REFUSAL_NOT_JSON, NULL},
		{"not UTF-8", "a", "{\"id\":\"a\",\"x\":\"\xff\"}", REFUSAL_NOT_JSON, NULL},
		{"a surrogate alone", "a", "{\"id\":\"a\",\"x\":\"\\ud800\"}", REFUSAL_NOT_JSON, NULL},
		{"byte order mark", "a", "\xef\xbb\xbf{\"id\":\"a\"}", REFUSAL_NOT_JSON, NULL},
		{"empty value", "a", "", 0, NULL},
		{"null value", "a", NULL, 0, NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record record = record_of(rows[i].key, rows[i].value);
		struct verdict got = judge(&record, PARTITIONER_NONE, 0);
		enum record_verdict expected = rows[i].refusal ? RECORD_VERDICT_REFUSE : RECORD_VERDICT_APPLY;
		bool good = got.verdict == expected;

		if (good && rows[i].refusal)
			good = (int)got.refusal.code == rows[i].refusal && got.refusal.text[0] != '\0';
		else if (good)
			good = got.op.kind == (rows[i].body ? OP_KIND_PUT : OP_KIND_DELETE) &&
			       strcmp(got.body, rows[i].body ? rows[i].body : "") == 0;
		if (!good)
			(void)fprintf(stderr, "row \"%s\": verdict %d, refusal %d, body %s\n", rows[i].name,
			              (int)got.verdict, (int)got.refusal.code, got.body);
		CU_ASSERT_TRUE(good);
	}
}

static void test_keys(void)
{
	static const struct {
		const char *key;
		int refusal;
	} rows[] = {
		{NULL, REFUSAL_MISSING_KEY},
		{"", REFUSAL_MISSING_KEY},
		{"A-Z_a-z_0-9", 0},
		{"a b", REFUSAL_INVALID_DOCUMENT_ID},
		{"a.b", REFUSAL_INVALID_DOCUMENT_ID},
		{"a/b", REFUSAL_INVALID_DOCUMENT_ID},
		{"\xc3\xa9", REFUSAL_INVALID_DOCUMENT_ID},
		{"@", REFUSAL_INVALID_DOCUMENT_ID},
		{"[", REFUSAL_INVALID_DOCUMENT_ID},
		{"`", REFUSAL_INVALID_DOCUMENT_ID},
		{"{", REFUSAL_INVALID_DOCUMENT_ID},
		{":", REFUSAL_INVALID_DOCUMENT_ID},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record record = record_of(rows[i].key, "{}");
		struct verdict got = judge(&record, PARTITIONER_NONE, 0);

		CU_ASSERT_EQUAL(got.verdict, rows[i].refusal ? RECORD_VERDICT_REFUSE : RECORD_VERDICT_APPLY);
		if (rows[i].refusal)
			CU_ASSERT_EQUAL(got.refusal.code, rows[i].refusal);
	}
}

static void test_key_with_nul(void)
{
	struct record record = record_of("a", "{}");

	record.key = slice_of("a\0b", 3);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_INVALID_DOCUMENT_ID);
}

static void test_key_length(void)
{
	char key[513];

	memset(key, 'k', sizeof key);
	for (size_t len = 510; len <= 512; len++) {
		struct record record = record_of("", "{}");
		struct verdict got;

		record.key = slice_of(key, len);
		got = judge(&record, PARTITIONER_NONE, 0);
		CU_ASSERT_EQUAL(got.verdict, len <= 511 ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (len > 511)
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_DOCUMENT_ID);
	}
}

static void test_partition(void)
{
	struct record record = record_of("abc", "{}");
	struct verdict got;

	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_MURMUR2, 3).verdict, RECORD_VERDICT_APPLY);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_CRC32, 6).verdict, RECORD_VERDICT_APPLY);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 11).verdict, RECORD_VERDICT_APPLY);
	got = judge(&record, PARTITIONER_MURMUR2, 6);
	CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
	CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_WRONG_PARTITION);
	CU_ASSERT_PTR_NOT_NULL(strstr(got.refusal.text, "partitioner=murmur2_random"));
	got = judge(&record, PARTITIONER_CRC32, 3);
	CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_WRONG_PARTITION);
	CU_ASSERT_PTR_NOT_NULL(strstr(got.refusal.text, "partitioner=consistent_random"));
}

static void test_headers(void)
{
	struct record record = record_of("a", "not looked at");

	record.headers = headers_delete;
	record.headers_len = 1;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).op.kind, OP_KIND_DELETE);
	record.headers = headers_merge;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_UNKNOWN_OPERATION);
	record.headers = headers_null_op;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_UNKNOWN_OPERATION);
	/* the last header of a name counts, so this is a put of something that is not JSON */
	record.headers = headers_two_ops;
	record.headers_len = 2;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_NOT_JSON);
	/* an unknown operation is refused before the tombstone is looked at */
	record.headers = headers_merge;
	record.headers_len = 1;
	record.value = slice_of(NULL, 0);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_UNKNOWN_OPERATION);
}

static void test_insertion_keys(void)
{
	static const struct {
		const char *name;
		const char *value;
		bool accepted;
		int64_t timestamp_ms;
		uint32_t seq;
	} rows[] = {
		{"other", "x", true, 1700000000000, 0},
		{"seq", "7", true, 1700000000000, 7},
		{"seq", "4294967295", true, 1700000000000, 4294967295},
		{"seq", "4294967296", false, 0, 0},
		{"seq", "", false, 0, 0},
		{"seq", "-1", false, 0, 0},
		{"seq", "1 ", false, 0, 0},
		{"created", "1600000000000/3", true, 1600000000000, 3},
		{"created", "0/0", true, 0, 0},
		{"created", "9223372036854775807/0", true, INT64_MAX, 0},
		{"created", "9223372036854775808/0", false, 0, 0},
		{"created", "1600000000000", false, 0, 0},
		{"created", "1600000000000/", false, 0, 0},
		{"created", "/3", false, 0, 0},
		{"created", "1/4294967296", false, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record record = record_of("a", "{}");
		struct record_header header = {slice_string(rows[i].name), slice_string(rows[i].value)};
		struct verdict got;

		record.headers = &header;
		record.headers_len = 1;
		got = judge(&record, PARTITIONER_NONE, 0);
		if (!rows[i].accepted) {
			CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_REFUSE);
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_INVALID_HEADER);
			continue;
		}
		CU_ASSERT_EQUAL(got.verdict, RECORD_VERDICT_APPLY);
		CU_ASSERT_EQUAL(got.op.key.timestamp_ms, rows[i].timestamp_ms);
		CU_ASSERT_EQUAL(got.op.key.seq, rows[i].seq);
	}
}

static void test_size(void)
{
	const size_t max = 4194304;
	char *text = malloc(max + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (size_t len = max - 1; len <= max + 1; len++) {
		struct record record = record_of("a", "");
		struct verdict got;

		memset(text, 'x', len);
		memcpy(text, "{\"id\":\"a\",\"x\":\"", 15);
		memcpy(text + len - 2, "\"}", 2);
		record.value = slice_of(text, len);
		got = judge(&record, PARTITIONER_NONE, 0);
		CU_ASSERT_EQUAL(got.verdict, len <= max ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (len > max)
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_TOO_LARGE);
	}
	free(text);
}

static void test_depth(void)
{
	for (size_t depth = 127; depth <= 129; depth++) {
		struct record record = record_of("a", "");
		struct buffer text;
		struct verdict got;

		buffer_init(&text, 4096);
		buffer_append_string(&text, "{\"x\":"); /* the object is the first level */
		for (size_t i = 1; i < depth; i++)
			buffer_append_string(&text, "[");
		for (size_t i = 1; i < depth; i++)
			buffer_append_string(&text, "]");
		buffer_append_string(&text, "}");
		record.value = buffer_slice(&text);
		got = judge(&record, PARTITIONER_NONE, 0);
		CU_ASSERT_EQUAL(got.verdict, depth <= 128 ? RECORD_VERDICT_APPLY : RECORD_VERDICT_REFUSE);
		if (depth > 128)
			CU_ASSERT_EQUAL(got.refusal.code, REFUSAL_TOO_DEEP);
		buffer_deinit(&text);
	}
}

/* Nesting far beyond what a recursive walk's stack would hold. */
static void test_depth_of_a_million(void)
{
	const size_t depth = 1000000;
	char *text = malloc(2 * depth);
	struct record record = record_of("a", "");

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	record.value = slice_of(text, 2 * depth);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_NONE, 0).refusal.code, REFUSAL_TOO_DEEP);
	free(text);
}

/* The first check that fails names the refusal. */
static void test_order(void)
{
	struct record record = record_of("abc", "{");

	record.headers = headers_merge;
	record.headers_len = 1;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_MURMUR2, 0).refusal.code, REFUSAL_WRONG_PARTITION);
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_MURMUR2, 3).refusal.code, REFUSAL_UNKNOWN_OPERATION);
	record.headers_len = 0;
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_MURMUR2, 3).refusal.code, REFUSAL_NOT_JSON);
	record.key = slice_string("a c");
	CU_ASSERT_EQUAL(judge(&record, PARTITIONER_MURMUR2, 0).refusal.code, REFUSAL_INVALID_DOCUMENT_ID);
}

static void test_names(void)
{
	static const struct {
		enum refusal_code code;
		const char *name;
		const char *stage;
	} rows[] = {
		{REFUSAL_MISSING_KEY, "missing_key", "KEY_CONVERTER"},
		{REFUSAL_INVALID_DOCUMENT_ID, "invalid_document_id", "KEY_CONVERTER"},
		{REFUSAL_WRONG_PARTITION, "wrong_partition", "KEY_CONVERTER"},
		{REFUSAL_UNKNOWN_OPERATION, "unknown_operation", "HEADER_CONVERTER"},
		{REFUSAL_INVALID_HEADER, "invalid_header", "HEADER_CONVERTER"},
		{REFUSAL_TOO_LARGE, "too_large", "VALUE_CONVERTER"},
		{REFUSAL_NOT_JSON, "not_json", "VALUE_CONVERTER"},
		{REFUSAL_TOO_DEEP, "too_deep", "VALUE_CONVERTER"},
		{REFUSAL_NOT_AN_OBJECT, "not_an_object", "VALUE_CONVERTER"},
		{REFUSAL_ID_MISMATCH, "id_mismatch", "TASK_PUT"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CU_ASSERT_STRING_EQUAL(refusal_name(rows[i].code), rows[i].name);
		CU_ASSERT_STRING_EQUAL(refusal_stage(rows[i].code), rows[i].stage);
	}
}

/* Literal values by python-xxhash; they are in stored replicas and must never change. */
static void test_checksums(void)
{
	struct record record = record_of("a", "{}");
	struct buffer scratch;
	char digest[33];

	CU_ASSERT_EQUAL(record_checksum(&record), 0xfed686113376bdffULL);
	record.value = slice_of(NULL, 0);
	CU_ASSERT_EQUAL(record_checksum(&record), 0x4d7eebf01b0bb48eULL);
	record.value = slice_of("", 0);
	CU_ASSERT_EQUAL(record_checksum(&record), 0xff068853c352785dULL);
	buffer_init(&scratch, 1024);
	hash128_print(document_digest(0x1122334455667788, slice_string("a"), slice_string("{\"id\":\"a\"}"),
	                              (struct insertion_key){1700000000000, 7}, &scratch),
	              digest);
	CU_ASSERT_STRING_EQUAL(digest, "2d3ce42bd5c0fec51e076c71997be5df");
	buffer_deinit(&scratch);
}

static void test_insertion_order(void)
{
	struct insertion_key early = {5, 9};
	struct insertion_key late = {6, 0};
	struct slice a = slice_string("a");
	struct slice b = slice_string("b");

	CU_ASSERT_TRUE(insertion_key_compare(early, b, late, a) < 0);
	CU_ASSERT_TRUE(insertion_key_compare(late, a, early, b) > 0);
	CU_ASSERT_TRUE(insertion_key_compare((struct insertion_key){5, 8}, b, early, a) < 0);
	CU_ASSERT_TRUE(insertion_key_compare(early, a, early, b) < 0);
	CU_ASSERT_EQUAL(insertion_key_compare(early, a, early, a), 0);
	CU_ASSERT_TRUE(insertion_key_compare((struct insertion_key){-1, 0}, b, early, a) < 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"bodies", test_bodies},
		{"keys", test_keys},
		{"key with NUL", test_key_with_nul},
		{"key of 511 and 512 bytes", test_key_length},
		{"partition", test_partition},
		{"headers", test_headers},
		{"insertion keys", test_insertion_keys},
		{"document of the limit and one more", test_size},
		{"depth of the limit and one more", test_depth},
		{"depth of a million", test_depth_of_a_million},
		{"order of the checks", test_order},
		{"names and stages", test_names},
		{"checksum and digest", test_checksums},
		{"insertion order", test_insertion_order},
		CU_TEST_INFO_NULL,
	};

	return suite_run("record", tests);
}
