#include "query/core/parameters_private.h"

#include "shared/base/assert.h"
#include "shared/base/decimal.h"
#include "shared/base/expected_names.h"
#include "shared/json/json_shown.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#define PLACE_BYTES_MAX 512
#define STRATEGIES 3

static const char *const strategies[STRATEGIES] = {"last", "all", "frequency"};

/* ---- refusals ---- */

int parameter_refuse_memory(struct reading *reading)
{
	return error_answer_set(reading->refusal, "internal", "out of memory for the request's parameters");
}

static int refuse_buffer(struct reading *reading, const char *code, struct buffer *text)
{
	struct slice message = buffer_slice(text);
	int result = error_answer_set(reading->refusal, code, "%.*s", SLICE_ARGS(message));

	buffer_deinit(text);
	return result;
}

int parameter_refuse_name(struct reading *reading, struct slice name)
{
	const struct parameter_table *table = reading->table;
	const char *names[PARAMETERS_MAX];
	size_t names_len = 0;
	struct buffer text;

	for (size_t i = 0; i < table->len; i++)
		if (table->rows[i].place & reading->place)
			names[names_len++] = table->rows[i].name;
	buffer_init(&text, ERROR_ANSWER_MESSAGE_BYTES_MAX);
	name = slice_within(name, PARAMETER_ECHO_BYTES_MAX);
	buffer_printf(&text, "Unknown %s `%.*s`",
	              reading->place == PARAMETER_PLACE_BODY ? "field" : "parameter", SLICE_ARGS(name));
	if (reading->inside[0] != '\0')
		buffer_printf(&text, " inside `%s`", reading->inside);
	buffer_append_string(&text, ": ");
	expected_names_append(&text, name, names, names_len);
	return refuse_buffer(reading, reading->code, &text);
}

int parameter_refuse_strategy(struct reading *reading, const struct parameter *row, struct slice value)
{
	struct buffer text;

	buffer_init(&text, ERROR_ANSWER_MESSAGE_BYTES_MAX);
	value = slice_within(value, PARAMETER_ECHO_BYTES_MAX);
	if (reading->place == PARAMETER_PLACE_BODY)
		buffer_printf(&text, "Unknown value `%.*s` at `%s.%s`: ", SLICE_ARGS(value), reading->inside,
		              row->name);
	else
		buffer_printf(&text, "Unknown value `%.*s` for parameter `%s`: ", SLICE_ARGS(value),
		              row->name);
	expected_names_append(&text, value, strategies, STRATEGIES);
	return refuse_buffer(reading, row->code, &text);
}

int parameter_refuse_ratio(struct reading *reading, const struct parameter *row)
{
	bool body = reading->place == PARAMETER_PLACE_BODY;
	/* what is said of a number is its code's, whatever it is called where it stands */
	bool semantic = strcmp(row->code, "invalid_search_semantic_ratio") == 0;

	return error_answer_set(
		reading->refusal, row->code,
		"Invalid value %s `%s%s%s`: the value of `%s` is invalid, expected a float between `0.0` "
		"and `1.0`.",
		body ? "at" : "in parameter", reading->inside, body ? "." : "", row->name,
		semantic ? "semanticRatio" : row->name);
}

int parameter_refuse_many(struct reading *reading, const struct parameter *row, size_t len)
{
	bool body = reading->place == PARAMETER_PLACE_BODY;

	return error_answer_set(reading->refusal, row->code,
	                        "Invalid value %s `%s%s%s`: Millrace allows %d items, but found %zu",
	                        body ? "at" : "in parameter", reading->inside, body ? "." : "", row->name,
	                        PARAMETER_STRINGS_MAX, len);
}

int parameter_refuse_unavailable(struct reading *reading)
{
	if (reading->unavailable == NULL)
		return 0;
	return error_answer_set(
		reading->refusal, "bad_request",
		"The parameter `%s` with this value is not available in this version of Millrace.",
		reading->unavailable->name);
}

/* ---- what both have ---- */

size_t parameter_find(const struct reading *reading, struct slice name)
{
	const struct parameter_table *table = reading->table;

	for (size_t i = 0; i < table->len; i++)
		if ((table->rows[i].place & reading->place) &&
		    slice_equal(name, slice_string(table->rows[i].name)))
			return i;
	return table->len;
}

bool parameter_is_strategy(struct slice value)
{
	for (size_t i = 0; i < STRATEGIES; i++)
		if (slice_equal(value, slice_string(strategies[i])))
			return true;
	return false;
}

static bool read_number(struct slice text, double *number)
{
	return decimal_parse(text, number) && isfinite(*number);
}

