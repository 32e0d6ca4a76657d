#include "shard/core/dead.h"
#include "shard/core/replica_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdio.h>
#include <stdlib.h>

/* Nothing is served or received any more; keeps the first reason. */
static void stop(struct replica *replica, const char *reason)
{
	if (replica->state == REPLICA_STATE_STOPPED)
		return;
	replica->state = REPLICA_STATE_STOPPED;
	snprintf(replica->stop_reason, sizeof replica->stop_reason, "%.*s",
	         (int)sizeof replica->stop_reason - 1, reason);
}

int replica_failed(struct replica *replica, const struct error *error)
{
	if (error->code == ERROR_DAMAGED || error->action == ERROR_ACTION_FATAL)
		stop(replica, error->text);
	return error->code;
}

int replica_check_serving(const struct replica *replica, struct error *error)
{
	if (replica->state == REPLICA_STATE_STOPPED)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s", replica->stop_reason);
	return 0;
}

const struct version *overlay_get(const struct replica *replica, struct slice id)
{
	const uint64_t *value = map_get(&replica->overlay, id);

	return value == NULL ? NULL : (const struct version *)(uintptr_t)*value;
}

/* The map borrows its keys, so that the key must move to the version's own id;
 * putting back what was just removed needs no memory. */
bool overlay_set(struct replica *replica, const struct version *version)
{
	bool known = map_remove(&replica->overlay, version->id);
	bool put = map_put(&replica->overlay, version->id, (uint64_t)(uintptr_t)version);

	ASSERT(put || !known);
	return put;
}

static int cluster_check(const struct replica_identity *found, const char *cluster_id, struct error *error)
{
	if (strcmp(found->cluster_id, cluster_id) == 0)
		return 0;
	return error_set(
		error, ERROR_STATE, ERROR_ACTION_FATAL,
		"the replica belongs to Kafka cluster %s, this is %s: wrong Kafka; nothing was changed",
		found->cluster_id, cluster_id);
}

int replica_identity_check(const struct replica_identity *found, const struct replica_identity *wanted,
                           struct error *error)
{
	if (cluster_check(found, wanted->cluster_id, error) != 0)
		return error->code;
	if (found->index_id != wanted->index_id || found->generation != wanted->generation ||
	    found->partition != wanted->partition)
		return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
		                 "the replica is partition %d of index %016llx, generation %d; expected "
		                 "partition %d of "
		                 "%016llx, generation %d",
		                 found->partition, (unsigned long long)found->index_id, found->generation,
		                 wanted->partition, (unsigned long long)wanted->index_id, wanted->generation);
	if (found->rules_digest != wanted->rules_digest)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_FATAL,
		                 "the replica was built under rules %016llx, the index now says %016llx; it "
		                 "must be rebuilt",
		                 (unsigned long long)found->rules_digest,
		                 (unsigned long long)wanted->rules_digest);
	return 0;
}

int replica_manifest_read(struct kv_txn *txn, struct manifest *manifest, struct error *error)
{
	struct stored_key key = stored_manifest_key();
	struct slice value;

	manifest_init(manifest);
	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0)
		return manifest_decode(manifest, value, error);
	return error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

int replica_dead_read(struct kv_txn *txn, struct postings *dead, struct error *error)
{
	return dead_read(txn, 0, UINT64_MAX, dead, error);
}

/* An empty incarnation: on disk before anything is received, so that a restart is the same one. */
static int state_create(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_state_key();

	replica->now = (struct mark){.received = KNOCKOUT(BASE_IGNORED) ? 0 : replica->identity.base,
	                             .anchor = {.offset = -1},
	                             .number_next = 1,
	                             .identity_last = -1};
	buffer_clear(&replica->scratch);
	stored_state_encode(&replica->scratch, &replica->identity, &replica->now);
	if (buffer_failed(&replica->scratch))
		return error_memory(error, replica->scratch.len);
	return kv_put(txn, KV_TABLE_STATE, stored_key_slice(&key), buffer_slice(&replica->scratch), error);
}

