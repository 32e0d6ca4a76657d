/*
 * Fold model: a plain log of every kind of operation, what it amounts to, and
 * a replica that is fed from it in ranges of the real memtable, through real
 * frames. What the tests of the complete fold share.
 *
 * A document of the model is a list of members; its text is that of the put,
 * or, once merged, the members without space between.
 */
#ifndef MILLRACE_TESTS_UNIT_FOLD_MODEL_H
#define MILLRACE_TESTS_UNIT_FOLD_MODEL_H

#include "tests/unit/replica_asked.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define FOLD_INDEX 0x8877665544332211ULL
#define FOLD_RULES 7
#define FOLD_IDS 40
#define FOLD_BASE 4080 /* a seal is near */
#define FOLD_BYTES_MAX 150
#define FOLD_MEMBERS 5
#define FOLD_TEXT 400

/* Values of the members; the first text of each says that there is none. */
static const char *const fold_names[FOLD_MEMBERS] = {"n", "c", "t", "long", "deep.er"};
static const char *const fold_values[FOLD_MEMBERS][5] = {
	{NULL, "1", "2.50", "7", "-3e0"},
	{NULL, "\"Rot\"", "\"ROT\"", "\"\xc3\x89\"", "\"e\xcc\x81\""},
	{NULL, "\"alpha beta\"", "null", "[\"gamma\",{\"x\":true}]", "\"\\u0061lpha\""},
	{NULL, "\"0123456789012345678901234567890123456789\"", "\"0123456789012345678901234567890123456789\"",
         "[\"0123456789\",\"0123456789\",\"0123456789\",\"0123456789\"]", "\"short\""},
	{NULL, "{\"a\":1}", "{}", "\"\"", "[[],[1]]"},
};

struct fold_document {
	bool exists;
	struct insertion_key key;
	size_t order[FOLD_MEMBERS]; /* members, in the order of the text */
	size_t members;
	size_t value[FOLD_MEMBERS]; /* 0: none */
	char text[FOLD_TEXT];
};

struct fold_record {
	struct op op;
	size_t id;
	size_t filter;
	struct fold_document sent; /* members and text of the body */
};

struct fold_filter {
	const char *json;
	bool (*matches)(const struct fold_document *document);
};

static bool filter_small(const struct fold_document *document)
{
	return document->value[0] == 1 || document->value[0] == 2 || document->value[0] == 4;
}

static bool filter_red(const struct fold_document *document)
{
	return document->value[1] == 1 || document->value[1] == 2;
}

static bool filter_accent(const struct fold_document *document)
{
	return document->value[1] == 3 || document->value[1] == 4;
}

static bool filter_pair(const struct fold_document *document)
{
	return document->value[0] == 3 && document->value[2] != 0;
}

static bool filter_absent(const struct fold_document *document)
{
	return document->value[0] == 0 && document->value[4] != 1;
}

static const struct fold_filter fold_filters[] = {
	{"\"n < 3\"", filter_small},
	{"\"c = rOt\"", filter_red},
	{"[[\"c = '\\u00e9'\"]]", filter_accent},
	{"[\"n >= 7\",\"t EXISTS\"]", filter_pair},
	{"\"NOT n EXISTS AND deep.er.a != 1\"", filter_absent},
};
#define FOLD_FILTERS (sizeof fold_filters / sizeof fold_filters[0])

struct fold_model {
	char ids[FOLD_IDS][16];
	struct fold_record *log; /* [offset - FOLD_BASE] */
	int64_t log_max;
	int64_t end;
	uint64_t seed;
	uint64_t session;
	char directory[32];
	bool noting; /* every record has an identity */
	struct replica *replica;
	struct kv *kv; /* the replica's */
};

static inline uint64_t fold_draw(struct fold_model *model, uint64_t bound)
{
	model->seed = model->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (model->seed >> 33) % bound;
}

