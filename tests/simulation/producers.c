#include "tests/simulation/producers.h"

#include "shared/base/assert.h"
#include "tests/simulation/records.h"

#include <inttypes.h>

#define TRIES 6 /* to find something worth repeating */
#define LABELS 6

void producers_init(struct sim_log *log)
{
	static const char *const names[SOURCES] = {"shop.orders", "shop.orders", "audit"};

	for (int i = 0; i < SOURCES; i++) {
		log->sources[i].now = (struct origin){
			.source = slice_string(names[i]), .life = 1, .partition = i % 2, .offset = 100};
		log->sources[i].zombie = log->sources[i].now;
	}
}

/* ---- operations ---- */

static void name_operation(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const names[] = {
		[OP_KIND_PUT] = "put",
		[OP_KIND_MERGE] = "merge",
		[OP_KIND_PUT_IF_EXISTS] = "put-if-exists",
		[OP_KIND_MERGE_IF_EXISTS] = "merge-if-exists",
		[OP_KIND_DELETE_BY_FILTER] = "delete-by-filter",
		[OP_KIND_DELETE_ALL] = "delete-all",
	};

	if (entry->kind != OP_KIND_PUT || dice_chance(dice, 200))
		records_header(log, entry, "op", slice_string(names[entry->kind]));
}

static void draw_barrier(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	entry->record.key = (struct slice){0};
	if (dice_chance(dice, 700)) {
		records_filter(log, entry, dice);
		return;
	}
	entry->kind = OP_KIND_DELETE_ALL;
	entry->record.value = slice_string(dice_chance(dice, 500) ? "" : "{}");
}

/* Something new on the entry's document. */
static void draw_operation(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	const struct swarm *swarm = log->swarm;

	entry->stored = slice_string("");
	if (dice_chance(dice, swarm->delete_permille)) {
		entry->kind = OP_KIND_DELETE;
		return;
	}
	if (dice_chance(dice, swarm->merge_permille))
		records_patch(log, entry, dice);
	else
		records_fill(log, entry, dice, dice_chance(dice, 600));
	if (dice_chance(dice, swarm->exists_permille))
		entry->kind = entry->kind == OP_KIND_PUT ? OP_KIND_PUT_IF_EXISTS : OP_KIND_MERGE_IF_EXISTS;
}

/* As bytes. */
static void write_operation(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	if (entry->kind == OP_KIND_DELETE) {
		entry->record.value = (struct slice){0};
		records_delete(log, entry, dice);
		return;
	}
	if (!op_kind_is_barrier(entry->kind))
		records_spell(log, entry, dice);
	name_operation(log, entry, dice);
}

/* ---- what tells repeated operations ---- */

static void draw_label(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	entry->label = dice_chance(dice, 700)
	                       ? records_print(log->arena, "k%u", log->made)
	                       : records_print(log->arena, "common-%u", dice_below(dice, LABELS));
	if (dice_chance(dice, 250))
		entry->event = records_print(log->arena, "%u", dice_below(dice, LABELS));
}

static void write_label(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	if (entry->label.ptr == NULL) {
		if (dice_chance(dice, 50)) /* alone it says nothing */
			records_header(log, entry, "ce_id", slice_string("5"));
		return;
	}
	entry->identified = true;
	if (entry->event.ptr != NULL) {
		records_header(log, entry, "ce_source", entry->label);
		records_header(log, entry, "ce_id", entry->event);
	} else {
		records_header(log, entry, "idempotency-key", entry->label);
	}
	entry->identity = fold_identity(entry->record.key, entry->label,
	                                entry->event.ptr != NULL ? &entry->event : NULL);
	entry->operation = fold_operation(entry);
}

/* The next record of a source's partition, or another output of the same one. */
static void advance(struct origin *origin, struct dice *dice)
{
	if (dice_chance(dice, 350)) {
		origin->n++;
		return;
	}
	origin->n = 0;
	origin->offset += dice_between(dice, 1, 3);
}

