#include "query/core/cluster_report.h"

#include "shared/json/json.h"
#include "shared/meta/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A replica that a node told of. */
struct replica_told {
	uint64_t index_id;
	int32_t partition;
	uint32_t node; /* its place among the report's nodes */
	yyjson_val *value;
};

/* A program's answer, read. */
struct reading {
	yyjson_doc *doc; /* NULL: no answer that can be read */
	yyjson_val *root;
	const char *trouble;
};

struct writing {
	const struct report *report;
	struct reading *nodes; /* as many as report->nodes */
	struct replica_told *replicas;
	size_t replicas_len;
	struct buffer *body;
};

/* ---- reading ---- */

static void reading_open(const struct report_told *told, struct reading *reading)
{
	struct error error;

	*reading = (struct reading){.trouble = told->trouble};
	if (told->trouble[0] != '\0')
		return;
	if (json_parse_typed(told->body, &reading->doc, &error) != 0) {
		reading->trouble = "its answer is not JSON";
		return;
	}
	reading->root = yyjson_doc_get_root(reading->doc);
	if (!yyjson_is_obj(reading->root)) {
		yyjson_doc_free(reading->doc);
		*reading = (struct reading){.trouble = "its answer is not an object"};
	}
}

static void reading_close(struct reading *reading)
{
	yyjson_doc_free(reading->doc);
}

/* -1 if it is not there; no number here is negative. */
static int64_t number_of(yyjson_val *object, const char *name)
{
	int64_t number;

	return json_get_i64(object, name, &number) && number >= 0 ? number : -1;
}

static struct slice text_of(yyjson_val *object, const char *name)
{
	struct slice text;

	return json_get_string(object, name, &text) ? text : slice_string("");
}

static bool flag_of(yyjson_val *object, const char *name)
{
	bool flag;

	return json_get_bool(object, name, &flag) && flag;
}

static void read_node(const struct report_told *told, struct reading *reading)
{
	reading_open(told, reading);
	if (reading->doc == NULL || slice_equal(text_of(reading->root, "node"), slice_string(told->name)))
		return;
	yyjson_doc_free(reading->doc);
	*reading = (struct reading){.trouble = "another node answers at this address"};
}

static int compare_told(const void *left, const void *right)
{
	const struct replica_told *a = left;
	const struct replica_told *b = right;

	if (a->index_id != b->index_id)
		return a->index_id < b->index_id ? -1 : 1;
	if (a->partition != b->partition)
		return a->partition < b->partition ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

/* Of one node, into the list, which has room. */
static void collect(struct writing *writing, uint32_t node)
{
	yyjson_val *shards = yyjson_obj_get(writing->nodes[node].root, "shards");
	yyjson_val *shard;
	size_t at;
	size_t len;

	yyjson_arr_foreach(shards, at, len, shard)
	{
		struct replica_told told = {.node = node, .value = shard};
		int64_t partition = number_of(shard, "partition");

		if (!index_id_parse(text_of(shard, "index"), &told.index_id) || partition < 0 ||
		    partition >= INDEX_PARTITIONS_MAX)
			continue;
		told.partition = (int32_t)partition;
		writing->replicas[writing->replicas_len++] = told;
	}
}

static int read_nodes(struct writing *writing, struct arena *arena, struct error *error)
{
	const struct report_list *list = &writing->report->nodes;
	size_t replicas_max = 0;

	writing->nodes = arena_alloc(arena, (list->len + 1) * sizeof *writing->nodes);
	if (writing->nodes == NULL)
		return error_memory(error, list->len * sizeof *writing->nodes);
	for (size_t i = 0; i < list->len; i++) {
		read_node(&list->told[i], &writing->nodes[i]);
		replicas_max += yyjson_arr_size(yyjson_obj_get(writing->nodes[i].root, "shards"));
	}
	if (replicas_max <= REPORT_REPLICAS_MAX)
		writing->replicas = arena_alloc(arena, (replicas_max + 1) * sizeof *writing->replicas);
	if (writing->replicas == NULL) {
		for (size_t i = 0; i < list->len; i++)
			reading_close(&writing->nodes[i]);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "the nodes tell of %zu replicas; at most %d can be shown", replicas_max,
		                 REPORT_REPLICAS_MAX);
	}
	for (uint32_t i = 0; i < list->len; i++)
		collect(writing, i);
	qsort(writing->replicas, writing->replicas_len, sizeof *writing->replicas, compare_told);
	return 0;
}

