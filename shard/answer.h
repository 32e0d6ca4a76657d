/*
 * Answer: a question on its search thread. What answers.c (documents and
 * lists) and search_answer.c (searches) share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_ANSWER_H
#define MILLRACE_SHARD_ANSWER_H

#include "shard/question.h"

/* One answer under way. */
struct answer {
	struct question *question;
	struct words *words;
	struct damage *damage;
	bool damaged; /* a replica is: whoever owns it is told, and the question is not answered here */
};

/* After an error of a snapshot: its replica must stop, or memory is short. */
void answer_failed(struct answer *answer, size_t shard, const struct error *error);
/* "received":[…]: what each shard had when it was asked, and how many matched; `totals` NULL: without these. */
void answer_received(const struct question *question, const uint64_t *totals, struct buffer *body);

/* search_answer.c */
void answer_search(struct answer *answer);

#endif
