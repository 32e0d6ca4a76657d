/*
 * Log: Kafka, through librdkafka 2.0.2, with what that version gets wrong
 * kept inside. Only shared/log includes rdkafka.h.
 *
 * Every handle is made from the configuration's `kafka:` properties, over
 * which these always win: enable.auto.commit=false,
 * enable.auto.offset.store=false, auto.offset.reset=error, check.crcs=true,
 * isolation.level=read_committed, enable.partition.eof=true; producers have
 * acks=all, enable.idempotence=true. A program started while Kafka is down
 * waits and says so (one log line when it begins and one when it ends); one whom Kafka refuses (password, CA) waits as
 * well, and names the setting.
 *
 * Names: log_name gives `<cluster>.<suffix>`.
 *
 * Files: log_handle.c (librdkafka handles), log_connection.c (names, admin),
 * log_reader.c, log_producer.c, log_office.c, log_owner.c, log_feed.c,
 * log_shape.c, log_group.c, log_rights.c, log_topics.c; log_private.h is theirs alone.
 */
#ifndef MILLRACE_LOG_LOG_H
#define MILLRACE_LOG_LOG_H

#include "shared/config/config.h"
#include "shared/record/record.h"

#define TOPIC_NAME_BYTES 250 /* Kafka's longest name and a NUL */
#define LOG_SLOTS 64         /* partitions of the slots topic */

/* What waits until Kafka answers (log_reader_open, log_owner_open) gives up with ERROR_STATE, RETRY once this
 * descriptor is readable; it is not read. -1 (at first): never. The configuration outlives every handle. */
void log_set_stop(int fd);

/* What Kafka refuses every connection for, with the settings to check; NULL if it does not. */
const char *log_refusal(void);

/* ---- connection: names and administration; any thread, calls block up to `timeout_ms` ---- */

struct log_connection;

/* Connects lazily; fails only on a property that librdkafka refuses (ERROR_CONFIGURATION with its place). */
int log_connection_open(const struct config *config, struct log_connection **connection, struct error *error);
void log_connection_close(struct log_connection *connection);
/* "<cluster>.<suffix>"; valid until the connection closes. */
const char *log_name(struct log_connection *connection, const char *suffix);
/* Kafka's own cluster id. */
int log_cluster_id(struct log_connection *connection, int timeout_ms, char id[64], struct error *error);

struct log_topic {
	const char *name;
	int32_t partitions;
	const char *const *config; /* name, value, name, value, NULL */
};

/* 0 if created or there already with as many partitions; ERROR_EXISTS (REJECT) if there with another
 * number; with topics.create = false and absent: ERROR_CONFIGURATION naming the topic and its settings. */
int log_topic_create(struct log_connection *connection, const struct log_topic *topic, int timeout_ms,
                     struct error *error);
/* 0 if gone afterwards. */
int log_topic_delete(struct log_connection *connection, const char *topic, int timeout_ms,
                     struct error *error);
/* Number of partitions; ERROR_NOT_FOUND if there is no such topic. */
int log_topic_partitions(struct log_connection *connection, const char *topic, int timeout_ms,
                         int32_t *partitions, struct error *error);
struct log_topic_size {
	char name[TOPIC_NAME_BYTES];
	int32_t partitions;
};

/* Every topic whose name matches the extended regular expression, but Millrace's own and Kafka's; free() *topics. */
int log_topics_matching(struct log_connection *connection, const char *pattern, int timeout_ms,
                        struct log_topic_size **topics, size_t *len, struct error *error);
/* One broker-side topic setting, e.g. cleanup.policy, into `value`. */
int log_topic_setting(struct log_connection *connection, const char *topic, const char *name, int timeout_ms,
                      char value[128], struct error *error);
/* Partitions of one topic, at most INDEX_PARTITIONS_MAX. */
struct log_partitions {
	const char *topic;
	const int32_t *partitions;
	size_t len;
};

/* Log start and the end that a read_committed reader can reach. */
struct log_ends {
	int64_t start;
	int64_t end;
};
/* Of several partitions at once; all of them or an error. */
int log_ask_all_ends(struct log_connection *connection, const struct log_partitions *asked, int timeout_ms,
                     struct log_ends *ends, struct error *error);
/* Creates meta, topology, tasks, task-states, dead-letter and slots as DESIGN says, where absent. */
int log_create_own_topics(struct log_connection *connection, int timeout_ms, struct error *error);

/* ---- reader: whole topics from the start to the end, then on; one thread ---- */

struct log_reader;

enum log_event {
	LOG_EVENT_NONE = 0, /* nothing within the timeout */
	LOG_EVENT_RECORD,
	LOG_EVENT_END /* once: every topic was read to the end that it had when the reader opened */
};

