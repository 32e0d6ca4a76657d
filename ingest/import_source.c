/* One source: its group, its producer, where its partitions begin, what is committed. */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/meta/source.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMIT_MS 500
#define ENDS_MS 5000
#define BATCH_BYTES_MAX_IMPORT 1000000
#define COMMITS_MAX 256 /* of partitions in one request */
/* Kafka forgets what a group committed for topics that it is not subscribed to, after a week unless told otherwise. */
#define MARK_MS (60 * 60 * 1000)

static void say(struct import_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the source waits for; said once. */
static void say(struct import_source *source, const char *format, ...)
{
	char text[sizeof source->trouble];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (strcmp(text, source->trouble) == 0)
		return;
	memcpy(source->trouble, text, sizeof text);
	if (text[0] != 0)
		logline(LOG_LEVEL_WARN, "source_waits", "index=%s source=\"%s\" reason=\"%s\"", source->uid,
		        source->record.name, text);
}

/* The pause after one more failure. */
static int64_t retry_in(struct import_source *source)
{
	source->retry_ms = source->retry_ms == 0 ? IMPORT_RETRY_MS : source->retry_ms * 2;
	if (source->retry_ms > IMPORT_RETRY_MS_MAX)
		source->retry_ms = IMPORT_RETRY_MS_MAX;
	return source->retry_ms;
}

/* ---- partitions ---- */

struct import_part *import_part_find(const struct import *import, uint32_t slot, uint64_t serial)
{
	struct import_part *part = import->parts[slot];

	return part != NULL && part->serial == serial ? part : NULL;
}

static void stop_reading(struct import_part *part)
{
	if (part->reading)
		log_feed_stop(part->source->feed, part->slot);
	part->reading = false;
}

void import_part_restart(struct import_part *part, const char *trouble)
{
	struct import *import = part->source->import;

	stop_reading(part);
	import_letters_forget(import, part);
	import_track_restart(&part->track);
	part->ask_ms = trouble[0] == 0 ? 0 : import->now_ms + IMPORT_RETRY_MS;
	if (part->ask_ms < part->source->ask_ms)
		part->source->ask_ms = part->ask_ms;
	if (strcmp(part->trouble, trouble) == 0)
		return;
	(void)snprintf(part->trouble, sizeof part->trouble, "%s", trouble);
	if (trouble[0] != 0)
		logline(LOG_LEVEL_WARN, "source_partition_waits",
		        "index=%s source=\"%s\" topic=%s partition=%" PRId32 " reason=\"%s\"",
		        part->source->uid, part->source->record.name, part->place.topic,
		        part->place.partition, trouble);
}

void import_part_stopped(struct import_part *part)
{
	import_part_restart(part, "");
	if (part->stop_said)
		return;
	part->stop_said = true;
	logline(LOG_LEVEL_ERROR, "source_stopped",
	        "index=%s source=\"%s\" topic=%s partition=%" PRId32
	        " reason=\"%s\" remedy=\"millrace source seek begins a new life\"",
	        part->source->uid, part->source->record.name, part->place.topic, part->place.partition,
	        part->track.reason);
}

static void free_part(struct import_part *part)
{
	struct import *import = part->source->import;

	stop_reading(part);
	import_letters_forget(import, part);
	import_track_deinit(&part->track);
	import->parts[part->slot] = NULL;
	free(part);
}

static bool add_part(struct import_source *source, const struct log_place *place)
{
	struct import *import = source->import;
	struct import_part *part = calloc(1, sizeof *part);

	for (uint32_t i = 0; part != NULL && i < IMPORT_PARTS_MAX; i++) {
		uint32_t slot = (import->parts_next + i) % IMPORT_PARTS_MAX;

		if (import->parts[slot] != NULL)
			continue;
		*part = (struct import_part){.source = source,
		                             .place = *place,
		                             .slot = slot,
		                             .serial = ++import->serials,
		                             .assigned = true,
		                             .log_end = -1};
		import_track_init(&part->track);
		import->parts[slot] = part;
		import->parts_next = slot + 1;
		if (import->parts_end <= slot)
			import->parts_end = slot + 1;
		source->ask_ms = 0;
		return true;
	}
	free(part);
	return false;
}

static struct import_part *find_part(const struct import_source *source, const struct log_place *place)
{
	const struct import *import = source->import;

	for (uint32_t i = 0; i < import->parts_end; i++) {
		struct import_part *part = import->parts[i];

		if (part != NULL && part->source == source && part->place.partition == place->partition &&
		    strcmp(part->place.topic, place->topic) == 0)
			return part;
	}
	return NULL;
}

/* What a pattern must not read: what it writes itself. */
static bool is_own(const struct import_source *source, const char *topic)
{
	return strcmp(topic, source->record.dead_letter_topic) == 0 || strcmp(topic, source->topic) == 0;
}

/* Keeps what is still ours, as it stands, and lets go of the rest. */
static void reassign(struct import_source *source)
{
	struct import *import = source->import;
	const struct log_place *places;
	size_t len = log_import_places(source->group, &places);
	size_t ours = 0;

	for (uint32_t i = 0; i < import->parts_end; i++)
		if (import->parts[i] != NULL && import->parts[i]->source == source)
			import->parts[i]->assigned = false;
	for (size_t i = 0; i < len; i++) {
		struct import_part *part = find_part(source, &places[i]);

		if (is_own(source, places[i].topic))
			continue;
		ours++;
		if (part != NULL) {
			part->assigned = true;
			part->mark_ms = 0;
			import_track_recommit(&part->track);
		} else if (!add_part(source, &places[i])) {
			say(source, "no room for more than %d partitions in one program", IMPORT_PARTS_MAX);
		}
	}
	for (uint32_t i = 0; i < import->parts_end; i++)
		if (import->parts[i] != NULL && import->parts[i]->source == source &&
		    !import->parts[i]->assigned)
			free_part(import->parts[i]);
	logline(LOG_LEVEL_INFO, "source_assigned", "index=%s source=\"%s\" partitions=%zu", source->uid,
	        source->record.name, ours);
}

/* ---- opening and ending ---- */

static int open_group(struct import_source *source, struct error *error)
{
	char group[SOURCE_GROUP_BYTES];
	const struct source_record *record = &source->record;
	const struct log_import_options options = {
		.group = group,
		.topic = record->topic[0] != 0 ? record->topic : NULL,
		.pattern = record->pattern,
		.client_id = source->import->address,
		.fd = source->import->group_fd,
	};

	source_group_print(source->index_id, record, group);
	return log_import_open(source->import->config, &options, &source->group, error);
}

/* With the limits of the index's log as they are now. */
static int open_producer(struct import_source *source, struct error *error)
{
	struct import *import = source->import;
	char value[128];
	size_t batch;
	int rc = log_topic_setting(import->connection, source->topic, "max.message.bytes", IMPORT_ASK_MS,
	                           value, error);

	if (rc != 0)
		return rc;
	source->message_bytes_max = (size_t)strtoull(value, NULL, 10);
	batch = source->message_bytes_max < BATCH_BYTES_MAX_IMPORT ? source->message_bytes_max
	                                                           : BATCH_BYTES_MAX_IMPORT;
	rc = log_producer_open_gapless(import->config, batch == 0 ? 1 : batch, &source->producer, error);
	if (rc != 0)
		return rc;
	source->producer_number = ++import->serials;
	source->out = source->out_bytes = 0;
	return 0;
}

static void close_producer(struct import_source *source)
{
	if (source->producer == NULL)
		return;
	/* what was not acknowledged is produced again: nothing is worth waiting for */
	log_producer_close(source->producer, 0);
	source->producer = NULL;
	source->producer_number = 0;
	source->import->out -= source->out;
	source->import->out_bytes -= source->out_bytes;
	source->out = source->out_bytes = 0;
}

void import_source_fail(struct import_source *source, const struct error *error)
{
	struct import *import = source->import;

	say(source, "producing to %s failed: %s", source->topic, error->text);
	close_producer(source);
	source->open_ms = import->now_ms + retry_in(source);
	for (uint32_t i = 0; i < import->parts_end; i++)
		if (import->parts[i] != NULL && import->parts[i]->source == source)
			import_part_restart(import->parts[i], "");
}

void import_source_shut(struct import_source *source)
{
	struct import *import = source->import;

	close_producer(source);
	for (uint32_t i = 0; i < import->parts_end; i++)
		if (import->parts[i] != NULL && import->parts[i]->source == source)
			free_part(import->parts[i]);
	log_import_close(source->group);
	log_feed_close(source->feed);
	source->group = NULL;
	source->feed = NULL;
	if (source->mapping != NULL)
		source->trouble[0] = 0;
	source->open_ms = 0;
}

/* True if feed, group and producer are there. */
static bool open_all(struct import_source *source)
{
	struct import *import = source->import;
	struct error error;
	int rc = 0;

	if (source->group != NULL && source->producer != NULL)
		return true;
	if (source->record.paused || source->mapping == NULL || import->now_ms < source->open_ms)
		return false;
	if (source->feed == NULL)
		rc = log_feed_open(import->config, &source->feed, &error);
	if (rc == 0 && source->group == NULL)
		rc = open_group(source, &error);
	if (rc == 0 && source->producer == NULL)
		rc = open_producer(source, &error);
	if (rc == 0) {
		say(source, "%s", "");
		return true;
	}
	say(source, "%s", error.text);
	source->open_ms = import->now_ms + retry_in(source);
	return false;
}

/* ---- marks ---- */

/* Kafka deletes a group's offsets for a topic with the topic. That there were some is kept as the note of another one, for
 * a partition of the slots topic; of several partitions for which that is the same one, the last keeps it. */
struct mark {
	int32_t slot;
	char note[LOG_COMMIT_NOTE_BYTES];
};

static struct mark mark_of(const struct log_place *place)
{
	uint64_t topic = hash64(slice_string(place->topic), 0);
	struct mark mark = {.slot = (int32_t)((topic + (uint64_t)place->partition) % LOG_SLOTS)};

	(void)snprintf(mark.note, sizeof mark.note, "begun %016" PRIx64 "/%" PRId32, topic, place->partition);
	return mark;
}

static void mark_place(struct import *import, int32_t slot, struct log_place *place)
{
	(void)snprintf(place->topic, sizeof place->topic, "%s", log_name(import->connection, "slots"));
	place->partition = slot;
}

static int read_marks(struct import_source *source, struct log_commit marks[LOG_SLOTS], struct error *error)
{
	struct log_place places[LOG_SLOTS];

	for (int32_t slot = 0; slot < LOG_SLOTS; slot++)
		mark_place(source->import, slot, &places[slot]);
	return log_import_committed(source->group, places, LOG_SLOTS, IMPORT_ASK_MS, marks, error);
}

/* ---- where to begin ---- */

/* Partitions of one topic that are to begin. */
struct asking {
	struct import_source *source;
	struct import_part *parts[INDEX_PARTITIONS_MAX];
	struct log_place places[INDEX_PARTITIONS_MAX];
	int32_t numbers[INDEX_PARTITIONS_MAX];
	struct log_commit commits[INDEX_PARTITIONS_MAX];
	struct log_ends ends[INDEX_PARTITIONS_MAX];
	int64_t begins[INDEX_PARTITIONS_MAX];
	struct log_commit marks[LOG_SLOTS];
	size_t len;
};

static void collect(struct asking *asking)
{
	struct import *import = asking->source->import;

	asking->len = 0;
	for (uint32_t i = 0; i < import->parts_end && asking->len < INDEX_PARTITIONS_MAX; i++) {
		struct import_part *part = import->parts[i];

		if (part == NULL || part->source != asking->source ||
		    part->track.state != IMPORT_TRACK_ASKING || part->ask_ms > import->now_ms)
			continue;
		if (asking->len > 0 && strcmp(part->place.topic, asking->places[0].topic) != 0)
			continue;
		asking->parts[asking->len] = part;
		asking->places[asking->len] = part->place;
		asking->numbers[asking->len++] = part->place.partition;
	}
}

static int ask(struct asking *asking, struct error *error)
{
	struct import_source *source = asking->source;
	struct log_connection *connection = source->import->connection;
	const struct log_partitions asked = {asking->places[0].topic, asking->numbers, asking->len};
	int64_t start_ms = source->record.start_ms;
	int rc = log_ask_all_ends(connection, &asked, IMPORT_ASK_MS, asking->ends, error);

	if (rc == 0)
		rc = log_import_committed(source->group, asking->places, asking->len, IMPORT_ASK_MS,
		                          asking->commits, error);
	if (rc == 0)
		rc = read_marks(source, asking->marks, error);
	for (size_t i = 0; rc == 0 && i < asking->len; i++)
		asking->begins[i] = start_ms == 0 ? asking->ends[i].start : asking->ends[i].end;
	if (rc != 0 || start_ms == 0 || start_ms == INT64_MAX)
		return rc;
	rc = log_import_at(connection, &asked, start_ms, IMPORT_ASK_MS, asking->begins, error);
	for (size_t i = 0; rc == 0 && i < asking->len; i++)
		if (asking->begins[i] < 0)
			asking->begins[i] = asking->ends[i].end;
	return rc;
}

static void begin(struct asking *asking, size_t i)
{
	struct import_part *part = asking->parts[i];
	const struct mark mark = mark_of(&part->place);
	const struct import_found found = {
		.committed = asking->commits[i].offset,
		.begun = strcmp(asking->marks[mark.slot].note, mark.note) == 0,
		.anchor = import_anchor_parse(asking->commits[i].note),
		.begin = asking->begins[i],
		.log_start = asking->ends[i].start,
		.log_end = asking->ends[i].end,
	};
	struct error error;

	part->log_end = found.log_end;
	if (!import_track_begin(&part->track, &found)) {
		import_part_stopped(part);
		return;
	}
	if (log_feed_start(part->source->feed, part->slot, part->place.topic, part->place.partition,
	                   part->track.position, &error) != 0) {
		import_part_restart(part, error.text);
		return;
	}
	part->reading = part->ready = true;
	part->at_end = false;
	part->trouble[0] = 0;
}

/* One topic a turn, so that a silent Kafka costs each turn no more than its timeouts. */
static void ask_positions(struct import_source *source)
{
	struct asking *asking = malloc(sizeof *asking);
	struct error error;

	if (asking == NULL)
		return;
	asking->source = source;
	collect(asking);
	if (asking->len > 0) {
		int rc = ask(asking, &error);

		source->import->now_ms = clock_monotonic_ms();
		for (size_t i = 0; i < asking->len; i++)
			if (rc == 0)
				begin(asking, i);
			else
				import_part_restart(asking->parts[i], error.text);
	}
	free(asking);
}

/* When the next partition is to be asked about. */
static int64_t next_ask_ms(const struct import_source *source)
{
	const struct import *import = source->import;
	int64_t next_ms = INT64_MAX;

	for (uint32_t i = 0; i < import->parts_end; i++) {
		const struct import_part *part = import->parts[i];

		if (part != NULL && part->source == source && part->track.state == IMPORT_TRACK_ASKING &&
		    part->ask_ms < next_ms)
			next_ms = part->ask_ms;
	}
	return next_ms;
}

/* ---- commits ---- */

struct committing {
	struct import_part *parts[COMMITS_MAX];
	struct import_point points[COMMITS_MAX];
	size_t len;
	/* as Kafka gets it: the points, and marks */
	struct log_place places[COMMITS_MAX + LOG_SLOTS];
	struct log_commit commits[COMMITS_MAX + LOG_SLOTS];
	size_t commits_len;
	uint64_t marked; /* slots */
};

static void add_commit(struct committing *committing, const struct log_place *place, int64_t offset,
                       const char *note)
{
	struct log_commit *commit = &committing->commits[committing->commits_len];

	committing->places[committing->commits_len++] = *place;
	commit->offset = offset;
	(void)snprintf(commit->note, sizeof commit->note, "%s", note);
}

static void add_mark(struct import_part *part, struct committing *committing)
{
	struct import *import = part->source->import;
	const struct mark mark = mark_of(&part->place);
	uint64_t bit = UINT64_C(1) << mark.slot;
	struct log_place place;

	if (import->now_ms < part->mark_ms || (committing->marked & bit) != 0)
		return;
	part->mark_ms = import->now_ms + MARK_MS;
	committing->marked |= bit;
	mark_place(import, mark.slot, &place);
	add_commit(committing, &place, 0, mark.note);
}

static void commit_some(struct import_source *source, struct committing *committing)
{
	struct error error;

	if (committing->len > 0 && log_import_commit(source->group, committing->places, committing->commits,
	                                             committing->commits_len, &error) != 0)
		logline(LOG_LEVEL_INFO, "import_commit_failed", "source=\"%s\" reason=\"%s\"",
		        source->record.name, error.text);
	else
		for (size_t i = 0; i < committing->len; i++)
			import_track_committed(&committing->parts[i]->track, &committing->points[i]);
	committing->len = committing->commits_len = 0;
	committing->marked = 0;
}

static void commit_part(struct import_part *part, struct committing *committing)
{
	struct import_point *point = &committing->points[committing->len];
	char note[IMPORT_ANCHOR_TEXT_BYTES];

	if (!import_track_commit(&part->track, point))
		return;
	import_anchor_print(&point->anchor, note);
	add_commit(committing, &part->place, point->offset, note);
	add_mark(part, committing);
	committing->parts[committing->len++] = part;
	if (committing->len == COMMITS_MAX)
		commit_some(part->source, committing);
}

void import_source_commit(struct import_source *source)
{
	struct import *import = source->import;
	struct committing *committing = source->group == NULL ? NULL : calloc(1, sizeof *committing);

	source->commit_ms = import->now_ms + COMMIT_MS;
	if (committing == NULL)
		return;
	for (uint32_t i = 0; i < import->parts_end; i++)
		if (import->parts[i] != NULL && import->parts[i]->source == source)
			commit_part(import->parts[i], committing);
	commit_some(source, committing);
	free(committing);
}

/* ---- turns ---- */

/* What is still to come, for those who look. */
static void ask_ends(struct import_source *source)
{
	struct import *import = source->import;

	source->ends_ms = import->now_ms + ENDS_MS;
	for (uint32_t i = 0; i < import->parts_end; i++) {
		struct import_part *part = import->parts[i];
		struct log_partitions asked;
		struct log_ends ends;
		struct error error;

		if (part == NULL || part->source != source || part->track.state != IMPORT_TRACK_READING ||
		    part->at_end)
			continue;
		asked = (struct log_partitions){part->place.topic, &part->place.partition, 1};
		if (log_ask_all_ends(import->connection, &asked, IMPORT_ASK_MS, &ends, &error) != 0)
			return;
		part->log_end = ends.end;
	}
}

void import_source_turn(struct import_source *source)
{
	struct import *import = source->import;

	if (source->group != NULL && log_import_poll(source->group))
		reassign(source);
	if (!open_all(source))
		return;
	if (import->now_ms >= source->ask_ms) {
		ask_positions(source);
		source->ask_ms = next_ask_ms(source);
	}
	if (import->now_ms >= source->commit_ms)
		import_source_commit(source);
	if (import->now_ms >= source->ends_ms)
		ask_ends(source);
}
