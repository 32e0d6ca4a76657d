/*
 * Random sequences of all that can happen to a replica, against a plain model
 * (sequence_model.h, sequence_check.h): ranges with every kind of operation,
 * sent twice, overlapping, ahead, or of another incarnation; merges in memory
 * and on disk; attributes that come and go, and are built; stores during which
 * more is received; rewrites of the file, and copies of it that take its place,
 * with all of that between their slices and pages; calls of the store that fail;
 * kills between any two calls of the store, and restarts. The environment is a
 * real one. After every step all that can be asked is what the model says.
 *
 *   test_replica_model [--seed S] [--sequences N] [--jobs J]
 *
 * The seed of each sequence is printed before it runs: what fails is the last.
 * `model` is the same program, fast and without sanitizers.
 */
#include "tests/unit/sequence_bed.h"

#include <sys/wait.h>

#define SEQUENCES 200
#define LARGE_ONE_IN 40

static uint64_t seed_first = 1;
static uint64_t sequences = SEQUENCES;
static uint64_t compactions; /* that came to their end */
static uint64_t rewrites;
static uint64_t builds;
static uint64_t copies; /* that took the place of what they are of */

/* ---- ranges ---- */

static void step_receive_checked(struct sequence *sequence)
{
	bool killed;

	if (sequence_chance(sequence, 4))
		faults_begin(sequence);
	step_receive(sequence);
	killed = faults_end();
	if (killed)
		restart(sequence);
	else
		sequence_look(sequence);
}

/* ---- merges and stores ---- */

struct slice_end {
	int rc;
	struct error error;
	bool killed;
};

static void step_merge(struct sequence *sequence)
{
	bool all = sequence_chance(sequence, 2);

	while (replica_merge(sequence->replica) && all)
		continue;
	sequence_look(sequence);
}

/* True if the process is to be dead. */
static bool store_once(struct sequence *sequence)
{
	struct replica_store_job *job = replica_store_begin(sequence->replica);
	int64_t received = sequence->received;
	struct error error = {0};
	bool killed;
	int rc;

	if (job == NULL)
		return false;
	if (sequence_chance(sequence, 3))
		step_receive(sequence);
	faults_begin(sequence);
	rc = replica_store_run(job, &error);
	CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_LIMIT ||
	                     (has_failed && error.action == ERROR_ACTION_RETRY));
	killed = faults_end();
	if (!killed && sequence_chance(sequence, 8)) /* on disk and in memory at once */
		sequence_check(sequence);
	if (!killed && sequence_chance(sequence, 3))
		step_receive(sequence);
	if (rc == 0 && sequence_chance(sequence, 10)) { /* nobody saw its end */
		rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "killed");
		killed = true;
	}
	fails_on = killed; /* what ends it can write no more */
	has_failed = killed;
	replica_store_end(sequence->replica, job, rc, &error);
	fails_on = false;
	if (killed)
		return true;
	if (rc == 0) {
		int64_t stored = sequence_status(sequence).stored;

		CU_ASSERT_TRUE_FATAL(stored > sequence->stored && stored <= received);
		sequence->stored = stored;
	}
	sequence_check(sequence);
	return false;
}

static void step_store(struct sequence *sequence)
{
	if (store_once(sequence))
		restart(sequence);
}

/* A slice of a rewrite; true if the process is to be dead. */
static bool rewrite_once(struct sequence *sequence)
{
	struct error error = {0};
	bool more = true;
	bool killed;
	int rc;

	if (rewrite == NULL)
		rewrite = rewrite_new(opened);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rewrite);
	if (sequence_chance(sequence, 4))
		faults_begin(sequence);
	else
		has_failed = false;
	rc = rewrite_run(rewrite, &more, &error);
	CU_ASSERT_TRUE_FATAL(rc == 0 || (has_failed && error.action == ERROR_ACTION_RETRY));
	killed = faults_end();
	rewrites += rc == 0 && !more;
	if (rc != 0 || !more)
		rewrite_give_up();
	return killed;
}

static void step_rewrite(struct sequence *sequence)
{
	uint64_t slices = sequence_chance(sequence, 2) ? 1 : 30;
	bool killed = rewrite_once(sequence);

	while (!killed && rewrite != NULL && --slices > 0)
		killed = rewrite_once(sequence);
	if (killed)
		restart(sequence);
	else
		sequence_check(sequence);
}

