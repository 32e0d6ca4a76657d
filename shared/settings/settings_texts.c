#include "shared/settings/settings_private.h"

#include <inttypes.h>
#include <stdlib.h>

#define STAR "*"

int settings_take(struct reading *reading, struct slice text, struct slice *copy)
{
	return arena_copy(reading->arena, text, copy) ? 0 : ERROR_MEMORY;
}

/* ---- lists ---- */

int settings_read_texts(struct reading *reading, const struct place *place, yyjson_val *value, size_t max,
                        struct settings_texts *texts)
{
	struct slice *list;
	yyjson_val *item;
	size_t at;
	size_t len;

	if (!yyjson_is_arr(value))
		return settings_refuse_type(reading, place, "an array", value);
	if (yyjson_arr_size(value) > max)
		return settings_refuse(reading, place, ERROR_LIMIT,
		                       "Millrace allows %zu entries, but found %zu", max,
		                       yyjson_arr_size(value));
	list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_arr_foreach(value, at, len, item)
	{
		struct place here = {.above = place, .at = at};

		if (!yyjson_is_str(item))
			return settings_refuse_type(reading, &here, "a string", item);
		if (settings_take(reading, json_string(item), &list[at]) < 0)
			return ERROR_MEMORY;
	}
	*texts = (struct settings_texts){list, yyjson_arr_size(value)};
	return 0;
}

int settings_read_patterns(struct reading *reading, const struct place *place, yyjson_val *value,
                           void *member)
{
	struct settings_texts texts;
	int rc = settings_read_texts(reading, place, value, SETTINGS_ATTRIBUTES_MAX, &texts);

	for (size_t i = 0; rc == 0 && i < texts.len; i++) {
		struct place here = {.above = place, .at = i};

		if (texts.list[i].len > SETTINGS_PATH_BYTES_MAX)
			return settings_refuse(reading, &here, ERROR_LIMIT,
			                       "Millrace allows %d bytes, but found %zu",
			                       SETTINGS_PATH_BYTES_MAX, texts.list[i].len);
	}
	if (rc == 0)
		*(struct settings_texts *)member = texts;
	return rc;
}

