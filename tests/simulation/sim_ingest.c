/* The shell of a feeder: carries its actions out and reports what happened. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#define READ_POLL_MS 40
#define SCRATCH_BYTES 2048

static struct event *own_event(struct sim *sim, struct sim_ingest *ingest, enum event_kind kind,
                               int64_t in_ms)
{
	struct event *event = sim_event(sim, kind, in_ms);

	event->process = PROCESS_INGEST;
	event->number = (uint32_t)(ingest - sim->ingests);
	event->life = ingest->process.life;
	return event;
}

static void ask(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	uint32_t shard = ingest->readers[action->slot].shard;
	struct event *event = sim_event(sim, EVENT_NODE_ASK, 1 + sim_delay(sim, sim->swarm.delay_ms_max));

	event->process = PROCESS_NODE;
	event->number = (uint32_t)(sim_home(sim, shard) - sim->nodes);
	event->shard = shard;
	event->slot = action->slot;
	event->epoch = action->epoch;
	event->from_ingest = (uint32_t)(ingest - sim->ingests);
	event->from_life = ingest->process.life;
}

static void read_later(struct sim *sim, struct sim_ingest *ingest, uint32_t slot, int64_t in_ms)
{
	struct event *event = own_event(sim, ingest, EVENT_INGEST_READ, in_ms);

	event->slot = slot;
	event->serial = ingest->readers[slot].serial;
}

static void start(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	struct sim_reader *reader = &ingest->readers[action->slot];

	reader->active = true;
	reader->serial = ++sim->serial;
	reader->position = action->offset;
	reader->end_told = -1;
	read_later(sim, ingest, action->slot, sim_delay(sim, 20));
}

/* The record goes to the dead-letter topic, or not, and the producer hears of it, or not. */
static void dead_letter(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action)
{
	const struct swarm *swarm = &sim->swarm;
	struct sim_log *log = &sim->logs[ingest->readers[action->slot].shard];
	const struct log_entry *entry = sim_log_read(log, action->offset);
	bool failed = !sim->calm && dice_chance(&sim->dice, swarm->letter_failed_permille);
	bool unknown = !sim->calm && !failed && dice_chance(&sim->dice, swarm->letter_unknown_permille);
	int64_t in_ms = sim_delay(sim, sim->calm ? 5 : swarm->letter_ms_max);
	struct log_entry *own;
	struct event *report;

	if (entry == NULL || entry->offset != action->offset || !entry->refused) {
		sim_violate(sim, "only refused records are dead letters", "shard %u, offset %lld",
		            ingest->readers[action->slot].shard, (long long)action->offset);
		return;
	}
	if (entry->refusal != action->refusal.code ||
	    record_checksum(&entry->record) != record_checksum(action->record))
		sim_violate(sim, "a dead letter is its record, with its reason",
		            "offset %lld: refused as %s, expected %s", (long long)action->offset,
		            refusal_name(action->refusal.code), refusal_name(entry->refusal));
	if (failed || unknown)
		sim_count(sim, failed ? FAULT_LETTER_FAILED : FAULT_LETTER_UNKNOWN, NULL, ingest);
	own = log->timeline.entries[timeline_place(&log->timeline, action->offset)];
	own->letter_sent = true;
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
	uint32_t shard = ingest->readers[action->slot].shard;
	int64_t at_ms = sim->now_ms + sim_delay(sim, sim->calm ? 5 : COMMIT_MS_MAX);
	struct event *event;

	check_commit(sim, shard, action->offset);
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
		ingest->readers[action->slot].active = false;
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
	case FEEDER_ACTION_REPORT:
		sim_trace(sim, "ingest %d, shard %u: %s", (int)(ingest - sim->ingests),
		          ingest->readers[action->slot].shard,
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

void sim_ingest_add(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	struct error error;
	struct feeder_place place = {.partition = (int32_t)shard, .node = shard % sim->swarm.nodes};
	uint32_t slot;

	ingest->owns[shard] = true;
	if (!ingest->process.alive || ingest->added[shard])
		return;
	if (feeder_add_shard(ingest->feeder, &sim->index, place, sim->now_ms, &slot, &error) != 0) {
		sim_violate(sim, "a shard can be taken over", "%s", error.text);
		return;
	}
	ASSERT(slot < SHARDS_MAX);
	ingest->added[shard] = true;
	ingest->slots[shard] = slot;
	ingest->readers[slot] = (struct sim_reader){.shard = shard, .serial = ++sim->serial};
	drain(sim, ingest);
}

void sim_ingest_remove(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	ingest->owns[shard] = false;
	if (!ingest->process.alive || !ingest->added[shard])
		return;
	ingest->added[shard] = false;
	ingest->readers[ingest->slots[shard]].active = false;
	feeder_remove_shard(ingest->feeder, ingest->slots[shard]);
	drain(sim, ingest);
}

void sim_ingest_start(struct sim *sim, uint32_t number)
{
	struct sim_ingest *ingest = &sim->ingests[number];
	struct error error;

	if (ingest->process.alive)
		return;
	ingest->feeder = feeder_new(&sim->swarm.feeder, (++sim->serial) << 20);
	ASSERT(ingest->feeder != NULL);
	ingest->process = (struct process){.alive = true, .life = (uint32_t)++sim->serial};
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
	struct feeder_asked found = {
		.replica_answered = event->good && sim->now_ms >= sim->kafka_down_until_ms,
		.replica = event->answer,
		.committed = log->committed,
		.log_start = log->start,
		.log_end = log->end,
	};

	feeder_asked(ingest->feeder, event->slot, event->epoch, &found, sim->now_ms);
}

static void scribble(struct slice bytes)
{
	if (bytes.len > 0)
		memset((void *)(uintptr_t)bytes.ptr, 0xdd, bytes.len);
}

/* Offers a copy that is worthless afterwards, as librdkafka's messages are. */
static void offer(struct sim *sim, struct sim_ingest *ingest, uint32_t slot, const struct log_entry *entry)
{
	struct record record = entry->record;
	struct error error;
	uint8_t scratch[SCRATCH_BYTES];
	size_t key_len = record.key.len;

	ASSERT(key_len + record.value.len <= sizeof scratch);
	if (key_len > 0)
		memcpy(scratch, record.key.ptr, key_len);
	if (record.value.len > 0)
		memcpy(scratch + key_len, record.value.ptr, record.value.len);
	record.key.ptr = record.key.ptr == NULL ? NULL : scratch;
	record.value.ptr = record.value.ptr == NULL ? NULL : scratch + key_len;
	if (feeder_record(ingest->feeder, slot, &record, sim->now_ms, &error) != 0)
		sim_violate(sim, "a record is taken while memory lasts", "%s", error.text);
	drain(sim, ingest);
	scribble(record.key);
	scribble(record.value);
}

static void read_records(struct sim *sim, struct sim_ingest *ingest, uint32_t slot)
{
	struct sim_reader *reader = &ingest->readers[slot];
	const struct sim_log *log = &sim->logs[reader->shard];
	uint64_t serial = reader->serial;

	for (uint32_t i = 0; i < sim->swarm.read_max; i++) {
		const struct log_entry *entry = sim_log_read(log, reader->position);

		if (!reader->active || reader->serial != serial || !feeder_wants(ingest->feeder, slot))
			return;
		if (entry != NULL) {
			reader->position = entry->offset + 1;
			offer(sim, ingest, slot, entry);
			continue;
		}
		reader->position = log->end;
		if (reader->end_told != log->end || dice_chance(&sim->dice, 20)) {
			reader->end_told = log->end;
			feeder_end(ingest->feeder, slot, log->end, sim->now_ms);
		}
		return;
	}
}

static void reading(struct sim *sim, struct sim_ingest *ingest, const struct event *event)
{
	struct sim_reader *reader = &ingest->readers[event->slot];
	const struct sim_log *log = &sim->logs[reader->shard];

	if (!reader->active || reader->serial != event->serial)
		return;
	if (sim->now_ms >= sim->kafka_down_until_ms) {
		if (reader->position < log->start || reader->position > log->end) {
			reader->active = false;
			feeder_read_failed(ingest->feeder, event->slot, sim->now_ms);
			return;
		}
		read_records(sim, ingest, event->slot);
	}
	if (reader->active && reader->serial == event->serial)
		read_later(sim, ingest, event->slot, 1 + sim_delay(sim, READ_POLL_MS));
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
	struct sim_ingest *ingest = &sim->ingests[event->number];

	switch (event->kind) {
	case EVENT_INGEST_START:
		sim_ingest_start(sim, event->number);
		return;
	case EVENT_INGEST_RELEASE:
		if (ingest->owns[event->shard] && sim->ingests[1 - event->number].owns[event->shard])
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
	case EVENT_INGEST_ANSWER:
		answered(sim, ingest, event);
		break;
	default: /* EVENT_INGEST_LETTER */
		ingest->letters_pending--;
		event->entry->letter_acked |= event->good;
		feeder_dead_lettered(
			ingest->feeder,
			&(struct feeder_receipt){event->slot, event->epoch, event->offset, event->good},
			sim->now_ms);
		break;
	}
	drain(sim, ingest);
	scribble(event->frame);
}
