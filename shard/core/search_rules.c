#include "shard/core/search_rules.h"

#include "shared/base/decimal.h"

#define ECHO_BYTES_MAX 128

bool search_rules_have(const struct search_rules *rules, enum rank_rule rank)
{
	for (size_t i = 0; i < rules->len; i++)
		if (rules->list[i].kind == SEARCH_RULE_RANK && rules->list[i].rank == rank)
			return true;
	return false;
}

const struct search_rule *search_rules_point(const struct search_rules *rules)
{
	for (size_t i = 0; i < rules->len; i++)
		if (rules->list[i].kind == SEARCH_RULE_POINT)
			return &rules->list[i];
	return NULL;
}

/* ---- sorts ---- */

/* A field once; a point once in each direction. */
static bool is_same(const struct search_rule *a, const struct search_rule *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == SEARCH_RULE_FIELD)
		return slice_equal(a->path, b->path);
	return a->falling == b->falling && a->lat == b->lat && a->lng == b->lng;
}

static int sort_add(struct search_rules *rules, const struct search_rule *sort, struct error *error)
{
	size_t sorts = 0;

	for (size_t i = 0; i < rules->len; i++) {
		if (rules->list[i].kind == SEARCH_RULE_RANK)
			continue;
		if (is_same(&rules->list[i], sort))
			return 0;
		sorts++;
	}
	if (sorts == SEARCH_SORTS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "more than %d sorts",
		                 SEARCH_SORTS_MAX);
	rules->list[rules->len++] = *sort;
	return 0;
}

static bool ends_with(struct slice *text, const char *end)
{
	size_t len = strlen(end);

	if (text->len < len || memcmp(text->ptr + text->len - len, end, len) != 0)
		return false;
	text->len -= len;
	return true;
}

/* One of the two between the parentheses. */
static bool degrees_of(struct slice text, double most, double *degrees)
{
	while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t'))
		text = slice_of(text.ptr + 1, text.len - 1);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return decimal_parse(text, degrees) && *degrees >= -most && *degrees <= most;
}

/* `_geoPoint(lat, lng)`; else the field of that name. False for a point that is none. */
static bool name_parse(struct slice name, struct search_rule *sort)
{
	static const char head[] = "_geoPoint(";
	struct slice inside = name;
	const uint8_t *comma;
	size_t first;

	sort->kind = SEARCH_RULE_FIELD;
	sort->path = name;
	if (!slice_starts_with(name, slice_string(head)))
		return true;
	sort->kind = SEARCH_RULE_POINT;
	sort->path = (struct slice){0};
	if (!ends_with(&inside, ")"))
		return false;
	inside = slice_of(inside.ptr + strlen(head), inside.len - strlen(head));
	comma = memchr(inside.ptr, ',', inside.len);
	if (comma == NULL)
		return false;
	first = (size_t)(comma - inside.ptr);
	return degrees_of(slice_of(inside.ptr, first), 90, &sort->lat) &&
	       degrees_of(slice_of(comma + 1, inside.len - first - 1), 180, &sort->lng);
}

static int sorts_add(struct search_rules *rules, const struct settings_texts *texts, struct error *error)
{
	for (size_t i = 0; i < texts->len; i++) {
		struct slice shown = slice_within(texts->list[i], ECHO_BYTES_MAX);
		struct slice name = texts->list[i];
		struct search_rule sort = {.kind = SEARCH_RULE_FIELD};

		sort.falling = ends_with(&name, ":desc");
		if ((!sort.falling && !ends_with(&name, ":asc")) || !name_parse(name, &sort))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "`%.*s` is nothing to sort by", SLICE_ARGS(shown));
		if (sort_add(rules, &sort, error) != 0)
			return error->code;
	}
	return 0;
}

/* ---- rules about words ---- */

static void rank_add(struct search_rules *rules, enum rank_rule rank, enum rank_strategy strategy)
{
	if (search_rules_have(rules, rank))
		return;
	if (strategy != RANK_ALL && !search_rules_have(rules, RANK_WORDS))
		rules->list[rules->len++] =
			(struct search_rule){.kind = SEARCH_RULE_RANK, .rank = RANK_WORDS};
	if (rank != RANK_WORDS)
		rules->list[rules->len++] = (struct search_rule){.kind = SEARCH_RULE_RANK, .rank = rank};
}

static enum rank_rule rank_of(enum settings_rule_kind kind)
{
	switch (kind) {
	case SETTINGS_RULE_TYPO:
		return RANK_TYPO;
	case SETTINGS_RULE_PROXIMITY:
		return RANK_PROXIMITY;
	case SETTINGS_RULE_ATTRIBUTE:
		return RANK_ATTRIBUTE;
	case SETTINGS_RULE_ATTRIBUTE_RANK:
		return RANK_ATTRIBUTE_RANK;
	case SETTINGS_RULE_WORD_POSITION:
		return RANK_WORD_POSITION;
	case SETTINGS_RULE_EXACTNESS:
		return RANK_EXACTNESS;
	default:
		return RANK_WORDS;
	}
}

int search_rules_resolve(const struct search_rules_request *request, struct search_rules *rules,
                         struct error *error)
{
	*rules = (struct search_rules){.len = 0};
	if (request->ranking == NULL)
		return sorts_add(rules, &request->sort, error);
	for (size_t i = 0; i < request->ranking->len; i++) {
		const struct settings_rule *rule = &request->ranking->list[i];
		struct search_rule sort = {.kind = SEARCH_RULE_FIELD,
		                           .falling = rule->kind == SETTINGS_RULE_DESC,
		                           .path = rule->field};
		int rc = 0;

		if (rule->kind == SETTINGS_RULE_SORT)
			rc = sorts_add(rules, &request->sort, error);
		else if (rule->kind == SETTINGS_RULE_ASC || rule->kind == SETTINGS_RULE_DESC)
			rc = sort_add(rules, &sort, error);
		else if (request->has_terms)
			rank_add(rules, rank_of(rule->kind), request->strategy);
		if (rc != 0)
			return rc;
	}
	return 0;
}
