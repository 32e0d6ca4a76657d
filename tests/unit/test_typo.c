/*
 * Typos: what counts, prefixes, the first character, bytes that are no UTF-8,
 * letters, and scans that find the same without looking at every word.
 */
#include "shard/engine/typo.h"

#include "shared/base/assert.h"
#include "shared/base/buffer.h"
#include "tests/unit/suite.h"

#include <stdio.h>

#define WORDS_MAX 20000
#define WORD_BYTES 8

struct between {
	const char *typed;
	const char *word;
	unsigned typos_max;
	bool is_prefix;
	int expected;
};

static const struct between betweens[] = {
	{"kitten", "kitten", 0, false, 0},
	{"kitten", "kittens", 0, false, -1},
	{"kitten", "kittens", 1, false, 1}, /* added */
	{"kitten", "kiten", 1, false, 1},   /* left out */
	{"kitten", "kitsen", 1, false, 1},  /* replaced */
	{"kitten", "kittne", 1, false, 1},  /* swapped */
	{"kitten", "ktiten", 1, false, 1},
	{"kitten", "ikttne", 2, false, -1}, /* the first one is wrong */
	{"kitten", "ktitne", 2, false, 2},
	{"kitten", "kitnXe", 2, false, -1}, /* nothing between two that are swapped: 3 */
	{"ca", "abc", 2, false, -1},        /* 2 if it could, and the first is wrong */
	{"xca", "xabc", 2, false, -1},      /* 3, not 2 */
	{"kitten", "kitte", 1, false, 1},
	{"kitten", "kitt", 2, false, 2},
	{"kitten", "kit", 2, false, -1},
	{"kitten", "mitten", 1, false, -1}, /* a wrong first character counts two */
	{"kitten", "mitten", 2, false, 2},
	{"kitten", "itten", 2, false, 2},
	{"kitten", "akitten", 2, false, 2},
	{"kitten", "ikttens", 2, false, -1},
	{"kitten", "iktten", 2, false, 2},
	{"kitten", "mittens", 2, false, -1},
	{"kit", "kittens", 0, true, 0},
	{"kit", "kitt", 0, true, 0},
	{"kit", "ki", 0, true, -1},
	{"kit", "ki", 1, true, 1},
	{"kit", "kut-and-more", 1, true, 1},
	{"kit", "kti-and-more", 1, true, 1},
	{"kit", "mit-and-more", 1, true, -1},
	{"kit", "mit-and-more", 2, true, 2},
	{"kit", "k", 2, true, 2},
	{"kit", "", 2, true, -1},
	{"k", "zebra", 1, true, -1},
	{"k", "zebra", 2, true, 2}, /* the empty prefix */
	{"k", "", 2, true, 2},
	{"", "zebra", 0, true, 0},
	{"", "", 0, false, 0},
	{"", "a", 1, false, -1},
	{"", "a", 2, false, 2},
	{"", "ab", 2, false, -1},
	{"d\xc3\xa9"
         "ja",
         "deja", 1, false, 1}, /* characters, not bytes */
	{"d\xc3\xa9"
         "ja",
         "d\xc3\xa8"
         "ja",
         1, false, 1},
	{"\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x9c\xac\xe6\x97\xa5", 2, false, 2},
	{"\xf0\x9f\x98\x80"
         "ab",
         "\xf0\x9f\x98\x80"
         "a",
         1, false, 1},
	{"a\xff"
         "b",
         "a\xff"
         "b",
         0, false, 0}, /* no UTF-8: each byte for itself */
	{"a\xff"
         "b",
         "a\xfe"
         "b",
         1, false, 1},
	{"a\xc3", "a\xc3\xa9", 1, false, 1},
	{"a\xe6\x97", "a", 1, false, -1},
	{"a\xe6\x97", "a", 2, false, 2},
	{"a\xc0\x80", "a", 2, false, 2},          /* longer than need be */
	{"a\xf4\x90\x80\x80", "a", 2, false, -1}, /* beyond Unicode: four bytes */
};

static void test_between(void)
{
	for (size_t i = 0; i < sizeof betweens / sizeof *betweens; i++) {
		const struct between *row = &betweens[i];
		struct typo typo;
		int typos;

		typo_init(&typo, slice_string(row->typed), row->typos_max, row->is_prefix);
		typos = typo_between(&typo, slice_string(row->word));
		CU_ASSERT_EQUAL(typos, row->expected);
		if (typos != row->expected)
			(void)printf("row %zu: %s, %s: %d\n", i, row->typed, row->word, typos);
	}
}

/* What is similar is so by its letters. */
static void test_letters(void)
{
	for (size_t i = 0; i < sizeof betweens / sizeof *betweens; i++) {
		const struct between *row = &betweens[i];
		uint32_t letters = typo_letters(slice_string(row->word));
		struct typo_near near;
		struct typo typo;
		uint8_t first[4];

		typo_init(&typo, slice_string(row->typed), row->typos_max, row->is_prefix);
		if (row->expected < 0 || row->typos_max == 0 || typo.len == 0)
			continue;
		near = typo_near(&typo, strncmp(row->word, (char *)first, typo_first(&typo, first)) == 0);
		CU_ASSERT_EQUAL(typo_near_next(&near, &letters, 0, 1), 0);
		if (typo_near_next(&near, &letters, 0, 1) > 0)
			(void)printf("row %zu: %s, %s\n", i, row->typed, row->word);
	}
}

