/*
 * Text: literal texts and the tokens they must become, by default and with
 * settings; scripts without spaces, which the oracle does not cut; any bytes
 * at all; folding for filters; and every allocation failing in turn.
 *
 * The linker brings every allocation of ours here.
 */
#include "shard/engine/text.h"

#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_BYTES_MAX 4096
#define LISTED_MAX 4
#define SWEEP_MAX 200

/* Each token as a sign for its kind, its form and '|'; false if one of them does not begin where the last one ended. */
static bool text_show(struct text *text, const struct text_rules *rules, struct slice bytes,
                      char shown[SHOWN_BYTES_MAX])
{
	static const char kinds[] = {
		[TOKEN_WORD] = 'w', [TOKEN_STOP_WORD] = 'x', [TOKEN_SOFT] = 's', [TOKEN_HARD] = 'h'};
	const uint8_t *at = bytes.ptr;
	struct token token;
	struct error error;
	size_t len = 0;
	int rc;

	text_begin(text, rules, bytes);
	shown[0] = '\0';
	while ((rc = text_next(text, &token, &error)) > 0) {
		if (token.text.ptr != at || token.text.len == 0)
			return false;
		at += token.text.len;
		len += (size_t)snprintf(shown + len, SHOWN_BYTES_MAX - len, "%c%.*s|", kinds[token.kind],
		                        SLICE_ARGS(token.form));
	}
	return rc == 0 && at == bytes.ptr + bytes.len;
}

struct row {
	const char *name;
	const char *input;
	const char *expected;
};

static void check_rows(const struct row *rows, size_t len, const struct text_rules *rules)
{
	char shown[SHOWN_BYTES_MAX];
	struct text *text = text_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (size_t i = 0; i < len; i++) {
		CU_ASSERT_TRUE(text_show(text, rules, slice_string(rows[i].input), shown));
		if (strcmp(shown, rows[i].expected) != 0)
			printf("\n%s: got %s", rows[i].name, shown);
		CU_ASSERT_STRING_EQUAL(shown, rows[i].expected);
	}
	text_free(text);
}

static const struct row defaults[] = {
	{"nothing", "", ""},
	{"words and spaces", "Hello WORLD", "whello|s |wworld|"},
	{"signs that separate", "a_b-c'd/e@f#g%h&i*j+k:l\"m\\n(o",
         "wa|s_|wb|s-|wc|s'|wd|s/|we|s@|wf|s#|wg|s%|wh|s&|wi|s*|wj|s+|wk|s:|wl|s\"|wm|s\\|wn|s(|wo|"},
	{"signs that do not", "a$b^c|d~e<f>g=h", "wa$b^c|d~e<f>g=h|"},
	{"hard ones", "a!b;c?d. e, f", "wa|h!|wb|h;|wc|h?|wd|h. |we|h, |wf|"},
	{"no space behind them", "a.b,c.\nd", "wa|s.|wb|s,|wc|s.|s|wd|"},
	{"one space is theirs", ".  ", "h. |s |"},
	{"control characters", "a\x01z\x02\tb\x7f", "waz|s|wb|"},
	{"alone they are no word", " \x01 ", "s |s|s |"},
	{"numbers", "libssl1.1 3,14 12", "wlibssl1|s.|w1|s |w3|s,|w14|s |w12|"},
	{"accents of Latin go", "Éclair Ångström", "weclair|s |wangstrom|"},
	{"decomposed ones too", "e\u0301t\u00e9", "wete|"},
	{"letters of their own", "Straße œuvre Æon đı", "wstraße|s |woeuvre|s |waeon|s |wdi|"},
	{"compatibility", "ﬁ x² ½ µ", "wfi|s |wx2|s |w1⁄2|s |wμ|"},
	{"quotation marks", "don’t", "wdon|s'|wt|"},
	{"Greek, and final sigma is a letter", "Ἀθῆναι ΛΌΓΟΣ λόγος", "wαθηναι|s |wλογοσ|s |wλογος|"},
	{"Cyrillic keeps its marks", "Ёлка", "wе\u0308лка|"},
	{"Hebrew points go", "שָׁלוֹם", "wשלום|"},
	{"Arabic vowels go, letters are one", "كِتَاب أة", "wكتاب|s |wاه|"},
	{"scripts cut", "aбγ", "wa|wб|wγ|"},
	{"digits go with what is before", "б12a 1a", "wб12|wa|s |w1a|"},
	{"at the beginning with what is behind", "12б a", "w12б|s |wa|"},
	{"a sign of Latin between others", "б© б12", "wб|w©|s |wб12|"},
	{"no-break space is of the word", "a\u00a0b", "wa b|"},
	{"alone it separates", " \u00a0 ", "s |s |s |"},
	{"an ellipsis is a word", "a…b", "wa|w...|wb|"},
	{"what is hard once decomposed", "a\u037e\u0387\uff01", "wa|h;|h·|h!|"},
	{"signs beyond ASCII", "¡¿§¶؟؛։。、", "h¡|h¿|h§|h¶|h؟|h؛|h։|h。|h、|"},
	{"soft ones", "a—b«c\u2009d", "wa|s—|wb|s«|wc|s |wd|"},
	{"full width without a script stays", "Ａ", "wA|"},
	{"beyond the first plane", "𝐀bc", "wabc|"},
	{"emoji is of a word", "a😀b", "wa😀b|"},
	{"soft hyphen is kept", "soft\u00adly", "wsoft\u00adly|"},
	{"invalid bytes", "ab\xff\xc3z \xe2\x82", "wab\uFFFD\uFFFDz|s |w\uFFFD|"},
};

