#include "shard/engine/typo.h"

#include "shared/base/assert.h"

#define BAND 5                         /* cells of a row, two on each side of the diagonal */
#define REACH 2                        /* of the band */
#define TOO_FAR 3                      /* and more */
#define DEPTH_MAX (TYPO_BYTES_MAX + 2) /* a longer word is similar to nothing typed */
#define CHARACTER_MAX 0x10ffffU        /* of Unicode */
#define NO_UTF8 0x110000U              /* plus the byte */
#define NONE UINT32_MAX                /* no character; equals none */
#define LETTERS_AT_ONCE 16
#define NEAR_STEPS 3 /* words stepped over before a seek, which costs about as much as some more */

/* Distances of the first `depth` characters of a word to the typed word's first depth - 2 to depth + 2. Columns behind
 * the typed word's end count on as if something were typed that equals nothing: they are never the least alone. */
struct row {
	uint8_t cost[BAND + 1]; /* at most TOO_FAR, as the last always is */
	uint8_t least;          /* of cost */
	uint8_t prefix;         /* for a prefix term: distance of the nearest prefix so far; else TOO_FAR */
};

/* What words are compared by: a beginning of a similar word, with the row of each of its characters. */
struct path {
	const struct typo *typo;
	size_t depth; /* characters */
	uint32_t characters[DEPTH_MAX];
	uint16_t ends[DEPTH_MAX + 1]; /* bytes up to the end of so many characters */
	/* Of the characters, then of those that follow in the smallest similar word. */
	uint8_t bytes[4 * DEPTH_MAX + TYPO_BYTES_MAX];
	size_t bytes_len;
	struct row rows[DEPTH_MAX + 2]; /* one more than characters, and one that was too far */
};

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The character at `*at`, which moves behind it. */
static uint32_t character_next(struct slice text, size_t *at)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *bytes = text.ptr + *at;
	size_t len = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t character = bytes[0] & (0x7fU >> len);

	if (bytes[0] < 0x80)
		return text.ptr[(*at)++];
	for (size_t i = 1; i < len; i++) {
		if (*at + i >= text.len || (bytes[i] & 0xc0U) != 0x80)
			len = 0;
		else
			character = character << 6 | (bytes[i] & 0x3fU);
	}
	if (bytes[0] < 0xc0 || bytes[0] >= 0xf8 || character < least[len] || character > CHARACTER_MAX)
		len = 0;
	*at += len > 0 ? len : 1;
	return len > 0 ? character : NO_UTF8 + bytes[0];
}

/* The reverse of character_next; returns how many bytes. */
static size_t character_put(uint8_t bytes[4], uint32_t character)
{
	size_t len = character < 0x80 || character >= NO_UTF8 ? 1
	             : character < 0x800                      ? 2
	             : character < 0x10000                    ? 3
	                                                      : 4;

	if (len == 1) {
		bytes[0] = (uint8_t)character;
		return 1;
	}
	for (size_t i = len - 1; i > 0; i--, character >>= 6)
		bytes[i] = (uint8_t)(0x80U | (character & 0x3fU));
	bytes[0] = (uint8_t)(0xf00U >> len | character);
	return len;
}

size_t typo_first(const struct typo *typo, uint8_t bytes[4])
{
	ASSERT(typo->len > 0);
	return character_put(bytes, typo->typed[TYPO_PAD]);
}

void typo_init(struct typo *typo, struct slice typed, unsigned typos_max, bool is_prefix)
{
	ASSERT(typed.len <= TYPO_BYTES_MAX && typos_max <= TYPO_TYPOS_MAX);
	typo->len = 0;
	typo->typos_max = (uint8_t)typos_max;
	typo->is_prefix = is_prefix;
	for (size_t i = 0; i < TYPO_PAD; i++)
		typo->typed[i] = NONE;
	for (size_t at = 0; at < typed.len;)
		typo->typed[TYPO_PAD + typo->len++] = character_next(typed, &at);
	for (size_t i = 0; i < TYPO_PAD; i++)
		typo->typed[TYPO_PAD + typo->len + i] = NONE;
}

