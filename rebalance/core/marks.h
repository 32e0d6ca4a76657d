/*
 * Marks: which recorded replicas of a shard are in-sync, and whether they
 * agree.
 *
 * The in-sync ones are those that commits and tasks wait for and that a
 * search may be sent to. A pure function of a shard's record and of what was
 * last seen of its replicas; the record given is changed to what should be
 * recorded now, and every change is noted with its reason.
 *
 *   Well: the node answers, and its last answer listed the replica with the
 *   recorded incarnation and as active.
 *
 *   Incarnation. The first one reported is recorded. Another one than
 *   recorded started from empty: it is joining and not in-sync, while an
 *   in-sync sibling is well; if there is none, it stays what it is (the log is
 *   the truth, and it is fed from the log's base).
 *
 *   By a copy: the incarnation is recorded before the replica is there, and no
 *   other one takes its place. The copy is recorded no longer once the replica
 *   is in-sync and has stored up to where feeding went on from it.
 *
 *   Out, each with a reason of one word: no good answer of the node for
 *   MARKS_SILENT_MS (silent); not listed for MARKS_ABSENT_MS (absent);
 *   stopped; behind what an in-sync sibling had MARKS_LAG_MS ago (behind),
 *   which is soon so of one that makes no progress. Only while another in-sync
 *   replica is well and has no such reason itself: the last one is never taken
 *   out, and with none well nothing is. Where all of them stand still behind
 *   their log it is feeding that does, and nobody is taken out.
 *
 *   Joining becomes active (not in-sync) once it has received all but
 *   MARKS_JOIN_LAG of what every in-sync replica has stored, or is level.
 *
 *   In: active, well, built for the settings in force (a replica that is not
 *   answers no search of theirs; whoever is in-sync stays so), and an answer of
 *   the last MARKS_LEVEL_MS was level: received >= a log end that was read before it was asked for, at most
 *   WATCH_END_AGE_MS_MAX before, and <= one that was read after it (more than
 *   there is has only a replica of a log that was truncated since).
 *
 *   Agreement: two in-sync replicas that folded up to the same offset have the
 *   same digest there, or the shard is divergent, until all of them agree.
 *   The highest offset decides, also over several reports: that they agreed
 *   before they differed is no news, nor that they differed before they agreed.
 *
 * Pure core, no state of its own but what it notes in the watch.
 */
#ifndef MILLRACE_REBALANCE_CORE_MARKS_H
#define MILLRACE_REBALANCE_CORE_MARKS_H

#include "rebalance/core/change.h"
#include "rebalance/core/watch.h"

#define MARKS_SILENT_MS 3000
#define MARKS_ABSENT_MS 3000
#define MARKS_LAG_MS 5000
#define MARKS_JOIN_LAG 65536
#define MARKS_LEVEL_MS 1000

/* What was last seen of the shard and of its recorded replicas, in the record's order. */
struct sight {
	int64_t now_ms;
	int64_t settings; /* version in force of the shard's index; -1: nobody has set any */
	struct watched_shard *shard;
	const struct watched_node *nodes[REPLICAS_MAX];
	struct watched_replica *replicas[REPLICAS_MAX]; /* marks change nothing in them */
};

bool marks_is_well(const struct shard_record *record, const struct sight *sight, size_t i);
void marks_apply(struct shard_record *record, const struct sight *sight, struct changes *changes);

enum agreement {
	AGREEMENT_UNKNOWN = 1, /* no offset is known at which both have a digest */
	AGREEMENT_EQUAL,
	AGREEMENT_DIFFERENT
};

/* At the highest offset at which both have told a digest: `at`, -1 if there is none. */
enum agreement marks_compare(const struct replica_report *a, const struct replica_report *b, int64_t *at);
/* The same of two recorded replicas, as far as it counts: their last reports are of the recorded incarnations and
 * not stopped, and say something new. */
enum agreement marks_agreement(const struct shard_record *record, const struct sight *sight, size_t i,
                               size_t k);

#endif
