/*
 * Rewrites over real LMDB files: what the new file holds while others write
 * and read, who still reads the old one, and what fails or is killed in between.
 */
#include "shard/kv.h"

#include "tests/unit/suite.h"

/* The real module, with slices so short that a rewrite of these stores takes many. */
#define REWRITE_SLICE_BYTES 20000
#include "shard/kv_rewrite.c"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 400
#define VALUE_BYTES 3000
#define SLICES_MAX 1000
#define KILLED 7

/* Renames that go through before one fails; below 0: none does. */
static int renames_left = -1;
static bool syncs_fail;   /* of directories */
static ino_t synced_last; /* directory */
/* The process ends before or after a rename instead; 0: it does not. */
static int kill_before;
static int kill_after;

int rename(const char *from, const char *to)
{
	int rc;

	if (kill_before > 0 && --kill_before == 0)
		_exit(KILLED);
	if (renames_left >= 0 && renames_left-- == 0) {
		errno = EIO;
		return -1;
	}
	rc = (int)syscall(SYS_rename, from, to);
	if (kill_after > 0 && --kill_after == 0)
		_exit(KILLED);
	return rc;
}

int fsync(int fd)
{
	struct stat status;

	if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
		if (syncs_fail) {
			errno = EIO;
			return -1;
		}
		synced_last = status.st_ino;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* A store, and what must be in it. */
struct bed {
	struct kv *kv;
	const char *directory;
	unsigned round;
	bool has[KEYS];      /* CHUNKS: whose value follows from the key */
	unsigned state;      /* STATE and DEAD: the round that wrote it */
	unsigned state_keys; /* how many there are */
};

static struct kv *opened(const char *directory)
{
	struct error error;
	struct kv *kv = NULL;

	CU_ASSERT_EQUAL_FATAL(kv_open(directory, &kv, &error), 0);
	return kv;
}

static void bed_begin(struct bed *bed, const char *directory)
{
	char command[64];

	*bed = (struct bed){.directory = directory};
	(void)snprintf(command, sizeof command, "rm -rf %s", directory);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	bed->kv = opened(directory);
}

static struct slice key_of(size_t i, char text[16])
{
	return slice_of(text, (size_t)snprintf(text, 16, "%06zu", i));
}

static size_t value_of(size_t i, uint8_t value[VALUE_BYTES])
{
	memset(value, (int)(i % 251), VALUE_BYTES);
	return VALUE_BYTES - i;
}

static int state_write(struct bed *bed, struct kv_txn *txn, struct error *error)
{
	char key[16];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < bed->state_keys; i++)
		rc = kv_put(txn, KV_TABLE_STATE, key_of(i, key), slice_of(&bed->round, sizeof bed->round),
		            error);
	return rc == 0 ? kv_put(txn, KV_TABLE_DEAD, slice_string("dead"),
	                        slice_of(&bed->round, sizeof bed->round), error)
	               : rc;
}

