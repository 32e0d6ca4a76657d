/*
 * Replaying: fills joining replicas from the log while this process is in
 * office, with the engine of shared/feeding in its replay mode.
 *
 * The engine and its threads exist from the first time that something joins
 * until the program ends; out of office it lets go of everything. What it
 * sends twice with another process's replay, or with live feeding, does no
 * harm: replicas apply a range once.
 *
 * One owner, the office's thread, for all calls.
 */
#ifndef MILLRACE_REBALANCE_REPLAYING_H
#define MILLRACE_REBALANCE_REPLAYING_H

#include "shared/config/config.h"

struct replaying;

/* Starts nothing yet. `config` is borrowed until replaying_free. */
int replaying_new(const struct config *config, struct replaying **replaying, struct error *error);
/* Waits until the batches in flight are answered. False: a thread still waits for Kafka and borrows the
 * configuration, only _exit is left. */
bool replaying_free(struct replaying *replaying);
/* Appends "held":[…], the records before which a replay waits (feeding.h). */
void replaying_held(struct replaying *replaying, struct buffer *body);
/* Whether something is to be replayed now; cheap when nothing changes. Negative when the engine cannot be
 * started, or has ended because of something that a restart must resolve. */
int replaying_want(struct replaying *replaying, bool wanted, struct error *error);

#endif
