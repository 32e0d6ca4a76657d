/*
 * Dictionaries, sets of numbers, stored values, and segments: what the
 * replica's memory and disk consist of.
 */
#include "shard/core/segment.h"

#include "shard/core/postings.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct occurrence {
	const char *word;
	uint64_t number;
};

static struct dictionary *built(const struct occurrence *list, size_t len)
{
	struct dictionary_builder *builder = dictionary_builder_new();
	struct dictionary *dictionary;

	CU_ASSERT_PTR_NOT_NULL_FATAL(builder);
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_TRUE(dictionary_builder_add(builder, slice_string(list[i].word), list[i].number));
	dictionary = dictionary_build(builder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dictionary);
	dictionary_builder_free(builder);
	return dictionary;
}

/* "a:1,2 b:2 " */
static void print(const struct dictionary *dictionary, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < dictionary_len(dictionary); i++) {
		struct dictionary_entry entry = dictionary_at(dictionary, i);

		len += (size_t)snprintf(text + len, size - len, "%.*s:", SLICE_ARGS(entry.word));
		for (size_t k = 0; k < entry.numbers_len; k++)
			len += (size_t)snprintf(text + len, size - len, "%s%llu", k > 0 ? "," : "",
			                        (unsigned long long)(entry.base + entry.numbers[k]));
		len += (size_t)snprintf(text + len, size - len, " ");
	}
}

static void test_dictionary(void)
{
	static const struct occurrence first[] = {{"b", 7}, {"a", 7}, {"b", 7}, {"b", 9}, {"ab", 9}};
	static const struct occurrence second[] = {{"c", 10}, {"a", 12}};
	struct dictionary *parts[3] = {built(first, 5), built(NULL, 0), built(second, 2)};
	struct dictionary *merged;
	char text[256];

	print(parts[0], text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "a:7 ab:9 b:7,9 ");
	merged = dictionary_merge((const struct dictionary *const *)parts, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
	print(merged, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "a:7,12 ab:9 b:7,9 c:10 ");
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("a")), 0);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("aa")), 1);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("b")), 2);
	CU_ASSERT_EQUAL(dictionary_seek(merged, slice_string("d")), 4);
	CU_ASSERT_EQUAL(dictionary_len(parts[1]), 0);
	dictionary_free(merged);
	for (size_t i = 0; i < 3; i++)
		dictionary_free(parts[i]);
}

static void fill(struct postings *set, uint64_t first, uint64_t step, size_t len)
{
	for (size_t i = 0; i < len; i++)
		postings_add(set, first + i * step);
}

static void test_sets(void)
{
	static const uint64_t expected[] = {65535, 65536, 1ULL << 40};
	struct postings a;
	struct postings b;
	uint64_t numbers[8];

	postings_init(&a);
	postings_init(&b);
	postings_add(&a, 1ULL << 40);
	postings_add(&a, 65536);
	postings_add(&a, 65535);
	postings_add(&a, 1);
	postings_add(&a, 1);
	CU_ASSERT_EQUAL(postings_count(&a), 4);
	postings_remove(&a, 1);
	postings_remove(&a, 2);
	CU_ASSERT_FALSE(postings_contains(&a, 1));
	CU_ASSERT_TRUE(postings_contains(&a, 65536));
	CU_ASSERT_EQUAL_FATAL(postings_count(&a), 3);
	postings_list(&a, numbers);
	CU_ASSERT_EQUAL(memcmp(numbers, expected, sizeof expected), 0);
	fill(&b, 60000, 1, 10000);
	postings_and(&a, &b);
	CU_ASSERT_EQUAL(postings_count(&a), 2);
	postings_and_not(&b, &a);
	CU_ASSERT_EQUAL(postings_count(&b), 9998);
	postings_clear(&b);
	fill(&b, 65530, 1, 20);
	postings_and_not(&a, &b);
	CU_ASSERT_EQUAL(postings_count(&a), 0);
	CU_ASSERT_EQUAL(a.len, 0);
	postings_deinit(&a);
	postings_deinit(&b);
}

