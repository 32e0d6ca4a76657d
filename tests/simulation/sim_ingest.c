/* The shell of a feeder: carries its actions out and reports what happened. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define READ_POLL_MS 40
#define CALM_POLL_MS 150
#define ASK_TIMEOUT_MS 1500
#define SCRATCH_BYTES 4096
#define SIM_HEADERS_MAX 8

static struct event *own_event(struct sim *sim, struct sim_ingest *ingest, enum event_kind kind,
                               int64_t in_ms)
{
	return sim_own_event(sim, sim_ingest_peer(sim, ingest), kind, in_ms);
}

static uint32_t shard_of(const struct sim_ingest *ingest, uint32_t slot)
{
	return ingest->readers[FEEDER_READER(slot, FEEDER_LANE_LIVE)].shard;
}

static void ask(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct peer from = sim_ingest_peer(sim, ingest);
	struct peer to = {PROCESS_NODE, sim->nodes[action->node].address, 0};
	struct event *timeout = own_event(sim, ingest, EVENT_INGEST_ASKED, ASK_TIMEOUT_MS);
	struct event *event;

	timeout->shard = shard_of(ingest, action->slot);
	timeout->slot = action->slot;
	timeout->node = action->node;
	timeout->epoch = action->epoch;
	timeout->serial = ++sim->serial;
	ingest->asking[action->slot][action->node] = timeout->serial;
	if (!sim_net_passes(sim, from, to))
		return;
	event = sim_own_event(sim, to, EVENT_NODE_ASK, 1 + sim_delay(sim, sim->swarm.delay_ms_max));
	event->from = from;
	event->shard = timeout->shard;
	event->slot = timeout->slot;
	event->node = timeout->node;
	event->epoch = timeout->epoch;
	event->serial = timeout->serial;
}

static void read_later(struct sim *sim, struct sim_ingest *ingest, uint32_t reader, int64_t in_ms)
{
	struct event *event = own_event(sim, ingest, EVENT_INGEST_READ, in_ms);

	event->reader = reader;
	event->serial = ingest->readers[reader].serial;
}

static void start(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct sim_reader *reader = &ingest->readers[action->reader];

	reader->active = true;
	reader->serial = ++sim->serial;
	reader->position = action->offset;
	reader->end_told = -1;
	sim_trace(sim, "ingest %d, shard %u: reads from %lld%s", (int)(ingest - sim->ingests), reader->shard,
	          (long long)action->offset,
	          FEEDER_READER_LANE(action->reader) == FEEDER_LANE_LIVE ? "" : ", behind");
	read_later(sim, ingest, action->reader, sim_delay(sim, 20));
}

/* By other rules more is refused than is. */
static void own_letter(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct event *report =
		own_event(sim, ingest, EVENT_INGEST_LETTER, sim_delay(sim, sim->swarm.letter_ms_max));

	report->slot = action->slot;
	report->epoch = action->epoch;
	report->offset = action->offset;
	report->good = true;
	ingest->letters_pending++;
}

/* The record goes to the dead-letter topic, or not, and the producer hears of it, or not. */
static void dead_letter(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	const struct swarm *swarm = &sim->swarm;
	struct sim_log *log = &sim->logs[shard_of(ingest, action->slot)];
	const struct log_entry *entry = sim_log_read(log, action->offset);
	bool failed = !sim->calm && dice_chance(&sim->dice, swarm->letter_failed_permille);
	bool unknown = !sim->calm && !failed && dice_chance(&sim->dice, swarm->letter_unknown_permille);
	int64_t in_ms = sim_delay(sim, sim->calm ? 5 : swarm->letter_ms_max);
	struct log_entry *own;
	struct event *report;

	if (entry != NULL && entry->offset == action->offset && !entry->refused && ingest->other_rules) {
		own_letter(sim, ingest, action);
		return;
	}
	if (entry == NULL || entry->offset != action->offset || !entry->refused) {
		sim_violate(sim, "only refused records are dead letters", "shard %u, offset %lld",
		            shard_of(ingest, action->slot), (long long)action->offset);
		return;
	}
	if ((entry->refusal != action->refusal.code && !ingest->other_rules) ||
	    record_checksum(&entry->record) != record_checksum(action->record))
		sim_violate(sim, "a dead letter is its record, with its reason",
		            "offset %lld: refused as %s, expected %s", (long long)action->offset,
		            refusal_name(action->refusal.code), refusal_name(entry->refusal));
	if (failed || unknown)
		sim_count(sim, failed ? FAULT_LETTER_FAILED : FAULT_LETTER_UNKNOWN, NULL, ingest);
	own = log->timeline.entries[timeline_place(&log->timeline, action->offset)];
	own->letter_sent = true;
	sim_trace(sim, "ingest %d, shard %u: dead letter %lld%s", (int)(ingest - sim->ingests),
	          shard_of(ingest, action->slot), (long long)action->offset, failed ? ", fails" : "");
	if (!failed)
		sim_event(sim, EVENT_LETTER, in_ms)->entry = own;
	report = own_event(sim, ingest, EVENT_INGEST_LETTER, in_ms + sim_delay(sim, swarm->letter_ms_max));
	report->slot = action->slot;
	report->epoch = action->epoch;
	report->offset = action->offset;
	report->good = !failed && !unknown;
	report->entry = own;
	ingest->letters_pending++;
}

