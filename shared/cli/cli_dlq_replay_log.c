/* Whether an index's log has moved beyond a letter: later records of its document, and later barriers. */
#include "shared/base/map.h"
#include "shared/cli/cli_dlq_replay.h"

#include <inttypes.h>

/* What a partition has of barriers: the highest place, and the latest time. */
struct barriers {
	int64_t offset; /* -1: none */
	int64_t timestamp_ms;
};

/* The log of one index being read. */
struct look {
	struct replay *replay;
	const struct index_record *index;
	struct map ids; /* the first letter of each; the others by `next` */
	struct arena arena;
	struct barriers barriers[INDEX_PARTITIONS_MAX];
};

/* Whether a place of its home partition is later than the letter's record. A record that stood in another partition
 * has only its time to be compared by. */
static bool is_later(const struct replay_letter *letter, int64_t offset, int64_t timestamp_ms)
{
	if (letter->home == letter->log_partition)
		return offset > letter->log_offset;
	return letter->timestamp_ms < 0 || timestamp_ms < 0 || timestamp_ms >= letter->timestamp_ms;
}

static bool is_wanted(const struct replay_letter *letter, const struct index_record *index)
{
	return letter->outcome == REPLAY_OUTCOME_READY && letter->index == index && !letter->barrier;
}

/* Whether the record is an earlier replay of this very letter. */
static bool is_replay_of(struct look *look, const struct record *record, const struct replay_letter *letter)
{
	struct slice identity;

	if (!replay_identity(look->replay->dlq, letter->partition, letter->offset, &look->arena, &identity))
		return false; /* then it is a later record, which is right too */
	for (size_t i = record->headers_len; i > 0; i--)
		if (slice_equal(record->headers[i - 1].name, slice_string("idempotency-key")))
			return slice_equal(record->headers[i - 1].value, identity);
	return false;
}

static bool take_later(struct look *look, int32_t partition, const struct record *record)
{
	uint64_t *first = map_get(&look->ids, record->key);

	for (size_t i = first == NULL ? SIZE_MAX : *first; i != SIZE_MAX; i = look->replay->letters[i].next) {
		struct replay_letter *letter = &look->replay->letters[i];

		if (letter->home != partition || letter->outcome == REPLAY_OUTCOME_ALREADY ||
		    !is_later(letter, record->offset, record->timestamp_ms))
			continue;
		if (is_replay_of(look, record, letter)) {
			letter->outcome = REPLAY_OUTCOME_ALREADY;
			letter->place = record->offset;
		} else if (letter->outcome == REPLAY_OUTCOME_READY &&
		           !replay_refuse(look->replay, letter,
		                          "the document has a later record, %" PRId32 "@%" PRId64
		                          "; --force puts it back all the same",
		                          partition, record->offset)) {
			return false;
		}
	}
	return true;
}

static int take(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct look *look = context;
	const struct index_record *index = look->index;
	const struct record_place place = {&index->rules, index->partitioner, partition, index->partitions,
	                                   slice_string(index->primary_key)};
	struct barriers *barriers = &look->barriers[partition];
	enum record_verdict verdict;
	struct refusal refusal;
	struct op op;

	if (record->key.len > 0 && map_get(&look->ids, record->key) == NULL)
		return 0;
	arena_clear(&look->arena);
	verdict = record_decode(record, &place, &look->arena, &op, &refusal);
	if (verdict == RECORD_VERDICT_MEMORY)
		return error_memory(error, record->value.len);
	if (verdict == RECORD_VERDICT_REFUSE)
		return 0;
	if (!op_kind_is_barrier(op.kind))
		return take_later(look, partition, record) ? 0 : error_memory(error, REPLAY_WHY_BYTES);
	barriers->offset = record->offset;
	if (record->timestamp_ms > barriers->timestamp_ms)
		barriers->timestamp_ms = record->timestamp_ms;
	return 0;
}

/* The ids of this index's letters; what has to be read of each partition. */
static bool prepare(struct look *look, struct dlq *log)
{
	const struct replay *replay = look->replay;

	for (int32_t p = 0; p < log->partitions; p++) {
		look->barriers[p] = (struct barriers){-1, -1};
		if (log->ends[p].start < look->index->base[p])
			log->ends[p].start = look->index->base[p];
	}
	for (size_t i = replay->len; i > 0; i--) { /* backwards: chains are in order */
		struct replay_letter *letter = &replay->letters[i - 1];
		uint64_t *first;

		if (!is_wanted(letter, look->index))
			continue;
		first = map_get(&look->ids, letter->id);
		letter->next = first == NULL ? SIZE_MAX : *first;
		if (!map_put(&look->ids, letter->id, i - 1))
			return false;
	}
	return true;
}

/* Leaves of each partition only what may be later than one of its letters. */
static void narrow(const struct look *look, struct dlq *log)
{
	int64_t from[INDEX_PARTITIONS_MAX];

	for (int32_t p = 0; p < log->partitions; p++)
		from[p] = log->ends[p].end;
	for (size_t i = 0; i < look->replay->len; i++) {
		const struct replay_letter *letter = &look->replay->letters[i];
		int64_t first = letter->home == letter->log_partition ? letter->log_offset + 1 : 0;

		if (is_wanted(letter, look->index) && first < from[letter->home])
			from[letter->home] = first;
	}
	for (int32_t p = 0; p < log->partitions; p++)
		if (log->ends[p].start < from[p])
			log->ends[p].start = from[p];
}

static bool refuse_before_barriers(const struct look *look)
{
	for (size_t i = 0; i < look->replay->len; i++) {
		struct replay_letter *letter = &look->replay->letters[i];
		const struct barriers *barriers;

		if (!is_wanted(letter, look->index))
			continue;
		barriers = &look->barriers[letter->home];
		if (barriers->offset >= 0 && is_later(letter, barriers->offset, barriers->timestamp_ms) &&
		    !replay_refuse(look->replay, letter,
		                   "documents of its partition were deleted later, at %" PRId32 "@%" PRId64
		                   "; --force puts it back all the same",
		                   letter->home, barriers->offset))
			return false;
	}
	return true;
}

static int look_into(struct look *look, struct dlq *log, struct error *error)
{
	int rc;

	if (!prepare(look, log))
		return error_memory(error, sizeof *look);
	if (look->ids.count == 0)
		return 0;
	narrow(look, log);
	rc = dlq_read_all(log, take, look, error);
	if (rc == 0 && !refuse_before_barriers(look))
		rc = error_memory(error, REPLAY_WHY_BYTES);
	return rc;
}

static bool has_letters(const struct replay *replay, const struct index_record *index)
{
	for (size_t i = 0; i < replay->len; i++)
		if (is_wanted(&replay->letters[i], index))
			return true;
	return false;
}

int replay_look(struct replay *replay, struct error *error)
{
	const struct index_record *index;
	struct look look = {.replay = replay};
	size_t at = 0;
	int rc = 0;

	arena_init(&look.arena, REPLAY_ARENA_BYTES);
	map_init(&look.ids);
	while (rc == 0 && (index = catalog_next_index(replay->catalog, &at)) != NULL) {
		struct dlq log = {.config = replay->dlq->config, .connection = replay->dlq->connection};

		if (!has_letters(replay, index))
			continue;
		look.index = index;
		map_clear(&look.ids);
		rc = dlq_open_log(&log, index, error);
		if (rc == 0)
			rc = look_into(&look, &log, error);
		log.connection = NULL; /* the caller's */
		dlq_close(&log);
	}
	map_deinit(&look.ids);
	arena_deinit(&look.arena);
	return rc;
}
