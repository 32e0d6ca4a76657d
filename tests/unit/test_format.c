/*
 * Format: what is shown of a document, under a cutter that knows ASCII and a
 * matcher that knows prefixes; every allocation failed, and every bound met.
 */
#include "shard/engine/format.h"

#include "tests/unit/failing_allocations.h"
#include "tests/unit/suite.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MAX 1000
#define LIST_MAX 8

/* Cuts ASCII: words of letters and digits, `the` a stop word; ! and ; are hard. */
struct bed {
	struct slice text;
	size_t at;
	struct token token;
	uint8_t form[64];
	bool fails; /* at the first token */
	struct query query;
	struct format_synonyms synonyms[QUERY_NODES_MAX];
	struct slice words[QUERY_TERMS_MAX][LIST_MAX];
};

static void begin(void *context, struct slice text)
{
	struct bed *bed = context;

	bed->text = text;
	bed->at = 0;
}

static int next(void *context, struct token *token, struct error *error)
{
	struct bed *bed = context;
	const uint8_t *ptr = bed->text.ptr + bed->at;
	size_t left = bed->text.len - bed->at;
	size_t len = 0;

	if (bed->fails)
		return error_memory(error, 1);
	if (left == 0)
		return 0;
	for (; len < left && isalnum(ptr[len]); len++)
		if (len < sizeof bed->form)
			bed->form[len] = (uint8_t)tolower(ptr[len]);
	*token = (struct token){TOKEN_WORD, slice_of(ptr, len),
	                        slice_of(bed->form, len < sizeof bed->form ? len : sizeof bed->form)};
	if (len == 3 && memcmp(bed->form, "the", 3) == 0)
		token->kind = TOKEN_STOP_WORD;
	if (len == 0) {
		token->kind = ptr[0] == '!' || ptr[0] == ';' ? TOKEN_HARD : TOKEN_SOFT;
		token->text.len = 1;
	}
	bed->token = *token;
	bed->at += token->text.len;
	return 1;
}

static size_t head(void *context, size_t characters)
{
	const struct bed *bed = context;

	return characters < bed->token.text.len ? characters : bed->token.text.len;
}

/* As typed, begun with a prefix, or `rivar` for `river`. */
static uint32_t derived(void *context, struct slice form)
{
	const struct bed *bed = context;
	uint32_t bits = 0;

	for (size_t i = 0; i < bed->query.nodes_len; i++) {
		const struct query_node *node = &bed->query.nodes[i];

		if (slice_equal(form, node->text) ||
		    (node->is_prefix && slice_starts_with(form, node->text)) ||
		    (slice_equal(form, slice_string("rivar")) &&
		     slice_equal(node->text, slice_string("river"))))
			bits |= UINT32_C(1) << i;
	}
	return bits;
}

static bool is_known(void *context, struct slice path)
{
	(void)context;
	return !slice_starts_with(path, slice_string("unknown"));
}

/* Parts between commas. */
static struct format_names list_of(const char *text, struct slice *names)
{
	size_t len = 0;

	while (text != NULL) {
		const char *comma = strchr(text, ',');

		names[len++] = comma != NULL ? slice_of(text, (size_t)(comma - text)) : slice_string(text);
		text = comma != NULL ? comma + 1 : NULL;
	}
	return (struct format_names){names, len};
}

static void add_node(struct query *query, size_t first, size_t terms, struct slice text)
{
	bool is_prefix = query->terms[first + terms - 1].is_prefix;

	query->nodes[query->nodes_len++] =
		(struct query_node){(uint8_t)first, (uint8_t)terms, is_prefix, text};
}

/*
 * Terms between commas: a word, a prefix with a star behind, a phrase of words
 * with `+` between, `_` a stop word; `a=b+c` has a synonym. Two words are a
 * third node joined.
 */
