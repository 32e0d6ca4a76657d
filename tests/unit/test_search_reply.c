/*
 * Search replies: the members of an answer, literally; what hits there are in
 * general is compared with recorded answers (tests/oracle/node_answers.py).
 */
#include "shard/core/search_aside.h"

#include "tests/oracle/search_bed.h"
#include "tests/unit/search_settings_bed.h"
#include "tests/unit/suite.h"

#define SHARDS 2

struct world {
	struct bed beds[SHARDS];
	struct snapshot *snapshots[SHARDS];
	struct words *words;
	struct search_settings *settings;
	int late_in; /* looks; below 0: never */
	enum watch_time then;
};

static void put(struct world *world, size_t shard, const char *id, const char *body)
{
	struct bed *bed = &world->beds[shard];
	struct memtable *memtable = memtable_new(bed->offset);

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	bed_put(bed, memtable, slice_string(id), slice_string(body));
	bed_receive(bed, memtable);
	memtable_free(memtable);
}

static void world_open(struct world *world, const char *settings)
{
	static unsigned directories;

	*world = (struct world){
		.words = words_new(), .settings = search_settings_bed(settings, 0), .late_in = -1};
	CU_ASSERT_PTR_NOT_NULL_FATAL(world->words);
	for (size_t i = 0; i < SHARDS; i++) {
		char directory[16];

		(void)snprintf(directory, sizeof directory, "%u", directories++);
		bed_open(&world->beds[i], directory);
	}
}

static void world_fill(struct world *world)
{
	put(world, 0, "a", "{\"id\":\"a\",\"t\":\"red cat\",\"n\":1,\"_geo\":{\"lat\":1,\"lng\":2}}");
	put(world, 0, "b", "{\"id\":\"b\",\"t\":\"red dog\",\"n\":2.5}");
	put(world, 1, "c", "{\"id\":\"c\",\"t\":\"blue cat\",\"n\":1}");
	for (size_t i = 0; i < SHARDS; i++)
		world->snapshots[i] = replica_snapshot(world->beds[i].replica);
}

static void world_close(struct world *world)
{
	for (size_t i = 0; i < SHARDS; i++) {
		snapshot_release(world->snapshots[i]);
		replica_close(world->beds[i].replica);
		words_free(world->beds[i].words);
	}
	search_settings_release(world->settings);
	words_free(world->words);
}

static enum watch_time look(void *context)
{
	struct world *world = context;

	if (world->late_in > 0)
		world->late_in--;
	return world->late_in == 0 ? world->then : WATCH_TIME_LEFT;
}

/* The reply, or what it failed with. */
static int ask(struct world *world, const char *text, size_t shards, struct buffer *out,
               struct search_reply *reply)
{
	static const int32_t partitions[SHARDS] = {4, 7};
	struct watch watch = {.look = look, .context = world, .every = 1};
	struct search_question question;
	struct arena arena;
	struct search_reply_request request = {.question = &question,
	                                       .settings = world->settings,
	                                       .words = world->words,
	                                       .snapshots = world->snapshots,
	                                       .partitions = partitions,
	                                       .len = shards,
	                                       .watch = &watch,
	                                       .arena = &arena};
	struct error error;
	yyjson_doc *doc;
	int rc;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(text), &doc, &error), 0);
	CU_ASSERT_EQUAL_FATAL(search_question_read(yyjson_doc_get_root(doc), &arena, &question, &error), 0);
	rc = search_aside_is_asked(&question) ? search_aside(&request, out, reply, &error)
	                                      : search_reply(&request, out, reply, &error);
	if (rc != 0)
		buffer_clear(out);
	if (rc == 0 && shards == SHARDS)
		CU_ASSERT(reply->totals[0] + reply->totals[1] <= 3);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
	return rc;
}

struct row {
	const char *name;
	const char *question;
	size_t shards;
	const char *expected;
};

