/*
 * What the parts of a replica share: replica.c (life and state),
 * replica_receive.c with replica_fold.c and replica_barrier.c (intake.h),
 * replica_store.c with its parts (store_job.h), replica_read.c,
 * replica_search.c, walk.c. Nobody else includes this.
 *
 * The newest state of an id is its version in `overlay` if there is one, else
 * what IDS says. `overlay` covers everything after the last store that ended
 * on the owner's thread, a superset of what is not on disk; so it does not
 * matter whether a running job has already committed.
 *
 * `deleted` holds the numbers of versions that a memory segment or the store
 * may still list, and that were superseded, or killed by a barrier; a killed
 * one may still be the newest of its id, which then has no document. A number
 * is taken out when neither can list it any more.
 */
#ifndef MILLRACE_SHARD_CORE_REPLICA_PRIVATE_H
#define MILLRACE_SHARD_CORE_REPLICA_PRIVATE_H

#include "shard/core/postings.h"
#include "shard/core/segment.h"
#include "shared/base/map.h"

#define STORED_VALUE_BYTES_MAX (64U * 1024 * 1024)

struct replica {
	struct kv *kv;
	struct replica_identity identity;
	uint64_t session;
	struct mark now;  /* of received */
	uint64_t applied; /* operations since opening */
	uint64_t merges_too_large;
	uint64_t skipped;
	int64_t stored;
	int64_t log_end;  /* newest known in this session, -1 none */
	int64_t level_at; /* first known in this session: received >= it makes the replica active */
	enum replica_state state;
	char stop_reason[256];
	struct words *words;
	struct dictionary_builder *builder;
	struct buffer scratch;
	struct map overlay; /* id → struct version *, in a segment */
	struct postings deleted;
	struct segment **segments; /* oldest first */
	size_t segments_len;
	size_t segments_size;
	size_t frozen; /* the first of them belong to the job */
	struct replica_store_job *job;
};

/* Passes on an error code; ERROR_DAMAGED and FATAL errors stop the replica. */
int replica_failed(struct replica *replica, const struct error *error);
/* 0, or the error of a replica that may not answer. */
int replica_check_serving(const struct replica *replica, bool stale_ok, struct error *error);

/* The newest version of an id in memory, NULL if none. */
const struct version *overlay_get(const struct replica *replica, struct slice id);
/* Makes `version` the newest; its id is borrowed. False when out of memory, which
 * cannot happen if the id is in the map already. */
bool overlay_set(struct replica *replica, const struct version *version);
/* A version in memory by its number, NULL if it is not there. */
const struct version *replica_version(const struct replica *replica, uint64_t number);

/* The stored entry of an id; ERROR_NOT_FOUND. */
int replica_stored_id(struct kv_txn *txn, struct slice id, struct stored_id *entry, struct error *error);
/* A document by number, from memory or the store; borrowed until the transaction ends or the
 * replica changes. A number that is nowhere is ERROR_DAMAGED. */
int replica_document(struct replica *replica, struct kv_txn *txn, uint64_t number,
                     struct stored_document *document, struct error *error);
/* replica_marks.c */
/* What the store says of identities and origins. */
int replica_marks_load(struct replica *replica, struct kv_txn *txn, struct error *error);
/* That all of it is sound, and nothing of it above `received`. */
int replica_marks_verify(struct kv_txn *txn, int64_t received, struct error *error);
bool replica_has_identities(const struct replica *replica);

/* One read: a transaction, and the page that it fills. */
struct reading {
	struct replica *replica;
	struct kv_txn *txn;
	struct arena *arena;
	size_t limit;
	bool keys_only;
	struct document_page page;
};

/* Opens the transaction and makes room for the documents asked for; at most as many as there are. */
int reading_begin(struct reading *reading, struct replica *replica, const struct document_request *request,
                  struct error *error);
/* Ends the transaction; on success (rc 0) hands the page out, else it may stop the replica. Returns rc. */
int reading_end(struct reading *reading, int rc, struct document_page *page, const struct error *error);
/* Copies a document into the page. */
int reading_add(struct reading *reading, const struct stored_document *document, uint32_t score,
                struct error *error);
/* The same by its number. */
int reading_add_number(struct reading *reading, uint64_t number, uint32_t score, struct error *error);
/* Fills the page with live documents in insertion order, `offset` of them skipped. */
int reading_list(struct reading *reading, uint64_t offset, struct error *error);

#endif
