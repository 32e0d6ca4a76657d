/*
 * Allocations: the n-th one of whatever a replica does fails, alone and with
 * all that follow, for n = 1, 2, 3, … until it is done without: a range, a
 * store, a compaction, a build of values, each kind of read, an opening. Each
 * time the error says that memory is short and may be tried again, and the
 * replica is what it was. What is lost on the way, the sanitizer says at the end.
 *
 * The linker brings every allocation of ours and of yyjson here, but not those
 * of sets of numbers, which end the process by contract (postings.c), and of
 * the system's libraries.
 */
#include "shard/core/segment.h"
#include "shard/core/snapshot_values.h"
#include "tests/unit/fold_model.h"

#include <errno.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

#define malloc __real_malloc
#define calloc __real_calloc
#define realloc __real_realloc
#include "shard/core/postings.c"
#undef malloc
#undef calloc
#undef realloc

#define LOG_MAX 4000
#define SWEEP_MAX 20000
#define SLICE_STEPS 400

/* Before that many allocations the next one fails; -1: none does. */
static long allocations_left = -1;
static bool fails_on; /* and those after it do */
static bool has_failed;
static size_t failures; /* calls in which one has failed */

static bool fails(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left > 0) {
		allocations_left--;
		return false;
	}
	if (!fails_on)
		allocations_left = -1;
	failures += !has_failed;
	has_failed = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __real_realloc(ptr, size);
}

/* The n-th try. */
static void sweep_begin(long n)
{
	CU_ASSERT_TRUE_FATAL(n < SWEEP_MAX);
	has_failed = false;
	allocations_left = n / 2;
	fails_on = n % 2 == 1;
}

static void sweep_end(void)
{
	allocations_left = -1;
}

/* Of a call that did not go through. */
static void check_error(int rc, const struct error *error)
{
	if (rc != ERROR_MEMORY || error->action != ERROR_ACTION_RETRY)
		printf("%d: %s\n", rc, error->text);
	CU_ASSERT_TRUE_FATAL(has_failed);
	CU_ASSERT_EQUAL_FATAL(rc, ERROR_MEMORY);
	CU_ASSERT_EQUAL_FATAL(error->action, ERROR_ACTION_RETRY);
}

static void check_same(struct fold_model *model, const struct replica_status *before)
{
	struct replica_status now = fold_status(model);

	CU_ASSERT_TRUE_FATAL(now.state != REPLICA_STATE_STOPPED);
	CU_ASSERT_EQUAL_FATAL(now.received, before->received);
	CU_ASSERT_EQUAL_FATAL(now.stored, before->stored);
	CU_ASSERT_EQUAL_FATAL(now.documents, before->documents);
	CU_ASSERT_TRUE_FATAL(hash128_equal(now.digest, before->digest));
	CU_ASSERT_EQUAL_FATAL(now.has_identities, before->has_identities);
	fold_check(model);
}

static int attributes_try(struct fold_model *model, uint64_t version, size_t len, struct error *error)
{
	const struct slice paths[] = {slice_string("c"), slice_string("n"), slice_string("t")};

	return replica_attributes_set(model->replica, version, paths, len, error);
}

/* With identities and attributes. */
static void model_init(struct fold_model *model, uint64_t seed)
{
	struct error error;

	fold_model_init(model, seed, LOG_MAX);
	model->noting = true;
	CU_ASSERT_EQUAL_FATAL(attributes_try(model, 1, 2, &error), 0);
}

static void append(struct fold_model *model, int records)
{
	for (int i = 0; i < records; i++)
		fold_append(model);
}

/* The next range, at the first number of allocations that suffices. */
static void receive_swept(struct fold_model *model)
{
	struct replica_status before = fold_status(model);
	struct range_answer answer;
	struct buffer frame;
	struct range range;
	struct error error;
	int rc = -1;

	fold_range(model, before.received, model->end, &frame, &range);
	for (long n = 0; rc != 0; n++) {
		sweep_begin(n);
		rc = replica_receive(model->replica, &range, &answer, &error);
		sweep_end();
		if (rc == 0)
			break;
		check_error(rc, &error);
		check_same(model, &before);
	}
	CU_ASSERT_EQUAL_FATAL(answer.received, range.to);
	fold_check(model);
	buffer_deinit(&frame);
}

