#include "shared/mapping/mapping_private.h"

/* Exponents beyond this are taken for it: no double, and nobody, tells them apart. */
#define EXPONENT_MAX 1000000000000000

/* 0.d1d2d3… × 10^exponent, d1 not zero; no digits: zero. */
struct decimal {
	bool negative;
	int64_t exponent;
	struct slice digits; /* with the point, if it stands among them */
};

/* Of "e-3", or of nothing. */
static int64_t parse_exponent(struct slice text)
{
	bool is_signed = text.len > 1 && (text.ptr[1] == '-' || text.ptr[1] == '+');
	int64_t value = 0;

	for (size_t i = is_signed ? 2 : 1; i < text.len; i++)
		if (value < EXPONENT_MAX)
			value = value * 10 + (text.ptr[i] - '0');
	return is_signed && text.ptr[1] == '-' ? -value : value;
}

static struct decimal decimal_of(struct slice text)
{
	struct decimal decimal = {.negative = text.ptr[0] == '-'};
	size_t begin = decimal.negative;
	size_t end = begin;
	size_t point;

	while (end < text.len && text.ptr[end] != 'e' && text.ptr[end] != 'E')
		end++;
	for (point = begin; point < end && text.ptr[point] != '.'; point++)
		;
	decimal.exponent =
		(int64_t)(point - begin) + parse_exponent(slice_of(text.ptr + end, text.len - end));
	while (begin < end && (text.ptr[begin] == '0' || text.ptr[begin] == '.')) {
		decimal.exponent -= text.ptr[begin] == '0';
		begin++;
	}
	while (end > begin && (text.ptr[end - 1] == '0' || text.ptr[end - 1] == '.'))
		end--;
	decimal.digits = slice_of(text.ptr + begin, end - begin);
	return decimal;
}

static int compare_digits(struct slice a, struct slice b)
{
	size_t i = 0;
	size_t j = 0;

	for (;;) {
		i += i < a.len && a.ptr[i] == '.';
		j += j < b.len && b.ptr[j] == '.';
		if (i == a.len || j == b.len)
			return (i < a.len) - (j < b.len);
		if (a.ptr[i] != b.ptr[j])
			return a.ptr[i] < b.ptr[j] ? -1 : 1;
		i++;
		j++;
	}
}

/* Two numbers as JSON writes them, exactly: <0, 0, >0. */
static int compare_numbers(struct slice a, struct slice b)
{
	struct decimal x = decimal_of(a);
	struct decimal y = decimal_of(b);
	int sign_x = x.digits.len == 0 ? 0 : x.negative ? -1 : 1;
	int sign_y = y.digits.len == 0 ? 0 : y.negative ? -1 : 1;

	if (sign_x != sign_y)
		return sign_x < sign_y ? -1 : 1;
	if (sign_x == 0)
		return 0;
	if (x.exponent != y.exponent)
		return (x.exponent < y.exponent ? -1 : 1) * sign_x;
	return compare_digits(x.digits, y.digits) * sign_x;
}

/* False if they are of unlike types. Nulls are equal; of booleans false comes first. */
static bool compare_constant(yyjson_val *value, const struct mapping_constant *constant, int *order)
{
	if (yyjson_get_type(value) != constant->type)
		return false;
	if (constant->type == YYJSON_TYPE_RAW)
		*order = compare_numbers(json_raw_number(value), constant->text);
	else if (constant->type == YYJSON_TYPE_STR)
		*order = slice_compare(json_string(value), constant->text);
	else
		*order = constant->type == YYJSON_TYPE_BOOL ? yyjson_get_bool(value) - constant->truth : 0;
	return true;
}

static bool scalar_meets(const struct mapping_condition *condition, yyjson_val *value)
{
	for (size_t i = 0; i < condition->constants_len; i++) {
		int order;

		if (!compare_constant(value, &condition->constants[i], &order))
			continue;
		switch (condition->compare) {
		case MAPPING_COMPARE_ABOVE:
			return order > 0;
		case MAPPING_COMPARE_ABOVE_OR_EQUAL:
			return order >= 0;
		case MAPPING_COMPARE_BELOW:
			return order < 0;
		case MAPPING_COMPARE_BELOW_OR_EQUAL:
			return order <= 0;
		default:
			if (order == 0)
				return true;
		}
	}
	return false;
}

/* What a value can be asked: an array each of its elements, anything else itself. */
static bool value_meets(const struct mapping_condition *condition, yyjson_val *value)
{
	yyjson_val *element;
	size_t at;
	size_t count;

	if (!yyjson_is_arr(value))
		return scalar_meets(condition, value);
	yyjson_arr_foreach(value, at, count, element)
	{
		if (value_meets(condition, element))
			return true;
	}
	return false;
}

/* The field's values from segment `depth` on, through arrays; what is not there meets nothing. */
static bool field_meets(const struct mapping_condition *condition, size_t depth, yyjson_val *value)
{
	yyjson_val *element;
	size_t at;
	size_t count;

	if (value == NULL)
		return false;
	if (depth == condition->field.segments_len)
		return condition->compare == MAPPING_COMPARE_EXISTS || value_meets(condition, value);
	if (!yyjson_is_arr(value))
		return field_meets(condition, depth + 1,
		                   mapping_member(value, condition->field.segments[depth]));
	yyjson_arr_foreach(value, at, count, element)
	{
		if (field_meets(condition, depth, element))
			return true;
	}
	return false;
}

static bool condition_met(const struct mapping_condition *condition, yyjson_val *payload)
{
	bool met = field_meets(condition, 0, payload);

	if (condition->compare == MAPPING_COMPARE_UNEQUAL)
		return !met;
	if (condition->compare == MAPPING_COMPARE_EXISTS)
		return met == condition->constants[0].truth;
	return met;
}

bool mapping_conditions_met(const struct mapping_conditions *conditions, yyjson_val *payload)
{
	for (size_t i = 0; i < conditions->len; i++)
		if (!condition_met(&conditions->items[i], payload))
			return false;
	return true;
}