static void send(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct sim_request *request = &ingest->requests[action->node];

	if (request->open)
		sim_violate(sim, "one batch a node in flight", "ingest %d sends another to node %u",
		            (int)(ingest - sim->ingests), action->node);
	*request = (struct sim_request){true, ++sim->serial, action->batch_id};
	tally_add(&sim->tally->batches, 1);
	sim_net_send(sim, ingest, action->node, action->frame);
}

/* The commits of one process stay in order; those of two may overtake each other. */
static void commit(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	uint32_t shard = shard_of(ingest, action->slot);
	int64_t at_ms = sim->now_ms + sim_delay(sim, sim->calm ? 5 : COMMIT_MS_MAX);
	struct event *event;

	check_commit(sim, ingest, shard, action->offset);
	if (!sim->calm && dice_chance(&sim->dice, sim->swarm.commit_lost_permille)) {
		sim_count(sim, FAULT_COMMIT_LOST, NULL, ingest);
		return;
	}
	if (at_ms < ingest->commit_ms[shard])
		at_ms = ingest->commit_ms[shard];
	ingest->commit_ms[shard] = at_ms;
	event = sim_event(sim, EVENT_COMMIT, at_ms - sim->now_ms);
	event->shard = shard;
	event->offset = action->offset;
	event->log_cuts = sim->log_cuts;
}

static void act(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	switch (action->kind) {
	case FEEDER_ACTION_ASK:
		ask(sim, ingest, action);
		break;
	case FEEDER_ACTION_START:
		start(sim, ingest, action);
		break;
	case FEEDER_ACTION_HALT:
		ingest->readers[action->reader].active = false;
		break;
	case FEEDER_ACTION_DEAD_LETTER:
		dead_letter(sim, ingest, action);
		break;
	case FEEDER_ACTION_SEND:
		send(sim, ingest, action);
		break;
	case FEEDER_ACTION_COMMIT:
		commit(sim, ingest, action);
		break;
	case FEEDER_ACTION_FILL:
		sim_fill_ask(sim, ingest, action);
		break;
	case FEEDER_ACTION_REPORT:
		sim_trace(sim, "ingest %d, shard %u: %s", (int)(ingest - sim->ingests),
		          shard_of(ingest, action->slot),
		          action->state == FEEDER_STATE_STOPPED ? "stopped" : "feeding");
		break;
	}
}

/* Carries out what the feeder wants, and sees to the next tick. */
static void drain(struct sim *sim, struct sim_ingest *ingest)
{
	struct feeder_action action;
	int64_t deadline;
	int rounds = 0;

	while (feeder_next_action(ingest->feeder, &action)) {
		act(sim, ingest, &action);
		if (rounds++ > 1000) {
			sim_violate(sim, "an event has boundedly many actions", "ingest %d",
			            (int)(ingest - sim->ingests));
			return;
		}
	}
	deadline = feeder_deadline_ms(ingest->feeder);
	if (deadline == INT64_MAX)
		return;
	if (deadline <= sim->now_ms)
		deadline = sim->now_ms + 1;
	if (ingest->tick_ms > sim->now_ms && ingest->tick_ms <= deadline)
		return;
	ingest->tick_ms = deadline;
	ingest->tick_serial = ++sim->serial;
	own_event(sim, ingest, EVENT_INGEST_TICK, deadline - sim->now_ms)->serial = ingest->tick_serial;
}

