/*
 * Rank, a search a line: a JSON object with the plan and what was found in each
 * document goes in, the outcomes come out (rank_cases.py).
 *
 *   {"terms": [{"words": [1, 0, …], "isPhrase", "start", "end"}, …],  0: a stop word
 *    "nodes": [[first, terms], …], "strategy": 0 | 1 | 2, "rarest", "rules": [enum rank_rule, …],
 *    "typosAllowed": […], "known": bits, "weights": [… or -1], "entries", "byAttribute",
 *    "documents": [{"nodes": [{"typos": [[words, firsts, lasts], …], "exact", "phrase": […]}, …],
 *                   "fields": [field, words, …]}, …]}       places: [field, position, …]
 *
 *   {"documents": [null | {"costs", "pairs": [[rank, highest, rank, highest], …], "scores": [[shown, of each pair alone, …], …], "score",
 *                          "kept": bits, "words", "typos", "worse": […]}, …]}
 *
 * "worse": for each document that matches, how many of its costs it takes as a bound to turn this one away, 0: none do.
 */
#include "shard/engine/rank.h"
#include "shared/base/assert.h"
#include "shared/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 65536

struct search {
	struct arena arena;
	struct query query;
	struct rank_plan plan;
	struct rank_work work;
	size_t len;
	struct rank_found *documents;
	struct rank_outcome *outcomes;
	bool *matches;
};

static void *allocate(struct search *search, size_t count, size_t size)
{
	void *memory = arena_alloc(&search->arena, count * size + 1);

	ASSERT(memory != NULL);
	memset(memory, 0, count * size + 1);
	return memory;
}

static uint16_t number_at(yyjson_val *list, size_t index)
{
	return (uint16_t)yyjson_get_sint(yyjson_arr_get(list, index));
}

/* A list of numbers as wide as the field it is for; -1 becomes the greatest. */
static uint16_t *numbers_read(struct search *search, yyjson_val *list)
{
	uint16_t *numbers = allocate(search, yyjson_arr_size(list), sizeof(*numbers));
	yyjson_val *value;
	size_t i;
	size_t len;

	yyjson_arr_foreach(list, i, len, value) numbers[i] = (uint16_t)yyjson_get_sint(value);
	return numbers;
}

static struct places places_read(struct search *search, yyjson_val *list)
{
	size_t len = yyjson_arr_size(list) / 2;
	uint16_t *numbers = numbers_read(search, list);
	struct place *places = allocate(search, len, sizeof(*places));

	for (size_t i = 0; i < len; i++)
		places[i] = (struct place){numbers[2 * i], numbers[2 * i + 1]};
	return (struct places){places, len};
}

static void query_read(struct search *search, yyjson_val *root)
{
	struct query *query = &search->query;
	yyjson_val *value;
	size_t i;
	size_t len;

	*query = (struct query){0};
	yyjson_arr_foreach(yyjson_obj_get(root, "terms"), i, len, value)
	{
		struct query_term *term = &query->terms[query->terms_len++];
		yyjson_val *words = yyjson_obj_get(value, "words");

		term->phrase.len = yyjson_arr_size(words);
		term->phrase.words = allocate(search, term->phrase.len, sizeof(struct slice));
		for (size_t k = 0; k < term->phrase.len; k++) {
			if (number_at(words, k) == 0)
				continue;
			term->phrase.words[k] = slice_string("word");
			term->words++;
		}
		query->words += term->words;
		term->is_phrase = yyjson_get_bool(yyjson_obj_get(value, "isPhrase"));
		term->start = (uint32_t)yyjson_get_uint(yyjson_obj_get(value, "start"));
		term->end = (uint32_t)yyjson_get_uint(yyjson_obj_get(value, "end"));
	}
	yyjson_arr_foreach(yyjson_obj_get(root, "nodes"), i, len, value)
	{
		query->nodes[query->nodes_len].first = (uint8_t)number_at(value, 0);
		query->nodes[query->nodes_len++].terms = (uint8_t)number_at(value, 1);
	}
}

