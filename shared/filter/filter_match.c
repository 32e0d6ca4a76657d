#include "shared/filter/filter_private.h"

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

static bool string_holds(const struct condition *condition, struct slice text)
{
	struct matching *matching = condition->matching;
	struct buffer *scratch = &matching->scratch;

	if (text.len == 0)
		return false;
	buffer_clear(scratch);
	text = filter_cut(filter_trim(text), FILTER_VALUE_READ_BYTES_MAX);
	if (!matching->fold->append(matching->fold->context, text, scratch) || buffer_failed(scratch)) {
		matching->failed = true;
		return false;
	}
	return text_holds(condition, filter_cut(buffer_slice(scratch), FILTER_VALUE_BYTES_MAX));
}

/* A number as the document writes it; one that no double holds is no value. */
static bool raw_number_holds(const struct condition *condition, struct slice raw)
{
	struct buffer *scratch = &condition->matching->scratch;
	yyjson_val number;

	buffer_clear(scratch);
	buffer_append_slice(scratch, raw);
	buffer_put_u8(scratch, 0);
	if (buffer_failed(scratch)) {
		condition->matching->failed = true;
		return false;
	}
	if (yyjson_read_number((const char *)scratch->ptr, &number, YYJSON_READ_NOFLAG, NULL, NULL) == NULL)
		return false;
	return number_holds(condition, yyjson_get_num(&number));
}

/* One of the values that `value` is or, as an array, has. */
static bool value_holds(const struct condition *condition, yyjson_val *value)
{
	size_t at;
	size_t len;
	yyjson_val *element;

	if (yyjson_is_raw(value))
		return raw_number_holds(condition, json_raw_number(value));
	if (yyjson_is_num(value))
		return number_holds(condition, yyjson_get_num(value));
	if (yyjson_is_str(value))
		return string_holds(condition, json_string(value));
	if (yyjson_is_bool(value))
		return text_holds(condition, slice_string(yyjson_get_bool(value) ? "true" : "false"));
	yyjson_arr_foreach(value, at, len, element)
	{
		if (value_holds(condition, element))
			return true;
	}
	return false;
}

/* `value` is what the field reaches. */
static bool reached_holds(const struct condition *condition, yyjson_val *value)
{
	switch (condition->kind) {
	case FILTER_KIND_EXISTS:
		return true;
	case FILTER_KIND_NULL:
		return yyjson_is_null(value);
	case FILTER_KIND_EMPTY:
		return (yyjson_is_ctn(value) && yyjson_get_len(value) == 0) || yyjson_equals_str(value, "");
	case FILTER_KIND_STARTS_WITH:
		return condition->filter->literals[0].folded.len == 0 || value_holds(condition, value);
	default:
		return value_holds(condition, value);
	}
}

static yyjson_val *last_member(yyjson_val *object, struct slice name)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *value;
	yyjson_val *last = NULL;

	yyjson_obj_foreach(object, at, len, key, value)
	{
		if (slice_equal(json_string(key), name))
			last = value;
	}
	return last;
}

static bool object_holds(const struct condition *condition, yyjson_val *object, struct slice path);

/* Looks for `path` in the objects that `value` is or, as an array, has. */
static bool path_holds(const struct condition *condition, yyjson_val *value, struct slice path)
{
	size_t at;
	size_t len;
	yyjson_val *element;

	if (yyjson_is_obj(value))
		return object_holds(condition, value, path);
	yyjson_arr_foreach(value, at, len, element)
	{
		if (path_holds(condition, element, path))
			return true;
	}
	return false;
}

/* Every beginning of `path` that ends at a dot may be a member's name: {"a.b":{"c":…}}. */
static bool object_holds(const struct condition *condition, yyjson_val *object, struct slice path)
{
	for (size_t len = 0; len <= path.len; len++) {
		yyjson_val *member;

		if (len < path.len && path.ptr[len] != '.')
			continue;
		member = last_member(object, slice_of(path.ptr, len));
		if (member == NULL)
			continue;
		if (len == path.len)
			return reached_holds(condition, member);
		if (path_holds(condition, member, slice_of(path.ptr + len + 1, path.len - len - 1)))
			return true;
	}
	return false;
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
		return !path_holds(&condition, document, filter->field);
	default:
		return path_holds(&condition, document, filter->field);
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
