/*
 * Attributes of a replica: what a snapshot answers of a few documents, in
 * memory, on disk and after a restart; which attributes it answers for as they
 * come and go, and are built; their numbers; and their stored value, which is never believed
 * when a byte of it is another.
 */
#include "tests/unit/replica_model.h"

#include "shard/core/attributes.h"
#include "shard/core/replica_private.h"
#include "shard/core/snapshot_values.h"
#include "shared/record/memtable.h"

#define DOCUMENTS 6

static const char *const bodies[DOCUMENTS] = {
	"{\"n\":5,\"tag\":[\"Red\",\"blue\"]}",
	"{\"n\":-1.5,\"tag\":\"red\"}",
	"{\"n\":\"5\",\"tag\":null}",
	"{\"n\":[5,70],\"tag\":\"\"}",
	"{\"sub\":[{\"n\":1},{\"n\":true}],\"n\":{}}",
	"{\"other\":1}",
};

/* A range with one put of that document. */
static void receive(struct model *model, size_t document, const char *body)
{
	int64_t from = status_of(model).received;
	struct op op = {.offset = from,
	                .kind = OP_KIND_PUT,
	                .id = slice_string(model->ids[document]),
	                .body = slice_string(body)};
	struct memtable *memtable = memtable_new(from);
	struct range range = {.index_id = INDEX_ID,
	                      .partition = 3,
	                      .incarnation = model->incarnation,
	                      .session = model->session,
	                      .rules_digest = RULES,
	                      .log_end = -1};
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	buffer_init(&frame, BATCH_BYTES_MAX);
	CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	CU_ASSERT_TRUE_FATAL(batch_end(&writer));
	CU_ASSERT_EQUAL_FATAL(batch_open(&reader, buffer_slice(&frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(batch_next(&reader, &range, &error), 1);
	CU_ASSERT_EQUAL_FATAL(replica_receive(model->replica, &range, &answer, &error), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_APPLIED);
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static void store(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	struct error error;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	rc = replica_store_run(job, &error);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	replica_store_end(model->replica, job, rc, &error);
}

/* All that there is to merge and to remove. */
static void compact(struct model *model)
{
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(model->replica)) != NULL) {
		struct error error;
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(model->replica, job, rc, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
	}
}

static int attributes_of(struct model *model, uint64_t version, const char *const *names, size_t len)
{
	struct slice paths[VALUE_PATHS_MAX];
	struct error error;

	for (size_t i = 0; i < len; i++)
		paths[i] = slice_string(names[i]);
	return replica_attributes_set(model->replica, version, paths, len, &error);
}

static bool is_answered(struct model *model, const char *path)
{
	struct snapshot *snapshot = replica_snapshot(model->replica);
	uint16_t number;
	bool answered = snapshot_attribute(snapshot, slice_string(path), &number);

	snapshot_release(snapshot);
	return answered;
}

/* Appends "key:documents ". */
static bool print_key(void *context, struct slice key, struct postings *numbers)
{
	static const char *const kinds[] = {"", "exists", "null", "empty"};
	struct buffer *text = context;
	struct value value;

	CU_ASSERT_TRUE_FATAL(value_read(key, &value));
	if (value.kind == VALUE_KIND_NUMBER)
		buffer_printf(text, "%g", value.number);
	else if (value.kind == VALUE_KIND_STRING)
		buffer_printf(text, "'%.*s'", SLICE_ARGS(value.text));
	else
		buffer_append_string(text, kinds[value.kind]);
	buffer_printf(text, ":%llu ", (unsigned long long)postings_count(numbers));
	return true;
}

/* All that the attribute has, of documents that have `tag` red if `red`. */
static void check_snapshot(const struct snapshot *snapshot, const char *path, bool red, const char *expected)
{
	struct value_range range;
	struct value_key key;
	struct postings within;
	struct buffer text;
	struct value_visitor visitor = {print_key, &text};
	struct error error;
	uint16_t number;

	postings_init(&within);
	buffer_init(&text, 4096);
	CU_ASSERT_TRUE_FATAL(snapshot_attribute(snapshot, slice_string("tag"), &number));
	value_key_text(&key, number, slice_string("red"));
	CU_ASSERT_EQUAL(snapshot_value(snapshot, &key, &within, &error), 0);
	CU_ASSERT_TRUE_FATAL(snapshot_attribute(snapshot, slice_string(path), &number));
	value_key_kind(&range.from, number, VALUE_KIND_EXISTS);
	value_key_text(&range.to, number, slice_string("zzz"));
	CU_ASSERT_EQUAL(snapshot_values_walk(snapshot, &range, red ? &within : NULL, &visitor, &error), 0);
	buffer_put_u8(&text, 0);
	if (strcmp((const char *)text.ptr, expected) != 0)
		printf("\n%s: %s\n", path, (const char *)text.ptr);
	CU_ASSERT_STRING_EQUAL((const char *)text.ptr, expected);
	buffer_deinit(&text);
	postings_deinit(&within);
}

static void check_keys(struct model *model, const char *path, bool red, const char *expected)
{
	struct snapshot *snapshot = replica_snapshot(model->replica);

	check_snapshot(snapshot, path, red, expected);
	snapshot_release(snapshot);
}

static uint64_t count_range(struct model *model, double from, double to)
{
	struct snapshot *snapshot = replica_snapshot(model->replica);
	struct value_range range;
	struct postings numbers;
	struct error error;
	uint16_t number;
	uint64_t count;

	postings_init(&numbers);
	CU_ASSERT_TRUE_FATAL(snapshot_attribute(snapshot, slice_string("n"), &number));
	value_key_number(&range.from, number, from);
	value_key_number(&range.to, number, to);
	CU_ASSERT_EQUAL(snapshot_values(snapshot, &range, &numbers, &error), 0);
	count = postings_count(&numbers);
	postings_deinit(&numbers);
	snapshot_release(snapshot);
	return count;
}

static void check_documents(struct model *model)
{
	struct error error;

	check_keys(model, "n", false, "exists:5 empty:1 -1.5:1 5:2 70:1 '5':1 ");
	check_keys(model, "tag", false, "exists:4 null:1 empty:1 'blue':1 'red':2 ");
	check_keys(model, "sub.n", false, "exists:1 1:1 'true':1 ");
	check_keys(model, "n", true, "exists:2 -1.5:1 5:1 ");
	CU_ASSERT_EQUAL(count_range(model, -1.5, 5), 3);
	CU_ASSERT_EQUAL(count_range(model, 5.5, 70), 1);
	CU_ASSERT_EQUAL(count_range(model, 6, 69), 0);
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
}

static void test_answers(void)
{
	static const char *const names[] = {"n", "tag", "sub.n"};
	struct model *model = model_new("answers");

	CU_ASSERT_EQUAL(attributes_of(model, 7, names, 3), 0);
	for (size_t i = 0; i < DOCUMENTS; i++)
		receive(model, i, bodies[i]);
	check_documents(model);
	store(model);
	CU_ASSERT_EQUAL(status_of(model).disk_value_sets, 1);
	check_documents(model);
	reopen(model, "answers");
	CU_ASSERT_EQUAL(replica_attributes_version(model->replica), 7);
	check_documents(model);
	/* half on disk, half in memory; what was there before is dead */
	for (size_t i = 0; i < DOCUMENTS; i += 2)
		receive(model, i, bodies[i]);
	check_documents(model);
	receive(model, 1, "{\"n\":6}");
	check_keys(model, "n", false, "exists:5 empty:1 5:2 6:1 70:1 '5':1 ");
	check_keys(model, "tag", false, "exists:3 null:1 empty:1 'blue':1 'red':1 ");
	model_free(model);
}

static void test_coming_and_going(void)
{
	static const char *const names[] = {"n", "tag", "other"};
	struct model *model = model_new("coming");
	struct error error;

	CU_ASSERT_EQUAL(attributes_of(model, 1, names, 2), 0);
	CU_ASSERT_TRUE(is_answered(model, "n") && is_answered(model, "tag"));
	CU_ASSERT_FALSE(is_answered(model, "other"));
	receive(model, 0, bodies[0]);
	CU_ASSERT_EQUAL(attributes_of(model, 2, names + 1, 2), 0);
	CU_ASSERT_FALSE(is_answered(model, "n") || is_answered(model, "other"));
	CU_ASSERT_TRUE(is_answered(model, "tag"));
	receive(model, 5, bodies[5]);
	store(model);
	CU_ASSERT_FALSE(is_answered(model, "other"));
	check_keys(model, "tag", false, "exists:1 'blue':1 'red':1 ");
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
	/* the last document that was received without it is replaced */
	receive(model, 0, bodies[0]);
	receive(model, 5, bodies[5]);
	store(model);
	CU_ASSERT_TRUE(is_answered(model, "other"));
	check_keys(model, "other", false, "exists:1 1:1 ");
	CU_ASSERT_EQUAL(attributes_of(model, 3, names, 0), 0);
	CU_ASSERT_FALSE(is_answered(model, "tag"));
	CU_ASSERT_EQUAL(reads_verify(model->replica, &error), 0);
	model_free(model);
}

/* Documents that are on disk when attributes come: every one is built, and old snapshots go on with what they have. */
static void test_built(void)
{
	static const char *const names[] = {"tag", "n", "sub.n"};
	struct model *model = model_new("built");
	struct snapshot *snapshot;

	CU_ASSERT_EQUAL(attributes_of(model, 1, names, 1), 0);
	for (size_t i = 0; i < 3; i++)
		receive(model, i, bodies[i]);
	store(model);
	for (size_t i = 3; i < DOCUMENTS; i++)
		receive(model, i, bodies[i]);
	store(model);
	snapshot = replica_snapshot(model->replica);
	CU_ASSERT_EQUAL(attributes_of(model, 2, names, 3), 0);
	CU_ASSERT_FALSE(is_answered(model, "n") || is_answered(model, "sub.n"));
	CU_ASSERT_TRUE(is_answered(model, "tag"));
	CU_ASSERT_EQUAL(status_of(model).disk_lacking, 2);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).disk_segments, 2);
	CU_ASSERT_EQUAL(status_of(model).disk_value_sets, 2);
	CU_ASSERT_EQUAL(status_of(model).disk_lacking, 0);
	CU_ASSERT_EQUAL(status_of(model).disk_leaving, 2);
	CU_ASSERT_EQUAL(status_of(model).builds, 2);
	check_documents(model);
	check_snapshot(snapshot, "tag", false, "exists:4 null:1 empty:1 'blue':1 'red':2 ");
	snapshot_release(snapshot);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).disk_leaving, 0);
	reopen(model, "built");
	check_documents(model);
	/* nothing is built anew for what is there, and nothing is kept of what is not wanted */
	CU_ASSERT_EQUAL(attributes_of(model, 3, names + 1, 1), 0);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).builds, 0);
	CU_ASSERT_EQUAL(attributes_of(model, 4, names, 3), 0);
	CU_ASSERT_EQUAL(status_of(model).disk_lacking, 2);
	compact(model);
	check_documents(model);
	model_free(model);
}

