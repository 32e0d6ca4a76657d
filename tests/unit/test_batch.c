/*
 * Batch: round trips, every truncation, and frames that lie.
 */
#include "shared/record/batch.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

static const struct range example = {
	.index_id = 0x1122334455667788,
	.partition = 7,
	.incarnation = {{0xa1, 0xb2}},
	.session = 0xc3,
	.rules_digest = 0xd4,
	.log_end = 4000,
};

static const struct range_answer example_answer = {
	.index_id = 0x1122334455667788,
	.partition = 7,
	.result = RANGE_RESULT_GAP,
	.incarnation = {{0xa1, 0xb2}},
	.session = 0xc3,
	.received = 120,
	.stored = 100,
	.anchor = {119, 1700000000000, 0xe5},
};

static struct memtable *example_memtable(void)
{
	struct memtable *memtable = memtable_new(100);
	struct op ops[] = {
		{.offset = 101, .kind = OP_KIND_DELETE, .id = slice_string("b")},
		{.offset = 102,
	         .kind = OP_KIND_PUT,
	         .key = {1700000000000, 9},
	         .id = slice_string("a"),
	         .body = slice_string("{\"id\":\"a\"}")},
		{.offset = 103,
	         .kind = OP_KIND_PUT,
	         .key = {5, 0},
	         .id = slice_string("b"),
	         .body = slice_string("{}")},
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		CU_ASSERT_TRUE(memtable_add(memtable, &ops[i]));
	for (int64_t i = 0; i < 2; i++) {
		struct identity identity = {{0xf6 + (uint64_t)i, 0x17}, 0x28};

		CU_ASSERT_TRUE(memtable_note_identity(memtable, 104 + 3 * i, &identity));
	}
	for (int64_t offset = 110; offset <= 112; offset++)
		CU_ASSERT_TRUE(memtable_note_skipped(memtable, offset));
	for (int64_t i = 0; i < 2; i++) {
		struct origin origin = {slice_string("orders"), 3, (int32_t)(4 + i), 0x1122334455 + i, 6};

		CU_ASSERT_TRUE(memtable_note_origin(memtable, 105 + 3 * i, &origin));
	}
	memtable_cover(memtable, 120);
	memtable_set_anchor(memtable, (struct anchor){119, 77, 88});
	return memtable;
}

static void build(struct buffer *frame)
{
	struct memtable *memtable = example_memtable();
	struct memtable *empty = memtable_new(5);
	struct range other = example;
	struct batch_writer writer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(empty);
	other.partition = 8;
	other.log_end = -1;
	batch_begin(&writer, frame, 42);
	batch_add(&writer, &example, memtable);
	batch_add(&writer, &other, empty);
	CU_ASSERT_TRUE(batch_end(&writer));
	memtable_free(memtable);
	memtable_free(empty);
}

static void check_first(const struct range *range)
{
	struct error error;
	struct op op;
	size_t at = 0;

	CU_ASSERT_EQUAL(range->index_id, 0x1122334455667788);
	CU_ASSERT_EQUAL(range->partition, 7);
	CU_ASSERT_TRUE(incarnation_equal(range->incarnation, (struct incarnation){{0xa1, 0xb2}}));
	CU_ASSERT_EQUAL(range->session, 0xc3);
	CU_ASSERT_EQUAL(range->rules_digest, 0xd4);
	CU_ASSERT_EQUAL(range->from, 100);
	CU_ASSERT_EQUAL(range->to, 120);
	CU_ASSERT_EQUAL(range->log_end, 4000);
	CU_ASSERT_EQUAL(range->anchor.offset, 119);
	CU_ASSERT_EQUAL(range->anchor.timestamp_ms, 77);
	CU_ASSERT_EQUAL(range->anchor.checksum, 88);
	CU_ASSERT_EQUAL(range->ops_len, 2);
	CU_ASSERT_EQUAL_FATAL(range_next(range, &at, &op, &error), 1);
	CU_ASSERT_EQUAL(op.offset, 102);
	CU_ASSERT_EQUAL(op.kind, OP_KIND_PUT);
	CU_ASSERT_FALSE(op.fresh);
	CU_ASSERT_EQUAL(op.key.timestamp_ms, 1700000000000);
	CU_ASSERT_EQUAL(op.key.seq, 9);
	CU_ASSERT_TRUE(slice_equal(op.id, slice_string("a")));
	CU_ASSERT_TRUE(slice_equal(op.body, slice_string("{\"id\":\"a\"}")));
	CU_ASSERT_EQUAL_FATAL(range_next(range, &at, &op, &error), 1);
	CU_ASSERT_EQUAL(op.offset, 103);
	CU_ASSERT_TRUE(op.fresh);
	CU_ASSERT_EQUAL(range_next(range, &at, &op, &error), 0);
}

static void check_notes(const struct range *range)
{
	struct identity_entry entry;
	int64_t offset;
	size_t at = 0;

	CU_ASSERT_EQUAL(range->identities_len, 2);
	CU_ASSERT_TRUE_FATAL(range_next_identity(range, &at, &entry));
	CU_ASSERT_EQUAL(entry.offset, 104);
	CU_ASSERT_EQUAL(entry.identity.key.low, 0xf6);
	CU_ASSERT_EQUAL(entry.identity.key.high, 0x17);
	CU_ASSERT_EQUAL(entry.identity.operation, 0x28);
	CU_ASSERT_TRUE_FATAL(range_next_identity(range, &at, &entry));
	CU_ASSERT_EQUAL(entry.offset, 107);
	CU_ASSERT_EQUAL(entry.identity.key.low, 0xf7);
	CU_ASSERT_FALSE(range_next_identity(range, &at, &entry));
	CU_ASSERT_EQUAL(range->skipped_len, 3);
	at = 0;
	for (int64_t expected = 110; expected <= 112; expected++) {
		CU_ASSERT_TRUE_FATAL(range_next_skipped(range, &at, &offset));
		CU_ASSERT_EQUAL(offset, expected);
	}
	CU_ASSERT_FALSE(range_next_skipped(range, &at, &offset));
}

static void check_origins(const struct range *range)
{
	struct origin_entry entry;
	size_t at = 0;

	CU_ASSERT_EQUAL(range->origins_len, 2);
	for (int64_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE_FATAL(range_next_origin(range, &at, &entry));
		CU_ASSERT_EQUAL(entry.offset, 105 + 3 * i);
		CU_ASSERT_TRUE(slice_equal(entry.origin.source, slice_string("orders")));
		CU_ASSERT_EQUAL(entry.origin.life, 3);
		CU_ASSERT_EQUAL(entry.origin.partition, 4 + i);
		CU_ASSERT_EQUAL(entry.origin.offset, 0x1122334455 + i);
		CU_ASSERT_EQUAL(entry.origin.n, 6);
	}
	CU_ASSERT_FALSE(range_next_origin(range, &at, &entry));
}

static void test_round_trip(void)
{
	struct batch_reader reader;
	struct buffer frame;
	struct range range;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build(&frame);
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL(reader.batch_id, 42);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	check_first(&range);
	check_notes(&range);
	check_origins(&range);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.identities_len, 0);
	CU_ASSERT_EQUAL(range.skipped_len, 0);
	CU_ASSERT_EQUAL(range.origins_len, 0);
	CU_ASSERT_EQUAL(range.partition, 8);
	CU_ASSERT_EQUAL(range.from, 5);
	CU_ASSERT_EQUAL(range.to, 5);
	CU_ASSERT_EQUAL(range.log_end, -1);
	CU_ASSERT_EQUAL(range.anchor.offset, -1);
	CU_ASSERT_EQUAL(range.ops_len, 0);
	CU_ASSERT_EQUAL(batch_next(&reader, &range, &error), 0);
	buffer_deinit(&frame);
}

