/*
 * Faults on the way out: the n-th call that leaves the engine fails, for n = 1,
 * 2, 3, … until none is left: a batch, a question or a page of marks to a node,
 * a dead letter to Kafka. It fails in each way in which it can: refused at
 * once, lost, done without an answer, answered with an error, or with garbage.
 * The engine carries, the feeder decides; what is called is linked in here (see
 * tests/CMakeLists.txt): three replicas that must be the fold of their log,
 * whatever they received, and a dead letter acknowledged for every record that
 * is none of it.
 */
#include "shared/feed/feeder.h"
#include "shared/feed/standing.h"
#define shelf engine_shelf /* another one has the name in these tests */
#include "shared/feeding/feeding_private.h"
#undef shelf
#include "shared/runtime/logline.h"
#include "tests/unit/feeder_world.h"

#include <inttypes.h>

#define TURNS_MAX 20000
#define READ_AT_ONCE 64

/* How a call fails. */
enum fault {
	FAULT_REFUSED = 0, /* the call itself says so: nothing was done */
	FAULT_LOST,        /* nothing was done */
	FAULT_SILENT,      /* it was done, and nobody says so */
	FAULT_STATUS,      /* a node says 503, Kafka that the message is too large */
	FAULT_GARBAGE,     /* of a node: done, and the answer is cut */
	FAULTS
};

enum call {
	CALL_BATCH = 0,
	CALL_QUESTION,
	CALL_PAGE,
	CALL_LETTER,
	CALLS
};

static struct {
	struct feeding feeding;
	struct fed_shard shard;
	struct shelf shelves[FEEDER_LANES];
	bool reading[FEEDER_LANES];
	int64_t position[FEEDER_LANES];
	enum fault fault;
	long calls_left; /* before the one that fails; -1: none does */
	bool has_failed;
	enum call failed;
} bed;

/* The world as a life in peace left it, from which every run goes on; NULL in that life. */
static void *peace;

static struct counters counters; /* of all runs: a metric has one name */

static bool fails(enum call call)
{
	if (bed.calls_left < 0 || bed.calls_left-- > 0)
		return false;
	bed.has_failed = true;
	bed.failed = call;
	return true;
}

/* In the runs the last replica has lost everything, so that nobody waits for it. */
static bool is_in_sync(uint32_t replica)
{
	return peace == NULL || replica < REPLICAS - 1;
}

/* ---- what is called ---- */

int __wrap_http_client_send(struct http_client *client, const struct http_client_request *request,
                            struct error *error);
int __wrap_log_producer_send(struct log_producer *producer, const struct log_message *message,
                             struct error *error);
int __wrap_log_feed_commit(struct log_feed *feed, const char *topic, int32_t partition, int64_t offset,
                           struct error *error);
const char *__wrap_log_name(struct log_connection *connection, const char *suffix);
void __wrap_asking_put(struct asking *asking, struct question *question);
void __wrap_reading_start(struct feeding *feeding, const struct feeder_action *action);
void __wrap_reading_halt(struct feeding *feeding, uint32_t reader);
bool __wrap_feeding_stood_still(const struct feeding *feeding);
bool __wrap_duties_slot_is_ours(const struct feeding *feeding, const struct fed_shard *shard);

static void answer_batch(struct replica *replica, struct slice frame, struct buffer *body)
{
	struct batch_reader reader;
	struct batch_writer writer;
	struct range range;
	struct error error;

	CHECK(batch_open(&reader, frame, &error) == 0);
	batch_answer_begin(&writer, body, reader.batch_id);
	while (batch_next(&reader, &range, &error) == 1) {
		enum range_result result = receive(replica, &range);
		struct range_answer answer = answer_of_replica(replica, result);

		batch_answer_add(&writer, &answer);
	}
	CHECK(batch_answer_end(&writer));
}

static void answer_question(const struct replica *replica, const char *node, struct buffer *body)
{
	struct range_answer at = answer_of_replica(replica, RANGE_RESULT_ALREADY);
	char text[33];

	incarnation_print(at.incarnation, text);
	buffer_printf(body,
	              "{\"node\":\"%s\",\"shards\":[{\"index\":\"%016" PRIx64
	              "\",\"generation\":1,\"partition\":0,\"state\":\"active\",\"incarnation\":\"%s\","
	              "\"session\":\"%016" PRIx64 "\",\"received\":%" PRId64 ",\"stored\":%" PRId64
	              ",\"marks\":%d,\"anchor\":{\"offset\":%" PRId64 ",\"timestamp\":%" PRId64
	              ",\"checksum\":\"%016" PRIx64 "\"}}]}",
	              node, at.index_id, text, at.session, at.received, at.stored,
	              (at.has_identities ? 1 : 0) + (at.has_origins ? 2 : 0), at.anchor.offset,
	              at.anchor.timestamp_ms, at.anchor.checksum);
}

