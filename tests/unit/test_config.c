/*
 * Configuration: the whole first file, every source of a value, and what is
 * said about a bad one, with its place. Files are written into the working
 * directory, which is the test's own.
 */
#include "shared/config/config.h"

#include "shared/config/config_private.h"
#include "shared/json/json.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char whole[] =
	"cluster: millrace\n"
	"kafka: {bootstrap.servers: \"127.0.0.1:9092\"}   # any librdkafka property\n"
	"topics: {replication_factor: -1, create: true} # create: false = never create\n"
	"auth: {master_key: \"\", cluster_key: \"\"}\n"
	"index_defaults: {partitions: 1, dedup_window: 1000000}   # quickstart asks for 12 partitions\n"
	"topology: {rf: 2, groups: {g0: [{id: n1, url: \"http://127.0.0.1:7731\"}]}}\n"
	"sources: []\n"
	"ingest: {listen: \"127.0.0.1:7711\", memory: 64MiB, flush: adaptive, data: .millrace/ingest}\n"
	"shard: {listen: \"127.0.0.1:7731\", id: n1, data: .millrace/n1, memory: 256MiB}\n"
	"query: {listen: \"127.0.0.1:7700\", admin: \"127.0.0.1:7701\", degraded: partial, coalesce_ms: 50, "
	"timeout_ms: 1500}\n"
	"rebalance: {listen: \"127.0.0.1:7721\"}\n"
	"log: {level: info, format: logfmt}             # or json\n";

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

/* Up to three arguments behind the program's name; *config is set only if 0 is returned. */
static int load(enum program program, const char *a, const char *b, const char *c, struct config **config,
                struct error *error)
{
	char *arguments[] = {(char *)(uintptr_t) "millrace", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
	                     (char *)(uintptr_t)c, NULL};
	char **argv = arguments;
	int argc = 1;

	while (argv[argc] != NULL)
		argc++;
	return config_load(program, &argc, &argv, config, error);
}

/* Loads `yaml` for the gateway; must work. */
static struct config *load_text(const char *yaml)
{
	struct config *config = NULL;
	struct error error = {0};
	int result;

