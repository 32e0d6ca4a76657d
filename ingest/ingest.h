/*
 * Ingest: the program that feeds the shards of the slots that it owns, with
 * the engine of shared/feeding in its live mode, and an admin listener.
 *
 * The engine's owner thread also answers GET /status, which reaches it through
 * a bounded mailbox; everything else is answered on the listener's threads.
 */
#ifndef MILLRACE_INGEST_INGEST_H
#define MILLRACE_INGEST_INGEST_H

#include "shared/config/config.h"

struct ingest;

/* Opens everything and writes the ready file. `signal_fd` as process_start gave it. */
int ingest_open(const struct config *config, int signal_fd, struct ingest **ingest, struct error *error);
/* Until a signal arrives (0) or something fails that a restart must resolve (negative). */
int ingest_run(struct ingest *ingest, struct error *error);
/* False if a thread still waits for Kafka and borrows the configuration: only _exit is left then. */
bool ingest_close(struct ingest *ingest);

#endif
