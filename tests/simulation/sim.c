#include "tests/simulation/sim.h"

#include "shared/base/assert.h"

#include <stdarg.h>
#include <stdlib.h>

static bool sooner(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void queue_push(struct sim *sim, struct event *event)
{
	size_t at = sim->queue_len++;

	if (sim->queue_len > sim->queue_size) {
		sim->queue_size = sim->queue_size * 2 + 256;
		sim->queue = realloc(sim->queue, sim->queue_size * sizeof(struct event *));
		ASSERT(sim->queue != NULL);
	}
	event->sequence = sim->sequence++;
	while (at > 0 && sooner(event, sim->queue[(at - 1) / 2])) {
		sim->queue[at] = sim->queue[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	sim->queue[at] = event;
}

static struct event *queue_pop(struct sim *sim)
{
	struct event *first = sim->queue[0];
	struct event *last = sim->queue[--sim->queue_len];
	size_t at = 0;

	for (size_t child = 1; child < sim->queue_len; child = 2 * at + 1) {
		if (child + 1 < sim->queue_len && sooner(sim->queue[child + 1], sim->queue[child]))
			child++;
		if (!sooner(sim->queue[child], last))
			break;
		sim->queue[at] = sim->queue[child];
		at = child;
	}
	sim->queue[at] = last;
	return first;
}

struct event *sim_event(struct sim *sim, enum event_kind kind, int64_t in_ms)
{
	struct event *event = arena_alloc(&sim->arena, sizeof *event);

	ASSERT(event != NULL && in_ms >= 0);
	*event = (struct event){.at_ms = sim->now_ms + in_ms, .kind = kind};
	queue_push(sim, event);
	return event;
}

struct event *sim_own_event(struct sim *sim, struct peer peer, enum event_kind kind, int64_t in_ms)
{
	struct event *event = sim_event(sim, kind, in_ms);

	event->to = peer;
	return event;
}

int64_t sim_delay(struct sim *sim, int64_t ms_max)
{
	return dice_between(&sim->dice, 0, ms_max);
}

struct slice sim_copy(struct sim *sim, struct slice bytes)
{
	struct slice copy;
	bool copied = arena_copy(&sim->arena, bytes, &copy);

	ASSERT(copied);
	return copy;
}

struct process *sim_process(struct sim *sim, struct peer peer)
{
	switch (peer.kind) {
	case PROCESS_NODE:
		return &sim->nodes[peer.number].process;
	case PROCESS_INGEST:
		return &sim->ingests[peer.number].process;
	case PROCESS_GATEWAY:
		return &sim->gateways[peer.number].process;
	case PROCESS_CONTROLLER:
		return &sim->controllers[peer.number].process;
	default:
		return NULL;
	}
}

struct peer sim_node_peer(const struct sim *sim, const struct sim_node *node)
{
	return (struct peer){PROCESS_NODE, (uint32_t)(node - sim->nodes), node->process.life};
}

struct peer sim_ingest_peer(const struct sim *sim, const struct sim_ingest *ingest)
{
	return (struct peer){PROCESS_INGEST, (uint32_t)(ingest - sim->ingests), ingest->process.life};
}

uint32_t sim_node_number(const struct sim *sim, const char *id)
{
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		if (strcmp(sim->nodes[n].id, id) == 0)
			return n;
	ASSERT(false);
	return 0;
}

void sim_trace(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (sim->trace == NULL)
		return;
	fprintf(sim->trace, "%8lld ms  ", (long long)sim->now_ms);
	va_start(args, format);
	vfprintf(sim->trace, format, args);
	va_end(args);
	fputc('\n', sim->trace);
	fflush(sim->trace); /* an assertion may end the process */
}

void sim_violate(struct sim *sim, const char *invariant, const char *format, ...)
{
	va_list args;

	if (sim->violated)
		return;
	sim->violated = true;
	(void)snprintf(sim->invariant, sizeof sim->invariant, "%s", invariant);
	va_start(args, format);
	(void)vsnprintf(sim->violation, sizeof sim->violation, format, args);
	va_end(args);
	sim_trace(sim, "VIOLATED %s: %s", sim->invariant, sim->violation);
}

static bool node_has_work(const struct sim *sim, const struct sim_node *node, enum work work)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		const struct sim_replica *held = &node->replicas[shard];
		struct replica_status status;

		if (held->replica == NULL)
			continue;
		if (work == WORK_STORE && held->job != NULL)
			return true;
		replica_status(held->replica, &status);
		if (work == WORK_RECOVERING && status.state == REPLICA_STATE_RECOVERING)
			return true;
	}
	return false;
}

static bool ingest_has_work(const struct sim *sim, const struct sim_ingest *ingest, enum work work)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct feeder_status status;

		if (work == WORK_OWNERS && ingest->owns[shard] && sim->swarm.ingests == 2 &&
		    sim->ingests[0].owns[shard] && sim->ingests[1].owns[shard])
			return true;
		if (work == WORK_ANCHORING && ingest->feeder != NULL && ingest->added[shard] &&
		    feeder_shard_status(ingest->feeder, ingest->slots[shard], &status) &&
		    status.state == FEEDER_STATE_ANCHORING)
			return true;
	}
	return work == WORK_LETTER && ingest->letters_pending > 0;
}

