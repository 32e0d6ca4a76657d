/*
 * Questions: what is asked, who may answer it, and the owner's turn.
 *
 * A question whose shards serve but have not received enough waits in the
 * node's list, and is looked at again when the shard that lacked something has
 * it, when anything changed of who serves, or when its wait is over.
 */
#include "shard/question.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define QUESTION_LIMIT_MAX 1000
/* A listing fetches this many keys from each shard at most. */
#define QUESTION_DEPTH_MAX 1000000
#define QUESTION_ARENA_BYTES (64U * 1024)

struct question *question_new(struct node *node, struct http_request *request, enum question_kind kind)
{
	struct question *question = calloc(1, sizeof *question);

	if (question == NULL)
		return NULL;
	question->node = node;
	question->request = request;
	question->kind = kind;
	question->arrived_ms = clock_monotonic_ms();
	question->deadline_ms = INT64_MAX;
	question->text = slice_of("", 0);
	arena_init(&question->arena, QUESTION_ARENA_BYTES);
	return question;
}

void question_free(struct question *question)
{
	if (question->doc != NULL)
		yyjson_doc_free(question->doc);
	copy_source_release(question->copy);
	shelf_give(question->node->shelf, &question->copied);
	arena_deinit(&question->arena);
	free(question);
}

bool question_is_late(const struct question *question)
{
	return question->deadline_ms != INT64_MAX && clock_monotonic_ms() >= question->deadline_ms;
}

static void refused(const struct question *question, struct series *counter, const char *reason)
{
	series_add(counter, 1);
	logline(LOG_LEVEL_DEBUG, "question_refused", "request=%s path=%s reason=%s",
	        http_request_id(question->request), http_request_path(question->request), reason);
}

void question_drop(struct question *question)
{
	refused(question, question->node->counters.refused_deadline, "deadline");
	http_refuse(question->request, 503, "deadline", "the deadline has passed");
}

static void invalid(const struct question *question, const char *message)
{
	http_refuse(question->request, 400, "invalid_request", message);
}

static bool partition_parse(yyjson_val *value, int32_t *partition)
{
	if (!yyjson_is_uint(value) || yyjson_get_uint(value) >= INDEX_PARTITIONS_MAX)
		return false;
	*partition = (int32_t)yyjson_get_uint(value);
	return true;
}

static bool shards_reserve(struct question *question, size_t len)
{
	question->shards = arena_alloc(&question->arena, len * sizeof question->shards[0]);
	question->seen = arena_alloc(&question->arena, len * sizeof question->seen[0]);
	question->views = arena_alloc(&question->arena, len * sizeof question->views[0]);
	if (question->shards != NULL && question->seen != NULL && question->views != NULL) {
		memset(question->views, 0, len * sizeof question->views[0]);
		return true;
	}
	http_refuse(question->request, 503, "memory", "out of memory");
	return false;
}

/* {"index","partitions"}; false after a refusal. */
static bool shards_parse(struct question *question, yyjson_val *object)
{
	yyjson_val *partitions = yyjson_obj_get(object, "partitions");
	yyjson_val *partition;
	struct slice text;
	size_t at;
	size_t max;

	if (!json_get_string(object, "index", &text) || !index_id_parse(text, &question->index_id) ||
	    !yyjson_is_arr(partitions) || yyjson_arr_size(partitions) == 0 ||
	    yyjson_arr_size(partitions) > INDEX_PARTITIONS_MAX) {
		invalid(question, "expected `index` (16 hexadecimal digits) and `partitions` (numbers)");
		return false;
	}
	if (!shards_reserve(question, yyjson_arr_size(partitions)))
		return false;
	yyjson_arr_foreach(partitions, at, max, partition)
	{
		struct question_shard *shard = &question->shards[question->shards_len++];

		*shard = (struct question_shard){.held = NULL};
		if (!partition_parse(partition, &shard->partition)) {
			invalid(question, "a partition is a number from 0 to 1023");
			return false;
		}
	}
	return true;
}

