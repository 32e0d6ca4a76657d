#include "shard/core/values_sources.h"

/* One call. */
struct values_reading {
	const struct snapshot *snapshot;
	struct kv_txn *txn;
	struct values_sources sources;
};

bool snapshot_attribute(const struct snapshot *snapshot, struct slice path, uint16_t *number)
{
	const struct attribute *attribute = attributes_find(snapshot->attributes, path);
	const struct manifest *manifest = &snapshot->manifest->manifest;

	if (attribute == NULL)
		return false;
	for (size_t i = 0; i < snapshot->segments_len; i++)
		if (!value_cover_has(&snapshot->segments[i]->cover, attribute->number))
			return false;
	for (size_t i = 0; i < manifest->segments_len; i++)
		if (!value_cover_has(&manifest->segments[i].values.cover, attribute->number))
			return false;
	*number = attribute->number;
	return true;
}

/* Whatever it says, values_end follows. */
static int values_begin(struct values_reading *reading, const struct snapshot *snapshot, struct error *error)
{
	*reading = (struct values_reading){.snapshot = snapshot};
	if (kv_begin(snapshot->kv, false, &reading->txn, error) != 0) {
		reading->txn = NULL;
		return error->code;
	}
	return values_sources_init(&reading->sources, snapshot, reading->txn, error);
}

static void values_end(struct values_reading *reading)
{
	if (reading->txn == NULL)
		return;
	values_sources_deinit(&reading->sources);
	kv_abort(reading->txn);
}

/* Adds the numbers of the key at hand. */
static int source_numbers(struct values_reading *reading, struct value_source *source,
                          struct postings *numbers, struct error *error)
{
	struct posting_list list;

	if (value_source_list(&reading->sources, source, &list, error) != 0)
		return error->code;
	return posting_list_numbers(&list, numbers, error);
}

static int values_add(struct values_reading *reading, const struct value_range *range,
                      struct postings *numbers, struct error *error)
{
	for (size_t i = 0; i < reading->sources.len; i++) {
		struct value_source *source = &reading->sources.list[i];
		int rc = value_source_seek(&reading->sources, source, range, error);

		while (rc == 0 && source->has_key) {
			rc = source_numbers(reading, source, numbers, error);
			if (rc == 0)
				rc = value_source_next(source, error);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

int snapshot_values(const struct snapshot *snapshot, const struct value_range *range,
                    struct postings *numbers, struct error *error)
{
	struct values_reading reading;
	struct postings found;
	int rc;

	postings_init(&found);
	rc = values_begin(&reading, snapshot, error);
	if (rc == 0)
		rc = values_add(&reading, range, &found, error);
	if (rc == 0) {
		postings_and_not(&found, &snapshot->deleted);
		postings_or(numbers, &found);
	}
	values_end(&reading);
	postings_deinit(&found);
	return rc;
}

int snapshot_value(const struct snapshot *snapshot, const struct value_key *key, struct postings *numbers,
                   struct error *error)
{
	struct value_range range = {*key, *key};

	return snapshot_values(snapshot, &range, numbers, error);
}

/* The smallest key that is left; false if none is. */
static bool key_choose(const struct values_reading *reading, struct value_key *key)
{
	const struct value_source *least = values_sources_least(&reading->sources);

	if (least == NULL)
		return false;
	memcpy(key->bytes, least->key.ptr, least->key.len);
	key->len = least->key.len;
	return true;
}

/* The numbers of the smallest key, and every source that has it behind it. */
static int key_take(struct values_reading *reading, struct slice key, struct postings *numbers,
                    struct error *error)
{
	struct value_source *source;

	while ((source = values_sources_least(&reading->sources)) != NULL && slice_equal(source->key, key))
		if (source_numbers(reading, source, numbers, error) != 0 ||
		    values_sources_pass(&reading->sources, error) != 0)
			return error->code;
	return 0;
}

static int values_walk(struct values_reading *reading, const struct postings *within,
                       const struct value_visitor *visitor, struct error *error)
{
	struct value_key key;
	struct postings numbers;
	bool more = true;
	int rc = 0;

	postings_init(&numbers);
	while (rc == 0 && more && key_choose(reading, &key)) {
		postings_clear(&numbers);
		rc = key_take(reading, slice_of(key.bytes, key.len), &numbers, error);
		postings_and_not(&numbers, &reading->snapshot->deleted);
		if (within != NULL)
			postings_and(&numbers, within);
		if (rc == 0 && numbers.len > 0)
			more = visitor->visit(visitor->context, slice_of(key.bytes, key.len), &numbers);
	}
	postings_deinit(&numbers);
	return rc;
}

int snapshot_values_walk(const struct snapshot *snapshot, const struct value_range *range,
                         const struct postings *within, const struct value_visitor *visitor,
                         struct error *error)
{
	struct values_reading reading;
	int rc = values_begin(&reading, snapshot, error);

	if (rc == 0)
		rc = values_sources_seek(&reading.sources, range, error);
	if (rc == 0)
		rc = values_walk(&reading, within, visitor, error);
	values_end(&reading);
	return rc;
}