	write_file("millrace.yaml", yaml);
	result = load(PROGRAM_QUERY, NULL, NULL, NULL, &config, &error);
	if (result != 0)
		printf("\n%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	return config;
}

static void check_whole(const struct config *config)
{
	const struct config_property *properties;
	const struct config_node *nodes;

	CU_ASSERT_STRING_EQUAL(config_string(config, "cluster"), "millrace");
	CU_ASSERT_EQUAL(config_int(config, "topics.replication_factor"), -1);
	CU_ASSERT_TRUE(config_bool(config, "topics.create"));
	CU_ASSERT_STRING_EQUAL(config_string(config, "auth.master_key"), "");
	CU_ASSERT_EQUAL(config_int(config, "index_defaults.partitions"), 1);
	CU_ASSERT_EQUAL(config_int(config, "index_defaults.dedup_window"), 1000000);
	CU_ASSERT_EQUAL(config_int(config, "topology.rf"), 2);
	CU_ASSERT_EQUAL(config_bytes(config, "ingest.memory"), 67108864);
	CU_ASSERT_STRING_EQUAL(config_string(config, "ingest.flush"), "adaptive");
	CU_ASSERT_STRING_EQUAL(config_string(config, "ingest.data"), ".millrace/ingest");
	CU_ASSERT_STRING_EQUAL(config_string(config, "shard.id"), "n1");
	CU_ASSERT_EQUAL(config_bytes(config, "shard.memory"), 268435456);
	CU_ASSERT_STRING_EQUAL(config_string(config, "query.admin"), "127.0.0.1:7701");
	CU_ASSERT_STRING_EQUAL(config_string(config, "query.degraded"), "partial");
	CU_ASSERT_EQUAL(config_int(config, "query.coalesce_ms"), 50);
	CU_ASSERT_EQUAL(config_int(config, "query.timeout_ms"), 1500);
	CU_ASSERT_STRING_EQUAL(config_string(config, "rebalance.listen"), "127.0.0.1:7721");
	CU_ASSERT_STRING_EQUAL(config_string(config, "log.format"), "logfmt");
	CU_ASSERT_PTR_NULL(config_ready_file(config));
	CU_ASSERT_EQUAL_FATAL(config_nodes(config, &nodes), 1);
	CU_ASSERT_STRING_EQUAL(nodes[0].group, "g0");
	CU_ASSERT_STRING_EQUAL(nodes[0].id, "n1");
	CU_ASSERT_STRING_EQUAL(nodes[0].url, "http://127.0.0.1:7731");
	CU_ASSERT_EQUAL_FATAL(config_kafka(config, &properties), 1);
	CU_ASSERT_STRING_EQUAL(properties[0].name, "bootstrap.servers");
	CU_ASSERT_STRING_EQUAL(properties[0].value, "127.0.0.1:9092");
}

static void test_whole_file(void)
{
	static const enum program programs[] = {PROGRAM_INGEST, PROGRAM_SHARD, PROGRAM_QUERY,
	                                        PROGRAM_REBALANCE, PROGRAM_CLI};
	struct error error;

	write_file("millrace.yaml", whole);
	for (size_t i = 0; i < 5; i++) {
		struct config *config = NULL;

		CU_ASSERT_EQUAL_FATAL(load(programs[i], NULL, NULL, NULL, &config, &error), 0);
		check_whole(config);
		config_free(config);
	}
}

/* The whole file says nothing but the defaults. */
static void test_defaults(void)
{
	struct config *config = NULL;
	struct error error;

	(void)unlink("millrace.yaml");
	CU_ASSERT_EQUAL_FATAL(load(PROGRAM_QUERY, NULL, NULL, NULL, &config, &error), 0);
	check_whole(config);
	config_free(config);
	config = load_text("");
	check_whole(config);
	config_free(config);
	config = load_text("ingest:\nkafka: ~\n# nothing\n");
	check_whole(config);
	config_free(config);
}

static const struct {
	const char *yaml;
	const char *error;
} refused_files[] = {
	{"query:\n  # a comment\n  listne: x\n",
         "millrace.yaml:3:3: unknown key `listne` in `query` (did you mean `listen`?)"},
	{"query: {zzzzzzzz: 5}\n", "millrace.yaml:1:9: unknown key `zzzzzzzz` in `query`"},
	{"querry:\n  listen: x\n", "millrace.yaml:1:1: unknown key `querry` (did you mean `query`?)"},
	{"query: {timeout_ms: soon}\n", "millrace.yaml:1:9: `query.timeout_ms` is `soon`, expected a "
                                        "duration such as 5s, 50ms or 50"},
	{"query: {timeout_ms: 61s}\n",
         "millrace.yaml:1:9: `query.timeout_ms` is 61s, expected 1 to 60000 ms"},
	{"ingest: {memory: 64Mib}\n",
         "millrace.yaml:1:10: `ingest.memory` is `64Mib`, expected a size such as 64MiB"},
	{"ingest: {memory: 9223372036854775807GiB}\n",
         "millrace.yaml:1:10: `ingest.memory` is `9223372036854775807GiB`, expected a size such as "
         "64MiB"},
	{"ingest: {flush: sometimes}\n", "millrace.yaml:1:10: `ingest.flush` is `sometimes`, expected "
                                         "adaptive, immediate, batched{RECORDS} or periodic{MS}"},
	{"topics: {create: yes}\n", "millrace.yaml:1:10: `topics.create` is `yes`, expected true or false"},
	{"topology: {rf: 0}\n", "millrace.yaml:1:12: `topology.rf` is 0, expected 1 to 8"},
	{"query: {listen: \"localhost:7700\"}\n",
         "millrace.yaml:1:9: `query.listen` is `localhost:7700`, expected "
         "an address such as 127.0.0.1:7700 or [::1]:7700"},
	{"query: {listen: [1]}\n", "millrace.yaml:1:9: expected a single value"},
	{"query: {listen: }\n", "millrace.yaml:1:9: a value is missing"},
	{"query: 5\n", "millrace.yaml:1:8: expected a mapping in query"},
	{"- a\n", "millrace.yaml: expected a mapping in the file"},
	{"%YAML 9.9\n--- {}\n", "millrace.yaml: not YAML 1.2"},
	{"query: {listen: \"a\n", "millrace.yaml:1:18: double-quoted scalar without closing quote"},
	{"query: &x {timeout_ms: 1}\ningest: *x\n", "millrace.yaml:2:10: expected a mapping in ingest"},
	{"cluster: [a]\n", "millrace.yaml:1:1: expected a single value"},
	{"auth: {master_key: short}\n", "millrace.yaml:1:8: `auth.master_key` is shorter than 16 bytes"},
	{"auth: {master_key_file: absent}\n",
         "millrace.yaml:1:8: cannot open absent: No such file or directory"},
	{"query:\n  listen: \"${MILLRACE_ABSENT}\"\n",
         "millrace.yaml:2:3: the environment has no `MILLRACE_ABSENT`"},
	{"query:\n   listen: \"127.0.0.1:1\"\n  admin: \"127.0.0.1:2\"\n",
         "millrace.yaml:3:3: invalid indentation in mapping"},
	{"log: {level: info}\nlog: {level: warn}\n", "millrace.yaml:2:1: duplicate key"},
	{"topology: {groups: {g0: [{id: n1}]}}\n", "millrace.yaml:1:27: a node of `g0` needs `id` and `url`"},
	{"topology: {groups: {g0: [{id: n1, url: \"n1:7731\"}]}}\n",
         "millrace.yaml:1:35: `n1:7731` is no node's url: expected http://host:port"},
	{"topology: {groups: {g0: [{id: n1, url: \"http://a:1\"}, {id: n1, url: \"http://a:2\"}]}}\n",
         "millrace.yaml:1:64: node `n1` has the id or url of another one"},
	{"kafka: {enable.auto.commit: true}\n",
         "millrace.yaml:1:9: `kafka.enable.auto.commit` cannot be set: "
         "offsets are committed when they are stored"},
	{"kafka: {auto.offset.reset: latest}\n",
         "millrace.yaml:1:9: `kafka.auto.offset.reset` cannot be set: "
         "reading starts where the replicas stand, and never jumps"},
	{"kafka: {key.serializer: x}\n",
         "millrace.yaml:1:9: `kafka.key.serializer` cannot be set: it is a Java client's; remove it"},
};

static void test_refused_files(void)
{
	for (size_t i = 0; i < sizeof refused_files / sizeof refused_files[0]; i++) {
		struct config *config = NULL;
		struct error error = {0};

		write_file("millrace.yaml", refused_files[i].yaml);
		CU_ASSERT_EQUAL(load(PROGRAM_QUERY, NULL, NULL, NULL, &config, &error), ERROR_CONFIGURATION);
		if (strcmp(error.text, refused_files[i].error) != 0) {
			printf("\n%s  %s\n", refused_files[i].yaml, error.text);
			CU_FAIL("another text");
		}
	}
}

static void test_units(void)
{
	static const struct {
		const char *yaml;
		int64_t timeout_ms;
		int64_t memory;
	} rows[] = {
		{"query: {timeout_ms: 5s}\ningest: {memory: 1048576}\n", 5000, 1048576},
		{"query: {timeout_ms: 50ms}\ningest: {memory: 2048KiB}\n", 50, 2097152},
		{"query: {timeout_ms: 1m}\ningest: {memory: 2GiB}\n", 60000, 2147483648},
		{"query: {timeout_ms: 7}\ningest: {memory: 3MB}\n", 7, 3000000},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config *config = load_text(rows[i].yaml);

		CU_ASSERT_EQUAL(config_int(config, "query.timeout_ms"), rows[i].timeout_ms);
		CU_ASSERT_EQUAL(config_bytes(config, "ingest.memory"), rows[i].memory);
		config_free(config);
	}
}

static void test_precedence(void)
{
	struct config *config = NULL;
	struct error error;

	write_file("millrace.yaml", "query: {timeout_ms: 2, coalesce_ms: 2, listen: \"127.0.0.1:2\"}\n");
	CU_ASSERT_EQUAL(setenv("MILLRACE_QUERY_TIMEOUT_MS", "3", 1), 0);
	CU_ASSERT_EQUAL(setenv("MILLRACE_QUERY_COALESCE_MS", "3", 1), 0);
	CU_ASSERT_EQUAL_FATAL(load(PROGRAM_QUERY, "--timeout_ms", "4", "--ready-file=r", &config, &error), 0);
	CU_ASSERT_EQUAL(config_int(config, "query.timeout_ms"), 4);
	CU_ASSERT_EQUAL(config_int(config, "query.coalesce_ms"), 3);
	CU_ASSERT_STRING_EQUAL(config_string(config, "query.listen"), "127.0.0.1:2");
	CU_ASSERT_STRING_EQUAL(config_ready_file(config), "r");
	config_free(config);
	CU_ASSERT_EQUAL(setenv("MILLRACE_QUERY_TIMEOUT", "3", 1), 0);
	CU_ASSERT_EQUAL(load(PROGRAM_QUERY, NULL, NULL, NULL, &config, &error), ERROR_CONFIGURATION);
	CU_ASSERT_STRING_EQUAL(error.text, "MILLRACE_QUERY_TIMEOUT: no setting has this name (see --help)");
	(void)unsetenv("MILLRACE_QUERY_TIMEOUT");
	(void)unsetenv("MILLRACE_QUERY_TIMEOUT_MS");
	(void)unsetenv("MILLRACE_QUERY_COALESCE_MS");
}

static void test_flags(void)
{
	static const struct {
		const char *a;
		const char *b;
		const char *c;
		const char *error;
	} rows[] = {
		{"--lisen", "127.0.0.1:1", NULL,
	         "--lisen: unknown key `lisen` in `query` (did you mean `listen`?)"},
		{"--query.listen", NULL, NULL, "--query.listen: a value is missing"},
		{"--listen=127.0.0.1:1", "--query.listen=127.0.0.1:2", NULL,
	         "--query.listen: `query.listen` is set twice (also at --listen)"},
		{"stray", NULL, NULL, "stray: unexpected argument (see --help)"},
		{"-x", NULL, NULL, "-x: unknown flag (see --help)"},
		{"--config", "absent.yaml", NULL,
	         "absent.yaml: cannot open absent.yaml: No such file or directory"},
		{"--kafka.group.protocol", "consumer", NULL,
	         "--kafka.group.protocol: `kafka.group.protocol` cannot be set: the owners' group needs the "
	         "classic "
	         "protocol"},
	};
	struct config *config = NULL;
	struct error error;

	write_file("millrace.yaml", "cluster: a\n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CU_ASSERT_EQUAL(load(PROGRAM_QUERY, rows[i].a, rows[i].b, rows[i].c, &config, &error),
		                ERROR_CONFIGURATION);
		CU_ASSERT_STRING_EQUAL(error.text, rows[i].error);
	}
	CU_ASSERT_EQUAL_FATAL(load(PROGRAM_INGEST, "--listen", "[::1]:0", "--cluster=b", &config, &error), 0);
	CU_ASSERT_STRING_EQUAL(config_string(config, "ingest.listen"), "[::1]:0");
	CU_ASSERT_STRING_EQUAL(config_string(config, "query.listen"), "127.0.0.1:7700");
	CU_ASSERT_STRING_EQUAL(config_string(config, "cluster"), "b");
	config_free(config);
	CU_ASSERT_EQUAL(load(PROGRAM_QUERY, "--check-config", NULL, NULL, &config, &error), 1);
	CU_ASSERT_EQUAL(load(PROGRAM_QUERY, "--help", NULL, NULL, &config, &error), 1);
	CU_ASSERT_EQUAL(load(PROGRAM_QUERY, "--version", NULL, NULL, &config, &error), 1);
}

