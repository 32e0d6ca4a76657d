/* What Kafka says: the index's record, the document's records in the log, and its dead letters. */
#include "shared/cli/cli_dlq.h"
#include "shared/cli/cli_where.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_MS 10000
#define ARENA_BYTES (64U * 1024)

static void note(struct where_trouble *trouble, const struct error *error)
{
	(void)snprintf(trouble->text, sizeof trouble->text, "%s", error->text);
}

static void copy_slice(char *text, size_t size, struct slice bytes)
{
	(void)snprintf(text, size, "%.*s", (int)(bytes.len < size ? bytes.len : size - 1),
	               bytes.ptr == NULL ? "" : (const char *)bytes.ptr);
}

/* ---- the index's record ---- */

static int find_index(const struct where *where, const struct catalog *catalog,
                      const struct index_record **index, struct error *error)
{
	const char *unreadable = NULL;

	*index = where->named ? catalog_index(catalog, where->index.id)
	                      : catalog_resolve(catalog, slice_string(where->uid));
	if (where->named)
		unreadable = catalog_unreadable(catalog, where->index.id);
	if (unreadable != NULL)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "the record of index %s: %.400s",
		                 where->uid, unreadable);
	if (*index != NULL && (*index)->state == INDEX_STATE_ACTIVE && (*index)->base != NULL)
		return 0;
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "the topic meta has no active index %s",
	                 where->uid);
}

/* ---- the log ---- */

struct reading {
	struct where *where;
	struct where_fold *fold;
	struct arena arena;
	int64_t newest_ms; /* while a partition is looked for */
};

struct where_record *where_add_record(struct where_records *records, int32_t partition,
                                      const struct record *record)
{
	struct where_record *found;

	if (records->len == WHERE_RECORDS_MAX) {
		records->len--;
		memmove(records->list, records->list + 1, records->len * sizeof records->list[0]);
	}
	records->total++;
	found = &records->list[records->len++];
	*found = (struct where_record){
		.partition = partition, .offset = record->offset, .timestamp_ms = record->timestamp_ms};
	return found;
}

void where_tell_refused(struct where_record *found, const struct refusal *refusal)
{
	found->operation = "refused";
	found->code = refusal_name(refusal->code);
	(void)snprintf(found->reason, sizeof found->reason, "%s", refusal->text);
}

const char *where_operation_name(enum op_kind kind)
{
	static const char *const names[] = {
		[OP_KIND_PUT] = "put",
		[OP_KIND_DELETE] = "delete",
		[OP_KIND_MERGE] = "merge",
		[OP_KIND_PUT_IF_EXISTS] = "put-if-exists",
		[OP_KIND_MERGE_IF_EXISTS] = "merge-if-exists",
		[OP_KIND_DELETE_BY_FILTER] = "delete-by-filter",
		[OP_KIND_DELETE_ALL] = "delete-all",
	};

	return names[kind];
}

/* A record in a partition where the document does not belong. */
static int take_elsewhere(struct reading *reading, int32_t partition, const struct record *record,
                          struct error *error)
{
	struct where *where = reading->where;
	const struct record_place place = {&where->index.rules, where->index.partitioner, partition,
	                                   where->index.partitions, slice_string(where->index.primary_key)};
	struct where_record *found;
	struct refusal refusal;
	struct op op;

	if (record->key.ptr == NULL || !slice_equal(record->key, where->id))
		return 0;
	found = where_add_record(&where->log.elsewhere, partition, record);
	arena_clear(&reading->arena);
	switch (record_decode(record, &place, &reading->arena, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		found->operation = where_operation_name(op.kind);
		return 0;
	case RECORD_VERDICT_REFUSE:
		where_tell_refused(found, &refusal);
		return 0;
	case RECORD_VERDICT_MEMORY:
		break;
	}
	return error_memory(error, record->value.len);
}

static int take_record(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct reading *reading = context;

	if (partition == reading->where->partition)
		return where_fold_take(reading->fold, record, error);
	return take_elsewhere(reading, partition, record, error);
}

/* Where no rule says which partition: the one with the newest record. */
static int take_partition(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct reading *reading = context;

	(void)error;
	if (record->key.ptr == NULL || !slice_equal(record->key, reading->where->id) ||
	    (reading->where->partition >= 0 && record->timestamp_ms < reading->newest_ms))
		return 0;
	reading->where->partition = partition;
	reading->newest_ms = record->timestamp_ms;
	return 0;
}

static int fold_records(struct reading *reading, struct dlq *log, struct error *error)
{
	int rc;

	arena_init(&reading->arena, ARENA_BYTES);
	rc = dlq_read_all(log, take_record, reading, error);
	arena_deinit(&reading->arena);
	if (rc == 0)
		where_fold_end(reading->fold);
	return rc;
}

/* Reads what the ends span, after they were narrowed to what counts. */
static int read_records(struct where *where, struct dlq *log, const struct catalog *catalog,
                        struct error *error)
{
	struct reading reading = {.where = where};
	const int64_t *skips;
	size_t skips_len = 0;
	int rc = 0;

