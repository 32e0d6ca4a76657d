#include "query/core/federation.h"

#include "query/core/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE_MIN 64
#define NUMBER_DIGITS_MIN 15
#define NUMBER_DIGITS_MAX 17
#define NUMBER_BYTES_MAX 32
#define KEY_BYTES_MAX 64 /* without an id, or a value */
#define KEYS_BLOCK_BYTES 4096

/* Of a rule that sorts, or of rules about words that stand together. */
struct federation_step {
	struct slice value; /* ptr NULL: the score counts */
	double score;       /* weighted */
};

struct federation_hit {
	size_t query;
	uint64_t index_id;
	int32_t partition;
	struct slice id;
	struct slice document;
	double score; /* of all rules about words, weighted */
	const struct federation_step *steps;
	size_t steps_len;
	const struct slice *values; /* of the list's distinct attribute */
	size_t values_len;
};

bool federation_init(struct federation *federation, const struct multi_search_request *request,
                     struct arena *arena)
{
	size_t len = request->federation.facets_len;

	*federation = (struct federation){.request = request, .arena = arena};
	federation->facets = arena_alloc(arena, (len + 1) * sizeof federation->facets[0]);
	for (size_t i = 0; federation->facets != NULL && i < len; i++)
		federation->facets[i] = slice_of(NULL, 0);
	return federation->facets != NULL;
}

void federation_deinit(struct federation *federation)
{
	free(federation->hits);
	*federation = (struct federation){0};
}

/* ---- adding ---- */

/* Pairs of rank and highest rank, coarse before fine, as one number. */
struct fold {
	uint64_t rank;
	uint64_t highest;
};

static const struct fold fold_first = {1, 1};

/* What no query of ours comes to, the product of all ranks over 64 bits, is left out. */
static void fold_add(struct fold *fold, const struct node_score *score)
{
	if (fold->highest > UINT64_MAX / score->highest)
		return;
	fold->rank = (fold->rank - 1) * score->highest + score->rank;
	fold->highest *= score->highest;
}

static double fold_score(const struct fold *fold, double weight)
{
	return (double)fold->rank / (double)fold->highest * weight;
}

static bool take_scores(struct federation *federation, const struct node_hit *from, double weight,
                        struct federation_hit *hit)
{
	struct federation_step *steps =
		arena_alloc(federation->arena, (from->scores_len + 1) * sizeof *steps);
	struct fold all = fold_first;
	struct fold run = fold_first;
	bool running = false;

	if (steps == NULL)
		return false;
	for (size_t i = 0; i < from->scores_len; i++) {
		const struct node_score *score = &from->scores[i];
		struct slice value;

		if (score->value.ptr == NULL) {
			fold_add(&all, score);
			fold_add(&run, score);
			running = true;
			continue;
		}
		if (running)
			steps[hit->steps_len++] = (struct federation_step){.score = fold_score(&run, weight)};
		run = fold_first;
		running = false;
		if (!arena_copy(federation->arena, score->value, &value))
			return false;
		steps[hit->steps_len++] = (struct federation_step){.value = value};
	}
	if (running)
		steps[hit->steps_len++] = (struct federation_step){.score = fold_score(&run, weight)};
	hit->steps = steps;
	hit->score = fold_score(&all, weight);
	return true;
}

static bool take_values(struct federation *federation, const struct node_hit *from,
                        struct federation_hit *hit)
{
	bool distinct = federation->request->federation.distinct.ptr != NULL;
	size_t len = distinct ? from->distinct_len : 0;
	struct slice *values = arena_alloc(federation->arena, (len + 1) * sizeof values[0]);

	if (values == NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!arena_copy(federation->arena, from->distinct[i], &values[i]))
			return false;
	hit->values = values;
	hit->values_len = len;
	return true;
}

static bool take_hit(struct federation *federation, const struct federation_part *part, size_t at)
{
	const struct node_hit *from = &part->hits[at];
	double weight = federation->request->queries[part->query].weight;
	struct federation_hit *hit = &federation->hits[federation->len];

	*hit = (struct federation_hit){
		.query = part->query, .index_id = part->index_id, .partition = from->partition};
	if (!arena_copy(federation->arena, from->id, &hit->id) ||
	    !arena_copy(federation->arena, from->document, &hit->document) ||
	    !take_scores(federation, from, weight, hit) || !take_values(federation, from, hit))
		return false;
	federation->len++;
	return true;
}