static void test_command_line(void)
{
	char *arguments[] = {(char *)(uintptr_t) "millrace",
	                     (char *)(uintptr_t) "--admin",
	                     (char *)(uintptr_t) "http://gateway:7701/",
	                     (char *)(uintptr_t) "index",
	                     (char *)(uintptr_t) "--wait",
	                     NULL};
	struct config *config = NULL;
	struct error error;
	char **argv = arguments;
	int argc = 5;

	write_file("millrace.yaml", "cluster: a\n");
	CU_ASSERT_EQUAL_FATAL(config_load(PROGRAM_CLI, &argc, &argv, &config, &error), 0);
	CU_ASSERT_EQUAL(argc, 2);
	CU_ASSERT_STRING_EQUAL(argv[0], "index");
	CU_ASSERT_STRING_EQUAL(config_string(config, "query.admin"), "gateway:7701");
	config_free(config);
}

static void test_listeners(void)
{
	static const struct {
		enum program program;
		const char *flag;
		const char *address;
		int result;
	} rows[] = {
		{PROGRAM_SHARD, "--listen", "0.0.0.0:7731", ERROR_CONFIGURATION},
		{PROGRAM_INGEST, "--listen", "192.0.2.1:1", ERROR_CONFIGURATION},
		{PROGRAM_REBALANCE, "--listen", "[::]:1", ERROR_CONFIGURATION},
		{PROGRAM_QUERY, "--admin", "0.0.0.0:1", ERROR_CONFIGURATION},
		{PROGRAM_QUERY, "--listen", "0.0.0.0:1", 0},
		{PROGRAM_SHARD, "--listen", "127.1.2.3:1", 0},
		{PROGRAM_SHARD, "--listen", "[::1]:1", 0},
		{PROGRAM_QUERY, "--shard.listen", "0.0.0.0:1", 0},
	};
	struct error error;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config *config = NULL;

		write_file("millrace.yaml", "cluster: a\n");
		CU_ASSERT_EQUAL(load(rows[i].program, rows[i].flag, rows[i].address, NULL, &config, &error),
		                rows[i].result);
		config_free(config);
		config = NULL;
		write_file("millrace.yaml", "auth: {cluster_key: 0123456789abcdef}\n");
		CU_ASSERT_EQUAL(load(rows[i].program, rows[i].flag, rows[i].address, NULL, &config, &error),
		                0);
		config_free(config);
	}
}

