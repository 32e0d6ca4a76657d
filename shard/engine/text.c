/* Cutting. ASCII, which most text is, is looked up byte by byte in a table, and a form that is no other is the text itself. */
#include "shard/engine/text_private.h"

#include "shared/base/assert.h"

#include <stdlib.h>

/* Changes with what this module does with ICU's data. */
#define TEXT_VERSION 1
/* Of one character's form, and what it takes to write it: NFKD makes 18 UTF-16 units of one at most. */
#define CHARACTER_BYTES_MAX 256

struct text {
	struct text_rules *defaults;
	struct unicode *unicode;
	struct buffer plain; /* decomposed */
	struct buffer form;
	struct buffer character; /* its form */
	const struct text_rules *rules;
	const uint8_t *at;
	const uint8_t *end;
	const uint8_t *run_end; /* of a stretch without spaces, while its words are given out; else `at` */
	enum script script;     /* of what stands before `at`; at the beginning, the first of all */
	enum script last;       /* of the last token that is not ASCII */
};

struct text *text_new(void)
{
	struct text *text = calloc(1, sizeof *text);
	struct text_settings none = {.separators = NULL};
	struct error error;

	if (text == NULL)
		return NULL;
	buffer_init(&text->plain, UINT32_MAX);
	buffer_init(&text->form, UINT32_MAX);
	buffer_init(&text->character, CHARACTER_BYTES_MAX);
	text->unicode = unicode_new();
	if (text->unicode == NULL || buffer_grow(&text->character, CHARACTER_BYTES_MAX) == NULL ||
	    text_rules_new(&none, &text->defaults, &error) != 0) {
		text_free(text);
		return NULL;
	}
	return text;
}

void text_free(struct text *text)
{
	if (text == NULL)
		return;
	text_rules_free(text->defaults);
	unicode_free(text->unicode);
	buffer_deinit(&text->plain);
	buffer_deinit(&text->form);
	buffer_deinit(&text->character);
	free(text);
}

uint32_t text_version(void)
{
	return unicode_version() | TEXT_VERSION;
}

static enum script script_of(uint32_t c)
{
	if (c < 0x80)
		return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? SCRIPT_LATIN : SCRIPT_NONE;
	return unicode_script(c);
}

static bool is_spaceless(enum script script)
{
	return script >= SCRIPT_THAI;
}

static struct slice rest_of(const struct text *text)
{
	return slice_of(text->at, (size_t)(text->end - text->at));
}

void text_begin(struct text *text, const struct text_rules *rules, struct slice bytes)
{
	text->rules = rules != NULL ? rules : text->defaults;
	text->at = bytes.ptr;
	text->end = bytes.len > 0 ? bytes.ptr + bytes.len : bytes.ptr;
	text->run_end = text->at;
	text->script = SCRIPT_NONE;
	for (size_t at = 0, len; at < bytes.len && text->script == SCRIPT_NONE; at += len)
		text->script = script_of(unicode_first(slice_of(bytes.ptr + at, bytes.len - at), &len));
}

/* ---- one token ---- */

/* Lower case; all of it ASCII. */
static bool form_lower(struct text *text, struct slice piece)
{
	uint8_t *to;

	buffer_clear(&text->form);
	to = buffer_grow(&text->form, piece.len);
	if (to == NULL)
		return false;
	for (size_t i = 0; i < piece.len; i++) {
		uint8_t c = piece.ptr[i];

		to[i] = (uint8_t)(c + ((uint8_t)(c - 'A') < 26) * ('a' - 'A'));
	}
	return true;
}

/* The next `len` bytes, ASCII without control characters; `seen`: classes of them all. */
static int token_ascii(struct text *text, size_t len, uint8_t seen, struct token *token, struct error *error)
{
	struct slice piece = slice_of(text->at, len);

	token->text = piece;
	token->form = piece;
	if (seen & BYTE_UPPER) {
		if (!form_lower(text, piece))
			return error_memory(error, len);
		token->form = buffer_slice(&text->form);
	}
	text->at += len;
	text->run_end = text->at;
	return 1;
}

