/*
 * What the records of one partition made of one document, in their order: the
 * fold of a replica, for a single id. Of other documents only what decides
 * here is looked at: barriers, and origins.
 *
 * Identities of this document and of barriers are kept for the whole log, and
 * judged within the window. A filter's strings are folded as far as ASCII
 * goes; where that is not enough the outcome is said to be uncertain.
 */
#include "shared/base/map.h"
#include "shared/cli/cli_where.h"
#include "shared/filter/filter.h"
#include "shared/record/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES (64U * 1024)

/* Of one identity, the last. */
struct occurred {
	int64_t offset;
	uint64_t operation;
};

struct where_fold {
	struct where *where;
	const int64_t *skips;
	size_t skips_len;
	struct origins *origins;
	struct map identities; /* key's 16 bytes → place in occurred, which are in `kept` */
	struct arena kept;
	struct arena scratch; /* of one record */
	struct buffer body;   /* as it is stored */
	bool partly;          /* what was before the log begins is not known */
};

struct where_fold *where_fold_new(struct where *where, const int64_t *skips, size_t skips_len)
{
	struct where_fold *fold = calloc(1, sizeof *fold);

	if (fold == NULL)
		return NULL;
	fold->where = where;
	fold->skips = skips;
	fold->skips_len = skips_len;
	map_init(&fold->identities);
	arena_init(&fold->kept, ARENA_BYTES);
	arena_init(&fold->scratch, ARENA_BYTES);
	buffer_init(&fold->body, WHERE_BODY_BYTES_MAX);
	fold->origins = origins_new();
	if (fold->origins != NULL)
		return fold;
	where_fold_free(fold);
	return NULL;
}

void where_fold_free(struct where_fold *fold)
{
	if (fold == NULL)
		return;
	origins_free(fold->origins);
	buffer_deinit(&fold->body);
	arena_deinit(&fold->scratch);
	arena_deinit(&fold->kept);
	map_deinit(&fold->identities);
	free(fold);
}

void where_fold_is_partial(struct where_fold *fold)
{
	fold->partly = true;
}

/* ---- what the log held before ---- */

static bool is_skipped(const struct where_fold *fold, int64_t offset)
{
	for (size_t i = 0; i < fold->skips_len; i++)
		if (fold->skips[i] == offset)
			return true;
	return false;
}

/* The occurrence before this one, if there is any, and this one in its place; false when out of memory. */
static bool note_identity(struct where_fold *fold, const struct op *op, struct occurred *before)
{
	const struct occurred now = {op->offset, op->identity.operation};
	struct slice key = slice_of(&op->identity.key, sizeof op->identity.key);
	uint64_t *place = map_get(&fold->identities, key);
	struct occurred *kept;
	struct slice copy;

	before->offset = -1;
	if (place != NULL) {
		kept = (struct occurred *)(uintptr_t)*place;
		*before = *kept;
		*kept = now;
		return true;
	}
	kept = arena_alloc(&fold->kept, sizeof *kept);
	if (kept == NULL || !arena_copy(&fold->kept, key, &copy))
		return false;
	*kept = now;
	return map_put(&fold->identities, copy, (uint64_t)(uintptr_t)kept);
}

enum judged {
	JUDGED_APPLY = 1,
	JUDGED_IMPORTED,
	JUDGED_TOO_MANY_SOURCES,
	JUDGED_DUPLICATE,
	JUDGED_REUSED
};

static int judge_origin(struct where_fold *fold, const struct op *op, enum judged *judged,
                        struct error *error)
{
	if (op->origin.source.ptr == NULL)
		return 0;
	switch (origins_judge(fold->origins, &op->origin)) {
	case ORIGIN_VERDICT_DUPLICATE:
		*judged = JUDGED_IMPORTED;
		return 0;
	case ORIGIN_VERDICT_LIMIT:
		*judged = JUDGED_TOO_MANY_SOURCES;
		return 0;
	case ORIGIN_VERDICT_NEW:
		break;
	}
	return origins_note(fold->origins, &op->origin, error);
}

/* `*earlier` is the offset that decided. */
static int judge(struct where_fold *fold, const struct op *op, enum judged *judged, int64_t *earlier,
                 struct error *error)
{
	int64_t window = fold->where->index.rules.dedup_window;
	struct occurred before;
	int rc;

