/*
 * Transactions: what each commit of a replica's store writes, with the bounds
 * of the product: stores of many small documents with identities, of large
 * ones, and of those that kill most of what is there; merges and removals;
 * barriers; a rewrite; a copy; values of documents, stored, merged and built.
 * Bytes are those that the process has given to the kernel, so that pages
 * count as a whole, and LMDB's own.
 */
#include "shard/core/copy.h"
#include "shard/kv_rewrite.h"
#include "shared/record/batch.h"

#include "tests/unit/suite.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The real store, but for what its commits write and that they do not wait for the disk. */
#define kv_commit real_commit
#define mdb_env_open unsynced_open
#define mdb_env_sync unsynced_sync
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
void kv_close(struct kv *kv); /* used before it is defined */
#include "shard/kv.c"
#include "shard/kv_switch.c"
#pragma GCC diagnostic pop
#undef mdb_env_open
#undef mdb_env_sync
#undef kv_commit

#define TRANSACTION_BYTES_MAX (8U * 1024 * 1024)
#define INDEX_ID 77
#define RULES 5
#define MANY 24000 /* small documents */
#define IDENTITIES 340000
#define LIST_WORDS 12
#define LARGE_BYTES (4U * 1024 * 1024 - 100)

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

int unsynced_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	return mdb_env_open(env, path, flags | MDB_NOSYNC, mode);
}

int unsynced_sync(MDB_env *env, int force)
{
	(void)env;
	(void)force;
	return 0;
}

static uint64_t largest; /* of the commits since the last look */

