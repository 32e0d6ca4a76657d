/*
 * The catalog as programs see it: literal records in, lookups out; records of
 * other versions and malformed ones change nothing and are remembered.
 */
#include "tests/unit/catalog_bed.h"

static const char index_b[] =
	"{\"v\":1,\"task\":9,\"id\":\"00000000000000bb\",\"uid\":\"packages\",\"topic\":\"millrace.docs."
	"packages.9\","
	"\"own_topic\":true,\"state\":\"creating\",\"generation\":1,\"partitions\":1,"
	"\"partitioner\":\"crc32\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{\"contract\":1,"
	"\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,\"dedup_window\":0},"
	"\"created_at\":1000,\"updated_at\":2000}";
static const char names_a[] = "{\"v\":1,\"task\":3,\"names\":{\"packages\":\"00000000000000aa\"}}";
static const char cluster[] = "{\"v\":1,\"epoch\":2,\"task\":-1,\"kafka\":\"AAAA\",\"rf\":1,\"nodes\":[{"
			      "\"id\":\"n1\",\"group\":\"g0\","
			      "\"url\":\"http://127.0.0.1:7731\"}],\"oldest_task\":4}";
static const char cluster_known[] =
	"{\"v\":1,\"epoch\":3,\"task\":-1,\"kafka\":\"AAAA\",\"rf\":2,\"nodes\":["
	"{\"id\":\"n1\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:7731\","
	"\"incarnation\":\"000102030405060708090a0b0c0d0e0f\",\"format\":3},"
	"{\"id\":\"n2\",\"group\":\"g0\",\"url\":\"http://127.0.0.1:7732\"}],\"oldest_task\":4,"
	"\"controller\":\"http://127.0.0.1:7721\"}";
static const char shard_a1[] =
	"{\"v\":1,\"task\":3,\"index\":\"00000000000000aa\",\"generation\":1,\"partition\":1,\"replicas\":["
	"{\"node\":\"n1\",\"incarnation\":\"\",\"state\":\"active\",\"in_sync\":true}]}";

static struct catalog *filled(void)
{
	struct catalog *catalog = catalog_new();

	ASSERT(catalog != NULL);
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_a), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "names", names_a), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "cluster", cluster), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1", shard_a1), 0);
	return catalog;
}

