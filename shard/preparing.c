/* Settings that meta says: made ready for the search threads, and built by the replicas. */
#include "shard/core/attributes.h"
#include "shard/node_private.h"

#include "shared/runtime/logline.h"

#include <inttypes.h>

#define ARENA_BLOCK_BYTES 4096

/* What meta says of an index. */
struct preparation {
	const struct settings_record *in_force; /* NULL: nobody has set any */
	const struct settings_record *coming;   /* NULL: none is */
	struct search_settings *now;            /* ready; NULL: the defaults */
	struct search_settings *next;           /* NULL: none is coming, or it is not understood */
};

static int64_t version_of(const struct settings_record *record)
{
	return record != NULL ? record->version : SEARCH_SETTINGS_DEFAULT;
}

/* The same for every replica of an index: one of them speaks. */
static bool is_first_of_index(const struct node *node, const struct held *held)
{
	size_t at = 0;

	while (node->held[at]->replica == NULL || node->held[at]->index_id != held->index_id)
		at++;
	return node->held[at] == held;
}

/* The version of a record, from the shelf if it has been made ready before. */
static int settings_ready(const struct node *node, const struct settings_record *record,
                          struct search_settings **ready, struct error *error)
{
	if (record == NULL)
		return 0;
	*ready = settings_shelf_take(node->settings, record->index_id, record->version, NULL);
	if (*ready != NULL)
		return 0;
	return search_settings_new(record->version, record->settings, ready, error);
}

static void refusal_tell(const struct node *node, struct held *held, const struct settings_record *record,
                         const struct error *error)
{
	if (record->version > held->settings_refused && is_first_of_index(node, held))
		logline(LOG_LEVEL_ERROR, "settings_unreadable",
		        "index=%016" PRIx64 " version=%" PRId64 " error=\"%s\"", record->index_id,
		        record->version, error->text);
	held->settings_refused = record->version;
}

/* False where memory failed: again later. A version that is not understood is lacking: without the coming one all goes
 * on, without the one in force the one before stays. */
static bool preparation_make(const struct node *node, struct held *held, struct preparation *preparation)
{
	struct error error;
	int rc = settings_ready(node, preparation->in_force, &preparation->now, &error);

	if (rc != 0 && error.action == ERROR_ACTION_RETRY)
		return false;
	if (rc != 0) {
		refusal_tell(node, held, preparation->in_force, &error);
		held->prepared = true;
		return false;
	}
	rc = settings_ready(node, preparation->coming, &preparation->next, &error);
	if (rc != 0 && error.action == ERROR_ACTION_RETRY)
		return false;
	if (rc != 0)
		refusal_tell(node, held, preparation->coming, &error);
	return true;
}

struct wanted {
	struct slice paths[VALUE_PATHS_MAX];
	size_t len;
};

static void path_want(struct wanted *wanted, struct slice path)
{
	if (path.len == 0 || path.len > ATTRIBUTE_PATH_BYTES_MAX || wanted->len == VALUE_PATHS_MAX)
		return; /* answered from bodies */
	for (size_t i = 0; i < wanted->len; i++)
		if (slice_equal(wanted->paths[i], path))
			return;
	wanted->paths[wanted->len++] = path;
}

static int settings_want(const struct search_settings *ready, struct arena *arena, struct wanted *wanted,
                         struct error *error)
{
	struct settings_effects effects;

	if (ready == NULL)
		return 0;
	if (settings_effects(settings_default(), ready->settings, arena, &effects, error) != 0)
		return error->code;
	for (size_t i = 0; i < effects.attributes.len; i++)
		path_want(wanted, effects.attributes.list[i]);
	return 0;
}

static int cutting_tell(struct held *held, const struct preparation *preparation, struct error *error)
{
	const struct settings *in_force =
		preparation->now != NULL ? preparation->now->settings : settings_default();
	struct text_settings now = search_settings_cutting(in_force);
	struct text_settings coming;

	if (preparation->next == NULL)
		return replica_cutting_set(held->replica, &now, NULL, error);
	coming = search_settings_cutting(preparation->next->settings);
	return replica_cutting_set(held->replica, &now, &coming, error);
}

/* What is in force goes before what is coming, where there is no room for the values of both. */
static int replica_tell(struct held *held, const struct preparation *preparation, struct error *error)
{
	struct wanted wanted = {.len = 0};
	struct arena arena;
	int64_t version = version_of(preparation->next != NULL ? preparation->coming : preparation->in_force);
	int rc;

	arena_init(&arena, ARENA_BLOCK_BYTES);
	rc = settings_want(preparation->now, &arena, &wanted, error);
	if (rc == 0)
		rc = settings_want(preparation->next, &arena, &wanted, error);
	if (rc == 0)
		rc = replica_attributes_set(held->replica, (uint64_t)(version + 1), wanted.paths, wanted.len,
		                            error);
	if (rc == 0)
		rc = cutting_tell(held, preparation, error);
	if (rc == 0)
		held->settings = version;
	arena_deinit(&arena);
	return rc;
}

/* A failure is one of memory, or of a replica that stops anyway, or waits for what was dropped to go. */
static void prepare(struct node *node, struct held *held, struct preparation *preparation)
{
	struct error error;

	if (preparation_make(node, held, preparation) &&
	    settings_shelf_put(node->settings, held->index_id, preparation->now, preparation->next,
	                       node->now_ms)) {
		held->prepared = replica_tell(held, preparation, &error) == 0;
		held->uncompacted = true; /* what it waits for is done by compactions too */
		replicas_note(node, held);
	}
	search_settings_release(preparation->now);
	search_settings_release(preparation->next);
}

void preparing_decide(struct node *node, struct held *held)
{
	struct preparation preparation = {.in_force = catalog_settings(node->catalog, held->index_id),
	                                  .coming = catalog_settings_next(node->catalog, held->index_id)};
	int64_t in_force = version_of(preparation.in_force);
	int64_t coming = version_of(preparation.coming);

	if (held->replica == NULL ||
	    (held->prepared && held->settings_in_force == in_force && held->settings_coming == coming))
		return;
	held->settings_in_force = in_force;
	held->settings_coming = coming;
	held->prepared = false;
	prepare(node, held, &preparation);
}

void preparing_note(struct held *held, const struct replica_status *status)
{
	if (held->prepared && status->memory_lacking + status->disk_lacking == 0 &&
	    held->settings > held->settings_built)
		held->settings_built = held->settings;
}

void preparing_turn(struct node *node)
{
	settings_shelf_expire(node->settings, node->now_ms);
	for (size_t i = 0; node->caught_up && i < node->held_len; i++)
		if (!node->held[i]->prepared)
			preparing_decide(node, node->held[i]);
}

void preparing_forget(struct node *node, struct held *held)
{
	held->prepared = false;
	held->settings = SEARCH_SETTINGS_DEFAULT;
	held->settings_built = SEARCH_SETTINGS_DEFAULT;
	for (size_t i = 0; i < node->held_len; i++)
		if (node->held[i]->index_id == held->index_id && node->held[i]->replica != NULL)
			return;
	settings_shelf_remove(node->settings, held->index_id);
}
