/*
 * Fuzz: batch_open, batch_next and the walks over a range, as a node reads
 * what a feeder sent.
 */
#include "shared/record/batch.h"

#include "tests/fuzz/seeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_notes(const struct range *range)
{
	struct identity_entry entry = {.offset = range->from - 1};
	int64_t offset = range->from - 1;
	uint32_t count = 0;
	int64_t last;
	size_t at = 0;

	for (last = entry.offset; range_next_identity(range, &at, &entry); last = entry.offset, count++)
		ASSERT(entry.offset > last && entry.offset < range->to);
	ASSERT(count == range->identities_len && count <= RANGE_SEAL);
	at = 0;
	count = 0;
	for (last = offset; range_next_skipped(range, &at, &offset); last = offset, count++)
		ASSERT(offset > last && offset < range->to);
	ASSERT(count == range->skipped_len && count <= RANGE_SEAL);
}

static void check_origins(const struct range *range)
{
	struct origin_entry entry;
	int64_t last = range->from - 1;
	uint32_t count = 0;
	size_t at = 0;

	for (; range_next_origin(range, &at, &entry); last = entry.offset, count++) {
		ASSERT(entry.offset > last && entry.offset < range->to);
		ASSERT(entry.origin.source.len >= 1 && entry.origin.source.len <= RECORD_SOURCE_BYTES_MAX);
		ASSERT(entry.origin.partition >= 0 && entry.origin.offset >= 0);
	}
	ASSERT(count == range->origins_len && count <= RANGE_SEAL && at == range->origins.len);
}

static void check(const struct range *range)
{
	int64_t offset_next = range->from;
	uint32_t count = 0;
	struct error error;
	struct op op;
	size_t at = 0;

	ASSERT(range->partition >= 0 && range->from >= 0 && range->from <= range->to);
	while (range_next(range, &at, &op, &error) == 1) {
		ASSERT(op.offset >= offset_next && op.offset < range->to);
		ASSERT(op.kind >= OP_KIND_PUT && op.kind <= OP_KIND_DELETE_ALL);
		ASSERT(op_kind_is_barrier(op.kind) == (op.id.len == 0) && op.id.len <= RECORD_ID_BYTES_MAX);
		ASSERT(!op_kind_is_barrier(op.kind) || range->ops_len == 1);
		offset_next = op.offset + 1;
		count++;
	}
	ASSERT(at == range->ops.len && count == range->ops_len);
	check_notes(range);
	check_origins(range);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct batch_reader reader;
	struct range range;
	struct error error;
	int rc;

	error.text[0] = '\0';
	rc = batch_open(&reader, slice_of(bytes, len), &error);
	while (rc == 0 && (rc = batch_next(&reader, &range, &error)) == 1) {
		check(&range);
		rc = 0;
		if (reader.ranges_left == 0)
			break;
	}
	ASSERT(rc >= 0 || error.text[0] != '\0');
	return 0;
}

/* The operations from `first` to `last`, with notes if there are several. */
static void add_seed(struct batch_writer *writer, size_t first, size_t last)
{
	const struct op ops[] = {
		{.offset = 101, .kind = OP_KIND_DELETE, .id = slice_string("b")},
		{.offset = 102,
	         .kind = OP_KIND_PUT,
	         .key = {1700000000000, 9},
	         .id = slice_string("a"),
	         .body = slice_string("{\"id\":\"a\"}")},
		{.offset = 103,
	         .kind = OP_KIND_MERGE,
	         .key = {5, 0},
	         .id = slice_string("b"),
	         .body = slice_string("{}")},
		{.offset = 104, .kind = OP_KIND_DELETE_BY_FILTER, .body = slice_string("\"a = 1\"")},
	};
	struct range range = {
		.index_id = 0x4d, .partition = 7, .incarnation = {{1, 2}}, .session = 3, .log_end = -1};
	struct memtable *memtable = memtable_new(100);
	struct origin origin = {slice_string("orders"), 3, 4, 5, 6};
	struct identity identity = {{7, 8}, 9};

	ASSERT(memtable != NULL);
	for (size_t i = first; i < last; i++)
		ASSERT(memtable_add(memtable, &ops[i]));
	if (last - first > 1)
		for (int64_t offset = 105; offset < 108; offset++)
			ASSERT(memtable_note_identity(memtable, offset, &identity) &&
			       memtable_note_origin(memtable, offset, &origin) &&
			       memtable_note_skipped(memtable, offset + 10));
	memtable_cover(memtable, 120);
	memtable_set_anchor(memtable, (struct anchor){119, 10, 11});
	batch_add(writer, &range, memtable);
	memtable_free(memtable);
}

/* Operations with notes, a barrier, an empty range, and all of them in one batch. */
static void seeds_make(void)
{
	static const size_t bounds[][2] = {{0, 3}, {3, 4}, {0, 0}};
	struct batch_writer writer;
	struct buffer frame;

	buffer_init(&frame, BATCH_BYTES_MAX);
	for (size_t first = 0; first < 3; first++)
		for (size_t last = first + 1; last <= 3; last += 2) {
			buffer_clear(&frame);
			batch_begin(&writer, &frame, 42);
			for (size_t i = first; i < last; i++)
				add_seed(&writer, bounds[i][0], bounds[i][1]);
			ASSERT(batch_end(&writer));
			seed_write(buffer_slice(&frame));
		}
	buffer_deinit(&frame);
}
