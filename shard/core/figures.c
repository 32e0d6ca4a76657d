#include "shard/core/figures.h"

#include "shard/core/compact_job.h"
#include "shared/base/assert.h"

static void figures_of_memory(const struct replica *replica, struct replica_figures *figures)
{
	for (size_t i = 0; i < replica->segments_len; i++) {
		const struct segment *segment = replica->segments[i];
		struct memory_figures *part = i < replica->frozen ? &figures->immutable : &figures->active;

		part->segments++;
		part->bytes += segment->bytes;
		figures->words += dictionary_len(segment->dictionary);
	}
	figures->ids_bytes = replica->overlay.count * sizeof(struct map_entry);
	for (size_t i = 0; i < replica->manifest->manifest.segments_len; i++)
		figures->tables_bytes += word_table_bytes(
			atomic_load_explicit(&replica->manifest->words[i], memory_order_acquire));
}

/* The row of a level, at its place. */
static struct level_figures *level_row(struct replica_figures *figures, uint32_t level)
{
	size_t at = 0;

	while (at < figures->levels_len && figures->levels[at].level < level)
		at++;
	if (at < figures->levels_len && figures->levels[at].level == level)
		return &figures->levels[at];
	ASSERT(figures->levels_len < MANIFEST_SEGMENTS_MAX); /* each has a segment */
	memmove(figures->levels + at + 1, figures->levels + at,
	        (figures->levels_len - at) * sizeof figures->levels[0]);
	figures->levels_len++;
	figures->levels[at] = (struct level_figures){.level = level};
	return &figures->levels[at];
}

static void figures_of_disk(const struct manifest *manifest, struct replica_figures *figures)
{
	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];
		struct level_figures *row = level_row(figures, segment->level);

		row->segments++;
		row->documents += segment->documents;
		row->dead += segment->dead;
		row->bytes += disk_segment_bytes(segment);
		figures->words_bytes += segment->lengths[SECTION_TERMS];
		figures->postings_bytes += segment->lengths[SECTION_POSTINGS];
	}
	figures->leaving = manifest->leaving_len;
}

/* Only what the owner gave a job: the rest of it is another thread's while it runs. */
static void figures_of_jobs(const struct replica *replica, struct replica_figures *figures)
{
	const struct replica_compact_job *compaction = replica->compaction;

	figures->storing = replica->job != NULL;
	figures->compacting = compaction != NULL;
	figures->merging = compaction == NULL ? 0 : compaction->parts_len;
	for (size_t i = 0; i < figures->merging; i++)
		figures->merging_bytes += disk_segment_bytes(&compaction->parts[i]);
}

uint64_t replica_live_bytes(const struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->segments_len; i++)
		bytes += manifest_live_bytes(&manifest->segments[i]);
	return bytes;
}

void replica_figures(const struct replica *replica, struct replica_figures *figures)
{
	*figures = (struct replica_figures){.levels_len = 0};
	figures_of_memory(replica, figures);
	figures_of_disk(&replica->manifest->manifest, figures);
	figures->live_bytes = replica_live_bytes(replica);
	figures_of_jobs(replica, figures);
}

void replica_file_size(const struct replica *replica, uint64_t *used_bytes, uint64_t *map_bytes)
{
	kv_size(replica->kv, used_bytes, map_bytes);
}
