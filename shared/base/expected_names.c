#include "shared/base/expected_names.h"

#define NAME_BYTES_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits (insert, remove, replace, swap of neighbours) between two names; names over the bound are far. */
static unsigned name_distance(struct slice a, const char *b_text)
{
	struct slice b = slice_string(b_text);
	unsigned row[3][NAME_BYTES_MAX + 1];

	if (a.len > NAME_BYTES_MAX || b.len > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *now = row[i % 3];
		const unsigned *last = row[(i + 2) % 3];
		const unsigned *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned replace = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

			now[j] = min3(last[j] + 1, now[j - 1] + 1, replace);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[a.len % 3][b.len];
}

static unsigned typos_allowed(size_t len)
{
	if (len <= 3)
		return 0;
	if (len <= 7)
		return 1;
	if (len <= 12)
		return 2;
	if (len <= 17)
		return 3;
	return len <= 24 ? 4 : 5;
}

const char *expected_names_nearest(struct slice received, const char *const *names, size_t names_len)
{
	const char *nearest = NULL;
	unsigned least = typos_allowed(received.len) + 1;

	for (size_t i = 0; i < names_len && received.len > 3; i++) {
		unsigned distance = name_distance(received, names[i]);

		if (distance < least) {
			least = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

void expected_names_append(struct buffer *text, struct slice received, const char *const *names,
                           size_t names_len)
{
	const char *nearest = expected_names_nearest(received, names, names_len);

	if (nearest != NULL)
		buffer_printf(text, "did you mean `%s`? ", nearest);
	buffer_append_string(text, "expected one of ");
	for (size_t i = 0; i < names_len; i++)
		buffer_printf(text, "%s`%s`", i > 0 ? ", " : "", names[i]);
}
