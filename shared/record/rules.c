#include "shared/record/rules.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <inttypes.h>
#include <stddef.h>

/* The limits of a record, all of them: name, value for a new generation, place. */
struct limit {
	const char *name;
	uint32_t value;
	size_t place; /* of its uint32_t in struct rules */
};

static const struct limit limits[] = {
	{"id_bytes_max", 511, offsetof(struct rules, id_bytes_max)},
	{"document_bytes_max", 4U * 1024 * 1024, offsetof(struct rules, document_bytes_max)},
	{"depth_max", 128, offsetof(struct rules, depth_max)},
};

#define LIMITS (sizeof limits / sizeof limits[0])

static uint32_t limit_get(const struct rules *rules, const struct limit *limit)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)rules + limit->place, sizeof value);
	return value;
}

static void limit_set(struct rules *rules, const struct limit *limit, uint32_t value)
{
	memcpy((uint8_t *)rules + limit->place, &value, sizeof value);
}

struct rules rules_default(void)
{
	struct rules rules = {.contract = RULES_CONTRACT, .dedup_window = RULES_DEDUP_WINDOW};

	for (size_t i = 0; i < LIMITS; i++)
		limit_set(&rules, &limits[i], limits[i].value);
	return rules;
}

void rules_append(struct buffer *buffer, const struct rules *rules)
{
	buffer_printf(buffer, "{\"contract\":%" PRIu32, rules->contract);
	for (size_t i = 0; i < LIMITS; i++)
		buffer_printf(buffer, ",\"%s\":%" PRIu32, limits[i].name, limit_get(rules, &limits[i]));
	buffer_printf(buffer, ",\"dedup_window\":%" PRId64 "}", rules->dedup_window);
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

int rules_parse(yyjson_val *object, struct rules *rules, struct error *error)
{
	struct rules parsed;
	int64_t contract;

	if (!json_get_i64(object, "contract", &contract))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "rules have no `contract`");
	if (contract < 1 || contract > RULES_CONTRACT_MAX)
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "rules follow contract %" PRId64 ", this program knows %d; upgrade it",
		                 contract, RULES_CONTRACT_MAX);
	parsed.contract = (uint32_t)contract;
	for (size_t i = 0; i < LIMITS; i++) {
		int64_t value;

		if (!json_get_i64(object, limits[i].name, &value) || value < 1 || value > UINT32_MAX)
			return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
			                 "rules have no `%s` that is a positive number", limits[i].name);
		limit_set(&parsed, &limits[i], (uint32_t)value);
	}
	if (!json_get_i64(object, "dedup_window", &parsed.dedup_window) || parsed.dedup_window < 0 ||
	    parsed.dedup_window > (contract == 1 ? 0 : RULES_DEDUP_WINDOW_MAX))
		return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT,
		                 "rules have no `dedup_window` from 0 to %d, or have one under contract 1",
		                 RULES_DEDUP_WINDOW_MAX);
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
