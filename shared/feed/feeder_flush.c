/* Ranges, batches and their answers: the part of the feeder that sends. */
#include "shared/feed/feeder_private.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"

#include <stdlib.h>

struct flush_rule flush_rule_adaptive(void)
{
	return (struct flush_rule){0, 0};
}

/* "name{number}" and nothing else. */
static bool parse_preset(const char *text, const char *name, unsigned long number_max, unsigned long *number)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(text, name, len) != 0 || text[len] != '{' || text[len + 1] < '0' || text[len + 1] > '9')
		return false;
	*number = strtoul(text + len + 1, &end, 10);
	return strcmp(end, "}") == 0 && *number > 0 && *number <= number_max;
}

bool flush_rule_parse(const char *text, struct flush_rule *rule)
{
	unsigned long number;

	if (strcmp(text, "adaptive") == 0)
		*rule = flush_rule_adaptive();
	else if (strcmp(text, "immediate") == 0)
		*rule = (struct flush_rule){.count_max = 1};
	else if (parse_preset(text, "batched", RANGE_SEAL, &number))
		/* the age keeps the last, incomplete batch from waiting for ever */
		*rule = (struct flush_rule){.count_max = (uint32_t)number, .age_ms = 1000};
	else if (parse_preset(text, "periodic", 60000, &number))
		*rule = (struct flush_rule){.age_ms = (int64_t)number};
	else
		return false;
	return true;
}

void feed_measure(struct feeder *feeder, struct feed_lane *lane)
{
	struct feed_range *range = lane->last;
	size_t bytes;

	if (range == NULL)
		return;
	bytes = memtable_bytes(range->memtable);
	lane->memory_bytes += bytes - range->bytes;
	feeder->memory_bytes += bytes - range->bytes;
	range->bytes = bytes;
}

static void drop_first(struct feeder *feeder, struct feed_lane *lane)
{
	struct feed_range *range = lane->first;
	struct anchor anchor = memtable_anchor(range->memtable);

	lane->first = range->next;
	if (lane->first == NULL)
		lane->last = NULL;
	if (anchor.offset >= 0)
		lane->before = anchor;
	lane->first_received_ms = INT64_MAX;
	ASSERT(lane->memory_bytes >= range->bytes);
	lane->memory_bytes -= range->bytes;
	feeder->memory_bytes -= range->bytes;
	memtable_free(range->memtable);
	free(range);
}

void feed_drop_ranges(struct feeder *feeder, struct feed_lane *lane)
{
	lane->first_received_ms = INT64_MAX;
	while (lane->first != NULL)
		drop_first(feeder, lane);
}

static bool is_empty(const struct feed_range *range)
{
	return memtable_from(range->memtable) == memtable_to(range->memtable);
}

/* Everybody in LIVE has it. */
static void note_visible(struct feeder *feeder, struct feed_shard *shard, const struct feed_range *range)
{
	int64_t to = memtable_to(range->memtable);

	if (to <= shard->visible_to)
		return;
	shard->visible_to = to;
	if (range->oldest_ms >= 0 && feeder->visible_len < FEEDER_VISIBLE_MAX)
		feeder->visible[feeder->visible_len++] = range->oldest_ms;
}

bool feeder_take_visible(struct feeder *feeder, int64_t *timestamp_ms)
{
	if (feeder->visible_len == 0)
		return false;
	*timestamp_ms = feeder->visible[--feeder->visible_len];
	return true;
}

