#include "shard/core/posting_blocks.h"
#include "shard/core/posting_list_private.h"
#include "shard/core/varints.h"
#include "shared/base/assert.h"

#define LIST_BYTES_MAX (1U << 30)
#define WRITER_BYTES_KEPT (1024U * 1024)

int posting_damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a posting list %s", what);
}

static bool is_near(uint64_t base, uint64_t number)
{
	return number >= base && number - base <= POSTING_DISTANCE_MAX;
}

/* A list of one document has no heads. */
static void block_alone(const struct posting_list *list, struct reader *rest, struct posting_span *block)
{
	block->first = list->base + reader_varint(rest);
	block->last = block->first;
	block->documents = 1;
	block->distances = slice_of(NULL, 0);
	block->places = reader_take(rest, reader_left(rest));
}

int posting_block_read(const struct posting_list *list, struct reader *rest, uint64_t previous, uint32_t left,
                       struct posting_block *block)
{
	uint64_t documents;

	block->first = previous + reader_varint(rest);
	block->last = block->first + reader_varint(rest);
	documents = reader_varint(rest) + 1;
	block->distances = reader_varint(rest);
	block->places = reader_varint(rest);
	if (reader_failed(rest) || documents == 0 || documents > left || documents > POSTING_BLOCK_MAX ||
	    !is_near(list->base, block->first) || !is_near(list->base, block->last) ||
	    block->last < block->first || block->last - block->first < documents - 1 ||
	    (documents == 1 && (block->last > block->first || block->distances > 0)))
		return ERROR_DAMAGED;
	block->documents = (uint32_t)documents;
	return 0;
}

int posting_span_read(const struct posting_list *list, struct reader *rest, uint64_t previous, uint32_t left,
                      struct posting_span *block)
{
	struct posting_block head;

	if (list->count == 1) {
		block_alone(list, rest, block);
		return reader_failed(rest) || !is_near(list->base, block->first) ? ERROR_DAMAGED : 0;
	}
	if (posting_block_read(list, rest, previous, left, &head) != 0)
		return ERROR_DAMAGED;
	block->first = head.first;
	block->last = head.last;
	block->documents = head.documents;
	block->distances = reader_take(rest, head.distances);
	block->places = reader_take(rest, head.places);
	return reader_failed(rest) || (block->documents == left && reader_left(rest) > 0) ? ERROR_DAMAGED : 0;
}

void posting_cursor_block(struct posting_cursor *cursor, const struct posting_list *list,
                          const struct posting_block *block, struct slice bytes)
{
	struct reader reader = reader_of(bytes);

	*cursor = (struct posting_cursor){.list = {list->base, block->documents, bytes, NULL},
	                                  .number = block->first,
	                                  .block_last = block->last,
	                                  .left = block->documents - 1,
	                                  .unread = 1,
	                                  .given = 1};
	cursor->distances = reader_of(reader_take(&reader, block->distances));
	cursor->places = reader_of(reader_take(&reader, block->places));
}

void posting_cursor_init(struct posting_cursor *cursor, const struct posting_list *list)
{
	*cursor = (struct posting_cursor){
		.list = *list, .blocks = reader_of(list->bytes), .block_last = list->base};
}

/* The bytes of the next block, where they are to be read. */
static int cursor_load(struct posting_cursor *cursor, struct error *error)
{
	struct posting_blocks *blocks = cursor->list.blocks;
	struct slice bytes;

	if (blocks->read(blocks, cursor->stop, &bytes, error) != 0)
		return error->code;
	cursor->blocks = reader_of(bytes);
	cursor->stop++;
	return 0;
}

static int cursor_block(struct posting_cursor *cursor, struct error *error)
{
	struct posting_span block;

	if (cursor->list.blocks != NULL && cursor_load(cursor, error) != 0)
		return error->code;
	/* only the first block begins at the base itself */
	if (posting_span_read(&cursor->list, &cursor->blocks, cursor->block_last,
	                      cursor->list.count - cursor->given, &block) != 0 ||
	    (cursor->given > 0 && block.first <= cursor->block_last))
		return posting_damaged(error, "has a block that does not follow the one before");
	cursor->number = block.first;
	cursor->block_last = block.last;
	cursor->distances = reader_of(block.distances);
	cursor->places = reader_of(block.places);
	cursor->left = block.documents - 1;
	cursor->unread = 1;
	cursor->given++;
	return 1;
}

