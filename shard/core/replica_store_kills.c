/* What a store does to the disk segments that are there: documents die, segments without any leave. */
#include "shard/core/dead.h"
#include "shard/core/store_job.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdlib.h>

/* With RANGE_IN_PART numbers of the prefix are on disk already, or stay in memory. */
static void in_part_drop(struct replica_store_job *job)
{
	for (size_t i = 0; i < job->segments_len; i++) {
		const struct segment *segment = job->segments[i];
		uint64_t end = segment->number_first + segment->puts_len;

		if (segment->puts_len > 0 && segment->number_first < job->first)
			postings_add_range(&job->dropped, segment->number_first, job->first);
		if (segment->puts_len > 0 && end > job->end.number_next)
			postings_add_range(&job->dropped, job->end.number_next, end);
	}
}

/* Sorts the kills: of documents that are on disk, and of those that never come there. */
static void kills_sort(struct replica_store_job *job)
{
	size_t len = job->segments_len - (job->in_part ? 1 : 0);

	for (size_t i = 0; i < len; i++) {
		if (job->segments[i]->cleared_below > job->cleared_below)
			job->cleared_below = job->segments[i]->cleared_below;
		postings_or(&job->dropped, &job->segments[i]->killed);
	}
	postings_remove_range(&job->dropped, 0, job->cleared_below);
	postings_or(&job->killed, &job->dropped);
	postings_remove_range(&job->killed, job->first, UINT64_MAX);
	postings_remove_range(&job->dropped, 0, job->first);
	if (job->cleared_below > job->first)
		postings_add_range(&job->dropped, job->first, job->cleared_below);
	if (KNOCKOUT(RANGE_IN_PART))
		in_part_drop(job);
}

static int kill_count(struct views *views, uint64_t number, struct mark *mark, struct error *error)
{
	struct disk_entry entry;
	struct disk_view *view;

	if (views_number(views, number, &entry, &view, error) != 0) {
		if (error->code == ERROR_NOT_FOUND)
			error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			          "document %llu is to die, and no disk segment lists it",
			          (unsigned long long)number);
		return error->code;
	}
	hash128_subtract(&mark->digest, entry.digest);
	mark->documents--;
	mark->body_bytes -= entry.body_bytes;
	return 0;
}

/* All of them, out of one view of the disk. */
static int kills_count(struct replica_store_job *job, const uint64_t *numbers, size_t len, struct mark *mark,
                       struct error *error)
{
	struct views views;
	struct kv_txn *txn;
	int rc = 0;

	if (kv_begin(job->kv, false, &txn, error) != 0)
		return error->code;
	views_init(&views, txn, &job->manifest->manifest);
	for (size_t i = 0; rc == 0 && i < len; i++)
		rc = kill_count(&views, numbers[i], mark, error);
	views_deinit(&views);
	kv_abort(txn);
	return rc;
}

int kills_find(struct replica_store_job *job, struct mark *mark, struct error *error)
{
	uint64_t *numbers;
	size_t len;
	int rc;

	kills_sort(job);
	if (job->cleared_below > 0) {
		mark->digest = (struct hash128){0, 0};
		mark->documents = 0;
		mark->body_bytes = 0;
		return 0;
	}
	if (job->killed.len == 0)
		return 0;
	len = postings_count(&job->killed);
	numbers = malloc(len * sizeof *numbers);
	if (numbers == NULL)
		return error_memory(error, len * sizeof *numbers);
	postings_list(&job->killed, numbers);
	rc = kills_count(job, numbers, len, mark, error);
	free(numbers);
	return rc;
}

static int segment_leave(struct replica_store_job *job, size_t at, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;
	struct disk_segment segment = manifest->segments[at];
	struct postings dead;
	int rc;

	postings_init(&dead);
	rc = dead_read(job->txn, segment.first, segment.end, &dead, error);
	if (rc == 0)
		rc = dead_remove(job->txn, &dead, error);
	postings_deinit(&dead);
	if (rc != 0)
		return rc;
	ASSERT(manifest_replace(manifest, at, 1, NULL)); /* replica_store_begin saw to the room */
	job->left[job->left_len++] = (struct store_interval){segment.first, segment.end};
	return 0;
}

int kills_write(struct replica_store_job *job, struct error *error)
{
	struct manifest *manifest = &job->manifest->manifest;

	if (job->cleared_below > 0) {
		ASSERT(manifest->segments_len == 0 ||
		       manifest_replace(manifest, 0, manifest->segments_len, NULL));
		return kv_clear(job->txn, KV_TABLE_DEAD, error);
	}
	if (dead_add(job->txn, &job->killed, error) != 0)
		return error->code;
	for (size_t i = manifest->segments_len; i-- > 0;) {
		struct disk_segment *segment = &manifest->segments[i];

		segment->dead += (uint32_t)postings_count_range(&job->killed, segment->first, segment->end);
		if (segment->dead == segment->documents && segment_leave(job, i, error) != 0)
			return error->code;
	}
	return 0;
}