/* What one of the parts has is not lost by a merge: the others are built before it. Where none has it, it is built once,
 * after. */
static void test_merge_waits(void)
{
	static const char *const names[] = {"tag", "n", "sub.n"};
	static const struct {
		const char *name;
		size_t before; /* attributes when the first two segments are stored */
		size_t then;   /* and when the third one is */
		uint64_t builds;
	} rows[] = {{"waits-a", 1, 3, 2}, {"waits-b", 1, 1, 1}, {"waits-c", 3, 3, 0}, {"waits-d", 0, 1, 3}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model *model = model_new(rows[i].name);

		CU_ASSERT_EQUAL(attributes_of(model, 1, names, rows[i].before), 0);
		for (size_t k = 0; k < DOCUMENTS; k++) {
			if (k == 4)
				CU_ASSERT_EQUAL(attributes_of(model, 2, names, rows[i].then), 0);
			receive(model, k, bodies[k]);
			if (k % 2 == 1)
				store(model);
		}
		CU_ASSERT_EQUAL(attributes_of(model, 3, names, 3), 0);
		compact(model);
		CU_ASSERT_EQUAL(status_of(model).merges, 1);
		CU_ASSERT_EQUAL(status_of(model).disk_segments, 1);
		CU_ASSERT_EQUAL(status_of(model).builds, rows[i].builds);
		CU_ASSERT_EQUAL(status_of(model).disk_leaving, 0);
		check_documents(model);
		model_free(model);
	}
}

