/* One dead letter: what its headers say, as text for people and as JSON. */
#include "shared/cli/cli_dlq.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A letter as the broker takes it, every byte of it escaped. */
#define TEXT_BYTES_MAX (256U << 20)
/* What a terminal gets of one key, header or value. */
#define LINE_BYTES_MAX 1000
#define PAGE_BYTES_MAX 65536
#define DUMP_BYTES_MAX 4096
#define DUMP_WIDTH 16
#define LABEL_WIDTH 12

/* ---- reading ---- */

/* The last header of that name among those that the letter added; ptr NULL if there is none. */
static struct slice added(const struct dlq_letter *letter, const char *name)
{
	const struct record *record = letter->record;

	for (size_t i = record->headers_len; i > letter->headers_own; i--)
		if (slice_equal(record->headers[i - 1].name, slice_string(name)))
			return record->headers[i - 1].value;
	return slice_of(NULL, 0);
}

int64_t dlq_number(struct slice text, int64_t max)
{
	int64_t number = 0;

	if (text.len == 0 || text.len > 18)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		number = 10 * number + text.ptr[i] - '0';
	}
	return number <= max ? number : -1;
}

void dlq_letter_read(int32_t partition, const struct record *record, struct dlq_letter *letter)
{
	*letter = (struct dlq_letter){
		.partition = partition, .record = record, .headers_own = record->headers_len};
	/* a record that was a dead letter before has such headers of its own, in front of those that were added */
	for (size_t i = 0; i < record->headers_len; i++)
		if (slice_equal(record->headers[i].name, slice_string("__connect.errors.topic")))
			letter->headers_own = i;
	letter->topic = added(letter, "__connect.errors.topic");
	letter->log_partition = added(letter, "__connect.errors.partition");
	letter->log_offset = added(letter, "__connect.errors.offset");
	letter->stage = added(letter, "__connect.errors.stage");
	letter->reason = added(letter, "__connect.errors.exception.message");
	letter->code = added(letter, "millrace.error.code");
	if (letter->code.ptr == NULL) /* of Kafka Connect */
		letter->code = added(letter, "__connect.errors.exception.class.name");
	letter->index = added(letter, "millrace.index");
	letter->document_id = added(letter, "millrace.document_id");
	letter->attempts = added(letter, "millrace.attempts");
	letter->truncated = added(letter, "millrace.truncated");
	letter->checksum = added(letter, "millrace.checksum");
	letter->headers_omitted = added(letter, "millrace.headers_omitted");
	letter->key_truncated = added(letter, "millrace.key_truncated");
	letter->timestamp_ms = dlq_number(added(letter, "millrace.timestamp"), INT64_MAX);
}

/* ---- bytes ---- */

/* Whether it is UTF-8: then, and only then, JSON gives it back unchanged. */
static bool is_text(struct slice bytes)
{
	struct buffer quoted;
	struct error error;
	yyjson_doc *doc = NULL;
	bool same;

	buffer_init(&quoted, TEXT_BYTES_MAX);
	json_append_string(&quoted, bytes);
	same = !buffer_failed(&quoted) && json_parse_typed(buffer_slice(&quoted), &doc, &error) == 0 &&
	       slice_equal(json_string(yyjson_doc_get_root(doc)), bytes);
	yyjson_doc_free(doc);
	buffer_deinit(&quoted);
	return same;
}

/* DEL and U+0080 to U+009F: controls that JSON does not escape. */
static bool has_late_controls(struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.ptr[i] == 0x7f ||
		    (bytes.ptr[i] == 0xc2 && i + 1 < bytes.len && bytes.ptr[i + 1] < 0xa0))
			return true;
	return false;
}

/* Text that does nothing to a terminal; `lines`: line feeds and tabs may be in it. */
static bool is_printable(struct slice bytes, bool lines)
{
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.ptr[i] < 0x20 && !(lines && (bytes.ptr[i] == '\n' || bytes.ptr[i] == '\t')))
			return false;
	return !has_late_controls(bytes) && is_text(bytes);
}

