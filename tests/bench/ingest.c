/*
 * Ingest: what feeding costs, from the log to batches.
 *
 *   bench_ingest feed     TOPIC RECORDS WINDOW
 *   bench_ingest flood    TOPIC RECORDS WINDOW
 *   bench_ingest takeover TOPIC RECORDS WINDOW
 *
 * with `kafka:` and `ingest:` from the configuration (MILLRACE_CONFIG), of
 * partition 0 and rules with that window of identities. feed: the feeder as
 * millrace-ingest has it, reading through shared/log, for a replica that takes
 * every batch at once, which an owner notices after a turn of reading, and
 * stores every second. flood: likewise, for a replica that never answers, until
 * memory is full. takeover: of a partition with RECORDS identities, which the
 * replica gives at once, page by page, without a log; from the answer of the
 * replica asked until the first record may be read. A line of JSON says how it
 * went.
 */
#include "shared/feed/feeder.h"
#include "shared/feeding/leaves.h"
#include "shared/log/log.h"
#include "tests/bench/clocks.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define BATCH_TARGET_BYTES (8U * 1024 * 1024) /* as shared/feeding */
#define WAIT_MS_MAX 60000
#define FLOOD_MS 3000 /* what librdkafka reads ahead has come by then */
#define TURN_RECORDS 256
#define STORE_MS 1000
#define PAGES_MAX 64

static const struct incarnation incarnation = {{1, 2}};

struct bench {
	const char *topic;
	int64_t records;
	struct config *config;
	struct log_feed *feed;
	struct leaves *leaves;
	struct shelf shelf;
	struct feeder *feeder;
	uint32_t slot;
	uint32_t node;
	bool silent;      /* the replica does not answer */
	int64_t received; /* the replica's */
	int64_t stored;
	int64_t store_ms; /* when it stores next */
	bool in_flight;
	struct feeder_action sent;
	bool begun;       /* feeding */
	int64_t position; /* of the reader */
	int64_t turn_ms;  /* when its turn began: an owner reads the clock once a turn */
	uint64_t batches;
	uint64_t batch_bytes;
	struct buffer answer;
	struct buffer pages[PAGES_MAX];
	size_t pages_len;
};

/* ---- the feeder, and a replica inside this process ---- */

static struct range_answer standing(const struct bench *bench)
{
	return (struct range_answer){.index_id = 77,
	                             .result = RANGE_RESULT_APPLIED,
	                             .incarnation = incarnation,
	                             .session = 5,
	                             .received = bench->received,
	                             .stored = bench->stored,
	                             .anchor = {.offset = -1},
	                             .has_identities = bench->pages_len > 0};
}

static void tell_standing(struct bench *bench, const struct feeder_action *action)
{
	struct feeder_question question = {action->slot, action->node, action->epoch};
	struct feeder_asked asked = {.replica_answered = true,
	                             .replica = standing(bench),
	                             .committed = -1,
	                             .log_end = bench->records};

	asked.replica.result = RANGE_RESULT_ALREADY;
	feeder_asked(bench->feeder, &question, &asked, now_ms());
}

/* As batch.h lays it out. A node checks every operation too, which is its own work and not the feeder's. */
static void accept_batch(struct bench *bench, const struct feeder_action *action)
{
	const size_t before_to = 8 + 4 + 16 + 8 + 8 + 8;
	struct reader batch = reader_of(action->frame);
	struct batch_writer writer;
	uint32_t ranges;

	if (now_ms() >= bench->store_ms) {
		bench->stored = bench->received;
		bench->store_ms = now_ms() + STORE_MS;
	}
	(void)reader_take(&batch, 16);
	ranges = reader_u32(&batch);
	buffer_clear(&bench->answer);
	batch_answer_begin(&writer, &bench->answer, action->batch_id);
	for (uint32_t i = 0; i < ranges; i++) {
		struct reader range = reader_of(reader_bytes(&batch));
		struct range_answer answer;

		(void)reader_take(&range, before_to);
		bench->received = reader_i64(&range);
		answer = standing(bench);
		batch_answer_add(&writer, &answer);
	}
	if (reader_failed(&batch) || !batch_answer_end(&writer))
		fail("batch", "malformed, or no memory for its answer");
	bench->batches++;
	bench->batch_bytes += action->frame.len;
	feeder_answered(bench->feeder, bench->node, action->batch_id, buffer_slice(&bench->answer), now_ms());
}

static void give_page(struct bench *bench, const struct feeder_action *action)
{
	struct feeder_fill fill = {action->slot, action->reader, action->epoch};
	struct marks_page page;
	struct error error;
	size_t at = (size_t)(action->offset / MARKS_PAGE_IDENTITIES);

	if (at >= bench->pages_len || action->received != bench->received)
		fail("fill", "there is no such page");
	if (marks_open(&page, buffer_slice(&bench->pages[at]), &error) != 0)
		fail("fill", error.text);
	feeder_filled(bench->feeder, &fill, &page, now_ms());
}

