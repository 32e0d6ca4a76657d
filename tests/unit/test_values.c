/*
 * Values: literal bodies and the keys they must give, the order of keys, long
 * strings; and random documents, whose keys must answer every condition as
 * filter_matches does.
 */
#include "shard/core/values.h"

#include "shared/filter/filter.h"
#include "tests/unit/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 20000
#define KEYS_MAX 256

struct collected {
	struct buffer text;
	size_t len;
	struct value_key keys[KEYS_MAX];
};

static struct text *folder;

static void print_value(struct buffer *text, const struct value *value)
{
	static const char *const kinds[] = {
		[VALUE_KIND_EXISTS] = "exists", [VALUE_KIND_NULL] = "null", [VALUE_KIND_EMPTY] = "empty"};

	buffer_printf(text, "%u ", value->attribute);
	if (value->kind == VALUE_KIND_NUMBER)
		buffer_printf(text, "%.17g", value->number);
	else if (value->kind == VALUE_KIND_STRING)
		buffer_printf(text, "'%.*s'", SLICE_ARGS(value->text));
	else if (value->kind == VALUE_KIND_SPELLING)
		buffer_printf(text, "'%.*s'='%.*s'", SLICE_ARGS(value->text), SLICE_ARGS(value->spelling));
	else if (value->kind == VALUE_KIND_POINT)
		buffer_printf(text, "at %.17g %.17g", value->point.lat, value->point.lng);
	else
		buffer_append_string(text, kinds[value->kind]);
	buffer_append_string(text, "|");
}

static bool collect(void *context, struct slice key)
{
	struct collected *collected = context;
	struct value value;

	CU_ASSERT_FATAL(value_read(key, &value));
	CU_ASSERT_FATAL(collected->len < KEYS_MAX && key.len <= VALUE_KEY_BYTES_MAX);
	print_value(&collected->text, &value);
	collected->keys[collected->len].len = key.len;
	memcpy(collected->keys[collected->len++].bytes, key.ptr, key.len);
	return true;
}

static void attributes_set(struct attributes *attributes, const char *const *paths, size_t len)
{
	attributes->len = len;
	for (size_t i = 0; i < len; i++)
		attributes->list[i] = (struct attribute){(uint16_t)(i + 1), slice_string(paths[i])};
}

static void cut(struct collected *collected, const char *body, const char *const *paths, size_t len)
{
	struct values_sink sink = {collect, collected};
	struct attributes attributes;
	struct error error;

	buffer_init(&collected->text, 1U << 20);
	collected->len = 0;
	attributes_set(&attributes, paths, len);
	CU_ASSERT_EQUAL(values_of_body(folder, slice_string(body), &attributes, &sink, &error), 0);
	buffer_put_u8(&collected->text, 0);
	CU_ASSERT_FALSE(buffer_failed(&collected->text));
}