/* The next `len` bytes, whatever they are, as of a script. */
static int token_unicode(struct text *text, size_t len, enum script script, struct token *token,
                         struct error *error)
{
	struct slice piece = slice_of(text->at, len);

	if (unicode_decompose(text->unicode, piece, &text->plain, error) != 0)
		return error->code;
	buffer_clear(&text->form);
	if (!unicode_normalize(buffer_slice(&text->plain), script, &text->form))
		return error_memory(error, len);
	token->kind = rules_kind(text->rules, buffer_slice(&text->plain), piece);
	token->text = piece;
	token->form = buffer_slice(&text->form);
	text->at += len;
	text->last = script;
	return 1;
}

/* What is cut out as it stands, over scripts: it has that of its first character. */
static int token_whole(struct text *text, size_t len, struct token *token, struct error *error)
{
	enum script first = SCRIPT_NONE;
	uint8_t seen = 0;

	for (size_t at = 0, bytes; at < len; at += bytes) {
		uint32_t c = unicode_first(slice_of(text->at + at, len - at), &bytes);
		enum script script = script_of(c);

		seen |= text->rules->classes[text->at[at]];
		if (script != SCRIPT_NONE)
			text->script = script;
		if (at == 0)
			first = text->script;
	}
	if (!(seen & (BYTE_FOREIGN | BYTE_CONTROL)) && (first == SCRIPT_LATIN || !(seen & BYTE_UPPER))) {
		struct slice piece = slice_of(text->at, len);

		token->kind = rules_kind(text->rules, piece, piece);
		return token_ascii(text, len, seen, token, error);
	}
	text->run_end = text->at + len;
	return token_unicode(text, len, first, token, error);
}

/* ---- words ---- */

/* The next word of the stretch at hand. */
static int run_next(struct text *text, struct token *token, struct error *error)
{
	size_t len = unicode_cut_next(text->unicode);

	ASSERT(len > 0);
	return token_unicode(text, len, text->script, token, error);
}

/* Up to a separator, what is cut out whole, or another script. */
static int word_unicode(struct text *text, struct token *token, struct error *error)
{
	const struct text_rules *rules = text->rules;
	struct slice rest = rest_of(text);
	size_t len = 0;

	while (rest.len > 0) {
		size_t bytes;
		uint32_t c = unicode_first(rest, &bytes);
		enum script script = script_of(c);

		if (len > 0 &&
		    ((script != SCRIPT_NONE && script != text->script) ||
		     rules_cuts(rules, slice_of(rest.ptr, bytes), c) ||
		     ((rules->classes[*rest.ptr] & BYTE_LONGER) && rules_longest(rules, rest) > 0)))
			break;
		if (script != SCRIPT_NONE)
			text->script = script;
		len += bytes;
		rest = slice_of(rest.ptr + bytes, rest.len - bytes);
	}
	text->run_end = text->at + len;
	if (!is_spaceless(text->script))
		return token_unicode(text, len, text->script, token, error);
	if (unicode_cut(text->unicode, slice_of(text->at, len), error) != 0) {
		text->run_end = text->at;
		return error->code;
	}
	return run_next(text, token, error);
}

