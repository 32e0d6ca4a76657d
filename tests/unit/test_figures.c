/*
 * Figures: what memory, each level on disk and the jobs have, as ranges,
 * stores and merges go on; and that the parts are the whole.
 */
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

#include "shard/core/figures.h"

#define STEP 40
/* Documents of one of the segments that become one. */
#define PART (IDS / MANIFEST_SMALL_FANOUT)

static struct replica_figures figures_of(const struct model *model)
{
	struct replica_figures figures;

	replica_figures(model->replica, &figures);
	return figures;
}

/* What status says in one number the figures say in parts. */
static void check_sums(const struct model *model)
{
	struct replica_status status = status_of(model);
	struct replica_figures figures = figures_of(model);
	struct level_figures all = {0};

	for (size_t i = 0; i < figures.levels_len; i++) {
		const struct level_figures *row = &figures.levels[i];

		CU_ASSERT_TRUE(row->segments > 0);
		CU_ASSERT_TRUE(i == 0 || row->level > figures.levels[i - 1].level);
		all.segments += row->segments;
		all.documents += row->documents;
		all.dead += row->dead;
		all.bytes += row->bytes;
	}
	CU_ASSERT_EQUAL(all.segments, status.disk_segments);
	CU_ASSERT_EQUAL(all.dead, status.disk_dead);
	CU_ASSERT_EQUAL(all.bytes, status.disk_bytes);
	CU_ASSERT_TRUE(figures.live_bytes <= all.bytes);
	CU_ASSERT_TRUE(figures.words_bytes + figures.postings_bytes <= all.bytes);
	CU_ASSERT_EQUAL(figures.active.segments + figures.immutable.segments, status.segments);
	CU_ASSERT_EQUAL(figures.active.bytes + figures.immutable.bytes + figures.ids_bytes,
	                status.memory_bytes);
	if (status.segments == 0)
		CU_ASSERT_EQUAL(all.documents - all.dead, status.documents);
}

static void receive(struct model *model, int64_t operations)
{
	int64_t from = status_of(model).received;
	struct range_answer answer;

	while (model->end < from + operations)
		entry_make(model, model->end++);
	CU_ASSERT_EQUAL_FATAL(send(model, from, from + operations, from + operations, &answer), 0);
	check_sums(model);
}

static struct replica_store_job *store_begin(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	check_sums(model);
	return job;
}

static void store_end(struct model *model, struct replica_store_job *job)
{
	struct error error;

	CU_ASSERT_EQUAL_FATAL(replica_store_run(job, &error), 0);
	replica_store_end(model->replica, job, 0, &error);
	check_sums(model);
}

/* Documents of their own, without deletes: their number is known. */
static void put(struct model *model, size_t first, size_t end)
{
	int64_t from = model->end;

	for (size_t i = first; i < end; i++) {
		struct entry *entry;

		entry_make(model, model->end);
		entry = &model->log[model->end++ - BASE];
		entry->op.kind = OP_KIND_PUT;
		entry->op.id = slice_string(model->ids[i]);
		entry->op.body = slice_string("{\"t\":\"alpha gamma\"}");
	}
	CU_ASSERT_EQUAL_FATAL(status_of(model).received, from);
	receive(model, (int64_t)(end - first));
}

static void test_memory(void)
{
	struct model *model = model_new("figures_memory");
	struct replica_figures figures = figures_of(model);
	struct replica_store_job *job;
	size_t frozen;

	CU_ASSERT_EQUAL(figures.active.segments, 0);
	CU_ASSERT_EQUAL(figures.active.bytes, 0);
	CU_ASSERT_EQUAL(figures.levels_len, 0);
	CU_ASSERT_FALSE(figures.storing);
	receive(model, STEP);
	figures = figures_of(model);
	CU_ASSERT_EQUAL(figures.active.segments, 1);
	CU_ASSERT_TRUE(figures.active.bytes > 0);
	CU_ASSERT_TRUE(figures.words > 0);
	CU_ASSERT_EQUAL(figures.immutable.segments, 0);
	frozen = figures.active.bytes;
	job = store_begin(model);
	receive(model, STEP);
	figures = figures_of(model);
	CU_ASSERT_TRUE(figures.storing);
	CU_ASSERT_EQUAL(figures.immutable.segments, 1);
	CU_ASSERT_EQUAL(figures.immutable.bytes, frozen);
	CU_ASSERT_EQUAL(figures.active.segments, 1);
	store_end(model, job);
	figures = figures_of(model);
	CU_ASSERT_FALSE(figures.storing);
	CU_ASSERT_EQUAL(figures.immutable.segments, 0);
	CU_ASSERT_EQUAL(figures.immutable.bytes, 0);
	CU_ASSERT_EQUAL(figures.active.segments, 1);
	CU_ASSERT_EQUAL(status_of(model).stored_bytes, status_of(model).disk_bytes);
	model_free(model);
}