static inline void fold_text(struct fold_document *document, const char *id, bool spaced)
{
	const char *space = spaced ? " \n" : "";
	size_t len =
		(size_t)snprintf(document->text, FOLD_TEXT, "{%s\"id\"%s:%s\"%s\"", space, space, space, id);

	for (size_t i = 0; i < document->members; i++) {
		size_t member = document->order[i];

		len += (size_t)snprintf(document->text + len, FOLD_TEXT - len, "%s,\"%s\":%s%s", space,
		                        fold_names[member], space,
		                        fold_values[member][document->value[member]]);
	}
	snprintf(document->text + len, FOLD_TEXT - len, "%s}", space);
}

static inline void fold_set(struct fold_document *document, size_t member, size_t value)
{
	if (document->value[member] == 0)
		document->order[document->members++] = member;
	document->value[member] = value;
}

static inline enum op_kind fold_kind(struct fold_model *model)
{
	uint64_t what = fold_draw(model, 100);

	if (what < 30)
		return OP_KIND_PUT;
	if (what < 55)
		return OP_KIND_MERGE;
	if (what < 65)
		return OP_KIND_PUT_IF_EXISTS;
	if (what < 80)
		return OP_KIND_MERGE_IF_EXISTS;
	if (what < 94)
		return OP_KIND_DELETE;
	return what < 99 ? OP_KIND_DELETE_BY_FILTER : OP_KIND_DELETE_ALL;
}

/* The record at the log's end, of a given kind. */
static inline struct fold_record *fold_append_kind(struct fold_model *model, enum op_kind kind)
{
	struct fold_record *record = &model->log[model->end - FOLD_BASE];

	CU_ASSERT_TRUE_FATAL(model->end - FOLD_BASE < model->log_max);
	*record = (struct fold_record){.id = fold_draw(model, FOLD_IDS),
	                               .filter = fold_draw(model, FOLD_FILTERS)};
	record->op = (struct op){.offset = model->end++, .kind = kind};
	record->op.key = (struct insertion_key){(int64_t)fold_draw(model, 9), (uint32_t)fold_draw(model, 2)};
	record->op.body = slice_string("");
	if (op_kind_is_barrier(kind)) {
		record->op.id = slice_string("");
		if (kind == OP_KIND_DELETE_BY_FILTER)
			record->op.body = slice_string(fold_filters[record->filter].json);
		return record;
	}
	record->op.id = slice_string(model->ids[record->id]);
	if (kind == OP_KIND_DELETE)
		return record;
	for (size_t i = fold_draw(model, FOLD_MEMBERS); i-- > 0;)
		fold_set(&record->sent, fold_draw(model, FOLD_MEMBERS), 1 + fold_draw(model, 4));
	fold_text(&record->sent, model->ids[record->id], fold_draw(model, 3) == 0);
	record->op.body = slice_string(record->sent.text);
	return record;
}

static inline void fold_append(struct fold_model *model)
{
	(void)fold_append_kind(model, fold_kind(model));
}

static inline void fold_merge(struct fold_document *document, const struct fold_record *record,
                              const char *id)
{
	struct fold_document merged = *document;

	for (size_t i = 0; i < record->sent.members; i++)
		fold_set(&merged, record->sent.order[i], record->sent.value[record->sent.order[i]]);
	fold_text(&merged, id, false);
	if (strlen(merged.text) <= FOLD_BYTES_MAX)
		*document = merged;
}

static inline void fold_one(const struct fold_model *model, const struct fold_record *record,
                            struct fold_document documents[FOLD_IDS])
{
	struct fold_document *document = &documents[record->id];
	enum op_kind kind = record->op.kind;

