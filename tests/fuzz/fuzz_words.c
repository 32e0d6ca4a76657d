/* Fuzz: words of any text, valid UTF-8 or not, and of any body that is JSON. */
#include "shard/core/words.h"
#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Field and position of the word before: a text's words never go back. */
static bool check(void *context, struct slice word, struct place place)
{
	struct place *last = context;

	ASSERT(place.field != last->field || place.position >= last->position);
	*last = place;
	ASSERT(word.len >= 1 && word.len <= WORD_BYTES_MAX);
	ASSERT(memchr(word.ptr, '\0', word.len) == NULL);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct words *words;
	struct place last = {0, 0};
	struct words_sink sink = {check, &last};
	struct fields *fields = fields_new();
	struct error error;

	if (words == NULL)
		words = words_new();
	ASSERT(words != NULL && fields != NULL);
	ASSERT(words_of_text(words, slice_of(bytes, len), &sink, &error) == 0);
	last = (struct place){0, 0};
	if (words_of_body(words, slice_of(bytes, len), fields, &sink, &error) != 0)
		ASSERT(error.action == ERROR_ACTION_REJECT);
	fields_free(fields);
	return 0;
}
