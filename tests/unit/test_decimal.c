/* Decimal: which texts are numbers, and which. */
#include "shared/base/decimal.h"

#include "tests/unit/suite.h"

#include <math.h>

static void test_numbers(void)
{
	static const struct {
		const char *text;
		double number;
	} rows[] = {
		{"0", 0},
		{"-0", 0},
		{"7", 7},
		{"007", 7},
		{"+7", 7},
		{"-12.5", -12.5},
		{".5", 0.5},
		{"5.", 5},
		{"1e3", 1000},
		{"1E+3", 1000},
		{"25e-2", 0.25},
		{"-1.5e1", -15},
		{"1e999", INFINITY},
		{"-1e999", -INFINITY},
		{"1e-999", 0},
		{"9007199254740993", 9007199254740992.0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		double number = NAN;

		CU_ASSERT_TRUE(decimal_parse(slice_string(rows[i].text), &number));
		CU_ASSERT_TRUE(number == rows[i].number);
	}
}

static void test_no_numbers(void)
{
	static const char *const texts[] = {"",    "+",     "-",   ".",    "e",   "e5",   "1e",
	                                    "1e+", "1.2.3", "1-2", "--1",  "+-1", "0x10", "0x1p3",
	                                    "inf", "-inf",  "nan", "1 ",   " 1",  "1,5",  "1f",
	                                    "ten", "\t1",   "1\n", "1_000"};
	double number;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		CU_ASSERT_FALSE(decimal_parse(slice_string(texts[i]), &number));
	CU_ASSERT_FALSE(decimal_parse(slice_of("1\0", 2), &number));
	CU_ASSERT_FALSE(decimal_parse(slice_of(NULL, 0), &number));
}

static void test_length(void)
{
	char digits[DECIMAL_BYTES_MAX + 1];
	double number = NAN;

	memset(digits, '0', sizeof digits);
	digits[DECIMAL_BYTES_MAX - 1] = '3';
	CU_ASSERT_TRUE(decimal_parse(slice_of(digits, DECIMAL_BYTES_MAX), &number));
	CU_ASSERT_TRUE(number == 3);
	CU_ASSERT_FALSE(decimal_parse(slice_of(digits, DECIMAL_BYTES_MAX + 1), &number));
	/* No more than the text is read. */
	CU_ASSERT_TRUE(decimal_parse(slice_of("12", 1), &number));
	CU_ASSERT_TRUE(number == 1);
}

int main(void)
{
	CU_TestInfo tests[] = {{"numbers", test_numbers},
	                       {"no numbers", test_no_numbers},
	                       {"length", test_length},
	                       CU_TEST_INFO_NULL};

	return suite_run("decimal", tests);
}
