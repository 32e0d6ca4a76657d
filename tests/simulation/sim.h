/*
 * Sim: the world of one schedule, and what its parts need of each other.
 *
 * One thread, one seed, one virtual clock. Everything that happens is an
 * event; between two events nothing happens. The real feeders and replicas
 * are driven through their headers by the shells in sim_ingest.c and
 * sim_node.c; logs, network, disks, topics and processes are simulated.
 * Every program follows meta and topology at its own pace (sim_topology.h).
 * After every event the checks of checks.c hold, or the schedule ends with
 * the first violation, which names the invariant.
 *
 * Memory: everything but the product's own is in `arena` and goes with it.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_H
#define MILLRACE_TESTS_SIMULATION_SIM_H

#include "rebalance/core/controller.h"
#include "shard/core/serving.h"
#include "tests/simulation/sim_gateway.h"
#include "tests/simulation/sim_kv.h"
#include "tests/simulation/sim_log.h"
#include "tests/simulation/sim_shelf.h"
#include "tests/simulation/sim_topology.h"

#define REPLAYS_MAX 16
#define COMMIT_MS_MAX 300
#define INCARNATIONS_MAX 32
#define OTHERS_MAX 256
#define FINALS_MAX 200

enum event_kind {
	EVENT_PRODUCE = 0,
	EVENT_FAULT,
	EVENT_META_BACK,
	EVENT_MARK,       /* the scripted controller looks at a shard … */
	EVENT_MARK_WRITE, /* … and writes what it decided then */
	EVENT_FOLLOW,     /* a program reads on in meta or topology */
	EVENT_NODE_START,
	EVENT_NODE_STORE, /* store, merge and search of one shard, from time to time */
	EVENT_NODE_STORE_RUN,
	EVENT_NODE_STORE_END,
	EVENT_NODE_ASK, /* an ingest asks where a replica stands */
	EVENT_NODE_BATCH,
	EVENT_NODE_SEARCH,
	EVENT_NODE_MARKS, /* an ingest asks for a page of a replica's identities and origins */
	EVENT_INGEST_START,
	EVENT_INGEST_TICK,
	EVENT_INGEST_ASKED, /* the node has answered; committed, log start and end are read now */
	EVENT_INGEST_READ,
	EVENT_INGEST_ANSWER,
	EVENT_INGEST_LETTER,
	EVENT_INGEST_FILLED,  /* the page, or none */
	EVENT_INGEST_HOLDS,   /* it still waits for a skip */
	EVENT_INGEST_RELEASE, /* a former owner notices */
	EVENT_NODE_REPORT,    /* a controller asks */
	EVENT_CONTROLLER_START,
	EVENT_CONTROLLER_ELECT, /* it is told that it is elected, or not any more */
	EVENT_CONTROLLER_TAKE,
	EVENT_CONTROLLER_FENCE,
	EVENT_CONTROLLER_READ,
	EVENT_CONTROLLER_TURN,
	EVENT_CONTROLLER_POLL,
	EVENT_CONTROLLER_REPORT,
	EVENT_CONTROLLER_END,
	EVENT_CONTROLLER_RESULT,
	EVENT_OFFICE_WRITE, /* a transaction reaches Kafka */
	EVENT_REQUEST,      /* somebody wants an index, or none */
	EVENT_SKIP,         /* an ingest asks that an offset is skipped */
	EVENT_GATEWAY_START,
	EVENT_GATEWAY_SEARCH,
	EVENT_GATEWAY_ANSWER,
	EVENT_GATEWAY_TICK,
	EVENT_GATEWAY_FINAL, /* it reads that a task is final */
	EVENT_FINAL,
	EVENT_LETTER, /* a dead letter reaches its topic */
	EVENT_COMMIT  /* a commit reaches Kafka */
};

enum process_kind {
	PROCESS_NONE = 0,
	PROCESS_NODE,
	PROCESS_INGEST,
	PROCESS_GATEWAY,
	PROCESS_CONTROLLER
};

/* One life of a process; life 0: whoever is alive. */
struct peer {
	enum process_kind kind;
	uint32_t number;
	uint32_t life;
};

struct office_write;

