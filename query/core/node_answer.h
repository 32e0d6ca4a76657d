/*
 * Node answers: what search nodes say, read without trusting a byte.
 *
 * A node is another process, perhaps of another version, perhaps damaged: an
 * answer that is not exactly what was asked for is an error, and counts as no
 * answer. Checked: JSON and its depth; that `received` names exactly the
 * partitions asked, each once; that hits are of these partitions, at most as
 * many as asked, with ids that could be document ids and documents that are
 * objects.
 *
 *   200  {"received":[{"p":0,"received":N,"state":"active","total":N}],"total":N,
 *         "hits":[{"p":0,"score":N,"ts":N,"seq":N,"id":"…","doc":{…}}]}
 *        of a get: {"received":[{"p":0,"received":N,"state":"active"}],"doc":{…}}
 *   404  of a get: {"code":"document_not_found",…,"received":[{…}]}
 *   410  {"code":"not_serving","shards":[{"p":0,"state":"recovering"|"absent"|"stopped"|"behind"}]}
 *
 * The `total` of one shard may be missing; then the answer is used as a whole
 * or not at all.
 *
 * Everything points into `text`, which must outlive what was read, and into
 * the arena. Documents are the node's bytes, unchanged. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_NODE_ANSWER_H
#define MILLRACE_QUERY_CORE_NODE_ANSWER_H

#include "shared/base/arena.h"
#include "shared/base/error.h"
#include "shared/record/record.h"

/* Levels around a document in an answer. */
#define NODE_ANSWER_DEPTH_MAX (128 + 4)

struct node_hit {
	int32_t partition;
	int64_t score;
	struct insertion_key key;
	struct slice id;
	struct slice document;
};

/* What was asked, to compare with. */
struct node_question {
	const int32_t *partitions;
	size_t partitions_len;
	uint64_t hits_max;
	/* By partition: the next offset that it must have received, 0 for any; NULL: any for all. */
	const int64_t *required;
};

struct node_answer {
	int64_t total;
	size_t hits_len;
	struct node_hit *hits;
	/* For each partition asked, in the order of the question: */
	int64_t *received; /* the next offset that it had not received */
	int64_t *totals;   /* its share of `total`, -1 if the node does not say */
	size_t stale_len;
	int32_t *stale; /* partitions that answered without being active */
};

/* ERROR_FORMAT or ERROR_LIMIT, REJECT; ERROR_MEMORY. */
int node_answer_parse(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error);

/* Takes out everything about partitions (by place in the question) that are not wanted. False, and the answer is
 * of no use: a page that was cut off holds fewer hits of the others than might be needed, or shares of the total
 * are unknown. */
bool node_answer_restrict(struct node_answer *answer, const struct node_question *question,
                          const bool *wanted);

enum node_refusal_reason {
	NODE_REFUSAL_STOPPED = 0,
	NODE_REFUSAL_RECOVERING,
	NODE_REFUSAL_ABSENT,
	NODE_REFUSAL_BEHIND /* of what is required */
};

struct node_refusal {
	int32_t partition;
	enum node_refusal_reason reason;
};

struct node_refusals {
	struct node_refusal *list;
	size_t len;
};

/* Refusals of partitions that were asked; others are left out. */
int node_refusal_parse(struct slice text, const struct node_question *question, struct arena *arena,
                       struct node_refusals *refusals, struct error *error);

struct node_document {
	struct slice document; /* ptr NULL: there is none */
	int64_t received;      /* -1 if the node does not say */
	bool stale;
};

/* A get's answer of the one partition asked: 200, or with `found` false the 404 that is about the document and
 * not about the path. */
int node_document_parse(struct slice text, int32_t partition, bool found, struct node_document *document,
                        struct error *error);
/* 1..511 bytes of letters, digits, `-` and `_`. */
bool document_id_is_valid(struct slice id);

#endif
