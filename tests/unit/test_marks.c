/*
 * Marks: origins against a plain search, their bounds and order; pages there
 * and back, every truncation, and pages that lie.
 */
#include "shared/record/marks.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct origin origin_of(const char *source, int32_t partition, uint32_t life, int64_t offset,
                               uint32_t n)
{
	return (struct origin){slice_string(source), life, partition, offset, n};
}

static void test_verdicts(void)
{
	static const struct {
		const char *source;
		int32_t partition;
		uint32_t life;
		int64_t offset;
		uint32_t n;
		enum origin_verdict verdict;
	} rows[] = {
		{"orders", 3, 1, 50, 2, ORIGIN_VERDICT_DUPLICATE},
		{"orders", 3, 1, 50, 1, ORIGIN_VERDICT_DUPLICATE},
		{"orders", 3, 1, 49, 9, ORIGIN_VERDICT_DUPLICATE},
		{"orders", 3, 0, 99, 9, ORIGIN_VERDICT_DUPLICATE},
		{"orders", 3, 1, 50, 3, ORIGIN_VERDICT_NEW},
		{"orders", 3, 1, 51, 0, ORIGIN_VERDICT_NEW},
		{"orders", 3, 2, 0, 0, ORIGIN_VERDICT_NEW}, /* another life starts anew */
		{"orders", 2, 1, 50, 2, ORIGIN_VERDICT_NEW},
		{"orders", 4, 0, 0, 0, ORIGIN_VERDICT_NEW},
		{"order", 3, 0, 0, 0, ORIGIN_VERDICT_NEW},
		{"orders2", 3, 0, 0, 0, ORIGIN_VERDICT_NEW},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct origins *origins = origins_new();
		struct origin known = origin_of("orders", 3, 1, 50, 2);
		struct origin asked =
			origin_of(rows[i].source, rows[i].partition, rows[i].life, rows[i].offset, rows[i].n);
		struct error error;

		CU_ASSERT_PTR_NOT_NULL_FATAL(origins);
		CU_ASSERT_EQUAL(origins_judge(origins, &asked), ORIGIN_VERDICT_NEW);
		CU_ASSERT_EQUAL(origins_note(origins, &known, &error), 0);
		CU_ASSERT_EQUAL(origins_judge(origins, &asked), rows[i].verdict);
		CU_ASSERT_EQUAL(origins_note(origins, &asked, &error), 0);
		CU_ASSERT_EQUAL(origins_judge(origins, &asked), ORIGIN_VERDICT_DUPLICATE);
		CU_ASSERT_EQUAL(origins_judge(origins, &known), ORIGIN_VERDICT_DUPLICATE);
		origins_free(origins);
	}
	origins_free(NULL);
}

/* The highest stays, whatever the order in which they come. */
static void test_highest_stays(void)
{
	struct origins *origins = origins_new();
	struct origin list[] = {origin_of("a", 0, 0, 7, 0), origin_of("a", 0, 1, 2, 4),
	                        origin_of("a", 0, 1, 2, 3), origin_of("a", 0, 0, 9, 0)};
	struct origin kept;
	struct error error;
	size_t at = 0;

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		CU_ASSERT_EQUAL(origins_note(origins, &list[i], &error), 0);
	CU_ASSERT_EQUAL(origins_count(origins), 1);
	CU_ASSERT_TRUE_FATAL(origins_next(origins, &at, &kept));
	CU_ASSERT_EQUAL(kept.life, 1);
	CU_ASSERT_EQUAL(kept.offset, 2);
	CU_ASSERT_EQUAL(kept.n, 4);
	CU_ASSERT_FALSE(origins_next(origins, &at, &kept));
	origins_free(origins);
}