bool parameter_is_float(struct slice text)
{
	static const char *const words[] = {"inf", "infinity", "nan"};
	struct slice word = text;
	double ignored;

	if (decimal_parse(text, &ignored))
		return true;
	if (word.len > 0 && (word.ptr[0] == '+' || word.ptr[0] == '-'))
		word = slice_of(word.ptr + 1, word.len - 1);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (word.len == strlen(words[i]) &&
		    strncasecmp((const char *)word.ptr, words[i], word.len) == 0)
			return true;
	return false;
}

bool parameter_ratio(struct slice text, double *ratio)
{
	return read_number(text, ratio) && *ratio >= 0.0 && *ratio <= 1.0;
}

int parameter_take_text(struct reading *reading, struct slice text, struct slice *taken)
{
	return arena_copy(reading->arena, text, taken) ? 0 : parameter_refuse_memory(reading);
}

static void append_list(struct buffer *json, const struct parameter_value *value)
{
	buffer_put_u8(json, '[');
	for (size_t i = 0; i < value->list_len; i++) {
		if (i > 0)
			buffer_put_u8(json, ',');
		json_append_string(json, value->list[i]);
	}
	buffer_put_u8(json, ']');
}

int parameter_take_json(struct reading *reading, const struct parameter *row, struct parameter_value *value)
{
	struct buffer json;
	int result;

	buffer_init(&json, SIZE_MAX);
	switch (row->kind) {
	case PARAMETER_KIND_STRING:
	case PARAMETER_KIND_STRATEGY:
		json_append_string(&json, value->text);
		break;
	case PARAMETER_KIND_COUNT:
		buffer_printf(&json, "%" PRIu64, value->count);
		break;
	case PARAMETER_KIND_BOOLEAN:
		buffer_append_string(&json, value->flag ? "true" : "false");
		break;
	case PARAMETER_KIND_RATIO:
		buffer_printf(&json, "%.17g", value->ratio);
		break;
	case PARAMETER_KIND_STRINGS:
		append_list(&json, value);
		break;
	case PARAMETER_KIND_ARRAY:
		if (reading->place == PARAMETER_PLACE_BODY)
			return 0;
		append_list(&json, value);
		break;
	case PARAMETER_KIND_WEIGHT:
	case PARAMETER_KIND_NUMBERS:
	case PARAMETER_KIND_OBJECT:
	case PARAMETER_KIND_ANY:
		return 0;
	}
	result = buffer_failed(&json) ? parameter_refuse_memory(reading)
	                              : parameter_take_text(reading, buffer_slice(&json), &value->json);
	buffer_deinit(&json);
	return result;
}

static bool is_idle(const struct parameter *row, struct slice json)
{
	const char *at = row->idle;

	while (at != NULL && *at != '\0') {
		size_t len = strcspn(at, " ");

		if (slice_equal(json, slice_of(at, len)))
			return true;
		at += len + (at[len] == ' ');
	}
	return false;
}

void parameter_judge(struct reading *reading, const struct parameter *row, struct parameter_value *value)
{
	value->given = !is_idle(row, value->json);
	if (value->given && (row->flags & PARAMETER_UNAVAILABLE) && reading->unavailable == NULL)
		reading->unavailable = row;
}

/* ---- values of a body ---- */

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
	json_append_shown(&compact, value);
	shown = slice_within(buffer_slice(&compact), PARAMETER_ECHO_BYTES_MAX);
	result = error_answer_set(reading->refusal, code,
	                          "Invalid value type%s: expected %s, but found %s: `%.*s`", where, expected,
	                          json_shown_kind(value), SLICE_ARGS(shown));
	buffer_deinit(&compact);
	return result;
}

/* A value of a parameter, or of its list (`at`), is of another type than expected. */
static int refuse_value(struct reading *reading, const struct parameter *row, const char *expected,
                        yyjson_val *value)
{
	char where[PLACE_BYTES_MAX];

	(void)snprintf(where, sizeof where, " at `%s.%s`", reading->inside, row->name);
	return refuse_type(reading, row->code, where, expected, value);
}

static int refuse_item(struct reading *reading, const struct parameter *row, size_t at, yyjson_val *item)
{
	const char *expected = row->kind == PARAMETER_KIND_STRINGS ? "a string" : "a number";
	char where[PLACE_BYTES_MAX];

	(void)snprintf(where, sizeof where, " at `%s.%s[%zu]`", reading->inside, row->name, at);
	return refuse_type(reading, row->code, where, expected, item);
}

