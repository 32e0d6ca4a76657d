/*
 * Fuzz: standing_parse and standing_find, as a feeder reads where a node's
 * replicas stand.
 */
#include "shared/feed/standing.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct range_answer wanted = {.index_id = 0x4d, .partition = 3};
	struct range_answer found;
	struct standing *standing;
	struct slice reason;
	struct error error;

	if (standing_parse(slice_of(bytes, len), &standing, &error) != 0)
		return 0;
	(void)standing_check_node(standing, "n1", &error);
	if (standing_find(standing, &wanted, 1, &found, &reason, &error) == 0 &&
	    found.result != RANGE_RESULT_UNKNOWN)
		ASSERT(found.stored >= 0 && found.stored <= found.received &&
		       found.anchor.offset < found.received);
	standing_free(standing);
	return 0;
}