static void query_make(struct bed *bed, const char *text)
{
	static char joined[64];
	struct slice parts[LIST_MAX];
	struct format_names list = list_of(text, parts);

	for (size_t i = 0; i < list.len; i++) {
		struct query_term *term = &bed->query.terms[i];
		const char *from = (const char *)parts[i].ptr;
		const char *end = from + parts[i].len;
		const char *equal = memchr(from, '=', parts[i].len);
		const char *plus = memchr(from, '+', parts[i].len);
		const char *word = equal != NULL ? equal + 1 : from;
		size_t len = 0;

		while ((equal != NULL || plus != NULL) && word < end) {
			const char *stop = memchr(word, '+', (size_t)(end - word));

			if (stop == NULL)
				stop = end;
			bed->words[i][len++] =
				*word == '_' ? slice_of(NULL, 0) : slice_of(word, (size_t)(stop - word));
			word = stop + (stop < end);
		}
		term->phrase = (struct query_phrase){bed->words[i], len};
		term->is_phrase = plus != NULL && equal == NULL;
		term->is_prefix = end[-1] == '*';
		if (equal != NULL)
			end = equal;
		if (term->is_prefix)
			end--;
		if (equal != NULL)
			bed->synonyms[bed->query.nodes_len] = (struct format_synonyms){&term->phrase, 1};
		add_node(&bed->query, i, 1,
		         term->is_phrase ? slice_of(NULL, 0) : slice_of(from, (size_t)(end - from)));
	}
	bed->query.terms_len = list.len;
	if (list.len == 2 && !bed->query.terms[0].is_phrase && !bed->query.terms[1].is_phrase) {
		(void)snprintf(joined, sizeof joined, "%.*s%.*s", SLICE_ARGS(bed->query.nodes[0].text),
		               SLICE_ARGS(bed->query.nodes[1].text));
		bed->query.nodes[2] = bed->query.nodes[1];
		bed->synonyms[2] = bed->synonyms[1];
		bed->synonyms[1] = (struct format_synonyms){0};
		bed->query.nodes_len = 1;
		add_node(&bed->query, 0, 2, slice_string(joined));
		bed->query.nodes_len = 3;
	}
}

struct row {
	const char *name;
	const char *document;
	const char *query;
	const char *highlight;
	const char *crop;
	const char *retrieve;  /* NULL: all */
	const char *displayed; /* NULL: all */
	bool positions;
	const char *expected;
};

static int show(struct bed *bed, const struct row *row, struct buffer *out, struct error *error)
{
	struct slice lists[4][LIST_MAX];
	struct format_matcher matcher = {&bed->query, bed->synonyms, bed, derived};
	struct format_cutter cutter = {bed, begin, next, head};
	struct format_request request = {
		.displayed = list_of(row->displayed != NULL ? row->displayed : "*", lists[0]),
		.retrieve = list_of(row->retrieve != NULL ? row->retrieve : "*", lists[1]),
		.crop = list_of(row->crop, lists[2]),
		.highlight = list_of(row->highlight, lists[3]),
		.crop_words = 3,
		.crop_marker = slice_string("~"),
		.pre_tag = slice_string("<"),
		.post_tag = slice_string(">"),
		.shows_positions = row->positions,
		.is_known = is_known,
		.matcher = &matcher,
		.cutter = &cutter,
	};
	struct format *format;
	yyjson_doc *doc;
	long left = allocations_left;
	int rc;

	allocations_left = -1;
	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(row->document), JSON_DEPTH_MAX, &doc, error), 0);
	allocations_left = left;
	rc = format_new(&request, &format, error);
	if (rc == 0) {
		rc = format_append(format, yyjson_doc_get_root(doc), out, error);
		format_free(format);
	}
	yyjson_doc_free(doc);
	return rc;
}