/* ---- letters ---- */

static uint32_t letter_of(uint32_t character)
{
	return 1U << (character & 31U);
}

uint32_t typo_letters(struct slice word)
{
	uint32_t letters = 0;

	for (size_t at = 0; at < word.len;)
		letters |= letter_of(character_next(word, &at));
	return letters;
}

/* With another first character it is that which is too many, left out, replaced or swapped: all that follows stays. */
struct typo_near typo_near(const struct typo *typo, bool same_first)
{
	struct typo_near near = {0};

	ASSERT(typo->len > 0 && (same_first || typo->typos_max > 0));
	for (size_t i = 1; i < typo->len; i++)
		near.wanted |= letter_of(typo->typed[TYPO_PAD + i]);
	near.allowed = near.wanted | letter_of(typo->typed[TYPO_PAD]);
	near.lacking = same_first ? typo->typos_max : 0;
	near.others = same_first ? typo->typos_max : typo->typos_max - 1;
	if (same_first)
		near.wanted = near.allowed;
	if (typo->is_prefix)
		near.allowed = UINT32_MAX;
	return near;
}

/* Without the lowest `count` bits, at most two; no branch, so that several are looked at together. */
static inline uint32_t bits_above(uint32_t bits, uint32_t count)
{
	bits &= bits - (count > 0);
	return bits & (bits - (count > 1));
}

static inline bool is_near(const struct typo_near *near, uint32_t letters)
{
	return (bits_above(near->wanted & ~letters, near->lacking) |
	        bits_above(letters & ~near->allowed, near->others)) == 0;
}

static bool some_are_near(const struct typo_near *near, const uint32_t *letters)
{
	uint32_t found = 0;

	for (size_t i = 0; i < LETTERS_AT_ONCE; i++)
		found |= is_near(near, letters[i]);
	return found != 0;
}

size_t typo_near_next(const struct typo_near *near, const uint32_t *letters, size_t from, size_t to)
{
	const struct typo_near by = *near;

	while (to - from >= LETTERS_AT_ONCE && !some_are_near(&by, letters + from))
		from += LETTERS_AT_ONCE;
	while (from < to && !is_near(&by, letters[from]))
		from++;
	return from;
}

/* ---- rows ---- */

/* Distance of the word so far to the whole typed word. */
static uint8_t row_last(const struct typo *typo, const struct row *row, size_t depth)
{
	size_t cell = typo->len + REACH - depth; /* beyond BAND also if it is negative */

	return cell < BAND ? row->cost[cell] : TOO_FAR;
}

static void row_first(const struct typo *typo, struct row *row)
{
	for (size_t i = 0; i <= BAND; i++)
		row->cost[i] = i >= REACH && i < BAND ? (uint8_t)(i - REACH) : TOO_FAR;
	row->least = 0;
	row->prefix = typo->is_prefix ? row_last(typo, row, 0) : TOO_FAR;
}

/* `*row` from the row before, row[-1], and for a swap the one before that: the word's character number `depth`, from 1,
 * is `character`, and `before` the one before it, NONE for the first. */
static void row_next(const struct typo *typo, struct row *row, size_t depth, uint32_t before,
                     uint32_t character)
{
	const uint32_t *typed =
		typo->typed + TYPO_PAD + depth - REACH - 1; /* what the first cell's column ends with */
	uint32_t cost = TOO_FAR;
	uint32_t least = TOO_FAR;

	for (size_t i = 0; i < BAND; i++) {
		cost = least_of(cost, row[-1].cost[i + 1]) + 1;
		cost = least_of(cost, row[-1].cost[i] + (typed[i] == character ? 0U : 1U));
		if (typed[i] == before && typed[(ptrdiff_t)i - 1] == character)
			cost = least_of(cost, row[-2].cost[i] + 1U);
		cost = least_of(cost, TOO_FAR);
		least = least_of(least, cost);
		row->cost[i] = (uint8_t)cost;
	}
	row->cost[BAND] = TOO_FAR;
	row->least = (uint8_t)least;
	row->prefix =
		typo->is_prefix ? (uint8_t)least_of(row[-1].prefix, row_last(typo, row, depth)) : TOO_FAR;
}

