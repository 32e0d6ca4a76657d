/* Answers: what every shard of a question has, merged, best first. */
#include "shard/question.h"

#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdlib.h>

/* A document of one shard. */
struct hit {
	struct held *held;
	const struct document *document;
};

struct hits {
	const struct document_page *pages; /* one a shard */
	struct hit *list;
	size_t len;
	uint64_t total;
};

/* After an error of a replica: it has stopped, or memory is short. */
static void failed(struct question *question, struct held *held, const struct error *error)
{
	logline(LOG_LEVEL_WARN, "question_failed",
	        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
	        http_request_id(question->request), held->index_id, held->partition, error->text);
	replicas_note(question->node, held);
	if (held_see(held).state == REPLICA_STATE_STOPPED)
		question_refuse(question);
	else
		http_refuse(question->request, 503, "unavailable", error->text);
}

static int hit_compare(const void *a, const void *b)
{
	const struct document *left = ((const struct hit *)a)->document;
	const struct document *right = ((const struct hit *)b)->document;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	return insertion_key_compare(left->key, left->id, right->key, right->id);
}

/* What each shard has, as one ranked list. */
static bool hits_merge(struct question *question, const struct document_page *pages, struct hits *hits)
{
	size_t count = 0;

	*hits = (struct hits){.pages = pages};
	for (size_t i = 0; i < question->shards_len; i++)
		count += pages[i].count;
	hits->list = arena_alloc(&question->arena, (count + 1) * sizeof *hits->list);
	if (hits->list == NULL)
		return false;
	for (size_t i = 0; i < question->shards_len; i++) {
		hits->total += pages[i].total;
		for (size_t k = 0; k < pages[i].count; k++)
			hits->list[hits->len++] =
				(struct hit){question->shards[i].held, &pages[i].documents[k]};
	}
	qsort(hits->list, hits->len, sizeof *hits->list, hit_compare);
	return true;
}

static void append_hit(struct buffer *body, const struct hit *hit, struct slice document)
{
	buffer_printf(body,
	              "{\"p\":%" PRId32 ",\"score\":%" PRIu32 ",\"ts\":%" PRId64 ",\"seq\":%" PRIu32
	              ",\"id\":",
	              hit->held->partition, hit->document->score, hit->document->key.timestamp_ms,
	              hit->document->key.seq);
	json_append_string(body, hit->document->id);
	buffer_append_string(body, ",\"doc\":");
	buffer_append_slice(body, document);
	buffer_append_string(body, "}");
}

/* "received":[…]: what each shard had when it was asked; `pages` NULL: without counts. */
static void append_received(const struct question *question, const struct document_page *pages,
                            struct buffer *body)
{
	buffer_append_string(body, "\"received\":[");
	for (size_t i = 0; i < question->shards_len; i++) {
		const struct serving_shard *seen = &question->seen[i];

		/* whoever answers only because stale is accepted is not active */
		buffer_printf(body, "%s{\"p\":%" PRId32 ",\"received\":%" PRId64 ",\"state\":\"%s\"",
		              i == 0 ? "" : ",", question->shards[i].partition, seen->received,
		              serving_name(serving_of(seen, false) == SERVING_RECOVERING ? SERVING_RECOVERING
		                                                                         : SERVING_ACTIVE));
		if (pages != NULL)
			buffer_printf(body, ",\"total\":%" PRIu64, pages[i].total);
		buffer_append_string(body, "}");
	}
	buffer_append_string(body, "]");
}

/* The body of a hit, fetched now if its page has keys only; false after a refusal. */
static bool hit_body(struct question *question, const struct hit *hit, struct slice *found)
{
	struct document document;
	struct error error;

	*found = hit->document->body;
	if (question->kind == QUESTION_KIND_SEARCH)
		return true;
	if (question_is_late(question)) {
		question_drop(question);
		return false;
	}
	if (replica_get(hit->held->replica, hit->document->id, question->stale, &question->arena, &document,
	                &error) != 0) {
		failed(question, hit->held, &error);
		return false;
	}
	*found = document.body;
	return true;
}

static void hits_answer(struct question *question, const struct hits *hits)
{
	size_t end = (size_t)(question->offset + question->limit);
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{");
	append_received(question, hits->pages, &body);
	buffer_printf(&body, ",\"total\":%" PRIu64 ",\"hits\":[", hits->total);
	for (size_t i = (size_t)question->offset; i < hits->len && i < end; i++) {
		struct slice document;

		if (!hit_body(question, &hits->list[i], &document)) {
			buffer_deinit(&body);
			return;
		}
		if (i > (size_t)question->offset)
			buffer_append_string(&body, ",");
		append_hit(&body, &hits->list[i], document);
	}
	buffer_append_string(&body, "]}");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
}

/* Asks one shard for as much as the page may need of it; false after a refusal. */
static bool page_ask(struct question *question, struct held *held, struct document_page *page)
{
	bool search = question->kind == QUESTION_KIND_SEARCH;
	struct document_request request = {.limit = (size_t)(question->offset + question->limit),
	                                   .stale_ok = question->stale,
	                                   .keys_only = !search,
	                                   .arena = &question->arena};
	struct error error;
	int rc;

	if (question_is_late(question)) {
		question_drop(question);
		return false;
	}
	rc = search ? replica_search(held->replica, question->text, &request, page, &error)
	            : replica_list(held->replica, &request, page, &error);
	if (rc != 0)
		failed(question, held, &error);
	return rc == 0;
}

static void pages_answer(struct question *question)
{
	struct document_page *pages = arena_alloc(&question->arena, question->shards_len * sizeof *pages);
	struct hits hits;

	for (size_t i = 0; pages != NULL && i < question->shards_len; i++)
		if (!page_ask(question, question->shards[i].held, &pages[i]))
			return;
	if (pages == NULL || !hits_merge(question, pages, &hits))
		http_refuse(question->request, 503, "memory", "out of memory");
	else
		hits_answer(question, &hits);
}

static void get_respond(struct question *question, int status, struct slice document)
{
	struct buffer body;

	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{");
	append_received(question, NULL, &body);
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

static void get_answer(struct question *question)
{
	struct held *held = question->shards[0].held;
	struct document document;
	struct error error;

	if (replica_get(held->replica, question->text, question->stale, &question->arena, &document,
	                &error) == 0)
		get_respond(question, 200, document.body);
	else if (error.code == ERROR_NOT_FOUND)
		get_respond(question, 404, slice_of("", 0));
	else
		failed(question, held, &error);
}

void question_answer(struct question *question)
{
	int64_t begun_us = clock_monotonic_us();

	if (question->kind == QUESTION_KIND_GET) {
		get_answer(question);
		return;
	}
	pages_answer(question);
	if (question->kind == QUESTION_KIND_SEARCH)
		series_observe(question->node->counters.search_seconds,
		               (double)(clock_monotonic_us() - begun_us) / 1e6);
}
