/*
 * Tree: removes a directory with all that is in it.
 */
#ifndef MILLRACE_TESTS_CRASH_TREE_H
#define MILLRACE_TESTS_CRASH_TREE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static inline int tree_entry_remove(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static inline void tree_remove(const char *path)
{
	(void)nftw(path, tree_entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
