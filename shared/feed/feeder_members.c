/* Replicas and lanes: who is fed by which reader, who is cut, who moves up. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

/* A replay at the committed offset asks again so often, to learn of a later one. */
#define REPLAY_ASK_MS 1000
/* So long may a replica keep full memory from being let go of while others have received it. */
#define CUT_MS 500

/* ---- lanes ---- */

static void lane_halt(struct feeder *feeder, uint32_t slot, enum feeder_lane at)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];

	if (!feed_is_running(lane))
		return;
	feed_drop_ranges(feeder, lane);
	if (!KNOCKOUT(MARKS_KEPT_OVER_REWIND))
		feed_drop_marks(lane);
	lane->marks.waits_for[0] = '\0';
	lane->state = LANE_STATE_IDLE;
	feeder->lanes_running--;
	shard->todo &= ~(unsigned)(FEED_TODO_START << at | FEED_TODO_FILL << at);
	feed_todo(feeder, slot, FEED_TODO_HALT << at);
	if (at == FEEDER_LANE_LIVE) {
		shard->epoch++;
		if (shard->state != FEEDER_STATE_STOPPED)
			shard->state = FEEDER_STATE_ASKING;
	}
}

static void leave_lane(struct feed_shard *shard, struct feed_member *member)
{
	struct feed_lane *lane = &shard->lanes[member->lane];

	ASSERT(member->state == MEMBER_STATE_FED && lane->members > 0);
	lane->members--;
	lane->checks -= member->checking;
}

void feed_detach(struct feeder *feeder, uint32_t slot, struct feed_member *member)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[member->lane];

	member->sent_batch = 0;
	member->ask_due = false;
	if (member->state != MEMBER_STATE_FED) {
		member->state = MEMBER_STATE_WAITING;
		return;
	}
	leave_lane(shard, member);
	member->state = MEMBER_STATE_WAITING;
	if (lane->members == 0) {
		lane_halt(feeder, slot, member->lane);
		return;
	}
	feed_release(feeder, shard, lane);
	feed_source_left(feeder, slot, member->lane);
}

void feed_ask_again(struct feeder *feeder, uint32_t slot, struct feed_member *member, int64_t pause_ms)
{
	feed_detach(feeder, slot, member);
	member->retry_ms = feeder->now_ms + pause_ms;
}

void feed_ask_later(struct feeder *feeder, uint32_t slot, struct feed_member *member)
{
	member->pause_ms = feed_next_pause(member->pause_ms);
	feed_ask_again(feeder, slot, member, member->pause_ms);
}

void feed_lane_ask_later(struct feeder *feeder, uint32_t slot, enum feeder_lane lane)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (size_t i = 0; i < shard->members_len; i++)
		if (shard->members[i].state == MEMBER_STATE_FED && shard->members[i].lane == lane)
			feed_ask_later(feeder, slot, &shard->members[i]);
	/* all of them may have been cut: what it holds is nobody's, and would be sent to whoever moves up */
	lane_halt(feeder, slot, lane);
}

void feed_lane_ask_again(struct feeder *feeder, uint32_t slot, enum feeder_lane at)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_FED || member->lane != at)
			continue;
		leave_lane(shard, member);
		member->state = MEMBER_STATE_WAITING;
		member->sent_batch = 0;
		member->retry_ms = feeder->now_ms;
	}
	lane_halt(feeder, slot, at);
}

static void join_lane(struct feeder *feeder, struct feed_shard *shard, struct feed_member *member,
                      enum feeder_lane at)
{
	struct feed_lane *lane = &shard->lanes[at];

	member->state = MEMBER_STATE_FED;
	member->lane = at;
	member->sent_batch = 0;
	member->announce = true;
	lane->members++;
	lane->checks += member->checking;
	lane->lowest = member->received < lane->lowest ? member->received : lane->lowest;
	feeder->flush_check = true;
}

