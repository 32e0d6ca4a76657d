#include "tests/crash/workload.h"

#include "shard/engine/text.h"
#include "tests/crash/recorder.h"
#include "tests/simulation/dice.h"

/* The real module, with slices so short that a rewrite of these files takes many. */
#define REWRITE_SLICE_BYTES 8000
#include "shard/kv_rewrite.c"

#include <sys/wait.h>

#define RECORDS 320
#define RANGE_RECORDS_MAX 14
#define LIVES_MAX 200
#define SLICE_STEPS_MAX 60
#define SLICES_MAX 20
#define FAULT_PERMILLE 80 /* of the stores */
#define FAULT_CALLS_MAX 5
#define KILL_PERMILLE 40   /* of the actions */
#define KILL_WRITES_MAX 24 /* of them a store makes that many */

void workload_model(struct fold_model *model, uint64_t seed)
{
	*model = (struct fold_model){.seed = seed, .log_max = RECORDS, .end = FOLD_BASE, .noting = true};
	model->log = calloc(RECORDS, sizeof *model->log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model->log);
	for (size_t i = 0; i < FOLD_IDS; i++)
		snprintf(model->ids[i], sizeof model->ids[i], "d%zu", i);
	snprintf(model->directory, sizeof model->directory, WORKLOAD_DIRECTORY);
	while (model->end < FOLD_BASE + RECORDS)
		fold_append(model);
}

/* What of a compaction is under way; NULL: none is. */
static struct replica_compact_job *compaction;

int workload_compact(struct fold_model *model, size_t steps, bool *any, struct error *error)
{
	bool more = false;
	int rc;

	if (compaction == NULL)
		compaction = replica_compact_begin(model->replica);
	*any = compaction != NULL;
	if (compaction == NULL)
		return 0;
	rc = replica_compact_run(compaction, steps, &more, error);
	if (rc == 0 && more)
		return 0;
	replica_compact_end(model->replica, compaction, rc, error);
	compaction = NULL;
	return rc;
}

void workload_attributes(struct fold_model *model, unsigned which)
{
	struct slice paths[FOLD_MEMBERS];
	struct error error;
	size_t len = 0;

	for (size_t i = 0; i < FOLD_MEMBERS; i++)
		if ((which >> i & 1) != 0)
			paths[len++] = slice_string(fold_names[i]);
	CU_ASSERT_EQUAL_FATAL(replica_attributes_set(model->replica,
	                                             replica_attributes_version(model->replica) + 1, paths,
	                                             len, &error),
	                      0);
}

void workload_cutting(struct fold_model *model, unsigned which)
{
	static const char *const stops[WORKLOAD_STOPS] = {"alpha", "e"};
	struct slice words[2][WORKLOAD_STOPS];
	struct text_settings settings[2] = {{.stop_words = words[0]}, {.stop_words = words[1]}};
	struct error error;
	int rc;

	for (size_t i = 0; i < 2 * WORKLOAD_STOPS; i++) {
		struct text_settings *of = &settings[i / WORKLOAD_STOPS];

		if ((which >> i & 1) != 0)
			words[i / WORKLOAD_STOPS][of->stop_words_len++] =
				slice_string(stops[i % WORKLOAD_STOPS]);
	}
	rc = replica_cutting_set(model->replica, &settings[0], &settings[1], &error);
	CU_ASSERT_TRUE_FATAL(rc == 0 || rc == ERROR_LIMIT); /* too many are not caught up with yet */
}

static void compaction_give_up(struct fold_model *model)
{
	struct error error = {0}; /* nothing went wrong */

	if (compaction != NULL)
		replica_compact_end(model->replica, compaction, 0, &error);
	compaction = NULL;
}

static struct kv_rewrite *rewrite; /* NULL: none is under way */

static void rewrite_give_up(void)
{
	rewrite_free(rewrite);
	rewrite = NULL;
}

int workload_rewrite(struct fold_model *model, bool *more, struct error *error)
{
	int rc;

	if (rewrite == NULL)
		rewrite = rewrite_new(model->kv);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rewrite);
	*more = true;
	rc = rewrite_run(rewrite, more, error);
	if (rc != 0 || !*more)
		rewrite_give_up();
	return rc;
}

int workload_store(struct fold_model *model, struct error *error)
{
	struct replica_store_job *job;
	bool any;
	int rc;

	while ((job = replica_store_begin(model->replica)) == NULL) {
		rc = workload_compact(model, REPLICA_SLICE_STEPS, &any, error);
		if (rc != 0)
			return rc;
		CU_ASSERT_TRUE_FATAL(any);
	}
	recorder_mark(TRACE_STORING, fold_status(model).received);
	rc = replica_store_run(job, error);
	replica_store_end(model->replica, job, rc, error);
	recorder_mark(TRACE_STORED, fold_status(model).stored);
	return rc;
}