static void check_rows(struct world *world, const struct row *rows, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct search_reply reply;
		struct buffer out;

		buffer_init(&out, 1U << 20);
		CU_ASSERT_EQUAL(ask(world, rows[i].question, rows[i].shards, &out, &reply), 0);
		if (!slice_equal(buffer_slice(&out), slice_string(rows[i].expected))) {
			(void)printf("\n%s: got %.*s\n", rows[i].name, SLICE_ARGS(buffer_slice(&out)));
			CU_FAIL("another reply");
		}
		buffer_deinit(&out);
	}
}

static const struct row rows[] = {
	{"nothing is left", "{\"q\":\"green\"}", 2, "\"total\":0,\"known\":1,\"terms\":1,\"hits\":[]"},
	{"no shard", "{\"q\":\"red\"}", 0, "\"total\":0,\"known\":1,\"terms\":1,\"hits\":[]"},
	{"what is known", "{\"q\":\"red bird cat\",\"limit\":0}", 1,
         "\"total\":2,\"known\":5,\"terms\":3,\"hits\":[]"},
	{"known elsewhere", "{\"q\":\"red blue\",\"limit\":0}", 1,
         "\"total\":2,\"known\":1,\"terms\":2,\"hits\":[]"},
	{"a phrase is always known", "{\"q\":\"red \\\"blue sky\\\"\",\"limit\":0}", 1,
         "\"total\":0,\"known\":3,\"terms\":2,\"hits\":[]"},
	{"frequencies", "{\"q\":\"red cat bird\",\"limit\":0,\"matchingStrategy\":\"frequency\"}", 2,
         "\"total\":2,\"known\":3,\"terms\":3,\"frequencies\":[2,2,0],\"hits\":[]"},
	{"the rarest is told",
         "{\"q\":\"red cat\",\"limit\":0,\"matchingStrategy\":\"frequency\",\"rarest\":1}", 2,
         "\"total\":2,\"known\":3,\"terms\":2,\"frequencies\":[2,2],\"hits\":[]"},
	{"of one term none", "{\"q\":\"red\",\"limit\":0,\"matchingStrategy\":\"frequency\"}", 2,
         "\"total\":2,\"known\":1,\"terms\":1,\"hits\":[]"},
	{"in order, with scores",
         "{\"q\":\"red cat\",\"limit\":2,\"scores\":true,\"attributesToRetrieve\":[\"t\"],"
         "\"showRankingScore\":true}",
         2,
         "\"total\":2,\"known\":3,\"terms\":2,\"hits\":[{\"p\":4,\"rank\":\"000000000000000000000000"
         "000000000000000000000000\",\"ts\":0,\"seq\":0,\"id\":\"a\",\"score\":[[2,2],[3,3],[4,4],[1"
         ",1],[21,21],[3,3],[3,3]],\"doc\":{\"t\":\"red cat\",\"_rankingScore\":1.0}},{\"p\":4,\"rank\":\""
         "000000010000000000000000000000000000000000000010\",\"ts\":1,\"seq\":0,\"id\":\"b\",\"score"
         "\":[[1,2],[2,2],[1,1],[1,1],[11,11],[2,3],[2,2]],\"doc\":{\"t\":\"red "
         "dog\",\"_rankingScore\":0.492424"
         "24242424243}}]"},
	{"distinct", "{\"distinct\":\"n\",\"attributesToRetrieve\":[]}", 2,
         "\"total\":2,\"known\":0,\"terms\":0,\"hits\":[{\"p\":4,\"rank\":\"\",\"ts\":0,\"seq\":0,\""
         "id\":\"a\",\"distinct\":[\"04000000000000f03f\"],\"doc\":{}},{\"p\":4,\"rank\":\"\",\"ts\""
         ":1,\"seq\":0,\"id\":\"b\",\"distinct\":[\"040000000000000440\"],\"doc\":{}}]"},
	{"places",
         "{\"sort\":[\"_geoPoint(1, 2):asc\"],\"limit\":1,\"attributesToRetrieve\":[\"_geo\"],"
         "\"showRankingScoreDetails\":true}",
         2,
         "\"total\":3,\"known\":0,\"terms\":0,\"hits\":[{\"p\":4,\"rank\":\"00000000\",\"ts\":0,\"se"
         "q\":0,\"id\":\"a\",\"doc\":{\"_geo\":{\"lat\":1,\"lng\":2},\"_geoDistance\":0,\"_rankingSc"
         "oreDetails\":{\"_geoPoint(1, 2):asc\":{\"order\":0,\"value\":{\"lat\":1.0,\"lng\":2.0},\"d"
         "istance\":0.0}}}}]"},
	{"a place that is not shown",
         "{\"sort\":[\"_geoPoint(1, 2):asc\"],\"limit\":1,\"attributesToRetrieve\":[\"id\"]}", 2,
         "\"total\":3,\"known\":0,\"terms\":0,\"hits\":[{\"p\":4,\"rank\":\"00000000\",\"ts\":0,\"se"
         "q\":0,\"id\":\"a\",\"doc\":{\"id\":\"a\"}}]"},
	{"all at once",
         "{\"q\":\"dog\",\"attributesToRetrieve\":[\"t\"],\"attributesToHighlight\":[\"*\"],"
         "\"showMatchesPosition\":true,\"showRankingScore\":true,\"showRankingScoreDetails\":true}",
         2,
         "\"total\":1,\"known\":1,\"terms\":1,\"hits\":[{\"p\":4,\"rank\":"
         "\"000000000000000000000000"
         "000000000000000100000020\",\"ts\":1,\"seq\":0,\"id\":\"b\",\"doc\":{\"t\":\"red dog\",\"_f"
         "ormatted\":{\"id\":\"b\",\"t\":\"red <em>dog</em>\",\"n\":\"2.5\"},\"_matchesPosition\":{"
         "\"t\":[{\"start\":4,\"length\":3}]},\"_rankingScore\":0.9242424242424242,\"_rankingScoreDe"
         "tails\":{\"words\":{\"order\":0,\"matchingWords\":1,\"maxMatchingWords\":1,\"score\":1.0},"
         "\"typo\":{\"order\":1,\"typoCount\":0,\"maxTypoCount\":1,\"score\":1.0},\"proximity\":{\"o"
         "rder\":2,\"score\":1.0},\"attributeRank\":{\"order\":3,\"score\":1.0},\"wordPosition\":{\""
         "order\":4,\"score\":0.9090909090909091},\"exactness\":{\"order\":5,\"matchType\":\"noExact"
         "Match\",\"matchingWords\":1,\"maxMatchingWords\":1,\"score\":0.3333333333333333}}}}]"},
	{"a listing",
         "{\"documents\":true,\"q\":\"dog\",\"sort\":[\"id:desc\"],\"fields\":[\"*\",\"hidden\",\"id\"],"
         "\"ids\":[\"c\",\"a\",\"x\"]}",
         2,
         "\"total\":2,\"known\":0,\"terms\":0,\"hits\":[{\"p\":7,\"rank\":\"019cffff\",\"ts\":0,\"se"
         "q\":0,\"id\":\"c\",\"doc\":{\"id\":\"c\"}},{\"p\":4,\"rank\":\"019effff\",\"ts\":0,\"seq\""
         ":0,\"id\":\"a\",\"doc\":{\"id\":\"a\"}}]"},
	{"facets", "{\"facets\":[\"n\"],\"limit\":0}", 2,
         "\"total\":3,\"known\":0,\"terms\":0,\"facets\":{\"n\":{\"values\":[{\"key\":\"1\",\"number"
         "\":true,\"value\":\"1\",\"count\":2},{\"key\":\"2.5\",\"number\":true,\"value\":\"2.5\",\""
         "count\":1}],\"min\":1.0,\"max\":2.5}},\"hits\":[]"},
	{"facets and total of what any of several finds, each document once",
         "{\"facets\":[\"n\"],\"documents\":true,\"ids\":[],\"union\":[{\"q\":\"red\",\"limit\":0},{\"q\":"
         "\"cat\",\"filter\":\"n = 1\",\"limit\":0},{\"q\":\"cat\",\"limit\":0,\"filter\":\"n > 2\"}]}",
         2,
         "\"total\":3,\"known\":0,\"terms\":0,\"facets\":{\"n\":{\"values\":[{\"key\":\"1\",\"number"
         "\":true,\"value\":\"1\",\"count\":2},{\"key\":\"2.5\",\"number\":true,\"value\":\"2.5\",\""
         "count\":1}],\"min\":1.0,\"max\":2.5}},\"hits\":[]"},
	{"hits of one, facets of others",
         "{\"facets\":[\"n\"],\"ids\":[\"b\"],\"attributesToRetrieve\":[],\"distinct\":\"n\",\"union\":[{"
         "\"documents\":true,\"ids\":[\"a\",\"c\",\"x\"]}]}",
         2,
         "\"total\":2,\"known\":0,\"terms\":0,\"facets\":{\"n\":{\"values\":[{\"key\":\"1\",\"number"
         "\":true,\"value\":\"1\",\"count\":2}],\"min\":1.0,\"max\":1.0}},\"hits\":[{\"p\":4,\"rank\":"
         "\"\",\"ts\":1,\"seq\":0,\"id\":\"b\",\"distinct\":[\"040000000000000440\"],\"doc\":{}}]"},
	{"a union of nothing", "{\"q\":\"red\",\"limit\":0,\"union\":[]}", 2,
         "\"total\":0,\"known\":1,\"terms\":1,\"hits\":[]"},
	{"what each counts behind a threshold",
         "{\"documents\":true,\"ids\":[],\"union\":[{\"q\":\"red cat\",\"limit\":2,"
         "\"rankingScoreThreshold\":0.9}]}",
         2, "\"total\":1,\"known\":0,\"terms\":0,\"hits\":[]"},
	{"facet search", "{\"facetName\":\"t\",\"facetQuery\":\"red\"}", 2,
         "\"total\":3,\"known\":0,\"terms\":0,\"facetHits\":[{\"key\":\"red cat\",\"form\":\"red cat"
         "\",\"value\":\"red cat\",\"count\":1},{\"key\":\"red dog\",\"form\":\"red dog\",\"value\":"
         "\"red dog\",\"count\":1}]"},
	{"searched on nothing", "{\"q\":\"red\",\"attributesToSearchOn\":[]}", 2,
         "\"total\":0,\"known\":1,\"terms\":1,\"hits\":[]"},
};

