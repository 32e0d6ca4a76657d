/*
 * Coalescing: who shares whose answer, and who must not.
 */
#include "query/core/coalesce.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

#define WINDOW_MS 50
#define PARTITIONS 2
#define TIMEOUT_MS 1500

#define REQUIRED(a, b) ((const int64_t[PARTITIONS]){a, b})

static const struct hash128 query_a = {1, 2};
/* in the same bucket */
static const struct hash128 query_b = {1, 3};

static struct coalesce *open_window(int64_t window_ms)
{
	struct coalesce *coalesce = coalesce_new(window_ms);

	CU_ASSERT_PTR_NOT_NULL_FATAL(coalesce);
	return coalesce;
}

/* What waiters require must stay until they are out. */
static const int64_t *keep(const int64_t *required)
{
	static int64_t kept[256][PARTITIONS];
	static size_t kept_len;

	if (required == NULL)
		return NULL;
	CU_ASSERT_FATAL(kept_len < sizeof kept / sizeof kept[0]);
	memcpy(kept[kept_len], required, sizeof kept[0]);
	return kept[kept_len++];
}

/* A request that comes at `now_ms`, of query_b if the waiter says so already. */
static enum coalesce_place ask(struct coalesce *coalesce, struct coalesce_waiter *waiter,
                               const int64_t *required, int64_t now_ms)
{
	struct hash128 query = hash128_equal(waiter->fingerprint, query_b) ? query_b : query_a;

	*waiter = (struct coalesce_waiter){.fingerprint = query,
	                                   .required = keep(required),
	                                   .partitions = PARTITIONS,
	                                   .deadline_ms = now_ms + TIMEOUT_MS};
	return coalesce_ask(coalesce, waiter, now_ms);
}

static struct coalesce_waiter *land(struct coalesce *coalesce, struct coalesce_waiter *leader,
                                    const int64_t *covered, int64_t now_ms)
{
	struct coalesce_landing landing = {now_ms, covered == NULL, covered};

	return coalesce_land(coalesce, leader, &landing);
}

/* The list is exactly these waiters, in this order, all with one verdict. */
static void check_all(const struct coalesce_waiter *list, enum coalesce_verdict verdict,
                      struct coalesce_waiter *const *expected, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		CU_ASSERT_PTR_EQUAL_FATAL(list, expected[i]);
		CU_ASSERT_EQUAL(list->verdict, verdict);
		list = list->next;
	}
	CU_ASSERT_PTR_NULL(list);
}

static void check_one(const struct coalesce_waiter *list, const struct coalesce_waiter *waiter,
                      enum coalesce_verdict verdict)
{
	CU_ASSERT_PTR_EQUAL_FATAL(list, waiter);
	CU_ASSERT_EQUAL(list->verdict, verdict);
	CU_ASSERT_PTR_NULL(list->next);
}

#define ANSWERED(list, ...) \
	check_all(list, COALESCE_VERDICT_ANSWER, (struct coalesce_waiter *const[]){__VA_ARGS__}, \
	          sizeof((struct coalesce_waiter *const[]){__VA_ARGS__}) / sizeof(struct coalesce_waiter *))

/* ---- fingerprints ---- */

static struct hash128 fingerprint(const char *body, const struct coalesce_scope *scope)
{
	struct search_request request;
	struct error_answer refusal;
	struct hash128 found;
	struct arena arena;

	arena_init(&arena, 256);
	CU_ASSERT_EQUAL_FATAL(search_request_from_body(slice_string(body), &arena, &request, &refusal), 0);
	found = coalesce_fingerprint(&request, scope);
	arena_deinit(&arena);
	return found;
}