static bool make_room(struct federation *federation, size_t len)
{
	size_t needed = federation->len + len;
	size_t size = needed > 2 * federation->size ? needed : 2 * federation->size;
	struct federation_hit *hits;

	if (needed <= federation->size)
		return true;
	size = size > SIZE_MIN ? size : SIZE_MIN;
	hits = realloc(federation->hits, size * sizeof hits[0]);
	if (hits == NULL)
		return false;
	federation->hits = hits;
	federation->size = size;
	return true;
}

int federation_add(struct federation *federation, const struct federation_part *part, struct error *error)
{
	bool taken;

	if (part->hits_len > FEDERATION_HITS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT, "more than %d hits of a query",
		                 FEDERATION_HITS_MAX);
	taken = make_room(federation, part->hits_len);
	for (size_t i = 0; taken && i < part->hits_len; i++)
		taken = take_hit(federation, part, i);
	if (!taken)
		return error_memory(error, part->hits_len * sizeof federation->hits[0]);
	return 0;
}

int federation_add_count(struct federation *federation, const struct federation_count *count,
                         struct error *error)
{
	const struct federation_request *request = &federation->request->federation;

	federation->total =
		count->total > INT64_MAX - federation->total ? INT64_MAX : federation->total + count->total;
	for (size_t i = 0; count->facets.ptr != NULL && i < request->facets_len; i++)
		if (slice_equal(request->facets[i].uid, count->uid) &&
		    !arena_copy(federation->arena, count->facets, &federation->facets[i]))
			return error_memory(error, count->facets.len);
	return 0;
}

/* ---- order ---- */

static int compare_steps(const struct federation_step *a, const struct federation_step *b)
{
	if ((a->value.ptr == NULL) != (b->value.ptr == NULL))
		return a->value.ptr == NULL ? -1 : 1;
	if (a->value.ptr != NULL)
		return slice_compare(a->value, b->value);
	return (a->score < b->score) - (a->score > b->score);
}

/* Whether it comes before one of another query. */
static bool is_before(const struct federation_hit *a, const struct federation_hit *b)
{
	for (size_t i = 0; i < a->steps_len && i < b->steps_len; i++) {
		int order = compare_steps(&a->steps[i], &b->steps[i]);

		if (order != 0)
			return order < 0;
	}
	if (a->steps_len != b->steps_len)
		return a->steps_len > b->steps_len;
	return a->query < b->query;
}

/* Hits of one query stand together, in its order. */
struct run {
	const struct federation_hit *next;
	const struct federation_hit *end;
};

static size_t find_runs(const struct federation *federation, struct run *runs)
{
	size_t len = 0;

	for (size_t i = 0; i < federation->len; i++) {
		const struct federation_hit *hit = &federation->hits[i];

		if (i == 0 || hit->query != hit[-1].query)
			runs[len++].next = hit;
		runs[len - 1].end = hit + 1;
	}
	return len;
}

/* NULL after the last. */
static const struct federation_hit *take_best(struct run *runs, size_t len)
{
	struct run *best = NULL;

	for (size_t i = 0; i < len; i++)
		if (runs[i].next < runs[i].end && (best == NULL || is_before(runs[i].next, best->next)))
			best = &runs[i];
	return best != NULL ? best->next++ : NULL;
}

/* What was seen of a list that is gone through in order. */
struct seeing {
	struct map seen;
	struct buffer key;
	struct arena keys;
	bool failed;
};

/* Whether a text was seen already in an index, or in the list if that is NULL; it is from now on if `notes`. */
static bool see(struct seeing *seeing, const char *within, struct slice text, bool notes)
{
	struct slice key;
	bool seen;

	buffer_clear(&seeing->key);
	buffer_append_string(&seeing->key, within);
	buffer_append_slice(&seeing->key, text);
	key = buffer_slice(&seeing->key);
	seen = map_get(&seeing->seen, key) != NULL;
	if (notes && !seen)
		seeing->failed |= buffer_failed(&seeing->key) || !arena_copy(&seeing->keys, key, &key) ||
		                  !map_put(&seeing->seen, key, 0);
	return seen;
}

/* Whether one of its values was; all of them are from now on if none was. */
static bool see_values(struct seeing *seeing, const char *within, const struct federation_hit *hit)
{
	for (size_t i = 0; i < hit->values_len; i++)
		if (see(seeing, within, hit->values[i], false))
			return true;
	for (size_t i = 0; i < hit->values_len; i++)
		(void)see(seeing, within, hit->values[i], true);
	return false;
}

