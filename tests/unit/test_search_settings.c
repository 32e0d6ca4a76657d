/*
 * Search settings: how a record is made ready: rules of cutting, synonyms and
 * words without typos, cut and folded.
 */
#include "shard/core/search_settings.h"

#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

static void record_make(const char *body, struct buffer *record)
{
	struct settings_request request = {.body = slice_string(body)};
	struct settings_refusal refusal;

	buffer_init(record, SETTINGS_RECORD_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(settings_change(settings_default(), &request, record, &refusal), 0);
}

static struct search_settings *settings_of(const char *body)
{
	struct search_settings *settings = NULL;
	struct buffer record;
	struct error error;

	record_make(body, &record);
	CU_ASSERT_EQUAL_FATAL(search_settings_new(7, buffer_slice(&record), &settings, &error), 0);
	buffer_deinit(&record);
	return settings;
}

static void words_print(struct buffer *out, const struct slice *words, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buffer_printf(out, "%s%.*s", i > 0 ? " " : "", SLICE_ARGS(words[i]));
}

/* key=synonym; … then the words without typos. */
static void print(struct buffer *out, const struct search_settings *settings)
{
	for (size_t i = 0; i < settings->synonyms_len; i++) {
		words_print(out, settings->synonyms[i].of.words, settings->synonyms[i].of.len);
		buffer_append_string(out, "=");
		words_print(out, settings->synonyms[i].synonym.words, settings->synonyms[i].synonym.len);
		buffer_append_string(out, ";");
	}
	buffer_append_string(out, "|");
	words_print(out, settings->typos.words, settings->typos.words_len);
}

static const struct {
	const char *name;
	const char *body;
	bool has_rules;
	const char *expected;
} word_rows[] = {
	{"nothing", "{}", false, "|"},
	{"folded", "{\"synonyms\":{\"Wolverine\":[\"X-Men\",\"Lógan\"]}}", false,
         "wolverine=x men;wolverine=logan;|"},
	{"three words at most", "{\"synonyms\":{\"a b c\":[\"x\"],\"a b c d\":[\"y\"]}}", false, "a b c=x;|"},
	{"a synonym may have more", "{\"synonyms\":{\"abc\":[\"a b c d e\"]}}", false, "abc=a b c d e;|"},
	{"keys that are cut the same", "{\"synonyms\":{\"a-b\":[\"x\"],\"a b\":[\"y\"]}}", false,
         "a b=y;a b=x;|"},
	{"of separators alone", "{\"synonyms\":{\"!\":[\"x\"],\"a\":[\"?\",\"\",\"y\"]}}", false, "a=y;|"},
	{"without stop words",
         "{\"stopWords\":[\"the\"],\"synonyms\":{\"the cat\":[\"the\",\"kill the dog\"]}}", true,
         "cat=kill dog;|"},
	{"by separators of their own",
         "{\"separatorTokens\":[\"x\"],\"nonSeparatorTokens\":[\"-\"],\"synonyms\":{\"axb\":[\"c-d\"]}}",
         true, "a b=c-d;|"},
	{"by a dictionary", "{\"dictionary\":[\"J. R.\"],\"synonyms\":{\"J. R. T\":[\"jrt\"]}}", true,
         "j. r. t=jrt;|"},
	{"typos",
         "{\"typoTolerance\":{\"disableOnWords\":[\"Été-Hiver\",\"!\",\"zoo\"]},\"stopWords\":[\"zoo\"]}",
         true, "|ete hiver"},
};

static void test_words(void)
{
	for (size_t i = 0; i < LEN(word_rows); i++) {
		struct search_settings *settings = settings_of(word_rows[i].body);
		struct buffer out;

		buffer_init(&out, SIZE_MAX);
		print(&out, settings);
		if (!slice_equal(buffer_slice(&out), slice_string(word_rows[i].expected))) {
			(void)printf("%s: %.*s\n", word_rows[i].name, SLICE_ARGS(buffer_slice(&out)));
			CU_FAIL("other words");
		}
		CU_ASSERT_EQUAL(settings->rules != NULL, word_rows[i].has_rules);
		buffer_deinit(&out);
		search_settings_release(settings);
	}
}

static void test_defaults(void)
{
	struct search_settings *settings;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(
		search_settings_new(SEARCH_SETTINGS_DEFAULT, (struct slice){0}, &settings, &error), 0);
	CU_ASSERT_EQUAL(settings->version, -1);
	CU_ASSERT_PTR_EQUAL(settings->settings, settings_default());
	CU_ASSERT_PTR_NULL(settings->rules);
	CU_ASSERT_EQUAL(settings->synonyms_len, 0);
	CU_ASSERT(settings->typos.enabled);
	CU_ASSERT_EQUAL(settings->typos.one, 5);
	CU_ASSERT_EQUAL(settings->typos.two, 9);
	CU_ASSERT_FALSE(settings->typos.numbers_exact);
	CU_ASSERT_EQUAL(settings->typos.words_len, 0);
	CU_ASSERT_EQUAL(settings->typos.attributes_len, 0);
	search_settings_release(settings);
	search_settings_release(NULL);
}

static void test_typos(void)
{
	struct search_settings *settings =
		settings_of("{\"typoTolerance\":{\"enabled\":false,\"minWordSizeForTypos\":{\"oneTypo\":3,"
	                    "\"twoTypos\":6},"
	                    "\"disableOnAttributes\":[\"isbn\"],\"disableOnNumbers\":true}}");

	CU_ASSERT_EQUAL(settings->version, 7);
	CU_ASSERT_FALSE(settings->typos.enabled);
	CU_ASSERT_EQUAL(settings->typos.one, 3);
	CU_ASSERT_EQUAL(settings->typos.two, 6);
	CU_ASSERT(settings->typos.numbers_exact);
	CU_ASSERT_EQUAL_FATAL(settings->typos.attributes_len, 1);
	CU_ASSERT(slice_equal(settings->typos.attributes[0], slice_string("isbn")));
	CU_ASSERT_PTR_EQUAL(search_settings_hold(settings), settings);
	search_settings_release(settings);
	CU_ASSERT_EQUAL(settings->version, 7);
	search_settings_release(settings);
}

static const struct {
	const char *record;
	int code;
} refused_rows[] = {
	{"", ERROR_FORMAT},
	{"{}", ERROR_FORMAT},
	{"{\"format\":1}", ERROR_FORMAT},
	{"{\"format\":2,\"settings\":{}}", ERROR_VERSION},
	{"{\"format\":1,\"settings\":{\"synonyms\":7}}", ERROR_FORMAT},
};

static void test_refused(void)
{
	for (size_t i = 0; i < LEN(refused_rows); i++) {
		struct search_settings *settings = NULL;
		struct error error = {0};

		CU_ASSERT_EQUAL(
			search_settings_new(0, slice_string(refused_rows[i].record), &settings, &error),
			refused_rows[i].code);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_PTR_NULL(settings);
	}
}

/* The n-th allocation fails, for every n. */
static void test_memory(void)
{
	struct search_settings *settings = NULL;
	struct buffer record;
	struct error error;
	long failed = 0;
	int rc;

	record_make("{\"stopWords\":[\"the\"],\"synonyms\":{\"a\":[\"b c\"]},"
	            "\"typoTolerance\":{\"disableOnWords\":[\"x\"]}}",
	            &record);
	do {
		allocations_left = failed;
		rc = search_settings_new(1, buffer_slice(&record), &settings, &error);
		allocations_left = -1;
		if (rc != 0) {
			CU_ASSERT_EQUAL_FATAL(rc, ERROR_MEMORY);
			failed++;
		}
	} while (rc != 0);
	CU_ASSERT(failed > 10);
	search_settings_release(settings);
	buffer_deinit(&record);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"words are cut and folded", test_words},
		{"defaults", test_defaults},
		{"typos", test_typos},
		{"no records", test_refused},
		{"out of memory", test_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("search_settings", tests);
}
