/*
 * Sets of numbers, and segments: what the replica's memory consists of.
 */
#include "shard/core/segment.h"

#include "shard/core/postings.h"
#include "shared/base/hash.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

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
	postings_remove_range(&a, 1, 2);
	postings_remove_range(&a, 2, 3);
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

static void test_ranges(void)
{
	static const struct {
		uint64_t from;
		uint64_t to;
		uint64_t inside;
	} rows[] = {{0, 1, 0},         {0, 65530, 0},           {0, 65531, 1},
	            {65530, 65536, 3}, {65535, 65537, 1},       {65536, 131072, 32768},
	            {70000, 70001, 1}, {200000, 300000, 32765}, {0, UINT64_MAX, 100000}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct postings set;

		postings_init(&set);
		fill(&set, 65530, 2, 100000);
		CU_ASSERT_EQUAL(postings_count_range(&set, rows[i].from, rows[i].to), rows[i].inside);
		postings_remove_range(&set, rows[i].from, rows[i].to);
		CU_ASSERT_EQUAL(postings_count(&set), 100000 - rows[i].inside);
		CU_ASSERT_EQUAL(postings_count_range(&set, rows[i].from, rows[i].to), 0);
		postings_deinit(&set);
	}
}

/* Each way to change a set, on one that shares its blocks. */
static void change(struct postings *set, unsigned way)
{
	struct postings other;

	postings_init(&other);
	postings_add_range(&other, 70000, 70010);
	switch (way) {
	case 0:
		postings_add(set, 1);
		break;
	case 1:
		postings_remove_range(set, 65530, 65531);
		break;
	case 2:
		postings_remove_range(set, 65532, 70000);
		break;
	case 3:
		postings_or(set, &other);
		break;
	case 4:
		postings_and(set, &other);
		break;
	case 5:
		postings_and_not(set, &other);
		break;
	default:
		postings_clear(set);
		break;
	}
	postings_deinit(&other);
}

