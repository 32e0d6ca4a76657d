/* Marks: what the log held before the record that is judged, where that comes from, and the judgement. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <inttypes.h>
#include <stdio.h>

/* A replica that has failed so often to give its marks is done without, if the log still has what it would tell. */
#define FILL_FAILURES_MAX 3

void feed_drop_marks(struct feed_lane *lane)
{
	struct feed_marks *marks = &lane->marks;

	origins_free(marks->origins);
	window_free(marks->window);
	marks->filled = false;
	marks->vouched = false;
	marks->origins = NULL;
	marks->origin_at = -1;
	marks->window = NULL;
	marks->learning = false;
	marks->pause_ms = 0;
}

void feed_waits_for(struct feed_lane *lane, const struct error *error)
{
	(void)snprintf(lane->marks.waits_for, sizeof lane->marks.waits_for, "%.255s", error->text);
}

/* ---- where they come from ---- */

static bool has_marks(const struct feed_shard *shard, const struct feed_member *member)
{
	return shard->rules.contract >= 2 &&
	       ((shard->rules.dedup_window > 0 && member->has_identities) || member->has_origins);
}

/* Whoever stands where the lane begins knows all that the log held before. */
static bool stands_at_start(const struct feed_lane *lane, const struct feed_member *member)
{
	return member->state == MEMBER_STATE_FED && member->received == lane->position;
}

/* The replica to ask for its marks: of those where the lane begins the one that has failed least. NULL: there are no
 * marks. */
static struct feed_member *find_source(struct feed_shard *shard, enum feeder_lane at)
{
	struct feed_member *source = NULL;

	for (size_t i = 0; i < shard->members_len && !KNOCKOUT(TABLE_NOT_SEEDED); i++) {
		struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_FED || member->lane != at || !has_marks(shard, member))
			continue;
		if (KNOCKOUT(TABLE_FROM_SIBLING_AHEAD)) {
			if (source == NULL || member->received > source->received)
				source = member;
			continue;
		}
		if (stands_at_start(&shard->lanes[at], member) &&
		    (source == NULL || member->fill_failures < source->fill_failures))
			source = member;
	}
	return source;
}

/* Some replica that stands where the lane begins, or UINT32_MAX. */
static uint32_t node_at_start(const struct feed_shard *shard, enum feeder_lane at)
{
	for (size_t i = 0; i < shard->members_len; i++)
		if (shard->members[i].lane == at && stands_at_start(&shard->lanes[at], &shard->members[i]))
			return shard->members[i].node;
	return UINT32_MAX;
}

int feed_vouched(struct feed_shard *shard, enum feeder_lane at)
{
	struct feed_marks *marks = &shard->lanes[at].marks;
	const struct feed_member *source = feed_member_on(shard, marks->source);

	if (marks->vouched || shard->rules.contract < 2)
		return 1;
	if (source == NULL || source->state != MEMBER_STATE_FED || source->lane != at)
		return -1;
	marks->vouched = !source->checking || source->anchor_found;
	return marks->vouched;
}

static void fill_from(struct feeder *feeder, uint32_t slot, enum feeder_lane at,
                      const struct feed_member *source)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];
	struct feed_marks *marks = &lane->marks;

	/* started anew, it may still be reading elsewhere */
	if (lane->state == LANE_STATE_ANCHORING || lane->state == LANE_STATE_READING)
		feed_todo(feeder, slot, FEED_TODO_HALT << at);
	shard->todo &= ~(unsigned)(FEED_TODO_START << at);
	lane->state = LANE_STATE_FILLING;
	marks->source = source->node;
	marks->received = source->received;
	marks->epoch = ++shard->fills;
	marks->next = 0;
	marks->retry_ms = INT64_MAX;
	feed_todo(feeder, slot, FEED_TODO_FILL << at);
}

/* The log tells identities as well as a replica does, where it reaches back; origins go back to its beginning. */
static bool may_learn(const struct feed_shard *shard, const struct feed_marks *marks,
                      const struct feed_member *source)
{
	return source->fill_failures >= FILL_FAILURES_MAX && !source->has_origins &&
	       shard->log_start <= marks->low;
}

