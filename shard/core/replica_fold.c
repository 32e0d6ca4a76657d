/* The fold: what each operation of a range makes of its document. */
#include "shard/core/intake.h"

#include "shared/base/knockout.h"

#include <stdlib.h>

/* Alignment of the two copies of one version in its chunk's arena. */
#define VERSION_SLACK_BYTES 32
#define SCRATCH_BYTES_KEPT (64U * 1024)
#define MERGING_BLOCK_BYTES (64U * 1024)

/* A document as the operations before the one at hand left it. */
struct found {
	struct touched *touched; /* NULL: the range has not touched it yet */
	bool exists;
	struct insertion_key key;
	const struct version *version; /* in memory; NULL: on disk, or nowhere */
	struct disk_view *view;
	struct disk_entry entry; /* on disk */
};

int intake_open(struct intake *intake, struct replica *replica, const struct range *range,
                struct error *error)
{
	size_t len = range->ops_len;

	*intake = (struct intake){.replica = replica, .now = replica->now};
	postings_init(&intake->killed);
	arena_init(&intake->merging, MERGING_BLOCK_BYTES);
	if (len > range->ops.len)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "a range of %zu bytes with %zu operations", range->ops.len, len);
	intake->touched = malloc((len + 1) * sizeof *intake->touched);
	intake->chunk = chunk_new(len, 1);
	if (intake->touched == NULL || intake->chunk == NULL)
		return error_memory(error, range->ops.len);
	return 0;
}

int intake_views(struct intake *intake, struct views **views, struct error *error)
{
	struct replica *replica = intake->replica;

	if (intake->txn == NULL) {
		if (kv_begin(replica->kv, false, &intake->txn, error) != 0)
			return error->code;
		views_init(&intake->views, intake->txn, &replica->manifest->manifest);
	}
	*views = &intake->views;
	return 0;
}

static void overlay_restore(struct intake *intake)
{
	while (intake->chunk->len-- > 0) {
		const struct version *before = intake->touched[intake->chunk->len].before;

		if (before == NULL)
			map_remove(&intake->replica->overlay, intake->chunk->versions[intake->chunk->len].id);
		else
			overlay_set(intake->replica, before);
	}
	intake->chunk->len = 0;
}

/* What the range needed is given back where it is much: an idle replica is small. */
void intake_close(struct intake *intake)
{
	struct buffer *scratch = &intake->replica->scratch;
	size_t len = intake->chunk == NULL ? 0 : intake->chunk->len;

	for (size_t i = 0; i < len; i++)
		free(intake->touched[i].merged);
	if (intake->chunk != NULL)
		overlay_restore(intake);
	if (intake->txn != NULL) {
		views_deinit(&intake->views);
		kv_abort(intake->txn);
	}
	dictionary_builder_clear(intake->replica->builder);
	if (intake->has_keys)
		dictionary_builder_clear(intake->replica->keys);
	if (scratch->size > SCRATCH_BYTES_KEPT) {
		buffer_deinit(scratch);
		buffer_init(scratch, STORED_VALUE_BYTES_MAX);
	}
	chunk_release(intake->chunk);
	arena_deinit(&intake->merging);
	postings_deinit(&intake->killed);
	notes_free(intake->notes);
	free(intake->touched);
}

/* The range's own version of an id, if it has touched it. */
static struct touched *touched_of(const struct intake *intake, const struct version *version)
{
	const struct chunk *chunk = intake->chunk;
	uintptr_t first = (uintptr_t)chunk->versions;
	uintptr_t at = (uintptr_t)version;

	if (at < first || at >= first + chunk->len * sizeof chunk->versions[0])
		return NULL;
	return &intake->touched[version - chunk->versions];
}

/* A number that is deleted is that of no document, wherever it is still listed. */
static int document_find(struct intake *intake, struct slice id, struct found *found, struct error *error)
{
	struct replica *replica = intake->replica;
	const struct version *version = overlay_get(replica, id);
	struct views *views = NULL;

	*found = (struct found){.touched = touched_of(intake, version), .version = version};
	if (version != NULL) {
		found->exists =
			version->kind == OP_KIND_PUT &&
			(found->touched != NULL || !postings_contains(&replica->deleted, version->number));
		found->key = version->key;
		return 0;
	}
	if (intake_views(intake, &views, error) == 0 &&
	    views_find(views, id, &found->entry, &found->view, error) == 0) {
		found->exists = !postings_contains(&replica->deleted, found->entry.number);
		found->key = found->entry.key;
		return 0;
	}
	return error->code == ERROR_NOT_FOUND ? 0 : error->code;
}

