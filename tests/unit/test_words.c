/*
 * Words: literal texts and the words they must become, for every rule of
 * words.h; bodies; places; and whether a query ends inside its last word.
 */
#include "shard/core/words.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct collected {
	char text[4096]; /* words, each followed by '|' */
	size_t len;
};

static bool collect(void *context, struct slice word, struct place place)
{
	struct collected *collected = context;

	(void)place;
	if (collected->len + word.len + 2 > sizeof collected->text)
		return false;
	memcpy(collected->text + collected->len, word.ptr, word.len);
	collected->len += word.len;
	collected->text[collected->len++] = '|';
	collected->text[collected->len] = '\0';
	return true;
}

/* "word@field.position " */
static bool collect_place(void *context, struct slice word, struct place place)
{
	struct collected *collected = context;
	int len = snprintf(collected->text + collected->len, sizeof collected->text - collected->len,
	                   "%.*s@%u.%u ", SLICE_ARGS(word), place.field, place.position);

	collected->len += (size_t)len;
	return collected->len < sizeof collected->text;
}

struct row {
	const char *name;
	const char *input;
	const char *expected;
	bool open;
};

static const struct row texts[] = {
	{"empty", "", "", false},
	{"only separators", " .,;-_/\t\n", "", false},
	{"ASCII is lower-cased", "Hello WORLD", "hello|world|", true},
	{"a separator closes", "hello ", "hello|", false},
	{"every ASCII sign separates", "a_b-c'd.e+f", "a|b|c|d|e|f|", true},
	{"digits", "libssl1.1 3.14", "libssl1|1|3|14|", true},
	{"accents of Latin go", "Éclair naïve Ångström", "eclair|naive|angstrom|", true},
	{"composed and decomposed are one", "e\xcc\x81t\xc3\xa9", "ete|", true},
	{"sharp s folds", "Straße", "strasse|", true},
	{"ligature and full width", "ﬁn ＡＢＣ", "fin|abc|", true},
	{"Greek marks and final sigma", "Ἀθῆναι λόγος", "αθηναι|λογοσ|", true},
	{"Cyrillic keeps its marks", "ёлка", "е\xcc\x88лка|", true},
	{"Hebrew points go", "שָׁלוֹם", "שלום|", true},
	{"Arabic vowels go", "كِتَاب", "كتاب|", true},
	{"typographic quotes separate like ASCII's", "don’t «stop»", "don|t|stop|", false},
	{"no-break space separates",
         "foo\xc2\xa0"
         "bar",
         "foo|bar|", true},
	{"fractions fall apart", "½", "1|2|", true},
	{"Chinese by dictionary", "我爱北京", "我|爱|北京|", true},
	{"Japanese marks survive", "ガ", "カ\xe3\x82\x99|", true},
	{"Thai by dictionary, marks dropped", "ภาษาไทย", "ภาษา|ไทย|", true},
	{"Thai AM keeps words whole", "ทำงาน", "ทางาน|", true},
	{"Khmer vowels survive", "ភាសា", "ភាសា|", true},
	{"emoji separates", "a😀b", "a|b|", true},
	{"beyond the first plane", "𝐀bc 𠀀", "abc|𠀀|", true},
	{"soft hyphen joins", "soft\xc2\xadhyphen", "softhyphen|", true},
	{"invalid UTF-8 separates",
         "ab\xff"
         "cd",
         "ab|cd|", true},
	{"closed by a non-ASCII separator", "été—", "ete|", false},
};

static void test_texts(void)
{
	struct words *words = words_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct collected collected = {.len = 0};
		struct words_sink sink = {collect, &collected};
		struct error error;
		int rc = words_of_text(words, slice_string(texts[i].input), &sink, &error);

		CU_ASSERT_EQUAL(rc, 0);
		if (strcmp(collected.text, texts[i].expected) != 0 || words_is_open(words) != texts[i].open)
			printf("\n%s: got %s open=%d\n", texts[i].name, collected.text, words_is_open(words));
		CU_ASSERT_STRING_EQUAL(collected.text, texts[i].expected);
		CU_ASSERT_EQUAL(words_is_open(words), texts[i].open);
	}
	words_free(words);
}

