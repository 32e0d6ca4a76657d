/* Similar words of a segment: of all words in memory those are compared that may be similar by their letters. */
#include "shard/core/lexicon.h"

#include "shard/core/words.h"

/* Words whose letters are looked at in a step. */
#define WATCH_LETTERS 64

struct scan {
	struct lexicon *lexicon;
	const struct typo *typo;
	const struct typo_sink *sink;
	bool is_enough; /* the sink says */
};

/* ---- words in memory: of a segment of memory, or the table of one on disk ---- */

/* Words beside stand among other keys, and their heads among their letters. */
static bool is_in_memory(const struct wordlist *list)
{
	return list->table != NULL || (list->dictionary != NULL && !list->is_beside);
}

static size_t memory_len(const struct wordlist *list)
{
	return list->table != NULL ? word_table_len(list->table) : dictionary_len(list->dictionary);
}

static struct slice memory_at(const struct wordlist *list, size_t i)
{
	return list->table != NULL ? word_table_at(list->table, i) : dictionary_at(list->dictionary, i).word;
}

static size_t memory_seek(const struct wordlist *list, size_t from, struct slice word)
{
	return list->table != NULL ? word_table_seek(list->table, from, word)
	                           : dictionary_seek(list->dictionary, word);
}

static const uint32_t *memory_letters(const struct wordlist *list)
{
	return list->table != NULL ? word_table_letters(list->table) : dictionary_letters(list->dictionary);
}

/* ---- the scan ---- */

/* Words that begin with what is typed first, or, between `from` and `to`, some that do not. */
static int range_scan(struct scan *scan, bool same_first, size_t from, size_t to, struct error *error)
{
	struct lexicon *lexicon = scan->lexicon;
	const uint32_t *letters = memory_letters(lexicon->list);
	struct typo_near near;

	if (scan->is_enough || from == to || (!same_first && scan->typo->typos_max < 2))
		return 0;
	near = typo_near(scan->typo, same_first);
	if (watch_step(lexicon->watch, (to - from) / WATCH_LETTERS + 1, error) != 0)
		return error->code;
	for (size_t i = from; (i = typo_near_next(&near, letters, i, to)) < to; i++) {
		struct slice word = memory_at(lexicon->list, i);
		int typos = typo_between(scan->typo, word);
		int rc = watch_step(lexicon->watch, 1, error);

		lexicon->at = i;
		if (rc == 0 && typos >= 0)
			rc = scan->sink->take(scan->sink->context, word, (unsigned)typos, error);
		if (rc < 0)
			return rc;
		scan->is_enough = rc > 0;
		if (scan->is_enough)
			break;
	}
	return 0;
}

/* Behind all words that begin with these bytes. */
static size_t memory_behind(const struct wordlist *list, size_t from, uint8_t bytes[4], size_t len)
{
	if (++bytes[len - 1] == 0)
		return memory_len(list);
	return memory_seek(list, from, slice_of(bytes, len));
}

int lexicon_similar(struct lexicon *lexicon, const struct typo *typo, const struct typo_sink *sink,
                    struct error *error)
{
	const struct wordlist *list = lexicon->list;
	struct scan scan = {lexicon, typo, sink, false};
	uint8_t bytes[4];
	size_t len;
	size_t above; /* the reserved word */
	size_t first;
	size_t behind;

	if (!is_in_memory(list) || typo->typos_max == 0 || typo->len == 0) {
		struct typo_source source = lexicon_source(lexicon);

		return typo_scan(typo, &source, sink, error);
	}
	len = typo_first(typo, bytes);
	above = memory_seek(list, 0, slice_of((const uint8_t *)WORD_FIELD_LENGTH "\0", 2));
	first = memory_seek(list, lexicon->at, slice_of(bytes, len));
	first = first < above ? above : first;
	behind = memory_behind(list, first, bytes, len);
	behind = behind < first ? first : behind;
	if (range_scan(&scan, false, above, first, error) != 0 ||
	    range_scan(&scan, true, first, behind, error) != 0)
		return error->code;
	return range_scan(&scan, false, behind, memory_len(list), error);
}
