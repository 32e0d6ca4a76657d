/*
 * Task: a request in `tasks`, and its states in `task-states`.
 *
 * A request's offset in `tasks` is its taskUid. Requests are appended by
 * gateways and applied by the controller in this order; the first final of a
 * task wins, later ones are ignored by every reader. JSON, versioned:
 *
 *   {"v":1,"type":"indexCreation","nonce":"<32 hex>","uid":"…","enqueued_at":ms,
 *    "primary_key":"id","partitions":12,"partitioner":"murmur2","topic":"…"|absent,
 *    "dedup_window":N|absent,"sources":[…]|absent}: sources as source.h reads them
 *   {"v":1,"type":"indexRebuild","nonce":"…","uid":"…","enqueued_at":ms,
 *    "partitions":N|absent,"dedup_window":N|absent,"sources":[…]|absent: absent as the generation before has it,
 *    "accept_loss":true|absent,"cancel":true|absent}
 *   {"v":1,"type":"indexDeletion","nonce":"…","uid":"…","enqueued_at":ms}
 *   {"v":1,"type":"recordSkip","nonce":"…","uid":"…","enqueued_at":ms,
 *    "index":"<id>","partition":p,"offset":o,"reason":"…"}
 *   {"v":1,"type":"sourceAddition","nonce":"…","uid":"…","enqueued_at":ms,"source":{…}}
 *   {"v":1,"type":"sourceUpdate","nonce":"…","uid":"…","enqueued_at":ms,"name":"…",
 *    "paused":true|false|absent,"start_ms":ms|absent}: a start begins a new life
 *   {"v":1,"type":"sourceDeletion","nonce":"…","uid":"…","enqueued_at":ms,"name":"…"}
 *   {"v":1,"type":"indexRestore","nonce":"…","uid":"…","enqueued_at":ms,
 *    "index":"<id>","shards":[…]}: shards as restore.h reads them
 *   {"v":1,"type":"settingsUpdate","nonce":"…","uid":"…","enqueued_at":ms,
 *    "setting":"stop-words"|absent: all, "reset":true|absent,
 *    "body":JSON: what a user sent, absent with a reset}
 *   final: key = taskUid in decimal,
 *   {"v":1,"task":N,"kind":"final","status":"succeeded"|"failed","error":{"code","message"}|absent,
 *    "started_at":ms,"finished_at":ms}
 *
 * Plain values, but for the sources, shards and body of a request. What a
 * setting's body means is not checked here (settings.h). Bounds: a body of
 * TASK_BODY_BYTES_MAX, so that its record is one Kafka takes;
 * TASK_RECORD_BYTES_MAX a request. Pure core.
 */
#ifndef MILLRACE_META_TASK_H
#define MILLRACE_META_TASK_H

#include "shared/meta/restore.h"

#define TASK_VERSION 1

enum task_type {
	TASK_TYPE_INDEX_CREATION = 1,
	TASK_TYPE_INDEX_DELETION,
	TASK_TYPE_RECORD_SKIP,
	TASK_TYPE_SOURCE_ADDITION,
	TASK_TYPE_SOURCE_UPDATE,
	TASK_TYPE_INDEX_REBUILD,
	TASK_TYPE_SOURCE_DELETION,
	TASK_TYPE_INDEX_RESTORE,
	TASK_TYPE_SETTINGS_UPDATE
};
#define TASK_REASON_BYTES_MAX 255
#define TASK_SETTING_BYTES_MAX 63
#define TASK_BODY_BYTES_MAX ((size_t)512 * 1024) /* compact */
#define TASK_RECORD_BYTES_MAX (TASK_BODY_BYTES_MAX + (size_t)8 * 1024)

struct task_request {
	enum task_type type;
	char nonce[33];
	char uid[INDEX_UID_BYTES_MAX + 1];
	int64_t enqueued_at_ms;
	/* rebuild */
	bool accept_loss; /* of what cannot be imported again */
	bool cancel;      /* the one in the making */
	/* creation; for a rebuild partitions (0: as before), dedup_window and sources */
	char primary_key[INDEX_UID_BYTES_MAX + 1];
	int32_t partitions;
	enum partitioner partitioner;
	char topic[TOPIC_BYTES_MAX + 1]; /* "": Millrace names and creates it */
	bool has_dedup_window;
	int64_t dedup_window;
	struct source_record *sources; /* one allocation; addition: exactly one, with life 1 */
	size_t sources_len;
	/* restore; index_id too */
	struct restore_shard *shards; /* one allocation */
	size_t shards_len;
	/* skip */
	uint64_t index_id;
	int32_t partition;
	int64_t offset;
	char reason[TASK_REASON_BYTES_MAX + 1]; /* for a person */
	/* update and deletion of a source */
	char source[TOPIC_BYTES_MAX + 1]; /* its name */
	bool has_paused;
	bool paused;
	bool has_start;
	int64_t start_ms;
	/* update of settings */
	char setting[TASK_SETTING_BYTES_MAX + 1]; /* a path of settings_route_find; "": all */
	bool reset;
	struct slice body; /* JSON, one allocation; NULL with a reset */
};

struct task_final {
	int64_t task;
	bool succeeded;
	char code[64]; /* "" if succeeded; Meilisearch's error codes */
	char message[512];
	int64_t started_at_ms;
	int64_t finished_at_ms;
};

const char *task_type_name(enum task_type type); /* "indexCreation", … */
void task_request_write(struct buffer *value, const struct task_request *request);
/* On success the caller calls task_request_deinit. */
int task_request_parse(struct slice value, struct task_request *request, struct error *error);
void task_request_deinit(struct task_request *request);
void task_final_write(struct buffer *value, const struct task_final *final);
int task_final_parse(struct slice value, struct task_final *final, struct error *error);
/* The id of the index that creation request `task` with `nonce` makes. */
uint64_t task_index_id(int64_t task, const char nonce[33]);

#endif