static void test_members(void)
{
	struct world world;

	world_open(&world, "{\"filterableAttributes\":[\"n\",\"t\"],\"displayedAttributes\":[\"id\",\"t\","
	                   "\"n\",\"_geo\"]}");
	world_fill(&world);
	check_rows(&world, rows, sizeof rows / sizeof rows[0]);
	world_close(&world);
}

static const struct row spelled_rows[] = {
	{"alone", "{\"facetName\":\"t\",\"facetQuery\":\"blu\"}", 1,
         "\"total\":1,\"known\":0,\"terms\":0,\"facetHits\":[{\"key\":\"blue\",\"form\":\"blue\","
         "\"value\":\" Blue\",\"count\":1}]"},
	{"with another", "{\"facetName\":\"t\",\"facetQuery\":\"blu\"}", 2,
         "\"total\":2,\"known\":0,\"terms\":0,\"facetHits\":[{\"key\":\"blue\",\"form\":\"blue\","
         "\"value\":\" Blue\",\"count\":2}]"},
	{"not as it is spelled", "{\"facetName\":\"t\",\"facetQuery\":\" blu\"}", 2,
         "\"total\":2,\"known\":0,\"terms\":0,\"facetHits\":[]"},
};

/* Whether a value is found does not depend on who else has it, and how. */
static void test_spelled(void)
{
	struct world world;

	world_open(&world, "{\"filterableAttributes\":[\"t\"]}");
	put(&world, 0, "a", "{\"id\":\"a\",\"t\":\" Blue\"}");
	put(&world, 1, "b", "{\"id\":\"b\",\"t\":\"blue\"}");
	for (size_t i = 0; i < SHARDS; i++)
		world.snapshots[i] = replica_snapshot(world.beds[i].replica);
	check_rows(&world, spelled_rows, sizeof spelled_rows / sizeof spelled_rows[0]);
	world_close(&world);
}

