/*
 * Record: what Kafka delivers, and the operation it decodes to.
 *
 * record_decode is the contract of a log: a pure function of the record, the
 * generation's rules and the shard's place; it never looks at a clock, at
 * settings or at what else is stored. A record either becomes one operation
 * or is refused with a stable code; the same bytes get the same verdict on
 * every machine and for ever, because replicas are compared by what came out.
 *
 * Checks, in this order (the first that fails names the refusal):
 *   missing_key, invalid_document_id, wrong_partition, unknown_operation,
 *   invalid_header, too_large, not_json, too_deep, not_an_object, id_mismatch.
 * An empty value, or operation `delete`, deletes; the other checks of the
 * body do not apply then. Of several headers of one name the last counts.
 *
 * The rules' contract decides which headers speak:
 *   1: `op` = put (default) | delete; `seq`; `created` = "<timestamp ms>/<seq>".
 *   2: `op` also merge | put-if-exists | merge-if-exists | delete-by-filter |
 *      delete-all; `created` = "<timestamp ms>.<seq>"; `idempotency-key`, else
 *      `ce_source` with `ce_id`; `origin` = "source.life/partition/offset.n";
 *      `if-offset` is reserved and refused. Numbers have one spelling, without
 *      leading zeros.
 * The last two operations are barriers. A barrier stands for a whole partition:
 * it has no key (unexpected_key) and the empty id, and is looked for in no
 * other partition. The value of delete-by-filter is a filter as filter.h
 * parses it, with a condition in it; invalid_filter says in Meilisearch's words
 * why it is none. That of delete-all says nothing.
 */
#ifndef MILLRACE_RECORD_RECORD_H
#define MILLRACE_RECORD_RECORD_H

#include "shared/base/arena.h"
#include "shared/base/hash.h"
#include "shared/record/rules.h"

#define RECORD_ID_BYTES_MAX 511
#define RECORD_HEADERS_MAX 64
#define RECORD_IDENTITY_BYTES_MAX 1024 /* of a header that identifies an operation */
#define RECORD_SOURCE_BYTES_MAX 249    /* of an origin's source: a topic's name */

struct record_header {
	struct slice name;
	struct slice value; /* ptr NULL: null */
};

/* Borrowed from whoever read it, until that one says otherwise. */
struct record {
	int64_t offset;
	int64_t timestamp_ms; /* -1 if it has none */
	struct slice key;     /* ptr NULL: no key */
	struct slice value;   /* ptr NULL: null */
	const struct record_header *headers;
	size_t headers_len;
};

/* Values are part of the batch frame. */
enum op_kind {
	OP_KIND_PUT = 1,
	OP_KIND_DELETE = 2,
	OP_KIND_MERGE = 3,           /* record_merge; creates like a put */
	OP_KIND_PUT_IF_EXISTS = 4,   /* nothing where there is no document */
	OP_KIND_MERGE_IF_EXISTS = 5, /* the same */
	OP_KIND_DELETE_BY_FILTER = 6,
	OP_KIND_DELETE_ALL = 7
};

/* True for an operation on every document of its partition, which has no id. */
static inline bool op_kind_is_barrier(enum op_kind kind)
{
	return kind == OP_KIND_DELETE_BY_FILTER || kind == OP_KIND_DELETE_ALL;
}

/* Orders listings and breaks ties: by time, then seq, then document id. */
struct insertion_key {
	int64_t timestamp_ms;
	uint32_t seq;
};

int insertion_key_compare(struct insertion_key a, struct slice id_a, struct insertion_key b,
                          struct slice id_b);

/* What tells a repeated operation: `key` is XXH3-128 over u32 id length, id and
 * either u8 1, idempotency key or u8 2, u32 length of ce_source, ce_source,
 * ce_id; `operation` is XXH3-64 over u8 kind, u32 id length, id, body as they
 * were decoded, so that neither time nor insertion key is part of it. */
struct identity {
	struct hash128 key;
	uint64_t operation;
};

