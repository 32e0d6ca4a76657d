/*
 * Posting lists: literal bytes for every form, joining and leaving out against
 * a model, and what is cut short or changed.
 */
#include "tests/unit/posting_bed.h"

#include <stdio.h>

static void check_places(struct posting_cursor *cursor, uint32_t back, const struct document *document)
{
	struct place places[PLACES_MAX];
	struct places_room room = {places, PLACES_MAX};
	struct error error;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(posting_cursor_places_back(cursor, back, room, &len, &error), 0);
	CU_ASSERT_EQUAL_FATAL(len, document->len);
	for (size_t i = 0; i < len; i++) {
		CU_ASSERT_EQUAL(places[i].field, document->places[i].field);
		CU_ASSERT_EQUAL(places[i].position, document->places[i].position);
	}
}

/* Blocks in batches that end `span` numbers on, with places of two documents in three. */
static void check_batches(const struct posting_list *list, const struct model *model, uint64_t span)
{
	uint64_t numbers[POSTING_BLOCK_MAX];
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	size_t at = 0;
	size_t len;

	posting_cursor_init(&cursor, list);
	for (; posting_cursor_next(&cursor, &number, &error) > 0; at += len) {
		CU_ASSERT_EQUAL_FATAL(posting_cursor_batch(&cursor, number + span, numbers, &len, &error), 0);
		CU_ASSERT_TRUE_FATAL(len > 0 && at + len <= model->len);
		for (size_t i = 0; i < len; i++) {
			CU_ASSERT_EQUAL_FATAL(numbers[i], model->documents[at + i].number);
			CU_ASSERT_TRUE(numbers[i] < number + span);
			if ((at + i) % 3 != 1)
				check_places(&cursor, (uint32_t)(len - 1 - i), &model->documents[at + i]);
		}
	}
	CU_ASSERT_EQUAL(at, model->len);
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
			check_places(&cursor, 0, &model->documents[i]);
	}
	CU_ASSERT_EQUAL(posting_cursor_next(&cursor, &number, &error), 0);
	for (uint64_t span = 1; span <= UINT32_MAX; span *= 40)
		check_batches(list, model, span);
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

static void check_all(const struct posting_list *list, const struct model *model)
{
	check_list(list, model, 1);
	check_list(list, model, 3);
}

static void test_lengths(void)
{
	lengths_check(check_all);
}

static void test_edges(void)
{
	edges_check(check_all);
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

/* The same, block by block. */
static int read_batches(const struct posting_list *list)
{
	uint64_t numbers[POSTING_BLOCK_MAX];
	struct places_room none = {0};
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	size_t len_read;
	size_t len;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, &error)) > 0) {
		rc = posting_cursor_batch(&cursor, UINT64_MAX, numbers, &len, &error);
		for (; rc == 0 && len > 0; len--)
			rc = posting_cursor_places_back(&cursor, (uint32_t)len - 1, none, &len_read, &error);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int read_numbers(const struct posting_list *list)
{
	struct postings set;
	struct error error;
	int rc;

	postings_init(&set);
	rc = posting_list_numbers(list, &set, &error);
	postings_deinit(&set);
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
			CU_ASSERT_EQUAL(read_batches(&cut), ERROR_DAMAGED);
			posting_writer_begin(&writer, 300);
			/* a list of one is copied without a look at its places, as its number is read */
			if (documents > 1)
				CU_ASSERT_EQUAL(read_numbers(&cut), ERROR_DAMAGED);
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
		bool of_places; /* not of numbers */
	} rows[] = {
		{"a number beyond the block", 3, 16, {3, 9, 2, 2, 9, 0, 8, 0, 2, 5, 0, 2, 6, 0, 2, 6}, false},
		{"a block that ends too early",
	         3,
	         16,
	         {3, 9, 2, 2, 9, 0, 6, 0, 2, 5, 0, 2, 6, 0, 2, 6},
	         false},
		{"a distance too many", 3, 17, {3, 9, 2, 3, 9, 0, 7, 0, 0, 2, 5, 0, 2, 6, 0, 2, 6}, false},
		{"a document too many", 2, 16, {3, 9, 2, 2, 9, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6}, false},
		{"a field twice", 3, 19, {3, 9, 2, 2, 12, 0, 7, 1, 2, 5, 0, 0, 5, 0, 2, 6, 0, 2, 6}, true},
		{"a position twice", 3, 17, {3, 9, 2, 2, 10, 0, 7, 2, 2, 5, 0, 0, 2, 6, 0, 2, 6}, true},
		{"a place too many", 3, 19, {3, 9, 2, 2, 12, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6, 0, 2, 7}, true},
		{"a position of a byte too many",
	         3,
	         17,
	         {3, 9, 2, 2, 10, 0, 7, 0, 2, 0x85, 0, 0, 2, 6, 0, 2, 6},
	         true},
		{"a field above the highest",
	         3,
	         21,
	         {3, 9, 2, 2, 14, 0, 7, 1, 0xff, 0xff, 3, 5, 0, 1, 6, 0, 2, 6, 0, 2, 6},
	         true},
		{"a block at the one before", 2, 16, {0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}, false},
	};
	static const uint8_t sound[] = {3, 9, 2, 2, 9, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6};
	struct posting_list list = {50, 3, slice_of(sound, sizeof sound), NULL};
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
		list = (struct posting_list){50, rows[i].count, slice_of(rows[i].bytes, rows[i].len), NULL};
		if (read_all(&list) != ERROR_DAMAGED)
			printf("\n%s\n", rows[i].name);
		CU_ASSERT_EQUAL(read_all(&list), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(read_batches(&list), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(read_numbers(&list), rows[i].of_places ? 0 : ERROR_DAMAGED);
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
		moved = (struct posting_list){7, list.count, buffer_slice(&bytes), NULL};
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
