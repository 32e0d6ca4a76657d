/* Headers: which operation, when the document was created, which operation is repeated, what was imported. */
#include "shared/base/knockout.h"
#include "shared/record/record_private.h"

/* Of a header's value this many bytes are quoted in a refusal's text. */
#define QUOTED_BYTES_MAX 64

struct kind_row {
	const char *name;
	enum op_kind kind;
	uint32_t contract; /* the first that knows it */
};

static const struct kind_row kind_rows[] = {
	{"put", OP_KIND_PUT, 1},
	{"delete", OP_KIND_DELETE, 1},
	{"merge", OP_KIND_MERGE, 2},
	{"put-if-exists", OP_KIND_PUT_IF_EXISTS, 2},
	{"merge-if-exists", OP_KIND_MERGE_IF_EXISTS, 2},
	{"delete-by-filter", OP_KIND_DELETE_BY_FILTER, 2},
	{"delete-all", OP_KIND_DELETE_ALL, 2},
};

/* The last header of that name, as Kafka's own lastHeader; NULL if there is none. */
static const struct record_header *find_header(const struct record *record, const char *name)
{
	for (size_t i = record->headers_len; i > 0; i--)
		if (slice_equal(record->headers[i - 1].name, slice_string(name)))
			return &record->headers[i - 1];
	return NULL;
}

bool record_op_kind(const struct record *record, uint32_t contract, enum op_kind *kind)
{
	const struct record_header *header = find_header(record, "op");

	if (header == NULL) {
		*kind = OP_KIND_PUT;
		return true;
	}
	for (size_t i = 0; i < sizeof kind_rows / sizeof *kind_rows; i++) {
		if (kind_rows[i].contract <= contract &&
		    slice_equal(header->value, slice_string(kind_rows[i].name))) {
			*kind = kind_rows[i].kind;
			return true;
		}
	}
	return false;
}

enum record_verdict record_refuse_op(const struct record *record, uint32_t contract, struct refusal *refusal)
{
	struct slice value = find_header(record, "op")->value;

	if (value.len > QUOTED_BYTES_MAX)
		value.len = QUOTED_BYTES_MAX;
	return record_refuse(refusal, REFUSAL_UNKNOWN_OPERATION,
	                     "header `op` is \"%.*s\"; this index's rules know %s", SLICE_ARGS(value),
	                     contract == 1 ? "put and delete"
	                                   : "put, merge, put-if-exists, merge-if-exists, delete, "
	                                     "delete-by-filter and delete-all");
}

/* Digits only, at most `max`. */
static bool parse_digits(struct slice text, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	if (value > max)
		return false;
	*number = value;
	return true;
}

/* From contract 2 on a number has one spelling. */
static bool parse_number(struct slice text, uint32_t contract, uint64_t max, uint64_t *number)
{
	if (contract > 1 && text.len > 1 && text.ptr[0] == '0')
		return false;
	return parse_digits(text, max, number);
}

/* Cuts `text` at the last `separator`, which belongs to neither part. */
static bool cut_last(struct slice text, char separator, struct slice *before, struct slice *after)
{
	for (size_t i = text.len; i > 0; i--) {
		if (text.ptr[i - 1] != (uint8_t)separator)
			continue;
		*before = slice_of(text.ptr, i - 1);
		*after = slice_of(text.ptr + i, text.len - i);
		return true;
	}
	return false;
}

/* `created`: the timestamp and seq of the record that created the document. */
static bool parse_created(struct slice text, uint32_t contract, struct insertion_key *key)
{
	struct slice before;
	struct slice after;
	uint64_t timestamp;
	uint64_t seq;

	if (!cut_last(text, contract == 1 ? '/' : '.', &before, &after) ||
	    !parse_number(before, contract, INT64_MAX, &timestamp) ||
	    !parse_number(after, contract, UINT32_MAX, &seq))
		return false;
	*key = (struct insertion_key){(int64_t)timestamp, (uint32_t)seq};
	return true;
}

static enum record_verdict insertion_key_of(const struct record *record, uint32_t contract, struct op *op,
                                            struct refusal *refusal)
{
	const struct record_header *seq = find_header(record, "seq");
	const struct record_header *created = find_header(record, "created");
	uint64_t number = 0;

	if (seq != NULL && !parse_number(seq->value, contract, UINT32_MAX, &number))
		return record_refuse(refusal, REFUSAL_INVALID_HEADER,
		                     "header `seq` is not a number from 0 to 4294967295%s",
		                     contract == 1 ? "" : " without leading zeros");
	op->key = (struct insertion_key){record->timestamp_ms, (uint32_t)number};
	if (created != NULL && !parse_created(created->value, contract, &op->key))
		return record_refuse(refusal, REFUSAL_INVALID_HEADER,
		                     "header `created` is not \"<timestamp ms>%c<seq>\"",
		                     contract == 1 ? '/' : '.');
	return RECORD_VERDICT_APPLY;
}

