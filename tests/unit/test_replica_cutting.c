/*
 * Cutting of a replica: what is found of a few documents in memory and on disk
 * as the rules for words come and go, and are caught up with; what stands in
 * the store, which is never believed when a byte of it is another.
 */
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

#include "shard/core/cutting.h"
#include "shard/core/replica_private.h"
#include "shared/record/memtable.h"

#define DOCUMENTS 4

static const char *const bodies[DOCUMENTS] = {
	"{\"t\":\"the red-fox\"}",
	"{\"t\":\"The fox\",\"n\":1}",
	"{\"t\":\"redxfox the\"}",
	"{\"t\":\"nothing\"}",
};

/* What is set, of one list each; NULL: nothing. */
struct lists {
	const char *separator;
	const char *not_separator;
	const char *dictionary;
	const char *stop_word;
};

static const struct lists none;
static const struct lists the_out = {.stop_word = "the"}; /* as it is written */
static const struct lists fox_out = {.stop_word = "fox"};
static const struct lists x_cuts = {.separator = "x"};
static const struct lists dash_joins = {.not_separator = "-"};
static const struct lists kept_whole = {.dictionary = "red-fox"};

static void list_fill(const char *text, struct slice *list, const struct slice **to, size_t *len)
{
	*list = text == NULL ? slice_of("", 0) : slice_string(text);
	*to = list;
	*len = text == NULL ? 0 : 1;
}

static int cutting_of(struct model *model, const struct lists *lists)
{
	struct text_settings settings;
	struct slice texts[4];
	struct error error;

	list_fill(lists->separator, &texts[0], &settings.separators, &settings.separators_len);
	list_fill(lists->not_separator, &texts[1], &settings.not_separators, &settings.not_separators_len);
	list_fill(lists->dictionary, &texts[2], &settings.dictionary, &settings.dictionary_len);
	list_fill(lists->stop_word, &texts[3], &settings.stop_words, &settings.stop_words_len);
	return replica_cutting_set(model->replica, &settings, NULL, &error);
}

/* A range with one put of that document. */
static void receive(struct model *model, size_t document)
{
	int64_t from = status_of(model).received;
	struct range_answer answer;

	model->log[from - BASE] = (struct entry){.op = {.offset = from,
	                                                .kind = OP_KIND_PUT,
	                                                .id = slice_string(model->ids[document]),
	                                                .body = slice_string(bodies[document])}};
	CU_ASSERT_EQUAL_FATAL(send(model, from, from + 1, -1, &answer), 0);
}

static void receive_all(struct model *model)
{
	for (size_t i = 0; i < DOCUMENTS; i++)
		receive(model, i);
}

static bool store_some(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	struct error error;

	if (job == NULL)
		return false;
	CU_ASSERT_EQUAL_FATAL(replica_store_run(job, &error), 0);
	replica_store_end(model->replica, job, 0, &error);
	return true;
}

static size_t store_all(struct model *model)
{
	size_t stores = 0;

	while (status_of(model).segments > 0 && store_some(model))
		stores++;
	return stores;
}

/* All that there is to do, `steps` a slice. */
static void compact(struct model *model, size_t steps)
{
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, steps, &more, &error);
		replica_compact_end(model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

/* How many documents have each of these as a word, as digits. */
static void check_words(struct model *model, const char *counts)
{
	static const char *const words[] = {"the ", "red ", "fox ", "redxfox ", "nothing "};
	char found[sizeof words / sizeof words[0] + 1] = "";
	struct error error;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct arena arena;
		struct asked_search asked = {.query = words[i], .limit = 10, .arena = &arena};
		struct asked_page page;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(asked_replica(model->replica, &asked, &page, &error), 0);
		CU_ASSERT_EQUAL(page.len, page.total);
		found[i] = (char)('0' + page.total);
		arena_deinit(&arena);
	}
	if (strcmp(found, counts) != 0)
		printf("\n%s instead of %s\n", found, counts);
	CU_ASSERT_STRING_EQUAL(found, counts);
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
}

static void check_lacking(const struct model *model, size_t memory, size_t disk)
{
	CU_ASSERT_EQUAL(status_of(model).memory_lacking, memory);
	CU_ASSERT_EQUAL(status_of(model).disk_lacking, disk);
}

