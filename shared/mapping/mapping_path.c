#include "shared/mapping/mapping_private.h"

#include "shared/base/assert.h"

#include <inttypes.h>

#define ID_PARTS_MAX 32
#define NAME_SHOWN_MAX 64

const char mapping_out_of_memory[] = "out of memory";

/* A copy in the arena that is not NULL even if it is empty. */
static bool keep(struct arena *arena, const struct buffer *text, struct slice *kept)
{
	return !buffer_failed(text) && arena_copy(arena, buffer_slice(text), kept);
}

/* One name up to a plain dot or the end; `*escaped` if a backslash stood before its first character. */
static const char *take_name(struct slice *text, struct buffer *name, bool *escaped)
{
	buffer_clear(name);
	*escaped = text->len > 0 && text->ptr[0] == '\\';
	while (text->len > 0 && text->ptr[0] != '.') {
		if (text->ptr[0] == '\\')
			*text = slice_of(text->ptr + 1, text->len - 1);
		if (text->len == 0)
			return "ends with a backslash; it makes the next character plain";
		buffer_put_u8(name, text->ptr[0]);
		*text = slice_of(text->ptr + 1, text->len - 1);
	}
	return name->len == 0 ? "has an empty name; a path is names with dots between them" : NULL;
}

static enum mapping_root root_of(struct slice name)
{
	if (slice_equal(name, slice_string("key")))
		return MAPPING_ROOT_KEY;
	if (slice_equal(name, slice_string("ce")))
		return MAPPING_ROOT_EVENT;
	return MAPPING_ROOT_PAYLOAD;
}

static const char *parse_names(struct slice text, bool rooted, struct buffer *name, struct mapping_path *path,
                               struct arena *arena)
{
	for (bool first = true;; first = false) {
		bool escaped;
		const char *wrong = take_name(&text, name, &escaped);

		if (wrong != NULL)
			return wrong;
		if (first && rooted && !escaped)
			path->root = root_of(buffer_slice(name));
		if (!first || path->root == MAPPING_ROOT_PAYLOAD) {
			if (path->segments_len == MAPPING_PATH_SEGMENTS_MAX)
				return "has more than 32 names";
			if (!keep(arena, name, &path->segments[path->segments_len++]))
				return mapping_out_of_memory;
		}
		if (text.len == 0)
			return NULL;
		text = slice_of(text.ptr + 1, text.len - 1);
	}
}

const char *mapping_path_parse(struct slice text, bool rooted, struct arena *arena, struct mapping_path *path)
{
	struct mapping_path parsed = {.root = MAPPING_ROOT_PAYLOAD};
	struct buffer name;
	const char *wrong;

	parsed.segments = arena_alloc(arena, MAPPING_PATH_SEGMENTS_MAX * sizeof *parsed.segments);
	if (parsed.segments == NULL)
		return mapping_out_of_memory;
	buffer_init(&name, MAPPING_RULES_BYTES_MAX);
	wrong = parse_names(text, rooted, &name, &parsed, arena);
	if (wrong == NULL && parsed.root == MAPPING_ROOT_EVENT && parsed.segments_len != 1)
		wrong = "names an event; one attribute of it is ce.<attribute>";
	buffer_deinit(&name);
	if (wrong == NULL)
		*path = parsed;
	return wrong;
}

static bool is_id_character(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

/* The end of the path that begins at `at`: its closing brace, or the text's end. */
static size_t brace_end(struct slice text, size_t at)
{
	while (at < text.len && text.ptr[at] != '}')
		at += text.ptr[at] == '\\' ? 2 : 1;
	return at < text.len ? at : text.len;
}

static const char *parse_part(struct slice text, size_t *at, bool after_path, struct arena *arena,
                              struct mapping_part *part)
{
	size_t begin = *at;
	size_t end;

	if (text.ptr[begin] != '{') {
		for (end = begin; end < text.len && text.ptr[end] != '{'; end++)
			if (!is_id_character(text.ptr[end]))
				return "has a character outside the braces that no id may have";
		*at = end;
		return arena_copy(arena, slice_of(text.ptr + begin, end - begin), &part->literal)
		               ? NULL
		               : mapping_out_of_memory;
	}
	end = brace_end(text, begin + 1);
	if (end == text.len)
		return "has a brace that is not closed";
	if (after_path)
		return "has two fields side by side; put a literal between them, or different records get "
		       "one id";
	*at = end + 1;
	return mapping_path_parse(slice_of(text.ptr + begin + 1, end - begin - 1), true, arena, &part->path);
}

static bool has_plain_brace(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '{' || text.ptr[i] == '}')
			return true;
		i += text.ptr[i] == '\\';
	}
	return false;
}

