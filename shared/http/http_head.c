#include "shared/http/http_head.h"

#include <string.h>
#include <strings.h>

#define REFUSAL(name, status, code, message) static const struct http_refusal name = {status, code, message}

REFUSAL(no_memory, 503, "unavailable", "The server is out of memory.");
REFUSAL(target_long, 414, "bad_request", "The request's target is too long.");
REFUSAL(target_form, 400, "bad_request", "The request's target must begin with `/`.");
REFUSAL(target_escape, 400, "bad_request", "The request's target has a malformed percent-encoding.");
REFUSAL(target_control, 400, "bad_request", "The request's target has a control character.");
REFUSAL(target_slash, 400, "bad_request", "The request's path has an encoded slash.");
REFUSAL(target_dots, 400, "bad_request", "The request's path has a `..` segment.");
REFUSAL(arguments_many, 400, "bad_request", "The request has too many arguments.");
REFUSAL(headers_many, 431, "bad_request", "The request has too many header fields.");
REFUSAL(header_name, 400, "bad_request", "A header field's name has a character that is not allowed.");
REFUSAL(header_value, 400, "bad_request", "A header field's value has a control character.");
REFUSAL(header_twice, 400, "bad_request",
        "Content-Length, Transfer-Encoding, Host and Authorization may stand once.");