/* One slice, and what comes before the next one; false if it was the last. */
static bool slice(struct sequence *sequence, struct replica_compact_job *job, struct slice_end *end)
{
	size_t steps = sequence_chance(sequence, 2) ? 1 + sequence_draw(sequence, 8) : REPLICA_SLICE_STEPS;
	bool more = true;

	if (sequence_chance(sequence, 4))
		faults_begin(sequence);
	else
		has_failed = false;
	end->rc = replica_compact_run(job, steps, &more, &end->error);
	CU_ASSERT_TRUE_FATAL(end->rc == 0 || end->rc == ERROR_LIMIT ||
	                     (has_failed && end->error.action == ERROR_ACTION_RETRY));
	end->killed = faults_end();
	if (end->killed || end->rc != 0)
		return false;
	compactions += !more;
	if (sequence_chance(sequence, 8)) /* on disk twice */
		sequence_check(sequence);
	if (more && sequence_chance(sequence, 3))
		step_receive(sequence);
	if (more && sequence_chance(sequence, 3))
		end->killed = store_once(sequence);
	if (more && !end->killed && sequence_chance(sequence, 3))
		end->killed = rewrite_once(sequence);
	if (more && !end->killed && sequence_chance(sequence, 12))
		step_attributes(sequence);
	if (more && !end->killed && sequence_chance(sequence, 12))
		step_cutting(sequence);
	return more && !end->killed;
}

/* With ranges and stores between its slices; it is given up, fails, or is killed anywhere. */
static void step_compact(struct sequence *sequence)
{
	struct replica_compact_job *job = replica_compact_begin(sequence->replica);
	struct slice_end end = {.rc = 0};
	uint64_t built = sequence_status(sequence).builds;

	if (job == NULL)
		return;
	while (slice(sequence, job, &end) && !sequence_chance(sequence, 20))
		continue;
	fails_on = has_failed = end.killed;
	replica_compact_end(sequence->replica, job, end.rc, &end.error);
	builds += sequence_status(sequence).builds - built;
	fails_on = false;
	if (end.killed)
		restart(sequence);
	else
		sequence_check(sequence);
}

/* ---- copies ---- */

/* A copy on its way into another directory. */
struct copying {
	char directory[sizeof((struct sequence *)NULL)->directory + 8];
	struct replica_identity identity;
	struct copy_source *source;
	struct kv *kv;
	struct copy_target *target;
	int64_t stored;
};

static void directory_remove(const char *directory)
{
	static const char *const files[] = {"data.mdb", "lock.mdb", "owner.lock"};
	char path[80];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, files[i]);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
	CU_ASSERT_EQUAL(rmdir(directory), 0);
}

/* With an empty head it goes on. */
static void copying_open(struct copying *copying, struct slice head)
{
	struct error error = {0};

	sequence_succeeded(kv_open(copying->directory, &copying->kv, &error), &error);
	sequence_succeeded(copy_target_open(copying->kv, &copying->identity, head, &copying->target, &error),
	                   &error);
}

static void copying_close(struct copying *copying)
{
	copy_target_free(copying->target);
	kv_close(copying->kv);
}

static void copying_begin(struct sequence *sequence, struct copying *copying)
{
	struct copy_head read;
	struct buffer head;
	struct error error = {0};

	(void)snprintf(copying->directory, sizeof copying->directory, "%s-copy", sequence->directory);
	copying->identity = identity_of(sequence);
	buffer_init(&head, COPY_HEAD_BYTES_MAX);
	sequence_succeeded(replica_copy(sequence->replica, &copying->source, &error), &error);
	sequence_succeeded(copy_source_head(copying->source, &head, &error), &error);
	sequence_succeeded(copy_head_read(buffer_slice(&head), &read, &error), &error);
	copying->stored = read.mark.received;
	copying_open(copying, buffer_slice(&head));
	buffer_deinit(&head);
}

/* One page; whoever takes it may be killed, or not be able to write it. */
static void copying_page(struct sequence *sequence, struct copying *copying)
{
	struct buffer page;
	struct error error = {0};
	int rc;

	buffer_init(&page, COPY_PAGE_BYTES_MAX);
	sequence_succeeded(
		copy_source_page(copying->source, copy_target_after(copying->target), 0, &page, &error),
		&error);
	if (sequence_chance(sequence, 4))
		faults_begin(sequence);
	else
		has_failed = false;
	rc = copy_target_page(copying->target, buffer_slice(&page), &error);
	CU_ASSERT_TRUE_FATAL(rc == 0 || (has_failed && error.action == ERROR_ACTION_RETRY));
	buffer_deinit(&page);
	if (faults_end()) {
		copying_close(copying);
		copying_open(copying, slice_of("", 0));
	}
}