static int seals_load(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_seals_key();
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0)
		return stored_seals_decode(value, &replica->now, error);
	return error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

static int fields_load(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_fields_key();
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	if (stored_fields_decode(value, replica->fields, error) != 0)
		return error->code;
	replica->fields_stored = fields_len(replica->fields);
	return 0;
}

int replica_segments_check(const struct manifest *manifest, const struct postings *deleted,
                           const struct mark *mark, struct error *error)
{
	uint64_t documents = 0;
	uint64_t dead = 0;

	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];

		if (segment->dead != postings_count_range(deleted, segment->first, segment->end) ||
		    segment->end > mark->number_next)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "disk segment %llu is not what the state or the dead documents say",
			                 (unsigned long long)segment->id);
		documents += segment->documents - segment->dead;
		dead += segment->dead;
	}
	if (documents == mark->documents && dead == postings_count(deleted))
		return 0;
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "the disk segments have %llu documents, the state says %llu",
	                 (unsigned long long)documents, (unsigned long long)mark->documents);
}

static int segments_load(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct manifest_ref *ref = manifest_ref_new();

	if (ref == NULL)
		return error_memory(error, sizeof *ref);
	if (replica_manifest_read(txn, &ref->manifest, error) != 0 ||
	    replica_dead_read(txn, &replica->deleted, error) != 0 ||
	    replica_cuttings_load(replica, txn, &ref->manifest, error) != 0 ||
	    replica_segments_check(&ref->manifest, &replica->deleted, &replica->now, error) != 0) {
		manifest_ref_release(ref);
		return error->code;
	}
	replica->disk_segment_next = ref->manifest.segment_next;
	replica_publish(replica, ref);
	return 0;
}

/* What stands there without a state is no replica: a copy that is not whole, if nothing worse. */
static int tables_check_empty(struct kv_txn *txn, struct error *error)
{
	uint64_t count;

	for (enum kv_table table = 0; table < KV_TABLES; table++) {
		if (kv_count(txn, table, &count, error) != 0)
			return error->code;
		if (count != 0)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "documents without a stored state, as in a copy that is not whole");
	}
	return 0;
}

static int keys_prepare(struct replica *replica, struct error *error)
{
	if (replica->attributes->attributes.len == 0)
		return 0;
	replica->keys = dictionary_builder_new();
	return replica->keys == NULL ? error_memory(error, sizeof replica->keys) : 0;
}

static int state_load(struct replica *replica, struct kv_txn *txn, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity found;
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0) {
		if (stored_state_decode(value, &found, &replica->now, error) != 0 ||
		    replica_identity_check(&found, &replica->identity, error) != 0)
			return error->code;
		found.document_bytes_max = replica->identity.document_bytes_max;
		found.dedup_window = replica->identity.dedup_window;
		replica->identity = found;
		attributes_release(replica->attributes);
		replica->attributes = NULL;
		if (attributes_read(txn, &replica->attributes, error) != 0)
			return error->code;
		replica_attributes_accept(replica, attributes_hold(replica->attributes));
		if (keys_prepare(replica, error) != 0 || seals_load(replica, txn, error) != 0 ||
		    fields_load(replica, txn, error) != 0 || segments_load(replica, txn, error) != 0)
			return error->code;
		return replica_marks_load(replica, txn, error);
	}
	if (error->code != ERROR_NOT_FOUND || tables_check_empty(txn, error) != 0)
		return error->code;
	return state_create(replica, txn, error);
}

static int replica_load(struct replica *replica, struct error *error)
{
	struct kv_txn *txn;

	if (kv_begin(replica->kv, true, &txn, error) != 0)
		return error->code;
	if (state_load(replica, txn, error) != 0) {
		kv_abort(txn);
		return error->code;
	}
	if (kv_commit(txn, error) != 0)
		return error->code;
	replica->stored = replica->now.received;
	return 0;
}

static const struct attributes no_attributes;
static const struct text_settings no_settings;

