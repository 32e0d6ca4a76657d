#include "shard/core/search_question.h"

#include <stddef.h>

struct reading {
	struct arena *arena;
	struct search_question *question; /* being read */
	const char *name;                 /* of the member at hand */
};

/* `value` is neither absent nor null; `member` is where it goes. */
typedef int read_member(struct reading *reading, yyjson_val *value, void *member, struct error *error);

static int refuse(const struct reading *reading, const char *expected, struct error *error)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "expected `%s` to be %s", reading->name,
	                 expected);
}

static int read_flag(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_bool(value))
		return refuse(reading, "a boolean", error);
	*(bool *)member = yyjson_get_bool(value);
	return 0;
}

static int read_text(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_str(value))
		return refuse(reading, "a string", error);
	*(struct slice *)member = json_string(value);
	return 0;
}

static int texts_fill(struct reading *reading, yyjson_val *value, struct settings_texts *texts,
                      struct error *error)
{
	struct slice *list = arena_alloc(reading->arena, yyjson_arr_size(value) * sizeof *list);
	yyjson_val *text;
	size_t at;
	size_t max;

	if (list == NULL)
		return error_memory(error, yyjson_arr_size(value) * sizeof *list);
	yyjson_arr_foreach(value, at, max, text)
	{
		if (!yyjson_is_str(text))
			return refuse(reading, "a list of strings", error);
		list[at] = json_string(text);
	}
	*texts = (struct settings_texts){list, yyjson_arr_size(value)};
	return 0;
}

static int read_texts(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_arr(value))
		return refuse(reading, "a list of strings", error);
	return texts_fill(reading, value, member, error);
}

static int read_names(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_arr(value) || yyjson_arr_size(value) > SEARCH_QUESTION_NAMES_MAX)
		return refuse(reading, "a list of at most 1000 strings", error);
	return texts_fill(reading, value, member, error);
}

static int read_spellings(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	size_t len = yyjson_obj_size(value);
	struct search_spelled *list = arena_alloc(reading->arena, (len + 1) * sizeof *list);
	yyjson_val *path;
	yyjson_val *texts;
	size_t at;
	size_t max;

	if (!yyjson_is_obj(value) || len > SEARCH_QUESTION_NAMES_MAX)
		return refuse(reading, "lists of strings by at most 1000 paths", error);
	if (list == NULL)
		return error_memory(error, len * sizeof *list);
	yyjson_obj_foreach(value, at, max, path, texts)
	{
		list[at].path = json_string(path);
		if (read_texts(reading, texts, &list[at].folded, error) != 0)
			return error->code;
	}
	*(struct search_spellings *)member = (struct search_spellings){list, len};
	return 0;
}

/* Questions whose documents are counted; none of them has a union of its own. */
static int read_union(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	size_t len = yyjson_arr_size(value);
	struct search_question *list = arena_alloc(reading->arena, (len + 1) * sizeof *list);
	yyjson_val *asked;
	size_t at;
	size_t max;

	if (!yyjson_is_arr(value) || len > SEARCH_QUESTION_UNION_MAX)
		return refuse(reading, "at most 64 questions", error);
	if (list == NULL)
		return error_memory(error, len * sizeof *list);
	yyjson_arr_foreach(value, at, max, asked)
	{
		if (yyjson_obj_get(asked, reading->name) != NULL)
			return refuse(reading, "questions without one", error);
		if (search_question_read(asked, reading->arena, &list[at], error) != 0)
			return error->code;
	}
	*(struct search_union *)member = (struct search_union){list, len};
	return 0;
}

static int read_json(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	struct buffer json;
	int rc;

	buffer_init(&json, SIZE_MAX);
	rc = json_append_value(&json, value, error);
	if (rc == 0 && (buffer_failed(&json) || !arena_copy(reading->arena, buffer_slice(&json), member)))
		rc = error_memory(error, json.len);
	buffer_deinit(&json);
	return rc;
}

static int read_version(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_int(value) || yyjson_get_sint(value) < -1)
		return refuse(reading, "a version", error);
	*(int64_t *)member = yyjson_get_sint(value);
	return 0;
}

static int read_limit(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_uint(value) || yyjson_get_uint(value) > SEARCH_QUESTION_LIMIT_MAX)
		return refuse(reading, "at most 1000000", error);
	*(uint64_t *)member = yyjson_get_uint(value);
	return 0;
}

static int read_count(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_uint(value))
		return refuse(reading, "a number", error);
	*(uint64_t *)member = yyjson_get_uint(value);
	return 0;
}

static int read_words(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	uint64_t words = yyjson_get_uint(value);

	if (!yyjson_is_uint(value))
		return refuse(reading, "a number of words", error);
	*(uint32_t *)member = words > UINT32_MAX ? UINT32_MAX : (uint32_t)words;
	return 0;
}

static int read_threshold(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	double threshold = yyjson_get_num(value);

	if (!yyjson_is_num(value) || !(threshold >= 0 && threshold <= 1))
		return refuse(reading, "a number from 0 to 1", error);
	*(double *)member = threshold;
	reading->question->has_threshold = true;
	return 0;
}

