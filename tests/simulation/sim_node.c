/* The shell of a node: opens replicas as the records say, passes batches on, stores, merges and searches. */
#include "shard/core/holdings.h"
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <stdio.h>

#define CLUSTER_ID "simulated"
#define MERGES_MAX 4
#define SLICES_MAX 4
#define STEPS_MAX 40

static struct event *own_event(struct sim *sim, struct sim_node *node, uint32_t shard, enum event_kind kind,
                               int64_t in_ms)
{
	struct event *event = sim_own_event(sim, sim_node_peer(sim, node), kind, in_ms);

	event->shard = shard;
	return event;
}

/* Compares with what the disk had by our own count, and takes over what is true from now on. */
static void check_opened(struct sim *sim, struct sim_replica *held, uint32_t shard, bool empty)
{
	const struct sim_log *log = &sim->logs[shard];
	struct sim_image *image = &held->image;
	struct replica_status status;

	replica_status(held->replica, &status);
	if (empty) {
		image->stored_durable = log->base;
		image->log_life = log->life;
		if (status.received != log->base || status.documents != 0)
			sim_violate(sim, "an empty replica begins at base",
			            "shard %u: received %lld, base %lld", shard, (long long)status.received,
			            (long long)log->base);
	} else if (status.received < image->stored_durable || status.stored != status.received ||
	           !incarnation_equal(status.incarnation, image->incarnation)) {
		sim_violate(sim, "a restart finds what was stored",
		            "shard %u: received %lld, stored %lld, before the crash stored %lld", shard,
		            (long long)status.received, (long long)status.stored,
		            (long long)image->stored_durable);
	}
	if (log->life > image->log_life && status.stored <= log->cut)
		image->log_life = log->life;
	image->incarnation = status.incarnation;
	image->stored_durable = status.stored;
	held->log_life = image->log_life;
	held->received = status.received;
	held->level_floor = log->end;
	held->letters_seen = 0;
	held->applied = 0;
	held->commits_seen = image->disk.commits;
}

static void open_replica(struct sim *sim, struct sim_node *node, uint32_t shard)
{
	struct sim_replica *held = &node->replicas[shard];
	bool empty = sim_disk_is_empty(&held->image.disk);
	struct replica_identity identity = {
		.cluster_id = CLUSTER_ID,
		.index_id = sim->index.id,
		.generation = sim->index.generation,
		.partition = (int32_t)shard,
		.base = sim->index.base[shard],
		.rules_digest = rules_digest(&sim->index.rules),
		.incarnation = {{++sim->serial, 77}},
		.document_bytes_max = sim->index.rules.document_bytes_max,
		.dedup_window = sim->index.rules.dedup_window,
	};
	struct error error;

	held->kv = sim_kv_open(&held->image.disk);
	held->opened = ++sim->serial;
	if (replica_open(held->kv, &identity, held->opened, &held->replica, &error) != 0) {
		kv_close(held->kv);
		held->replica = NULL;
		sim_violate(sim, "a replica opens after a crash", "%s, shard %u: %s", node->id, shard,
		            error.text);
		return;
	}
	check_opened(sim, held, shard, empty);
	sim_trace(sim, "%s, shard %u: replica opened at %lld%s, incarnation %llu", node->id, shard,
	          (long long)held->received, empty ? ", empty" : "",
	          (unsigned long long)held->image.incarnation.word[0]);
	check_content(sim, held, shard);
	own_event(sim, node, shard, EVENT_NODE_STORE, sim_delay(sim, sim->swarm.store_ms_max))->serial =
		held->opened;
}

static void close_replica(struct sim_replica *held)
{
	struct error error;

	if (held->replica == NULL)
		return;
	held->image.disk.dead = true; /* what closing might write does not count */
	(void)error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the process ends");
	if (held->job != NULL)
		replica_store_end(held->replica, held->job, error.code, &error);
	if (held->compaction != NULL)
		replica_compact_end(held->replica, held->compaction, error.code, &error);
	held->job = NULL;
	held->compaction = NULL;
	replica_close(held->replica);
	held->replica = NULL;
	sim_disk_revive(&held->image.disk);
}