/* And most others are not, wherever they stand. */
static void test_letters_apart(void)
{
	static const struct {
		const char *word;
		unsigned typos_max;
		bool same_first;
		bool is_prefix;
		bool is_near;
	} rows[] = {
		{"kitten", 1, true, false, true},        {"kangaroo", 1, true, false, false},
		{"ketten", 1, true, false, true},        {"kettor", 1, true, false, false},
		{"kettor", 2, true, false, true},        {"knight", 1, true, false, false},
		{"knight", 2, true, false, true},        {"smitten", 2, false, false, false},
		{"mitten", 2, false, false, true},       {"bitte", 2, false, false, false},
		{"kitty-and-more", 1, true, true, true}, {"kilo-a-more", 1, true, true, false},
	};
	uint32_t letters[100];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t at = 0; at < 100; at++) {
			struct typo_near near;
			struct typo typo;

			typo_init(&typo, slice_string("kitten"), rows[i].typos_max, rows[i].is_prefix);
			near = typo_near(&typo, rows[i].same_first);
			for (size_t k = 0; k < 100; k++)
				letters[k] = typo_letters(slice_string(k == at ? rows[i].word : "dog"));
			CU_ASSERT_EQUAL(typo_near_next(&near, letters, 0, 100), rows[i].is_near ? at : 100);
			CU_ASSERT_EQUAL(typo_near_next(&near, letters, at / 2, at), at);
		}
}

static void test_long(void)
{
	uint8_t typed[TYPO_BYTES_MAX];
	uint8_t word[TYPO_BYTES_MAX + 60];
	struct typo typo;

	memset(typed, 'a', sizeof typed);
	memset(word, 'a', sizeof word);
	typo_init(&typo, slice_of(typed, sizeof typed), 2, false);
	CU_ASSERT_EQUAL(typo_between(&typo, slice_of(word, sizeof typed + 2)), 2);
	CU_ASSERT_EQUAL(typo_between(&typo, slice_of(word, sizeof typed + 3)), -1);
	CU_ASSERT_EQUAL(typo_between(&typo, slice_of(word, sizeof typed - 2)), 2);
	typo_init(&typo, slice_of(typed, sizeof typed), 2, true);
	word[TYPO_BYTES_MAX - 1] = 'b';
	CU_ASSERT_EQUAL(typo_between(&typo, slice_of(word, sizeof word)), 1);
}

/* Numbers in five digits, or a list of literals. */
struct words {
	const char *const *list; /* NULL: numbers */
	size_t len;
	size_t at;
	size_t steps;
	size_t seeks;
	size_t fails_at; /* this call fails; 0: none */
	char word[WORD_BYTES];
};

static struct slice word_at(struct words *words, size_t at)
{
	if (words->list != NULL)
		return slice_string(words->list[at]);
	(void)snprintf(words->word, sizeof words->word, "%05u", (unsigned)(at % 100000));
	return slice_string(words->word);
}

static int words_next(void *context, struct slice *word, struct error *error)
{
	struct words *words = context;

	if (++words->steps == words->fails_at)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the disk");
	if (words->at == words->len)
		return 0;
	*word = word_at(words, words->at++);
	return 1;
}

static int words_seek(void *context, struct slice at, struct slice *word, struct error *error)
{
	struct words *words = context;

	words->seeks++;
	for (words->at = 0; words->at < words->len; words->at++)
		if (slice_compare(word_at(words, words->at), at) >= 0)
			break;
	return words_next(context, word, error);
}

/* "word typos, " of each; `left` more are taken. */
struct taken {
	struct buffer text;
	size_t count;
	size_t left;
	int result; /* after that */
};

static int take(void *context, struct slice word, unsigned typos, struct error *error)
{
	struct taken *taken = context;

	(void)error;
	buffer_printf(&taken->text, "%.*s %u, ", SLICE_ARGS(word), typos);
	taken->count++;
	return taken->left-- > 0 ? 0 : taken->result;
}

static int scan(const char *typed, unsigned typos_max, bool is_prefix, struct words *words,
                struct taken *taken)
{
	struct typo_source source = {words_seek, words_next, words};
	struct typo_sink sink = {take, taken};
	struct error error = {0};
	struct typo typo;
	int result;

	taken->count = 0;
	buffer_clear(&taken->text);
	typo_init(&typo, slice_string(typed), typos_max, is_prefix);
	result = typo_scan(&typo, &source, &sink, &error);
	CU_ASSERT_EQUAL(result < 0 && error.code != 0, result < 0 && taken->result >= 0);
	buffer_append(&taken->text, "", 1);
	return result;
}

static const char *const animals[] = {"",     "bat",    "bear", "beard", "bears", "bee",  "breast",
                                      "care", "carets", "cart", "cat",   "ear",   "pear", "x"};

