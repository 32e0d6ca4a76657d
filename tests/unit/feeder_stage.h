/*
 * Stage: one feeder with one shard on one node, driven event by event.
 *
 * Every helper states what must happen and fails the test at once if it does
 * not, so that a test reads as the sequence of events and actions.
 */
#ifndef MILLRACE_TESTS_UNIT_FEEDER_STAGE_H
#define MILLRACE_TESTS_UNIT_FEEDER_STAGE_H

#include "shared/feed/feeder.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define BATCH_FIRST 1000

static const struct incarnation incarnation = {{0xa1, 0xb2}};

/* One shard on one node; what happened last. */
struct stage {
	struct feeder *feeder;
	uint32_t node;
	uint32_t slot;
	uint32_t epoch; /* of the last ASK */
	int64_t now_ms;
	struct feeder_action action;
	struct feeder_action sent; /* the last SEND */
};

static inline struct index_record index_record(void)
{
	return (struct index_record){
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
}

static inline struct feeder_options options_of(struct flush_rule flush)
{
	return (struct feeder_options){
		.memory_bytes_max = 1 << 20, .batch_bytes_max = 1 << 20, .flush = flush};
}

static inline bool next(struct stage *stage)
{
	return feeder_next_action(stage->feeder, &stage->action);
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
	if (kind == FEEDER_ACTION_ASK)
		stage->epoch = stage->action.epoch;
	if (kind == FEEDER_ACTION_SEND)
		stage->sent = stage->action;
}

static inline void expect_nothing(struct stage *stage)
{
	bool some = next(stage);

	if (some)
		(void)fprintf(stderr, "action %d instead of none\n", (int)stage->action.kind);
	CU_ASSERT_FALSE(some);
}

static inline enum feeder_state state_of(const struct stage *stage)
{
	struct feeder_status status;

	CU_ASSERT_TRUE_FATAL(feeder_shard_status(stage->feeder, stage->slot, &status));
	return status.state;
}

static inline struct feeder_status status_of(const struct stage *stage)
{
	struct feeder_status status = {0};

	CU_ASSERT_TRUE_FATAL(feeder_shard_status(stage->feeder, stage->slot, &status));
	return status;
}

static inline void raise_stage(struct stage *stage, struct feeder_options options)
{
	struct index_record index = index_record();
	struct error error;

	*stage = (struct stage){.now_ms = 10000};
	stage->feeder = feeder_new(&options, BATCH_FIRST);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->feeder);
	CU_ASSERT_EQUAL_FATAL(feeder_add_node(stage->feeder, "n1", &stage->node, &error), 0);
	CU_ASSERT_EQUAL_FATAL(feeder_add_shard(stage->feeder, &index, (struct feeder_place){0, stage->node},
	                                       stage->now_ms, &stage->slot, &error),
	                      0);
	expect(stage, FEEDER_ACTION_ASK);
	expect_nothing(stage);
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

static inline void reply(struct stage *stage, const struct feeder_asked *asked)
{
	feeder_asked(stage->feeder, stage->slot, stage->epoch, asked, stage->now_ms);
}

/* Takes the batch that is next and checks what it holds of our shard. */
static inline struct range expect_batch(struct stage *stage, int64_t from, int64_t to)
{
	struct batch_reader reader;
	struct range range = {0};
	struct error error;

	expect(stage, FEEDER_ACTION_SEND);
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

/* Answers the batch in flight, for as many ranges as it had. */
static inline void answer(struct stage *stage, enum range_result result, int64_t received, int64_t stored)
{
	struct range_answer one = asked_of(received).replica;
	struct batch_reader reader;
	struct batch_writer writer;
	struct buffer frame;
	struct error error;

	one.result = result;
	one.stored = stored;
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, stage->sent.frame, &error), 0);
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_answer_begin(&writer, &frame, reader.batch_id);
	for (uint32_t i = 0; i < reader.ranges_left; i++)
		batch_answer_add(&writer, &one);
	CU_ASSERT_TRUE_FATAL(batch_answer_end(&writer));
	feeder_answered(stage->feeder, stage->node, reader.batch_id, buffer_slice(&frame), stage->now_ms);
	buffer_deinit(&frame);
}

static inline void no_answer(struct stage *stage)
{
	feeder_answered(stage->feeder, stage->node, stage->sent.batch_id, slice_of(NULL, 0), stage->now_ms);
}

/* A shard that feeds from `received`, its first question answered and nothing in flight. */
static inline void feed_from(struct stage *stage, struct feeder_options options, int64_t received)
{
	struct feeder_asked asked = asked_of(received);

	raise_stage(stage, options);
	reply(stage, &asked);
	expect(stage, FEEDER_ACTION_START);
	CU_ASSERT_EQUAL(stage->action.offset, received);
	expect(stage, FEEDER_ACTION_REPORT);
	CU_ASSERT_EQUAL(stage->action.state, FEEDER_STATE_FEEDING);
	(void)expect_batch(stage, received, received); /* tells the replica where the log ends */
	CU_ASSERT_EQUAL(feeder_in_flight(stage->feeder, stage->node), true);
	answer(stage, RANGE_RESULT_ALREADY, received, received);
	expect(stage, FEEDER_ACTION_COMMIT);
	CU_ASSERT_EQUAL(stage->action.offset, received);
	expect_nothing(stage);
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

static inline void give(struct stage *stage, int64_t offset, const char *key, const char *value)
{
	struct record record = record_at(offset, key, value);
	struct error error;

	CU_ASSERT_EQUAL_FATAL(feeder_record(stage->feeder, stage->slot, &record, stage->now_ms, &error), 0);
}

static inline void tick(struct stage *stage, int64_t ms)
{
	stage->now_ms += ms;
	feeder_tick(stage->feeder, stage->now_ms);
}

static inline void acknowledge(struct stage *stage, int64_t offset, bool acknowledged)
{
	struct feeder_receipt receipt = {stage->slot, stage->epoch, offset, acknowledged};

	feeder_dead_lettered(stage->feeder, &receipt, stage->now_ms);
}

/* Memory is dropped and the replica is asked again, after a pause at the latest. */
static inline void expect_rewind(struct stage *stage)
{
	uint32_t former = stage->epoch;

	expect(stage, FEEDER_ACTION_HALT);
	CU_ASSERT_EQUAL(feeder_memory_bytes(stage->feeder), 0);
	CU_ASSERT_EQUAL(state_of(stage), FEEDER_STATE_ASKING);
	tick(stage, FEEDER_RETRY_MS_MAX);
	expect(stage, FEEDER_ACTION_ASK);
	CU_ASSERT_TRUE(stage->epoch > former);
}

static inline struct feeder_options adaptive(void)
{
	return options_of(flush_rule_adaptive());
}

#endif
