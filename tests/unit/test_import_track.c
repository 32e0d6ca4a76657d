/*
 * Import tracks: where they begin, what they commit, and that every source
 * record takes effect once, whoever fails, dies or comes back too late.
 */
#include "ingest/core/import_track.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* Millions of them: CUnit keeps no count of those that hold. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			CU_FAIL_FATAL(#condition); \
	} while (0)

static const struct import_anchor none = {.offset = -1};

/* The record of a topic's `life` at an offset. */
static struct record record_at(int64_t offset, int life, char value[32])
{
	int len = snprintf(value, 32, "%d/%d", life, (int)offset);

	return (struct record){.offset = offset,
	                       .timestamp_ms = 1000 + offset,
	                       .key = slice_string("k"),
	                       .value = slice_of(value, (size_t)len)};
}

static struct import_anchor anchor_at(int64_t offset, int life)
{
	char value[32];
	struct record record = record_at(offset, life, value);

	return (struct import_anchor){offset, record.timestamp_ms, record_checksum(&record)};
}

static enum import_take take(struct import_track *track, int64_t offset, int life)
{
	char value[32];
	struct record record = record_at(offset, life, value);

	return import_track_take(track, &record);
}

static uint64_t out(struct import_track *track, int64_t offset, bool waits)
{
	char value[32];
	struct record record = record_at(offset, 1, value);
	struct error error;
	uint64_t ticket = 0;

	CHECK(import_track_take(track, &record) == IMPORT_TAKE_GO);
	CHECK(import_track_out(track, &record, waits, &ticket, &error) == 0);
	return ticket;
}

static int64_t committable(const struct import_track *track)
{
	struct import_point point;

	return import_track_commit(track, &point) ? point.offset : -1;
}

/* ---- anchors ---- */

static void test_anchor_texts(void)
{
	static const char *const refused[] = {"",
	                                      "1",
	                                      "1 5",
	                                      "1 5 6",
	                                      "2 5 6 00000000000000ff",
	                                      "1 -5 6 00000000000000ff",
	                                      "1 5 6 ff",
	                                      "1 5 6 00000000000000ff x",
	                                      " 1 5 6 00000000000000ff",
	                                      "1  5 6 00000000000000ff",
	                                      "1 99999999999999999999 6 00000000000000ff"};
	const struct import_anchor anchor = {INT64_MAX, -1, UINT64_MAX};
	struct import_anchor back;
	char text[IMPORT_ANCHOR_TEXT_BYTES];

	import_anchor_print(&anchor, text);
	CU_ASSERT_STRING_EQUAL(text, "1 9223372036854775807 -1 ffffffffffffffff");
	back = import_anchor_parse(text);
	CU_ASSERT(back.offset == INT64_MAX && back.timestamp_ms == -1 && back.checksum == UINT64_MAX);
	import_anchor_print(&none, text);
	CU_ASSERT_STRING_EQUAL(text, "");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		CU_ASSERT_EQUAL(import_anchor_parse(refused[i]).offset, -1);
}

/* ---- where to begin ---- */

