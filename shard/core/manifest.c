#include "shard/core/manifest.h"

#include "shared/base/assert.h"

#define CHECKSUM_BYTES 8
/* A segment of which 1 / DEAD_SHARE of the documents are dead is written anew. */
#define DEAD_SHARE 3

void manifest_init(struct manifest *manifest)
{
	memset(manifest, 0, sizeof *manifest);
	manifest->segment_next = 1;
}

/* Over everything behind the checksum, seeded by the key. */
static uint64_t checksum_of(struct slice rest)
{
	return hash64(rest, hash64(slice_string("manifest"), 0));
}

static void ids_put(struct buffer *value, const uint64_t *ids, size_t len)
{
	buffer_put_u32(value, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		buffer_put_u64(value, ids[i]);
}

static void values_put(struct buffer *value, const struct value_set *values)
{
	buffer_put_u64(value, values->id);
	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		buffer_put_u64(value, values->cover.bits[i]);
	buffer_put_u64(value, values->bytes);
	buffer_put_u64(value, values->lengths[SECTION_POSTINGS]);
	buffer_put_u64(value, values->lengths[SECTION_TERMS]);
}

static void segment_put(struct buffer *value, const struct disk_segment *segment)
{
	buffer_put_u64(value, segment->id);
	buffer_put_u32(value, segment->level);
	buffer_put_u64(value, segment->first);
	buffer_put_u64(value, segment->end);
	buffer_put_u32(value, segment->documents);
	buffer_put_u32(value, segment->dead);
	buffer_put_u64(value, segment->bytes);
	for (size_t i = 0; i < SECTIONS; i++)
		buffer_put_u64(value, segment->lengths[i]);
	buffer_put_u64(value, segment->cutting);
	values_put(value, &segment->values);
}

void manifest_encode(const struct manifest *manifest, struct buffer *value)
{
	size_t from = value->len;
	uint64_t checksum;

	buffer_put_u64(value, 0);
	buffer_put_u64(value, manifest->segment_next);
	ids_put(value, manifest->building, manifest->building_len);
	ids_put(value, manifest->leaving, manifest->leaving_len);
	buffer_put_u32(value, (uint32_t)manifest->segments_len);
	for (size_t i = 0; i < manifest->segments_len; i++)
		segment_put(value, &manifest->segments[i]);
	if (buffer_failed(value))
		return;
	checksum =
		checksum_of(slice_of(value->ptr + from + CHECKSUM_BYTES, value->len - from - CHECKSUM_BYTES));
	buffer_set_u32(value, from, (uint32_t)checksum);
	buffer_set_u32(value, from + 4, (uint32_t)(checksum >> 32));
}

static bool ids_read(struct reader *reader, uint64_t *ids, size_t max, size_t *len)
{
	*len = reader_u32(reader);
	if (*len > max)
		return false;
	for (size_t i = 0; i < *len; i++)
		ids[i] = reader_u64(reader);
	return !reader_failed(reader);
}

static void values_read(struct reader *reader, struct value_set *values)
{
	*values = (struct value_set){.id = reader_u64(reader)};
	for (size_t i = 0; i < VALUE_NUMBERS_MAX / 64; i++)
		values->cover.bits[i] = reader_u64(reader);
	values->bytes = reader_u64(reader);
	values->lengths[SECTION_POSTINGS] = reader_u64(reader);
	values->lengths[SECTION_TERMS] = reader_u64(reader);
}

static void segment_read(struct reader *reader, struct disk_segment *segment)
{
	segment->id = reader_u64(reader);
	segment->level = reader_u32(reader);
	segment->first = reader_u64(reader);
	segment->end = reader_u64(reader);
	segment->documents = reader_u32(reader);
	segment->dead = reader_u32(reader);
	segment->bytes = reader_u64(reader);
	for (size_t i = 0; i < SECTIONS; i++)
		segment->lengths[i] = reader_u64(reader);
	segment->cutting = reader_u64(reader);
	values_read(reader, &segment->values);
}

/* What has no id has no bytes; what has one has terms. */
static bool values_are_sound(const struct value_set *values, uint64_t segment)
{
	uint64_t postings = values->lengths[SECTION_POSTINGS];
	uint64_t terms = values->lengths[SECTION_TERMS];

	if (values->id == 0)
		return values->bytes == 0 && postings == 0 && terms == 0;
	return values->id != segment && terms > 0 && terms <= values->bytes &&
	       postings <= values->bytes - terms;
}

/* That its numbers, counts and lengths agree with each other. */
static bool segment_is_sound(const struct disk_segment *segment)
{
	uint64_t documents = segment->documents;
	uint64_t left = segment->bytes;

	if (segment->first >= segment->end || segment->end - segment->first > POSTING_DISTANCE_MAX ||
	    documents == 0 || documents > segment->end - segment->first || segment->dead > documents)
		return false;
	for (size_t i = 0; i < SECTIONS; i++) {
		if (segment->lengths[i] > left)
			return false;
		left -= segment->lengths[i];
	}
	return segment->lengths[SECTION_ENTRIES] == documents * COLUMN_ENTRY_BYTES &&
	       segment->lengths[SECTION_IDS] == documents * COLUMN_ID_BYTES &&
	       segment->lengths[SECTION_ORDER] == documents * COLUMN_ORDER_BYTES &&
	       segment->lengths[SECTION_PAGES] % COLUMN_PAGE_BYTES == 0;
}

static bool segments_read(struct reader *reader, struct manifest *manifest)
{
	uint64_t end = 0;

	manifest->segments_len = reader_u32(reader);
	if (reader_failed(reader) || manifest->segments_len > MANIFEST_SEGMENTS_MAX)
		return false;
	for (size_t i = 0; i < manifest->segments_len; i++) {
		struct disk_segment *segment = &manifest->segments[i];

		segment_read(reader, segment);
		if (reader_failed(reader) || !segment_is_sound(segment) || segment->first < end ||
		    segment->id >= manifest->segment_next ||
		    !values_are_sound(&segment->values, segment->id) ||
		    segment->values.id >= manifest->segment_next)
			return false;
		end = segment->end;
	}
	return true;
}

int manifest_decode(struct manifest *manifest, struct slice value, struct error *error)
{
	struct reader reader = reader_of(value);
	uint64_t checksum = reader_u64(&reader);
	struct manifest read;

	manifest_init(&read);
	if (reader_failed(&reader) || checksum != checksum_of(slice_of(reader.ptr, reader_left(&reader))))
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the manifest's checksum does not match");
	read.segment_next = reader_u64(&reader);
	if (!ids_read(&reader, read.building, MANIFEST_BUILDING_MAX, &read.building_len) ||
	    !ids_read(&reader, read.leaving, MANIFEST_LEAVING_MAX, &read.leaving_len) ||
	    !segments_read(&reader, &read) || reader_left(&reader) > 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the manifest lists what cannot be");
	*manifest = read;
	return 0;
}

uint64_t manifest_bytes(const struct manifest *manifest)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->segments_len; i++)
		bytes += disk_segment_bytes(&manifest->segments[i]);
	return bytes;
}