static void check_filled(const struct catalog *catalog)
{
	const struct index_record *index = catalog_resolve(catalog, slice_string("packages"));
	const struct shard_record *shard = catalog_shard(catalog, ID_A, 1);
	const struct cluster_record *record = catalog_cluster(catalog);

	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	CU_ASSERT_EQUAL(index->id, ID_A);
	CU_ASSERT_STRING_EQUAL(index->uid, "packages");
	CU_ASSERT_STRING_EQUAL(index->topic, "millrace.docs.packages");
	CU_ASSERT_TRUE(index->own_topic);
	CU_ASSERT_EQUAL(index->state, INDEX_STATE_ACTIVE);
	CU_ASSERT_EQUAL(index->partitions, 2);
	CU_ASSERT_EQUAL(index->base[0], 0);
	CU_ASSERT_EQUAL(index->base[1], 7);
	CU_ASSERT_EQUAL(index->partitioner, PARTITIONER_MURMUR2);
	CU_ASSERT_EQUAL(index->rules.document_bytes_max, 4194304);
	CU_ASSERT_EQUAL(index->task, 3);
	CU_ASSERT_EQUAL(index->created_at_ms, 1000);
	CU_ASSERT_EQUAL(index->updated_at_ms, 2000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shard);
	CU_ASSERT_EQUAL(shard->replicas_len, 1);
	CU_ASSERT_STRING_EQUAL(shard->replicas[0].node, "n1");
	CU_ASSERT_EQUAL(shard->replicas[0].state, PLACEMENT_STATE_ACTIVE);
	CU_ASSERT_TRUE(shard->replicas[0].in_sync);
	CU_ASSERT_TRUE(incarnation_is_none(shard->replicas[0].incarnation));
	CU_ASSERT_PTR_NULL(catalog_shard(catalog, ID_A, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(record);
	CU_ASSERT_EQUAL(record->epoch, 2);
	CU_ASSERT_EQUAL(record->task, -1);
	CU_ASSERT_EQUAL(record->oldest_task, 4);
	CU_ASSERT_STRING_EQUAL(record->kafka, "AAAA");
	CU_ASSERT_PTR_NOT_NULL_FATAL(catalog_node(catalog, "n1"));
	CU_ASSERT_STRING_EQUAL(catalog_node(catalog, "n1")->url, "http://127.0.0.1:7731");
	CU_ASSERT_PTR_NULL(catalog_node(catalog, "n2"));
	CU_ASSERT_EQUAL(catalog_names_task(catalog), 3);
	CU_ASSERT_TRUE(catalog_topic_used(catalog, "millrace.docs.packages"));
	CU_ASSERT_FALSE(catalog_topic_used(catalog, "millrace.docs"));
}

static void test_literal_records(void)
{
	struct catalog *catalog = filled();

	check_filled(catalog);
	catalog_free(catalog);
}

static void test_copy_is_independent(void)
{
	struct catalog *catalog = filled();
	struct catalog *copy;

	CU_ASSERT_NOT_EQUAL(apply_meta(catalog, "index/00000000000000bb", "{\"v\":2}"), 0);
	copy = catalog_copy(catalog);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	catalog_free(catalog);
	check_filled(copy);
	CU_ASSERT_PTR_NOT_NULL(catalog_unreadable(copy, ID_B));
	catalog_free(copy);
}

static void test_empty(void)
{
	struct catalog *catalog = catalog_new();

	ASSERT(catalog != NULL);
	CU_ASSERT_EQUAL(catalog_names_task(catalog), -1);
	CU_ASSERT_PTR_NULL(catalog_cluster(catalog));
	CU_ASSERT_PTR_NULL(catalog_resolve(catalog, slice_string("packages")));
	CU_ASSERT_EQUAL(apply_topology(catalog, "cluster", cluster), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "settings/1", "of a later version"), 0);
	catalog_free(catalog);
}

static void test_other_version(void)
{
	struct catalog *catalog = filled();
	struct error error;

	CU_ASSERT_EQUAL(apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", "{\"v\":2}", &error),
	                ERROR_VERSION);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	CU_ASSERT_STRING_EQUAL(error.text,
	                       "meta record index/00000000000000aa at offset 42: version 2 is not known "
	                       "to this program, which reads version 1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(catalog_unreadable(catalog, ID_A));
	CU_ASSERT_STRING_EQUAL(catalog_unreadable(catalog, ID_A), error.text);
	CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_B));
	check_filled(catalog);
	/* a later readable record heals it; another key's does not */
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1", shard_a1), 0);
	CU_ASSERT_PTR_NOT_NULL(catalog_unreadable(catalog, ID_A));
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_a), 0);
	CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_A));
	catalog_free(catalog);
}

