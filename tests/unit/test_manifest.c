/*
 * The manifest: its value comes back as it was and nothing else does; what
 * leaves, enters and is found; what should be merged.
 */
#include "shard/core/manifest.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

/* Documents of 100 bytes in every number of [first, end). */
static struct disk_segment segment_of(uint64_t id, uint32_t level, uint64_t first, uint64_t end)
{
	uint32_t documents = (uint32_t)(end - first);
	struct disk_segment segment = {.id = id,
	                               .level = level,
	                               .first = first,
	                               .end = end,
	                               .documents = documents,
	                               .bytes = 200ULL * documents};

	segment.lengths[SECTION_ENTRIES] = documents * COLUMN_ENTRY_BYTES;
	segment.lengths[SECTION_IDS] = documents * COLUMN_ID_BYTES;
	segment.lengths[SECTION_ORDER] = documents * COLUMN_ORDER_BYTES;
	segment.lengths[SECTION_PAGES] = COLUMN_PAGE_BYTES;
	return segment;
}

/* Segments of so many documents each, at these levels: "3 2210" with gaps of one number at blanks. */
static void levels_add(struct manifest *manifest, const char *levels, uint64_t documents)
{
	uint64_t number =
		manifest->segments_len == 0 ? 100 : manifest->segments[manifest->segments_len - 1].end;

	for (; *levels != '\0'; levels++) {
		struct disk_segment segment;

		if (*levels == ' ') {
			number++;
			continue;
		}
		segment = segment_of(manifest->segment_next++, (uint32_t)(*levels - '0'), number,
		                     number + documents);
		CU_ASSERT_TRUE_FATAL(manifest_add(manifest, &segment));
		number += documents;
	}
}

static struct manifest *manifest_new(void)
{
	struct manifest *manifest = malloc(sizeof *manifest);

	CU_ASSERT_PTR_NOT_NULL_FATAL(manifest);
	manifest_init(manifest);
	return manifest;
}

static void test_encoding(void)
{
	struct manifest *manifest = manifest_new();
	struct manifest *read = manifest_new();
	struct buffer value;
	struct buffer again;
	struct error error;
	size_t len;

	buffer_init(&value, SIZE_MAX);
	buffer_init(&again, SIZE_MAX);
	manifest_encode(manifest, &value);
	CU_ASSERT_EQUAL(manifest_decode(read, buffer_slice(&value), &error), 0);
	CU_ASSERT_EQUAL(read->segments_len + read->building_len + read->leaving_len, 0);
	CU_ASSERT_EQUAL(read->segment_next, 1);
	levels_add(manifest, "3 2100", 1000);
	manifest->segments[1].dead = 17;
	manifest->segments[3].values = (struct value_set){.id = 2, .cover = {{1, 1ULL << 63}}, .bytes = 77};
	manifest->segments[3].values.lengths[SECTION_TERMS] = 50;
	manifest->segments[3].values.lengths[SECTION_POSTINGS] = 27;
	manifest_building_add(manifest, 90);
	CU_ASSERT_TRUE(manifest_leaving_add(manifest, 80));
	CU_ASSERT_TRUE(manifest_leaving_add(manifest, 81));
	buffer_clear(&value);
	manifest_encode(manifest, &value);
	CU_ASSERT_EQUAL(manifest_decode(read, buffer_slice(&value), &error), 0);
	CU_ASSERT_EQUAL(read->segments_len, 5);
	CU_ASSERT_EQUAL(read->segments[1].dead, 17);
	CU_ASSERT_EQUAL(read->segments[1].level, 2);
	CU_ASSERT_EQUAL(read->segments[1].first, 1101);
	CU_ASSERT_EQUAL(read->segments[3].values.id, 2);
	CU_ASSERT_EQUAL(read->segments[3].values.bytes, 77);
	CU_ASSERT_EQUAL(read->segments[3].values.cover.bits[1], 1ULL << 63);
	CU_ASSERT_EQUAL(read->segments[3].values.lengths[SECTION_POSTINGS], 27);
	CU_ASSERT_EQUAL(read->segments[2].values.id, 0);
	CU_ASSERT_EQUAL(read->building[0], 90);
	CU_ASSERT_EQUAL(read->leaving[1], 81);
	manifest_encode(read, &again);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&value), buffer_slice(&again)));

	len = value.len;
	for (size_t i = 0; i < len; i++) {
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(manifest_decode(read, buffer_slice(&value), &error), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(manifest_decode(read, slice_of(value.ptr, i), &error), ERROR_DAMAGED);
	}
	CU_ASSERT_EQUAL(read->segments_len, 5); /* untouched by failures */
	buffer_deinit(&value);
	buffer_deinit(&again);
	free(manifest);
	free(read);
}

