/* By which rules a replica cuts texts into words. */
#include "shard/core/compact_job.h"

/* Some segment was cut by it, or will be. */
static bool is_used(const struct replica *replica, uint64_t digest)
{
	const struct manifest *manifest = &replica->manifest->manifest;

	for (size_t i = 0; i < replica->segments_len; i++)
		if (replica->segments[i]->cutting == digest)
			return true;
	for (size_t i = 0; i < manifest->segments_len; i++)
		if (manifest->segments[i].cutting == digest)
			return true;
	return replica->compaction != NULL && replica->compaction->rules.list[0]->digest == digest;
}

/* Those told, and others that are used. Borrowed. */
static int cuttings_choose(const struct replica *replica, const struct cuttings *told,
                           struct cuttings *chosen, struct error *error)
{
	*chosen = *told;
	for (size_t i = 0; i < replica->cuttings.len; i++) {
		struct cutting *known = replica->cuttings.list[i];

		if (cuttings_find(told, known->digest) != NULL || !is_used(replica, known->digest))
			continue;
		if (chosen->len == CUTTINGS_MAX)
			return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
			                 "words were cut by %d rules, and have not all been cut anew yet",
			                 CUTTINGS_MAX);
		chosen->list[chosen->len++] = known;
	}
	return 0;
}

/* Words by the coming rules stand beside; so do those by the rules in force, where they did while they were coming. */
static int beside_set(struct replica *replica, const struct cuttings *told, struct error *error)
{
	const struct attributes *now = &replica->attributes->attributes;
	uint8_t words[CUTTINGS_TOLD_MAX][WORDS_BESIDE_PATH_BYTES];
	struct slice paths[VALUE_ATTRIBUTES_MAX];
	uint64_t digest;
	size_t len = 0;

	for (size_t i = 0; i < now->len; i++)
		if (!words_beside_read(now->list[i].path, &digest))
			paths[len++] = now->list[i].path;
	for (size_t i = 0; i < told->len; i++) {
		if (i == 0 && words_beside_find(now, told->list[i]->digest) == NULL)
			continue;
		words_beside_path(told->list[i]->digest, words[i]);
		paths[len++] = slice_of(words[i], sizeof words[i]);
	}
	return replica_attributes_change(replica, replica->attributes->version, paths, len, error);
}

static int told_set(struct replica *replica, const struct cuttings *told, struct error *error)
{
	struct cuttings chosen;
	struct cuttings before = replica->cuttings;
	bool known = before.list[0]->digest == told->list[0]->digest;

	for (size_t i = 1; i < told->len; i++)
		known = known && cuttings_find(&before, told->list[i]->digest) != NULL;
	if (cuttings_choose(replica, told, &chosen, error) != 0 || beside_set(replica, told, error) != 0)
		return error->code;
	if (known)
		return 0;
	cuttings_copy(&replica->cuttings, &chosen);
	cuttings_deinit(&before);
	replica->cuttings_changes++;
	return 0;
}

/* The coming ones wait as long as segments have own words by them that are to be others: what is built beside is
 * never taken away before it is in force. */
static int coming_check(const struct replica *replica, const struct cuttings *told, struct error *error)
{
	struct cuttings chosen;

	if (is_used(replica, told->list[1]->digest))
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "words were cut by these rules before, and have not all been cut anew yet");
	return cuttings_choose(replica, told, &chosen, error);
}

int replica_cutting_set(struct replica *replica, const struct text_settings *in_force,
                        const struct text_settings *coming, struct error *error)
{
	struct cuttings told = {.len = 0};
	int waits = 0;
	int rc;

	if (replica->state == REPLICA_STATE_STOPPED)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s", replica->stop_reason);
	rc = cutting_new(in_force, &told.list[0], error);
	told.len = rc == 0 ? 1 : 0;
	if (rc == 0 && coming != NULL) {
		rc = cutting_new(coming, &told.list[1], error);
		told.len += rc == 0 ? 1 : 0;
	}
	if (told.len == 2 && told.list[1]->digest == told.list[0]->digest)
		cutting_release(told.list[--told.len]);
	if (told.len == 2 && (waits = coming_check(replica, &told, error)) != 0)
		cutting_release(told.list[--told.len]);
	if (rc == 0)
		rc = told_set(replica, &told, error);
	cuttings_deinit(&told);
	return rc != 0 ? rc : waits;
}

int replica_cuttings_load(struct replica *replica, struct kv_txn *txn, const struct manifest *manifest,
                          struct error *error)
{
	cuttings_deinit(&replica->cuttings);
	if (cuttings_read(txn, &replica->cuttings, error) != 0 ||
	    words_beside_check(&replica->attributes->attributes, &replica->cuttings, error) != 0)
		return error->code;
	return cuttings_check(&replica->cuttings, manifest, error);
}

int cuttings_check(const struct cuttings *cuttings, const struct manifest *manifest, struct error *error)
{
	for (size_t i = 0; i < manifest->segments_len; i++)
		if (cuttings_find(cuttings, manifest->segments[i].cutting) == NULL)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "nothing says by which rules the words of segment %llu were cut",
			                 (unsigned long long)manifest->segments[i].id);
	return 0;
}

void replica_cuttings_unstored(const struct replica *replica, struct cuttings_value *value)
{
	value->changes = replica->cuttings_changes;
	if (replica->cuttings_changes != replica->cuttings_stored)
		cuttings_encode(&replica->cuttings, &value->bytes);
}

void replica_cuttings_accept(struct replica *replica, const struct cuttings_value *value)
{
	if (value->bytes.len > 0)
		replica->cuttings_stored = value->changes;
	/* what a removal is still to store is older */
	if (replica->compaction != NULL)
		buffer_clear(&replica->compaction->cuttings.bytes);
}
