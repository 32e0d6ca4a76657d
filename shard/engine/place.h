/*
 * Place: where a word stands in a document.
 *
 * Lists of places are sorted by field, then position. Pure.
 */
#ifndef MILLRACE_SHARD_ENGINE_PLACE_H
#define MILLRACE_SHARD_ENGINE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct place {
	uint16_t field;    /* number of a path, of the replica's table (fields.h) */
	uint16_t position; /* in it */
};

struct places {
	const struct place *ptr;
	size_t len;
};

/* The smallest distance from a place to a later one in the same field, if it is below `least`; else `least`. */
uint32_t places_distance(struct places from, struct places to, uint32_t least);
/* Whether some field has places of both. */
bool places_share_field(struct places left, struct places right);

#endif
