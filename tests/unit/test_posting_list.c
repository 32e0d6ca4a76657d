/*
 * Posting lists: literal bytes for every form, joining and leaving out against
 * a model, and what is cut short or changed.
 */
#include "shard/core/posting_list.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define DOCUMENTS_MAX 700
#define PLACES_MAX 6

struct document {
	uint64_t number;
	size_t len;
	struct place places[PLACES_MAX];
};

struct model {
	size_t len;
	struct document documents[DOCUMENTS_MAX];
};

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void model_add(struct model *model, uint64_t number, const struct place *places, size_t len)
{
	struct document *document = &model->documents[model->len++];

	ASSERT(model->len <= DOCUMENTS_MAX);
	*document = (struct document){.number = number, .len = len};
	for (size_t i = 0; i < len; i++)
		document->places[i] = places[i];
}

/* `len` documents above `number`, near to each other or far. */
static void model_fill(struct model *model, uint64_t number, size_t len, uint32_t seed)
{
	model->len = 0;
	for (size_t i = 0; i < len; i++) {
		struct place places[PLACES_MAX];
		uint32_t field = random_next(&seed) % 3;
		uint32_t position = random_next(&seed) % 200;
		size_t count = 1 + random_next(&seed) % PLACES_MAX;

		for (size_t k = 0; k < count; k++) {
			places[k] = (struct place){(uint16_t)field, (uint16_t)position};
			if (random_next(&seed) % 3 == 0) {
				field += 1 + random_next(&seed) % 300;
				position = random_next(&seed) % 300;
			} else {
				position += 1 + random_next(&seed) % 300;
			}
		}
		number += 1 + random_next(&seed) % (random_next(&seed) % 4 == 0 ? 100000 : 3);
		model_add(model, number, places, count);
	}
}

/* The list's own copy of its bytes, of exactly their size, so that a byte read beyond is noticed. */
static struct posting_list list_copy(const struct posting_list *list)
{
	struct posting_list copy = *list;
	uint8_t *bytes = malloc(list->bytes.len + (list->bytes.len == 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	if (list->bytes.len > 0)
		memcpy(bytes, list->bytes.ptr, list->bytes.len);
	copy.bytes.ptr = bytes;
	return copy;
}

static void list_free(struct posting_list *list)
{
	free((uint8_t *)(uintptr_t)list->bytes.ptr);
}

static struct posting_list written(const struct model *model, uint64_t base)
{
	struct posting_writer writer;
	struct posting_list list;
	struct error error;

	posting_writer_init(&writer);
	posting_writer_begin(&writer, base);
	for (size_t i = 0; i < model->len; i++)
		posting_writer_add(&writer, model->documents[i].number, model->documents[i].places,
		                   model->documents[i].len);
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(&writer, &list, &error), 0);
	list = list_copy(&list);
	posting_writer_deinit(&writer);
	return list;
}

static void check_places(struct posting_cursor *cursor, const struct document *document)
{
	struct place places[PLACES_MAX];
	struct error error;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(posting_cursor_places(cursor, places, PLACES_MAX, &len, &error), 0);
	CU_ASSERT_EQUAL_FATAL(len, document->len);
	for (size_t i = 0; i < len; i++) {
		CU_ASSERT_EQUAL(places[i].field, document->places[i].field);
		CU_ASSERT_EQUAL(places[i].position, document->places[i].position);
	}
}

/* Places are asked for of every `step`-th document. */
static void check_list(const struct posting_list *list, const struct model *model, size_t step)
{
	struct posting_cursor cursor;
	struct postings set;
	struct error error;
	uint64_t number;

	CU_ASSERT_EQUAL_FATAL(list->count, model->len);
	posting_cursor_init(&cursor, list);
	for (size_t i = 0; i < model->len; i++) {
		CU_ASSERT_EQUAL_FATAL(posting_cursor_next(&cursor, &number, &error), 1);
		CU_ASSERT_EQUAL_FATAL(number, model->documents[i].number);
		if (i % step == 0)
			check_places(&cursor, &model->documents[i]);
	}
	CU_ASSERT_EQUAL(posting_cursor_next(&cursor, &number, &error), 0);
	postings_init(&set);
	CU_ASSERT_EQUAL(posting_list_numbers(list, &set, &error), 0);
	CU_ASSERT_EQUAL(postings_count(&set), model->len);
	for (size_t i = 0; i < model->len; i++)
		CU_ASSERT_TRUE(postings_contains(&set, model->documents[i].number));
	postings_deinit(&set);
}

static void test_bytes(void)
{
	static const struct place places[] = {{2, 5}, {2, 6}, {2, 300}, {7, 0}};
	static const uint8_t alone[] = {3, 5, 2, 5, 1, 0xA6, 2, 0, 5, 0};
	static const uint8_t three[] = {3, 9, 2, 2, 15, 0, 7, 5, 2, 5, 1, 0xA6, 2, 0, 5, 0, 0, 2, 5, 0, 2, 6};
	struct posting_list list;
	struct model model = {0};

	model_add(&model, 1003, places, 4);
	list = written(&model, 1000);
	CU_ASSERT_EQUAL(list.base, 1000);
	CU_ASSERT_TRUE(slice_equal(list.bytes, slice_of(alone, sizeof alone)));
	check_list(&list, &model, 1);
	list_free(&list);
	model_add(&model, 1004, places, 1);
	model_add(&model, 1012, places + 1, 1);
	list = written(&model, 1000);
	CU_ASSERT_TRUE(slice_equal(list.bytes, slice_of(three, sizeof three)));
	check_list(&list, &model, 1);
	list_free(&list);
}

static void test_lengths(void)
{
	static const size_t lengths[] = {1, 2, 3, 127, 128, 129, 256, 257, 640};
	struct model *model = malloc(sizeof *model);

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct posting_list list;

		model_fill(model, 70000, lengths[i], (uint32_t)i + 1);
		list = written(model, 70000);
		check_list(&list, model, 1);
		check_list(&list, model, 3);
		list_free(&list);
	}
	free(model);
}

