#include "shard/core/words_beside.h"

#include "shared/base/assert.h"

/* No path of a document is UTF-8 with it. */
#define PATH_MARK 0xFF

_Static_assert(WORDS_BESIDE_KEY_BYTES_MAX <= VALUE_KEY_BYTES_MAX, "they go where keys go");
_Static_assert(WORDS_BESIDE_HEAD_BYTES < VALUE_HEAD_BYTES,
               "with a word's first byte it is the head of a key");

void words_beside_path(uint64_t digest, uint8_t path[WORDS_BESIDE_PATH_BYTES])
{
	path[0] = PATH_MARK;
	for (size_t i = 1; i < WORDS_BESIDE_PATH_BYTES; i++)
		path[i] = (uint8_t)(digest >> (64 - 8 * i));
}

bool words_beside_read(struct slice path, uint64_t *digest)
{
	uint64_t read = 0;

	if (path.len != WORDS_BESIDE_PATH_BYTES || path.ptr[0] != PATH_MARK)
		return false;
	for (size_t i = 1; i < WORDS_BESIDE_PATH_BYTES; i++)
		read = read << 8 | path.ptr[i];
	*digest = read;
	return true;
}

const struct attribute *words_beside_find(const struct attributes *attributes, uint64_t digest)
{
	uint8_t path[WORDS_BESIDE_PATH_BYTES];

	words_beside_path(digest, path);
	for (size_t i = 0; i < attributes->len; i++)
		if (slice_equal(attributes->list[i].path, slice_of(path, sizeof path)))
			return &attributes->list[i];
	return NULL;
}

struct words_beside_head words_beside_head(uint16_t attribute)
{
	return (struct words_beside_head){{(uint8_t)(attribute >> 8), (uint8_t)attribute}};
}

struct value_cover words_beside_wanted(const struct attributes_ref *attributes, uint64_t own)
{
	const struct attribute *beside = words_beside_find(&attributes->attributes, own);
	struct value_cover wanted = attributes->wanted;
	struct value_cover none = {{0}};

	if (beside != NULL)
		value_cover_add(&none, beside->number);
	value_cover_and_not(&wanted, &none);
	return wanted;
}

int words_beside_check(const struct attributes *attributes, const struct cuttings *cuttings,
                       struct error *error)
{
	uint64_t digest;

	for (size_t i = 0; i < attributes->len; i++)
		if (words_beside_read(attributes->list[i].path, &digest) &&
		    cuttings_find(cuttings, digest) == NULL)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "nothing says by which rules the words of attribute %u were cut",
			                 attributes->list[i].number);
	return 0;
}

/* Words on their way to being keys. */
struct heading {
	const struct words_sink *sink;
	uint8_t key[WORDS_BESIDE_KEY_BYTES_MAX];
};

static bool head_word(void *context, struct slice word, struct place place)
{
	struct heading *heading = context;

	ASSERT(word.len <= TEXT_WORD_BYTES_MAX);
	memcpy(heading->key + WORDS_BESIDE_HEAD_BYTES, word.ptr, word.len);
	return heading->sink->word(heading->sink->context,
	                           slice_of(heading->key, WORDS_BESIDE_HEAD_BYTES + word.len), place);
}

int words_beside_of_body(struct words *words, const struct words_beside *beside, struct slice body,
                         const struct words_sink *sink, struct error *error)
{
	for (size_t i = 0; i < beside->attributes->len; i++) {
		const struct attribute *attribute = &beside->attributes->list[i];
		struct words_beside_head head = words_beside_head(attribute->number);
		struct heading heading = {.sink = sink};
		struct words_sink headed = {head_word, &heading};
		uint64_t digest;

		if (!words_beside_read(attribute->path, &digest) || digest == beside->own)
			continue;
		memcpy(heading.key, head.bytes, sizeof head.bytes);
		if (words_of_body(words, cuttings_find(beside->cuttings, digest)->rules, body, beside->fields,
		                  &headed, error) != 0)
			return error->code;
	}
	return 0;
}