/* Paths are "a" (1) and "a.b" (2). */
static const struct {
	const char *name;
	const char *body;
	const char *expected;
} bodies[] = {
	{"missing", "{\"c\":1}", ""},
	{"a number", "{\"a\":12}", "1 exists|1 12|"},
	{"negative zero is zero", "{\"a\":-0.0}", "1 exists|1 0|"},
	{"however it is written", "{\"a\":[1e1,10.0,10]}", "1 exists|1 10|1 10|1 10|"},
	{"a number of no double", "{\"a\":1e999}", "1 exists|"},
	{"more digits than a double", "{\"a\":9007199254740993}", "1 exists|1 9007199254740992|"},
	{"a string, trimmed and lower-cased", "{\"a\":\" \\u00a0Le  Chat\\n\"}",
         "1 exists|1 'le  chat'|1 'le  chat'=' \xc2\xa0Le  Chat\n'|"},
	{"accents are kept, decomposed", "{\"a\":\"\\u00c9\"}",
         "1 exists|1 'e\xcc\x81'|1 'e\xcc\x81'='\xc3\x89'|"},
	{"a spelling below the folded text", "{\"a\":[\"B\",\"b\",\"c\"]}",
         "1 exists|1 'b'|1 'b'='B'|1 'b'|1 'c'|"},
	{"one above it, with plain ones", "{\"a\":[\"\xc3\xa9\",\"e\xcc\x81\",true,1]}",
         "1 exists|1 'e\xcc\x81'|1 'e\xcc\x81'='\xc3\xa9'|1 'e\xcc\x81'|1 'true'|1 1|"
         "1 'e\xcc\x81'='e\xcc\x81'|1 'true'='true'|"},
	{"a string of spaces", "{\"a\":\"  \"}", "1 exists|1 ''|"},
	{"a string of digits is none", "{\"a\":\"5\"}", "1 exists|1 '5'|"},
	{"booleans are strings", "{\"a\":[true,false]}", "1 exists|1 'true'|1 'false'|"},
	{"null", "{\"a\":null}", "1 exists|1 null|"},
	{"null in an array is no value", "{\"a\":[null,1]}", "1 exists|1 1|"},
	{"empty string", "{\"a\":\"\"}", "1 exists|1 empty|"},
	{"empty array", "{\"a\":[]}", "1 exists|1 empty|"},
	{"empty object", "{\"a\":{}}", "1 exists|1 empty|"},
	{"empty inside is not", "{\"a\":[\"\",[],{}]}", "1 exists|"},
	{"arrays in arrays", "{\"a\":[1,[\"x\",[2]]]}", "1 exists|1 1|1 'x'|1 2|"},
	{"through an object", "{\"a\":{\"b\":1}}", "1 exists|2 exists|2 1|"},
	{"through a name with a dot", "{\"a.b\":1}", "2 exists|2 1|"},
	{"through arrays of objects", "{\"a\":[{\"b\":1},[{\"b\":\"y\"}],{\"b\":null},{\"c\":1},2]}",
         "1 exists|1 2|2 exists|2 1|2 'y'|2 null|"},
	{"by both ways", "{\"a\":{\"b\":1},\"a.b\":2}", "1 exists|2 exists|2 1|2 2|"},
	{"the last of two members", "{\"a\":1,\"a\":2}", "1 exists|1 2|"},
};

static void test_bodies(void)
{
	static const char *const paths[] = {"a", "a.b"};

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct collected collected;

		cut(&collected, bodies[i].body, paths, 2);
		if (strcmp((const char *)collected.text.ptr, bodies[i].expected) != 0)
			printf("\n%s: got %s\n", bodies[i].name, (const char *)collected.text.ptr);
		CU_ASSERT_STRING_EQUAL((const char *)collected.text.ptr, bodies[i].expected);
		buffer_deinit(&collected.text);
	}
}