static const struct row rows[] = {
	{"as it stands", "{\"b\":1.50,\"a\":[1e2,\"x\\n\\u00e9\\\"\",null,true,false,{}],\"c\":{\"d\":[]}}",
         NULL, NULL, NULL, NULL, NULL, false,
         "\"b\":1.50,\"a\":[1e2,\"x\\n\xc3\xa9\\\"\",null,true,false,{}],\"c\":{\"d\":[]}"},
	{"nothing", "{}", "a", "*", "*", NULL, NULL, true, "\"_formatted\":{},\"_matchesPosition\":{}"},
	{"names", "{\"a\":1,\"b\":{\"c\":2,\"d\":3},\"e\":4}", NULL, NULL, NULL, "e,b.c", NULL, false,
         "\"b\":{\"c\":2},\"e\":4"},
	{"none of an object", "{\"a\":{\"b\":1},\"c\":[1,{\"d\":1}]}", NULL, NULL, NULL, "a.x,c.x", NULL,
         false, "\"c\":[]"},
	{"elements", "{\"a\":[1,{\"b\":2},[],{\"c\":3},[{\"b\":4}]]}", NULL, NULL, NULL, "a.b", NULL, false,
         "\"a\":[{\"b\":2},[{\"b\":4}]]"},
	{"a head of a name", "{\"ab\":1,\"a.b\":2,\"\":{\"a\":3}}", NULL, NULL, NULL, "a", NULL, false,
         "\"a.b\":2"},
	{"displayed", "{\"a\":1,\"b\":2}", NULL, NULL, NULL, "a,b", "b", false, "\"b\":2"},
	{"displayed by name", "{\"a\":{\"b\":2}}", NULL, NULL, NULL, "a", "a.b", false, ""},
	{"a field called all", "{\"a\":1,\"b\":2}", NULL, NULL, NULL, "a,*", "b", false, "\"b\":2"},
	{"unknown", "{\"a\":1}", "1", "unknown", NULL, NULL, NULL, false, "\"a\":1"},
	{"not displayed", "{\"a\":\"x\",\"b\":\"x\"}", "x", "b", NULL, NULL, "a", false, "\"a\":\"x\""},
	{"numbers are texts", "{\"a\":1.50,\"b\":[true,null,1]}", NULL, "a", NULL, NULL, NULL, false,
         "\"a\":1.50,\"b\":[true,null,1],\"_formatted\":{\"a\":\"1.50\",\"b\":[true,null,\"1\"]}"},
	{"a number marked", "{\"a\":-12}", "12", "a", NULL, "b", NULL, true,
         "\"_formatted\":{\"a\":\"-<12>\"},\"_matchesPosition\":{\"a\":[{\"start\":1,\"length\":2}]}"},
	{"retrieved and formatted", "{\"a\":\"x\",\"b\":\"x\"}", "x", "a", NULL, "b", NULL, false,
         "\"b\":\"x\",\"_formatted\":{\"a\":\"<x>\",\"b\":\"x\"}"},
	{"all are marked", "{\"a\":\"x\",\"b\":{\"c\":[\"x y\"]}}", "x", "*", NULL, "none", NULL, false,
         "\"_formatted\":{\"a\":\"<x>\",\"b\":{\"c\":[\"<x> y\"]}}"},
	{"nested in and around", "{\"a\":{\"b\":\"x\",\"c\":\"x\"},\"a.b.d\":\"x\"}", "x", "a.b", NULL, NULL,
         NULL, false,
         "\"a\":{\"b\":\"x\",\"c\":\"x\"},\"a.b.d\":\"x\","
         "\"_formatted\":{\"a\":{\"b\":\"<x>\",\"c\":\"x\"},\"a.b.d\":\"<x>\"}"},
	{"a nested name around", "{\"a\":{\"b\":\"x\"}}", "x", "a.b.d", NULL, NULL, NULL, false,
         "\"a\":{\"b\":\"x\"},\"_formatted\":{\"a\":{\"b\":\"<x>\"}}"},
	{"matches behind and before the crop", "{\"a\":\"1 x 2 3 4 5 x\",\"b\":\"x 1 2 3 4 5 x y\"}", "x,y",
         "*", "*", "c", NULL, false, "\"_formatted\":{\"a\":\"1 <x> 2~\",\"b\":\"~5 <x> <y>\"}"},
	{"own members give way", "{\"_formatted\":1,\"_matchesPosition\":2}", NULL, "*", NULL, NULL, NULL,
         true, "\"_formatted\":{\"_formatted\":\"1\",\"_matchesPosition\":\"2\"},\"_matchesPosition\":{}"},
	{"own members stay", "{\"_formatted\":1,\"_matchesPosition\":2}", NULL, NULL, NULL, NULL, NULL, false,
         "\"_formatted\":1,\"_matchesPosition\":2"},
	{"escapes", "{\"a\\\"\":\"\\\"x\\u0001\"}", "x", "*", NULL, "b", NULL, true,
         "\"_formatted\":{\"a\\\"\":\"\\\"<x>\\u0001\"},\"_matchesPosition\":{\"a\\\"\":[{\"start\":1,"
         "\"length\":1}]}"},
	{"typos and prefixes", "{\"a\":\"Rivar riverside rive\"}", "river*", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"<Rivar> <river>side rive\"}"},
	{"a prefix of a typo", "{\"a\":\"x rivar\"}", "river", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"x <rivar>\"}"},
	{"a phrase", "{\"a\":\"the river bank, river the bank river! bank\"}", "river+bank", "*", NULL, "b",
         NULL, false, "\"_formatted\":{\"a\":\"the <river bank>, river the bank <river! bank>\"}"},
	{"a stop word in a phrase", "{\"a\":\"in the end in an end\"}", "in+_+end", "*", NULL, "b", NULL,
         true,
         "\"_formatted\":{\"a\":\"<in the end> <in an end>\"},"
         "\"_matchesPosition\":{\"a\":[{\"start\":0,\"length\":10},{\"start\":11,\"length\":9}]}"},
	{"a phrase at the end", "{\"a\":\"river\"}", "river+bank", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"river\"}"},
	{"a word cut in two", "{\"a\":\"sun flower sun-flower flower sun sunflowers\"}", "sunflower*", "*",
         NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"<sun flower> <sun-flower> flower sun <sunflower>s\"}"},
	{"a synonym", "{\"a\":\"big cat, big dog, lion\"}", "lion=big+cat", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"<big cat>, big dog, <lion>\"}"},
	{"two words joined", "{\"a\":\"sunflower sun flower\"}", "sun,flower", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"<sunflower> <sun> <flower>\"}"},
	{"joined words are not cut", "{\"a\":\"su nflower\"}", "sun,flower", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"su nflower\"}"},
	{"the longest node marks", "{\"a\":\"sunflowers\"}", "sun,flower*", "*", NULL, "b", NULL, false,
         "\"_formatted\":{\"a\":\"<sunflower>s\"}"},
	{"a crop of the beginning", "{\"a\":\"one two three four\"}", NULL, NULL, "a", "b", NULL, false,
         "\"_formatted\":{\"a\":\"one two three~\"}"},
	{"a crop around", "{\"a\":\"one two three four five\"}", "three", "*", "a", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~two <three> four~\"}"},
	{"a short text", "{\"a\":\"one, two.\",\"b\":\"\"}", "one", NULL, "*", "c", NULL, false,
         "\"_formatted\":{\"a\":\"one, two.\",\"b\":\"\"}"},
	{"a softer side first", "{\"a\":\"one;two three four\"}", "two", NULL, "a:2", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~two three~\"}"},
	{"a softer left side", "{\"a\":\"one two;three four\"}", "two", NULL, "a:2", "b", NULL, false,
         "\"_formatted\":{\"a\":\"one two~\"}"},
	{"the left word last", "{\"a\":\"one two three\"}", "two", NULL, "a:2", "b", NULL, false,
         "\"_formatted\":{\"a\":\"one two~\"}"},
	{"most terms", "{\"a\":\"x x x - - 1 2 3 4 5 6 x y z\"}", "x,y", NULL, "a:3", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~6 x y~\"}"},
	{"nearest", "{\"a\":\"x 1 y 2 3 4 x y 5 6 7 x 8 y\"}", "x,y", NULL, "a:3", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~4 x y~\"}"},
	{"in order", "{\"a\":\"y x 1 2 3 4 x y\"}", "x,y", NULL, "a:2", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~x y\"}"},
	{"the first of equals", "{\"a\":\"1 x y 2 3 4 x y\"}", "x,y", NULL, "a:2", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~x y~\"}"},
	{"a match longer than the crop", "{\"a\":\"1 a b c 2\"}", "a+b+c", "*", "a:1", "b", NULL, false,
         "\"_formatted\":{\"a\":\"~<a b c>~\"}"},
	{"a crop's own words",
         "{\"a\":\"1 2 3 4 5\",\"b\":\"1 2 3 4 5\",\"c\":\"1 2 3 4 5\",\"d\":\"1 2 3 4 5\"}", NULL, NULL,
         "a:1,a:2,b:,c:x,d:0", "e", NULL, false,
         "\"_formatted\":{\"a\":\"1 2~\",\"b\":\"1 2 3~\",\"c\":\"1 2 3~\",\"d\":\"1 2 3 4 5\"}"},
	{"a name beats all", "{\"a\":\"1 2 3 4\",\"b\":\"1 2 3 4\"}", NULL, NULL, "*:2,a:1", "e", NULL, false,
         "\"_formatted\":{\"a\":\"1~\",\"b\":\"1 2~\"}"},
	{"a name without words", "{\"a\":\"1 2 3 4\"}", NULL, "a", "*:2", "e", NULL, false,
         "\"_formatted\":{\"a\":\"1 2~\"}"},
	{"more words than a number", "{\"a\":\"1 2 3 4\"}", NULL, NULL, "a:99999999999999999999", "e", NULL,
         false, "\"_formatted\":{\"a\":\"1 2 3 4\"}"},
	{"a name with a colon", "{\"a:b\":\"1 2 3\"}", NULL, NULL, "a:b:1", "e", NULL, false,
         "\"_formatted\":{\"a:b\":\"1~\"}"},
	{"positions in arrays", "{\"a\":[\"x\",[\"y\",\"- x x\"]],\"b\":[{\"c\":\"x\"}]}", "x", NULL, NULL,
         "d", NULL, true,
         "\"_matchesPosition\":{\"a\":[{\"start\":2,\"length\":1,\"indices\":[1,1]},"
         "{\"start\":4,\"length\":1,\"indices\":[1,1]}],\"b.c\":[{\"start\":0,\"length\":1,\"indices\":[0]}]"
         "}"},
	{"a field again", "{\"a.b\":\"x\",\"c\":\"x\",\"a\":{\"b\":\"- x\"}}", "x", NULL, NULL, "d", NULL,
         true,
         "\"_matchesPosition\":{\"a.b\":[{\"start\":2,\"length\":1}],\"c\":[{\"start\":0,\"length\":1}]}"},
	{"indices of what is displayed", "{\"a\":[1,{\"c\":\"x\"},{\"b\":\"x\"}]}", "x", NULL, NULL, "a",
         "a.b", true, "\"_matchesPosition\":{\"a.b\":[{\"start\":0,\"length\":1,\"indices\":[0]}]}"},
	{"no name", "{\"\":\"x\",\"b\":{\"\":\"x\"}}", "x", NULL, NULL, "d", NULL, true,
         "\"_matchesPosition\":{\"\":[{\"start\":0,\"length\":1}],\"b.\":[{\"start\":0,\"length\":1}]}"},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bed bed = {0};
		struct buffer out;
		struct error error;
		bool equal;

		buffer_init(&out, SIZE_MAX);
		query_make(&bed, rows[i].query);
		CU_ASSERT_EQUAL_FATAL(show(&bed, &rows[i], &out, &error), 0);
		equal = slice_equal(buffer_slice(&out), slice_string(rows[i].expected));
		if (!equal)
			printf("\n%s: %.*s\n", rows[i].name, SLICE_ARGS(buffer_slice(&out)));
		CU_ASSERT_TRUE(equal);
		buffer_deinit(&out);
	}
}

