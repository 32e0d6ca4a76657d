/* The numbers of a list, and what is known of its blocks. */
#include "shard/core/posting_blocks.h"

#include "shard/core/posting_list_private.h"

#include <stdlib.h>

#define NUMBERS_ADDED 4096 /* at once */
#define STOPS_FIRST 16

/* ---- numbers ---- */

/* Of one block, as distances from the base; false if they are not what its head says. */
static bool block_numbers(const struct posting_span *block, uint64_t base, uint32_t *numbers)
{
	struct reader reader = reader_of(block->distances); /* kept in registers */
	uint64_t number = block->first;

	numbers[0] = (uint32_t)(number - base);
	for (uint32_t i = 1; i < block->documents; i++) {
		uint64_t distance = reader_varint(&reader);

		if (distance >= block->last - number)
			return false;
		number += distance + 1;
		numbers[i] = (uint32_t)(number - base);
	}
	return !reader_failed(&reader) && reader_left(&reader) == 0 && number == block->last;
}

/* Room for `size` numbers, at least those of one block. */
static int numbers_add(const struct posting_list *list, uint32_t *numbers, size_t size, struct postings *set,
                       struct error *error)
{
	struct reader blocks = reader_of(list->bytes);
	uint64_t last = list->base;
	size_t len = 0;
	struct posting_span block;

	for (uint32_t read = 0; read < list->count; read += block.documents) {
		if (posting_span_read(list, &blocks, last, list->count - read, &block) != 0 ||
		    (read > 0 && block.first <= last) || !block_numbers(&block, list->base, numbers + len))
			return posting_damaged(error, "has a block that is none");
		last = block.last;
		len += block.documents;
		if (len <= size - POSTING_BLOCK_MAX)
			continue;
		postings_add_rising(set, list->base, numbers, len);
		len = 0;
	}
	postings_add_rising(set, list->base, numbers, len);
	return 0;
}

static int many_add(const struct posting_list *list, struct postings *set, struct error *error)
{
	uint32_t numbers[NUMBERS_ADDED];

	return numbers_add(list, numbers, NUMBERS_ADDED, set, error);
}

/* Most lists are short, and room for many numbers costs more than they do. */
int posting_list_numbers(const struct posting_list *list, struct postings *set, struct error *error)
{
	uint32_t numbers[POSTING_BLOCK_MAX];

	if (list->blocks != NULL) {
		postings_or(set, list->blocks->numbers);
		return 0;
	}
	if (list->count > POSTING_BLOCK_MAX)
		return many_add(list, set, error);
	return numbers_add(list, numbers, POSTING_BLOCK_MAX, set, error);
}

/* ---- stops ---- */

/* Room for one more. */
static void *grown(void *ptr, size_t len, size_t *size, size_t each, struct error *error)
{
	size_t more = *size == 0 ? STOPS_FIRST : 2 * *size;
	void *larger;

	if (len < *size)
		return ptr;
	larger = realloc(ptr, more * each);
	if (larger == NULL)
		(void)error_memory(error, more * each);
	else
		*size = more;
	return larger;
}

int posting_stops_add(struct posting_stops *stops, const struct posting_stop *stop, struct error *error)
{
	struct posting_stop *ptr = grown(stops->ptr, stops->len, &stops->size, sizeof *ptr, error);

	if (ptr == NULL)
		return error->code;
	stops->ptr = ptr;
	stops->ptr[stops->len] = *stop;
	stops->ptr[stops->len++].mark = (uint32_t)stops->marks_len;
	return 0;
}

static int mark_add(struct posting_stops *stops, const struct posting_mark *mark, struct error *error)
{
	struct posting_mark *marks =
		grown(stops->marks, stops->marks_len, &stops->marks_size, sizeof *marks, error);

	if (marks == NULL)
		return error->code;
	stops->marks = marks;
	stops->marks[stops->marks_len++] = *mark;
	return 0;
}

/* The cursor, which has not passed the places of the document at hand, may stand at a mark. Those before one that is
 * not so near to the block's end as it can say are left out. */
