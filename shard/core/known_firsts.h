/*
 * Known firsts: a byte for each document of a long list, by rising number:
 * what a search for that word alone asks of its places, so that it reads none.
 *
 * The low bits are what the first of its positions costs
 * (rank_single_position: 0 where a field begins with the word); the other one
 * says that some field has it once.
 */
#ifndef MILLRACE_SHARD_CORE_KNOWN_FIRSTS_H
#define MILLRACE_SHARD_CORE_KNOWN_FIRSTS_H

#include "shard/core/posting_list.h"

#define FIRSTS_COST 0x7fU
#define FIRSTS_ONCE 0x80U

/* free() them. ERROR_DAMAGED, ERROR_MEMORY: then there are none. */
int known_firsts_make(const struct posting_list *list, uint8_t **firsts, struct error *error);

#endif