static bool repeats(struct seeing *seeing, const struct federation_hit *hit)
{
	char document[KEY_BYTES_MAX];
	char values[KEY_BYTES_MAX];

	(void)snprintf(document, sizeof document, "d%" PRIu64 "/%" PRId32 "/", hit->index_id, hit->partition);
	(void)snprintf(values, sizeof values, "v%" PRIu64 "/", hit->index_id);
	return see(seeing, document, hit->id, true) || see_values(seeing, values, hit) ||
	       see_values(seeing, "", hit);
}

int federation_order(struct federation *federation, struct error *error)
{
	struct federation_hit *ordered = malloc((federation->len + 1) * sizeof ordered[0]);
	struct seeing seeing = {.failed = ordered == NULL};
	struct run runs[MULTI_SEARCH_QUERIES_MAX];
	size_t runs_len = find_runs(federation, runs);
	const struct federation_hit *hit;
	size_t len = 0;

	map_init(&seeing.seen);
	arena_init(&seeing.keys, KEYS_BLOCK_BYTES);
	buffer_init(&seeing.key, SIZE_MAX);
	while (!seeing.failed && (hit = take_best(runs, runs_len)) != NULL)
		if (!repeats(&seeing, hit))
			ordered[len++] = *hit;
	map_deinit(&seeing.seen);
	arena_deinit(&seeing.keys);
	buffer_deinit(&seeing.key);
	if (seeing.failed) {
		free(ordered);
		return error_memory(error, federation->len * sizeof(struct map_entry));
	}
	free(federation->hits);
	federation->hits = ordered;
	federation->size = federation->len + 1;
	federation->len = len;
	return 0;
}

void federation_append_ids(const struct federation *federation, uint64_t index_id, struct buffer *json)
{
	bool first = true;

	buffer_put_u8(json, '[');
	for (size_t i = 0; i < federation->len; i++) {
		if (federation->hits[i].index_id != index_id)
			continue;
		buffer_append_string(json, first ? "" : ",");
		json_append_string(json, federation->hits[i].id);
		first = false;
	}
	buffer_put_u8(json, ']');
}

/* ---- the answer ---- */

/* The shortest text that reads back as the number. */
static void append_number(struct buffer *text, double number)
{
	char digits[NUMBER_BYTES_MAX];

	for (int len = NUMBER_DIGITS_MIN; len <= NUMBER_DIGITS_MAX; len++) {
		(void)snprintf(digits, sizeof digits, "%.*g", len, number);
		if (strtod(digits, NULL) == number)
			break;
	}
	buffer_append_string(text, digits);
	if (strpbrk(digits, ".e") == NULL)
		buffer_append_string(text, ".0");
}

static void append_hit(const struct federation *federation, const struct federation_hit *hit,
                       struct buffer *body)
{
	struct buffer member;

	buffer_init(&member, SIZE_MAX);
	buffer_append_string(&member, "\"_federation\":{\"indexUid\":");
	json_append_string(&member, federation->request->queries[hit->query].uid);
	buffer_printf(&member, ",\"queriesPosition\":%zu,\"weightedRankingScore\":", hit->query);
	append_number(&member, hit->score);
	buffer_put_u8(&member, '}');
	buffer_append_slice(body, hit->document);
	answer_append_member(body, buffer_slice(&member));
	body->failed |= buffer_failed(&member);
	buffer_deinit(&member);
}

void federation_answer(const struct federation *federation, int64_t took_ms, const char *uuid,
                       struct buffer *body)
{
	const struct search_request *paging = &federation->request->federation.paging;
	struct page page = page_of_search(paging, UINT64_MAX);
	size_t from = page.offset < federation->len ? (size_t)page.offset : federation->len;
	size_t len = page.limit < federation->len - from ? (size_t)page.limit : federation->len - from;
	bool distinct = federation->request->federation.distinct.ptr != NULL;
	int64_t total = distinct ? (int64_t)federation->len : federation->total;

	buffer_append_string(body, "{\"hits\":[");
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			buffer_put_u8(body, ',');
		append_hit(federation, &federation->hits[from + i], body);
	}
	buffer_printf(body, "],\"processingTimeMs\":%" PRId64, took_ms);
	answer_append_paging(body, paging, total);
	federation_append_facets(federation, body);
	buffer_printf(body, ",\"requestUid\":\"%s\"}", uuid);
}
