/*
 * What the files of `millrace doc where` share: one document, everything that
 * is known about it, and the judgement.
 *
 * cli_where.c (words, the index), cli_where_log.c (Kafka: the index's record,
 * the log, dead letters), cli_where_fold.c (what the records make of it), cli_where_replicas.c (the gateway's status, the
 * nodes), cli_where_verdict.c (the judgement), cli_where_print.c.
 *
 * Each source may be away: then its `trouble` says why, and what the others
 * know is still said. Nothing is written and no offset is committed. The log
 * is read from the generation's base, or from where it begins now, to the end
 * that it has when the command begins; records with the id as their key,
 * barriers and origins are looked at, and judged by the generation's recorded
 * rules, as a replica's feeder does. Bounds:
 * WHERE_RECORDS_MAX records here and elsewhere, as many dead letters, one
 * document's body. One thread.
 */
#ifndef MILLRACE_CLI_CLI_WHERE_H
#define MILLRACE_CLI_CLI_WHERE_H

#include "shared/cli/cli.h"
#include "shared/meta/catalog.h"

#define WHERE_RECORDS_MAX 20
#define WHERE_TROUBLE_BYTES 512
#define WHERE_REASON_BYTES 512
#define WHERE_BODY_BYTES_MAX (64U << 20)

/* Empty: none. */
struct where_trouble {
	char text[WHERE_TROUBLE_BYTES];
};

struct where_record {
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms;
	const char *operation; /* put, delete, …, refused, skipped */
	const char *code;      /* of a dead letter; NULL: it is none */
	bool repeated;         /* a duplicate: not applied */
	char reason[WHERE_REASON_BYTES];
};

/* The last of them, in the order of reading. */
struct where_records {
	struct where_record list[WHERE_RECORDS_MAX];
	size_t len;
	uint64_t total;
};

struct where_letter {
	int32_t partition; /* of the dead-letter topic */
	int64_t offset;
	int64_t log_partition; /* -1 if the letter does not say */
	int64_t log_offset;
	char code[64];
	char reason[WHERE_REASON_BYTES];
};

struct where_letters {
	struct where_letter list[WHERE_RECORDS_MAX];
	size_t len;
	uint64_t total;
	struct where_trouble trouble;
};

enum where_answer {
	WHERE_ANSWER_NONE = 0, /* note says why */
	WHERE_ANSWER_PRESENT,
	WHERE_ANSWER_DIFFERS, /* present, but not as the last put says */
	WHERE_ANSWER_ABSENT
};

struct where_replica {
	char node[NODE_ID_BYTES_MAX + 1];
	char url[NODE_URL_BYTES_MAX + 1];
	char recorded[32];
	char state[32]; /* "": the node did not say */
	bool in_sync;
	int64_t received; /* -1: not known */
	enum where_answer answer;
	char note[WHERE_REASON_BYTES];
};

struct where_replicas {
	struct where_replica list[REPLICAS_MAX];
	size_t len;
	struct where_trouble trouble;
};

/* The partition's log, and what it says of the document. */
struct where_log {
	int64_t base;  /* where the generation's fold begins; -1: not known */
	int64_t start; /* where the log begins now; -1: not known */
	int64_t end;
	char cleanup_policy[128]; /* "": not known */
	struct where_records here;
	struct where_records elsewhere;
	bool settled; /* whether there is a document, and since when: */
	bool present;
	struct where_record effective;
	int64_t uncertain;  /* offset of a filter that may have meant it; -1: none */
	bool comparable;    /* body is what a replica should have */
	struct buffer body; /* compact */
	struct where_trouble trouble;
};

enum where_outcome {
	WHERE_OUTCOME_UNKNOWN = 0, /* too much does not answer */
	WHERE_OUTCOME_PRESENT,     /* on every replica */
	WHERE_OUTCOME_INCOMPLETE,  /* put, but not on every replica */
	WHERE_OUTCOME_DELETED,
	WHERE_OUTCOME_REFUSED,
	WHERE_OUTCOME_ELSEWHERE, /* only in another partition */
	WHERE_OUTCOME_ABSENT     /* no record */
};

struct where {
	struct cli *cli;
	const char *uid;
	struct slice id;
	bool all_partitions;
	bool named;                /* the gateway or Kafka told the index: */
	struct index_record index; /* base is NULL, see where_log; rules only once Kafka told them */
	int32_t partition;         /* -1: not known, only with PARTITIONER_NONE */
	struct where_log log;
	struct where_letters letters;
	struct where_replicas replicas;
	enum where_outcome outcome;
	struct buffer verdict; /* one sentence */
};

/* ---- cli_where_log.c ---- */

/* The index's record where the gateway told none, the log, and the dead letters. Whatever fails is in their `trouble`. */
void where_ask_kafka(struct where *where);

/* The next of them; the record's offset and time are filled in. */
struct where_record *where_add_record(struct where_records *records, int32_t partition,
                                      const struct record *record);
void where_tell_refused(struct where_record *found, const struct refusal *refusal);
const char *where_operation_name(enum op_kind kind);

/* ---- cli_where_fold.c ---- */

struct where_fold;

/* Of where->partition from its base on; `skips` are borrowed. NULL when out of memory. */
struct where_fold *where_fold_new(struct where *where, const int64_t *skips, size_t skips_len);
void where_fold_free(struct where_fold *fold); /* NULL does nothing */
/* The log begins above the base now: what was before is not known. */
void where_fold_is_partial(struct where_fold *fold);
/* The partition's next record: where->log.here, settled, present, effective, uncertain. */
int where_fold_take(struct where_fold *fold, const struct record *record, struct error *error);
/* After the last: where->log.body and comparable. */
void where_fold_end(struct where_fold *fold);

/* ---- cli_where_replicas.c ---- */

/* What the gateway says of the shard, and each of its nodes of the document. After where_ask_kafka. */
void where_ask_replicas(struct where *where);

/* ---- cli_where_verdict.c ---- */

/* Fills outcome and verdict. */
void where_judge(struct where *where);

/* ---- cli_where_print.c: the exit code ---- */

int where_print(const struct where *where, bool json);

#endif
