#include "query/core/node_answer.h"

#include "query/core/json_text.h"
#include "query/core/node_facets.h"
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

/* What is looked at of a 200, as it stands; empty: it is not there. */
enum member {
	MEMBER_RECEIVED = 0,
	MEMBER_HITS,
	MEMBER_TOTAL,
	MEMBER_PATHS,
	MEMBER_TERMS,
	MEMBER_KNOWN,
	MEMBER_FREQUENCIES,
	MEMBER_FACETS,
	MEMBER_CUTOFF,
	MEMBERS
};

static const char *const member_names[MEMBERS] = {[MEMBER_RECEIVED] = "received",
                                                  [MEMBER_HITS] = "hits",
                                                  [MEMBER_TOTAL] = "total",
                                                  [MEMBER_PATHS] = "paths",
                                                  [MEMBER_TERMS] = "terms",
                                                  [MEMBER_KNOWN] = "known",
                                                  [MEMBER_FREQUENCIES] = "frequencies",
                                                  [MEMBER_FACETS] = "facets",
                                                  [MEMBER_CUTOFF] = "cutoff"};

struct members {
	struct slice text; /* of the whole */
	struct slice at[MEMBERS];
};

static bool array_walk(struct slice value, struct json_walk *walk)
{
	return json_walk_begin(walk, value) && !walk->object;
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

	return json_text_member(object, name, &value) && array_walk(value, walk);
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

static int parse_received(const struct members *members, const struct node_question *question,
                          struct arena *arena, struct node_answer *answer, struct error *error)
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
	if (!array_walk(members->at[MEMBER_RECEIVED], &walk))
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

/* ---- hits ---- */

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!(text.ptr[i] >= '0' && text.ptr[i] <= '9') &&
		    !(text.ptr[i] >= 'a' && text.ptr[i] <= 'f'))
			return false;
	return text.len % 2 == 0;
}

/* Items of an array, at most `max`; false if it is none, or a longer one. */
static bool count_items(struct slice array, size_t max, size_t *len)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;

	if (!json_walk_begin(&walk, array) || walk.object)
		return false;
	for (*len = 0; json_walk_next(&walk, &key, &item); (*len)++)
		if (*len == max)
			return false;
	return true;
}

static bool parse_distinct(struct slice array, struct arena *arena, struct node_hit *hit)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	struct slice *values;
	size_t len;

	if (!count_items(array, NODE_DISTINCT_MAX, &len))
		return false;
	values = arena_alloc(arena, (len + 1) * sizeof values[0]);
	if (values == NULL || !json_walk_begin(&walk, array))
		return false;
	while (json_walk_next(&walk, &key, &item)) {
		if (!json_text_plain(item, &values[hit->distinct_len]) || !is_hex(values[hit->distinct_len]))
			return false;
		hit->distinct_len++;
	}
	hit->distinct = values;
	return true;
}

static bool parse_score(struct slice pair, struct node_score *score)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	int64_t numbers[2];
	size_t len = 0;

	*score = (struct node_score){0};
	if (json_text_plain(pair, &score->value))
		return is_hex(score->value);
	if (!json_walk_begin(&walk, pair) || walk.object)
		return false;
	while (json_walk_next(&walk, &key, &item))
		if (len == 2 || !json_text_i64(item, &numbers[len++]))
			return false;
	if (len < 2 || numbers[0] < (numbers[1] > 1) || numbers[1] < numbers[0] || numbers[1] < 1 ||
	    numbers[1] > UINT32_MAX)
		return false;
	*score = (struct node_score){.rank = (uint32_t)numbers[0], .highest = (uint32_t)numbers[1]};
	return true;
}

static bool parse_scores(struct slice array, struct arena *arena, struct node_hit *hit)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	struct node_score *scores;
	bool ended = false;
	size_t len;

	if (!count_items(array, NODE_SCORES_MAX, &len))
		return false;
	scores = arena_alloc(arena, (len + 1) * sizeof scores[0]);
	if (scores == NULL || !json_walk_begin(&walk, array))
		return false;
	while (json_walk_next(&walk, &key, &item)) {
		struct node_score *score = &scores[hit->scores_len++];

		if (ended || !parse_score(item, score))
			return false;
		ended = score->value.ptr == NULL && score->rank == 0;
	}
	hit->scores = scores;
	return true;
}