static void test_receive(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 5);
	for (int round = 0; round < 3; round++) {
		append(&model, 40);
		while (fold_status(&model).received < model.end)
			receive_swept(&model);
		fold_store(&model);
	}
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 100);
	fold_model_deinit(&model);
}

/* Of segments in memory: there is no error to tell, and nothing waits for it. */
static void test_merge(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 10);
	for (long n = 0; n == 0 || has_failed; n++) {
		struct replica_status status;

		for (int i = 0; i < SEGMENT_FANOUT; i++) {
			append(&model, 1);
			(void)fold_append_kind(&model, OP_KIND_PUT);
			fold_receive_all(&model, model.end);
		}
		status = fold_status(&model);
		sweep_begin(n);
		for (int i = 0; i < 64 && replica_merge(model.replica); i++)
			;
		sweep_end();
		check_same(&model, &status);
		if (!has_failed)
			CU_ASSERT_TRUE(fold_status(&model).segments < status.segments);
		fold_store(&model);
	}
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 10);
	fold_model_deinit(&model);
}

/* What a store or compaction came to. */
struct outcome {
	bool begun;
	int rc;
	struct error error;
};

static struct outcome store_try(struct fold_model *model)
{
	struct outcome outcome = {0};
	struct replica_store_job *job = replica_store_begin(model->replica);

	outcome.begun = job != NULL;
	if (job == NULL)
		return outcome;
	outcome.rc = replica_store_run(job, &outcome.error);
	replica_store_end(model->replica, job, outcome.rc, &outcome.error);
	return outcome;
}

static struct outcome compact_try(struct fold_model *model)
{
	struct outcome outcome = {0};
	struct replica_compact_job *job = replica_compact_begin(model->replica);
	bool more = true;

	outcome.begun = job != NULL;
	if (job == NULL)
		return outcome;
	while (outcome.rc == 0 && more)
		outcome.rc = replica_compact_run(job, SLICE_STEPS, &more, &outcome.error);
	replica_compact_end(model->replica, job, outcome.rc, &outcome.error);
	return outcome;
}

/* At the first number of allocations that suffices; where one goes through in spite of a failure, more comes. */
static void store_swept(struct fold_model *model)
{
	for (long n = 0;; n++) {
		struct replica_status before;
		struct outcome outcome;

		if (fold_status(model).stored == fold_status(model).received) {
			append(model, 20);
			fold_receive_all(model, model->end);
		}
		before = fold_status(model);
		sweep_begin(n);
		outcome = store_try(model);
		sweep_end();
		if (outcome.begun && outcome.rc == 0 && !has_failed)
			break;
		CU_ASSERT_TRUE_FATAL(has_failed);
		if (outcome.begun && outcome.rc != 0)
			check_error(outcome.rc, &outcome.error);
		if (!outcome.begun || outcome.rc != 0)
			check_same(model, &before);
	}
	fold_check(model);
}

static void reopen_checked(struct fold_model *model)
{
	struct error error;

	fold_reopen(model);
	fold_check(model);
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
}

static void test_store(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 6);
	for (int round = 0; round < 2; round++)
		store_swept(&model);
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 100);
	CU_ASSERT_EQUAL(fold_status(&model).stored, fold_status(&model).received);
	reopen_checked(&model);
	fold_model_deinit(&model);
}

static void compact_swept(struct fold_model *model)
{
	for (long n = 0;; n++) {
		struct replica_status before = fold_status(model);
		struct outcome outcome;

		sweep_begin(n);
		outcome = compact_try(model);
		sweep_end();
		if (!has_failed && !outcome.begun) { /* all is done */
			append(model, 6);
			fold_receive_all(model, model->end);
			fold_store(model);
			n--;
			continue;
		}
		if (outcome.rc != 0)
			check_error(outcome.rc, &outcome.error);
		check_same(model, &before);
		if (!has_failed && fold_status(model).disk_segments < before.disk_segments)
			break;
		if (!has_failed)
			n--; /* what left was removed */
	}
}

static void test_compact(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 7);
	compact_swept(&model);
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 100);
	reopen_checked(&model);
	fold_model_deinit(&model);
}

