/* GET /shards: what this node holds and where it stands; with `figures=true` what it consists of. */
#include "shard/question.h"

#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

static const char *const state_names[] = {
	[REPLICA_STATE_RECOVERING] = "recovering",
	[REPLICA_STATE_ACTIVE] = "active",
	[REPLICA_STATE_STOPPED] = "stopped",
};

static void append_place(const struct node *node, const struct held *held, struct buffer *body)
{
	const struct index_record *index = catalog_index(node->catalog, held->index_id);

	buffer_printf(body, "{\"index\":\"%016" PRIx64 "\",\"uid\":", held->index_id);
	json_append_string(body, slice_string(index != NULL ? index->uid : ""));
	buffer_printf(body, ",\"generation\":%" PRId32 ",\"partition\":%" PRId32, held->generation,
	              held->partition);
}

static void append_status(const struct replica_status *status, struct buffer *body)
{
	char incarnation[33];
	char digest[33];

	incarnation_print(status->incarnation, incarnation);
	hash128_print(status->digest, digest);
	buffer_printf(body, ",\"state\":\"%s\",\"incarnation\":\"%s\",\"session\":\"%016" PRIx64 "\"",
	              state_names[status->state], incarnation, status->session);
	buffer_printf(body,
	              ",\"rules_digest\":\"%016" PRIx64 "\",\"received\":%" PRId64 ",\"stored\":%" PRId64
	              ",\"log_end\":%" PRId64,
	              status->rules_digest, status->received, status->stored, status->log_end);
	buffer_printf(body,
	              ",\"anchor\":{\"offset\":%" PRId64 ",\"timestamp\":%" PRId64
	              ",\"checksum\":\"%016" PRIx64 "\"}",
	              status->anchor.offset, status->anchor.timestamp_ms, status->anchor.checksum);
	buffer_printf(body,
	              ",\"digest\":\"%s\",\"documents\":%" PRIu64 ",\"body_bytes\":%" PRIu64
	              ",\"memory_bytes\":%zu,\"segments\":%zu,\"disk_segments\":%zu,\"disk_bytes\":%" PRIu64
	              ",\"disk_dead\":%" PRIu64 ",\"applied\":%" PRIu64 ",\"stop_reason\":",
	              digest, status->documents, status->body_bytes, status->memory_bytes, status->segments,
	              status->disk_segments, status->disk_bytes, status->disk_dead, status->applied);
}

/* 1: it has identities in its window, 2: origins, 3: both. */
static void append_marks(const struct replica_status *status, struct buffer *body)
{
	buffer_printf(body, ",\"marks\":%d",
	              (status->has_identities ? 1 : 0) + (status->has_origins ? 2 : 0));
}

static void append_seals(const struct replica *replica, struct buffer *body)
{
	struct seal seals[REPLICA_SEALS_MAX];
	size_t len = replica == NULL ? 0 : replica_seals(replica, seals);

	buffer_append_string(body, ",\"seals\":[");
	for (size_t i = 0; i < len; i++) {
		char digest[33];

		hash128_print(seals[i].digest, digest);
		buffer_printf(body, "%s{\"offset\":%" PRId64 ",\"digest\":\"%s\"}", i == 0 ? "" : ",",
		              seals[i].offset, digest);
	}
	buffer_append_string(body, "]");
}

static void append_held(const struct node *node, const struct held *held, bool figures, struct buffer *body)
{
	struct replica_status status = {
		.state = REPLICA_STATE_STOPPED, .log_end = -1, .anchor = {.offset = -1}};

	if (held->replica != NULL)
		replica_status(held->replica, &status);
	append_place(node, held, body);
	append_status(&status, body);
	json_append_string(body,
	                   slice_string(held->replica != NULL ? status.stop_reason : held->closed_reason));
	buffer_printf(body, ",\"serving\":%s",
	              status.state == REPLICA_STATE_ACTIVE && held->recorded ? "true" : "false");
	append_marks(&status, body);
	buffer_printf(body, ",\"settings\":%" PRId64, held->settings_built);
	append_seals(held->replica, body);
	if (figures)
		figures_append(node, held, body);
	buffer_append_string(body, "}");
}

/* What an operator's check asks of the machine; null where it cannot be told. */
static void append_machine(const struct node *node, struct buffer *body)
{
	struct statvfs disk;
	struct rlimit descriptors;

	if (statvfs(node->directory, &disk) == 0)
		buffer_printf(body, ",\"disk_free_bytes\":%" PRIu64 ",\"disk_bytes\":%" PRIu64,
		              (uint64_t)disk.f_bavail * disk.f_frsize,
		              (uint64_t)disk.f_blocks * disk.f_frsize);
	else
		buffer_append_string(body, ",\"disk_free_bytes\":null,\"disk_bytes\":null");
	if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur != RLIM_INFINITY)
		buffer_printf(body, ",\"descriptors_max\":%" PRIu64, (uint64_t)descriptors.rlim_cur);
	else
		buffer_append_string(body, ",\"descriptors_max\":null");
	buffer_printf(body, ",\"clock_ms\":%" PRId64, clock_wall_ms());
}

static void append_node(const struct node *node, struct buffer *body)
{
	char incarnation[33];

	incarnation_print(node->incarnation, incarnation);
	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(node->id));
	buffer_printf(body,
	              ",\"incarnation\":\"%s\",\"session\":\"%016" PRIx64
	              "\",\"format\":%d,\"words\":%" PRIu32 ",\"kafka\":",
	              incarnation, node->session, REPLICA_FORMAT, text_version());
	json_append_string(body, slice_string(node->cluster_id));
	buffer_printf(body, ",\"ready\":%s", atomic_load(&node->ready) ? "true" : "false");
	append_machine(node, body);
}

void question_shards(struct question *question)
{
	struct node *node = question->node;
	struct http_request *request = question->request;
	const char *wanted = http_request_argument(request, "index");
	const char *figures = http_request_argument(request, "figures");
	uint64_t index_id = 0;
	const char *comma = "";
	struct buffer body;

	if (wanted != NULL && !index_id_parse(slice_string(wanted), &index_id)) {
		http_refuse(request, 400, "invalid_index", "`index` is 16 hexadecimal digits");
		return;
	}
	if (figures != NULL && strcmp(figures, "true") != 0) {
		http_refuse(request, 400, "invalid_figures", "`figures` is true, or not there");
		return;
	}
	buffer_init(&body, NODE_ANSWER_BYTES_MAX);
	append_node(node, &body);
	buffer_append_string(&body, ",\"shards\":[");
	/* what is not opened yet is neither absent nor stopped: nothing is said of it */
	for (size_t i = 0; atomic_load(&node->decided) && i < node->held_len; i++) {
		const struct held *held = node->held[i];

		/* of two generations only the one that is served */
		if ((wanted != NULL && held->index_id != index_id) ||
		    replicas_find(node, held->index_id, held->partition) != held)
			continue;
		buffer_append_string(&body, comma);
		append_held(node, held, figures != NULL, &body);
		comma = ",";
	}
	buffer_append_string(&body, "]}");
	http_answer_json(request, 200, &body);
	buffer_deinit(&body);
}
