/*
 * The replica against a plain model of its contract, over real LMDB files:
 * random ranges (overlapping, repeated, with gaps), merges, stores that end,
 * fail or are cut off by a crash, reopenings; after every step the state, every
 * document, listings and searches equal what a fold of the log gives. Then the
 * single rules: refusals, recovering, damage, another owner's files.
 */
#include "shard/core/replica.h"

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
	struct replica *replica;
};

static uint64_t draw(struct model *model, uint64_t bound)
{
	model->seed = model->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (model->seed >> 33) % bound;
}

/* Some ids share so much that the order on disk cannot tell them apart. */
static void ids_make(struct model *model)
{
	for (size_t i = 0; i < IDS; i++) {
		size_t len = i % 10 < 6 ? 0 : i % 10 == 6 ? 488 : i % 10 == 7 ? 495 : 506;

		memset(model->ids[i], 'x', len);
		snprintf(model->ids[i] + len, 6, "d%zu", i);
	}
}

static void entry_make(struct model *model, int64_t offset)
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

		entry->words |= 1U << word;
		len += (size_t)snprintf(entry->body + len, sizeof entry->body - len, "\"%s\",",
		                        vocabulary[word][0]);
	}
	snprintf(entry->body + len, sizeof entry->body - len, "null]}");
	entry->op.body = slice_string(entry->body);
}

static void fold(const struct model *model, int64_t to, struct live live[IDS])
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

static struct anchor anchor_at(int64_t offset)
{
	return (struct anchor){offset, offset * 10, (uint64_t)offset * 7};
}

/* [from, to) as one range through the real frame. */
static int send(struct model *model, int64_t from, int64_t to, int64_t log_end, struct range_answer *answer)
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

static struct replica_identity identity_of(const struct model *model)
{
	return (struct replica_identity){.cluster_id = "kafka-a",
	                                 .index_id = INDEX_ID,
	                                 .generation = 2,
	                                 .partition = 3,
	                                 .base = BASE,
	                                 .rules_digest = RULES,
	                                 .incarnation = model->incarnation};
}

static void reopen(struct model *model, const char *directory)
{
	struct replica_identity identity = identity_of(model);
	struct error error;
	struct kv *kv;

	replica_close(model->replica);
	model->replica = NULL;
	model->session++;
	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	if (replica_open(kv, &identity, model->session, &model->replica, &error) != 0)
		printf("%s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->replica);
}

static struct replica_status status_of(const struct model *model)
{
	struct replica_status status;

	replica_status(model->replica, &status);
	return status;
}

static void check_state(const struct model *model, const struct live live[IDS])
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

static void check_gets(const struct model *model, const struct live live[IDS])
{
	struct arena arena;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++) {
		struct document document;
		struct error error;
		int rc = replica_get(model->replica, slice_string(model->ids[i]), true, &arena, &document,
		                     &error);

		CU_ASSERT_EQUAL_FATAL(rc, live[i].exists ? 0 : ERROR_NOT_FOUND);
		if (rc != 0)
			continue;
		CU_ASSERT_TRUE_FATAL(slice_equal(document.body, live[i].entry->op.body));
		CU_ASSERT_EQUAL_FATAL(document.key.timestamp_ms, live[i].key.timestamp_ms);
		CU_ASSERT_EQUAL_FATAL(document.key.seq, live[i].key.seq);
	}
	arena_deinit(&arena);
}

/* A document that an answer must hold, in the order it must have. */
struct expected {
	struct slice id;
	const struct live *live;
	uint32_t score;
};

static int expected_compare(const void *a, const void *b)
{
	const struct expected *left = a;
	const struct expected *right = b;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	return insertion_key_compare(left->live->key, left->id, right->live->key, right->id);
}

static void check_page(struct expected *expected, size_t len, const struct document_page *page, size_t offset,
                       size_t limit)
{
	size_t rest = len > offset ? len - offset : 0;

	qsort(expected, len, sizeof *expected, expected_compare);
	CU_ASSERT_EQUAL_FATAL(page->total, len);
	CU_ASSERT_EQUAL_FATAL(page->count, rest < limit ? rest : limit);
	for (size_t i = 0; i < page->count; i++) {
		const struct expected *one = &expected[offset + i];

		CU_ASSERT_TRUE_FATAL(slice_equal(page->documents[i].id, one->id));
		CU_ASSERT_TRUE_FATAL(slice_equal(page->documents[i].body, one->live->entry->op.body));
		CU_ASSERT_EQUAL_FATAL(page->documents[i].score, one->score);
	}
}

