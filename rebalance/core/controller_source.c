/* Sources of an index: what a request asks for, checked and in canonical form, and its place in the index's record. */
#include "rebalance/core/controller_private.h"

#include "shared/mapping/mapping.h"
#include "shared/meta/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAPPING_BLOCK_BYTES (64U * 1024)

/* Its own dead letters would come back to it for ever. */
static bool reads_its_letters(const struct controller *controller, const struct source_record *source)
{
	char own[TOPIC_BYTES_MAX + sizeof ".dead-letter"];

	if (source->dead_letter_topic[0] != '\0')
		return strcmp(source->topic, source->dead_letter_topic) == 0;
	(void)snprintf(own, sizeof own, "%s.dead-letter", controller->cluster);
	return strcmp(source->topic, own) == 0;
}

/* Why this source cannot be one of this index, although its rules can be read. */
static const char *misfit(const struct index_record *index, const struct source_record *source,
                          struct slice canonical)
{
	struct slice primary_key = {NULL, 0};
	struct error error;
	yyjson_doc *doc;
	bool same;

	if (!index->writable)
		return "nothing can be imported into an index whose log is not Millrace's own";
	if (strcmp(source->topic, index->topic) == 0)
		return "its topic is the index's own log";
	if (json_parse(canonical, JSON_DEPTH_MAX, &doc, &error) != 0)
		return "its rules cannot be read again";
	same = json_get_string(yyjson_doc_get_root(doc), "primary_key", &primary_key) &&
	       slice_equal(primary_key, slice_string(index->primary_key));
	yyjson_doc_free(doc);
	return same ? NULL : "its rules name another primary key than the index has";
}

/* Appends `asked`, in a life that no source had and with canonical rules, to the sources; false after controller_fail. */
static bool add_source(struct controller *controller, struct index_record *index,
                       const struct source_record *asked, struct arena *arena)
{
	struct source_record source = *asked;
	size_t bytes = 0;
	struct mapping *mapping;
	struct source_record *grown;
	struct error error;
	const char *wrong;

	if (mapping_parse(asked->rules, &index->rules, arena, &mapping, &error) != 0) {
		controller_fail(controller, "invalid_source", "rules of source `%s`: %.300s", asked->name,
		                error.text);
		return false;
	}
	source.rules = mapping_canonical(mapping);
	/* what a removed source has imported counts: a life above its lives begins anew */
	source.life = index->lives_ended + 1;
	wrong = source.life == 0 ? "the index's sources have had all their lives"
	                         : misfit(index, &source, source.rules);
	if (reads_its_letters(controller, &source))
		wrong = "its topic is where its own dead letters go";
	for (size_t i = 0; i < index->sources_len; i++) {
		bytes += index->sources[i].rules.len;
		/* origins name topic and life: two sources of one topic would take each other's for their own */
		if (source.topic[0] != '\0' && strcmp(source.topic, index->sources[i].topic) == 0)
			wrong = "another source of the index imports the same topic";
	}
	if (source.rules.len > SOURCE_RULES_BYTES_MAX || index->sources_len == SOURCES_MAX ||
	    bytes + source.rules.len > SOURCES_RULES_BYTES_MAX) {
		controller_fail(
			controller, "too_many_sources",
			"an index has at most %d sources, with %u bytes of rules in each and %u in all",
			SOURCES_MAX, SOURCE_RULES_BYTES_MAX, SOURCES_RULES_BYTES_MAX);
		return false;
	}
	if (wrong != NULL) {
		controller_fail(controller, "invalid_source", "source `%s`: %s", asked->name, wrong);
		return false;
	}
	grown = sources_copy(index->sources, index->sources_len, &source);
	if (grown == NULL) {
		controller_fail(controller, "internal", "out of memory");
		return false;
	}
	free(index->sources);
	index->sources = grown;
	index->sources_len++;
	return true;
}

bool controller_add_sources(struct controller *controller, struct index_record *index,
                            const struct task_request *request)
{
	struct arena arena;
	bool added = true;

	arena_init(&arena, MAPPING_BLOCK_BYTES);
	for (size_t i = 0; added && i < request->sources_len; i++)
		added = add_source(controller, index, &request->sources[i], &arena);
	arena_deinit(&arena);
	return added;
}

/* The index that the request names; NULL after controller_fail. */
static const struct index_record *named(struct controller *controller, const struct pending_task *pending)
{
	const struct index_record *index =
		catalog_resolve(controller->catalog, slice_string(pending->request.uid));

	if (index == NULL)
		controller_fail(controller, "index_not_found", "Index `%s` not found.", pending->request.uid);
	return index;
}

/* What is asked for is there already, word for word; else controller_fail. */
static void compare(struct controller *controller, const struct index_record *index,
                    const struct source_record *known, const struct task_request *request)
{
	struct index_record bare = *index;

	bare.sources = NULL;
	bare.sources_len = 0;
	if (controller_add_sources(controller, &bare, request) && !source_equal(known, bare.sources))
		controller_fail(controller, "source_exists",
		                "Index `%s` has a source `%s` already, with other rules. Rules belong to a "
		                "generation of the index: `millrace index rebuild %s` makes a new one.",
		                index->uid, known->name, index->uid);
	free(bare.sources);
}