/* A few bounds of the format, and the base itself as the first number. */
static void test_edges(void)
{
	static const struct place places[] = {{0, 0}, {0, 65535}, {65535, 0}, {65535, 65535}};
	struct posting_list list;
	struct model model = {0};

	model_add(&model, 5, places, 4);
	model_add(&model, 5ULL + POSTING_DISTANCE_MAX, places + 1, 3);
	list = written(&model, 5);
	check_list(&list, &model, 1);
	list_free(&list);
}

/* Appends `len` pieces of the model, each a list of its own with a base of its own. */
static struct posting_list joined(const struct model *model, const size_t *cuts, size_t len,
                                  const struct postings *dead)
{
	struct posting_writer writer;
	struct posting_list list;
	struct error error;
	size_t at = 0;

	posting_writer_init(&writer);
	posting_writer_begin(&writer, model->documents[0].number);
	for (size_t i = 0; i < len; i++) {
		struct model *piece = malloc(sizeof *piece);
		struct posting_list part;

		CU_ASSERT_PTR_NOT_NULL_FATAL(piece);
		piece->len = cuts[i];
		memcpy(piece->documents, model->documents + at, cuts[i] * sizeof piece->documents[0]);
		at += cuts[i];
		part = written(piece, piece->documents[0].number - i);
		CU_ASSERT_EQUAL(posting_writer_append(&writer, &part, dead, &error), 0);
		list_free(&part);
		free(piece);
	}
	CU_ASSERT_EQUAL(at, model->len);
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(&writer, &list, &error), 0);
	list = list_copy(&list);
	posting_writer_deinit(&writer);
	return list;
}

static const size_t cuts[] = {1, 1, 2, 60, 100, 28, 128, 129, 1, 50};
#define CUTS (sizeof cuts / sizeof cuts[0])

static void test_append(void)
{
	struct model *model = malloc(sizeof *model);
	struct posting_list list;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	model_fill(model, 1ULL << 40, 500, 7);
	list = joined(model, cuts, CUTS, NULL);
	check_list(&list, model, 1);
	list_free(&list);
	/* 128 lists of one document are one block */
	model_fill(model, 9, POSTING_BLOCK_MAX, 8);
	{
		size_t ones[POSTING_BLOCK_MAX];
		struct posting_list at_once = written(model, model->documents[0].number);

		for (size_t i = 0; i < POSTING_BLOCK_MAX; i++)
			ones[i] = 1;
		list = joined(model, ones, POSTING_BLOCK_MAX, NULL);
		CU_ASSERT_TRUE(slice_equal(list.bytes, at_once.bytes));
		list_free(&at_once);
	}
	check_list(&list, model, 1);
	list_free(&list);
	free(model);
}