/* A round: every `step`-th key from `from` on is put, or deleted, and STATE and DEAD say which round it was. */
static void change_keys(struct bed *bed, size_t from, size_t step, bool is_put)
{
	uint8_t value[VALUE_BYTES];
	struct kv_txn *txn;
	struct error error;
	char key[16];
	int rc;

	bed->round++;
	bed->state_keys = 20;
	CU_ASSERT_EQUAL_FATAL(kv_begin(bed->kv, true, &txn, &error), 0);
	for (size_t i = from; i < KEYS; i += step) {
		if (bed->has[i] == is_put)
			continue;
		bed->has[i] = is_put;
		rc = is_put ? kv_put(txn, KV_TABLE_CHUNKS, key_of(i, key),
		                     slice_of(value, value_of(i, value)), &error)
		            : kv_delete(txn, KV_TABLE_CHUNKS, key_of(i, key), &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
	CU_ASSERT_EQUAL_FATAL(state_write(bed, txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	bed->state = bed->round;
}

static void check_table(struct kv_txn *txn, enum kv_table table, uint64_t expected)
{
	struct error error;
	uint64_t count;

	CU_ASSERT_EQUAL_FATAL(kv_count(txn, table, &count, &error), 0);
	CU_ASSERT_EQUAL_FATAL(count, expected);
}

static void check_in(const struct bed *bed, struct kv_txn *txn)
{
	uint8_t value[VALUE_BYTES];
	struct slice found;
	struct error error;
	uint64_t count = 0;
	char key[16];

	for (size_t i = 0; i < KEYS; i++) {
		int rc = kv_get(txn, KV_TABLE_CHUNKS, key_of(i, key), &found, &error);

		CU_ASSERT_EQUAL_FATAL(rc, bed->has[i] ? 0 : ERROR_NOT_FOUND);
		if (rc == 0)
			CU_ASSERT_TRUE_FATAL(slice_equal(found, slice_of(value, value_of(i, value))));
		count += bed->has[i];
	}
	check_table(txn, KV_TABLE_CHUNKS, count);
	check_table(txn, KV_TABLE_STATE, bed->state_keys);
	check_table(txn, KV_TABLE_DEAD, bed->state_keys > 0);
	for (size_t i = 0; i < bed->state_keys; i++) {
		CU_ASSERT_EQUAL_FATAL(kv_get(txn, KV_TABLE_STATE, key_of(i, key), &found, &error), 0);
		CU_ASSERT_TRUE_FATAL(slice_equal(found, slice_of(&bed->state, sizeof bed->state)));
	}
}

static void check(const struct bed *bed)
{
	struct kv_txn *txn;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(kv_begin(bed->kv, false, &txn, &error), 0);
	check_in(bed, txn);
	kv_abort(txn);
}

static void bed_reopen(struct bed *bed)
{
	kv_close(bed->kv);
	bed->kv = opened(bed->directory);
	check(bed);
}

static void bed_end(struct bed *bed)
{
	bed_reopen(bed);
	kv_close(bed->kv);
}

/* To the end; the code of what failed. */
static int rewrite_all(struct kv *kv, size_t *slices, struct error *error)
{
	struct kv_rewrite *rewrite = rewrite_new(kv);
	bool more = true;
	int rc = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(rewrite);
	for (*slices = 0; rc == 0 && more; ++*slices)
		rc = rewrite_run(rewrite, &more, error);
	rewrite_free(rewrite);
	return rc;
}

/* What this process has open of files that are gone. */
static size_t files_gone(void)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	size_t len = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	while ((entry = readdir(directory)) != NULL) {
		char path[64];
		char target[512];
		ssize_t bytes;

		(void)snprintf(path, sizeof path, "/proc/self/fd/%.32s", entry->d_name);
		bytes = readlink(path, target, sizeof target - 1);
		target[bytes < 0 ? 0 : bytes] = '\0';
		len += strstr(target, "data.mdb (deleted)") != NULL;
	}
	(void)closedir(directory);
	return len;
}

/* Puts and deletes before and behind the walk, in every pause of a rewrite. */
static void test_changes_between_slices(void)
{
	struct bed bed;
	struct kv_rewrite *rewrite;
	struct error error;
	bool more = true;
	size_t slices = 0;

	bed_begin(&bed, "between");
	change_keys(&bed, 0, 2, true);
	rewrite = rewrite_new(bed.kv);
	for (; more; slices++) {
		CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
		check(&bed);
		CU_ASSERT_FATAL(slices < SLICES_MAX);
		if (slices < 150)
			change_keys(&bed, slices % 97, 13 + slices % 5, slices % 3 != 0);
	}
	rewrite_free(rewrite);
	check(&bed);
	CU_ASSERT_TRUE(slices > 20);
	change_keys(&bed, 0, 3, true);
	check(&bed);
	bed_end(&bed);
}

/* Between the slices of a rewrite others write without end, as a node's stores and merges do: an eighth of what is
 * there is replaced at a time. The rewrite gets its turn after sixteen of those, or when it is behind. What the slice
 * puts that nobody else writes beside must not be much more than one of them. */
static void test_a_flood_of_changes(void)
{
	struct bed bed;
	struct kv_rewrite *rewrite;
	struct error error;
	bool more = true;
	size_t changes = 0;
	size_t waited = 0;

	bed_begin(&bed, "flood");
	for (size_t i = 0; i < 8; i++)
		change_keys(&bed, i, 24, true);
	rewrite = rewrite_new(bed.kv);
	CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
	while (more) {
		if (waited < 16 && !rewrite_is_behind(rewrite)) {
			change_keys(&bed, changes % 24, 24, false);
			change_keys(&bed, (changes + 8) % 24, 24, true);
			rewrite_spent(rewrite, 3, 0); /* it puts as much as three slices */
			changes++;
			waited++;
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
		rewrite_spent(rewrite, 0, 1);
		waited = 0;
		CU_ASSERT_FATAL(changes < 20 * SLICES_MAX);
	}
	CU_ASSERT_TRUE(rewrite->walk_bytes <= 6 * REWRITE_SLICE_BYTES); /* all that is there is 19 */
	rewrite_free(rewrite);
	check(&bed);
	bed_end(&bed);
}

/* Who has begun to read goes on in the file that is gone, which goes with the last of them. */
static void test_readers_of_the_old(void)
{
	struct bed bed;
	struct bed before;
	struct kv_txn *readers[2];
	struct error error;
	size_t slices;

	bed_begin(&bed, "readers");
	change_keys(&bed, 0, 2, true);
	before = bed;
	for (size_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(kv_begin(bed.kv, false, &readers[i], &error), 0);
	CU_ASSERT_EQUAL_FATAL(rewrite_all(bed.kv, &slices, &error), 0);
	CU_ASSERT_TRUE(kv_is_switching(bed.kv));
	change_keys(&bed, 0, 4, false);
	CU_ASSERT_EQUAL(kv_grow(bed.kv, &error), 0); /* does not wait for them */
	check(&bed);
	check_in(&before, readers[0]);
	CU_ASSERT_EQUAL(rewrite_all(bed.kv, &slices, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
	kv_abort(readers[0]);
	CU_ASSERT_TRUE(files_gone() > 0);
	CU_ASSERT_TRUE(kv_is_switching(bed.kv));
	check_in(&before, readers[1]);
	kv_abort(readers[1]);
	CU_ASSERT_FALSE(kv_is_switching(bed.kv));
	CU_ASSERT_EQUAL(files_gone(), 0);
	CU_ASSERT_EQUAL(rewrite_all(bed.kv, &slices, &error), 0);
	check(&bed);
	bed_end(&bed);
}

/* A rename that fails changes nothing; a directory that cannot be synced stops writing until it can. */
static void test_failures(void)
{
	struct bed bed;
	struct kv_txn *txn;
	struct error error;
	size_t slices;

	bed_begin(&bed, "failures");
	change_keys(&bed, 0, 2, true);
	for (int n = 0; n < 2; n++) {
		renames_left = n;
		CU_ASSERT_EQUAL(rewrite_all(bed.kv, &slices, &error), ERROR_STORAGE);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_EQUAL(access("failures/beside.mdb", F_OK), -1);
		check(&bed);
		change_keys(&bed, (size_t)n, 7, true);
		bed_reopen(&bed);
	}
	syncs_fail = true;
	CU_ASSERT_EQUAL(rewrite_all(bed.kv, &slices, &error), 0);
	check(&bed);
	CU_ASSERT_EQUAL(kv_begin(bed.kv, true, &txn, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
	CU_ASSERT_EQUAL(rewrite_all(bed.kv, &slices, &error), ERROR_STORAGE);
	check(&bed);
	syncs_fail = false;
	change_keys(&bed, 1, 2, true);
	check(&bed);
	bed_end(&bed);
}

/* The process ends after the n-th slice, or at a rename. */
static void run_until(const char *directory, size_t slices, int before, int after)
{
	struct kv_rewrite *rewrite;
	struct error error;
	struct kv *kv = NULL;
	bool more = true;

	if (kv_open(directory, &kv, &error) != 0)
		_exit(1);
	kill_before = before;
	kill_after = after;
	rewrite = rewrite_new(kv);
	while (more && slices-- > 0)
		if (rewrite == NULL || rewrite_run(rewrite, &more, &error) != 0)
			_exit(1);
	_exit(more ? KILLED : 0);
}

/* How it ended. Whoever opens the store then writes to the file whose name it finds, so that must be on disk first. */
static int killed(struct bed *bed, size_t slices, int before, int after)
{
	struct stat directory;
	int status = 0;
	pid_t child;

	kv_close(bed->kv);
	child = fork();
	if (child == 0)
		run_until(bed->directory, slices, before, after);
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE_FATAL(WIFEXITED(status));
	bed->kv = opened(bed->directory);
	CU_ASSERT_EQUAL_FATAL(stat(bed->directory, &directory), 0);
	CU_ASSERT_EQUAL(synced_last, directory.st_ino);
	CU_ASSERT_EQUAL(access("kills/beside.mdb", F_OK), -1);
	CU_ASSERT_EQUAL(access("kills/beside.mdb-lock", F_OK), -1);
	check(bed);
	return WEXITSTATUS(status);
}

static void test_kills(void)
{
	struct bed bed;
	size_t slices = 0;

	bed_begin(&bed, "kills");
	change_keys(&bed, 0, 2, true);
	change_keys(&bed, 0, 4, false);
	for (int n = 1; n <= 2; n++) {
		CU_ASSERT_EQUAL(killed(&bed, SLICES_MAX, n, 0), KILLED);
		CU_ASSERT_EQUAL(killed(&bed, SLICES_MAX, 0, n), KILLED);
	}
	while (killed(&bed, slices, 0, 0) == KILLED)
		CU_ASSERT_FATAL(++slices < SLICES_MAX);
	CU_ASSERT_TRUE(slices > 5);
	bed_end(&bed);
}

struct crowd {
	struct kv *kv;
	atomic_bool over;
	atomic_size_t reads;
	atomic_int wrong;
};

/* What one transaction sees is of one round, and rounds rise. */
static void *crowd_read(void *context)
{
	struct crowd *crowd = context;
	unsigned last = 0;

	while (!atomic_load(&crowd->over)) {
		struct kv_txn *txn;
		struct slice state;
		struct slice dead;
		struct error error;
		unsigned round = 0;
		char key[16];

		if (kv_begin(crowd->kv, false, &txn, &error) != 0 ||
		    kv_get(txn, KV_TABLE_STATE, key_of(7, key), &state, &error) != 0 ||
		    kv_get(txn, KV_TABLE_DEAD, slice_string("dead"), &dead, &error) != 0) {
			atomic_fetch_add(&crowd->wrong, 1);
			return NULL;
		}
		memcpy(&round, state.ptr, sizeof round);
		if (!slice_equal(state, dead) || round < last)
			atomic_fetch_add(&crowd->wrong, 1);
		last = round;
		kv_abort(txn);
		atomic_fetch_add(&crowd->reads, 1);
	}
	return NULL;
}

static void test_readers_beside(void)
{
	struct bed bed;
	struct crowd crowd = {.wrong = 0};
	pthread_t threads[3];
	struct error error;
	size_t rewrites = 0;
	size_t slices;

	bed_begin(&bed, "crowd");
	change_keys(&bed, 0, 8, true);
	crowd.kv = bed.kv;
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, crowd_read, &crowd), 0);
	while (rewrites < 20 || atomic_load(&crowd.reads) < 1000) {
		int rc = rewrite_all(bed.kv, &slices, &error);

		/* the one before may still be read */
		CU_ASSERT_FATAL(rc == 0 || rc == ERROR_STORAGE);
		rewrites += rc == 0;
		change_keys(&bed, rewrites % 8, 16, rewrites % 2 != 0);
		if (rewrites % 8 == 0)
			CU_ASSERT_EQUAL_FATAL(kv_grow(bed.kv, &error), 0);
		CU_ASSERT_FATAL(atomic_load(&crowd.wrong) == 0);
	}
	atomic_store(&crowd.over, true);
	for (size_t i = 0; i < 3; i++)
		(void)pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(files_gone(), 0);
	check(&bed);
	bed_end(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {{"changes between slices", test_changes_between_slices},
	                       {"a flood of changes", test_a_flood_of_changes},
	                       {"readers of the old file", test_readers_of_the_old},
	                       {"failures", test_failures},
	                       {"kills", test_kills},
	                       {"readers beside rewrites", test_readers_beside},
	                       CU_TEST_INFO_NULL};

	return suite_run("kv rewrite", tests);
}
