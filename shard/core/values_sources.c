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
		if (rc > 0 && !value_read(source->key, &value))
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "a segment's values have a key of %zu bytes that is none",
			                 source->key.len);
	}
	source->has_key = rc > 0 && slice_compare(source->key, source->to) <= 0;
	return rc < 0 ? rc : 0;
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
	if (reading_locate(making->reading, making->number, &located, error) != 0 ||
	    located_body(&located, &body, error) != 0)
		return error->code;
	return values_of_body(words_text(making->wish->words), body, &making->attributes, &sink, error);
}

/* Of the documents with numbers in [first, end). */
static int make_keys(struct making *making, struct value_source *source, uint64_t first, uint64_t end,
                     struct error *error)
{
	uint64_t from = first;

	dictionary_builder_clear(making->builder);
	while (postings_next(making->wish->within, from, &making->number) && making->number < end) {
		if (make_document(making, error) != 0)
			return error->code;
		from = making->number + 1;
	}
	source->made = dictionary_build(making->builder);
	if (source->made == NULL)
		return error_memory(error, sizeof *source);
	source->dictionary = source->made;
	return 0;
}

static int make_sources(struct values_sources *sources, struct making *making, bool known,
                        struct error *error)
{
	const struct snapshot *snapshot = making->reading->snapshot;
	size_t on_disk = snapshot->manifest->manifest.segments_len;

	for (size_t i = 0; i < sources->len; i++) {
		struct value_source *source = &sources->list[i];
		uint64_t first = source->segment != NULL ? source->segment->first
		                                         : snapshot->segments[i - on_disk]->number_first;
		uint64_t end = source->segment != NULL ? source->segment->end
		                                       : first + snapshot->segments[i - on_disk]->puts_len;

		if (known && value_cover_has(source->cover, making->attributes.list[0].number))
			continue;
		if (make_keys(making, source, first, end, error) != 0)
			return error->code;
	}
	return 0;
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

void value_range_scalars(struct value_range *range, uint16_t attribute)
{
	value_key_kind(&range->from, attribute, VALUE_KIND_NUMBER);
	value_key_kind(&range->to, attribute, VALUE_KIND_STRING);
	memset(range->to.bytes + range->to.len, 0xFF, VALUE_KEY_BYTES_MAX - range->to.len);
	range->to.len = VALUE_KEY_BYTES_MAX;
}
