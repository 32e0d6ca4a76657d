/*
 * Faults: the n-th call to the store fails, for n = 1, 2, 3, … until a whole
 * life of a replica passes without one, or a whole compaction. After every failure the replica is
 * still the fold of what it says it has received, and the same call, made
 * again, goes through.
 */
#include "shared/record/marks.h"
#include "tests/unit/kv_faults.h"
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

/* The real module, with transactions so short that a store of this test takes several. */
#define STORE_TRANSACTION_BYTES 50000
#include "shard/core/replica_store_segment.c"

/* What failed must be the fault and nothing worse; what passed must be right. */
static void check_after(struct model *model, int rc, const struct error *error)
{
	struct live live[IDS];

	if (rc == 0)
		return;
	CU_ASSERT_TRUE_FATAL(has_failed);
	CU_ASSERT_EQUAL_FATAL(rc, fault_code);
	CU_ASSERT_EQUAL_FATAL(error->action, ERROR_ACTION_RETRY);
	CU_ASSERT_EQUAL_FATAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	fold(model, status_of(model).received, live);
	check_state(model, live);
	check_gets(model, live);
}

static void receive(struct model *model, int64_t to)
{
	while (status_of(model).received < to) {
		struct error error = {fault_code, ERROR_ACTION_RETRY, ""};
		struct range_answer answer;
		int64_t from = status_of(model).received;
		int rc = send(model, from, to, -1, &answer);

		check_after(model, rc, &error);
		CU_ASSERT_EQUAL_FATAL(status_of(model).received, rc == 0 ? to : from);
	}
}

