/*
 * The words of a segment in memory: similar ones chosen by their letters are
 * those that a scan finds, and a seek comes where counting comes.
 */
#include "shard/core/lexicon.h"

#include "shard/core/words.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#define WORDS 3000
#define WORD_BYTES_MAX 24
#define ROUNDS 3000
#define FOUND_BYTES (1U << 20)

static uint32_t chance(uint32_t *state, uint32_t bound)
{
	*state = *state * 1664525U + 1013904223U; /* Numerical Recipes' */
	return (*state >> 8) % bound;
}

/* Of few letters, so that many are alike; some begin with another's first four bytes, some are no UTF-8. */
static struct slice word_make(uint32_t *state, char room[WORD_BYTES_MAX])
{
	static const char *const letters[] = {"a", "b", "c", "d", "é", "本", "\xFF"};
	size_t wanted = 1 + chance(state, 7);
	size_t len = chance(state, 4) == 0 ? (size_t)sprintf(room, "abcd") : 0;

	for (size_t i = 0; i < wanted; i++)
		len += (size_t)snprintf(room + len, WORD_BYTES_MAX - len, "%s",
		                        letters[chance(state, chance(state, 8) == 0 ? 7 : 4)]);
	return slice_of(room, len < WORD_BYTES_MAX ? len : WORD_BYTES_MAX - 1);
}

static struct dictionary *dictionary_make(uint32_t *state, bool with_lengths)
{
	struct dictionary_builder *builder = dictionary_builder_new();
	struct dictionary *dictionary;
	char room[WORD_BYTES_MAX];

	CU_ASSERT_PTR_NOT_NULL_FATAL(builder);
	for (uint64_t i = 0; i < WORDS; i++)
		CU_ASSERT_TRUE(dictionary_builder_add(builder, word_make(state, room), i,
		                                      (struct place){0, (uint16_t)i}));
	if (with_lengths)
		CU_ASSERT_TRUE(dictionary_builder_add(builder, slice_string(WORD_FIELD_LENGTH), WORDS,
		                                      (struct place){0, 1}));
	dictionary = dictionary_build(builder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dictionary);
	dictionary_builder_free(builder);
	return dictionary;
}

/* Similar words as text, each with its typos; no more than `left`. */
struct found {
	struct buffer text;
	struct lexicon *lexicon; /* whose list of each is asked for */
	size_t left;
};

static int found_take(void *context, struct slice word, unsigned typos, struct error *error)
{
	struct found *found = context;
	struct posting_list list;

	CU_ASSERT_EQUAL(lexicon_list(found->lexicon, &list, error), 0);
	buffer_append_slice(&found->text, word);
	buffer_append(&found->text, &typos, sizeof typos);
	buffer_append(&found->text, &list.count, sizeof list.count);
	return --found->left == 0;
}

static void similar_compare(const struct wordlist *list, const struct typo *typo, size_t most)
{
	struct lexicon lexicon;
	struct found found[2] = {{.lexicon = &lexicon, .left = most}, {.lexicon = &lexicon, .left = most}};
	struct error error;

	for (size_t i = 0; i < 2; i++) {
		struct typo_sink sink = {found_take, &found[i]};
		struct typo_source source;

		buffer_init(&found[i].text, FOUND_BYTES);
		lexicon_init(&lexicon, list, NULL, NULL);
		source = lexicon_source(&lexicon);
		CU_ASSERT_EQUAL(i == 0 ? lexicon_similar(&lexicon, typo, &sink, &error)
		                       : typo_scan(typo, &source, &sink, &error),
		                0);
	}
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&found[0].text), buffer_slice(&found[1].text)));
	for (size_t i = 0; i < 2; i++)
		buffer_deinit(&found[i].text);
}

static void test_similar(void)
{
	uint32_t state = 1;
	struct dictionary *dictionary = dictionary_make(&state, true);
	struct wordlist list = {.dictionary = dictionary};
	char room[WORD_BYTES_MAX];

	for (size_t i = 0; i < ROUNDS; i++) {
		struct slice typed = word_make(&state, room);
		struct typo typo;

		typo_init(&typo, typed, chance(&state, 3), chance(&state, 2) == 0);
		similar_compare(&list, &typo, chance(&state, 4) == 0 ? 1 + chance(&state, 9) : SIZE_MAX);
	}
	dictionary_free(dictionary);
}

static void test_seek(void)
{
	uint32_t state = 2;
	struct dictionary *dictionary = dictionary_make(&state, false);
	char room[WORD_BYTES_MAX];

	for (size_t i = 0; i < ROUNDS; i++) {
		struct slice word = i == 0 ? slice_of("", 0) : word_make(&state, room);
		size_t below = 0;

		while (below < dictionary_len(dictionary) &&
		       slice_compare(dictionary_at(dictionary, below).word, word) < 0)
			below++;
		CU_ASSERT_EQUAL(dictionary_seek(dictionary, word), below);
	}
	dictionary_free(dictionary);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"similar words", test_similar}, {"a word's place", test_seek}, CU_TEST_INFO_NULL};

	return suite_run("lexicon", tests);
}