/* Whatever it says with a right checksum, it can be so. */
static void test_what_cannot_be(void)
{
	static const char *const broken[] = {"overlap",      "empty",        "too many dead", "an id to come",
	                                     "no documents", "entries",      "lengths",       "too wide",
	                                     "too full",     "nothing wrong"};

	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		struct manifest *manifest = manifest_new();
		struct disk_segment *second = &manifest->segments[1];
		struct buffer value;
		struct error error;

		levels_add(manifest, "100", 1000);
		switch (i) {
		case 0:
			second->first--;
			break;
		case 1:
			second->end = second->first;
			break;
		case 2:
			second->dead = second->documents + 1;
			break;
		case 3:
			second->id = manifest->segment_next;
			break;
		case 4:
			*second = segment_of(2, 0, second->first, second->end);
			second->documents = 0;
			break;
		case 5:
			second->lengths[SECTION_ENTRIES] -= COLUMN_ENTRY_BYTES;
			break;
		case 6:
			second->lengths[SECTION_BODIES] = second->bytes;
			break;
		case 7:
			manifest->segments[2].end = manifest->segments[2].first + (1ULL << 32);
			break;
		case 8:
			second->end -= 10;
			break;
		default:
			break;
		}
		buffer_init(&value, SIZE_MAX);
		manifest_encode(manifest, &value);
		CU_ASSERT_EQUAL(manifest_decode(manifest, buffer_slice(&value), &error),
		                i == sizeof broken / sizeof *broken - 1 ? 0 : ERROR_DAMAGED);
		buffer_deinit(&value);
		free(manifest);
	}
}

static void test_segments(void)
{
	struct manifest *manifest = manifest_new();
	struct disk_segment joined;

	levels_add(manifest, "0 00", 10);
	joined = segment_of(9, 1, 100, 121);
	CU_ASSERT_TRUE(manifest_replace(manifest, 0, 2, &joined));
	CU_ASSERT_EQUAL(manifest->segments_len, 2);
	CU_ASSERT_EQUAL(manifest->segments[0].id, 9);
	CU_ASSERT_EQUAL(manifest->segments[1].id, 3);
	CU_ASSERT_TRUE(manifest_replace(manifest, 1, 1, NULL));
	CU_ASSERT_EQUAL(manifest->segments_len, 1);
	CU_ASSERT_EQUAL(manifest->leaving_len, 3);
	manifest_leaving_remove(manifest, 2);
	CU_ASSERT_EQUAL(manifest->leaving_len, 2);
	CU_ASSERT_EQUAL(manifest->leaving[0], 1);
	CU_ASSERT_EQUAL(manifest->leaving[1], 3);
	for (size_t i = 0; i < MANIFEST_BUILDING_MAX; i++)
		manifest_building_add(manifest, 50 + i);
	manifest_building_remove(manifest, 51);
	CU_ASSERT_EQUAL(manifest->building_len, MANIFEST_BUILDING_MAX - 1);
	CU_ASSERT_EQUAL(manifest->building[1], 52);
	free(manifest);
}

static void test_bounds(void)
{
	struct manifest *manifest = manifest_new();
	struct disk_segment further;

	for (size_t i = 0; i < MANIFEST_SEGMENTS_MAX; i++)
		levels_add(manifest, "0", 10);
	further = segment_of(200, 0, 1 << 20, 1 << 21);
	CU_ASSERT_FALSE(manifest_add(manifest, &further));
	CU_ASSERT_EQUAL(manifest->segments_len, MANIFEST_SEGMENTS_MAX);
	for (uint64_t i = 1; i < MANIFEST_LEAVING_MAX; i++)
		CU_ASSERT_TRUE(manifest_leaving_add(manifest, 1000 + i));
	CU_ASSERT_FALSE(manifest_replace(manifest, 0, 2, NULL));
	CU_ASSERT_EQUAL(manifest->segments_len, MANIFEST_SEGMENTS_MAX);
	CU_ASSERT_TRUE(manifest_replace(manifest, 0, 1, NULL));
	CU_ASSERT_FALSE(manifest_leaving_add(manifest, 1));
	free(manifest);
}