/* {"index","partition","id"}; false after a refusal. */
static bool get_parse(struct question *question, yyjson_val *asked)
{
	struct slice text;

	if (!shards_reserve(question, 1))
		return false;
	question->shards[0] = (struct question_shard){.held = NULL};
	question->shards_len = 1;
	if (json_get_string(asked, "index", &text) && index_id_parse(text, &question->index_id) &&
	    partition_parse(yyjson_obj_get(asked, "partition"), &question->shards[0].partition) &&
	    json_get_string(asked, "id", &question->text))
		return true;
	invalid(question, "expected `index`, `partition` and `id`");
	return false;
}

/* {"index","partition"}; false after a refusal. */
static bool verify_parse(struct question *question, yyjson_val *asked)
{
	struct slice text;

	if (!shards_reserve(question, 1))
		return false;
	question->shards[0] = (struct question_shard){.held = NULL};
	question->shards_len = 1;
	if (json_get_string(asked, "index", &text) && index_id_parse(text, &question->index_id) &&
	    partition_parse(yyjson_obj_get(asked, "partition"), &question->shards[0].partition))
		return true;
	invalid(question, "expected `index` and `partition`");
	return false;
}

static bool search_parse(struct question *question, yyjson_val *asked)
{
	yyjson_val *shards = yyjson_obj_get(asked, "shards");
	struct error error = {.code = ERROR_MEMORY};

	question->search = arena_alloc(&question->arena, sizeof *question->search);
	if (question->search == NULL ||
	    search_question_read(asked, &question->arena, question->search, &error) != 0) {
		if (error.code == ERROR_MEMORY)
			http_refuse(question->request, 503, "memory", "out of memory");
		else
			invalid(question, error.text);
		return false;
	}
	if (!yyjson_is_arr(shards) || yyjson_arr_size(shards) != 1) {
		invalid(question, "`shards` lists one index and its partitions");
		return false;
	}
	return shards_parse(question, yyjson_arr_get_first(shards));
}

/* Of a listing. */
static bool bounds_parse(struct question *question, yyjson_val *asked)
{
	question->limit = 20;
	(void)json_get_i64(asked, "offset", &question->offset);
	(void)json_get_i64(asked, "limit", &question->limit);
	if (question->limit >= 0 && question->offset >= 0 && question->limit <= QUESTION_LIMIT_MAX &&
	    question->offset <= QUESTION_DEPTH_MAX - QUESTION_LIMIT_MAX)
		return true;
	invalid(question, "`limit` is at most 1000, `offset` and `limit` together at most 1000000");
	return false;
}

/* {"p","offset"}: of a shard that is asked; the highest counts. */
static bool token_parse(struct question *question, yyjson_val *token)
{
	bool known = false;
	int32_t partition;
	int64_t wanted;

	if (!partition_parse(yyjson_obj_get(token, "p"), &partition) ||
	    !json_get_i64(token, "offset", &wanted) || wanted < 0)
		return false;
	for (size_t i = 0; i < question->shards_len; i++) {
		struct question_shard *shard = &question->shards[i];

		if (shard->partition != partition)
			continue;
		known = true;
		if (shard->wanted < wanted)
			shard->wanted = wanted;
	}
	return known;
}

static bool tokens_parse(struct question *question, yyjson_val *asked)
{
	yyjson_val *tokens = yyjson_obj_get(asked, "tokens");
	yyjson_val *token;
	bool sound =
		tokens == NULL || (yyjson_is_arr(tokens) && yyjson_arr_size(tokens) <= INDEX_PARTITIONS_MAX);
	size_t at;
	size_t max;

	if (sound)
		yyjson_arr_foreach(tokens, at, max, token) sound = sound && token_parse(question, token);
	if (!sound)
		invalid(question, "`tokens` lists {\"p\",\"offset\"}, each of a partition that is asked");
	return sound;
}

bool question_parse(struct question *question)
{
	yyjson_val *asked;
	struct error error;
	bool sound;

	if (question->parsed)
		return true;
	question->parsed = true;
	if (json_parse_typed(http_request_body(question->request), &question->doc, &error) != 0) {
		question->doc = NULL;
		http_refuse(question->request, 400, "malformed_payload", error.text);
		return false;
	}
	asked = yyjson_doc_get_root(question->doc);
	if (question->kind == QUESTION_KIND_VERIFY)
		return verify_parse(question, asked);
	if (question->kind == QUESTION_KIND_SEARCH)
		sound = search_parse(question, asked);
	else if (question->kind == QUESTION_KIND_LIST)
		sound = shards_parse(question, asked) && bounds_parse(question, asked);
	else
		sound = get_parse(question, asked);
	(void)json_get_bool(asked, "stale", &question->stale);
	return sound && tokens_parse(question, asked);
}

