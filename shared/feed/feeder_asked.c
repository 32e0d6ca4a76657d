/* Questions and anchors: what a replica says of itself, and whether the log is still the one that it knows. */
#include "shared/feed/feeder_private.h"

#include "shared/base/knockout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define ANCHOR_MISSES_MAX 3

/* ---- stopping ---- */

static void stop(struct feeder *feeder, uint32_t slot, const char *reason)
{
	struct feed_shard *shard = &feeder->shards[slot];

	(void)snprintf(shard->stop_reason, sizeof shard->stop_reason, "%s", reason);
	shard->state = FEEDER_STATE_STOPPED;
	if (strcmp(shard->reported_reason, shard->stop_reason) != 0) {
		memcpy(shard->reported_reason, shard->stop_reason, sizeof shard->reported_reason);
		feed_todo(feeder, slot, FEED_TODO_REPORT);
	}
}

/* Something stands in the way of this replica. The others go on, but with none of the in-sync ones left. */
static void obstruct(struct feeder *feeder, uint32_t slot, struct feed_member *member, const char *reason)
{
	struct feed_shard *shard = &feeder->shards[slot];
	bool left = false;

	if (reason != member->obstacle)
		(void)snprintf(member->obstacle, sizeof member->obstacle, "%s", reason);
	feed_ask_again(feeder, slot, member, FEEDER_RETRY_MS_MAX);
	for (size_t i = 0; i < shard->members_len; i++)
		left = left || (shard->members[i].in_sync && shard->members[i].obstacle[0] == '\0');
	if (member->in_sync && !left)
		stop(feeder, slot, member->obstacle);
}

/* The replica holds what the log does not: for one that counts, that is the whole shard's trouble. */
static void contradict(struct feeder *feeder, uint32_t slot, struct feed_member *member, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

static void contradict(struct feeder *feeder, uint32_t slot, struct feed_member *member, const char *format,
                       ...)
{
	struct feed_shard *shard = &feeder->shards[slot];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(member->obstacle, sizeof member->obstacle, format, args);
	va_end(args);
	if (!member->in_sync) {
		obstruct(feeder, slot, member, member->obstacle);
		return;
	}
	for (size_t i = 0; i < shard->members_len; i++)
		feed_ask_again(feeder, slot, &shard->members[i], FEEDER_RETRY_MS_MAX);
	stop(feeder, slot, member->obstacle);
}

/* ---- anchors ---- */

static void anchor_mismatch(struct feeder *feeder, uint32_t slot, struct feed_member *member, int64_t offset)
{
	contradict(feeder, slot, member,
	           "the record at offset %" PRId64
	           " is not the one that the replica on node %s has indexed: the topic was re-created or "
	           "truncated; restore the topic or rebuild the index",
	           offset, feeder->nodes[member->node].id);
}

/* The anchor is not where it was: trimmed away meanwhile, which asking again shows, or replaced. */
static void anchor_missed(struct feeder *feeder, uint32_t slot, struct feed_member *member)
{
	if (++member->anchor_misses < ANCHOR_MISSES_MAX) {
		feed_ask_later(feeder, slot, member);
		return;
	}
	member->anchor_misses = 0;
	anchor_mismatch(feeder, slot, member, member->anchor.offset);
}

static void checked(struct feed_shard *shard, struct feed_member *member)
{
	member->checking = false;
	shard->lanes[member->lane].checks--;
}

static void check_record(struct feeder *feeder, uint32_t slot, struct feed_member *member,
                         const struct record *record)
{
	struct feed_shard *shard = &feeder->shards[slot];
	const struct anchor *anchor = &member->anchor;

	if (record->offset < anchor->offset)
		return;
	if (member->anchor_found) {
		/* somebody else may have fed it on meanwhile: `received` says nothing of this anchor then */
		if (record->offset >= member->anchored_to)
			checked(shard, member);
		else if (record->offset > anchor->offset) /* there can be no record here */
			anchor_mismatch(feeder, slot, member, record->offset);
		return;
	}
	if (record->offset > anchor->offset) {
		anchor_missed(feeder, slot, member);
	} else if (record->timestamp_ms != anchor->timestamp_ms ||
	           record_checksum(record) != anchor->checksum) {
		anchor_mismatch(feeder, slot, member, record->offset);
	} else {
		member->anchor_found = true;
		member->anchor_misses = 0;
		if (anchor->offset > shard->lanes[member->lane].before.offset &&
		    anchor->offset < shard->lanes[member->lane].position)
			shard->lanes[member->lane].before = *anchor;
		feeder->flush_check = true;
	}
}

static void check_end(struct feeder *feeder, uint32_t slot, struct feed_member *member, int64_t position)
{
	if (!member->anchor_found)
		anchor_missed(feeder, slot, member); /* passed, or above the end of the log */
	else if (position >= member->anchored_to)
		checked(&feeder->shards[slot], member);
}

void feed_check_ready(struct feeder *feeder, uint32_t slot, enum feeder_lane at)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];

	if (lane->state != LANE_STATE_ANCHORING)
		return;
	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (member->state == MEMBER_STATE_FED && member->lane == at && member->checking &&
		    !member->anchor_found && member->received <= lane->position)
			return;
	}
	switch (feed_vouched(shard, at)) {
	case 1:
		break;
	case 0:
		return;
	default: /* by what it said nobody else's records are judged */
		feed_lane_ask_again(feeder, slot, at);
		return;
	}
	lane->state = LANE_STATE_READING;
	feeder->flush_check = true;
	if (at == FEEDER_LANE_BEHIND && !feeder->options.replay)
		return;
	shard->state = FEEDER_STATE_FEEDING;
	if (shard->stop_reason[0] != '\0' || shard->records == 0)
		feed_todo(feeder, slot, FEED_TODO_REPORT);
	shard->stop_reason[0] = '\0';
	shard->reported_reason[0] = '\0';
}

