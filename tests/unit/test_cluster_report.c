/*
 * Cluster report: what is made of records, nodes' words and logs, one row a
 * situation of a shard with two replicas.
 */
#include "query/core/cluster_report.h"

#include "shared/json/json.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "00000000000000aa"
#define INCARNATION_1 "11111111111111111111111111111111"
#define INCARNATION_2 "22222222222222222222222222222222"
#define BODY_BYTES_MAX (1 << 20)

static const char index_value[] =
	"{\"v\":1,\"task\":3,\"id\":\"" ID "\",\"uid\":\"packages\",\"topic\":\"t\","
	"\"own_topic\":true,\"state\":\"active\",\"generation\":1,\"partitions\":1,\"base\":[0],"
	"\"partitioner\":\"murmur2\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{\"contract\":1,"
	"\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,\"dedup_window\":0},"
	"\"created_at\":1000,\"updated_at\":2000}";
static const char cluster_value[] = "{\"v\":1,\"epoch\":2,\"task\":-1,\"kafka\":\"AAAA\",\"rf\":2,\"nodes\":["
				    "{\"id\":\"n1\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:1\"},"
				    "{\"id\":\"n2\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:2\"}],"
				    "\"oldest_task\":0}";
static const char shard_value[] =
	"{\"v\":1,\"task\":3,\"index\":\"" ID "\",\"generation\":1,\"partition\":0,\"replicas\":["
	"{\"node\":\"n1\",\"incarnation\":\"" INCARNATION_1 "\",\"state\":\"active\",\"in_sync\":true},"
	"{\"node\":\"n2\",\"incarnation\":\"" INCARNATION_2 "\",\"state\":\"active\",\"in_sync\":true}]}";

#define HEAD(node) "{\"node\":\"" node "\",\"ready\":true,\"format\":1,\"shards\":["
#define REPLICA(generation, incarnation, received, digest, more) \
	"{\"index\":\"" ID "\",\"generation\":" generation \
	",\"partition\":0,\"state\":\"active\",\"serving\":true," \
	"\"incarnation\":\"" incarnation "\",\"received\":" received \
	",\"stored\":7,\"log_end\":12,\"digest\":\"" digest \
	"\",\"documents\":5,\"body_bytes\":50,\"memory_bytes\":500,\"stop_reason\":\"\"" more "}"
#define SEALS(digest) ",\"seals\":[{\"offset\":4,\"digest\":\"aa\"},{\"offset\":8,\"digest\":\"" digest "\"}]"
#define OLD_SEAL(digest) ",\"seals\":[{\"offset\":4,\"digest\":\"" digest "\"}]"

static const char n1_body[] = HEAD("n1") REPLICA("1", INCARNATION_1, "10", "d1", SEALS("bb")) "]}";

struct row {
	const char *name;
	const char *trouble; /* of n2; "" with a body */
	const char *body;    /* of n2 */
	struct report_place place;
	const char *digests;
	int64_t log_end;
	int64_t lag;           /* of the group; -1: null */
	bool answers;          /* n2 */
	const char *node_says; /* error of the node */
	const char *state;     /* of the second replica; NULL: null */
	int64_t received;      /* -1: null */
	int64_t replica_lag;
	const char *replica_says;
};

#define PLACE \
	{ \
		0, 12, 7 \
	}