/* Somewhere in what follows. */
static void kill_perhaps(struct dice *dice)
{
	if (dice_chance(dice, KILL_PERMILLE))
		recorder_kill_after(1 + dice_below(dice, KILL_WRITES_MAX));
	else if (dice_chance(dice, KILL_PERMILLE))
		recorder_kill_unsynced();
	else if (dice_chance(dice, 2 * KILL_PERMILLE)) /* few actions give names */
		recorder_kill_renamed();
}

static void fail_perhaps(struct dice *dice)
{
	if (dice_chance(dice, FAULT_PERMILLE))
		recorder_fail((enum recorder_fault)dice_below(dice, RECORDER_FAULTS),
		              1 + dice_below(dice, FAULT_CALLS_MAX), 1 + dice_below(dice, FAULT_CALLS_MAX));
}

/* What fails is tried again. */
static void store(struct fold_model *model, struct dice *dice)
{
	fail_perhaps(dice);
	while (fold_status(model).stored < fold_status(model).received) {
		struct error error;

		CU_ASSERT_TRUE_FATAL(workload_store(model, &error) == 0 || recorder_has_failed());
	}
	recorder_fail(RECORDER_FAULT_ANY, 0, 0);
}

static void compact(struct fold_model *model, size_t steps)
{
	struct error error;
	bool any;

	CU_ASSERT_EQUAL_FATAL(workload_compact(model, steps, &any, &error), 0);
}

/* Some slices; one that fails ends it. */
static void rewrite_some(struct fold_model *model, struct dice *dice)
{
	bool more = true;

	if (rewrite == NULL && recorder_files_left() == 0)
		return;
	fail_perhaps(dice);
	for (int64_t slices = dice_between(dice, 1, SLICES_MAX); more && slices > 0; slices--) {
		struct error error;
		int rc = workload_rewrite(model, &more, &error);

		CU_ASSERT_TRUE_FATAL(rc == 0 || recorder_has_failed());
		more = more && rc == 0;
	}
	recorder_fail(RECORDER_FAULT_ANY, 0, 0);
}

static void reopen(struct fold_model *model)
{
	rewrite_give_up();
	compaction_give_up(model);
	fold_reopen(model);
	recorder_mark(TRACE_STORED, fold_status(model).stored);
}

static void act(struct fold_model *model, struct dice *dice)
{
	int64_t received = fold_status(model).received;
	int64_t to = received + dice_between(dice, 1, RANGE_RECORDS_MAX);
	uint32_t what = dice_below(dice, 50);

	if (what < 16 && received < model->end)
		fold_receive(model, received, to < model->end ? to : model->end);
	else if (what < 26)
		store(model, dice);
	else if (what < 36)
		compact(model, 1 + dice_below(dice, SLICE_STEPS_MAX));
	else if (what < 38)
		(void)replica_merge(model->replica);
	else if (what < 44)
		rewrite_some(model, dice);
	else if (what < 46)
		workload_attributes(model, dice_below(dice, 1U << FOLD_MEMBERS));
	else if (what < 48)
		workload_cutting(model, dice_below(dice, 1U << 2 * WORKLOAD_STOPS));
	else
		reopen(model);
}

static void life(struct fold_model *model, struct dice *dice)
{
	if (dice_chance(dice, KILL_PERMILLE))
		recorder_kill_after(1 + dice_below(dice, 4)); /* while it opens */
	reopen(model);
	recorder_kill_after(0);
	while (fold_status(model).stored < model->end) {
		kill_perhaps(dice);
		act(model, dice);
		recorder_kill_after(0);
	}
	rewrite_give_up();
	compaction_give_up(model);
	replica_close(model->replica);
}

bool workload_run(struct fold_model *model, uint64_t seed, struct trace *trace)
{
	int status = 0;

	for (uint64_t lived = 0; lived < LIVES_MAX; lived++) {
		pid_t child = fork();

		if (child == 0) {
			struct dice dice;

			dice_seed(&dice, seed * LIVES_MAX + lived);
			model->session = lived << 32;
			recorder_start(trace, WORKLOAD_DIRECTORY);
			life(model, &dice);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
			return false;
		if (WEXITSTATUS(status) != RECORDER_KILLED)
			return WEXITSTATUS(status) == 0;
	}
	return false;
}