/* Of `_geo` (1), and not of a path that only ends so (2). */
static void test_points(void)
{
	static const char *const paths[] = {"_geo", "a._geo"};
	static const struct {
		const char *body;
		const char *expected;
	} rows[] = {
		{"{\"_geo\":{\"lat\":48.5,\"lng\":\" -2e0\"}}", "1 exists|1 at 48.5 -2|"},
		{"{\"_geo\":{\"lng\":-0.0,\"lat\":0}}", "1 exists|1 at 0 -0|"},
		{"{\"_geo\":{\"lat\":1},\"_geo\":{\"lat\":2,\"lng\":3}}", "1 exists|1 at 2 3|"},
		{"{\"_geo\":{\"lat\":1,\"lng\":\"x\"}}", "1 exists|"},
		{"{\"_geo\":[{\"lat\":1,\"lng\":2},7]}", "1 exists|1 7|"},
		{"{\"_geo\":null,\"_geo.lat\":1,\"_geo.lng\":1}", "1 exists|1 null|"},
		{"{\"a\":{\"_geo\":{\"lat\":1,\"lng\":2}}}", "2 exists|"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct collected collected;

		cut(&collected, rows[i].body, paths, 2);
		CU_ASSERT_STRING_EQUAL((const char *)collected.text.ptr, rows[i].expected);
		buffer_deinit(&collected.text);
	}
}

static void test_bytes(void)
{
	struct value_key key;

	value_key_number(&key, 3, 1.0);
	CU_ASSERT_EQUAL(key.len, 11);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\3\4\xbf\xf0\0\0\0\0\0\0", 11), 0);
	value_key_number(&key, 3, -2.0);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\3\4\x3f\xff\xff\xff\xff\xff\xff\xff", 11), 0);
	value_key_number(&key, 127, -0.0);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\x7f\4\x80\0\0\0\0\0\0\0", 11), 0);
	value_key_text(&key, 0, slice_string("ab"));
	CU_ASSERT_EQUAL(key.len, 5);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\0\5ab", 5), 0);
	value_key_kind(&key, 1, VALUE_KIND_EMPTY);
	CU_ASSERT_EQUAL(key.len, 3);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\1\3", 3), 0);
	value_key_point(&key, 2, &(struct point){-0.0, 1.0});
	CU_ASSERT_EQUAL(key.len, 19);
	CU_ASSERT_EQUAL(memcmp(key.bytes, "\0\2\7\x7f\xff\xff\xff\xff\xff\xff\xff\xbf\xf0\0\0\0\0\0\0", 19),
	                0);
}

static struct slice key_slice(const struct value_key *key)
{
	return slice_of(key->bytes, key->len);
}

/* Each point is above the one before. */
static void test_points_order(void)
{
	static const struct point points[] = {{-INFINITY, -INFINITY},
	                                      {-90, 180},
	                                      {-0.5, -1},
	                                      {-0.5, 1},
	                                      {-0.0, 0},
	                                      {0, -0.0},
	                                      {0, 0},
	                                      {1e-300, -180},
	                                      {90, 1e300},
	                                      {INFINITY, INFINITY}};
	struct value_key last;

	value_key_kind(&last, 7, VALUE_KIND_POINT);
	for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
		struct value_key key;
		struct value value;

		value_key_point(&key, 7, &points[i]);
		CU_ASSERT(slice_compare(key_slice(&last), key_slice(&key)) < 0);
		CU_ASSERT_FATAL(value_read(key_slice(&key), &value));
		value_key_point(&last, 7, &value.point);
		CU_ASSERT(slice_equal(key_slice(&last), key_slice(&key)));
	}
}

/* Each row is above the one before. */
static void test_order(void)
{
	static const double numbers[] = {
		-1.7976931348623157e308, -1e10, -2, -1.5, -4.9e-324, 0, 4.9e-324, 0.1, 1.5, 2, 1e10, 1.7e308};
	static const char *const texts[] = {
		"", "\x01", "5", "a", "a b", "aa", "b", "e\xcc\x81", "\xf0\x9f\x98\x80"};
	struct value_key last;

	value_key_kind(&last, 7, VALUE_KIND_EMPTY);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct value_key key;

		value_key_number(&key, 7, numbers[i]);
		CU_ASSERT(slice_compare(key_slice(&last), key_slice(&key)) < 0);
		last = key;
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct value_key key;

		value_key_text(&key, 7, slice_string(texts[i]));
		CU_ASSERT(slice_compare(key_slice(&last), key_slice(&key)) < 0);
		last = key;
	}
}

/* `len` times 'x', then `end`. */
static struct slice long_text(char *bytes, size_t len, const char *end)
{
	memset(bytes, 'x', len);
	memcpy(bytes + len, end, strlen(end) + 1);
	return slice_of(bytes, len + strlen(end));
}

