#include "shard/core/snapshot_facets.h"

#include "shard/core/values_sources.h"
#include "shard/core/words.h"

#include "shared/filter/filter_value.h"

#include <stdlib.h>

/* Of a folded string, as in values.c. */
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)

struct facet_field {
	struct words *words;
	struct slice path;
	struct watch *watch;
	struct reading reading;
	struct values_sources sources;
	uint16_t attribute;
	uint64_t bodies;
	struct buffer text; /* of a string that is longer than a key */
};

int facet_field_open(const struct snapshot *snapshot, struct words *words, struct slice path,
                     struct watch *watch, struct facet_field **field, struct error *error)
{
	struct values_wish wish = {.words = words, .path = path, .watch = watch};
	struct facet_field *opened = calloc(1, sizeof *opened);
	int rc;

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	opened->words = words;
	opened->path = path;
	opened->watch = watch;
	buffer_init(&opened->text, SCRATCH_BYTES_MAX);
	rc = reading_open(&opened->reading, snapshot, error);
	if (rc == 0)
		rc = values_sources_init(&opened->sources, snapshot, opened->reading.txn, error);
	if (rc == 0)
		rc = values_sources_complete(&opened->sources, &opened->reading, &wish, &opened->attribute,
		                             &opened->bodies, error);
	if (rc == 0)
		*field = opened;
	else
		facet_field_close(opened);
	return rc;
}

void facet_field_close(struct facet_field *field)
{
	if (field == NULL)
		return;
	values_sources_deinit(&field->sources);
	reading_end(&field->reading);
	buffer_deinit(&field->text);
	free(field);
}

uint64_t facet_field_bodies(const struct facet_field *field)
{
	return field->bodies;
}

/* Adds the live documents of every key of a range. */
static int range_numbers(struct facet_field *field, const struct value_range *range, struct postings *numbers,
                         struct error *error)
{
	for (size_t i = 0; i < field->sources.len; i++) {
		struct value_source *source = &field->sources.list[i];
		struct posting_list list;
		int rc = value_source_seek(&field->sources, source, range, error);

		while (rc == 0 && source->has_key) {
			rc = value_source_list(&field->sources, source, &list, error);
			if (rc == 0)
				rc = watch_step(field->watch, list.count / WATCH_NUMBERS + 1, error);
			if (rc == 0)
				rc = posting_list_numbers(&list, numbers, error);
			if (rc == 0)
				rc = value_source_next(source, error);
		}
		if (rc != 0)
			return rc;
	}
	postings_and_not(numbers, &field->reading.snapshot->deleted);
	return 0;
}

int facet_field_exists(struct facet_field *field, bool *exists, struct error *error)
{
	struct value_range range;
	struct postings numbers;
	int rc;

	postings_init(&numbers);
	value_key_kind(&range.from, field->attribute, VALUE_KIND_EXISTS);
	range.to = range.from;
	rc = range_numbers(field, &range, &numbers, error);
	if (rc == 0)
		*exists = numbers.len > 0;
	postings_deinit(&numbers);
	return rc;
}

/* ---- strings of a body ---- */

struct searching {
	struct facet_field *field;
	struct filter_fold fold;
	struct buffer scratch;
	const struct value_key *key; /* of the string looked for, */
	struct slice folded;         /* or that itself, key NULL */
	struct buffer *found;        /* key: the folded string; else the smallest spelling */
	bool has_failed;
	struct error *error;
};

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct searching *searching = context;

	return text_fold(words_text(searching->field->words), text, folded, searching->error) == 0;
}

/* Takes a text if there is none, or a larger one. */
static bool take_smaller(struct buffer *smallest, struct slice text)
{
	if (smallest->len > 0 && slice_compare(buffer_slice(smallest), text) <= 0)
		return true;
	buffer_clear(smallest);
	buffer_append_slice(smallest, text);
	return !buffer_failed(smallest);
}

static bool scalar_search(void *context, yyjson_val *scalar)
{
	struct searching *searching = context;
	struct value_key key;
	struct slice text;

	if (yyjson_is_raw(scalar))
		return false;
	if (!filter_value_text(scalar, &searching->fold, &searching->scratch, &text)) {
		searching->has_failed = true;
		return true;
	}
	if (searching->key == NULL) {
		searching->has_failed =
			slice_equal(text, searching->folded) &&
			!take_smaller(searching->found, yyjson_is_bool(scalar) ? text : json_string(scalar));
		return searching->has_failed;
	}
	value_key_text(&key, searching->field->attribute, text);
	if (key.len != searching->key->len || memcmp(key.bytes, searching->key->bytes, key.len) != 0)
		return false;
	searching->has_failed = !take_smaller(searching->found, text);
	return true;
}

