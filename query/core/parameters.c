#include "query/core/parameters.h"

#include "shared/base/assert.h"
#include "shared/base/expected_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NAME_BYTES_MAX 64
#define STRATEGIES 3

static const char *const strategies[STRATEGIES] = {"last", "all", "frequency"};

/* What both readers share. */
struct reading {
	const struct parameter *rows;
	size_t rows_len;
	enum parameter_place place;
	struct arena *arena;
	struct parameter_value *values;
	struct error_answer *refusal;
	const struct parameter *unavailable; /* the first one that asks for what is not there */
};

/* ---- refusals ---- */

static int refuse_buffer(struct reading *reading, const char *code, struct buffer *text)
{
	struct slice message = buffer_slice(text);
	int result = error_answer_set(reading->refusal, code, "%.*s", SLICE_ARGS(message));

	buffer_deinit(text);
	return result;
}

static int refuse_unknown_name(struct reading *reading, struct slice name)
{
	const char *names[PARAMETERS_MAX];
	size_t names_len = 0;
	struct buffer text;

	for (size_t i = 0; i < reading->rows_len; i++)
		if (reading->rows[i].place & reading->place)
			names[names_len++] = reading->rows[i].name;
	buffer_init(&text, ERROR_ANSWER_MESSAGE_BYTES_MAX);
	name = slice_within(name, PARAMETER_ECHO_BYTES_MAX);
	buffer_printf(&text,
	              "Unknown %s `%.*s`: ", reading->place == PARAMETER_PLACE_BODY ? "field" : "parameter",
	              SLICE_ARGS(name));
	expected_names_append(&text, name, names, names_len);
	return refuse_buffer(reading, "bad_request", &text);
}

static int refuse_strategy(struct reading *reading, const struct parameter *row, struct slice value)
{
	struct buffer text;

	buffer_init(&text, ERROR_ANSWER_MESSAGE_BYTES_MAX);
	value = slice_within(value, PARAMETER_ECHO_BYTES_MAX);
	if (reading->place == PARAMETER_PLACE_BODY)
		buffer_printf(&text, "Unknown value `%.*s` at `.%s`: ", SLICE_ARGS(value), row->name);
	else
		buffer_printf(&text, "Unknown value `%.*s` for parameter `%s`: ", SLICE_ARGS(value),
		              row->name);
	expected_names_append(&text, value, strategies, STRATEGIES);
	return refuse_buffer(reading, row->code, &text);
}

static int refuse_ratio(struct reading *reading, const struct parameter *row)
{
	const char *where = reading->place == PARAMETER_PLACE_BODY ? "at `." : "in parameter `";

	return error_answer_set(
		reading->refusal, row->code,
		"Invalid value %s%s`: the value of `%s` is invalid, expected a float between `0.0` "
		"and `1.0`.",
		where, row->name, row->name);
}

static int refuse_unavailable(struct reading *reading)
{
	return error_answer_set(
		reading->refusal, "bad_request",
		"The parameter `%s` with this value is not available in this version of Millrace.",
		reading->unavailable->name);
}

/* ---- values of a body ---- */

enum json_number {
	JSON_NUMBER_POSITIVE,
	JSON_NUMBER_NEGATIVE,
	JSON_NUMBER_FLOAT
};

/* As serde_json reads it: an integer outside 64 bits is a float, and so is -0. */
static enum json_number number_kind(struct slice raw, uint64_t *count)
{
	bool negative = raw.len > 0 && raw.ptr[0] == '-';
	uint64_t value = 0;