	if (op_kind_is_barrier(kind)) {
		for (size_t i = 0; i < FOLD_IDS; i++)
			if (kind == OP_KIND_DELETE_ALL || fold_filters[record->filter].matches(&documents[i]))
				documents[i].exists = false;
		return;
	}
	if (kind == OP_KIND_DELETE) {
		document->exists = false;
	} else if (document->exists && (kind == OP_KIND_MERGE || kind == OP_KIND_MERGE_IF_EXISTS)) {
		fold_merge(document, record, model->ids[record->id]);
	} else if (document->exists || kind == OP_KIND_PUT || kind == OP_KIND_MERGE) {
		struct insertion_key key = document->exists ? document->key : record->op.key;

		*document = record->sent;
		document->exists = true;
		document->key = key;
	}
}

static inline void fold_all(const struct fold_model *model, int64_t to,
                            struct fold_document documents[FOLD_IDS])
{
	memset(documents, 0, FOLD_IDS * sizeof documents[0]);
	for (int64_t offset = FOLD_BASE; offset < to; offset++)
		fold_one(model, &model->log[offset - FOLD_BASE], documents);
}

static inline struct replica_status fold_status(const struct fold_model *model)
{
	struct replica_status status;

	replica_status(model->replica, &status);
	return status;
}

static inline struct replica_identity fold_identity(void)
{
	return (struct replica_identity){.cluster_id = "kafka-a",
	                                 .index_id = FOLD_INDEX,
	                                 .generation = 1,
	                                 .partition = 0,
	                                 .base = FOLD_BASE,
	                                 .rules_digest = FOLD_RULES,
	                                 .incarnation = {{5, 6}},
	                                 .document_bytes_max = FOLD_BYTES_MAX,
	                                 .dedup_window = 1000};
}

static inline void fold_reopen(struct fold_model *model)
{
	struct replica_identity identity = fold_identity();
	struct error error;
	struct kv *kv;

	replica_close(model->replica);
	model->replica = NULL;
	CU_ASSERT_EQUAL_FATAL(kv_open(model->directory, &kv, &error), 0);
	if (replica_open(kv, &identity, ++model->session, &model->replica, &error) != 0)
		printf("%s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->replica);
	model->kv = kv;
}

static inline void fold_model_init(struct fold_model *model, uint64_t seed, int64_t log_max)
{
	*model = (struct fold_model){.seed = seed, .log_max = log_max, .end = FOLD_BASE};
	model->log = calloc((size_t)log_max, sizeof *model->log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->log);
	for (size_t i = 0; i < FOLD_IDS; i++)
		snprintf(model->ids[i], sizeof model->ids[i], "d%zu", i);
	snprintf(model->directory, sizeof model->directory, "fold-%llu", (unsigned long long)seed);
	fold_reopen(model);
}

static inline void fold_model_deinit(struct fold_model *model)
{
	replica_close(model->replica);
	free(model->log);
}

/* The longest range [from, …) up to `to` that a feeder would make, as a frame's; `frame` keeps its bytes. */
static inline void fold_range(const struct fold_model *model, int64_t from, int64_t to, struct buffer *frame,
                              struct range *range)
{
	struct memtable *memtable = memtable_new(from);
	struct batch_writer writer;
	struct batch_reader reader;
	struct error error;

	*range = (struct range){.index_id = FOLD_INDEX,
	                        .incarnation = {{5, 6}},
	                        .session = model->session,
	                        .rules_digest = FOLD_RULES,
	                        .log_end = -1};
	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	buffer_init(frame, BATCH_BYTES_MAX);
	for (int64_t offset = from; offset < to; offset++) {
		const struct op *op = &model->log[offset - FOLD_BASE].op;

		if (memtable_is_full(memtable, offset, memtable_op_bytes(op)))
			break;
		if (model->noting)
			CU_ASSERT_TRUE_FATAL(memtable_note_identity(
				memtable, offset, &(struct identity){{(uint64_t)offset, 1}, 2}));
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, op));
		memtable_set_anchor(memtable, (struct anchor){offset, offset, 3});
	}
	batch_begin(&writer, frame, 1);
	batch_add(&writer, range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, range, &error), 1);
	memtable_free(memtable);
}

