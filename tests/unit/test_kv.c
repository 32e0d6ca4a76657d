/*
 * The store over real LMDB files: order, transactions, a second open, growth,
 * what a crash (no commit) leaves, and readers beside a writer that grows.
 */
#include "shard/kv.h"
#include "shard/kv_rewrite.h"

#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* What every directory seems to lie on; 0: as it is. */
static unsigned system_magic;

int statfs(const char *path, struct statfs *system)
{
	int rc = (int)syscall(SYS_statfs, path, system);

	if (rc == 0 && system_magic != 0)
		system->f_type = (__fsword_t)system_magic;
	return rc;
}

static struct kv *opened(const char *directory)
{
	struct error error;
	struct kv *kv = NULL;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	return kv;
}

static int put(struct kv_txn *txn, const char *key, const char *value)
{
	struct error error;

	return kv_put(txn, KV_TABLE_CHUNKS, slice_string(key), slice_string(value), &error);
}

static bool has(struct kv_txn *txn, const char *key, const char *expected)
{
	struct error error;
	struct slice value;

	if (kv_get(txn, KV_TABLE_CHUNKS, slice_string(key), &value, &error) != 0) {
		CU_ASSERT_EQUAL(error.code, ERROR_NOT_FOUND);
		return false;
	}
	return slice_equal(value, slice_string(expected));
}

static struct kv_txn *begun(struct kv *kv, bool write)
{
	struct error error;
	struct kv_txn *txn = NULL;

	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, write, &txn, &error), 0);
	return txn;
}

static void test_transactions(void)
{
	struct kv *kv = opened("transactions");
	struct kv_txn *txn = begun(kv, true);
	struct kv_txn *before;
	struct error error;
	uint64_t count;

	CU_ASSERT_EQUAL(put(txn, "a", "1"), 0);
	CU_ASSERT_EQUAL(kv_commit(txn, &error), 0);
	before = begun(kv, false);
	txn = begun(kv, true);
	CU_ASSERT_EQUAL(put(txn, "a", "2"), 0);
	CU_ASSERT_EQUAL(kv_delete(txn, KV_TABLE_CHUNKS, slice_string("absent"), &error), ERROR_NOT_FOUND);
	CU_ASSERT_EQUAL(kv_commit(txn, &error), 0);
	CU_ASSERT_TRUE(has(before, "a", "1")); /* sees what was there when it began */
	kv_abort(before);
	txn = begun(kv, true);
	CU_ASSERT_EQUAL(kv_delete(txn, KV_TABLE_CHUNKS, slice_string("a"), &error), 0);
	kv_abort(txn);
	txn = begun(kv, false);
	CU_ASSERT_TRUE(has(txn, "a", "2"));
	CU_ASSERT_FALSE(has(txn, "b", ""));
	CU_ASSERT_EQUAL(kv_count(txn, KV_TABLE_CHUNKS, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(kv_count(txn, KV_TABLE_DEAD, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 0);
	kv_abort(txn);
	kv_close(kv);
}

static void test_cursor(void)
{
	static const char *const keys[] = {"b", "a", "c\xff", "c", "aa"};
	static const char *const sorted[] = {"a", "aa", "b", "c", "c\xff"};
	struct kv *kv = opened("cursor");
	struct kv_txn *txn = begun(kv, true);
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	struct error error;
	int rc;

	for (size_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(put(txn, keys[i], "v"), 0);
	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, &error), 0);
	rc = kv_cursor_seek(cursor, slice_string("a"), &key, &value, &error);
	for (size_t i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_TRUE(slice_equal(key, slice_string(sorted[i])));
		rc = kv_cursor_next(cursor, &key, &value, &error);
	}
	CU_ASSERT_EQUAL(rc, ERROR_NOT_FOUND);
	CU_ASSERT_EQUAL(kv_cursor_seek(cursor, slice_string("ab"), &key, &value, &error), 0);
	CU_ASSERT_TRUE(slice_equal(key, slice_string("b")));
	CU_ASSERT_EQUAL(kv_cursor_seek(cursor, slice_string("d"), &key, &value, &error), ERROR_NOT_FOUND);
	kv_cursor_close(cursor);
	kv_abort(txn);
	kv_close(kv);
}

static void test_second_open(void)
{
	struct kv *kv = opened("second");
	struct kv *other;
	struct error error;
	int status = 0;
	pid_t child;

	CU_ASSERT_EQUAL(kv_open("second", &other, &error), ERROR_STATE);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	child = fork();
	if (child == 0)
		_exit(kv_open("second", &other, &error) == ERROR_STATE ? 7 : 1);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 7);
	kv_close(kv);
	kv_close(opened("second"));
	CU_ASSERT_EQUAL(kv_open("no/such/parent", &other, &error), ERROR_STORAGE);
}

static void test_file_systems(void)
{
	static const struct {
		unsigned magic;
		const char *name; /* NULL: it is not refused */
	} rows[] = {{0x6969, "NFS"},      {0xff534d42, "SMB"}, {0xfe534d42, "SMB"}, {0x01021997, "9P"},
	            {0x00c36400, "Ceph"}, {0xef53, NULL},      {0x58465342, NULL},  {0x794c7630, NULL}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error error = {0};
		struct kv *kv = NULL;
		int rc;

		system_magic = rows[i].magic;
		rc = kv_open("system", &kv, &error);
		system_magic = 0;
		CU_ASSERT_EQUAL(rc, rows[i].name == NULL ? 0 : ERROR_STORAGE);
		if (rows[i].name != NULL) {
			CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
			CU_ASSERT_PTR_NOT_NULL(strstr(error.text, rows[i].name));
			CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "put the data on a local disk"));
		}
		kv_close(kv);
	}
}

