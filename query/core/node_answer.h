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
 *   200  {"received":[{"p":0,"received":N,"state":"active"}],"total":N,
 *         "hits":[{"p":0,"score":N,"ts":N,"seq":N,"id":"…","doc":{…}}]}
 *   410  {"code":"not_serving","shards":[{"p":0,"state":"recovering"|"absent"|"stopped"}]}
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
};

struct node_answer {
	int64_t total;
	size_t hits_len;
	struct node_hit *hits;
	int64_t *received; /* for each partition asked: the next offset that it had not received */
	size_t stale_len;
	int32_t *stale; /* partitions that answered without being active */
};

/* ERROR_FORMAT or ERROR_LIMIT, REJECT; ERROR_MEMORY. */
int node_answer_parse(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error);

struct node_refusal {
	int32_t partition;
	bool recovering; /* else absent or stopped */
};

struct node_refusals {
	struct node_refusal *list;
	size_t len;
};

/* Refusals of partitions that were asked; others are left out. */
int node_refusal_parse(struct slice text, const struct node_question *question, struct arena *arena,
                       struct node_refusals *refusals, struct error *error);
/* The document of a get's answer {"doc":…}. */
int node_document_parse(struct slice text, struct slice *document, struct error *error);

/* True for a 404 that is about the document and not about the path. */
bool node_says_not_found(struct slice text);
/* 1..511 bytes of letters, digits, `-` and `_`. */
bool document_id_is_valid(struct slice id);

#endif
