/*
 * The gateway's memory of tasks and its count of documents.
 */
#include "query/core/stats.h"
#include "query/core/task_history.h"

#include "tests/unit/suite.h"

#define CREATION(uid) \
	"{\"v\":1,\"type\":\"indexCreation\",\"nonce\":\"0123456789abcdef0123456789abcdef\",\"uid\":\"" uid \
	"\",\"enqueued_at\":1000,\"primary_key\":\"key\",\"partitions\":12,\"partitioner\":\"murmur2\"}"
#define FINAL(task, status) \
	"{\"v\":1,\"task\":" task ",\"kind\":\"final\",\"status\":\"" status \
	"\",\"started_at\":2000,\"finished_at\":3000}"

#define SETTINGS(members) \
	"{\"v\":1,\"type\":\"settingsUpdate\",\"nonce\":\"0123456789abcdef0123456789abcdef\",\"uid\":" \
	"\"a\",\"enqueued_at\":1000," members "}"

static int request(struct task_history *history, int64_t offset, const char *value)
{
	struct error error;

	return task_history_request(history, offset, slice_string(value), &error);
}

static int final(struct task_history *history, const char *value)
{
	struct error error;

	return task_history_final(history, slice_string(value), &error);
}

static void test_either_order(void)
{
	for (int turn = 0; turn < 2; turn++) {
		struct task_history *history = task_history_new();
		struct task_entry entry;

		CU_ASSERT_PTR_NOT_NULL_FATAL(history);
		if (turn == 0)
			CU_ASSERT_EQUAL(request(history, 7, CREATION("a")), 0);
		CU_ASSERT_EQUAL(task_history_find(history, 7, &entry), turn == 0);
		CU_ASSERT_EQUAL(final(history, FINAL("7", "succeeded")), 0);
		CU_ASSERT_EQUAL(task_history_find(history, 7, &entry), turn == 0);
		if (turn == 1)
			CU_ASSERT_EQUAL(request(history, 7, CREATION("a")), 0);
		CU_ASSERT_TRUE_FATAL(task_history_find(history, 7, &entry));
		CU_ASSERT_EQUAL(task_history_count(history), 1);
		CU_ASSERT_STRING_EQUAL(entry.uid, "a");
		CU_ASSERT_STRING_EQUAL(entry.primary_key, "key");
		CU_ASSERT_EQUAL(entry.enqueued_at_ms, 1000);
		CU_ASSERT_TRUE(entry.has_final && entry.final.succeeded);
		CU_ASSERT_EQUAL(entry.final.finished_at_ms, 3000);
		task_history_free(history);
	}
}

static void test_first_final_wins(void)
{
	struct task_history *history = task_history_new();
	struct task_entry entry;

	CU_ASSERT_EQUAL(request(history, 0, CREATION("a")), 0);
	CU_ASSERT_EQUAL(
		final(history,
	              "{\"v\":1,\"task\":0,\"kind\":\"final\",\"status\":\"failed\",\"error\":{\"code\":"
	              "\"index_already_exists\",\"message\":\"m\"},\"started_at\":2,\"finished_at\":3}"),
		0);
	CU_ASSERT_EQUAL(final(history, FINAL("0", "succeeded")), 0);
	CU_ASSERT_TRUE_FATAL(task_history_find(history, 0, &entry));
	CU_ASSERT_FALSE(entry.final.succeeded);
	CU_ASSERT_STRING_EQUAL(entry.final.code, "index_already_exists");
	CU_ASSERT_STRING_EQUAL(entry.final.message, "m");
	CU_ASSERT_EQUAL(entry.final.finished_at_ms, 3);
	task_history_free(history);
}

