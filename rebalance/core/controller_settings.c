/* Settings of an index: a change of those in force, recorded at once, or when every replica has built what it asks for. */
#include "rebalance/core/controller_private.h"

#include "shared/settings/settings.h"

#define ARENA_BLOCK_BYTES ((size_t)64 * 1024)

/* The index, and the generation that will have its name. */
struct generations {
	const struct index_record *list[2];
	size_t len;
};

/* None if there is no such index. */
static struct generations find_generations(const struct controller *controller, const char *uid)
{
	const struct index_record *index = catalog_resolve(controller->catalog, slice_string(uid));
	struct generations generations = {.len = 0};

	if (index != NULL)
		generations.list[generations.len++] = index;
	index = index != NULL ? controller_replacing(controller, index->id) : NULL;
	if (index != NULL)
		generations.list[generations.len++] = index;
	return generations;
}

/* ---- the change ---- */

/* NULL after controller_fail. */
static const struct settings *read_settings(struct controller *controller, struct slice text,
                                            struct arena *arena)
{
	struct settings *settings;
	struct error error;

	if (settings_parse(text, arena, &settings, &error) == 0)
		return settings;
	controller_fail(controller, "internal", "settings cannot be read: %.300s", error.text);
	return NULL;
}

static const struct settings *settings_in_force(struct controller *controller, uint64_t index_id,
                                                struct arena *arena)
{
	const struct settings_record *record = catalog_settings(controller->catalog, index_id);

	return record == NULL ? settings_default() : read_settings(controller, record->settings, arena);
}

/* Appends what the request makes of the settings; false after controller_fail. */
static bool change(struct controller *controller, const struct task_request *request,
                   const struct settings *now, struct buffer *text)
{
	struct settings_request wanted = {.reset = request->reset, .body = request->body};
	struct settings_refusal refusal;
	int rc;

	if (request->setting[0] != '\0') {
		wanted.route = settings_route_find(slice_string(request->setting));
		if (wanted.route == NULL) {
			controller_fail(controller, "bad_request", "There is no setting `%s`.",
			                request->setting);
			return false;
		}
	}
	rc = settings_change(now, &wanted, text, &refusal);
	if (rc == ERROR_MEMORY)
		controller_fail(controller, "internal", "out of memory");
	else if (rc != 0)
		controller_fail(controller, refusal.code, "%s", refusal.text);
	return rc == 0;
}

/* Whether replicas have to build something for the change; false after controller_fail. */
static bool compare(struct controller *controller, const struct settings *now, struct slice changed,
                    struct arena *arena, bool *builds)
{
	const struct settings *after = read_settings(controller, changed, arena);
	struct settings_effects effects;
	struct error error;

	if (after == NULL)
		return false;
	if (settings_effects(now, after, arena, &effects, &error) != 0) {
		controller_fail(controller, "internal", "%.300s", error.text);
		return false;
	}
	*builds = effects.values || effects.words;
	return true;
}

static void write_settings(struct controller *controller, const struct generations *generations,
                           const struct settings_record *made, const char *stage)
{
	struct settings_record record = *made;

	for (size_t i = 0; i < generations->len; i++) {
		char id[17];

		record.index_id = generations->list[i]->id;
		index_id_print(record.index_id, id);
		catalog_write_settings(&controller->values, &record);
		controller_write(controller, CONTROLLER_TOPIC_META, record.task, "%s/%s", stage, id);
	}
}

/* Those in force are the same in all generations: so is what is made of them. */
static bool begin(struct controller *controller, const struct pending_task *pending,
                  const struct generations *generations)
{
	struct settings_record record = {.task = pending->task, .version = pending->task};
	const struct settings *now;
	struct buffer text;
	struct arena arena;
	bool builds = false;
	bool made;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	buffer_init(&text, SETTINGS_RECORD_BYTES_MAX);
	now = settings_in_force(controller, generations->list[0]->id, &arena);
	made = now != NULL && change(controller, &pending->request, now, &text) &&
	       compare(controller, now, buffer_slice(&text), &arena, &builds);
	if (made) {
		record.settings = buffer_slice(&text);
		write_settings(controller, generations, &record, builds ? "settings-next" : "settings");
	}
	buffer_deinit(&text);
	arena_deinit(&arena);
	return made;
}

bool controller_update_settings(struct controller *controller, const struct pending_task *pending)
{
	struct generations generations = find_generations(controller, pending->request.uid);
	const struct settings_record *now, *next;

	if (generations.len == 0) {
		controller_fail(controller, "index_not_found", "Index `%s` not found.", pending->request.uid);
		return false;
	}
	now = catalog_settings(controller->catalog, generations.list[0]->id);
	next = catalog_settings_next(controller->catalog, generations.list[0]->id);
	/* the record says that this very request has made them */
	if (now != NULL && now->version >= pending->task)
		return false;
	if (next == NULL || next->version != pending->task)
		return begin(controller, pending, &generations);
	write_settings(controller, &generations, next, "settings");
	return true;
}

/* ---- until they are built ---- */

static int64_t built(const struct replica_report *told)
{
	return told->settings;
}

static bool all_have_built(const struct controller *controller, const struct index_record *index,
                           int64_t version)
{
	for (int32_t p = 0; p < index->partitions; p++)
		if (!controller_have_told(controller, index, p, built, version))
			return false;
	return true;
}

/* Deletions, skips and restores go on: what is built may be waiting for them. */
static bool heeds_settings(const struct task_request *request)
{
	return request->type == TASK_TYPE_SETTINGS_UPDATE ||
	       (request->type == TASK_TYPE_INDEX_REBUILD && !request->cancel);
}

bool controller_holds(const struct controller *controller, const struct pending_task *pending)
{
	const struct settings_record *next;
	struct generations generations;

	if (!pending->readable || !heeds_settings(&pending->request))
		return false;
	generations = find_generations(controller, pending->request.uid);
	next = generations.len > 0 ? catalog_settings_next(controller->catalog, generations.list[0]->id)
	                           : NULL;
	if (next == NULL)
		return false;
	for (size_t i = 0; i < generations.len; i++)
		if (!all_have_built(controller, generations.list[i], next->version))
			return true;
	return false;
}

/* ---- another generation ---- */

void controller_inherit_settings(struct controller *controller, const struct index_record *index)
{
	const struct settings_record *old = catalog_settings(controller->catalog, index->replaces);
	struct generations made = {.list = {index}, .len = 1};
	struct settings_record record;

	if (old == NULL)
		return;
	record = *old;
	record.task = index->task;
	write_settings(controller, &made, &record, "settings");
}