/* They are stored with what is stored or compacted next, also where they come while a job runs. */
static void test_set_any_time(void)
{
	static const char *const names[] = {"tag", "n", "sub.n"};
	struct model *model = model_new("any-time");
	struct replica_store_job *job;
	struct error error;

	CU_ASSERT_EQUAL(attributes_of(model, 1, names, 1), 0);
	for (size_t i = 0; i < DOCUMENTS; i++)
		receive(model, i, bodies[i]);
	job = replica_store_begin(model->replica);
	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	CU_ASSERT_EQUAL(attributes_of(model, 2, names, 2), 0);
	CU_ASSERT_EQUAL(replica_store_run(job, &error), 0);
	CU_ASSERT_EQUAL(attributes_of(model, 3, names, 3), 0);
	replica_store_end(model->replica, job, 0, &error);
	CU_ASSERT_EQUAL(replica_attributes_version(model->replica), 3);
	CU_ASSERT_FALSE(is_answered(model, "n"));
	reopen(model, "any-time");
	CU_ASSERT_EQUAL(replica_attributes_version(model->replica), 1);
	CU_ASSERT_TRUE(is_answered(model, "tag"));
	CU_ASSERT_EQUAL(attributes_of(model, 3, names, 3), 0);
	compact(model);
	reopen(model, "any-time");
	CU_ASSERT_EQUAL(replica_attributes_version(model->replica), 3);
	check_documents(model);
	model_free(model);
}