/* Reads all of a batch; 0 or the error. The bytes are copied, so that a step over their end is noticed. */
static int read_all(struct slice frame)
{
	uint8_t *copy = malloc(frame.len + (frame.len == 0));
	struct batch_reader reader;
	struct range range;
	struct error error;
	struct op op;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, frame.ptr, frame.len);
	rc = batch_open(&reader, slice_of(copy, frame.len), &error);
	while (rc == 0 && (rc = batch_next(&reader, &range, &error)) == 1) {
		size_t at = 0;

		while ((rc = range_next(&range, &at, &op, &error)) == 1)
			continue;
	}
	free(copy);
	return rc;
}

static void test_every_truncation(void)
{
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build(&frame);
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), 0);
	for (size_t len = 0; len < frame.len; len++)
		CU_ASSERT_EQUAL(read_all(slice_of(frame.ptr, len)), ERROR_FORMAT);
	buffer_put_u8(&frame, 0);
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), ERROR_FORMAT);
	buffer_deinit(&frame);
}

/* Places in the frame of `build`, by the layout in batch.h. */
enum place {
	PLACE_VERSION = 4,
	PLACE_RANGES = 16,
	PLACE_PARTITION = 20 + 4 + 8,
	PLACE_FROM = PLACE_PARTITION + 4 + 16 + 8 + 8,
	PLACE_TO = PLACE_FROM + 8,
	PLACE_OPS_LEN = PLACE_TO + 8 + 8 + 24,
	PLACE_IDENTITIES = PLACE_OPS_LEN + 4,
	PLACE_SKIPPED = PLACE_IDENTITIES + 4,
	PLACE_ORIGINS = PLACE_SKIPPED + 4,
	PLACE_FIRST_IDENTITY = PLACE_ORIGINS + 4,
	PLACE_SECOND_IDENTITY = PLACE_FIRST_IDENTITY + 32,
	PLACE_FIRST_SKIPPED = PLACE_SECOND_IDENTITY + 32,
	PLACE_SECOND_SKIPPED = PLACE_FIRST_SKIPPED + 8,
	PLACE_THIRD_SKIPPED = PLACE_SECOND_SKIPPED + 8,
	PLACE_FIRST_ORIGIN = PLACE_THIRD_SKIPPED + 8,
	PLACE_SOURCE = PLACE_FIRST_ORIGIN + 8,
	PLACE_SOURCE_PARTITION = PLACE_SOURCE + 1 + 6 + 4,
	PLACE_SOURCE_OFFSET = PLACE_SOURCE_PARTITION + 4,
	PLACE_SECOND_ORIGIN = PLACE_SOURCE_OFFSET + 8 + 4,
	PLACE_OP = PLACE_SECOND_ORIGIN + 8 + 1 + 6 + 20,
	PLACE_OP_OFFSET = PLACE_OP + 8,
	PLACE_SECOND_OP = PLACE_OP + 28 + 1 + 10
};

