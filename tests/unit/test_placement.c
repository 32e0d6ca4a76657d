/*
 * Placement is recorded: a shard that was placed yesterday is looked for at
 * the same place for ever. The table may never change.
 */
#include "rebalance/core/placement.h"

#include "shared/base/hash.h"
#include "tests/unit/suite.h"

#include <stdio.h>

/* Index id, partition, nodes n1..nN (group g0, or g0 and g1 in turn), RF → the chosen ones. */
static const struct {
	uint64_t index_id;
	int32_t partition;
	int nodes;
	int groups;
	int32_t rf;
	const char *chosen;
} rows[] = {
	{0x000000000000002a, 0, 3, 1, 1, "n2"},
	{0x0000000000000001, 0, 3, 1, 2, "n1 n2"},
	{0xffffffffffffffff, 0, 3, 1, 3, "n1 n2 n3"},
	{0x8000000000000000, 0, 3, 2, 1, "n2 n3"},
	{0xdeadbeefcafef00d, 0, 3, 1, 2, "n1 n2"},
	{0x000000000000002a, 1, 3, 1, 3, "n1 n2 n3"},
	{0x0000000000000001, 1, 3, 1, 1, "n2"},
	{0xffffffffffffffff, 1, 3, 1, 2, "n1 n2"},
	{0x8000000000000000, 1, 3, 1, 3, "n1 n2 n3"},
	{0xdeadbeefcafef00d, 1, 3, 1, 1, "n1"},
	{0x000000000000002a, 2, 3, 2, 2, "n1 n2 n3"},
	{0x0000000000000001, 2, 3, 1, 3, "n1 n2 n3"},
	{0xffffffffffffffff, 2, 3, 1, 1, "n1"},
	{0x8000000000000000, 2, 3, 1, 2, "n1 n2"},
	{0xdeadbeefcafef00d, 2, 3, 1, 3, "n1 n2 n3"},
	{0x000000000000002a, 63, 3, 1, 1, "n2"},
	{0x0000000000000001, 63, 3, 1, 2, "n1 n3"},
	{0xffffffffffffffff, 63, 3, 2, 3, "n1 n2 n3"},
	{0x8000000000000000, 63, 3, 1, 1, "n3"},
	{0xdeadbeefcafef00d, 63, 3, 1, 2, "n1 n2"},
	{0x000000000000002a, 1023, 3, 1, 3, "n1 n2 n3"},
	{0x0000000000000001, 1023, 3, 1, 1, "n2"},
	{0xffffffffffffffff, 1023, 3, 1, 2, "n2 n3"},
	{0x8000000000000000, 1023, 3, 1, 3, "n1 n2 n3"},
	{0xdeadbeefcafef00d, 1023, 3, 2, 1, "n2 n3"},
	{0x000000000000002a, 0, 4, 1, 2, "n2 n4"},
	{0x0000000000000001, 0, 4, 1, 3, "n1 n2 n4"},
	{0xffffffffffffffff, 0, 4, 1, 1, "n2"},
	{0x8000000000000000, 0, 4, 1, 2, "n2 n3"},
	{0xdeadbeefcafef00d, 0, 4, 1, 3, "n1 n2 n4"},
	{0x000000000000002a, 1, 4, 1, 1, "n1"},
	{0x0000000000000001, 1, 4, 2, 2, "n1 n2 n3 n4"},
	{0xffffffffffffffff, 1, 4, 1, 3, "n1 n2 n3"},
	{0x8000000000000000, 1, 4, 1, 1, "n2"},
	{0xdeadbeefcafef00d, 1, 4, 1, 2, "n1 n2"},
	{0x000000000000002a, 2, 4, 1, 3, "n1 n3 n4"},
	{0x0000000000000001, 2, 4, 1, 1, "n2"},
	{0xffffffffffffffff, 2, 4, 1, 2, "n1 n3"},
	{0x8000000000000000, 2, 4, 2, 3, "n1 n2 n3 n4"},
	{0xdeadbeefcafef00d, 2, 4, 1, 1, "n3"},
	{0x000000000000002a, 63, 4, 1, 2, "n2 n4"},
	{0x0000000000000001, 63, 4, 1, 3, "n1 n3 n4"},
	{0xffffffffffffffff, 63, 4, 1, 1, "n4"},
	{0x8000000000000000, 63, 4, 1, 2, "n3 n4"},
	{0xdeadbeefcafef00d, 63, 4, 1, 3, "n1 n2 n4"},
	{0x000000000000002a, 1023, 4, 2, 1, "n2 n3"},
	{0x0000000000000001, 1023, 4, 1, 2, "n2 n4"},
	{0xffffffffffffffff, 1023, 4, 1, 3, "n2 n3 n4"},
	{0x8000000000000000, 1023, 4, 1, 1, "n1"},
	{0xdeadbeefcafef00d, 1023, 4, 1, 2, "n2 n3"},
	{0x1597085b9d9a1dff, 479, 6, 1, 3, "n2 n3 n5"},
	{0x7477ba13d79e92e5, 1019, 7, 1, 1, "n6"},
	{0x7a7f1b10bf45caae, 620, 8, 2, 2, "n3 n4 n5 n8"},
	{0xc104f2a8c8f0c5c1, 368, 9, 1, 3, "n1 n4 n8"},
	{0x3b67c68c976fb9f8, 928, 1, 1, 1, "n1"},
	{0x911e30c390e2a91d, 49, 2, 1, 2, "n1 n2"},
	{0xd69655148b144945, 299, 3, 1, 3, "n1 n2 n3"},
	{0xb0cb1de539317ca0, 113, 4, 1, 1, "n4"},
	{0x94508750f5e1356d, 1003, 5, 1, 2, "n3 n5"},
	{0xfbbc0570b75f7c14, 803, 6, 2, 3, "n1 n2 n3 n4 n5 n6"},
	{0x616bc2179e3b9d5a, 614, 7, 1, 1, "n2"},
	{0xd19de0c3f452abd7, 27, 8, 1, 2, "n3 n5"},
	{0x610d26400d9b81bc, 83, 9, 1, 3, "n5 n7 n8"},
	{0x9f1330bacca557fd, 699, 1, 1, 1, "n1"},
	{0xe3aec22b194df0a4, 586, 2, 1, 2, "n1 n2"},
	{0x25b8ea0a9971bfa1, 909, 3, 1, 3, "n1 n2 n3"},
	{0x6c7db5ee6e73281b, 91, 4, 2, 1, "n1 n2"},
	{0xf0861ea58269311a, 607, 5, 1, 2, "n2 n5"},
	{0x78d6b2ffecb66177, 795, 6, 1, 3, "n2 n3 n4"},
	{0xc25166adfe72bd53, 761, 7, 1, 1, "n1"},
	{0xbf138f2eb40d6b2c, 406, 8, 1, 2, "n1 n3"},
	{0xb2eb23e0847359b9, 154, 9, 1, 3, "n3 n4 n5"},
	{0x387cc85feb265ac3, 21, 1, 1, 1, "n1"},
	{0x1350c92aaee7e8cc, 314, 2, 2, 2, "n1 n2"},
	{0xb72ee5bf55ae4766, 371, 3, 1, 3, "n1 n2 n3"},
	{0x28beb453dac524ba, 1010, 4, 1, 1, "n4"},
	{0xe3f283b83c1c2b64, 926, 5, 1, 2, "n1 n4"},
	{0xb784ff7d7ccc880b, 111, 6, 1, 3, "n1 n4 n6"},
	{0x9bec9e3b2e54a12a, 30, 7, 1, 1, "n3"},
	{0xf05c0945ef124212, 906, 8, 1, 2, "n6 n7"},
	{0xba0ab3a8381e3d91, 393, 9, 2, 3, "n2 n3 n4 n5 n6 n9"},
	{0xcb78bd9ead99d246, 273, 1, 1, 1, "n1"},
	{0x72250cd2e4a6c5ab, 564, 2, 1, 2, "n1 n2"},
	{0x54372ea70ee5225c, 946, 3, 1, 3, "n1 n2 n3"},
	{0x2e1fcefdfe7b6d7a, 997, 4, 1, 1, "n4"},
	{0x5c35ddb570eb182b, 698, 5, 1, 2, "n2 n3"},
	{0xbfcfde06aac5fdd4, 710, 6, 1, 3, "n2 n5 n6"},
	{0xa526d1a16dd486da, 467, 7, 2, 1, "n1 n2"},
	{0x5b5ca03032762467, 156, 8, 1, 2, "n4 n7"},
	{0x1104a01154fa46cb, 742, 9, 1, 3, "n2 n7 n9"},
	{0xc7f05f064f7c2489, 793, 1, 1, 1, "n1"},
	{0xb192714507584bf4, 803, 2, 1, 2, "n1 n2"},
	{0xceea4a9d282ff9e2, 104, 3, 1, 3, "n1 n2 n3"},
	{0xa4cae80218357898, 137, 4, 1, 1, "n1"},
	{0x69e69943ee006b3e, 516, 5, 2, 2, "n1 n2 n3 n4"},
	{0x42bdee4601c6bc20, 960, 6, 1, 3, "n1 n2 n3"},
	{0x0f5c267c04bac8e3, 93, 7, 1, 1, "n1"},
	{0x33a5c61b7b904697, 207, 8, 1, 2, "n5 n7"},
	{0x31744c953fcd1c39, 265, 9, 1, 3, "n2 n8 n9"},
	{0x506bea35f80a6e9b, 460, 1, 1, 1, "n1"},
};

