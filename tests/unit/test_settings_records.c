/*
 * Settings of an index as records: read, copied and written as they were,
 * within bounds; malformed ones refused and remembered, and nothing forgets.
 */
#include "shared/meta/settings_records.h"

#include "shared/settings/settings.h"
#include "tests/unit/catalog_bed.h"
#include "tests/unit/failing_allocations.h"

#define IN_FORCE "settings/00000000000000aa"
#define NEXT "settings-next/00000000000000aa"
#define SETTINGS \
	"{\"format\":1,\"settings\":{\"stopWords\":[\"d\xc3\xa9j\xc3\xa0\",\"a\\\"/" \
	"\"],\"n\":18446744073709551615}}"

static const char record_a[] =
	"{\"v\":1,\"task\":9,\"index\":\"00000000000000aa\",\"version\":7,\"settings\":" SETTINGS "}";

static struct catalog *filled(void)
{
	struct catalog *catalog = catalog_new();

	ASSERT(catalog != NULL);
	CU_ASSERT_EQUAL(apply_meta(catalog, "index/00000000000000aa", index_a), 0);
	return catalog;
}

static void put(struct catalog *catalog, const char *key, int64_t version)
{
	struct settings_record record = {
		.index_id = ID_A, .task = version, .version = version, .settings = slice_string(SETTINGS)};
	struct buffer value;
	struct error error;

	buffer_init(&value, SIZE_MAX);
	catalog_write_settings(&value, &record);
	CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 0, slice_string(key), buffer_slice(&value),
	                              &error),
	                0);
	buffer_deinit(&value);
}

static int64_t version_of(const struct settings_record *record)
{
	if (record == NULL)
		return -1;
	CU_ASSERT_EQUAL(record->index_id, ID_A);
	CU_ASSERT_TRUE(slice_equal(record->settings, slice_string(SETTINGS)));
	return record->version;
}

static void test_stages(void)
{
	struct catalog *catalog = filled();

	CU_ASSERT_PTR_NULL(catalog_settings(catalog, ID_A));
	CU_ASSERT_PTR_NULL(catalog_settings_next(catalog, ID_A));
	/* the first ones are built before anything is in force */
	put(catalog, NEXT, 3);
	CU_ASSERT_PTR_NULL(catalog_settings(catalog, ID_A));
	CU_ASSERT_EQUAL(version_of(catalog_settings_next(catalog, ID_A)), 3);
	put(catalog, IN_FORCE, 3);
	CU_ASSERT_EQUAL(version_of(catalog_settings(catalog, ID_A)), 3);
	CU_ASSERT_PTR_NULL(catalog_settings_next(catalog, ID_A));
	put(catalog, NEXT, 5);
	CU_ASSERT_EQUAL(version_of(catalog_settings(catalog, ID_A)), 3);
	CU_ASSERT_EQUAL(version_of(catalog_settings_next(catalog, ID_A)), 5);
	/* in force without being built: what was built before does not come back */
	put(catalog, IN_FORCE, 8);
	CU_ASSERT_EQUAL(version_of(catalog_settings(catalog, ID_A)), 8);
	CU_ASSERT_PTR_NULL(catalog_settings_next(catalog, ID_A));
	CU_ASSERT_PTR_NULL(catalog_settings(catalog, ID_B));
	CU_ASSERT_PTR_NULL(catalog_settings_next(catalog, ID_B));
	catalog_free(catalog);
}

static void test_round_trip(void)
{
	struct catalog *catalog = filled();
	struct buffer value;
	char *text;

	CU_ASSERT_EQUAL(apply_meta(catalog, IN_FORCE, record_a), 0);
	CU_ASSERT_EQUAL(catalog_settings(catalog, ID_A)->task, 9);
	CU_ASSERT_EQUAL(version_of(catalog_settings(catalog, ID_A)), 7);
	buffer_init(&value, SIZE_MAX);
	catalog_write_settings(&value, catalog_settings(catalog, ID_A));
	text = text_of(&value);
	CU_ASSERT_STRING_EQUAL(text, record_a);
	free(text);
	buffer_deinit(&value);
	catalog_free(catalog);
}

