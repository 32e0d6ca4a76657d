/*
 * Office: the shell around the controller's core.
 *
 * Several processes may run; a consumer group on the slots topic elects the
 * one that takes office (the owner of its partition 0), the others stand by
 * and take over when it goes, in the order in which they joined; whoever comes
 * back, or was dropped, joins as the last. The election only keeps them from
 * disturbing each other. Safe it is because of the transactional producer:
 * taking office initialises it first, which fences any predecessor; then meta,
 * topology, tasks and task-states are read to their ends; only then does the
 * core act.
 * After a failed or timed-out write the outcome is unknown: the office is
 * left and taken again, which reads everything anew. Who was fenced stands by
 * again; fenced OFFICE_FENCES_MAX times within OFFICE_FENCES_MS, the program
 * ends (exit code 75), because two then fight for the office.
 *
 * In office it also asks every node for its shards (polling.h), Kafka for the
 * log ends that the core wants, and replays the log into joining replicas
 * (replaying.h).
 *
 * One thread; it alone touches the core and Kafka. What the admin listener
 * tells is published by it: office_state, office_status.
 */
#ifndef MILLRACE_REBALANCE_OFFICE_H
#define MILLRACE_REBALANCE_OFFICE_H

#include "shared/config/config.h"
#include "shared/log/log.h"

#define OFFICE_FENCES_MAX 5
#define OFFICE_FENCES_MS 60000

struct office;

enum office_state {
	OFFICE_STATE_WAITING = 0, /* for Kafka */
	OFFICE_STATE_STANDING_BY, /* another process is elected, or nobody yet */
	OFFICE_STATE_READING,
	OFFICE_STATE_IN_OFFICE
};
#define OFFICE_STATES (OFFICE_STATE_IN_OFFICE + 1)

/* Everything borrowed until office_free. `signal_fd` ends office_run when it becomes readable. */
int office_new(const struct config *config, struct log_connection *connection, int signal_fd,
               struct office **office, struct error *error);
/* False: a thread still waits for Kafka and borrows the configuration, only _exit is left. */
bool office_free(struct office *office);
/* Serves until the signal (0) or until something that waiting does not mend (negative). `url` is where our admin
 * listener answers. */
int office_run(struct office *office, const char *url, struct error *error);
/* Any thread. */
enum office_state office_state(const struct office *office);
/* Any thread: appends the answer to GET /status. */
void office_status(struct office *office, struct buffer *body);

#endif
