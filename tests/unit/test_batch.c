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
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
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
	PLACE_OP = PLACE_SKIPPED + 4,
	PLACE_OP_OFFSET = PLACE_OP + 8,
	PLACE_SECOND_OP = PLACE_OP + 28 + 1 + 10
};

static void test_lies(void)
{
	static const struct {
		const char *name;
		size_t place;
		uint8_t byte;
		int code;
	} rows[] = {
		{"magic", 0, 'X', ERROR_FORMAT},
		{"version", PLACE_VERSION, 2, ERROR_VERSION},
		{"more ranges than there are", PLACE_RANGES, 3, ERROR_FORMAT},
		{"fewer ranges", PLACE_RANGES, 1, ERROR_FORMAT},
		{"65537 ranges", PLACE_RANGES + 2, 2, ERROR_LIMIT},
		{"partition below zero", PLACE_PARTITION + 3, 0x80, ERROR_FORMAT},
		{"from below zero", PLACE_FROM + 7, 0x80, ERROR_FORMAT},
		{"from behind to", PLACE_FROM, 121, ERROR_FORMAT},
		{"to before an operation", PLACE_TO, 103, ERROR_FORMAT},
		{"fewer operations than there are", PLACE_OPS_LEN, 1, ERROR_FORMAT},
		{"more operations", PLACE_OPS_LEN, 3, ERROR_FORMAT},
		{"identities", PLACE_IDENTITIES, 1, ERROR_VERSION},
		{"skipped offsets", PLACE_SKIPPED, 1, ERROR_VERSION},
		{"operation 0", PLACE_OP, 0, ERROR_VERSION},
		{"operation 3", PLACE_OP, 3, ERROR_VERSION},
		{"unknown flag", PLACE_OP + 1, 2, ERROR_VERSION},
		{"empty id", PLACE_OP + 2, 0, ERROR_FORMAT},
		{"body beyond the range", PLACE_OP + 4, 255, ERROR_FORMAT},
		{"operation before from", PLACE_OP_OFFSET, 99, ERROR_FORMAT},
		{"operation at to", PLACE_SECOND_OP + 8, 120, ERROR_FORMAT},
		{"same offset twice", PLACE_SECOND_OP + 8, 102, ERROR_FORMAT},
		{"offsets that fall", PLACE_SECOND_OP + 8, 101, ERROR_FORMAT},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buffer frame;
		int rc;

		buffer_init(&frame, BATCH_BYTES_MAX);
		build(&frame);
		CU_ASSERT_NOT_EQUAL(frame.ptr[rows[i].place], rows[i].byte);
		frame.ptr[rows[i].place] = rows[i].byte;
		rc = read_all(buffer_slice(&frame));
		if (rc != rows[i].code)
			(void)fprintf(stderr, "row \"%s\": %d\n", rows[i].name, rc);
		CU_ASSERT_EQUAL(rc, rows[i].code);
		buffer_deinit(&frame);
	}
}

static void build_answer(struct buffer *frame)
{
	struct range_answer second = example_answer;
	struct batch_writer writer;

	second.result = RANGE_RESULT_STOPPED;
	second.anchor.offset = -1;
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
		{"answer: round trip", test_answer_round_trip},
		{"answer: every truncation", test_answer_truncations},
		{"answer: frames that lie", test_answer_lies},
		{"text of an incarnation", test_incarnation_text},
		CU_TEST_INFO_NULL,
	};

	return suite_run("batch", tests);
}
