#include "shard/core/search_reply.h"

#include "shard/core/hit_format.h"
#include "shard/core/search_details.h"
#include "shard/core/search_facets.h"
#include "shard/core/snapshot_bodies.h"
#include "shared/filter/filter_point.h"

#include <inttypes.h>

/* So many distinct hits are counted, even where fewer are shown. */
#define DISTINCT_COUNTED_MIN 1000

static const struct slice star = {(const uint8_t *)"*", 1};
/* No path is that: it is not UTF-8. */
static const struct slice nowhere = {(const uint8_t *)"\xff", 1};

struct replying {
	const struct search_reply_request *given;
	const struct search_question *asked;
	struct query query;
	struct search_rules rules;
	struct search_request request;
	struct search_answer found;
	struct hit_format_request formatting;
	struct hit_format *format;
	struct snapshot_bodies **bodies; /* by snapshot; NULL: not needed yet */
	struct buffer doc;               /* what is shown of a hit, without braces */
	struct buffer *json;
	size_t failed;
};

/* ---- the request ---- */

static bool fold_append(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	return text_fold(context, text, folded, &error) == 0;
}

static int filter_prepare(struct replying *replying, struct error *error)
{
	struct filter_fold fold = {fold_append, words_text(replying->given->words)};
	struct filter_refusal refusal;
	struct filter *filter;
	int rc;

	if (replying->asked->filter.ptr == NULL)
		return 0;
	rc = filter_parse_search(replying->asked->filter, &fold, replying->given->arena, &filter, &refusal);
	if (rc == ERROR_MEMORY)
		return error_memory(error, replying->asked->filter.len);
	if (rc != 0)
		return error_set(error, rc, ERROR_ACTION_REJECT, "filter: %.*s", (int)refusal.len,
		                 refusal.text);
	replying->request.filter = filter;
	return 0;
}

static int query_prepare(struct replying *replying, struct error *error)
{
	const struct search_question *asked = replying->asked;
	const struct settings *settings = replying->given->settings->settings;
	struct query_request query = {.rules = replying->given->settings->rules,
	                              .text = asked->documents ? slice_string("") : asked->q,
	                              .prefix_search = settings->prefix_search,
	                              .arena = replying->given->arena};
	struct search_rules_request rules = {.ranking = asked->documents ? NULL : &settings->rules,
	                                     .sort = asked->sort,
	                                     .strategy = asked->strategy};

	if (query_parse(words_text(replying->given->words), &query, &replying->query, error) != 0)
		return error->code;
	rules.has_terms = replying->query.terms_len > 0;
	if (rules.has_terms && asked->has_rarest && asked->rarest >= replying->query.terms_len)
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "`rarest` is none of the terms");
	return search_rules_resolve(&rules, &replying->rules, error);
}

/* Which fields are searched on; an empty list names none. */
static void search_on_fill(struct replying *replying)
{
	const struct settings_texts *names = &replying->asked->search_on;
	struct search_request *request = &replying->request;

	request->search_on = names->len > 0 ? names->list : &nowhere;
	request->search_on_len = names->list == NULL ? 0 : names->len > 0 ? names->len : 1;
}