static void import(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	struct sim_source *source = &log->sources[dice_below(dice, SOURCES)];

	if (dice_chance(dice, 80))
		source->zombie = source->now;
	if (dice_chance(dice, 40)) { /* a new life begins anywhere */
		source->now.life++;
		source->now.offset = dice_between(dice, 0, source->now.offset);
		source->now.n = 0;
	} else if (dice_chance(dice, 60)) { /* restarted where it had committed */
		source->now.offset -= dice_between(dice, 0, source->now.offset < 6 ? source->now.offset : 6);
		source->now.n = 0;
	}
	if (dice_chance(dice, 150)) {
		entry->origin = source->zombie;
		advance(&source->zombie, dice);
	} else {
		entry->origin = source->now;
		advance(&source->now, dice);
	}
	if (dice_chance(dice, 300))
		entry->label =
			records_print(log->arena, "%" PRId64 ".%u", entry->origin.offset, entry->origin.n);
}

static void write_origin(struct sim_log *log, struct log_entry *entry)
{
	const struct origin *origin = &entry->origin;

	if (origin->source.ptr == NULL)
		return;
	records_header(log, entry, "origin",
	               records_print(log->arena, "%.*s.%u/%d/%lld.%u", SLICE_ARGS(origin->source),
	                             origin->life, origin->partition, (long long)origin->offset, origin->n));
}

/* ---- records ---- */

static void make_new(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	const struct swarm *swarm = log->swarm;

	entry->document = dice_below(dice, swarm->documents);
	entry->record.key = log->ids[entry->document];
	if (dice_chance(dice, swarm->barrier_permille))
		draw_barrier(log, entry, dice);
	else
		draw_operation(log, entry, dice);
	if (dice_chance(dice, swarm->import_permille))
		import(log, entry, dice);
	if (entry->label.ptr == NULL && dice_chance(dice, swarm->identity_permille))
		draw_label(log, entry, dice);
}

/* Something that its producer may send again, soon or late; or NULL. */
static const struct log_entry *find_repeated(const struct sim_log *log, struct dice *dice)
{
	const struct timeline *timeline = &log->timeline;
	uint32_t len = (uint32_t)timeline->len;
	uint32_t near = dice_chance(dice, 600) && len > 8 ? 8 : len;

	for (int i = 0; i < TRIES && len > 0; i++) {
		const struct log_entry *entry = timeline->entries[len - 1 - dice_below(dice, near)];

		if (!entry->malformed && (entry->identified || entry->origin.source.ptr != NULL))
			return entry;
	}
	return NULL;
}

static void repeat(struct sim_log *log, struct log_entry *entry, const struct log_entry *first,
                   struct dice *dice)
{
	entry->document = first->document;
	entry->record.key = first->record.key;
	entry->record.value = first->record.value;
	entry->kind = first->kind;
	entry->rest = first->rest;
	entry->stored = first->stored;
	entry->body = first->body;
	entry->condition = first->condition;
	entry->word_number = first->word_number;
	memcpy(entry->word, first->word, sizeof entry->word);
	entry->label = first->label;
	entry->event = first->event;
	if (dice_chance(dice, 800))
		entry->origin = first->origin;
	if (op_kind_is_barrier(entry->kind) || !dice_chance(dice, log->swarm->conflict_permille))
		return;
	if (dice_chance(dice, 500)) {
		entry->document = dice_below(dice, log->swarm->documents);
		entry->record.key = log->ids[entry->document];
	}
	entry->word_number = 0;
	entry->body.len = 0;
	draw_operation(log, entry, dice);
}

void producers_make(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	const struct swarm *swarm = log->swarm;
	const struct log_entry *first =
		dice_chance(dice, swarm->repeat_permille) ? find_repeated(log, dice) : NULL;

	if (first != NULL)
		repeat(log, entry, first, dice);
	else
		make_new(log, entry, dice);
	records_stamp(log, entry, dice);
	write_operation(log, entry, dice);
	write_origin(log, entry);
	write_label(log, entry, dice);
	if (entry->kind == OP_KIND_PUT && dice_chance(dice, swarm->refuse_permille)) {
		if (dice_chance(dice, 300))
			records_spoil_more(log, entry, dice);
		else
			records_spoil(log, entry, dice);
	}
	if (log->deadly < swarm->deadly_max && dice_chance(dice, 30)) {
		entry->deadly = true;
		log->deadly++;
	}
}
