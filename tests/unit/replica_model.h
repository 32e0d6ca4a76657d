/*
 * Model: a plain log and its fold, and a replica that is fed from it through
 * real frames over real LMDB files. What test_replica.c and
 * test_replica_rules.c share.
 */
#ifndef MILLRACE_TESTS_UNIT_REPLICA_MODEL_H
#define MILLRACE_TESTS_UNIT_REPLICA_MODEL_H

#include "tests/unit/replica_reads.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define INDEX_ID 0x1122334455667788ULL
#define RULES 99
#define IDS 60
#define LOG_MAX 4000
#define BASE 17
#define WORDS_MAX 6

/* Raw words of bodies, and what they are searched as. */
static const char *const vocabulary[][2] = {
	{"alpha", "alpha"}, {"Beta", "beta"},   {"Éclair", "eclair"}, {"alphabet", "alphabet"},
	{"42", "42"},       {"naïve", "naive"}, {"al", "al"},         {"gamma", "gamma"},
};
#define VOCABULARY (sizeof vocabulary / sizeof vocabulary[0])

struct entry { /* one record of the model's log */
	struct op op;
	char body[256];
	unsigned words; /* a bit a vocabulary word */
	size_t words_len;
	size_t first; /* of them */
	size_t id;
};

struct live {
	bool exists;
	struct insertion_key key;
	const struct entry *entry;
};

struct model {
	char ids[IDS][RECORD_ID_BYTES_MAX + 1];
	struct entry *log; /* [offset - BASE] */
	int64_t end;
	uint64_t seed;
	uint64_t session;
	struct incarnation incarnation;
	bool noting; /* every record has an identity and an origin */
	struct replica *replica;
	struct snapshot *kept; /* NULL: none */
	int64_t kept_at;       /* received when it was taken */
};

static inline uint64_t draw(struct model *model, uint64_t bound)
{
	model->seed = model->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (model->seed >> 33) % bound;
}

/* Some ids share so much that the order on disk cannot tell them apart. */
static inline void ids_make(struct model *model)
{
	for (size_t i = 0; i < IDS; i++) {
		size_t len = i % 10 < 6 ? 0 : i % 10 == 6 ? 488 : i % 10 == 7 ? 495 : 506;

		memset(model->ids[i], 'x', len);
		snprintf(model->ids[i] + len, 6, "d%zu", i);
	}
}

static inline void entry_make(struct model *model, int64_t offset)
{
	struct entry *entry = &model->log[offset - BASE];
	size_t len;

	*entry = (struct entry){.id = draw(model, IDS)};
	entry->op = (struct op){.offset = offset, .kind = draw(model, 4) == 0 ? OP_KIND_DELETE : OP_KIND_PUT};
	entry->op.id = slice_string(model->ids[entry->id]);
	entry->op.key = (struct insertion_key){(int64_t)draw(model, 5) - 2, (uint32_t)draw(model, 2)};
	if (entry->op.kind == OP_KIND_DELETE)
		return;
	len = (size_t)snprintf(entry->body, sizeof entry->body, "{\"n\":\"o%lld\",\"t\":[",
	                       (long long)offset);
	for (size_t i = draw(model, WORDS_MAX); i-- > 0;) {
		size_t word = draw(model, VOCABULARY);

		if (entry->words_len++ == 0)
			entry->first = word;
		entry->words |= 1U << word;
		len += (size_t)snprintf(entry->body + len, sizeof entry->body - len, "\"%s\",",
		                        vocabulary[word][0]);
	}
	snprintf(entry->body + len, sizeof entry->body - len, "null]}");
	entry->op.body = slice_string(entry->body);
}

static inline void fold(const struct model *model, int64_t to, struct live live[IDS])
{
	memset(live, 0, IDS * sizeof live[0]);
	for (int64_t offset = BASE; offset < to; offset++) {
		const struct entry *entry = &model->log[offset - BASE];
		struct live *one = &live[entry->id];

		if (entry->op.kind == OP_KIND_DELETE) {
			one->exists = false;
			continue;
		}
		if (!one->exists)
			one->key = entry->op.key;
		one->exists = true;
		one->entry = entry;
	}
}

static inline struct anchor anchor_at(int64_t offset)
{
	return (struct anchor){offset, offset * 10, (uint64_t)offset * 7};
}

static inline struct identity identity_at(int64_t offset)
{
	return (struct identity){{(uint64_t)offset * 3, 5}, (uint64_t)offset};
}

