/*
 * Similar words, a case a line: {"typed", "typos", "prefix", "words": sorted}
 * in, {"between": typos of each word or -1, "found": [[word, typos], …]} out,
 * the first word by word, the second by a scan.
 *
 *     oracle_typo --measure CORPUS WORDS
 *
 * measures scans instead: typed are WORDS of the distinct words of a corpus,
 * misspelt; each answer is compared with that of looking at every word.
 */
#include "shard/engine/typo.h"

#include "shared/base/assert.h"
#include "shared/base/map.h"
#include "shared/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE_BYTES_MAX (16U << 20)
#define WORD_BYTES_MAX 40
#define EVERY_WORD 10 /* one scan in so many is compared with looking at every word */

struct words {
	struct slice *list;
	size_t len;
	size_t at; /* given next */
	uint64_t seeks;
	uint64_t nexts;
};

struct sum {
	uint64_t found;
	uint64_t typos;
};

static int words_next(void *context, struct slice *word, struct error *error)
{
	struct words *words = context;

	(void)error;
	words->nexts++;
	if (words->at == words->len)
		return 0;
	*word = words->list[words->at++];
	return 1;
}

static int words_seek(void *context, struct slice at, struct slice *word, struct error *error)
{
	struct words *words = context;
	size_t low = 0;
	size_t high = words->len;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (slice_compare(words->list[middle], at) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	words->at = low;
	words->seeks++;
	words->nexts--;
	return words_next(context, word, error);
}

static int take_line(void *context, struct slice word, unsigned typos, struct error *error)
{
	struct buffer *line = context;

	(void)error;
	buffer_append_string(line, line->ptr[line->len - 1] == '[' ? "[" : ",[");
	json_append_string(line, word);
	buffer_printf(line, ",%u]", typos);
	return 0;
}

static int take_sum(void *context, struct slice word, unsigned typos, struct error *error)
{
	struct sum *sum = context;

	(void)word;
	(void)error;
	sum->found++;
	sum->typos += typos;
	return 0;
}

/* What is similar must be so by its letters too. */
static void letters_check(const struct typo *typo, struct slice word)
{
	uint32_t letters = typo_letters(word);
	struct typo_near near;
	uint8_t first[4];
	size_t len;

	if (typo->len == 0 || typo->typos_max == 0 || typo_between(typo, word) < 0)
		return;
	len = typo_first(typo, first);
	near = typo_near(typo, word.len >= len && memcmp(word.ptr, first, len) == 0);
	ASSERT(typo_near_next(&near, &letters, 0, 1) == 0);
}

static void answer(yyjson_val *request, struct buffer *line)
{
	yyjson_val *list = yyjson_obj_get(request, "words");
	struct words words = {.list = calloc(yyjson_arr_size(list) + 1, sizeof *words.list)};
	struct typo_source source = {words_seek, words_next, &words};
	struct typo_sink sink = {take_line, line};
	struct error error;
	struct typo typo;
	int64_t typos;
	bool is_prefix;

	ASSERT(words.list != NULL && json_get_i64(request, "typos", &typos) &&
	       json_get_bool(request, "prefix", &is_prefix));
	typo_init(&typo, json_string(yyjson_obj_get(request, "typed")), (unsigned)typos, is_prefix);
	buffer_append_string(line, "{\"between\":[");
	for (; words.len < yyjson_arr_size(list); words.len++) {
		words.list[words.len] = json_string(yyjson_arr_get(list, words.len));
		buffer_printf(line, words.len == 0 ? "%d" : ",%d",
		              typo_between(&typo, words.list[words.len]));
		letters_check(&typo, words.list[words.len]);
	}
	buffer_append_string(line, "],\"found\":[");
	ASSERT(typo_scan(&typo, &source, &sink, &error) == 0);
	buffer_append_string(line, "]}\n");
	free(words.list);
}

static int answer_all(void)
{
	struct buffer line;
	struct error error;
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	buffer_init(&line, LINE_BYTES_MAX);
	while ((len = getline(&text, &size, stdin)) > 0) {
		yyjson_doc *doc;

		buffer_clear(&line);
		if (json_parse_typed(slice_of(text, (size_t)len), &doc, &error) != 0) {
			(void)fprintf(stderr, "%s\n", error.text);
			return 1;
		}
		answer(yyjson_doc_get_root(doc), &line);
		yyjson_doc_free(doc);
		ASSERT(!buffer_failed(&line) && fwrite(line.ptr, 1, line.len, stdout) == line.len);
	}
	free(text);
	buffer_deinit(&line);
	return 0;
}

static int compare_words(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

/* Runs of letters, in lower case, each once and in order; never freed. */
static struct words words_cut(FILE *file)
{
	struct words words = {0};
	struct map known;
	uint8_t word[WORD_BYTES_MAX];
	size_t len = 0;
	int byte;

	map_init(&known);
	do {
		byte = getc_unlocked(file);
		if (((unsigned)byte | 0x20U) - 'a' < 26U) {
			if (len < sizeof word)
				word[len] = (uint8_t)((unsigned)byte | 0x20U);
			len++;
			continue;
		}
		if (len > 0 && len <= sizeof word && map_get(&known, slice_of(word, len)) == NULL) {
			uint8_t *copy = malloc(len);

			ASSERT(copy != NULL);
			memcpy(copy, word, len);
			ASSERT(map_put(&known, slice_of(copy, len), 0));
			if ((words.len & (words.len - 1)) == 0)
				words.list = realloc(words.list, (2 * words.len + 1) * sizeof *words.list);
			ASSERT(words.list != NULL);
			words.list[words.len++] = slice_of(copy, len);
		}
		len = 0;
	} while (byte != EOF);
	map_deinit(&known);
	qsort(words.list, words.len, sizeof *words.list, compare_words);
	return words;
}

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* A word with so many letters replaced, left out, added or swapped. */
static size_t misspell(struct slice word, unsigned typos, uint32_t *state, uint8_t *typed)
{
	size_t len = word.len;

	memcpy(typed, word.ptr, len);
	for (; typos > 0; typos--) {
		size_t at = random_next(state) % (len - 1);
		uint8_t letter = (uint8_t)('a' + random_next(state) % 26);
		uint8_t moved = typed[at];

		switch (random_next(state) % 4) {
		case 0:
			typed[at] = letter;
			break;
		case 1:
			memmove(typed + at, typed + at + 1, --len - at);
			break;
		case 2:
			memmove(typed + at + 1, typed + at, len++ - at);
			typed[at] = letter;
			break;
		default:
			typed[at] = typed[at + 1];
			typed[at + 1] = moved;
		}
	}
	return len;
}

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds that it takes; a scan must find the same. */
static double look_at_all(const struct words *words, const struct typo *typo,
                          const struct typo_source *source)
{
	struct sum expected = {0};
	struct sum scanned = {0};
	struct typo_sink sink = {take_sum, &scanned};
	struct words uncounted = *words;
	struct typo_source again = {source->seek, source->next, &uncounted};
	struct error error;
	double begun = now_us();

	for (size_t i = 0; i < words->len; i++) {
		int typos = typo_between(typo, words->list[i]);

		if (typos >= 0)
			(void)take_sum(&expected, words->list[i], (unsigned)typos, &error);
	}
	begun = now_us() - begun;
	ASSERT(typo_scan(typo, &again, &sink, &error) == 0);
	ASSERT(scanned.found == expected.found && scanned.typos == expected.typos);
	return begun;
}

static void measure(struct words *words, size_t scans, unsigned typos, bool is_prefix)
{
	struct typo_source source = {words_seek, words_next, words};
	struct sum scanned = {0};
	struct typo_sink sink = {take_sum, &scanned};
	double scan_us = 0;
	double all_us = 0;
	uint32_t state = typos * 2 + is_prefix;
	struct error error;

	words->seeks = words->nexts = 0;
	for (size_t i = 0; i < scans;) {
		struct slice word = words->list[random_next(&state) % words->len];
		uint8_t typed[WORD_BYTES_MAX + TYPO_TYPOS_MAX];
		struct typo typo;
		double begun;

		if (word.len < (typos == 1 ? 5 : 9) || word.len > (typos == 1 ? 8 : WORD_BYTES_MAX))
			continue; /* as the default settings allow */
		typo_init(&typo, slice_of(typed, misspell(word, typos, &state, typed)), typos, is_prefix);
		begun = now_us();
		ASSERT(typo_scan(&typo, &source, &sink, &error) == 0);
		scan_us += now_us() - begun;
		if (i++ % EVERY_WORD == 0)
			all_us += look_at_all(words, &typo, &source);
	}
	(void)printf("%u typos%s: scan %.1f us (%.0f seeks, %.0f steps, %.1f found), every word %.0f us\n",
	             typos, is_prefix ? ", prefix" : "", scan_us / (double)scans,
	             (double)words->seeks / (double)scans, (double)words->nexts / (double)scans,
	             (double)scanned.found / (double)scans, EVERY_WORD * all_us / (double)scans);
}

int main(int argc, char **argv)
{
	struct words words;
	FILE *file;

	if (argc == 1)
		return answer_all();
	if (argc != 4 || strcmp(argv[1], "--measure") != 0 || (file = fopen(argv[2], "re")) == NULL) {
		(void)fprintf(stderr, "usage: oracle_typo [--measure CORPUS WORDS]\n");
		return 1;
	}
	words = words_cut(file);
	(void)fclose(file);
	(void)printf("%zu words\n", words.len);
	for (unsigned typos = 1; typos <= TYPO_TYPOS_MAX; typos++) {
		measure(&words, strtoul(argv[3], NULL, 10), typos, false);
		measure(&words, strtoul(argv[3], NULL, 10), typos, true);
	}
	return 0;
}
