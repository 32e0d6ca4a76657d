/*
 * Slice: borrowed bytes, a pointer and a length. Never owns, never
 * terminated by NUL. Whoever hands one out says until when it is valid.
 */
#ifndef MILLRACE_BASE_SLICE_H
#define MILLRACE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *ptr; /* may be NULL only if len is 0 */
	size_t len;         /* bytes */
};

/* For printf's "%.*s". */
#define SLICE_ARGS(s) (int)(s).len, (s).ptr ? (const char *)(s).ptr : ""

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

static inline struct slice slice_string(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Bytewise order, shorter first on a common prefix: <0, 0, >0. */
static inline int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The longest beginning of UTF-8 within `max` bytes that does not cut a character. */
static inline struct slice slice_within(struct slice text, size_t max)
{
	size_t len = text.len;

	if (len > max) {
		len = max;
		while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
			len--;
	}
	return slice_of(text.ptr, len);
}

#endif
