/*
 * Feeder without memory: the n-th allocation of what a lane keeps fails, for
 * n = 1, 2, 3, … until a whole run passes without one. The record or page is
 * offered again, and everything that comes out is what comes out of a run in
 * which nothing fails.
 */
#include <stdbool.h>
#include <stdlib.h>

static long allocations_left = -1; /* -1: none fails */
static bool has_failed;

static bool fails(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	has_failed = true;
	return true;
}

static void *failing_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

static void *failing_calloc(size_t count, size_t size)
{
	return fails() ? NULL : calloc(count, size);
}

static void *failing_realloc(void *memory, size_t size)
{
	return fails() ? NULL : realloc(memory, size);
}

/* What keeps something over a record, with these in the place of the real ones. */
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#include "shared/base/arena.c"
#include "shared/base/map.c"
#include "shared/record/marks.c"
#include "shared/record/memtable.c"
#undef NONE
#define slot_of window_slot_of /* another one has the name in the catalog */
#include "shared/feed/window.c"
#undef slot_of
#undef malloc
#undef calloc
#undef realloc

#include "tests/unit/feeder_judging.h"

#define RECORDS 40
#define FIRST 1000

/* What a run told the replica. */
struct outcome {
	struct feeder_status status;
	uint64_t operations;
	uint64_t identities;
	uint64_t origins;
	uint64_t skipped;
	uint64_t letters;
};

/* The offsets of what was told, in their order, as one number. */
static void add(uint64_t *sum, int64_t offset)
{
	*sum = *sum * 1099511628211U + (uint64_t)offset; /* FNV's prime */
}

static void take_range(struct outcome *outcome, const struct range *range)
{
	struct identity_entry identity;
	struct origin_entry origin;
	struct error error;
	struct op op;
	int64_t offset;
	size_t at = 0;

	while (range_next(range, &at, &op, &error) == 1)
		add(&outcome->operations, op.offset);
	at = 0;
	while (range_next_identity(range, &at, &identity))
		add(&outcome->identities, identity.offset);
	at = 0;
	while (range_next_origin(range, &at, &origin)) {
		add(&outcome->origins, origin.offset);
		add(&outcome->origins, origin.origin.offset);
	}
	at = 0;
	while (range_next_skipped(range, &at, &offset))
		add(&outcome->skipped, offset);
}

/* A document that needs memory of its own. */
static char large[20000];

/* One of each kind in turn. */
static struct record record_of_kind(struct stage *stage, int64_t at, char text[3][32])
{
	static const char *const values[] = {"{\"x\":1}", "{\"x\":1}", "{\"x\":2}", "{\"x\":1}",
	                                     "{\"x\":",   "{\"x\":1}", large};
	int64_t kind = at % 7;

	(void)snprintf(text[0], 32, "id%d", (int)(at / 7));
	(void)snprintf(text[1], 32, "k%d", (int)(at / 7));
	(void)snprintf(text[2], 32, "s.0/%d/%d.0", (int)(at % 2), (int)(100 + at - (kind == 5 ? 50 : 0)));
	(void)snprintf(large, sizeof large, "{\"x\":\"%019980d\"}", 0);
	return keyed(stage, record_at(FIRST + at, text[0], values[kind]), kind == 6 ? NULL : text[1],
	             kind >= 3 ? text[2] : NULL);
}

static void offer(struct stage *stage, struct record record, struct outcome *outcome)
{
	struct error error;
	int tries = 0;

	stage->record = record;
	while (feeder_record(stage->feeder, live(stage), &stage->record, stage->now_ms, &error) != 0) {
		CU_ASSERT_EQUAL_FATAL(error.code, ERROR_MEMORY);
		CU_ASSERT_TRUE_FATAL(++tries == 1); /* one fails, so the next is taken */
		CU_ASSERT_FALSE(next(stage));
	}
	while (next(stage)) {
		CU_ASSERT_EQUAL(stage->action.kind, FEEDER_ACTION_DEAD_LETTER);
		add(&outcome->letters, stage->action.offset * 100 + (int64_t)stage->action.refusal.code);
		acknowledge(stage, stage->action.offset, true);
	}
}

