#include "tests/simulation/timeline.h"

#include "shared/base/assert.h"

#include <stdlib.h>

static const struct fold_point nothing;

void timeline_init(struct timeline *timeline, const struct fold_rules *rules, struct arena *arena)
{
	*timeline = (struct timeline){.rules = *rules, .arena = arena};
}

void timeline_deinit(struct timeline *timeline)
{
	free(timeline->entries);
	free(timeline->points);
	*timeline = (struct timeline){0};
}

static bool is_decoded(const struct log_entry *entry)
{
	return !entry->malformed && entry->verdict != VERDICT_SKIPPED;
}

bool timeline_is_identified(const struct timeline *timeline, const struct log_entry *entry)
{
	return timeline->rules.contract > 1 && timeline->rules.window > 0 && entry->identified &&
	       is_decoded(entry);
}

static bool is_higher(const struct origin *a, const struct origin *b)
{
	if (a->life != b->life)
		return a->life > b->life;
	if (a->offset != b->offset)
		return a->offset > b->offset;
	return a->n > b->n;
}

const struct log_entry *timeline_origin(const struct timeline *timeline, size_t place,
                                        const struct origin *origin)
{
	const struct log_entry *highest = NULL;

	for (size_t i = 0; i < place && timeline->rules.contract > 1; i++) {
		const struct log_entry *entry = timeline->entries[i];

		if (entry->origin.source.ptr == NULL || !is_decoded(entry) ||
		    entry->origin.partition != origin->partition ||
		    !slice_equal(entry->origin.source, origin->source))
			continue;
		if (highest == NULL || is_higher(&entry->origin, &highest->origin))
			highest = entry;
	}
	return highest;
}

bool timeline_skips(const struct timeline *timeline, int64_t offset)
{
	for (size_t i = 0; i < timeline->skips_len; i++)
		if (timeline->skips[i] == offset)
			return true;
	return false;
}

static enum verdict judge_identity(const struct timeline *timeline, size_t place,
                                   const struct log_entry *entry)
{
	for (size_t i = place; i-- > 0;) {
		const struct log_entry *before = timeline->entries[i];

		if (before->offset < entry->offset - timeline->rules.window)
			break;
		if (timeline_is_identified(timeline, before) &&
		    hash128_equal(before->identity, entry->identity))
			return before->operation == entry->operation ? VERDICT_DUPLICATE : VERDICT_REFUSED;
	}
	return VERDICT_APPLIED;
}

static void judge(const struct timeline *timeline, size_t place, struct log_entry *entry)
{
	const struct log_entry *highest;

	entry->refused = false;
	entry->verdict = VERDICT_APPLIED;
	if (timeline_skips(timeline, entry->offset)) {
		entry->verdict = VERDICT_SKIPPED;
		entry->refused = true;
		entry->refusal = REFUSAL_SKIPPED;
		return;
	}
	if (entry->malformed) {
		entry->verdict = VERDICT_REFUSED;
		entry->refused = true;
		entry->refusal = entry->malformation;
		return;
	}
	highest = entry->origin.source.ptr == NULL ? NULL : timeline_origin(timeline, place, &entry->origin);
	if (highest != NULL && !is_higher(&entry->origin, &highest->origin))
		entry->verdict = VERDICT_DUPLICATE;
	else if (timeline_is_identified(timeline, entry))
		entry->verdict = judge_identity(timeline, place, entry);
	if (entry->verdict == VERDICT_REFUSED) {
		entry->refused = true;
		entry->refusal = REFUSAL_IDEMPOTENCY_KEY_REUSED;
	}
}

/* Everything from entry `place` on, by what lies before it. */
static void fold_from(struct timeline *timeline, size_t place)
{
	for (size_t i = place; i < timeline->len; i++) {
		judge(timeline, i, timeline->entries[i]);
		timeline->points[i] = i == 0 ? nothing : timeline->points[i - 1];
		fold_apply(&timeline->points[i], &timeline->rules, timeline->entries[i], timeline->arena);
	}
}

void timeline_add(struct timeline *timeline, struct log_entry *entry)
{
	if (timeline->len == timeline->size) {
		timeline->size = timeline->size * 2 + 64;
		timeline->entries = realloc(timeline->entries, timeline->size * sizeof(struct log_entry *));
		timeline->points = realloc(timeline->points, timeline->size * sizeof *timeline->points);
		ASSERT(timeline->entries != NULL && timeline->points != NULL);
	}
	timeline->entries[timeline->len++] = entry;
	fold_from(timeline, timeline->len - 1);
}

void timeline_skip(struct timeline *timeline, int64_t offset)
{
	ASSERT(timeline->skips_len < SKIPS);
	timeline->skips[timeline->skips_len++] = offset;
	fold_from(timeline, timeline_place(timeline, offset));
}

size_t timeline_place(const struct timeline *timeline, int64_t offset)
{
	size_t low = 0;
	size_t high = timeline->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (timeline->entries[middle]->offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct fold_point *timeline_point(const struct timeline *timeline, int64_t offset)
{
	size_t place = timeline_place(timeline, offset);

	return place == 0 ? &nothing : &timeline->points[place - 1];
}
