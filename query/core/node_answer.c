#include "query/core/node_answer.h"

#include "query/core/json_text.h"
#include "shared/json/json.h"

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "answer of a node: %s", what);
}

/* After this the text can be walked. */
static int check_json(struct slice text, struct error *error)
{
	yyjson_doc *doc;

	if (json_parse(text, NODE_ANSWER_DEPTH_MAX, &doc, error) < 0)
		return error_prefix(error, "answer of a node");
	yyjson_doc_free(doc);
	return 0;
}

/* Position of partition `p` among those asked, or partitions_len. */
static size_t asked_at(const struct node_question *question, int64_t p)
{
	size_t at = 0;

	while (at < question->partitions_len && question->partitions[at] != p)
		at++;
	return at;
}

static bool member_i64(struct slice object, const char *name, int64_t *number)
{
	struct slice value;

	return json_text_member(object, name, &value) && json_text_i64(value, number);
}

static bool member_plain(struct slice object, const char *name, struct slice *text)
{
	struct slice value;

	return json_text_member(object, name, &value) && json_text_plain(value, text);
}

static bool member_walk(struct slice object, const char *name, struct json_walk *walk)
{
	struct slice value;

	return json_text_member(object, name, &value) && json_walk_begin(walk, value) && !walk->object;
}

static int parse_received(struct slice text, const struct node_question *question, struct arena *arena,
                          struct node_answer *answer, struct error *error)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	size_t count = 0;
	bool *seen = arena_alloc(arena, question->partitions_len);

	answer->stale = arena_alloc(arena, question->partitions_len * sizeof answer->stale[0]);
	answer->received = arena_alloc(arena, question->partitions_len * sizeof answer->received[0]);
	if (seen == NULL || answer->stale == NULL || answer->received == NULL)
		return error_memory(error, question->partitions_len);
	memset(seen, 0, question->partitions_len);
	if (!member_walk(text, "received", &walk))
		return malformed(error, "no `received`");
	while (json_walk_next(&walk, &key, &item)) {
		int64_t p;
		int64_t received;
		struct slice state;
		size_t at;

		if (!member_i64(item, "p", &p) || !member_plain(item, "state", &state) ||
		    !member_i64(item, "received", &received) || received < 0)
			return malformed(error, "an entry of `received` without `p`, `received` and `state`");
		at = asked_at(question, p);
		if (at == question->partitions_len || seen[at])
			return malformed(error, "`received` names a partition twice or one not asked");
		seen[at] = true;
		answer->received[at] = received;
		count++;
		if (!slice_equal(state, slice_string("active")))
			answer->stale[answer->stale_len++] = (int32_t)p;
	}
	return count == question->partitions_len ? 0 : malformed(error, "`received` lacks a partition asked");
}

bool document_id_is_valid(struct slice id)
{
	if (id.len < 1 || id.len > RECORD_ID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		uint8_t c = id.ptr[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* One pass over the members: a hit has few, and a page has many hits. */
static bool parse_hit(struct slice item, const struct node_question *question, struct node_hit *hit)
{
	enum {
		SEEN_P = 1,
		SEEN_TS = 2,
		SEEN_SEQ = 4,
		SEEN_ID = 8,
		SEEN_DOC = 16,
		SEEN_ALL = 31
	};
	struct json_walk walk;
	struct slice key;
	struct slice value;
	struct slice name;
	unsigned seen = 0;
	int64_t seq = 0;
	int64_t p = -1;

	*hit = (struct node_hit){0};
	if (!json_walk_begin(&walk, item) || !walk.object)
		return false;
	while (json_walk_next(&walk, &key, &value)) {
		if (!json_text_plain(key, &name))
			continue;
		if (slice_equal(name, slice_string("p")) && json_text_i64(value, &p))
			seen |= SEEN_P;
		else if (slice_equal(name, slice_string("ts")) &&
		         json_text_i64(value, &hit->key.timestamp_ms))
			seen |= SEEN_TS;
		else if (slice_equal(name, slice_string("seq")) && json_text_i64(value, &seq))
			seen |= SEEN_SEQ;
		else if (slice_equal(name, slice_string("id")) && json_text_plain(value, &hit->id))
			seen |= SEEN_ID;
		else if (slice_equal(name, slice_string("doc")) && value.ptr[0] == '{') {
			hit->document = value;
			seen |= SEEN_DOC;
		} else if (slice_equal(name, slice_string("score")) && !json_text_i64(value, &hit->score))
			return false;
	}
	if (seen != SEEN_ALL || seq < 0 || seq > UINT32_MAX || !document_id_is_valid(hit->id))
		return false;
	hit->partition = (int32_t)p;
	hit->key.seq = (uint32_t)seq;
	return asked_at(question, p) < question->partitions_len;
}

static int parse_hits(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error)
{
	struct json_walk walk;
	struct json_walk count;
	struct slice key;
	struct slice item;
	size_t len = 0;

	if (!member_walk(text, "hits", &walk))
		return malformed(error, "no `hits`");
	for (count = walk; json_walk_next(&count, &key, &item);)
		len++;
	if (len > question->hits_max)
		return malformed(error, "more hits than asked for");
	answer->hits = arena_alloc(arena, (len > 0 ? len : 1) * sizeof answer->hits[0]);
	if (answer->hits == NULL)
		return error_memory(error, len * sizeof answer->hits[0]);
	while (json_walk_next(&walk, &key, &item))
		if (!parse_hit(item, question, &answer->hits[answer->hits_len++]))
			return malformed(error, "a hit that is none");
	return 0;
}

int node_answer_parse(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error)
{
	struct node_answer read = {0};
	int result = check_json(text, error);

	if (result == 0)
		result = parse_received(text, question, arena, &read, error);
	if (result == 0)
		result = parse_hits(text, question, arena, &read, error);
	if (result < 0)
		return result;
	if (!member_i64(text, "total", &read.total) || read.total < (int64_t)read.hits_len)
		return malformed(error, "no `total`, or one below the number of hits");
	*answer = read;
	return 0;
}

int node_refusal_parse(struct slice text, const struct node_question *question, struct arena *arena,
                       struct node_refusals *refusals, struct error *error)
{
	struct node_refusal *list = arena_alloc(arena, question->partitions_len * sizeof list[0]);
	struct json_walk walk;
	struct slice key;
	struct slice item;
	size_t len = 0;

	if (list == NULL)
		return error_memory(error, question->partitions_len * sizeof list[0]);
	if (check_json(text, error) < 0)
		return error->code;
	if (!member_walk(text, "shards", &walk))
		return malformed(error, "410 without `shards`");
	while (len < question->partitions_len && json_walk_next(&walk, &key, &item)) {
		int64_t p;
		struct slice state;

		if (!member_i64(item, "p", &p) || !member_plain(item, "state", &state))
			return malformed(error, "410 with a shard without `p` and `state`");
		if (asked_at(question, p) < question->partitions_len)
			list[len++] = (struct node_refusal){(int32_t)p,
			                                    slice_equal(state, slice_string("recovering"))};
	}
	*refusals = (struct node_refusals){list, len};
	return 0;
}

int node_document_parse(struct slice text, struct slice *document, struct error *error)
{
	struct slice found;

	if (check_json(text, error) < 0)
		return error->code;
	if (!json_text_member(text, "doc", &found) || found.ptr[0] != '{')
		return malformed(error, "no `doc`");
	*document = found;
	return 0;
}

bool node_says_not_found(struct slice text)
{
	struct error ignored;
	struct slice code;

	return check_json(text, &ignored) == 0 && member_plain(text, "code", &code) &&
	       slice_equal(code, slice_string("document_not_found"));
}
