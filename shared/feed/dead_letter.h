/*
 * Dead letter: what the dead-letter topic gets for a record that was refused.
 *
 * Original key, value, timestamp and headers, followed by Kafka Connect's
 * error headers (so that its tools read them) and Millrace's own:
 *
 *   __connect.errors.topic .partition .offset .connector.name .task.id .stage
 *   .class.name .exception.class.name .exception.message .exception.stacktrace
 *   millrace.error.code .index .document_id .attempts .timestamp
 *
 * `attempts` says how often somebody set about the record: once, where it was
 * refused; as often as a program died of it, where it is skipped for that.
 *
 * The last is the record's own time in ms, absent where it has none: the topic
 * may stamp its messages with the time of their arrival.
 *
 * A message larger than `bytes_max` is cut until it fits. The value is cut
 * first; if that is not enough, the original headers are left out, and the
 * value gets the room that this leaves; then the key is cut. It is said by
 * millrace.truncated (the value's original length), millrace.checksum (XXH3
 * of the original value, 16 hex digits), millrace.headers_omitted (their
 * number) and millrace.key_truncated (the key's original length).
 *
 * Pure. The result borrows from the record and from `arena`.
 */
#ifndef MILLRACE_FEED_DEAD_LETTER_H
#define MILLRACE_FEED_DEAD_LETTER_H

#include "shared/record/record.h"

/* Room that every message needs beside its key, value and original headers. */
#define DEAD_LETTER_BYTES_MIN 4096

struct dead_letter_source {
	const char *topic; /* of the log */
	int32_t partition;
	const char *index; /* its uid */
	const struct record *record;
	const struct refusal *refusal;
	const char *code; /* of a judge other than record_decode; NULL: the refusal's */
	const char *stage;
	uint32_t deaths; /* of programs at this record; 0: it was judged at the first attempt */
};

struct dead_letter {
	struct slice key;
	struct slice value;
	int64_t timestamp_ms; /* 0: the record has none */
	const struct record_header *headers;
	size_t headers_len;
};

/* `bytes_max` is at least DEAD_LETTER_BYTES_MIN. False when out of memory. */
bool dead_letter_build(const struct dead_letter_source *source, size_t bytes_max, struct arena *arena,
                       struct dead_letter *letter);
/* An upper bound of the message's size on the wire. */
size_t dead_letter_bytes(const struct dead_letter *letter);

#endif
