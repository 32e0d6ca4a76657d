#include "query/core/task_history.h"

#include "query/core/settings_request.h"
#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* Times and lengths, then uid, primary key, code, message and details. */
struct packed_task {
	int64_t task;
	int64_t enqueued_at_ms;
	int64_t started_at_ms;
	int64_t finished_at_ms;
	uint8_t type; /* 0: only the final is known */
	bool has_final;
	bool succeeded;
	uint8_t uid_len;
	uint8_t key_len;
	uint8_t code_len;
	uint16_t message_len;
	uint32_t details_len;
	char texts[];
};

_Static_assert(INDEX_UID_BYTES_MAX <= UINT8_MAX, "a length of packed_task is too small");

struct task_history {
	struct packed_task **tasks; /* [TASK_HISTORY_MAX], by task modulo that */
	size_t count;
	size_t details_bytes;
	int64_t details_from; /* older tasks have none */
};

struct task_history *task_history_new(void)
{
	struct task_history *history = calloc(1, sizeof *history);

	if (history == NULL)
		return NULL;
	/* zeroed pages cost nothing until a task needs them */
	history->tasks = calloc(TASK_HISTORY_MAX, sizeof(struct packed_task *));
	if (history->tasks == NULL) {
		free(history);
		return NULL;
	}
	return history;
}

void task_history_free(struct task_history *history)
{
	if (history == NULL)
		return;
	for (size_t i = 0; i < TASK_HISTORY_MAX; i++)
		free(history->tasks[i]);
	free(history->tasks);
	free(history);
}

static struct packed_task **slot_for(const struct task_history *history, int64_t task)
{
	return &history->tasks[(uint64_t)task % TASK_HISTORY_MAX];
}

static const char *take_text(const char *at, size_t len, char *out, size_t size)
{
	ASSERT(len < size);
	memcpy(out, at, len);
	out[len] = '\0';
	return at + len;
}

static size_t packed_bytes(const struct packed_task *packed)
{
	return sizeof *packed + packed->uid_len + packed->key_len + packed->code_len + packed->message_len +
	       packed->details_len;
}

static void unpack(const struct packed_task *packed, struct task_entry *entry)
{
	const char *at = packed->texts;

	*entry = (struct task_entry){.task = packed->task,
	                             .type = packed->type,
	                             .enqueued_at_ms = packed->enqueued_at_ms,
	                             .has_final = packed->has_final};
	entry->final = (struct task_final){.task = packed->task,
	                                   .succeeded = packed->succeeded,
	                                   .started_at_ms = packed->started_at_ms,
	                                   .finished_at_ms = packed->finished_at_ms};
	at = take_text(at, packed->uid_len, entry->uid, sizeof entry->uid);
	at = take_text(at, packed->key_len, entry->primary_key, sizeof entry->primary_key);
	at = take_text(at, packed->code_len, entry->final.code, sizeof entry->final.code);
	at = take_text(at, packed->message_len, entry->final.message, sizeof entry->final.message);
	if (packed->details_len > 0)
		entry->details = slice_of(at, packed->details_len);
}

static struct packed_task *pack(const struct task_entry *entry, struct error *error)
{
	size_t uid_len = strlen(entry->uid);
	size_t key_len = strlen(entry->primary_key);
	size_t code_len = strlen(entry->final.code);
	size_t message_len = strlen(entry->final.message);
	size_t len =
		sizeof(struct packed_task) + uid_len + key_len + code_len + message_len + entry->details.len;
	struct packed_task *packed = malloc(len);
	char *at;

	if (packed == NULL) {
		(void)error_memory(error, len);
		return NULL;
	}
	*packed = (struct packed_task){
		.task = entry->task,
		.enqueued_at_ms = entry->enqueued_at_ms,
		.started_at_ms = entry->final.started_at_ms,
		.finished_at_ms = entry->final.finished_at_ms,
		.type = (uint8_t)entry->type,
		.has_final = entry->has_final,
		.succeeded = entry->final.succeeded,
		.uid_len = (uint8_t)uid_len,
		.key_len = (uint8_t)key_len,
		.code_len = (uint8_t)code_len,
		.message_len = (uint16_t)message_len,
		.details_len = (uint32_t)entry->details.len,
	};
	at = packed->texts;
	memcpy(at, entry->uid, uid_len);
	memcpy(at + uid_len, entry->primary_key, key_len);
	memcpy(at + uid_len + key_len, entry->final.code, code_len);
	memcpy(at + uid_len + key_len + code_len, entry->final.message, message_len);
	if (entry->details.len > 0)
		memcpy(at + uid_len + key_len + code_len + message_len, entry->details.ptr,
		       entry->details.len);
	return packed;
}

/* What the slot knows of this task, or nothing yet; false if a newer task has the slot. */
static bool known(const struct task_history *history, int64_t task, struct task_entry *entry)
{
	const struct packed_task *packed = *slot_for(history, task);

	if (packed != NULL && packed->task > task)
		return false;
	if (packed != NULL && packed->task == task)
		unpack(packed, entry);
	else
		*entry = (struct task_entry){.task = task};
	return true;
}

