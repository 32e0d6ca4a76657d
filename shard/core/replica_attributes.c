/* Which attributes a replica keeps the values of. */
#include "shard/core/compact_job.h"

#include "shared/base/assert.h"

/* Numbers that segments still cover, in whatever meaning, or will: a merge covers what its parts do, a build what was
 * wanted when it began. */
static struct value_cover numbers_in_use(const struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest->manifest;
	struct value_cover used = replica->attributes->wanted;

	for (size_t i = 0; i < manifest->segments_len; i++)
		value_cover_or(&used, &manifest->segments[i].values.cover);
	for (size_t i = 0; i < replica->segments_len; i++)
		if (replica->segments[i]->puts_len > 0)
			value_cover_or(&used, &replica->segments[i]->cover);
	if (replica->compaction != NULL)
		value_cover_or(&used, &replica->compaction->attributes->wanted);
	return used;
}

static int number_choose(const struct replica *replica, struct slice path, struct value_cover *used,
                         uint16_t *number, struct error *error)
{
	const struct attribute *known = attributes_find(replica->attributes, path);

	if (known != NULL) {
		*number = known->number;
		return 0;
	}
	for (uint16_t i = 0; i < VALUE_NUMBERS_MAX; i++) {
		if (value_cover_has(used, i))
			continue;
		value_cover_add(used, i);
		*number = i;
		return 0;
	}
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
	                 "the values of attributes that were dropped have not gone yet: no number is left "
	                 "for %.*s",
	                 SLICE_ARGS(path));
}

static bool is_set(const struct replica *replica, uint64_t version, const struct slice *paths, size_t len)
{
	if (replica->attributes->version != version || replica->attributes->attributes.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (attributes_find(replica->attributes, paths[i]) == NULL)
			return false;
	return true;
}

int replica_attributes_change(struct replica *replica, uint64_t version, const struct slice *paths,
                              size_t len, struct error *error)
{
	struct value_cover used = numbers_in_use(replica);
	struct attributes attributes = {.len = len};
	struct attributes_ref *made;

	ASSERT(len <= VALUE_ATTRIBUTES_MAX);
	if (is_set(replica, version, paths, len))
		return 0;
	for (size_t i = 0; i < len; i++) {
		ASSERT(paths[i].len > 0 && paths[i].len <= ATTRIBUTE_PATH_BYTES_MAX);
		attributes.list[i].path = paths[i];
		if (number_choose(replica, paths[i], &used, &attributes.list[i].number, error) != 0)
			return error->code;
	}
	if (len > 0 && replica->keys == NULL)
		replica->keys = dictionary_builder_new();
	made = attributes_new(version, &attributes);
	if (made == NULL || (len > 0 && replica->keys == NULL)) {
		attributes_release(made);
		return error_memory(error, sizeof *made);
	}
	replica_touch(replica);
	attributes_release(replica->attributes);
	replica->attributes = made;
	return 0;
}

int replica_attributes_set(struct replica *replica, uint64_t version, const struct slice *paths, size_t len,
                           struct error *error)
{
	const struct attributes *now = &replica->attributes->attributes;
	struct slice all[VALUE_ATTRIBUTES_MAX];
	uint64_t digest;

	ASSERT(len <= VALUE_PATHS_MAX);
	if (replica->state == REPLICA_STATE_STOPPED)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "%s", replica->stop_reason);
	for (size_t i = 0; i < len; i++)
		all[i] = paths[i];
	for (size_t i = 0; i < now->len; i++)
		if (words_beside_read(now->list[i].path, &digest))
			all[len++] = now->list[i].path;
	return replica_attributes_change(replica, version, all, len, error);
}

struct attributes_ref *replica_attributes_unstored(const struct replica *replica)
{
	return replica->attributes == replica->attributes_stored ? NULL
	                                                         : attributes_hold(replica->attributes);
}

void replica_attributes_accept(struct replica *replica, struct attributes_ref *attributes)
{
	if (attributes == NULL)
		return;
	attributes_release(replica->attributes_stored);
	replica->attributes_stored = attributes;
	if (replica->compaction == NULL)
		return;
	/* what a removal is still to store is older */
	attributes_release(replica->compaction->unstored);
	replica->compaction->unstored = NULL;
}

uint64_t replica_attributes_version(const struct replica *replica)
{
	return replica->attributes->version;
}
