#include "shard/engine/format_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#define NAMES_BLOCK_BYTES 1024
#define PATHS_BLOCK_BYTES 1024

static bool is_all(struct slice name)
{
	return slice_equal(name, slice_string("*"));
}

bool format_names_all(const struct format_names *names)
{
	for (size_t i = 0; i < names->len; i++)
		if (is_all(names->names[i]))
			return true;
	return false;
}

static bool contains(const struct format_names *names, struct slice name)
{
	for (size_t i = 0; i < names->len; i++)
		if (slice_equal(names->names[i], name))
			return true;
	return false;
}

bool format_covers(struct slice name, struct slice path)
{
	return slice_starts_with(path, name) && (path.len == name.len || path.ptr[name.len] == '.');
}

struct format_style format_style_of(const struct format *format, struct slice path)
{
	struct format_style all = {0};
	struct format_style own = {0};
	bool has_own = false;

	for (size_t i = 0; i < format->fields_len; i++) {
		const struct format_field *field = &format->fields[i];

		if (is_all(field->name)) {
			all = field->style;
		} else if (format_covers(field->name, path) || format_covers(path, field->name)) {
			has_own = true;
			own.highlights |= field->style.highlights;
			if (field->style.crop_words > own.crop_words)
				own.crop_words = field->style.crop_words;
		}
	}
	return has_own ? own : all;
}

/* The field of that name, added if there is none. */
static struct format_field *field_of(struct format *format, struct slice name)
{
	for (size_t i = 0; i < format->fields_len; i++)
		if (slice_equal(format->fields[i].name, name))
			return &format->fields[i];
	format->fields[format->fields_len] = (struct format_field){.name = name};
	return &format->fields[format->fields_len++];
}

/* Behind the last colon; 0 without one. */
static size_t crop_colon(struct slice entry)
{
	size_t colon = entry.len;

	while (colon > 0 && entry.ptr[colon - 1] != ':')
		colon--;
	return colon;
}

struct slice format_crop_name(struct slice entry)
{
	size_t colon = crop_colon(entry);

	return colon > 0 ? slice_of(entry.ptr, colon - 1) : entry;
}

/* `name:words`; what follows the last colon and is no number, or nothing, stands for the request's. */
static void add_crop(struct format *format, struct slice entry)
{
	uint64_t words = 0;
	size_t colon = crop_colon(entry);
	size_t at;

	for (at = colon; at < entry.len && entry.ptr[at] >= '0' && entry.ptr[at] <= '9'; at++)
		if (words <= UINT32_MAX)
			words = 10 * words + (uint64_t)(entry.ptr[at] - '0');
	if (colon == 0 || at < entry.len || colon == entry.len)
		words = format->request.crop_words;
	field_of(format, format_crop_name(entry))->style.crop_words =
		words > UINT32_MAX ? UINT32_MAX : (uint32_t)words;
}

static bool is_shown(const struct format *format, struct slice name)
{
	const struct format_request *request = &format->request;

	return is_all(name) || (request->is_known(request->known_context, name) &&
	                        (format_names_all(&format->displayed) || contains(&format->displayed, name)));
}

static void fields_fill(struct format *format)
{
	const struct format_request *request = &format->request;
	struct format_style all = {0};
	size_t len = 0;

	for (size_t i = 0; i < request->crop.len; i++)
		add_crop(format, request->crop.names[i]);
	for (size_t i = 0; i < request->highlight.len; i++)
		field_of(format, request->highlight.names[i])->style.highlights = true;
	for (size_t i = 0; i < format->fields_len; i++) {
		if (is_all(format->fields[i].name))
			all = format->fields[i].style;
		if (is_shown(format, format->fields[i].name))
			format->fields[len++] = format->fields[i];
	}
	format->fields_len = len;
	for (size_t i = 0; i < len; i++) {
		struct format_style *style = &format->fields[i].style;

		style->highlights |= all.highlights;
		if (style->crop_words == 0)
			style->crop_words = all.crop_words;
	}
}

/* Of the names asked for those that are displayed. */
static void retrieved_fill(struct format *format, struct slice *names)
{
	const struct format_names *asked = &format->request.retrieve;
	size_t len = 0;

	if (format_names_all(asked)) {
		format->retrieved = format->displayed;
		return;
	}
	for (size_t i = 0; i < asked->len; i++)
		if (format_names_all(&format->displayed) || contains(&format->displayed, asked->names[i]))
			names[len++] = asked->names[i];
	format->retrieved = (struct format_names){names, len};
}