/* Who is to be fed: whoever the record names and does not send away. */
static void set_replicas(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	const struct shard_record *record = sim_view_shard(sim, &ingest->process.view, shard);
	struct feeder_replica replicas[REPLICAS_MAX];
	size_t len = 0;

	for (size_t i = 0; i < record->replicas_len; i++) {
		const struct placement *placement = &record->replicas[i];

		if (placement->state == PLACEMENT_STATE_LEAVING)
			continue;
		replicas[len++] = (struct feeder_replica){.node = sim_node_number(sim, placement->node),
		                                          .incarnation = placement->incarnation,
		                                          .in_sync = placement->in_sync};
	}
	feeder_set_replicas(ingest->feeder, ingest->slots[shard], replicas, len, sim->now_ms);
}

void sim_ingest_add(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	const struct index_record *index;
	struct index_record believed;
	struct error error;
	uint32_t slot;

	ingest->owns[shard] = true;
	if (!ingest->process.alive || ingest->added[shard])
		return;
	index = catalog_index(ingest->process.view.catalog, sim->index.id);
	if (index == NULL || index->base == NULL || sim_view_shard(sim, &ingest->process.view, shard) == NULL)
		return; /* until its records have been read */
	if (sim_skips_hold(sim, ingest, shard))
		return;
	believed = *index;
	if (ingest->other_rules)
		believed.rules.dedup_window = sim->swarm.other_window;
	if (feeder_add_shard(ingest->feeder, &believed, (int32_t)shard, sim->now_ms, &slot, &error) != 0) {
		sim_violate(sim, "a shard can be taken over", "%s", error.text);
		return;
	}
	ASSERT(slot < SHARDS_MAX);
	ingest->added[shard] = true;
	ingest->slots[shard] = slot;
	for (uint32_t lane = 0; lane < FEEDER_LANES; lane++)
		ingest->readers[FEEDER_READER(slot, lane)] =
			(struct sim_reader){.shard = shard, .serial = ++sim->serial};
	for (uint32_t node = 0; node < SIM_NODES_MAX; node++)
		ingest->asking[slot][node] = 0;
	sim_skips_set(sim, ingest, shard);
	set_replicas(sim, ingest, shard);
	drain(sim, ingest);
}

void sim_ingest_remove(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	ingest->owns[shard] = false;
	if (!ingest->process.alive || !ingest->added[shard])
		return;
	ingest->added[shard] = false;
	for (uint32_t lane = 0; lane < FEEDER_LANES; lane++)
		ingest->readers[FEEDER_READER(ingest->slots[shard], lane)].active = false;
	feeder_remove_shard(ingest->feeder, ingest->slots[shard]);
	drain(sim, ingest);
}

void sim_ingest_follow(struct sim *sim, struct sim_ingest *ingest)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		if (ingest->added[shard]) {
			sim_skips_set(sim, ingest, shard);
			set_replicas(sim, ingest, shard);
		} else if (ingest->owns[shard])
			sim_ingest_add(sim, ingest, shard);
	}
	drain(sim, ingest);
}

static struct window_store open_shelf(void *context, uint32_t reader)
{
	struct sim_ingest *ingest = context;

	return sim_shelf_open(ingest->shelves[reader].sim, &ingest->shelves[reader]);
}

void sim_ingest_start(struct sim *sim, uint32_t number)
{
	struct sim_ingest *ingest = &sim->ingests[number];
	struct feeder_options options = sim->swarm.feeder;
	struct error error;

	if (ingest->process.alive)
		return;
	options.shelf = open_shelf;
	options.shelf_context = ingest;
	for (size_t i = 0; i < SHARDS_MAX * FEEDER_LANES; i++)
		ingest->shelves[i].sim = sim;
	ingest->other_rules = sim->swarm.other_rules && number == 1 && !sim->calm;
	ingest->feeder = feeder_new(&options, (++sim->serial) << 20);
	ASSERT(ingest->feeder != NULL);
	ingest->process = (struct process){.alive = true, .life = (uint32_t)++sim->serial, .paused_ms = -1};
	sim_view_open(sim, &ingest->process.view);
	ingest->tick_ms = 0;
	ingest->letters_pending = 0;
	for (uint32_t n = 0; n < sim->swarm.nodes; n++) {
		uint32_t node;
		int rc = feeder_add_node(ingest->feeder, sim->nodes[n].id, &node, &error);

		ASSERT(rc == 0 && node == n);
		ingest->requests[n].open = false;
	}
	sim_trace(sim, "ingest %u starts", number);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		ingest->added[shard] = false;
		if (ingest->owns[shard])
			sim_ingest_add(sim, ingest, shard);
	}
}