struct scan_row {
	const char *typed;
	unsigned typos_max;
	bool is_prefix;
	const char *expected;
};

static const struct scan_row scans[] = {
	{"bear", 0, false, "bear 0, "},
	{"bear", 0, true, "bear 0, beard 0, bears 0, "},
	{"bear", 1, false, "bear 0, beard 1, bears 1, "},
	{"baer", 1, false, "bear 1, "},
	{"bear", 2, false, "bat 2, bear 0, beard 1, bears 1, bee 2, ear 2, pear 2, "},
	{"bra", 1, true, "bat 1, bear 1, beard 1, bears 1, breast 1, "},
	{"c", 2, true,
         " 2, bat 2, bear 2, beard 2, bears 2, bee 2, breast 2, care 0, carets 0, cart 0, cat 0, "
         "ear 2, pear 2, x 2, "},
	{"zebra", 2, false, ""},
	{"", 0, true,
         " 0, bat 0, bear 0, beard 0, bears 0, bee 0, breast 0, care 0, carets 0, cart 0, cat 0, "
         "ear 0, pear 0, x 0, "},
	{"", 2, false, " 0, x 2, "},
};

static void test_scan(void)
{
	struct taken taken = {.left = SIZE_MAX};

	buffer_init(&taken.text, 10000);
	for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
		struct words words = {.list = animals, .len = sizeof animals / sizeof *animals};

		CU_ASSERT_EQUAL(scan(scans[i].typed, scans[i].typos_max, scans[i].is_prefix, &words, &taken),
		                0);
		CU_ASSERT_STRING_EQUAL(taken.text.ptr, scans[i].expected);
	}
	buffer_deinit(&taken.text);
}

static void test_ends_early(void)
{
	struct words words = {.list = animals, .len = sizeof animals / sizeof *animals};
	struct taken taken = {.left = 1, .result = 1};

	buffer_init(&taken.text, 10000);
	CU_ASSERT_EQUAL(scan("bear", 2, false, &words, &taken), 0);
	CU_ASSERT_STRING_EQUAL(taken.text.ptr, "bat 2, bear 0, ");
	taken.left = 0;
	taken.result = ERROR_MEMORY;
	CU_ASSERT_EQUAL(scan("bear", 2, false, &words, &taken), ERROR_MEMORY);
	CU_ASSERT_STRING_EQUAL(taken.text.ptr, "bat 2, ");
	buffer_deinit(&taken.text);
}

/* The source fails at every call that it gets. */
static void test_source_fails(void)
{
	struct taken taken = {.left = SIZE_MAX};
	size_t calls = 0;

	buffer_init(&taken.text, 10000);
	for (int result = ERROR_STORAGE; result != 0;) {
		struct words words = {
			.list = animals, .len = sizeof animals / sizeof *animals, .fails_at = ++calls};

		result = scan("bear", 2, false, &words, &taken);
		CU_ASSERT(result == ERROR_STORAGE || result == 0);
	}
	CU_ASSERT(calls > 5);
	buffer_deinit(&taken.text);
}

static int seek_below(void *context, struct slice at, struct slice *word, struct error *error)
{
	struct words *words = context;

	(void)at;
	words->at = 0;
	return words_next(context, word, error);
}

static void test_out_of_order(void)
{
	struct words words = {.len = WORDS_MAX};
	struct taken taken = {.left = SIZE_MAX};
	struct typo_source source = {seek_below, words_next, &words};
	struct typo_sink sink = {take, &taken};
	struct error error;
	struct typo typo;

	buffer_init(&taken.text, 10000);
	typo_init(&typo, slice_string("09999"), 1, false);
	CU_ASSERT_EQUAL(typo_scan(&typo, &source, &sink, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	buffer_deinit(&taken.text);
}

/* What it finds is known by counting; most words it does not see. */
static void test_skips(void)
{
	struct words words = {.len = WORDS_MAX};
	struct taken taken = {.left = SIZE_MAX};

	buffer_init(&taken.text, 100000);
	CU_ASSERT_EQUAL(scan("04567", 0, false, &words, &taken), 0);
	CU_ASSERT_STRING_EQUAL(taken.text.ptr, "04567 0, ");
	CU_ASSERT(words.steps <= 2 && words.seeks == 1);
	words.steps = words.seeks = 0;
	CU_ASSERT_EQUAL(scan("04567", 1, false, &words, &taken), 0);
	CU_ASSERT_EQUAL(taken.count, 1 + 4 * 9 + 3); /* itself, a digit replaced, two swapped */
	CU_ASSERT(words.steps < 800 && words.seeks < 60);
	buffer_deinit(&taken.text);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"between two words", test_between},       {"letters", test_letters},
		{"letters of others", test_letters_apart}, {"words of the longest", test_long},
		{"a scan finds them in order", test_scan}, {"the sink ends a scan", test_ends_early},
		{"the source fails", test_source_fails},   {"words out of order", test_out_of_order},
		{"most words are skipped", test_skips},    CU_TEST_INFO_NULL,
	};

	return suite_run("typo", tests);
}
