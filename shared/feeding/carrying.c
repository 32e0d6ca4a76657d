/* Carries out the feeder's actions and takes in what comes back: questions, batches, dead letters. */
#include "shared/base/assert.h"
#include "shared/feed/dead_letter.h"
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A paused node keeps its connections open; what it may still apply is sent again anyway. */
#define BATCH_TIMEOUT_MS 15000
#define ASK_TIMEOUT_MS 1500
/* Of letters together, where the topic takes that much. */
#define DEAD_LETTER_BATCH_BYTES (256U * 1024)

/* On its way to the dead-letter topic; filled on the producer's thread. */
struct dead_letter_sent {
	struct message message;
	struct mailbox *inbox;
	struct feeder_receipt receipt;
	bool held; /* of a record before which `reader` waits: the letter's number */
	uint32_t reader;
	uint64_t letter;
	enum refusal_code code;
	size_t bytes;
	struct error error; /* code 0: acknowledged */
};

static void node_answered(struct feeding *feeding, uint32_t node_at, const struct error *error)
{
	struct fed_node *node = &feeding->nodes[node_at];

	if (error->code != 0 && !node->unreachable)
		logline(LOG_LEVEL_WARN, "node_unreachable", "node=%s url=%s error=\"%s\"", node->id,
		        node->url, error->text);
	else if (error->code == 0 && node->unreachable)
		logline(LOG_LEVEL_INFO, "node_reachable", "node=%s url=%s", node->id, node->url);
	node->unreachable = error->code != 0;
}

void carrying_take_answer(const struct http_answer *answer, struct buffer *body, struct error *error)
{
	error->code = 0;
	if (answer->status == 200) {
		buffer_append_slice(body, answer->body);
		if (buffer_failed(body))
			(void)error_memory(error, answer->body.len);
	} else if (answer->status != 0) {
		(void)error_set(error, ERROR_NETWORK, ERROR_ACTION_RETRY, "status %d: %.*s", answer->status,
		                (int)(answer->body.len < 200 ? answer->body.len : 200),
		                answer->body.ptr ? (const char *)answer->body.ptr : "");
	} else {
		*error = answer->error;
	}
}

/* ---- questions ---- */

static void question_answered(void *context, const struct http_answer *answer)
{
	struct question *question = context;

	carrying_take_answer(answer, &question->answer, &question->node_error);
	asking_put(question->asking, question);
}

/* Says once that questions to Kafka fail, and once that they do no more. */
static void log_answered(struct feeding *feeding, const struct question *question)
{
	bool failed = question->log_error.code != 0;

	if (question->node_error.code != 0)
		return;
	if (failed && !feeding->log_failing)
		logline(LOG_LEVEL_WARN, "position_unknown", "topic=%s node=%s error=\"%s\"", question->topic,
		        feeding->nodes[question->node].id, question->log_error.text);
	else if (!failed && feeding->log_failing)
		logline(LOG_LEVEL_INFO, "position_known", "topic=%s", question->topic);
	feeding->log_failing = failed;
}

/* What the dead-letter topic takes is known, before anything is read: letters may share larger batches now. */
static void know_dead_letter_bytes(struct feeding *feeding, size_t bytes_max)
{
	size_t batch_bytes = bytes_max < DEAD_LETTER_BATCH_BYTES ? bytes_max : DEAD_LETTER_BATCH_BYTES;
	struct log_producer *producer;
	struct error error;

	feeding->dead_letter_bytes_known = true;
	feeding->dead_letter_bytes_max = bytes_max;
	if (feeding->producer == NULL || feeding->dead_letters > 0 || feeding->skip.in_flight)
		return;
	if (log_producer_open_bounded(feeding->config, batch_bytes, &producer, &error) != 0) {
		logline(LOG_LEVEL_WARN, "dead_letters_slow", "error=\"%s\"", error.text);
		return;
	}
	log_producer_close(feeding->producer, 0); /* it has sent nothing, or all */
	feeding->producer = producer;
}

