/* What was found: the verdict first, then the details; or all of it as JSON. */
#include "shared/cli/cli_dlq.h"
#include "shared/cli/cli_where.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cli_column record_columns[] = {
	{"PARTITION", "partition", true},  {"OFFSET", "offset", true},
	{"TIME", "time", false},           {"OPERATION", "operation", false},
	{"DUPLICATE", "duplicate", false}, {"CODE", "code", false},
	{"REASON", "reason", false},       {NULL, NULL, false},
};

static const struct cli_column letter_columns[] = {
	{"DEAD LETTER", "place", false}, {"PARTITION", "log_partition", true}, {"OFFSET", "log_offset", true},
	{"CODE", "code", false},         {"REASON", "reason", false},          {NULL, NULL, false},
};

static const struct cli_column replica_columns[] = {
	{"NODE", "node", false},         {"RECORDED", "recorded", false}, {"IN SYNC", "in_sync", false},
	{"STATE", "state", false},       {"RECEIVED", "received", true},  {"HAS LAST", "has_last", false},
	{"DOCUMENT", "document", false}, {"NOTE", "note", false},         {NULL, NULL, false},
};

static const char *outcome_name(enum where_outcome outcome)
{
	switch (outcome) {
	case WHERE_OUTCOME_UNKNOWN:
		break;
	case WHERE_OUTCOME_PRESENT:
		return "present";
	case WHERE_OUTCOME_INCOMPLETE:
		return "incomplete";
	case WHERE_OUTCOME_DELETED:
		return "deleted";
	case WHERE_OUTCOME_REFUSED:
		return "refused";
	case WHERE_OUTCOME_ELSEWHERE:
		return "elsewhere";
	case WHERE_OUTCOME_ABSENT:
		return "absent";
	}
	return "unknown";
}

static const char *answer_name(enum where_answer answer)
{
	switch (answer) {
	case WHERE_ANSWER_NONE:
		break;
	case WHERE_ANSWER_PRESENT:
		return "present";
	case WHERE_ANSWER_DIFFERS:
		return "differs";
	case WHERE_ANSWER_ABSENT:
		return "absent";
	}
	return NULL;
}

/* ---- JSON ---- */

/* null for NULL and "". */
static void append_text(struct buffer *json, const char *name, const char *text)
{
	buffer_printf(json, ",\"%s\":", name);
	if (text == NULL || text[0] == '\0')
		buffer_append_string(json, "null");
	else
		json_append_string(json, slice_string(text));
}

/* null for what is negative: not known. */
static void append_number(struct buffer *json, const char *name, int64_t number)
{
	buffer_printf(json, ",\"%s\":", name);
	if (number < 0)
		buffer_append_string(json, "null");
	else
		buffer_printf(json, "%" PRId64, number);
}

static void append_records(struct buffer *json, const char *name, const struct where_records *records)
{
	buffer_printf(json, ",\"%s\":{\"total\":%" PRIu64 ",\"last\":[", name, records->total);
	for (size_t i = 0; i < records->len; i++) {
		const struct where_record *record = &records->list[i];

		buffer_printf(json, "%s{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"time\":",
		              i == 0 ? "" : ",", record->partition, record->offset);
		dlq_append_time(json, record->timestamp_ms);
		append_text(json, "operation", record->operation);
		buffer_printf(json, ",\"duplicate\":%s", record->repeated ? "true" : "false");
		append_text(json, "code", record->code);
		append_text(json, "reason", record->reason);
		buffer_append_string(json, "}");
	}
	buffer_append_string(json, "]}");
}

static void append_letters(struct buffer *json, const struct where_letters *letters)
{
	buffer_printf(json, ",\"dead_letters\":{\"total\":%" PRIu64 ",\"last\":[", letters->total);
	for (size_t i = 0; i < letters->len; i++) {
		const struct where_letter *letter = &letters->list[i];

		buffer_printf(json, "%s{\"place\":\"%" PRId32 "@%" PRId64 "\"", i == 0 ? "" : ",",
		              letter->partition, letter->offset);
		append_number(json, "log_partition", letter->log_partition);
		append_number(json, "log_offset", letter->log_offset);
		append_text(json, "code", letter->code);
		append_text(json, "reason", letter->reason);
		buffer_append_string(json, "}");
	}
	buffer_append_string(json, "]");
	append_text(json, "error", letters->trouble.text);
	buffer_append_string(json, "}");
}

/* Whether the last record with the key is below what the replica has received. */
static const char *has_last(const struct where *where, const struct where_replica *replica)
{
	const struct where_records *here = &where->log.here;

	if (here->len == 0 || replica->received < 0)
		return "null";
	return replica->received > here->list[here->len - 1].offset ? "true" : "false";
}

static void append_replicas(struct buffer *json, const struct where *where)
{
	buffer_append_string(json, ",\"replicas\":[");
	for (size_t i = 0; i < where->replicas.len; i++) {
		const struct where_replica *replica = &where->replicas.list[i];

		buffer_append_string(json, i == 0 ? "{\"node\":" : ",{\"node\":");
		json_append_string(json, slice_string(replica->node));
		append_text(json, "url", replica->url);
		append_text(json, "recorded", replica->recorded);
		buffer_printf(json, ",\"in_sync\":%s", replica->in_sync ? "true" : "false");
		append_text(json, "state", replica->state);
		append_number(json, "received", replica->received);
		buffer_printf(json, ",\"has_last\":%s", has_last(where, replica));
		append_text(json, "document", answer_name(replica->answer));
		append_text(json, "note", replica->note);
		buffer_append_string(json, "}");
	}
	buffer_append_string(json, "]");
	append_text(json, "replicas_error", where->replicas.trouble.text);
}

