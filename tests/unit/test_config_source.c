/*
 * The configuration's list of sources: rules in canonical form, one source a
 * topic; every mistake with its place.
 */
#include "shared/base/assert.h"
#include "shared/config/config_private.h"
#include "shared/json/json.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int load(const char *yaml, struct config **config, struct error *error)
{
	char *words[] = {"program", NULL};
	char **argv = words;
	int argc = 1;
	FILE *file = fopen("millrace.yaml", "w");

	ASSERT(file != NULL && fputs(yaml, file) >= 0 && fclose(file) == 0);
	return config_load(PROGRAM_INGEST, &argc, &argv, config, error);
}

static struct config *load_good(const char *yaml)
{
	struct config *config = NULL;
	struct error error;

	if (load(yaml, &config, &error) != 0)
		printf("\n%s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

/* "topic or pattern > index name key partitions dead_letter_topic" of each. */
static void check(const char *yaml, const char *expected)
{
	struct config *config = load_good(yaml);
	const struct config_source *sources;
	size_t len = config_sources(config, &sources);
	char text[2048] = "";
	size_t at = 0;

	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(
			text + at, sizeof text - at, "%s%s > %s %s %s %lld %s", i > 0 ? "; " : "",
			sources[i].topic != NULL ? sources[i].topic : sources[i].pattern,
			sources[i].index != NULL ? sources[i].index : "*", sources[i].name,
			sources[i].primary_key, (long long)sources[i].partitions,
			sources[i].dead_letter_topic != NULL ? sources[i].dead_letter_topic : "-");
	CU_ASSERT_STRING_EQUAL(text, expected);
	config_free(config);
}

static void test_sources(void)
{
	check("sources:\n", "");
	check("sources: []\n", "");
	check("sources: [{topic: shop.orders, index: orders, primary_key: id, format: json}]\n",
	      "shop.orders > orders shop.orders id 1 -");
	check("sources:\n  - topic: shop.a\n  - {topic: b, partitions: 3, primary_key: sku, name: bees}\n",
	      "shop.a > shop_a shop.a id 1 -; b > b bees sku 3 -");
	check("index_defaults: {partitions: 5}\n"
	      "sources:\n"
	      "  - {topics: [a, b.c], index: all, dead_letter_topic: bad}\n"
	      "  - {topics: [d, e]}\n"
	      "  - {topic: f, index: all, partitions: 7}\n"
	      "  - {pattern: '^logs\\..*', index: logs}\n"
	      "  - {pattern: '^shop\\.'}\n",
	      "a > all a id 7 bad; b.c > all b.c id 7 bad; d > d d id 5 -; e > e e id 5 -; f > all f id 7 -; "
	      "^logs\\..* > logs logs id 5 -; ^shop\\. > *  id 5 -");
	/* one topic may end in several indexes */
	check("sources: [{topic: a, index: x}, {topic: a, index: y}]\n", "a > x a id 1 -; a > y a id 1 -");
}

static void check_rules(const char *yaml, const char *expected)
{
	struct config *config = load_good(yaml);
	const struct config_source *sources;

	CU_ASSERT_EQUAL_FATAL(config_sources(config, &sources), 1);
	CU_ASSERT_STRING_EQUAL(sources[0].rules, expected);
	config_free(config);
}

/* What YAML means is what the rules say: numbers, texts, truths, in every style. */
static void test_rules(void)
{
	setenv("SOURCE_TEST_LIMIT", "12", 1);
	check_rules("sources: [{topic: a}]\n",
	            "{\"format\":\"json\",\"op\":\"put\",\"primary_key\":\"id\",\"id\":\"key\","
	            "\"key\":\"text\",\"tombstones\":\"delete\"}");
	check_rules(
		"sources:\n"
		"  - topic: a\n"
		"    format: cloudevents\n"
		"    primary_key: sku\n"
		"    id: \"{a}-{b.c}\"\n"
		"    tombstones: ignore\n"
		"    delete_types: ['*.deleted']\n"
		"    where:\n"
		"      - {field: n, op: '>', value: -1.50e3}\n"
		"      - field: n\n"
		"        op: <\n"
		"        value: ${SOURCE_TEST_LIMIT}\n"
		"      - {field: t, op: =, value: '12'}\n"
		"      - {field: u, op: =, value: twelve}\n"
		"      - field: v\n"
		"        op: in\n"
		"        value: [1, True, ~]\n"
		"    exclude: [x, 'y\\.z']\n"
		"    mask: {email: hash, name: '***'}\n"
		"    rename: {a: b}\n"
		"    flatten: _\n",
		"{\"format\":\"cloudevents\",\"op\":\"put\",\"primary_key\":\"sku\",\"id\":\"{a}-{b.c}\","
		"\"key\":\"text\",\"tombstones\":\"ignore\",\"where\":["
		"{\"field\":\"n\",\"op\":\"<\",\"value\":12},{\"field\":\"n\",\"op\":\">\",\"value\":-1.50e3}"
		","
		"{\"field\":\"t\",\"op\":\"=\",\"value\":\"12\"},{\"field\":\"u\",\"op\":\"=\",\"value\":"
		"\"twelve\"},"
		"{\"field\":\"v\",\"op\":\"in\",\"value\":[1,null,true]}],"
		"\"delete_types\":[\"*.deleted\"],\"exclude\":[\"x\",\"y\\\\.z\"],"
		"\"mask\":{\"email\":\"hash\",\"name\":\"***\"},\"rename\":{\"a\":\"b\"},\"flatten\":\"_\"}");
}

static const struct {
	const char *yaml;
	const char *error;
} refused[] = {
	{"sources: {topic: a}\n", "millrace.yaml:1:1: expected a list of sources"},
	{"sources: [a]\n", "millrace.yaml:1:11: expected {topic: …, index: …}"},
	{"sources:\n  - index: a\n",
         "millrace.yaml:2:5: a source needs one of `topic`, `topics` and `pattern`"},
	{"sources:\n  - {topic: a, pattern: ^b}\n",
         "millrace.yaml:2:6: a source needs one of `topic`, `topics` and `pattern`"},
	{"sources:\n  - topic: a\n    tpoic: b\n",
         "millrace.yaml:3:5: unknown key `tpoic` in a source (did you mean `topic`?)"},
	{"sources:\n  - topic: a\n    tombstone: b\n",
         "millrace.yaml:3:5: unknown key `tombstone` in a source (did you mean `tombstones`?)"},
	{"sources:\n  - topic: a\n    zzzzzz: b\n", "millrace.yaml:3:5: unknown key `zzzzzz` in a source"},
	{"sources:\n  - topic: a/b\n",
         "millrace.yaml:2:12: `a/b` is no topic's name: expected 1 to 249 letters, digits, `.`, `_` and `-`"},
	{"sources:\n  - topics: [a, ..]\n",
         "millrace.yaml:2:17: `..` is no topic's name: expected 1 to 249 letters, digits, `.`, `_` and `-`"},
	{"sources:\n  - topics: []\n", "millrace.yaml:2:5: expected at least one topic"},
	{"sources:\n  - topics: a\n", "millrace.yaml:2:13: expected a list of topics"},
	{"sources:\n  - pattern: logs\n",
         "millrace.yaml:2:14: `logs` is no pattern of topics: expected `^` and at most 249 characters"},
	{"sources:\n  - pattern: ^logs(\n", "millrace.yaml:2:14: `^logs(` is no extended regular expression"},
	{"sources:\n  - {topic: a, index: a.b}\n",
         "millrace.yaml:2:23: `a.b` is no index uid: expected 1 to 200 letters, digits, `_` and `-`"},
	{"sources:\n  - {topic: a, partitions: 1025}\n",
         "millrace.yaml:2:28: `partitions` is `1025`, expected a number from 1 to 1024"},
	{"sources:\n  - {topic: a, partitions: 1x}\n",
         "millrace.yaml:2:28: `partitions` is `1x`, expected a number from 1 to 1024"},
	{"sources:\n  - {topics: [a, b], name: n}\n",
         "millrace.yaml:2:6: several sources cannot have the one name `n`: leave it away"},
	{"sources:\n  - topic: a\n    format: debezium\n",
         "millrace.yaml:3:13: format: unknown value \"debezium\"; known: json, cloudevents, connect-json"},
	{"sources:\n  - topic: a\n    where:\n      - {field: a, op: =, value: 1}\n      - {field: b, op: "
         "like, value: 1}\n",
         "millrace.yaml:5:24: where[1].op: unknown value \"like\"; known: =, !=, >, >=, <, <=, in, exists"},
	{"sources:\n  - topic: a\n    where: [{field: a, op: =, value: .5}]\n",
         "millrace.yaml:3:38: `.5` is a number that JSON writes otherwise: quote it if it is a text"},
	{"sources:\n  - topic: a\n    where: [{field: a, op: =, value: 0x1F}]\n",
         "millrace.yaml:3:38: `0x1F` is a number that JSON writes otherwise: quote it if it is a text"},
	{"sources:\n  - {topic: a, index: x}\n  - {topic: a, index: x}\n",
         "millrace.yaml:3:13: `a` is imported into index `x` twice"},
	{"sources:\n  - {topic: a, index: x, primary_key: k}\n  - {topic: b, index: x}\n",
         "millrace.yaml:3:13: index `x` cannot have primary keys `k` and `id`"},
	{"sources:\n  - {topic: a, index: x, partitions: 1}\n  - {topic: b, index: x, partitions: 2}\n",
         "millrace.yaml:3:13: index `x` cannot have 1 and 2 partitions"},
	{"sources:\n  - {topic: a.b}\n  - {topic: a_b}\n",
         "millrace.yaml:3:13: `a.b` and `a_b` would both be index `a_b`: give each an `index`"},
	{"sources:\n  - {pattern: ^a, index: x}\n  - {pattern: ^b, index: x}\n",
         "millrace.yaml:3:6: index `x` has two sources with the name `x`: give each a `name`"},
};

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct config *config = NULL;
		struct error error = {0};

		if (load(refused[i].yaml, &config, &error) != ERROR_CONFIGURATION ||
		    strcmp(error.text, refused[i].error) != 0) {
			printf("\n%s  %s\n", refused[i].yaml, error.text);
			CU_FAIL("another answer than expected");
		}
		config_free(config);
	}
}

