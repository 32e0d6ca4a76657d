/* What is known, for people and metrics. */
#include "rebalance/core/controller_private.h"

#include <inttypes.h>

static const char *const placement_names[] = {
	[PLACEMENT_STATE_JOINING] = "joining",
	[PLACEMENT_STATE_ACTIVE] = "active",
	[PLACEMENT_STATE_LEAVING] = "leaving",
};

static const char *const report_names[] = {
	[REPORT_STATE_RECOVERING] = "recovering",
	[REPORT_STATE_ACTIVE] = "active",
	[REPORT_STATE_STOPPED] = "stopped",
};

void controller_count(const struct controller *controller, struct controller_counts *counts)
{
	const struct shard_record *shard;
	int32_t partition = -1;
	size_t at = 0;

	*counts = (struct controller_counts){0};
	for (size_t i = 0; i < controller->nodes_len; i++)
		counts->nodes_answering += watch_node(controller->watch, controller->nodes[i].id)->answering;
	while ((shard = controller_next_shard(controller, &at, &partition)) != NULL) {
		counts->shards_divergent += shard->divergent;
		for (size_t i = 0; i < shard->replicas_len; i++) {
			counts->replicas_out += !shard->replicas[i].in_sync;
			counts->replicas_joining += shard->replicas[i].state == PLACEMENT_STATE_JOINING;
		}
	}
}

static void append_string(struct buffer *body, const char *name, const char *text)
{
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, slice_string(text));
}

static void append_incarnation(struct buffer *body, struct incarnation incarnation)
{
	char text[33] = "";

	if (!incarnation_is_none(incarnation))
		incarnation_print(incarnation, text);
	append_string(body, "incarnation", text);
}

static void append_node(const struct controller *controller, const struct node_record *node,
                        struct buffer *body)
{
	const struct watched_node *watched = watch_node(controller->watch, node->id);

	buffer_append_string(body, "{\"id\":");
	json_append_string(body, slice_string(node->id));
	append_string(body, "group", node->group);
	append_string(body, "url", node->url);
	append_string(body, "state", watched->answering ? "answers" : "silent");
	append_string(body, "error", watched->trouble);
	append_incarnation(body, watched->incarnation);
	buffer_printf(body, ",\"format\":%" PRIu32 ",\"last_answer_ms\":", watched->format);
	if (watched->registered)
		buffer_printf(body, "%" PRId64 "}", controller->now_ms - watched->heard_ms);
	else
		buffer_append_string(body, "null}");
}

static void append_replica(const struct placement *placement, const struct watched_node *node,
                           const struct watched_replica *replica, struct buffer *body)
{
	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(placement->node));
	append_string(body, "state", placement_names[placement->state]);
	buffer_printf(body, ",\"in_sync\":%s", placement->in_sync ? "true" : "false");
	append_incarnation(body, placement->incarnation);
	if (!replica->known) {
		buffer_append_string(body, ",\"reported\":null}");
		return;
	}
	buffer_printf(body,
	              ",\"reported\":{\"state\":\"%s\",\"now\":%s,\"received\":%" PRId64
	              ",\"stored\":%" PRId64 "}}",
	              report_names[replica->last.state],
	              node->answering && watched_is_listed(node, replica) ? "true" : "false",
	              replica->last.received, replica->last.stored);
}

static void append_shard(const struct controller *controller, const struct shard_record *shard,
                         const struct moves_places *places, struct buffer *body)
{
	char id[17];
	struct sight sight;

	if (!controller_see(controller, shard, &sight))
		return;
	index_id_print(shard->index_id, id);
	buffer_printf(body, "{\"index\":\"%s\"", id);
	append_string(body, "uid", catalog_index(controller->catalog, shard->index_id)->uid);
	buffer_printf(body,
	              ",\"generation\":%" PRId32 ",\"partition\":%" PRId32
	              ",\"divergent\":%s,\"needs_operator\":%s,\"log_end\":%" PRId64 ",\"replicas\":[",
	              shard->generation, shard->partition, shard->divergent ? "true" : "false",
	              moves_need_operator(shard, &sight, places) ? "true" : "false",
	              watched_end(sight.shard));
	for (size_t i = 0; i < shard->replicas_len; i++) {
		buffer_append_string(body, i == 0 ? "" : ",");
		append_replica(&shard->replicas[i], sight.nodes[i], sight.replicas[i], body);
	}
	buffer_append_string(body, "]}");
}

void controller_status(const struct controller *controller, struct buffer *body)
{
	const struct shard_record *shard;
	struct moves_places places;
	int32_t partition = -1;
	size_t at = 0;
	size_t start;

	controller_find_places(controller, &places);
	buffer_append_string(body, "\"nodes\":[");
	for (size_t i = 0; i < controller->nodes_len; i++) {
		buffer_append_string(body, i == 0 ? "" : ",");
		append_node(controller, &controller->nodes[i], body);
	}
	buffer_append_string(body, "],\"shards\":[");
	start = body->len;
	while ((shard = controller_next_shard(controller, &at, &partition)) != NULL) {
		buffer_append_string(body, body->len == start ? "" : ",");
		append_shard(controller, shard, &places, body);
	}
	buffer_append_string(body, "],");
	controller_rebuilds_status(controller, body);
}
