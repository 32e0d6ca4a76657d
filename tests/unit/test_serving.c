/* Serving: which replica answers, by its own state and by its shard's record, and when a question waits. */
#include "shard/core/serving.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

#define INDEX_ID 0x1234
#define OWN "000000000000000000000000000000aa"
#define OTHER "000000000000000000000000000000bb"

/* The replicas of a shard record, and whether n1's, of incarnation OWN, may serve. */
static const struct {
	const char *name;
	const char *replicas;
	bool recorded;
} records[] = {
	{"in-sync, not registered yet",
         "{\"node\":\"n1\",\"incarnation\":\"\",\"state\":\"active\",\"in_sync\":true}", true},
	{"in-sync as this incarnation",
         "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"active\",\"in_sync\":true}", true},
	{"in-sync as another incarnation",
         "{\"node\":\"n1\",\"incarnation\":\"" OTHER "\",\"state\":\"active\",\"in_sync\":true}", false},
	{"out of sync",
         "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"active\",\"in_sync\":false}", false},
	{"joining", "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"joining\",\"in_sync\":false}",
         false},
	{"leaving", "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"leaving\",\"in_sync\":false}",
         false},
	{"a sibling is out of sync, this one is not",
         "{\"node\":\"n0\",\"incarnation\":\"" OTHER "\",\"state\":\"active\",\"in_sync\":false},"
         "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"active\",\"in_sync\":true}",
         true},
	{"a sibling is in-sync, this one is not",
         "{\"node\":\"n0\",\"incarnation\":\"" OTHER "\",\"state\":\"active\",\"in_sync\":true},"
         "{\"node\":\"n1\",\"incarnation\":\"" OWN "\",\"state\":\"active\",\"in_sync\":false}",
         false},
	{"only a sibling is named",
         "{\"node\":\"n0\",\"incarnation\":\"" OWN "\",\"state\":\"active\",\"in_sync\":true}", false},
};

static bool recorded(struct catalog *catalog, const char *replicas, int32_t generation)
{
	struct holding holding = {INDEX_ID, generation, 0, true, {{0, 0}}};
	struct incarnation own;
	struct error error;
	char value[1024];

	CU_ASSERT_TRUE_FATAL(incarnation_parse(slice_string(OWN), &own));
	(void)snprintf(value, sizeof value,
	               "{\"v\":1,\"task\":1,\"index\":\"0000000000001234\",\"generation\":1,\"partition\":0,"
	               "\"replicas\":[%s]}",
	               replicas);
	if (catalog_apply(catalog, CATALOG_TOPIC_TOPOLOGY, 0, slice_string("shard/0000000000001234/0"),
	                  slice_string(value), &error) != 0)
		printf("%s\n", error.text);
	return serving_recorded(catalog, "n1", &holding, own);
}

static void test_records(void)
{
	struct holding holding = {INDEX_ID, 1, 0, true, {{0, 0}}};
	struct incarnation own;
	struct catalog *catalog = catalog_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(catalog);
	CU_ASSERT_TRUE_FATAL(incarnation_parse(slice_string(OWN), &own));
	CU_ASSERT_FALSE(serving_recorded(catalog, "n1", &holding, own));
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
		bool found = recorded(catalog, records[i].replicas, 1);

		if (found != records[i].recorded)
			printf("%s\n", records[i].name);
		CU_ASSERT_EQUAL(found, records[i].recorded);
		CU_ASSERT_FALSE(recorded(catalog, records[i].replicas, 2)); /* of another generation */
	}
	catalog_free(catalog);
}

/* held, state, recorded, received, wanted → for those who want it fresh, and for those who accept it stale */
static const struct {
	struct serving_shard shard;
	enum serving fresh;
	enum serving stale;
} shards[] = {
	{{false, REPLICA_STATE_STOPPED, false, 0, 0}, SERVING_ABSENT, SERVING_ABSENT},
	{{true, REPLICA_STATE_STOPPED, true, 9, 0}, SERVING_STOPPED, SERVING_STOPPED},
	{{true, REPLICA_STATE_RECOVERING, true, 9, 0}, SERVING_RECOVERING, SERVING_ACTIVE},
	{{true, REPLICA_STATE_RECOVERING, false, 9, 0}, SERVING_RECOVERING, SERVING_ACTIVE},
	{{true, REPLICA_STATE_ACTIVE, false, 9, 0}, SERVING_RECOVERING, SERVING_ACTIVE},
	{{true, REPLICA_STATE_ACTIVE, true, 9, 0}, SERVING_ACTIVE, SERVING_ACTIVE},
	{{true, REPLICA_STATE_ACTIVE, true, 0, 0}, SERVING_ACTIVE, SERVING_ACTIVE},
	{{true, REPLICA_STATE_ACTIVE, true, 9, 9}, SERVING_ACTIVE, SERVING_ACTIVE},
	{{true, REPLICA_STATE_ACTIVE, true, 9, 10}, SERVING_BEHIND, SERVING_BEHIND},
	{{true, REPLICA_STATE_RECOVERING, true, 9, 10}, SERVING_RECOVERING, SERVING_BEHIND},
	{{true, REPLICA_STATE_ACTIVE, false, 9, 10}, SERVING_RECOVERING, SERVING_BEHIND},
};

