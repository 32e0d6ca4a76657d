/*
 * Seals: the digest where received stood exactly at a multiple of RANGE_SEAL;
 * the last eight, in any way that ranges come, and over a restart.
 */
#include "tests/unit/replica_model.h"

#include "shared/record/memtable.h"

/* A range with one put, at `from`, of a document whose body says where it stands. */
static void receive(struct model *model, int64_t from, int64_t to, bool with_put)
{
	char body[64];
	struct op op = {.offset = from, .kind = OP_KIND_PUT, .id = slice_string(model->ids[from % IDS])};
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX_ID,
	                      .partition = 3,
	                      .incarnation = model->incarnation,
	                      .session = model->session,
	                      .rules_digest = RULES,
	                      .log_end = -1};
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	op.body = slice_of(body, (size_t)snprintf(body, sizeof body, "{\"n\":%lld}", (long long)from));
	buffer_init(&frame, BATCH_BYTES_MAX);
	if (with_put)
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	if (to <= memtable_seal(memtable))
		memtable_cover(memtable, to);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	range.to = to; /* a feeder of ours never crosses a seal, but the protocol lets it */
	CU_ASSERT_EQUAL_FATAL(replica_receive(model->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static void store(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	struct error error;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	rc = replica_store_run(job, &error);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	replica_store_end(model->replica, job, rc, &error);
}

static size_t seals_of(const struct model *model, struct seal seals[REPLICA_SEALS_MAX])
{
	return replica_seals(model->replica, seals);
}

static void test_places(void)
{
	struct model *model = model_new("places");
	struct seal seals[REPLICA_SEALS_MAX];
	struct hash128 digest;

	CU_ASSERT_EQUAL(seals_of(model, seals), 0);
	receive(model, BASE, 4000, true);
	CU_ASSERT_EQUAL(seals_of(model, seals), 0);
	receive(model, 4000, 4096, true);
	digest = status_of(model).digest;
	CU_ASSERT_EQUAL_FATAL(seals_of(model, seals), 1);
	CU_ASSERT_EQUAL(seals[0].offset, 4096);
	CU_ASSERT_TRUE(hash128_equal(seals[0].digest, digest));
	/* the fold goes on, the seal stays what it was */
	receive(model, 4096, 4100, true);
	CU_ASSERT_FALSE(hash128_equal(status_of(model).digest, digest));
	CU_ASSERT_EQUAL_FATAL(seals_of(model, seals), 1);
	CU_ASSERT_TRUE(hash128_equal(seals[0].digest, digest));
	/* a range that passes 8192 and 12288 stands at neither */
	receive(model, 4100, 6144, true);
	receive(model, 6144, 12300, true);
	CU_ASSERT_EQUAL(seals_of(model, seals), 1);
	/* one without operations, ending there */
	receive(model, 12300, 16384, false);
	CU_ASSERT_EQUAL_FATAL(seals_of(model, seals), 2);
	CU_ASSERT_EQUAL(seals[1].offset, 16384);
	CU_ASSERT_TRUE(hash128_equal(seals[1].digest, status_of(model).digest));
	/* a range that begins below received and ends at a seal */
	receive(model, 16384, 16400, true);
	receive(model, 16390, 20480, false);
	CU_ASSERT_EQUAL_FATAL(seals_of(model, seals), 3);
	CU_ASSERT_EQUAL(seals[2].offset, 20480);
	model_free(model);
}

static void test_last_eight(void)
{
	struct model *model = model_new("eight");
	struct seal seals[REPLICA_SEALS_MAX];
	struct hash128 digests[12];

	receive(model, BASE, RANGE_SEAL, true);
	for (int64_t i = 1; i < 12; i++) {
		digests[i] = status_of(model).digest;
		receive(model, i * RANGE_SEAL, (i + 1) * RANGE_SEAL, true);
	}
	CU_ASSERT_EQUAL_FATAL(seals_of(model, seals), 8);
	for (int64_t i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(seals[i].offset, (i + 5) * RANGE_SEAL);
		if (i < 7)
			CU_ASSERT_TRUE(hash128_equal(seals[i].digest, digests[i + 5]));
	}
	CU_ASSERT_TRUE(hash128_equal(seals[7].digest, status_of(model).digest));
	model_free(model);
}

/* What a restart finds are the seals of what was stored, not of what had been received. */
static void test_restart(void)
{
	struct model *model = model_new("restart");
	struct seal before[REPLICA_SEALS_MAX];
	struct seal after[REPLICA_SEALS_MAX];
	size_t len;

	receive(model, BASE, 4096, true);
	receive(model, 4096, 8192, true);
	receive(model, 8192, 9000, true);
	store(model);
	len = seals_of(model, before);
	CU_ASSERT_EQUAL_FATAL(len, 2);
	receive(model, 9000, 12288, true);
	receive(model, 12288, 16384, false);
	CU_ASSERT_EQUAL(seals_of(model, after), 4);
	reopen(model, "restart");
	CU_ASSERT_EQUAL(status_of(model).received, 9000);
	CU_ASSERT_EQUAL_FATAL(seals_of(model, after), 2);
	for (size_t i = 0; i < len; i++) {
		CU_ASSERT_EQUAL(after[i].offset, before[i].offset);
		CU_ASSERT_TRUE(hash128_equal(after[i].digest, before[i].digest));
	}
	/* again, another way: the same digests */
	receive(model, 9000, 12288, true);
	receive(model, 12288, 16384, false);
	CU_ASSERT_EQUAL_FATAL(seals_of(model, after), 4);
	CU_ASSERT_TRUE(hash128_equal(after[3].digest, status_of(model).digest));
	store(model);
	reopen(model, "restart");
	CU_ASSERT_EQUAL(seals_of(model, after), 4);
	model_free(model);
}

/* Seals that are not what a store wrote stop the opening; a store without any is an older program's. */
static void test_damage(void)
{
	struct model *model = model_new("damage");
	struct replica_identity identity = identity_of(model);
	struct seal seals[REPLICA_SEALS_MAX];
	struct replica *replica;
	struct kv_txn *txn;
	struct slice value;
	struct error error;
	struct kv *kv;
	uint8_t copy[512];

	receive(model, BASE, 4096, true);
	store(model);
	model_free(model);
	CU_ASSERT_EQUAL_FATAL(kv_open("damage", &kv, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_get(txn, KV_TABLE_STATE, slice_string("seals"), &value, &error), 0);
	CU_ASSERT_TRUE_FATAL(value.len > 20 && value.len <= sizeof copy);
	memcpy(copy, value.ptr, value.len);
	copy[20] ^= 1;
	CU_ASSERT_EQUAL_FATAL(
		kv_put(txn, KV_TABLE_STATE, slice_string("seals"), slice_of(copy, value.len), &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	CU_ASSERT_EQUAL(replica_open(kv, &identity, 9, &replica, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true, &txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_delete(txn, KV_TABLE_STATE, slice_string("seals"), &error), 0);
	CU_ASSERT_EQUAL_FATAL(kv_commit(txn, &error), 0);
	CU_ASSERT_EQUAL_FATAL(replica_open(kv, &identity, 9, &replica, &error), 0);
	CU_ASSERT_EQUAL(replica_seals(replica, seals), 0);
	replica_close(replica);
}

int main(void)
{
	CU_TestInfo tests[] = {{"where received stands", test_places},
	                       {"the last eight", test_last_eight},
	                       {"over a restart", test_restart},
	                       {"damaged, and absent", test_damage},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica seals", tests);
}