static void test_dead(void)
{
	static const struct {
		uint32_t dying; /* of a hundred */
		size_t kept;    /* the one that lives in any case; SIZE_MAX: none */
	} rows[] = {{0, SIZE_MAX}, {2, SIZE_MAX}, {66, SIZE_MAX}, {100, 300}, {100, 0}, {100, SIZE_MAX}};
	struct model *model = malloc(sizeof *model);
	struct model *left = malloc(sizeof *left);

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	CU_ASSERT_PTR_NOT_NULL_FATAL(left);
	model_fill(model, 4000, 500, 99);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posting_list list;
		struct postings dead;
		uint32_t seed = 5;

		postings_init(&dead);
		left->len = 0;
		for (size_t k = 0; k < model->len; k++) {
			const struct document *document = &model->documents[k];

			if (random_next(&seed) % 100 < rows[i].dying && k != rows[i].kept)
				postings_add(&dead, document->number);
			else
				model_add(left, document->number, document->places, document->len);
		}
		list = joined(model, cuts, CUTS, &dead);
		if (left->len > 0)
			check_list(&list, left, 1);
		CU_ASSERT_EQUAL(list.count, left->len);
		list_free(&list);
		postings_deinit(&dead);
	}
	free(model);
	free(left);
}

static int read_all(const struct posting_list *list)
{
	struct place places[2];
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	size_t len;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, &error)) > 0)
		if (posting_cursor_places(&cursor, places, 2, &len, &error) != 0)
			return error.code;
	return rc;
}

/* Cut short or lengthened anywhere a list is damaged. */
static void test_damaged(void)
{
	struct model *model = malloc(sizeof *model);
	struct posting_writer writer;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	posting_writer_init(&writer);
	for (size_t documents = 1; documents <= 140; documents = documents * 3 + 1) {
		struct posting_list list;
		struct posting_list longer;
		size_t whole;

		model_fill(model, 300, documents, 31);
		list = written(model, 300);
		whole = list.bytes.len;
		for (list.bytes.len = 0; list.bytes.len < whole; list.bytes.len++) {
			struct posting_list cut = list_copy(&list);

			CU_ASSERT_EQUAL(read_all(&cut), ERROR_DAMAGED);
			posting_writer_begin(&writer, 300);
			/* a list of one is copied without a look at its places */
			if (documents > 1)
				CU_ASSERT_EQUAL(posting_writer_append(&writer, &cut, NULL, &error),
				                ERROR_DAMAGED);
			list_free(&cut);
		}
		list.bytes.len = whole;
		CU_ASSERT_EQUAL(read_all(&list), 0);
		longer = list;
		longer.bytes.ptr = calloc(whole + 1, 1);
		memcpy((uint8_t *)(uintptr_t)longer.bytes.ptr, list.bytes.ptr, whole);
		longer.bytes.len++;
		CU_ASSERT_EQUAL(read_all(&longer), ERROR_DAMAGED);
		list.count++;
		CU_ASSERT_EQUAL(read_all(&list), ERROR_DAMAGED);
		list.count -= 2;
		if (list.count > 1)
			CU_ASSERT_EQUAL(read_all(&list), ERROR_DAMAGED);
		list_free(&longer);
		list_free(&list);
	}
	posting_writer_deinit(&writer);
	free(model);
}

/* Lists of 3, 4 and 12 above the base, or of 0 and 0, each with one lie. */
static void test_lies(void)
{
	static const struct {
		const char *name;
		uint32_t count;
		uint8_t len;
		uint8_t bytes[24];
	} rows[] = {
		{"a number beyond the block", 3, 16, {3, 9, 2, 2, 9, 0, 8, 0, 2, 5, 0, 2, 6, 0, 2, 6}},
		{"a block that ends too early", 3, 16, {3, 9, 2, 2, 9, 0, 6, 0, 2, 5, 0, 2, 6, 0, 2, 6}},
		{"a distance too many", 3, 17, {3, 9, 2, 3, 9, 0, 7, 0, 0, 2, 5, 0, 2, 6, 0, 2, 6}},
		{"a document too many", 2, 16, {3, 9, 2, 2, 9, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6}},
		{"a field twice", 3, 19, {3, 9, 2, 2, 12, 0, 7, 1, 2, 5, 0, 0, 5, 0, 2, 6, 0, 2, 6}},
		{"a position twice", 3, 17, {3, 9, 2, 2, 10, 0, 7, 2, 2, 5, 0, 0, 2, 6, 0, 2, 6}},
		{"a place too many", 3, 19, {3, 9, 2, 2, 12, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6, 0, 2, 7}},
		{"a block at the one before", 2, 16, {0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}},
	};
	static const uint8_t sound[] = {3, 9, 2, 2, 9, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6};
	struct posting_list list = {50, 3, slice_of(sound, sizeof sound)};
	struct posting_writer writer;
	struct postings dead;
	struct error error;

	postings_init(&dead);
	postings_add(&dead, 50);
	postings_add(&dead, 53);
	posting_writer_init(&writer);
	CU_ASSERT_EQUAL(read_all(&list), 0);
	posting_writer_begin(&writer, 50);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, &dead, &error), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		list = (struct posting_list){50, rows[i].count, slice_of(rows[i].bytes, rows[i].len)};
		if (read_all(&list) != ERROR_DAMAGED)
			printf("\n%s\n", rows[i].name);
		CU_ASSERT_EQUAL(read_all(&list), ERROR_DAMAGED);
		posting_writer_begin(&writer, 50);
		CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, &dead, &error), ERROR_DAMAGED);
	}
	posting_writer_deinit(&writer);
	postings_deinit(&dead);
}

