/*
 * What the files of the import share, and nobody else: import.c (life and
 * loop), import_catalog.c (which sources there are), import_source.c (one
 * source: group, producer, partitions, commits), import_reading.c (records),
 * import_letters.c (dead letters), import_requests.c (what the configuration
 * asks for), import_status.c (JSON and metrics).
 *
 * Everything belongs to the import's thread unless it says otherwise.
 */
#ifndef MILLRACE_INGEST_IMPORT_PRIVATE_H
#define MILLRACE_INGEST_IMPORT_PRIVATE_H

#include "ingest/core/import_track.h"
#include "ingest/import.h"
#include "shared/log/log_import.h"
#include "shared/mapping/mapping.h"
#include "shared/meta/catalog.h"
#include "shared/runtime/mailbox.h"
#include "shared/runtime/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define IMPORT_ASK_MS 2000
#define IMPORT_RETRY_MS 1000
#define IMPORT_RETRY_MS_MAX 10000

/* A message, from its production until the import's thread has heard of its end. */
struct import_sent {
	struct mailbox *inbox;
	uint32_t slot;
	uint64_t serial; /* of the part */
	uint64_t ticket;
	uint64_t producer; /* which of the source's producers */
	size_t bytes;
	struct import_letter *letter; /* NULL: a message to the index's log */
	struct error error;           /* code 0: acknowledged */
};

/* A refused record until its dead letter is acknowledged. */
struct import_letter {
	struct import_letter *next;
	struct arena arena; /* of the record's copy */
	struct record record;
	enum mapping_refusal_code code;
	struct refusal refusal; /* its text */
	uint32_t slot;
	uint64_t serial;
	uint64_t ticket;
	int64_t send_ms; /* when to send it again; INT64_MAX: it is out */
};

/* A partition of ours. */
struct import_part {
	struct import_source *source;
	struct log_place place;
	struct import_track track;
	uint32_t slot;     /* in import->parts and of the feed */
	uint64_t serial;   /* unique in the process */
	bool reading;      /* the feed has it */
	bool ready;        /* the feed may have something for it */
	bool at_end;       /* of its log */
	bool assigned;     /* while an assignment is compared */
	bool stop_said;    /* that it stopped */
	unsigned letters;  /* not acknowledged */
	unsigned held;     /* of them refused: it reads nothing until they are taken */
	int64_t ask_ms;    /* when to ask where to begin */
	int64_t mark_ms;   /* when to say again that it has begun */
	int64_t log_end;   /* as last heard; -1: not yet */
	char trouble[256]; /* what it waits for, "" for nothing */
};

/* From good to bad. */
enum import_source_state {
	IMPORT_SOURCE_IMPORTING,
	IMPORT_SOURCE_PAUSED,
	IMPORT_SOURCE_WAITING,
	IMPORT_SOURCE_STOPPED,
	IMPORT_SOURCE_STATES
};

/* What a source has done since the process began. */
struct import_counts {
	uint64_t imported;
	uint64_t ignored;
	uint64_t dead_lettered;
	int64_t progress_ms; /* wall clock; 0: never */
	struct series *imported_total;
	struct series *ignored_total;
	struct series *dead_lettered_total;
	struct series *lag;
	struct series *progress;
	struct series *states[IMPORT_SOURCE_STATES];
};

struct import_source {
	bool used;
	bool recorded; /* while the catalog is compared */
	struct import *import;
	struct source_record record; /* its rules are the arena's */
	uint64_t index_id;
	char uid[INDEX_UID_BYTES_MAX + 1];
	char topic[TOPIC_BYTES_MAX + 1]; /* the index's log */
	int32_t partitions;
	enum partitioner partitioner;
	struct rules limits;
	struct arena arena;
	struct mapping *mapping;  /* NULL: the rules cannot be read */
	struct log_import *group; /* NULL: paused, or not opened yet */
	struct log_feed *feed;    /* its own: one handle reads no partition for two */
	struct log_producer *producer;
	uint64_t producer_number; /* of the present one */
	size_t message_bytes_max; /* of the index's log */
	size_t letter_bytes_max;  /* of the dead-letter topic; 0: not known */
	size_t out;               /* messages not acknowledged */
	size_t out_bytes;
	size_t letters;
	int64_t ask_ms;   /* when to ask where a partition begins */
	int64_t open_ms;  /* when to open what is closed */
	int64_t retry_ms; /* and how long after a failure */
	int64_t commit_ms;
	int64_t ends_ms;
	char trouble[512]; /* what it waits for, "" for nothing */
	struct import_counts counts;
};

