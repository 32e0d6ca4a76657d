#include "tests/simulation/sim_log.h"

#include "shared/base/assert.h"
#include "tests/simulation/producers.h"
#include "tests/simulation/records.h"

/* Ids of this partition, and one of another. */
static void draw_ids(struct sim_log *log, struct dice *dice)
{
	uint32_t found = 0;

	for (uint32_t i = 0; found < log->swarm->documents || log->stranger.len == 0; i++) {
		struct slice id = dice_chance(dice, 300)
		                          ? records_print(log->arena, "%u", i + 1)
		                          : records_print(log->arena, "a-%u_%u", i, log->partition);
		int32_t home = partitioner_choose(log->swarm->partitioner, id, (int32_t)log->swarm->shards);

		if (home >= 0 && home != log->partition)
			log->stranger = id;
		else if (found < log->swarm->documents)
			log->ids[found++] = id;
		else if (home < 0 || log->swarm->shards == 1)
			break; /* every key is at home here */
	}
}

void sim_log_init(struct sim_log *log, const struct swarm *swarm, struct arena *arena, struct dice *dice)
{
	log->swarm = swarm;
	log->arena = arena;
	/* anywhere, often close below a seal */
	log->base = dice_chance(dice, 500)
	                    ? dice_between(dice, 0, 9000)
	                    : RANGE_SEAL * dice_between(dice, 1, 3) - dice_between(dice, 0, 30);
	log->start = log->base;
	log->end = log->base;
	log->committed = -1;
	log->clock_ms = 1700000000000;
	timeline_init(&log->timeline,
	              &(struct fold_rules){.index_id = log->index_id,
	                                   .contract = swarm->contract,
	                                   .document_bytes_max = RECORDS_BYTES_MAX,
	                                   .window = swarm->dedup_window},
	              arena);
	producers_init(log);
	draw_ids(log, dice);
}

void sim_log_deinit(struct sim_log *log)
{
	timeline_deinit(&log->timeline);
	timeline_deinit(&log->former);
}

const struct timeline *sim_log_timeline(const struct sim_log *log, uint32_t life)
{
	return life == log->life ? &log->timeline : &log->former;
}

const struct log_entry *sim_log_read(const struct sim_log *log, int64_t offset)
{
	size_t place = timeline_place(&log->timeline, offset < log->start ? log->start : offset);

	return place < log->timeline.len ? log->timeline.entries[place] : NULL;
}

/* By contract 1: documents are put and deleted, and some records are bad. */
static void make_record(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	entry->document = dice_below(dice, log->swarm->documents);
	entry->record.key = log->ids[entry->document];
	records_stamp(log, entry, dice);
	if (dice_chance(dice, log->swarm->delete_permille))
		records_delete(log, entry, dice);
	else
		records_put(log, entry, dice);
	if (dice_chance(dice, log->swarm->refuse_permille) && entry->record.headers_len == 0 &&
	    entry->kind == OP_KIND_PUT)
		records_spoil(log, entry, dice);
}

void sim_log_append_record(struct sim_log *log, struct dice *dice)
{
	struct log_entry *entry = arena_alloc(log->arena, sizeof *entry);

	ASSERT(entry != NULL);
	log->made++;
	*entry = (struct log_entry){.offset = log->end, .record.offset = log->end};
	if (log->swarm->contract == 1)
		make_record(log, entry, dice);
	else
		producers_make(log, entry, dice);
	timeline_add(&log->timeline, entry);
	log->end++;
}

void sim_log_append_marker(struct sim_log *log)
{
	log->end++;
}

/* To some seal, or just before it. */
static int64_t leap(int64_t end, struct dice *dice)
{
	int64_t to = (end / RANGE_SEAL + dice_between(dice, 1, 3)) * RANGE_SEAL - dice_between(dice, 0, 3);

	return to > end ? to : end + RANGE_SEAL;
}

void sim_log_append(struct sim_log *log, struct dice *dice)
{
	const struct swarm *swarm = log->swarm;

	if (dice_chance(dice, swarm->leap_permille))
		log->end = leap(log->end, dice);
	else if (dice_chance(dice, swarm->hole_permille))
		log->end += dice_between(dice, 1, 40);
	sim_log_append_record(log, dice);
	if (dice_chance(dice, swarm->marker_permille))
		sim_log_append_marker(log);
}

void sim_log_cut(struct sim_log *log, size_t place, bool recreated, struct dice *dice)
{
	struct timeline former = log->timeline;
	int64_t former_end = log->end;
	uint32_t more = (uint32_t)dice_between(dice, 0, 12);

	ASSERT(log->life == 0 && place < former.len);
	log->life = 1;
	log->clock_ms += 1000; /* no record of after is one of before */
	log->former = former;
	log->cut = former.entries[place]->offset;
	timeline_init(&log->timeline, &former.rules, log->arena);
	for (size_t i = 0; i < former.skips_len; i++)
		timeline_skip(&log->timeline, former.skips[i]);
	for (size_t i = 0; i < place; i++)
		timeline_add(&log->timeline, former.entries[i]);
	log->end = log->cut;
	if (recreated)
		log->committed = -1;
	else if (log->committed > log->cut)
		log->committed = log->cut; /* whoever lets a truncated log go on resets the group */
	/* densely, so that most offsets of before are taken again; sometimes with a hole in their place */
	if (dice_chance(dice, 200))
		log->end = former_end - dice_between(dice, 0, former_end - log->cut);
	while (more-- > 0)
		sim_log_append_record(log, dice);
	if (dice_chance(dice, 500))
		while (log->end < former_end && log->end < log->cut + 60)
			sim_log_append_record(log, dice);
}
