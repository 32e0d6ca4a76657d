/* Fuzz: tokens of any text, valid UTF-8 or not, and words of any body that is JSON. */
#include "shard/core/words.h"
#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool check(void *context, struct slice word, struct place place)
{
	(void)context;
	if (slice_equal(word, slice_string(WORD_FIELD_LENGTH))) {
		ASSERT(place.position >= 1 && place.position <= WORD_FIELD_WORDS_MAX);
		return true;
	}
	ASSERT(word.len >= 1 && word.len <= TEXT_WORD_BYTES_MAX);
	for (size_t i = 0; i < word.len; i++)
		ASSERT(word.ptr[i] >= ' ' && word.ptr[i] != 0x7F);
	return true;
}

/* Its tokens cover it without a gap. */
static void cut(struct text *text, const struct text_rules *rules, struct slice bytes)
{
	const uint8_t *at = bytes.ptr;
	struct token token;
	struct error error;
	int rc;

	text_begin(text, rules, bytes);
	while ((rc = text_next(text, &token, &error)) > 0) {
		ASSERT(token.text.ptr == at && token.text.len > 0);
		at += token.text.len;
	}
	ASSERT(rc == 0 && at == bytes.ptr + bytes.len);
}

/* The first lines of the input are a separator, an exception, a word and a stop word. */
static struct text_rules *rules_of(struct slice *bytes)
{
	struct slice lists[4] = {0};
	struct text_settings settings = {&lists[0], 1, &lists[1], 1, &lists[2], 1, &lists[3], 1};
	struct text_rules *rules;
	struct error error;

	for (size_t i = 0; i < 4; i++) {
		const uint8_t *end = bytes->len > 0 ? memchr(bytes->ptr, '\n', bytes->len) : NULL;

		if (end == NULL)
			break;
		lists[i] = slice_of(bytes->ptr, (size_t)(end - bytes->ptr));
		*bytes = slice_of(end + 1, bytes->len - lists[i].len - 1);
	}
	ASSERT(text_rules_new(&settings, &rules, &error) == 0);
	return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct words *words;
	struct words_sink sink = {check, NULL};
	struct fields *fields = fields_new();
	struct slice rest = slice_of(bytes, len);
	struct text_rules *rules = rules_of(&rest);
	struct error error;

	if (words == NULL)
		words = words_new();
	ASSERT(words != NULL && fields != NULL);
	cut(words_text(words), NULL, slice_of(bytes, len));
	cut(words_text(words), rules, rest);
	if (words_of_body(words, NULL, slice_of(bytes, len), fields, &sink, &error) != 0)
		ASSERT(error.action == ERROR_ACTION_REJECT);
	text_rules_free(rules);
	fields_free(fields);
	return 0;
}
