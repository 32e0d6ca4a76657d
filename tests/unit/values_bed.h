/*
 * Values bed: a replica with some documents, of which it is known what they
 * are, and steps that make it stand in any state; documents of few paths and
 * values, drawn from a seed. What test_snapshot_filter.c and
 * test_snapshot_facets.c share.
 */
#ifndef MILLRACE_TESTS_UNIT_VALUES_BED_H
#define MILLRACE_TESTS_UNIT_VALUES_BED_H

#include "tests/unit/replica_model.h"

#include "shard/core/reading.h"
#include "shared/filter/filter.h"
#include "shared/record/memtable.h"

#define BODY_BYTES_MAX 65536
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The body that each document has; NULL: there is none. */
struct world {
	struct model *model;
	struct words *words;
	char *bodies[IDS];
};

static struct error fold_error;

static inline bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	return text_fold(words_text(context), text, folded, &fold_error) == 0;
}

static inline struct world world_new(const char *directory)
{
	struct world world = {.model = model_new(directory), .words = words_new()};

	CU_ASSERT_PTR_NOT_NULL_FATAL(world.words);
	return world;
}

static inline void world_free(struct world *world)
{
	for (size_t i = 0; i < IDS; i++)
		free(world->bodies[i]);
	words_free(world->words);
	model_free(world->model);
}

