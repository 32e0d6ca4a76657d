/* What a letter puts back, and whether it may by itself. */
#include "shared/cli/cli_dlq_replay.h"

#include <inttypes.h>
#include <stdio.h>

static const char identity_header[] = "idempotency-key";

bool replay_identity(const struct dlq *dlq, int32_t partition, int64_t offset, struct arena *arena,
                     struct slice *identity)
{
	char text[TOPIC_NAME_BYTES + 64];
	int len = snprintf(text, sizeof text, "millrace.replay/%s/%" PRId32 "@%" PRId64, dlq->topic,
	                   partition, offset);

	return arena_copy(arena, slice_of(text, (size_t)len), identity);
}

bool replay_rebuild(const struct dlq *dlq, const struct dlq_letter *letter, struct arena *arena,
                    struct record *record)
{
	const struct record *from = letter->record;
	struct record_header *headers = arena_alloc(arena, (letter->headers_own + 1) * sizeof *headers);
	struct slice identity;
	size_t len = 0;

	if (headers == NULL || !replay_identity(dlq, letter->partition, from->offset, arena, &identity))
		return false;
	for (size_t i = 0; i < letter->headers_own; i++)
		if (!slice_equal(from->headers[i].name, slice_string("origin")))
			headers[len++] = from->headers[i];
	/* the last of a name counts */
	headers[len++] = (struct record_header){slice_string(identity_header), identity};
	*record = (struct record){.key = from->key,
	                          .value = from->value,
	                          .timestamp_ms = from->timestamp_ms,
	                          .headers = headers,
	                          .headers_len = len};
	return true;
}

/* The index whose log it is; NULL if there is none now. */
static const struct index_record *index_of_log(const struct catalog *catalog, struct slice topic)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(catalog, &at)) != NULL)
		if (index->state == INDEX_STATE_ACTIVE && index->base != NULL &&
		    slice_equal(slice_string(index->topic), topic))
			return index;
	return NULL;
}

/* What it says of itself, copied. */
static bool copy_letter(struct replay *replay, const struct dlq_letter *letter, struct replay_letter *found)
{
	const struct record *record = letter->record;

	*found = (struct replay_letter){
		.partition = letter->partition,
		.offset = record->offset,
		.log_partition = (int32_t)dlq_number(letter->log_partition, INT32_MAX),
		.log_offset = dlq_number(letter->log_offset, INT64_MAX),
		.timestamp_ms = letter->timestamp_ms,
		.home = -1,
		.place = -1,
		.next = SIZE_MAX,
	};
	return (letter->index.ptr == NULL || arena_copy(&replay->texts, letter->index, &found->uid)) &&
	       (letter->code.ptr == NULL || arena_copy(&replay->texts, letter->code, &found->code)) &&
	       (record->key.len == 0 || arena_copy(&replay->texts, record->key, &found->id));
}

/* By the rules of its index: an operation that is wanted, or one that would be refused again. */
static bool judge_operation(struct replay *replay, const struct dlq_letter *letter, struct arena *arena,
                            struct replay_letter *found)
{
	const struct index_record *index = found->index;
	struct record_place place = {&index->rules, index->partitioner, 0, index->partitions,
	                             slice_string(index->primary_key)};
	struct refusal refusal;
	struct record record;
	struct op op;

	if (!replay_rebuild(replay->dlq, letter, arena, &record))
		return false;
	found->home = record.key.len == 0
	                      ? -1
	                      : partitioner_choose(index->partitioner, record.key, index->partitions);
	if (found->home < 0)
		found->home = found->log_partition;
	place.partition = found->home;
	switch (record_decode(&record, &place, arena, &op, &refusal)) {
	case RECORD_VERDICT_MEMORY:
		return false;
	case RECORD_VERDICT_REFUSE:
		return replay_refuse(replay, found, "it would be refused again: %s: %s",
		                     refusal_name(refusal.code), refusal.text);
	case RECORD_VERDICT_APPLY:
		break;
	}
	found->barrier = op_kind_is_barrier(op.kind);
	if (found->barrier && !replay->choice->force)
		return replay_refuse(replay, found,
		                     "it deletes in a whole partition, now also what came after it; --force "
		                     "puts it back all the same");
	return true;
}

static bool is_cut(const struct dlq_letter *letter)
{
	return letter->truncated.ptr != NULL || letter->key_truncated.ptr != NULL ||
	       letter->headers_omitted.ptr != NULL;
}

bool replay_judge(struct replay *replay, const struct dlq_letter *letter, struct arena *arena,
                  struct replay_letter *found)
{
	if (!copy_letter(replay, letter, found))
		return false;
	if (letter->topic.ptr == NULL || found->log_partition < 0 || found->log_offset < 0)
		return replay_refuse(replay, found, "it does not say which record it was");
	if (is_cut(letter))
		return replay_refuse(replay, found,
		                     "it was cut, so its bytes are not all here; the whole record is or was "
		                     "%.*s %" PRId32 "@%" PRId64,
		                     SLICE_ARGS(letter->topic), found->log_partition, found->log_offset);
	found->index = index_of_log(replay->catalog, letter->topic);
	if (found->index == NULL)
		return replay_refuse(replay, found, "%.*s is not the log of an index; publish it there again",
		                     SLICE_ARGS(letter->topic));
	if (found->log_partition >= found->index->partitions)
		return replay_refuse(replay, found, "index %s has no partition %" PRId32, found->index->uid,
		                     found->log_partition);
	if (!found->index->writable && !replay->choice->force)
		return replay_refuse(replay, found,
		                     "the log of index %s belongs to its producers; --force writes to it",
		                     found->index->uid);
	return judge_operation(replay, letter, arena, found);
}