/* Topics of one partition each, by suffix; waits (with log lines) until they exist. */
int log_reader_open(const struct config *config, const char *const *suffixes, size_t suffixes_len,
                    struct log_reader **reader, struct error *error);
/* One topic, from an offset on; from its start if that is above. Where the offset is above its end, it was re-created:
 * log_reader_next says so. */
int log_reader_open_from(const struct config *config, const char *suffix, int64_t from,
                         struct log_reader **reader, struct error *error);
void log_reader_close(struct log_reader *reader);
/* Negative on an error that does not pass by itself (a topic was deleted or truncated: FATAL). On RECORD,
 * `*topic` is the index into suffixes and the record is borrowed until the next call. */
int log_reader_next(struct log_reader *reader, int timeout_ms, enum log_event *event, size_t *topic,
                    struct record *record, struct error *error);
/* Readable when log_reader_next has something. */
int log_reader_fd(const struct log_reader *reader);

/* ---- producer: idempotent, acks=all, answers by completion; any thread ---- */

struct log_producer;

/* Called on the producer's own thread; offset is where it stands now, or `error` is set (then -1). */
typedef void log_completion(void *context, int64_t offset, const struct error *error);

struct log_message {
	const char *topic;
	int32_t partition;    /* -1: murmur2 of the key, as Java clients */
	struct slice key;     /* ptr NULL: none */
	struct slice value;   /* ptr NULL: null */
	int64_t timestamp_ms; /* 0: now */
	const struct record_header *headers;
	size_t headers_len;
	log_completion *completion;
	void *context;
};

int log_producer_open(const struct config *config, struct log_producer **producer, struct error *error);
/* The same, and messages share a batch only up to so many bytes: a topic that takes less than a batch has would refuse
 * all of them for one. */
int log_producer_open_bounded(const struct config *config, size_t batch_bytes, struct log_producer **producer,
                              struct error *error);
/* The same, and a message that cannot be delivered is the last one: all that follow it fail too, so what the log has
 * of this producer is a beginning of what was sent to that partition. Nothing times out. Batches have at most
 * `batch_bytes`, which should be what the topic takes. */
int log_producer_open_gapless(const struct config *config, size_t batch_bytes, struct log_producer **producer,
                              struct error *error);
/* Waits for what is queued, at most timeout_ms, then completes the rest with an error. */
void log_producer_close(struct log_producer *producer, int timeout_ms);
/* Copies the message. ERROR_LIMIT (RETRY) when the queue is full, ERROR_LIMIT (REJECT) when larger than
 * the broker takes; then the completion is not called. */
int log_producer_send(struct log_producer *producer, const struct log_message *message, struct error *error);

/* ---- office: the controller's transactional producer; one thread ---- */

#define LOG_WRITES_MAX 256

struct log_office;

struct log_write {
	const char *topic;
	struct slice key;
	struct slice value;
};

/* Initialises transactions, which fences any predecessor. */
int log_office_take(const struct config *config, int timeout_ms, struct log_office **office,
                    struct error *error);
void log_office_leave(struct log_office *office);
/* Writes 1..LOG_WRITES_MAX records in one transaction, in this order, and returns when it is committed: readers get
 * all of them or none. (Compaction may later take some away, so each must stand for itself.) ERROR_FENCED: a
 * successor is in office. Any other failure leaves the outcome unknown: leave the office, take it again, read to
 * the end. */
int log_office_write(struct log_office *office, const struct log_write *writes, size_t writes_len,
                     struct error *error);

/* ---- owner: which of the 64 slots are ours (a consumer group on the slots topic); one thread ---- */

struct log_owner;

struct log_owner_options {
	const char *group;     /* suffix; every group is an election of its own */
	const char *topic;     /* suffix; its LOG_SLOTS partitions are the slots */
	const char *client_id; /* what Kafka's tools show of this member; NULL: as configured */
};

int log_owner_open(const struct config *config, const struct log_owner_options *options,
                   struct log_owner **owner, struct error *error);
/* Leaves the group. */
void log_owner_close(struct log_owner *owner);
/* Serves the group; true and *slots (bit i = slot i) if ownership changed since the last call. Must be
 * called at least every second. While the group only rearranges itself the old slots stand until the new ones
 * are known; a member that the group dropped has none. */
bool log_owner_poll(struct log_owner *owner, uint64_t *slots);
int log_owner_fd(const struct log_owner *owner);

/* ---- feed: assign()ed partitions of data topics, each with its own queue; one thread ---- */

struct log_feed;

