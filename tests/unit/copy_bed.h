/*
 * Copy bed: a replica of several disk segments, an empty store, and what it
 * takes to bring the one into the other. Included by one file of a program.
 */
#ifndef MILLRACE_TESTS_UNIT_COPY_BED_H
#define MILLRACE_TESTS_UNIT_COPY_BED_H

#include "shard/core/copy.h"
#include "tests/unit/replica_model.h"

/* The real modules, with pages and transactions so short that a copy of this bed takes many. */
#define COPY_PAGE_BYTES 1500
#include "shard/core/copy_source.c"
#define COPY_TRANSACTION_BYTES 300
#include "shard/core/copy_target.c"

#define SOURCE "source"
#define TARGET "target"
#define STORES 5

static const struct incarnation target_incarnation = {{77, 78}};

static inline void store(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	struct error error;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	rc = replica_store_run(job, &error);
	replica_store_end(model->replica, job, rc, &error);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

/* Ranges of `step`, each stored, up to `to`. */
static inline void grow(struct model *model, int64_t to, int64_t step)
{
	while (status_of(model).received < to) {
		struct range_answer answer;
		int64_t from = status_of(model).received;
		int64_t end = from + step < to ? from + step : to;

		while (model->end < end)
			entry_make(model, model->end++);
		CU_ASSERT_EQUAL_FATAL(send(model, from, end, -1, &answer), 0);
		CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
		store(model);
	}
}

/* All that there is to merge and to remove. */
static inline void compact(struct model *model)
{
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

/* A source with identities, origins, several segments with values and dead documents in them. */
static inline struct model *source_new(void)
{
	const struct slice paths[] = {slice_string("n"), slice_string("t")};
	struct model *model;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(system("rm -rf " SOURCE " " TARGET), 0);
	model = model_new(SOURCE);
	model->noting = true;
	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(model->replica, 1, paths, 2, &error), 0);
	grow(model, BASE + 100, 100 / STORES);
	CU_ASSERT_EQUAL_FATAL(status_of(model).disk_segments, STORES);
	CU_ASSERT_EQUAL_FATAL(status_of(model).disk_value_sets, STORES);
	CU_ASSERT_TRUE_FATAL(status_of(model).disk_dead > 0);
	return model;
}

static inline struct copy_source *copy_of(const struct model *model, struct buffer *head)
{
	struct copy_source *source;
	struct error error;

	buffer_init(head, COPY_HEAD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(replica_copy(model->replica, &source, &error), 0);
	CU_ASSERT_EQUAL_FATAL(copy_source_head(source, head, &error), 0);
	return source;
}

static inline struct kv *target_kv(void)
{
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(kv_open(TARGET, &kv, &error), 0);
	return kv;
}

static inline struct replica_identity target_identity(const struct model *model)
{
	struct replica_identity identity = identity_of(model);

	identity.incarnation = target_incarnation;
	return identity;
}

static inline int target_open(struct kv *kv, const struct model *model, struct slice head,
                              struct copy_target **target, struct error *error)
{
	struct replica_identity identity = target_identity(model);

	return copy_target_open(kv, &identity, head, target, error);
}

/* One page; false if a fault came in between. */
static inline int page_turn(struct copy_target *target, const struct copy_source *source, struct error *error)
{
	struct buffer page;
	int rc;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	rc = copy_source_page(source, copy_target_after(target), 0, &page, error);
	if (rc == 0)
		rc = copy_target_page(target, buffer_slice(&page), error);
	buffer_deinit(&page);
	return rc;
}

/* The copy is the source as of then, and goes on as the source does. */
static inline void check_copy(const struct model *source, const struct replica_status *then)
{
	struct model copy = *source;
	struct live live[IDS];
	struct error error;

	copy.replica = NULL;
	copy.kept = NULL;
	copy.incarnation = target_incarnation;
	reopen(&copy, TARGET);
	CU_ASSERT_TRUE_FATAL(incarnation_equal(status_of(&copy).incarnation, target_incarnation));
	CU_ASSERT_EQUAL_FATAL(status_of(&copy).received, then->stored);
	CU_ASSERT_EQUAL_FATAL(status_of(&copy).disk_segments, then->disk_segments);
	CU_ASSERT_EQUAL_FATAL(status_of(&copy).disk_value_sets, then->disk_value_sets);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_version(copy.replica), then->disk_value_sets > 0 ? 1 : 0);
	CU_ASSERT_EQUAL_FATAL(status_of(&copy).disk_dead, then->disk_dead);
	CU_ASSERT_EQUAL_FATAL(status_of(&copy).has_identities, then->has_identities);
	fold(&copy, then->stored, live);
	check_state(&copy, live);
	check_gets(&copy, live);
	CU_ASSERT_EQUAL_FATAL(reads_verify(copy.replica, &error), 0);
	grow(&copy, copy.end + 60, 30);
	compact(&copy);
	fold(&copy, copy.end, live);
	check_state(&copy, live);
	check_gets(&copy, live);
	CU_ASSERT_EQUAL_FATAL(reads_verify(copy.replica, &error), 0);
	replica_close(copy.replica);
}

/* Killed: what was open is gone, and only the store is left. */
static inline void target_kill(struct copy_target **target, struct kv **kv)
{
	copy_target_free(*target);
	*target = NULL;
	kv_close(*kv);
	*kv = NULL;
}

#endif