static int body_array(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                      yyjson_val *value)
{
	bool strings = row->kind == PARAMETER_KIND_STRINGS;
	size_t at;
	size_t len;
	yyjson_val *item;

	if (!yyjson_is_arr(value))
		return refuse_value(reading, row, "an array", value);
	if (strings && yyjson_arr_size(value) > PARAMETER_STRINGS_MAX)
		return parameter_refuse_many(reading, row, yyjson_arr_size(value));
	out->list = arena_alloc(reading->arena, (yyjson_arr_size(value) + 1) * sizeof out->list[0]);
	if (out->list == NULL)
		return parameter_refuse_memory(reading);
	yyjson_arr_foreach(value, at, len, item)
	{
		if (!(strings ? yyjson_is_str(item) : yyjson_is_raw(item)))
			return refuse_item(reading, row, at, item);
		if (strings &&
		    parameter_take_text(reading, json_string(item), &out->list[out->list_len++]) < 0)
			return -1;
	}
	return 0;
}

/* The value as it is. */
static int body_json(struct reading *reading, struct parameter_value *out, yyjson_val *value)
{
	struct buffer compact;
	struct error ignored;
	int result;

	buffer_init(&compact, SIZE_MAX);
	if (json_append_value(&compact, value, &ignored) < 0 || buffer_failed(&compact))
		result = parameter_refuse_memory(reading);
	else
		result = parameter_take_text(reading, buffer_slice(&compact), &out->json);
	buffer_deinit(&compact);
	return result;
}

static int body_text(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                     yyjson_val *value)
{
	if (!yyjson_is_str(value))
		return refuse_value(reading, row, "a string", value);
	if (row->kind == PARAMETER_KIND_STRATEGY && !parameter_is_strategy(json_string(value)))
		return parameter_refuse_strategy(reading, row, json_string(value));
	return parameter_take_text(reading, json_string(value), &out->text);
}

static int body_number(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                       yyjson_val *value)
{
	struct slice raw = json_raw_number(value);
	bool count = row->kind == PARAMETER_KIND_COUNT;

	if (raw.ptr == NULL || (count && json_number_kind(raw, &out->count) != JSON_NUMBER_POSITIVE))
		return refuse_value(reading, row, count ? "a positive integer" : "a number", value);
	if (!count && !parameter_ratio(raw, &out->ratio))
		return parameter_refuse_ratio(reading, row);
	return 0;
}

static int body_weight(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                       yyjson_val *value)
{
	struct slice raw = json_raw_number(value);

	if (raw.ptr == NULL)
		return refuse_value(reading, row, "a number", value);
	if (!read_number(raw, &out->ratio) || out->ratio < 0.0)
		return error_answer_set(reading->refusal, row->code,
		                        "Invalid value at `%s.%s`: the value of `%s` is invalid, expected a "
		                        "positive float (>= 0.0).",
		                        reading->inside, row->name, row->name);
	return body_json(reading, out, value);
}

static int read_members(struct reading *reading, const struct parameter_object *object);

/* An object of which a table says what it may have. */
static int body_object(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                       yyjson_val *value)
{
	struct reading inside = *reading;
	struct parameter_object object = {.value = value};
	char place[PLACE_BYTES_MAX];

	if (!yyjson_is_obj(value))
		return refuse_value(reading, row, "an object", value);
	if (row->members == NULL)
		return body_json(reading, out, value);
	out->members = arena_alloc(reading->arena, row->members->len * sizeof out->members[0]);
	if (out->members == NULL)
		return parameter_refuse_memory(reading);
	(void)snprintf(place, sizeof place, "%s.%s", reading->inside, row->name);
	object.place = place;
	inside.table = row->members;
	inside.code = row->code;
	inside.inside = place;
	inside.values = out->members;
	if (read_members(&inside, &object) < 0)
		return ERROR_FORMAT;
	return body_json(reading, out, value);
}

static int body_kind(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                     yyjson_val *value)
{
	int result;

	switch (row->kind) {
	case PARAMETER_KIND_STRING:
	case PARAMETER_KIND_STRATEGY:
		return body_text(reading, row, out, value);
	case PARAMETER_KIND_COUNT:
	case PARAMETER_KIND_RATIO:
		return body_number(reading, row, out, value);
	case PARAMETER_KIND_BOOLEAN:
		out->flag = yyjson_is_true(value);
		return yyjson_is_bool(value) ? 0 : refuse_value(reading, row, "a boolean", value);
	case PARAMETER_KIND_STRINGS:
		return body_array(reading, row, out, value);
	case PARAMETER_KIND_NUMBERS:
		result = body_array(reading, row, out, value);
		return result < 0 ? result : body_json(reading, out, value);
	case PARAMETER_KIND_WEIGHT:
		return body_weight(reading, row, out, value);
	case PARAMETER_KIND_ARRAY:
		if (!yyjson_is_arr(value))
			return refuse_value(reading, row, "an array", value);
		break;
	case PARAMETER_KIND_OBJECT:
		return body_object(reading, row, out, value);
	case PARAMETER_KIND_ANY:
		break;
	}
	return body_json(reading, out, value);
}