/* Sources are copied, and come out bytewise, a prefix before what it begins, partitions as numbers. */
static void test_order(void)
{
	static const struct {
		const char *source;
		int32_t partition;
	} in[] = {{"b", 10}, {"ab", 2}, {"b", 9}, {"a", INT32_MAX}, {"a", 0}, {"B", 1}, {"b", 0}},
	  out[] = {{"B", 1}, {"a", 0}, {"a", INT32_MAX}, {"ab", 2}, {"b", 0}, {"b", 9}, {"b", 10}};
	struct origins *origins = origins_new();
	struct origin origin;
	struct error error;
	char source[8];
	size_t at = 0;

	for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
		(void)snprintf(source, sizeof source, "%s", in[i].source);
		origin = origin_of(source, in[i].partition, 1, 1, 1);
		CU_ASSERT_EQUAL(origins_note(origins, &origin, &error), 0);
		memset(source, 'x', sizeof source - 1);
	}
	for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
		CU_ASSERT_TRUE_FATAL(origins_next(origins, &at, &origin));
		CU_ASSERT_TRUE(slice_equal(origin.source, slice_string(out[i].source)));
		CU_ASSERT_EQUAL(origin.partition, out[i].partition);
	}
	CU_ASSERT_FALSE(origins_next(origins, &at, &origin));
	origins_free(origins);
}

/* 4,096 source partitions; what is known goes on, what is one more does not. */
static void test_limit(void)
{
	struct origins *origins = origins_new();
	struct origin more = origin_of("orders", 4096, 0, 5, 0);
	struct origin known = origin_of("orders", 17, 0, 5, 1);
	struct error error;

	for (int32_t i = 0; i < 4096; i++) {
		struct origin origin = origin_of("orders", i * 611 % 4096, 0, 5, 0);

		CU_ASSERT_EQUAL(origins_judge(origins, &origin), ORIGIN_VERDICT_NEW);
		CU_ASSERT_EQUAL(origins_note(origins, &origin, &error), 0);
	}
	CU_ASSERT_EQUAL(origins_count(origins), 4096);
	CU_ASSERT_EQUAL(origins_judge(origins, &more), ORIGIN_VERDICT_LIMIT);
	CU_ASSERT_EQUAL(origins_note(origins, &more, &error), ERROR_LIMIT);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
	CU_ASSERT_EQUAL(origins_count(origins), 4096);
	CU_ASSERT_EQUAL(origins_judge(origins, &known), ORIGIN_VERDICT_NEW);
	CU_ASSERT_EQUAL(origins_note(origins, &known, &error), 0);
	CU_ASSERT_EQUAL(origins_judge(origins, &known), ORIGIN_VERDICT_DUPLICATE);
	origins_free(origins);
}

static const struct incarnation example_incarnation = {{0xa1, 0xb2}};

/* Origins orders/4 and orders/5, identities at 7 and 9, received 20. */
static void build(struct buffer *frame, int64_t next)
{
	struct marks_writer writer;

	marks_begin(&writer, frame, example_incarnation, 20);
	for (int32_t i = 0; i < 2; i++) {
		struct origin origin = origin_of("orders", 4 + i, 3, 0x1122334455 + i, 6);

		marks_add_origin(&writer, &origin);
	}
	for (int64_t i = 0; i < 2; i++) {
		struct identity_entry entry = {7 + 2 * i, {{0xf6 + (uint64_t)i, 0x17}, 0x28}};

		marks_add_identity(&writer, &entry);
	}
	CU_ASSERT_TRUE(marks_end(&writer, next));
}

static void test_round_trip(void)
{
	static const int64_t nexts[] = {-1, 10, 20};

	for (size_t i = 0; i < sizeof nexts / sizeof *nexts; i++) {
		struct identity_entry entry;
		struct marks_page page;
		struct origin origin;
		struct buffer frame;
		struct error error;
		size_t at = 0;

		buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
		build(&frame, nexts[i]);
		CU_ASSERT_EQUAL_FATAL(marks_open(&page, buffer_slice(&frame), &error), 0);
		CU_ASSERT_TRUE(incarnation_equal(page.incarnation, example_incarnation));
		CU_ASSERT_EQUAL(page.received, 20);
		CU_ASSERT_EQUAL(page.next, nexts[i]);
		CU_ASSERT_EQUAL(page.origins_len, 2);
		CU_ASSERT_EQUAL(page.identities_len, 2);
		for (int32_t n = 0; n < 2; n++) {
			CU_ASSERT_TRUE_FATAL(marks_page_origin(&page, &at, &origin));
			CU_ASSERT_TRUE(slice_equal(origin.source, slice_string("orders")));
			CU_ASSERT_EQUAL(origin.partition, 4 + n);
			CU_ASSERT_EQUAL(origin.life, 3);
			CU_ASSERT_EQUAL(origin.offset, 0x1122334455 + n);
			CU_ASSERT_EQUAL(origin.n, 6);
		}
		CU_ASSERT_FALSE(marks_page_origin(&page, &at, &origin));
		at = 0;
		for (uint64_t n = 0; n < 2; n++) {
			CU_ASSERT_TRUE_FATAL(marks_page_identity(&page, &at, &entry));
			CU_ASSERT_EQUAL(entry.offset, 7 + 2 * (int64_t)n);
			CU_ASSERT_EQUAL(entry.identity.key.low, 0xf6 + n);
			CU_ASSERT_EQUAL(entry.identity.key.high, 0x17);
			CU_ASSERT_EQUAL(entry.identity.operation, 0x28);
		}
		CU_ASSERT_FALSE(marks_page_identity(&page, &at, &entry));
		buffer_deinit(&frame);
	}
}