static const struct {
	const char *name;
	size_t place;
	uint8_t byte;
	int code;
} lies[] = {
	{"magic", 0, 'X', ERROR_FORMAT},
	{"the version before", PLACE_VERSION, 2, ERROR_VERSION},
	{"the version after", PLACE_VERSION, 4, ERROR_VERSION},
	{"more ranges than there are", PLACE_RANGES, 3, ERROR_FORMAT},
	{"fewer ranges", PLACE_RANGES, 1, ERROR_FORMAT},
	{"65537 ranges", PLACE_RANGES + 2, 2, ERROR_LIMIT},
	{"partition below zero", PLACE_PARTITION + 3, 0x80, ERROR_FORMAT},
	{"from below zero", PLACE_FROM + 7, 0x80, ERROR_FORMAT},
	{"from behind to", PLACE_FROM, 121, ERROR_FORMAT},
	{"to before an operation", PLACE_TO, 103, ERROR_FORMAT},
	{"fewer operations than there are", PLACE_OPS_LEN, 1, ERROR_FORMAT},
	{"more operations", PLACE_OPS_LEN, 3, ERROR_FORMAT},
	{"fewer identities", PLACE_IDENTITIES, 1, ERROR_FORMAT},
	{"more identities", PLACE_IDENTITIES, 3, ERROR_FORMAT},
	{"more identities than bytes", PLACE_IDENTITIES, 255, ERROR_FORMAT},
	{"4098 identities", PLACE_IDENTITIES + 1, 0x10, ERROR_LIMIT},
	{"identity before from", PLACE_FIRST_IDENTITY, 99, ERROR_FORMAT},
	{"identity below zero", PLACE_FIRST_IDENTITY + 7, 0x80, ERROR_FORMAT},
	{"identity at to", PLACE_SECOND_IDENTITY, 120, ERROR_FORMAT},
	{"identities of one offset", PLACE_SECOND_IDENTITY, 104, ERROR_FORMAT},
	{"identities that fall", PLACE_SECOND_IDENTITY, 103, ERROR_FORMAT},
	{"fewer skipped offsets", PLACE_SKIPPED, 2, ERROR_FORMAT},
	{"more skipped offsets", PLACE_SKIPPED, 4, ERROR_FORMAT},
	{"4099 skipped offsets", PLACE_SKIPPED + 1, 0x10, ERROR_LIMIT},
	{"skipped offset before from", PLACE_FIRST_SKIPPED, 99, ERROR_FORMAT},
	{"skipped offset at to", PLACE_THIRD_SKIPPED, 120, ERROR_FORMAT},
	{"skipped offset twice", PLACE_SECOND_SKIPPED, 110, ERROR_FORMAT},
	{"skipped offsets that fall", PLACE_THIRD_SKIPPED, 111, ERROR_FORMAT},
	{"fewer origins", PLACE_ORIGINS, 1, ERROR_VERSION},
	{"more origins", PLACE_ORIGINS, 3, ERROR_FORMAT},
	{"4098 origins", PLACE_ORIGINS + 1, 0x10, ERROR_LIMIT},
	{"origin before from", PLACE_FIRST_ORIGIN, 99, ERROR_FORMAT},
	{"origin below zero", PLACE_FIRST_ORIGIN + 7, 0x80, ERROR_FORMAT},
	{"origin at to", PLACE_SECOND_ORIGIN, 120, ERROR_FORMAT},
	{"origins of one offset", PLACE_SECOND_ORIGIN, 105, ERROR_FORMAT},
	{"origins that fall", PLACE_SECOND_ORIGIN, 104, ERROR_FORMAT},
	{"origin without a source", PLACE_SOURCE, 0, ERROR_FORMAT},
	{"source of 250 bytes", PLACE_SOURCE, 250, ERROR_FORMAT},
	{"source that no topic is called", PLACE_SOURCE + 1, '/', ERROR_FORMAT},
	{"partition of a source below zero", PLACE_SOURCE_PARTITION + 3, 0x80, ERROR_FORMAT},
	{"offset of a source below zero", PLACE_SOURCE_OFFSET + 7, 0x80, ERROR_FORMAT},
	{"operation 0", PLACE_OP, 0, ERROR_VERSION},
	{"operation 8", PLACE_OP, 8, ERROR_VERSION},
	{"filter with an id", PLACE_OP, 6, ERROR_FORMAT},
	{"delete-all with an id", PLACE_OP, 7, ERROR_FORMAT},
	{"unknown flag", PLACE_OP + 1, 2, ERROR_VERSION},
	{"empty id", PLACE_OP + 2, 0, ERROR_FORMAT},
	{"body beyond the range", PLACE_OP + 4, 255, ERROR_FORMAT},
	{"operation before from", PLACE_OP_OFFSET, 99, ERROR_FORMAT},
	{"operation at to", PLACE_SECOND_OP + 8, 120, ERROR_FORMAT},
	{"same offset twice", PLACE_SECOND_OP + 8, 102, ERROR_FORMAT},
	{"offsets that fall", PLACE_SECOND_OP + 8, 101, ERROR_FORMAT},
};

