/*
 * oracle_facets DIRECTORY: three replicas of one index in DIRECTORY, for
 * facets_cases.py. A line is a JSON object:
 *
 *   {"settings":{…}}                                    as PATCH /settings has them
 *   {"attributes":[path…]}                              whose values are kept from here on
 *   {"documents":[…],"shard":S,"batch":N,"store":B}     feeds them, N a range, and stores and merges if B
 *   {"ask":NAME,"filter":…,…}  of the documents that the filter matches:
 *     "ids"                        → [id…]
 *     "facets","patterns":[…]      → the object of search_facets.h
 *     "search","path","query"      → the list
 *     "sort","path","falling":B    → {id: number, string or null…}
 *     "points","lat","lng"         → {id: [lat, lng, metres] or null…}
 */
#include "tests/oracle/search_bed.h"

#include "shard/core/reading.h"
#include "shard/core/search_facets.h"
#include "shard/core/snapshot_filter.h"
#include "shard/core/snapshot_points.h"
#include "shard/core/snapshot_sort.h"
#include "shard/core/words.h"

#define SHARDS 3
#define PATHS_MAX 64
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

struct index {
	struct bed beds[SHARDS];
	struct words *words;
	struct arena settings_arena;
	struct settings *settings;
	uint64_t version; /* of attributes */
};

/* What one line asks. */
struct asking {
	struct index *index;
	yyjson_val *line;
	struct arena arena;
	struct snapshot *snapshots[SHARDS];
	struct postings found[SHARDS];
	struct buffer json;
};

static struct slice text_of(yyjson_val *object, const char *name)
{
	return json_string(yyjson_obj_get(object, name));
}

static double number_of(yyjson_val *object, const char *name)
{
	struct slice raw = json_raw_number(yyjson_obj_get(object, name));

	return raw.ptr == NULL ? 0 : strtod((const char *)raw.ptr, NULL);
}

static size_t paths_of(yyjson_val *list, struct slice paths[PATHS_MAX])
{
	size_t len = yyjson_arr_size(list);

	if (len > PATHS_MAX)
		fail("line", "has too many paths");
	for (size_t i = 0; i < len; i++)
		paths[i] = json_string(yyjson_arr_get(list, i));
	return len;
}

/* ---- what is asked about ---- */

static void settings_set(struct index *index, yyjson_val *sent)
{
	struct settings_request request = {.reset = false};
	struct settings_refusal refusal = {.code = ""};
	struct buffer record;
	struct buffer body;
	struct error error;

	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	buffer_init(&body, SETTINGS_RECORD_BYTES_MAX);
	if (json_append_value(&body, sent, &error) != 0)
		fail("settings", error.text);
	request.body = buffer_slice(&body);
	if (settings_change(settings_default(), &request, &record, &refusal) != 0)
		fail("settings", refusal.text);
	if (settings_parse(buffer_slice(&record), &index->settings_arena, &index->settings, &error) != 0)
		fail("settings", error.text);
	buffer_deinit(&record);
	buffer_deinit(&body);
}

static void attributes_set(struct index *index, yyjson_val *list)
{
	struct slice paths[PATHS_MAX];
	size_t len = paths_of(list, paths);
	struct error error;

	index->version++;
	for (size_t i = 0; i < SHARDS; i++)
		if (replica_attributes_set(index->beds[i].replica, index->version, paths, len, &error) != 0)
			fail("attributes", error.text);
}

static void document_add(struct bed *bed, struct memtable *memtable, yyjson_val *document)
{
	struct buffer body;
	struct error error;

	buffer_init(&body, BATCH_BYTES_MAX);
	if (json_append_value(&body, document, &error) != 0)
		fail("document", error.text);
	bed_put(bed, memtable, text_of(document, "id"), buffer_slice(&body));
	buffer_deinit(&body);
}

static void documents_feed(struct bed *bed, yyjson_val *line)
{
	yyjson_val *documents = yyjson_obj_get(line, "documents");
	size_t batch = (size_t)number_of(line, "batch");

	for (size_t i = 0, len = yyjson_arr_size(documents); i < len;) {
		struct memtable *memtable = memtable_new(bed->offset);

		for (size_t end = i + batch; i < end && i < len; i++)
			document_add(bed, memtable, yyjson_arr_get(documents, i));
		bed_receive(bed, memtable);
		memtable_free(memtable);
		(void)replica_merge(bed->replica);
	}
	if (yyjson_get_bool(yyjson_obj_get(line, "store")))
		bed_store(bed);
}

