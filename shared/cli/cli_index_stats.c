/*
 * `millrace index stats`: what each node says of the replicas of one index
 * (GET /shards?figures=true), a row a replica, and their sums. Which replicas
 * there are and where is the gateway's word.
 */
#include "shared/cli/cli_index.h"
#include "shared/meta/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GET_MS 5000
#define URL_BYTES (NODE_URL_BYTES_MAX + 64)
#define NOTE_BYTES 320
#define CELL_BYTES 128
/* As many levels as a node's answer may name; what is above counts with the last. */
#define LEVELS_MAX 128
#define UNIT_STEP 1024

enum figure {
	FIGURE_DOCUMENTS = 0,
	FIGURE_BODY_BYTES,
	FIGURE_MEMORY_BYTES,
	FIGURE_ACTIVE_SEGMENTS,
	FIGURE_ACTIVE_BYTES,
	FIGURE_IMMUTABLE_SEGMENTS,
	FIGURE_IMMUTABLE_BYTES,
	FIGURE_SHARE_BYTES,
	FIGURE_BUSY_RANGES,
	FIGURE_DISK_SEGMENTS,
	FIGURE_DISK_DEAD,
	FIGURE_DISK_BYTES,
	FIGURE_LIVE_BYTES,
	FIGURE_WORDS_BYTES,
	FIGURE_POSTINGS_BYTES,
	FIGURE_FILE_BYTES,
	FIGURE_MAP_BYTES,
	FIGURE_READERS,
	FIGURE_OLDEST_READER_MS,
	FIGURE_STORING,
	FIGURE_STORES,
	FIGURE_STORES_BYTES,
	FIGURE_STORES_MS,
	FIGURE_MERGING,
	FIGURE_MERGING_BYTES,
	FIGURE_MERGES_RUNNING,
	FIGURE_MERGES,
	FIGURE_MERGES_BYTES,
	FIGURE_COMPACTING,
	FIGURE_COMPACTIONS,
	FIGURE_COMPACTIONS_MS,
	FIGURES
};

/* What it is called here, and where it stands in a node's answer; NULL: it follows from others. */
static const struct figure_place {
	const char *name;
	const char *pointer;
} places[FIGURES] = {
	[FIGURE_DOCUMENTS] = {"documents", "/documents"},
	[FIGURE_BODY_BYTES] = {"body_bytes", "/body_bytes"},
	[FIGURE_MEMORY_BYTES] = {"memory_bytes", "/memory_bytes"},
	[FIGURE_ACTIVE_SEGMENTS] = {"active_segments", "/figures/memory/active/segments"},
	[FIGURE_ACTIVE_BYTES] = {"active_bytes", "/figures/memory/active/bytes"},
	[FIGURE_IMMUTABLE_SEGMENTS] = {"immutable_segments", "/figures/memory/immutable/segments"},
	[FIGURE_IMMUTABLE_BYTES] = {"immutable_bytes", "/figures/memory/immutable/bytes"},
	[FIGURE_SHARE_BYTES] = {"share_bytes", "/figures/memory/share_bytes"},
	[FIGURE_BUSY_RANGES] = {"busy_ranges", "/figures/memory/busy_ranges"},
	[FIGURE_DISK_SEGMENTS] = {"disk_segments", "/disk_segments"},
	[FIGURE_DISK_DEAD] = {"disk_dead", "/disk_dead"},
	[FIGURE_DISK_BYTES] = {"disk_bytes", "/disk_bytes"},
	[FIGURE_LIVE_BYTES] = {"live_bytes", "/figures/disk/live_bytes"},
	[FIGURE_WORDS_BYTES] = {"words_bytes", "/figures/disk/words_bytes"},
	[FIGURE_POSTINGS_BYTES] = {"postings_bytes", "/figures/disk/postings_bytes"},
	[FIGURE_FILE_BYTES] = {"file_bytes", "/figures/file/used_bytes"},
	[FIGURE_MAP_BYTES] = {"map_bytes", "/figures/file/map_bytes"},
	[FIGURE_READERS] = {"readers", "/figures/readers/open"},
	[FIGURE_OLDEST_READER_MS] = {"oldest_reader_ms", "/figures/readers/oldest_ms"},
	[FIGURE_STORING] = {"stores_running", "/figures/stores/running"},
	[FIGURE_STORES] = {"stores", "/figures/stores/done"},
	[FIGURE_STORES_BYTES] = {"stores_bytes", "/figures/stores/bytes"},
	[FIGURE_STORES_MS] = {"stores_ms", "/figures/stores/duration_ms"},
	[FIGURE_MERGING] = {"merging_segments", "/figures/compactions/merging_segments"},
	[FIGURE_MERGING_BYTES] = {"merging_bytes", "/figures/compactions/merging_bytes"},
	[FIGURE_MERGES_RUNNING] = {"merges_running", NULL},
	[FIGURE_MERGES] = {"merges", "/figures/compactions/merges"},
	[FIGURE_MERGES_BYTES] = {"merges_bytes", "/figures/compactions/bytes"},
	[FIGURE_COMPACTING] = {"compactions_running", "/figures/compactions/running"},
	[FIGURE_COMPACTIONS] = {"compactions", "/figures/compactions/done"},
	[FIGURE_COMPACTIONS_MS] = {"compactions_ms", "/figures/compactions/duration_ms"},
};