static const struct row busy = {
	"busy", "{\"a\":\"one river\",\"b\":{\"c\":[\"river one\"]}}", "river", "*", "a:1", NULL, NULL, true,
	NULL};

/* Each allocation in turn; the buffer has what it had. */
static void test_memory(void)
{
	size_t failures = 0;
	int rc = ERROR_MEMORY;

	for (long n = 0; rc != 0; n++) {
		struct bed bed = {0};
		struct buffer out;
		struct error error;

		CU_ASSERT_TRUE_FATAL(n < SWEEP_MAX);
		buffer_init(&out, SIZE_MAX);
		buffer_append_string(&out, "{");
		query_make(&bed, busy.query);
		allocations_left = n;
		rc = show(&bed, &busy, &out, &error);
		allocations_left = -1;
		if (rc != 0) {
			failures++;
			CU_ASSERT_EQUAL(rc, ERROR_MEMORY);
			CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
			CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_string("{")));
		}
		buffer_deinit(&out);
	}
	CU_ASSERT_TRUE(failures > 10);
}

static void test_full(void)
{
	size_t len = 0;
	int rc = ERROR_MEMORY;

	for (size_t max = 0; rc != 0; max++) {
		struct bed bed = {0};
		struct buffer out;
		struct error error;

		CU_ASSERT_TRUE_FATAL(max < SWEEP_MAX);
		buffer_init(&out, max);
		query_make(&bed, busy.query);
		rc = show(&bed, &busy, &out, &error);
		len = out.len;
		CU_ASSERT_TRUE(rc == 0 ? out.len == max : rc == ERROR_MEMORY && out.len == 0);
		buffer_deinit(&out);
	}
	CU_ASSERT_TRUE(len > 100);
}

