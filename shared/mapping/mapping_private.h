/*
 * Mapping, inside: the rules as read, and a record while it is mapped.
 *
 * mapping_rules.c reads rules, mapping_canonical.c writes them;
 * mapping_path.c paths and ids; mapping_condition.c conditions;
 * mapping_formats.c opens records; mapping_document.c makes documents;
 * mapping_text.c walks JSON text; mapping_apply.c decides.
 */
#ifndef MILLRACE_MAPPING_MAPPING_PRIVATE_H
#define MILLRACE_MAPPING_MAPPING_PRIVATE_H

#include "shared/mapping/mapping.h"

/* --- rules --- */

enum mapping_format {
	MAPPING_FORMAT_JSON = 1,
	MAPPING_FORMAT_CLOUDEVENTS,
	MAPPING_FORMAT_CONNECT_JSON
};

/* What a path starts from. */
enum mapping_root {
	MAPPING_ROOT_PAYLOAD = 1,
	MAPPING_ROOT_KEY,
	MAPPING_ROOT_EVENT /* attributes of a CloudEvent */
};

struct mapping_path {
	enum mapping_root root;
	struct slice *segments; /* decoded names; none: the root itself */
	size_t segments_len;
};

/* A piece of an id: a path, or where it has no root a literal. */
struct mapping_part {
	struct mapping_path path;
	struct slice literal;
};

enum mapping_mask {
	MAPPING_MASK_NONE = 0,
	MAPPING_MASK_STARS,
	MAPPING_MASK_HASH
};

/* What the lists say of one place of the payload; a tree by names. */
struct mapping_field {
	struct slice name;
	struct mapping_field *children;
	struct mapping_field *next; /* sibling */
	bool included;
	bool included_below;
	bool excluded;
	bool renamed_below; /* one of the children is renamed */
	enum mapping_mask mask;
	struct slice rename; /* ptr NULL: none */
};

enum mapping_compare {
	MAPPING_COMPARE_EQUAL = 1,
	MAPPING_COMPARE_UNEQUAL,
	MAPPING_COMPARE_ABOVE,
	MAPPING_COMPARE_ABOVE_OR_EQUAL,
	MAPPING_COMPARE_BELOW,
	MAPPING_COMPARE_BELOW_OR_EQUAL,
	MAPPING_COMPARE_IN,
	MAPPING_COMPARE_EXISTS
};

/* The type is yyjson's, of a document read with raw numbers. */
struct mapping_constant {
	uint8_t type;      /* YYJSON_TYPE_NULL, _BOOL, _RAW, _STR */
	bool truth;        /* of _BOOL */
	struct slice text; /* of _RAW and _STR */
};

struct mapping_condition {
	struct mapping_path field;
	enum mapping_compare compare;
	struct mapping_constant *constants;
	size_t constants_len;
};

struct mapping_conditions {
	struct mapping_condition *items;
	size_t len;
};

/* Canonical texts of a list's entries, in the order of the rules until they are written. */
struct mapping_texts {
	struct slice *items;
	size_t len;
};

enum mapping_list {
	MAPPING_LIST_WHERE = 0,
	MAPPING_LIST_DELETE_WHEN,
	MAPPING_LIST_IGNORE_WHEN,
	MAPPING_LIST_DELETE_TYPES,
	MAPPING_LIST_INCLUDE,
	MAPPING_LIST_EXCLUDE,
	MAPPING_LIST_MASK,
	MAPPING_LIST_RENAME,
	MAPPING_LISTS
};

struct mapping {
	struct rules limits;
	enum mapping_format format;
	enum mapping_op op;
	bool key_is_json;
	bool reads_key; /* `id` does */
	bool ignores_tombstones;
	struct slice primary_key;
	struct mapping_part *id;
	size_t id_len;
	struct mapping_conditions conditions[MAPPING_LIST_IGNORE_WHEN + 1];
	struct slice *delete_types;
	size_t delete_types_len;
	struct mapping_field fields; /* the payload itself */
	bool reshapes;               /* any list of fields, or flatten */
	struct slice separator;      /* of flatten; ptr NULL: none */
	struct mapping_texts texts[MAPPING_LISTS];
	struct slice canonical;
	uint64_t digest;
};

const char *mapping_format_name(enum mapping_format format);
const char *mapping_compare_name(enum mapping_compare compare);
/* Sorts the lists' texts, fills `canonical` and `digest`; false when out of memory. */
bool mapping_canonicalize(struct mapping *mapping, struct arena *arena);

/* What is wrong with a path or id, or NULL; *memory says that it is memory. Written only on success. */
const char *mapping_path_parse(struct slice text, bool rooted, struct arena *arena,
                               struct mapping_path *path);
const char *mapping_id_parse(struct slice text, struct arena *arena, struct mapping_part **parts,
                             size_t *parts_len);
extern const char mapping_out_of_memory[];
/* The one way to write a path, or an id. */
void mapping_path_append(struct buffer *buffer, const struct mapping_path *path, bool rooted);
void mapping_id_append(struct buffer *buffer, const struct mapping *mapping);

/* --- a record on its way --- */

struct mapping_work {
	const struct mapping *mapping;
	const struct record *record;
	struct arena *arena;
	struct mapped *mapped;
	bool tombstone;
	yyjson_doc *value_doc;
	yyjson_val *payload;
	struct slice payload_text; /* of the payload, without space around it */
	yyjson_doc *key_doc;
	yyjson_val *key;   /* of a key that is JSON: what it holds; NULL: nothing */
	yyjson_val *event; /* structured mode: the event; NULL: attributes are headers */
};

enum mapping_verdict mapping_refuse(struct mapping_work *work, enum mapping_refusal_code code,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Finds payload, key and event. The caller frees both documents, whatever the verdict. */
enum mapping_verdict mapping_open(struct mapping_work *work);
/* An attribute of a CloudEvent; ptr NULL if it has none. */
struct slice mapping_attribute(const struct mapping_work *work, struct slice name);
enum mapping_verdict mapping_idempotency_key(struct mapping_work *work);

/* The last member of that name; NULL if there is none or `value` is no object. */
yyjson_val *mapping_member(yyjson_val *value, struct slice name);
enum mapping_verdict mapping_make_id(struct mapping_work *work);

bool mapping_conditions_met(const struct mapping_conditions *conditions, yyjson_val *payload);

/* The document, once the id is known. */
enum mapping_verdict mapping_make_document(struct mapping_work *work);

/* A place in JSON text that json_parse has accepted; it steps over what it returns. */
struct mapping_text {
	const uint8_t *at;
};

/* A value, without space around it. */
struct slice mapping_text_value(struct mapping_text *text);
/* A member's name as written, with its quotes, and the colon after it. */
struct slice mapping_text_name(struct mapping_text *text);
/* Over one of [ { , ] }: before the first element, and after each one; for an empty container twice. */
void mapping_text_step(struct mapping_text *text);
/* True before the end of a container. */
bool mapping_text_closes(const struct mapping_text *text);
/* Levels of containers. */
size_t mapping_text_depth(struct slice value);

#endif
