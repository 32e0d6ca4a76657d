/*
 * The shell of a controller: is elected, takes office, reads everything, acts, asks nodes and logs.
 *
 * The order of taking office is the product's: first the fence (a new epoch of the transactional producer), then
 * everything to its end, then acting. A write of an earlier epoch fails. Elections may err: two processes may
 * believe that they are in office.
 */
#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "tests/simulation/sim.h"

#define TURN_MS 200
#define RETRY_MS 1000
#define POLL_TIMEOUT_MS 2000
#define KAFKA_MS_MAX 60

/* One transaction on its way. */
struct office_write {
	uint64_t epoch;
	size_t known[SIM_TOPICS]; /* records that its writer has read or written */
	size_t len;
	enum controller_topic topics[CONTROLLER_WRITES_MAX];
	struct sim_record records[CONTROLLER_WRITES_MAX];
};

static const enum sim_topic_number topic_numbers[] = {
	[CONTROLLER_TOPIC_META] = SIM_TOPIC_META,
	[CONTROLLER_TOPIC_TOPOLOGY] = SIM_TOPIC_TOPOLOGY,
	[CONTROLLER_TOPIC_TASK_STATES] = SIM_TOPIC_TASK_STATES,
};

static int64_t kafka_delay(struct sim *sim)
{
	return 1 + sim_delay(sim, sim->calm || dice_chance(&sim->dice, 700) ? 8 : 10 * KAFKA_MS_MAX);
}

static struct peer peer_of(const struct sim *sim, const struct sim_controller *controller)
{
	return (struct peer){PROCESS_CONTROLLER, (uint32_t)(controller - sim->controllers),
	                     controller->process.life};
}

static struct event *own_event(struct sim *sim, struct sim_controller *controller, enum event_kind kind,
                               int64_t in_ms)
{
	struct event *event = sim_own_event(sim, peer_of(sim, controller), kind, in_ms);

	event->epoch = controller->office; /* leaving ends whatever was on its way */
	return event;
}

/* ---- taking office ---- */

static void leave(struct sim *sim, struct sim_controller *controller)
{
	if (controller->core != NULL)
		sim_trace(sim, "controller %d leaves the office", (int)(controller - sim->controllers));
	controller_free(controller->core);
	controller->core = NULL;
	controller->office++;
	controller->acting = false;
}

static void again_later(struct sim *sim, struct sim_controller *controller)
{
	leave(sim, controller);
	own_event(sim, controller, EVENT_CONTROLLER_TAKE, RETRY_MS);
}

static void fence(struct sim *sim, struct sim_controller *controller)
{
	controller->epoch = ++sim->office_epoch;
	sim_trace(sim, "controller %d: fences, epoch %llu", (int)(controller - sim->controllers),
	          (unsigned long long)controller->epoch);
}

static void take(struct sim *sim, struct sim_controller *controller)
{
	if (!controller->elected || controller->core != NULL)
		return;
	if (sim->now_ms < sim->kafka_down_until_ms) {
		own_event(sim, controller, EVENT_CONTROLLER_TAKE, RETRY_MS);
		return;
	}
	if (!KNOCKOUT(FENCE_LATE))
		fence(sim, controller);
	own_event(sim, controller, EVENT_CONTROLLER_READ, kafka_delay(sim));
}

static void feed(struct sim *sim, struct sim_controller *controller, enum sim_topic_number topic)
{
	const struct sim_topic *from = &sim->topics[topic];
	struct error error;

	for (size_t *at = &controller->read[topic]; *at < from->len; (*at)++) {
		const struct sim_record *record = &from->records[*at];
		int rc = 0;

		if (topic == SIM_TOPIC_META)
			rc = controller_read_meta(controller->core, (int64_t)*at, record->key, record->value,
			                          &error);
		else if (topic == SIM_TOPIC_TOPOLOGY)
			rc = controller_read_topology(controller->core, (int64_t)*at, record->key,
			                              record->value, &error);
		else if (topic == SIM_TOPIC_TASKS)
			rc = controller_read_task(controller->core, (int64_t)*at, record->value, &error);
		else
			controller_read_final(controller->core, record->value);
		if (rc != 0)
			sim_violate(sim, "a controller can read what controllers wrote", "%s", error.text);
	}
}

