/*
 * Barriers: operations on every document of the partition. They are told by
 * number, so that deleting a million documents takes a bitmap of memory.
 */
#include "shard/core/intake.h"

#include "shared/filter/filter.h"

#define FILTER_BLOCK_BYTES (64U * 1024)

/* One delete-by-filter. */
struct pass {
	struct intake *intake;
	const struct filter *filter;
	struct filter_fold fold;
	struct error *error;
};

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct pass *pass = context;

	return words_fold(pass->intake->replica->words, text, folded, pass->error) == 0;
}

static void kill(struct intake *intake, uint64_t number, struct hash128 digest, size_t body_bytes)
{
	postings_add(&intake->killed, number);
	hash128_subtract(&intake->now.digest, digest);
	intake->now.documents--;
	intake->now.body_bytes -= body_bytes;
}

/* What is kept was JSON when it came. */
static int body_matches(struct pass *pass, struct slice body, bool *matches)
{
	struct error *error = pass->error;
	yyjson_doc *doc;
	int rc;

	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0) {
		if (error->code == ERROR_MEMORY)
			return error->code;
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the body of a document is no JSON");
	}
	rc = filter_matches(pass->filter, yyjson_doc_get_root(doc), &pass->fold, matches, error);
	yyjson_doc_free(doc);
	return rc;
}

static int segment_pass(struct pass *pass, const struct segment *segment)
{
	struct replica *replica = pass->intake->replica;
	bool matches;

	for (size_t i = 0; i < segment->puts_len; i++) {
		const struct version *version = segment->puts[i];

		if (postings_contains(&replica->deleted, version->number))
			continue;
		if (body_matches(pass, version->body, &matches) != 0)
			return pass->error->code;
		if (matches)
			kill(pass->intake, version->number, version->digest, version->body.len);
	}
	return 0;
}

/* A running store has committed, maybe: what is in memory too was looked at there. */
static int stored_pass(struct pass *pass, struct slice key, struct slice value)
{
	struct replica *replica = pass->intake->replica;
	struct error *error = pass->error;
	struct stored_document document;
	struct hash128 digest;
	uint64_t number;
	bool matches;

	if (stored_number_decode(key, &number, error) != 0)
		return error->code;
	if (postings_contains(&replica->deleted, number) || replica_version(replica, number) != NULL)
		return 0;
	if (stored_document_decode(number, value, &document, error) != 0 ||
	    body_matches(pass, document.body, &matches) != 0)
		return error->code;
	if (!matches)
		return 0;
	digest = document_digest(replica->identity.index_id, document.id, document.body, document.key,
	                         &replica->scratch);
	if (buffer_failed(&replica->scratch))
		return error_memory(error, document.body.len);
	kill(pass->intake, number, digest, document.body.len);
	return 0;
}

static int store_pass(struct pass *pass)
{
	struct error *error = pass->error;
	struct kv_cursor *cursor;
	struct slice key;
	struct slice value;
	int rc;

	if (kv_cursor_open(pass->intake->txn, KV_TABLE_DOCUMENTS, &cursor, error) != 0)
		return error->code;
	rc = kv_cursor_seek(cursor, slice_of("", 1), &key, &value, error);
	while (rc == 0) {
		if (stored_pass(pass, key, value) != 0) {
			kv_cursor_close(cursor);
			return error->code;
		}
		rc = kv_cursor_next(cursor, &key, &value, error);
	}
	kv_cursor_close(cursor);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int pass_run(struct pass *pass)
{
	const struct replica *replica = pass->intake->replica;

	for (size_t i = 0; i < replica->segments_len; i++)
		if (segment_pass(pass, replica->segments[i]) != 0)
			return pass->error->code;
	return store_pass(pass);
}

static int delete_by_filter(struct intake *intake, const struct op *op, struct error *error)
{
	struct pass pass = {.intake = intake, .fold = {append_folded, &pass}, .error = error};
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct arena tree;
	int rc;

	arena_init(&tree, FILTER_BLOCK_BYTES);
	rc = filter_parse(op->body, &pass.fold, &tree, &filter, &refusal);
	if (rc == ERROR_MEMORY)
		rc = error_memory(error, op->body.len);
	else if (rc != 0 || filter == NULL)
		rc = error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		               "the filter at offset %lld, which no feeder lets pass: %.200s",
		               (long long)op->offset, rc != 0 ? refusal.text : "no condition");
	pass.filter = filter;
	if (rc == 0)
		rc = pass_run(&pass);
	arena_deinit(&tree);
	return rc;
}

/* Every number that was ever given; what of them is no document any more does no harm. */
static void delete_all(struct intake *intake)
{
	postings_add_range(&intake->killed, 1, intake->now.number_next);
	intake->cleared = true;
	intake->now.digest = (struct hash128){0, 0};
	intake->now.documents = 0;
	intake->now.body_bytes = 0;
}

int intake_barrier(struct intake *intake, const struct op *op, struct error *error)
{
	if (op->kind == OP_KIND_DELETE_BY_FILTER)
		return delete_by_filter(intake, op, error);
	delete_all(intake);
	return 0;
}