void sim_ingest_crash(struct sim *sim, struct sim_ingest *ingest)
{
	(void)sim;
	if (!ingest->process.alive)
		return;
	sim_view_close(&ingest->process.view);
	feeder_free(ingest->feeder);
	ingest->feeder = NULL;
	ingest->process.alive = false;
	for (uint32_t shard = 0; shard < SHARDS_MAX; shard++)
		ingest->added[shard] = false;
	for (uint32_t node = 0; node < SIM_NODES_MAX; node++)
		ingest->requests[node].open = false;
}

static void asked(struct sim *sim, struct sim_ingest *ingest, const struct event *event)
{
	const struct sim_log *log = &sim->logs[event->shard];
	struct feeder_question question = {event->slot, event->node, event->epoch};
	struct feeder_asked found = {
		.replica_answered = event->good && sim->now_ms >= sim->kafka_down_until_ms,
		.replica = event->answer,
		.committed = log->committed,
		.log_start = log->start,
		.log_end = log->end,
	};
	uint64_t *asking = &ingest->asking[event->slot][event->node];

	if (!ingest->added[event->shard] || ingest->slots[event->shard] != event->slot ||
	    *asking != event->serial)
		return; /* it has timed out, or another owner's time has come */
	*asking = 0;
	sim_trace(sim, "ingest %d, shard %u: %s at %lld, log [%lld, %lld), committed %lld",
	          (int)(ingest - sim->ingests), event->shard, sim->nodes[event->node].id,
	          (long long)(found.replica_answered ? found.replica.received : -1),
	          (long long)found.log_start, (long long)found.log_end, (long long)found.committed);
	feeder_asked(ingest->feeder, &question, &found, sim->now_ms);
}

static void scribble(struct slice bytes)
{
	if (bytes.len > 0)
		memset((void *)(uintptr_t)bytes.ptr, 0xdd, bytes.len);
}

/* What LIVE counts is what the model says of the record. */
static void check_counted(struct sim *sim, const struct sim_ingest *ingest,
                          const struct feeder_status *before, const struct log_entry *entry)
{
	bool applied = entry->verdict == VERDICT_APPLIED;
	struct feeder_status now;

	if (ingest->other_rules || sim->swarm.contract == 1)
		return;
	if (!feeder_shard_status(ingest->feeder, ingest->slots[before->partition], &now) ||
	    now.records == before->records)
		return;
	tally_add(&sim->tally->verdicts[entry->verdict], 1);
	if (now.records - before->records != 1 ||
	    now.duplicates - before->duplicates != (entry->verdict == VERDICT_DUPLICATE) ||
	    now.refused - before->refused != (entry->verdict == VERDICT_REFUSED) ||
	    now.skipped - before->skipped != (entry->verdict == VERDICT_SKIPPED) ||
	    now.deleted - before->deleted != (applied && entry->kind == OP_KIND_DELETE))
		sim_violate(sim, "a record is judged by what the log held before",
		            "shard %d, offset %lld: verdict %d expected; of %llu records %llu duplicates, "
		            "%llu refused, %llu skipped",
		            before->partition, (long long)entry->offset, (int)entry->verdict,
		            (unsigned long long)(now.records - before->records),
		            (unsigned long long)(now.duplicates - before->duplicates),
		            (unsigned long long)(now.refused - before->refused),
		            (unsigned long long)(now.skipped - before->skipped));
}

static struct slice into(uint8_t scratch[SCRATCH_BYTES], size_t *used, struct slice bytes)
{
	struct slice copy = {bytes.ptr == NULL ? NULL : scratch + *used, bytes.len};

	ASSERT(*used + bytes.len <= SCRATCH_BYTES);
	if (bytes.len > 0)
		memcpy(scratch + *used, bytes.ptr, bytes.len);
	*used += bytes.len;
	return copy;
}

/* Offers a copy that is worthless afterwards, as librdkafka's messages are. False: it has to be offered again, or the
 * process is no more. */
static bool offer(struct sim *sim, struct sim_ingest *ingest, uint32_t number, const struct log_entry *entry)
{
	const struct sim_reader *reader = &ingest->readers[number];
	struct record_header headers[SIM_HEADERS_MAX];
	struct record record = entry->record;
	struct feeder_status before = {0};
	struct error error;
	uint8_t scratch[SCRATCH_BYTES];
	size_t used = 0;
	uint64_t failed = ingest->shelves[number].failed;
	int rc;

	if (sim_skips_kill(sim, ingest, reader->shard, entry))
		return false;
	ASSERT(record.headers_len <= SIM_HEADERS_MAX);
	record.key = into(scratch, &used, record.key);
	record.value = into(scratch, &used, record.value);
	for (size_t i = 0; i < record.headers_len; i++) {
		headers[i].name = into(scratch, &used, record.headers[i].name);
		headers[i].value = into(scratch, &used, record.headers[i].value);
	}
	record.headers = headers;
	(void)feeder_shard_status(ingest->feeder, ingest->slots[reader->shard], &before);
	rc = feeder_record(ingest->feeder, number, &record, sim->now_ms, &error);
	if (rc != 0 && (sim->swarm.contract == 1 || sim->calm ||
	                (ingest->shelves[number].failed == failed &&
	                 ingest->shelves[number].full_until_ms <= sim->now_ms)))
		sim_violate(sim, "a record is taken while memory lasts", "%s", error.text);
	if (rc == 0)
		check_counted(sim, ingest, &before, entry);
	drain(sim, ingest);
	scribble(slice_of(scratch, used));
	return rc == 0;
}