/* Writes the index with the request's source; false after controller_fail. */
static bool add_to(struct controller *controller, const struct index_record *index,
                   const struct pending_task *pending, int64_t now_ms)
{
	const struct task_request *request = &pending->request;
	struct index_record changed = *index;
	bool added;

	changed.sources = sources_copy(index->sources, index->sources_len, NULL);
	changed.sources_len = changed.sources != NULL ? index->sources_len : 0;
	if (changed.sources_len < index->sources_len) {
		controller_fail(controller, "internal", "out of memory");
		return false;
	}
	added = controller_add_sources(controller, &changed, request);
	changed.task = pending->task;
	changed.updated_at_ms = now_ms;
	if (added)
		controller_write_index(controller, &changed, pending->task);
	free(changed.sources);
	return added;
}

bool controller_add_source(struct controller *controller, const struct pending_task *pending, int64_t now_ms)
{
	const struct index_record *index = named(controller, pending);
	const struct source_record *known;

	if (index == NULL)
		return false;
	known = source_find(index->sources, index->sources_len, pending->request.sources->name);
	if (known != NULL)
		compare(controller, index, known, &pending->request);
	else if (controller_replacing(controller, index->id) != NULL)
		controller_fail(controller, "index_is_rebuilding",
		                "Index `%s` is being rebuilt: add sources before or afterwards.", index->uid);
	else
		return add_to(controller, index, pending, now_ms);
	return false;
}

/* Changes the source as the request says; true if that is something else. */
static bool update(struct controller *controller, struct source_record *source,
                   const struct task_request *request)
{
	bool changes = request->has_start || (request->has_paused && request->paused != source->paused);

	if (request->has_start && source->life == UINT32_MAX) {
		controller_fail(controller, "invalid_source", "source `%s` has had all its lives",
		                source->name);
		return false;
	}
	if (request->has_paused)
		source->paused = request->paused;
	if (request->has_start) {
		source->start_ms = request->start_ms;
		source->life++;
	}
	return changes;
}

/* Writes the index with its source changed; false if nothing is, or after controller_fail. */
static bool update_in(struct controller *controller, const struct index_record *index,
                      const struct pending_task *pending, int64_t now_ms)
{
	const struct source_record *known =
		source_find(index->sources, index->sources_len, pending->request.source);
	struct index_record changed = *index;
	bool changes;

	if (known == NULL)
		return false;
	changed.sources = sources_copy(index->sources, index->sources_len, NULL);
	if (changed.sources == NULL) {
		controller_fail(controller, "internal", "out of memory");
		return false;
	}
	changed.task = pending->task;
	changed.updated_at_ms = now_ms;
	changes = update(controller, &changed.sources[known - index->sources], &pending->request);
	if (changes)
		controller_write_index(controller, &changed, pending->task);
	free(changed.sources);
	return changes;
}

bool controller_update_source(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms)
{
	const struct index_record *index = named(controller, pending);
	const struct index_record *next;

	/* a new life must begin once: the record says that this very request has begun it */
	if (index == NULL || index->task == pending->task)
		return false;
	if (source_find(index->sources, index->sources_len, pending->request.source) == NULL) {
		controller_fail(controller, "source_not_found", "Index `%s` has no source `%s`.", index->uid,
		                pending->request.source);
		return false;
	}
	if (!update_in(controller, index, pending, now_ms))
		return false;
	/* the generation that will take its place waits for its own source of that name */
	next = controller_replacing(controller, index->id);
	if (next != NULL)
		(void)update_in(controller, next, pending, now_ms);
	return true;
}

/* Writes the index without this source; false when out of memory. */
static bool remove_from(struct controller *controller, const struct index_record *index,
                        const struct source_record *known, const struct pending_task *pending, int64_t now_ms)
{
	struct index_record changed = *index;
	size_t at = (size_t)(known - index->sources);

	changed.sources = sources_copy(index->sources, index->sources_len, NULL);
	if (changed.sources == NULL) {
		controller_fail(controller, "internal", "out of memory");
		return false;
	}
	changed.sources_len--;
	memmove(&changed.sources[at], &changed.sources[at + 1],
	        (changed.sources_len - at) * sizeof *changed.sources);
	if (changed.lives_ended < known->life)
		changed.lives_ended = known->life;
	changed.task = pending->task;
	changed.updated_at_ms = now_ms;
	controller_write_index(controller, &changed, pending->task);
	free(changed.sources);
	return true;
}

bool controller_remove_source(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms)
{
	const struct index_record *index = named(controller, pending);
	const struct source_record *known;

	/* the record says that this very request has removed it */
	if (index == NULL || index->task == pending->task)
		return false;
	known = source_find(index->sources, index->sources_len, pending->request.source);
	if (known == NULL)
		controller_fail(controller, "source_not_found", "Index `%s` has no source `%s`.", index->uid,
		                pending->request.source);
	else if (controller_replacing(controller, index->id) != NULL)
		controller_fail(controller, "index_is_rebuilding",
		                "Index `%s` is being rebuilt: remove sources before or afterwards.",
		                index->uid);
	else
		return remove_from(controller, index, known, pending, now_ms);
	return false;
}
