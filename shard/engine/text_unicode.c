#include "shard/engine/text_unicode.h"

#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>
#include <unicode/uversion.h>

/* Of a unit of UTF-16 in UTF-8. */
#define UNIT_BYTES_MAX 3

struct text16 {
	UChar *ptr;
	int32_t len;
	int32_t size;
};

struct unicode {
	UBreakIterator *breaks; /* NULL until needed */
	struct text16 run;      /* that is being cut */
	struct slice run_left;  /* its bytes */
	int32_t run_at;         /* unit at which they begin */
	struct text16 source;
	struct text16 decomposed;
	struct text16 lower;
};

struct unicode *unicode_new(void)
{
	return calloc(1, sizeof(struct unicode));
}

void unicode_free(struct unicode *unicode)
{
	if (unicode == NULL)
		return;
	if (unicode->breaks != NULL)
		ubrk_close(unicode->breaks);
	free(unicode->run.ptr);
	free(unicode->source.ptr);
	free(unicode->decomposed.ptr);
	free(unicode->lower.ptr);
	free(unicode);
}

/* Unicode's minor version follows from the library's. */
uint32_t unicode_version(void)
{
	UVersionInfo library;
	UVersionInfo data;

	u_getVersion(library);
	u_getUnicodeVersion(data);
	return (uint32_t)library[0] << 24 | (uint32_t)library[1] << 16 | (uint32_t)data[0] << 8;
}

/* ---- code points ---- */

uint32_t unicode_first(struct slice text, size_t *bytes)
{
	int32_t len = text.len < U8_MAX_LENGTH ? (int32_t)text.len : U8_MAX_LENGTH;
	int32_t at = 0;
	UChar32 c;

	U8_NEXT_OR_FFFD(text.ptr, at, len, c);
	*bytes = (size_t)at;
	return (uint32_t)c;
}

static bool is_mark(uint32_t c)
{
	return c >= 0x300 && u_charType((UChar32)c) == U_NON_SPACING_MARK;
}

static enum script spaceless_script(uint32_t c)
{
	UErrorCode code = U_ZERO_ERROR;

	switch (uscript_getScript((UChar32)c, &code)) {
	case USCRIPT_LAO:
		return SCRIPT_LAO;
	case USCRIPT_KHMER:
		return SCRIPT_KHMER;
	case USCRIPT_MYANMAR:
		return SCRIPT_MYANMAR;
	case USCRIPT_HAN:
	case USCRIPT_HIRAGANA:
	case USCRIPT_KATAKANA:
		return SCRIPT_HAN;
	default:
		return SCRIPT_NONE;
	}
}

enum script unicode_script(uint32_t c)
{
	static const struct {
		uint32_t first;
		uint32_t last;
		enum script script;
	} ranges[] = {
		{'A', 'Z', SCRIPT_LATIN},        {'a', 'z', SCRIPT_LATIN},
		{0x80, 0x2AF, SCRIPT_LATIN},     {0x370, 0x3FF, SCRIPT_GREEK},
		{0x400, 0x482, SCRIPT_CYRILLIC}, {0x48A, 0x52F, SCRIPT_CYRILLIC},
		{0x530, 0x58F, SCRIPT_ARMENIAN}, {0x590, 0x5FF, SCRIPT_HEBREW},
		{0x600, 0x6FF, SCRIPT_ARABIC},   {0x750, 0x77F, SCRIPT_ARABIC},
		{0xE00, 0xE7F, SCRIPT_THAI},     {0x10A0, 0x10FF, SCRIPT_GEORGIAN},
		{0x1D00, 0x1DBF, SCRIPT_LATIN},  {0x1E00, 0x1EFF, SCRIPT_LATIN},
		{0x1F00, 0x1FFF, SCRIPT_GREEK},  {0x2100, 0x214F, SCRIPT_LATIN},
		{0x2C60, 0x2C7F, SCRIPT_LATIN},  {0xA640, 0xA69F, SCRIPT_CYRILLIC},
		{0xA720, 0xA7FF, SCRIPT_LATIN},  {0xFB50, 0xFDFF, SCRIPT_ARABIC},
		{0xFE70, 0xFEFE, SCRIPT_ARABIC},
	};

	if (is_mark(c))
		return SCRIPT_NONE;
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		if (c < ranges[i].first)
			break;
		if (c <= ranges[i].last)
			return ranges[i].script;
	}
	return c >= 0xE80 ? spaceless_script(c) : SCRIPT_NONE;
}