static void test_cutter_fails(void)
{
	struct bed bed = {.fails = true};
	struct buffer out;
	struct error error;

	buffer_init(&out, SIZE_MAX);
	query_make(&bed, busy.query);
	CU_ASSERT_EQUAL(show(&bed, &busy, &out, &error), ERROR_MEMORY);
	CU_ASSERT_EQUAL(out.len, 0);
	buffer_deinit(&out);
}

/* A tag of 1 MiB at each of 100 words. */
static void test_long(void)
{
	static struct slice all = {(const uint8_t *)"*", 1};
	struct bed bed = {0};
	struct format_matcher matcher = {&bed.query, NULL, &bed, derived};
	struct format_cutter cutter = {&bed, begin, next, head};
	struct format_request request = {.displayed = {&all, 1},
	                                 .retrieve = {&all, 1},
	                                 .highlight = {&all, 1},
	                                 .is_known = is_known,
	                                 .matcher = &matcher,
	                                 .cutter = &cutter};
	char *tag = malloc(1 << 20);
	char document[256] = "{\"a\":\"";
	struct format *format;
	struct buffer out;
	struct error error;
	yyjson_doc *doc;

	memset(tag, 'x', 1 << 20);
	request.pre_tag = slice_of(tag, 1 << 20);
	for (size_t i = 0; i < 100; i++)
		strcat(document, "y ");
	strcat(document, "\"}");
	query_make(&bed, "y");
	buffer_init(&out, SIZE_MAX);
	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(document), JSON_DEPTH_MAX, &doc, &error), 0);
	CU_ASSERT_EQUAL_FATAL(format_new(&request, &format, &error), 0);
	CU_ASSERT_EQUAL(format_append(format, yyjson_doc_get_root(doc), &out, &error), ERROR_LIMIT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	CU_ASSERT_EQUAL(out.len, 0);
	format_free(format);
	request.highlight = (struct format_names){&all, FORMAT_NAMES_MAX + 1};
	CU_ASSERT_EQUAL(format_new(&request, &format, &error), ERROR_LIMIT);
	yyjson_doc_free(doc);
	buffer_deinit(&out);
	free(tag);
}