static const struct row aside_rows[] = {
	{"the smallest of all, also of what no hit has; null for none",
         "{\"q\":\"x\",\"spellings\":{\"t\":[\"red "
         "cat\",\"e\u0301cole\",\"bird\",\"\"],\"o.p\":[\"x\"],\"none\":[\"x\"],"
         "\"n\":[]}}",
         2,
         "\"total\":0,\"hits\":[],\"spellings\":{\"t\":[\"RED cat\","
         "\"École\",null,null],\"o.p\":[\"x\"],"
         "\"none\":[null],\"n\":[]}"},
	{"of these shards", "{\"spellings\":{\"t\":[\"red cat\"]}}", 1,
         "\"total\":0,\"hits\":[],\"spellings\":{\"t\":[\"red cat\"]}"},
	{"of none", "{\"spellings\":{\"t\":[\"red cat\"]},\"pathsKnown\":true}", 0,
         "\"total\":0,\"hits\":[],\"spellings\":{\"t\":[null]},\"pathsKnown\":[]"},
	{"paths, and what they are nested in", "{\"pathsKnown\":true}", 2,
         "\"total\":0,\"hits\":[],\"pathsKnown\":[\"_geo\",\"_geo.lat\",\"_geo.lng\",\"id\",\"n\",\"o\",\"o."
         "p\",\"t\"]"},
};

