/*
 * Office: the shell around the controller's core.
 *
 * Taking office: the transactional producer is initialised first, which
 * fences any predecessor; then meta, topology, tasks and task-states are read
 * to their ends; only then does the core act. After a failed or timed-out
 * write the outcome is unknown: the office is left and taken again, which
 * reads everything anew. A controller that was fenced by a successor ends the
 * program (exit code 75): whoever supervises it decides whether two should
 * run.
 *
 * One thread; it alone touches the core and Kafka. Which state it is in is
 * published for the admin listener through office_state.
 */
#ifndef MILLRACE_REBALANCE_OFFICE_H
#define MILLRACE_REBALANCE_OFFICE_H

#include "shared/config/config.h"
#include "shared/log/log.h"

struct office;

enum office_state {
	OFFICE_STATE_WAITING = 0,
	OFFICE_STATE_READING,
	OFFICE_STATE_IN_OFFICE
};

/* Everything borrowed until office_free. `signal_fd` ends office_run when it becomes readable. */
int office_new(const struct config *config, struct log_connection *connection, int signal_fd,
               struct office **office, struct error *error);
void office_free(struct office *office);
/* Serves until the signal (0) or until something that waiting does not mend (negative). */
int office_run(struct office *office, struct error *error);
/* Any thread. */
enum office_state office_state(const struct office *office);

#endif
