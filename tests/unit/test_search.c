/* Searches of a replica in memory and on disk; what ranks them in general is compared with the oracle (tests/oracle). */
#include "tests/oracle/search_bed.h"

#include "tests/unit/suite.h"

#define HITS_MAX 16

static const struct search_rule rules[] = {
	{SEARCH_RULE_RANK, .rank = RANK_WORDS},         {SEARCH_RULE_RANK, .rank = RANK_TYPO},
	{SEARCH_RULE_RANK, .rank = RANK_PROXIMITY},     {SEARCH_RULE_RANK, .rank = RANK_ATTRIBUTE_RANK},
	{SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION}, {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};
static const struct slice everything = {(const uint8_t *)"*", 1};

struct asked {
	const char *q;
	size_t limit;
	struct search_request request; /* but for what follows from the others */
};

/* The ids of the hits, a space behind each. */
static void ids_of(struct bed *bed, const struct asked *asked, char ids[256], uint64_t *total)
{
	struct query_request parsed = {.text = slice_string(asked->q), .prefix_search = true};
	struct search_request request = asked->request;
	struct snapshot *snapshot = replica_snapshot(bed->replica);
	struct search_answer page;
	struct arena arena;
	struct query query;
	struct error error;
	size_t failed;

	arena_init(&arena, 4096);
	parsed.arena = request.arena = &arena;
	request.words = bed->words;
	request.query = &query;
	request.typos.enabled = true;
	request.typos.one = 5;
	request.typos.two = 9;
	request.limit = asked->limit;
	if (request.searchable_len == 0) {
		request.searchable = &everything;
		request.searchable_len = 1;
	}
	CU_ASSERT_EQUAL_FATAL(query_parse(words_text(bed->words), &parsed, &query, &error), 0);
	if (query.terms_len > 0) {
		request.rules = rules + (request.strategy == RANK_ALL);
		request.rules_len = sizeof rules / sizeof rules[0] - (request.strategy == RANK_ALL);
	}
	CU_ASSERT_EQUAL_FATAL(snapshots_search(&snapshot, 1, &request, &page, &failed, &error), 0);
	ids[0] = '\0';
	for (size_t i = 0; i < page.hits_len; i++)
		(void)snprintf(ids + strlen(ids), 256 - strlen(ids), "%.*s ",
		               SLICE_ARGS(page.hits[i].document.id));
	*total = page.total;
	search_answer_deinit(&page);
	arena_deinit(&arena);
	snapshot_release(snapshot);
}

static void assert_found(struct bed *bed, struct asked asked, uint64_t total, const char *expected)
{
	uint64_t found;
	char ids[256];

	ids_of(bed, &asked, ids, &found);
	if (strcmp(ids, expected) != 0 || found != total)
		printf("\n%s: got %lu: %s\n", asked.q, (unsigned long)found, ids);
	CU_ASSERT_STRING_EQUAL(ids, expected);
	CU_ASSERT_EQUAL(found, total);
}

static void open_bed(struct bed *bed, const char *directory)
{
	*bed = (struct bed){0};
	bed_open(bed, directory);
}

static void close_bed(struct bed *bed)
{
	words_free(bed->words);
	replica_close(bed->replica);
}

/* Words, typos, distances; ties in the order of insertion; wherever the documents are. */
static void assert_ranked(struct bed *bed)
{
	assert_found(bed, (struct asked){"lake garden", 10, {0}}, 5, "both far near lake one ");
	assert_found(bed, (struct asked){"lake garden", 2, {0}}, 5, "both far ");
	assert_found(bed, (struct asked){"lake garden", 0, {0}}, 5, "");
	assert_found(bed, (struct asked){"lake garden", 10, {.strategy = RANK_ALL}}, 3, "both far near ");
	assert_found(bed, (struct asked){"gardne", 10, {0}}, 4, "other near both far ");
	assert_found(bed, (struct asked){"gar", 10, {0}}, 4, "other near both far ");
	assert_found(bed, (struct asked){"gar ", 10, {0}}, 0, "");
	assert_found(bed, (struct asked){"lake -garden", 10, {0}}, 2, "lake one ");
	assert_found(bed, (struct asked){"-garden", 10, {0}}, 3, "lake one gone ");
	assert_found(bed, (struct asked){"\"lake garden\"", 10, {0}}, 1, "both ");
	assert_found(bed, (struct asked){"", 3, {0}}, 7, "lake one near ");
	assert_found(bed, (struct asked){"nothing", 3, {0}}, 0, "");
}

static void test_search_anywhere(void)
{
	struct bed bed;

	open_bed(&bed, "anywhere");
	bed_feed(&bed, "lake", "{\"t\":\"lake\"}");
	bed_feed(&bed, "one", "{\"t\":\"lake\"}");
	bed_feed(&bed, "near", "{\"t\":\"the garden, lake\"}");
	bed_store(&bed);
	bed_feed(&bed, "both", "{\"t\":\"garden garden\"}");
	bed_feed(&bed, "far", "{\"t\":\"lake and a very large garden\"}");
	bed_store(&bed);
	bed_feed(&bed, "other", "{\"t\":\"garden\"}");
	bed_feed(&bed, "gone", "{\"t\":\"lake garden\"}");
	bed_feed(&bed, "gone", "{}");
	bed_feed(&bed, "both", "{\"t\":\"a lake garden\"}");
	assert_ranked(&bed);
	while (replica_merge(bed.replica))
		continue;
	assert_ranked(&bed);
	bed_store(&bed);
	assert_ranked(&bed);
	close_bed(&bed);
}

/* A field that is not searched on neither matches nor counts; where it is exact, only what was typed does. */
static void test_search_fields(void)
{
	static const struct slice title = {(const uint8_t *)"title", 5};
	static const struct slice body = {(const uint8_t *)"body*", 5};
	struct bed bed;

	open_bed(&bed, "fields");
	bed_feed(&bed, "a", "{\"title\":\"garden\",\"body\":\"lakes\"}");
	bed_feed(&bed, "b", "{\"title\":\"lakes\",\"body\":\"garden\"}");
	assert_found(&bed, (struct asked){"garden", 9, {0}}, 2, "a b ");
	assert_found(&bed, (struct asked){"garden", 9, {.searchable = &title, .searchable_len = 1}}, 1, "a ");
	assert_found(&bed, (struct asked){"garden", 9, {.search_on = &body, .search_on_len = 1}}, 1, "b ");
	assert_found(&bed,
	             (struct asked){"gardne", 9, {.typos = {.attributes = &title, .attributes_len = 1}}}, 1,
	             "b ");
	assert_found(&bed,
	             (struct asked){"garden", 9, {.typos = {.attributes = &title, .attributes_len = 1}}}, 2,
	             "a b ");
	close_bed(&bed);
}

/* Of many equal ones the first come, however many there are. */
static void test_search_ties(void)
{
	struct bed bed;

	open_bed(&bed, "ties");
	for (int i = 0; i < 1500; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "d%d", i);
		bed_feed(&bed, id, i % 100 == 99 ? "{\"t\":\"lake\"}" : "{\"t\":\"a lake\"}");
		(void)replica_merge(bed.replica);
		if (i % 500 == 0)
			bed_store(&bed);
	}
	assert_found(&bed, (struct asked){"lake", 3, {0}}, 1500, "d99 d199 d299 ");
	assert_found(&bed, (struct asked){"lakes", 4, {0}}, 1500, "d99 d199 d299 d399 ");
	close_bed(&bed);
}