static const struct {
	enum catalog_topic topic;
	const char *key;
	const char *value;
	const char *from;
	const char *to;
	int expected;
} malformed_rows[] = {
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "{\"v\":1,", "{", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "{\"v\":1,", "[{\"v\":1,", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"v\":1", "\"v\":\"1\"", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "aa\"", "ab\"", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "packages\"", "pack ages\"", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "docs.packages", "docs/packages",
         ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"active\"", "\"asleep\"", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "[0,7]", "[0]", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "[0,7]", "[0,-7]", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "[0,7]", "[0,7.5]", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "[0,7]", "null", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"partitions\":2", "\"partitions\":1025",
         ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"partitions\":2", "\"partitions\":0",
         ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "murmur2", "murmur3", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"contract\":1", "\"contract\":3",
         ERROR_VERSION},
	{CATALOG_TOPIC_META, "index/00000000000000aa", index_a, "\"task\":3", "\"task\":-1", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "names", names_a, "\"00000000000000aa\"", "\"aa\"", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "names", names_a, "{\"packages", "{\"\",\"packages", ERROR_FORMAT},
	{CATALOG_TOPIC_META, "names", names_a,
         "\"packages\":", "\"packages\":\"00000000000000bb\",\"packages\":", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster, "\"epoch\":2", "\"epoch\":0", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster, "\"rf\":1", "\"rf\":9", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster, "\"AAAA\"", "\"\"", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster, "\"group\":\"g0\"", "\"group\":5", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster_known, "\"000102", "\"0102", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster_known, "\"000102", "7,\"x\":\"", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster_known, "\"format\":3", "\"format\":0", ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster_known, "\"format\":3", "\"format\":4294967296",
         ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "cluster", cluster_known, "\"controller\":\"", "\"controller\":7,\"x\":\"",
         ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "shard/00000000000000aa/1", shard_a1, "\"partition\":1", "\"partition\":2",
         ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "shard/00000000000000aa/1", shard_a1, "\"active\"", "\"idle\"",
         ERROR_FORMAT},
	{CATALOG_TOPIC_TOPOLOGY, "shard/00000000000000aa/1", shard_a1, "\"incarnation\":\"\"",
         "\"incarnation\":\"12\"", ERROR_FORMAT},
};

static void test_malformed_records(void)
{
	struct catalog *catalog = filled();

	for (size_t i = 0; i < sizeof malformed_rows / sizeof *malformed_rows; i++) {
		char *value = replaced(malformed_rows[i].value, malformed_rows[i].from, malformed_rows[i].to);
		struct error error = {0};

		if (apply(catalog, malformed_rows[i].topic, malformed_rows[i].key, value, &error) !=
		    malformed_rows[i].expected) {
			printf("\nrow %zu: %s: code %d, %s\n", i, malformed_rows[i].to, error.code,
			       error.text);
			CU_FAIL("another answer than expected");
		}
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, malformed_rows[i].key));
		free(value);
		check_filled(catalog);
	}
	catalog_free(catalog);
}

/* Every record cut at every byte is refused and nothing is read outside it. */
static void test_cut_records(void)
{
	struct catalog *catalog = filled();
	struct error error;

	for (size_t len = 1; len < strlen(index_a); len++) {
		char *value = malloc(len);

		ASSERT(value != NULL);
		memcpy(value, index_a, len);
		CU_ASSERT_NOT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 1,
		                                  slice_string("index/00000000000000aa"),
		                                  slice_of(value, len), &error),
		                    0);
		free(value);
	}
	check_filled(catalog);
	catalog_free(catalog);
}

