/*
 * Import: brings the records of any topics into the logs of indexes.
 *
 * What is imported, and by which rules, is what the index's record in `meta`
 * says (struct source_record), for every worker alike; the configuration's
 * `sources` only make the worker that owns slot 0 ask the controller for what
 * is missing there, and are compared with it otherwise.
 *
 * Each source has a consumer group over its topic or pattern and a producer
 * of its own that leaves no gap. A record becomes one message with the header
 * `origin` = "<topic>.<life>/<partition>/<offset>.0", by which the fold drops
 * what was produced before (reliability: ingest/core/import_track.h); the
 * source is committed behind what Kafka has acknowledged. A record that the
 * rules refuse goes to the source's dead-letter topic, or Millrace's; while
 * that topic refuses it, its partition waits and says so. Any delivery that
 * fails ends the producer, and the source begins again where it was committed.
 *
 * An error of what all sources share (Millrace's own topics cannot be read) is
 * said, and everything begins again after a pause of up to half a minute.
 *
 * One thread owns all of it and waits for Kafka at most a few seconds at a
 * time. Bounds: IMPORT_SOURCES_MAX, IMPORT_PARTS_MAX; IMPORT_RECORDS_MAX and
 * IMPORT_BYTES_MAX not acknowledged of each source, IMPORT_OUT_MAX and
 * IMPORT_OUT_BYTES_MAX of all; IMPORT_LETTERS_MAX dead letters of each; then
 * it reads nothing.
 */
#ifndef MILLRACE_INGEST_IMPORT_H
#define MILLRACE_INGEST_IMPORT_H

#include "ingest/core/import_wishes.h"
#include "shared/config/config.h"

#define IMPORT_PARTS_MAX 8192
#define IMPORT_RECORDS_MAX 8192
#define IMPORT_BYTES_MAX (8U * 1024 * 1024)
#define IMPORT_LETTERS_MAX 64
#define IMPORT_OUT_MAX 65536
#define IMPORT_OUT_BYTES_MAX (64U * 1024 * 1024)

struct import;

/* Starts the thread; the configuration outlives it. `address`, by which groups know this member, is copied. */
int import_open(const struct config *config, const char *address, struct import **import,
                struct error *error);
/* Ends it: what is acknowledged is committed. False if it still waits for Kafka: only _exit is left then. */
bool import_close(struct import *import);
/* Any thread: "import":{…},"sources":[…],"configured":[…] as of a moment ago. */
void import_status(struct import *import, struct buffer *body);

#endif