/* Its operations as one range. */
static inline void memtable_send(struct model *model, struct memtable *memtable)
{
	struct range range = {.index_id = INDEX_ID,
	                      .partition = 3,
	                      .incarnation = model->incarnation,
	                      .session = model->session,
	                      .rules_digest = RULES,
	                      .log_end = -1};
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(model->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
	buffer_deinit(&frame);
}

/* A range with what each of some documents is now. */
static inline void receive(struct world *world, const size_t *documents, size_t len)
{
	struct model *model = world->model;
	int64_t from = status_of(model).received;
	struct memtable *memtable = memtable_new(from);

	for (size_t i = 0; i < len; i++) {
		const char *body = world->bodies[documents[i]];
		struct op op = {.offset = from + (int64_t)i,
		                .kind = body == NULL ? OP_KIND_DELETE : OP_KIND_PUT,
		                .id = slice_string(model->ids[documents[i]]),
		                .body = slice_string(body == NULL ? "" : body)};

		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	}
	memtable_send(model, memtable);
	memtable_free(memtable);
}

static inline void put(struct world *world, size_t document, const char *body)
{
	free(world->bodies[document]);
	world->bodies[document] = body == NULL ? NULL : strdup(body);
	receive(world, &document, 1);
}

static inline void store(struct world *world)
{
	struct replica_store_job *job;

	while ((job = replica_store_begin(world->model->replica)) != NULL) {
		struct error error;
		int rc = replica_store_run(job, &error);

		CU_ASSERT_EQUAL_FATAL(rc, 0);
		replica_store_end(world->model->replica, job, rc, &error);
	}
}

/* At most so many jobs. */
static inline void compact(struct world *world, size_t jobs)
{
	struct replica_compact_job *job;

	while (jobs-- > 0 && (job = replica_compact_begin(world->model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(world->model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

/* The i-th of the names where bit i is set. */
static inline void attributes_put(struct world *world, const char *const *names, unsigned bits)
{
	static uint64_t version;
	struct slice paths[VALUE_PATHS_MAX];
	struct error error;
	size_t len = 0;

	for (size_t i = 0; bits >> i != 0; i++)
		if (bits >> i & 1)
			paths[len++] = slice_string(names[i]);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(world->model->replica, ++version, paths, len, &error),
	                      0);
}

static inline size_t document_of(const struct model *model, struct slice id)
{
	size_t document = 0;

	while (document < IDS && !slice_equal(id, slice_string(model->ids[document])))
		document++;
	CU_ASSERT_TRUE_FATAL(document < IDS);
	return document;
}

/* Which documents a set has; a number that is none of the snapshot's live ones fails. */
static inline void documents_of(const struct model *model, const struct snapshot *snapshot,
                                const struct postings *numbers, bool found[IDS])
{
	struct reading reading;
	struct located located;
	struct error error;
	struct slice id;
	uint64_t number;

	memset(found, 0, IDS * sizeof found[0]);
	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	for (uint64_t from = 0; postings_next(numbers, from, &number); from = number + 1) {
		CU_ASSERT_EQUAL_FATAL(reading_locate(&reading, number, &located, &error), 0);
		CU_ASSERT_EQUAL_FATAL(located_id(&located, &id, &error), 0);
		CU_ASSERT_FALSE(postings_contains(&snapshot->deleted, number));
		CU_ASSERT_FALSE(found[document_of(model, id)]);
		found[document_of(model, id)] = true;
	}
	reading_end(&reading);
}

/* 236 and 240 bytes that agree in more than a key holds, and 500 that are cut. */
#define LONG_60 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx"
#define LONG_240 LONG_60 LONG_60 LONG_60 LONG_60
/* Longer than a key together with its spelling. */
#define LONG_180 LONG_60 LONG_60 LONG_60
#define LONG_480 LONG_240 LONG_240

/* ---- drawn ---- */

static uint64_t dice_state;

/* From 0 to n - 1 (SplitMix64). */
static inline size_t dice(size_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % n);
}

static const char *const fields[] = {"a", "b", "a.b", "a.c", "b.a.c", "a b", "É"};
/* As a document holds them. */
static const char *const scalars[] = {"\"x\"",
                                      "\"X y\"",
                                      "5",
                                      "\"5\"",
                                      "10",
                                      "-1.5",
                                      "\"-1.5\"",
                                      "true",
                                      "false",
                                      "null",
                                      "\"and\"",
                                      "\"É\"",
                                      "\"é\"",
                                      "\"\"",
                                      "\" \"",
                                      "\" X\"",
                                      "5.0",
                                      "1e1",
                                      "{}",
                                      "[]",
                                      "0",
                                      "-0.0",
                                      "1e999",
                                      "1e300",
                                      "123456789012345678901",
                                      "\"日本\"",
                                      "\"\\u0000\"",
                                      "\"" LONG_240 "\"",
                                      "\"" LONG_240 "é\"",
                                      "\"" LONG_240 "z\"",
                                      "\"" LONG_480 "a\"",
                                      "\"" LONG_480 "b\"",
                                      "\"" LONG_60 "\"",
                                      "\"e\xcc\x81\"",
                                      "\"" LONG_180 "\xc3\x89\"",
                                      "\"" LONG_180 "\xc3\xa9\"",
                                      "\"" LONG_180 "e\xcc\x81\""};
static inline void print_value(struct buffer *out, int depth);

static inline void print_object(struct buffer *out, int depth)
{
	static const char *const members[] = {"a", "b", "c", "a.b", "b.a", "a b", "É"};

	buffer_append_string(out, "{");
	for (size_t i = 0, len = dice(5); i < len; i++) {
		buffer_printf(out, "%s\"%s\":", i > 0 ? "," : "", members[dice(COUNT(members))]);
		print_value(out, depth - 1);
	}
	buffer_append_string(out, "}");
}

static inline void print_value(struct buffer *out, int depth)
{
	size_t side = depth > 0 ? dice(8) : 8;

	if (side < 2) {
		print_object(out, depth);
	} else if (side == 2) {
		buffer_append_string(out, "[");
		for (size_t i = 0, len = dice(4); i < len; i++) {
			buffer_append_string(out, i > 0 ? "," : "");
			print_value(out, depth - 1);
		}
		buffer_append_string(out, "]");
	} else {
		buffer_append_string(out, scalars[dice(COUNT(scalars))]);
	}
}

static inline void step_receive(struct world *world)
{
	size_t documents[IDS];
	size_t len = 1 + dice(12);

	for (size_t i = 0; i < len; i++) {
		size_t document = documents[i] = dice(IDS);
		struct buffer body;

		free(world->bodies[document]);
		world->bodies[document] = NULL;
		if (dice(4) == 0)
			continue;
		buffer_init(&body, BODY_BYTES_MAX);
		print_object(&body, 4);
		buffer_put_u8(&body, 0);
		CU_ASSERT_FALSE_FATAL(buffer_failed(&body));
		world->bodies[document] = (char *)buffer_take(&body, &(size_t){0});
		buffer_deinit(&body);
	}
	/* each once: the body of one that stands twice is that of its last operation */
	for (size_t i = 0; i < len; i++)
		for (size_t k = i + 1; k < len; k++)
			if (documents[k] == documents[i])
				documents[k--] = documents[--len];
	receive(world, documents, len);
}

static inline void step(struct world *world, const char *directory)
{
	switch (dice(12)) {
	case 0:
		attributes_put(world, fields, (unsigned)dice(1U << COUNT(fields)));
		break;
	case 1:
		attributes_put(world, fields, (1U << COUNT(fields)) - 1);
		break;
	case 2:
	case 3:
		store(world);
		break;
	case 4:
		compact(world, 1 + dice(4));
		break;
	case 5:
		if (dice(3) == 0) {
			store(world); /* what was not stored would come again from the log */
			reopen(world->model, directory);
		}
		break;
	case 6:
		(void)replica_merge(world->model->replica);
		break;
	default:
		step_receive(world);
	}
}

#endif
