/* Searches of two shards as one: sorts, filters, what is distinct, thresholds, and what only who merges more can know. */
#include "tests/oracle/search_bed.h"

#include "tests/unit/suite.h"

#define SHARDS 2
#define SHOWN_BYTES 256

static const struct search_rule rank_rules[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                {SEARCH_RULE_RANK, .rank = RANK_TYPO},
                                                {SEARCH_RULE_RANK, .rank = RANK_PROXIMITY}};
static const struct slice everything = {(const uint8_t *)"*", 1};

struct world {
	struct bed beds[SHARDS];
	struct snapshot *snapshots[SHARDS];
	struct arena arena;
	struct query query;
	struct search_request request;
	struct search_answer answer;
};

/* In directories of that name. Documents that came first in either shard have equal keys, and go by their ids. */
static void world_open(struct world *world, const char *name)
{
	char directory[32];

	*world = (struct world){0};
	for (size_t i = 0; i < SHARDS; i++) {
		(void)snprintf(directory, sizeof directory, "%s%zu", name, i);
		bed_open(&world->beds[i], directory);
	}
	bed_feed(&world->beds[0], "a", "{\"t\":\"lake\",\"n\":2,\"k\":\"x\"}");
	bed_feed(&world->beds[0], "b", "{\"t\":\"lake garden\",\"n\":\"b\",\"k\":\"Y\"}");
	bed_feed(&world->beds[0], "c", "{\"t\":\"garden\",\"k\":[\"x\",\"z\"]}");
	bed_feed(&world->beds[1], "d", "{\"t\":\"lake\",\"n\":1,\"k\":\"y\"}");
	bed_store(&world->beds[1]);
	bed_feed(&world->beds[1], "e", "{\"t\":\"a lake, and a garden\",\"n\":3,\"k\":\"z\"}");
	bed_feed(&world->beds[1], "f", "{\"t\":\"a lakes\",\"n\":null}");
	arena_init(&world->arena, 65536);
	for (size_t i = 0; i < SHARDS; i++)
		world->snapshots[i] = replica_snapshot(world->beds[i].replica);
}

static void world_close(struct world *world)
{
	for (size_t i = 0; i < SHARDS; i++) {
		snapshot_release(world->snapshots[i]);
		words_free(world->beds[i].words);
		replica_close(world->beds[i].replica);
	}
	arena_deinit(&world->arena);
}

/* A request for everything, with the words of `q`. */
static struct search_request *ask(struct world *world, const char *q)
{
	struct query_request parsed = {
		.text = slice_string(q), .prefix_search = true, .arena = &world->arena};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(query_parse(words_text(world->beds[0].words), &parsed, &world->query, &error),
	                      0);
	world->request = (struct search_request){.words = world->beds[0].words,
	                                         .query = &world->query,
	                                         .typos = {.enabled = true, .one = 5, .two = 9},
	                                         .searchable = &everything,
	                                         .searchable_len = 1,
	                                         .distinct_max = 1000,
	                                         .limit = 10,
	                                         .arena = &world->arena};
	if (world->query.terms_len > 0) {
		world->request.rules = rank_rules;
		world->request.rules_len = sizeof rank_rules / sizeof rank_rules[0];
	}
	return &world->request;
}

/* Of both shards together; the answer is the world's until the next. */
static void expect(struct world *world, uint64_t total, const char *expected)
{
	char ids[SHOWN_BYTES] = "";
	struct error error;
	size_t failed;

	CU_ASSERT_EQUAL_FATAL(
		snapshots_search(world->snapshots, SHARDS, &world->request, &world->answer, &failed, &error),
		0);
	for (size_t i = 0; i < world->answer.hits_len; i++)
		(void)snprintf(ids + strlen(ids), SHOWN_BYTES - strlen(ids), "%.*s ",
		               SLICE_ARGS(world->answer.hits[i].document.id));
	if (strcmp(ids, expected) != 0 || world->answer.total != total)
		printf("\ngot %lu: %s for %lu: %s\n", (unsigned long)world->answer.total, ids,
		       (unsigned long)total, expected);
	CU_ASSERT_STRING_EQUAL(ids, expected);
	CU_ASSERT_EQUAL(world->answer.total, total);
	CU_ASSERT_EQUAL(world->answer.totals[0] + world->answer.totals[1], total);
	search_answer_deinit(&world->answer);
}

static void test_sorts(void)
{
	struct search_rule by[] = {{SEARCH_RULE_FIELD, .path = slice_string("n")}};
	struct search_rule late[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
	                             {SEARCH_RULE_FIELD, .path = slice_string("n"), .falling = true}};
	struct world world;

	world_open(&world, "sorts");
	(void)ask(&world, "");
	expect(&world, 6, "a d b e c f ");
	world.request.limit = 3;
	expect(&world, 6, "a d b ");
	(void)ask(&world, "");
	world.request.rules = by;
	world.request.rules_len = 1;
	expect(&world, 6, "d a e b c f ");
	by[0].falling = true;
	expect(&world, 6, "e a d b c f ");
	world.request.limit = 2;
	expect(&world, 6, "e a ");
	(void)ask(&world, "lake garden ");
	world.request.rules = late;
	world.request.rules_len = 2;
	expect(&world, 4, "e b a d ");
	world_close(&world);
}

