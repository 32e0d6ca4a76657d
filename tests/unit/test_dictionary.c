/*
 * Dictionaries: built from words in any order, merged, and walked together
 * with and without dead documents.
 */
#include "shard/core/dictionary.h"

#include "shard/engine/typo.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES_MAX 8

struct occurrence {
	const char *word;
	uint64_t number;
	struct place place;
};

static struct dictionary *built(const struct occurrence *list, size_t len)
{
	struct dictionary_builder *builder = dictionary_builder_new();
	struct dictionary *dictionary;

	CU_ASSERT_PTR_NOT_NULL_FATAL(builder);
	/* what it was used for before leaves nothing */
	CU_ASSERT_TRUE(
		dictionary_builder_add(builder, slice_string("before"), 1000000, (struct place){0, 0}));
	dictionary_builder_clear(builder);
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_TRUE(dictionary_builder_add(builder, slice_string(list[i].word), list[i].number,
		                                      list[i].place));
	dictionary = dictionary_build(builder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dictionary);
	dictionary_builder_free(builder);
	return dictionary;
}

/* "a:1@0.3@0.4,2@1.0 " */
static size_t entry_print(const struct dictionary_entry *entry, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "%.*s", SLICE_ARGS(entry->word));
	struct place places[PLACES_MAX];
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	size_t places_len;
	size_t documents = 0;

	posting_cursor_init(&cursor, &entry->list);
	for (; posting_cursor_next(&cursor, &number, &error) > 0; documents++) {
		CU_ASSERT_EQUAL_FATAL(posting_cursor_places(&cursor, places, PLACES_MAX, &places_len, &error),
		                      0);
		CU_ASSERT_FATAL(places_len <= PLACES_MAX);
		len += (size_t)snprintf(text + len, size - len, "%s%llu", documents > 0 ? "," : ":",
		                        (unsigned long long)number);
		for (size_t i = 0; i < places_len; i++)
			len += (size_t)snprintf(text + len, size - len, "@%u.%u", places[i].field,
			                        places[i].position);
	}
	CU_ASSERT_EQUAL(documents, entry->list.count);
	return len + (size_t)snprintf(text + len, size - len, " ");
}

static void dictionary_print(const struct dictionary *dictionary, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < dictionary_len(dictionary); i++) {
		struct dictionary_entry entry = dictionary_at(dictionary, i);

		CU_ASSERT_EQUAL(entry.letters, typo_letters(entry.word));
		CU_ASSERT_EQUAL(dictionary_letters(dictionary)[i], entry.letters);
		CU_ASSERT_EQUAL(dictionary_seek(dictionary, entry.word), i);
		CU_ASSERT_FALSE(dictionary_lacks(dictionary, entry.word));
		len += entry_print(&entry, text + len, size - len);
	}
}

static const struct occurrence first[] = {{"b", 7, {1, 3}}, {"a", 7, {0, 1}},    {"b", 7, {0, 9}},
                                          {"b", 9, {0, 0}}, {"ab", 9, {0, 8}},   {"b", 9, {0, 65535}},
                                          {"b", 9, {1, 2}}, {"b", 9, {0, 65535}}};
static const struct occurrence second[] = {{"c", 10, {0, 0}}, {"a", 12, {5, 5}}};
static const struct occurrence third[] = {
	{"bcdefghi2", 20, {0, 0}}, {"bcdefghi10", 20, {0, 1}}, {"bcdefghi", 21, {0, 0}}, {"a", 21, {0, 2}}};

static void parts_build(struct dictionary *parts[4])
{
	parts[0] = built(first, sizeof first / sizeof first[0]);
	parts[1] = built(NULL, 0);
	parts[2] = built(second, sizeof second / sizeof second[0]);
	parts[3] = built(third, sizeof third / sizeof third[0]);
}

static void parts_free(struct dictionary *parts[4])
{
	for (size_t i = 0; i < 4; i++)
		dictionary_free(parts[i]);
}

static void test_build(void)
{
	struct dictionary *parts[4];
	char text[512];

	parts_build(parts);
	dictionary_print(parts[0], text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "a:7@0.1 ab:9@0.8 b:7@0.9@1.3,9@0.0@0.65535@1.2 ");
	CU_ASSERT_EQUAL(dictionary_len(parts[1]), 0);
	CU_ASSERT_EQUAL(dictionary_seek(parts[1], slice_string("a")), 0);
	dictionary_print(parts[3], text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "a:21@0.2 bcdefghi:21@0.0 bcdefghi10:20@0.1 bcdefghi2:20@0.0 ");
	CU_ASSERT_TRUE(dictionary_bytes(parts[3]) > dictionary_bytes(parts[1]));
	parts_free(parts);
}

static void test_merge(void)
{
	struct dictionary *parts[4];
	struct dictionary *merged;
	struct dictionary *nothing;
	char text[512];

	parts_build(parts);
	merged = dictionary_merge((const struct dictionary *const *)parts, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
	dictionary_print(merged, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "a:7@0.1,12@5.5,21@0.2 ab:9@0.8 b:7@0.9@1.3,9@0.0@0.65535@1.2 "
	                             "bcdefghi:21@0.0 bcdefghi10:20@0.1 bcdefghi2:20@0.0 c:10@0.0 ");
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("a")), 0);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("aa")), 1);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("b")), 2);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("d")), 7);
	nothing = dictionary_merge((const struct dictionary *const *)parts + 1, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(nothing);
	CU_ASSERT_EQUAL(dictionary_len(nothing), 0);
	dictionary_free(nothing);
	dictionary_free(merged);
	parts_free(parts);
}