static void obey(struct bench *bench, const struct feeder_action *action)
{
	struct feeder_receipt receipt = {action->slot, action->epoch, action->offset, true};
	struct error error = {0};
	int rc = 0;

	switch (action->kind) {
	case FEEDER_ACTION_ASK:
		tell_standing(bench, action);
		break;
	case FEEDER_ACTION_START:
		bench->begun = true;
		if (bench->feed != NULL)
			rc = log_feed_start(bench->feed, bench->slot, bench->topic, 0, action->offset,
			                    &error);
		break;
	case FEEDER_ACTION_HALT:
		fail("feeding", "was halted");
	case FEEDER_ACTION_DEAD_LETTER:
		feeder_dead_lettered(bench->feeder, &receipt, now_ms());
		break;
	case FEEDER_ACTION_SEND:
		bench->sent = *action;
		bench->in_flight = true;
		break;
	case FEEDER_ACTION_COMMIT:
		if (bench->feed != NULL)
			rc = log_feed_commit(bench->feed, bench->topic, 0, action->offset, &error);
		break;
	case FEEDER_ACTION_FILL:
		give_page(bench, action);
		break;
	case FEEDER_ACTION_REPORT:
		break;
	}
	if (rc != 0)
		fail("feeding", error.text);
}

static void drain(struct bench *bench)
{
	struct feeder_action action;

	while (feeder_next_action(bench->feeder, &action))
		obey(bench, &action);
}

static struct window_store shelf_of_reader(void *context, uint32_t reader)
{
	struct bench *bench = context;

	(void)reader;
	return leaves_shelf(bench->leaves, &bench->shelf);
}

static void open_feeder(struct bench *bench, int64_t window)
{
	struct index_record index = {.id = 77,
	                             .uid = "bench",
	                             .state = INDEX_STATE_ACTIVE,
	                             .generation = 1,
	                             .partitions = 1,
	                             .partitioner = PARTITIONER_MURMUR2,
	                             .primary_key = "id",
	                             .rules = rules_default()};
	struct feeder_options options = {.memory_bytes_max =
	                                         (size_t)config_bytes(bench->config, "ingest.memory"),
	                                 .batch_bytes_max = BATCH_TARGET_BYTES,
	                                 .flush = flush_rule_adaptive(),
	                                 .shelf = shelf_of_reader,
	                                 .shelf_context = bench};
	struct feeder_replica replica = {.incarnation = incarnation, .in_sync = true};
	struct error error;

	index.rules.contract = 2;
	index.rules.dedup_window = window;
	(void)snprintf(index.topic, sizeof index.topic, "%s", bench->topic);
	buffer_init(&bench->answer, BATCH_BYTES_MAX);
	if (leaves_open(config_string(bench->config, "ingest.data"),
	                (uint64_t)config_bytes(bench->config, "ingest.table"), &bench->leaves, &error) != 0)
		fail("leaves", error.text);
	bench->feeder = feeder_new(&options, 1);
	if (bench->feeder == NULL || feeder_add_node(bench->feeder, "n1", &bench->node, &error) != 0 ||
	    feeder_add_shard(bench->feeder, &index, 0, now_ms(), &bench->slot, &error) != 0)
		fail("feeder", "out of memory");
	replica.node = bench->node;
	feeder_set_replicas(bench->feeder, bench->slot, &replica, 1, now_ms());
}

static void close_feeder(struct bench *bench)
{
	feeder_free(bench->feeder);
	leaves_close(bench->leaves);
	log_feed_close(bench->feed);
	buffer_deinit(&bench->answer);
}

static void take_event(struct bench *bench, enum log_feed_event event, const struct record *record)
{
	uint32_t reader = FEEDER_READER(bench->slot, FEEDER_LANE_LIVE);
	struct error error;

	if (event == LOG_FEED_EVENT_RECORD &&
	    feeder_record(bench->feeder, reader, record, bench->turn_ms, &error) != 0)
		fail("record", error.text);
	if (event == LOG_FEED_EVENT_END)
		feeder_end(bench->feeder, reader, bench->position, now_ms());
	if (event == LOG_FEED_EVENT_RESET || event == LOG_FEED_EVENT_GONE)
		fail(bench->topic, "its reader stopped");
}

/* As much as there is and the feeder wants. The first record starts the clocks. */
static void read_turn(struct bench *bench, struct clocks *from)
{
	uint32_t reader = FEEDER_READER(bench->slot, FEEDER_LANE_LIVE);
	enum log_feed_event event = LOG_FEED_EVENT_RECORD;
	struct record record;
	struct error error;

	bench->turn_ms = now_ms();
	for (int i = 0; i < TURN_RECORDS && feeder_wants(bench->feeder, reader); i++) {
		if (log_feed_next(bench->feed, bench->slot, &event, &record, &bench->position, &error) != 0)
			fail(bench->topic, error.text);
		if (event == LOG_FEED_EVENT_NONE)
			break;
		if (event == LOG_FEED_EVENT_RECORD && record.offset == 0)
			*from = read_clocks();
		take_event(bench, event, &record);
		drain(bench);
	}
	feeder_tick(bench->feeder, now_ms());
	drain(bench);
	if (bench->in_flight && !(bench->silent && bench->position > 0)) {
		bench->in_flight = false;
		accept_batch(bench, &bench->sent);
		drain(bench);
	}
}