/* The source record that an imported record was made of, its n-th output. */
struct origin {
	struct slice source; /* ptr NULL: not imported */
	uint32_t life;
	int32_t partition;
	int64_t offset;
	uint32_t n;
};

/* An operation on one document, or a barrier. After coalescing, `key` is the
 * insertion key to use if the operation creates the document, and `fresh`
 * says that a delete lies between: then the key is used even if the document
 * exists. Only puts and deletes are ever fresh. */
struct op {
	int64_t offset;
	enum op_kind kind;
	bool fresh;
	bool has_identity;
	struct insertion_key key;
	struct slice id;   /* empty for a barrier, and only there */
	struct slice body; /* puts, merges: a JSON object that has the primary key; filter; else empty */
	struct identity identity;
	struct origin origin;
};

enum refusal_code {
	REFUSAL_MISSING_KEY = 1,
	REFUSAL_INVALID_DOCUMENT_ID,
	REFUSAL_WRONG_PARTITION,
	REFUSAL_UNKNOWN_OPERATION,
	REFUSAL_INVALID_HEADER,
	REFUSAL_TOO_LARGE,
	REFUSAL_NOT_JSON,
	REFUSAL_TOO_DEEP,
	REFUSAL_NOT_AN_OBJECT,
	REFUSAL_ID_MISMATCH,
	REFUSAL_UNEXPECTED_KEY,
	REFUSAL_INVALID_FILTER,
	/* not decided by record_decode, but by what the log held before, or by a record in `meta` */
	REFUSAL_IDEMPOTENCY_KEY_REUSED,
	REFUSAL_TOO_MANY_SOURCES,
	REFUSAL_SKIPPED
};

struct refusal {
	enum refusal_code code;
	char text[512]; /* for a person: what is wrong and what to change */
};

/* "missing_key", …: what dead letters and metrics carry. */
const char *refusal_name(enum refusal_code code);
/* Connect's stage for it: KEY_CONVERTER, VALUE_CONVERTER, HEADER_CONVERTER or TASK_PUT. */
const char *refusal_stage(enum refusal_code code);

/* The place of the log that a record is judged for. */
struct record_place {
	const struct rules *rules;
	enum partitioner partitioner;
	int32_t partition;
	int32_t partitions;
	struct slice primary_key;
};

enum record_verdict {
	RECORD_VERDICT_APPLY = 0,
	RECORD_VERDICT_REFUSE = 1,
	RECORD_VERDICT_MEMORY = -1 /* no verdict: an allocation failed */
};

/* Decodes into `op`, whose slices point into the record, or into `arena`
 * where the primary key had to be added. Fills `refusal` on REFUSE. */
enum record_verdict record_decode(const struct record *record, const struct record_place *place,
                                  struct arena *arena, struct op *op, struct refusal *refusal);

/* The document that a merge of `patch` into `existing` leaves: the members of
 * `existing` in their order with the patch's values, then the patch's other
 * members in theirs. Names are compared decoded and written as they first
 * stand; of a name's several values the last counts; tokens keep their bytes,
 * and the space between them goes. A function of the two texts alone, at most
 * as long as both, in `arena`. ERROR_MEMORY, or ERROR_FORMAT for what is no
 * JSON object, which record_decode lets nobody send. */
int record_merge(struct slice existing, struct slice patch, struct arena *arena, struct slice *merged,
                 struct error *error);

/* hash64 over key and value, with their lengths: an anchor's checksum. */
uint64_t record_checksum(const struct record *record);

/* A document's part of its replica's digest: XXH3-128, seeded for the index,
 * over u32 id length, id, u32 body length, stored body, i64 timestamp, u32 seq
 * (little-endian). `scratch` is used and left with undefined content;
 * if that has failed there was no memory for it, and the answer means nothing. */
struct hash128 document_digest(uint64_t index_id, struct slice id, struct slice body,
                               struct insertion_key key, struct buffer *scratch);

#endif