static const struct row bodies[] = {
	{"strings at any depth, keys not", "{\"key\":\"Alpha\",\"b\":{\"c\":[\"beta\",{\"d\":\"gamma\"}]}}",
         "alpha|beta|gamma|", true},
	{"numbers by their text", "{\"a\":12,\"b\":-1.50,\"c\":2e3}", "12|1|50|2e3|", true},
	{"booleans, not null", "{\"a\":true,\"b\":false,\"c\":null}", "true|false|", true},
	{"escapes are decoded", "{\"a\":\"caf\\u00e9\"}", "cafe|", true},
	{"nothing", "{}", "", false},
};

static void test_bodies(void)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct collected collected = {.len = 0};
		struct words_sink sink = {collect, &collected};
		struct error error;

		CU_ASSERT_EQUAL(words_of_body(words, slice_string(bodies[i].input), fields, &sink, &error),
		                0);
		CU_ASSERT_STRING_EQUAL(collected.text, bodies[i].expected);
	}
	fields_free(fields);
	words_free(words);
}

static const struct row text_places[] = {
	{"one further after a soft separator", "a b-c  d:e/f\ng",
         "a@0.0 b@0.1 c@0.2 d@0.3 e@0.4 f@0.5 g@0.6 ", true},
	{"far behind a hard one", "a! b?c;d", "a@0.0 b@0.8 c@0.16 d@0.24 ", true},
	{"a full stop and a comma with a space", "a. b, c", "a@0.0 b@0.8 c@0.16 ", true},
	{"without one they are soft", "a.b,c.\nd", "a@0.0 b@0.1 c@0.2 d@0.3 ", true},
	{"several separators are one gap", "a ?! ... b", "a@0.0 b@0.8 ", true},
	{"none before the first word and after the last", "!? a ?! ", "a@0.0 ", false},
	{"signs beyond ASCII", "a¡ b¿c§d¶e…f", "a@0.0 b@0.8 c@0.16 d@0.24 e@0.32 f@0.40 ", true},
	{"soft ones beyond ASCII", "a—b«c", "a@0.0 b@0.1 c@0.2 ", true},
	{"an ASCII sign behind letters beyond it", "été! là", "ete@0.0 la@0.8 ", true},
	{"Arabic question mark", "نعم؟ لا", "نعم@0.0 لا@0.8 ", true},
	{"Chinese full stop and words without gaps", "我爱。北京", "我@0.0 爱@0.1 北京@0.9 ", true},
};

static const struct row body_places[] = {
	{"fields by first sight", "{\"t\":\"a b\",\"u\":\"c\",\"n\":{\"t\":7}}", "a@0.0 b@0.1 c@1.0 7@2.0 ",
         true},
	{"fields known, positions anew", "{\"u\":\"c\",\"t\":\"a\"}", "c@1.0 a@0.0 ", true},
	{"elements are far apart", "{\"t\":[\"a b\",\"c\",true]}", "a@0.0 b@0.1 c@0.9 true@0.17 ", true},
	{"an array of objects", "{\"l\":[{\"x\":\"a\",\"y\":\"b\"},{\"x\":\"c\"}]}", "a@3.0 b@4.0 c@3.8 ",
         true},
	{"one path written in two ways", "{\"n\":{\"t\":\"a\"},\"n.t\":\"b\"}", "a@2.0 b@2.8 ", true},
	{"a value without words is a value", "{\"t\":[\"a\",\"!\",\"b\",null,\"c\"]}", "a@0.0 b@0.16 c@0.24 ",
         true},
	{"objects and values in one array", "{\"l\":[{\"x\":\"a\"},\"b\",{\"x\":\"c\"}]}",
         "a@3.0 b@5.0 c@3.8 ", true},
	{"a sign at the end is no second gap", "{\"t\":[\"a!\",\"b\"]}", "a@0.0 b@0.8 ", true},
	{"no object", "[\"a\",\"b\"]", "a@6.0 b@6.8 ", true},
};

