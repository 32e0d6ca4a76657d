#include "shard/core/posting_list.h"

#include "shared/base/assert.h"

#define LIST_BYTES_MAX (1U << 30)
#define WRITER_BYTES_KEPT (1024U * 1024)

/* A block as its head says it is. */
struct block {
	uint64_t first;
	uint64_t last;
	uint32_t documents;
	struct slice distances;
	struct slice places;
};

static int damaged(struct error *error, const char *what)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "a posting list %s", what);
}

static bool is_near(uint64_t base, uint64_t number)
{
	return number >= base && number - base <= POSTING_DISTANCE_MAX;
}

/* A list of one document has no heads. */
static void block_alone(const struct posting_list *list, struct reader *rest, struct block *block)
{
	block->first = list->base + reader_varint(rest);
	block->last = block->first;
	block->documents = 1;
	block->distances = slice_of(NULL, 0);
	block->places = reader_take(rest, reader_left(rest));
}

/* The block that `rest` begins with; `previous`: the last number before it, `left`: documents from it on. */
static int block_read(const struct posting_list *list, struct reader *rest, uint64_t previous, uint32_t left,
                      struct block *block)
{
	uint64_t documents;
	size_t distances;
	size_t places;

	if (list->count == 1) {
		block_alone(list, rest, block);
	} else {
		block->first = previous + reader_varint(rest);
		block->last = block->first + reader_varint(rest);
		documents = reader_varint(rest) + 1;
		distances = reader_varint(rest);
		places = reader_varint(rest);
		if (documents == 0 || documents > left || documents > POSTING_BLOCK_MAX)
			return ERROR_DAMAGED;
		block->documents = (uint32_t)documents;
		block->distances = reader_take(rest, distances);
		block->places = reader_take(rest, places);
	}
	if (reader_failed(rest) || !is_near(list->base, block->first) || !is_near(list->base, block->last) ||
	    block->last < block->first || block->last - block->first < block->documents - 1 ||
	    (block->documents == 1 && (block->last > block->first || block->distances.len > 0)) ||
	    (block->documents == left && reader_left(rest) > 0))
		return ERROR_DAMAGED;
	return 0;
}

void posting_cursor_init(struct posting_cursor *cursor, const struct posting_list *list)
{
	*cursor = (struct posting_cursor){
		.list = *list, .blocks = reader_of(list->bytes), .block_last = list->base};
}

static int cursor_block(struct posting_cursor *cursor, struct error *error)
{
	struct block block;

	/* only the first block begins at the base itself */
	if (block_read(&cursor->list, &cursor->blocks, cursor->block_last, cursor->list.count - cursor->given,
	               &block) != 0 ||
	    (cursor->given > 0 && block.first <= cursor->block_last))
		return damaged(error, "has a block that does not follow the one before");
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
		return damaged(error, "has a number beyond its block");
	cursor->number += distance + 1;
	cursor->left--;
	if (cursor->left == 0 &&
	    (cursor->number != cursor->block_last || reader_left(&cursor->distances) > 0))
		return damaged(error, "has a block that does not end where its head says");
	cursor->unread++;
	cursor->given++;
	*number = cursor->number;
	return 1;
}

/* Passes over the rest of a block that ends below. */
static void cursor_pass(struct posting_cursor *cursor, uint64_t from)
{
	if (cursor->block_last >= from)
		return;
	cursor->given += cursor->left;
	cursor->left = 0;
}

int posting_cursor_seek(struct posting_cursor *cursor, uint64_t from, uint64_t *number, struct error *error)
{
	int rc;

	cursor_pass(cursor, from);
	while ((rc = posting_cursor_next(cursor, number, error)) > 0 && *number < from)
		cursor_pass(cursor, from);
	return rc;
}

