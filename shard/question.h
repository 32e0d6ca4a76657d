/*
 * Question: one request about replicas, from its arrival to its answer. What
 * http.c (arrival, on a server's thread), searching.c (search threads),
 * questions.c (the owner's turns and waiting) and answers.c (what the replicas
 * say) share. Nobody else includes this.
 *
 * Made by a server's thread. What reads documents goes to a search thread,
 * which answers it from the shelf if every shard serves and has what is asked
 * for; any other question is the owner's, who refuses it, lets it wait, or
 * gives it back with the views that it is to be answered from. It belongs to
 * whoever took it from a mailbox, is answered exactly once, and freed then.
 */
#ifndef MILLRACE_SHARD_QUESTION_H
#define MILLRACE_SHARD_QUESTION_H

#include "shard/core/search_question.h"
#include "shard/core/serving.h"
#include "shard/node_private.h"

enum question_kind {
	QUESTION_KIND_SEARCH = 1,
	QUESTION_KIND_LIST,
	QUESTION_KIND_GET,
	QUESTION_KIND_VERIFY,
	QUESTION_KIND_SHARDS,
	QUESTION_KIND_MARKS,
	QUESTION_KIND_COPY,
	QUESTION_KIND_CHUNKS,
	QUESTION_KIND_COPY_END,
	QUESTION_KIND_COPY_PUT,
	QUESTION_KIND_CHUNKS_PUT
};

/* One shard that is asked. */
struct question_shard {
	int32_t partition;
	int64_t wanted;    /* must have received this */
	struct held *held; /* NULL: absent; as of the last time it was looked for */
};

struct question {
	struct question *next; /* of those that wait */
	struct node *node;
	struct http_request *request;
	enum question_kind kind;
	int64_t arrived_ms;
	int64_t deadline_ms; /* INT64_MAX: none */
	yyjson_doc *doc;     /* NULL until parsed; what is asked for points into it */
	struct arena arena;
	uint64_t index_id;
	struct question_shard *shards; /* in the arena */
	struct serving_shard *seen;    /* how each of them stood when it was looked for */
	struct shelf_view *views;      /* of each of them, once it may be answered */
	bool parsed;
	bool decided; /* the owner has: it is answered from its views */
	size_t shards_len;
	int64_t offset;
	int64_t limit;
	bool stale;
	struct slice text;              /* the document id */
	struct search_question *search; /* of a search, in the arena */
	/* of a copy: what is copied, its source (NULL: none yet), and the view that keeps its replica */
	struct copies_key copy_key;
	struct copy_source *copy;
	struct shelf_view copied;
	const struct held *missing; /* while it waits: the shard that lacks something … */
	int64_t missing_wanted;     /* … and what */
};

/* Any thread. NULL when out of memory. */
struct question *question_new(struct node *node, struct http_request *request, enum question_kind kind);
/* After the answer. */
void question_free(struct question *question);
/* Nobody waits for the answer any more. */
bool question_is_late(const struct question *question);
/* 503 `deadline`. */
void question_drop(struct question *question);
/* What is asked for; false after a refusal. */
bool question_parse(struct question *question);

/* searching.c */
/* Gives it to a search thread, or refuses it. Any thread. */
void searching_put(struct question *question);
/* Takes the views of all its shards, and what they say into `seen`. */
void question_take_views(struct question *question);

/* answers.c: every shard serves; a search thread's, with its scratch. False if a
 * replica is damaged: then a question other than VERIFY is not answered. */
bool question_answer(struct question *question, struct words *words, struct damage *damage);

/* marks.c */
void question_marks(struct question *question);
/* Decimal digits; false without any. */
bool question_number_parse(const char *text, int64_t *number);

/* copying.c */
/* The owner's: pins what is to be copied. False after a refusal; else a search thread answers. */
bool question_copy(struct question *question);
/* A search thread's. False if the replica is damaged, after an answer. */
bool copying_answer(struct question *question, struct damage *damage);

/* status.c */
void question_shards(struct question *question);

/* figures.c */
/* The member `figures` of a shard; null for a replica that is kept closed. */
void figures_append(const struct node *node, const struct held *held, struct buffer *body);

#endif