/* What --check-config prints is itself a configuration that says the same. */
static void test_print_loads(void)
{
	struct config *config = load_good("sources:\n"
	                                  "  - {topics: [a, b], index: x, partitions: 3, where: [{field: a, "
	                                  "op: =, value: 1.0}]}\n"
	                                  "  - {pattern: '^l\\.', primary_key: \"a \\\"b\\\"\"}\n"
	                                  "  - {pattern: ^m, index: m, name: em, dead_letter_topic: bad}\n");
	struct config *again;
	struct buffer first, second;

	buffer_init(&first, 1 << 20);
	buffer_init(&second, 1 << 20);
	config_print(config, &first);
	buffer_put_u8(&first, 0);
	again = load_good((const char *)first.ptr);
	config_print(again, &second);
	buffer_put_u8(&second, 0);
	CU_ASSERT_STRING_EQUAL((const char *)first.ptr, (const char *)second.ptr);
	CU_ASSERT_PTR_NOT_NULL(strstr((const char *)first.ptr, "\"value\":1.0"));
	buffer_deinit(&first);
	buffer_deinit(&second);
	config_free(config);
	config_free(again);
}

/* The schema names what an entry may have, and nothing else. */
static void test_schema(void)
{
	char path[4096];
	yyjson_doc *doc;
	yyjson_val *properties;
	size_t len = 0;

	(void)snprintf(path, sizeof path, "%.*s/../../schemas/millrace.schema.json",
	               (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	doc = yyjson_read_file(path, 0, NULL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	properties = yyjson_doc_ptr_get(doc, "/properties/sources/items/properties");
	for (; source_member(len) != NULL; len++)
		CU_ASSERT_PTR_NOT_NULL(yyjson_obj_get(properties, source_member(len)));
	CU_ASSERT_EQUAL(yyjson_obj_size(properties), len);
	yyjson_doc_free(doc);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"sources", test_sources},         {"rules", test_rules},   {"refused", test_refused},
		{"print loads", test_print_loads}, {"schema", test_schema}, CU_TEST_INFO_NULL,
	};
	return suite_run("config_source", tests);
}
