/*
 * Lexicon: the words of one segment, of memory or of disk, with their posting
 * lists, as a search goes through them.
 *
 * Words in bytewise order, without the reserved one (WORD_FIELD_LENGTH), whose
 * list is asked for alone. Lists live as long as the reading's transaction and
 * the arena: what stands in several chunks is copied there.
 *
 * One thread. Failure: as in terms.h.
 */
#ifndef MILLRACE_SHARD_CORE_LEXICON_H
#define MILLRACE_SHARD_CORE_LEXICON_H

#include "shard/core/dictionary.h"
#include "shard/core/disk_segment.h"
#include "shard/engine/typo.h"

struct lexicon {
	const struct dictionary *dictionary; /* of memory; or */
	size_t at;                           /* of the word given last */
	struct section_reader *sections;     /* of disk */
	uint64_t base;
	struct terms_cursor cursor;
	struct term term; /* given last */
	struct arena *arena;
	struct buffer *joined; /* scratch */
};

void lexicon_of_memory(struct lexicon *lexicon, const struct dictionary *dictionary);
void lexicon_of_disk(struct lexicon *lexicon, struct disk_view *view, struct arena *arena,
                     struct buffer *joined);
/* 1 and the word's list, 0 if there is none. */
int lexicon_find(struct lexicon *lexicon, struct slice word, struct posting_list *list, struct error *error);
/* All words, as a source of typo_scan. */
struct typo_source lexicon_source(struct lexicon *lexicon);
/* The list of the word that the source gave last. */
int lexicon_list(struct lexicon *lexicon, struct posting_list *list, struct error *error);

#endif
