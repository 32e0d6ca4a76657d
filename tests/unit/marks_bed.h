/*
 * Marks bed: a plain list of what a log tells beside its operations, a replica
 * that is fed from it in ranges through the real frame, and a check that its
 * pages tell exactly that.
 */
#ifndef MILLRACE_TESTS_UNIT_MARKS_BED_H
#define MILLRACE_TESTS_UNIT_MARKS_BED_H

#include "shard/core/replica.h"
#include "shared/record/marks.h"

#include "tests/unit/replica_reads.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define INDEX 0x1234
#define WINDOW 3000
#define CHUNK 2048 /* offsets of one stored value */
#define KNOWN_MAX 100000
#define SOURCES 3
#define PARTITIONS 4

struct known {
	int64_t offset;
	bool has_identity;
	bool has_origin;
	struct identity identity;
	struct origin origin;
};

struct bed {
	struct replica *replica;
	struct known *known; /* by rising offset */
	size_t len;
	int64_t end; /* of the log */
	int64_t window;
	uint64_t seed;
	uint64_t session;
	const char *directory;
};

static const char *const sources[SOURCES] = {"shop.orders", "shop.orders-eu", "x"};

static inline uint64_t draw(struct bed *bed, uint64_t bound)
{
	bed->seed = bed->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (bed->seed >> 33) % bound;
}

static inline struct replica_status status_of(const struct bed *bed)
{
	struct replica_status status;

	replica_status(bed->replica, &status);
	return status;
}

static inline int try_open(struct bed *bed)
{
	struct replica_identity identity = {.cluster_id = "kafka-a",
	                                    .index_id = INDEX,
	                                    .generation = 1,
	                                    .base = 100,
	                                    .rules_digest = 9,
	                                    .incarnation = {{3, 4}},
	                                    .document_bytes_max = 1000,
	                                    .dedup_window = bed->window};
	struct error error;
	struct kv *kv;

	CU_ASSERT_EQUAL_FATAL(kv_open(bed->directory, &kv, &error), 0);
	if (replica_open(kv, &identity, ++bed->session, &bed->replica, &error) == 0)
		return 0;
	bed->replica = NULL;
	kv_close(kv);
	return error.code;
}

static inline void reopen(struct bed *bed)
{
	replica_close(bed->replica);
	bed->replica = NULL;
	CU_ASSERT_EQUAL_FATAL(try_open(bed), 0);
}

static inline struct bed *bed_new(const char *directory, int64_t window, uint64_t seed)
{
	struct bed *bed = calloc(1, sizeof *bed);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bed);
	*bed = (struct bed){.directory = directory, .window = window, .seed = seed, .end = 100};
	bed->known = calloc(KNOWN_MAX, sizeof *bed->known);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->known);
	reopen(bed);
	return bed;
}

static inline void bed_free(struct bed *bed)
{
	replica_close(bed->replica);
	free(bed->known);
	free(bed);
}

/* One more record that says something, at the log's end; what it says is drawn. */
static inline struct known *known_add(struct bed *bed, bool identity, bool origin)
{
	struct known *known = &bed->known[bed->len++];

	CU_ASSERT_TRUE_FATAL(bed->len <= KNOWN_MAX);
	*known = (struct known){.offset = bed->end++, .has_identity = identity, .has_origin = origin};
	known->identity.key = (struct hash128){draw(bed, 50), 7};
	known->identity.operation = draw(bed, 3);
	known->origin = (struct origin){.source = slice_string(sources[draw(bed, SOURCES)]),
	                                .life = (uint32_t)draw(bed, 2),
	                                .partition = (int32_t)draw(bed, PARTITIONS),
	                                .offset = (int64_t)draw(bed, 1000),
	                                .n = (uint32_t)draw(bed, 3)};
	return known;
}

/* [from, to) as one range through the real frame; a put at its last offset if asked. */
static inline void receive(struct bed *bed, int64_t from, int64_t to, bool put)
{
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX,
	                      .incarnation = {{3, 4}},
	                      .session = bed->session,
	                      .rules_digest = 9,
	                      .log_end = -1};
	struct op op = {.offset = to - 1, .kind = OP_KIND_PUT, .id = slice_string("one")};
	int64_t received = status_of(bed).received;
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	buffer_init(&frame, BATCH_BYTES_MAX);
	for (size_t i = 0; i < bed->len; i++) {
		const struct known *known = &bed->known[i];

		if (known->offset < from || known->offset >= to)
			continue;
		if (known->has_identity)
			CU_ASSERT_TRUE_FATAL(
				memtable_note_identity(memtable, known->offset, &known->identity));
		if (known->has_origin)
			CU_ASSERT_TRUE_FATAL(memtable_note_origin(memtable, known->offset, &known->origin));
	}
	op.body = slice_string("{\"id\":\"one\",\"n\":1}");
	if (put && to > from)
		CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	memtable_cover(memtable, to);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(bed->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.received, to > received ? to : received);
	CU_ASSERT_EQUAL_FATAL(answer.has_identities, status_of(bed).has_identities);
	CU_ASSERT_EQUAL_FATAL(answer.has_origins, status_of(bed).has_origins);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static inline int64_t seal_above(int64_t offset)
{
	return (offset / RANGE_SEAL + 1) * RANGE_SEAL;
}