static void search(const struct model *model)
{
	struct arena arena;
	struct asked_search asked = {.query = "a ", .limit = 1, .arena = &arena};
	struct asked_page page;
	struct error error;

	arena_init(&arena, 1024);
	CU_ASSERT_EQUAL_FATAL(asked_replica(model->replica, &asked, &page, &error), 0);
	arena_deinit(&arena);
}

/* Words of a disk segment are kept from the first search on, as long as the segment is there. */
static void test_tables(void)
{
	struct model *model = model_new("figures_tables");
	size_t first;

	model->end = BASE;
	put(model, 0, IDS);
	search(model);
	CU_ASSERT_EQUAL(figures_of(model).tables_bytes, 0);
	store_end(model, store_begin(model));
	CU_ASSERT_EQUAL(figures_of(model).tables_bytes, 0);
	search(model);
	first = figures_of(model).tables_bytes;
	CU_ASSERT_TRUE(first > 0 && first < figures_of(model).words_bytes + 4096);
	put(model, 0, 1);
	store_end(model, store_begin(model));
	CU_ASSERT_EQUAL(figures_of(model).tables_bytes, first); /* the new segment's are not asked for */
	search(model);
	CU_ASSERT_TRUE(figures_of(model).tables_bytes > first);
	model_free(model);
}

static void test_dead(void)
{
	struct model *model = model_new("figures_dead");
	struct replica_figures figures;
	uint64_t first_bytes;

	model->end = BASE;
	put(model, 0, IDS);
	store_end(model, store_begin(model));
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].level, 0);
	CU_ASSERT_EQUAL(figures.levels[0].segments, 1);
	CU_ASSERT_EQUAL(figures.levels[0].documents, IDS);
	CU_ASSERT_EQUAL(figures.levels[0].dead, 0);
	CU_ASSERT_EQUAL(figures.live_bytes, figures.levels[0].bytes);
	CU_ASSERT_TRUE(figures.words_bytes > 0);
	first_bytes = figures.levels[0].bytes;
	/* a quarter of them anew: the first segment keeps the dead ones */
	for (size_t i = 0; i < IDS / 4; i++) {
		entry_make(model, model->end);
		model->log[model->end - BASE].op.kind = OP_KIND_DELETE;
		model->log[model->end++ - BASE].op.id = slice_string(model->ids[i]);
	}
	receive(model, IDS / 4);
	store_end(model, store_begin(model));
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].segments, 1);
	CU_ASSERT_EQUAL(figures.levels[0].dead, IDS / 4);
	CU_ASSERT_EQUAL(figures.live_bytes, first_bytes * 3 / 4);
	CU_ASSERT_EQUAL(status_of(model).stored_bytes, first_bytes);
	model_free(model);
}

/* Until nothing is left to do; the most segments that one of them merged. */
static size_t compact_all(struct model *model)
{
	struct replica_compact_job *job;
	struct error error;
	size_t merged = 0;

	while ((job = replica_compact_begin(model->replica)) != NULL) {
		struct replica_figures figures = figures_of(model);
		bool more = true;

		CU_ASSERT_TRUE(figures.compacting);
		CU_ASSERT_EQUAL(figures.merging > 0, figures.merging_bytes > 0);
		if (figures.merging > merged)
			merged = figures.merging;
		while (more)
			CU_ASSERT_EQUAL_FATAL(replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error),
			                      0);
		replica_compact_end(model->replica, job, 0, &error);
		check_sums(model);
	}
	return merged;
}

