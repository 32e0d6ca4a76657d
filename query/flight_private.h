/*
 * Flight, inside: what its parts share. flight.c is the life of a flight and
 * the core's shell, flight_legs.c what goes to nodes and comes back,
 * flight_outcome.c what the client's answer is made of, flight_explain.c what it
 * is of a search that is explained, flight_settle.c the rounds that find out which hits count,
 * flight_aside.c what is asked of nodes when all but that is known. All of it runs with the flight's lock held, except the
 * completion.
 */
#ifndef MILLRACE_QUERY_FLIGHT_PRIVATE_H
#define MILLRACE_QUERY_FLIGHT_PRIVATE_H

#include "query/alarms.h"
#include "query/balance.h"
#include "query/core/answer.h"
#include "query/core/facet_hits.h"
#include "query/flight.h"

#include <pthread.h>

#define FLIGHT_REQUEST_ID_BYTES 64
#define DEGRADED_BYTES_MAX 8192
#define FLIGHT_SNAPSHOTS_MAX 4

/* A scatter of a flight that is explained, in its arena. */
struct flight_round {
	struct flight_round *next; /* the one before */
	const char *reason;
	const struct scatter *scatter;
	int64_t version; /* of the settings asked for */
};

/* A last round that asks for something else than hits; without its answers all stays as it is. */
enum flight_aside {
	FLIGHT_ASIDE_NONE,
	FLIGHT_ASIDE_SPELLINGS, /* of values that not all nodes listed */
	FLIGHT_ASIDE_PATHS      /* that documents know, for a refusal */
};

struct flight {
	struct flight_request request; /* its arena and request_id are not used: see below */
	char request_id[FLIGHT_REQUEST_ID_BYTES];
	pthread_mutex_t lock;
	unsigned holders; /* legs in the air, a set alarm, and whoever runs it */
	bool finished;    /* the outcome is there; nothing changes it */
	bool delivered;   /* the completion was called or is being called */
	struct alarm alarm;
	struct arena arena;
	struct scatter *scatter;
	struct flight_round *rounds;                           /* newest first; NULL: nobody asks */
	const struct snapshot *outdated[FLIGHT_SNAPSHOTS_MAX]; /* what earlier scatters were planned from */
	size_t outdated_len;
	int64_t newer_until_us;         /* waiting for a newer snapshot, or for nodes; 0: not */
	int64_t look_us;                /* how long until it looks */
	struct index_settings settings; /* SEARCH: the snapshot's */
	bool lacks_settings;            /* a node of this scatter does not have this version, */
	int64_t settings_told;          /* but this one, the lowest */
	struct merge_words words;       /* SEARCH: what all nodes are told */
	bool told;                      /* what they do not know by themselves */
	bool at_cutoff;                 /* some node had not ranked all by then */
	bool settled;                   /* the last round, once it is known which hits count */
	struct slice shown; /* of what is distinct over all nodes: ids of the page, JSON; ptr NULL: not yet */
	struct slice counted; /* and of all that count */
	int64_t total;        /* found by the round before; -1: by the last one */
	enum flight_aside aside;
	struct slice aside_asked;       /* members of its question */
	struct scatter *scatter_before; /* what the answer speaks of */
	int64_t *covered_before;
	struct map paths_known; /* keys in the arena */
	struct merge merge;
	struct facet_hits facet_hits; /* FACET */
	int32_t partition;            /* the only one it asks; -1: all */
	struct slice id;
	struct slice document; /* GET: what was found; ptr NULL: nothing yet */
	struct page page;      /* of the answer */
	struct page asked;     /* of each node */
	bool cut;              /* the one node cuts the page by itself */
	size_t answer_bytes;
	int64_t started_us;
	int64_t deadline_us;
	int64_t *covered; /* as in the outcome, in the arena */
	struct flight_outcome outcome;
	struct error_answer refusal;
};

/* A leg's context, in the flight's arena. */
struct leg {
	struct flight *flight;
	struct scatter *scatter; /* whose leg it is */
	size_t number;
	const struct node_record *node;
	bool stale;
	int64_t sent_us;
};

/* Sends one leg, holding the flight once more for it; negative if it is not on its way. `completion` gets a
 * struct leg. */
int flight_send_leg(struct flight *flight, const struct scatter_action *action, int64_t now_us,
                    http_completion *completion, struct error *error);
/* What a node's answer says to the core; what it brings is kept in the flight, as far as it is wanted. Negative:
 * it counts as no answer. */
int flight_take_answer(struct flight *flight, const struct leg *leg, const struct http_answer *answer,
                       struct scatter_event *event, struct error *error);

/* Begins a scatter, for a reason that an explanation names. */
void flight_begin(struct flight *flight, const char *reason);
/* Whether hits are left out for the sake of others. */
bool flight_leaves_out(const struct flight *flight);
/* Begins one more round, now that it is known what all nodes have; false: none is needed. */
bool flight_settle(struct flight *flight);
/* The question whose documents are those that this search counts; false when out of memory. */
bool flight_tell_counted(struct flight *flight, struct slice *counted);

/* Whether the settings allow what is asked for; false: the refusal is filled. */
bool flight_check(struct flight *flight);
/* Whether nodes are to be asked for what is told by `aside` from now on. */
bool flight_wants_spellings(struct flight *flight);
bool flight_wants_paths(struct flight *flight);
/* What an answer brings; as node_answer_parse. */
int flight_take_aside(struct flight *flight, struct slice body, struct error *error);

/* These finish the flight. */
void flight_end_aside(struct flight *flight);
void flight_refuse(struct flight *flight, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* `refusal` is filled. */
void flight_end_refused(struct flight *flight);
void flight_finish(struct flight *flight);

/* Of a flight that is explained: */

/* Keeps the scatter that begins. False when out of memory. */
bool flight_note_round(struct flight *flight, const char *reason);
/* A copy for scatter_event.why; NULL if nobody asks for it, or when out of memory. */
const char *flight_why(struct flight *flight, const char *text);
/* Puts the explanation in the place of the outcome. */
void flight_explain(struct flight *flight);

#endif