/* Attributes that there were not when all was stored; the n-th allocation fails, then none. */
static void attributes_change(struct fold_model *model, long n)
{
	uint64_t version = replica_attributes_version(model->replica);
	struct error error;

	CU_ASSERT_EQUAL_FATAL(attributes_try(model, version + 1, 2, &error), 0);
	sweep_begin(n);
	if (attributes_try(model, version + 2, 3, &error) != 0)
		check_error(ERROR_MEMORY, &error);
	sweep_end();
	CU_ASSERT_EQUAL_FATAL(attributes_try(model, version + 2, 3, &error), 0);
}

/* And rules for words. */
static void cutting_change(struct fold_model *model, long n)
{
	static bool alpha;
	struct slice word = slice_string(alpha ? "alpha" : "e");
	struct text_settings settings = {.stop_words = &word, .stop_words_len = 1};
	struct error error;

	alpha = !alpha;
	sweep_begin(n);
	if (replica_cutting_set(model->replica, &settings, NULL, &error) != 0)
		check_error(ERROR_MEMORY, &error);
	sweep_end();
	CU_ASSERT_EQUAL_FATAL(replica_cutting_set(model->replica, &settings, NULL, &error), 0);
}

/* And rules that are coming. */
static void coming_change(struct fold_model *model, long n)
{
	static bool alpha;
	struct slice word = slice_string(alpha ? "alpha" : "e");
	struct text_settings in_force = {.stop_words_len = 0};
	struct text_settings coming = {.stop_words = &word, .stop_words_len = 1};
	struct error error;

	alpha = !alpha;
	sweep_begin(n);
	if (replica_cutting_set(model->replica, &in_force, &coming, &error) != 0)
		check_error(ERROR_MEMORY, &error);
	sweep_end();
	CU_ASSERT_EQUAL_FATAL(replica_cutting_set(model->replica, &in_force, &coming, &error), 0);
}

/* The job that such a change asks for. */
static void build_swept(struct fold_model *model, void (*change)(struct fold_model *model, long n))
{
	for (long n = 0;; n++) {
		struct replica_status before;
		struct replica_status after;
		struct outcome outcome;

		if (fold_status(model).disk_lacking == 0)
			change(model, n);
		before = fold_status(model);
		sweep_begin(n);
		outcome = compact_try(model);
		sweep_end();
		if (outcome.rc != 0)
			check_error(outcome.rc, &outcome.error);
		check_same(model, &before);
		after = fold_status(model);
		if (!has_failed && after.builds + after.merges > before.builds + before.merges)
			break;
		if (!has_failed)
			n--; /* what left was removed */
	}
}

static void test_build(void)
{
	static void (*const changes[])(struct fold_model * model, long n) = {attributes_change,
	                                                                     cutting_change, coming_change};

	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct fold_model model;
		size_t before = failures;

		model_init(&model, 11 + i);
		append(&model, 60);
		fold_receive_all(&model, model.end);
		fold_store(&model);
		build_swept(&model, changes[i]);
		printf("%zu failures ", failures - before);
		CU_ASSERT_TRUE(failures - before > 60);
		CU_ASSERT_EQUAL(fold_status(&model).disk_lacking, 0);
		reopen_checked(&model);
		fold_model_deinit(&model);
	}
}

enum reading {
	READING_GET = 0,
	READING_LIST,
	READING_SEARCH,
	READING_PREFIX,
	READING_MARKS,
	READING_VALUES,
	READING_VERIFY,
	READINGS
};

static bool value_count(void *context, struct slice key, struct postings *numbers)
{
	uint64_t *count = context;

	(void)key;
	*count += postings_count(numbers);
	return true;
}

/* All values of an attribute. */
static int values_read(struct fold_model *model, uint64_t *count, struct error *error)
{
	struct snapshot *snapshot = replica_snapshot(model->replica);
	struct value_visitor visitor = {value_count, count};
	struct value_range range;
	uint16_t number;
	int rc;

	*count = 0;
	if (snapshot == NULL)
		return error_memory(error, sizeof range);
	CU_ASSERT_TRUE_FATAL(snapshot_attribute(snapshot, slice_string("c"), &number));
	value_key_kind(&range.from, number, VALUE_KIND_EXISTS);
	value_key_text(&range.to, number, slice_string("zzz"));
	rc = snapshot_values_walk(snapshot, &range, NULL, &visitor, error);
	snapshot_release(snapshot);
	return rc;
}

