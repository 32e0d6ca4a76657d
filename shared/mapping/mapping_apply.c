#include "shared/mapping/mapping_private.h"

#include <stdarg.h>
#include <stdio.h>

struct refusal_row {
	const char *name;
	const char *stage;
};

static const struct refusal_row refusal_rows[] = {
	[MAPPING_REFUSAL_MISSING_KEY] = {"missing_key", "KEY_CONVERTER"},
	[MAPPING_REFUSAL_KEY_NOT_JSON] = {"key_not_json", "KEY_CONVERTER"},
	[MAPPING_REFUSAL_MISSING_ID] = {"missing_id", "TRANSFORMATION"},
	[MAPPING_REFUSAL_INVALID_DOCUMENT_ID] = {"invalid_document_id", "TRANSFORMATION"},
	[MAPPING_REFUSAL_INVALID_HEADER] = {"invalid_header", "HEADER_CONVERTER"},
	[MAPPING_REFUSAL_INVALID_EVENT] = {"invalid_event", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_UNSUPPORTED_CONTENT] = {"unsupported_content", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_TOO_LARGE] = {"too_large", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_NOT_JSON] = {"not_json", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_TOO_DEEP] = {"too_deep", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_NOT_AN_OBJECT] = {"not_an_object", "VALUE_CONVERTER"},
	[MAPPING_REFUSAL_FIELD_COLLISION] = {"field_collision", "TRANSFORMATION"},
	[MAPPING_REFUSAL_ID_MISMATCH] = {"id_mismatch", "TRANSFORMATION"},
};

const char *mapping_refusal_name(enum mapping_refusal_code code)
{
	return refusal_rows[code].name;
}

const char *mapping_refusal_stage(enum mapping_refusal_code code)
{
	return refusal_rows[code].stage;
}

enum mapping_verdict mapping_refuse(struct mapping_work *work, enum mapping_refusal_code code,
                                    const char *format, ...)
{
	va_list args;

	work->mapped->code = code;
	va_start(args, format);
	(void)vsnprintf(work->mapped->text, sizeof work->mapped->text, format, args);
	va_end(args);
	return MAPPING_VERDICT_REFUSE;
}

/* Of the rules' types, one that is `type`, or whose "*…" is its end. */
static bool type_deletes(const struct mapping_work *work)
{
	struct slice type = mapping_attribute(work, slice_string("type"));

	for (size_t i = 0; i < work->mapping->delete_types_len; i++) {
		struct slice wanted = work->mapping->delete_types[i];

		if (slice_equal(type, wanted))
			return true;
		if (wanted.ptr[0] == '*' && type.len >= wanted.len - 1 &&
		    memcmp(type.ptr + type.len - (wanted.len - 1), wanted.ptr + 1, wanted.len - 1) == 0)
			return true;
	}
	return false;
}

/* Without any conditions a list is no reason to do something. */
static bool meets(const struct mapping_work *work, enum mapping_list list)
{
	const struct mapping_conditions *conditions = &work->mapping->conditions[list];

	return conditions->len > 0 && mapping_conditions_met(conditions, work->payload);
}

static bool deletes(const struct mapping_work *work)
{
	return work->tombstone || work->mapping->op == MAPPING_OP_DELETE || type_deletes(work) ||
	       (work->payload != NULL &&
	        (meets(work, MAPPING_LIST_DELETE_WHEN) ||
	         !mapping_conditions_met(&work->mapping->conditions[MAPPING_LIST_WHERE], work->payload)));
}

static enum mapping_verdict decide(struct mapping_work *work)
{
	enum mapping_verdict verdict = mapping_open(work);

	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	if (work->tombstone ? work->mapping->ignores_tombstones
	                    : work->payload != NULL && meets(work, MAPPING_LIST_IGNORE_WHEN))
		return MAPPING_VERDICT_IGNORE;
	verdict = mapping_make_id(work);
	if (verdict == MAPPING_VERDICT_APPLY)
		verdict = mapping_idempotency_key(work);
	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	work->mapped->op = deletes(work) ? MAPPING_OP_DELETE : work->mapping->op;
	if (work->mapped->op == MAPPING_OP_DELETE)
		return MAPPING_VERDICT_APPLY;
	if (work->payload == NULL)
		return mapping_refuse(work, MAPPING_REFUSAL_NOT_AN_OBJECT,
		                      "the event has no data, and `delete_types` does not name its type");
	return mapping_make_document(work);
}

enum mapping_verdict mapping_apply(const struct mapping *mapping, const struct record *record,
                                   struct arena *arena, struct mapped *mapped)
{
	struct mapping_work work = {.mapping = mapping, .record = record, .arena = arena, .mapped = mapped};
	enum mapping_verdict verdict;

	*mapped = (struct mapped){0};
	verdict = decide(&work);
	yyjson_doc_free(work.value_doc);
	yyjson_doc_free(work.key_doc);
	return verdict;
}