	for (size_t i = negative ? 1 : 0; i < raw.len; i++) {
		unsigned digit = (unsigned)raw.ptr[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return JSON_NUMBER_FLOAT;
		value = value * 10 + digit;
	}
	if (negative)
		return value > 0 && value <= (uint64_t)INT64_MAX + 1 ? JSON_NUMBER_NEGATIVE
		                                                     : JSON_NUMBER_FLOAT;
	*count = value;
	return JSON_NUMBER_POSITIVE;
}

static const char *value_description(yyjson_val *value)
{
	uint64_t ignored;

	if (yyjson_is_null(value))
		return "null";
	if (yyjson_is_bool(value))
		return "a boolean";
	if (yyjson_is_str(value))
		return "a string";
	if (yyjson_is_arr(value))
		return "an array";
	if (yyjson_is_obj(value))
		return "an object";
	switch (number_kind(json_raw_number(value), &ignored)) {
	case JSON_NUMBER_POSITIVE:
		return "a positive integer";
	case JSON_NUMBER_NEGATIVE:
		return "a negative integer";
	case JSON_NUMBER_FLOAT:
		break;
	}
	return "a number";
}

/* The value as compact JSON, in `text`; nothing if memory is short. */
static void append_compact(struct buffer *text, yyjson_val *value)
{
	struct error ignored;

	(void)json_append_value(text, value, &ignored);
}

/* `where` is " at `.name`" or empty for the body itself. */
static int refuse_type(struct reading *reading, const char *code, const char *where, const char *expected,
                       yyjson_val *value)
{
	struct buffer compact;
	struct slice shown;
	int result;

	if (yyjson_is_null(value))
		return error_answer_set(reading->refusal, code,
		                        "Invalid value type%s: expected %s, but found null", where, expected);
	buffer_init(&compact, SIZE_MAX);
	append_compact(&compact, value);
	shown = slice_within(buffer_slice(&compact), PARAMETER_ECHO_BYTES_MAX);
	result = error_answer_set(reading->refusal, code,
	                          "Invalid value type%s: expected %s, but found %s: `%.*s`", where, expected,
	                          value_description(value), SLICE_ARGS(shown));
	buffer_deinit(&compact);
	return result;
}

static int body_array(struct reading *reading, const struct parameter *row, yyjson_val *value)
{
	bool strings = row->kind == PARAMETER_KIND_STRINGS;
	char where[NAME_BYTES_MAX + 32];
	size_t at;
	size_t len;
	yyjson_val *item;

	(void)snprintf(where, sizeof where, " at `.%s`", row->name);
	if (!yyjson_is_arr(value))
		return refuse_type(reading, row->code, where, "an array", value);
	yyjson_arr_foreach(value, at, len, item)
	{
		if (strings ? yyjson_is_str(item) : yyjson_is_raw(item))
			continue;
		(void)snprintf(where, sizeof where, " at `.%s[%zu]`", row->name, at);
		return refuse_type(reading, row->code, where, strings ? "a string" : "a number", item);
	}
	return 0;
}

static int body_ratio(struct reading *reading, const struct parameter *row, yyjson_val *value)
{
	struct slice raw = json_raw_number(value);
	char text[32];
	double ratio;

	/* a number too long for the room is a ratio with useless digits: judged by the first ones */
	(void)snprintf(text, sizeof text, "%.*s", SLICE_ARGS(raw));
	ratio = strtod(text, NULL);
	return ratio >= 0.0 && ratio <= 1.0 ? 0 : refuse_ratio(reading, row);
}

static bool is_strategy(struct slice value)
{
	for (size_t i = 0; i < STRATEGIES; i++)
		if (slice_equal(value, slice_string(strategies[i])))
			return true;
	return false;
}

/* True if the value's type fits; else *expected says what would. */
static bool body_type_fits(const struct parameter *row, yyjson_val *value, uint64_t *count,
                           const char **expected)
{
	switch (row->kind) {
	case PARAMETER_KIND_STRING:
	case PARAMETER_KIND_STRATEGY:
		*expected = "a string";
		return yyjson_is_str(value);
	case PARAMETER_KIND_COUNT:
		*expected = "a positive integer";
		return yyjson_is_raw(value) &&
		       number_kind(json_raw_number(value), count) == JSON_NUMBER_POSITIVE;
	case PARAMETER_KIND_BOOLEAN:
		*expected = "a boolean";
		return yyjson_is_bool(value);
	case PARAMETER_KIND_RATIO:
		*expected = "a number";
		return yyjson_is_raw(value);
	case PARAMETER_KIND_OBJECT:
		*expected = "an object";
		return yyjson_is_obj(value);
	case PARAMETER_KIND_STRINGS:
	case PARAMETER_KIND_NUMBERS:
	case PARAMETER_KIND_ANY:
		break;
	}
	return true;
}

static bool is_idle(const struct parameter *row, struct slice compact)
{
	const char *at = row->idle;

	while (*at != '\0') {
		size_t len = strcspn(at, " ");

		if (slice_equal(compact, slice_of(at, len)))
			return true;
		at += len + (at[len] == ' ');
	}
	return false;
}

static void note_unavailable(struct reading *reading, const struct parameter *row, struct slice compact)
{
	if (reading->unavailable == NULL && !is_idle(row, compact))
		reading->unavailable = row;
}

static int take_text(struct reading *reading, struct parameter_value *value, struct slice text)
{
	/* a non-null pointer even for "", so that given and empty differ */
	if (!arena_copy(reading->arena, text, &value->text))
		return error_answer_set(reading->refusal, "internal",
		                        "out of memory for the request's parameters");
	value->given = true;
	return 0;
}

static int body_value(struct reading *reading, size_t at, yyjson_val *value)
{
	const struct parameter *row = &reading->rows[at];
	struct parameter_value *out = &reading->values[at];
	char where[NAME_BYTES_MAX + 8];
	const char *expected = NULL;
	struct buffer compact;
	int result = 0;

	*out = (struct parameter_value){0};
	if (yyjson_is_null(value))
		return 0;
	(void)snprintf(where, sizeof where, " at `.%s`", row->name);
	if (!body_type_fits(row, value, &out->count, &expected))
		return refuse_type(reading, row->code, where, expected, value);
	if (row->kind == PARAMETER_KIND_STRINGS || row->kind == PARAMETER_KIND_NUMBERS)
		result = body_array(reading, row, value);
	else if (row->kind == PARAMETER_KIND_RATIO)
		result = body_ratio(reading, row, value);
	else if (row->kind == PARAMETER_KIND_STRATEGY && !is_strategy(json_string(value)))
		result = refuse_strategy(reading, row, json_string(value));
	if (result < 0)
		return result;
	if (row->idle == NULL) {
		out->given = true;
		return row->kind == PARAMETER_KIND_STRING ? take_text(reading, out, json_string(value)) : 0;
	}
	buffer_init(&compact, SIZE_MAX);
	append_compact(&compact, value);
	note_unavailable(reading, row, buffer_slice(&compact));
	buffer_deinit(&compact);
	return 0;
}

/* Position of the row, or rows_len. */
static size_t row_find(const struct reading *reading, struct slice name)
{
	for (size_t i = 0; i < reading->rows_len; i++)
		if ((reading->rows[i].place & reading->place) &&
		    slice_equal(name, slice_string(reading->rows[i].name)))
			return i;
	return reading->rows_len;
}

static int body_object(struct reading *reading, yyjson_val *root)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *value;

