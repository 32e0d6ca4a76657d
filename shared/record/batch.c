#include "shared/record/batch.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "shared/record/record_private.h"

#include <inttypes.h>
#include <stdio.h>

#define BATCH_MAGIC 0x3142524dU  /* "MRB1" */
#define ANSWER_MAGIC 0x3141524dU /* "MRA1" */
#define OP_FLAG_FRESH 1U
#define MARK_IDENTITIES 1U
#define MARK_ORIGINS 2U
#define SKIPPED_BYTES 8U

bool incarnation_equal(struct incarnation a, struct incarnation b)
{
	return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

bool incarnation_is_none(struct incarnation incarnation)
{
	return incarnation.word[0] == 0 && incarnation.word[1] == 0;
}

void incarnation_print(struct incarnation incarnation, char text[33])
{
	hash128_print((struct hash128){incarnation.word[0], incarnation.word[1]}, text);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool incarnation_parse(struct slice text, struct incarnation *incarnation)
{
	uint64_t word[2] = {0, 0}; /* high, low */

	if (text.len != 32)
		return false;
	for (size_t i = 0; i < 32; i++) {
		int digit = hex_digit(text.ptr[i]);

		if (digit < 0)
			return false;
		word[i / 16] = word[i / 16] << 4 | (uint64_t)digit;
	}
	*incarnation = (struct incarnation){{word[1], word[0]}};
	return true;
}

static void put_anchor(struct buffer *buffer, const struct anchor *anchor)
{
	buffer_put_i64(buffer, anchor->offset);
	buffer_put_i64(buffer, anchor->timestamp_ms);
	buffer_put_u64(buffer, anchor->checksum);
}

static struct anchor read_anchor(struct reader *reader)
{
	struct anchor anchor;

	anchor.offset = reader_i64(reader);
	anchor.timestamp_ms = reader_i64(reader);
	anchor.checksum = reader_u64(reader);
	return anchor;
}

static void put_incarnation(struct buffer *buffer, struct incarnation incarnation)
{
	buffer_put_u64(buffer, incarnation.word[0]);
	buffer_put_u64(buffer, incarnation.word[1]);
}

static struct incarnation read_incarnation(struct reader *reader)
{
	struct incarnation incarnation;

	incarnation.word[0] = reader_u64(reader);
	incarnation.word[1] = reader_u64(reader);
	return incarnation;
}

static void frame_begin(struct batch_writer *writer, struct buffer *buffer, uint32_t magic, uint64_t batch_id)
{
	*writer = (struct batch_writer){.buffer = buffer};
	buffer_put_u32(buffer, magic);
	buffer_put_u16(buffer, BATCH_VERSION);
	buffer_put_u16(buffer, 0);
	buffer_put_u64(buffer, batch_id);
	writer->at_count = buffer->len;
	buffer_put_u32(buffer, 0);
}

static bool frame_end(struct batch_writer *writer)
{
	buffer_set_u32(writer->buffer, writer->at_count, writer->ranges);
	return !buffer_failed(writer->buffer);
}

static int frame_open(struct batch_reader *batch, struct slice frame, uint32_t magic, struct error *error)
{
	struct reader reader = reader_of(frame);
	uint32_t found = reader_u32(&reader);
	uint16_t version = reader_u16(&reader);

	(void)reader_u16(&reader);
	batch->batch_id = reader_u64(&reader);
	batch->ranges_left = reader_u32(&reader);
	if (reader_failed(&reader) || found != magic)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "the %zu bytes are no batch frame",
		                 frame.len);
	if (version != BATCH_VERSION)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "batch frame of version %u, this program knows %d", version, BATCH_VERSION);
	if (batch->ranges_left > BATCH_RANGES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "batch of %" PRIu32 " ranges, at most %d are allowed", batch->ranges_left,
		                 BATCH_RANGES_MAX);
	batch->reader = reader;
	return 0;
}

static int check_end(const struct batch_reader *batch, const char *what, struct error *error)
{
	if (reader_left(&batch->reader) != 0)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "%zu bytes follow the last %s",
		                 reader_left(&batch->reader), what);
	return 0;
}

void batch_begin(struct batch_writer *writer, struct buffer *buffer, uint64_t batch_id)
{
	frame_begin(writer, buffer, BATCH_MAGIC, batch_id);
}

static void put_op(struct buffer *buffer, const struct op *op)
{
	ASSERT(op->id.len <= UINT16_MAX && op->body.len <= UINT32_MAX);
	buffer_put_u8(buffer, (uint8_t)op->kind);
	buffer_put_u8(buffer, op->fresh ? OP_FLAG_FRESH : 0);
	buffer_put_u16(buffer, (uint16_t)op->id.len);
	buffer_put_u32(buffer, (uint32_t)op->body.len);
	buffer_put_i64(buffer, op->offset);
	buffer_put_i64(buffer, op->key.timestamp_ms);
	buffer_put_u32(buffer, op->key.seq);
	buffer_append_slice(buffer, op->id);
	buffer_append_slice(buffer, op->body);
}