/* Encodes block 5, decodes it, damages every byte. */
static void check_stored(size_t len, uint64_t step)
{
	struct slice key = slice_string("word");
	struct postings set;
	struct postings back;
	struct buffer value;
	struct error error;

	postings_init(&set);
	postings_init(&back);
	buffer_init(&value, 1 << 20);
	fill(&set, 5 << 16, step, len);
	CU_ASSERT_FALSE(postings_encode(&set, 4, key, &value));
	CU_ASSERT_TRUE(postings_encode(&set, 5, key, &value));
	CU_ASSERT_EQUAL(postings_decode(&back, 5, key, buffer_slice(&value), &error), 0);
	CU_ASSERT_EQUAL(postings_count(&back), len);
	postings_and_not(&back, &set);
	CU_ASSERT_EQUAL(postings_count(&back), 0);
	CU_ASSERT_EQUAL(postings_decode(&back, 5, slice_string("other"), buffer_slice(&value), &error),
	                ERROR_DAMAGED);
	for (size_t i = 0; i < value.len; i++) {
		value.ptr[i] ^= 0x10;
		CU_ASSERT_EQUAL(postings_decode(&back, 5, key, buffer_slice(&value), &error), ERROR_DAMAGED);
		value.ptr[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < value.len; cut++)
		CU_ASSERT_EQUAL(postings_decode(&back, 5, key, slice_of(value.ptr, cut), &error),
		                ERROR_DAMAGED);
	CU_ASSERT_EQUAL(postings_count(&back), 0);
	buffer_deinit(&value);
	postings_deinit(&set);
	postings_deinit(&back);
}

static void test_stored_sets(void)
{
	check_stored(1, 1);
	check_stored(POSTINGS_LIST_MAX, 3);
	check_stored(POSTINGS_LIST_MAX + 1, 3);
	check_stored(300, 200);
	check_stored(1000, 1); /* a run */
}

static void test_order_keys(void)
{
	/* each pair in rising order */
	static const struct {
		struct insertion_key key;
		const char *id;
	} rows[] = {{{INT64_MIN, 0}, "z"}, {{-1, 9}, "a"}, {{0, 0}, "a"},   {{0, 0}, "aa"},
	            {{0, 0}, "b"},         {{0, 1}, "a"},  {{256, 0}, "a"}, {{INT64_MAX, UINT32_MAX}, "a"}};

	for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++) {
		struct stored_key low = stored_order_key(rows[i - 1].key, slice_string(rows[i - 1].id), 9);
		struct stored_key high = stored_order_key(rows[i].key, slice_string(rows[i].id), 1);

		CU_ASSERT_TRUE(slice_compare(stored_key_slice(&low), stored_key_slice(&high)) < 0);
	}
}

static void test_long_ids(void)
{
	char id[RECORD_ID_BYTES_MAX];

	memset(id, 'i', sizeof id);
	for (size_t len = 480; len <= sizeof id; len++) {
		struct stored_key key =
			stored_order_key((struct insertion_key){-5, 6}, slice_of(id, len), 77);
		struct stored_document document;
		struct buffer value;
		struct error error;
		uint64_t number;

		buffer_init(&value, 1024);
		stored_order_encode(&value, stored_key_slice(&key), 77);
		CU_ASSERT_TRUE(key.len <= KV_KEY_BYTES_MAX);
		CU_ASSERT_EQUAL(stored_order_decode(stored_key_slice(&key), buffer_slice(&value), &document,
		                                    &number, &error),
		                0);
		CU_ASSERT_EQUAL(number, 77);
		CU_ASSERT_EQUAL(document.key.timestamp_ms, -5);
		CU_ASSERT_EQUAL(document.key.seq, 6);
		/* 498 bytes are the last that fit */
		CU_ASSERT_EQUAL(document.id.len, len <= 498 ? len : 0);
		buffer_deinit(&value);
	}
}

static void test_stored_documents(void)
{
	struct stored_document document = {{-3, 4}, slice_string("an-id"), slice_string("{\"a\":1}")};
	struct stored_document back;
	struct buffer value;
	struct error error;

	buffer_init(&value, 1024);
	stored_document_encode(&value, 12, &document);
	CU_ASSERT_EQUAL(stored_document_decode(12, buffer_slice(&value), &back, &error), 0);
	CU_ASSERT_TRUE(slice_equal(back.id, document.id));
	CU_ASSERT_TRUE(slice_equal(back.body, document.body));
	CU_ASSERT_EQUAL(back.key.timestamp_ms, -3);
	CU_ASSERT_EQUAL(back.key.seq, 4);
	CU_ASSERT_EQUAL(stored_document_decode(13, buffer_slice(&value), &back, &error), ERROR_DAMAGED);
	for (size_t i = 0; i < value.len; i++) {
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(stored_document_decode(12, buffer_slice(&value), &back, &error),
		                ERROR_DAMAGED);
		value.ptr[i] ^= 1;
	}
	buffer_deinit(&value);
}