static int body_find(const struct found *found, struct slice *body, struct error *error)
{
	if (found->version == NULL)
		return disk_body(found->view, &found->entry, body, error);
	*body = found->version->body;
	return 0;
}

static struct previous previous_of(const struct found *found)
{
	const struct version *version = found->version;

	if (version == NULL)
		return (struct previous){found->entry.number, found->entry.digest, found->entry.body_bytes};
	return (struct previous){version->number, version->digest, version->body.len};
}

/* Makes `made` what the range has of its id. Takes `merged`, unless it fails. */
static int version_set(struct intake *intake, const struct found *found, const struct version *made,
                       uint8_t *merged, struct error *error)
{
	struct chunk *chunk = intake->chunk;
	struct version *version = &chunk->versions[chunk->len];

	if (found->touched != NULL) {
		struct slice id = chunk->versions[found->touched - intake->touched].id;

		version = &chunk->versions[found->touched - intake->touched];
		*version = *made;
		version->id = id;
		free(found->touched->merged);
		found->touched->merged = merged;
		return 0;
	}
	*version = *made;
	intake->touched[chunk->len] = (struct touched){.before = found->version,
	                                               .existed = found->exists,
	                                               .previous = previous_of(found),
	                                               .merged = merged};
	if (!overlay_set(intake->replica, version))
		return error_memory(error, sizeof *version);
	chunk->len++;
	return 0;
}

/* The document merged with the operation's body; an outcome beyond the rules' limit leaves what was there. */
static int merge_apply(struct intake *intake, const struct op *op, const struct found *found,
                       struct error *error)
{
	struct version made = {.offset = op->offset, .kind = OP_KIND_PUT, .key = found->key, .id = op->id};
	struct slice existing;
	struct slice merged;
	uint8_t *copy;

	if (body_find(found, &existing, error) != 0 ||
	    record_merge(existing, op->body, &intake->merging, &merged, error) != 0)
		return error->code;
	if (merged.len > intake->replica->identity.document_bytes_max) {
		intake->merges_too_large++;
		arena_clear(&intake->merging);
		return 0;
	}
	copy = malloc(merged.len);
	if (copy == NULL)
		return error_memory(error, merged.len);
	memcpy(copy, merged.ptr, merged.len);
	made.body = slice_of(copy, merged.len);
	arena_clear(&intake->merging);
	if (version_set(intake, found, &made, copy, error) != 0) {
		free(copy);
		return error->code;
	}
	return 0;
}

static bool is_merge(enum op_kind kind)
{
	return kind == OP_KIND_MERGE || kind == OP_KIND_MERGE_IF_EXISTS;
}

static bool is_creating(enum op_kind kind)
{
	return kind == OP_KIND_PUT || kind == OP_KIND_MERGE;
}

static int op_apply(struct intake *intake, const struct op *op, struct error *error)
{
	struct version made = {.offset = op->offset, .kind = OP_KIND_PUT, .id = op->id, .body = op->body};
	struct found found;

	if (op_kind_is_barrier(op->kind))
		return intake_barrier(intake, op, error);
	if (document_find(intake, op->id, &found, error) != 0)
		return error->code;
	if (!found.exists && !is_creating(op->kind))
		return 0;
	if (found.exists && is_merge(op->kind))
		return merge_apply(intake, op, &found, error);
	if (op->kind == OP_KIND_DELETE)
		made.kind = OP_KIND_DELETE;
	made.key = found.exists && !op->fresh ? found.key : op->key;
	return version_set(intake, &found, &made, NULL, error);
}

/* Order and count of the operations are what the arrays were sized by; a barrier beside others is no range. */
static int op_check(const struct range *range, const struct op *op, size_t seen, int64_t last,
                    struct error *error)
{
	if (seen == range->ops_len || op->offset <= last)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "range [%lld, %lld): more operations than announced, or out of order at "
		                 "offset %lld",
		                 (long long)range->from, (long long)range->to, (long long)op->offset);
	if (op_kind_is_barrier(op->kind) && range->ops_len != 1)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "range [%lld, %lld): a barrier at offset %lld with other operations",
		                 (long long)range->from, (long long)range->to, (long long)op->offset);
	return 0;
}

int intake_fold(struct intake *intake, const struct range *range, struct error *error)
{
	int64_t last = range->from - 1;
	size_t seen = 0;
	size_t at = 0;
	struct op op;
	int rc;

	while ((rc = range_next(range, &at, &op, error)) > 0) {
		if (op_check(range, &op, seen, last, error) != 0)
			return error->code;
		seen++;
		last = op.offset;
		if (op.offset < intake->replica->now.received && !KNOCKOUT(OFFSET_FILTER))
			continue;
		if (op_apply(intake, &op, error) != 0)
			return error->code;
		intake->applied++;
		if (KNOCKOUT(RANGE_END))
			intake->now.received = op.offset + 1;
	}
	return rc;
}