static void name_nodes(struct node_record *nodes, int nodes_len, int groups)
{
	memset(nodes, 0, (size_t)nodes_len * sizeof *nodes);
	for (int i = 0; i < nodes_len; i++) {
		(void)snprintf(nodes[i].id, sizeof nodes[i].id, "n%d", i + 1);
		(void)snprintf(nodes[i].group, sizeof nodes[i].group, "g%d", i % groups);
	}
}

static void chosen_text(const struct shard_record *shard, char text[256])
{
	int len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < shard->replicas_len; i++)
		len += snprintf(text + len, (size_t)(256 - len), "%s%s", i > 0 ? " " : "",
		                shard->replicas[i].node);
}

static void test_pinned(void)
{
	CU_ASSERT_EQUAL(sizeof rows / sizeof *rows, 100);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct shard_record shard = {.index_id = rows[i].index_id, .partition = rows[i].partition};
		struct node_record nodes[16];
		char text[256];

		name_nodes(nodes, rows[i].nodes, rows[i].groups);
		placement_choose(&shard, nodes, (size_t)rows[i].nodes, rows[i].rf);
		chosen_text(&shard, text);
		if (strcmp(text, rows[i].chosen) != 0) {
			printf("\nrow %zu: %s\n", i, text);
			CU_FAIL("a shard is looked for where it was not put");
		}
	}
}

