/*
 * CLI, index: what `index rebuild`, `index stats`, `index snapshot` and
 * `index restore` share with the other words of `index`.
 */
#ifndef MILLRACE_CLI_CLI_INDEX_H
#define MILLRACE_CLI_CLI_INDEX_H

#include "shared/cli/cli.h"

struct index_options {
	const char *uid;
	const char *primary_key;
	const char *partitioner;
	const char *topic;
	const char *output;
	const char *directory; /* of a snapshot */
	long partitions;       /* 0: the configuration's */
	long dedup_window;     /* -1: the configuration's */
	bool accept_loss;
	bool accept_gap;
	bool cancel;
	bool verify;
	bool wait;
};

/* ---- cli_index.c ---- */
/* "/indexes/UID" and what follows, with a NUL. */
void cli_index_append_path(struct buffer *path, const char *uid, const char *rest);
/* Takes the answer 202, waits for its task if that is asked for; the exit code. */
int cli_index_conclude(struct cli *cli, const struct index_options *options, yyjson_doc *answer,
                       const char *done);

/* ---- cli_rebuild.c ---- */
int cli_index_rebuild(struct cli *cli, const struct index_options *options);

/* ---- cli_index_stats.c: what each node says of the index's replicas, and the sums ---- */
int cli_index_stats(struct cli *cli, const struct index_options *options);

/* ---- cli_snapshot.c: a copy of every shard in a directory, and whether it is still that ---- */
int cli_index_snapshot(struct cli *cli, const struct index_options *options);

/* ---- cli_restore.c: an index again, out of such a directory ---- */
int cli_index_restore(struct cli *cli, const struct index_options *options);

#endif