static int read_one(struct fold_model *model, enum reading reading, uint64_t *answer, struct error *error)
{
	struct document document;
	struct document_page page = {0};
	struct buffer marks;
	struct arena arena;
	uint64_t values = 0;
	struct document_request request = {0, FOLD_IDS, false, &arena};
	struct asked_search whole = {.query = "rot ", .limit = FOLD_IDS, .arena = &arena};
	struct asked_search prefix = {.query = "alpha b", .ranked = true, .limit = FOLD_IDS, .arena = &arena};
	struct asked_page found = {0};
	int rc = 0;

	arena_init(&arena, 512);
	buffer_init(&marks, 1 << 20);
	if (reading == READING_GET)
		rc = reads_get(model->replica, slice_string(model->ids[1]), &arena, &document, error);
	else if (reading == READING_LIST)
		rc = reads_list(model->replica, &request, &page, error);
	else if (reading == READING_SEARCH)
		rc = asked_replica(model->replica, &whole, &found, error);
	else if (reading == READING_PREFIX)
		rc = asked_replica(model->replica, &prefix, &found, error);
	else if (reading == READING_MARKS)
		rc = replica_marks(model->replica, 0, &marks, error);
	else if (reading == READING_VALUES)
		rc = values_read(model, &values, error);
	else
		rc = reads_verify(model->replica, error);
	*answer = rc != 0                    ? 0
	          : reading == READING_GET   ? document.body.len
	          : reading == READING_MARKS ? marks.len
	                                     : values + page.total + page.count + found.total + found.len;
	buffer_deinit(&marks);
	arena_deinit(&arena);
	return rc;
}

static void test_reads(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 8);
	for (int round = 0; round < 3; round++) { /* the last range in memory, the others on disk */
		append(&model, 30);
		(void)fold_append_kind(&model, OP_KIND_PUT);
		fold_receive_all(&model, model.end);
		if (round < 2)
			fold_store(&model);
	}
	for (enum reading reading = READING_GET; reading < READINGS; reading++) {
		struct replica_status status = fold_status(&model);
		struct error error;
		uint64_t wanted;
		uint64_t answer;
		int rc = read_one(&model, reading, &wanted, &error);

		CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_NOT_FOUND);
		for (long n = 0; n == 0 || has_failed; n++) {
			int found;

			sweep_begin(n);
			found = read_one(&model, reading, &answer, &error);
			sweep_end();
			if (found == rc)
				CU_ASSERT_EQUAL_FATAL(answer, wanted);
			if (found != rc)
				check_error(found, &error);
			if (n % 8 == 0)
				check_same(&model, &status);
		}
		check_same(&model, &status);
	}
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 50);
	fold_model_deinit(&model);
}

static int open_try(struct fold_model *model, struct error *error)
{
	struct replica_identity identity = fold_identity();
	struct kv *kv;
	int rc = kv_open(model->directory, &kv, error);

	if (rc != 0)
		return rc;
	rc = replica_open(kv, &identity, ++model->session, &model->replica, error);
	if (rc != 0)
		kv_close(kv);
	return rc;
}

static void test_open(void)
{
	struct fold_model model;
	size_t before = failures;

	model_init(&model, 9);
	for (int round = 0; round < 3; round++) {
		append(&model, 30);
		fold_receive_all(&model, model.end);
		fold_store(&model);
	}
	replica_close(model.replica);
	for (long n = 0; n == 0 || has_failed; n++) {
		struct error error;
		int rc;

		model.replica = NULL;
		sweep_begin(n);
		rc = open_try(&model, &error);
		sweep_end();
		if (rc != 0) {
			check_error(rc, &error);
			continue;
		}
		fold_check(&model);
		if (has_failed)
			replica_close(model.replica);
	}
	printf("%zu failures ", failures - before);
	CU_ASSERT_TRUE(failures - before > 20);
	fold_model_deinit(&model);
}

int main(void)
{
	CU_TestInfo tests[] = {{"ranges", test_receive}, {"merges in memory", test_merge},
	                       {"stores", test_store},   {"compactions", test_compact},
	                       {"builds", test_build},   {"reads", test_reads},
	                       {"openings", test_open},  CU_TEST_INFO_NULL};

	return suite_run("allocations", tests);
}
