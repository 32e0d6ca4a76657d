/* Which nodes are asked, which answers are believed, and what is recorded of nodes. */
#include "rebalance/core/controller_private.h"

#include <stdio.h>

void controller_tick(struct controller *controller, int64_t now_ms)
{
	controller->now_ms = now_ms;
	watch_tick(controller->watch, now_ms, CONTROLLER_BLIND_MS);
	if (controller->ticked)
		return;
	controller->ticked = true;
	controller_find_nodes(controller);
}

static bool is_named(const struct controller *controller, const char *node)
{
	const struct shard_record *shard;
	int32_t partition = -1;
	size_t at = 0;

	while ((shard = controller_next_shard(controller, &at, &partition)) != NULL)
		if (catalog_placement(shard, node) != NULL)
			return true;
	return false;
}

static const struct node_record *asked_node(const struct controller *controller, const char *node)
{
	for (size_t i = 0; i < controller->nodes_len; i++)
		if (strcmp(controller->nodes[i].id, node) == 0)
			return &controller->nodes[i];
	return NULL;
}

void controller_find_nodes(struct controller *controller)
{
	const struct cluster_record *cluster = catalog_cluster(controller->catalog);

	controller->nodes_len = controller->options.nodes_len;
	for (size_t i = 0; cluster != NULL && i < cluster->nodes_len; i++)
		if (controller->nodes_len < NODES_MAX &&
		    asked_node(controller, cluster->nodes[i].id) == NULL &&
		    is_named(controller, cluster->nodes[i].id))
			controller->nodes[controller->nodes_len++] = cluster->nodes[i];
	watch_only(controller->watch, controller->nodes, controller->nodes_len);
	for (size_t i = 0; i < controller->nodes_len; i++)
		(void)watch_node(controller->watch, controller->nodes[i].id);
}

size_t controller_nodes(const struct controller *controller, const struct node_record **nodes)
{
	*nodes = controller->nodes;
	return controller->nodes_len;
}

/* As its last good answer said, or else as it is recorded. */
static void registration_of(const struct controller *controller, const char *node,
                            struct incarnation *incarnation, uint32_t *format)
{
	const struct node_record *recorded = catalog_node(controller->catalog, node);
	const struct watched_node *watched = watch_node(controller->watch, node);

	*incarnation = (struct incarnation){0};
	*format = 0;
	if (watched != NULL && watched->registered) {
		*incarnation = watched->incarnation;
		*format = watched->format;
	} else if (recorded != NULL) {
		*incarnation = recorded->incarnation;
		*format = recorded->format;
	}
}

void controller_fill_nodes(const struct controller *controller, struct cluster_record *cluster)
{
	cluster->nodes_len = controller->nodes_len;
	for (size_t i = 0; i < controller->nodes_len; i++) {
		struct node_record *node = &cluster->nodes[i];

		*node = controller->nodes[i];
		registration_of(controller, node->id, &node->incarnation, &node->format);
	}
}

/* The other node that has this data directory; NULL: nobody. */
static const char *owner_of(const struct controller *controller, const struct node_report *report)
{
	for (size_t i = 0; i < controller->nodes_len; i++) {
		const char *node = controller->nodes[i].id;
		struct incarnation incarnation;
		uint32_t format;

		if (strcmp(node, report->node) == 0)
			continue;
		registration_of(controller, node, &incarnation, &format);
		if (incarnation_equal(incarnation, report->incarnation))
			return node;
	}
	return NULL;
}

/* Why this answer cannot be believed, in `trouble`; false then. */
static bool is_believable(const struct controller *controller, const struct node_report *report,
                          char trouble[256])
{
	const char *owner;

	trouble[0] = '\0';
	if (report->failure != NULL) {
		(void)snprintf(trouble, 256, "%.255s", report->failure);
	} else if (strcmp(report->id, report->node) != 0) {
		(void)snprintf(trouble, 256,
		               "at its url answers node %s: topology.groups or that node's shard.id is wrong",
		               report->id);
	} else if (report->kafka[0] == '\0') {
		(void)snprintf(trouble, 256, "it does not know its Kafka yet");
	} else if (strcmp(report->kafka, controller->kafka_id) != 0) {
		(void)snprintf(trouble, 256, "it belongs to Kafka %s, this controller to %s", report->kafka,
		               controller->kafka_id);
	} else if (!report->ready) {
		(void)snprintf(trouble, 256, "it has not opened its replicas yet");
	} else if ((owner = owner_of(controller, report)) != NULL) {
		(void)snprintf(trouble, 256, "its data directory is the one of node %s, or a copy of it",
		               owner);
	}
	return trouble[0] == '\0';
}

static void see_replica(struct controller *controller, const struct node_report *report,
                        const struct replica_report *listed, int64_t now_ms)
{
	const struct shard_record *record =
		catalog_shard(controller->catalog, listed->index_id, listed->partition);
	struct watched_shard *shard;
	struct watched_replica *replica = NULL;

	if (record == NULL || record->generation != listed->generation ||
	    catalog_placement(record, report->node) == NULL)
		return;
	shard = watch_shard(controller->watch, record);
	if (shard != NULL)
		replica = watch_replica(controller->watch, shard, record, report->node);
	if (replica != NULL) /* out of memory: its next answer */
		watch_listed(shard, replica, report, listed, now_ms);
}

void controller_node_report(struct controller *controller, const struct node_report *report, int64_t now_ms)
{
	struct watched_node *node;

	controller_tick(controller, now_ms);
	if (asked_node(controller, report->node) == NULL)
		return;
	node = watch_node(controller->watch, report->node);
	controller->shards_due = true;
	node->answering = is_believable(controller, report, node->trouble);
	if (!node->answering)
		return;
	node->registered = true;
	node->heard_ms = now_ms;
	node->asked_ms = report->asked_ms;
	node->incarnation = report->incarnation;
	node->format = report->format;
	for (size_t i = 0; i < report->replicas_len; i++)
		see_replica(controller, report, &report->replicas[i], now_ms);
}

const char *controller_trouble(const struct controller *controller, const char *node)
{
	return asked_node(controller, node) != NULL ? watch_node(controller->watch, node)->trouble : "";
}
