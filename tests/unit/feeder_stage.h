/*
 * Stage: one feeder with one shard on up to STAGE_NODES nodes, driven event by
 * event.
 *
 * Every helper states what must happen and fails the test at once if it does
 * not, so that a test reads as the sequence of events and actions. Those
 * without a node are about the first.
 */
#ifndef MILLRACE_TESTS_UNIT_FEEDER_STAGE_H
#define MILLRACE_TESTS_UNIT_FEEDER_STAGE_H

#include "shared/feed/feeder.h"

#include "tests/unit/suite.h"
#include "tests/unit/window_shelf.h"

#include <stdio.h>

#define STAGE_NODES 3
#define BATCH_FIRST 1000

static const struct incarnation incarnation = {{0xa1, 0xb2}};

/* One shard; what happened last. */
struct stage {
	struct feeder *feeder;
	uint32_t slot;
	uint32_t nodes[STAGE_NODES];
	uint32_t epochs[STAGE_NODES]; /* of each node's last ASK */
	uint32_t letter_epoch;        /* of the last DEAD_LETTER */
	int64_t now_ms;
	struct record record; /* the last one given */
	struct record_header headers[2];
	struct shelf shelves[FEEDER_LANES];
	unsigned shelves_asked;
	struct feeder_action action;
	struct feeder_action sent[STAGE_NODES]; /* each node's last SEND */
};

/* Made under contract 1; feeder_judging.h has the second. */
static inline struct index_record index_record(void)
{
	struct index_record index = {
		.id = 77,
		.uid = "books",
		.topic = "t.docs.books",
		.state = INDEX_STATE_ACTIVE,
		.generation = 1,
		.partitions = 1,
		.partitioner = PARTITIONER_NONE,
		.primary_key = "id",
		.rules = rules_default(),
	};

	index.rules.contract = 1;
	index.rules.dedup_window = 0;
	return index;
}

static inline struct feeder_options options_of(struct flush_rule flush)
{
	return (struct feeder_options){
		.memory_bytes_max = 1 << 20, .batch_bytes_max = 1 << 20, .flush = flush};
}

static inline struct feeder_options adaptive(void)
{
	return options_of(flush_rule_adaptive());
}

static inline uint32_t reader_of_lane(const struct stage *stage, enum feeder_lane lane)
{
	return FEEDER_READER(stage->slot, lane);
}

static inline uint32_t live(const struct stage *stage)
{
	return reader_of_lane(stage, FEEDER_LANE_LIVE);
}

static inline uint32_t behind(const struct stage *stage)
{
	return reader_of_lane(stage, FEEDER_LANE_BEHIND);
}

/* Which of the stage's nodes the feeder calls `node`. */
static inline size_t node_at(const struct stage *stage, uint32_t node)
{
	size_t at = 0;

	while (at < STAGE_NODES && stage->nodes[at] != node)
		at++;
	CU_ASSERT_TRUE_FATAL(at < STAGE_NODES);
	return at;
}

/* ---- actions ---- */

static inline bool next(struct stage *stage)
{
	if (!feeder_next_action(stage->feeder, &stage->action))
		return false;
	if (stage->action.kind == FEEDER_ACTION_ASK)
		stage->epochs[node_at(stage, stage->action.node)] = stage->action.epoch;
	if (stage->action.kind == FEEDER_ACTION_SEND)
		stage->sent[node_at(stage, stage->action.node)] = stage->action;
	if (stage->action.kind == FEEDER_ACTION_DEAD_LETTER)
		stage->letter_epoch = stage->action.epoch;
	return true;
}

/* The next action is of this kind. */
static inline void expect(struct stage *stage, enum feeder_action_kind kind)
{
	bool some = next(stage);

	if (!some || stage->action.kind != kind)
		(void)fprintf(stderr, "action %d instead of %d\n", some ? (int)stage->action.kind : 0,
		              (int)kind);
	CU_ASSERT_TRUE_FATAL(some);
	CU_ASSERT_EQUAL_FATAL(stage->action.kind, kind);
}

