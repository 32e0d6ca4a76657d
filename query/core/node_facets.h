/* Facets of a node's answer; node_answer.h has what is read. */
#ifndef MILLRACE_QUERY_CORE_NODE_FACETS_H
#define MILLRACE_QUERY_CORE_NODE_FACETS_H

#include "query/core/node_answer.h"

/* `facets` is valid JSON. Texts are decoded into the arena. ERROR_FORMAT, REJECT; ERROR_MEMORY. */
int node_facets_parse(struct slice facets, struct arena *arena, struct node_answer *answer,
                      struct error *error);

/* One of `spellings`, borrowed from it; `value` has ptr NULL where the node does not have it. False: it is none. */
bool node_spelling_read(yyjson_val *item, struct slice *value);

#endif