static void test_copy_and_tombstones(void)
{
	struct catalog *catalog = filled();
	struct catalog *copy;

	put(catalog, IN_FORCE, 3);
	put(catalog, NEXT, 5);
	CU_ASSERT_EQUAL(apply_meta(catalog, IN_FORCE, ""), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, NEXT, ""), 0);
	copy = catalog_copy(catalog);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	put(catalog, IN_FORCE, 9);
	catalog_free(catalog);
	CU_ASSERT_EQUAL(version_of(catalog_settings(copy, ID_A)), 3);
	CU_ASSERT_EQUAL(version_of(catalog_settings_next(copy, ID_A)), 5);
	catalog_free(copy);
}

static const struct {
	const char *from;
	const char *to;
	int expected;
} malformed_rows[] = {
	{"\"v\":1", "\"v\":2", ERROR_VERSION},
	{"\"v\":1,", "", ERROR_FORMAT},
	{"\"task\":9,", "", ERROR_FORMAT},
	{"\"task\":9", "\"task\":-1", ERROR_FORMAT},
	{"00aa", "00bb", ERROR_FORMAT},
	{"00aa", "00AA", ERROR_FORMAT},
	{"\"version\":7,", "", ERROR_FORMAT},
	{"\"version\":7", "\"version\":-1", ERROR_FORMAT},
	{"\"version\":7", "\"version\":\"7\"", ERROR_FORMAT},
	{"\"settings\":{\"format\"", "\"settings\":[],\"x\":{\"format\"", ERROR_FORMAT},
	{"\"settings\":{\"format\"", "\"x\":{\"format\"", ERROR_FORMAT},
	{"615}}}", "615}}", ERROR_FORMAT},
};

static void test_malformed_records(void)
{
	struct catalog *catalog = filled();

	put(catalog, IN_FORCE, 3);
	for (size_t i = 0; i < sizeof malformed_rows / sizeof *malformed_rows; i++) {
		char *value = replaced(record_a, malformed_rows[i].from, malformed_rows[i].to);
		struct error error = {0};

		if (apply(catalog, CATALOG_TOPIC_META, IN_FORCE, value, &error) !=
		    malformed_rows[i].expected) {
			printf("\nrow %zu: %s: code %d, %s\n", i, malformed_rows[i].to, error.code,
			       error.text);
			CU_FAIL("another answer than expected");
		}
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		CU_ASSERT_PTR_NOT_NULL(catalog_unreadable(catalog, ID_A));
		CU_ASSERT_EQUAL(version_of(catalog_settings(catalog, ID_A)), 3);
		free(value);
	}
	put(catalog, IN_FORCE, 4);
	CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_A));
	CU_ASSERT_EQUAL(apply_meta(catalog, "settings/aa", "{"), 0);
	CU_ASSERT_EQUAL(apply_meta(catalog, "settings-later/00000000000000aa", "{"), 0);
	CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_A));
	catalog_free(catalog);
}

/* The longest settings are taken, one byte more is not. */
static void test_longest(void)
{
	static const char begin[] =
		"{\"v\":1,\"task\":9,\"index\":\"00000000000000aa\",\"version\":7,\"settings\":{\"x\":\"";

	for (size_t more = 0; more < 2; more++) {
		size_t len = SETTINGS_RECORD_BYTES_MAX - strlen("{\"x\":\"\"}") + more;
		struct catalog *catalog = filled();
		struct buffer value;
		struct error error;
		uint8_t *text;

		buffer_init(&value, SIZE_MAX);
		buffer_append_string(&value, begin);
		text = buffer_grow(&value, len);
		ASSERT(text != NULL);
		memset(text, 'x', len);
		buffer_append_string(&value, "\"}}");
		CU_ASSERT_EQUAL(catalog_apply(catalog, CATALOG_TOPIC_META, 0, slice_string(IN_FORCE),
		                              buffer_slice(&value), &error),
		                more == 0 ? 0 : ERROR_LIMIT);
		CU_ASSERT_EQUAL(catalog_settings(catalog, ID_A) == NULL, more != 0);
		if (more == 0)
			CU_ASSERT_EQUAL(catalog_settings(catalog, ID_A)->settings.len,
			                SETTINGS_RECORD_BYTES_MAX);
		buffer_deinit(&value);
		catalog_free(catalog);
	}
}

