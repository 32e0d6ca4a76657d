/*
 * Words: bodies and the words they must become, with their places; the lengths
 * of short fields; numbers as they are shown; what is dropped.
 */
#include "shard/core/words.h"

#include "shard/core/words_number.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_BYTES_MAX 4096

struct shown {
	char text[SHOWN_BYTES_MAX];
	size_t len;
	bool lengths; /* are shown too */
};

/* "word@field.position ", and "#field=words " for a length */
static bool show(void *context, struct slice word, struct place place)
{
	struct shown *shown = context;
	bool is_length = slice_equal(word, slice_string(WORD_FIELD_LENGTH));
	char *to = shown->text + shown->len;
	size_t room = sizeof shown->text - shown->len;

	if (is_length && shown->lengths)
		shown->len += (size_t)snprintf(to, room, "#%u=%u ", place.field, place.position);
	else if (!is_length)
		shown->len += (size_t)snprintf(to, room, "%.*s@%u.%u ", SLICE_ARGS(word), place.field,
		                               place.position);
	return shown->len < sizeof shown->text;
}

struct row {
	const char *name;
	const char *input;
	const char *expected;
};

static void check_row(struct words *words, const struct text_rules *rules, struct fields *fields,
                      const struct row *row, bool lengths)
{
	struct shown shown = {.lengths = lengths};
	struct words_sink sink = {show, &shown};
	struct error error;

	CU_ASSERT_EQUAL(words_of_body(words, rules, slice_string(row->input), fields, &sink, &error), 0);
	if (strcmp(shown.text, row->expected) != 0)
		printf("\n%s: got %s", row->name, shown.text);
	CU_ASSERT_STRING_EQUAL(shown.text, row->expected);
}

/* each over a table of its own */
static void check_rows(const struct row *rows, size_t len, const struct text_rules *rules, bool lengths)
{
	struct words *words = words_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	for (size_t i = 0; i < len; i++) {
		struct fields *fields = fields_new();

		check_row(words, rules, fields, &rows[i], lengths);
		fields_free(fields);
	}
	words_free(words);
}

static const struct row bodies[] = {
	{"nothing", "{}", ""},
	{"strings at any depth, keys not", "{\"key\":\"Alpha\",\"b\":{\"c\":[\"beta\",{\"d\":\"gamma\"}]}}",
         "alpha@0.0 beta@1.8 gamma@2.0 "},
	{"booleans, not null", "{\"a\":true,\"b\":false,\"c\":null}", "true@0.0 false@1.0 "},
	{"escapes are decoded", "{\"a\":\"caf\\u00e9\"}", "cafe@0.0 "},
	{"no object", "[\"a\",\"b\"]", "a@0.0 b@0.8 "},
	{"one further over a soft separator", "{\"t\":\"a b-c  d:e/f\\ng\"}",
         "a@0.0 b@0.1 c@0.2 d@0.3 e@0.4 f@0.5 g@0.6 "},
	{"far over a hard one", "{\"t\":\"a! b?c;d. e, f\"}", "a@0.0 b@0.8 c@0.16 d@0.24 e@0.32 f@0.40 "},
	{"several separators are one gap", "{\"t\":\"a ?! ;; b\"}", "a@0.0 b@0.8 "},
	{"none before the first word and after the last", "{\"t\":[\"!? a ?! \",\"b\"]}", "a@0.0 b@0.8 "},
	{"elements are far apart", "{\"t\":[\"a b\",\"c\",true]}", "a@0.0 b@0.1 c@0.9 true@0.17 "},
	{"what has no words leaves no gap", "{\"t\":[\"!\",\"a\",\"!\",null,\"\",\"b\"]}", "a@0.0 b@0.8 "},
	{"an array of objects", "{\"l\":[{\"x\":\"a\",\"y\":\"b\"},{\"x\":\"c\"}]}", "a@0.0 b@1.0 c@0.8 "},
	{"one path written in two ways", "{\"n\":{\"t\":\"a\"},\"n.t\":\"b\"}", "a@0.0 b@0.8 "},
	{"objects and values in one array", "{\"l\":[{\"x\":\"a\"},\"b\",{\"x\":\"c\"},\"d\"]}",
         "a@0.0 b@1.0 c@0.8 d@1.8 "},
	{"inside an object they begin later", "{\"o\":{\"l\":[{\"x\":\"a\"},\"b\",[\"c\"]]}}",
         "a@0.0 b@1.8 c@1.16 "},
	{"also by a name", "{\"o.l\":[\"!\",\"b\",{}]}", "b@0.8 "},
	{"not without an object", "{\"o\":{\"l\":[\"b\",[{\"x\":\"a\"}]]}}", "b@0.0 a@1.0 "},
	{"an empty name", "{\"\":{\"a\":\"b\"},\"a\":\"c\"}", "b@0.0 c@0.8 "},
	{"marks alone are no word, but counted", "{\"t\":\"a \\u0301 b\"}", "a@0.0 b@0.2 "},
};

