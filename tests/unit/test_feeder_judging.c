/*
 * Feeder: the judgement of a record by what the log held before it, and what
 * of it is told to the replicas.
 */
#include "tests/unit/feeder_judging.h"

/* One replica at `received`, fed by LIVE, nothing known of before. */
static void raise_judging(struct stage *stage, int64_t window, int64_t received)
{
	raise_index(stage, adaptive(), "i", judging_index(window));
	begin_feeding(stage, "i", received);
}

/* A batch to take its contents from: everything read since the last one. */
static struct range next_range(struct stage *stage, int64_t from, int64_t to)
{
	struct range range = expect_batch(stage, from, to);

	answer(stage, RANGE_RESULT_APPLIED, to, 0);
	return range;
}

/* ---- identities ---- */

static void test_identities(void)
{
	static const struct {
		int64_t offset;
		const char *id;
		const char *value;
		const char *key;
		enum fate fate;
	} rows[] = {
		{100, "a", "{\"x\":1}", "k1", FATE_APPLIED},
		{101, "a", "{\"x\":1}", "k1", FATE_DUPLICATE},
		{102, "b", "{\"x\":1}", "k1", FATE_APPLIED}, /* another document */
		{103, "a", "{\"x\":2}", "k1", FATE_REFUSED}, /* another operation */
		{104, "a", "{\"x\":2}", "k1",
	         FATE_DUPLICATE}, /* the last occurrence decides, applied or not */
		{105, "a", "{\"x\":1}", "k1", FATE_REFUSED},
		{106, "a", "{\"x\":1}", "k2", FATE_APPLIED},
		{107, "a", "{\"x\":1}", NULL, FATE_APPLIED},
		{108, "c", NULL, "k3", FATE_APPLIED}, /* a delete */
		{109, "c", NULL, "k3", FATE_DUPLICATE},
		{116, "a", "{\"x\":1}", "k2", FATE_DUPLICATE}, /* the window's last offset, over a hole */
		{127, "a", "{\"x\":1}", "k2", FATE_APPLIED},   /* one further than that from the last */
	};
	struct stage stage;

	raise_judging(&stage, JUDGING_WINDOW, 100);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum fate fate =
			fate_of(&stage, keyed(&stage, record_at(rows[i].offset, rows[i].id, rows[i].value),
		                              rows[i].key, NULL));

		if (fate != rows[i].fate)
			(void)fprintf(stderr, "row %zu\n", i);
		CU_ASSERT_EQUAL(fate, rows[i].fate);
		if (fate == FATE_REFUSED) {
			CU_ASSERT_EQUAL(stage.action.refusal.code, REFUSAL_IDEMPOTENCY_KEY_REUSED);
			CU_ASSERT_EQUAL(stage.action.offset, rows[i].offset);
		}
		if (rows[i].offset == 105)
			CU_ASSERT_PTR_NOT_NULL(strstr(stage.action.refusal.text, "offset 104 "));
	}
	CU_ASSERT_EQUAL(status_of(&stage).duplicates, 4);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 0);
	CU_ASSERT_EQUAL(status_of(&stage).refused, 2);
	CU_ASSERT_EQUAL(status_of(&stage).holes, 6 + 10);
	CU_ASSERT_EQUAL(stage.shelves_asked, 1);
	CU_ASSERT_TRUE(status_of(&stage).window_memory > 0);
	feeder_free(stage.feeder);
}

