/*
 * Map against a plain array, with few distinct keys so that removals meet
 * runs of neighbours.
 */
#include "shared/base/map.h"

#include "tests/unit/suite.h"

#include <stdio.h>

#define KEYS 200

static char keys[KEYS][8];

static struct slice key_of(size_t i)
{
	return slice_string(keys[i]);
}

static void test_model(void)
{
	bool present[KEYS] = {false};
	uint64_t values[KEYS] = {0};
	uint64_t random = 88172645463325252ULL;
	size_t count = 0;
	struct map map;

	map_init(&map);
	for (uint64_t step = 0; step < 200000; step++) {
		size_t i;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		i = random % KEYS;
		if ((random >> 32) % 2 == 0) {
			CU_ASSERT_TRUE_FATAL(map_put(&map, key_of(i), step));
			count += !present[i];
			present[i] = true;
			values[i] = step;
		} else {
			CU_ASSERT_EQUAL_FATAL(map_remove(&map, key_of(i)), present[i]);
			count -= present[i];
			present[i] = false;
		}
		CU_ASSERT_EQUAL_FATAL(map.count, count);
		i = (random >> 40) % KEYS;
		CU_ASSERT_EQUAL_FATAL(map_get(&map, key_of(i)) != NULL, present[i]);
		if (present[i])
			CU_ASSERT_EQUAL_FATAL(*map_get(&map, key_of(i)), values[i]);
	}
	map_deinit(&map);
}

static void test_iteration(void)
{
	bool seen[KEYS] = {false};
	const struct map_entry *entry;
	size_t at = 0;
	size_t count = 0;
	struct map map;

	map_init(&map);
	CU_ASSERT_PTR_NULL(map_next(&map, &at));
	CU_ASSERT_FALSE(map_remove(&map, key_of(0)));
	for (size_t i = 0; i < KEYS; i++)
		CU_ASSERT_TRUE(map_put(&map, key_of(i), i));
	while ((entry = map_next(&map, &at)) != NULL) {
		CU_ASSERT_FALSE(seen[entry->value]);
		CU_ASSERT_TRUE(slice_equal(entry->key, key_of(entry->value)));
		seen[entry->value] = true;
		count++;
	}
	CU_ASSERT_EQUAL(count, KEYS);
	map_clear(&map);
	CU_ASSERT_EQUAL(map.count, 0);
	CU_ASSERT_PTR_NULL(map_get(&map, key_of(1)));
	map_deinit(&map);
}

static void test_empty_key(void)
{
	struct map map;

	map_init(&map);
	CU_ASSERT_TRUE(map_put(&map, slice_string(""), 7));
	CU_ASSERT_PTR_NOT_NULL_FATAL(map_get(&map, slice_string("")));
	CU_ASSERT_EQUAL(*map_get(&map, slice_string("")), 7);
	CU_ASSERT_TRUE(map_remove(&map, slice_string("")));
	CU_ASSERT_PTR_NULL(map_get(&map, slice_string("")));
	map_deinit(&map);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"model", test_model},
		{"iteration", test_iteration},
		{"empty key", test_empty_key},
		CU_TEST_INFO_NULL,
	};

	for (size_t i = 0; i < KEYS; i++)
		(void)snprintf(keys[i], sizeof keys[i], "%zu", i);
	return suite_run("map", tests);
}
