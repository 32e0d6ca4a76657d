/* Requests of people: indexes that come and go beside the one whose logs are simulated; and nodes' reports. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>

#define REQUESTS_MAX 100

static void add_request(struct sim *sim, struct task_request *request)
{
	struct buffer value;

	(void)snprintf(request->nonce, sizeof request->nonce, "%016" PRIx64 "%016" PRIx64,
	               dice_next(&sim->dice), dice_next(&sim->dice));
	request->enqueued_at_ms = sim->now_ms;
	buffer_init(&value, 1 << 16);
	task_request_write(&value, request);
	ASSERT(!buffer_failed(&value));
	sim_topology_write(sim, SIM_TOPIC_TASKS, slice_of(NULL, 0), buffer_slice(&value));
	buffer_deinit(&value);
	tally_add(&sim->tally->requests, 1);
}

static void add_name(struct sim *sim)
{
	struct buffer value;

	buffer_init(&value, 1 << 16);
	catalog_write_names(&value, sim->truth.catalog, 0, slice_string(sim->index.uid), sim->index.id);
	ASSERT(!buffer_failed(&value));
	sim_topology_write(sim, SIM_TOPIC_META, slice_string("names"), buffer_slice(&value));
	buffer_deinit(&value);
}

/* Task 0 made the simulated index, before the schedule begins. */
void sim_requests_begin(struct sim *sim)
{
	struct task_request request = {.type = TASK_TYPE_INDEX_CREATION,
	                               .primary_key = "id",
	                               .partitions = sim->index.partitions,
	                               .partitioner = sim->index.partitioner};
	struct task_final final = {.task = 0, .succeeded = true};
	struct sim_other *ours = sim_other_topic(sim, sim->index.topic);
	struct buffer value;

	(void)snprintf(request.uid, sizeof request.uid, "%s", sim->index.uid);
	add_request(sim, &request);
	add_name(sim);
	buffer_init(&value, 1 << 16);
	task_final_write(&value, &final);
	ASSERT(!buffer_failed(&value));
	sim_topology_write(sim, SIM_TOPIC_TASK_STATES, slice_string("0"), buffer_slice(&value));
	buffer_deinit(&value);
	ours->exists = true;
	ours->partitions = sim->index.partitions;
	sim_event(sim, EVENT_REQUEST, sim_delay(sim, sim->swarm.request_ms_max));
	sim_own_event(sim, (struct peer){PROCESS_CONTROLLER, 0, 0}, EVENT_CONTROLLER_ELECT,
	              sim_delay(sim, 100))
		->good = true;
}

void sim_request(struct sim *sim)
{
	static const char *const uids[] = {"other", "third"};
	struct task_request request = {.type = dice_chance(&sim->dice, 500) ? TASK_TYPE_INDEX_CREATION
	                                                                    : TASK_TYPE_INDEX_DELETION,
	                               .primary_key = "id",
	                               .partitions = (int32_t)dice_between(&sim->dice, 1, 3),
	                               .partitioner = PARTITIONER_MURMUR2};

	if (sim->calm || sim->topics[SIM_TOPIC_TASKS].len + 2 >= REQUESTS_MAX)
		return;
	if (sim->now_ms >= sim->kafka_down_until_ms) {
		(void)snprintf(request.uid, sizeof request.uid, "%s", uids[dice_below(&sim->dice, 2)]);
		add_request(sim, &request);
		sim_trace(sim, "request: %s %s", task_type_name(request.type), request.uid);
	}
	sim_event(sim, EVENT_REQUEST, sim_delay(sim, sim->swarm.request_ms_max));
}

void sim_request_skip(struct sim *sim, uint32_t shard, int64_t offset)
{
	struct task_request request = {.type = TASK_TYPE_RECORD_SKIP,
	                               .index_id = sim->index.id,
	                               .partition = (int32_t)shard,
	                               .offset = offset,
	                               .reason = "ingest died of it"};

	(void)snprintf(request.uid, sizeof request.uid, "%s", sim->index.uid);
	add_request(sim, &request);
	sim_trace(sim, "request: skip %lld of shard %u", (long long)offset, shard);
}

struct sim_other *sim_other_topic(struct sim *sim, const char *topic)
{
	struct sim_other *other;

	for (size_t i = 0; i < sim->others_len; i++)
		if (strcmp(sim->others[i].topic, topic) == 0)
			return &sim->others[i];
	ASSERT(sim->others_len < OTHERS_MAX);
	other = &sim->others[sim->others_len++];
	(void)snprintf(other->topic, sizeof other->topic, "%s", topic);
	return other;
}

void sim_node_record(const struct sim *sim, uint32_t number, struct node_record *record)
{
	*record = (struct node_record){0};
	memcpy(record->id, sim->nodes[number].id, sizeof sim->nodes[number].id);
	(void)snprintf(record->group, sizeof record->group, "g0");
	(void)snprintf(record->url, sizeof record->url, "http://%s", sim->nodes[number].id);
}

static void report_replica(const struct sim *sim, const struct sim_replica *held, uint32_t shard,
                           struct replica_report *report)
{
	static const enum report_state states[] = {[REPLICA_STATE_RECOVERING] = REPORT_STATE_RECOVERING,
	                                           [REPLICA_STATE_ACTIVE] = REPORT_STATE_ACTIVE,
	                                           [REPLICA_STATE_STOPPED] = REPORT_STATE_STOPPED};
	struct replica_status status = {.state = REPLICA_STATE_STOPPED};
	struct seal seals[REPLICA_SEALS_MAX];

	*report = (struct replica_report){.index_id = sim->index.id,
	                                  .generation = sim->index.generation,
	                                  .partition = (int32_t)shard,
	                                  .settings = -1};
	if (held->replica != NULL) {
		replica_status(held->replica, &status);
		report->seals_len = replica_seals(held->replica, seals);
	}
	report->state = states[status.state];
	report->incarnation = status.incarnation;
	report->session = status.session;
	report->received = status.received;
	report->stored = status.stored;
	report->digest = status.digest;
	for (size_t i = 0; i < report->seals_len; i++)
		report->seals[i] = (struct report_seal){seals[i].offset, seals[i].digest};
}

void sim_node_report(struct sim *sim, const struct sim_node *node, const struct event *event)
{
	struct node_report *report = arena_alloc(&sim->arena, sizeof *report);
	struct replica_report *replicas = arena_alloc(&sim->arena, SHARDS_MAX * sizeof *replicas);
	struct event *answer;

	ASSERT(report != NULL && replicas != NULL);
	if (!sim_net_passes(sim, event->to, event->from))
		return;
	answer = sim_own_event(sim, event->from, EVENT_CONTROLLER_REPORT,
	                       1 + sim_delay(sim, sim->calm ? 5 : sim->swarm.delay_ms_max));
	answer->node = event->node;
	answer->epoch = event->epoch;
	answer->offset = event->offset;
	answer->serial = event->serial;
	if (!node->process.alive)
		return; /* refused */
	*report = (struct node_report){.node = sim->nodes[event->node].id,
	                               .asked_ms = event->offset,
	                               .incarnation = node->incarnation,
	                               .session = node->process.life,
	                               .format = REPLICA_FORMAT,
	                               .kafka = "simulated",
	                               .ready = true,
	                               .replicas = replicas};
	memcpy(report->id, node->id, sizeof node->id);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		if (node->replicas[shard].replica != NULL ||
		    !sim_disk_is_empty(&node->replicas[shard].image.disk))
			report_replica(sim, &node->replicas[shard], shard, &replicas[report->replicas_len++]);
	answer->report = report;
}
