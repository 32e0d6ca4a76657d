/*
 * crash: what a replica finds after the power failed, image by image, and what
 * it does when a write fails.
 *
 *   crash [--images N] [--seed S] [--jobs J]   N images (2,000) of the workloads of seed S (1) and those after it
 *   crash --seed S --image I                   only that image
 *   crash --flips N                            N changed bytes in each page (flips.h) and no images
 *   crash --sweep                              failing writes (sweep.h) and no images
 *
 * After the images the same with a disk that lies about one kind of sync each:
 * some image must fail, or this program would not notice what it is for.
 *
 * Each workload is recorded once (recorder.h), then a part of its images is
 * built (images.h) and opened (check.h) by each of J processes, on tmpfs. An
 * image that ends its process is a failure like any other. The last line is
 * `N images of W workloads, F failed`.
 */
#include "shared/base/assert.h"
#include "tests/crash/check.h"
#include "tests/crash/flips.h"
#include "tests/crash/images.h"
#include "tests/crash/recorder.h"
#include "tests/crash/sweep.h"
#include "tests/crash/tree.h"
#include "tests/crash/workload.h"
#include "tests/simulation/dice.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define JOBS_MAX 16
#define WORKLOAD_IMAGES 2000
#define FAILURES_MAX 10 /* then it ends */
#define LOCK_GARBAGE 8192

struct options {
	unsigned long images;
	unsigned long seed;
	unsigned long jobs;
	long image;          /* -1: all */
	bool sweep;          /* nothing else */
	unsigned long flips; /* nothing else; 0: none */
};

/* One image: cut before event `at`. */
struct planned {
	size_t at;
	size_t number;
	enum image_kind kind;
};

struct plan {
	uint64_t seed;
	enum image_syncs syncs;
	unsigned failures_max; /* then it ends */
	const struct trace *trace;
	struct fold_model *model;
	struct planned *images; /* by rising place */
	size_t images_len;
	size_t jobs;
};

static const char *const lies[] = {[IMAGE_SYNCS_NO_FILES] = "syncs of files that do nothing",
                                   [IMAGE_SYNCS_NO_WRITES] = "O_DSYNC that does nothing"};
#define LIES (sizeof lies / sizeof lies[0])

static const char *const kind_names[IMAGE_KINDS] = {"none", "all", "the first", "torn", "writes", "sectors"};

/* The image that each process is at; shared. */
static size_t *board;

/* A lock file may hold anything: nobody syncs it. */
static void lock_fill(const char *directory, struct dice *dice)
{
	uint64_t garbage[LOCK_GARBAGE / sizeof(uint64_t)];
	char path[64];
	FILE *file;

	for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++)
		garbage[i] = dice_next(dice);
	snprintf(path, sizeof path, "%s/lock.mdb", directory);
	file = fopen(path, "wb");
	ASSERT(file != NULL && fwrite(garbage, sizeof garbage, 1, file) == 1 && fclose(file) == 0);
}

static void image_open(const struct plan *plan, struct image_state *state, const struct planned *image)
{
	struct fold_model *model = plan->model;
	int64_t low = image_state_stored(state);
	int64_t high = image_state_storing(state);
	struct dice dice;

	dice_seed(&dice, (plan->seed << 32) + image->number);
	tree_remove(model->directory);
	ASSERT(mkdir(model->directory, 0700) == 0);
	ASSERT(image_write(state, image->kind, &dice, model->directory));
	if (dice_chance(&dice, 500))
		lock_fill(model->directory, &dice);
	check_image(model, low == INT64_MIN ? FOLD_BASE : low, high == INT64_MIN ? FOLD_BASE : high);
}

/* Every jobs-th image from `begin`. */
static void images_open(const struct plan *plan, size_t job, size_t begin)
{
	struct image_state *state = image_state_new(plan->trace, plan->syncs);

	snprintf(plan->model->directory, sizeof plan->model->directory, "image-%zu", job);
	for (size_t i = begin; i < plan->images_len; i += plan->jobs) {
		board[job] = i;
		image_state_walk(state, plan->images[i].at);
		image_open(plan, state, &plan->images[i]);
	}
	tree_remove(plan->model->directory);
	image_state_free(state);
}

