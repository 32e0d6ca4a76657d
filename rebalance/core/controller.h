/*
 * Controller: from requests, reports of nodes and log ends to records, as a
 * pure core.
 *
 * Fed with every record of meta, topology and task-states, then with tasks from
 * controller_oldest_task on, up to their ends (the shell does that after it has
 * taken office), it hands out one action at a time; the shell carries it out and reports its result before it
 * asks for the next. From then on only `tasks` is fed: the controller is the
 * only writer of the other three, and an echo of an older record of its own
 * would take it back. What is to be done next is computed from the records
 * and from what nodes and logs say now, so a successor that reads the same
 * records goes on at the same place: a controller may be killed between any
 * two actions. The records of one WRITE are in one transaction; each stands
 * for itself.
 *
 * Requests (controller_index.c) are applied in the order of `tasks`, but for
 * those that are held (below). A request below the cluster record's oldest_task,
 * or with a final, is done.
 * Creation: record the index as creating with its topic's name; create the
 * topic; read every partition's log start; record it active; record its
 * shards; add the name; final. Deletion: record the index as deleted; remove
 * the name; final; then delete the topic, if Millrace created it, and record
 * that (own_topic false), so that nobody's later topic of that name is
 * touched. Sources (controller_source.c) are written into the index's record,
 * with their rules in canonical form. A skip (controller_skip.c) is recorded
 * only while every replica tells that it has not applied that offset; for
 * those who have not told yet it waits at most MARKS_SILENT_MS.
 *
 * Settings (controller_settings.c). A change is made of the settings in force.
 * One that asks replicas to build nothing is recorded as in force. Any other is
 * recorded as next, and its request is held: it leaves the turn to those behind
 * it, but for changes of settings and rebuilds of the same index, which are
 * held with it. Once every in-sync replica of every shard tells that it has
 * built them, it is recorded as in force. A generation in the making begins
 * with the settings of the one it replaces, and whatever is recorded of that
 * one's is recorded of its own in the same WRITE.
 *
 * A rebuild (controller_rebuild.c) makes an index with the old one's uid, its
 * sources, and no name: its record says whom it replaces. That is the
 * request's end; the new generation fills like any index. Once its sources
 * are imported up to where they ended when first asked, every in-sync replica
 * has received its log up to where that ended then, and both again, some times,
 * for what the old one's log had meanwhile, one WRITE gives it the name and
 * deletes the old one. If the old one is deleted before, or
 * the rebuild cancelled, so is the new one. While the old one's log holds what
 * the sources do not bring back, it waits, unless its record accepts the loss.
 *
 * A restore (controller_restore.c) records that the replicas of a shard come by
 * a copy, each as an incarnation that the request alone determines: on the nodes
 * of its target, one of which answers, active and not in-sync; all others leave. It is
 * refused while a recorded replica is in-sync and well, or has received as much
 * as the copy would begin with, or, where offsets would be given up, has some of
 * them or may have them on a silent node. Whoever brings the copies to the nodes is not
 * known here; marks (marks.h) let the replicas in like any other, and the copy is
 * recorded no longer once what it lacks is stored.
 *
 * Names: `<cluster>.docs.<uid>`, or with `.<taskUid>` where that name exists
 * in Kafka or was ever an index's topic. Ids: task_index_id.
 *
 * Nodes. The shell asks every node of controller_nodes every
 * CONTROLLER_POLL_MS and tells the answer, or that there was none
 * (controller_node_report). An answer that cannot be right (another id than
 * configured, another Kafka, the data directory of another node) counts as
 * none and stands in the status. The first good one registers the node: its
 * incarnation and format are recorded. A node that the configuration no
 * longer names stays recorded and asked until no shard names it.
 *
 * Marks (marks.h) say of each replica whether it is in-sync; moves (moves.h)
 * bring what is recorded to the target placement (placement.h). Both decide
 * from the last reports. A replica that is out becomes in-sync only by log
 * ends that were read before its node was asked and after it answered: the
 * shell reads the ends that controller_next_end names.
 *
 * Time: `wall_ms` is for the records only. Every decision is by
 * `monotonic_ms`, which must not go back and must be told at least every
 * CONTROLLER_BLIND_MS by controller_next: a longer pause is time in which the
 * controller itself stood still, and nobody is judged by it.
 *
 * Bounds: TASKS_PENDING_MAX requests; further ones wait in the log (the shell
 * stops reading `tasks`). CONTROLLER_WRITES_MAX records a WRITE. Owner: one
 * thread. No clock.
 */
#ifndef MILLRACE_REBALANCE_CORE_CONTROLLER_H
#define MILLRACE_REBALANCE_CORE_CONTROLLER_H

#include "rebalance/core/change.h"
#include "rebalance/core/node_report.h"
#include "shared/meta/task.h"

#define TASKS_PENDING_MAX 100000
#define CONTROLLER_WRITES_MAX 256
#define CONTROLLER_POLL_MS 500
#define CONTROLLER_BLIND_MS 1000
#define CONTROLLER_REBUILD_MS 1000
#define REBUILDS_MAX 16

struct controller;

struct controller_options {
	const char *cluster;  /* the configuration's `cluster` */
	const char *kafka_id; /* Kafka's cluster id */
	const char *url;      /* of our own admin listener, for the cluster record; "": not known */
	int32_t rf;
	int64_t dedup_window;            /* of an index whose creation names none */
	const struct node_record *nodes; /* configured: id, group, url */
	size_t nodes_len;
};

