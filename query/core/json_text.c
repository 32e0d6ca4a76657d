#include "query/core/json_text.h"

#include "shared/json/json.h"

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Past the closing quote of the string that begins at `at`: the first that an even number of backslashes precedes.
 * Most of a page of hits is text, and memchr passes it many bytes at a time. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *from = at + 1;
	const uint8_t *quote;

	while (from < end && (quote = memchr(from, '"', (size_t)(end - from))) != NULL) {
		size_t backslashes = 0;

		while (quote[-1 - (ptrdiff_t)backslashes] == '\\')
			backslashes++; /* the opening quote ends them */
		if (backslashes % 2 == 0)
			return quote + 1;
		from = quote + 1;
	}
	return end;
}

static const uint8_t *skip_container(const uint8_t *at, const uint8_t *end)
{
	size_t depth = 0;

	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && --depth == 0)
			return at + 1;
		at++;
	}
	return end;
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end)
{
	if (at == end)
		return end;
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{' || *at == '[')
		return skip_container(at, end);
	while (at < end && *at != ',' && *at != '}' && *at != ']' && *at > ' ')
		at++;
	return at;
}

bool json_walk_begin(struct json_walk *walk, struct slice value)
{
	const uint8_t *end = value.len > 0 ? value.ptr + value.len : value.ptr;
	const uint8_t *at = skip_space(value.ptr, end);

	if (at == end || (*at != '{' && *at != '['))
		return false;
	*walk = (struct json_walk){at + 1, end, *at == '{'};
	return true;
}

bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value)
{
	const uint8_t *at = skip_space(walk->at, walk->end);
	const uint8_t *from;

	if (at < walk->end && *at == ',')
		at = skip_space(at + 1, walk->end);
	if (at == walk->end || *at == '}' || *at == ']')
		return false;
	*key = slice_of(at, 0);
	if (walk->object) {
		from = at;
		at = skip_value(at, walk->end);
		*key = slice_of(from, (size_t)(at - from));
		at = skip_space(at, walk->end);
		if (at < walk->end && *at == ':')
			at = skip_space(at + 1, walk->end);
	}
	from = at;
	at = skip_value(at, walk->end);
	*value = slice_of(from, (size_t)(at - from));
	walk->at = at;
	return at > from; /* an empty value is no JSON: stop rather than stand still */
}

void json_text_members(struct slice object, const char *const *names, size_t len, struct slice *values)
{
	struct json_walk walk;
	struct slice key;
	struct slice value;
	size_t left = len;

	for (size_t i = 0; i < len; i++)
		values[i] = slice_of(NULL, 0);
	if (!json_walk_begin(&walk, object) || !walk.object)
		return;
	while (left > 0 && json_walk_next(&walk, &key, &value))
		for (size_t i = 0; i < len; i++)
			if (values[i].ptr == NULL && json_text_key_is(key, slice_string(names[i]))) {
				values[i] = value;
				left--;
			}
}

bool json_text_member(struct slice object, const char *name, struct slice *value)
{
	struct slice found;

	json_text_members(object, &name, 1, &found);
	if (found.ptr != NULL)
		*value = found;
	return found.ptr != NULL;
}

bool json_text_key_is(struct slice key, struct slice name)
{
	struct error ignored;
	yyjson_doc *doc;
	struct slice plain;
	bool same;

	if (json_text_plain(key, &plain))
		return slice_equal(plain, name);
	if (json_parse(key, 1, &doc, &ignored) < 0)
		return false;
	same = slice_equal(json_string(yyjson_doc_get_root(doc)), name);
	yyjson_doc_free(doc);
	return same;
}

bool json_text_i64(struct slice value, int64_t *number)
{
	bool negative = value.len > 0 && value.ptr[0] == '-';
	size_t at = negative ? 1 : 0;
	uint64_t sum = 0;

	if (at == value.len)
		return false;
	for (; at < value.len; at++) {
		unsigned digit = (unsigned)value.ptr[at] - '0';

		if (digit > 9 || sum > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*number = negative ? -(int64_t)sum : (int64_t)sum;
	return true;
}

bool json_text_plain(struct slice value, struct slice *text)
{
	if (value.len < 2 || value.ptr[0] != '"' || memchr(value.ptr, '\\', value.len) != NULL)
		return false;
	*text = slice_of(value.ptr + 1, value.len - 2);
	return true;
}