/* A process that ends without a commit leaves the last commit. */
static void test_crash(void)
{
	struct kv *kv;
	struct kv_txn *txn;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct error error;

		if (kv_open("crash", &kv, &error) != 0 || kv_begin(kv, true, &txn, &error) != 0 ||
		    put(txn, "kept", "1") != 0 || kv_commit(txn, &error) != 0 ||
		    kv_begin(kv, true, &txn, &error) != 0 || put(txn, "lost", "1") != 0)
			_exit(1);
		_exit(7);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 7);
	kv = opened("crash");
	txn = begun(kv, true);
	CU_ASSERT_TRUE(has(txn, "kept", "1"));
	CU_ASSERT_FALSE(has(txn, "lost", "1"));
	kv_abort(txn);
	kv_close(kv);
}

/* Fills the map; LIMIT says grow; after growing the same write passes, and a reopened map is large enough. */
static void test_growth(void)
{
	size_t len = 8U << 20;
	uint8_t *bytes = calloc(1, len);
	struct kv *kv = opened("growth");
	uint64_t used;
	uint64_t map;
	unsigned grown = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	for (uint8_t i = 0; i < 20; i++) {
		struct kv_txn *txn = begun(kv, true);
		struct error error;
		int rc = kv_put(txn, KV_TABLE_CHUNKS, slice_of(&i, 1), slice_of(bytes, len), &error);

		if (rc != 0)
			kv_abort(txn);
		else
			rc = kv_commit(txn, &error);
		if (rc == 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_LIMIT);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
		grown++;
		i--;
	}
	CU_ASSERT_EQUAL(grown, 2);
	kv_size(kv, &used, &map);
	CU_ASSERT_EQUAL(map, 256ULL << 20);
	CU_ASSERT_TRUE(used > 160ULL << 20 && used < map);
	kv_close(kv);
	kv = opened("growth");
	kv_size(kv, &used, &map);
	CU_ASSERT_EQUAL(map, 256ULL << 20);
	kv_close(kv);
	free(bytes);
}

#define CROWD_BYTES_MAX (200U << 20)

struct crowd {
	struct kv *kv;
	atomic_uint ready;
	atomic_bool ended;
	atomic_uint wrong;
};

/* Both keys are written together: a reader that sees them differ saw half a transaction. */
static void *crowd_read(void *argument)
{
	struct crowd *crowd = argument;
	bool counted = false;

	while (!atomic_load(&crowd->ended)) {
		struct kv_txn *txn;
		struct slice a;
		struct slice b;
		struct error error;

		if (kv_begin(crowd->kv, false, &txn, &error) != 0) {
			atomic_fetch_add(&crowd->wrong, 1);
			break;
		}
		if (kv_get(txn, KV_TABLE_STATE, slice_string("a"), &a, &error) != 0 ||
		    kv_get(txn, KV_TABLE_STATE, slice_string("b"), &b, &error) != 0 || a.len != b.len ||
		    a.ptr[0] != b.ptr[b.len - 1])
			atomic_fetch_add(&crowd->wrong, 1);
		kv_abort(txn);
		if (!counted)
			atomic_fetch_add(&crowd->ready, 1);
		counted = true;
	}
	return NULL;
}

static int write_both(struct kv *kv, struct slice value)
{
	struct kv_txn *txn = begun(kv, true);
	struct error error;
	int rc = kv_put(txn, KV_TABLE_STATE, slice_string("a"), value, &error);

	if (rc == 0)
		rc = kv_put(txn, KV_TABLE_STATE, slice_string("b"), value, &error);
	if (rc == 0)
		return kv_commit(txn, &error);
	kv_abort(txn);
	return rc;
}

