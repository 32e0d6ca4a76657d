/*
 * Mapping: from a record of any topic to one operation on an index.
 *
 * A mapping is rules, read once from JSON and recorded with the generation
 * that imports by them. mapping_apply is a pure function of rules and record:
 * same bytes, same outcome, on every machine and for ever. What it puts out
 * meets the contract of a log (record.h): the id has only allowed characters,
 * the body is a JSON object within the generation's limits, its primary key
 * names the id. Nothing is changed silently: what does not fit is refused
 * with a stable code. The record's own header `op` means nothing here.
 *
 * Rules; every member may be absent, an unknown one is refused:
 *   format        json (default) | cloudevents | connect-json. A format of
 *                 its own for change events of databases has its place in
 *                 mapping_formats.c; `debezium` is an unknown format today.
 *   op            put (default) | merge | put-if-exists | merge-if-exists | delete
 *   primary_key   member of the document that names the id; default id
 *   id            key (default) | key.<path> | <path> | template "{a}-{b.c}";
 *                 for cloudevents also ce.<attribute>. A value that is null,
 *                 empty or not there is refused; so are numbers that are not
 *                 written as integers. Literals do not keep fields apart
 *                 that may hold them: ids are unique only if the fields see
 *                 to it.
 *   key           text (default) | json (default with connect-json or key.<path>)
 *   tombstones    delete (default) | ignore: what an empty value does
 *   ignore_when   conditions; a record that meets all of them is ignored
 *   delete_when   conditions; a record that meets all of them deletes
 *   where         conditions; a record that fails one of them deletes
 *   delete_types  cloudevents: types that delete; "*.deleted" is a suffix
 *   include       only these fields; exclude: not these (of those included)
 *   mask          {field: "***" | "hash"}: every value there becomes "***" or
 *                 the hex XXH3-128 of its compact JSON text. The hash is a
 *                 stand-in that stays equal, no protection against guessing.
 *   rename        {field: name}: a new name at the same place
 *   flatten       separator; objects dissolve into their members' names,
 *                 arrays and empty objects stay
 * A field is a path through objects, `a.b`; `\` makes the next character
 * plain (`a\.b` is one name, `\key` in `id` a member named key). Paths are
 * those of the payload as it arrives, before any renaming. In the lists they
 * pass through arrays into each element; `id` does not. Of a name that
 * an object repeats, `id` and conditions see the last value. Two members that
 * end under one name are refused (field_collision).
 *
 * A condition is {"field","op","value"}, op one of = != > >= < <= in exists.
 * Numbers compare exactly as decimals, strings bytewise, unlike types never;
 * an array meets it if one element does, `!=` is the opposite of `=`, a field
 * that is not there meets only `!=` and {"op":"exists","value":false}.
 *
 * Formats. json: the value is the payload. cloudevents: the event's data is;
 * binary mode (ce_ headers) and structured mode (content-type
 * application/cloudevents+json), version 1. connect-json: Connect's
 * JsonConverter; an object of exactly `schema` and `payload` is its envelope,
 * for value and key alike; a null payload is a tombstone, and so is `null`.
 *
 * Idempotency key: header idempotency-key, else of ce_source and ce_id (in
 * structured mode the event's members) `<bytes of source>:<source><id>`.
 *
 * The decisions, in this order: format, tombstone, ignore_when, id,
 * idempotency key, what deletes, document. Memory: a mapping and its slices
 * live in the arena it was read into; immutable, any thread may apply it.
 */
#ifndef MILLRACE_MAPPING_MAPPING_H
#define MILLRACE_MAPPING_MAPPING_H

#include "shared/record/record.h"

#define MAPPING_RULES_BYTES_MAX (64U * 1024)
#define MAPPING_LIST_MAX 256 /* entries of one list of rules */
#define MAPPING_PATH_SEGMENTS_MAX 32
#define MAPPING_VALUE_BYTES_MAX (16U * 1024 * 1024) /* of a record's value, envelope included */
#define MAPPING_KEY_BYTES_MAX (64U * 1024)          /* of a key that is JSON */
#define MAPPING_FLAT_NAME_BYTES_MAX 4096            /* of a name that `flatten` makes */
#define MAPPING_IDEMPOTENCY_KEY_BYTES_MAX 1024

struct mapping;

/* Reads rules; `limits` are the generation's, copied. ERROR_FORMAT, REJECT: the
 * text begins with the path of the offending member ("where[1].op: …"), or
 * with "rules" for the whole. */
int mapping_parse(struct slice rules, const struct rules *limits, struct arena *arena,
                  struct mapping **mapping, struct error *error);
/* The rules with sorted lists and defaults of scalars written out: equal rules
 * have equal bytes, and mapping_parse reads them. Numbers stay as written. */
struct slice mapping_canonical(const struct mapping *mapping);
/* hash64 of the canonical text; it may be recorded. */
uint64_t mapping_digest(const struct mapping *mapping);

enum mapping_op {
	MAPPING_OP_PUT = 1,
	MAPPING_OP_MERGE,
	MAPPING_OP_PUT_IF_EXISTS,
	MAPPING_OP_MERGE_IF_EXISTS,
	MAPPING_OP_DELETE
};

/* The value of a log record's header `op`. */
const char *mapping_op_name(enum mapping_op op);

enum mapping_refusal_code {
	MAPPING_REFUSAL_MISSING_KEY = 1,
	MAPPING_REFUSAL_KEY_NOT_JSON,
	MAPPING_REFUSAL_MISSING_ID,
	MAPPING_REFUSAL_INVALID_DOCUMENT_ID,
	MAPPING_REFUSAL_INVALID_HEADER,
	MAPPING_REFUSAL_INVALID_EVENT,
	MAPPING_REFUSAL_UNSUPPORTED_CONTENT,
	MAPPING_REFUSAL_TOO_LARGE,
	MAPPING_REFUSAL_NOT_JSON,
	MAPPING_REFUSAL_TOO_DEEP,
	MAPPING_REFUSAL_NOT_AN_OBJECT,
	MAPPING_REFUSAL_FIELD_COLLISION,
	MAPPING_REFUSAL_ID_MISMATCH
};

/* "missing_key", …, and Connect's stage for it, as refusal_name and refusal_stage. */
const char *mapping_refusal_name(enum mapping_refusal_code code);
const char *mapping_refusal_stage(enum mapping_refusal_code code);

enum mapping_verdict {
	MAPPING_VERDICT_APPLY = 0,
	MAPPING_VERDICT_IGNORE = 1, /* the rules say so; to be counted */
	MAPPING_VERDICT_REFUSE = 2,
	MAPPING_VERDICT_MEMORY = -1 /* no verdict: an allocation failed */
};

/* APPLY fills op to idempotency_key, REFUSE code and text; the rest is then undefined. */
struct mapped {
	enum mapping_op op;
	struct slice id;
	struct slice body;            /* empty for DELETE */
	struct slice idempotency_key; /* ptr NULL: none */
	enum mapping_refusal_code code;
	char text[256]; /* for a person: what is wrong and what to change */
};

/* Slices of `mapped` point into the record or the arena. */
enum mapping_verdict mapping_apply(const struct mapping *mapping, const struct record *record,
                                   struct arena *arena, struct mapped *mapped);

#endif
