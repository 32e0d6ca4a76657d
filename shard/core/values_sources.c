#include "shard/core/values_sources.h"

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
	if (sources->list == NULL)
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
	for (size_t i = 0; i < sources->len; i++)
		section_reader_free(sources->list[i].sections);
	free(sources->list);
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
	if (source->segment != NULL)
		return disk_seek(sources, source, from, error);
	if (source->dictionary == NULL)
		return 0;
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