static uint32_t node_at(const struct writing *writing, const char *id)
{
	uint32_t at = 0;

	while (at < writing->report->nodes.len && strcmp(writing->report->nodes.told[at].name, id) != 0)
		at++;
	return at;
}

/* NULL if the node did not tell of it. */
static yyjson_val *find_told(const struct writing *writing, const struct shard_record *shard, uint32_t node)
{
	struct replica_told wanted = {shard->index_id, shard->partition, node, NULL};
	const struct replica_told *found =
		writing->replicas_len == 0 ? NULL
					   : bsearch(&wanted, writing->replicas, writing->replicas_len,
	                                             sizeof wanted, compare_told);

	return found == NULL || number_of(found->value, "generation") != shard->generation ? NULL
	                                                                                   : found->value;
}

/* ---- writing ---- */

static void put_text(struct buffer *body, const char *name, struct slice text)
{
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, text);
}

static void put_number(struct buffer *body, const char *name, int64_t number)
{
	if (number < 0)
		buffer_printf(body, ",\"%s\":null", name);
	else
		buffer_printf(body, ",\"%s\":%" PRId64, name, number);
}

static void put_flag(struct buffer *body, const char *name, bool flag)
{
	buffer_printf(body, ",\"%s\":%s", name, flag ? "true" : "false");
}

/* As told; null if it was not. */
static void put_told_flag(struct buffer *body, const char *name, yyjson_val *object)
{
	bool flag;

	if (json_get_bool(object, name, &flag))
		put_flag(body, name, flag);
	else
		buffer_printf(body, ",\"%s\":null", name);
}

static void put_told_text(struct buffer *body, const char *name, yyjson_val *object)
{
	if (yyjson_is_str(yyjson_obj_get(object, name)))
		put_text(body, name, text_of(object, name));
	else
		buffer_printf(body, ",\"%s\":null", name);
}

static int64_t lag_of(int64_t end, int64_t from)
{
	if (end < 0 || from < 0)
		return -1;
	return end > from ? end - from : 0;
}

static void begin_program(struct buffer *body, const struct report_told *told, const struct reading *reading)
{
	buffer_append_string(body, "{\"url\":");
	json_append_string(body, slice_string(told->url));
	put_flag(body, "answers", reading->doc != NULL);
}

static void put_held(struct buffer *body, yyjson_val *held)
{
	static const char *const texts[] = {"topic", "lane", "file"};
	static const char *const numbers[] = {"partition", "offset", "deaths", "task"};
	size_t at, len;
	yyjson_val *row;

	buffer_append_string(body, ",\"held\":[");
	yyjson_arr_foreach(held, at, len, row)
	{
		if (at == REPORT_HELD_MAX)
			break;
		buffer_append_string(body, at == 0 ? "{\"uid\":" : ",{\"uid\":");
		json_append_string(body, text_of(row, "uid"));
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
			put_text(body, texts[i], text_of(row, texts[i]));
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
			put_number(body, numbers[i], number_of(row, numbers[i]));
		buffer_put_u8(body, '}');
	}
	buffer_put_u8(body, ']');
}

static void end_program(struct buffer *body, const struct reading *reading)
{
	put_held(body, yyjson_obj_get(reading->root, "held"));
	put_text(body, "error", slice_string(reading->trouble));
	buffer_append_string(body, "}");
}

static void put_controller(struct buffer *body, const struct report_told *told, const struct reading *reading)
{
	begin_program(body, told, reading);
	put_told_flag(body, "in_office", reading->root);
	end_program(body, reading);
}

static void put_ingest(struct buffer *body, const struct report_told *told, const struct reading *reading)
{
	yyjson_val *shards = yyjson_obj_get(reading->root, "shards");

	begin_program(body, told, reading);
	put_number(body, "slots", number_of(reading->root, "slots"));
	put_number(body, "shards", yyjson_is_arr(shards) ? (int64_t)yyjson_arr_size(shards) : -1);
	put_number(body, "memory_bytes", number_of(reading->root, "memory_bytes"));
	end_program(body, reading);
}