/* False: the replica stands elsewhere. */
static bool answer_page(const struct replica *replica, const char *url, struct buffer *body)
{
	const char *received = strstr(url, "&received=");
	const char *from = strstr(url, "&from=");

	CHECK(received != NULL && from != NULL);
	if (strtoll(received + strlen("&received="), NULL, 10) != replica->received)
		return false;
	write_page(body, replica, strtoll(from + strlen("&from="), NULL, 10));
	return true;
}

static enum call call_of(const struct http_client_request *request)
{
	if (strstr(request->url, "/batch") != NULL)
		return CALL_BATCH;
	return strstr(request->url, "/marks?") != NULL ? CALL_PAGE : CALL_QUESTION;
}

/* The node does what it is asked to; the status that it answers with. */
static int serve(const struct http_client_request *request, struct buffer *body)
{
	struct replica *replica = &world.replicas[request->node[1] - '1'];

	switch (call_of(request)) {
	case CALL_BATCH:
		answer_batch(replica, buffer_slice(request->body), body);
		return 200;
	case CALL_PAGE:
		return answer_page(replica, request->url, body) ? 200 : 409;
	default:
		answer_question(replica, request->node, body);
		return 200;
	}
}

int __wrap_http_client_send(struct http_client *client, const struct http_client_request *request,
                            struct error *error)
{
	bool failing = fails(call_of(request));
	struct http_answer answer = {0};
	struct buffer body;

	(void)client;
	if (failing && bed.fault == FAULT_REFUSED)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "too many requests in flight");
	buffer_init(&body, BATCH_BYTES_MAX);
	if (!failing || bed.fault == FAULT_SILENT || bed.fault == FAULT_GARBAGE)
		answer.status = serve(request, &body);
	if (failing && bed.fault == FAULT_STATUS)
		answer.status = 503;
	if (failing && (bed.fault == FAULT_LOST || bed.fault == FAULT_SILENT)) {
		answer.status = 0;
		(void)error_set(&answer.error, ERROR_NETWORK, ERROR_ACTION_RETRY, "the connection was lost");
	}
	answer.body = slice_of(body.ptr, failing && bed.fault == FAULT_GARBAGE ? body.len / 2 : body.len);
	request->completion(request->context, &answer);
	if (request->body != NULL)
		buffer_deinit(request->body);
	buffer_deinit(&body);
	return 0;
}

/* The record's offset is in the letter's headers. */
static int64_t offset_of_letter(const struct log_message *message)
{
	static const char name[] = "__connect.errors.offset";

	for (size_t i = 0; i < message->headers_len; i++)
		if (slice_equal(message->headers[i].name, slice_string(name)))
			return strtoll((const char *)message->headers[i].value.ptr, NULL, 10);
	CHECK(false);
	return -1;
}

int __wrap_log_producer_send(struct log_producer *producer, const struct log_message *message,
                             struct error *error)
{
	bool failing = fails(CALL_LETTER);
	int64_t offset = offset_of_letter(message);
	struct error outcome = {0};

	(void)producer;
	CHECK(entry_at(offset) != NULL && entry_at(offset)->letter);
	if (failing && bed.fault == FAULT_REFUSED)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "the queue is full");
	if (failing && bed.fault == FAULT_STATUS)
		(void)error_set(&outcome, ERROR_LIMIT, ERROR_ACTION_REJECT, "the message is too large");
	else if (failing)
		(void)error_set(&outcome, ERROR_LOG, ERROR_ACTION_RETRY, "not acknowledged");
	else
		entry_at(offset)->acknowledged = true;
	message->completion(message->context, failing ? -1 : 1, &outcome);
	return 0;
}

int __wrap_log_feed_commit(struct log_feed *feed, const char *topic, int32_t partition, int64_t offset,
                           struct error *error)
{
	(void)feed;
	(void)topic;
	(void)partition;
	(void)error;
	for (uint32_t i = 0; i < REPLICAS; i++)
		CHECK(!is_in_sync(i) || offset <= world.replicas[i].stored);
	CHECK(offset >= world.committed);
	world.committed = offset;
	return 0;
}

const char *__wrap_log_name(struct log_connection *connection, const char *suffix)
{
	(void)connection;
	return suffix;
}

