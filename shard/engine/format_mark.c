#include "shard/engine/format_private.h"

static void append_between(struct buffer *out, struct slice text, uint32_t start, uint32_t end)
{
	buffer_append(out, text.ptr + start, end - start);
}

int format_mark(const struct format *format, struct format_span span, struct slice text,
                struct format_matches matches, struct buffer *out, struct error *error)
{
	const struct format_request *request = &format->request;
	uint32_t at = span.start;

	if (span.start > 0)
		buffer_append_slice(out, request->crop_marker);
	for (size_t i = 0; i < matches.len && out->len <= FORMAT_BYTES_MAX; i++) {
		const struct format_match *match = &matches.matches[i];

		if (match->start < span.start || match->end > span.end)
			continue;
		append_between(out, text, at, match->start);
		buffer_append_slice(out, request->pre_tag);
		append_between(out, text, match->start, match->end);
		buffer_append_slice(out, request->post_tag);
		at = match->end;
	}
	append_between(out, text, at, span.end);
	if (span.end < text.len)
		buffer_append_slice(out, request->crop_marker);
	if (buffer_failed(out))
		return error_memory(error, out->len);
	return out->len > FORMAT_BYTES_MAX ? format_too_long(error) : 0;
}
