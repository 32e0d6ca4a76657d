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

	if (placement_copy_is_set(&placement->copy))
		return; /* what is there is to be dropped */
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
	    is_level(sight, i) && replica->last.settings >= sight->settings) {
		placement->in_sync = true;
		changes_note(changes, record, CHANGE_IN, placement->node, "level");
	}
}

static void end_copy(struct shard_record *record, const struct sight *sight, size_t i,
                     struct changes *changes)
{
	struct placement *placement = &record->replicas[i];

	if (!placement_copy_is_set(&placement->copy) || !placement->in_sync ||
	    !marks_is_well(record, sight, i) || sight->replicas[i]->last.stored < placement->copy.from)
		return;
	placement->copy = (struct placement_copy){.stored = 0};
	changes_note(changes, record, CHANGE_COPIED, placement->node, "stored");
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

enum agreement marks_compare(const struct replica_report *a, const struct replica_report *b, int64_t *at)
{
	const struct hash128 *mine = &a->digest;
	const struct hash128 *other = digest_at(b, a->received);

	*at = a->received;
	for (size_t i = a->seals_len; other == NULL && i-- > 0;) {
		*at = a->seals[i].offset;
		mine = &a->seals[i].digest;
		other = digest_at(b, a->seals[i].offset);
	}
	if (other != NULL)
		return hash128_equal(*mine, *other) ? AGREEMENT_EQUAL : AGREEMENT_DIFFERENT;
	*at = -1;
	return AGREEMENT_UNKNOWN;
}

static bool is_comparable(const struct shard_record *record, const struct sight *sight, size_t i)
{
	return is_recorded(record, sight, i) && sight->replicas[i]->last.state != REPORT_STATE_STOPPED;
}

/* What contradicts the verdict on the shard is no news if it is from before that. */
static bool is_news(const struct shard_record *record, const struct sight *sight, enum agreement agreement,
                    int64_t at)
{
	int64_t verdict_at = sight->shard->verdict_at;

	if (agreement != (record->divergent ? AGREEMENT_EQUAL : AGREEMENT_DIFFERENT))
		return true;
	return at >= verdict_at && !(record->divergent && verdict_at < 0);
}

static enum agreement agreement_at(const struct shard_record *record, const struct sight *sight, size_t i,
                                   size_t k, int64_t *at)
{
	enum agreement agreement;

	if (!is_comparable(record, sight, i) || !is_comparable(record, sight, k))
		return AGREEMENT_UNKNOWN;
	agreement = marks_compare(&sight->replicas[i]->last, &sight->replicas[k]->last, at);
	return is_news(record, sight, agreement, *at) ? agreement : AGREEMENT_UNKNOWN;
}

enum agreement marks_agreement(const struct shard_record *record, const struct sight *sight, size_t i,
                               size_t k)
{
	int64_t at;

	return agreement_at(record, sight, i, k, &at);
}

/* Where in-sync replicas differ, and one that does; or up to where all of them are known to agree. */
struct finding {
	int64_t at;
	size_t which;
};

/* Different as soon as one pair of in-sync replicas is; equal once every pair is known to be. */
static enum agreement compare_all(const struct shard_record *record, const struct sight *sight,
                                  struct finding *finding)
{
	enum agreement all = AGREEMENT_EQUAL;

	finding->at = INT64_MAX;
	for (size_t i = 0; i < record->replicas_len; i++)
		for (size_t k = 0; k < i; k++) {
			enum agreement agreement;
			int64_t at = -1;

			if (!record->replicas[i].in_sync || !record->replicas[k].in_sync)
				continue;
			agreement = agreement_at(record, sight, i, k, &at);
			if (agreement == AGREEMENT_DIFFERENT) {
				*finding = (struct finding){at, i};
				return agreement;
			}
			if (agreement == AGREEMENT_UNKNOWN)
				all = agreement;
			if (at < finding->at)
				finding->at = at;
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

/* The most that an in-sync replica has received; -1 until all of them have told. */
static int64_t most_received(const struct shard_record *record, const struct sight *sight)
{
	int64_t most = -1;

	for (size_t i = 0; i < record->replicas_len; i++) {
		if (!record->replicas[i].in_sync)
			continue;
		if (!is_comparable(record, sight, i))
			return -1;
		if (sight->replicas[i]->last.received > most)
			most = sight->replicas[i]->last.received;
	}
	return most;
}

static void compare(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	struct watched_shard *shard = sight->shard;
	struct finding finding = {0};
	enum agreement all;

	if (record->divergent && shard->verdict_at < 0)
		shard->verdict_at = most_received(record, sight); /* our predecessor's, somewhere below */
	all = compare_all(record, sight, &finding);
	if (!record->divergent && all == AGREEMENT_DIFFERENT) {
		record->divergent = true;
		shard->verdict_at = finding.at;
		changes_note(changes, record, CHANGE_DIVERGENT, record->replicas[finding.which].node,
		             "digest");
	} else if (all == AGREEMENT_EQUAL && count_in_sync(record) > 1) {
		if (record->divergent)
			changes_note(changes, record, CHANGE_AGREEING, "", "digest");
		record->divergent = false;
		if (finding.at > shard->verdict_at)
			shard->verdict_at = finding.at;
	}
}

void marks_apply(struct shard_record *record, const struct sight *sight, struct changes *changes)
{
	for (size_t i = 0; i < record->replicas_len; i++)
		record_incarnation(record, sight, i, changes);
	take_out(record, sight, changes);
	for (size_t i = 0; i < record->replicas_len; i++)
		let_in(record, sight, i, changes);
	for (size_t i = 0; i < record->replicas_len; i++)
		end_copy(record, sight, i, changes);
	compare(record, sight, changes);
}
