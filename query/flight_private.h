/*
 * Flight, inside: what its parts share. flight.c is the life of a flight and
 * the core's shell, flight_legs.c what goes to nodes and comes back,
 * flight_outcome.c what the client's answer is made of. All of it runs with
 * the flight's lock held, except the completion.
 */
#ifndef MILLRACE_QUERY_FLIGHT_PRIVATE_H
#define MILLRACE_QUERY_FLIGHT_PRIVATE_H

#include "query/alarms.h"
#include "query/balance.h"
#include "query/core/merge.h"
#include "query/flight.h"

#include <pthread.h>

#define FLIGHT_REQUEST_ID_BYTES 64
#define DEGRADED_BYTES_MAX 8192

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
	const struct snapshot *outdated; /* what an earlier scatter was planned from; NULL: none was */
	int64_t newer_until_us;          /* waiting for a newer snapshot; 0: not */
	struct merge merge;
	int32_t partition; /* the only one it asks; -1: all */
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

/* These finish the flight. */
void flight_refuse(struct flight *flight, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void flight_finish(struct flight *flight);

#endif