static void test_beginnings(void)
{
	const struct row {
		const char *name;
		struct import_found found;
		int64_t position; /* -1: stops */
		const char *reason;
	} rows[] = {
		{"a new life",
	         {.committed = -1, .anchor = none, .begin = 7, .log_start = 3, .log_end = 9},
	         7,
	         ""},
		{"an anchor in the log",
	         {.committed = 5, .anchor = anchor_at(4, 1), .log_start = 0, .log_end = 9},
	         4,
	         ""},
		{"an anchor that was trimmed",
	         {.committed = 5, .anchor = anchor_at(4, 1), .log_start = 5, .log_end = 9},
	         5,
	         ""},
		{"at the end", {.committed = 9, .anchor = none, .log_start = 9, .log_end = 9}, 9, ""},
		{"trimmed too far",
	         {.committed = 5, .anchor = anchor_at(4, 1), .log_start = 6, .log_end = 9},
	         -1,
	         "begins at 6"},
		{"shorter than it was",
	         {.committed = 10, .anchor = anchor_at(9, 1), .log_start = 0, .log_end = 9},
	         -1,
	         "ends at 9"},
		{"commits that were deleted",
	         {.committed = -1, .begun = true, .anchor = none, .begin = 0, .log_start = 0, .log_end = 9},
	         -1,
	         "not committed any more"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct import_track track;

		import_track_init(&track);
		CU_ASSERT_EQUAL(import_track_begin(&track, &rows[i].found), rows[i].position >= 0);
		if (rows[i].position >= 0)
			CU_ASSERT_EQUAL(track.position, rows[i].position);
		CU_ASSERT_PTR_NOT_NULL(strstr(track.reason, rows[i].reason));
		import_track_restart(&track);
		CU_ASSERT_EQUAL(track.state,
		                rows[i].position >= 0 ? IMPORT_TRACK_ASKING : IMPORT_TRACK_STOPPED);
		import_track_deinit(&track);
	}
}

static void test_anchors_are_compared(void)
{
	const struct import_found found = {
		.committed = 5, .anchor = anchor_at(4, 1), .log_start = 0, .log_end = 9};
	struct import_track track;

	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	CU_ASSERT_EQUAL(take(&track, 4, 1), IMPORT_TAKE_PASS);
	CU_ASSERT_EQUAL(take(&track, 5, 1), IMPORT_TAKE_GO);
	import_track_deinit(&track);
	/* another record at its offset */
	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	CU_ASSERT_EQUAL(take(&track, 4, 2), IMPORT_TAKE_STOP);
	CU_ASSERT_EQUAL(track.state, IMPORT_TRACK_STOPPED);
	CU_ASSERT_PTR_NOT_NULL(strstr(track.reason, "offset 4 holds another record"));
	import_track_deinit(&track);
	/* compacted away */
	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	CU_ASSERT_EQUAL(take(&track, 6, 1), IMPORT_TAKE_GO);
	import_track_deinit(&track);
}

/* ---- commits ---- */

static void test_commits_follow_acknowledgements(void)
{
	const struct import_found found = {
		.committed = -1, .anchor = none, .begin = 10, .log_start = 10, .log_end = 20};
	struct import_point point;
	struct import_track track;
	uint64_t tickets[3];

	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	CU_ASSERT_EQUAL(committable(&track), 10); /* where a life began is kept at once */
	CHECK(import_track_commit(&track, &point));
	CU_ASSERT_EQUAL(point.anchor.offset, -1);
	import_track_committed(&track, &point);
	CU_ASSERT_EQUAL(committable(&track), -1);
	tickets[0] = out(&track, 10, true);
	tickets[1] = out(&track, 12, true);
	(void)out(&track, 13, false);
	tickets[2] = out(&track, 14, true);
	CU_ASSERT_EQUAL(committable(&track), -1);
	import_track_acknowledge(&track, tickets[1]);
	CU_ASSERT_EQUAL(committable(&track), -1); /* 10 is not acknowledged */
	import_track_end(&track, 18);
	CU_ASSERT_EQUAL(committable(&track), -1);
	import_track_acknowledge(&track, tickets[0]);
	CHECK(import_track_commit(&track, &point));
	CU_ASSERT_EQUAL(point.offset, 14);
	CU_ASSERT_EQUAL(point.anchor.offset, 13); /* the one that needed nothing */
	CU_ASSERT_EQUAL(point.anchor.checksum, anchor_at(13, 1).checksum);
	import_track_committed(&track, &point);
	import_track_acknowledge(&track, tickets[2]);
	CU_ASSERT_EQUAL(committable(&track), 15);
	import_track_end(&track, 18);
	CHECK(import_track_commit(&track, &point));
	CU_ASSERT_EQUAL(point.offset, 18); /* behind holes and markers */
	CU_ASSERT_EQUAL(point.anchor.offset, 14);
	import_track_committed(&track, &point);
	import_track_recommit(&track);
	CU_ASSERT_EQUAL(committable(&track), 18);
	import_track_deinit(&track);
}

static void test_tickets_of_the_past(void)
{
	struct import_found found = {
		.committed = -1, .anchor = none, .begin = 0, .log_start = 0, .log_end = 9};
	struct import_track track;
	uint64_t old;
	uint64_t new;

	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	old = out(&track, 0, true);
	import_track_restart(&track);
	CU_ASSERT_EQUAL(track.state, IMPORT_TRACK_ASKING);
	CU_ASSERT_EQUAL(committable(&track), -1);
	found.committed = 0;
	CHECK(import_track_begin(&track, &found));
	new = out(&track, 0, true);
	CU_ASSERT_NOT_EQUAL(old, new);
	import_track_acknowledge(&track, old);
	CU_ASSERT_EQUAL(committable(&track), -1);
	import_track_acknowledge(&track, new);
	CU_ASSERT_EQUAL(committable(&track), 1);
	import_track_deinit(&track);
}

static void test_full(void)
{
	const struct import_found found = {
		.committed = 0, .anchor = none, .log_start = 0, .log_end = 1 << 20};
	struct import_track track;
	uint64_t first;
	uint64_t ticket;

	import_track_init(&track);
	CHECK(import_track_begin(&track, &found));
	first = ticket = out(&track, 0, true);
	for (int64_t offset = 1; offset < IMPORT_TRACK_OUT_MAX; offset++) {
		CHECK(!import_track_is_full(&track));
		ticket = out(&track, offset, true);
	}
	CU_ASSERT_TRUE(import_track_is_full(&track));
	import_track_acknowledge(&track, ticket);
	CU_ASSERT_TRUE(import_track_is_full(&track));
	import_track_acknowledge(&track, first);
	CU_ASSERT_FALSE(import_track_is_full(&track));
	CU_ASSERT_EQUAL(committable(&track), 1);
	import_track_deinit(&track);
}

/* ---- many lives ---- */

#define SOURCE_RECORDS 200
#define LOGS 3 /* partitions of the index's log */
#define LOG_RECORDS_MAX 100000
#define WORKERS 3
#define STEPS 4000
#define SEEDS 300

/* A message on its way to one partition of the log. */
struct message {
	int64_t offset; /* of the source */
	uint64_t ticket;
	bool persisted;
};

/* A producer without gaps: what a partition has of it is a beginning of what it was given. */
struct pipe {
	struct message list[IMPORT_TRACK_OUT_MAX];
	size_t len;
	size_t persisted;
	size_t told;
};

struct worker {
	bool alive;
	bool member; /* whose commits Kafka takes */
	struct import_track track;
	struct pipe pipes[LOGS];
};

struct world {
	uint64_t dice;
	struct import_point committed; /* offset -1: none */
	int64_t log[LOGS][LOG_RECORDS_MAX];
	size_t log_len[LOGS];
	struct worker workers[WORKERS];
	bool commits_early; /* the knock-out */
};

static uint64_t draw(struct world *world, uint64_t below)
{
	uint64_t z = world->dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

/* Some records are no operations; holes are where a transaction ended. */
static bool is_hole(int64_t offset)
{
	return offset % 17 == 16;
}

static bool is_ignored(int64_t offset)
{
	return offset % 5 == 3;
}

static size_t log_of(int64_t offset)
{
	return (size_t)(offset * 7 % LOGS);
}

static void forget_messages(struct worker *worker)
{
	for (size_t l = 0; l < LOGS; l++)
		worker->pipes[l].len = worker->pipes[l].persisted = worker->pipes[l].told = 0;
}

/* The process ends, or its producer does: of what was on its way a beginning may still arrive. */
static void abandon(struct world *world, struct worker *worker)
{
	for (size_t l = 0; l < LOGS; l++) {
		struct pipe *pipe = &worker->pipes[l];
		size_t more = pipe->len == pipe->persisted ? 0 : draw(world, pipe->len - pipe->persisted + 1);

		for (; more > 0; more--)
			world->log[l][world->log_len[l]++] = pipe->list[pipe->persisted++].offset;
	}
	forget_messages(worker);
}

static void start(struct world *world, struct worker *worker)
{
	const struct import_found found = {.committed = world->committed.offset,
	                                   .anchor = world->committed.anchor,
	                                   .begin = 0,
	                                   .log_start = 0,
	                                   .log_end = SOURCE_RECORDS};

	CHECK(import_track_begin(&worker->track, &found));
}

static void read_one(struct worker *worker)
{
	char value[32];
	struct record record;
	struct error error;
	struct pipe *pipe;
	uint64_t ticket;
	int64_t offset = worker->track.position;

	while (offset < SOURCE_RECORDS && is_hole(offset))
		offset++;
	if (offset >= SOURCE_RECORDS) {
		import_track_end(&worker->track, SOURCE_RECORDS);
		return;
	}
	record = record_at(offset, 1, value);
	if (import_track_take(&worker->track, &record) == IMPORT_TAKE_PASS)
		return;
	CHECK(worker->track.state == IMPORT_TRACK_READING);
	CHECK(import_track_out(&worker->track, &record, !is_ignored(offset), &ticket, &error) == 0);
	pipe = &worker->pipes[log_of(offset)];
	if (!is_ignored(offset))
		pipe->list[pipe->len++] = (struct message){.offset = offset, .ticket = ticket};
}

static void commit(struct world *world, struct worker *worker)
{
	struct import_point point;

	if (!import_track_commit(&worker->track, &point))
		return;
	if (world->commits_early)
		point = (struct import_point){worker->track.position, none};
	import_track_committed(&worker->track, &point);
	/* the group refuses whoever is no member; what is under way when membership ends may still count */
	if (worker->member || draw(world, 8) == 0)
		world->committed = point;
}

static void deliver(struct world *world, struct worker *worker, size_t l)
{
	struct pipe *pipe = &worker->pipes[l];

	if (pipe->told < pipe->persisted && draw(world, 2) == 0)
		import_track_acknowledge(&worker->track, pipe->list[pipe->told++].ticket);
	else if (pipe->persisted < pipe->len)
		world->log[l][world->log_len[l]++] = pipe->list[pipe->persisted++].offset;
}

static void step(struct world *world)
{
	struct worker *worker = &world->workers[draw(world, WORKERS)];
	uint64_t chance = draw(world, 200);

	if (!worker->alive) {
		worker->alive = true;
		import_track_init(&worker->track);
		for (size_t i = 0; i < WORKERS; i++)
			world->workers[i].member = &world->workers[i] == worker;
	}
	if (worker->track.state == IMPORT_TRACK_ASKING)
		start(world, worker);
	if (chance == 0) {
		abandon(world, worker);
		import_track_deinit(&worker->track);
		worker->alive = worker->member = false;
	} else if (chance == 1) { /* a delivery failed */
		abandon(world, worker);
		import_track_restart(&worker->track);
	} else if (chance < 10) {
		commit(world, worker);
	} else if (chance < 90 && worker->track.position < SOURCE_RECORDS) {
		read_one(worker);
	} else {
		deliver(world, worker, draw(world, LOGS));
	}
}

/* One worker is left, and nothing fails any more. */
static void settle(struct world *world)
{
	struct worker *worker = &world->workers[0];

	for (size_t i = 0; i < WORKERS; i++) {
		if (world->workers[i].alive) {
			abandon(world, &world->workers[i]);
			import_track_deinit(&world->workers[i].track);
		}
		world->workers[i].alive = world->workers[i].member = i == 0;
	}
	import_track_init(&worker->track);
	start(world, worker);
	while (worker->track.position < SOURCE_RECORDS)
		read_one(worker);
	import_track_end(&worker->track, SOURCE_RECORDS);
	for (size_t l = 0; l < LOGS; l++)
		while (worker->pipes[l].told < worker->pipes[l].len)
			deliver(world, worker, l);
	import_track_end(&worker->track, SOURCE_RECORDS);
	commit(world, worker);
	CHECK(world->committed.offset == SOURCE_RECORDS || world->commits_early);
	import_track_deinit(&worker->track);
	forget_messages(worker);
}

/* By the highest origin, as the fold does; the number of source records that took no effect. */
static int64_t missing(const struct world *world)
{
	int64_t lost = 0;
	bool seen[SOURCE_RECORDS] = {false};

	for (size_t l = 0; l < LOGS; l++) {
		int64_t highest = -1;

		for (size_t i = 0; i < world->log_len[l]; i++) {
			int64_t offset = world->log[l][i];

			CHECK(log_of(offset) == l && !is_ignored(offset) && !is_hole(offset));
			if (offset <= highest)
				continue;
			highest = offset;
			CHECK(!seen[offset]);
			seen[offset] = true;
		}
	}
	for (int64_t offset = 0; offset < SOURCE_RECORDS; offset++)
		lost += !seen[offset] && !is_ignored(offset) && !is_hole(offset);
	return lost;
}

static int64_t live(struct world *world, uint64_t seed, bool commits_early)
{
	memset(world, 0, sizeof *world);
	world->dice = seed;
	world->committed = (struct import_point){-1, none};
	world->commits_early = commits_early;
	for (int i = 0; i < STEPS; i++)
		step(world);
	settle(world);
	return missing(world);
}

static void test_once_whatever_fails(void)
{
	struct world *world = malloc(sizeof *world);
	int64_t lost = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(world);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		CHECK(live(world, seed, false) == 0);
	/* and the model notices what the rule prevents */
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		lost += live(world, seed, true);
	CU_ASSERT(lost > 0);
	free(world);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"texts of anchors", test_anchor_texts},
		{"where a track begins", test_beginnings},
		{"anchors are compared", test_anchors_are_compared},
		{"commits follow acknowledgements", test_commits_follow_acknowledgements},
		{"tickets of the past mean nothing", test_tickets_of_the_past},
		{"full is full", test_full},
		{"every record once, whatever fails", test_once_whatever_fails},
		CU_TEST_INFO_NULL,
	};

	return suite_run("import_track", tests);
}