/* Rules that were there before the documents, and rules that come when all is on disk, find the same. */
static void test_rules(void)
{
	static const struct {
		const struct lists *lists;
		const char *counts;
	} rows[] = {{&none, "31211"},   {&the_out, "11211"},    {&fox_out, "31011"},
	            {&x_cuts, "32001"}, {&dash_joins, "30111"}, {&kept_whole, "30111"}};
	char name[32];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model *model;

		(void)snprintf(name, sizeof name, "cutting-before-%zu", i);
		model = model_new(name);
		CU_ASSERT_EQUAL(cutting_of(model, rows[i].lists), 0);
		receive_all(model);
		check_words(model, rows[i].counts);
		CU_ASSERT_EQUAL(store_all(model), 1);
		check_words(model, rows[i].counts);
		check_lacking(model, 0, 0);
		reopen(model, name);
		check_words(model, rows[i].counts);
		check_lacking(model, 0, 0); /* it goes on with them */
		receive_all(model);
		check_words(model, rows[i].counts);
		model_free(model);
		(void)snprintf(name, sizeof name, "cutting-after-%zu", i);
		model = model_new(name);
		receive_all(model);
		(void)store_all(model);
		CU_ASSERT_EQUAL(cutting_of(model, rows[i].lists), 0);
		check_lacking(model, 0, rows[i].lists != &none);
		check_words(model, rows[0].counts); /* not yet */
		compact(model, 1);
		check_lacking(model, 0, 0);
		CU_ASSERT_EQUAL(status_of(model).disk_leaving, 0);
		check_words(model, rows[i].counts);
		reopen(model, name);
		check_lacking(model, 0, 0);
		check_words(model, rows[i].counts);
		model_free(model);
	}
}

/* Neighbours that were cut by different rules never become one in memory, and on disk only when they are cut anew. */
static void test_neighbours(void)
{
	struct model *model = model_new("cutting-neighbours");

	receive(model, 0);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0);
	for (size_t i = 0; i < 7; i++)
		receive(model, 1);
	CU_ASSERT_EQUAL(status_of(model).segments, 8);
	check_lacking(model, 1, 0);
	CU_ASSERT_FALSE(replica_merge(model->replica));
	CU_ASSERT_EQUAL(status_of(model).segments, 8);
	receive(model, 1);
	(void)replica_merge(model->replica);
	CU_ASSERT_EQUAL(status_of(model).segments, 2);
	check_words(model, "21200");
	CU_ASSERT_EQUAL(store_all(model), 2);
	check_lacking(model, 0, 1);
	receive(model, 3);
	(void)store_all(model);
	CU_ASSERT_EQUAL(cutting_of(model, &fox_out), 0);
	check_lacking(model, 0, 3);
	receive(model, 0); /* what is cut anew is dead by now, and stays so */
	compact(model, REPLICA_SLICE_STEPS);
	CU_ASSERT_EQUAL(status_of(model).disk_segments, 1);
	CU_ASSERT_EQUAL(status_of(model).merges, 1);
	check_lacking(model, 0, 0);
	check_words(model, "21001");
	model_free(model);
}

/* Back to the rules before: what was cut by them is right as it is. */
static void test_back(void)
{
	struct model *model = model_new("cutting-back");

	receive_all(model);
	(void)store_all(model);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0);
	check_lacking(model, 0, 1);
	CU_ASSERT_EQUAL(cutting_of(model, &none), 0);
	check_lacking(model, 0, 0);
	compact(model, REPLICA_SLICE_STEPS);
	CU_ASSERT_EQUAL(status_of(model).merges, 0);
	check_words(model, "31211");
	model_free(model);
}

/* While one is cut, stores go on, others come, and the process may end. */
static void test_beside(void)
{
	struct model *model = model_new("cutting-beside");
	struct replica_compact_job *job;
	struct error error;
	bool more = true;

	receive_all(model);
	(void)store_all(model);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0);
	job = replica_compact_begin(model->replica); /* stores the rules */
	CU_ASSERT_EQUAL(cutting_of(model, &fox_out), 0);
	receive(model, 0);
	CU_ASSERT_TRUE(store_some(model)); /* and so does this, newer ones */
	CU_ASSERT_EQUAL(replica_compact_run(job, 1, &more, &error), 0);
	CU_ASSERT_FALSE(more);
	replica_compact_end(model->replica, job, 0, &error);
	reopen(model, "cutting-beside");
	check_lacking(model, 0, 1); /* that segment is the newest rules' */
	check_words(model, "31111");
	job = replica_compact_begin(model->replica);
	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	CU_ASSERT_EQUAL(replica_compact_run(job, 1, &more, &error), 0);
	CU_ASSERT_TRUE(more);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0);
	receive(model, 2);
	while (more)
		CU_ASSERT_EQUAL_FATAL(replica_compact_run(job, 1, &more, &error), 0);
	replica_compact_end(model->replica, job, 0, &error);
	check_lacking(model, 0, 2);
	compact(model, REPLICA_SLICE_STEPS);
	(void)store_all(model);
	compact(model, REPLICA_SLICE_STEPS);
	check_lacking(model, 0, 0);
	check_words(model, "11211");
	model_free(model);
}

/* What a merge cuts by rules that are no longer the newest when it ends is known by them. */
static void test_overtaken(void)
{
	struct model *model = model_new("cutting-overtaken");
	struct replica_compact_job *job;
	struct error error;
	bool more = true;

	receive_all(model);
	(void)store_all(model);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0);
	while (more) {
		job = replica_compact_begin(model->replica);
		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		CU_ASSERT_EQUAL_FATAL(replica_compact_run(job, 1, &more, &error), 0);
		if (more) /* this is the merge */
			break;
		more = true;
		replica_compact_end(model->replica, job, 0, &error);
	}
	CU_ASSERT_EQUAL(cutting_of(model, &fox_out), 0);
	receive(model, 3);
	CU_ASSERT_TRUE(store_some(model));
	while (more)
		CU_ASSERT_EQUAL_FATAL(replica_compact_run(job, 1, &more, &error), 0);
	replica_compact_end(model->replica, job, 0, &error);
	check_words(model, "11211");
	reopen(model, "cutting-overtaken");
	check_words(model, "11211");
	check_lacking(model, 0, 1);
	compact(model, REPLICA_SLICE_STEPS);
	check_words(model, "31011");
	model_free(model);
}

