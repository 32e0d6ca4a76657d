/*
 * Fuzz: marks_open and the walks over a page, as a feeder reads what a node
 * sent; and what was opened is noted and written again as the same bytes.
 */
#include "shared/base/assert.h"
#include "shared/record/marks.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_origins(const struct marks_page *page, struct marks_writer *writer)
{
	struct origins *origins = origins_new();
	struct origin origin;
	struct error error;
	uint32_t count = 0;
	size_t at = 0;
	size_t next = 0;

	ASSERT(origins != NULL);
	for (; marks_page_origin(page, &at, &origin); count++) {
		ASSERT(origins_judge(origins, &origin) == ORIGIN_VERDICT_NEW);
		ASSERT(origins_note(origins, &origin, &error) == 0);
		ASSERT(origins_judge(origins, &origin) == ORIGIN_VERDICT_DUPLICATE);
	}
	ASSERT(count == page->origins_len && count == origins_count(origins) && count <= ORIGINS_MAX);
	while (origins_next(origins, &next, &origin))
		marks_add_origin(writer, &origin);
	origins_free(origins);
}

static void check_identities(const struct marks_page *page, struct marks_writer *writer)
{
	struct identity_entry entry;
	uint32_t count = 0;
	int64_t last = -1;
	size_t at = 0;

	for (; marks_page_identity(page, &at, &entry); last = entry.offset, count++) {
		ASSERT(entry.offset > last && entry.offset < page->received);
		marks_add_identity(writer, &entry);
	}
	ASSERT(count == page->identities_len && (page->next == -1 || page->next > last));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct marks_writer writer;
	struct marks_page page;
	struct buffer again;
	struct error error;
	int rc;

	error.text[0] = '\0';
	rc = marks_open(&page, slice_of(bytes, len), &error);
	if (rc < 0) {
		ASSERT(error.text[0] != '\0' && error.action == ERROR_ACTION_REJECT);
		return 0;
	}
	buffer_init(&again, MARKS_PAGE_BYTES_MAX);
	marks_begin(&writer, &again, page.incarnation, page.received);
	check_origins(&page, &writer);
	check_identities(&page, &writer);
	ASSERT(marks_end(&writer, page.next));
	ASSERT(slice_equal(buffer_slice(&again), slice_of(bytes, len)));
	buffer_deinit(&again);
	return 0;
}
