#include "rebalance/core/moves.h"

#include "rebalance/core/placement.h"

#include <stdio.h>

static size_t place_of(const struct moves_places *places, const char *node)
{
	for (size_t i = 0; i < places->nodes_len; i++)
		if (strcmp(places->nodes[i].id, node) == 0)
			return i;
	return places->nodes_len;
}

/* ---- joining ---- */

static bool can_join(const struct moves_places *places, size_t at)
{
	return places->watched[at] != NULL && places->watched[at]->answering &&
	       places->joining[at] < MOVES_JOINING_MAX;
}

static void join(struct shard_record *record, struct moves_places *places, size_t at, const char *reason,
                 struct changes *changes)
{
	const char *node = places->nodes[at].id;
	struct placement *placement = &record->replicas[record->replicas_len++];

	*placement = (struct placement){.state = PLACEMENT_STATE_JOINING};
	(void)snprintf(placement->node, sizeof placement->node, "%s", node);
	places->joining[at]++;
	changes_note(changes, record, CHANGE_JOINING, node, reason);
}

static void join_target(struct shard_record *record, const struct shard_record *target,
                        struct moves_places *places, struct changes *changes)
{
	for (size_t i = 0; i < target->replicas_len && record->replicas_len < REPLICAS_MAX; i++) {
		size_t at = place_of(places, target->replicas[i].node);

		if (catalog_placement(record, target->replicas[i].node) == NULL && can_join(places, at))
			join(record, places, at, "target", changes);
	}
}

/* ---- leaving and gone ---- */

static void leave(struct shard_record *record, const struct sight *sight, size_t i, const char *reason,
                  struct changes *changes)
{
	record->replicas[i].state = PLACEMENT_STATE_LEAVING;
	record->replicas[i].in_sync = false;
	sight->replicas[i]->leaving_ms = sight->now_ms;
	changes_note(changes, record, CHANGE_LEAVING, record->replicas[i].node, reason);
}

/* Every replica of the target serves; the most that one of them has received, -1 otherwise. */
static int64_t target_received(const struct shard_record *record, const struct shard_record *target,
                               const struct sight *sight)
{
	int64_t most = -1;

	for (size_t k = 0; k < target->replicas_len; k++) {
		const struct placement *placement = catalog_placement(record, target->replicas[k].node);
		size_t i;

		if (placement == NULL || !placement->in_sync)
			return -1;
		i = (size_t)(placement - record->replicas);
		if (!marks_is_well(record, sight, i))
			return -1;
		if (sight->replicas[i]->last.received > most)
			most = sight->replicas[i]->last.received;
	}
	return most;
}

static void leave_others(struct shard_record *record, const struct shard_record *target,
                         const struct sight *sight, struct changes *changes)
{
	int64_t received = target_received(record, target, sight);

	for (size_t i = 0; received >= 0 && i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];
		const struct watched_replica *replica = sight->replicas[i];
		bool covered = replica->known ? received >= replica->last.received : !placement->in_sync;

		if (placement->state == PLACEMENT_STATE_LEAVING ||
		    catalog_placement(target, placement->node) != NULL)
			continue;
		/* what a silent node had may be more than anybody knows, but not more than the log: the
		 * target is level */
		if (covered || (!placement->in_sync && !sight->nodes[i]->answering))
			leave(record, sight, i, "target", changes);
	}
}

/* Sights are by place in the record, so nothing may look at them after this. */
static void remove_gone(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->replicas_len; i++) {
		struct watched_replica *replica = sight->replicas[i];
		const struct watched_node *node = sight->nodes[i];
		bool leaving = record->replicas[i].state == PLACEMENT_STATE_LEAVING;

		if (leaving && replica->leaving_ms < 0)
			replica->leaving_ms = sight->now_ms; /* our predecessor recorded it */
		if (leaving && node->answering && !watched_is_listed(node, replica) &&
		    node->asked_ms - replica->leaving_ms >= MOVES_GONE_MS) {
			changes_note(changes, record, CHANGE_GONE, record->replicas[i].node, "dropped");
			continue;
		}
		record->replicas[kept++] = record->replicas[i];
	}
	record->replicas_len = kept;
}

/* ---- repair ---- */