/* Hands the replies to the feeder. */
static void receive_question(struct feeding *feeding, struct question *question)
{
	node_answered(feeding, question->node, &question->node_error);
	log_answered(feeding, question);
	if (!feeding->dead_letter_bytes_known && question->message_bytes_max >= DEAD_LETTER_BYTES_MIN)
		know_dead_letter_bytes(feeding, question->message_bytes_max);
	for (size_t i = 0; i < question->items_len; i++) {
		const struct question_item *item = &question->items[i];
		struct feeder_question asked = {item->slot, question->node, item->epoch};

		feeder_asked(feeding->feeder, &asked, &item->asked, feeding->now_ms);
	}
	question_free(question);
	feeding->questions_open--;
}

static int ask_node(struct feeding *feeding, struct question *question, struct error *error)
{
	const struct fed_node *node = &feeding->nodes[question->node];
	char url[512];
	struct http_client_request request = {
		.method = "GET",
		.url = url,
		.node = node->id,
		.timeout_ms = ASK_TIMEOUT_MS,
		.completion = question_answered,
		.context = question,
	};

	if (node->url[0] == '\0')
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY,
		                 "the topology has no node %s, which holds a replica", node->id);
	(void)snprintf(url, sizeof url, "%s/shards?index=%016" PRIx64, node->url, question->index_id);
	return http_client_send(feeding->client, &request, error);
}

static void send_question(struct feeding *feeding, uint32_t node)
{
	struct question *question = feeding->questions[node];
	struct error error;

	feeding->questions[node] = NULL;
	if (question == NULL || ask_node(feeding, question, &error) == 0)
		return;
	question->node_error = error;
	asking_put(feeding->asking, question); /* comes back unanswered */
}

static struct question *question_about(struct feeding *feeding, uint32_t node, const struct fed_shard *shard)
{
	struct question *question = feeding->questions[node];

	if (question != NULL && question->index_id == shard->index_id &&
	    question->generation == shard->generation && question->items_len < INDEX_PARTITIONS_MAX)
		return question;
	send_question(feeding, node);
	if (feeding->questions_open == QUESTIONS_MAX)
		return NULL;
	question = question_new(shard->index_id, node);
	if (question == NULL)
		return NULL;
	question->asking = feeding->asking;
	question->inbox = feeding->inbox;
	question->node_id = feeding->nodes[node].id;
	question->generation = shard->generation;
	memcpy(question->topic, shard->topic, sizeof question->topic);
	feeding->questions[node] = question;
	feeding->questions_open++;
	return question;
}

static void ask(struct feeding *feeding, const struct feeder_action *action)
{
	const struct fed_shard *shard = &feeding->fed[action->slot];
	struct question *question = question_about(feeding, action->node, shard);
	struct feeder_question asked = {action->slot, action->node, action->epoch};
	struct question_item item = {
		.slot = action->slot,
		.epoch = action->epoch,
		.partition = shard->partition,
		.asked = {.committed = -1},
	};

	if (question == NULL || !question_add(question, &item))
		feeder_asked(feeding->feeder, &asked, &item.asked, feeding->now_ms);
}

/* ---- batches ---- */

static void batch_answered(void *context, const struct http_answer *answer)
{
	struct batch_answer *batch = context;

	carrying_take_answer(answer, &batch->frame, &batch->error);
	if (batch->error.code != 0)
		buffer_clear(&batch->frame);
	ASSERT(mailbox_put(batch->inbox, &batch->message));
}

static void set_in_flight(struct feeding *feeding, struct fed_node *node, bool in_flight)
{
	node->in_flight = in_flight;
	feeding->batches_in_flight += in_flight ? 1U : -1U;
	series_set(node->batches_in_flight, in_flight);
}