static const struct row spaceless[] = {
	{"Chinese", "我爱北京", "w我|w爱|w北京|"},
	{"with other words", "abc我爱12北京 abc", "wabc|w我|w爱|w12|w北京|s |wabc|"},
	{"behind a hard separator", "我爱。北京", "w我|w爱|h。|w北京|"},
	{"Japanese keeps its marks", "ガム", "wカ\u3099ム|"},
	{"Thai drops them", "ภาษาไทย", "wภาษา|wไทย|"},
	{"vowel AM", "ทำงาน", "wทางาน|"},
	{"Lao", "ພາສາລາວ", "wພາສາ|wລາວ|"},
	{"Khmer", "ភាសាខ្មែរ", "wភាសាខ្មែរ|"},
	{"beyond the first plane, and invalid", "𠀀\xff我", "w𠀀|w\uFFFD|w我|"},
};

static void test_defaults(void)
{
	check_rows(defaults, sizeof defaults / sizeof defaults[0], NULL);
}

static void test_spaceless(void)
{
	check_rows(spaceless, sizeof spaceless / sizeof spaceless[0], NULL);
}

struct listed {
	const char *separators[LISTED_MAX];
	const char *not_separators[LISTED_MAX];
	const char *dictionary[LISTED_MAX];
	const char *stop_words[LISTED_MAX];
};

static size_t list_of(const char *const given[LISTED_MAX], struct slice texts[LISTED_MAX])
{
	size_t len = 0;

	while (len < LISTED_MAX && given[len] != NULL) {
		texts[len] = slice_string(given[len]);
		len++;
	}
	return len;
}

static int rules_of(const struct listed *listed, struct text_rules **rules, struct error *error)
{
	struct slice texts[4][LISTED_MAX];
	struct text_settings settings = {.separators = texts[0],
	                                 .separators_len = list_of(listed->separators, texts[0]),
	                                 .not_separators = texts[1],
	                                 .not_separators_len = list_of(listed->not_separators, texts[1]),
	                                 .dictionary = texts[2],
	                                 .dictionary_len = list_of(listed->dictionary, texts[2]),
	                                 .stop_words = texts[3],
	                                 .stop_words_len = list_of(listed->stop_words, texts[3])};
	int rc = text_rules_new(&settings, rules, error);

	memset(texts, 0, sizeof texts); /* what was given is not looked at again */
	return rc;
}

static const struct {
	struct listed listed;
	struct row row;
} rows_listed[] = {
	{{.separators = {"|", "<br>", "&&", "é"}},
         {"separators", "a|b<br>c<b&&&dée", "wa|s||wb|s<br>|wc<b|s&&|s&|wd|we|we|"}},
	{{.separators = {"x", "B"}}, {"letters that separate", "axbBc", "wa|sx|wb|sb|wc|"}},
	{{.not_separators = {"-", "#", ". "}}, {"excepted", "a-b#c. d, e", "wa-b#c|s.|s |wd|h, |we|"}},
	{{.separators = {"-", "ab"}, .not_separators = {"-", "ab"}},
         {"both: a separator, but not cut out of a word", "a-xab ab", "wa|s-|wxab|s |sab|"}},
	{{.dictionary = {"c++", "l'a", "no.1", "no.12"}},
         {"kept whole, the longest", "C++c++ l'an no.123 no.1",
          "wc|s+|s+|wc++|s |wl'a|wn|s |wno.12|w3|s |wno.1|"}},
	{{.dictionary = {"-", "ca", "é"}}, {"signs that are words", "a-cab é-", "wa|w-|wca|wb|s |we|w-|"}},
	{{.dictionary = {"1A"}}, {"lower case as its script has it", "אב 1A 1A", "wאב|s |w1A|s |w1a|"}},
	{{.stop_words = {"the", "à", "."}},
         {"stop words, as they are written", "the The a\u0300 Á. a", "xthe|s |wthe|s |xa|s |wa|h. |wa|"}},
	{{.stop_words = {"."}}, {"one that separates", "a.b", "wa|x.|wb|"}},
	{{.stop_words = {"ab"}}, {"cut by script", "ab1 abб ab", "wab1|s |xab|wб|s |xab|"}},
};