static const char *const level_members[] = {"segments", "documents", "dead", "bytes"};
#define LEVEL_MEMBERS (sizeof level_members / sizeof level_members[0])

static const struct cli_column columns[] = {
	{"SHARD", "shard", false},
	{"NODE", "node", false},
	{"STATE", "state", false},
	{"DOCUMENTS", "documents", true},
	{"DEAD", "disk_dead", true},
	{"ACTIVE", "active", true},
	{"IMMUTABLE", "immutable", true},
	{"SHARE", "share", true},
	{"BUSY", "busy_ranges", true},
	{"SEGMENTS", "segments", true},
	{"STORED", "stored", true},
	{"LIVE", "live", true},
	{"WORDS", "words", true},
	{"FILE", "file", true},
	{"OLDEST SEARCH", "reader", true},
	{"STORES", "stores", false},
	{"MERGES", "merges", false},
	{"NOTE", "error", false},
	{NULL, NULL, false},
};

/* Of one replica, or of all. */
struct figures {
	int64_t numbers[FIGURES]; /* -1: not told, or none */
	bool levels_told;
	int64_t levels[LEVELS_MAX][LEVEL_MEMBERS];
};

/* What one node told; asked when its first replica comes. */
struct told {
	const char *id;
	const char *url;
	bool asked;
	yyjson_doc *doc;
	char trouble[NOTE_BYTES]; /* "": doc is its answer */
};

struct stats {
	struct cli *cli;
	yyjson_val *status; /* the gateway's */
	const char *uid;
	char index[17];
	struct told *nodes;
	size_t nodes_len;
	struct figures total;
	size_t replicas;
	yyjson_mut_doc *doc;
	yyjson_mut_val *rows;  /* one a replica, as -o json has it */
	yyjson_mut_val *cells; /* the same as the table has it */
};

/* ---- the nodes ---- */

static void refusal_note(int status, yyjson_val *answer, struct told *node)
{
	const char *message = cli_text(answer, "message");

	if (message[0] != '\0')
		(void)snprintf(node->trouble, sizeof node->trouble, "refuses to answer: %.250s", message);
	else
		(void)snprintf(node->trouble, sizeof node->trouble, "answers with status %d", status);
}

static void ask(struct stats *stats, struct told *node)
{
	char url[URL_BYTES];
	struct http_client_request request = {
		.method = "GET", .url = url, .node = node->id, .timeout_ms = GET_MS};
	struct buffer text;
	struct error error;
	int status = 0;

	(void)snprintf(url, sizeof url, "%.255s/shards?index=%s&figures=true", node->url, stats->index);
	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	node->asked = true;
	if (http_client_ask(stats->cli->client, &request, &status, &text, &error) != 0) {
		(void)snprintf(node->trouble, sizeof node->trouble,
		               "does not answer: %.200s; is millrace-shard running there?", error.text);
	} else if (json_parse_typed(buffer_slice(&text), &node->doc, &error) != 0) {
		node->doc = NULL;
		(void)snprintf(node->trouble, sizeof node->trouble, "its answer, status %d, is no JSON",
		               status);
	} else if (status != 200) {
		refusal_note(status, yyjson_doc_get_root(node->doc), node);
	} else if (strcmp(cli_text(yyjson_doc_get_root(node->doc), "node"), node->id) != 0) {
		(void)snprintf(node->trouble, sizeof node->trouble,
		               "another node answers at %.200s: see millrace doctor", node->url);
	}
	buffer_deinit(&text);
}