static void request_fill(struct replying *replying)
{
	const struct search_question *asked = replying->asked;
	const struct search_settings *settings = replying->given->settings;
	struct search_request *request = &replying->request;
	uint64_t counted_max = settings->settings->pagination.hits_max > DISTINCT_COUNTED_MIN
	                               ? settings->settings->pagination.hits_max
	                               : DISTINCT_COUNTED_MIN;
	/* listings and facet searches look at every document, equal ones too */
	bool is_plain = asked->documents || asked->facet_name.ptr != NULL;

	request->words = replying->given->words;
	request->query = &replying->query;
	request->cutting = settings->cutting->digest;
	request->strategy = asked->strategy;
	request->rules = replying->rules.list;
	request->rules_len = replying->rules.len;
	request->typos = settings->typos;
	request->synonyms = settings->synonyms;
	request->synonyms_len = settings->synonyms_len;
	request->searchable = settings->settings->searchable.list;
	request->searchable_len = settings->settings->searchable.len;
	request->by_attribute = settings->settings->proximity_by_attribute;
	request->ids = asked->ids.list;
	request->ids_len = asked->ids.len;
	request->has_ids = asked->ids.list != NULL;
	if (!is_plain)
		request->distinct =
			asked->distinct.ptr != NULL ? asked->distinct : settings->settings->distinct;
	request->lists_equal = asked->equal && request->distinct.ptr != NULL;
	request->distinct_max = counted_max > SIZE_MAX ? SIZE_MAX : (size_t)counted_max;
	request->has_threshold = asked->has_threshold;
	request->threshold = asked->threshold;
	request->has_cut = asked->has_cut;
	request->cut = asked->cut;
	request->counts_all = asked->by_page || asked->facet_name.ptr != NULL;
	request->shows_scores = asked->shows_score || asked->shows_details || asked->scores;
	request->lists_counted =
		(asked->facets.len > 0 && asked->counted.list == NULL) || asked->facet_name.ptr != NULL;
	request->all_known = asked->has_known;
	request->known = asked->known;
	request->has_rarest = asked->has_rarest;
	request->rarest = asked->rarest;
	request->limit = asked->facet_name.ptr != NULL ? 0 : (size_t)asked->limit;
	request->watch = replying->given->watch;
	request->arena = replying->given->arena;
	search_on_fill(replying);
}

static int search_prepare(struct replying *replying, struct error *error)
{
	if (query_prepare(replying, error) != 0 || filter_prepare(replying, error) != 0)
		return error->code;
	request_fill(replying);
	return 0;
}

/* ---- what is shown of hits ---- */

static struct format_names names_of(const struct settings_texts *texts)
{
	return (struct format_names){texts->list, texts->len};
}

/* Of a listing's fields those that are names: here `*` is a field like any other, and no document has it. */
static int fields_fill(struct replying *replying, struct format_names *names, struct error *error)
{
	const struct settings_texts *fields = &replying->asked->fields;
	struct slice *list = arena_alloc(replying->given->arena, fields->len * sizeof *list);

	if (list == NULL)
		return error_memory(error, fields->len * sizeof *list);
	*names = (struct format_names){list, 0};
	for (size_t i = 0; i < fields->len; i++)
		if (!slice_equal(fields->list[i], star))
			list[names->len++] = fields->list[i];
	return 0;
}

static int format_prepare(struct replying *replying, struct error *error)
{
	const struct search_question *asked = replying->asked;
	struct format_request *shown = &replying->formatting.shown;

	replying->formatting = (struct hit_format_request){
		.text = words_text(replying->given->words),
		.settings = replying->given->settings,
		.query = &replying->query,
		.snapshots = replying->given->snapshots,
		.snapshots_len = replying->given->len,
		.paths = asked->paths,
		.arena = replying->given->arena,
	};
	*shown = (struct format_request){
		.displayed = names_of(&replying->given->settings->settings->displayed),
		.retrieve = {&star, 1},
		.crop = names_of(&asked->crop),
		.highlight = names_of(&asked->highlight),
		.crop_words = asked->crop_words,
		.crop_marker = asked->crop_marker,
		.pre_tag = asked->pre_tag,
		.post_tag = asked->post_tag,
		.shows_positions = asked->shows_positions,
	};
	if (asked->documents)
		shown->displayed = (struct format_names){&star, 1};
	if (asked->documents && asked->fields.list != NULL) {
		if (fields_fill(replying, &shown->retrieve, error) != 0)
			return error->code;
	} else if (!asked->documents && asked->retrieve.list != NULL) {
		shown->retrieve = names_of(&asked->retrieve);
	}
	return hit_format_new(&replying->formatting, &replying->format, error);
}

static void member(struct buffer *doc, const char *name)
{
	buffer_printf(doc, "%s\"%s\":", doc->len > 0 ? "," : "", name);
}

