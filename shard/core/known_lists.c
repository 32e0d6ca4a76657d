#include "shard/core/known_lists.h"

#include "shard/core/known_firsts.h"
#include "shared/base/assert.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SLOTS_FIRST 64

struct slot {
	size_t place;
	_Atomic(struct known_list *) known; /* NULL: not yet asked for */
};

struct known_lists {
	struct slot *slots; /* by rising place */
	size_t len;
	size_t size;
	uint64_t lists_bytes;
	atomic_size_t bytes; /* kept */
};

struct known_lists *known_lists_new(void)
{
	struct known_lists *lists = calloc(1, sizeof *lists);

	if (lists != NULL)
		atomic_init(&lists->bytes, 0);
	return lists;
}

static void wholes_free(struct postings *wholes)
{
	if (wholes != NULL)
		postings_deinit(wholes);
	free(wholes);
}

static void known_free(struct known_list *known)
{
	if (known == NULL)
		return;
	wholes_free(atomic_load_explicit(&known->wholes, memory_order_acquire));
	posting_stops_deinit(&known->stops);
	postings_deinit(&known->numbers);
	free(known->firsts);
	free(known);
}

void known_lists_free(struct known_lists *lists)
{
	if (lists == NULL)
		return;
	for (size_t i = 0; i < lists->len; i++)
		known_free(atomic_load_explicit(&lists->slots[i].known, memory_order_acquire));
	free(lists->slots);
	free(lists);
}

size_t known_lists_bytes(const struct known_lists *lists)
{
	return sizeof *lists + lists->size * sizeof *lists->slots +
	       atomic_load_explicit(&lists->bytes, memory_order_relaxed);
}

static bool is_long(const struct term *term)
{
	return term->list.ptr == NULL && term->documents >= KNOWN_DOCUMENTS_MIN;
}

int known_lists_allow(struct known_lists *lists, size_t place, const struct term *term, struct error *error)
{
	ASSERT(lists->len == 0 || lists->slots[lists->len - 1].place < place);
	lists->lists_bytes += term->bytes;
	if (!is_long(term))
		return 0;
	if (lists->len == lists->size) {
		size_t size = lists->size == 0 ? SLOTS_FIRST : 2 * lists->size;
		struct slot *slots = realloc(lists->slots, size * sizeof *slots);

		if (slots == NULL)
			return error_memory(error, size * sizeof *slots);
		lists->slots = slots;
		lists->size = size;
	}
	lists->slots[lists->len].place = place;
	atomic_init(&lists->slots[lists->len].known, NULL);
	lists->len++;
	return 0;
}

/* NULL: its list is not to be kept. */
static struct slot *slot_find(const struct known_lists *lists, size_t place)
{
	size_t low = 0;
	size_t high = lists->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lists->slots[middle].place < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low < lists->len && lists->slots[low].place == place ? &lists->slots[low] : NULL;
}

struct known_list *known_lists_find(const struct known_lists *lists, size_t place)
{
	struct slot *slot = slot_find(lists, place);

	return slot == NULL ? NULL : atomic_load_explicit(&slot->known, memory_order_acquire);
}

static bool has_room(const struct known_lists *lists)
{
	size_t bytes = atomic_load_explicit(&lists->bytes, memory_order_relaxed);

	return bytes < KNOWN_BYTES_MAX && bytes < lists->lists_bytes / KNOWN_LISTS_SHARE;
}

static void bytes_add(struct known_lists *lists, size_t bytes)
{
	atomic_fetch_add_explicit(&lists->bytes, bytes, memory_order_relaxed);
}

static struct known_list *known_make(struct known_lists *lists, const struct term *term,
                                     const struct posting_list *list)
{
	struct known_list *known = calloc(1, sizeof *known);
	struct error error;

	if (known == NULL)
		return NULL;
	known->term = *term;
	known->term.word = slice_of(NULL, 0);
	known->base = list->base;
	known->lists = lists;
	atomic_init(&known->wholes, NULL);
	postings_init(&known->numbers);
	if (posting_list_numbers(list, &known->numbers, &error) == 0 &&
	    posting_stops_make(list, &known->stops, &error) == 0 &&
	    known_firsts_make(list, &known->firsts, &error) == 0)
		return known;
	known_free(known);
	return NULL;
}

/* What one thread keeps beyond the room for it is one list. */
struct known_list *known_lists_keep(struct known_lists *lists, size_t place, const struct term *term,
                                    const struct posting_list *list)
{
	struct known_list *found = NULL;
	struct known_list *made;
	struct slot *slot;

	if (!is_long(term) || !has_room(lists))
		return NULL;
	slot = slot_find(lists, place);
	if (slot == NULL)
		return NULL;
	made = known_make(lists, term, list);
	if (made == NULL)
		return NULL;
	if (!atomic_compare_exchange_strong(&slot->known, &found, made)) {
		known_free(made); /* another thread was first */
		return found;
	}
	bytes_add(lists, sizeof *made + postings_bytes(&made->numbers) + posting_stops_bytes(&made->stops) +
	                         made->term.documents);
	return made;
}

/* ---- reading ---- */

struct known_blocks {
	struct posting_blocks blocks;
	struct known_list *known;
	struct section_reader *reader;
	struct known_room room;
};

static int block_read(struct posting_blocks *blocks, size_t i, struct slice *bytes, struct error *error)
{
	const struct known_blocks *from = (const struct known_blocks *)blocks;
	const struct posting_stops *stops = blocks->stops;
	const struct term *term = &from->known->term;
	uint64_t at = stops->ptr[i].at;
	uint64_t end = i + 1 < stops->len ? stops->ptr[i + 1].at : term->bytes;
	struct slice found;

	if (section_read(from->reader, (struct span){SECTION_POSTINGS, term->at + at, (size_t)(end - at)},
	                 from->room.joined, &found, error) != 0)
		return error->code;
	if (found.ptr == from->room.joined->ptr && !arena_copy(from->room.arena, found, &found))
		return error_memory(error, found.len);
	*bytes = found;
	return 0;
}

int known_list_open(struct known_list *known, struct section_reader *reader, struct known_room room,
                    struct posting_list *list, struct error *error)
{
	struct known_blocks *blocks = arena_alloc(room.arena, sizeof *blocks);

	if (blocks == NULL)
		return error_memory(error, sizeof *blocks);
	*blocks = (struct known_blocks){.blocks = {&known->stops, &known->numbers, known->firsts, block_read},
	                                .known = known,
	                                .reader = reader,
	                                .room = room};
	*list = (struct posting_list){known->base, known->term.documents, slice_of(NULL, 0), &blocks->blocks};
	return 0;
}

/* ---- fields that are the word ---- */

/* Of a list that was opened. */
static struct known_list *known_of(const struct posting_list *list)
{
	return ((struct known_blocks *)list->blocks)->known;
}

const struct postings *known_list_wholes(const struct posting_list *list)
{
	return atomic_load_explicit(&known_of(list)->wholes, memory_order_acquire);
}

const struct postings *known_list_wholes_keep(const struct posting_list *list, struct postings *wholes)
{
	struct known_list *known = known_of(list);
	struct postings *found = NULL;
	struct postings *kept;

	if (!has_room(known->lists))
		return NULL;
	kept = malloc(sizeof *kept);
	if (kept == NULL)
		return NULL;
	*kept = *wholes;
	postings_init(wholes);
	if (!atomic_compare_exchange_strong(&known->wholes, &found, kept)) {
		wholes_free(kept); /* another thread was first */
		return found;
	}
	bytes_add(known->lists, sizeof *kept + postings_bytes(kept));
	return kept;
}