static void plan_read(struct search *search, yyjson_val *root)
{
	yyjson_val *rule_names = yyjson_obj_get(root, "rules");
	yyjson_val *allowed = yyjson_obj_get(root, "typosAllowed");
	yyjson_val *weights = yyjson_obj_get(root, "weights");
	uint8_t typos_allowed[QUERY_NODES_MAX] = {0};
	enum rank_rule rules[RANK_RULES_MAX] = {0};
	size_t rules_len = yyjson_arr_size(rule_names);

	ASSERT(rules_len <= RANK_RULES_MAX && yyjson_arr_size(allowed) <= QUERY_NODES_MAX);
	for (size_t i = 0; i < rules_len; i++)
		rules[i] = (enum rank_rule)number_at(rule_names, i);
	for (size_t i = 0; i < yyjson_arr_size(allowed); i++)
		typos_allowed[i] = (uint8_t)number_at(allowed, i);
	rank_plan_init(
		&search->plan,
		&(struct rank_request){
			.query = &search->query,
			.strategy = (enum rank_strategy)yyjson_get_int(yyjson_obj_get(root, "strategy")),
			.rarest = (uint8_t)yyjson_get_uint(yyjson_obj_get(root, "rarest")),
			.rules = rules,
			.rules_len = rules_len,
			.typos_allowed = typos_allowed,
			.known = (uint16_t)yyjson_get_uint(yyjson_obj_get(root, "known")),
			.weights = numbers_read(search, weights),
			.weights_len = yyjson_arr_size(weights),
			.entries = yyjson_get_uint(yyjson_obj_get(root, "entries")),
			.by_attribute = yyjson_get_bool(yyjson_obj_get(root, "byAttribute")),
		});
}

static void node_read(struct search *search, yyjson_val *value, struct rank_found_node *node)
{
	yyjson_val *typos = yyjson_obj_get(value, "typos");
	yyjson_val *words = yyjson_obj_get(value, "phrase");
	struct places *phrase = allocate(search, yyjson_arr_size(words), sizeof(*phrase));

	for (size_t i = 0; i <= RANK_TYPOS_MAX; i++) {
		yyjson_val *class = yyjson_arr_get(typos, i);

		node->typos[i].words = places_read(search, yyjson_arr_get(class, 0));
		node->typos[i].firsts = places_read(search, yyjson_arr_get(class, 1));
		node->typos[i].lasts = places_read(search, yyjson_arr_get(class, 2));
	}
	node->exact = places_read(search, yyjson_obj_get(value, "exact"));
	for (size_t i = 0; i < yyjson_arr_size(words); i++)
		phrase[i] = places_read(search, yyjson_arr_get(words, i));
	node->phrase = phrase;
}

struct short_fields {
	struct rank_field *ptr;
	size_t len;
};

static size_t fields_give(void *context, const struct rank_field **fields)
{
	const struct short_fields *given = context;

	*fields = given->ptr;
	return given->len;
}

static void document_read(struct search *search, yyjson_val *value, struct rank_found *found)
{
	yyjson_val *list = yyjson_obj_get(value, "nodes");
	struct places fields = places_read(search, yyjson_obj_get(value, "fields"));
	struct rank_found_node *nodes = allocate(search, yyjson_arr_size(list), sizeof(*nodes));
	struct short_fields *given = allocate(search, 1, sizeof(*given));

	for (size_t i = 0; i < yyjson_arr_size(list); i++)
		node_read(search, yyjson_arr_get(list, i), &nodes[i]);
	*given = (struct short_fields){allocate(search, fields.len, sizeof(*given->ptr)), fields.len};
	for (size_t i = 0; i < fields.len; i++)
		given->ptr[i] = (struct rank_field){fields.ptr[i].field, fields.ptr[i].position};
	*found = (struct rank_found){nodes, {fields_give, given}};
}

/* How many costs of another document turn this one away; with fewer the outcome is what it is without. */
static size_t worse_at(struct search *search, size_t document, size_t other)
{
	size_t found = 0;

	for (size_t len = 0; len <= search->plan.rules_len; len++) {
		struct rank_bound bound = {search->outcomes[other].costs, len};
		struct rank_outcome outcome = {0};
		enum rank_verdict verdict = rank_document(&search->plan, &search->documents[document], bound,
		                                          &search->work, &outcome);

		ASSERT(verdict == (found != 0 ? RANK_WORSE : verdict) && verdict != RANK_NO_MATCH);
		ASSERT(verdict == RANK_WORSE ||
		       memcmp(&outcome, &search->outcomes[document], sizeof(outcome)) == 0);
		if (verdict == RANK_WORSE && found == 0)
			found = len;
	}
	return found;
}