static void compact_all(struct sequence *sequence)
{
	struct replica_compact_job *job = replica_compact_begin(sequence->replica);
	struct error error = {0};
	bool more = true;

	if (job == NULL)
		return;
	while (more)
		sequence_succeeded(replica_compact_run(job, REPLICA_SLICE_STEPS, &more, &error), &error);
	replica_compact_end(sequence->replica, job, 0, &error);
}

/* What goes on beside a copy; true if the process is to be dead. */
static bool beside_copy(struct sequence *sequence)
{
	if (sequence_chance(sequence, 3))
		step_receive(sequence);
	if (sequence_chance(sequence, 4) && store_once(sequence))
		return true;
	if (sequence_chance(sequence, 4))
		compact_all(sequence);
	return sequence_chance(sequence, 4) && rewrite_once(sequence);
}

/* The copy takes the place of what it is of, as of then. */
static void copying_finish(struct sequence *sequence, struct copying *copying)
{
	struct error error = {0};

	sequence_succeeded(copy_target_finish(copying->target, &error), &error);
	copying_close(copying);
	rewrite_give_up();
	replica_close(sequence->replica);
	directory_remove(sequence->directory);
	CU_ASSERT_EQUAL_FATAL(rename(copying->directory, sequence->directory), 0);
	open_replica(sequence);
	CU_ASSERT_EQUAL_FATAL(sequence_status(sequence).stored, copying->stored);
	sequence->stored = copying->stored;
	sequence_rewind(sequence, copying->stored);
	attributes_again(sequence);
	cutting_put(sequence);
	sequence_check(sequence);
	copies++;
}

static void step_copy(struct sequence *sequence)
{
	struct copying copying;
	bool killed = false;

	copying_begin(sequence, &copying);
	while (!killed && !copy_target_is_whole(copying.target)) {
		copying_page(sequence, &copying);
		killed = beside_copy(sequence);
	}
	copy_source_release(copying.source);
	if (!killed) {
		copying_finish(sequence, &copying);
		return;
	}
	copying_close(&copying);
	directory_remove(copying.directory);
	restart(sequence);
}

/* ---- sequences ---- */

static void sequence_open(struct sequence *sequence, uint64_t seed)
{
	bool large = seed % LARGE_ONE_IN == 0;

	memset(sequence, 0, sizeof *sequence);
	sequence->dice = seed * 1000003;
	(void)snprintf(sequence->directory, sizeof sequence->directory, "sequence-%" PRIu64, seed);
	sequence->ids_len = large ? SEQUENCE_IDS_MAX : 1 + sequence_draw(sequence, SEQUENCE_SMALL);
	sequence->long_ids = sequence_chance(sequence, 3);
	sequence->noting = sequence_chance(sequence, 2);
	sequence->barriers = !large || sequence_chance(sequence, 2);
	sequence->vocabulary = 1 + sequence_draw(sequence, large ? 5000 : 60);
	sequence->text_words_max = sequence_draw(sequence, sequence_chance(sequence, 4) ? 400 : 12);
	sequence->ops_max = 1 + sequence_draw(sequence, large ? 600 : sequence_chance(sequence, 2) ? 8 : 40);
	sequence->document_bytes_max = 60 + sequence_draw(sequence, 400);
	sequence->window = (int64_t)sequence_draw(sequence, sequence_chance(sequence, 2) ? 20 : 3000);
	/* a seal is near, or nothing special */
	sequence->base = (int64_t)(sequence_chance(sequence, 2) ? RANGE_SEAL - sequence_draw(sequence, 100)
	                                                        : sequence_draw(sequence, RANGE_SEAL));
	sequence->end = sequence->received = sequence->stored = sequence->base;
	buffer_init(&sequence->text, 1 << 20);
	sequence_ids(sequence);
	open_replica(sequence);
	step_attributes(sequence);
}

/* Rules that waited come when nothing is left to do by those before. */
static struct replica_compact_job *compaction_begin(struct sequence *sequence)
{
	struct replica_compact_job *job = replica_compact_begin(sequence->replica);

	if (job != NULL || !sequence->cutting_waits)
		return job;
	cutting_put(sequence);
	job = replica_compact_begin(sequence->replica);
	CU_ASSERT_TRUE_FATAL(job != NULL || !sequence->cutting_waits);
	return job;
}

/* When all is stored, merged and built, every attribute is answered for, and nothing is left of what was tried, given
 * up or replaced. */
