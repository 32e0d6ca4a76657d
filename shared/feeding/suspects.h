/*
 * Suspects: which record the program was dealing with when it died.
 *
 * Before a record is dealt with it is noted in a small file that is mapped
 * into memory, and struck out afterwards: a few stores, no system call. What
 * is noted survives the process, though not the machine. Whoever opens a file
 * with a note that was not struck out counts a death at that record; a record
 * that is dealt with after all is no suspect any more. After SUSPECT_DEATHS
 * deaths at one record, whoever reads it waits before it until a record in
 * `meta` says to skip that offset (catalog.h); suspects_asked remembers the
 * request for it.
 *
 * A file belongs to one process at a time: several that name the same
 * directory have a file each, at most SUSPECT_FILES_MAX. A note is about a
 * record and not about a process, so any of them may take up any file.
 *
 * A file that is not ours in every byte that matters is begun anew. Bound:
 * SUSPECTS_MAX records; beyond, the one found first is forgotten. Owner: one
 * thread.
 */
#ifndef MILLRACE_FEEDING_SUSPECTS_H
#define MILLRACE_FEEDING_SUSPECTS_H

#include "shared/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SUSPECT_DEATHS 3
#define SUSPECTS_MAX 32
#define SUSPECT_FILES_MAX 16

struct suspect {
	uint64_t index_id;
	int64_t offset;
	int64_t task; /* the request to skip it; -1: none yet */
	int32_t partition;
	uint32_t deaths;
};

struct suspects;

/* Makes the directory if it is missing, and counts the death that the file tells of. ERROR_STORAGE. */
int suspects_open(const char *directory, struct suspects **suspects, struct error *error);
/* NULL does nothing. */
void suspects_close(struct suspects *suspects);
const char *suspects_path(const struct suspects *suspects);

/* This record is being dealt with, until suspects_strike. */
void suspects_note(struct suspects *suspects, uint64_t index_id, int32_t partition, int64_t offset);
/* It was dealt with. */
void suspects_strike(struct suspects *suspects);

/* What is known of that record, borrowed until the next call that is not const; NULL: nobody died of it. */
const struct suspect *suspects_find(const struct suspects *suspects, uint64_t index_id, int32_t partition,
                                    int64_t offset);
/* The request to skip it is record `task` of `tasks`. */
void suspects_asked(struct suspects *suspects, const struct suspect *suspect, int64_t task);

#endif