static void test_secrets(void)
{
	struct config *config;
	struct buffer text;

	write_file("key.txt", "0123456789abcdef\n");
	CU_ASSERT_EQUAL(setenv("MILLRACE_TEST_KEY", "fedcba9876543210", 1), 0);
	config = load_text("auth:\n  master_key_file: key.txt\n  cluster_key: \"${MILLRACE_TEST_KEY}\"\n"
	                   "log: {level: \"${MILLRACE_TEST_LEVEL:-warn}\"}\n"
	                   "kafka: {sasl.password_file: key.txt, sasl.username: anna}\n");
	CU_ASSERT_STRING_EQUAL(config_string(config, "auth.master_key"), "0123456789abcdef");
	CU_ASSERT_STRING_EQUAL(config_string(config, "auth.cluster_key"), "fedcba9876543210");
	CU_ASSERT_STRING_EQUAL(config_string(config, "log.level"), "warn");
	buffer_init(&text, 100000);
	config_print(config, &text);
	buffer_put_u8(&text, 0);
	CU_ASSERT_PTR_NULL(strstr((char *)text.ptr, "0123456789abcdef"));
	CU_ASSERT_PTR_NULL(strstr((char *)text.ptr, "fedcba9876543210"));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)text.ptr, "  master_key: \"********\"\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)text.ptr, "  sasl.password: \"********\"\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)text.ptr, "  sasl.username: \"anna\"\n"));
	buffer_deinit(&text);
	config_free(config);
	(void)unsetenv("MILLRACE_TEST_KEY");
}