struct event {
	int64_t at_ms;
	uint64_t sequence;
	enum event_kind kind;
	struct peer to;
	struct peer from; /* NODE_*: who waits for the answer */
	uint32_t shard;
	uint32_t node; /* INGEST_*, GATEWAY_ANSWER: whose answer */
	uint32_t slot;
	uint32_t reader;
	uint32_t epoch;
	int64_t offset;
	int64_t received;               /* NODE_MARKS: where the replica has to stand … */
	struct incarnation incarnation; /* … and which one */
	uint64_t batch_id;
	uint64_t serial;
	uint32_t log_cuts; /* NODE_BATCH: packets do not outlive a cut of the log */
	bool good;
	bool silent; /* NODE_BATCH: nobody waits for this delivery */
	struct slice frame;
	struct range_answer answer;
	struct log_entry *entry;
	enum sim_topic_number topic;       /* FOLLOW */
	const struct shard_record *record; /* MARK_WRITE */
	const struct node_report *report;  /* CONTROLLER_REPORT; NULL: no answer */
	const struct office_write *write;
	struct flight *flight;
	struct leg *leg;
	const struct leg_answer *leg_answer; /* NULL: none came */
};

struct process {
	bool alive;
	uint32_t life;
	int64_t paused_ms; /* since when; -1: it runs */
	int64_t paused_until_ms;
	struct sim_view view;
};

/* What is on a disk, by our own count. */
struct sim_image {
	struct sim_disk disk;
	uint32_t log_life;      /* whose records it covers */
	int64_t stored_durable; /* as of the last look */
	struct incarnation incarnation;
};

/* The highest that an incarnation ever had. */
struct sim_reached {
	struct incarnation incarnation;
	int64_t received;
	int64_t stored;
};

struct sim_replica {
	struct sim_image image;
	struct sim_image older;  /* of the same disk, at some earlier time */
	struct replica *replica; /* NULL while the node is down or has none */
	struct kv *kv;
	struct replica_store_job *job;
	bool job_ran;
	int job_result;
	struct error job_error;
	struct replica_compact_job *compaction;
	enum sim_disk_fault run_fault; /* strikes the next store or slice */
	uint32_t run_fault_in;
	uint64_t opened;     /* names this opening */
	uint32_t log_life;   /* whose records `received` covers */
	int64_t received;    /* as of the last look, in this session */
	int64_t level_floor; /* the log's end when the session began */
	size_t letters_seen; /* entries below `received` whose dead letters were checked */
	uint64_t commits_seen;
	uint64_t applied; /* operations, by our own count */
	uint64_t seen; /* the opening, and its state that was compared with the fold and with the siblings */
	int64_t seen_received;
	struct hash128 seen_digest;
	struct sim_reached reached[INCARNATIONS_MAX];
	size_t reached_len;
};

struct sim_node {
	struct process process;
	char id[16];
	uint32_t address;               /* which node answers at this one's address */
	bool refused;                   /* to run: records were missing */
	struct incarnation incarnation; /* of its directory */
	struct incarnation older;       /* as it was when the older disk was copied */
	struct sim_replica replicas[SHARDS_MAX];
};

struct sim_reader {
	bool active;
	uint64_t serial; /* of the last START or HALT */
	uint32_t shard;
	int64_t position;
	int64_t end_told; /* the last position reported as the end; -1 none */
};

struct sim_request {
	bool open;
	uint64_t serial;
	uint64_t batch_id;
};

/* A record that an ingest had in hand when it died; survives it. */
struct sim_suspect {
	int64_t offset;
	uint32_t deaths;
	int64_t asked_ms; /* for a skip */
	uint32_t holder;  /* the life that will ask again */
};

struct sim_ingest {
	struct process process;
	bool other_rules; /* than are recorded, in this life */
	struct feeder *feeder;
	bool owns[SHARDS_MAX];
	bool added[SHARDS_MAX];
	uint32_t slots[SHARDS_MAX];
	struct sim_reader readers[SHARDS_MAX * FEEDER_LANES]; /* by the feeder's number */
	struct sim_shelf shelves[SHARDS_MAX * FEEDER_LANES];
	uint64_t filling[SHARDS_MAX * FEEDER_LANES]; /* serial of the open question; 0 none */
	struct sim_suspect suspects[SHARDS_MAX];
	struct sim_request requests[SIM_NODES_MAX];
	uint64_t asking[SHARDS_MAX]
		       [SIM_NODES_MAX]; /* serial of the open question, by slot and node; 0 none */
	uint32_t letters_pending;
	int64_t tick_ms; /* the earliest tick that is queued */
	uint64_t tick_serial;
	int64_t commit_ms[SHARDS_MAX]; /* when the last commit arrives */
};

