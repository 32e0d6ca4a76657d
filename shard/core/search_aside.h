/*
 * Search aside: what a node is asked instead of hits, by "spellings" or
 * "pathsKnown" of search_question.h. As members of a JSON object:
 *
 *   "total":0,"hits":[],
 *   "spellings":{"path":["…" or null,…],…}   search_spell of search_facets.h, in the order asked
 *   "pathsKnown":["a","a.b",…]               as snapshot_has_field knows them: paths at which documents have or had
 *                                            text, and all that these are nested in; bytewise
 *
 * No settings are looked at. Pure but for what reads the snapshots.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_ASIDE_H
#define MILLRACE_SHARD_CORE_SEARCH_ASIDE_H

#include "shard/core/search_reply.h"

bool search_aside_is_asked(const struct search_question *question);
/* As search_reply. */
int search_aside(const struct search_reply_request *request, struct buffer *json, struct search_reply *reply,
                 struct error *error);

#endif
