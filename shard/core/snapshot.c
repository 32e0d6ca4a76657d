/* The life of snapshots, and of the manifests that they hold. */
#include "shard/core/reading.h"

#include "shared/base/assert.h"

#include <stdlib.h>

struct manifest_ref *manifest_ref_new(void)
{
	struct manifest_ref *manifest = calloc(1, sizeof *manifest);

	if (manifest == NULL)
		return NULL;
	atomic_init(&manifest->references, 1);
	atomic_init(&manifest->unknown, false);
	manifest_init(&manifest->manifest);
	return manifest;
}

void manifest_ref_release(struct manifest_ref *manifest)
{
	if (manifest == NULL || atomic_fetch_sub_explicit(&manifest->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < MANIFEST_SEGMENTS_MAX; i++)
		word_table_release(atomic_load_explicit(&manifest->words[i], memory_order_acquire));
	free(manifest);
}

int manifest_ref_words(struct manifest_ref *manifest, size_t i, struct section_reader *sections,
                       const struct word_table **words, struct error *error)
{
	struct word_table *found = atomic_load_explicit(&manifest->words[i], memory_order_acquire);
	struct word_table *made;

	if (found == NULL) {
		if (word_table_read(sections, manifest->manifest.segments[i].first, &made, error) != 0)
			return error->code;
		if (atomic_compare_exchange_strong(&manifest->words[i], &found, made))
			found = made;
		else
			word_table_release(made); /* another thread was first */
	}
	*words = found;
	return 0;
}

/* Segments that stay keep their words. */
static void words_carry(struct manifest_ref *to, const struct manifest_ref *from)
{
	for (size_t i = 0, at = 0; i < to->manifest.segments_len; i++) {
		const struct disk_segment *segment = &to->manifest.segments[i];
		struct word_table *words;

		while (at < from->manifest.segments_len && from->manifest.segments[at].first < segment->first)
			at++;
		if (at == from->manifest.segments_len)
			return;
		if (from->manifest.segments[at].id != segment->id)
			continue;
		words = atomic_load_explicit(&from->words[at], memory_order_acquire);
		atomic_store_explicit(&to->words[i], word_table_hold(words), memory_order_release);
	}
}

void replica_touch(struct replica *replica)
{
	snapshot_release(replica->snapshot);
	replica->snapshot = NULL;
}

/* Lets go of the retired that nobody else holds. */
static void retired_sweep(struct replica *replica)
{
	struct manifest_ref **at = &replica->retired;

	while (*at != NULL) {
		struct manifest_ref *manifest = *at;

		if (atomic_load_explicit(&manifest->references, memory_order_acquire) > 1) {
			at = &manifest->next;
			continue;
		}
		*at = manifest->next;
		manifest_ref_release(manifest);
	}
}

void replica_publish(struct replica *replica, struct manifest_ref *manifest)
{
	struct manifest_ref *before = replica->manifest;

	replica_touch(replica);
	words_carry(manifest, before);
	replica->manifest = manifest;
	before->next = replica->retired;
	replica->retired = before;
	retired_sweep(replica);
}

void replica_keep(struct replica *replica, struct manifest_ref *manifest)
{
	atomic_fetch_add_explicit(&manifest->references, 1, memory_order_relaxed);
	manifest->next = replica->retired;
	replica->retired = manifest;
}

static bool manifest_ref_lists(const struct manifest_ref *ref, uint64_t segment)
{
	if (atomic_load_explicit(&ref->unknown, memory_order_acquire))
		return true;
	for (size_t i = 0; i < ref->manifest.segments_len; i++)
		if (ref->manifest.segments[i].id == segment || ref->manifest.segments[i].values.id == segment)
			return true;
	return false;
}

bool replica_is_read(struct replica *replica, uint64_t segment)
{
	retired_sweep(replica);
	for (const struct manifest_ref *ref = replica->retired; ref != NULL; ref = ref->next)
		if (manifest_ref_lists(ref, segment))
			return true;
	return false;
}

void replica_snapshots_end(struct replica *replica)
{
	replica_touch(replica);
	retired_sweep(replica);
	ASSERT(replica->retired == NULL);
	manifest_ref_release(replica->manifest);
	replica->manifest = NULL;
}

static struct snapshot *snapshot_new(struct replica *replica)
{
	size_t len = replica->segments_len;
	struct snapshot *snapshot = calloc(1, sizeof *snapshot + len * sizeof(struct segment *));

	if (snapshot == NULL)
		return NULL;
	snapshot->fields = fields_list(replica->fields);
	if (snapshot->fields == NULL) {
		free(snapshot);
		return NULL;
	}
	atomic_init(&snapshot->references, 1);
	snapshot->kv = replica->kv;
	snapshot->index_id = replica->identity.index_id;
	snapshot->received = replica->now.received;
	snapshot->documents = replica->now.documents;
	snapshot->manifest = replica->manifest;
	atomic_fetch_add_explicit(&replica->manifest->references, 1, memory_order_relaxed);
	snapshot->attributes = attributes_hold(replica->attributes);
	postings_init(&snapshot->deleted);
	postings_share(&snapshot->deleted, &replica->deleted);
	for (size_t i = 0; i < len; i++) {
		segment_hold(replica->segments[i]);
		snapshot->segments[i] = replica->segments[i];
	}
	snapshot->segments_len = len;
	return snapshot;
}

struct snapshot *replica_snapshot(struct replica *replica)
{
	if (replica->snapshot == NULL)
		replica->snapshot = snapshot_new(replica);
	return snapshot_hold(replica->snapshot);
}

void replica_damaged(struct replica *replica, const struct error *error)
{
	(void)replica_failed(replica, error);
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	if (snapshot != NULL)
		atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
	return snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
	if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < snapshot->segments_len; i++)
		segment_release(snapshot->segments[i]);
	manifest_ref_release(snapshot->manifest);
	attributes_release(snapshot->attributes);
	field_list_release(snapshot->fields);
	postings_deinit(&snapshot->deleted);
	free(snapshot);
}

int64_t snapshot_received(const struct snapshot *snapshot)
{
	return snapshot->received;
}

bool snapshot_has_field(const struct snapshot *snapshot, struct slice path)
{
	for (size_t i = 0; i < snapshot->fields->len; i++) {
		struct slice field = snapshot->fields->paths[i];

		if (slice_starts_with(field, path) && (field.len == path.len || field.ptr[path.len] == '.'))
			return true;
	}
	return false;
}
