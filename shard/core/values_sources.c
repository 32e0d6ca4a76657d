#include "shard/core/values_sources.h"

#include "shard/core/words.h"

#include <stdlib.h>

/* Of one posting list, which is never that long. */
#define LIST_BYTES_MAX UINT32_MAX

int values_sources_init(struct values_sources *sources, const struct snapshot *snapshot, struct kv_txn *txn,
                        struct error *error)
{
	const struct manifest *manifest = &snapshot->manifest->manifest;
	size_t len = manifest->segments_len + snapshot->segments_len;

	*sources = (struct values_sources){.txn = txn};
	buffer_init(&sources->joined, LIST_BYTES_MAX);
	sources->list = calloc(len + 1, sizeof *sources->list);
	sources->heap = calloc(len + 1, sizeof(struct value_source *));
	if (sources->list == NULL || sources->heap == NULL)
		return error_memory(error, len * sizeof *sources->list);
	for (size_t i = 0; i < manifest->segments_len; i++) {
		struct value_source *source = &sources->list[sources->len++];

		source->segment = &manifest->segments[i];
		source->cover = &source->segment->values.cover;
	}
	for (size_t i = 0; i < snapshot->segments_len; i++) {
		struct value_source *source = &sources->list[sources->len++];

		source->dictionary = snapshot->segments[i]->values;
		source->cover = &snapshot->segments[i]->cover;
	}
	return 0;
}

void values_sources_deinit(struct values_sources *sources)
{
	for (size_t i = 0; i < sources->len; i++) {
		section_reader_free(sources->list[i].sections);
		dictionary_free(sources->list[i].made);
	}
	free(sources->list);
	free(sources->heap);
	buffer_deinit(&sources->joined);
}

static int disk_seek(struct values_sources *sources, struct value_source *source, struct slice from,
                     struct error *error)
{
	const struct value_set *values = &source->segment->values;

	if (values->id == 0)
		return 0;
	if (source->sections == NULL)
		source->sections = section_reader_new(sources->txn, values->id, values->lengths);
	if (source->sections == NULL)
		return error_memory(error, sizeof *source);
	terms_cursor_init(&source->cursor, source->sections);
	if (terms_cursor_seek(&source->cursor, from, error) != 0)
		return error->code;
	return value_source_next(source, error);
}

int value_source_seek(struct values_sources *sources, struct value_source *source,
                      const struct value_range *range, struct error *error)
{
	struct slice from = slice_of(range->from.bytes, range->from.len);

	source->to = slice_of(range->to.bytes, range->to.len);
	source->has_key = false;
	if (source->dictionary == NULL)
		return source->segment == NULL ? 0 : disk_seek(sources, source, from, error);
	source->at = dictionary_seek(source->dictionary, from);
	return value_source_next(source, error);
}

int value_source_next(struct value_source *source, struct error *error)
{
	struct value value;
	int rc;

	source->has_key = false;
	if (source->dictionary != NULL) {
		if (source->at == dictionary_len(source->dictionary))
			return 0;
		source->key = dictionary_at(source->dictionary, source->at++).word;
		rc = 1;
	} else {
		rc = terms_cursor_next(&source->cursor, &source->term, error);
		source->key = source->term.word;
	}
	if (rc < 0)
		return rc;
	source->has_key = rc > 0 && slice_compare(source->key, source->to) <= 0;
	/* behind the range may stand words (words_beside.h) */
	if (source->has_key && !value_read(source->key, &value))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a segment's values have a key of %zu bytes that is none", source->key.len);
	return 0;
}

int value_source_list(struct values_sources *sources, struct value_source *source, struct posting_list *list,
                      struct error *error)
{
	if (source->dictionary == NULL)
		return terms_list(source->sections, &source->term, source->segment->first, &sources->joined,
		                  list, error);
	*list = dictionary_at(source->dictionary, source->at - 1).list;
	return 0;
}

/* Puts the source at `at` where it belongs, below. */
static void heap_sift(struct values_sources *sources, size_t at)
{
	struct value_source *sinking = sources->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= sources->heap_len)
			break;
		if (child + 1 < sources->heap_len &&
		    slice_compare(sources->heap[child + 1]->key, sources->heap[child]->key) < 0)
			child++;
		if (slice_compare(sources->heap[child]->key, sinking->key) >= 0)
			break;
		sources->heap[at] = sources->heap[child];
		at = child;
	}
	sources->heap[at] = sinking;
}

int values_sources_seek(struct values_sources *sources, const struct value_range *range, struct error *error)
{
	sources->heap_len = 0;
	for (size_t i = 0; i < sources->len; i++) {
		if (value_source_seek(sources, &sources->list[i], range, error) != 0)
			return error->code;
		if (sources->list[i].has_key)
			sources->heap[sources->heap_len++] = &sources->list[i];
	}
	for (size_t i = sources->heap_len / 2; i-- > 0;)
		heap_sift(sources, i);
	return 0;
}

struct value_source *values_sources_least(const struct values_sources *sources)
{
	return sources->heap_len == 0 ? NULL : sources->heap[0];
}

int values_sources_pass(struct values_sources *sources, struct error *error)
{
	if (value_source_next(sources->heap[0], error) != 0)
		return error->code;
	if (!sources->heap[0]->has_key)
		sources->heap[0] = sources->heap[--sources->heap_len];
	if (sources->heap_len > 0)
		heap_sift(sources, 0);
	return 0;
}

