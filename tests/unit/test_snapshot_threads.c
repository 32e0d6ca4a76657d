/*
 * Snapshots on many threads: while one thread receives, merges, stores and
 * compacts, others read snapshots, each of which must be the fold up to what
 * it says it has received. Under TSan and ASan it shows what is shared.
 */
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS 3
#define WORD "alpha"

/* What the fold up to an offset has. */
struct expected {
	uint64_t documents;
	uint64_t with_word;
	bool exists[IDS];
};

struct stage {
	struct model *model;
	struct expected *expected; /* [offset - BASE] */
	pthread_mutex_t lock;
	struct snapshot *newest;
	atomic_bool over;
	atomic_size_t reads;
};

static struct snapshot *newest_take(struct stage *stage)
{
	struct snapshot *snapshot;

	pthread_mutex_lock(&stage->lock);
	snapshot = snapshot_hold(stage->newest);
	pthread_mutex_unlock(&stage->lock);
	return snapshot;
}

static void newest_put(struct stage *stage)
{
	struct snapshot *snapshot = replica_snapshot(stage->model->replica);
	struct snapshot *before;

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	pthread_mutex_lock(&stage->lock);
	before = stage->newest;
	stage->newest = snapshot;
	pthread_mutex_unlock(&stage->lock);
	snapshot_release(before);
}

static void expected_make(struct stage *stage)
{
	struct model *model = stage->model;
	struct live live[IDS];

	while (model->end < BASE + LOG_MAX)
		entry_make(model, model->end++);
	stage->expected = calloc(LOG_MAX + 1, sizeof *stage->expected);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->expected);
	memset(live, 0, sizeof live);
	for (int64_t offset = BASE; offset <= model->end; offset++) {
		struct expected *expected = &stage->expected[offset - BASE];
		const struct entry *entry = &model->log[offset - BASE];

		for (size_t i = 0; i < IDS; i++) {
			expected->exists[i] = live[i].exists;
			expected->documents += live[i].exists;
			expected->with_word += live[i].exists && (live[i].entry->words & 1U) != 0;
		}
		if (offset == model->end)
			break;
		live[entry->id].exists = entry->op.kind == OP_KIND_PUT;
		live[entry->id].entry = entry;
	}
}

/* CUnit is not for many threads: what is wrong ends the program. */
static void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void snapshot_check(struct snapshot *snapshot, const struct expected *expected, struct words *words,
                           size_t id, const struct model *model)
{
	struct arena arena;
	struct document_page page;
	struct document document;
	struct document_request request = {.limit = IDS, .arena = &arena};
	struct asked_search asked = {.query = WORD " ", .limit = IDS, .arena = &arena};
	struct asked_page found = {0};
	struct error error;
	int rc;

	arena_init(&arena, 4096);
	must(snapshot_list(snapshot, &request, &page, &error) == 0 && page.total == expected->documents &&
	             page.count == expected->documents,
	     "a list is not the fold");
	must(asked_snapshot(snapshot, words, &asked, &found, &error) == 0 &&
	             found.total == expected->with_word && found.len == expected->with_word,
	     "a search is not the fold");
	rc = snapshot_get(snapshot, slice_string(model->ids[id]), &arena, &document, &error);
	must(rc == (expected->exists[id] ? 0 : ERROR_NOT_FOUND), "a get is not the fold");
	arena_deinit(&arena);
}

static void *reader_run(void *context)
{
	struct stage *stage = context;
	struct words *words = words_new();
	size_t id = 0;

	must(words != NULL, "no memory");
	while (!atomic_load(&stage->over)) {
		struct snapshot *snapshot = newest_take(stage);
		const struct expected *expected = &stage->expected[snapshot_received(snapshot) - BASE];

		snapshot_check(snapshot, expected, words, id++ % IDS, stage->model);
		snapshot_release(snapshot);
		atomic_fetch_add(&stage->reads, 1);
	}
	words_free(words);
	return NULL;
}

/* One job on the disk, in a thread of its own as in a node. */
struct job {
	struct replica_store_job *store;
	struct replica_compact_job *compaction;
	bool more;
	int rc;
	struct error error;
};

static void *job_run(void *context)
{
	struct job *job = context;

	job->rc = job->store != NULL ? replica_store_run(job->store, &job->error)
	                             : replica_compact_run(job->compaction, 20, &job->more, &job->error);
	return NULL;
}

static void receive_some(struct stage *stage)
{
	struct model *model = stage->model;
	int64_t from = status_of(model).received;
	int64_t to = from + 1 + (int64_t)draw(model, 12);
	struct range_answer answer;

	if (to > model->end)
		to = model->end;
	if (from < to)
		CU_ASSERT_EQUAL_FATAL(send(model, from, to, -1, &answer), 0);
	(void)replica_merge(model->replica);
	newest_put(stage);
}

/* A store, or a compaction to its end; ranges come meanwhile. */
static void disk_turn(struct stage *stage)
{
	struct replica *replica = stage->model->replica;
	struct job job = {.more = true};
	pthread_t thread;

	job.compaction = replica_compact_begin(replica);
	if (job.compaction == NULL)
		job.store = replica_store_begin(replica);
	while (job.more && (job.store != NULL || job.compaction != NULL)) {
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, job_run, &job), 0);
		receive_some(stage);
		pthread_join(thread, NULL);
		CU_ASSERT_EQUAL_FATAL(job.rc, 0);
		job.more = job.more && job.store == NULL;
	}
	if (job.compaction != NULL)
		replica_compact_end(replica, job.compaction, job.rc, &job.error);
	else if (job.store != NULL)
		replica_store_end(replica, job.store, job.rc, &job.error);
	newest_put(stage);
}

static void stage_play(struct stage *stage)
{
	pthread_t readers[READERS];

	newest_put(stage);
	for (size_t i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&readers[i], NULL, reader_run, stage), 0);
	while (status_of(stage->model).received < stage->model->end) {
		receive_some(stage);
		if (draw(stage->model, 4) == 0)
			disk_turn(stage);
	}
	atomic_store(&stage->over, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
}

static void test_readers_beside_the_owner(void)
{
	struct stage stage = {.newest = NULL};
	struct replica_status status;

	CU_ASSERT_EQUAL_FATAL(system("rm -rf threads"), 0);
	stage.model = model_new("threads");
	pthread_mutex_init(&stage.lock, NULL);
	expected_make(&stage);
	stage_play(&stage);
	status = status_of(stage.model);
	printf("%zu reads beside %d records, %zu disk segments at the end ", atomic_load(&stage.reads),
	       LOG_MAX, status.disk_segments);
	CU_ASSERT_TRUE(atomic_load(&stage.reads) > 10);
	CU_ASSERT_TRUE(status.disk_segments > 0);
	snapshot_release(stage.newest);
	free(stage.expected);
	model_free(stage.model);
	pthread_mutex_destroy(&stage.lock);
}

int main(void)
{
	CU_TestInfo tests[] = {{"readers beside the owner", test_readers_beside_the_owner},
	                       CU_TEST_INFO_NULL};

	return suite_run("snapshot threads", tests);
}
