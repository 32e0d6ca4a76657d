/*
 * Rank: literal costs of every rule, which terms are kept, denominators, the
 * score, what a bound turns away, and any set of nodes under any strategy.
 */
#include "tests/unit/rank_bed.h"

/* ---- matching ---- */

static void test_presence(void)
{
	/* nodes by typos: a 1, ab 2, abc 4, b 8, bc 16, c 32 */
	static const struct {
		const char *name;
		enum rank_strategy strategy;
		uint8_t rarest;
		uint16_t phrases;
		uint32_t nodes[3];
		bool matches;
		uint32_t words;
		uint32_t typos;
	} rows[] = {
		{"last: nothing", RANK_LAST, 0, 0, {0}, false, 0, 0},
		{"last: the first term alone", RANK_LAST, 0, 0, {1}, true, 1, 0},
		{"last: only from the end", RANK_LAST, 0, 0, {1 + 32}, true, 1, 0},
		{"last: not without the first", RANK_LAST, 0, 0, {8 + 32}, false, 0, 0},
		{"last: the n-gram reaches further", RANK_LAST, 0, 0, {1 + 2}, true, 2, 2},
		{"last: all three", RANK_LAST, 0, 0, {1 + 8, 0, 32}, true, 3, 2},
		{"last: an n-gram of three", RANK_LAST, 0, 0, {0, 4, 0}, true, 3, 4},
		{"last: fewest typos", RANK_LAST, 0, 0, {4, 1 + 8, 32}, true, 3, 3},
		{"last: a class is the least one", RANK_LAST, 0, 0, {1, 1, 1}, true, 1, 0},
		{"all: a term is missing", RANK_ALL, 0, 0, {1 + 8}, false, 0, 0},
		{"all: one and an n-gram", RANK_ALL, 0, 0, {1 + 16}, true, 3, 2},
		{"all: n-grams that overlap", RANK_ALL, 0, 0, {2 + 16}, false, 0, 0},
		{"frequency: only the rarest", RANK_FREQUENCY, 2, 0, {32}, true, 1, 0},
		{"frequency: not without it", RANK_FREQUENCY, 2, 0, {1 + 8}, false, 0, 0},
		{"frequency: one in the middle missing", RANK_FREQUENCY, 2, 0, {1 + 32}, true, 2, 0},
		{"frequency: most words before fewest typos", RANK_FREQUENCY, 0, 0, {1, 0, 8}, true, 2, 2},
		{"last with a phrase: any other term", RANK_LAST, 0, 2, {8 + 32}, true, 2, 0},
		{"last with a phrase: not without it", RANK_LAST, 0, 2, {1 + 32}, false, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed *bed = bed_of(3);
		struct rank_presence presence = {0};
		bool matches;

		bed->request.strategy = rows[i].strategy;
		bed->request.rarest = rows[i].rarest;
		bed->request.rules_len = rows[i].strategy == RANK_ALL ? 0 : 6;
		for (size_t k = 0; k < 3; k++)
			bed->query.terms[k].is_phrase = rows[i].phrases >> k & 1;
		rank_plan_init(&bed->plan, &bed->request);
		matches = rank_presence(&bed->plan, rows[i].nodes, &presence);
		if (matches != rows[i].matches || presence.words != rows[i].words ||
		    presence.typos != rows[i].typos)
			(void)printf("%s: %d %u %u\n", rows[i].name, matches, presence.words, presence.typos);
		CU_ASSERT_EQUAL(matches, rows[i].matches);
		CU_ASSERT_EQUAL(presence.words, rows[i].words);
		CU_ASSERT_EQUAL(presence.typos, rows[i].typos);
	}
}

static void test_kept(void)
{
	struct bed *bed = bed_of(3);
	const struct found_row rows[FOUND_MAX] = {{TYPED, 0, 0, 1, {{0, 3}}}, {TYPED, 5, 0, 1, {{0, 9}}}};

	bed->request.strategy = RANK_FREQUENCY;
	bed->request.rarest = 2;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.kept, 1 + 4);
	CU_ASSERT_EQUAL(bed->outcome.costs[0], 1);
	/* a term dropped between them: no neighbours */
	CU_ASSERT_EQUAL(bed->outcome.costs[2], 0);
	CU_ASSERT_EQUAL(bed->outcome.pairs[2][0].highest, 1);
}

