#include "shard/core/lexicon.h"

#include "shared/base/assert.h"

struct slice wordlist_key(const struct wordlist *list, struct slice word, struct wordlist_key *room)
{
	if (!list->is_beside)
		return word;
	ASSERT(word.len <= sizeof room->bytes - WORDS_BESIDE_HEAD_BYTES);
	memcpy(room->bytes, list->head.bytes, WORDS_BESIDE_HEAD_BYTES);
	memcpy(room->bytes + WORDS_BESIDE_HEAD_BYTES, word.ptr, word.len);
	return slice_of(room->bytes, WORDS_BESIDE_HEAD_BYTES + word.len);
}

void lexicon_init(struct lexicon *lexicon, const struct wordlist *list, struct arena *arena,
                  struct buffer *joined)
{
	*lexicon = (struct lexicon){.list = list, .term_ordinal = SIZE_MAX, .arena = arena, .joined = joined};
	terms_cursor_init(&lexicon->cursor, list->sections);
}

/* A list that stands in several chunks was joined in scratch memory. */
static int term_list(struct lexicon *lexicon, const struct term *term, struct posting_list *list,
                     struct error *error)
{
	if (terms_list(lexicon->list->sections, term, lexicon->list->base, lexicon->joined, list, error) != 0)
		return error->code;
	if (list->bytes.ptr == lexicon->joined->ptr && !arena_copy(lexicon->arena, list->bytes, &list->bytes))
		return error_memory(error, list->bytes.len);
	return 0;
}

static int memory_find(const struct dictionary *dictionary, struct slice word, struct posting_list *list)
{
	struct dictionary_entry entry;
	size_t at;

	if (dictionary_lacks(dictionary, word))
		return 0;
	at = dictionary_seek(dictionary, word);
	if (at == dictionary_len(dictionary))
		return 0;
	entry = dictionary_at(dictionary, at);
	*list = entry.list;
	return slice_equal(entry.word, word);
}