/* As far as the place is shown. */
static int distance_append(struct replying *replying, struct error *error)
{
	const struct search_rule *rule = search_rules_point(&replying->rules);
	struct point place;
	struct buffer shown;
	yyjson_doc *doc = NULL;
	bool found = false;
	bool sound;
	int rc;

	if (rule == NULL || replying->asked->documents)
		return 0;
	buffer_init(&shown, SIZE_MAX);
	buffer_append_string(&shown, "{");
	buffer_append_slice(&shown, buffer_slice(&replying->doc));
	buffer_append_string(&shown, "}");
	rc = buffer_failed(&shown) ? error_memory(error, replying->doc.len)
	                           : json_parse(buffer_slice(&shown), JSON_DEPTH_MAX + 1, &doc, error);
	buffer_deinit(&shown);
	if (rc != 0)
		return rc;
	sound = point_of_document(yyjson_doc_get_root(doc), &place, &found);
	yyjson_doc_free(doc);
	if (!sound)
		return error_memory(error, replying->doc.len);
	if (found) {
		member(&replying->doc, "_geoDistance");
		buffer_printf(
			&replying->doc, "%.0f",
			point_whole_metres(point_distance(&(struct point){rule->lat, rule->lng}, &place)));
	}
	return 0;
}

static bool has_star(const struct format_names *names)
{
	for (size_t i = 0; i < names->len; i++)
		if (slice_equal(names->names[i], star))
			return true;
	return false;
}