static void test_places(void)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct error error;

	for (size_t i = 0; i < sizeof text_places / sizeof text_places[0]; i++) {
		struct collected collected = {.len = 0};
		struct words_sink sink = {collect_place, &collected};

		CU_ASSERT_EQUAL(words_of_text(words, slice_string(text_places[i].input), &sink, &error), 0);
		if (strcmp(collected.text, text_places[i].expected) != 0)
			printf("\n%s: got %s", text_places[i].name, collected.text);
		CU_ASSERT_STRING_EQUAL(collected.text, text_places[i].expected);
	}
	/* one after the other over one table */
	for (size_t i = 0; i < sizeof body_places / sizeof body_places[0]; i++) {
		struct collected collected = {.len = 0};
		struct words_sink sink = {collect_place, &collected};

		CU_ASSERT_EQUAL(
			words_of_body(words, slice_string(body_places[i].input), fields, &sink, &error), 0);
		if (strcmp(collected.text, body_places[i].expected) != 0)
			printf("\n%s: got %s", body_places[i].name, collected.text);
		CU_ASSERT_STRING_EQUAL(collected.text, body_places[i].expected);
	}
	CU_ASSERT_EQUAL(fields_len(fields), 7);
	CU_ASSERT_TRUE(slice_equal(fields_path(fields, 2), slice_string("n.t")));
	CU_ASSERT_TRUE(slice_equal(fields_path(fields, 3), slice_string("l.x")));
	fields_free(fields);
	words_free(words);
}

struct last_place {
	size_t words;
	struct place place;
};

static bool keep_place(void *context, struct slice word, struct place place)
{
	struct last_place *last = context;

	(void)word;
	last->words++;
	last->place = place;
	return true;
}

/* Far words share the last position; a path beyond the bound is the field of all such. */
static void test_far_places(void)
{
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct last_place last = {0};
	struct words_sink sink = {keep_place, &last};
	struct buffer text;
	struct error error;

	buffer_init(&text, 1000000);
	for (size_t i = 0; i < 65535; i++)
		buffer_append_string(&text, "a ");
	CU_ASSERT_EQUAL(words_of_text(words, buffer_slice(&text), &sink, &error), 0);
	CU_ASSERT_EQUAL(last.place.position, 65534);
	buffer_append_string(&text, "a");
	CU_ASSERT_EQUAL(words_of_text(words, buffer_slice(&text), &sink, &error), 0);
	CU_ASSERT_EQUAL(last.place.position, 65535);
	buffer_append_string(&text, "! a");
	CU_ASSERT_EQUAL(words_of_text(words, buffer_slice(&text), &sink, &error), 0);
	CU_ASSERT_EQUAL(last.place.position, 65535);
	buffer_clear(&text);
	buffer_append_string(&text, "{\"");
	for (size_t i = 0; i < FIELD_BYTES_MAX; i++)
		buffer_append_string(&text, "k");
	buffer_append_string(&text, "\":[1,{\"k\":2,\"l\":3}]}");
	last.words = 0;
	CU_ASSERT_EQUAL(words_of_body(words, buffer_slice(&text), fields, &sink, &error), 0);
	CU_ASSERT_EQUAL(last.words, 3);
	CU_ASSERT_EQUAL(last.place.field, FIELD_OTHER);
	CU_ASSERT_EQUAL(last.place.position, 8);
	CU_ASSERT_EQUAL(fields_len(fields), 1);
	buffer_deinit(&text);
	fields_free(fields);
	words_free(words);
}

