/*
 * Words of a number: the text that is shown of it, by which it is indexed.
 *
 * Integers stand as they are written. Other numbers become the shortest
 * decimal of the nearest double: with a point in every one, and an exponent
 * below 1e-4 and from 1e16 on (1.50 is 1.5, 2e3 is 2000.0, 1e-07 is 1e-7).
 * What is longer than NUMBER_BYTES_MAX, or what no double holds, stays as it is.
 */
#ifndef MILLRACE_SHARD_CORE_WORDS_NUMBER_H
#define MILLRACE_SHARD_CORE_WORDS_NUMBER_H

#include "shared/base/slice.h"

#define NUMBER_BYTES_MAX 512

/* `number` is JSON's; the result is that, or in `text`. */
struct slice words_number(struct slice number, char text[NUMBER_BYTES_MAX]);

#endif