static int term_find(const struct lexicon *lexicon, struct slice key, struct term *term, struct error *error)
{
	if (lexicon->list->sections == NULL)
		return 0;
	if (terms_find(lexicon->list->sections, key, term, error) != 0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	return 1;
}

int lexicon_has(struct lexicon *lexicon, struct slice word, struct error *error)
{
	struct wordlist_key room;
	struct slice key = wordlist_key(lexicon->list, word, &room);
	struct posting_list list;
	struct term term;
	size_t at;

	if (lexicon->list->dictionary != NULL)
		return memory_find(lexicon->list->dictionary, key, &list);
	if (lexicon->list->table != NULL)
		return word_table_find(lexicon->list->table, key, &at);
	return term_find(lexicon, key, &term, error);
}

static int known_open(struct lexicon *lexicon, struct known_list *known, struct posting_list *list,
                      struct error *error)
{
	return known_list_open(known, lexicon->list->sections,
	                       (struct known_room){lexicon->arena, lexicon->joined}, list, error);
}

/* Its list, of the word at that place of the table; what is to be kept of it is. */
static int table_list(struct lexicon *lexicon, size_t at, const struct term *term, struct posting_list *list,
                      struct error *error)
{
	struct known_list *known;

	if (term_list(lexicon, term, list, error) != 0)
		return error->code;
	known = known_lists_keep(word_table_lists(lexicon->list->table), at, term, list);
	return known == NULL ? 0 : known_open(lexicon, known, list, error);
}

static int table_find(struct lexicon *lexicon, struct slice key, struct posting_list *list,
                      struct error *error)
{
	const struct word_table *table = lexicon->list->table;
	struct known_list *known;
	struct term term;
	size_t at;
	int rc;

	if (!word_table_find(table, key, &at))
		return 0;
	known = known_lists_find(word_table_lists(table), at);
	if (known != NULL)
		return known_open(lexicon, known, list, error) == 0 ? 1 : error->code;
	rc = term_find(lexicon, key, &term, error);
	if (rc > 0 && table_list(lexicon, at, &term, list, error) != 0)
		return error->code;
	return rc;
}

int lexicon_find(struct lexicon *lexicon, struct slice word, struct posting_list *list, struct error *error)
{
	struct wordlist_key room;
	struct slice key = wordlist_key(lexicon->list, word, &room);
	struct term term;
	int rc;

	if (lexicon->list->dictionary != NULL)
		return memory_find(lexicon->list->dictionary, key, list);
	if (lexicon->list->table != NULL)
		return table_find(lexicon, key, list, error);
	rc = term_find(lexicon, key, &term, error);
	if (rc > 0 && term_list(lexicon, &term, list, error) != 0)
		return error->code;
	return rc;
}

/* Behind the last key of the rules stands another attribute's, or nothing. */
static int key_give(const struct lexicon *lexicon, struct slice key, struct slice *word)
{
	size_t head = lexicon->list->is_beside ? WORDS_BESIDE_HEAD_BYTES : 0;

	if (head > 0 && (key.len < head || memcmp(key.ptr, lexicon->list->head.bytes, head) != 0))
		return 0;
	*word = slice_of(key.ptr + head, key.len - head);
	return 1;
}

static int memory_give(struct lexicon *lexicon, struct slice *word)
{
	const struct dictionary *dictionary = lexicon->list->dictionary;

	if (lexicon->at == dictionary_len(dictionary))
		return 0;
	return key_give(lexicon, dictionary_at(dictionary, lexicon->at).word, word);
}

static int disk_give(struct lexicon *lexicon, struct slice *word, struct error *error)
{
	int rc = terms_cursor_next(&lexicon->cursor, &lexicon->term, error);

	return rc > 0 ? key_give(lexicon, lexicon->term.word, word) : rc;
}

static int table_give(const struct lexicon *lexicon, struct slice *word)
{
	const struct word_table *table = lexicon->list->table;

	if (lexicon->at == word_table_len(table))
		return 0;
	*word = word_table_at(table, lexicon->at);
	return 1;
}

static int source_next(void *context, struct slice *word, struct error *error)
{
	struct lexicon *lexicon = context;
	const struct wordlist *list = lexicon->list;

	if (watch_step(lexicon->watch, 1, error) != 0)
		return error->code;
	if (list->table != NULL) {
		lexicon->at += lexicon->at < word_table_len(list->table);
		return table_give(lexicon, word);
	}
	if (list->sections != NULL)
		return disk_give(lexicon, word, error);
	if (list->dictionary == NULL)
		return 0;
	lexicon->at += lexicon->at < dictionary_len(list->dictionary);
	return memory_give(lexicon, word);
}

static int source_seek(void *context, struct slice at, struct slice *word, struct error *error)
{
	const struct slice above =
		slice_of((const uint8_t *)WORD_FIELD_LENGTH "\0", 2); /* the reserved word */
	struct lexicon *lexicon = context;
	struct wordlist_key room;
	struct slice key = wordlist_key(lexicon->list, slice_compare(at, above) < 0 ? above : at, &room);

	if (watch_step(lexicon->watch, WATCH_SEEK, error) != 0)
		return error->code;
	if (lexicon->list->dictionary != NULL) {
		lexicon->at = dictionary_seek(lexicon->list->dictionary, key);
		return memory_give(lexicon, word);
	}
	if (lexicon->list->table != NULL) {
		lexicon->at = word_table_seek(lexicon->list->table, lexicon->at, key);
		return table_give(lexicon, word);
	}
	if (lexicon->list->sections == NULL)
		return 0;
	if (terms_cursor_seek(&lexicon->cursor, key, error) != 0)
		return error->code;
	return disk_give(lexicon, word, error);
}

struct typo_source lexicon_source(struct lexicon *lexicon)
{
	return (struct typo_source){source_seek, source_next, lexicon};
}

/* Brings the cursor to the word that the table gave last: neighbours follow each other. */
static int term_load(struct lexicon *lexicon, struct error *error)
{
	struct slice word = word_table_at(lexicon->list->table, lexicon->at);
	size_t before = lexicon->term_ordinal;
	int rc = 0;

	if (before == lexicon->at)
		return 0;
	lexicon->term_ordinal = SIZE_MAX;
	if (before == SIZE_MAX || before + 1 != lexicon->at)
		rc = terms_cursor_seek(&lexicon->cursor, word, error);
	if (rc == 0)
		rc = terms_cursor_next(&lexicon->cursor, &lexicon->term, error);
	if (rc < 0)
		return rc;
	if (rc == 0 || !slice_equal(lexicon->term.word, word))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "a segment has other words than when they were read");
	lexicon->term_ordinal = lexicon->at;
	return 0;
}

int lexicon_list(struct lexicon *lexicon, struct posting_list *list, struct error *error)
{
	const struct wordlist *from = lexicon->list;
	struct known_list *known;

	if (from->table != NULL) {
		known = known_lists_find(word_table_lists(from->table), lexicon->at);
		if (known != NULL)
			return known_open(lexicon, known, list, error);
		if (term_load(lexicon, error) != 0)
			return error->code;
		return table_list(lexicon, lexicon->at, &lexicon->term, list, error);
	}
	if (from->sections != NULL)
		return term_list(lexicon, &lexicon->term, list, error);
	*list = dictionary_at(from->dictionary, lexicon->at).list;
	return 0;
}