static void test_long_texts(void)
{
	static const struct {
		const char *name;
		size_t len;
		const char *end;
		bool tells;
		int order; /* of the value of 300 times x and "a" */
	} rows[] = {
		{"itself", 300, "a", false, 0},
		{"agrees in what the key has", 235, "z", false, 0},
		{"is all that the key has", 235, "", true, 1},
		{"is less", 100, "", true, 1},
		{"stands above it early", 100, "y", true, -1},
		{"stands above it at the last byte", 234, "y", true, -1},
		{"stands below it", 234, "a and more of it", true, 1},
	};
	char bytes[512];
	struct value_key key;
	struct value_key other;
	struct value value;

	value_key_text(&other, 1, long_text(bytes, 235, ""));
	CU_ASSERT_EQUAL(other.len, 238);
	value_key_text(&other, 1, long_text(bytes, 300, "b"));
	value_key_text(&key, 1, long_text(bytes, 300, "a"));
	CU_ASSERT_EQUAL(key.len, VALUE_KEY_BYTES_MAX);
	CU_ASSERT_EQUAL(memcmp(key.bytes, other.bytes, 238), 0);
	CU_ASSERT_FALSE(slice_equal(key_slice(&key), key_slice(&other)));
	CU_ASSERT_FATAL(value_read(key_slice(&key), &value));
	CU_ASSERT(value.is_cut && value.text.len == VALUE_TEXT_BYTES_MAX);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice text = long_text(bytes, rows[i].len, rows[i].end);
		int order = 0;
		bool tells = value_compare(&value, text, &order);

		if (tells != rows[i].tells)
			printf("\n%s\n", rows[i].name);
		CU_ASSERT_EQUAL(tells, rows[i].tells);
		CU_ASSERT(!tells || (order > 0) == (rows[i].order > 0));
	}
}

static void test_spellings(void)
{
	static const struct {
		size_t len; /* of the folded text, all x */
		size_t spelling;
		size_t read;
		bool is_cut;
	} rows[] = {{1, 1, 1, false},    {1, 248, 248, false}, {1, 249, 249, true},
	            {1, 900, 249, true}, {235, 1, 1, false},   {235, 16, 15, true}};
	char text[512];
	char spelling[1024];
	struct value_key above;

	value_key_text(&above, 1, slice_string("\xf4\x8f\xbf\xbf"));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice folded = long_text(text, rows[i].len, "");
		struct slice spelled = long_text(spelling, rows[i].spelling, "");
		struct value_key key;
		struct value value;

		value_key_spelling(&key, 1, folded, spelled);
		CU_ASSERT_FATAL(value_read(key_slice(&key), &value));
		CU_ASSERT_EQUAL(value.kind, VALUE_KIND_SPELLING);
		CU_ASSERT(slice_equal(value.text, folded));
		CU_ASSERT_EQUAL(value.spelling.len, rows[i].read);
		CU_ASSERT_EQUAL(value.spelling_is_cut, rows[i].is_cut);
		CU_ASSERT(slice_compare(key_slice(&above), key_slice(&key)) < 0);
	}
}

static void test_no_keys(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {{"", 0},
	            {"\0\1", 2},
	            {"\0\1\0", 3},
	            {"\0\1\6", 3},
	            {"\0\x80\5", 3},
	            {"\1\1\5", 3},
	            {"\0\1\4\0\0\0\0", 7},
	            {"\0\1\1x", 4},
	            {"\0\1\2x", 4},
	            {"\0\1\3x", 4},
	            {"\0\1\6a", 4},
	            {"\0\1\6\xff"
	             "A",
	             5},
	            {"\0\1\6a\xff", 5},
	            {"\0\1\7\0\0\0\0\0\0\0\0", 11},
	            {"\0\1\10", 3}};
	uint8_t cut_text[VALUE_KEY_BYTES_MAX + 1] = {0, 1, VALUE_KIND_STRING};
	struct value value;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_FALSE(value_read(slice_of(rows[i].bytes, rows[i].len), &value));
	CU_ASSERT_TRUE(value_read(slice_of(cut_text, VALUE_KEY_BYTES_MAX), &value));
	CU_ASSERT_FALSE(value_read(slice_of(cut_text, VALUE_KEY_BYTES_MAX - 1), &value));
	CU_ASSERT_FALSE(value_read(slice_of(cut_text, VALUE_KEY_BYTES_MAX + 1), &value));
}