/* The reader starts anew, at the lowest offset that a member needs. `start` is where ranges begin. */
static void lane_start(struct feeder *feeder, uint32_t slot, enum feeder_lane at, int64_t start)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];

	feed_drop_ranges(feeder, lane);
	if (!KNOCKOUT(MARKS_KEPT_OVER_REWIND) || !lane->marks.filled)
		feed_drop_marks(lane);
	feeder->lanes_running += !feed_is_running(lane);
	lane->position = start;
	lane->read_from = INT64_MAX;
	lane->before = (struct anchor){.offset = -1};
	lane->lowest = INT64_MAX;
	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];
		int64_t needs;

		if (member->state != MEMBER_STATE_FED || member->lane != at)
			continue;
		lane->lowest = member->received < lane->lowest ? member->received : lane->lowest;
		if (!member->checking && member->anchor.offset > lane->before.offset &&
		    member->anchor.offset < start)
			lane->before = member->anchor;
		needs = member->received > member->gap_to ? member->received : member->gap_to;
		lane->read_from = needs < lane->read_from ? needs : lane->read_from;
		if (member->checking && member->anchor.offset < lane->read_from)
			lane->read_from = member->anchor.offset;
	}
	ASSERT(lane->read_from != INT64_MAX); /* it has a member */
	if (at == FEEDER_LANE_BEHIND && lane->read_from >= feed_bound(feeder, shard)) {
		/* nothing to read, so nothing to judge: what was before is fetched when there is */
		lane->state = LANE_STATE_AT_BOUND;
		shard->todo &= ~(unsigned)(FEED_TODO_START << at | FEED_TODO_FILL << at);
		feed_todo(feeder, slot, FEED_TODO_HALT << at);
		return;
	}
	if (at == FEEDER_LANE_LIVE)
		shard->epoch++;
	feed_begin(feeder, slot, at);
}

/* ---- placing ---- */

/* True if `anchor`, below the lane's position, is a record that the lane knows to stand there. */
static bool knows_anchor(const struct feed_lane *lane, const struct anchor *anchor)
{
	const struct feed_range *range = lane->first;
	struct anchor known = lane->before;

	while (known.offset != anchor->offset) {
		if (range == NULL)
			return false;
		known = memtable_anchor(range->memtable);
		range = range->next;
	}
	return known.timestamp_ms == anchor->timestamp_ms && known.checksum == anchor->checksum;
}

/* True if the lane still has everything that the replica needs, and can tell that the log is the same. */
static bool can_join(const struct feed_lane *lane, const struct feed_member *member)
{
	if (KNOCKOUT(JOINER_START) && feed_is_running(lane))
		return true;
	if (!feed_is_running(lane) || member->received < feed_first_from(lane))
		return false;
	return !member->checking || member->anchor.offset >= lane->position ||
	       knows_anchor(lane, &member->anchor);
}

static void join_running(struct feeder *feeder, struct feed_shard *shard, struct feed_member *member,
                         enum feeder_lane at)
{
	if (member->anchor.offset < shard->lanes[at].position)
		member->checking = false;
	join_lane(feeder, shard, member, at);
}

/* May LIVE begin with this replica? Those that do not count only where no other answers. */
static bool is_candidate(const struct feed_member *member, bool others)
{
	return member->state == MEMBER_STATE_READY && (member->in_sync || others);
}

static void start_live(struct feeder *feeder, uint32_t slot, bool others)
{
	struct feed_shard *shard = &feeder->shards[slot];
	int64_t highest = -1;
	int64_t start = INT64_MAX;

	for (size_t i = 0; i < shard->members_len; i++)
		if (is_candidate(&shard->members[i], others) && shard->members[i].received > highest)
			highest = shard->members[i].received;
	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (is_candidate(member, others) && member->received >= highest - FEEDER_LIVE_WINDOW &&
		    member->received < start)
			start = member->received;
	}
	ASSERT(highest >= 0);
	for (size_t i = 0; i < shard->members_len; i++)
		if (is_candidate(&shard->members[i], others) && shard->members[i].received >= start)
			join_lane(feeder, shard, &shard->members[i], FEEDER_LANE_LIVE);
	shard->state = FEEDER_STATE_ANCHORING;
	lane_start(feeder, slot, FEEDER_LANE_LIVE, start);
}

/* Starts LIVE if it is time; false while the answers of other replicas are worth waiting for. */
static bool settle_live(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	bool ready = false;
	bool counts = false;
	bool pending = false;

	if (feeder->options.replay || feed_is_running(&shard->lanes[FEEDER_LANE_LIVE]))
		return true;
	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		ready = ready || member->state == MEMBER_STATE_READY;
		counts = counts || (member->in_sync && member->state == MEMBER_STATE_READY);
		pending = pending || (member->in_sync && member->state == MEMBER_STATE_ASKED);
	}
	if (!ready)
		return true;
	if (shard->live_wait_ms == INT64_MAX)
		shard->live_wait_ms = feeder->now_ms + FEEDER_ASK_WAIT_MS;
	if (pending && feeder->now_ms < shard->live_wait_ms)
		return false;
	start_live(feeder, slot, !counts);
	return true;
}

/* BEHIND begins again at the lowest of its members, of which there is a new one. */
static void restart_behind(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	int64_t start = INT64_MAX;

	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (member->state == MEMBER_STATE_FED && member->lane == FEEDER_LANE_BEHIND &&
		    member->received < start)
			start = member->received;
	}
	lane_start(feeder, slot, FEEDER_LANE_BEHIND, start);
}