/* ---- costs of the rules ---- */

static void test_proximity(void)
{
	static const struct {
		const char *name;
		enum kind left_kind;
		enum kind right_kind;
		size_t left_len;
		size_t right_len;
		struct place left[PLACES_MAX];
		struct place right[PLACES_MAX];
		uint32_t cost;
		uint32_t by_attribute;
	} rows[] = {
		{"next", WORD, WORD, 1, 1, {{0, 4}}, {{0, 5}}, 0, 0},
		{"one between", WORD, WORD, 1, 1, {{0, 4}}, {{0, 6}}, 1, 0},
		{"two between", WORD, WORD, 1, 1, {{0, 4}}, {{0, 7}}, 2, 0},
		{"far", WORD, WORD, 1, 1, {{0, 4}}, {{0, 8}}, 3, 0},
		{"one back", WORD, WORD, 1, 1, {{0, 4}}, {{0, 3}}, 1, 0},
		{"two back", WORD, WORD, 1, 1, {{0, 4}}, {{0, 2}}, 2, 0},
		{"three back", WORD, WORD, 1, 1, {{0, 4}}, {{0, 1}}, 3, 0},
		{"the same place", WORD, WORD, 1, 1, {{0, 4}}, {{0, 4}}, 3, 0},
		{"another field", WORD, WORD, 1, 1, {{0, 4}}, {{1, 5}}, 3, 3},
		{"the end of a field", WORD, WORD, 1, 1, {{0, 65535}}, {{1, 0}}, 3, 3},
		{"not searched on", WORD, WORD, 2, 2, {{0, 1}, {3, 4}}, {{1, 0}, {3, 5}}, 0, 0},
		{"the nearest of several",
	         WORD,
	         WORD,
	         3,
	         3,
	         {{0, 1}, {0, 9}, {1, 5}},
	         {{0, 4}, {0, 20}, {1, 6}},
	         0,
	         0},
		{"after one that is far", WORD, WORD, 2, 2, {{0, 1}, {0, 8}}, {{0, 5}, {0, 10}}, 1, 0},
		{"a phrase on the left", PHRASE, WORD, 2, 1, {{0, 4}, {0, 7}}, {{0, 8}}, 0, 0},
		{"its first word is not its last", PHRASE, WORD, 2, 1, {{0, 4}, {1, 9}}, {{0, 5}}, 3, 3},
		{"a phrase on the right", WORD, PHRASE, 1, 2, {{0, 4}}, {{0, 5}, {1, 9}}, 0, 0},
		{"no phrase backward", WORD, PHRASE, 1, 1, {{0, 4}}, {{0, 3}}, 3, 0},
		{"nor before one", PHRASE, WORD, 1, 1, {{0, 4}}, {{0, 3}}, 3, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed *bed = bed_of(2);
		struct found_row found[FOUND_MAX] = {{rows[i].left_kind, 0, 0, rows[i].left_len, {{0}}},
		                                     {rows[i].right_kind, 2, 0, rows[i].right_len, {{0}}}};
		uint32_t cost;

		memcpy(found[0].places, rows[i].left, sizeof(rows[i].left));
		memcpy(found[1].places, rows[i].right, sizeof(rows[i].right));
		cost = cost_of(bed, RANK_PROXIMITY, found);
		if (cost != rows[i].cost)
			(void)printf("%s: %u\n", rows[i].name, cost);
		CU_ASSERT_EQUAL(cost, rows[i].cost);
		bed->request.by_attribute = true;
		CU_ASSERT_EQUAL(cost_of(bed, RANK_PROXIMITY, found), rows[i].by_attribute);
	}
}

static void test_position(void)
{
	static const struct {
		uint16_t position;
		uint32_t start;
		uint32_t cost;
	} rows[] = {
		{0, 0, 0},   {1, 0, 1},    {2, 0, 2},     {4, 0, 2},      {5, 0, 3},     {7, 0, 3},
		{8, 0, 4},   {11, 0, 4},   {12, 0, 5},    {15, 0, 5},     {16, 0, 6},    {23, 24, 0},
		{24, 32, 0}, {32, 32, 0},  {33, 0, 7},    {64, 0, 7},     {65, 0, 8},    {256, 0, 8},
		{257, 0, 9}, {1024, 0, 9}, {1025, 0, 10}, {65535, 0, 10}, {0, 1, 1},     {0, 24, 6},
		{0, 25, 7},  {16, 16, 4},  {3, 9, 3},     {0, 257, 9},    {0, 1025, 10}, {65535, 8999, 10},
	};
	/* an n-gram's words are measured each from the one start: 2 + 2, 1 + 2 */
	const struct found_row pair[FOUND_MAX] = {{WORD, 1, 0, 2, {{0, 3}, {1, 1}}}};
	const struct found_row phrase[FOUND_MAX] = {{PHRASE, 0, 0, 2, {{0, 3}, {0, 0}}}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed *bed = bed_of(1);
		const struct found_row found[FOUND_MAX] = {{WORD, 0, 0, 1, {{3, rows[i].position}}}};
		uint32_t cost;

		bed->query.terms[0].start = bed->query.terms[0].end = rows[i].start;
		cost = cost_of(bed, RANK_WORD_POSITION, found);
		if (cost != rows[i].cost)
			(void)printf("%u from %u: %u\n", rows[i].position, rows[i].start, cost);
		CU_ASSERT_EQUAL(cost, rows[i].cost);
	}
	CU_ASSERT_EQUAL(cost_of(bed_of(2), RANK_WORD_POSITION, pair), 3);
	CU_ASSERT_EQUAL(cost_of(bed_of(1), RANK_WORD_POSITION, phrase), 2);
}

static void test_attribute(void)
{
	/* what is not searched on has no weight; a phrase is where its first word is */
	const struct found_row far[FOUND_MAX] = {{WORD, 0, 0, 2, {{2, 0}, {3, 0}}}};
	const struct found_row both[FOUND_MAX] = {{WORD, 0, 0, 1, {{2, 0}}},
	                                          {PHRASE, 0, 1, 2, {{1, 9}, {0, 9}}}};
	const struct found_row pair[FOUND_MAX] = {{WORD, 1, 0, 1, {{2, 0}}}};
	struct bed *bed;

	CU_ASSERT_EQUAL(cost_of(bed_of(1), RANK_ATTRIBUTE_RANK, far), 2);
	CU_ASSERT_EQUAL(cost_of(bed_of(1), RANK_ATTRIBUTE_RANK, both), 1);
	CU_ASSERT_EQUAL(cost_of(bed_of(2), RANK_ATTRIBUTE_RANK, pair), 4);
	bed = bed_of(1);
	CU_ASSERT_EQUAL(cost_of(bed, RANK_ATTRIBUTE, both), 1 * 128 + 0);
	CU_ASSERT_EQUAL(bed->outcome.pairs[0][0].rank, 2);
	CU_ASSERT_EQUAL(bed->outcome.pairs[0][0].highest, 3);
	CU_ASSERT_EQUAL(bed->outcome.pairs[0][1].rank, 11);
	CU_ASSERT_EQUAL(bed->outcome.pairs[0][1].highest, 11);
}

static void test_exactness(void)
{
	static const struct {
		const char *name;
		uint16_t known;
		uint16_t words; /* of field 0 */
		struct found_row found[FOUND_MAX];
		uint32_t cost;
	} rows[] = {
		{"the field is the query", 3, 2, {{TYPED, 0, 0, 1, {{0, 0}}}, {TYPED, 2, 0, 1, {{0, 1}}}}, 0},
		{"it begins with it", 3, 3, {{TYPED, 0, 0, 1, {{0, 0}}}, {TYPED, 2, 0, 1, {{0, 1}}}}, 16},
		{"another place", 3, 2, {{TYPED, 0, 0, 1, {{0, 1}}}, {TYPED, 2, 0, 1, {{0, 2}}}}, 32},
		{"two fields", 3, 2, {{TYPED, 0, 0, 1, {{0, 0}}}, {TYPED, 2, 0, 1, {{1, 1}}}}, 32},
		{"not searched on", 3, 2, {{TYPED, 0, 0, 1, {{3, 0}}}, {TYPED, 2, 0, 1, {{3, 1}}}}, 32},
		{"places of one field, words of another",
	         3,
	         9,
	         {{TYPED, 0, 0, 2, {{0, 5}, {1, 0}}}, {TYPED, 2, 0, 2, {{0, 9}, {3, 1}}}},
	         16},
		{"a tail that is not typed",
	         3,
	         2,
	         {{TYPED, 0, 0, 1, {{0, 0}}}, {WORD, 2, 0, 1, {{0, 1}}}},
	         32 + 1},
		{"a tail unknown to the index",
	         1,
	         1,
	         {{TYPED, 0, 0, 1, {{0, 0}}}, {WORD, 2, 1, 1, {{0, 1}}}},
	         0 + 1},
		{"a head unknown to the index",
	         2,
	         2,
	         {{WORD, 0, 1, 1, {{0, 0}}}, {TYPED, 2, 0, 1, {{0, 1}}}},
	         32 + 1},
		{"an n-gram", 3, 1, {{WORD, 1, 0, 1, {{0, 0}}}}, 32 + 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed *bed = bed_of(2);
		uint32_t cost;

		bed->request.known = rows[i].known;
		bed->fields[0] = (struct rank_field){0, rows[i].words};
		cost = cost_of(bed, RANK_EXACTNESS, rows[i].found);
		if (cost != rows[i].cost)
			(void)printf("%s: %u\n", rows[i].name, cost);
		CU_ASSERT_EQUAL(cost, rows[i].cost);
	}
}

/* Thirty words may be the query itself, more are not. */
static void test_exactness_of_a_phrase(void)
{
	static struct slice words[] = {{(const uint8_t *)"w", 1}};
	const struct found_row found[FOUND_MAX] = {{PHRASE, 0, 0, 1, {{0, 2}}}};
	static const uint32_t costs[][2] = {{30, 0}, {31, 16}};

	for (size_t i = 0; i < 2; i++) {
		struct bed *bed = bed_of(1);

		bed->query.terms[0].is_phrase = true;
		bed->query.terms[0].phrase = (struct query_phrase){words, 1};
		bed->query.terms[0].start = 2;
		bed->query.terms[0].end = 1 + costs[i][0];
		bed->fields[0] = (struct rank_field){0, (uint16_t)costs[i][0]};
		CU_ASSERT_EQUAL(cost_of(bed, RANK_EXACTNESS, found), costs[i][1]);
	}
}

/* Its second word is looked for one place further. */
static void test_exactness_of_two_words(void)
{
	static struct slice words[] = {{(const uint8_t *)"v", 1}, {(const uint8_t *)"w", 1}};
	static const struct {
		uint16_t second;
		uint32_t cost;
	} rows[] = {{3, 0}, {2, 32}, {4, 32}};

	for (size_t i = 0; i < 3; i++) {
		const struct found_row found[FOUND_MAX] = {{PHRASE, 0, 0, 2, {{0, 2}, {0, rows[i].second}}}};
		struct bed *bed = bed_of(1);

		bed->query.terms[0] = (struct query_term){
			.is_phrase = true, .phrase = {words, 2}, .start = 2, .end = 3, .words = 2};
		bed->fields[0] = (struct rank_field){0, 2};
		CU_ASSERT_EQUAL(cost_of(bed, RANK_EXACTNESS, found), rows[i].cost);
	}
}

/* ---- rules in order ---- */

/* After typo a word that stands only with typos is not asked for as typed: it does not spoil what leads. */
static void test_typo_then_exactness(void)
{
	static const enum rank_rule rules[] = {RANK_TYPO, RANK_EXACTNESS};
	const struct found_row rows[FOUND_MAX] = {{TYPED, 0, 0, 1, {{0, 0}}}, {WORD, 2, 1, 1, {{0, 1}}}};
	struct bed *bed = bed_of(2);

	bed->request.strategy = RANK_ALL;
	bed->request.rules = rules;
	bed->request.rules_len = 2;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.costs[1], 16 + 1);
}

/* After exactness only the typed word counts, and it costs no typos, but for one too short for them. */
static void test_exactness_then_others(void)
{
	static const enum rank_rule rules[] = {RANK_EXACTNESS, RANK_PROXIMITY, RANK_TYPO};
	const struct found_row rows[FOUND_MAX] = {
		{TYPED, 0, 0, 1, {{0, 0}}}, {PHRASE, 0, 0, 1, {{0, 5}}}, {TYPED, 2, 0, 1, {{0, 6}}}};
	struct bed *bed = bed_of(2);

	bed->request.strategy = RANK_ALL;
	bed->request.rules = rules;
	bed->request.rules_len = 3;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.costs[1], 3);
	CU_ASSERT_EQUAL(bed->outcome.pairs[2][0].highest, 2);
}

