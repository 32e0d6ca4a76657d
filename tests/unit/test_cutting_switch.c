/*
 * Cutting switch: a replica whose rules for words come, are built and are in
 * force, while documents come and go, are stored, merged and cut anew, and the
 * process ends between any two steps. By whatever settings it is asked, its
 * answer is byte for byte that of a replica that never knew other rules, or it
 * says that it lacks them; and it never lacks those in force, nor those that it
 * has told to be built.
 */
#include "shard/core/search_reply.h"
#include "shard/core/snapshot.h"

#include "tests/oracle/search_bed.h"
#include "tests/unit/search_settings_bed.h"
#include "tests/unit/suite.h"

#define VERSIONS 4
#define DOCUMENTS 12
#define LOG_MAX 2000
#define NONE VERSIONS

#ifndef SEEDS
#define SEEDS 10
#endif
#define STEPS 250

static const char *const settings_texts[VERSIONS] = {
	"{\"filterableAttributes\":[\"*\"]}",
	"{\"filterableAttributes\":[\"*\"],\"stopWords\":[\"the\"]}",
	"{\"filterableAttributes\":[\"*\"],\"separatorTokens\":[\"x\"],\"sortableAttributes\":[\"n\"]}",
	"{\"filterableAttributes\":[\"*\"],\"nonSeparatorTokens\":[\"-\"],\"dictionary\":[\"the "
	"fox\"]}",
};

static const char *const questions[] = {
	"{\"q\":\"the fox\",\"scores\":true,\"attributesToHighlight\":[\"*\"]}",
	"{\"q\":\"red fo\",\"scores\":true,\"matchingStrategy\":\"all\"}",
	"{\"q\":\"\\\"red fox\\\" redxfax -nothing\",\"showRankingScore\":true}",
	"{\"q\":\"redfox\",\"showMatchesPosition\":true,\"sort\":[\"n:asc\"]}",
	"{\"q\":\"\",\"filter\":\"t != fox AND z = 1\",\"facets\":[\"*\"]}",
};

struct logged {
	size_t document;
	char body[168]; /* "": it is deleted */
};

struct world {
	struct bed subject;
	char directory[32];
	struct bed references[VERSIONS];
	struct search_settings *settings[VERSIONS];
	struct words *words;
	struct logged log[LOG_MAX];
	size_t log_len;
	uint64_t seed;
	size_t in_force;
	size_t coming;           /* NONE: none is */
	bool promised[VERSIONS]; /* it must answer by these */
	struct replica_compact_job *job;
	size_t refused; /* answers that it lacked settings */
};

static uint64_t draw(struct world *world, uint64_t bound)
{
	world->seed = world->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (world->seed >> 33) % bound;
}

/* Its values stand beside words by other rules. */
static void open_keeping(struct bed *bed, const char *directory)
{
	const struct slice kept[] = {slice_string("n"), slice_string("t"), slice_string("z")};
	struct error error;

	bed_open(bed, directory);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(bed->replica, 1, kept, 3, &error), 0);
}

/* ---- documents ---- */

