/* What is fed and where it stands, as JSON. */
#include "shared/feeding/feeding_private.h"
#include "shared/json/json.h"

#include <inttypes.h>

static const char *const state_names[] = {
	[FEEDER_STATE_ASKING] = "asking",
	[FEEDER_STATE_ANCHORING] = "anchoring",
	[FEEDER_STATE_FEEDING] = "feeding",
	[FEEDER_STATE_STOPPED] = "stopped",
};

static void append_replica(const struct feeding *feeding, const struct feeder_replica_status *replica,
                           struct buffer *body)
{
	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(feeding->nodes[replica->node].id));
	buffer_printf(body, ",\"in_sync\":%s,\"known\":%s,\"lane\":", replica->in_sync ? "true" : "false",
	              replica->known ? "true" : "false");
	if (replica->known)
		buffer_printf(body, "\"%s\"", replica->lane == FEEDER_LANE_LIVE ? "live" : "behind");
	else
		buffer_append_string(body, "null");
	buffer_printf(body,
	              ",\"received\":%" PRId64 ",\"stored\":%" PRId64 ",\"obstacle\":", replica->received,
	              replica->stored);
	json_append_string(body, slice_string(replica->obstacle));
	buffer_append_string(body, "}");
}

static void append_replicas(const struct feeding *feeding, uint32_t slot, struct buffer *body)
{
	struct feeder_replica_status replica;

	buffer_append_string(body, "\"replicas\":[");
	for (size_t i = 0; feeder_replica_status(feeding->feeder, slot, i, &replica); i++) {
		if (i > 0)
			buffer_append_string(body, ",");
		append_replica(feeding, &replica, body);
	}
	buffer_append_string(body, "]");
}

/* What the log before a record has to say of it. */
static void append_judged(const struct feeder_status *status, struct buffer *body)
{
	buffer_printf(body,
	              ",\"duplicates\":%" PRIu64 ",\"imported_before\":%" PRIu64 ",\"skipped\":%" PRIu64
	              ",\"control\":%" PRIu64,
	              status->duplicates - status->origin_duplicates, status->origin_duplicates,
	              status->skipped, status->holes);
	buffer_printf(body, ",\"window_bytes\":%zu,\"table_bytes\":%zu,\"waits_for\":", status->window_memory,
	              status->window_stored);
	json_append_string(body, slice_string(status->waits_for));
}

static void append_shard(const struct feeding *feeding, uint32_t slot, struct buffer *body)
{
	const struct fed_shard *shard = &feeding->fed[slot];
	struct feeder_status status;

	if (!feeder_shard_status(feeding->feeder, slot, &status))
		return;
	buffer_printf(body,
	              "%s{\"index\":\"%016" PRIx64
	              "\",\"uid\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32,
	              body->ptr[body->len - 1] == '[' ? "" : ",", shard->index_id, shard->uid, shard->topic,
	              shard->partition);
	buffer_printf(body, ",\"state\":\"%s\",\"position\":%" PRId64 ",\"received\":%" PRId64,
	              state_names[status.state], status.position, status.received);
	buffer_printf(body, ",\"stored\":%" PRId64 ",\"committed\":%" PRId64 ",\"log_end\":%" PRId64,
	              status.stored, status.committed, status.log_end);
	if (status.received >= 0 && status.log_end >= status.received)
		buffer_printf(body, ",\"lag\":%" PRId64, status.log_end - status.received);
	else
		buffer_append_string(body, ",\"lag\":null");
	buffer_printf(body, ",\"records\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dead_letters_pending\":%zu",
	              status.records, status.refused, status.dead_letters_pending);
	append_judged(&status, body);
	buffer_printf(body, ",\"memory_bytes\":%zu,\"stop_reason\":", status.memory_bytes);
	json_append_string(body, slice_string(status.stop_reason));
	buffer_append_string(body, ",");
	append_replicas(feeding, slot, body);
	buffer_append_string(body, "}");
}

static void append_table(const struct feeding *feeding, struct buffer *body)
{
	bool failing = feeding->table_trouble.code != 0;

	buffer_printf(body, ",\"table\":{\"bytes\":%" PRIu64 ",\"bytes_max\":%" PRId64 ",\"trouble\":",
	              table_bytes(feeding), config_bytes(feeding->config, "ingest.table"));
	json_append_string(body, slice_string(failing ? feeding->table_trouble.text : ""));
	buffer_append_string(body, "}");
}

void feeding_status(const struct feeding *feeding, struct buffer *body)
{
	buffer_printf(body, "\"slots\":%d,\"shards\":[", __builtin_popcountll(feeding->slots_owned));
	for (uint32_t slot = 0; slot < feeding->fed_len && !buffer_failed(body); slot++)
		if (feeding->fed[slot].used)
			append_shard(feeding, slot, body);
	buffer_printf(body, "],\"memory_bytes\":%zu", feeder_memory_bytes(feeding->feeder));
	append_table(feeding, body);
	buffer_append_string(body, ",");
	holding_append(feeding, body);
}
