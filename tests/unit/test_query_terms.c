/*
 * Queries from tokens made by hand: positions, phrases, exclusions, what joins
 * to one word, and the bounds.
 */
#include "shard/engine/query_parser.h"

#include "shared/base/buffer.h"
#include "tests/unit/suite.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Before that many allocations of the arena the next one fails. */
static size_t allocations_left = SIZE_MAX;

static void *arena_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

#define malloc arena_malloc
#include "shared/base/arena.c"
#undef malloc

#define BLOCK_BYTES 4096
#define TEXT_BYTES_MAX 20000

struct row {
	const char *name;
	const char *text;
	const char *expected;
};

/* Letters are words, in lower case stop words from s to z; a dot is hard, all else soft. */
static size_t token_at(const char *text, struct token *token)
{
	size_t len = 0;

	while (isalnum((unsigned char)text[len]))
		len++;
	if (len > 0)
		token->kind = text[0] >= 's' ? TOKEN_STOP_WORD : TOKEN_WORD;
	else
		token->kind = text[0] == '.' ? TOKEN_HARD : TOKEN_SOFT;
	token->text = slice_of(text, len > 0 ? len : 1);
	return token->text.len;
}

static int parse(const char *text, bool prefix_search, struct arena *arena, struct query *query)
{
	uint8_t form[TEXT_BYTES_MAX];
	struct query_parser parser;
	struct token token;
	struct error error;
	int found = 1;

	CU_ASSERT_EQUAL_FATAL(query_parser_begin(&parser, arena, prefix_search, &error), 0);
	for (size_t at = 0; text[at] != '\0' && found > 0;) {
		at += token_at(text + at, &token);
		memset(form, '#', sizeof form); /* that of the token before is gone */
		memcpy(form, token.text.ptr, token.text.len);
		token.form = slice_of(form, token.text.len);
		found = query_parser_add(&parser, &token, &error);
		CU_ASSERT(found >= 0);
	}
	memset(form, '#', sizeof form);
	CU_ASSERT_EQUAL(query_parser_end(&parser, query, &error), 0);
	return found;
}

static void print_phrase(struct buffer *out, const struct query_phrase *phrase)
{
	for (size_t i = 0; i < phrase->len; i++)
		buffer_printf(out, "%s%.*s", i > 0 ? "_" : "",
		              phrase->words[i].ptr != NULL ? (int)phrase->words[i].len : 1,
		              phrase->words[i].ptr != NULL ? (const char *)phrase->words[i].ptr : "?");
}

/* word@position, a phrase in quotes with both, a prefix with a star; then nodes of several terms; then exclusions. */
static void print_query(struct buffer *out, const struct query *query)
{
	for (size_t i = 0; i < query->terms_len; i++) {
		const struct query_term *term = &query->terms[i];

		buffer_append_string(out, term->is_phrase ? "\"" : "");
		print_phrase(out, &term->phrase);
		buffer_printf(out, term->is_phrase ? "\"@%u-%u" : "@%u", term->start, term->end);
		buffer_append_string(out, term->is_prefix ? "* " : " ");
	}
	for (size_t i = 0; i < query->nodes_len; i++)
		if (query->nodes[i].terms > 1)
			buffer_printf(out, "+%.*s%s ", SLICE_ARGS(query->nodes[i].text),
			              query->nodes[i].is_prefix ? "*" : "");
	for (size_t i = 0; i < query->excluded_len; i++) {
		buffer_append_string(out, "-");
		print_phrase(out, &query->excluded[i]);
		buffer_append_string(out, " ");
	}
	buffer_printf(out, "%u", query->words);
	buffer_append(out, "", 1);
}

