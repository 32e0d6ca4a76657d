/*
 * Import track: one partition of a source on its way into an index's log.
 *
 * It decides where reading begins, which records go on, and what may be
 * committed; the shell reads, maps, produces and commits. What may be
 * committed ends before the first record whose message is not acknowledged,
 * and comes with an anchor: offset, timestamp and checksum of the last record
 * below it. Where reading begins again, that record, if it is still in the
 * log, must be the same one; if it is not, the committed offset must lie in
 * the log. Otherwise the topic is another one, or lost records before they
 * were imported: the track stops, and only a new life of the source goes on.
 *
 * After a failure everything not committed is read and produced again, with
 * the same origins; the fold drops what the index's log has already. That is
 * right because every producer leaves, in each partition of that log, a
 * beginning of what it was given, in the order of the source's offsets, and
 * begins at or below what had been acknowledged.
 *
 * Bound: IMPORT_TRACK_OUT_MAX records not yet committable; then it is full
 * and nothing may be taken. Pure core. Owner: one thread.
 */
#ifndef MILLRACE_INGEST_CORE_IMPORT_TRACK_H
#define MILLRACE_INGEST_CORE_IMPORT_TRACK_H

#include "shared/base/error.h"
#include "shared/record/record.h"

#define IMPORT_TRACK_OUT_MAX 16384
#define IMPORT_ANCHOR_TEXT_BYTES 80

struct import_anchor {
	int64_t offset; /* -1: none */
	int64_t timestamp_ms;
	uint64_t checksum; /* record_checksum */
};

/* As a commit's note: "1 <offset> <timestamp> <16 hex>", "" for none; and back, none from anything else. */
void import_anchor_print(const struct import_anchor *anchor, char text[IMPORT_ANCHOR_TEXT_BYTES]);
struct import_anchor import_anchor_parse(const char *text);

enum import_track_state {
	IMPORT_TRACK_ASKING = 1, /* to begin */
	IMPORT_TRACK_READING,
	IMPORT_TRACK_STOPPED /* until a new life */
};

/* What Kafka says of the partition. */
struct import_found {
	int64_t committed; /* -1: nothing */
	bool begun;        /* something was committed once */
	struct import_anchor anchor;
	int64_t begin; /* where a life without a commit begins */
	int64_t log_start;
	int64_t log_end;
};

/* What may be committed. */
struct import_point {
	int64_t offset;
	struct import_anchor anchor;
};

struct import_out;

/* Owned by whoever called import_track_init; the members are for the functions below and for tests. */
struct import_track {
	enum import_track_state state;
	int64_t position;              /* next offset to read */
	int64_t committed;             /* -1: nothing */
	struct import_anchor expected; /* still to be seen; offset -1: nothing */
	struct import_point point;
	struct import_out *ring;
	size_t ring_size;
	size_t ring_head;
	size_t ring_len;
	uint64_t ticket_head; /* of the ring's head; tickets below are of the past */
	char reason[256];     /* of STOPPED */
};

void import_track_init(struct import_track *track);
void import_track_deinit(struct import_track *track);
/* Forgets what is out: to be begun again. A stopped one stays so. */
void import_track_restart(struct import_track *track);
/* READING from `position` on (true), or STOPPED. */
bool import_track_begin(struct import_track *track, const struct import_found *found);
bool import_track_is_full(const struct import_track *track);

enum import_take {
	IMPORT_TAKE_GO = 1, /* to be mapped, then import_track_out */
	IMPORT_TAKE_PASS,   /* it was imported before */
	IMPORT_TAKE_STOP    /* the track has stopped */
};

enum import_take import_track_take(struct import_track *track, const struct record *record);
/* A record that was to GO: `waits` for an acknowledgement of *ticket, or needs none. ERROR_MEMORY: nothing has
 * happened, restart the track. */
int import_track_out(struct import_track *track, const struct record *record, bool waits, uint64_t *ticket,
                     struct error *error);
/* A ticket from before a restart means nothing. */
void import_track_acknowledge(struct import_track *track, uint64_t ticket);
/* The reader stands at this end of the log, behind everything taken. */
void import_track_end(struct import_track *track, int64_t position);
/* True if there is something to commit. */
bool import_track_commit(const struct import_track *track, struct import_point *point);
void import_track_committed(struct import_track *track, const struct import_point *point);
/* What was committed may have been refused: once more. */
void import_track_recommit(struct import_track *track);

#endif