/* 7 and 20 are dead: `a` loses one, `bcdefghi2` and `bcdefghi10` are gone. */
static void test_dead(void)
{
	struct dictionary *parts[4];
	struct dictionary_cursor *cursor;
	struct dictionary_entry entry;
	struct postings dead;
	struct error error;
	char text[512];
	size_t len = 0;
	int rc;

	parts_build(parts);
	postings_init(&dead);
	postings_add(&dead, 7);
	postings_add(&dead, 20);
	cursor = dictionary_cursor_new((const struct dictionary *const *)parts, 4, 5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cursor);
	while ((rc = dictionary_cursor_next(cursor, &dead, &entry, &error)) > 0) {
		CU_ASSERT_EQUAL(entry.list.base, 5);
		len += entry_print(&entry, text + len, sizeof text - len);
	}
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(dictionary_cursor_next(cursor, &dead, &entry, &error), 0);
	CU_ASSERT_STRING_EQUAL(text,
	                       "a:12@5.5,21@0.2 ab:9@0.8 b:9@0.0@0.65535@1.2 bcdefghi:21@0.0 c:10@0.0 ");
	dictionary_cursor_free(cursor);
	postings_deinit(&dead);
	parts_free(parts);
}

/* Words that are alike for long, more than are sorted by comparing. */
static void test_alike(void)
{
	struct dictionary_builder *builder = dictionary_builder_new();
	struct dictionary *dictionary;
	char word[32];

	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(word, sizeof word, i % 2 ? "prefixed%u" : "%u", i * 7919 % 1000);
		CU_ASSERT_TRUE_FATAL(
			dictionary_builder_add(builder, slice_string(word), 1, (struct place){0, 0}));
	}
	CU_ASSERT_TRUE(dictionary_builder_add(builder, slice_string("prefixed"), 1, (struct place){0, 0}));
	dictionary = dictionary_build(builder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dictionary);
	CU_ASSERT_EQUAL(dictionary_len(dictionary), 1001);
	for (size_t i = 1; i < dictionary_len(dictionary); i++)
		CU_ASSERT_TRUE(slice_compare(dictionary_at(dictionary, i - 1).word,
		                             dictionary_at(dictionary, i).word) < 0);
	dictionary_free(dictionary);
	dictionary_builder_free(builder);
}

static void words_add(struct dictionary_builder *builder, uint64_t number)
{
	char word[32];

	for (uint64_t divisor = 1; divisor <= 97; divisor += 4) {
		(void)snprintf(word, sizeof word, "%llu/%llu", (unsigned long long)divisor,
		               (unsigned long long)(number % divisor));
		CU_ASSERT_TRUE_FATAL(dictionary_builder_add(
			builder, slice_string(word), number,
			(struct place){(uint16_t)(divisor % 3), (uint16_t)(number % 500)}));
	}
}

/* A hundred parts merged are what one would have been. */
static void test_many(void)
{
	struct dictionary_builder *whole = dictionary_builder_new();
	struct dictionary_builder *builder = dictionary_builder_new();
	struct dictionary *parts[100];
	struct dictionary *merged;
	struct dictionary *one;

	for (size_t i = 0; i < 100; i++) {
		dictionary_builder_clear(builder);
		for (uint64_t number = 50 * i; number < 50 * i + 50; number += 1 + i % 7) {
			words_add(builder, number);
			words_add(whole, number);
		}
		parts[i] = dictionary_build(builder);
		CU_ASSERT_PTR_NOT_NULL_FATAL(parts[i]);
	}
	one = dictionary_build(whole);
	merged = dictionary_merge((const struct dictionary *const *)parts, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
	CU_ASSERT_EQUAL_FATAL(dictionary_len(one), dictionary_len(merged));
	for (size_t i = 0; i < dictionary_len(one); i++) {
		static char a[200000];
		static char b[200000];
		struct dictionary_entry left = dictionary_at(one, i);
		struct dictionary_entry right = dictionary_at(merged, i);

		entry_print(&left, a, sizeof a);
		entry_print(&right, b, sizeof b);
		CU_ASSERT_STRING_EQUAL(a, b);
		CU_ASSERT_EQUAL(right.letters, typo_letters(right.word));
		CU_ASSERT_EQUAL(dictionary_seek(merged, right.word), i);
		CU_ASSERT_FALSE(dictionary_lacks(merged, right.word));
	}
	for (size_t i = 0; i < 100; i++)
		dictionary_free(parts[i]);
	dictionary_free(one);
	dictionary_free(merged);
	dictionary_builder_free(builder);
	dictionary_builder_free(whole);
}

int main(void)
{
	CU_TestInfo tests[] = {{"built from words", test_build},
	                       {"merged", test_merge},
	                       {"dead documents left out", test_dead},
	                       {"words that are alike", test_alike},
	                       {"many parts", test_many},
	                       CU_TEST_INFO_NULL};

	return suite_run("dictionary", tests);
}