/* The first `len_max` bytes, without cutting a character of text. */
static struct slice first_part(struct slice bytes, size_t len_max)
{
	if (bytes.len <= len_max)
		return bytes;
	for (int i = 0; i < 3 && len_max > 0 && (bytes.ptr[len_max] & 0xc0) == 0x80; i++)
		len_max--;
	return slice_of(bytes.ptr, len_max);
}

static void append_hex(struct buffer *text, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *at = buffer_grow(text, 2 * bytes.len);

	for (size_t i = 0; at != NULL && i < bytes.len; i++) {
		at[2 * i] = (uint8_t)digits[bytes.ptr[i] >> 4];
		at[2 * i + 1] = (uint8_t)digits[bytes.ptr[i] & 15];
	}
}

/* ---- text ---- */

/* On one line: as it is, as a JSON string, or as hex. */
static void append_line(struct buffer *text, struct slice bytes)
{
	struct slice shown = first_part(bytes, LINE_BYTES_MAX);

	if (bytes.ptr == NULL)
		buffer_append_string(text, "null");
	else if (bytes.len > 0 && is_printable(shown, false))
		buffer_append_slice(text, shown);
	else if (!has_late_controls(shown) && is_text(shown))
		json_append_string(text, shown);
	else
		append_hex(text, shown);
	if (shown.len < bytes.len)
		buffer_printf(text, " … %zu further bytes", bytes.len - shown.len);
}

static void append_label(struct buffer *text, const char *label)
{
	buffer_printf(text, "  %-*s ", LABEL_WIDTH, label);
}

static void append_field(struct buffer *text, const char *label, struct slice bytes)
{
	if (bytes.ptr == NULL)
		return;
	append_label(text, label);
	append_line(text, bytes);
	buffer_append_string(text, "\n");
}

/* Where in its log the record stands. */
static void append_record(struct buffer *text, const struct dlq_letter *letter)
{
	if (letter->topic.ptr == NULL)
		return;
	append_label(text, "record");
	append_line(text, letter->topic);
	buffer_append_string(text, " ");
	append_line(text, letter->log_partition);
	buffer_append_string(text, "@");
	append_line(text, letter->log_offset);
	buffer_append_string(text, "\n");
}

/* What the broker did not take; each number is what there was. */
static void append_cuts(struct buffer *text, const struct dlq_letter *letter)
{
	const struct record *record = letter->record;

	if (letter->truncated.ptr != NULL) {
		append_label(text, "cut");
		buffer_printf(text, "the value, here %zu bytes of ", record->value.len);
		append_line(text, letter->truncated);
		buffer_append_string(text, "; XXH3 of all of it ");
		append_line(text, letter->checksum);
		buffer_append_string(text, "\n");
	}
	if (letter->key_truncated.ptr != NULL) {
		append_label(text, "cut");
		buffer_printf(text, "the key, here %zu bytes of ", record->key.len);
		append_line(text, letter->key_truncated);
		buffer_append_string(text, "\n");
	}
	if (letter->headers_omitted.ptr != NULL) {
		append_label(text, "left out");
		append_line(text, letter->headers_omitted);
		buffer_append_string(text, " headers of the record\n");
	}
}

static void append_time(struct buffer *text, const char *label, int64_t timestamp_ms)
{
	char time[25];

	if (timestamp_ms < 0)
		return;
	clock_print(timestamp_ms, time);
	append_label(text, label);
	buffer_printf(text, "%s\n", time);
}

