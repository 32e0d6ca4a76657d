/*
 * `millrace map`: what rules would make of a topic's records. It reads a
 * sample and writes nothing: not to Kafka, not to an index.
 */
#include "shared/cli/cli_dlq.h"
#include "shared/mapping/mapping.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_MS 10000
#define SAMPLE_DEFAULT 20
#define SAMPLE_MAX 10000
#define SHOWN_BYTES_MAX 160 /* of a key or body in the table */
#define ARENA_BLOCK_BYTES 65536
#define OUTPUT_BYTES_MAX (64U << 20)

struct map_options {
	const char *topic;
	const char *source;
	const char *index;
	const char *rules_path;
	long sample;
	bool from_beginning;
	bool json;
};

struct map {
	const struct map_options *options;
	struct dlq reading;
	struct arena rules_arena;
	struct arena arena; /* of one record */
	struct buffer rules;
	struct mapping *mapping;
	int64_t left;
	uint64_t applied;
	uint64_t ignored;
	uint64_t refused;
};

void cli_map_help(void)
{
	printf("  map --topic TOPIC [--sample N] [--from-beginning] [-o table|json]\n"
	       "      [--rules FILE | --source NAME [--index UID]]\n"
	       "                              what the rules of FILE, or of a source, make of N records: one "
	       "of\n"
	       "                              the configuration, else as it is recorded with the index\n");
}

/* ---- rules ---- */

static int rules_of_file(struct map *map)
{
	FILE *file = fopen(map->options->rules_path, "rb");
	char bytes[4096];
	size_t len;

	if (file == NULL)
		return cli_fail("map", "%s cannot be opened", map->options->rules_path);
	while ((len = fread(bytes, 1, sizeof bytes, file)) > 0)
		buffer_append(&map->rules, bytes, len);
	(void)fclose(file);
	return buffer_failed(&map->rules) ? cli_fail("map", "%s is longer than %u bytes",
	                                             map->options->rules_path, MAPPING_RULES_BYTES_MAX)
	                                  : 0;
}

static int rules_of_record(struct map *map, yyjson_val *indexes)
{
	const struct map_options *options = map->options;
	yyjson_val *index;
	yyjson_val *source;
	size_t at, len, source_at, sources_len;

	yyjson_arr_foreach(indexes, at, len, index)
		yyjson_arr_foreach(yyjson_obj_get(index, "sources"), source_at, sources_len, source)
	{
		char *text;

		if (strcmp(cli_text(index, "uid"), options->index) != 0 ||
		    strcmp(cli_text(source, "name"), options->source) != 0)
			continue;
		text = yyjson_val_write(yyjson_obj_get(source, "rules"), 0, NULL);
		buffer_append_string(&map->rules, text != NULL ? text : "{}");
		free(text);
		return 0;
	}
	return cli_fail("map", "index `%s` has no source `%s`, nor has the configuration", options->index,
	                options->source);
}

/* As they are recorded with the index, which the gateway knows. */
static int rules_of_gateway(struct map *map, struct cli *cli)
{
	struct cli_question question = {"GET", "/indexes?limit=10000", NULL, 200};
	yyjson_doc *answer;
	int result;

	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	result = rules_of_record(map, yyjson_obj_get(yyjson_doc_get_root(answer), "results"));
	yyjson_doc_free(answer);
	return result;
}

/* A configured source by its name, its topic, or the only one. */
static int rules_of_configuration(struct map *map, struct cli *cli)
{
	const struct map_options *options = map->options;
	const struct config_source *sources;
	size_t len = config_sources(cli->config, &sources);

	for (size_t i = 0; i < len; i++) {
		const char *topic = sources[i].topic != NULL ? sources[i].topic : "";
		const char *index = sources[i].index != NULL ? sources[i].index : "";
		bool meant = options->source != NULL ? strcmp(sources[i].name, options->source) == 0
		                                     : strcmp(topic, options->topic) == 0;

		if (!meant || (options->index != NULL && strcmp(index, options->index) != 0))
			continue;
		buffer_append_string(&map->rules, sources[i].rules);
		return 0;
	}
	if (options->source != NULL && options->index != NULL)
		return rules_of_gateway(map, cli);
	if (options->source != NULL)
		return cli_fail("map",
		                "the configuration has no source `%s`; give --index UID for a recorded one, "
		                "or --rules FILE",
		                options->source);
	buffer_append_string(&map->rules, "{}");
	fprintf(stderr, "millrace map: no source of the configuration reads %s: mapped with default rules\n",
	        options->topic);
	return 0;
}

