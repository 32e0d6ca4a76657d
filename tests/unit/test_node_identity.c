/* Whose a data directory is: the file's content, there and back, and what it refuses. */
#include "shard/core/node_identity.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *content;
	const char *refused; /* words of the error; NULL: read */
} rows[] = {
	{"whole", "{\"v\":1,\"id\":\"n1\",\"incarnation\":\"00112233445566778899aabbccddeeff\"}\n", NULL},
	{"with a member more",
         "{\"v\":1,\"id\":\"n1\",\"incarnation\":\"00112233445566778899aabbccddeeff\",\"x\":2}", NULL},
	{"empty", "", "not JSON"},
	{"cut", "{\"v\":1,\"id\":\"n1\",\"incarn", "not JSON"},
	{"no object", "[1]", "version"},
	{"another version", "{\"v\":2,\"id\":\"n1\",\"incarnation\":\"00112233445566778899aabbccddeeff\"}",
         "does not know"},
	{"no id", "{\"v\":1,\"incarnation\":\"00112233445566778899aabbccddeeff\"}", "`id`"},
	{"an empty id", "{\"v\":1,\"id\":\"\",\"incarnation\":\"00112233445566778899aabbccddeeff\"}", "`id`"},
	{"an id too long",
         "{\"v\":1,\"id\":\"n123456789012345678901234567890123456789012345678901234567890123\","
         "\"incarnation\":\"00112233445566778899aabbccddeeff\"}",
         "`id`"},
	{"a short incarnation", "{\"v\":1,\"id\":\"n1\",\"incarnation\":\"0011\"}", "`incarnation`"},
	{"no incarnation", "{\"v\":1,\"id\":\"n1\",\"incarnation\":\"00000000000000000000000000000000\"}",
         "`incarnation`"},
};

static void test_contents(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct node_identity identity = {.id = "before"};
		struct error error = {.code = 0};
		char incarnation[33];
		int rc = node_identity_parse(slice_string(rows[i].content), &identity, &error);

		if (rows[i].refused == NULL) {
			incarnation_print(identity.incarnation, incarnation);
			CU_ASSERT_EQUAL(rc, 0);
			CU_ASSERT_STRING_EQUAL(identity.id, "n1");
			CU_ASSERT_STRING_EQUAL(incarnation, "00112233445566778899aabbccddeeff");
			continue;
		}
		if (rc != ERROR_CONFIGURATION || strstr(error.text, rows[i].refused) == NULL)
			printf("%s: %d \"%s\"\n", rows[i].name, rc, error.text);
		CU_ASSERT_EQUAL(rc, ERROR_CONFIGURATION);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, rows[i].refused));
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "empty directory"));
		CU_ASSERT_STRING_EQUAL(identity.id, "before");
	}
}

static void test_written(void)
{
	struct node_identity identity = {.id = "n-7", .incarnation = {{0x8899aabbccddeeff, 0x77}}};
	struct node_identity read;
	struct buffer content;
	struct error error;

	buffer_init(&content, 4096);
	node_identity_append(&content, &identity);
	CU_ASSERT_TRUE(slice_equal(
		buffer_slice(&content),
		slice_string(
			"{\"v\":1,\"id\":\"n-7\",\"incarnation\":\"00000000000000778899aabbccddeeff\"}\n")));
	CU_ASSERT_EQUAL(node_identity_parse(buffer_slice(&content), &read, &error), 0);
	CU_ASSERT_STRING_EQUAL(read.id, "n-7");
	CU_ASSERT_TRUE(incarnation_equal(read.incarnation, identity.incarnation));
	buffer_deinit(&content);
}

static void test_check(void)
{
	struct node_identity identity = {.id = "n1", .incarnation = {{1, 2}}};
	struct error error = {.code = 0};

	CU_ASSERT_EQUAL(node_identity_check(&identity, "n1", &error), 0);
	CU_ASSERT_EQUAL(node_identity_check(&identity, "n2", &error), ERROR_CONFIGURATION);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "belongs to node n1, but shard.id is n2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "--shard.id n1"));
	CU_ASSERT_EQUAL(node_identity_check(&identity, "n", &error), ERROR_CONFIGURATION);
}

int main(void)
{
	CU_TestInfo tests[] = {{"contents", test_contents},
	                       {"what is written is read", test_written},
	                       {"another node's directory", test_check},
	                       CU_TEST_INFO_NULL};

	return suite_run("node identity", tests);
}