static bool reached_search(void *context, yyjson_val *reached)
{
	struct filter_visitor visitor = {scalar_search, context};

	return filter_scalars(reached, &visitor);
}

static int body_search(struct searching *searching, uint64_t number, struct error *error)
{
	struct filter_visitor visitor = {reached_search, searching};
	struct facet_field *field = searching->field;
	struct located located;
	struct slice body;
	yyjson_doc *doc;

	searching->fold = (struct filter_fold){append_folded, searching};
	searching->error = error;
	field->bodies++;
	if (watch_step(field->watch, WATCH_BODY, error) != 0 ||
	    reading_locate(&field->reading, number, &located, error) != 0 ||
	    located_body(&located, &body, error) != 0 || json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	buffer_init(&searching->scratch, SCRATCH_BYTES_MAX);
	(void)filter_reach(yyjson_doc_get_root(doc), field->path, &visitor);
	buffer_deinit(&searching->scratch);
	yyjson_doc_free(doc);
	return searching->has_failed ? error_memory(error, body.len) : 0;
}

/* ---- counts ---- */

struct counting {
	struct facet_field *field;
	const struct postings *within;
	struct value_key key;
	uint64_t documents;
	uint64_t number; /* one of them */
};

static int count_list(struct counting *counting, struct value_source *source, struct error *error)
{
	struct posting_cursor cursor;
	struct posting_list list;
	uint64_t number;
	int rc;

	if (value_source_list(&counting->field->sources, source, &list, error) != 0 ||
	    watch_step(counting->field->watch, list.count, error) != 0)
		return error->code;
	posting_cursor_init(&cursor, &list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		if (!postings_contains(counting->within, number))
			continue;
		counting->number = number;
		counting->documents++;
	}
	return rc;
}

/* Counts the smallest key in all sources that have it. */
static int count_key(struct counting *counting, struct error *error)
{
	struct values_sources *sources = &counting->field->sources;
	struct value_source *source = values_sources_least(sources);
	struct slice key = slice_of(counting->key.bytes, source->key.len);

	memcpy(counting->key.bytes, source->key.ptr, source->key.len);
	counting->key.len = source->key.len;
	counting->documents = 0;
	for (; source != NULL && slice_equal(source->key, key); source = values_sources_least(sources))
		if (count_list(counting, source, error) != 0 || values_sources_pass(sources, error) != 0)
			return error->code;
	return 0;
}

/* The whole of a string that is longer than its key. */
static int text_complete(struct counting *counting, struct facet *facet, struct error *error)
{
	struct buffer *text = &counting->field->text;
	struct searching searching = {.field = counting->field, .key = &counting->key, .found = text};

	buffer_clear(text);
	if (body_search(&searching, counting->number, error) != 0)
		return error->code;
	if (text->len == 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a document lacks a string that the segment's values say it has");
	facet->text = buffer_slice(text);
	return 0;
}

/* 1: go on; 0: the visitor had enough. */
static int count_visit(struct counting *counting, const struct facet_visitor *visitor, struct error *error)
{
	struct value value;
	struct facet facet;

	/* every key was read so before */
	(void)value_read(slice_of(counting->key.bytes, counting->key.len), &value);
	facet = (struct facet){value.kind == VALUE_KIND_NUMBER, value.number, value.text,
	                       counting->documents};
	if (facet.documents == 0 || (!facet.is_number && facet.text.len == 0))
		return 1;
	if (value.is_cut && text_complete(counting, &facet, error) != 0)
		return error->code;
	return visitor->visit(visitor->context, &facet);
}

int facet_field_count(struct facet_field *field, const struct postings *within,
                      const struct facet_visitor *visitor, struct error *error)
{
	struct counting counting = {.field = field, .within = within};
	struct value_range range;
	int more = 1;

	value_range_scalars(&range, field->attribute);
	if (values_sources_seek(&field->sources, &range, error) != 0)
		return error->code;
	while (more > 0 && values_sources_least(&field->sources) != NULL) {
		if (count_key(&counting, error) != 0)
			return error->code;
		more = count_visit(&counting, visitor, error);
	}
	return more < 0 ? more : 0;
}

/* ---- spellings ---- */

/* The smallest of some documents. */
static int spell_bodies(struct facet_field *field, struct slice folded, const struct postings *numbers,
                        struct buffer *spelling, struct error *error)
{
	struct searching searching = {.field = field, .folded = folded, .found = spelling};
	uint64_t number;

	for (uint64_t from = 0; postings_next(numbers, from, &number); from = number + 1)
		if (body_search(&searching, number, error) != 0)
			return error->code;
	return 0;
}

/* The documents of the smallest key at hand, and every source behind it. */
static int key_pass(struct facet_field *field, struct value_key *key, struct postings *numbers,
                    struct error *error)
{
	struct value_source *source = values_sources_least(&field->sources);
	struct posting_list list;

	postings_clear(numbers);
	key->len = source->key.len;
	memcpy(key->bytes, source->key.ptr, key->len);
	for (; source != NULL && slice_equal(source->key, slice_of(key->bytes, key->len));
	     source = values_sources_least(&field->sources))
		if (watch_step(field->watch, WATCH_FIND, error) != 0 ||
		    value_source_list(&field->sources, source, &list, error) != 0 ||
		    posting_list_numbers(&list, numbers, error) != 0 ||
		    values_sources_pass(&field->sources, error) != 0)
			return error->code;
	postings_and_not(numbers, &field->reading.snapshot->deleted);
	return 0;
}

/* The smallest of those that differ from the folded text: the first that a live document has. */
static int spell_differing(struct facet_field *field, struct slice folded, const struct value_range *range,
                           struct buffer *spelling, struct error *error)
{
	struct postings numbers;
	struct value_key key = {.len = 0};
	struct value value = {0};
	int rc = values_sources_seek(&field->sources, range, error);

	postings_init(&numbers);
	while (rc == 0 && numbers.len == 0 && values_sources_least(&field->sources) != NULL)
		rc = key_pass(field, &key, &numbers, error);
	if (rc == 0 && numbers.len > 0) {
		(void)value_read(slice_of(key.bytes, key.len), &value);
		if (value.spelling_is_cut)
			rc = spell_bodies(field, folded, &numbers, spelling, error);
		else if (!take_smaller(spelling, value.spelling))
			rc = error_memory(error, value.spelling.len);
	}
	postings_deinit(&numbers);
	return rc;
}

/* The folded text, if a document has no other spelling of it. */
static int spell_plain(struct facet_field *field, struct slice folded, const struct value_range *differing,
                       struct buffer *spelling, struct error *error)
{
	struct postings numbers;
	struct postings others;
	struct value_range range;
	int rc;

	postings_init(&numbers);
	postings_init(&others);
	value_key_text(&range.from, field->attribute, folded);
	range.to = range.from;
	rc = range_numbers(field, &range, &numbers, error);
	if (rc == 0)
		rc = range_numbers(field, differing, &others, error);
	postings_and_not(&numbers, &others);
	if (rc == 0 && numbers.len > 0 && !take_smaller(spelling, folded))
		rc = error_memory(error, folded.len);
	postings_deinit(&numbers);
	postings_deinit(&others);
	return rc;
}

/* What no SPELLING is kept of: every document that has it is read. */
static int spell_long(struct facet_field *field, struct slice folded, struct buffer *spelling,
                      struct error *error)
{
	struct postings numbers;
	struct value_range range;
	int rc;

	postings_init(&numbers);
	value_key_text(&range.from, field->attribute, folded);
	range.to = range.from;
	rc = range_numbers(field, &range, &numbers, error);
	if (rc == 0)
		rc = spell_bodies(field, folded, &numbers, spelling, error);
	postings_deinit(&numbers);
	return rc;
}

int facet_field_spell(struct facet_field *field, struct slice folded, struct buffer *spelling,
                      struct error *error)
{
	struct value_range range;

	if (folded.len > VALUE_TEXT_BYTES_MAX)
		return spell_long(field, folded, spelling, error);
	value_range_spellings(&range, field->attribute, folded);
	if (spell_differing(field, folded, &range, spelling, error) != 0)
		return error->code;
	if (spelling->len > 0 && slice_compare(buffer_slice(spelling), folded) < 0)
		return 0;
	return spell_plain(field, folded, &range, spelling, error);
}
