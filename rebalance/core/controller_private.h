/*
 * The controller's own structures, shared by controller.c (what is read and
 * what comes next), controller_index.c (creation and deletion),
 * controller_source.c (what is imported), controller_settings.c (how it is
 * searched), controller_skip.c (what is skipped),
 * controller_rebuild.c (new generations), controller_restore.c (copies),
 * controller_nodes.c (who is asked, and who has registered),
 * controller_shards.c (marks and moves) and controller_status.c, and nobody
 * else.
 */
#ifndef MILLRACE_REBALANCE_CORE_CONTROLLER_PRIVATE_H
#define MILLRACE_REBALANCE_CORE_CONTROLLER_PRIVATE_H

#include "rebalance/core/controller.h"
#include "rebalance/core/moves.h"

#define CHANGES_MAX (4 * CONTROLLER_WRITES_MAX)

struct pending_task {
	int64_t task;
	bool readable;
	struct task_request request; /* if readable */
	char reason[256];            /* if not */
	int64_t started_ms;          /* wall clock; 0: it has not begun in this process */
};

/* What was found out for the request in progress; forgotten with it. */
struct work {
	bool inspected;  /* index.topic can be the log */
	bool renamed;    /* index.topic has the task in its name */
	bool topic_made; /* of the index that is being created */
	bool failed;     /* `final` says why */
	int64_t *starts;
	struct index_record index; /* creation, before it is recorded; owns its sources */
	struct task_final final;
};

/* What was found out about a generation in the making; forgotten with the process. */
struct rebuild {
	uint64_t index_id; /* 0: unused */
	int64_t next_ms;   /* when Kafka is asked again; INT64_MIN: now */
	int64_t remaining; /* offsets of its sources, as told last; -1: not yet */
	bool imported;     /* there were none */
	bool judged;       /* the old one's log was looked through once */
	int64_t judged_ms; /* when nothing in it was found to be lost; INT64_MIN: never */
	struct rebuild_loss loss;
	int64_t *ends; /* of its log, read after that */
	int rounds;    /* how often it was level with what the old one's log showed then */
};

/* Where a record ends in `keys` and `values`. */
struct span {
	size_t key_end;
	size_t value_end;
};

struct controller {
	struct controller_options options; /* its strings and nodes are the copies below */
	char cluster[TOPIC_BYTES_MAX + 1];
	char kafka_id[64];
	char url[NODE_URL_BYTES_MAX + 1];
	struct node_record nodes[NODES_MAX]; /* configured; then the others that are asked */
	size_t nodes_len;
	struct catalog *catalog;
	struct watch *watch;
	int64_t now_ms; /* monotonic, as told last */
	bool ticked;

	bool shards_due;          /* something was told since all shards were looked at */
	bool shards_more;         /* something was changed then: there may be more */
	int64_t shards_looked_ms; /* when that was */
	bool shards_first;        /* requests had their turn */

	struct pending_task *pending; /* by rising task, from pending_first on */
	size_t pending_first;
	size_t pending_len;
	size_t pending_size;
	int64_t working;   /* the task that `work` is about; -1: none */
	int64_t task_next; /* every request below it was read */
	int64_t *finals;   /* tasks with a final, rising */
	size_t finals_len;
	size_t finals_size;
	int finals_since_checkpoint;

	struct rebuild rebuilds[REBUILDS_MAX];
	uint64_t rebuilding; /* whom the action that was handed out is about */
	uint64_t deleting;   /* the deleted index whose topic is being deleted */
	uint64_t topicless;  /* … and whose topic is gone, which is to be recorded; 0 none */
	struct work work;
	struct buffer keys;   /* of the records of `action`, one after the other */
	struct buffer values; /* likewise */
	struct span spans[CONTROLLER_WRITES_MAX];
	struct controller_write writes[CONTROLLER_WRITES_MAX];
	struct change changes[CHANGES_MAX];
	bool outstanding; /* `action` was handed out */
	struct controller_action action;
};

/* Adds a record to the WRITE action that is being made (and makes it one): its value is what was appended to
 * controller->values since the last record. At most CONTROLLER_WRITES_MAX. */
void controller_write(struct controller *controller, enum controller_topic topic, int64_t task,
                      const char *key_format, ...) __attribute__((format(printf, 4, 5)));