static void read_all(struct sim *sim, struct sim_controller *controller)
{
	struct node_record nodes[SIM_NODES_MAX] = {0};
	struct controller_options options = {.cluster = "millrace",
	                                     .kafka_id = "simulated",
	                                     .url = controller->url,
	                                     .rf = (int32_t)sim->swarm.rf,
	                                     .nodes = nodes,
	                                     .nodes_len = sim->swarm.nodes};
	struct error error;

	if (controller->core != NULL)
		return;
	if (sim->now_ms < sim->kafka_down_until_ms) {
		again_later(sim, controller);
		return;
	}
	for (uint32_t n = 0; n < sim->swarm.nodes; n++)
		sim_node_record(sim, n, &nodes[n]);
	memset(controller->polling, 0, sizeof controller->polling);
	controller->core = controller_new(&options);
	ASSERT(controller->core != NULL);
	for (int topic = 0; topic < SIM_TOPICS; topic++) {
		controller->read[topic] =
			topic == SIM_TOPIC_TASKS ? (size_t)controller_oldest_task(controller->core) : 0;
		feed(sim, controller, (enum sim_topic_number)topic);
	}
	if (controller_check(controller->core, &error) != 0)
		sim_violate(sim, "a controller takes office", "%s", error.text);
	sim_trace(sim, "controller %d takes office", (int)(controller - sim->controllers));
	tally_add(&sim->tally->offices, 1);
	if (KNOCKOUT(FENCE_LATE))
		own_event(sim, controller, EVENT_CONTROLLER_FENCE, kafka_delay(sim));
	else
		own_event(sim, controller, EVENT_CONTROLLER_TURN, 0);
	own_event(sim, controller, EVENT_CONTROLLER_POLL, 0);
}

/* ---- acting ---- */

static void send_write(struct sim *sim, struct sim_controller *controller,
                       const struct controller_action *action)
{
	struct office_write *write = arena_alloc(&sim->arena, sizeof *write);
	struct event *event = sim_event(sim, EVENT_OFFICE_WRITE, kafka_delay(sim));

	ASSERT(write != NULL);
	*write = (struct office_write){.epoch = controller->epoch, .len = action->writes_len};
	memcpy(write->known, controller->read, sizeof write->known);
	for (size_t i = 0; i < action->writes_len; i++) {
		write->topics[i] = action->writes[i].topic;
		write->records[i] = (struct sim_record){sim_copy(sim, action->writes[i].key),
		                                        sim_copy(sim, action->writes[i].value)};
	}
	event->from = peer_of(sim, controller);
	event->epoch = controller->office;
	event->write = write;
}

static void answer(struct sim *sim, struct peer to, uint32_t office, int64_t in_ms)
{
	struct event *event = sim_own_event(sim, to, EVENT_CONTROLLER_RESULT, in_ms);

	event->epoch = office;
	event->good = true;
}

void sim_office_write(struct sim *sim, const struct event *event)
{
	const struct office_write *write = event->write;
	struct event *result = sim_own_event(sim, event->from, EVENT_CONTROLLER_RESULT, kafka_delay(sim));

	result->epoch = event->epoch;
	if (write->epoch != sim->office_epoch) {
		sim_trace(sim, "a fenced controller writes in vain");
		tally_add(&sim->tally->fenced, 1);
		return;
	}
	if (sim->now_ms < sim->kafka_down_until_ms)
		return;
	check_write(sim, write->known);
	for (size_t i = 0; i < write->len; i++)
		sim_topology_write(sim, topic_numbers[write->topics[i]], write->records[i].key,
		                   write->records[i].value);
	/* the answer may be lost although everything is written */
	result->good = sim->calm || !dice_chance(&sim->dice, sim->swarm.write_unknown_permille);
}

static void inspect(struct sim *sim, struct sim_controller *controller, struct controller_result *result)
{
	const struct sim_other *other = sim_other_topic(sim, controller->topic);

	result->exists = other != NULL && other->exists;
	result->partitions = result->exists ? other->partitions : 0;
}

