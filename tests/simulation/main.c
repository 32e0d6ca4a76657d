/*
 * simulation: runs schedules, and proves that it would notice a broken rule.
 *
 *   simulation [--schedules N] [--jobs J]     seeds.txt, N schedules, every knock-out; the seeds are 1..N, or with
 *                                             --first S others: S..S+N-1
 *   simulation --seed S [--knockout NAME]     one schedule, with its trace; S/1, S/2: by that contract
 *   simulation --knockout NAME                only that knock-out
 *   simulation --survey N [--jobs J]          schedules 1..N without stopping; what each found, in a line
 *   simulation SEED, simulation NAME          the same, shorter
 *
 * Work is forked; what workers found is in shared memory, so that a worker
 * that an assertion ends is a finding like any other. Exit code 0 only if no
 * schedule violates an invariant and every knock-out is caught.
 */
#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 16
#define KNOCKOUT_SCHEDULES_MAX 3000
#define TRACE_LINES 60
#define TRACE_LINE_BYTES 240
#define SEEDS_MAX 10000

enum knockout knockout_active = KNOCKOUT_NONE;

static const char *const knockout_names[KNOCKOUTS] = {
	[KNOCKOUT_NONE] = "none",
	[KNOCKOUT_RANGE_CHAIN] = "range_chain",
	[KNOCKOUT_OFFSET_FILTER] = "offset_filter",
	[KNOCKOUT_WATERMARK_APART] = "watermark_apart",
	[KNOCKOUT_DEAD_LETTER_LATE] = "dead_letter_late",
	[KNOCKOUT_COMMIT_RECEIVED] = "commit_received",
	[KNOCKOUT_START_COMMITTED] = "start_committed",
	[KNOCKOUT_BASE_IGNORED] = "base_ignored",
	[KNOCKOUT_RANGE_END] = "range_end",
	[KNOCKOUT_ANCHOR_IGNORED] = "anchor_ignored",
	[KNOCKOUT_RECOVERING_IGNORED] = "recovering_ignored",
	[KNOCKOUT_ABSENCE_DROPS] = "absence_drops",
	[KNOCKOUT_RANGE_IN_PART] = "range_in_part",
	[KNOCKOUT_COMMIT_MAX] = "commit_max",
	[KNOCKOUT_OWN_OPINION] = "own_opinion",
	[KNOCKOUT_JOINER_START] = "joiner_start",
	[KNOCKOUT_LAST_REMOVED] = "last_removed",
	[KNOCKOUT_FENCE_LATE] = "fence_late",
	[KNOCKOUT_REQUEST_TWICE] = "request_twice",
	[KNOCKOUT_ORDER_DROPS] = "order_drops",
	[KNOCKOUT_TOKEN_IGNORED] = "token_ignored",
	[KNOCKOUT_FINALS_IGNORED] = "finals_ignored",
	[KNOCKOUT_FIRST_OCCURRENCE] = "first_occurrence",
	[KNOCKOUT_REPLAY_DUPLICATE] = "replay_duplicate",
	[KNOCKOUT_TABLE_NOT_SEEDED] = "table_not_seeded",
	[KNOCKOUT_TABLE_FROM_SIBLING_AHEAD] = "table_from_sibling_ahead",
	[KNOCKOUT_MARKS_KEPT_OVER_REWIND] = "marks_kept_over_rewind",
	[KNOCKOUT_LIFE_IGNORED] = "life_ignored",
	[KNOCKOUT_IDENTITY_WITHOUT_ID] = "identity_without_id",
	[KNOCKOUT_BODY_BYTES_AS_OPERATION] = "body_bytes_as_operation",
	[KNOCKOUT_COALESCE_OVER_BARRIER] = "coalesce_over_barrier",
	[KNOCKOUT_DELETE_PUT_AS_UPDATE] = "delete_put_as_update",
	[KNOCKOUT_ORIGIN_IGNORED] = "origin_ignored",
	[KNOCKOUT_RULES_DIGEST_IGNORED] = "rules_digest_ignored",
	[KNOCKOUT_SKIP_NOT_RECORDED] = "skip_not_recorded",
};

