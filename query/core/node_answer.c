#include "query/core/node_answer.h"

#include "query/core/json_text.h"
#include "shared/json/json.h"

/* {"p":0,"ts":0,"seq":0,"id":"","doc":{}}: no hit is shorter. */
#define HIT_BYTES_MIN 39U

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

/* An entry of `received`. */
struct standing {
	int64_t p;
	int64_t received;
	int64_t total; /* -1: not said */
	bool active;
};

static bool parse_standing(struct slice item, struct standing *standing)
{
	struct slice state;

	standing->total = -1;
	if (!member_i64(item, "p", &standing->p) || !member_plain(item, "state", &state) ||
	    !member_i64(item, "received", &standing->received) || standing->received < 0)
		return false;
	standing->active = slice_equal(state, slice_string("active"));
	return !member_i64(item, "total", &standing->total) || standing->total >= 0;
}

static int parse_received(struct slice text, const struct node_question *question, struct arena *arena,
                          struct node_answer *answer, struct error *error)
{
	size_t asked = question->partitions_len;
	struct json_walk walk;
	struct slice key;
	struct slice item;
	size_t count = 0;
	bool *seen = arena_alloc(arena, asked);

	answer->stale = arena_alloc(arena, asked * sizeof answer->stale[0]);
	answer->received = arena_alloc(arena, asked * sizeof answer->received[0]);
	answer->totals = arena_alloc(arena, asked * sizeof answer->totals[0]);
	if (seen == NULL || answer->stale == NULL || answer->received == NULL || answer->totals == NULL)
		return error_memory(error, asked * sizeof answer->received[0]);
	memset(seen, 0, asked);
	if (!member_walk(text, "received", &walk))
		return malformed(error, "no `received`");
	while (json_walk_next(&walk, &key, &item)) {
		struct standing standing;
		size_t at;

		if (!parse_standing(item, &standing))
			return malformed(error, "an entry of `received` without `p`, `received` and `state`");
		at = asked_at(question, standing.p);
		if (at == asked || seen[at])
			return malformed(error, "`received` names a partition twice or one not asked");
		seen[at] = true;
		count++;
		answer->received[at] = standing.received;
		answer->totals[at] = standing.total;
		if (!standing.active)
			answer->stale[answer->stale_len++] = (int32_t)standing.p;
	}
	return count == asked ? 0 : malformed(error, "`received` lacks a partition asked");
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
	size_t most = text.len / HIT_BYTES_MIN < question->hits_max ? text.len / HIT_BYTES_MIN
	                                                            : (size_t)question->hits_max;
	struct json_walk walk;
	struct slice key;
	struct slice item;

	if (!member_walk(text, "hits", &walk))
		return malformed(error, "no `hits`");
	answer->hits = arena_alloc(arena, (most + 1) * sizeof answer->hits[0]);
	if (answer->hits == NULL)
		return error_memory(error, (most + 1) * sizeof answer->hits[0]);
	while (json_walk_next(&walk, &key, &item)) {
		if (answer->hits_len == question->hits_max)
			return malformed(error, "more hits than asked for");
		if (!parse_hit(item, question, &answer->hits[answer->hits_len++]))
			return malformed(error, "a hit that is none");
	}
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

bool node_answer_restrict(struct node_answer *answer, const struct node_question *question,
                          const bool *wanted)
{
	bool cut_off = answer->total > (int64_t)answer->hits_len;
	int64_t total = 0;
	size_t hits_len = 0;
	size_t stale_len = 0;

	for (size_t i = 0; i < question->partitions_len; i++) {
		if (answer->totals[i] < 0 || answer->totals[i] > INT64_MAX - total)
			return false;
		total += wanted[i] ? answer->totals[i] : 0;
	}
	for (size_t i = 0; i < answer->hits_len; i++)
		if (wanted[asked_at(question, answer->hits[i].partition)])
			answer->hits[hits_len++] = answer->hits[i];
	if ((cut_off && hits_len < answer->hits_len) || total < (int64_t)hits_len)
		return false;
	for (size_t i = 0; i < answer->stale_len; i++)
		if (wanted[asked_at(question, answer->stale[i])])
			answer->stale[stale_len++] = answer->stale[i];
	answer->hits_len = hits_len;
	answer->stale_len = stale_len;
	answer->total = total;
	return true;
}

static enum node_refusal_reason reason_of(struct slice state)
{
	if (slice_equal(state, slice_string("recovering")))
		return NODE_REFUSAL_RECOVERING;
	if (slice_equal(state, slice_string("absent")))
		return NODE_REFUSAL_ABSENT;
	if (slice_equal(state, slice_string("behind")))
		return NODE_REFUSAL_BEHIND;
	return NODE_REFUSAL_STOPPED;
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
			list[len++] = (struct node_refusal){(int32_t)p, reason_of(state)};
	}
	*refusals = (struct node_refusals){list, len};
	return 0;
}

/* A node that says nothing about its standing has said nothing that a token could rely on. */
static int parse_document_standing(struct slice text, int32_t partition, struct node_document *document,
                                   struct error *error)
{
	struct standing standing;
	struct json_walk walk;
	struct slice key;
	struct slice item;

	document->received = -1;
	document->stale = false;
	if (!member_walk(text, "received", &walk))
		return 0;
	if (!json_walk_next(&walk, &key, &item) || !parse_standing(item, &standing) ||
	    standing.p != partition || json_walk_next(&walk, &key, &item))
		return malformed(error, "`received` is not about the partition asked");
	document->received = standing.received;
	document->stale = !standing.active;
	return 0;
}

int node_document_parse(struct slice text, int32_t partition, bool found, struct node_document *document,
                        struct error *error)
{
	struct node_document read = {0};
	struct slice code;

	if (check_json(text, error) < 0)
		return error->code;
	if (found && (!json_text_member(text, "doc", &read.document) || read.document.ptr[0] != '{'))
		return malformed(error, "no `doc`");
	if (!found &&
	    (!member_plain(text, "code", &code) || !slice_equal(code, slice_string("document_not_found"))))
		return malformed(error, "404, but not about the document");
	if (parse_document_standing(text, partition, &read, error) < 0)
		return error->code;
	*document = read;
	return 0;
}