static const struct row rows[] = {
	{"one watermark, one digest", "", HEAD("n2") REPLICA("1", INCARNATION_2, "10", "d1", "") "]}", PLACE,
         "equal", 12, 5, true, "", "active", 10, 2, ""},
	{"one watermark, two digests", "", HEAD("n2") REPLICA("1", INCARNATION_2, "10", "d2", "") "]}", PLACE,
         "differ", 12, 5, true, "", "active", 10, 2, ""},
	{"a seal in common", "", HEAD("n2") REPLICA("1", INCARNATION_2, "11", "d2", SEALS("bb")) "]}", PLACE,
         "equal", 12, 5, true, "", "active", 11, 1, ""},
	{"a seal that differs", "", HEAD("n2") REPLICA("1", INCARNATION_2, "11", "d2", SEALS("cc")) "]}",
         PLACE, "differ", 12, 5, true, "", "active", 11, 1, ""},
	{"an older seal in common", "",
         HEAD("n2") REPLICA("1", INCARNATION_2, "5", "d2", OLD_SEAL("aa")) "]}", PLACE, "equal", 12, 5, true,
         "", "active", 5, 7, ""},
	{"nothing to compare", "", HEAD("n2") REPLICA("1", INCARNATION_2, "3", "d2", "") "]}", PLACE,
         "unknown", 12, 5, true, "", "active", 3, 9, ""},
	{"no answer", "nobody listens", "", PLACE, "unknown", 12, 5, false, "nobody listens", NULL, -1, -1,
         "nobody listens"},
	{"no JSON", "", "{\"node\":", PLACE, "unknown", 12, 5, false, "its answer is not JSON", NULL, -1, -1,
         "its answer is not JSON"},
	{"no object", "", "[]", PLACE, "unknown", 12, 5, false, "its answer is not an object", NULL, -1, -1,
         "its answer is not an object"},
	{"another node", "", HEAD("n3") REPLICA("1", INCARNATION_2, "10", "d1", "") "]}", PLACE, "unknown",
         12, 5, false, "another node answers at this address", NULL, -1, -1,
         "another node answers at this address"},
	{"not held", "", HEAD("n2") "]}", PLACE, "unknown", 12, 5, true, "", NULL, -1, -1,
         "the node does not hold it"},
	{"starting", "", "{\"node\":\"n2\",\"ready\":false,\"shards\":[]}", PLACE, "unknown", 12, 5, true, "",
         NULL, -1, -1, "the node is starting"},
	{"another generation", "", HEAD("n2") REPLICA("2", INCARNATION_2, "10", "d1", "") "]}", PLACE,
         "unknown", 12, 5, true, "", NULL, -1, -1, "the node does not hold it"},
	{"another incarnation", "", HEAD("n2") REPLICA("1", INCARNATION_1, "10", "d1", "") "]}", PLACE,
         "equal", 12, 5, true, "", "active", 10, 2, "the node holds another incarnation"},
	{"no word of Kafka",
         "",
         HEAD("n2") REPLICA("1", INCARNATION_2, "10", "d1", "") "]}",
         {-1, -1, -1},
         "equal",
         12,
         -1,
         true,
         "",
         "active",
         10,
         2,
         ""},
	{"what cannot be is no shard", "",
         HEAD("n2") "{\"index\":\"zz\",\"partition\":0},{\"index\":\"" ID "\",\"partition\":-1},"
                    "{\"index\":\"" ID "\",\"partition\":4096},7,{}]}",
         PLACE, "unknown", 12, 5, true, "", NULL, -1, -1, "the node does not hold it"},
};

static struct catalog *catalog_of(void)
{
	struct catalog *catalog = catalog_new();
	struct error error;

	CU_ASSERT_EQUAL_FATAL(catalog_apply(catalog, CATALOG_TOPIC_META, 1, slice_string("index/" ID),
	                                    slice_string(index_value), &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(catalog, CATALOG_TOPIC_TOPOLOGY, 1, slice_string("cluster"),
	                                    slice_string(cluster_value), &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(catalog_apply(catalog, CATALOG_TOPIC_TOPOLOGY, 2,
	                                    slice_string("shard/" ID "/0"), slice_string(shard_value),
	                                    &error),
	                      0);
	return catalog;
}

/* The report of a row, parsed; the caller frees it. */
static yyjson_doc *report_of(const struct row *row, const struct catalog *catalog)
{
	struct report_told nodes[] = {
		{.name = "n1", .url = "http://127.0.0.1:1", .body = slice_string(n1_body), .trouble = ""},
		{.name = "n2",
	         .url = "http://127.0.0.1:2",
	         .body = slice_string(row->body),
	         .trouble = row->trouble}};
	struct report_told controller = {
		.url = "http://127.0.0.1:3",
		.body = slice_string(
			"{\"in_office\":true,\"held\":[{\"uid\":\"books\",\"topic\":\"t\",\"partition\":0,"
			"\"offset\":100,\"lane\":\"behind\",\"deaths\":3,\"task\":7,\"file\":\"f\"},5]}"),
		.trouble = ""};
	struct report_log log = {0xaa, &row->place};
	struct report report = {.cluster = "c\"",
	                        .catalog = catalog,
	                        .kafka_trouble = "",
	                        .controllers = {&controller, 1},
	                        .nodes = {nodes, 2},
	                        .logs = &log,
	                        .logs_len = 1};
	struct arena arena;
	struct buffer body;
	struct error error = {0};
	yyjson_doc *doc = NULL;

	arena_init(&arena, 4096);
	buffer_init(&body, BODY_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(report_write(&report, &arena, &body, &error), 0);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(buffer_slice(&body), &doc, &error), 0);
	buffer_deinit(&body);
	arena_deinit(&arena);
	return doc;
}

static bool is_number(yyjson_val *object, const char *name, int64_t expected)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return expected < 0 ? yyjson_is_null(value)
	                    : yyjson_is_int(value) && yyjson_get_sint(value) == expected;
}

static bool is_text(yyjson_val *object, const char *name, const char *expected)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return expected == NULL ? yyjson_is_null(value) : yyjson_equals_str(value, expected);
}

static bool as_expected(const struct row *row, yyjson_val *root)
{
	yyjson_val *shard = yyjson_arr_get(yyjson_obj_get(root, "shards"), 0);
	yyjson_val *replica = yyjson_arr_get(yyjson_obj_get(shard, "replicas"), 1);
	yyjson_val *node = yyjson_arr_get(yyjson_obj_get(root, "nodes"), 1);

	return is_text(shard, "digests", row->digests) && is_number(shard, "log_end", row->log_end) &&
	       is_number(shard, "lag", row->lag) && is_number(shard, "log_start", row->place.start) &&
	       is_number(shard, "committed", row->place.committed) &&
	       yyjson_get_bool(yyjson_obj_get(node, "answers")) == row->answers &&
	       is_text(node, "error", row->node_says) && is_text(replica, "node", "n2") &&
	       is_text(replica, "recorded", "active") && is_text(replica, "incarnation", INCARNATION_2) &&
	       is_text(replica, "state", row->state) && is_number(replica, "received", row->received) &&
	       is_number(replica, "lag", row->replica_lag) && is_text(replica, "error", row->replica_says);
}

static void test_rows(void)
{
	struct catalog *catalog = catalog_of();

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_doc *doc = report_of(&rows[i], catalog);
		bool good = as_expected(&rows[i], yyjson_doc_get_root(doc));

		CU_ASSERT_TRUE(good);
		if (!good) {
			char *text = yyjson_write(doc, 0, NULL);

			printf("\n%s: %s\n", rows[i].name, text);
			free(text);
		}
		yyjson_doc_free(doc);
	}
	catalog_free(catalog);
}