/* ---- answers ---- */

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	return text_fold(words_text(context), text, folded, &error) == 0;
}

static void filter_ask(struct asking *asking)
{
	struct filter_fold fold = {append_folded, asking->index->words};
	yyjson_val *sent = yyjson_obj_get(asking->line, "filter");
	struct filter_cost cost = {0};
	struct filter_refusal refusal;
	struct filter *filter = NULL;
	struct buffer json;
	struct error error;

	buffer_init(&json, FILTER_EXPRESSION_BYTES_MAX);
	if (sent != NULL &&
	    (json_append_value(&json, sent, &error) != 0 ||
	     filter_parse_search(buffer_slice(&json), &fold, &asking->arena, &filter, &refusal) != 0))
		fail("filter", refusal.text);
	for (size_t i = 0; i < SHARDS; i++)
		if (snapshot_filter(asking->snapshots[i], asking->index->words, filter, &asking->found[i],
		                    &cost, &error) != 0)
			fail("filter", error.text);
	buffer_deinit(&json);
}

/* The ids of what was found in a shard, by rising number. */
static void ids_of(struct asking *asking, size_t shard, struct slice *ids)
{
	struct reading reading;
	struct located located;
	struct error error;
	uint64_t number;
	struct slice id;

	if (reading_open(&reading, asking->snapshots[shard], &error) != 0)
		fail("ids", error.text);
	for (uint64_t from = 0; postings_next(&asking->found[shard], from, &number); from = number + 1)
		if (reading_locate(&reading, number, &located, &error) != 0 ||
		    located_id(&located, &id, &error) != 0 || !arena_copy(&asking->arena, id, ids++))
			fail("ids", error.text);
	reading_end(&reading);
}

static void sorted_append(struct asking *asking, size_t shard, const struct slice *ids)
{
	struct sort_request request = {.words = asking->index->words,
	                               .path = text_of(asking->line, "path"),
	                               .falling = yyjson_get_bool(yyjson_obj_get(asking->line, "falling")),
	                               .within = &asking->found[shard],
	                               .arena = &asking->arena};
	struct sort_entry *entries;
	struct error error;
	uint64_t bodies = 0;

	if (snapshot_sort(asking->snapshots[shard], &request, &entries, &bodies, &error) != 0)
		fail("sort", error.text);
	for (size_t i = 0, len = (size_t)postings_count(&asking->found[shard]); i < len; i++) {
		json_append_string(&asking->json, ids[i]);
		if (entries[i].value.kind == SORT_KIND_NUMBER)
			buffer_printf(&asking->json, ":%.17g,", entries[i].value.number);
		if (entries[i].value.kind == SORT_KIND_NONE)
			buffer_append_string(&asking->json, ":null,");
		if (entries[i].value.kind != SORT_KIND_STRING)
			continue;
		buffer_append_string(&asking->json, ":");
		json_append_string(&asking->json, entries[i].value.text);
		buffer_append_string(&asking->json, ",");
	}
}

static void points_append(struct asking *asking, size_t shard, const struct slice *ids)
{
	struct point from = {number_of(asking->line, "lat"), number_of(asking->line, "lng")};
	struct points points;
	struct error error;

	if (snapshot_points(asking->snapshots[shard], &asking->found[shard], &asking->arena, &points,
	                    &error) != 0)
		fail("points", error.text);
	for (size_t i = 0; i < points.len; i++) {
		const struct point *point = &points.list[i].point;

		json_append_string(&asking->json, ids[i]);
		if (points.list[i].has_point)
			buffer_printf(&asking->json, ":[%.17g,%.17g,%.0f],", point->lat, point->lng,
			              point_whole_metres(point_distance(&from, point)));
		else
			buffer_append_string(&asking->json, ":null,");
	}
}

