/*
 * What the configuration asks for, against what is recorded: states, requests,
 * and the topics of a pattern that gives each an index of its own.
 */
#include "ingest/core/import_wishes.h"
#include "shared/meta/source.h"
#include "tests/unit/catalog_bed.h"

#include <stdio.h>

#define RULES "{\"primary_key\":\"id\"}"

static struct import_wanted wanted_topic(const char *topic, const char *uid)
{
	return (struct import_wanted){.name = topic,
	                              .topic = topic,
	                              .pattern = "",
	                              .uid = uid,
	                              .primary_key = "id",
	                              .dead_letter_topic = "",
	                              .partitions = 3,
	                              .rules = RULES,
	                              .place = "millrace.yaml:1:1"};
}

static struct import_wanted wanted_each(const char *pattern)
{
	struct import_wanted wanted = wanted_topic("", "");

	wanted.pattern = pattern;
	wanted.dead_letter_topic = "bad.letters";
	return wanted;
}

/* A record of an active index with these sources, under its name. */
static void record(struct catalog *catalog, unsigned number, const char *uid, const char *log,
                   const char *sources)
{
	struct buffer names;
	char value[4096];
	char key[32];
	char *text;

	(void)snprintf(key, sizeof key, "index/%016x", number);
	(void)snprintf(
		value, sizeof value,
		"{\"v\":1,\"task\":3,\"id\":\"%016x\",\"uid\":\"%s\",\"topic\":\"%s\","
		"\"own_topic\":true,\"state\":\"active\",\"generation\":1,\"partitions\":1,\"base\":[0],"
		"\"partitioner\":\"murmur2\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{"
		"\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,"
		"\"dedup_window\":0},\"sources\":[%s],\"created_at\":1000,\"updated_at\":2000}",
		number, uid, log, sources);
	CU_ASSERT_EQUAL_FATAL(apply_meta(catalog, key, value), 0);
	buffer_init(&names, 1 << 20);
	catalog_write_names(&names, catalog, number, slice_string(uid), number);
	text = text_of(&names);
	CU_ASSERT_EQUAL_FATAL(apply_meta(catalog, "names", text), 0);
	free(text);
}

