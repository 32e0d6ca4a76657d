/*
 * Sequence values: the values of a replica's attributes against the sequence
 * model. What a snapshot lists of an attribute is what the bodies of the
 * model's documents are cut into: each key with its documents, and no other.
 *
 * Some attributes are there from the first record on and must always be
 * answered for; others come and go, and are looked at when they are.
 */
#ifndef MILLRACE_TESTS_UNIT_SEQUENCE_VALUES_H
#define MILLRACE_TESTS_UNIT_SEQUENCE_VALUES_H

#include "tests/unit/sequence_model.h"

#include "shard/core/snapshot_values.h"
#include "shard/engine/text.h"

#define SEQUENCE_STEADY 4
#define SEQUENCE_KEYS_MAX 20000

static const char *const sequence_paths[] = {"n",       "c",         "t.x", "id",   "t",
                                             "deep.er", "deep.er.a", "s",   "text", "_geo"};
#define SEQUENCE_PATHS (sizeof sequence_paths / sizeof sequence_paths[0])

/* A key with how many documents have it. */
struct counted_key {
	struct value_key key;
	uint64_t documents;
};

struct counted_keys {
	struct counted_key list[SEQUENCE_KEYS_MAX];
	size_t len;
	uint64_t number; /* of one document that has the key given last */
};

static inline struct slice counted_slice(const struct counted_key *counted)
{
	return slice_of(counted->key.bytes, counted->key.len);
}

static inline int counted_compare(const void *a, const void *b)
{
	return slice_compare(counted_slice(a), counted_slice(b));
}

static inline void counted_add(struct counted_keys *keys, struct slice key, uint64_t documents)
{
	CU_ASSERT_TRUE_FATAL(keys->len < SEQUENCE_KEYS_MAX && key.len <= VALUE_KEY_BYTES_MAX);
	memcpy(keys->list[keys->len].key.bytes, key.ptr, key.len);
	keys->list[keys->len].key.len = key.len;
	keys->list[keys->len++].documents = documents;
}

static inline bool counted_cut(void *context, struct slice key)
{
	counted_add(context, key, 1);
	return true;
}

static inline bool counted_visit(void *context, struct slice key, struct postings *numbers)
{
	struct counted_keys *keys = context;

	counted_add(keys, key, postings_count(numbers));
	return postings_next(numbers, 0, &keys->number);
}

/* The keys from `from` on, each once; `summed`: with all its documents, else it counts once. */
static inline void counted_unite(struct counted_keys *keys, size_t from, bool summed)
{
	size_t kept = from;

	qsort(keys->list + from, keys->len - from, sizeof keys->list[0], counted_compare);
	for (size_t i = from; i < keys->len; i++) {
		if (kept > from && counted_compare(&keys->list[kept - 1], &keys->list[i]) == 0)
			keys->list[kept - 1].documents += summed ? keys->list[i].documents : 0;
		else
			keys->list[kept++] = keys->list[i];
	}
	keys->len = kept;
}

static inline void counted_equal(const struct counted_keys *found, const struct counted_keys *wanted)
{
	CU_ASSERT_EQUAL_FATAL(found->len, wanted->len);
	for (size_t i = 0; i < found->len; i++) {
		CU_ASSERT_EQUAL_FATAL(counted_compare(&found->list[i], &wanted->list[i]), 0);
		CU_ASSERT_EQUAL_FATAL(found->list[i].documents, wanted->list[i].documents);
	}
}

/* All keys of an attribute. */
static inline struct value_range attribute_range(uint16_t number)
{
	struct value_range range;

	value_key_kind(&range.from, number, VALUE_KIND_EXISTS);
	value_key_kind(&range.to, number, VALUE_KIND_POINT);
	memset(range.to.bytes + range.to.len, 0xFF, VALUE_KEY_BYTES_MAX - range.to.len);
	range.to.len = VALUE_KEY_BYTES_MAX;
	return range;
}

/* What the snapshot lists, of documents in `within`. */
static inline void values_listed(const struct snapshot *snapshot, const struct attribute *attribute,
                                 const struct postings *within, struct counted_keys *found)
{
	struct value_range range = attribute_range(attribute->number);
	struct value_visitor visitor = {counted_visit, found};
	struct error error = {0};

	found->len = 0;
	CU_ASSERT_EQUAL_FATAL(snapshot_values_walk(snapshot, &range, within, &visitor, &error), 0);
}

/* What one document, or all, are cut into. */
static inline void values_wanted(struct sequence *sequence, struct text *text,
                                 const struct attribute *attribute, size_t only, struct counted_keys *wanted)
{
	struct attributes attributes = {.len = 1, .list = {*attribute}};
	struct values_sink sink = {counted_cut, wanted};
	struct error error = {0};

	wanted->len = 0;
	for (size_t id = 0; id < sequence->ids_len; id++) {
		size_t from = wanted->len;

		if (!sequence->documents[id].exists || (only != SIZE_MAX && only != id))
			continue;
		CU_ASSERT_EQUAL_FATAL(
			values_of_body(text, sequence_body(sequence, id), &attributes, &sink, &error), 0);
		counted_unite(wanted, from, false);
	}
	counted_unite(wanted, 0, true);
}

