/*
 * What the files of the engine share, and nobody else: feeding.c (life and
 * loop), duties.c (which shards are ours), reading.c (records from the log to
 * the feeder), carrying.c (the feeder's actions and what comes back), asking.c
 * (questions to Kafka), status.c (JSON), counters.c (metrics).
 *
 * Everything here belongs to the owner thread unless it says otherwise.
 */
#ifndef MILLRACE_FEEDING_FEEDING_PRIVATE_H
#define MILLRACE_FEEDING_FEEDING_PRIVATE_H

#include "shared/base/map.h"
#include "shared/feeding/asking.h"
#include "shared/feeding/feeding.h"
#include "shared/http/http_client.h"
#include "shared/runtime/metrics.h"

#include <stdatomic.h>

/* The answer to the one batch in flight to a node; filled on the HTTP client's thread. */
struct batch_answer {
	struct message message;
	struct mailbox *inbox;
	uint32_t node;
	uint64_t batch_id;
	struct buffer frame; /* empty for none */
	struct error error;  /* why */
};

struct fed_node {
	char id[NODE_ID_BYTES_MAX + 1];
	char url[256]; /* empty: the topology does not name the node */
	bool in_flight;
	bool unreachable; /* said so */
	struct series *batches_in_flight;
	struct batch_answer answer;
};

/* What counts up in the feeder, as of the last look. */
struct fed_counts {
	uint64_t records;
	uint64_t deleted;
	uint64_t refused;
	uint64_t cuts;
};

/* One of a shard's two readers. */
struct fed_reader {
	bool reading; /* between START and HALT */
	bool ready;   /* the log may have something for it */
	bool started; /* at least once */
};

/* A shard of ours, by the feeder's slot. */
struct fed_shard {
	bool used;
	struct fed_reader readers[FEEDER_LANES];
	uint8_t key[12]; /* index id, partition: its key in feeding->by_shard */
	uint64_t index_id;
	int32_t generation;
	int32_t partition;
	struct feeder_replica replicas[REPLICAS_MAX]; /* as the feeder was told */
	size_t replicas_len;
	uint64_t obstacles[REPLICAS_MAX]; /* hashes of what was said to be in the way of each; 0: nothing */
	char uid[INDEX_UID_BYTES_MAX + 1];
	char topic[TOPIC_BYTES_MAX + 1];
	struct fed_counts counts;
	struct series *indexed;
	struct series *deleted;
	struct series *dead_lettered;
	struct series *lag;
	struct series *lag_seconds;
	struct series *progress;
	int64_t received; /* as of the last look */
};

struct counters {
	struct metric *records;
	struct metric *dead_letters;
	struct metric *lag;
	struct metric *lag_seconds;
	struct metric *progress;
	struct series *visibility; /* NULL unless live */
	struct metric *in_flight;
	struct series *answered;
	struct series *unanswered;
	struct series *lanes[FEEDER_LANES];
	struct series *unfed;
	struct series *memory;
	struct series *cuts;
	struct series *commits;
	struct series *rewinds;
	struct series *shards[FEEDER_STATE_STOPPED + 1];
};

struct feeding {
	struct feeding_options options;
	const struct config *config;
	struct mailbox *inbox;
	struct feeder *feeder;
	struct catalog *catalog;
	struct log_connection *connection;
	struct asking *asking;
	struct log_reader *reader;            /* NULL until opened */
	struct log_owner *owner;              /* NULL until opened */
	struct log_feed *feeds[FEEDER_LANES]; /* BEHIND: NULL unless somebody reads there, or did lately */
	uint32_t behind_readers;
	int64_t behind_used_ms; /* when the last one ended */
	struct log_producer *producer;
	struct http_client *client;
	struct counters counters;
	int64_t now_ms;
	int64_t turn_boot_ms; /* CLOCK_BOOTTIME when this turn of the loop began */
	bool stopping;
	bool active;         /* REPLAY: as last seen */
	_Atomic bool wanted; /* REPLAY: as feeding_set_active said */
	_Atomic bool ready;

	bool caught_up;        /* meta and topology were read to their ends */
	bool reader_more;      /* and have more right now */
	bool duties_changed;   /* catalog or slots */
	int64_t duties_ms;     /* look again then; INT64_MAX: no need */
	int64_t hold_ms;       /* no shard is taken before */
	uint64_t slots_owned;  /* as the group says */
	uint64_t slots_fed;    /* with those lost a moment ago */
	struct map by_shard;   /* fed_shard.key → slot */
	struct fed_shard *fed; /* [FEEDER_SHARDS_MAX] */
	uint32_t fed_len;      /* slots ever used */
	uint32_t fed_next;     /* whose turn it is */
	struct fed_node nodes[NODES_MAX];
	uint32_t nodes_len;
	unsigned batches_in_flight;

	struct question *questions[NODES_MAX]; /* being collected, one a node at most */
	size_t questions_open;
	struct arena scratch;
	size_t dead_letters;
	size_t dead_letter_bytes;
	size_t dead_letter_bytes_max; /* of one message */
	bool dead_letter_bytes_known; /* from the topic's settings */
	bool dead_letters_failing;    /* said so */
	bool log_failing;             /* said so, of questions */
	struct error failure;         /* code != 0: the program ends */
};

/* True if the process was stopped since the turn began, for longer than the group may keep its slots for it. */
bool feeding_stood_still(const struct feeding *feeding);

/* duties.c: makes the feeder feed exactly the shards that are ours. */
void duties_update(struct feeding *feeding);
void duties_slots(struct feeding *feeding, uint64_t slots);
/* Gives every shard back; those that are still ours `pause_ms` from now are taken anew. */
void duties_forget(struct feeding *feeding, int64_t pause_ms);
bool duties_slot_is_ours(const struct feeding *feeding, const struct fed_shard *shard);

/* reading.c */
/* What meta and topology have, a bounded number of records. */
void reading_follow(struct feeding *feeding);
/* Carries out START and HALT. */
void reading_start(struct feeding *feeding, const struct feeder_action *action);
void reading_halt(struct feeding *feeding, uint32_t reader);
/* A bounded number of records of every reader; true if some reader could go on at once. */
bool reading_turn(struct feeding *feeding);
/* The handle of this lane may have something for every reader. */
void reading_ready(struct feeding *feeding, enum feeder_lane lane);
/* Closes the handle of BEHIND when nobody has used it for a while. */
void reading_rest(struct feeding *feeding);

/* carrying.c */
/* Carries out what the feeder wants until it wants nothing more. */
void carrying_drain(struct feeding *feeding);
/* Takes everything out of the inbox. */
void carrying_receive(struct feeding *feeding);
/* Frees what is still in the inbox, after every sender has ended. */
void carrying_discard(struct feeding *feeding);

/* counters.c */
void counters_init(struct counters *counters, enum feeding_mode mode);
void counters_node(struct counters *counters, struct fed_node *node);
void counters_shard(struct counters *counters, struct fed_shard *shard);
void counters_dead_letter(struct counters *counters, enum refusal_code code);
/* Brings everything that is not counted as it happens up to date. */
void counters_update(struct feeding *feeding);
/* How long what became visible since the last call took. */
void counters_observe(struct feeding *feeding);

#endif
