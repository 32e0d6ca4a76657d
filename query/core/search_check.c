#include "query/core/search_check.h"

#include "shared/base/decimal.h"
#include "shared/filter/filter.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#define LATITUDE_MAX 90
#define LONGITUDE_MAX 180

/* ---- refusals ---- */

/* What the settings do not allow. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct search_check *check, const char *code,
                                                        const char *format, ...)
{
	char text[ERROR_ANSWER_MESSAGE_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (check->uid.ptr == NULL)
		return error_answer_set(check->refusal, code, "%s", text);
	return error_answer_set(check->refusal, code, "Index `%.*s`: %s", SLICE_ARGS(check->uid), text);
}

static int refuse_memory(const struct search_check *check)
{
	return error_answer_set(check->refusal, "internal", "out of memory for the check of a search");
}

static int compare_names(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

const char *search_check_listed(const struct search_check *check, const struct search_names *names,
                                const char *quote)
{
	struct slice *sorted = arena_alloc(check->arena, (names->len + 1) * sizeof sorted[0]);
	struct slice kept = slice_string("");
	struct buffer text;

	if (sorted == NULL)
		return "";
	if (names->len > 0)
		memcpy(sorted, names->list, names->len * sizeof sorted[0]);
	qsort(sorted, names->len, sizeof sorted[0], compare_names);
	buffer_init(&text, SIZE_MAX);
	/* no message has room for more */
	for (size_t i = 0; i < names->len && text.len < ERROR_ANSWER_MESSAGE_BYTES_MAX; i++)
		if (i == 0 || !slice_equal(sorted[i], sorted[i - 1]))
			buffer_printf(&text, "%s%s%.*s%s", i > 0 ? ", " : "", quote, SLICE_ARGS(sorted[i]),
			              quote);
	buffer_put_u8(&text, '\0');
	if (buffer_failed(&text) || !arena_copy(check->arena, buffer_slice(&text), &kept))
		kept = slice_string("");
	buffer_deinit(&text);
	return (const char *)kept.ptr;
}

/* The filterable patterns as set. */
static const char *filterables_listed(const struct search_check *check, const char *quote)
{
	const struct settings_filterables *rules = &check->settings->filterable;
	struct slice *all;
	size_t len = 0;

	for (size_t i = 0; i < rules->len; i++)
		len += rules->list[i].patterns.len;
	all = arena_alloc(check->arena, (len + 1) * sizeof all[0]);
	if (all == NULL)
		return "";
	len = 0;
	for (size_t i = 0; i < rules->len; i++)
		for (size_t p = 0; p < rules->list[i].patterns.len; p++)
			all[len++] = rules->list[i].patterns.list[p];
	return search_check_listed(check, &(struct search_names){all, len}, quote);
}

static struct slice shown(struct slice name)
{
	return slice_within(name, PARAMETER_ECHO_BYTES_MAX);
}

/* ---- vectors ---- */

int search_check_kind(const struct search_check *check, const struct search_request *request)
{
	struct slice embedder = shown(request->embedder);

	switch (request->kind) {
	case SEARCH_KIND_MEDIA_AND_VECTOR:
		return error_answer_set(check->refusal, "invalid_search_media_and_vector",
		                        "Invalid request: both `media` and `vector` parameters are present.");
	case SEARCH_KIND_NO_EMBEDDER:
		return error_answer_set(check->refusal, "missing_search_hybrid",
		                        "Invalid request: missing `hybrid` parameter when `vector` or "
		                        "`media` are present.");
	case SEARCH_KIND_EMBEDDER:
		return error_answer_set(check->refusal, "invalid_search_embedder",
		                        "Cannot find embedder with name `%.*s`.", SLICE_ARGS(embedder));
	case SEARCH_KIND_MEDIA:
		return error_answer_set(
			check->refusal, "feature_not_enabled",
			"passing `media` in a search query requires enabling the `multimodal` experimental "
			"feature. See https://github.com/orgs/meilisearch/discussions/846");
	case SEARCH_KIND_WORDS:
		break;
	}
	return 0;
}

