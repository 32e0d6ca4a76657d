#include "shared/mapping/mapping_private.h"

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct mapping_text *text)
{
	while (is_space(*text->at))
		text->at++;
}

/* Past the closing quote. */
static const uint8_t *string_end(const uint8_t *at)
{
	for (at++; *at != '"'; at++)
		at += *at == '\\';
	return at + 1;
}

/* Past the bracket that closes the one at `at`. */
static const uint8_t *container_end(const uint8_t *at)
{
	size_t depth = 0;

	for (;;) {
		if (*at == '"') {
			at = string_end(at);
			continue;
		}
		depth += *at == '{' || *at == '[';
		depth -= *at == '}' || *at == ']';
		at++;
		if (depth == 0)
			return at;
	}
}

/* Past a literal or a number inside a container. */
static const uint8_t *word_end(const uint8_t *at)
{
	while (!is_space(*at) && *at != ',' && *at != '}' && *at != ']')
		at++;
	return at;
}

struct slice mapping_text_value(struct mapping_text *text)
{
	const uint8_t *begin;

	skip_space(text);
	begin = text->at;
	if (*begin == '"')
		text->at = string_end(begin);
	else if (*begin == '{' || *begin == '[')
		text->at = container_end(begin);
	else
		text->at = word_end(begin);
	return slice_of(begin, (size_t)(text->at - begin));
}

struct slice mapping_text_name(struct mapping_text *text)
{
	struct slice name = mapping_text_value(text);

	skip_space(text);
	text->at++; /* the colon */
	return name;
}

void mapping_text_step(struct mapping_text *text)
{
	skip_space(text);
	text->at++;
}

bool mapping_text_closes(const struct mapping_text *text)
{
	struct mapping_text ahead = *text;

	skip_space(&ahead);
	return *ahead.at == '}' || *ahead.at == ']';
}

size_t mapping_text_depth(struct slice value)
{
	const uint8_t *end = value.ptr + value.len;
	size_t depth = 0;
	size_t depth_max = 0;

	for (const uint8_t *at = value.ptr; at < end; at++) {
		if (*at == '"') {
			at = string_end(at) - 1;
			continue;
		}
		depth += *at == '{' || *at == '[';
		depth -= *at == '}' || *at == ']';
		depth_max = depth > depth_max ? depth : depth_max;
	}
	return depth_max;
}