static int read_rules(struct map *map, struct cli *cli)
{
	struct rules limits = rules_default();
	struct error error;
	int result;

	buffer_init(&map->rules, MAPPING_RULES_BYTES_MAX);
	arena_init(&map->rules_arena, ARENA_BLOCK_BYTES);
	result = map->options->rules_path != NULL ? rules_of_file(map) : rules_of_configuration(map, cli);
	if (result != 0)
		return result;
	if (mapping_parse(buffer_slice(&map->rules), &limits, &map->rules_arena, &map->mapping, &error) != 0)
		return cli_fail("map", "%s", error.text);
	return 0;
}

/* ---- one record ---- */

static void append_member(struct buffer *json, const char *name, struct slice text)
{
	buffer_printf(json, ",\"%s\":", name);
	if (text.ptr == NULL)
		buffer_append_string(json, "null");
	else
		json_append_string(json, text);
}

static void print_json(int32_t partition, const struct record *record, enum mapping_verdict verdict,
                       const struct mapped *mapped)
{
	struct buffer json;

	buffer_init(&json, OUTPUT_BYTES_MAX);
	buffer_printf(&json, "{\"partition\":%" PRId32 ",\"offset\":%" PRId64, partition, record->offset);
	append_member(&json, "key", record->key);
	switch (verdict) {
	case MAPPING_VERDICT_APPLY:
		append_member(&json, "op", slice_string(mapping_op_name(mapped->op)));
		append_member(&json, "id", mapped->id);
		append_member(&json, "idempotency_key", mapped->idempotency_key);
		if (mapped->op != MAPPING_OP_DELETE) {
			buffer_append_string(&json, ",\"document\":");
			buffer_append_slice(&json, mapped->body);
		}
		break;
	case MAPPING_VERDICT_IGNORE:
		buffer_append_string(&json, ",\"ignored\":true");
		break;
	case MAPPING_VERDICT_REFUSE:
	case MAPPING_VERDICT_MEMORY:
		append_member(&json, "refused", slice_string(mapping_refusal_name(mapped->code)));
		append_member(&json, "reason", slice_string(mapped->text));
		break;
	}
	printf("%.*s}", SLICE_ARGS(buffer_slice(&json)));
	buffer_deinit(&json);
}

/* Without what a terminal would obey. */
static void print_shown(struct slice bytes)
{
	size_t len = bytes.len < SHOWN_BYTES_MAX ? bytes.len : SHOWN_BYTES_MAX;

	for (size_t i = 0; i < len; i++)
		fputc(bytes.ptr[i] < ' ' || bytes.ptr[i] == 0x7f ? '.' : bytes.ptr[i], stdout);
	fputs(bytes.len > len ? "…" : "", stdout);
}

static void print_line(int32_t partition, const struct record *record, enum mapping_verdict verdict,
                       const struct mapped *mapped)
{
	printf("%" PRId32 "@%" PRId64 "  ", partition, record->offset);
	switch (verdict) {
	case MAPPING_VERDICT_APPLY:
		printf("%s ", mapping_op_name(mapped->op));
		print_shown(mapped->id);
		printf("  ");
		print_shown(mapped->body);
		break;
	case MAPPING_VERDICT_IGNORE:
		printf("ignored");
		break;
	case MAPPING_VERDICT_REFUSE:
	case MAPPING_VERDICT_MEMORY:
		printf("refused, %s: ", mapping_refusal_name(mapped->code));
		print_shown(slice_string(mapped->text));
		break;
	}
	printf("\n");
}

static int show(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct map *map = context;
	struct mapped mapped = {0};
	enum mapping_verdict verdict;

	if (map->left == 0)
		return 0;
	map->left--;
	verdict = mapping_apply(map->mapping, record, &map->arena, &mapped);
	if (verdict == MAPPING_VERDICT_MEMORY)
		return error_memory(error, record->value.len);
	if (map->options->json) {
		fputs(map->applied + map->ignored + map->refused > 0 ? ",\n" : "", stdout);
		print_json(partition, record, verdict, &mapped);
	} else {
		print_line(partition, record, verdict, &mapped);
	}
	map->applied += verdict == MAPPING_VERDICT_APPLY;
	map->ignored += verdict == MAPPING_VERDICT_IGNORE;
	map->refused += verdict == MAPPING_VERDICT_REFUSE;
	arena_clear(&map->arena);
	return 0;
}

/* ---- the topic ---- */

