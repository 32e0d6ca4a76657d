/* One condition of a filter: the ranges of keys that may fulfil it, and which of their keys do. */
#include "shard/core/snapshot_filter_private.h"

#include "shared/base/assert.h"

struct condition {
	struct filtering *filtering;
	const struct filter *filter;
	uint16_t attribute;
	struct verdict *verdict;
};

enum answer {
	ANSWER_NO = 0,
	ANSWER_YES,
	ANSWER_OPEN
};

static bool number_holds(const struct filter *filter, double number)
{
	if (filter->kind == FILTER_KIND_GREATER)
		return number > filter->literals[0].number;
	if (filter->kind == FILTER_KIND_LESS)
		return number < filter->literals[0].number;
	return true;
}

/* `kind` is one of the four that compare. */
static enum answer text_compares(enum filter_kind kind, const struct value *value, struct slice bound)
{
	bool holds;
	int order;

	if (!value_compare(value, bound, &order))
		return ANSWER_OPEN;
	if (kind == FILTER_KIND_GREATER || kind == FILTER_KIND_GREATER_EQUAL)
		holds = kind == FILTER_KIND_GREATER ? order > 0 : order >= 0;
	else
		holds = kind == FILTER_KIND_LESS ? order < 0 : order <= 0;
	return holds ? ANSWER_YES : ANSWER_NO;
}

static enum answer text_between(const struct filter *filter, const struct value *value)
{
	enum answer low = text_compares(FILTER_KIND_GREATER_EQUAL, value, filter->literals[0].folded);
	enum answer high = text_compares(FILTER_KIND_LESS_EQUAL, value, filter->literals[1].folded);

	if (low == ANSWER_NO || high == ANSWER_NO)
		return ANSWER_NO;
	return low == ANSWER_OPEN ? low : high;
}

static enum answer text_starts(const struct value *value, struct slice start)
{
	if (slice_starts_with(value->text, start))
		return ANSWER_YES;
	return value->is_cut && slice_starts_with(start, value->text) ? ANSWER_OPEN : ANSWER_NO;
}

static enum answer text_contains(const struct value *value, struct slice part)
{
	if (part.len == 0 ||
	    (value->text.len > 0 && memmem(value->text.ptr, value->text.len, part.ptr, part.len) != NULL))
		return ANSWER_YES;
	return value->is_cut ? ANSWER_OPEN : ANSWER_NO;
}

/* Whether documents with a key of the condition's ranges fulfil it. */
static enum answer key_holds(const struct filter *filter, struct slice key)
{
	struct value value;

	ASSERT(value_read(key, &value));
	if (value.kind == VALUE_KIND_POINT)
		return filter_place_holds(filter, &value.point) ? ANSWER_YES : ANSWER_NO;
	if (value.kind == VALUE_KIND_NUMBER)
		return number_holds(filter, value.number) ? ANSWER_YES : ANSWER_NO;
	if (filter->kind == FILTER_KIND_POLYGON)
		return ANSWER_OPEN; /* it has something where shapes are */
	if (value.kind != VALUE_KIND_STRING)
		return ANSWER_YES;
	switch (filter->kind) {
	case FILTER_KIND_GREATER:
	case FILTER_KIND_GREATER_EQUAL:
	case FILTER_KIND_LESS:
	case FILTER_KIND_LESS_EQUAL:
		return text_compares(filter->kind, &value, filter->literals[0].folded);
	case FILTER_KIND_BETWEEN:
		return text_between(filter, &value);
	case FILTER_KIND_STARTS_WITH:
		return text_starts(&value, filter->literals[0].folded);
	case FILTER_KIND_CONTAINS:
		return text_contains(&value, filter->literals[0].folded);
	default:
		return ANSWER_YES; /* the range is one key */
	}
}

static int source_range(struct condition *condition, struct value_source *source,
                        const struct value_range *range, struct error *error)
{
	struct filtering *filtering = condition->filtering;
	struct verdict *verdict = condition->verdict;
	struct posting_list list;
	int rc = value_source_seek(&filtering->sources, source, range, error);

	while (rc == 0 && source->has_key) {
		enum answer answer = key_holds(condition->filter, source->key);

		filtering->cost.keys++;
		rc = watch_step(filtering->cost.watch, 1, error);
		if (rc == 0 && answer != ANSWER_NO)
			rc = value_source_list(&filtering->sources, source, &list, error);
		if (answer != ANSWER_NO && rc == 0)
			rc = posting_list_numbers(
				&list, answer == ANSWER_YES ? &verdict->sure : &verdict->open, error);
		if (rc == 0)
			rc = value_source_next(source, error);
	}
	return rc;
}