struct import_metrics {
	struct metric *records;
	struct metric *lag;
	struct metric *progress;
	struct metric *differing;
	struct metric *states;
	struct series *running;
};

struct import {
	const struct config *config;
	char address[64];
	pthread_t thread;
	int stop_fd;
	atomic_bool stopping;
	int group_fd;
	struct mailbox *inbox; /* struct import_sent */
	struct log_connection *connection;
	struct log_reader *reader;
	struct log_producer *letters_producer; /* NULL until needed */
	struct import_letter *letters;
	size_t out; /* messages of all sources not acknowledged */
	size_t out_bytes;
	struct catalog *catalog;
	bool caught_up;
	bool catalog_changed;
	bool reader_more;
	int64_t now_ms;
	int64_t tick_ms;
	struct import_source sources[IMPORT_SOURCES_MAX];
	struct import_part *parts[IMPORT_PARTS_MAX];
	uint32_t parts_next; /* where to look for a free one */
	uint32_t parts_end;  /* behind the last place ever used */
	uint64_t serials;
	struct arena scratch;
	struct import_requests *requests; /* NULL: nothing is configured */
	struct import_metrics metrics;
	pthread_mutex_t status_lock;
	struct buffer status; /* JSON, under the lock */
};

/* ---- import_catalog.c ---- */
/* What meta has, a bounded number of records, and what follows from it. */
int import_follow(struct import *import, struct error *error);
void import_compare(struct import *import);

/* ---- import_source.c ---- */
/* The group's news, what is to be asked, what may be committed. */
void import_source_turn(struct import_source *source);
/* Commits what may be, now. */
void import_source_commit(struct import_source *source);
/* Leaves the group and ends the producer. */
void import_source_shut(struct import_source *source);
/* A delivery failed: the producer ends, every partition begins again. */
void import_source_fail(struct import_source *source, const struct error *error);
/* One partition begins again, after a pause if something is in the way. */
void import_part_restart(struct import_part *part, const char *trouble);
/* It has stopped for good; says so. */
void import_part_stopped(struct import_part *part);
/* NULL if the part is no more. */
struct import_part *import_part_find(const struct import *import, uint32_t slot, uint64_t serial);

/* ---- import_reading.c ---- */
/* A bounded number of records of every partition; true if some could go on at once. */
bool import_read(struct import *import);

/* ---- import_letters.c ---- */
/* Takes a copy of the record, which waits for `ticket`. */
int import_letter_add(struct import_part *part, const struct record *record, const struct mapped *mapped,
                      uint64_t ticket, struct error *error);
/* Sends what is due. */
void import_letters_send(struct import *import);
/* One has been taken or refused; frees it if it is done. */
void import_letter_ended(struct import *import, struct import_letter *letter, const struct error *error);
/* Those of a part that begins again are forgotten. */
void import_letters_forget(struct import *import, struct import_part *part);

/* ---- import_requests.c ---- */
/* Nothing where nothing is configured. */
int import_requests_open(struct import *import, struct error *error);
void import_requests_close(struct import *import);
void import_requests_turn(struct import *import);
/* ,"configured":[…] */
void import_requests_append(const struct import *import, struct buffer *body);

/* ---- import_status.c ---- */
void import_metrics_init(struct import_metrics *metrics);
void import_metrics_source(struct import_source *source);
/* It is followed no more. */
void import_metrics_end(struct import_source *source);
/* Brings the status and the gauges up to date. */
void import_report(struct import *import);
/* Nothing is imported until everything has begun again. */
void import_report_failure(struct import *import, const struct error *error);

#endif