REFUSAL(encoding_unknown, 400, "bad_request", "Transfer-Encoding must be exactly `chunked`.");
REFUSAL(length_twice, 400, "bad_request", "Content-Length and Transfer-Encoding exclude each other.");
REFUSAL(method_unknown, 400, "bad_request", "The request's method is not known.");
REFUSAL(version_unknown, 400, "bad_request", "The request's version must be HTTP/1.0 or HTTP/1.1.");

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of encoded text, moving *at behind it; -1 if malformed. */
static int decode_byte(struct slice text, size_t *at)
{
	int high;
	int low;

	if (text.ptr[*at] != '%')
		return text.ptr[(*at)++];
	if (text.len - *at < 3)
		return -1;
	high = hex_digit(text.ptr[*at + 1]);
	low = hex_digit(text.ptr[*at + 2]);
	*at += 3;
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_control(int c)
{
	return c < 0x20 || c == 0x7f;
}

static bool has_dots_segment(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
		if (at[3] == 0 || at[3] == '/')
			return true;
	return false;
}

static const struct http_refusal *read_path(struct http_head *head, struct arena *arena, struct slice raw)
{
	char *path = arena_alloc(arena, raw.len + 1);
	size_t len = 0;
	size_t at = 0;

	if (path == NULL)
		return &no_memory;
	while (at < raw.len) {
		bool encoded = raw.ptr[at] == '%';
		int c = decode_byte(raw, &at);

		if (c < 0)
			return &target_escape;
		if (is_control(c))
			return &target_control;
		if (encoded && c == '/')
			return &target_slash;
		path[len++] = (char)c;
	}
	path[len] = 0;
	if (has_dots_segment(path))
		return &target_dots;
	head->path = path;
	return NULL;
}

/* A name or value of an argument, where `+` is a space. */
static const struct http_refusal *read_component(struct arena *arena, struct slice raw, const char **out)
{
	char *text = arena_alloc(arena, raw.len + 1);
	size_t len = 0;
	size_t at = 0;

	if (text == NULL)
		return &no_memory;
	while (at < raw.len) {
		bool plus = raw.ptr[at] == '+';
		int c = decode_byte(raw, &at);

		if (c < 0)
			return &target_escape;
		if (c == 0)
			return &target_control;
		text[len++] = plus ? ' ' : (char)c;
	}
	text[len] = 0;
	*out = text;
	return NULL;
}

static const struct http_refusal *read_argument(struct http_head *head, struct arena *arena, struct slice raw)
{
	const uint8_t *equals = memchr(raw.ptr, '=', raw.len);
	size_t name_len = equals == NULL ? raw.len : (size_t)(equals - raw.ptr);
	struct slice value = equals == NULL ? slice_string("") : slice_of(equals + 1, raw.len - name_len - 1);
	struct http_field *field;
	const struct http_refusal *refusal;

	if (head->arguments_len == HTTP_ARGUMENTS_MAX)
		return &arguments_many;
	field = &head->arguments[head->arguments_len];
	refusal = read_component(arena, slice_of(raw.ptr, name_len), &field->name);
	if (refusal == NULL)
		refusal = read_component(arena, value, &field->value);
	if (refusal == NULL)
		head->arguments_len++;
	return refusal;
}

const struct http_refusal *http_head_target(struct http_head *head, struct arena *arena, struct slice target)
{
	const struct http_refusal *refusal;
	const uint8_t *question;
	size_t at;

	if (target.len > HTTP_TARGET_BYTES_MAX)
		return &target_long;
	if (target.len == 0 || target.ptr[0] != '/')
		return &target_form;
	for (size_t i = 0; i < target.len; i++)
		if (is_control(target.ptr[i]))
			return &target_control;
	question = memchr(target.ptr, '?', target.len);
	at = question == NULL ? target.len : (size_t)(question - target.ptr);
	refusal = read_path(head, arena, slice_of(target.ptr, at));
	at += question != NULL;
	while (refusal == NULL && at < target.len) {
		const uint8_t *end = memchr(target.ptr + at, '&', target.len - at);
		size_t len = end == NULL ? target.len - at : (size_t)(end - target.ptr) - at;

		if (len > 0)
			refusal = read_argument(head, arena, slice_of(target.ptr + at, len));
		at += len + 1;
	}
	return refusal;
}

static bool is_token(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (is_control(c) || c >= 0x80 || strchr(" \"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return name.len > 0;
}

static bool is_single(const char *name)
{
	return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
	       strcasecmp(name, "Host") == 0 || strcasecmp(name, "Authorization") == 0;
}

static const char *copy_string(struct arena *arena, struct slice text)
{
	char *copy = arena_alloc(arena, text.len + 1);

	if (copy == NULL)
		return NULL;
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return copy;
}

const struct http_refusal *http_head_header(struct http_head *head, struct arena *arena, struct slice name,
                                            struct slice value)
{
	struct http_field field;

	if (head->headers_len == HTTP_HEADERS_MAX)
		return &headers_many;
	if (!is_token(name))
		return &header_name;
	for (size_t i = 0; i < value.len; i++)
		if (is_control(value.ptr[i]) && value.ptr[i] != '\t')
			return &header_value;
	field.name = copy_string(arena, name);
	field.value = copy_string(arena, value);
	if (field.name == NULL || field.value == NULL)
		return &no_memory;
	if (is_single(field.name) && http_head_find(head, field.name) != NULL)
		return &header_twice;
	head->headers[head->headers_len++] = field;
	return NULL;
}

const struct http_refusal *http_head_end(struct http_head *head, const char *method, const char *version)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};
	const char *encoding = http_head_find(head, "Transfer-Encoding");

	if (strcmp(version, "HTTP/1.0") != 0 && strcmp(version, "HTTP/1.1") != 0)
		return &version_unknown;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(method, methods[i]) == 0)
			head->method = methods[i];
	if (head->method == NULL)
		return &method_unknown;
	if (encoding == NULL)
		return NULL;
	if (http_head_find(head, "Content-Length") != NULL)
		return &length_twice;
	/* HTTP/1.0 has no chunked bodies, so an old proxy would see another one */
	if (strcmp(encoding, "chunked") != 0 || strcmp(version, "HTTP/1.0") == 0)
		return &encoding_unknown;
	return NULL;
}

const char *http_head_find(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->headers_len; i++)
		if (strcasecmp(head->headers[i].name, name) == 0)
			return head->headers[i].value;
	return NULL;
}
