/* Reads of a replica: get, list, and what a search shares with them. One read transaction a call. */
#include "shard/core/walk.h"

#include <stdlib.h>

struct located located_version(const struct version *version)
{
	return (struct located){.number = version->number, .key = version->key, .version = version};
}

struct located located_entry(struct disk_view *view, const struct disk_entry *entry)
{
	return (struct located){.number = entry->number, .key = entry->key, .view = view, .entry = *entry};
}

int replica_locate(const struct replica *replica, struct views *views, uint64_t number,
                   struct located *located, struct error *error)
{
	const struct version *version = replica_version(replica, number);
	struct disk_entry entry;
	struct disk_view *view;

	if (version != NULL) {
		*located = located_version(version);
		return 0;
	}
	if (views_number(views, number, &entry, &view, error) == 0) {
		*located = located_entry(view, &entry);
		return 0;
	}
	if (error->code == ERROR_NOT_FOUND)
		error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "document %llu is indexed but not stored",
		          (unsigned long long)number);
	return error->code;
}

int located_id(const struct located *located, struct slice *id, struct error *error)
{
	if (located->version == NULL)
		return disk_id(located->view, &located->entry, id, error);
	*id = located->version->id;
	return 0;
}

int located_body(const struct located *located, struct slice *body, struct error *error)
{
	if (located->version == NULL)
		return disk_body(located->view, &located->entry, body, error);
	*body = located->version->body;
	return 0;
}

static int document_copy(struct document *copy, const struct located *located, bool keys_only,
                         struct arena *arena, struct error *error)
{
	struct document made = {.key = located->key};
	struct slice id;
	struct slice body = slice_of("", 0);

	if (located_id(located, &id, error) != 0 || (!keys_only && located_body(located, &body, error) != 0))
		return error->code;
	if (!arena_copy(arena, id, &made.id) || !arena_copy(arena, body, &made.body))
		return error_memory(error, body.len);
	*copy = made;
	return 0;
}

int reading_begin(struct reading *reading, struct replica *replica, const struct document_request *request,
                  struct error *error)
{
	size_t limit = request->limit;

	if (limit > replica->now.documents)
		limit = (size_t)replica->now.documents;
	*reading = (struct reading){
		.replica = replica, .arena = request->arena, .limit = limit, .keys_only = request->keys_only};
	reading->page.documents = arena_alloc(request->arena, (limit + 1) * sizeof *reading->page.documents);
	if (reading->page.documents == NULL)
		return error_memory(error, limit * sizeof *reading->page.documents);
	if (kv_begin(replica->kv, false, &reading->txn, error) != 0)
		return error->code;
	views_init(&reading->views, reading->txn, &replica->manifest);
	return 0;
}

int reading_end(struct reading *reading, int rc, struct document_page *page, const struct error *error)
{
	if (reading->txn != NULL) {
		views_deinit(&reading->views);
		kv_abort(reading->txn);
	}
	if (rc != 0)
		return replica_failed(reading->replica, error);
	*page = reading->page;
	return 0;
}

int reading_add(struct reading *reading, const struct located *located, uint32_t score, struct error *error)
{
	struct document_page *page = &reading->page;

	if (document_copy(&page->documents[page->count], located, reading->keys_only, reading->arena,
	                  error) != 0)
		return error->code;
	page->documents[page->count++].score = score;
	return 0;
}

static int get_stored(struct replica *replica, struct slice id, struct arena *arena,
                      struct document *document, struct error *error)
{
	struct located located;
	struct disk_entry entry;
	struct disk_view *view;
	struct views views;
	struct kv_txn *txn;
	int rc;

	if (kv_begin(replica->kv, false, &txn, error) != 0)
		return error->code;
	views_init(&views, txn, &replica->manifest);
	rc = views_find(&views, id, &entry, &view, error);
	if (rc == 0 && postings_contains(&replica->deleted, entry.number))
		rc = error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "its newest version is dead");
	if (rc == 0) {
		located = located_entry(view, &entry);
		rc = document_copy(document, &located, false, arena, error);
	}
	views_deinit(&views);
	kv_abort(txn);
	return rc;
}

static int not_found(struct slice id, struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "document %.*s not found",
	                 SLICE_ARGS(id));
}

int replica_get(struct replica *replica, struct slice id, bool stale_ok, struct arena *arena,
                struct document *document, struct error *error)
{
	const struct version *version;

	if (replica_check_serving(replica, stale_ok, error) != 0)
		return error->code;
	if (id.len == 0 || id.len > RECORD_ID_BYTES_MAX)
		return not_found(id.len == 0 ? id : slice_of(id.ptr, 64), error);
	version = overlay_get(replica, id);
	if (version != NULL) {
		struct located located = located_version(version);

		if (version->kind != OP_KIND_PUT || postings_contains(&replica->deleted, version->number))
			return not_found(id, error);
		return document_copy(document, &located, false, arena, error);
	}
	if (get_stored(replica, id, arena, document, error) == 0)
		return 0;
	if (error->code == ERROR_NOT_FOUND)
		return not_found(id, error);
	return replica_failed(replica, error);
}

int reading_list(struct reading *reading, uint64_t offset, struct error *error)
{
	struct located located;
	struct walk *walk;
	int rc = 0;

	reading->page.total = reading->replica->now.documents;
	if (walk_open(reading->replica, &reading->views, &walk, error) != 0)
		return error->code;
	while (reading->page.count < reading->limit && (rc = walk_next(walk, &located, error)) > 0) {
		if (offset > 0) {
			offset--;
			continue;
		}
		rc = reading_add(reading, &located, 0, error);
		if (rc != 0)
			break;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

int replica_list(struct replica *replica, const struct document_request *request, struct document_page *page,
                 struct error *error)
{
	struct reading reading;
	int rc;

	if (replica_check_serving(replica, request->stale_ok, error) != 0)
		return error->code;
	rc = reading_begin(&reading, replica, request, error);
	if (rc == 0)
		rc = reading_list(&reading, request->offset, error);
	return reading_end(&reading, rc, page, error);
}