static bool fold_append(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	return text_fold(context, text, folded, &error) == 0;
}

static void test_filters(void)
{
	static const struct slice ids[] = {
		{(const uint8_t *)"e", 1}, {(const uint8_t *)"a", 1}, {(const uint8_t *)"q", 1}};
	struct filter_refusal refusal;
	struct filter *filter;
	struct world world;

	world_open(&world, "filters");
	CU_ASSERT_EQUAL_FATAL(
		filter_parse(slice_string("\"n 1 TO 2\""),
	                     &(struct filter_fold){fold_append, words_text(world.beds[0].words)},
	                     &world.arena, &filter, &refusal),
		0);
	ask(&world, "")->filter = filter;
	expect(&world, 2, "a d ");
	ask(&world, "garden lake")->filter = filter;
	expect(&world, 0, "");
	ask(&world, "lake garden")->filter = filter;
	expect(&world, 2, "a d ");
	ask(&world, "")->ids = ids;
	world.request.ids_len = 3;
	world.request.has_ids = true;
	expect(&world, 2, "a e ");
	world.request.filter = filter;
	expect(&world, 1, "a ");
	world_close(&world);
}

static void test_distinct(void)
{
	struct world world;

	world_open(&world, "distinct");
	ask(&world, "")->distinct = slice_string("k");
	expect(&world, 4, "a d e f ");
	world.request.limit = 2;
	expect(&world, 4, "a d ");
	world.request.lists_equal = true;
	expect(&world, 4, "a d b e c f ");
	world.request.distinct_max = 2;
	expect(&world, 2, "a d ");
	world_close(&world);
}

/* Words, then distances: b near, e far, then those with one word. */
static void test_thresholds(void)
{
	struct world world;
	struct search_cut cut;
	double second;

	world_open(&world, "thresholds");
	ask(&world, "lake garden ")->shows_scores = true;
	expect(&world, 4, "b e a d ");
	second = world.answer.hits[1].score;
	CU_ASSERT(world.answer.hits[0].score > second && second > world.answer.hits[2].score);
	cut = (struct search_cut){world.answer.hits[1].rank, world.answer.hits[1].document.key,
	                          slice_string("e")};
	world.request.has_threshold = true;
	world.request.threshold = second;
	expect(&world, 2, "b e ");
	world.request.limit = 2;
	expect(&world, 4, "b e ");
	world.request.counts_all = true;
	expect(&world, 2, "b e ");
	world.request.counts_all = false;
	world.request.limit = 10;
	world.request.has_cut = true;
	world.request.cut = cut;
	expect(&world, 4, "b e ");
	/* who leaves out elsewhere is told what is counted */
	world.request.distinct = slice_string("k");
	world.request.lists_equal = true;
	expect(&world, 3, "b e a d ");
	world.request.has_cut = false;
	expect(&world, 2, "b e ");
	world.request.limit = 2;
	expect(&world, 2, "b e ");
	world.request.limit = 0;
	expect(&world, 3, "b e a d ");
	world_close(&world);
}

/* What `rank` says of each rule, taken apart again. */
static void test_ranks(void)
{
	struct search_rule rules[] = {{SEARCH_RULE_FIELD, .path = slice_string("n")},
	                              {SEARCH_RULE_FIELD, .path = slice_string("k"), .falling = true},
	                              {SEARCH_RULE_POINT, .lat = 0}};
	static const size_t lens[][3] = {{1 + 8, 1 + 3, 4}, {1 + 3, 1 + 3, 4}, {1, 1 + 3, 4}};
	struct world world;

	world_open(&world, "ranks");
	(void)ask(&world, "");
	world.request.rules = rules;
	world.request.rules_len = 3;
	expect(&world, 6, "d a e b c f ");
	for (size_t i = 0; i < 3; i++) {
		struct slice rank = world.answer.hits[i + 2].rank;

		for (size_t k = 0; k < 3; k++)
			CU_ASSERT_EQUAL(search_rank_take(&rules[k], &rank).len, lens[i][k]);
		CU_ASSERT_EQUAL(rank.len, 0);
	}
	world_close(&world);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"sorts", test_sorts},       {"filters and ids", test_filters},
		{"distinct", test_distinct}, {"thresholds", test_thresholds},
		{"ranks", test_ranks},       CU_TEST_INFO_NULL,
	};

	return suite_run("search_merge", tests);
}