void feed_check_anchors(struct feeder *feeder, uint32_t slot, enum feeder_lane lane,
                        const struct record *record, int64_t position)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (size_t i = 0; shard->lanes[lane].checks > 0 && i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_FED || member->lane != lane || !member->checking)
			continue;
		if (record != NULL)
			check_record(feeder, slot, member, record);
		else
			check_end(feeder, slot, member, position);
	}
	feed_check_ready(feeder, slot, lane);
}

/* ---- answers ---- */

/* What the log says about where the replica stands; false if it cannot be fed. */
static bool stands_in_log(struct feeder *feeder, uint32_t slot, struct feed_member *member,
                          const struct feeder_asked *asked)
{
	char reason[256];

	if (member->received < asked->log_start && asked->log_start > member->from) {
		(void)snprintf(
			reason, sizeof reason,
			"the log begins at offset %" PRId64
			", but the replica on node %s has only received up to %" PRId64
			": the records between are gone; restore a snapshot of the index, or rebuild it",
			asked->log_start, feeder->nodes[member->node].id, member->received);
		obstruct(feeder, slot, member, reason);
		return false;
	}
	if (member->received > asked->log_end) {
		contradict(feeder, slot, member,
		           "the log ends at offset %" PRId64
		           ", but the replica on node %s has received up to %" PRId64
		           ": the topic was re-created or truncated; restore the topic or rebuild the index",
		           asked->log_end, feeder->nodes[member->node].id, member->received);
		return false;
	}
	return true;
}

static void learn_log(struct feed_shard *shard, const struct feeder_asked *asked, int64_t now_ms)
{
	bool running = feed_is_running(&shard->lanes[FEEDER_LANE_LIVE]) ||
	               feed_is_running(&shard->lanes[FEEDER_LANE_BEHIND]);

	if (!running || asked->log_end > shard->log_end)
		shard->log_end = asked->log_end;
	shard->log_start = asked->log_start;
	/* what is committed need not be committed again soon: a former owner may just have committed more */
	if (shard->commit_again_ms == 0)
		shard->commit_again_ms = now_ms + FEEDER_COMMIT_AGAIN_MS;
	if (asked->committed > shard->committed)
		shard->committed = asked->committed;
}

static void learn_member(struct feed_member *member, const struct feeder_asked *asked)
{
	const struct range_answer *replica = &asked->replica;

	member->incarnation = replica->incarnation;
	member->session = replica->session;
	member->received = replica->received;
	member->stored = replica->stored;
	member->anchor = replica->anchor;
	member->has_identities = replica->has_identities;
	member->has_origins = replica->has_origins;
	member->anchor_found = false;
	member->gap_to = replica->received < asked->log_start ? asked->log_start : 0;
	if (KNOCKOUT(START_COMMITTED) && asked->committed >= 0) {
		member->received = asked->committed;
		member->anchor.offset = -1;
	}
	member->anchored_to = member->received;
	member->checking = member->anchor.offset >= 0 && member->anchor.offset >= asked->log_start &&
	                   !KNOCKOUT(ANCHOR_IGNORED);
}

void feeder_asked(struct feeder *feeder, const struct feeder_question *question,
                  const struct feeder_asked *asked, int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, question->slot);
	struct feed_member *member = shard != NULL ? feed_member_on(shard, question->node) : NULL;
	const struct range_answer *replica = &asked->replica;

	feeder->now_ms = now_ms;
	if (member == NULL || member->epoch != question->epoch || member->state != MEMBER_STATE_ASKED)
		return;
	if (asked->obstacle != NULL) {
		obstruct(feeder, question->slot, member, asked->obstacle);
		feed_place(feeder, question->slot);
		return;
	}
	if (!asked->replica_answered || replica->result == RANGE_RESULT_UNKNOWN ||
	    replica->result == RANGE_RESULT_STOPPED ||
	    (!incarnation_is_none(member->recorded) &&
	     !incarnation_equal(member->recorded, replica->incarnation))) {
		/* another incarnation than the recorded one: the controller will record it */
		feed_ask_later(feeder, question->slot, member);
		feed_place(feeder, question->slot);
		return;
	}
	learn_log(shard, asked, now_ms);
	learn_member(member, asked);
	if (!stands_in_log(feeder, question->slot, member, asked))
		return;
	member->obstacle[0] = '\0';
	member->state = MEMBER_STATE_READY;
	member->poll_ms = now_ms + FEEDER_POLL_MS;
	feed_place(feeder, question->slot);
}
