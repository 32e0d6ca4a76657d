/*
 * Search facets of two replicas, whose documents stand in memory and on disk, with keys of their values and without:
 * literal answers, and every allocation failing in turn. What random documents have is compared with the oracle
 * (tests/oracle/facets_cases.py).
 */
#include "shard/core/search_facets.h"

#include "shard/core/reading.h"
#include "tests/oracle/search_bed.h"
#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

/* Sets of numbers end the process where memory is short (postings.h). */
#define malloc __real_malloc
#define calloc __real_calloc
#define realloc __real_realloc
#include "shard/core/postings.c"
#undef malloc
#undef calloc
#undef realloc

#define LEN(array) (sizeof(array) / sizeof *(array))
#define SHARDS 2
#define JSON_BYTES 4096
#define SWEEP_MAX 2000

struct index {
	struct bed beds[SHARDS];
	struct snapshot *snapshots[SHARDS];
	struct postings counted[SHARDS];
	struct arena arena;
	struct settings *settings;
};

static void settings_make(struct index *index)
{
	struct settings_request request = {
		.body = slice_string("{\"filterableAttributes\":[\"color\",\"n\"]}")};
	struct settings_refusal refusal;
	struct buffer record;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, &record, &refusal), 0);
	CU_ASSERT_EQUAL_FATAL(settings_parse(buffer_slice(&record), &index->arena, &index->settings, &error),
	                      0);
	buffer_deinit(&record);
}

/* Keys are kept of the colours; numbers are read from the bodies. */
static void index_open(struct index *index, const char *directory)
{
	static const struct slice color = {(const uint8_t *)"color", 5};

	*index = (struct index){0};
	arena_init(&index->arena, 4096);
	settings_make(index);
	for (size_t i = 0; i < SHARDS; i++) {
		struct bed *bed = &index->beds[i];
		struct error error;
		char path[64];

		(void)snprintf(path, sizeof path, "%s-%zu", directory, i);
		bed_open(bed, path);
		CU_ASSERT_EQUAL_FATAL(replica_attributes_set(bed->replica, 1, &color, 1, &error), 0);
		bed_feed(bed, "a",
		         i == 0 ? "{\"color\":[\"Red\",\"blue\"],\"n\":3}" : "{\"color\":\"RED\",\"n\":3}");
		bed_feed(bed, "b", "{\"color\":\"Crimson\",\"n\":[2.5,\"three\"]}");
		bed_store(bed);
		bed_feed(bed, "c", i == 0 ? "{\"color\":\"red\"}" : "{\"color\":\"Blau\"}");
		index->snapshots[i] = replica_snapshot(bed->replica);
		postings_init(&index->counted[i]);
		postings_add_range(&index->counted[i], 0, 1000);
		postings_and_not(&index->counted[i], &index->snapshots[i]->deleted);
	}
}

static void index_close(struct index *index)
{
	for (size_t i = 0; i < SHARDS; i++) {
		postings_deinit(&index->counted[i]);
		snapshot_release(index->snapshots[i]);
		words_free(index->beds[i].words);
		replica_close(index->beds[i].replica);
	}
	arena_deinit(&index->arena);
}

enum asked {
	ASKED_FACETS,
	ASKED_VALUES,
	ASKED_SPELLINGS
};

static const struct {
	enum asked asked;
	const char *query; /* of values; NULL: none */
	const char *expected;
} rows[] = {
	{ASKED_FACETS, NULL,
         "{\"color\":{\"values\":["
         "{\"key\":\"blau\",\"value\":\"Blau\",\"count\":1},{\"key\":\"blue\",\"value\":\"blue\",\"count\":1}"
         ","
         "{\"key\":\"crimson\",\"value\":\"Crimson\",\"count\":2},"
         "{\"key\":\"red\",\"value\":\"RED\",\"count\":3}]},"
         "\"n\":{\"values\":[{\"key\":\"2.5\",\"number\":true,\"value\":\"2.5\",\"count\":2},"
         "{\"key\":\"3\",\"number\":true,\"value\":\"3\",\"count\":2},"
         "{\"key\":\"three\",\"value\":\"three\",\"count\":2}],\"min\":2.5,\"max\":3.0}}"},
	{ASKED_VALUES, "crimsan",
         "[{\"key\":\"crimson\",\"form\":\"crimson\",\"value\":\"Crimson\",\"count\":2}]"},
	{ASKED_VALUES, NULL,
         "[{\"key\":\"blau\",\"form\":\"blau\",\"value\":\"Blau\",\"count\":1},"
         "{\"key\":\"blue\",\"form\":\"blue\",\"value\":\"blue\",\"count\":1},"
         "{\"key\":\"crimson\",\"form\":\"crimson\",\"value\":\"Crimson\",\"count\":2},"
         "{\"key\":\"red\",\"form\":\"red\",\"value\":\"RED\",\"count\":3}]"},
	{ASKED_SPELLINGS, NULL, "[\"RED\",null,\"Blau\"]"},
};

