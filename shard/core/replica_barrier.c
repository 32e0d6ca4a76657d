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

	return text_fold(words_text(pass->intake->replica->words), text, folded, pass->error) == 0;
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

static int entry_pass(struct pass *pass, struct disk_view *view, const struct disk_entry *entry)
{
	struct slice body;
	bool matches;

	if (postings_contains(&pass->intake->replica->deleted, entry->number))
		return 0;
	if (disk_body(view, entry, &body, pass->error) != 0 || body_matches(pass, body, &matches) != 0)
		return pass->error->code;
	if (matches)
		kill(pass->intake, entry->number, entry->digest, entry->body_bytes);
	return 0;
}

static int disk_pass(struct pass *pass, size_t segment)
{
	struct error *error = pass->error;
	struct disk_view *view;
	struct disk_entry entry;
	struct views *views = NULL;

	if (intake_views(pass->intake, &views, error) != 0 || views_at(views, segment, &view, error) != 0)
		return error->code;
	for (uint32_t place = 0; place < disk_view_segment(view)->documents; place++)
		if (disk_entry_at(view, place, &entry, error) != 0 || entry_pass(pass, view, &entry) != 0)
			return error->code;
	return 0;
}

static int pass_run(struct pass *pass)
{
	const struct replica *replica = pass->intake->replica;

	for (size_t i = 0; i < replica->segments_len; i++)
		if (segment_pass(pass, replica->segments[i]) != 0)
			return pass->error->code;
	for (size_t i = 0; i < replica->manifest->manifest.segments_len; i++)
		if (disk_pass(pass, i) != 0)
			return pass->error->code;
	return 0;
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

/* Every number that was ever given. */
static void delete_all(struct intake *intake)
{
	intake->cleared_below = intake->now.number_next;
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
