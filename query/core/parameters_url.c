#include "query/core/parameters_private.h"

#include "shared/base/assert.h"

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

/* The text with what is not UTF-8 replaced. */
static int url_text(struct reading *reading, struct slice text, struct slice *taken)
{
	struct buffer quoted;
	struct error error;
	yyjson_doc *doc;
	int result;

	/* the JSON writer and reader are the one place that knows UTF-8 */
	buffer_init(&quoted, SIZE_MAX);
	json_append_string(&quoted, text);
	if (buffer_failed(&quoted) || json_parse(buffer_slice(&quoted), 1, &doc, &error) < 0) {
		buffer_deinit(&quoted);
		return parameter_refuse_memory(reading);
	}
	result = parameter_take_text(reading, json_string(yyjson_doc_get_root(doc)), taken);
	yyjson_doc_free(doc);
	buffer_deinit(&quoted);
	return result;
}

/* Between commas; an empty text is an empty list. */
static int url_list(struct reading *reading, struct parameter_value *out)
{
	struct slice rest = out->text;
	size_t len = rest.len > 0;

	for (size_t i = 0; i < rest.len; i++)
		len += rest.ptr[i] == ',';
	out->list = arena_alloc(reading->arena, (len + 1) * sizeof out->list[0]);
	if (out->list == NULL)
		return parameter_refuse_memory(reading);
	while (out->list_len < len) {
		const uint8_t *comma = rest.len > 0 ? memchr(rest.ptr, ',', rest.len) : NULL;
		size_t item = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;

		out->list[out->list_len++] = slice_of(rest.ptr, item);
		if (comma != NULL)
			rest = slice_of(comma + 1, rest.len - item - 1);
	}
	return 0;
}

/* JSON as it is, anything else as a string. */
static int url_any(struct reading *reading, struct parameter_value *out)
{
	struct buffer json;
	struct error error;
	yyjson_doc *doc;
	int result;

	buffer_init(&json, SIZE_MAX);
	if (json_parse(out->text, JSON_DEPTH_MAX, &doc, &error) == 0) {
		(void)json_append_value(&json, yyjson_doc_get_root(doc), &error);
		yyjson_doc_free(doc);
	} else {
		json_append_string(&json, out->text);
	}
	result = buffer_failed(&json) ? parameter_refuse_memory(reading)
	                              : parameter_take_text(reading, buffer_slice(&json), &out->json);
	buffer_deinit(&json);
	return result;
}

static int refuse_parse(struct reading *reading, const struct parameter *row, const char *text,
                        const char *expected)
{
	struct slice shown = slice_within(slice_string(text), PARAMETER_ECHO_BYTES_MAX);

	return error_answer_set(reading->refusal, row->code,
	                        "Invalid value in parameter `%s`: could not parse `%.*s` as %s", row->name,
	                        SLICE_ARGS(shown), expected);
}

static int url_kind(struct reading *reading, const struct parameter *row, struct parameter_value *out,
                    const char *text)
{
	switch (row->kind) {
	case PARAMETER_KIND_COUNT:
		return url_count(text, &out->count) ? 0
		                                    : refuse_parse(reading, row, text, "a positive integer");
	case PARAMETER_KIND_BOOLEAN:
		out->flag = strcmp(text, "true") == 0;
		if (out->flag || strcmp(text, "false") == 0)
			return 0;
		return refuse_parse(reading, row, text, "a boolean, expected either `true` or `false`");
	case PARAMETER_KIND_RATIO:
		return parameter_ratio(slice_string(text), &out->ratio)
		               ? 0
		               : parameter_refuse_ratio(reading, row);
	case PARAMETER_KIND_STRATEGY:
		if (!parameter_is_strategy(slice_string(text)))
			return parameter_refuse_strategy(reading, row, slice_string(text));
		break;
	case PARAMETER_KIND_STRING:
	case PARAMETER_KIND_STRINGS:
	case PARAMETER_KIND_NUMBERS:
	case PARAMETER_KIND_ARRAY:
	case PARAMETER_KIND_WEIGHT:
	case PARAMETER_KIND_OBJECT:
	case PARAMETER_KIND_ANY:
		break;
	}
	return url_text(reading, slice_string(text), &out->text);
}

static int check_floats(struct reading *reading, const struct parameter *row,
                        const struct parameter_value *value)
{
	for (size_t i = 0; i < value->list_len; i++)
		if (!parameter_is_float(value->list[i]))
			return error_answer_set(
				reading->refusal, row->code, "Invalid value in parameter `%s`: %s", row->name,
				value->list[i].len == 0 ? "cannot parse float from empty string"
							: "invalid float literal");
	return 0;
}

/* What stands between commas. */
static int url_items(struct reading *reading, const struct parameter *row, struct parameter_value *out)
{
	switch (row->kind) {
	case PARAMETER_KIND_STRINGS:
		if (url_list(reading, out) < 0)
			return ERROR_FORMAT;
		return out->list_len > PARAMETER_STRINGS_MAX
		               ? parameter_refuse_many(reading, row, out->list_len)
		               : 0;
	case PARAMETER_KIND_ARRAY:
		return url_list(reading, out);
	case PARAMETER_KIND_NUMBERS:
		return url_list(reading, out) < 0 ? ERROR_FORMAT : check_floats(reading, row, out);
	default:
		return 0;
	}
}

static int url_value(struct reading *reading, size_t at, const char *text)
{
	const struct parameter *row = &reading->table->rows[at];
	struct parameter_value *out = &reading->values[at];
	int result;

	*out = (struct parameter_value){0};
	result = url_kind(reading, row, out, text);
	if (result == 0)
		result = url_items(reading, row, out);
	if (result == 0)
		result = parameter_take_json(reading, row, out);
	if (result == 0 && out->json.ptr == NULL)
		result = url_any(reading, out);
	if (result == 0)
		parameter_judge(reading, row, out);
	return result;
}

int parameters_from_url(const struct parameter_table *table, const struct argument *arguments,
                        struct arena *arena, struct parameter_value *values, struct error_answer *refusal)
{
	struct reading reading = {.table = table,
	                          .place = PARAMETER_PLACE_URL,
	                          .inside = "",
	                          .code = "bad_request",
	                          .arena = arena,
	                          .values = values,
	                          .refusal = refusal};

	ASSERT(table->len <= PARAMETERS_MAX);
	memset(values, 0, table->len * sizeof values[0]);
	for (size_t i = 0; arguments[i].name != NULL; i++) {
		size_t row = parameter_find(&reading, slice_string(arguments[i].name));
		int result;

		if (row == table->len)
			return parameter_refuse_name(&reading, slice_string(arguments[i].name));
		result = url_value(&reading, row, arguments[i].value);
		if (result < 0)
			return result;
	}
	return parameter_refuse_unavailable(&reading);
}
