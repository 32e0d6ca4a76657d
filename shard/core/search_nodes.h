/*
 * Search nodes: what may stand for a node of a query by the settings. The
 * search in documents and what is marked in hits go by the same.
 *
 * Pure; nothing fails. Specification: tests/oracle/derivations.py.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_NODES_H
#define MILLRACE_SHARD_CORE_SEARCH_NODES_H

#include "shard/core/search.h"

/* Typos that a node may have: by the length of its text, one less for each term joined; a phrase none. */
uint8_t search_node_typos(const struct search_typos *typos, const struct query_node *node);
/* True if a word is reached neither by typos nor by joined terms: it is like a number, and the settings spare these. */
bool search_word_is_spared(const struct search_typos *typos, struct slice word);
/* True if a synonym's key is the terms of a node. */
bool search_synonym_is_of(const struct search_synonym *synonym, const struct query *query,
                          const struct query_node *node);

#endif