	if (!yyjson_is_obj(root))
		return refuse_type(reading, "bad_request", "", "an object", root);
	yyjson_obj_foreach(root, at, len, key, value)
	{
		size_t row = row_find(reading, json_string(key));
		int result;

		if (row == reading->rows_len)
			return refuse_unknown_name(reading, json_string(key));
		result = body_value(reading, row, value);
		if (result < 0)
			return result;
	}
	return reading->unavailable != NULL ? refuse_unavailable(reading) : 0;
}

int parameters_from_body(const struct parameter_table *table, struct slice body, struct arena *arena,
                         struct parameter_value *values, struct error_answer *refusal)
{
	struct reading reading = {table->rows, table->len, PARAMETER_PLACE_BODY, arena, values,
	                          refusal,     NULL};
	struct error error;
	yyjson_doc *doc;
	int result;

	ASSERT(table->len <= PARAMETERS_MAX);
	memset(values, 0, table->len * sizeof values[0]);
	if (body.len == 0)
		return error_answer_set(refusal, "missing_payload", "A json payload is missing.");
	if (json_parse(body, JSON_DEPTH_MAX, &doc, &error) < 0)
		return error_answer_set(refusal,
		                        error.code == ERROR_MEMORY ? "internal" : "malformed_payload",
		                        "The json payload provided is malformed. `%s`.", error.text);
	result = body_object(&reading, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return result;
}

/* ---- values of a URL ---- */

/* As Rust reads a usize: digits, a plus sign allowed before them. */
static bool url_count(const char *text, uint64_t *count)
{
	uint64_t value = 0;

	if (*text == '+')
		text++;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned)(unsigned char)*text - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*count = value;
	return true;
}

static int url_parsed(struct reading *reading, const struct parameter *row, const char *text, uint64_t *count)
{
	struct slice shown = slice_within(slice_string(text), PARAMETER_ECHO_BYTES_MAX);
	bool boolean = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
	char *end;
	double ratio;

	if (row->kind == PARAMETER_KIND_COUNT && !url_count(text, count))
		return error_answer_set(
			reading->refusal, row->code,
			"Invalid value in parameter `%s`: could not parse `%.*s` as a positive integer",
			row->name, SLICE_ARGS(shown));
	if (row->kind == PARAMETER_KIND_BOOLEAN && !boolean)
		return error_answer_set(
			reading->refusal, row->code,
			"Invalid value in parameter `%s`: could not parse `%.*s` as a boolean, expected "
			"either `true` or `false`",
			row->name, SLICE_ARGS(shown));
	if (row->kind == PARAMETER_KIND_STRATEGY && !is_strategy(slice_string(text)))
		return refuse_strategy(reading, row, slice_string(text));
	if (row->kind == PARAMETER_KIND_RATIO) {
		ratio = strtod(text, &end);
		if (end == text || *end != '\0' || !(ratio >= 0.0 && ratio <= 1.0))
			return refuse_ratio(reading, row);
	}
	return 0;
}

