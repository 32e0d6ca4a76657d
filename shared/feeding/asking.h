/*
 * Asking: a thread that asks Kafka what blocks, so that the owner never does.
 *
 * The feeder wants to know of a replica, in this order: where it stands, then
 * the committed offset, log start and log end. The node is asked over HTTP
 * (one request a node and index); its answer, or its failure, makes the
 * question go to this thread, which adds what Kafka says and puts the
 * question into the owner's inbox. So a node that is silent delays only the
 * questions about its own replicas. A node that answers with another name than
 * the topology gives it (swapped addresses) has not answered. A log whose
 * cleanup.policy contains `compact` is an obstacle: compaction rewrites what a
 * replica is a fold of.
 *
 * The answer also says how large a message the dead-letter topic takes.
 *
 * Before the first question the thread opens what waits for Kafka, the reader
 * of meta and topology and the slots' group, and hands it over (struct
 * log_opened).
 *
 * Ownership of a question moves with it; the owner keeps at most QUESTIONS_MAX
 * open. Threads: asking_put from any; everything else
 * from the owner.
 */
#ifndef MILLRACE_FEEDING_ASKING_H
#define MILLRACE_FEEDING_ASKING_H

#include "shared/feed/feeder.h"
#include "shared/log/log.h"
#include "shared/runtime/mailbox.h"

#define QUESTIONS_MAX 4096
#define FEEDS_ENDED_MAX 4

/* First member of everything in the owner's inbox. */
enum message_kind {
	MESSAGE_KIND_BATCH_ANSWER = 1,
	MESSAGE_KIND_QUESTION,
	MESSAGE_KIND_DEAD_LETTER,
	MESSAGE_KIND_LOG_OPENED,
	MESSAGE_KIND_MARKS,
	MESSAGE_KIND_SKIP_ASKED,
	MESSAGE_KIND_FEED_ENDED /* only to the asking thread */
};

struct message {
	enum message_kind kind;
};

/* Topics that the reader follows, by their place in its list of suffixes. */
enum followed_topic {
	FOLLOWED_TOPIC_META = 0,
	FOLLOWED_TOPIC_TOPOLOGY = 1,
	FOLLOWED_TOPICS
};

struct log_opened {
	struct message message;
	struct log_reader *reader;
	struct log_owner *owner; /* NULL for no member; otherwise both, or none of them: see error */
	struct error error;
};

struct question_item {
	uint32_t slot;
	uint32_t epoch;
	int32_t partition;
	struct feeder_asked asked;
	char obstacle[256]; /* what asked.obstacle points to */
};

/* About the replicas of one index's shards on one node. */
struct question {
	struct message message;
	struct asking *asking;
	struct mailbox *inbox;
	uint32_t node;
	const char *node_id; /* borrowed for the program's life */
	uint64_t index_id;
	int32_t generation;
	char topic[TOPIC_BYTES_MAX + 1];
	struct buffer answer;     /* the node's, empty for none */
	struct error node_error;  /* code 0, or why it has not answered */
	struct error log_error;   /* code 0, or what could not be found out then, of some item at least */
	size_t message_bytes_max; /* of the dead-letter topic; 0: not known */
	struct question_item *items;
	size_t items_len;
	size_t items_size;
};

/* NULL when out of memory. */
struct question *question_new(uint64_t index_id, uint32_t node);
bool question_add(struct question *question, const struct question_item *item);
void question_free(struct question *question);

struct asking;

/* All borrowed until asking_stop, but for the address. */
struct asking_options {
	const struct config *config;
	struct log_connection *connection;
	struct mailbox *inbox;
	const char *address; /* by which the slots' group knows this member; NULL: no member */
};

int asking_start(const struct asking_options *options, struct asking **asking, struct error *error);
/* Takes the question; it comes back through its inbox. */
void asking_put(struct asking *asking, struct question *question);
/* Takes a handle that nobody reads from any more and closes it; false if that cannot be taken now. */
bool asking_close_feed(struct asking *asking, struct log_feed *feed);
/* Ends the thread; false if it still waits for Kafka after `timeout_ms`, then it is left to its fate. */
bool asking_stop(struct asking *asking, int timeout_ms);

#endif