/* ---- attributes to search on ---- */

static bool contains(const struct settings_texts *texts, struct slice name)
{
	for (size_t i = 0; i < texts->len; i++)
		if (slice_equal(texts->list[i], name))
			return true;
	return false;
}

static bool is_everything(const struct settings_texts *texts)
{
	return contains(texts, slice_string("*"));
}

static bool is_searchable(const struct settings *settings, struct slice name)
{
	if (memchr(name.ptr, '*', name.len) != NULL)
		return true;
	for (size_t i = 0; i < settings->searchable.len; i++)
		if (settings_covers(settings->searchable.list[i], name))
			return true;
	return false;
}

static const char refused_names[] = "invalid_search_attributes_to_search_on";

bool search_check_lists_known(const struct error_answer *refusal)
{
	return strcmp(refusal->code, refused_names) == 0;
}

/* Of entries of the settings, and of known paths below one, those that are displayed; how many. */
static size_t fill_visible(const struct search_check *check, struct slice *visible, bool *hidden)
{
	const struct settings *settings = check->settings;
	bool all = is_everything(&settings->displayed);
	size_t entries = settings->searchable.len;
	size_t len = 0;

	*hidden = false;
	for (size_t i = 0; i < entries + check->known.len; i++) {
		struct slice path =
			i < entries ? settings->searchable.list[i] : check->known.list[i - entries];

		if (i >= entries && !is_searchable(settings, path))
			continue;
		if (all || contains(&settings->displayed, path))
			visible[len++] = path;
		else
			*hidden = true;
	}
	return len;
}

static int refuse_searched(const struct search_check *check, struct slice name)
{
	size_t most = check->settings->searchable.len + check->known.len;
	struct slice *visible = arena_alloc(check->arena, (most + 1) * sizeof visible[0]);
	size_t len;
	bool hidden;

	if (visible == NULL)
		return refuse_memory(check);
	len = fill_visible(check, visible, &hidden);
	name = shown(name);
	return refuse(check, refused_names,
	              "Attribute `%.*s` is not searchable. Available searchable attributes are: `%s%s%s`.",
	              SLICE_ARGS(name), search_check_listed(check, &(struct search_names){visible, len}, ""),
	              hidden && len > 0 ? ", " : "", hidden ? "<..hidden-attributes>" : "");
}

int search_check_names(const struct search_check *check, const struct search_names *search_on)
{
	if (is_everything(&check->settings->searchable))
		return 0;
	for (size_t i = 0; i < search_on->len; i++)
		if (!is_searchable(check->settings, search_on->list[i]))
			return refuse_searched(check, search_on->list[i]);
	return 0;
}

/* ---- sort ---- */

static struct slice trimmed(struct slice text)
{
	while (text.len > 0 && text.ptr[0] == ' ')
		text = slice_of(text.ptr + 1, text.len - 1);
	while (text.len > 0 && text.ptr[text.len - 1] == ' ')
		text.len--;
	return text;
}

/* Of `_geoPoint(lat, lng)`. */
static int check_point(const struct search_check *check, struct slice name, const char *code)
{
	struct slice inner = slice_of(name.ptr + strlen("_geoPoint("), name.len - strlen("_geoPoint()"));
	const uint8_t *comma = inner.len > 0 ? memchr(inner.ptr, ',', inner.len) : NULL;
	size_t before = comma != NULL ? (size_t)(comma - inner.ptr) : 0;
	struct slice texts[2] = {{NULL, 0}, {NULL, 0}};
	double lat;
	double lng;

	if (comma != NULL) {
		texts[0] = trimmed(slice_of(inner.ptr, before));
		texts[1] = trimmed(slice_of(comma + 1, inner.len - before - 1));
	}
	if (!decimal_parse(texts[0], &lat) || !decimal_parse(texts[1], &lng)) {
		name = shown(name);
		return error_answer_set(
			check->refusal, code,
			"Invalid syntax for the geo parameter: expected expression formated like "
			"`_geoPoint(latitude, longitude)` and ending by `:asc` or `:desc`, found `%.*s`.",
			SLICE_ARGS(name));
	}
	if (!(fabs(lat) <= LATITUDE_MAX))
		return error_answer_set(
			check->refusal, code,
			"Bad latitude `%.*s`. Latitude must be contained between -90 and 90 degrees.",
			SLICE_ARGS(texts[0]));
	if (!(fabs(lng) <= LONGITUDE_MAX))
		return error_answer_set(check->refusal, code,
		                        "Bad longitude `%.*s`. Longitude must be contained between -180 and "
		                        "180 degrees. Hint: "
		                        "try using `%g` instead.",
		                        SLICE_ARGS(texts[1]), lng - 360 * floor((lng + 180) / 360));
	return 0;
}

