/*
 * Fuzz: the manifest of a replica's disk segments. The checksum is made to
 * match, so that the bytes behind it are met.
 */
#include "shard/core/manifest.h"
#include "tests/fuzz/seeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Segments rise, lie apart, and what is to be merged are some of them. */
static void check(struct manifest *manifest)
{
	uint64_t end = 0;
	size_t at;
	size_t run;

	ASSERT(manifest->building_len <= MANIFEST_BUILDING_MAX &&
	       manifest->leaving_len <= MANIFEST_LEAVING_MAX);
	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];
		const struct value_set *values = &segment->values;

		ASSERT(segment->first >= end && segment->first < segment->end && segment->documents > 0 &&
		       segment->dead <= segment->documents);
		ASSERT(values->id == 0 ? values->bytes == 0
		                       : values->id != segment->id && values->lengths[SECTION_TERMS] > 0 &&
		                                 values->lengths[SECTION_TERMS] <= values->bytes);
		end = segment->end;
	}
	if (!manifest_merge_place(manifest, &at, &run))
		return;
	ASSERT(run >= 1 && run <= MANIFEST_MERGE_MAX && at + run <= manifest->segments_len);
	ASSERT(manifest_replace(manifest, at, run, NULL));
}

/* The first eight bytes become the checksum. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct manifest manifest;
	uint8_t *value;
	struct buffer again;
	struct error error;

	if (len < 8)
		return 0;
	value = malloc(len);
	ASSERT(value != NULL);
	memcpy(value, bytes, len);
	column_put_u64(value, hash64(slice_of(value + 8, len - 8), hash64(slice_string("manifest"), 0)));
	if (manifest_decode(&manifest, slice_of(value, len), &error) == 0) {
		buffer_init(&again, SIZE_MAX);
		manifest_encode(&manifest, &again);
		ASSERT(slice_equal(buffer_slice(&again), slice_of(value, len)));
		buffer_deinit(&again);
		check(&manifest);
	} else {
		ASSERT(error.code == ERROR_DAMAGED);
	}
	free(value);
	return 0;
}

static void segment_add(struct manifest *manifest, uint32_t level, uint32_t documents, bool with_values)
{
	size_t len = manifest->segments_len;
	uint64_t first = len == 0 ? 7 : manifest->segments[len - 1].end + 1;
	struct disk_segment segment = {.id = manifest->segment_next++,
	                               .level = level,
	                               .first = first,
	                               .end = first + documents,
	                               .documents = documents,
	                               .bytes = 1000 + 200ULL * documents};

	segment.lengths[SECTION_ENTRIES] = (uint64_t)documents * COLUMN_ENTRY_BYTES;
	segment.lengths[SECTION_IDS] = (uint64_t)documents * COLUMN_ID_BYTES;
	segment.lengths[SECTION_ORDER] = (uint64_t)documents * COLUMN_ORDER_BYTES;
	segment.lengths[SECTION_PAGES] = COLUMN_PAGE_BYTES;
	if (with_values) {
		segment.values = (struct value_set){.id = manifest->segment_next++, .bytes = 3000};
		segment.values.lengths[SECTION_TERMS] = 1000;
		segment.values.lengths[SECTION_POSTINGS] = 2000;
		value_cover_add(&segment.values.cover, (uint16_t)(level * 100));
	}
	ASSERT(manifest_add(manifest, &segment));
}

/* Nothing; a few segments; as many as make a merge, with what leaves; some of them with values. */
static void seeds_make(void)
{
	static struct manifest manifest;
	struct buffer value;

	buffer_init(&value, SIZE_MAX);
	manifest_init(&manifest);
	for (uint32_t i = 0; i < 12; i++) {
		if (i == 0 || i == 3 || i == 11) {
			manifest_encode(&manifest, &value);
			seed_write(buffer_slice(&value));
			buffer_clear(&value);
			manifest_building_add(&manifest, 100 + i);
			ASSERT(manifest_leaving_add(&manifest, 200 + i));
		}
		segment_add(&manifest, i < 2, 100 + i, i % 3 != 2);
	}
	buffer_deinit(&value);
}