/* The node of that id, asked; NULL if the gateway does not know it. */
static struct told *node_of(struct stats *stats, const char *id)
{
	for (size_t i = 0; i < stats->nodes_len; i++) {
		struct told *node = &stats->nodes[i];

		if (strcmp(node->id, id) != 0)
			continue;
		if (!node->asked)
			ask(stats, node);
		return node;
	}
	return NULL;
}

static bool nodes_list(struct stats *stats)
{
	yyjson_val *list = yyjson_obj_get(stats->status, "nodes");
	yyjson_val *node;
	size_t at;
	size_t len;

	stats->nodes = calloc(yyjson_arr_size(list) + 1, sizeof *stats->nodes);
	if (stats->nodes == NULL)
		return false;
	yyjson_arr_foreach(list, at, len, node)
	{
		stats->nodes[stats->nodes_len].id = cli_text(node, "id");
		stats->nodes[stats->nodes_len++].url = cli_text(node, "url");
	}
	return true;
}

/* What the node says of a partition; NULL and why it says nothing. */
static yyjson_val *told_of(struct stats *stats, const char *id, int64_t partition, const char **trouble)
{
	struct told *node = node_of(stats, id);
	yyjson_val *shard;
	size_t at;
	size_t len;

	*trouble = id[0] == '\0'  ? "no node has a replica of it: see millrace status"
	           : node == NULL ? "the gateway does not know its address: see millrace status"
	                          : node->trouble;
	if ((*trouble)[0] != '\0')
		return NULL;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(node->doc), "shards"), at, len, shard)
	{
		if (cli_number(shard, "partition", -1) == partition) {
			*trouble = yyjson_obj_get(shard, "figures") == NULL
			                   ? "its millrace-shard is too old to tell figures"
			                   : cli_text(shard, "stop_reason");
			return shard;
		}
	}
	*trouble = cli_flag(yyjson_doc_get_root(node->doc), "ready") ? "the node does not hold it"
	                                                             : "the node is starting";
	return NULL;
}

/* ---- the numbers ---- */

