/*
 * Marks of a replica against a plain list of what the log held: in any way
 * that ranges come, in memory, stored, half stored, after restarts; trimmed,
 * in pages, damaged, and absent. SEED=n runs one model.
 */
#include "shard/core/replica.h"
#include "shared/record/marks.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define INDEX 0x1234
#define WINDOW 3000
#define CHUNK 2048 /* offsets of one stored value */
#define KNOWN_MAX 100000
#define SOURCES 3
#define PARTITIONS 4

struct known {
	int64_t offset;
	bool has_identity;
	bool has_origin;
	struct identity identity;
	struct origin origin;
};

struct bed {
	struct replica *replica;
	struct known *known; /* by rising offset */
	size_t len;
	int64_t end; /* of the log */
	int64_t window;
	uint64_t seed;
	uint64_t session;
	const char *directory;
};

static const char *const sources[SOURCES] = {"shop.orders", "shop.orders-eu", "x"};

static uint64_t draw(struct bed *bed, uint64_t bound)
{
	bed->seed = bed->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (bed->seed >> 33) % bound;
}

static struct replica_status status_of(const struct bed *bed)
{
	struct replica_status status;

	replica_status(bed->replica, &status);
	return status;
}

static int try_open(struct bed *bed)
{
	struct replica_identity identity = {.cluster_id = "kafka-a",
	                                    .index_id = INDEX,
	                                    .generation = 1,
	                                    .base = 100,
	                                    .rules_digest = 9,
	                                    .incarnation = {{3, 4}},
	                                    .document_bytes_max = 1000,
	                                    .dedup_window = bed->window};
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(kv_open(bed->directory, &kv, &error), 0);
	if (replica_open(kv, &identity, ++bed->session, &bed->replica, &error) == 0)
		return 0;
	bed->replica = NULL;
	kv_close(kv);
	return error.code;
}

static void reopen(struct bed *bed)
{
	replica_close(bed->replica);
	bed->replica = NULL;
	CU_ASSERT_EQUAL_FATAL(try_open(bed), 0);
}

static struct bed *bed_new(const char *directory, int64_t window, uint64_t seed)
{
	struct bed *bed = calloc(1, sizeof *bed);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bed);
	*bed = (struct bed){.directory = directory, .window = window, .seed = seed, .end = 100};
	bed->known = calloc(KNOWN_MAX, sizeof *bed->known);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->known);
	reopen(bed);
	return bed;
}

static void bed_free(struct bed *bed)
{
	replica_close(bed->replica);
	free(bed->known);
	free(bed);
}

/* One more record that says something, at the log's end; what it says is drawn. */
static struct known *known_add(struct bed *bed, bool identity, bool origin)
{
	struct known *known = &bed->known[bed->len++];

	CU_ASSERT_TRUE_FATAL(bed->len <= KNOWN_MAX);
	*known = (struct known){.offset = bed->end++, .has_identity = identity, .has_origin = origin};
	known->identity.key = (struct hash128){draw(bed, 50), 7};
	known->identity.operation = draw(bed, 3);
	known->origin = (struct origin){.source = slice_string(sources[draw(bed, SOURCES)]),
	                                .life = (uint32_t)draw(bed, 2),
	                                .partition = (int32_t)draw(bed, PARTITIONS),
	                                .offset = (int64_t)draw(bed, 1000),
	                                .n = (uint32_t)draw(bed, 3)};
	return known;
}

/* [from, to) as one range through the real frame; a put at its last offset if asked. */
static void receive(struct bed *bed, int64_t from, int64_t to, bool put)
{
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX,
	                      .incarnation = {{3, 4}},
	                      .session = bed->session,
	                      .rules_digest = 9,
	                      .log_end = -1};
	struct op op = {.offset = to - 1, .kind = OP_KIND_PUT, .id = slice_string("one")};
	int64_t received = status_of(bed).received;
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	buffer_init(&frame, BATCH_BYTES_MAX);
	for (size_t i = 0; i < bed->len; i++) {
		const struct known *known = &bed->known[i];

		if (known->offset < from || known->offset >= to)
			continue;
		if (known->has_identity)
			CU_ASSERT_TRUE_FATAL(
				memtable_note_identity(memtable, known->offset, &known->identity));
		if (known->has_origin)
			CU_ASSERT_TRUE_FATAL(memtable_note_origin(memtable, known->offset, &known->origin));
	}
	op.body = slice_string("{\"id\":\"one\",\"n\":1}");
	if (put && to > from)
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	memtable_cover(memtable, to);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(bed->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.received, to > received ? to : received);
	CU_ASSERT_EQUAL_FATAL(answer.has_identities, status_of(bed).has_identities);
	CU_ASSERT_EQUAL_FATAL(answer.has_origins, status_of(bed).has_origins);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static int64_t seal_above(int64_t offset)
{
	return (offset / RANGE_SEAL + 1) * RANGE_SEAL;
}

