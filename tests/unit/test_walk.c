/*
 * Walks through some documents of a snapshot, early and late ones, few and many, give those of a walk through all that
 * are wanted, in the same order: over segments on disk, with and without dead ones, and in memory.
 */
#include "shard/core/walk.h"

#include "tests/oracle/search_bed.h"
#include "tests/unit/suite.h"

#define DOCUMENTS 2000
#define STORED 900 /* so many together */
#define AGAIN 7    /* every such one is put again */
#define ROUNDS 400
#define ASKED_MAX 40

static uint32_t chance(uint32_t *state, uint32_t bound)
{
	*state = *state * 1664525U + 1013904223U; /* Numerical Recipes' */
	return (*state >> 8) % bound;
}

static void document_feed(struct bed *bed, unsigned number)
{
	char id[16];

	(void)snprintf(id, sizeof id, "d%u", number);
	bed_feed(bed, id, "{\"a\":\"b\"}");
}

/* Documents that were put again stand where they stood, with another number. */
static void documents_feed(struct bed *bed)
{
	for (unsigned i = 0; i < DOCUMENTS; i++) {
		document_feed(bed, i);
		if (i % STORED == STORED - 1)
			bed_store(bed);
	}
	for (unsigned i = 0; i < DOCUMENTS / 2; i += AGAIN)
		document_feed(bed, i);
	bed_store(bed);
	for (unsigned i = DOCUMENTS / 4; i < DOCUMENTS; i += 3 * AGAIN)
		document_feed(bed, i);
}

/* At most `most` numbers; how many there are. */
static size_t walked(struct snapshot *snapshot, const struct postings *only, size_t most, uint64_t *numbers)
{
	struct reading reading;
	struct located located;
	struct error error;
	struct walk *walk;
	size_t len = 0;

	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	CU_ASSERT_EQUAL_FATAL(walk_open(&reading, only, &walk, &error), 0);
	while (len < most && walk_next(walk, &located, &error) == 1)
		numbers[len++] = located.number;
	walk_close(walk);
	reading_end(&reading);
	return len;
}

/* Some of the documents from one place of the order on, each with the same chance. */
static void some_choose(uint32_t *state, const uint64_t *all, struct postings *only, bool *chosen)
{
	size_t from = chance(state, DOCUMENTS);
	uint32_t one_in = 1 + chance(state, chance(state, 2) == 0 ? 3 : 300);

	for (size_t i = 0; i < DOCUMENTS; i++) {
		chosen[i] = i >= from && chance(state, one_in) == 0;
		if (chosen[i])
			postings_add(only, all[i]);
	}
}

static void test_some(void)
{
	static uint64_t all[DOCUMENTS + 1];
	static uint64_t found[DOCUMENTS + 1];
	static bool chosen[DOCUMENTS];
	struct snapshot *snapshot;
	uint32_t state = 1;
	struct bed bed = {0};

	bed_open(&bed, "walk");
	documents_feed(&bed);
	snapshot = replica_snapshot(bed.replica);
	CU_ASSERT_EQUAL_FATAL(walked(snapshot, NULL, DOCUMENTS + 1, all), DOCUMENTS);
	for (size_t round = 0; round < ROUNDS; round++) {
		size_t most = 1 + chance(&state, chance(&state, 4) == 0 ? DOCUMENTS : ASKED_MAX);
		struct postings only;
		size_t len;
		size_t at = 0;

		postings_init(&only);
		some_choose(&state, all, &only, chosen);
		len = walked(snapshot, &only, most, found);
		for (size_t i = 0; i < DOCUMENTS && at < most; i++) {
			if (chosen[i])
				CU_ASSERT_TRUE(at < len && found[at] == all[i]);
			at += chosen[i];
		}
		CU_ASSERT_EQUAL(at, len);
		postings_deinit(&only);
	}
	snapshot_release(snapshot);
	replica_close(bed.replica);
	words_free(bed.words);
}

int main(void)
{
	CU_TestInfo tests[] = {{"some of all documents", test_some}, CU_TEST_INFO_NULL};

	return suite_run("walk", tests);
}
