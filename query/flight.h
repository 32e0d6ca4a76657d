/*
 * Flight: one read of an index on its way through the nodes.
 *
 * The shell around core/scatter: it sends the legs through the HTTP client,
 * hands what comes back to the core, and gives the outcome to a completion
 * when the core finishes. It knows no HTTP request of a client: one outcome
 * may answer many. No thread waits: a flight lives between the thread that
 * starts it and the HTTP client's, behind its own lock, until its outcome is
 * given and its last leg has completed. Every leg carries the time that is
 * left until query.timeout_ms, so all of them complete by then.
 *
 * Search and listing answer with what they have: with shards missing the
 * answer is partial and says so in `degraded`, unless query.degraded is
 * `error` or no shard answered at all: then 503. Where a node's cutoff had
 * passed before all was ranked, `degraded` says so too. A document that was not
 * found while a shard that could hold it is missing is 503, never 404.
 *
 * The search of documents, of a facet's values, and one query of a federated
 * list are searches too, asked and repeated as those are; what they answer
 * differs. The last one gives its hits to the completion. Documents that are
 * searched are bounded by LIST_LIMIT_MAX, offset and limit together.
 *
 * A listing over several nodes fetches offset+limit documents from each of
 * them; that window is bounded by LIST_LIMIT_MAX, what a node gives at once.
 * With all shards on one node that node cuts the page, and only limit is bounded
 * so, and offset by LIST_OFFSET_MAX.
 *
 * A search that is explained goes the same way; its answer says how that was
 * (flight_explain.c), and what nodes made of it: where a search is refused
 * because shards are missing or behind, the explanation holds that refusal.
 *
 * Who owns what: flight_start takes over the arena and the snapshot of its
 * request in every case. The outcome is the flight's; the completion may move
 * its body out, and copies whatever else it wants to keep.
 */
#ifndef MILLRACE_QUERY_FLIGHT_H
#define MILLRACE_QUERY_FLIGHT_H

#include "query/core/facet_search_request.h"
#include "query/core/multi_search_request.h"
#include "query/core/node_answer.h"
#include "query/core/route_request.h"
#include "query/gateway.h"

#define LIST_LIMIT_MAX 1000
#define LIST_OFFSET_MAX 999000

enum flight_kind {
	FLIGHT_KIND_SEARCH = 1,
	FLIGHT_KIND_FACET,     /* values of a facet */
	FLIGHT_KIND_DOCUMENTS, /* by ids, filter, sort */
	FLIGHT_KIND_FEDERATED, /* a query of several */
	FLIGHT_KIND_LIST,
	FLIGHT_KIND_GET
};

struct flight_outcome {
	const struct error_answer *refusal; /* NULL: 200 and `body` */
	struct buffer body;                 /* FEDERATED: its facets; empty if it has none */
	/* FEDERATED, in order: */
	const struct node_hit *hits;
	size_t hits_len;
	int64_t total;
	uint64_t index_id;
	struct slice counted; /* a question: the documents that the query counts; ptr NULL: not asked for */
	const char *degraded; /* the value of X-Millrace-Degraded; "" for none */
	/* What the answer covers: generation, and for each partition the next offset that its shard had
	 * received, -1 where the answer has nothing of it. NULL with a refusal. */
	int32_t generation;
	const int64_t *covered;
	size_t covered_len;
};

/* Called once, on any thread, perhaps before flight_start returns, and with no lock of the flight held. It does
 * not block. `outcome` is valid until it returns. */
typedef void flight_completion(void *context, struct flight_outcome *outcome);

struct flight_request {
	struct gateway *gateway;
	enum flight_kind kind;
	const struct snapshot *snapshot;  /* taken over */
	const struct index_record *index; /* in the snapshot */
	struct arena *arena;              /* taken over; what the members below point to may live in it */
	const char *request_id;           /* copied; every leg carries it */
	bool explain;                     /* SEARCH: answers how, with no hits */
	struct search_request search;     /* of kinds that search */
	struct facet_search facet;        /* FACET */
	struct federation_asks asks;      /* FEDERATED: what the settings must allow beside the search */
	bool tells_counted;               /* FEDERATED: the outcome has `counted` */
	bool counts;                      /* FEDERATED: the search has no hits, only a total and facets */
	struct listing_request listing;   /* DOCUMENTS, LIST, GET */
	struct slice id;                  /* GET: the document; copied */
	/* For each partition the next offset that the answer must cover, 0 for any; NULL: anything will do. An
	 * answer that would not cover it is refused as consistency_token_not_reached. */
	const int64_t *required;
	int64_t deadline_ms; /* monotonic; 0: query.timeout_ms from now */
	flight_completion *completion;
	void *context;
};

/* Whether nodes are asked to search. */
bool flight_searches(enum flight_kind kind);
/* Starts a flight, or completes at once with a refusal. */
void flight_start(const struct flight_request *request);

#endif
