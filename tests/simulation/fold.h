/*
 * Fold: what the documents of a shard must be after its first n records, by
 * plain replay, and the digest over them by the formula of the design.
 *
 * Written without the product's record path, memtable, replica or digest: it
 * shares the hash function with them and nothing else. Plain value.
 */
#ifndef MILLRACE_TESTS_SIMULATION_FOLD_H
#define MILLRACE_TESTS_SIMULATION_FOLD_H

#include "shared/record/record.h"

#define DOCUMENTS_MAX 16
#define WORD_BYTES 8

/* A record of the simulated log, and what it means. */
struct log_entry {
	int64_t offset;
	uint32_t document; /* its id's place among the shard's ids */
	bool refused;
	enum refusal_code refusal;
	enum op_kind kind;
	struct insertion_key key;
	struct slice stored;   /* PUT: the body that a replica keeps */
	char word[WORD_BYTES]; /* PUT: in no other record; a NUL ends it */
	struct record record;
	const char *text;   /* PUT: its common words, folded */
	bool letter_sent;   /* towards the dead-letter topic, at least once */
	bool dead_lettered; /* the topic has it */
	bool letter_acked;  /* and some feeder knows */
};

struct fold_document {
	const struct log_entry *entry; /* NULL: there is none */
	struct insertion_key key;
	struct hash128 digest;
};

struct fold_point {
	struct hash128 digest;
	uint64_t documents;
	uint64_t body_bytes;
};

struct fold {
	struct fold_document documents[DOCUMENTS_MAX];
	struct fold_point point;
};

void fold_apply(struct fold *fold, uint64_t index_id, const struct log_entry *entry);

#endif
