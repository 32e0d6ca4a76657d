#include "query/core/facet_hits.h"

#include "query/core/node_facets.h"

#include <inttypes.h>
#include <stdlib.h>

#define SIZE_MIN 64

void facet_hits_init(struct facet_hits *hits)
{
	*hits = (struct facet_hits){0};
	map_init(&hits->forms);
}

void facet_hits_deinit(struct facet_hits *hits)
{
	map_deinit(&hits->forms);
	free(hits->list);
	*hits = (struct facet_hits){0};
}

/* ---- adding ---- */

static int malformed(struct error *error)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: no `facetHits`");
}

static int grow(struct facet_hits *hits, struct error *error)
{
	size_t size = hits->size > 0 ? 2 * hits->size : SIZE_MIN;
	struct facet_hit *list;

	if (hits->len == FACET_HITS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "more than %u values of a facet",
		                 FACET_HITS_MAX);
	if (hits->len < hits->size)
		return 0;
	list = realloc(hits->list, size * sizeof list[0]);
	if (list == NULL)
		return error_memory(error, size * sizeof list[0]);
	hits->list = list;
	hits->size = size;
	return 0;
}

static void join(struct facet_hit *hit, const struct facet_hit *other)
{
	if (slice_compare(other->value, hit->value) < 0)
		hit->value = other->value;
	/* a form has one key, but for nodes that fold otherwise */
	if (slice_compare(other->key, hit->key) < 0)
		hit->key = other->key;
	hit->answers++;
	hit->count = other->count > UINT64_MAX - hit->count ? UINT64_MAX : hit->count + other->count;
}

static int add_hit(struct facet_hits *hits, const struct facet_hit *hit, struct arena *arena,
                   struct error *error)
{
	const uint64_t *at = map_get(&hits->forms, hit->form);
	struct facet_hit kept = *hit;

	if (!arena_copy(arena, hit->key, &kept.key) || !arena_copy(arena, hit->value, &kept.value))
		return error_memory(error, hit->key.len + hit->value.len);
	if (at != NULL) {
		join(&hits->list[*at], &kept);
		return 0;
	}
	if (grow(hits, error) < 0)
		return error->code;
	if (!arena_copy(arena, hit->form, &kept.form) || !map_put(&hits->forms, kept.form, hits->len))
		return error_memory(error, hit->form.len);
	kept.answers = 1;
	hits->list[hits->len++] = kept;
	return 0;
}

static bool parse_hit(yyjson_val *item, struct facet_hit *hit)
{
	struct slice count = json_raw_number(yyjson_obj_get(item, "count"));

	hit->key = json_string(yyjson_obj_get(item, "key"));
	hit->form = json_string(yyjson_obj_get(item, "form"));
	hit->value = json_string(yyjson_obj_get(item, "value"));
	hit->count = 0;
	if (hit->key.ptr == NULL || hit->form.ptr == NULL || hit->value.ptr == NULL || count.ptr == NULL)
		return false;
	for (size_t i = 0; i < count.len; i++) {
		unsigned digit = (unsigned)count.ptr[i] - '0';

		if (digit > 9 || hit->count > (UINT64_MAX - digit) / 10)
			return false;
		hit->count = hit->count * 10 + digit;
	}
	return true;
}

static bool are_hits(yyjson_val *list)
{
	struct facet_hit hit;
	yyjson_val *item;
	size_t at;
	size_t len;

	yyjson_arr_foreach(list, at, len, item) if (!parse_hit(item, &hit)) return false;
	return yyjson_is_arr(list);
}

int facet_hits_add(struct facet_hits *hits, struct slice answer, struct arena *arena, struct error *error)
{
	yyjson_doc *doc;
	yyjson_val *list;
	yyjson_val *item;
	size_t at;
	size_t len;
	int result = json_parse(answer, NODE_ANSWER_DEPTH_MAX, &doc, error);

	if (result < 0)
		return result;
	list = yyjson_obj_get(yyjson_doc_get_root(doc), "facetHits");
	if (!are_hits(list))
		result = malformed(error);
	yyjson_arr_foreach(list, at, len, item)
	{
		struct facet_hit hit;

		if (result == 0 && parse_hit(item, &hit))
			result = add_hit(hits, &hit, arena, error);
	}
	yyjson_doc_free(doc);
	hits->answers += result == 0;
	return result;
}

/* ---- the answer ---- */

static int by_key(const void *left, const void *right)
{
	const struct facet_hit *a = left;
	const struct facet_hit *b = right;
	int order = slice_compare(a->key, b->key);

	return order != 0 ? order : slice_compare(a->form, b->form);
}

static int by_count(const void *left, const void *right)
{
	const struct facet_hit *a = left;
	const struct facet_hit *b = right;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return by_key(right, left);
}

/* In order, and no more than are shown. */
static void cut(struct facet_hits *hits, const struct facet_search *facet, const struct settings *settings)
{
	bool counts = settings_facet_by_count(settings, facet->name);

	if (hits->len > 1)
		qsort(hits->list, hits->len, sizeof hits->list[0], counts ? by_count : by_key);
	if (hits->len > settings->faceting.values_max)
		hits->len = (size_t)settings->faceting.values_max;
}

void facet_hits_answer(struct facet_hits *hits, const struct facet_search *facet,
                       const struct settings *settings, int64_t took_ms, struct buffer *body)
{
	cut(hits, facet, settings);
	buffer_append_string(body, "{\"facetHits\":[");
	for (size_t i = 0; i < hits->len; i++) {
		buffer_printf(body, "%s{\"value\":", i > 0 ? "," : "");
		json_append_string(body, hits->list[i].value);
		buffer_printf(body, ",\"count\":%" PRIu64 "}", hits->list[i].count);
	}
	buffer_append_string(body, "],\"facetQuery\":");
	if (facet->query.ptr != NULL)
		json_append_string(body, facet->query);
	else
		buffer_append_string(body, "null");
	buffer_printf(body, ",\"processingTimeMs\":%" PRId64 "}", took_ms);
}

/* ---- spellings ---- */

bool facet_hits_ask(struct facet_hits *hits, const struct facet_search *facet,
                    const struct settings *settings, struct buffer *asked)
{
	const char *before = ":[";

	cut(hits, facet, settings);
	buffer_put_u8(asked, '{');
	json_append_string(asked, facet->name);
	for (size_t i = 0; i < hits->len; i++) {
		if (hits->list[i].answers == hits->answers)
			continue;
		buffer_append_string(asked, before);
		before = ",";
		json_append_string(asked, hits->list[i].form);
	}
	buffer_append_string(asked, "]}");
	return before[0] == ',';
}

int facet_hits_spell(struct facet_hits *hits, const struct facet_search *facet, yyjson_val *spellings,
                     struct arena *arena, struct error *error)
{
	yyjson_val *list = yyjson_obj_getn(spellings, (const char *)facet->name.ptr, facet->name.len);
	yyjson_arr_iter items = yyjson_arr_iter_with(list);

	for (size_t i = 0; i < hits->len; i++) {
		struct facet_hit *hit = &hits->list[i];
		struct slice value;

		if (hit->answers == hits->answers)
			continue;
		if (!node_spelling_read(yyjson_arr_iter_next(&items), &value))
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "answer of a node: not the spellings that were asked for");
		if (value.ptr != NULL && slice_compare(value, hit->value) < 0 &&
		    !arena_copy(arena, value, &hit->value))
			return error_memory(error, value.len);
	}
	return 0;
}