static void check_list(struct model *model, const struct live live[IDS])
{
	struct expected expected[IDS];
	struct document_page page;
	struct document_page keys;
	struct arena arena;
	struct document_request request = {draw(model, 20), draw(model, 50), true, false, &arena};
	struct error error;
	size_t len = 0;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++)
		if (live[i].exists)
			expected[len++] = (struct expected){slice_string(model->ids[i]), &live[i], 0};
	CU_ASSERT_EQUAL_FATAL(replica_list(model->replica, &request, &page, &error), 0);
	check_page(expected, len, &page, (size_t)request.offset, request.limit);
	request.keys_only = true;
	CU_ASSERT_EQUAL_FATAL(replica_list(model->replica, &request, &keys, &error), 0);
	CU_ASSERT_EQUAL_FATAL(keys.count, page.count);
	for (size_t i = 0; i < keys.count; i++) {
		CU_ASSERT_TRUE_FATAL(slice_equal(keys.documents[i].id, page.documents[i].id));
		CU_ASSERT_EQUAL_FATAL(keys.documents[i].body.len, 0);
	}
	arena_deinit(&arena);
}

/* 0 if the document lacks a word, else 1 + score. */
static uint32_t match(const struct entry *entry, const size_t *words, size_t len, bool prefix)
{
	uint32_t score = 0;

	for (size_t i = 0; i < len; i++) {
		const char *word = vocabulary[words[i]][1];
		bool begins = false;

		if (entry->words >> words[i] & 1) {
			score++;
			continue;
		}
		for (size_t k = 0; k < VOCABULARY; k++)
			begins = begins || ((entry->words >> k & 1) &&
			                    strncmp(vocabulary[k][1], word, strlen(word)) == 0);
		if (!begins || !prefix || i + 1 < len)
			return 0;
	}
	return score + 1;
}

static void check_search(struct model *model, const struct live live[IDS])
{
	struct expected expected[IDS];
	struct document_page page;
	struct arena arena;
	struct document_request request = {0, draw(model, 50), true, false, &arena};
	struct error error;
	bool prefix = draw(model, 2) == 0;
	size_t words[3];
	size_t words_len = 1 + draw(model, 2);
	char query[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < words_len; i++) {
		words[i] = draw(model, VOCABULARY);
		strcat(query, vocabulary[words[i]][0]);
		if (i + 1 < words_len || !prefix)
			strcat(query, " ");
	}
	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++) {
		uint32_t found = live[i].exists ? match(live[i].entry, words, words_len, prefix) : 0;

		if (found > 0)
			expected[len++] = (struct expected){slice_string(model->ids[i]), &live[i], found - 1};
	}
	CU_ASSERT_EQUAL_FATAL(replica_search(model->replica, slice_string(query), &request, &page, &error),
	                      0);
	check_page(expected, len, &page, 0, request.limit);
	arena_deinit(&arena);
}

static void check(struct model *model)
{
	struct live live[IDS];

	fold(model, status_of(model).received, live);
	check_state(model, live);
	check_gets(model, live);
	check_list(model, live);
	for (int i = 0; i < 4; i++)
		check_search(model, live);
}

static void step_receive(struct model *model)
{
	int64_t received = status_of(model).received;
	int64_t from = received - (int64_t)draw(model, 3) * (int64_t)draw(model, 10);
	int64_t to = received + (int64_t)draw(model, draw(model, 4) == 0 ? 40 : 6);
	struct range_answer answer;
	enum range_result expected = RANGE_RESULT_APPLIED;

	if (from < BASE)
		from = BASE;
	while (model->end < to)
		entry_make(model, model->end++);
	if (draw(model, 10) == 0)
		from = to = from - (from > BASE);
	if (to <= received)
		expected = RANGE_RESULT_ALREADY;
	CU_ASSERT_EQUAL_FATAL(send(model, from, to, -1, &answer), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, expected);
	CU_ASSERT_EQUAL_FATAL(answer.received, to > received ? to : received);
	if (draw(model, 8) != 0)
		return;
	entry_make(model, model->end++);
	entry_make(model, model->end++);
	received = answer.received;
	CU_ASSERT_EQUAL_FATAL(send(model, received + 1, received + 2, -1, &answer), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_GAP);
	CU_ASSERT_EQUAL_FATAL(answer.received, received);
	model->end = received > model->end - 2 ? received : model->end - 2;
}

