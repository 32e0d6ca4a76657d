/* What settings say about cutting: lists, looked up by hash, and a table of the ASCII characters. */
#include "shard/engine/text_private.h"

#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096

static const char *const two_signs[] = {". ", ", "};

static bool is_in(const struct map *list, struct slice text)
{
	return list->count > 0 && map_get(list, text) != NULL;
}

bool rules_cuts(const struct text_rules *rules, struct slice character, uint32_t c)
{
	if (is_in(&rules->separators, character))
		return true;
	return !is_in(&rules->not_separators, character) && unicode_separates(c);
}

static bool is_two_signs(struct slice plain)
{
	return plain.len == 2 && (plain.ptr[0] == '.' || plain.ptr[0] == ',') && plain.ptr[1] == ' ';
}

static bool is_separator(const struct text_rules *rules, struct slice plain)
{
	size_t bytes;
	uint32_t c;

	if (plain.len == 0)
		return true;
	c = unicode_first(plain, &bytes);
	if (bytes == plain.len)
		return rules_cuts(rules, plain, c);
	if (is_in(&rules->separators, plain))
		return true;
	return is_two_signs(plain) && !is_in(&rules->not_separators, plain);
}

/* What ends a sentence or clause. */
static bool is_hard(struct slice plain)
{
	static const char signs[][4] = {"!",      ";",      "?",      "\u00A1", "\u00A7",
	                                "\u00B6", "\u00B7", "\u00BF", "\u055C", "\u055E",
	                                "\u0589", "\u061B", "\u061F", "\u3001", "\u3002"};

	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
		if (slice_equal(plain, slice_string(signs[i])))
			return true;
	return is_two_signs(plain);
}

enum token_kind rules_kind(const struct text_rules *rules, struct slice plain, struct slice piece)
{
	if (is_in(&rules->stop_words, plain))
		return TOKEN_STOP_WORD;
	if (is_in(&rules->dictionary, piece) || !is_separator(rules, plain))
		return TOKEN_WORD;
	return is_hard(plain) ? TOKEN_HARD : TOKEN_SOFT;
}

/* Strings of `longer` that agree in their first bytes. */
struct range {
	size_t low;
	size_t high;
};

/* The first of a range whose byte at `at`, which all have, is at least `byte`. */
static size_t range_seek(const struct text_rules *rules, struct range range, size_t at, unsigned byte)
{
	while (range.low < range.high) {
		size_t middle = range.low + (range.high - range.low) / 2;

		if (rules->longer[middle].ptr[at] < byte)
			range.low = middle + 1;
		else
			range.high = middle;
	}
	return range.low;
}

size_t rules_longest(const struct text_rules *rules, struct slice text)
{
	struct range range = {0, rules->longer_len};
	size_t longest = 0;

	for (size_t at = 0; at < text.len && range.low < range.high; at++) {
		size_t low = range_seek(rules, range, at, text.ptr[at]);

		range.high = range_seek(rules, range, at, text.ptr[at] + 1U);
		range.low = low;
		while (range.low < range.high && rules->longer[range.low].len == at + 1) {
			longest = at + 1;
			range.low++;
		}
	}
	return longest;
}

static int list_fill(struct text_rules *rules, struct map *list, const struct slice *texts, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct slice copy;

		if (!arena_copy(&rules->arena, texts[i], &copy) || !map_put(list, copy, 0))
			return ERROR_MEMORY;
	}
	return 0;
}

/* Stop words are compared decomposed. */
static int stop_words_fill(struct text_rules *rules, const struct text_settings *settings,
                           struct error *error)
{
	struct unicode *unicode = unicode_new();
	struct buffer plain;
	int rc = 0;

	if (unicode == NULL)
		return error_memory(error, 0);
	buffer_init(&plain, UINT32_MAX);
	for (size_t i = 0; i < settings->stop_words_len && rc == 0; i++) {
		struct slice word;

		rc = unicode_decompose(unicode, settings->stop_words[i], &plain, error);
		if (rc != 0)
			break;
		word = buffer_slice(&plain);
		if (list_fill(rules, &rules->stop_words, &word, 1) != 0)
			rc = error_memory(error, word.len);
	}
	buffer_deinit(&plain);
	unicode_free(unicode);
	return rc;
}

