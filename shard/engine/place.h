/*
 * Place: where a word stands in a document.
 */
#ifndef MILLRACE_SHARD_ENGINE_PLACE_H
#define MILLRACE_SHARD_ENGINE_PLACE_H

#include <stdint.h>

struct place {
	uint16_t field;    /* number of a path, of the replica's table (fields.h) */
	uint16_t position; /* in it */
};

#endif
