#include "shard/engine/format_private.h"

/* What is done with the part of a document that is chosen. */
enum purpose {
	PURPOSE_SHOW,   /* written as it stands */
	PURPOSE_SHAPE,  /* written with texts marked and cropped */
	PURPOSE_LOCATE, /* its matches are listed by path, nothing is written */
};

struct walk {
	struct format *format;
	enum purpose purpose;
	const struct format_names *names; /* that are chosen */
	struct buffer *out;
	size_t begin; /* of what is added to it */
	struct format_style style;
	size_t depth;                     /* containers around, in the document */
	uint32_t indices[JSON_DEPTH_MAX]; /* in the arrays around */
	size_t indices_len;
	struct error *error;
};

static int walk_members(struct walk *walk, yyjson_val *object, bool whole);

static void put(struct walk *walk, const char *text)
{
	if (walk->purpose != PURPOSE_LOCATE)
		buffer_append_string(walk->out, text);
}

static int check(const struct walk *walk)
{
	if (buffer_failed(walk->out))
		return error_memory(walk->error, walk->out->len);
	if (walk->out->len - walk->begin > FORMAT_BYTES_MAX)
		return format_too_long(walk->error);
	return 0;
}

static int shape(struct walk *walk, struct slice bytes)
{
	struct format *format = walk->format;
	struct format_matches matches = {0};
	struct format_span span = {0};
	struct format_text text;

	if (!walk->style.highlights && walk->style.crop_words == 0) {
		json_append_string(walk->out, bytes);
		return 0;
	}
	if (format_read(format, bytes, &text, &matches, walk->error) != 0)
		return walk->error->code;
	span.end = (uint32_t)bytes.len;
	if (walk->style.crop_words > 0)
		span = format_crop(&text, matches, walk->style.crop_words);
	if (!walk->style.highlights)
		matches.len = 0;
	buffer_clear(&format->shaped);
	if (format_mark(format, span, bytes, matches, &format->shaped, walk->error) != 0)
		return walk->error->code;
	json_append_string(walk->out, buffer_slice(&format->shaped));
	return 0;
}

/* Of the path at hand, empty or with the rows of an element before. */
static int place_of(struct walk *walk, struct format_place **place)
{
	struct format *format = walk->format;
	uint64_t *known = map_get(&format->places_by_path, buffer_slice(&format->path));
	struct format_place added = {.at = format->rows.len};
	size_t number = known != NULL ? (size_t)*known : format->places.len / sizeof added;

	if (known == NULL) {
		if (!arena_copy(&format->paths, buffer_slice(&format->path), &added.path) ||
		    !map_put(&format->places_by_path, added.path, number))
			return error_memory(walk->error, format->path.len);
		buffer_append(&format->places, &added, sizeof added);
		if (buffer_failed(&format->places))
			return error_memory(walk->error, format->places.len);
	}
	*place = (struct format_place *)(void *)format->places.ptr + number;
	return 0;
}

static void put_row(const struct walk *walk, const struct format_match *match)
{
	struct buffer *rows = &walk->format->rows;

	buffer_printf(rows, "{\"start\":%u,\"length\":%u", match->start, match->end - match->start);
	for (size_t i = 0; i < walk->indices_len; i++)
		buffer_printf(rows, "%s%u", i == 0 ? ",\"indices\":[" : ",", walk->indices[i]);
	buffer_append_string(rows, walk->indices_len > 0 ? "]}" : "}");
}

static int locate(struct walk *walk, struct slice bytes)
{
	struct buffer *rows = &walk->format->rows;
	struct format_matches matches;
	struct format_place *place = NULL;
	struct format_text text;

	if (format_read(walk->format, bytes, &text, &matches, walk->error) != 0)
		return walk->error->code;
	if (matches.len == 0)
		return 0;
	if (place_of(walk, &place) != 0)
		return walk->error->code;
	if (place->at + place->len == rows->len)
		rows->len = place->at;
	place->at = rows->len;
	for (size_t i = 0; i < matches.len && rows->len <= FORMAT_BYTES_MAX; i++) {
		buffer_put_u8(rows, i == 0 ? '[' : ',');
		put_row(walk, &matches.matches[i]);
	}
	buffer_put_u8(rows, ']');
	place->len = rows->len - place->at;
	if (buffer_failed(rows))
		return error_memory(walk->error, rows->len);
	return rows->len > FORMAT_BYTES_MAX ? format_too_long(walk->error) : 0;
}

