#include "shared/json/json_shown.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* So many significant digits always suffice. */
#define DIGITS_MAX 17
/* Of the first digit of what is written without an exponent. */
#define EXPONENT_MIN (-5)
#define EXPONENT_MAX 15

enum json_number json_number_kind(struct slice raw, uint64_t *count)
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

static enum json_number kind_of(yyjson_val *number)
{
	uint64_t ignored;

	if (yyjson_is_raw(number))
		return json_number_kind(json_raw_number(number), &ignored);
	if (yyjson_is_uint(number))
		return JSON_NUMBER_POSITIVE;
	return yyjson_is_sint(number) ? JSON_NUMBER_NEGATIVE : JSON_NUMBER_FLOAT;
}

const char *json_shown_kind(yyjson_val *value)
{
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
	switch (kind_of(value)) {
	case JSON_NUMBER_POSITIVE:
		return "a positive integer";
	case JSON_NUMBER_NEGATIVE:
		return "a negative integer";
	case JSON_NUMBER_FLOAT:
		break;
	}
	return "a number";
}

/* The fewest digits of `number` that read back as it; returns the exponent of the first one. */
static int shortest_digits(double number, char digits[DIGITS_MAX + 1])
{
	char text[DIGITS_MAX + 16];
	int len = 0;

	do
		(void)snprintf(text, sizeof text, "%.*e", len++, number);
	while (len < DIGITS_MAX && strtod(text, NULL) != number);
	digits[0] = text[0];
	memcpy(digits + 1, text + 2, (size_t)len - 1);
	digits[len] = '\0';
	return (int)strtol(strchr(text, 'e') + 1, NULL, 10);
}

static void append_double(struct buffer *text, double number)
{
	char digits[DIGITS_MAX + 1];
	int exponent = shortest_digits(fabs(number), digits);
	int len = (int)strlen(digits);
	int whole = exponent + 1;

	if (signbit(number))
		buffer_put_u8(text, '-');
	if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX)
		buffer_printf(text, "%c%s%se%+d", digits[0], len > 1 ? "." : "", digits + 1, exponent);
	else if (whole <= 0)
		buffer_printf(text, "0.%.*s%s", -whole, "0000", digits);
	else if (len <= whole)
		buffer_printf(text, "%s%.*s.0", digits, whole - len, "000000000000000");
	else
		buffer_printf(text, "%.*s.%s", whole, digits, digits + whole);
}

static void append_raw(struct buffer *text, struct slice raw)
{
	char copy[JSON_SHOWN_NUMBER_BYTES_MAX + 1];
	uint64_t ignored;
	double number;

	if (raw.len > JSON_SHOWN_NUMBER_BYTES_MAX || json_number_kind(raw, &ignored) != JSON_NUMBER_FLOAT) {
		buffer_append_slice(text, raw);
		return;
	}
	memcpy(copy, raw.ptr, raw.len);
	copy[raw.len] = '\0';
	number = strtod(copy, NULL);
	if (isfinite(number))
		append_double(text, number);
	else
		buffer_append_slice(text, raw);
}

static void append_array(struct buffer *text, yyjson_val *array)
{
	size_t at;
	size_t len;
	yyjson_val *item;

	buffer_put_u8(text, '[');
	yyjson_arr_foreach(array, at, len, item)
	{
		buffer_append_string(text, at > 0 ? "," : "");
		json_append_shown(text, item);
	}
	buffer_put_u8(text, ']');
}

static void append_object(struct buffer *text, yyjson_val *object)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *value;

	buffer_put_u8(text, '{');
	yyjson_obj_foreach(object, at, len, key, value)
	{
		buffer_append_string(text, at > 0 ? "," : "");
		json_append_string(text, json_string(key));
		buffer_put_u8(text, ':');
		json_append_shown(text, value);
	}
	buffer_put_u8(text, '}');
}

/* As deep as the parser let it be. */
void json_append_shown(struct buffer *text, yyjson_val *value)
{
	if (yyjson_is_null(value))
		buffer_append_string(text, "null");
	else if (yyjson_is_bool(value))
		buffer_append_string(text, yyjson_is_true(value) ? "true" : "false");
	else if (yyjson_is_str(value))
		json_append_string(text, json_string(value));
	else if (yyjson_is_arr(value))
		append_array(text, value);
	else if (yyjson_is_obj(value))
		append_object(text, value);
	else if (yyjson_is_raw(value))
		append_raw(text, json_raw_number(value));
	else if (yyjson_is_real(value))
		append_double(text, yyjson_get_real(value));
	else if (yyjson_is_uint(value))
		buffer_printf(text, "%llu", (unsigned long long)yyjson_get_uint(value));
	else
		buffer_printf(text, "%lld", (long long)yyjson_get_sint(value));
}