/* If it turns out not to be plain ASCII, or may have to be cut where the script changes, it is begun anew. */
static int word_next(struct text *text, struct token *token, struct error *error)
{
	const struct text_rules *rules = text->rules;
	const uint8_t *at = text->at;
	uint8_t seen = rules->classes[*at++];
	uint8_t class = 0;
	struct slice piece;

	while (at < text->end) {
		class = rules->classes[*at];
		if ((class & (BYTE_CUTS | BYTE_FOREIGN)) ||
		    ((class & BYTE_LONGER) &&
		     rules_longest(rules, slice_of(at, (size_t)(text->end - at))) > 0))
			break;
		seen |= class;
		at++;
	}
	if ((at < text->end && (class & BYTE_FOREIGN)) || (seen & BYTE_CONTROL) ||
	    ((seen & BYTE_LETTER) && text->script != SCRIPT_LATIN))
		return word_unicode(text, token, error);
	piece = slice_of(text->at, (size_t)(at - text->at));
	token->kind = rules->has_lists ? rules_kind(rules, piece, piece) : TOKEN_WORD;
	return token_ascii(text, piece.len, seen, token, error);
}

/* An ASCII character that is no letter, or one with a space behind it. */
static int separator_next(struct text *text, uint8_t class, struct token *token)
{
	const struct text_rules *rules = text->rules;
	const uint8_t *at = text->at;

	if ((class & BYTE_PAIR) && at + 1 < text->end && at[1] == ' ')
		*token = (struct token){rules->pair_kinds[*at], slice_of(at, 2), slice_of(at, 2)};
	else
		*token = (struct token){rules->kinds[*at], slice_of(at, 1),
		                        slice_of(at, class & BYTE_CONTROL ? 0 : 1)};
	text->at += token->text.len;
	text->run_end = text->at;
	return 1;
}

static int foreign_next(struct text *text, struct token *token, struct error *error)
{
	size_t len;
	uint32_t c = unicode_first(rest_of(text), &len);

	if (rules_cuts(text->rules, slice_of(text->at, len), c))
		return token_whole(text, len, token, error);
	return word_unicode(text, token, error);
}

int text_next(struct text *text, struct token *token, struct error *error)
{
	uint8_t class;
	size_t len;

	if (text->at == text->end)
		return 0;
	if (text->at < text->run_end)
		return run_next(text, token, error);
	class = text->rules->classes[*text->at];
	if (class & BYTE_LONGER) {
		len = rules_longest(text->rules, rest_of(text));
		if (len > 0)
			return token_whole(text, len, token, error);
	}
	if (class & BYTE_FOREIGN)
		return foreign_next(text, token, error);
	if (!(class & BYTE_CUTS))
		return word_next(text, token, error);
	if (class & BYTE_LETTER)
		return token_whole(text, 1, token, error);
	return separator_next(text, class, token);
}

/* ---- the head of a token ---- */

static size_t characters_of(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += (text.ptr[i] & 0xC0) != 0x80;
	return count;
}

/* Characters of the form of one character. Memory for it is there: the token was decomposed before. */
static size_t character_fold(struct text *text, struct slice character)
{
	struct error error;
	bool folded;

	if (*character.ptr < 0x80)
		return !(text->rules->classes[*character.ptr] & BYTE_CONTROL);
	buffer_clear(&text->character);
	folded = unicode_decompose(text->unicode, character, &text->plain, &error) == 0 &&
	         unicode_normalize(buffer_slice(&text->plain), text->last, &text->character);
	ASSERT(folded);
	return characters_of(buffer_slice(&text->character));
}

size_t text_head(struct text *text, const struct token *token, size_t characters)
{
	size_t count = 0;
	size_t at = 0;

	for (size_t len; at < token->text.len && count < characters; at += len) {
		struct slice rest = slice_of(token->text.ptr + at, token->text.len - at);

		(void)unicode_first(rest, &len);
		count += character_fold(text, slice_of(rest.ptr, len));
	}
	return at;
}

/* ---- folding for filters ---- */

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 0x80)
			return false;
	return true;
}

int text_fold(struct text *text, struct slice bytes, struct buffer *folded, struct error *error)
{
	if (!is_ascii(bytes))
		return unicode_fold(text->unicode, bytes, folded, error);
	/* which is its own decomposition */
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.ptr[i];

		buffer_put_u8(folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c);
	}
	return buffer_failed(folded) ? error_memory(error, bytes.len) : 0;
}
