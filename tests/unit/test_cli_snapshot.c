/*
 * The files of a snapshot: frames that are whole or gone, what a kill or a
 * full disk leaves, and that nothing changed, missing or of another copy
 * passes for what was written.
 */
#include "shared/cli/cli_snapshot.h"

#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 3
#define PAGE_CHUNKS 4
#define VALUE_BYTES 10
/* u16 length, key of 2 bytes, u32 length, value */
#define PAGE_BYTES (PAGE_CHUNKS * (2 + 2 + 4 + VALUE_BYTES))
#define FRAME_BYTES (12 + PAGE_BYTES)

static const char directory[] = ".";

static bool syncs_fail;

int fdatasync(int fd)
{
	if (!syncs_fail)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

static struct snapshot_row row_of(int32_t partition)
{
	struct snapshot_row row = {.partition = partition, .copy = 0x1234 + (uint64_t)partition};

	return row;
}

/* The n-th page of a shard: keys rise from page to page. */
static void page_make(struct buffer *page, int n)
{
	buffer_init(page, 1000);
	for (int i = 0; i < PAGE_CHUNKS; i++) {
		uint8_t key[2] = {(uint8_t)n, (uint8_t)i};
		uint8_t value[VALUE_BYTES] = {(uint8_t)(n * PAGE_CHUNKS + i)};

		buffer_put_u16(page, sizeof key);
		buffer_append(page, key, sizeof key);
		buffer_put_bytes(page, slice_of(value, sizeof value));
	}
}

static int page_add(struct snapshot_pages *pages, int n, struct error *error)
{
	struct buffer page;
	int rc;

	page_make(&page, n);
	rc = snapshot_pages_add(pages, buffer_slice(&page), error);
	buffer_deinit(&page);
	return rc;
}

static void open_fatal(struct snapshot_pages *pages, const struct snapshot_row *row, enum snapshot_mode mode)
{
	struct error error;

	CU_ASSERT_EQUAL_FATAL(snapshot_pages_open(pages, directory, row, mode, &error), 0);
}

/* The file of a shard with all its pages; what they come to. */
static struct snapshot_sum pages_make(const struct snapshot_row *row)
{
	struct snapshot_pages pages;
	struct error error;
	char name[SNAPSHOT_NAME_BYTES_MAX];

	snapshot_name_print(row, "pages", name);
	(void)unlink(name);
	open_fatal(&pages, row, SNAPSHOT_MODE_GO_ON);
	for (int n = 0; n < PAGES; n++)
		CU_ASSERT_EQUAL_FATAL(page_add(&pages, n, &error), 0);
	snapshot_pages_close(&pages);
	return pages.sum;
}

static int check(const struct snapshot_row *row, struct error *error)
{
	struct snapshot_pages pages;
	int rc = snapshot_pages_open(&pages, directory, row, SNAPSHOT_MODE_CHECK, error);

	if (rc == 0)
		snapshot_pages_close(&pages);
	return rc;
}

static void test_frames(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	struct snapshot_pages pages;
	struct error error;

	CU_ASSERT_EQUAL(sum.pages, PAGES);
	CU_ASSERT_EQUAL(sum.chunks, PAGES * PAGE_CHUNKS);
	CU_ASSERT_EQUAL(sum.chunk_bytes, PAGES * PAGE_CHUNKS * VALUE_BYTES);
	CU_ASSERT_EQUAL(sum.bytes, PAGES * FRAME_BYTES);
	CU_ASSERT_EQUAL(check(&row, &error), 0);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(pages.sum.hash, sum.hash);
	CU_ASSERT_EQUAL(pages.sum.bytes, sum.bytes);
	CU_ASSERT_EQUAL(pages.last_len, 2);
	CU_ASSERT_EQUAL(pages.last[0], PAGES - 1);
	CU_ASSERT_EQUAL(pages.last[1], PAGE_CHUNKS - 1);
	CU_ASSERT_EQUAL(page_add(&pages, PAGES, &error), 0);
	snapshot_pages_close(&pages);
	CU_ASSERT_EQUAL(check(&row, &error), 0);
}

/* One page after the other, as it was added, and no other one. */
static void test_read(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	uint8_t *room = malloc(SNAPSHOT_PAGE_BYTES_MAX);
	struct snapshot_pages pages;
	struct error error;
	size_t len = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(room);
	CU_ASSERT_EQUAL_FATAL(snapshot_pages_begin(&pages, directory, &row, &error), 0);
	for (int n = 0; n < PAGES; n++) {
		CU_ASSERT_EQUAL_FATAL(snapshot_pages_next(&pages, room, &len, &error), 1);
		CU_ASSERT_EQUAL(len, FRAME_BYTES - 12);
		CU_ASSERT_EQUAL(room[2], n); /* of the first key */
	}
	CU_ASSERT_EQUAL(snapshot_pages_next(&pages, room, &len, &error), 0);
	CU_ASSERT_EQUAL(pages.sum.hash, sum.hash);
	snapshot_pages_close(&pages);
	CU_ASSERT_EQUAL_FATAL(truncate("0.pages", 2 * FRAME_BYTES - 1), 0);
	CU_ASSERT_EQUAL_FATAL(snapshot_pages_begin(&pages, directory, &row, &error), 0);
	CU_ASSERT_EQUAL(snapshot_pages_next(&pages, room, &len, &error), 1);
	CU_ASSERT_EQUAL(snapshot_pages_next(&pages, room, &len, &error), ERROR_DAMAGED);
	snapshot_pages_close(&pages);
	(void)unlink("0.pages");
	CU_ASSERT_EQUAL(snapshot_pages_begin(&pages, directory, &row, &error), ERROR_DAMAGED);
	free(room);
}

/* A kill may leave any beginning of the file. */
static void test_cut(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	struct error error;

	for (int64_t len = sum.bytes - 1; len >= 0; len--) {
		struct snapshot_pages pages;
		struct stat status;

		(void)pages_make(&row);
		CU_ASSERT_EQUAL_FATAL(truncate("0.pages", len), 0);
		CU_ASSERT_EQUAL(check(&row, &error), len % FRAME_BYTES == 0 ? 0 : ERROR_DAMAGED);
		open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
		CU_ASSERT_EQUAL(pages.sum.pages, len / FRAME_BYTES);
		CU_ASSERT_EQUAL(stat("0.pages", &status), 0);
		CU_ASSERT_EQUAL(status.st_size, len / FRAME_BYTES * FRAME_BYTES);
		for (int n = (int)pages.sum.pages; n < PAGES; n++)
			CU_ASSERT_EQUAL(page_add(&pages, n, &error), 0);
		CU_ASSERT_EQUAL(pages.sum.hash, sum.hash);
		snapshot_pages_close(&pages);
	}
}

static void byte_flip(const char *name, int64_t at)
{
	int file = open(name, O_RDWR);
	uint8_t byte;

	CU_ASSERT_EQUAL_FATAL(pread(file, &byte, 1, at), 1);
	byte ^= 0x10;
	CU_ASSERT_EQUAL_FATAL(pwrite(file, &byte, 1, at), 1);
	(void)close(file);
}

static void test_flipped(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	struct error error;

	for (int64_t at = 0; at < sum.bytes; at++) {
		byte_flip("0.pages", at);
		CU_ASSERT_EQUAL(check(&row, &error), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_REJECT);
		byte_flip("0.pages", at);
	}
	CU_ASSERT_EQUAL(check(&row, &error), 0);
}

static void test_other_copy(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_pages pages;
	struct error error;

	(void)pages_make(&row);
	row.copy++;
	CU_ASSERT_EQUAL(check(&row, &error), ERROR_DAMAGED);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(pages.sum.bytes, 0);
	CU_ASSERT_EQUAL(pages.last_len, 0);
	snapshot_pages_close(&pages);
}

/* A page that is not what comes next is not written. */
static void test_refused(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	struct snapshot_pages pages;
	struct error error;
	struct buffer page;

	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	page_make(&page, PAGES);
	for (size_t len = 0; len < page.len; len++) {
		int rc = snapshot_pages_add(&pages, slice_of(page.ptr, len), &error);

		if (len > 0 && len % (PAGE_BYTES / PAGE_CHUNKS) == 0) {
			CU_ASSERT_EQUAL(rc, 0);
			snapshot_pages_close(&pages);
			(void)pages_make(&row);
			open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
			continue;
		}
		CU_ASSERT_EQUAL(rc, ERROR_DAMAGED);
		CU_ASSERT_EQUAL(error.action, ERROR_ACTION_RETRY);
	}
	buffer_deinit(&page);
	for (int n = 0; n < PAGES; n++)
		CU_ASSERT_EQUAL(page_add(&pages, n, &error), ERROR_DAMAGED);
	CU_ASSERT_EQUAL(pages.sum.hash, sum.hash);
	CU_ASSERT_EQUAL(pages.sum.bytes, sum.bytes);
	CU_ASSERT_EQUAL(page_add(&pages, PAGES, &error), 0);
	snapshot_pages_close(&pages);
	CU_ASSERT_EQUAL(check(&row, &error), 0);
}

/* No file may be longer than this; writing more fails, as on a full disk. */
static void file_bytes_limit(rlim_t bytes)
{
	struct rlimit limit;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_sum sum = pages_make(&row);
	struct snapshot_pages pages;
	struct error error;

	(void)signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL_FATAL(truncate("0.pages", 0), 0);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(page_add(&pages, 0, &error), 0);
	file_bytes_limit(FRAME_BYTES + FRAME_BYTES / 2);
	CU_ASSERT_EQUAL(page_add(&pages, 1, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "./0.pages: cannot write it: File too large"));
	CU_ASSERT_EQUAL(pages.sum.pages, 1);
	snapshot_pages_close(&pages);
	file_bytes_limit(10);
	CU_ASSERT_EQUAL(snapshot_file_write(directory, "small", slice_string("ten bytes and more"),
	                                    SNAPSHOT_SYNC_NAME, &error),
	                ERROR_STORAGE);
	file_bytes_limit(RLIM_INFINITY);
	CU_ASSERT_NOT_EQUAL(access("small", F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access("new", F_OK), 0);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(pages.sum.pages, 1);
	for (int n = 1; n < PAGES; n++)
		CU_ASSERT_EQUAL(page_add(&pages, n, &error), 0);
	CU_ASSERT_EQUAL(pages.sum.hash, sum.hash);
	snapshot_pages_close(&pages);
}

/* ---- rows ---- */

#define TOLD \
	"{\"copy\":\"0000000000001234\",\"stored\":77,\"anchor\":{\"offset\":76,\"timestamp_ms\":5," \
	"\"checksum\":" \
	"\"00000000000000ff\"},\"digest\":\"00\",\"documents\":12,\"body_bytes\":9,\"segments\":1," \
	"\"chunk_bytes\":120}"

/* What a node answers: its head, what it says, the length of that. */
static void answer_make(struct buffer *answer, const char *told, uint32_t len)
{
	buffer_init(answer, 10000);
	buffer_append_string(answer, "the head");
	buffer_append_string(answer, told);
	buffer_put_u32(answer, len);
}

/* What the page cache has of a file is not on disk for ever after one of its syncs failed: nobody goes on with it. */
static void test_sync_fails(void)
{
	struct snapshot_row row = row_of(0);
	struct snapshot_pages pages;
	struct error error;

	(void)pages_make(&row);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(pages.sum.pages, PAGES);
	syncs_fail = true;
	CU_ASSERT_EQUAL(snapshot_pages_sync(&pages, &error), ERROR_STORAGE);
	CU_ASSERT_EQUAL(error.action, ERROR_ACTION_FATAL);
	syncs_fail = false;
	snapshot_pages_close(&pages);
	open_fatal(&pages, &row, SNAPSHOT_MODE_GO_ON);
	CU_ASSERT_EQUAL(pages.sum.pages, 0);
	CU_ASSERT_EQUAL(pages.last_len, 0);
	for (int n = 0; n < PAGES; n++)
		CU_ASSERT_EQUAL(page_add(&pages, n, &error), 0);
	CU_ASSERT_EQUAL(snapshot_pages_sync(&pages, &error), 0);
	snapshot_pages_close(&pages);
	CU_ASSERT_EQUAL(check(&row, &error), 0);
}

static void test_row(void)
{
	struct snapshot_row row = {.partition = 7, .node = "n1", .is_whole = true};
	struct snapshot_row read = {.partition = 0};
	struct error error;
	struct buffer text;
	struct slice head;
	yyjson_doc *doc;

	answer_make(&text, TOLD, sizeof TOLD - 1);
	CU_ASSERT_EQUAL_FATAL(snapshot_row_told(&row, buffer_slice(&text), &head, &error), 0);
	CU_ASSERT_TRUE(slice_equal(head, slice_string("the head")));
	buffer_deinit(&text);
	CU_ASSERT_EQUAL(row.partition, 7);
	CU_ASSERT_STRING_EQUAL(row.node, "n1");
	CU_ASSERT_STRING_EQUAL(row.told, TOLD);
	CU_ASSERT_EQUAL(row.copy, 0x1234);
	CU_ASSERT_EQUAL(row.stored, 77);
	CU_ASSERT_EQUAL(row.documents, 12);
	CU_ASSERT_EQUAL(row.chunk_bytes, 120);
	CU_ASSERT_EQUAL(row.head_bytes, 8);
	CU_ASSERT_FALSE(row.is_whole);
	row.is_whole = true;
	row.pages = (struct snapshot_sum){1, 2, 3, 120, 0xabcd};
	row.head_hash = 0x11;
	buffer_init(&text, 10000);
	snapshot_row_append(&row, &text);
	CU_ASSERT_TRUE(slice_equal(
		buffer_slice(&text),
		slice_string(
			"{\"partition\":7,\"node\":\"n1\",\"replica\":" TOLD
			",\"head\":{\"bytes\":8,\"hash\":\"0000000000000011\"},\"pages\":{\"bytes\":1,"
			"\"pages\":2,\"chunks\":3,\"chunk_bytes\":120,\"hash\":\"000000000000abcd\"}}")));
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(buffer_slice(&text), &doc, &error), 0);
	CU_ASSERT_TRUE(snapshot_row_parse(&read, yyjson_doc_get_root(doc)));
	CU_ASSERT_EQUAL(memcmp(&read.pages, &row.pages, sizeof read.pages), 0);
	CU_ASSERT_STRING_EQUAL(read.told, TOLD);
	CU_ASSERT_TRUE(read.is_whole);
	CU_ASSERT_EQUAL(read.head_hash, 0x11);
	yyjson_doc_free(doc);
	buffer_deinit(&text);
}

static void test_row_refused(void)
{
	static const struct {
		const char *told;
		uint32_t len;
	} rows[] = {
		{"", 0}, {"{}", 2}, {"{}", 11}, {TOLD, sizeof TOLD}, {TOLD, UINT32_MAX}, {"[]", 2}, {"{", 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct snapshot_row row = row_of(0);
		struct buffer text;
		struct slice head;
		struct error error;

		answer_make(&text, rows[i].told, rows[i].len);
		CU_ASSERT_EQUAL(snapshot_row_told(&row, buffer_slice(&text), &head, &error), ERROR_DAMAGED);
		CU_ASSERT_EQUAL(row.copy, 0x1234);
		buffer_deinit(&text);
	}
}

/* ---- the whole ---- */

static void record_append(struct buffer *json)
{
	int64_t base[2] = {0, 0};
	struct index_record index = {.id = 0xaa,
	                             .uid = "books",
	                             .topic = "c.docs.books",
	                             .state = INDEX_STATE_ACTIVE,
	                             .generation = 1,
	                             .partitions = 2,
	                             .base = base,
	                             .partitioner = PARTITIONER_MURMUR2,
	                             .primary_key = "id",
	                             .rules = rules_default()};

	catalog_write_index(json, &index);
}

/* A snapshot of two shards; `format` and `shards` are what its manifest says. */
static void whole_make(const char *format, int shards)
{
	struct buffer json;
	struct error error;

	buffer_init(&json, 100000);
	buffer_printf(&json,
	              "{\"format\":%s,\"cluster\":\"c\",\"index\":\"00000000000000aa\",\"uid\":\"books\","
	              "\"partitions\":2",
	              format);
	if (shards != 0) {
		buffer_append_string(&json, ",\"record\":");
		record_append(&json);
	}
	buffer_append_string(&json, ",\"shards\":[");
	for (int32_t i = 0; i < 2; i++) {
		struct snapshot_row row = {.partition = i, .node = "n1"};
		char name[SNAPSHOT_NAME_BYTES_MAX];
		struct buffer answer;
		struct slice head;

		answer_make(&answer, TOLD, sizeof TOLD - 1);
		CU_ASSERT_EQUAL_FATAL(snapshot_row_told(&row, buffer_slice(&answer), &head, &error), 0);
		snapshot_name_print(&row, "head", name);
		CU_ASSERT_EQUAL_FATAL(snapshot_file_write(directory, name, head, SNAPSHOT_SYNC_LATER, &error),
		                      0);
		row.pages = pages_make(&row);
		row.is_whole = true;
		buffer_append_string(&json, i == 0 || i >= shards ? "" : ",");
		if (i < shards)
			snapshot_row_append(&row, &json);
		buffer_deinit(&answer);
	}
	buffer_append_string(&json, "]}");
	CU_ASSERT_EQUAL_FATAL(snapshot_file_write(directory, SNAPSHOT_MANIFEST, buffer_slice(&json),
	                                          SNAPSHOT_SYNC_LATER, &error),
	                      0);
	buffer_deinit(&json);
}

static void whole_refused(int code, const char *text)
{
	struct snapshot_found found;
	struct error error;

	CU_ASSERT_EQUAL(snapshot_check(directory, &found, &error), code);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, text));
}