struct sim_gateway {
	struct process process;
	struct coalesce *coalesce;
	struct chooser *chooser;
	struct flight *flights;     /* in the air */
	struct search *searches;    /* all, newest first */
	struct catalog **snapshots; /* what flights were planned from */
	size_t snapshots_len;
	size_t snapshot_at[SIM_FOLLOWED];
	int64_t finals[SHARDS_MAX]; /* that it has read */
};

struct sim_controller {
	struct process process;
	char url[16];
	bool elected;            /* as it believes */
	struct controller *core; /* NULL: not in office */
	uint32_t office;         /* counts up with each leaving */
	uint64_t epoch;          /* of its transactional producer */
	uint64_t turn;           /* serial of the next turn */
	size_t read[SIM_TOPICS]; /* records that it has read or written */
	size_t writing[SIM_TOPICS];
	bool acting; /* an action is on its way */
	enum controller_action_kind kind;
	char topic[TOPIC_BYTES_MAX + 1];
	int32_t partitions;
	uint64_t polling[SIM_NODES_MAX]; /* serial of the open question; 0 none */
};

/* A topic of Kafka that is no simulated log: of an index that comes and goes. */
struct sim_other {
	char topic[64];
	bool exists;
	int32_t partitions;
};

struct sim {
	uint64_t seed;
	struct dice dice;
	struct swarm swarm;
	struct arena arena;
	struct tally *tally;
	FILE *trace; /* NULL: none */
	int64_t now_ms;
	uint64_t sequence;
	uint64_t serial;
	uint64_t events_run;
	struct event **queue; /* binary heap */
	size_t queue_len;
	size_t queue_size;
	bool calm; /* the liveness part: no faults any more */

	struct index_record index;
	int64_t base[SHARDS_MAX];
	struct sim_topic topics[SIM_TOPICS];
	struct sim_view truth; /* everything that was ever written */
	int64_t kafka_down_until_ms;
	uint32_t log_cuts;
	struct sim_log logs[SHARDS_MAX];
	struct sim_node nodes[SIM_NODES_MAX];
	struct sim_ingest ingests[INGESTS_MAX];
	struct sim_gateway gateways[GATEWAYS_MAX];
	struct sim_controller controllers[CONTROLLERS_MAX];
	uint64_t office_epoch; /* of the transactional producer: the newest */
	struct sim_other others[OTHERS_MAX];
	size_t others_len;
	bool finals[FINALS_MAX];                            /* by task */
	int64_t cut_until_ms[PROCESSES_MAX][PROCESSES_MAX]; /* nothing passes from, to */
	struct event *replays[REPLAYS_MAX];
	uint32_t replays_len;

	uint64_t hash; /* over everything that happened */
	bool violated;
	char invariant[96];
	char violation[400];
};