static void test_the_rest(void)
{
	struct catalog *catalog = catalog_of();
	yyjson_doc *doc = report_of(&rows[0], catalog);
	yyjson_val *root = yyjson_doc_get_root(doc);
	yyjson_val *controller = yyjson_arr_get(yyjson_obj_get(root, "controllers"), 0);
	yyjson_val *held = yyjson_arr_get(yyjson_obj_get(controller, "held"), 0);
	yyjson_val *node = yyjson_arr_get(yyjson_obj_get(root, "nodes"), 0);

	CU_ASSERT_TRUE(is_text(root, "cluster", "c\""));
	CU_ASSERT_TRUE(is_number(root, "epoch", 2) && is_number(root, "rf", 2));
	CU_ASSERT_TRUE(yyjson_is_true(yyjson_obj_get(yyjson_obj_get(root, "kafka"), "answers")));
	CU_ASSERT_TRUE(is_text(yyjson_obj_get(root, "kafka"), "cluster_id", "AAAA"));
	CU_ASSERT_TRUE(yyjson_is_true(yyjson_obj_get(controller, "in_office")));
	CU_ASSERT_EQUAL(yyjson_arr_size(yyjson_obj_get(root, "ingest")), 0);
	CU_ASSERT_EQUAL(yyjson_arr_size(yyjson_obj_get(controller, "held")), 2);
	CU_ASSERT_TRUE(is_text(held, "uid", "books") && is_text(held, "topic", "t"));
	CU_ASSERT_TRUE(is_text(held, "lane", "behind") && is_text(held, "file", "f"));
	CU_ASSERT_TRUE(is_number(held, "partition", 0) && is_number(held, "offset", 100));
	CU_ASSERT_TRUE(is_number(held, "deaths", 3) && is_number(held, "task", 7));
	CU_ASSERT_TRUE(is_number(node, "replicas", 1) && is_number(node, "unrecorded", 0));
	CU_ASSERT_TRUE(is_number(node, "documents", 5) && is_number(node, "body_bytes", 50));
	CU_ASSERT_TRUE(is_number(node, "memory_bytes", 500) && is_number(node, "disk_free_bytes", -1));
	yyjson_doc_free(doc);
	catalog_free(catalog);
}

/* What a node holds without a record of it, and a body that does not fit. */
static void test_unrecorded_and_too_long(void)
{
	struct catalog *catalog = catalog_of();
	struct report_told nodes[] = {
		{.name = "n1",
	         .url = "",
	         .body = slice_string(
			 HEAD("n1") "{\"index\":\"00000000000000bb\",\"generation\":1,\"partition\":3}]}"),
	         .trouble = ""},
		{.name = "n2", .url = "", .trouble = "away"}};
	struct report report = {
		.cluster = "c", .catalog = catalog, .kafka_trouble = "gone", .nodes = {nodes, 2}};
	struct arena arena;
	struct buffer body;
	struct error error;
	yyjson_doc *doc;

	arena_init(&arena, 4096);
	buffer_init(&body, BODY_BYTES_MAX);
	CU_ASSERT_EQUAL_FATAL(report_write(&report, &arena, &body, &error), 0);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(buffer_slice(&body), &doc, &error), 0);
	CU_ASSERT_TRUE(is_number(yyjson_arr_get(yyjson_obj_get(yyjson_doc_get_root(doc), "nodes"), 0),
	                         "unrecorded", 1));
	CU_ASSERT_TRUE(yyjson_is_false(
		yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "kafka"), "answers")));
	yyjson_doc_free(doc);
	buffer_deinit(&body);
	buffer_init(&body, 100);
	CU_ASSERT_TRUE(report_write(&report, &arena, &body, &error) < 0);
	buffer_deinit(&body);
	arena_deinit(&arena);
	catalog_free(catalog);
}

int main(void)
{
	CU_TestInfo tests[] = {{"situations of a shard", test_rows},
	                       {"programs, cluster, sums", test_the_rest},
	                       {"unrecorded, too long", test_unrecorded_and_too_long},
	                       CU_TEST_INFO_NULL};

	return suite_run("cluster_report", tests);
}