int posting_cursor_next(struct posting_cursor *cursor, uint64_t *number, struct error *error)
{
	uint64_t distance;

	if (cursor->left == 0) {
		if (cursor->given == cursor->list.count)
			return 0;
		if (cursor_block(cursor, error) < 0)
			return error->code;
		*number = cursor->number;
		return 1;
	}
	distance = reader_varint(&cursor->distances);
	if (reader_failed(&cursor->distances) || distance >= cursor->block_last - cursor->number)
		return posting_damaged(error, "has a number beyond its block");
	cursor->number += distance + 1;
	cursor->left--;
	if (cursor->left == 0 &&
	    (cursor->number != cursor->block_last || reader_left(&cursor->distances) > 0))
		return posting_damaged(error, "has a block that does not end where its head says");
	cursor->unread++;
	cursor->given++;
	*number = cursor->number;
	return 1;
}

/* Passes over the rest of a block that ends below, and over all that are known to. */
static void cursor_pass(struct posting_cursor *cursor, uint64_t from)
{
	const struct posting_stops *stops;

	if (cursor->block_last >= from)
		return;
	cursor->given += cursor->left;
	cursor->left = 0;
	if (cursor->list.blocks == NULL || cursor->given == cursor->list.count)
		return;
	stops = cursor->list.blocks->stops;
	cursor->stop = posting_stops_seek(stops, cursor->stop, from - cursor->list.base);
	cursor->block_last = cursor->list.base + stops->ptr[cursor->stop].last;
	cursor->given = cursor->list.count - stops->ptr[cursor->stop].left;
}

/* Goes on in the block, which does not end below `from`, to the first number at or above it. */
static int block_seek(struct posting_cursor *cursor, uint64_t from, struct error *error)
{
	struct reader reader; /* kept in registers */
	uint64_t number;
	uint32_t left;
	uint32_t passed;

	if (cursor->list.blocks != NULL && cursor->number < from && cursor->left > POSTING_MARK_DOCUMENTS)
		posting_marks_seek(cursor, from);
	reader = cursor->distances;
	number = cursor->number;
	left = cursor->left;
	while (number < from && left > 0) {
		uint64_t distance = reader_varint(&reader);

		if (distance >= cursor->block_last - number)
			return posting_damaged(error, "has a number beyond its block");
		number += distance + 1;
		left--;
	}
	if (reader_failed(&reader) ||
	    (left == 0 && (number != cursor->block_last || reader_left(&reader) > 0)))
		return posting_damaged(error, "has a block that does not end where its head says");
	passed = cursor->left - left;
	cursor->distances = reader;
	cursor->number = number;
	cursor->left = left;
	cursor->unread += passed;
	cursor->given += passed;
	return 0;
}

int posting_cursor_seek(struct posting_cursor *cursor, uint64_t from, uint64_t *number, struct error *error)
{
	int rc;

	cursor_pass(cursor, from);
	rc = posting_cursor_next(cursor, number, error);
	while (rc > 0 && cursor->block_last < from) {
		cursor_pass(cursor, from);
		rc = posting_cursor_next(cursor, number, error);
	}
	if (rc <= 0)
		return rc;
	if (block_seek(cursor, from, error) != 0)
		return error->code;
	*number = cursor->number;
	return 1;
}

/* One field's positions; false if they are not what a writer writes. */
static inline bool group_read(struct reader *reader, uint16_t field, struct place *places, size_t max,
                              size_t count)
{
	uint64_t position = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t distance = reader_varint(reader);

		position += distance;
		if (distance > UINT16_MAX || position > UINT16_MAX || (i > 0 && distance == 0))
			return false;
		if (i < max)
			places[i] = (struct place){field, (uint16_t)position};
		if (distance == 0 && reader_failed(reader))
			return false;
	}
	return true;
}

/* A field in which a document has the word. */
struct group {
	uint16_t field;
	size_t count; /* of positions */
	bool more;    /* another group follows */
};

/* `*group` is the one before, or, of `first`, all zero. */
static inline bool group_next(struct reader *reader, bool first, struct group *group)
{
	uint64_t head = reader_varint(reader);
	uint64_t distance = reader_varint(reader);
	uint64_t count = (head >> 1) + 1;

	if (reader_failed(reader) || distance > UINT16_MAX || group->field + distance > UINT16_MAX ||
	    (!first && distance == 0) || count > (uint64_t)UINT16_MAX + 1)
		return false;
	*group = (struct group){(uint16_t)(group->field + distance), (size_t)count, head & 1};
	return true;
}

/* A field in which the word stands once, as mostly: its place. */
static inline bool place_read(struct reader *reader, bool first, struct group *group, struct place *place)
{
	const uint8_t *ptr = reader->ptr;
	uint32_t is_long;

	if (reader->end - ptr < 4 || ptr[0] > 1 || ptr[1] > 0x7F || (!first && ptr[1] == 0) ||
	    group->field + ptr[1] > UINT16_MAX || (ptr[2] > 0x7F && (ptr[3] > 0x7F || ptr[3] == 0)))
		return false;
	is_long = ptr[2] >> 7;
	*group = (struct group){(uint16_t)(group->field + ptr[1]), 1, ptr[0]};
	*place = (struct place){group->field, (uint16_t)((ptr[2] & 0x7F) | (ptr[3] & (0U - is_long)) << 7)};
	reader->ptr = ptr + 3 + is_long;
	return true;
}

