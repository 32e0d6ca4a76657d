/* What each segment of a snapshot has of a query's words, found as it is asked for, in the transaction of the reading. */
#include "shard/core/search_nodes.h"
#include "shard/core/search_private.h"

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

void search_typos_allow(struct search *search)
{
	const struct query *query = search->request->query;

	for (size_t i = 0; i < query->nodes_len; i++)
		search->typos_allowed[i] = search_node_typos(&search->request->typos, &query->nodes[i]);
}

/* What is looked for in one segment. */
struct finding {
	struct search *search;
	struct search_segment *segment;
	uint8_t node;
	uint8_t classes;
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

	if (!(finding->classes >> typos & 1) ||
	    (found.tolerant && search_word_is_spared(&search->request->typos, word)))
		return 0;
	if (found.exact)
		found.list = finding->segment->exact[finding->node];
	else if (lexicon_list(&finding->segment->lexicon, &found.list, error) != 0)
		return error->code;
	return word_add(search, &finding->segment->words, &found, error);
}

static int similar_find(struct finding *finding, const struct query_node *node, struct error *error)
{
	struct typo_sink sink = {similar_take, finding};
	unsigned most = finding->search->typos_allowed[finding->node];
	struct typo typo;

	while (most > 0 && !(finding->classes >> most & 1))
		most--;
	if (most == 0 && !(finding->classes & 1))
		return 0;
	typo_init(&typo, node->text, most, node->is_prefix);
	return lexicon_similar(&finding->segment->lexicon, &typo, &sink, error);
}

