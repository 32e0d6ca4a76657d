/*
 * Feeder judging: the stage under contract 2, with records that carry
 * identities and origins, and pages of what a replica knows of them.
 */
#ifndef MILLRACE_TESTS_UNIT_FEEDER_JUDGING_H
#define MILLRACE_TESTS_UNIT_FEEDER_JUDGING_H

#include "tests/unit/feeder_stage.h"

#define JUDGING_WINDOW 10

static inline struct index_record judging_index(int64_t window)
{
	struct index_record index = index_record();

	index.rules.contract = 2;
	index.rules.dedup_window = window;
	return index;
}

/* The record with an idempotency key and an origin, or without (NULL). The stage keeps its headers. */
static inline struct record keyed(struct stage *stage, struct record record, const char *key,
                                  const char *origin)
{
	record.headers = stage->headers;
	if (key != NULL)
		stage->headers[record.headers_len++] =
			(struct record_header){slice_string("idempotency-key"), slice_string(key)};
	if (origin != NULL)
		stage->headers[record.headers_len++] =
			(struct record_header){slice_string("origin"), slice_string(origin)};
	return record;
}

static inline void give_keyed(struct stage *stage, int64_t offset, const char *id, const char *value,
                              const char *key)
{
	give_to(stage, live(stage), keyed(stage, record_at(offset, id, value), key, NULL));
}

static inline void give_imported(struct stage *stage, int64_t offset, const char *id, const char *origin)
{
	give_to(stage, live(stage), keyed(stage, record_at(offset, id, "{}"), NULL, origin));
}

/* What a replica keeps of the record. */
static inline struct identity_entry identity_at(struct stage *stage, int64_t offset, const char *id,
                                                const char *value, const char *key)
{
	struct index_record index = judging_index(1);
	struct record record = keyed(stage, record_at(offset, id, value), key, NULL);
	struct record_place place = {
		.rules = &index.rules, .partitions = 1, .primary_key = slice_string(index.primary_key)};
	struct identity_entry entry = {.offset = offset};
	struct refusal refusal;
	struct arena arena;
	struct op op;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(record_decode(&record, &place, &arena, &op, &refusal), RECORD_VERDICT_APPLY);
	entry.identity = op.identity;
	arena_deinit(&arena);
	return entry;
}

static inline struct origin origin_of(const char *source, uint32_t life, int64_t offset)
{
	return (struct origin){.source = slice_string(source), .life = life, .offset = offset};
}

/* ---- pages ---- */

static inline void expect_fill(struct stage *stage, enum feeder_lane lane, size_t at, int64_t received,
                               int64_t offset)
{
	expect(stage, FEEDER_ACTION_FILL);
	CU_ASSERT_EQUAL(stage->action.reader, reader_of_lane(stage, lane));
	CU_ASSERT_EQUAL(stage->action.node, stage->nodes[at]);
	CU_ASSERT_EQUAL(stage->action.received, received);
	CU_ASSERT_EQUAL(stage->action.offset, offset);
}

/* A page of a replica at `received`. */
struct page {
	struct incarnation incarnation;
	int64_t received;
	int64_t next;
	const struct origin *origins;
	size_t origins_len;
	const struct identity_entry *identities;
	size_t identities_len;
};

static inline struct page page_at(int64_t received, const struct identity_entry *identities, size_t len)
{
	return (struct page){.incarnation = incarnation,
	                     .received = received,
	                     .next = -1,
	                     .identities = identities,
	                     .identities_len = len};
}

/* Answers the fill that was the last action. */
static inline void fill(struct stage *stage, const struct page *page)
{
	struct feeder_fill question = {stage->slot, stage->action.reader, stage->action.epoch};
	struct marks_writer writer;
	struct marks_page opened;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	marks_begin(&writer, &frame, page->incarnation, page->received);
	for (size_t i = 0; i < page->origins_len; i++)
		marks_add_origin(&writer, &page->origins[i]);
	for (size_t i = 0; i < page->identities_len; i++)
		marks_add_identity(&writer, &page->identities[i]);
	CU_ASSERT_TRUE_FATAL(marks_end(&writer, page->next));
	CU_ASSERT_EQUAL_FATAL(marks_open(&opened, buffer_slice(&frame), &error), 0);
	feeder_filled(stage->feeder, &question, &opened, stage->now_ms);
	buffer_deinit(&frame);
}

static inline void no_fill(struct stage *stage)
{
	struct feeder_fill question = {stage->slot, stage->action.reader, stage->action.epoch};

	feeder_filled(stage->feeder, &question, NULL, stage->now_ms);
}

/* A replica that says it has marks. */
static inline struct feeder_asked marked(int64_t received, bool identities, bool origins)
{
	struct feeder_asked asked = asked_of(received);

	asked.replica.has_identities = identities;
	asked.replica.has_origins = origins;
	return asked;
}

static inline void raise_marked(struct stage *stage, const char *marks)
{
	raise_index(stage, adaptive(), marks, judging_index(JUDGING_WINDOW));
}

/* LIVE was filled: it reads from `received` on, and sends where the log ends. */
static inline void expect_fed(struct stage *stage, int64_t received)
{
	expect_start(stage, FEEDER_LANE_LIVE, received);
	CU_ASSERT_EQUAL(state_of(stage), FEEDER_STATE_FEEDING);
	if (status_of(stage).records == 0)
		expect_report(stage, FEEDER_STATE_FEEDING);
}

/* ---- what became of the last record ---- */

enum fate {
	FATE_APPLIED = 1,
	FATE_DUPLICATE,
	FATE_REFUSED
};

/* Gives LIVE the record and tells its fate; a refusal's code and text stay in stage->action. */
static inline enum fate fate_of(struct stage *stage, struct record record)
{
	struct feeder_status before = status_of(stage);
	struct feeder_status after;

	give_to(stage, live(stage), record);
	after = status_of(stage);
	CU_ASSERT_EQUAL(after.records, before.records + 1);
	CU_ASSERT_EQUAL(after.position, record.offset + 1);
	if (after.duplicates > before.duplicates)
		return FATE_DUPLICATE;
	if (after.refused == before.refused)
		return FATE_APPLIED;
	if (record.offset >= after.committed)
		expect(stage, FEEDER_ACTION_DEAD_LETTER);
	return FATE_REFUSED;
}

#endif
