#include "shared/runtime/logline.h"

#include "shared/base/assert.h"
#include "shared/base/slice.h"
#include "shared/json/json.h"
#include "shared/runtime/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 1024
/* Kept free in a line for what ends it. */
#define LINE_END_BYTES 32

static struct {
	const char *program;
	enum log_level level;
	bool json;
} settings = {"millrace", LOG_LEVEL_INFO, false};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* One value while it is put together; what exceeds the room is cut. */
struct value {
	char text[VALUE_BYTES_MAX];
	size_t len;
	bool number; /* one integer conversion and nothing else */
};

void logline_init(const char *program, enum log_level level, bool json)
{
	settings.program = program;
	settings.level = level;
	settings.json = json;
}

static void value_append(struct value *value, const char *text, size_t len)
{
	size_t room = sizeof value->text - value->len;

	if (len > room)
		len = room;
	memcpy(value->text + value->len, text, len);
	value->len += len;
}

/* A conversion such as %-5s, %.*s, %016lx; every integer is taken as 64 bits. */
struct conversion {
	int width;
	int precision; /* -1: none */
	bool zeros;
	int longs; /* 0 int, 1 long or size_t, 2 long long; h and hh arrive as int */
	char letter;
};

/* Takes a number, or the next argument for a '*'. */
static int read_count(const char **at, va_list *args)
{
	int count = 0;

	if (**at == '*') {
		(*at)++;
		return va_arg(*args, int);
	}
	while (**at >= '0' && **at <= '9')
		count = count * 10 + (*(*at)++ - '0');
	return count;
}

/* Reads the conversion after '%', and moves `at` behind it. */
static struct conversion read_conversion(const char **at, va_list *args)
{
	struct conversion c = {.precision = -1};

	c.zeros = **at == '0';
	c.width = read_count(at, args);
	if (**at == '.') {
		(*at)++;
		c.precision = read_count(at, args);
	}
	for (; **at == 'l' || **at == 'z' || **at == 'j' || **at == 'h'; (*at)++)
		c.longs += **at != 'h';
	c.letter = *(*at)++;
	return c;
}

static void append_string(struct value *value, const struct conversion *c, const char *text)
{
	if (text == NULL)
		text = "(null)";
	value_append(value, text, c->precision < 0 ? strlen(text) : strnlen(text, (size_t)c->precision));
}

static void append_number(struct value *value, const struct conversion *c, va_list *args)
{
	char text[400];
	int width = c->width < 64 ? c->width : 64;
	int len;

	if (strchr("di", c->letter) != NULL) {
		long long n = c->longs > 0 ? va_arg(*args, long long) : va_arg(*args, int);

		len = c->zeros ? snprintf(text, sizeof text, "%0*lld", width, n)
		               : snprintf(text, sizeof text, "%*lld", width, n);
	} else if (strchr("ux", c->letter) != NULL) {
		unsigned long long n =
			c->longs > 0 ? va_arg(*args, unsigned long long) : va_arg(*args, unsigned);

		if (c->letter == 'u')
			len = snprintf(text, sizeof text, "%*llu", width, n);
		else
			len = c->zeros ? snprintf(text, sizeof text, "%0*llx", width, n)
			               : snprintf(text, sizeof text, "%*llx", width, n);
	} else {
		ASSERT(strchr("fg", c->letter) != NULL);
		len = snprintf(text, sizeof text, c->letter == 'f' ? "%.*f" : "%.*g",
		               c->precision < 0 ? 6 : c->precision, va_arg(*args, double));
	}
	ASSERT(len >= 0 && (size_t)len < sizeof text);
	value_append(value, text, (size_t)len);
}

/* Appends one conversion's argument; `at` stands behind its '%'. */
static void append_argument(struct value *value, const char **at, va_list *args)
{
	bool first = value->len == 0;
	struct conversion c;
	char letter;

	if (**at == '%') {
		value_append(value, (*at)++, 1);
		return;
	}
	c = read_conversion(at, args);
	if (c.letter == 's') {
		append_string(value, &c, va_arg(*args, const char *));
	} else if (c.letter == 'c') {
		letter = (char)va_arg(*args, int);
		value_append(value, &letter, 1);
	} else {
		append_number(value, &c, args);
		value->number = first && strchr("diu", c.letter) != NULL && !c.zeros;
	}
}

/* Reads `value` or `"value"` of the format up to the next pair. */
static void read_value(struct value *value, const char **at, va_list *args)
{
	bool quoted = **at == '"';

	value->len = 0;
	value->number = false;
	*at += quoted;
	while (**at != 0 && **at != (quoted ? '"' : ' ')) {
		if (**at == '%') {
			(*at)++;
			append_argument(value, at, args);
		} else {
			value->number = false;
			value_append(value, (*at)++, 1);
		}
	}
	*at += quoted && **at == '"';
	value->number = value->number && !quoted;
}

static bool is_plain(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] == '"' || value.ptr[i] == '=' ||
		    value.ptr[i] == '\\' || value.ptr[i] >= 0x7f)
			return false;
	return value.len > 0;
}

/* A pair that does not fit as a whole is left out: the line stays readable by machines. */
static void append_pair(struct buffer *line, struct slice key, struct slice value, bool number)
{
	size_t before = line->len;

	if (settings.json) {
		buffer_append_string(line, before == 0 ? "{" : ",");
		json_append_string(line, key);
		buffer_put_u8(line, ':');
	} else {
		buffer_append_string(line, before == 0 ? "" : " ");
		buffer_append_slice(line, key);
		buffer_put_u8(line, '=');
	}
	if (settings.json ? number : is_plain(value))
		buffer_append_slice(line, value);
	else
		json_append_string(line, value);
	if (buffer_failed(line) || line->len > LOGLINE_BYTES_MAX - LINE_END_BYTES) {
		line->failed = false;
		line->len = before;
	}
}

void logline(enum log_level level, const char *event, const char *format, ...)
{
	const char *at = format;
	struct value value;
	struct buffer line;
	ssize_t written;
	char time[25];
	va_list args;

	if (level > settings.level)
		return;
	buffer_init(&line, LOGLINE_BYTES_MAX);
	clock_print(clock_wall_ms(), time);
	append_pair(&line, slice_string("ts"), slice_string(time), false);
	append_pair(&line, slice_string("level"), slice_string(level_names[level]), false);
	append_pair(&line, slice_string("program"), slice_string(settings.program), false);
	append_pair(&line, slice_string("event"), slice_string(event), false);
	va_start(args, format);
	while (*at != 0) {
		const char *end = strchr(at, '=');
		struct slice key;

		ASSERT(end != NULL && end > at);
		key = slice_of(at, (size_t)(end - at));
		at = end + 1;
		read_value(&value, &at, &args);
		append_pair(&line, key, slice_of(value.text, value.len), value.number);
		while (*at == ' ')
			at++;
	}
	va_end(args);
	buffer_append_string(&line, settings.json ? "}\n" : "\n");
	written = line.ptr == NULL ? 0 : write(STDERR_FILENO, line.ptr, line.len);
	(void)written; /* when stderr is gone, there is nobody to tell */
	buffer_deinit(&line);
}