/* sim.c: time and events */
struct event *sim_event(struct sim *sim, enum event_kind kind, int64_t in_ms);
/* One that goes with this life of the process. */
struct event *sim_own_event(struct sim *sim, struct peer peer, enum event_kind kind, int64_t in_ms);
bool sim_step(struct sim *sim);
int64_t sim_delay(struct sim *sim, int64_t ms_max);
void sim_violate(struct sim *sim, const char *invariant, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Counts the fault, and the work that it met. */
void sim_count(struct sim *sim, enum fault fault, const struct sim_node *node,
               const struct sim_ingest *ingest);
struct slice sim_copy(struct sim *sim, struct slice bytes);
struct process *sim_process(struct sim *sim, struct peer peer);
struct peer sim_node_peer(const struct sim *sim, const struct sim_node *node);
struct peer sim_ingest_peer(const struct sim *sim, const struct sim_ingest *ingest);
/* The number of a node by its id. */
uint32_t sim_node_number(const struct sim *sim, const char *id);

/* sim_topology.c: the topics that everybody follows */
void sim_topology_write(struct sim *sim, enum sim_topic_number topic, struct slice key, struct slice value);
void sim_topology_write_shard(struct sim *sim, const struct shard_record *record);
/* Reads everything that is visible; a program acts only after that. */
void sim_view_open(struct sim *sim, struct sim_view *view);
void sim_view_close(struct sim_view *view);
/* True if something new was read. */
bool sim_view_follow(struct sim *sim, struct sim_view *view, enum sim_topic_number topic, size_t to);
/* Lost records are back. */
void sim_topology_restore(struct sim *sim);
void sim_topology_deinit(struct sim *sim);
/* The newest record of a shard that this view knows, or NULL. */
const struct shard_record *sim_view_shard(const struct sim *sim, const struct sim_view *view, uint32_t shard);

/* sim_marks.c: a controller by script, for worlds without real ones */
void sim_marks_begin(struct sim *sim);
void sim_marks_event(struct sim *sim, const struct event *event);

/* sim_controller.c */
void sim_controller_start(struct sim *sim, uint32_t number);
void sim_controller_crash(struct sim *sim, struct sim_controller *controller);
/* It learns that it is elected, or not any more. */
void sim_controller_elect(struct sim *sim, uint32_t number, bool elected);
void sim_controller_event(struct sim *sim, const struct event *event);
void sim_office_write(struct sim *sim, const struct event *event);

/* sim_requests.c: indexes that come and go, and what nodes report */
void sim_requests_begin(struct sim *sim);
void sim_request(struct sim *sim);
void sim_request_skip(struct sim *sim, uint32_t shard, int64_t offset);
/* Made known at the first call. */
struct sim_other *sim_other_topic(struct sim *sim, const char *topic);
void sim_node_record(const struct sim *sim, uint32_t number, struct node_record *record);
void sim_node_report(struct sim *sim, const struct sim_node *node, const struct event *event);

/* sim_node.c */
void sim_node_start(struct sim *sim, uint32_t number);
void sim_node_crash(struct sim *sim, struct sim_node *node);
/* Creates, opens, drops or refuses, as the records say that it has read. */
void sim_node_decide(struct sim *sim, struct sim_node *node);
void sim_node_event(struct sim *sim, const struct event *event);
/* It was not let run for a while. */
void sim_node_wake(struct sim *sim, struct sim_node *node);
struct serving_shard sim_node_serving(const struct sim *sim, const struct sim_node *node, uint32_t shard);
/* It would answer without a flag. */
bool sim_node_serves(const struct sim *sim, const struct sim_node *node, uint32_t shard);

/* sim_ingest.c */
void sim_ingest_start(struct sim *sim, uint32_t number);
void sim_ingest_crash(struct sim *sim, struct sim_ingest *ingest);
void sim_ingest_add(struct sim *sim, struct sim_ingest *ingest, uint32_t shard);
void sim_ingest_remove(struct sim *sim, struct sim_ingest *ingest, uint32_t shard);
/* Something new was read of meta or topology. */
void sim_ingest_follow(struct sim *sim, struct sim_ingest *ingest);
void sim_ingest_event(struct sim *sim, const struct event *event);

/* sim_fill.c */
void sim_fill_ask(struct sim *sim, struct sim_ingest *ingest, const struct feeder_action *action);
void sim_fill_answer(struct sim *sim, struct sim_node *node, const struct event *event);
void sim_fill_filled(struct sim *sim, struct sim_ingest *ingest, const struct event *event);

/* sim_skips.c */
/* The ingest waits for a skip before it feeds this shard. */
bool sim_skips_hold(struct sim *sim, struct sim_ingest *ingest, uint32_t shard);
/* Tells its feeder what it has read. */
void sim_skips_set(struct sim *sim, struct sim_ingest *ingest, uint32_t shard);
/* True if the record has ended the process. */
bool sim_skips_kill(struct sim *sim, struct sim_ingest *ingest, uint32_t shard,
                    const struct log_entry *entry);
/* Its request reaches whoever writes skips. */
void sim_skips_asked(struct sim *sim, uint32_t shard, int64_t offset);
/* Something was written to meta: what is skipped from now on is no operation any more. */
void sim_skips_recorded(struct sim *sim);

/* sim_gateway.c */
void sim_gateway_start(struct sim *sim, uint32_t number);
void sim_gateway_end(struct sim *sim, struct sim_gateway *gateway);
struct peer sim_gateway_peer(const struct sim *sim, const struct sim_gateway *gateway);
/* The topology as it has read it; valid until the gateway's end. */
const struct catalog *sim_gateway_snapshot(struct sim *sim, struct sim_gateway *gateway);
void sim_gateway_landed(struct sim *sim, struct sim_gateway *gateway, const struct flight *flight,
                        const struct coalesce_landing *landing);
/* Nobody waits for ever. */
void sim_gateway_check(struct sim *sim);
void sim_gateway_event(struct sim *sim, const struct event *event);
void sim_final(struct sim *sim);

/* sim_flight.c */
void sim_flight_start(struct sim *sim, struct sim_gateway *gateway, struct search *leader);
void sim_flight_answer(struct sim *sim, struct sim_gateway *gateway, const struct event *event);
void sim_flight_tick(struct sim *sim, struct sim_gateway *gateway, struct flight *flight);

/* sim_search.c: a question that has reached a node */
void sim_search_answer(struct sim *sim, struct sim_node *node, const struct event *event);

/* sim_net.c: what becomes of a request */
bool sim_net_passes(const struct sim *sim, struct peer from, struct peer to);
/* Nothing passes from one to the other until then. */
void sim_net_cut(struct sim *sim, struct peer from, struct peer to, int64_t until_ms);
void sim_net_send(struct sim *sim, struct sim_ingest *ingest, uint32_t node, struct slice frame);
void sim_net_answer(struct sim *sim, const struct event *request, struct slice frame);
void sim_net_replay(struct sim *sim);

/* sim_faults.c */
void sim_fault(struct sim *sim);
void sim_heal(struct sim *sim);

/* checks.c */
/* What an event may have changed; `at`: who had it, or nobody: then everything. */
void check_all(struct sim *sim, struct peer at);
void check_content(struct sim *sim, struct sim_replica *held, uint32_t shard);
/* `deep`: everything that is stored, not only its digest. */
void check_stored(struct sim *sim, struct sim_replica *held, uint32_t shard, bool deep);
/* The highest that this incarnation of the replica ever had; of all of them if it is none. */
struct sim_reached check_reached(const struct sim_replica *held, struct incarnation incarnation);

/* The log was replaced from `cut` on. */
void check_forget(struct sim_replica *held, int64_t cut);

/* check_search.c */
void check_search(struct sim *sim, struct sim_replica *held, uint32_t shard);
/* All documents, one after the other, are those of the fold. */
void check_listing(struct sim *sim, struct replica *replica, const struct timeline *timeline, uint32_t shard);

/* check_marks.c */
/* One page from `from` on; false if there was none. */
bool check_page(struct sim *sim, struct replica *replica, int64_t from, struct buffer *page);
/* All that the replica tells of identities and origins. */
void check_marks(struct sim *sim, struct replica *replica, const struct timeline *timeline);

/* check_shard.c: what concerns all replicas of a shard */
void check_commit(struct sim *sim, const struct sim_ingest *ingest, uint32_t shard, int64_t offset);
void check_record(struct sim *sim, const struct shard_record *before, const struct shard_record *record);
/* The node is about to drop its replica. */
void check_dropped(struct sim *sim, const struct sim_node *node, uint32_t shard);
/* The node answers a search of this shard without a flag. */
void check_served(struct sim *sim, const struct sim_node *node, uint32_t shard);
void check_siblings(struct sim *sim, uint32_t shard);
/* What the feeders know of the shard, into the trace. */
void check_trace(struct sim *sim, uint32_t shard);
/* True if the shard has nothing left to do, or has stopped as it had to. */
bool check_settled(struct sim *sim, uint32_t shard, char *why, size_t why_size);

/* check_office.c: what controllers write */
void check_write(struct sim *sim, const size_t known[SIM_TOPICS]);
void check_index(struct sim *sim, struct slice key, struct slice value);
void check_final(struct sim *sim, struct slice value);
void check_deleted(struct sim *sim, const char *topic);

/* schedule.c */
struct schedule_result {
	bool violated;
	char invariant[96];
	char violation[400];
	uint64_t hash;
};

/* Everything that happens is a function of this. */
struct schedule {
	uint64_t seed;
	uint32_t contract; /* 0: drawn from the seed */
};

/* Runs one schedule. `tally` is added to. */
void schedule_run(struct schedule schedule, struct tally *tally, FILE *trace, struct schedule_result *result);

#endif
