/*
 * Replica, asked: a search of a replica as nodes run it (search.h), by the
 * words of a query alone: all of them must be there, without typos, the last
 * one as a prefix unless a separator follows it; an empty query matches
 * everything. Two words also match as one ("a b" as "ab"), unless the first is
 * quoted, and one as two.
 *
 * Hits are in insertion order, or ranked by exactness; that they are in the
 * order that search.h promises, and show the bodies that are got, is looked at
 * here, and ERROR_STATE if not.
 * A segment answers by the words that it was cut into last.
 * Nothing of CUnit: whoever asks judges. One thread a struct words.
 */
#ifndef MILLRACE_TESTS_UNIT_REPLICA_ASKED_H
#define MILLRACE_TESTS_UNIT_REPLICA_ASKED_H

#include "shard/core/search.h"
#include "shard/core/snapshot_bodies.h"
#include "tests/unit/replica_reads.h"

struct asked_search {
	const char *query;
	bool ranked;
	size_t limit;
	struct arena *arena; /* where the answer goes */
};

struct asked_hit {
	struct document document;
	uint32_t cost; /* ranked: RANK_EXACTNESS's (rank.h) */
};

struct asked_page {
	struct asked_hit *hits;
	size_t len;
	uint64_t total;
};

static inline int asked_compare(const struct asked_hit *left, const struct asked_hit *right)
{
	if (left->cost != right->cost)
		return left->cost < right->cost ? -1 : 1;
	return insertion_key_compare(left->document.key, left->document.id, right->document.key,
	                             right->document.id);
}

static inline int asked_hit_take(const struct snapshot *snapshot, const struct search_hit *from,
                                 struct arena *arena, struct asked_hit *hit, struct error *error)
{
	hit->cost = 0;
	for (size_t i = 0; i < from->rank.len; i++)
		hit->cost = hit->cost << 8 | from->rank.ptr[i];
	if (snapshot_get(snapshot, from->document.id, arena, &hit->document, error) != 0)
		return error->code;
	if (insertion_key_compare(hit->document.key, hit->document.id, from->document.key,
	                          from->document.id) != 0)
		return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
		                 "another document is found than got");
	return 0;
}

/* The body that a search shows of each hit is the one that is got by its id. */
static inline int asked_bodies_check(const struct snapshot *snapshot, const struct search_answer *answer,
                                     const struct asked_hit *hits, struct error *error)
{
	struct snapshot_bodies *bodies;
	struct slice body;
	int rc = snapshot_bodies_open(snapshot, &bodies, error);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < answer->hits_len && rc == 0; i++) {
		rc = snapshot_bodies_read(bodies, answer->hits[i].number, &body, error);
		if (rc == 0 && !slice_equal(body, hits[i].document.body))
			rc = error_set(error, ERROR_STATE, ERROR_ACTION_FATAL,
			               "another body is shown than got");
	}
	snapshot_bodies_close(bodies);
	return rc;
}

static inline int asked_page_take(const struct snapshot *snapshot, const struct search_answer *answer,
                                  struct arena *arena, struct asked_page *page, struct error *error)
{
	struct asked_hit *hits = arena_alloc(arena, (answer->hits_len + 1) * sizeof *hits);

	if (hits == NULL)
		return error_memory(error, answer->hits_len * sizeof *hits);
	for (size_t i = 0; i < answer->hits_len; i++) {
		if (asked_hit_take(snapshot, &answer->hits[i], arena, &hits[i], error) != 0)
			return error->code;
		if (i > 0 && asked_compare(&hits[i - 1], &hits[i]) >= 0)
			return error_set(error, ERROR_STATE, ERROR_ACTION_FATAL, "hits are out of order");
	}
	*page = (struct asked_page){hits, answer->hits_len, answer->total};
	return asked_bodies_check(snapshot, answer, hits, error);
}

static inline int asked_snapshot(struct snapshot *snapshot, struct words *words,
                                 const struct asked_search *asked, struct asked_page *page,
                                 struct error *error)
{
	const struct search_rule rule = {SEARCH_RULE_RANK, .rank = RANK_EXACTNESS};
	const struct slice everything = {(const uint8_t *)"*", 1};
	struct query_request parsed = {
		.text = slice_string(asked->query), .prefix_search = true, .arena = asked->arena};
	struct query query;
	struct search_request request = {.words = words,
	                                 .query = &query,
	                                 .strategy = RANK_ALL,
	                                 .rules = &rule,
	                                 .searchable = &everything,
	                                 .searchable_len = 1,
	                                 .any_cutting = true,
	                                 .limit = asked->limit,
	                                 .arena = asked->arena};
	struct search_answer answer;
	size_t failed;
	int rc;

	if (query_parse(words_text(words), &parsed, &query, error) != 0)
		return error->code;
	request.rules_len = asked->ranked && query.terms_len > 0;
	rc = snapshots_search(&snapshot, 1, &request, &answer, &failed, error);
	if (rc == 0)
		rc = asked_page_take(snapshot, &answer, asked->arena, page, error);
	search_answer_deinit(&answer);
	return rc;
}

/* Of what the replica is now, as in replica_reads.h. */
static inline int asked_replica(struct replica *replica, const struct asked_search *asked,
                                struct asked_page *page, struct error *error)
{
	struct snapshot *snapshot = reads_begin(replica, error);

	*page = (struct asked_page){0};
	if (snapshot == NULL)
		return error->code;
	return reads_end(replica, snapshot, asked_snapshot(snapshot, reads_words(), asked, page, error),
	                 error);
}

#endif
