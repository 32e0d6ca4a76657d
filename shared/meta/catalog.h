/*
 * Catalog: what meta and topology say, materialized.
 *
 * Every program that acts reads both topics to their ends first and then
 * follows them; this is the state those records fold to. Records are JSON
 * with a format version `v`; each is self-contained, names the request that
 * made it (`task`), and its offset is its version. An unknown version or a
 * malformed record is an error that stops what it is about, never the
 * program: the record is remembered as unreadable (catalog_unreadable).
 *
 * meta:      key `names`      {"v":1,"task":N,"names":{"packages":"<index id>"}}
 *            key `index/<id>` struct index_record as below; "replaces":"<index id>" and
 *                              "accepts_loss":true and "lives_ended":N are absent for 0 and false
 *            key `skip/<id>/<p>` {"v":1,"task":N,"offsets":[o,...]}: offsets of that shard's log, rising, that
 *                              every feeder skips. It only grows, and before anybody has applied them.
 *            key `settings/<id>` {"v":1,"task":N,"index":"<id>","version":V,"settings":{…}}: what settings_parse
 *                              reads, in force
 *            key `settings-next/<id>` the same, while replicas are being built for it: it counts while its version
 *                              is above the one in force
 * topology:  key `cluster`    {"v":1,"epoch":N,"task":N,"kafka":"<cluster id>","rf":1,
 *                              "nodes":[{"id","group","url","incarnation","format"}],"oldest_task":N,
 *                              "controller":"<url>"}
 *            key `shard/<id>/<p>` {"v":1,"task":N,"index":"<id>","generation":1,"partition":p,
 *                              "replicas":[{"node","incarnation","state","in_sync","copy":{…}}],
 *                              "divergent":true}
 * A node's incarnation and format and the cluster's controller are absent while they are not known, `divergent`
 * is while no divergence is, `copy` (restore.h) unless the replica comes by one.
 *
 * An index id is 64 bits, printed as 16 hex digits: hash64 of the request's
 * nonce with the taskUid as seed, so whoever applies the request gets the
 * same id and no later life of the name ever does. A deleted index keeps its
 * record with state `deleted`; a tombstone deletes nothing here.
 *
 * Absence is never an order: nobody drops anything because a record is not
 * there. Pure core. Owner: one thread.
 */
#ifndef MILLRACE_META_CATALOG_H
#define MILLRACE_META_CATALOG_H

#include "shared/record/batch.h"

#define CATALOG_VERSION 1
#define INDEX_UID_BYTES_MAX 200
#define INDEX_PARTITIONS_MAX 1024
#define TOPIC_BYTES_MAX 249
#define NODE_ID_BYTES_MAX 63
#define NODE_URL_BYTES_MAX 255
#define NODES_MAX 64
#define REPLICAS_MAX 8
#define INDEXES_MAX 4096
#define SKIPS_MAX 1024                        /* of one shard */
#define SOURCES_MAX 64                        /* of one index */
#define SOURCE_RULES_BYTES_MAX (64U * 1024)   /* of one source, canonical */
#define SOURCES_RULES_BYTES_MAX (512U * 1024) /* of one index, so that its record is one Kafka takes */

enum index_state {
	INDEX_STATE_CREATING = 1, /* topic chosen, not yet usable */
	INDEX_STATE_ACTIVE,
	INDEX_STATE_DELETED
};

/* A source of imported records: part of its index's generation, so what it means is never taken from a program's own
 * configuration. JSON in the index's record, as "sources":[{"name","topic"|"pattern","life","paused","start_ms",
 * "dead_letter_topic","rules":{...}}]. */
struct source_record {
	char name[TOPIC_BYTES_MAX + 1];    /* unique within the index; the topic, unless it is a pattern */
	char topic[TOPIC_BYTES_MAX + 1];   /* "": a pattern */
	char pattern[TOPIC_BYTES_MAX + 1]; /* regular expression of librdkafka, begins with ^; "": a topic */
	char dead_letter_topic[TOPIC_BYTES_MAX + 1]; /* "": Millrace's own */
	uint32_t life; /* raised by `source seek`; part of each record's origin */
	bool paused;
	int64_t start_ms; /* a life begins at records of this time: 0 with the oldest, INT64_MAX with new ones */
	struct slice rules; /* canonical text for mapping_parse; memory as `base` */
};

struct index_record {
	uint64_t id;
	char uid[INDEX_UID_BYTES_MAX + 1];
	char topic[TOPIC_BYTES_MAX + 1];
	bool own_topic; /* Millrace created it, so Millrace deletes it */
	enum index_state state;
	int32_t generation;
	int32_t partitions;
	int64_t *
		base; /* [partitions], owned by the catalog or by whoever parsed the record; NULL while creating */
	enum partitioner partitioner;
	char primary_key[INDEX_UID_BYTES_MAX + 1];
	bool writable;
	uint64_t replaces; /* a generation in the making: the index whose name it will have; 0: none */
	bool accepts_loss; /* and it gets it although something of that one cannot be imported again */
	struct rules rules;
	struct source_record
		*sources; /* [sources_len], memory as `base`, one allocation; NULL if there is none */
	size_t sources_len;
	uint32_t lives_ended; /* the highest life of a source that was removed: a later one's is above it */
	int64_t task;
	int64_t created_at_ms;
	int64_t updated_at_ms;
};

enum placement_state {
	PLACEMENT_STATE_JOINING = 1,
	PLACEMENT_STATE_ACTIVE,
	PLACEMENT_STATE_LEAVING
};

