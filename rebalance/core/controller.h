/*
 * Controller: from requests to records, as a pure core.
 *
 * Fed with every record of meta, topology, tasks and task-states up to their
 * ends (the shell does that after it has taken office), it hands out one
 * action at a time; the shell carries it out and reports its result before it
 * asks for the next. From then on only `tasks` is fed: the controller is the
 * only writer of the other three, and an echo of an older record of its own
 * would take it back. What is to be done next is computed from the records
 * alone, so a successor that reads the same records goes on at the same
 * place: a controller may be killed between any two actions.
 *
 * Requests are applied in the order of `tasks`. A request below the cluster
 * record's oldest_task, or with a final, is done. Creation: record the index
 * as creating with its topic's name; create the topic; read every partition's
 * log start; record it active; record its shards; add the name; final.
 * Deletion: record the index as deleted; remove the name; final; then delete
 * the topic, if Millrace created it, and record that (own_topic false), so
 * that nobody's later topic of that name is touched.
 *
 * Names: `<cluster>.docs.<uid>`, or with `.<taskUid>` where that name exists
 * in Kafka or was ever an index's topic. Ids: task_index_id. Placement:
 * rendezvous hashing (Thaler and Ravishankar, 1998): in every group the RF
 * nodes with the highest hash of (index id, partition, node id).
 *
 * Bounds: TASKS_PENDING_MAX requests; further ones wait in the log (the shell
 * stops reading `tasks`). Owner: one thread. No clock: `now_ms` is wall time
 * for the records only.
 */
#ifndef MILLRACE_REBALANCE_CORE_CONTROLLER_H
#define MILLRACE_REBALANCE_CORE_CONTROLLER_H

#include "shared/meta/task.h"

#define TASKS_PENDING_MAX 100000

struct controller;

struct controller_options {
	const char *cluster;  /* the configuration's `cluster` */
	const char *kafka_id; /* Kafka's cluster id */
	int32_t rf;
	const struct node_record *nodes;
	size_t nodes_len;
};

enum controller_action_kind {
	CONTROLLER_ACTION_WRITE = 1,     /* topic, key, value: one record */
	CONTROLLER_ACTION_INSPECT_TOPIC, /* topic: does it exist, with how many partitions, compacted? */
	CONTROLLER_ACTION_CREATE_TOPIC,  /* topic, partitions: 0 also if it is there with as many */
	CONTROLLER_ACTION_READ_STARTS,   /* topic, partitions: the log start of each */
	CONTROLLER_ACTION_DELETE_TOPIC   /* topic: 0 if it is gone afterwards */
};

enum controller_topic {
	CONTROLLER_TOPIC_META = 1,
	CONTROLLER_TOPIC_TOPOLOGY,
	CONTROLLER_TOPIC_TASK_STATES
};

/* Everything borrowed until controller_result. */
struct controller_action {
	enum controller_action_kind kind;
	enum controller_topic write_topic; /* WRITE */
	struct slice key;                  /* WRITE */
	struct slice value;                /* WRITE */
	const char *topic;                 /* the others: a log's name */
	int32_t partitions;
	int64_t task; /* on whose behalf; -1 none */
};

struct controller_result {
	int code;              /* 0, or as in `error`; a WRITE that failed: leave the office, start over */
	struct error error;    /* RETRY: the same action comes again; REJECT: it can never work */
	bool exists;           /* INSPECT_TOPIC */
	bool compacted;        /* INSPECT_TOPIC */
	int32_t partitions;    /* INSPECT_TOPIC */
	const int64_t *starts; /* READ_STARTS: one a partition */
};

/* NULL when out of memory. */
struct controller *controller_new(const struct controller_options *options);
void controller_free(struct controller *controller);

/* Records, in the order of their topics. A malformed record of meta or topology stops the program
 * (ERROR_VERSION, ERROR_FORMAT: FATAL): it must not write on top of what it cannot read. */
int controller_read_meta(struct controller *controller, int64_t offset, struct slice key, struct slice value,
                         struct error *error);
int controller_read_topology(struct controller *controller, int64_t offset, struct slice key,
                             struct slice value, struct error *error);
/* A request that cannot be parsed gets a failed final in its turn. ERROR_LIMIT, RETRY when too many are pending. */
int controller_read_task(struct controller *controller, int64_t offset, struct slice value,
                         struct error *error);
void controller_read_final(struct controller *controller, struct slice value);

/* ERROR_CONFIGURATION, FATAL if the records belong to another Kafka. Ask once everything was read to the end. */
int controller_check(const struct controller *controller, struct error *error);
/* The next action, or false if there is nothing to do. */
bool controller_next(struct controller *controller, int64_t now_ms, struct controller_action *action);
/* The result of the action handed out last. */
void controller_result(struct controller *controller, const struct controller_result *result, int64_t now_ms);

const struct catalog *controller_catalog(const struct controller *controller);
size_t controller_pending(const struct controller *controller);

#endif
