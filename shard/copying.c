/*
 * GET /copy, the head of a copy of a replica, which pins it; GET /copy/chunks,
 * the pages behind it; DELETE /copy, no more of them are wanted. The owner pins,
 * the search threads read.
 *
 * Behind the head stands what it says, for those who only keep it: JSON, and
 * the length of that (u32).
 */
#include "shard/question.h"

#include "shard/core/copy_head.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

#define COPY_HEADER "X-Millrace-Copy"
#define TOLD_BYTES_MAX 1024

static void invalid(struct question *question)
{
	http_refuse(
		question->request, 400, "invalid_request",
		"expected `index` (16 hexadecimal digits), `partition`, for chunks and to end a copy `copy` "
		"(16 hexadecimal digits), and for chunks maybe `after` (hexadecimal) and `skip` (pages)");
}

static bool shard_parse(struct question *question)
{
	const char *index = http_request_argument(question->request, "index");
	int64_t partition;

	if (index == NULL || !index_id_parse(slice_string(index), &question->copy_key.index_id) ||
	    !question_number_parse(http_request_argument(question->request, "partition"), &partition) ||
	    partition >= INDEX_PARTITIONS_MAX)
		return false;
	question->copy_key.partition = (int32_t)partition;
	return true;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Without `after`, or with an empty one, the first chunk is asked for. */
static bool after_parse(const char *text, uint8_t key[KV_KEY_BYTES_MAX], size_t *len)
{
	size_t digits = text == NULL ? 0 : strlen(text);

	if (digits % 2 != 0 || digits / 2 > KV_KEY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < digits / 2; i++) {
		int high = digit_of(text[2 * i]);
		int low = digit_of(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	*len = digits / 2;
	return true;
}

/* Without it none is. */
static bool skip_parse(const char *text, int64_t *skip)
{
	*skip = 0;
	return text == NULL || (question_number_parse(text, skip) && *skip <= COPY_SKIP_MAX);
}

bool question_copy(struct question *question)
{
	struct node *node = question->node;
	struct held *held;
	struct error error;

	if (!shard_parse(question)) {
		invalid(question);
		return false;
	}
	held = replicas_find(node, question->copy_key.index_id, question->copy_key.partition);
	if (held == NULL || held->replica == NULL) {
		http_refuse(question->request, 410, "not_serving",
		            held == NULL ? "no such replica" : held->closed_reason);
		return false;
	}
	shelf_take(node->shelf, held->index_id, held->partition, &question->copied);
	if (question->copied.entry == NULL) {
		http_refuse(question->request, 503, "memory", "out of memory");
		return false;
	}
	question->copy_key.id = session_draw();
	if (replica_copy(held->replica, &question->copy, &error) != 0) {
		question->copy = NULL;
		http_refuse(question->request, 503, "unavailable", error.text);
		return false;
	}
	logline(LOG_LEVEL_INFO, "copy_begun",
	        "request=%s index=%016" PRIx64 " partition=%" PRId32 " copy=%016" PRIx64,
	        http_request_id(question->request), held->index_id, held->partition, question->copy_key.id);
	return true;
}

/* False if the replica is damaged. */
static bool answer(struct question *question, int rc, struct buffer *body, const struct error *error)
{
	char header[64];

	if (rc != 0) {
		logline(LOG_LEVEL_WARN, "copy_failed",
		        "request=%s index=%016" PRIx64 " partition=%" PRId32 " error=\"%s\"",
		        http_request_id(question->request), question->copy_key.index_id,
		        question->copy_key.partition, error->text);
		http_refuse(question->request, 503, "unavailable", error->text);
		return rc != ERROR_DAMAGED && error->action != ERROR_ACTION_FATAL;
	}
	(void)snprintf(header, sizeof header, COPY_HEADER ": %016" PRIx64, question->copy_key.id);
	http_respond(question->request, 200, "application/octet-stream", body, header);
	return true;
}

/* Behind the head. */
static int head_tell(uint64_t id, struct buffer *body, struct error *error)
{
	struct copy_head head;
	char digest[33];
	size_t len = body->len;

	if (copy_head_read(buffer_slice(body), &head, error) != 0)
		return error->code;
	hash128_print(head.mark.digest, digest);
	body->len_max += TOLD_BYTES_MAX;
	buffer_printf(body,
	              "{\"copy\":\"%016" PRIx64 "\",\"format\":%d,\"words\":%" PRIu32 ",\"stored\":%" PRId64
	              ",\"anchor\":{\"offset\":%" PRId64 ",\"timestamp_ms\":%" PRId64
	              ",\"checksum\":\"%016" PRIx64 "\"}",
	              id, REPLICA_FORMAT, text_version(), head.mark.received, head.mark.anchor.offset,
	              head.mark.anchor.timestamp_ms, head.mark.anchor.checksum);
	buffer_printf(body,
	              ",\"digest\":\"%s\",\"documents\":%" PRIu64 ",\"body_bytes\":%" PRIu64
	              ",\"segments\":%zu,\"chunk_bytes\":%" PRIu64 "}",
	              digest, head.mark.documents, head.mark.body_bytes, head.manifest.segments_len,
	              manifest_bytes(&head.manifest));
	buffer_put_u32(body, (uint32_t)(body->len - len));
	return buffer_failed(body) ? error_memory(error, body->len_max) : 0;
}

static bool head_answer(struct question *question, struct error *error)
{
	struct copies *copies = question->node->copies;
	struct buffer head;
	bool sound;
	int rc;

	if (!copies_begin(copies)) {
		http_refuse(question->request, 503, "too_many_copies",
		            "as many copies are made of this node's replicas as may be at once");
		return true;
	}
	buffer_init(&head, COPY_HEAD_BYTES_MAX);
	rc = copy_source_head(question->copy, &head, error);
	if (rc == 0)
		rc = head_tell(question->copy_key.id, &head, error);
	if (rc == 0)
		copies_add(copies, &question->copy_key, question->copy, clock_monotonic_ms());
	else
		copies_give_up(copies);
	sound = answer(question, rc, &head, error);
	buffer_deinit(&head);
	return sound;
}

static bool page_answer(struct question *question, struct slice after, unsigned skip, struct error *error)
{
	struct buffer page;
	bool sound;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	sound = answer(question, copy_source_page(question->copy, after, skip, &page, error), &page, error);
	buffer_deinit(&page);
	return sound;
}

static void gone(struct question *question)
{
	http_refuse(question->request, 410, "copy_gone",
	            "nothing is kept for this copy any more: it must begin anew");
}

static bool copy_parse(struct question *question)
{
	const char *id = http_request_argument(question->request, "copy");

	return shard_parse(question) && id != NULL &&
	       index_id_parse(slice_string(id), &question->copy_key.id);
}

static bool chunks_answer(struct question *question, struct error *error)
{
	struct node *node = question->node;
	uint8_t after[KV_KEY_BYTES_MAX];
	int64_t skip;
	size_t len;

	if (!copy_parse(question) || !skip_parse(http_request_argument(question->request, "skip"), &skip) ||
	    !after_parse(http_request_argument(question->request, "after"), after, &len)) {
		invalid(question);
		return true;
	}
	shelf_take(node->shelf, question->copy_key.index_id, question->copy_key.partition, &question->copied);
	if (question->copied.entry != NULL)
		question->copy = copies_take(node->copies, &question->copy_key, clock_monotonic_ms());
	if (question->copy == NULL) {
		gone(question);
		return true;
	}
	return page_answer(question, slice_of(after, len), (unsigned)skip, error);
}

static void end_answer(struct question *question)
{
	struct buffer body;

	buffer_init(&body, 2);
	buffer_append_string(&body, "{}");
	if (!copy_parse(question))
		invalid(question);
	else if (!copies_end(question->node->copies, &question->copy_key))
		gone(question);
	else
		http_respond(question->request, 200, NULL, &body, NULL);
	buffer_deinit(&body);
}

bool copying_answer(struct question *question, struct damage *damage)
{
	bool sound = true;

	if (question->kind == QUESTION_KIND_COPY)
		sound = head_answer(question, &damage->error);
	else if (question->kind == QUESTION_KIND_CHUNKS)
		sound = chunks_answer(question, &damage->error);
	else
		end_answer(question);
	damage->index_id = question->copy_key.index_id;
	damage->partition = question->copy_key.partition;
	return sound;
}
