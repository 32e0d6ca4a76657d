#include "shard/core/snapshot_points.h"

#include "shard/core/values_sources.h"

#include <math.h>

/* Looking at so many points of the index takes as long as reading a document. */
#define POINTS_A_BODY 64

static int points_make(struct points *points, const struct postings *within, struct arena *arena,
                       struct error *error)
{
	size_t count = (size_t)postings_count(within);
	uint64_t number;

	*points = (struct points){.list = arena_alloc(arena, (count + 1) * sizeof *points->list)};
	if (points->list == NULL)
		return error_memory(error, count * sizeof *points->list);
	for (uint64_t from = 0; postings_next(within, from, &number); from = number + 1)
		points->list[points->len++] = (struct point_entry){.number = number};
	return 0;
}

/* ---- from documents ---- */

static int body_point(struct reading *reading, struct point_entry *entry, struct error *error)
{
	struct located located;
	struct slice body;
	yyjson_doc *doc;
	bool read;

	if (reading_locate(reading, entry->number, &located, error) != 0 ||
	    located_body(&located, &body, error) != 0 || json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	read = point_of_document(yyjson_doc_get_root(doc), &entry->point, &entry->has_point);
	yyjson_doc_free(doc);
	return read ? 0 : error_memory(error, body.len);
}

static int bodies_read(struct reading *reading, struct points *points, struct error *error)
{
	for (size_t i = 0; i < points->len; i++)
		if (body_point(reading, &points->list[i], error) != 0)
			return error->code;
	points->bodies = points->len;
	return 0;
}

/* ---- from values ---- */

/* NULL: it is not wanted. */
static struct point_entry *entry_find(const struct points *points, uint64_t number)
{
	size_t low = 0;
	size_t high = points->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (points->list[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < points->len && points->list[low].number == number ? &points->list[low] : NULL;
}

/* The key at hand to each document that has it. */
static int source_give(struct values_sources *sources, struct value_source *source, struct points *points,
                       struct error *error)
{
	struct posting_cursor cursor;
	struct posting_list list;
	struct value value;
	uint64_t number;
	int rc;

	(void)value_read(source->key, &value);
	if (value_source_list(sources, source, &list, error) != 0)
		return error->code;
	posting_cursor_init(&cursor, &list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		struct point_entry *entry = entry_find(points, number);

		if (entry != NULL)
			*entry = (struct point_entry){number, true, value.point};
	}
	return rc;
}

static int sources_give(struct values_sources *sources, uint16_t attribute, struct points *points,
                        struct error *error)
{
	struct value_range range;

	value_key_point(&range.from, attribute, &(struct point){-INFINITY, -INFINITY});
	value_key_point(&range.to, attribute, &(struct point){INFINITY, INFINITY});
	for (size_t i = 0; i < sources->len; i++) {
		struct value_source *source = &sources->list[i];
		int rc = value_source_seek(sources, source, &range, error);

		while (rc == 0 && source->has_key) {
			rc = source_give(sources, source, points, error);
			if (rc == 0)
				rc = value_source_next(source, error);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int values_read(const struct reading *reading, uint16_t attribute, struct points *points,
                       struct error *error)
{
	struct values_sources sources;
	int rc = values_sources_init(&sources, reading->snapshot, reading->txn, error);

	if (rc == 0)
		rc = sources_give(&sources, attribute, points, error);
	values_sources_deinit(&sources);
	return rc;
}

int snapshot_points(const struct snapshot *snapshot, const struct postings *within, struct arena *arena,
                    struct points *points, struct error *error)
{
	struct reading reading;
	struct points made;
	uint16_t attribute;
	int rc = reading_open(&reading, snapshot, error);

	if (rc == 0)
		rc = points_make(&made, within, arena, error);
	if (rc == 0 && snapshot_attribute(snapshot, slice_string("_geo"), &attribute) &&
	    made.len >= snapshot->documents / POINTS_A_BODY)
		rc = values_read(&reading, attribute, &made, error);
	else if (rc == 0)
		rc = bodies_read(&reading, &made, error);
	reading_end(&reading);
	if (rc == 0)
		*points = made;
	return rc;
}
