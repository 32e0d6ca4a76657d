/*
 * Sources of an index: read, copied and written as they were, within bounds;
 * malformed ones refused.
 */
#include "shared/meta/source.h"

#include "tests/unit/catalog_bed.h"

static const char index_imported[] = INDEX_A_BEGIN
	",\"sources\":[{\"name\":\"shop.orders\",\"topic\":\"shop.orders\",\"life\":1,\"paused\":false,"
	"\"start_ms\":0,\"rules\":{\"where\":[{\"field\":\"a/b\",\"op\":\"=\",\"value\":1.50e1}]}},"
	"{\"name\":\"logs\",\"pattern\":\"^logs\\\\..*\",\"life\":4294967295,\"paused\":true,"
	"\"start_ms\":9223372036854775807,\"dead_letter_topic\":\"shop.bad\",\"rules\":{}}]" INDEX_A_END;

static struct catalog *filled(void)
{
	struct catalog *catalog = catalog_new();

	ASSERT(catalog != NULL);
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_a), 0);
	return catalog;
}

static const struct {
	const char *from;
	const char *to;
	int expected;
} malformed_rows[] = {
	{"\"sources\":[", "\"sources\":[7,", ERROR_FORMAT},
	{"\"sources\":[", "\"sources\":7,\"x\":[", ERROR_FORMAT},
	{"\"name\":\"logs\"", "\"name\":\"shop.orders\"", ERROR_FORMAT},
	{"\"name\":\"logs\",", "", ERROR_FORMAT},
	{"\"name\":\"logs\"", "\"name\":\"a/b\"", ERROR_FORMAT},
	{"\"^logs", "\"logs", ERROR_FORMAT},
	{"\"^logs", "\"^\\u0000", ERROR_FORMAT},
	{"\"pattern\"", "\"topic\":\"t\",\"pattern\"", ERROR_FORMAT},
	{"\"topic\":\"shop.orders\"", "\"topic\":\"..\"", ERROR_FORMAT},
	{"4294967295", "4294967296", ERROR_FORMAT},
	{"4294967295", "0", ERROR_FORMAT},
	{"4294967295", "1.0", ERROR_FORMAT},
	{"\"paused\":true", "\"paused\":1", ERROR_FORMAT},
	{"9223372036854775807", "9223372036854775808", ERROR_FORMAT},
	{"9223372036854775807", "-1", ERROR_FORMAT},
	{"\"shop.bad\"", "\"\"", ERROR_FORMAT},
	{"\"rules\":{}", "\"rules\":[]", ERROR_FORMAT},
};

static void test_malformed_records(void)
{
	struct catalog *catalog = filled();

	for (size_t i = 0; i < sizeof malformed_rows / sizeof *malformed_rows; i++) {
		char *value = replaced(index_imported, malformed_rows[i].from, malformed_rows[i].to);
		struct error error = {0};

		if (apply(catalog, CATALOG_TOPIC_META, "index/00000000000000aa", value, &error) !=
		    malformed_rows[i].expected) {
			printf("\nrow %zu: %s: code %d, %s\n", i, malformed_rows[i].to, error.code,
			       error.text);
			CU_FAIL("another answer than expected");
		}
		free(value);
	}
	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->sources_len, 0);
	catalog_free(catalog);
}

static void check_imported(const struct catalog *catalog)
{
	const struct index_record *index = catalog_index(catalog, ID_A);

	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	CU_ASSERT_EQUAL_FATAL(index->sources_len, 2);
	CU_ASSERT_STRING_EQUAL(index->sources[0].name, "shop.orders");
	CU_ASSERT_STRING_EQUAL(index->sources[0].topic, "shop.orders");
	CU_ASSERT_STRING_EQUAL(index->sources[0].pattern, "");
	CU_ASSERT_STRING_EQUAL(index->sources[0].dead_letter_topic, "");
	CU_ASSERT_EQUAL(index->sources[0].life, 1);
	CU_ASSERT_FALSE(index->sources[0].paused);
	CU_ASSERT_EQUAL(index->sources[0].start_ms, 0);
	CU_ASSERT_TRUE(
		slice_equal(index->sources[0].rules,
	                    slice_string("{\"where\":[{\"field\":\"a/b\",\"op\":\"=\",\"value\":1.50e1}]}")));
	CU_ASSERT_STRING_EQUAL(index->sources[1].name, "logs");
	CU_ASSERT_STRING_EQUAL(index->sources[1].topic, "");
	CU_ASSERT_STRING_EQUAL(index->sources[1].pattern, "^logs\\..*");
	CU_ASSERT_STRING_EQUAL(index->sources[1].dead_letter_topic, "shop.bad");
	CU_ASSERT_EQUAL(index->sources[1].life, UINT32_MAX);
	CU_ASSERT_TRUE(index->sources[1].paused);
	CU_ASSERT_EQUAL(index->sources[1].start_ms, INT64_MAX);
	CU_ASSERT_TRUE(slice_equal(index->sources[1].rules, slice_string("{}")));
}