void feed_release(struct feeder *feeder, struct feed_shard *shard, struct feed_lane *lane)
{
	int64_t highest = -1;

	lane->lowest = INT64_MAX;
	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (member->state != MEMBER_STATE_FED || &shard->lanes[member->lane] != lane)
			continue;
		lane->lowest = member->received < lane->lowest ? member->received : lane->lowest;
		highest = member->received > highest ? member->received : highest;
	}
	/* replicas that are ahead have no need of a range, but its dead letters are still to be acknowledged */
	while (lane->first != NULL && !is_empty(lane->first) && lane->first->dead_letters_pending == 0 &&
	       memtable_to(lane->first->memtable) <= lane->lowest) {
		/* with no member left nobody needs it, but nobody has it either */
		if (lane == &shard->lanes[FEEDER_LANE_LIVE] && memtable_to(lane->first->memtable) <= highest)
			note_visible(feeder, shard, lane->first);
		drop_first(feeder, lane);
	}
	if (lane->first == NULL || is_empty(lane->first) || memtable_to(lane->first->memtable) > highest)
		lane->first_received_ms = INT64_MAX;
	else if (lane->first_received_ms == INT64_MAX)
		lane->first_received_ms = feeder->now_ms;
	feeder->flush_check = true;
}

int64_t feed_first_from(const struct feed_lane *lane)
{
	return lane->first != NULL ? memtable_from(lane->first->memtable) : lane->position;
}

static struct feed_range *append_range(struct feeder *feeder, struct feed_lane *lane, int64_t from)
{
	struct feed_range *range = calloc(1, sizeof *range);

	if (range == NULL)
		return NULL;
	range->memtable = memtable_new(from);
	if (range->memtable == NULL) {
		free(range);
		return NULL;
	}
	range->born_ms = feeder->now_ms;
	range->oldest_ms = -1;
	feed_measure(feeder, lane);
	if (lane->last != NULL)
		lane->last->next = range;
	else
		lane->first = range;
	lane->last = range;
	feed_measure(feeder, lane);
	return range;
}

struct feed_range *feed_active(struct feeder *feeder, struct feed_lane *lane, int64_t offset, size_t bytes)
{
	struct feed_range *range = lane->last;

	if (range == NULL)
		range = append_range(feeder, lane, lane->position);
	else if (range->sealed)
		range = append_range(feeder, lane, memtable_to(range->memtable));
	while (range != NULL && memtable_is_full(range->memtable, offset, bytes)) {
		int64_t end = memtable_end(range->memtable, offset);

		/* positions, not records: what lies between is covered by the range before */
		memtable_cover(range->memtable, offset < end ? offset : end);
		range->sealed = true;
		range = append_range(feeder, lane, memtable_to(range->memtable));
	}
	return range;
}

bool feed_memory_is_full(const struct feeder *feeder, const struct feed_lane *lane)
{
	/* the whole counts too: shares shrink when readers are added, what is held does not */
	return lane->memory_bytes >= feeder->options.memory_bytes_max / feeder->lanes_running ||
	       feeder->memory_bytes >= feeder->options.memory_bytes_max;
}

static bool waits_for_dead_letters(const struct feed_range *range)
{
	return range->dead_letters_pending > 0 && !KNOCKOUT(DEAD_LETTER_LATE);
}

/* When the range may go by the flush rule; every range before it is due already. */
static int64_t range_due_ms(const struct feeder *feeder, const struct feed_lane *lane,
                            const struct feed_range *range)
{
	const struct flush_rule *rule = &feeder->options.flush;

	if (is_empty(range) || waits_for_dead_letters(range))
		return INT64_MAX;
	if (range->sealed || feed_memory_is_full(feeder, lane))
		return INT64_MIN;
	/* without an age nothing waits: refused records and markers never fill a count */
	return rule->age_ms > 0 ? range->born_ms + rule->age_ms : INT64_MIN;
}

/* The first range of its lane that the replica has not received whole; NULL if there is none. */
static struct feed_range *first_needed(const struct feed_lane *lane, const struct feed_member *member)
{
	struct feed_range *range = lane->first;

	while (range != NULL && memtable_to(range->memtable) <= member->received)
		range = range->next;
	return range;
}