/* A job that ends, that is dropped, or that ran but whose end nobody saw (a crash). */
static void step_store(struct model *model, const char *directory)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	int64_t stored = status_of(model).stored;
	struct error error = {.code = 0};
	int rc = 0;

	if (job == NULL)
		return;
	CU_ASSERT_PTR_NULL_FATAL(replica_store_begin(model->replica));
	if (draw(model, 2) == 0)
		step_receive(model);
	if (draw(model, 5) == 0) {
		rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "not run");
	} else {
		rc = replica_store_run(job, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		check(model); /* in memory and on disk at once */
		step_receive(model);
		check(model);
	}
	replica_store_end(model->replica, job, rc, &error);
	if (rc == 0)
		CU_ASSERT_TRUE_FATAL(status_of(model).stored >= stored)
	else
		CU_ASSERT_EQUAL_FATAL(status_of(model).stored, stored);
	CU_ASSERT_EQUAL_FATAL(replica_verify(model->replica, &error), 0);
	if (draw(model, 4) == 0) {
		stored = status_of(model).stored;
		reopen(model, directory);
		CU_ASSERT_EQUAL_FATAL(status_of(model).received, stored);
	}
}

static void model_run(uint64_t seed)
{
	struct model model = {.seed = seed, .end = BASE, .session = 1, .incarnation = {{5, seed + 1}}};
	char directory[32];

	snprintf(directory, sizeof directory, "model-%llu", (unsigned long long)seed);
	model.log = calloc(LOG_MAX, sizeof *model.log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model.log);
	ids_make(&model);
	reopen(&model, directory);
	while (model.end < BASE + LOG_MAX - 200) {
		uint64_t what = draw(&model, 10);

		if (what < 7)
			step_receive(&model);
		else if (what < 8)
			(void)replica_merge(model.replica);
		else
			step_store(&model, directory);
		check(&model);
	}
	replica_close(model.replica);
	free(model.log);
}

