/* The uid of a topic's own index. */
#include "shared/meta/topic_uid.h"
#include "tests/unit/suite.h"

static const struct {
	const char *topic;
	const char *uid; /* NULL: none */
} rows[] = {
	{"orders", "orders"}, {"shop.orders", "shop_orders"}, {"a.B-c_1", "a_B-c_1"},
	{"..a.", "__a_"},     {"caf\xc3\xa9", "caf__"},       {"", NULL},
};

static void test_names(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char uid[INDEX_UID_BYTES_MAX + 1] = "untouched";

		CU_ASSERT_EQUAL(topic_uid_print(rows[i].topic, uid), rows[i].uid != NULL);
		CU_ASSERT_STRING_EQUAL(uid, rows[i].uid != NULL ? rows[i].uid : "untouched");
	}
}

static void test_length(void)
{
	char topic[TOPIC_BYTES_MAX + 1];
	char uid[INDEX_UID_BYTES_MAX + 1];

	memset(topic, 'a', sizeof topic);
	topic[INDEX_UID_BYTES_MAX + 1] = 0;
	CU_ASSERT_FALSE(topic_uid_print(topic, uid));
	topic[INDEX_UID_BYTES_MAX] = 0;
	CU_ASSERT_TRUE(topic_uid_print(topic, uid));
	CU_ASSERT_STRING_EQUAL(uid, topic);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"names", test_names},
		{"length", test_length},
		CU_TEST_INFO_NULL,
	};
	return suite_run("topic_uid", tests);
}
