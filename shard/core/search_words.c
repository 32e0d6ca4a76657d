/* What each segment of a snapshot has of a query's words, read in the transaction of the reading. */
#include "shard/core/search_private.h"

#include "shard/core/words.h"

/* Memory of one growing array at first. */
#define FOUND_FIRST 16

/* Room for one more in an array of the arena, which keeps the smaller one too. */
static void *grown(struct arena *arena, void *ptr, size_t len, size_t *size, size_t each)
{
	size_t more = *size == 0 ? FOUND_FIRST : *size * 2;
	void *larger;

	if (len < *size)
		return ptr;
	larger = arena_alloc(arena, more * each);
	if (larger == NULL)
		return NULL;
	if (len > 0)
		memcpy(larger, ptr, len * each);
	*size = more;
	return larger;
}

static int word_add(struct search *search, struct search_words *words, const struct search_word *word,
                    struct error *error)
{
	struct search_word *ptr = grown(search->arena, words->ptr, words->len, &words->size, sizeof *ptr);

	if (ptr == NULL)
		return error_memory(error, words->size * sizeof *ptr);
	words->ptr = ptr;
	words->ptr[words->len++] = *word;
	return 0;
}

static int phrase_add(struct search *search, struct search_phrases *phrases,
                      const struct search_phrase *phrase, struct error *error)
{
	struct search_phrase *ptr =
		grown(search->arena, phrases->ptr, phrases->len, &phrases->size, sizeof *ptr);

	if (ptr == NULL)
		return error_memory(error, phrases->size * sizeof *ptr);
	phrases->ptr = ptr;
	phrases->ptr[phrases->len++] = *phrase;
	return 0;
}

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

static uint8_t word_typos(const struct search_typos *typos, struct slice text)
{
	size_t characters = characters_of(text);

	if (!typos->enabled || characters < typos->one ||
	    slice_is_among(text, typos->words, typos->words_len))
		return 0;
	return characters < typos->two ? 1 : 2;
}

void search_typos_allow(struct search *search)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_node *node = &query->nodes[i];
		uint8_t allowed =
			node->text.ptr == NULL ? 0 : word_typos(&search->request->typos, node->text);

		search->typos_allowed[i] = allowed >= node->terms ? (uint8_t)(allowed + 1 - node->terms) : 0;
	}
}

/* One segment that is looked through. */
struct finding {
	struct search *search;
	struct search_segment *segment;
	struct lexicon lexicon;
	uint8_t node;
	bool is_joined; /* the node is an n-gram */
	struct slice text;
};

/* A similar word, of a scan. */
static int similar_take(void *context, struct slice word, unsigned typos, struct error *error)
{
	struct finding *finding = context;
	struct search *search = finding->search;
	struct search_word found = {.node = finding->node,
	                            .typos = (uint8_t)typos,
	                            .exact = !finding->is_joined && slice_equal(word, finding->text),
	                            .tolerant = finding->is_joined || typos > 0};

	if (found.tolerant && search->request->typos.numbers_exact && is_number_like(word))
		return 0;
	if (lexicon_list(&finding->lexicon, &found.list, error) != 0)
		return error->code;
	return word_add(search, &finding->segment->words, &found, error);
}

static int similar_find(struct finding *finding, const struct query_node *node, struct error *error)
{
	struct typo_source source = lexicon_source(&finding->lexicon);
	struct typo_sink sink = {similar_take, finding};
	struct typo typo;

	typo_init(&typo, node->text, finding->search->typos_allowed[finding->node], node->is_prefix);
	return typo_scan(&typo, &source, &sink, error);
}

/* Words in a row; what the segment lacks of them ends it. */
static int phrase_find(struct finding *finding, struct query_phrase words, struct search_phrase phrase,
                       struct search_phrases *phrases, struct error *error)
{
	struct arena *arena = finding->search->arena;

	phrase.len = words.len;
	phrase.lists = arena_alloc(arena, words.len * sizeof *phrase.lists);
	if (phrase.lists == NULL)
		return error_memory(error, words.len * sizeof *phrase.lists);
	for (size_t i = 0; i < words.len; i++) {
		int rc = 1;

		phrase.lists[i].count = 0;
		if (words.words[i].ptr != NULL)
			rc = lexicon_find(&finding->lexicon, words.words[i], &phrase.lists[i], error);
		if (rc <= 0)
			return rc;
	}
	return phrase_add(finding->search, phrases, &phrase, error);
}

/* True if a word cut there gives the very words that were joined. */
static bool is_own_cut(const struct query *query, const struct query_node *node, size_t cut)
{
	return node->terms == 2 && query->terms[node->first].phrase.words[0].len == cut;
}

