/*
 * Fuzz: batch_answer_open and batch_answer_next, as a feeder reads what a node
 * answered to a batch.
 */
#include "shared/record/batch.h"

#include "tests/fuzz/seeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct batch_reader reader;
	struct range_answer answer;
	struct error error;

	if (batch_answer_open(&reader, slice_of(bytes, len), &error) != 0)
		return 0;
	while (batch_answer_next(&reader, &answer, &error) == 1)
		ASSERT(answer.result >= RANGE_RESULT_APPLIED && answer.result <= RANGE_RESULT_STOPPED);
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
