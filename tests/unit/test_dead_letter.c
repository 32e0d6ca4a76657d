/*
 * Dead letters: every header, and what is cut when the broker takes less.
 */
#include "shared/feed/dead_letter.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

static const struct record_header original[] = {{{(const uint8_t *)"op", 2}, {(const uint8_t *)"merge", 5}},
                                                {{(const uint8_t *)"trace", 5}, {NULL, 0}}};
static const struct refusal refusal = {REFUSAL_WRONG_PARTITION, "the key belongs to partition 3"};

static struct record record_of(size_t key_len, size_t value_len, uint8_t *bytes)
{
	memset(bytes, 'k', key_len);
	memset(bytes + key_len, 'v', value_len);
	return (struct record){
		.offset = 4711,
		.timestamp_ms = 1700000000000,
		.key = slice_of(bytes, key_len),
		.value = slice_of(bytes + key_len, value_len),
		.headers = original,
		.headers_len = 2,
	};
}

static struct dead_letter build(const struct record *record, size_t bytes_max, struct arena *arena)
{
	struct dead_letter_source source = {
		.topic = "millrace.docs.books",
		.partition = 7,
		.index = "books",
		.record = record,
		.refusal = &refusal,
	};
	struct dead_letter letter;

	CU_ASSERT_TRUE_FATAL(dead_letter_build(&source, bytes_max, arena, &letter));
	CU_ASSERT_TRUE(dead_letter_bytes(&letter) <= bytes_max);
	return letter;
}

/* Value of the only header of that name, or "(none)". */
static const char *header(const struct dead_letter *letter, const char *name)
{
	static char text[600];
	size_t found = 0;

	(void)snprintf(text, sizeof text, "(none)");
	for (size_t i = 0; i < letter->headers_len; i++) {
		if (!slice_equal(letter->headers[i].name, slice_string(name)))
			continue;
		(void)snprintf(text, sizeof text, "%.*s", SLICE_ARGS(letter->headers[i].value));
		found++;
	}
	CU_ASSERT_TRUE(found <= 1);
	return text;
}

static void test_headers(void)
{
	static const char *const rows[][2] = {
		{"op", "merge"},
		{"trace", ""},
		{"__connect.errors.topic", "millrace.docs.books"},
		{"__connect.errors.partition", "7"},
		{"__connect.errors.offset", "4711"},
		{"__connect.errors.connector.name", "millrace-ingest"},
		{"__connect.errors.task.id", "0"},
		{"__connect.errors.stage", "KEY_CONVERTER"},
		{"__connect.errors.class.name", "millrace"},
		{"__connect.errors.exception.class.name", "wrong_partition"},
		{"__connect.errors.exception.message", "the key belongs to partition 3"},
		{"__connect.errors.exception.stacktrace", ""},
		{"millrace.error.code", "wrong_partition"},
		{"millrace.index", "books"},
		{"millrace.document_id", "kkk"},
		{"millrace.attempts", "1"},
		{"millrace.timestamp", "1700000000000"},
	};
	uint8_t bytes[8];
	struct record record = record_of(3, 5, bytes);
	struct dead_letter letter;
	struct arena arena;

	arena_init(&arena, 4096);
	letter = build(&record, 1000000, &arena);
	CU_ASSERT_TRUE(slice_equal(letter.key, slice_string("kkk")));
	CU_ASSERT_TRUE(slice_equal(letter.value, slice_string("vvvvv")));
	CU_ASSERT_EQUAL(letter.timestamp_ms, 1700000000000);
	CU_ASSERT_EQUAL(letter.headers_len, sizeof rows / sizeof *rows);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		CU_ASSERT_STRING_EQUAL(header(&letter, rows[i][0]), rows[i][1]);
	arena_deinit(&arena);
}

static void test_attempts(void)
{
	uint8_t bytes[8];
	struct record record = record_of(3, 5, bytes);
	const struct refusal skipped = {.code = REFUSAL_SKIPPED, .text = "skipped"};
	const struct dead_letter_source source = {.topic = "millrace.docs.books",
	                                          .index = "books",
	                                          .record = &record,
	                                          .refusal = &skipped,
	                                          .deaths = 3};
	struct dead_letter letter;
	struct arena arena;

	arena_init(&arena, 4096);
	CU_ASSERT_TRUE_FATAL(dead_letter_build(&source, 1000000, &arena, &letter));
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.attempts"), "3");
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.error.code"), "skipped");
	arena_deinit(&arena);
}

