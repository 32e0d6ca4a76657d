/* The rest of a block at once. */
#include "shard/core/posting_list_private.h"

int posting_cursor_batch(struct posting_cursor *cursor, uint64_t end, uint64_t numbers[POSTING_BLOCK_MAX],
                         size_t *len, struct error *error)
{
	struct reader reader = cursor->distances; /* kept in registers */
	uint64_t number = cursor->number;
	uint32_t most = cursor->left;
	uint32_t more = 0;

	numbers[0] = number;
	while (more < most) {
		const uint8_t *before = reader.ptr;
		uint64_t distance = reader_varint(&reader);

		if (distance >= cursor->block_last - number)
			return posting_damaged(error, "has a block that is not as its head says");
		if (number + distance + 1 >= end) {
			reader.ptr = before;
			break;
		}
		number += distance + 1;
		numbers[++more] = number;
	}
	if (reader_failed(&reader) ||
	    (more == most && (number != cursor->block_last || reader_left(&reader) > 0)))
		return posting_damaged(error, "has a block that is not as its head says");
	cursor->distances = reader;
	cursor->number = number;
	cursor->left -= more;
	cursor->unread += more;
	cursor->given += more;
	*len = more + 1;
	return 0;
}
