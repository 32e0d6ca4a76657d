#include "shared/feed/window.h"

#include "shared/base/assert.h"
#include "shared/base/knockout.h"
#include "shared/feed/window_leaf.h"

#include <stdlib.h>

#define FACTS_FIRST 1024
#define NONE UINT32_MAX

/* A fact of the newest offsets. */
struct recent {
	struct occurrence fact;
	uint32_t before; /* the occurrence before this one of the same identity, or NONE */
};

struct window {
	struct window_store store;
	int64_t length;
	int64_t low;
	int64_t high;
	/* of the leaf in which `high` lies, in the order of the log */
	struct recent *recent;
	size_t recent_len;
	size_t recent_size;
	uint32_t *slots; /* open addressing over the last occurrence of each identity; twice recent_size */
	/* sealed ones, by rising number */
	struct leaf **leaves;
	size_t leaves_len;
	size_t leaves_size;
};

struct window *window_new(const struct window_store *store, int64_t length, int64_t low)
{
	struct window *window = calloc(1, sizeof *window);

	if (window == NULL)
		return NULL;
	window->store = *store;
	window->length = length;
	window->low = low;
	window->high = low;
	return window;
}

static void drop_first(struct window *window, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		window->store.drop(window->store.context, leaf_number(window->leaves[i]));
		leaf_free(window->leaves[i]);
	}
	window->leaves_len -= count;
	if (window->leaves_len > 0)
		memmove(window->leaves, window->leaves + count,
		        window->leaves_len * sizeof window->leaves[0]);
}

void window_free(struct window *window)
{
	if (window == NULL)
		return;
	drop_first(window, window->leaves_len);
	free(window->leaves);
	free(window->recent);
	free(window->slots);
	free(window);
}

int64_t window_low(const struct window *window)
{
	return window->low;
}

int64_t window_high(const struct window *window)
{
	return window->high;
}

/* ---- the newest offsets ---- */

/* Where the identity is or belongs. */
static uint32_t *slot_of(const struct window *window, struct hash128 identity)
{
	size_t mask = 2 * window->recent_size - 1;
	size_t at = (size_t)identity.high & mask;

	while (window->slots[at] != NONE &&
	       !hash128_equal(window->recent[window->slots[at]].fact.identity, identity))
		at = (at + 1) & mask;
	return &window->slots[at];
}

static void clear_slots(struct window *window)
{
	memset(window->slots, 0xff, 2 * window->recent_size * sizeof window->slots[0]);
}

static bool grow(struct window *window)
{
	size_t size = window->recent_size == 0 ? FACTS_FIRST : 2 * window->recent_size;
	uint32_t *slots = malloc(2 * size * sizeof slots[0]);
	struct recent *recent = slots == NULL ? NULL : realloc(window->recent, size * sizeof recent[0]);

	if (recent == NULL) {
		free(slots);
		return false;
	}
	free(window->slots);
	window->slots = slots;
	window->recent = recent;
	window->recent_size = size;
	clear_slots(window);
	for (size_t i = 0; i < window->recent_len; i++)
		*slot_of(window, recent[i].fact.identity) = (uint32_t)i;
	return true;
}

static const struct occurrence *find_recent(const struct window *window, const struct occurrence *occurrence)
{
	uint32_t at = window->recent_len > 0 ? *slot_of(window, occurrence->identity) : NONE;

	while (at != NONE && window->recent[at].fact.offset >= occurrence->offset &&
	       !KNOCKOUT(REPLAY_DUPLICATE))
		at = window->recent[at].before;
	while (KNOCKOUT(FIRST_OCCURRENCE) && at != NONE && window->recent[at].before != NONE &&
	       window->recent[window->recent[at].before].fact.offset >= occurrence->offset - window->length)
		at = window->recent[at].before;
	return at == NONE ? NULL : &window->recent[at].fact;
}

/* ---- leaves ---- */

static bool reserve_leaf(struct window *window)
{
	size_t size = window->leaves_size == 0 ? 16 : 2 * window->leaves_size;
	struct leaf **leaves;

	if (window->leaves_len < window->leaves_size)
		return true;
	leaves = realloc(window->leaves, size * sizeof leaves[0]);
	if (leaves == NULL)
		return false;
	window->leaves = leaves;
	window->leaves_size = size;
	return true;
}