enum {
	SEEN_P = 1,
	SEEN_TS = 2,
	SEEN_SEQ = 4,
	SEEN_ID = 8,
	SEEN_DOC = 16,
	SEEN_ALL = 31
};

/* What every hit has. */
struct hit_reading {
	struct node_hit *hit;
	int64_t p;
	int64_t seq;
	unsigned seen;
};

/* False for a member that is wrong, whatever follows. */
static bool parse_hit_member(struct hit_reading *reading, struct slice name, struct slice value,
                             struct arena *arena)
{
	struct node_hit *hit = reading->hit;

	if (slice_equal(name, slice_string("p")) && json_text_i64(value, &reading->p))
		reading->seen |= SEEN_P;
	else if (slice_equal(name, slice_string("ts")) && json_text_i64(value, &hit->key.timestamp_ms))
		reading->seen |= SEEN_TS;
	else if (slice_equal(name, slice_string("seq")) && json_text_i64(value, &reading->seq))
		reading->seen |= SEEN_SEQ;
	else if (slice_equal(name, slice_string("id")) && json_text_plain(value, &hit->id))
		reading->seen |= SEEN_ID;
	else if (slice_equal(name, slice_string("doc")) && value.ptr[0] == '{') {
		hit->document = value;
		reading->seen |= SEEN_DOC;
	} else if (slice_equal(name, slice_string("rank")))
		return json_text_plain(value, &hit->rank) && is_hex(hit->rank);
	else if (slice_equal(name, slice_string("distinct")))
		return hit->distinct == NULL && parse_distinct(value, arena, hit);
	else if (slice_equal(name, slice_string("score")))
		return hit->scores == NULL && parse_scores(value, arena, hit);
	return true;
}

/* One pass over the members: a hit has few, and a page has many hits. */
static bool parse_hit(struct slice item, const struct node_question *question, struct arena *arena,
                      struct node_hit *hit)
{
	struct hit_reading reading = {.hit = hit, .p = -1};
	struct json_walk walk;
	struct slice key;
	struct slice value;
	struct slice name;

	*hit = (struct node_hit){0};
	if (!json_walk_begin(&walk, item) || !walk.object)
		return false;
	while (json_walk_next(&walk, &key, &value))
		if (json_text_plain(key, &name) && !parse_hit_member(&reading, name, value, arena))
			return false;
	if (reading.seen != SEEN_ALL || reading.seq < 0 || reading.seq > UINT32_MAX ||
	    !document_id_is_valid(hit->id))
		return false;
	hit->partition = (int32_t)reading.p;
	hit->key.seq = (uint32_t)reading.seq;
	return asked_at(question, reading.p) < question->partitions_len;
}

static int parse_hits(const struct members *members, const struct node_question *question,
                      struct arena *arena, struct node_answer *answer, struct error *error)
{
	size_t fit = members->text.len / HIT_BYTES_MIN;
	size_t most = question->equal || fit < question->hits_max ? fit : (size_t)question->hits_max;
	struct json_walk walk;
	struct slice key;
	struct slice item;

	if (!array_walk(members->at[MEMBER_HITS], &walk))
		return question->values ? 0 : malformed(error, "no `hits`");
	answer->hits = arena_alloc(arena, (most + 1) * sizeof answer->hits[0]);
	if (answer->hits == NULL)
		return error_memory(error, (most + 1) * sizeof answer->hits[0]);
	while (json_walk_next(&walk, &key, &item)) {
		if (answer->hits_len == most)
			return malformed(error, "more hits than asked for");
		if (!parse_hit(item, question, arena, &answer->hits[answer->hits_len]))
			return malformed(error, "a hit that is none");
		answer->has_distinct |= answer->hits[answer->hits_len++].distinct_len > 0;
	}
	return 0;
}

