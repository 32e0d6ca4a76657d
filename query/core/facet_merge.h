/*
 * Facet merge: the counts of several nodes become one distribution.
 *
 * Counts of a value add up, by its key: the number, or the string in normal
 * form. It is shown as its bytewise smallest spelling. Which values are shown,
 * and in what order, the settings say, as Meilisearch does:
 *
 *   alpha   bytewise by key, numbers by their text
 *   count   the most frequent first; of equal ones strings before numbers, each
 *           descending
 *
 * A number and a string that look alike are shown as one.
 *
 * A node lists the values that it counted, each as the smallest that is live
 * there; one that did not list a value may have a smaller one nevertheless:
 * that is what facet_merge_ask asks of all.
 *
 * Keys and spellings are borrowed from the answers. Memory: a row for each value of
 * each answer at most. Pure core; one thread.
 */
#ifndef MILLRACE_QUERY_CORE_FACET_MERGE_H
#define MILLRACE_QUERY_CORE_FACET_MERGE_H

#include "query/core/node_answer.h"
#include "shared/base/map.h"
#include "shared/settings/settings.h"

struct facet_rows;

struct facet_merge {
	struct facet_rows **facets;
	size_t len;
	size_t size;
	struct map by_path;
	size_t answers;
	bool is_cut;
};

void facet_merge_init(struct facet_merge *merge);
void facet_merge_deinit(struct facet_merge *merge);
/* ERROR_MEMORY: the merge may have some of them and is of no use. */
int facet_merge_add(struct facet_merge *merge, const struct node_facet *facets, size_t len,
                    struct error *error);
/* Appends `{"path":["key",…],…}`: the strings that are shown and that not every answer had; nothing more is added after.
 * False: there are none. A failure is the buffer's. */
bool facet_merge_ask(struct facet_merge *merge, const struct settings *settings, struct buffer *asked);
/* What a node says to that, `{"path":[{"value":…,"key":…} or null,…],…}`. ERROR_FORMAT (REJECT), ERROR_MEMORY: nothing
 * is wrong that was right before. */
int facet_merge_spell(struct facet_merge *merge, yyjson_val *spellings, struct arena *arena,
                      struct error *error);
/* `"facetDistribution":{…},"facetStats":{…}`, once, of all that was added. A failure is the buffer's. */
void facet_merge_append(struct facet_merge *merge, const struct settings *settings, struct buffer *body);

#endif