/* Everything but a write: it takes time, may fail, and may have happened although it failed. */
static void carry_out(struct sim *sim, struct sim_controller *controller, const struct event *event)
{
	static const int64_t starts[INDEX_PARTITIONS_MAX];
	struct controller_result result = {.starts = starts};
	struct sim_other *other;

	if (event->good && controller->kind == CONTROLLER_ACTION_INSPECT_TOPIC)
		inspect(sim, controller, &result);
	if (event->good && controller->kind == CONTROLLER_ACTION_CREATE_TOPIC) {
		other = sim_other_topic(sim, controller->topic);
		ASSERT(other != NULL);
		other->exists = true;
		other->partitions = controller->partitions;
	}
	if (event->good && controller->kind == CONTROLLER_ACTION_DELETE_TOPIC) {
		check_deleted(sim, controller->topic);
		other = sim_other_topic(sim, controller->topic);
		if (other != NULL)
			other->exists = false;
	}
	if (!event->good || (!sim->calm && dice_chance(&sim->dice, sim->swarm.write_unknown_permille)))
		result.code = error_set(&result.error, ERROR_LOG, ERROR_ACTION_RETRY, "Kafka is slow");
	controller_result(controller->core, &result);
}

static void finish(struct sim *sim, struct sim_controller *controller, const struct event *event)
{
	struct controller_result result = {0};

	controller->acting = false;
	if (controller->kind != CONTROLLER_ACTION_WRITE) {
		carry_out(sim, controller, event);
	} else if (event->good) {
		for (int topic = 0; topic < SIM_TOPICS; topic++)
			controller->read[topic] += controller->writing[topic];
		controller_result(controller->core, &result);
	} else {
		again_later(sim, controller); /* after any doubt it starts over */
		return;
	}
	own_event(sim, controller, EVENT_CONTROLLER_TURN, 0);
}

static void begin_action(struct sim *sim, struct sim_controller *controller,
                         const struct controller_action *action)
{
	controller->acting = true;
	controller->kind = action->kind;
	controller->partitions = action->partitions;
	memset(controller->writing, 0, sizeof controller->writing);
	if (action->kind == CONTROLLER_ACTION_WRITE) {
		for (size_t i = 0; i < action->writes_len; i++)
			controller->writing[topic_numbers[action->writes[i].topic]]++;
		send_write(sim, controller, action);
		return;
	}
	(void)snprintf(controller->topic, sizeof controller->topic, "%s", action->topic);
	sim_trace(sim, "controller %d: action %d on %s", (int)(controller - sim->controllers),
	          (int)action->kind, action->topic);
	answer(sim, peer_of(sim, controller), controller->office, kafka_delay(sim) * 2);
}

static void read_ends(struct sim *sim, struct sim_controller *controller)
{
	struct controller_end end;

	for (int i = 0; i < 8 && controller_next_end(controller->core, sim->now_ms, &end); i++) {
		struct event *event;
		bool ours = end.index_id == sim->index.id;

		if (sim->now_ms < sim->kafka_down_until_ms)
			continue;
		event = own_event(sim, controller, EVENT_CONTROLLER_END, kafka_delay(sim));
		event->batch_id = end.index_id;
		event->slot = (uint32_t)end.generation;
		event->shard = (uint32_t)end.partition;
		event->offset = ours ? sim->logs[end.partition].end : 0;
	}
}

static void turn(struct sim *sim, struct sim_controller *controller)
{
	struct controller_action action;
	struct controller_time now = {1700000000000 + sim->now_ms, sim->now_ms};

	if (controller->core == NULL || controller->acting)
		return;
	feed(sim, controller, SIM_TOPIC_TASKS);
	if (controller_next(controller->core, now, &action)) {
		begin_action(sim, controller, &action);
		return;
	}
	read_ends(sim, controller);
	controller->turn = ++sim->serial;
	own_event(sim, controller, EVENT_CONTROLLER_TURN, TURN_MS)->serial = controller->turn;
}

/* ---- asking nodes ---- */