/* The last row's product of bytes and documents has more than 64 bits. */
static void test_live_bytes(void)
{
	static const struct {
		uint64_t bytes;
		uint32_t documents;
		uint32_t dead;
		uint64_t live;
	} rows[] = {
		{1000, 10, 0, 1000}, {1000, 10, 10, 0}, {1000, 10, 3, 700},
		{1009, 10, 5, 504},  {7, 10, 1, 6},     {1ULL << 62, 1U << 31, 1U << 30, 1ULL << 61},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct disk_segment segment = {
			.bytes = rows[i].bytes, .documents = rows[i].documents, .dead = rows[i].dead};

		CU_ASSERT_EQUAL(manifest_live_bytes(&segment), rows[i].live);
	}
}

static void test_merge_place(void)
{
	static const struct {
		const char *levels;
		uint64_t documents; /* of each */
		size_t dead_at;
		uint32_t dead;
		size_t at;
		size_t len; /* 0: nothing */
	} rows[] = {
		{"", 3000, 0, 0, 0, 0},
		{"0000000", 3000, 0, 0, 0, 0},
		{"00000000", 3000, 0, 0, 0, 8},
		{"0000 0000", 3000, 0, 0, 0, 8},
		{"100000000", 3000, 0, 0, 1, 8},
		{"1000000010", 3000, 0, 0, 0, 0},
		{"1101111001", 3000, 0, 0, 0, 0},
		{"011011110101", 3000, 0, 0, 1, 11}, /* lower ones between go along */
		{"110000000111111", 3000, 0, 0, 0, 15},
		{"1120000000111111", 3000, 0, 0, 0, 0},
		{"2222222211111111000", 3000, 0, 0, 8, 8},
		{"222222221111111000", 3000, 0, 0, 0, 8},
		{"00000000", DISK_SEGMENT_DOCUMENTS_MAX / 4, 0, 0, 0, 4},
		{"00000000", DISK_SEGMENT_DOCUMENTS_MAX / 2 + 1, 0, 0, 0, 0},
		{"210", 9, 1, 2, 0, 0},
		{"210", 9, 1, 3, 1, 1},
		{"210", 9, 2, 9, 2, 1},
		{"2100000000", 3000, 0, 3000, 2, 8},
		{"00", 10, 0, 0, 0, 0}, /* small ones from three on */
		{"000", 10, 0, 0, 0, 3},
		{"000", 2000, 0, 0, 0, 0},
		{"2111000", 10, 0, 0, 4, 3},
		{"1101", 10, 0, 0, 0, 4},
		{"10011", 10, 0, 0, 0, 5},
		{"1121", 10, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct manifest *manifest = manifest_new();
		size_t at = 99;
		size_t len = 99;
		bool found;

		levels_add(manifest, rows[i].levels, rows[i].documents);
		manifest->segments[rows[i].dead_at].dead = rows[i].dead;
		found = manifest_merge_place(manifest, &at, &len);
		CU_ASSERT_EQUAL_FATAL(found, rows[i].len > 0);
		if (found) {
			CU_ASSERT_EQUAL(at, rows[i].at);
			CU_ASSERT_EQUAL(len, rows[i].len);
		}
		free(manifest);
	}
}

/* What a rest joins, for which the policy has nothing. */
static void test_rest(void)
{
	static const struct {
		const char *levels;
		uint64_t documents; /* of each */
		size_t larger_at;
		uint64_t larger; /* times the others' bytes; 0: as they are */
		size_t at;
		size_t len; /* 0: nothing */
	} rows[] = {
		{"", 3000, 0, 0, 0, 0},
		{"0", 3000, 0, 0, 0, 0},
		{"00", 3000, 0, 0, 0, 2},
		{"0000000", 3000, 0, 0, 0, 7},
		{"3210", 3000, 0, 0, 0, 4},
		{"00", 3000, 0, MANIFEST_REST_SHARE, 0, 2},
		{"00", 3000, 0, MANIFEST_REST_SHARE + 1, 0, 0},
		{"000", 3000, 0, 2 * MANIFEST_REST_SHARE, 0, 3},
		{"000", 3000, 0, 2 * MANIFEST_REST_SHARE + 1, 1, 2}, /* those behind the large one */
		{"000", 3000, 1, 2 * MANIFEST_REST_SHARE + 1, 0, 0},
		{"43214321432143214", 3000, 0, 0, 0, MANIFEST_MERGE_MAX},
		{"00000", DISK_SEGMENT_DOCUMENTS_MAX / 4, 0, 0, 0, 4},
		{"00", DISK_SEGMENT_DOCUMENTS_MAX / 2 + 1, 0, 0, 0, 0},
		{"0000", 3000, 2, MANIFEST_SEGMENT_BYTES_MAX, 0, 2}, /* one that is large already */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct manifest *manifest = manifest_new();
		size_t at = 99;
		size_t len = 0;

		levels_add(manifest, rows[i].levels, rows[i].documents);
		if (rows[i].larger > 0)
			manifest->segments[rows[i].larger_at].bytes *= rows[i].larger;
		CU_ASSERT_EQUAL(manifest_rest_place(manifest, &at, &len), rows[i].len > 0);
		CU_ASSERT_EQUAL(len, rows[i].len);
		if (rows[i].len > 0)
			CU_ASSERT_EQUAL(at, rows[i].at);
		free(manifest);
	}
}

/* What its values take counts as its own bytes do. */
static void test_merge_of_values(void)
{
	static const struct {
		const char *levels;
		uint64_t bytes; /* of each one's values */
		size_t len;
	} rows[] = {
		{"00000000", 1000, 3},
		{"00000000", MANIFEST_SEGMENT_BYTES_MAX / 5, 4},
		{"00000000", MANIFEST_SEGMENT_BYTES_MAX / 2, 0},
		{"000", 1000, 3},
		{"000", MANIFEST_SMALL_BYTES / 3, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct manifest *manifest = manifest_new();
		size_t at = 99;
		size_t len = 0;

		levels_add(manifest, rows[i].levels, 10);
		for (size_t k = 0; k < manifest->segments_len; k++)
			manifest->segments[k].values.bytes = rows[i].bytes;
		CU_ASSERT_EQUAL(manifest_merge_place(manifest, &at, &len), rows[i].len > 0);
		CU_ASSERT_EQUAL(len, rows[i].len);
		free(manifest);
	}
}

/* A value that ends early does so with a right checksum too. */
static void test_cut_short(void)
{
	struct manifest *manifest = manifest_new();
	struct buffer value;
	struct error error;

	buffer_init(&value, SIZE_MAX);
	levels_add(manifest, "10", 1000);
	manifest_encode(manifest, &value);
	for (size_t len = 8; len < value.len; len++) {
		column_put_u64(value.ptr,
		               hash64(slice_of(value.ptr + 8, len - 8), hash64(slice_string("manifest"), 0)));
		CU_ASSERT_EQUAL(manifest_decode(manifest, slice_of(value.ptr, len), &error), ERROR_DAMAGED);
	}
	buffer_deinit(&value);
	free(manifest);
}

/* A segment far behind the last one. */
static void apart_add(struct manifest *manifest)
{
	uint64_t first = manifest->segments[manifest->segments_len - 1].end + (1ULL << 32);
	struct disk_segment segment = segment_of(manifest->segment_next++, 0, first, first + 10);

	CU_ASSERT_TRUE_FATAL(manifest_add(manifest, &segment));
}

/* Neighbours whose numbers are too far apart for one posting list are not joined, but those behind them are. */
static void test_wide_merge(void)
{
	struct manifest *manifest = manifest_new();
	size_t at;
	size_t len;

	levels_add(manifest, "000", 3000);
	apart_add(manifest);
	levels_add(manifest, "0000", 3000);
	CU_ASSERT_TRUE(manifest_merge_place(manifest, &at, &len));
	CU_ASSERT_EQUAL(at, 0);
	CU_ASSERT_EQUAL(len, 3);
	manifest_init(manifest);
	levels_add(manifest, "0", 3000);
	apart_add(manifest);
	levels_add(manifest, "000000", 3000);
	CU_ASSERT_FALSE(manifest_merge_place(manifest, &at, &len));
	levels_add(manifest, "0", 3000);
	CU_ASSERT_TRUE(manifest_merge_place(manifest, &at, &len));
	CU_ASSERT_EQUAL(at, 1);
	CU_ASSERT_EQUAL(len, 8);
	free(manifest);
}

static void test_crowd(void)
{
	struct manifest *manifest = manifest_new();
	size_t at;
	size_t len;

	for (size_t i = 0; i < MANIFEST_CROWDED / 4; i++) {
		levels_add(manifest, "3", 4000);
		levels_add(manifest, "2", i == 5 ? 500 : 1000);
		levels_add(manifest, "1", i == 5 ? 100 : 300);
		CU_ASSERT_FALSE(manifest_merge_place(manifest, &at, &len));
		levels_add(manifest, "4", DISK_SEGMENT_DOCUMENTS_MAX / 2 + 1);
	}
	CU_ASSERT_TRUE(manifest_merge_place(manifest, &at, &len));
	CU_ASSERT_EQUAL(at, 4 * 5 + 1); /* 600 documents are written for one segment less, nowhere fewer */
	CU_ASSERT_EQUAL(len, 2);
	while (manifest->leaving_len <= MANIFEST_LEAVING_MAX - MANIFEST_MERGE_MAX)
		CU_ASSERT_TRUE_FATAL(manifest_leaving_add(manifest, 1));
	CU_ASSERT_FALSE(manifest_merge_place(manifest, &at, &len));
	free(manifest);
}

/* Stores of one size for a long time: few segments, each document written few times. */
static void test_growth(void)
{
	struct manifest *manifest = manifest_new();
	uint64_t stored = 0;
	uint64_t merged = 0;
	size_t most = 0;

	for (size_t i = 0; i < 4000; i++) {
		size_t at;
		size_t len;

		levels_add(manifest, "0", 500);
		stored += 500;
		while (manifest_merge_place(manifest, &at, &len)) {
			uint32_t level = 0;
			struct disk_segment joined;

			for (size_t k = at; k < at + len; k++)
				if (manifest->segments[k].level > level)
					level = manifest->segments[k].level;
			CU_ASSERT_TRUE_FATAL(len > 1);
			joined = segment_of(manifest->segment_next++, level + 1, manifest->segments[at].first,
			                    manifest->segments[at + len - 1].end);
			CU_ASSERT_TRUE_FATAL(joined.documents <= DISK_SEGMENT_DOCUMENTS_MAX);
			merged += joined.documents;
			CU_ASSERT_TRUE_FATAL(manifest_replace(manifest, at, len, &joined));
			manifest->leaving_len = 0;
		}
		most = manifest->segments_len > most ? manifest->segments_len : most;
	}
	CU_ASSERT_TRUE(most < MANIFEST_CROWDED);
	CU_ASSERT_TRUE(merged < 5 * stored);
	CU_ASSERT_EQUAL(manifest->segments[manifest->segments_len - 1].end, 100 + stored);
	free(manifest);
}

int main(void)
{
	CU_TestInfo tests[] = {{"encoding", test_encoding},
	                       {"what cannot be", test_what_cannot_be},
	                       {"cut short", test_cut_short},
	                       {"segments", test_segments},
	                       {"bounds", test_bounds},
	                       {"live bytes", test_live_bytes},
	                       {"what to merge", test_merge_place},
	                       {"what a rest merges", test_rest},
	                       {"values to merge", test_merge_of_values},
	                       {"numbers too far apart", test_wide_merge},
	                       {"a crowd", test_crowd},
	                       {"growth", test_growth},
	                       CU_TEST_INFO_NULL};

	return suite_run("manifest", tests);
}