static void test_fingerprint(void)
{
	static const char *const equal[] = {"{\"q\":\"a\"}",
	                                    "{\"limit\":20,\"q\":\"a\"}",
	                                    "{\"q\":\"\\u0061\",\"offset\":0}",
	                                    "{\"q\":\"a\",\"sort\":[],\"facets\":null,\"page\":null}",
	                                    "{\"cropLength\":10,\"q\":\"a\",\"filter\":\"\"}",
	                                    "{\"q\":\"a\",\"hybrid\":{\"embedder\":\"x\","
	                                    "\"semanticRatio\":0}}"};
	static const char *const different[] = {"{}",
	                                        "{\"q\":\"b\"}",
	                                        "{\"q\":\"a \"}",
	                                        "{\"q\":\"A\"}",
	                                        "{\"q\":\"a\",\"limit\":21}",
	                                        "{\"q\":\"a\",\"offset\":20}",
	                                        "{\"q\":\"a\",\"limit\":0,\"offset\":20}",
	                                        "{\"q\":\"a\",\"page\":0,\"hitsPerPage\":20}",
	                                        "{\"q\":\"a\",\"page\":1}",
	                                        "{\"q\":\"a\",\"hitsPerPage\":1}",
	                                        "{\"q\":\"a\",\"vector\":[1]}",
	                                        "{\"q\":\"a\",\"hybrid\":{\"embedder\":\"x\"}}",
	                                        "{\"q\":\"a\",\"hybrid\":{\"embedder\":\"y\"}}",
	                                        "{\"q\":\"a\",\"attributesToRetrieve\":[]}",
	                                        "{\"q\":\"a\",\"attributesToCrop\":[\"x\"]}",
	                                        "{\"q\":\"a\",\"cropLength\":9}",
	                                        "{\"q\":\"a\",\"cropMarker\":\"\"}",
	                                        "{\"q\":\"a\",\"attributesToHighlight\":[\"x\"]}",
	                                        "{\"q\":\"a\",\"highlightPreTag\":\"x\"}",
	                                        "{\"q\":\"a\",\"highlightPostTag\":\"x\"}",
	                                        "{\"q\":\"a\",\"showMatchesPosition\":true}",
	                                        "{\"q\":\"a\",\"filter\":\"x\"}",
	                                        "{\"q\":\"a\",\"sort\":[\"x\"]}",
	                                        "{\"q\":\"a\",\"distinct\":\"x\"}",
	                                        "{\"q\":\"a\",\"facets\":[\"x\"]}",
	                                        "{\"q\":\"a\",\"matchingStrategy\":\"all\"}",
	                                        "{\"q\":\"a\",\"attributesToSearchOn\":[\"x\"]}",
	                                        "{\"q\":\"a\",\"rankingScoreThreshold\":0}",
	                                        "{\"q\":\"a\",\"showRankingScore\":true}",
	                                        "{\"q\":\"a\",\"showRankingScoreDetails\":true}"};
	struct coalesce_scope scope = {7, 1, 0, slice_string(""), 99};
	struct hash128 first = fingerprint(equal[0], &scope);

	for (size_t i = 1; i < sizeof equal / sizeof equal[0]; i++)
		CU_ASSERT_TRUE(hash128_equal(first, fingerprint(equal[i], &scope)));
	for (size_t i = 0; i < sizeof different / sizeof different[0]; i++) {
		CU_ASSERT_FALSE(hash128_equal(first, fingerprint(different[i], &scope)));
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_FALSE(hash128_equal(fingerprint(different[k], &scope),
			                              fingerprint(different[i], &scope)));
	}
}

static void test_fingerprint_scope(void)
{
	const struct coalesce_scope scopes[] = {
		{7, 1, 0, slice_string(""), 99},  {8, 1, 0, slice_string(""), 99},
		{7, 2, 0, slice_string(""), 99},  {7, 1, 1, slice_string(""), 99},
		{7, 1, 0, slice_string("k"), 99}, {7, 1, 0, slice_string(""), 98},
	};

	for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_FALSE(
				hash128_equal(fingerprint("{}", &scopes[k]), fingerprint("{}", &scopes[i])));
}

/* ---- joining ---- */

static void test_joined_share_the_answer(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[4] = {0};

	CU_ASSERT_EQUAL(ask(coalesce, &w[0], NULL, 1000), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[1], NULL, 1000), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[2], NULL, 1049), COALESCE_PLACE_JOINED);
	ANSWERED(land(coalesce, &w[0], REQUIRED(5, 5), 1060), &w[0], &w[1], &w[2]);
	/* what has landed is given to nobody who comes later */
	CU_ASSERT_EQUAL(ask(coalesce, &w[3], NULL, 1060), COALESCE_PLACE_FIRED);
	ANSWERED(land(coalesce, &w[3], REQUIRED(5, 5), 1061), &w[3]);
	coalesce_free(coalesce);
}

