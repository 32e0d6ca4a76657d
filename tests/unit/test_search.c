/* Searches of a replica in memory and on disk; what ranks them in general is compared with the oracle (tests/oracle). */
#include "tests/oracle/search_bed.h"

#include "tests/unit/suite.h"

#define HITS_MAX 16

static const enum rank_rule rules[] = {RANK_WORDS, RANK_TYPO, RANK_PROXIMITY, RANK_ATTRIBUTE_RANK,
                                       RANK_WORD_POSITION};
static const struct slice everything = {(const uint8_t *)"*", 1};

static void put(struct bed *bed, const char *id, const char *body)
{
	struct memtable *memtable = memtable_new(bed->offset);

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	bed_put(bed, memtable, slice_string(id), slice_string(body));
	bed_receive(bed, memtable);
	memtable_free(memtable);
}

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
	struct search_page page;
	struct arena arena;
	struct query query;
	struct error error;

	arena_init(&arena, 4096);
	parsed.arena = request.arena = &arena;
	request.query = &query;
	request.rules = rules + (request.strategy == RANK_ALL);
	request.rules_len = sizeof rules / sizeof rules[0] - (request.strategy == RANK_ALL);
	request.typos.enabled = true;
	request.typos.one = 5;
	request.typos.two = 9;
	request.limit = asked->limit;
	if (request.searchable_len == 0) {
		request.searchable = &everything;
		request.searchable_len = 1;
	}
	CU_ASSERT_EQUAL_FATAL(query_parse(bed->text, &parsed, &query, &error), 0);
	CU_ASSERT_EQUAL_FATAL(snapshot_rank(snapshot, &request, &page, &error), 0);
	ids[0] = '\0';
	for (size_t i = 0; i < page.hits_len; i++)
		(void)snprintf(ids + strlen(ids), 256 - strlen(ids), "%.*s ",
		               SLICE_ARGS(page.hits[i].document.id));
	*total = page.total;
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
	text_free(bed->text);
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
	put(&bed, "lake", "{\"t\":\"lake\"}");
	put(&bed, "one", "{\"t\":\"lake\"}");
	put(&bed, "near", "{\"t\":\"the garden, lake\"}");
	bed_store(&bed);
	put(&bed, "both", "{\"t\":\"garden garden\"}");
	put(&bed, "far", "{\"t\":\"lake and a very large garden\"}");
	bed_store(&bed);
	put(&bed, "other", "{\"t\":\"garden\"}");
	put(&bed, "gone", "{\"t\":\"lake garden\"}");
	put(&bed, "gone", "{}");
	put(&bed, "both", "{\"t\":\"a lake garden\"}");
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
	put(&bed, "a", "{\"title\":\"garden\",\"body\":\"lakes\"}");
	put(&bed, "b", "{\"title\":\"lakes\",\"body\":\"garden\"}");
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
		put(&bed, id, i % 100 == 99 ? "{\"t\":\"lake\"}" : "{\"t\":\"a lake\"}");
		(void)replica_merge(bed.replica);
		if (i % 500 == 0)
			bed_store(&bed);
	}
	assert_found(&bed, (struct asked){"lake", 3, {0}}, 1500, "d99 d199 d299 ");
	assert_found(&bed, (struct asked){"lakes", 4, {0}}, 1500, "d99 d199 d299 d399 ");
	close_bed(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {{"in memory and on disk", test_search_anywhere},
	                       {"fields", test_search_fields},
	                       {"many that are equal", test_search_ties},
	                       CU_TEST_INFO_NULL};

	return suite_run("search", tests);
}