static int check_reserved(const struct search_check *check, struct slice word, const char *code)
{
	static const char *const reserved[] = {"_geo", "_geoRadius", "_geoBoundingBox", "_geoDistance"};

	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (slice_equal(word, slice_string(reserved[i])))
			return error_answer_set(
				check->refusal, code,
				"`%s` is a reserved keyword and thus can't be used as a sort expression.%s",
				reserved[i],
				strcmp(reserved[i], "_geoDistance") == 0
					? ""
					: " Use the _geoPoint(latitude, longitude) built-in rule to sort on "
					  "_geo field coordinates.");
	return 0;
}

static bool cut_end(struct slice *text, const char *end)
{
	size_t len = strlen(end);

	if (text->len < len || memcmp(text->ptr + text->len - len, end, len) != 0)
		return false;
	text->len -= len;
	return true;
}

/* Leaves of a criterion what must be sortable. */
static int check_criterion(const struct search_check *check, struct slice *criterion, const char *code)
{
	struct slice name = *criterion;
	struct slice text = shown(name);
	const uint8_t *open;
	struct slice word;

	if (!cut_end(&name, ":asc") && !cut_end(&name, ":desc"))
		return error_answer_set(check->refusal, code,
		                        "Invalid syntax for the sort parameter: expected expression ending "
		                        "by `:asc` or `:desc`, found `%.*s`.",
		                        SLICE_ARGS(text));
	open = name.len > 0 ? memchr(name.ptr, '(', name.len) : NULL;
	word = open != NULL ? slice_of(name.ptr, (size_t)(open - name.ptr)) : name;
	if (check_reserved(check, word, code) < 0)
		return -1;
	if (open != NULL && slice_equal(word, slice_string("_geoPoint")) && name.ptr[name.len - 1] == ')') {
		if (check_point(check, name, code) < 0)
			return -1;
		name = slice_string("_geo");
	}
	*criterion = name;
	return 0;
}

static int check_sortable(const struct search_check *check, struct slice name, const char *code)
{
	const struct settings_texts *sortable = &check->settings->sortable;
	struct search_names names = {sortable->list, sortable->len};

	if (settings_is_sortable(check->settings, name))
		return 0;
	name = shown(name);
	if (sortable->len == 0)
		return refuse(check, code,
		              "Attribute `%.*s` is not sortable. This index does not have configured "
		              "sortable attributes.",
		              SLICE_ARGS(name));
	return refuse(check, code,
	              "Attribute `%.*s` is not sortable. Available sortable attributes are: `%s`.",
	              SLICE_ARGS(name), search_check_listed(check, &names, ""));
}

int search_check_sort_syntax(const struct search_check *check, const struct search_names *sort,
                             const char *code)
{
	if (sort->len > SETTINGS_SORTS_MAX)
		return error_answer_set(
			check->refusal, code,
			"Invalid value of the sort parameter: Millrace allows %d criteria, but found %zu.",
			SETTINGS_SORTS_MAX, sort->len);
	for (size_t i = 0; i < sort->len; i++) {
		struct slice name = sort->list[i];

		if (check_criterion(check, &name, code) < 0)
			return -1;
	}
	return 0;
}

