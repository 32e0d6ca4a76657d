#include "shared/record/marks.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "shared/record/record_private.h"

#include <inttypes.h>
#include <stdlib.h>

#define ORIGINS_BLOCK_BYTES 4096
#define ORIGINS_LIST_FIRST 16
#define MARKS_MAGIC 0x314d524dU /* "MRM1" */
#define MARKS_VERSION 1
#define MARKS_HEAD_BYTES (8U + 16U + 8U + 8U + 4U + 4U)

_Static_assert(MARKS_HEAD_BYTES + ORIGINS_MAX * (1U + RECORD_SOURCE_BYTES_MAX + ORIGIN_NUMBERS_BYTES) +
                               MARKS_PAGE_IDENTITIES * IDENTITY_BYTES <=
                       MARKS_PAGE_BYTES_MAX,
               "the fullest page fits");

/* One for each source partition, in order of source and partition. */
struct origins {
	struct arena sources;
	struct origin *list;
	size_t len;
	size_t size;
};

struct origins *origins_new(void)
{
	struct origins *origins = calloc(1, sizeof *origins);

	if (origins != NULL)
		arena_init(&origins->sources, ORIGINS_BLOCK_BYTES);
	return origins;
}

void origins_free(struct origins *origins)
{
	if (origins == NULL)
		return;
	arena_deinit(&origins->sources);
	free(origins->list);
	free(origins);
}

size_t origins_count(const struct origins *origins)
{
	return origins->len;
}

static int compare_places(const struct origin *a, const struct origin *b)
{
	int order = slice_compare(a->source, b->source);

	return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

bool origin_is_higher(const struct origin *a, const struct origin *b)
{
	if (a->life != b->life && !KNOCKOUT(LIFE_IGNORED))
		return a->life > b->life;
	return a->offset != b->offset ? a->offset > b->offset : a->n > b->n;
}

/* Where its source partition stands, or would stand; `*there` says which. */
static size_t find(const struct origins *origins, const struct origin *origin, bool *there)
{
	size_t low = 0;
	size_t high = origins->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_places(&origins->list[middle], origin);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*there = false;
	return low;
}

enum origin_verdict origins_judge(const struct origins *origins, const struct origin *origin)
{
	bool there;
	size_t at = find(origins, origin, &there);

	if (there)
		return origin_is_higher(origin, &origins->list[at]) ? ORIGIN_VERDICT_NEW
		                                                    : ORIGIN_VERDICT_DUPLICATE;
	return origins->len < ORIGINS_MAX ? ORIGIN_VERDICT_NEW : ORIGIN_VERDICT_LIMIT;
}

static int insert(struct origins *origins, size_t at, const struct origin *origin, struct error *error)
{
	struct origin added = *origin;

	if (origins->len == ORIGINS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "partition %" PRId32
		                 " of source %.*s is one more than the %d source partitions of a shard",
		                 origin->partition, SLICE_ARGS(origin->source), ORIGINS_MAX);
	if (origins->len == origins->size) {
		size_t size = origins->size ? origins->size * 2 : ORIGINS_LIST_FIRST;
		struct origin *list = realloc(origins->list, size * sizeof *list);

		if (list == NULL)
			return error_memory(error, size * sizeof *list);
		origins->list = list;
		origins->size = size;
	}
	if (!arena_copy(&origins->sources, origin->source, &added.source))
		return error_memory(error, origin->source.len);
	memmove(origins->list + at + 1, origins->list + at, (origins->len - at) * sizeof *origins->list);
	origins->list[at] = added;
	origins->len++;
	return 0;
}

int origins_note(struct origins *origins, const struct origin *origin, struct error *error)
{
	bool there;
	size_t at = find(origins, origin, &there);
	struct slice source;

	if (!there)
		return insert(origins, at, origin, error);
	if (!origin_is_higher(origin, &origins->list[at]))
		return 0;
	source = origins->list[at].source;
	origins->list[at] = *origin;
	origins->list[at].source = source;
	return 0;
}

bool origins_next(const struct origins *origins, size_t *at, struct origin *origin)
{
	if (*at == origins->len)
		return false;
	*origin = origins->list[(*at)++];
	return true;
}

void origin_put(struct buffer *buffer, const struct origin *origin)
{
	ASSERT(origin->source.len > 0 && origin->source.len <= RECORD_SOURCE_BYTES_MAX);
	buffer_put_u8(buffer, (uint8_t)origin->source.len);
	buffer_append_slice(buffer, origin->source);
	buffer_put_u32(buffer, origin->life);
	buffer_put_u32(buffer, (uint32_t)origin->partition);
	buffer_put_i64(buffer, origin->offset);
	buffer_put_u32(buffer, origin->n);
}

bool origin_read(struct reader *reader, struct origin *origin)
{
	origin->source = reader_take(reader, reader_u8(reader));
	origin->life = reader_u32(reader);
	origin->partition = (int32_t)reader_u32(reader);
	origin->offset = reader_i64(reader);
	origin->n = reader_u32(reader);
	return !reader_failed(reader) && record_source_is_valid(origin->source) && origin->partition >= 0 &&
	       origin->offset >= 0;
}

void identity_put(struct buffer *buffer, const struct identity_entry *entry)
{
	buffer_put_i64(buffer, entry->offset);
	buffer_put_u64(buffer, entry->identity.key.low);
	buffer_put_u64(buffer, entry->identity.key.high);
	buffer_put_u64(buffer, entry->identity.operation);
}

void identity_read(struct reader *reader, struct identity_entry *entry)
{
	entry->offset = reader_i64(reader);
	entry->identity.key.low = reader_u64(reader);
	entry->identity.key.high = reader_u64(reader);
	entry->identity.operation = reader_u64(reader);
}

void marks_begin(struct marks_writer *writer, struct buffer *buffer, struct incarnation incarnation,
                 int64_t received)
{
	*writer = (struct marks_writer){.buffer = buffer};
	buffer_put_u32(buffer, MARKS_MAGIC);
	buffer_put_u16(buffer, MARKS_VERSION);
	buffer_put_u16(buffer, 0);
	buffer_put_u64(buffer, incarnation.word[0]);
	buffer_put_u64(buffer, incarnation.word[1]);
	buffer_put_i64(buffer, received);
	writer->at_next = buffer->len;
	buffer_put_i64(buffer, -1);
	buffer_put_u32(buffer, 0);
	buffer_put_u32(buffer, 0);
}

void marks_add_origin(struct marks_writer *writer, const struct origin *origin)
{
	ASSERT(writer->identities == 0 && writer->origins < ORIGINS_MAX);
	origin_put(writer->buffer, origin);
	writer->origins++;
}

void marks_add_identity(struct marks_writer *writer, const struct identity_entry *entry)
{
	ASSERT(writer->identities < MARKS_PAGE_IDENTITIES);
	identity_put(writer->buffer, entry);
	writer->identities++;
}

bool marks_end(struct marks_writer *writer, int64_t next)
{
	struct buffer *buffer = writer->buffer;

	buffer_set_u32(buffer, writer->at_next, (uint32_t)next);
	buffer_set_u32(buffer, writer->at_next + 4, (uint32_t)((uint64_t)next >> 32));
	buffer_set_u32(buffer, writer->at_next + 8, writer->origins);
	buffer_set_u32(buffer, writer->at_next + 12, writer->identities);
	return !buffer_failed(buffer);
}

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "the page of marks %s", what);
}