/* Finds the replicas, and sees where they stand now. */
static void question_look(struct question *question)
{
	for (size_t i = 0; i < question->shards_len; i++) {
		struct question_shard *shard = &question->shards[i];

		shard->held = replicas_find(question->node, question->index_id, shard->partition);
		question->seen[i] = held_see(shard->held);
		question->seen[i].wanted = shard->wanted;
	}
}

static const char *refusal_reason(const struct question_shard *shard, enum serving serving, char text[128])
{
	struct replica_status status;

	if (shard->held == NULL)
		return "this node holds no replica of it";
	if (shard->held->replica == NULL)
		return shard->held->closed_reason;
	replica_status(shard->held->replica, &status);
	if (serving == SERVING_STOPPED)
		(void)snprintf(text, 128, "%.127s", status.stop_reason);
	else if (serving == SERVING_BEHIND)
		(void)snprintf(text, 128, "has received up to %" PRId64 ", asked for %" PRId64,
		               status.received, shard->wanted);
	else
		(void)snprintf(text, 128, "%s",
		               status.state == REPLICA_STATE_ACTIVE
		                       ? "the shard's record does not say that it is in-sync"
		                       : "not level with the log yet");
	return text;
}

/* 410, naming every shard that does not serve. */
static void question_refuse(struct question *question)
{
	enum serving first = SERVING_ACTIVE;
	struct buffer body;

	question_look(question);
	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&body,
	                     "{\"message\":\"some shards cannot answer here\",\"code\":\"not_serving\","
	                     "\"shards\":[");
	for (size_t i = 0; i < question->shards_len; i++) {
		enum serving serving = serving_of(&question->seen[i], question->stale);
		char text[128];

		if (serving == SERVING_ACTIVE)
			continue;
		buffer_printf(&body, "%s{\"p\":%" PRId32 ",\"state\":\"%s\",\"reason\":",
		              first == SERVING_ACTIVE ? "" : ",", question->shards[i].partition,
		              serving_name(serving));
		json_append_string(&body, slice_string(refusal_reason(&question->shards[i], serving, text)));
		buffer_append_string(&body, "}");
		if (first == SERVING_ACTIVE)
			first = serving;
	}
	buffer_append_string(&body, "]}");
	refused(question, question->node->counters.refused[first], serving_name(first));
	http_answer_json(question->request, 410, &body);
	buffer_deinit(&body);
}

static struct serving_terms terms_of(const struct question *question, bool may_wait)
{
	return (struct serving_terms){.stale = question->stale,
	                              .may_wait = may_wait && !question->node->stopping,
	                              .arrived_ms = question->arrived_ms,
	                              .deadline_ms = question->deadline_ms,
	                              .now_ms = clock_monotonic_ms()};
}

/* What it waits for first. */
static void missing_note(struct question *question)
{
	for (size_t i = 0; i < question->shards_len; i++) {
		if (serving_of(&question->seen[i], question->stale) != SERVING_BEHIND)
			continue;
		question->missing = question->shards[i].held;
		question->missing_wanted = question->shards[i].wanted;
		return;
	}
	ASSERT(false); /* a question waits because some shard is behind */
}

/* Whose it is after a turn. */
enum fate {
	FATE_ANSWERED, /* nobody's: it is freed */
	FATE_WAITS,
	FATE_GIVEN /* a search thread's, or restoring.c's */
};

static enum fate question_decide(struct question *question, bool may_wait)
{
	struct serving_terms terms = terms_of(question, may_wait);

	question_look(question);
	switch (serving_decide(question->seen, question->shards_len, &terms)) {
	case SERVING_VERDICT_ANSWER:
		question->decided = true;
		question_take_views(question);
		searching_put(question);
		return FATE_GIVEN;
	case SERVING_VERDICT_WAIT:
		missing_note(question);
		return FATE_WAITS;
	case SERVING_VERDICT_REFUSE:
		question_refuse(question);
		break;
	case SERVING_VERDICT_DROP:
		question_drop(question);
		break;
	}
	return FATE_ANSWERED;
}

