/*
 * Posting run: the documents of one block of a posting list in turn, and of
 * each the fields in which the word stands, by its first position there. Who
 * looks at most documents of a list reads it so in a fraction of what a cursor
 * takes, for what is small stands here and becomes part of the loop that asks:
 *
 *   posting_cursor_init(&cursor, list);
 *   while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
 *           posting_run_take(&run, &cursor);
 *           if ((rc = …(run)) != 0) …
 *   }
 *
 * where a run is taken by value, to be kept in registers:
 *
 *   do {
 *           struct posting_group group = {0};
 *
 *           do … posting_group_read(&run, &group) … while (group.more);
 *   } while (posting_run_next(&run));
 *   return posting_run_end(&run, error);
 *
 * Decoding trusts no byte, as in posting_list.h. Pure.
 */
#ifndef MILLRACE_SHARD_CORE_POSTING_RUN_H
#define MILLRACE_SHARD_CORE_POSTING_RUN_H

#include "shard/core/posting_list.h"
#include "shard/core/varints.h"

struct posting_run {
	struct reader distances;
	const uint8_t *places; /* of the first field that was not read; */
	const uint8_t *end;    /* … both NULL behind one that cannot be */
	uint64_t number;       /* of the document at hand */
	uint64_t last;
	uint32_t left; /* documents behind it */
};

/* Where the word stands in one field; all zero before the first one of a document. */
struct posting_group {
	uint64_t field;
	uint32_t first; /* position */
	uint32_t after; /* positions behind the first */
	bool more;      /* the document has it in another field */
};

/* The block that the cursor has begun, whose first document is given and was not read; the cursor goes on behind it. */
void posting_run_take(struct posting_run *run, struct posting_cursor *cursor);
/* Goes on to the first document at or above `number`, and over what was not read before it, of the one at hand as
 * `is_read` says; the run does not end below. ERROR_DAMAGED. */
int posting_run_seek(struct posting_run *run, uint64_t number, bool is_read, struct error *error);
/* Whether the run, of which all was read, was as its head says: 0 or ERROR_DAMAGED. */
int posting_run_end(const struct posting_run *run, struct error *error);

static inline void posting_run_fail(struct posting_run *run, struct posting_group *group)
{
	run->places = run->end = NULL;
	*group = (struct posting_group){0};
}

/* posting_group_read where some number is long, or nothing is left. */
void posting_group_long(struct posting_run *run, struct posting_group *group);

/* What is given to functions that do not stand here is a copy: the rest stays in registers. */

/* To the next document; false if there is none, or none that can be. */
static inline bool posting_run_next(struct posting_run *run)
{
	const uint8_t *ptr = run->distances.ptr;
	uint64_t distance;

	if (run->left == 0)
		return false;
	if (run->distances.end - ptr > 1 && (ptr[0] < 0x80 || (ptr[1] < 0x80 && ptr[1] > 0))) {
		uint32_t is_long = ptr[0] >> 7;

		distance = (ptr[0] & 0x7FU) | (ptr[1] & (0U - is_long)) << 7;
		run->distances.ptr = ptr + 1 + is_long;
	} else {
		struct reader reader = run->distances;

		distance = reader_varint(&reader);
		run->distances = reader;
	}
	if (distance >= run->last - run->number)
		return false;
	run->number += distance + 1;
	run->left--;
	return true;
}

/* The next field of the document; one that cannot be is the last, and the run does not end well. */
static inline void posting_group_read(struct posting_run *run, struct posting_group *group)
{
	const uint8_t *ptr = run->places;

	/* mostly each is below 128, and the position below 16,384 */
	if (run->end - ptr > 3 && (ptr[0] | ptr[1]) < 0x80 && (ptr[1] > 0 || !group->more) &&
	    group->field + ptr[1] <= UINT16_MAX && (ptr[2] < 0x80 || (ptr[3] < 0x80 && ptr[3] > 0))) {
		uint32_t is_long = ptr[2] >> 7;
		uint32_t left = ptr[0] >> 1;

		group->field += ptr[1];
		group->first = (ptr[2] & 0x7FU) | (ptr[3] & (0U - is_long)) << 7;
		group->after = left;
		group->more = ptr[0] & 1;
		run->places = varints_pass(ptr + 3 + is_long, run->end, left);
		if (run->places == NULL)
			posting_run_fail(run, group);
	} else {
		struct posting_run run_copy = *run;
		struct posting_group copy = *group;

		posting_group_long(&run_copy, &copy);
		*run = run_copy;
		*group = copy;
	}
}

#endif