static void test_settings(void)
{
	for (size_t i = 0; i < sizeof rows_listed / sizeof rows_listed[0]; i++) {
		struct text_rules *rules;
		struct error error;

		CU_ASSERT_EQUAL_FATAL(rules_of(&rows_listed[i].listed, &rules, &error), 0);
		check_rows(&rows_listed[i].row, 1, rules);
		text_rules_free(rules);
	}
}

/* Every two bytes behind a word of two scripts: covered without a gap, no form with a control character. */
static void test_any_bytes(void)
{
	static const struct listed listed = {.separators = {"\xff\xff", "z"}, .dictionary = {"a\xc3\xa9"}};
	char shown[SHOWN_BYTES_MAX];
	uint8_t bytes[] = "aб  \xe0\xb8\x81";
	struct text *text = text_new();
	struct text_rules *rules;
	struct error error;
	size_t wrong = 0;

	CU_ASSERT_EQUAL_FATAL(rules_of(&listed, &rules, &error), 0);
	for (unsigned pair = 0; pair < 65536; pair++) {
		bytes[3] = (uint8_t)pair;
		bytes[4] = (uint8_t)(pair >> 8);
		for (int ruled = 0; ruled < 2; ruled++) {
			if (!text_show(text, ruled ? rules : NULL, slice_of(bytes, sizeof bytes - 1), shown))
				wrong++;
			for (const char *c = shown; *c != '\0'; c++)
				wrong += (uint8_t)*c < ' ' || *c == 0x7F;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	text_rules_free(rules);
	text_free(text);
}

/* Long tokens stay one, in both ways. */
static void test_long(void)
{
	struct text *text = text_new();
	struct buffer bytes;
	struct token token;
	struct error error;

	buffer_init(&bytes, 1000000);
	for (int accented = 0; accented < 2; accented++) {
		buffer_clear(&bytes);
		for (size_t i = 0; i < 100000; i++)
			buffer_append_string(&bytes, accented ? "É" : "E");
		text_begin(text, NULL, buffer_slice(&bytes));
		CU_ASSERT_EQUAL(text_next(text, &token, &error), 1);
		CU_ASSERT_EQUAL(token.text.len, bytes.len);
		CU_ASSERT_EQUAL(token.form.len, 100000);
		CU_ASSERT_EQUAL(text_next(text, &token, &error), 0);
	}
	buffer_deinit(&bytes);
	text_free(text);
}

/* For filters: decomposed, then lower case; nothing is cut and no mark dropped. */
static void test_fold(void)
{
	static const struct row rows[] = {
		{"nothing", "", ""},
		{"ASCII", "Abc-XYZ 9\t", "abc-xyz 9\t"},
		{"marks stay", "\u00c9t\u00e9", "e\u0301te\u0301"},
		{"ligature", "\ufb01", "fi"},
		{"sharp s", "STRA\u00dfE", "stra\u00dfe"},
		{"dotted I", "\u0130", "i\u0307"},
		{"beyond the first plane", "\U0001F600\U00010400", "\U0001F600\U00010428"},
		{"invalid", "a\xff", "a\ufffd"},
	};
	struct text *text = text_new();
	struct buffer folded;
	struct error error;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buffer_init(&folded, 1000);
		buffer_append_string(&folded, "=");
		CU_ASSERT_EQUAL(text_fold(text, slice_string(rows[i].input), &folded, &error), 0);
		CU_ASSERT_EQUAL(folded.ptr[0], '=');
		CU_ASSERT_TRUE(slice_equal(slice_of(folded.ptr + 1, folded.len - 1),
		                           slice_string(rows[i].expected)));
		buffer_deinit(&folded);
	}
	buffer_init(&folded, 4);
	CU_ASSERT_EQUAL(text_fold(text, slice_string("abcde"), &folded, &error), ERROR_MEMORY);
	buffer_clear(&folded);
	CU_ASSERT_EQUAL(text_fold(text, slice_string("\u00c9\u00c9"), &folded, &error), ERROR_MEMORY);
	buffer_deinit(&folded);
	text_free(text);
}

/* What the n-th allocation fails in; true if all went well. */
static bool life(struct error *error)
{
	static const struct listed listed = {.separators = {"<br>", "|"},
	                                     .not_separators = {"-"},
	                                     .dictionary = {"l'a", "no.1"},
	                                     .stop_words = {"the", "à"}};
	struct text_rules *rules = NULL;
	struct text *text = text_new();
	struct buffer folded;
	struct token token;
	int rc = text == NULL ? error_memory(error, 0) : rules_of(&listed, &rules, error);

	buffer_init(&folded, 1000);
	if (rc == 0) {
		text_begin(text, rules, slice_string("the HAT éÉéÉ\ufdfa我爱北京"));
		while ((rc = text_next(text, &token, error)) > 0)
			;
	}
	if (rc == 0)
		rc = text_fold(text, slice_string("\u0130 and more"), &folded, error);
	CU_ASSERT_TRUE(rc == 0 || (rc == ERROR_MEMORY && error->action == ERROR_ACTION_RETRY));
	buffer_deinit(&folded);
	text_rules_free(rules);
	text_free(text);
	return rc == 0;
}

static void test_allocations(void)
{
	struct error error;
	long n = 0;

	do
		allocations_left = n++;
	while (!life(&error) && n < SWEEP_MAX);
	CU_ASSERT_TRUE(allocations_left >= 0);
	CU_ASSERT_TRUE(n > 10 && n < SWEEP_MAX);
	allocations_left = -1;
}

static const struct {
	const char *name;
	const char *text;  /* whose first token counts */
	const char *heads; /* bytes of 0, 1, … characters of its form */
} head_rows[] = {
	{"ASCII", "Cat dog", "0 1 2 3 3"},
	{"accents", "Éte\u0301s", "0 2 3 4 7"},
	{"marks go with what is before", "e\u0301t", "0 1 4 4"},
	{"two of one", "œuf", "0 2 2 3 4"},
	{"several of one", "½a", "0 2 2 2 3"},
	{"as its script says", "ё\u0308", "0 2 2 4"},
	{"control characters", "a\x01z", "0 1 3 3"},
	{"dropped", "ـاـ", "0 4 6"},
	{"eighteen of one", "\uFDFA", "0 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"},
	{"without spaces", "北京 a", "0 3 6 6"},
	{"invalid bytes", "\xff\xc3z", "0 1 2 3 3"},
};

static void test_head(void)
{
	for (size_t i = 0; i < sizeof head_rows / sizeof head_rows[0]; i++) {
		struct text *text = text_new();
		struct token token;
		struct error error;
		char shown[256] = "";
		size_t len = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		text_begin(text, NULL, slice_string(head_rows[i].text));
		CU_ASSERT_EQUAL_FATAL(text_next(text, &token, &error), 1);
		for (size_t k = 0; len < strlen(head_rows[i].heads); k++)
			len += (size_t)snprintf(shown + len, sizeof shown - len, "%s%zu", k > 0 ? " " : "",
			                        text_head(text, &token, k));
		if (strcmp(shown, head_rows[i].heads) != 0)
			printf("\n%s: got %s", head_rows[i].name, shown);
		CU_ASSERT_STRING_EQUAL(shown, head_rows[i].heads);
		text_free(text);
	}
}

/* It allocates nothing, and the token's form stays. */
static void test_head_memory(void)
{
	struct text *text = text_new();
	struct token token;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	text_begin(text, NULL, slice_string("\uFDFA"));
	CU_ASSERT_EQUAL_FATAL(text_next(text, &token, &error), 1);
	allocations_left = 0;
	CU_ASSERT_EQUAL(text_head(text, &token, 1), 3);
	CU_ASSERT_EQUAL(allocations_left, 0);
	allocations_left = -1;
	CU_ASSERT_EQUAL(token.form.len, 33);
	text_free(text);
}

int main(void)
{
	CU_TestInfo tests[] = {{"by default", test_defaults},
	                       {"scripts without spaces", test_spaceless},
	                       {"settings", test_settings},
	                       {"any bytes", test_any_bytes},
	                       {"long words", test_long},
	                       {"folding for filters", test_fold},
	                       {"no memory", test_allocations},
	                       {"heads of tokens", test_head},
	                       {"heads take no memory", test_head_memory},
	                       CU_TEST_INFO_NULL};

	return suite_run("text", tests);
}