/* Search threads verify what is open; this is closed, or not here. */
static void verify_refuse(struct question *question)
{
	const struct held *held =
		replicas_find(question->node, question->index_id, question->shards[0].partition);

	http_refuse(question->request, 410, "not_serving",
	            held == NULL            ? "no such replica"
	            : held->replica == NULL ? held->closed_reason
	                                    : "it has no memory left to be read");
}

static enum fate copy_begin(struct question *question)
{
	if (!question_copy(question))
		return FATE_ANSWERED;
	searching_put(question);
	return FATE_GIVEN;
}

static enum fate copy_put(struct question *question)
{
	restoring_put(question->node, question);
	return FATE_GIVEN;
}

/* Its first turn. */
static enum fate question_begin(struct question *question)
{
	node_check_pulse(question->node);
	if (question_is_late(question))
		question_drop(question);
	else if (question->kind == QUESTION_KIND_SHARDS)
		question_shards(question);
	else if (question->kind == QUESTION_KIND_MARKS)
		question_marks(question);
	else if (question->kind == QUESTION_KIND_COPY)
		return copy_begin(question);
	else if (question->kind == QUESTION_KIND_COPY_PUT || question->kind == QUESTION_KIND_CHUNKS_PUT)
		return copy_put(question);
	else if (!question_parse(question))
		return FATE_ANSWERED;
	else if (question->kind == QUESTION_KIND_VERIFY)
		verify_refuse(question);
	else
		return question_decide(question, question->node->waiting_len < NODE_WAITING_MAX);
	return FATE_ANSWERED;
}

static bool is_due(const struct question *question, int64_t now_ms)
{
	struct serving_terms terms = terms_of(question, true);

	return question->missing->received_now >= question->missing_wanted ||
	       now_ms >= serving_wait_until(&terms);
}

static void waiting_turn(struct node *node)
{
	struct question **at = &node->waiting;
	bool all = node->waiting_all || node->stopping;

	node->waiting_all = false;
	while (*at != NULL) {
		struct question *question = *at;
		struct question *next = question->next;
		enum fate fate = FATE_WAITS;

		if (all || is_due(question, clock_monotonic_ms()))
			fate = question_decide(question, true);
		if (fate == FATE_WAITS) {
			at = &question->next;
			continue;
		}
		*at = next; /* a question given away is not touched any more */
		node->waiting_len--;
		if (fate == FATE_ANSWERED)
			question_free(question);
	}
}

static void waiting_add(struct node *node, struct question *question)
{
	question->next = node->waiting;
	node->waiting = question;
	node->waiting_len++;
}

void questions_turn(struct node *node)
{
	struct question *question;

	waiting_turn(node);
	while ((question = mailbox_take(node->questions)) != NULL) {
		enum fate fate = question_begin(question);

		if (fate == FATE_WAITS)
			waiting_add(node, question);
		else if (fate == FATE_ANSWERED)
			question_free(question);
	}
	series_set(node->counters.waiting, (double)node->waiting_len);
}

int64_t questions_wait_ms(const struct node *node)
{
	int64_t wait_ms = INT64_MAX;

	for (const struct question *question = node->waiting; question != NULL; question = question->next) {
		struct serving_terms terms = terms_of(question, true);
		int64_t left_ms = serving_wait_until(&terms) - terms.now_ms;

		if (left_ms < wait_ms)
			wait_ms = left_ms;
	}
	if (wait_ms < 0 || (node->waiting != NULL && node->waiting_all))
		return 0;
	return wait_ms;
}

void questions_refuse(struct node *node)
{
	struct question *question;

	while (node->waiting != NULL) {
		question = node->waiting;
		node->waiting = question->next;
		node->waiting_len--;
		http_refuse(question->request, 503, "stopping", "the node is stopping");
		question_free(question);
	}
	while ((question = mailbox_take(node->questions)) != NULL) {
		http_refuse(question->request, 503, "stopping", "the node is stopping");
		question_free(question);
	}
}
