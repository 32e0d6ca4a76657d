/*
 * Fuzz: a posting list of any bytes, as a disk segment may hold: read with and
 * without its places, one by one and block by block, and appended to a writer
 * whole and without every third number; what a writer takes in is read again
 * as the same documents.
 *
 * The input is u8 documents, u8 base, the list.
 */
#include "shard/core/posting_list.h"

#include "tests/fuzz/seeds.h"

#define PLACES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Documents of a list, their places read of every `step`-th; negative if it is damaged. */
static int64_t list_read(const struct posting_list *list, uint32_t step, struct postings *set)
{
	struct place places[PLACES_MAX];
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	uint64_t last = 0;
	int64_t count = 0;
	size_t len;
	int rc;

	posting_cursor_init(&cursor, list);
	for (; (rc = posting_cursor_next(&cursor, &number, &error)) > 0; count++) {
		ASSERT(number >= list->base && number - list->base <= POSTING_DISTANCE_MAX);
		ASSERT(count == 0 || number > last);
		last = number;
		postings_add(set, number);
		if (count % step == 0 &&
		    posting_cursor_places(&cursor, places, PLACES_MAX, &len, &error) != 0)
			return error.code;
		if (count % step == 0)
			ASSERT(len >= 1);
	}
	ASSERT(rc == 0 || error.code == ERROR_DAMAGED);
	ASSERT(rc < 0 || count == list->count);
	return rc < 0 ? rc : count;
}

/* Its documents and all their places, block by block. */
static int64_t batches_read(const struct posting_list *list)
{
	uint64_t numbers[POSTING_BLOCK_MAX];
	struct place places[PLACES_MAX];
	struct places_room room = {places, PLACES_MAX};
	struct posting_cursor cursor;
	struct error error;
	uint64_t number;
	int64_t count = 0;
	size_t documents;
	size_t len;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, &error)) > 0) {
		rc = posting_cursor_batch(&cursor, UINT64_MAX, numbers, &documents, &error);
		ASSERT(rc != 0 || (documents >= 1 && documents <= POSTING_BLOCK_MAX));
		for (; rc == 0 && documents > 0; documents--, count++)
			rc = posting_cursor_places_back(&cursor, (uint32_t)documents - 1, room, &len, &error);
		if (rc != 0)
			return rc;
	}
	return rc < 0 ? rc : count;
}

/* What is left of a sound list when `dead` are left out; appended to one with another base, as in a merge. */
static void check_append(const struct posting_list *list, const struct postings *dead, uint64_t base,
                         int64_t expected)
{
	struct posting_writer writer;
	struct posting_list appended;
	struct postings set;
	struct error error;

	posting_writer_init(&writer);
	postings_init(&set);
	posting_writer_begin(&writer, base);
	if (posting_writer_append(&writer, list, dead, &error) == 0) {
		ASSERT(posting_writer_end(&writer, &appended, &error) == 0);
		if (expected >= 0) {
			ASSERT(appended.count == (uint64_t)expected);
			ASSERT(list_read(&appended, 1, &set) == expected);
		}
	} else {
		ASSERT(error.code == ERROR_DAMAGED && expected < 0);
	}
	postings_deinit(&set);
	posting_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct posting_list list;
	struct postings set;
	struct postings again;
	struct postings dead;
	struct error error;
	int64_t count;
	uint64_t number;
	uint64_t last = 0;
	uint64_t base;
	uint64_t i = 0;

	if (len < 2 || bytes[0] == 0)
		return 0;
	list = (struct posting_list){bytes[1], bytes[0], slice_of(bytes + 2, len - 2), NULL};
	postings_init(&set);
	postings_init(&again);
	postings_init(&dead);
	(void)list_read(&list, 3, &set);
	postings_clear(&set);
	count = list_read(&list, 1, &set);
	ASSERT(batches_read(&list) == count);
	if (posting_list_numbers(&list, &again, &error) == 0)
		ASSERT(count < 0 || postings_count(&again) == (uint64_t)count);
	for (uint64_t from = 0; postings_next(&set, from, &number); from = number + 1, i++) {
		if (i % 3 == 1)
			postings_add(&dead, number);
		last = number;
	}
	/* as merges do: none whose numbers would be too far from it */
	base = last <= POSTING_DISTANCE_MAX + list.base / 2 ? list.base / 2 : list.base;
	check_append(&list, NULL, base, count);
	check_append(&list, &dead, base, count < 0 ? count : count - (int64_t)postings_count(&dead));
	postings_deinit(&set);
	postings_deinit(&again);
	postings_deinit(&dead);
	return 0;
}

static void seed_list(uint8_t documents, uint8_t base)
{
	struct posting_writer writer;
	struct posting_list list;
	struct buffer input;
	struct error error;

	posting_writer_init(&writer);
	posting_writer_begin(&writer, base);
	for (uint64_t i = 0; i < documents; i++) {
		struct place places[] = {{0, (uint16_t)(i * 300)}, {1, 7}, {1, 9}};

		posting_writer_add(&writer, base + i * i, places, 1 + i % 3);
	}
	ASSERT(posting_writer_end(&writer, &list, &error) == 0);
	buffer_init(&input, 65536);
	buffer_put_u8(&input, documents);
	buffer_put_u8(&input, base);
	buffer_append_slice(&input, list.bytes);
	ASSERT(!buffer_failed(&input));
	seed_write(buffer_slice(&input));
	buffer_deinit(&input);
	posting_writer_deinit(&writer);
}

/* One document, a few, and more than a block. */
static void seeds_make(void)
{
	seed_list(1, 0);
	seed_list(5, 40);
	seed_list(200, 255);
}