static void read_records(struct sim *sim, struct sim_ingest *ingest, uint32_t number)
{
	struct sim_reader *reader = &ingest->readers[number];
	const struct sim_log *log = &sim->logs[reader->shard];
	uint64_t serial = reader->serial;

	for (uint32_t i = 0; i < sim->swarm.read_max; i++) {
		const struct log_entry *entry = sim_log_read(log, reader->position);

		if (!reader->active || reader->serial != serial || !feeder_wants(ingest->feeder, number))
			return;
		if (entry != NULL) {
			if (!offer(sim, ingest, number, entry))
				return;
			if (reader->active && reader->serial == serial)
				reader->position = entry->offset + 1;
			continue;
		}
		reader->position = log->end;
		if (reader->end_told != log->end || dice_chance(&sim->dice, 20)) {
			reader->end_told = log->end;
			feeder_end(ingest->feeder, number, log->end, sim->now_ms);
		}
		return;
	}
}

static void reading(struct sim *sim, struct sim_ingest *ingest, const struct event *event)
{
	struct sim_reader *reader = &ingest->readers[event->reader];
	const struct sim_log *log = &sim->logs[reader->shard];

	if (!reader->active || reader->serial != event->serial)
		return;
	if (sim->now_ms >= sim->kafka_down_until_ms) {
		if (reader->position < log->start || reader->position > log->end) {
			reader->active = false;
			feeder_read_failed(ingest->feeder, event->reader, sim->now_ms);
			return;
		}
		read_records(sim, ingest, event->reader);
	}
	if (reader->active && reader->serial == event->serial)
		read_later(sim, ingest, event->reader,
		           1 + sim_delay(sim, sim->calm && sim->swarm.lean ? CALM_POLL_MS : READ_POLL_MS));
}

static void answered(struct sim *sim, struct sim_ingest *ingest, const struct event *event)
{
	struct sim_request *request = &ingest->requests[event->node];

	if (!request->open || request->serial != event->serial)
		return;
	request->open = false;
	feeder_answered(ingest->feeder, event->node, event->batch_id, event->frame, sim->now_ms);
}

void sim_ingest_event(struct sim *sim, const struct event *event)
{
	struct sim_ingest *ingest = &sim->ingests[event->to.number];

	switch (event->kind) {
	case EVENT_INGEST_START:
		sim_ingest_start(sim, event->to.number);
		return;
	case EVENT_INGEST_RELEASE:
		if (ingest->owns[event->shard] && sim->ingests[1 - event->to.number].owns[event->shard])
			sim_ingest_remove(sim, ingest, event->shard);
		return;
	case EVENT_INGEST_TICK:
		if (event->serial != ingest->tick_serial)
			return; /* an earlier one came instead */
		ingest->tick_ms = 0;
		feeder_tick(ingest->feeder, sim->now_ms);
		break;
	case EVENT_INGEST_ASKED:
		asked(sim, ingest, event);
		break;
	case EVENT_INGEST_READ:
		reading(sim, ingest, event);
		break;
	case EVENT_INGEST_HOLDS:
		sim_ingest_follow(sim, ingest);
		break;
	case EVENT_INGEST_FILLED:
		sim_fill_filled(sim, ingest, event);
		break;
	case EVENT_INGEST_ANSWER:
		answered(sim, ingest, event);
		break;
	default: /* EVENT_INGEST_LETTER */
		ingest->letters_pending--;
		if (event->entry != NULL)
			event->entry->letter_acked |= event->good;
		feeder_dead_lettered(
			ingest->feeder,
			&(struct feeder_receipt){event->slot, event->epoch, event->offset, event->good},
			sim->now_ms);
		break;
	}
	if (ingest->process.alive)
		drain(sim, ingest);
	scribble(event->frame);
}
