/*
 * Decimal: a text that is a number in decimal digits, as JSON, parameters
 * and `_geoPoint` have it. Pure.
 */
#ifndef MILLRACE_BASE_DECIMAL_H
#define MILLRACE_BASE_DECIMAL_H

#include "shared/base/slice.h"

#define DECIMAL_BYTES_MAX 512

/*
 * All of a text of 1 to DECIMAL_BYTES_MAX bytes as a number: digits, with a
 * sign, a point and an exponent where it has them; neither hexadecimal nor a
 * word, no spaces. False for anything else. A number that is too large for
 * a double is infinite.
 */
bool decimal_parse(struct slice text, double *number);

#endif
