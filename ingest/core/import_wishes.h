/*
 * Import wishes: the sources that the configuration asks for, compared with
 * those that the indexes' records have, and the requests that make up for what
 * is missing.
 *
 * A wish is a configured source. An entry with a pattern and without an index
 * asks for an index of its own for each topic that matches: it is told what
 * topics there are (import_wishes_topics) and grows one wish a topic, whose
 * source is named by the topic and whose index by topic_uid. Not such a topic
 * is one that another entry names (it is that entry's), one that an earlier
 * pattern has, the log of any index, a source's dead-letter topic. Two topics
 * are not brought together in one index unasked: the second is refused, and
 * the reason names both.
 *
 * What is recorded otherwise than wished counts and is said; what is recorded
 * and not wished is nothing to these. A wish is asked for one at a time, all
 * that are missing in an index that is not there at once; one whose request
 * was refused waits IMPORT_WISH_REFUSED_MS.
 *
 * Bounds: IMPORT_WISHES_MAX wishes, IMPORT_SOURCES_MAX sources in all records;
 * what is beyond is refused by name. Pure core. Owner: one thread.
 */
#ifndef MILLRACE_INGEST_CORE_IMPORT_WISHES_H
#define MILLRACE_INGEST_CORE_IMPORT_WISHES_H

#include "shared/meta/task.h"

#define IMPORT_SOURCES_MAX 256 /* of one program: of all indexes */
#define IMPORT_WISHES_MAX 1024
#define IMPORT_WISH_ASK_MS 2000 /* until what was asked for must be seen in the records */
#define IMPORT_WISH_REFUSED_MS 60000

/* What the configuration says; its texts live as long as the wishes. */
struct import_wanted {
	const char *name;    /* "" for an index each */
	const char *topic;   /* "": a pattern */
	const char *pattern; /* "": a topic */
	const char *uid;     /* "" (only with a pattern): an index each */
	const char *primary_key;
	const char *dead_letter_topic; /* "": Millrace's own */
	int32_t partitions;
	const char *rules; /* canonical */
	const char *place; /* where it stands, for messages */
};

enum import_wish_state {
	IMPORT_WISH_UNKNOWN = 0, /* not judged yet */
	IMPORT_WISH_EACH,        /* a pattern whose topics have wishes of their own */
	IMPORT_WISH_RECORDED,
	IMPORT_WISH_DIFFERS, /* from what is recorded */
	IMPORT_WISH_WAITS,   /* for its request, or the index's, or whoever makes them */
	IMPORT_WISH_REFUSED
};

struct import_wish {
	const struct import_wanted *wanted;
	char name[TOPIC_BYTES_MAX + 1];
	char topic[TOPIC_BYTES_MAX + 1]; /* "": a pattern */
	char uid[INDEX_UID_BYTES_MAX + 1];
	bool grown; /* from a pattern */
	bool there; /* Kafka has its topic; of a grown one */
	bool told;  /* the caller has been told of state and reason: it sets this */
	enum import_wish_state state;
	int64_t due_ms; /* when to ask for it again */
	char reason[512];
};

struct import_wishes;

/* NULL when out of memory. */
struct import_wishes *import_wishes_new(const struct import_wanted *wanted, size_t len);
void import_wishes_free(struct import_wishes *wishes);
/* Until the next call of another function. */
size_t import_wishes_list(const struct import_wishes *wishes, struct import_wish **list);

/* The entries whose topics are to be told, by their number; start with *at = 0. */
bool import_wishes_pattern(const struct import_wishes *wishes, size_t *at, size_t *number,
                           const char **pattern);
/* What matches the pattern of entry `number` now, all of it, in any order. */
int import_wishes_topics(struct import_wishes *wishes, const struct catalog *catalog, size_t number,
                         const char *const *topics, size_t len, struct error *error);

/* Compares all of them with what is recorded. */
void import_wishes_judge(struct import_wishes *wishes, const struct catalog *catalog, int64_t now_ms);
/* The next request that is to be made, without nonce and time; false if there is none. It is not asked for again
 * before IMPORT_WISH_ASK_MS are over. The caller calls task_request_deinit. */
bool import_wishes_ask(struct import_wishes *wishes, const struct catalog *catalog, int64_t now_ms,
                       struct task_request *request);
/* How a request for this index ended. */
void import_wishes_answer(struct import_wishes *wishes, const char *uid, const struct task_final *final,
                          int64_t now_ms);

/* The source that a wish wants recorded. */
void import_wish_record(const struct import_wish *wish, struct source_record *record);

#endif
