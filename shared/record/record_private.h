/*
 * Record, inside: what its files share. record.h is the contract.
 */
#ifndef MILLRACE_RECORD_RECORD_PRIVATE_H
#define MILLRACE_RECORD_RECORD_PRIVATE_H

#include "shared/record/memtable.h"

/* Of an encoded origin, behind its source. */
#define ORIGIN_NUMBERS_BYTES 20U
/* Of an encoded identity_entry. */
#define IDENTITY_BYTES 32U

/* Fills `refusal`; always RECORD_VERDICT_REFUSE. */
enum record_verdict record_refuse(struct refusal *refusal, enum refusal_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What header `op` asks for, a put where there is none; false if that
 * contract does not know it. An empty value is not looked at. */
bool record_op_kind(const struct record *record, uint32_t contract, enum op_kind *kind);
/* Refuses header `op`, which record_op_kind did not know. */
enum record_verdict record_refuse_op(const struct record *record, uint32_t contract, struct refusal *refusal);
/* Every other header: fills op's insertion key, and under contract 2 its
 * origin, has_identity and identity.key; op->id must be there. */
enum record_verdict record_headers(const struct record *record, uint32_t contract, struct op *op,
                                   struct refusal *refusal);
/* identity.operation of an operation that has kind, id and body. */
uint64_t record_operation_digest(const struct op *op);
/* A topic's name by Kafka's rules. */
bool record_source_is_valid(struct slice source);

/* True if (life, offset, n) of `a` is above that of `b`. */
bool origin_is_higher(const struct origin *a, const struct origin *b);
/* u8 source length, source, u32 life, i32 partition, i64 offset, u32 n. */
void origin_put(struct buffer *buffer, const struct origin *origin);
/* False if it is cut off or no origin; the source is borrowed. */
bool origin_read(struct reader *reader, struct origin *origin);
/* i64 offset, u64[2] key, u64 operation. */
void identity_put(struct buffer *buffer, const struct identity_entry *entry);
void identity_read(struct reader *reader, struct identity_entry *entry);

#endif