/* Of a word that begins with `first`; NONE: the empty one, or any. */
static bool is_wrong_first(const struct typo *typo, uint32_t first)
{
	return typo->len == 0 || first != typo->typed[TYPO_PAD];
}

/* The distance that is allowed to a word that begins with `first`. */
static uint8_t limit_of(const struct typo *typo, uint32_t first)
{
	return (uint8_t)(typo->typos_max - (typo->typos_max > 0 && is_wrong_first(typo, first)));
}

/* No character that follows can bring the word nearer. */
static bool row_is_settled(const struct row *row, uint8_t limit)
{
	return row->prefix <= limit && row->prefix <= row->least;
}

/* Some word that begins so is similar. */
static bool row_is_open(const struct row *row, uint8_t limit)
{
	return row->least <= limit || row->prefix <= limit;
}

/* Whatever character follows, some word that begins so is similar; so is a row that has a near prefix and is not
 * settled. */
static bool row_is_free(const struct row *row, uint8_t limit)
{
	return row->least < limit;
}

/* Of a word that ends here, or is settled: typos, or -1. */
static int row_typos(const struct typo *typo, const struct row *row, size_t depth, uint32_t first)
{
	uint8_t distance = typo->is_prefix ? row->prefix : row_last(typo, row, depth);

	if (distance > limit_of(typo, first))
		return -1;
	return distance + (distance > 0 && is_wrong_first(typo, first));
}

int typo_between(const struct typo *typo, struct slice word)
{
	uint32_t before = NONE;
	uint32_t first = NONE;
	size_t depth = 0;
	struct row rows[3] = {0};

	row_first(typo, &rows[2]);
	for (size_t at = 0; at < word.len;) {
		uint32_t character = character_next(word, &at);

		if (depth == 0)
			first = character;
		rows[0] = rows[1];
		rows[1] = rows[2];
		row_next(typo, &rows[2], ++depth, before, character);
		before = character;
		if (!row_is_open(&rows[2], limit_of(typo, first)))
			return -1;
		if (row_is_settled(&rows[2], limit_of(typo, first)))
			break;
	}
	return row_typos(typo, &rows[2], depth, first);
}

static struct slice path_bytes(const struct path *path)
{
	return slice_of(path->bytes, path->bytes_len);
}

static uint32_t path_first(const struct path *path)
{
	return path->depth > 0 ? path->characters[0] : NONE;
}

static uint8_t path_limit(const struct path *path)
{
	return limit_of(path->typo, path_first(path));
}

/* False: nothing similar begins so, and the path stays as it is. */
static bool path_push(struct path *path, uint32_t character)
{
	size_t depth = path->depth;
	uint32_t before = depth > 0 ? path->characters[depth - 1] : NONE;
	uint32_t first = depth > 0 ? path->characters[0] : character;

	row_next(path->typo, &path->rows[depth + 1], depth + 1, before, character);
	if (!row_is_open(&path->rows[depth + 1], limit_of(path->typo, first)))
		return false;
	ASSERT(depth < DEPTH_MAX);
	path->characters[depth] = character;
	path->ends[depth + 1] =
		(uint16_t)(path->ends[depth] + character_put(path->bytes + path->ends[depth], character));
	path->depth++;
	path->bytes_len = path->ends[path->depth];
	return true;
}

/* Characters, at or above `from`, that the path can go on with. */
struct choice {
	uint32_t smallest; /* or NONE */
	size_t len;        /* how many, where no typo is left */
	size_t column;     /* of the last that was typed so */
};

/* Where no typo is left, a word goes on with one of the typed characters around the diagonal. The second of two that are
 * swapped is one of them: where a swap can begin, the first may as well be one too many. */
static struct choice path_choose(const struct path *path, uint32_t from)
{
	const struct row *row = &path->rows[path->depth];
	size_t first = TYPO_PAD + path->depth - REACH; /* what follows the first cell's column */
	const uint32_t *typed = path->typo->typed + first;
	size_t cells = path->typo->len + REACH - path->depth; /* that something follows */
	uint8_t limit = path_limit(path);
	struct choice choice = {NONE, 0, 0};