bool manifest_add(struct manifest *manifest, const struct disk_segment *segment)
{
	size_t len = manifest->segments_len;

	ASSERT(len == 0 || manifest->segments[len - 1].end <= segment->first);
	if (len == MANIFEST_SEGMENTS_MAX)
		return false;
	manifest->segments[manifest->segments_len++] = *segment;
	return true;
}

bool manifest_replace(struct manifest *manifest, size_t at, size_t len, const struct disk_segment *segment)
{
	struct disk_segment *place = manifest->segments + at;
	size_t put = segment != NULL;
	size_t ids = 0;

	ASSERT(len > 0 && at <= manifest->segments_len && len <= manifest->segments_len - at);
	for (size_t i = 0; i < len; i++)
		ids += place[i].values.id != 0 ? 2 : 1;
	if (ids > MANIFEST_LEAVING_MAX - manifest->leaving_len)
		return false;
	for (size_t i = 0; i < len; i++) {
		manifest->leaving[manifest->leaving_len++] = place[i].id;
		if (place[i].values.id != 0)
			manifest->leaving[manifest->leaving_len++] = place[i].values.id;
	}
	memmove(place + put, place + len, (manifest->segments_len - at - len) * sizeof *place);
	if (segment != NULL)
		*place = *segment;
	manifest->segments_len -= len - put;
	return true;
}