static void put_programs(struct buffer *body, const char *name, const struct report_list *list,
                         void (*put)(struct buffer *, const struct report_told *, const struct reading *))
{
	buffer_printf(body, ",\"%s\":[", name);
	for (size_t i = 0; i < list->len; i++) {
		struct reading reading;

		reading_open(&list->told[i], &reading);
		buffer_append_string(body, i > 0 ? "," : "");
		put(body, &list->told[i], &reading);
		reading_close(&reading);
	}
	buffer_put_u8(body, ']');
}

/* Sums over what a node told of, -1 if it told nothing. */
struct node_sums {
	int64_t replicas;
	int64_t unrecorded; /* held, but not in the shard's record */
	int64_t documents;
	int64_t body_bytes;
	int64_t memory_bytes;
};

/* What is not told, or cannot be, adds nothing. */
static void add(int64_t *sum, yyjson_val *object, const char *name)
{
	int64_t number = number_of(object, name);

	if (number > 0 && number <= INT64_MAX / REPORT_REPLICAS_MAX)
		*sum += number;
}

static void sum_node(const struct writing *writing, uint32_t node, struct node_sums *sums)
{
	const char *id = writing->report->nodes.told[node].name;

	*sums = (struct node_sums){-1, -1, -1, -1, -1};
	if (writing->nodes[node].doc == NULL)
		return;
	*sums = (struct node_sums){0};
	for (size_t i = 0; i < writing->replicas_len; i++) {
		const struct replica_told *told = &writing->replicas[i];
		const struct shard_record *shard;

		if (told->node != node)
			continue;
		shard = catalog_shard(writing->report->catalog, told->index_id, told->partition);
		sums->replicas++;
		sums->unrecorded += shard == NULL || catalog_placement(shard, id) == NULL;
		add(&sums->documents, told->value, "documents");
		add(&sums->body_bytes, told->value, "body_bytes");
		add(&sums->memory_bytes, told->value, "memory_bytes");
	}
}

static void put_clock(struct buffer *body, int64_t clock_ms, int64_t heard_ms)
{
	if (clock_ms < 0)
		buffer_append_string(body, ",\"clock_off_ms\":null");
	else
		buffer_printf(body, ",\"clock_off_ms\":%" PRId64, clock_ms - heard_ms);
}

static void put_node(const struct writing *writing, uint32_t at, const struct node_record *record)
{
	const struct reading *reading = &writing->nodes[at];
	struct buffer *body = writing->body;
	struct node_sums sums;

	sum_node(writing, at, &sums);
	buffer_append_string(body, "{\"id\":");
	json_append_string(body, slice_string(record->id));
	put_text(body, "group", slice_string(record->group));
	put_text(body, "url", slice_string(record->url));
	put_flag(body, "answers", reading->doc != NULL);
	put_told_flag(body, "ready", reading->root);
	put_told_text(body, "incarnation", reading->root);
	put_number(body, "format", number_of(reading->root, "format"));
	put_number(body, "words", number_of(reading->root, "words"));
	put_number(body, "replicas", sums.replicas);
	put_number(body, "unrecorded", sums.unrecorded);
	put_number(body, "documents", sums.documents);
	put_number(body, "body_bytes", sums.body_bytes);
	put_number(body, "memory_bytes", sums.memory_bytes);
	put_number(body, "disk_free_bytes", number_of(reading->root, "disk_free_bytes"));
	put_number(body, "disk_bytes", number_of(reading->root, "disk_bytes"));
	put_number(body, "descriptors_max", number_of(reading->root, "descriptors_max"));
	put_clock(body, number_of(reading->root, "clock_ms"), writing->report->nodes.told[at].heard_ms);
	put_text(body, "error", slice_string(reading->trouble));
	buffer_put_u8(body, '}');
}

static void put_nodes(const struct writing *writing)
{
	const struct cluster_record *cluster = catalog_cluster(writing->report->catalog);

	buffer_append_string(writing->body, ",\"nodes\":[");
	for (uint32_t i = 0; cluster != NULL && i < cluster->nodes_len && i < writing->report->nodes.len;
	     i++) {
		buffer_append_string(writing->body, i > 0 ? "," : "");
		put_node(writing, i, &cluster->nodes[i]);
	}
	buffer_put_u8(writing->body, ']');
}