static void test_nulls(void)
{
	struct record record = {.offset = 1, .timestamp_ms = -1};
	struct dead_letter letter;
	struct arena arena;

	arena_init(&arena, 4096);
	letter = build(&record, 1000000, &arena);
	CU_ASSERT_PTR_NULL(letter.key.ptr);
	CU_ASSERT_PTR_NULL(letter.value.ptr);
	CU_ASSERT_EQUAL(letter.timestamp_ms, 0);
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.document_id"), "");
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.timestamp"), "(none)");
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.truncated"), "(none)");
	arena_deinit(&arena);
}

/* The value is cut just as far as needed; XXH3 of 10,000 v by python-xxhash. */
static void test_value_is_cut(void)
{
	uint8_t *bytes = malloc(10003);
	struct record record;
	struct dead_letter letter;
	struct arena arena;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	record = record_of(3, 10000, bytes);
	arena_init(&arena, 4096);
	letter = build(&record, 5000, &arena);
	CU_ASSERT_TRUE(letter.value.len > 3000 && letter.value.len < 5000);
	CU_ASSERT_TRUE(slice_starts_with(record.value, letter.value));
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.truncated"), "10000");
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.checksum"), "2d66b38f43a585f7");
	CU_ASSERT_STRING_EQUAL(header(&letter, "op"), "merge");
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.headers_omitted"), "(none)");
	CU_ASSERT_EQUAL(letter.key.len, 3);
	arena_deinit(&arena);
	free(bytes);
}

/* Headers too large for the topic leave their room to the value. */
static void test_headers_are_omitted(void)
{
	uint8_t *large = calloc(1, 9000);
	uint8_t *bytes = malloc(5003);
	struct record_header headers[2] = {original[0], {slice_string("large"), slice_of(large, 9000)}};

	CU_ASSERT_FATAL(large != NULL && bytes != NULL);
	for (size_t value_len = 50; value_len <= 5000; value_len += 4950) {
		struct record record = record_of(3, value_len, bytes);
		bool cut = value_len == 5000;
		struct dead_letter letter;
		struct arena arena;

		record.headers = headers;
		arena_init(&arena, 4096);
		letter = build(&record, DEAD_LETTER_BYTES_MIN, &arena);
		CU_ASSERT_STRING_EQUAL(header(&letter, "op"), "(none)");
		CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.headers_omitted"), "2");
		CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.truncated"), cut ? "5000" : "(none)");
		CU_ASSERT_TRUE(cut ? letter.value.len > 2500 && letter.value.len < 4096
		                   : letter.value.len == 50);
		CU_ASSERT_TRUE(slice_starts_with(record.value, letter.value));
		CU_ASSERT_EQUAL(letter.key.len, 3);
		arena_deinit(&arena);
	}
	free(bytes);
	free(large);
}

static void test_key_is_cut(void)
{
	uint8_t *bytes = malloc(20000);
	struct record record;
	struct dead_letter letter;
	struct arena arena;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	record = record_of(20000, 0, bytes);
	arena_init(&arena, 4096);
	letter = build(&record, DEAD_LETTER_BYTES_MIN, &arena);
	CU_ASSERT_TRUE(letter.key.len > 500 && letter.key.len < 4096);
	CU_ASSERT_STRING_EQUAL(header(&letter, "millrace.key_truncated"), "20000");
	CU_ASSERT_EQUAL(strlen(header(&letter, "millrace.document_id")), 511);
	arena_deinit(&arena);
	free(bytes);
}

/* Whatever the sizes: it fits, and says what was cut. */
static void test_every_size(void)
{
	uint8_t *bytes = malloc(20000);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	for (size_t key_len = 0; key_len <= 6000; key_len += 600) {
		for (size_t value_len = 0; value_len <= 6000; value_len += 97) {
			struct record record = record_of(key_len, value_len, bytes);
			struct dead_letter letter;
			struct arena arena;

			arena_init(&arena, 4096);
			letter = build(&record, DEAD_LETTER_BYTES_MIN + value_len / 4, &arena);
			CU_ASSERT_EQUAL(letter.value.len < value_len,
			                strcmp(header(&letter, "millrace.truncated"), "(none)") != 0);
			CU_ASSERT_EQUAL(letter.key.len < key_len,
			                strcmp(header(&letter, "millrace.key_truncated"), "(none)") != 0);
			arena_deinit(&arena);
		}
	}
	free(bytes);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"headers", test_headers},
		{"attempts", test_attempts},
		{"nulls", test_nulls},
		{"value is cut", test_value_is_cut},
		{"headers are omitted", test_headers_are_omitted},
		{"key is cut", test_key_is_cut},
		{"every size", test_every_size},
		CU_TEST_INFO_NULL,
	};

	return suite_run("dead_letter", tests);
}
