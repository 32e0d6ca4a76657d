/*
 * View: what this gateway knows of meta, topology and tasks.
 *
 * One reader thread follows `meta`, `topology`, `tasks` and `task-states` from
 * their beginnings and folds them. The catalog is shared as immutable,
 * reference-counted snapshots: a request takes the newest one and keeps it
 * until its answer is out, whatever is read meanwhile. A new snapshot is
 * published when the reader has nothing more to read at the moment, or after
 * SNAPSHOT_RECORDS_MAX records. Tasks stay in one history behind a lock.
 *
 * Not ready until every topic was read to the end it had when the reader
 * opened; before that nothing is published. Once ready, always ready, also
 * while Kafka is away: searches go on with what is known. A reader that can
 * never go on (a topic was deleted or truncated) stops; view_trouble says why.
 *
 * Thread-safe. Bounds: TASK_HISTORY_MAX tasks; the catalog's own maxima.
 */
#ifndef MILLRACE_QUERY_VIEW_H
#define MILLRACE_QUERY_VIEW_H

#include "query/core/task_history.h"
#include "query/view_settings.h"
#include "shared/config/config.h"

struct view;

struct snapshot {
	const struct catalog *catalog; /* immutable; valid until snapshot_release, as are the settings */
	const struct view_settings *settings;
};

/* Starts the reader, which waits for Kafka by itself. `config` must outlive the view. */
int view_open(const struct config *config, struct view **view, struct error *error);
/* Ends the reader; snapshots still taken stay valid. False: the reader still waits for its topics and
 * cannot be ended; it keeps the view and the configuration, and the process must exit at once. */
bool view_close(struct view *view);

bool view_is_ready(struct view *view);
/* Why the reader has stopped; false if it has not. */
bool view_trouble(struct view *view, struct error *error);
/* NULL before the view is ready. */
const struct snapshot *view_take(struct view *view);
void snapshot_release(const struct snapshot *snapshot);
/* A request that this gateway itself has appended, before the reader comes to it. */
void view_note_request(struct view *view, int64_t task, struct slice value);
/* A success shows as enqueued until the newest snapshot has what it did. Its details are appended, and valid as long
 * as that buffer. False if the task is unknown. */
bool view_task(struct view *view, int64_t task, struct task_entry *entry, struct buffer *details);

#endif
