/*
 * Producers of contract 2: who writes to a simulated log, and how often they
 * write the same thing twice.
 *
 * A producer repeats itself soon or long after; a record that is repeated may
 * be spelled otherwise, may use its key again for something else, or for
 * another document. Importers go through the partitions of their sources: one
 * that was restarted reads again what it had not committed, one that was
 * replaced goes on where it stood (a zombie), and a new life begins anew.
 */
#ifndef MILLRACE_TESTS_SIMULATION_PRODUCERS_H
#define MILLRACE_TESTS_SIMULATION_PRODUCERS_H

#include "tests/simulation/sim_log.h"

void producers_init(struct sim_log *log);
/* The next record at `entry->offset`. */
void producers_make(struct sim_log *log, struct log_entry *entry, struct dice *dice);

#endif
