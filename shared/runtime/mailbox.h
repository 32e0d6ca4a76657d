/*
 * Mailbox: a bounded queue of pointers from many threads to one owner, with
 * an eventfd that is readable while it is not empty, so that the owner can
 * poll() it beside its other sources.
 *
 * mailbox_put never blocks: full is an answer (false), and the message stays
 * the sender's. What was put belongs to the receiver.
 */
#ifndef MILLRACE_RUNTIME_MAILBOX_H
#define MILLRACE_RUNTIME_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

struct mailbox;

/* NULL when out of memory or descriptors. */
struct mailbox *mailbox_new(size_t capacity);
/* Messages still inside are leaked unless taken before. */
void mailbox_free(struct mailbox *mailbox);
bool mailbox_put(struct mailbox *mailbox, void *message);
/* NULL if empty. */
void *mailbox_take(struct mailbox *mailbox);
/* Waits until something is there or `timeout_ms` has passed; -1 waits for ever. NULL on timeout. */
void *mailbox_wait(struct mailbox *mailbox, int timeout_ms);
int mailbox_fd(const struct mailbox *mailbox);

#endif
