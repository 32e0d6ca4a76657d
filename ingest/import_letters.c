/* Dead letters: a refused record is kept until its topic has taken it. */
#include "ingest/import_private.h"

#include "shared/base/assert.h"
#include "shared/feed/dead_letter.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 4096
#define LETTER_RETRY_MS 2000
#define PRODUCER_CLOSE_MS 100

/* ---- keeping ---- */

/* A null stays null, an empty value stays empty. */
static bool copy_bytes(struct arena *arena, struct slice bytes, struct slice *copy)
{
	*copy = bytes;
	return bytes.len == 0 || arena_copy(arena, bytes, copy);
}

static bool copy_record(struct import_letter *letter, const struct record *record)
{
	struct record_header *headers =
		arena_alloc(&letter->arena, (record->headers_len + 1) * sizeof *headers);
	bool copied = headers != NULL && copy_bytes(&letter->arena, record->key, &letter->record.key) &&
	              copy_bytes(&letter->arena, record->value, &letter->record.value);

	for (size_t i = 0; copied && i < record->headers_len; i++)
		copied = arena_copy(&letter->arena, record->headers[i].name, &headers[i].name) &&
		         copy_bytes(&letter->arena, record->headers[i].value, &headers[i].value);
	letter->record.offset = record->offset;
	letter->record.timestamp_ms = record->timestamp_ms;
	letter->record.headers = headers;
	letter->record.headers_len = record->headers_len;
	return copied;
}

static void free_letter(struct import_letter *letter)
{
	arena_deinit(&letter->arena);
	free(letter);
}

static void unlink_letter(struct import *import, const struct import_letter *letter)
{
	struct import_letter **at = &import->letters;

	while (*at != letter)
		at = &(*at)->next;
	*at = letter->next;
}

/* One that is out is freed when its end is heard of. */
void import_letters_forget(struct import *import, struct import_part *part)
{
	struct import_letter **at = &import->letters;

	while (*at != NULL) {
		struct import_letter *letter = *at;

		if (letter->slot != part->slot || letter->serial != part->serial) {
			at = &letter->next;
			continue;
		}
		*at = letter->next;
		letter->next = NULL;
		if (letter->send_ms == INT64_MAX)
			letter->serial = 0; /* of no part */
		else
			free_letter(letter);
	}
	part->source->letters -= part->letters;
	part->letters = part->held = 0;
}

/* ---- sending ---- */

static const char *topic_of(struct import *import, const struct import_source *source)
{
	return source->record.dead_letter_topic[0] != 0 ? source->record.dead_letter_topic
	                                                : log_name(import->connection, "dead-letter");
}

/* On the producer's thread. */
static void completed(void *context, int64_t offset, const struct error *error)
{
	struct import_sent *sent = context;

	(void)offset;
	if (error != NULL && error->code != 0)
		sent->error = *error;
	ASSERT(mailbox_put(sent->inbox, sent));
}

static int know_limit(struct import *import, struct import_source *source, struct error *error)
{
	char value[128];
	int rc;

	if (source->letter_bytes_max > 0)
		return 0;
	rc = log_topic_setting(import->connection, topic_of(import, source), "max.message.bytes",
	                       IMPORT_ASK_MS, value, error);
	if (rc != 0)
		return rc;
	source->letter_bytes_max = (size_t)strtoull(value, NULL, 10);
	if (source->letter_bytes_max < DEAD_LETTER_BYTES_MIN)
		source->letter_bytes_max = DEAD_LETTER_BYTES_MIN;
	return 0;
}

static int produce(struct import *import, const struct import_part *part, struct import_letter *letter,
                   struct import_sent *sent, struct error *error)
{
	const struct dead_letter_source from = {.topic = part->place.topic,
	                                        .partition = part->place.partition,
	                                        .index = part->source->uid,
	                                        .record = &letter->record,
	                                        .refusal = &letter->refusal,
	                                        .code = mapping_refusal_name(letter->code),
	                                        .stage = mapping_refusal_stage(letter->code)};
	struct dead_letter built;
	struct log_message message = {.topic = topic_of(import, part->source),
	                              .partition = -1,
	                              .completion = completed,
	                              .context = sent};

	if (!dead_letter_build(&from, part->source->letter_bytes_max, &import->scratch, &built))
		return error_memory(error, letter->record.value.len);
	message.key = built.key;
	message.value = built.value;
	message.timestamp_ms = built.timestamp_ms;
	message.headers = built.headers;
	message.headers_len = built.headers_len;
	return log_producer_send(import->letters_producer, &message, error);
}

