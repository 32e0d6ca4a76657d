/* A list of a word, block by block where it stands: heads are read, and only the blocks that are wanted. */
#include "shard/core/terms.h"

/* A block's bytes, which a writer keeps far below it. */
#define BLOCK_BYTES_MAX (64U << 20)

static int damaged(struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "a posting list has a block that does not follow the one before");
}

bool terms_blocks_open(struct terms_blocks *blocks, struct section_reader *reader, const struct term *term,
                       uint64_t base)
{
	if (term->list.ptr != NULL || term->documents == 1)
		return false;
	*blocks = (struct terms_blocks){.reader = reader,
	                                .list = {base, term->documents, {NULL, 0}, NULL},
	                                .begin = term->at,
	                                .from = term->at,
	                                .end = term->at + term->bytes,
	                                .last = base,
	                                .left = term->documents};
	buffer_init(&blocks->joined, BLOCK_BYTES_MAX);
	return true;
}

void terms_blocks_close(struct terms_blocks *blocks)
{
	buffer_deinit(&blocks->joined);
}

static int head_read(struct terms_blocks *blocks, struct posting_block *block, struct error *error)
{
	uint64_t len = blocks->end - blocks->from;
	struct reader reader;
	struct slice bytes;

	if (len > POSTING_HEAD_BYTES_MAX)
		len = POSTING_HEAD_BYTES_MAX;
	if (section_read(blocks->reader, (struct span){SECTION_POSTINGS, blocks->from, (size_t)len},
	                 &blocks->joined, &bytes, error) != 0)
		return error->code;
	reader = reader_of(bytes);
	if (posting_block_read(&blocks->list, &reader, blocks->last, blocks->left, block) != 0 ||
	    (blocks->left < blocks->list.count && block->first <= blocks->last))
		return damaged(error);
	blocks->from += bytes.len - reader_left(&reader);
	return 0;
}

/* Reads the head of the next block and goes behind its bytes, which begin at `*at`. */
static int block_pass(struct terms_blocks *blocks, struct posting_block *block, uint64_t *at,
                      struct error *error)
{
	uint64_t len;

	if (head_read(blocks, block, error) != 0)
		return error->code;
	len = block->distances + block->places;
	if (len < block->places || len > blocks->end - blocks->from || len > BLOCK_BYTES_MAX)
		return damaged(error);
	*at = blocks->from;
	blocks->from += len;
	blocks->last = block->last;
	blocks->left -= block->documents;
	return 0;
}

int terms_stops_read(struct terms_blocks *blocks, struct posting_stops *stops, struct error *error)
{
	struct posting_block block = {0};
	uint64_t at = 0;

	while (blocks->left > 0) {
		struct posting_stop stop = {.at = (uint32_t)(blocks->from - blocks->begin),
		                            .last = (uint32_t)(blocks->last - blocks->list.base),
		                            .left = blocks->left};

		if (posting_stops_add(stops, &stop, error) != 0 ||
		    block_pass(blocks, &block, &at, error) != 0)
			return error->code;
	}
	return 0;
}

void terms_blocks_use(struct terms_blocks *blocks, const struct posting_stops *stops)
{
	blocks->stops = stops;
}

/* To the last block before which every number is below, if that is further on. */
static void stops_seek(struct terms_blocks *blocks, uint64_t number)
{
	const struct posting_stops *stops = blocks->stops;
	const struct posting_stop *stop;

	if (stops->len == 0 || number <= blocks->last)
		return;
	blocks->stop = posting_stops_seek(stops, blocks->stop, number - blocks->list.base);
	stop = &stops->ptr[blocks->stop];
	if (stop->left >= blocks->left)
		return;
	blocks->from = blocks->begin + stop->at;
	blocks->last = blocks->list.base + stop->last;
	blocks->left = stop->left;
}

int terms_blocks_seek(struct terms_blocks *blocks, uint64_t number, struct posting_cursor *cursor,
                      struct error *error)
{
	struct posting_block block = {0};
	struct slice bytes;
	uint64_t at = 0;

	if (blocks->stops != NULL)
		stops_seek(blocks, number);
	while (blocks->left > 0) {
		if (block_pass(blocks, &block, &at, error) != 0)
			return error->code;
		if (block.last < number)
			continue;
		if (section_read(blocks->reader,
		                 (struct span){SECTION_POSTINGS, at, (size_t)(blocks->from - at)},
		                 &blocks->joined, &bytes, error) != 0)
			return error->code;
		posting_cursor_block(cursor, &blocks->list, &block, bytes);
		return 1;
	}
	return 0;
}
