/*
 * Ingest: the program that feeds the shards of the slots that it owns.
 *
 * One owner thread with one poll() loop owns the feeder, the catalog, the
 * reader of meta and topology, the slots' group and the partitions being
 * read; whatever waits for something (HTTP, the dead-letter producer, the
 * asking thread) reports through the owner's inbox. Nothing is fed before
 * meta and topology were read to their ends. At SIGTERM reading stops, the
 * batches in flight are waited for (at most INGEST_SHUTDOWN_MS) and the
 * group is left.
 *
 * Bounds: `ingest.memory` for memtables, INGEST_DEAD_LETTERS_MAX and
 * INGEST_DEAD_LETTER_BYTES_MAX of unacknowledged dead letters (then reading
 * waits), QUESTIONS_MAX, FEEDER_SHARDS_MAX.
 */
#ifndef MILLRACE_INGEST_INGEST_H
#define MILLRACE_INGEST_INGEST_H

#include "shared/config/config.h"

#define INGEST_SHUTDOWN_MS 25000
#define INGEST_DEAD_LETTERS_MAX 1024
#define INGEST_DEAD_LETTER_BYTES_MAX (32U * 1024 * 1024)

struct ingest;

/* Opens everything and writes the ready file. `signal_fd` as process_start gave it. */
int ingest_open(const struct config *config, int signal_fd, struct ingest **ingest, struct error *error);
/* Until a signal arrives (0) or something fails that a restart must resolve (negative). */
int ingest_run(struct ingest *ingest, struct error *error);
/* False if the asking thread still waits for Kafka and borrows the configuration: only _exit is left then. */
bool ingest_close(struct ingest *ingest);

#endif
