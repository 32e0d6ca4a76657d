#include "rebalance/core/marks.h"

#include "shared/base/knockout.h"

/* ---- what is seen of one replica ---- */

/* Its last report is of the replica that is recorded. */
static bool is_recorded(const struct shard_record *record, const struct sight *sight, size_t i)
{
	const struct watched_replica *replica = sight->replicas[i];

	return replica->known && !incarnation_is_none(record->replicas[i].incarnation) &&
	       incarnation_equal(replica->last.incarnation, record->replicas[i].incarnation);
}

static bool is_silent(const struct sight *sight, size_t i)
{
	return sight->now_ms - sight->nodes[i]->heard_ms >= MARKS_SILENT_MS;
}

/* Its node answers, and lists the recorded replica. */
static bool is_present(const struct shard_record *record, const struct sight *sight, size_t i)
{
	return sight->nodes[i]->answering && !is_silent(sight, i) &&
	       watched_is_listed(sight->nodes[i], sight->replicas[i]) && is_recorded(record, sight, i);
}

bool marks_is_well(const struct shard_record *record, const struct sight *sight, size_t i)
{
	return is_present(record, sight, i) && sight->replicas[i]->last.state == REPORT_STATE_ACTIVE;
}

/* An in-sync replica other than i that is well. */
static bool has_well_sibling(const struct shard_record *record, const struct sight *sight, size_t i)
{
	for (size_t k = 0; k < record->replicas_len; k++)
		if (k != i && record->replicas[k].in_sync && marks_is_well(record, sight, k))
			return true;
	return false;
}

/* ---- incarnations ---- */

static void record_incarnation(struct shard_record *record, const struct sight *sight, size_t i,
                               struct changes *changes)
{
	struct placement *placement = &record->replicas[i];
	const struct watched_replica *replica = sight->replicas[i];
	bool first = incarnation_is_none(placement->incarnation);

	if (!watched_is_listed(sight->nodes[i], replica) || placement->state == PLACEMENT_STATE_LEAVING ||
	    replica->last.state == REPORT_STATE_STOPPED || incarnation_is_none(replica->last.incarnation) ||
	    incarnation_equal(replica->last.incarnation, placement->incarnation))
		return;
	if (!first && placement->in_sync && has_well_sibling(record, sight, i)) {
		placement->in_sync = false;
		changes_note(changes, record, CHANGE_OUT, placement->node, "incarnation");
	}
	if (!first && !placement->in_sync)
		placement->state = PLACEMENT_STATE_JOINING;
	placement->incarnation = replica->last.incarnation;
	changes_note(changes, record, CHANGE_INCARNATION, placement->node, first ? "first" : "another");
}

/* ---- out ---- */

static bool lags(const struct shard_record *record, const struct sight *sight, size_t i)
{
	const struct watched_replica *replica = sight->replicas[i];

	for (size_t k = 0; k < record->replicas_len; k++)
		if (k != i && record->replicas[k].in_sync && is_recorded(record, sight, k) &&
		    watched_received_at(sight->replicas[k], replica->asked_ms - MARKS_LAG_MS) >
		            replica->last.received)
			return true;
	return false;
}

/* Why it should not be in-sync; NULL: nothing speaks against it. */
static const char *objection(const struct shard_record *record, const struct sight *sight, size_t i)
{
	const struct watched_node *node = sight->nodes[i];
	const struct watched_replica *replica = sight->replicas[i];

	if (is_silent(sight, i))
		return "silent";
	if (!watched_is_listed(node, replica))
		return node->asked_ms - replica->listed_ms >= MARKS_ABSENT_MS ? "absent" : NULL;
	if (replica->last.state == REPORT_STATE_STOPPED)
		return "stopped";
	if (!is_recorded(record, sight, i))
		return NULL; /* its incarnation could not be recorded yet */
	return lags(record, sight, i) ? "behind" : NULL;
}

static void take_out(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	const char *reasons[REPLICAS_MAX];
	bool another_is_fine = false;

	for (size_t i = 0; i < record->replicas_len; i++) {
		reasons[i] = objection(record, sight, i);
		if (record->replicas[i].in_sync && reasons[i] == NULL && marks_is_well(record, sight, i))
			another_is_fine = true;
	}
	if (!another_is_fine && !KNOCKOUT(LAST_REMOVED))
		return;
	for (size_t i = 0; i < record->replicas_len; i++)
		if (record->replicas[i].in_sync && reasons[i] != NULL) {
			record->replicas[i].in_sync = false;
			changes_note(changes, record, CHANGE_OUT, record->replicas[i].node, reasons[i]);
		}
}

/* ---- in ---- */