static void test_bodies(void)
{
	check_rows(bodies, sizeof bodies / sizeof bodies[0], NULL, false);
}

static const struct row lengths[] = {
	{"of each field", "{\"t\":[\"a b\",\"c\"],\"u\":7,\"e\":\"!\"}",
         "a@0.0 b@0.1 c@0.9 7@1.0 #0=3 #1=1 "},
	{"stop words take a position and are not counted", "{\"t\":\"the a the The\",\"u\":\"the\"}",
         "a@0.1 the@0.3 #0=2 "},
	{"30 words", "{\"t\":\"a a a a a a a a a a the a a a a a a a a a a\",\"u\":[1,2,3,4,5,6,7,8,9,10]}",
         "a@0.0 a@0.1 a@0.2 a@0.3 a@0.4 a@0.5 a@0.6 a@0.7 a@0.8 a@0.9 a@0.11 a@0.12 a@0.13 a@0.14 a@0.15 "
         "a@0.16 a@0.17 a@0.18 a@0.19 a@0.20 1@1.0 2@1.8 3@1.16 4@1.24 5@1.32 6@1.40 7@1.48 8@1.56 9@1.64 "
         "10@1.72 #0=20 #1=10 "},
};

static void test_lengths(void)
{
	struct slice the = slice_string("the");
	struct text_settings settings = {.stop_words = &the, .stop_words_len = 1};
	struct text_rules *rules;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(text_rules_new(&settings, &rules, &error), 0);
	check_rows(lengths, sizeof lengths / sizeof lengths[0], rules, true);
	text_rules_free(rules);
}

/* Fields by first sight, over one table; positions anew in each body. */
static void test_fields(void)
{
	static const struct row rows[] = {
		{"two", "{\"t\":\"a b\",\"u\":\"c\"}", "a@0.0 b@0.1 c@1.0 #0=2 #1=1 "},
		{"known and new", "{\"n\":{\"t\":7},\"u\":\"c\",\"t\":\"a\"}",
	         "7@2.0 c@1.0 a@0.0 #2=1 #1=1 #0=1 "},
		{"many",
	         "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
	         "\"l\":1,\"m\":1,\"o\":1,\"p\":1,\"q\":1}",
	         "1@3.0 1@4.0 1@5.0 1@6.0 1@7.0 1@8.0 1@9.0 1@10.0 1@11.0 1@12.0 1@13.0 1@14.0 1@15.0 1@16.0 "
	         "1@17.0 1@18.0 #3=1 #4=1 #5=1 #6=1 #7=1 #8=1 #9=1 #10=1 #11=1 #12=1 #13=1 #14=1 #15=1 #16=1 "
	         "#17=1 #18=1 "},
	};
	struct words *words = words_new();
	struct fields *fields = fields_new();

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_row(words, NULL, fields, &rows[i], true);
	CU_ASSERT_TRUE(slice_equal(fields_path(fields, 2), slice_string("n.t")));
	fields_free(fields);
	words_free(words);
}

struct counted {
	size_t words;
	size_t lengths;
	struct place last; /* of a word */
	struct place length;
};

static bool count(void *context, struct slice word, struct place place)
{
	struct counted *counted = context;

	if (slice_equal(word, slice_string(WORD_FIELD_LENGTH))) {
		counted->lengths++;
		counted->length = place;
	} else {
		counted->words++;
		counted->last = place;
	}
	return true;
}

static void repeat(struct buffer *body, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buffer_append_string(body, text);
}

/* {"t":["<text repeated>","<rest>"]} */
static struct counted counted_of(const char *text, size_t times, const char *rest)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct counted counted = {0};
	struct words_sink sink = {count, &counted};
	struct buffer body;
	struct error error;

	buffer_init(&body, 10000000);
	buffer_append_string(&body, "{\"t\":[\"");
	repeat(&body, text, times);
	buffer_append_string(&body, "\",\"");
	buffer_append_string(&body, rest);
	buffer_append_string(&body, "\"]}");
	CU_ASSERT_EQUAL(words_of_body(words, NULL, buffer_slice(&body), fields, &sink, &error), 0);
	buffer_deinit(&body);
	fields_free(fields);
	words_free(words);
	return counted;
}

/* The last position is 65,535; words behind it are dropped. A field of 31 words has no length. */
static void test_far_places(void)
{
	struct counted counted = counted_of("a ", 65528, "b c");

	CU_ASSERT_EQUAL(counted.words, 65529);
	CU_ASSERT_EQUAL(counted.last.position, 65535);
	counted = counted_of("a ", 600000, "b");
	CU_ASSERT_EQUAL(counted.words, 65536);
	CU_ASSERT_EQUAL(counted.last.position, 65535);
	CU_ASSERT_EQUAL(counted.lengths, 0);
	counted = counted_of("a! ", 30, "b");
	CU_ASSERT_EQUAL(counted.lengths, 0);
	counted = counted_of("a! ", 30, "");
	CU_ASSERT_EQUAL(counted.lengths, 1);
	CU_ASSERT_EQUAL(counted.length.position, 30);
}

