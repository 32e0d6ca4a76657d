#include "shard/copies.h"

#include "shared/base/assert.h"

#include <pthread.h>
#include <stdlib.h>

struct kept {
	struct copies_key key;
	struct copy_source *source;
	int64_t used_ms;
};

struct copies {
	pthread_mutex_t lock;
	struct kept kept[COPIES_MAX];
	size_t len;
	size_t begun; /* places beside those */
};

struct copies *copies_new(void)
{
	struct copies *copies = calloc(1, sizeof *copies);

	if (copies != NULL)
		(void)pthread_mutex_init(&copies->lock, NULL);
	return copies;
}

void copies_free(struct copies *copies)
{
	if (copies == NULL)
		return;
	ASSERT(copies->len == 0 && copies->begun == 0);
	(void)pthread_mutex_destroy(&copies->lock);
	free(copies);
}

bool copies_begin(struct copies *copies)
{
	bool has_place;

	(void)pthread_mutex_lock(&copies->lock);
	has_place = copies->len + copies->begun < COPIES_MAX;
	if (has_place)
		copies->begun++;
	(void)pthread_mutex_unlock(&copies->lock);
	return has_place;
}

void copies_give_up(struct copies *copies)
{
	(void)pthread_mutex_lock(&copies->lock);
	copies->begun--;
	(void)pthread_mutex_unlock(&copies->lock);
}

void copies_add(struct copies *copies, const struct copies_key *key, struct copy_source *source,
                int64_t now_ms)
{
	(void)pthread_mutex_lock(&copies->lock);
	copies->begun--;
	copies->kept[copies->len++] = (struct kept){*key, copy_source_hold(source), now_ms};
	(void)pthread_mutex_unlock(&copies->lock);
}

static bool is_key(const struct kept *kept, const struct copies_key *key)
{
	return kept->key.id == key->id && kept->key.index_id == key->index_id &&
	       kept->key.partition == key->partition;
}

struct copy_source *copies_take(struct copies *copies, const struct copies_key *key, int64_t now_ms)
{
	struct copy_source *source = NULL;

	(void)pthread_mutex_lock(&copies->lock);
	for (size_t i = 0; i < copies->len; i++) {
		struct kept *kept = &copies->kept[i];

		if (!is_key(kept, key))
			continue;
		kept->used_ms = now_ms;
		source = copy_source_hold(kept->source);
	}
	(void)pthread_mutex_unlock(&copies->lock);
	return source;
}

/* Under the lock; the last one takes its place. */
static void forget(struct copies *copies, size_t at)
{
	copy_source_release(copies->kept[at].source);
	copies->kept[at] = copies->kept[--copies->len];
}

bool copies_end(struct copies *copies, const struct copies_key *key)
{
	size_t len;

	(void)pthread_mutex_lock(&copies->lock);
	len = copies->len;
	for (size_t i = copies->len; i-- > 0;)
		if (is_key(&copies->kept[i], key))
			forget(copies, i);
	len -= copies->len;
	(void)pthread_mutex_unlock(&copies->lock);
	return len > 0;
}

size_t copies_expire(struct copies *copies, int64_t now_ms)
{
	size_t len;

	(void)pthread_mutex_lock(&copies->lock);
	len = copies->len;
	for (size_t i = copies->len; i-- > 0;)
		if (now_ms - copies->kept[i].used_ms >= COPIES_IDLE_MS)
			forget(copies, i);
	len -= copies->len;
	(void)pthread_mutex_unlock(&copies->lock);
	return len;
}

size_t copies_drop(struct copies *copies, uint64_t index_id, int32_t partition)
{
	size_t len;

	(void)pthread_mutex_lock(&copies->lock);
	len = copies->len;
	for (size_t i = copies->len; i-- > 0;)
		if (copies->kept[i].key.index_id == index_id && copies->kept[i].key.partition == partition)
			forget(copies, i);
	len -= copies->len;
	(void)pthread_mutex_unlock(&copies->lock);
	return len;
}
