/*
 * Search threads: each takes a question, answers it from the shelf if it may
 * be answered now, and leaves every other one to the owner.
 *
 * Nothing of the node is touched here but the mailboxes, the shelf, the pulse
 * and the counters.
 */
#include "shard/question.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"

#include <unistd.h>

static void refuse_full(struct question *question)
{
	series_add(question->node->counters.refused_full, 1);
	http_refuse(question->request, 503, "too_many_requests", "too many requests wait already");
	question_free(question);
}

void question_take_views(struct question *question)
{
	for (size_t i = 0; i < question->shards_len; i++) {
		shelf_take(question->node->shelf, question->index_id, question->shards[i].partition,
		           &question->views[i]);
		question->seen[i] = question->views[i].seen;
		question->seen[i].wanted = question->shards[i].wanted;
	}
}

static void question_give_views(struct question *question)
{
	for (size_t i = 0; i < question->shards_len; i++)
		shelf_give(question->node->shelf, &question->views[i]);
}

void searching_put(struct question *question)
{
	if (mailbox_put(question->node->searches, question))
		return;
	question_give_views(question);
	refuse_full(question);
}

static void leave_to_owner(struct question *question)
{
	question_give_views(question);
	question->decided = false;
	if (!mailbox_put(question->node->questions, question))
		refuse_full(question);
}

static bool has_all_views(const struct question *question)
{
	for (size_t i = 0; i < question->shards_len; i++)
		if (question->views[i].entry == NULL)
			return false;
	return true;
}

/* True if it may be answered from its views. A replica that is level with nothing can be verified too. */
static bool is_answerable(struct question *question)
{
	struct serving_terms terms = {.stale = question->stale,
	                              .arrived_ms = question->arrived_ms,
	                              .deadline_ms = question->deadline_ms,
	                              .now_ms = clock_monotonic_ms()};

	question_take_views(question);
	if (question->kind == QUESTION_KIND_VERIFY)
		return has_all_views(question);
	return serving_decide(question->seen, question->shards_len, &terms) == SERVING_VERDICT_ANSWER;
}

/* The owner is told of one at a time; the next question finds the next one. */
static void damage_tell(struct searcher *searcher, const struct damage *found)
{
	if (atomic_load(&searcher->damage.told))
		return;
	searcher->damage.index_id = found->index_id;
	searcher->damage.partition = found->partition;
	searcher->damage.error = found->error;
	atomic_store(&searcher->damage.told, true);
	ASSERT(mailbox_put(searcher->node->inbox, &searcher->damage.message)); /* it has room for this one */
}

static void question_turn(struct searcher *searcher, struct question *question)
{
	struct damage found;

	if (question_is_late(question)) {
		question_drop(question);
	} else if (question->kind == QUESTION_KIND_COPY || question->kind == QUESTION_KIND_CHUNKS ||
	           question->kind == QUESTION_KIND_COPY_END) {
		if (!copying_answer(question, &found))
			damage_tell(searcher, &found);
	} else if (!question_parse(question)) {
		/* refused */
	} else if (pulse_stood(&searcher->node->pulse) || (!question->decided && !is_answerable(question))) {
		leave_to_owner(question);
		return;
	} else if (!has_all_views(question)) {
		http_refuse(question->request, 503, "memory", "out of memory");
	} else if (!question_answer(question, searcher->words, &found)) {
		damage_tell(searcher, &found);
		if (question->kind != QUESTION_KIND_VERIFY) {
			leave_to_owner(question);
			return;
		}
	}
	question_give_views(question);
	question_free(question);
}

static void *run(void *context)
{
	struct searcher *searcher = context;
	void *message;

	while ((message = mailbox_wait(searcher->node->searches, -1)) != searcher->node)
		question_turn(searcher, message);
	return NULL;
}

static size_t searchers_wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < NODE_SEARCHERS_MIN)
		return NODE_SEARCHERS_MIN;
	return processors > NODE_SEARCHERS_MAX ? NODE_SEARCHERS_MAX : (size_t)processors;
}

int searching_start(struct node *node, struct error *error)
{
	size_t wanted = searchers_wanted();

	while (node->searchers_len < wanted) {
		struct searcher *searcher = &node->searchers[node->searchers_len];

		searcher->node = node;
		searcher->damage.message.kind = MESSAGE_KIND_DAMAGED;
		searcher->words = words_new();
		if (searcher->words == NULL)
			return error_memory(error, sizeof *searcher);
		if (pthread_create(&searcher->thread, NULL, run, searcher) != 0) {
			words_free(searcher->words);
			return error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL,
			                 "cannot start a search thread");
		}
		node->searchers_len++;
	}
	return 0;
}

void searching_damaged(struct node *node, struct damage *damage)
{
	struct held *held = replicas_find(node, damage->index_id, damage->partition);

	if (held != NULL && held->replica != NULL) {
		replica_damaged(held->replica, &damage->error);
		replicas_note(node, held);
	}
	atomic_store(&damage->told, false);
}

void searching_stop(struct node *node)
{
	for (size_t i = 0; i < node->searchers_len; i++)
		ASSERT(mailbox_put(node->searches, node)); /* it has room for these */
	while (node->searchers_len > 0) {
		struct searcher *searcher = &node->searchers[--node->searchers_len];

		(void)pthread_join(searcher->thread, NULL);
		words_free(searcher->words);
	}
}
