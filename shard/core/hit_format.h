/*
 * Hit format: what a search shows of its hits: format.h, told by the settings
 * and the query which words match, and by the snapshots which fields there are.
 *
 * A field is known if any document of the snapshots has text there or in it,
 * or had. Words match wherever they stand, as the search finds them: by the
 * same typos and synonyms; which fields were searched makes no difference.
 *
 * Whatever a request points to stays the caller's, unchanged, until
 * hit_format_free. The text is the calling thread's, and free between calls.
 * Bounds and failure as in format.h.
 */
#ifndef MILLRACE_SHARD_CORE_HIT_FORMAT_H
#define MILLRACE_SHARD_CORE_HIT_FORMAT_H

#include "shard/core/search_settings.h"
#include "shard/core/snapshot.h"
#include "shard/engine/format.h"

struct hit_format_request {
	struct text *text;
	const struct search_settings *settings;
	const struct query *query;
	struct snapshot *const *snapshots;
	size_t snapshots_len;
	/* `displayed`, `retrieve`, `crop` and `highlight`, crop_words, marker, tags and shows_positions count. */
	struct format_request shown;
	/* Which of the names to crop, then to highlight, any document of the index has, by 0 and 1; ptr NULL: as these
	 * snapshots know. */
	struct slice paths;
	struct arena *arena; /* for as long as the format */
};

struct hit_format;

int hit_format_new(const struct hit_format_request *request, struct hit_format **format, struct error *error);
/* Appends `,"paths":"…"`: what these snapshots know, as above; nothing without names. */
void hit_format_paths(const struct hit_format *format, struct buffer *json);
/* NULL: nothing happens. */
void hit_format_free(struct hit_format *format);
/* As format_append. */
int hit_format_append(struct hit_format *format, yyjson_val *document, struct buffer *out,
                      struct error *error);

#endif