static void store(struct model *model)
{
	int64_t stored = status_of(model).stored;

	while (status_of(model).stored < status_of(model).received) {
		struct replica_store_job *job = replica_store_begin(model->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(model->replica, job, rc, &error);
		check_after(model, rc, &error);
		if (rc != 0)
			CU_ASSERT_EQUAL_FATAL(status_of(model).stored, stored);
	}
}

static void read_all(struct model *model)
{
	struct arena arena;
	struct document_page page;
	struct document document;
	struct document_request request = {0, 100, false, &arena};
	struct asked_search asked = {.query = "al", .limit = 100, .arena = &arena};
	struct asked_page found;
	struct error error;
	int rc;

	arena_init(&arena, 4096);
	do {
		rc = reads_list(model->replica, &request, &page, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	CU_ASSERT_EQUAL_FATAL(page.count, status_of(model).documents);
	do {
		rc = asked_replica(model->replica, &asked, &found, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	do {
		rc = reads_get(model->replica, page.documents[0].id, &arena, &document, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	do {
		rc = reads_verify(model->replica, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	arena_deinit(&arena);
}

/* The last ten identities, and the origin of the last record; a failed page is asked for again. */
static void read_marks(struct model *model)
{
	int64_t received = status_of(model).received;
	struct identity_entry entry;
	struct origin origin;
	struct marks_page page;
	struct buffer bytes;
	struct error error;
	size_t at = 0;
	int rc;

	buffer_init(&bytes, MARKS_PAGE_BYTES_MAX);
	do {
		buffer_clear(&bytes);
		rc = replica_marks(model->replica, 0, &bytes, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	CU_ASSERT_EQUAL_FATAL(marks_open(&page, buffer_slice(&bytes), &error), 0);
	CU_ASSERT_TRUE_FATAL(marks_page_origin(&page, &at, &origin));
	CU_ASSERT_EQUAL_FATAL(origin.offset, (received - 1) * 2);
	CU_ASSERT_EQUAL_FATAL(page.identities_len, 10);
	at = 0;
	for (int64_t offset = received - 10; marks_page_identity(&page, &at, &entry); offset++) {
		CU_ASSERT_EQUAL_FATAL(entry.offset, offset);
		CU_ASSERT_EQUAL_FATAL(entry.identity.key.low, identity_at(offset).key.low);
	}
	buffer_deinit(&bytes);
}

/* Opening may fail as well; then nothing is open and it is tried again. */
static void open_again(struct model *model)
{
	struct replica_identity identity = identity_of(model);

	replica_close(model->replica);
	model->replica = NULL;
	model->session++;
	while (model->replica == NULL) {
		struct error error;
		struct kv *kv;

		if (kv_open("faults", &kv, &error) != 0)
			continue;
		if (replica_open(kv, &identity, model->session, &model->replica, &error) == 0)
			break;
		CU_ASSERT_TRUE_FATAL(has_failed);
		model->replica = NULL;
		kv_close(kv);
	}
}

static void life(struct model *model)
{
	open_again(model);
	receive(model, BASE + 4);
	store(model);
	receive(model, BASE + 9);
	receive(model, BASE + 11);
	store(model);
	receive(model, BASE + 15);
	read_all(model);
	read_marks(model);
	open_again(model);
	CU_ASSERT_EQUAL_FATAL(status_of(model).received, BASE + 11);
	receive(model, BASE + 15);
	store(model);
	read_all(model);
	read_marks(model);
}

static void test_faults(void)
{
	long n = 0;

	do {
		struct model model = {
			.seed = 3, .end = BASE, .session = 1, .incarnation = {{5, 6}}, .noting = true};

		CU_ASSERT_EQUAL_FATAL(system("rm -rf faults"), 0);
		model.log = calloc(LOG_MAX, sizeof *model.log);
		CU_ASSERT_PTR_NOT_NULL_FATAL(model.log);
		ids_make(&model);
		while (model.end < BASE + 15)
			entry_make(&model, model.end++);
		has_failed = false;
		calls_left = n++;
		life(&model);
		calls_left = -1;
		replica_close(model.replica);
		free(model.log);
	} while (has_failed);
	printf("%ld faults ", n - 1);
	CU_ASSERT_TRUE(n > 250);
}

#define SEGMENTS 9
#define ROUND 12

/* Slices until nothing is left to do; a range comes and is stored after the first of them. */
static void compact(struct model *model, int64_t to)
{
	for (;;) {
		struct replica_compact_job *job = replica_compact_begin(model->replica);
		struct error error = {.code = 0};
		bool more = true;
		int rc = 0;

		if (job == NULL)
			return;
		while (rc == 0 && more) {
			rc = replica_compact_run(job, 40, &more, &error);
			if (rc == 0 && more) {
				receive(model, to);
				store(model);
			}
		}
		replica_compact_end(model->replica, job, rc, &error);
		check_after(model, rc, &error);
	}
}

/* Every chunk on disk is of a segment that the manifest lists. */
static void check_chunks(const struct model *model)
{
	const struct manifest *manifest = &model->replica->manifest->manifest;
	struct kv_txn *txn;
	struct error error;
	uint64_t segment = 0;
	size_t found = 0;

	CU_ASSERT_EQUAL_FATAL(manifest->leaving_len, 0);
	CU_ASSERT_EQUAL_FATAL(manifest->building_len, 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(model->replica->kv, false, &txn, &error), 0);
	for (; section_next_segment(txn, segment, &segment, &error) == 0; segment++) {
		size_t at = 0;

		while (at < manifest->segments_len && manifest->segments[at].id != segment)
			at++;
		CU_ASSERT_TRUE_FATAL(at < manifest->segments_len);
		found++;
	}
	CU_ASSERT_EQUAL_FATAL(error.code, ERROR_NOT_FOUND);
	CU_ASSERT_EQUAL_FATAL(found, manifest->segments_len);
	kv_abort(txn);
}

static void compact_life(struct model *model)
{
	open_again(model);
	CU_ASSERT_TRUE_FATAL(status_of(model).disk_segments >= 8);
	compact(model, BASE + (SEGMENTS + 1) * ROUND);
	read_all(model);
	open_again(model);
	read_all(model);
	compact(model, BASE + (SEGMENTS + 1) * ROUND);
	CU_ASSERT_TRUE(status_of(model).disk_segments < 8);
}

static void compact_faults(int code)
{
	struct model model = {.seed = 8, .end = BASE, .session = 1, .incarnation = {{5, 6}}, .noting = true};
	long n = 0;

	fault_code = code;
	CU_ASSERT_EQUAL_FATAL(system("rm -rf faults"), 0);
	model.log = calloc(LOG_MAX, sizeof *model.log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model.log);
	ids_make(&model);
	while (model.end < BASE + (SEGMENTS + 1) * ROUND)
		entry_make(&model, model.end++);
	open_again(&model);
	for (int i = 1; i <= SEGMENTS; i++) {
		receive(&model, BASE + i * ROUND);
		store(&model);
	}
	replica_close(model.replica);
	CU_ASSERT_EQUAL_FATAL(system("rm -rf faults-base && mv faults faults-base"), 0);
	do {
		CU_ASSERT_EQUAL_FATAL(system("rm -rf faults && cp -r faults-base faults"), 0);
		model.replica = NULL;
		has_failed = false;
		calls_left = n++;
		compact_life(&model);
		calls_left = -1;
		check_chunks(&model);
		replica_close(model.replica);
	} while (has_failed);
	free(model.log);
	fault_code = ERROR_STORAGE;
	printf("%ld faults ", n - 1);
	CU_ASSERT_TRUE(n > 150);
}

static void test_compact_faults(void)
{
	compact_faults(ERROR_STORAGE);
}

/* As if the map were full: it grows, and the same work goes through. */
static void test_compact_limits(void)
{
	compact_faults(ERROR_LIMIT);
}

#define LONG_RECORDS 70
#define LONG_BYTES 9000

/* Bodies that cannot be compressed to much less; documents of one range come to some 300 KB. */
static void long_make(struct model *model, char (*bodies)[LONG_BYTES])
{
	for (size_t i = 0; i < LONG_RECORDS; i++) {
		struct entry *entry = &model->log[i];
		char *body = bodies[i];
		size_t len;

		entry_make(model, model->end++);
		if (entry->op.kind != OP_KIND_PUT)
			continue;
		len = (size_t)snprintf(body, LONG_BYTES, "{\"n\":\"o%zu\",\"t\":\"al ", i);
		while (len < LONG_BYTES - 3)
			body[len++] = (char)('A' + draw(model, 26));
		snprintf(body + len, 3, "\"}");
		entry->op.body = slice_of(body, len + 2);
	}
}

/* A store that failed is tried again by the same process, or by the next one. */
static void long_life(struct model *model, bool again)
{
	open_again(model);
	receive(model, model->end);
	while (status_of(model).stored < model->end) {
		struct replica_store_job *job = replica_store_begin(model->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(model->replica, job, rc, &error);
		check_after(model, rc, &error);
		if (rc == 0 || again)
			continue;
		open_again(model);
		receive(model, model->end);
	}
	compact(model, model->end);
	read_all(model);
	open_again(model);
	read_all(model);
}

static void long_faults(bool again)
{
	static char bodies[LONG_RECORDS][LONG_BYTES];
	struct model model = {.seed = 21, .end = BASE, .session = 1, .incarnation = {{5, 6}}};
	long n = 0;

	model.log = calloc(LOG_MAX, sizeof *model.log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model.log);
	ids_make(&model);
	long_make(&model, bodies);
	do {
		CU_ASSERT_EQUAL_FATAL(system("rm -rf faults"), 0);
		model.replica = NULL;
		has_failed = false;
		calls_left = n++;
		long_life(&model, again);
		calls_left = -1;
		check_chunks(&model);
		replica_close(model.replica);
	} while (has_failed);
	free(model.log);
	printf("%ld faults ", n - 1);
	CU_ASSERT_TRUE(n > 100);
}

static void test_long_faults(void)
{
	long_faults(true);
}

static void test_long_deaths(void)
{
	long_faults(false);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the n-th call fails", test_faults},
	                       {"the n-th call of a compaction fails", test_compact_faults},
	                       {"the map is full at the n-th call of a compaction", test_compact_limits},
	                       {"the n-th call of a long store fails", test_long_faults},
	                       {"the n-th call of a long store is the last", test_long_deaths},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica faults", tests);
}