void feed_begin(struct feeder *feeder, uint32_t slot, enum feeder_lane at)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];
	struct feed_marks *marks = &lane->marks;
	struct feed_member *source = marks->filled ? NULL : find_source(shard, at);

	if (!marks->filled) {
		marks->low = lane->position - shard->rules.dedup_window;
		if (marks->low < shard->base)
			marks->low = shard->base;
	}
	if (source != NULL && !may_learn(shard, marks, source)) {
		fill_from(feeder, slot, at, source);
		return;
	}
	if (source != NULL) {
		source->fill_failures = 0;
		marks->learning = true;
		if (marks->low < lane->read_from)
			lane->read_from = marks->low;
	}
	if (!marks->filled && source == NULL)
		marks->source = node_at_start(shard, at);
	else if (source != NULL)
		marks->source = source->node;
	marks->filled = true;
	marks->waits_for[0] = '\0';
	lane->state = LANE_STATE_ANCHORING;
	feed_todo(feeder, slot, FEED_TODO_START << at);
	feed_check_ready(feeder, slot, at);
}

void feed_source_left(struct feeder *feeder, uint32_t slot, enum feeder_lane at)
{
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_lane *lane = &shard->lanes[at];
	const struct feed_member *source = feed_member_on(shard, lane->marks.source);
	bool another = false;

	if (lane->state != LANE_STATE_FILLING ||
	    (source != NULL && source->state == MEMBER_STATE_FED && source->lane == at))
		return;
	for (size_t i = 0; i < shard->members_len; i++)
		another = another ||
		          (shard->members[i].lane == at && stands_at_start(lane, &shard->members[i]));
	if (!another) {
		/* the others stand further on: there the lane begins */
		feed_lane_ask_again(feeder, slot, at);
		return;
	}
	feed_drop_marks(lane);
	feed_begin(feeder, slot, at);
}

/* ---- pages ---- */

static void source_failed(struct feeder *feeder, const struct feeder_fill *fill, struct feed_member *source)
{
	struct feed_lane *lane = &feeder->shards[fill->slot].lanes[FEEDER_READER_LANE(fill->reader)];
	int64_t pause_ms = 0;

	source->fill_failures++;
	for (unsigned i = 0; i < source->fill_failures && pause_ms < FEEDER_RETRY_MS_MAX; i++)
		pause_ms = feed_next_pause(pause_ms);
	feed_ask_again(feeder, fill->slot, source, pause_ms);
	if (lane->state == LANE_STATE_ANCHORING || lane->state == LANE_STATE_READING)
		return;
	(void)snprintf(lane->marks.waits_for, sizeof lane->marks.waits_for,
	               "the replica on node %s has not told which identities and origins it knows at offset "
	               "%" PRId64,
	               feeder->nodes[source->node].id, lane->position);
}

static int keep_origins(struct feed_marks *marks, const struct marks_page *page, struct error *error)
{
	struct origin origin;
	size_t at = 0;
	int result = 0;

	while (result == 0 && marks_page_origin(page, &at, &origin)) {
		if (marks->origins == NULL)
			marks->origins = origins_new();
		if (marks->origins == NULL)
			return error_memory(error, sizeof(struct origin));
		result = origins_note(marks->origins, &origin, error);
	}
	return result;
}

static int keep_occurrence(struct feeder *feeder, uint32_t reader, const struct occurrence *occurrence,
                           struct error *error)
{
	const struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct feed_marks *marks =
		&feeder->shards[FEEDER_READER_SLOT(reader)].lanes[FEEDER_READER_LANE(reader)].marks;
	struct window_store store;

	if (marks->window == NULL) {
		ASSERT(feeder->options.shelf != NULL);
		store = feeder->options.shelf(feeder->options.shelf_context, reader);
		marks->window = window_new(&store, shard->rules.dedup_window, marks->low);
		if (marks->window == NULL)
			return error_memory(error, WINDOW_LEAF);
	}
	/* before anything is put into the store: there may be no room without */
	window_trim(marks->window, occurrence->offset - shard->rules.dedup_window);
	return window_learn(marks->window, occurrence, error);
}

