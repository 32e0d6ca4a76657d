#include "query/view.h"

#include "shared/base/assert.h"
#include "shared/log/log.h"
#include "shared/runtime/logline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SNAPSHOT_RECORDS_MAX 1000
/* How long a stop may take to be seen. */
#define READ_MS 200

enum view_topic {
	VIEW_TOPIC_META,
	VIEW_TOPIC_TOPOLOGY,
	VIEW_TOPIC_TASKS,
	VIEW_TOPIC_TASK_STATES,
	VIEW_TOPICS
};

static const char *const suffixes[VIEW_TOPICS] = {
	[VIEW_TOPIC_META] = "meta",
	[VIEW_TOPIC_TOPOLOGY] = "topology",
	[VIEW_TOPIC_TASKS] = "tasks",
	[VIEW_TOPIC_TASK_STATES] = "task-states",
};

struct counted_snapshot {
	struct snapshot open; /* first: what users hold is this */
	atomic_int holders;
	struct catalog *catalog;
	struct view_settings *settings;
};

struct view {
	const struct config *config;
	pthread_t thread;
	atomic_bool stopping;
	atomic_bool opened; /* the reader is past waiting for its topics */
	/* the reader thread's own */
	struct log_reader *reader;
	struct catalog *catalog;
	size_t unpublished; /* catalog records since the last snapshot */
	bool ended;         /* every topic was read to its end */
	/* guarded by lock */
	pthread_mutex_t lock;
	struct counted_snapshot *newest;
	struct task_history *tasks;
	bool stopped;
	struct error trouble;
};

/* ---- snapshots ---- */

static struct counted_snapshot *counted(const struct snapshot *snapshot)
{
	return (struct counted_snapshot *)(uintptr_t)snapshot;
}

void snapshot_release(const struct snapshot *snapshot)
{
	struct counted_snapshot *held;

	if (snapshot == NULL)
		return;
	held = counted(snapshot);
	if (atomic_fetch_sub(&held->holders, 1) > 1)
		return;
	view_settings_free(held->settings);
	catalog_free(held->catalog);
	free(held);
}

/* NULL when out of memory. `before` is the one that this thread published last. */
static struct counted_snapshot *snapshot_new(const struct catalog *catalog,
                                             const struct counted_snapshot *before)
{
	struct counted_snapshot *fresh = calloc(1, sizeof *fresh);

	if (fresh == NULL)
		return NULL;
	atomic_init(&fresh->holders, 1);
	fresh->catalog = catalog_copy(catalog);
	if (fresh->catalog != NULL)
		fresh->settings = view_settings_new(fresh->catalog, before != NULL ? before->settings : NULL);
	fresh->open = (struct snapshot){fresh->catalog, fresh->settings};
	if (fresh->settings != NULL)
		return fresh;
	snapshot_release(&fresh->open);
	return NULL;
}

/* False when out of memory: the last snapshot stays. */
static bool publish(struct view *view)
{
	/* only this thread replaces it */
	struct counted_snapshot *old = view->newest;
	struct counted_snapshot *fresh = snapshot_new(view->catalog, old);

	if (fresh == NULL)
		return false;
	(void)pthread_mutex_lock(&view->lock);
	view->newest = fresh;
	(void)pthread_mutex_unlock(&view->lock);
	snapshot_release(old != NULL ? &old->open : NULL);
	view->unpublished = 0;
	return true;
}

const struct snapshot *view_take(struct view *view)
{
	const struct snapshot *snapshot = NULL;

	(void)pthread_mutex_lock(&view->lock);
	if (view->newest != NULL) {
		atomic_fetch_add(&view->newest->holders, 1);
		snapshot = &view->newest->open;
	}
	(void)pthread_mutex_unlock(&view->lock);
	return snapshot;
}

bool view_is_ready(struct view *view)
{
	bool ready;

	(void)pthread_mutex_lock(&view->lock);
	ready = view->newest != NULL;
	(void)pthread_mutex_unlock(&view->lock);
	return ready;
}

bool view_trouble(struct view *view, struct error *error)
{
	bool stopped;

	(void)pthread_mutex_lock(&view->lock);
	stopped = view->stopped;
	if (stopped)
		*error = view->trouble;
	(void)pthread_mutex_unlock(&view->lock);
	return stopped;
}

bool view_task(struct view *view, int64_t task, struct task_entry *entry, struct buffer *details)
{
	bool found;

	(void)pthread_mutex_lock(&view->lock);
	found = task_history_find(view->tasks, task, entry);
	if (found && (view->newest == NULL || !task_entry_is_reflected(entry, view->newest->catalog)))
		entry->has_final = false;
	if (found) {
		buffer_append_slice(details, entry->details);
		entry->details = buffer_slice(details);
	}
	(void)pthread_mutex_unlock(&view->lock);
	return found;
}