static int send_letter(struct import *import, struct import_part *part, struct import_letter *letter,
                       struct error *error)
{
	struct import_sent *sent;
	int rc = know_limit(import, part->source, error);

	if (rc == 0 && import->letters_producer == NULL)
		rc = log_producer_open(import->config, &import->letters_producer, error);
	if (rc != 0)
		return rc;
	sent = calloc(1, sizeof *sent);
	if (sent == NULL)
		return error_memory(error, sizeof *sent);
	*sent = (struct import_sent){.inbox = import->inbox,
	                             .slot = letter->slot,
	                             .serial = letter->serial,
	                             .ticket = letter->ticket,
	                             .letter = letter};
	rc = produce(import, part, letter, sent, error);
	arena_clear(&import->scratch);
	if (rc != 0)
		free(sent);
	return rc;
}

/* Its partition waits, and says so. */
static void refused(struct import *import, struct import_part *part, struct import_letter *letter,
                    const struct error *error)
{
	struct import_source *source = part->source;

	/* the broker takes less than thought */
	if (error->code == ERROR_LIMIT && error->action == ERROR_ACTION_REJECT &&
	    source->letter_bytes_max / 2 >= DEAD_LETTER_BYTES_MIN)
		source->letter_bytes_max /= 2;
	letter->send_ms = import->now_ms + LETTER_RETRY_MS;
	if (part->held++ > 0)
		return;
	(void)snprintf(part->trouble, sizeof part->trouble,
	               "offset %" PRId64 " was refused (%s), and %.80s %s: %.80s", letter->record.offset,
	               mapping_refusal_name(letter->code), topic_of(import, source),
	               "does not take its dead letter", error->text);
	logline(LOG_LEVEL_ERROR, "source_partition_waits",
	        "index=%s source=\"%s\" topic=%s partition=%" PRId32 " reason=\"%s\"", source->uid,
	        source->record.name, part->place.topic, part->place.partition, part->trouble);
}

static void attempt(struct import *import, struct import_part *part, struct import_letter *letter)
{
	struct error error;

	letter->send_ms = INT64_MAX;
	if (send_letter(import, part, letter, &error) != 0)
		refused(import, part, letter, &error);
}

int import_letter_add(struct import_part *part, const struct record *record, const struct mapped *mapped,
                      uint64_t ticket, struct error *error)
{
	struct import *import = part->source->import;
	struct import_letter *letter = calloc(1, sizeof *letter);

	if (letter == NULL)
		return error_memory(error, sizeof *letter);
	arena_init(&letter->arena, ARENA_BLOCK_BYTES);
	if (!copy_record(letter, record)) {
		free_letter(letter);
		return error_memory(error, record->key.len + record->value.len);
	}
	letter->code = mapped->code;
	_Static_assert(sizeof letter->refusal.text >= sizeof mapped->text, "texts of refusals");
	memcpy(letter->refusal.text, mapped->text, sizeof mapped->text);
	letter->slot = part->slot;
	letter->serial = part->serial;
	letter->ticket = ticket;
	letter->next = import->letters;
	import->letters = letter;
	part->letters++;
	part->source->letters++;
	attempt(import, part, letter);
	return 0;
}

void import_letters_send(struct import *import)
{
	struct import_letter *next;

	for (struct import_letter *letter = import->letters; letter != NULL; letter = next) {
		struct import_part *part = import_part_find(import, letter->slot, letter->serial);

		next = letter->next;
		ASSERT(part != NULL);
		if (letter->send_ms > import->now_ms)
			continue;
		part->held--;
		attempt(import, part, letter);
	}
}

static void taken(struct import_part *part, const struct import_letter *letter)
{
	struct import_source *source = part->source;

	import_track_acknowledge(&part->track, letter->ticket);
	part->letters--;
	source->letters--;
	source->counts.dead_lettered++;
	series_add(source->counts.dead_lettered_total, 1);
	source->counts.progress_ms = clock_wall_ms();
	if (part->held == 0)
		part->trouble[0] = 0;
}

void import_letter_ended(struct import *import, struct import_letter *letter, const struct error *error)
{
	struct import_part *part = import_part_find(import, letter->slot, letter->serial);

	if (part == NULL) {
		free_letter(letter);
		return;
	}
	if (error->code != 0) {
		refused(import, part, letter, error);
		if (error->action == ERROR_ACTION_FATAL && import->letters_producer != NULL) {
			struct log_producer *ended = import->letters_producer;

			import->letters_producer = NULL;
			log_producer_close(ended, PRODUCER_CLOSE_MS);
		}
		return;
	}
	unlink_letter(import, letter);
	taken(part, letter);
	free_letter(letter);
}
