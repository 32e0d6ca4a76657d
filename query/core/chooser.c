#include "query/core/chooser.h"

#include "shared/base/assert.h"

#include "shared/meta/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 40
#define HISTOGRAM_FULL 1024
#define SMOOTHING 8
/* An unknown node counts as fast, so that it is tried. */
#define LATENCY_US_DEFAULT 500
/* What was slow is believed half as much after this time, so that it is asked again. */
#define LATENCY_HALF_LIFE_US 1000000
#define EXPLORE_AGE_US 1000000
#define BACKOFF_US ((int64_t)200000)
#define BACKOFF_DOUBLINGS_MAX 5
#define REFUSAL_PAUSE_US ((int64_t)100000)

struct figures {
	int64_t latency_us; /* smoothed; 0: nothing is known */
	uint32_t samples;   /* in the histogram */
	uint32_t counts[BUCKETS];
};

struct chooser_entry {
	char id[NODE_ID_BYTES_MAX + 1];
	size_t in_flight;
	unsigned failures; /* since its last answer */
	bool suspect;      /* failed or refused, and has not answered since */
	int64_t away_until_us;
	int64_t asked_us;
	struct figures figures[CHOOSER_KINDS];
};

struct chooser {
	struct chooser_entry entries[CHOOSER_NODES_MAX];
	size_t entries_len;
	uint64_t turns;
	unsigned hedge_parts; /* CHOOSER_HEDGE_EVERY of them are one hedge */
	unsigned unpaid;      /* questions to come that are hedges */
};

/* ---- life ---- */

struct chooser *chooser_new(void)
{
	struct chooser *chooser = calloc(1, sizeof *chooser);

	if (chooser != NULL)
		chooser->hedge_parts = CHOOSER_HEDGES_AT_ONCE * CHOOSER_HEDGE_EVERY;
	return chooser;
}

void chooser_free(struct chooser *chooser)
{
	free(chooser);
}

size_t chooser_node(struct chooser *chooser, const char *id)
{
	struct chooser_entry *entry;
	size_t at = 0;

	while (at < chooser->entries_len && strcmp(chooser->entries[at].id, id) != 0)
		at++;
	if (at < chooser->entries_len)
		return at;
	if (at == CHOOSER_NODES_MAX)
		return CHOOSER_NODES_MAX - 1;
	ASSERT(strlen(id) <= NODE_ID_BYTES_MAX);
	entry = &chooser->entries[chooser->entries_len++];
	(void)snprintf(entry->id, sizeof entry->id, "%s", id);
	entry->asked_us = INT64_MIN;
	return at;
}

/* ---- figures ---- */

/* 250 µs, 354 µs, 500 µs, 707 µs, 1 ms … 185 s. */
static int64_t bound_of(size_t bucket)
{
	return (int64_t)(bucket % 2 == 0 ? 250 : 354) << bucket / 2;
}

static void observe(struct figures *figures, int64_t latency_us)
{
	size_t bucket = 0;

	if (latency_us < 1)
		latency_us = 1;
	if (figures->latency_us == 0)
		figures->latency_us = latency_us;
	figures->latency_us += (latency_us - figures->latency_us) / SMOOTHING;
	while (bucket + 1 < BUCKETS && latency_us > bound_of(bucket))
		bucket++;
	figures->counts[bucket]++;
	if (++figures->samples < HISTOGRAM_FULL)
		return;
	figures->samples = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		figures->counts[i] /= 2;
		figures->samples += figures->counts[i];
	}
}

int64_t chooser_hedge_after_us(const struct chooser *chooser, size_t node, enum chooser_kind kind)
{
	const struct figures *figures = &chooser->entries[node].figures[kind];
	uint64_t below = 0;
	size_t bucket = 0;
	int64_t bound;

	if (figures->samples < CHOOSER_SAMPLES_MIN)
		return CHOOSER_HEDGE_US_DEFAULT;
	while (bucket + 1 < BUCKETS &&
	       (below += figures->counts[bucket]) * 100 < (uint64_t)figures->samples * 95)
		bucket++;
	bound = bound_of(bucket);
	return bound > CHOOSER_HEDGE_US_MIN ? bound : CHOOSER_HEDGE_US_MIN;
}

/* ---- questions ---- */

/* 0: nothing is known. */
static int64_t faded_latency_us(const struct chooser_entry *entry, enum chooser_kind kind, int64_t now_us)
{
	int64_t latency_us = entry->figures[kind].latency_us;
	int64_t halvings;

	if (latency_us == 0 || entry->in_flight > 0)
		return latency_us;
	halvings = (now_us - entry->asked_us) / LATENCY_HALF_LIFE_US;
	if (halvings <= 0)
		return latency_us;
	latency_us >>= halvings < 62 ? halvings : 62;
	return latency_us > 0 ? latency_us : 1;
}

