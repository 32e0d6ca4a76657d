#include "shard/core/words.h"

#include "shared/json/json.h"

#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>
#include <unicode/uversion.h>

/* Below it no script is written without spaces: the break iterator has nothing to add. */
#define SPACELESS_FIRST 0x0E00

struct text16 {
	UChar *ptr;
	int32_t len;
	int32_t size;
};

/* What stands between a word and the one before it. */
enum gap {
	GAP_VALUE = 0, /* the value begins */
	GAP_SOFT,
	GAP_HARD
};

/* The position reached in a field, if it is of the body at hand. */
struct reached {
	uint64_t body;
	uint16_t position;
};

struct words {
	UBreakIterator *breaks; /* NULL until needed */
	struct text16 source;
	struct text16 folded;
	struct text16 decomposed;
	bool open;
	char word[WORD_BYTES_MAX];
	struct place place; /* of the word before, or where the value begins */
	enum gap gap;
	uint64_t body;           /* of this struct, counted */
	struct reached *reached; /* [0] of FIELD_OTHER, then by field */
	size_t reached_len;
	uint8_t path[FIELD_BYTES_MAX]; /* to the value at hand */
	size_t path_len;               /* may be more than there is room for */
	size_t reached_at;             /* of the path, */
	bool field_known;              /* as is place.field */
	struct fields *fields;         /* of the call that runs */
	const struct words_sink *sink;
	struct error *error;
};

struct words *words_new(void)
{
	return calloc(1, sizeof(struct words));
}

void words_free(struct words *words)
{
	if (words == NULL)
		return;
	if (words->breaks != NULL)
		ubrk_close(words->breaks);
	free(words->source.ptr);
	free(words->folded.ptr);
	free(words->decomposed.ptr);
	free(words->reached);
	free(words);
}

uint32_t words_version(void)
{
	UVersionInfo library;
	UVersionInfo data;

	u_getVersion(library);
	u_getUnicodeVersion(data);
	return (uint32_t)library[0] << 24 | (uint32_t)library[1] << 16 | (uint32_t)data[0] << 8 | data[1];
}

bool words_is_open(const struct words *words)
{
	return words->open;
}

static int text16_reserve(struct text16 *text, int64_t size, struct error *error)
{
	UChar *ptr;

	if (size <= text->size)
		return 0;
	if (size > INT32_MAX / 2)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a text of more than %d bytes",
		                 INT32_MAX / 2);
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
	UErrorCode code = U_ZERO_ERROR;

	if (text16_reserve(text, (int64_t)bytes.len + 1, error) != 0)
		return error->code;
	u_strFromUTF8WithSub(text->ptr, text->size, &text->len, (const char *)bytes.ptr, (int32_t)bytes.len,
	                     0xFFFD, NULL, &code);
	return U_FAILURE(code) ? icu_error(code, error) : 0;
}

static int text16_normalize(struct text16 *to, const UChar *from, int32_t len, const UNormalizer2 *form,
                            struct error *error)
{
	UErrorCode code = U_ZERO_ERROR;

