/*
 * POST /copy and POST /copy/chunks: a copy (core/copy.h) comes to this node, for a replica that its shard's record
 * says comes by one. The owner checks each piece and gives it to the writer thread, one at a time; who sends waits
 * for the answer before the next one. Nothing is kept open in between: what the store holds says how far it is.
 *
 *   POST /copy?index=&partition=&head=H&at=N&bytes=B   bytes N.. of the head, which has B, in pieces as long as a
 *                                                       body may be; {"at":N} until it is whole
 *   POST /copy/chunks?index=&partition=&head=H          a page
 *
 * H is the head's hash, which must be the recorded one. Answers {"after":"<key>","whole":bool}: the last chunk that
 * is on disk, and whether the replica is. 507: the disk did not take it. 409 `head_first`: the head must come (again)
 * before anything else, as also after a head for which what was there of another incarnation was dropped. The first
 * piece of one head takes the place of another one that is not whole.
 */
#include "shard/question.h"

#include "shared/meta/restore.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

/* A head that nobody goes on with is let go of. */
#define HEAD_IDLE_MS 60000
#define ANSWER_BYTES_MAX 4096

void restoring_init(struct node *node)
{
	buffer_init(&node->arrival.head, COPY_HEAD_BYTES_MAX);
}

/* ---- what is asked ---- */

struct asked {
	uint64_t index_id;
	int32_t partition;
	struct hash128 head;
	int64_t at;
	int64_t bytes;
};

static bool asked_parse(const struct question *question, struct asked *asked)
{
	const struct http_request *request = question->request;
	const char *index = http_request_argument(request, "index");
	const char *head = http_request_argument(request, "head");
	int64_t partition;

	if (index == NULL || !index_id_parse(slice_string(index), &asked->index_id) || head == NULL ||
	    !restore_head_parse(slice_string(head), &asked->head) ||
	    !question_number_parse(http_request_argument(request, "partition"), &partition) ||
	    partition >= INDEX_PARTITIONS_MAX || http_request_body(request).len == 0)
		return false;
	asked->partition = (int32_t)partition;
	if (question->kind == QUESTION_KIND_CHUNKS_PUT)
		return true;
	return question_number_parse(http_request_argument(request, "at"), &asked->at) &&
	       question_number_parse(http_request_argument(request, "bytes"), &asked->bytes) &&
	       asked->at + (int64_t)http_request_body(request).len <= asked->bytes &&
	       asked->bytes <= (int64_t)COPY_HEAD_BYTES_MAX;
}

/* What the records say of the shard here; NULL: it does not come by this copy. */
static const struct placement *placement_of(const struct node *node, const struct asked *asked)
{
	const struct shard_record *shard = catalog_shard(node->catalog, asked->index_id, asked->partition);
	const struct placement *placement = shard == NULL ? NULL : catalog_placement(shard, node->id);

	return placement != NULL && placement_copy_is_set(&placement->copy) &&
	                       hash128_equal(placement->copy.head, asked->head)
	               ? placement
	               : NULL;
}

/* ---- what is on disk ---- */

/* What cannot be read now may be another time; what is damaged, or of another format, is of no use. */
static bool store_look(const struct node *node, struct held *held)
{
	struct error error;
	struct kv *kv;
	int rc;

	if (!replicas_are_on_disk(node, held))
		return true;
	rc = replicas_open_store(node, held, &kv, &error);
	if (rc == 0) {
		rc = copy_look(kv, &held->on_disk, &error);
		kv_close(kv);
	}
	if (rc != 0)
		logline(LOG_LEVEL_WARN, "replica_unreadable",
		        "index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"", held->index_id,
		        held->partition, error.text);
	return rc == 0 || rc == ERROR_DAMAGED || rc == ERROR_VERSION;
}

void restoring_look(struct node *node, struct held *held)
{
	const struct shard_record *shard = catalog_shard(node->catalog, held->index_id, held->partition);
	const struct placement *placement = shard == NULL ? NULL : catalog_placement(shard, node->id);
	struct replica_status status;

	if (held->replica != NULL) {
		replica_status(held->replica, &status);
		held->on_disk = status.incarnation;
		return;
	}
	if (held->looked || placement == NULL || !placement_copy_is_set(&placement->copy))
		return;
	held->on_disk = (struct incarnation){{0, 0}};
	held->looked = store_look(node, held);
}

/* ---- answers ---- */

static void refuse(struct question *question, int status, const char *code, const char *text)
{
	http_refuse(question->request, status, code, text);
	question_free(question);
}

