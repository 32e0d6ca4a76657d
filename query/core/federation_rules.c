#include "query/core/federation_rules.h"

#include <stdio.h>

/* Resolves the rules of one query. */
struct resolving {
	struct federation_rules *rules;
	unsigned words_seen;                       /* a bit a kind */
	struct slice sorted[FEDERATION_RULES_MAX]; /* a field, or a point with its direction */
	size_t sorted_len;
};

static bool has_end(struct slice text, const char *end)
{
	size_t len = strlen(end);

	return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* What stands there already counts alone. */
static void add_sort(struct resolving *resolving, struct slice sorted, enum federation_rule rule)
{
	for (size_t i = 0; i < resolving->sorted_len; i++)
		if (slice_equal(resolving->sorted[i], sorted))
			return;
	if (resolving->rules->len == FEDERATION_RULES_MAX)
		return;
	resolving->sorted[resolving->sorted_len++] = sorted;
	resolving->rules->list[resolving->rules->len++] = rule;
}

static void add_criterion(struct resolving *resolving, struct slice criterion)
{
	bool falling = has_end(criterion, ":desc");
	size_t direction = strlen(falling ? ":desc" : ":asc");

	if (slice_starts_with(criterion, slice_string("_geoPoint(")))
		add_sort(resolving, criterion, falling ? FEDERATION_RULE_FARTHEST : FEDERATION_RULE_NEAREST);
	else
		add_sort(resolving, slice_of(criterion.ptr, criterion.len - direction),
		         falling ? FEDERATION_RULE_FALLING : FEDERATION_RULE_RISING);
}

static unsigned bit_of(enum settings_rule_kind kind)
{
	return 1U << kind;
}

/* A rule counts once; `words` comes before the first, but with strategy `all`. */
static void add_words(struct resolving *resolving, enum settings_rule_kind kind, bool all)
{
	struct federation_rules *rules = resolving->rules;

	if ((all && kind == SETTINGS_RULE_WORDS) || (resolving->words_seen & bit_of(kind)) != 0)
		return;
	resolving->words_seen |= bit_of(kind) | bit_of(SETTINGS_RULE_WORDS);
	if (rules->len == FEDERATION_RULES_MAX ||
	    (rules->len > 0 && rules->list[rules->len - 1] == FEDERATION_RULE_WORDS))
		return;
	rules->list[rules->len++] = FEDERATION_RULE_WORDS;
}

void federation_rules_of(const struct settings *settings, const struct search_request *search,
                         struct federation_rules *rules)
{
	struct resolving resolving = {.rules = rules};
	struct error_answer refusal;
	struct search_check check = {.settings = settings, .refusal = &refusal};

	rules->len = 0;
	if (search_check_sort_syntax(&check, &search->sort, "invalid_search_sort") < 0)
		return;
	for (size_t i = 0; i < settings->rules.len; i++) {
		const struct settings_rule *rule = &settings->rules.list[i];

		if (rule->kind == SETTINGS_RULE_SORT)
			for (size_t k = 0; k < search->sort.len; k++)
				add_criterion(&resolving, search->sort.list[k]);
		else if (rule->kind == SETTINGS_RULE_ASC)
			add_sort(&resolving, rule->field, FEDERATION_RULE_RISING);
		else if (rule->kind == SETTINGS_RULE_DESC)
			add_sort(&resolving, rule->field, FEDERATION_RULE_FALLING);
		else if (search->q.len > 0)
			add_words(&resolving, rule->kind, search->by_all);
	}
}

/* ---- comparing ---- */

static const struct {
	const char *name;
	const char *family;
	int rank; /* a reason names the lower one first */
} kinds[] = {
	[FEDERATION_RULE_WORDS] = {"relevancy", "relevancy", 0},
	[FEDERATION_RULE_RISING] = {"ascending sort", "sort", 1},
	[FEDERATION_RULE_FALLING] = {"descending sort", "sort", 1},
	[FEDERATION_RULE_NEAREST] = {"ascending geo sort", "geosort", 2},
	[FEDERATION_RULE_FARTHEST] = {"descending geo sort", "geosort", 2},
};

static int refuse(const struct federation_rules *before, const struct federation_rules *rules, size_t at,
                  struct error_answer *refusal)
{
	enum federation_rule one = before->list[at];
	enum federation_rule other = rules->list[at];
	enum federation_rule low = kinds[one].rank < kinds[other].rank ? one : other;
	enum federation_rule high = low == one ? other : one;
	struct slice uid = slice_within(before->uid, PARAMETER_ECHO_BYTES_MAX);
	struct slice other_uid = slice_within(rules->uid, PARAMETER_ECHO_BYTES_MAX);
	bool alike = kinds[one].rank == kinds[other].rank;
	char reason[96];

	if (alike)
		(void)snprintf(reason, sizeof reason, "two %s rules in opposite directions",
		               kinds[one].family);
	else
		(void)snprintf(reason, sizeof reason, "a %s rule with a %s rule", kinds[low].family,
		               kinds[high].family);
	return error_answer_set(
		refusal, "invalid_multi_search_query_ranking_rules",
		"The results of queries #%zu and #%zu are incompatible: \n  1. `queries[%zu]`, `%.*s`: %s\n"
		"  2. `queries[%zu]`, `%.*s`: %s\n  - cannot compare %s\n",
		before->query, rules->query, before->query, SLICE_ARGS(uid), kinds[one].name, rules->query,
		SLICE_ARGS(other_uid), kinds[other].name, reason);
}

int federation_rules_compare(const struct federation_rules *before, const struct federation_rules *rules,
                             struct error_answer *refusal)
{
	for (size_t i = 0; i < before->len && i < rules->len; i++)
		if (before->list[i] != rules->list[i])
			return refuse(before, rules, i, refusal);
	return 0;
}
