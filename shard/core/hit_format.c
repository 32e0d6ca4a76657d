#include "shard/core/hit_format.h"

#include "shard/core/search_nodes.h"
#include "shard/engine/typo.h"

struct hit_format {
	const struct hit_format_request *request;
	struct token token;                 /* the last one */
	struct typo typos[QUERY_NODES_MAX]; /* of nodes that are no phrases */
	struct format_synonyms synonyms[QUERY_NODES_MAX];
	struct format_matcher matcher;
	struct format_cutter cutter;
	struct format *format;
};

/* ---- cutter ---- */

static void begin(void *context, struct slice text)
{
	const struct hit_format_request *request = ((struct hit_format *)context)->request;

	text_begin(request->text, request->settings->rules, text);
}

static int next(void *context, struct token *token, struct error *error)
{
	struct hit_format *made = context;
	int rc = text_next(made->request->text, &made->token, error);

	if (rc > 0)
		*token = made->token;
	return rc;
}

static size_t head(void *context, size_t characters)
{
	const struct hit_format *made = context;

	return text_head(made->request->text, &made->token, characters);
}

/* ---- matcher ---- */

static bool is_phrase(const struct query *query, size_t node)
{
	return query->terms[query->nodes[node].first].is_phrase;
}

static uint32_t derived(void *context, struct slice form)
{
	const struct hit_format *made = context;
	const struct query *query = made->request->query;
	bool spared = search_word_is_spared(&made->request->settings->typos, form);
	uint32_t nodes = 0;

	for (size_t i = 0; i < query->nodes_len; i++) {
		int typos = is_phrase(query, i) ? -1 : typo_between(&made->typos[i], form);

		if (typos < 0 || (spared && (typos > 0 || query->nodes[i].terms > 1)))
			continue;
		nodes |= UINT32_C(1) << i;
	}
	return nodes;
}

static void typos_fill(struct hit_format *made)
{
	const struct query *query = made->request->query;

	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_node *node = &query->nodes[i];

		if (!is_phrase(query, i))
			typo_init(&made->typos[i], node->text,
			          search_node_typos(&made->request->settings->typos, node), node->is_prefix);
	}
}

/* Those of one node; `phrases` has room for all that there are. */
static size_t synonyms_of(const struct hit_format_request *request, const struct query_node *node,
                          struct query_phrase *phrases)
{
	size_t len = 0;

	for (size_t i = 0; i < request->settings->synonyms_len; i++) {
		const struct search_synonym *synonym = &request->settings->synonyms[i];

		if (!search_synonym_is_of(synonym, request->query, node))
			continue;
		if (phrases != NULL)
			phrases[len] = synonym->synonym;
		len++;
	}
	return len;
}

static int synonyms_fill(struct hit_format *made, struct error *error)
{
	const struct hit_format_request *request = made->request;

	for (size_t i = 0; i < request->query->nodes_len; i++) {
		const struct query_node *node = &request->query->nodes[i];
		size_t len = synonyms_of(request, node, NULL);
		struct query_phrase *phrases = arena_alloc(request->arena, len * sizeof *phrases);

		if (phrases == NULL)
			return error_memory(error, len * sizeof *phrases);
		made->synonyms[i] = (struct format_synonyms){phrases, synonyms_of(request, node, phrases)};
	}
	return 0;
}

/* ---- all of it ---- */

/* The i-th name to crop, without its number of words, or to highlight. */
static struct slice name_at(const struct format_request *shown, size_t at)
{
	if (at < shown->crop.len)
		return format_crop_name(shown->crop.names[at]);
	return shown->highlight.names[at - shown->crop.len];
}

static bool is_known_here(const struct hit_format_request *request, struct slice path)
{
	for (size_t i = 0; i < request->snapshots_len; i++)
		if (snapshot_has_field(request->snapshots[i], path))
			return true;
	return false;
}

static bool is_known(void *context, struct slice path)
{
	const struct hit_format_request *request = ((struct hit_format *)context)->request;
	size_t names = request->shown.crop.len + request->shown.highlight.len;

	if (request->paths.ptr == NULL)
		return is_known_here(request, path);
	for (size_t i = 0; i < names && i < request->paths.len; i++)
		if (slice_equal(name_at(&request->shown, i), path))
			return request->paths.ptr[i] == '1';
	return false;
}

void hit_format_paths(const struct hit_format *format, struct buffer *json)
{
	const struct hit_format_request *request = format->request;
	size_t names = request->shown.crop.len + request->shown.highlight.len;
	bool some = false;

	for (size_t i = 0; i < names && !some; i++)
		some = !slice_equal(name_at(&request->shown, i), slice_string("*"));
	if (!some)
		return;
	buffer_append_string(json, ",\"paths\":\"");
	for (size_t i = 0; i < names; i++)
		buffer_put_u8(json, is_known_here(request, name_at(&request->shown, i)) ? '1' : '0');
	buffer_append_string(json, "\"");
}

int hit_format_new(const struct hit_format_request *request, struct hit_format **format, struct error *error)
{
	struct hit_format *made = arena_alloc(request->arena, sizeof *made);
	struct format_request shown = request->shown;

	if (made == NULL)
		return error_memory(error, sizeof *made);
	made->request = request;
	made->matcher = (struct format_matcher){request->query, made->synonyms, made, derived};
	made->cutter = (struct format_cutter){made, begin, next, head};
	typos_fill(made);
	shown.known_context = made;
	shown.is_known = is_known;
	shown.matcher = &made->matcher;
	shown.cutter = &made->cutter;
	if (synonyms_fill(made, error) != 0 || format_new(&shown, &made->format, error) != 0)
		return error->code;
	*format = made;
	return 0;
}

void hit_format_free(struct hit_format *format)
{
	if (format != NULL)
		format_free(format->format);
}

int hit_format_append(struct hit_format *format, yyjson_val *document, struct buffer *out,
                      struct error *error)
{
	return format_append(format->format, document, out, error);
}
