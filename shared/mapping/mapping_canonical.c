#include "shared/mapping/mapping_rules_private.h"

#include <stdlib.h>

static const char *const format_names[] = {
	[MAPPING_FORMAT_JSON] = "json",
	[MAPPING_FORMAT_CLOUDEVENTS] = "cloudevents",
	[MAPPING_FORMAT_CONNECT_JSON] = "connect-json",
};

static const char *const op_names[] = {
	[MAPPING_OP_PUT] = "put",
	[MAPPING_OP_MERGE] = "merge",
	[MAPPING_OP_PUT_IF_EXISTS] = "put-if-exists",
	[MAPPING_OP_MERGE_IF_EXISTS] = "merge-if-exists",
	[MAPPING_OP_DELETE] = "delete",
};

static const char *const compare_names[] = {
	[MAPPING_COMPARE_EQUAL] = "=", [MAPPING_COMPARE_UNEQUAL] = "!=",
	[MAPPING_COMPARE_ABOVE] = ">", [MAPPING_COMPARE_ABOVE_OR_EQUAL] = ">=",
	[MAPPING_COMPARE_BELOW] = "<", [MAPPING_COMPARE_BELOW_OR_EQUAL] = "<=",
	[MAPPING_COMPARE_IN] = "in",   [MAPPING_COMPARE_EXISTS] = "exists",
};

/* How a list is written: its member's name, and whether its entries are an object's members. */
struct list_row {
	const char *name;
	bool is_object;
};

static const struct list_row list_rows[MAPPING_LISTS] = {
	[MAPPING_LIST_WHERE] = {"where", false},
	[MAPPING_LIST_DELETE_WHEN] = {"delete_when", false},
	[MAPPING_LIST_IGNORE_WHEN] = {"ignore_when", false},
	[MAPPING_LIST_DELETE_TYPES] = {"delete_types", false},
	[MAPPING_LIST_INCLUDE] = {"include", false},
	[MAPPING_LIST_EXCLUDE] = {"exclude", false},
	[MAPPING_LIST_MASK] = {"mask", true},
	[MAPPING_LIST_RENAME] = {"rename", true},
};

const char *mapping_format_name(enum mapping_format format)
{
	return format_names[format];
}

const char *mapping_op_name(enum mapping_op op)
{
	return op_names[op];
}

const char *mapping_compare_name(enum mapping_compare compare)
{
	return compare_names[compare];
}

const char *mapping_list_name(enum mapping_list list)
{
	return list_rows[list].name;
}

static int compare_texts(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void mapping_texts_append(struct buffer *buffer, struct mapping_texts *texts, char open, char close)
{
	qsort(texts->items, texts->len, sizeof *texts->items, compare_texts);
	buffer_put_u8(buffer, (uint8_t)open);
	for (size_t i = 0; i < texts->len; i++) {
		if (i > 0)
			buffer_put_u8(buffer, ',');
		buffer_append_slice(buffer, texts->items[i]);
	}
	buffer_put_u8(buffer, (uint8_t)close);
}

static void append_list(struct buffer *buffer, const struct list_row *row, struct mapping_texts *texts)
{
	if (texts->len == 0)
		return;
	buffer_printf(buffer, ",\"%s\":", row->name);
	mapping_texts_append(buffer, texts, row->is_object ? '{' : '[', row->is_object ? '}' : ']');
}

static void append_rules(struct buffer *buffer, struct mapping *mapping, struct buffer *id)
{
	mapping_id_append(id, mapping);
	buffer_printf(buffer,
	              "{\"format\":\"%s\",\"op\":\"%s\",\"primary_key\":", format_names[mapping->format],
	              op_names[mapping->op]);
	json_append_string(buffer, mapping->primary_key);
	buffer_append_string(buffer, ",\"id\":");
	json_append_string(buffer, buffer_slice(id));
	buffer_printf(buffer, ",\"key\":\"%s\",\"tombstones\":\"%s\"", mapping->key_is_json ? "json" : "text",
	              mapping->ignores_tombstones ? "ignore" : "delete");
	for (size_t i = 0; i < MAPPING_LISTS; i++)
		append_list(buffer, &list_rows[i], &mapping->texts[i]);
	if (mapping->separator.ptr != NULL) {
		buffer_append_string(buffer, ",\"flatten\":");
		json_append_string(buffer, mapping->separator);
	}
	buffer_append_string(buffer, "}");
}

bool mapping_canonicalize(struct mapping *mapping, struct arena *arena)
{
	struct buffer text;
	struct buffer id;
	bool good;

	buffer_init(&text, SIZE_MAX);
	buffer_init(&id, SIZE_MAX);
	append_rules(&text, mapping, &id);
	good = !buffer_failed(&text) && !buffer_failed(&id) &&
	       arena_copy(arena, buffer_slice(&text), &mapping->canonical);
	mapping->digest = hash64(buffer_slice(&text), 0);
	buffer_deinit(&text);
	buffer_deinit(&id);
	return good;
}

struct slice mapping_canonical(const struct mapping *mapping)
{
	return mapping->canonical;
}

uint64_t mapping_digest(const struct mapping *mapping)
{
	return mapping->digest;
}
