/* Answers: what every shard of a question has, merged. */
#include "shard/answer.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdlib.h>

/* A document of one shard. */
struct hit {
	size_t shard; /* of the question's */
	const struct document *document;
};

struct hits {
	uint64_t *totals; /* one a shard */
	struct hit *list;
	size_t len;
	uint64_t total;
};

void answer_failed(struct answer *answer, size_t shard, const struct error *error)
{
	struct question *question = answer->question;
	int32_t partition = question->shards[shard].partition;

	logline(LOG_LEVEL_WARN, "question_failed",
	        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
	        http_request_id(question->request), question->index_id, partition, error->text);
	answer->damaged = error->code == ERROR_DAMAGED || error->action == ERROR_ACTION_FATAL;
	if (!answer->damaged) {
		http_refuse(question->request, 503, "unavailable", error->text);
		return;
	}
	answer->damage->index_id = question->index_id;
	answer->damage->partition = partition;
	answer->damage->error = *error;
}

static int hit_compare(const void *a, const void *b)
{
	const struct document *left = ((const struct hit *)a)->document;
	const struct document *right = ((const struct hit *)b)->document;

	return insertion_key_compare(left->key, left->id, right->key, right->id);
}

/* What each shard has, as one list. */
static bool hits_merge(struct question *question, const struct document_page *pages, struct hits *hits)
{
	size_t count = 0;

	*hits = (struct hits){
		.totals = arena_alloc(&question->arena, question->shards_len * sizeof *hits->totals)};
	for (size_t i = 0; i < question->shards_len; i++)
		count += pages[i].count;
	hits->list = arena_alloc(&question->arena, (count + 1) * sizeof *hits->list);
	if (hits->list == NULL || hits->totals == NULL)
		return false;
	for (size_t i = 0; i < question->shards_len; i++) {
		hits->totals[i] = pages[i].total;
		hits->total += pages[i].total;
		for (size_t k = 0; k < pages[i].count; k++)
			hits->list[hits->len++] = (struct hit){i, &pages[i].documents[k]};
	}
	qsort(hits->list, hits->len, sizeof *hits->list, hit_compare);
	return true;
}

static void append_hit(const struct question *question, const struct hit *hit, struct slice document,
                       struct buffer *body)
{
	buffer_printf(body, "{\"p\":%" PRId32 ",\"ts\":%" PRId64 ",\"seq\":%" PRIu32 ",\"id\":",
	              question->shards[hit->shard].partition, hit->document->key.timestamp_ms,
	              hit->document->key.seq);
	json_append_string(body, hit->document->id);
	buffer_append_string(body, ",\"doc\":");
	buffer_append_slice(body, document);
	buffer_append_string(body, "}");
}

void answer_received(const struct question *question, const uint64_t *totals, struct buffer *body)
{
	buffer_append_string(body, "\"received\":[");
	for (size_t i = 0; i < question->shards_len; i++) {
		const struct serving_shard *seen = &question->seen[i];

		/* whoever answers only because stale is accepted is not active */
		buffer_printf(body, "%s{\"p\":%" PRId32 ",\"received\":%" PRId64 ",\"state\":\"%s\"",
		              i == 0 ? "" : ",", question->shards[i].partition, seen->received,
		              serving_name(serving_of(seen, false) == SERVING_RECOVERING ? SERVING_RECOVERING
		                                                                         : SERVING_ACTIVE));
		if (totals != NULL)
			buffer_printf(body, ",\"total\":%" PRIu64, totals[i]);
		buffer_append_string(body, "}");
	}
	buffer_append_string(body, "]");
}

/* The body of a hit, fetched now that it is known which of the shards' hits are wanted; false after a refusal. */
static bool hit_body(struct answer *answer, const struct hit *hit, struct slice *found)
{
	struct question *question = answer->question;
	struct document document;
	struct error error;

	if (question_is_late(question)) {
		question_drop(question);
		return false;
	}
	if (snapshot_get(question->views[hit->shard].snapshot, hit->document->id, &question->arena, &document,
	                 &error) != 0) {
		answer_failed(answer, hit->shard, &error);
		return false;
	}
	*found = document.body;
	return true;
}