/* The bytes are copied, so that a step over their end is noticed. */
static int open_copy(struct slice frame)
{
	uint8_t *copy = malloc(frame.len + (frame.len == 0));
	struct marks_page page;
	struct error error = {0};
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, frame.ptr, frame.len);
	rc = marks_open(&page, slice_of(copy, frame.len), &error);
	CU_ASSERT_TRUE(rc == 0 || (error.text[0] != '\0' && error.action == ERROR_ACTION_REJECT));
	free(copy);
	return rc;
}

static void test_every_truncation(void)
{
	struct buffer frame;

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	build(&frame, -1);
	CU_ASSERT_EQUAL(open_copy(buffer_slice(&frame)), 0);
	for (size_t len = 0; len < frame.len; len++)
		CU_ASSERT_EQUAL(open_copy(slice_of(frame.ptr, len)), ERROR_FORMAT);
	buffer_put_u8(&frame, 0);
	CU_ASSERT_EQUAL(open_copy(buffer_slice(&frame)), ERROR_FORMAT);
	buffer_deinit(&frame);
}

/* Places in the page of `build`, by the layout in marks.h. */
enum place {
	PLACE_VERSION = 4,
	PLACE_RESERVED = 6,
	PLACE_RECEIVED = 8 + 16,
	PLACE_NEXT = PLACE_RECEIVED + 8,
	PLACE_ORIGINS = PLACE_NEXT + 8,
	PLACE_IDENTITIES = PLACE_ORIGINS + 4,
	PLACE_SOURCE = PLACE_IDENTITIES + 4,
	PLACE_PARTITION = PLACE_SOURCE + 1 + 6 + 4,
	PLACE_OFFSET = PLACE_PARTITION + 4,
	PLACE_SECOND_ORIGIN = PLACE_OFFSET + 8 + 4,
	PLACE_SECOND_PARTITION = PLACE_SECOND_ORIGIN + 1 + 6 + 4,
	PLACE_FIRST_IDENTITY = PLACE_SECOND_PARTITION + 4 + 8 + 4,
	PLACE_SECOND_IDENTITY = PLACE_FIRST_IDENTITY + 32
};