static pid_t images_fork(const struct plan *plan, size_t job, size_t begin)
{
	pid_t parent = getpid();
	pid_t child = fork();

	ASSERT(child >= 0);
	if (child > 0)
		return child;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(MODEL_FAILED);
	if (plan->syncs != IMAGE_SYNCS_ALL) /* what it finds then is no news */
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	images_open(plan, job, begin);
	_exit(0);
}

static void failure_print(const struct plan *plan, size_t place, int status)
{
	const struct planned *image = &plan->images[place];

	printf("%s: seed %llu image %zu: event %zu of %zu, %s of what was not synced: %s %d\n",
	       plan->syncs == IMAGE_SYNCS_ALL ? "FAILED" : lies[plan->syncs], (unsigned long long)plan->seed,
	       image->number, image->at, plan->trace->events_len, kind_names[image->kind],
	       WIFSIGNALED(status) ? "signal" : "exit code",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* How many images failed; a process that one of them ended is followed by another. */
static unsigned plan_run(const struct plan *plan)
{
	pid_t children[JOBS_MAX];
	unsigned failures = 0;

	for (size_t job = 0; job < plan->jobs; job++)
		children[job] = images_fork(plan, job, job);
	for (size_t job = 0; job < plan->jobs; job++) {
		int status;

		for (;;) {
			ASSERT(waitpid(children[job], &status, 0) == children[job]);
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				break;
			failure_print(plan, board[job], status);
			if (++failures >= plan->failures_max || board[job] + plan->jobs >= plan->images_len)
				break;
			children[job] = images_fork(plan, job, board[job] + plan->jobs);
		}
	}
	return failures;
}

static int planned_compare(const void *left, const void *right)
{
	const struct planned *a = left;
	const struct planned *b = right;

	return a->at != b->at ? (a->at < b->at ? -1 : 1) : a->number < b->number ? -1 : a->number > b->number;
}

/* Half of the images: nothing and all at every place in turn; the others: any place, by chance. */
static void plan_images(struct plan *plan, size_t images, long only)
{
	struct dice dice;
	size_t len = 0;

	dice_seed(&dice, plan->seed);
	plan->images = calloc(images, sizeof *plan->images);
	ASSERT(plan->images != NULL);
	for (size_t i = 0; i < images; i++) {
		struct planned image = {.at = 1 + dice_below(&dice, (uint32_t)plan->trace->events_len),
		                        .number = i,
		                        .kind = IMAGE_FIRST + dice_below(&dice, IMAGE_KINDS - IMAGE_FIRST)};

		if (i % 2 == 0) {
			image.at = 1 + i / 4 % plan->trace->events_len;
			image.kind = i % 4 == 0 ? IMAGE_NONE : IMAGE_ALL;
		}
		if (only < 0 || (size_t)only == i)
			plan->images[len++] = image;
	}
	plan->images_len = len;
	qsort(plan->images, len, sizeof *plan->images, planned_compare);
}

static unsigned workload_images(const struct options *options, enum image_syncs syncs, uint64_t seed,
                                size_t images)
{
	struct fold_model model;
	struct trace *trace = recorder_trace();
	struct plan plan = {.seed = seed,
	                    .syncs = syncs,
	                    .failures_max = syncs == IMAGE_SYNCS_ALL ? FAILURES_MAX : 1,
	                    .trace = trace,
	                    .model = &model,
	                    .jobs = options->image < 0 ? options->jobs : 1};
	unsigned failures = 0;

	workload_model(&model, seed);
	tree_remove(WORKLOAD_DIRECTORY);
	if (!workload_run(&model, seed, trace)) {
		printf("FAILED: seed %llu: the workload itself\n", (unsigned long long)seed);
		failures = 1;
	} else {
		plan_images(&plan, images, options->image);
		failures = plan_run(&plan);
		free(plan.images);
	}
	free(model.log);
	recorder_trace_free(trace);
	return failures;
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0') {
		fprintf(stderr, "crash: %s is no number\n", text);
		exit(2);
	}
	return value;
}

static struct options options_of(int argc, char **argv)
{
	static const struct option names[] = {
		{"images", required_argument, NULL, 'n'},  {"seed", required_argument, NULL, 's'},
		{"jobs", required_argument, NULL, 'j'},    {"image", required_argument, NULL, 'i'},
		{"without", required_argument, NULL, 'w'}, {"flips", required_argument, NULL, 'b'},
		{"sweep", no_argument, NULL, 'f'},         {NULL, 0, NULL, 0}};
	struct options options = {.images = 2000, .seed = 1, .jobs = 1, .image = -1};
	int name;

	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 'n')
			options.images = number(optarg);
		else if (name == 's')
			options.seed = number(optarg);
		else if (name == 'j')
			options.jobs = number(optarg);
		else if (name == 'i')
			options.image = (long)number(optarg);
		else if (name == 'b')
			options.flips = number(optarg);
		else if (name == 'f')
			options.sweep = true;
		else
			exit(2);
	}
	options.jobs = options.jobs < 1 ? 1 : options.jobs > JOBS_MAX ? JOBS_MAX : options.jobs;
	return options;
}

