#include "tests/simulation/sim_log.h"

#include "shared/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DOCUMENT_BYTES_MAX 400 /* the rules of the simulated index */

static struct slice print(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct slice print(struct arena *arena, const char *format, ...)
{
	char text[1024];
	struct slice copy;
	va_list args;
	int len;
	bool copied;

	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ASSERT(len >= 0 && (size_t)len < sizeof text);
	copied = arena_copy(arena, slice_of(text, (size_t)len), &copy);
	ASSERT(copied);
	return copy;
}

/* Ids of this partition, and one of another. */
static void draw_ids(struct sim_log *log, struct dice *dice)
{
	uint32_t found = 0;

	for (uint32_t i = 0; found < log->swarm->documents || log->stranger.len == 0; i++) {
		struct slice id = dice_chance(dice, 300) ? print(log->arena, "%u", i + 1)
		                                         : print(log->arena, "a-%u_%u", i, log->partition);
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
	draw_ids(log, dice);
}

static void timeline_deinit(struct timeline *timeline)
{
	free(timeline->entries);
	free(timeline->points);
	*timeline = (struct timeline){0};
}

void sim_log_deinit(struct sim_log *log)
{
	timeline_deinit(&log->timeline);
	timeline_deinit(&log->former);
}

static void timeline_add(struct timeline *timeline, uint64_t index_id, struct log_entry *entry)
{
	if (timeline->len == timeline->size) {
		timeline->size = timeline->size * 2 + 64;
		timeline->entries = realloc(timeline->entries, timeline->size * sizeof(struct log_entry *));
		timeline->points = realloc(timeline->points, timeline->size * sizeof *timeline->points);
		ASSERT(timeline->entries != NULL && timeline->points != NULL);
	}
	fold_apply(&timeline->fold, index_id, entry);
	timeline->entries[timeline->len] = entry;
	timeline->points[timeline->len++] = timeline->fold.point;
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

struct fold_point timeline_point(const struct timeline *timeline, int64_t offset)
{
	size_t place = timeline_place(timeline, offset);

	return place == 0 ? (struct fold_point){0} : timeline->points[place - 1];
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

/* A good document, with or without its primary key. */
static void make_put(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const texts[] = {"river stone", "mill race", "river mill",
	                                    "R\303\251sum\303\251 STONE", ""};
	static const char *const folded[] = {"river stone", "mill race", "river mill", "resume stone", ""};
	uint32_t choice = dice_below(dice, dice_chance(dice, 100) ? 5 : 3);
	struct slice id = entry->record.key;
	const char *text = texts[choice];
	struct slice rest;

	(void)snprintf(entry->word, sizeof entry->word, "w%06u", log->made);
	rest = print(log->arena, "\"word\":\"%s\", \"text\":\"%s\",\"n\":%u.50}", entry->word, text,
	             log->made);
	if (dice_chance(dice, 300)) {
		entry->record.value = print(log->arena, " {%.*s", SLICE_ARGS(rest));
		entry->stored = print(log->arena, "{\"id\":\"%.*s\",%.*s", SLICE_ARGS(id), SLICE_ARGS(rest));
	} else {
		bool number = id.ptr[0] != 'a' && dice_chance(dice, 500);
		const char *quote = number ? "" : "\"";

		entry->record.value = print(log->arena, "{\"id\":%s%.*s%s,%.*s", quote, SLICE_ARGS(id), quote,
		                            SLICE_ARGS(rest));
		entry->stored = entry->record.value;
	}
	entry->text = folded[choice];
	entry->kind = OP_KIND_PUT;
}

static void set_header(struct sim_log *log, struct log_entry *entry, const char *name, struct slice value)
{
	struct record_header *headers = arena_alloc(log->arena, 2 * sizeof *headers);

	ASSERT(headers != NULL);
	if (entry->record.headers_len > 0)
		headers[0] = entry->record.headers[0];
	headers[entry->record.headers_len] = (struct record_header){slice_string(name), value};
	entry->record.headers = headers;
	entry->record.headers_len++;
}

static void make_delete(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	entry->kind = OP_KIND_DELETE;
	if (dice_chance(dice, 500)) {
		set_header(log, entry, "op", slice_string("delete"));
		entry->record.value = slice_string(dice_chance(dice, 500) ? "not JSON" : "");
	} else if (dice_chance(dice, 500)) {
		entry->record.value = slice_string("");
	}
}

static void make_refused_key(struct sim_log *log, struct log_entry *entry, enum refusal_code code)
{
	if (code == REFUSAL_MISSING_KEY)
		entry->record.key = (struct slice){0};
	else if (code == REFUSAL_WRONG_PARTITION)
		entry->record.key = log->stranger;
	else
		entry->record.key = slice_string("no id: blanks");
}

static void make_refused_value(struct sim_log *log, struct log_entry *entry, enum refusal_code code)
{
	struct slice deep = {0};

	switch (code) {
	case REFUSAL_TOO_LARGE:
		entry->record.value = print(log->arena, "{\"fill\":\"%0*d\"}", DOCUMENT_BYTES_MAX, 7);
		break;
	case REFUSAL_TOO_DEEP:
		deep = print(log->arena, "{\"a\":%0*d", 140, 0);
		memset((char *)(uintptr_t)deep.ptr + 5, '[', deep.len - 5);
		entry->record.value =
			print(log->arena, "%.*s%0*d}", (int)deep.len, (const char *)deep.ptr, 140, 0);
		memset((char *)(uintptr_t)entry->record.value.ptr + deep.len, ']', 140);
		break;
	case REFUSAL_NOT_JSON:
		entry->record.value = slice_string("{\"word\":");
		break;
	case REFUSAL_NOT_AN_OBJECT:
		entry->record.value = slice_string("[1, 2]");
		break;
	default:
		entry->record.value = slice_string("{\"id\":\"somebody-else\"}");
		break;
	}
}

static void make_refused(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	enum refusal_code code =
		(enum refusal_code)dice_between(dice, REFUSAL_MISSING_KEY, REFUSAL_ID_MISMATCH);

	if (code == REFUSAL_WRONG_PARTITION && log->stranger.len == 0)
		code = REFUSAL_NOT_JSON;
	if (code <= REFUSAL_WRONG_PARTITION)
		make_refused_key(log, entry, code);
	else if (code == REFUSAL_UNKNOWN_OPERATION)
		set_header(log, entry, "op", slice_string("frobnicate"));
	else if (code == REFUSAL_INVALID_HEADER)
		set_header(log, entry, dice_chance(dice, 500) ? "seq" : "created", slice_string("x"));
	else
		make_refused_value(log, entry, code);
	entry->refused = true;
	entry->refusal = code;
}

static void draw_key(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	uint32_t seq;

	log->clock_ms += dice_between(dice, -2, 5);
	entry->record.timestamp_ms = log->clock_ms;
	entry->key = (struct insertion_key){log->clock_ms, 0};
	if (!dice_chance(dice, 100))
		return;
	seq = dice_below(dice, 9);
	if (dice_chance(dice, 500)) {
		entry->key.seq = seq;
		set_header(log, entry, "seq", print(log->arena, "%u", seq));
	} else {
		entry->key = (struct insertion_key){1600000000000 + seq, seq};
		set_header(log, entry, "created",
		           print(log->arena, "%lld/%u", (long long)entry->key.timestamp_ms, seq));
	}
}

void sim_log_append_record(struct sim_log *log, struct dice *dice)
{
	struct log_entry *entry = arena_alloc(log->arena, sizeof *entry);

	ASSERT(entry != NULL);
	log->made++;
	*entry = (struct log_entry){.offset = log->end, .document = dice_below(dice, log->swarm->documents)};
	entry->record.offset = entry->offset;
	entry->record.key = log->ids[entry->document];
	draw_key(log, entry, dice);
	if (dice_chance(dice, log->swarm->delete_permille))
		make_delete(log, entry, dice);
	else
		make_put(log, entry, dice);
	if (dice_chance(dice, log->swarm->refuse_permille) && entry->record.headers_len == 0 &&
	    entry->kind == OP_KIND_PUT)
		make_refused(log, entry, dice);
	timeline_add(&log->timeline, log->index_id, entry);
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
	log->timeline = (struct timeline){0};
	for (size_t i = 0; i < place; i++)
		timeline_add(&log->timeline, log->index_id, former.entries[i]);
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
