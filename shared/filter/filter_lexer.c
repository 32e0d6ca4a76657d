#include "shared/filter/filter_private.h"

/* What may not stand as a value without quotes. */
static const char *const keywords[] = {
	"AND",  "OR",    "IN",       "NOT",    "TO",   "EXISTS",     "IS",
	"NULL", "EMPTY", "CONTAINS", "STARTS", "WITH", "_geoRadius", "_geoBoundingBox"};
static const char *const geo_operations[] = {"_geoRadius", "_geoBoundingBox", "_geoPolygon"};
/* These end in a refusal wherever a value may stand, whatever follows them. */
static const char *const geo_reserved[] = {"_geoPoint", "_geoDistance"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct slice rest(const struct filter_lexer *lexer)
{
	return slice_of(lexer->text.ptr + lexer->at, lexer->text.len - lexer->at);
}

static struct slice word_here(const struct filter_lexer *lexer)
{
	struct slice left = rest(lexer);
	size_t at = 0;
	size_t len;

	while (at < left.len) {
		uint32_t c = filter_character(left, at, &len);

		if (!filter_is_alphanumeric(c) && c != '_' && c != '-' && c != '.')
			break;
		at += len;
	}
	return slice_of(left.ptr, at);
}

/* The longest text without space and without `( ) = < > !`: what a complaint quotes. */
static size_t offending_end(const struct filter_lexer *lexer)
{
	size_t at = lexer->at;
	size_t len;

	while (at < lexer->text.len) {
		uint32_t c = filter_character(lexer->text, at, &len);

		if (filter_is_space(c) || c == '(' || c == ')' || c == '=' || c == '<' || c == '>' ||
		    c == '!')
			break;
		at += len;
	}
	return at;
}

static bool is_keyword(struct slice word)
{
	for (size_t i = 0; i < COUNT(keywords); i++)
		if (slice_equal(word, slice_string(keywords[i])))
			return true;
	return false;
}

bool filter_lexer_word(struct filter_lexer *lexer, const char *word)
{
	struct slice here = word_here(lexer);

	if (!slice_equal(here, slice_string(word)))
		return false;
	lexer->at += here.len;
	return true;
}

bool filter_lexer_text(struct filter_lexer *lexer, const char *text)
{
	struct slice expected = slice_string(text);

	if (!slice_starts_with(rest(lexer), expected))
		return false;
	lexer->at += expected.len;
	return true;
}

bool filter_lexer_space(struct filter_lexer *lexer)
{
	size_t begin = lexer->at;

	while (lexer->at < lexer->text.len) {
		uint8_t c = lexer->text.ptr[lexer->at];

		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
		lexer->at++;
	}
	return lexer->at > begin;
}

bool filter_lexer_at_end(const struct filter_lexer *lexer)
{
	return lexer->at == lexer->text.len;
}

static enum filter_read refuse(struct complaint *complaint, enum complaint_kind kind, size_t begin,
                               size_t end)
{
	complaint->kind = kind;
	complaint->begin = begin;
	complaint->end = end;
	return FILTER_READ_REFUSED;
}

static enum filter_read pass(struct complaint *complaint, enum complaint_kind kind, size_t begin, size_t end)
{
	(void)refuse(complaint, kind, begin, end);
	return FILTER_READ_NOTHING;
}

/* Geo where a value should be: true after filling `complaint`. */
static bool is_geo(const struct filter_lexer *lexer, struct complaint *complaint)
{
	struct slice word = word_here(lexer);

	for (size_t i = 0; i < COUNT(geo_reserved); i++)
		if (slice_starts_with(word, slice_string(geo_reserved[i]))) {
			complaint->name = geo_reserved[i];
			(void)refuse(complaint, COMPLAINT_RESERVED_GEO, lexer->at, lexer->text.len);
			return true;
		}
	if (slice_equal(word, slice_string("_geo"))) {
		complaint->name = "_geo";
		(void)refuse(complaint, COMPLAINT_RESERVED_GEO, lexer->at, lexer->text.len);
		return true;
	}
	for (size_t i = 0; i < COUNT(geo_operations); i++)
		if (slice_equal(word, slice_string(geo_operations[i]))) {
			complaint->name = geo_operations[i];
			(void)refuse(complaint, COMPLAINT_MISUSED, lexer->at, lexer->text.len);
			return true;
		}
	return false;
}

static bool digit_of(uint8_t c, uint32_t base, uint32_t *digit)
{
	if (c >= '0' && c <= '9')
		*digit = (uint32_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*digit = (uint32_t)(c - 'a') + 10;
	else if (c >= 'A' && c <= 'F')
		*digit = (uint32_t)(c - 'A') + 10;
	else
		return false;
	return *digit < base;
}

/* Between min and max digits from `at` on, which moves behind them. */
static bool read_digits(struct slice text, size_t *at, uint32_t base, size_t max, uint32_t *value)
{
	size_t begin = *at;
	uint32_t digit;

	*value = 0;
	while (*at < text.len && *at - begin < max && digit_of(text.ptr[*at], base, &digit)) {
		*value = *value * base + digit;
		(*at)++;
	}
	return *at > begin;
}

/* \u12ab or \u{1f600}; `at` stands behind the u. */
static bool read_unicode(struct slice text, size_t *at, uint32_t *c)
{
	size_t begin = *at;

	if (begin < text.len && text.ptr[begin] == '{') {
		++*at;
		if (!read_digits(text, at, 16, 6, c) || *at == text.len || text.ptr[*at] != '}')
			return false;
		++*at;
		return true;
	}
	return read_digits(text, at, 16, 4, c) && *at - begin == 4;
}

static size_t encode(uint32_t c, uint8_t *out)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* The escape whose letter stands at `at`, which moves behind it; 0 or what is wrong with it. */
static enum complaint_kind read_escape(struct slice text, size_t *at, uint32_t *c)
{
	static const char letters[] = "bfnrtv'\"\\/";
	static const char meanings[] = "\b\f\n\r\t\v'\"\\/";
	uint8_t letter = text.ptr[*at];
	const char *found = letter != 0 ? strchr(letters, letter) : NULL;
	size_t begin = *at + 1;

	if (found != NULL) {
		*c = (uint8_t)meanings[found - letters];
		++*at;
		return 0;
	}
	if (letter >= '0' && letter <= '7')
		return read_digits(text, at, 8, letter < '4' ? 3 : 2, c) ? 0 : COMPLAINT_ESCAPED_NUMBER;
	if (letter == 'x') {
		++*at;
		return read_digits(text, at, 16, 2, c) && *at - begin == 2 ? 0 : COMPLAINT_ESCAPED_NUMBER;
	}
	if (letter != 'u')
		return COMPLAINT_MALFORMED_VALUE;
	++*at;
	if (!read_unicode(text, at, c))
		return COMPLAINT_ESCAPED_NUMBER;
	return *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? COMPLAINT_MALFORMED_VALUE : 0;
}

/* `inside` has escapes; what it means is never longer, as no escape is shorter than its character. */
static enum filter_read unescape(struct slice inside, struct arena *arena, struct slice *value,
                                 enum complaint_kind *kind)
{
	uint8_t *out = arena_alloc(arena, inside.len);
	size_t len = 0;
	size_t at = 0;

	if (out == NULL)
		return FILTER_READ_MEMORY;
	while (at < inside.len) {
		uint32_t c;

		if (inside.ptr[at] != '\\') {
			out[len++] = inside.ptr[at++];
			continue;
		}
		at++;
		*kind = at < inside.len ? read_escape(inside, &at, &c) : COMPLAINT_MALFORMED_VALUE;
		if (*kind != 0)
			return FILTER_READ_NOTHING;
		len += encode(c, out + len);
	}
	*value = slice_of(out, len);
	return FILTER_READ_VALUE;
}

static enum filter_read read_quoted(struct filter_lexer *lexer, struct arena *arena, struct slice *value,
                                    struct complaint *complaint)
{
	struct slice text = lexer->text;
	size_t begin = lexer->at + 1;
	size_t end = begin;
	bool escaped = false;
	uint8_t quote = text.ptr[lexer->at];
	enum filter_read result = FILTER_READ_VALUE;

	for (; end < text.len && text.ptr[end] != quote; end++)
		if (text.ptr[end] == '\\') {
			escaped = true;
			if (++end == text.len)
				return refuse(complaint, COMPLAINT_MALFORMED_VALUE, begin, text.len);
		}
	if (end == text.len) {
		complaint->delimiter = (char)quote;
		return refuse(complaint, COMPLAINT_CLOSING_DELIMITER, lexer->at, text.len);
	}
	*value = slice_of(text.ptr + begin, end - begin);
	if (escaped)
		result = unescape(*value, arena, value, &complaint->kind);
	if (result == FILTER_READ_NOTHING)
		return pass(complaint, complaint->kind, begin, end);
	if (result == FILTER_READ_VALUE) {
		lexer->at = end + 1;
		(void)filter_lexer_space(lexer);
	}
	return result;
}

static enum filter_read read_at(struct filter_lexer *lexer, struct arena *arena, struct slice *value,
                                struct complaint *complaint)
{
	struct slice word;

	if (is_geo(lexer, complaint))
		return FILTER_READ_REFUSED;
	if (!filter_lexer_at_end(lexer) &&
	    (lexer->text.ptr[lexer->at] == '\'' || lexer->text.ptr[lexer->at] == '"'))
		return read_quoted(lexer, arena, value, complaint);
	word = word_here(lexer);
	if (word.len == 0)
		return pass(complaint, COMPLAINT_EXPECTED_VALUE, lexer->at, offending_end(lexer));
	if (is_keyword(word))
		return pass(complaint, COMPLAINT_RESERVED_KEYWORD, lexer->at, offending_end(lexer));
	*value = word;
	lexer->at += word.len;
	(void)filter_lexer_space(lexer);
	return FILTER_READ_VALUE;
}

enum filter_read filter_lexer_value(struct filter_lexer *lexer, struct arena *arena, struct slice *value,
                                    struct complaint *complaint)
{
	size_t begin = lexer->at;
	size_t len;
	enum filter_read result;

	while (!filter_lexer_at_end(lexer) && filter_is_space(filter_character(lexer->text, lexer->at, &len)))
		lexer->at += len;
	result = read_at(lexer, arena, value, complaint);
	if (result != FILTER_READ_VALUE)
		lexer->at = begin;
	return result;
}