static void test_shards(void)
{
	for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
		CU_ASSERT_EQUAL(serving_of(&shards[i].shard, false), shards[i].fresh);
		CU_ASSERT_EQUAL(serving_of(&shards[i].shard, true), shards[i].stale);
	}
	CU_ASSERT_STRING_EQUAL(serving_name(SERVING_ACTIVE), "active");
	CU_ASSERT_STRING_EQUAL(serving_name(SERVING_RECOVERING), "recovering");
	CU_ASSERT_STRING_EQUAL(serving_name(SERVING_BEHIND), "behind");
	CU_ASSERT_STRING_EQUAL(serving_name(SERVING_STOPPED), "stopped");
	CU_ASSERT_STRING_EQUAL(serving_name(SERVING_ABSENT), "absent");
}

#define LEVEL \
	{ \
		true, REPLICA_STATE_ACTIVE, true, 9, 9 \
	}
#define SHORT \
	{ \
		true, REPLICA_STATE_ACTIVE, true, 9, 10 \
	}
#define RETURNING \
	{ \
		true, REPLICA_STATE_RECOVERING, true, 9, 0 \
	}
#define GONE \
	{ \
		false, REPLICA_STATE_STOPPED, false, 0, 0 \
	}

static const struct {
	const char *name;
	struct serving_shard shards[2];
	struct serving_terms terms; /* stale, may wait, arrived, deadline, now */
	enum serving_verdict verdict;
} questions[] = {
	{"all serve", {LEVEL, LEVEL}, {false, true, 0, 1000, 10}, SERVING_VERDICT_ANSWER},
	{"no deadline", {LEVEL, LEVEL}, {false, true, 0, INT64_MAX, 10}, SERVING_VERDICT_ANSWER},
	{"in the last moment", {LEVEL, LEVEL}, {false, true, 0, 1000, 999}, SERVING_VERDICT_ANSWER},
	{"too late", {LEVEL, LEVEL}, {false, true, 0, 1000, 1000}, SERVING_VERDICT_DROP},
	{"too late for a refusal", {LEVEL, GONE}, {false, true, 0, 1000, 1000}, SERVING_VERDICT_DROP},
	{"one is behind", {LEVEL, SHORT}, {false, true, 0, 1000, 10}, SERVING_VERDICT_WAIT},
	{"before the tail", {SHORT, LEVEL}, {false, true, 0, 1000, 949}, SERVING_VERDICT_WAIT},
	{"in the tail", {SHORT, LEVEL}, {false, true, 0, 1000, 950}, SERVING_VERDICT_REFUSE},
	{"a deadline of a tail", {SHORT, LEVEL}, {false, true, 0, 50, 0}, SERVING_VERDICT_REFUSE},
	{"no room to wait", {SHORT, LEVEL}, {false, false, 0, 1000, 10}, SERVING_VERDICT_REFUSE},
	{"without a deadline it waits",
         {SHORT, LEVEL},
         {false, true, 5, INT64_MAX, 10004},
         SERVING_VERDICT_WAIT},
	{"but not for ever", {SHORT, LEVEL}, {false, true, 5, INT64_MAX, 10005}, SERVING_VERDICT_REFUSE},
	{"nor for a deadline far away",
         {SHORT, LEVEL},
         {false, true, 5, 20000, 10005},
         SERVING_VERDICT_REFUSE},
	{"one is not here: no wait", {SHORT, GONE}, {false, true, 0, 1000, 10}, SERVING_VERDICT_REFUSE},
	{"one recovers: no wait", {RETURNING, SHORT}, {false, true, 0, 1000, 10}, SERVING_VERDICT_REFUSE},
	{"stale is accepted", {RETURNING, LEVEL}, {true, true, 0, 1000, 10}, SERVING_VERDICT_ANSWER},
	{"stale, but one is behind", {RETURNING, SHORT}, {true, true, 0, 1000, 10}, SERVING_VERDICT_WAIT},
};

static void test_questions(void)
{
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		enum serving_verdict verdict = serving_decide(questions[i].shards, 2, &questions[i].terms);

		if (verdict != questions[i].verdict)
			printf("%s: %d\n", questions[i].name, (int)verdict);
		CU_ASSERT_EQUAL(verdict, questions[i].verdict);
	}
}

static void test_wait_until(void)
{
	struct serving_terms terms = {.arrived_ms = 100, .deadline_ms = 1600};

	CU_ASSERT_EQUAL(serving_wait_until(&terms), 1550);
	terms.deadline_ms = INT64_MAX;
	CU_ASSERT_EQUAL(serving_wait_until(&terms), 10100);
	terms.deadline_ms = 120;
	CU_ASSERT_EQUAL(serving_wait_until(&terms), 70);
}

int main(void)
{
	CU_TestInfo tests[] = {{"by the record", test_records},
	                       {"by state and offset", test_shards},
	                       {"a question", test_questions},
	                       {"the end of a wait", test_wait_until},
	                       CU_TEST_INFO_NULL};

	return suite_run("serving", tests);
}