void sim_node_crash(struct sim *sim, struct sim_node *node)
{
	node->process.alive = false;
	sim_view_close(&node->process.view);
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++)
		close_replica(&node->replicas[shard]);
}

/* In the middle of some work of its own; it is started again. */
static void crash_inside(struct sim *sim, struct sim_node *node, enum fault fault)
{
	sim_count(sim, fault, node, NULL);
	sim_node_crash(sim, node);
	sim_own_event(sim, (struct peer){PROCESS_NODE, (uint32_t)(node - sim->nodes), 0}, EVENT_NODE_START,
	              1 + sim_delay(sim, 300));
}

static struct holding holding_of(const struct sim *sim, const struct sim_node *node, uint32_t shard)
{
	const struct sim_replica *held = &node->replicas[shard];

	return (struct holding){
		.index_id = sim->index.id,
		.generation = sim->index.generation,
		.partition = (int32_t)shard,
		.on_disk = held->replica != NULL || !sim_disk_is_empty(&held->image.disk),
	};
}

static void drop(struct sim *sim, struct sim_node *node, uint32_t shard)
{
	struct sim_replica *held = &node->replicas[shard];

	check_dropped(sim, node, shard);
	close_replica(held);
	sim_disk_wipe(&held->image.disk);
	sim_trace(sim, "%s, shard %u: replica dropped", node->id, shard);
	tally_add(&sim->tally->dropped, 1);
}

static void obey(struct sim *sim, struct sim_node *node, uint32_t shard, enum holding_verdict verdict)
{
	switch (verdict) {
	case HOLDING_CREATE:
	case HOLDING_KEEP:
		if (node->replicas[shard].replica == NULL)
			open_replica(sim, node, shard);
		break;
	case HOLDING_DROP:
		drop(sim, node, shard);
		break;
	case HOLDING_REFUSE:
		sim_trace(sim, "%s refuses to run: records of shard %u are missing", node->id, shard);
		node->refused = true;
		break;
	case HOLDING_NONE:
	case HOLDING_AWAIT: /* nobody restores here */
		break;
	case HOLDING_HOLD:
		close_replica(&node->replicas[shard]);
		break;
	}
}

void sim_node_decide(struct sim *sim, struct sim_node *node)
{
	struct error reason;

	for (uint32_t shard = 0; shard < sim->swarm.shards && !node->refused; shard++) {
		struct holding holding = holding_of(sim, node, shard);

		obey(sim, node, shard,
		     holding_decide(node->process.view.catalog, node->id, &holding, &reason));
	}
	if (node->refused)
		sim_node_crash(sim, node);
}

void sim_node_start(struct sim *sim, uint32_t number)
{
	struct sim_node *node = &sim->nodes[number];

	if (node->process.alive || node->refused)
		return;
	node->process = (struct process){.alive = true, .life = (uint32_t)++sim->serial, .paused_ms = -1};
	sim_trace(sim, "%s starts", node->id);
	sim_view_open(sim, &node->process.view);
	sim_node_decide(sim, node);
}

struct serving_shard sim_node_serving(const struct sim *sim, const struct sim_node *node, uint32_t shard)
{
	const struct sim_replica *held = &node->replicas[shard];
	struct holding holding = holding_of(sim, node, shard);
	struct serving_shard serving = {.held = holding.on_disk, .state = REPLICA_STATE_STOPPED};
	struct replica_status status;

	if (held->replica == NULL)
		return serving;
	replica_status(held->replica, &status);
	serving.state = status.state;
	serving.received = status.received;
	serving.recorded =
		serving_recorded(node->process.view.catalog, node->id, &holding, status.incarnation);
	return serving;
}

bool sim_node_serves(const struct sim *sim, const struct sim_node *node, uint32_t shard)
{
	struct serving_shard serving = sim_node_serving(sim, node, shard);

	return serving_of(&serving, false) == SERVING_ACTIVE;
}

/* Like a restart, but with everything that was received. */
void sim_node_wake(struct sim *sim, struct sim_node *node)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct sim_replica *held = &node->replicas[shard];

		if (held->replica == NULL)
			continue;
		replica_pause(held->replica, ++sim->serial);
		held->level_floor = sim->logs[shard].end;
	}
	sim_trace(sim, "%s has stood still", node->id);
}

