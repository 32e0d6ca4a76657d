/* Reads of a snapshot: get, list, and what a search shares with them. One read transaction a call. */
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

int reading_locate(struct reading *reading, uint64_t number, struct located *located, struct error *error)
{
	const struct snapshot *snapshot = reading->snapshot;
	const struct segment *segment = segments_covering(snapshot->segments, snapshot->segments_len, number);
	struct disk_entry entry;
	struct disk_view *view;

	if (segment != NULL) {
		*located = located_version(segment_version(segment, number));
		return 0;
	}
	if (views_number(&reading->views, number, &entry, &view, error) == 0) {
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

int reading_open(struct reading *reading, const struct snapshot *snapshot, struct error *error)
{
	*reading = (struct reading){.snapshot = snapshot};
	if (kv_begin(snapshot->kv, false, &reading->txn, error) != 0)
		return error->code;
	views_init(&reading->views, reading->txn, &snapshot->manifest->manifest);
	return 0;
}

int reading_page(struct reading *reading, size_t limit, struct error *error)
{
	reading->limit = limit;
	reading->page.count = 0;
	reading->page.documents = arena_alloc(reading->arena, (limit + 1) * sizeof *reading->page.documents);
	reading->numbers = arena_alloc(reading->arena, (limit + 1) * sizeof *reading->numbers);
	if (reading->page.documents == NULL || reading->numbers == NULL)
		return error_memory(error, limit * sizeof *reading->page.documents);
	return 0;
}

void reading_end(struct reading *reading)
{
	if (reading->txn == NULL)
		return;
	views_deinit(&reading->views);
	kv_abort(reading->txn);
}

int reading_add(struct reading *reading, const struct located *located, struct error *error)
{
	struct document_page *page = &reading->page;

	if (document_copy(&page->documents[page->count], located, reading->keys_only, reading->arena,
	                  error) != 0)
		return error->code;
	reading->numbers[page->count] = located->number;
	page->count++;
	return 0;
}

static int not_found(struct slice id, struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "document %.*s not found",
	                 SLICE_ARGS(id));
}

/* What was found of the id is the newest of it: if that is dead, there is none. */
static int get_copy(const struct snapshot *snapshot, struct slice id, const struct located *located,
                    struct arena *arena, struct document *document, struct error *error)
{
	if (postings_contains(&snapshot->deleted, located->number))
		return not_found(id, error);
	return document_copy(document, located, false, arena, error);
}

static int get_stored(const struct snapshot *snapshot, struct slice id, struct arena *arena,
                      struct document *document, struct error *error)
{
	struct reading reading;
	struct located located;
	struct disk_entry entry;
	struct disk_view *view;
	int rc = reading_open(&reading, snapshot, error);

	if (rc == 0)
		rc = views_find(&reading.views, id, &entry, &view, error);
	if (rc == 0) {
		located = located_entry(view, &entry);
		rc = get_copy(snapshot, id, &located, arena, document, error);
	} else if (rc == ERROR_NOT_FOUND) {
		rc = not_found(id, error);
	}
	reading_end(&reading);
	return rc;
}

int snapshot_get(const struct snapshot *snapshot, struct slice id, struct arena *arena,
                 struct document *document, struct error *error)
{
	if (id.len == 0 || id.len > RECORD_ID_BYTES_MAX)
		return not_found(id.len == 0 ? id : slice_of(id.ptr, 64), error);
	for (size_t i = snapshot->segments_len; i-- > 0;) {
		const struct version *version = segment_find(snapshot->segments[i], id);

		if (version != NULL) {
			struct located located = located_version(version);

			return get_copy(snapshot, id, &located, arena, document, error);
		}
	}
	return get_stored(snapshot, id, arena, document, error);
}

int reading_list(struct reading *reading, uint64_t offset, struct error *error)
{
	struct located located;
	struct walk *walk;
	int rc = 0;

	reading->page.total = reading->snapshot->documents;
	if (walk_open(reading, NULL, &walk, error) != 0)
		return error->code;
	while (reading->page.count < reading->limit && (rc = walk_next(walk, &located, error)) > 0) {
		if (offset > 0) {
			offset--;
			continue;
		}
		rc = reading_add(reading, &located, error);
		if (rc != 0)
			break;
	}
	walk_close(walk);
	return rc < 0 ? rc : 0;
}

/* With room for the documents asked for, at most as many as there are. */
static int reading_begin(struct reading *reading, const struct snapshot *snapshot,
                         const struct document_request *request, struct error *error)
{
	size_t limit = request->limit;

	if (reading_open(reading, snapshot, error) != 0)
		return error->code;
	if (limit > snapshot->documents)
		limit = (size_t)snapshot->documents;
	reading->arena = request->arena;
	reading->keys_only = request->keys_only;
	return reading_page(reading, limit, error);
}

int snapshot_list(const struct snapshot *snapshot, const struct document_request *request,
                  struct document_page *page, struct error *error)
{
	struct reading reading;
	int rc = reading_begin(&reading, snapshot, request, error);

	if (rc == 0)
		rc = reading_list(&reading, request->offset, error);
	if (rc == 0)
		*page = reading.page;
	reading_end(&reading);
	return rc;
}
