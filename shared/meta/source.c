#include "shared/meta/source.h"

#include "shared/base/hash.h"
#include "shared/meta/catalog_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP_SOURCE_BYTES_MAX 120

void source_group_print(uint64_t index_id, const struct source_record *source, char group[SOURCE_GROUP_BYTES])
{
	char name[GROUP_SOURCE_BYTES_MAX + 1];

	if (strlen(source->name) <= GROUP_SOURCE_BYTES_MAX)
		(void)snprintf(name, sizeof name, "%.*s", GROUP_SOURCE_BYTES_MAX, source->name);
	else
		(void)snprintf(name, sizeof name, "%016" PRIx64, hash64(slice_string(source->name), 0));
	(void)snprintf(group, SOURCE_GROUP_BYTES, "import.%016" PRIx64 ".%s.%" PRIu32, index_id, name,
	               source->life);
}

static int malformed(struct error *error, size_t i, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
	                 "member %s of source %zu is missing or not valid", what, i);
}

bool topic_name_is_valid(struct slice name)
{
	if (name.len < 1 || name.len > TOPIC_BYTES_MAX || slice_equal(name, slice_string(".")) ||
	    slice_equal(name, slice_string("..")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static bool pattern_is_valid(struct slice pattern)
{
	if (pattern.len < 2 || pattern.ptr[0] != '^')
		return false;
	for (size_t i = 0; i < pattern.len; i++)
		if (pattern.ptr[i] < 0x20 || pattern.ptr[i] == 0x7f)
			return false;
	return true;
}

/* A whole number without sign, of raw text; false above `max`. */
static bool get_number(yyjson_val *value, uint64_t max, uint64_t *out)
{
	struct slice text = json_raw_number(value);
	uint64_t number = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)text.ptr[i] - '0';

		if (digit > 9 || number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*out = number;
	return true;
}

/* A member that may be absent: `text` stays empty then. */
static bool get_topic(yyjson_val *object, const char *name, char *text)
{
	return yyjson_obj_get(object, name) == NULL ||
	       (meta_record_text(object, name, text, TOPIC_BYTES_MAX + 1) &&
	        topic_name_is_valid(slice_string(text)));
}

static int names_fill(yyjson_val *object, size_t i, struct source_record *source, struct error *error)
{
	if (!get_topic(object, "topic", source->topic))
		return malformed(error, i, "topic");
	if (yyjson_obj_get(object, "pattern") != NULL &&
	    (!meta_record_text(object, "pattern", source->pattern, sizeof source->pattern) ||
	     !pattern_is_valid(slice_string(source->pattern))))
		return malformed(error, i, "pattern");
	if ((source->topic[0] == '\0') == (source->pattern[0] == '\0'))
		return malformed(error, i, "topic or pattern (exactly one)");
	memcpy(source->name, source->topic, sizeof source->name);
	if (!get_topic(object, "name", source->name) || source->name[0] == '\0')
		return malformed(error, i, "name");
	if (!get_topic(object, "dead_letter_topic", source->dead_letter_topic))
		return malformed(error, i, "dead_letter_topic");
	return 0;
}

/* Rules go to the end of `texts`; where they lie is known once all are there. */
static int source_fill(yyjson_val *object, size_t i, struct source_record *source, struct buffer *texts,
                       struct error *error)
{
	yyjson_val *life = yyjson_obj_get(object, "life");
	yyjson_val *start = yyjson_obj_get(object, "start_ms");
	yyjson_val *rules = yyjson_obj_get(object, "rules");
	uint64_t number = 1;
	size_t before = texts->len;
	int status = names_fill(object, i, source, error);

	if (status != 0)
		return status;
	if (life != NULL && (!get_number(life, UINT32_MAX, &number) || number == 0))
		return malformed(error, i, "life");
	source->life = (uint32_t)number;
	if (yyjson_obj_get(object, "paused") != NULL && !json_get_bool(object, "paused", &source->paused))
		return malformed(error, i, "paused");
	number = 0;
	if (start != NULL && !get_number(start, INT64_MAX, &number))
		return malformed(error, i, "start_ms");
	source->start_ms = (int64_t)number;
	if (rules != NULL && !yyjson_is_obj(rules))
		return malformed(error, i, "rules");
	if (rules == NULL)
		buffer_append_string(texts, "{}");
	else
		status = json_append_value(texts, rules, error);
	if (status != 0 && !buffer_failed(texts))
		return status;
	source->rules.len = texts->len - before;
	if (buffer_failed(texts) || source->rules.len > SOURCE_RULES_BYTES_MAX)
		return error_set(
			error, ERROR_LIMIT, ERROR_ACTION_REJECT,
			"rules of source %zu are longer than %u bytes, or those of all longer than %u", i,
			SOURCE_RULES_BYTES_MAX, SOURCES_RULES_BYTES_MAX);
	return 0;
}

/* Lets each source's rules begin where those before it end. */
static void place_rules(struct source_record *sources, size_t len, const uint8_t *texts)
{
	for (size_t i = 0; i < len; i++) {
		sources[i].rules.ptr = texts;
		texts += sources[i].rules.len;
	}
}

static int fill_all(yyjson_val *value, struct source_record *sources, size_t len, struct buffer *texts,
                    struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < len && status == 0; i++) {
		yyjson_val *object = yyjson_is_arr(value) ? yyjson_arr_get(value, i) : value;

		if (!yyjson_is_obj(object))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "source %zu is not an object", i);
		status = source_fill(object, i, &sources[i], texts, error);
		if (status == 0 && source_find(sources, i, sources[i].name) != NULL)
			status = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                   "there are two sources with the name %s", sources[i].name);
	}
	return status;
}

