/*
 * Fields: the paths at which documents have text, each with a number that
 * posting lists use. One table a replica, which only grows: numbers stay what
 * they are through memory, store and merges. Two replicas of a shard may
 * number differently.
 *
 * A path is the keys down to a value joined by dots ("a.b"), array elements
 * have their array's. At most FIELDS_MAX of FIELDS_BYTES_MAX together; further
 * ones share FIELD_OTHER.
 *
 * Encoded: u32 count, each u16 length, path.
 *
 * Owner: one thread; a store job encodes what stood when it began.
 */
#ifndef MILLRACE_SHARD_CORE_FIELDS_H
#define MILLRACE_SHARD_CORE_FIELDS_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#include <stdatomic.h>

#define FIELDS_MAX 65535
#define FIELD_OTHER 65535
/* Longer ones share FIELD_OTHER. */
#define FIELD_BYTES_MAX 1024
/* Of the encoded table. */
#define FIELDS_BYTES_MAX (1024U * 1024)

struct fields;

struct fields *fields_new(void);
void fields_free(struct fields *fields);
/* Its number, given now if the path is new; FIELD_OTHER where there is no room. False when out of memory. */
bool fields_number(struct fields *fields, struct slice path, uint16_t *field);
size_t fields_len(const struct fields *fields);
/* Path of one of them. */
struct slice fields_path(const struct fields *fields, uint16_t field);
/* The first `len`, appended. */
void fields_encode(const struct fields *fields, size_t len, struct buffer *value);
/* Into an empty table; ERROR_DAMAGED (FATAL), ERROR_MEMORY. */
int fields_decode(struct fields *fields, struct slice value, struct error *error);

/* The table as of one moment; immutable and counted, for any thread. */
struct field_list {
	atomic_size_t references;
	size_t len;
	struct slice paths[]; /* by number; bytes behind them */
};

/* As it is now, the same one as long as no path is added; the caller releases it. NULL when out of memory. */
struct field_list *fields_list(struct fields *fields);
/* NULL: nothing happens. */
void field_list_release(struct field_list *list);

#endif