/* The places of one document. */
static bool places_read(struct reader *from, struct place *places, size_t max, size_t *len)
{
	struct reader reader = *from; /* kept in registers */
	struct group group = {0};
	size_t written = 0;

	*len = 0;
	do {
		if (written == max || !place_read(&reader, *len == 0, &group, &places[written])) {
			if (!group_next(&reader, *len == 0, &group) ||
			    !group_read(&reader, group.field, max > 0 ? places + written : NULL,
			                max - written, group.count))
				return false;
		}
		*len += group.count;
		written = *len < max ? *len : max;
	} while (group.more);
	*from = reader;
	return true;
}

/* Passes over the places of so many documents; their values are not looked at. */
static bool places_pass(struct reader *from, uint32_t documents)
{
	struct reader reader = *from;

	while (documents > 0) {
		uint64_t head = reader_varint(&reader);
		const uint8_t *ptr = reader.ptr;

		/* the field, and each position: mostly one, and below 16,384 */
		if (head < 2 && reader.end - ptr > 2 && ptr[0] < 0x80 && (ptr[1] < 0x80 || ptr[2] < 0x80))
			reader.ptr = ptr + 2 + (ptr[1] >> 7);
		else
			reader.ptr = varints_pass(ptr, reader.end, (head >> 1) + 2);
		if (reader_failed(&reader) || reader.ptr == NULL)
			return false;
		documents -= (head & 1) == 0;
	}
	*from = reader;
	return true;
}

int posting_cursor_places_back(struct posting_cursor *cursor, uint32_t back, struct places_room room,
                               size_t *len, struct error *error)
{
	size_t found = 0;

	ASSERT(cursor->unread > back);
	if (!places_pass(&cursor->places, cursor->unread - back - 1) ||
	    !places_read(&cursor->places, room.places, room.max, &found) ||
	    (back == 0 && cursor->left == 0 && reader_left(&cursor->places) > 0))
		return posting_damaged(error, "has places that are none");
	cursor->unread = back;
	*len = found;
	return 0;
}

int posting_list_rebase(const struct posting_list *list, uint64_t base, struct buffer *bytes,
                        struct error *error)
{
	struct reader reader = reader_of(list->bytes);
	uint64_t first = list->base + reader_varint(&reader);

	if (reader_failed(&reader) || !is_near(base, first))
		return posting_damaged(error, "begins below its base");
	buffer_put_varint(bytes, first - base);
	buffer_append(bytes, reader.ptr, reader_left(&reader));
	return 0;
}

/* The places of one document. */
static void places_put(struct buffer *bytes, const struct place *places, size_t len)
{
	uint16_t field = 0;

	for (size_t from = 0; from < len;) {
		uint16_t position = 0;
		size_t to = from + 1;

		while (to < len && places[to].field == places[from].field)
			to++;
		buffer_put_varint(bytes, (to - from - 1) << 1 | (to < len));
		buffer_put_varint(bytes, (uint64_t)(places[from].field - field));
		field = places[from].field;
		for (; from < to; from++) {
			buffer_put_varint(bytes, (uint64_t)(places[from].position - position));
			position = places[from].position;
		}
	}
}

void posting_list_encode_one(struct buffer *bytes, uint64_t distance, const struct place *places, size_t len)
{
	ASSERT(len >= 1 && distance <= POSTING_DISTANCE_MAX);
	buffer_put_varint(bytes, distance);
	places_put(bytes, places, len);
}

void posting_writer_init(struct posting_writer *writer)
{
	*writer = (struct posting_writer){0};
	buffer_init(&writer->list, LIST_BYTES_MAX);
	buffer_init(&writer->distances, LIST_BYTES_MAX);
	buffer_init(&writer->places, LIST_BYTES_MAX);
}

void posting_writer_deinit(struct posting_writer *writer)
{
	buffer_deinit(&writer->list);
	buffer_deinit(&writer->distances);
	buffer_deinit(&writer->places);
}

void posting_writer_begin(struct posting_writer *writer, uint64_t base)
{
	if (writer->list.size + writer->places.size > WRITER_BYTES_KEPT)
		posting_writer_deinit(writer);
	buffer_clear(&writer->list);
	buffer_clear(&writer->distances);
	buffer_clear(&writer->places);
	writer->base = base;
	writer->block_base = base;
	writer->in_block = 0;
	writer->count = 0;
}

