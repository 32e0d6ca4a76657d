/*
 * Fuzz: what a feeder reads from a node: batch_answer_* and the list of
 * shards.
 */
#include "shared/feed/standing.h"

#include "tests/fuzz/seeds.h"

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

static void seeds_make(void)
{
	struct range_answer answer = {.index_id = 0x4d,
	                              .partition = 3,
	                              .result = RANGE_RESULT_APPLIED,
	                              .incarnation = {{1, 2}},
	                              .session = 3,
	                              .received = 120,
	                              .stored = 100,
	                              .anchor = {119, 1700000000000, 4},
	                              .has_origins = true};
	struct batch_writer writer;
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_answer_begin(&writer, &frame, 42);
	batch_answer_add(&writer, &answer);
	answer.result = RANGE_RESULT_STOPPED;
	batch_answer_add(&writer, &answer);
	ASSERT(batch_answer_end(&writer));
	seed_write(buffer_slice(&frame));
	buffer_deinit(&frame);
}
