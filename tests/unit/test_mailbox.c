/*
 * Mailbox: order, bound, the descriptor, and several senders at once.
 */
#include "shared/runtime/mailbox.h"

#include "shared/runtime/clock.h"
#include "tests/unit/suite.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>

#define SENDERS 4
#define MESSAGES 20000

static bool is_readable(const struct mailbox *mailbox)
{
	struct pollfd ready = {.fd = mailbox_fd(mailbox), .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

static void test_order_and_bound(void)
{
	struct mailbox *mailbox = mailbox_new(3);
	int messages[8];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mailbox);
	/* three times around */
	for (int round = 0; round < 3; round++) {
		CU_ASSERT_FALSE(is_readable(mailbox));
		CU_ASSERT_PTR_NULL(mailbox_take(mailbox));
		CU_ASSERT_TRUE(mailbox_put(mailbox, &messages[0]));
		CU_ASSERT_TRUE(is_readable(mailbox));
		CU_ASSERT_TRUE(mailbox_put(mailbox, &messages[1]));
		CU_ASSERT_TRUE(mailbox_put(mailbox, &messages[2]));
		CU_ASSERT_FALSE(mailbox_put(mailbox, &messages[3]));
		CU_ASSERT_PTR_EQUAL(mailbox_take(mailbox), &messages[0]);
		CU_ASSERT_TRUE(mailbox_put(mailbox, &messages[4]));
		CU_ASSERT_PTR_EQUAL(mailbox_take(mailbox), &messages[1]);
		CU_ASSERT_PTR_EQUAL(mailbox_take(mailbox), &messages[2]);
		CU_ASSERT_TRUE(is_readable(mailbox));
		CU_ASSERT_PTR_EQUAL(mailbox_wait(mailbox, -1), &messages[4]);
	}
	mailbox_free(mailbox);
}

static void test_timeout(void)
{
	struct mailbox *mailbox = mailbox_new(1);
	int64_t began_ms = clock_monotonic_ms();

	CU_ASSERT_PTR_NOT_NULL_FATAL(mailbox);
	CU_ASSERT_PTR_NULL(mailbox_wait(mailbox, 30));
	CU_ASSERT_TRUE(clock_monotonic_ms() - began_ms >= 30);
	CU_ASSERT_PTR_NULL(mailbox_wait(mailbox, 0));
	mailbox_free(mailbox);
}

struct sender {
	struct mailbox *mailbox;
	uintptr_t number;
};

static void *send_all(void *context)
{
	const struct sender *sender = context;

	for (uintptr_t i = 1; i <= MESSAGES; i++)
		while (!mailbox_put(sender->mailbox, (void *)(sender->number << 32 | i)))
			(void)poll(NULL, 0, 0);
	return NULL;
}

static void test_senders(void)
{
	struct mailbox *mailbox = mailbox_new(64);
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	uintptr_t last[SENDERS] = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mailbox);
	for (uintptr_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){mailbox, i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	for (int i = 0; i < SENDERS * MESSAGES; i++) {
		uintptr_t message = (uintptr_t)mailbox_wait(mailbox, 20000);

		CU_ASSERT_NOT_EQUAL_FATAL(message, 0);
		/* each sender's in order, none lost, none twice */
		CU_ASSERT_EQUAL_FATAL(message & UINT32_MAX, last[message >> 32] + 1);
		last[message >> 32]++;
	}
	for (int i = 0; i < SENDERS; i++)
		(void)pthread_join(threads[i], NULL);
	CU_ASSERT_PTR_NULL(mailbox_take(mailbox));
	CU_ASSERT_FALSE(is_readable(mailbox));
	mailbox_free(mailbox);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"order and bound", test_order_and_bound},
		{"timeout", test_timeout},
		{"senders", test_senders},
		CU_TEST_INFO_NULL,
	};

	return suite_run("mailbox", tests);
}