/* Takes an id out of a list that has it once or not at all. */
static void ids_remove(uint64_t *ids, size_t *len, uint64_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < *len; i++)
		if (ids[i] != id)
			ids[kept++] = ids[i];
	*len = kept;
}

void manifest_building_add(struct manifest *manifest, uint64_t segment)
{
	ASSERT(manifest->building_len < MANIFEST_BUILDING_MAX);
	manifest->building[manifest->building_len++] = segment;
}

void manifest_building_remove(struct manifest *manifest, uint64_t segment)
{
	ids_remove(manifest->building, &manifest->building_len, segment);
}

bool manifest_leaving_add(struct manifest *manifest, uint64_t segment)
{
	if (manifest->leaving_len == MANIFEST_LEAVING_MAX)
		return false;
	manifest->leaving[manifest->leaving_len++] = segment;
	return true;
}

void manifest_leaving_remove(struct manifest *manifest, uint64_t segment)
{
	ids_remove(manifest->leaving, &manifest->leaving_len, segment);
}

uint64_t manifest_live_bytes(const struct disk_segment *segment)
{
	uint64_t live = segment->documents - segment->dead;
	uint64_t bytes = disk_segment_bytes(segment);

	/* in two parts, neither of which overflows */
	return bytes / segment->documents * live + bytes % segment->documents * live / segment->documents;
}

/* What a merge of some neighbours would write, about. */
struct outcome {
	uint64_t documents;
	uint64_t bytes;
	uint64_t first;
	uint64_t end;
};

static void outcome_add(struct outcome *outcome, const struct disk_segment *segment)
{
	if (outcome->end == 0)
		outcome->first = segment->first;
	outcome->end = segment->end;
	outcome->documents += segment->documents - segment->dead;
	outcome->bytes += manifest_live_bytes(segment);
}

/* Whether it is at most 1 / `share` of what a segment may be. */
static bool outcome_fits(const struct outcome *outcome, uint64_t share)
{
	return outcome->documents <= DISK_SEGMENT_DOCUMENTS_MAX / share &&
	       outcome->bytes <= MANIFEST_SEGMENT_BYTES_MAX / share &&
	       outcome->end - outcome->first <= POSTING_DISTANCE_MAX;
}

static bool is_large(const struct disk_segment *segment)
{
	struct outcome alone = {0};

	outcome_add(&alone, segment);
	return !outcome_fits(&alone, 2);
}

/* How many neighbours from `at` on, at most `max`, become one. */
static size_t fitting(const struct manifest *manifest, size_t at, size_t max, struct outcome *outcome)
{
	size_t len = 0;

	*outcome = (struct outcome){0};
	while (len < max && at + len < manifest->segments_len) {
		struct outcome more = *outcome;

		outcome_add(&more, &manifest->segments[at + len]);
		if (!outcome_fits(&more, 1))
			break;
		*outcome = more;
		len++;
	}
	return len;
}

/* Neighbours from `at` on up to the last of MANIFEST_FANOUT of that level, or of fewer that are small together; none
 * above the level or large. 0: not so many. */