static void test_lies(void)
{
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct buffer frame;
		int rc;

		buffer_init(&frame, BATCH_BYTES_MAX);
		build(&frame);
		CU_ASSERT_NOT_EQUAL(frame.ptr[lies[i].place], lies[i].byte);
		frame.ptr[lies[i].place] = lies[i].byte;
		rc = read_all(buffer_slice(&frame));
		if (rc != lies[i].code)
			(void)fprintf(stderr, "row \"%s\": %d\n", lies[i].name, rc);
		CU_ASSERT_EQUAL(rc, lies[i].code);
		buffer_deinit(&frame);
	}
}

/* One range [100, 120) with one operation. */
static void build_single(struct buffer *frame, const struct op *op)
{
	struct memtable *memtable = memtable_new(100);
	struct batch_writer writer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	CU_ASSERT_TRUE(memtable_add(memtable, op));
	memtable_cover(memtable, 120);
	batch_begin(&writer, frame, 42);
	batch_add(&writer, &example, memtable);
	CU_ASSERT_TRUE(batch_end(&writer));
	memtable_free(memtable);
}

static void test_kinds(void)
{
	static const struct {
		enum op_kind kind;
		const char *id;
		const char *body;
	} rows[] = {
		{OP_KIND_PUT, "a", "{\"id\":\"a\"}"},
		{OP_KIND_DELETE, "a", ""},
		{OP_KIND_MERGE, "a", "{\"id\":\"a\"}"},
		{OP_KIND_PUT_IF_EXISTS, "a", "{\"id\":\"a\"}"},
		{OP_KIND_MERGE_IF_EXISTS, "a", "{\"id\":\"a\"}"},
		{OP_KIND_DELETE_BY_FILTER, "", "\"n = 1\""},
		{OP_KIND_DELETE_ALL, "", ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct op op = {.offset = 101,
		                .kind = rows[i].kind,
		                .key = {5, 6},
		                .id = slice_string(rows[i].id),
		                .body = slice_string(rows[i].body)};
		struct batch_reader reader;
		struct buffer frame;
		struct range range;
		struct error error;
		struct op read;
		size_t at = 0;

		buffer_init(&frame, BATCH_BYTES_MAX);
		build_single(&frame, &op);
		CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
		CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
		CU_ASSERT_EQUAL_FATAL(range_next(&range, &at, &read, &error), 1);
		CU_ASSERT_EQUAL(read.offset, 101);
		CU_ASSERT_EQUAL(read.kind, rows[i].kind);
		CU_ASSERT_FALSE(read.fresh);
		CU_ASSERT_FALSE(read.has_identity);
		CU_ASSERT_EQUAL(read.key.timestamp_ms, 5);
		CU_ASSERT_EQUAL(read.key.seq, 6);
		CU_ASSERT_TRUE(slice_equal(read.id, op.id));
		CU_ASSERT_TRUE(slice_equal(read.body, op.body));
		CU_ASSERT_EQUAL(range_next(&range, &at, &read, &error), 0);
		buffer_deinit(&frame);
	}
}

/* The frame of one operation with that operation twice, the second time an offset later. */
static void test_barrier_is_alone(void)
{
	static const struct op all = {.offset = 101, .kind = OP_KIND_DELETE_ALL};
	const struct op one = {.offset = 101, .kind = OP_KIND_DELETE, .id = slice_string("a")};
	const size_t op_bytes = 28;
	struct buffer frame;
	size_t second;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build_single(&frame, &all);
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), 0);
	second = frame.len;
	CU_ASSERT_PTR_NOT_NULL_FATAL(buffer_grow(&frame, op_bytes));
	memcpy(frame.ptr + second, frame.ptr + second - op_bytes, op_bytes);
	frame.ptr[second + 8] = 102;
	buffer_set_u32(&frame, 20, (uint32_t)(frame.len - 24));
	buffer_set_u32(&frame, PLACE_OPS_LEN, 2);
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), ERROR_FORMAT);
	/* a delete of the empty id is no barrier, and nothing at all */
	frame.ptr[second] = frame.ptr[second - op_bytes] = OP_KIND_DELETE;
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), ERROR_FORMAT);
	/* and a barrier has no id */
	buffer_clear(&frame);
	build_single(&frame, &one);
	frame.ptr[frame.len - op_bytes - 1] = OP_KIND_DELETE_ALL;
	CU_ASSERT_EQUAL(read_all(buffer_slice(&frame)), ERROR_FORMAT);
	buffer_deinit(&frame);
}