static void test_chosen_replicas_begin_in_sync(void)
{
	struct shard_record shard = {.index_id = 42, .partition = 0};
	struct node_record nodes[3];

	name_nodes(nodes, 3, 1);
	placement_choose(&shard, nodes, 3, 2);
	CU_ASSERT_EQUAL(shard.replicas_len, 2);
	for (size_t i = 0; i < shard.replicas_len; i++) {
		CU_ASSERT_EQUAL(shard.replicas[i].state, PLACEMENT_STATE_ACTIVE);
		CU_ASSERT_TRUE(shard.replicas[i].in_sync);
		CU_ASSERT_TRUE(incarnation_is_none(shard.replicas[i].incarnation));
	}
}

/* The order in which nodes are configured decides nothing. */
static void test_order_of_nodes(void)
{
	struct node_record nodes[6];
	struct node_record turned[6];

	name_nodes(nodes, 6, 1);
	for (size_t i = 0; i < 6; i++)
		turned[i] = nodes[5 - i];
	for (int32_t p = 0; p < 200; p++) {
		struct shard_record a = {.index_id = 7, .partition = p};
		struct shard_record b = a;

		placement_choose(&a, nodes, 6, 2);
		placement_choose(&b, turned, 6, 2);
		CU_ASSERT_EQUAL(b.replicas_len, 2);
		for (size_t i = 0; i < b.replicas_len; i++)
			CU_ASSERT_PTR_NOT_NULL(catalog_placement(&a, b.replicas[i].node));
	}
}