/* The value as the JSON that a body would have. */
static void append_url_compact(struct buffer *compact, const struct parameter *row, const char *text)
{
	if (row->kind == PARAMETER_KIND_COUNT || row->kind == PARAMETER_KIND_BOOLEAN ||
	    row->kind == PARAMETER_KIND_RATIO) {
		buffer_append_string(compact, *text == '+' ? text + 1 : text);
		return;
	}
	if (row->kind != PARAMETER_KIND_STRINGS && row->kind != PARAMETER_KIND_NUMBERS) {
		json_append_string(compact, slice_string(text));
		return;
	}
	buffer_put_u8(compact, '[');
	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		json_append_string(compact, slice_of(text, len));
		text += len;
		if (*text == ',') {
			text++;
			buffer_put_u8(compact, ',');
		}
	}
	buffer_put_u8(compact, ']');
}

/* The text with what is not UTF-8 replaced. */
static int take_url_text(struct reading *reading, struct parameter_value *value, const char *text)
{
	struct buffer quoted;
	struct error error;
	yyjson_doc *doc;
	int result;

	/* the JSON writer and reader are the one place that knows UTF-8 */
	buffer_init(&quoted, SIZE_MAX);
	json_append_string(&quoted, slice_string(text));
	if (buffer_failed(&quoted) || json_parse(buffer_slice(&quoted), 1, &doc, &error) < 0) {
		buffer_deinit(&quoted);
		return error_answer_set(reading->refusal, "internal",
		                        "out of memory for the request's parameters");
	}
	result = take_text(reading, value, json_string(yyjson_doc_get_root(doc)));
	yyjson_doc_free(doc);
	buffer_deinit(&quoted);
	return result;
}

static int url_value(struct reading *reading, size_t at, const char *text)
{
	const struct parameter *row = &reading->rows[at];
	struct parameter_value *out = &reading->values[at];
	struct buffer compact;
	int result;

	*out = (struct parameter_value){0};
	result = url_parsed(reading, row, text, &out->count);
	if (result < 0)
		return result;
	if (row->idle == NULL) {
		out->given = true;
		return row->kind == PARAMETER_KIND_COUNT ? 0 : take_url_text(reading, out, text);
	}
	buffer_init(&compact, SIZE_MAX);
	append_url_compact(&compact, row, text);
	note_unavailable(reading, row, buffer_slice(&compact));
	buffer_deinit(&compact);
	return 0;
}

int parameters_from_url(const struct parameter_table *table, const struct argument *arguments,
                        struct arena *arena, struct parameter_value *values, struct error_answer *refusal)
{
	struct reading reading = {table->rows, table->len, PARAMETER_PLACE_URL, arena, values, refusal, NULL};

	ASSERT(table->len <= PARAMETERS_MAX);
	memset(values, 0, table->len * sizeof values[0]);
	for (size_t i = 0; arguments[i].name != NULL; i++) {
		size_t row = row_find(&reading, slice_string(arguments[i].name));
		int result;

		if (row == table->len)
			return refuse_unknown_name(&reading, slice_string(arguments[i].name));
		result = url_value(&reading, row, arguments[i].value);
		if (result < 0)
			return result;
	}
	return reading.unavailable != NULL ? refuse_unavailable(&reading) : 0;
}

/* True for …/json and …/…+json, parameters such as charset aside. */
static bool is_json_type(const char *content_type)
{
	const char *slash = strchr(content_type, '/');
	size_t len;

	if (slash == NULL)
		return false;
	len = strcspn(slash + 1, "; \t");
	if (len == 4 && strncasecmp(slash + 1, "json", 4) == 0)
		return true;
	return len > 5 && strncasecmp(slash + 1 + len - 5, "+json", 5) == 0;
}

int parameters_check_content_type(const char *content_type, struct error_answer *refusal)
{
	if (content_type == NULL)
		return error_answer_set(
			refusal, "missing_content_type",
			"A Content-Type header is missing. Accepted values for the Content-Type header "
			"are: `application/json`");
	if (!is_json_type(content_type))
		return error_answer_set(
			refusal, "invalid_content_type",
			"The Content-Type `%.200s` is invalid. Accepted values for the Content-Type header "
			"are: `application/json`",
			content_type);
	return 0;
}
