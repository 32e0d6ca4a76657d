#include "shard/core/words.h"

#include "shard/core/words_number.h"
#include "shared/json/json.h"

#include <stdlib.h>

#define POSITION_MAX UINT16_MAX

/* What the body at hand has had in a field. */
struct reached {
	uint64_t body;
	uint64_t position; /* where another value would begin */
	uint64_t words;    /* of it, stop words not counted */
	uint16_t field;
	bool has_words;
};

struct words {
	struct text *text;
	uint64_t body;           /* of this struct, counted */
	struct reached *reached; /* [0] of FIELD_OTHER, then by field */
	uint32_t *touched;       /* those that the body has */
	size_t touched_len;
	size_t reached_len;
	uint8_t path[FIELD_BYTES_MAX]; /* to the value at hand */
	size_t path_len;               /* may be more than there is room for */
	struct reached *at;            /* of the path; NULL: not looked up yet */
	char number[NUMBER_BYTES_MAX];
	const struct text_rules *rules; /* of the call that runs */
	struct fields *fields;
	const struct words_sink *sink;
	struct error *error;
};

struct words *words_new(void)
{
	struct words *words = calloc(1, sizeof *words);

	if (words == NULL)
		return NULL;
	words->text = text_new();
	if (words->text == NULL) {
		words_free(words);
		return NULL;
	}
	return words;
}

void words_free(struct words *words)
{
	if (words == NULL)
		return;
	text_free(words->text);
	free(words->reached);
	free(words->touched);
	free(words);
}

struct text *words_text(struct words *words)
{
	return words->text;
}

static int sink_call(struct words *words, struct slice word, uint16_t field, uint64_t position)
{
	if (words->sink->word(words->sink->context, word, (struct place){field, (uint16_t)position}))
		return 0;
	return error_memory(words->error, word.len);
}

static bool reached_reserve(struct words *words, size_t at)
{
	size_t len = at < 16 ? 16 : 2 * at;
	struct reached *reached;
	uint32_t *touched;

	if (at < words->reached_len)
		return true;
	touched = realloc(words->touched, len * sizeof *touched);
	if (touched == NULL)
		return false;
	words->touched = touched;
	reached = realloc(words->reached, len * sizeof *reached);
	if (reached == NULL)
		return false;
	memset(reached + words->reached_len, 0, (len - words->reached_len) * sizeof *reached);
	words->reached = reached;
	words->reached_len = len;
	return true;
}

/* The field of the path. */
static int field_find(struct words *words)
{
	uint16_t field = FIELD_OTHER;
	struct reached *reached;
	size_t at;

	if (words->path_len <= FIELD_BYTES_MAX &&
	    !fields_number(words->fields, slice_of(words->path, words->path_len), &field))
		return error_memory(words->error, words->path_len);
	at = field == FIELD_OTHER ? 0 : (size_t)field + 1;
	if (!reached_reserve(words, at))
		return error_memory(words->error, at * sizeof *reached);
	reached = &words->reached[at];
	if (reached->body != words->body) {
		*reached = (struct reached){.body = words->body, .field = field};
		words->touched[words->touched_len++] = (uint32_t)at;
	}
	words->at = reached;
	return 0;
}

/* Begins far behind what the body has had in its field, or at `first`. */
static int leaf_cut(struct words *words, struct slice text, uint64_t first)
{
	struct reached *reached;
	struct token token;
	uint64_t position;
	uint64_t gap = 0;
	int rc;

	if (words->at == NULL && field_find(words) != 0)
		return words->error->code;
	reached = words->at;
	position = reached->has_words ? reached->position : first;
	text_begin(words->text, words->rules, text);
	while ((rc = text_next(words->text, &token, words->error)) > 0) {
		if (token.kind >= TOKEN_SOFT) {
			/* what is before the first word keeps nothing apart */
			if (token.kind == TOKEN_HARD && gap > 0)
				gap = TEXT_HARD_GAP;
			continue;
		}
		position += gap;
		gap = 1;
		if (token.kind == TOKEN_STOP_WORD)
			continue;
		reached->words++;
		if (token.form.len > 0 && token.form.len <= TEXT_WORD_BYTES_MAX && position <= POSITION_MAX &&
		    sink_call(words, token.form, reached->field, position) != 0)
			return words->error->code;
	}
	if (gap > 0) {
		reached->position = position + TEXT_HARD_GAP;
		reached->has_words = true;
	}
	return rc;
}

