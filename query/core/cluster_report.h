/*
 * Cluster report: the body of GET /status, put together from what is recorded
 * (the catalog), what each program told, and where the logs stand.
 *
 *   {"cluster","epoch","rf","kafka":{"cluster_id","answers","error"},
 *    "controllers":[{"url","answers","in_office","held","error"}],
 *    "ingest":[{"url","answers","slots","shards","memory_bytes","held","error"}],
 *    "nodes":[{"id","group","url","answers","ready","incarnation","format","replicas","unrecorded",
 *              "documents","body_bytes","memory_bytes","disk_free_bytes","disk_bytes","descriptors_max","clock_off_ms","error"}],
 *    "shards":[{"uid","index","generation","partition","topic","log_start","log_end","committed","lag",
 *               "divergent","digests","replicas":[
 *       {"node","recorded","in_sync","incarnation","state","serving","received","stored","lag","digest",
 *        "error"}]}]}
 *
 * A replica's `recorded`, `in_sync` and `incarnation` are the topology's; from
 * `state` on it is the node's word, null while there is none: the node does
 * not answer, does not hold the replica, or holds another incarnation (then
 * `error` says so). `lag` is the log's end less what was committed, or less
 * what the replica received. `held` are the records before which the program
 * waits because it died of them: [{"uid","topic","partition","offset","lane",
 * "deaths","task","file"}], REPORT_HELD_MAX at most. `digests` is `equal` or `differ` where two
 * in-sync replicas could be compared, at one watermark or at a seal that both
 * have, else `unknown`. `clock_off_ms` is how far a node's clock is ahead of
 * the gateway's, as exactly as the answer travelled. Numbers that nobody knows are null. A node whose
 * answer names another node counts as not answering.
 *
 * What programs tell is untrusted: a malformed answer is a trouble of that
 * program. Pure core; one thread. Bounds: those of the catalog, and
 * REPORT_REPLICAS_MAX replicas told.
 */
#ifndef MILLRACE_QUERY_CORE_CLUSTER_REPORT_H
#define MILLRACE_QUERY_CORE_CLUSTER_REPORT_H

#include "shared/base/arena.h"
#include "shared/meta/catalog.h"

#define REPORT_REPLICAS_MAX 262144
#define REPORT_HELD_MAX 32

/* What one program told, or why it did not. */
struct report_told {
	const char *name; /* a node's id; not used for others */
	const char *url;
	struct slice body;
	const char *trouble; /* "": body is its answer */
	int64_t heard_ms;    /* wall clock when the answer came */
};

struct report_list {
	const struct report_told *told;
	size_t len;
};

/* Where one partition's log stands; -1: not known. */
struct report_place {
	int64_t start;
	int64_t end;
	int64_t committed;
};

struct report_log {
	uint64_t index_id;
	const struct report_place *places; /* one a partition */
};

struct report {
	const char *cluster; /* the configuration's `cluster` */
	const struct catalog *catalog;
	const char *kafka_trouble; /* "": Kafka answers */
	struct report_list controllers;
	struct report_list ingest;
	struct report_list nodes; /* one for each of the cluster record's */
	const struct report_log *logs;
	size_t logs_len;
};

/* Appends the body. Negative: out of memory, or too much was told. */
int report_write(const struct report *report, struct arena *arena, struct buffer *body, struct error *error);

#endif