static void test_one_flight_a_window(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[200] = {0};
	size_t fired = 0;

	/* one request a millisecond; flights take 300 ms */
	for (int i = 0; i < 200; i++)
		fired += ask(coalesce, &w[i], NULL, i) == COALESCE_PLACE_FIRED;
	CU_ASSERT_EQUAL(fired, 4);
	for (int i = 0; i < 200; i += WINDOW_MS) {
		struct coalesce_waiter *list = land(coalesce, &w[i], REQUIRED(1, 1), i + 300);

		for (int k = i; k < i + WINDOW_MS; k++, list = list->next) {
			CU_ASSERT_PTR_EQUAL_FATAL(list, &w[k]);
			CU_ASSERT_EQUAL(list->verdict, COALESCE_VERDICT_ANSWER);
		}
		CU_ASSERT_PTR_NULL(list);
	}
	coalesce_free(coalesce);
}

static void test_others_do_not_meet(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[4] = {0};

	w[1].fingerprint = query_b;
	w[3].fingerprint = query_b;
	CU_ASSERT_EQUAL(ask(coalesce, &w[0], NULL, 0), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[1], NULL, 0), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[2], NULL, 1), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[3], NULL, 1), COALESCE_PLACE_JOINED);
	ANSWERED(land(coalesce, &w[0], REQUIRED(1, 1), 2), &w[0], &w[2]);
	ANSWERED(land(coalesce, &w[1], REQUIRED(1, 1), 3), &w[1], &w[3]);
	coalesce_free(coalesce);
}

static void test_off(void)
{
	struct coalesce *coalesce = open_window(0);
	struct coalesce_waiter w[2] = {0};

	CU_ASSERT_EQUAL(ask(coalesce, &w[0], NULL, 0), COALESCE_PLACE_ALONE);
	CU_ASSERT_EQUAL(ask(coalesce, &w[1], NULL, 0), COALESCE_PLACE_ALONE);
	ANSWERED(land(coalesce, &w[1], REQUIRED(1, 1), 2), &w[1]);
	ANSWERED(land(coalesce, &w[0], REQUIRED(1, 1), 2), &w[0]);
	coalesce_free(coalesce);
}

static void test_a_failure_is_shared(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[3] = {0};

	(void)ask(coalesce, &w[0], NULL, 0);
	(void)ask(coalesce, &w[1], NULL, 1);
	(void)ask(coalesce, &w[2], REQUIRED(9, 9), 2);
	ANSWERED(land(coalesce, &w[0], NULL, 3), &w[0], &w[1], &w[2]);
	coalesce_free(coalesce);
}

/* ---- deadlines ---- */

struct deadline_row {
	int64_t deadline_ms; /* of the second; the first one's is 1500 */
	enum coalesce_place place;
};

static void test_deadlines(void)
{
	static const struct deadline_row rows[] = {
		/* it would be answered after its own deadline */
		{1499, COALESCE_PLACE_FIRED},
		{1500, COALESCE_PLACE_JOINED},
		{1550, COALESCE_PLACE_JOINED},
		/* it would get the failure of somebody with much less time */
		{1551, COALESCE_PLACE_FIRED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct coalesce *coalesce = open_window(WINDOW_MS);
		struct coalesce_waiter first = {.fingerprint = query_a, .deadline_ms = 1500};
		struct coalesce_waiter second = {.fingerprint = query_a, .deadline_ms = rows[i].deadline_ms};

		(void)coalesce_ask(coalesce, &first, 0);
		CU_ASSERT_EQUAL(coalesce_ask(coalesce, &second, 10), rows[i].place);
		(void)land(coalesce, &first, NULL, 1500);
		if (rows[i].place == COALESCE_PLACE_FIRED)
			(void)land(coalesce, &second, NULL, 1500);
		coalesce_free(coalesce);
	}
}

/* ---- tokens ---- */

static void test_a_covered_token_joins(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[3] = {0};

	(void)ask(coalesce, &w[0], NULL, 0);
	CU_ASSERT_EQUAL(ask(coalesce, &w[1], REQUIRED(7, 0), 1), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[2], REQUIRED(0, 4), 1), COALESCE_PLACE_JOINED);
	ANSWERED(land(coalesce, &w[0], REQUIRED(7, 4), 5), &w[0], &w[1], &w[2]);
	coalesce_free(coalesce);
}