/* What one forked worker has to do, and what it found. */
struct worker {
	pid_t pid;
	enum knockout knockout;
	bool survey;       /* goes on after a violation */
	uint32_t contract; /* 0: as each seed draws it */
	uint64_t first;
	uint64_t step;
	uint64_t last;
	uint64_t at; /* the seed that runs now */
	uint64_t done;
	bool violated;
	char invariant[96];
	char violation[400];
};

struct board {
	struct tally tally;
	struct tally knocked_out; /* schedules with a broken rule do not count as coverage */
	bool stop;
	struct worker workers[JOBS_MAX > KNOCKOUTS ? JOBS_MAX : KNOCKOUTS];
};

struct options {
	uint64_t schedules;
	uint32_t jobs;
	struct schedule schedule; /* seed 0: all */
	uint64_t first;           /* of all */
	uint64_t survey;          /* 0: none */
	enum knockout knockout;
	const char *seeds;
};

static struct board *board;

static void work(struct worker *worker)
{
	struct tally *tally = worker->knockout == KNOCKOUT_NONE ? &board->tally : &board->knocked_out;
	struct schedule_result result;

	knockout_active = worker->knockout;
	for (worker->at = worker->first; worker->at <= worker->last; worker->at += worker->step) {
		if (worker->knockout == KNOCKOUT_NONE && __atomic_load_n(&board->stop, __ATOMIC_RELAXED))
			return;
		schedule_run((struct schedule){worker->at, worker->contract}, tally, NULL, &result);
		worker->done++;
		if (!result.violated)
			continue;
		if (worker->survey) {
			printf("seed %" PRIu64 ": %s: %s\n", worker->at, result.invariant, result.violation);
			continue;
		}
		worker->violated = true;
		memcpy(worker->invariant, result.invariant, sizeof worker->invariant);
		memcpy(worker->violation, result.violation, sizeof worker->violation);
		if (worker->knockout == KNOCKOUT_NONE)
			__atomic_store_n(&board->stop, true, __ATOMIC_RELAXED);
		return;
	}
}

static void start(struct worker *worker)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("simulation: fork");
		exit(1);
	}
	if (pid > 0) {
		worker->pid = pid; /* shared memory: the child must not write it */
		return;
	}
	/* no worker outlives the run, however that ends */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1);
	if (worker->knockout != KNOCKOUT_NONE && freopen("/dev/null", "w", stderr) == NULL)
		_exit(1);
	work(worker);
	_exit(0);
}