static bool refuse(void *context, struct slice key)
{
	size_t *left = context;

	(void)key;
	return (*left)-- > 0;
}

static void test_refusals(void)
{
	static const char *const paths[] = {"a"};
	struct attributes attributes;
	struct values_sink sink = {refuse, NULL};
	struct error error;

	attributes_set(&attributes, paths, 1);
	for (size_t n = 0; n < 3; n++) {
		size_t left = n;

		sink.context = &left;
		CU_ASSERT_EQUAL(
			values_of_body(folder, slice_string("{\"a\":[1,2]}"), &attributes, &sink, &error),
			ERROR_MEMORY);
	}
	CU_ASSERT_EQUAL(values_of_body(folder, slice_string("{\"a\":"), &attributes, &sink, &error),
	                ERROR_FORMAT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
}

/* ---- beside filter_matches ---- */

static uint64_t dice_state = 1;

/* From 0 to n - 1 (SplitMix64). */
static size_t dice(size_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % n);
}

static void random_value(struct buffer *json, int depth)
{
	static const char *const scalars[] = {"\"x\"", "\" X y\"",    "5",    "\"5\"", "1e1",
	                                      "-1.5",  "-0",          "true", "null",  "\"\"",
	                                      "[]",    "\"\\u00c9\"", "{}"};
	static const char *const names[] = {"a", "b", "a.b", "b.c", "c"};
	size_t side = depth > 0 ? dice(5) : 4;
	size_t len = 1 + dice(3);

	if (side == 2) {
		buffer_append_string(json, "\"");
		for (size_t i = 234 + dice(4); i > 0; i--)
			buffer_append_string(json, "x");
		buffer_append_string(json, dice(2) ? "a" : "B");
		buffer_append_string(json, dice(2) ? "\"" : "c\"");
		return;
	}
	if (side > 2) {
		buffer_append_string(json, scalars[dice(sizeof scalars / sizeof scalars[0])]);
		return;
	}
	buffer_append_string(json, side == 0 ? "{" : "[");
	for (size_t i = 0; i < len; i++) {
		buffer_append_string(json, i > 0 ? "," : "");
		if (side == 0)
			buffer_printf(json, "\"%s\":", names[dice(5)]);
		random_value(json, depth - 1);
	}
	buffer_append_string(json, side == 0 ? "}" : "]");
}

static bool fold(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	(void)context;
	return text_fold(folder, text, folded, &error) == 0;
}

static const struct filter_fold folding = {fold, NULL};

/* What the keys say of a condition; false if they do not tell. */
static bool keys_hold(const struct collected *collected, const struct filter *filter, uint16_t number,
                      bool *holds)
{
	bool tells = true;

	*holds = false;
	for (size_t i = 0; i < collected->len; i++) {
		const struct filter_literal *literal = filter->literals;
		struct value value;
		struct value_key equal;
		bool found = false;
		int order = 0;

		CU_ASSERT_FATAL(value_read(key_slice(&collected->keys[i]), &value));
		if (value.attribute != number)
			continue;
		if (filter->kind >= FILTER_KIND_EXISTS) {
			found = (int)value.kind - VALUE_KIND_EXISTS == (int)filter->kind - FILTER_KIND_EXISTS;
		} else if (filter->kind == FILTER_KIND_EQUAL) {
			value_key_text(&equal, number, literal->folded);
			found = slice_equal(key_slice(&equal), key_slice(&collected->keys[i]));
			if (literal->is_number) {
				value_key_number(&equal, number, literal->number);
				found = found ||
				        slice_equal(key_slice(&equal), key_slice(&collected->keys[i]));
			}
		} else if (value.kind == VALUE_KIND_NUMBER) {
			found = literal->is_number && value.number > literal->number;
		} else if (value.kind == VALUE_KIND_STRING) {
			if (value_compare(&value, literal->folded, &order))
				found = order > 0;
			else
				tells = false;
		}
		*holds = *holds || found;
	}
	return tells || *holds;
}