/* Of what nodes told: no more than can be said. */
static int64_t sum_of(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static void figures_clear(struct figures *figures)
{
	*figures = (struct figures){.levels_told = false};
	for (size_t i = 0; i < FIGURES; i++)
		figures->numbers[i] = -1;
}

static void levels_read(yyjson_val *levels, struct figures *figures)
{
	yyjson_val *row;
	size_t at;
	size_t len;

	figures->levels_told = yyjson_is_arr(levels);
	yyjson_arr_foreach(levels, at, len, row)
	{
		int64_t level = cli_number(row, "level", 0);

		if (level < 0 || level >= LEVELS_MAX)
			level = LEVELS_MAX - 1;
		for (size_t i = 0; i < LEVEL_MEMBERS; i++) {
			int64_t number = cli_number(row, level_members[i], 0);

			if (number > 0)
				figures->levels[level][i] = sum_of(figures->levels[level][i], number);
		}
	}
}

/* Of a replica that is kept closed nothing is known: its numbers are those of an empty one. */
static void figures_read(yyjson_val *told, struct figures *figures)
{
	figures_clear(figures);
	if (!yyjson_is_obj(yyjson_obj_get(told, "figures")))
		return;
	for (size_t i = 0; i < FIGURES; i++) {
		yyjson_val *value = yyjson_ptr_get(told, places[i].pointer);

		if (yyjson_is_int(value))
			figures->numbers[i] = yyjson_get_sint(value);
		else if (yyjson_is_bool(value))
			figures->numbers[i] = yyjson_get_bool(value);
	}
	if (figures->numbers[FIGURE_MERGING] >= 0)
		figures->numbers[FIGURE_MERGES_RUNNING] = figures->numbers[FIGURE_MERGING] > 0;
	levels_read(yyjson_ptr_get(told, "/figures/disk/levels"), figures);
}

/* Ages count by their largest, and so do shares: the replicas that an index has on a node have theirs together. */
static bool is_largest(size_t figure)
{
	return figure == FIGURE_OLDEST_READER_MS || figure == FIGURE_SHARE_BYTES;
}

static void figures_add(struct figures *total, const struct figures *figures)
{
	for (size_t i = 0; i < FIGURES; i++) {
		if (figures->numbers[i] < 0)
			continue;
		if (total->numbers[i] < 0)
			total->numbers[i] = 0;
		if (!is_largest(i))
			total->numbers[i] = sum_of(total->numbers[i], figures->numbers[i]);
		else if (figures->numbers[i] > total->numbers[i])
			total->numbers[i] = figures->numbers[i];
	}
	total->levels_told = total->levels_told || figures->levels_told;
	for (size_t level = 0; level < LEVELS_MAX; level++)
		for (size_t i = 0; i < LEVEL_MEMBERS; i++)
			total->levels[level][i] = sum_of(total->levels[level][i], figures->levels[level][i]);
}

/* ---- as JSON ---- */

static void put_levels(yyjson_mut_doc *doc, yyjson_mut_val *row, const struct figures *figures)
{
	yyjson_mut_val *list;

	if (!figures->levels_told) {
		(void)yyjson_mut_obj_add_null(doc, row, "levels");
		return;
	}
	list = yyjson_mut_obj_add_arr(doc, row, "levels");
	for (size_t level = 0; level < LEVELS_MAX; level++) {
		yyjson_mut_val *one;

		if (figures->levels[level][0] == 0)
			continue;
		one = yyjson_mut_arr_add_obj(doc, list);
		(void)yyjson_mut_obj_add_int(doc, one, "level", (int64_t)level);
		for (size_t i = 0; i < LEVEL_MEMBERS; i++)
			(void)yyjson_mut_obj_add_int(doc, one, level_members[i], figures->levels[level][i]);
	}
}

static void put_figures(yyjson_mut_doc *doc, yyjson_mut_val *row, const struct figures *figures)
{
	for (size_t i = 0; i < FIGURES; i++)
		if (figures->numbers[i] >= 0)
			(void)yyjson_mut_obj_add_int(doc, row, places[i].name, figures->numbers[i]);
		else
			(void)yyjson_mut_obj_add_null(doc, row, places[i].name);
	put_levels(doc, row, figures);
}

/* ---- as a table ---- */

/* At most four digits and a unit. */
static void print_size(int64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes / UNIT_STEP;
	size_t unit = 0;

	if (bytes < UNIT_STEP) {
		(void)snprintf(text, size, "%" PRId64 " B", bytes);
		return;
	}
	while (value >= UNIT_STEP && unit + 1 < sizeof units / sizeof units[0]) {
		value /= UNIT_STEP;
		unit++;
	}
	(void)snprintf(text, size, "%.1f %s", value, units[unit]);
}

static void print_duration(int64_t ms, char *text, size_t size)
{
	if (ms < 1000)
		(void)snprintf(text, size, "%" PRId64 " ms", ms);
	else
		(void)snprintf(text, size, "%.1f s", (double)ms / 1000);
}

static void put_size(yyjson_mut_doc *doc, yyjson_mut_val *row, const char *name, int64_t bytes)
{
	char text[CELL_BYTES];

	if (bytes < 0)
		return;
	print_size(bytes, text, sizeof text);
	(void)yyjson_mut_obj_add_strcpy(doc, row, name, text);
}

/* "12 + 1, 3.4 MiB, 1.2 s": done, running, bytes written, time taken. */
static void put_jobs(yyjson_mut_doc *doc, yyjson_mut_val *row, const char *name, const int64_t numbers[4])
{
	char bytes[32];
	char duration[32];
	char running[32] = "";
	char text[CELL_BYTES];

	if (numbers[0] < 0)
		return;
	print_size(numbers[2] < 0 ? 0 : numbers[2], bytes, sizeof bytes);
	print_duration(numbers[3] < 0 ? 0 : numbers[3], duration, sizeof duration);
	if (numbers[1] > 0)
		(void)snprintf(running, sizeof running, " + %" PRId64, numbers[1]);
	(void)snprintf(text, sizeof text, "%" PRId64 "%s, %s, %s", numbers[0], running, bytes, duration);
	(void)yyjson_mut_obj_add_strcpy(doc, row, name, text);
}

/* "0:3 1:2": three segments of level 0, two of level 1. */
static void put_segments(yyjson_mut_doc *doc, yyjson_mut_val *row, const struct figures *figures)
{
	struct buffer text;

	if (!figures->levels_told)
		return;
	buffer_init(&text, NOTE_BYTES * LEVELS_MAX);
	for (size_t level = 0; level < LEVELS_MAX; level++)
		if (figures->levels[level][0] > 0)
			buffer_printf(&text, "%s%zu:%" PRId64, text.len > 0 ? " " : "", level,
			              figures->levels[level][0]);
	if (text.len == 0)
		buffer_append_string(&text, "none");
	if (!buffer_failed(&text))
		(void)yyjson_mut_obj_add_strncpy(doc, row, "segments", (const char *)text.ptr, text.len);
	buffer_deinit(&text);
}

static void put_cells(yyjson_mut_doc *doc, yyjson_mut_val *row, const struct figures *figures)
{
	const int64_t *n = figures->numbers;
	char age[32];

	if (n[FIGURE_DOCUMENTS] >= 0)
		(void)yyjson_mut_obj_add_int(doc, row, "documents", n[FIGURE_DOCUMENTS]);
	if (n[FIGURE_DISK_DEAD] >= 0)
		(void)yyjson_mut_obj_add_int(doc, row, "disk_dead", n[FIGURE_DISK_DEAD]);
	put_size(doc, row, "active", n[FIGURE_ACTIVE_BYTES]);
	put_size(doc, row, "immutable", n[FIGURE_IMMUTABLE_BYTES]);
	put_size(doc, row, "share", n[FIGURE_SHARE_BYTES]);
	if (n[FIGURE_BUSY_RANGES] >= 0)
		(void)yyjson_mut_obj_add_int(doc, row, "busy_ranges", n[FIGURE_BUSY_RANGES]);
	put_segments(doc, row, figures);
	put_size(doc, row, "stored", n[FIGURE_DISK_BYTES]);
	put_size(doc, row, "live", n[FIGURE_LIVE_BYTES]);
	put_size(doc, row, "words", n[FIGURE_WORDS_BYTES]);
	put_size(doc, row, "file", n[FIGURE_FILE_BYTES]);
	if (n[FIGURE_OLDEST_READER_MS] >= 0) {
		print_duration(n[FIGURE_OLDEST_READER_MS], age, sizeof age);
		(void)yyjson_mut_obj_add_strcpy(doc, row, "reader", age);
	}
	put_jobs(doc, row, "stores",
	         (const int64_t[]){n[FIGURE_STORES], n[FIGURE_STORING], n[FIGURE_STORES_BYTES],
	                           n[FIGURE_STORES_MS]});
	put_jobs(doc, row, "merges",
	         (const int64_t[]){n[FIGURE_MERGES], n[FIGURE_MERGES_RUNNING], n[FIGURE_MERGES_BYTES],
	                           n[FIGURE_COMPACTIONS_MS]});
}

/* ---- the replicas ---- */

static void put_names(yyjson_mut_doc *doc, yyjson_mut_val *row, yyjson_val *replica, const char *trouble)
{
	(void)yyjson_mut_obj_add_strcpy(doc, row, "node", cli_text(replica, "node"));
	(void)yyjson_mut_obj_add_bool(doc, row, "in_sync", cli_flag(replica, "in_sync"));
	(void)yyjson_mut_obj_add_strcpy(doc, row, "error", trouble);
}

static void take_replica(struct stats *stats, int64_t partition, yyjson_val *replica)
{
	const char *trouble;
	yyjson_val *told = told_of(stats, cli_text(replica, "node"), partition, &trouble);
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(stats->doc, stats->rows);
	yyjson_mut_val *cells = yyjson_mut_arr_add_obj(stats->doc, stats->cells);
	struct figures figures;
	char shard[NOTE_BYTES];

	figures_read(told, &figures);
	figures_add(&stats->total, &figures);
	stats->replicas++;
	(void)yyjson_mut_obj_add_int(stats->doc, row, "partition", partition);
	put_names(stats->doc, row, replica, trouble);
	if (told != NULL)
		(void)yyjson_mut_obj_add_strcpy(stats->doc, row, "state", cli_text(told, "state"));
	else
		(void)yyjson_mut_obj_add_null(stats->doc, row, "state");
	put_figures(stats->doc, row, &figures);
	(void)snprintf(shard, sizeof shard, "%.250s/%" PRId64, stats->uid, partition);
	(void)yyjson_mut_obj_add_strcpy(stats->doc, cells, "shard", shard);
	put_names(stats->doc, cells, replica, trouble);
	if (told != NULL)
		(void)yyjson_mut_obj_add_strcpy(stats->doc, cells, "state", cli_text(told, "state"));
	put_cells(stats->doc, cells, &figures);
}

static void take_shards(struct stats *stats)
{
	yyjson_val *shard;
	yyjson_val *replica;
	size_t at;
	size_t len;
	size_t replica_at;
	size_t replicas_len;

	yyjson_arr_foreach(yyjson_obj_get(stats->status, "shards"), at, len, shard)
	{
		if (strcmp(cli_text(shard, "uid"), stats->uid) != 0)
			continue;
		(void)snprintf(stats->index, sizeof stats->index, "%s", cli_text(shard, "index"));
		yyjson_arr_foreach(yyjson_obj_get(shard, "replicas"), replica_at, replicas_len, replica)
			take_replica(stats, cli_number(shard, "partition", -1), replica);
		if (replicas_len == 0)
			take_replica(stats, cli_number(shard, "partition", -1), NULL);
	}
}

static int print_json(struct stats *stats)
{
	yyjson_mut_val *root = yyjson_mut_obj(stats->doc);
	yyjson_mut_val *total = yyjson_mut_obj(stats->doc);
	yyjson_doc *doc;
	int result;

	(void)yyjson_mut_obj_add_strcpy(stats->doc, root, "uid", stats->uid);
	(void)yyjson_mut_obj_add_strcpy(stats->doc, root, "index", stats->index);
	(void)yyjson_mut_obj_add_val(stats->doc, root, "replicas", stats->rows);
	put_figures(stats->doc, total, &stats->total);
	(void)yyjson_mut_obj_add_val(stats->doc, root, "total", total);
	yyjson_mut_doc_set_root(stats->doc, root);
	doc = yyjson_mut_doc_imut_copy(stats->doc, NULL);
	result = doc == NULL ? cli_fail("index", "out of memory")
	                     : cli_print_json("index", yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return result;
}

static int print_table(struct stats *stats)
{
	yyjson_mut_val *total = yyjson_mut_arr_add_obj(stats->doc, stats->cells);
	yyjson_doc *doc;
	int result;

	(void)yyjson_mut_obj_add_str(stats->doc, total, "shard", "total");
	(void)yyjson_mut_obj_add_str(stats->doc, total, "error", "");
	put_cells(stats->doc, total, &stats->total);
	yyjson_mut_doc_set_root(stats->doc, stats->cells);
	doc = yyjson_mut_doc_imut_copy(stats->doc, NULL);
	result = doc == NULL ? -1 : cli_print_table(columns, yyjson_doc_get_root(doc), "no replicas");
	yyjson_doc_free(doc);
	return result == 0 ? 0 : cli_fail("index", "out of memory");
}

static int gather_and_print(struct stats *stats, bool json)
{
	stats->doc = yyjson_mut_doc_new(NULL);
	stats->rows = stats->doc == NULL ? NULL : yyjson_mut_arr(stats->doc);
	stats->cells = stats->doc == NULL ? NULL : yyjson_mut_arr(stats->doc);
	if (stats->rows == NULL || stats->cells == NULL || !nodes_list(stats))
		return cli_fail("index", "out of memory");
	figures_clear(&stats->total);
	take_shards(stats);
	if (stats->replicas == 0)
		return cli_fail(
			"index",
			"the gateway knows no replica of `%s`: `millrace index ls` lists the indexes; one "
			"that was created just now has replicas when millrace-rebalance has placed them",
			stats->uid);
	return json ? print_json(stats) : print_table(stats);
}

int cli_index_stats(struct cli *cli, const struct index_options *options)
{
	struct cli_question question = {"GET", "/status", NULL, 200};
	struct stats stats = {.cli = cli, .uid = options->uid};
	yyjson_doc *answer;
	int result;

	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	stats.status = yyjson_doc_get_root(answer);
	result = gather_and_print(&stats, strcmp(options->output, "json") == 0);
	for (size_t i = 0; i < stats.nodes_len; i++)
		yyjson_doc_free(stats.nodes[i].doc);
	free(stats.nodes);
	yyjson_mut_doc_free(stats.doc);
	yyjson_doc_free(answer);
	return result;
}