static void fill_all(struct stage *stage, const struct identity_entry *known)
{
	const struct origin origins[] = {origin_of("s", 0, 101), origin_of("t", 0, 1)};
	struct page page = page_at(FIRST, known, 1);

	page.origins = origins;
	page.origins_len = 2;
	fill(stage, &page);
	if (status_of(stage).waits_for[0] != '\0') {
		tick(stage, FEEDER_RETRY_MS);
		expect_fill(stage, FEEDER_LANE_LIVE, 0, FIRST, 0);
		fill(stage, &page);
	}
	expect_start(stage, FEEDER_LANE_LIVE, FIRST);
	expect_report(stage, FEEDER_STATE_FEEDING);
}

static struct outcome run(long fails_after)
{
	static const int64_t skips[] = {FIRST + 10};
	struct feeder_asked asked = asked_of(FIRST);
	struct batch_reader reader;
	struct identity_entry known;
	struct outcome outcome = {0};
	struct range range;
	struct stage stage;
	struct error error;
	char text[3][32];
	long left;

	raise_index(&stage, options_of((struct flush_rule){.count_max = 4096, .age_ms = 60000}), "i",
	            judging_index(JUDGING_WINDOW));
	CU_ASSERT_EQUAL(feeder_set_skips(stage.feeder, stage.slot, skips, 1, &error), 0);
	asked.replica.has_identities = asked.replica.has_origins = true;
	reply(&stage, &asked);
	expect_fill(&stage, FEEDER_LANE_LIVE, 0, FIRST, 0);
	known = identity_at(&stage, FIRST - 1, "id1", "{\"x\":1}", "k1");
	has_failed = false;
	allocations_left = fails_after;
	fill_all(&stage, &known);
	left = allocations_left;
	allocations_left = -1;
	expect(&stage, FEEDER_ACTION_SEND);
	answer(&stage, RANGE_RESULT_ALREADY, FIRST, FIRST);
	expect_commit(&stage, FIRST);
	allocations_left = left;
	for (int64_t at = 0; at < RECORDS; at++)
		offer(&stage, record_of_kind(&stage, at, text), &outcome);
	allocations_left = -1;
	tick(&stage, 60000);
	expect(&stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage.action.frame, &error), 0);
	while (batch_next(&reader, &range, &error) == 1)
		take_range(&outcome, &range);
	outcome.status = status_of(&stage);
	feeder_free(stage.feeder);
	return outcome;
}

static void test_sweep(void)
{
	struct outcome whole = run(-1);
	long n = 0;

	CU_ASSERT_EQUAL(whole.status.records, RECORDS);
	CU_ASSERT_EQUAL(whole.status.skipped, 1);
	CU_ASSERT_TRUE(whole.status.duplicates > 5 && whole.status.origin_duplicates > 0);
	CU_ASSERT_TRUE(whole.status.origin_duplicates < whole.status.duplicates);
	CU_ASSERT_TRUE(whole.status.refused > 5);
	do {
		struct outcome outcome = run(n++);

		CU_ASSERT_EQUAL(outcome.status.records, whole.status.records);
		CU_ASSERT_EQUAL(outcome.status.duplicates, whole.status.duplicates);
		CU_ASSERT_EQUAL(outcome.status.origin_duplicates, whole.status.origin_duplicates);
		CU_ASSERT_EQUAL(outcome.status.refused, whole.status.refused);
		CU_ASSERT_EQUAL(outcome.status.skipped, whole.status.skipped);
		CU_ASSERT_EQUAL(outcome.status.holes, whole.status.holes);
		CU_ASSERT_EQUAL(outcome.operations, whole.operations);
		CU_ASSERT_EQUAL(outcome.identities, whole.identities);
		CU_ASSERT_EQUAL(outcome.origins, whole.origins);
		CU_ASSERT_EQUAL(outcome.skipped, whole.skipped);
		CU_ASSERT_EQUAL(outcome.letters, whole.letters);
	} while (has_failed);
	CU_ASSERT_TRUE(n > 15);
}

int main(void)
{
	CU_TestInfo tests[] = {{"sweep", test_sweep}, CU_TEST_INFO_NULL};

	return suite_run("feeder_memory", tests);
}