static void random_condition(struct filter *filter, struct filter_literal *literal, const char *path,
                             char *bytes)
{
	static const char *const texts[] = {"x", "x y", "5", "10", "-1.5", "0", "true", "e\xcc\x81", ""};
	static const enum filter_kind kinds[] = {FILTER_KIND_EQUAL, FILTER_KIND_GREATER, FILTER_KIND_EXISTS,
	                                         FILTER_KIND_NULL, FILTER_KIND_EMPTY};
	size_t text = dice(sizeof texts / sizeof texts[0] + 1);

	*filter = (struct filter){.kind = kinds[dice(5)], .literals = literal, .literals_len = 1};
	filter->field = slice_string(path);
	*literal = (struct filter_literal){.is_number = false};
	if (text == sizeof texts / sizeof texts[0]) {
		literal->folded = long_text(bytes, 234 + dice(4), dice(2) ? "a" : "bc");
		return;
	}
	literal->folded = slice_string(texts[text]);
	literal->is_number = text >= 2 && text <= 5;
	literal->number = literal->is_number ? strtod(texts[text], NULL) : 0;
}

static void test_beside_filter(void)
{
	static const char *const paths[] = {"a", "b", "a.b", "a.b.c", "b.c"};
	size_t told = 0;
	size_t held = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		static struct collected collected;
		struct buffer json;
		struct filter filter;
		struct filter_literal literal;
		struct error error;
		char bytes[512];
		size_t path = dice(5);
		yyjson_doc *doc;
		bool matches = false;
		bool holds = false;

		buffer_init(&json, 1U << 20);
		buffer_append_string(&json, "{\"a\":");
		random_value(&json, 3);
		buffer_append_string(&json, ",\"b\":");
		random_value(&json, 2);
		buffer_append(&json, "}", 2);
		cut(&collected, (const char *)json.ptr, paths, 5);
		random_condition(&filter, &literal, paths[path], bytes);
		CU_ASSERT_EQUAL_FATAL(
			json_parse(slice_of(json.ptr, json.len - 1), JSON_DEPTH_MAX, &doc, &error), 0);
		CU_ASSERT_EQUAL(filter_matches(&filter, yyjson_doc_get_root(doc), &folding, &matches, &error),
		                0);
		if (keys_hold(&collected, &filter, (uint16_t)(path + 1), &holds)) {
			if (holds != matches)
				printf("\n%s kind %d of %s: %.*s\n", json.ptr, filter.kind, paths[path],
				       SLICE_ARGS(literal.folded));
			CU_ASSERT_EQUAL(holds, matches);
			told++;
			held += holds;
		}
		yyjson_doc_free(doc);
		buffer_deinit(&json);
		buffer_deinit(&collected.text);
	}
	CU_ASSERT(told > ROUNDS * 9 / 10);
	CU_ASSERT(held > ROUNDS / 10);
}

int main(void)
{
	CU_TestInfo tests[] = {{"bodies become keys", test_bodies},
	                       {"points", test_points},
	                       {"the bytes of a key", test_bytes},
	                       {"the order of keys", test_order},
	                       {"the order of points", test_points_order},
	                       {"long texts", test_long_texts},
	                       {"spellings", test_spellings},
	                       {"bytes that are no keys", test_no_keys},
	                       {"refusals", test_refusals},
	                       {"keys answer as the filter does", test_beside_filter},
	                       CU_TEST_INFO_NULL};
	int rc;

	folder = text_new();
	rc = folder == NULL ? 1 : suite_run("values", tests);
	text_free(folder);
	return rc;
}