/* Whether hits are shown as they were written. */
static bool is_verbatim(const struct format_request *shown)
{
	return has_star(&shown->displayed) && has_star(&shown->retrieve) && shown->crop.len == 0 &&
	       shown->highlight.len == 0 && !shown->shows_positions;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What stands between an object's braces; nothing without members. */
static struct slice members_of(struct slice object)
{
	size_t from = 0;
	size_t to = object.len - 1;
	size_t first;

	while (object.ptr[from] != '{')
		from++;
	while (object.ptr[to] != '}')
		to--;
	for (first = ++from; first < to && is_blank(object.ptr[first]);)
		first++;
	return slice_of(object.ptr + from, first < to ? to - from : 0);
}

static int fields_append(struct replying *replying, struct slice body, struct error *error)
{
	yyjson_doc *doc;
	int rc;

	if (is_verbatim(&replying->formatting.shown)) {
		buffer_append_slice(&replying->doc, members_of(body));
		return 0;
	}
	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	rc = hit_format_append(replying->format, yyjson_doc_get_root(doc), &replying->doc, error);
	yyjson_doc_free(doc);
	return rc;
}

static int hit_show(struct replying *replying, const struct search_hit *hit, struct slice body,
                    struct error *error)
{
	const struct search_question *asked = replying->asked;
	const struct settings_texts *displayed = &replying->given->settings->settings->displayed;

	buffer_clear(&replying->doc);
	if (fields_append(replying, body, error) != 0 || distance_append(replying, error) != 0)
		return error->code;
	if (asked->shows_score) {
		member(&replying->doc, "_rankingScore");
		search_number_append(hit->score, &replying->doc);
	}
	if (asked->shows_details) {
		member(&replying->doc, "_rankingScoreDetails");
		search_details_append(&replying->rules, displayed, hit, &replying->doc);
	}
	return buffer_failed(&replying->doc) ? error_memory(error, body.len) : 0;
}

/* ---- hits ---- */

static void hit_append(struct replying *replying, const struct search_hit *hit)
{
	struct buffer *json = replying->json;

	buffer_printf(json, "{\"p\":%" PRId32 ",\"rank\":", replying->given->partitions[hit->snapshot]);
	search_hex_append(hit->rank, json);
	buffer_printf(json, ",\"ts\":%" PRId64 ",\"seq\":%" PRIu32 ",\"id\":", hit->document.key.timestamp_ms,
	              hit->document.key.seq);
	json_append_string(json, hit->document.id);
	if (replying->request.distinct.ptr != NULL) {
		buffer_append_string(json, ",\"distinct\":[");
		for (size_t i = 0; i < hit->values_len; i++) {
			buffer_append_string(json, i > 0 ? "," : "");
			search_hex_append(hit->values[i], json);
		}
		buffer_append_string(json, "]");
	}
	if (replying->asked->scores) {
		buffer_append_string(json, ",\"score\":");
		search_pairs_append(&replying->rules, hit, json);
	}
	buffer_append_string(json, ",\"doc\":{");
	buffer_append_slice(json, buffer_slice(&replying->doc));
	buffer_append_string(json, "}}");
}

static int body_read(struct replying *replying, const struct search_hit *hit, struct slice *body,
                     struct error *error)
{
	struct snapshot_bodies **bodies = &replying->bodies[hit->snapshot];

	if (*bodies == NULL &&
	    snapshot_bodies_open(replying->given->snapshots[hit->snapshot], bodies, error) != 0)
		return error->code;
	return snapshot_bodies_read(*bodies, hit->number, body, error);
}

/* One after the other, as their bodies are read. */
static int hits_append(struct replying *replying, struct error *error)
{
	const struct search_reply_request *given = replying->given;

	buffer_append_string(replying->json, ",\"hits\":[");
	for (size_t i = 0; i < replying->found.hits_len; i++) {
		const struct search_hit *hit = &replying->found.hits[i];
		struct slice body = slice_of(NULL, 0);

		if (given->watch != NULL && watch_look(given->watch, error) != 0)
			return error->code;
		replying->failed = hit->snapshot;
		buffer_clear(&replying->doc);
		if (replying->request.lists_equal) {
			buffer_append_string(replying->json, i > 0 ? "," : "");
			hit_append(replying, hit);
			continue;
		}
		if (body_read(replying, hit, &body, error) != 0 || hit_show(replying, hit, body, error) != 0)
			return error->code;
		buffer_append_string(replying->json, i > 0 ? "," : "");
		hit_append(replying, hit);
	}
	buffer_append_string(replying->json, "]");
	return 0;
}

/* ---- what is said besides ---- */

/* A bit for each term that is known, and for each of which that makes no difference. */
static uint16_t known_of(const struct replying *replying)
{
	const struct query *query = &replying->query;
	uint16_t known = replying->found.known;

	if (query->terms_len <= 1 || !search_rules_have(&replying->rules, RANK_EXACTNESS))
		return (uint16_t)((1U << query->terms_len) - 1);
	for (size_t i = 0; i < query->terms_len; i++)
		if (query->terms[i].is_phrase)
			known |= (uint16_t)(1U << i);
	return known;
}

/* The documents that a question of the union counts are added to what is found. */
static int counted_add(struct replying *replying, const struct search_question *asked, struct error *error)
{
	const struct search_reply_request *given = replying->given;
	struct replying counting = {.given = given, .asked = asked, .failed = SEARCH_REPLY_NO_SHARD};
	int rc = search_prepare(&counting, error);

	counting.request.lists_counted = true;
	if (rc == 0)
		rc = snapshots_search(given->snapshots, given->len, &counting.request, &counting.found,
		                      &counting.failed, error);
	for (size_t i = 0; rc == 0 && i < given->len; i++)
		postings_or(&replying->found.counted[i], &counting.found.counted[i]);
	replying->failed = counting.failed;
	search_answer_deinit(&counting.found);
	return rc;
}

/* What any of the union's questions counts takes the place of what was found to count. */
static int counted_unite(struct replying *replying, struct error *error)
{
	const struct search_union *counted = &replying->asked->counted;
	struct search_answer *found = &replying->found;

	if (counted->list == NULL)
		return 0;
	for (size_t i = 0; i < replying->given->len; i++)
		postings_clear(&found->counted[i]);
	for (size_t i = 0; i < counted->len; i++) {
		if (replying->given->watch != NULL && watch_look(replying->given->watch, error) != 0)
			return error->code;
		if (counted_add(replying, &counted->list[i], error) != 0)
			return error->code;
	}
	found->total = 0;
	for (size_t i = 0; i < replying->given->len; i++) {
		found->totals[i] = postings_count(&found->counted[i]);
		found->total += found->totals[i];
	}
	return 0;
}

static void terms_append(struct replying *replying)
{
	const struct query *query = &replying->query;
	struct buffer *json = replying->json;

	buffer_printf(json, ",\"known\":%" PRIu16 ",\"terms\":%zu", known_of(replying), query->terms_len);
	if (replying->asked->strategy != RANK_FREQUENCY || query->terms_len <= 1)
		return;
	for (size_t i = 0; i < query->terms_len; i++)
		buffer_printf(json, "%s%" PRIu64, i == 0 ? ",\"frequencies\":[" : ",",
		              replying->found.frequencies[i]);
	buffer_append_string(json, "]");
}

static int facets_append(struct replying *replying, struct error *error)
{
	const struct search_question *asked = replying->asked;
	struct facets_scope scope = {.words = replying->given->words,
	                             .settings = replying->given->settings->settings,
	                             .snapshots = replying->given->snapshots,
	                             .counted = replying->found.counted,
	                             .len = replying->given->len,
	                             .watch = replying->given->watch};
	struct facet_search search = {.path = asked->facet_name,
	                              .has_query = asked->facet_query.ptr != NULL,
	                              .query = asked->facet_query};
	int rc = 0;

	if (asked->facet_name.ptr != NULL) {
		buffer_append_string(replying->json, ",\"facetHits\":");
		rc = search_in_facet(&scope, &search, replying->json, error);
	} else if (asked->facets.len > 0) {
		buffer_append_string(replying->json, ",\"facets\":");
		rc = search_facets(&scope, &asked->facets, replying->json, error);
	}
	replying->failed = scope.failed;
	return rc;
}

/* ---- all of it ---- */

static int prepare(struct replying *replying, struct error *error)
{
	size_t bytes = replying->given->len * sizeof(struct snapshot_bodies *);

	replying->bodies = arena_alloc(replying->given->arena, bytes);
	if (replying->bodies == NULL)
		return error_memory(error, bytes);
	memset(replying->bodies, 0, bytes);
	if (search_prepare(replying, error) != 0)
		return error->code;
	return format_prepare(replying, error);
}

static int found_append(struct replying *replying, struct error *error)
{
	if (replying->found.at_cutoff)
		buffer_append_string(replying->json, "\"cutoff\":true,");
	buffer_printf(replying->json, "\"total\":%" PRIu64, replying->found.total);
	terms_append(replying);
	hit_format_paths(replying->format, replying->json);
	if (facets_append(replying, error) != 0)
		return error->code;
	return replying->asked->facet_name.ptr == NULL ? hits_append(replying, error) : 0;
}

int search_reply(const struct search_reply_request *request, struct buffer *json, struct search_reply *reply,
                 struct error *error)
{
	struct replying replying = {
		.given = request, .asked = request->question, .json = json, .failed = SEARCH_REPLY_NO_SHARD};
	int rc;

	buffer_init(&replying.doc, json->len_max);
	rc = prepare(&replying, error);
	if (rc == 0)
		rc = snapshots_search(request->snapshots, request->len, &replying.request, &replying.found,
		                      &replying.failed, error);
	if (rc == 0)
		rc = counted_unite(&replying, error);
	if (rc == 0)
		rc = found_append(&replying, error);
	*reply = (struct search_reply){.totals = replying.found.totals, .failed = replying.failed};
	search_answer_deinit(&replying.found);
	hit_format_free(replying.format);
	buffer_deinit(&replying.doc);
	for (size_t i = 0; replying.bodies != NULL && i < request->len; i++)
		snapshot_bodies_close(replying.bodies[i]);
	return rc;
}
