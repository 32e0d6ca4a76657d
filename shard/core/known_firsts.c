#include "shard/core/known_firsts.h"

#include "shard/core/posting_run.h"
#include "shard/core/search_private.h"

#include <stdlib.h>

/* Of the document that the run stands at, of which all is read; as search_single_lists.c counts. */
static uint8_t first_read(struct posting_run *run)
{
	struct posting_group group = {0};
	uint32_t position = UINT16_MAX;
	uint64_t passed = 0;
	bool once = false;

	do {
		posting_group_read(run, &group);
		if (passed < SEARCH_PLACES_MAX) {
			position = group.first < position ? group.first : position;
			once |= group.after == 0;
		}
		passed += 1U + group.after;
	} while (group.more);
	return (uint8_t)(rank_single_position(position) | (once ? FIRSTS_ONCE : 0));
}

static int firsts_fill(const struct posting_list *list, uint8_t *firsts, struct error *error)
{
	struct posting_cursor cursor;
	uint64_t number;
	size_t len = 0;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		struct posting_run run;

		posting_run_take(&run, &cursor);
		do
			firsts[len++] = first_read(&run);
		while (posting_run_next(&run));
		if (posting_run_end(&run, error) != 0)
			return error->code;
	}
	return rc;
}

int known_firsts_make(const struct posting_list *list, uint8_t **firsts, struct error *error)
{
	uint8_t *made = malloc(list->count);

	if (made == NULL)
		return error_memory(error, list->count);
	if (firsts_fill(list, made, error) != 0) {
		free(made);
		return error->code;
	}
	*firsts = made;
	return 0;
}