/* The newest offsets into a leaf. */
static int seal(struct window *window, struct error *error)
{
	int64_t number = window->recent[0].fact.offset / WINDOW_LEAF;
	struct occurrence *facts = malloc(window->recent_len * sizeof facts[0]);
	struct leaf *leaf = NULL;
	struct buffer bytes;
	int result;

	buffer_init(&bytes, LEAF_BYTES_MAX);
	if (facts != NULL && reserve_leaf(window)) {
		for (size_t i = 0; i < window->recent_len; i++)
			facts[i] = window->recent[i].fact;
		leaf = leaf_seal(number, facts, window->recent_len, &bytes);
	}
	if (leaf == NULL)
		result = error_memory(error, LEAF_BYTES_MAX);
	else
		result = window->store.put(window->store.context, number, buffer_slice(&bytes), error);
	if (result == 0) {
		window->leaves[window->leaves_len++] = leaf;
		window->recent_len = 0;
		clear_slots(window);
	} else {
		leaf_free(leaf);
	}
	buffer_deinit(&bytes);
	free(facts);
	return result;
}

static int find_sealed(const struct window *window, const struct occurrence *occurrence,
                       struct occurrence *found, struct error *error)
{
	for (size_t i = window->leaves_len; i-- > 0;) {
		const struct leaf *leaf = window->leaves[i];
		struct slice bytes;
		int result;

		if (leaf_number(leaf) * WINDOW_LEAF >= occurrence->offset)
			continue;
		if ((leaf_number(leaf) + 1) * WINDOW_LEAF <= occurrence->offset - window->length)
			break;
		if (!leaf_may_have(leaf, occurrence->identity))
			continue;
		result = window->store.get(window->store.context, leaf_number(leaf), &bytes, error);
		if (result == 0)
			result = leaf_find(leaf, bytes, occurrence->identity, occurrence->offset, found,
			                   error);
		if (result != 0)
			return result;
	}
	return 0;
}

/* ---- facts ---- */

static int reach(struct window *window, int64_t offset, struct error *error)
{
	if (window->recent_len == 0 || window->recent[0].fact.offset / WINDOW_LEAF == offset / WINDOW_LEAF)
		return 0;
	return seal(window, error);
}

int window_learn(struct window *window, const struct occurrence *occurrence, struct error *error)
{
	uint32_t *slot;
	int result;

	if (occurrence->offset < window->high)
		return 0;
	result = reach(window, occurrence->offset, error);
	if (result < 0)
		return result;
	if (window->recent_len == window->recent_size && !grow(window))
		return error_memory(error, 2 * window->recent_size * sizeof window->recent[0]);
	slot = slot_of(window, occurrence->identity);
	window->recent[window->recent_len] = (struct recent){*occurrence, *slot};
	*slot = (uint32_t)window->recent_len++;
	window->high = occurrence->offset + 1;
	return 0;
}

int window_cover(struct window *window, int64_t high, struct error *error)
{
	int result = high > window->high ? reach(window, high, error) : 0;

	if (result == 0 && high > window->high)
		window->high = high;
	return result;
}

void window_trim(struct window *window, int64_t low)
{
	size_t count = 0;

	if (low > window->high)
		low = window->high;
	while (count < window->leaves_len && (leaf_number(window->leaves[count]) + 1) * WINDOW_LEAF <= low)
		count++;
	drop_first(window, count);
	/* nothing was there between what is dropped and the next leaf */
	low -= low % WINDOW_LEAF;
	if (low > window->low)
		window->low = low;
}

bool window_covers(const struct window *window, int64_t offset, int64_t base)
{
	int64_t from = offset - window->length > base ? offset - window->length : base;

	return window->low <= from && offset <= window->high;
}

int window_judge(const struct window *window, const struct occurrence *occurrence,
                 enum window_verdict *verdict, int64_t *previous, struct error *error)
{
	const struct occurrence *recent = find_recent(window, occurrence);
	struct occurrence found;
	int result = 1;

	ASSERT(occurrence->offset <= window->high);
	if (recent != NULL)
		found = *recent;
	else
		result = find_sealed(window, occurrence, &found, error);
	if (result < 0)
		return result;
	*verdict = WINDOW_VERDICT_NEW;
	if (result == 0 || found.offset < occurrence->offset - window->length)
		return 0;
	*verdict =
		found.operation == occurrence->operation ? WINDOW_VERDICT_DUPLICATE : WINDOW_VERDICT_REUSED;
	if (previous != NULL)
		*previous = found.offset;
	return 0;
}

size_t window_memory(const struct window *window)
{
	size_t bytes = sizeof *window + window->recent_size * sizeof window->recent[0] +
	               2 * window->recent_size * sizeof window->slots[0] +
	               window->leaves_size * sizeof window->leaves[0];

	for (size_t i = 0; i < window->leaves_len; i++)
		bytes += leaf_memory(window->leaves[i]);
	return bytes;
}

size_t window_stored(const struct window *window)
{
	size_t bytes = 0;

	for (size_t i = 0; i < window->leaves_len; i++)
		bytes += leaf_stored(window->leaves[i]);
	return bytes;
}