enum log_feed_event {
	LOG_FEED_EVENT_NONE = 0,
	LOG_FEED_EVENT_RECORD,
	LOG_FEED_EVENT_END, /* the reader stands at `position`, the end that a read_committed reader can reach now */
	LOG_FEED_EVENT_RESET, /* the position is not in the log (trimmed, truncated), or may mean another record since a
	                       * connection was lost: stopped; detail in error */
	LOG_FEED_EVENT_GONE /* topic or partition deleted, or no right to read: stopped */
};

int log_feed_open(const struct config *config, struct log_feed **feed, struct error *error);
void log_feed_close(struct log_feed *feed);
/* Starts (or restarts) reading at `offset`; `slot` is the caller's number for it, 0..65535. Nothing read
 * before a restart is delivered after it, nor any record below `offset`. */
int log_feed_start(struct log_feed *feed, uint32_t slot, const char *topic, int32_t partition, int64_t offset,
                   struct error *error);
void log_feed_stop(struct log_feed *feed, uint32_t slot);
/* The next event of this partition, without waiting; the record is borrowed until the next call for any slot.
 * Not calling it is backpressure: librdkafka prefetches at most its bounded queue. */
int log_feed_next(struct log_feed *feed, uint32_t slot, enum log_feed_event *event, struct record *record,
                  int64_t *position, struct error *error);
/* Readable when something arrived for some slot. After reading it, poll every slot that may proceed: what stays
 * in a slot that was not polled until NONE is not announced again. */
int log_feed_fd(const struct log_feed *feed);
/* Commits (asynchronously) under the group without members `<cluster>.ingest`. */
int log_feed_commit(struct log_feed *feed, const char *topic, int32_t partition, int64_t offset,
                    struct error *error);
/* What that group has committed, one a partition, -1 for nothing; blocks up to timeout_ms. */
int log_feed_committed_all(struct log_feed *feed, const struct log_partitions *asked, int timeout_ms,
                           int64_t *offsets, struct error *error);

/* ---- how Kafka keeps things; any thread, calls block up to `timeout_ms` ---- */

struct log_shape {
	int32_t partitions;
	int32_t replicas_min; /* of the partition that has the fewest */
	int32_t in_sync_min;
	int32_t leaderless; /* partitions */
};

int log_brokers(struct log_connection *connection, int timeout_ms, int32_t *brokers, struct error *error);
/* ERROR_NOT_FOUND if there is no such topic; FATAL if the right to see it is missing. */
int log_topic_shape(struct log_connection *connection, const char *topic, int timeout_ms,
                    struct log_shape *shape, struct error *error);
/* The i-th topic that log_create_own_topics makes, its name being the suffix; false after the last. */
bool log_own_topic(size_t i, struct log_topic *topic);

/* ---- groups, as others see them; any thread, calls block up to `timeout_ms` and a second ---- */

#define LOG_MEMBERS_MAX 256

struct log_member {
	char client_id[128]; /* as the member opened the group: log_owner_options */
	char host[64];       /* whence it is connected */
};

struct log_members {
	size_t len;
	struct log_member list[LOG_MEMBERS_MAX];
};

/* Who is in the group `<cluster>.<suffix>`, at most LOG_MEMBERS_MAX; nobody if there is no such group. */
int log_group_members(struct log_connection *connection, const char *suffix, int timeout_ms,
                      struct log_members *members, struct error *error);
/* What it has committed for several partitions of one topic, -1 for nothing. */
int log_group_offsets(struct log_connection *connection, const char *suffix,
                      const struct log_partitions *asked, int timeout_ms, int64_t *offsets,
                      struct error *error);

/* ---- rights, as Kafka's authorizer keeps them; one thread ---- */

enum log_resource {
	LOG_RESOURCE_TOPIC,
	LOG_RESOURCE_GROUP,
	LOG_RESOURCE_TRANSACTIONAL_ID,
	LOG_RESOURCE_CLUSTER
};

struct log_right {
	enum log_resource resource;
	const char *name;      /* of the cluster: "kafka-cluster" */
	bool prefixed;         /* on everything whose name begins so */
	const char *operation; /* "Read", "DescribeConfigs", …, as kafka-acls.sh says it */
};

struct log_acls;

/* All rules. ERROR_NOT_FOUND: there are none, there is no authorizer, or the right to see them (Describe on the cluster)
 * is missing: 2.0.2 answers all three alike. */
int log_acls_read(struct log_connection *connection, int timeout_ms, struct log_acls **acls,
                  struct error *error);
void log_acls_free(struct log_acls *acls);
enum log_ruling {
	LOG_RULING_GIVEN,
	LOG_RULING_MISSING,
	LOG_RULING_DENIED /* by a rule, over which no other wins */
};

/* What the rules say of the principal ("User:name") from any host. super.users, which are no rules, are not known
 * here. */
enum log_ruling log_acls_judge(const struct log_acls *acls, const char *principal,
                               const struct log_right *right);

#endif
