#include "tests/crash/flips.h"

#include "tests/crash/tree.h"
#include "tests/crash/workload.h"
#include "tests/simulation/dice.h"

#include "shared/base/assert.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#define SEED 11
#define RANGE_RECORDS 16
#define ATTRIBUTES 3U /* bits of members */
#define PAGE 4096
#define FILE_NAME WORKLOAD_DIRECTORY "/data.mdb"
#define OUTCOME_BEGIN 50 /* exit codes: those of others are lower */

static bool is_error(int rc)
{
	return rc == ERROR_DAMAGED || rc == ERROR_STORAGE || rc == ERROR_VERSION;
}

/* One answer: right, an error, or wrong. */
static void judge(enum flip_outcome *outcome, int rc, bool right)
{
	if (is_error(rc) && *outcome != FLIP_WRONG)
		*outcome = FLIP_FOUND;
	else if (!is_error(rc) && !right)
		*outcome = FLIP_WRONG;
}

static void judge_gets(struct fold_model *model, const struct fold_document *wanted, struct arena *arena,
                       enum flip_outcome *outcome)
{
	for (size_t i = 0; i < FOLD_IDS; i++) {
		struct document document;
		struct error error;
		int rc = reads_get(model->replica, slice_string(model->ids[i]), arena, &document, &error);

		judge(outcome, rc,
		      wanted[i].exists ? rc == 0 && slice_equal(document.body, slice_string(wanted[i].text))
		                       : rc == ERROR_NOT_FOUND);
	}
}

static enum flip_outcome judge_all(struct fold_model *model, int64_t stored)
{
	struct fold_document wanted[FOLD_IDS];
	struct replica_status status = fold_status(model);
	enum flip_outcome outcome = status.stored == stored ? FLIP_RIGHT : FLIP_OLDER;
	struct document_page page = {0};
	struct asked_page found = {0};
	struct arena arena;
	struct asked_search asked = {.query = "rot ", .limit = FOLD_IDS, .arena = &arena};
	struct document_request request = {0, FOLD_IDS, false, &arena};
	struct error error;
	uint64_t count = 0;
	uint64_t red = 0;
	int rc;

	if (status.stored < FOLD_BASE || status.stored > stored)
		return FLIP_WRONG;
	fold_all(model, status.stored, wanted);
	for (size_t i = 0; i < FOLD_IDS; i++) {
		count += wanted[i].exists;
		red += wanted[i].exists && filter_red(&wanted[i]);
	}
	arena_init(&arena, 4096);
	rc = asked_replica(model->replica, &asked, &found, &error);
	judge(&outcome, rc, rc == 0 && found.total == red && found.len == red);
	rc = reads_list(model->replica, &request, &page, &error);
	judge(&outcome, rc, rc == 0 && page.count == count);
	judge_gets(model, wanted, &arena, &outcome);
	rc = reads_verify(model->replica, &error);
	judge(&outcome, rc, rc == 0);
	arena_deinit(&arena);
	return outcome;
}

/* The same of a file that was written anew. One that cannot be stays. */
static enum flip_outcome judge_rewritten(struct fold_model *model, int64_t stored)
{
	struct error error;
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = workload_rewrite(model, &more, &error);
	return rc == 0 || is_error(rc) ? judge_all(model, stored) : FLIP_WRONG;
}

static enum flip_outcome open_and_judge(struct fold_model *model, int64_t stored)
{
	struct replica_identity identity = fold_identity();
	enum flip_outcome outcome;
	struct error error;
	struct kv *kv;

	if (kv_open(model->directory, &kv, &error) != 0)
		return FLIP_NOT_OPENED;
	if (replica_open(kv, &identity, 1, &model->replica, &error) != 0) {
		kv_close(kv);
		return is_error(error.code) || error.code == ERROR_STATE ? FLIP_NOT_OPENED : FLIP_WRONG;
	}
	model->kv = kv;
	outcome = judge_all(model, stored);
	if (judge_rewritten(model, stored) == FLIP_WRONG)
		outcome = FLIP_WRONG;
	replica_close(model->replica);
	return outcome;
}

static enum flip_outcome flip(struct fold_model *model, int64_t stored)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		_exit(OUTCOME_BEGIN + (int)open_and_judge(model, stored));
	}
	ASSERT(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) >= OUTCOME_BEGIN
	               ? (enum flip_outcome)(WEXITSTATUS(status) - OUTCOME_BEGIN)
	               : FLIP_CRASHED;
}

/* A part of the log, stored range by range, merged on disk. */
static uint8_t *stored_file(struct fold_model *model, size_t *len)
{
	struct error error;
	struct stat status;
	uint8_t *bytes;
	bool any = true;
	FILE *file;

	fold_reopen(model);
	workload_attributes(model, ATTRIBUTES);
	workload_cutting(model, 1 | 2 << WORKLOAD_STOPS);
	while (fold_status(model).received < model->end) {
		int64_t to = fold_status(model).received + RANGE_RECORDS;

		fold_receive_all(model, to < model->end ? to : model->end);
		CU_ASSERT_EQUAL_FATAL(workload_store(model, &error), 0);
	}
	while (any)
		CU_ASSERT_EQUAL_FATAL(workload_compact(model, REPLICA_SLICE_STEPS, &any, &error), 0);
	replica_close(model->replica);
	model->replica = NULL;
	ASSERT(stat(FILE_NAME, &status) == 0);
	*len = (size_t)status.st_size;
	bytes = malloc(*len);
	file = fopen(FILE_NAME, "rb");
	ASSERT(bytes != NULL && file != NULL && fread(bytes, 1, *len, file) == *len);
	(void)fclose(file);
	return bytes;
}

static void file_write(const uint8_t *bytes, size_t len)
{
	FILE *file = fopen(FILE_NAME, "wb");

	ASSERT(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

void flips_run(unsigned flips, unsigned counts[FLIP_OUTCOMES])
{
	struct fold_model model;
	struct dice dice;
	size_t len;
	uint8_t *bytes;

	workload_model(&model, SEED);
	bytes = stored_file(&model, &len);
	dice_seed(&dice, SEED);
	memset(counts, 0, FLIP_OUTCOMES * sizeof *counts);
	for (size_t i = 0; i < len / PAGE * flips; i++) {
		size_t at = i / flips * PAGE + dice_below(&dice, PAGE);
		uint8_t other = (uint8_t)(1 + dice_below(&dice, 255));
		enum flip_outcome outcome;

		bytes[at] ^= other;
		file_write(bytes, len);
		outcome = flip(&model, model.end);
		if (outcome == FLIP_WRONG || outcome == FLIP_CRASHED)
			printf("%s: byte %zu of %zu changed by %u\n",
			       outcome == FLIP_WRONG ? "a wrong answer" : "ended by a signal", at, len,
			       other);
		counts[outcome]++;
		bytes[at] ^= other;
	}
	tree_remove(WORKLOAD_DIRECTORY);
	free(bytes);
	free(model.log);
}