static int open_head(struct reader *reader, struct marks_page *page, struct slice frame, struct error *error)
{
	uint32_t magic = reader_u32(reader);
	uint16_t version = reader_u16(reader);
	uint16_t reserved = reader_u16(reader);

	page->incarnation.word[0] = reader_u64(reader);
	page->incarnation.word[1] = reader_u64(reader);
	page->received = reader_i64(reader);
	page->next = reader_i64(reader);
	page->origins_len = reader_u32(reader);
	page->identities_len = reader_u32(reader);
	if (reader_failed(reader) || magic != MARKS_MAGIC)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "the %zu bytes are no page of marks", frame.len);
	if (version != MARKS_VERSION)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "page of marks of version %u, this program knows %d", version,
		                 MARKS_VERSION);
	if (reserved != 0 || page->received < 0 || page->next < -1 || page->next > page->received)
		return malformed(error, "has a head that says nothing possible");
	if (frame.len > MARKS_PAGE_BYTES_MAX || page->origins_len > ORIGINS_MAX ||
	    page->identities_len > MARKS_PAGE_IDENTITIES)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "the page of marks has %zu bytes, %" PRIu32 " origins and %" PRIu32
		                 " identities, at most %u, %d and %d are allowed",
		                 frame.len, page->origins_len, page->identities_len, MARKS_PAGE_BYTES_MAX,
		                 ORIGINS_MAX, MARKS_PAGE_IDENTITIES);
	return 0;
}

/* Takes them from the reader; each above the one before. */
static int open_origins(struct reader *reader, struct marks_page *page, struct error *error)
{
	const uint8_t *begin = reader->ptr;
	struct origin last = {0};
	struct origin origin;

	for (uint32_t i = 0; i < page->origins_len; i++, last = origin) {
		if (!origin_read(reader, &origin))
			return malformed(error, "has an origin that is cut off or none");
		if (i > 0 && compare_places(&last, &origin) >= 0)
			return malformed(error, "has origins out of order");
	}
	page->origins = slice_of(begin, (size_t)(reader->ptr - begin));
	return 0;
}

static int check_identities(const struct marks_page *page, struct error *error)
{
	struct identity_entry entry;
	int64_t last = -1;
	size_t at = 0;

	for (; marks_page_identity(page, &at, &entry); last = entry.offset)
		if (entry.offset <= last || entry.offset >= page->received)
			return malformed(error, "has identities out of order");
	if (page->next != -1 && page->next <= last)
		return malformed(error, "would be followed by what it holds");
	return 0;
}

int marks_open(struct marks_page *page, struct slice frame, struct error *error)
{
	struct reader reader = reader_of(frame);
	struct marks_page opened = {0};
	int rc = open_head(&reader, &opened, frame, error);

	if (rc == 0)
		rc = open_origins(&reader, &opened, error);
	if (rc != 0)
		return rc;
	if (reader_left(&reader) != (size_t)opened.identities_len * IDENTITY_BYTES)
		return malformed(error, "has not the bytes of its identities");
	opened.identities = reader_take(&reader, reader_left(&reader));
	rc = check_identities(&opened, error);
	if (rc == 0)
		*page = opened;
	return rc;
}

bool marks_page_origin(const struct marks_page *page, size_t *at, struct origin *origin)
{
	struct reader reader;

	if (*at == page->origins.len)
		return false;
	reader = reader_of(slice_of(page->origins.ptr + *at, page->origins.len - *at));
	(void)origin_read(&reader, origin);
	*at = (size_t)(reader.ptr - page->origins.ptr);
	return true;
}

bool marks_page_identity(const struct marks_page *page, size_t *at, struct identity_entry *entry)
{
	struct reader reader;

	if (*at == page->identities.len)
		return false;
	reader = reader_of(slice_of(page->identities.ptr + *at, IDENTITY_BYTES));
	identity_read(&reader, entry);
	*at += IDENTITY_BYTES;
	return true;
}
