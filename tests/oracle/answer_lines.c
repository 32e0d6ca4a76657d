/*
 * oracle_answer DIRECTORY: shards of an index, and what a node says of them, a JSON object a line (node_answers.py).
 *
 *   {"settings": what PATCH /settings takes, "documents": [[id, document], …], "shards": N, "batch": N, "store": B}
 *     a new index whose i-th document goes to shard i modulo N, N in a range; half of them are stored if B  → {}
 *   {"question": …}  → the reply, or {"error": text}
 */
#include "shard/core/search_reply.h"

#include "tests/oracle/search_bed.h"

#include <inttypes.h>

#define SHARDS_MAX 4
#define PATH_BYTES_MAX 4096
#define REPLY_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct world {
	const char *directory;
	unsigned number; /* of the index */
	struct bed beds[SHARDS_MAX];
	struct snapshot *snapshots[SHARDS_MAX];
	size_t len;
	struct search_settings *settings;
	struct words *words;
};

static void world_close(struct world *world)
{
	for (size_t i = 0; i < world->len; i++) {
		snapshot_release(world->snapshots[i]);
		replica_close(world->beds[i].replica);
		words_free(world->beds[i].words);
	}
	world->len = 0;
	search_settings_release(world->settings);
	world->settings = NULL;
}

static void settings_take(struct world *world, yyjson_val *given)
{
	struct settings_request request = {.route = NULL};
	struct settings_refusal refusal;
	struct buffer body;
	struct buffer record;
	struct error error;

	buffer_init(&body, SETTINGS_RECORD_BYTES_MAX);
	buffer_init(&record, SETTINGS_RECORD_BYTES_MAX);
	if (json_append_value(&body, given, &error) != 0)
		fail("settings", error.text);
	request.body = buffer_slice(&body);
	if (settings_change(settings_default(), &request, &record, &refusal) != 0)
		fail("settings", refusal.text);
	if (search_settings_new(0, buffer_slice(&record), &world->settings, &error) != 0)
		fail("settings", error.text);
	buffer_deinit(&record);
	buffer_deinit(&body);
}

/* As a node tells its replicas. */
static void replica_tell(struct replica *replica, const struct settings *settings)
{
	struct text_settings cutting = search_settings_cutting(settings);
	struct settings_effects effects;
	struct arena arena;
	struct error error;

	arena_init(&arena, 4096);
	if (settings_effects(settings_default(), settings, &arena, &effects, &error) != 0 ||
	    replica_attributes_set(replica, 1, effects.attributes.list, effects.attributes.len, &error) !=
	            0 ||
	    replica_cutting_set(replica, &cutting, NULL, &error) != 0)
		fail("replica", error.text);
	arena_deinit(&arena);
}

/* The document's place among all is its insertion key. */
static void document_put(struct bed *bed, struct memtable *memtable, yyjson_val *row, int64_t place)
{
	struct op op = {.offset = bed->offset, .kind = OP_KIND_PUT, .key = {place, 0}};
	struct buffer body;
	struct error error;

	buffer_init(&body, BATCH_BYTES_MAX);
	if (json_append_value(&body, yyjson_arr_get(row, 1), &error) != 0)
		fail("document", error.text);
	op.id = json_string(yyjson_arr_get(row, 0));
	op.body = buffer_slice(&body);
	if (!memtable_add(memtable, &op))
		fail("memtable", "out of memory");
	memtable_set_anchor(memtable, (struct anchor){op.offset, op.offset, 1});
	bed->offset++;
	buffer_deinit(&body);
}

/* From the first one of them on. */
static void documents_feed(struct world *world, size_t shard, yyjson_val *line, uint64_t batch)
{
	struct bed *bed = &world->beds[shard];
	struct memtable *memtable = memtable_new(bed->offset);
	yyjson_val *documents = yyjson_obj_get(line, "documents");
	yyjson_val *row;
	uint64_t rows = 0;
	size_t i;
	size_t len;

	yyjson_arr_foreach(documents, i, len, row)
	{
		if (i % world->len != shard)
			continue;
		document_put(bed, memtable, row, (int64_t)i);
		if (++rows % batch != 0)
			continue;
		bed_receive(bed, memtable);
		memtable_free(memtable);
		memtable = memtable_new(bed->offset);
		if (yyjson_get_bool(yyjson_obj_get(line, "store")) && i < len / 2)
			bed_store(bed);
	}
	if (rows % batch != 0)
		bed_receive(bed, memtable);
	memtable_free(memtable);
}

static void world_open(struct world *world, yyjson_val *line)
{
	world_close(world);
	settings_take(world, yyjson_obj_get(line, "settings"));
	world->number++;
	world->len = yyjson_get_uint(yyjson_obj_get(line, "shards"));
	if (world->len == 0 || world->len > SHARDS_MAX)
		fail("shards", "too many or none");
	for (size_t i = 0; i < world->len; i++) {
		char path[PATH_BYTES_MAX];

		(void)snprintf(path, sizeof path, "%s/%u-%zu", world->directory, world->number, i);
		world->beds[i] = (struct bed){.offset = 0};
		bed_open(&world->beds[i], path);
		replica_tell(world->beds[i].replica, world->settings->settings);
		documents_feed(world, i, line, yyjson_get_uint(yyjson_obj_get(line, "batch")));
		world->snapshots[i] = replica_snapshot(world->beds[i].replica);
	}
}

static void question_answer(struct world *world, yyjson_val *asked, struct buffer *out)
{
	static const int32_t partitions[SHARDS_MAX] = {0, 1, 2, 3};
	struct search_question question;
	struct arena arena;
	struct search_reply_request request = {.question = &question,
	                                       .settings = world->settings,
	                                       .words = world->words,
	                                       .snapshots = world->snapshots,
	                                       .partitions = partitions,
	                                       .len = world->len,
	                                       .arena = &arena};
	struct search_reply reply;
	struct error error;

	arena_init(&arena, 65536);
	buffer_append_string(out, "{");
	if (search_question_read(asked, &arena, &question, &error) != 0 ||
	    search_reply(&request, out, &reply, &error) != 0) {
		buffer_clear(out);
		buffer_append_string(out, "{\"error\":");
		json_append_string(out, slice_string(error.text));
	}
	buffer_append_string(out, "}");
	arena_deinit(&arena);
}

static void line_answer(struct world *world, struct slice line, struct buffer *out)
{
	struct error error;
	yyjson_val *asked;
	yyjson_doc *doc;

	if (json_parse_typed(line, &doc, &error) != 0)
		fail("line", error.text);
	buffer_clear(out);
	asked = yyjson_obj_get(yyjson_doc_get_root(doc), "question");
	if (asked != NULL) {
		question_answer(world, asked, out);
	} else {
		world_open(world, yyjson_doc_get_root(doc));
		buffer_append_string(out, "{}");
	}
	if (buffer_failed(out))
		fail("reply", "too long");
	(void)printf("%.*s\n", SLICE_ARGS(buffer_slice(out)));
	(void)fflush(stdout);
	yyjson_doc_free(doc);
}

int main(int argc, char **argv)
{
	struct world world = {.words = words_new()};
	struct buffer out;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (argc != 2 || world.words == NULL)
		fail("usage", "oracle_answer DIRECTORY");
	world.directory = argv[1];
	buffer_init(&out, REPLY_BYTES_MAX);
	while ((len = getline(&line, &size, stdin)) > 0)
		line_answer(&world, slice_of(line, (size_t)len), &out);
	free(line);
	buffer_deinit(&out);
	world_close(&world);
	words_free(world.words);
	return 0;
}