static inline void expect_nothing(struct stage *stage)
{
	bool some = next(stage);

	if (some)
		(void)fprintf(stderr, "action %d instead of none\n", (int)stage->action.kind);
	CU_ASSERT_FALSE(some);
}

static inline void expect_start(struct stage *stage, enum feeder_lane lane, int64_t offset)
{
	expect(stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage->action.reader, reader_of_lane(stage, lane));
	CU_ASSERT_EQUAL(stage->action.offset, offset);
}

static inline void expect_halt(struct stage *stage, enum feeder_lane lane)
{
	expect(stage, FEEDER_ACTION_HALT);
	CU_ASSERT_EQUAL(stage->action.reader, reader_of_lane(stage, lane));
}

static inline void expect_ask(struct stage *stage, size_t at)
{
	expect(stage, FEEDER_ACTION_ASK);
	CU_ASSERT_EQUAL(stage->action.node, stage->nodes[at]);
}

static inline void expect_report(struct stage *stage, enum feeder_state state)
{
	expect(stage, FEEDER_ACTION_REPORT);
	CU_ASSERT_EQUAL(stage->action.state, state);
}

static inline void expect_commit(struct stage *stage, int64_t offset)
{
	expect(stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage->action.offset, offset);
}

/* Takes the batch that is next and checks what it holds of our shard. */
static inline struct range expect_batch_to(struct stage *stage, size_t at, int64_t from, int64_t to)
{
	struct batch_reader reader;
	struct range range = {0};
	struct error error;

	expect(stage, FEEDER_ACTION_SEND);
	CU_ASSERT_EQUAL_FATAL(stage->action.node, stage->nodes[at]);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->action.frame, &error), 0);
	CU_ASSERT_EQUAL(reader.batch_id, stage->action.batch_id);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.from, from);
	CU_ASSERT_EQUAL(range.to, to);
	CU_ASSERT_EQUAL(range.index_id, 77);
	CU_ASSERT_TRUE(incarnation_equal(range.incarnation, incarnation));
	CU_ASSERT_EQUAL(range.session, 5);
	return range;
}

static inline struct range expect_batch(struct stage *stage, int64_t from, int64_t to)
{
	return expect_batch_to(stage, 0, from, to);
}

/* ---- how it stands ---- */

static inline struct feeder_status status_of(const struct stage *stage)
{
	struct feeder_status status = {0};

	CU_ASSERT_TRUE_FATAL(feeder_shard_status(stage->feeder, stage->slot, &status));
	return status;
}

static inline enum feeder_state state_of(const struct stage *stage)
{
	return status_of(stage).state;
}

static inline struct feeder_replica_status replica_of(const struct stage *stage, size_t at)
{
	struct feeder_replica_status status = {0};
	size_t i = 0;

	while (feeder_replica_status(stage->feeder, stage->slot, i, &status) &&
	       status.node != stage->nodes[at])
		i++;
	CU_ASSERT_EQUAL_FATAL(status.node, stage->nodes[at]);
	return status;
}

static inline bool is_fed_by(const struct stage *stage, size_t at, enum feeder_lane lane)
{
	struct feeder_replica_status status = replica_of(stage, at);

	return status.known && status.lane == lane;
}

/* ---- events ---- */

#define STAGE_FROM 60

/* Tells the feeder that the shard's replicas are on the first nodes, in-sync as the letters say: 'i' in-sync, 'o'
 * out, 'g' out and what the log has lost below STAGE_FROM given up. Their incarnation is as recorded. */
