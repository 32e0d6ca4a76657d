/*
 * Fold: what the documents of a shard must be after its first n records, by
 * plain replay, and the digest over them by the formula of the design.
 *
 * Written without the product's record path, memtable, replica, filter or
 * digest: it shares the hash function with them and nothing else. A body is a
 * list of members from the moment it is made; its text is never parsed. What
 * becomes of an entry is its verdict (timeline.h); only one that is applied
 * changes documents. Documents are never changed, but replaced: a point in
 * time is an array of pointers. Memory is the arena's.
 */
#ifndef MILLRACE_TESTS_SIMULATION_FOLD_H
#define MILLRACE_TESTS_SIMULATION_FOLD_H

#include "shared/record/record.h"

#define DOCUMENTS_MAX 16
#define WORD_BYTES 8

enum member_name {
	MEMBER_ID = 0,
	MEMBER_WORD,
	MEMBER_TEXT,
	MEMBER_N,
	MEMBER_COLOR,
	MEMBER_A,
	MEMBER_B,
	MEMBER_C,
	MEMBERS
};

struct member {
	enum member_name name;
	struct slice token;
	uint32_t number;  /* WORD: its number; N: its value without the half; COLOR: which */
	const char *text; /* TEXT: folded */
};

/* In the order in which they stand in the text. */
struct body {
	size_t len;
	struct member members[MEMBERS];
};

enum condition_kind {
	CONDITION_COLOR_IS = 0,
	CONDITION_COLOR_IS_NOT, /* or there is none */
	CONDITION_N_ABOVE,
	CONDITIONS
};

struct condition {
	enum condition_kind kind;
	uint32_t number;
};

enum verdict {
	VERDICT_APPLIED = 1,
	VERDICT_DUPLICATE,
	VERDICT_REFUSED, /* what it is, or how its identity was used before */
	VERDICT_SKIPPED
};

/* A record of the simulated log, and what it means. */
struct log_entry {
	int64_t offset;
	uint32_t document; /* its id's place among the shard's ids */
	bool malformed;    /* refused whatever came before it */
	enum refusal_code malformation;
	enum op_kind kind;
	struct insertion_key key;
	struct slice rest;   /* puts, merges: the body behind the primary key */
	struct slice stored; /* puts, merges: the body as decoded; or the filter */
	struct body body;
	struct condition condition;
	uint32_t word_number;  /* 0: it has none */
	char word[WORD_BYTES]; /* in no other operation; a NUL ends it */
	bool identified;
	struct slice label; /* its idempotency key, or the source of its CloudEvent … */
	struct slice event; /* … whose id this is; ptr NULL: none */
	struct hash128 identity;
	uint64_t operation;
	struct origin origin; /* source NULL: not imported */
	bool deadly;          /* whoever decodes it dies */
	struct record record;

	enum verdict verdict;
	bool refused; /* becomes a dead letter: refused or skipped … */
	enum refusal_code refusal;
	bool letter_sent;   /* … towards the topic, at least once */
	bool dead_lettered; /* the topic has it */
	bool letter_acked;  /* and some feeder knows */
};

struct fold_document {
	const struct log_entry *entry; /* that changed it last */
	struct slice id;
	struct slice text;
	struct body body;
	struct insertion_key key;
	struct hash128 digest;
};

struct fold_point {
	struct hash128 digest;
	uint64_t documents;
	uint64_t body_bytes;
	const struct fold_document *at[DOCUMENTS_MAX]; /* NULL: there is none */
};

struct fold_rules {
	uint64_t index_id;
	uint32_t contract;
	uint32_t document_bytes_max;
	int64_t window;
};

void fold_apply(struct fold_point *point, const struct fold_rules *rules, const struct log_entry *entry,
                struct arena *arena);
/* What the document has under that name, or NULL. */
const struct member *fold_member(const struct fold_document *document, enum member_name name);
const char *fold_member_name(enum member_name name);
/* The identity of an operation, and what it does, by the formulas of record.h. `second` is the id of a CloudEvent,
 * whose source is `first`; else NULL. */
struct hash128 fold_identity(struct slice id, struct slice first, const struct slice *second);
uint64_t fold_operation(const struct log_entry *entry);

#endif
