/*
 * Exact attribute: whether the words as typed stand at their places, and some
 * field that is searched on holds them all, or nothing but them. Places count
 * in any field, so the two may be true of different ones.
 */
#include "shard/engine/rank_private.h"

enum {
	NO_EXACT_MATCH = 1,
	MATCHES_START,
	EXACT_MATCH
};

static bool stands_at(const struct places *places, uint32_t position)
{
	uint32_t wanted = rank_bucket(position);

	for (size_t i = 0; i < places->len; i++)
		if (rank_bucket(places->ptr[i].position) == wanted)
			return true;
	return false;
}

static bool stands_in(const struct places *places, uint16_t field)
{
	for (size_t i = 0; i < places->len && places->ptr[i].field <= field; i++)
		if (places->ptr[i].field == field)
			return true;
	return false;
}

/* A word as typed: it stands in the field, or, without one, at its place in the query. */
static bool word_holds(const struct places *places, uint32_t position, const uint16_t *field)
{
	return field != NULL ? stands_in(places, *field) : stands_at(places, position);
}

/* Every word of the first `terms` terms. */
static bool words_hold(const struct ranking *ranking, size_t terms, const uint16_t *field)
{
	for (size_t i = 0; i < terms; i++) {
		const struct query_term *term = &ranking->plan->query->terms[i];
		const struct rank_found_node *node = &ranking->found->nodes[ranking->plan->nodes_at[i]];

		if (!term->is_phrase && !word_holds(&node->exact, term->start, field))
			return false;
		for (size_t k = 0; term->is_phrase && k < term->phrase.len; k++)
			if (term->phrase.words[k].ptr != NULL &&
			    !word_holds(&node->phrase[k], term->start + (uint32_t)k, field))
				return false;
	}
	return true;
}

/* Fields of the document, read when first asked for. */
struct fields {
	const struct rank_fields *source;
	const struct rank_field *ptr;
	size_t len;
	bool are_read;
};

static bool has_words(struct fields *fields, uint16_t field, uint32_t words)
{
	if (words > RANK_FIELD_WORDS_MAX)
		return false;
	if (!fields->are_read)
		fields->len = fields->source->read(fields->source->context, &fields->ptr);
	fields->are_read = true;
	for (size_t i = 0; i < fields->len; i++)
		if (fields->ptr[i].field == field)
			return fields->ptr[i].words == words;
	return false;
}

uint32_t rank_match_type(const struct ranking *ranking, size_t terms)
{
	const struct rank_plan *plan = ranking->plan;
	const struct rank_found_node *first = &ranking->found->nodes[0];
	const struct places *places = plan->nodes[0].is_phrase ? &first->typos[0].firsts : &first->exact;
	struct fields fields = {.source = &ranking->found->fields};
	uint32_t best = NO_EXACT_MATCH;
	uint32_t words = 0;

	if (!words_hold(ranking, terms, NULL))
		return NO_EXACT_MATCH;
	for (size_t i = 0; i < terms; i++)
		words += plan->query->terms[i].end - plan->query->terms[i].start + 1;
	for (size_t i = 0; i < places->len; i++) {
		uint16_t field = places->ptr[i].field;

		if ((i > 0 && places->ptr[i - 1].field == field) || field >= plan->weights_len ||
		    plan->weights[field] == RANK_UNSEARCHED || !words_hold(ranking, terms, &field))
			continue;
		if (has_words(&fields, field, words))
			return EXACT_MATCH;
		best = MATCHES_START;
	}
	return best;
}

/* How many terms from the first on a path asks for as typed; 0 if one is asked for after another that is not. */
static size_t leading_terms(const struct ranking *ranking, uint32_t path)
{
	size_t leading = 0;
	bool ended = false;

	for (size_t i = 0; path >> i != 0; i++) {
		const struct rank_node *node = &ranking->plan->nodes[i];

		if (!(path >> i & 1))
			continue;
		if (!node->is_asked || !ranking->work->choices[i].as_typed)
			ended = true;
		else if (ended || node->first != leading)
			return 0;
		else
			leading++;
	}
	return leading;
}

uint32_t rank_exact_attribute(const struct ranking *ranking)
{
	uint32_t types[QUERY_TERMS_MAX + 1] = {NO_EXACT_MATCH};
	uint32_t best = NO_EXACT_MATCH;

	for (size_t i = 0; i < ranking->work->paths_len; i++) {
		size_t leading = leading_terms(ranking, ranking->work->paths[i]);

		if (types[leading] == 0)
			types[leading] = rank_match_type(ranking, leading);
		best = types[leading] > best ? types[leading] : best;
	}
	return best;
}