static void receive_batch(struct feeding *feeding, struct batch_answer *batch)
{
	struct fed_node *node = &feeding->nodes[batch->node];

	ASSERT(node->in_flight);
	set_in_flight(feeding, node, false);
	node_answered(feeding, batch->node, &batch->error);
	series_add(batch->error.code == 0 ? feeding->counters.answered : feeding->counters.unanswered, 1);
	feeder_answered(feeding->feeder, batch->node, batch->batch_id, buffer_slice(&batch->frame),
	                feeding->now_ms);
	buffer_clear(&batch->frame);
}

static void send_batch(struct feeding *feeding, const struct feeder_action *action)
{
	struct fed_node *node = &feeding->nodes[action->node];
	struct buffer body;
	char url[300];
	char id[17];
	struct http_client_request request = {
		.method = "POST",
		.url = url,
		.content_type = "application/octet-stream",
		.request_id = id,
		.node = node->id,
		.body = &body,
		.timeout_ms = BATCH_TIMEOUT_MS,
		.completion = batch_answered,
		.context = &node->answer,
	};
	struct error error;

	if (feeding->stopping)
		return;
	ASSERT(!node->in_flight);
	(void)snprintf(url, sizeof url, "%s/batch", node->url);
	(void)snprintf(id, sizeof id, "%016" PRIx64, action->batch_id);
	logline(LOG_LEVEL_DEBUG, "batch_sent", "request=%s node=%s bytes=%zu", id, node->id,
	        action->frame.len);
	set_in_flight(feeding, node, true);
	node->answer.batch_id = action->batch_id;
	buffer_clear(&node->answer.frame);
	buffer_init(&body, BATCH_BYTES_MAX);
	buffer_append_slice(&body, action->frame);
	if (buffer_failed(&body) || http_client_send(feeding->client, &request, &error) != 0) {
		buffer_deinit(&body);
		set_in_flight(feeding, node, false);
		feeder_answered(feeding->feeder, action->node, action->batch_id, slice_of(NULL, 0),
		                feeding->now_ms);
	}
}

/* ---- dead letters ---- */

static void dead_letter_completed(void *context, int64_t offset, const struct error *error)
{
	struct dead_letter_sent *sent = context;

	(void)offset;
	sent->error.code = 0;
	if (error != NULL && error->code != 0)
		sent->error = *error;
	ASSERT(mailbox_put(sent->inbox, &sent->message));
}

/* Says once that dead letters fail, and once that they do no more. */
static void dead_letter_outcome(struct feeding *feeding, const struct error *error)
{
	if (error->code != 0 && !feeding->dead_letters_failing)
		logline(LOG_LEVEL_ERROR, "dead_letters_failing", "error=\"%s\"", error->text);
	else if (error->code == 0 && feeding->dead_letters_failing)
		logline(LOG_LEVEL_INFO, "dead_letters_acknowledged", "topic=%s",
		        log_name(feeding->connection, "dead-letter"));
	feeding->dead_letters_failing = error->code != 0;
	/* the broker takes less than thought: the record is read again, and cut further */
	if (error->code == ERROR_LIMIT && error->action == ERROR_ACTION_REJECT &&
	    feeding->dead_letter_bytes_max / 2 >= DEAD_LETTER_BYTES_MIN)
		feeding->dead_letter_bytes_max /= 2;
	/* a producer that failed for good works again in the next life of the program */
	if (error->code != 0 && error->action == ERROR_ACTION_FATAL && feeding->failure.code == 0) {
		feeding->failure = *error;
		feeding->failure.action = ERROR_ACTION_RETRY;
	}
}

static void receive_dead_letter(struct feeding *feeding, struct dead_letter_sent *sent)
{
	feeding->dead_letters--;
	feeding->dead_letter_bytes -= sent->bytes;
	sent->receipt.acknowledged = sent->error.code == 0;
	dead_letter_outcome(feeding, &sent->error);
	if (sent->receipt.acknowledged)
		counters_dead_letter(&feeding->counters, sent->code);
	if (sent->held)
		holding_lettered(feeding, sent->reader, sent->letter, sent->receipt.acknowledged);
	else
		feeder_dead_lettered(feeding->feeder, &sent->receipt, feeding->now_ms);
	free(sent);
}