static const struct {
	const char *request;
	const char *details;
} details_rows[] = {
	{SETTINGS("\"body\":{\"stopWords\":[\"the\"],\"synonyms\":null}"),
         "{\"stopWords\":[\"the\"],\"synonyms\":null}"},
	{SETTINGS("\"setting\":\"stop-words\",\"body\":[\"the\"]"), "{\"stopWords\":[\"the\"]}"},
	{SETTINGS("\"setting\":\"stop-words\",\"reset\":true"), "{\"stopWords\":null}"},
	{SETTINGS("\"reset\":true"),
         "{\"displayedAttributes\":null,\"searchableAttributes\":null,\"filterableAttributes\":null,"
         "\"sortableAttributes\":null,\"rankingRules\":null,\"stopWords\":null,\"nonSeparatorTokens\":null,"
         "\"separatorTokens\":null,\"dictionary\":null,\"synonyms\":null,\"distinctAttribute\":null,"
         "\"proximityPrecision\":null,\"typoTolerance\":null,\"faceting\":null,\"pagination\":null,"
         "\"embedders\":null,\"searchCutoffMs\":null,\"localizedAttributes\":null,\"facetSearch\":null,"
         "\"prefixSearch\":null}"},
	{CREATION("a"), ""},
};

static void test_details(void)
{
	for (size_t i = 0; i < sizeof details_rows / sizeof *details_rows; i++) {
		struct task_history *history = task_history_new();
		struct task_entry entry;

		CU_ASSERT_EQUAL(request(history, 7, details_rows[i].request), 0);
		CU_ASSERT_EQUAL(final(history, FINAL("7", "succeeded")), 0);
		CU_ASSERT_TRUE_FATAL(task_history_find(history, 7, &entry));
		CU_ASSERT_TRUE(slice_equal(entry.details, slice_string(details_rows[i].details)));
		CU_ASSERT_STRING_EQUAL(entry.uid, "a");
		task_history_free(history);
	}
}

/* The oldest lose theirs where all take too much; one that comes late does not bring them back. */
static void test_bound_of_details(void)
{
	struct task_history *history = task_history_new();
	size_t len = TASK_BODY_BYTES_MAX - 1024;
	size_t fit = TASK_DETAILS_BYTES_MAX / TASK_BODY_BYTES_MAX;
	struct task_entry entry;
	struct buffer value;
	struct error error;
	uint8_t *text;

	buffer_init(&value, TASK_RECORD_BYTES_MAX);
	buffer_append_string(&value, SETTINGS("\"body\":{\"x\":\"") "");
	value.len--; /* the closing brace */
	text = buffer_grow(&value, len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'x', len);
	buffer_append_string(&value, "\"}}");
	for (int64_t task = 2; task < 2 + 2 * (int64_t)fit; task++)
		CU_ASSERT_EQUAL(task_history_request(history, task, buffer_slice(&value), &error), 0);
	CU_ASSERT_EQUAL(task_history_request(history, 1, buffer_slice(&value), &error), 0);
	for (int64_t task = 1; task < 2 + 2 * (int64_t)fit; task++) {
		CU_ASSERT_TRUE_FATAL(task_history_find(history, task, &entry));
		CU_ASSERT_EQUAL(entry.details.len,
		                task < 2 + (int64_t)fit ? 0 : len + strlen("{\"x\":\"\"}"));
		CU_ASSERT_STRING_EQUAL(entry.uid, "a");
	}
	buffer_deinit(&value);
	task_history_free(history);
}

static void test_newest_are_kept(void)
{
	struct task_history *history = task_history_new();
	struct task_entry entry;

	CU_ASSERT_EQUAL(request(history, 5, CREATION("old")), 0);
	CU_ASSERT_EQUAL(request(history, 5 + TASK_HISTORY_MAX, CREATION("new")), 0);
	CU_ASSERT_EQUAL(request(history, 5, CREATION("old")), 0);
	CU_ASSERT_EQUAL(final(history, FINAL("5", "succeeded")), 0);
	CU_ASSERT_FALSE(task_history_find(history, 5, &entry));
	CU_ASSERT_TRUE_FATAL(task_history_find(history, 5 + TASK_HISTORY_MAX, &entry));
	CU_ASSERT_STRING_EQUAL(entry.uid, "new");
	CU_ASSERT_FALSE(entry.has_final);
	CU_ASSERT_EQUAL(task_history_count(history), 1);
	task_history_free(history);
}

static void test_unreadable(void)
{
	struct task_history *history = task_history_new();
	struct task_entry entry;

	CU_ASSERT_TRUE(request(history, 1, "nonsense") < 0);
	CU_ASSERT_TRUE(final(history, "{}") < 0);
	CU_ASSERT_TRUE(final(history, FINAL("-1", "succeeded")) < 0);
	CU_ASSERT_FALSE(task_history_find(history, 1, &entry));
	CU_ASSERT_FALSE(task_history_find(history, -1, &entry));
	CU_ASSERT_EQUAL(task_history_count(history), 0);
	task_history_free(history);
}

