/*
 * Record, inside: what its files share. record.h is the contract.
 */
#ifndef MILLRACE_RECORD_RECORD_PRIVATE_H
#define MILLRACE_RECORD_RECORD_PRIVATE_H

#include "shared/record/record.h"

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

#endif
