/*
 * Store bed: a corpus, and a replica on a real environment that is fed with
 * it: what the stages of bench_store share.
 *
 * A corpus is NDJSON of which every line begins with {"id":"…"; document n is
 * line n modulo their number, under another id in every round. Documents come
 * as the feeder frames them: ranges of a real memtable, in real frames. Making
 * them is not the replica's work and not on its clocks.
 *
 * The replica does everything on one thread: it receives, merges in memory,
 * stores whenever bodies of `store_bytes` are not on disk yet, and merges on
 * disk after every store until there is nothing to merge.
 */
#ifndef MILLRACE_TESTS_BENCH_STORE_BED_H
#define MILLRACE_TESTS_BENCH_STORE_BED_H

#include "shard/core/replica.h"
#include "shard/core/values.h"
#include "tests/bench/clocks.h"

#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>

#define BED_INDEX 77
#define BED_RULES 5
#define BED_PATH_BYTES_MAX 4096

struct corpus_line {
	struct slice id;
	struct slice rest; /* of the object, after the id's quotation mark */
};

struct corpus {
	char *text;
	struct corpus_line *lines;
	size_t len;
};

/* Which documents come next, and how many of them at most in one range. */
struct course {
	size_t at;
	size_t end;
	size_t ops_max;   /* 0: as many as a range takes */
	const char *word; /* of the last document of a range; NULL: none */
	bool update;      /* another body: what stands in the next line */
};

struct bed {
	struct corpus corpus;
	const char *directory;
	size_t store_bytes;
	struct replica *replica;
	uint64_t session;
	int64_t offset; /* of the next operation */
	struct buffer frame;
	struct buffer body;
	size_t *range_bytes; /* bodies of the range that ends before offset i + 1, and of all before it */
	size_t range_bytes_size;
	/* figures */
	uint64_t json_bytes;
	uint64_t stores;
	struct clocks spent;      /* in the replica */
	struct clocks storing;    /* of it, in store jobs */
	struct clocks compacting; /* of it, in merges on disk */
};

/* ---- the corpus ---- */

static inline void corpus_line(struct corpus *corpus, char *line, size_t len)
{
	static const char begin[] = "{\"id\":\"";
	const char *end = memchr(line + sizeof begin - 1, '"', len - (sizeof begin - 1));

	if (len < sizeof begin || strncmp(line, begin, sizeof begin - 1) != 0 || end == NULL)
		fail("corpus", "a line does not begin with its id");
	if ((corpus->len & (corpus->len - 1)) == 0) {
		corpus->lines = realloc(corpus->lines,
		                        (corpus->len == 0 ? 1 : corpus->len * 2) * sizeof *corpus->lines);
		if (corpus->lines == NULL)
			fail("corpus", "out of memory");
	}
	corpus->lines[corpus->len++] = (struct corpus_line){
		slice_of(line + sizeof begin - 1, (size_t)(end - line) - (sizeof begin - 1)),
		slice_of(end + 1, (size_t)(line + len - (end + 1)))};
}

static inline void corpus_read(struct corpus *corpus, const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat status;
	size_t len;

	if (file == NULL || fstat(fileno(file), &status) != 0)
		fail(path, strerror(errno));
	len = (size_t)status.st_size;
	corpus->text = malloc(len + 1);
	if (corpus->text == NULL || fread(corpus->text, 1, len, file) != len || fclose(file) != 0)
		fail(path, "cannot be read");
	for (char *line = corpus->text; line < corpus->text + len;) {
		char *end = memchr(line, '\n', (size_t)(corpus->text + len - line));

		if (end == NULL)
			fail(path, "its last line has no end");
		corpus_line(corpus, line, (size_t)(end - line));
		line = end + 1;
	}
	if (corpus->len == 0)
		fail(path, "is empty");
}

static inline void corpus_free(struct corpus *corpus)
{
	free(corpus->lines);
	free(corpus->text);
}

/* Document `n` into `body`; its id stands in it, behind {"id":". */
static inline struct slice document_make(const struct corpus *corpus, const struct course *course, size_t n,
                                         const char *word, struct buffer *body)
{
	const struct corpus_line *line = &corpus->lines[n % corpus->len];
	const struct corpus_line *body_of = course->update ? &corpus->lines[(n + 1) % corpus->len] : line;
	size_t begin = 7;
	size_t end;

	buffer_clear(body);
	buffer_append_string(body, "{\"id\":\"");
	buffer_append_slice(body, line->id);
	if (n >= corpus->len)
		buffer_printf(body, "_r%zu", n / corpus->len);
	end = body->len;
	buffer_append_string(body, "\"");
	if (word != NULL)
		buffer_printf(body, ",\"word\":\"%s\"", word);
	buffer_append_slice(body, body_of->rest);
	if (buffer_failed(body))
		fail("document", "out of memory");
	return slice_of(body->ptr + begin, end - begin);
}