static int keep_identities(struct feeder *feeder, uint32_t reader, const struct marks_page *page,
                           struct error *error)
{
	const struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	const struct feed_marks *marks = &shard->lanes[FEEDER_READER_LANE(reader)].marks;
	struct identity_entry entry;
	size_t at = 0;
	int result = 0;

	while (result == 0 && marks_page_identity(page, &at, &entry)) {
		struct occurrence occurrence = {entry.offset, entry.identity.key, entry.identity.operation};

		/* a replica may tell a few that no record can meet any more */
		if (entry.offset >= marks->low && shard->rules.dedup_window > 0)
			result = keep_occurrence(feeder, reader, &occurrence, error);
	}
	return result;
}

/* The page is of the replica that is asked, which still stands where the lane begins, and leads on. */
static bool page_fits(const struct feed_marks *marks, const struct feed_member *source,
                      const struct marks_page *page)
{
	return page != NULL && incarnation_equal(page->incarnation, source->incarnation) &&
	       page->received == marks->received && (page->next == -1 || page->next > marks->next);
}

/* The lane reads, or asks for the next page. */
static void page_kept(struct feeder *feeder, const struct feeder_fill *fill, const struct marks_page *page,
                      struct feed_member *source)
{
	enum feeder_lane at = FEEDER_READER_LANE(fill->reader);
	struct feed_marks *marks = &feeder->shards[fill->slot].lanes[at].marks;

	marks->pause_ms = 0;
	if (page->next != -1) {
		marks->next = page->next;
		feed_todo(feeder, fill->slot, FEED_TODO_FILL << at);
		return;
	}
	source->fill_failures = 0;
	marks->filled = true;
	feed_begin(feeder, fill->slot, at);
}

void feeder_filled(struct feeder *feeder, const struct feeder_fill *fill, const struct marks_page *page,
                   int64_t now_ms)
{
	struct feed_shard *shard = feed_shard_at(feeder, fill->slot);
	struct feed_lane *lane;
	struct feed_member *source;
	struct error error;
	int result;

	feeder->now_ms = now_ms;
	if (shard == NULL)
		return;
	lane = &shard->lanes[FEEDER_READER_LANE(fill->reader)];
	if (lane->state != LANE_STATE_FILLING || lane->marks.epoch != fill->epoch ||
	    lane->marks.retry_ms != INT64_MAX)
		return;
	source = feed_member_on(shard, lane->marks.source);
	ASSERT(source != NULL && source->state == MEMBER_STATE_FED);
	if (!page_fits(&lane->marks, source, page)) {
		source_failed(feeder, fill, source);
		return;
	}
	result = keep_origins(&lane->marks, page, &error);
	if (result == ERROR_LIMIT) {
		source_failed(feeder, fill, source); /* no replica knows so many */
		return;
	}
	if (result == 0)
		result = keep_identities(feeder, fill->reader, page, &error);
	if (result == 0) {
		page_kept(feeder, fill, page, source);
		return;
	}
	feed_waits_for(lane, &error);
	lane->marks.pause_ms = feed_next_pause(lane->marks.pause_ms);
	lane->marks.retry_ms = now_ms + lane->marks.pause_ms;
}

void feed_fill_again(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];

	for (unsigned at = 0; at < FEEDER_LANES; at++) {
		struct feed_lane *lane = &shard->lanes[at];

		if (lane->state != LANE_STATE_FILLING || lane->marks.retry_ms > feeder->now_ms)
			continue;
		lane->marks.retry_ms = INT64_MAX;
		feed_todo(feeder, slot, FEED_TODO_FILL << at);
	}
}

int64_t feed_fill_ms(const struct feed_shard *shard)
{
	int64_t due = INT64_MAX;

	for (unsigned at = 0; at < FEEDER_LANES; at++)
		if (shard->lanes[at].state == LANE_STATE_FILLING && shard->lanes[at].marks.retry_ms < due)
			due = shard->lanes[at].marks.retry_ms;
	return due;
}

/* ---- judging ---- */