static void path_append(struct words *words, const void *bytes, size_t len)
{
	if (words->path_len + len <= FIELD_BYTES_MAX && len > 0)
		memcpy(words->path + words->path_len, bytes, len);
	words->path_len += len;
	words->at = NULL;
}

static void path_cut(struct words *words, size_t len)
{
	words->path_len = len;
	words->at = NULL;
}

/* An array inside an object that has objects; its values begin later. */
static bool is_mixed(const struct words *words, yyjson_val *array)
{
	size_t at;
	size_t max;
	yyjson_val *child;

	if (words->path_len > FIELD_BYTES_MAX || memchr(words->path, '.', words->path_len) == NULL)
		return false;
	yyjson_arr_foreach(array, at, max, child)
	{
		if (yyjson_is_obj(child))
			return true;
	}
	return false;
}

static int scalar_cut(struct words *words, yyjson_val *value, uint64_t first)
{
	if (yyjson_is_str(value))
		return leaf_cut(words, json_string(value), first);
	if (yyjson_is_raw(value))
		return leaf_cut(words, words_number(json_raw_number(value), words->number), first);
	if (yyjson_is_bool(value))
		return leaf_cut(words, slice_string(yyjson_get_bool(value) ? "true" : "false"), first);
	return 0;
}

/* Depth is bounded by json_parse. */
static int value_cut(struct words *words, yyjson_val *value, uint64_t first)
{
	size_t path_len = words->path_len;
	size_t at;
	size_t max;
	yyjson_val *key;
	yyjson_val *child;

	if (yyjson_is_arr(value)) {
		if (is_mixed(words, value))
			first = TEXT_HARD_GAP;
		yyjson_arr_foreach(value, at, max, child)
		{
			if (value_cut(words, child, first) != 0)
				return words->error->code;
		}
		return 0;
	}
	if (!yyjson_is_obj(value))
		return scalar_cut(words, value, first);
	yyjson_obj_foreach(value, at, max, key, child)
	{
		struct slice name = json_string(key);

		if (path_len > 0)
			path_append(words, ".", 1);
		path_append(words, name.ptr, name.len);
		if (value_cut(words, child, 0) != 0)
			return words->error->code;
		path_cut(words, path_len);
	}
	return 0;
}

static int lengths_emit(struct words *words)
{
	for (size_t i = 0; i < words->touched_len; i++) {
		const struct reached *reached = &words->reached[words->touched[i]];

		if (reached->words > 0 && reached->words <= WORD_FIELD_WORDS_MAX &&
		    sink_call(words, slice_string(WORD_FIELD_LENGTH), reached->field, reached->words) != 0)
			return words->error->code;
	}
	return 0;
}

int words_of_body(struct words *words, const struct text_rules *rules, struct slice body,
                  struct fields *fields, const struct words_sink *sink, struct error *error)
{
	yyjson_doc *doc;
	int rc;

	if (body.len > TEXT_TOKEN_BYTES_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "a body of %zu bytes", body.len);
	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0)
		return error->code;
	words->rules = rules;
	words->fields = fields;
	words->sink = sink;
	words->error = error;
	words->body++;
	words->touched_len = 0;
	path_cut(words, 0);
	rc = value_cut(words, yyjson_doc_get_root(doc), 0);
	if (rc == 0)
		rc = lengths_emit(words);
	yyjson_doc_free(doc);
	return rc;
}