static inline void set_replicas(struct stage *stage, const char *marks)
{
	struct feeder_replica replicas[STAGE_NODES];
	size_t len = strlen(marks);

	CU_ASSERT_TRUE_FATAL(len <= STAGE_NODES);
	for (size_t i = 0; i < len; i++)
		replicas[i] = (struct feeder_replica){stage->nodes[i], incarnation, marks[i] == 'i',
		                                      marks[i] == 'g' ? STAGE_FROM : 0};
	feeder_set_replicas(stage->feeder, stage->slot, replicas, len, stage->now_ms);
}

/* What the lane's window before this one had on its shelf is gone by now. */
static inline struct window_store shelf_of_lane(void *context, uint32_t reader)
{
	struct stage *stage = context;
	struct shelf *shelf = &stage->shelves[FEEDER_READER_LANE(reader)];

	stage->shelves_asked++;
	CU_ASSERT_TRUE(shelf_is_empty(shelf));
	return store_of(shelf);
}

/* A shard of this index whose replicas were just asked. */
static inline void raise_index(struct stage *stage, struct feeder_options options, const char *marks,
                               struct index_record index)
{
	static const char *const names[STAGE_NODES] = {"n1", "n2", "n3"};
	struct error error;

	*stage = (struct stage){.now_ms = 10000};
	options.shelf = shelf_of_lane;
	options.shelf_context = stage;
	stage->feeder = feeder_new(&options, BATCH_FIRST);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->feeder);
	for (size_t i = 0; i < STAGE_NODES; i++)
		CU_ASSERT_EQUAL_FATAL(feeder_add_node(stage->feeder, names[i], &stage->nodes[i], &error), 0);
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(stage->feeder, &index, 0, stage->now_ms, &stage->slot, &error),
	                      0);
	expect_nothing(stage);
	set_replicas(stage, marks);
	for (size_t i = 0; i < strlen(marks); i++)
		expect_ask(stage, i);
	expect_nothing(stage);
}

static inline void raise_replicas(struct stage *stage, struct feeder_options options, const char *marks)
{
	raise_index(stage, options, marks, index_record());
}

static inline void raise_stage(struct stage *stage, struct feeder_options options)
{
	raise_replicas(stage, options, "i");
}

/* A replica at `received`, and a log that has 100 offsets more. */
static inline struct feeder_asked asked_of(int64_t received)
{
	return (struct feeder_asked){
		.replica_answered = true,
		.replica = {.index_id = 77,
	                    .result = RANGE_RESULT_ALREADY,
	                    .incarnation = incarnation,
	                    .session = 5,
	                    .received = received,
	                    .stored = received,
	                    .anchor = {.offset = -1}},
		.committed = -1,
		.log_end = received + 100,
	};
}

static inline void reply_of(struct stage *stage, size_t at, const struct feeder_asked *asked)
{
	struct feeder_question question = {stage->slot, stage->nodes[at], stage->epochs[at]};

	feeder_asked(stage->feeder, &question, asked, stage->now_ms);
}

static inline void reply(struct stage *stage, const struct feeder_asked *asked)
{
	reply_of(stage, 0, asked);
}

/* Answers the node's batch in flight, for as many ranges as it had. */
static inline void answer_as(struct stage *stage, size_t at, const struct range_answer *one)
{
	struct batch_reader reader;
	struct batch_writer writer;
	struct buffer frame;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->sent[at].frame, &error), 0);
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_answer_begin(&writer, &frame, reader.batch_id);
	for (uint32_t i = 0; i < reader.ranges_left; i++)
		batch_answer_add(&writer, one);
	CU_ASSERT_TRUE_FATAL(batch_answer_end(&writer));
	feeder_answered(stage->feeder, stage->nodes[at], reader.batch_id, buffer_slice(&frame),
	                stage->now_ms);
	buffer_deinit(&frame);
}

static inline void answer_of(struct stage *stage, size_t at, enum range_result result, int64_t received,
                             int64_t stored)
{
	struct range_answer one = asked_of(received).replica;

	one.result = result;
	one.stored = stored;
	answer_as(stage, at, &one);
}