/* The oldest first. */
static void bound_details(struct task_history *history, int64_t newest)
{
	if (history->details_from <= newest - TASK_HISTORY_MAX)
		history->details_from = newest - TASK_HISTORY_MAX + 1;
	while (history->details_bytes > TASK_DETAILS_BYTES_MAX) {
		struct packed_task **slot = slot_for(history, history->details_from++);
		size_t len =
			*slot != NULL && (*slot)->task < history->details_from ? (*slot)->details_len : 0;
		struct packed_task *shorter;

		if (len == 0)
			continue;
		history->details_bytes -= len;
		(*slot)->details_len = 0;
		shorter = realloc(*slot, packed_bytes(*slot));
		*slot = shorter != NULL ? shorter : *slot;
	}
}

static int replace(struct task_history *history, const struct task_entry *entry, struct error *error)
{
	struct packed_task **slot = slot_for(history, entry->task);
	struct packed_task *packed = pack(entry, error);

	if (packed == NULL)
		return ERROR_MEMORY;
	if (*slot != NULL && (*slot)->type != 0)
		history->count--;
	if (packed->type != 0)
		history->count++;
	history->details_bytes += packed->details_len - (*slot != NULL ? (*slot)->details_len : 0);
	free(*slot);
	*slot = packed;
	bound_details(history, entry->task);
	return 0;
}

/* The details are appended, and stay the buffer's. */
static void fill(struct task_entry *entry, const struct task_request *request, struct buffer *details)
{
	entry->type = request->type;
	entry->enqueued_at_ms = request->enqueued_at_ms;
	(void)snprintf(entry->uid, sizeof entry->uid, "%s", request->uid);
	(void)snprintf(entry->primary_key, sizeof entry->primary_key, "%s",
	               request->type == TASK_TYPE_INDEX_CREATION ? request->primary_key : "");
	if (request->type == TASK_TYPE_SETTINGS_UPDATE)
		settings_details_append(request, details);
	entry->details = buffer_slice(details);
}

int task_history_request(struct task_history *history, int64_t offset, struct slice value,
                         struct error *error)
{
	struct task_request request;
	struct task_entry entry;
	struct buffer details;
	int result = task_request_parse(value, &request, error);

	if (result < 0)
		return error_prefix(error, "task %lld", (long long)offset);
	buffer_init(&details, TASK_RECORD_BYTES_MAX);
	if (known(history, offset, &entry)) {
		fill(&entry, &request, &details);
		/* one that comes after younger ones had to lose theirs has none */
		if (offset < history->details_from)
			entry.details = slice_of(NULL, 0);
		result = buffer_failed(&details) ? error_memory(error, TASK_RECORD_BYTES_MAX)
		                                 : replace(history, &entry, error);
	}
	buffer_deinit(&details);
	task_request_deinit(&request);
	return result;
}

int task_history_final(struct task_history *history, struct slice value, struct error *error)
{
	struct task_final final;
	struct task_entry entry;
	int result = task_final_parse(value, &final, error);

	if (result < 0)
		return result;
	if (final.task < 0)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "final of task %lld",
		                 (long long) final.task);
	if (!known(history, final.task, &entry) || entry.has_final)
		return 0;
	entry.has_final = true;
	entry.final = final;
	return replace(history, &entry, error);
}

bool task_history_find(const struct task_history *history, int64_t task, struct task_entry *entry)
{
	const struct packed_task *packed;

	if (task < 0)
		return false;
	packed = *slot_for(history, task);
	if (packed == NULL || packed->task != task || packed->type == 0)
		return false;
	unpack(packed, entry);
	return true;
}

static bool has_all_shards(const struct catalog *catalog, const struct index_record *index)
{
	for (int32_t p = 0; p < index->partitions; p++) {
		const struct shard_record *shard = catalog_shard(catalog, index->id, p);

		if (shard == NULL || shard->generation != index->generation)
			return false;
	}
	return true;
}

/* The generation that the task made, or what became of it. */
static bool is_rebuilt(const struct task_entry *entry, const struct catalog *catalog)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(catalog, &at)) != NULL)
		if (index->task >= entry->task && strcmp(index->uid, entry->uid) == 0)
			return true;
	return false;
}

/* Its settings are in force, or what came after them. */
static bool is_set(const struct task_entry *entry, const struct catalog *catalog,
                   const struct index_record *index)
{
	const struct settings_record *settings = index != NULL ? catalog_settings(catalog, index->id) : NULL;

	return index == NULL || index->task > entry->task ||
	       (settings != NULL && settings->version >= entry->task);
}

bool task_entry_is_reflected(const struct task_entry *entry, const struct catalog *catalog)
{
	const struct index_record *index = catalog_resolve(catalog, slice_string(entry->uid));

	if (!entry->has_final || !entry->final.succeeded)
		return true;
	switch (entry->type) {
	case TASK_TYPE_INDEX_CREATION:
		/* without the name: not read yet, or deleted again by a later task */
		return index != NULL ? has_all_shards(catalog, index)
		                     : catalog_names_task(catalog) > entry->task;
	case TASK_TYPE_INDEX_DELETION:
		return index == NULL || index->task > entry->task;
	case TASK_TYPE_INDEX_REBUILD:
		return is_rebuilt(entry, catalog);
	case TASK_TYPE_SETTINGS_UPDATE:
		return is_set(entry, catalog, index);
	case TASK_TYPE_RECORD_SKIP:
	case TASK_TYPE_SOURCE_ADDITION:
	case TASK_TYPE_SOURCE_UPDATE:
	case TASK_TYPE_SOURCE_DELETION:
	case TASK_TYPE_INDEX_RESTORE:
		/* no search shows them: what imports and feeds obeys the records once it has read them */
		return true;
	}
	return true;
}

size_t task_history_count(const struct task_history *history)
{
	return history->count;
}