static void test_an_uncovered_token_is_fired_anew(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[5] = {0};
	struct coalesce_waiter *list;

	(void)ask(coalesce, &w[0], NULL, 0);
	(void)ask(coalesce, &w[1], REQUIRED(8, 0), 1);
	(void)ask(coalesce, &w[2], NULL, 2);
	(void)ask(coalesce, &w[3], REQUIRED(8, 0), 3);
	(void)ask(coalesce, &w[4], REQUIRED(8, 5), 4);
	list = land(coalesce, &w[0], REQUIRED(7, 4), 5);
	CU_ASSERT_PTR_EQUAL_FATAL(list, &w[0]);
	CU_ASSERT_EQUAL(list->verdict, COALESCE_VERDICT_ANSWER);
	list = list->next;
	CU_ASSERT_PTR_EQUAL_FATAL(list, &w[1]);
	CU_ASSERT_EQUAL(list->verdict, COALESCE_VERDICT_FIRE);
	list = list->next;
	CU_ASSERT_PTR_EQUAL_FATAL(list, &w[2]);
	CU_ASSERT_EQUAL(list->verdict, COALESCE_VERDICT_ANSWER);
	/* w[3] requires what w[1] does and shares its flight; w[4] requires more */
	check_one(list->next, &w[4], COALESCE_VERDICT_FIRE);
	ANSWERED(land(coalesce, &w[1], REQUIRED(8, 4), 9), &w[1], &w[3]);
	ANSWERED(land(coalesce, &w[4], REQUIRED(8, 5), 9), &w[4]);
	coalesce_free(coalesce);
}

static void test_nothing_of_the_partition(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[2] = {0};
	struct coalesce_waiter *list;

	(void)ask(coalesce, &w[0], NULL, 0);
	(void)ask(coalesce, &w[1], REQUIRED(1, 0), 1);
	list = land(coalesce, &w[0], REQUIRED(-1, 4), 5);
	check_one(list->next, &w[1], COALESCE_VERDICT_FIRE);
	ANSWERED(land(coalesce, &w[1], REQUIRED(1, 4), 6), &w[1]);
	coalesce_free(coalesce);
}

/* The flight that was fired for it is its last. */
static void test_refused_in_the_end(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[4] = {0};
	struct coalesce_waiter *list;

	(void)ask(coalesce, &w[0], NULL, 0);
	(void)ask(coalesce, &w[1], REQUIRED(8, 0), 1);
	(void)ask(coalesce, &w[2], REQUIRED(8, 0), 1);
	list = land(coalesce, &w[0], REQUIRED(7, 4), 5);
	check_one(list->next, &w[1], COALESCE_VERDICT_FIRE);
	list = land(coalesce, &w[1], REQUIRED(7, 4), 9);
	check_all(list, COALESCE_VERDICT_REFUSE, (struct coalesce_waiter *const[]){&w[1], &w[2]}, 2);
	/* so is one that fired at once */
	(void)ask(coalesce, &w[3], REQUIRED(8, 0), 10);
	check_one(land(coalesce, &w[3], REQUIRED(7, 4), 11), &w[3], COALESCE_VERDICT_REFUSE);
	coalesce_free(coalesce);
}

static void test_no_time_to_fire_anew(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[3] = {0};
	struct coalesce_waiter *list;

	(void)ask(coalesce, &w[0], NULL, 0);
	(void)ask(coalesce, &w[1], REQUIRED(8, 0), 0);
	(void)ask(coalesce, &w[2], REQUIRED(8, 0), 1);
	list = land(coalesce, &w[0], REQUIRED(7, 4), TIMEOUT_MS);
	CU_ASSERT_EQUAL(list->verdict, COALESCE_VERDICT_ANSWER);
	CU_ASSERT_EQUAL(list->next->verdict, COALESCE_VERDICT_REFUSE);
	check_one(list->next->next, &w[2], COALESCE_VERDICT_FIRE);
	ANSWERED(land(coalesce, &w[2], REQUIRED(8, 4), TIMEOUT_MS + 1), &w[2]);
	coalesce_free(coalesce);
}