/* A replica that does not begin empty: its node is given the copy with this
 * head, and makes it the recorded incarnation. Gone again once it is in-sync and has stored what follows. */
struct placement_copy {
	struct hash128 head; /* hash128_of the copy's head, seed 0; both words 0: there is none */
	int64_t stored;      /* the copy's watermark */
	int64_t from;        /* feeding goes on here; above `stored`: what lies between was given up */
};

struct placement {
	char node[NODE_ID_BYTES_MAX + 1];
	struct incarnation incarnation; /* none until a node's registration is recorded */
	enum placement_state state;
	bool in_sync;
	struct placement_copy copy;
};

struct shard_record {
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	size_t replicas_len;
	struct placement replicas[REPLICAS_MAX];
	bool divergent; /* two in-sync replicas were seen to differ */
	int64_t task;
};

struct node_record {
	char id[NODE_ID_BYTES_MAX + 1];
	char group[NODE_ID_BYTES_MAX + 1];
	char url[NODE_URL_BYTES_MAX + 1];
	struct incarnation incarnation; /* of its data directory; none until it has registered */
	uint32_t format;                /* of its replicas; 0: not known */
};

struct cluster_record {
	int64_t epoch;
	int64_t task;
	char kafka[64];
	int32_t rf;
	size_t nodes_len;
	struct node_record nodes[NODES_MAX];
	int64_t oldest_task;                     /* reading of `tasks` begins here */
	char controller[NODE_URL_BYTES_MAX + 1]; /* admin listener of the one in office; "": not known */
};

/* Settings of an index. */
struct settings_record {
	uint64_t index_id;
	int64_t task;
	int64_t version;       /* of the settings: the taskUid of the request that made them */
	struct slice settings; /* canonical text for settings_parse; the catalog's */
};

enum catalog_topic {
	CATALOG_TOPIC_META = 1,
	CATALOG_TOPIC_TOPOLOGY
};

struct catalog;

struct catalog *catalog_new(void);
void catalog_free(struct catalog *catalog);
/* A deep copy, to share read-only with other threads. NULL when out of memory. */
struct catalog *catalog_copy(const struct catalog *catalog);

/* Applies one record; an unknown key is ignored (a later version's). Negative (REJECT): the record is
 * malformed or of another version, remembered as unreadable; the catalog is otherwise unchanged. */
int catalog_apply(struct catalog *catalog, enum catalog_topic topic, int64_t offset, struct slice key,
                  struct slice value, struct error *error);
/* The reason why this index's record could not be read, or NULL. */
const char *catalog_unreadable(const struct catalog *catalog, uint64_t index_id);

/* Pointers stay valid until the next catalog_apply. NULL if absent. */
const struct index_record *catalog_index(const struct catalog *catalog, uint64_t index_id);
/* By name, through `names`: only active indexes. */
const struct index_record *catalog_resolve(const struct catalog *catalog, struct slice uid);
/* Every index record, by rising id; start with *at = 0. */
const struct index_record *catalog_next_index(const struct catalog *catalog, size_t *at);
const struct shard_record *catalog_shard(const struct catalog *catalog, uint64_t index_id, int32_t partition);
/* The offsets to skip in that shard's log, rising; NULL and 0 if there are none. */
const int64_t *catalog_skips(const struct catalog *catalog, uint64_t index_id, int32_t partition,
                             size_t *len);
/* In force; NULL: nobody has set any, their version is -1. */
const struct settings_record *catalog_settings(const struct catalog *catalog, uint64_t index_id);
/* Being built, of a higher version than those in force; NULL: none. */
const struct settings_record *catalog_settings_next(const struct catalog *catalog, uint64_t index_id);
/* The shard's replica on that node. */
const struct placement *catalog_placement(const struct shard_record *shard, const char *node);
bool placement_copy_is_set(const struct placement_copy *copy);
const struct cluster_record *catalog_cluster(const struct catalog *catalog);
const struct node_record *catalog_node(const struct catalog *catalog, const char *node);
/* The task that wrote `names`, -1 if none. */
int64_t catalog_names_task(const struct catalog *catalog);
/* The i-th name in bytewise order; false after the last. */
bool catalog_next_name(const struct catalog *catalog, size_t *at, struct slice *uid, uint64_t *index_id);
/* True if any index record, deleted ones too, ever used this topic. */
bool catalog_topic_used(const struct catalog *catalog, const char *topic);

/* Values of records; what catalog_apply reads. */
void catalog_write_index(struct buffer *value, const struct index_record *index);
void catalog_write_shard(struct buffer *value, const struct shard_record *shard);
void catalog_write_skips(struct buffer *value, int64_t task, const int64_t *offsets, size_t len);
void catalog_write_settings(struct buffer *value, const struct settings_record *record);
void catalog_write_cluster(struct buffer *value, const struct cluster_record *cluster);
/* The catalog's names with one added (index_id != 0) or removed (0), on behalf of `task`. */
void catalog_write_names(struct buffer *value, const struct catalog *catalog, int64_t task, struct slice uid,
                         uint64_t index_id);

/* 16 hex digits and a NUL, and back. */
void index_id_print(uint64_t index_id, char text[17]);
bool index_id_parse(struct slice text, uint64_t *index_id);
/* Letters, digits, `-`, `_`; 1..INDEX_UID_BYTES_MAX. */
bool index_uid_is_valid(struct slice uid);

#define SLOTS 64
/* The slot whose owner feeds shard (index, p): index id + bits of p reversed, modulo SLOTS, so that the shards of one
 * index are spread over members that own consecutive slots. */
int32_t slot_of(uint64_t index_id, int32_t partition);

#endif
