/* Whether a document fulfils a condition, in what filter_value.h finds of it. */
#include "shared/filter/filter_private.h"
#include "shared/filter/filter_shape.h"
#include "shared/filter/filter_value.h"

/* Of a folded string, and of a number, which may be written as long as its document. */
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)

struct matching {
	const struct filter_fold *fold;
	struct buffer scratch;
	bool failed; /* out of memory: what was found out is worth nothing */
};

/* A condition that is looked for in a document; NOT_EQUAL is looked for as EQUAL. */
struct condition {
	struct matching *matching;
	const struct filter *filter;
	enum filter_kind kind;
};

static bool in_numbers(const struct filter *filter, double number)
{
	size_t low = 0;
	size_t high = filter->numbers_len;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (filter->numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < filter->numbers_len && filter->numbers[low] <= number;
}

static bool number_holds(const struct condition *condition, double number)
{
	const struct filter_literal *literals = condition->filter->literals;

	if (condition->kind == FILTER_KIND_IN)
		return in_numbers(condition->filter, number);
	if (!literals[0].is_number)
		return false;
	switch (condition->kind) {
	case FILTER_KIND_EQUAL:
		return number >= literals[0].number && number <= literals[0].number;
	case FILTER_KIND_GREATER:
		return number > literals[0].number;
	case FILTER_KIND_GREATER_EQUAL:
		return number >= literals[0].number;
	case FILTER_KIND_LESS:
		return number < literals[0].number;
	case FILTER_KIND_LESS_EQUAL:
		return number <= literals[0].number;
	case FILTER_KIND_BETWEEN:
		return literals[1].is_number && number >= literals[0].number && number <= literals[1].number;
	default:
		return false;
	}
}

static bool in_texts(const struct filter *filter, struct slice folded)
{
	size_t low = 0;
	size_t high = filter->literals_len;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (slice_compare(filter->literals[middle].folded, folded) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < filter->literals_len && slice_equal(filter->literals[low].folded, folded);
}

static bool contains(struct slice text, struct slice part)
{
	return part.len == 0 || (text.len > 0 && memmem(text.ptr, text.len, part.ptr, part.len) != NULL);
}

static bool text_holds(const struct condition *condition, struct slice folded)
{
	const struct filter_literal *literals = condition->filter->literals;

	switch (condition->kind) {
	case FILTER_KIND_EQUAL:
		return slice_equal(folded, literals[0].folded);
	case FILTER_KIND_GREATER:
		return slice_compare(folded, literals[0].folded) > 0;
	case FILTER_KIND_GREATER_EQUAL:
		return slice_compare(folded, literals[0].folded) >= 0;
	case FILTER_KIND_LESS:
		return slice_compare(folded, literals[0].folded) < 0;
	case FILTER_KIND_LESS_EQUAL:
		return slice_compare(folded, literals[0].folded) <= 0;
	case FILTER_KIND_BETWEEN:
		return slice_compare(folded, literals[0].folded) >= 0 &&
		       slice_compare(folded, literals[1].folded) <= 0;
	case FILTER_KIND_IN:
		return in_texts(condition->filter, folded);
	case FILTER_KIND_CONTAINS:
		return contains(folded, literals[0].folded);
	case FILTER_KIND_STARTS_WITH:
		return slice_starts_with(folded, literals[0].folded);
	default:
		return false;
	}
}

/* A scalar; a number that no double holds is no value. */
static bool scalar_holds(void *context, yyjson_val *value)
{
	const struct condition *condition = context;
	struct matching *matching = condition->matching;
	struct slice text;
	double number;

	if (yyjson_is_raw(value) || yyjson_is_num(value)) {
		if (filter_value_number(value, &matching->scratch, &number))
			return number_holds(condition, number);
		matching->failed = matching->failed || buffer_failed(&matching->scratch);
		return false;
	}
	if (filter_value_text(value, matching->fold, &matching->scratch, &text))
		return text_holds(condition, text);
	matching->failed = true;
	return false;
}

static bool value_holds(struct condition *condition, yyjson_val *value)
{
	struct filter_visitor visitor = {scalar_holds, condition};

	return filter_scalars(value, &visitor);
}

/* `value` is what the field reaches. */
static bool reached_holds(void *context, yyjson_val *value)
{
	struct condition *condition = context;

	switch (condition->kind) {
	case FILTER_KIND_EXISTS:
		return true;
	case FILTER_KIND_NULL:
		return yyjson_is_null(value);
	case FILTER_KIND_EMPTY:
		return filter_value_is_empty(value);
	case FILTER_KIND_STARTS_WITH:
		return condition->filter->literals[0].folded.len == 0 || value_holds(condition, value);
	default:
		return value_holds(condition, value);
	}
}

static bool path_holds(struct condition *condition, yyjson_val *document)
{
	struct filter_visitor visitor = {reached_holds, condition};

	return filter_reach(document, condition->filter->field, &visitor);
}

static bool place_holds(struct matching *matching, const struct filter *filter, yyjson_val *document)
{
	struct point point;
	bool found;

	if (!point_of_document(document, &point, &found)) {
		matching->failed = true;
		return false;
	}
	return found && filter_place_holds(filter, &point);
}

static bool shape_holds(struct matching *matching, const struct filter *filter, yyjson_val *document)
{
	bool found = filter_shape_holds(filter, document, &matching->scratch);

	matching->failed = matching->failed || buffer_failed(&matching->scratch);
	return found;
}

static bool holds(struct matching *matching, const struct filter *filter, yyjson_val *document)
{
	struct condition condition = {matching, filter, filter->kind};

	switch (filter->kind) {
	case FILTER_KIND_AND:
		for (const struct filter *child = filter->children; child != NULL; child = child->next)
			if (!holds(matching, child, document))
				return false;
		return true;
	case FILTER_KIND_OR:
		for (const struct filter *child = filter->children; child != NULL; child = child->next)
			if (holds(matching, child, document))
				return true;
		return false;
	case FILTER_KIND_NOT:
		return !holds(matching, filter->children, document);
	case FILTER_KIND_NOT_EQUAL:
		condition.kind = FILTER_KIND_EQUAL;
		return !path_holds(&condition, document);
	case FILTER_KIND_RADIUS:
	case FILTER_KIND_BOX:
		return place_holds(matching, filter, document);
	case FILTER_KIND_POLYGON:
		return shape_holds(matching, filter, document);
	default:
		return path_holds(&condition, document);
	}
}

int filter_matches(const struct filter *filter, yyjson_val *document, const struct filter_fold *fold,
                   bool *matches, struct error *error)
{
	struct matching matching = {.fold = fold};
	bool found;

	buffer_init(&matching.scratch, SCRATCH_BYTES_MAX);
	found = holds(&matching, filter, document);
	buffer_deinit(&matching.scratch);
	if (matching.failed)
		return error_memory(error, FILTER_VALUE_READ_BYTES_MAX);
	*matches = found;
	return 0;
}