/* What the asking thread does, with the log of this test. */
void __wrap_asking_put(struct asking *asking, struct question *question)
{
	struct standing *standing = NULL;
	struct slice reason;

	(void)asking;
	if (question->node_error.code == 0 &&
	    standing_parse(buffer_slice(&question->answer), &standing, &question->node_error) == 0 &&
	    standing_check_node(standing, question->node_id, &question->node_error) == 0)
		for (size_t i = 0; i < question->items_len; i++) {
			struct question_item *item = &question->items[i];
			struct range_answer wanted = {.index_id = question->index_id};

			item->asked.replica_answered =
				standing_find(standing, &wanted, question->generation, &item->asked.replica,
			                      &reason, &question->node_error) == 0;
			item->asked.committed = world.committed;
			item->asked.log_start = BASE;
			item->asked.log_end = world.end;
		}
	standing_free(standing);
	CHECK(mailbox_put(question->inbox, &question->message));
}

void __wrap_reading_start(struct feeding *feeding, const struct feeder_action *action)
{
	(void)feeding;
	bed.reading[FEEDER_READER_LANE(action->reader)] = true;
	bed.position[FEEDER_READER_LANE(action->reader)] = action->offset;
}

void __wrap_reading_halt(struct feeding *feeding, uint32_t reader)
{
	(void)feeding;
	bed.reading[FEEDER_READER_LANE(reader)] = false;
}

bool __wrap_feeding_stood_still(const struct feeding *feeding)
{
	(void)feeding;
	return false;
}

bool __wrap_duties_slot_is_ours(const struct feeding *feeding, const struct fed_shard *shard)
{
	(void)feeding;
	(void)shard;
	return true;
}

/* ---- a run ---- */

static struct window_store shelf_of_run(void *context, uint32_t reader)
{
	(void)context;
	return store_of(&bed.shelves[FEEDER_READER_LANE(reader)]);
}

static void start_nodes(struct feeding *feeding)
{
	struct feeder_replica replicas[REPLICAS];
	struct error error;

	for (uint32_t i = 0; i < REPLICAS; i++) {
		struct fed_node *node = &feeding->nodes[i];

		(void)snprintf(node->id, sizeof node->id, "n%u", (unsigned)i + 1);
		(void)snprintf(node->url, sizeof node->url, "http://n%u", (unsigned)i + 1);
		node->answer = (struct batch_answer){
			.message = {MESSAGE_KIND_BATCH_ANSWER}, .inbox = feeding->inbox, .node = i};
		buffer_init(&node->answer.frame, BATCH_BYTES_MAX);
		counters_node(&feeding->counters, node);
		CHECK(feeder_add_node(feeding->feeder, node->id, &feeding->nodes_len, &error) == 0);
		replicas[i] = (struct feeder_replica){.node = i, .in_sync = is_in_sync(i)};
	}
	feeding->nodes_len = REPLICAS;
	feeder_set_replicas(feeding->feeder, 0, replicas, REPLICAS, feeding->now_ms);
}

/* An engine as it is after its start, its threads and Kafka's handles aside. */
static void start_engine(void)
{
	struct feeder_options options = {
		.memory_bytes_max = 1 << 20,
		.batch_bytes_max = 4000,
		.flush = flush_rule_adaptive(),
		.shelf = shelf_of_run,
	};
	struct index_record index = judging_index(world.window);
	struct feeding *feeding = &bed.feeding;
	int64_t base = BASE;
	struct error error;
	uint32_t slot;

	memset(feeding, 0, sizeof *feeding);
	memset(&bed.shard, 0, sizeof bed.shard);
	memset(bed.reading, 0, sizeof bed.reading);
	index.base = &base;
	feeding->now_ms = world.now_ms;
	feeding->counters = counters;
	feeding->inbox = mailbox_new(1024);
	feeding->feeder = feeder_new(&options, ++world.lives << 20);
	feeding->dead_letter_bytes_max = 1 << 20;
	feeding->dead_letter_bytes_known = true;
	CHECK(feeding->inbox != NULL && feeding->feeder != NULL);
	arena_init(&feeding->scratch, 4096);
	filling_init(feeding);
	bed.shard = (struct fed_shard){.used = true, .index_id = index.id, .generation = 1};
	(void)snprintf(bed.shard.uid, sizeof bed.shard.uid, "%s", index.uid);
	(void)snprintf(bed.shard.topic, sizeof bed.shard.topic, "%s", index.topic);
	counters_shard(&feeding->counters, &bed.shard);
	feeding->fed = &bed.shard;
	feeding->fed_len = 1;
	CHECK(feeder_add_shard(feeding->feeder, &index, 0, world.now_ms, &slot, &error) == 0 && slot == 0);
	CHECK(feeder_set_skips(feeding->feeder, 0, world.skips, world.skips_len, &error) == 0);
	start_nodes(feeding);
	carrying_drain(feeding);
}

