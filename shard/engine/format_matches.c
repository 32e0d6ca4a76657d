#include "shard/engine/format_private.h"

/* Token of the first word at or after a token, or tokens_len. */
static size_t word_at(const struct format_text *text, size_t at)
{
	while (at < text->tokens_len && !format_is_word(&text->tokens[at]))
		at++;
	return at;
}

static struct slice form_of(const struct format_text *text, size_t at)
{
	const struct format_token *token = &text->tokens[at];

	return slice_of(text->forms + token[0].form, token[1].form - token[0].form);
}

static bool is_form(const struct format_text *text, size_t at, struct slice form)
{
	return at < text->tokens_len && slice_equal(form_of(text, at), form);
}

/* From the match's first word on; its end is written if it is one. */
static bool match_phrase(const struct format_text *text, const struct query_phrase *phrase,
                         struct format_match *match)
{
	size_t at = match->first_token;
	size_t last = at;

	for (size_t i = 0; i < phrase->len; i++) {
		at = word_at(text, at);
		if (at == text->tokens_len)
			return false;
		if (phrase->words[i].ptr != NULL && !is_form(text, at, phrase->words[i]))
			return false;
		last = at++;
	}
	match->last_token = (uint32_t)last;
	match->last_word = match->first_word + (uint32_t)phrase->len - 1;
	return true;
}

/* Two words that are one of the query. */
static bool match_split(const struct format_text *text, struct slice word, struct format_match *match)
{
	struct slice left = form_of(text, match->first_token);
	size_t at;

	if (left.len == 0 || left.len >= word.len || !slice_starts_with(word, left))
		return false;
	at = word_at(text, match->first_token + 1);
	if (!is_form(text, at, slice_of(word.ptr + left.len, word.len - left.len)))
		return false;
	match->last_token = (uint32_t)at;
	match->last_word = match->first_word + 1;
	return true;
}

static bool match_words(const struct format_matcher *matcher, size_t number, const struct format_text *text,
                        struct format_match *match)
{
	const struct query_node *node = &matcher->query->nodes[number];
	const struct query_term *term = &matcher->query->terms[node->first];

	if (term->is_phrase)
		return match_phrase(text, &term->phrase, match);
	if (matcher->synonyms != NULL)
		for (size_t i = 0; i < matcher->synonyms[number].len; i++)
			if (match_phrase(text, &matcher->synonyms[number].phrases[i], match))
				return true;
	return node->terms == 1 && match_split(text, node->text, match);
}

/* The rest of a match that begins with a word. */
static bool match_at(const struct format *format, const struct format_text *text, struct format_match *match)
{
	const struct format_matcher *matcher = format->request.matcher;
	const struct format_token *token = &text->tokens[match->first_token];
	size_t number = token->node;
	bool matches = false;

	match->start = token->start;
	for (size_t i = 0; !matches && i < matcher->query->nodes_len; i++) {
		matches = match_words(matcher, format->order[i], text, match);
		if (matches)
			number = format->order[i];
	}
	if (matches) {
		match->end = text->tokens[match->last_token + 1].start;
	} else {
		match->last_token = match->first_token;
		match->last_word = match->first_word;
		match->end = token->marked;
	}
	if (number == FORMAT_NODE_NONE)
		return false;
	match->first_term = matcher->query->nodes[number].first;
	match->terms = matcher->query->nodes[number].terms;
	return true;
}

void format_find(const struct format *format, const struct format_text *text, struct buffer *matches)
{
	uint32_t word = 0;

	for (size_t at = word_at(text, 0); at < text->tokens_len; at = word_at(text, at + 1)) {
		struct format_match match = {.first_token = (uint32_t)at, .first_word = word};

		if (match_at(format, text, &match)) {
			buffer_append(matches, &match, sizeof match);
			at = match.last_token;
			word = match.last_word;
		}
		word++;
	}
}