static const struct row rows[] = {
	{"nothing", "", "0"},
	{"separators alone", " -.\" ", "0"},
	{"a word is a prefix", "a", "a@0* 1"},
	{"nothing may follow", "a ", "a@0 1"},
	{"joined words", "a b c d", "a@0 b@1 c@2 d@3* +ab +abc +bc +bcd* +cd* 4"},
	{"soft separators count nothing", "a - /b", "a@0 b@1* +ab* 2"},
	{"a hard one does", ".a.b", "a@7 b@15* 2"},
	{"a stop word takes a position", "a the b", "a@0 b@2* 2"},
	{"the last one is a word", "a the", "a@0 the@1* +athe* 2"},
	{"not if something follows", "a the ", "a@0 1"},
	{"a phrase", "\"a b\" c", "\"a_b\"@0-1 c@2* 3"},
	{"of one word", "\"a\"", "\"a\"@0-0 1"},
	{"that is not closed", "c \"a b", "c@0 \"a_b\"@1-2 3"},
	{"stop words in it", "\"the a the b the\"", "\"?_a_?_b_?\"@1-4 2"},
	{"of stop words alone", "\"the the\" a", "a@2* 1"},
	{"an empty one", "\"\" a", "a@0* 1"},
	{"a hard separator in it", "\"a b.c\"", "\"a_b\"@0-1 \"c\"@9-9 3"},
	{"a quote closes and another opens", "\"a\"\"b\"", "\"a\"@0-0 \"b\"@1-1 2"},
	{"a quote behind a word", "a\"b c", "a@0 \"b_c\"@1-2 3"},
	{"an excluded word", "a -b", "a@0 -b 1"},
	{"it takes a position", "a -b c", "a@0 c@2* -b 2"},
	{"no space before", "a-b", "a@0 b@1* +ab* 2"},
	{"a space after", "a - b", "a@0 b@1* +ab* 2"},
	{"two dashes", "a --b", "a@0 b@1* +ab* 2"},
	{"the first", "-a b", "b@1* -a 1"},
	{"an excluded stop word", "-the a", "a@1* -the 1"},
	{"an excluded phrase", "-\"a the b\" c", "c@3* -a_?_b 1"},
	{"of stop words alone excludes nothing", "-\"the\" a", "a@1* 1"},
	{"its second half is asked for", "-\"a.b\"", "\"b\"@8-8 -a 1"},
	{"a dash in a phrase", "\" -a\" b", "\"a\"@0-0 b@1* 2"},
	{"ten terms", "a b.c.d.e.f.g.h.i.j.k.l", "a@0 b@1 c@9 d@17 e@25 f@33 g@41 h@49 i@57 j@65 +ab 10"},
	{"the tenth is the last", "a.b.c.d.e.f.g.h.i.j",
         "a@0 b@8 c@16 d@24 e@32 f@40 g@48 h@56 i@64 j@72* 10"},
	{"the tenth is a stop word", "a.b.c.d.e.f.g.h.i.the.j",
         "a@0 b@8 c@16 d@24 e@32 f@40 g@48 h@56 i@64 j@80* 10"},
	{"nothing is excluded after the tenth", "a.b.c.d.e.f.g.h.i.j -k",
         "a@0 b@8 c@16 d@24 e@32 f@40 g@48 h@56 i@64 j@72 10"},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buffer out;
		struct arena arena;
		struct query query;

		arena_init(&arena, BLOCK_BYTES);
		buffer_init(&out, TEXT_BYTES_MAX);
		(void)parse(rows[i].text, true, &arena, &query);
		print_query(&out, &query);
		CU_ASSERT_STRING_EQUAL(out.ptr, rows[i].expected);
		if (strcmp((const char *)out.ptr, rows[i].expected) != 0)
			(void)printf("%s: %s\n    for %s\n", rows[i].name, (const char *)out.ptr,
			             rows[i].expected);
		buffer_deinit(&out);
		arena_deinit(&arena);
	}
}

static void test_nodes(void)
{
	struct arena arena;
	struct query query;

	arena_init(&arena, BLOCK_BYTES);
	(void)parse("a \"b\" c d", false, &arena, &query);
	CU_ASSERT_EQUAL_FATAL(query.nodes_len, 5);
	CU_ASSERT(query.nodes[1].first == 1 && query.nodes[1].terms == 1 && query.nodes[1].text.ptr == NULL);
	CU_ASSERT(query.nodes[3].first == 2 && query.nodes[3].terms == 2 && !query.nodes[3].is_prefix);
	CU_ASSERT(slice_equal(query.nodes[3].text, slice_string("cd")));
	CU_ASSERT(!query.terms[3].is_prefix);
	(void)parse("a b c d e f g h i j", true, &arena, &query);
	CU_ASSERT_EQUAL(query.nodes_len, QUERY_NODES_MAX);
	arena_deinit(&arena);
}

/* A word of 250 bytes is one, alone and joined; one of 251 takes its position. */
static void test_over_long(void)
{
	char text[2 * TEXT_WORD_BYTES_MAX];
	struct arena arena;
	struct query query;

	arena_init(&arena, BLOCK_BYTES);
	for (int over = 0; over <= 1; over++) {
		(void)snprintf(text, sizeof text, "a %0*d b", TEXT_WORD_BYTES_MAX + over, 0);
		(void)parse(text, true, &arena, &query);
		CU_ASSERT_EQUAL(query.terms_len, over ? 2U : 3U);
		CU_ASSERT_EQUAL(query.nodes_len, over ? 2U : 3U);
		CU_ASSERT_EQUAL(query.terms[query.terms_len - 1].start, 2);
		(void)snprintf(text, sizeof text, "a %0*d", TEXT_WORD_BYTES_MAX - 1 + over, 0);
		(void)parse(text, true, &arena, &query);
		CU_ASSERT_EQUAL(query.nodes_len, over ? 2U : 3U);
	}
	arena_deinit(&arena);
}