/* Read, copied, written as they were; numbers of rules too. */
static void test_sources(void)
{
	struct catalog *catalog = filled();
	struct catalog *copy;
	struct buffer buffer;
	char *written;

	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->sources_len, 0);
	CU_ASSERT_PTR_NULL(catalog_index(catalog, ID_A)->sources);
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_imported), 0);
	check_imported(catalog);
	copy = catalog_copy(catalog);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_a), 0);
	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->sources_len, 0);
	catalog_free(catalog);
	check_imported(copy);
	buffer_init(&buffer, 1 << 20);
	catalog_write_index(&buffer, catalog_index(copy, ID_A));
	written = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(written, index_imported);
	free(written);
	buffer_deinit(&buffer);
	catalog_free(copy);
}

/* A record with `count` sources, the rules of each with a text of `bytes`. */
static int apply_many_sources(struct catalog *catalog, size_t count, size_t bytes)
{
	struct index_record index = *catalog_index(catalog, ID_A);
	struct source_record *sources = calloc(count, sizeof *sources);
	struct buffer rules, value;
	struct error error;
	int status;

	ASSERT(sources != NULL);
	buffer_init(&rules, 1 << 20);
	buffer_init(&value, 16 << 20);
	buffer_printf(&rules, "{\"a\":\"%0*d\"}", (int)bytes - 8, 0);
	CU_ASSERT_EQUAL(rules.len, bytes);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(sources[i].topic, sizeof sources[i].topic, "t%zu", i);
		(void)snprintf(sources[i].name, sizeof sources[i].name, "t%zu", i);
		sources[i].life = 1;
		sources[i].rules = buffer_slice(&rules);
	}
	index.sources = sources;
	index.sources_len = count;
	catalog_write_index(&value, &index);
	status = catalog_apply(catalog, CATALOG_TOPIC_META, 1, slice_string("index/00000000000000aa"),
	                       buffer_slice(&value), &error);
	buffer_deinit(&rules);
	buffer_deinit(&value);
	free(sources);
	return status;
}

static void test_bounds_of_sources(void)
{
	struct catalog *catalog = filled();

	CU_ASSERT_EQUAL(apply_many_sources(catalog, SOURCES_MAX, 100), 0);
	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->sources_len, SOURCES_MAX);
	CU_ASSERT_EQUAL(apply_many_sources(catalog, SOURCES_MAX + 1, 100), ERROR_LIMIT);
	CU_ASSERT_EQUAL(apply_many_sources(catalog, 8, SOURCE_RULES_BYTES_MAX), 0);
	CU_ASSERT_EQUAL(apply_many_sources(catalog, 9, SOURCE_RULES_BYTES_MAX), ERROR_LIMIT);
	CU_ASSERT_EQUAL(apply_many_sources(catalog, 1, SOURCE_RULES_BYTES_MAX + 1), ERROR_LIMIT);
	CU_ASSERT_EQUAL(catalog_index(catalog, ID_A)->sources_len, 8);
	catalog_free(catalog);
}

/* The member that a record of an earlier program lacks. */
static void test_defaults_of_a_source(void)
{
	struct catalog *catalog = filled();
	char *value = replaced(index_a, "\"created_at\"", "\"sources\":[{\"topic\":\"t\"}],\"created_at\"");
	const struct source_record *source;

	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", value), 0);
	CU_ASSERT_EQUAL_FATAL(catalog_index(catalog, ID_A)->sources_len, 1);
	source = catalog_index(catalog, ID_A)->sources;
	CU_ASSERT_STRING_EQUAL(source->name, "t");
	CU_ASSERT_EQUAL(source->life, 1);
	CU_ASSERT_FALSE(source->paused);
	CU_ASSERT_EQUAL(source->start_ms, 0);
	CU_ASSERT_TRUE(slice_equal(source->rules, slice_string("{}")));
	free(value);
	catalog_free(catalog);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"malformed records", test_malformed_records},
		{"sources", test_sources},
		{"bounds of sources", test_bounds_of_sources},
		{"defaults of a source", test_defaults_of_a_source},
		CU_TEST_INFO_NULL,
	};

	return suite_run("source", tests);
}