/* {id: …}, or [id…]. */
static void documents_ask(struct asking *asking, struct slice asked)
{
	bool is_list = slice_equal(asked, slice_string("ids"));

	buffer_append_string(&asking->json, is_list ? "[" : "{");
	for (size_t shard = 0; shard < SHARDS; shard++) {
		size_t len = (size_t)postings_count(&asking->found[shard]);
		struct slice *ids = arena_alloc(&asking->arena, (len + 1) * sizeof *ids);

		if (ids == NULL)
			fail("ids", "out of memory");
		ids_of(asking, shard, ids);
		for (size_t i = 0; is_list && i < len; i++) {
			json_append_string(&asking->json, ids[i]);
			buffer_append_string(&asking->json, ",");
		}
		if (slice_equal(asked, slice_string("sort")))
			sorted_append(asking, shard, ids);
		if (slice_equal(asked, slice_string("points")))
			points_append(asking, shard, ids);
	}
	if (asking->json.ptr[asking->json.len - 1] == ',')
		asking->json.len--;
	buffer_append_string(&asking->json, is_list ? "]" : "}");
}

static void facets_ask(struct asking *asking, bool searches)
{
	struct facets_scope scope = {.words = asking->index->words,
	                             .settings = asking->index->settings,
	                             .snapshots = asking->snapshots,
	                             .counted = asking->found,
	                             .len = SHARDS};
	struct facet_search search = {.path = text_of(asking->line, "path"),
	                              .query = text_of(asking->line, "query")};
	struct slice paths[PATHS_MAX];
	struct settings_texts patterns = {paths, paths_of(yyjson_obj_get(asking->line, "patterns"), paths)};
	struct error error;
	int rc;

	search.has_query = search.query.ptr != NULL;
	rc = searches ? search_in_facet(&scope, &search, &asking->json, &error)
	              : search_facets(&scope, &patterns, &asking->json, &error);
	if (rc != 0)
		fail("facets", error.text);
}

static void ask(struct index *index, yyjson_val *line)
{
	struct asking asking = {.index = index, .line = line};
	struct slice asked = text_of(line, "ask");

	arena_init(&asking.arena, 65536);
	buffer_init(&asking.json, ANSWER_BYTES_MAX);
	for (size_t i = 0; i < SHARDS; i++) {
		asking.snapshots[i] = replica_snapshot(index->beds[i].replica);
		postings_init(&asking.found[i]);
	}
	filter_ask(&asking);
	if (slice_equal(asked, slice_string("facets")) || slice_equal(asked, slice_string("search")))
		facets_ask(&asking, slice_equal(asked, slice_string("search")));
	else
		documents_ask(&asking, asked);
	(void)printf("%.*s\n", SLICE_ARGS(buffer_slice(&asking.json)));
	for (size_t i = 0; i < SHARDS; i++) {
		postings_deinit(&asking.found[i]);
		snapshot_release(asking.snapshots[i]);
	}
	buffer_deinit(&asking.json);
	arena_deinit(&asking.arena);
}

static void line_obey(struct index *index, yyjson_val *line)
{
	if (yyjson_obj_get(line, "ask") != NULL) {
		ask(index, line);
		return;
	}
	if (yyjson_obj_get(line, "settings") != NULL)
		settings_set(index, yyjson_obj_get(line, "settings"));
	if (yyjson_obj_get(line, "attributes") != NULL)
		attributes_set(index, yyjson_obj_get(line, "attributes"));
	if (yyjson_obj_get(line, "documents") != NULL)
		documents_feed(&index->beds[(size_t)number_of(line, "shard")], line);
	(void)printf("{}\n");
}

static void index_open(struct index *index, const char *directory)
{
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		fail(directory, "cannot be made");
	for (size_t i = 0; i < SHARDS; i++) {
		char path[4096];

		(void)snprintf(path, sizeof path, "%s/%zu", directory, i);
		bed_open(&index->beds[i], path);
	}
	index->words = words_new();
	arena_init(&index->settings_arena, 65536);
	if (index->words == NULL)
		fail("words", "out of memory");
}

static void index_close(struct index *index)
{
	for (size_t i = 0; i < SHARDS; i++) {
		words_free(index->beds[i].words);
		replica_close(index->beds[i].replica);
	}
	words_free(index->words);
	arena_deinit(&index->settings_arena);
}

int main(int argc, char **argv)
{
	struct index index = {.version = 0};
	struct error error;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (argc != 2)
		fail("usage", "oracle_facets DIRECTORY");
	index_open(&index, argv[1]);
	while ((len = getline(&line, &size, stdin)) > 0) {
		yyjson_doc *doc;

		if (json_parse(slice_of((const uint8_t *)line, (size_t)len), JSON_DEPTH_MAX, &doc, &error) !=
		    0)
			fail("line", error.text);
		line_obey(&index, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
		(void)fflush(stdout);
	}
	free(line);
	index_close(&index);
	return 0;
}