static void writer_end_block(struct posting_writer *writer)
{
	buffer_put_varint(&writer->list, writer->first - writer->block_base);
	buffer_put_varint(&writer->list, writer->last - writer->first);
	buffer_put_varint(&writer->list, writer->in_block - 1);
	buffer_put_varint(&writer->list, writer->distances.len);
	buffer_put_varint(&writer->list, writer->places.len);
	buffer_append_slice(&writer->list, buffer_slice(&writer->distances));
	buffer_append_slice(&writer->list, buffer_slice(&writer->places));
	if (buffer_failed(&writer->distances) || buffer_failed(&writer->places))
		writer->list.failed = true;
	buffer_clear(&writer->distances);
	buffer_clear(&writer->places);
	writer->block_base = writer->last;
	writer->in_block = 0;
}

/* `count` documents from `number` follow in the block. */
static void writer_reach(struct posting_writer *writer, uint64_t number, uint32_t count)
{
	if (writer->in_block + count > POSTING_BLOCK_MAX)
		writer_end_block(writer);
	if (writer->in_block == 0)
		writer->first = number;
	else
		buffer_put_varint(&writer->distances, number - writer->last - 1);
	writer->in_block += count;
	writer->count += count;
}

void posting_writer_add(struct posting_writer *writer, uint64_t number, const struct place *places,
                        size_t len)
{
	ASSERT(len >= 1 && is_near(writer->base, number) && (writer->count == 0 || number > writer->last));
	writer_reach(writer, number, 1);
	writer->last = number;
	places_put(&writer->places, places, len);
}

static void writer_add_block(struct posting_writer *writer, const struct posting_span *block)
{
	writer_reach(writer, block->first, block->documents);
	buffer_append_slice(&writer->distances, block->distances);
	buffer_append_slice(&writer->places, block->places);
	writer->last = block->last;
}

/* True if one of the block's documents may be dead. */
static bool has_dead(const struct postings *dead, const struct posting_span *block)
{
	uint64_t number;

	if (dead == NULL || dead->len == 0)
		return false;
	if (block->documents == 1)
		return postings_contains(dead, block->first);
	return postings_next(dead, block->first, &number) && number <= block->last;
}

/* Those of a block's documents that live, their places as they stand. */
static bool writer_add_living(struct posting_writer *writer, const struct posting_span *block,
                              const struct postings *dead)
{
	struct reader distances = reader_of(block->distances);
	struct reader places = reader_of(block->places);
	uint64_t number = block->first;

	for (uint32_t i = 0; i < block->documents; i++) {
		const uint8_t *from = places.ptr;
		size_t len;

		if (i > 0) {
			uint64_t distance = reader_varint(&distances);

			if (reader_failed(&distances) || distance >= block->last - number)
				return false;
			number += distance + 1;
		}
		if (!places_read(&places, NULL, 0, &len))
			return false;
		if (postings_contains(dead, number))
			continue;
		writer_reach(writer, number, 1);
		buffer_append(&writer->places, from, (size_t)(places.ptr - from));
		writer->last = number;
	}
	return number == block->last && reader_left(&distances) == 0 && reader_left(&places) == 0;
}

int posting_writer_append(struct posting_writer *writer, const struct posting_list *list,
                          const struct postings *dead, struct error *error)
{
	struct reader rest = reader_of(list->bytes);
	uint64_t previous = list->base;
	uint32_t left = list->count;
	struct posting_span block;

	for (; left > 0; left -= block.documents) {
		if (posting_span_read(list, &rest, previous, left, &block) != 0 ||
		    !is_near(writer->base, block.first) || !is_near(writer->base, block.last) ||
		    (writer->count > 0 && block.first <= writer->last) ||
		    (left < list->count && block.first <= previous))
			return posting_damaged(error, "has a block that does not follow the one before");
		if (!has_dead(dead, &block))
			writer_add_block(writer, &block);
		else if (!writer_add_living(writer, &block, dead))
			return posting_damaged(error, "has a block that is not as its head says");
		previous = block.last;
	}
	return 0;
}

int posting_writer_end(struct posting_writer *writer, struct posting_list *list, struct error *error)
{
	if (writer->count == 1) {
		/* the only document is in a block of its own: no block was ended */
		buffer_put_varint(&writer->list, writer->first - writer->base);
		buffer_append_slice(&writer->list, buffer_slice(&writer->places));
		if (buffer_failed(&writer->places))
			writer->list.failed = true;
	} else if (writer->in_block > 0) {
		writer_end_block(writer);
	}
	if (buffer_failed(&writer->list))
		return error_memory(error, writer->list.len);
	*list = (struct posting_list){writer->base, writer->count, buffer_slice(&writer->list), NULL};
	return 0;
}