/* Identities of all that decodes, operations only of what is applied; no dead letter is passed. */
static void test_identities_are_told(void)
{
	static const int64_t told[] = {0, 1, 2};
	struct identity_entry entry;
	struct range range;
	struct stage stage;
	struct error error;
	struct op op;
	size_t at = 0;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	answer(&stage, RANGE_RESULT_ALREADY, 0, 0);
	give_keyed(&stage, 0, "a", "{\"x\":1}", "k");
	(void)next_range(&stage, 0, 1);
	give_keyed(&stage, 1, "a", "{\"x\":1}", "k");
	range = next_range(&stage, 1, 2);
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(range.identities_len, 1);
	CU_ASSERT_EQUAL(range.anchor.offset, 1);
	tick(&stage, 1);
	expect_nothing(&stage);
	give_keyed(&stage, 2, "a", "{\"x\":2}", "k");
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	expect_nothing(&stage);
	give_keyed(&stage, 3, "a", "{\"x\":", "k"); /* does not decode: it has no identity */
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	CU_ASSERT_EQUAL(stage.action.refusal.code, REFUSAL_NOT_JSON);
	give(&stage, 4, "b", "{}");
	acknowledge(&stage, 2, true);
	expect_nothing(&stage);
	acknowledge(&stage, 3, true);
	range = expect_batch(&stage, 2, 5);
	CU_ASSERT_EQUAL(range.ops_len, 1);
	CU_ASSERT_EQUAL(range_next(&range, &at, &op, &error), 1);
	CU_ASSERT_EQUAL(op.offset, 4);
	at = 0;
	CU_ASSERT_EQUAL(range.identities_len, 1);
	CU_ASSERT_TRUE(range_next_identity(&range, &at, &entry));
	CU_ASSERT_EQUAL(entry.offset, told[2]);
	feeder_free(stage.feeder);
}

/* Who has no identities pays nothing for them; who has no window has none. */
static void test_no_identity_no_window(void)
{
	struct stage stage;
	struct range range;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	give(&stage, 0, "a", "{}");
	give_imported(&stage, 1, "a", "s.0/0/1.0");
	give(&stage, 2, NULL, "{}");
	CU_ASSERT_EQUAL(stage.shelves_asked, 0);
	CU_ASSERT_EQUAL(status_of(&stage).window_memory, 0);
	feeder_free(stage.feeder);

	raise_judging(&stage, 0, 0);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(0, "a", "{}"), "k", NULL)), FATE_APPLIED);
	range = next_range(&stage, 0, 1);
	CU_ASSERT_EQUAL(range.identities_len, 0);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(1, "a", "{}"), "k", NULL)), FATE_APPLIED);
	CU_ASSERT_EQUAL(stage.shelves_asked, 0);
	feeder_free(stage.feeder);

	feed_from(&stage, adaptive(), 0); /* contract 1 */
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(0, "a", "{}"), "k", "no origin")),
	                FATE_APPLIED);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(1, "a", "{}"), "k", "no origin")),
	                FATE_APPLIED);
	CU_ASSERT_EQUAL(stage.shelves_asked, 0);
	feeder_free(stage.feeder);
}

/* ---- origins ---- */

static void test_origins(void)
{
	static const struct {
		const char *origin;
		enum fate fate;
	} rows[] = {
		{"s.1/0/5.0", FATE_APPLIED},   {"s.1/0/5.0", FATE_DUPLICATE}, {"s.1/0/5.1", FATE_APPLIED},
		{"s.1/0/4.9", FATE_DUPLICATE}, {"s.1/1/0.0", FATE_APPLIED}, /* another partition */
		{"t.0/0/0.0", FATE_APPLIED},                                /* another source */
		{"s.2/0/0.0", FATE_APPLIED},                                /* another life */
		{"s.1/0/9.0", FATE_DUPLICATE},                              /* the former one has ended */
	};
	struct stage stage;

	raise_judging(&stage, JUDGING_WINDOW, 50);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* whatever the distance */
		int64_t offset = 50 + (int64_t)i * 1000;
		enum fate fate =
			fate_of(&stage, keyed(&stage, record_at(offset, "a", "{}"), NULL, rows[i].origin));

		if (fate != rows[i].fate)
			(void)fprintf(stderr, "row %zu\n", i);
		CU_ASSERT_EQUAL(fate, rows[i].fate);
	}
	CU_ASSERT_EQUAL(status_of(&stage).duplicates, 3);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 3);
	feeder_free(stage.feeder);
}

