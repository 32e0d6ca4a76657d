/*
 * Feeding: the engine that reads logs and feeds replicas, around the feeder.
 *
 * It runs in two modes:
 *   LIVE    (millrace-ingest) feeds the shards of the slots that Kafka's group
 *           gives to this process: every replica that its record calls active.
 *   REPLAY  (millrace-rebalance) fills joining replicas from their base up to
 *           the committed offset, beside the live feeding; it elects nothing,
 *           commits nothing, and has no dead letters but those of records of
 *           which it died itself.
 *
 * One owner thread with one poll() loop owns the feeder, the catalog, the
 * reader of meta and topology, the slots' group and the partitions being
 * read; whatever waits for something (HTTP, the dead-letter producer, the
 * asking thread) reports through the owner's inbox. Nothing is fed before
 * meta and topology were read to their ends. Stopped, reading ends, the
 * batches in flight are waited for (at most FEEDING_SHUTDOWN_MS) and the
 * group is left.
 *
 * Identities that do not fit in memory are kept in a file under ingest.data of
 * at most ingest.table bytes (leaves.h); full, the partition waits and says so.
 * There too is noted which record is being dealt with (suspects.h): whoever
 * reads a record at which the program has died again and again waits before it
 * until `meta` says to skip it, and asks for that. What lies before it is fed;
 * replicas that have it already, and other partitions, are fed as ever. Where
 * the record lies below the committed offset, its dead letter is written here
 * before it is skipped.
 *
 * Bounds: memory_bytes for memtables, FEEDING_DEAD_LETTERS_MAX and
 * FEEDING_DEAD_LETTER_BYTES_MAX of unacknowledged dead letters (then reading
 * waits), QUESTIONS_MAX, FEEDER_SHARDS_MAX.
 */
#ifndef MILLRACE_FEEDING_FEEDING_H
#define MILLRACE_FEEDING_FEEDING_H

#include "shared/config/config.h"

#define FEEDING_SHUTDOWN_MS 25000
#define FEEDING_DEAD_LETTERS_MAX 1024
#define FEEDING_DEAD_LETTER_BYTES_MAX (32U * 1024 * 1024)

enum feeding_mode {
	FEEDING_MODE_LIVE = 1,
	FEEDING_MODE_REPLAY
};

/* Everything borrowed until feeding_close. */
struct feeding_options {
	const struct config *config;
	enum feeding_mode mode;
	size_t memory_bytes;
	const char *flush;   /* as ingest.flush */
	int stop_fd;         /* readable: end; not read */
	const char *address; /* host:port by which the group knows this member; LIVE */
	/* Something else for the loop to look after; -1 and NULL: nothing. Called on the owner's thread. */
	int guest_fd;
	void (*guest)(void *context);
	void *guest_context;
};

struct feeding;

int feeding_open(const struct feeding_options *options, struct feeding **feeding, struct error *error);
/* Until it is to end (0) or something fails that a restart must resolve (negative). */
int feeding_run(struct feeding *feeding, struct error *error);
/* False if the asking thread still waits for Kafka and borrows the configuration: only _exit is left then. */
bool feeding_close(struct feeding *feeding);

/* Any thread: meta and topology were read to their ends, and it is not ending. */
bool feeding_is_ready(const struct feeding *feeding);
/* Any thread: replays (REPLAY; at first not), or lets go of everything. */
void feeding_set_active(struct feeding *feeding, bool active);
/* Any thread: appends the records before which some reader waits, as of a moment ago:
 * "held":[{"index","uid","topic","partition","offset","lane","deaths","task"}]; task -1: not asked for yet. */
void feeding_held(struct feeding *feeding, struct buffer *body);
/* Owner's thread (the guest): "slots":N,"shards":[…],"memory_bytes":N,"table":{…},"held":[…] */
void feeding_status(const struct feeding *feeding, struct buffer *body);

#endif