/* ---- the replica ---- */

static inline struct clocks clocks_since(const struct clocks *from)
{
	struct clocks to = read_clocks();

	return (struct clocks){to.wall_us - from->wall_us, to.thread_us - from->thread_us,
	                       to.process_us - from->process_us};
}

static inline void clocks_add(struct clocks *sum, const struct clocks *from)
{
	struct clocks more = clocks_since(from);

	sum->wall_us += more.wall_us;
	sum->thread_us += more.thread_us;
	sum->process_us += more.process_us;
}

static inline struct replica_status bed_status(const struct bed *bed)
{
	struct replica_status status;

	replica_status(bed->replica, &status);
	return status;
}

/* kv_open and replica_open, as a node does at its start. */
static inline void bed_open(struct bed *bed)
{
	struct replica_identity identity = {.cluster_id = "bench",
	                                    .index_id = BED_INDEX,
	                                    .generation = 1,
	                                    .rules_digest = BED_RULES,
	                                    .incarnation = {{1, 2}},
	                                    .document_bytes_max = 4U << 20,
	                                    .dedup_window = 1000000};
	struct error error;
	struct kv *kv;

	if (kv_open(bed->directory, &kv, &error) != 0 ||
	    replica_open(kv, &identity, ++bed->session, &bed->replica, &error) != 0)
		fail(bed->directory, error.text);
}

/* The paths whose values the replica keeps from here on. */
static inline void bed_attributes(struct bed *bed, char *const *paths, size_t len)
{
	struct slice attributes[VALUE_PATHS_MAX];
	struct error error;

	if (len > VALUE_PATHS_MAX)
		fail("attributes", "there are too many");
	for (size_t i = 0; i < len; i++)
		attributes[i] = slice_string(paths[i]);
	if (len > 0 && replica_attributes_set(bed->replica, 1, attributes, len, &error) != 0)
		fail("attributes", error.text);
}

static inline void bed_init(struct bed *bed, const char *corpus, const char *directory, size_t store_bytes)
{
	*bed = (struct bed){.directory = directory, .store_bytes = store_bytes};
	if (corpus != NULL)
		corpus_read(&bed->corpus, corpus);
	buffer_init(&bed->frame, BATCH_BYTES_MAX);
	buffer_init(&bed->body, BATCH_BYTES_MAX);
}

static inline void bed_deinit(struct bed *bed)
{
	replica_close(bed->replica);
	buffer_deinit(&bed->body);
	buffer_deinit(&bed->frame);
	free(bed->range_bytes);
	corpus_free(&bed->corpus);
}

static inline void range_bytes_note(struct bed *bed, int64_t from, size_t bytes)
{
	size_t before = from == 0 ? 0 : bed->range_bytes[from - 1];

	if ((size_t)bed->offset > bed->range_bytes_size) {
		bed->range_bytes_size = (size_t)bed->offset * 2;
		bed->range_bytes =
			realloc(bed->range_bytes, bed->range_bytes_size * sizeof bed->range_bytes[0]);
		if (bed->range_bytes == NULL)
			fail("range", "out of memory");
	}
	for (int64_t offset = from; offset < bed->offset; offset++)
		bed->range_bytes[offset] = before + bytes;
}

/* The next range of the course, as the frame of a batch. */
static inline void bed_frame(struct bed *bed, struct course *course)
{
	struct memtable *memtable = memtable_new(bed->offset);
	struct range range = {.index_id = BED_INDEX,
	                      .incarnation = {{1, 2}},
	                      .session = bed->session,
	                      .rules_digest = BED_RULES,
	                      .log_end = -1};
	struct batch_writer writer;
	int64_t from = bed->offset;
	size_t bytes = 0;

	if (memtable == NULL)
		fail("memtable", "out of memory");
	for (size_t len = 0; course->at < course->end && (len < course->ops_max || course->ops_max == 0);
	     len++) {
		bool is_last = len + 1 == course->ops_max;
		struct op op = {.offset = bed->offset, .kind = OP_KIND_PUT, .key = {bed->offset / 64, 0}};

		op.id = document_make(&bed->corpus, course, course->at, is_last ? course->word : NULL,
		                      &bed->body);
		op.body = buffer_slice(&bed->body);
		if (memtable_is_full(memtable, op.offset, memtable_op_bytes(&op)))
			break;
		if (!memtable_add(memtable, &op))
			fail("memtable", "out of memory");
		memtable_set_anchor(memtable, (struct anchor){op.offset, op.key.timestamp_ms, 1});
		bytes += op.body.len;
		bed->offset++;
		course->at++;
	}
	bed->json_bytes += bytes;
	range_bytes_note(bed, from, bytes);
	buffer_clear(&bed->frame);
	batch_begin(&writer, &bed->frame, 1);
	batch_add(&writer, &range, memtable);
	if (!batch_end(&writer))
		fail("batch", "out of memory");
	memtable_free(memtable);
}

