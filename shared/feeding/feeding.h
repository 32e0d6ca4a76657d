/*
 * Ingest: the program that feeds the shards of the slots that it owns.
 *
 * One owner thread with one poll() loop owns the feeder, the catalog, the
 * reader of meta and topology, the slots' group and the partitions being
 * read; whatever waits for something (HTTP, the dead-letter producer, the
 * asking thread) reports through the owner's inbox. Nothing is fed before
 * meta and topology were read to their ends. At SIGTERM reading stops, the
 * batches in flight are waited for (at most FEEDING_SHUTDOWN_MS) and the
 * group is left.
 *
 * Bounds: `ingest.memory` for memtables, FEEDING_DEAD_LETTERS_MAX and
 * FEEDING_DEAD_LETTER_BYTES_MAX of unacknowledged dead letters (then reading
 * waits), QUESTIONS_MAX, FEEDER_SHARDS_MAX.
 */
#ifndef MILLRACE_FEEDING_FEEDING_H
#define MILLRACE_FEEDING_FEEDING_H

#include "shared/config/config.h"

#define FEEDING_SHUTDOWN_MS 25000
#define FEEDING_DEAD_LETTERS_MAX 1024
#define FEEDING_DEAD_LETTER_BYTES_MAX (32U * 1024 * 1024)

struct feeding;

/* Opens everything and writes the ready file. `signal_fd` as process_start gave it. */
int feeding_open(const struct config *config, int signal_fd, struct feeding **feeding, struct error *error);
/* Until a signal arrives (0) or something fails that a restart must resolve (negative). */
int feeding_run(struct feeding *feeding, struct error *error);
/* False if the asking thread still waits for Kafka and borrows the configuration: only _exit is left then. */
bool feeding_close(struct feeding *feeding);

#endif