/* What --check-config prints is itself a configuration that says the same. */
static void test_print_loads(void)
{
	struct config *config =
		load_text("cluster: other\nquery: {timeout_ms: 3s}\nkafka: {client.id: \"a: \\\"b\\\"\"}\n"
	                  "topology: {groups: {g0: [{id: a, url: \"http://a:1/\"}], "
	                  "g1: [{id: b, url: \"http://b:1\"}, {id: c, url: \"http://c:1\"}]}}\n");
	struct config *again;
	struct buffer first;
	struct buffer second;

	buffer_init(&first, 100000);
	buffer_init(&second, 100000);
	config_print(config, &first);
	buffer_put_u8(&first, 0);
	again = load_text((char *)first.ptr);
	config_print(again, &second);
	buffer_put_u8(&second, 0);
	CU_ASSERT_STRING_EQUAL((char *)first.ptr, (char *)second.ptr);
	CU_ASSERT_EQUAL(config_int(again, "query.timeout_ms"), 3000);
	buffer_deinit(&first);
	buffer_deinit(&second);
	config_free(config);
	config_free(again);
}

static const char *kafka_value(const struct config *config, const char *name)
{
	const struct config_property *properties;
	size_t len = config_kafka(config, &properties);

	for (size_t i = 0; i < len; i++)
		if (strcmp(properties[i].name, name) == 0)
			return properties[i].value;
	return "absent";
}