/* A replica in-sync may still contradict the log: who has less should not take on what it would then have to unlearn. */
static bool is_contested(const struct feed_shard *shard, const struct feed_lane *lane)
{
	for (size_t i = 0; lane->checks > 0 && i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];

		if (member->state == MEMBER_STATE_FED && &shard->lanes[member->lane] == lane &&
		    member->in_sync && member->checking && !member->anchor_found)
			return true;
	}
	return false;
}

int64_t feed_due_ms(const struct feeder *feeder, const struct feed_shard *shard,
                    const struct feed_member *member)
{
	const struct feed_lane *lane = &shard->lanes[member->lane];
	const struct feed_range *range;
	int64_t due;

	/* before its anchor is found, nothing may be said of the log: it may be another one */
	if (member->state != MEMBER_STATE_FED || (member->checking && !member->anchor_found))
		return INT64_MAX;
	if (is_contested(shard, lane) && !feed_memory_is_full(feeder, lane))
		return INT64_MAX;
	due = member->announce ? INT64_MIN : member->poll_ms;
	range = first_needed(lane, member);
	if (range != NULL && range_due_ms(feeder, lane, range) < due)
		due = range_due_ms(feeder, lane, range);
	return due < member->busy_ms ? member->busy_ms : due;
}

static bool add_range(struct feeder *feeder, uint32_t node_at, uint32_t slot, struct batch_writer *writer,
                      const struct memtable *memtable)
{
	struct feed_node *node = &feeder->nodes[node_at];
	struct feed_shard *shard = &feeder->shards[slot];
	struct feed_member *member = feed_member_on(shard, node_at);
	struct range range = {
		.index_id = shard->index_id,
		.partition = shard->partition,
		.incarnation = member->incarnation,
		.session = member->session,
		.rules_digest = shard->rules_digest,
		.log_end = shard->log_end,
	};

	if (node->sent_len == node->sent_size) {
		size_t size = node->sent_size ? node->sent_size * 2 : 16;
		uint32_t *slots = realloc(node->sent_slots, size * sizeof *slots);

		if (slots == NULL)
			return false;
		node->sent_slots = slots;
		node->sent_size = size;
	}
	batch_add(writer, &range, memtable);
	node->sent_slots[node->sent_len++] = slot;
	member->sent_batch = node->batch_id;
	return true;
}

/* One range always fits, however small the limit is. */
static bool batch_is_full(const struct feeder *feeder, const struct batch_writer *writer)
{
	return writer->ranges == BATCH_RANGES_MAX ||
	       (writer->ranges > 0 && writer->buffer->len >= feeder->options.batch_bytes_max);
}

/* A range without offsets asks where the replica stands and tells it the log's end. */
static bool add_question(struct feeder *feeder, uint32_t node_at, uint32_t slot, struct batch_writer *writer)
{
	struct memtable *nothing = memtable_new(feed_member_on(&feeder->shards[slot], node_at)->received);
	bool added;

	if (nothing == NULL)
		return false;
	added = add_range(feeder, node_at, slot, writer, nothing);
	memtable_free(nothing);
	return added;
}

static bool add_ranges(struct feeder *feeder, uint32_t node_at, uint32_t slot, struct batch_writer *writer)
{
	struct feed_shard *shard = &feeder->shards[slot];
	const struct feed_member *member = feed_member_on(shard, node_at);
	struct feed_lane *lane = &shard->lanes[member->lane];
	struct feed_range *range = first_needed(lane, member);
	bool added = true;

	if (range == NULL || range_due_ms(feeder, lane, range) > feeder->now_ms)
		return add_question(feeder, node_at, slot, writer);
	for (; range != NULL && added; range = range->next) {
		if (range_due_ms(feeder, lane, range) > feeder->now_ms || batch_is_full(feeder, writer))
			break;
		added = add_range(feeder, node_at, slot, writer, range->memtable);
		range->sealed = true;
	}
	return added;
}

static void node_failed(struct feeder *feeder, struct feed_node *node)
{
	node->pause_ms = feed_next_pause(node->pause_ms);
	node->retry_ms = feeder->now_ms + node->pause_ms;
	feeder->flush_check = true;
}