/* 250 bytes are a word, 251 are none but keep their position and are counted, in both ways of cutting. */
static void test_long_words(void)
{
	static const char *const letters[] = {"a", "é", "A"};

	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
		struct counted counted = counted_of(letters[i], TEXT_WORD_BYTES_MAX, "b");

		CU_ASSERT_EQUAL(counted.words, 2);
		CU_ASSERT_EQUAL(counted.last.position, 8);
		CU_ASSERT_EQUAL(counted.length.position, 2);
		counted = counted_of(letters[i], TEXT_WORD_BYTES_MAX + 1, "b");
		CU_ASSERT_EQUAL(counted.words, 1);
		CU_ASSERT_EQUAL(counted.last.position, 8);
		CU_ASSERT_EQUAL(counted.length.position, 2);
	}
}

/* All paths beyond the bound are one field. */
static void test_long_path(void)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct counted counted = {0};
	struct words_sink sink = {count, &counted};
	struct buffer body;
	struct error error;

	buffer_init(&body, 10000);
	buffer_append_string(&body, "{\"");
	repeat(&body, "k", FIELD_BYTES_MAX);
	buffer_append_string(&body, "\":[1,{\"k\":2,\"l\":3}]}");
	CU_ASSERT_EQUAL(words_of_body(words, NULL, buffer_slice(&body), fields, &sink, &error), 0);
	CU_ASSERT_EQUAL(counted.words, 3);
	CU_ASSERT_EQUAL(counted.last.field, FIELD_OTHER);
	CU_ASSERT_EQUAL(counted.last.position, 8);
	CU_ASSERT_EQUAL(fields_len(fields), 1);
	buffer_deinit(&body);
	fields_free(fields);
	words_free(words);
}

static void test_numbers(void)
{
	static const struct {
		const char *number;
		const char *shown;
	} rows[] = {
		{"0", "0"},
		{"-12", "-12"},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"3.14", "3.14"},
		{"1.0", "1.0"},
		{"1.50", "1.5"},
		{"100.00", "100.0"},
		{"-0.0", "-0.0"},
		{"0.000", "0.0"},
		{"0.0001", "0.0001"},
		{"0.00012345", "0.00012345"},
		{"0.00001", "1e-5"},
		{"-0.000012", "-1.2e-5"},
		{"2e3", "2000.0"},
		{"1E-07", "1e-7"},
		{"12.5e1", "125.0"},
		{"1e15", "1000000000000000.0"},
		{"1e16", "1e16"},
		{"1.25E+20", "1.25e20"},
		{"0.1000000000000000055511151231257827", "0.1"},
		{"0.30000000000000004", "0.30000000000000004"},
		{"9007199254740993.0", "9007199254740992.0"},
		{"123456789012345.6", "123456789012345.6"},
		{"5e-324", "5e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e308"},
		{"0e5", "0.0"},
		{"1e400", "1e400"},
	};
	char text[NUMBER_BYTES_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice shown = words_number(slice_string(rows[i].number), text);

		if (!slice_equal(shown, slice_string(rows[i].shown)))
			printf("\n%s: got %.*s", rows[i].number, SLICE_ARGS(shown));
		CU_ASSERT_TRUE(slice_equal(shown, slice_string(rows[i].shown)));
	}
}

static void test_not_json(void)
{
	struct words *words = words_new();
	struct shown shown = {.len = 0};
	struct words_sink sink = {show, &shown};
	struct fields *fields = fields_new();
	struct error error;

	CU_ASSERT_EQUAL(words_of_body(words, NULL, slice_string("{\"a\":"), fields, &sink, &error),
	                ERROR_FORMAT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	fields_free(fields);
	words_free(words);
}

/* Refuses the n-th word. */
static bool refuse(void *context, struct slice word, struct place place)
{
	size_t *left = context;

	(void)word;
	(void)place;
	return (*left)-- > 0;
}

static void test_sink_fails(void)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct error error;

	for (size_t n = 0; n <= 6; n++) {
		size_t left = n;
		struct words_sink sink = {refuse, &left};

		/* four words and two lengths */
		CU_ASSERT_EQUAL(words_of_body(words, NULL, slice_string("{\"a\":\"b é\",\"c\":1.50}"), fields,
		                              &sink, &error),
		                n < 6 ? ERROR_MEMORY : 0);
	}
	fields_free(fields);
	words_free(words);
}

int main(void)
{
	CU_TestInfo tests[] = {{"bodies", test_bodies},
	                       {"lengths of fields", test_lengths},
	                       {"fields", test_fields},
	                       {"places far away", test_far_places},
	                       {"words of 250 and 251 bytes", test_long_words},
	                       {"a path that is too long", test_long_path},
	                       {"numbers", test_numbers},
	                       {"a body that is not JSON", test_not_json},
	                       {"a sink that fails", test_sink_fails},
	                       CU_TEST_INFO_NULL};

	return suite_run("words", tests);
}
