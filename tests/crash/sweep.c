#include "tests/crash/sweep.h"

#include "tests/crash/check.h"
#include "tests/crash/recorder.h"
#include "tests/crash/tree.h"
#include "tests/crash/workload.h"

#include <sys/wait.h>

#define ATTRIBUTES 3U /* of which the first store knows nothing: bits of members */
#define SEED 7
#define RECORDS 63
#define RANGE_RECORDS 6
#define SLICE_STEPS 200
#define CALLS_MAX 2000 /* of one life */
#define NO_FAULT 43    /* exit code of a life in which nothing failed */
#define TRIES_MAX 64

static const char *const names[RECORDER_FAULTS] = {"write",        "write cut short",   "sync",
                                                   "synced write", "synced write left", "any call"};
static const unsigned in_a_row[] = {1, 6};
#define ROWS (sizeof in_a_row / sizeof in_a_row[0])

static bool once; /* one call fails, and then the disk works */

/* Tried again until it goes through; the first call of it must already be told as what it is. */
static void store(struct fold_model *model)
{
	int64_t stored = fold_status(model).stored;

	for (unsigned tries = 0; fold_status(model).stored < fold_status(model).received; tries++) {
		struct error error;
		int rc = workload_store(model, &error);

		CU_ASSERT_TRUE_FATAL(tries < TRIES_MAX);
		if (rc == 0) {
			stored = fold_status(model).stored;
			continue;
		}
		if (error.action != ERROR_ACTION_RETRY)
			fprintf(stderr, "%s\n", error.text);
		CU_ASSERT_TRUE_FATAL(recorder_has_failed());
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_STORAGE);
		CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_EQUAL_FATAL(fold_status(model).stored, stored);
		CU_ASSERT_TRUE_FATAL(fold_status(model).state != REPLICA_STATE_STOPPED);
		if (once)
			check_contents(model);
	}
	check_contents(model);
}

/* All there is to do; what fails is begun again. */
static void compact(struct fold_model *model)
{
	struct error error;
	unsigned failures = 0;
	bool any = true;

	while (any) {
		int rc = workload_compact(model, SLICE_STEPS, &any, &error);

		if (rc == 0)
			continue;
		any = true;
		CU_ASSERT_TRUE_FATAL(recorder_has_failed());
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_STORAGE);
		CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_TRUE_FATAL(++failures < TRIES_MAX);
	}
	check_contents(model);
}

/* To its end; what fails is begun again. */
static void rewrite(struct fold_model *model)
{
	struct error error;
	unsigned failures = 0;
	bool more = true;

	while (more) {
		int rc = workload_rewrite(model, &more, &error);

		if (rc == 0)
			continue;
		CU_ASSERT_TRUE_FATAL(recorder_has_failed());
		CU_ASSERT_EQUAL_FATAL(rc, ERROR_STORAGE);
		CU_ASSERT_EQUAL_FATAL(error.action, ERROR_ACTION_RETRY);
		CU_ASSERT_TRUE_FATAL(++failures < TRIES_MAX);
		check_contents(model);
	}
	check_contents(model);
}

/* If anything failed in it. */
static bool life(struct fold_model *model)
{
	bool failed;

	while (fold_status(model).received < model->end) {
		int64_t received = fold_status(model).received;

		fold_receive(model, received, received + RANGE_RECORDS);
		store(model);
		if (received == FOLD_BASE) {
			workload_attributes(model, ATTRIBUTES);
			workload_cutting(model, 1 | 2 << WORKLOAD_STOPS);
		}
	}
	compact(model);
	CU_ASSERT_EQUAL_FATAL(fold_status(model).disk_lacking, 0);
	rewrite(model);
	failed = recorder_has_failed();
	recorder_fail(RECORDER_FAULT_ANY, 0, 0);
	fold_reopen(model);
	CU_ASSERT_EQUAL_FATAL(fold_status(model).stored, fold_status(model).received);
	check_contents(model);
	replica_close(model->replica);
	return failed;
}

static int life_fork(struct fold_model *model, enum recorder_fault fault, unsigned n, unsigned times)
{
	struct trace *trace = recorder_trace();
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		recorder_start(trace, WORKLOAD_DIRECTORY);
		fold_reopen(model);
		recorder_fail(fault, n, times);
		once = times == 1;
		_exit(life(model) ? 0 : NO_FAULT);
	}
	CU_ASSERT_TRUE_FATAL(child > 0 && waitpid(child, &status, 0) == child);
	recorder_trace_free(trace);
	tree_remove(WORKLOAD_DIRECTORY);
	return status;
}

unsigned sweep_run(unsigned *faults)
{
	struct fold_model model;
	unsigned failures = 0;

	workload_model(&model, SEED);
	model.end = FOLD_BASE + RECORDS;
	*faults = 0;
	for (size_t i = 0; i < RECORDER_FAULTS * ROWS; i++) {
		enum recorder_fault fault = (enum recorder_fault)(i / ROWS);
		unsigned times = in_a_row[i % ROWS];

		if (fault == RECORDER_FAULT_ANY && times == 1)
			continue; /* each of the others was that */
		for (unsigned n = 1; n < CALLS_MAX; n += times) {
			int status = life_fork(&model, fault, n, times);

			if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FAULT)
				break;
			++*faults;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				continue;
			printf("FAILED: %s number %u fails, %u in a row: %s %d\n", names[fault], n, times,
			       WIFSIGNALED(status) ? "signal" : "exit code",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
			failures++;
			break;
		}
	}
	free(model.log);
	return failures;
}
