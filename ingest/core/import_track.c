#include "ingest/core/import_track.h"

#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RING_SIZE_FIRST 256

/* A record that was taken and may not be committed yet. */
struct import_out {
	struct import_anchor anchor;
	bool done;
};

static const struct import_anchor none = {.offset = -1};

/* ---- anchors ---- */

void import_anchor_print(const struct import_anchor *anchor, char text[IMPORT_ANCHOR_TEXT_BYTES])
{
	text[0] = 0;
	if (anchor->offset >= 0)
		(void)snprintf(text, IMPORT_ANCHOR_TEXT_BYTES, "1 %" PRId64 " %" PRId64 " %016" PRIx64,
		               anchor->offset, anchor->timestamp_ms, anchor->checksum);
}

struct import_anchor import_anchor_parse(const char *text)
{
	struct import_anchor anchor;
	char printed[IMPORT_ANCHOR_TEXT_BYTES];

	if (sscanf(text, "1 %" SCNd64 " %" SCNd64 " %" SCNx64, &anchor.offset, &anchor.timestamp_ms,
	           &anchor.checksum) != 3 ||
	    anchor.offset < 0)
		return none;
	import_anchor_print(&anchor, printed);
	return strcmp(printed, text) == 0 ? anchor : none;
}

static struct import_anchor anchor_of(const struct record *record)
{
	return (struct import_anchor){record->offset, record->timestamp_ms, record_checksum(record)};
}

/* ---- life ---- */

void import_track_init(struct import_track *track)
{
	*track = (struct import_track){
		.state = IMPORT_TRACK_ASKING, .committed = -1, .expected = none, .point = {-1, none}};
}

void import_track_deinit(struct import_track *track)
{
	free(track->ring);
}

void import_track_restart(struct import_track *track)
{
	track->ticket_head += track->ring_len;
	track->ring_len = 0;
	track->expected = none;
	if (track->state != IMPORT_TRACK_STOPPED)
		track->state = IMPORT_TRACK_ASKING;
}

static void stop(struct import_track *track, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void stop(struct import_track *track, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(track->reason, sizeof track->reason, format, args);
	va_end(args);
	import_track_restart(track);
	track->state = IMPORT_TRACK_STOPPED;
}

bool import_track_begin(struct import_track *track, const struct import_found *found)
{
	ASSERT(track->state == IMPORT_TRACK_ASKING && track->ring_len == 0);
	track->committed = found->committed;
	track->expected = none;
	if (found->committed < 0 && found->begun) {
		stop(track,
		     "what was imported is not committed any more: the topic was deleted and re-created, "
		     "or the group's offsets were deleted");
		return false;
	}
	if (found->committed < 0) {
		track->position = found->begin;
		track->point = (struct import_point){found->begin, none};
	} else if (found->committed < found->log_start) {
		stop(track,
		     "offset %" PRId64 " comes next but the topic begins at %" PRId64
		     ": it was re-created, or lost records before they were imported",
		     found->committed, found->log_start);
		return false;
	} else if (found->committed > found->log_end) {
		stop(track,
		     "offset %" PRId64 " comes next but the topic ends at %" PRId64
		     ": it was re-created or truncated",
		     found->committed, found->log_end);
		return false;
	} else {
		track->position = found->committed;
		track->point = (struct import_point){found->committed, found->anchor};
		if (found->anchor.offset >= found->log_start && found->anchor.offset < found->committed) {
			track->expected = found->anchor;
			track->position = found->anchor.offset;
		}
	}
	track->state = IMPORT_TRACK_READING;
	return true;
}

/* ---- records ---- */

bool import_track_is_full(const struct import_track *track)
{
	return track->ring_len == IMPORT_TRACK_OUT_MAX;
}

static bool is_expected(const struct import_track *track, const struct record *record)
{
	return record->timestamp_ms == track->expected.timestamp_ms &&
	       record_checksum(record) == track->expected.checksum;
}

enum import_take import_track_take(struct import_track *track, const struct record *record)
{
	ASSERT(track->state == IMPORT_TRACK_READING && record->offset >= track->position);
	if (record->offset == track->expected.offset && !is_expected(track, record)) {
		stop(track,
		     "offset %" PRId64 " holds another record than was imported: the topic was re-created",
		     record->offset);
		return IMPORT_TAKE_STOP;
	}
	/* compaction may have taken the expected one */
	track->expected = none;
	track->position = record->offset + 1;
	return record->offset < track->point.offset ? IMPORT_TAKE_PASS : IMPORT_TAKE_GO;
}

static struct import_out *out_at(const struct import_track *track, size_t i)
{
	ASSERT(i < track->ring_size);
	return &track->ring[(track->ring_head + i) % track->ring_size];
}

static bool grow(struct import_track *track)
{
	size_t size = track->ring_size == 0 ? RING_SIZE_FIRST : track->ring_size * 2;
	struct import_out *ring = malloc(size * sizeof *ring);

	if (ring == NULL)
		return false;
	for (size_t i = 0; i < track->ring_len; i++)
		ring[i] = *out_at(track, i);
	free(track->ring);
	track->ring = ring;
	track->ring_size = size;
	track->ring_head = 0;
	return true;
}

/* What stands at the head and waits for nothing may be committed. */
static void advance(struct import_track *track)
{
	while (track->ring_len > 0 && out_at(track, 0)->done) {
		const struct import_anchor *anchor = &out_at(track, 0)->anchor;

		track->point = (struct import_point){anchor->offset + 1, *anchor};
		track->ring_head = (track->ring_head + 1) % track->ring_size;
		track->ring_len--;
		track->ticket_head++;
	}
}

int import_track_out(struct import_track *track, const struct record *record, bool waits, uint64_t *ticket,
                     struct error *error)
{
	ASSERT(track->state == IMPORT_TRACK_READING && !import_track_is_full(track));
	ASSERT(record->offset + 1 == track->position);
	if (track->ring_len == track->ring_size && !grow(track))
		return error_memory(error, 2 * track->ring_size * sizeof *track->ring);
	*ticket = track->ticket_head + track->ring_len;
	*out_at(track, track->ring_len) = (struct import_out){anchor_of(record), !waits};
	track->ring_len++;
	advance(track);
	return 0;
}

void import_track_acknowledge(struct import_track *track, uint64_t ticket)
{
	if (ticket < track->ticket_head)
		return;
	ASSERT(ticket - track->ticket_head < track->ring_len);
	out_at(track, (size_t)(ticket - track->ticket_head))->done = true;
	advance(track);
}

void import_track_end(struct import_track *track, int64_t position)
{
	ASSERT(track->state == IMPORT_TRACK_READING);
	if (position > track->position)
		track->position = position;
	/* holes and markers, which no record covers */
	if (track->ring_len == 0 && track->position > track->point.offset)
		track->point.offset = track->position;
}

/* ---- commits ---- */

bool import_track_commit(const struct import_track *track, struct import_point *point)
{
	if (track->state != IMPORT_TRACK_READING || track->point.offset == track->committed)
		return false;
	*point = track->point;
	return true;
}

void import_track_committed(struct import_track *track, const struct import_point *point)
{
	if (track->state == IMPORT_TRACK_READING)
		track->committed = point->offset;
}

void import_track_recommit(struct import_track *track)
{
	track->committed = -1;
}