/* The lowest `stored` of the in-sync replicas, as far as they have told; -1 if none has. */
static int64_t lowest_stored(const struct shard_record *record, const struct sight *sight)
{
	int64_t lowest = -1;

	for (size_t i = 0; i < record->replicas_len; i++) {
		int64_t stored = sight->replicas[i]->last.stored;

		if (record->replicas[i].in_sync && is_recorded(record, sight, i) &&
		    (lowest < 0 || stored < lowest))
			lowest = stored;
	}
	return lowest;
}

static bool is_level(const struct sight *sight, size_t i)
{
	int64_t level_ms = sight->replicas[i]->level_ms;

	return level_ms >= 0 && sight->now_ms - level_ms <= MARKS_LEVEL_MS;
}

static void let_in(struct shard_record *record, const struct sight *sight, size_t i, struct changes *changes)
{
	struct placement *placement = &record->replicas[i];
	const struct watched_replica *replica = sight->replicas[i];
	int64_t stored = lowest_stored(record, sight);

	if (placement->in_sync || placement->state == PLACEMENT_STATE_LEAVING ||
	    !is_present(record, sight, i) || replica->last.state == REPORT_STATE_STOPPED)
		return;
	if (placement->state == PLACEMENT_STATE_JOINING &&
	    ((stored >= 0 && replica->last.received >= stored - MARKS_JOIN_LAG) || is_level(sight, i))) {
		placement->state = PLACEMENT_STATE_ACTIVE;
		changes_note(changes, record, CHANGE_ACTIVE, placement->node, "near");
	}
	if (placement->state == PLACEMENT_STATE_ACTIVE && marks_is_well(record, sight, i) &&
	    is_level(sight, i)) {
		placement->in_sync = true;
		changes_note(changes, record, CHANGE_IN, placement->node, "level");
	}
}

/* ---- agreement ---- */

/* The digest told of `offset`; NULL if none was. */
static const struct hash128 *digest_at(const struct replica_report *report, int64_t offset)
{
	if (report->received == offset)
		return &report->digest;
	for (size_t i = 0; i < report->seals_len; i++)
		if (report->seals[i].offset == offset)
			return &report->seals[i].digest;
	return NULL;
}

enum agreement marks_compare(const struct replica_report *a, const struct replica_report *b)
{
	const struct hash128 *mine = &a->digest;
	const struct hash128 *other = digest_at(b, a->received);

	for (size_t i = a->seals_len; other == NULL && i-- > 0;) {
		mine = &a->seals[i].digest;
		other = digest_at(b, a->seals[i].offset);
	}
	if (other == NULL)
		return AGREEMENT_UNKNOWN;
	return hash128_equal(*mine, *other) ? AGREEMENT_EQUAL : AGREEMENT_DIFFERENT;
}

bool marks_is_comparable(const struct shard_record *record, const struct sight *sight, size_t i)
{
	return is_recorded(record, sight, i) && sight->replicas[i]->last.state != REPORT_STATE_STOPPED;
}

/* Different as soon as one pair of in-sync replicas is; equal once every pair is known to be. */
static enum agreement compare_all(const struct shard_record *record, const struct sight *sight, size_t *which)
{
	enum agreement all = AGREEMENT_EQUAL;

	for (size_t i = 0; i < record->replicas_len; i++)
		for (size_t k = 0; k < i; k++) {
			enum agreement pair = AGREEMENT_UNKNOWN;

			if (!record->replicas[i].in_sync || !record->replicas[k].in_sync)
				continue;
			if (marks_is_comparable(record, sight, i) && marks_is_comparable(record, sight, k))
				pair = marks_compare(&sight->replicas[i]->last, &sight->replicas[k]->last);
			*which = i;
			if (pair == AGREEMENT_DIFFERENT)
				return pair;
			if (pair == AGREEMENT_UNKNOWN)
				all = pair;
		}
	return all;
}

static size_t count_in_sync(const struct shard_record *record)
{
	size_t count = 0;

	for (size_t i = 0; i < record->replicas_len; i++)
		count += record->replicas[i].in_sync;
	return count;
}

static void compare(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	size_t which = 0;
	enum agreement all = compare_all(record, sight, &which);

	if (!record->divergent && all == AGREEMENT_DIFFERENT) {
		record->divergent = true;
		changes_note(changes, record, CHANGE_DIVERGENT, record->replicas[which].node, "digest");
	} else if (record->divergent && all == AGREEMENT_EQUAL && count_in_sync(record) > 1) {
		record->divergent = false;
		changes_note(changes, record, CHANGE_AGREEING, "", "digest");
	}
}

void marks_apply(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	for (size_t i = 0; i < record->replicas_len; i++)
		record_incarnation(record, sight, i, changes);
	take_out(record, sight, changes);
	for (size_t i = 0; i < record->replicas_len; i++)
		let_in(record, sight, i, changes);
	compare(record, sight, changes);
}