static int read_strategy(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	static const char *const names[] = {"last", "all", "frequency"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (yyjson_equals_str(value, names[i])) {
			*(enum rank_strategy *)member = (enum rank_strategy)(RANK_LAST + i);
			return 0;
		}
	return refuse(reading, "`last`, `all` or `frequency`", error);
}

static int read_known(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_uint(value) || yyjson_get_uint(value) >> QUERY_TERMS_MAX != 0)
		return refuse(reading, "a bit for each of at most 10 terms", error);
	*(uint16_t *)member = (uint16_t)yyjson_get_uint(value);
	reading->question->has_known = true;
	return 0;
}

static int read_rarest(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	if (!yyjson_is_uint(value) || yyjson_get_uint(value) >= QUERY_TERMS_MAX)
		return refuse(reading, "one of at most 10 terms", error);
	*(uint8_t *)member = (uint8_t)yyjson_get_uint(value);
	reading->question->has_rarest = true;
	return 0;
}

static int hex_digit(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int rank_read(struct reading *reading, struct slice hex, struct slice *rank, struct error *error)
{
	uint8_t *bytes = arena_alloc(reading->arena, hex.len / 2 + 1);

	if (bytes == NULL)
		return error_memory(error, hex.len);
	for (size_t i = 0; i < hex.len; i++) {
		int digit = hex_digit(hex.ptr[i]);

		if (digit < 0 || hex.len % 2 != 0)
			return refuse(reading, "a place in a ranking", error);
		bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : bytes[i / 2] | digit);
	}
	*rank = slice_of(bytes, hex.len / 2);
	return 0;
}

static int read_cut(struct reading *reading, yyjson_val *value, void *member, struct error *error)
{
	struct search_cut *cut = member;
	struct slice hex;
	int64_t seq;

	if (!json_get_string(value, "rank", &hex) || !json_get_string(value, "id", &cut->id) ||
	    !json_get_i64(value, "ts", &cut->key.timestamp_ms) || !json_get_i64(value, "seq", &seq) ||
	    seq < 0 || seq > UINT32_MAX)
		return refuse(reading, "a place in a ranking", error);
	cut->key.seq = (uint32_t)seq;
	reading->question->has_cut = true;
	return rank_read(reading, hex, &cut->rank, error);
}

#define ROW(name, kind, member) \
	{ \
		name, read_##kind, offsetof(struct search_question, member) \
	}

static const struct {
	const char *name;
	read_member *read;
	size_t offset;
} rows[] = {
	ROW("settings", version, settings),
	ROW("limit", limit, limit),
	ROW("cutoff", count, cutoff_ms),
	ROW("q", text, q),
	ROW("filter", json, filter),
	ROW("sort", names, sort),
	ROW("distinct", text, distinct),
	ROW("matchingStrategy", strategy, strategy),
	ROW("attributesToSearchOn", names, search_on),
	ROW("rankingScoreThreshold", threshold, threshold),
	ROW("facets", names, facets),
	ROW("attributesToRetrieve", names, retrieve),
	ROW("attributesToCrop", names, crop),
	ROW("cropLength", words, crop_words),
	ROW("cropMarker", text, crop_marker),
	ROW("attributesToHighlight", names, highlight),
	ROW("highlightPreTag", text, pre_tag),
	ROW("highlightPostTag", text, post_tag),
	ROW("showMatchesPosition", flag, shows_positions),
	ROW("showRankingScore", flag, shows_score),
	ROW("showRankingScoreDetails", flag, shows_details),
	ROW("byPage", flag, by_page),
	ROW("documents", flag, documents),
	ROW("ids", texts, ids),
	ROW("fields", names, fields),
	ROW("known", known, known),
	ROW("rarest", rarest, rarest),
	ROW("paths", text, paths),
	ROW("equal", flag, equal),
	ROW("cut", cut, cut),
	ROW("facetName", text, facet_name),
	ROW("facetQuery", text, facet_query),
	ROW("scores", flag, scores),
	ROW("spellings", spellings, spellings),
	ROW("pathsKnown", flag, paths_known),
	ROW("union", union, counted),
};

int search_question_read(yyjson_val *asked, struct arena *arena, struct search_question *question,
                         struct error *error)
{
	struct search_question read = {
		.settings = -1,
		.limit = SEARCH_QUESTION_LIMIT_DEFAULT,
		.cutoff_ms = UINT64_MAX,
		.q = slice_string(""),
		.strategy = RANK_LAST,
		.crop_words = 10,
		.crop_marker = slice_string("…"),
		.pre_tag = slice_string("<em>"),
		.post_tag = slice_string("</em>"),
	};
	struct reading reading = {.arena = arena, .question = &read};

	if (!yyjson_is_obj(asked))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "expected an object");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		yyjson_val *value = yyjson_obj_get(asked, rows[i].name);

		reading.name = rows[i].name;
		if (value != NULL && !yyjson_is_null(value) &&
		    rows[i].read(&reading, value, (uint8_t *)&read + rows[i].offset, error) != 0)
			return error->code;
	}
	*question = read;
	return 0;
}
