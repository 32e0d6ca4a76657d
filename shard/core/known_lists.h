/*
 * Known lists: of the long posting lists of a disk segment, what is kept in
 * memory of those that searches have asked for: the numbers, where blocks
 * stand, and what a search for that word alone asks of each document. So a
 * list that many searches want is read whole, checked and decoded once;
 * afterwards only the blocks that are asked for are, and of a word alone none.
 *
 * Lists are of a word's place in the segment's word table. At most
 * KNOWN_BYTES_MAX, or a share of all lists' bytes, is kept, of what comes
 * first; the rest is read as before.
 *
 * Which lists may be kept is said while there is one owner; then any thread.
 * What is kept is immutable; what is found out later is added at once, whole.
 * Failure: without memory nothing is kept.
 */
#ifndef MILLRACE_SHARD_CORE_KNOWN_LISTS_H
#define MILLRACE_SHARD_CORE_KNOWN_LISTS_H

#include "shard/core/terms.h"
#include "shared/base/arena.h"

#ifndef KNOWN_DOCUMENTS_MIN /* of a list; the simulation's are short */
#define KNOWN_DOCUMENTS_MIN 512
#endif
#define KNOWN_BYTES_MAX (64U << 20)
#define KNOWN_LISTS_SHARE 3 /* a third of the bytes of all lists */

struct known_lists;

struct known_list {
	struct term term; /* without the word */
	uint64_t base;
	struct posting_stops stops;
	struct postings numbers;
	uint8_t *firsts; /* known_firsts.h */
	struct known_lists *lists;
	_Atomic(struct postings *) wholes; /* NULL: not asked for yet */
};

struct known_lists *known_lists_new(void);
void known_lists_free(struct known_lists *lists);
/* Memory held. */
size_t known_lists_bytes(const struct known_lists *lists);

/* The word at that place, above the last one's, has such a list. */
int known_lists_allow(struct known_lists *lists, size_t place, const struct term *term, struct error *error);
/* What is kept of the list of that word; NULL: nothing. */
struct known_list *known_lists_find(const struct known_lists *lists, size_t place);
/* Keeps what is to be known of it, if it may be; `list` is whole, and was checked. NULL: nothing is kept. */
struct known_list *known_lists_keep(struct known_lists *lists, size_t place, const struct term *term,
                                    const struct posting_list *list);

/* Where blocks that stand in two chunks are put together. */
struct known_room {
	struct arena *arena;
	struct buffer *joined; /* scratch */
};

/* A list that is read block by block; it lives as long as what is known, the reader and the room. */
int known_list_open(struct known_list *known, struct section_reader *reader, struct known_room room,
                    struct posting_list *list, struct error *error);
/* Of a list opened so: the documents of which a field is its word, and nothing else. NULL: that is not kept. */
const struct postings *known_list_wholes(const struct posting_list *list);
/* Keeps them, if there is room: then `wholes` is empty afterwards, and they are returned. NULL: it is as it was. */
const struct postings *known_list_wholes_keep(const struct posting_list *list, struct postings *wholes);

#endif