static void test_properties_file(void)
{
	static const char refused[] =
		"client.id=a\n\n# java\nkey.serializer=org.apache.kafka.StringSerializer\n";
	struct config *config = NULL;
	struct error error;

	write_file("client.properties",
	           "# comment\n! another\n\nbootstrap.servers=a:1,\\\n    b:2\n  client.id : x y \r\n"
	           "ssl.key.password a\\=b\\\\c\nlinger.ms=5\n");
	CU_ASSERT_EQUAL(setenv("MILLRACE_KAFKA_LINGER_MS", "7", 1), 0);
	config = load_text("kafka: {client.id: mine, properties_file: client.properties, acks: all}\n");
	CU_ASSERT_STRING_EQUAL(kafka_value(config, "bootstrap.servers"), "a:1,b:2");
	CU_ASSERT_STRING_EQUAL(kafka_value(config, "client.id"), "mine");
	CU_ASSERT_STRING_EQUAL(kafka_value(config, "ssl.key.password"), "a=b\\c");
	CU_ASSERT_STRING_EQUAL(kafka_value(config, "linger.ms"), "7");
	CU_ASSERT_STRING_EQUAL(kafka_value(config, "acks"), "all");
	config_free(config);
	(void)unsetenv("MILLRACE_KAFKA_LINGER_MS");
	write_file("client.properties", refused);
	CU_ASSERT_EQUAL(
		load(PROGRAM_QUERY, "--kafka.properties_file", "client.properties", NULL, &config, &error),
		ERROR_CONFIGURATION);
	CU_ASSERT_STRING_EQUAL(error.text,
	                       "client.properties:4: `kafka.key.serializer` cannot be set: it is a Java "
	                       "client's; remove it");
	write_file("client.properties", "a=1\na=2\n");
	CU_ASSERT_EQUAL(
		load(PROGRAM_QUERY, "--kafka.properties_file", "client.properties", NULL, &config, &error),
		ERROR_CONFIGURATION);
	CU_ASSERT_STRING_EQUAL(error.text,
	                       "client.properties:2: `kafka.a` is set twice (also at client.properties:1)");
}

