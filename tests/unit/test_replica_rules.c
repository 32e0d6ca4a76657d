/*
 * The single rules of a replica: recovering until level, refusals, malformed
 * ranges, another owner's files, damage, a map that fills.
 */
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

#include "shard/core/sections.h"

static int store(struct model *model, struct error *error)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	rc = replica_store_run(job, error);
	replica_store_end(model->replica, job, rc, error);
	return rc;
}

/* Whoever accepts what is stale can read what has come. */
static void check_readable(struct model *model)
{
	struct live live[IDS];

	fold(model, status_of(model).received, live);
	check_gets(model, live);
}

static void test_recovering(void)
{
	struct model *model = model_new("recovering");
	struct range_answer answer;
	struct error error;

	CU_ASSERT_EQUAL(send(model, BASE, BASE + 50, -1, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	check_readable(model);
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
	check_readable(model);
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

/* A new session without a restart: nothing received is lost, and what was known of the log does not count. */
static void test_paused(void)
{
	struct model *model = model_new("paused");
	struct range_answer answer;

	CU_ASSERT_EQUAL(send(model, BASE, BASE + 50, BASE + 50, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_ACTIVE);
	replica_pause(model->replica, 4711);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(status_of(model).session, 4711);
	CU_ASSERT_EQUAL(status_of(model).received, BASE + 50);
	CU_ASSERT_EQUAL(status_of(model).log_end, -1);
	check_readable(model);
	/* a batch that was on its way names the earlier session: its operations count, its log end does not */
	CU_ASSERT_EQUAL(send(model, BASE + 50, BASE + 60, BASE + 60, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_APPLIED);
	CU_ASSERT_EQUAL(answer.session, 4711);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(status_of(model).received, BASE + 60);
	model->session = 4711;
	CU_ASSERT_EQUAL(send(model, BASE + 60, BASE + 60, BASE + 60, &answer), 0);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_ACTIVE);
	check_readable(model);
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

static void test_cluster(void)
{
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(kv_open("cluster", &kv, &error), 0);
	CU_ASSERT_EQUAL(replica_check_cluster(kv, "kafka-b", &error), 0); /* empty: nobody's */
	kv_close(kv);
	model_free(model_new("cluster"));
	CU_ASSERT_EQUAL_FATAL(kv_open("cluster", &kv, &error), 0);
	CU_ASSERT_EQUAL(replica_check_cluster(kv, "kafka-a", &error), 0);
	CU_ASSERT_EQUAL(replica_check_cluster(kv, "kafka-b", &error), ERROR_STATE);
	kv_close(kv);
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
	struct document_request request = {0, 1000, false, &arena};
	struct asked_search asked = {.query = "unmistakable", .limit = 1000, .arena = &arena};
	struct asked_page found;
	struct error error;
	const char *id = "unmistakable";
	const char *body = "{\"n\":17,\"t\":[\"unmistakable\",\"unmoved\"]}";

	arena_init(&arena, 4096);
	model->log[0].op.kind = OP_KIND_PUT;
	model->log[0].op.id = slice_string(id);
	model->log[0].op.body = slice_string(body);
	CU_ASSERT_EQUAL(send(model, BASE, BASE + 20, -1, &answer), 0);
	CU_ASSERT_EQUAL(store(model, &error), 0);
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
	replica_close(model->replica);
	model->replica = NULL;
	CU_ASSERT_TRUE(flip("flipped/data.mdb", id) > 1); /* the id's and the word's */
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(reads_get(model->replica, slice_string(id), &arena, &document, &error),
	                ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
	CU_ASSERT_NOT_EQUAL(status_of(model).stop_reason[0], '\0');
	CU_ASSERT_EQUAL(reads_list(model->replica, &request, &page, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(send(model, BASE + 20, BASE + 30, -1, &answer), 0);
	CU_ASSERT_EQUAL(answer.result, RANGE_RESULT_STOPPED);
	reopen(model, "flipped");
	CU_ASSERT_EQUAL(asked_replica(model->replica, &asked, &found, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
	arena_deinit(&arena);
	model_free(model);
}

/* Flips a byte in the middle of the n-th chunk; false if there are not that many. */
static bool flip_chunk(const char *directory, size_t n)
{
	struct kv_cursor *cursor;
	struct error error;
	struct kv_txn *txn;
	struct slice key;
	struct slice value;
	struct kv *kv;
	uint8_t copy[65536];
	int rc;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, &error), 0);
	rc = kv_cursor_seek(cursor, slice_of("", 1), &key, &value, &error);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = kv_cursor_next(cursor, &key, &value, &error);
	kv_cursor_close(cursor);
	if (rc == 0) {
		CU_ASSERT_TRUE_FATAL(value.len > 8 && value.len <= sizeof copy);
		memcpy(copy, value.ptr, value.len);
		copy[value.len / 2] ^= 4;
		CU_ASSERT_EQUAL_FATAL(kv_put(txn, KV_TABLE_CHUNKS, key, slice_of(copy, value.len), &error),
		                      0);
		CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	} else {
		kv_abort(txn);
	}
	kv_close(kv);
	return rc == 0;
}

/* Whatever chunk is damaged, a verification finds it. */
static void test_flipped_chunks(void)
{
	struct model *model = model_new("chunks");
	struct range_answer answer;
	struct error error;
	size_t n = 0;

	CU_ASSERT_EQUAL(send(model, BASE, BASE + 100, -1, &answer), 0);
	CU_ASSERT_EQUAL(store(model, &error), 0);
	for (;; n++) {
		replica_close(model->replica);
		model->replica = NULL;
		if (!flip_chunk("chunks", n))
			break;
		reopen(model, "chunks");
		CU_ASSERT_EQUAL(reads_verify(model->replica, &error), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_STOPPED);
		replica_close(model->replica);
		model->replica = NULL;
		CU_ASSERT_TRUE(flip_chunk("chunks", n));
	}
	CU_ASSERT_TRUE(n >= SECTIONS - 1); /* no list was too long to be inline */
	reopen(model, "chunks");
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
	model_free(model);
}

/* What no compression makes much smaller. */
static void body_fill(char *body, size_t len)
{
	static const char head[] = "{\"noise\":\"";
	uint64_t state = 1;

	for (size_t i = 0; i < len; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		body[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678901"[state >> 58];
	}
	memcpy(body, head, sizeof head - 1);
	memcpy(body + len - 2, "\"}", 3);
}

/* Documents too large for the map that a store begins with. */
static void test_growth(void)
{
	size_t len = 3U << 20;
	char *body = malloc(len + 1);
	struct model *model = model_new("growth");
	struct range_answer answer;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	body_fill(body, len);
	for (int64_t offset = BASE; offset < BASE + 30; offset++) {
		model->log[offset - BASE].op.kind = OP_KIND_PUT;
		model->log[offset - BASE].op.id = slice_string(model->ids[offset - BASE]);
		model->log[offset - BASE].op.body = slice_of(body, len);
		CU_ASSERT_EQUAL_FATAL(send(model, offset, offset + 1, -1, &answer), 0);
	}
	while (status_of(model).stored < BASE + 30)
		CU_ASSERT_EQUAL_FATAL(store(model, &error), 0); /* who stores saw to the room */
	CU_ASSERT_TRUE(status_of(model).disk_bytes > 64U << 20);
	CU_ASSERT_EQUAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
	model_free(model);
	free(body);
}

int main(void)
{
	CU_TestInfo tests[] = {{"recovering until level", test_recovering},
	                       {"a new session without a restart", test_paused},
	                       {"another incarnation", test_refusals},
	                       {"malformed ranges change nothing", test_malformed},
	                       {"another owner's files", test_identity},
	                       {"another cluster's files", test_cluster},
	                       {"a damaged state", test_state_damage},
	                       {"a flipped byte", test_flipped_byte},
	                       {"a flipped byte in any chunk", test_flipped_chunks},
	                       {"a map that fills", test_growth},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica rules", tests);
}