/* The word as two neighbours, wherever it may be cut. */
static int splits_find(struct finding *finding, const struct query_node *node, struct error *error)
{
	struct search_phrase phrase = {.node = finding->node, .typos = 1};
	struct slice text = node->text;

	for (size_t cut = 1; cut < text.len; cut++) {
		struct slice halves[2] = {slice_of(text.ptr, cut), slice_of(text.ptr + cut, text.len - cut)};

		if ((text.ptr[cut] & 0xC0) == 0x80 || is_own_cut(finding->search->request->query, node, cut))
			continue;
		if (phrase_find(finding, (struct query_phrase){halves, 2}, phrase, &finding->segment->phrases,
		                error) != 0)
			return error->code;
	}
	return 0;
}

/* True if a node's terms are the words of a synonym's key. */
static bool is_key(const struct query *query, const struct query_node *node, struct query_phrase key)
{
	if (key.len != node->terms)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (!slice_equal(key.words[i], query->terms[node->first + i].phrase.words[0]))
			return false;
	return true;
}

static int synonyms_find(struct finding *finding, const struct query_node *node, struct error *error)
{
	const struct search_request *request = finding->search->request;
	struct search_phrase phrase = {.node = finding->node};

	for (size_t i = 0; i < request->synonyms_len; i++)
		if (is_key(request->query, node, request->synonyms[i].of) &&
		    phrase_find(finding, request->synonyms[i].synonym, phrase, &finding->segment->phrases,
		                error) != 0)
			return error->code;
	return 0;
}

static int node_find(struct finding *finding, struct error *error)
{
	const struct query *query = finding->search->request->query;
	const struct query_node *node = &query->nodes[finding->node];
	struct search_phrase phrase = {.node = finding->node, .is_term = true};

	if (query->terms[node->first].is_phrase)
		return phrase_find(finding, query->terms[node->first].phrase, phrase,
		                   &finding->segment->phrases, error);
	finding->text = node->text;
	finding->is_joined = node->terms > 1;
	if (similar_find(finding, node, error) != 0 || synonyms_find(finding, node, error) != 0)
		return error->code;
	return splits_find(finding, node, error);
}

static int segment_words(struct finding *finding, struct error *error)
{
	const struct query *query = finding->search->request->query;
	struct search_segment *segment = finding->segment;
	int rc;

	for (size_t i = 0; i < query->nodes_len; i++) {
		finding->node = (uint8_t)i;
		if (node_find(finding, error) != 0)
			return error->code;
	}
	for (size_t i = 0; i < query->excluded_len; i++)
		if (phrase_find(finding, query->excluded[i], (struct search_phrase){0}, &segment->excluded,
		                error) != 0)
			return error->code;
	rc = lexicon_find(&finding->lexicon, slice_string(WORD_FIELD_LENGTH), &segment->lengths, error);
	if (rc == 0)
		segment->lengths.count = 0;
	return rc < 0 ? rc : 0;
}

static int disk_find_all(struct search *search, struct error *error)
{
	struct views *views = &search->reading.views;

	for (size_t i = 0; i < views->manifest->segments_len; i++) {
		struct search_segment *segment = &search->segments[search->segments_len++];
		struct finding finding = {.search = search, .segment = segment};
		struct disk_view *view;

		if (views_at(views, i, &view, error) != 0)
			return error->code;
		*segment = (struct search_segment){.first = views->manifest->segments[i].first,
		                                   .end = views->manifest->segments[i].end};
		lexicon_of_disk(&finding.lexicon, view, search->arena, &search->joined);
		if (segment_words(&finding, error) != 0)
			return error->code;
	}
	return 0;
}

static int memory_find_all(struct search *search, struct error *error)
{
	const struct snapshot *snapshot = search->reading.snapshot;

	for (size_t i = 0; i < snapshot->segments_len; i++) {
		const struct segment *from = snapshot->segments[i];
		struct search_segment *segment = &search->segments[search->segments_len];
		struct finding finding = {.search = search, .segment = segment};

		if (from->puts_len == 0)
			continue;
		search->segments_len++;
		*segment = (struct search_segment){.first = from->number_first,
		                                   .end = from->number_first + from->puts_len};
		lexicon_of_memory(&finding.lexicon, from->dictionary);
		if (segment_words(&finding, error) != 0)
			return error->code;
	}
	return 0;
}

int search_words_find(struct search *search, struct error *error)
{
	size_t most = search->reading.views.manifest->segments_len + search->reading.snapshot->segments_len;

	search->segments = arena_alloc(search->arena, (most + 1) * sizeof *search->segments);
	search->segments_len = 0;
	if (search->segments == NULL)
		return error_memory(error, most * sizeof *search->segments);
	if (disk_find_all(search, error) != 0)
		return error->code;
	return memory_find_all(search, error);
}
