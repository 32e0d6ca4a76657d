#include "shard/engine/format_private.h"

#include "shared/base/assert.h"

int format_too_long(struct error *error)
{
	return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a hit shows more than %u bytes",
	                 FORMAT_BYTES_MAX);
}

/* The node that a word is a derivation of by itself: the first that is tried. */
static uint8_t node_of(const struct format *format, struct slice form)
{
	const struct format_matcher *matcher = format->request.matcher;
	uint32_t derived = matcher->derived(matcher->context, form) & format->words;

	for (size_t i = 0; derived != 0 && i < matcher->query->nodes_len; i++)
		if (derived >> format->order[i] & 1)
			return format->order[i];
	return FORMAT_NODE_NONE;
}

static void add(struct format *format, const struct token *token, uint32_t start)
{
	const struct format_cutter *cutter = format->request.cutter;
	struct format_token added = {
		.start = start,
		.form = (uint32_t)format->forms.len,
		.marked = start + (uint32_t)token->text.len,
		.kind = (uint8_t)token->kind,
		.node = FORMAT_NODE_NONE,
	};

	if (format_is_word(&added)) {
		added.node = node_of(format, token->form);
		if (added.node != FORMAT_NODE_NONE && format->typed[added.node] != SIZE_MAX)
			added.marked =
				start + (uint32_t)cutter->head(cutter->context, format->typed[added.node]);
		buffer_append_slice(&format->forms, token->form);
	}
	buffer_append(&format->tokens, &added, sizeof added);
}

static int cut(struct format *format, struct slice bytes, struct error *error)
{
	const struct format_cutter *cutter = format->request.cutter;
	struct format_token behind = {.start = (uint32_t)bytes.len};
	struct token token;
	uint32_t at = 0;
	int rc;

	buffer_clear(&format->tokens);
	buffer_clear(&format->forms);
	cutter->begin(cutter->context, bytes);
	while ((rc = cutter->next(cutter->context, &token, error)) > 0) {
		ASSERT(token.text.ptr == bytes.ptr + at && token.text.len <= bytes.len - at);
		add(format, &token, at);
		at += (uint32_t)token.text.len;
	}
	if (rc < 0)
		return rc;
	ASSERT(at == bytes.len);
	behind.form = (uint32_t)format->forms.len;
	buffer_append(&format->tokens, &behind, sizeof behind);
	if (buffer_failed(&format->tokens) || buffer_failed(&format->forms))
		return error_memory(error, format->tokens.len);
	return 0;
}

int format_read(struct format *format, struct slice bytes, struct format_text *text,
                struct format_matches *matches, struct error *error)
{
	if (bytes.len > FORMAT_BYTES_MAX)
		return format_too_long(error);
	if (cut(format, bytes, error) != 0)
		return error->code;
	*text = (struct format_text){
		.bytes = bytes,
		.forms = format->forms.len > 0 ? format->forms.ptr : (const uint8_t *)"",
		.tokens = (const struct format_token *)(const void *)format->tokens.ptr,
		.tokens_len = format->tokens.len / sizeof *text->tokens - 1,
	};
	buffer_clear(&format->matches);
	format_find(format, text, &format->matches);
	if (buffer_failed(&format->matches))
		return error_memory(error, format->matches.len);
	*matches = (struct format_matches){(const struct format_match *)(const void *)format->matches.ptr,
	                                   format->matches.len / sizeof *matches->matches};
	return 0;
}
