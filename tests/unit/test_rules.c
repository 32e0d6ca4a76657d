/*
 * Rules: their text, their digest, and partitioners against values of
 * Kafka's own clients.
 */
#include "shared/record/rules.h"

#include "tests/unit/suite.h"

static const char default_text[] = "{\"contract\":2,\"id_bytes_max\":511,\"document_bytes_max\":4194304,"
				   "\"depth_max\":128,\"dedup_window\":1000000}";
/* Of the generations that were made under contract 1. */
static const char first_text[] = "{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":4194304,"
				 "\"depth_max\":128,\"dedup_window\":0}";

static int parse(const char *text, struct rules *rules, struct error *error)
{
	yyjson_doc *doc;
	int rc;

	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(text), &doc, error), 0);
	rc = rules_parse(yyjson_doc_get_root(doc), rules, error);
	yyjson_doc_free(doc);
	return rc;
}

static void test_default_text(void)
{
	struct rules rules = rules_default();
	struct buffer text;

	buffer_init(&text, 1024);
	rules_append(&text, &rules);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&text), slice_string(default_text)));
	buffer_deinit(&text);
}

static void test_round_trip(void)
{
	struct rules rules;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(parse(default_text, &rules, &error), 0);
	CU_ASSERT_EQUAL(rules.contract, 2);
	CU_ASSERT_EQUAL(rules.id_bytes_max, 511);
	CU_ASSERT_EQUAL(rules.document_bytes_max, 4194304);
	CU_ASSERT_EQUAL(rules.depth_max, 128);
	CU_ASSERT_EQUAL(rules.dedup_window, 1000000);
	CU_ASSERT_EQUAL_FATAL(parse(first_text, &rules, &error), 0);
	CU_ASSERT_EQUAL(rules.contract, 1);
	CU_ASSERT_EQUAL(rules.dedup_window, 0);
}

static void test_refused_texts(void)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"{}", ERROR_FORMAT},
		{"{\"contract\":\"1\"}", ERROR_FORMAT},
		{"{\"contract\":3,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":0}",
	         ERROR_VERSION},
		{"{\"contract\":0,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":0}",
	         ERROR_VERSION},
		{"{\"contract\":4294967297,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":0}",
	         ERROR_VERSION},
		{"{\"contract\":1,\"id_bytes_max\":0,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":0}",
	         ERROR_FORMAT},
		{"{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":4294967296,\"depth_max\":1,"
	         "\"dedup_window\":0}",
	         ERROR_FORMAT},
		{"{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":-1,"
	         "\"dedup_window\":0}",
	         ERROR_FORMAT},
		{"{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":1}",
	         ERROR_FORMAT},
		{"{\"contract\":2,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":-1}",
	         ERROR_FORMAT},
		{"{\"contract\":2,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1,"
	         "\"dedup_window\":1000000001}",
	         ERROR_FORMAT},
		{"{\"contract\":1,\"id_bytes_max\":511,\"document_bytes_max\":1,\"depth_max\":1}",
	         ERROR_FORMAT},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rules rules = {.contract = 77};
		struct error error;

		CU_ASSERT_EQUAL(parse(rows[i].text, &rules, &error), rows[i].code);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_EQUAL(rules.contract, 77); /* written only on success */
	}
}

/* XXH3 of first_text and default_text, by python-xxhash. The digest is in stored replicas: it must never change. */
static void test_digest(void)
{
	struct rules rules;
	struct error error;
	uint64_t digest;

	CU_ASSERT_EQUAL_FATAL(parse(first_text, &rules, &error), 0);
	CU_ASSERT_EQUAL(rules_digest(&rules), 0xdcb65fd2b09f0657ULL);
	rules = rules_default();
	digest = rules_digest(&rules);
	CU_ASSERT_EQUAL(digest, 0x575d634c0a7bd34dULL);
	rules.contract = 1;
	CU_ASSERT_NOT_EQUAL(rules_digest(&rules), digest);
	rules = rules_default();
	rules.id_bytes_max--;
	CU_ASSERT_NOT_EQUAL(rules_digest(&rules), digest);
	rules = rules_default();
	rules.document_bytes_max++;
	CU_ASSERT_NOT_EQUAL(rules_digest(&rules), digest);
	rules = rules_default();
	rules.depth_max++;
	CU_ASSERT_NOT_EQUAL(rules_digest(&rules), digest);
	rules = rules_default();
	rules.dedup_window++;
	CU_ASSERT_NOT_EQUAL(rules_digest(&rules), digest);
}

/* murmur2: org.apache.kafka.common.utils.UtilsTest (-973932308, -790332482, …), & 0x7fffffff, mod 12.
 * crc32: zlib, mod 12. */
static void test_partitioners(void)
{
	static const struct {
		const char *key;
		int32_t murmur2;
		int32_t crc32;
	} rows[] = {
		{"21", 0, 4},
		{"foobar", 6, 5},
		{"a-little-bit-long-string", 8, 6},
		{"a-little-bit-longer-string", 11, 2},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 5, 1},
		{"abc", 3, 6},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice key = slice_string(rows[i].key);

		CU_ASSERT_EQUAL(partitioner_choose(PARTITIONER_MURMUR2, key, 12), rows[i].murmur2);
		CU_ASSERT_EQUAL(partitioner_choose(PARTITIONER_CRC32, key, 12), rows[i].crc32);
		CU_ASSERT_EQUAL(partitioner_choose(PARTITIONER_NONE, key, 12), -1);
		CU_ASSERT_EQUAL(partitioner_choose(PARTITIONER_MURMUR2, key, 1), 0);
	}
}

static void test_partitioner_names(void)
{
	enum partitioner partitioner = PARTITIONER_CRC32;

	CU_ASSERT_STRING_EQUAL(partitioner_name(PARTITIONER_NONE), "none");
	CU_ASSERT_STRING_EQUAL(partitioner_name(PARTITIONER_MURMUR2), "murmur2");
	CU_ASSERT_STRING_EQUAL(partitioner_name(PARTITIONER_CRC32), "crc32");
	CU_ASSERT_TRUE(partitioner_parse(slice_string("murmur2"), &partitioner));
	CU_ASSERT_EQUAL(partitioner, PARTITIONER_MURMUR2);
	CU_ASSERT_FALSE(partitioner_parse(slice_string("murmur"), &partitioner));
	CU_ASSERT_FALSE(partitioner_parse(slice_string(""), &partitioner));
	CU_ASSERT_EQUAL(partitioner, PARTITIONER_MURMUR2);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"text of the default rules", test_default_text},
		{"round trip", test_round_trip},
		{"texts that are refused", test_refused_texts},
		{"digest", test_digest},
		{"partitioners", test_partitioners},
		{"names of partitioners", test_partitioner_names},
		CU_TEST_INFO_NULL,
	};

	return suite_run("rules", tests);
}
