/* The receive rule, and how a range becomes the newest segment. */
#include "shard/core/intake.h"

#include "shared/base/knockout.h"

#include <stdlib.h>

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

/* A range that changed no document needs no segment of its own, unless what it noted would make one too large. */
static bool is_covered(const struct intake *intake)
{
	const struct replica *replica = intake->replica;

	if (intake->chunk->len > 0 || intake->killed.len > 0 || intake->cleared_below > 0 ||
	    replica->segments_len == replica->frozen)
		return false;
	return intake->notes == NULL ||
	       replica->segments[replica->segments_len - 1]->bytes < SEGMENT_BYTES_KEPT;
}

/* The range's versions as the newest segment. */
static int segment_add(struct intake *intake, struct error *error)
{
	struct replica *replica = intake->replica;
	struct dictionary *dictionary = NULL;
	struct dictionary *keys = NULL;
	struct value_cover cover;
	struct segment *segment;

	if (is_covered(intake)) {
		segment_cover(replica->segments[replica->segments_len - 1], &intake->now);
		return 0;
	}
	if (!segments_reserve(replica))
		return error_memory(error, sizeof segment);
	dictionary = dictionary_build(replica->builder);
	if (dictionary == NULL)
		return error_memory(error, sizeof *segment);
	if (intake->has_keys && (keys = dictionary_build(replica->keys)) == NULL) {
		dictionary_free(dictionary);
		return error_memory(error, sizeof *segment);
	}
	segment = segment_new(intake->chunk, dictionary, &intake->now);
	if (segment == NULL) {
		dictionary_free(dictionary);
		dictionary_free(keys);
		return error_memory(error, sizeof *segment);
	}
	segment->cutting = replica->cuttings.list[0]->digest;
	cover = words_beside_wanted(replica->attributes, segment->cutting);
	segment_set_values(segment, keys, &cover);
	intake->chunk = NULL;
	replica->segments[replica->segments_len++] = segment;
	return 0;
}

/* The lowest number that a memory or disk segment may list. */
static uint64_t replica_number_first(const struct replica *replica)
{
	if (replica->manifest->manifest.segments_len > 0)
		return replica->manifest->manifest.segments[0].first;
	return replica->segments_len > 0 ? replica->segments[0]->number_first : replica->now.number_next;
}

static void receive_accept(struct intake *intake)
{
	struct replica *replica = intake->replica;

	replica_touch(replica);
	if (intake->cleared_below > 0)
		postings_add_range(&replica->deleted, replica_number_first(replica), intake->cleared_below);
	postings_or(&replica->deleted, &intake->killed);
	if (intake->killed.len > 0 || intake->cleared_below > 0)
		segment_kill(replica->segments[replica->segments_len - 1], &intake->killed,
		             intake->cleared_below);
	if (intake->notes != NULL)
		segment_note(replica->segments[replica->segments_len - 1], intake->notes);
	intake->notes = NULL;
	replica->now = intake->now;
	replica->applied += intake->applied;
	replica->merges_too_large += intake->merges_too_large;
	replica->skipped += intake->skipped;
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
	struct intake intake;
	int rc = intake_open(&intake, replica, range, error);

	if (rc == 0)
		rc = intake_fold(&intake, range, error);
	if (rc == 0)
		rc = intake_note(&intake, range, error);
	if (rc == 0)
		rc = intake_settle(&intake, error);
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
	    (range->rules_digest != replica->identity.rules_digest && !KNOCKOUT(RULES_DIGEST_IGNORED)))
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
