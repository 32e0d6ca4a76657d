/*
 * Marks of a replica against a plain list of what the log held: in any way
 * that ranges come, in memory, stored, half stored, after restarts; trimmed,
 * in pages, damaged, and absent. SEED=n runs one model.
 */
#include "tests/unit/marks_bed.h"

static void step_receive(struct bed *bed)
{
	int64_t received = status_of(bed).received;
	int64_t from = received - (int64_t)draw(bed, 2) * (int64_t)draw(bed, 30);
	uint64_t many = draw(bed, 6) == 0 ? 0 : draw(bed, 12);
	int64_t to;

	while (many-- > 0) {
		known_add(bed, draw(bed, 4) != 0, draw(bed, 3) == 0);
		bed->end += (int64_t)draw(bed, draw(bed, 5) == 0 ? 700 : 20);
	}
	if (from < 100)
		from = 100;
	to = received + 1 + (int64_t)draw(bed, 400);
	if (to > seal_above(from))
		to = seal_above(from);
	if (to > bed->end)
		bed->end = to;
	receive(bed, from, to, draw(bed, 3) == 0);
}

/* Ends, fails, or ran without that anybody saw its end. */
static void step_store(struct bed *bed)
{
	struct replica_store_job *job = replica_store_begin(bed->replica);
	struct error error = {.code = 0};
	int rc = 0;

	if (job == NULL)
		return;
	if (draw(bed, 5) == 0)
		rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "not run");
	else
		rc = replica_store_run(job, &error);
	step_receive(bed);
	check(bed); /* in memory and on disk at once */
	replica_store_end(bed->replica, job, rc, &error);
	check(bed);
	verify(bed);
	if (draw(bed, 3) == 0)
		reopen(bed);
}

static void model_run(uint64_t seed)
{
	char directory[32];
	struct bed *bed;

	snprintf(directory, sizeof directory, "marks-%llu", (unsigned long long)seed);
	bed = bed_new(directory, WINDOW, seed);
	for (int i = 0; i < 400; i++) {
		uint64_t what = draw(bed, 10);

		if (what < 7)
			step_receive(bed);
		else if (what < 8)
			(void)replica_merge(bed->replica);
		else
			step_store(bed);
		check(bed);
	}
	CU_ASSERT_TRUE(status_of(bed).received > 4 * WINDOW); /* or nothing was ever trimmed */
	bed_free(bed);
}

static void test_model(void)
{
	const char *seed = getenv("SEED");

	if (seed != NULL) {
		model_run(strtoull(seed, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 4; i++)
		model_run(i);
}

/* Keys of STATE that begin with `prefix`. */
static size_t keys(const char *directory, const char *prefix)
{
	struct kv_cursor *cursor;
	struct error error;
	struct kv_txn *txn;
	struct slice key;
	struct slice value;
	struct kv *kv;
	size_t count = 0;
	int rc;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, false, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_STATE, &cursor, &error), 0);
	rc = kv_cursor_seek(cursor, slice_of("\1", 1), &key, &value, &error);
	for (; rc == 0; rc = kv_cursor_next(cursor, &key, &value, &error)) {
		CU_ASSERT_TRUE(value.len <= 65536);
		count += slice_starts_with(key, slice_string(prefix));
	}
	kv_cursor_close(cursor);
	kv_abort(txn);
	kv_close(kv);
	return count;
}

static void close_replica(struct bed *bed)
{
	replica_close(bed->replica);
	bed->replica = NULL;
}

/* A log without identities and origins leaves no trace of this, nor does one whose window is nothing. */
static void test_nothing(void)
{
	struct bed *bed = bed_new("nothing", WINDOW, 1);

	for (int i = 0; i < 5; i++)
		receive(bed, status_of(bed).received, status_of(bed).received + 100, true);
	CU_ASSERT_EQUAL(check(bed), 1);
	store(bed);
	close_replica(bed);
	CU_ASSERT_EQUAL(keys("nothing", ""), 4); /* state, seals, manifest, fields */
	CU_ASSERT_EQUAL(try_open(bed), 0);
	CU_ASSERT_EQUAL(check(bed), 1);
	bed_free(bed);
	bed = bed_new("windowless", 0, 1);
	for (int i = 0; i < 50; i++)
		known_add(bed, true, false);
	receive(bed, 100, 150, true);
	CU_ASSERT_EQUAL(check(bed), 1);
	store(bed);
	close_replica(bed);
	CU_ASSERT_EQUAL(keys("windowless", ""), 4);
	bed_free(bed);
}

/* What left the window goes, a bounded part of it with every store, in the end all. */
static void test_trim(void)
{
	struct bed *bed = bed_new("trim", 100 * CHUNK, 1);
	size_t before;
	size_t left;

	while (bed->end < 100 * CHUNK) {
		int64_t from = bed->end;

		known_add(bed, true, false);
		bed->end = from + CHUNK;
		receive(bed, from, bed->end > seal_above(from) ? seal_above(from) : bed->end, false);
		if (status_of(bed).received < bed->end)
			receive(bed, status_of(bed).received, bed->end, false);
	}
	store(bed);
	close_replica(bed);
	before = keys("trim", "identities/");
	CU_ASSERT_EQUAL(before, 100);
	CU_ASSERT_EQUAL(keys("trim", "identities"), before + 1);
	bed->window = 10;
	CU_ASSERT_EQUAL(try_open(bed), 0);
	CU_ASSERT_EQUAL(check(bed), 1);
	for (left = before; left > 0; left = before) {
		receive(bed, status_of(bed).received, status_of(bed).received + 1, true);
		store(bed);
		check(bed);
		verify(bed);
		close_replica(bed);
		before = keys("trim", "identities/");
		CU_ASSERT_TRUE_FATAL(before < left && left - before <= 16);
		CU_ASSERT_EQUAL(try_open(bed), 0);
	}
	close_replica(bed);
	CU_ASSERT_EQUAL(keys("trim", "identities"), 0);
	bed_free(bed);
}