/* Their number goes to `at_count`. */
static void put_identities(struct buffer *buffer, size_t at_count, const struct memtable *memtable)
{
	const struct identity_entry *entry;
	uint32_t count = 0;
	size_t next = 0;

	for (; (entry = memtable_next_identity(memtable, &next)) != NULL; count++)
		identity_put(buffer, entry);
	buffer_set_u32(buffer, at_count, count);
}

static void put_skipped(struct buffer *buffer, size_t at_count, const struct memtable *memtable)
{
	const int64_t *offset;
	uint32_t count = 0;
	size_t next = 0;

	for (; (offset = memtable_next_skipped(memtable, &next)) != NULL; count++)
		buffer_put_i64(buffer, *offset);
	buffer_set_u32(buffer, at_count, count);
}

static void put_origins(struct buffer *buffer, size_t at_count, const struct memtable *memtable)
{
	struct origin_entry entry;
	uint32_t count = 0;
	size_t next = 0;

	for (; memtable_next_origin(memtable, &next, &entry); count++) {
		buffer_put_i64(buffer, entry.offset);
		origin_put(buffer, &entry.origin);
	}
	buffer_set_u32(buffer, at_count, count);
}

void batch_add(struct batch_writer *writer, const struct range *range, const struct memtable *memtable)
{
	struct buffer *buffer = writer->buffer;
	struct anchor anchor = memtable_anchor(memtable);
	const struct op *op;
	size_t next = 0;
	size_t at = buffer->len;
	size_t at_counts;

	buffer_put_u32(buffer, 0);
	buffer_put_u64(buffer, range->index_id);
	buffer_put_u32(buffer, (uint32_t)range->partition);
	put_incarnation(buffer, range->incarnation);
	buffer_put_u64(buffer, range->session);
	buffer_put_u64(buffer, range->rules_digest);
	buffer_put_i64(buffer, memtable_from(memtable));
	buffer_put_i64(buffer, memtable_to(memtable));
	buffer_put_i64(buffer, range->log_end);
	put_anchor(buffer, &anchor);
	at_counts = buffer->len;
	buffer_put_u32(buffer, (uint32_t)memtable_count(memtable));
	buffer_put_u32(buffer, 0);
	buffer_put_u32(buffer, 0);
	buffer_put_u32(buffer, 0);
	put_identities(buffer, at_counts + 4, memtable);
	put_skipped(buffer, at_counts + 8, memtable);
	put_origins(buffer, at_counts + 12, memtable);
	while ((op = memtable_next(memtable, &next)) != NULL)
		put_op(buffer, op);
	buffer_set_u32(buffer, at, (uint32_t)(buffer->len - at - 4));
	writer->ranges++;
}

bool batch_end(struct batch_writer *writer)
{
	return frame_end(writer);
}

int batch_open(struct batch_reader *batch, struct slice frame, struct error *error)
{
	return frame_open(batch, frame, BATCH_MAGIC, error);
}

static int check_range(const struct range *range, struct error *error)
{
	if (range->partition < 0 || range->from < 0 || range->from > range->to)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "range [%" PRId64 ", %" PRId64 ") of partition %" PRId32 " is none",
		                 range->from, range->to, range->partition);
	if (range->identities_len > RANGE_SEAL || range->skipped_len > RANGE_SEAL ||
	    range->origins_len > RANGE_SEAL)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "range with %" PRIu32 " identities, %" PRIu32 " skipped offsets and %" PRIu32
		                 " origins, at most %d of each are allowed",
		                 range->identities_len, range->skipped_len, range->origins_len, RANGE_SEAL);
	return 0;
}

static int check_offset(const struct range *range, int64_t last, int64_t offset, struct error *error)
{
	if (offset > last && offset >= range->from && offset < range->to)
		return 0;
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
	                 "an identity, origin or skipped offset at %" PRId64 " of the range [%" PRId64
	                 ", %" PRId64 ") is out of order",
	                 offset, range->from, range->to);
}

static int check_notes(const struct range *range, struct error *error)
{
	struct identity_entry entry;
	struct origin_entry origin;
	int64_t offset;
	int64_t last;
	size_t at = 0;
	int rc = 0;

	for (last = -1; rc == 0 && range_next_identity(range, &at, &entry); last = entry.offset)
		rc = check_offset(range, last, entry.offset, error);
	at = 0;
	for (last = -1; rc == 0 && range_next_skipped(range, &at, &offset); last = offset)
		rc = check_offset(range, last, offset, error);
	at = 0;
	for (last = -1; rc == 0 && range_next_origin(range, &at, &origin); last = origin.offset)
		rc = check_offset(range, last, origin.offset, error);
	return rc;
}

