#include "shard/core/replica_private.h"

#include "shared/base/knockout.h"

#include <stdlib.h>

/* Alignment and id copies of one version in its chunk's arena. */
#define VERSION_SLACK_BYTES 32
#define SCRATCH_BYTES_KEPT (64U * 1024)

/* What an id held before an operation of the range; enough to take the operation back. */
struct undo {
	const struct version *before; /* in the overlay; NULL: the id was not there */
	const struct version *after;
};

/* A range on its way in: nothing of the replica but the overlay changes before
 * receive_accept, which cannot fail. */
struct intake {
	struct replica *replica;
	struct kv_txn *txn;
	struct chunk *chunk;
	struct mark now;
	struct undo *undo;
	size_t undo_len;
	uint64_t *superseded;
	size_t superseded_len;
	uint64_t number; /* of the version whose words are collected */
	uint64_t applied;
};

static bool collect_word(void *context, struct slice word)
{
	struct intake *intake = context;

	return dictionary_builder_add(intake->replica->builder, word, intake->number);
}

/* What the newest version of an id is, in memory or stored; false if the document does not exist. */
static int previous_find(struct intake *intake, struct slice id, bool *exists, struct stored_id *previous,
                         struct error *error)
{
	const struct version *version = overlay_get(intake->replica, id);

	*exists = false;
	if (version != NULL) {
		if (version->kind != OP_KIND_PUT)
			return 0;
		*previous = (struct stored_id){version->number, version->key, version->digest,
		                               (uint32_t)version->body.len};
		*exists = true;
		return 0;
	}
	if (replica_stored_id(intake->txn, id, previous, error) == 0)
		*exists = true;
	else if (error->code != ERROR_NOT_FOUND)
		return error->code;
	return 0;
}

static void previous_leave(struct intake *intake, const struct stored_id *previous)
{
	intake->superseded[intake->superseded_len++] = previous->number;
	hash128_subtract(&intake->now.digest, previous->digest);
	intake->now.documents--;
	intake->now.body_bytes -= previous->body_bytes;
}

/* The put becomes a live document: number, digest, counts, words. */
static int version_enter(struct intake *intake, struct version *version, struct error *error)
{
	struct replica *replica = intake->replica;
	struct words_sink sink = {collect_word, intake};

	version->number = intake->now.number_next;
	version->digest = document_digest(replica->identity.index_id, version->id, version->body,
	                                  version->key, &replica->scratch);
	if (buffer_failed(&replica->scratch))
		return error_memory(error, version->body.len);
	intake->number = version->number;
	if (words_of_body(replica->words, version->body, &sink, error) != 0)
		return error->code;
	intake->now.number_next++;
	intake->now.documents++;
	intake->now.body_bytes += version->body.len;
	hash128_add(&intake->now.digest, version->digest);
	return 0;
}

static int op_apply(struct intake *intake, const struct op *op, struct error *error)
{
	struct chunk *chunk = intake->chunk;
	struct version *version = &chunk->versions[chunk->len];
	struct stored_id previous;
	bool exists;

	if (previous_find(intake, op->id, &exists, &previous, error) != 0)
		return error->code;
	if (!exists && op->kind == OP_KIND_DELETE)
		return 0;
	*version = (struct version){.offset = op->offset, .kind = op->kind};
	version->key = exists && !op->fresh ? previous.key : op->key;
	if (!arena_copy(&chunk->arena, op->id, &version->id) ||
	    !arena_copy(&chunk->arena, op->body, &version->body))
		return error_memory(error, op->body.len);
	if (exists)
		previous_leave(intake, &previous);
	if (op->kind == OP_KIND_PUT && version_enter(intake, version, error) != 0)
		return error->code;
	intake->undo[intake->undo_len] = (struct undo){overlay_get(intake->replica, op->id), version};
	if (!overlay_set(intake->replica, version))
		return error_memory(error, sizeof *version);
	intake->undo_len++;
	chunk->len++;
	return 0;
}

static int ops_apply(struct intake *intake, const struct range *range, struct error *error)
{
	int64_t last = range->from - 1;
	size_t seen = 0;
	size_t at = 0;
	struct op op;
	int rc;

	while ((rc = range_next(range, &at, &op, error)) > 0) {
		/* the arrays of the intake are sized by the count that the frame claims */
		if (seen++ == range->ops_len || op.offset <= last)
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "range [%lld, %lld): more operations than announced, or out of "
			                 "order at offset %lld",
			                 (long long)range->from, (long long)range->to, (long long)op.offset);
		if (op.kind != OP_KIND_PUT && op.kind != OP_KIND_DELETE)
			return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
			                 "operation kind %d at offset %lld is not known to this replica",
			                 (int)op.kind, (long long)op.offset);
		last = op.offset;
		if (op.offset < intake->replica->now.received && !KNOCKOUT(OFFSET_FILTER))
			continue;
		if (op_apply(intake, &op, error) != 0)
			return error->code;
		intake->applied++;
		if (KNOCKOUT(RANGE_END))
			intake->now.received = op.offset + 1;
	}
	return rc;
}

static int intake_open(struct intake *intake, const struct range *range, struct error *error)
{
	size_t len = range->ops_len;

	if (len > range->ops.len)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "a range of %zu bytes with %zu operations", range->ops.len, len);
	intake->undo = malloc((len + 1) * sizeof *intake->undo);
	intake->superseded = malloc((len + 1) * sizeof *intake->superseded);
	intake->chunk = chunk_new(len, range->ops.len + len * VERSION_SLACK_BYTES);
	if (intake->undo == NULL || intake->superseded == NULL || intake->chunk == NULL)
		return error_memory(error, range->ops.len);
	return kv_begin(intake->replica->kv, false, &intake->txn, error);
}