static unsigned all_images(const struct options *options)
{
	unsigned long workloads = 0;
	unsigned failures = 0;

	for (unsigned long done = 0; done < options->images && failures < FAILURES_MAX;
	     done += WORKLOAD_IMAGES) {
		unsigned long left = options->images - done;

		failures += workload_images(options, IMAGE_SYNCS_ALL, options->seed + workloads++,
		                            left < WORKLOAD_IMAGES ? left : WORKLOAD_IMAGES);
	}
	for (size_t lie = 1; lie < LIES && options->image < 0; lie++)
		if (workload_images(options, (enum image_syncs)lie, options->seed, WORKLOAD_IMAGES) == 0) {
			printf("FAILED: nothing shows %s\n", lies[lie]);
			failures++;
		}
	printf("%lu images of %lu workloads, %u failed\n", options->images, workloads, failures);
	return failures;
}

static unsigned all_faults(void)
{
	unsigned faults;
	unsigned failures = sweep_run(&faults);

	printf("%u lives with failing writes, %u failed\n", faults, failures);
	return failures;
}

/* Of changes that LMDB dies of when it follows its own pages, one in a hundred is let pass. */
static unsigned all_flips(unsigned long flips)
{
	unsigned counts[FLIP_OUTCOMES];
	unsigned all = 0;

	flips_run((unsigned)flips, counts);
	for (size_t i = 0; i < FLIP_OUTCOMES; i++)
		all += counts[i];
	printf("changed bytes: %u harmless, %u an older state, %u not opened, %u found, %u ended by a "
	       "signal, "
	       "%u wrong answers\n",
	       counts[FLIP_RIGHT], counts[FLIP_OLDER], counts[FLIP_NOT_OPENED], counts[FLIP_FOUND],
	       counts[FLIP_CRASHED], counts[FLIP_WRONG]);
	return counts[FLIP_WRONG] + (counts[FLIP_CRASHED] > all / 100 ? counts[FLIP_CRASHED] : 0);
}

int main(int argc, char **argv)
{
	struct options options = options_of(argc, argv);
	char work[] = "/dev/shm/millrace-crash-XXXXXX";
	unsigned failures;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mkdtemp(work) == NULL || chdir(work) != 0) {
		perror(work);
		return 1;
	}
	board = mmap(NULL, JOBS_MAX * sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	ASSERT(board != MAP_FAILED);
	failures = options.flips > 0 ? all_flips(options.flips)
	           : options.sweep   ? all_faults()
	                             : all_images(&options);
	tree_remove(work);
	return failures != 0;
}