const char *mapping_id_parse(struct slice text, struct arena *arena, struct mapping_part **parts,
                             size_t *parts_len)
{
	struct mapping_part *parsed = arena_alloc(arena, ID_PARTS_MAX * sizeof *parsed);
	const char *wrong = NULL;
	bool path_seen = false;
	size_t len = 0;
	size_t at = 0;

	if (parsed == NULL)
		return mapping_out_of_memory;
	memset(parsed, 0, ID_PARTS_MAX * sizeof *parsed);
	if (!has_plain_brace(text)) {
		wrong = mapping_path_parse(text, true, arena, &parsed[0].path);
		len = 1;
		path_seen = true;
	} else {
		while (wrong == NULL && at < text.len && len < ID_PARTS_MAX) {
			wrong = parse_part(text, &at, len > 0 && parsed[len - 1].path.root != 0, arena,
			                   &parsed[len]);
			path_seen = path_seen || parsed[len].path.root != 0;
			len++;
		}
		if (wrong == NULL && at < text.len)
			wrong = "has more than 32 parts";
	}
	if (wrong == NULL && !path_seen)
		wrong = "names no field; every record would get the same id";
	if (wrong != NULL)
		return wrong;
	*parts = parsed;
	*parts_len = len;
	return NULL;
}

/* Means something in a path unless a backslash stands before it. */
static bool is_special(uint8_t c)
{
	return c == '.' || c == '\\' || c == '{' || c == '}';
}

void mapping_path_append(struct buffer *buffer, const struct mapping_path *path, bool rooted)
{
	if (path->root == MAPPING_ROOT_KEY)
		buffer_append_string(buffer, path->segments_len > 0 ? "key." : "key");
	if (path->root == MAPPING_ROOT_EVENT)
		buffer_append_string(buffer, "ce.");
	for (size_t i = 0; i < path->segments_len; i++) {
		struct slice name = path->segments[i];

		if (i > 0)
			buffer_put_u8(buffer, '.');
		else if (rooted && path->root == MAPPING_ROOT_PAYLOAD &&
		         root_of(name) != MAPPING_ROOT_PAYLOAD)
			buffer_put_u8(buffer, '\\');
		for (size_t at = 0; at < name.len; at++) {
			if (is_special(name.ptr[at]))
				buffer_put_u8(buffer, '\\');
			buffer_put_u8(buffer, name.ptr[at]);
		}
	}
}

void mapping_id_append(struct buffer *buffer, const struct mapping *mapping)
{
	if (mapping->id_len == 1) {
		mapping_path_append(buffer, &mapping->id[0].path, true);
		return;
	}
	for (size_t i = 0; i < mapping->id_len; i++) {
		const struct mapping_part *part = &mapping->id[i];

		if (part->path.root == 0) {
			buffer_append_slice(buffer, part->literal);
			continue;
		}
		buffer_put_u8(buffer, '{');
		mapping_path_append(buffer, &part->path, true);
		buffer_put_u8(buffer, '}');
	}
}

yyjson_val *mapping_member(yyjson_val *value, struct slice name)
{
	yyjson_val *found = NULL;
	yyjson_val *key;
	yyjson_val *member;
	size_t at;
	size_t count;

	if (!yyjson_is_obj(value))
		return NULL;
	yyjson_obj_foreach(value, at, count, key, member)
	{
		if (slice_equal(json_string(key), name))
			found = member;
	}
	return found;
}

/* Through objects only; NULL if there is no such value. */
static yyjson_val *resolve(yyjson_val *value, const struct mapping_path *path)
{
	for (size_t i = 0; i < path->segments_len && value != NULL; i++)
		value = mapping_member(value, path->segments[i]);
	return value;
}

/* An id being put together. */
struct id_text {
	struct mapping_work *work;
	struct buffer text;
	struct buffer name; /* of the path at hand, for refusals */
};

static enum mapping_verdict refuse_part(struct id_text *id, enum mapping_refusal_code code, const char *why)
{
	struct slice name = buffer_slice(&id->name);

	name.len = name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX;
	return mapping_refuse(id->work, code, "`%.*s`, which `id` names, %s", SLICE_ARGS(name), why);
}