int search_check_sort(const struct search_check *check, const struct search_names *sort, const char *code)
{
	if (sort->len > SETTINGS_SORTS_MAX)
		return search_check_sort_syntax(check, sort, code);
	for (size_t i = 0; i < sort->len; i++) {
		struct slice name = sort->list[i];

		if (check_criterion(check, &name, code) < 0 || check_sortable(check, name, code) < 0)
			return -1;
	}
	return 0;
}

/* ---- distinct, facets ---- */

int search_check_distinct(const struct search_check *check, struct slice name)
{
	static const char code[] = "invalid_search_distinct";
	static const char what[] = "is not filterable and thus, cannot be used as distinct attribute.";

	if (settings_filterable(check->settings, name) != NULL)
		return 0;
	name = shown(name);
	if (check->settings->filterable.len == 0)
		return refuse(
			check, code,
			"Attribute `%.*s` %s This index does not have configured filterable attributes.",
			SLICE_ARGS(name), what);
	return refuse(check, code, "Attribute `%.*s` %s Available filterable attributes patterns are: `%s`.",
	              SLICE_ARGS(name), what, filterables_listed(check, ""));
}

/* A pattern must hit a filterable attribute, or be what one is nested in. */
static bool is_facet(const struct settings *settings, struct slice pattern)
{
	if (slice_equal(pattern, slice_string("*")) || settings_filterable(settings, pattern) != NULL)
		return true;
	for (size_t i = 0; i < settings->filterable.len; i++) {
		const struct settings_texts *names = &settings->filterable.list[i].patterns;

		for (size_t p = 0; p < names->len; p++)
			if (settings_matches(pattern, names->list[p]) ||
			    settings_covers(pattern, names->list[p]))
				return true;
	}
	return false;
}

int search_check_facets(const struct search_check *check, const struct search_names *facets,
                        const char *before)
{
	for (size_t i = 0; i < facets->len; i++) {
		struct slice pattern = shown(facets->list[i]);
		bool none = check->settings->filterable.len == 0;

		if (is_facet(check->settings, facets->list[i]))
			continue;
		return error_answer_set(
			check->refusal, "invalid_search_facets",
			"%sInvalid facet distribution: Pattern `%.*s` is not filterable. %s%s%s", before,
			SLICE_ARGS(pattern),
			none ? "This index does not have configured filterable attributes."
			     : "Available filterable attributes patterns are: `",
			none ? "" : filterables_listed(check, ""), none ? "" : "`.");
	}
	return 0;
}

/* ---- filter ---- */

static bool fold_nothing(void *context, struct slice text, struct buffer *folded)
{
	(void)context;
	buffer_append_slice(folded, text);
	return !buffer_failed(folded);
}

/* As Meilisearch names it. */
static const char *operator_of(enum filter_kind kind)
{
	switch (kind) {
	case FILTER_KIND_EQUAL:
		return "=";
	case FILTER_KIND_NOT_EQUAL:
		return "!=";
	case FILTER_KIND_GREATER:
		return ">";
	case FILTER_KIND_GREATER_EQUAL:
		return ">=";
	case FILTER_KIND_LESS:
		return "<";
	case FILTER_KIND_LESS_EQUAL:
		return "<=";
	case FILTER_KIND_BETWEEN:
		return "TO";
	case FILTER_KIND_IN:
		return "IN";
	case FILTER_KIND_CONTAINS:
		return "CONTAINS";
	case FILTER_KIND_STARTS_WITH:
		return "STARTS WITH";
	case FILTER_KIND_EXISTS:
		return "EXISTS";
	case FILTER_KIND_NULL:
		return "NULL";
	case FILTER_KIND_EMPTY:
		return "EMPTY";
	case FILTER_KIND_AND:
	case FILTER_KIND_OR:
	case FILTER_KIND_NOT:
	case FILTER_KIND_RADIUS:
	case FILTER_KIND_BOX:
	case FILTER_KIND_POLYGON:
		break;
	}
	return "";
}