	*judged = JUDGED_APPLY;
	rc = judge_origin(fold, op, judged, error);
	if (rc != 0 || !op->has_identity || window == 0)
		return rc;
	if (!note_identity(fold, op, &before))
		return error_memory(error, sizeof before);
	*earlier = before.offset;
	if (*judged == JUDGED_APPLY && before.offset >= 0 && before.offset >= op->offset - window)
		*judged = before.operation == op->identity.operation ? JUDGED_DUPLICATE : JUDGED_REUSED;
	return 0;
}

/* ---- what is told of a record ---- */

static void tell(enum judged judged, int64_t earlier, struct where_record *found)
{
	switch (judged) {
	case JUDGED_APPLY:
		return;
	case JUDGED_IMPORTED:
		found->repeated = true;
		(void)snprintf(found->reason, sizeof found->reason, "imported before, by its origin");
		return;
	case JUDGED_DUPLICATE:
		found->repeated = true;
		(void)snprintf(found->reason, sizeof found->reason, "repeats the record at offset %" PRId64,
		               earlier);
		return;
	case JUDGED_TOO_MANY_SOURCES:
		found->code = refusal_name(REFUSAL_TOO_MANY_SOURCES);
		return;
	case JUDGED_REUSED:
		found->code = refusal_name(REFUSAL_IDEMPOTENCY_KEY_REUSED);
		(void)snprintf(found->reason, sizeof found->reason,
		               "the record at offset %" PRId64 " has the same key for another operation",
		               earlier);
		return;
	}
}

/* ---- filters ---- */

static bool fold_ascii(void *context, struct slice text, struct buffer *folded)
{
	bool *uncertain = context;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		*uncertain = *uncertain || c >= 0x80;
		buffer_put_u8(folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c);
	}
	return !buffer_failed(folded);
}

/* Whether the filter means the document as it is now. */
static int filter_means(struct where_fold *fold, const struct op *op, bool *means, struct error *error)
{
	bool uncertain = false;
	const struct filter_fold ascii = {fold_ascii, &uncertain};
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	yyjson_doc *doc = NULL;
	int rc = filter_parse(op->body, &ascii, &fold->scratch, &filter, &refusal);

	*means = false;
	if (rc == ERROR_MEMORY)
		return error_memory(error, op->body.len);
	if (rc != 0 || filter == NULL)
		return 0; /* record_decode lets none through */
	rc = json_parse(buffer_slice(&fold->body), JSON_DEPTH_MAX, &doc, error);
	if (rc == 0)
		rc = filter_matches(filter, yyjson_doc_get_root(doc), &ascii, means, error);
	yyjson_doc_free(doc);
	if (uncertain)
		fold->where->log.uncertain = op->offset;
	return rc;
}

/* ---- what is applied ---- */

static int set_body(struct where_fold *fold, struct slice body, struct error *error)
{
	buffer_clear(&fold->body);
	buffer_append_slice(&fold->body, body);
	return buffer_failed(&fold->body) ? error_memory(error, body.len) : 0;
}

static bool is_merge(enum op_kind kind)
{
	return kind == OP_KIND_MERGE || kind == OP_KIND_MERGE_IF_EXISTS;
}

/* The document from here on. */
static void settle(struct where_fold *fold, const struct where_record *record, bool present)
{
	struct where_log *log = &fold->where->log;

	log->settled = true;
	log->present = present;
	log->effective = *record;
	if (!present)
		log->comparable = false;
}

static int merge(struct where_fold *fold, const struct op *op, struct where_record *record,
                 struct error *error)
{
	struct slice merged;
	int rc = record_merge(buffer_slice(&fold->body), op->body, &fold->scratch, &merged, error);

	if (rc != 0)
		return rc;
	if (merged.len > fold->where->index.rules.document_bytes_max) {
		(void)snprintf(record->reason, sizeof record->reason,
		               "no effect: the document would have %zu bytes", merged.len);
		return 0;
	}
	settle(fold, record, true);
	return set_body(fold, merged, error);
}

/* A put or merge of the document. */
static int write_document(struct where_fold *fold, const struct op *op, struct where_record *record,
                          struct error *error)
{
	struct where_log *log = &fold->where->log;
	bool if_exists = op->kind == OP_KIND_PUT_IF_EXISTS || op->kind == OP_KIND_MERGE_IF_EXISTS;
	bool unknown = fold->partly && !log->settled;

