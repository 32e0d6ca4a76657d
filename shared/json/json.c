#include "shared/json/json.h"

#include <stdlib.h>

/* True if no container lies deeper than `depth_left` below and including `value`. */
static bool depth_fits(yyjson_val *value, size_t depth_left)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *child;

	if (!yyjson_is_ctn(value))
		return true;
	if (depth_left == 0)
		return false;
	if (yyjson_is_arr(value)) {
		yyjson_arr_foreach(value, at, len,
		                   child) if (!depth_fits(child, depth_left - 1)) return false;
	} else {
		yyjson_obj_foreach(value, at, len, key,
		                   child) if (!depth_fits(child, depth_left - 1)) return false;
	}
	return true;
}

/* Where valid JSON opens its first container below `depth_max`. */
static size_t depth_position(struct slice text, size_t depth_max)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > depth_max)
				return i;
		} else if (c == ']' || c == '}') {
			depth--;
		}
	}
	return text.len;
}

static int parse(struct slice text, size_t depth_max, yyjson_read_flag flags, yyjson_doc **doc,
                 struct error *error)
{
	yyjson_read_err trouble = {0};
	/* read-only without YYJSON_READ_INSITU; the API lacks the const */
	yyjson_doc *read = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, flags, NULL, &trouble);

	if (read == NULL && trouble.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return error_memory(error, text.len);
	if (read == NULL)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "not JSON: %s at byte %zu",
		                 text.len == 0 ? "empty text" : trouble.msg, trouble.pos);
	if (!depth_fits(yyjson_doc_get_root(read), depth_max)) {
		yyjson_doc_free(read);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "JSON nested deeper than %zu at byte %zu", depth_max,
		                 depth_position(text, depth_max));
	}
	*doc = read;
	return 0;
}

int json_parse(struct slice text, size_t depth_max, yyjson_doc **doc, struct error *error)
{
	return parse(text, depth_max, YYJSON_READ_NUMBER_AS_RAW, doc, error);
}

int json_parse_typed(struct slice text, yyjson_doc **doc, struct error *error)
{
	return parse(text, JSON_DEPTH_MAX, YYJSON_READ_NOFLAG, doc, error);
}

struct slice json_string(yyjson_val *value)
{
	return yyjson_is_str(value) ? slice_of(yyjson_get_str(value), yyjson_get_len(value))
	                            : slice_of(NULL, 0);
}

struct slice json_raw_number(yyjson_val *value)
{
	return yyjson_is_raw(value) ? slice_of(yyjson_get_raw(value), yyjson_get_len(value))
	                            : slice_of(NULL, 0);
}

bool json_get_string(yyjson_val *object, const char *key, struct slice *out)
{
	yyjson_val *value = yyjson_obj_get(object, key);

	if (!yyjson_is_str(value))
		return false;
	*out = json_string(value);
	return true;
}

bool json_get_i64(yyjson_val *object, const char *key, int64_t *out)
{
	yyjson_val *value = yyjson_obj_get(object, key);

	if (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX)
		return false;
	if (!yyjson_is_int(value))
		return false;
	*out = yyjson_get_sint(value);
	return true;
}

bool json_get_bool(yyjson_val *object, const char *key, bool *out)
{
	yyjson_val *value = yyjson_obj_get(object, key);

	if (!yyjson_is_bool(value))
		return false;
	*out = yyjson_get_bool(value);
	return true;
}

static bool is_continuation(const uint8_t *ptr, size_t at, size_t len)
{
	return at < len && (ptr[at] & 0xc0) == 0x80;
}

/* Bytes of the valid UTF-8 sequence at ptr, 0 if there is none (RFC 3629, table 3-7 of Unicode). */
static size_t utf8_length(const uint8_t *ptr, size_t len)
{
	uint8_t c = ptr[0];

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4 || !is_continuation(ptr, 1, len))
		return 0;
	if (c < 0xe0)
		return 2;
	if ((c == 0xe0 && ptr[1] < 0xa0) || (c == 0xed && ptr[1] > 0x9f) || (c == 0xf0 && ptr[1] < 0x90) ||
	    (c == 0xf4 && ptr[1] > 0x8f))
		return 0;
	if (!is_continuation(ptr, 2, len))
		return 0;
	if (c < 0xf0)
		return 3;
	return is_continuation(ptr, 3, len) ? 4 : 0;
}

static void append_escaped(struct buffer *buffer, uint8_t c)
{
	static const char letters[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

	if (c == '"' || c == '\\') {
		buffer_put_u8(buffer, '\\');
		buffer_put_u8(buffer, c);
	} else if (c < sizeof letters && letters[c] != 0) {
		buffer_put_u8(buffer, '\\');
		buffer_put_u8(buffer, (uint8_t)letters[c]);
	} else {
		buffer_printf(buffer, "\\u%04x", c);
	}
}

void json_append_string(struct buffer *buffer, struct slice text)
{
	size_t at = 0;
	size_t plain = 0; /* begin of what is copied as it is */

	buffer_put_u8(buffer, '"');
	while (at < text.len) {
		uint8_t c = text.ptr[at];
		size_t len = utf8_length(text.ptr + at, text.len - at);

		if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
			at += len;
			continue;
		}
		buffer_append(buffer, text.ptr + plain, at - plain);
		if (len > 0)
			append_escaped(buffer, c);
		else
			buffer_append_string(buffer, "\xef\xbf\xbd"); /* U+FFFD */
		plain = ++at;
	}
	if (at > plain)
		buffer_append(buffer, text.ptr + plain, at - plain);
	buffer_put_u8(buffer, '"');
}

int json_append_value(struct buffer *buffer, yyjson_val *value, struct error *error)
{
	yyjson_write_err trouble = {0};
	size_t len = 0;
	char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, NULL, &len, &trouble);

	if (text == NULL && trouble.code == YYJSON_WRITE_ERROR_MEMORY_ALLOCATION)
		return error_memory(error, len);
	if (text == NULL)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "JSON cannot be written: %s",
		                 trouble.msg);
	buffer_append(buffer, text, len);
	free(text);
	return buffer_failed(buffer) ? error_memory(error, len) : 0;
}