/* ---- shards ---- */

/* The node's word about one recorded replica, if it is about that incarnation. */
struct word {
	yyjson_val *value;
	const char *trouble;
};

static void hear(const struct writing *writing, const struct shard_record *shard,
                 const struct placement *placement, struct word *word)
{
	uint32_t node = node_at(writing, placement->node);
	struct incarnation incarnation;
	char text[33];

	*word = (struct word){NULL, "no such node is recorded"};
	if (node == writing->report->nodes.len)
		return;
	*word = (struct word){NULL, writing->nodes[node].trouble};
	if (writing->nodes[node].doc == NULL)
		return;
	word->value = find_told(writing, shard, node);
	if (word->value == NULL) {
		word->trouble = flag_of(writing->nodes[node].root, "ready") ? "the node does not hold it"
		                                                            : "the node is starting";
		return;
	}
	incarnation = placement->incarnation;
	if (incarnation_is_none(incarnation))
		return;
	incarnation_print(incarnation, text);
	if (!slice_equal(text_of(word->value, "incarnation"), slice_string(text)))
		word->trouble = "the node holds another incarnation";
}

/* The digest at the newest seal of `a` that `b` has too: 1 equal, -1 different, 0 none in common. */
static int compare_seals(yyjson_val *a, yyjson_val *b)
{
	yyjson_val *seals_a = yyjson_obj_get(a, "seals");
	yyjson_val *seals_b = yyjson_obj_get(b, "seals");

	for (size_t i = yyjson_arr_size(seals_a); i-- > 0;) {
		yyjson_val *seal = yyjson_arr_get(seals_a, i);

		for (size_t j = yyjson_arr_size(seals_b); j-- > 0;) {
			yyjson_val *other = yyjson_arr_get(seals_b, j);

			if (number_of(seal, "offset") >= 0 &&
			    number_of(seal, "offset") == number_of(other, "offset"))
				return slice_equal(text_of(seal, "digest"), text_of(other, "digest")) ? 1
				                                                                      : -1;
		}
	}
	return 0;
}

static int compare_digests(yyjson_val *a, yyjson_val *b)
{
	int64_t received = number_of(a, "received");

	if (received >= 0 && received == number_of(b, "received"))
		return slice_equal(text_of(a, "digest"), text_of(b, "digest")) ? 1 : -1;
	return compare_seals(a, b);
}

static const char *digests_of(const struct shard_record *shard, const struct word *words)
{
	const char *verdict = "unknown";

	for (size_t i = 0; i < shard->replicas_len; i++)
		for (size_t j = i + 1; j < shard->replicas_len; j++) {
			int compared = shard->replicas[i].in_sync && shard->replicas[j].in_sync &&
			                               words[i].value != NULL && words[j].value != NULL
			                       ? compare_digests(words[i].value, words[j].value)
			                       : 0;

			if (compared < 0)
				return "differ";
			if (compared > 0)
				verdict = "equal";
		}
	return verdict;
}

static const char *placement_name(enum placement_state state)
{
	switch (state) {
	case PLACEMENT_STATE_JOINING:
		return "joining";
	case PLACEMENT_STATE_ACTIVE:
		return "active";
	case PLACEMENT_STATE_LEAVING:
		return "leaving";
	}
	return "unknown";
}

static void put_replica(struct buffer *body, const struct placement *placement, const struct word *word,
                        int64_t end)
{
	struct slice stopped = text_of(word->value, "stop_reason");
	int64_t received = number_of(word->value, "received");
	char text[33] = "";

	if (!incarnation_is_none(placement->incarnation))
		incarnation_print(placement->incarnation, text);
	buffer_append_string(body, "{\"node\":");
	json_append_string(body, slice_string(placement->node));
	put_text(body, "recorded", slice_string(placement_name(placement->state)));
	put_flag(body, "in_sync", placement->in_sync);
	put_text(body, "incarnation", slice_string(text));
	put_told_text(body, "state", word->value);
	put_told_flag(body, "serving", word->value);
	put_number(body, "received", received);
	put_number(body, "stored", number_of(word->value, "stored"));
	put_number(body, "lag", lag_of(end, received));
	put_told_text(body, "digest", word->value);
	placement_append_copy(body, placement);
	put_text(body, "error", word->trouble[0] != '\0' ? slice_string(word->trouble) : stopped);
	buffer_put_u8(body, '}');
}

