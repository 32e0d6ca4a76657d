/*
 * Faults: the n-th call to the store fails, for n = 1, 2, 3, … until a whole
 * life of a replica passes without one. After every failure the replica is
 * still the fold of what it says it has received, and the same call, made
 * again, goes through.
 */
#include "tests/unit/replica_model.h"

/* The real store under other names, so that this file can stand between. */
#define kv_open real_open
#define kv_close real_close
#define kv_grow real_grow
#define kv_begin real_begin
#define kv_commit real_commit
#define kv_abort real_abort
#define kv_get real_get
#define kv_put real_put
#define kv_delete real_delete
#define kv_clear real_clear
#define kv_count real_count
#define kv_cursor_open real_cursor_open
#define kv_cursor_close real_cursor_close
#define kv_cursor_seek real_cursor_seek
#define kv_cursor_next real_cursor_next
#define kv_size real_size
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
void kv_close(struct kv *kv);
#include "shard/kv.c"
#pragma GCC diagnostic pop
#undef kv_open
#undef kv_close
#undef kv_grow
#undef kv_begin
#undef kv_commit
#undef kv_abort
#undef kv_get
#undef kv_put
#undef kv_delete
#undef kv_clear
#undef kv_count
#undef kv_cursor_open
#undef kv_cursor_close
#undef kv_cursor_seek
#undef kv_cursor_next
#undef kv_size

static long calls_left = -1; /* -1: nothing fails */
static bool has_failed;

/* True in the call whose turn it is to fail. */
static bool fails(struct error *error)
{
	if (calls_left < 0 || calls_left-- > 0)
		return false;
	has_failed = true;
	(void)error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "a fault of this test");
	return true;
}

int kv_open(const char *directory, struct kv **kv, struct error *error)
{
	return fails(error) ? error->code : real_open(directory, kv, error);
}

void kv_close(struct kv *kv)
{
	real_close(kv);
}

int kv_grow(struct kv *kv, struct error *error)
{
	return fails(error) ? error->code : real_grow(kv, error);
}

int kv_begin(struct kv *kv, bool write, struct kv_txn **txn, struct error *error)
{
	return fails(error) ? error->code : real_begin(kv, write, txn, error);
}

int kv_commit(struct kv_txn *txn, struct error *error)
{
	if (!fails(error))
		return real_commit(txn, error);
	real_abort(txn);
	return error->code;
}

void kv_abort(struct kv_txn *txn)
{
	real_abort(txn);
}

int kv_get(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice *value,
           struct error *error)
{
	return fails(error) ? error->code : real_get(txn, table, key, value, error);
}

int kv_put(struct kv_txn *txn, enum kv_table table, struct slice key, struct slice value, struct error *error)
{
	return fails(error) ? error->code : real_put(txn, table, key, value, error);
}

int kv_delete(struct kv_txn *txn, enum kv_table table, struct slice key, struct error *error)
{
	return fails(error) ? error->code : real_delete(txn, table, key, error);
}

int kv_clear(struct kv_txn *txn, enum kv_table table, struct error *error)
{
	return fails(error) ? error->code : real_clear(txn, table, error);
}

int kv_count(struct kv_txn *txn, enum kv_table table, uint64_t *count, struct error *error)
{
	return fails(error) ? error->code : real_count(txn, table, count, error);
}

int kv_cursor_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **cursor, struct error *error)
{
	return fails(error) ? error->code : real_cursor_open(txn, table, cursor, error);
}

void kv_cursor_close(struct kv_cursor *cursor)
{
	real_cursor_close(cursor);
}

int kv_cursor_seek(struct kv_cursor *cursor, struct slice key, struct slice *found, struct slice *value,
                   struct error *error)
{
	return fails(error) ? error->code : real_cursor_seek(cursor, key, found, value, error);
}

int kv_cursor_next(struct kv_cursor *cursor, struct slice *found, struct slice *value, struct error *error)
{
	return fails(error) ? error->code : real_cursor_next(cursor, found, value, error);
}

void kv_size(struct kv *kv, uint64_t *used_bytes, uint64_t *map_bytes)
{
	real_size(kv, used_bytes, map_bytes);
}

/* What failed must be the fault and nothing worse; what passed must be right. */
static void check_after(struct model *model, int rc, const struct error *error)
{
	struct live live[IDS];

	if (rc == 0)
		return;
	CU_ASSERT_TRUE_FATAL(has_failed);
	CU_ASSERT_EQUAL_FATAL(rc, ERROR_STORAGE);
	CU_ASSERT_EQUAL_FATAL(error->action, ERROR_ACTION_RETRY);
	CU_ASSERT_EQUAL_FATAL(status_of(model).state, REPLICA_STATE_RECOVERING);
	fold(model, status_of(model).received, live);
	check_state(model, live);
	check_gets(model, live);
}

static void receive(struct model *model, int64_t to)
{
	while (status_of(model).received < to) {
		struct error error = {ERROR_STORAGE, ERROR_ACTION_RETRY, ""};
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
	struct document_request request = {0, 100, true, false, &arena};
	struct error error;
	int rc;

	arena_init(&arena, 4096);
	do {
		rc = replica_list(model->replica, &request, &page, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	CU_ASSERT_EQUAL_FATAL(page.count, status_of(model).documents);
	do {
		rc = replica_search(model->replica, slice_string("al"), &request, &page, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	do {
		rc = replica_get(model->replica, page.documents[0].id, true, &arena, &document, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	do {
		rc = replica_verify(model->replica, &error);
		check_after(model, rc, &error);
	} while (rc != 0);
	arena_deinit(&arena);
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
	open_again(model);
	CU_ASSERT_EQUAL_FATAL(status_of(model).received, BASE + 11);
	receive(model, BASE + 15);
	store(model);
	read_all(model);
}

static void test_faults(void)
{
	long n = 0;

	do {
		struct model model = {.seed = 3, .end = BASE, .session = 1, .incarnation = {{5, 6}}};

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

int main(void)
{
	CU_TestInfo tests[] = {{"the n-th call fails", test_faults}, CU_TEST_INFO_NULL};

	return suite_run("replica faults", tests);
}
