/*
 * Search facets: how often each value of some fields occurs among the
 * documents that a search counts, over several snapshots of one index; and the
 * search in the values of one field.
 *
 * Fields. A pattern names the fields that exist in any live document, are
 * filterable, and are the pattern itself, nested in it where it is filterable
 * itself, or what its `*` stands for. A field exists where a path of the
 * snapshots' texts or attributes, or what such a path is nested in, reaches
 * something (EXISTS of values.h); so of fields that hold nothing but null, ""
 * or empty arrays everywhere those are found that settings name.
 *
 * Values are numbers, and strings that are equal when folded; each shows the
 * bytewise smallest spelling that any live document of the snapshots has, not
 * only those that are counted. In JSON, by rising path:
 *
 *   {"path":{"values":[{"key":"<folded string, or the number as text>","number":true,"value":"<spelling>",
 *                       "count":N}…],"min":x,"max":y}}
 *
 * `number` only of numbers; min and max only if there are any. Values stand in
 * the order that the settings ask for: by key, bytewise, and then at most
 * maxValuesPerFacet; or the most frequent first and all of them, of equally
 * frequent ones strings first, each by falling value. A field that exists and
 * whose values nothing counted has shows {"values":[]}.
 *
 * Cost: as snapshot_facets of each field and snapshot. Memory: all distinct
 * values of one field. Failure: as in snapshot.h; then `failed` is the
 * snapshot. ERROR_LIMIT (REJECT): more JSON than the buffer takes.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_FACETS_H
#define MILLRACE_SHARD_CORE_SEARCH_FACETS_H

#include "shard/core/postings.h"
#include "shard/core/snapshot.h"
#include "shard/core/watch.h"
#include "shared/settings/settings.h"

struct facets_scope {
	struct words *words; /* the calling thread's */
	const struct settings *settings;
	struct snapshot *const *snapshots;
	const struct postings *counted; /* by snapshot: live documents */
	size_t len;                     /* of snapshots */
	struct watch *watch;            /* NULL: it takes as long as it does */
	size_t failed;                  /* out: the snapshot that a failure is about */
	uint64_t bodies;                /* counts up: documents that were read, because no keys are kept */
};

/* Appends the object above. */
int search_facets(struct facets_scope *scope, const struct settings_texts *patterns, struct buffer *json,
                  struct error *error);

struct facet_search {
	struct slice path;
	bool has_query;
	struct slice query; /* UTF-8 */
};

/* Appends the string values of the path that begin like the query, folded as words are (text.h), give or take a typo
 * from 5 bytes of it on, two from 9 on, none above TYPO_BYTES_MAX; without a query all of them:
 *
 *   [{"key":"<what was compared>","form":"<folded string>","value":"<spelling>","count":N}…]
 *
 * `key` is `form` folded as words are; without a query it is `form`: the same of any snapshots. They stand by rising key,
 * at most maxValuesPerFacet; or by falling count, then key, all of them. */
int search_in_facet(struct facets_scope *scope, const struct facet_search *search, struct buffer *json,
                    struct error *error);

/* Appends the spellings of a path's values that are told folded, each as above; null where no live document has it:
 *
 *   ["<spelling>",null,…]
 *
 * `counted` of the scope is not looked at. */
int search_spell(struct facets_scope *scope, struct slice path, const struct settings_texts *folded,
                 struct buffer *json, struct error *error);

#endif