void feed_place(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lanes = shard->lanes;
	bool restart = false;

	if (!settle_live(feeder, slot))
		return;
	shard->live_wait_ms = INT64_MAX;
	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_READY)
			continue;
		if (can_join(&lanes[FEEDER_LANE_LIVE], member)) {
			join_running(feeder, shard, member, FEEDER_LANE_LIVE);
		} else if (!restart && can_join(&lanes[FEEDER_LANE_BEHIND], member)) {
			join_running(feeder, shard, member, FEEDER_LANE_BEHIND);
		} else {
			join_lane(feeder, shard, member, FEEDER_LANE_BEHIND);
			restart = true;
		}
	}
	if (restart)
		restart_behind(feeder, slot);
}

void feed_move_up(struct feeder *feeder, uint32_t slot, struct feed_member *member)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *behind = &shard->lanes[FEEDER_LANE_BEHIND];

	if (member->lane != FEEDER_LANE_BEHIND || member->checking ||
	    !can_join(&shard->lanes[FEEDER_LANE_LIVE], member))
		return;
	leave_lane(shard, member);
	join_lane(feeder, shard, member, FEEDER_LANE_LIVE);
	if (behind->members == 0) {
		lane_halt(feeder, slot, FEEDER_LANE_BEHIND);
		return;
	}
	feed_release(feeder, shard, behind);
	feed_source_left(feeder, slot, FEEDER_LANE_BEHIND);
}

/* LIVE does not run. A replica in-sync that is asked may begin it, and is waited for, but not for ever: one that is
 * asked again and again, in vain, would keep those of BEHIND from leading. */
static void lead_turn(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	bool pending = false;

	for (size_t i = 0; i < shard->members_len; i++)
		pending = pending ||
		          (shard->members[i].in_sync && shard->members[i].state != MEMBER_STATE_FED &&
		           shard->members[i].state != MEMBER_STATE_WAITING);
	if (shard->lead_wait_ms == INT64_MAX)
		shard->lead_wait_ms = feeder->now_ms + FEEDER_ASK_WAIT_MS;
	if (pending && feeder->now_ms < shard->lead_wait_ms)
		return;
	shard->lead_wait_ms = INT64_MAX;
	for (size_t i = 0; i < shard->members_len; i++)
		if (shard->members[i].state == MEMBER_STATE_FED)
			feed_ask_again(feeder, slot, &shard->members[i], FEEDER_RETRY_MS);
}

void feed_behind_turn(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *behind = &shard->lanes[FEEDER_LANE_BEHIND];

	if (feed_is_running(behind) && !feeder->options.replay &&
	    !feed_is_running(&shard->lanes[FEEDER_LANE_LIVE])) {
		lead_turn(feeder, slot);
		return;
	}
	shard->lead_wait_ms = INT64_MAX;
	if (!feed_is_running(behind))
		return;
	if (behind->state != LANE_STATE_AT_BOUND)
		return;
	if (feed_bound(feeder, shard) <= behind->read_from) {
		if (feeder->options.replay && behind->first == NULL)
			for (size_t i = 0; i < shard->members_len; i++)
				if (shard->members[i].state == MEMBER_STATE_FED)
					feed_ask_again(feeder, slot, &shard->members[i], REPLAY_ASK_MS);
		return;
	}
	if (!behind->marks.filled) {
		/* what was before is known as of where they stand now: others may have fed them meanwhile */
		restart_behind(feeder, slot);
		return;
	}
	behind->state = behind->checks > 0 ? LANE_STATE_ANCHORING : LANE_STATE_READING;
	feed_todo(feeder, slot, FEED_TODO_START << FEEDER_LANE_BEHIND);
}

/* ---- cutting ---- */

int64_t feed_cut_ms(const struct feeder *feeder, const struct feed_shard *shard)
{
	const struct feed_lane *live = &shard->lanes[FEEDER_LANE_LIVE];

	if (live->first == NULL || live->first_received_ms == INT64_MAX || !feed_memory_is_full(feeder, live))
		return INT64_MAX;
	return live->first_received_ms + CUT_MS;
}

void feed_cut(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *live = &shard->lanes[FEEDER_LANE_LIVE];
	uint64_t cuts = shard->cuts;
	int64_t to;

	if (feed_cut_ms(feeder, shard) > feeder->now_ms)
		return;
	to = memtable_to(live->first->memtable);
	for (size_t i = 0; i < shard->members_len; i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_FED || member->lane != FEEDER_LANE_LIVE ||
		    member->received >= to)
			continue;
		leave_lane(shard, member);
		join_lane(feeder, shard, member, FEEDER_LANE_BEHIND);
		shard->cuts++;
	}
	feed_release(feeder, shard, live);
	if (shard->cuts > cuts)
		restart_behind(feeder, slot);
}