static void test_origins_are_told(void)
{
	struct origin_entry entry;
	struct range range;
	struct stage stage;
	size_t at = 0;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	give_imported(&stage, 0, "a", "s.1/3/5.2");
	range = next_range(&stage, 0, 1);
	CU_ASSERT_EQUAL(range.origins_len, 1);
	CU_ASSERT_TRUE_FATAL(range_next_origin(&range, &at, &entry));
	CU_ASSERT_EQUAL(entry.offset, 0);
	CU_ASSERT_TRUE(slice_equal(entry.origin.source, slice_string("s")));
	CU_ASSERT_EQUAL(entry.origin.life, 1);
	CU_ASSERT_EQUAL(entry.origin.partition, 3);
	CU_ASSERT_EQUAL(entry.origin.offset, 5);
	CU_ASSERT_EQUAL(entry.origin.n, 2);
	feeder_free(stage.feeder);
}

/* What an origin has decided an identity does not decide again, but it is kept. */
static void test_origin_before_identity(void)
{
	struct range range;
	struct stage stage;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(0, "a", "{\"x\":1}"), "k", "s.0/0/1.0")),
	                FATE_APPLIED);
	(void)next_range(&stage, 0, 1);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(1, "a", "{\"x\":2}"), "k", "s.0/0/1.0")),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 1);
	range = next_range(&stage, 1, 2);
	CU_ASSERT_EQUAL(range.identities_len, 1);
	/* the last occurrence said 2 */
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(2, "a", "{\"x\":2}"), "k", "s.0/0/2.0")),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 1);
	(void)next_range(&stage, 2, 3);
	/* a duplicate by its identity was imported nonetheless */
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(3, "b", "{}"), NULL, "s.0/0/2.0")),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 2);
	feeder_free(stage.feeder);
}

static void test_too_many_sources(void)
{
	struct origin_entry entry;
	struct range range;
	struct stage stage;
	char origin[32];
	size_t at = 0;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	for (int i = 0; i < ORIGINS_MAX; i++) {
		(void)snprintf(origin, sizeof origin, "s.0/%d/0.0", i);
		if (fate_of(&stage, keyed(&stage, record_at(i, "a", "{}"), NULL, origin)) != FATE_APPLIED)
			CU_FAIL_FATAL("a source partition within the bound is refused");
	}
	(void)next_range(&stage, 0, ORIGINS_MAX);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(ORIGINS_MAX, "a", "{}"), "k", "t.0/0/0.0")),
	                FATE_REFUSED);
	CU_ASSERT_EQUAL(stage.action.refusal.code, REFUSAL_TOO_MANY_SOURCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(stage.action.refusal.text, "source t "));
	acknowledge(&stage, ORIGINS_MAX, true);
	range = next_range(&stage, ORIGINS_MAX, ORIGINS_MAX + 1);
	CU_ASSERT_EQUAL(range.identities_len, 1);
	CU_ASSERT_EQUAL(range.origins_len, 0);
	CU_ASSERT_FALSE(range_next_origin(&range, &at, &entry));
	/* known ones go on */
	CU_ASSERT_EQUAL(
		fate_of(&stage, keyed(&stage, record_at(ORIGINS_MAX + 1, "a", "{}"), NULL, "s.0/7/1.0")),
		FATE_APPLIED);
	feeder_free(stage.feeder);
}

/* ---- skips ---- */

static void test_skips(void)
{
	static const int64_t skips[] = {1, 3, 4000};
	struct range range;
	struct stage stage;
	struct error error;
	int64_t offset;
	size_t at = 0;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	CU_ASSERT_EQUAL(feeder_set_skips(stage.feeder, stage.slot, skips, 3, &error), 0);
	give_keyed(&stage, 0, "a", "{}", "k");
	(void)next_range(&stage, 0, 1);
	give_to(&stage, live(&stage), keyed(&stage, record_at(1, "a", "{\"x\":"), "k", "s.0/0/1.0"));
	expect(&stage, FEEDER_ACTION_DEAD_LETTER);
	CU_ASSERT_EQUAL(stage.action.offset, 1);
	CU_ASSERT_EQUAL(stage.action.refusal.code, REFUSAL_SKIPPED);
	expect_nothing(&stage);
	acknowledge(&stage, 1, true);
	range = next_range(&stage, 1, 2);
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(range.identities_len, 0);
	CU_ASSERT_EQUAL(range.skipped_len, 1);
	CU_ASSERT_TRUE(range_next_skipped(&range, &at, &offset));
	CU_ASSERT_EQUAL(offset, 1);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(2, "a", "{}"), "k", "s.0/0/1.0")),
	                FATE_DUPLICATE);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 0); /* nothing of a skipped record is known */
	CU_ASSERT_EQUAL(status_of(&stage).skipped, 1);
	CU_ASSERT_EQUAL(status_of(&stage).refused, 0);
	/* none any more: who reads it now decodes it */
	CU_ASSERT_EQUAL(feeder_set_skips(stage.feeder, stage.slot, NULL, 0, &error), 0);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(3, "a", "{}"), "k2", NULL)), FATE_APPLIED);
	feeder_free(stage.feeder);
}

