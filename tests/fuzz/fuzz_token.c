/*
 * Tokens of clients: what is understood is printed as the same token, and what
 * is refused says why with one of two codes.
 */
#include "query/core/token.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PARTITIONS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	int64_t required[PARTITIONS_MAX];
	int64_t again[PARTITIONS_MAX];
	struct error_answer refusal;
	struct buffer text;
	int32_t partitions;

	if (len == 0)
		return 0;
	partitions = 1 + bytes[0] % PARTITIONS_MAX;
	if (token_parse(slice_of(bytes + 1, len - 1), 1, partitions, required, &refusal) < 0) {
		ASSERT(error_answer_status(refusal.code) == 400 || error_answer_status(refusal.code) == 409);
		return 0;
	}
	buffer_init(&text, SIZE_MAX);
	token_append(&text, 1, required, partitions);
	ASSERT(!buffer_failed(&text) && text.len == len - 1);
	ASSERT(token_parse(buffer_slice(&text), 1, partitions, again, &refusal) == 0);
	ASSERT(memcmp(required, again, (size_t)partitions * sizeof required[0]) == 0);
	ASSERT(token_covers(required, again, partitions) && token_covers(again, required, partitions));
	buffer_deinit(&text);
	return 0;
}