/* By the defaults. */
static bool cuttings_init(struct replica *replica)
{
	struct error error;

	replica->cuttings.len = cutting_new(&no_settings, &replica->cuttings.list[0], &error) == 0 ? 1 : 0;
	return replica->cuttings.len > 0;
}

static struct replica *replica_new(const struct replica_identity *identity, uint64_t session)
{
	struct replica *replica = calloc(1, sizeof *replica);

	if (replica == NULL)
		return NULL;
	replica->identity = *identity;
	replica->session = session;
	replica->state = REPLICA_STATE_RECOVERING;
	replica->log_end = -1;
	replica->level_at = -1;
	buffer_init(&replica->scratch, STORED_VALUE_BYTES_MAX);
	map_init(&replica->overlay);
	postings_init(&replica->deleted);
	replica->words = words_new();
	replica->fields = fields_new();
	replica->builder = dictionary_builder_new();
	replica->attributes = attributes_new(0, &no_attributes);
	replica->manifest = manifest_ref_new();
	if (replica->attributes != NULL)
		replica->attributes_stored = attributes_hold(replica->attributes);
	if (replica->attributes == NULL || replica->words == NULL || replica->fields == NULL ||
	    replica->builder == NULL || replica->manifest == NULL || !cuttings_init(replica)) {
		replica_close(replica);
		return NULL;
	}
	replica->disk_segment_next = replica->manifest->manifest.segment_next;
	return replica;
}

int replica_open(struct kv *kv, const struct replica_identity *identity, uint64_t session,
                 struct replica **out, struct error *error)
{
	struct replica *replica = replica_new(identity, session);

	if (replica == NULL)
		return error_memory(error, sizeof *replica);
	replica->kv = kv;
	if (replica_load(replica, error) != 0) {
		replica->kv = NULL; /* stays the caller's */
		replica_close(replica);
		return error->code;
	}
	*out = replica;
	return 0;
}

void replica_close(struct replica *replica)
{
	if (replica == NULL)
		return;
	ASSERT(replica->job == NULL && replica->compaction == NULL);
	for (size_t i = 0; i < replica->segments_len; i++)
		segment_release(replica->segments[i]);
	replica_snapshots_end(replica);
	free(replica->segments);
	map_deinit(&replica->overlay);
	postings_deinit(&replica->deleted);
	buffer_deinit(&replica->scratch);
	dictionary_builder_free(replica->builder);
	dictionary_builder_free(replica->keys);
	attributes_release(replica->attributes);
	attributes_release(replica->attributes_stored);
	cuttings_deinit(&replica->cuttings);
	fields_free(replica->fields);
	words_free(replica->words);
	if (replica->kv != NULL)
		kv_close(replica->kv);
	free(replica);
}

void replica_pause(struct replica *replica, uint64_t session)
{
	replica->session = session;
	replica->log_end = -1;
	replica->level_at = -1;
	if (replica->state == REPLICA_STATE_ACTIVE)
		replica->state = REPLICA_STATE_RECOVERING;
}

int replica_check_cluster(struct kv *kv, const char *cluster_id, struct error *error)
{
	struct stored_key key = stored_state_key();
	struct replica_identity found;
	struct mark mark;
	struct slice value;
	struct kv_txn *txn;
	int rc = 0;

	if (kv_begin(kv, false, &txn, error) != 0)
		return error->code;
	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0 &&
	    stored_state_decode(value, &found, &mark, error) == 0)
		rc = cluster_check(&found, cluster_id, error);
	kv_abort(txn);
	return rc;
}

/* A segment that was cut by those rules, and covers this, has no words by the rules in force, or lacks an attribute. */
static bool is_lacking(const struct replica *replica, uint64_t cutting, const struct value_cover *cover)
{
	uint64_t in_force = replica->cuttings.list[0]->digest;
	struct value_cover wanted = words_beside_wanted(replica->attributes, cutting);

	return !value_cover_holds(cover, &wanted) ||
	       (cutting != in_force && words_beside_find(&replica->attributes->attributes, in_force) == NULL);
}