static int order_texts(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The list was made just now. */
static void make_set(struct settings_texts *texts)
{
	struct slice *list = (struct slice *)(uintptr_t)texts->list;
	size_t kept = 0;

	if (texts->len > 0)
		qsort(list, texts->len, sizeof *list, order_texts);
	for (size_t i = 0; i < texts->len; i++)
		if (i == 0 || !slice_equal(list[i], list[kept - 1]))
			list[kept++] = list[i];
	texts->len = kept;
}

int settings_read_attribute_set(struct reading *reading, const struct place *place, yyjson_val *value,
                                void *member)
{
	int rc = settings_read_patterns(reading, place, value, member);

	if (rc == 0)
		make_set(member);
	return rc;
}

int settings_read_word_set(struct reading *reading, const struct place *place, yyjson_val *value,
                           void *member)
{
	struct settings_texts texts;
	int rc = settings_read_texts(reading, place, value, SETTINGS_WORDS_MAX, &texts);

	if (rc == 0) {
		make_set(&texts);
		*(struct settings_texts *)member = texts;
	}
	return rc;
}

static bool has_text(const struct slice *list, size_t len, struct slice text)
{
	for (size_t i = 0; i < len; i++)
		if (slice_equal(list[i], text))
			return true;
	return false;
}

int settings_read_fields(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	struct settings_texts *texts = member;
	int rc = settings_read_patterns(reading, place, value, member);
	struct slice *list;
	size_t kept = 0;

	if (rc < 0)
		return rc;
	list = (struct slice *)(uintptr_t)texts->list;
	for (size_t i = 0; i < texts->len; i++)
		if (!has_text(list, kept, list[i]))
			list[kept++] = list[i];
	texts->len = kept;
	if (has_text(list, kept, slice_string(STAR))) {
		list[0] = slice_string(STAR);
		texts->len = 1;
	}
	return 0;
}

static void append_texts(const void *member, struct buffer *json)
{
	const struct settings_texts *texts = member;

	buffer_put_u8(json, '[');
	for (size_t i = 0; i < texts->len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		json_append_string(json, texts->list[i]);
	}
	buffer_put_u8(json, ']');
}

void settings_append_fields(const void *member, struct buffer *json)
{
	append_texts(member, json);
}

void settings_append_attribute_set(const void *member, struct buffer *json)
{
	append_texts(member, json);
}

void settings_append_word_set(const void *member, struct buffer *json)
{
	append_texts(member, json);
}

void settings_append_patterns(const void *member, struct buffer *json)
{
	append_texts(member, json);
}

/* ---- scalars ---- */

int settings_read_flag(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	if (!yyjson_is_bool(value))
		return settings_refuse_type(reading, place, "a boolean", value);
	*(bool *)member = yyjson_get_bool(value);
	return 0;
}

void settings_append_flag(const void *member, struct buffer *json)
{
	buffer_append_string(json, *(const bool *)member ? "true" : "false");
}

int settings_read_text(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	if (!yyjson_is_str(value))
		return settings_refuse_type(reading, place, "a string", value);
	if (yyjson_get_len(value) > SETTINGS_PATH_BYTES_MAX)
		return settings_refuse(reading, place, ERROR_LIMIT, "Millrace allows %d bytes, but found %zu",
		                       SETTINGS_PATH_BYTES_MAX, yyjson_get_len(value));
	return settings_take(reading, json_string(value), member);
}

void settings_append_text(const void *member, struct buffer *json)
{
	const struct slice *text = member;

	if (text->ptr == NULL)
		buffer_append_string(json, "null");
	else
		json_append_string(json, *text);
}

int settings_read_count(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	if (!yyjson_is_uint(value))
		return settings_refuse_type(reading, place, "a positive integer", value);
	*(uint64_t *)member = yyjson_get_uint(value);
	return 0;
}

void settings_append_count(const void *member, struct buffer *json)
{
	buffer_printf(json, "%" PRIu64, *(const uint64_t *)member);
}

int settings_read_positive(struct reading *reading, const struct place *place, yyjson_val *value,
                           void *member)
{
	if (yyjson_is_uint(value) && yyjson_get_uint(value) == 0)
		return settings_refuse(reading, place, ERROR_FORMAT,
		                       "a non-zero integer value lower than `%" PRIu64
		                       "` was expected, but found a zero",
		                       UINT64_MAX);
	return settings_read_count(reading, place, value, member);
}

void settings_append_positive(const void *member, struct buffer *json)
{
	settings_append_count(member, json);
}

int settings_read_choice(struct reading *reading, const struct place *place, yyjson_val *value,
                         const char *const names[2], bool *second)
{
	struct slice name = json_string(value);

	if (!yyjson_is_str(value))
		return settings_refuse_type(reading, place, "a string", value);
	for (size_t i = 0; i < 2; i++)
		if (slice_equal(name, slice_string(names[i]))) {
			*second = i == 1;
			return 0;
		}
	return settings_refuse_value(reading, place, name, (struct known_names){names, 2});
}

static const char *const precisions[2] = {"byWord", "byAttribute"};
static const char *const prefix_searches[2] = {"indexingTime", "disabled"};

int settings_read_proximity(struct reading *reading, const struct place *place, yyjson_val *value,
                            void *member)
{
	return settings_read_choice(reading, place, value, precisions, member);
}

void settings_append_proximity(const void *member, struct buffer *json)
{
	json_append_string(json, slice_string(precisions[*(const bool *)member]));
}

int settings_read_prefix(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	bool disabled;
	int rc = settings_read_choice(reading, place, value, prefix_searches, &disabled);

	if (rc == 0)
		*(bool *)member = !disabled;
	return rc;
}

void settings_append_prefix(const void *member, struct buffer *json)
{
	json_append_string(json, slice_string(prefix_searches[!*(const bool *)member]));
}

/* ---- what Millrace has not ---- */

int settings_read_embedders(struct reading *reading, const struct place *place, yyjson_val *value,
                            void *member)
{
	yyjson_val *key;
	yyjson_val *embedder;
	size_t at;
	size_t len;

	(void)member;
	if (!yyjson_is_obj(value))
		return settings_refuse_type(reading, place, "an object", value);
	yyjson_obj_foreach(value, at, len, key, embedder)
	{
		struct place here = {.above = place, .key = json_string(key)};

		if (!yyjson_is_null(embedder))
			return settings_refuse(reading, &here, ERROR_FORMAT, "Millrace has no embedders");
	}
	return 0;
}

void settings_append_embedders(const void *member, struct buffer *json)
{
	(void)member;
	buffer_append_string(json, "{}");
}

int settings_read_unavailable(struct reading *reading, const struct place *place, yyjson_val *value,
                              void *member)
{
	(void)value;
	(void)member;
	reading->code = "feature_not_enabled";
	return settings_refuse(reading, place, ERROR_FORMAT, "Millrace does not have this setting");
}

void settings_append_foreign_keys(const void *member, struct buffer *json)
{
	(void)member;
	buffer_append_string(json, "[]");
}

void settings_append_chat(const void *member, struct buffer *json)
{
	(void)member;
	buffer_append_string(json, "{}");
}