static void test_sharing(void)
{
	for (unsigned way = 0; way <= 6; way++) {
		struct postings set;
		struct postings copy;
		struct postings untouched;

		postings_init(&set);
		postings_init(&copy);
		postings_init(&untouched);
		fill(&set, 65530, 2, 10000);
		fill(&untouched, 65530, 2, 10000);
		postings_share(&copy, &set);
		change(way % 2 == 0 ? &set : &copy, way);
		CU_ASSERT_NOT_EQUAL(postings_count(&set), postings_count(&copy));
		CU_ASSERT_EQUAL(postings_count(way % 2 == 0 ? &copy : &set), 10000);
		postings_and_not(&untouched, way % 2 == 0 ? &copy : &set);
		CU_ASSERT_EQUAL(postings_count(&untouched), 0);
		postings_deinit(&set);
		postings_deinit(&copy);
		postings_deinit(&untouched);
	}
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

/* A bitmap whose checksum matches, as after a fault that checksums miss. */
static int decoded(const uint8_t *bitmap, size_t len)
{
	struct slice key = slice_string("word");
	struct postings set;
	struct buffer rest;
	struct buffer value;
	struct error error;
	int rc;

	postings_init(&set);
	buffer_init(&rest, 1 << 10);
	buffer_init(&value, 1 << 10);
	buffer_put_u8(&rest, 2);
	buffer_append(&rest, bitmap, len);
	buffer_put_u64(&value, hash64(buffer_slice(&rest), hash64(key, 0)));
	buffer_append_slice(&value, buffer_slice(&rest));
	rc = postings_decode(&set, 5, key, buffer_slice(&value), &error);
	CU_ASSERT_EQUAL(postings_count(&set), rc == 0 ? 2 : 0);
	postings_deinit(&set);
	buffer_deinit(&rest);
	buffer_deinit(&value);
	return rc;
}

/* Little-endian: u32 cookie, u32 containers, of each u16 key and u16 numbers - 1, of each u32 its place, numbers. */
static void test_hostile_bitmaps(void)
{
	static const uint8_t two_numbers[] = {0x3A, 0x30, 0,  0, 1, 0, 0, 0, 0, 0,
	                                      1,    0,    16, 0, 0, 0, 3, 0, 9, 0};
	static const uint8_t they_fall[] = {0x3A, 0x30, 0,  0, 1, 0, 0, 0, 0, 0,
	                                    1,    0,    16, 0, 0, 0, 9, 0, 3, 0};
	static const uint8_t one_twice[] = {0x3A, 0x30, 0,  0, 1, 0, 0, 0, 0, 0,
	                                    1,    0,    16, 0, 0, 0, 9, 0, 9, 0};
	static const uint8_t other_block[] = {0x3A, 0x30, 0,  0, 2, 0, 0,  0, 0, 0, 0, 0, 6, 0,
	                                      0,    0,    24, 0, 0, 0, 26, 0, 0, 0, 3, 0, 9, 0};
	static const uint8_t keys_fall[] = {0x3A, 0x30, 0,  0, 2, 0, 0,  0, 6, 0, 0, 0, 0, 0,
	                                    0,    0,    24, 0, 0, 0, 26, 0, 0, 0, 3, 0, 9, 0};

	CU_ASSERT_EQUAL(decoded(two_numbers, sizeof two_numbers), 0);
	CU_ASSERT_EQUAL(decoded(they_fall, sizeof they_fall), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(decoded(one_twice, sizeof one_twice), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(decoded(other_block, sizeof other_block), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(decoded(keys_fall, sizeof keys_fall), ERROR_DAMAGED);
}

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
		CU_ASSERT_TRUE(dictionary_builder_add(builder, slice_string(list[i].word), list[i].number,
		                                      (struct place){0, (uint16_t)i}));
	dictionary = dictionary_build(builder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dictionary);
	dictionary_builder_free(builder);
	return dictionary;
}

/* "1,2", of one word. */
static void print(const struct dictionary *dictionary, const char *word, char *text, size_t size)
{
	struct dictionary_entry entry =
		dictionary_at(dictionary, dictionary_seek(dictionary, slice_string(word)));
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	size_t len = 0;

	CU_ASSERT_TRUE_FATAL(slice_equal(entry.word, slice_string(word)));
	text[0] = '\0';
	posting_cursor_init(&cursor, &entry.list);
	while (posting_cursor_next(&cursor, &number, &error) == 1)
		len += (size_t)snprintf(text + len, size - len, "%s%llu", len > 0 ? "," : "",
		                        (unsigned long long)number);
}

/* A segment of `len` puts with numbers from `first`, newest timestamp first; ids go round every ten numbers. */
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

		(void)snprintf(id, sizeof id, "d%llu", (unsigned long long)((first + i) % 10));
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

/* One number, unless it is 0. */
static void kill_from(struct segment *segment, uint64_t number, uint64_t cleared_below)
{
	struct postings killed;

	postings_init(&killed);
	if (number > 0)
		postings_add(&killed, number);
	segment_kill(segment, &killed, cleared_below);
	postings_deinit(&killed);
}

static void test_segment_merge(void)
{
	struct segment *parts[SEGMENT_FANOUT];
	struct segment *merged;
	size_t at = 99;
	char text[2048];

	for (size_t i = 0; i < SEGMENT_FANOUT; i++)
		parts[i] = segment_of(1 + 3 * i, 3, 10);
	kill_from(parts[1], 1, 0);
	kill_from(parts[3], 5, 0);
	kill_from(parts[5], 0, 12);
	kill_from(parts[6], 14, 0);
	CU_ASSERT_FALSE(segment_merge_place(parts, SEGMENT_FANOUT, 1, &at));
	CU_ASSERT_TRUE(segment_merge_place(parts, SEGMENT_FANOUT, 0, &at));
	CU_ASSERT_EQUAL(at, 0);
	merged = segment_merge(parts, SEGMENT_FANOUT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(merged);
	/* a snapshot has one of the parts still */
	for (size_t i = 1; i < SEGMENT_FANOUT; i++)
		segment_release(parts[i]);
	CU_ASSERT_EQUAL(merged->puts_len, 24);
	CU_ASSERT_EQUAL(merged->end.received, 25);
	CU_ASSERT_EQUAL(segment_version(merged, 7)->number, 7);
	CU_ASSERT_PTR_NULL(segment_version(merged, 0));
	CU_ASSERT_PTR_NULL(segment_version(merged, 25));
	CU_ASSERT_PTR_EQUAL(segment_version(merged, 2), segment_version(parts[0], 2));
	for (size_t i = 0; i < 24; i++)
		CU_ASSERT_EQUAL(merged->order[i]->number, 24 - i);
	CU_ASSERT_EQUAL(segment_find(merged, slice_string("d4"))->number, 24);
	CU_ASSERT_EQUAL(segment_find(merged, slice_string("d5"))->number, 15);
	CU_ASSERT_EQUAL(segment_find(parts[0], slice_string("d2"))->number, 2);
	CU_ASSERT_PTR_NULL(segment_find(parts[0], slice_string("d4")));
	CU_ASSERT_PTR_NULL(segment_find(merged, slice_string("d")));
	CU_ASSERT_EQUAL(merged->cleared_below, 12);
	CU_ASSERT_EQUAL(postings_count(&merged->killed), 1);
	CU_ASSERT_TRUE(postings_contains(&merged->killed, 14));
	print(merged->dictionary, "even", text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "1,3,4,6,7,9,10,12,13,15,16,18,19,21,22,24");
	print(merged->dictionary, "odd", text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "2,5,8,11,14,17,20,23");
	segment_release(merged);
	CU_ASSERT_EQUAL(segment_version(parts[0], 2)->number, 2);
	segment_release(parts[0]);
}

/* Segments without puts stand between others. */
static void test_covering(void)
{
	struct segment *segments[] = {segment_of(5, 3, 10), segment_of(8, 0, 0), segment_of(8, 2, 10),
	                              segment_of(10, 0, 0)};

	CU_ASSERT_PTR_NULL(segments_covering(segments, 4, 4));
	CU_ASSERT_PTR_EQUAL(segments_covering(segments, 4, 5), segments[0]);
	CU_ASSERT_PTR_EQUAL(segments_covering(segments, 4, 7), segments[0]);
	CU_ASSERT_PTR_EQUAL(segments_covering(segments, 4, 8), segments[2]);
	CU_ASSERT_PTR_EQUAL(segments_covering(segments, 4, 9), segments[2]);
	CU_ASSERT_PTR_NULL(segments_covering(segments, 4, 10));
	CU_ASSERT_PTR_NULL(segments_covering(segments, 0, 5));
	for (size_t i = 0; i < 4; i++)
		segment_release(segments[i]);
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
		segment_release(segments[i]);
	for (size_t i = 0; i < len; i++)
		segments[i] = segment_of(1 + i, 1, i == 1 ? SEGMENT_BYTES_KEPT / 2 : 10);
	CU_ASSERT_TRUE(segment_merge_place(segments, len, 0, &at));
	CU_ASSERT_EQUAL(at, 2);
	for (size_t i = 0; i < len; i++)
		segment_release(segments[i]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"sets of numbers", test_sets},
	                       {"ranges of numbers", test_ranges},
	                       {"shared sets", test_sharing},
	                       {"stored sets", test_stored_sets},
	                       {"hostile bitmaps", test_hostile_bitmaps},
	                       {"merging segments", test_segment_merge},
	                       {"which has a number", test_covering},
	                       {"where to merge", test_merge_place},
	                       CU_TEST_INFO_NULL};

	return suite_run("segment", tests);
}