/* An action about a topic. */
void controller_topic_action(struct controller *controller, enum controller_action_kind kind,
                             const char *topic, int32_t partitions, int64_t task);
/* The request in progress ends as failed. */
void controller_fail(struct controller *controller, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* controller_index.c: the next action for this request; false if it is done and its final is due. */
bool controller_create_index(struct controller *controller, const struct pending_task *pending,
                             int64_t now_ms);
bool controller_delete_index(struct controller *controller, const struct pending_task *pending,
                             int64_t now_ms);
/* The index that this very request has recorded as deleted before we were killed. */
const struct index_record *controller_deleted_by(const struct controller *controller, int64_t task);
/* Topics of deleted indexes that are still to be deleted; false if there is none. */
bool controller_delete_topics(struct controller *controller, int64_t now_ms);
void controller_topic_result(struct controller *controller, const struct controller_result *result);
void controller_write_index(struct controller *controller, const struct index_record *index, int64_t task);

/* controller_source.c: likewise. */
bool controller_add_source(struct controller *controller, const struct pending_task *pending, int64_t now_ms);
bool controller_update_source(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms);
bool controller_remove_source(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms);
/* Adds the request's sources to those of `index`, which it owns: checked, canonical, in their first life. False after
 * controller_fail. */
bool controller_add_sources(struct controller *controller, struct index_record *index,
                            const struct task_request *request);

/* controller_settings.c: likewise. */
bool controller_update_settings(struct controller *controller, const struct pending_task *pending);
/* The request waits for settings that are being built: its own, or those of one before it on the same index. */
bool controller_holds(const struct controller *controller, const struct pending_task *pending);
/* Adds to the WRITE that a generation in the making begins with the settings in force of whom it replaces. */
void controller_inherit_settings(struct controller *controller, const struct index_record *index);

/* controller_rebuild.c: likewise */
bool controller_rebuild_index(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms);
/* What is wrong with the request; false after controller_fail. */
bool controller_check_rebuild(struct controller *controller, const struct task_request *request);
/* Fills work.index; false after controller_fail. */
bool controller_begin_rebuild(struct controller *controller, const struct pending_task *pending,
                              int64_t now_ms);
/* The generation in the making that will have this index's name; NULL if there is none. */
const struct index_record *controller_replacing(const struct controller *controller, uint64_t index_id);
/* The next action for generations in the making; false if there is none now. */
bool controller_advance_rebuilds(struct controller *controller, int64_t now_ms);
void controller_rebuild_result(struct controller *controller, const struct controller_result *result);
void controller_rebuilds_free(struct controller *controller);
/* Appends the member `"rebuilds":[…]`. */
void controller_rebuilds_status(const struct controller *controller, struct buffer *body);

/* controller_skip.c: likewise; *waits if a replica has yet to tell what it has applied: there is no action then. */
bool controller_skip_record(struct controller *controller, const struct pending_task *pending, bool *waits);

/* controller_restore.c: likewise; *waits as above. */
bool controller_restore_shards(struct controller *controller, const struct pending_task *pending,
                               bool *waits);

/* controller_nodes.c */
void controller_tick(struct controller *controller, int64_t now_ms);
/* Once everything was read, and whenever shards are recorded anew. */
void controller_find_nodes(struct controller *controller);
/* The nodes as they should be recorded now. */
void controller_fill_nodes(const struct controller *controller, struct cluster_record *cluster);

/* controller_shards.c: a WRITE of what marks and moves change; false if they change nothing. */
bool controller_change_shards(struct controller *controller);
/* What the records just written say of replicas. */
void controller_shards_written(struct controller *controller);
/* What is seen of a recorded shard; false when out of memory. */
bool controller_see(const struct controller *controller, const struct shard_record *record,
                    struct sight *sight);
/* True if all in-sync replicas of the shard, and at least one, have told this figure as `least` or higher. */
bool controller_have_told(const struct controller *controller, const struct index_record *index,
                          int32_t partition, int64_t (*figure)(const struct replica_report *told),
                          int64_t least);
void controller_find_places(const struct controller *controller, struct moves_places *places);
/* The next recorded shard of an active index, in its generation, after (*at, *partition): start with 0 and -1. */
const struct shard_record *controller_next_shard(const struct controller *controller, size_t *at,
                                                 int32_t *partition);

#endif
