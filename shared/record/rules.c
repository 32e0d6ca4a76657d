#include "shared/record/rules.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <inttypes.h>

enum limit {
	LIMIT_ID_BYTES,
	LIMIT_DOCUMENT_BYTES,
	LIMIT_DEPTH,
	LIMITS
};

const struct rules_limit rules_limits[] = {
	[LIMIT_ID_BYTES] = {"id_bytes_max", "bytes", 511, "length of a document id"},
	[LIMIT_DOCUMENT_BYTES] = {"document_bytes_max", "bytes", 4U * 1024 * 1024,
                                  "length of a document's JSON text"},
	[LIMIT_DEPTH] = {"depth_max", "levels", 128, "nesting of arrays and objects"},
};
const size_t rules_limits_len = LIMITS;

struct rules rules_default(void)
{
	return (struct rules){
		.contract = RULES_CONTRACT,
		.id_bytes_max = rules_limits[LIMIT_ID_BYTES].value,
		.document_bytes_max = rules_limits[LIMIT_DOCUMENT_BYTES].value,
		.depth_max = rules_limits[LIMIT_DEPTH].value,
		.dedup_window = 0,
	};
}

void rules_append(struct buffer *buffer, const struct rules *rules)
{
	buffer_printf(buffer,
	              "{\"contract\":%" PRIu32 ",\"id_bytes_max\":%" PRIu32 ",\"document_bytes_max\":%" PRIu32
	              ",\"depth_max\":%" PRIu32 ",\"dedup_window\":%" PRId64 "}",
	              rules->contract, rules->id_bytes_max, rules->document_bytes_max, rules->depth_max,
	              rules->dedup_window);
}

uint64_t rules_digest(const struct rules *rules)
{
	struct buffer text;
	uint64_t digest;

	buffer_init(&text, 1024);
	rules_append(&text, rules);
	ASSERT(!buffer_failed(&text));
	digest = hash64(buffer_slice(&text), 0);
	buffer_deinit(&text);
	return digest;
}

static bool get_limit(yyjson_val *object, const char *name, uint32_t *limit)
{
	int64_t value;

	if (!json_get_i64(object, name, &value) || value < 1 || value > UINT32_MAX)
		return false;
	*limit = (uint32_t)value;
	return true;
}

int rules_parse(yyjson_val *object, struct rules *rules, struct error *error)
{
	struct rules parsed;
	int64_t contract;

	if (!json_get_i64(object, "contract", &contract))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "rules have no `contract`");
	if (contract != RULES_CONTRACT)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "rules follow contract %" PRId64 ", this program knows %d; upgrade it",
		                 contract, RULES_CONTRACT);
	parsed.contract = RULES_CONTRACT;
	if (!get_limit(object, "id_bytes_max", &parsed.id_bytes_max) ||
	    !get_limit(object, "document_bytes_max", &parsed.document_bytes_max) ||
	    !get_limit(object, "depth_max", &parsed.depth_max) ||
	    !json_get_i64(object, "dedup_window", &parsed.dedup_window))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "rules lack a limit or have one that is no positive number");
	*rules = parsed;
	return 0;
}

static const char *const partitioner_names[] = {
	[PARTITIONER_NONE] = "none",
	[PARTITIONER_MURMUR2] = "murmur2",
	[PARTITIONER_CRC32] = "crc32",
};

const char *partitioner_name(enum partitioner partitioner)
{
	return partitioner_names[partitioner];
}

bool partitioner_parse(struct slice text, enum partitioner *partitioner)
{
	for (size_t i = 0; i < sizeof partitioner_names / sizeof *partitioner_names; i++) {
		if (slice_equal(text, slice_string(partitioner_names[i]))) {
			*partitioner = (enum partitioner)i;
			return true;
		}
	}
	return false;
}

int32_t partitioner_choose(enum partitioner partitioner, struct slice key, int32_t partitions)
{
	uint32_t hash;

	ASSERT(partitions > 0);
	switch (partitioner) {
	case PARTITIONER_NONE:
		return -1;
	case PARTITIONER_MURMUR2:
		hash = hash_murmur2(key) & 0x7fffffffU;
		break;
	case PARTITIONER_CRC32:
		hash = hash_crc32(key);
		break;
	default:
		ASSERT(false);
	}
	return (int32_t)(hash % (uint32_t)partitions);
}