static void append_summary(struct buffer *text, const struct dlq_letter *letter, const char *topic)
{
	const struct record *record = letter->record;

	buffer_printf(text, "%" PRId32 "@%" PRId64 " of %s\n", letter->partition, record->offset, topic);
	append_field(text, "index", letter->index);
	append_field(text, "code", letter->code);
	append_field(text, "reason", letter->reason);
	append_field(text, "stage", letter->stage);
	append_record(text, letter);
	append_time(text, "time", record->timestamp_ms);
	append_time(text, "record time", letter->timestamp_ms);
	append_field(text, "document id", letter->document_id);
	append_field(text, "attempts", letter->attempts);
	append_cuts(text, letter);
}

static void append_headers(struct buffer *text, const struct dlq_letter *letter)
{
	for (size_t i = 0; i < letter->headers_own; i++) {
		const struct record_header *header = &letter->record->headers[i];

		buffer_append_string(text, i == 0 ? "headers\n  " : "  ");
		append_line(text, header->name);
		buffer_append_string(text, ": ");
		append_line(text, header->value);
		buffer_append_string(text, "\n");
	}
}

/* As hexdump -C does. */
static void append_dump(struct buffer *text, struct slice bytes)
{
	struct slice shown = slice_of(bytes.ptr, bytes.len < DUMP_BYTES_MAX ? bytes.len : DUMP_BYTES_MAX);

	for (size_t at = 0; at < shown.len; at += DUMP_WIDTH) {
		buffer_printf(text, "%08zx ", at);
		for (size_t i = at; i < at + DUMP_WIDTH; i++)
			if (i < shown.len)
				buffer_printf(text, " %02x", shown.ptr[i]);
			else
				buffer_append_string(text, "   ");
		buffer_append_string(text, "  |");
		for (size_t i = at; i < at + DUMP_WIDTH && i < shown.len; i++)
			buffer_put_u8(text, shown.ptr[i] >= 0x20 && shown.ptr[i] < 0x7f ? shown.ptr[i] : '.');
		buffer_append_string(text, "|\n");
	}
	if (shown.len < bytes.len)
		buffer_printf(text, "… %zu further bytes; --raw writes all of them\n", bytes.len - shown.len);
}

static void append_page(struct buffer *text, struct slice bytes)
{
	struct slice shown = first_part(bytes, PAGE_BYTES_MAX);

	buffer_append_slice(text, shown);
	if (shown.len == 0 || shown.ptr[shown.len - 1] != '\n')
		buffer_append_string(text, "\n");
	if (shown.len < bytes.len)
		buffer_printf(text, "… %zu further bytes; --raw writes the value as it is\n",
		              bytes.len - shown.len);
}

/* The value's JSON, its numbers as they are, in lines; NULL if it is none. free() it. */
static char *pretty(struct slice value, size_t *len)
{
	yyjson_doc *doc;
	struct error error;
	char *text;

	if (json_parse(value, JSON_DEPTH_MAX, &doc, &error) != 0)
		return NULL;
	text = yyjson_write_opts(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL, len, NULL);
	if (text != NULL && !is_printable(slice_of(text, *len), true)) {
		free(text);
		text = yyjson_write_opts(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ESCAPE_UNICODE,
		                         NULL, len, NULL);
	}
	yyjson_doc_free(doc);
	return text;
}

static void append_value(struct buffer *text, struct slice value)
{
	size_t len = 0;
	char *lines = value.ptr == NULL ? NULL : pretty(value, &len);

	if (value.ptr == NULL) {
		buffer_append_string(text, "value null\n");
	} else if (lines != NULL && is_printable(slice_of(lines, len), true)) {
		buffer_printf(text, "value, %zu bytes of JSON\n", value.len);
		append_page(text, slice_of(lines, len));
	} else if (is_printable(value, true)) {
		buffer_printf(text, "value, %zu bytes of text\n", value.len);
		append_page(text, value);
	} else {
		buffer_printf(text, "value, %zu bytes\n", value.len);
		append_dump(text, value);
	}
	free(lines);
}