/* ---- words ---- */

/* Whether each of some names is known. */
static bool parse_paths(struct slice item, struct node_answer *answer)
{
	if (!json_text_plain(item, &answer->paths) || answer->paths.len > NODE_ANSWER_PATHS_MAX)
		return false;
	for (size_t i = 0; i < answer->paths.len; i++)
		if (answer->paths.ptr[i] != '0' && answer->paths.ptr[i] != '1')
			return false;
	return true;
}

static int parse_words(const struct members *members, struct node_answer *answer, struct error *error)
{
	struct json_walk walk;
	struct slice key;
	struct slice item;
	int64_t terms = 0;
	int64_t known = 0;

	if (members->at[MEMBER_PATHS].ptr != NULL && !parse_paths(members->at[MEMBER_PATHS], answer))
		return malformed(error, "`paths` that are none");
	if (!json_text_i64(members->at[MEMBER_TERMS], &terms))
		return 0;
	if (terms < 0 || terms > SEARCH_TERMS_MAX || !json_text_i64(members->at[MEMBER_KNOWN], &known) ||
	    known < 0 || known >= (int64_t)1 << terms)
		return malformed(error, "`known` and `terms` do not fit each other");
	answer->terms = (size_t)terms;
	answer->known = (uint32_t)known;
	if (!array_walk(members->at[MEMBER_FREQUENCIES], &walk))
		return 0;
	while (json_walk_next(&walk, &key, &item)) {
		int64_t count;

		if (answer->frequencies_len == answer->terms || !json_text_i64(item, &count) || count < 0)
			return malformed(error, "`frequencies` that are none");
		answer->frequencies[answer->frequencies_len++] = (uint64_t)count;
	}
	return answer->frequencies_len == answer->terms
	               ? 0
	               : malformed(error, "`frequencies` of fewer terms than there are");
}

/* ---- the whole ---- */

int node_answer_parse(struct slice text, const struct node_question *question, struct arena *arena,
                      struct node_answer *answer, struct error *error)
{
	struct node_answer read = {0};
	struct members members = {.text = text};
	struct slice facets;
	int result = check_json(text, error);

	if (result < 0)
		return result;
	json_text_members(text, member_names, MEMBERS, members.at);
	facets = members.at[MEMBER_FACETS];
	result = parse_received(&members, question, arena, &read, error);
	if (result == 0)
		result = parse_hits(&members, question, arena, &read, error);
	if (result == 0)
		result = parse_words(&members, &read, error);
	if (result == 0 && question->facets)
		result = facets.ptr != NULL ? node_facets_parse(facets, arena, &read, error)
		                            : malformed(error, "no `facets`");
	if (result < 0)
		return result;
	read.at_cutoff = slice_equal(members.at[MEMBER_CUTOFF], slice_string("true"));
	if ((!question->values && !json_text_i64(members.at[MEMBER_TOTAL], &read.total)) ||
	    (!question->equal && read.total < (int64_t)read.hits_len))
		return malformed(error, "no `total`, or one below the number of hits");
	*answer = read;
	return 0;
}

/* Whether it says anything of all partitions together. */
static bool is_whole(const struct node_answer *answer, const struct node_question *question)
{
	return answer->terms > 0 || answer->paths.ptr != NULL || answer->has_distinct || question->facets ||
	       question->values || question->whole;
}

bool node_answer_restrict(struct node_answer *answer, const struct node_question *question,
                          const bool *wanted)
{
	bool cut_off = answer->total > (int64_t)answer->hits_len;
	int64_t total = 0;
	size_t hits_len = 0;
	size_t stale_len = 0;

	if (is_whole(answer, question))
		return false;
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

bool node_settings_parse(struct slice text, int64_t *version)
{
	struct error ignored;
	struct slice code;

	return check_json(text, &ignored) == 0 && member_plain(text, "code", &code) &&
	       slice_equal(code, slice_string("settings_version")) && member_i64(text, "settings", version);
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
