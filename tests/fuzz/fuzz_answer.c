/*
 * Fuzz: what a feeder reads from a node: batch_answer_* and the list of
 * shards.
 */
#include "shared/base/assert.h"
#include "shared/feed/standing.h"
#include "shared/record/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_frame(struct slice frame)
{
	struct batch_reader reader;
	struct range_answer answer;
	struct error error;

	if (batch_answer_open(&reader, frame, &error) != 0)
		return;
	while (batch_answer_next(&reader, &answer, &error) == 1)
		ASSERT(answer.result >= RANGE_RESULT_APPLIED && answer.result <= RANGE_RESULT_STOPPED);
}

static void read_standing(struct slice body)
{
	struct range_answer wanted = {.index_id = 0x4d, .partition = 3};
	struct range_answer found;
	struct standing *standing;
	struct slice reason;
	struct error error;

	if (standing_parse(body, &standing, &error) != 0)
		return;
	if (standing_find(standing, &wanted, 1, &found, &reason, &error) == 0 &&
	    found.result != RANGE_RESULT_UNKNOWN)
		ASSERT(found.stored >= 0 && found.stored <= found.received &&
		       found.anchor.offset < found.received);
	standing_free(standing);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len > 0 && bytes[0] == 'M')
		read_frame(slice_of(bytes, len));
	else
		read_standing(slice_of(bytes, len));
	return 0;
}
