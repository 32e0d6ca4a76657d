/* Rules that sort: what they order documents by, as costs inside one snapshot and as bytes that any two compare by. */
#include "shard/core/search_private.h"

#include "shard/core/snapshot_points.h"

#include <stdlib.h>

/* Of a string in `rank`: ends with 00 00; 00 is written 00 FF. */
#define RANK_NUMBER_BYTES 8
#define RANK_COST_BYTES 4
#define DISTANCE_NONE UINT32_MAX

/* ---- costs ---- */

static int rising_compare(const void *a, const void *b)
{
	const struct sort_entry *const *left = a;
	const struct sort_entry *const *right = b;

	return sort_value_compare(&(*left)->value, &(*right)->value, false);
}

static int falling_compare(const void *a, const void *b)
{
	const struct sort_entry *const *left = a;
	const struct sort_entry *const *right = b;

	return sort_value_compare(&(*left)->value, &(*right)->value, true);
}

/* The place of each document's value among all of them. */
static int values_number(struct search *search, const struct sort_entry *entries, size_t len, bool falling,
                         uint32_t *costs)
{
	const struct sort_entry **sorted = arena_alloc(search->arena, (len + 1) * sizeof *sorted);
	uint32_t cost = 0;

	if (sorted == NULL)
		return -1;
	for (size_t i = 0; i < len; i++)
		sorted[i] = &entries[i];
	qsort(sorted, len, sizeof *sorted, falling ? falling_compare : rising_compare);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && rising_compare(&sorted[i - 1], &sorted[i]) != 0)
			cost++;
		costs[sorted[i] - entries] = cost;
	}
	return 0;
}

static int field_order(struct search *search, size_t rule, const struct postings *group,
                       struct search_order *order, struct error *error)
{
	const struct search_rule *by = &search->request->rules[rule];
	struct sort_request request = {.words = search->request->words,
	                               .path = by->path,
	                               .falling = by->falling,
	                               .within = group,
	                               .watch = search->request->watch,
	                               .arena = search->arena};
	uint64_t bodies = 0;

	if (snapshot_sort(search->reading.snapshot, &request, &order->values[rule], &bodies, error) != 0)
		return error->code;
	if (values_number(search, order->values[rule], order->len, by->falling, order->costs[rule]) != 0)
		return error_memory(error, order->len * sizeof(void *));
	return 0;
}

static double metres_of(const struct search_rule *rule, const struct point_entry *entry)
{
	struct point from = {rule->lat, rule->lng};

	return point_distance(&from, &entry->point);
}

static int point_order(struct search *search, size_t rule, const struct postings *group,
                       struct search_order *order, struct error *error)
{
	const struct search_rule *by = &search->request->rules[rule];
	struct points points;

	if (snapshot_points(search->reading.snapshot, group, search->arena, &points, error) != 0)
		return error->code;
	order->points[rule] = points.list;
	for (size_t i = 0; i < order->len; i++) {
		const struct point_entry *entry = &order->points[rule][i];
		uint32_t metres = entry->has_point ? (uint32_t)point_whole_metres(metres_of(by, entry)) : 0;

		order->costs[rule][i] = !entry->has_point ? DISTANCE_NONE
		                        : by->falling     ? DISTANCE_NONE - 1 - metres
		                                          : metres;
	}
	return 0;
}

int search_order_make(struct search *search, const struct postings *group, struct search_order *order,
                      struct error *error)
{
	const struct search_request *request = search->request;

	*order = (struct search_order){0};
	for (size_t i = 0; i < request->rules_len; i++) {
		int rc;

		if (request->rules[i].kind == SEARCH_RULE_RANK)
			continue;
		if (order->numbers == NULL) {
			order->len = (size_t)postings_count(group);
			order->numbers =
				arena_alloc(search->arena, (order->len + 1) * sizeof *order->numbers);
			if (order->numbers == NULL)
				return error_memory(error, order->len * sizeof *order->numbers);
			postings_list(group, order->numbers);
		}
		order->costs[i] = arena_alloc(search->arena, (order->len + 1) * sizeof *order->costs[i]);
		if (order->costs[i] == NULL)
			return error_memory(error, order->len * sizeof *order->costs[i]);
		rc = request->rules[i].kind == SEARCH_RULE_FIELD
		             ? field_order(search, i, group, order, error)
		             : point_order(search, i, group, order, error);
		if (rc != 0)
			return rc;
	}
	return 0;
}