static void append_log(struct buffer *json, const struct where_log *log)
{
	buffer_printf(json, ",\"log\":{\"read\":%s", log->trouble.text[0] == '\0' ? "true" : "false");
	append_number(json, "base", log->base);
	append_number(json, "start", log->start);
	append_number(json, "end", log->end);
	append_text(json, "cleanup_policy", log->cleanup_policy);
	append_text(json, "error", log->trouble.text);
	buffer_append_string(json, "}");
}

static void append_all(struct buffer *json, const struct where *where)
{
	char index_id[17];

	index_id_print(where->index.id, index_id);
	buffer_append_string(json, "{\"verdict\":");
	json_append_string(json, buffer_slice(&where->verdict));
	append_text(json, "outcome", outcome_name(where->outcome));
	append_text(json, "index", where->uid);
	append_text(json, "index_id", index_id);
	buffer_append_string(json, ",\"id\":");
	json_append_string(json, where->id);
	append_text(json, "topic", where->index.topic);
	append_text(json, "partitioner", partitioner_name(where->index.partitioner));
	append_number(json, "partition", where->partition);
	append_log(json, &where->log);
	append_records(json, "records", &where->log.here);
	if (where->all_partitions)
		append_records(json, "elsewhere", &where->log.elsewhere);
	else
		buffer_append_string(json, ",\"elsewhere\":null");
	append_letters(json, &where->letters);
	append_replicas(json, where);
	buffer_append_string(json, "}");
}

/* ---- tables ---- */

static void print_log(const struct where *where)
{
	const struct where_log *log = &where->log;

	printf("log %s", where->index.topic);
	if (where->partition >= 0)
		printf(", partition %" PRId32 " by %s", where->partition,
		       partitioner_name(where->index.partitioner));
	if (log->end >= 0)
		printf(", offsets %" PRId64 " to %" PRId64, log->start, log->end);
	printf("\n");
	if (log->start > log->base)
		printf("what was below offset %" PRId64
		       " has left the log; the index begins at offset %" PRId64 "\n",
		       log->start, log->base);
	if (strstr(log->cleanup_policy, "compact") != NULL)
		printf("the log is compacted (cleanup.policy=%s): older records of a key may be gone\n",
		       log->cleanup_policy);
}

/* How many there are, then the last of them. */
static int print_part(const char *title, const struct cli_column *columns, yyjson_val *part)
{
	int64_t total = cli_number(part, "total", 0);

	printf("\n%s: %" PRId64, title, total);
	if (total > WHERE_RECORDS_MAX)
		printf(", the last %d", WHERE_RECORDS_MAX);
	printf("\n");
	return total == 0 ? 0 : cli_print_table(columns, yyjson_obj_get(part, "last"), "");
}

static int print_tables(const struct where *where, yyjson_val *all)
{
	int result = 0;

	printf("%.*s\n\n", SLICE_ARGS(buffer_slice(&where->verdict)));
	print_log(where);
	if (where->log.trouble.text[0] == '\0')
		result = print_part("records with this key", record_columns, yyjson_obj_get(all, "records"));
	if (result == 0 && where->all_partitions && where->log.trouble.text[0] == '\0')
		result = print_part("records with this key in other partitions", record_columns,
		                    yyjson_obj_get(all, "elsewhere"));
	if (where->letters.trouble.text[0] != '\0')
		printf("\ndead letters could not be read: %s\n", where->letters.trouble.text);
	else if (result == 0)
		result = print_part("dead letters", letter_columns, yyjson_obj_get(all, "dead_letters"));
	printf("\n");
	if (where->replicas.trouble.text[0] != '\0')
		printf("replicas could not be asked: %s\n", where->replicas.trouble.text);
	else if (result == 0)
		result = cli_print_table(replica_columns, yyjson_obj_get(all, "replicas"), "no replicas");
	return result;
}

int where_print(const struct where *where, bool json)
{
	yyjson_doc *doc = NULL;
	struct buffer text;
	struct error error;
	int result;

	buffer_init(&text, CLI_ANSWER_BYTES_MAX);
	append_all(&text, where);
	if (buffer_failed(&text) || buffer_failed(&where->verdict))
		result = cli_fail("doc", "out of memory");
	else if (json_parse_typed(buffer_slice(&text), &doc, &error) != 0)
		result = cli_fail("doc", "%s", error.text);
	else if (json)
		result = cli_print_json("doc", yyjson_doc_get_root(doc));
	else
		result = print_tables(where, yyjson_doc_get_root(doc)) == 0
		                 ? 0
		                 : cli_fail("doc", "out of memory");
	yyjson_doc_free(doc);
	buffer_deinit(&text);
	return result == 0 && where->outcome != WHERE_OUTCOME_PRESENT ? 1 : result;
}
