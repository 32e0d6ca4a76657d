/*
 * Rules: all that decides what a record of a log means, recorded with the
 * index's generation and never taken from a program's own configuration.
 *
 * The contract version selects the set of operations and checks. Contract 1
 * knows put and delete, without deduplication (dedup_window 0); contract 2
 * knows all operations, identities and origins (record.h). A new generation
 * gets the second one; one that was made under the first keeps it. The digest is
 * a pure function of every field; a batch carries it and a replica refuses a
 * batch under other rules, so that two feeders can never judge one log
 * differently. Plain value, no ownership.
 */
#ifndef MILLRACE_RECORD_RULES_H
#define MILLRACE_RECORD_RULES_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/json/json.h"

#define RULES_CONTRACT 2     /* of a new generation */
#define RULES_CONTRACT_MAX 2 /* the highest that is known */
#define RULES_DEDUP_WINDOW 1000000
#define RULES_DEDUP_WINDOW_MAX 1000000000

enum partitioner {
	PARTITIONER_NONE = 0, /* any partition may hold any key */
	PARTITIONER_MURMUR2,  /* Java clients, Connect, librdkafka's murmur2_random */
	PARTITIONER_CRC32     /* librdkafka's default, kcat */
};

struct rules {
	uint32_t contract;
	uint32_t id_bytes_max;
	uint32_t document_bytes_max;
	uint32_t depth_max;
	int64_t dedup_window; /* offsets; 0 under contract 1 */
};

/* The rules that a new generation gets. */
struct rules rules_default(void);
uint64_t rules_digest(const struct rules *rules);
/* As a JSON object, and back; ERROR_FORMAT, ERROR_VERSION for another contract. */
void rules_append(struct buffer *buffer, const struct rules *rules);
int rules_parse(yyjson_val *object, struct rules *rules, struct error *error);

/* "murmur2", "crc32", "none"; false if `text` is none of them. */
bool partitioner_parse(struct slice text, enum partitioner *partitioner);
const char *partitioner_name(enum partitioner partitioner);
/* The partition of `key` among `partitions`; -1 for PARTITIONER_NONE. Sources:
 * BuiltInPartitioner (Java), rd_kafka_msg_partitioner_consistent (librdkafka). */
int32_t partitioner_choose(enum partitioner partitioner, struct slice key, int32_t partitions);

#endif
