/* The answer to a search: by the settings that the question names, or that this node has others. */
#include "shard/answer.h"
#include "shard/core/search_aside.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>

/* When a search ends, monotonic; INT64_MAX: never. */
struct times {
	int64_t cutoff_ms;
	int64_t deadline_ms;
};

/* `have` is what this node answers by: who asks by a newer one asks again, who asks by an older one waits for it. */
static void refuse_settings(struct question *question, int64_t have)
{
	struct buffer json;

	buffer_init(&json, NODE_ANSWER_BYTES_MAX);
	buffer_printf(&json,
	              "{\"message\":\"this node lacks the settings %" PRId64
	              "\",\"code\":\"settings_version\",\"settings\":%" PRId64 "}",
	              question->search->settings, have);
	http_answer_json(question->request, 409, &json);
	buffer_deinit(&json);
}

static enum watch_time look(void *context)
{
	const struct times *times = context;
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms >= times->deadline_ms)
		return WATCH_TIME_OVER;
	return now_ms >= times->cutoff_ms ? WATCH_TIME_CUTOFF : WATCH_TIME_LEFT;
}

static struct times times_of(const struct question *question)
{
	uint64_t most_ms = (uint64_t)(INT64_MAX - question->arrived_ms);
	uint64_t cutoff_ms = question->search->cutoff_ms;

	return (struct times){.cutoff_ms = cutoff_ms < most_ms ? question->arrived_ms + (int64_t)cutoff_ms
	                                                       : INT64_MAX,
	                      .deadline_ms = question->deadline_ms};
}

/* The replica has no words by the settings asked for: not yet, if these are the ones in force, or no more. */
static void refuse_wordless(struct question *question)
{
	int64_t in_force;

	search_settings_release(settings_shelf_take(question->node->settings, question->index_id,
	                                            question->search->settings, &in_force));
	refuse_settings(question,
	                in_force == question->search->settings ? SEARCH_SETTINGS_DEFAULT : in_force);
}

static void refuse(struct answer *answer, size_t shard, const struct error *error)
{
	struct http_request *request = answer->question->request;

	if (error->code == ERROR_VERSION && error->action == ERROR_ACTION_RETRY)
		refuse_wordless(answer->question);
	else if (error->code == ERROR_TIMEOUT)
		question_drop(answer->question);
	else if (shard != SEARCH_REPLY_NO_SHARD)
		answer_failed(answer, shard, error);
	else if (error->action == ERROR_ACTION_REJECT)
		http_refuse(request, 400, "invalid_request", error->text);
	else
		http_refuse(request, 503, "unavailable", error->text);
}

static void reply(struct answer *answer, struct search_reply_request *request)
{
	struct search_reply reply;
	struct buffer json;
	struct error error;
	int rc;

	buffer_init(&json, NODE_ANSWER_BYTES_MAX);
	buffer_append_string(&json, "{");
	if (search_aside_is_asked(request->question))
		rc = search_aside(request, &json, &reply, &error);
	else
		rc = search_reply(request, &json, &reply, &error);
	if (rc == 0) {
		buffer_append_string(&json, ",");
		answer_received(answer->question, reply.totals, &json);
		buffer_append_string(&json, "}");
		http_answer_json(answer->question->request, 200, &json);
	} else {
		refuse(answer, reply.failed, &error);
	}
	buffer_deinit(&json);
}

void answer_search(struct answer *answer)
{
	struct question *question = answer->question;
	struct snapshot **snapshots = arena_alloc(&question->arena, question->shards_len * sizeof *snapshots);
	int32_t *partitions = arena_alloc(&question->arena, question->shards_len * sizeof *partitions);
	struct times times = times_of(question);
	struct watch watch = {.look = look, .context = &times, .every = WATCH_EVERY};
	struct search_reply_request request = {.question = question->search,
	                                       .words = answer->words,
	                                       .snapshots = snapshots,
	                                       .partitions = partitions,
	                                       .len = question->shards_len,
	                                       .watch = &watch,
	                                       .arena = &question->arena};
	struct search_settings *settings;
	int64_t in_force;

	if (snapshots == NULL || partitions == NULL) {
		http_refuse(question->request, 503, "memory", "out of memory");
		return;
	}
	for (size_t i = 0; i < question->shards_len; i++) {
		snapshots[i] = question->views[i].snapshot;
		partitions[i] = question->shards[i].partition;
	}
	if (search_aside_is_asked(question->search)) {
		reply(answer, &request);
		return;
	}
	settings = settings_shelf_take(question->node->settings, question->index_id,
	                               question->search->settings, &in_force);
	request.settings = settings;
	if (settings != NULL)
		reply(answer, &request);
	else
		refuse_settings(question, in_force);
	search_settings_release(settings);
}
