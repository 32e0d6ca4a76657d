/*
 * Token: up to where a read must see an index.
 *
 *   X-Millrace-Token: <generation>;<p>@<offset>,<p>@<offset>
 *
 * Offsets are those of records, as Kafka's acknowledgement of a write names
 * them: partition p must have received at least offset + 1. Every read answers
 * with the token of what it covers, so the next read can be no older.
 *
 * Inside the gateway a token is a vector with one entry a partition of its
 * index, in *next* offsets like every watermark: what is required (0: nothing),
 * or what an answer covers (-1: the answer has nothing of this partition). NULL
 * stands for a vector that requires nothing, or covers nothing.
 *
 * Parsing is strict: decimal numbers without sign, blanks or leading zeros, each
 * partition once, in any order; nothing after the `;` is a token that requires
 * nothing. A generation that is not the index's, or a partition that it does not
 * have, names a log that is not read any more: `consistency_token_outdated`, so
 * that the client drops the token; anything else is `invalid_consistency_token`.
 * So an entry is read at most once a partition, whatever the length of the text.
 *
 * Finals: every search also carries the offsets of all task finals that its
 * gateway has read for the index (a client that saw its task succeed finds what
 * it wrote). token_raise is that rule's place. Finals of today name no offsets,
 * because documents do not come over HTTP yet: the gateway has none to raise by.
 *
 * Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_TOKEN_H
#define MILLRACE_QUERY_CORE_TOKEN_H

#include "query/core/error_answer.h"

#define TOKEN_HEADER "X-Millrace-Token"

/* Fills required[partitions]; on a refusal what is in it means nothing. */
int token_parse(struct slice text, int32_t generation, int32_t partitions, int64_t *required,
                struct error_answer *refusal);
/* The header's value for what an answer covers; partitions without a record are left out. */
void token_append(struct buffer *text, int32_t generation, const int64_t *covered, int32_t partitions);
/* True if `covered` reaches all that is required. Of two required vectors: the second asks for no more. */
bool token_covers(const int64_t *covered, const int64_t *required, int32_t partitions);
/* The first partition that is not covered; -1 if there is none. */
int32_t token_uncovered(const int64_t *covered, const int64_t *required, int32_t partitions);
/* Raises what is required to the finals' offsets; `finals` may be NULL. */
void token_raise(int64_t *required, const int64_t *finals, int32_t partitions);

#endif