static int ask(struct index *index, size_t row, struct buffer *json, struct error *error)
{
	static const struct slice color = {(const uint8_t *)"color", 5};
	static const struct slice folded[] = {
		{(const uint8_t *)"red", 3}, {(const uint8_t *)"green", 5}, {(const uint8_t *)"blau", 4}};
	static const struct slice all = {(const uint8_t *)"*", 1};
	struct facets_scope scope = {.words = index->beds[0].words,
	                             .settings = index->settings,
	                             .snapshots = index->snapshots,
	                             .counted = index->counted,
	                             .len = SHARDS};
	struct settings_texts patterns = {&all, 1};
	struct settings_texts spelt = {folded, LEN(folded)};
	struct facet_search search = {.path = color, .has_query = rows[row].query != NULL};

	if (search.has_query)
		search.query = slice_string(rows[row].query);
	if (rows[row].asked == ASKED_FACETS)
		return search_facets(&scope, &patterns, json, error);
	if (rows[row].asked == ASKED_VALUES)
		return search_in_facet(&scope, &search, json, error);
	return search_spell(&scope, color, &spelt, json, error);
}

/* An answer into a buffer that needs no memory: what is short is what makes it. */
static void roomy_init(struct buffer *json)
{
	buffer_init(json, JSON_BYTES);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buffer_grow(json, JSON_BYTES));
	buffer_clear(json);
}

static void check(const struct buffer *json, size_t row)
{
	struct slice found = buffer_slice(json);

	CU_ASSERT_TRUE(slice_equal(found, slice_string(rows[row].expected)));
	if (!slice_equal(found, slice_string(rows[row].expected)))
		printf("\n%.*s, not %s\n", SLICE_ARGS(found), rows[row].expected);
}

static void test_answers(void)
{
	struct index index;

	index_open(&index, "answers");
	for (size_t i = 0; i < LEN(rows); i++) {
		struct buffer json;
		struct error error;

		roomy_init(&json);
		CU_ASSERT_EQUAL_FATAL(ask(&index, i, &json, &error), 0);
		check(&json, i);
		buffer_deinit(&json);
	}
	index_close(&index);
}

/* An answer that has no room is refused, not cut. */
static void test_no_room(void)
{
	struct index index;

	index_open(&index, "room");
	for (size_t i = 0; i < LEN(rows); i++) {
		struct buffer json;
		struct error error;

		buffer_init(&json, strlen(rows[i].expected) - 1);
		CU_ASSERT_EQUAL(ask(&index, i, &json, &error), ERROR_LIMIT);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		buffer_deinit(&json);
	}
	index_close(&index);
}

/* The n-th allocation fails, for every n; then the answer is what it is. */
static void sweep(struct index *index, size_t row)
{
	struct buffer json;
	struct error error;
	long failed = 0;
	int rc;

	roomy_init(&json);
	do {
		buffer_clear(&json);
		allocations_left = failed++;
		rc = ask(index, row, &json, &error);
		allocations_left = -1;
		if (rc != 0) {
			CU_ASSERT_EQUAL_FATAL(rc, ERROR_MEMORY);
			CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
		}
		CU_ASSERT_TRUE_FATAL(failed < SWEEP_MAX);
	} while (rc != 0);
	CU_ASSERT_TRUE(failed > 10);
	check(&json, row);
	buffer_deinit(&json);
}

static void test_memory(void)
{
	struct index index;

	index_open(&index, "memory");
	for (size_t i = 0; i < LEN(rows); i++)
		sweep(&index, i);
	index_close(&index);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"answers", test_answers},
		{"no room", test_no_room},
		{"out of memory", test_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("search_facets", tests);
}