/* What is retrieved and what is shaped. */
static void formatted_fill(struct format *format, struct slice *names)
{
	size_t len = 0;

	for (size_t i = 0; i < format->retrieved.len; i++)
		names[len++] = format->retrieved.names[i];
	for (size_t i = 0; i < format->fields_len; i++) {
		if (!is_all(format->fields[i].name)) {
			names[len++] = format->fields[i].name;
			continue;
		}
		for (size_t each = 0; each < format->displayed.len; each++)
			names[len++] = format->displayed.names[each];
	}
	format->formatted = (struct format_names){names, len};
}

static size_t characters(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += (text.ptr[i] & 0xc0) != 0x80;
	return count;
}

static void nodes_fill(struct format *format)
{
	const struct query *query = format->request.matcher->query;
	size_t len = 0;

	ASSERT(query->nodes_len <= QUERY_NODES_MAX);
	for (size_t terms = QUERY_NGRAM_MAX; terms > 0; terms--)
		for (size_t i = 0; i < query->nodes_len; i++)
			if (query->nodes[i].terms == terms)
				format->order[len++] = (uint8_t)i;
	ASSERT(len == query->nodes_len);
	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_node *node = &query->nodes[i];

		if (!query->terms[node->first].is_phrase)
			format->words |= UINT32_C(1) << i;
		format->typed[i] = node->is_prefix ? characters(node->text) : SIZE_MAX;
	}
}

static int too_many(struct error *error)
{
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
	                 "more than %d attributes are displayed, retrieved, cropped or highlighted",
	                 FORMAT_NAMES_MAX);
}

static int fill(struct format *format, struct error *error)
{
	const struct format_request *request = &format->request;
	size_t fields_max = request->crop.len + request->highlight.len;
	size_t retrieved_max = request->retrieve.len + request->displayed.len;
	size_t bytes = (fields_max + 1) * sizeof *format->fields;
	/* of retrieved, then of formatted: each name once, and what is displayed for `*` */
	size_t names_bytes =
		(2 * retrieved_max + fields_max + request->displayed.len + 1) * sizeof(struct slice);
	struct slice *names = arena_alloc(&format->names, names_bytes);

	format->fields = arena_alloc(&format->names, bytes);
	if (names == NULL || format->fields == NULL)
		return error_memory(error, bytes + names_bytes);
	format->displayed = request->displayed;
	fields_fill(format);
	retrieved_fill(format, names);
	formatted_fill(format, names + request->retrieve.len);
	nodes_fill(format);
	return 0;
}

int format_new(const struct format_request *request, struct format **format, struct error *error)
{
	struct format *made;

	if (request->displayed.len > FORMAT_NAMES_MAX || request->retrieve.len > FORMAT_NAMES_MAX ||
	    request->crop.len > FORMAT_NAMES_MAX || request->highlight.len > FORMAT_NAMES_MAX)
		return too_many(error);
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->request = *request;
	arena_init(&made->names, NAMES_BLOCK_BYTES);
	arena_init(&made->paths, PATHS_BLOCK_BYTES);
	buffer_init(&made->tokens, SIZE_MAX);
	buffer_init(&made->forms, UINT32_MAX);
	buffer_init(&made->matches, SIZE_MAX);
	buffer_init(&made->shaped, SIZE_MAX);
	buffer_init(&made->path, SIZE_MAX);
	buffer_init(&made->rows, SIZE_MAX);
	buffer_init(&made->places, SIZE_MAX);
	map_init(&made->places_by_path);
	if (fill(made, error) != 0) {
		format_free(made);
		return error->code;
	}
	*format = made;
	return 0;
}

void format_free(struct format *format)
{
	if (format == NULL)
		return;
	arena_deinit(&format->names);
	arena_deinit(&format->paths);
	buffer_deinit(&format->tokens);
	buffer_deinit(&format->forms);
	buffer_deinit(&format->matches);
	buffer_deinit(&format->shaped);
	buffer_deinit(&format->path);
	buffer_deinit(&format->rows);
	buffer_deinit(&format->places);
	map_deinit(&format->places_by_path);
	free(format);
}