/* Readers of other threads go on while one thread writes and grows the map under them. */
static void test_readers_beside_a_writer(void)
{
	struct crowd crowd = {.kv = opened("crowd")};
	uint8_t *bytes = calloc(1, CROWD_BYTES_MAX);
	size_t len = 1;
	pthread_t threads[4];
	unsigned grown = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_EQUAL(write_both(crowd.kv, slice_of(bytes, len)), 0);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, crowd_read, &crowd), 0);
	while (atomic_load(&crowd.ready) < 4 && atomic_load(&crowd.wrong) == 0)
		sched_yield();
	while (grown < 3) {
		struct error error;
		int rc;

		memset(bytes, (int)(len >> 20), len);
		rc = write_both(crowd.kv, slice_of(bytes, len));
		if (rc == 0) {
			len += 4U << 20;
			CU_ASSERT_FATAL(len <= CROWD_BYTES_MAX);
		} else {
			CU_ASSERT_EQUAL_FATAL(rc, ERROR_LIMIT);
			CU_ASSERT_EQUAL_FATAL(kv_grow(crowd.kv, &error), 0);
			grown++;
		}
	}
	atomic_store(&crowd.ended, true);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(atomic_load(&crowd.wrong), 0);
	kv_close(crowd.kv);
	free(bytes);
}

struct growth {
	struct kv *kv;
	atomic_bool started;
	int rc;
};

static void *grow(void *argument)
{
	struct growth *growth = argument;
	struct error error;

	atomic_store(&growth->started, true);
	growth->rc = kv_grow(growth->kv, &error);
	return NULL;
}

/* Growing waits for the transactions that are open; who has one open may begin another meanwhile. */
static void test_growth_beside_a_reader(void)
{
	struct growth growth = {.kv = opened("beside"), .rc = -1};
	struct kv_txn *first;
	struct kv_txn *second;
	pthread_t thread;
	uint64_t used;
	uint64_t map;

	CU_ASSERT_EQUAL(write_both(growth.kv, slice_string("v")), 0);
	first = begun(growth.kv, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, grow, &growth), 0);
	while (!atomic_load(&growth.started))
		sched_yield();
	for (int i = 0; i < 5; i++) {
		struct slice value;
		struct error error;

		second = begun(growth.kv, false);
		CU_ASSERT_EQUAL(kv_get(second, KV_TABLE_STATE, slice_string("a"), &value, &error), 0);
		kv_abort(second);
	}
	kv_size(growth.kv, &used, &map);
	CU_ASSERT_EQUAL(map, 64ULL << 20); /* not grown under the first */
	kv_abort(first);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(growth.rc, 0);
	kv_size(growth.kv, &used, &map);
	CU_ASSERT_EQUAL(map, 128ULL << 20);
	kv_close(growth.kv);
}

/* In the file of a closed environment, before every copy of this key: LMDB's node has the upper half of the value's
 * length 6 bytes before it, and the key's length 2 bytes. */
static void damage(const char *directory, const char *key, long before, uint16_t wrong)
{
	static uint8_t bytes[1U << 20];
	char path[64];
	size_t key_len = strlen(key);
	unsigned changed = 0;
	size_t len;
	FILE *file;

	snprintf(path, sizeof path, "%s/data.mdb", directory);
	file = fopen(path, "r+b");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	len = fread(bytes, 1, sizeof bytes, file);
	CU_ASSERT_FATAL(len > 0 && len < sizeof bytes);
	for (size_t at = 8; at + key_len <= len; at++) {
		if (memcmp(bytes + at, key, key_len) != 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(fseek(file, (long)at - before, SEEK_SET), 0);
		CU_ASSERT_EQUAL_FATAL(fwrite(&wrong, sizeof wrong, 1, file), 1);
		changed++;
	}
	CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
	CU_ASSERT_TRUE_FATAL(changed > 0);
}

static void check_damaged(struct kv *kv)
{
	struct kv_txn *txn = begun(kv, false);
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	struct error error;

	for (size_t i = 0; i < 2; i++) {
		const char *name = i == 0 ? "large one" : "small one";

		CU_ASSERT_EQUAL(kv_get(txn, KV_TABLE_CHUNKS, slice_string(name), &value, &error),
		                ERROR_DAMAGED);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
		CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_CHUNKS, &cursor, &error), 0);
		CU_ASSERT_EQUAL(kv_cursor_seek(cursor, slice_string(name), &key, &value, &error),
		                ERROR_DAMAGED);
		kv_cursor_close(cursor);
	}
	CU_ASSERT_TRUE(has(txn, "whole one", "v"));
	CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, KV_TABLE_DEAD, &cursor, &error), 0);
	CU_ASSERT_EQUAL(kv_cursor_seek(cursor, slice_string(""), &key, &value, &error), ERROR_DAMAGED);
	kv_cursor_close(cursor);
	kv_abort(txn);
}

