/*
 * Settings shelf: which versions are there as meta goes on, and for how long;
 * what a search thread holds stays while the owner puts others.
 */
#include "shard/settings_shelf.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdatomic.h>

#define INDEX 7
#define OTHER 8
#define KEPT SETTINGS_SHELF_KEPT_MS
#define READERS 3
#define VERSIONS 2000

static struct settings_shelf *shelf_made(void)
{
	struct settings_shelf *shelf = NULL;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(settings_shelf_new(&shelf, &error), 0);
	return shelf;
}

/* NULL: SEARCH_SETTINGS_DEFAULT. */
static struct search_settings *made(int64_t version)
{
	struct search_settings *settings = NULL;
	struct error error;

	if (version != SEARCH_SETTINGS_DEFAULT)
		CU_ASSERT_EQUAL_FATAL(search_settings_new(version, (struct slice){0}, &settings, &error), 0);
	return settings;
}

/* -1: none is coming. */
static void put(struct settings_shelf *shelf, int64_t in_force, int64_t coming, int64_t now_ms)
{
	struct search_settings *now = made(in_force);
	struct search_settings *next = made(coming);

	CU_ASSERT_TRUE(settings_shelf_put(shelf, INDEX, now, next, now_ms));
	search_settings_release(now);
	search_settings_release(next);
}

/* The versions 0 to 9 that are there, and which one is in force. */
static void check(struct settings_shelf *shelf, const char *there, int64_t in_force)
{
	char found[12];
	size_t len = 0;

	for (int64_t version = 0; version < 10; version++) {
		int64_t told = -9;
		struct search_settings *settings = settings_shelf_take(shelf, INDEX, version, &told);

		CU_ASSERT_EQUAL(told, in_force);
		if (settings == NULL)
			continue;
		CU_ASSERT_EQUAL(settings->version, version);
		found[len++] = (char)('0' + version);
		search_settings_release(settings);
	}
	found[len] = '\0';
	CU_ASSERT_STRING_EQUAL(found, there);
}

static void test_defaults(void)
{
	struct settings_shelf *shelf = shelf_made();
	struct search_settings *settings = settings_shelf_take(shelf, INDEX, SEARCH_SETTINGS_DEFAULT, NULL);

	check(shelf, "", SEARCH_SETTINGS_DEFAULT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(settings);
	CU_ASSERT_EQUAL(settings->version, SEARCH_SETTINGS_DEFAULT);
	search_settings_release(settings);
	put(shelf, 3, -1, 0);
	settings = settings_shelf_take(shelf, INDEX, SEARCH_SETTINGS_DEFAULT, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(settings);
	settings_shelf_free(shelf);
	CU_ASSERT_EQUAL(settings->version, SEARCH_SETTINGS_DEFAULT); /* the taker's own */
	search_settings_release(settings);
}

static void test_life(void)
{
	static const struct {
		int64_t in_force;
		int64_t coming;
		int64_t now_ms;
		const char *there;
	} rows[] = {
		{-1, 2, 0, "2"},
		{2, -1, 10, "2"},
		{2, 4, 20, "24"},
		{2, 5, 30, "245"}, /* 4 never was in force, but somebody may have heard of it */
		{5, -1, 40, "245"},
		{6, -1, 40, "2456"},
		{6, -1, 29 + KEPT, "2456"},
		{6, -1, 30 + KEPT, "256"},
		{5, -1, 39 + KEPT, "256"}, /* what comes again is in force again */
		{5, -1, 41 + 2 * KEPT, "5"},
	};
	struct settings_shelf *shelf = shelf_made();

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put(shelf, rows[i].in_force, rows[i].coming, rows[i].now_ms);
		check(shelf, rows[i].there, rows[i].in_force);
	}
	settings_shelf_free(shelf);
}

static void test_expire(void)
{
	struct settings_shelf *shelf = shelf_made();

	put(shelf, 1, -1, 0);
	put(shelf, 2, 3, 100);
	settings_shelf_expire(shelf, 99 + KEPT);
	check(shelf, "123", 2);
	settings_shelf_expire(shelf, 100 + KEPT);
	check(shelf, "23", 2);
	settings_shelf_expire(shelf, 100 + 9 * KEPT); /* in force or coming: for ever */
	check(shelf, "23", 2);
	settings_shelf_remove(shelf, OTHER);
	check(shelf, "23", 2);
	settings_shelf_remove(shelf, INDEX);
	check(shelf, "", SEARCH_SETTINGS_DEFAULT);
	settings_shelf_free(shelf);
}

/* Many changes within a minute. */
static void test_bound(void)
{
	struct settings_shelf *shelf = shelf_made();

	for (int64_t version = 0; version < 10; version++)
		put(shelf, version, -1, version);
	check(shelf, "0123456789", 9);
	for (int64_t version = 10; version < 10 + SETTINGS_SHELF_VERSIONS_MAX - 3; version++)
		put(shelf, version, -1, version);
	check(shelf, "789", 10 + SETTINGS_SHELF_VERSIONS_MAX - 4);
	settings_shelf_free(shelf);
}

struct stage {
	struct settings_shelf *shelf;
	atomic_bool done;
};

static void *read_all(void *context)
{
	struct stage *stage = context;

	while (!atomic_load(&stage->done)) {
		int64_t in_force;
		struct search_settings *settings;

		search_settings_release(
			settings_shelf_take(stage->shelf, INDEX, SEARCH_SETTINGS_DEFAULT, &in_force));
		settings = settings_shelf_take(stage->shelf, INDEX, in_force, NULL);
		if (settings != NULL && settings->version != in_force)
			return stage;
		search_settings_release(settings);
	}
	return NULL;
}

static void test_threads(void)
{
	struct stage stage = {.shelf = shelf_made()};
	pthread_t readers[READERS];

	for (size_t i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&readers[i], NULL, read_all, &stage), 0);
	for (int64_t version = 0; version < VERSIONS; version++)
		put(stage.shelf, version, version + 1, version * KEPT / 4);
	settings_shelf_remove(stage.shelf, INDEX);
	atomic_store(&stage.done, true);
	for (size_t i = 0; i < READERS; i++) {
		void *failed = NULL;

		CU_ASSERT_EQUAL(pthread_join(readers[i], &failed), 0);
		CU_ASSERT_PTR_NULL(failed);
	}
	settings_shelf_free(stage.shelf);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the defaults are always there", test_defaults},
	                       {"what is there as meta goes on", test_life},
	                       {"what has left goes", test_expire},
	                       {"there is a bound", test_bound},
	                       {"threads take while the owner puts", test_threads},
	                       CU_TEST_INFO_NULL};

	return suite_run("settings shelf", tests);
}