/* What belongs to an operation that could not be added is left for the next try. */
static void test_notes_stop_at_to(void)
{
	struct memtable *memtable = memtable_new(100);
	struct identity identity = {{1, 2}, 3};
	struct origin origin = {slice_string("orders"), 1, 2, 3, 4};
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct range range;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	CU_ASSERT_TRUE(memtable_note_identity(memtable, 100, &identity));
	memtable_cover(memtable, 101);
	CU_ASSERT_TRUE(memtable_note_identity(memtable, 101, &identity));
	CU_ASSERT_TRUE(memtable_note_skipped(memtable, 102));
	CU_ASSERT_TRUE(memtable_note_origin(memtable, 103, &origin));
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_begin(&writer, &frame, 42);
	batch_add(&writer, &example, memtable);
	CU_ASSERT_TRUE(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL(range.identities_len, 1);
	CU_ASSERT_EQUAL(range.skipped_len, 0);
	CU_ASSERT_EQUAL(range.origins_len, 0);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static void build_answer(struct buffer *frame)
{
	struct range_answer second = example_answer;
	struct batch_writer writer;

	second.result = RANGE_RESULT_STOPPED;
	second.anchor.offset = -1;
	second.has_origins = true;
	batch_answer_begin(&writer, frame, 43);
	batch_answer_add(&writer, &example_answer);
	batch_answer_add(&writer, &second);
	CU_ASSERT_TRUE(batch_answer_end(&writer));
}

static int read_answer(struct slice frame, struct range_answer answers[2])
{
	uint8_t *copy = malloc(frame.len + (frame.len == 0));
	struct batch_reader reader;
	struct range_answer answer;
	struct error error;
	size_t count = 0;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, frame.ptr, frame.len);
	rc = batch_answer_open(&reader, slice_of(copy, frame.len), &error);
	while (rc == 0 && (rc = batch_answer_next(&reader, &answer, &error)) == 1) {
		answers[count++ % 2] = answer;
		rc = 0;
		if (reader.ranges_left == 0)
			break;
	}
	if (rc == 0)
		rc = batch_answer_next(&reader, &answer, &error);
	free(copy);
	return rc;
}

static void test_answer_round_trip(void)
{
	struct range_answer answers[2];
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build_answer(&frame);
	CU_ASSERT_EQUAL_FATAL(read_answer(buffer_slice(&frame), answers), 0);
	CU_ASSERT_EQUAL(answers[0].index_id, 0x1122334455667788);
	CU_ASSERT_EQUAL(answers[0].partition, 7);
	CU_ASSERT_EQUAL(answers[0].result, RANGE_RESULT_GAP);
	CU_ASSERT_TRUE(incarnation_equal(answers[0].incarnation, (struct incarnation){{0xa1, 0xb2}}));
	CU_ASSERT_EQUAL(answers[0].session, 0xc3);
	CU_ASSERT_EQUAL(answers[0].received, 120);
	CU_ASSERT_EQUAL(answers[0].stored, 100);
	CU_ASSERT_EQUAL(answers[0].anchor.offset, 119);
	CU_ASSERT_EQUAL(answers[0].anchor.timestamp_ms, 1700000000000);
	CU_ASSERT_EQUAL(answers[0].anchor.checksum, 0xe5);
	CU_ASSERT_EQUAL(answers[1].result, RANGE_RESULT_STOPPED);
	CU_ASSERT_EQUAL(answers[1].anchor.offset, -1);
	CU_ASSERT_FALSE(answers[0].has_identities || answers[0].has_origins);
	CU_ASSERT_TRUE(!answers[1].has_identities && answers[1].has_origins);
	buffer_deinit(&frame);
}

static void test_answer_truncations(void)
{
	struct range_answer answers[2];
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build_answer(&frame);
	for (size_t len = 0; len < frame.len; len++)
		CU_ASSERT_EQUAL(read_answer(slice_of(frame.ptr, len), answers), ERROR_FORMAT);
	buffer_put_u8(&frame, 0);
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_FORMAT);
	buffer_deinit(&frame);
}