static bool is_comparison(enum filter_kind kind)
{
	return kind == FILTER_KIND_STARTS_WITH || kind == FILTER_KIND_BETWEEN ||
	       (kind >= FILTER_KIND_GREATER && kind <= FILTER_KIND_LESS_EQUAL);
}

static int refuse_filterable(const struct search_check *check, struct slice field, const char *code)
{
	bool none = check->settings->filterable.len == 0;

	field = shown(field);
	return refuse(check, code, "Attribute `%.*s` is not filterable. %s%s%s", SLICE_ARGS(field),
	              none ? "This index does not have configured filterable attributes."
	                   : "Available filterable attribute patterns are: ",
	              none ? "" : filterables_listed(check, "`"), none ? "" : ".");
}

/* Polygons ask for shapes, the others for places. */
static int check_place(const struct search_check *check, const struct filter *filter, const char *code)
{
	bool polygon = filter->kind == FILTER_KIND_POLYGON;
	struct filter_refusal refusal;

	if (filter_check_place(filter, &refusal) < 0)
		return refuse(check, code, "%s", refusal.text);
	if (settings_filterable(check->settings, filter->field) != NULL)
		return 0;
	return refuse_filterable(check, slice_string(polygon ? "_geojson" : "_geo/_geojson"), code);
}

static int check_condition(const struct search_check *check, const struct filter *filter, const char *code)
{
	const struct settings_features *features = settings_filterable(check->settings, filter->field);
	struct slice field = shown(filter->field);

	if (filter->kind >= FILTER_KIND_RADIUS)
		return check_place(check, filter, code);
	if (filter->kind == FILTER_KIND_CONTAINS)
		return error_answer_set(
			check->refusal, "feature_not_enabled",
			"Using `CONTAINS` in a filter requires enabling the `contains filter` experimental "
			"feature. See https://github.com/orgs/meilisearch/discussions/763");
	if (features == NULL || (!features->equality && !features->comparison))
		return refuse_filterable(check, filter->field, code);
	if (is_comparison(filter->kind) ? features->comparison : features->equality)
		return 0;
	return refuse(check, code, "Filter operator `%s` is not allowed for the attribute `%.*s`.",
	              operator_of(filter->kind), SLICE_ARGS(field));
}

/* No deeper than FILTER_DEPTH_MAX. */
static int check_tree(const struct search_check *check, const struct filter *filter, const char *code)
{
	if (filter->kind > FILTER_KIND_NOT)
		return check_condition(check, filter, code);
	for (const struct filter *child = filter->children; child != NULL; child = child->next)
		if (check_tree(check, child, code) < 0)
			return -1;
	return 0;
}

int search_check_filter(const struct search_check *check, struct slice filter, const char *code)
{
	static const struct filter_fold fold = {fold_nothing, NULL};
	struct filter_refusal refusal;
	struct filter *tree;
	int result;

	if (filter.ptr == NULL)
		return 0;
	result = filter_parse_search(filter, &fold, check->arena, &tree, &refusal);
	if (result == ERROR_MEMORY)
		return refuse_memory(check);
	if (result < 0)
		return error_answer_set(check->refusal, refusal.lacks_feature ? "feature_not_enabled" : code,
		                        "%s", refusal.text);
	return tree != NULL ? check_tree(check, tree, code) : 0;
}

/* ---- all of it ---- */

int search_check(const struct search_check *check, const struct search_request *request)
{
	if (search_check_kind(check, request) < 0 || search_check_names(check, &request->search_on) < 0 ||
	    search_check_sort(check, &request->sort, "invalid_search_sort") < 0 ||
	    (request->distinct.ptr != NULL && search_check_distinct(check, request->distinct) < 0) ||
	    search_check_filter(check, request->filter, "invalid_search_filter") < 0)
		return ERROR_FORMAT;
	return search_check_facets(check, &request->facets, "");
}