/* A word at 0 typos far off, and similar ones near: what typo rules out is not looked at after it. */
static void test_order(void)
{
	static const enum rank_rule typo_first[] = {RANK_WORDS, RANK_TYPO, RANK_PROXIMITY};
	static const enum rank_rule proximity_first[] = {RANK_WORDS, RANK_PROXIMITY, RANK_TYPO};
	const struct found_row rows[FOUND_MAX] = {{TYPED, 0, 0, 1, {{0, 0}}},
	                                          {TYPED, 2, 0, 1, {{0, 9}}},
	                                          {WORD, 2, 1, 1, {{0, 1}}},
	                                          {WORD, 1, 0, 1, {{0, 30}}}};
	struct bed *bed = bed_of(2);

	bed->request.rules = typo_first;
	bed->request.rules_len = 3;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.costs[1], 0);
	CU_ASSERT_EQUAL(bed->outcome.costs[2], 3);
	CU_ASSERT_EQUAL(bed->work.paths_len, 1);
	bed->request.rules = proximity_first;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.costs[1], 0);
	CU_ASSERT_EQUAL(bed->outcome.costs[2], 0);
}

/* Under RANK_ALL the first rule counts down from the worst path of the query, the others from the first one left. */
static void test_highest(void)
{
	static const enum rank_rule rules[] = {RANK_TYPO, RANK_PROXIMITY, RANK_EXACTNESS};
	const struct found_row rows[FOUND_MAX] = {{TYPED, 0, 0, 1, {{0, 0}}}, {TYPED, 2, 0, 1, {{0, 1}}}};
	struct bed *bed = bed_of(2);

	bed->request.rules = rules;
	bed->request.rules_len = 3;
	bed->request.strategy = RANK_ALL;
	CU_ASSERT_EQUAL(bed_rank(bed, rows, no_bound), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->outcome.pairs[0][0].highest, 4); /* joined: a split and two words */
	CU_ASSERT_EQUAL(bed->outcome.pairs[1][0].highest, 4);
	CU_ASSERT_EQUAL(bed->outcome.pairs[2][1].highest, 3);
	CU_ASSERT_EQUAL(bed->outcome.pairs[2][1].rank, 3);
}