static void test_answer_lies(void)
{
	struct range_answer answers[2];
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	build_answer(&frame);
	frame.ptr[20 + 12] = 0; /* the first result */
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_FORMAT);
	frame.ptr[20 + 12] = 8;
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_FORMAT);
	frame.ptr[20 + 12] = 1;
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), 0);
	frame.ptr[20 + 77] = 3; /* the first one's marks */
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), 0);
	CU_ASSERT_TRUE(answers[0].has_identities && answers[0].has_origins);
	frame.ptr[20 + 77] = 4;
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_FORMAT);
	frame.ptr[20 + 77] = 0;
	frame.ptr[PLACE_VERSION] = 0;
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_VERSION);
	buffer_clear(&frame);
	build(&frame); /* a batch is no answer */
	CU_ASSERT_EQUAL(read_answer(buffer_slice(&frame), answers), ERROR_FORMAT);
	buffer_deinit(&frame);
}

static void test_incarnation_text(void)
{
	struct incarnation incarnation = {{0x0123456789abcdef, 0xfedcba9876543210}};
	struct incarnation parsed = {{1, 1}};
	char text[33];

	incarnation_print(incarnation, text);
	CU_ASSERT_STRING_EQUAL(text, "fedcba98765432100123456789abcdef");
	CU_ASSERT_TRUE(incarnation_parse(slice_string(text), &parsed));
	CU_ASSERT_TRUE(incarnation_equal(parsed, incarnation));
	CU_ASSERT_FALSE(incarnation_parse(slice_string("fedcba98765432100123456789abcde"), &parsed));
	CU_ASSERT_FALSE(incarnation_parse(slice_string("FEDCBA98765432100123456789ABCDEF"), &parsed));
	CU_ASSERT_FALSE(incarnation_parse(slice_string("fedcba98765432100123456789abcdeg"), &parsed));
	CU_ASSERT_FALSE(incarnation_is_none(incarnation));
	CU_ASSERT_TRUE(incarnation_is_none((struct incarnation){{0, 0}}));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"round trip", test_round_trip},
		{"every truncation", test_every_truncation},
		{"frames that lie", test_lies},
		{"every kind of operation", test_kinds},
		{"a barrier is alone in its range", test_barrier_is_alone},
		{"identities, origins and skipped offsets stop at to", test_notes_stop_at_to},
		{"answer: round trip", test_answer_round_trip},
		{"answer: every truncation", test_answer_truncations},
		{"answer: frames that lie", test_answer_lies},
		{"text of an incarnation", test_incarnation_text},
		CU_TEST_INFO_NULL,
	};

	return suite_run("batch", tests);
}
