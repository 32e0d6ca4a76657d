/* Batches: one range a turn, so that questions get theirs between two ranges. */
#include "shard/node_private.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

static void work_end(struct node *node)
{
	struct batch_work *work = &node->work;

	work->request = NULL;
	buffer_deinit(&work->answer);
	series_set(node->counters.in_flight, 0);
}

static void work_refuse(struct node *node, int status, const char *code, const struct error *error)
{
	logline(LOG_LEVEL_WARN, "batch_refused", "request=%s error=\"%s\"",
	        http_request_id(node->work.request), error->text);
	http_refuse(node->work.request, status, code, error->text);
	work_end(node);
}

/* Takes the next batch that waits; false if there is none. */
static bool work_begin(struct node *node)
{
	struct batch_work *work = &node->work;
	struct slice body;
	struct error error;

	work->request = mailbox_take(node->batches);
	if (work->request == NULL)
		return false;
	body = http_request_body(work->request);
	series_add(node->counters.batches, 1);
	series_add(node->counters.batch_bytes, body.len);
	series_set(node->counters.in_flight, 1);
	buffer_init(&work->answer, BATCH_BYTES_MAX);
	if (batch_open(&work->reader, body, &error) != 0)
		work_refuse(node, 400, "malformed_batch", &error);
	else
		batch_answer_begin(&work->writer, &work->answer, work->reader.batch_id);
	return true;
}

/* One that only moves received does not. */
static bool takes_memory(const struct range *range)
{
	return range->ops_len > 0 || range->identities_len > 0 || range->origins_len > 0;
}

static void range_refuse(struct held *held, struct range_answer *answer)
{
	replica_answer(held->replica, answer);
	if (answer->result == RANGE_RESULT_STOPPED)
		return;
	answer->result = RANGE_RESULT_BUSY;
	held->busy_ranges++;
	series_add(held->busy, 1);
}

/* False if the range's bytes are malformed: then the whole batch is refused, whatever was applied stays. */
static bool range_receive(struct node *node, const struct range *range, struct range_answer *answer,
                          struct error *error)
{
	struct held *held = replicas_find(node, range->index_id, range->partition);

	*answer = (struct range_answer){.index_id = range->index_id,
	                                .partition = range->partition,
	                                .result = RANGE_RESULT_UNKNOWN,
	                                .anchor = {.offset = -1}};
	if (held == NULL || held->replica == NULL)
		return true;
	if (takes_memory(range) && !budget_admits(&node->budget, range->index_id)) {
		range_refuse(held, answer);
		return true;
	}
	if (replica_receive(held->replica, range, answer, error) != 0) {
		replicas_note(node, held);
		if (error->action == ERROR_ACTION_REJECT)
			return false;
		logline(LOG_LEVEL_ERROR, "receive_failed",
		        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
		        http_request_id(node->work.request), range->index_id, range->partition, error->text);
		range_refuse(held, answer);
		return true;
	}
	held->unmerged = held->unmerged || answer->result == RANGE_RESULT_APPLIED;
	replicas_note(node, held);
	return true;
}

static void work_finish(struct node *node)
{
	struct batch_work *work = &node->work;

	if (!batch_answer_end(&work->writer))
		http_refuse(work->request, 503, "memory", "the answer does not fit into memory");
	else
		http_respond(work->request, 200, "application/octet-stream", &work->answer, NULL);
	work_end(node);
}

bool batches_turn(struct node *node)
{
	struct batch_work *work = &node->work;
	struct range_answer answer;
	struct range range;
	struct error error;
	int64_t begun_us = clock_monotonic_us();
	int rc;

	if (work->request == NULL && !work_begin(node))
		return false;
	if (work->request == NULL)
		return true;
	rc = batch_next(&work->reader, &range, &error);
	if (rc == 0) {
		work_finish(node);
		return true;
	}
	if (rc < 0 || !range_receive(node, &range, &answer, &error)) {
		work_refuse(node, 400, "malformed_batch", &error);
		return true;
	}
	batch_answer_add(&work->writer, &answer);
	series_add(node->counters.range_results[answer.result], 1);
	series_observe(node->counters.receive_seconds, (double)(clock_monotonic_us() - begun_us) / 1e6);
	return true;
}

void batches_refuse(struct node *node)
{
	struct http_request *request;

	if (node->work.request != NULL) {
		http_refuse(node->work.request, 503, "stopping", "the node is stopping");
		work_end(node);
	}
	while ((request = mailbox_take(node->batches)) != NULL)
		http_refuse(request, 503, "stopping", "the node is stopping");
}
