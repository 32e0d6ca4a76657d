#include "shard/core/posting_run.h"

#include "shard/core/posting_list_private.h"
#include "shared/base/assert.h"

void posting_run_take(struct posting_run *run, struct posting_cursor *cursor)
{
	ASSERT(cursor->unread == 1);
	*run = (struct posting_run){.distances = cursor->distances,
	                            .places = cursor->places.ptr,
	                            .end = cursor->places.end,
	                            .number = cursor->number,
	                            .last = cursor->block_last,
	                            .left = cursor->left};
	cursor->given += cursor->left;
	cursor->left = cursor->unread = 0;
}

int posting_run_end(const struct posting_run *run, struct error *error)
{
	if (run->left > 0 || run->number != run->last || reader_failed(&run->distances) ||
	    reader_left(&run->distances) > 0 || run->places == NULL || run->places < run->end)
		return posting_damaged(error, "has a block that is not as its head says");
	return 0;
}

void posting_group_long(struct posting_run *run, struct posting_group *group)
{
	struct reader reader = reader_of(slice_of(run->places, (size_t)(run->end - run->places)));
	uint64_t head = reader_varint(&reader);
	uint64_t distance = reader_varint(&reader);
	uint64_t first = reader_varint(&reader);
	uint64_t left = head >> 1;

	/* only the first field may be 0 */
	if (reader_failed(&reader) || distance > UINT16_MAX || group->field + distance > UINT16_MAX ||
	    first > UINT16_MAX || left > UINT16_MAX || (distance == 0 && group->more)) {
		posting_run_fail(run, group);
		return;
	}
	*group = (struct posting_group){group->field + distance, (uint32_t)first, (uint32_t)left, head & 1};
	run->places = varints_pass(reader.ptr, reader.end, left);
	if (run->places == NULL)
		posting_run_fail(run, group);
}

/* Passes over so many documents, of which the run is at the first one's first field. */
static bool documents_pass(struct posting_run *from, uint32_t documents)
{
	struct posting_run run = *from; /* kept in registers */
	struct posting_group group = {0};

	while (documents > 0 && run.places != NULL) {
		const uint8_t *ptr = run.places;

		/* most fields have the word once; where the next one is does not depend on what stands here */
		if (run.end - ptr > 2 && ptr[0] < 2 && (ptr[1] | ptr[2]) < 0x80) {
			run.places = ptr + 3;
			documents -= ptr[0] == 0;
			continue;
		}
		group = (struct posting_group){0};
		posting_group_read(&run, &group);
		documents -= !group.more;
	}
	*from = run;
	return run.places != NULL;
}

int posting_run_seek(struct posting_run *run, uint64_t number, bool is_read, struct error *error)
{
	struct posting_run to = *run; /* kept in registers */
	uint32_t passed = 0;

	while (to.number < number && posting_run_next(&to))
		passed++;
	if (to.number < number)
		return posting_damaged(error, "has a block that is not as its head says");
	*run = to;
	if (passed > is_read && !documents_pass(run, passed - is_read))
		return posting_damaged(error, "has a block that is not as its head says");
	return 0;
}
