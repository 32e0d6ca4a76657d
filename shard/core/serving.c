#include "shard/core/serving.h"

#include "shared/base/knockout.h"

const char *serving_name(enum serving serving)
{
	static const char *const names[SERVINGS] = {
		[SERVING_ACTIVE] = "active", [SERVING_RECOVERING] = "recovering",
		[SERVING_BEHIND] = "behind", [SERVING_STOPPED] = "stopped",
		[SERVING_ABSENT] = "absent",
	};

	return names[serving];
}

bool serving_recorded(const struct catalog *catalog, const char *node, const struct holding *holding,
                      struct incarnation incarnation)
{
	const struct shard_record *shard = catalog_shard(catalog, holding->index_id, holding->partition);

	if (shard == NULL || shard->generation != holding->generation)
		return false;
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct placement *placement = &shard->replicas[i];

		if (strcmp(placement->node, node) == 0)
			return placement->state == PLACEMENT_STATE_ACTIVE && placement->in_sync &&
			       (incarnation_is_none(placement->incarnation) ||
			        incarnation_equal(placement->incarnation, incarnation));
	}
	return false;
}

enum serving serving_of(const struct serving_shard *shard, bool stale)
{
	bool serves =
		(shard->state == REPLICA_STATE_ACTIVE && shard->recorded) || KNOCKOUT(RECOVERING_IGNORED);

	if (!shard->held)
		return SERVING_ABSENT;
	if (shard->state == REPLICA_STATE_STOPPED)
		return SERVING_STOPPED;
	if (!serves && !stale)
		return SERVING_RECOVERING;
	return shard->received < shard->wanted ? SERVING_BEHIND : SERVING_ACTIVE;
}

int64_t serving_wait_until(const struct serving_terms *terms)
{
	int64_t longest_ms = terms->arrived_ms + SERVING_WAIT_MS_MAX;
	int64_t tail_ms = terms->deadline_ms - SERVING_TAIL_MS;

	return tail_ms < longest_ms ? tail_ms : longest_ms;
}

enum serving_verdict serving_decide(const struct serving_shard *shards, size_t len,
                                    const struct serving_terms *terms)
{
	bool behind = false;

	if (terms->now_ms >= terms->deadline_ms)
		return SERVING_VERDICT_DROP;
	for (size_t i = 0; i < len; i++) {
		enum serving serving = serving_of(&shards[i], terms->stale);

		if (serving != SERVING_ACTIVE && serving != SERVING_BEHIND)
			return SERVING_VERDICT_REFUSE;
		behind = behind || serving == SERVING_BEHIND;
	}
	if (!behind)
		return SERVING_VERDICT_ANSWER;
	return terms->may_wait && terms->now_ms < serving_wait_until(terms) ? SERVING_VERDICT_WAIT
	                                                                    : SERVING_VERDICT_REFUSE;
}
