#include "shared/filter/filter_private.h"

#include "shared/json/json_shown.h"

#include <stdio.h>

#define OPERATIONS \
	"`=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT EXISTS`, `IS NULL`, " \
	"`IS NOT NULL`, `IS EMPTY`, `IS NOT EMPTY`, `CONTAINS`, `NOT CONTAINS`, `STARTS WITH`, " \
	"`NOT STARTS WITH`, `_geoRadius`, `_geoBoundingBox` or `_geoPolygon`"

/* Appends as much as there is room for, never a part of a character. */
static void say_bytes(struct filter_refusal *refusal, struct slice bytes)
{
	struct slice fitting = filter_cut(bytes, sizeof refusal->text - 1 - refusal->len);

	if (fitting.len > 0)
		memcpy(refusal->text + refusal->len, fitting.ptr, fitting.len);
	refusal->len += fitting.len;
	refusal->text[refusal->len] = '\0';
}

static void say(struct filter_refusal *refusal, const char *text)
{
	say_bytes(refusal, slice_string(text));
}

/* One character as a message shows it: what would break the line or hide is escaped. */
static void say_character(struct filter_refusal *refusal, struct slice character, uint32_t c)
{
	char escaped[16];

	if (c == '\n')
		say(refusal, "\\n");
	else if (c == '\t')
		say(refusal, "\\t");
	else if (c == '\r')
		say(refusal, "\\r");
	else if (c == 0)
		say(refusal, "\\0");
	else if (c == '\'' || c == '"' || c == '\\') {
		say(refusal, "\\");
		say_bytes(refusal, character);
	} else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c != ' ' && filter_is_space(c))) {
		(void)snprintf(escaped, sizeof escaped, "\\u{%x}", c);
		say(refusal, escaped);
	} else {
		say_bytes(refusal, character);
	}
}

/* `text` in backquotes. */
static void say_quoted(struct filter_refusal *refusal, struct slice text)
{
	size_t len;

	say(refusal, "`");
	for (size_t at = 0; at < text.len && refusal->len < sizeof refusal->text - 1; at += len) {
		uint32_t c = filter_character(text, at, &len);

		say_character(refusal, slice_of(text.ptr + at, len), c);
	}
	say(refusal, "`");
}

static void say_around(struct filter_refusal *refusal, const char *before, struct slice found,
                       const char *after)
{
	say(refusal, before);
	say_quoted(refusal, found);
	say(refusal, after);
}

static void say_reserved(struct filter_refusal *refusal, struct slice found)
{
	say_around(refusal, "Was expecting a value but instead got ", found,
	           ", which is a reserved keyword. To use ");
	say_around(refusal, "", found, " as a field name or a value, surround it by quotes.");
}

static void say_place(struct filter_refusal *refusal, const struct complaint *complaint, struct slice found)
{
	bool nothing = filter_trim(found).len == 0;

	switch (complaint->kind) {
	case COMPLAINT_EXPECTED_VALUE:
		if (nothing)
			say(refusal, "Was expecting a value but instead got nothing.");
		else
			say_around(refusal, "Was expecting a value but instead got ", found, ".");
		break;
	case COMPLAINT_RESERVED_KEYWORD:
		say_reserved(refusal, found);
		break;
	case COMPLAINT_MALFORMED_VALUE:
		say_around(refusal, "Malformed value: ", found, ".");
		break;
	case COMPLAINT_ESCAPED_NUMBER:
		say_around(refusal, "Found an invalid escaped sequence number: ", found, ".");
		break;
	case COMPLAINT_CLOSING_DELIMITER:
		say_around(refusal, "Expression ", found, " is missing the following closing delimiter: `");
		say_bytes(refusal, slice_of(&complaint->delimiter, 1));
		say(refusal, "`.");
		break;
	case COMPLAINT_OPERATION:
		say(refusal, "Was expecting an operation " OPERATIONS " ");
		if (nothing)
			say(refusal, "but instead got nothing.");
		else
			say_around(refusal, "at ", found, ".");
		break;
	case COMPLAINT_END:
		say_around(refusal, "Found unexpected characters at the end of the filter: ", found,
		           ". You probably forgot an `OR` or an `AND` rule.");
		break;
	case COMPLAINT_IN_VALUE:
		say_around(refusal,
		           "Expected only comma-separated field names inside `IN[..]` but instead found ",
		           found, ".");
		break;
	default:
		break;
	}
}

static void say_name(struct filter_refusal *refusal, const char *name, const char *after)
{
	say(refusal, "`");
	say(refusal, name);
	say(refusal, after);
}

static void say_count(struct filter_refusal *refusal, size_t count)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%zu.", count);
	say(refusal, text);
}