static void test_whole(void)
{
	struct snapshot_found found;
	struct error error;

	(void)unlink(SNAPSHOT_MANIFEST);
	CU_ASSERT_EQUAL(snapshot_check(directory, &found, &error), ERROR_NOT_FOUND);
	whole_make("1", 2);
	CU_ASSERT_EQUAL_FATAL(snapshot_check(directory, &found, &error), 0);
	CU_ASSERT_STRING_EQUAL(found.origin.uid, "books");
	CU_ASSERT_STRING_EQUAL(found.origin.cluster, "c");
	CU_ASSERT_EQUAL(found.origin.index_id, 0xaa);
	CU_ASSERT_EQUAL(found.origin.partitions, 2);
	CU_ASSERT_EQUAL(found.documents, 24);
	CU_ASSERT_EQUAL(found.bytes, 2 * (8 + PAGES * FRAME_BYTES));
	CU_ASSERT_EQUAL(found.rows[1].partition, 1);
	CU_ASSERT_STRING_EQUAL(found.rows[1].told, TOLD);
	CU_ASSERT_STRING_EQUAL(catalog_index(found.recorded, 0xaa)->topic, "c.docs.books");
	snapshot_found_deinit(&found);
}

static void test_whole_refused(void)
{
	whole_make("2", 2);
	whole_refused(ERROR_VERSION, "it has format 2, this program reads 1");
	whole_make("1", 0);
	whole_refused(ERROR_DAMAGED, "manifest.json has no record of the index");
	whole_make("1", 1);
	whole_refused(ERROR_DAMAGED, "manifest.json does not list all shards");
	whole_make("1", 2);
	CU_ASSERT_EQUAL(unlink("1.head"), 0);
	whole_refused(ERROR_DAMAGED, "./1.head is not there");
	whole_make("1", 2);
	byte_flip("1.head", 3);
	whole_refused(ERROR_DAMAGED, "./1.head does not match its hash");
	whole_make("1", 2);
	CU_ASSERT_EQUAL(unlink("0.pages"), 0);
	whole_refused(ERROR_DAMAGED, "./0.pages is not there");
	whole_make("1", 2);
	CU_ASSERT_EQUAL(truncate("0.pages", 2 * FRAME_BYTES), 0); /* whole frames */
	whole_refused(ERROR_DAMAGED, "./0.pages does not hold the pages that were written");
	whole_make("1", 2);
	byte_flip("1.pages", FRAME_BYTES + 20);
	whole_refused(ERROR_DAMAGED, "./1.pages: page 2 does not match its hash");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"frames come back as they were added", test_frames},
		{"pages are read one by one", test_read},
		{"any beginning of a file is gone on with", test_cut},
		{"any changed byte is noticed", test_flipped},
		{"frames of another copy are nobody's", test_other_copy},
		{"a page that does not come next is not written", test_refused},
		{"a full disk changes nothing", test_full},
		{"a sync that fails", test_sync_fails},
		{"a row, from the node's answer to JSON and back", test_row},
		{"an answer that is none", test_row_refused},
		{"a snapshot is right", test_whole},
		{"a snapshot that is not", test_whole_refused},
		CU_TEST_INFO_NULL,
	};

	return suite_run("cli_snapshot", tests);
}
