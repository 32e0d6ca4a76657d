#include "shard/core/words_number.h"

#include "shared/json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* So many significant digits survive the way through a double, and so many always suffice. */
#define DIGITS_KEPT 15
#define DIGITS_MAX 17
/* Of what is written without an exponent. */
#define EXPONENT_MIN (-4)
#define EXPONENT_MAX 15

/* ±0.digits × 10^(exponent + 1), as "%e" writes it. */
struct decimal {
	bool negative;
	char digits[DIGITS_MAX + 1];
	int len;
	int exponent; /* of the first digit */
};

static bool is_integer(struct slice number)
{
	for (size_t i = 0; i < number.len; i++)
		if (number.ptr[i] == '.' || number.ptr[i] == 'e' || number.ptr[i] == 'E')
			return false;
	return true;
}

/* "12.5", "0.05": few digits, no exponent, no needless zero: what would come out. */
static bool is_shortest(struct slice number)
{
	size_t at = number.ptr[0] == '-';
	const uint8_t *first = number.ptr + at;

	if (number.len - at > DIGITS_KEPT + 1 ||
	    (number.ptr[number.len - 1] == '0' && number.ptr[number.len - 2] != '.'))
		return false;
	for (size_t i = at; i < number.len; i++)
		if (number.ptr[i] == 'e' || number.ptr[i] == 'E')
			return false;
	return *first != '0' || number.len - at < 6 || memcmp(first, "0.0000", 6) != 0;
}

static bool number_read(const char *text, double *number)
{
	yyjson_val value;

	if (yyjson_read_number(text, &value, YYJSON_READ_NOFLAG, NULL, NULL) == NULL)
		return false;
	*number = yyjson_get_num(&value);
	return true;
}

/* The shortest one that reads back as the number. */
static void decimal_of(double number, struct decimal *decimal)
{
	char text[DIGITS_MAX + 16];
	double back;

	for (int digits = 1; digits <= DIGITS_MAX; digits++) {
		(void)snprintf(text, sizeof text, "%.*e", digits - 1, number);
		decimal->len = digits;
		if (number_read(text, &back) && back == number)
			break;
	}
	decimal->negative = text[0] == '-';
	decimal->digits[0] = text[decimal->negative];
	memcpy(decimal->digits + 1, text + decimal->negative + 2, (size_t)decimal->len - 1);
	decimal->digits[decimal->len] = '\0';
	decimal->exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
}

static int decimal_write(const struct decimal *decimal, char text[NUMBER_BYTES_MAX])
{
	const char *sign = decimal->negative ? "-" : "";
	const char *digits = decimal->digits;
	int whole = decimal->exponent + 1;

	if (decimal->exponent < EXPONENT_MIN || decimal->exponent > EXPONENT_MAX)
		return snprintf(text, NUMBER_BYTES_MAX, "%s%c%s%se%d", sign, digits[0],
		                decimal->len > 1 ? "." : "", digits + 1, decimal->exponent);
	if (whole <= 0)
		return snprintf(text, NUMBER_BYTES_MAX, "%s0.%.*s%s", sign, -whole, "0000", digits);
	if (decimal->len <= whole)
		return snprintf(text, NUMBER_BYTES_MAX, "%s%s%.*s.0", sign, digits, whole - decimal->len,
		                "0000000000000000");
	return snprintf(text, NUMBER_BYTES_MAX, "%s%.*s.%s", sign, whole, digits, digits + whole);
}

struct slice words_number(struct slice number, char text[NUMBER_BYTES_MAX])
{
	struct decimal decimal;
	double value;

	if (number.len >= NUMBER_BYTES_MAX || is_integer(number) || is_shortest(number))
		return number;
	memcpy(text, number.ptr, number.len);
	text[number.len] = '\0';
	if (!number_read(text, &value))
		return number;
	decimal_of(value, &decimal);
	return slice_of(text, (size_t)decimal_write(&decimal, text));
}
