/*
 * Merge: the text of two JSON objects becomes the text of a third. Both were
 * found to be JSON before; here they are only cut into tokens, without
 * recursion, so that nothing depends on a parser's limits. Text that is none
 * is refused or comes out as garbage, but is never read past its end.
 */
#include "shared/record/record.h"

#include "shared/base/map.h"

#include <stdlib.h>

#define MEMBERS_FIRST 32
#define NAMES_BLOCK_BYTES 4096

struct member {
	struct slice name; /* as written, with its quotes */
	struct slice value;
};

/* The members of the outcome, and where a decoded name stands among them. */
struct merger {
	struct member *members;
	size_t len;
	size_t size;
	struct map places;
	struct arena names; /* those that had to be decoded */
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct slice *text)
{
	while (text->len > 0 && is_space(*text->ptr))
		*text = slice_of(text->ptr + 1, text->len - 1);
}

/* Takes one byte if it comes next. */
static bool take_byte(struct slice *text, char c)
{
	if (text->len == 0 || *text->ptr != (uint8_t)c)
		return false;
	*text = slice_of(text->ptr + 1, text->len - 1);
	return true;
}

/* Bytes of the string that `text` begins with, quotes included; 0 if it does not end. */
static size_t string_length(struct slice text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Bytes up to the comma or brace that ends the value that `text` begins with; 0 if there is no value. */
static size_t value_length(struct slice text)
{
	size_t depth = 0;
	size_t i = 0;

	while (i < text.len) {
		uint8_t c = text.ptr[i];

		if (c == '"') {
			size_t len = string_length(slice_of(text.ptr + i, text.len - i));

			if (len == 0)
				return 0;
			i += len;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}'))
			return i;
		if (c == '[' || c == '{')
			depth++;
		else if (c == ']' || c == '}') {
			if (depth == 0)
				return 0;
			depth--;
		}
		i++;
	}
	return 0;
}

/* Takes `"name":value` with the space around; false if there is none. */
static bool take_member(struct slice *text, struct member *member)
{
	size_t len;

	skip_space(text);
	len = text->len > 0 && *text->ptr == '"' ? string_length(*text) : 0;
	if (len == 0)
		return false;
	member->name = slice_of(text->ptr, len);
	*text = slice_of(text->ptr + len, text->len - len);
	skip_space(text);
	if (!take_byte(text, ':'))
		return false;
	skip_space(text);
	len = value_length(*text);
	if (len == 0)
		return false;
	member->value = slice_of(text->ptr, len);
	*text = slice_of(text->ptr + len, text->len - len);
	return true;
}

static int malformed(struct error *error)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "a text to be merged is no JSON object");
}

/* What the name says; only one with an escape has to be decoded. */
static int decode_name(struct merger *merger, struct slice written, struct slice *name, struct error *error)
{
	struct slice inner = slice_of(written.ptr + 1, written.len - 2);
	yyjson_doc *doc;
	bool copied;
	int rc;

	if (memchr(written.ptr, '\\', written.len) == NULL) {
		*name = inner;
		return 0;
	}
	rc = json_parse(written, 1, &doc, error);
	if (rc != 0)
		return rc;
	copied = arena_copy(&merger->names, json_string(yyjson_doc_get_root(doc)), name);
	yyjson_doc_free(doc);
	return copied ? 0 : error_memory(error, written.len);
}

static bool members_reserve(struct merger *merger)
{
	size_t size = merger->size ? merger->size * 2 : MEMBERS_FIRST;
	struct member *members;

	if (merger->len < merger->size)
		return true;
	members = realloc(merger->members, size * sizeof *members);
	if (members == NULL)
		return false;
	merger->members = members;
	merger->size = size;
	return true;
}

static int member_set(struct merger *merger, const struct member *member, struct error *error)
{
	struct slice name;
	uint64_t *place;
	int rc = decode_name(merger, member->name, &name, error);

	if (rc != 0)
		return rc;
	place = map_get(&merger->places, name);
	if (place != NULL) {
		merger->members[*place].value = member->value;
		return 0;
	}
	if (!members_reserve(merger) || !map_put(&merger->places, name, merger->len))
		return error_memory(error, sizeof *member);
	merger->members[merger->len++] = *member;
	return 0;
}

static int members_add(struct merger *merger, struct slice text, struct error *error)
{
	struct member member;
	int rc;

	skip_space(&text);
	if (!take_byte(&text, '{'))
		return malformed(error);
	skip_space(&text);
	if (!take_byte(&text, '}')) {
		do {
			if (!take_member(&text, &member))
				return malformed(error);
			rc = member_set(merger, &member, error);
			if (rc != 0)
				return rc;
		} while (take_byte(&text, ','));
		if (!take_byte(&text, '}'))
			return malformed(error);
	}
	skip_space(&text);
	return text.len == 0 ? 0 : malformed(error);
}

/* Without the space between tokens. */
static uint8_t *write_tokens(uint8_t *at, struct slice text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (!quoted && is_space(c))
			continue;
		*at++ = c;
		if (quoted && c == '\\' && i + 1 < text.len)
			*at++ = text.ptr[++i];
		else if (c == '"')
			quoted = !quoted;
	}
	return at;
}

/* `at` has room for both texts: every token of the outcome stands in one of them, and they have one brace more
 * each than the outcome needs commas. */
static uint8_t *write_members(const struct merger *merger, uint8_t *at)
{
	*at++ = '{';
	for (size_t i = 0; i < merger->len; i++) {
		if (i > 0)
			*at++ = ',';
		at = write_tokens(at, merger->members[i].name);
		*at++ = ':';
		at = write_tokens(at, merger->members[i].value);
	}
	*at++ = '}';
	return at;
}

int record_merge(struct slice existing, struct slice patch, struct arena *arena, struct slice *merged,
                 struct error *error)
{
	struct merger merger = {0};
	uint8_t *text;
	int rc;

	map_init(&merger.places);
	arena_init(&merger.names, NAMES_BLOCK_BYTES);
	rc = members_add(&merger, existing, error);
	if (rc == 0)
		rc = members_add(&merger, patch, error);
	if (rc == 0) {
		text = arena_alloc(arena, existing.len + patch.len);
		if (text == NULL)
			rc = error_memory(error, existing.len + patch.len);
		else
			*merged = slice_of(text, (size_t)(write_members(&merger, text) - text));
	}
	arena_deinit(&merger.names);
	map_deinit(&merger.places);
	free(merger.members);
	return rc;
}
