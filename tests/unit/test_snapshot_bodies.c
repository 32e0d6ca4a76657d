/* Bodies by number, wherever the documents stand. */
#include "tests/unit/values_bed.h"

#include "shard/core/snapshot_bodies.h"
#include "shard/core/snapshot_filter.h"
#include "shard/core/word_table.h"

#define STEPS 120

/* Which document a number is. */
static size_t document_at(const struct model *model, const struct snapshot *snapshot, uint64_t number)
{
	struct reading reading;
	struct located located;
	struct error error;
	struct slice id;
	size_t document;

	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	CU_ASSERT_EQUAL_FATAL(reading_locate(&reading, number, &located, &error), 0);
	CU_ASSERT_EQUAL_FATAL(located_id(&located, &id, &error), 0);
	document = document_of(model, id);
	reading_end(&reading);
	return document;
}

/* As a search does that asks for words: pages are known from then on. Returns how many are kept of the segments. */
static size_t pages_open(const struct snapshot *snapshot)
{
	const struct manifest *manifest = &snapshot->manifest->manifest;
	struct reading reading;
	struct error error;
	size_t kept = 0;

	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct word_table *table;
		struct disk_view *view;

		CU_ASSERT_EQUAL_FATAL(views_at(&reading.views, i, &view, &error), 0);
		CU_ASSERT_EQUAL_FATAL(
			manifest_ref_words(snapshot->manifest, i, disk_view_sections(view), &table, &error),
			0);
		for (uint32_t page = 0; page < disk_pages(&manifest->segments[i]); page++)
			kept += known_pages_find(word_table_pages(table), page).ptr != NULL;
	}
	reading_end(&reading);
	return kept;
}

/* Every live document, from the last one on, and some of them twice. */
static void bodies_check(struct world *world, const struct snapshot *snapshot, const uint64_t *numbers,
                         size_t len)
{
	struct snapshot_bodies *bodies = NULL;
	struct error error;
	struct slice body;

	CU_ASSERT_EQUAL_FATAL(snapshot_bodies_open(snapshot, &bodies, &error), 0);
	for (size_t i = 2 * len; i-- > 0;) {
		uint64_t number = numbers[i < len ? i : 2 * (i - len) % len];
		const char *expected = world->bodies[document_at(world->model, snapshot, number)];

		CU_ASSERT_EQUAL_FATAL(snapshot_bodies_read(bodies, number, &body, &error), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
		CU_ASSERT_TRUE(slice_equal(body, slice_string(expected)));
	}
	CU_ASSERT_EQUAL(snapshot_bodies_read(bodies, UINT64_MAX / 2, &body, &error), ERROR_DAMAGED);
	snapshot_bodies_close(bodies);
}

/* Read from their pages, then asked for so often that these are kept, then from what is kept. */
static size_t check(struct world *world, size_t *kept)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);
	struct filter_cost cost = {.keys = 0};
	uint64_t numbers[IDS];
	struct postings live;
	struct error error;
	size_t len;

	postings_init(&live);
	CU_ASSERT_EQUAL_FATAL(snapshot_filter(snapshot, world->words, NULL, &live, &cost, &error), 0);
	len = (size_t)postings_count(&live);
	CU_ASSERT_TRUE_FATAL(len <= IDS);
	postings_list(&live, numbers);
	bodies_check(world, snapshot, numbers, len);
	(void)pages_open(snapshot);
	for (int i = 0; i < 3; i++)
		bodies_check(world, snapshot, numbers, len);
	*kept += pages_open(snapshot);
	postings_deinit(&live);
	snapshot_release(snapshot);
	return len;
}

static void test_bodies(void)
{
	struct world world = world_new("bodies");
	size_t read = 0;
	size_t kept = 0;

	for (size_t i = 0; i < STEPS; i++) {
		step(&world, "bodies");
		read += check(&world, &kept);
	}
	CU_ASSERT_TRUE(read > STEPS);
	CU_ASSERT_TRUE(kept > STEPS / 4);
	snapshot_bodies_close(NULL);
	world_free(&world);
}

int main(void)
{
	CU_TestInfo tests[] = {{"bodies", test_bodies}, CU_TEST_INFO_NULL};

	return suite_run("snapshot_bodies", tests);
}
