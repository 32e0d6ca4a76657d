#include "rebalance/replaying.h"

#include "shared/feeding/feeding.h"
#include "shared/runtime/logline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Beside live feeding there is no hurry: replays share this. */
#define MEMORY_BYTES (16U * 1024 * 1024)

struct replaying {
	const struct config *config;
	int stop_fd;
	pthread_t thread;
	struct feeding *feeding; /* NULL until something joins */
	bool wanted;
	struct error error; /* of the thread, once `ended` */
	atomic_bool ended;
};

int replaying_new(const struct config *config, struct replaying **replaying, struct error *error)
{
	struct replaying *made = calloc(1, sizeof *made);

	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->config = config;
	made->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (made->stop_fd < 0) {
		free(made);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_FATAL, "no descriptor is left");
	}
	*replaying = made;
	return 0;
}

static void *run(void *context)
{
	struct replaying *replaying = context;

	if (feeding_run(replaying->feeding, &replaying->error) == 0)
		replaying->error.code = 0;
	atomic_store(&replaying->ended, true);
	return NULL;
}

static int start(struct replaying *replaying, struct error *error)
{
	const struct feeding_options options = {
		.config = replaying->config,
		.mode = FEEDING_MODE_REPLAY,
		.memory_bytes = MEMORY_BYTES,
		.flush = "adaptive",
		.stop_fd = replaying->stop_fd,
		.guest_fd = -1,
	};
	struct feeding *feeding;
	int rc = feeding_open(&options, &feeding, error);

	if (rc != 0)
		return rc;
	replaying->feeding = feeding;
	if (pthread_create(&replaying->thread, NULL, run, replaying) == 0)
		return 0;
	(void)feeding_close(feeding);
	replaying->feeding = NULL;
	return error_set(error, ERROR_MEMORY, ERROR_ACTION_FATAL, "cannot start the thread that replays");
}

int replaying_want(struct replaying *replaying, bool wanted, struct error *error)
{
	int rc = 0;

	if (replaying->feeding == NULL && wanted)
		rc = start(replaying, error);
	if (rc != 0 || replaying->feeding == NULL)
		return rc;
	if (atomic_load(&replaying->ended)) {
		*error = replaying->error;
		return error_prefix(error, "the replay has ended");
	}
	if (wanted != replaying->wanted)
		logline(LOG_LEVEL_INFO, wanted ? "replay_begins" : "replay_ends", "memory_bytes=%u",
		        MEMORY_BYTES);
	replaying->wanted = wanted;
	feeding_set_active(replaying->feeding, wanted);
	return 0;
}

void replaying_held(struct replaying *replaying, struct buffer *body)
{
	if (replaying->feeding != NULL)
		feeding_held(replaying->feeding, body);
	else
		buffer_append_string(body, "\"held\":[]");
}

bool replaying_free(struct replaying *replaying)
{
	if (replaying == NULL)
		return true;
	if (replaying->feeding != NULL) {
		(void)eventfd_write(replaying->stop_fd, 1);
		(void)pthread_join(replaying->thread, NULL);
		if (!feeding_close(replaying->feeding))
			return false;
	}
	(void)close(replaying->stop_fd);
	free(replaying);
	return true;
}
