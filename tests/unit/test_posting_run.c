/* Posting runs: what a model has in each field, wherever it is sought, and what is cut short or changed. */
#include "shard/core/posting_run.h"

#include "tests/unit/posting_bed.h"

#include <stdio.h>

/* Each field by its first place, and how many more there are. */
static void check_groups(struct posting_run *run, const struct document *document)
{
	struct posting_group group = {0};

	CU_ASSERT_EQUAL(run->number, document->number);
	for (size_t i = 0, end; i < document->len; i = end) {
		for (end = i + 1;
		     end < document->len && document->places[end].field == document->places[i].field;)
			end++;
		posting_group_read(run, &group);
		CU_ASSERT_EQUAL(group.field, document->places[i].field);
		CU_ASSERT_EQUAL(group.first, document->places[i].position);
		CU_ASSERT_EQUAL(group.after, end - i - 1);
		CU_ASSERT_EQUAL_FATAL(group.more, end < document->len);
	}
}

static void check_runs(const struct posting_list *list, const struct model *model)
{
	struct posting_cursor cursor;
	struct posting_run run;
	struct error error;
	uint64_t number;
	size_t at = 0;

	posting_cursor_init(&cursor, list);
	while (posting_cursor_next(&cursor, &number, &error) > 0) {
		posting_run_take(&run, &cursor);
		do {
			CU_ASSERT_TRUE_FATAL(at < model->len);
			check_groups(&run, &model->documents[at++]);
		} while (posting_run_next(&run));
		CU_ASSERT_EQUAL(posting_run_end(&run, &error), 0);
	}
	CU_ASSERT_EQUAL(at, model->len);
	CU_ASSERT_EQUAL(posting_cursor_next(&cursor, &number, &error), 0);
}

/* Every third document is sought; the places of some of these are read. */
static void check_seeks(const struct posting_list *list, const struct model *model)
{
	struct posting_cursor cursor;
	struct posting_run run;
	struct error error;
	uint64_t number;
	size_t at = 0;

	posting_cursor_init(&cursor, list);
	while (posting_cursor_next(&cursor, &number, &error) > 0) {
		bool is_read = false;

		posting_run_take(&run, &cursor);
		for (at += 2; at < model->len && model->documents[at].number <= run.last; at += 3) {
			number = model->documents[at - 1].number + 1;
			CU_ASSERT_EQUAL(posting_run_seek(&run, number, is_read, &error), 0);
			CU_ASSERT_EQUAL(run.number, model->documents[at].number);
			is_read = at % 2 == 0;
			if (is_read)
				check_groups(&run, &model->documents[at]);
		}
		while (at > 0 && (at >= model->len || model->documents[at].number > run.last))
			at--;
		at++;
	}
	CU_ASSERT_EQUAL(at, model->len);
}

static void check_all(const struct posting_list *list, const struct model *model)
{
	check_runs(list, model);
	check_seeks(list, model);
}

static void test_lengths(void)
{
	lengths_check(check_all);
}

static void test_edges(void)
{
	edges_check(check_all);
}

static int read_runs(const struct posting_list *list)
{
	struct posting_cursor cursor;
	struct posting_run run;
	struct error error;
	uint64_t number;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, &error)) > 0) {
		posting_run_take(&run, &cursor);
		do {
			struct posting_group group = {0};

			do
				posting_group_read(&run, &group);
			while (group.more);
		} while (posting_run_next(&run));
		if (posting_run_end(&run, &error) != 0)
			return error.code;
	}
	return rc;
}

/* The first block, to its last document. */
static int seek_last(const struct posting_list *list)
{
	struct posting_cursor cursor;
	struct posting_run run;
	struct error error;
	uint64_t number;

	posting_cursor_init(&cursor, list);
	if (posting_cursor_next(&cursor, &number, &error) < 0)
		return error.code;
	posting_run_take(&run, &cursor);
	return posting_run_seek(&run, run.last, false, &error);
}

/* Cut short or lengthened anywhere a list is damaged. */
static void test_damaged(void)
{
	struct model *model = malloc(sizeof *model);

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	for (size_t documents = 1; documents <= 140; documents = documents * 3 + 1) {
		struct posting_list list;
		size_t whole;

		model_fill(model, 300, documents, 31);
		list = written(model, 300);
		whole = list.bytes.len;
		for (list.bytes.len = 0; list.bytes.len < whole; list.bytes.len++) {
			struct posting_list cut = list_copy(&list);

			CU_ASSERT_EQUAL(read_runs(&cut), ERROR_DAMAGED);
			list_free(&cut);
		}
		list.bytes.len = whole;
		CU_ASSERT_EQUAL(read_runs(&list), 0);
		list.count++;
		CU_ASSERT_EQUAL(read_runs(&list), ERROR_DAMAGED);
		list_free(&list);
	}
	free(model);
}

/* Lists of 3, 4 and 12 above the base, each with one lie. */
static void test_lies(void)
{
	static const struct {
		const char *name;
		uint32_t count;
		uint8_t len;
		uint8_t bytes[24];
		int sought; /* what a seek says, which does not look at places that it reaches */
	} rows[] = {
		{"a number beyond the block", 3, 16, {3, 9, 2, 2, 9, 0, 8, 0, 2, 5, 0, 2, 6, 0, 2, 6}, -1},
		{"a block that ends too early", 3, 16, {3, 9, 2, 2, 9, 0, 6, 0, 2, 5, 0, 2, 6, 0, 2, 6}, -1},
		{"a distance too many", 3, 17, {3, 9, 2, 3, 9, 0, 7, 0, 0, 2, 5, 0, 2, 6, 0, 2, 6}, 0},
		{"a field twice", 3, 19, {3, 9, 2, 2, 12, 0, 7, 1, 2, 5, 0, 0, 5, 0, 2, 6, 0, 2, 6}, 0},
		{"places of one document", 3, 10, {3, 9, 2, 2, 3, 0, 7, 0, 2, 5}, -1},
		{"a place too many", 3, 19, {3, 9, 2, 2, 12, 0, 7, 0, 2, 5, 0, 2, 6, 0, 2, 6, 0, 2, 7}, 0},
		{"a field beyond the last", 1, 10, {3, 1, 0xFF, 0xFF, 3, 5, 2, 2, 6, 1}, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posting_list list = {.base = 50, .count = rows[i].count};

		list.bytes = slice_of(rows[i].bytes, rows[i].len);
		if (read_runs(&list) != ERROR_DAMAGED)
			printf("\n%s\n", rows[i].name);
		CU_ASSERT_EQUAL(read_runs(&list), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(seek_last(&list), rows[i].sought < 0 ? ERROR_DAMAGED : 0);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {{"lists of many lengths", test_lengths},
	                       {"the ends of the format", test_edges},
	                       {"lists cut short", test_damaged},
	                       {"lists that lie", test_lies},
	                       CU_TEST_INFO_NULL};

	return suite_run("posting_run", tests);
}
