/*
 * What the parts of the node share: node.c (life and loop), identity.c (whose
 * directory it is), following.c (meta and topology), replicas.c (what is held), directories.c
 * (where), preparing.c (by which settings), storing.c (store jobs), http.c
 * (threads of the server), batches.c, questions.c, answers.c, marks.c, copying.c, restoring.c (copies that come), status.c and figures.c (answers),
 * counters.c (metrics). Everything is the owner thread's unless it says
 * otherwise.
 */
#ifndef MILLRACE_SHARD_NODE_PRIVATE_H
#define MILLRACE_SHARD_NODE_PRIVATE_H

#include "shard/copies.h"
#include "shard/core/budget.h"
#include "shard/core/figures.h"
#include "shard/core/node_identity.h"
#include "shard/core/serving.h"
#include "shard/core/words.h"
#include "shard/kv_rewrite.h"
#include "shard/node.h"
#include "shard/settings_shelf.h"
#include "shard/shelf.h"
#include "shared/http/http_server.h"
#include "shared/json/json.h"
#include "shared/log/log.h"
#include "shared/runtime/mailbox.h"
#include "shared/runtime/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define NODE_REPLICAS_MAX 4096
_Static_assert(NODE_REPLICAS_MAX <= BUDGET_INDEXES_MAX, "each may be of an index of its own");
#define NODE_QUESTIONS_MAX 1024
/* As many search threads as processors, within these. */
#define NODE_SEARCHERS_MIN 2
#define NODE_SEARCHERS_MAX 16
/* Of them, those that wait for an offset, beside the mailbox. */
#define NODE_WAITING_MAX 256
#define NODE_BATCHES_MAX 256
#define NODE_PATH_BYTES_MAX 3072
#define REPLICA_PATH_BYTES_MAX (NODE_PATH_BYTES_MAX + 320)
/* Levels that a metric tells apart; the last one has what is above it too. */
#define NODE_LEVELS 16
#define NODE_ANSWER_BYTES_MAX (256U * 1024 * 1024)

/* First member of everything in the owner's inbox. */
enum message_kind {
	MESSAGE_KIND_CLUSTER = 1,
	MESSAGE_KIND_OPENED,
	MESSAGE_KIND_STORED,
	MESSAGE_KIND_DAMAGED
};
/* One of each at a time, of the last one for each search thread. */
#define MESSAGES_MAX (3 + NODE_SEARCHERS_MAX)

struct message {
	enum message_kind kind;
};

/* Jobs of one kind since the replica was opened. */
struct job_counts {
	uint64_t done; /* that ended well */
	int64_t ms;    /* that they took, those too that failed; of a compaction its slices */
};

/* A replica on this node's disk. */
struct held {
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	struct replica *replica; /* NULL: kept closed, `closed_reason` says why */
	struct kv *kv;           /* the replica's */
	char closed_reason[512];
	bool awaits;                /* closed, because a copy is to come */
	bool looked;                /* closed, and `on_disk` is known */
	struct incarnation on_disk; /* as last looked at; none: no replica */
	struct hash128 head;        /* of the copy whose chunks may come; 0: none */
	enum replica_state state;   /* as last logged */
	bool recorded;              /* serving_recorded, by what has been read of topology */
	int64_t received_now;       /* as last noted */
	size_t memory_bytes;        /* as the budget counts it */
	uint64_t busy_ranges;       /* that were refused for want of memory */
	uint64_t merges_too_large;  /* of this opening, as last counted */
	uint64_t skipped;
	uint64_t stored_bytes;
	uint64_t merged_bytes;
	struct job_counts stores;
	struct job_counts compactions;
	int64_t unstored_since_ms; /* -1: nothing waits */
	int64_t store_retry_ms;    /* after a failed store */
	bool uncompacted;          /* replica_compact_begin may have something to do */
	bool indebted;             /* its dead take so much of the disk that they go before more is stored */
	int64_t compact_retry_ms;  /* after a compaction that failed */
	int64_t rest_ms;           /* from then on it is at rest, if nothing is to be stored */
	bool resting;              /* as the replica was told */
	bool rewritable;           /* its file may be worth it */
	int64_t rewrite_retry_ms;  /* after a rewrite that failed */
	bool unmerged;             /* replica_merge has more to do */
	bool prepared;             /* by the settings of these versions, as far as they are understood */
	int64_t settings_in_force;
	int64_t settings_coming;
	int64_t settings;         /* the newest version that the replica was told */
	int64_t settings_built;   /* the highest that it is built for */
	int64_t settings_refused; /* the last one that was not understood */
	struct series *received;
	struct series *stored;
	struct series *documents;
	struct series *memory;
	struct series *busy;
	struct series *disk_segments;
	struct series *disk_dead;
	struct series *disk_bytes;
	struct series *live_bytes;
	struct series *reader_age;
};