static void say_form(struct filter_refusal *refusal, const char *name)
{
	static const struct {
		const char *name;
		const char *before;
		const char *after;
	} forms[] = {
		{"_geoRadius",
	         "must be in the form: ", "(latitude, longitude, radius, optionalResolution)`."},
		{"_geoBoundingBox",
	         "expects two pairs of arguments: ", "([latitude, longitude], [latitude, longitude])`."},
		{"_geoPolygon", "must be in the form: ", "([latitude, longitude], [latitude, longitude])`."}};
	size_t form = 0;

	while (strcmp(forms[form].name, name) != 0)
		form++;
	say(refusal, "The ");
	say_name(refusal, name, "` filter ");
	say(refusal, forms[form].before);
	say_name(refusal, name, forms[form].after);
}

static void say_complaint(struct filter_refusal *refusal, const struct complaint *complaint,
                          struct slice found)
{
	switch (complaint->kind) {
	case COMPLAINT_IN_OPENING:
		say(refusal, "Expected `[` after `IN` keyword.");
		break;
	case COMPLAINT_IN_CLOSING:
		say(refusal, "Expected matching `]` after the list of field names given to `IN[`");
		break;
	case COMPLAINT_RESERVED_GEO:
		say_name(refusal, complaint->name,
		         "` is a reserved keyword and thus can't be used as a filter expression. Use the "
		         "`_geoRadius(latitude, longitude, distance)` or `_geoBoundingBox([latitude, "
		         "longitude], "
		         "[latitude, longitude])` built-in rules to filter on `_geo` coordinates.");
		break;
	case COMPLAINT_MISUSED:
		say(refusal, "The ");
		say_name(refusal, complaint->name, "` filter is an operation and can't be used as a value.");
		break;
	case COMPLAINT_NOT_AVAILABLE:
		say(refusal, "The ");
		say_name(refusal, complaint->name, "` filter is not available in this version of Millrace.");
		break;
	case COMPLAINT_VECTORS:
		say(refusal, "using a vector filter requires enabling the `multimodal` experimental feature. "
		             "See https://github.com/orgs/meilisearch/discussions/846");
		break;
	case COMPLAINT_GEO_FORM:
		say_form(refusal, complaint->name);
		break;
	case COMPLAINT_ARGUMENTS:
		say(refusal, "Was expecting 3 or 4 arguments for ");
		say_name(refusal, complaint->name, "`, but instead found ");
		say_count(refusal, complaint->count);
		break;
	case COMPLAINT_COORDINATES:
		say(refusal, "Was expecting 2 coordinates but instead found ");
		say_count(refusal, complaint->count);
		break;
	case COMPLAINT_DEPTH:
		say(refusal,
		    "The filter exceeded the maximum depth limit. Try rewriting the filter so that it "
		    "contains fewer nested conditions.");
		break;
	case COMPLAINT_NODES:
		say(refusal,
		    "The filter has too many conditions and values. Try splitting it into several filters.");
		break;
	case COMPLAINT_FIELD_PARTS:
		say_around(refusal, "The field name ", found, " has too many parts.");
		break;
	default:
		say_place(refusal, complaint, found);
		break;
	}
}

/* "\n1:4 v = " – the columns, in characters from the begin of the line, and the expression. */
static void say_position(struct filter_refusal *refusal, struct slice expression,
                         const struct complaint *complaint)
{
	size_t column = 1;
	size_t len = 0;
	char columns[64];

	for (size_t at = 0; at < complaint->end; at++) {
		if ((expression.ptr[at] & 0xc0) == 0x80)
			continue;
		if (at >= complaint->begin)
			len++;
		else
			column = expression.ptr[at] == '\n' ? 1 : column + 1;
	}
	(void)snprintf(columns, sizeof columns, "\n%zu:%zu ", column, column + len);
	say(refusal, columns);
	say_bytes(refusal, expression);
}

static void begin(struct filter_refusal *refusal)
{
	refusal->lacks_feature = false;
	refusal->len = 0;
}

int filter_complain(struct filter_refusal *refusal, struct slice expression,
                    const struct complaint *complaint)
{
	begin(refusal);
	refusal->lacks_feature = complaint->kind == COMPLAINT_VECTORS;
	say_complaint(refusal, complaint,
	              slice_of(expression.ptr + complaint->begin, complaint->end - complaint->begin));
	say_position(refusal, expression, complaint);
	return complaint->kind >= COMPLAINT_DEPTH ? ERROR_LIMIT : ERROR_FORMAT;
}

int filter_complain_shape(struct filter_refusal *refusal, const char *expected, yyjson_val *found)
{
	struct buffer text;
	int result;

	buffer_init(&text, SIZE_MAX);
	json_append_shown(&text, found);
	result = buffer_failed(&text) ? ERROR_MEMORY : ERROR_FORMAT;
	if (result == ERROR_FORMAT) {
		begin(refusal);
		say(refusal, "Invalid syntax for the filter parameter: `expected ");
		say(refusal, expected);
		say(refusal, ", found: ");
		say_bytes(refusal, buffer_slice(&text));
		say(refusal, "`.");
	}
	buffer_deinit(&text);
	return result;
}

int filter_complain_text(struct filter_refusal *refusal, int code, const char *text)
{
	begin(refusal);
	say(refusal, text);
	return code;
}