	if (text16_reserve(to, (int64_t)len + 16, error) != 0)
		return error->code;
	to->len = unorm2_normalize(form, from, len, to->ptr, to->size, &code);
	if (code == U_BUFFER_OVERFLOW_ERROR) {
		code = U_ZERO_ERROR;
		if (text16_reserve(to, (int64_t)to->len + 1, error) != 0)
			return error->code;
		to->len = unorm2_normalize(form, from, len, to->ptr, to->size, &code);
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

/* To the next word's place. */
static void place_advance(struct words *words)
{
	static const uint16_t distances[] = {[GAP_VALUE] = 0, [GAP_SOFT] = 1, [GAP_HARD] = POSITION_FAR};
	uint16_t distance = distances[words->gap];
	struct place *place = &words->place;

	place->position =
		place->position > UINT16_MAX - distance ? UINT16_MAX : (uint16_t)(place->position + distance);
	words->gap = GAP_SOFT;
}

/* What is before a value's first word keeps nothing apart. */
static void gap_widen(struct words *words, bool hard)
{
	if (hard && words->gap == GAP_SOFT)
		words->gap = GAP_HARD;
}

static int sink_call(struct words *words, size_t len)
{
	if (len == 0)
		return 0;
	place_advance(words);
	if (words->sink->word(words->sink->context, slice_of(words->word, len), words->place))
		return 0;
	return error_memory(words->error, len);
}

/* The scripts whose non-spacing marks are spelling that people leave out. */
static bool script_drops_marks(UScriptCode script)
{
	return script == USCRIPT_LATIN || script == USCRIPT_GREEK || script == USCRIPT_HEBREW ||
	       script == USCRIPT_ARABIC || script == USCRIPT_THAI;
}

/* Decomposes one word, drops marks, and hands it on as UTF-8. */
static int word_emit(struct words *words, const UChar *text, int32_t len)
{
	UErrorCode code = U_ZERO_ERROR;
	const UNormalizer2 *form = unorm2_getNFKDInstance(&code);
	bool drops = false;
	int32_t at = 0;
	int32_t bytes = 0;
	UBool overflow = false;

	if (U_FAILURE(code))
		return icu_error(code, words->error);
	if (text16_normalize(&words->decomposed, text, len, form, words->error) != 0)
		return words->error->code;
	while (at < words->decomposed.len && !overflow) {
		uint32_t c = text16_next(&words->decomposed, &at);

		if (c >= 0x80 && u_charType((UChar32)c) == U_NON_SPACING_MARK) {
			if (drops)
				continue;
		} else {
			drops = c < 0x80 || script_drops_marks(uscript_getScript((UChar32)c, &code));
		}
		/* U8_APPEND does not check the room for ASCII */
		overflow = bytes == WORD_BYTES_MAX;
		if (!overflow)
			U8_APPEND((uint8_t *)words->word, bytes, WORD_BYTES_MAX, c, overflow);
	}
	if (!overflow)
		return sink_call(words, (size_t)bytes);
	place_advance(words);
	return 0;
}

/* One stretch of letters in a script without spaces: cut by dictionary. */
static int spaceless_emit(struct words *words, const UChar *text, int32_t len)
{
	UErrorCode code = U_ZERO_ERROR;
	int32_t from;

	if (words->breaks == NULL)
		words->breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
	if (U_SUCCESS(code))
		ubrk_setText(words->breaks, text, len, &code);
	if (U_FAILURE(code))
		return icu_error(code, words->error);
	from = ubrk_first(words->breaks);
	for (int32_t to = ubrk_next(words->breaks); to != UBRK_DONE; to = ubrk_next(words->breaks)) {
		if (word_emit(words, text + from, to - from) != 0)
			return words->error->code;
		from = to;
	}
	return 0;
}

/* NFKC splits the vowel AM of Thai and Lao; ICU's dictionaries know it whole. */
static void restore_am(struct text16 *text)
{
	int32_t to = 0;

	for (int32_t at = 0; at < text->len; at++) {
		UChar c = text->ptr[at];
		UChar next = at + 1 < text->len ? text->ptr[at + 1] : 0;

		if ((c == 0x0E4D && next == 0x0E32) || (c == 0x0ECD && next == 0x0EB2)) {
			c = (UChar)(next + 1);
			at++;
		}
		text->ptr[to++] = c;
	}
	text->len = to;
}

static bool is_of_word(uint32_t c)
{
	return (U_GET_GC_MASK((UChar32)c) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0;
}

/* Of a folded stretch: a full stop or comma in it was written as another sign, as an ellipsis or full width. */
static bool is_hard(uint32_t c)
{
	return c == '!' || c == ';' || c == '?' || c == '.' || c == ',' || c == 0xA1 || c == 0xA7 ||
	       c == 0xB6 || c == 0xBF ||
	       (c >= 0x80 && u_hasBinaryProperty((UChar32)c, UCHAR_TERMINAL_PUNCTUATION));
}

/* A stretch without ASCII separators that is not all ASCII. */
static int stretch_fold(struct words *words, struct slice stretch)
{
	UErrorCode code = U_ZERO_ERROR;
	const UNormalizer2 *form = unorm2_getNFKCCasefoldInstance(&code);
	struct text16 *folded = &words->folded;
	int32_t at = 0;

	if (U_FAILURE(code))
		return icu_error(code, words->error);
	if (text16_of(&words->source, stretch, words->error) != 0 ||
	    text16_normalize(folded, words->source.ptr, words->source.len, form, words->error) != 0)
		return words->error->code;
	restore_am(folded);
	words->open = false;
	while (at < folded->len) {
		bool spaceless = false;
		bool hard = false;
		int32_t from = at;
		int32_t to = at;

		while (at < folded->len) {
			uint32_t c = text16_next(folded, &at);

			if (!is_of_word(c)) {
				hard = is_hard(c);
				break;
			}
			spaceless = spaceless || c >= SPACELESS_FIRST;
			to = at;
		}
		if (to > from && (spaceless ? spaceless_emit(words, folded->ptr + from, to - from)
		                            : word_emit(words, folded->ptr + from, to - from)) != 0)
			return words->error->code;
		gap_widen(words, hard);
		words->open = to > from && to == folded->len;
	}
	return 0;
}

/* A letter or digit, or part of something for ICU. */
static inline bool is_of_stretch(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c >= 0x80;
}

static int stretch_ascii(struct words *words, struct slice stretch)
{
	char *word = words->word;

	words->open = true;
	if (stretch.len > WORD_BYTES_MAX) {
		place_advance(words);
		return 0;
	}
	/* lower case: digits have that bit already */
	for (size_t i = 0; i < stretch.len; i++)
		word[i] = (char)(stretch.ptr[i] | 0x20);
	return sink_call(words, stretch.len);
}

static bool is_hard_ascii(const uint8_t *at, const uint8_t *end)
{
	return *at == '!' || *at == ';' || *at == '?' ||
	       ((*at == '.' || *at == ',') && at + 1 < end && at[1] == ' ');
}

static int text_cut(struct words *words, struct slice text)
{
	const uint8_t *at = text.ptr;
	const uint8_t *end = text.len > 0 ? text.ptr + text.len : text.ptr;

	words->open = false;
	while (at < end) {
		const uint8_t *from = at;
		uint8_t seen = 0;
		struct slice stretch;

		while (at < end && is_of_stretch(*at))
			seen |= *at++;
		stretch = slice_of(from, (size_t)(at - from));
		if (stretch.len == 0) {
			words->open = false;
			gap_widen(words, is_hard_ascii(at, end));
			at++;
			continue;
		}
		if ((seen & 0x80 ? stretch_fold(words, stretch) : stretch_ascii(words, stretch)) != 0)
			return words->error->code;
	}
	return 0;
}

int words_of_text(struct words *words, struct slice text, const struct words_sink *sink, struct error *error)
{
	if (text.len > INT32_MAX / 2)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a text of %zu bytes", text.len);
	words->sink = sink;
	words->error = error;
	words->place = (struct place){0, 0};
	words->gap = GAP_VALUE;
	return text_cut(words, text);
}

/* Makes room in `reached` for the field of the path. */
static int field_find(struct words *words)
{
	uint16_t field = FIELD_OTHER;
	size_t at;

	if (words->path_len <= FIELD_BYTES_MAX &&
	    !fields_number(words->fields, slice_of(words->path, words->path_len), &field))
		return error_memory(words->error, words->path_len);
	at = field == FIELD_OTHER ? 0 : (size_t)field + 1;
	if (at >= words->reached_len) {
		size_t len = at < 16 ? 16 : 2 * at;
		struct reached *grown = realloc(words->reached, len * sizeof *grown);

		if (grown == NULL)
			return error_memory(words->error, len * sizeof *grown);
		memset(grown + words->reached_len, 0, (len - words->reached_len) * sizeof *grown);
		words->reached = grown;
		words->reached_len = len;
	}
	words->place.field = field;
	words->reached_at = at;
	words->field_known = true;
	return 0;
}

/* A value begins far behind what the body has had in its field. */
static int leaf_cut(struct words *words, struct slice text)
{
	struct reached *reached;

	if (!words->field_known && field_find(words) != 0)
		return words->error->code;
	reached = &words->reached[words->reached_at];
	words->place.position = 0;
	if (reached->body == words->body) {
		words->place.position = reached->position;
		words->gap = GAP_HARD;
		place_advance(words);
	}
	words->gap = GAP_VALUE;
	if (text_cut(words, text) != 0)
		return words->error->code;
	*reached = (struct reached){words->body, words->place.position};
	return 0;
}

static void path_append(struct words *words, const void *bytes, size_t len)
{
	if (words->path_len + len <= FIELD_BYTES_MAX && len > 0)
		memcpy(words->path + words->path_len, bytes, len);
	words->path_len += len;
	words->field_known = false;
}

/* Depth is bounded by json_parse. */
static int value_cut(struct words *words, yyjson_val *value)
{
	size_t path_len = words->path_len;
	size_t at;
	size_t max;
	yyjson_val *key;
	yyjson_val *child;

	if (yyjson_is_str(value))
		return leaf_cut(words, json_string(value));
	if (yyjson_is_raw(value))
		return leaf_cut(words, json_raw_number(value));
	if (yyjson_is_bool(value))
		return leaf_cut(words, slice_string(yyjson_get_bool(value) ? "true" : "false"));
	if (yyjson_is_arr(value)) {
		yyjson_arr_foreach(value, at, max, child)
		{
			if (value_cut(words, child) != 0)
				return words->error->code;
		}
	} else if (yyjson_is_obj(value)) {
		yyjson_obj_foreach(value, at, max, key, child)
		{
			struct slice name = json_string(key);

			if (path_len > 0)
				path_append(words, ".", 1);
			path_append(words, name.ptr, name.len);
			if (value_cut(words, child) != 0)
				return words->error->code;
			words->path_len = path_len;
			words->field_known = false;
		}
	}
	return 0;
}

int words_of_body(struct words *words, struct slice body, struct fields *fields,
                  const struct words_sink *sink, struct error *error)
{
	yyjson_doc *doc;
	int rc;

	if (body.len > INT32_MAX / 2)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a body of %zu bytes", body.len);
	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	words->fields = fields;
	words->sink = sink;
	words->error = error;
	words->body++;
	words->path_len = 0;
	words->field_known = false;
	rc = value_cut(words, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return rc;
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
	/* a unit of UTF-16 becomes at most three bytes */
	uint8_t *bytes = buffer_grow(to, (size_t)text->len * 3);
	UErrorCode code = U_ZERO_ERROR;
	int32_t len = 0;

	if (bytes == NULL)
		return error_memory(error, (size_t)text->len * 3);
	u_strToUTF8((char *)bytes, text->len * 3, &len, text->ptr, text->len, &code);
	to->len -= (size_t)(text->len * 3 - (U_FAILURE(code) ? 0 : len));
	return U_FAILURE(code) ? icu_error(code, error) : 0;
}

/* ASCII is its own decomposition. */
static bool fold_ascii(struct slice text, struct buffer *folded)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 0x80)
			return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		buffer_put_u8(folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c);
	}
	return true;
}

int words_fold(struct words *words, struct slice text, struct buffer *folded, struct error *error)
{
	UErrorCode code = U_ZERO_ERROR;
	const UNormalizer2 *form = unorm2_getNFKDInstance(&code);

	if (fold_ascii(text, folded))
		return buffer_failed(folded) ? error_memory(error, text.len) : 0;
	if (U_FAILURE(code))
		return icu_error(code, error);
	if (text16_of(&words->source, text, error) != 0 ||
	    text16_normalize(&words->decomposed, words->source.ptr, words->source.len, form, error) != 0 ||
	    text16_lower(&words->folded, &words->decomposed, error) != 0)
		return error->code;
	return text16_append(&words->folded, folded, error);
}