/* restoring.c: the piece of a copy that is on its way to the disk. The owner's, but for a task's time. */
struct arrival {
	struct buffer head;         /* as far as it has come; while the page is put it is empty */
	const struct held *head_of; /* NULL: there is none */
	int64_t used_ms;
	struct question *question; /* NULL: no piece is on its way */
	struct held *held;
	struct hash128 head_hash;
	struct slice page; /* the question's; empty: the head is put */
	struct replica_identity identity;
	char path[REPLICA_PATH_BYTES_MAX];
	/* what came of it */
	bool whole;
	uint8_t after[KV_KEY_BYTES_MAX];
	size_t after_len;
};

/* A store job, or a slice of a compaction or of a rewrite, on its way to the writer thread and back. */
struct store_task {
	struct message message;
	struct held *held;
	/* one of them */
	struct replica_store_job *job;
	struct replica_compact_job *compaction;
	struct kv_rewrite *rewrite;
	struct arrival *arrival;
	bool more; /* slices */
	int64_t begun_ms;
	int64_t received_at_begin;
	int result;
	struct error error;
};

/* A search thread has found a replica damaged: the owner stops it. */
struct damage {
	struct message message;
	atomic_bool told; /* the owner's until it has read it */
	uint64_t index_id;
	int32_t partition;
	struct error error;
};

struct searcher {
	struct node *node;
	pthread_t thread;
	struct words *words;
	struct damage damage;
};

/* A batch of which not all ranges are applied yet. */
struct batch_work {
	struct http_request *request; /* NULL: none */
	struct batch_reader reader;
	struct batch_writer writer;
	struct buffer answer;
};

struct node_counters {
	struct metric *ranges;
	struct series *range_results[RANGE_RESULT_STOPPED + 1];
	struct series *batches;
	struct series *batch_bytes;
	struct series *in_flight;
	struct series *receive_seconds;
	struct series *search_seconds;
	struct series *store_seconds;
	struct series *stores;
	struct series *stores_failed;
	struct series *stores_in_flight;
	struct series *store_bytes;
	struct series *compactions;
	struct series *compactions_failed;
	struct series *compactions_in_flight;
	struct series *merge_bytes;
	struct series *levels[NODE_LEVELS];
	struct series *slice_seconds;
	struct series *rewrites;
	struct series *rewrites_failed;
	struct series *rewrite_bytes;
	struct series *sessions_renewed;
	struct series *marks_pages;
	struct series *marks_bytes;
	struct series *marks_seconds;
	struct series *merges_too_large;
	struct series *skipped;
	struct series *refused[SERVINGS]; /* questions, by why */
	struct series *refused_deadline;
	struct series *refused_full;
	struct series *refused_node;
	struct series *waiting;
	struct series *memory_bytes;
	struct series *memory_bytes_max;
	struct metric *received;
	struct metric *stored;
	struct metric *documents;
	struct metric *replica_memory;
	struct metric *busy;
	struct metric *disk_segments;
	struct metric *disk_dead;
	struct metric *disk_bytes;
	struct metric *live_bytes;
	struct metric *reader_age;
};

/* pulse.c: noted by a thread of its own and by the owner. */
struct pulse {
	pthread_t thread;
	bool started;
	int stop_fd;
	pthread_mutex_t lock;
	int64_t beat_ms;  /* of CLOCK_BOOTTIME, when somebody noted it last */
	int64_t stood_ms; /* how long the process stood still, not taken yet */
};

struct question; /* question.h */
struct opening;  /* following.c: the thread that waits for Kafka */

struct node {
	const struct config *config;
	const char *id;
	struct incarnation incarnation; /* of the data directory */
	uint64_t session;               /* of this process */
	const char *cluster_key;
	int signal_fd;
	int lock_fd;
	char directory[NODE_PATH_BYTES_MAX]; /* DATA/replicas */
	int64_t now_ms;
	struct error failure; /* code 0, or why the node must end */
	bool stopping;
	atomic_bool ready;
	struct pulse pulse;