static void test_bound(void)
{
	static const struct {
		uint32_t costs[6];
		size_t len;
		enum rank_verdict verdict;
	} rows[] = {
		{{0}, 0, RANK_MATCH},
		{{0, 0, 1, 1, 4, 32}, 6, RANK_MATCH},
		{{0, 0, 1, 1, 4, 31}, 6, RANK_WORSE},
		{{0, 0, 1, 1, 4, 31}, 5, RANK_MATCH},
		{{0, 0, 0, 9, 9, 99}, 6, RANK_WORSE},
		{{0, 0, 0, 9, 9, 99}, 2, RANK_MATCH},
		{{0, 1, 0, 0, 0, 0}, 6, RANK_MATCH},
		{{1, 0, 0, 0, 0, 0}, 6, RANK_MATCH},
	};
	const struct found_row found[FOUND_MAX] = {{TYPED, 0, 0, 1, {{0, 2}}},
	                                           {TYPED, 2, 0, 2, {{0, 4}, {1, 9}}}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed *bed = bed_of(2);
		static const uint16_t last_weights[] = {1, 0};

		bed->request.weights = last_weights;
		bed->request.weights_len = 2;
		CU_ASSERT_EQUAL(bed_rank(bed, found, (struct rank_bound){rows[i].costs, rows[i].len}),
		                rows[i].verdict);
	}
}