static void refuse_head(struct question *question)
{
	refuse(question, 409, "head_first", "the copy's head must come first, from its beginning");
}

static void answer_place(struct question *question, struct slice after, bool whole)
{
	struct buffer body;

	buffer_init(&body, ANSWER_BYTES_MAX);
	buffer_append_string(&body, "{\"after\":\"");
	for (size_t i = 0; i < after.len; i++)
		buffer_printf(&body, "%02x", after.ptr[i]);
	buffer_printf(&body, "\",\"whole\":%s}", whole ? "true" : "false");
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
	question_free(question);
}

static void answer_at(struct question *question, size_t at)
{
	struct buffer body;

	buffer_init(&body, ANSWER_BYTES_MAX);
	buffer_printf(&body, "{\"at\":%zu}", at);
	http_answer_json(question->request, 200, &body);
	buffer_deinit(&body);
	question_free(question);
}

/* ---- the owner's part ---- */

static void head_forget(struct arrival *arrival)
{
	buffer_deinit(&arrival->head);
	buffer_init(&arrival->head, COPY_HEAD_BYTES_MAX);
	arrival->head_of = NULL;
}

/* A piece of the head; true once it is whole. Answers and frees the question otherwise. */
static bool head_take(struct node *node, struct held *held, const struct asked *asked,
                      struct question *question)
{
	struct arrival *arrival = &node->arrival;

	if (asked->at == 0) {
		head_forget(arrival);
		arrival->head_of = held;
	}
	if (arrival->head_of != held || (int64_t)arrival->head.len != asked->at) {
		refuse_head(question);
		return false;
	}
	arrival->used_ms = node->now_ms;
	buffer_append_slice(&arrival->head, http_request_body(question->request));
	if (buffer_failed(&arrival->head)) {
		head_forget(arrival);
		refuse(question, 503, "memory", "out of memory for the copy's head");
		return false;
	}
	if ((int64_t)arrival->head.len < asked->bytes) {
		answer_at(question, arrival->head.len);
		return false;
	}
	if (hash128_equal(hash128_of(buffer_slice(&arrival->head), 0), asked->head))
		return true;
	head_forget(arrival);
	refuse(question, 422, "copy_damaged", "the copy's head does not match its hash");
	return false;
}

/* Only now: before, what is there may be all that is left of the shard. */
static void give_way(struct node *node, struct held *held, struct question *question)
{
	refuse_head(question);
	(void)replicas_discard(node, held);
	node->decisions_due = true;
}

static void arrival_begin(struct node *node, struct held *held, const struct asked *asked,
                          struct question *question)
{
	struct arrival *arrival = &node->arrival;
	const struct index_record *index = catalog_index(node->catalog, held->index_id);

	if (question->kind == QUESTION_KIND_COPY_PUT) {
		if (!head_take(node, held, asked, question))
			return;
		if (!incarnation_is_none(held->on_disk)) {
			give_way(node, held, question);
			return;
		}
		held->head = (struct hash128){0, 0};
		arrival->page = slice_of("", 0);
	} else if (!hash128_equal(held->head, asked->head)) {
		refuse_head(question);
		return;
	} else {
		head_forget(arrival);
		arrival->page = http_request_body(question->request);
	}
	arrival->question = question;
	arrival->held = held;
	arrival->head_hash = asked->head;
	arrival->identity = replicas_identity(node, held, index);
	arrival->identity.incarnation = placement_of(node, asked)->incarnation;
	replicas_path(node, held, arrival->path);
}

void restoring_put(struct node *node, struct question *question)
{
	const struct placement *placement;
	struct asked asked = {.at = 0};
	struct held *held;

	if (!asked_parse(question, &asked)) {
		refuse(question, 400, "invalid_request",
		       "expected `index` (16 hexadecimal digits), `partition`, `head` (32 hexadecimal "
		       "digits), for a head `at` and `bytes`, and a body");
		return;
	}
	placement = placement_of(node, &asked);
	held = replicas_find(node, asked.index_id, asked.partition);
	if (placement == NULL || held == NULL) {
		refuse(question, 410, "not_awaited",
		       "no record says (yet) that this node's replica of the shard comes by that copy");
		return;
	}
	restoring_look(node, held);
	if (held->replica == NULL && !held->looked)
		refuse(question, 503, "unavailable", "what is on disk of the replica cannot be read now");
	else if (incarnation_equal(held->on_disk, placement->incarnation)) {
		node->decisions_due = node->decisions_due || held->replica == NULL; /* it is opened */
		answer_place(question, slice_of("", 0), true);
	} else if (!held->awaits)
		refuse(question, 410, "not_awaited", held->closed_reason);
	else if (node->arrival.question != NULL || node->stopping)
		refuse(question, 503, "too_many_copies",
		       "a piece of a copy is on its way to the disk already");
	else
		arrival_begin(node, held, &asked, question);
}