/* "name>uid:state" of each wish, with the reasons in brackets. */
static void check(const struct import_wishes *wishes, const char *expected)
{
	static const char *const states[] = {"unknown", "each", "recorded", "differs", "waits", "refused"};
	struct import_wish *list;
	size_t len = import_wishes_list(wishes, &list);
	char text[4096] = "";
	size_t at = 0;

	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s>%s:%s%s%s%s", i > 0 ? " " : "",
		                       list[i].name, list[i].uid, states[list[i].state],
		                       list[i].reason[0] != 0 ? "[" : "", list[i].reason,
		                       list[i].reason[0] != 0 ? "]" : "");
	if (strcmp(text, expected) != 0)
		printf("\nexpected %s\ngot      %s\n", expected, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

/* The next request as text: "create uid: names" or "add uid: name"; "" for none. */
static void check_ask(struct import_wishes *wishes, const struct catalog *catalog, int64_t now_ms,
                      const char *expected)
{
	struct task_request request = {0};
	char text[1024] = "";

	if (import_wishes_ask(wishes, catalog, now_ms, &request)) {
		size_t at = (size_t)snprintf(text, sizeof text, "%s %s/%d %s:",
		                             request.type == TASK_TYPE_INDEX_CREATION ? "create" : "add",
		                             request.uid, (int)request.partitions, request.primary_key);

		for (size_t i = 0; i < request.sources_len; i++)
			at += (size_t)snprintf(text + at, sizeof text - at, " %s", request.sources[i].name);
		task_request_deinit(&request);
	}
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void tell(struct import_wishes *wishes, const struct catalog *catalog, size_t number,
                 const char *const *topics)
{
	struct error error;
	size_t len = 0;

	while (topics[len] != NULL)
		len++;
	CU_ASSERT_EQUAL(import_wishes_topics(wishes, catalog, number, topics, len, &error), 0);
	import_wishes_judge(wishes, catalog, 0);
}

#define TOPICS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_named(void)
{
	const struct import_wanted wanted[] = {wanted_topic("a", "x"), wanted_topic("b", "x"),
	                                       wanted_topic("c", "y")};
	struct import_wishes *wishes = import_wishes_new(wanted, 3);
	struct catalog *catalog = catalog_new();

	check(wishes, "a>x:unknown b>x:unknown c>y:unknown");
	import_wishes_judge(wishes, catalog, 0);
	check(wishes, "a>x:waits b>x:waits c>y:waits");
	check_ask(wishes, catalog, 0, "create x/3 id: a b");
	check_ask(wishes, catalog, 1, "create y/3 id: c");
	check_ask(wishes, catalog, IMPORT_WISH_ASK_MS - 1, "");
	/* one that never came is asked for again */
	check_ask(wishes, catalog, IMPORT_WISH_ASK_MS, "create x/3 id: a b");
	record(catalog, 1, "x", "millrace.docs.x", "{\"topic\":\"a\",\"rules\":" RULES "}");
	import_wishes_judge(wishes, catalog, 3000);
	check(wishes, "a>x:recorded b>x:waits c>y:waits");
	check_ask(wishes, catalog, 5000, "add x/0 : b");
	record(catalog, 1, "x", "millrace.docs.x",
	       "{\"topic\":\"a\",\"rules\":{\"id\":\"n\"}},{\"topic\":\"b\",\"rules\":" RULES "}");
	import_wishes_judge(wishes, catalog, 6000);
	check(wishes, "a>x:differs[other rules are recorded, and those count as long as the index lives] "
	              "b>x:recorded c>y:waits");
	import_wishes_free(wishes);
	catalog_free(catalog);
}

static void test_answers(void)
{
	const struct import_wanted wanted[] = {wanted_topic("a", "x"), wanted_topic("b", "y")};
	struct import_wishes *wishes = import_wishes_new(wanted, 2);
	struct catalog *catalog = catalog_new();
	struct task_final final = {.code = "no_node", .message = "there is no node"};

	import_wishes_judge(wishes, catalog, 0);
	check_ask(wishes, catalog, 0, "create x/3 id: a");
	import_wishes_answer(wishes, "x", &final, 100);
	check(wishes, "a>x:refused[there is no node] b>y:waits");
	import_wishes_judge(wishes, catalog, 100 + IMPORT_WISH_REFUSED_MS - 1);
	check(wishes, "a>x:refused[there is no node] b>y:waits");
	import_wishes_judge(wishes, catalog, 100 + IMPORT_WISH_REFUSED_MS);
	check(wishes, "a>x:waits b>y:waits");
	(void)snprintf(final.code, sizeof final.code, "index_already_exists");
	import_wishes_answer(wishes, "x", &final, 0);
	final.succeeded = true;
	import_wishes_answer(wishes, "y", &final, 0);
	check(wishes, "a>x:waits b>y:waits");
	import_wishes_free(wishes);
	catalog_free(catalog);
}

static void test_each_topic(void)
{
	const struct import_wanted wanted[] = {wanted_each("^shop"), wanted_topic("shop.named", "other")};
	struct import_wishes *wishes = import_wishes_new(wanted, 2);
	struct catalog *catalog = catalog_new();
	struct import_wish *list;
	struct source_record source;
	size_t at = 0;
	size_t number = 9;
	const char *pattern = NULL;

	CU_ASSERT_TRUE(import_wishes_pattern(wishes, &at, &number, &pattern));
	CU_ASSERT_EQUAL(number, 0);
	CU_ASSERT_STRING_EQUAL(pattern, "^shop");
	CU_ASSERT_FALSE(import_wishes_pattern(wishes, &at, &number, &pattern));
	record(catalog, 1, "log", "shop.log", "{\"topic\":\"q\",\"dead_letter_topic\":\"shop.bad\"}");
	/* in any order; not what others name, what is written here, or what is an index's log */
	tell(wishes, catalog, 0,
	     TOPICS("shop.b", "shop.a", "shop.named", "bad.letters", "shop.bad", "shop.log"));
	check(wishes, ">:each shop.named>other:waits shop.a>shop_a:waits shop.b>shop_b:waits");
	check_ask(wishes, catalog, 0, "create other/3 id: shop.named");
	check_ask(wishes, catalog, 0, "create shop_a/3 id: shop.a");
	(void)import_wishes_list(wishes, &list);
	import_wish_record(&list[2], &source);
	CU_ASSERT_STRING_EQUAL(source.name, "shop.a");
	CU_ASSERT_STRING_EQUAL(source.topic, "shop.a");
	CU_ASSERT_STRING_EQUAL(source.pattern, "");
	CU_ASSERT_STRING_EQUAL(source.dead_letter_topic, "bad.letters");
	/* a later one is picked up, one that is gone is wished no more */
	tell(wishes, catalog, 0, TOPICS("shop.b", "shop.c"));
	check(wishes, ">:each shop.named>other:waits shop.b>shop_b:waits shop.c>shop_c:waits");
	record(catalog, 2, "shop_c", "millrace.docs.shop_c",
	       "{\"topic\":\"shop.c\",\"dead_letter_topic\":\"bad.letters\",\"rules\":" RULES "}");
	tell(wishes, catalog, 0, TOPICS("shop.b", "shop.c"));
	check(wishes, ">:each shop.named>other:waits shop.b>shop_b:waits shop.c>shop_c:recorded");
	import_wishes_free(wishes);
	catalog_free(catalog);
}

/* Two patterns: the first one has the topic; and neither takes the other's away. */
static void test_patterns_meet(void)
{
	const struct import_wanted wanted[] = {wanted_each("^a"), wanted_each("^ab")};
	struct import_wishes *wishes = import_wishes_new(wanted, 2);
	struct catalog *catalog = catalog_new();
	struct import_wish *list;

	tell(wishes, catalog, 0, TOPICS("ab"));
	tell(wishes, catalog, 1, TOPICS("ab", "abc"));
	check(wishes, ">:each >:each ab>ab:waits abc>abc:waits");
	tell(wishes, catalog, 0, TOPICS("ab"));
	check(wishes, ">:each >:each ab>ab:waits abc>abc:waits");
	(void)import_wishes_list(wishes, &list);
	CU_ASSERT_PTR_EQUAL(list[2].wanted, &wanted[0]);
	import_wishes_free(wishes);
	catalog_free(catalog);
}

static void test_topics_meet(void)
{
	const struct import_wanted wanted[] = {wanted_each("^"), wanted_topic("t", "n_n")};
	struct import_wishes *wishes = import_wishes_new(wanted, 2);
	struct catalog *catalog = catalog_new();

	tell(wishes, catalog, 0, TOPICS("a_b", "a.b"));
	check(wishes,
	      ">:each t>n_n:waits a.b>a_b:waits a_b>a_b:refused[topic a_b would be imported into index "
	      "`a_b` as a.b is: list it as `topic` with an `index` of its own]");
	/* what is recorded was first, whatever the order */
	record(catalog, 1, "a_b", "millrace.docs.a_b",
	       "{\"topic\":\"a_b\",\"dead_letter_topic\":\"bad.letters\",\"rules\":" RULES "}");
	tell(wishes, catalog, 0, TOPICS("a_b", "a.b"));
	check(wishes,
	      ">:each t>n_n:waits a.b>a_b:refused[topic a.b would be imported into index `a_b` as a_b "
	      "is: list it as `topic` with an `index` of its own] a_b>a_b:recorded");
	/* nor with what another entry brings there */
	tell(wishes, catalog, 0, TOPICS("n.n"));
	check(wishes,
	      ">:each t>n_n:waits n.n>n_n:refused[topic n.n would be imported into index `n_n` as t is: "
	      "list it as `topic` with an `index` of its own]");
	import_wishes_free(wishes);
	catalog_free(catalog);
}

static void test_long_name(void)
{
	const struct import_wanted wanted[] = {wanted_each("^")};
	struct import_wishes *wishes = import_wishes_new(wanted, 1);
	struct catalog *catalog = catalog_new();
	char topic[TOPIC_BYTES_MAX + 1];
	struct import_wish *list;

	memset(topic, 'a', sizeof topic);
	topic[INDEX_UID_BYTES_MAX + 1] = 0;
	tell(wishes, catalog, 0, TOPICS(topic));
	CU_ASSERT_EQUAL_FATAL(import_wishes_list(wishes, &list), 2);
	CU_ASSERT_EQUAL(list[1].state, IMPORT_WISH_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(list[1].reason, "too long for an index uid"));
	check_ask(wishes, catalog, 1 << 30, "");
	import_wishes_free(wishes);
	catalog_free(catalog);
}

/* More than there is room for is refused by name, and nothing else. */
static void test_bounds(void)
{
	const struct import_wanted wanted[] = {wanted_each("^")};
	struct import_wishes *wishes = import_wishes_new(wanted, 1);
	struct catalog *catalog = catalog_new();
	static char names[IMPORT_WISHES_MAX][8];
	const char *topics[IMPORT_WISHES_MAX];
	struct import_wish *list;
	struct error error;
	char source[64];
	char uid[16];

	for (size_t i = 0; i < IMPORT_WISHES_MAX; i++) {
		(void)snprintf(names[i], sizeof names[i], "t%04zu", i);
		topics[i] = names[i];
	}
	CU_ASSERT_EQUAL(import_wishes_topics(wishes, catalog, 0, topics, IMPORT_WISHES_MAX, &error),
	                ERROR_LIMIT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "t1023"));
	CU_ASSERT_EQUAL(import_wishes_list(wishes, &list), IMPORT_WISHES_MAX);
	for (unsigned i = 0; i < IMPORT_SOURCES_MAX; i++) {
		(void)snprintf(uid, sizeof uid, "u%u", i);
		(void)snprintf(source, sizeof source, "{\"topic\":\"s%u\"}", i);
		record(catalog, i + 1, uid, uid, source);
	}
	import_wishes_judge(wishes, catalog, 0);
	check_ask(wishes, catalog, 0, "");
	CU_ASSERT_EQUAL(list[1].state, IMPORT_WISH_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(list[1].reason, "at most 256"));
	import_wishes_free(wishes);
	catalog_free(catalog);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"named", test_named},
		{"answers", test_answers},
		{"each topic", test_each_topic},
		{"patterns meet", test_patterns_meet},
		{"topics meet", test_topics_meet},
		{"long name", test_long_name},
		{"bounds", test_bounds},
		CU_TEST_INFO_NULL,
	};
	return suite_run("import_wishes", tests);
}