/* A node's part of the batch: decodes, checks and applies it. */
static inline void bed_receive(struct bed *bed)
{
	struct batch_reader batch;
	struct range_answer answer;
	struct range range;
	struct error error;

	if (batch_open(&batch, buffer_slice(&bed->frame), &error) != 0 ||
	    batch_next(&batch, &range, &error) != 1 ||
	    replica_receive(bed->replica, &range, &answer, &error) != 0)
		fail("receive", error.text);
	if (answer.result != RANGE_RESULT_APPLIED)
		fail("receive", "the range was not applied");
}

static inline void bed_store(struct bed *bed)
{
	struct clocks from = read_clocks();
	struct replica_store_job *job = replica_store_begin(bed->replica);
	struct error error = {0};
	int rc;

	if (job == NULL)
		fail("store", "no job");
	rc = replica_store_run(job, &error);
	replica_store_end(bed->replica, job, rc, &error);
	if (rc != 0 && rc != ERROR_LIMIT) /* then the map has been grown */
		fail("store", error.text);
	bed->stores += rc == 0;
	clocks_add(&bed->storing, &from);
}

static inline void bed_compact(struct bed *bed)
{
	struct clocks from = read_clocks();
	struct replica_compact_job *job;

	while ((job = replica_compact_begin(bed->replica)) != NULL) {
		struct error error = {0};
		bool more = true;
		int rc = 0;

		while (rc == 0 && more)
			rc = replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error);
		replica_compact_end(bed->replica, job, rc, &error);
		if (rc != 0 && rc != ERROR_LIMIT)
			fail("compaction", error.text);
	}
	clocks_add(&bed->compacting, &from);
}

/* Merges, and stores what is more than `unstored_max` bytes of bodies. */
static inline void bed_settle(struct bed *bed, size_t unstored_max)
{
	struct replica_status status;

	while (replica_merge(bed->replica))
		continue;
	for (;;) {
		size_t stored;

		status = bed_status(bed);
		stored = status.stored == 0 ? 0 : bed->range_bytes[status.stored - 1];
		if (status.stored == status.received ||
		    bed->range_bytes[status.received - 1] - stored < unstored_max)
			return;
		bed_store(bed);
		bed_compact(bed);
	}
}

/* The whole course, until everything is stored. */
static inline void bed_load(struct bed *bed, struct course *course)
{
	while (course->at < course->end) {
		struct clocks from;

		bed_frame(bed, course);
		from = read_clocks();
		bed_receive(bed);
		bed_settle(bed, course->at < course->end ? bed->store_bytes : 0);
		clocks_add(&bed->spent, &from);
	}
}

/* ---- the disk ---- */

static inline uint64_t pages_of(const MDB_stat *stat)
{
	return stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

/* Bytes of the pages that the environment's tables have, and of its file; nobody has it open. */
static inline void disk_sizes(const char *directory, uint64_t *used, uint64_t *file)
{
	char path[BED_PATH_BYTES_MAX];
	struct stat status;
	MDB_cursor *cursor;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi names;
	MDB_val name;
	MDB_val ignored;
	MDB_stat stat;
	uint64_t pages;

	(void)snprintf(path, sizeof path, "%s/data.mdb", directory);
	if (lstat(path, &status) != 0 || mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 32) != 0 ||
	    mdb_env_open(env, directory, MDB_RDONLY, 0600) != 0 ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || mdb_dbi_open(txn, NULL, 0, &names) != 0 ||
	    mdb_stat(txn, names, &stat) != 0 || mdb_cursor_open(txn, names, &cursor) != 0)
		fail(path, "cannot be opened for its sizes");
	pages = pages_of(&stat);
	while (mdb_cursor_get(cursor, &name, &ignored, MDB_NEXT) == 0) {
		char text[64];
		MDB_dbi table;

		(void)snprintf(text, sizeof text, "%.*s", (int)name.mv_size, (const char *)name.mv_data);
		if (mdb_dbi_open(txn, text, 0, &table) != 0 || mdb_stat(txn, table, &stat) != 0)
			fail(path, "has a table that cannot be opened");
		pages += pages_of(&stat);
	}
	*used = pages * stat.ms_psize;
	*file = (uint64_t)status.st_size;
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

#endif