static int open_topic(struct map *map, const struct config *config, struct error *error)
{
	struct dlq *reading = &map->reading;
	int32_t numbers[DLQ_PARTITIONS_MAX];
	struct log_partitions asked = {map->options->topic, numbers, 0};
	int rc;

	*reading = (struct dlq){.config = config, .topic = map->options->topic};
	rc = log_connection_open(config, &reading->connection, error);
	if (rc == 0)
		rc = log_topic_partitions(reading->connection, reading->topic, ASK_MS, &reading->partitions,
		                          error);
	if (rc != 0)
		return rc;
	if (reading->partitions > DLQ_PARTITIONS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "topic %s has %" PRId32 " partitions, at most %d can be read",
		                 reading->topic, reading->partitions, DLQ_PARTITIONS_MAX);
	reading->ends = calloc((size_t)reading->partitions, sizeof *reading->ends);
	if (reading->ends == NULL)
		return error_memory(error, (size_t)reading->partitions * sizeof *reading->ends);
	for (; asked.len < (size_t)reading->partitions; asked.len++)
		numbers[asked.len] = (int32_t)asked.len;
	rc = log_ask_all_ends(reading->connection, &asked, ASK_MS, reading->ends, error);
	return rc != 0 ? rc : log_feed_open(config, &reading->feed, error);
}

/* From every partition its share. */
static int read_sample(struct map *map, struct error *error)
{
	const struct map_options *options = map->options;
	int64_t share = (options->sample + map->reading.partitions - 1) / map->reading.partitions;
	int rc = 0;

	map->left = options->sample;
	for (int32_t p = 0; rc == 0 && p < map->reading.partitions; p++) {
		const struct log_ends *ends = &map->reading.ends[p];
		struct dlq_range range = {p, ends->start, ends->end};

		if (ends->end - ends->start > share && options->from_beginning)
			range.to = ends->start + share;
		else if (ends->end - ends->start > share)
			range.from = ends->end - share;
		if (range.from < range.to)
			rc = dlq_read(&map->reading, &range, show, map, error);
	}
	return rc;
}

static int run(struct map *map, const struct config *config)
{
	struct error error;
	int rc = open_topic(map, config, &error);

	if (rc == 0 && map->options->json)
		fputs("[", stdout);
	if (rc == 0)
		rc = read_sample(map, &error);
	if (rc == 0 && map->options->json)
		fputs("]\n", stdout);
	dlq_close(&map->reading);
	if (rc != 0)
		return cli_fail("map", "%s", error.text);
	fprintf(stderr, "%" PRIu64 " records would be applied, %" PRIu64 " ignored, %" PRIu64 " refused\n",
	        map->applied, map->ignored, map->refused);
	return 0;
}

static bool read_sample_size(const char *text, long *sample)
{
	char *end;

	*sample = strtol(text, &end, 10);
	return end != text && *end == 0 && *sample >= 1 && *sample <= SAMPLE_MAX;
}

/* 0 or the exit code. */
static int read_options(int argc, char **argv, struct map_options *options)
{
	static const struct option longs[] = {
		{"topic", required_argument, NULL, 't'},  {"sample", required_argument, NULL, 'n'},
		{"source", required_argument, NULL, 's'}, {"index", required_argument, NULL, 'i'},
		{"rules", required_argument, NULL, 'r'},  {"from-beginning", no_argument, NULL, 'b'},
		{"output", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
	int letter;

	while ((letter = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (letter == '?')
			return 1; /* getopt has said why */
		if (letter == 't')
			options->topic = optarg;
		else if (letter == 's')
			options->source = optarg;
		else if (letter == 'i')
			options->index = optarg;
		else if (letter == 'r')
			options->rules_path = optarg;
		else if (letter == 'b')
			options->from_beginning = true;
		else if (letter == 'n' && !read_sample_size(optarg, &options->sample))
			return cli_fail("map", "--sample is `%s`, expected 1 to %d", optarg, SAMPLE_MAX);
		else if (letter == 'o' && strcmp(optarg, "json") != 0 && strcmp(optarg, "table") != 0)
			return cli_fail("map", "-o is `%s`, expected table or json", optarg);
		else if (letter == 'o')
			options->json = strcmp(optarg, "json") == 0;
	}
	if (options->topic == NULL || optind != argc)
		return cli_fail("map", "expected --topic TOPIC and options (see --help)");
	if (options->rules_path != NULL && options->source != NULL)
		return cli_fail("map", "--rules and --source exclude each other");
	return 0;
}

int cli_map(struct cli *cli, int argc, char **argv)
{
	struct map_options options = {.sample = SAMPLE_DEFAULT};
	struct map map = {.options = &options};
	int result;

	if (read_options(argc, argv, &options) != 0)
		return 1;
	arena_init(&map.arena, ARENA_BLOCK_BYTES);
	result = read_rules(&map, cli);
	if (result == 0)
		result = run(&map, cli->config);
	arena_deinit(&map.arena);
	arena_deinit(&map.rules_arena);
	buffer_deinit(&map.rules);
	return result;
}
