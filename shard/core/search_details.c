#include "shard/core/search_details.h"

#include "shard/core/words_number.h"
#include "shared/json/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void search_number_append(double number, struct buffer *json)
{
	char text[NUMBER_BYTES_MAX];
	char shortest[NUMBER_BYTES_MAX];
	int len = snprintf(text, sizeof text, "%.16e", number);

	buffer_append_slice(json, words_number(slice_of(text, (size_t)len), shortest));
}

/* ---- rules about words ---- */

static const char *rank_name(enum rank_rule rule)
{
	static const char *const names[] = {
		[RANK_WORDS] = "words",
		[RANK_TYPO] = "typo",
		[RANK_PROXIMITY] = "proximity",
		[RANK_ATTRIBUTE_RANK] = "attributeRank",
		[RANK_WORD_POSITION] = "wordPosition",
		[RANK_ATTRIBUTE] = "attribute",
		[RANK_EXACTNESS] = "exactness",
	};

	return names[rule];
}

static void exactness_append(const struct rank_pair pairs[2], struct buffer *json)
{
	static const char *const types[] = {"noExactMatch", "matchesStart", "exactMatch"};

	buffer_printf(json, ",\"matchType\":\"%s\"", types[pairs[0].rank - 1]);
	if (pairs[0].rank == 1)
		buffer_printf(json, ",\"matchingWords\":%" PRIu32 ",\"maxMatchingWords\":%" PRIu32,
		              pairs[1].rank - 1, pairs[1].highest - 1);
}

static void attribute_append(const struct rank_pair pairs[2], struct buffer *json)
{
	buffer_append_string(json, ",\"attributeRankingOrderScore\":");
	search_number_append(rank_score(&pairs[0], 1), json);
	buffer_append_string(json, ",\"queryWordDistanceScore\":");
	search_number_append(rank_score(&pairs[1], 1), json);
}

static void rank_append(enum rank_rule rule, size_t order, const struct search_cost *cost,
                        struct buffer *json)
{
	const struct rank_pair *pairs = cost->pairs;

	buffer_printf(json, "\"%s\":{\"order\":%zu", rank_name(rule), order);
	if (rule == RANK_WORDS)
		buffer_printf(json, ",\"matchingWords\":%" PRIu32 ",\"maxMatchingWords\":%" PRIu32,
		              pairs[0].rank, pairs[0].highest);
	else if (rule == RANK_TYPO)
		buffer_printf(json, ",\"typoCount\":%" PRIu32 ",\"maxTypoCount\":%" PRIu32, cost->cost,
		              pairs[0].highest - 1);
	else if (rule == RANK_ATTRIBUTE)
		attribute_append(pairs, json);
	else if (rule == RANK_EXACTNESS)
		exactness_append(pairs, json);
	buffer_append_string(json, ",\"score\":");
	search_number_append(rank_rule_score(rule, pairs), json);
	buffer_append_string(json, "}");
}

/* ---- sorts ---- */

static bool is_displayed(const struct settings_texts *displayed, struct slice path)
{
	for (size_t i = 0; i < displayed->len; i++)
		if (slice_equal(displayed->list[i], slice_string("*")) ||
		    settings_covers(displayed->list[i], path))
			return true;
	return false;
}

static void field_append(const struct search_rule *rule, size_t order, const struct sort_value *value,
                         struct buffer *json)
{
	json_append_string(json, rule->path);
	if (json->len > 0)
		json->len--; /* the quotation mark goes behind the direction */
	buffer_printf(json, ":%s\":{\"order\":%zu,\"value\":", rule->falling ? "desc" : "asc", order);
	if (value->kind == SORT_KIND_NUMBER)
		search_number_append(value->number, json);
	else if (value->kind == SORT_KIND_STRING)
		json_append_string(json, value->text);
	else
		buffer_append_string(json, "null");
	buffer_append_string(json, "}");
}

/* As it is named: without a point if it is whole. */
static void degrees_append(double degrees, struct buffer *json)
{
	if (degrees == floor(degrees))
		buffer_printf(json, "%.0f", degrees);
	else
		search_number_append(degrees, json);
}