static void test_limit(void)
{
	static const struct lists *const rows[] = {&none, &the_out, &fox_out};
	struct model *model = model_new("cutting-limit");

	for (size_t i = 0; i < CUTTINGS_MAX; i++) {
		CU_ASSERT_EQUAL(cutting_of(model, rows[i]), 0);
		receive(model, i);
	}
	CU_ASSERT_EQUAL(cutting_of(model, &x_cuts), ERROR_LIMIT);
	CU_ASSERT_EQUAL(cutting_of(model, &the_out), 0); /* one of them is no more */
	CU_ASSERT_EQUAL(store_all(model), CUTTINGS_MAX);
	CU_ASSERT_EQUAL(cutting_of(model, &x_cuts), ERROR_LIMIT);
	check_words(model, "31210");
	compact(model, REPLICA_SLICE_STEPS);
	CU_ASSERT_EQUAL(cutting_of(model, &x_cuts), 0);
	compact(model, REPLICA_SLICE_STEPS);
	check_words(model, "32000");
	model_free(model);
}

static void cuttings_two(struct cuttings *cuttings)
{
	struct slice words[] = {slice_string("the"), slice_string("a"), slice_string("")};
	struct text_settings settings = {
		.dictionary = words, .dictionary_len = 1, .stop_words = words + 1, .stop_words_len = 2};
	struct text_settings defaults = {0};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(cutting_new(&settings, &cuttings->list[0], &error), 0);
	CU_ASSERT_EQUAL_FATAL(cutting_new(&defaults, &cuttings->list[1], &error), 0);
	cuttings->len = 2;
}

static void test_stored(void)
{
	struct cuttings made;
	struct cuttings read = {.len = 0};
	struct buffer value;
	struct error error;

	cuttings_two(&made);
	buffer_init(&value, 1000);
	cuttings_encode(&made, &value);
	CU_ASSERT_EQUAL_FATAL(cuttings_decode(buffer_slice(&value), &read, &error), 0);
	CU_ASSERT_EQUAL_FATAL(read.len, 2);
	CU_ASSERT_EQUAL(read.list[0]->digest, made.list[0]->digest);
	CU_ASSERT_PTR_NOT_NULL(read.list[0]->rules);
	CU_ASSERT_EQUAL(read.list[1]->digest, 0);
	CU_ASSERT_PTR_NULL(read.list[1]->rules);
	CU_ASSERT_PTR_NULL(cuttings_find(&read, 1));
	CU_ASSERT_PTR_EQUAL(cuttings_find(&read, 0), read.list[1]);
	cuttings_deinit(&read);
	for (size_t i = 0; i < value.len; i++) {
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(cuttings_decode(buffer_slice(&value), &read, &error), ERROR_DAMAGED);
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(cuttings_decode(slice_of(value.ptr, i), &read, &error), ERROR_DAMAGED);
	}
	CU_ASSERT_EQUAL(read.len, 0);
	/* twice the same */
	cutting_release(made.list[0]);
	made.list[0] = cutting_hold(made.list[1]);
	buffer_clear(&value);
	cuttings_encode(&made, &value);
	CU_ASSERT_EQUAL(cuttings_decode(buffer_slice(&value), &read, &error), ERROR_DAMAGED);
	buffer_deinit(&value);
	cuttings_deinit(&made);
}

/* The lists are told apart. */
static void test_digest(void)
{
	struct slice words[] = {slice_string("a"), slice_string("b")};
	struct text_settings rows[] = {{.separators = words, .separators_len = 1},
	                               {.not_separators = words, .not_separators_len = 1},
	                               {.dictionary = words, .dictionary_len = 1},
	                               {.stop_words = words, .stop_words_len = 1},
	                               {.stop_words = words, .stop_words_len = 2},
	                               {.stop_words = words + 1, .stop_words_len = 1},
	                               {.separators_len = 0}};
	struct cutting *made[sizeof rows / sizeof rows[0]];
	struct error error;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CU_ASSERT_EQUAL_FATAL(cutting_new(&rows[i], &made[i], &error), 0);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_NOT_EQUAL(made[i]->digest, made[k]->digest);
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cutting_release(made[i]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"rules before and after", test_rules},
	                       {"neighbours of different rules", test_neighbours},
	                       {"back to the rules before", test_back},
	                       {"beside a store, and a restart", test_beside},
	                       {"overtaken", test_overtaken},
	                       {"there is a bound", test_limit},
	                       {"the stored value", test_stored},
	                       {"digests", test_digest},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica cutting", tests);
}