bool unicode_separates(uint32_t c)
{
	const uint32_t separators = U_GC_PC_MASK | U_GC_PD_MASK | U_GC_PE_MASK | U_GC_PF_MASK | U_GC_PI_MASK |
	                            U_GC_PO_MASK | U_GC_PS_MASK | U_GC_SM_MASK | U_GC_Z_MASK;

	switch (c) {
	case '`':
	case '\t':
	case '\n':
	case '\r':
	case '\0':
		return true;
	case '<':
	case '>':
	case '=':
	case '|':
	case '~':
	case 0xA0: /* no-break space */
		return false;
	default:
		return (U_GET_GC_MASK((UChar32)c) & separators) != 0;
	}
}

/* ---- forms ---- */

static int text16_reserve(struct text16 *text, int64_t size, struct error *error)
{
	UChar *ptr;

	if (size <= text->size)
		return 0;
	if (size > INT32_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a text of more than %d bytes",
		                 TEXT_TOKEN_BYTES_MAX);
	ptr = realloc(text->ptr, (size_t)size * sizeof *ptr);
	if (ptr == NULL)
		return error_memory(error, (size_t)size * sizeof *ptr);
	text->ptr = ptr;
	text->size = (int32_t)size;
	return 0;
}

static int icu_error(UErrorCode code, struct error *error)
{
	if (code == U_MEMORY_ALLOCATION_ERROR)
		return error_memory(error, 0);
	return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL, "ICU: %s", u_errorName(code));
}

static int text16_of(struct text16 *text, struct slice bytes, struct error *error)
{
	if (bytes.len > TEXT_TOKEN_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a text of %zu bytes", bytes.len);
	if (text16_reserve(text, (int64_t)bytes.len, error) != 0)
		return error->code;
	text->len = 0;
	for (size_t at = 0, len; at < bytes.len; at += len) {
		uint32_t c = unicode_first(slice_of(bytes.ptr + at, bytes.len - at), &len);

		U16_APPEND_UNSAFE(text->ptr, text->len, c);
	}
	return 0;
}

static int text16_decompose(struct text16 *to, const struct text16 *from, struct error *error)
{
	UErrorCode code = U_ZERO_ERROR;
	const UNormalizer2 *form = unorm2_getNFKDInstance(&code);

	if (U_FAILURE(code))
		return icu_error(code, error);
	if (text16_reserve(to, 2 * (int64_t)from->len + 16, error) != 0)
		return error->code;
	to->len = unorm2_normalize(form, from->ptr, from->len, to->ptr, to->size, &code);
	if (code == U_BUFFER_OVERFLOW_ERROR) {
		code = U_ZERO_ERROR;
		if (text16_reserve(to, (int64_t)to->len + 1, error) != 0)
			return error->code;
		to->len = unorm2_normalize(form, from->ptr, from->len, to->ptr, to->size, &code);
	}
	return U_FAILURE(code) ? icu_error(code, error) : 0;
}

/* The code point at `*at`, and past it. An unpaired surrogate cannot come out of UTF-8. */
static uint32_t text16_next(const struct text16 *text, int32_t *at)
{
	uint32_t c = text->ptr[(*at)++];

	if (c >= 0xD800 && c < 0xDC00 && *at < text->len)
		c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)text->ptr[(*at)++] - 0xDC00);
	return c;
}

static uint8_t *utf8_put(uint8_t *to, uint32_t c)
{
	size_t len = 0;

	if (c < 0x80) {
		*to = (uint8_t)c;
		return to + 1;
	}
	U8_APPEND_UNSAFE(to, len, c);
	return to + len;
}

int unicode_decompose(struct unicode *unicode, struct slice text, struct buffer *plain, struct error *error)
{
	struct text16 *decomposed = &unicode->decomposed;
	uint8_t *to;
	int32_t at = 0;

	if (text16_of(&unicode->source, text, error) != 0 ||
	    text16_decompose(decomposed, &unicode->source, error) != 0)
		return error->code;
	buffer_clear(plain);
	to = buffer_grow(plain, (size_t)decomposed->len * UNIT_BYTES_MAX);
	if (to == NULL)
		return error_memory(error, text.len);
	while (at < decomposed->len) {
		uint32_t c = text16_next(decomposed, &at);

		if (c >= 0xA0 || (c >= ' ' && c < 0x7F))
			to = utf8_put(to, c);
	}
	plain->len = (size_t)(to - plain->ptr);
	return 0;
}

/* Of two letters the first is written. */
static uint32_t latin_variant(uint32_t c, uint8_t **to)
{
	switch (c) {
	case 0x2018: /* quotation marks */
	case 0x2019:
	case 0x201B:
		return '\'';
	case 0x153:
		*(*to)++ = 'o';
		return 'e';
	case 0xE6:
		*(*to)++ = 'a';
		return 'e';
	case 0x111: /* with stroke */
		return 'd';
	case 0x131: /* without a dot */
		return 'i';
	default:
		return c;
	}
}

