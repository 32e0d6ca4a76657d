#include "shard/core/lexicon.h"

#include "shard/core/words.h"

void lexicon_of_memory(struct lexicon *lexicon, const struct dictionary *dictionary)
{
	*lexicon = (struct lexicon){.dictionary = dictionary};
}

void lexicon_of_disk(struct lexicon *lexicon, struct disk_view *view, struct arena *arena,
                     struct buffer *joined)
{
	*lexicon = (struct lexicon){.sections = disk_view_sections(view),
	                            .base = disk_view_segment(view)->first,
	                            .arena = arena,
	                            .joined = joined};
	terms_cursor_init(&lexicon->cursor, lexicon->sections);
}

/* A list that stands in several chunks was joined in scratch memory. */
static int term_list(struct lexicon *lexicon, const struct term *term, struct posting_list *list,
                     struct error *error)
{
	if (terms_list(lexicon->sections, term, lexicon->base, lexicon->joined, list, error) != 0)
		return error->code;
	if (list->bytes.ptr == lexicon->joined->ptr && !arena_copy(lexicon->arena, list->bytes, &list->bytes))
		return error_memory(error, list->bytes.len);
	return 0;
}

static int memory_find(const struct dictionary *dictionary, struct slice word, struct posting_list *list)
{
	size_t at = dictionary_seek(dictionary, word);
	struct dictionary_entry entry;

	if (at == dictionary_len(dictionary))
		return 0;
	entry = dictionary_at(dictionary, at);
	*list = entry.list;
	return slice_equal(entry.word, word);
}

int lexicon_find(struct lexicon *lexicon, struct slice word, struct posting_list *list, struct error *error)
{
	struct term term;

	if (lexicon->dictionary != NULL)
		return memory_find(lexicon->dictionary, word, list);
	if (terms_find(lexicon->sections, word, &term, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	return term_list(lexicon, &term, list, error) == 0 ? 1 : error->code;
}

static int memory_give(struct lexicon *lexicon, struct slice *word)
{
	if (lexicon->at == dictionary_len(lexicon->dictionary))
		return 0;
	*word = dictionary_at(lexicon->dictionary, lexicon->at).word;
	return 1;
}

static int disk_give(struct lexicon *lexicon, struct slice *word, struct error *error)
{
	int rc = terms_cursor_next(&lexicon->cursor, &lexicon->term, error);

	if (rc > 0)
		*word = lexicon->term.word;
	return rc;
}

static int source_next(void *context, struct slice *word, struct error *error)
{
	struct lexicon *lexicon = context;

	if (lexicon->sections != NULL)
		return disk_give(lexicon, word, error);
	if (lexicon->at < dictionary_len(lexicon->dictionary))
		lexicon->at++;
	return memory_give(lexicon, word);
}

static int source_seek(void *context, struct slice at, struct slice *word, struct error *error)
{
	const struct slice above =
		slice_of((const uint8_t *)WORD_FIELD_LENGTH "\0", 2); /* the reserved word */
	struct lexicon *lexicon = context;

	if (slice_compare(at, above) < 0)
		at = above;
	if (lexicon->sections == NULL) {
		lexicon->at = dictionary_seek(lexicon->dictionary, at);
		return memory_give(lexicon, word);
	}
	if (terms_cursor_seek(&lexicon->cursor, at, error) != 0)
		return error->code;
	return disk_give(lexicon, word, error);
}

struct typo_source lexicon_source(struct lexicon *lexicon)
{
	return (struct typo_source){source_seek, source_next, lexicon};
}

int lexicon_list(struct lexicon *lexicon, struct posting_list *list, struct error *error)
{
	if (lexicon->sections != NULL)
		return term_list(lexicon, &lexicon->term, list, error);
	*list = dictionary_at(lexicon->dictionary, lexicon->at).list;
	return 0;
}