#define NAMES(task, names) "{\"v\":1,\"task\":" task ",\"names\":{" names "}}"
#define INDEX(task, state) \
	"{\"v\":1,\"task\":" task \
	",\"id\":\"00000000000000aa\",\"uid\":\"a\",\"topic\":\"t\",\"own_topic\":true,\"state\":\"" state \
	"\"," \
	"\"generation\":1,\"partitions\":1,\"base\":[0],\"partitioner\":\"murmur2\",\"primary_key\":\"id\"," \
	"\"writable\":true,\"rules\":{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":4194304," \
	"\"depth_max\":128,\"dedup_window\":0},\"created_at\":1000,\"updated_at\":2000}"

#define FORCE(version) \
	"{\"v\":1,\"task\":" version ",\"index\":\"00000000000000aa\",\"version\":" version \
	",\"settings\":{}}"

static void apply(struct catalog *catalog, enum catalog_topic topic, const char *key, const char *value)
{
	struct error error;

	CU_ASSERT_EQUAL_FATAL(
		catalog_apply(catalog, topic, 1, slice_string(key), slice_string(value), &error), 0);
}

/* A final may be read before the records it is about, topic by topic; it counts when a read would see them. */
static void test_reflected(void)
{
	struct task_entry created = {
		.task = 7, .type = TASK_TYPE_INDEX_CREATION, .uid = "a", .has_final = true};
	struct task_entry deleted = {
		.task = 9, .type = TASK_TYPE_INDEX_DELETION, .uid = "a", .has_final = true};
	struct catalog *catalog = catalog_new();

	CU_ASSERT_TRUE(task_entry_is_reflected(&created, catalog)); /* it failed: nothing to see */
	created.final.succeeded = true;
	deleted.final.succeeded = true;
	CU_ASSERT_FALSE(task_entry_is_reflected(&created, catalog));
	apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", INDEX("7", "active"));
	CU_ASSERT_FALSE(task_entry_is_reflected(&created, catalog));
	apply(catalog, CATALOG_TOPIC_META, "names", NAMES("7", "\"a\":\"00000000000000aa\""));
	CU_ASSERT_FALSE(task_entry_is_reflected(&created, catalog));
	apply(catalog, CATALOG_TOPIC_TOPOLOGY, "shard/00000000000000aa/0",
	      "{\"v\":1,\"task\":7,\"index\":\"00000000000000aa\",\"generation\":1,\"partition\":0,"
	      "\"replicas\":["
	      "{\"node\":\"n1\",\"incarnation\":\"\",\"state\":\"active\",\"in_sync\":true}]}");
	CU_ASSERT_TRUE(task_entry_is_reflected(&created, catalog));
	CU_ASSERT_FALSE(task_entry_is_reflected(&deleted, catalog));
	apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", INDEX("9", "deleted"));
	CU_ASSERT_TRUE(task_entry_is_reflected(&deleted, catalog));
	apply(catalog, CATALOG_TOPIC_META, "names", NAMES("9", ""));
	CU_ASSERT_TRUE(task_entry_is_reflected(&deleted, catalog));
	CU_ASSERT_TRUE(task_entry_is_reflected(&created, catalog));
	catalog_free(catalog);
}