static int walk_text(struct walk *walk, struct slice text, bool is_string)
{
	switch (walk->purpose) {
	case PURPOSE_SHAPE:
		return shape(walk, text);
	case PURPOSE_LOCATE:
		return locate(walk, text);
	case PURPOSE_SHOW:
		break;
	}
	if (is_string)
		json_append_string(walk->out, text);
	else
		buffer_append_slice(walk->out, text);
	return 0;
}

static int walk_scalar(struct walk *walk, yyjson_val *value)
{
	int rc = 0;

	if (yyjson_is_str(value))
		rc = walk_text(walk, json_string(value), true);
	else if (yyjson_is_raw(value))
		rc = walk_text(walk, json_raw_number(value), false);
	else
		put(walk, yyjson_is_null(value) ? "null" : yyjson_get_bool(value) ? "true" : "false");
	return rc < 0 ? rc : check(walk);
}

/* The walks below: `whole`: all of the value is chosen, not only what the names cover. 1, or 0 if nothing of it is. */
static int walk_value(struct walk *walk, yyjson_val *value, bool whole);

static int walk_elements(struct walk *walk, yyjson_val *array, bool whole)
{
	uint32_t *index = &walk->indices[walk->indices_len];
	yyjson_val *element;
	size_t at;
	size_t len;

	*index = 0; /* among those chosen */
	walk->indices_len++;
	yyjson_arr_foreach(array, at, len, element)
	{
		size_t mark = walk->out->len;
		int rc;

		if (!whole && !yyjson_is_ctn(element))
			continue;
		if (*index > 0)
			put(walk, ",");
		rc = walk_value(walk, element, whole);
		if (rc < 0)
			return rc;
		if (rc == 0)
			walk->out->len = mark;
		*index += (uint32_t)rc;
	}
	walk->indices_len--;
	return whole || *index > 0;
}

static int walk_value(struct walk *walk, yyjson_val *value, bool whole)
{
	bool is_array = yyjson_is_arr(value);
	int rc;

	if (!yyjson_is_ctn(value)) {
		rc = walk_scalar(walk, value);
		return rc < 0 ? rc : 1;
	}
	if (++walk->depth >= JSON_DEPTH_MAX)
		return error_set(walk->error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "a document is nested deeper than %d", JSON_DEPTH_MAX);
	put(walk, is_array ? "[" : "{");
	rc = is_array ? walk_elements(walk, value, whole) : walk_members(walk, value, whole);
	put(walk, is_array ? "]" : "}");
	walk->depth--;
	return rc;
}

enum choice {
	CHOICE_NONE,
	CHOICE_PART, /* of a container */
	CHOICE_WHOLE
};

static enum choice choose(const struct walk *walk, yyjson_val *value)
{
	struct slice path = buffer_slice(&walk->format->path);
	enum choice choice = CHOICE_NONE;

	for (size_t i = 0; i < walk->names->len; i++) {
		if (format_covers(walk->names->names[i], path))
			return CHOICE_WHOLE;
		if (yyjson_is_ctn(value) && format_covers(path, walk->names->names[i]))
			choice = CHOICE_PART;
	}
	return choice;
}