static void status_of_disk(const struct replica *replica, struct replica_status *status)
{
	const struct manifest *manifest = &replica->manifest->manifest;

	status->disk_segments = manifest->segments_len;
	status->disk_leaving = manifest->leaving_len;
	status->disk_bytes = manifest_bytes(manifest);
	for (size_t i = 0; i < manifest->segments_len; i++) {
		status->disk_value_sets += manifest->segments[i].values.id != 0;
		status->disk_lacking += is_lacking(replica, manifest->segments[i].cutting,
		                                   &manifest->segments[i].values.cover);
		status->disk_dead += manifest->segments[i].dead;
	}
}

void replica_status(const struct replica *replica, struct replica_status *status)
{
	*status = (struct replica_status){
		.state = replica->state,
		.incarnation = replica->identity.incarnation,
		.session = replica->session,
		.rules_digest = replica->identity.rules_digest,
		.received = replica->now.received,
		.stored = replica->stored,
		.log_end = replica->log_end,
		.anchor = replica->now.anchor,
		.digest = replica->now.digest,
		.documents = replica->now.documents,
		.body_bytes = replica->now.body_bytes,
		.segments = replica->segments_len,
		.applied = replica->applied,
		.merges_too_large = replica->merges_too_large,
		.skipped = replica->skipped,
		.merges = replica->merges,
		.stored_bytes = replica->stored_bytes,
		.merged_bytes = replica->merged_bytes,
		.builds = replica->builds,
		.built_bytes = replica->built_bytes,
		.has_identities = replica_has_identities(replica),
		.has_origins = replica->now.has_origins,
	};
	for (size_t i = 0; i < replica->segments_len; i++) {
		const struct segment *segment = replica->segments[i];

		status->memory_bytes += segment->bytes;
		status->memory_lacking +=
			segment->puts_len > 0 && is_lacking(replica, segment->cutting, &segment->cover);
	}
	status->memory_bytes += replica->overlay.count * sizeof(struct map_entry);
	status_of_disk(replica, status);
	memcpy(status->stop_reason, replica->stop_reason, sizeof status->stop_reason);
}

size_t replica_seals(const struct replica *replica, struct seal seals[REPLICA_SEALS_MAX])
{
	memcpy(seals, replica->now.seals, replica->now.seals_len * sizeof seals[0]);
	return replica->now.seals_len;
}

void replica_answer(const struct replica *replica, struct range_answer *answer)
{
	*answer = (struct range_answer){
		.index_id = replica->identity.index_id,
		.partition = replica->identity.partition,
		.result =
			replica->state == REPLICA_STATE_STOPPED ? RANGE_RESULT_STOPPED : RANGE_RESULT_ALREADY,
		.incarnation = replica->identity.incarnation,
		.session = replica->session,
		.received = replica->now.received,
		.stored = replica->stored,
		.anchor = replica->now.anchor,
		.has_identities = replica_has_identities(replica),
		.has_origins = replica->now.has_origins,
	};
}

bool replica_merge(struct replica *replica)
{
	struct segment *merged;
	size_t at;

	if (!segment_merge_place(replica->segments, replica->segments_len, replica->frozen, &at))
		return false;
	merged = segment_merge(replica->segments + at, SEGMENT_FANOUT);
	if (merged == NULL)
		return false; /* out of memory: more segments cost time, not answers */
	for (size_t i = 0; i < SEGMENT_FANOUT; i++)
		segment_release(replica->segments[at + i]);
	replica->segments[at] = merged;
	replica->segments_len -= SEGMENT_FANOUT - 1;
	memmove(replica->segments + at + 1, replica->segments + at + SEGMENT_FANOUT,
	        (replica->segments_len - at - 1) * sizeof *replica->segments);
	replica_touch(replica);
	return segment_merge_place(replica->segments, replica->segments_len, replica->frozen, &at);
}
