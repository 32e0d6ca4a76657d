#include "shared/base/buffer.h"

#include "shared/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *buffer, size_t len_max)
{
	*buffer = (struct buffer){.len_max = len_max};
}

void buffer_deinit(struct buffer *buffer)
{
	free(buffer->ptr);
	*buffer = (struct buffer){.len_max = buffer->len_max};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->len = 0;
	buffer->failed = false;
}

bool buffer_failed(const struct buffer *buffer)
{
	return buffer->failed;
}

struct slice buffer_slice(const struct buffer *buffer)
{
	return slice_of(buffer->ptr, buffer->len);
}

uint8_t *buffer_take(struct buffer *buffer, size_t *len)
{
	uint8_t *ptr = NULL;

	*len = 0;
	if (!buffer->failed && buffer->len > 0) {
		ptr = buffer->ptr;
		*len = buffer->len;
		buffer->ptr = NULL;
	}
	buffer_deinit(buffer);
	return ptr;
}

uint8_t *buffer_grow(struct buffer *buffer, size_t len)
{
	size_t size = buffer->size ? buffer->size : 64;
	uint8_t *ptr;

	if (buffer->failed || len > buffer->len_max - buffer->len) {
		buffer->failed = true;
		return NULL;
	}
	while (size < buffer->len + len)
		size *= 2;
	if (size != buffer->size) {
		ptr = realloc(buffer->ptr, size);
		if (ptr == NULL) {
			buffer->failed = true;
			return NULL;
		}
		buffer->ptr = ptr;
		buffer->size = size;
	}
	ptr = buffer->ptr + buffer->len;
	buffer->len += len;
	return ptr;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	uint8_t *room = buffer_grow(buffer, len);

	if (room != NULL && len > 0)
		memcpy(room, bytes, len);
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
	buffer_append(buffer, slice.ptr, slice.len);
}

void buffer_append_string(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	va_list again;
	int len;
	uint8_t *room;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	room = len < 0 ? NULL : buffer_grow(buffer, (size_t)len + 1);
	if (room != NULL) {
		(void)vsnprintf((char *)room, (size_t)len + 1, format, again);
		buffer->len--; /* the NUL */
	}
	va_end(again);
}

static void put_little_endian(struct buffer *buffer, uint64_t value, size_t len)
{
	uint8_t *room = buffer_grow(buffer, len);

	for (size_t i = 0; room != NULL && i < len; i++)
		room[i] = (uint8_t)(value >> (8 * i));
}

void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
	put_little_endian(buffer, value, 1);
}

void buffer_put_u16(struct buffer *buffer, uint16_t value)
{
	put_little_endian(buffer, value, 2);
}

void buffer_put_u32(struct buffer *buffer, uint32_t value)
{
	put_little_endian(buffer, value, 4);
}

void buffer_put_u64(struct buffer *buffer, uint64_t value)
{
	put_little_endian(buffer, value, 8);
}

void buffer_put_i64(struct buffer *buffer, int64_t value)
{
	put_little_endian(buffer, (uint64_t)value, 8);
}

void buffer_put_long_varint(struct buffer *buffer, uint64_t value)
{
	uint8_t bytes[VARINT_BYTES_MAX];
	size_t len = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[len++] = (uint8_t)(value | 0x80);
	bytes[len++] = (uint8_t)value;
	buffer_append(buffer, bytes, len);
}

void buffer_put_bytes(struct buffer *buffer, struct slice bytes)
{
	ASSERT(bytes.len <= UINT32_MAX);
	buffer_put_u32(buffer, (uint32_t)bytes.len);
	buffer_append_slice(buffer, bytes);
}

void buffer_set_u32(struct buffer *buffer, size_t at, uint32_t value)
{
	if (buffer->failed)
		return;
	ASSERT(at + 4 <= buffer->len);
	for (size_t i = 0; i < 4; i++)
		buffer->ptr[at + i] = (uint8_t)(value >> (8 * i));
}

struct slice reader_take(struct reader *reader, size_t len)
{
	struct slice taken = {NULL, 0};

	if (reader_left(reader) < len) {
		reader->ptr = reader->end; /* nothing is read after a failure */
		reader->failed = true;
		return taken;
	}
	taken = slice_of(reader->ptr, len);
	reader->ptr += len;
	return taken;
}

static uint64_t read_little_endian(struct reader *reader, size_t len)
{
	struct slice bytes = reader_take(reader, len);
	uint64_t value = 0;

	for (size_t i = 0; i < bytes.len; i++)
		value |= (uint64_t)bytes.ptr[i] << (8 * i);
	return value;
}

uint8_t reader_u8(struct reader *reader)
{
	return (uint8_t)read_little_endian(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
	return (uint16_t)read_little_endian(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
	return (uint32_t)read_little_endian(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
	return read_little_endian(reader, 8);
}

int64_t reader_i64(struct reader *reader)
{
	return (int64_t)read_little_endian(reader, 8);
}

uint64_t reader_long_varint(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 7 * VARINT_BYTES_MAX && reader->ptr < reader->end; shift += 7) {
		uint8_t byte = *reader->ptr++;

		if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1))
			break;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return value;
	}
	reader->ptr = reader->end;
	reader->failed = true;
	return 0;
}

struct slice reader_bytes(struct reader *reader)
{
	return reader_take(reader, reader_u32(reader));
}