/* A token that no replica will reach is nobody else's burden. */
static void test_nobody_waits_for_anothers_token(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[6] = {0};

	CU_ASSERT_EQUAL(ask(coalesce, &w[0], REQUIRED(1000000, 0), 0), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[1], NULL, 1), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[2], NULL, 1), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[3], REQUIRED(5, 0), 2), COALESCE_PLACE_JOINED);
	ANSWERED(land(coalesce, &w[1], REQUIRED(5, 5), 3), &w[1], &w[2], &w[3]);
	CU_ASSERT_EQUAL(ask(coalesce, &w[4], REQUIRED(0, 6), 4), COALESCE_PLACE_FIRED);
	/* who requires as much may wait along */
	CU_ASSERT_EQUAL(ask(coalesce, &w[5], REQUIRED(1000000, 0), 4), COALESCE_PLACE_JOINED);
	ANSWERED(land(coalesce, &w[4], REQUIRED(5, 6), 5), &w[4]);
	ANSWERED(land(coalesce, &w[0], NULL, 1500), &w[0], &w[5]);
	coalesce_free(coalesce);
}

/* Fired anew, a waiter shares a flight that was fired after it came, but none from before. */
static void test_fired_anew_shares_only_younger_flights(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[6] = {0};
	struct coalesce_waiter *list;

	(void)ask(coalesce, &w[0], REQUIRED(8, 0), 0);
	(void)ask(coalesce, &w[1], NULL, 1);
	/* the newest flight that it may join is w[1]'s */
	CU_ASSERT_EQUAL(ask(coalesce, &w[2], REQUIRED(8, 0), 2), COALESCE_PLACE_JOINED);
	list = land(coalesce, &w[1], REQUIRED(7, 0), 3);
	check_one(list->next, &w[2], COALESCE_VERDICT_FIRE);
	ANSWERED(land(coalesce, &w[0], REQUIRED(8, 0), 4), &w[0]);
	ANSWERED(land(coalesce, &w[2], REQUIRED(8, 0), 4), &w[2]);

	(void)ask(coalesce, &w[3], NULL, 100);
	(void)ask(coalesce, &w[4], REQUIRED(8, 0), 101);
	CU_ASSERT_EQUAL(ask(coalesce, &w[5], REQUIRED(8, 0), 151), COALESCE_PLACE_FIRED);
	list = land(coalesce, &w[3], REQUIRED(7, 0), 152);
	/* w[5] has more time than w[4], so w[4] would be answered too late by its flight */
	check_one(list->next, &w[4], COALESCE_VERDICT_FIRE);
	ANSWERED(land(coalesce, &w[4], REQUIRED(8, 0), 153), &w[4]);
	ANSWERED(land(coalesce, &w[5], REQUIRED(8, 0), 153), &w[5]);
	coalesce_free(coalesce);
}

/* ---- bounds ---- */

static void test_a_full_flight(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter *w = calloc(COALESCE_WAITERS_MAX + 3, sizeof *w);
	struct coalesce_waiter *list;
	size_t len = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(ask(coalesce, &w[0], NULL, 0), COALESCE_PLACE_FIRED);
	for (size_t i = 1; i <= COALESCE_WAITERS_MAX; i++)
		CU_ASSERT_EQUAL(ask(coalesce, &w[i], NULL, 1), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[COALESCE_WAITERS_MAX + 1], NULL, 2), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[COALESCE_WAITERS_MAX + 2], NULL, 2), COALESCE_PLACE_JOINED);
	for (list = land(coalesce, &w[0], REQUIRED(1, 1), 3); list != NULL; list = list->next)
		len++;
	CU_ASSERT_EQUAL(len, COALESCE_WAITERS_MAX + 1);
	ANSWERED(land(coalesce, &w[COALESCE_WAITERS_MAX + 1], REQUIRED(1, 1), 4),
	         &w[COALESCE_WAITERS_MAX + 1], &w[COALESCE_WAITERS_MAX + 2]);
	coalesce_free(coalesce);
	free(w);
}

