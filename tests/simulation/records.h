/*
 * Records: the bytes of one record of a simulated log, made together with
 * what they mean (fold.h): key, headers, value, and how each may be spelled
 * or spoiled. Memory is the log's arena.
 */
#ifndef MILLRACE_TESTS_SIMULATION_RECORDS_H
#define MILLRACE_TESTS_SIMULATION_RECORDS_H

#include "tests/simulation/sim_log.h"

#define RECORDS_BYTES_MAX 400 /* of a document, by the rules of the simulated index */

struct slice records_print(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void records_header(struct sim_log *log, struct log_entry *entry, const char *name, struct slice value);
/* Timestamp and insertion key. */
void records_stamp(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* A good document for the entry's key. */
void records_put(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* Its members, but for the primary key: with a color, or without. */
void records_fill(struct sim_log *log, struct log_entry *entry, struct dice *dice, bool colored);
/* One member that a merge brings. */
void records_patch(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* The value that says what the entry's members are, with its primary key or without. */
void records_spell(struct sim_log *log, struct log_entry *entry, struct dice *dice);
void records_delete(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* A filter over what records_fill makes. */
void records_filter(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* What was a good put becomes a record that every contract refuses. */
void records_spoil(struct sim_log *log, struct log_entry *entry, struct dice *dice);
/* One that only contract 2 refuses. */
void records_spoil_more(struct sim_log *log, struct log_entry *entry, struct dice *dice);

#endif
