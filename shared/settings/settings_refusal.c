#include "shared/settings/settings_private.h"

#include "shared/base/assert.h"
#include "shared/base/expected_names.h"
#include "shared/json/json_shown.h"

#include <stdarg.h>
#include <stdio.h>

static void say_bytes(struct settings_refusal *refusal, struct slice bytes)
{
	struct slice fitting = slice_within(bytes, sizeof refusal->text - 1 - refusal->len);

	if (fitting.len > 0)
		memcpy(refusal->text + refusal->len, fitting.ptr, fitting.len);
	refusal->len += fitting.len;
	refusal->text[refusal->len] = '\0';
}

static void say(struct settings_refusal *refusal, const char *text)
{
	say_bytes(refusal, slice_string(text));
}

/* What somebody sent, in backquotes. */
static void say_echo(struct settings_refusal *refusal, struct slice sent)
{
	say(refusal, "`");
	say_bytes(refusal, slice_within(sent, SETTINGS_ECHO_BYTES_MAX));
	say(refusal, "`");
}

static void begin(struct reading *reading, const char *text)
{
	reading->refusal->code = reading->code;
	reading->refusal->len = 0;
	say(reading->refusal, text);
}

/* " at `.a[3].b`"; nothing for what was sent as a whole. */
static void say_place(struct settings_refusal *refusal, const char *preposition, const struct place *place)
{
	const struct place *places[SETTINGS_PLACES_MAX];
	char number[32];
	size_t len = 0;

	if (place == NULL)
		return;
	for (; place != NULL; place = place->above) {
		ASSERT(len < SETTINGS_PLACES_MAX);
		places[len++] = place;
	}
	say(refusal, preposition);
	say(refusal, "`");
	while (len-- > 0) {
		if (places[len]->key.ptr == NULL) {
			(void)snprintf(number, sizeof number, "[%zu]", places[len]->at);
			say(refusal, number);
		} else {
			say(refusal, ".");
			say_bytes(refusal, slice_within(places[len]->key, SETTINGS_ECHO_BYTES_MAX));
		}
	}
	say(refusal, "`");
}

static void say_format(struct settings_refusal *refusal, const char *format, va_list args)
{
	char text[SETTINGS_REFUSAL_BYTES_MAX];
	int len = vsnprintf(text, sizeof text, format, args);
	size_t fits = len > 0 ? (size_t)len : 0;

	say_bytes(refusal, slice_within(slice_of(text, fits < sizeof text ? fits : sizeof text - 1), fits));
}

int settings_refuse(struct reading *reading, const struct place *place, int code, const char *format, ...)
{
	va_list args;

	begin(reading, "Invalid value");
	say_place(reading->refusal, " at ", place);
	say(reading->refusal, ": ");
	va_start(args, format);
	say_format(reading->refusal, format, args);
	va_end(args);
	return code;
}

int settings_refuse_whole(struct settings_refusal *refusal, const char *code, int result, const char *format,
                          ...)
{
	va_list args;

	refusal->code = code;
	refusal->len = 0;
	va_start(args, format);
	say_format(refusal, format, args);
	va_end(args);
	return result;
}

int settings_refuse_missing(struct reading *reading, const struct place *place, const char *name)
{
	begin(reading, "Missing field `");
	say(reading->refusal, name);
	say(reading->refusal, "`");
	say_place(reading->refusal, " inside ", place);
	return ERROR_FORMAT;
}

int settings_refuse_type(struct reading *reading, const struct place *place, const char *expected,
                         yyjson_val *value)
{
	struct buffer compact;
	int result;

	buffer_init(&compact, SIZE_MAX);
	begin(reading, "Invalid value type");
	say_place(reading->refusal, " at ", place);
	say(reading->refusal, ": expected ");
	say(reading->refusal, expected);
	say(reading->refusal, ", but found ");
	if (yyjson_is_null(value)) {
		say(reading->refusal, "null");
	} else {
		json_append_shown(&compact, value);
		say(reading->refusal, json_shown_kind(value));
		say(reading->refusal, ": ");
		say_echo(reading->refusal, buffer_slice(&compact));
	}
	result = buffer_failed(&compact) ? ERROR_MEMORY : ERROR_FORMAT;
	buffer_deinit(&compact);
	return result;
}

/* ---- names ---- */

/* ": did you mean `limit`? expected one of `limit`, …", the question where one of the names is near. */
static void say_known(struct settings_refusal *refusal, struct slice name, struct known_names known)
{
	const char *nearest = expected_names_nearest(name, known.list, known.len);

	say(refusal, ": ");
	if (nearest != NULL) {
		say(refusal, "did you mean ");
		say_echo(refusal, slice_string(nearest));
		say(refusal, "? ");
	}
	say(refusal, "expected one of ");
	for (size_t i = 0; i < known.len; i++) {
		say(refusal, i > 0 ? ", " : "");
		say_echo(refusal, slice_string(known.list[i]));
	}
}

static int refuse_name(struct reading *reading, struct slice name, struct known_names known)
{
	say_known(reading->refusal, name, known);
	return ERROR_FORMAT;
}

int settings_refuse_field(struct reading *reading, const struct place *place, struct slice name,
                          struct known_names known)
{
	begin(reading, "Unknown field ");
	say_echo(reading->refusal, name);
	say_place(reading->refusal, " inside ", place);
	return refuse_name(reading, name, known);
}

int settings_refuse_value(struct reading *reading, const struct place *place, struct slice name,
                          struct known_names known)
{
	begin(reading, "Unknown value ");
	say_echo(reading->refusal, name);
	say_place(reading->refusal, " at ", place);
	return refuse_name(reading, name, known);
}
