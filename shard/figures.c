/* `figures` of GET /shards: what of a replica is in memory and on disk, who reads it, and its jobs. */
#include "shard/question.h"

#include "shared/runtime/clock.h"

#include <inttypes.h>

static void append_memory(const struct node *node, const struct held *held,
                          const struct replica_figures *figures, struct buffer *body)
{
	buffer_printf(body,
	              "\"memory\":{\"active\":{\"segments\":%zu,\"bytes\":%zu},"
	              "\"immutable\":{\"segments\":%zu,\"bytes\":%zu},\"ids_bytes\":%zu,\"words\":%zu,"
	              "\"tables_bytes\":%zu,"
	              "\"share_bytes\":%zu,\"busy_ranges\":%" PRIu64 "}",
	              figures->active.segments, figures->active.bytes, figures->immutable.segments,
	              figures->immutable.bytes, figures->ids_bytes, figures->words, figures->tables_bytes,
	              budget_share(&node->budget, held->index_id), held->busy_ranges);
}

static void append_disk(const struct replica_figures *figures, struct buffer *body)
{
	buffer_append_string(body, ",\"disk\":{\"levels\":[");
	for (size_t i = 0; i < figures->levels_len; i++) {
		const struct level_figures *row = &figures->levels[i];

		buffer_printf(body,
		              "%s{\"level\":%" PRIu32 ",\"segments\":%zu,\"documents\":%" PRIu64
		              ",\"dead\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
		              i == 0 ? "" : ",", row->level, row->segments, row->documents, row->dead,
		              row->bytes);
	}
	buffer_printf(body,
	              "],\"live_bytes\":%" PRIu64 ",\"words_bytes\":%" PRIu64 ",\"postings_bytes\":%" PRIu64
	              ",\"leaving\":%zu}",
	              figures->live_bytes, figures->words_bytes, figures->postings_bytes, figures->leaving);
}

static void append_file(const struct held *held, struct buffer *body)
{
	struct error error;
	uint64_t used_bytes;
	uint64_t map_bytes;
	uint64_t kept_bytes;

	replica_file_size(held->replica, &used_bytes, &map_bytes);
	if (used_bytes == 0 || kv_live(held->kv, &kept_bytes, &error) != 0) {
		buffer_append_string(body, ",\"file\":null");
		return;
	}
	buffer_printf(body,
	              ",\"file\":{\"used_bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64
	              ",\"map_bytes\":%" PRIu64 "}",
	              used_bytes, used_bytes > kept_bytes ? used_bytes - kept_bytes : 0, map_bytes);
}

static void append_readers(const struct node *node, const struct held *held, struct buffer *body)
{
	struct shelf_readers readers = shelf_readers(node->shelf, held->index_id, held->partition);

	buffer_printf(body, ",\"readers\":{\"open\":%zu,\"oldest_ms\":", readers.len);
	if (readers.len > 0)
		buffer_printf(body, "%" PRId64 "}", clock_monotonic_ms() - readers.oldest_ms);
	else
		buffer_append_string(body, "null}");
}

static void append_jobs(const struct held *held, const struct replica_figures *figures, struct buffer *body)
{
	struct replica_status status;

	replica_status(held->replica, &status);
	buffer_printf(body,
	              ",\"stores\":{\"running\":%s,\"done\":%" PRIu64 ",\"bytes\":%" PRIu64
	              ",\"duration_ms\":%" PRId64 "}",
	              figures->storing ? "true" : "false", held->stores.done, status.stored_bytes,
	              held->stores.ms);
	buffer_printf(body,
	              ",\"compactions\":{\"running\":%s,\"merging_segments\":%zu,\"merging_bytes\":%" PRIu64
	              ",\"done\":%" PRIu64 ",\"merges\":%" PRIu64 ",\"bytes\":%" PRIu64
	              ",\"duration_ms\":%" PRId64 "}",
	              figures->compacting ? "true" : "false", figures->merging, figures->merging_bytes,
	              held->compactions.done, status.merges, status.merged_bytes, held->compactions.ms);
}

void figures_append(const struct node *node, const struct held *held, struct buffer *body)
{
	struct replica_figures figures;

	if (held->replica == NULL) {
		buffer_append_string(body, ",\"figures\":null");
		return;
	}
	replica_figures(held->replica, &figures);
	buffer_append_string(body, ",\"figures\":{");
	append_memory(node, held, &figures, body);
	append_disk(&figures, body);
	append_file(held, body);
	append_readers(node, held, body);
	append_jobs(held, &figures, body);
	buffer_append_string(body, "}");
}
