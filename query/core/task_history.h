/*
 * Task history: the newest TASK_HISTORY_MAX tasks, packed.
 *
 * Folds the records of `tasks` and `task-states` in whatever order the two
 * topics are read: a final may be known before its request. The first final
 * of a task wins. A task is one allocation of its texts and times (about 120
 * bytes, and the settings that it sent); a newer task takes the place of the one TASK_HISTORY_MAX before it,
 * never the other way round, and the oldest lose their details where all take
 * more than TASK_DETAILS_BYTES_MAX. A record that cannot be read is an error to the
 * caller, who logs it; nothing changes.
 *
 * Pure core. Owner: whoever holds the lock that its caller puts around it.
 */
#ifndef MILLRACE_QUERY_CORE_TASK_HISTORY_H
#define MILLRACE_QUERY_CORE_TASK_HISTORY_H

#include "shared/meta/task.h"

#define TASK_HISTORY_MAX 1000000
#define TASK_DETAILS_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of all tasks */

struct task_history;

/* NULL when out of memory. */
struct task_history *task_history_new(void);
void task_history_free(struct task_history *history);
/* One record of `tasks` at `offset`. REJECT: unreadable; RETRY: out of memory. */
int task_history_request(struct task_history *history, int64_t offset, struct slice value,
                         struct error *error);
/* One final of `task-states`; REJECT for any other kind. */
int task_history_final(struct task_history *history, struct slice value, struct error *error);

/* What is known of a task; strings are copied out, but for the details. */
struct task_entry {
	int64_t task;
	enum task_type type;
	char uid[INDEX_UID_BYTES_MAX + 1];
	char primary_key[INDEX_UID_BYTES_MAX + 1];
	int64_t enqueued_at_ms;
	bool has_final;
	struct task_final final;
	struct slice details; /* settings: what was sent, a JSON object; NULL: not known any more, or none */
};

/* False if the task's request is not known (any more). The details are valid until the history changes. */
bool task_history_find(const struct task_history *history, int64_t task, struct task_entry *entry);
/* True if the catalog shows what the task did, or what later tasks made of it. Finals and the records they are
 * about come through different topics: a success is told only once a read would see it. */
bool task_entry_is_reflected(const struct task_entry *entry, const struct catalog *catalog);
/* Tasks kept whose request is known. */
size_t task_history_count(const struct task_history *history);

#endif