/* As many operations as the range says, at offsets that rise. */
static int check_ops(const struct range *range, struct error *error)
{
	int64_t offset_next = range->from;
	uint32_t count = 0;
	size_t at = 0;
	struct op op = {0};
	bool barrier = false;
	int rc;

	while ((rc = range_next(range, &at, &op, error)) == 1) {
		if (op.offset < offset_next)
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "operation at offset %" PRId64 " follows one at %" PRId64, op.offset,
			                 offset_next - 1);
		offset_next = op.offset + 1;
		barrier = barrier || op_kind_is_barrier(op.kind);
		count++;
	}
	if (rc == 0 && barrier && count > 1 && !KNOCKOUT(COALESCE_OVER_BARRIER))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "range with a barrier and %" PRIu32 " other operations", count - 1);
	if (rc == 0 && count != range->ops_len)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "range of %" PRIu32 " operations has %" PRIu32, range->ops_len, count);
	return rc;
}

static int cut_off(struct error *error)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "the batch frame is cut off");
}

/* The three lists and what follows them. */
static int read_lists(struct reader *reader, struct range *range, struct error *error)
{
	const uint8_t *begin;

	range->identities = reader_take(reader, range->identities_len * IDENTITY_BYTES);
	range->skipped = reader_take(reader, range->skipped_len * SKIPPED_BYTES);
	begin = reader->ptr;
	for (uint32_t i = 0; i < range->origins_len; i++) {
		struct origin origin;

		(void)reader_i64(reader);
		if (!origin_read(reader, &origin))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "an origin of the range [%" PRId64 ", %" PRId64
			                 ") is cut off or none",
			                 range->from, range->to);
	}
	range->origins = slice_of(begin, (size_t)(reader->ptr - begin));
	range->ops = reader_take(reader, reader_left(reader));
	return reader_failed(reader) ? cut_off(error) : 0;
}

int batch_next(struct batch_reader *batch, struct range *range, struct error *error)
{
	struct reader reader;
	struct range next;
	int rc;

	if (batch->ranges_left == 0)
		return check_end(batch, "range", error);
	reader = reader_of(reader_bytes(&batch->reader));
	next.index_id = reader_u64(&reader);
	next.partition = (int32_t)reader_u32(&reader);
	next.incarnation = read_incarnation(&reader);
	next.session = reader_u64(&reader);
	next.rules_digest = reader_u64(&reader);
	next.from = reader_i64(&reader);
	next.to = reader_i64(&reader);
	next.log_end = reader_i64(&reader);
	next.anchor = read_anchor(&reader);
	next.ops_len = reader_u32(&reader);
	next.identities_len = reader_u32(&reader);
	next.skipped_len = reader_u32(&reader);
	next.origins_len = reader_u32(&reader);
	if (reader_failed(&batch->reader) || reader_failed(&reader))
		return cut_off(error);
	rc = check_range(&next, error);
	if (rc == 0)
		rc = read_lists(&reader, &next, error);
	if (rc == 0)
		rc = check_notes(&next, error);
	if (rc == 0)
		rc = check_ops(&next, error);
	if (rc != 0)
		return rc;
	*range = next;
	batch->ranges_left--;
	return 1;
}

/* Only a barrier lacks an id. */
static int check_op(const struct range *range, uint8_t kind, uint8_t flags, const struct op *op,
                    struct error *error)
{
	bool barrier;

	if (kind < OP_KIND_PUT || kind > OP_KIND_DELETE_ALL || (flags & ~OP_FLAG_FRESH) != 0)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "operation kind %u with flags %u is not known to this version", kind, flags);
	barrier = op_kind_is_barrier((enum op_kind)kind);
	if (barrier ? op->id.len > 0 : op->id.len == 0 || op->id.len > RECORD_ID_BYTES_MAX)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "operation of kind %u at offset %" PRId64 " with an id of %zu bytes", kind,
		                 op->offset, op->id.len);
	if (op->offset < range->from || op->offset >= range->to)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "operation at offset %" PRId64 " outside its range [%" PRId64 ", %" PRId64
		                 ")",
		                 op->offset, range->from, range->to);
	return 0;
}