/* Operations of the range that the replica must apply, by our own count. */
static uint64_t count_applicable(struct sim *sim, const struct range *range, int64_t received)
{
	struct error error;
	struct op op;
	uint64_t count = 0;
	size_t at = 0;
	int rc;

	while ((rc = range_next(range, &at, &op, &error)) > 0)
		count += op.offset >= received;
	if (rc < 0)
		sim_violate(sim, "batches are well-formed", "%s", error.text);
	return count;
}

/* Some reads of the store fail; nothing else may. */
static int receive_with_faults(struct sim *sim, struct sim_replica *held, const struct range *range,
                               struct range_answer *answer, struct error *error)
{
	bool armed = !sim->calm && held->job == NULL && sim->swarm.faults[FAULT_STORE_ERROR] &&
	             dice_chance(&sim->dice, 50);
	int rc;

	if (armed)
		sim_disk_arm(&held->image.disk, SIM_DISK_FAULT_ERROR, dice_below(&sim->dice, 8));
	rc = replica_receive(held->replica, range, answer, error);
	if (armed && held->image.disk.fault_hit)
		sim_count(sim, FAULT_STORE_ERROR, NULL, NULL);
	else if (rc != 0)
		sim_violate(sim, "a range is received", "%s", error->text);
	if (armed)
		sim_disk_arm(&held->image.disk, SIM_DISK_FAULT_NONE, 0);
	return rc;
}

static void receive(struct sim *sim, struct sim_node *node, const struct range *range,
                    struct range_answer *answer)
{
	struct sim_replica *held = &node->replicas[range->partition];
	struct replica_status before;
	struct error error;
	uint64_t applicable;
	int rc;

	replica_status(held->replica, &before);
	replica_answer(held->replica, answer);
	if (before.memory_bytes >= sim->swarm.node_memory_bytes && range->to > before.received) {
		answer->result = RANGE_RESULT_BUSY;
		return;
	}
	applicable = count_applicable(sim, range, before.received);
	rc = receive_with_faults(sim, held, range, answer, &error);
	if (rc != 0) {
		replica_answer(held->replica, answer);
		answer->result = RANGE_RESULT_BUSY;
		return;
	}
	if (answer->result == RANGE_RESULT_REFUSED && range->rules_digest != rules_digest(&sim->index.rules))
		tally_add(&sim->tally->refused_rules, 1);
	if (answer->result != RANGE_RESULT_APPLIED)
		return;
	if (!incarnation_equal(range->incarnation, held->image.incarnation))
		sim_violate(sim, "a range for another incarnation is refused", "shard %d", range->partition);
	held->applied += applicable;
	tally_add(&sim->tally->ranges_applied, 1);
	sim_trace(sim, "%s, shard %d: received [%lld, %lld), %u operations", node->id, range->partition,
	          (long long)range->from, (long long)range->to, range->ops_len);
}

static void take_batch(struct sim *sim, struct sim_node *node, struct slice frame, struct buffer *answers)
{
	struct batch_reader batch;
	struct batch_writer writer;
	struct range range;
	struct error error;
	int rc = batch_open(&batch, frame, &error);

	batch_answer_begin(&writer, answers, rc == 0 ? batch.batch_id : 0);
	while (rc >= 0 && node->process.alive && (rc = batch_next(&batch, &range, &error)) > 0) {
		struct range_answer answer = {.index_id = range.index_id,
		                              .partition = range.partition,
		                              .result = RANGE_RESULT_UNKNOWN,
		                              .anchor = {.offset = -1}};

		if (node->replicas[range.partition].replica != NULL)
			receive(sim, node, &range, &answer);
		batch_answer_add(&writer, &answer);
		if (!sim->calm && sim->swarm.faults[FAULT_NODE_CRASH] && dice_chance(&sim->dice, 4))
			crash_inside(sim, node, FAULT_NODE_CRASH);
	}
	if (rc < 0)
		sim_violate(sim, "batches are well-formed", "%s", error.text);
	if (!batch_answer_end(&writer))
		sim_violate(sim, "a batch is answered", "out of memory");
}

