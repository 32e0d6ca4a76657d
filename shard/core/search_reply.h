/*
 * Search reply: what a node says to a search question, as members of a JSON
 * object, of snapshots of some shards of one index:
 *
 *   "cutoff":true                      only if the cutoff had passed before all was ranked
 *   "total":N,"known":B,"terms":T      a bit for each term whose typed word is known, and for each of which that
 *                                      makes no difference
 *   "frequencies":[N,…]                documents that have each term; strategy frequency with more than one term
 *   "paths":"01…"                      of the names to crop, then to highlight, if there are any: which are known
 *                                      total and facets are of the question's union, where it has one
 *   "facets":{…}, "facetHits":[…]      as search_facets.h; with facetHits there are no hits
 *   "hits":[{"p":0,"rank":"<hex>","ts":N,"seq":N,"id":"…","distinct":["<hex>",…],"score":[[rank,highest],"<hex>",…],
 *            "doc":{…}},…]             in order. `distinct` if such an attribute counts, `score` if asked for. doc: the
 *                                      fields retrieved, then _formatted, _matchesPosition, _geoDistance,
 *                                      _rankingScore and _rankingScoreDetails, each where asked for
 *
 * A listing ("documents") shows no distance. Pure but for what reads the
 * snapshots. Specification: tests/oracle/search.py.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_REPLY_H
#define MILLRACE_SHARD_CORE_SEARCH_REPLY_H

#include "shard/core/search_question.h"
#include "shard/core/search_settings.h"
#include "shard/core/words.h"

#define SEARCH_REPLY_NO_SHARD SIZE_MAX

struct search_reply_request {
	const struct search_question *question;
	const struct search_settings *settings;
	struct words *words; /* the calling thread's */
	struct snapshot *const *snapshots;
	const int32_t *partitions; /* of each snapshot */
	size_t len;
	struct watch *watch; /* NULL: it takes as long as it does */
	struct arena *arena; /* the question's: grows with what is matched, not with what is shown */
};

struct search_reply {
	const uint64_t *totals; /* by snapshot; they add up to `total` */
	/* After a failure: the snapshot that it is about, or SEARCH_REPLY_NO_SHARD: the question, or what all share. */
	size_t failed;
};

/* Appends to `json`, whose maximum bounds the reply; whether it failed is for the caller to ask. ERROR_TIMEOUT if it
 * is late, what query.h, filter.h, search_rules.h and format.h refuse (REJECT), or as in snapshot.h. */
int search_reply(const struct search_reply_request *request, struct buffer *json, struct search_reply *reply,
                 struct error *error);

#endif