/* What is asked for instead of hits; no settings are looked at. */
static void test_aside(void)
{
	struct world world;

	world_open(&world, "{}");
	put(&world, 1, "d", "{\"id\":\"d\",\"t\":[\"RED cat\",\"École\",\"\"],\"o\":{\"p\":\"x\"}}");
	world_fill(&world);
	search_settings_release(world.settings);
	world.settings = NULL;
	check_rows(&world, aside_rows, sizeof aside_rows / sizeof aside_rows[0]);
	world_close(&world);
}

/* What is refused is refused as a whole, and says whose fault it is. */
static void test_refused(void)
{
	static const struct {
		const char *question;
		int code;
	} refused[] = {
		{"{\"filter\":\"a =\"}", ERROR_FORMAT},
		{"{\"filter\":7}", ERROR_FORMAT},
		{"{\"filter\":{\"a\":1}}", ERROR_FORMAT},
		{"{\"union\":[{\"filter\":7}]}", ERROR_FORMAT},
		{"{\"sort\":[\"a\"]}", ERROR_FORMAT},
		{"{\"q\":\"a b\",\"matchingStrategy\":\"frequency\",\"rarest\":2}", ERROR_FORMAT},
	};
	struct world world;

	world_open(&world, "{}");
	world_fill(&world);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct search_reply reply;
		struct buffer out;

		buffer_init(&out, 1U << 20);
		CU_ASSERT_EQUAL(ask(&world, refused[i].question, SHARDS, &out, &reply), refused[i].code);
		CU_ASSERT_EQUAL(reply.failed, SEARCH_REPLY_NO_SHARD);
		buffer_deinit(&out);
	}
	world_close(&world);
}

