/* Copies: how many there are at once, who finds them, and when they go. */
#include "shard/copies.h"

#include "tests/unit/suite.h"

#include "shard/copies.c"

/* References to what would be a source. */
static size_t held;

struct copy_source *copy_source_hold(struct copy_source *source)
{
	held++;
	return source;
}

void copy_source_release(struct copy_source *source)
{
	(void)source;
	held--;
}

static struct copy_source *a_source(void)
{
	static uint8_t place;

	return (struct copy_source *)(void *)&place;
}

static struct copies_key key_of(uint64_t id, uint64_t index_id, int32_t partition)
{
	return (struct copies_key){.id = id, .index_id = index_id, .partition = partition};
}

static void add(struct copies *copies, struct copies_key key, int64_t now_ms)
{
	CU_ASSERT_TRUE_FATAL(copies_begin(copies));
	copies_add(copies, &key, a_source(), now_ms);
}

/* Those whose heads are being read count too. */
static void test_places(void)
{
	struct copies *copies = copies_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(copies);
	for (uint64_t id = 1; id < COPIES_MAX; id++)
		add(copies, key_of(id, 7, 0), 0);
	CU_ASSERT_TRUE(copies_begin(copies));
	CU_ASSERT_FALSE(copies_begin(copies));
	copies_give_up(copies);
	add(copies, key_of(COPIES_MAX, 7, 0), 0);
	CU_ASSERT_FALSE(copies_begin(copies));
	CU_ASSERT_EQUAL(held, COPIES_MAX);
	CU_ASSERT_EQUAL(copies_drop(copies, 7, 1), 0);
	CU_ASSERT_EQUAL(copies_drop(copies, 7, 0), COPIES_MAX);
	CU_ASSERT_EQUAL(held, 0);
	add(copies, key_of(9, 7, 0), 0);
	CU_ASSERT_EQUAL(copies_drop(copies, 7, 0), 1);
	copies_free(copies);
}

static bool is_there(struct copies *copies, struct copies_key key, int64_t now_ms)
{
	struct copy_source *source = copies_take(copies, &key, now_ms);

	copy_source_release(source);
	held += source == NULL;
	return source != NULL;
}

/* Found by all that its key says; what is asked for stays. */
static void test_takes_and_ends(void)
{
	struct copies *copies = copies_new();
	struct copies_key other = key_of(2, 7, 3);

	CU_ASSERT_PTR_NOT_NULL_FATAL(copies);
	add(copies, key_of(1, 7, 3), 1000);
	add(copies, other, 1000);
	CU_ASSERT_TRUE(is_there(copies, key_of(1, 7, 3), 1000));
	CU_ASSERT_FALSE(is_there(copies, key_of(3, 7, 3), 1000));
	CU_ASSERT_FALSE(is_there(copies, key_of(1, 8, 3), 1000));
	CU_ASSERT_FALSE(is_there(copies, key_of(1, 7, 2), 1000));
	CU_ASSERT_EQUAL(copies_expire(copies, 1000 + COPIES_IDLE_MS - 1), 0);
	CU_ASSERT_TRUE(is_there(copies, key_of(1, 7, 3), 1001));
	CU_ASSERT_EQUAL(copies_expire(copies, 1000 + COPIES_IDLE_MS), 1);
	CU_ASSERT_TRUE(is_there(copies, key_of(1, 7, 3), 1001));
	CU_ASSERT_FALSE(copies_end(copies, &other));
	CU_ASSERT_EQUAL(held, 1);
	CU_ASSERT_EQUAL(copies_expire(copies, 1001 + COPIES_IDLE_MS), 1);
	add(copies, other, 0);
	CU_ASSERT_TRUE(copies_end(copies, &other));
	CU_ASSERT_EQUAL(held, 0);
	copies_free(copies);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"places", test_places}, {"takes and ends", test_takes_and_ends}, CU_TEST_INFO_NULL};

	return suite_run("copies", tests);
}
