/* GET /marks: a page of what a replica knows beside documents, for whoever starts to feed where it stands. */
#include "shard/question.h"

#include "shared/record/marks.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

#define NUMBER_DIGITS_MAX 18

/* What is asked: one replica, and where it is believed to stand. */
struct asked {
	uint64_t index_id;
	int32_t partition;
	struct incarnation incarnation;
	int64_t received;
	int64_t from;
};

bool question_number_parse(const char *text, int64_t *number)
{
	size_t len = text == NULL ? 0 : strlen(text);
	int64_t found = 0;

	if (len == 0 || len > NUMBER_DIGITS_MAX)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		found = found * 10 + (*text - '0');
	}
	*number = found;
	return true;
}

static bool asked_parse(const struct http_request *request, struct asked *asked)
{
	const char *index = http_request_argument(request, "index");
	const char *incarnation = http_request_argument(request, "incarnation");
	int64_t partition;

	if (index == NULL || !index_id_parse(slice_string(index), &asked->index_id) || incarnation == NULL ||
	    !incarnation_parse(slice_string(incarnation), &asked->incarnation) ||
	    !question_number_parse(http_request_argument(request, "partition"), &partition) ||
	    partition >= INDEX_PARTITIONS_MAX ||
	    !question_number_parse(http_request_argument(request, "received"), &asked->received) ||
	    !question_number_parse(http_request_argument(request, "from"), &asked->from))
		return false;
	asked->partition = (int32_t)partition;
	return true;
}

/* What it stands at is part of the question: marks as of another offset are of no use. */
static bool stands_there(const struct replica_status *status, const struct asked *asked)
{
	return status->received == asked->received &&
	       incarnation_equal(status->incarnation, asked->incarnation);
}

static void refuse_moved(struct http_request *request, const struct replica_status *status)
{
	char incarnation[33];
	char message[256];

	incarnation_print(status->incarnation, incarnation);
	(void)snprintf(message, sizeof message, "incarnation %s has received up to offset %" PRId64,
	               incarnation, status->received);
	http_refuse(request, 409, "received_moved", message);
}

static void page_answer(struct question *question, struct held *held, const struct asked *asked)
{
	struct buffer page;
	struct error error;

	buffer_init(&page, MARKS_PAGE_BYTES_MAX);
	if (replica_marks(held->replica, asked->from, &page, &error) != 0) {
		logline(LOG_LEVEL_WARN, "marks_failed",
		        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
		        http_request_id(question->request), held->index_id, held->partition, error.text);
		replicas_note(question->node, held);
		http_refuse(question->request, 503, "unavailable", error.text);
	} else {
		series_add(question->node->counters.marks_pages, 1);
		series_add(question->node->counters.marks_bytes, page.len);
		http_respond(question->request, 200, "application/octet-stream", &page, NULL);
	}
	buffer_deinit(&page);
}

void question_marks(struct question *question)
{
	struct http_request *request = question->request;
	int64_t begun_us = clock_monotonic_us();
	struct replica_status status;
	struct asked asked;
	struct held *held;

	if (!asked_parse(request, &asked)) {
		http_refuse(request, 400, "invalid_request",
		            "expected `index` (16 hexadecimal digits), `partition`, `incarnation` (32 "
		            "hexadecimal digits), `received` and `from`");
		return;
	}
	held = replicas_find(question->node, asked.index_id, asked.partition);
	if (held == NULL || held->replica == NULL) {
		http_refuse(request, 410, "not_serving",
		            held == NULL ? "no such replica" : held->closed_reason);
		return;
	}
	replica_status(held->replica, &status);
	if (status.state == REPLICA_STATE_STOPPED)
		http_refuse(request, 410, "not_serving", status.stop_reason);
	else if (!stands_there(&status, &asked))
		refuse_moved(request, &status);
	else
		page_answer(question, held, &asked);
	series_observe(question->node->counters.marks_seconds,
	               (double)(clock_monotonic_us() - begun_us) / 1e6);
}
