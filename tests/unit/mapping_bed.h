/*
 * Mapping bed: a record from texts through rules from text, and the outcome
 * as one line: "put a {…}", "delete a", "ignore", "refuse not_json"; an
 * idempotency key follows as " #key".
 */
#ifndef MILLRACE_TESTS_UNIT_MAPPING_BED_H
#define MILLRACE_TESTS_UNIT_MAPPING_BED_H

#include "shared/mapping/mapping.h"

#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

struct mapping_case {
	const char *name;
	const char *rules;
	const char *key;     /* NULL: none */
	const char *value;   /* NULL: null */
	const char *headers; /* "name=value" a line; NULL: none */
	const char *expected;
};

static inline struct slice bed_slice(const char *text)
{
	return text != NULL ? slice_string(text) : slice_of(NULL, 0);
}

static inline size_t bed_headers(const char *text, struct record_header headers[8])
{
	size_t len = 0;

	while (text != NULL && *text != '\0' && len < 8) {
		size_t name = strcspn(text, "=");
		size_t line = strcspn(text, "\n");

		headers[len].name = slice_of(text, name);
		headers[len++].value = slice_of(text + name + 1, line - name - 1);
		text += line + (text[line] == '\n');
	}
	return len;
}

/* Whatever is accepted meets a log's contract, and a document names its id. */
static inline void bed_check_contract(const struct mapped *mapped, const struct rules *limits,
                                      struct slice primary_key)
{
	struct record record = {.key = mapped->id, .value = mapped->body};
	struct record_place place = {.rules = limits, .partitions = 1, .primary_key = primary_key};
	struct refusal refusal = {0};
	struct arena arena;
	struct op op;

	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(record_decode(&record, &place, &arena, &op, &refusal), RECORD_VERDICT_APPLY);
	CU_ASSERT_EQUAL(op.kind, mapped->op == MAPPING_OP_DELETE ? OP_KIND_DELETE : OP_KIND_PUT);
	if (op.kind == OP_KIND_PUT)
		CU_ASSERT_PTR_EQUAL(op.body.ptr, mapped->body.ptr); /* the primary key was there */
	arena_deinit(&arena);
}

/* The outcome as a line; the caller frees it. */
static inline char *bed_outcome(enum mapping_verdict verdict, const struct mapped *mapped)
{
	struct buffer line;
	size_t len;

	buffer_init(&line, SIZE_MAX);
	if (verdict == MAPPING_VERDICT_IGNORE) {
		buffer_append_string(&line, "ignore");
	} else if (verdict == MAPPING_VERDICT_REFUSE) {
		buffer_printf(&line, "refuse %s", mapping_refusal_name(mapped->code));
		CU_ASSERT_NOT_EQUAL(mapped->text[0], '\0');
		CU_ASSERT_NOT_EQUAL(mapping_refusal_stage(mapped->code)[0], '\0');
	} else {
		buffer_printf(&line, "%s ", mapping_op_name(mapped->op));
		buffer_append_slice(&line, mapped->id);
		buffer_append_string(&line, mapped->body.len > 0 ? " " : "");
		buffer_append_slice(&line, mapped->body);
		if (mapped->idempotency_key.ptr != NULL) {
			buffer_append_string(&line, " #");
			buffer_append_slice(&line, mapped->idempotency_key);
		}
	}
	buffer_put_u8(&line, 0);
	return (char *)buffer_take(&line, &len);
}

static inline void bed_run_case(const struct mapping_case *row, const struct rules *limits)
{
	struct record_header headers[8];
	struct record record = {.timestamp_ms = 1700000000000, .headers = headers};
	struct mapping *mapping;
	struct slice primary_key = slice_string("id");
	enum mapping_verdict verdict;
	struct mapped mapped;
	struct error error;
	struct arena arena;
	yyjson_doc *doc;
	char *got;

	arena_init(&arena, 4096);
	if (mapping_parse(slice_string(row->rules), limits, &arena, &mapping, &error) < 0) {
		(void)fprintf(stderr, "row \"%s\": %s\n", row->name, error.text);
		CU_FAIL_FATAL("the row's rules are refused");
	}
	record.key = bed_slice(row->key);
	record.value = bed_slice(row->value);
	record.headers_len = bed_headers(row->headers, headers);
	verdict = mapping_apply(mapping, &record, &arena, &mapped);
	got = bed_outcome(verdict, &mapped);
	if (strcmp(got, row->expected) != 0) {
		(void)fprintf(stderr, "row \"%s\":\n  got      %s (%s)\n  expected %s\n", row->name, got,
		              mapped.text, row->expected);
		CU_FAIL("another outcome");
	}
	free(got);
	CU_ASSERT_EQUAL_FATAL(json_parse(mapping_canonical(mapping), JSON_DEPTH_MAX, &doc, &error), 0);
	(void)json_get_string(yyjson_doc_get_root(doc), "primary_key", &primary_key);
	if (verdict == MAPPING_VERDICT_APPLY)
		bed_check_contract(&mapped, limits, primary_key);
	yyjson_doc_free(doc);
	arena_deinit(&arena);
}

static inline void bed_run_cases(const struct mapping_case *rows, size_t rows_len)
{
	struct rules limits = rules_default();

	for (size_t i = 0; i < rows_len; i++)
		bed_run_case(&rows[i], &limits);
}

#define BED_RUN(rows) bed_run_cases(rows, sizeof(rows) / sizeof *(rows))

#endif
