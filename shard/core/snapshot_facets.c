#include "shard/core/snapshot_facets.h"

#include "shard/core/values_sources.h"

/* One call. */
struct counting {
	struct reading reading;
	struct values_sources sources;
	const struct postings *within;
	struct value_key key;
	struct facet facet;
};

static int count_list(struct counting *counting, struct value_source *source, struct error *error)
{
	struct facet *facet = &counting->facet;
	struct posting_cursor cursor;
	struct posting_list list;
	uint64_t number;
	int rc;

	if (value_source_list(&counting->sources, source, &list, error) != 0)
		return error->code;
	posting_cursor_init(&cursor, &list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		if (!postings_contains(counting->within, number))
			continue;
		if (facet->documents == 0 || number < facet->number)
			facet->number = number;
		facet->documents++;
	}
	return rc;
}

/* Counts the smallest key in all sources that have it. */
static int count_key(struct counting *counting, struct error *error)
{
	struct value_source *source = values_sources_least(&counting->sources);
	struct slice key = slice_of(counting->key.bytes, source->key.len);

	memcpy(counting->key.bytes, source->key.ptr, source->key.len);
	counting->facet.documents = 0;
	for (; source != NULL && slice_equal(source->key, key);
	     source = values_sources_least(&counting->sources))
		if (count_list(counting, source, error) != 0 ||
		    values_sources_pass(&counting->sources, error) != 0)
			return error->code;
	/* every key was read so before */
	(void)value_read(key, &counting->facet.value);
	return 0;
}

/* "" folded. */
static bool facet_is_blank(const struct facet *facet)
{
	return facet->value.kind == VALUE_KIND_STRING && facet->value.text.len == 0;
}

static int count_all(struct counting *counting, uint16_t attribute, const struct facet_visitor *visitor,
                     struct error *error)
{
	struct value_range range;

	value_range_scalars(&range, attribute);
	if (values_sources_seek(&counting->sources, &range, error) != 0)
		return error->code;
	while (values_sources_least(&counting->sources) != NULL) {
		if (count_key(counting, error) != 0)
			return error->code;
		if (counting->facet.documents > 0 && !facet_is_blank(&counting->facet) &&
		    !visitor->visit(visitor->context, &counting->facet))
			break;
	}
	return 0;
}

int snapshot_facets(const struct snapshot *snapshot, const struct facet_request *request,
                    const struct facet_visitor *visitor, uint64_t *bodies, struct error *error)
{
	struct values_wish wish = {request->words, request->path, request->within};
	struct counting counting = {.within = request->within};
	uint16_t attribute;
	int rc = reading_open(&counting.reading, snapshot, error);

	if (rc == 0)
		rc = values_sources_init(&counting.sources, snapshot, counting.reading.txn, error);
	if (rc == 0)
		rc = values_sources_complete(&counting.sources, &counting.reading, &wish, &attribute, bodies,
		                             error);
	if (rc == 0)
		rc = count_all(&counting, attribute, visitor, error);
	values_sources_deinit(&counting.sources);
	reading_end(&counting.reading);
	return rc;
}