static int produce(struct feeding *feeding, const struct dead_letter *letter, struct dead_letter_sent *sent,
                   struct error *error)
{
	struct log_message message = {
		.topic = log_name(feeding->connection, "dead-letter"),
		.partition = -1,
		.key = letter->key,
		.value = letter->value,
		.timestamp_ms = letter->timestamp_ms,
		.headers = letter->headers,
		.headers_len = letter->headers_len,
		.completion = dead_letter_completed,
		.context = sent,
	};

	return log_producer_send(feeding->producer, &message, error);
}

/* Builds and sends the letter that `about` tells of. */
static int send_letter(struct feeding *feeding, const struct dead_letter_sent *about,
                       const struct record *record, const struct refusal *refusal, struct error *error)
{
	const struct fed_shard *shard = &feeding->fed[about->receipt.slot];
	struct dead_letter_source source = {
		.topic = shard->topic,
		.partition = shard->partition,
		.index = shard->uid,
		.record = record,
		.refusal = refusal,
		.deaths =
			refusal->code == REFUSAL_SKIPPED ? holding_deaths(feeding, shard, record->offset) : 0,
	};
	struct dead_letter_sent *sent = malloc(sizeof *sent);
	struct dead_letter letter;
	int rc;

	if (sent == NULL ||
	    !dead_letter_build(&source, feeding->dead_letter_bytes_max, &feeding->scratch, &letter)) {
		rc = error_memory(error, sizeof *sent);
	} else {
		*sent = *about;
		sent->message.kind = MESSAGE_KIND_DEAD_LETTER;
		sent->inbox = feeding->inbox;
		sent->code = refusal->code;
		sent->bytes = dead_letter_bytes(&letter);
		rc = produce(feeding, &letter, sent, error);
	}
	arena_clear(&feeding->scratch);
	if (rc == 0) {
		feeding->dead_letters++;
		feeding->dead_letter_bytes += sent->bytes;
		return 0;
	}
	free(sent);
	dead_letter_outcome(feeding, error);
	return rc;
}

static void send_dead_letter(struct feeding *feeding, const struct feeder_action *action)
{
	struct dead_letter_sent about = {
		.receipt = {.slot = action->slot, .epoch = action->epoch, .offset = action->offset},
	};
	struct error error;

	if (send_letter(feeding, &about, action->record, &action->refusal, &error) != 0)
		feeder_dead_lettered(feeding->feeder, &about.receipt, feeding->now_ms);
}

int carrying_letter(struct feeding *feeding, uint32_t reader, const struct record *record,
                    struct error *error)
{
	struct dead_letter_sent about = {
		.receipt = {.slot = FEEDER_READER_SLOT(reader), .offset = record->offset},
		.held = true,
		.reader = reader,
		.letter = feeding->letters_of_held,
	};
	struct refusal refusal = {.code = REFUSAL_SKIPPED};

	(void)snprintf(refusal.text, sizeof refusal.text, "%s", FEEDER_SKIPPED_TEXT);
	return send_letter(feeding, &about, record, &refusal, error);
}

/* ---- the owner's two ends ---- */

static void report(struct feeding *feeding, const struct feeder_action *action)
{
	const struct fed_shard *shard = &feeding->fed[action->slot];
	struct feeder_status status;

	if (!feeder_shard_status(feeding->feeder, action->slot, &status))
		return;
	if (action->state == FEEDER_STATE_STOPPED)
		logline(LOG_LEVEL_ERROR, "shard_stopped",
		        "index=%s partition=%" PRId32 " topic=%s reason=\"%s\"", shard->uid, shard->partition,
		        shard->topic, status.stop_reason);
	else
		logline(LOG_LEVEL_INFO, "shard_feeding",
		        "index=%s partition=%" PRId32 " topic=%s offset=%" PRId64, shard->uid,
		        shard->partition, shard->topic, status.position);
}