void chooser_sent(struct chooser *chooser, size_t node, int64_t now_us)
{
	struct chooser_entry *entry = &chooser->entries[node];

	/* its answers smooth what is still believed */
	for (int kind = 0; kind < CHOOSER_KINDS; kind++)
		entry->figures[kind].latency_us = faded_latency_us(entry, (enum chooser_kind)kind, now_us);
	entry->in_flight++;
	entry->asked_us = now_us;
	if (chooser->unpaid > 0)
		chooser->unpaid--;
	else if (chooser->hedge_parts < CHOOSER_HEDGES_AT_ONCE * CHOOSER_HEDGE_EVERY)
		chooser->hedge_parts++;
}

static struct chooser_entry *come_back(struct chooser *chooser, size_t node)
{
	struct chooser_entry *entry = &chooser->entries[node];

	ASSERT(entry->in_flight > 0);
	entry->in_flight--;
	return entry;
}

void chooser_answered(struct chooser *chooser, size_t node, enum chooser_kind kind, int64_t latency_us)
{
	struct chooser_entry *entry = come_back(chooser, node);

	entry->failures = 0;
	entry->suspect = false;
	entry->away_until_us = 0;
	if (latency_us >= 0)
		observe(&entry->figures[kind], latency_us);
}

void chooser_refused(struct chooser *chooser, size_t node, int64_t now_us)
{
	struct chooser_entry *entry = come_back(chooser, node);

	entry->failures = 0;
	entry->suspect = true;
	entry->away_until_us = now_us + REFUSAL_PAUSE_US;
}

void chooser_overdue(struct chooser *chooser, size_t node, int64_t now_us)
{
	struct chooser_entry *entry = &chooser->entries[node];

	entry->away_until_us = now_us + (BACKOFF_US << entry->failures);
	entry->suspect = true;
	if (entry->failures < BACKOFF_DOUBLINGS_MAX)
		entry->failures++;
}

void chooser_failed(struct chooser *chooser, size_t node, int64_t now_us)
{
	(void)come_back(chooser, node);
	chooser_overdue(chooser, node, now_us);
}

void chooser_unsent(struct chooser *chooser, size_t node)
{
	(void)come_back(chooser, node);
}

int64_t chooser_cost(const struct chooser *chooser, size_t node, enum chooser_kind kind, int64_t now_us)
{
	const struct chooser_entry *entry = &chooser->entries[node];
	int64_t latency_us = faded_latency_us(entry, kind, now_us);
	int64_t cost = (latency_us > 0 ? latency_us : LATENCY_US_DEFAULT) * (1 + (int64_t)entry->in_flight);
	bool away = entry->suspect && (now_us < entry->away_until_us || entry->in_flight > 0);

	if (cost >= CHOOSER_COST_AWAY)
		cost = CHOOSER_COST_AWAY - 1;
	return away ? CHOOSER_COST_AWAY + cost : cost;
}

int64_t chooser_asked_us(const struct chooser *chooser, size_t node)
{
	return chooser->entries[node].asked_us;
}

/* ---- choices ---- */

int64_t chooser_turn(struct chooser *chooser, int64_t now_us)
{
	return ++chooser->turns % CHOOSER_EXPLORE_EVERY == 0 ? now_us - EXPLORE_AGE_US : INT64_MIN;
}

/* What counts as equal to the least cost: not more than a half above it. */
static int64_t equal_max(int64_t least)
{
	return least + least / 2;
}

/* The one asked longest ago of those that cost at most this; len if there is none. */
static size_t longest_ago(const struct chooser_candidate *candidates, size_t len, int64_t cost_max)
{
	size_t chosen = len;

	for (size_t i = 0; i < len; i++)
		if (candidates[i].cost <= cost_max &&
		    (chosen == len || candidates[i].asked_us < candidates[chosen].asked_us))
			chosen = i;
	return chosen;
}

size_t chooser_pick(const struct chooser_candidate *candidates, size_t len, int64_t explore_us)
{
	size_t oldest = longest_ago(candidates, len, CHOOSER_COST_AWAY - 1);
	int64_t least = INT64_MAX;
	size_t taken = len;

	ASSERT(len > 0);
	for (size_t i = 0; i < len; i++)
		if (candidates[i].cost < least)
			least = candidates[i].cost;
	if (oldest < len && candidates[oldest].asked_us < explore_us)
		return oldest;
	for (size_t i = 0; i < len; i++)
		if (candidates[i].taken && candidates[i].cost <= equal_max(least) &&
		    (taken == len || candidates[i].shards < candidates[taken].shards))
			taken = i;
	return taken < len ? taken : longest_ago(candidates, len, equal_max(least));
}

bool chooser_take_hedge(struct chooser *chooser)
{
	if (chooser->hedge_parts < CHOOSER_HEDGE_EVERY)
		return false;
	/* its own question must not pay for the next one */
	chooser->hedge_parts -= CHOOSER_HEDGE_EVERY;
	chooser->unpaid++;
	return true;
}