static inline void note(struct memtable *memtable, int64_t offset)
{
	struct identity identity = identity_at(offset);
	struct origin origin = {slice_string("shop.orders"), 1, 2, offset * 2, 0};

	CU_ASSERT_TRUE_FATAL(memtable_note_identity(memtable, offset, &identity));
	CU_ASSERT_TRUE_FATAL(memtable_note_origin(memtable, offset, &origin));
}

/* [from, to) as one range through the real frame. */
static inline int send(struct model *model, int64_t from, int64_t to, int64_t log_end,
                       struct range_answer *answer)
{
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX_ID,
	                      .partition = 3,
	                      .incarnation = model->incarnation,
	                      .session = model->session,
	                      .rules_digest = RULES,
	                      .log_end = log_end};
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;
	int rc;

	buffer_init(&frame, BATCH_BYTES_MAX);
	for (int64_t offset = from; offset < to; offset++) {
		if (model->noting)
			note(memtable, offset);
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &model->log[offset - BASE].op));
		memtable_set_anchor(memtable, anchor_at(offset));
	}
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	rc = replica_receive(model->replica, &range, answer, &error);
	if (rc != 0)
		printf("%s\n", error.text);
	buffer_deinit(&frame);
	memtable_free(memtable);
	return rc;
}

static inline struct replica_identity identity_of(const struct model *model)
{
	return (struct replica_identity){.cluster_id = "kafka-a",
	                                 .index_id = INDEX_ID,
	                                 .generation = 2,
	                                 .partition = 3,
	                                 .base = BASE,
	                                 .rules_digest = RULES,
	                                 .incarnation = model->incarnation,
	                                 .document_bytes_max = 4U << 20,
	                                 .dedup_window = 10};
}

static inline void reopen(struct model *model, const char *directory)
{
	struct replica_identity identity = identity_of(model);
	struct error error;
	struct kv *kv;

	snapshot_release(model->kept);
	model->kept = NULL;
	replica_close(model->replica);
	model->replica = NULL;
	model->session++;
	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	if (replica_open(kv, &identity, model->session, &model->replica, &error) != 0)
		printf("%s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->replica);
}

static inline struct replica_status status_of(const struct model *model)
{
	struct replica_status status;

	replica_status(model->replica, &status);
	return status;
}

static inline void check_state(const struct model *model, const struct live live[IDS])
{
	struct replica_status status = status_of(model);
	struct hash128 digest = {0, 0};
	uint64_t documents = 0;
	uint64_t body_bytes = 0;
	struct buffer scratch;

	buffer_init(&scratch, 1 << 20);
	for (size_t i = 0; i < IDS; i++) {
		if (!live[i].exists)
			continue;
		hash128_add(&digest, document_digest(INDEX_ID, slice_string(model->ids[i]),
		                                     live[i].entry->op.body, live[i].key, &scratch));
		documents++;
		body_bytes += live[i].entry->op.body.len;
	}
	buffer_deinit(&scratch);
	CU_ASSERT_TRUE_FATAL(hash128_equal(digest, status.digest));
	CU_ASSERT_EQUAL_FATAL(documents, status.documents);
	CU_ASSERT_EQUAL_FATAL(body_bytes, status.body_bytes);
	CU_ASSERT_EQUAL_FATAL(status.anchor.offset, status.received == BASE ? -1 : status.received - 1);
	CU_ASSERT_TRUE_FATAL(status.stored <= status.received);
}

static inline void check_gets(const struct model *model, const struct live live[IDS])
{
	struct arena arena;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++) {
		struct document document;
		struct error error;
		int rc = reads_get(model->replica, slice_string(model->ids[i]), &arena, &document, &error);

		CU_ASSERT_EQUAL_FATAL(rc, live[i].exists ? 0 : ERROR_NOT_FOUND);
		if (rc != 0)
			continue;
		CU_ASSERT_TRUE_FATAL(slice_equal(document.body, live[i].entry->op.body));
		CU_ASSERT_EQUAL_FATAL(document.key.timestamp_ms, live[i].key.timestamp_ms);
		CU_ASSERT_EQUAL_FATAL(document.key.seq, live[i].key.seq);
	}
	arena_deinit(&arena);
}

static inline struct model *model_new(const char *directory)
{
	struct model *model = calloc(1, sizeof *model);

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	*model = (struct model){.seed = 1, .end = BASE, .session = 1, .incarnation = {{5, 6}}};
	model->log = calloc(LOG_MAX, sizeof *model->log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->log);
	ids_make(model);
	while (model->end < BASE + 100)
		entry_make(model, model->end++);
	reopen(model, directory);
	return model;
}

static inline void model_free(struct model *model)
{
	snapshot_release(model->kept);
	replica_close(model->replica);
	free(model->log);
	free(model);
}

#endif