/* Every index can have settings, found among all the others'; one index more cannot. */
static void test_many(void)
{
	struct catalog *catalog = catalog_new();
	struct error error = {0};

	ASSERT(catalog != NULL);
	for (uint64_t i = 0; i <= INDEXES_MAX; i++) {
		char value[256];
		char key[64];
		char id[17];
		int expected = i < INDEXES_MAX ? 0 : ERROR_LIMIT;

		index_id_print(i * 2654435761U, id); /* in no order */
		(void)snprintf(key, sizeof key, "settings/%s", id);
		(void)snprintf(value, sizeof value,
		               "{\"v\":1,\"task\":1,\"index\":\"%s\",\"version\":%d,\"settings\":{}}", id,
		               (int)i);
		CU_ASSERT_EQUAL(apply(catalog, CATALOG_TOPIC_META, key, value, &error), expected);
	}
	for (uint64_t i = 0; i < INDEXES_MAX; i++)
		CU_ASSERT_EQUAL(catalog_settings(catalog, i * 2654435761U)->version, (int64_t)i);
	catalog_free(catalog);
}

/* Without memory nothing has changed, and nothing counts as unreadable. */
static void test_without_memory(void)
{
	int rc = ERROR_MEMORY;
	long n;

	for (n = 0; rc != 0 && n < 100; n++) {
		struct catalog *catalog = filled();
		struct error error = {0};

		put(catalog, NEXT, 3);
		allocations_left = n;
		rc = apply(catalog, CATALOG_TOPIC_META, "settings/00000000000000bb",
		           "{\"v\":1,\"task\":9,"
		           "\"index\":\"00000000000000bb\",\"version\":7,\"settings\":{\"x\":[1,2]}}",
		           &error);
		allocations_left = -1;
		CU_ASSERT_TRUE(rc == 0 || rc == ERROR_MEMORY);
		CU_ASSERT_EQUAL(catalog_settings(catalog, ID_B) != NULL, rc == 0);
		CU_ASSERT_PTR_NULL(catalog_unreadable(catalog, ID_B));
		CU_ASSERT_EQUAL(version_of(catalog_settings_next(catalog, ID_A)), 3);
		catalog_free(catalog);
	}
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_TRUE(n > 3);
}

static void test_copy_without_memory(void)
{
	struct catalog *catalog = filled();
	struct catalog *copy = NULL;

	put(catalog, IN_FORCE, 3);
	put(catalog, NEXT, 5);
	for (long n = 0; copy == NULL && n < 100; n++) {
		allocations_left = n;
		copy = catalog_copy(catalog);
		allocations_left = -1;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(version_of(catalog_settings_next(copy, ID_A)), 5);
	catalog_free(copy);
	catalog_free(catalog);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a change passes from next to in force", test_stages},
		{"records come back as written", test_round_trip},
		{"a copy is independent, tombstones delete nothing", test_copy_and_tombstones},
		{"malformed records are refused and remembered", test_malformed_records},
		{"the longest settings", test_longest},
		{"settings of every index", test_many},
		{"without memory", test_without_memory},
		{"a copy without memory", test_copy_without_memory},
		CU_TEST_INFO_NULL,
	};

	return suite_run("settings records", tests);
}
