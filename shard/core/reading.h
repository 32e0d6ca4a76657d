/*
 * Reading: one call on a snapshot, in one transaction. What snapshot.c (life),
 * snapshot_read.c (get, list), snapshot_page.c, snapshot_filter.c, values_sources.h, snapshot_points.c,
 * snapshot_bodies.c, search_private.h, search_facets.c, snapshot_verify.c and walk.c share. Nobody else includes this.
 */
#ifndef MILLRACE_SHARD_CORE_READING_H
#define MILLRACE_SHARD_CORE_READING_H

#include "shard/core/replica_private.h"
#include "shard/core/watch.h"

struct snapshot {
	atomic_size_t references;
	struct kv *kv;
	uint64_t index_id;
	int64_t received;
	uint64_t documents;
	struct manifest_ref *manifest;
	struct attributes_ref *attributes;
	struct field_list *fields;
	struct postings deleted; /* as the replica's */
	size_t segments_len;
	struct segment *segments[];
};

/* A transaction with its views, and the page that it fills. */
struct reading {
	const struct snapshot *snapshot;
	struct kv_txn *txn; /* NULL: none */
	struct views views;
	struct arena *arena;
	struct watch *watch; /* of what fills the page; NULL: it takes as long as it does */
	size_t limit;
	bool keys_only;
	struct document_page page;
	uint64_t *numbers; /* of the page's documents */
};

/* A live document: where it is. */
struct located {
	uint64_t number;
	struct insertion_key key;
	const struct version *version; /* in memory; NULL: on disk */
	struct disk_view *view;
	struct disk_entry entry;
};

struct located located_version(const struct version *version);
struct located located_entry(struct disk_view *view, const struct disk_entry *entry);
/* By number; one that is nowhere is ERROR_DAMAGED. */
int reading_locate(struct reading *reading, uint64_t number, struct located *located, struct error *error);
/* Borrowed from the snapshot, or as disk_id says. */
int located_id(const struct located *located, struct slice *id, struct error *error);
/* Borrowed from the snapshot, or as disk_body says. */
int located_body(const struct located *located, struct slice *body, struct error *error);

/* Opens the transaction. Whatever it says, reading_end follows. */
int reading_open(struct reading *reading, const struct snapshot *snapshot, struct error *error);
void reading_end(struct reading *reading);
/* An empty page with room for `limit` documents, in the arena. */
int reading_page(struct reading *reading, size_t limit, struct error *error);
/* Copies a document into the page. */
int reading_add(struct reading *reading, const struct located *located, struct error *error);
/* Copies the first of a set of live documents in insertion order into the page, until it is full. */
int reading_fill(struct reading *reading, const struct postings *set, struct error *error);
/* Fills the page with live documents in insertion order, `offset` of them skipped. */
int reading_list(struct reading *reading, uint64_t offset, struct error *error);

#endif
