/*
 * Shelf: who reads a replica, and since when, as views are taken and given
 * back in any order and by many threads.
 */
#include "shard/shelf.h"
#include "shared/runtime/clock.h"
#include "tests/unit/replica_model.h"

#include <pthread.h>
#include <stdatomic.h>

#define INDEX 7
#define VIEWS 3
#define READERS 3
#define READS 2000

struct stage {
	struct model *model;
	struct shelf *shelf;
	atomic_size_t left; /* threads that read */
};

static void put(struct stage *stage)
{
	struct serving_shard seen = {.held = true, .state = REPLICA_STATE_ACTIVE};
	struct snapshot *snapshot = replica_snapshot(stage->model->replica);

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	CU_ASSERT_TRUE_FATAL(shelf_put(stage->shelf, INDEX, 0, &seen, snapshot));
}

static struct stage *stage_new(const char *directory)
{
	struct stage *stage = calloc(1, sizeof *stage);

	CU_ASSERT_PTR_NOT_NULL_FATAL(stage);
	stage->model = model_new(directory);
	stage->shelf = shelf_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->shelf);
	put(stage);
	return stage;
}

static void stage_free(struct stage *stage)
{
	shelf_remove(stage->shelf, INDEX, 0);
	CU_ASSERT_EQUAL(shelf_readers(stage->shelf, INDEX, 0).oldest_ms, -1);
	shelf_free(stage->shelf);
	model_free(stage->model);
	free(stage);
}

/* Later than every view before it, so that it can be told from them. */
static void take(const struct stage *stage, struct shelf_view *view)
{
	int64_t now_ms = clock_monotonic_ms();

	while (clock_monotonic_ms() == now_ms)
		; /* a millisecond at most */
	shelf_take(stage->shelf, INDEX, 0, view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(view->entry);
	CU_ASSERT_TRUE(view->taken_ms > now_ms);
}

static void check_readers(const struct stage *stage, size_t len, int64_t oldest_ms)
{
	struct shelf_readers readers = shelf_readers(stage->shelf, INDEX, 0);

	CU_ASSERT_EQUAL(readers.len, len);
	CU_ASSERT_EQUAL(readers.oldest_ms, oldest_ms);
}

/* Three views, given back in each order: the oldest one that is left is told. */
static void test_orders(void)
{
	static const size_t orders[][VIEWS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct stage *stage = stage_new("shelf_orders");

	for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
		struct shelf_view views[VIEWS];
		bool given[VIEWS] = {false};
		struct shelf_view later;

		check_readers(stage, 0, -1);
		for (size_t i = 0; i < VIEWS; i++) {
			take(stage, &views[i]);
			check_readers(stage, i + 1, views[0].taken_ms);
		}
		for (size_t i = 0; i < VIEWS; i++) {
			int64_t oldest_ms = -1;

			shelf_give(stage->shelf, &views[orders[order][i]]);
			given[orders[order][i]] = true;
			for (size_t k = VIEWS; k-- > 0;)
				if (!given[k])
					oldest_ms = views[k].taken_ms;
			check_readers(stage, VIEWS - 1 - i, oldest_ms);
			take(stage, &later);
			check_readers(stage, VIEWS - i, oldest_ms < 0 ? later.taken_ms : oldest_ms);
			shelf_give(stage->shelf, &later);
			check_readers(stage, VIEWS - 1 - i, oldest_ms);
		}
	}
	stage_free(stage);
}

static void test_others(void)
{
	struct stage *stage = stage_new("shelf_others");
	struct shelf_view view;
	struct shelf_view none;

	take(stage, &view);
	CU_ASSERT_EQUAL(shelf_readers(stage->shelf, INDEX, 1).len, 0);
	CU_ASSERT_EQUAL(shelf_readers(stage->shelf, INDEX + 1, 0).oldest_ms, -1);
	shelf_take(stage->shelf, INDEX, 1, &none);
	CU_ASSERT_PTR_NULL(none.entry);
	shelf_give(stage->shelf, &none);
	put(stage); /* a newer snapshot does not end the reading of an older one */
	check_readers(stage, 1, view.taken_ms);
	shelf_give(stage->shelf, &view);
	shelf_give(stage->shelf, &view); /* given back already */
	check_readers(stage, 0, -1);
	stage_free(stage);
}

static void *run(void *context)
{
	struct stage *stage = context;

	for (size_t i = 0; i < READS; i++) {
		struct shelf_view views[2];

		shelf_take(stage->shelf, INDEX, 0, &views[0]);
		shelf_take(stage->shelf, INDEX, 0, &views[1]);
		shelf_give(stage->shelf, &views[i % 2]);
		shelf_give(stage->shelf, &views[1 - i % 2]);
	}
	atomic_fetch_sub(&stage->left, 1);
	return NULL;
}

/* While others take and give, what is told is one state: a number of readers and the age of one of them. */
static void test_threads(void)
{
	struct stage *stage = stage_new("shelf_threads");
	pthread_t threads[READERS];
	struct shelf_view view;
	size_t most = 0;

	take(stage, &view);
	atomic_store(&stage->left, READERS);
	for (size_t i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run, stage), 0);
	while (atomic_load(&stage->left) > 0) {
		struct shelf_readers readers = shelf_readers(stage->shelf, INDEX, 0);

		CU_ASSERT_EQUAL(readers.oldest_ms, view.taken_ms);
		most = readers.len > most ? readers.len : most;
		put(stage);
	}
	for (size_t i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
	CU_ASSERT_TRUE(most <= 1 + 2 * READERS);
	check_readers(stage, 1, view.taken_ms);
	shelf_give(stage->shelf, &view);
	check_readers(stage, 0, -1);
	stage_free(stage);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the oldest of three views", test_orders},
	                       {"other replicas, newer snapshots", test_others},
	                       {"many threads", test_threads},
	                       CU_TEST_INFO_NULL};

	return suite_run("shelf", tests);
}