/* As deep as may be, and a container deeper. */
static void test_depth(void)
{
	for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		static struct slice all = {(const uint8_t *)"*", 1};
		struct bed bed = {0};
		struct format_matcher matcher = {&bed.query, NULL, &bed, derived};
		struct format_cutter cutter = {&bed, begin, next, head};
		struct format_request request = {.displayed = {&all, 1},
		                                 .retrieve = {&all, 1},
		                                 .is_known = is_known,
		                                 .shows_positions = true,
		                                 .matcher = &matcher,
		                                 .cutter = &cutter};
		char text[2 * JSON_DEPTH_MAX + 32] = "{\"a\":";
		struct format *format;
		struct buffer out;
		struct error error;
		yyjson_doc *doc;

		for (size_t i = 1; i < depth; i++)
			strcat(text, "[");
		strcat(text, "\"x\"");
		for (size_t i = 1; i < depth; i++)
			strcat(text, "]");
		strcat(text, "}");
		query_make(&bed, "x");
		buffer_init(&out, SIZE_MAX);
		CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(text), depth, &doc, &error), 0);
		CU_ASSERT_EQUAL_FATAL(format_new(&request, &format, &error), 0);
		CU_ASSERT_EQUAL(format_append(format, yyjson_doc_get_root(doc), &out, &error),
		                depth <= JSON_DEPTH_MAX ? 0 : ERROR_LIMIT);
		format_free(format);
		yyjson_doc_free(doc);
		buffer_deinit(&out);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"rows", test_rows},
		{"out of memory at each allocation", test_memory},
		{"a full buffer", test_full},
		{"text that cannot be cut", test_cutter_fails},
		{"more than a hit may show", test_long},
		{"nested too deep", test_depth},
		CU_TEST_INFO_NULL,
	};

	return suite_run("format", tests);
}