/* Below the committed offset its letter is known to be there; it is told all the same. */
static void test_skip_below_committed(void)
{
	static const int64_t skips[] = {5};
	struct feeder_asked asked = asked_of(5);
	struct stage stage;
	struct range range;
	struct error error;

	raise_index(&stage, adaptive(), "i", judging_index(JUDGING_WINDOW));
	CU_ASSERT_EQUAL(feeder_set_skips(stage.feeder, stage.slot, skips, 1, &error), 0);
	asked.committed = 6;
	reply(&stage, &asked);
	expect_start(&stage, FEEDER_LANE_LIVE, 5);
	expect_report(&stage, FEEDER_STATE_FEEDING);
	give(&stage, 5, "a", "{}");
	range = expect_batch(&stage, 5, 6);
	CU_ASSERT_EQUAL(range.skipped_len, 1);
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(status_of(&stage).skipped, 1);
	feeder_free(stage.feeder);
}

/* ---- barriers ---- */

static void test_barrier_goes_alone(void)
{
	static const struct record_header header = {{(const uint8_t *)"op", 2},
	                                            {(const uint8_t *)"delete-all", 10}};
	struct record barrier = record_at(1, NULL, NULL);
	struct range range;
	struct batch_reader reader;
	struct stage stage;
	struct error error;

	raise_judging(&stage, JUDGING_WINDOW, 0);
	(void)give(&stage, 0, "a", "{}");
	barrier.headers = &header;
	barrier.headers_len = 1;
	give_to(&stage, live(&stage), barrier);
	give(&stage, 2, "b", "{}");
	expect(&stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage.action.frame, &error), 0);
	for (int64_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
		CU_ASSERT_EQUAL(range.from, i);
		CU_ASSERT_EQUAL(range.to, i + 1);
		CU_ASSERT_EQUAL(range.ops_len, 1);
	}
	feeder_free(stage.feeder);
}

/* ---- the store ---- */

/* A full store makes the partition wait, and changes no verdict. */
static void test_full_store(void)
{
	struct stage stage;
	struct record record;
	struct error error;

	raise_judging(&stage, 4 * WINDOW_LEAF, 0);
	CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(0, "a", "{}"), "k", NULL)), FATE_APPLIED);
	stage.shelves[FEEDER_LANE_LIVE].puts_left = 0;
	record = keyed(&stage, record_at(WINDOW_LEAF, "a", "{}"), "k", "s.0/0/1.0");
	for (int i = 0; i < 3; i++) {
		struct feeder_status before = status_of(&stage);

		CU_ASSERT_EQUAL(feeder_record(stage.feeder, live(&stage), &record, stage.now_ms, &error),
		                ERROR_STORAGE);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_EQUAL(status_of(&stage).position, before.position);
		CU_ASSERT_EQUAL(status_of(&stage).records, 1);
		CU_ASSERT_STRING_EQUAL(status_of(&stage).waits_for, "the shelf is full");
	}
	stage.shelves[FEEDER_LANE_LIVE].puts_left = -1;
	CU_ASSERT_EQUAL(fate_of(&stage, record), FATE_DUPLICATE);
	CU_ASSERT_EQUAL(status_of(&stage).origin_duplicates, 0);
	CU_ASSERT_STRING_EQUAL(status_of(&stage).waits_for, "");
	CU_ASSERT_TRUE(status_of(&stage).window_stored > 0);
	feeder_free(stage.feeder);
}