static void test_keys(void)
{
	static const char *const unknown[] = {"index/aa", "index/00000000000000AA",  "name", "shard/x", "",
	                                      "cluster",  "shard/00000000000000aa/1"};
	struct catalog *catalog = catalog_new();

	ASSERT(catalog != NULL);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		CU_ASSERT_EQUAL(apply_meta(catalog, unknown[i], "{"), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/", "{"), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1024", "{"), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/99999999999", "{"), 0);
	CU_ASSERT_NOT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1023", "{"), 0);
	CU_ASSERT_PTR_NOT_NULL(catalog_unreadable(catalog, ID_A));
	catalog_free(catalog);
}

static void test_tombstones_delete_nothing(void)
{
	struct catalog *catalog = filled();

	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", ""), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "names", ""), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "cluster", ""), 0);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1", ""), 0);
	check_filled(catalog);
	catalog_free(catalog);
}

static void test_round_trips(void)
{
	struct catalog *catalog = filled();
	struct shard_record shard = *catalog_shard(catalog, ID_A, 1);
	struct buffer buffer;
	char *text;

	buffer_init(&buffer, 1 << 20);
	catalog_write_index(&buffer, catalog_index(catalog, ID_A));
	text = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(text, index_a);
	free(text);
	catalog_write_cluster(&buffer, catalog_cluster(catalog));
	text = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(text, cluster);
	free(text);
	catalog_write_shard(&buffer, &shard);
	text = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(text, shard_a1);
	free(text);
	shard.replicas[0].incarnation = (struct incarnation){{0x1, 0x2}};
	shard.replicas[0].state = PLACEMENT_STATE_LEAVING;
	shard.divergent = true;
	catalog_write_shard(&buffer, &shard);
	text = text_of(&buffer);
	CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1", text), 0);
	CU_ASSERT_TRUE(incarnation_equal(catalog_shard(catalog, ID_A, 1)->replicas[0].incarnation,
	                                 shard.replicas[0].incarnation));
	CU_ASSERT_EQUAL(catalog_shard(catalog, ID_A, 1)->replicas[0].state, PLACEMENT_STATE_LEAVING);
	CU_ASSERT_TRUE(catalog_shard(catalog, ID_A, 1)->divergent);
	free(text);
	buffer_deinit(&buffer);
	catalog_free(catalog);
}

/* A replica that comes by a copy: as it was written, or not at all. */
static void test_copied_replicas(void)
{
#define COPIED(incarnation, copy) \
	"{\"v\":1,\"task\":3,\"index\":\"00000000000000aa\",\"generation\":1,\"partition\":1," \
	"\"replicas\":[{\"node\":\"n1\",\"incarnation\":\"" incarnation \
	"\",\"state\":\"active\",\"in_sync\":false,\"copy\":" copy "}]}"
#define MADE "000102030405060708090a0b0c0d0e0f"
#define HEAD "\"head\":\"00112233445566778899aabbccddeeff\""
	static const char good[] = COPIED(MADE, "{" HEAD ",\"stored\":7,\"from\":9}");
	static const char *const refused[] = {
		COPIED("", "{" HEAD ",\"stored\":7,\"from\":9}"), /* of which incarnation? */
		COPIED(MADE, "{" HEAD ",\"stored\":7,\"from\":6}"),
		COPIED(MADE, "{" HEAD ",\"stored\":-1,\"from\":6}"),
		COPIED(MADE, "{" HEAD ",\"stored\":7}"),
		COPIED(MADE, "{\"stored\":7,\"from\":7}"),
		COPIED(MADE, "{\"head\":\"0011\",\"stored\":7,\"from\":7}"),
		COPIED(MADE, "true"),
	};
	struct catalog *catalog = filled();
	const struct placement_copy *copy;
	struct buffer buffer;
	char *text;

	CU_ASSERT_EQUAL_FATAL(apply_topology(catalog, "shard/00000000000000aa/1", good), 0);
	copy = &catalog_shard(catalog, ID_A, 1)->replicas[0].copy;
	CU_ASSERT_EQUAL(copy->head.high, 0x0011223344556677);
	CU_ASSERT_EQUAL(copy->head.low, 0x8899aabbccddeeff);
	CU_ASSERT_EQUAL(copy->stored, 7);
	CU_ASSERT_EQUAL(copy->from, 9);
	buffer_init(&buffer, 1 << 20);
	catalog_write_shard(&buffer, catalog_shard(catalog, ID_A, 1));
	text = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(text, good);
	free(text);
	buffer_deinit(&buffer);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		CU_ASSERT_EQUAL(apply_topology(catalog, "shard/00000000000000aa/1", refused[i]),
		                ERROR_FORMAT);
	CU_ASSERT_EQUAL(catalog_shard(catalog, ID_A, 1)->replicas[0].copy.from, 9);
	catalog_free(catalog);
}

/* Who has registered, and who is in office: read, copied and written as they were. */
static void test_registered_nodes(void)
{
	struct catalog *catalog = filled();
	const struct node_record *node;
	struct catalog *copy;
	struct buffer buffer;
	char text[33];
	char *written;

	CU_ASSERT_TRUE(incarnation_is_none(catalog_node(catalog, "n1")->incarnation));
	CU_ASSERT_EQUAL(catalog_node(catalog, "n1")->format, 0);
	CU_ASSERT_STRING_EQUAL(catalog_cluster(catalog)->controller, "");
	CU_ASSERT_EQUAL(apply_topology(catalog, "cluster", cluster_known), 0);
	copy = catalog_copy(catalog);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	catalog_free(catalog);
	node = catalog_node(copy, "n1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(node);
	incarnation_print(node->incarnation, text);
	CU_ASSERT_STRING_EQUAL(text, "000102030405060708090a0b0c0d0e0f");
	CU_ASSERT_EQUAL(node->format, 3);
	CU_ASSERT_TRUE(incarnation_is_none(catalog_node(copy, "n2")->incarnation));
	CU_ASSERT_EQUAL(catalog_node(copy, "n2")->format, 0);
	CU_ASSERT_STRING_EQUAL(catalog_cluster(copy)->controller, "http://127.0.0.1:7721");
	buffer_init(&buffer, 1 << 20);
	catalog_write_cluster(&buffer, catalog_cluster(copy));
	written = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(written, cluster_known);
	free(written);
	buffer_deinit(&buffer);
	catalog_free(copy);
}

static void test_placement_of_a_node(void)
{
	struct shard_record shard = {.replicas_len = 2, .replicas = {{.node = "n1"}, {.node = "n10"}}};

	CU_ASSERT_PTR_EQUAL(catalog_placement(&shard, "n1"), &shard.replicas[0]);
	CU_ASSERT_PTR_EQUAL(catalog_placement(&shard, "n10"), &shard.replicas[1]);
	CU_ASSERT_PTR_NULL(catalog_placement(&shard, "n"));
	CU_ASSERT_PTR_NULL(catalog_placement(&shard, ""));
}

static void check_names(const struct catalog *catalog, const char *uid, uint64_t id, const char *expected)
{
	struct buffer buffer;
	char *text;

	buffer_init(&buffer, 1 << 20);
	catalog_write_names(&buffer, catalog, 8, slice_string(uid), id);
	text = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
	buffer_deinit(&buffer);
}

static void test_names(void)
{
	struct catalog *catalog = filled();
	struct slice uid;
	uint64_t id;
	size_t at = 0;

	check_names(catalog, "a", ID_B,
	            "{\"v\":1,\"task\":8,\"names\":{\"a\":\"00000000000000bb\",\"packages\":"
	            "\"00000000000000aa\"}}");
	check_names(catalog, "z", ID_B,
	            "{\"v\":1,\"task\":8,\"names\":{\"packages\":\"00000000000000aa\",\"z\":"
	            "\"00000000000000bb\"}}");
	check_names(catalog, "packages", ID_B,
	            "{\"v\":1,\"task\":8,\"names\":{\"packages\":\"00000000000000bb\"}}");
	check_names(catalog, "packages", 0, "{\"v\":1,\"task\":8,\"names\":{}}");
	check_names(catalog, "other", 0,
	            "{\"v\":1,\"task\":8,\"names\":{\"packages\":\"00000000000000aa\"}}");
	CU_ASSERT_EQUAL(apply_meta(catalog, "names",
	                           "{\"v\":1,\"task\":8,\"names\":{\"b\":\"00000000000000bb\","
	                           "\"a\":\"00000000000000aa\"}}"),
	                0);
	CU_ASSERT_TRUE(catalog_next_name(catalog, &at, &uid, &id));
	CU_ASSERT_TRUE(slice_equal(uid, slice_string("a")));
	CU_ASSERT_EQUAL(id, ID_A);
	CU_ASSERT_TRUE(catalog_next_name(catalog, &at, &uid, &id));
	CU_ASSERT_TRUE(slice_equal(uid, slice_string("b")));
	CU_ASSERT_FALSE(catalog_next_name(catalog, &at, &uid, &id));
	catalog_free(catalog);
}

/* The name points at the new life only; the former one stays known. */
static void test_name_deleted_and_created_again(void)
{
	struct catalog *catalog = filled();
	char *deleted = replaced(index_a, "\"active\"", "\"deleted\"");
	char *active = replaced(index_b, "\"state\":\"creating\"", "\"base\":[5],\"state\":\"active\"");
	size_t at = 0;

	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", deleted), 0);
	CU_ASSERT_PTR_NULL(catalog_resolve(catalog, slice_string("packages")));
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000bb", index_b), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "names",
	                           "{\"v\":1,\"task\":9,\"names\":{\"packages\":\"00000000000000bb\"}}"),
	                0);
	CU_ASSERT_PTR_NULL(catalog_resolve(catalog, slice_string("packages"))); /* still creating */
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000bb", active), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(catalog_resolve(catalog, slice_string("packages")));
	CU_ASSERT_EQUAL(catalog_resolve(catalog, slice_string("packages"))->id, ID_B);
	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->state, INDEX_STATE_DELETED);
	CU_ASSERT_TRUE(catalog_topic_used(catalog, "millrace.docs.packages"));
	CU_ASSERT_EQUAL(catalog_next_index(catalog, &at)->id, ID_A);
	CU_ASSERT_EQUAL(catalog_next_index(catalog, &at)->id, ID_B);
	CU_ASSERT_PTR_NULL(catalog_next_index(catalog, &at));
	free(deleted);
	free(active);
	catalog_free(catalog);
}