/* ---- reader ---- */

static int fold_catalog(struct view *view, enum catalog_topic topic, const struct record *record,
                        struct error *error)
{
	view->unpublished++;
	return catalog_apply(view->catalog, topic, record->offset, record->key, record->value, error);
}

static int fold_task(struct view *view, bool request, const struct record *record, struct error *error)
{
	int result;

	(void)pthread_mutex_lock(&view->lock);
	result = request ? task_history_request(view->tasks, record->offset, record->value, error)
	                 : task_history_final(view->tasks, record->value, error);
	(void)pthread_mutex_unlock(&view->lock);
	return result;
}

void view_note_request(struct view *view, int64_t task, struct slice value)
{
	struct record record = {.offset = task, .value = value};
	struct error error;

	/* failing here only means that it is known a little later */
	(void)fold_task(view, true, &record, &error);
}

static void fold(struct view *view, size_t topic, const struct record *record)
{
	struct error error;
	int result = 0;

	switch ((enum view_topic)topic) {
	case VIEW_TOPIC_META:
		result = fold_catalog(view, CATALOG_TOPIC_META, record, &error);
		break;
	case VIEW_TOPIC_TOPOLOGY:
		result = fold_catalog(view, CATALOG_TOPIC_TOPOLOGY, record, &error);
		break;
	case VIEW_TOPIC_TASKS:
		result = fold_task(view, true, record, &error);
		break;
	case VIEW_TOPIC_TASK_STATES:
		result = fold_task(view, false, record, &error);
		break;
	case VIEW_TOPICS:
		ASSERT(false);
	}
	if (result < 0)
		logline(LOG_LEVEL_WARN, "record_unreadable", "topic=%s offset=%lld error=\"%s\"",
		        suffixes[topic], (long long)record->offset, error.text);
}

/* What is unpublished goes out once nothing more is there, so that a load of records costs few copies. */
static void publish_where_due(struct view *view, enum log_event event)
{
	bool due = view->unpublished >= SNAPSHOT_RECORDS_MAX ||
	           (view->unpublished > 0 && event == LOG_EVENT_NONE);

	if (event == LOG_EVENT_END) {
		view->ended = true;
		due = true;
		logline(LOG_LEVEL_INFO, "view_ready", "tasks=%zu", task_history_count(view->tasks));
	}
	if (due && view->ended && !publish(view))
		logline(LOG_LEVEL_ERROR, "snapshot_failed", "error=\"%s\"", "out of memory");
}

static int read_on(struct view *view, struct error *error)
{
	while (!atomic_load(&view->stopping)) {
		enum log_event event = LOG_EVENT_NONE;
		struct record record;
		size_t topic = 0;
		int wait_ms = view->unpublished > 0 && view->ended ? 0 : READ_MS;
		int result = log_reader_next(view->reader, wait_ms, &event, &topic, &record, error);

		if (result < 0)
			return result;
		if (event == LOG_EVENT_RECORD)
			fold(view, topic, &record);
		publish_where_due(view, event);
	}
	return 0;
}

static void *run(void *context)
{
	struct view *view = context;
	struct error error;
	int result = log_reader_open(view->config, suffixes, VIEW_TOPICS, &view->reader, &error);

	atomic_store(&view->opened, true);
	if (result == 0) {
		result = read_on(view, &error);
		log_reader_close(view->reader);
	}
	if (result < 0) {
		logline(LOG_LEVEL_ERROR, "view_stopped", "error=\"%s\"", error.text);
		(void)pthread_mutex_lock(&view->lock);
		view->stopped = true;
		view->trouble = error;
		(void)pthread_mutex_unlock(&view->lock);
	}
	return NULL;
}

int view_open(const struct config *config, struct view **view, struct error *error)
{
	struct view *made = calloc(1, sizeof *made);

	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->config = config;
	made->catalog = catalog_new();
	made->tasks = task_history_new();
	(void)pthread_mutex_init(&made->lock, NULL);
	if (made->catalog == NULL || made->tasks == NULL ||
	    pthread_create(&made->thread, NULL, run, made) != 0) {
		catalog_free(made->catalog);
		task_history_free(made->tasks);
		(void)pthread_mutex_destroy(&made->lock);
		free(made);
		return error_memory(error, sizeof *made);
	}
	*view = made;
	return 0;
}

bool view_close(struct view *view)
{
	if (view == NULL)
		return true;
	atomic_store(&view->stopping, true);
	if (!atomic_load(&view->opened)) {
		(void)pthread_detach(view->thread);
		return false;
	}
	(void)pthread_join(view->thread, NULL);
	if (view->newest != NULL)
		snapshot_release(&view->newest->open);
	catalog_free(view->catalog);
	task_history_free(view->tasks);
	(void)pthread_mutex_destroy(&view->lock);
	free(view);
	return true;
}
