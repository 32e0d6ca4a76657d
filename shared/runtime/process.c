#include "shared/runtime/process.h"

#include "shared/base/assert.h"
#include "shared/json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READY_BYTES_MAX 4096

static sigset_t stop_signals;

/* A thread of its own, so that the second signal works while main is stuck. */
static void *watch_signals(void *context)
{
	int fd = *(int *)context;
	int signal_number;

	free(context);
	ASSERT(sigwait(&stop_signals, &signal_number) == 0);
	ASSERT(eventfd_write(fd, 1) == 0);
	ASSERT(sigwait(&stop_signals, &signal_number) == 0);
	_exit(128 + signal_number);
}

int process_start(void)
{
	pthread_t thread;
	int *fd = malloc(sizeof *fd);
	int result;

	ASSERT(fd != NULL);
	result = *fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT(result >= 0);
	(void)umask(077);
	ASSERT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	ASSERT(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	(void)sigemptyset(&stop_signals);
	(void)sigaddset(&stop_signals, SIGTERM);
	(void)sigaddset(&stop_signals, SIGINT);
	ASSERT(pthread_sigmask(SIG_BLOCK, &stop_signals, NULL) == 0);
	ASSERT(pthread_create(&thread, NULL, watch_signals, fd) == 0);
	ASSERT(pthread_detach(thread) == 0);
	return result;
}

static void append_member(struct buffer *text, const char *name, const char *value)
{
	buffer_printf(text, ",\"%s\":", name);
	json_append_string(text, slice_string(value));
}

static int write_file(const char *path, struct slice text, struct error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t written = fd < 0 ? -1 : write(fd, text.ptr, text.len);

	if (fd >= 0 && close(fd) != 0)
		written = -1;
	if (written == (ssize_t)text.len)
		return 0;
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "cannot write %s: %s", path,
	                 strerror(errno));
}

int process_ready(const char *path, const char *program, const char *listen, const char *admin,
                  struct error *error)
{
	char next[4096];
	struct buffer text;
	int result;

	if (path == NULL)
		return 0;
	buffer_init(&text, READY_BYTES_MAX);
	buffer_printf(&text, "{\"pid\":%ld", (long)getpid());
	append_member(&text, "program", program);
	append_member(&text, "listen", listen);
	if (admin != NULL)
		append_member(&text, "admin", admin);
	buffer_append_string(&text, "}\n");
	if (buffer_failed(&text))
		result = error_memory(error, READY_BYTES_MAX);
	else if (snprintf(next, sizeof next, "%s.next", path) >= (int)sizeof next)
		result = error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                   "the path of --ready-file is too long");
	else
		result = write_file(next, buffer_slice(&text), error);
	if (result == 0 && rename(next, path) != 0)
		result = error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "cannot write %s: %s",
		                   path, strerror(errno));
	buffer_deinit(&text);
	return result;
}

int process_exit_code(const struct error *error)
{
	if (error->code == ERROR_CONFIGURATION)
		return PROCESS_EXIT_CONFIGURATION;
	return error->action == ERROR_ACTION_RETRY ? PROCESS_EXIT_TEMPORARY : EXIT_FAILURE;
}
