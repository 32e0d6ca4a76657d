/* Fuzz: words of any text, valid UTF-8 or not, and of any body that is JSON. */
#include "shard/core/words.h"
#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool check(void *context, struct slice word)
{
	(void)context;
	ASSERT(word.len >= 1 && word.len <= WORD_BYTES_MAX);
	ASSERT(memchr(word.ptr, '\0', word.len) == NULL);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct words *words;
	struct words_sink sink = {check, NULL};
	struct error error;

	if (words == NULL)
		words = words_new();
	ASSERT(words != NULL);
	ASSERT(words_of_text(words, slice_of(bytes, len), &sink, &error) == 0);
	if (words_of_body(words, slice_of(bytes, len), &sink, &error) != 0)
		ASSERT(error.action == ERROR_ACTION_REJECT);
	return 0;
}