/* Documents, digest, counts, and everything that reads can tell, as the fold up to received has them. */
static inline void fold_check(struct fold_model *model)
{
	struct fold_document documents[FOLD_IDS];
	struct replica_status status = fold_status(model);
	struct hash128 digest = {0, 0};
	uint64_t body_bytes = 0;
	uint64_t count = 0;
	uint64_t red = 0;
	struct document_page page;
	struct arena arena;
	struct document_request request = {0, FOLD_IDS, false, &arena};
	struct asked_search asked = {.query = "rot ", .limit = FOLD_IDS, .arena = &arena};
	struct asked_page found;
	struct buffer scratch;
	struct error error;

	fold_all(model, status.received, documents);
	arena_init(&arena, 4096);
	buffer_init(&scratch, 1 << 20);
	for (size_t i = 0; i < FOLD_IDS; i++) {
		const struct fold_document *wanted = &documents[i];
		struct document document;
		struct slice id = slice_string(model->ids[i]);
		int rc = reads_get(model->replica, id, &arena, &document, &error);

		CU_ASSERT_EQUAL_FATAL(rc, wanted->exists ? 0 : ERROR_NOT_FOUND);
		if (!wanted->exists)
			continue;
		CU_ASSERT_TRUE_FATAL(slice_equal(document.body, slice_string(wanted->text)));
		CU_ASSERT_EQUAL_FATAL(document.key.timestamp_ms, wanted->key.timestamp_ms);
		CU_ASSERT_EQUAL_FATAL(document.key.seq, wanted->key.seq);
		hash128_add(&digest, document_digest(FOLD_INDEX, id, document.body, wanted->key, &scratch));
		body_bytes += document.body.len;
		count++;
		red += filter_red(wanted);
	}
	CU_ASSERT_TRUE_FATAL(hash128_equal(status.digest, digest));
	CU_ASSERT_EQUAL_FATAL(status.documents, count);
	CU_ASSERT_EQUAL_FATAL(status.body_bytes, body_bytes);
	CU_ASSERT_EQUAL_FATAL(reads_list(model->replica, &request, &page, &error), 0);
	CU_ASSERT_EQUAL_FATAL(page.count, count);
	for (size_t i = 1; i < page.count; i++)
		CU_ASSERT_TRUE_FATAL(insertion_key_compare(page.documents[i - 1].key,
		                                           page.documents[i - 1].id, page.documents[i].key,
		                                           page.documents[i].id) < 0);
	CU_ASSERT_EQUAL_FATAL(asked_replica(model->replica, &asked, &found, &error), 0);
	CU_ASSERT_EQUAL_FATAL(found.total, red);
	CU_ASSERT_EQUAL_FATAL(found.len, red);
	buffer_deinit(&scratch);
	arena_deinit(&arena);
}

/* One range from `from` towards `to`. */
static inline void fold_receive(struct fold_model *model, int64_t from, int64_t to)
{
	int64_t received = fold_status(model).received;
	struct range_answer answer;
	struct buffer frame;
	struct range range;
	struct error error;
	int rc;

	fold_range(model, from, to, &frame, &range);
	rc = replica_receive(model->replica, &range, &answer, &error);
	if (rc != 0)
		printf("%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(answer.result,
	                      range.to <= received ? RANGE_RESULT_ALREADY : RANGE_RESULT_APPLIED);
	CU_ASSERT_EQUAL_FATAL(answer.received, range.to > received ? range.to : received);
	buffer_deinit(&frame);
}

/* Everything up to `to`, range by range. */
static inline void fold_receive_all(struct fold_model *model, int64_t to)
{
	while (fold_status(model).received < to)
		fold_receive(model, fold_status(model).received, to);
}

static inline void fold_store(struct fold_model *model)
{
	while (fold_status(model).stored < fold_status(model).received) {
		struct replica_store_job *job = replica_store_begin(model->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(model->replica, job, rc, &error);
		if (rc != 0)
			printf("%s\n", error.text);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

#endif