/* The same, where the equal ones stand together behind all others. */
static void test_search_ties_late(void)
{
	struct bed bed;

	open_bed(&bed, "late");
	for (int i = 0; i < 3000; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "d%d", i);
		bed_feed(&bed, id, i < 2600 && i != 100 ? "{\"t\":\"garden\"}" : "{\"t\":\"lake\"}");
		if (i % 500 == 0)
			bed_store(&bed);
	}
	assert_found(&bed, (struct asked){"lake", 3, {0}}, 401, "d100 d2600 d2601 ");
	assert_found(&bed, (struct asked){"garden", 3, {0}}, 2599, "d0 d1 d2 ");
	close_bed(&bed);
}

/* A word alone: where all documents have it, one in ten, and where few of them are asked for. The field that is the
 * word comes first. */
static void test_search_single(void)
{
	const struct slice few[] = {slice_string("d3"), slice_string("d4"), slice_string("d750"),
	                            slice_string("d1250")};
	struct bed bed;

	open_bed(&bed, "single");
	for (int i = 0; i < 1500; i++) {
		const char *body = i % 7 == 3 ? "{\"t\":\"garden lake\"}" : "{\"t\":\"lake garden\"}";
		char id[16];

		if (i % 500 == 250)
			body = "{\"t\":\"lake\",\"u\":\"a lake\"}";
		else if (i % 10 == 5)
			body = i == 755 ? "{\"t\":\"pond\",\"u\":\"lake lake\"}"
			                : "{\"t\":\"pond lake\",\"u\":\"lake lake\"}";
		(void)snprintf(id, sizeof id, "d%d", i);
		bed_feed(&bed, id, body);
		(void)replica_merge(bed.replica);
		if (i % 500 == 0)
			bed_store(&bed);
	}
	for (int stored = 0; stored < 2; stored++) {
		assert_found(&bed, (struct asked){"lake ", 6, {0}}, 1500, "d250 d750 d1250 d0 d1 d2 ");
		assert_found(&bed, (struct asked){"la", 3, {0}}, 1500, "d0 d1 d2 ");
		assert_found(&bed, (struct asked){"pond ", 4, {0}}, 150, "d755 d5 d15 d25 ");
		assert_found(&bed, (struct asked){"lake ", 9, {.has_ids = true, .ids = few, .ids_len = 4}}, 4,
		             "d750 d1250 d4 d3 ");
		bed_store(&bed);
	}
	close_bed(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {{"in memory and on disk", test_search_anywhere},
	                       {"fields", test_search_fields},
	                       {"many that are equal", test_search_ties},
	                       {"many that are equal, far behind", test_search_ties_late},
	                       {"a word alone", test_search_single},
	                       CU_TEST_INFO_NULL};

	return suite_run("search", tests);
}
