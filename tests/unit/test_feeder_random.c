/*
 * Feeder: random schedules against a plain model. Two feeders, neither knowing
 * of the other, feed three replicas from one log of repeated, conflicting,
 * imported, broken and skipped records. Replicas crash, lose everything and
 * leave; answers, pages and acknowledgements are late or lost; feeders die;
 * stores fail. Whenever a replica has received a range it is compared with the
 * fold of the log up to there, which judges each record by looking back over
 * the log itself.
 */
#include "tests/unit/feeder_world.h"

#define WAITING_MAX 256
#define FEEDERS 2
#ifndef SCHEDULES /* more for a night */
#define SCHEDULES 20
#endif
#define STEPS 3000
#define SETTLE_STEPS 60000

enum task_kind {
	TASK_KIND_NONE = 0,
	TASK_KIND_ASK,
	TASK_KIND_FILL,
	TASK_KIND_LETTER,
	TASK_KIND_SEND
};

/* Something that a feeder waits for. */
struct task {
	enum task_kind kind;
	struct feeder_action action;
	bool early; /* ASK: the replica has answered already */
	struct range_answer answer;
};

struct driver {
	struct feeder *feeder;
	uint32_t slot;
	struct task tasks[WAITING_MAX];
	bool reading[FEEDER_LANES];
	int64_t position[FEEDER_LANES];
	struct shelf shelves[FEEDER_LANES];
};

static struct driver drivers[FEEDERS];

/* ---- feeders ---- */

static struct window_store shelf_of_driver(void *context, uint32_t reader)
{
	struct driver *driver = context;
	struct shelf *shelf = &driver->shelves[FEEDER_READER_LANE(reader)];
	struct window_store store;

	CHECK(shelf_is_empty(shelf));
	store = store_of(shelf);
	if (!world.settling && chance(30))
		shelf->puts_left = 0;
	return store;
}

static void wait_for(struct driver *driver, const struct task *task)
{
	for (size_t i = 0; i < WAITING_MAX; i++) {
		if (driver->tasks[i].kind != TASK_KIND_NONE)
			continue;
		driver->tasks[i] = *task;
		return;
	}
	CHECK(false);
}

static void take_ask(struct driver *driver, const struct feeder_action *action)
{
	struct task task = {.kind = TASK_KIND_ASK, .action = *action, .early = chance(50)};

	if (task.early)
		task.answer = answer_of_replica(&world.replicas[action->node], RANGE_RESULT_ALREADY);
	wait_for(driver, &task);
}

static void take_letter(struct driver *driver, const struct feeder_action *action)
{
	struct task task = {.kind = TASK_KIND_LETTER, .action = *action};
	const struct entry *entry = entry_at(action->offset);

	CHECK(entry != NULL && entry->letter);
	CHECK((action->refusal.code == REFUSAL_SKIPPED) == entry->skipped);
	CHECK((action->refusal.code == REFUSAL_IDEMPOTENCY_KEY_REUSED) == counts(entry));
	wait_for(driver, &task);
}

static void drain(struct driver *driver)
{
	struct feeder_action action;

	while (feeder_next_action(driver->feeder, &action)) {
		enum feeder_lane lane = FEEDER_READER_LANE(action.reader);

		switch (action.kind) {
		case FEEDER_ACTION_ASK:
			take_ask(driver, &action);
			break;
		case FEEDER_ACTION_START:
			driver->reading[lane] = true;
			driver->position[lane] = action.offset;
			break;
		case FEEDER_ACTION_HALT:
			driver->reading[lane] = false;
			break;
		case FEEDER_ACTION_DEAD_LETTER:
			take_letter(driver, &action);
			break;
		case FEEDER_ACTION_SEND:
			wait_for(driver, &(struct task){.kind = TASK_KIND_SEND, .action = action});
			break;
		case FEEDER_ACTION_COMMIT:
			world.committed = action.offset > world.committed ? action.offset : world.committed;
			break;
		case FEEDER_ACTION_FILL:
			world.fills_seen++;
			wait_for(driver, &(struct task){.kind = TASK_KIND_FILL, .action = action});
			break;
		case FEEDER_ACTION_REPORT:
			CHECK(action.state != FEEDER_STATE_STOPPED);
			break;
		}
	}
}

static void set_members(struct driver *driver)
{
	struct feeder_replica replicas[REPLICAS];
	size_t len = 0;
	uint32_t first = dice(REPLICAS);

	for (uint32_t i = 0; i < REPLICAS; i++)
		if (i == first || world.settling || chance(70))
			replicas[len++] = (struct feeder_replica){
				.node = i, .in_sync = i == first || world.settling || chance(60)};
	feeder_set_replicas(driver->feeder, driver->slot, replicas, len, world.now_ms);
}