/* How many in-sync replicas are known to agree with this one, itself included; 0 if one cannot be compared yet. */
static size_t count_agreeing(const struct shard_record *record, const struct sight *sight, size_t i,
                             size_t *in_sync)
{
	size_t agreeing = 1;

	*in_sync = 1;
	for (size_t k = 0; k < record->replicas_len; k++) {
		enum agreement agreement;

		if (k == i || !record->replicas[k].in_sync)
			continue;
		agreement = marks_agreement(record, sight, i, k);
		if (agreement == AGREEMENT_UNKNOWN)
			return 0;
		agreeing += agreement == AGREEMENT_EQUAL;
		(*in_sync)++;
	}
	return agreeing;
}

/* The in-sync replica that differs from a well majority; replicas_len: there is none. */
static size_t outvoted(const struct shard_record *record, const struct sight *sight)
{
	bool majority = false;
	size_t loser = record->replicas_len;

	for (size_t i = 0; i < record->replicas_len; i++) {
		size_t in_sync;
		size_t agreeing;

		if (!record->replicas[i].in_sync)
			continue;
		agreeing = count_agreeing(record, sight, i, &in_sync);
		if (agreeing == 0)
			return record->replicas_len;
		if (2 * agreeing > in_sync)
			majority = majority || marks_is_well(record, sight, i);
		else
			loser = i;
	}
	return majority ? loser : record->replicas_len;
}

/* The place of the node that comes after the target's in some group and could hold one more; nodes_len: there is
 * none. */
static size_t further_place(const struct shard_record *record, const struct moves_places *places)
{
	struct shard_record wider = {.index_id = record->index_id, .partition = record->partition};

	placement_choose(&wider, places->nodes, places->nodes_len, places->rf + 1);
	for (size_t i = 0; i < wider.replicas_len && record->replicas_len < REPLICAS_MAX; i++)
		if (catalog_placement(record, wider.replicas[i].node) == NULL)
			return place_of(places, wider.replicas[i].node);
	return places->nodes_len;
}

/* Nobody that could vote is on its way. */
static bool is_settled(const struct shard_record *record)
{
	for (size_t i = 0; i < record->replicas_len; i++)
		if (!record->replicas[i].in_sync)
			return false;
	return true;
}

/* Computed once for each shard: neither nodes nor RF change while a controller lives. */
static struct shard_record target_of(const struct shard_record *record, const struct sight *sight,
                                     const struct moves_places *places)
{
	struct shard_record target = {.index_id = record->index_id, .partition = record->partition};
	struct watched_shard *shard = sight->shard;

	if (shard->target_len == 0) {
		placement_choose(&target, places->nodes, places->nodes_len, places->rf);
		shard->target_len = target.replicas_len;
		for (size_t i = 0; i < target.replicas_len; i++)
			shard->target[i] = (uint8_t)place_of(places, target.replicas[i].node);
	}
	target.replicas_len = shard->target_len;
	for (size_t i = 0; i < shard->target_len; i++)
		memcpy(target.replicas[i].node, places->nodes[shard->target[i]].id,
		       sizeof target.replicas[i].node);
	return target;
}

static void repair(struct shard_record *record, const struct sight *sight, struct moves_places *places,
                   struct changes *changes)
{
	size_t loser = outvoted(record, sight);
	size_t at;

	if (loser < record->replicas_len) {
		leave(record, sight, loser, "digest", changes);
		return;
	}
	at = is_settled(record) ? further_place(record, places) : places->nodes_len;
	if (at < places->nodes_len && can_join(places, at))
		join(record, places, at, "digest", changes);
}

bool moves_need_operator(const struct shard_record *record, const struct sight *sight,
                         const struct moves_places *places)
{
	return record->divergent && is_settled(record) && outvoted(record, sight) == record->replicas_len &&
	       further_place(record, places) == places->nodes_len;
}

void moves_apply(struct shard_record *record, const struct sight *sight, struct moves_places *places,
                 struct changes *changes)
{
	struct shard_record target = target_of(record, sight, places);

	if (record->divergent)
		repair(record, sight, places, changes);
	else
		leave_others(record, &target, sight, changes);
	/* sights are by place: what was known before comes before what is added or taken away */
	join_target(record, &target, places, changes);
	remove_gone(record, sight, changes);
}