/* Shards take turns: a batch begins behind the last one that got a place. */
static bool collect(struct feeder *feeder, uint32_t node_at, struct batch_writer *writer)
{
	struct feed_node *node = &feeder->nodes[node_at];
	uint32_t first = node->slot_first;

	for (uint32_t i = 0; i < feeder->shards_len; i++) {
		uint32_t slot = (first + i) % feeder->shards_len;
		struct feed_shard *shard = &feeder->shards[slot];
		struct feed_member *member = shard->used ? feed_member_on(shard, node_at) : NULL;

		if (batch_is_full(feeder, writer))
			break;
		if (member == NULL || feed_due_ms(feeder, shard, member) > feeder->now_ms)
			continue;
		if (!add_ranges(feeder, node_at, slot, writer))
			return false;
		node->slot_first = slot + 1;
	}
	return true;
}

bool feed_build_batch(struct feeder *feeder, uint32_t node_at)
{
	struct feed_node *node = &feeder->nodes[node_at];
	struct batch_writer writer;
	bool built;

	buffer_clear(&node->frame);
	node->sent_len = 0;
	node->batch_id = feeder->batch_id_next;
	batch_begin(&writer, &node->frame, node->batch_id);
	built = collect(feeder, node_at, &writer) && batch_end(&writer);
	if (!built) {
		for (size_t i = 0; i < node->sent_len; i++)
			feed_member_on(&feeder->shards[node->sent_slots[i]], node_at)->sent_batch = 0;
		node_failed(feeder, node);
		return false;
	}
	if (writer.ranges == 0)
		return false;
	feeder->batch_id_next++;
	node->in_flight = true;
	return true;
}

/* It is known where the replica stands, and that it stands in this log. */
static bool is_verified(const struct feed_member *member)
{
	return member->state == MEMBER_STATE_FED && (!member->checking || member->anchor_found);
}

/* The lowest offset that all replicas in-sync have stored; -1 if that is not known of one of them. */
static int64_t stored_by_all(const struct feed_shard *shard)
{
	int64_t lowest = -1;

	for (size_t i = 0; i < shard->members_len; i++) {
		const struct feed_member *member = &shard->members[i];
		int64_t stored = KNOCKOUT(COMMIT_RECEIVED) ? member->received : member->stored;

		if (!member->in_sync || (KNOCKOUT(OWN_OPINION) && (member->state != MEMBER_STATE_FED ||
		                                                   member->lane == FEEDER_LANE_BEHIND)))
			continue;
		if (!is_verified(member) && !KNOCKOUT(COMMIT_MAX))
			return -1;
		if (lowest < 0 || (KNOCKOUT(COMMIT_MAX) ? stored > lowest : stored < lowest))
			lowest = stored;
	}
	return lowest;
}

void feed_commit(struct feeder *feeder, uint32_t slot)
{
	struct feed_shard *shard = &feeder->shards[slot];
	int64_t offset = feeder->options.replay ? -1 : stored_by_all(shard);

	if (offset < 0)
		return;
	if (offset > shard->committed)
		shard->committed = offset;
	else if (shard->committed > offset || feeder->now_ms < shard->commit_again_ms)
		return;
	shard->commit_again_ms = feeder->now_ms + FEEDER_COMMIT_AGAIN_MS;
	feed_todo(feeder, slot, FEED_TODO_COMMIT);
}

static void range_received(struct feeder *feeder, uint32_t slot, struct feed_member *member,
                           const struct range_answer *answer)
{
	struct feed_shard *shard = &feeder->shards[slot];

	if (!incarnation_equal(answer->incarnation, member->incarnation) ||
	    answer->session != member->session || answer->received < member->received) {
		feed_ask_again(feeder, slot, member, 0);
		return;
	}
	member->received = answer->received;
	member->stored = answer->stored;
	member->has_identities = answer->has_identities;
	member->has_origins = answer->has_origins;
	member->announce = false;
	member->pause_ms = 0;
	member->poll_ms = feeder->now_ms + FEEDER_POLL_MS;
	feed_release(feeder, shard, &shard->lanes[member->lane]);
	feed_move_up(feeder, slot, member);
	feed_commit(feeder, slot);
}