static void test_too_many_joined(void)
{
	size_t flights = COALESCE_JOINED_MAX / COALESCE_WAITERS_MAX;
	size_t all = flights * (COALESCE_WAITERS_MAX + 1);
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter *w = calloc(all + 2, sizeof *w);

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (size_t i = 0; i < all; i++)
		CU_ASSERT_EQUAL(ask(coalesce, &w[i], NULL, 0), i % (COALESCE_WAITERS_MAX + 1) == 0
		                                                       ? COALESCE_PLACE_FIRED
		                                                       : COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[all], NULL, 1), COALESCE_PLACE_ALONE);
	(void)land(coalesce, &w[0], REQUIRED(1, 1), 2);
	CU_ASSERT_EQUAL(ask(coalesce, &w[all + 1], NULL, 3), COALESCE_PLACE_FIRED);
	for (size_t i = 1; i < flights; i++)
		(void)land(coalesce, &w[i * (COALESCE_WAITERS_MAX + 1)], REQUIRED(1, 1), 4);
	ANSWERED(land(coalesce, &w[all], REQUIRED(1, 1), 4), &w[all]);
	ANSWERED(land(coalesce, &w[all + 1], REQUIRED(1, 1), 4), &w[all + 1]);
	coalesce_free(coalesce);
	free(w);
}

/* Behind too many flights of the same query one that could be shared is not seen: the request fires. */
static void test_choices_are_bounded(void)
{
	struct coalesce *coalesce = open_window(WINDOW_MS);
	struct coalesce_waiter w[COALESCE_CHOICES_MAX + 3] = {0};
	const int last = COALESCE_CHOICES_MAX;

	/* none requires as much as another */
	for (int i = 0; i <= last; i++)
		CU_ASSERT_EQUAL(ask(coalesce, &w[i], REQUIRED(100 - i, 100 + i), 1), COALESCE_PLACE_FIRED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[last + 1], REQUIRED(99, 101), 2), COALESCE_PLACE_JOINED);
	CU_ASSERT_EQUAL(ask(coalesce, &w[last + 2], REQUIRED(100, 100), 2), COALESCE_PLACE_FIRED);
	ANSWERED(land(coalesce, &w[1], REQUIRED(200, 200), 3), &w[1], &w[last + 1]);
	ANSWERED(land(coalesce, &w[0], REQUIRED(200, 200), 3), &w[0]);
	for (int i = 2; i <= last; i++)
		ANSWERED(land(coalesce, &w[i], REQUIRED(200, 200), 3), &w[i]);
	ANSWERED(land(coalesce, &w[last + 2], REQUIRED(200, 200), 3), &w[last + 2]);
	coalesce_free(coalesce);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"fingerprint", test_fingerprint},
		{"fingerprint: scope", test_fingerprint_scope},
		{"joined share the answer", test_joined_share_the_answer},
		{"one flight a window", test_one_flight_a_window},
		{"others do not meet", test_others_do_not_meet},
		{"off", test_off},
		{"a failure is shared", test_a_failure_is_shared},
		{"deadlines", test_deadlines},
		{"a covered token joins", test_a_covered_token_joins},
		{"an uncovered token is fired anew", test_an_uncovered_token_is_fired_anew},
		{"nothing of the partition", test_nothing_of_the_partition},
		{"refused in the end", test_refused_in_the_end},
		{"no time to fire anew", test_no_time_to_fire_anew},
		{"nobody waits for another's token", test_nobody_waits_for_anothers_token},
		{"fired anew shares only younger flights", test_fired_anew_shares_only_younger_flights},
		{"a full flight", test_a_full_flight},
		{"too many joined", test_too_many_joined},
		{"choices are bounded", test_choices_are_bounded},
		CU_TEST_INFO_NULL};

	return suite_run("coalesce", tests);
}