static void start_feeder(struct driver *driver)
{
	struct feeder_options options = {
		.memory_bytes_max = chance(50) ? 60000 : 1 << 20,
		.batch_bytes_max = 1U << (8 + dice(12)),
		.shelf = shelf_of_driver,
		.shelf_context = driver,
	};
	static const char *const names[REPLICAS] = {"n1", "n2", "n3"};
	static const char *const rules[] = {"adaptive", "immediate", "batched{7}", "periodic{20}"};
	struct index_record index = judging_index(world.window);
	int64_t base = BASE;
	struct error error;
	uint32_t node;

	memset(driver->tasks, 0, sizeof driver->tasks);
	memset(driver->reading, 0, sizeof driver->reading);
	CHECK(flush_rule_parse(rules[dice(4)], &options.flush));
	index.base = &base;
	driver->feeder = feeder_new(&options, ++world.lives << 20);
	CHECK(driver->feeder != NULL);
	for (uint32_t i = 0; i < REPLICAS; i++)
		CHECK(feeder_add_node(driver->feeder, names[i], &node, &error) == 0 && node == i);
	CHECK(feeder_add_shard(driver->feeder, &index, 0, world.now_ms, &driver->slot, &error) == 0);
	CHECK(feeder_set_skips(driver->feeder, driver->slot, world.skips, world.skips_len, &error) == 0);
	set_members(driver);
	drain(driver);
}

static void stop_feeder(struct driver *driver)
{
	struct feeder_status status;

	if (feeder_shard_status(driver->feeder, driver->slot, &status))
		world.duplicates_seen += status.duplicates;
	feeder_free(driver->feeder);
	driver->feeder = NULL;
}

/* ---- what happens ---- */

static void answer_ask(struct driver *driver, const struct task *task)
{
	struct feeder_question question = {driver->slot, task->action.node, task->action.epoch};
	struct feeder_asked asked = {
		.replica_answered = world.settling || chance(90),
		.replica = task->early ? task->answer
	                               : answer_of_replica(&world.replicas[task->action.node],
	                                                   RANGE_RESULT_ALREADY),
		.committed = world.committed,
		.log_start = BASE,
		.log_end = world.end,
	};

	feeder_asked(driver->feeder, &question, &asked, world.now_ms);
}

static void answer_fill(struct driver *driver, const struct feeder_action *action)
{
	const struct replica *replica = &world.replicas[action->node];
	struct feeder_fill fill = {driver->slot, action->reader, action->epoch};
	struct marks_page page;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	write_page(&frame, replica, action->offset);
	CHECK(marks_open(&page, buffer_slice(&frame), &error) == 0);
	feeder_filled(driver->feeder, &fill, world.settling || chance(70) ? &page : NULL, world.now_ms);
	buffer_deinit(&frame);
}

static void answer_letter(struct driver *driver, const struct feeder_action *action)
{
	struct feeder_receipt receipt = {driver->slot, action->epoch, action->offset,
	                                 world.settling || chance(90)};

	entry_at(action->offset)->acknowledged |= receipt.acknowledged;
	feeder_dead_lettered(driver->feeder, &receipt, world.now_ms);
}

/* The batch arrives or not, its answer too. */
static void answer_send(struct driver *driver, const struct feeder_action *action)
{
	struct replica *replica = &world.replicas[action->node];
	struct batch_reader reader;
	struct batch_writer writer;
	struct buffer frame;
	struct range range;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	if (world.settling || chance(90)) {
		CHECK(batch_open(&reader, action->frame, &error) == 0);
		batch_answer_begin(&writer, &frame, reader.batch_id);
		while (batch_next(&reader, &range, &error) == 1) {
			struct range_answer answer = answer_of_replica(replica, receive(replica, &range));

			answer.received = replica->received;
			answer = answer_of_replica(replica, answer.result);
			batch_answer_add(&writer, &answer);
		}
		CHECK(batch_answer_end(&writer));
		if (!world.settling && chance(10))
			buffer_clear(&frame);
	}
	feeder_answered(driver->feeder, action->node, action->batch_id, buffer_slice(&frame), world.now_ms);
	buffer_deinit(&frame);
}

/* One of the things that the feeder waits for; false if it waits for none. */
static bool finish_task(struct driver *driver)
{
	size_t first = dice(WAITING_MAX);

	for (size_t i = 0; i < WAITING_MAX; i++) {
		struct task *at = &driver->tasks[(first + i) % WAITING_MAX];
		struct task task = *at;

		if (task.kind == TASK_KIND_NONE)
			continue;
		at->kind = TASK_KIND_NONE;
		if (task.kind == TASK_KIND_ASK)
			answer_ask(driver, &task);
		else if (task.kind == TASK_KIND_FILL)
			answer_fill(driver, &task.action);
		else if (task.kind == TASK_KIND_LETTER)
			answer_letter(driver, &task.action);
		else
			answer_send(driver, &task.action);
		return true;
	}
	return false;
}