static void feed(struct bed *bed, const struct logged *logged)
{
	struct memtable *memtable = memtable_new(bed->offset);
	char id[8];
	struct op op = {.offset = bed->offset,
	                .kind = logged->body[0] == '\0' ? OP_KIND_DELETE : OP_KIND_PUT,
	                .key = {bed->offset, 0},
	                .body = slice_string(logged->body)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(memtable);
	(void)snprintf(id, sizeof id, "d%zu", logged->document);
	op.id = slice_string(id);
	CU_ASSERT_TRUE_FATAL(memtable_add(memtable, &op));
	memtable_set_anchor(memtable, (struct anchor){op.offset, op.offset, 1});
	bed->offset++;
	bed_receive(bed, memtable);
	memtable_free(memtable);
}

static void step_document(struct world *world)
{
	static const char *const texts[] = {"the",     "red-fox", "The fox", "redxfox the", "nothing",
	                                    "red fox", "foxes",   "x",       "the-the",     "fox"};
	struct logged *logged = &world->log[world->log_len++];
	size_t len = 0;

	CU_ASSERT_TRUE_FATAL(world->log_len <= LOG_MAX);
	*logged = (struct logged){.document = (size_t)draw(world, DOCUMENTS)};
	if (draw(world, 5) > 0)
		len = (size_t)snprintf(logged->body, sizeof logged->body, "{\"z\":1,\"n\":%u,\"t\":[",
		                       (unsigned)draw(world, 9));
	for (size_t i = draw(world, 5); len > 0 && i-- > 0;)
		len += (size_t)snprintf(logged->body + len, sizeof logged->body - len, "\"%s\",",
		                        texts[draw(world, sizeof texts / sizeof texts[0])]);
	if (len > 0)
		(void)snprintf(logged->body + len, sizeof logged->body - len, "\"%s\"]}",
		               texts[draw(world, sizeof texts / sizeof texts[0])]);
	feed(&world->subject, logged);
	for (size_t i = 0; i < VERSIONS; i++)
		feed(&world->references[i], logged);
}

/* ---- settings ---- */

static int tell(struct replica *replica, const struct search_settings *now,
                const struct search_settings *next)
{
	struct text_settings lists[2] = {search_settings_cutting(now->settings)};
	struct error error;
	int rc;

	if (next != NULL)
		lists[1] = search_settings_cutting(next->settings);
	rc = replica_cutting_set(replica, &lists[0], next != NULL ? &lists[1] : NULL, &error);
	CU_ASSERT_TRUE_FATAL(rc == 0 || (rc == ERROR_LIMIT && error.action == ERROR_ACTION_RETRY));
	return rc;
}

static int tell_subject(struct world *world)
{
	return tell(world->subject.replica, world->settings[world->in_force],
	            world->coming == NONE ? NULL : world->settings[world->coming]);
}

static struct replica_status status_of(const struct world *world)
{
	struct replica_status status;

	replica_status(world->subject.replica, &status);
	return status;
}

static bool is_built(const struct world *world)
{
	struct replica_status status = status_of(world);

	return status.memory_lacking + status.disk_lacking == 0;
}

/* Whatever was coming before is forgotten; what waits for others to be cut anew is told again later. */
static void step_coming(struct world *world)
{
	if (world->coming != NONE)
		world->promised[world->coming] = false;
	world->promised[world->in_force] |= is_built(world);
	world->coming = (size_t)draw(world, VERSIONS);
	if (world->coming == world->in_force || tell_subject(world) != 0) {
		world->coming = NONE;
		CU_ASSERT_EQUAL_FATAL(tell_subject(world), 0);
	}
}

/* As the controller does, once it has been told that they are built. */
static void step_switch(struct world *world)
{
	if (world->coming == NONE || !world->promised[world->coming])
		return;
	world->promised[world->in_force] = false;
	world->in_force = world->coming;
	world->coming = NONE;
	CU_ASSERT_EQUAL_FATAL(tell_subject(world), 0);
}

/* What a replica is told that was away when others built them. */
static void step_jump(struct world *world)
{
	size_t before = world->in_force;

	memset(world->promised, 0, sizeof world->promised);
	world->coming = NONE;
	world->in_force = (size_t)draw(world, VERSIONS);
	if (tell_subject(world) != 0)
		world->in_force = before; /* too many at once */
}

/* ---- jobs ---- */

static void give_up(struct world *world)
{
	struct error error = {0};

	if (world->job != NULL)
		replica_compact_end(world->subject.replica, world->job, 0, &error);
	world->job = NULL;
}

static void step_store(struct world *world)
{
	struct replica_store_job *job = replica_store_begin(world->subject.replica);
	struct error error;

	if (job == NULL)
		return;
	CU_ASSERT_EQUAL_FATAL(replica_store_run(job, &error), 0);
	replica_store_end(world->subject.replica, job, 0, &error);
}

/* Some slices of one job; false if there is none. */
static bool step_compact(struct world *world)
{
	struct error error = {0};
	bool more = true;

	if (world->job == NULL)
		world->job = replica_compact_begin(world->subject.replica);
	if (world->job == NULL)
		return false;
	for (uint64_t slices = 1 + draw(world, 20); more && slices > 0; slices--)
		CU_ASSERT_EQUAL_FATAL(replica_compact_run(world->job, 1 + draw(world, 4), &more, &error), 0);
	if (!more)
		give_up(world); /* its end */
	return true;
}

/* The process ends, and what was not stored is fed again. */
static void step_kill(struct world *world)
{
	give_up(world);
	replica_close(world->subject.replica);
	words_free(world->subject.words);
	open_keeping(&world->subject, world->directory);
	if (tell_subject(world) != 0) {
		world->coming = NONE;
		CU_ASSERT_EQUAL_FATAL(tell_subject(world), 0);
	}
	for (size_t i = 0; i < VERSIONS; i++)
		world->promised[i] = world->promised[i] && i == world->in_force;
	world->subject.offset = status_of(world).received;
	while ((size_t)world->subject.offset < world->log_len)
		feed(&world->subject, &world->log[world->subject.offset]);
}

/* ---- answers ---- */

static int ask(struct world *world, struct replica *replica, size_t version, const char *text,
               struct buffer *out)
{
	static const int32_t partition = 0;
	struct snapshot *snapshot = replica_snapshot(replica);
	struct search_question question;
	struct search_reply reply;
	struct arena arena;
	struct search_reply_request request = {.question = &question,
	                                       .settings = world->settings[version],
	                                       .words = world->words,
	                                       .snapshots = &snapshot,
	                                       .partitions = &partition,
	                                       .len = 1,
	                                       .arena = &arena};
	struct error error;
	yyjson_doc *doc;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(json_parse_typed(slice_string(text), &doc, &error), 0);
	CU_ASSERT_EQUAL_FATAL(search_question_read(yyjson_doc_get_root(doc), &arena, &question, &error), 0);
	rc = search_reply(&request, out, &reply, &error);
	if (rc != 0 && (rc != ERROR_VERSION || error.action != ERROR_ACTION_RETRY))
		(void)printf("\n%s\n", error.text);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
	snapshot_release(snapshot);
	return rc;
}

static void check_answer(struct world *world, size_t version, const char *question)
{
	struct buffer found;
	struct buffer expected;
	int rc;

	buffer_init(&found, 1U << 20);
	buffer_init(&expected, 1U << 20);
	rc = ask(world, world->subject.replica, version, question, &found);
	CU_ASSERT_EQUAL_FATAL(ask(world, world->references[version].replica, version, question, &expected),
	                      0);
	if (rc == 0 && !slice_equal(buffer_slice(&found), buffer_slice(&expected))) {
		(void)printf("\n%zu in force, %zu coming, by %zu: %s: %.*s instead of %.*s\n",
		             world->in_force, world->coming, version, question,
		             SLICE_ARGS(buffer_slice(&found)), SLICE_ARGS(buffer_slice(&expected)));
		CU_FAIL_FATAL("an answer by other rules");
	}
	if (rc != 0) {
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_VERSION);
		CU_ASSERT_FALSE_FATAL(world->promised[version]);
		world->refused++;
	}
	buffer_deinit(&found);
	buffer_deinit(&expected);
}

