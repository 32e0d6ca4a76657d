/*
 * Records of a catalog for tests, literally, and how they are applied.
 */
#ifndef MILLRACE_TESTS_UNIT_CATALOG_BED_H
#define MILLRACE_TESTS_UNIT_CATALOG_BED_H

#include "shared/meta/catalog.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

#define ID_A 0x00000000000000aaULL
#define ID_B 0x00000000000000bbULL

/* The record of an active index, in two pieces: members may stand between them. */
#define INDEX_A_BEGIN \
	"{\"v\":1,\"task\":3,\"id\":\"00000000000000aa\",\"uid\":\"packages\",\"topic\":\"millrace.docs." \
	"packages\"," \
	"\"own_topic\":true,\"state\":\"active\",\"generation\":1,\"partitions\":2,\"base\":[0,7]," \
	"\"partitioner\":\"murmur2\",\"primary_key\":\"id\",\"writable\":true,\"rules\":{\"contract\":1," \
	"\"id_bytes_max\":511,\"document_bytes_max\":4194304,\"depth_max\":128,\"dedup_window\":0}"
#define INDEX_A_END ",\"created_at\":1000,\"updated_at\":2000}"

static const char index_a[] = INDEX_A_BEGIN INDEX_A_END;

static inline int apply(struct catalog *catalog, enum catalog_topic topic, const char *key, const char *value,
                        struct error *error)
{
	return catalog_apply(catalog, topic, 42, slice_string(key), slice_string(value), error);
}

static inline int apply_meta(struct catalog *catalog, const char *key, const char *value)
{
	struct error error;

	return apply(catalog, CATALOG_TOPIC_META, key, value, &error);
}

static inline int apply_topology(struct catalog *catalog, const char *key, const char *value)
{
	struct error error;

	return apply(catalog, CATALOG_TOPIC_TOPOLOGY, key, value, &error);
}

/* Replaces the first `from` in `text`; free() the answer. */
static inline char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *copy = malloc(strlen(text) + strlen(to) + 1);

	ASSERT(at != NULL && copy != NULL);
	memcpy(copy, text, (size_t)(at - text));
	strcpy(copy + (at - text), to);
	strcat(copy, at + strlen(from));
	return copy;
}

static inline char *text_of(struct buffer *buffer)
{
	size_t len;

	buffer_put_u8(buffer, 0);
	return (char *)buffer_take(buffer, &len);
}

#endif