/* All but the dead of a segment's numbers, of which none has left it yet, or else those that it lists. */
static int disk_listed(const struct disk_segment *segment, struct reading *reading, size_t i,
                       struct postings *numbers, struct error *error)
{
	struct disk_entry entry;
	struct disk_view *view;

	if (segment->end - segment->first == segment->documents) {
		postings_add_range(numbers, segment->first, segment->end);
		return 0;
	}
	if (views_at(&reading->views, i, &view, error) != 0)
		return error->code;
	for (uint32_t place = 0; place < segment->documents; place++) {
		if (disk_entry_at(view, place, &entry, error) != 0)
			return error->code;
		postings_add(numbers, entry.number);
	}
	return 0;
}

int values_sources_listed(const struct values_sources *sources, struct reading *reading, size_t i,
                          struct postings *numbers, struct error *error)
{
	const struct snapshot *snapshot = reading->snapshot;
	const struct segment *segment;

	if (sources->list[i].segment != NULL) {
		if (disk_listed(sources->list[i].segment, reading, i, numbers, error) != 0)
			return error->code;
	} else {
		segment = snapshot->segments[i - snapshot->manifest->manifest.segments_len];
		postings_add_range(numbers, segment->number_first, segment->number_first + segment->puts_len);
	}
	postings_and_not(numbers, &snapshot->deleted);
	return 0;
}

/* ---- keys from bodies ---- */

struct making {
	struct reading *reading;
	const struct values_wish *wish;
	struct attributes attributes; /* the one */
	struct dictionary_builder *builder;
	uint64_t number;
	uint64_t bodies;
};

static bool make_key(void *context, struct slice key)
{
	struct making *making = context;

	return dictionary_builder_add(making->builder, key, making->number, (struct place){0, 0});
}

static int make_document(struct making *making, struct error *error)
{
	struct values_sink sink = {make_key, making};
	struct located located;
	struct slice body;

	making->bodies++;
	if (watch_step(making->wish->watch, WATCH_BODY, error) != 0 ||
	    reading_locate(making->reading, making->number, &located, error) != 0 ||
	    located_body(&located, &body, error) != 0)
		return error->code;
	return values_of_body(words_text(making->wish->words), body, &making->attributes, &sink, error);
}

static int make_keys(struct making *making, struct value_source *source, const struct postings *within,
                     struct error *error)
{
	dictionary_builder_clear(making->builder);
	for (uint64_t from = 0; postings_next(within, from, &making->number); from = making->number + 1)
		if (make_document(making, error) != 0)
			return error->code;
	source->made = dictionary_build(making->builder);
	if (source->made == NULL)
		return error_memory(error, sizeof *source);
	source->dictionary = source->made;
	return 0;
}

/* Those of which the i-th source lacks keys. */
static int making_within(const struct making *making, const struct values_sources *sources, size_t i,
                         struct postings *within, struct error *error)
{
	const struct snapshot *snapshot = making->reading->snapshot;
	const struct disk_segment *on_disk = sources->list[i].segment;
	uint64_t first;
	uint64_t end;

	if (making->wish->within == NULL)
		return values_sources_listed(sources, making->reading, i, within, error);
	if (on_disk != NULL) {
		first = on_disk->first;
		end = on_disk->end;
	} else {
		const struct segment *segment =
			snapshot->segments[i - snapshot->manifest->manifest.segments_len];

		first = segment->number_first;
		end = first + segment->puts_len;
	}
	postings_add_range(within, first, end);
	postings_and(within, making->wish->within);
	return 0;
}

static int make_sources(struct values_sources *sources, struct making *making, bool known,
                        struct error *error)
{
	struct postings within;
	int rc = 0;

	postings_init(&within);
	for (size_t i = 0; i < sources->len && rc == 0; i++) {
		struct value_source *source = &sources->list[i];

		if (known && value_cover_has(source->cover, making->attributes.list[0].number))
			continue;
		postings_clear(&within);
		rc = making_within(making, sources, i, &within, error);
		if (rc == 0)
			rc = make_keys(making, source, &within, error);
	}
	postings_deinit(&within);
	return rc;
}

int values_sources_complete(struct values_sources *sources, struct reading *reading,
                            const struct values_wish *wish, uint16_t *number, uint64_t *bodies,
                            struct error *error)
{
	const struct attribute *attribute = attributes_find(reading->snapshot->attributes, wish->path);
	struct making making = {.reading = reading, .wish = wish, .builder = dictionary_builder_new()};
	int rc;

	/* of a path that has no number all keys are made, as those of any */
	making.attributes = (struct attributes){
		.len = 1, .list = {{attribute == NULL ? 0 : attribute->number, wish->path}}};
	if (making.builder == NULL)
		return error_memory(error, sizeof making);
	rc = make_sources(sources, &making, attribute != NULL, error);
	dictionary_builder_free(making.builder);
	*bodies += making.bodies;
	*number = making.attributes.list[0].number;
	return rc;
}

/* The last key that begins so. */
static void key_last(struct value_key *key)
{
	memset(key->bytes + key->len, 0xFF, VALUE_KEY_BYTES_MAX - key->len);
	key->len = VALUE_KEY_BYTES_MAX;
}

void value_range_scalars(struct value_range *range, uint16_t attribute)
{
	value_key_kind(&range->from, attribute, VALUE_KIND_NUMBER);
	value_key_kind(&range->to, attribute, VALUE_KIND_STRING);
	key_last(&range->to);
}

void value_range_spellings(struct value_range *range, uint16_t attribute, struct slice folded)
{
	value_key_spelling(&range->from, attribute, folded, slice_of("", 0));
	range->to = range->from;
	key_last(&range->to);
}
