/*
 * Offsets that feeders skip: read, copied and written as they were, within
 * bounds; malformed ones refused.
 */
#include "shared/meta/skips.h"

#include "tests/unit/catalog_bed.h"

static const char skip_a1[] = "{\"v\":1,\"task\":7,\"offsets\":[0,41,9223372036854775807]}";

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
	{"\"v\":1", "\"v\":2", ERROR_VERSION}, {"[0,41", "[41,41", ERROR_FORMAT},
	{"[0,41", "[42,41", ERROR_FORMAT},     {"[0,", "[-1,", ERROR_FORMAT},
	{"[0,", "[\"0\",", ERROR_FORMAT},      {"41", "41.5", ERROR_FORMAT},
	{"5807", "5808", ERROR_FORMAT},        {"\"offsets\":[", "\"offsets\":[],\"x\":[", ERROR_FORMAT},
	{"\"task\":7,", "", ERROR_FORMAT},
};

static void test_malformed_records(void)
{
	struct catalog *catalog = filled();

	for (size_t i = 0; i < sizeof malformed_rows / sizeof *malformed_rows; i++) {
		char *value = replaced(skip_a1, malformed_rows[i].from, malformed_rows[i].to);
		struct error error = {0};

		if (apply(catalog, CATALOG_TOPIC_META, "skip/00000000000000aa/1", value, &error) !=
		    malformed_rows[i].expected) {
			printf("\nrow %zu: %s: code %d, %s\n", i, malformed_rows[i].to, error.code,
			       error.text);
			CU_FAIL("another answer than expected");
		}
		free(value);
	}
	CU_ASSERT_PTR_NULL(catalog_skips(catalog, ID_A, 1, &(size_t){0}));
	catalog_free(catalog);
}

static void test_skips(void)
{
	struct catalog *catalog = filled();
	const int64_t grown[] = {0, 41, 42, INT64_MAX};
	const int64_t *offsets;
	struct catalog *copy;
	struct buffer buffer;
	char *written;
	size_t len = 9;

	CU_ASSERT_PTR_NULL(catalog_skips(catalog, ID_A, 1, &len));
	CU_ASSERT_EQUAL(len, 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "skip/00000000000000aa/1", skip_a1), 0);
	CU_ASSERT_EQUAL(
		apply_meta(catalog, "skip/00000000000000aa/0", "{\"v\":1,\"task\":8,\"offsets\":[5]}"), 0);
	CU_ASSERT_EQUAL(
		apply_meta(catalog, "skip/00000000000000a0/1", "{\"v\":1,\"task\":9,\"offsets\":[6]}"), 0);
	copy = catalog_copy(catalog);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	buffer_init(&buffer, 1 << 20);
	catalog_write_skips(&buffer, 11, grown, 4);
	written = text_of(&buffer);
	CU_ASSERT_STRING_EQUAL(written, "{\"v\":1,\"task\":11,\"offsets\":[0,41,42,9223372036854775807]}");
	CU_ASSERT_EQUAL(apply_meta(catalog, "skip/00000000000000aa/1", written), 0);
	CU_ASSERT_PTR_NOT_NULL(catalog_skips(catalog, ID_A, 1, &len));
	CU_ASSERT_EQUAL(len, 4);
	catalog_free(catalog);
	offsets = catalog_skips(copy, ID_A, 1, &len);
	CU_ASSERT_EQUAL_FATAL(len, 3);
	CU_ASSERT_EQUAL(offsets[1], 41);
	CU_ASSERT_EQUAL(offsets[2], INT64_MAX);
	offsets = catalog_skips(copy, ID_A, 0, &len);
	CU_ASSERT_EQUAL_FATAL(len, 1);
	CU_ASSERT_EQUAL(offsets[0], 5);
	CU_ASSERT_EQUAL(catalog_skips(copy, 0xa0, 1, &len)[0], 6);
	CU_ASSERT_PTR_NULL(catalog_skips(copy, ID_A, 2, &len));
	CU_ASSERT_PTR_NULL(catalog_skips(copy, ID_B, 1, &len));
	free(written);
	buffer_deinit(&buffer);
	catalog_free(copy);
}

/* A shard whose skips cannot be read must not be fed: its index is unreadable. */
static void test_bounds_of_skips(void)
{
	struct catalog *catalog = filled();
	int64_t offsets[SKIPS_MAX + 1];
	struct buffer buffer;
	size_t len;

	buffer_init(&buffer, 1 << 20);
	for (size_t i = 0; i <= SKIPS_MAX; i++)
		offsets[i] = (int64_t)i;
	catalog_write_skips(&buffer, 1, offsets, SKIPS_MAX);
	CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 1, slice_string("skip/00000000000000aa/1"),
	                              buffer_slice(&buffer), &(struct error){0}),
	                0);
	CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_A));
	buffer_clear(&buffer);
	catalog_write_skips(&buffer, 2, offsets, SKIPS_MAX + 1);
	CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 1, slice_string("skip/00000000000000aa/1"),
	                              buffer_slice(&buffer), &(struct error){0}),
	                ERROR_FORMAT);
	CU_ASSERT_PTR_NOT_NULL(catalog_unreadable(catalog, ID_A));
	CU_ASSERT_PTR_NOT_NULL(catalog_skips(catalog, ID_A, 1, &len));
	CU_ASSERT_EQUAL(len, SKIPS_MAX);
	buffer_deinit(&buffer);
	catalog_free(catalog);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"malformed records", test_malformed_records},
		{"skips", test_skips},
		{"bounds of skips", test_bounds_of_skips},
		CU_TEST_INFO_NULL,
	};

	return suite_run("skips", tests);
}
