/*
 * Node identity: who a data directory is, as its file `node.json` says.
 *
 *   {"v":1,"id":"n1","incarnation":"<32 hex digits>"}
 *
 * The id is the configuration's, written down when the directory was new; the
 * incarnation is drawn then and never again. So a directory that is started
 * under another id is noticed by the node itself (node_identity_check), and a
 * copy of a directory by whoever meets the same incarnation twice.
 *
 * Pure functions; nothing is kept.
 */
#ifndef MILLRACE_SHARD_CORE_NODE_IDENTITY_H
#define MILLRACE_SHARD_CORE_NODE_IDENTITY_H

#include "shared/meta/catalog.h"

struct node_identity {
	char id[NODE_ID_BYTES_MAX + 1];
	struct incarnation incarnation;
};

/* Appends the file's content. */
void node_identity_append(struct buffer *content, const struct node_identity *identity);
/* ERROR_CONFIGURATION, FATAL for anything that is not such a content, or of another version. */
int node_identity_parse(struct slice content, struct node_identity *identity, struct error *error);
/* ERROR_CONFIGURATION, FATAL if the directory is not that of node `id`; names both and the remedy. */
int node_identity_check(const struct node_identity *identity, const char *id, struct error *error);

#endif