int range_next(const struct range *range, size_t *at, struct op *op, struct error *error)
{
	struct reader reader;
	struct op next = {0};
	uint16_t id_len;
	uint32_t body_len;
	uint8_t kind;
	uint8_t flags;
	int rc;

	if (*at == range->ops.len)
		return 0;
	reader = reader_of(slice_of(range->ops.ptr + *at, range->ops.len - *at));
	kind = reader_u8(&reader);
	flags = reader_u8(&reader);
	id_len = reader_u16(&reader);
	body_len = reader_u32(&reader);
	next.offset = reader_i64(&reader);
	next.key.timestamp_ms = reader_i64(&reader);
	next.key.seq = reader_u32(&reader);
	next.id = reader_take(&reader, id_len);
	next.body = reader_take(&reader, body_len);
	if (reader_failed(&reader))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "an operation of the range [%" PRId64 ", %" PRId64 ") is cut off",
		                 range->from, range->to);
	rc = check_op(range, kind, flags, &next, error);
	if (rc != 0)
		return rc;
	next.kind = (enum op_kind)kind;
	next.fresh = (flags & OP_FLAG_FRESH) != 0;
	*op = next;
	*at = (size_t)(reader.ptr - range->ops.ptr);
	return 1;
}

bool range_next_identity(const struct range *range, size_t *at, struct identity_entry *entry)
{
	struct reader reader;

	if (*at == range->identities.len)
		return false;
	reader = reader_of(slice_of(range->identities.ptr + *at, IDENTITY_BYTES));
	identity_read(&reader, entry);
	*at += IDENTITY_BYTES;
	return true;
}

bool range_next_skipped(const struct range *range, size_t *at, int64_t *offset)
{
	struct reader reader;

	if (*at == range->skipped.len)
		return false;
	reader = reader_of(slice_of(range->skipped.ptr + *at, SKIPPED_BYTES));
	*offset = reader_i64(&reader);
	*at += SKIPPED_BYTES;
	return true;
}

bool range_next_origin(const struct range *range, size_t *at, struct origin_entry *entry)
{
	struct reader reader;

	if (*at == range->origins.len)
		return false;
	reader = reader_of(slice_of(range->origins.ptr + *at, range->origins.len - *at));
	entry->offset = reader_i64(&reader);
	(void)origin_read(&reader, &entry->origin);
	*at = (size_t)(reader.ptr - range->origins.ptr);
	return true;
}

void batch_answer_begin(struct batch_writer *writer, struct buffer *buffer, uint64_t batch_id)
{
	frame_begin(writer, buffer, ANSWER_MAGIC, batch_id);
}

void batch_answer_add(struct batch_writer *writer, const struct range_answer *answer)
{
	struct buffer *buffer = writer->buffer;

	buffer_put_u64(buffer, answer->index_id);
	buffer_put_u32(buffer, (uint32_t)answer->partition);
	buffer_put_u8(buffer, (uint8_t)answer->result);
	put_incarnation(buffer, answer->incarnation);
	buffer_put_u64(buffer, answer->session);
	buffer_put_i64(buffer, answer->received);
	buffer_put_i64(buffer, answer->stored);
	put_anchor(buffer, &answer->anchor);
	buffer_put_u8(buffer, (uint8_t)((answer->has_identities ? MARK_IDENTITIES : 0U) |
	                                (answer->has_origins ? MARK_ORIGINS : 0U)));
	writer->ranges++;
}

bool batch_answer_end(struct batch_writer *writer)
{
	return frame_end(writer);
}

int batch_answer_open(struct batch_reader *batch, struct slice frame, struct error *error)
{
	return frame_open(batch, frame, ANSWER_MAGIC, error);
}

int batch_answer_next(struct batch_reader *batch, struct range_answer *answer, struct error *error)
{
	struct reader *reader = &batch->reader;
	struct range_answer next;
	uint8_t result;
	uint8_t marks;

	if (batch->ranges_left == 0)
		return check_end(batch, "answer", error);
	next.index_id = reader_u64(reader);
	next.partition = (int32_t)reader_u32(reader);
	result = reader_u8(reader);
	next.incarnation = read_incarnation(reader);
	next.session = reader_u64(reader);
	next.received = reader_i64(reader);
	next.stored = reader_i64(reader);
	next.anchor = read_anchor(reader);
	marks = reader_u8(reader);
	if (reader_failed(reader) || result < RANGE_RESULT_APPLIED || result > RANGE_RESULT_STOPPED ||
	    marks > (MARK_IDENTITIES | MARK_ORIGINS))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "the answer to batch %" PRIu64 " is cut off or malformed", batch->batch_id);
	next.result = (enum range_result)result;
	next.has_identities = (marks & MARK_IDENTITIES) != 0;
	next.has_origins = (marks & MARK_ORIGINS) != 0;
	*answer = next;
	batch->ranges_left--;
	return 1;
}