static inline void answer(struct stage *stage, enum range_result result, int64_t received, int64_t stored)
{
	answer_of(stage, 0, result, received, stored);
}

static inline void no_answer_of(struct stage *stage, size_t at)
{
	feeder_answered(stage->feeder, stage->nodes[at], stage->sent[at].batch_id, slice_of(NULL, 0),
	                stage->now_ms);
}

static inline void no_answer(struct stage *stage)
{
	no_answer_of(stage, 0);
}

static inline struct record record_at(int64_t offset, const char *key, const char *value)
{
	return (struct record){
		.offset = offset,
		.timestamp_ms = 1700000000000 + offset,
		.key = key != NULL ? slice_string(key) : slice_of(NULL, 0),
		.value = value != NULL ? slice_string(value) : slice_of(NULL, 0),
	};
}

static inline void give_to(struct stage *stage, uint32_t reader, struct record record)
{
	struct error error;

	stage->record = record;
	CU_ASSERT_EQUAL_FATAL(feeder_record(stage->feeder, reader, &stage->record, stage->now_ms, &error), 0);
}

/* LIVE reads it. */
static inline void give(struct stage *stage, int64_t offset, const char *key, const char *value)
{
	give_to(stage, live(stage), record_at(offset, key, value));
}

static inline void give_behind(struct stage *stage, int64_t offset, const char *key, const char *value)
{
	give_to(stage, behind(stage), record_at(offset, key, value));
}

static inline void tick(struct stage *stage, int64_t ms)
{
	stage->now_ms += ms;
	feeder_tick(stage->feeder, stage->now_ms);
}

static inline void acknowledge(struct stage *stage, int64_t offset, bool acknowledged)
{
	struct feeder_receipt receipt = {stage->slot, stage->letter_epoch, offset, acknowledged};

	feeder_dead_lettered(stage->feeder, &receipt, stage->now_ms);
}

/* ---- scenes ---- */

/* LIVE feeds from `received` on, all replicas there, every question answered and nothing in flight. */
static inline void begin_feeding(struct stage *stage, const char *marks, int64_t received)
{
	struct feeder_asked asked = asked_of(received);

	for (size_t i = 0; i < strlen(marks); i++)
		reply_of(stage, i, &asked);
	expect_start(stage, FEEDER_LANE_LIVE, received);
	expect_report(stage, FEEDER_STATE_FEEDING);
	for (size_t i = 0; i < strlen(marks); i++) {
		CU_ASSERT_TRUE(is_fed_by(stage, i, FEEDER_LANE_LIVE));
		(void)expect_batch_to(stage, i, received,
		                      received); /* tells the replica where the log ends */
		CU_ASSERT_EQUAL(feeder_in_flight(stage->feeder, stage->nodes[i]), true);
	}
	for (size_t i = 0; i < strlen(marks); i++)
		answer_of(stage, i, RANGE_RESULT_ALREADY, received, received);
	expect_commit(stage, received);
	expect_nothing(stage);
}

static inline void feed_replicas(struct stage *stage, struct feeder_options options, const char *marks,
                                 int64_t received)
{
	raise_replicas(stage, options, marks);
	begin_feeding(stage, marks, received);
}

static inline void feed_from(struct stage *stage, struct feeder_options options, int64_t received)
{
	feed_replicas(stage, options, "i", received);
}

/* Memory is dropped and the only replica is asked again, after a pause at the latest. */
static inline void expect_rewind(struct stage *stage)
{
	uint32_t former = stage->epochs[0];

	expect_halt(stage, FEEDER_LANE_LIVE);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage->feeder), 0);
	CU_ASSERT_EQUAL(state_of(stage), FEEDER_STATE_ASKING);
	tick(stage, FEEDER_RETRY_MS_MAX);
	expect_ask(stage, 0);
	CU_ASSERT_TRUE(stage->epochs[0] > former);
}

#endif