size_t search_order_at(const struct search_order *order, uint64_t number)
{
	size_t low = 0;
	size_t high = order->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order->numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void search_order_cost(const struct search *search, const struct search_order *order, size_t rule, size_t at,
                       struct search_cost *cost)
{
	const struct search_rule *by = &search->request->rules[rule];

	if (by->kind == SEARCH_RULE_FIELD) {
		cost->value = order->values[rule][at].value;
		return;
	}
	cost->has_place = order->points[rule][at].has_point;
	if (!cost->has_place)
		return;
	cost->lat = order->points[rule][at].point.lat;
	cost->lng = order->points[rule][at].point.lng;
	cost->metres = metres_of(by, &order->points[rule][at]);
}

/* ---- bytes ---- */

static uint64_t number_bits(double number)
{
	uint64_t bits;

	if (number == 0)
		number = 0; /* of either sign */
	memcpy(&bits, &number, sizeof bits);
	return bits >> 63 != 0 ? ~bits : bits | 1ULL << 63;
}

static size_t value_bytes(const struct sort_value *value, uint8_t *to)
{
	uint64_t bits = number_bits(value->number);
	size_t len = 0;

	if (value->kind == SORT_KIND_NUMBER)
		for (; len < RANK_NUMBER_BYTES; len++)
			to[len] = (uint8_t)(bits >> 8 * (RANK_NUMBER_BYTES - 1 - len));
	if (value->kind != SORT_KIND_STRING)
		return len;
	for (size_t i = 0; i < value->text.len; i++) {
		to[len++] = value->text.ptr[i];
		if (value->text.ptr[i] == 0)
			to[len++] = 0xFF;
	}
	to[len++] = 0;
	to[len++] = 0;
	return len;
}

static size_t value_rank(const struct sort_value *value, bool falling, uint8_t *to)
{
	size_t len = value_bytes(value, to + 1);

	to[0] = (uint8_t)value->kind;
	for (size_t i = 1; falling && i <= len; i++)
		to[i] = (uint8_t)~to[i];
	return len + 1;
}

static size_t cost_rank(uint32_t cost, uint8_t *to)
{
	for (size_t i = 0; i < RANK_COST_BYTES; i++)
		to[i] = (uint8_t)(cost >> 8 * (RANK_COST_BYTES - 1 - i));
	return RANK_COST_BYTES;
}

int search_order_rank(const struct search *search, const struct search_order *order,
                      const struct search_scored *scored, struct slice *rank, struct error *error)
{
	const struct search_request *request = search->request;
	size_t at = search_order_at(order, scored->number);
	size_t most = 0;
	size_t len = 0;
	uint8_t *to;

	for (size_t i = 0; i < request->rules_len; i++)
		most += request->rules[i].kind == SEARCH_RULE_FIELD
		                ? 3 + RANK_NUMBER_BYTES + 2 * order->values[i][at].value.text.len
		                : RANK_COST_BYTES;
	to = arena_alloc(search->arena, most + 1);
	if (to == NULL)
		return error_memory(error, most);
	for (size_t i = 0; i < request->rules_len; i++)
		len += request->rules[i].kind == SEARCH_RULE_FIELD
		               ? value_rank(&order->values[i][at].value, request->rules[i].falling, to + len)
		               : cost_rank(scored->costs[i], to + len);
	*rank = slice_of(to, len);
	return 0;
}

int search_order_skip(const struct search *search, const struct search_scored *scored, size_t known,
                      struct slice *rank, struct error *error)
{
	/* nothing that is ranked has as many bytes FF in a row */
	size_t len = search->request->rules_len * RANK_COST_BYTES + 1;
	uint8_t *to = arena_alloc(search->arena, len);

	if (to == NULL)
		return error_memory(error, len);
	memset(to, 0xFF, len);
	for (size_t i = 0; i < known; i++)
		(void)cost_rank(scored->costs[i], to + i * RANK_COST_BYTES);
	*rank = slice_of(to, len);
	return 0;
}

/* Bytes of a string up to its end, which no other two bytes of it are. */
static size_t text_bytes(struct slice rank, bool falling)
{
	uint8_t end = falling ? 0xFF : 0;
	size_t at = 0;

	while (at + 1 < rank.len && !(rank.ptr[at] == end && rank.ptr[at + 1] == end))
		at += rank.ptr[at] == end ? 2 : 1;
	return at + 2;
}

struct slice search_rank_take(const struct search_rule *rule, struct slice *rank)
{
	size_t len = RANK_COST_BYTES;
	struct slice taken;

	if (rule->kind == SEARCH_RULE_FIELD && rank->len > 0) {
		enum sort_kind kind = (enum sort_kind)rank->ptr[0];

		len = 1;
		if (kind == SORT_KIND_NUMBER)
			len += RANK_NUMBER_BYTES;
		else if (kind == SORT_KIND_STRING)
			len += text_bytes(slice_of(rank->ptr + 1, rank->len - 1), rule->falling);
	}
	len = len < rank->len ? len : rank->len;
	taken = slice_of(rank->ptr, len);
	*rank = slice_of(rank->ptr + len, rank->len - len);
	return taken;
}
