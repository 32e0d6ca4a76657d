/*
 * What a node tells the controller is untrusted: whatever the bytes, what is
 * accepted is within its bounds and in order.
 */
#include "rebalance/core/node_report.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct replica_report *replica)
{
	ASSERT(replica->partition >= 0 && replica->partition < INDEX_PARTITIONS_MAX);
	ASSERT(replica->state >= REPORT_STATE_RECOVERING && replica->state <= REPORT_STATE_STOPPED);
	ASSERT(replica->seals_len <= REPORT_SEALS_MAX);
	for (size_t i = 1; i < replica->seals_len; i++)
		ASSERT(replica->seals[i - 1].offset < replica->seals[i].offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct node_report report = {0};
	struct error error;

	if (node_report_parse(slice_of(bytes, len), &report, &error) < 0) {
		ASSERT(error.code < 0 && error.text[0] != '\0');
		return 0;
	}
	ASSERT(report.replicas_len <= REPORT_REPLICAS_MAX);
	ASSERT(memchr(report.id, '\0', sizeof report.id) != NULL);
	ASSERT(memchr(report.kafka, '\0', sizeof report.kafka) != NULL);
	for (size_t i = 0; i < report.replicas_len; i++)
		check(&report.replicas[i]);
	node_report_deinit(&report);
	return 0;
}
