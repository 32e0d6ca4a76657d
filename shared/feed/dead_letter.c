#include "shared/feed/dead_letter.h"

#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define OWN_HEADERS_MAX 19
/* Record and batch headers of Kafka's format 2, and the lengths of one header as varints. */
#define MESSAGE_OVERHEAD 128
#define HEADER_OVERHEAD 10

struct draft {
	struct arena *arena;
	struct record_header *headers;
	size_t headers_len;
	bool failed;
};

static void add(struct draft *draft, const char *name, struct slice value)
{
	draft->headers[draft->headers_len++] = (struct record_header){slice_string(name), value};
}

static void add_text(struct draft *draft, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_text(struct draft *draft, const char *name, const char *format, ...)
{
	char text[sizeof((struct refusal *)NULL)->text];
	struct slice copy = slice_of(NULL, 0);
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ASSERT(len >= 0 && (size_t)len < sizeof text);
	if (!arena_copy(draft->arena, slice_of(text, (size_t)len), &copy))
		draft->failed = true;
	add(draft, name, copy);
}

static struct slice first_bytes(struct slice bytes, size_t len_max)
{
	return slice_of(bytes.ptr, bytes.len < len_max ? bytes.len : len_max);
}

static void add_own(struct draft *draft, const struct dead_letter_source *source)
{
	const struct record *record = source->record;
	const struct refusal *refusal = source->refusal;
	const char *name = source->code != NULL ? source->code : refusal_name(refusal->code);
	const char *stage = source->code != NULL ? source->stage : refusal_stage(refusal->code);

	add_text(draft, "__connect.errors.topic", "%s", source->topic);
	add_text(draft, "__connect.errors.partition", "%" PRId32, source->partition);
	add_text(draft, "__connect.errors.offset", "%" PRId64, record->offset);
	add_text(draft, "__connect.errors.connector.name", "millrace-ingest");
	add_text(draft, "__connect.errors.task.id", "0");
	add_text(draft, "__connect.errors.stage", "%s", stage);
	add_text(draft, "__connect.errors.class.name", "millrace");
	add_text(draft, "__connect.errors.exception.class.name", "%s", name);
	add_text(draft, "__connect.errors.exception.message", "%s", refusal->text);
	add_text(draft, "__connect.errors.exception.stacktrace", "%s", "");
	add_text(draft, "millrace.error.code", "%s", name);
	add_text(draft, "millrace.index", "%s", source->index);
	add(draft, "millrace.document_id", first_bytes(record->key, RECORD_ID_BYTES_MAX));
	add_text(draft, "millrace.attempts", "%" PRIu32, source->deaths > 0 ? source->deaths : 1);
	if (record->timestamp_ms >= 0)
		add_text(draft, "millrace.timestamp", "%" PRId64, record->timestamp_ms);
}

size_t dead_letter_bytes(const struct dead_letter *letter)
{
	size_t bytes = MESSAGE_OVERHEAD + letter->key.len + letter->value.len;

	for (size_t i = 0; i < letter->headers_len; i++)
		bytes += HEADER_OVERHEAD + letter->headers[i].name.len + letter->headers[i].value.len;
	return bytes;
}

/* Puts our headers behind the first `kept` original ones. */
static void finish(struct draft *draft, const struct dead_letter_source *source, size_t kept,
                   struct dead_letter *letter)
{
	const struct record *record = source->record;

	draft->headers_len = 0;
	for (size_t i = 0; i < kept; i++)
		draft->headers[draft->headers_len++] = record->headers[i];
	add_own(draft, source);
	if (letter->value.len < record->value.len) {
		add_text(draft, "millrace.truncated", "%zu", record->value.len);
		add_text(draft, "millrace.checksum", "%016" PRIx64, hash64(record->value, 0));
	}
	if (kept < record->headers_len)
		add_text(draft, "millrace.headers_omitted", "%zu", record->headers_len - kept);
	if (letter->key.len < record->key.len)
		add_text(draft, "millrace.key_truncated", "%zu", record->key.len);
	letter->headers = draft->headers;
	letter->headers_len = draft->headers_len;
}

/* Cuts `bytes` by what the message has too much of; true if it fits then. */
static bool cut(struct slice *bytes, size_t too_much)
{
	bool fits = too_much <= bytes->len;

	bytes->len = fits ? bytes->len - too_much : 0;
	return fits;
}

/* Builds it with the first `kept` original headers, cutting the value; false if it is too large even without. */
static bool fit(struct draft *draft, const struct dead_letter_source *source, size_t kept, size_t room,
                struct dead_letter *letter)
{
	size_t bytes;
	bool fits;

	letter->value = source->record->value;
	finish(draft, source, kept, letter);
	bytes = dead_letter_bytes(letter);
	if (bytes <= room)
		return true;
	fits = cut(&letter->value, bytes - room);
	finish(draft, source, kept, letter);
	return fits;
}

bool dead_letter_build(const struct dead_letter_source *source, size_t bytes_max, struct arena *arena,
                       struct dead_letter *letter)
{
	const struct record *record = source->record;
	struct draft draft = {.arena = arena};
	struct dead_letter built = {
		.key = record->key,
		.timestamp_ms = record->timestamp_ms > 0 ? record->timestamp_ms : 0,
	};
	/* the headers that tell of a cut need room too */
	size_t room = bytes_max - 256;

	ASSERT(bytes_max >= DEAD_LETTER_BYTES_MIN);
	draft.headers = arena_alloc(arena, (record->headers_len + OWN_HEADERS_MAX) * sizeof *draft.headers);
	if (draft.headers == NULL)
		return false;
	if (!fit(&draft, source, record->headers_len, room, &built) &&
	    !fit(&draft, source, 0, room, &built)) {
		(void)cut(&built.key, dead_letter_bytes(&built) - room);
		finish(&draft, source, 0, &built);
	}
	if (draft.failed)
		return false;
	*letter = built;
	return true;
}
