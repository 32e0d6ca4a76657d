/*
 * Records that end whoever decodes them, and the records in meta that say to skip them.
 *
 * An ingest remembers beyond its death which record it had in hand. After the third time it holds the shard, asks
 * for a skip, and takes the shard when it has read that everybody skips the offset.
 */
#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>

#define DEATHS_MAX 3
#define RESTART_MS_MAX 300
#define ASK_MS_MAX 1500
#define ASK_AGAIN_MS 10000 /* what was asked for may have been denied */

static bool is_known(const struct sim *sim, const struct sim_view *view, uint32_t shard, int64_t offset)
{
	size_t len = 0;
	const int64_t *skips = catalog_skips(view->catalog, sim->index.id, (int32_t)shard, &len);

	for (size_t i = 0; i < len; i++)
		if (skips[i] == offset)
			return true;
	return false;
}

void sim_skips_set(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	size_t len = 0;
	const int64_t *skips =
		catalog_skips(ingest->process.view.catalog, sim->index.id, (int32_t)shard, &len);
	const struct sim_suspect *suspect = &ingest->suspects[shard];
	struct error error;
	int rc;

	if (KNOCKOUT(SKIP_NOT_RECORDED) && suspect->deaths >= DEATHS_MAX) {
		skips = &suspect->offset;
		len = 1;
	}
	rc = feeder_set_skips(ingest->feeder, ingest->slots[shard], skips, len, &error);
	if (rc != 0)
		sim_violate(sim, "skips are obeyed", "%s", error.text);
}

static void ask_for_skip(struct sim *sim, uint32_t shard, int64_t offset)
{
	struct event *event = sim_event(sim, EVENT_SKIP, sim_delay(sim, sim->calm ? 50 : ASK_MS_MAX));

	event->shard = shard;
	event->offset = offset;
}

bool sim_skips_hold(struct sim *sim, struct sim_ingest *ingest, uint32_t shard)
{
	struct sim_suspect *suspect = &ingest->suspects[shard];
	bool again = suspect->asked_ms + ASK_AGAIN_MS <= sim->now_ms;

	if (suspect->deaths < DEATHS_MAX || KNOCKOUT(SKIP_NOT_RECORDED) ||
	    is_known(sim, &ingest->process.view, shard, suspect->offset))
		return false;
	if (again) {
		suspect->asked_ms = sim->now_ms;
		ask_for_skip(sim, shard, suspect->offset);
	}
	if (again || suspect->holder != ingest->process.life)
		sim_own_event(sim, sim_ingest_peer(sim, ingest), EVENT_INGEST_HOLDS,
		              suspect->asked_ms + ASK_AGAIN_MS - sim->now_ms);
	suspect->holder = ingest->process.life;
	return true;
}

bool sim_skips_kill(struct sim *sim, struct sim_ingest *ingest, uint32_t shard, const struct log_entry *entry)
{
	struct sim_suspect *suspect = &ingest->suspects[shard];

	if (!entry->deadly || is_known(sim, &ingest->process.view, shard, entry->offset) ||
	    (KNOCKOUT(SKIP_NOT_RECORDED) && suspect->deaths >= DEATHS_MAX &&
	     suspect->offset == entry->offset))
		return false;
	if (suspect->offset != entry->offset)
		*suspect = (struct sim_suspect){.offset = entry->offset, .asked_ms = -ASK_AGAIN_MS};
	suspect->deaths++;
	sim_trace(sim, "ingest %d dies of the record at %lld, for the %u. time", (int)(ingest - sim->ingests),
	          (long long)entry->offset, suspect->deaths);
	tally_add(&sim->tally->deaths, 1);
	sim_ingest_crash(sim, ingest);
	sim_own_event(sim, (struct peer){PROCESS_INGEST, (uint32_t)(ingest - sim->ingests), 0},
	              EVENT_INGEST_START, 1 + sim_delay(sim, RESTART_MS_MAX));
	return true;
}

/* By script: all that were there, and this one. */
static void write(struct sim *sim, uint32_t shard, int64_t offset)
{
	size_t len = 0;
	const int64_t *known = catalog_skips(sim->truth.catalog, sim->index.id, (int32_t)shard, &len);
	int64_t offsets[SKIPS];
	size_t at = len;
	struct buffer value;
	char key[64];

	if (is_known(sim, &sim->truth, shard, offset))
		return;
	ASSERT(len < SKIPS);
	if (len > 0)
		memcpy(offsets, known, len * sizeof offsets[0]);
	for (; at > 0 && offsets[at - 1] > offset; at--)
		offsets[at] = offsets[at - 1];
	offsets[at] = offset;
	buffer_init(&value, 1 << 16);
	catalog_write_skips(&value, 0, offsets, len + 1);
	ASSERT(!buffer_failed(&value));
	(void)snprintf(key, sizeof key, "skip/%016" PRIx64 "/%" PRIu32, sim->index.id, shard);
	sim_topology_write(sim, SIM_TOPIC_META, slice_string(key), buffer_slice(&value));
	buffer_deinit(&value);
}

void sim_skips_asked(struct sim *sim, uint32_t shard, int64_t offset)
{
	if (sim->now_ms < sim->kafka_down_until_ms)
		ask_for_skip(sim, shard, offset);
	else if (sim->swarm.controllers > 0)
		sim_request_skip(sim, shard, offset);
	else
		write(sim, shard, offset);
}

void sim_skips_recorded(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards; shard++) {
		struct timeline *timeline = &sim->logs[shard].timeline;
		size_t len = 0;
		const int64_t *skips = catalog_skips(sim->truth.catalog, sim->index.id, (int32_t)shard, &len);

		for (size_t i = 0; i < len; i++) {
			if (timeline_skips(timeline, skips[i]))
				continue;
			sim_trace(sim, "shard %u: everybody skips %lld", shard, (long long)skips[i]);
			tally_add(&sim->tally->skips, 1);
			timeline_skip(timeline, skips[i]);
		}
	}
}