static size_t level_run(const struct manifest *manifest, uint32_t level, size_t at)
{
	size_t of_level = 0;
	uint64_t bytes = 0;

	for (size_t i = at; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];

		if (segment->level > level || is_large(segment))
			return 0;
		of_level += segment->level == level;
		bytes += disk_segment_bytes(segment);
		if (of_level == MANIFEST_FANOUT ||
		    (of_level == MANIFEST_SMALL_FANOUT && bytes <= MANIFEST_SMALL_BYTES))
			return i + 1 - at;
	}
	return 0;
}

static bool level_place(const struct manifest *manifest, uint32_t level, size_t *at, size_t *len)
{
	for (size_t i = 0; i < manifest->segments_len; i++) {
		struct outcome outcome;
		size_t run;

		if (manifest->segments[i].level != level)
			continue;
		run = level_run(manifest, level, i);
		run = fitting(manifest, i, run < MANIFEST_MERGE_MAX ? run : MANIFEST_MERGE_MAX, &outcome);
		if (run < 2)
			continue;
		*at = i;
		*len = run;
		return true;
	}
	return false;
}

static bool dead_place(const struct manifest *manifest, size_t *at)
{
	for (size_t i = 0; i < manifest->segments_len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];

		if ((uint64_t)segment->dead * DEAD_SHARE < segment->documents)
			continue;
		*at = i;
		return true;
	}
	return false;
}

/* Where joining writes least for every segment that it saves. */
static bool crowded_place(const struct manifest *manifest, size_t *at, size_t *len)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < manifest->segments_len; i++) {
		struct outcome outcome;
		size_t fit = fitting(manifest, i, MANIFEST_FANOUT, &outcome);

		for (; fit > 1; fit = fitting(manifest, i, fit - 1, &outcome)) {
			if (outcome.bytes / (fit - 1) >= best)
				continue;
			best = outcome.bytes / (fit - 1);
			*at = i;
			*len = fit;
		}
	}
	return best != UINT64_MAX;
}

/* The lowest level above `level` that a segment has; false if none. */
static bool level_above(const struct manifest *manifest, int64_t level, uint32_t *above)
{
	bool found = false;

	for (size_t i = 0; i < manifest->segments_len; i++) {
		uint32_t of_segment = manifest->segments[i].level;

		if (of_segment <= level || (found && of_segment >= *above))
			continue;
		*above = of_segment;
		found = true;
	}
	return found;
}

bool manifest_merge_place(const struct manifest *manifest, size_t *at, size_t *len)
{
	int64_t passed = -1;
	uint32_t level = 0;

	if (manifest->leaving_len > MANIFEST_LEAVING_MAX - MANIFEST_MERGE_MAX * MANIFEST_IDS_A_SEGMENT)
		return false;
	for (; level_above(manifest, passed, &level); passed = level)
		if (level_place(manifest, level, at, len))
			return true;
	if (dead_place(manifest, at)) {
		*len = 1;
		return true;
	}
	return manifest->segments_len >= MANIFEST_CROWDED && crowded_place(manifest, at, len);
}

/* Whether neighbours that fit are worth being one at rest. */
static bool is_rest_worth(const struct manifest *manifest, size_t at, size_t len)
{
	uint64_t largest = 0;
	uint64_t bytes = 0;

	for (size_t i = at; i < at + len; i++) {
		const struct disk_segment *segment = &manifest->segments[i];
		uint64_t live = manifest_live_bytes(segment);

		if (is_large(segment))
			return false;
		largest = live > largest ? live : largest;
		bytes += live;
	}
	return largest <= MANIFEST_REST_SHARE * (bytes - largest);
}

bool manifest_rest_place(const struct manifest *manifest, size_t *at, size_t *len)
{
	size_t most = 1;

	for (size_t i = 0; i < manifest->segments_len; i++) {
		struct outcome outcome;
		size_t fit = fitting(manifest, i, MANIFEST_MERGE_MAX, &outcome);

		for (; fit > most; fit--) {
			if (!is_rest_worth(manifest, i, fit))
				continue;
			*at = i;
			*len = fit;
			most = fit;
		}
	}
	return most > 1;
}
