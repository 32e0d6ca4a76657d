/*
 * Filter bed: parses an expression or matches it, with a fold that knows
 * ASCII and, as NFKD takes them apart, the letters é, É and ï.
 */
#ifndef MILLRACE_TESTS_UNIT_FILTER_BED_H
#define MILLRACE_TESTS_UNIT_FILTER_BED_H

#include "shared/filter/filter.h"

#include "tests/unit/suite.h"

static inline bool filter_bed_append(void *context, struct slice text, struct buffer *folded)
{
	static const struct {
		const char *letter;
		const char *folded;
	} letters[] = {{"é", "e\xcc\x81"}, {"É", "e\xcc\x81"}, {"ï", "i\xcc\x88"}};

	(void)context;
	for (size_t at = 0; at < text.len; at++) {
		uint8_t c = text.ptr[at];
		bool found = false;

		for (size_t i = 0; i < sizeof letters / sizeof letters[0] && !found; i++)
			if (text.len - at >= 2 && memcmp(text.ptr + at, letters[i].letter, 2) == 0) {
				buffer_append_string(folded, letters[i].folded);
				found = true;
				at++;
			}
		if (!found)
			buffer_put_u8(folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c);
	}
	return !buffer_failed(folded);
}

static const struct filter_fold filter_bed_fold = {filter_bed_append, NULL};

/* Behind a `#`, `expression` is JSON; else it is what the JSON string holds. */
static inline int filter_bed_parse(const char *expression, struct arena *arena, struct filter **filter,
                                   struct filter_refusal *refusal)
{
	struct buffer json;
	int result;

	buffer_init(&json, FILTER_EXPRESSION_BYTES_MAX * 2);
	if (expression[0] == '#')
		buffer_append_string(&json, expression + 1);
	else
		json_append_string(&json, slice_string(expression));
	result = filter_parse(buffer_slice(&json), &filter_bed_fold, arena, filter, refusal);
	buffer_deinit(&json);
	return result;
}

/* An expression without a condition matches everything here. */
static inline bool filter_bed_matches(const struct filter *filter, const char *document)
{
	struct error error;
	yyjson_doc *doc = NULL;
	bool matches = true;

	CU_ASSERT_EQUAL_FATAL(json_parse(slice_string(document), JSON_DEPTH_MAX, &doc, &error), 0);
	if (filter != NULL)
		CU_ASSERT_EQUAL(
			filter_matches(filter, yyjson_doc_get_root(doc), &filter_bed_fold, &matches, &error),
			0);
	yyjson_doc_free(doc);
	return matches;
}

#endif