static enum mapping_verdict add_text(struct id_text *id, struct slice text)
{
	uint32_t len_max = id->work->mapping->limits.id_bytes_max;

	for (size_t i = 0; i < text.len; i++)
		if (!is_id_character(text.ptr[i]))
			return refuse_part(
				id, MAPPING_REFUSAL_INVALID_DOCUMENT_ID,
				"has a character that no id may have: A-Z a-z 0-9 _ - are allowed");
	if (text.len > len_max || id->text.len + text.len > len_max)
		return mapping_refuse(id->work, MAPPING_REFUSAL_INVALID_DOCUMENT_ID,
		                      "the id is longer than %" PRIu32 " bytes", len_max);
	buffer_append_slice(&id->text, text);
	return MAPPING_VERDICT_APPLY;
}

/* A minus and digits; -0 would be another id than 0. */
static bool is_integer(struct slice number)
{
	size_t at = number.ptr[0] == '-';

	if (at == 1 && number.ptr[1] == '0')
		return false;
	for (; at < number.len; at++)
		if (number.ptr[at] < '0' || number.ptr[at] > '9')
			return false;
	return true;
}

static enum mapping_verdict add_value(struct id_text *id, yyjson_val *value)
{
	struct slice number = json_raw_number(value);

	if (value == NULL || yyjson_is_null(value))
		return refuse_part(id, MAPPING_REFUSAL_MISSING_ID, "is null or not there");
	if (yyjson_is_str(value) && yyjson_get_len(value) == 0)
		return refuse_part(id, MAPPING_REFUSAL_MISSING_ID, "is empty");
	if (yyjson_is_str(value))
		return add_text(id, json_string(value));
	if (number.ptr != NULL && is_integer(number))
		return add_text(id, number);
	if (number.ptr != NULL)
		return refuse_part(id, MAPPING_REFUSAL_INVALID_DOCUMENT_ID,
		                   "is a number not written as an integer");
	return refuse_part(id, MAPPING_REFUSAL_INVALID_DOCUMENT_ID,
	                   yyjson_is_obj(value) ? "is an object; name a field of it"
	                                        : "is neither a string nor an integer");
}

static enum mapping_verdict add_part(struct id_text *id, const struct mapping_path *path)
{
	struct mapping_work *work = id->work;
	struct slice attribute;

	buffer_clear(&id->name);
	mapping_path_append(&id->name, path, true);
	if (path->root == MAPPING_ROOT_PAYLOAD && work->tombstone)
		return refuse_part(
			id, MAPPING_REFUSAL_MISSING_ID,
			"is of the payload, but a tombstone has none: let `id` name the key, or set "
			"`tombstones` to ignore");
	if (path->root == MAPPING_ROOT_PAYLOAD)
		return add_value(id, resolve(work->payload, path));
	if (path->root == MAPPING_ROOT_EVENT) {
		attribute = mapping_attribute(work, path->segments[0]);
		return attribute.len > 0
		               ? add_text(id, attribute)
		               : refuse_part(id, MAPPING_REFUSAL_MISSING_ID, "is empty or not there");
	}
	if (work->record->key.len == 0)
		return mapping_refuse(work, MAPPING_REFUSAL_MISSING_KEY,
		                      "the record has no key, but `id` is made from it");
	if (!work->mapping->key_is_json)
		return add_text(id, work->record->key);
	return add_value(id, resolve(work->key, path));
}

enum mapping_verdict mapping_make_id(struct mapping_work *work)
{
	struct id_text id = {.work = work};
	enum mapping_verdict verdict = MAPPING_VERDICT_APPLY;

	buffer_init(&id.text, RECORD_ID_BYTES_MAX);
	buffer_init(&id.name, 2 * MAPPING_RULES_BYTES_MAX);
	for (size_t i = 0; i < work->mapping->id_len && verdict == MAPPING_VERDICT_APPLY; i++) {
		const struct mapping_part *part = &work->mapping->id[i];

		verdict = part->path.root == 0 ? add_text(&id, part->literal) : add_part(&id, &part->path);
	}
	if (verdict == MAPPING_VERDICT_APPLY && !keep(work->arena, &id.text, &work->mapped->id))
		verdict = MAPPING_VERDICT_MEMORY;
	buffer_deinit(&id.text);
	buffer_deinit(&id.name);
	return verdict;
}