static void wait_for_records(const struct bench *bench, int timeout_ms)
{
	struct pollfd ready = {.fd = log_feed_fd(bench->feed), .events = POLLIN};
	uint64_t count;

	if (poll(&ready, 1, timeout_ms) > 0 && read(ready.fd, &count, sizeof count) < 0 && errno != EAGAIN)
		fail("read", strerror(errno));
}

static void open_feed(struct bench *bench, int64_t window)
{
	struct error error;

	if (log_feed_open(bench->config, &bench->feed, &error) != 0)
		fail("log", error.text);
	open_feeder(bench, window);
	drain(bench);
}

static void report_feeder(const struct bench *bench)
{
	struct feeder_status status;

	if (!feeder_shard_status(bench->feeder, bench->slot, &status))
		fail("feeder", "has no such shard");
	(void)printf(", \"refused\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"batches\": %" PRIu64
	             ", \"batch_bytes\": %" PRIu64 ", \"feeder_bytes\": %zu, \"feeder_bytes_max\": %" PRId64
	             ", \"window_bytes\": %zu, \"window_stored_bytes\": %zu",
	             status.refused, status.duplicates, bench->batches, bench->batch_bytes,
	             feeder_memory_bytes(bench->feeder), config_bytes(bench->config, "ingest.memory"),
	             status.window_memory, status.window_stored);
}

static void feed(struct bench *bench, int64_t window)
{
	int64_t deadline = now_ms() + WAIT_MS_MAX;
	int64_t before = 0;
	struct clocks from = {0};

	open_feed(bench, window);
	while (bench->received < bench->records) {
		read_turn(bench, &from);
		if (bench->position == before)
			wait_for_records(bench, 10);
		else
			deadline = now_ms() + WAIT_MS_MAX;
		before = bench->position;
		if (now_ms() > deadline)
			fail(bench->topic, "no progress for a minute");
	}
	report(bench->records, &from);
	report_feeder(bench);
	close_feeder(bench);
}

static void flood(struct bench *bench, int64_t window)
{
	uint32_t reader = FEEDER_READER(0, FEEDER_LANE_LIVE);
	struct clocks from = {0};
	long before_kb;
	int64_t end;

	open_feed(bench, window);
	before_kb = memory_kb("VmRSS");
	bench->silent = true;
	while (feeder_wants(bench->feeder, reader) && bench->position < bench->records) {
		read_turn(bench, &from);
		wait_for_records(bench, 10);
	}
	for (end = now_ms() + FLOOD_MS; now_ms() < end;) {
		(void)poll(NULL, 0, 100);
		read_turn(bench, &from);
	}
	report(bench->position, &from);
	(void)printf(", \"before_kb\": %ld, \"full\": %s", before_kb,
	             feeder_wants(bench->feeder, reader) ? "false" : "true");
	report_feeder(bench);
	close_feeder(bench);
}

/* ---- take-over ---- */

static void make_pages(struct bench *bench)
{
	uint64_t random = 7;
	int64_t offset = 0;

	while (offset < bench->records) {
		struct buffer *page = &bench->pages[bench->pages_len++];
		struct marks_writer writer;

		if (bench->pages_len > PAGES_MAX)
			fail("takeover", "too many identities");
		buffer_init(page, MARKS_PAGE_BYTES_MAX);
		marks_begin(&writer, page, incarnation, bench->records);
		for (int i = 0; i < MARKS_PAGE_IDENTITIES && offset < bench->records; i++, offset++) {
			struct identity_entry entry = {
				offset, {{next_random(&random), next_random(&random)}, next_random(&random)}};

			marks_add_identity(&writer, &entry);
		}
		if (!marks_end(&writer, offset < bench->records ? offset : -1))
			fail("takeover", "out of memory");
	}
}

static void takeover(struct bench *bench, int64_t window)
{
	struct feeder_action action;
	struct clocks from;

	make_pages(bench);
	bench->received = bench->stored = bench->records;
	open_feeder(bench, window);
	from = read_clocks();
	while (!bench->begun && feeder_next_action(bench->feeder, &action))
		obey(bench, &action);
	if (!bench->begun)
		fail("takeover", "feeding did not begin");
	report(bench->records, &from);
	report_feeder(bench);
	close_feeder(bench);
	for (size_t i = 0; i < bench->pages_len; i++)
		buffer_deinit(&bench->pages[i]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct bench *bench, int64_t window);
	} stages[] = {{"feed", feed}, {"flood", flood}, {"takeover", takeover}};
	struct bench bench = {0};

	if (argc != 5)
		fail("arguments", "bench_ingest feed|flood|takeover TOPIC RECORDS WINDOW");
	bench.topic = argv[2];
	bench.records = strtoll(argv[3], NULL, 10);
	bench.config = load_config(argv[0]);
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strcmp(argv[1], stages[i].name) == 0)
			stages[i].run(&bench, strtoll(argv[4], NULL, 10));
	(void)printf("}\n");
	config_free(bench.config);
	return 0;
}