/* Whoever is no owner any more, or may be none for a while without having noticed, must not move back what a
 * successor has committed. */
static void commit(struct feeding *feeding, const struct feeder_action *action)
{
	const struct fed_shard *shard = &feeding->fed[action->slot];
	struct error error;

	if (!duties_slot_is_ours(feeding, shard) || feeding_stood_still(feeding))
		return;
	if (log_feed_commit(feeding->feeds[FEEDER_LANE_LIVE], shard->topic, shard->partition, action->offset,
	                    &error) == 0)
		series_add(feeding->counters.commits, 1);
	else /* only what others see lags behind; the next commit is about a later offset anyway */
		logline(LOG_LEVEL_WARN, "commit_failed", "topic=%s partition=%" PRId32 " error=\"%s\"",
		        shard->topic, shard->partition, error.text);
}

static void carry(struct feeding *feeding, const struct feeder_action *action)
{
	switch (action->kind) {
	case FEEDER_ACTION_ASK:
		ask(feeding, action);
		break;
	case FEEDER_ACTION_START:
		reading_start(feeding, action);
		break;
	case FEEDER_ACTION_HALT:
		reading_halt(feeding, action->reader);
		break;
	case FEEDER_ACTION_DEAD_LETTER:
		send_dead_letter(feeding, action);
		break;
	case FEEDER_ACTION_SEND:
		send_batch(feeding, action);
		break;
	case FEEDER_ACTION_COMMIT:
		commit(feeding, action);
		break;
	case FEEDER_ACTION_FILL:
		filling_ask(feeding, action);
		break;
	case FEEDER_ACTION_REPORT:
		report(feeding, action);
		break;
	}
}

void carrying_drain(struct feeding *feeding)
{
	struct feeder_action action;
	bool asked = false;

	while (feeder_next_action(feeding->feeder, &action)) {
		asked = asked || action.kind == FEEDER_ACTION_ASK;
		carry(feeding, &action);
	}
	for (uint32_t node = 0; asked && node < feeding->nodes_len; node++)
		send_question(feeding, node);
}

static void receive_opened(struct feeding *feeding, struct log_opened *opened)
{
	if (opened->reader == NULL)
		feeding->failure = opened->error;
	feeding->reader = opened->reader;
	feeding->owner = opened->owner;
	feeding->reader_more = opened->reader != NULL;
	free(opened);
}

void carrying_receive(struct feeding *feeding)
{
	struct message *message;

	while ((message = mailbox_take(feeding->inbox)) != NULL) {
		switch (message->kind) {
		case MESSAGE_KIND_BATCH_ANSWER:
			receive_batch(feeding, (struct batch_answer *)message);
			break;
		case MESSAGE_KIND_QUESTION:
			receive_question(feeding, (struct question *)message);
			break;
		case MESSAGE_KIND_DEAD_LETTER:
			receive_dead_letter(feeding, (struct dead_letter_sent *)message);
			break;
		case MESSAGE_KIND_LOG_OPENED:
			receive_opened(feeding, (struct log_opened *)message);
			break;
		case MESSAGE_KIND_MARKS:
			filling_receive(feeding, (struct marks_answer *)message);
			break;
		case MESSAGE_KIND_SKIP_ASKED:
			holding_receive(feeding, (struct skip_asked *)message);
			break;
		case MESSAGE_KIND_FEED_ENDED:
			ASSERT(false); /* goes the other way */
		}
		carrying_drain(feeding);
	}
}

void carrying_discard(struct feeding *feeding)
{
	struct message *message;

	while ((message = mailbox_take(feeding->inbox)) != NULL) {
		if (message->kind == MESSAGE_KIND_QUESTION)
			question_free((struct question *)message);
		else if (message->kind == MESSAGE_KIND_LOG_OPENED)
			receive_opened(feeding, (struct log_opened *)message);
		else if (message->kind == MESSAGE_KIND_DEAD_LETTER)
			free(message);
	}
}
