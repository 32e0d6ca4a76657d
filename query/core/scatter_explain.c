/* What was planned, and what became of it. */
#include "query/core/scatter_private.h"

#include "shared/json/json.h"

#include <inttypes.h>

static void append_ms(struct buffer *body, const char *name, int64_t us)
{
	buffer_printf(body, ",\"%s\":%" PRId64 ".%03d", name, us / 1000, (int)(us % 1000));
}

static void append_text(struct buffer *body, const char *name, const char *text)
{
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, slice_string(text));
}

/* ---- plan ---- */

static const char *const state_names[] = {
	[PLACEMENT_STATE_JOINING] = "joining",
	[PLACEMENT_STATE_ACTIVE] = "active",
	[PLACEMENT_STATE_LEAVING] = "leaving",
};

/* Why nobody asked a candidate. */
static const char *reason_of(const struct scatter *scatter, const struct scatter_replica *replica)
{
	if (replica->rank == REPLICA_RANK_OUT)
		return "outOfSync";
	if (replica->rank == REPLICA_RANK_LEAVING)
		return "leaving";
	if (scatter->nodes[replica->node].first_cost >= CHOOSER_COST_AWAY)
		return "away";
	return scatter_is_in_group(scatter, replica, scatter->group) ? "notNeeded" : "otherGroup";
}

static const struct scatter_replica *candidate(const struct scatter *scatter, struct scatter_shard *shard,
                                               const struct node_record *node)
{
	for (size_t i = 0; node != NULL && i < scatter->nodes_len; i++)
		if (scatter->nodes[i].record == node)
			return scatter_replica_on(shard, i);
	return NULL;
}

static void append_replica(const struct scatter *scatter, struct scatter_shard *shard,
                           const struct placement *placement, struct buffer *body)
{
	const struct node_record *node = catalog_node(scatter->catalog, placement->node);
	const struct scatter_replica *replica = candidate(scatter, shard, node);
	const char *state = state_names[placement->state];
	bool asked = replica != NULL && replica->asked;

	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(placement->node));
	if (node != NULL)
		append_text(body, "group", node->group);
	buffer_printf(body, ",\"state\":\"%s\",\"inSync\":%s", state, placement->in_sync ? "true" : "false");
	if (replica != NULL && scatter->nodes[replica->node].first_cost < CHOOSER_COST_AWAY)
		append_ms(body, "costMs", scatter->nodes[replica->node].first_cost);
	else
		buffer_append_string(body, ",\"costMs\":null");
	buffer_printf(body, ",\"asked\":%s", asked ? "true" : "false");
	if (node == NULL)
		append_text(body, "reason", "unknown");
	else if (replica == NULL)
		append_text(body, "reason", state);
	else if (!asked)
		append_text(body, "reason", reason_of(scatter, replica));
	buffer_put_u8(body, '}');
}

static void append_shard(const struct scatter *scatter, struct scatter_shard *shard, struct buffer *body)
{
	buffer_printf(body, "{\"partition\":%d,\"replicas\":[", shard->partition);
	for (size_t i = 0; shard->record != NULL && i < shard->record->replicas_len; i++) {
		buffer_append_string(body, i > 0 ? "," : "");
		append_replica(scatter, shard, &shard->record->replicas[i], body);
	}
	buffer_append_string(body, "]}");
}

/* ---- legs ---- */

static void append_leg(const struct scatter *scatter, const struct scatter_leg *leg, size_t place,
                       struct buffer *body)
{
	static const char *const names[] = {
		[0] = "pending",
		[SCATTER_EVENT_ANSWERED] = "answered",
		[SCATTER_EVENT_UNUSED] = "unused",
		[SCATTER_EVENT_REFUSED] = "refused",
		[SCATTER_EVENT_FAILED] = "failed",
		[SCATTER_EVENT_UNSENT] = "unsent",
	};
	const struct scatter_end *end = &leg->ends[place];

	buffer_printf(body, "{\"partition\":%d", leg->partitions[place]);
	append_text(body, "node", scatter->nodes[leg->node].record->id);
	buffer_printf(body, ",\"stale\":%s,\"hedge\":%s,\"status\":\"%s\"",
	              leg->accepts_stale ? "true" : "false", leg->hedge ? "true" : "false", names[end->kind]);
	if (end->why != NULL)
		append_text(body, "reason", end->why);
	if (end->kind != 0)
		append_ms(body, "tookMs", leg->closed_us - leg->sent_us);
	buffer_put_u8(body, '}');
}

void scatter_append_explained(const struct scatter *scatter, struct buffer *body)
{
	const char *before = "";

	buffer_append_string(body, "\"group\":");
	if (scatter->group != NULL)
		json_append_string(body, slice_string(scatter->group));
	else
		buffer_append_string(body, "null");
	buffer_append_string(body, ",\"plan\":[");
	for (size_t i = 0; i < scatter->shards_len; i++) {
		buffer_append_string(body, i > 0 ? "," : "");
		append_shard(scatter, &scatter->shards[i], body);
	}
	buffer_append_string(body, "],\"shards\":[");
	for (size_t number = 0; number < scatter->legs_len; number++) {
		const struct scatter_leg *leg = scatter_leg_at(scatter, number);

		for (size_t i = 0; i < leg->partitions_len; i++) {
			buffer_append_string(body, before);
			append_leg(scatter, leg, i, body);
			before = ",";
		}
	}
	buffer_put_u8(body, ']');
}
