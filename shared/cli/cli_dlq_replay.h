/*
 * What the files of `millrace dlq replay` share: the letters that were
 * chosen, and what becomes of each.
 *
 * cli_dlq_replay.c (choosing, and the order of things), cli_dlq_replay_judge.c
 * (what a letter puts back, and whether it may), cli_dlq_replay_log.c (whether
 * the log has something later), cli_dlq_replay_print.c.
 *
 * A letter's record goes back into its index's log with the key, value and
 * headers that it had, in the partition where its key belongs, and with an
 * identity of its own, made of the letter's place: so a second replay of the
 * same letter is a duplicate. Its `origin` is left out, because an imported
 * record that comes back would be one too. It is judged first, by the
 * generation's rules, so that nothing is put back that would only be refused
 * again, nor, without --force, what the log has moved beyond: a later record
 * of the document, or a later barrier. What is written to the log between
 * that look and the replay is not seen.
 *
 * Bounds: REPLAY_LETTERS_MAX letters, of each its ids and a sentence; one
 * record in memory beside librdkafka's own queues. One thread; completions
 * run on the producer's and touch one letter each, until it is closed.
 */
#ifndef MILLRACE_CLI_CLI_DLQ_REPLAY_H
#define MILLRACE_CLI_CLI_DLQ_REPLAY_H

#include "shared/cli/cli_dlq.h"

#define REPLAY_LETTERS_MAX 100000
#define REPLAY_ARENA_BYTES (256U * 1024)
#define REPLAY_WHY_BYTES 640

enum replay_outcome {
	REPLAY_OUTCOME_READY = 0, /* may be put back; with --dry-run it ends here */
	REPLAY_OUTCOME_REPLAYED,
	REPLAY_OUTCOME_ALREADY, /* this very letter was, before */
	REPLAY_OUTCOME_REFUSED,
	REPLAY_OUTCOME_FAILED /* Kafka did not take it */
};

/* Slices point into replay.texts. */
struct replay_letter {
	int32_t partition; /* its place among the dead letters */
	int64_t offset;
	struct slice uid;
	struct slice code;
	struct slice id;                  /* the record's key; ptr NULL: a barrier, or none */
	const struct index_record *index; /* the catalog's; NULL: none */
	int32_t log_partition;            /* where the record stood */
	int64_t log_offset;
	int64_t timestamp_ms; /* the record's own; -1: not known */
	int32_t home;         /* where it goes */
	bool barrier;
	enum replay_outcome outcome;
	int64_t place;    /* its offset in the log, once there */
	struct slice why; /* refused, failed */
	size_t next;      /* letter of the same id; SIZE_MAX ends */
};

struct replay {
	struct dlq *dlq;
	const struct dlq_choice *choice;
	struct catalog *catalog;
	struct arena texts;
	struct replay_letter *letters;
	size_t len;
	size_t size;
	size_t at; /* while they are put back */
	struct log_producer *producer;
};

/* ---- cli_dlq_replay.c ---- */

/* Sets outcome and why; false when out of memory. */
bool replay_refuse(struct replay *replay, struct replay_letter *letter, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- cli_dlq_replay_judge.c ---- */

/* The record as it is put back, borrowed from the letter and from `arena`; false when out of memory. */
bool replay_rebuild(const struct dlq *dlq, const struct dlq_letter *letter, struct arena *arena,
                    struct record *record);
/* Fills all of `found`; `arena` is used up to its clearing. False when out of memory. */
bool replay_judge(struct replay *replay, const struct dlq_letter *letter, struct arena *arena,
                  struct replay_letter *found);
/* The identity of a replay: "millrace.replay/TOPIC/PARTITION@OFFSET". */
bool replay_identity(const struct dlq *dlq, int32_t partition, int64_t offset, struct arena *arena,
                     struct slice *identity);

/* ---- cli_dlq_replay_log.c ---- */

/* Refuses what the logs have moved beyond. */
int replay_look(struct replay *replay, struct error *error);

/* ---- cli_dlq_replay_print.c: the exit code ---- */

int replay_print(const struct replay *replay);

#endif