struct held *restoring_next(struct node *node)
{
	return node->arrival.question != NULL ? node->arrival.held : NULL;
}

void restoring_forget(struct node *node, const struct held *held)
{
	struct arrival *arrival = &node->arrival;

	if (arrival->head_of == held)
		head_forget(arrival);
	if (arrival->held != held || arrival->question == NULL)
		return;
	refuse(arrival->question, 410, "not_awaited", "the replica has been closed");
	arrival->question = NULL;
}

void restoring_expire(struct node *node)
{
	if (node->arrival.head_of != NULL && node->arrival.question == NULL &&
	    node->now_ms - node->arrival.used_ms >= HEAD_IDLE_MS)
		head_forget(&node->arrival);
}

void restoring_refuse(struct node *node)
{
	if (node->arrival.question != NULL && !node->storing)
		refuse(node->arrival.question, 503, "stopping", "the node is stopping");
	if (!node->storing)
		node->arrival.question = NULL;
	if (node->arrival.question == NULL)
		head_forget(&node->arrival);
}

/* ---- the writer thread's part ---- */

static int piece_put(struct arrival *arrival, struct kv *kv, struct error *error)
{
	struct copy_target *target;
	int rc = copy_target_open(kv, &arrival->identity, buffer_slice(&arrival->head), &target, error);

	if (rc != 0)
		return rc;
	if (arrival->page.len > 0 && !copy_target_is_whole(target))
		rc = copy_target_page(target, arrival->page, error);
	if (rc == 0 && copy_target_is_whole(target)) {
		rc = copy_target_finish(target, error);
		arrival->whole = rc == 0;
	}
	if (rc == 0) {
		arrival->after_len = copy_target_after(target).len;
		if (arrival->after_len > 0)
			memcpy(arrival->after, copy_target_after(target).ptr, arrival->after_len);
	}
	copy_target_free(target);
	return rc;
}

int restoring_run(struct arrival *arrival, struct error *error)
{
	struct kv *kv;
	int rc = kv_open(arrival->path, &kv, error);

	arrival->whole = false;
	if (rc != 0)
		return rc;
	rc = piece_put(arrival, kv, error);
	kv_close(kv);
	return rc;
}

/* ---- its end ---- */

/* What is in the store is of no use: another copy's chunks, or damaged. */
static bool must_begin_anew(const struct error *error)
{
	return (error->code == ERROR_STATE && error->action == ERROR_ACTION_REJECT) ||
	       (error->code == ERROR_DAMAGED && error->action == ERROR_ACTION_FATAL) ||
	       error->code == ERROR_NOT_FOUND;
}

static void failed(struct node *node, struct held *held, struct question *question, const struct error *error)
{
	logline(LOG_LEVEL_WARN, "copy_refused",
	        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
	        http_request_id(question->request), held->index_id, held->partition, error->text);
	if (must_begin_anew(error)) {
		refuse_head(question);
		(void)replicas_discard(node, held);
		node->decisions_due = true;
		return;
	}
	if (error->code == ERROR_STORAGE)
		refuse(question, 507, "storage", error->text);
	else if (error->code == ERROR_MEMORY || error->code == ERROR_LIMIT)
		refuse(question, 503, "unavailable", error->text);
	else
		refuse(question, 422, "copy_refused", error->text);
}

void restoring_done(struct node *node, const struct store_task *task)
{
	struct arrival *arrival = &node->arrival;
	struct question *question = arrival->question;
	struct held *held = task->held;
	bool was_head = arrival->page.len == 0;

	arrival->question = NULL;
	head_forget(arrival);
	if (task->result != 0) {
		held->head = (struct hash128){0, 0};
		failed(node, held, question, &task->error);
		return;
	}
	held->head = arrival->head_hash;
	if (was_head || arrival->whole)
		logline(LOG_LEVEL_INFO, arrival->whole ? "copy_received" : "copy_goes_on",
		        "request=%s index=%016" PRIx64 " partition=%" PRId32 " chunks=%s",
		        http_request_id(question->request), held->index_id, held->partition,
		        arrival->after_len > 0 ? "some" : "none");
	if (arrival->whole) {
		held->looked = false;
		node->decisions_due = true; /* it is opened */
	}
	answer_place(question, slice_of(arrival->after, arrival->after_len), arrival->whole);
}