static int cursor_mark(struct posting_stops *stops, struct posting_cursor *cursor, struct error *error)
{
	size_t distances = reader_left(&cursor->distances);
	size_t places = reader_left(&cursor->places);
	struct posting_mark mark = {(uint32_t)(cursor->number - cursor->list.base), (uint16_t)distances,
	                            (uint16_t)places};
	size_t len;

	if (cursor->left % POSTING_MARK_DOCUMENTS == 1) /* the next one's places are to follow */
		return posting_cursor_places(cursor, NULL, 0, &len, error);
	if (cursor->left == 0 || cursor->left % POSTING_MARK_DOCUMENTS != 0 || distances > UINT16_MAX ||
	    places > UINT16_MAX)
		return 0;
	return mark_add(stops, &mark, error);
}

/* Gives back the room that is not used. */
static void stops_trim(struct posting_stops *stops)
{
	struct posting_stop *ptr = realloc(stops->ptr, stops->len * sizeof *ptr);
	struct posting_mark *marks = NULL;

	if (stops->marks_len > 0)
		marks = realloc(stops->marks, stops->marks_len * sizeof *marks);
	if (ptr != NULL) {
		stops->ptr = ptr;
		stops->size = stops->len;
	}
	if (marks != NULL) {
		stops->marks = marks;
		stops->marks_size = stops->marks_len;
	}
}

int posting_stops_make(const struct posting_list *list, struct posting_stops *stops, struct error *error)
{
	struct posting_cursor cursor;
	uint64_t number;

	posting_cursor_init(&cursor, list);
	while (cursor.given < list->count) {
		struct posting_stop stop = {.at = (uint32_t)(cursor.blocks.ptr - list->bytes.ptr),
		                            .last = (uint32_t)(cursor.block_last - list->base),
		                            .left = list->count - cursor.given};

		if (cursor.left == 0 && posting_stops_add(stops, &stop, error) != 0)
			return error->code;
		if (posting_cursor_next(&cursor, &number, error) < 0 ||
		    cursor_mark(stops, &cursor, error) != 0)
			return error->code;
	}
	stops_trim(stops);
	return 0;
}

void posting_stops_deinit(struct posting_stops *stops)
{
	free(stops->ptr);
	free(stops->marks);
	*stops = (struct posting_stops){0};
}

size_t posting_stops_bytes(const struct posting_stops *stops)
{
	return stops->size * sizeof *stops->ptr + stops->marks_size * sizeof *stops->marks;
}

/* In steps that double, then by halves. */
size_t posting_stops_seek(const struct posting_stops *stops, size_t from, uint64_t distance)
{
	size_t low = from; /* it is below, or the first that may be given */
	size_t step = 1;
	size_t high;

	while (step < stops->len - low && stops->ptr[low + step].last < distance) {
		low += step;
		step *= 2;
	}
	high = step < stops->len - low ? low + step : stops->len;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (stops->ptr[middle].last < distance)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void posting_marks_seek(struct posting_cursor *cursor, uint64_t from)
{
	const struct posting_stops *stops = cursor->list.blocks->stops;
	size_t begin = stops->ptr[cursor->stop - 1].mark;
	size_t end = cursor->stop < stops->len ? stops->ptr[cursor->stop].mark : stops->marks_len;
	size_t ahead = (cursor->left - 1) / POSTING_MARK_DOCUMENTS;
	uint64_t distance = from - cursor->list.base;
	const struct posting_mark *mark;
	size_t at = ahead < end - begin ? end - ahead : begin;

	if (at == end || stops->marks[at].number > distance)
		return;
	while (at + 1 < end && stops->marks[at + 1].number <= distance)
		at++;
	mark = &stops->marks[at];
	if (mark->distances > reader_left(&cursor->distances) || mark->places > reader_left(&cursor->places))
		return;
	cursor->distances.ptr = cursor->distances.end - mark->distances;
	cursor->places.ptr = cursor->places.end - mark->places;
	cursor->number = cursor->list.base + mark->number;
	cursor->given += cursor->left;
	cursor->left = (uint32_t)(end - at) * POSTING_MARK_DOCUMENTS;
	cursor->given -= cursor->left;
	cursor->unread = 1;
}