static bool is_higher(const struct origin *a, const struct origin *b)
{
	if (a->life != b->life)
		return a->life > b->life;
	return a->offset != b->offset ? a->offset > b->offset : a->n > b->n;
}

/* The highest below received of one source partition; NULL if there is none. */
static const struct origin *origin_wanted(const struct bed *bed, size_t source, int32_t partition)
{
	const struct origin *highest = NULL;

	for (size_t i = 0; i < bed->len && bed->known[i].offset < status_of(bed).received; i++) {
		const struct origin *origin = &bed->known[i].origin;

		if (bed->known[i].has_origin && origin->partition == partition &&
		    slice_equal(origin->source, slice_string(sources[source])) &&
		    (highest == NULL || is_higher(origin, highest)))
			highest = origin;
	}
	return highest;
}

static void check_origins(const struct bed *bed, const struct marks_page *page)
{
	struct origin origin;
	uint32_t count = 0;
	size_t at = 0;

	for (size_t source = 0; source < SOURCES; source++)
		for (int32_t partition = 0; partition < PARTITIONS; partition++) {
			const struct origin *wanted = origin_wanted(bed, source, partition);

			if (wanted == NULL)
				continue;
			count++;
			CU_ASSERT_TRUE_FATAL(marks_page_origin(page, &at, &origin));
			CU_ASSERT_TRUE_FATAL(slice_equal(origin.source, wanted->source));
			CU_ASSERT_EQUAL_FATAL(origin.partition, partition);
			CU_ASSERT_EQUAL_FATAL(origin.life, wanted->life);
			CU_ASSERT_EQUAL_FATAL(origin.offset, wanted->offset);
			CU_ASSERT_EQUAL_FATAL(origin.n, wanted->n);
		}
	CU_ASSERT_FALSE_FATAL(marks_page_origin(page, &at, &origin));
	CU_ASSERT_EQUAL_FATAL(status_of(bed).has_origins, count > 0);
}

static const struct known *identity_wanted(const struct bed *bed, size_t *at, int64_t low)
{
	while (*at < bed->len && bed->known[*at].offset < status_of(bed).received) {
		const struct known *known = &bed->known[(*at)++];

		if (known->has_identity && known->offset >= low)
			return known;
	}
	return NULL;
}

static int ask(struct bed *bed, int64_t from, struct buffer *bytes, struct marks_page *page)
{
	struct error error;
	int rc;

	buffer_init(bytes, MARKS_PAGE_BYTES_MAX);
	rc = replica_marks(bed->replica, from, bytes, &error);
	if (rc != 0)
		return rc;
	CU_ASSERT_EQUAL_FATAL(marks_open(page, buffer_slice(bytes), &error), 0);
	CU_ASSERT_EQUAL_FATAL(page->received, status_of(bed).received);
	CU_ASSERT_EQUAL_FATAL(page->incarnation.word[1], 4);
	return 0;
}

/* All pages from the first to the last; how many there were. */
static size_t check(struct bed *bed)
{
	int64_t low = status_of(bed).received - bed->window;
	const struct known *wanted;
	struct marks_page page;
	int64_t from = 0;
	size_t pages = 0;
	size_t next = 0;
	bool any = false;

	while (from >= 0) {
		struct identity_entry entry;
		struct buffer bytes;
		size_t at = 0;

		CU_ASSERT_EQUAL_FATAL(ask(bed, from, &bytes, &page), 0);
		if (pages++ == 0)
			check_origins(bed, &page);
		else
			CU_ASSERT_EQUAL_FATAL(page.origins_len, 0);
		while (marks_page_identity(&page, &at, &entry)) {
			wanted = identity_wanted(bed, &next, low);
			CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
			CU_ASSERT_EQUAL_FATAL(entry.offset, wanted->offset);
			CU_ASSERT_TRUE_FATAL(hash128_equal(entry.identity.key, wanted->identity.key));
			CU_ASSERT_EQUAL_FATAL(entry.identity.operation, wanted->identity.operation);
			any = true;
		}
		from = page.next;
		buffer_deinit(&bytes);
	}
	CU_ASSERT_PTR_NULL_FATAL(identity_wanted(bed, &next, low));
	CU_ASSERT_EQUAL_FATAL(status_of(bed).has_identities, any);
	return pages;
}

static void verify(struct bed *bed)
{
	struct error error;
	int rc = replica_verify(bed->replica, &error);

	if (rc != 0)
		printf("%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void store(struct bed *bed)
{
	while (status_of(bed).stored < status_of(bed).received) {
		struct replica_store_job *job = replica_store_begin(bed->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(bed->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

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
	CU_ASSERT_EQUAL(keys("nothing", ""), 2); /* state and seals */
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
	CU_ASSERT_EQUAL(keys("windowless", ""), 2);
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
	CU_ASSERT_EQUAL(replica_verify(bed->replica, &error), ERROR_DAMAGED);
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