static void hits_answer(struct answer *answer, const struct hits *hits)
{
	struct question *question = answer->question;
	size_t end = (size_t)(question->offset + question->limit);
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{");
	answer_received(question, hits->totals, &body);
	buffer_printf(&body, ",\"total\":%" PRIu64 ",\"hits\":[", hits->total);
	for (size_t i = (size_t)question->offset; i < hits->len && i < end; i++) {
		struct slice document;

		if (!hit_body(answer, &hits->list[i], &document)) {
			buffer_deinit(&body);
			return;
		}
		if (i > (size_t)question->offset)
			buffer_append_string(&body, ",");
		append_hit(question, &hits->list[i], document, &body);
	}
	buffer_append_string(&body, "]}");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
}

/* Asks one shard for as much as the page may need of it; false after a refusal. */
static bool page_ask(struct answer *answer, size_t shard, struct document_page *page)
{
	struct question *question = answer->question;
	struct snapshot *snapshot = question->views[shard].snapshot;
	struct document_request request = {.limit = (size_t)(question->offset + question->limit),
	                                   .keys_only = true,
	                                   .arena = &question->arena};
	struct error error;
	int rc;

	if (question_is_late(question)) {
		question_drop(question);
		return false;
	}
	rc = snapshot_list(snapshot, &request, page, &error);
	if (rc != 0)
		answer_failed(answer, shard, &error);
	return rc == 0;
}

static void pages_answer(struct answer *answer)
{
	struct question *question = answer->question;
	struct document_page *pages = arena_alloc(&question->arena, question->shards_len * sizeof *pages);
	struct hits hits;

	for (size_t i = 0; pages != NULL && i < question->shards_len; i++)
		if (!page_ask(answer, i, &pages[i]))
			return;
	if (pages == NULL || !hits_merge(question, pages, &hits))
		http_refuse(question->request, 503, "memory", "out of memory");
	else
		hits_answer(answer, &hits);
}

static void get_respond(struct question *question, int status, struct slice document)
{
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{");
	answer_received(question, NULL, &body);
	if (status == 200) {
		buffer_append_string(&body, ",\"doc\":");
		buffer_append_slice(&body, document);
	} else {
		buffer_append_string(&body, ",\"message\":\"there is no such document\","
		                            "\"code\":\"document_not_found\"");
	}
	buffer_append_string(&body, "}");
	http_answer_json(question->request, status, &body);
	buffer_deinit(&body);
}

static void get_answer(struct answer *answer)
{
	struct question *question = answer->question;
	struct document document;
	struct error error;

	if (snapshot_get(question->views[0].snapshot, question->text, &question->arena, &document, &error) ==
	    0)
		get_respond(question, 200, document.body);
	else if (error.code == ERROR_NOT_FOUND)
		get_respond(question, 404, slice_of("", 0));
	else
		answer_failed(answer, 0, &error);
}

static void verify_answer(struct answer *answer)
{
	struct question *question = answer->question;
	struct error error;
	struct buffer body;

	if (snapshot_verify(question->views[0].snapshot, answer->words, &error) != 0) {
		answer_failed(answer, 0, &error);
		if (answer->damaged)
			http_refuse(question->request, 409, "damaged", error.text);
		return;
	}
	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{\"sound\":true}");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
}

bool question_answer(struct question *question, struct words *words, struct damage *damage)
{
	struct answer answer = {.question = question, .words = words, .damage = damage};
	int64_t begun_us = clock_monotonic_us();

	if (question->kind == QUESTION_KIND_GET)
		get_answer(&answer);
	else if (question->kind == QUESTION_KIND_VERIFY)
		verify_answer(&answer);
	else if (question->kind == QUESTION_KIND_SEARCH)
		answer_search(&answer);
	else
		pages_answer(&answer);
	if (question->kind == QUESTION_KIND_SEARCH)
		series_observe(question->node->counters.search_seconds,
		               (double)(clock_monotonic_us() - begun_us) / 1e6);
	return !answer.damaged;
}