int dlq_letter_print(const struct dlq_letter *letter, const char *topic)
{
	struct buffer text;
	bool failed;

	buffer_init(&text, TEXT_BYTES_MAX);
	append_summary(&text, letter, topic);
	append_headers(&text, letter);
	if (letter->record->key.ptr == NULL)
		buffer_append_string(&text, "key null\n");
	else
		buffer_printf(&text, "key, %zu bytes\n", letter->record->key.len);
	if (letter->record->key.len > 0) {
		append_line(&text, letter->record->key);
		buffer_append_string(&text, "\n");
	}
	append_value(&text, letter->record->value);
	failed = buffer_failed(&text);
	if (!failed)
		failed = fwrite(text.ptr, 1, text.len, stdout) != text.len;
	buffer_deinit(&text);
	return failed ? -1 : 0;
}

/* ---- JSON ---- */

void dlq_append_time(struct buffer *json, int64_t timestamp_ms)
{
	char text[25];

	if (timestamp_ms < 0) {
		buffer_append_string(json, "null");
		return;
	}
	clock_print(timestamp_ms, text);
	buffer_printf(json, "\"%s\"", text);
}

/* null, {"bytes":3,"text":"abc"} or {"bytes":2,"hex":"fffe"} */
static void append_bytes(struct buffer *json, struct slice bytes)
{
	if (bytes.ptr == NULL) {
		buffer_append_string(json, "null");
		return;
	}
	buffer_printf(json, "{\"bytes\":%zu,", bytes.len);
	if (is_text(bytes)) {
		buffer_append_string(json, "\"text\":");
		json_append_string(json, bytes);
	} else {
		buffer_append_string(json, "\"hex\":\"");
		append_hex(json, bytes);
		buffer_append_string(json, "\"");
	}
	buffer_append_string(json, "}");
}

static void append_text(struct buffer *json, const char *name, struct slice text)
{
	buffer_printf(json, ",\"%s\":", name);
	if (text.ptr == NULL)
		buffer_append_string(json, "null");
	else
		json_append_string(json, text);
}

/* A header that holds a number; anything else in it is null. */
static void append_number(struct buffer *json, const char *name, struct slice text)
{
	int64_t number = dlq_number(text, INT64_MAX);

	buffer_printf(json, ",\"%s\":", name);
	if (number >= 0)
		buffer_printf(json, "%" PRId64, number);
	else
		buffer_append_string(json, "null");
}

void dlq_letter_append(const struct dlq_letter *letter, struct buffer *json)
{
	const struct record *record = letter->record;

	buffer_printf(json, "{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"time\":", letter->partition,
	              record->offset);
	dlq_append_time(json, record->timestamp_ms);
	buffer_append_string(json, ",\"record_time\":");
	dlq_append_time(json, letter->timestamp_ms);
	append_text(json, "index", letter->index);
	append_text(json, "code", letter->code);
	append_text(json, "reason", letter->reason);
	append_text(json, "stage", letter->stage);
	append_text(json, "document_id", letter->document_id);
	append_number(json, "attempts", letter->attempts);
	append_text(json, "log", letter->topic);
	append_number(json, "log_partition", letter->log_partition);
	append_number(json, "log_offset", letter->log_offset);
	append_number(json, "truncated", letter->truncated);
	append_text(json, "checksum", letter->checksum);
	append_number(json, "headers_omitted", letter->headers_omitted);
	append_number(json, "key_truncated", letter->key_truncated);
	buffer_append_string(json, ",\"headers\":[");
	for (size_t i = 0; i < record->headers_len; i++) {
		buffer_append_string(json, i == 0 ? "{\"name\":" : ",{\"name\":");
		json_append_string(json, record->headers[i].name);
		buffer_append_string(json, ",\"value\":");
		append_bytes(json, record->headers[i].value);
		buffer_append_string(json, "}");
	}
	buffer_append_string(json, "],\"key\":");
	append_bytes(json, record->key);
	buffer_append_string(json, ",\"value\":");
	append_bytes(json, record->value);
	buffer_append_string(json, "}");
}
