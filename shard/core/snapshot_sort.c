#include "shard/core/snapshot_sort.h"

#include "shard/core/values_sources.h"
#include "shard/core/words.h"

#include "shared/filter/filter_value.h"

/* Of a folded string, as in values.c. */
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)

/* One call. */
struct sorting {
	const struct sort_request *request;
	struct reading reading;
	struct values_sources sources;
	struct sort_entry *entries;
	size_t len;
	size_t left; /* entries without a value */
	uint64_t bodies;
};

static int number_compare(double a, double b)
{
	return (a > b) - (a < b);
}

int sort_value_compare(const struct sort_value *a, const struct sort_value *b, bool falling)
{
	int order = 0;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == SORT_KIND_NUMBER)
		order = number_compare(a->number, b->number);
	else if (a->kind == SORT_KIND_STRING)
		order = slice_compare(a->text, b->text);
	return falling ? -order : order;
}

/* Whether a document with `held` takes another value. */
static bool value_is_better(const struct sorting *sorting, const struct sort_value *value,
                            const struct sort_value *held)
{
	return sort_value_compare(value, held, sorting->request->falling) < 0;
}

/* The first entry at or above `number`, from `from` on: in steps that double, because lists rise. */
static size_t entry_seek(const struct sorting *sorting, size_t from, uint64_t number)
{
	size_t step = 1;
	size_t low = from;
	size_t high;

	while (low + step < sorting->len && sorting->entries[low + step].number < number) {
		low += step;
		step *= 2;
	}
	high = low + step < sorting->len ? low + step + 1 : sorting->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorting->entries[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The key's text, copied when first a document takes it. */
struct offer {
	struct sort_value value;
	bool is_copied;
};

static int entry_offer(struct sorting *sorting, struct sort_entry *entry, struct offer *offer,
                       struct error *error)
{
	if (!value_is_better(sorting, &offer->value, &entry->value))
		return 0;
	if (!offer->is_copied && !arena_copy(sorting->request->arena, offer->value.text, &offer->value.text))
		return error_memory(error, offer->value.text.len);
	offer->is_copied = true;
	if (entry->value.kind == SORT_KIND_NONE)
		sorting->left--;
	entry->value = offer->value;
	return 0;
}

/* Offers the key at hand to each document that has it. */
static int source_offer(struct sorting *sorting, struct value_source *source, struct error *error)
{
	struct posting_cursor cursor;
	struct posting_list list;
	struct offer offer = {.value = {.kind = SORT_KIND_NUMBER}};
	struct value value;
	uint64_t number;
	size_t at = 0;
	int rc;

	(void)value_read(source->key, &value);
	if (value.kind == VALUE_KIND_STRING) {
		offer.value = (struct sort_value){.kind = SORT_KIND_STRING, .text = value.text};
		if (value.text.len == 0)
			return 0;
	}
	offer.value.number = value.number;
	if (value_source_list(&sorting->sources, source, &list, error) != 0 ||
	    watch_step(sorting->request->watch, list.count, error) != 0)
		return error->code;
	posting_cursor_init(&cursor, &list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		at = entry_seek(sorting, at, number);
		if (at == sorting->len)
			return 0;
		if (sorting->entries[at].number == number &&
		    entry_offer(sorting, &sorting->entries[at], &offer, error) != 0)
			return error->code;
	}
	return rc;
}

/* A document is in one source, so that none of them waits for another. */
static int sources_offer(struct sorting *sorting, uint16_t attribute, struct error *error)
{
	struct value_range range;

	value_range_scalars(&range, attribute);
	for (size_t i = 0; i < sorting->sources.len; i++) {
		struct value_source *source = &sorting->sources.list[i];
		int rc = value_source_seek(&sorting->sources, source, &range, error);

		while (rc == 0 && source->has_key && (sorting->left > 0 || sorting->request->falling)) {
			rc = source_offer(sorting, source, error);
			if (rc == 0)
				rc = value_source_next(source, error);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---- strings longer than a key: the best one of a body ---- */

struct choosing {
	struct sorting *sorting;
	struct filter_fold fold;
	struct buffer scratch;
	struct sort_value best;
	bool failed;
	struct error *error;
};

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct choosing *choosing = context;

	return text_fold(words_text(choosing->sorting->request->words), text, folded, choosing->error) == 0;
}

static bool scalar_choose(void *context, yyjson_val *scalar)
{
	struct choosing *choosing = context;
	struct sort_value value = {.kind = SORT_KIND_STRING};

	if (yyjson_is_raw(scalar))
		return false;
	choosing->failed = !filter_value_text(scalar, &choosing->fold, &choosing->scratch, &value.text);
	if (!choosing->failed && value.text.len > 0 &&
	    value_is_better(choosing->sorting, &value, &choosing->best)) {
		choosing->best = value;
		choosing->failed =
			!arena_copy(choosing->sorting->request->arena, value.text, &choosing->best.text);
	}
	return choosing->failed;
}

static bool reached_choose(void *context, yyjson_val *reached)
{
	struct filter_visitor visitor = {scalar_choose, context};

	return filter_scalars(reached, &visitor);
}

static int body_choose(struct choosing *choosing, struct slice body, struct error *error)
{
	struct filter_visitor visitor = {reached_choose, choosing};
	yyjson_doc *doc;

	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	choosing->best = (struct sort_value){.kind = SORT_KIND_NONE};
	(void)filter_reach(yyjson_doc_get_root(doc), choosing->sorting->request->path, &visitor);
	yyjson_doc_free(doc);
	return choosing->failed ? error_memory(error, body.len) : 0;
}

/* Entries whose string is so long that it, or one that begins like it, may have been cut. */
static int cut_choose(struct sorting *sorting, struct error *error)
{
	struct choosing choosing = {.sorting = sorting, .fold = {append_folded, &choosing}, .error = error};
	int rc = 0;

	buffer_init(&choosing.scratch, SCRATCH_BYTES_MAX);
	for (size_t i = 0; rc == 0 && i < sorting->len; i++) {
		struct sort_entry *entry = &sorting->entries[i];
		struct located located;
		struct slice body;

		if (entry->value.kind != SORT_KIND_STRING || entry->value.text.len < VALUE_TEXT_BYTES_MAX)
			continue;
		sorting->bodies++;
		if (watch_step(sorting->request->watch, WATCH_BODY, error) != 0) {
			rc = error->code;
			break;
		}
		rc = reading_locate(&sorting->reading, entry->number, &located, error);
		if (rc == 0)
			rc = located_body(&located, &body, error);
		if (rc == 0)
			rc = body_choose(&choosing, body, error);
		entry->value = choosing.best;
	}
	buffer_deinit(&choosing.scratch);
	return rc;
}

static int entries_make(struct sorting *sorting, struct error *error)
{
	const struct postings *within = sorting->request->within;
	uint64_t number;

	sorting->left = (size_t)postings_count(within);
	sorting->entries =
		arena_alloc(sorting->request->arena, (sorting->left + 1) * sizeof *sorting->entries);
	if (sorting->entries == NULL)
		return error_memory(error, sorting->left * sizeof *sorting->entries);
	for (uint64_t from = 0; postings_next(within, from, &number); from = number + 1)
		sorting->entries[sorting->len++] =
			(struct sort_entry){.number = number, .value = {.kind = SORT_KIND_NONE}};
	return 0;
}

int snapshot_sort(const struct snapshot *snapshot, const struct sort_request *request,
                  struct sort_entry **entries, uint64_t *bodies, struct error *error)
{
	struct values_wish wish = {request->words, request->path, request->within, request->watch};
	struct sorting sorting = {.request = request};
	uint16_t attribute;
	int rc = reading_open(&sorting.reading, snapshot, error);

	if (rc == 0)
		rc = values_sources_init(&sorting.sources, snapshot, sorting.reading.txn, error);
	if (rc == 0)
		rc = values_sources_complete(&sorting.sources, &sorting.reading, &wish, &attribute,
		                             &sorting.bodies, error);
	if (rc == 0)
		rc = entries_make(&sorting, error);
	if (rc == 0)
		rc = sources_offer(&sorting, attribute, error);
	if (rc == 0)
		rc = cut_choose(&sorting, error);
	if (rc == 0) {
		*entries = sorting.entries;
		*bodies += sorting.bodies;
	}
	values_sources_deinit(&sorting.sources);
	reading_end(&sorting.reading);
	return rc;
}
