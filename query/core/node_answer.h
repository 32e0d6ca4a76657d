/*
 * Node answers: what search nodes say, read without trusting a byte.
 *
 * A node is another process, perhaps of another version, perhaps damaged: an
 * answer that is not exactly what was asked for is an error, and counts as no
 * answer. Checked: JSON and its depth; that `received` names exactly the
 * partitions asked, each once; that hits are of these partitions, at most as
 * many as asked, with ids that could be document ids and documents that are
 * objects; that ranks and distinct values are hexadecimal, words known and
 * frequencies no more than the terms there are, counts no less than 0. What was
 * not asked for and is not looked at may be anything.
 *
 *   200  {"cutoff":true,"received":[{"p":0,"received":N,"state":"active","total":N}],"total":N,
 *         "known":B,"terms":T,"frequencies":[N],"paths":"01",
 *         "facets":{"path":{"values":[{"key":"…","number":true,"value":"…","count":N}],"min":x,"max":y}},
 *         "hits":[{"p":0,"rank":"<hex>","ts":N,"seq":N,"id":"…","distinct":["<hex>"],"score":[[N,N],"<hex>"],"doc":{…}}]}
 *         (`cutoff` stands first, or nowhere; a score may end with [0,1]; a listing has none of known, terms, frequencies, facets, rank, distinct, score)
 *        of a get: {"received":[{"p":0,"received":N,"state":"active"}],"doc":{…}}
 *   409  {"code":"settings_version",…,"settings":N}: it lacks the version asked for and has N
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

#include "query/core/search_request.h"
#include "shared/record/record.h"

/* Levels around a document in an answer. */
#define NODE_ANSWER_DEPTH_MAX (128 + 4)
/* Names to crop and to highlight. */
#define NODE_ANSWER_PATHS_MAX 2048

#define NODE_DISTINCT_MAX 4096 /* values of one hit */
#define NODE_SCORES_MAX 256    /* rules of one hit */

/* What one rule says. */
struct node_score {
	struct slice value; /* of a sort: its part of the rank; ptr NULL: it is about words */
	uint32_t rank;      /* at least 1; 0 of 1 for all rules that were skipped, the last one */
	uint32_t highest;   /* not less */
};

struct node_hit {
	int32_t partition;
	struct slice rank; /* hexadecimal; the smallest, bytewise, comes first */
	struct insertion_key key;
	struct slice id;
	struct slice document;
	const struct slice *distinct; /* hexadecimal */
	size_t distinct_len;
	const struct node_score *scores;
	size_t scores_len;
};

struct node_facet_value {
	struct slice key; /* in normal form, or the text of the number */
	bool is_number;
	double number;
	struct slice value; /* as some document spells it */
	uint64_t count;
};

struct node_facet {
	struct slice path;
	struct node_facet_value *values;
	size_t values_len;
	struct slice min; /* a JSON number; ptr NULL, and so `max`: there are none */
	struct slice max;
};

/* What was asked, to compare with. */
struct node_question {
	const int32_t *partitions;
	size_t partitions_len;
	uint64_t hits_max;
	/* By partition: the next offset that it must have received, 0 for any; NULL: any for all. */
	const int64_t *required;
	bool facets; /* an answer must have some */
	bool values; /* of a facet: `facetHits` are asked for, hits and a total are not (facet_hits.h) */
	bool whole;  /* an answer is used for all partitions or none: distinct, or a threshold */
	bool equal;  /* hits are all that were looked at, more than asked for, and than the total */
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
	size_t terms;   /* of the query; 0 for a listing */
	uint32_t known; /* a bit a term */
	struct slice
		paths; /* a `0` or `1` for each name to crop, then to highlight; ptr NULL: none are told */
	size_t frequencies_len; /* 0, or as `terms` */
	uint64_t frequencies[SEARCH_TERMS_MAX];
	size_t facets_len;
	struct node_facet *facets;
	bool has_distinct; /* some hit has such values */
	bool at_cutoff;    /* it had passed before all was ranked */
};

/* ERROR_FORMAT or ERROR_LIMIT, REJECT; ERROR_MEMORY. */
int node_answer_parse(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error);

/* Takes out everything about partitions (by place in the question) that are not wanted. False, and the answer is
 * of no use: a page that was cut off holds fewer hits of the others than might be needed, shares of the total are
 * unknown, or it speaks of all of them together (words, facets, what is distinct). */
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

/* Of 409: the version of the settings that the node has. False: the answer does not speak of settings. */
bool node_settings_parse(struct slice text, int64_t *version);

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
