/*
 * Fuzz: batch_open, batch_next and range_next, as a node reads what a feeder
 * sent.
 */
#include "shared/base/assert.h"
#include "shared/record/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct range *range)
{
	int64_t offset_next = range->from;
	uint32_t count = 0;
	struct error error;
	struct op op;
	size_t at = 0;

	ASSERT(range->partition >= 0 && range->from >= 0 && range->from <= range->to);
	while (range_next(range, &at, &op, &error) == 1) {
		ASSERT(op.offset >= offset_next && op.offset < range->to);
		ASSERT(op.id.len >= 1 && op.id.len <= RECORD_ID_BYTES_MAX);
		ASSERT(op.kind == OP_KIND_PUT || op.kind == OP_KIND_DELETE);
		offset_next = op.offset + 1;
		count++;
	}
	ASSERT(at == range->ops.len && count == range->ops_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct batch_reader reader;
	struct range range;
	struct error error;
	int rc;

	error.text[0] = '\0';
	rc = batch_open(&reader, slice_of(bytes, len), &error);
	while (rc == 0 && (rc = batch_next(&reader, &range, &error)) == 1) {
		check(&range);
		rc = 0;
		if (reader.ranges_left == 0)
			break;
	}
	ASSERT(rc >= 0 || error.text[0] != '\0');
	return 0;
}
