#include "query/core/stats.h"

#include "query/core/json_text.h"
#include "query/core/node_answer.h"
#include "shared/json/json.h"

struct shard_count {
	struct shard_count *next;
	uint64_t index_id;
	int32_t partition;
	int64_t received;
	int64_t log_end;
	int64_t documents;
	int64_t body_bytes;
};

#define STATS_BUCKETS 1024

struct stats {
	struct arena *arena;
	const struct index_record *only;
	size_t count;
	struct shard_count *buckets[STATS_BUCKETS];
};

struct stats *stats_new(const struct index_record *index, struct arena *arena)
{
	struct stats *stats = arena_alloc(arena, sizeof *stats);

	if (stats != NULL) {
		memset(stats, 0, sizeof *stats);
		stats->arena = arena;
		stats->only = index;
	}
	return stats;
}

static size_t bucket_of(uint64_t index_id, int32_t partition)
{
	return (size_t)((index_id + (uint64_t)(uint32_t)partition) % STATS_BUCKETS);
}

static struct shard_count *find(const struct stats *stats, uint64_t index_id, int32_t partition)
{
	struct shard_count *at = stats->buckets[bucket_of(index_id, partition)];

	while (at != NULL && (at->index_id != index_id || at->partition != partition))
		at = at->next;
	return at;
}

static int64_t number_or(struct slice object, const char *name, int64_t otherwise)
{
	struct slice value;
	int64_t number;

	return json_text_member(object, name, &value) && json_text_i64(value, &number) ? number : otherwise;
}

/* A stopped replica serves nothing: its shard is missing unless a sibling reports it. */
static bool is_stopped(struct slice item)
{
	struct slice value;
	struct slice state;

	return json_text_member(item, "state", &value) && json_text_plain(value, &state) &&
	       slice_equal(state, slice_string("stopped"));
}

static bool read_count(struct slice item, struct shard_count *count)
{
	struct slice value;
	struct slice id;
	int64_t partition = number_or(item, "partition", -1);

	*count = (struct shard_count){.received = number_or(item, "received", -1),
	                              .log_end = number_or(item, "log_end", -1),
	                              .documents = number_or(item, "documents", -1),
	                              .body_bytes = number_or(item, "body_bytes", 0)};
	count->partition = (int32_t)partition;
	return json_text_member(item, "index", &value) && json_text_plain(value, &id) &&
	       index_id_parse(id, &count->index_id) && partition >= 0 && partition < INDEX_PARTITIONS_MAX &&
	       count->documents >= 0 && count->documents <= INT64_MAX / STATS_SHARDS_MAX &&
	       count->body_bytes >= 0 && count->body_bytes <= INT64_MAX / STATS_SHARDS_MAX;
}

static int keep(struct stats *stats, const struct shard_count *count, struct error *error)
{
	struct shard_count *known = find(stats, count->index_id, count->partition);
	size_t bucket = bucket_of(count->index_id, count->partition);

	if (stats->only != NULL && stats->only->id != count->index_id)
		return 0;
	if (known == NULL) {
		if (stats->count == STATS_SHARDS_MAX)
			return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "more than %d shards",
			                 STATS_SHARDS_MAX);
		known = arena_alloc(stats->arena, sizeof *known);
		if (known == NULL)
			return error_memory(error, sizeof *known);
		*known = *count;
		known->next = stats->buckets[bucket];
		stats->buckets[bucket] = known;
		stats->count++;
	} else if (count->received > known->received) {
		struct shard_count *next = known->next;

		*known = *count;
		known->next = next;
	}
	return 0;
}

int stats_add(struct stats *stats, struct slice text, struct error *error)
{
	struct json_walk walk;
	struct slice shards;
	struct slice key;
	struct slice item;
	yyjson_doc *doc;

	if (json_parse(text, NODE_ANSWER_DEPTH_MAX, &doc, error) < 0)
		return error->code;
	yyjson_doc_free(doc);
	if (!json_text_member(text, "shards", &shards) || !json_walk_begin(&walk, shards) || walk.object)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: no `shards`");
	while (json_walk_next(&walk, &key, &item)) {
		struct shard_count count;

		if (is_stopped(item))
			continue;
		if (!read_count(item, &count))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "answer of a node: a shard that is none");
		if (keep(stats, &count, error) < 0)
			return error->code;
	}
	return 0;
}

void stats_of_index(const struct stats *stats, const struct index_record *index, struct index_stats *out)
{
	*out = (struct index_stats){.first_missing = -1};
	for (int32_t p = 0; p < index->partitions; p++) {
		const struct shard_count *count = find(stats, index->id, p);

		if (count == NULL) {
			if (out->missing++ == 0)
				out->first_missing = p;
			continue;
		}
		out->documents += count->documents;
		out->body_bytes += count->body_bytes;
		out->indexing = out->indexing || count->log_end > count->received;
	}
}