static bool batch_in_flight(const struct sim *sim, const struct sim_node *node,
                            const struct sim_ingest *ingest)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++)
		for (uint32_t n = 0; n < sim->swarm.nodes; n++)
			if ((ingest == NULL || ingest == &sim->ingests[i]) &&
			    (node == NULL || node == &sim->nodes[n]) && sim->ingests[i].requests[n].open)
				return true;
	return false;
}

static bool somebody_is_out(const struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		const struct shard_record *record = sim_view_shard(sim, &sim->truth, shard);

		for (size_t i = 0; record != NULL && i < record->replicas_len; i++)
			if (!record->replicas[i].in_sync)
				return true;
	}
	return false;
}

void sim_count(struct sim *sim, enum fault fault, const struct sim_node *node,
               const struct sim_ingest *ingest)
{
	bool met[WORKS] = {[WORK_ANY] = true, [WORK_BATCH] = batch_in_flight(sim, node, ingest)};

	for (int work = WORK_STORE; work < WORKS; work++) {
		for (uint32_t n = 0; n < sim->swarm.nodes; n++)
			if (ingest == NULL && (node == NULL || node == &sim->nodes[n]))
				met[work] |= node_has_work(sim, &sim->nodes[n], (enum work)work);
		for (uint32_t i = 0; i < sim->swarm.ingests; i++)
			if (node == NULL && (ingest == NULL || ingest == &sim->ingests[i]))
				met[work] |= ingest_has_work(sim, &sim->ingests[i], (enum work)work);
	}
	met[WORK_OUT] = somebody_is_out(sim);
	for (int work = 0; work < WORKS; work++)
		if (met[work])
			tally_add(&sim->tally->faults[fault][work], 1);
	sim_trace(sim, "fault: %s%s%s", fault_name(fault), node != NULL ? " " : "",
	          node != NULL ? node->id : "");
}

/* What was appended last. */
static void trace_record(struct sim *sim, uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct log_entry *entry = log->timeline.entries[log->timeline.len - 1];
	const struct origin *origin = &entry->origin;

	sim_trace(sim, "shard %u: the log ends at %lld", shard, (long long)log->end);
	if (sim->swarm.contract == 1)
		return;
	sim_trace(
		sim, "  %lld: kind %d, verdict %d%s, id %.*s, key %.*s|%.*s, origin %.*s.%u/%d/%lld.%u: %.*s",
		(long long)entry->offset, (int)entry->kind, (int)entry->verdict,
		entry->malformed ? ", malformed" : "", SLICE_ARGS(entry->record.key),
		SLICE_ARGS(entry->label), SLICE_ARGS(entry->event), SLICE_ARGS(origin->source), origin->life,
		origin->partition, (long long)origin->offset, origin->n, SLICE_ARGS(entry->record.value));
}