/* Written with its key, `separator` before it; 0 if nothing of it is chosen. The path at hand is its own. */
static int walk_member(struct walk *walk, const char *separator, struct slice key, yyjson_val *value,
                       bool whole)
{
	enum choice choice = whole ? CHOICE_WHOLE : choose(walk, value);
	struct format_style around = walk->style;
	size_t mark = walk->out->len;
	int rc;

	if (choice == CHOICE_NONE)
		return 0;
	put(walk, separator);
	if (walk->purpose != PURPOSE_LOCATE)
		json_append_string(walk->out, key);
	put(walk, ":");
	if (walk->purpose == PURPOSE_SHAPE)
		walk->style = format_style_of(walk->format, buffer_slice(&walk->format->path));
	rc = walk_value(walk, value, choice == CHOICE_WHOLE);
	walk->style = around;
	if (rc == 0 && yyjson_is_arr(value))
		return 1; /* an array stays, even if empty */
	if (rc == 0)
		walk->out->len = mark;
	return rc;
}

/* A member of the document called as one of ours. */
static bool gives_way(const struct walk *walk, struct slice key)
{
	const struct format *format = walk->format;

	if (walk->depth > 0 || walk->purpose != PURPOSE_SHOW)
		return false;
	return (format->fields_len > 0 && slice_equal(key, slice_string("_formatted"))) ||
	       (format->request.shows_positions && slice_equal(key, slice_string("_matchesPosition")));
}

static int walk_members(struct walk *walk, yyjson_val *object, bool whole)
{
	struct buffer *path = &walk->format->path;
	size_t around = path->len;
	bool any = false;
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t len;

	yyjson_obj_foreach(object, at, len, key, value)
	{
		struct slice name = json_string(key);
		int rc;

		if (gives_way(walk, name))
			continue;
		if (around > 0)
			buffer_put_u8(path, '.');
		buffer_append_slice(path, name);
		if (buffer_failed(path))
			return error_memory(walk->error, path->len);
		rc = walk_member(walk, any ? "," : "", name, value, whole);
		if (rc < 0)
			return rc;
		any |= rc > 0;
		path->len = around;
	}
	return whole || any;
}

/* Negative, or not. */
static int walk_document(struct walk *walk, yyjson_val *document, const struct format_names *names)
{
	buffer_clear(&walk->format->path);
	walk->names = names;
	return walk_members(walk, document, format_names_all(names));
}

static void put_name(struct walk *walk, const char *name)
{
	buffer_printf(walk->out, "%s\"%s\":{", walk->out->len > walk->begin ? "," : "", name);
}

static int append_positions(struct walk *walk, yyjson_val *document)
{
	struct format *format = walk->format;
	const struct format_place *places;

	buffer_clear(&format->rows);
	buffer_clear(&format->places);
	map_clear(&format->places_by_path);
	arena_clear(&format->paths);
	walk->purpose = PURPOSE_LOCATE;
	if (format->request.matcher->query->nodes_len > 0 &&
	    walk_document(walk, document, &format->displayed) < 0)
		return walk->error->code;
	put_name(walk, "_matchesPosition");
	places = (const struct format_place *)(const void *)format->places.ptr;
	for (size_t i = 0; i < format->places.len / sizeof *places; i++) {
		buffer_append_string(walk->out, i > 0 ? "," : "");
		json_append_string(walk->out, places[i].path);
		buffer_put_u8(walk->out, ':');
		buffer_append(walk->out, format->rows.ptr + places[i].at, places[i].len);
	}
	buffer_put_u8(walk->out, '}');
	return 0;
}

static int append_all(struct walk *walk, yyjson_val *document)
{
	const struct format *format = walk->format;

	if (walk_document(walk, document, &format->retrieved) < 0)
		return walk->error->code;
	if (format->fields_len > 0) {
		walk->purpose = PURPOSE_SHAPE;
		put_name(walk, "_formatted");
		if (walk_document(walk, document, &format->formatted) < 0)
			return walk->error->code;
		buffer_put_u8(walk->out, '}');
	}
	if (format->request.shows_positions && append_positions(walk, document) != 0)
		return walk->error->code;
	return check(walk);
}

int format_append(struct format *format, yyjson_val *document, struct buffer *out, struct error *error)
{
	struct walk walk = {
		.format = format,
		.purpose = PURPOSE_SHOW,
		.out = out,
		.begin = out->len,
		.error = error,
	};

	if (append_all(&walk, document) == 0)
		return 0;
	out->len = walk.begin;
	return error->code;
}