/* A segment of `len` puts with numbers from `first`, newest timestamp first. */
static struct segment *segment_of(uint64_t first, size_t len, size_t body_bytes)
{
	struct chunk *chunk = chunk_new(len, len * (body_bytes + 64));
	struct occurrence list[64];
	struct mark end = {.received = (int64_t)(first + len), .number_next = first + len};
	struct segment *segment;

	CU_ASSERT_TRUE_FATAL(chunk != NULL && len <= 64);
	for (size_t i = 0; i < len; i++) {
		struct version *version = &chunk->versions[chunk->len++];
		char id[16];

		(void)snprintf(id, sizeof id, "d%llu", (unsigned long long)(first + i));
		*version = (struct version){
			.number = first + i, .kind = OP_KIND_PUT, .key = {1000 - (int64_t)(first + i), 0}};
		CU_ASSERT_TRUE(arena_copy(&chunk->arena, slice_string(id), &version->id));
		version->body.ptr = arena_alloc(&chunk->arena, body_bytes);
		version->body.len = body_bytes;
		list[i] = (struct occurrence){i % 2 == 0 ? "even" : "odd", first + i};
	}
	segment = segment_new(chunk, built(list, len), &end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(segment);
	return segment;
}

static void test_segment_merge(void)
{
	struct segment *parts[SEGMENT_FANOUT];
	struct segment *merged;
	size_t at = 99;
	char text[2048];

	for (size_t i = 0; i < SEGMENT_FANOUT; i++)
		parts[i] = segment_of(1 + 3 * i, 3, 10);
	CU_ASSERT_FALSE(segment_merge_place(parts, SEGMENT_FANOUT, 1, &at));
	CU_ASSERT_TRUE(segment_merge_place(parts, SEGMENT_FANOUT, 0, &at));
	CU_ASSERT_EQUAL(at, 0);
	merged = segment_merge(parts, SEGMENT_FANOUT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
	CU_ASSERT_EQUAL(merged->puts_len, 24);
	CU_ASSERT_EQUAL(merged->end.received, 25);
	CU_ASSERT_EQUAL(segment_version(merged, 7)->number, 7);
	CU_ASSERT_PTR_NULL(segment_version(merged, 0));
	CU_ASSERT_PTR_NULL(segment_version(merged, 25));
	for (size_t i = 0; i < 24; i++)
		CU_ASSERT_EQUAL(merged->order[i]->number, 24 - i);
	print(merged->dictionary, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text,
	                       "even:1,3,4,6,7,9,10,12,13,15,16,18,19,21,22,24 odd:2,5,8,11,14,17,20,23 ");
	segment_free(merged);
}

/* Large segments are never merged, and a run must be of one size. */
static void test_merge_place(void)
{
	struct segment *segments[SEGMENT_FANOUT + 2];
	size_t len = SEGMENT_FANOUT + 2;
	size_t at;

	for (size_t i = 0; i < len; i++)
		segments[i] = segment_of(1 + i, 1, i == 4 ? SEGMENT_BYTES_KEPT : 10);
	CU_ASSERT_FALSE(segment_merge_place(segments, len, 0, &at));
	for (size_t i = 0; i < len; i++)
		segment_free(segments[i]);
	for (size_t i = 0; i < len; i++)
		segments[i] = segment_of(1 + i, 1, i == 1 ? SEGMENT_BYTES_KEPT / 2 : 10);
	CU_ASSERT_TRUE(segment_merge_place(segments, len, 0, &at));
	CU_ASSERT_EQUAL(at, 2);
	for (size_t i = 0; i < len; i++)
		segment_free(segments[i]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"dictionary", test_dictionary},
	                       {"sets of numbers", test_sets},
	                       {"stored sets", test_stored_sets},
	                       {"keys of the order", test_order_keys},
	                       {"long ids", test_long_ids},
	                       {"stored documents", test_stored_documents},
	                       {"merging segments", test_segment_merge},
	                       {"where to merge", test_merge_place},
	                       CU_TEST_INFO_NULL};

	return suite_run("segment", tests);
}
