#include "shard/core/search_nodes.h"

static size_t characters_of(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += (text.ptr[i] & 0xC0) != 0x80;
	return count;
}

static bool slice_is_among(struct slice text, const struct slice *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (slice_equal(text, list[i]))
			return true;
	return false;
}

static uint8_t word_typos(const struct search_typos *typos, struct slice text)
{
	size_t characters = characters_of(text);

	if (!typos->enabled || characters < typos->one ||
	    slice_is_among(text, typos->words, typos->words_len))
		return 0;
	return characters < typos->two ? 1 : 2;
}

uint8_t search_node_typos(const struct search_typos *typos, const struct query_node *node)
{
	uint8_t allowed = node->text.ptr == NULL ? 0 : word_typos(typos, node->text);

	return allowed >= node->terms ? (uint8_t)(allowed + 1 - node->terms) : 0;
}

/* Of digits and ASCII punctuation alone. */
static bool is_number_like(struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		uint8_t byte = word.ptr[i];

		if (byte <= ' ' || byte > '~' || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'))
			return false;
	}
	return word.len > 0;
}

bool search_word_is_spared(const struct search_typos *typos, struct slice word)
{
	return typos->numbers_exact && is_number_like(word);
}

bool search_synonym_is_of(const struct search_synonym *synonym, const struct query *query,
                          const struct query_node *node)
{
	struct query_phrase key = synonym->of;

	if (key.len != node->terms || query->terms[node->first].is_phrase)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (!slice_equal(key.words[i], query->terms[node->first + i].phrase.words[0]))
			return false;
	return true;
}