static size_t keys_bytes(const struct model *model)
{
	size_t bytes = 0;

	for (size_t i = 0; i < model->replica->segments_len; i++)
		if (model->replica->segments[i]->values != NULL)
			bytes += dictionary_bytes(model->replica->segments[i]->values);
	return bytes;
}

/* Keys are memory that is told, as ranges come, as segments merge, and not any more when they are on disk. */
static void test_memory(void)
{
	static const char *const names[] = {"n", "tag"};
	struct model *with = model_new("memory-with");
	struct model *without = model_new("memory-without");

	CU_ASSERT_EQUAL(attributes_of(with, 1, names, 2), 0);
	CU_ASSERT_EQUAL(status_of(with).memory_bytes, status_of(without).memory_bytes);
	for (size_t i = 0; i < 2 * SEGMENT_FANOUT; i++) {
		receive(with, i % DOCUMENTS, bodies[i % DOCUMENTS]);
		receive(without, i % DOCUMENTS, bodies[i % DOCUMENTS]);
		CU_ASSERT_EQUAL(replica_merge(with->replica), replica_merge(without->replica));
		CU_ASSERT_TRUE(keys_bytes(with) > 0);
		CU_ASSERT_EQUAL(status_of(with).memory_bytes,
		                status_of(without).memory_bytes + keys_bytes(with));
	}
	CU_ASSERT_TRUE(status_of(with).segments < 2 * SEGMENT_FANOUT);
	store(with);
	store(without);
	CU_ASSERT_EQUAL(status_of(with).memory_bytes, status_of(without).memory_bytes);
	model_free(with);
	model_free(without);
}

/* Merged away and to be removed: what a snapshot reads stays, its values too. */
static void test_kept(void)
{
	static const char *const names[] = {"n", "tag"};
	struct model *model = model_new("kept");
	struct snapshot *snapshot;

	CU_ASSERT_EQUAL(attributes_of(model, 1, names, 2), 0);
	for (size_t i = 0; i < 3; i++) {
		receive(model, i, bodies[i]);
		store(model);
	}
	snapshot = replica_snapshot(model->replica);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).disk_segments, 1);
	CU_ASSERT_EQUAL(status_of(model).disk_leaving, 6);
	check_snapshot(snapshot, "n", false, "exists:3 -1.5:1 5:1 '5':1 ");
	snapshot_release(snapshot);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).disk_leaving, 0);
	check_keys(model, "n", false, "exists:3 -1.5:1 5:1 '5':1 ");
	model_free(model);
}