/* Each key by itself, and all from one on. */
static inline void check_lookups(struct sequence *sequence, const struct snapshot *snapshot,
                                 const struct attribute *attribute, const struct counted_keys *wanted)
{
	struct value_range range = attribute_range(attribute->number);
	struct postings all;
	struct error error = {0};
	uint64_t above = 0;
	size_t from = wanted->len == 0 ? 0 : sequence_draw(sequence, wanted->len);

	postings_init(&all);
	for (size_t i = from; i < wanted->len; i++) {
		struct postings numbers;

		postings_init(&numbers);
		CU_ASSERT_EQUAL_FATAL(snapshot_value(snapshot, &wanted->list[i].key, &numbers, &error), 0);
		CU_ASSERT_EQUAL_FATAL(postings_count(&numbers), wanted->list[i].documents);
		postings_or(&all, &numbers);
		postings_deinit(&numbers);
		if (i - from == 20)
			range.to = wanted->list[i].key;
		if (i - from == 20)
			break;
	}
	above = postings_count(&all);
	if (wanted->len > 0)
		range.from = wanted->list[from].key;
	CU_ASSERT_EQUAL_FATAL(snapshot_values(snapshot, &range, &all, &error), 0);
	CU_ASSERT_EQUAL_FATAL(postings_count(&all), above); /* nothing but those */
	postings_clear(&all);
	CU_ASSERT_EQUAL_FATAL(snapshot_values(snapshot, &range, &all, &error), 0);
	CU_ASSERT_EQUAL_FATAL(postings_count(&all), above);
	postings_deinit(&all);
}

/* One document, found by its id: all its keys, and none else. */
static inline void check_document_values(struct sequence *sequence, const struct snapshot *snapshot,
                                         struct text *text, const struct attribute *attribute)
{
	static struct counted_keys found;
	static struct counted_keys wanted;
	size_t id = sequence_draw(sequence, sequence->ids_len);
	uint16_t ids;
	struct value_key key;
	struct postings within;
	struct error error = {0};

	/* the long ones are alike */
	if (!sequence->documents[id].exists || sequence_id(sequence, id).len > VALUE_TEXT_BYTES_MAX)
		return;
	CU_ASSERT_TRUE_FATAL(snapshot_attribute(snapshot, slice_string("id"), &ids));
	postings_init(&within);
	value_key_text(&key, ids, sequence_id(sequence, id));
	CU_ASSERT_EQUAL_FATAL(snapshot_value(snapshot, &key, &within, &error), 0);
	CU_ASSERT_EQUAL_FATAL(postings_count(&within), 1);
	values_listed(snapshot, attribute, &within, &found);
	values_wanted(sequence, text, attribute, id, &wanted);
	counted_equal(&found, &wanted);
	postings_deinit(&within);
}

static inline void check_values(struct sequence *sequence)
{
	static struct counted_keys found;
	static struct counted_keys wanted;
	struct snapshot *snapshot = replica_snapshot(sequence->replica);
	struct text *text = text_new();

	CU_ASSERT_TRUE_FATAL(snapshot != NULL && text != NULL);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_version(sequence->replica), sequence->attributes_version);
	for (size_t i = 0; i < SEQUENCE_PATHS; i++) {
		struct attribute attribute = {0, slice_string(sequence_paths[i])};

		if (!snapshot_attribute(snapshot, attribute.path, &attribute.number)) {
			CU_ASSERT_TRUE_FATAL(i >= SEQUENCE_STEADY);
			continue;
		}
		CU_ASSERT_TRUE_FATAL((sequence->attributes & 1U << i) != 0);
		sequence->attributes_checked++;
		values_listed(snapshot, &attribute, NULL, &found);
		values_wanted(sequence, text, &attribute, SIZE_MAX, &wanted);
		counted_equal(&found, &wanted);
		check_lookups(sequence, snapshot, &attribute, &wanted);
		check_document_values(sequence, snapshot, text, &attribute);
	}
	text_free(text);
	snapshot_release(snapshot);
}

static inline void check_all_answered(struct sequence *sequence)
{
	struct snapshot *snapshot = replica_snapshot(sequence->replica);
	uint16_t number;

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	for (size_t i = 0; i < SEQUENCE_PATHS; i++)
		CU_ASSERT_EQUAL_FATAL(snapshot_attribute(snapshot, slice_string(sequence_paths[i]), &number),
		                      (sequence->attributes >> i & 1) != 0);
	snapshot_release(snapshot);
}

static inline void attributes_put(struct sequence *sequence)
{
	struct slice paths[SEQUENCE_PATHS];
	struct error error = {0};
	size_t len = 0;

	for (size_t i = SEQUENCE_PATHS; i-- > 0;)
		if (sequence->attributes & 1U << i)
			paths[len++] = slice_string(sequence_paths[i]);
	CU_ASSERT_EQUAL_FATAL(
		replica_attributes_set(sequence->replica, sequence->attributes_version, paths, len, &error),
		0);
}

/* The steady ones, and some of the others. */
static inline void step_attributes(struct sequence *sequence)
{
	sequence->attributes = (1U << SEQUENCE_STEADY) - 1;
	for (size_t i = SEQUENCE_STEADY; i < SEQUENCE_PATHS; i++)
		if (sequence_chance(sequence, 2))
			sequence->attributes |= 1U << i;
	sequence->attributes_version++;
	attributes_put(sequence);
}

/* After a restart: nothing was stored since they were set, or they are there. */
static inline void attributes_again(struct sequence *sequence)
{
	uint64_t version = replica_attributes_version(sequence->replica);

	CU_ASSERT_TRUE_FATAL(version <= sequence->attributes_version);
	if (version < sequence->attributes_version)
		attributes_put(sequence);
}

#endif
