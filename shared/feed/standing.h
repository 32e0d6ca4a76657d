/*
 * Standing: where the replicas of one index stand on a node, as the node's
 * answer to GET /shards?index=<id> says.
 *
 * The answer comes from another process and is not trusted: a shard's entry
 * either has every member that feeding needs, well-formed, or the whole
 * answer is refused. Pure.
 */
#ifndef MILLRACE_FEED_STANDING_H
#define MILLRACE_FEED_STANDING_H

#include "shared/record/batch.h"

/* Parsed answer; free with standing_free. */
struct standing;

/* ERROR_FORMAT, REJECT; ERROR_MEMORY, RETRY. */
int standing_parse(struct slice body, struct standing **standing, struct error *error);
void standing_free(struct standing *standing);
/* 0 if the node that answered is the one that is meant; ERROR_STATE (RETRY) if it calls itself otherwise. */
int standing_check_node(const struct standing *standing, const char *node_id, struct error *error);
/* The replica of (index, generation, partition); its result is UNKNOWN if it is not listed, STOPPED if
 * the replica has stopped, else ALREADY. `stop_reason` (borrowed from the standing) is empty otherwise.
 * ERROR_FORMAT (REJECT) if its entry is malformed. */
int standing_find(const struct standing *standing, const struct range_answer *wanted, int32_t generation,
                  struct range_answer *found, struct slice *stop_reason, struct error *error);

#endif
