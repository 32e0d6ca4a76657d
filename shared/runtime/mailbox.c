#include "shared/runtime/mailbox.h"

#include "shared/base/assert.h"
#include "shared/runtime/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	pthread_mutex_t lock;
	int fd; /* its counter is 1 exactly while count > 0 */
	size_t capacity;
	size_t first;
	size_t count;
	void *messages[];
};

struct mailbox *mailbox_new(size_t capacity)
{
	struct mailbox *mailbox;

	ASSERT(capacity > 0);
	mailbox = calloc(1, sizeof *mailbox + capacity * sizeof mailbox->messages[0]);
	if (mailbox == NULL)
		return NULL;
	mailbox->capacity = capacity;
	mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->fd < 0) {
		free(mailbox);
		return NULL;
	}
	(void)pthread_mutex_init(&mailbox->lock, NULL);
	return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
	if (mailbox == NULL)
		return;
	(void)close(mailbox->fd);
	(void)pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

bool mailbox_put(struct mailbox *mailbox, void *message)
{
	bool room;

	ASSERT(message != NULL);
	(void)pthread_mutex_lock(&mailbox->lock);
	room = mailbox->count < mailbox->capacity;
	if (room) {
		mailbox->messages[(mailbox->first + mailbox->count) % mailbox->capacity] = message;
		if (mailbox->count++ == 0)
			ASSERT(eventfd_write(mailbox->fd, 1) == 0);
	}
	(void)pthread_mutex_unlock(&mailbox->lock);
	return room;
}

void *mailbox_take(struct mailbox *mailbox)
{
	void *message = NULL;
	eventfd_t value;

	(void)pthread_mutex_lock(&mailbox->lock);
	if (mailbox->count > 0) {
		message = mailbox->messages[mailbox->first];
		mailbox->first = (mailbox->first + 1) % mailbox->capacity;
		if (--mailbox->count == 0)
			ASSERT(eventfd_read(mailbox->fd, &value) == 0);
	}
	(void)pthread_mutex_unlock(&mailbox->lock);
	return message;
}

void *mailbox_wait(struct mailbox *mailbox, int timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	for (;;) {
		void *message = mailbox_take(mailbox);
		int64_t left = timeout_ms < 0 ? -1 : deadline - clock_monotonic_ms();
		struct pollfd ready = {.fd = mailbox->fd, .events = POLLIN};

		if (message != NULL || (timeout_ms >= 0 && left <= 0))
			return message;
		if (poll(&ready, 1, (int)left) < 0)
			ASSERT(errno == EINTR);
	}
}

int mailbox_fd(const struct mailbox *mailbox)
{
	return mailbox->fd;
}