static void batch(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct buffer answers;

	if (event->log_cuts != sim->log_cuts)
		return;
	if (!node->process.alive) {
		sim_net_answer(sim, event, (struct slice){0}); /* connection refused */
		return;
	}
	buffer_init(&answers, 1 << 20);
	take_batch(sim, node, event->frame, &answers);
	sim_net_answer(sim, event, node->process.alive ? buffer_slice(&answers) : (struct slice){0});
	buffer_deinit(&answers);
	memset((void *)(uintptr_t)event->frame.ptr, 0xdd, event->frame.len);
}

/* `node` answers at an address; that it is another one than the asker meant, it says. */
static void ask(struct sim *sim, struct sim_node *node, const struct event *event)
{
	struct event *answer = sim_own_event(sim, event->from, EVENT_INGEST_ASKED,
	                                     1 + sim_delay(sim, sim->swarm.delay_ms_max));
	const struct replica *replica = node->replicas[event->shard].replica;

	answer->shard = event->shard;
	answer->slot = event->slot;
	answer->node = event->node;
	answer->epoch = event->epoch;
	answer->serial = event->serial;
	answer->good = node->process.alive && event->node == event->to.number &&
	               (sim->calm || !dice_chance(&sim->dice, sim->swarm.lost_permille)) &&
	               sim_net_passes(sim, event->to, event->from);
	answer->answer = (struct range_answer){.result = RANGE_RESULT_UNKNOWN, .anchor = {.offset = -1}};
	if (answer->good && replica != NULL)
		replica_answer(replica, &answer->answer);
}

/* Between the steps of a store. */
static int64_t job_delay(struct sim *sim)
{
	return sim_delay(sim, sim->calm ? 5 : sim->swarm.job_ms_max);
}

/* After the writer has written: what is on disk now, or the end of the process. False if it has ended. */
static bool written(struct sim *sim, struct sim_node *node, struct sim_replica *held, uint32_t shard)
{
	struct sim_disk *disk = &held->image.disk;

	if (disk->fault_hit && !disk->dead)
		sim_count(sim, disk->full ? FAULT_STORE_FULL : FAULT_STORE_ERROR, node, NULL);
	sim_disk_arm(disk, SIM_DISK_FAULT_NONE, 0); /* whether it struck or not */
	if (disk->commits != held->commits_seen)
		check_stored(sim, held, shard, !sim->swarm.lean || dice_chance(&sim->dice, 300));
	if (disk->dead)
		crash_inside(sim, node, FAULT_STORE_DIE);
	return node->process.alive;
}

/* One slice; its end at once where there is no more to do. False if that was the end of the process. */
static bool slice(struct sim *sim, struct sim_node *node, struct sim_replica *held, uint32_t shard)
{
	size_t steps = 1 + dice_below(&sim->dice, STEPS_MAX);
	struct error error = {.code = 0};
	bool struck;
	bool more = true;
	int rc;

	sim_disk_arm(&held->image.disk, held->run_fault, held->run_fault_in);
	held->run_fault = SIM_DISK_FAULT_NONE;
	rc = replica_compact_run(held->compaction, steps, &more, &error);
	struck = held->image.disk.fault_hit || held->image.disk.full;
	tally_add(&sim->tally->slices, 1);
	sim_trace(sim, "%s, shard %u: slice %s", node->id, shard, rc == 0 ? "written" : error.text);
	if (rc != 0 && !struck)
		sim_violate(sim, "a slice succeeds", "%s", error.text);
	if (!written(sim, node, held, shard))
		return false;
	if (rc == 0 && more)
		return true;
	replica_compact_end(held->replica, held->compaction, rc, &error);
	held->compaction = NULL;
	tally_add(&sim->tally->compactions, rc == 0);
	if (dice_chance(&sim->dice, 250))
		check_content(sim, held, shard);
	return true;
}