/* One field's positions; false if they are not what a writer writes. */
static bool group_read(struct reader *reader, uint16_t field, struct place *places, size_t max, size_t count)
{
	uint64_t position = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t distance = reader_varint(reader);

		position += distance;
		if (reader_failed(reader) || distance > UINT16_MAX || position > UINT16_MAX ||
		    (i > 0 && distance == 0))
			return false;
		if (i < max)
			places[i] = (struct place){field, (uint16_t)position};
	}
	return true;
}

/* The places of one document. */
static bool places_read(struct reader *reader, struct place *places, size_t max, size_t *len)
{
	uint64_t field = 0;
	size_t written = 0;
	bool more = true;

	for (*len = 0; more;) {
		uint64_t head = reader_varint(reader);
		uint64_t distance = reader_varint(reader);
		uint64_t count = (head >> 1) + 1;

		more = head & 1;
		field += distance;
		if (reader_failed(reader) || distance > UINT16_MAX || field > UINT16_MAX ||
		    (*len > 0 && distance == 0) || count > (uint64_t)UINT16_MAX + 1)
			return false;
		if (!group_read(reader, (uint16_t)field, max > 0 ? places + written : NULL, max - written,
		                (size_t)count))
			return false;
		*len += (size_t)count;
		written = *len < max ? *len : max;
	}
	return true;
}

int posting_cursor_places(struct posting_cursor *cursor, struct place *places, size_t max, size_t *len,
                          struct error *error)
{
	size_t found = 0;

	ASSERT(cursor->unread > 0);
	for (; cursor->unread > 1; cursor->unread--)
		if (!places_read(&cursor->places, places, 0, &found))
			return damaged(error, "has places that are none");
	if (!places_read(&cursor->places, places, max, &found) ||
	    (cursor->left == 0 && reader_left(&cursor->places) > 0))
		return damaged(error, "has places that are none");
	cursor->unread = 0;
	*len = found;
	return 0;
}

int posting_list_numbers(const struct posting_list *list, struct postings *set, struct error *error)
{
	uint32_t distances[POSTING_BLOCK_MAX];
	struct posting_cursor cursor;
	uint64_t number;
	size_t len = 0;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		distances[len++] = (uint32_t)(number - list->base);
		if (len < POSTING_BLOCK_MAX)
			continue;
		postings_add_rising(set, list->base, distances, len);
		len = 0;
	}
	postings_add_rising(set, list->base, distances, len);
	return rc;
}

int posting_list_rebase(const struct posting_list *list, uint64_t base, struct buffer *bytes,
                        struct error *error)
{
	struct reader reader = reader_of(list->bytes);
	uint64_t first = list->base + reader_varint(&reader);

	if (reader_failed(&reader) || !is_near(base, first))
		return damaged(error, "begins below its base");
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

static void writer_add_block(struct posting_writer *writer, const struct block *block)
{
	writer_reach(writer, block->first, block->documents);
	buffer_append_slice(&writer->distances, block->distances);
	buffer_append_slice(&writer->places, block->places);
	writer->last = block->last;
}

/* True if one of the block's documents may be dead. */
static bool has_dead(const struct postings *dead, const struct block *block)
{
	uint64_t number;

	if (dead == NULL || dead->len == 0)
		return false;
	if (block->documents == 1)
		return postings_contains(dead, block->first);
	return postings_next(dead, block->first, &number) && number <= block->last;
}

/* Those of a block's documents that live, their places as they stand. */
static bool writer_add_living(struct posting_writer *writer, const struct block *block,
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
	struct block block;

	for (; left > 0; left -= block.documents) {
		if (block_read(list, &rest, previous, left, &block) != 0 ||
		    !is_near(writer->base, block.first) || !is_near(writer->base, block.last) ||
		    (writer->count > 0 && block.first <= writer->last) ||
		    (left < list->count && block.first <= previous))
			return damaged(error, "has a block that does not follow the one before");
		if (!has_dead(dead, &block))
			writer_add_block(writer, &block);
		else if (!writer_add_living(writer, &block, dead))
			return damaged(error, "has a block that is not as its head says");
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
	*list = (struct posting_list){writer->base, writer->count, buffer_slice(&writer->list)};
	return 0;
}