static void test_model(void)
{
	const char *seed = getenv("SEED");

	if (seed != NULL) {
		model_run(strtoull(seed, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 3; i++)
		model_run(i);
}

static struct model *model_new(const char *directory)
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

static void model_free(struct model *model)
{
	replica_close(model->replica);
	free(model->log);
	free(model);
}

static int store(struct model *model, struct error *error)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	rc = replica_store_run(job, error);
	replica_store_end(model->replica, job, rc, error);
	return rc;
}

static int get_first(struct model *model, bool stale_ok)
{
	struct document document;
	struct arena arena;
	struct error error;
	int rc;

	arena_init(&arena, 4096);
	rc = replica_get(model->replica, slice_string(model->ids[0]), stale_ok, &arena, &document, &error);
	arena_deinit(&arena);
	return rc;
}

static void test_recovering(void)
{
	struct model *model = model_new("recovering");
	struct range_answer answer;
	struct error error;

	CU_ASSERT_EQUAL(send(model, BASE, BASE + 50, -1, &answer), 0);
	CU_ASSERT_EQUAL(get_first(model, false), ERROR_STATE);
	CU_ASSERT_NOT_EQUAL(get_first(model, true), ERROR_STATE);
	/* a log end that was read for an earlier session says nothing */
	model->session = 7;
	CU_ASSERT_EQUAL(send(model, BASE + 50, BASE + 60, BASE + 60, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(status_of(model).log_end, -1);
	model->session = answer.session;
	CU_ASSERT_EQUAL(send(model, BASE + 60, BASE + 70, BASE + 80, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	/* level with the end first read, though the log went on */
	CU_ASSERT_EQUAL(send(model, BASE + 70, BASE + 80, BASE + 90, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_ACTIVE);
	CU_ASSERT_EQUAL(status_of(model).log_end, BASE + 90);
	CU_ASSERT_NOT_EQUAL(get_first(model, false), ERROR_STATE);
	CU_ASSERT_EQUAL(store(model, &error), 0);
	reopen(model, "recovering");
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(status_of(model).received, BASE + 80);
	/* an empty log: level without a record */
	CU_ASSERT_EQUAL(send(model, BASE + 80, BASE + 80, BASE + 80, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_ALREADY);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_ACTIVE);
	model_free(model);
}

static void test_refusals(void)
{
	struct model *model = model_new("refusals");
	struct incarnation own = model->incarnation;
	struct range_answer answer;

	model->incarnation.word[0]++;
	CU_ASSERT_EQUAL(send(model, BASE, BASE + 5, BASE + 5, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_REFUSED);
	CU_ASSERT_TRUE(incarnation_equal(answer.incarnation, own));
	CU_ASSERT_EQUAL(answer.received, BASE);
	CU_ASSERT_EQUAL(status_of(model).log_end, -1);
	model->incarnation = own;
	CU_ASSERT_EQUAL(send(model, BASE, BASE + 5, BASE + 5, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_APPLIED);
	model_free(model);
}

/* Frames lie: more operations than announced, a body that is no JSON. Nothing changes then. */
static void test_malformed(void)
{
	struct model *model = model_new("malformed");
	struct range_answer answer;
	struct live live[IDS];

	CU_ASSERT_EQUAL(send(model, BASE, BASE + 20, -1, &answer), 0);
	model->log[30].op.kind = OP_KIND_PUT;
	model->log[30].op.body = slice_string("{\"cut");
	CU_ASSERT_EQUAL(send(model, BASE + 20, BASE + 40, -1, &answer), ERROR_FORMAT);
	CU_ASSERT_EQUAL(status_of(model).received, BASE + 20);
	fold(model, BASE + 20, live);
	check_state(model, live);
	check_gets(model, live);
	CU_ASSERT_EQUAL(send(model, BASE + 20, BASE + 25, -1, &answer), 0);
	fold(model, BASE + 25, live);
	check_state(model, live);
	model_free(model);
}

static int open_as(const struct replica_identity *identity, const char *directory)
{
	struct replica *replica;
	struct error error;
	struct kv *kv;
	int rc;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	rc = replica_open(kv, identity, 9, &replica, &error);
	if (rc == 0)
		replica_close(replica);
	else
		kv_close(kv);
	return rc;
}

static void test_identity(void)
{
	struct model *model = model_new("identity");
	struct replica_identity own = identity_of(model);
	struct replica_identity other = own;
	struct incarnation first = status_of(model).incarnation;

	model_free(model);
	memcpy(other.cluster_id, "kafka-b", 8);
	CU_ASSERT_EQUAL(open_as(&other, "identity"), ERROR_STATE);
	other = own;
	other.index_id++;
	CU_ASSERT_EQUAL(open_as(&other, "identity"), ERROR_STATE);
	other = own;
	other.generation++;
	CU_ASSERT_EQUAL(open_as(&other, "identity"), ERROR_STATE);
	other = own;
	other.partition++;
	CU_ASSERT_EQUAL(open_as(&other, "identity"), ERROR_STATE);
	other = own;
	other.incarnation.word[0] = 1234; /* counts only for an empty store */
	CU_ASSERT_EQUAL(open_as(&other, "identity"), 0);
	model = model_new("identity");
	CU_ASSERT_TRUE(incarnation_equal(status_of(model).incarnation, first));
	model_free(model);
}

static void put_state(const char *directory, size_t at)
{
	struct error error;
	struct kv_txn *txn;
	struct slice value;
	struct kv *kv;
	uint8_t copy[512];

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_get(txn, KV_TABLE_STATE, slice_string("state"), &value, &error), 0);
	CU_ASSERT_TRUE_FATAL(value.len <= sizeof copy && at < value.len);
	memcpy(copy, value.ptr, value.len);
	copy[at] ^= 1;
	CU_ASSERT_EQUAL_FATAL(
		kv_put(txn, KV_TABLE_STATE, slice_string("state"), slice_of(copy, value.len), &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	kv_close(kv);
}

static void test_state_damage(void)
{
	struct model *model = model_new("state");
	struct replica_identity own = identity_of(model);

	model_free(model);
	put_state("state", 0); /* the format */
	CU_ASSERT_EQUAL(open_as(&own, "state"), ERROR_VERSION);
	put_state("state", 0);
	CU_ASSERT_EQUAL(open_as(&own, "state"), 0);
	put_state("state", 60);
	CU_ASSERT_EQUAL(open_as(&own, "state"), ERROR_DAMAGED);
}

/* Flips a byte of every place of a body in the file (old copies of a page may be there too). */
static unsigned flip(const char *path, const char *needle)
{
	static uint8_t bytes[4 << 20];
	int fd = open(path, O_RDWR);
	ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
	unsigned flipped = 0;

	CU_ASSERT_TRUE_FATAL(len > 0);
	for (ssize_t i = 0; i + (ssize_t)strlen(needle) < len; i++) {
		uint8_t changed = bytes[i] ^ 4;

		if (memcmp(bytes + i, needle, strlen(needle)) != 0)
			continue;
		CU_ASSERT_EQUAL(pwrite(fd, &changed, 1, i), 1);
		flipped++;
	}
	close(fd);
	return flipped;
}

static void test_flipped_byte(void)
{
	struct model *model = model_new("flipped");
	struct range_answer answer;
	struct document_page page;
	struct document document;
	struct arena arena;
	struct document_request request = {0, 1000, true, false, &arena};
	struct error error;
	const char *body = "{\"n\":17,\"t\":[\"unmistakable\"]}";

	arena_init(&arena, 4096);
	model->log[0].op.kind = OP_KIND_PUT;
	model->log[0].op.id = slice_string("flip");
	model->log[0].op.body = slice_string(body);
	CU_ASSERT_EQUAL(send(model, BASE, BASE + 20, -1, &answer), 0);
	CU_ASSERT_EQUAL(store(model, &error), 0);
	CU_ASSERT_EQUAL(replica_verify(model->replica, &error), 0);
	replica_close(model->replica);
	model->replica = NULL;
	CU_ASSERT_TRUE(flip("flipped/data.mdb", "unmistakable\"") > 0);
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(replica_verify(model->replica, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(replica_get(model->replica, slice_string("flip"), true, &arena, &document, &error),
	                ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
	CU_ASSERT_NOT_EQUAL(status_of(model).stop_reason[0], '\0');
	CU_ASSERT_EQUAL(replica_list(model->replica, &request, &page, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(send(model, BASE + 20, BASE + 30, -1, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_STOPPED);
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(replica_search(model->replica, slice_string("unmistakable"), &request, &page, &error),
	                ERROR_DAMAGED);
	arena_deinit(&arena);
	model_free(model);
}

/* A document for each of the first BASE + n offsets, large enough to fill the first map. */
static void test_growth(void)
{
	size_t len = 3U << 20;
	char *body = malloc(len + 1);
	struct model *model = model_new("growth");
	struct range_answer answer;
	struct error error;
	unsigned limits = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	memset(body, ' ', len);
	body[0] = '{';
	body[len - 1] = '}';
	body[len] = '\0';
	for (int64_t offset = BASE; offset < BASE + 30; offset++) {
		model->log[offset - BASE].op.kind = OP_KIND_PUT;
		model->log[offset - BASE].op.id = slice_string(model->ids[offset - BASE]);
		model->log[offset - BASE].op.body = slice_of(body, len);
		CU_ASSERT_EQUAL_FATAL(send(model, offset, offset + 1, -1, &answer), 0);
	}
	while (status_of(model).stored < BASE + 30) {
		int rc = store(model, &error);

		CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_LIMIT);
		limits += rc != 0;
	}
	CU_ASSERT_EQUAL(limits, 1);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(replica_verify(model->replica, &error), 0);
	model_free(model);
	free(body);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the model", test_model},
	                       {"recovering until level", test_recovering},
	                       {"another incarnation", test_refusals},
	                       {"malformed ranges change nothing", test_malformed},
	                       {"another owner's files", test_identity},
	                       {"a damaged state", test_state_damage},
	                       {"a flipped byte", test_flipped_byte},
	                       {"a map that fills", test_growth},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica", tests);
}