static void test_ids_and_slots(void)
{
	char text[17];
	uint64_t id = 1;
	char uid[INDEX_UID_BYTES_MAX + 2];

	index_id_print(0xfedcba9876543210ULL, text);
	CU_ASSERT_STRING_EQUAL(text, "fedcba9876543210");
	CU_ASSERT_TRUE(index_id_parse(slice_string(text), &id));
	CU_ASSERT_EQUAL(id, 0xfedcba9876543210ULL);
	CU_ASSERT_FALSE(index_id_parse(slice_string("fedcba987654321"), &id));
	CU_ASSERT_FALSE(index_id_parse(slice_string("fedcba987654321g"), &id));
	CU_ASSERT_FALSE(index_id_parse(slice_string("FEDCBA9876543210"), &id));
	memset(uid, 'a', sizeof uid);
	CU_ASSERT_TRUE(index_uid_is_valid(slice_of(uid, INDEX_UID_BYTES_MAX)));
	CU_ASSERT_FALSE(index_uid_is_valid(slice_of(uid, INDEX_UID_BYTES_MAX + 1)));
	CU_ASSERT_FALSE(index_uid_is_valid(slice_string("")));
	CU_ASSERT_FALSE(index_uid_is_valid(slice_string("a.b")));
	CU_ASSERT_TRUE(index_uid_is_valid(slice_string("aZ09-_")));
	CU_ASSERT_EQUAL(slot_of(0, 0), 0);
	CU_ASSERT_EQUAL(slot_of(0, 1), 32);
	CU_ASSERT_EQUAL(slot_of(0, 2), 16);
	CU_ASSERT_EQUAL(slot_of(0, 63), 63);
	CU_ASSERT_EQUAL(slot_of(0, 64), 1);
	CU_ASSERT_EQUAL(slot_of(63, 1), 31);
	CU_ASSERT_EQUAL(slot_of(UINT64_MAX, 0), 63);
	CU_ASSERT_EQUAL(slot_of(UINT64_MAX, 1), 31);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"literal records", test_literal_records},
		{"a copy is independent", test_copy_is_independent},
		{"empty", test_empty},
		{"another version", test_other_version},
		{"malformed records", test_malformed_records},
		{"cut records", test_cut_records},
		{"keys", test_keys},
		{"tombstones delete nothing", test_tombstones_delete_nothing},
		{"round trips", test_round_trips},
		{"replicas by a copy", test_copied_replicas},
		{"registered nodes", test_registered_nodes},
		{"the placement of a node", test_placement_of_a_node},
		{"names", test_names},
		{"a name deleted and created again", test_name_deleted_and_created_again},
		{"ids and slots", test_ids_and_slots},
		CU_TEST_INFO_NULL,
	};

	return suite_run("catalog", tests);
}
