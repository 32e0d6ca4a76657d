/* The first hits of a large group, most of which is left out before it is ranked, are the first of all that are ranked. */
#include "tests/oracle/search_bed.h"

#include "tests/unit/suite.h"

#include <string.h>

#define DOCUMENTS 1200
#define WORDS_MAX 12

static const struct search_rule by_default[] = {
	{SEARCH_RULE_RANK, .rank = RANK_WORDS},         {SEARCH_RULE_RANK, .rank = RANK_TYPO},
	{SEARCH_RULE_RANK, .rank = RANK_PROXIMITY},     {SEARCH_RULE_RANK, .rank = RANK_ATTRIBUTE_RANK},
	{SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION}, {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};
static const struct search_rule by_attribute[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                  {SEARCH_RULE_RANK, .rank = RANK_TYPO},
                                                  {SEARCH_RULE_RANK, .rank = RANK_ATTRIBUTE},
                                                  {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS},
                                                  {SEARCH_RULE_RANK, .rank = RANK_PROXIMITY}};
static const struct search_rule by_position[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                 {SEARCH_RULE_RANK, .rank = RANK_TYPO},
                                                 {SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION},
                                                 {SEARCH_RULE_RANK, .rank = RANK_PROXIMITY}};
static const struct slice fields[] = {{(const uint8_t *)"b", 1}, {(const uint8_t *)"a", 1}};

static const struct {
	const struct search_rule *rules;
	size_t rules_len;
} orders[] = {
	{by_default, sizeof by_default / sizeof by_default[0]},
	{by_attribute, sizeof by_attribute / sizeof by_attribute[0]},
	{by_position, sizeof by_position / sizeof by_position[0]},
};

static const char *const queries[] = {"lake garden ",
                                      "garden lake",
                                      "lake g",
                                      "s lake ",
                                      "garden of lakes ",
                                      "gaarden lakes ",
                                      "lake garden sunflower ",
                                      "sunflower lake s",
                                      "sun flower lake ",
                                      "lake, garden s",
                                      "the garden lake g",
                                      "\"sunflower lake\" garden ",
                                      "lake lake ",
                                      "garden laakes ",
                                      "garde flowerr lake "};

static const size_t limits[] = {3, 20, 150};

static uint64_t state;

static unsigned random_below(unsigned bound)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
	return (unsigned)((state >> 33) % bound);
}

static void text_put(char *text, size_t size)
{
	static const char *const words[] = {
		"lake",   "lakes",  "garden", "gardens",   "gaarden",      "gardener", "sun",
		"flower", "summer", "seven",  "a",         "the",          "of",       "great",
		"green",  "sunny",  "laake",  "sunflower", "gardeflowerr", "lake",     "garden"};
	static const char *const separators[] = {" ", " ", " ", ", ", ". "};

	text[0] = '\0';
	for (unsigned left = random_below(WORDS_MAX); left > 0; left--)
		(void)snprintf(text + strlen(text), size - strlen(text), "%s%s",
		               words[random_below(sizeof words / sizeof words[0])],
		               separators[random_below(sizeof separators / sizeof separators[0])]);
}

/* On disk in several segments, and in memory. */
static void documents_feed(struct bed *bed)
{
	for (int i = 0; i < DOCUMENTS; i++) {
		char a[160];
		char b[160];
		char body[400];
		char id[16];

		text_put(a, sizeof a);
		text_put(b, sizeof b);
		(void)snprintf(id, sizeof id, "d%d", i);
		(void)snprintf(body, sizeof body, "{\"a\":\"%s\",\"b\":\"%s\"}", a, b);
		bed_feed(bed, id, body);
		if (i % 400 == 0 && i > 400)
			bed_store(bed);
	}
}

static bool is_same(const struct search_hit *a, const struct search_hit *b)
{
	return a->number == b->number && a->rank.len == b->rank.len &&
	       memcmp(a->rank.ptr, b->rank.ptr, a->rank.len) == 0;
}

static void assert_begins(const char *name, const struct search_answer *all,
                          const struct search_answer *first, size_t limit)
{
	size_t same = 0;

	CU_ASSERT_EQUAL_FATAL(first->hits_len, all->hits_len < limit ? all->hits_len : limit);
	while (same < first->hits_len && is_same(&all->hits[same], &first->hits[same]))
		same++;
	if (same < first->hits_len)
		printf("\n%s: hit %zu of %zu is another\n", name, same, limit);
	CU_ASSERT_EQUAL(same, first->hits_len);
}

static void assert_first(struct bed *bed, const char *q, struct search_request request)
{
	struct search_answer all;
	struct search_answer first;
	struct arena arena;

	arena_init(&arena, 4096);
	request.arena = &arena;
	request.searchable = fields;
	request.searchable_len = 2;
	request.limit = DOCUMENTS;
	bed_search(bed, q, request, &all);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		request.limit = limits[i];
		bed_search(bed, q, request, &first);
		assert_begins(q, &all, &first, limits[i]);
		search_answer_deinit(&first);
	}
	search_answer_deinit(&all);
	arena_deinit(&arena);
}

static void test_narrow(void)
{
	struct bed bed = {0};

	bed_open(&bed, "narrow");
	documents_feed(&bed);
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
		for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++) {
			struct search_request request = {.rules = orders[k].rules,
			                                 .rules_len = orders[k].rules_len};

			assert_first(&bed, queries[i], request);
			request.by_attribute = true;
			assert_first(&bed, queries[i], request);
			request.by_attribute = false;
			request.search_on = &fields[1];
			request.search_on_len = 1;
			assert_first(&bed, queries[i], request);
			request.search_on_len = 0;
			request.strategy = RANK_ALL;
			request.rules++;
			request.rules_len--;
			assert_first(&bed, queries[i], request);
		}
	words_free(bed.words);
	replica_close(bed.replica);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the first of many", test_narrow}, CU_TEST_INFO_NULL};

	return suite_run("search_narrow", tests);
}