/* Only the last of a block is dead. */
static void test_dead_last(void)
{
	static const struct place place = {0, 0};
	struct model model = {0};
	struct posting_list list;
	struct posting_list left;
	struct posting_writer writer;
	struct postings dead;
	struct error error;

	model_add(&model, 100, &place, 1);
	model_add(&model, 105, &place, 1);
	model_add(&model, 110, &place, 1);
	list = written(&model, 100);
	postings_init(&dead);
	postings_add(&dead, 110);
	posting_writer_init(&writer);
	posting_writer_begin(&writer, 100);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, &dead, &error), 0);
	CU_ASSERT_EQUAL(posting_writer_end(&writer, &left, &error), 0);
	model.len = 2;
	check_list(&left, &model, 1);
	/* it begins below the base, and ends above it */
	posting_writer_begin(&writer, 101);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, NULL, &error), ERROR_DAMAGED);
	posting_writer_deinit(&writer);
	postings_deinit(&dead);
	list_free(&list);
}

static void test_rebase(void)
{
	struct model *model = malloc(sizeof *model);
	struct posting_list list;
	struct posting_list moved;
	struct buffer bytes;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	buffer_init(&bytes, 1000000);
	for (size_t documents = 1; documents < 400; documents += 133) {
		model_fill(model, 1000000, documents, 3);
		list = written(model, 1000000);
		buffer_clear(&bytes);
		CU_ASSERT_EQUAL(posting_list_rebase(&list, 7, &bytes, &error), 0);
		moved = (struct posting_list){7, list.count, buffer_slice(&bytes)};
		check_list(&moved, model, 1);
		CU_ASSERT_EQUAL(posting_list_rebase(&list, model->documents[0].number + 1, &bytes, &error),
		                ERROR_DAMAGED);
		list.bytes.len = 0;
		CU_ASSERT_EQUAL(posting_list_rebase(&list, 7, &bytes, &error), ERROR_DAMAGED);
		list_free(&list);
	}
	buffer_deinit(&bytes);
	free(model);
}

/* A list below the writer's last number, and one beyond the reach of its base. */
static void test_out_of_order(void)
{
	static const struct place place = {0, 0};
	struct posting_writer writer;
	struct posting_list list;
	struct model model = {0};
	struct error error;

	model_add(&model, 100, &place, 1);
	list = written(&model, 100);
	posting_writer_init(&writer);
	posting_writer_begin(&writer, 10);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, NULL, &error), 0);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, NULL, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	posting_writer_begin(&writer, 101);
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, NULL, &error), ERROR_DAMAGED);
	posting_writer_begin(&writer, 10);
	list.base += 1ULL << 32;
	CU_ASSERT_EQUAL(posting_writer_append(&writer, &list, NULL, &error), ERROR_DAMAGED);
	posting_writer_deinit(&writer);
	list_free(&list);
}

int main(void)
{
	CU_TestInfo tests[] = {{"literal bytes", test_bytes},
	                       {"lists of many lengths", test_lengths},
	                       {"the ends of the format", test_edges},
	                       {"lists joined", test_append},
	                       {"dead documents left out", test_dead},
	                       {"lists cut short", test_damaged},
	                       {"lists that lie", test_lies},
	                       {"the last one dead", test_dead_last},
	                       {"another base", test_rebase},
	                       {"lists out of order", test_out_of_order},
	                       CU_TEST_INFO_NULL};

	return suite_run("posting_list", tests);
}