	if (if_exists && !log->present) {
		(void)snprintf(record->reason, sizeof record->reason, "%s",
		               unknown ? "only where there is a document: its past has left the log"
		                       : "no effect: there was no document");
		return 0;
	}
	if (is_merge(op->kind) && log->present && log->comparable)
		return merge(fold, op, record, error);
	/* of a merge into what has left the log only the presence is known */
	log->comparable = !is_merge(op->kind) || (!log->present && !unknown);
	settle(fold, record, true);
	return set_body(fold, op->body, error);
}

static int apply(struct where_fold *fold, const struct op *op, struct where_record *record,
                 struct error *error)
{
	if (op->kind != OP_KIND_DELETE)
		return write_document(fold, op, record, error);
	settle(fold, record, false);
	return 0;
}

static int apply_barrier(struct where_fold *fold, const struct op *op, const struct record *record,
                         struct error *error)
{
	struct where_log *log = &fold->where->log;
	bool means = op->kind == OP_KIND_DELETE_ALL;
	struct where_record *found;
	int rc = 0;

	if (!log->present)
		return 0;
	if (op->kind == OP_KIND_DELETE_BY_FILTER && log->comparable)
		rc = filter_means(fold, op, &means, error);
	else if (op->kind == OP_KIND_DELETE_BY_FILTER)
		log->uncertain = op->offset;
	if (rc != 0 || !means)
		return rc;
	found = where_add_record(&log->here, fold->where->partition, record);
	found->operation = where_operation_name(op->kind);
	settle(fold, found, false);
	return 0;
}

/* ---- records ---- */

static bool has_origin(const struct record *record)
{
	for (size_t i = 0; i < record->headers_len; i++)
		if (slice_equal(record->headers[i].name, slice_string("origin")))
			return true;
	return false;
}

static int take_decoded(struct where_fold *fold, const struct record *record, const struct op *op, bool mine,
                        struct error *error)
{
	struct where *where = fold->where;
	struct where_record *found;
	enum judged judged = JUDGED_APPLY;
	int64_t earlier = -1;
	int rc;

	if (!mine && !op_kind_is_barrier(op->kind)) /* its origin is all that counts */
		return judge_origin(fold, op, &judged, error);
	rc = judge(fold, op, &judged, &earlier, error);
	if (rc != 0)
		return rc;
	if (!mine)
		return judged == JUDGED_APPLY ? apply_barrier(fold, op, record, error) : 0;
	found = where_add_record(&where->log.here, where->partition, record);
	found->operation = where_operation_name(op->kind);
	tell(judged, earlier, found);
	return judged == JUDGED_APPLY ? apply(fold, op, found, error) : 0;
}

int where_fold_take(struct where_fold *fold, const struct record *record, struct error *error)
{
	struct where *where = fold->where;
	bool mine = record->key.ptr != NULL && slice_equal(record->key, where->id);
	const struct record_place place = {&where->index.rules, where->index.partitioner, where->partition,
	                                   where->index.partitions, slice_string(where->index.primary_key)};
	struct where_record *found;
	struct refusal refusal;
	struct op op;

	if (!mine && record->key.len > 0 && !has_origin(record))
		return 0;
	if (is_skipped(fold, record->offset)) {
		if (mine) {
			found = where_add_record(&where->log.here, where->partition, record);
			found->operation = "skipped";
			found->code = refusal_name(REFUSAL_SKIPPED);
		}
		return 0;
	}
	arena_clear(&fold->scratch);
	switch (record_decode(record, &place, &fold->scratch, &op, &refusal)) {
	case RECORD_VERDICT_APPLY:
		return take_decoded(fold, record, &op, mine, error);
	case RECORD_VERDICT_REFUSE:
		if (mine)
			where_tell_refused(where_add_record(&where->log.here, where->partition, record),
			                   &refusal);
		return 0;
	case RECORD_VERDICT_MEMORY:
		break;
	}
	return error_memory(error, record->value.len);
}

/* Compact, as the replicas' answers are made. */
void where_fold_end(struct where_fold *fold)
{
	struct where_log *log = &fold->where->log;
	struct error ignored;
	yyjson_doc *doc = NULL;

	if (!log->present || !log->comparable)
		return;
	log->comparable = json_parse(buffer_slice(&fold->body), JSON_DEPTH_MAX, &doc, &ignored) == 0 &&
	                  json_append_value(&log->body, yyjson_doc_get_root(doc), &ignored) == 0;
	yyjson_doc_free(doc);
}
