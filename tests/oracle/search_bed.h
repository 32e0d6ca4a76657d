/*
 * Search bed: a replica in a directory, fed with documents, and the scratch
 * that searches of it need. What oracle_search and test_search share.
 */
#ifndef MILLRACE_TESTS_ORACLE_SEARCH_BED_H
#define MILLRACE_TESTS_ORACLE_SEARCH_BED_H

#include "shard/core/search.h"
#include "shard/core/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BED_INDEX 7
#define BED_RULES 5

static inline _Noreturn void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

struct bed {
	struct replica *replica;
	struct words *words;
	int64_t offset;
};

static inline void bed_open(struct bed *bed, const char *directory)
{
	struct replica_identity identity = {.cluster_id = "oracle",
	                                    .index_id = BED_INDEX,
	                                    .generation = 1,
	                                    .rules_digest = BED_RULES,
	                                    .incarnation = {{1, 2}},
	                                    .document_bytes_max = 4U << 20,
	                                    .dedup_window = 1000000};
	struct error error;
	struct kv *kv;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		fail(directory, "cannot be made");
	if (kv_open(directory, &kv, &error) != 0 ||
	    replica_open(kv, &identity, 1, &bed->replica, &error) != 0)
		fail(directory, error.text);
	bed->words = words_new();
	if (bed->words == NULL)
		fail("words", "out of memory");
}

static inline void bed_receive(struct bed *bed, struct memtable *memtable)
{
	struct range range = {.index_id = BED_INDEX,
	                      .incarnation = {{1, 2}},
	                      .session = 1,
	                      .rules_digest = BED_RULES,
	                      .log_end = bed->offset};
	struct batch_writer writer;
	struct batch_reader batch;
	struct range_answer answer;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	if (!batch_end(&writer) || batch_open(&batch, buffer_slice(&frame), &error) != 0 ||
	    batch_next(&batch, &range, &error) != 1 ||
	    replica_receive(bed->replica, &range, &answer, &error) != 0 ||
	    answer.result != RANGE_RESULT_APPLIED)
		fail("receive", "refused");
	buffer_deinit(&frame);
}

/* At the next offset, which is its insertion key too. */
static inline void bed_put(struct bed *bed, struct memtable *memtable, struct slice id, struct slice body)
{
	struct op op = {
		.offset = bed->offset, .kind = OP_KIND_PUT, .key = {bed->offset, 0}, .id = id, .body = body};

	if (!memtable_add(memtable, &op))
		fail("memtable", "out of memory");
	memtable_set_anchor(memtable, (struct anchor){op.offset, op.offset, 1});
	bed->offset++;
}

/* One document, received by itself. */
static inline void bed_feed(struct bed *bed, const char *id, const char *body)
{
	struct memtable *memtable = memtable_new(bed->offset);

	if (memtable == NULL)
		fail("memtable", "out of memory");
	bed_put(bed, memtable, slice_string(id), slice_string(body));
	bed_receive(bed, memtable);
	memtable_free(memtable);
}

static inline void bed_store(struct bed *bed)
{
	struct replica_store_job *job = replica_store_begin(bed->replica);
	struct replica_compact_job *compaction;
	struct error error = {0};
	bool more = true;
	int rc;

	if (job == NULL)
		return;
	rc = replica_store_run(job, &error);
	replica_store_end(bed->replica, job, rc, &error);
	compaction = replica_compact_begin(bed->replica);
	while (rc == 0 && compaction != NULL && more)
		rc = replica_compact_run(compaction, REPLICA_SLICE_STEPS, &more, &error);
	if (compaction != NULL)
		replica_compact_end(bed->replica, compaction, rc, &error);
	if (rc != 0)
		fail("store", error.text);
}

/* As a node searches one shard, with prefixes and typos as by default; `request` says the rest but for the query. */
static inline void bed_search(struct bed *bed, const char *q, struct search_request request,
                              struct search_answer *page)
{
	struct query_request parsed = {
		.text = slice_string(q), .prefix_search = true, .arena = request.arena};
	struct snapshot *snapshot = replica_snapshot(bed->replica);
	struct query query;
	struct error error;
	size_t failed;

	if (snapshot == NULL)
		fail(q, "out of memory");
	request.words = bed->words;
	request.query = &query;
	request.typos.enabled = true;
	request.typos.one = 5;
	request.typos.two = 9;
	if (query_parse(words_text(bed->words), &parsed, &query, &error) != 0 ||
	    snapshots_search(&snapshot, 1, &request, page, &failed, &error) != 0)
		fail(q, error.text);
	snapshot_release(snapshot);
}

#endif