/* More than a page holds: a page begins where the last one ended. */
static void test_pages(void)
{
	struct bed *bed = bed_new("pages", 1000000, 1);
	struct marks_page page;
	struct buffer bytes;

	while (bed->len < MARKS_PAGE_IDENTITIES + 20000) {
		int64_t from = bed->end;

		while (bed->end < seal_above(from))
			known_add(bed, true, bed->end % 1000 == 0);
		receive(bed, from, bed->end, false);
		if (bed->len < 50000)
			store(bed);
	}
	CU_ASSERT_EQUAL(check(bed), 2);
	store(bed);
	CU_ASSERT_EQUAL(check(bed), 2);
	reopen(bed);
	CU_ASSERT_EQUAL(check(bed), 2);
	/* from the middle on, where origins are not told again */
	CU_ASSERT_EQUAL_FATAL(ask(bed, 50000, &bytes, &page), 0);
	CU_ASSERT_EQUAL(page.origins_len, 0);
	CU_ASSERT_EQUAL(page.identities_len, bed->end - 50000);
	CU_ASSERT_EQUAL(page.next, -1);
	buffer_deinit(&bytes);
	bed_free(bed);
}

/* Flips a bit of the value of one key. */
static void damage(const char *directory, struct slice wanted)
{
	struct kv_cursor *cursor;
	struct error error;
	struct kv_txn *txn;
	struct slice key;
	struct slice value;
	struct kv *kv;
	uint8_t *copy;
	uint8_t name[64];

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_STATE, &cursor, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_cursor_seek(cursor, wanted, &key, &value, &error), 0);
	CU_ASSERT_TRUE_FATAL(slice_starts_with(key, wanted) && key.len <= sizeof name);
	kv_cursor_close(cursor);
	copy = malloc(value.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, value.ptr, value.len);
	memcpy(name, key.ptr, key.len);
	copy[value.len - 1] ^= 1;
	CU_ASSERT_EQUAL_FATAL(
		kv_put(txn, KV_TABLE_STATE, slice_of(name, key.len), slice_of(copy, value.len), &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	kv_close(kv);
	free(copy);
}

/* Damage is found when it is read, at the latest when everything is; and then nothing is told any more. */
static void test_damage(void)
{
	struct bed *bed = bed_new("damage", WINDOW, 1);
	struct marks_page page;
	struct buffer bytes;
	struct error error;

	for (int i = 0; i < 10; i++)
		known_add(bed, true, true);
	receive(bed, 100, 110, true);
	store(bed);
	verify(bed);
	close_replica(bed);
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "origins" : "identities";

		damage("damage", slice_string(name));
		CU_ASSERT_EQUAL(try_open(bed), ERROR_DAMAGED);
		damage("damage", slice_string(name)); /* undone */
	}
	CU_ASSERT_EQUAL_FATAL(try_open(bed), 0);
	CU_ASSERT_EQUAL(check(bed), 1);
	close_replica(bed);
	damage("damage", slice_string("identities/"));
	CU_ASSERT_EQUAL_FATAL(try_open(bed), 0);
	CU_ASSERT_EQUAL(reads_verify(bed->replica, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(status_of(bed).state, REPLICA_STATE_STOPPED);
	reopen(bed);
	CU_ASSERT_EQUAL(ask(bed, 0, &bytes, &page), ERROR_DAMAGED);
	buffer_deinit(&bytes);
	CU_ASSERT_EQUAL(status_of(bed).state, REPLICA_STATE_STOPPED);
	CU_ASSERT_EQUAL(ask(bed, 0, &bytes, &page), ERROR_DAMAGED);
	buffer_deinit(&bytes);
	bed_free(bed);
}

/* Segments that become one keep what their ranges noted. */
static void test_merged(void)
{
	struct bed *bed = bed_new("merged", WINDOW, 1);
	size_t segments;

	for (int i = 0; i < 20; i++) {
		known_add(bed, true, i % 2 == 0);
		receive(bed, status_of(bed).received, bed->end, true);
	}
	segments = status_of(bed).segments;
	while (replica_merge(bed->replica))
		;
	CU_ASSERT_TRUE(status_of(bed).segments < segments);
	CU_ASSERT_EQUAL(check(bed), 1);
	store(bed);
	reopen(bed);
	CU_ASSERT_EQUAL(check(bed), 1);
	verify(bed);
	bed_free(bed);
}

/* Memory counts them until they are stored. */
static void test_memory(void)
{
	struct bed *bed = bed_new("memory", 1000000, 1);
	size_t before = status_of(bed).memory_bytes;

	for (int i = 0; i < 3000; i++)
		known_add(bed, true, false);
	receive(bed, 100, 3100, false);
	CU_ASSERT_TRUE(status_of(bed).memory_bytes >= before + (size_t)3000 * 32);
	store(bed);
	CU_ASSERT_TRUE(status_of(bed).memory_bytes < before + 3000);
	bed_free(bed);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the model", test_model}, {"nothing costs nothing", test_nothing},
	                       {"trimmed", test_trim},    {"pages", test_pages},
	                       {"damage", test_damage},   {"merged segments", test_merged},
	                       {"memory", test_memory},   CU_TEST_INFO_NULL};

	return suite_run("replica marks", tests);
}