/* Leaves that nobody can ask for any more make room before more is put. */
static void test_store_is_trimmed(void)
{
	struct stage stage;

	raise_judging(&stage, WINDOW_LEAF, 0);
	for (int64_t leaf = 0; leaf < 10; leaf++) {
		give_keyed(&stage, leaf * WINDOW_LEAF, "a", "{}", "k");
		give_keyed(&stage, (leaf + 1) * WINDOW_LEAF - 1, "a", "{}", "k");
		for (int64_t former = 0; former < leaf - 1; former++)
			CU_ASSERT_PTR_NULL(stage.shelves[FEEDER_LANE_LIVE].bytes[former]);
	}
	CU_ASSERT_PTR_NOT_NULL(stage.shelves[FEEDER_LANE_LIVE].bytes[8]);
	feeder_free(stage.feeder);
	CU_ASSERT_TRUE(shelf_is_empty(&stage.shelves[FEEDER_LANE_LIVE]));
}

/* What the store has damaged or lost is filled anew. */
static void test_damaged_store(void)
{
	for (int lost = 0; lost < 2; lost++) {
		struct feeder_asked asked = asked_of(WINDOW_LEAF);
		struct identity_entry entry;
		struct stage stage;
		struct shelf *shelf = &stage.shelves[FEEDER_LANE_LIVE];
		struct page page;

		raise_judging(&stage, 4 * WINDOW_LEAF, 0);
		give_keyed(&stage, 0, "a", "{}", "k");
		give_keyed(&stage, WINDOW_LEAF - 1, "b", "{}", "k");
		(void)next_range(&stage, 0, 4096);
		give_keyed(&stage, WINDOW_LEAF, "c", "{}", "k");
		CU_ASSERT_PTR_NOT_NULL_FATAL(shelf->bytes[0]);
		if (lost)
			shelf_drop(shelf, 0);
		else
			shelf->bytes[0][20] ^= 1;
		give_keyed(&stage, WINDOW_LEAF + 1, "a", "{}", "k");
		CU_ASSERT_TRUE(strlen(status_of(&stage).waits_for) > 0);
		CU_ASSERT_EQUAL(status_of(&stage).records, 3);
		CU_ASSERT_EQUAL(stage.shelves_asked, 1);
		expect_rewind(&stage);
		asked.replica.has_identities = true;
		reply(&stage, &asked);
		expect_fill(&stage, FEEDER_LANE_LIVE, 0, WINDOW_LEAF, 0);
		entry = identity_at(&stage, 0, "a", "{}", "k");
		page = page_at(WINDOW_LEAF, &entry, 1);
		fill(&stage, &page);
		expect_start(&stage, FEEDER_LANE_LIVE, WINDOW_LEAF);
		CU_ASSERT_STRING_EQUAL(status_of(&stage).waits_for, "");
		CU_ASSERT_EQUAL(fate_of(&stage, keyed(&stage, record_at(WINDOW_LEAF, "c", "{}"), "k", NULL)),
		                FATE_APPLIED);
		CU_ASSERT_EQUAL(
			fate_of(&stage, keyed(&stage, record_at(WINDOW_LEAF + 1, "a", "{}"), "k", NULL)),
			FATE_DUPLICATE);
		CU_ASSERT_EQUAL(stage.shelves_asked, 2);
		feeder_free(stage.feeder);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"identities", test_identities},
		{"identities are told", test_identities_are_told},
		{"no identity, no window", test_no_identity_no_window},
		{"origins", test_origins},
		{"origins are told", test_origins_are_told},
		{"origin before identity", test_origin_before_identity},
		{"too many sources", test_too_many_sources},
		{"skips", test_skips},
		{"skip below the committed offset", test_skip_below_committed},
		{"barrier goes alone", test_barrier_goes_alone},
		{"full store", test_full_store},
		{"store is trimmed", test_store_is_trimmed},
		{"damaged store", test_damaged_store},
		CU_TEST_INFO_NULL,
	};

	return suite_run("feeder_judging", tests);
}