/* 0: dropped. */
static uint32_t arabic_variant(uint32_t c)
{
	switch (c) {
	case 0x622: /* alef with madda, hamza, wasla */
	case 0x623:
	case 0x625:
	case 0x671:
		return 0x627;
	case 0x649: /* alef maksura */
		return 0x64A;
	case 0x629: /* teh marbuta */
		return 0x647;
	case 0x640: /* tatweel */
		return 0;
	default:
		return c;
	}
}

static bool script_has_case(enum script script)
{
	return script >= SCRIPT_LATIN && script <= SCRIPT_GEORGIAN;
}

/* The scripts whose non-spacing marks are spelling that people leave out. */
static bool script_drops_marks(enum script script)
{
	return script == SCRIPT_LATIN || script == SCRIPT_GREEK || script == SCRIPT_HEBREW ||
	       script == SCRIPT_ARABIC || script == SCRIPT_THAI;
}

bool unicode_normalize(struct slice plain, enum script script, struct buffer *form)
{
	/* lower case may take a byte more */
	uint8_t *to = buffer_grow(form, plain.len * 2);
	bool has_case = script_has_case(script);
	bool drops_marks = script_drops_marks(script);

	if (to == NULL)
		return false;
	for (size_t at = 0, len; at < plain.len; at += len) {
		uint32_t c = unicode_first(slice_of(plain.ptr + at, plain.len - at), &len);

		if (drops_marks && is_mark(c))
			continue;
		if (has_case)
			c = (uint32_t)u_tolower((UChar32)c);
		if (script == SCRIPT_LATIN)
			c = latin_variant(c, &to);
		else if (script == SCRIPT_ARABIC)
			c = arabic_variant(c);
		if (c != 0)
			to = utf8_put(to, c);
	}
	form->len = (size_t)(to - form->ptr);
	return true;
}

static int text16_lower(struct text16 *to, const struct text16 *from, struct error *error)
{
	UErrorCode code = U_ZERO_ERROR;

	if (text16_reserve(to, (int64_t)from->len + 16, error) != 0)
		return error->code;
	to->len = u_strToLower(to->ptr, to->size, from->ptr, from->len, "", &code);
	if (code == U_BUFFER_OVERFLOW_ERROR) {
		code = U_ZERO_ERROR;
		if (text16_reserve(to, (int64_t)to->len + 1, error) != 0)
			return error->code;
		to->len = u_strToLower(to->ptr, to->size, from->ptr, from->len, "", &code);
	}
	return U_FAILURE(code) ? icu_error(code, error) : 0;
}

static int text16_append(const struct text16 *text, struct buffer *to, struct error *error)
{
	size_t room = (size_t)text->len * UNIT_BYTES_MAX;
	uint8_t *bytes = buffer_grow(to, room);
	int32_t at = 0;

	if (bytes == NULL)
		return error_memory(error, room);
	while (at < text->len)
		bytes = utf8_put(bytes, text16_next(text, &at));
	to->len = (size_t)(bytes - to->ptr);
	return 0;
}

int unicode_fold(struct unicode *unicode, struct slice text, struct buffer *folded, struct error *error)
{
	if (text16_of(&unicode->source, text, error) != 0 ||
	    text16_decompose(&unicode->decomposed, &unicode->source, error) != 0 ||
	    text16_lower(&unicode->lower, &unicode->decomposed, error) != 0)
		return error->code;
	return text16_append(&unicode->lower, folded, error);
}

/* ---- scripts without spaces ---- */

int unicode_cut(struct unicode *unicode, struct slice run, struct error *error)
{
	UErrorCode code = U_ZERO_ERROR;

	if (text16_of(&unicode->run, run, error) != 0)
		return error->code;
	if (unicode->breaks == NULL)
		unicode->breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
	if (U_SUCCESS(code))
		ubrk_setText(unicode->breaks, unicode->run.ptr, unicode->run.len, &code);
	if (U_FAILURE(code))
		return icu_error(code, error);
	unicode->run_at = ubrk_first(unicode->breaks);
	unicode->run_left = run;
	return 0;
}

size_t unicode_cut_next(struct unicode *unicode)
{
	int32_t end = ubrk_next(unicode->breaks);
	size_t bytes = 0;

	if (end == UBRK_DONE)
		return 0;
	while (unicode->run_at < end) {
		struct slice *left = &unicode->run_left;
		size_t len;
		uint32_t c = unicode_first(*left, &len);

		*left = slice_of(left->ptr + len, left->len - len);
		unicode->run_at += U16_LENGTH(c);
		bytes += len;
	}
	return bytes;
}