/* What this process has written so far. */
static uint64_t written(void)
{
	char text[512];
	const char *line;
	int fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	CU_ASSERT_FATAL(fd >= 0);
	len = read(fd, text, sizeof text - 1);
	(void)close(fd);
	CU_ASSERT_FATAL(len > 0);
	text[len] = '\0';
	line = strstr(text, "wchar: ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	return strtoull(line + strlen("wchar: "), NULL, 10);
}

int kv_commit(struct kv_txn *txn, struct error *error)
{
	uint64_t before = written();
	int rc = real_commit(txn, error);
	uint64_t bytes = written() - before;

	CU_ASSERT_TRUE(bytes <= TRANSACTION_BYTES_MAX);
	largest = bytes > largest ? bytes : largest;
	return rc;
}

/* ---- a replica ---- */

struct bed {
	struct kv *kv;
	struct replica *replica;
	struct replica_identity identity;
	int64_t offset;
	uint64_t seed;
	bool of_lists; /* every LIST_WORDS words of a document are a value of their own */
	struct buffer frame;
	struct buffer body;
};

static uint64_t draw(struct bed *bed)
{
	bed->seed = bed->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return bed->seed >> 33;
}

static void bed_open(struct bed *bed)
{
	struct error error;

	*bed = (struct bed){.identity = {.cluster_id = "test",
	                                 .index_id = INDEX_ID,
	                                 .generation = 1,
	                                 .rules_digest = RULES,
	                                 .incarnation = {{1, 2}},
	                                 .document_bytes_max = 4U << 20,
	                                 .dedup_window = 1000000}};
	CU_ASSERT_EQUAL_FATAL(system("rm -rf source target"), 0);
	CU_ASSERT_EQUAL_FATAL(kv_open("source", &bed->kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(replica_open(bed->kv, &bed->identity, 1, &bed->replica, &error), 0);
	buffer_init(&bed->frame, BATCH_BYTES_MAX);
	buffer_init(&bed->body, BATCH_BYTES_MAX);
}

static void bed_close(struct bed *bed)
{
	replica_close(bed->replica);
	buffer_deinit(&bed->frame);
	buffer_deinit(&bed->body);
}

static void send(struct bed *bed, const struct memtable *memtable)
{
	struct range range = {.index_id = INDEX_ID,
	                      .incarnation = {{1, 2}},
	                      .session = 1,
	                      .rules_digest = RULES,
	                      .log_end = -1};
	struct range_answer answer;
	struct batch_reader reader;
	struct batch_writer writer;
	struct error error;

	buffer_clear(&bed->frame);
	batch_begin(&writer, &bed->frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&bed->frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(bed->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
	while (replica_merge(bed->replica))
		continue;
}

/* A document whose words nobody can press together. */
static void body_make(struct bed *bed, const char *id, size_t bytes)
{
	size_t words = 0;

	buffer_clear(&bed->body);
	buffer_printf(&bed->body, "{\"id\":\"%s\",\"part\":%" PRIu64 ",\"text\":[\"", id, draw(bed) % 10);
	do {
		char word[] = "........";
		uint64_t drawn = draw(bed);

		for (size_t i = 0; i < 8; i++, drawn >>= 4)
			word[i] = "0123456789abcdef"[drawn & 15];
		buffer_append_string(&bed->body, word);
		words++;
		buffer_append_string(&bed->body, bed->of_lists && words % LIST_WORDS == 0 ? "\",\"" : " ");
	} while (bed->body.len < bytes);
	buffer_append_string(&bed->body, "\"]}");
	CU_ASSERT_FALSE_FATAL(buffer_failed(&bed->body));
}

/* So many puts of documents below `ids`, each with an identity. */
static void put(struct bed *bed, size_t count, size_t ids, size_t bytes)
{
	struct memtable *memtable = memtable_new(bed->offset);

	for (size_t i = 0; i < count; i++, bed->offset++) {
		struct identity identity = {{(uint64_t)bed->offset * 3, 5}, (uint64_t)bed->offset};
		struct op op = {.offset = bed->offset, .kind = OP_KIND_PUT, .key = {bed->offset, 0}};
		char id[32];

		(void)snprintf(id, sizeof id, "d%zu", i < ids ? i : (size_t)draw(bed) % ids);
		body_make(bed, id, bytes);
		op.id = slice_string(id);
		op.body = buffer_slice(&bed->body);
		if (memtable_is_full(memtable, op.offset, memtable_op_bytes(&op))) {
			send(bed, memtable);
			memtable_free(memtable);
			memtable = memtable_new(op.offset);
		}
		CU_ASSERT_TRUE_FATAL(memtable_note_identity(memtable, op.offset, &identity));
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	}
	send(bed, memtable);
	memtable_free(memtable);
}

/* So many records that were duplicates: of them only the identities count. */
static void note(struct bed *bed, size_t count)
{
	int64_t end = bed->offset + (int64_t)count;

	while (bed->offset < end) {
		struct memtable *memtable = memtable_new(bed->offset);

		for (int64_t seal = memtable_seal(memtable); bed->offset < end && bed->offset < seal;) {
			struct identity identity = {{(uint64_t)bed->offset * 3, 5}, (uint64_t)bed->offset};

			CU_ASSERT_TRUE_FATAL(memtable_note_identity(memtable, bed->offset, &identity));
			memtable_cover(memtable, ++bed->offset);
		}
		send(bed, memtable);
		memtable_free(memtable);
	}
}

static void barrier(struct bed *bed, enum op_kind kind, const char *filter)
{
	struct memtable *memtable = memtable_new(bed->offset);
	struct op op = {
		.offset = bed->offset++, .kind = kind, .id = slice_string(""), .body = slice_string(filter)};

	CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	send(bed, memtable);
	memtable_free(memtable);
}

/* Everything that was received, in as many jobs as it takes. */
static void store(struct bed *bed)
{
	struct replica_store_job *job;

	while ((job = replica_store_begin(bed->replica)) != NULL) {
		struct error error = {0};
		int rc = replica_store_run(job, &error);

		replica_store_end(bed->replica, job, rc, &error);
		CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_LIMIT); /* then the map has been grown */
	}
}

static void compact(struct bed *bed)
{
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(bed->replica)) != NULL) {
		struct error error = {0};
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(bed->replica, job, rc, &error);
		CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_LIMIT);
	}
}

/* The largest commit since this was asked last; it is one of megabytes, if that is expected. */
static void look(const char *what, bool of_megabytes)
{
	(void)printf("\n    %-40s %8" PRIu64 " bytes", what, largest);
	CU_ASSERT_TRUE(largest > 0);
	if (of_megabytes)
		CU_ASSERT_TRUE(largest > 4U << 20);
	largest = 0;
}

static struct replica_status status_of(const struct bed *bed)
{
	struct replica_status status;

	replica_status(bed->replica, &status);
	return status;
}

static void test_small_documents(void)
{
	struct bed bed;

	bed_open(&bed);
	put(&bed, MANY, MANY, 60);
	store(&bed);
	look("a store of small documents", false);
	put(&bed, MANY, MANY, 60);
	store(&bed);
	look("a store that kills every one", false);
	compact(&bed);
	look("the removal of a segment", false);
	note(&bed, IDENTITIES);
	store(&bed);
	look("stores of identities", false);
	put(&bed, MANY / 2, MANY, 60);
	store(&bed);
	compact(&bed);
	look("a merge of segments half of which are dead", false);
	barrier(&bed, OP_KIND_DELETE_BY_FILTER, "\"part > 2\"");
	CU_ASSERT_TRUE(status_of(&bed).documents < MANY / 2);
	store(&bed);
	look("a barrier that deletes most", false);
	compact(&bed);
	look("merges after it", false);
	barrier(&bed, OP_KIND_DELETE_ALL, "");
	CU_ASSERT_EQUAL(status_of(&bed).documents, 0);
	store(&bed);
	look("a barrier that deletes all", false);
	compact(&bed);
	look("removals after it", false);
	bed_close(&bed);
}

static void rewrite(struct bed *bed)
{
	struct kv_rewrite *rewrite = rewrite_new(bed->kv);
	struct error error = {0};
	bool more = true;

	CU_ASSERT_PTR_NOT_NULL_FATAL(rewrite);
	while (more)
		CU_ASSERT_EQUAL_FATAL(rewrite_run(rewrite, &more, &error), 0);
	rewrite_free(rewrite);
}

static void copy(struct bed *bed)
{
	struct replica_identity identity = bed->identity;
	struct copy_source *source;
	struct copy_target *target;
	struct error error = {0};
	struct buffer page;
	struct kv *kv;

	identity.incarnation = (struct incarnation){{3, 4}};
	buffer_init(&page, COPY_HEAD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(replica_copy(bed->replica, &source, &error), 0);
	CU_ASSERT_EQUAL_FATAL(copy_source_head(source, &page, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_open("target", &kv, &error), 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(kv_grow(kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(copy_target_open(kv, &identity, buffer_slice(&page), &target, &error), 0);
	while (!copy_target_is_whole(target)) {
		buffer_clear(&page);
		CU_ASSERT_EQUAL_FATAL(copy_source_page(source, copy_target_after(target), 0, &page, &error),
		                      0);
		CU_ASSERT_EQUAL_FATAL(copy_target_page(target, buffer_slice(&page), &error), 0);
	}
	CU_ASSERT_EQUAL_FATAL(copy_target_finish(target, &error), 0);
	copy_target_free(target);
	copy_source_release(source);
	kv_close(kv);
	buffer_deinit(&page);
}

static void test_large_documents(void)
{
	struct bed bed;

	bed_open(&bed);
	put(&bed, 3, 3, LARGE_BYTES);
	store(&bed);
	look("a store of the largest documents", true);
	put(&bed, 2, 3, LARGE_BYTES);
	store(&bed);
	compact(&bed);
	look("a merge of the largest documents", true);
	put(&bed, MANY / 2, MANY, 60);
	store(&bed);
	largest = 0;
	rewrite(&bed);
	look("a rewrite", true);
	copy(&bed);
	look("a copy", false);
	bed_close(&bed);
}

static void attributes_set(struct bed *bed)
{
	const struct slice paths[] = {slice_string("part"), slice_string("text")};
	struct error error;

	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(bed->replica, 1, paths, 2, &error), 0);
}

/* Documents of many values, and many documents that have the same ones. */
static void test_values(void)
{
	struct bed bed;

	bed_open(&bed);
	bed.of_lists = true;
	attributes_set(&bed);
	put(&bed, MANY / 2, MANY, 60);
	store(&bed);
	put(&bed, 2, 2, LARGE_BYTES);
	store(&bed);
	look("stores of many values", true);
	put(&bed, 1, 2, LARGE_BYTES);
	store(&bed);
	CU_ASSERT_EQUAL(status_of(&bed).disk_value_sets, 3);
	compact(&bed);
	look("a merge of many values", true);
	bed_close(&bed);
}

static void test_builds(void)
{
	struct bed bed;

	bed_open(&bed);
	bed.of_lists = true;
	put(&bed, MANY / 2, MANY, 60);
	store(&bed);
	put(&bed, 2, 2, LARGE_BYTES);
	store(&bed);
	largest = 0;
	attributes_set(&bed);
	compact(&bed);
	look("builds of many values", true);
	CU_ASSERT_EQUAL(status_of(&bed).builds, 2);
	CU_ASSERT_EQUAL(status_of(&bed).disk_lacking, 0);
	bed_close(&bed);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"small documents", test_small_documents},
		{"large documents", test_large_documents},
		{"values", test_values},
		{"builds", test_builds},
		CU_TEST_INFO_NULL,
	};

	return suite_run("transactions", tests);
}
