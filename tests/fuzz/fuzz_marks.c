/*
 * Fuzz: marks_open and the walks over a page, as a feeder reads what a node
 * sent; and what was opened is noted and written again as the same bytes.
 */
#include "shared/record/marks.h"

#include "tests/fuzz/seeds.h"

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

/* Nothing, origins, identities, both. */
static void seeds_make(void)
{
	struct marks_writer writer;
	struct buffer page;

	buffer_init(&page, MARKS_PAGE_BYTES_MAX);
	for (int what = 0; what < 4; what++) {
		buffer_clear(&page);
		marks_begin(&writer, &page, (struct incarnation){{1, 2}}, 100);
		for (int32_t i = 0; what % 2 == 1 && i < 3; i++) {
			struct origin origin = {slice_string(i < 2 ? "orders" : "t"), 1, i, 5, 6};

			marks_add_origin(&writer, &origin);
		}
		for (int64_t i = 0; what >= 2 && i < 3; i++) {
			struct identity_entry entry = {90 + i, {{7, 8}, 9}};

			marks_add_identity(&writer, &entry);
		}
		ASSERT(marks_end(&writer, what == 2 ? 95 : -1));
		seed_write(buffer_slice(&page));
	}
	buffer_deinit(&page);
}