	struct http_server *server;
	struct mailbox *inbox;     /* struct message */
	struct mailbox *questions; /* struct question, for the owner */
	struct mailbox *searches;  /* struct question, for the search threads; node->searches ends one */
	struct searcher searchers[NODE_SEARCHERS_MAX];
	size_t searchers_len;
	struct shelf *shelf;
	struct settings_shelf *settings;
	struct copies *copies;
	struct arrival arrival;
	struct question *waiting; /* for offsets */
	size_t waiting_len;
	bool waiting_all;        /* who serves has changed: each of them is looked at again */
	struct mailbox *batches; /* struct http_request */
	struct batch_work work;

	struct opening *opening;
	struct log_reader *reader; /* NULL until opened */
	bool reader_more;
	char cluster_id[64];
	struct catalog *catalog;
	bool caught_up;
	bool decisions_due;
	bool deciding;       /* the last ones took too long for one turn: they go on in the next */
	atomic_bool decided; /* once: what is on disk was opened, and what is missing created */

	struct held *held[NODE_REPLICAS_MAX];
	size_t held_len;
	struct budget budget; /* as last counted */

	pthread_t writer;
	bool writer_started;
	struct mailbox *store_tasks; /* to the writer: one struct store_task, or one that ends it */
	struct store_task store_task;
	struct store_task store_end;
	bool storing;
	struct held *compacting; /* NULL: none */
	size_t compacted_at;     /* in `held`: behind it the next one is looked for */
	struct replica_compact_job *compaction;
	bool slice_next;        /* a slice goes before a store */
	bool oldest_next;       /* the oldest goes before the largest */
	struct held *rewriting; /* NULL: none */
	struct kv_rewrite *rewrite;
	unsigned rewrite_waited; /* tasks that went before its next slice */
	struct node_counters counters;
};

/* After a standstill nothing is answered before every replica has a new session. */
void node_check_pulse(struct node *node);
/* Ends the loop with this error; the first one stays. */
void node_fail(struct node *node, const struct error *error);
/* What is held was decided for the first time: requests are answered from now on. */
void node_decided(struct node *node);

/* identity.c */
/* Never none, never drawn before. */
struct incarnation incarnation_draw(void);
uint64_t session_draw(void);
/* Whose `directory` is; ERROR_CONFIGURATION if it is another node's. */
int identity_open(struct node *node, const char *directory, struct error *error);

/* searching.c */
int searching_start(struct node *node, struct error *error);
/* The owner's: stops the replica that a search thread found damaged. */
void searching_damaged(struct node *node, struct damage *damage);
/* Every question that the threads had is answered; what waits for them is refused. */
void searching_stop(struct node *node);

/* pulse.c */
int pulse_start(struct pulse *pulse, struct error *error);
/* True if it stood still and nobody has taken that yet. Any thread. */
bool pulse_stood(struct pulse *pulse);
/* How long the process stood still since this was asked last, if that was NODE_STANDSTILL_MS or more; else 0. */
int64_t pulse_take(struct pulse *pulse);
void pulse_stop(struct pulse *pulse);

/* following.c */
int following_start(struct node *node, struct error *error);
/* Kafka's cluster id is known: everything on disk must be that cluster's. */
void following_cluster(struct node *node);
/* Takes what the opening thread found; then the node follows. */
void following_opened(struct node *node, struct message *message);
/* Applies what has arrived, a bounded number of records. */
void following_turn(struct node *node);
/* False if the opening thread still waits for Kafka. */
bool following_stop(struct node *node);

/* replicas.c */
/* Reads the names under DATA/replicas; opens nothing yet. */
int replicas_scan(struct node *node, struct error *error);
/* Ends the node if something on disk belongs to another Kafka than node->cluster_id. */
void replicas_check_cluster(struct node *node);
/* Creates, opens, closes and drops what the catalog says, once it was read to its end; as much of it as
 * fits into a turn. */
void replicas_decide(struct node *node);
/* The open or closed replica of a shard in the generation that is served; NULL if there is none. */
struct held *replicas_find(struct node *node, uint64_t index_id, int32_t partition);
/* How it stands for a question; NULL: absent. A closed replica counts as stopped. */
struct serving_shard held_see(const struct held *held);
/* After something was applied, stored or merged: memory, state and age. */
void replicas_note(struct node *node, struct held *held);
/* A new session for every replica, as after a restart. */
void replicas_pause(struct node *node);
/* One merge somewhere; true if there is more to do. */
bool replicas_merge(struct node *node);
void replicas_close(struct node *node);
/* Removes what is on disk of one that is closed, and forgets it; false if that failed. */
bool replicas_discard(struct node *node, struct held *held);