bool record_source_is_valid(struct slice source)
{
	if (source.len == 0 || source.len > RECORD_SOURCE_BYTES_MAX)
		return false;
	for (size_t i = 0; i < source.len; i++) {
		uint8_t c = source.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* Read from its end, because a source's name may hold full stops. */
static bool parse_origin(struct slice text, uint32_t contract, struct origin *origin)
{
	struct slice rest;
	struct slice source;
	struct slice pieces[4]; /* life, partition, offset, n */
	uint64_t numbers[4];
	static const uint64_t bounds[4] = {UINT32_MAX, INT32_MAX, INT64_MAX, UINT32_MAX};

	if (!cut_last(text, '.', &rest, &pieces[3]) || !cut_last(rest, '/', &rest, &pieces[2]) ||
	    !cut_last(rest, '/', &rest, &pieces[1]) || !cut_last(rest, '.', &source, &pieces[0]) ||
	    !record_source_is_valid(source))
		return false;
	for (size_t i = 0; i < 4; i++)
		if (!parse_number(pieces[i], contract, bounds[i], &numbers[i]))
			return false;
	*origin = (struct origin){source, (uint32_t)numbers[0], (int32_t)numbers[1], (int64_t)numbers[2],
	                          (uint32_t)numbers[3]};
	return true;
}

static enum record_verdict check_identifying(const struct record_header *header, struct refusal *refusal)
{
	if (header->value.len > 0 && header->value.len <= RECORD_IDENTITY_BYTES_MAX)
		return RECORD_VERDICT_APPLY;
	return record_refuse(refusal, REFUSAL_INVALID_HEADER,
	                     "header `%.*s` has %zu bytes; 1 to %d are allowed", SLICE_ARGS(header->name),
	                     header->value.len, RECORD_IDENTITY_BYTES_MAX);
}

static uint8_t *put_u32(uint8_t *at, size_t number)
{
	for (size_t i = 0; i < 4; i++)
		*at++ = (uint8_t)(number >> (8 * i));
	return at;
}

static uint8_t *put_slice(uint8_t *at, struct slice slice)
{
	if (slice.len > 0)
		memcpy(at, slice.ptr, slice.len);
	return at + slice.len;
}

/* Ids are part of the key, so that one key on two documents is two identities. */
static struct hash128 identity_key(struct slice id, const struct record_header *first,
                                   const struct record_header *second)
{
	uint8_t bytes[4 + RECORD_ID_BYTES_MAX + 1 + 4 + 2 * RECORD_IDENTITY_BYTES_MAX];
	uint8_t *at = put_slice(put_u32(bytes, id.len), id);

	*at++ = second == NULL ? 1 : 2;
	if (second != NULL)
		at = put_u32(at, first->value.len);
	at = put_slice(at, first->value);
	if (second != NULL)
		at = put_slice(at, second->value);
	return hash128_of(slice_of(bytes, (size_t)(at - bytes)), 0);
}

/* CloudEvents identify by both headers or not at all. */
static enum record_verdict identity_of(const struct record *record, struct op *op, struct refusal *refusal)
{
	const struct record_header *first = find_header(record, "idempotency-key");
	const struct record_header *second = NULL;

	if (first == NULL) {
		first = find_header(record, "ce_source");
		second = find_header(record, "ce_id");
		if (first == NULL || second == NULL)
			return RECORD_VERDICT_APPLY;
	}
	if (check_identifying(first, refusal) != RECORD_VERDICT_APPLY ||
	    (second != NULL && check_identifying(second, refusal) != RECORD_VERDICT_APPLY))
		return RECORD_VERDICT_REFUSE;
	op->has_identity = true;
	op->identity.key =
		identity_key(KNOCKOUT(IDENTITY_WITHOUT_ID) ? slice_of(NULL, 0) : op->id, first, second);
	return RECORD_VERDICT_APPLY;
}

enum record_verdict record_headers(const struct record *record, uint32_t contract, struct op *op,
                                   struct refusal *refusal)
{
	const struct record_header *origin;
	enum record_verdict verdict = insertion_key_of(record, contract, op, refusal);

	if (verdict != RECORD_VERDICT_APPLY || contract == 1)
		return verdict;
	if (find_header(record, "if-offset") != NULL)
		return record_refuse(refusal, REFUSAL_INVALID_HEADER,
		                     "header `if-offset` is reserved for a later version; leave it out");
	origin = find_header(record, "origin");
	if (origin != NULL && !parse_origin(origin->value, contract, &op->origin))
		return record_refuse(refusal, REFUSAL_INVALID_HEADER,
		                     "header `origin` is not \"source.life/partition/offset.n\"");
	return identity_of(record, op, refusal);
}

uint64_t record_operation_digest(const struct op *op)
{
	uint8_t head[5] = {(uint8_t)op->kind};
	struct slice pieces[] = {slice_of(head, sizeof head), op->id, op->body};

	(void)put_u32(head + 1, op->id.len);
	return hash64_pieces(pieces, sizeof pieces / sizeof *pieces);
}
