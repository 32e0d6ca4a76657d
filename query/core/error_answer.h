/*
 * Error answer: Meilisearch's error object.
 *
 *   {"message":"…","code":"index_not_found","type":"invalid_request",
 *    "link":"https://docs.meilisearch.com/errors#index_not_found"}
 *
 * A code decides status and type; the table of codes is the only place that
 * knows both, and a code that is not in it is our mistake (asserts). Codes
 * come from Meilisearch 1.50. Millrace's own are `not_ready` (503, the gateway
 * has not read its topics yet), `unavailable` (503, a part that the answer
 * needs cannot be reached) and, for X-Millrace-Token,
 * `invalid_consistency_token` (400), `consistency_token_outdated` (409, the
 * index has begun another generation) and `consistency_token_not_reached`
 * (503, no replica has received what the token names in time).
 *
 * What a part of a request gets (a query of several) is a wrong request where
 * alone it may be something else, an unknown index for example: error_answer_inside.
 *
 * struct error_answer is plain storage for what a check found: filled once,
 * returned negative, nothing to free. A message longer than its room is cut.
 * Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_ERROR_ANSWER_H
#define MILLRACE_QUERY_CORE_ERROR_ANSWER_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define ERROR_ANSWER_MESSAGE_BYTES_MAX 2048

struct error_answer {
	const char *code; /* static, in the table */
	int status;       /* the code's, or 400 */
	char message[ERROR_ANSWER_MESSAGE_BYTES_MAX];
};

/* Fills `answer` and returns ERROR_FORMAT, so that a refusal is one statement. */
int error_answer_set(struct error_answer *answer, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The HTTP status of a code. */
int error_answer_status(const char *code);
/* Puts a text before the message. */
void error_answer_prefix(struct error_answer *answer, const char *before);
/* Puts "Inside `place`: " before it; what says that a request is invalid has status 400 then. */
void error_answer_inside(struct error_answer *answer, const char *place);
/* The code that an HTTP status stands for when only the status is known. */
const char *error_answer_code_of_status(int status);
/* Appends the object; an unknown code gets the type `internal`. */
void error_answer_append(struct buffer *body, struct slice code, struct slice message);

#endif