/* 1 if the segment has all the words; lists are long, and most cuts of a word give none. */
static int words_are_there(struct finding *finding, struct query_phrase words, struct error *error)
{
	for (size_t i = words.len; i-- > 0;) {
		int rc = 1;

		if (words.words[i].ptr != NULL)
			rc = lexicon_has(&finding->segment->lexicon, words.words[i], error);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

/* Words in a row; what the segment lacks of them ends it. */
static int phrase_find(struct finding *finding, struct query_phrase words, struct search_phrase phrase,
                       struct search_phrases *phrases, struct error *error)
{
	struct arena *arena = finding->search->arena;
	int found = watch_step(finding->segment->lexicon.watch, WATCH_SEEK, error);

	if (found == 0)
		found = words_are_there(finding, words, error);
	if (found <= 0)
		return found;
	phrase.len = words.len;
	phrase.lists = arena_alloc(arena, words.len * sizeof *phrase.lists);
	if (phrase.lists == NULL)
		return error_memory(error, words.len * sizeof *phrase.lists);
	for (size_t i = 0; i < words.len; i++) {
		int rc = 1;

		phrase.lists[i].count = 0;
		if (words.words[i].ptr != NULL)
			rc = lexicon_find(&finding->segment->lexicon, words.words[i], &phrase.lists[i],
			                  error);
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

static int synonyms_find(struct finding *finding, const struct query_node *node, struct error *error)
{
	const struct search_request *request = finding->search->request;
	struct search_phrase phrase = {.node = finding->node};

	for (size_t i = 0; i < request->synonyms_len; i++)
		if (search_synonym_is_of(&request->synonyms[i], request->query, node) &&
		    phrase_find(finding, request->synonyms[i].synonym, phrase, &finding->segment->phrases,
		                error) != 0)
			return error->code;
	return 0;
}

int search_words_find(struct search *search, struct search_segment *segment, size_t node, unsigned classes,
                      struct error *error)
{
	const struct query_node *of = &search->request->query->nodes[node];
	const struct query_term *term = &search->request->query->terms[of->first];
	struct finding finding = {.search = search,
	                          .segment = segment,
	                          .node = (uint8_t)node,
	                          .classes = (uint8_t)classes,
	                          .is_joined = of->terms > 1,
	                          .text = of->text};
	struct search_phrase phrase = {.node = finding.node, .is_term = true};

	if (term->is_phrase)
		return classes & 1 ? phrase_find(&finding, term->phrase, phrase, &segment->phrases, error)
		                   : 0;
	if (similar_find(&finding, of, error) != 0 ||
	    ((classes & 1) && synonyms_find(&finding, of, error) != 0))
		return error->code;
	return classes >> 1 & 1 ? splits_find(&finding, of, error) : 0;
}

/* Words as typed, which the snapshot may know, and what excludes. */
static int typed_find(struct search *search, struct search_segment *segment, struct error *error)
{
	const struct query *query = search->request->query;
	struct finding finding = {.search = search, .segment = segment};

	segment->exact = arena_alloc(search->arena, (query->nodes_len + 1) * sizeof *segment->exact);
	if (segment->exact == NULL)
		return error_memory(error, query->nodes_len * sizeof *segment->exact);
	memset(segment->exact, 0, query->nodes_len * sizeof *segment->exact);
	for (size_t i = 0; i < query->nodes_len; i++) {
		const struct query_node *node = &query->nodes[i];
		int rc = 0;

		if (node->terms == 1 && !query->terms[node->first].is_phrase)
			rc = lexicon_find(&segment->lexicon, node->text, &segment->exact[i], error);
		if (rc < 0)
			return rc;
		if (rc == 0)
			segment->exact[i].count = 0;
	}
	for (size_t i = 0; i < query->excluded_len; i++)
		if (phrase_find(&finding, query->excluded[i], (struct search_phrase){0}, &segment->excluded,
		                error) != 0)
			return error->code;
	return 0;
}

/* ---- where they stand ---- */

static int wordless(uint64_t cutting, struct error *error)
{
	return error_set(error, ERROR_VERSION, ERROR_ACTION_RETRY,
	                 "a segment has no words by the rules %016llx", (unsigned long long)cutting);
}

/* The head of words beside, by the rules asked for; false if they are not covered. */
static bool beside_find(const struct search *search, const struct value_cover *cover, struct wordlist *list)
{
	const struct attribute *beside = words_beside_find(&search->reading.snapshot->attributes->attributes,
	                                                   search->request->cutting);

	if (beside == NULL || !value_cover_has(cover, beside->number))
		return false;
	list->is_beside = true;
	list->head = words_beside_head(beside->number);
	return true;
}

static int words_on_disk(struct search *search, size_t i, struct search_segment *segment, struct error *error)
{
	struct views *views = &search->reading.views;
	const struct disk_segment *from = &views->manifest->segments[i];
	struct disk_view *view;

	*segment = (struct search_segment){
		.first = from->first, .end = from->end, .wordlist = {.base = from->first}};
	if (search->request->any_cutting || from->cutting == search->request->cutting) {
		if (views_at(views, i, &view, error) != 0)
			return error->code;
		segment->wordlist.sections = disk_view_sections(view);
		return manifest_ref_words(search->reading.snapshot->manifest, i, segment->wordlist.sections,
		                          &segment->wordlist.table, error);
	}
	if (!beside_find(search, &from->values.cover, &segment->wordlist))
		return wordless(search->request->cutting, error);
	if (from->values.id == 0)
		return 0;
	segment->beside = section_reader_new(search->reading.txn, from->values.id, from->values.lengths);
	segment->wordlist.sections = segment->beside;
	return segment->beside == NULL ? error_memory(error, sizeof *from) : 0;
}

static int words_in_memory(const struct search *search, const struct segment *from,
                           struct search_segment *segment, struct error *error)
{
	*segment = (struct search_segment){.first = from->number_first,
	                                   .end = from->number_first + from->puts_len};
	segment->wordlist.dictionary = from->dictionary;
	if (search->request->any_cutting || from->cutting == search->request->cutting)
		return 0;
	segment->wordlist.dictionary = from->values;
	return beside_find(search, &from->cover, &segment->wordlist)
	               ? 0
	               : wordless(search->request->cutting, error);
}

/* Without words in the query no segment has any that count, whatever it was cut by. */
static bool has_words(const struct search_request *request)
{
	return request->query->nodes_len + request->query->excluded_len > 0;
}

int search_words_open(struct search *search, struct error *error)
{
	const struct snapshot *snapshot = search->reading.snapshot;
	size_t on_disk = search->reading.views.manifest->segments_len;
	size_t most = on_disk + snapshot->segments_len;

	search->segments = arena_alloc(search->arena, (most + 1) * sizeof *search->segments);
	search->segments_len = 0;
	if (search->segments == NULL)
		return error_memory(error, most * sizeof *search->segments);
	for (size_t i = 0; i < most && has_words(search->request); i++) {
		const struct segment *memory = i < on_disk ? NULL : snapshot->segments[i - on_disk];
		struct search_segment *segment = &search->segments[search->segments_len];

		if (memory != NULL && memory->puts_len == 0)
			continue;
		search->segments_len++;
		if ((memory == NULL ? words_on_disk(search, i, segment, error)
		                    : words_in_memory(search, memory, segment, error)) != 0)
			return error->code;
		lexicon_init(&segment->lexicon, &segment->wordlist, search->arena, &search->joined);
		segment->lexicon.watch = search->request->watch;
		if (typed_find(search, segment, error) != 0)
			return error->code;
	}
	return 0;
}
