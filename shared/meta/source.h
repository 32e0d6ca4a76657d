/*
 * Source: the sources of an index as JSON, in its record and in requests.
 *
 * [{"name","topic"|"pattern","life","paused","start_ms","dead_letter_topic","rules":{…}}]
 *
 * `name` may be absent with a topic (it is the topic then), `life` (1),
 * `paused` (false), `start_ms` (0), `dead_letter_topic` (none) and `rules`
 * ({}) too; sources_append writes all but an empty dead_letter_topic. Numbers
 * of the rules stay as written: canonical rules come back byte for byte. What
 * rules mean is not checked here (mapping.h).
 *
 * A list of sources is one allocation, rules included: free() it. Pure core,
 * no state. Bounds: SOURCES_MAX, SOURCE_RULES_BYTES_MAX,
 * SOURCES_RULES_BYTES_MAX.
 */
#ifndef MILLRACE_META_SOURCE_H
#define MILLRACE_META_SOURCE_H

#include "shared/meta/catalog.h"

/* Reads the member of the record `record`: an array, or an object for one source. *sources is NULL if it is absent or
 * empty. ERROR_FORMAT or ERROR_LIMIT, REJECT: the text names the source and the member. */
int sources_read(struct slice record, const char *member, struct source_record **sources, size_t *len,
                 struct error *error);
/* As sources_read, of a value that json_parse gave; `object` is an array, an object or NULL. */
int sources_take(yyjson_val *object, struct source_record **sources, size_t *len, struct error *error);
/* One source as an object; all of them as an array. */
void source_append(struct buffer *buffer, const struct source_record *source);
void sources_append(struct buffer *buffer, const struct source_record *sources, size_t len);
/* A copy of `len` sources with one more behind them, unless `more` is NULL; NULL when out of memory, or for none. */
struct source_record *sources_copy(const struct source_record *sources, size_t len,
                                   const struct source_record *more);
/* By name; NULL if there is none. */
const struct source_record *source_find(const struct source_record *sources, size_t len, const char *name);
/* True if both import the same records by the same rules; life, pause and start may differ. */
bool source_equal(const struct source_record *a, const struct source_record *b);

/* The group of its import, without the cluster's name: "import.<index id>.<name>.<life>", where a name too long for
 * that is its hash. */
#define SOURCE_GROUP_BYTES 250
void source_group_print(uint64_t index_id, const struct source_record *source,
                        char group[SOURCE_GROUP_BYTES]);

/* What Kafka allows as a topic's name. */
bool topic_name_is_valid(struct slice name);

#endif