struct controller_time {
	int64_t wall_ms;
	int64_t monotonic_ms;
};

enum controller_action_kind {
	CONTROLLER_ACTION_WRITE = 1,     /* writes: in one transaction */
	CONTROLLER_ACTION_INSPECT_TOPIC, /* topic: does it exist, with how many partitions, compacted? */
	CONTROLLER_ACTION_CREATE_TOPIC,  /* topic, partitions: 0 also if it is there with as many */
	CONTROLLER_ACTION_READ_STARTS,   /* topic, partitions: the log start of each */
	CONTROLLER_ACTION_READ_ENDS,     /* topic, partitions: the log end of each */
	CONTROLLER_ACTION_ASK_SOURCES, /* index: how much its sources had, when first asked, that is not imported */
	CONTROLLER_ACTION_ASK_LOSS,    /* index, old: what of the old one's log cannot be imported again */
	CONTROLLER_ACTION_DELETE_TOPIC /* topic: 0 if it is gone afterwards */
};

enum controller_topic {
	CONTROLLER_TOPIC_META = 1,
	CONTROLLER_TOPIC_TOPOLOGY,
	CONTROLLER_TOPIC_TASK_STATES
};

struct controller_write {
	enum controller_topic topic;
	struct slice key;
	struct slice value;
};

/* Everything borrowed until controller_result. */
struct controller_action {
	enum controller_action_kind kind;
	const struct controller_write *writes; /* WRITE: 1..CONTROLLER_WRITES_MAX */
	size_t writes_len;
	const struct change *changes; /* WRITE: what it changes about replicas; may be none */
	size_t changes_len;
	const struct index_record *index; /* ASK_SOURCES, ASK_LOSS */
	const struct index_record *old;   /* ASK_LOSS */
	const char *topic;                /* the others: a log's name */
	int32_t partitions;
	int64_t task; /* on whose behalf; -1 none */
};

/* Records of an index's log that its next generation does not get from its sources. */
struct rebuild_loss {
	int64_t published; /* not imported at all */
	int64_t expired;   /* imported from offsets that their topic does not hold (any more) */
	int64_t unsourced; /* imported from topics that no source reads (any more) */
};

struct controller_result {
	int code;              /* 0, or as in `error`; a WRITE that failed: leave the office, start over */
	struct error error;    /* RETRY: the same action comes again; REJECT: it can never work */
	bool exists;           /* INSPECT_TOPIC */
	bool compacted;        /* INSPECT_TOPIC */
	int32_t partitions;    /* INSPECT_TOPIC */
	const int64_t *starts; /* READ_STARTS, READ_ENDS: one a partition */
	int64_t remaining;     /* ASK_SOURCES: offsets not imported; ASK_LOSS: offsets not looked at, yet */
	struct rebuild_loss loss; /* ASK_LOSS */
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
/* Where reading of `tasks` begins, once the others were read: every request below has its final. */
int64_t controller_oldest_task(const struct controller *controller);
/* A request that cannot be parsed gets a failed final in its turn. ERROR_LIMIT, RETRY when too many are pending. */
int controller_read_task(struct controller *controller, int64_t offset, struct slice value,
                         struct error *error);
void controller_read_final(struct controller *controller, struct slice value);

/* ERROR_CONFIGURATION, FATAL if the records belong to another Kafka. Ask once everything was read to the end. */
int controller_check(const struct controller *controller, struct error *error);
/* The next action, or false if there is nothing to do now. */
bool controller_next(struct controller *controller, struct controller_time now,
                     struct controller_action *action);
/* The result of the action handed out last. */
void controller_result(struct controller *controller, const struct controller_result *result);

/* Whom to ask: the configured nodes, then those that only shards still name. Valid until controller_result. */
size_t controller_nodes(const struct controller *controller, const struct node_record **nodes);
/* An answer, or none, that arrived at `now_ms`. One of a node that is not asked any more is ignored. */
void controller_node_report(struct controller *controller, const struct node_report *report, int64_t now_ms);
/* Why this node's last answer is none; "" if it is one. Valid until the next report. */
const char *controller_trouble(const struct controller *controller, const char *node);

/* A log end that is wanted; the strings are valid until controller_result. */
struct controller_end {
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	const char *topic;
};

/* Names the shard whose log end is wanted most and counts it as asked for; false if none is wanted now. Each comes
 * again after CONTROLLER_POLL_MS. */
bool controller_next_end(struct controller *controller, int64_t now_ms, struct controller_end *end);
/* The end that a read_committed reader could reach, as Kafka's answer that arrived at `read_ms` said. */
void controller_log_end(struct controller *controller, const struct controller_end *asked, int64_t end,
                        int64_t read_ms);

const struct catalog *controller_catalog(const struct controller *controller);
size_t controller_pending(const struct controller *controller);

struct controller_counts {
	size_t nodes_answering;
	size_t shards_divergent;
	size_t replicas_out;     /* recorded, not in-sync */
	size_t replicas_joining; /* of them: to be filled by replay */
};

void controller_count(const struct controller *controller, struct controller_counts *counts);
/* Appends the members `"nodes":[…],"shards":[…],"rebuilds":[…]` of an object: who answers, what is recorded of every
 * shard and what its replicas told last, generations in the making. */
void controller_status(const struct controller *controller, struct buffer *body);

#endif
