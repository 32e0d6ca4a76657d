/*
 * Watch: what nodes and logs said last, and since when.
 *
 * The controller's memory of the world outside its records; it is lost with
 * the process and filled again by the next reports. Only shards and replicas
 * that are recorded are watched. Nothing here decides anything.
 *
 * Two times of an answer are kept: what it says was true at some moment
 * between `asked` and its arrival. A replica's own progress counts from
 * `asked`, its siblings' from the arrival, so that what is concluded was
 * really so.
 *
 * Pure core. Owner: one thread. Pointers to nodes are valid until watch_only,
 * to replicas until watch_forget or another one is watched.
 */
#ifndef MILLRACE_REBALANCE_CORE_WATCH_H
#define MILLRACE_REBALANCE_CORE_WATCH_H

#include "rebalance/core/node_report.h"

#define WATCH_SAMPLES 16
/* Samples are at least so far apart: together they reach further back than any rule looks. */
#define WATCH_SAMPLE_MS 400
/* An older log end says nothing about being level; the newest ones alone would ask for a feeder without any delay. */
#define WATCH_END_AGE_MS_MAX 3000
#define WATCH_ENDS 8

struct watched_node {
	char id[NODE_ID_BYTES_MAX + 1];
	bool registered;  /* has given a good answer since we watch */
	bool answering;   /* the last answer was good */
	int64_t heard_ms; /* arrival of the last good answer; before the first: since when we watch */
	int64_t asked_ms; /* of the last good answer */
	struct incarnation incarnation; /* the rest as well */
	uint32_t format;
	char trouble[256]; /* why the last answer was not good */
};

/* A replica had received so much, or a log ended there, by then. */
struct watched_sample {
	int64_t at_ms;
	int64_t offset;
};

struct watched_replica {
	char node[NODE_ID_BYTES_MAX + 1];
	bool known;        /* was listed once: `last` holds */
	int64_t listed_ms; /* arrival of the last answer that listed it; before the first: since when we watch */
	int64_t asked_ms;   /* of that answer */
	int64_t leaving_ms; /* since when it is recorded as leaving; -1: not */
	bool reached;       /* in `last`: received >= a log end that was read before it was asked for */
	int64_t level_ms; /* when an end >= that was read as well: what it has is of this log; -1: not yet */
	struct replica_report last;
	struct watched_sample samples[WATCH_SAMPLES]; /* a ring */
	size_t samples_len;                           /* ever taken */
};

struct watched_shard {
	uint8_t key[12]; /* borrowed by the map */
	int32_t generation;
	struct watched_sample ends[WATCH_ENDS]; /* of the log; a ring */
	size_t ends_len;                        /* ever read */
	int64_t end_wanted_ms;                  /* when somebody was last told to read it */
	int64_t verdict_at; /* the offset at which its replicas were found to differ, or to agree; -1: never */
	size_t target_len;  /* 0: not computed yet; it stays the same while a controller lives */
	uint8_t target[REPLICAS_MAX]; /* places of its target among the configured nodes */
	size_t replicas_len;
	struct watched_replica *replicas[REPLICAS_MAX];
};

struct watch;

/* NULL when out of memory. */
struct watch *watch_new(void);
void watch_free(struct watch *watch);

/* `now_ms` has come. After a pause longer than `blind_ms` since the last call nobody was silent in that time. */
void watch_tick(struct watch *watch, int64_t now_ms, int64_t blind_ms);
/* The node, watched from the last tick on if it was not; NULL if more than NODES_MAX are. */
struct watched_node *watch_node(struct watch *watch, const char *id);
/* NULL if it is not watched. */
struct watched_node *watch_find_node(struct watch *watch, const char *id);
/* Watches nobody else any more. */
void watch_only(struct watch *watch, const struct node_record *nodes, size_t nodes_len);

/* The shard; NULL when out of memory. Of another generation than before, everything is forgotten. */
struct watched_shard *watch_shard(struct watch *watch, const struct shard_record *record);
/* The replica, watched from the last tick on if it was not; NULL when out of memory. */
struct watched_replica *watch_replica(const struct watch *watch, struct watched_shard *shard,
                                      const struct shard_record *record, const char *node);
/* It is no longer recorded. */
void watch_forget(struct watch *watch, const struct shard_record *record, const char *node);

/* A good answer of this node listed this replica. */
void watch_listed(struct watched_shard *shard, struct watched_replica *replica,
                  const struct node_report *report, const struct replica_report *listed, int64_t now_ms);
void watch_end(struct watched_shard *shard, int64_t end, int64_t read_ms);
/* The log's end as it was read last; -1: it was not. */
int64_t watched_end(const struct watched_shard *shard);

/* Listed in its node's last good answer. */
bool watched_is_listed(const struct watched_node *node, const struct watched_replica *replica);
/* What it had certainly received at `at_ms`; -1 if that is not known. */
int64_t watched_received_at(const struct watched_replica *replica, int64_t at_ms);

#endif