	if (row_is_free(row, limit)) {
		choice.smallest = from <= CHARACTER_MAX ? from : NONE;
		return choice;
	}
	for (size_t i = 0; i < BAND && i < cells; i++) {
		if (row->cost[i] > limit || typed[i] < from)
			continue;
		choice.smallest = least_of(choice.smallest, typed[i]);
		choice.column = first + i;
		choice.len++;
	}
	return choice;
}

/* With a character of path_choose. */
static void path_go_on(struct path *path, uint32_t character)
{
	bool is_open = path_push(path, character);

	ASSERT(is_open);
}

/* To the smallest similar word that begins so, as far as that is known. */
static void path_extend(struct path *path)
{
	const struct typo *typo = path->typo;

	while (!row_is_free(&path->rows[path->depth], path_limit(path)) &&
	       row_typos(typo, &path->rows[path->depth], path->depth, path_first(path)) < 0) {
		struct choice choice = path_choose(path, 0);

		if (choice.len == 1 && path->depth > 0) {
			while (choice.column < TYPO_PAD + typo->len)
				path->bytes_len += character_put(path->bytes + path->bytes_len,
				                                 typo->typed[choice.column++]);
			return;
		}
		path_go_on(path, choice.smallest);
	}
}

/* To the smallest similar word above all that begin with the path and a character below `from`; false: there is none. */
static bool path_turn(struct path *path, uint32_t from)
{
	uint32_t character;

	while ((character = path_choose(path, from).smallest) == NONE) {
		if (path->depth == 0)
			return false;
		from = path->characters[--path->depth] + 1;
	}
	path_go_on(path, character);
	path_extend(path);
	return true;
}

/* Along the word to its end, or to where it is settled; false: to the character that leads too far. */
static bool path_follow(struct path *path, struct slice word, uint32_t *character)
{
	size_t end = path->ends[path->depth];
	size_t at = 0;

	while (at < word.len && at < end && word.ptr[at] == path->bytes[at])
		at++;
	while (path->ends[path->depth] > at)
		path->depth--;
	at = path->ends[path->depth];
	while (at < word.len && !row_is_settled(&path->rows[path->depth], path_limit(path))) {
		*character = character_next(word, &at);
		if (!path_push(path, *character))
			return false;
	}
	return true;
}

/* The first word at or above the path, from the word given last. */
static int source_advance(const struct typo_source *source, const struct path *path, struct slice *word,
                          struct error *error)
{
	int found = 1;

	for (size_t i = 0; i < NEAR_STEPS; i++) {
		found = source->next(source->context, word, error);
		if (found <= 0 || slice_compare(*word, path_bytes(path)) >= 0)
			return found;
	}
	found = source->seek(source->context, path_bytes(path), word, error);
	if (found > 0 && slice_compare(*word, path_bytes(path)) < 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL, "words are not in order");
	return found;
}

int typo_scan(const struct typo *typo, const struct typo_source *source, const struct typo_sink *sink,
              struct error *error)
{
	struct path path;
	struct slice word;
	uint32_t character;
	int found;

	path.typo = typo;
	path.depth = 0;
	path.ends[0] = 0;
	path.bytes_len = 0;
	row_first(typo, &path.rows[0]);
	path_extend(&path);
	found = source->seek(source->context, path_bytes(&path), &word, error);
	while (found > 0) {
		if (path_follow(&path, word, &character)) {
			int typos = row_typos(typo, &path.rows[path.depth], path.depth, path_first(&path));
			int taken = typos < 0 ? 0 : sink->take(sink->context, word, (unsigned)typos, error);

			if (taken != 0)
				return taken < 0 ? taken : 0;
			found = source->next(source->context, &word, error);
		} else if (path_turn(&path, character + 1)) {
			found = source_advance(source, &path, &word, error);
		} else {
			found = 0;
		}
	}
	return found;
}
