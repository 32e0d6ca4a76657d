/*
 * Lines: a record as a text that a person can write as a first input, and in
 * which a byte more or less leaves the rest where it was.
 *
 *   key, empty: none
 *   name: value        headers, as many as there are; without ": " the value is null
 *   (an empty line)
 *   value, all that is left; "null" for none
 */
#ifndef MILLRACE_TESTS_FUZZ_LINES_H
#define MILLRACE_TESTS_FUZZ_LINES_H

#include "shared/record/record.h"

/* Takes up to the next line break, which goes. */
static inline struct slice take_line(struct slice *text)
{
	const uint8_t *end = text->len > 0 ? memchr(text->ptr, '\n', text->len) : NULL;
	struct slice line = end != NULL ? slice_of(text->ptr, (size_t)(end - text->ptr)) : *text;
	size_t taken = line.len + (end != NULL);

	*text = slice_of(text->ptr + taken, text->len - taken);
	return line;
}

static inline struct record_header header_of(struct slice line)
{
	for (size_t i = 0; i + 1 < line.len; i++)
		if (line.ptr[i] == ':' && line.ptr[i + 1] == ' ')
			return (struct record_header){
				slice_of(line.ptr, i),
				slice_of(line.ptr + i + 2, line.len - i - 2),
			};
	return (struct record_header){line, {NULL, 0}};
}

/* `headers` has room for RECORD_HEADERS_MAX; further ones are left out. */
static inline struct record record_of_lines(struct slice text, struct record_header *headers)
{
	struct record record = {.offset = 7, .timestamp_ms = 1700000000000, .headers = headers};
	struct slice line;

	record.key = take_line(&text);
	if (record.key.len == 0)
		record.key = (struct slice){NULL, 0};
	for (line = take_line(&text); line.len > 0; line = take_line(&text))
		if (record.headers_len < RECORD_HEADERS_MAX)
			headers[record.headers_len++] = header_of(line);
	record.value = text;
	if (slice_equal(text, slice_string("null")) || slice_equal(text, slice_string("null\n")))
		record.value = (struct slice){NULL, 0};
	return record;
}

#endif