/* Of this replica only: the node may have room for what is not its index's. */
static void range_waits(struct feeder *feeder, struct feed_member *member)
{
	if (member->busy_ms > feeder->now_ms)
		return; /* another range of the same batch */
	member->pause_ms = feed_next_pause(member->pause_ms);
	if (member->pause_ms > FEEDER_BUSY_MS_MAX)
		member->pause_ms = FEEDER_BUSY_MS_MAX;
	member->busy_ms = feeder->now_ms + member->pause_ms;
	feeder->flush_check = true;
}

static void range_answered(struct feeder *feeder, uint32_t node_at, uint32_t slot,
                           const struct range_answer *answer)
{
	struct feed_member *member = feed_member_on(&feeder->shards[slot], node_at);

	switch (answer->result) {
	case RANGE_RESULT_APPLIED:
		range_received(feeder, slot, member, answer);
		break;
	case RANGE_RESULT_ALREADY:
		range_received(feeder, slot, member, answer);
		break;
	case RANGE_RESULT_GAP:
		feed_ask_again(feeder, slot, member, 0);
		break;
	case RANGE_RESULT_BUSY:
		range_waits(feeder, member);
		break;
	case RANGE_RESULT_REFUSED:
	case RANGE_RESULT_UNKNOWN:
	case RANGE_RESULT_STOPPED:
		feed_ask_later(feeder, slot, member);
		break;
	}
}

/* 0 if the whole answer was understood. */
static int read_answers(struct feeder *feeder, uint32_t node_at, struct slice frame)
{
	struct feed_node *node = &feeder->nodes[node_at];
	struct batch_reader reader;
	struct range_answer answer;
	struct error error;
	int rc;

	rc = batch_answer_open(&reader, frame, &error);
	if (rc != 0 || reader.batch_id != node->batch_id || reader.ranges_left != node->sent_len)
		return ERROR_FORMAT;
	for (size_t i = 0; i < node->sent_len; i++) {
		uint32_t slot = node->sent_slots[i];
		struct feed_shard *shard = &feeder->shards[slot];
		const struct feed_member *member = shard->used ? feed_member_on(shard, node_at) : NULL;

		if (batch_answer_next(&reader, &answer, &error) != 1)
			return ERROR_FORMAT;
		if (member != NULL && member->sent_batch == node->batch_id &&
		    shard->index_id == answer.index_id && shard->partition == answer.partition)
			range_answered(feeder, node_at, slot, &answer);
	}
	return 0;
}

void feeder_answered(struct feeder *feeder, uint32_t node_at, uint64_t batch_id, struct slice frame,
                     int64_t now_ms)
{
	struct feed_node *node = &feeder->nodes[node_at];

	feeder->now_ms = now_ms;
	if (node_at >= feeder->nodes_len || !node->in_flight || node->batch_id != batch_id)
		return;
	node->in_flight = false;
	feeder->flush_check = true;
	node->retry_ms = INT64_MIN;
	if (frame.len == 0 || read_answers(feeder, node_at, frame) != 0)
		node_failed(feeder, node); /* outcome unknown: the same ranges go again */
	else if (node->retry_ms == INT64_MIN)
		node->pause_ms = 0;
	for (size_t i = 0; i < node->sent_len; i++) {
		struct feed_shard *shard = &feeder->shards[node->sent_slots[i]];
		struct feed_member *member = shard->used ? feed_member_on(shard, node_at) : NULL;

		if (member != NULL && member->sent_batch == batch_id)
			member->sent_batch = 0;
	}
}