static void promise(struct world *world)
{
	if (is_built(world)) {
		world->promised[world->in_force] = true;
		if (world->coming != NONE)
			world->promised[world->coming] = true;
	}
}

/* One question by each. */
static void check_some(struct world *world)
{
	promise(world);
	for (size_t i = 0; i < VERSIONS; i++)
		check_answer(world, i, questions[draw(world, sizeof questions / sizeof questions[0])]);
}

static void check(struct world *world)
{
	promise(world);
	for (size_t i = 0; i < VERSIONS; i++)
		for (size_t k = 0; k < sizeof questions / sizeof questions[0]; k++)
			check_answer(world, i, questions[k]);
}

static void check_disk(struct world *world)
{
	struct snapshot *snapshot = replica_snapshot(world->subject.replica);
	struct error error = {0};
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	rc = snapshot_verify(snapshot, world->words, &error);
	if (rc != 0)
		(void)printf("\n%s\n", error.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	snapshot_release(snapshot);
}

/* ---- lives ---- */

static void bed_end(struct bed *bed)
{
	replica_close(bed->replica);
	words_free(bed->words);
}

static struct world *world_new(uint64_t seed)
{
	struct world *world = calloc(1, sizeof *world);

	CU_ASSERT_PTR_NOT_NULL_FATAL(world);
	world->seed = seed;
	world->coming = NONE;
	world->words = words_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(world->words);
	(void)snprintf(world->directory, sizeof world->directory, "switch-%llu", (unsigned long long)seed);
	open_keeping(&world->subject, world->directory);
	for (size_t i = 0; i < VERSIONS; i++) {
		char directory[32];

		(void)snprintf(directory, sizeof directory, "switch-%llu-%zu", (unsigned long long)seed, i);
		open_keeping(&world->references[i], directory);
		world->settings[i] = search_settings_bed(settings_texts[i], (int64_t)i);
		CU_ASSERT_EQUAL_FATAL(tell(world->references[i].replica, world->settings[i], NULL), 0);
	}
	return world;
}

static void world_free(struct world *world)
{
	give_up(world);
	bed_end(&world->subject);
	for (size_t i = 0; i < VERSIONS; i++) {
		bed_end(&world->references[i]);
		search_settings_release(world->settings[i]);
	}
	words_free(world->words);
	free(world);
}

/* Built, switched to, and cut anew, step by step: the settings in force answer all the time. */
static void test_build_and_switch(void)
{
	struct world *world = world_new(1);

	for (size_t i = 0; i < 30; i++) {
		step_document(world);
		if (i % 6 == 5)
			step_store(world);
	}
	check(world);
	CU_ASSERT_TRUE(world->promised[0]);
	world->coming = 1;
	CU_ASSERT_EQUAL_FATAL(tell_subject(world), 0);
	CU_ASSERT_FALSE(is_built(world));
	while (!is_built(world)) {
		check(world);
		CU_ASSERT_FALSE(world->promised[1]);
		step_document(world);
		if (!step_compact(world))
			step_store(world);
	}
	check(world);
	CU_ASSERT_TRUE(world->promised[0] && world->promised[1]);
	check_disk(world);
	step_switch(world);
	CU_ASSERT_EQUAL(world->in_force, 1);
	while (step_compact(world))
		check(world);
	step_store(world);
	while (step_compact(world))
		check(world);
	check_disk(world);
	/* nothing of the former ones is left, nor of what was built beside */
	world->refused = 0;
	check(world);
	/* one of the questions has no words */
	CU_ASSERT_EQUAL(world->refused, 3 * (sizeof questions / sizeof questions[0] - 1));
	CU_ASSERT_EQUAL(status_of(world).disk_value_sets,
	                status_of(world).disk_segments); /* of what is kept */
	world_free(world);
}

static void live(uint64_t seed)
{
	struct world *world = world_new(seed);

	for (size_t i = 0; i < STEPS; i++) {
		uint64_t dice = draw(world, 100);

		if (dice < 40)
			step_document(world);
		else if (dice < 52)
			step_store(world);
		else if (dice < 82)
			(void)step_compact(world);
		else if (dice < 88)
			step_coming(world);
		else if (dice < 95)
			step_switch(world);
		else if (dice < 96)
			step_jump(world);
		else if (dice < 98)
			step_kill(world);
		else
			give_up(world);
		check_some(world);
		if (dice % 8 == 0)
			check_disk(world);
	}
	/* all that there is to do ends */
	give_up(world);
	for (size_t i = 0; i < 500 && (status_of(world).segments > 0 || step_compact(world)); i++) {
		if (world->job == NULL)
			step_store(world);
		check_some(world);
	}
	CU_ASSERT_TRUE(is_built(world));
	CU_ASSERT_PTR_NULL(world->job);
	check_disk(world);
	world_free(world);
}

static void test_lives(void)
{
	for (uint64_t seed = 2; seed < 2 + SEEDS; seed++)
		live(seed);
}

int main(void)
{
	CU_TestInfo tests[] = {{"built beside, then switched", test_build_and_switch},
	                       {"lives", test_lives},
	                       CU_TEST_INFO_NULL};

	return suite_run("cutting switch", tests);
}