int feed_learn(struct feeder *feeder, uint32_t reader, const struct op *op, struct error *error)
{
	struct occurrence occurrence = {op->offset, op->identity.key, op->identity.operation};

	return keep_occurrence(feeder, reader, &occurrence, error);
}

static enum origin_verdict judge_origin(const struct feed_marks *marks, const struct op *op)
{
	/* what was noted of this very record is no record before it */
	if (op->origin.source.ptr == NULL || op->offset == marks->origin_at || marks->origins == NULL ||
	    KNOCKOUT(ORIGIN_IGNORED))
		return ORIGIN_VERDICT_NEW;
	return origins_judge(marks->origins, &op->origin);
}

static void refuse_source(struct feed_judgement *judgement)
{
	struct slice source = judgement->op.origin.source;

	judgement->outcome = FEED_OUTCOME_REFUSED;
	judgement->refusal.code = REFUSAL_TOO_MANY_SOURCES;
	(void)snprintf(judgement->refusal.text, sizeof judgement->refusal.text,
	               "partition %" PRId32
	               " of source %.*s is one too many: records of %d source partitions are here already; "
	               "import it into another index, or into more partitions",
	               judgement->op.origin.partition, (int)(source.len < 64 ? source.len : 64),
	               (const char *)source.ptr, ORIGINS_MAX);
	judgement->op.origin.source.ptr = NULL;
}

static int judge_identity(const struct feed_shard *shard, const struct feed_marks *marks,
                          struct feed_judgement *judgement, struct error *error)
{
	const struct op *op = &judgement->op;
	struct occurrence occurrence = {op->offset, op->identity.key, op->identity.operation};
	enum window_verdict verdict;
	int64_t previous;
	int result;

	ASSERT(window_covers(marks->window, op->offset, shard->base));
	result = window_judge(marks->window, &occurrence, &verdict, &previous, error);
	if (result != 0)
		return result;
	if (verdict == WINDOW_VERDICT_DUPLICATE)
		judgement->outcome = FEED_OUTCOME_DUPLICATE;
	if (verdict != WINDOW_VERDICT_REUSED)
		return 0;
	judgement->outcome = FEED_OUTCOME_REFUSED;
	judgement->refusal.code = REFUSAL_IDEMPOTENCY_KEY_REUSED;
	(void)snprintf(judgement->refusal.text, sizeof judgement->refusal.text,
	               "the record at offset %" PRId64
	               " has the same idempotency key and document id, but says something else; give every "
	               "operation a key of its own",
	               previous);
	return 0;
}

int feed_judge(struct feeder *feeder, uint32_t reader, struct feed_judgement *judgement, struct error *error)
{
	struct feed_shard *shard = &feeder->shards[FEEDER_READER_SLOT(reader)];
	struct feed_marks *marks = &shard->lanes[FEEDER_READER_LANE(reader)].marks;
	struct op *op = &judgement->op;
	int result = 0;

	op->has_identity = op->has_identity && shard->rules.dedup_window > 0;
	/* facts can be kept before they are needed: only those below the record's offset count */
	if (op->has_identity)
		result = feed_learn(feeder, reader, op, error);
	if (result != 0)
		return result;
	switch (judge_origin(marks, op)) {
	case ORIGIN_VERDICT_DUPLICATE:
		judgement->outcome = FEED_OUTCOME_IMPORTED_BEFORE;
		return 0;
	case ORIGIN_VERDICT_LIMIT:
		refuse_source(judgement);
		return 0;
	case ORIGIN_VERDICT_NEW:
		break;
	}
	return op->has_identity ? judge_identity(shard, marks, judgement, error) : 0;
}

int feed_note_origin(struct feed_lane *lane, const struct op *op, struct error *error)
{
	struct feed_marks *marks = &lane->marks;
	int result;

	if (marks->origins == NULL)
		marks->origins = origins_new();
	if (marks->origins == NULL)
		return error_memory(error, sizeof(struct origin));
	result = origins_note(marks->origins, &op->origin, error);
	if (result == 0)
		marks->origin_at = op->offset;
	return result;
}