static int body_value(struct reading *reading, size_t at, yyjson_val *value)
{
	const struct parameter *row = &reading->table->rows[at];
	struct parameter_value *out = &reading->values[at];

	*out = (struct parameter_value){0};
	if (yyjson_is_null(value) && !(row->flags & PARAMETER_NOT_NULL))
		return 0;
	if (body_kind(reading, row, out, value) < 0 || parameter_take_json(reading, row, out) < 0)
		return -1;
	parameter_judge(reading, row, out);
	return 0;
}

static int check_required(struct reading *reading)
{
	for (size_t i = 0; i < reading->table->len; i++)
		if ((reading->table->rows[i].flags & PARAMETER_REQUIRED) && !reading->values[i].given)
			return error_answer_set(reading->refusal, reading->code,
			                        "Missing field `%s` inside `%s`",
			                        reading->table->rows[i].name, reading->inside);
	return 0;
}

/* The members of an object, which `value` is, as the reading's table has them. */
static int read_members(struct reading *reading, const struct parameter_object *object)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *value;

	ASSERT(reading->table->len <= PARAMETERS_MAX);
	memset(reading->values, 0, reading->table->len * sizeof reading->values[0]);
	yyjson_obj_foreach(object->value, at, len, key, value)
	{
		size_t row = parameter_find(reading, json_string(key));

		if (row == reading->table->len && object->open)
			continue;
		if (row == reading->table->len)
			return parameter_refuse_name(reading, json_string(key));
		if (body_value(reading, row, value) < 0)
			return ERROR_FORMAT;
	}
	return check_required(reading);
}

/* A reading of a body, or of what is inside it. */
static struct reading body_reading(const struct parameter_table *table, const char *inside,
                                   struct arena *arena, struct parameter_value *values,
                                   struct error_answer *refusal)
{
	return (struct reading){.table = table,
	                        .place = PARAMETER_PLACE_BODY,
	                        .inside = inside,
	                        .code = "bad_request",
	                        .arena = arena,
	                        .values = values,
	                        .refusal = refusal};
}

int parameters_from_object(const struct parameter_table *table, const struct parameter_object *object,
                           struct arena *arena, struct parameter_value *values, struct error_answer *refusal)
{
	struct reading reading = body_reading(table, object->place, arena, values, refusal);
	char where[PLACE_BYTES_MAX] = "";

	if (object->place[0] != '\0')
		(void)snprintf(where, sizeof where, " at `%s`", object->place);
	if (!yyjson_is_obj(object->value))
		return refuse_type(&reading, "bad_request", where, "an object", object->value);
	if (read_members(&reading, object) < 0)
		return ERROR_FORMAT;
	return parameter_refuse_unavailable(&reading);
}

int parameters_from_value(const struct parameter *row, const struct parameter_object *object,
                          struct arena *arena, struct parameter_value *value, struct error_answer *refusal)
{
	struct parameter_table table = {row, 1};
	struct reading reading = body_reading(&table, object->place, arena, value, refusal);

	return body_value(&reading, 0, object->value);
}

int parameters_parse_body(struct slice body, yyjson_doc **doc, struct error_answer *refusal)
{
	struct error error;

	if (body.len == 0)
		return error_answer_set(refusal, "missing_payload", "A json payload is missing.");
	if (json_parse(body, JSON_DEPTH_MAX, doc, &error) < 0)
		return error_answer_set(refusal,
		                        error.code == ERROR_MEMORY ? "internal" : "malformed_payload",
		                        "The json payload provided is malformed. `%s`.", error.text);
	return 0;
}

int parameters_from_body(const struct parameter_table *table, struct slice body, struct arena *arena,
                         struct parameter_value *values, struct error_answer *refusal)
{
	struct parameter_object object = {.place = ""};
	yyjson_doc *doc = NULL;
	int result = parameters_parse_body(body, &doc, refusal);

	if (result < 0)
		return result;
	object.value = yyjson_doc_get_root(doc);
	result = parameters_from_object(table, &object, arena, values, refusal);
	yyjson_doc_free(doc);
	return result;
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