static void test_score(void)
{
	static const struct rank_pair pairs[] = {{1, 1}, {2, 3}, {4, 4}, {11, 11}, {1, 3}, {2, 2}};

	CU_ASSERT_EQUAL(rank_score(pairs, 0), 1.0);
	CU_ASSERT_EQUAL(rank_score(pairs, 2), 2.0 / 3);
	CU_ASSERT_EQUAL(rank_score(pairs, 3), 8.0 / 12);
	CU_ASSERT_EQUAL(rank_score(pairs, 6), 524.0 / 792);
	CU_ASSERT_EQUAL(rank_rule_score(RANK_EXACTNESS, &pairs[4]), 2.0 / 6);
	CU_ASSERT_EQUAL(rank_rule_score(RANK_EXACTNESS, &pairs[1]), 2.0 / 3);
	CU_ASSERT_EQUAL(rank_rule_score(RANK_ATTRIBUTE, &pairs[1]), 8.0 / 12);
}

/* ---- any nodes ---- */

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Ten terms, of which any nodes are there: matching agrees with itself, and no query has more paths than there is room. */
static void test_any_nodes(void)
{
	static const struct place place = {0, 0};
	struct bed *bed = bed_of(QUERY_TERMS_MAX);
	struct rank_found found = {bed->nodes, {no_fields, NULL}};
	uint32_t seed = 7;
	size_t paths_most = 0;

	for (size_t i = 0; i < 3000; i++) {
		struct rank_presence presence;
		uint32_t nodes[3] = {0};
		bool all = i % 3 == RANK_ALL;
		uint32_t density = 1 + random_next(&seed) % 8;
		enum rank_verdict verdict;

		memset(bed->nodes, 0, sizeof(bed->nodes));
		for (size_t k = 0; k < bed->query.nodes_len; k++) {
			uint32_t typos = random_next(&seed) % 3;

			if (random_next(&seed) % 8 >= density)
				continue;
			bed->nodes[k].typos[typos].words = (struct places){&place, 1};
			nodes[typos] |= (uint32_t)1 << k;
		}
		bed->request.strategy = (enum rank_strategy)(i % 3);
		bed->request.rarest = (uint8_t)(random_next(&seed) % QUERY_TERMS_MAX);
		bed->request.rules = default_rules + all;
		bed->request.rules_len = all ? 1 : 2;
		rank_plan_init(&bed->plan, &bed->request);
		verdict = rank_document(&bed->plan, &found, no_bound, &bed->work, &bed->outcome);
		CU_ASSERT_EQUAL(verdict == RANK_MATCH, rank_presence(&bed->plan, nodes, &presence));
		if (verdict != RANK_MATCH)
			continue;
		CU_ASSERT_EQUAL(presence.typos, bed->outcome.costs[!all]);
		CU_ASSERT_EQUAL(presence.words, (uint32_t)__builtin_popcount(bed->outcome.kept));
		paths_most = bed->work.paths_len > paths_most ? bed->work.paths_len : paths_most;
	}
	CU_ASSERT_TRUE(paths_most > 1);
}

