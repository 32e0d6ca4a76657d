/*
 * Expected names: the end of a message about a name that is none.
 *
 * "did you mean `limit`? expected one of `q`, `offset`, `limit`", the question
 * only where one of the names is near: by edits (insert, remove, replace, swap
 * of neighbours), of which a longer name is allowed more, none up to three
 * bytes and five from 25 on. The first of equally near names wins. Pure core.
 */
#ifndef MILLRACE_BASE_EXPECTED_NAMES_H
#define MILLRACE_BASE_EXPECTED_NAMES_H

#include "shared/base/buffer.h"

/* One of the names; NULL: none is near. */
const char *expected_names_nearest(struct slice received, const char *const *names, size_t names_len);
void expected_names_append(struct buffer *text, struct slice received, const char *const *names,
                           size_t names_len);

#endif