/* In every source that covers the attribute. */
static int add_range(struct condition *condition, const struct value_range *range, struct error *error)
{
	struct values_sources *sources = &condition->filtering->sources;

	for (size_t i = 0; i < sources->len; i++)
		if (value_cover_has(sources->list[i].cover, condition->attribute) &&
		    source_range(condition, &sources->list[i], range, error) != 0)
			return error->code;
	return 0;
}

static int add_key(struct condition *condition, const struct value_key *key, struct error *error)
{
	struct value_range range = {*key, *key};

	return add_range(condition, &range, error);
}

static int add_kind(struct condition *condition, enum value_kind kind, struct error *error)
{
	struct value_key key;

	value_key_kind(&key, condition->attribute, kind);
	return add_key(condition, &key, error);
}

static int add_number(struct condition *condition, double number, struct error *error)
{
	struct value_key key;

	value_key_number(&key, condition->attribute, number);
	return add_key(condition, &key, error);
}

static int add_text(struct condition *condition, struct slice folded, struct error *error)
{
	struct value_key key;

	value_key_text(&key, condition->attribute, folded);
	return add_key(condition, &key, error);
}

/* From `low` to `high`, both or one of them; NULL: without end. */
static int add_numbers(struct condition *condition, const struct filter_literal *low,
                       const struct filter_literal *high, struct error *error)
{
	struct value_range range;

	if ((low != NULL && !low->is_number) || (high != NULL && !high->is_number))
		return 0;
	value_key_kind(&range.from, condition->attribute, VALUE_KIND_NUMBER);
	value_key_kind(&range.to, condition->attribute, VALUE_KIND_STRING);
	if (low != NULL)
		value_key_number(&range.from, condition->attribute, low->number);
	if (high != NULL)
		value_key_number(&range.to, condition->attribute, high->number);
	return add_range(condition, &range, error);
}

/* What keys of strings that are not below `folded` are not below. */
static void key_floor(struct value_key *key, uint16_t attribute, struct slice folded)
{
	size_t len = folded.len < VALUE_TEXT_BYTES_MAX ? folded.len : VALUE_TEXT_BYTES_MAX;

	value_key_text(key, attribute, slice_of(folded.ptr, len));
}

/* What keys of strings that begin with `folded`, or with what of it a key has, are not above: none has a byte 0xFF. */
static void key_ceiling(struct value_key *key, uint16_t attribute, struct slice folded)
{
	key_floor(key, attribute, folded);
	memset(key->bytes + key->len, 0xFF, VALUE_KEY_BYTES_MAX - key->len);
	key->len = VALUE_KEY_BYTES_MAX;
}

/* From `low` to `high`, or to the end of strings (NULL), as far as keys tell; key_holds looks at each. */
static int add_texts(struct condition *condition, struct slice low, const struct slice *high,
                     struct error *error)
{
	struct value_range range;

	key_floor(&range.from, condition->attribute, low);
	if (high == NULL)
		key_ceiling(&range.to, condition->attribute, slice_of("", 0));
	else if (high->len > VALUE_TEXT_BYTES_MAX)
		key_ceiling(&range.to, condition->attribute, *high);
	else
		value_key_text(&range.to, condition->attribute, *high);
	return add_range(condition, &range, error);
}

static int add_in(struct condition *condition, struct error *error)
{
	const struct filter *filter = condition->filter;

	for (size_t i = 0; i < filter->numbers_len; i++)
		if (add_number(condition, filter->numbers[i], error) != 0)
			return error->code;
	for (size_t i = 0; i < filter->literals_len; i++)
		if (add_text(condition, filter->literals[i].folded, error) != 0)
			return error->code;
	return 0;
}

static int add_equal(struct condition *condition, struct error *error)
{
	const struct filter_literal *literal = &condition->filter->literals[0];

	if (literal->is_number && add_number(condition, literal->number, error) != 0)
		return error->code;
	return add_text(condition, literal->folded, error);
}

