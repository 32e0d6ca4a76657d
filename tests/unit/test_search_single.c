/*
 * A word alone, of a replica on disk, where what is known of long lists says what is asked, beside one in memory, where
 * every list is read: the same hits in the same order, when they are first asked for and afterwards.
 */
#include "tests/oracle/search_bed.h"

#include "shard/core/known_lists.h"
#include "tests/unit/suite.h"

#include <string.h>

#define DOCUMENTS (6 * KNOWN_DOCUMENTS_MIN) /* several words are known of half of them */
#define RENEWED 200
#define WORDS_MAX 4

static const struct search_rule by_default[] = {
	{SEARCH_RULE_RANK, .rank = RANK_WORDS},         {SEARCH_RULE_RANK, .rank = RANK_TYPO},
	{SEARCH_RULE_RANK, .rank = RANK_PROXIMITY},     {SEARCH_RULE_RANK, .rank = RANK_ATTRIBUTE_RANK},
	{SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION}, {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};
/* Whatever begins a field asks for its type. */
static const struct search_rule by_exactness[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                  {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS}};
static const struct search_rule by_position[] = {{SEARCH_RULE_RANK, .rank = RANK_WORDS},
                                                 {SEARCH_RULE_RANK, .rank = RANK_WORD_POSITION}};
static const struct slice fields[] = {{(const uint8_t *)"*", 1}, {(const uint8_t *)"b", 1}};

static const struct {
	const struct search_rule *rules;
	size_t rules_len;
	bool some_fields;
} orders[] = {
	{by_default, sizeof by_default / sizeof by_default[0], false},
	{by_exactness, sizeof by_exactness / sizeof by_exactness[0], false},
	{by_position, sizeof by_position / sizeof by_position[0], false},
	{by_exactness, sizeof by_exactness / sizeof by_exactness[0], true},
};

static const char *const queries[] = {"lake ",   "lake",  "la",      "garden ", "gaarden ", "ga",
                                      "laakes ", "sun ",  "s",       "rare ",   "rar",      "lake rare ",
                                      "flower ", "tide,", "\"sun\"", "x-lake"};

static const size_t limits[] = {20, DOCUMENTS, 20};

static uint64_t state;

static unsigned random_below(unsigned bound)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
	return (unsigned)((state >> 33) % bound);
}

/* Many fields are one word, or have one several times. */
static void text_put(char *text, size_t size)
{
	static const char *const words[] = {"lake",   "lake",    "lake",   "lakes", "garden",
	                                    "garden", "gaarden", "garden", "sun",   "sunny",
	                                    "flower", "laake",   "tide"};
	unsigned left = random_below(WORDS_MAX);

	(void)snprintf(text, size, "%s",
	               random_below(20) == 0 ? "rare" : words[random_below(sizeof words / sizeof words[0])]);
	for (; left > 0; left--)
		(void)snprintf(text + strlen(text), size - strlen(text), "%s%s",
		               random_below(8) == 0 ? ". " : " ",
		               words[random_below(sizeof words / sizeof words[0])]);
	if (random_below(50) == 0)
		for (unsigned i = random_below(40); i > 0; i--)
			(void)snprintf(text + strlen(text), size - strlen(text), " %s", words[i % 5]);
}

struct beds {
	struct bed disk;
	struct bed memory;
};

static void feed(struct beds *beds, unsigned number)
{
	char a[400];
	char b[400];
	char body[900];
	char id[16];

	text_put(a, sizeof a);
	text_put(b, sizeof b);
	(void)snprintf(id, sizeof id, "d%u", number);
	(void)snprintf(body, sizeof body,
	               random_below(3) == 0 ? "{\"a\":\"%s\"}" : "{\"a\":\"%s\",\"b\":\"%s\"}", a, b);
	bed_feed(&beds->disk, id, body);
	bed_feed(&beds->memory, id, body);
	while (replica_merge(beds->disk.replica) || replica_merge(beds->memory.replica))
		;
}

static bool is_same(const struct search_hit *a, const struct search_hit *b)
{
	return slice_equal(a->document.id, b->document.id) && slice_equal(a->rank, b->rank);
}

/* How many hits there were. */
static size_t assert_same(struct beds *beds, const char *q, struct search_request request)
{
	struct search_answer disk;
	struct search_answer memory;
	struct arena arena;
	size_t same = 0;

	arena_init(&arena, 4096);
	request.arena = &arena;
	bed_search(&beds->disk, q, request, &disk);
	bed_search(&beds->memory, q, request, &memory);
	CU_ASSERT_EQUAL(disk.total, memory.total);
	CU_ASSERT_EQUAL_FATAL(disk.hits_len, memory.hits_len);
	while (same < disk.hits_len && is_same(&disk.hits[same], &memory.hits[same]))
		same++;
	if (same < disk.hits_len)
		printf("\n%s: hit %zu of %zu is another\n", q, same, disk.hits_len);
	CU_ASSERT_EQUAL(same, disk.hits_len);
	search_answer_deinit(&disk);
	search_answer_deinit(&memory);
	arena_deinit(&arena);
	return same;
}

/* The first search finds what is known of a list, those behind it have it. */
static void assert_all(struct beds *beds)
{
	size_t hits = 0;

	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
		for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++)
			for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
				struct search_request request = {.rules = orders[k].rules,
				                                 .rules_len = orders[k].rules_len,
				                                 .searchable = &fields[orders[k].some_fields],
				                                 .searchable_len = 1,
				                                 .limit = limits[l]};

				hits += assert_same(beds, queries[i], request);
			}
	CU_ASSERT_TRUE(hits > DOCUMENTS * sizeof orders / sizeof orders[0]);
}

static void test_single(void)
{
	struct beds beds = {0};

	bed_open(&beds.disk, "single.disk");
	bed_open(&beds.memory, "single.memory");
	for (unsigned i = 0; i < DOCUMENTS; i++) {
		feed(&beds, i);
		if (i == DOCUMENTS / 2 || i == DOCUMENTS - 1)
			bed_store(&beds.disk);
	}
	assert_all(&beds);
	for (unsigned i = 0; i < RENEWED; i++)
		feed(&beds, random_below(DOCUMENTS + RENEWED));
	assert_all(&beds);
	bed_store(&beds.disk);
	assert_all(&beds);
	words_free(beds.disk.words);
	words_free(beds.memory.words);
	replica_close(beds.disk.replica);
	replica_close(beds.memory.replica);
}

int main(void)
{
	CU_TestInfo tests[] = {{"known or read", test_single}, CU_TEST_INFO_NULL};

	return suite_run("search_single", tests);
}