static void poll_node(struct sim *sim, struct sim_controller *controller, uint32_t number)
{
	struct peer to = {PROCESS_NODE, sim->nodes[number].address, 0};
	struct event *timeout = own_event(sim, controller, EVENT_CONTROLLER_REPORT, POLL_TIMEOUT_MS);
	struct event *event;

	timeout->node = number;
	timeout->offset = sim->now_ms;
	timeout->serial = ++sim->serial;
	controller->polling[number] = timeout->serial;
	if (!sim_net_passes(sim, timeout->to, to))
		return;
	event = sim_own_event(sim, to, EVENT_NODE_REPORT,
	                      1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	event->from = timeout->to;
	event->node = number;
	event->epoch = timeout->epoch;
	event->offset = timeout->offset;
	event->serial = timeout->serial;
}

static void poll_all(struct sim *sim, struct sim_controller *controller)
{
	const struct node_record *nodes;
	size_t len;

	if (controller->core == NULL)
		return;
	if (!controller->acting) {
		len = controller_nodes(controller->core, &nodes);
		for (size_t i = 0; i < len; i++)
			if (controller->polling[sim_node_number(sim, nodes[i].id)] == 0)
				poll_node(sim, controller, sim_node_number(sim, nodes[i].id));
	}
	own_event(sim, controller, EVENT_CONTROLLER_POLL, CONTROLLER_POLL_MS);
}

static void reported(struct sim *sim, struct sim_controller *controller, const struct event *event)
{
	struct node_report failed = {
		.node = sim->nodes[event->node].id, .asked_ms = event->offset, .failure = "no answer"};

	if (controller->core == NULL || controller->polling[event->node] != event->serial)
		return;
	controller->polling[event->node] = 0;
	controller_node_report(controller->core, event->report != NULL ? event->report : &failed,
	                       sim->now_ms);
}

static void end_read(struct sim *sim, struct sim_controller *controller, const struct event *event)
{
	struct controller_end asked = {event->batch_id, (int32_t)event->slot, (int32_t)event->shard,
	                               sim->index.topic};

	if (controller->core != NULL)
		controller_log_end(controller->core, &asked, event->offset, sim->now_ms);
}

/* ---- the process ---- */

void sim_controller_start(struct sim *sim, uint32_t number)
{
	struct sim_controller *controller = &sim->controllers[number];

	if (controller->process.alive)
		return;
	controller->process =
		(struct process){.alive = true, .life = (uint32_t)++sim->serial, .paused_ms = -1};
	(void)snprintf(controller->url, sizeof controller->url, "http://c%u", number);
	own_event(sim, controller, EVENT_CONTROLLER_TAKE, sim_delay(sim, 20));
}

void sim_controller_crash(struct sim *sim, struct sim_controller *controller)
{
	if (!controller->process.alive)
		return;
	leave(sim, controller);
	controller->process.alive = false;
}

void sim_controller_elect(struct sim *sim, uint32_t number, bool elected)
{
	struct sim_controller *controller = &sim->controllers[number];

	if (controller->elected == elected)
		return;
	controller->elected = elected;
	if (!controller->process.alive)
		return;
	if (elected)
		own_event(sim, controller, EVENT_CONTROLLER_TAKE, 0);
	else
		leave(sim, controller);
}

void sim_controller_event(struct sim *sim, const struct event *event)
{
	struct sim_controller *controller = &sim->controllers[event->to.number];

	if (event->to.life != 0 && event->epoch != controller->office)
		return;
	switch (event->kind) {
	case EVENT_CONTROLLER_START:
		sim_controller_start(sim, event->to.number);
		break;
	case EVENT_CONTROLLER_ELECT:
		if (!sim->calm)
			sim_controller_elect(sim, event->to.number, event->good);
		break;
	case EVENT_CONTROLLER_TAKE:
		take(sim, controller);
		break;
	case EVENT_CONTROLLER_READ:
		read_all(sim, controller);
		break;
	case EVENT_CONTROLLER_FENCE:
		fence(sim, controller);
		own_event(sim, controller, EVENT_CONTROLLER_TURN, 0);
		break;
	case EVENT_CONTROLLER_TURN:
		if (event->serial == 0 || event->serial == controller->turn)
			turn(sim, controller);
		break;
	case EVENT_CONTROLLER_POLL:
		poll_all(sim, controller);
		break;
	case EVENT_CONTROLLER_REPORT:
		reported(sim, controller, event);
		break;
	case EVENT_CONTROLLER_END:
		end_read(sim, controller, event);
		break;
	default: /* EVENT_CONTROLLER_RESULT */
		if (controller->acting)
			finish(sim, controller, event);
		break;
	}
}