/* preparing.c */
/* Makes ready and tells the replica what meta says by now; nothing if it has not changed. */
void preparing_decide(struct node *node, struct held *held);
/* After something of the replica has changed. */
void preparing_note(struct held *held, const struct replica_status *status);
/* What could not be done yet, and what has left for long enough. */
void preparing_turn(struct node *node);
/* Of one that is closed. */
void preparing_forget(struct node *node, struct held *held);

/* directories.c */
/* A directory of files, without subdirectories: what an environment is. */
int replicas_remove_directory(const char *path, struct error *error);
bool replicas_are_on_disk(const struct node *node, const struct held *held);
/* The store of one that is closed. */
int replicas_open_store(const struct node *node, const struct held *held, struct kv **kv,
                        struct error *error);
void replicas_path(const struct node *node, const struct held *held, char path[REPLICA_PATH_BYTES_MAX]);
/* What a replica of that index must be, with a new incarnation. */
struct replica_identity replicas_identity(const struct node *node, const struct held *held,
                                          const struct index_record *index);

/* storing.c */
int storing_start(struct node *node, struct error *error);
/* After something of it has changed on disk. */
void storing_note(struct held *held, const struct replica_status *status);
/* Begins a store or a slice if policy wants one and none runs. */
void storing_turn(struct node *node);
/* Gives up what goes on with a replica that is to be closed; no store or slice of it runs. */
void storing_forget(struct node *node, const struct held *held);
void storing_done(struct node *node, struct store_task *task);
/* True if some replica has something that is not on disk and can be put there. */
bool storing_wanted(const struct node *node);
/* Milliseconds until policy may want a job; INT64_MAX if nothing waits. */
int64_t storing_wait_ms(const struct node *node);
void storing_stop(struct node *node);

/* restoring.c */
void restoring_init(struct node *node);
/* Notes in `on_disk` what replica there is, as far as the records make that matter. */
void restoring_look(struct node *node, struct held *held);
/* A piece of a copy has come; answers and frees the question, now or when the piece is on disk. */
void restoring_put(struct node *node, struct question *question);
/* Whom the piece is for that waits for the writer; NULL: none does. */
struct held *restoring_next(struct node *node);
int restoring_run(struct arrival *arrival, struct error *error);
void restoring_done(struct node *node, const struct store_task *task);
/* Of one that is to be closed; no piece of it is with the writer. */
void restoring_forget(struct node *node, const struct held *held);
/* Lets go of a head that nobody goes on with. */
void restoring_expire(struct node *node);
void restoring_refuse(struct node *node);

/* rewriting.c */
/* True if there may be a slice to do. */
bool rewriting_wanted(const struct node *node);
/* False if there is none to do; else it is node->rewrite's. */
bool rewriting_begin(struct node *node);
void rewriting_done(struct node *node, const struct store_task *task);
/* Gives up what goes on with a replica that is to be closed; no slice of it runs. */
void rewriting_forget(struct node *node, const struct held *held);

/* http.c */
int http_start(struct node *node, struct error *error);
/* Answers with {"message","code"}. Any thread. */
void http_refuse(struct http_request *request, int status, const char *code, const char *message);
/* Moves the body out as JSON, or answers 503 if it failed. */
void http_answer_json(struct http_request *request, int status, struct buffer *body);

/* batches.c */
/* Applies the next range of the batch at hand; true if there is more. */
bool batches_turn(struct node *node);
/* Answers what waits with 503. */
void batches_refuse(struct node *node);

/* questions.c */
/* Answers every question that has come, but those that wait for an offset. */
void questions_turn(struct node *node);
/* Milliseconds until one that waits must be answered; INT64_MAX if none waits. */
int64_t questions_wait_ms(const struct node *node);
void questions_refuse(struct node *node);

/* counters.c */
void counters_init(struct node_counters *counters);
void counters_of_held(struct node *node, struct held *held);
/* What is closed holds nothing that anybody reads; where it stood stays. */
void counters_of_closed(struct held *held);
void counters_update(struct node *node);

#endif