/* Every node is there: 274 ways to cover ten terms. */
static void test_all_nodes(void)
{
	static const struct place place = {0, 0};
	struct bed *bed = bed_of(QUERY_TERMS_MAX);
	struct rank_found found = {bed->nodes, {no_fields, NULL}};

	for (size_t k = 0; k < bed->query.nodes_len; k++)
		bed->nodes[k].typos[0].words = (struct places){&place, 1};
	bed->request.rules_len = 1;
	rank_plan_init(&bed->plan, &bed->request);
	CU_ASSERT_EQUAL(rank_document(&bed->plan, &found, no_bound, &bed->work, &bed->outcome), RANK_MATCH);
	CU_ASSERT_EQUAL(bed->work.paths_len, 274);
	CU_ASSERT_EQUAL(bed->outcome.kept, 1023);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"presence", test_presence},
		{"kept terms", test_kept},
		{"proximity", test_proximity},
		{"word position", test_position},
		{"attribute rank", test_attribute},
		{"exactness", test_exactness},
		{"exactness of a phrase", test_exactness_of_a_phrase},
		{"exactness of two words", test_exactness_of_two_words},
		{"typo, then exactness", test_typo_then_exactness},
		{"exactness, then others", test_exactness_then_others},
		{"order of rules", test_order},
		{"highest ranks", test_highest},
		{"bound", test_bound},
		{"score", test_score},
		{"any nodes", test_any_nodes},
		{"all nodes", test_all_nodes},
		CU_TEST_INFO_NULL,
	};

	return suite_run("rank", tests);
}