static const struct {
	const char *name;
	size_t place;
	uint8_t byte;
	int code;
} lies[] = {
	{"magic", 0, 'X', ERROR_FORMAT},
	{"the version before", PLACE_VERSION, 0, ERROR_VERSION},
	{"the version after", PLACE_VERSION, 2, ERROR_VERSION},
	{"what is reserved", PLACE_RESERVED, 1, ERROR_FORMAT},
	{"received below zero", PLACE_RECEIVED + 7, 0x80, ERROR_FORMAT},
	{"received at an identity", PLACE_RECEIVED, 9, ERROR_FORMAT},
	{"next below -1", PLACE_NEXT, 0xfe, ERROR_FORMAT},
	{"fewer origins", PLACE_ORIGINS, 1, ERROR_FORMAT},
	{"more origins", PLACE_ORIGINS, 3, ERROR_FORMAT},
	{"4098 origins", PLACE_ORIGINS + 1, 0x10, ERROR_FORMAT},
	{"fewer identities", PLACE_IDENTITIES, 1, ERROR_FORMAT},
	{"more identities", PLACE_IDENTITIES, 3, ERROR_FORMAT},
	{"65538 identities", PLACE_IDENTITIES + 2, 1, ERROR_FORMAT},
	{"no source", PLACE_SOURCE, 0, ERROR_FORMAT},
	{"source of 255 bytes", PLACE_SOURCE, 255, ERROR_FORMAT},
	{"source that no topic is called", PLACE_SOURCE + 1, ' ', ERROR_FORMAT},
	{"partition below zero", PLACE_PARTITION + 3, 0x80, ERROR_FORMAT},
	{"offset below zero", PLACE_OFFSET + 7, 0x80, ERROR_FORMAT},
	{"one source partition twice", PLACE_SECOND_PARTITION, 4, ERROR_FORMAT},
	{"partitions that fall", PLACE_SECOND_PARTITION, 3, ERROR_FORMAT},
	{"sources that fall", PLACE_SECOND_ORIGIN + 1, 'n', ERROR_FORMAT},
	{"identity below zero", PLACE_FIRST_IDENTITY + 7, 0x80, ERROR_FORMAT},
	{"identities of one offset", PLACE_SECOND_IDENTITY, 7, ERROR_FORMAT},
	{"identities that fall", PLACE_SECOND_IDENTITY, 6, ERROR_FORMAT},
	{"identity at received", PLACE_SECOND_IDENTITY, 20, ERROR_FORMAT},
};

static void test_lies(void)
{
	static const int64_t nexts[] = {9, 8, 0, 21, INT64_MAX, INT64_MIN};
	struct buffer frame;

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		int rc;

		buffer_clear(&frame);
		build(&frame, -1);
		CU_ASSERT_NOT_EQUAL(frame.ptr[lies[i].place], lies[i].byte);
		frame.ptr[lies[i].place] = lies[i].byte;
		rc = open_copy(buffer_slice(&frame));
		if (rc != lies[i].code)
			(void)fprintf(stderr, "row \"%s\": %d\n", lies[i].name, rc);
		CU_ASSERT_EQUAL(rc, lies[i].code);
	}
	for (size_t i = 0; i < sizeof nexts / sizeof *nexts; i++) {
		buffer_clear(&frame);
		build(&frame, nexts[i]);
		CU_ASSERT_EQUAL(open_copy(buffer_slice(&frame)), ERROR_FORMAT);
	}
	buffer_deinit(&frame);
}

/* Of an empty replica, and of one that holds as much as there may be. */
static void test_bounds(void)
{
	struct marks_writer writer;
	struct marks_page page;
	struct buffer frame;
	struct error error;
	char source[249];

	buffer_init(&frame, MARKS_PAGE_BYTES_MAX);
	marks_begin(&writer, &frame, example_incarnation, 0);
	CU_ASSERT_TRUE(marks_end(&writer, -1));
	CU_ASSERT_EQUAL(marks_open(&page, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL(page.origins_len + page.identities_len, 0);
	buffer_clear(&frame);
	marks_begin(&writer, &frame, example_incarnation, 70000);
	memset(source, 'z', sizeof source);
	for (int32_t i = 0; i < 4096; i++) {
		struct origin origin = {slice_of(source, sizeof source), 1, i, 2, 3};

		marks_add_origin(&writer, &origin);
	}
	for (int64_t i = 0; i < 65536; i++)
		marks_add_identity(&writer, &(struct identity_entry){.offset = 1000 + i});
	CU_ASSERT_TRUE(marks_end(&writer, 66536));
	CU_ASSERT_EQUAL(marks_open(&page, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL(page.origins_len, 4096);
	CU_ASSERT_EQUAL(page.identities_len, 65536);
	buffer_deinit(&frame);
	/* a page that does not fit says so */
	buffer_init(&frame, 40);
	marks_begin(&writer, &frame, example_incarnation, 0);
	CU_ASSERT_FALSE(marks_end(&writer, -1));
	buffer_deinit(&frame);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"origins: verdicts", test_verdicts},
		{"origins: the highest stays", test_highest_stays},
		{"origins: order, copies", test_order},
		{"origins: 4096 and one more", test_limit},
		{"page: round trip", test_round_trip},
		{"page: every truncation", test_every_truncation},
		{"page: pages that lie", test_lies},
		{"page: nothing, and as much as there may be", test_bounds},
		CU_TEST_INFO_NULL,
	};

	return suite_run("marks", tests);
}