static void presence_print(struct search *search, size_t document)
{
	struct rank_presence presence = {0};
	uint32_t nodes[RANK_TYPOS_MAX + 1] = {0};
	bool matches;

	for (size_t i = 0; i < search->query.nodes_len; i++)
		for (size_t typos = 0; typos <= RANK_TYPOS_MAX; typos++) {
			const struct rank_class *class = &search->documents[document].nodes[i].typos[typos];

			if (class->words.len > 0 || class->firsts.len > 0)
				nodes[typos] |= (uint32_t)1 << i;
		}
	matches = rank_presence(&search->plan, nodes, &presence);
	ASSERT(matches == search->matches[document]);
	(void)printf(",\"words\":%" PRIu32 ",\"typos\":%" PRIu32, presence.words, presence.typos);
}

static void outcome_print(struct search *search, size_t document)
{
	const struct rank_outcome *outcome = &search->outcomes[document];
	size_t len = search->plan.rules_len;

	(void)printf("{\"kept\":%u,\"score\":%.17g,\"costs\":[", outcome->kept,
	             rank_score(outcome->pairs[0], 2 * len));
	for (size_t i = 0; i < len; i++)
		(void)printf("%s%" PRIu32, i > 0 ? "," : "", outcome->costs[i]);
	(void)printf("],\"pairs\":[");
	for (size_t i = 0; i < len; i++)
		(void)printf("%s[%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 "]", i > 0 ? "," : "",
		             outcome->pairs[i][0].rank, outcome->pairs[i][0].highest,
		             outcome->pairs[i][1].rank, outcome->pairs[i][1].highest);
	(void)printf("],\"scores\":[");
	for (size_t i = 0; i < len; i++)
		(void)printf("%s[%.17g,%.17g,%.17g]", i > 0 ? "," : "",
		             rank_rule_score(search->plan.rules[i], outcome->pairs[i]),
		             rank_score(&outcome->pairs[i][0], 1), rank_score(&outcome->pairs[i][1], 1));
	(void)printf("],\"worse\":[");
	for (size_t i = 0, printed = 0; i < search->len; i++)
		if (search->matches[i])
			(void)printf("%s%zu", printed++ > 0 ? "," : "", worse_at(search, document, i));
	(void)printf("]");
	presence_print(search, document);
	(void)printf("}");
}

static void search_run(struct search *search, yyjson_val *root)
{
	yyjson_val *documents = yyjson_obj_get(root, "documents");

	query_read(search, root);
	plan_read(search, root);
	search->len = yyjson_arr_size(documents);
	search->documents = allocate(search, search->len, sizeof(*search->documents));
	search->outcomes = allocate(search, search->len, sizeof(*search->outcomes));
	search->matches = allocate(search, search->len, sizeof(*search->matches));
	for (size_t i = 0; i < search->len; i++) {
		document_read(search, yyjson_arr_get(documents, i), &search->documents[i]);
		search->matches[i] =
			rank_document(&search->plan, &search->documents[i], (struct rank_bound){NULL, 0},
		                      &search->work, &search->outcomes[i]) == RANK_MATCH;
	}
	(void)printf("{\"documents\":[");
	for (size_t i = 0; i < search->len; i++) {
		(void)printf("%s", i > 0 ? "," : "");
		if (search->matches[i])
			outcome_print(search, i);
		else
			(void)printf("null");
	}
	(void)printf("]}\n");
}

int main(void)
{
	struct search *search = calloc(1, sizeof(*search));
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	ASSERT(search != NULL);
	arena_init(&search->arena, ARENA_BLOCK_BYTES);
	while ((len = getline(&line, &size, stdin)) > 0) {
		struct error error;
		yyjson_doc *doc;

		if (json_parse_typed(slice_of(line, (size_t)len), &doc, &error) != 0) {
			(void)fprintf(stderr, "%s\n", error.text);
			return 1;
		}
		search_run(search, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
		arena_clear(&search->arena);
		(void)fflush(stdout);
	}
	arena_deinit(&search->arena);
	free(search);
	free(line);
	return 0;
}