/* Names that no two sets share, from the seed alone. */
static void name_randomly(struct node_record *nodes, size_t nodes_len, uint64_t seed)
{
	memset(nodes, 0, nodes_len * sizeof *nodes);
	for (size_t i = 0; i < nodes_len; i++) {
		uint64_t number = hash64(slice_of(&i, sizeof i), seed);

		(void)snprintf(nodes[i].id, sizeof nodes[i].id, "%s-%llx", i % 2 == 0 ? "node" : "rack",
		               (unsigned long long)number);
		(void)snprintf(nodes[i].group, sizeof nodes[i].group, "g0");
	}
}

/* 64 shards on three nodes, then on four: how many move; all of them to the fourth. */
static int moves_to_the_fourth(uint64_t seed)
{
	struct node_record nodes[4];
	uint64_t index_id = hash64(slice_string("index"), seed);
	int moved = 0;

	name_randomly(nodes, 4, seed);
	for (int32_t p = 0; p < 64; p++) {
		struct shard_record before = {.index_id = index_id, .partition = p};
		struct shard_record after = before;

		placement_choose(&before, nodes, 3, 1);
		placement_choose(&after, nodes, 4, 1);
		CU_ASSERT_EQUAL(before.replicas_len, 1);
		CU_ASSERT_EQUAL(after.replicas_len, 1);
		if (strcmp(before.replicas[0].node, after.replicas[0].node) == 0)
			continue;
		CU_ASSERT_STRING_EQUAL(after.replicas[0].node, nodes[3].id);
		moved++;
	}
	return moved;
}

static void test_a_fourth_node(void)
{
	double mean = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++)
		mean += moves_to_the_fourth(seed) / 1000.0;
	printf("mean of moved shards: %.2f of 64 ... ", mean);
	CU_ASSERT_TRUE(mean > 15.5 && mean < 16.5);
}

/* With two replicas a shard a fourth node displaces at most one of them. */
static void test_a_fourth_node_with_two_replicas(void)
{
	struct node_record nodes[4];

	for (uint64_t seed = 1; seed <= 100; seed++) {
		name_randomly(nodes, 4, seed);
		for (int32_t p = 0; p < 64; p++) {
			struct shard_record before = {.index_id = seed, .partition = p};
			struct shard_record after = before;
			int kept = 0;

			placement_choose(&before, nodes, 3, 2);
			placement_choose(&after, nodes, 4, 2);
			for (size_t i = 0; i < after.replicas_len; i++)
				if (catalog_placement(&before, after.replicas[i].node) != NULL)
					kept++;
				else
					CU_ASSERT_STRING_EQUAL(after.replicas[i].node, nodes[3].id);
			CU_ASSERT_TRUE(kept >= 1);
		}
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"pinned", test_pinned},
		{"chosen replicas begin in-sync", test_chosen_replicas_begin_in_sync},
		{"the order of nodes", test_order_of_nodes},
		{"a fourth node", test_a_fourth_node},
		{"a fourth node with two replicas", test_a_fourth_node_with_two_replicas},
		CU_TEST_INFO_NULL,
	};

	return suite_run("placement", tests);
}