/* The reader's next record, as a copy that is worthless afterwards. */
static void read_next(struct driver *driver, enum feeder_lane lane)
{
	uint32_t reader = FEEDER_READER(driver->slot, lane);
	int64_t offset = driver->position[lane];
	struct error error;

	if (!driver->reading[lane] || !feeder_wants(driver->feeder, reader))
		return;
	while (offset < world.end && entry_at(offset) == NULL)
		offset++;
	if (offset == world.end) {
		driver->position[lane] = offset;
		feeder_end(driver->feeder, reader, offset, world.now_ms);
		return;
	}
	if (feeder_record(driver->feeder, reader, &entry_at(offset)->record, world.now_ms, &error) != 0) {
		CHECK(error.code == ERROR_STORAGE);
		driver->shelves[lane].puts_left = chance(50) ? -1 : 0;
		return; /* offered again */
	}
	driver->position[lane] = offset + 1;
}

static void read_some(struct driver *driver)
{
	enum feeder_lane lane = chance(60) ? FEEDER_LANE_LIVE : FEEDER_LANE_BEHIND;

	for (uint32_t i = 1 + dice(12); i > 0; i--) {
		read_next(driver, lane);
		drain(driver);
	}
}

/* What nobody wants to happen. */
static void disturb(struct driver *driver)
{
	struct replica *replica = &world.replicas[dice(REPLICAS)];

	switch (dice(7)) {
	case 0:
	case 1:
		crash(replica);
		break;
	case 2:
		if (chance(20))
			wipe(replica);
		break;
	case 3:
		set_members(driver);
		break;
	case 4:
		if (chance(20)) {
			stop_feeder(driver);
			start_feeder(driver);
		}
		break;
	case 5:
		feeder_read_failed(
			driver->feeder,
			FEEDER_READER(driver->slot, chance(70) ? FEEDER_LANE_LIVE : FEEDER_LANE_BEHIND),
			world.now_ms);
		break;
	default:
		world.now_ms += 3000;
		break;
	}
}

static void step(void)
{
	struct driver *driver = &drivers[dice(FEEDERS)];
	uint32_t what = dice(100);

	if (what < 40) {
		(void)finish_task(driver);
	} else if (what < 80) {
		read_some(driver);
	} else if (what < 90) {
		world.end += dice(8);
		world.end = world.end > world.last ? world.last : world.end;
	} else if (what < 98 || world.settling) {
		world.now_ms += dice(world.settling ? 1000 : 100);
		feeder_tick(driver->feeder, world.now_ms);
	} else {
		disturb(driver);
	}
	drain(driver);
}

static bool is_level(void)
{
	for (size_t i = 0; i < REPLICAS; i++)
		if (world.replicas[i].received < world.last)
			return false;
	return true;
}

static void run_schedule(unsigned seed)
{
	static const int64_t windows[] = {1, 10, 60, 1000};

	memset(&world, 0, sizeof world);
	memset(drivers, 0, sizeof drivers);
	world.seed = seed;
	world.random = seed;
	(void)dice(2);
	world.window = windows[dice(4)];
	world.committed = -1;
	world.now_ms = 10000;
	world.end = BASE;
	make_log();
	for (size_t i = 0; i < REPLICAS; i++)
		wipe(&world.replicas[i]);
	for (size_t i = 0; i < FEEDERS; i++)
		start_feeder(&drivers[i]);
	for (int i = 0; i < STEPS; i++)
		step();
	world.settling = true;
	world.end = world.last;
	for (size_t i = 0; i < FEEDERS; i++) {
		for (size_t lane = 0; lane < FEEDER_LANES; lane++)
			drivers[i].shelves[lane].puts_left = -1;
		set_members(&drivers[i]);
		drain(&drivers[i]);
	}
	for (int i = 0; i < SETTLE_STEPS && !is_level(); i++)
		step();
	CHECK(is_level());
	for (size_t i = 0; i < REPLICAS; i++)
		check_replica(&world.replicas[i]);
}

static void test_schedules(void)
{
	uint64_t duplicates = 0;
	uint64_t fills = 0;

	for (unsigned seed = 1; seed <= SCHEDULES; seed++) {
		run_schedule(seed);
		for (size_t i = 0; i < FEEDERS; i++)
			stop_feeder(&drivers[i]);
		duplicates += world.duplicates_seen;
		fills += world.fills_seen;
	}
	/* the schedules went where they should */
	CU_ASSERT_TRUE(duplicates > SCHEDULES);
	CU_ASSERT_TRUE(fills > SCHEDULES);
}

int main(void)
{
	CU_TestInfo tests[] = {{"schedules", test_schedules}, CU_TEST_INFO_NULL};

	return suite_run("feeder_random", tests);
}
