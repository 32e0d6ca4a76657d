/*
 * Flips: one byte of a stored environment is another one, in every page in
 * turn; then all is read, before and after the file is written anew (kv_rewrite.h). Each answer must be the right one or an error, of
 * ERROR_DAMAGED, ERROR_STORAGE or ERROR_VERSION; a wrong one fails.
 *
 * LMDB keeps no checksums of its own pages and follows what they say; what it
 * hands out is checked (shard/extent.h), what it follows itself is not, so a
 * number of flips may be found that ends the process (a node that claims to be a
 * tree of its own, for one): counted apart.
 */
#ifndef MILLRACE_TESTS_CRASH_FLIPS_H
#define MILLRACE_TESTS_CRASH_FLIPS_H

enum flip_outcome {
	FLIP_RIGHT = 0,  /* every answer */
	FLIP_OLDER,      /* every answer, as of an older watermark: LMDB took its other meta page */
	FLIP_NOT_OPENED, /* an error of the opening */
	FLIP_FOUND,      /* some answer was an error, the others right */
	FLIP_CRASHED,
	FLIP_WRONG,
	FLIP_OUTCOMES
};

/* In the current directory, which holds no WORKLOAD_DIRECTORY. `flips` a page; how many there were of each. */
void flips_run(unsigned flips, unsigned counts[FLIP_OUTCOMES]);

#endif