/* Numbers and strings between two literals, of which one may be NULL. */
static int add_between(struct condition *condition, const struct filter_literal *low,
                       const struct filter_literal *high, struct error *error)
{
	if (add_numbers(condition, low, high, error) != 0)
		return error->code;
	return add_texts(condition, low == NULL ? slice_of("", 0) : low->folded,
	                 high == NULL ? NULL : &high->folded, error);
}

static int add_starts(struct condition *condition, struct error *error)
{
	struct slice start = condition->filter->literals[0].folded;
	struct value_range range;

	if (start.len == 0)
		return add_kind(condition, VALUE_KIND_EXISTS, error);
	key_floor(&range.from, condition->attribute, start);
	key_ceiling(&range.to, condition->attribute, start);
	return add_range(condition, &range, error);
}

/* Points whose latitude is from `low` to `high`, as far as keys tell; key_holds looks at each. */
static int add_points(struct condition *condition, double low, double high, struct error *error)
{
	struct value_range range;

	value_key_point(&range.from, condition->attribute, &(struct point){low, -INFINITY});
	value_key_point(&range.to, condition->attribute, &(struct point){high, INFINITY});
	return add_range(condition, &range, error);
}

/* What is beyond the poles comes down again somewhere else. */
static int add_place(struct condition *condition, struct error *error)
{
	double low;
	double high;

	filter_place_band(condition->filter, &low, &high);
	if (add_points(condition, low, high, error) != 0 ||
	    add_points(condition, -INFINITY, fmin(low, -90), error) != 0)
		return error->code;
	return add_points(condition, fmax(high, 90), INFINITY, error);
}

static int condition_add(struct condition *condition, struct error *error)
{
	const struct filter_literal *literals = condition->filter->literals;

	switch (condition->filter->kind) {
	case FILTER_KIND_EQUAL:
	case FILTER_KIND_NOT_EQUAL:
		return add_equal(condition, error);
	case FILTER_KIND_GREATER:
	case FILTER_KIND_GREATER_EQUAL:
		return add_between(condition, &literals[0], NULL, error);
	case FILTER_KIND_LESS:
	case FILTER_KIND_LESS_EQUAL:
		return add_between(condition, NULL, &literals[0], error);
	case FILTER_KIND_BETWEEN:
		return add_between(condition, &literals[0], &literals[1], error);
	case FILTER_KIND_IN:
		return add_in(condition, error);
	case FILTER_KIND_CONTAINS:
		return add_texts(condition, slice_of("", 0), NULL, error);
	case FILTER_KIND_STARTS_WITH:
		return add_starts(condition, error);
	case FILTER_KIND_EXISTS:
	case FILTER_KIND_POLYGON:
		return add_kind(condition, VALUE_KIND_EXISTS, error);
	case FILTER_KIND_NULL:
		return add_kind(condition, VALUE_KIND_NULL, error);
	case FILTER_KIND_RADIUS:
	case FILTER_KIND_BOX:
		return add_place(condition, error);
	default:
		ASSERT(condition->filter->kind == FILTER_KIND_EMPTY);
		return add_kind(condition, VALUE_KIND_EMPTY, error);
	}
}

/* Documents of the sources that do not cover the attribute. */
static int add_uncovered(struct condition *condition, bool known, struct error *error)
{
	struct filtering *filtering = condition->filtering;
	const struct postings *numbers;

	for (size_t i = 0; i < filtering->sources.len; i++) {
		if (known && value_cover_has(filtering->sources.list[i].cover, condition->attribute))
			continue;
		if (filtering_listed(filtering, i, &numbers, error) != 0)
			return error->code;
		postings_or(&condition->verdict->open, numbers);
	}
	return 0;
}

int filtering_condition(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                        struct error *error)
{
	const struct attribute *attribute = attributes_find(filtering->snapshot->attributes, filter->field);
	struct condition condition = {.filtering = filtering, .filter = filter, .verdict = verdict};

	verdict->inverted = filter->kind == FILTER_KIND_NOT_EQUAL;
	if (attribute != NULL) {
		condition.attribute = attribute->number;
		if (condition_add(&condition, error) != 0)
			return error->code;
		postings_and_not(&verdict->open, &verdict->sure);
	}
	return add_uncovered(&condition, attribute != NULL, error);
}