	if (where->partition < 0)
		rc = dlq_read_all(log, take_partition, &reading, error);
	if (rc != 0 || where->partition < 0)
		return rc;
	for (int32_t i = 0; !where->all_partitions && i < log->partitions; i++)
		if (i != where->partition)
			log->ends[i].end = log->ends[i].start;
	skips = catalog_skips(catalog, where->index.id, where->partition, &skips_len);
	reading.fold = where_fold_new(where, skips, skips_len);
	if (reading.fold == NULL)
		return error_memory(error, sizeof(void *));
	if (log->ends[where->partition].start >
	    catalog_index(catalog, where->index.id)->base[where->partition])
		where_fold_is_partial(reading.fold);
	rc = fold_records(&reading, log, error);
	where_fold_free(reading.fold);
	return rc;
}

/* Records below the generation's base are of no concern to it. */
static int read_log(struct where *where, struct dlq *log, const struct catalog *catalog, struct error *error)
{
	const int64_t *base = catalog_index(catalog, where->index.id)->base;
	struct log_ends known[INDEX_PARTITIONS_MAX];
	struct where_log *told = &where->log;
	struct error ignored;
	int rc = dlq_open_log(log, &where->index, error);

	if (rc != 0)
		return rc;
	memcpy(known, log->ends, (size_t)log->partitions * sizeof known[0]);
	for (int32_t i = 0; i < log->partitions; i++) {
		if (log->ends[i].start < base[i])
			log->ends[i].start = base[i];
		if (log->ends[i].end < log->ends[i].start)
			log->ends[i].end = log->ends[i].start;
	}
	if (log_topic_setting(log->connection, log->topic, "cleanup.policy", ASK_MS, told->cleanup_policy,
	                      &ignored) != 0)
		told->cleanup_policy[0] = '\0';
	rc = read_records(where, log, catalog, error);
	if (where->partition >= 0) {
		told->base = base[where->partition];
		told->start = known[where->partition].start;
		told->end = known[where->partition].end;
	}
	return rc;
}

/* ---- dead letters ---- */

static int take_letter(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct where *where = context;
	struct where_letters *letters = &where->letters;
	struct slice id = where->id;
	struct where_letter *found;
	struct dlq_letter letter;

	(void)error;
	dlq_letter_read(partition, record, &letter);
	id.len = id.len < RECORD_ID_BYTES_MAX ? id.len : RECORD_ID_BYTES_MAX;
	if (!slice_equal(letter.topic, slice_string(where->index.topic)) ||
	    !slice_equal(letter.document_id, id))
		return 0;
	if (letters->len == WHERE_RECORDS_MAX) {
		letters->len--;
		memmove(letters->list, letters->list + 1, letters->len * sizeof letters->list[0]);
	}
	letters->total++;
	found = &letters->list[letters->len++];
	*found = (struct where_letter){.partition = partition,
	                               .offset = record->offset,
	                               .log_partition = dlq_number(letter.log_partition, INT64_MAX),
	                               .log_offset = dlq_number(letter.log_offset, INT64_MAX)};
	copy_slice(found->code, sizeof found->code, letter.code);
	copy_slice(found->reason, sizeof found->reason, letter.reason);
	return 0;
}

static void read_letters(struct where *where)
{
	struct error error;
	struct dlq letters;
	int rc = dlq_open(&letters, where->cli->config, &error);

	if (rc == 0)
		rc = dlq_read_all(&letters, take_letter, where, &error);
	if (rc != 0)
		note(&where->letters.trouble, &error);
	dlq_close(&letters);
}

/* ---- all of it ---- */

/* Fills where->index; `*index` is the catalog's. */
static int learn_index(struct where *where, struct catalog *catalog, const struct index_record **index,
                       struct error *error)
{
	int rc = dlq_read_meta(where->cli->config, catalog, error);

	if (rc == 0)
		rc = find_index(where, catalog, index, error);
	if (rc != 0)
		return rc;
	where->index = **index;
	where->index.base = NULL;
	if (!where->named)
		where->partition =
			partitioner_choose(where->index.partitioner, where->id, where->index.partitions);
	where->named = true;
	return 0;
}

void where_ask_kafka(struct where *where)
{
	struct catalog *catalog = catalog_new();
	const struct index_record *index = NULL;
	struct dlq log = {.config = where->cli->config};
	struct error error;
	int32_t partitions;
	int rc = catalog == NULL ? error_memory(&error, sizeof(void *))
	                         : log_connection_open(log.config, &log.connection, &error);

	/* asked with a time limit, before the reader would wait */
	if (rc == 0)
		rc = log_topic_partitions(log.connection, log_name(log.connection, "meta"), ASK_MS,
		                          &partitions, &error);
	if (rc == 0)
		rc = learn_index(where, catalog, &index, &error);
	if (rc == 0) {
		rc = read_log(where, &log, catalog, &error);
		read_letters(where);
	} else {
		note(&where->letters.trouble, &error);
	}
	if (rc != 0)
		note(&where->log.trouble, &error);
	dlq_close(&log);
	catalog_free(catalog);
}