static void end_engine(void)
{
	struct feeding *feeding = &bed.feeding;

	carrying_discard(feeding);
	for (uint32_t i = 0; i < REPLICAS; i++)
		buffer_deinit(&feeding->nodes[i].answer.frame);
	filling_deinit(feeding);
	arena_deinit(&feeding->scratch);
	feeder_free(feeding->feeder);
	mailbox_free(feeding->inbox);
}

static void read_next(enum feeder_lane lane)
{
	struct feeding *feeding = &bed.feeding;
	uint32_t reader = FEEDER_READER(0, lane);
	int64_t offset = bed.position[lane];
	struct error error;

	if (!bed.reading[lane] || !feeder_wants(feeding->feeder, reader))
		return;
	while (offset < world.end && entry_at(offset) == NULL)
		offset++;
	if (offset == world.end) {
		bed.position[lane] = offset;
		feeder_end(feeding->feeder, reader, offset, feeding->now_ms);
		return;
	}
	CHECK(feeder_record(feeding->feeder, reader, &entry_at(offset)->record, feeding->now_ms, &error) ==
	      0);
	bed.position[lane] = offset + 1;
}

static bool is_level(void)
{
	for (size_t i = 0; i < REPLICAS; i++)
		if (world.replicas[i].received < world.end)
			return false;
	return world.committed == world.end;
}

static void feed_to_the_end(void)
{
	struct feeding *feeding = &bed.feeding;

	for (int turn = 0; turn < TURNS_MAX && !is_level(); turn++) {
		carrying_receive(feeding);
		for (int i = 0; i < READ_AT_ONCE; i++) {
			read_next((enum feeder_lane)(i % FEEDER_LANES));
			carrying_drain(feeding);
		}
		world.now_ms += 5;
		feeding->now_ms = world.now_ms;
		feeder_tick(feeding->feeder, feeding->now_ms);
		carrying_drain(feeding);
	}
	CHECK(is_level());
	CHECK(feeding->failure.code == 0 && !feeding->dead_letters_failing);
	CHECK(feeding->dead_letters == 0 && feeding->dead_letter_bytes == 0);
	for (size_t i = 0; i < REPLICAS; i++)
		check_replica(&world.replicas[i]);
}

static void live_in_peace(unsigned seed)
{
	memset(&world, 0, sizeof world);
	world.seed = seed;
	world.random = seed;
	world.window = 60;
	world.committed = -1;
	world.now_ms = 10000;
	world.settling = true;
	make_log();
	for (size_t i = 0; i < REPLICAS; i++)
		wipe(&world.replicas[i]);
	world.end = BASE + 180;
	bed.calls_left = -1;
	start_engine();
	feed_to_the_end();
	end_engine();
	wipe(&world.replicas[REPLICAS - 1]);
	peace = malloc(sizeof world);
	CHECK(peace != NULL);
	memcpy(peace, &world, sizeof world);
}

/* Two replicas give their marks, the third has lost everything; the log grows twice. */
static void run(enum fault fault, long n)
{
	memcpy(&world, peace, sizeof world);
	memset(&bed, 0, sizeof bed);
	bed.fault = fault;
	bed.calls_left = n;
	world.end = BASE + 210;
	start_engine();
	feed_to_the_end();
	world.end = BASE + 230;
	feed_to_the_end();
	end_engine();
}

static void test_sweep(void)
{
	static const char *const names[CALLS] = {"batch", "question", "page", "letter"};

	logline_init("test", LOG_LEVEL_ERROR, false);
	counters_init(&counters, FEEDING_MODE_LIVE);
	live_in_peace(11);
	for (enum fault fault = 0; fault < FAULTS; fault++) {
		long failed[CALLS] = {0};
		long n = 0;

		do {
			run(fault, n++);
			failed[bed.failed] += bed.has_failed;
		} while (bed.has_failed);
		for (size_t i = 0; i < CALLS; i++) {
			printf("%s %ld ", names[i], failed[i]);
			CU_ASSERT_TRUE(failed[i] > 0);
		}
	}
	free(peace);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the n-th call fails", test_sweep}, CU_TEST_INFO_NULL};

	return suite_run("carrying faults", tests);
}
