/*
 * Lexicon: the words of one segment, of memory or of disk, with their posting
 * lists, as a search goes through them.
 *
 * Words in bytewise order, without the reserved one (WORD_FIELD_LENGTH), whose
 * list is asked for alone. Lists live as long as the reading's transaction and
 * the arena: what stands in several chunks is copied there.
 *
 * One thread. Failure: as in terms.h, and watch.h.
 */
#ifndef MILLRACE_SHARD_CORE_LEXICON_H
#define MILLRACE_SHARD_CORE_LEXICON_H

#include "shard/core/dictionary.h"
#include "shard/core/disk_segment.h"
#include "shard/core/watch.h"
#include "shard/core/word_table.h"
#include "shard/core/words_beside.h"
#include "shard/engine/typo.h"

/* Where the words of a segment stand, by the rules that are asked for; borrowed. */
struct wordlist {
	const struct dictionary *dictionary; /* of memory; or */
	const struct word_table *table;      /* of disk, if they are kept in memory; NULL: they are read */
	struct section_reader *sections; /* of disk; without a dictionary and without these there are none */
	uint64_t base;                   /* of disk: of their lists */
	bool is_beside;                  /* among keys, each behind the head */
	struct words_beside_head head;
};

struct wordlist_key {
	uint8_t bytes[KV_KEY_BYTES_MAX];
};

/* What stands there for a word; borrowed from the word, or `room`. */
struct slice wordlist_key(const struct wordlist *list, struct slice word, struct wordlist_key *room);

struct lexicon {
	const struct wordlist *list;
	size_t at; /* in memory: of the word given last */
	struct terms_cursor cursor;
	struct term term;    /* of disk: given last, */
	size_t term_ordinal; /* which is this one of the table; SIZE_MAX: none */
	struct arena *arena;
	struct buffer *joined; /* scratch */
	struct watch *watch;   /* the owner's; NULL: it takes as long as it does */
};

void lexicon_init(struct lexicon *lexicon, const struct wordlist *list, struct arena *arena,
                  struct buffer *joined);
/* 1 if the word is there, else 0. */
int lexicon_has(struct lexicon *lexicon, struct slice word, struct error *error);
/* 1 and the word's list, 0 if there is none. */
int lexicon_find(struct lexicon *lexicon, struct slice word, struct posting_list *list, struct error *error);
/* All words, as a source of typo_scan. */
struct typo_source lexicon_source(struct lexicon *lexicon);
/* As typo_scan of that source: words that are kept in memory are chosen by their letters. */
int lexicon_similar(struct lexicon *lexicon, const struct typo *typo, const struct typo_sink *sink,
                    struct error *error);
/* The list of the word that the source gave last, or that is similar. */
int lexicon_list(struct lexicon *lexicon, struct posting_list *list, struct error *error);

#endif