static void test_levels(void)
{
	struct model *model = model_new("figures_levels");
	struct replica_figures figures;
	uint64_t used_bytes;
	uint64_t map_bytes;

	model->end = BASE;
	for (size_t i = 0; i < MANIFEST_SMALL_FANOUT; i++) {
		put(model, i * PART, (i + 1) * PART);
		store_end(model, store_begin(model));
	}
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].segments, MANIFEST_SMALL_FANOUT);
	CU_ASSERT_EQUAL(figures.levels[0].bytes, status_of(model).stored_bytes);
	CU_ASSERT_EQUAL(status_of(model).merges, 0);
	CU_ASSERT_EQUAL(compact_all(model), MANIFEST_SMALL_FANOUT);
	figures = figures_of(model);
	CU_ASSERT_FALSE(figures.compacting);
	CU_ASSERT_EQUAL(figures.merging, 0);
	CU_ASSERT_EQUAL(figures.merging_bytes, 0);
	CU_ASSERT_EQUAL(figures.leaving, 0);
	CU_ASSERT_EQUAL(status_of(model).merges, 1);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].level, 1);
	CU_ASSERT_EQUAL(figures.levels[0].segments, 1);
	CU_ASSERT_EQUAL(figures.levels[0].documents, MANIFEST_SMALL_FANOUT * PART);
	CU_ASSERT_EQUAL(figures.levels[0].bytes, status_of(model).merged_bytes);
	CU_ASSERT_EQUAL(figures.live_bytes, status_of(model).merged_bytes);
	replica_file_size(model->replica, &used_bytes, &map_bytes);
	CU_ASSERT_TRUE(status_of(model).disk_bytes < used_bytes);
	CU_ASSERT_TRUE(used_bytes <= map_bytes);
	/* what comes anew stands below, and dies above */
	put(model, 0, PART);
	store_end(model, store_begin(model));
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 2);
	CU_ASSERT_EQUAL(figures.levels[0].level, 0);
	CU_ASSERT_EQUAL(figures.levels[0].documents, PART);
	CU_ASSERT_EQUAL(figures.levels[0].dead, 0);
	CU_ASSERT_EQUAL(figures.levels[1].level, 1);
	CU_ASSERT_EQUAL(figures.levels[1].dead, PART);
	CU_ASSERT_EQUAL(figures.live_bytes, figures.levels[0].bytes + figures.levels[1].bytes *
	                                                                      (MANIFEST_SMALL_FANOUT - 1) /
	                                                                      MANIFEST_SMALL_FANOUT);
	/* another opening counts from nothing, and finds the same levels */
	reopen(model, "figures_levels");
	CU_ASSERT_EQUAL(status_of(model).merges, 0);
	CU_ASSERT_EQUAL(status_of(model).merged_bytes, 0);
	CU_ASSERT_EQUAL(status_of(model).stored_bytes, 0);
	CU_ASSERT_EQUAL(figures_of(model).levels_len, figures.levels_len);
	CU_ASSERT_EQUAL(figures_of(model).live_bytes, figures.live_bytes);
	check_sums(model);
	model_free(model);
}

static void check_one_segment(const struct model *model, uint32_t level, uint64_t merges)
{
	struct replica_figures figures = figures_of(model);

	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].level, level);
	CU_ASSERT_EQUAL(figures.levels[0].segments, 1);
	CU_ASSERT_EQUAL(figures.levels[0].dead, 0);
	CU_ASSERT_EQUAL(status_of(model).merges, merges);
}

/* Fewer segments than the policy leaves; what joins a single one of its level leaves it there. */
static void test_rest(void)
{
	struct model *model = model_new("figures_rest");

	model->end = BASE;
	for (size_t i = 0; i < MANIFEST_SMALL_FANOUT - 1; i++) {
		put(model, i * PART, (i + 1) * PART);
		store_end(model, store_begin(model));
	}
	CU_ASSERT_EQUAL(compact_all(model), 0);
	CU_ASSERT_EQUAL(figures_of(model).levels[0].segments, MANIFEST_SMALL_FANOUT - 1);
	replica_rest(model->replica, true);
	CU_ASSERT_EQUAL(compact_all(model), MANIFEST_SMALL_FANOUT - 1);
	check_one_segment(model, 1, 1);
	put(model, 0, PART);
	store_end(model, store_begin(model));
	replica_rest(model->replica, false);
	CU_ASSERT_EQUAL(compact_all(model), 1); /* for the dead */
	CU_ASSERT_EQUAL(figures_of(model).levels_len, 2);
	replica_rest(model->replica, true);
	CU_ASSERT_EQUAL(compact_all(model), 2);
	check_one_segment(model, 1, 3);
	model_free(model);
}

/* Values of documents are bytes of their segments, and of what is merged. */
static void test_values(void)
{
	const struct slice path = slice_string("t");
	struct model *model = model_new("figures_values");
	struct replica_figures figures;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(model->replica, 1, &path, 1, &error), 0);
	model->end = BASE;
	for (size_t i = 0; i < MANIFEST_SMALL_FANOUT; i++) {
		put(model, i * PART, (i + 1) * PART);
		store_end(model, store_begin(model));
	}
	CU_ASSERT_EQUAL(status_of(model).disk_value_sets, MANIFEST_SMALL_FANOUT);
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].bytes, status_of(model).stored_bytes);
	CU_ASSERT_EQUAL(figures.live_bytes, figures.levels[0].bytes);
	CU_ASSERT_EQUAL(compact_all(model), MANIFEST_SMALL_FANOUT);
	figures = figures_of(model);
	CU_ASSERT_EQUAL_FATAL(figures.levels_len, 1);
	CU_ASSERT_EQUAL(figures.levels[0].bytes, status_of(model).merged_bytes);
	CU_ASSERT_EQUAL(figures.live_bytes, figures.levels[0].bytes);
	model_free(model);
}

int main(void)
{
	CU_TestInfo tests[] = {{"memory: active and immutable", test_memory},
	                       {"dead documents and live bytes", test_dead},
	                       {"words in memory", test_tables},
	                       {"levels and merges", test_levels},
	                       {"rest", test_rest},
	                       {"values", test_values},
	                       CU_TEST_INFO_NULL};

	return suite_run("figures", tests);
}