/* Waits for the worker; an end by signal (an assertion, a sanitizer) is a finding. */
static void finish(struct worker *worker)
{
	int status = 0;

	if (waitpid(worker->pid, &status, 0) != worker->pid) {
		perror("simulation: waitpid");
		exit(1);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	worker->violated = true;
	worker->done++;
	(void)snprintf(worker->invariant, sizeof worker->invariant, "assertions of the product hold");
	(void)snprintf(worker->violation, sizeof worker->violation, "the process ended (status %d)", status);
	__atomic_store_n(&board->stop, true, __ATOMIC_RELAXED);
}

/* The schedule once more in a child, its trace to `out`, of which the last lines are printed. */
static void print_trace(struct schedule schedule, enum knockout knockout)
{
	char(*lines)[TRACE_LINE_BYTES] = calloc(TRACE_LINES, sizeof *lines);
	size_t len = 0;
	int pipes[2];
	FILE *in;
	pid_t pid;

	if (lines == NULL || pipe(pipes) != 0 || (pid = fork()) < 0) {
		perror("simulation: trace");
		exit(1);
	}
	if (pid == 0) {
		struct schedule_result result;

		close(pipes[0]);
		knockout_active = knockout;
		schedule_run(schedule, &board->knocked_out, fdopen(pipes[1], "w"), &result);
		_exit(0);
	}
	close(pipes[1]);
	in = fdopen(pipes[0], "r");
	while (in != NULL && fgets(lines[len % TRACE_LINES], TRACE_LINE_BYTES, in) != NULL)
		len++;
	for (size_t i = len > TRACE_LINES ? len - TRACE_LINES : 0; i < len; i++)
		fputs(lines[i % TRACE_LINES], stdout);
	if (in != NULL)
		fclose(in);
	(void)waitpid(pid, NULL, 0);
	free(lines);
}

/* A worker that an assertion ended is followed by another one. */
static int run_survey(uint64_t first, uint64_t last, uint32_t jobs)
{
	uint32_t running = jobs;

	for (uint32_t i = 0; i < jobs; i++) {
		board->workers[i] =
			(struct worker){.survey = true, .first = first + i, .step = jobs, .last = last};
		start(&board->workers[i]);
	}
	for (uint32_t i = 0; running > 0; i = (i + 1) % jobs) {
		struct worker *worker = &board->workers[i];

		if (worker->first > last)
			continue;
		finish(worker);
		board->stop = false;
		if (worker->violated)
			printf("seed %" PRIu64 ": %s: %s\n", worker->at, worker->invariant,
			       worker->violation);
		*worker = (struct worker){
			.survey = true, .first = worker->at + jobs, .step = jobs, .last = last};
		if (worker->first <= last)
			start(worker);
		else
			running--;
	}
	tally_print(&board->tally, stdout);
	return 0;
}

static void print_violation(const struct worker *worker)
{
	printf("VIOLATED after %" PRIu64 " schedules of this worker: %s: %s\n", worker->done,
	       worker->invariant, worker->violation);
	print_trace((struct schedule){worker->at, worker->contract}, worker->knockout);
	printf("build/dev/bin/simulation --seed %" PRIu64, worker->at);
	printf(worker->contract > 0 ? "/%" PRIu32 "\n" : "\n", worker->contract);
}

/* Number of workers that found a violation. */
static uint32_t run_schedules(struct schedule first, uint64_t last, uint32_t jobs)
{
	uint32_t found = 0;

	board->stop = false;
	for (uint32_t i = 0; i < jobs; i++) {
		board->workers[i] = (struct worker){
			.contract = first.contract, .first = first.seed + i, .step = jobs, .last = last};
		start(&board->workers[i]);
	}
	for (uint32_t i = 0; i < jobs; i++) {
		finish(&board->workers[i]);
		found += board->workers[i].violated;
	}
	for (uint32_t i = 0; i < jobs; i++)
		if (board->workers[i].violated)
			print_violation(&board->workers[i]);
	return found;
}

/* Each seed of the file twice: no violation, and the same course. Runs in this process' children. */
static bool run_seed_twice(struct schedule schedule)
{
	struct schedule_result first;
	struct schedule_result second;

	if (run_schedules(schedule, schedule.seed, 1) > 0)
		return false;
	schedule_run(schedule, &board->knocked_out, NULL, &first);
	schedule_run(schedule, &board->knocked_out, NULL, &second);
	if (first.hash != second.hash)
		printf("VIOLATED: seed %" PRIu64 " took two different courses\n", schedule.seed);
	return first.hash == second.hash;
}

/* "SEED" or "SEED/CONTRACT", whatever follows. */
static bool parse_seed(const char *text, struct schedule *schedule)
{
	char *end;

	*schedule = (struct schedule){strtoull(text, &end, 10), 0};
	if (end == text)
		return false;
	if (*end == '/')
		schedule->contract = (uint32_t)strtoul(end + 1, NULL, 10);
	return true;
}

static bool run_seeds(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];
	uint64_t count = 0;
	bool good = true;

	if (file == NULL) {
		printf("%s: cannot be read\n", path);
		return false;
	}
	while (fgets(line, sizeof line, file) != NULL && count < SEEDS_MAX) {
		struct schedule schedule;

		if (!parse_seed(line, &schedule))
			continue;
		count++;
		good = run_seed_twice(schedule) && good;
	}
	fclose(file);
	printf("seeds: %" PRIu64 " known seeds, each the same course twice: %s\n", count,
	       good ? "good" : "BAD");
	return good && count > 0;
}

static void report_knockout(const struct worker *worker)
{
	if (worker->violated)
		printf("knock-out %s: caught after %" PRIu64 " schedules (seed %" PRIu64 "): %s\n",
		       knockout_names[worker->knockout], worker->done, worker->at, worker->invariant);
	else
		printf("knock-out %s: NOT CAUGHT in %" PRIu64 " schedules\n",
		       knockout_names[worker->knockout], worker->done);
	fflush(stdout);
}