static void check_left_over(struct sequence *sequence)
{
	struct replica_compact_job *job;
	uint64_t segments;

	while (sequence_status(sequence).stored < sequence->received) {
		struct replica_store_job *store = replica_store_begin(sequence->replica);
		struct error error = {0};

		CU_ASSERT_PTR_NOT_NULL_FATAL(store);
		sequence_succeeded(replica_store_run(store, &error), &error);
		replica_store_end(sequence->replica, store, 0, &error);
	}
	for (int tries = 0; (job = compaction_begin(sequence)) != NULL; tries++) {
		bool gives_up = tries < 8;
		struct error error = {0};
		bool more = true;

		do
			sequence_succeeded(
				replica_compact_run(job, gives_up ? 1 : REPLICA_SLICE_STEPS, &more, &error),
				&error);
		while (more && !gives_up);
		replica_compact_end(sequence->replica, job, 0, &error);
	}
	sequence_check(sequence);
	CU_ASSERT_EQUAL_FATAL(sequence_status(sequence).disk_lacking, 0);
	check_all_answered(sequence);
	check_cutting(sequence);
	segments = segments_listed(sequence);
	rewrite_give_up();
	replica_close(sequence->replica);
	CU_ASSERT_EQUAL_FATAL(segments_with_chunks(sequence), segments);
}

static void sequence_close(struct sequence *sequence)
{
	check_left_over(sequence);
	directory_remove(sequence->directory);
	buffer_deinit(&sequence->text);
	free(sequence->log);
}

static void sequence_run(uint64_t seed)
{
	static struct sequence sequence;

	sequence_open(&sequence, seed);
	for (uint64_t steps = 15 + sequence_draw(&sequence, 40); steps-- > 0;) {
		uint64_t what = sequence_draw(&sequence, 27);

		if (what < 9)
			step_receive_checked(&sequence);
		else if (what < 11)
			step_merge(&sequence);
		else if (what < 16)
			step_store(&sequence);
		else if (what < 20)
			step_compact(&sequence);
		else if (what < 21)
			step_attributes(&sequence);
		else if (what < 24)
			step_rewrite(&sequence);
		else if (what < 25)
			restart(&sequence);
		else if (what < 26)
			step_cutting(&sequence);
		else
			step_copy(&sequence);
	}
	sequence_close(&sequence);
}

static void test_sequences(void)
{
	compactions = 0;
	rewrites = 0;
	builds = 0;
	copies = 0;
	for (uint64_t i = 0; i < sequences; i++) {
		printf("%" PRIu64 " ", seed_first + i);
		(void)fflush(stdout);
		sequence_run(seed_first + i);
	}
	CU_ASSERT_TRUE(sequences < SEQUENCES || (compactions >= sequences / 10 && rewrites >= sequences / 2 &&
	                                         builds >= sequences / 10 && copies >= sequences / 2));
	printf("%" PRIu64 " compactions, %" PRIu64 " builds, %" PRIu64 " rewrites, %" PRIu64 " copies ",
	       compactions, builds, rewrites, copies);
}

static int run(void)
{
	CU_TestInfo tests[] = {{"random sequences are what the model says", test_sequences},
	                       CU_TEST_INFO_NULL};

	return suite_run("replica model", tests);
}

static uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return strtoull(argv[i + 1], NULL, 10);
	return otherwise;
}

/* A share of the sequences in a process of its own, whose output is a file's. */
static pid_t share_start(uint64_t share, uint64_t len)
{
	char log[48];
	pid_t child = fork();

	if (child != 0)
		return child;
	seed_first += share * len;
	sequences = len;
	(void)snprintf(log, sizeof log, "sequences-%" PRIu64 ".log", seed_first);
	if (freopen(log, "w", stdout) == NULL)
		_exit(2);
	_exit(run());
}

static int run_shares(uint64_t jobs)
{
	uint64_t len = (sequences + jobs - 1) / jobs;
	int failed = 0;

	for (uint64_t i = 0; i < jobs; i++)
		if (share_start(i, len) < 0)
			failed = 1;
	for (int status; wait(&status) > 0;)
		failed |= status != 0;
	printf("%" PRIu64 " sequences from seed %" PRIu64 ": %s\n", jobs * len, seed_first,
	       failed ? "failed; the last seed in sequences-*.log" : "as the model says");
	return failed;
}

int main(int argc, char **argv)
{
	uint64_t jobs = argument(argc, argv, "--jobs", 1);

	seed_first = argument(argc, argv, "--seed", 0);
	sequences = argument(argc, argv, "--sequences", seed_first == 0 ? SEQUENCES : 1);
	if (seed_first == 0)
		seed_first = 1;
	return jobs > 1 ? run_shares(jobs) : run();
}