static void test_not_json(void)
{
	struct words *words = words_new();
	struct collected collected = {.len = 0};
	struct words_sink sink = {collect, &collected};
	struct fields *fields = fields_new();
	struct error error;

	CU_ASSERT_EQUAL(words_of_body(words, slice_string("{\"a\":"), fields, &sink, &error), ERROR_FORMAT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	fields_free(fields);
	words_free(words);
}

/* 250 bytes are a word, 251 are none, in both paths. */
static void test_long_words(void)
{
	char text[600];
	struct words *words = words_new();
	struct error error;

	for (int accented = 0; accented < 2; accented++) {
		for (size_t extra = 0; extra < 2; extra++) {
			struct collected collected = {.len = 0};
			struct words_sink sink = {collect, &collected};
			struct last_place last = {0};
			struct words_sink places = {keep_place, &last};
			size_t len = WORD_BYTES_MAX + extra;

			memset(text, 'a', len);
			text[len] = '\0';
			if (accented) /* é folds to one byte more than is cut off here */
				memcpy(text + len - 1, "\xc3\xa9", 3);
			CU_ASSERT_EQUAL(words_of_text(words, slice_string(text), &sink, &error), 0);
			CU_ASSERT_EQUAL(collected.len, extra == 0 ? WORD_BYTES_MAX + 1 : 0);
			CU_ASSERT_TRUE(words_is_open(words));
			memcpy(text + strlen(text), " b", 3);
			CU_ASSERT_EQUAL(words_of_text(words, slice_string(text), &places, &error), 0);
			CU_ASSERT_EQUAL(last.place.position, 1);
		}
	}
	words_free(words);
}

/* For filters: decomposed, then lower case; nothing is cut and no mark dropped. */
static void test_fold(void)
{
	static const struct {
		const char *text;
		const char *folded;
	} rows[] = {
		{"", ""},
		{"Abc-XYZ 9\t", "abc-xyz 9\t"},
		{"\xc3\x89t\xc3\xa9", "e\xcc\x81te\xcc\x81"},
		{"\xef\xac\x81", "fi"},
		{"STRA\xc3\x9f\x45", "stra\xc3\x9f\x65"},
		{"\xc4\xb0", "i\xcc\x87"},
		{"\xf0\x9f\x98\x80\xf0\x90\x90\x80", "\xf0\x9f\x98\x80\xf0\x90\x90\xa8"},
		{"a\xff", "a\xef\xbf\xbd"},
	};
	struct words *words = words_new();
	struct buffer folded;
	struct error error;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buffer_init(&folded, 1000);
		buffer_append_string(&folded, "=");
		CU_ASSERT_EQUAL(words_fold(words, slice_string(rows[i].text), &folded, &error), 0);
		CU_ASSERT_EQUAL(folded.ptr[0], '=');
		CU_ASSERT_TRUE(
			slice_equal(slice_of(folded.ptr + 1, folded.len - 1), slice_string(rows[i].folded)));
		buffer_deinit(&folded);
	}
	buffer_init(&folded, 4);
	CU_ASSERT_EQUAL(words_fold(words, slice_string("abcde"), &folded, &error), ERROR_MEMORY);
	buffer_clear(&folded);
	CU_ASSERT_EQUAL(words_fold(words, slice_string("\xc3\x89\xc3\x89"), &folded, &error), ERROR_MEMORY);
	buffer_deinit(&folded);
	words_free(words);
}

static bool refuse(void *context, struct slice word, struct place place)
{
	(void)context;
	(void)word;
	(void)place;
	return false;
}

static void test_sink_fails(void)
{
	struct words *words = words_new();
	struct words_sink sink = {refuse, NULL};
	struct fields *fields = fields_new();
	struct error error;

	CU_ASSERT_EQUAL(words_of_text(words, slice_string("one two"), &sink, &error), ERROR_MEMORY);
	CU_ASSERT_EQUAL(words_of_text(words, slice_string("été"), &sink, &error), ERROR_MEMORY);
	CU_ASSERT_EQUAL(words_of_body(words, slice_string("{\"a\":\"b\"}"), fields, &sink, &error),
	                ERROR_MEMORY);
	fields_free(fields);
	words_free(words);
}

int main(void)
{
	CU_TestInfo tests[] = {{"texts", test_texts},
	                       {"bodies", test_bodies},
	                       {"places", test_places},
	                       {"places far away", test_far_places},
	                       {"a body that is not JSON", test_not_json},
	                       {"words of 250 and 251 bytes", test_long_words},
	                       {"a sink that fails", test_sink_fails},
	                       {"folding for filters", test_fold},
	                       CU_TEST_INFO_NULL};

	return suite_run("words", tests);
}