/* The end as Kafka says, or else the highest that a replica was told. */
static int64_t end_of(const struct shard_record *shard, const struct word *words, int64_t end)
{
	for (size_t i = 0; end < 0 && i < shard->replicas_len; i++)
		end = number_of(words[i].value, "log_end");
	return end;
}

static void put_shard(const struct writing *writing, const struct index_record *index,
                      const struct shard_record *shard, const struct report_place *place)
{
	struct buffer *body = writing->body;
	struct word words[REPLICAS_MAX];
	int64_t end;
	char id[17];

	for (size_t i = 0; i < shard->replicas_len; i++)
		hear(writing, shard, &shard->replicas[i], &words[i]);
	end = end_of(shard, words, place->end);
	index_id_print(index->id, id);
	buffer_append_string(body, "{\"uid\":");
	json_append_string(body, slice_string(index->uid));
	put_text(body, "index", slice_string(id));
	put_number(body, "generation", shard->generation);
	put_number(body, "partition", shard->partition);
	put_text(body, "topic", slice_string(index->topic));
	put_number(body, "log_start", place->start);
	put_number(body, "log_end", end);
	put_number(body, "committed", place->committed);
	put_number(body, "lag", lag_of(end, place->committed));
	put_flag(body, "divergent", shard->divergent);
	put_text(body, "digests", slice_string(digests_of(shard, words)));
	buffer_append_string(body, ",\"replicas\":[");
	for (size_t i = 0; i < shard->replicas_len; i++) {
		buffer_append_string(body, i > 0 ? "," : "");
		put_replica(body, &shard->replicas[i], &words[i], end);
	}
	buffer_append_string(body, "]}");
}

static const struct report_place *place_of(const struct report *report, uint64_t index_id, int32_t partition)
{
	static const struct report_place unknown = {-1, -1, -1};

	for (size_t i = 0; i < report->logs_len; i++)
		if (report->logs[i].index_id == index_id)
			return &report->logs[i].places[partition];
	return &unknown;
}

static void put_shards(const struct writing *writing)
{
	const struct catalog *catalog = writing->report->catalog;
	const struct index_record *index;
	const char *comma = "";
	size_t at = 0;

	buffer_append_string(writing->body, ",\"shards\":[");
	while ((index = catalog_next_index(catalog, &at)) != NULL) {
		if (index->state != INDEX_STATE_ACTIVE)
			continue;
		for (int32_t p = 0; p < index->partitions; p++) {
			const struct shard_record *shard = catalog_shard(catalog, index->id, p);

			if (shard == NULL)
				continue;
			buffer_append_string(writing->body, comma);
			put_shard(writing, index, shard, place_of(writing->report, index->id, p));
			comma = ",";
		}
	}
	buffer_put_u8(writing->body, ']');
}

int report_write(const struct report *report, struct arena *arena, struct buffer *body, struct error *error)
{
	const struct cluster_record *cluster = catalog_cluster(report->catalog);
	struct writing writing = {.report = report, .body = body};
	int result = read_nodes(&writing, arena, error);

	if (result < 0)
		return result;
	buffer_append_string(body, "{\"cluster\":");
	json_append_string(body, slice_string(report->cluster));
	put_number(body, "epoch", cluster == NULL ? -1 : cluster->epoch);
	put_number(body, "rf", cluster == NULL ? -1 : cluster->rf);
	buffer_append_string(body, ",\"kafka\":{\"cluster_id\":");
	json_append_string(body, slice_string(cluster == NULL ? "" : cluster->kafka));
	put_flag(body, "answers", report->kafka_trouble[0] == '\0');
	put_text(body, "error", slice_string(report->kafka_trouble));
	buffer_put_u8(body, '}');
	put_programs(body, "controllers", &report->controllers, put_controller);
	put_programs(body, "ingest", &report->ingest, put_ingest);
	put_nodes(&writing);
	put_shards(&writing);
	buffer_put_u8(body, '}');
	for (size_t i = 0; i < report->nodes.len; i++)
		reading_close(&writing.nodes[i]);
	return buffer_failed(body) ? error_memory(error, body->len_max) : 0;
}
