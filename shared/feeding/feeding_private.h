/*
 * What the files of the engine share, and nobody else: feeding.c (life and
 * loop), duties.c (which shards are ours), reading.c (records from the log to
 * the feeder), carrying.c (the feeder's actions and what comes back), filling.c
 * (marks of nodes), table.c (where identities are kept), holding.c (records that
 * end the program), asking.c (questions to Kafka), status.c (JSON), counters.c
 * (metrics).
 *
 * Everything here belongs to the owner thread unless it says otherwise.
 */
#ifndef MILLRACE_FEEDING_FEEDING_PRIVATE_H
#define MILLRACE_FEEDING_FEEDING_PRIVATE_H

#include "shared/base/map.h"
#include "shared/feeding/asking.h"
#include "shared/feeding/feeding.h"
#include "shared/feeding/leaves.h"
#include "shared/feeding/suspects.h"
#include "shared/http/http_client.h"
#include "shared/runtime/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define FEEDING_PAGES_MAX 8 /* pages of marks in flight */

/* The answer to the one batch in flight to a node; filled on the HTTP client's thread. */
struct batch_answer {
	struct message message;
	struct mailbox *inbox;
	uint32_t node;
	uint64_t batch_id;
	struct buffer frame; /* empty for none */
	struct error error;  /* why */
};

/* A page of marks on its way; filled on the HTTP client's thread. */
struct marks_answer {
	struct message message;
	struct mailbox *inbox;
	bool in_flight;
	bool forgotten; /* nobody waits for it any more */
	uint32_t node;
	struct feeder_fill fill;
	struct buffer page;
	struct error error;
};

/* A request to skip a record on its way into `tasks`; filled on the producer's thread. */
struct skip_asked {
	struct message message;
	struct mailbox *inbox;
	bool in_flight;
	struct suspect suspect;
	int64_t task;
	int64_t remind_ms; /* what was asked for is asked for again then */
	int64_t pause_ms;  /* which was so long after the last time */
	struct error error;
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
	uint64_t duplicates;
	uint64_t origin_duplicates; /* of these */
	uint64_t skipped;
	uint64_t holes;
	uint64_t cuts;
};

/* What a reader wants to know of the log before its start. */
struct fed_fill {
	bool wanted;  /* to be asked as soon as there is room */
	bool failing; /* said so */
	uint32_t epoch;
	uint32_t node;
	int64_t received;
	int64_t from;
	int64_t begun_ms;
	uint64_t identities; /* so far */
	uint64_t origins;
};

/* Where a reader stands that has come to a record of which the program died too often. */
enum hold_state {
	HOLD_STATE_NONE = 0,
	HOLD_STATE_SKIP,    /* it waits for the record in meta */
	HOLD_STATE_LETTER,  /* the dead letter is on its way */
	HOLD_STATE_LETTERED /* and was acknowledged */
};

struct fed_hold {
	enum hold_state state;
	int64_t offset;
	uint64_t letter; /* its number */
};

/* The leaves of a reader's window. */
struct fed_shelf {
	struct feeding *feeding;
	bool open; /* some leaf was to be kept */
	struct shelf shelf;
	struct window_store store;
};

/* One of a shard's two readers. */
struct fed_reader {
	bool reading;     /* between START and HALT */
	bool ready;       /* the log may have something for it */
	bool started;     /* at least once */
	int64_t again_ms; /* no record is offered before: one could not be taken */
	struct fed_fill fill;
	struct fed_shelf shelf;
	struct fed_hold hold;
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
	size_t skips_len;                 /* likewise */
	uint64_t obstacles[REPLICAS_MAX]; /* hashes of what was said to be in the way of each; 0: nothing */
	char uid[INDEX_UID_BYTES_MAX + 1];
	char topic[TOPIC_BYTES_MAX + 1];
	struct fed_counts counts;
	struct series *indexed;
	struct series *deleted;
	struct series *dead_lettered;
	struct series *duplicate;
	struct series *imported_before;
	struct series *skipped;
	struct series *control;
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
	struct series *window_memory;
	struct series *table_bytes;
	struct series *table_failing;
	struct series *fill_seconds;
	struct series *pages_in_flight;
	struct series *pages_given;
	struct series *pages_missing;
	struct series *held;
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

	struct marks_answer pages[FEEDING_PAGES_MAX];
	unsigned pages_in_flight;
	uint32_t fill_next;         /* reader whose turn it is */
	struct leaves *leaves;      /* NULL: nothing was ever to be kept */
	struct error table_trouble; /* code 0, or why the last leaf could not be kept */
	struct suspects *suspects;  /* NULL: they cannot be kept */
	struct skip_asked skip;
	struct suspect held_said[SUSPECTS_MAX];
	uint32_t held_said_len;
	uint64_t letters_of_held; /* numbers given */
	pthread_mutex_t held_lock;
	struct buffer held; /* what feeding_held appends */

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
/* Takes over the body of a node's answer, or says why there is none. On the HTTP client's thread. */
void carrying_take_answer(const struct http_answer *answer, struct buffer *body, struct error *error);
/* Carries out what the feeder wants until it wants nothing more. */
void carrying_drain(struct feeding *feeding);
/* Takes everything out of the inbox. */
void carrying_receive(struct feeding *feeding);
/* Sends the dead letter of a record before which the reader waits; holding_lettered tells what came of it. */
int carrying_letter(struct feeding *feeding, uint32_t reader, const struct record *record,
                    struct error *error);
/* Frees what is still in the inbox, after every sender has ended. */
void carrying_discard(struct feeding *feeding);

/* filling.c */
void filling_init(struct feeding *feeding);
void filling_deinit(struct feeding *feeding);
/* Carries out FILL, now or as soon as there is room. */
void filling_ask(struct feeding *feeding, const struct feeder_action *action);
void filling_receive(struct feeding *feeding, struct marks_answer *answer);
/* The shard is given back. */
void filling_forget(struct feeding *feeding, uint32_t slot);

/* table.c */
/* feeder_options.shelf; the context is the engine. */
struct window_store table_shelf(void *context, uint32_t reader);
uint64_t table_bytes(const struct feeding *feeding);

/* holding.c */
/* Without the file, which is said, nothing is held. */
void holding_open(struct feeding *feeding);
void holding_close(struct feeding *feeding);
/* True if the reader must wait before this record; asks for the skip, and sends the letter, that it waits for. */
bool holding_holds(struct feeding *feeding, uint32_t reader, const struct record *record);
void holding_receive(struct feeding *feeding, struct skip_asked *asked);
void holding_lettered(struct feeding *feeding, uint32_t reader, uint64_t letter, bool acknowledged);
/* How often programs died of a record that is skipped, as far as is known here. */
uint32_t holding_deaths(const struct feeding *feeding, const struct fed_shard *shard, int64_t offset);
/* "held":[…] */
void holding_append(const struct feeding *feeding, struct buffer *body);
/* Brings what feeding_held appends up to date. */
void holding_publish(struct feeding *feeding);

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