/* schemas/millrace.schema.json, two folders above this file's. */
static yyjson_doc *read_schema(void)
{
	char path[4096];
	yyjson_read_err trouble;
	yyjson_doc *doc;

	(void)snprintf(path, sizeof path, "%.*s/../../schemas/millrace.schema.json",
	               (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	doc = yyjson_read_file(path, 0, NULL, &trouble);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	return doc;
}

/* The schema's words for a setting, e.g. of "query.listen". */
static yyjson_val *schema_find(yyjson_doc *schema, const char *path)
{
	char section[64];
	const char *dot = strchr(path, '.');
	yyjson_val *properties = yyjson_obj_get(yyjson_doc_get_root(schema), "properties");

	if (dot == NULL)
		return yyjson_obj_get(properties, path);
	(void)snprintf(section, sizeof section, "%.*s", (int)(dot - path), path);
	return yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(properties, section), "properties"), dot + 1);
}

/* A setting's default as the schema has it: numbers and booleans without quotes. */
static bool has_default(yyjson_val *property, const char *fallback)
{
	yyjson_val *value = yyjson_obj_get(property, "default");
	struct buffer text;
	struct error error;
	bool equal;

	if (yyjson_is_str(value))
		return strcmp(yyjson_get_str(value), fallback) == 0;
	buffer_init(&text, 100);
	CU_ASSERT_EQUAL(json_append_value(&text, value, &error), 0);
	equal = slice_equal(buffer_slice(&text), slice_string(fallback));
	buffer_deinit(&text);
	return equal;
}

static void test_schema(void)
{
	yyjson_doc *schema = read_schema();
	yyjson_val *sections = yyjson_obj_get(yyjson_doc_get_root(schema), "properties");
	yyjson_val *name;
	yyjson_val *section;
	size_t described = 0;
	size_t known = 3; /* topology.groups, kafka and sources have no row */
	size_t at;
	size_t len;

	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *setting = &settings[i];
		yyjson_val *property = schema_find(schema, setting->path);
		yyjson_val *form = yyjson_arr_get_first(yyjson_obj_get(property, "anyOf"));
		char twin[128];

		CU_ASSERT_PTR_NOT_NULL_FATAL(property);
		CU_ASSERT_TRUE(has_default(property, setting->fallback));
		if (setting->type == SETTING_TYPE_INT || setting->type == SETTING_TYPE_DURATION ||
		    setting->type == SETTING_TYPE_BYTES) {
			CU_ASSERT_EQUAL(yyjson_get_sint(yyjson_obj_get(form, "minimum")), setting->min);
			CU_ASSERT_EQUAL(yyjson_get_sint(yyjson_obj_get(form, "maximum")), setting->max);
		}
		(void)snprintf(twin, sizeof twin, "%s_file", setting->path);
		CU_ASSERT_EQUAL(schema_find(schema, twin) != NULL, setting->type == SETTING_TYPE_SECRET);
		known += setting->type == SETTING_TYPE_SECRET ? 2 : 1;
	}
	yyjson_obj_foreach(sections, at, len, name, section)
	{
		yyjson_val *members = yyjson_obj_get(section, "properties");

		described += members == NULL ? 1 : yyjson_obj_size(members);
	}
	CU_ASSERT_EQUAL(described, known);
	yyjson_doc_free(schema);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"whole file", test_whole_file},
		{"defaults", test_defaults},
		{"refused files", test_refused_files},
		{"units", test_units},
		{"precedence", test_precedence},
		{"flags", test_flags},
		{"command line", test_command_line},
		{"listeners", test_listeners},
		{"secrets", test_secrets},
		{"print loads", test_print_loads},
		{"properties file", test_properties_file},
		{"schema", test_schema},
		CU_TEST_INFO_NULL,
	};

	return suite_run("config", tests);
}