static void millimetres_append(double metres, struct buffer *json)
{
	char text[NUMBER_BYTES_MAX];
	char shortest[NUMBER_BYTES_MAX];
	int len = snprintf(text, sizeof text, "%.3f", metres);

	buffer_append_slice(json, words_number(slice_of(text, (size_t)len), shortest));
}

static void point_append(const struct search_rule *rule, size_t order, const struct search_cost *cost,
                         struct buffer *json)
{
	buffer_append_string(json, "\"_geoPoint(");
	degrees_append(rule->lat + 0.0, json);
	buffer_append_string(json, ", ");
	degrees_append(rule->lng + 0.0, json);
	buffer_printf(json, "):%s\":{\"order\":%zu,\"value\":", rule->falling ? "desc" : "asc", order);
	if (!cost->has_place) {
		buffer_append_string(json, "null,\"distance\":null}");
		return;
	}
	buffer_append_string(json, "{\"lat\":");
	search_number_append(cost->lat, json);
	buffer_append_string(json, ",\"lng\":");
	search_number_append(cost->lng, json);
	buffer_append_string(json, "},\"distance\":");
	millimetres_append(cost->metres, json);
	buffer_append_string(json, "}");
}

/* ---- all of it ---- */

void search_details_append(const struct search_rules *rules, const struct settings_texts *displayed,
                           const struct search_hit *hit, struct buffer *json)
{
	buffer_append_string(json, "{");
	for (size_t i = 0; i < hit->ranked; i++) {
		const struct search_rule *rule = &rules->list[i];
		const struct search_cost *cost = &hit->costs[i];

		if (i > 0)
			buffer_append_string(json, ",");
		if (rule->kind == SEARCH_RULE_RANK)
			rank_append(rule->rank, i, cost, json);
		else if (rule->kind == SEARCH_RULE_POINT)
			point_append(rule, i, cost, json);
		else if (is_displayed(displayed, rule->path))
			field_append(rule, i, &cost->value, json);
		else
			buffer_printf(json, "\"<hidden-rule-%zu>\":{\"order\":%zu,\"value\":\"<hidden>\"}", i,
			              i);
	}
	if (hit->ranked < rules->len)
		buffer_printf(json, "%s\"skipped\":{\"order\":%zu}", hit->ranked > 0 ? "," : "", hit->ranked);
	buffer_append_string(json, "}");
}

/* A rule about words has one pair at least; more only if they tell something. */
static void pairs_append(const struct rank_pair pairs[2], struct buffer *json)
{
	for (size_t i = 0; i < 2; i++)
		if (i == 0 || pairs[i].highest > 1)
			buffer_printf(json, "%s[%" PRIu32 ",%" PRIu32 "]", i == 0 ? "" : ",", pairs[i].rank,
			              pairs[i].highest);
}

void search_pairs_append(const struct search_rules *rules, const struct search_hit *hit, struct buffer *json)
{
	struct slice rank = hit->rank;

	buffer_append_string(json, "[");
	for (size_t i = 0; i < hit->ranked; i++) {
		struct slice part = search_rank_take(&rules->list[i], &rank);

		buffer_append_string(json, i > 0 ? "," : "");
		if (rules->list[i].kind == SEARCH_RULE_RANK)
			pairs_append(hit->costs[i].pairs, json);
		else
			search_hex_append(part, json);
	}
	if (hit->ranked < rules->len)
		buffer_printf(json, "%s[%" PRIu32 ",%" PRIu32 "]", hit->ranked > 0 ? "," : "",
		              SEARCH_SKIPPED.rank, SEARCH_SKIPPED.highest);
	buffer_append_string(json, "]");
}

void search_hex_append(struct slice bytes, struct buffer *json)
{
	static const char digits[] = "0123456789abcdef";

	buffer_append_string(json, "\"");
	for (size_t i = 0; i < bytes.len; i++) {
		buffer_put_u8(json, (uint8_t)digits[bytes.ptr[i] >> 4]);
		buffer_put_u8(json, (uint8_t)digits[bytes.ptr[i] & 0xf]);
	}
	buffer_append_string(json, "\"");
}
