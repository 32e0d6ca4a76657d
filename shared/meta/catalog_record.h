/*
 * Catalog records: the values of meta and topology, read. catalog.c alone
 * uses this; other writing, and the texts of ids, are part of catalog.h.
 *
 * Every reader checks the version first (ERROR_VERSION for another one), then
 * every member's presence, type and bounds (ERROR_FORMAT), and writes its
 * out-parameter only when all of it is good. Unknown members are ignored:
 * what must not be ignored gets another version. All failures are REJECT.
 * Pure core, no state.
 */
#ifndef MILLRACE_META_CATALOG_RECORD_H
#define MILLRACE_META_CATALOG_RECORD_H

#include "shared/meta/catalog.h"

/* One name of the `names` record. */
struct catalog_name {
	char uid[INDEX_UID_BYTES_MAX + 1];
	uint64_t index_id;
};

struct catalog_names {
	struct catalog_name *names; /* bytewise order; free() */
	size_t len;
	int64_t task;
};

int names_record_read(struct slice value, struct catalog_names *names, struct error *error);
/* These names with one added (index_id != 0) or removed (0), on behalf of `task`. */
void names_record_write(struct buffer *value, const struct catalog_names *names, int64_t task,
                        struct slice uid, uint64_t index_id);
/* What the index owns is allocated: index_record_deinit. */
int index_record_read(struct slice value, struct index_record *index, struct error *error);
void index_record_deinit(struct index_record *index);
/* A deep copy; false when out of memory: nothing is written. */
bool index_record_copy(struct index_record *to, const struct index_record *from);
int cluster_record_read(struct slice value, struct cluster_record *cluster, struct error *error);
int shard_record_read(struct slice value, struct shard_record *shard, struct error *error);

/* Parses a record's text and checks that it is an object of version `version`; also for tasks. The caller
 * frees the document with yyjson_doc_free. */
int meta_record_open(struct slice value, int64_t version, yyjson_doc **doc, struct error *error);
/* Copies a string member of 1..size-1 bytes without NUL; false if it is absent or does not fit. */
bool meta_record_text(yyjson_val *object, const char *name, char *text, size_t size);

#endif