/* By the settings in force, or a deletion. */
static void test_settings_are_reflected(void)
{
	struct task_entry entry = {.task = 7,
	                           .type = TASK_TYPE_SETTINGS_UPDATE,
	                           .uid = "a",
	                           .has_final = true,
	                           .final = {.succeeded = true}};
	struct catalog *catalog = catalog_new();

	CU_ASSERT_TRUE(task_entry_is_reflected(&entry, catalog)); /* deleted since */
	apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", INDEX("3", "active"));
	apply(catalog, CATALOG_TOPIC_META, "names", NAMES("3", "\"a\":\"00000000000000aa\""));
	CU_ASSERT_FALSE(task_entry_is_reflected(&entry, catalog));
	apply(catalog, CATALOG_TOPIC_META, "settings-next/00000000000000aa", FORCE("7"));
	CU_ASSERT_FALSE(task_entry_is_reflected(&entry, catalog));
	apply(catalog, CATALOG_TOPIC_META, "settings/00000000000000aa", FORCE("6"));
	CU_ASSERT_FALSE(task_entry_is_reflected(&entry, catalog));
	apply(catalog, CATALOG_TOPIC_META, "settings/00000000000000aa", FORCE("7"));
	CU_ASSERT_TRUE(task_entry_is_reflected(&entry, catalog));
	apply(catalog, CATALOG_TOPIC_META, "settings/00000000000000aa", FORCE("9"));
	CU_ASSERT_TRUE(task_entry_is_reflected(&entry, catalog));
	entry.task = 10;
	apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", INDEX("11", "active"));
	CU_ASSERT_TRUE(task_entry_is_reflected(&entry, catalog));
	catalog_free(catalog);
}

#define SHARD(index, p, documents, received, end) \
	"{\"index\":\"" index "\",\"generation\":1,\"partition\":" p \
	",\"state\":\"active\",\"received\":" received ",\"stored\":1,\"log_end\":" end \
	",\"documents\":" documents ",\"body_bytes\":100}"

static void test_stats(void)
{
	struct index_record index = {.id = 0xaa, .partitions = 3};
	struct index_stats sums;
	struct stats *stats;
	struct error error;
	struct arena arena;

	arena_init(&arena, 1024);
	stats = stats_new(NULL, &arena);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stats);
	CU_ASSERT_EQUAL(stats_add(stats,
	                          slice_string("{\"node\":\"n1\",\"shards\":[" SHARD(
					  "00000000000000aa", "0", "10", "5",
					  "5") "," SHARD("00000000000000aa", "2", "7", "3", "3") "]}"),
	                          &error),
	                0);
	stats_of_index(stats, &index, &sums);
	CU_ASSERT_EQUAL(sums.documents, 17);
	CU_ASSERT_EQUAL(sums.body_bytes, 200);
	CU_ASSERT_EQUAL(sums.missing, 1);
	CU_ASSERT_EQUAL(sums.first_missing, 1);
	CU_ASSERT_FALSE(sums.indexing);
	/* a sibling that has received more counts instead; another index does not count */
	CU_ASSERT_EQUAL(stats_add(stats,
	                          slice_string("{\"node\":\"n2\",\"shards\":[" SHARD(
					  "00000000000000aa", "0", "12", "6",
					  "9") "," SHARD("00000000000000aa", "2", "1", "2",
	                                                 "3") "," SHARD("00000000000000bb", "1", "99", "2",
	                                                                "3") "]}"),
	                          &error),
	                0);
	stats_of_index(stats, &index, &sums);
	CU_ASSERT_EQUAL(sums.documents, 19);
	CU_ASSERT_TRUE(sums.indexing);
	/* a stopped replica counts for nothing */
	CU_ASSERT_EQUAL(stats_add(stats,
	                          slice_string("{\"shards\":[{\"index\":\"00000000000000aa\",\"partition\":1,"
	                                       "\"state\":\"stopped\",\"documents\":0,\"received\":0}]}"),
	                          &error),
	                0);
	stats_of_index(stats, &index, &sums);
	CU_ASSERT_EQUAL(sums.missing, 1);
	CU_ASSERT_TRUE(stats_add(stats, slice_string("{\"shards\":[{}]}"), &error) < 0);
	CU_ASSERT_TRUE(stats_add(stats, slice_string("{\"shards\":{}}"), &error) < 0);
	CU_ASSERT_TRUE(
		stats_add(stats,
	                  slice_string("{\"shards\":[" SHARD("00000000000000aa", "0", "-1", "6", "9") "]}"),
	                  &error) < 0);
	arena_deinit(&arena);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"details", test_details},
		{"bound of details", test_bound_of_details},
		{"settings are reflected", test_settings_are_reflected},
		{"request and final in either order", test_either_order},
		{"the first final wins", test_first_final_wins},
		{"the newest tasks are kept", test_newest_are_kept},
		{"unreadable records", test_unreadable},
		{"successes that can be seen", test_reflected},
		{"stats", test_stats},
		CU_TEST_INFO_NULL,
	};

	return suite_run("task_history", tests);
}