int intake_note(struct intake *intake, const struct range *range, struct error *error)
{
	bool keeps = intake->replica->identity.dedup_window > 0;
	struct identity_entry identity;
	struct origin_entry origin;
	int64_t skipped;
	size_t at = 0;

	while (range_next_skipped(range, &at, &skipped))
		intake->skipped += skipped >= intake->replica->now.received;
	if ((!keeps || range->identities.len == 0) && range->origins.len == 0)
		return 0;
	intake->notes = notes_new(range, intake->replica->now.received, keeps);
	if (intake->notes == NULL)
		return error_memory(error, range->identities.len + range->origins.len);
	at = 0;
	while (notes_next_identity(intake->notes, &at, &identity))
		intake->now.identity_last = identity.offset;
	at = 0;
	while (notes_next_origin(intake->notes, &at, &origin))
		intake->now.has_origins = true;
	return 0;
}

static bool collect_word(void *context, struct slice word, struct place place)
{
	struct intake *intake = context;

	return dictionary_builder_add(intake->replica->builder, word, intake->number, place);
}

static bool collect_beside(void *context, struct slice key, struct place place)
{
	struct intake *intake = context;

	intake->has_keys = true;
	return dictionary_builder_add(intake->replica->keys, key, intake->number, place);
}

static bool collect_key(void *context, struct slice key)
{
	return collect_beside(context, key, (struct place){0, 0});
}

static void previous_leave(struct intake *intake, const struct previous *previous)
{
	postings_add(&intake->killed, previous->number);
	hash128_subtract(&intake->now.digest, previous->digest);
	intake->now.documents--;
	intake->now.body_bytes -= previous->body_bytes;
}

/* The put becomes a live document: number, digest, counts, words. */
static int version_enter(struct intake *intake, struct version *version, struct error *error)
{
	struct replica *replica = intake->replica;
	struct words_sink sink = {collect_word, intake};
	struct values_sink keys = {collect_key, intake};
	struct words_sink placed = {collect_beside, intake};
	struct words_beside beside = {.attributes = &replica->attributes->attributes,
	                              .cuttings = &replica->cuttings,
	                              .own = replica->cuttings.list[0]->digest,
	                              .fields = replica->fields};

	version->number = intake->now.number_next;
	version->digest = document_digest(replica->identity.index_id, version->id, version->body,
	                                  version->key, &replica->scratch);
	if (buffer_failed(&replica->scratch))
		return error_memory(error, version->body.len);
	intake->number = version->number;
	if (words_of_body(replica->words, replica->cuttings.list[0]->rules, version->body, replica->fields,
	                  &sink, error) != 0 ||
	    words_beside_of_body(replica->words, &beside, version->body, &placed, error) != 0 ||
	    values_of_body(words_text(replica->words), version->body, beside.attributes, &keys, error) != 0)
		return error->code;
	intake->now.number_next++;
	intake->now.documents++;
	intake->now.body_bytes += version->body.len;
	hash128_add(&intake->now.digest, version->digest);
	return 0;
}

/* The version's own copies; the overlay's key moves to them. */
static int version_copy(struct intake *intake, struct version *version, struct touched *touched,
                        struct error *error)
{
	struct slice id;
	struct slice body = version->body;

	if (version->kind != OP_KIND_PUT)
		body = slice_of("", 0);
	if (!arena_copy(&intake->chunk->arena, version->id, &id) ||
	    !arena_copy(&intake->chunk->arena, body, &version->body))
		return error_memory(error, body.len);
	version->id = id;
	overlay_set(intake->replica, version); /* it is there already */
	free(touched->merged);
	touched->merged = NULL;
	return 0;
}

int intake_settle(struct intake *intake, struct error *error)
{
	struct chunk *chunk = intake->chunk;
	size_t bytes = 0;

	for (size_t i = 0; i < chunk->len; i++)
		bytes += chunk->versions[i].id.len + chunk->versions[i].body.len + VERSION_SLACK_BYTES;
	arena_deinit(&chunk->arena);
	arena_init(&chunk->arena, bytes);
	for (size_t i = 0; i < chunk->len; i++) {
		struct version *version = &chunk->versions[i];

		if (version_copy(intake, version, &intake->touched[i], error) != 0)
			return error->code;
		if (intake->touched[i].existed)
			previous_leave(intake, &intake->touched[i].previous);
		if (version->kind == OP_KIND_PUT && version_enter(intake, version, error) != 0)
			return error->code;
	}
	return 0;
}