/* What the file says is longer than itself is not touched, wherever the map lies. */
static void test_entries_beyond_the_file(void)
{
	static uint8_t bytes[100000];
	struct kv *kv = opened("beyond");
	struct kv_txn *txn = begun(kv, true);
	struct error error;

	CU_ASSERT_EQUAL(put(txn, "small one", "v"), 0);
	CU_ASSERT_EQUAL(put(txn, "whole one", "v"), 0);
	CU_ASSERT_EQUAL(kv_put(txn, KV_TABLE_CHUNKS, slice_string("large one"), slice_of(bytes, sizeof bytes),
	                       &error),
	                0);
	CU_ASSERT_EQUAL(kv_put(txn, KV_TABLE_DEAD, slice_string("long key"), slice_string("v"), &error), 0);
	CU_ASSERT_EQUAL(kv_commit(txn, &error), 0);
	kv_close(kv);
	damage("beyond", "large one", 6, 0x0010);
	damage("beyond", "small one", 6, 0x7fff);
	damage("beyond", "long key", 2, 0xffff);
	kv = opened("beyond");
	check_damaged(kv);
	CU_ASSERT_EQUAL(kv_grow(kv, &error), 0);
	check_damaged(kv);
	kv_close(kv);
}

/* Whoever copies a key has room for KV_KEY_BYTES_MAX of them. */
static void test_keys_of_no_length(void)
{
	static uint8_t bytes[2000];
	struct kv *kv = opened("lengths");
	struct kv_txn *txn = begun(kv, true);
	struct slice key;
	struct slice value;
	struct error error;

	CU_ASSERT_EQUAL(
		kv_put(txn, KV_TABLE_CHUNKS, slice_string("wide key"), slice_of(bytes, sizeof bytes), &error),
		0);
	CU_ASSERT_EQUAL(
		kv_put(txn, KV_TABLE_DEAD, slice_string("no key"), slice_of(bytes, sizeof bytes), &error), 0);
	CU_ASSERT_EQUAL(kv_commit(txn, &error), 0);
	kv_close(kv);
	damage("lengths", "wide key", 2, KV_KEY_BYTES_MAX + 1);
	damage("lengths", "no key", 2, 0);
	kv = opened("lengths");
	txn = begun(kv, false);
	for (enum kv_table table = KV_TABLE_CHUNKS; table <= KV_TABLE_DEAD; table++) {
		struct kv_cursor *cursor;

		CU_ASSERT_EQUAL_FATAL(kv_cursor_open(txn, table, &cursor, &error), 0);
		CU_ASSERT_EQUAL(kv_cursor_seek(cursor, slice_string(""), &key, &value, &error),
		                ERROR_DAMAGED);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
		kv_cursor_close(cursor);
	}
	kv_abort(txn);
	kv_close(kv);
}

/* Keys that do not rise lead no rewrite round for ever, and none of them is lost without a word. */
static void test_keys_out_of_order(void)
{
	struct kv *kv = opened("order");
	struct kv_txn *txn = begun(kv, true);
	struct kv_rewrite *rewrite;
	struct error error;
	bool more = true;
	int rc = 0;

	CU_ASSERT_EQUAL(put(txn, "a first", "v"), 0);
	CU_ASSERT_EQUAL(put(txn, "a second", "v"), 0);
	CU_ASSERT_EQUAL(put(txn, "the third", "v"), 0);
	CU_ASSERT_EQUAL(kv_commit(txn, &error), 0);
	kv_close(kv);
	damage("order", "the third", 0, 'a'); /* "a", a zero, … */
	kv = opened("order");
	rewrite = rewrite_new(kv);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rewrite);
	while (rc == 0 && more)
		rc = rewrite_run(rewrite, &more, &error);
	CU_ASSERT_EQUAL(rc, ERROR_DAMAGED);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	rewrite_free(rewrite);
	kv_close(kv);
}

int main(void)
{
	CU_TestInfo tests[] = {{"transactions", test_transactions},
	                       {"cursor", test_cursor},
	                       {"a second open", test_second_open},
	                       {"network file systems", test_file_systems},
	                       {"a crash", test_crash},
	                       {"a full map", test_growth},
	                       {"readers beside a writer", test_readers_beside_a_writer},
	                       {"growth beside a reader", test_growth_beside_a_reader},
	                       {"entries beyond the file", test_entries_beyond_the_file},
	                       {"keys of no length", test_keys_of_no_length},
	                       {"keys out of order", test_keys_out_of_order},
	                       CU_TEST_INFO_NULL};

	return suite_run("kv", tests);
}