/* A number is another path's only when nothing covers it any more. */
static void test_numbers(void)
{
	static char names[3 * VALUE_PATHS_MAX][8];
	const char *paths[3 * VALUE_PATHS_MAX];
	struct model *model = model_new("numbers");

	for (size_t i = 0; i < 3 * VALUE_PATHS_MAX; i++) {
		(void)snprintf(names[i], sizeof names[i], "p%zu", i);
		paths[i] = names[i];
	}
	CU_ASSERT_EQUAL(attributes_of(model, 1, paths, VALUE_PATHS_MAX), 0);
	receive(model, 0, "{\"p0\":\"old\",\"p64\":1}");
	CU_ASSERT_EQUAL(attributes_of(model, 2, paths + VALUE_PATHS_MAX, VALUE_PATHS_MAX), 0);
	receive(model, 1, "{\"p0\":1,\"p64\":\"new\"}");
	CU_ASSERT_EQUAL(attributes_of(model, 3, paths + 2 * VALUE_PATHS_MAX, VALUE_PATHS_MAX), ERROR_LIMIT);
	CU_ASSERT_EQUAL(replica_attributes_version(model->replica), 2);
	store(model);
	CU_ASSERT_EQUAL(attributes_of(model, 3, paths + 2 * VALUE_PATHS_MAX, VALUE_PATHS_MAX), 0);
	CU_ASSERT_FALSE(is_answered(model, "p128"));
	compact(model);
	CU_ASSERT_TRUE(is_answered(model, "p128"));
	/* one stays; without a build the numbers of the others are free */
	CU_ASSERT_EQUAL(attributes_of(model, 4, paths + 128, 1), 0);
	compact(model);
	CU_ASSERT_EQUAL(status_of(model).builds, 1);
	CU_ASSERT_EQUAL(attributes_of(model, 5, paths + 65, VALUE_PATHS_MAX), 0);
	CU_ASSERT_EQUAL(attributes_of(model, 6, paths, VALUE_PATHS_MAX), 0);
	CU_ASSERT_EQUAL(attributes_of(model, 7, paths + 65, VALUE_PATHS_MAX), ERROR_LIMIT);
	compact(model);
	CU_ASSERT_EQUAL(attributes_of(model, 7, paths + 65, VALUE_PATHS_MAX), 0);
	model_free(model);
}

static void test_stored(void)
{
	struct attributes attributes = {2, {{127, slice_string("a.b")}, {0, slice_string("\xc3\xa9")}}};
	struct attributes_ref *made = attributes_new(9, &attributes);
	struct attributes_ref *read = NULL;
	struct buffer value;
	struct error error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	buffer_init(&value, 1000);
	attributes_encode(made, &value);
	CU_ASSERT_EQUAL_FATAL(attributes_decode(buffer_slice(&value), &read, &error), 0);
	CU_ASSERT_EQUAL(read->version, 9);
	CU_ASSERT_EQUAL(read->attributes.len, 2);
	CU_ASSERT_EQUAL(attributes_find(read, slice_string("a.b"))->number, 127);
	CU_ASSERT_PTR_NULL(attributes_find(read, slice_string("a")));
	CU_ASSERT_TRUE(value_cover_has(&read->wanted, 0) && !value_cover_has(&read->wanted, 1));
	attributes_release(read);
	for (size_t i = 0; i < value.len; i++) {
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(attributes_decode(buffer_slice(&value), &read, &error), ERROR_DAMAGED);
		value.ptr[i] ^= 1;
		CU_ASSERT_EQUAL(attributes_decode(slice_of(value.ptr, i), &read, &error), ERROR_DAMAGED);
	}
	buffer_deinit(&value);
	attributes_release(made);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is answered", test_answers},         {"attributes come and go", test_coming_and_going},
		{"what is on disk is built", test_built},   {"merges wait for builds", test_merge_waits},
		{"set at any time", test_set_any_time},     {"keys are memory that is told", test_memory},
		{"a snapshot keeps its values", test_kept}, {"numbers wait", test_numbers},
		{"the stored value", test_stored},          CU_TEST_INFO_NULL};

	return suite_run("replica attributes", tests);
}