int sources_take(yyjson_val *value, struct source_record **sources, size_t *len, struct error *error)
{
	size_t count = yyjson_is_arr(value) ? yyjson_arr_size(value) : 1;
	struct source_record *list;
	struct buffer texts;
	int status;

	if (value != NULL && !yyjson_is_arr(value) && !yyjson_is_obj(value))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "sources are not a list");
	if (count > SOURCES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "%zu sources; an index has at most %d", count, SOURCES_MAX);
	if (value == NULL || count == 0) {
		*sources = NULL;
		*len = 0;
		return 0;
	}
	list = calloc(count, sizeof *list);
	if (list == NULL)
		return error_memory(error, count * sizeof *list);
	buffer_init(&texts, SOURCES_RULES_BYTES_MAX);
	status = fill_all(value, list, count, &texts, error);
	if (status == 0) {
		struct source_record *block;

		place_rules(list, count, texts.ptr);
		block = sources_copy(list, count, NULL);
		if (block == NULL) {
			status = error_memory(error, count * sizeof *list + texts.len);
		} else {
			*sources = block;
			*len = count;
		}
	}
	buffer_deinit(&texts);
	free(list);
	return status;
}

int sources_read(struct slice record, const char *member, struct source_record **sources, size_t *len,
                 struct error *error)
{
	yyjson_doc *doc;
	int status = json_parse(record, JSON_DEPTH_MAX, &doc, error);

	if (status != 0)
		return status;
	status = sources_take(yyjson_obj_get(yyjson_doc_get_root(doc), member), sources, len, error);
	yyjson_doc_free(doc);
	return status;
}

static void append_member(struct buffer *buffer, const char *name, const char *text)
{
	buffer_printf(buffer, ",\"%s\":", name);
	json_append_string(buffer, slice_string(text));
}

void source_append(struct buffer *buffer, const struct source_record *source)
{
	buffer_append_string(buffer, "{\"name\":");
	json_append_string(buffer, slice_string(source->name));
	if (source->topic[0] != '\0')
		append_member(buffer, "topic", source->topic);
	else
		append_member(buffer, "pattern", source->pattern);
	buffer_printf(buffer, ",\"life\":%" PRIu32 ",\"paused\":%s,\"start_ms\":%" PRId64, source->life,
	              source->paused ? "true" : "false", source->start_ms);
	if (source->dead_letter_topic[0] != '\0')
		append_member(buffer, "dead_letter_topic", source->dead_letter_topic);
	buffer_append_string(buffer, ",\"rules\":");
	buffer_append_slice(buffer, source->rules);
	buffer_append_string(buffer, "}");
}

void sources_append(struct buffer *buffer, const struct source_record *sources, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(buffer, i == 0 ? "[" : ",");
		source_append(buffer, &sources[i]);
	}
	buffer_append_string(buffer, len == 0 ? "[]" : "]");
}

struct source_record *sources_copy(const struct source_record *sources, size_t len,
                                   const struct source_record *more)
{
	size_t total = len + (more != NULL ? 1 : 0);
	size_t bytes = more != NULL ? more->rules.len : 0;
	struct source_record *block;
	uint8_t *text;

	for (size_t i = 0; i < len; i++)
		bytes += sources[i].rules.len;
	block = total == 0 ? NULL : malloc(total * sizeof *block + bytes);
	if (block == NULL)
		return NULL;
	text = (uint8_t *)(block + total);
	for (size_t i = 0; i < total; i++) {
		block[i] = i < len ? sources[i] : *more;
		if (block[i].rules.len > 0)
			memcpy(text, block[i].rules.ptr, block[i].rules.len);
		block[i].rules.ptr = text;
		text += block[i].rules.len;
	}
	return block;
}

const struct source_record *source_find(const struct source_record *sources, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(sources[i].name, name) == 0)
			return &sources[i];
	return NULL;
}

bool source_equal(const struct source_record *a, const struct source_record *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->topic, b->topic) == 0 &&
	       strcmp(a->pattern, b->pattern) == 0 &&
	       strcmp(a->dead_letter_topic, b->dead_letter_topic) == 0 && slice_equal(a->rules, b->rules);
}