static void world_event(struct sim *sim, const struct event *event)
{
	struct sim_log *log = &sim->logs[event->shard];
	int64_t seal = log->end / RANGE_SEAL;

	switch (event->kind) {
	case EVENT_PRODUCE:
		if (log->made >= sim->swarm.records || sim->calm)
			break;
		sim_event(sim, EVENT_PRODUCE, sim_delay(sim, sim->swarm.produce_ms_max))->shard =
			event->shard;
		if (sim->now_ms < sim->kafka_down_until_ms)
			break;
		sim_log_append(log, &sim->dice);
		tally_add(&sim->tally->records, 1);
		tally_add(&sim->tally->seals, log->end / RANGE_SEAL > seal);
		trace_record(sim, event->shard);
		break;
	case EVENT_FAULT:
		sim_fault(sim);
		break;
	case EVENT_META_BACK:
		sim_topology_restore(sim);
		break;
	case EVENT_OFFICE_WRITE:
		sim_office_write(sim, event);
		break;
	case EVENT_FINAL:
		sim_final(sim);
		break;
	case EVENT_REQUEST:
		sim_request(sim);
		break;
	case EVENT_SKIP:
		sim_skips_asked(sim, event->shard, event->offset);
		break;
	case EVENT_MARK:
	case EVENT_MARK_WRITE:
		sim_marks_event(sim, event);
		break;
	case EVENT_LETTER:
		event->entry->dead_lettered = true;
		break;
	default: /* EVENT_COMMIT */
		if (event->log_cuts == sim->log_cuts)
			log->committed = event->offset;
		break;
	}
}

/* Kafka down: nothing is read until it is back. */
static void follow(struct sim *sim, struct event *event)
{
	struct process *process = sim_process(sim, event->to);

	if (sim->now_ms < sim->kafka_down_until_ms) {
		event->at_ms = sim->kafka_down_until_ms;
		queue_push(sim, event);
		return;
	}
	if (!sim_view_follow(sim, &process->view, event->topic, (size_t)event->offset))
		return;
	if (event->to.kind == PROCESS_NODE)
		sim_node_decide(sim, &sim->nodes[event->to.number]);
	else if (event->to.kind == PROCESS_INGEST)
		sim_ingest_follow(sim, &sim->ingests[event->to.number]);
}

#define STANDSTILL_MS 2000 /* a node that stood still longer takes it for a restart */

static void wake(struct sim *sim, struct event *event, struct process *process)
{
	int64_t still_ms = process->paused_until_ms - process->paused_ms;

	if (process->paused_ms < 0 || process->paused_until_ms > sim->now_ms)
		return;
	process->paused_ms = -1;
	if (event->to.kind == PROCESS_NODE && still_ms >= STANDSTILL_MS)
		sim_node_wake(sim, &sim->nodes[event->to.number]);
}

/* A program reads meta and topology to their ends before it acts: not while Kafka is down. */
static bool must_wait(struct sim *sim, struct event *event, const struct process *process)
{
	bool starts = event->kind == EVENT_NODE_START || event->kind == EVENT_INGEST_START ||
	              event->kind == EVENT_GATEWAY_START;
	int64_t until_ms = starts ? sim->kafka_down_until_ms : process->paused_until_ms;

	if (until_ms <= sim->now_ms || (!starts && !process->alive))
		return false;
	event->at_ms = until_ms;
	queue_push(sim, event);
	return true;
}

static void dispatch(struct sim *sim, struct event *event)
{
	struct process *process = sim_process(sim, event->to);

	if (process != NULL && event->to.life != 0 && (!process->alive || process->life != event->to.life))
		return;
	if (process != NULL && must_wait(sim, event, process))
		return;
	if (process != NULL && process->alive)
		wake(sim, event, process);
	if (event->kind == EVENT_FOLLOW)
		follow(sim, event);
	else if (event->to.kind == PROCESS_NODE)
		sim_node_event(sim, event);
	else if (event->to.kind == PROCESS_INGEST)
		sim_ingest_event(sim, event);
	else if (event->to.kind == PROCESS_GATEWAY)
		sim_gateway_event(sim, event);
	else if (event->to.kind == PROCESS_CONTROLLER)
		sim_controller_event(sim, event);
	else
		world_event(sim, event);
}

bool sim_step(struct sim *sim)
{
	struct event *event;

	if (sim->queue_len == 0 || sim->violated)
		return false;
	event = queue_pop(sim);
	ASSERT(event->at_ms >= sim->now_ms);
	sim->now_ms = event->at_ms;
	sim->events_run++;
	sim->hash = sim->hash * 1099511628211U + (uint64_t)event->kind + (uint64_t)event->at_ms * 31 +
	            (uint64_t)event->offset * 7 + event->shard;
	dispatch(sim, event);
	if (event->kind != EVENT_NODE_SEARCH)
		check_all(sim, event->to);
	return !sim->violated;
}