/* What the range needed is given back where it is much: an idle replica is small. */
static void intake_close(struct intake *intake)
{
	struct buffer *scratch = &intake->replica->scratch;

	dictionary_builder_clear(intake->replica->builder);
	if (scratch->size > SCRATCH_BYTES_KEPT) {
		buffer_deinit(scratch);
		buffer_init(scratch, STORED_VALUE_BYTES_MAX);
	}
	if (intake->txn != NULL)
		kv_abort(intake->txn);
	chunk_free(intake->chunk);
	free(intake->undo);
	free(intake->superseded);
}

static void intake_undo(struct intake *intake)
{
	while (intake->undo_len-- > 0) {
		struct undo *undo = &intake->undo[intake->undo_len];

		if (undo->before == NULL)
			map_remove(&intake->replica->overlay, undo->after->id);
		else
			overlay_set(intake->replica, undo->before);
	}
}

static bool segments_reserve(struct replica *replica)
{
	size_t size = replica->segments_size == 0 ? 16 : replica->segments_size * 2;
	struct segment **segments;

	if (replica->segments_len < replica->segments_size)
		return true;
	segments = realloc(replica->segments, size * sizeof *segments);
	if (segments == NULL)
		return false;
	replica->segments = segments;
	replica->segments_size = size;
	return true;
}

/* The range's versions as the newest segment. */
static int segment_add(struct intake *intake, struct error *error)
{
	struct replica *replica = intake->replica;
	struct dictionary *dictionary = NULL;
	struct segment *segment;

	if (intake->chunk->len == 0 && replica->segments_len > replica->frozen) {
		segment_cover(replica->segments[replica->segments_len - 1], &intake->now);
		return 0;
	}
	if (!segments_reserve(replica))
		return error_memory(error, sizeof segment);
	dictionary = dictionary_build(replica->builder);
	if (dictionary == NULL)
		return error_memory(error, sizeof *segment);
	segment = segment_new(intake->chunk, dictionary, &intake->now);
	if (segment == NULL) {
		dictionary_free(dictionary);
		return error_memory(error, sizeof *segment);
	}
	intake->chunk = NULL;
	replica->segments[replica->segments_len++] = segment;
	return 0;
}

static void receive_accept(struct intake *intake)
{
	struct replica *replica = intake->replica;

	for (size_t i = 0; i < intake->superseded_len; i++)
		postings_add(&replica->deleted, intake->superseded[i]);
	replica->now = intake->now;
	replica->applied += intake->applied;
}

/* The fold's digest is known where received stands, and only there. */
static void seal_note(struct mark *now)
{
	if (now->received % RANGE_SEAL != 0)
		return;
	if (now->seals_len == REPLICA_SEALS_MAX) {
		now->seals_len--;
		memmove(now->seals, now->seals + 1, now->seals_len * sizeof now->seals[0]);
	}
	now->seals[now->seals_len++] = (struct seal){now->received, now->digest};
}

static int range_apply(struct replica *replica, const struct range *range, struct error *error)
{
	struct intake intake = {.replica = replica, .now = replica->now};
	int rc;

	rc = intake_open(&intake, range, error);
	if (rc == 0)
		rc = ops_apply(&intake, range, error);
	if (rc == 0) {
		if (!KNOCKOUT(RANGE_END))
			intake.now.received = range->to;
		if (range->anchor.offset > intake.now.anchor.offset)
			intake.now.anchor = range->anchor;
		seal_note(&intake.now);
		rc = segment_add(&intake, error);
	}
	if (rc == 0)
		receive_accept(&intake);
	else
		intake_undo(&intake);
	intake_close(&intake);
	return rc;
}

/* A log end says something only if it was read after this session began. */
static void level_note(struct replica *replica, const struct range *range)
{
	if (range->session == replica->session && range->log_end >= 0) {
		if (replica->level_at < 0 || range->log_end < replica->level_at)
			replica->level_at = range->log_end;
		if (range->log_end > replica->log_end)
			replica->log_end = range->log_end;
	}
	if (replica->state == REPLICA_STATE_RECOVERING && replica->level_at >= 0 &&
	    replica->now.received >= replica->level_at)
		replica->state = REPLICA_STATE_ACTIVE;
}

int replica_receive(struct replica *replica, const struct range *range, struct range_answer *answer,
                    struct error *error)
{
	enum range_result result = RANGE_RESULT_APPLIED;

	if (replica->state == REPLICA_STATE_STOPPED) {
		replica_answer(replica, answer);
		return 0;
	}
	if (!incarnation_equal(range->incarnation, replica->identity.incarnation) ||
	    range->rules_digest != replica->identity.rules_digest)
		result = RANGE_RESULT_REFUSED;
	else if (range->to <= replica->now.received)
		result = RANGE_RESULT_ALREADY;
	else if (range->from > replica->now.received && !KNOCKOUT(RANGE_CHAIN))
		result = RANGE_RESULT_GAP;
	else if (range_apply(replica, range, error) != 0)
		return replica_failed(replica, error);
	if (result != RANGE_RESULT_REFUSED)
		level_note(replica, range);
	replica_answer(replica, answer);
	answer->result = result;
	return 0;
}
