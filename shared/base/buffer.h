/*
 * Buffer: growable bytes with a hard maximum, and the little-endian encoding
 * that frames and stored values use.
 *
 * A buffer that fails once (out of memory or over its maximum) stays failed
 * and ignores further appends, so that an encoder checks once, at its end
 * (buffer_failed). Reading is the mirror: a reader over a slice that ran past
 * its end stays failed and yields zeros; check reader_failed() once, before
 * believing anything.
 *
 * Owner: whoever called buffer_init; one thread at a time.
 */
#ifndef MILLRACE_BASE_BUFFER_H
#define MILLRACE_BASE_BUFFER_H

#include "shared/base/slice.h"

struct buffer {
	uint8_t *ptr;
	size_t len;     /* bytes in use */
	size_t size;    /* bytes allocated */
	size_t len_max; /* never longer than this */
	bool failed;
};

void buffer_init(struct buffer *buffer, size_t len_max);
void buffer_deinit(struct buffer *buffer);
/* Empties it, keeps the memory, forgives a failure. */
void buffer_clear(struct buffer *buffer);
bool buffer_failed(const struct buffer *buffer);
/* Valid until the next call that changes the buffer. */
struct slice buffer_slice(const struct buffer *buffer);
/* Moves the bytes out; free() them. NULL if empty or failed. The buffer is empty afterwards. */
uint8_t *buffer_take(struct buffer *buffer, size_t *len);

/* Room for `len` more bytes, uninitialised and counted as used; NULL on failure. */
uint8_t *buffer_grow(struct buffer *buffer, size_t len);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);
void buffer_append_slice(struct buffer *buffer, struct slice slice);
void buffer_append_string(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_put_u8(struct buffer *buffer, uint8_t value);
void buffer_put_u16(struct buffer *buffer, uint16_t value);
void buffer_put_u32(struct buffer *buffer, uint32_t value);
void buffer_put_u64(struct buffer *buffer, uint64_t value);
void buffer_put_i64(struct buffer *buffer, int64_t value);
/* u32 length, then the bytes. */
void buffer_put_bytes(struct buffer *buffer, struct slice bytes);
/* Little-endian base 128, seven bits a byte: at most VARINT_BYTES_MAX bytes. */
#define VARINT_BYTES_MAX 10
void buffer_put_long_varint(struct buffer *buffer, uint64_t value);
static inline void buffer_put_varint(struct buffer *buffer, uint64_t value)
{
	if (value < 0x80 && buffer->len < buffer->size && buffer->len < buffer->len_max && !buffer->failed)
		buffer->ptr[buffer->len++] = (uint8_t)value;
	else
		buffer_put_long_varint(buffer, value);
}
/* Overwrites the four bytes at `at`, which must exist. */
void buffer_set_u32(struct buffer *buffer, size_t at, uint32_t value);

struct reader {
	const uint8_t *ptr;
	const uint8_t *end;
	bool failed;
};

static inline struct reader reader_of(struct slice slice)
{
	return (struct reader){slice.ptr, slice.len > 0 ? slice.ptr + slice.len : slice.ptr, false};
}

static inline bool reader_failed(const struct reader *reader)
{
	return reader->failed;
}

/* Bytes not yet read; 0 after a failure. */
static inline size_t reader_left(const struct reader *reader)
{
	return reader->failed ? 0 : (size_t)(reader->end - reader->ptr);
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
int64_t reader_i64(struct reader *reader);
/* What buffer_put_varint wrote; more than 64 bits or a needless last byte of 0 fail. */
uint64_t reader_long_varint(struct reader *reader);
static inline uint64_t reader_varint(struct reader *reader)
{
	struct reader slow; /* a copy, so that a reader of loops is kept in registers */
	uint64_t value;

	if (reader->ptr < reader->end && *reader->ptr < 0x80)
		return *reader->ptr++;
	slow = *reader;
	value = reader_long_varint(&slow);
	*reader = slow;
	return value;
}
/* Borrowed from the slice that the reader is over; empty after a failure. */
struct slice reader_take(struct reader *reader, size_t len);
/* What buffer_put_bytes wrote. */
struct slice reader_bytes(struct reader *reader);

#endif