/* Some slices between two stores; a compaction may be given up. False if the process has ended. */
static bool compact(struct sim *sim, struct sim_node *node, struct sim_replica *held, uint32_t shard)
{
	struct replica_status status;

	replica_status(held->replica, &status);
	replica_rest(held->replica, status.received == status.stored);
	for (int i = 0; i < SLICES_MAX && dice_chance(&sim->dice, 700); i++) {
		if (held->compaction == NULL)
			held->compaction = replica_compact_begin(held->replica);
		if (held->compaction == NULL)
			return true;
		if (!slice(sim, node, held, shard))
			return false;
	}
	if (held->compaction == NULL || !dice_chance(&sim->dice, 30))
		return true;
	replica_compact_end(held->replica, held->compaction, 0, NULL);
	held->compaction = NULL;
	return true;
}

static void store_begin(struct sim *sim, struct sim_node *node, struct sim_replica *held, uint32_t shard)
{
	if (held->job == NULL && !compact(sim, node, held, shard))
		return;
	for (int i = 0; i < MERGES_MAX && dice_chance(&sim->dice, 500); i++)
		(void)replica_merge(held->replica);
	if (dice_chance(&sim->dice, sim->swarm.search_permille))
		check_search(sim, held, shard);
	if (held->job == NULL) {
		held->job = replica_store_begin(held->replica);
		held->job_ran = false;
		if (held->job != NULL)
			own_event(sim, node, shard, EVENT_NODE_STORE_RUN, job_delay(sim))->serial =
				held->opened;
	}
	own_event(sim, node, shard, EVENT_NODE_STORE,
	          1 + sim_delay(sim, sim->calm ? 200 : sim->swarm.store_ms_max))
		->serial = held->opened;
}

static void store_run(struct sim *sim, struct sim_node *node, struct sim_replica *held, uint32_t shard)
{
	sim_disk_arm(&held->image.disk, held->run_fault, held->run_fault_in);
	held->run_fault = SIM_DISK_FAULT_NONE;
	held->job_result = replica_store_run(held->job, &held->job_error);
	held->job_ran = true;
	tally_add(&sim->tally->stores, 1);
	sim_trace(sim, "%s, shard %u: store %s", node->id, shard,
	          held->job_result == 0 ? "written" : held->job_error.text);
	if (held->job_result != 0 && !held->image.disk.fault_hit && !held->image.disk.full)
		sim_violate(sim, "a store succeeds", "%s", held->job_error.text);
	if (written(sim, node, held, shard))
		own_event(sim, node, shard, EVENT_NODE_STORE_END, job_delay(sim))->serial = held->opened;
}

static void store_end(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	struct replica_status status;

	replica_store_end(held->replica, held->job, held->job_result, &held->job_error);
	held->job = NULL;
	replica_status(held->replica, &status);
	if (status.stored != held->image.stored_durable)
		sim_violate(sim, "stored is what is on disk", "shard %u: says %lld, the disk %lld", shard,
		            (long long)status.stored, (long long)held->image.stored_durable);
	if (dice_chance(&sim->dice, 250))
		check_content(sim, held, shard);
}

void sim_node_event(struct sim *sim, const struct event *event)
{
	struct sim_node *node = &sim->nodes[event->to.number];
	struct sim_replica *held = &node->replicas[event->shard];
	bool mine = held->replica != NULL && held->opened == event->serial;

	switch (event->kind) {
	case EVENT_NODE_START:
		sim_node_start(sim, event->to.number);
		break;
	case EVENT_NODE_BATCH:
		batch(sim, node, event);
		break;
	case EVENT_NODE_ASK:
		ask(sim, node, event);
		break;
	case EVENT_NODE_MARKS:
		sim_fill_answer(sim, node, event);
		break;
	case EVENT_NODE_REPORT:
		sim_node_report(sim, node, event);
		break;
	case EVENT_NODE_SEARCH:
		sim_search_answer(sim, node, event);
		break;
	case EVENT_NODE_STORE:
		if (mine)
			store_begin(sim, node, held, event->shard);
		break;
	case EVENT_NODE_STORE_RUN:
		if (mine && held->job != NULL)
			store_run(sim, node, held, event->shard);
		break;
	default: /* EVENT_NODE_STORE_END */
		if (mine && held->job != NULL)
			store_end(sim, held, event->shard);
		break;
	}
}