/* Token 1,000 is the last, whatever follows; all may be words of a phrase, or half of them exclusions. */
static void test_tokens_max(void)
{
	char text[TEXT_BYTES_MAX] = "\"";
	struct arena arena;
	struct query query;

	arena_init(&arena, BLOCK_BYTES);
	for (size_t i = 0; i < 2 * QUERY_TOKENS_MAX; i++)
		(void)strcat(text, i % 2 == 0 ? "b" : "_");
	CU_ASSERT_EQUAL(parse(text, true, &arena, &query), 0);
	CU_ASSERT(query.terms_len == 1 && query.terms[0].words == 500 && query.terms[0].end == 499);
	text[0] = '\0';
	for (size_t i = 0; i < 334; i++)
		(void)strcat(text, " -b");
	CU_ASSERT_EQUAL(parse(text, true, &arena, &query), 0);
	CU_ASSERT(query.excluded_len == 333 && query.terms_len == 0);
	memset(text, ' ', QUERY_TOKENS_MAX - 1);
	(void)strcpy(text + QUERY_TOKENS_MAX - 1, "b c");
	CU_ASSERT_EQUAL(parse(text, true, &arena, &query), 0);
	CU_ASSERT(query.terms_len == 1 && query.terms[0].is_prefix);
	arena_deinit(&arena);
}

/* Every character of Unicode that is a space, at its edges. */
static void test_spaces(void)
{
	static const struct {
		const char *text;
		bool is_space;
	} spaces[] = {
		{"\x08", false},
		{"\t", true},
		{"\r", true},
		{"\x0e", false},
		{"\x1c", true},
		{"!", false},
		{"\xc2\x85", true},
		{"\xc2\xa0", true},
		{"\xc2\xa1", false},
		{"\xe1\x9a\x80", true},
		{"\xe2\x80\x80", true},
		{"\xe2\x80\x8a", true},
		{"\xe2\x80\x8b", false},
		{"\xe2\x80\xa8", true},
		{"\xe2\x80\xaf", true},
		{"\xe2\x81\x9f", true},
		{"\xe3\x80\x80", true},
		{"\xe3\x80\x81", false},
		{"\xf0\x9f\x80\x80", false},
		{"\x80\xa0", false},
		{"x ", true},
		{" x", false},
	};

	for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
		struct slice text = slice_string(spaces[i].text);
		struct token tokens[] = {{TOKEN_SOFT, text, text},
		                         {TOKEN_SOFT, slice_string("-"), slice_string("-")},
		                         {TOKEN_WORD, slice_string("a"), slice_string("a")}};
		struct query_parser parser;
		struct arena arena;
		struct query query;
		struct error error;

		arena_init(&arena, BLOCK_BYTES);
		CU_ASSERT_EQUAL_FATAL(query_parser_begin(&parser, &arena, true, &error), 0);
		for (size_t k = 0; k < 3; k++)
			CU_ASSERT_EQUAL(query_parser_add(&parser, &tokens[k], &error), 1);
		CU_ASSERT_EQUAL(query_parser_end(&parser, &query, &error), 0);
		CU_ASSERT_EQUAL(query.excluded_len, spaces[i].is_space);
		arena_deinit(&arena);
	}
}

static int parse_or_fail(const struct token *tokens, size_t len, struct arena *arena, struct error *error)
{
	struct query_parser parser;
	struct query query;
	int result = query_parser_begin(&parser, arena, true, error);

	for (size_t i = 0; i < len && result >= 0; i++)
		result = query_parser_add(&parser, &tokens[i], error);
	return result < 0 ? result : query_parser_end(&parser, &query, error);
}

/* The n-th allocation fails, for n = 0, 1, 2, ... until none does. */
static void test_memory(void)
{
	static const char text[] = "-a b \"c d\" e f";
	struct token tokens[sizeof text];
	size_t len = 0;
	size_t n = 0;

	for (size_t at = 0; text[at] != '\0'; len++) {
		at += token_at(text + at, &tokens[len]);
		tokens[len].form = tokens[len].text;
	}
	for (int result = ERROR_MEMORY; result != 0; n++) {
		struct error error = {0};
		struct arena arena;

		arena_init(&arena, 1); /* a block each */
		allocations_left = n;
		result = parse_or_fail(tokens, len, &arena, &error);
		allocations_left = SIZE_MAX;
		CU_ASSERT(result == 0 || (result == ERROR_MEMORY && error.action == ERROR_ACTION_RETRY));
		arena_deinit(&arena);
	}
	CU_ASSERT_EQUAL(n, 2 + 6 + 1 + 1); /* lists, words, a node's text, and the run that none failed in */
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"terms, joined words, exclusions", test_rows},
		{"nodes", test_nodes},
		{"over-long words", test_over_long},
		{"more tokens than are looked at", test_tokens_max},
		{"spaces before a dash", test_spaces},
		{"out of memory", test_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("query terms", tests);
}