static inline bool is_higher(const struct origin *a, const struct origin *b)
{
	if (a->life != b->life)
		return a->life > b->life;
	return a->offset != b->offset ? a->offset > b->offset : a->n > b->n;
}

/* The highest below received of one source partition; NULL if there is none. */
static const struct origin *origin_wanted(const struct bed *bed, size_t source, int32_t partition)
{
	const struct origin *highest = NULL;

	for (size_t i = 0; i < bed->len && bed->known[i].offset < status_of(bed).received; i++) {
		const struct origin *origin = &bed->known[i].origin;

		if (bed->known[i].has_origin && origin->partition == partition &&
		    slice_equal(origin->source, slice_string(sources[source])) &&
		    (highest == NULL || is_higher(origin, highest)))
			highest = origin;
	}
	return highest;
}

static inline void check_origins(const struct bed *bed, const struct marks_page *page)
{
	struct origin origin;
	uint32_t count = 0;
	size_t at = 0;

	for (size_t source = 0; source < SOURCES; source++)
		for (int32_t partition = 0; partition < PARTITIONS; partition++) {
			const struct origin *wanted = origin_wanted(bed, source, partition);

			if (wanted == NULL)
				continue;
			count++;
			CU_ASSERT_TRUE_FATAL(marks_page_origin(page, &at, &origin));
			CU_ASSERT_TRUE_FATAL(slice_equal(origin.source, wanted->source));
			CU_ASSERT_EQUAL_FATAL(origin.partition, partition);
			CU_ASSERT_EQUAL_FATAL(origin.life, wanted->life);
			CU_ASSERT_EQUAL_FATAL(origin.offset, wanted->offset);
			CU_ASSERT_EQUAL_FATAL(origin.n, wanted->n);
		}
	CU_ASSERT_FALSE_FATAL(marks_page_origin(page, &at, &origin));
	CU_ASSERT_EQUAL_FATAL(status_of(bed).has_origins, count > 0);
}

static const struct known *identity_wanted(const struct bed *bed, size_t *at, int64_t low)
{
	while (*at < bed->len && bed->known[*at].offset < status_of(bed).received) {
		const struct known *known = &bed->known[(*at)++];

		if (known->has_identity && known->offset >= low)
			return known;
	}
	return NULL;
}

static inline int ask(struct bed *bed, int64_t from, struct buffer *bytes, struct marks_page *page)
{
	struct error error;
	int rc;

	buffer_init(bytes, MARKS_PAGE_BYTES_MAX);
	rc = replica_marks(bed->replica, from, bytes, &error);
	if (rc != 0)
		return rc;
	CU_ASSERT_EQUAL_FATAL(marks_open(page, buffer_slice(bytes), &error), 0);
	CU_ASSERT_EQUAL_FATAL(page->received, status_of(bed).received);
	CU_ASSERT_EQUAL_FATAL(page->incarnation.word[1], 4);
	return 0;
}

/* All pages from the first to the last; how many there were. */
static inline size_t check(struct bed *bed)
{
	int64_t low = status_of(bed).received - bed->window;
	const struct known *wanted;
	struct marks_page page;
	int64_t from = 0;
	size_t pages = 0;
	size_t next = 0;
	bool any = false;

	while (from >= 0) {
		struct identity_entry entry;
		struct buffer bytes;
		size_t at = 0;

		CU_ASSERT_EQUAL_FATAL(ask(bed, from, &bytes, &page), 0);
		if (pages++ == 0)
			check_origins(bed, &page);
		else
			CU_ASSERT_EQUAL_FATAL(page.origins_len, 0);
		while (marks_page_identity(&page, &at, &entry)) {
			wanted = identity_wanted(bed, &next, low);
			CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
			CU_ASSERT_EQUAL_FATAL(entry.offset, wanted->offset);
			CU_ASSERT_TRUE_FATAL(hash128_equal(entry.identity.key, wanted->identity.key));
			CU_ASSERT_EQUAL_FATAL(entry.identity.operation, wanted->identity.operation);
			any = true;
		}
		from = page.next;
		buffer_deinit(&bytes);
	}
	CU_ASSERT_PTR_NULL_FATAL(identity_wanted(bed, &next, low));
	CU_ASSERT_EQUAL_FATAL(status_of(bed).has_identities, any);
	return pages;
}

static inline void verify(struct bed *bed)
{
	struct error error;
	int rc = reads_verify(bed->replica, &error);

	if (rc != 0)
		printf("%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static inline void store(struct bed *bed)
{
	while (status_of(bed).stored < status_of(bed).received) {
		struct replica_store_job *job = replica_store_begin(bed->replica);
		struct error error;
		int rc;

		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		rc = replica_store_run(job, &error);
		replica_store_end(bed->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

#endif