static bool has_several_characters(struct slice text)
{
	size_t bytes;

	if (text.len == 0)
		return false;
	(void)unicode_first(text, &bytes);
	return bytes < text.len;
}

static void longer_add(struct text_rules *rules, struct slice text)
{
	if (!has_several_characters(text) || is_in(&rules->not_separators, text))
		return;
	rules->longer[rules->longer_len++] = text;
	rules->classes[text.ptr[0]] |= BYTE_LONGER;
}

static int longer_compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int longer_fill(struct text_rules *rules)
{
	const struct map *lists[] = {&rules->dictionary, &rules->separators};
	size_t len = 2 + rules->dictionary.count + rules->separators.count;

	rules->longer = malloc(len * sizeof *rules->longer);
	if (rules->longer == NULL)
		return ERROR_MEMORY;
	longer_add(rules, slice_string(two_signs[0]));
	longer_add(rules, slice_string(two_signs[1]));
	for (size_t i = 0; i < 2; i++) {
		const struct map_entry *entry;
		size_t at = 0;

		while ((entry = map_next(lists[i], &at)) != NULL)
			longer_add(rules, entry->key);
	}
	qsort(rules->longer, rules->longer_len, sizeof *rules->longer, longer_compare);
	return 0;
}

static uint8_t class_of(const struct text_rules *rules, uint8_t byte)
{
	uint8_t class = 0;

	if (byte >= 0x80)
		return BYTE_FOREIGN;
	if (rules_cuts(rules, slice_of(&byte, 1), byte))
		class |= BYTE_CUTS;
	if (byte < ' ' || byte == 0x7F)
		class |= BYTE_CONTROL;
	if (byte >= 'A' && byte <= 'Z')
		class |= BYTE_UPPER;
	if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
		class |= BYTE_LETTER;
	return class;
}

static void classes_fill(struct text_rules *rules)
{
	for (unsigned i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)i;
		uint8_t class = class_of(rules, byte);

		rules->classes[i] |= class;
		if (byte < 0x80)
			rules->kinds[i] = (uint8_t)rules_kind(
				rules, slice_of(&byte, class & BYTE_CONTROL ? 0 : 1), slice_of(&byte, 1));
	}
}

/* The two signs by themselves need no search for the longest string. */
static void pairs_fill(struct text_rules *rules)
{
	for (size_t i = 0; i < rules->longer_len; i++) {
		struct slice pair = rules->longer[i];
		uint8_t first = pair.ptr[0];
		bool is_alone = (i == 0 || rules->longer[i - 1].ptr[0] != first) &&
		                (i + 1 == rules->longer_len || rules->longer[i + 1].ptr[0] != first);

		if (!is_alone || !is_two_signs(pair) || !(rules->classes[first] & BYTE_CUTS))
			continue;
		rules->classes[first] = BYTE_CUTS | BYTE_PAIR;
		rules->pair_kinds[first] = (uint8_t)rules_kind(rules, pair, pair);
	}
}

int text_rules_new(const struct text_settings *settings, struct text_rules **rules, struct error *error)
{
	struct text_rules *made = calloc(1, sizeof *made);

	if (made == NULL)
		return error_memory(error, sizeof *made);
	arena_init(&made->arena, ARENA_BLOCK_BYTES);
	if (list_fill(made, &made->separators, settings->separators, settings->separators_len) != 0 ||
	    list_fill(made, &made->not_separators, settings->not_separators, settings->not_separators_len) !=
	            0 ||
	    list_fill(made, &made->dictionary, settings->dictionary, settings->dictionary_len) != 0 ||
	    longer_fill(made) != 0) {
		text_rules_free(made);
		return error_memory(error, 0);
	}
	if (settings->stop_words_len > 0 && stop_words_fill(made, settings, error) != 0) {
		text_rules_free(made);
		return error->code;
	}
	made->has_lists = made->stop_words.count > 0 || made->separators.count > 0;
	classes_fill(made);
	pairs_fill(made);
	*rules = made;
	return 0;
}

void text_rules_free(struct text_rules *rules)
{
	if (rules == NULL)
		return;
	map_deinit(&rules->stop_words);
	map_deinit(&rules->dictionary);
	map_deinit(&rules->separators);
	map_deinit(&rules->not_separators);
	arena_deinit(&rules->arena);
	free(rules->longer);
	free(rules);
}