/* How many of the knock-outs first..last were caught. */
static uint32_t run_knockouts(enum knockout first, enum knockout last, uint32_t jobs)
{
	uint32_t caught = 0;
	int started = first;

	for (int i = first; i <= (int)last; i++)
		board->workers[i] = (struct worker){
			.knockout = (enum knockout)i, .first = 1, .step = 1, .last = KNOCKOUT_SCHEDULES_MAX};
	for (int i = first; i <= (int)last; i++) {
		while (started <= (int)last && started < i + (int)jobs)
			start(&board->workers[started++]);
		finish(&board->workers[i]);
		report_knockout(&board->workers[i]);
		caught += board->workers[i].violated;
	}
	return caught;
}

static int run_one(const struct options *options)
{
	struct schedule_result result;

	knockout_active = options->knockout;
	schedule_run(options->schedule, &board->tally, stdout, &result);
	tally_print(&board->tally, stdout);
	if (result.violated)
		printf("VIOLATED %s: %s\n", result.invariant, result.violation);
	return result.violated;
}

static int run_all(const struct options *options)
{
	uint32_t knockouts = KNOCKOUTS - 1;
	uint32_t caught;
	uint32_t found;
	uint32_t failed;
	bool seeds_good = run_seeds(options->seeds);

	found = run_schedules((struct schedule){options->first, 0}, options->first + options->schedules - 1,
	                      options->jobs);
	tally_print(&board->tally, stdout);
	caught = run_knockouts(KNOCKOUT_RANGE_CHAIN, KNOCKOUTS - 1, options->jobs);
	printf("simulation: %" PRIu64 " schedules, %u violations, %u/%u knock-outs caught\n",
	       options->schedules, found, caught, knockouts);
	failed = (found > 0 ? 1U : 0U) + (seeds_good ? 0U : 1U) + knockouts - caught;
	printf("%u passed, %u failed\n", knockouts + 2 - failed, failed);
	return failed > 0;
}

static enum knockout knockout_of(const char *name)
{
	for (int i = KNOCKOUT_RANGE_CHAIN; i < KNOCKOUTS; i++)
		if (strcmp(name, knockout_names[i]) == 0)
			return (enum knockout)i;
	fprintf(stderr, "simulation: no knock-out is called %s; there are:", name);
	for (int i = KNOCKOUT_RANGE_CHAIN; i < KNOCKOUTS; i++)
		fprintf(stderr, " %s", knockout_names[i]);
	fputc('\n', stderr);
	exit(2);
}

/* A seed, or a knock-out. */
static void parse_name(const char *name, struct options *options)
{
	if (!parse_seed(name, &options->schedule))
		options->knockout = knockout_of(name);
}

static void parse(int argc, char **argv, struct options *options)
{
	if (argc % 2 == 0 && argv[argc - 1][0] != '-')
		parse_name(argv[--argc], options);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--schedules") == 0)
			options->schedules = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			options->jobs = (uint32_t)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			(void)parse_seed(argv[i + 1], &options->schedule);
		else if (strcmp(argv[i], "--survey") == 0)
			options->survey = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			options->first = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seeds") == 0)
			options->seeds = argv[i + 1];
		else if (strcmp(argv[i], "--knockout") == 0)
			options->knockout = knockout_of(argv[i + 1]);
		else
			options->jobs = 0;
	}
	if (options->jobs > JOBS_MAX)
		options->jobs = JOBS_MAX;
	if (argc % 2 == 1 && options->jobs > 0)
		return;
	fprintf(stderr,
	        "usage: simulation [--schedules N] [--first S] [--jobs 1..%d] [--seed S] [--seeds FILE] "
	        "[--knockout NAME] [--survey N] [SEED|NAME]\n",
	        JOBS_MAX);
	exit(2);
}

int main(int argc, char **argv)
{
	struct options options = {
		.schedules = 100000, .first = 1, .jobs = 2, .seeds = "tests/simulation/seeds.txt"};

	parse(argc, argv, &options);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED) {
		perror("simulation: mmap");
		return 1;
	}
	if (options.schedule.seed != 0)
		return run_one(&options);
	if (options.survey != 0)
		return run_survey(options.first, options.first + options.survey - 1, options.jobs);
	if (options.knockout != KNOCKOUT_NONE)
		return run_knockouts(options.knockout, options.knockout, 1) == 0;
	return run_all(&options);
}