/* As ranking is over before it begins, but for what the words tell; with nothing to rank there is no cutoff. */
static const struct row cut_rows[] = {
	{"skipped",
         "{\"q\":\"red "
         "cat\",\"limit\":2,\"scores\":true,\"attributesToRetrieve\":[],\"showRankingScore\":true,"
         "\"showRankingScoreDetails\":true}",
         2,
         "\"cutoff\":true,\"total\":2,\"known\":3,\"terms\":2,\"hits\":[{\"p\":4,\"rank\":\"0000000000000"
         "000ffffffffffffffffffffffffffffffffff\",\"ts\":0,\"seq\":0,\"id\":\"a\",\"score\":[[2,2],[0"
         ",1]],\"doc\":{\"_rankingScore\":0.5,\"_rankingScoreDetails\":{\"words\":{\"order\":0,\"matc"
         "hingWords\":2,\"maxMatchingWords\":2,\"score\":1.0},\"skipped\":{\"order\":1}}}},{\"p\":4,\""
         "rank\":\"0000000100000000ffffffffffffffffffffffffffffffffff\",\"ts\":1,\"seq\":0,\"id\":\""
         "b\",\"score\":[[1,2],[0,1]],\"doc\":{\"_rankingScore\":0.0,\"_rankingScoreDetails\":{\"wor"
         "ds\":{\"order\":0,\"matchingWords\":1,\"maxMatchingWords\":2,\"score\":0.5},\"skipped\":{\"o"
         "rder\":1}}}}]"},
	{"skipped from the first",
         "{\"q\":\"red\",\"sort\":[\"n:desc\"],\"limit\":1,\"scores\":true,\"attributesToRetrieve\":[],"
         "\"matchingStrategy\":\"all\",\"showRankingScore\":true,\"showRankingScoreDetails\":true}",
         2,
         "\"cutoff\":true,\"total\":2,\"known\":1,\"terms\":1,\"hits\":[{\"p\":4,\"rank\":\"00000000fffff"
         "fffffffffffffffffffffffffffffffffffff\",\"ts\":0,\"seq\":0,\"id\":\"a\",\"score\":[[0,1]],\""
         "doc\":{\"_rankingScore\":0.0,\"_rankingScoreDetails\":{\"skipped\":{\"order\":0}}}}]"},
	{"nothing to skip", "{\"limit\":0}", 2, "\"total\":3,\"known\":0,\"terms\":0,\"hits\":[]"},
};

static void test_cutoff(void)
{
	struct world world;

	world_open(&world, "{}");
	world_fill(&world);
	world.late_in = 0;
	world.then = WATCH_TIME_CUTOFF;
	check_rows(&world, cut_rows, sizeof cut_rows / sizeof cut_rows[0]);
	world_close(&world);
}

/* Whenever its time is over the whole reply fails; with time enough it is whole. */
static void test_late(void)
{
	struct search_reply reply;
	struct world world;
	struct buffer out;
	size_t looks = 0;
	int rc = ERROR_TIMEOUT;

	world_open(&world, "{}");
	world_fill(&world);
	buffer_init(&out, 1U << 20);
	world.then = WATCH_TIME_OVER;
	while (rc == ERROR_TIMEOUT && looks < 100) {
		buffer_clear(&out);
		world.late_in = (int)++looks;
		rc = ask(&world, "{}", SHARDS, &out, &reply);
	}
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(looks > SHARDS);
	CU_ASSERT(out.len > 0);
	buffer_deinit(&out);
	world_close(&world);
}

/* No longer than the buffer may be. */
static void test_bounded(void)
{
	struct search_reply reply;
	struct world world;
	struct buffer out;

	world_open(&world, "{}");
	world_fill(&world);
	buffer_init(&out, 64);
	(void)ask(&world, "{}", SHARDS, &out, &reply);
	CU_ASSERT(buffer_failed(&out) || out.len == 0);
	buffer_deinit(&out);
	world_close(&world);
}

int main(void)
{
	CU_TestInfo tests[] = {{"members", test_members}, {"values by any spelling", test_spelled},
	                       {"aside", test_aside},     {"refused", test_refused},
	                       {"late", test_late},       {"the cutoff", test_cutoff},
	                       {"bounded", test_bounded}, CU_TEST_INFO_NULL};

	return suite_run("search_reply", tests);
}
