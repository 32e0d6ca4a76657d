/*
 * Sequence model: a random log of everything that a log may hold, what it
 * amounts to, kept in plain arrays, and a comparison of a replica with that:
 * contents, order, words, digest, watermark, seals, identities and origins.
 *
 * A document is a list of members with numbered values; of each value it is
 * written down what its text is, which words it has, and what filters say of
 * it. The member `text` has words of a vocabulary of the sequence's own; how
 * large that is, how many ids there are, how long documents and ranges get and
 * how often what happens is drawn for each sequence.
 */
#ifndef MILLRACE_TESTS_UNIT_SEQUENCE_MODEL_H
#define MILLRACE_TESTS_UNIT_SEQUENCE_MODEL_H

#include "shard/core/replica.h"
#include "shared/record/marks.h"

#include "tests/unit/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEQUENCE_INDEX 0x8877665544332211ULL
#define SEQUENCE_RULES 7
#define SEQUENCE_IDS_MAX 600
#define SEQUENCE_ID_BYTES_MAX 500
#define SEQUENCE_MEMBERS 7
#define SEQUENCE_VALUES 5
#define SEQUENCE_SOURCES 3
#define SEQUENCE_WORD_BYTES 24
#define MEMBER_TEXT 5

/* Values of the members but `text`; 0: none. */
static const struct {
	const char *name;
	const char *json[SEQUENCE_VALUES];
	const char *words[SEQUENCE_VALUES]; /* with blanks around */
} sequence_members[SEQUENCE_MEMBERS] = {
	{"n", {NULL, "1", "2.50", "7", "-3e0"}, {NULL, " 1 ", " 2 5 ", " 7 ", " 3 0 "}},
	{"c",
         {NULL, "\"Rot\"", "\"ROT\"", "\"\xc3\x89\"", "\"e\xcc\x81\""},
         {NULL, " rot ", " rot ", " e ", " e "}},
	{"t",
         {NULL, "\"alpha beta\"", "null", "[\"gamma\",{\"x\":true}]", "\"\\u0061lpha\""},
         {NULL, " alpha beta ", "", " gamma true ", " alpha "}},
	{"deep.er", {NULL, "{\"a\":1}", "{}", "\"\"", "[[],[1]]"}, {NULL, " 1 ", "", "", " 1 "}},
	{"s",
         {NULL, "\"Na\xc3\xafve-alphabet\"", "\"al\"", "[\"w1\",\"42\"]", "false"},
         {NULL, " naive alphabet ", " al ", " w1 42 ", " false "}},
	{"text", {NULL}, {NULL}},
	{"_geo",
         {NULL, "{\"lat\":1,\"lng\":-2.0}", "{\"lat\":\"7\",\"lng\":3}", "{\"lat\":1}",
          "{\"lat\":1.0,\"lng\":-2}"},
         {NULL, " 1 2 0 ", " 7 3 ", " 1 ", " 1 0 2 "}},
};
/* But for those that rules may leave out. */
static const char *const sequence_words[] = {"1",        "2",     "7",     "3",     "rot",
                                             "e",        "alpha", "beta",  "gamma", "true",
                                             "alphabet", "al",    "false", "naive", "absent"};
#define SEQUENCE_WORDS (sizeof sequence_words / sizeof sequence_words[0])

struct sequence_document {
	bool exists;
	struct insertion_key key;
	uint8_t order[SEQUENCE_MEMBERS];
	uint8_t members;
	bool spaced; /* the text that was put has blanks */
	uint32_t value[SEQUENCE_MEMBERS];
};

enum record_state {
	RECORD_STATE_OPERATION = 0,
	RECORD_STATE_COVERED, /* read, and without operation */
	RECORD_STATE_SKIPPED
};

struct sequence_record {
	enum record_state state;
	enum op_kind kind;
	size_t id;
	size_t filter;
	struct insertion_key key;
	struct sequence_document sent;
	bool has_identity;
	bool has_origin;
	bool ends_range;
	struct origin origin;
};

struct sequence_filter {
	const char *json;
	bool (*matches)(const struct sequence_document *document);
};

struct sequence_seal {
	int64_t offset;
	struct hash128 digest;
};

struct sequence {
	uint64_t dice;
	char directory[48];
	/* drawn once */
	size_t ids_len;
	bool long_ids;
	bool noting;
	bool barriers;
	uint64_t vocabulary;
	uint64_t text_words_max;
	uint64_t ops_max; /* of a range */
	size_t document_bytes_max;
	int64_t window;
	int64_t base;
	char ids[SEQUENCE_IDS_MAX][SEQUENCE_ID_BYTES_MAX];
	/* the log */
	struct sequence_record *log; /* [offset - base] */
	size_t log_size;
	int64_t end;
	/* what the replica should be */
	struct sequence_document documents[SEQUENCE_IDS_MAX];
	int64_t received;
	int64_t stored; /* at least */
	struct sequence_seal seals[64];
	size_t seals_len;
	unsigned attributes; /* those set last, as bits */
	uint64_t attributes_version;
	uint64_t attributes_checked;
	unsigned stops;        /* words that are to be left out, as bits … */
	unsigned stops_coming; /* … and soon: if they are others */
	bool cutting_waits;    /* … and are not yet */
	/* and the replica */
	uint64_t session;
	struct replica *replica;
	struct buffer text;
};

static inline uint64_t sequence_draw(struct sequence *sequence, uint64_t bound)
{
	uint64_t z = (sequence->dice += 0x9e3779b97f4a7c15U);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (z ^ z >> 31) % bound;
}

/* True once in `times`. */
static inline bool sequence_chance(struct sequence *sequence, uint64_t times)
{
	return sequence_draw(sequence, times) == 0;
}

/* ---- documents ---- */

static inline bool sequence_small(const struct sequence_document *document)
{
	return document->value[0] == 1 || document->value[0] == 2 || document->value[0] == 4;
}

static inline bool sequence_red(const struct sequence_document *document)
{
	return document->value[1] == 1 || document->value[1] == 2;
}

static inline bool sequence_accent(const struct sequence_document *document)
{
	return document->value[1] == 3 || document->value[1] == 4;
}

static inline bool sequence_pair(const struct sequence_document *document)
{
	return document->value[0] == 3 && document->value[2] != 0;
}

static inline bool sequence_absent(const struct sequence_document *document)
{
	return document->value[0] == 0 && document->value[3] != 1;
}

static const struct sequence_filter sequence_filters[] = {
	{"\"n < 3\"", sequence_small},
	{"\"c = rOt\"", sequence_red},
	{"[[\"c = '\\u00e9'\"]]", sequence_accent},
	{"[\"n >= 7\",\"t EXISTS\"]", sequence_pair},
	{"\"NOT n EXISTS AND deep.er.a != 1\"", sequence_absent},
};
#define SEQUENCE_FILTERS (sizeof sequence_filters / sizeof sequence_filters[0])

/* Some are so long that they are no word, and alike for most of it. */
static inline void sequence_ids(struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->ids_len; i++) {
		size_t len = sequence->long_ids && i % 5 == 3 ? SEQUENCE_ID_BYTES_MAX - 24 : 0;

		memset(sequence->ids[i], 'x', len);
		(void)snprintf(sequence->ids[i] + len, 24, "d%zu", i);
	}
}

static inline struct slice sequence_id(const struct sequence *sequence, size_t id)
{
	return slice_string(sequence->ids[id]);
}

static inline uint64_t text_words_len(const struct sequence *sequence, uint32_t value)
{
	return value % (sequence->text_words_max + 1);
}

static inline uint64_t text_word(const struct sequence *sequence, uint32_t value, uint64_t at)
{
	return ((uint64_t)value * 31 + at * at * 17 + at) % sequence->vocabulary;
}

/* Appends what a put or merge of it leaves as the stored text. */
static inline void sequence_text(const struct sequence *sequence, const struct sequence_document *document,
                                 struct slice id, struct buffer *text)
{
	const char *space = document->spaced ? " \n" : "";

	buffer_printf(text, "{%s\"id\"%s:%s\"%.*s\"", space, space, space, SLICE_ARGS(id));
	for (size_t i = 0; i < document->members; i++) {
		size_t member = document->order[i];
		uint32_t value = document->value[member];

		buffer_printf(text, "%s,\"%s\":%s", space, sequence_members[member].name, space);
		if (member != MEMBER_TEXT) {
			buffer_append_string(text, sequence_members[member].json[value]);
			continue;
		}
		buffer_append_string(text, "\"");
		for (uint64_t at = 0; at < text_words_len(sequence, value); at++)
			buffer_printf(text, "W%" PRIu64 ", ", text_word(sequence, value, at));
		buffer_append_string(text, "\"");
	}
	buffer_printf(text, "%s}", space);
	CU_ASSERT_FALSE_FATAL(buffer_failed(text));
}

static inline void sequence_set(struct sequence_document *document, size_t member, uint32_t value)
{
	if (document->value[member] == 0)
		document->order[document->members++] = (uint8_t)member;
	document->value[member] = value;
}

/* 2: it has the word, 1: one that begins so, 0: neither. */
static inline int words_have(const char *words, const char *word)
{
	size_t len = strlen(word);
	int found = 0;

	for (const char *at = words; (at = strstr(at, word)) != NULL && found < 2; at++)
		if (at > words && at[-1] == ' ')
			found = at[len] == ' ' ? 2 : 1;
	return found;
}

static inline int sequence_has(const struct sequence *sequence, size_t id, const char *word)
{
	const struct sequence_document *document = &sequence->documents[id];
	char known[SEQUENCE_WORD_BYTES + 2];
	int found = 0;

	(void)snprintf(known, sizeof known, " d%zu ", id);
	if (!(sequence->long_ids && id % 5 == 3))
		found = words_have(known, word);
	for (size_t i = 0; i < document->members && found < 2; i++) {
		size_t member = document->order[i];
		uint32_t value = document->value[member];
		int here = 0;

		if (member != MEMBER_TEXT)
			here = words_have(sequence_members[member].words[value], word);
		for (uint64_t at = 0; member == MEMBER_TEXT && word[0] == 'w' &&
		                      at < text_words_len(sequence, value) && here < 2;
		     at++) {
			int one;

			(void)snprintf(known, sizeof known, " w%" PRIu64 " ", text_word(sequence, value, at));
			one = words_have(known, word);
			here = one > here ? one : here;
		}
		found = here > found ? here : found;
	}
	return found;
}

/* ---- the log and its fold ---- */

static inline enum op_kind sequence_kind(struct sequence *sequence)
{
	uint64_t what = sequence_draw(sequence, sequence->barriers ? 104 : 100);

	if (what < 45)
		return OP_KIND_PUT;
	if (what < 62)
		return OP_KIND_MERGE;
	if (what < 70)
		return OP_KIND_PUT_IF_EXISTS;
	if (what < 82)
		return OP_KIND_MERGE_IF_EXISTS;
	if (what < 100)
		return OP_KIND_DELETE;
	return what < 103 ? OP_KIND_DELETE_BY_FILTER : OP_KIND_DELETE_ALL;
}

static inline void sequence_note(struct sequence *sequence, struct sequence_record *record)
{
	static const char *const sources[SEQUENCE_SOURCES] = {"shop.orders", "shop.orders-eu", "x"};

	record->has_identity = sequence_draw(sequence, 3) != 0;
	record->has_origin = sequence_chance(sequence, 2);
	record->origin =
		(struct origin){slice_string(sources[sequence_draw(sequence, SEQUENCE_SOURCES)]),
	                        (uint32_t)sequence_draw(sequence, 3), (int32_t)sequence_draw(sequence, 2),
	                        (int64_t)sequence_draw(sequence, 1000), (uint32_t)sequence_draw(sequence, 2)};
}

static inline struct sequence_record *sequence_record(const struct sequence *sequence, int64_t offset)
{
	return &sequence->log[offset - sequence->base];
}

static inline void sequence_append(struct sequence *sequence)
{
	struct sequence_record *record;

	if ((size_t)(sequence->end - sequence->base) == sequence->log_size) {
		sequence->log_size = sequence->log_size == 0 ? 256 : sequence->log_size * 2;
		sequence->log = realloc(sequence->log, sequence->log_size * sizeof sequence->log[0]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sequence->log);
	}
	record = sequence_record(sequence, sequence->end++);
	*record = (struct sequence_record){
		.id = sequence_draw(sequence, sequence->ids_len),
		.filter = sequence_draw(sequence, SEQUENCE_FILTERS),
		.kind = sequence_kind(sequence),
		.key = {(int64_t)sequence_draw(sequence, 9), (uint32_t)sequence_draw(sequence, 2)}};
	if (sequence_chance(sequence, 20))
		record->state = sequence_chance(sequence, 3) ? RECORD_STATE_SKIPPED : RECORD_STATE_COVERED;
	if (sequence->noting)
		sequence_note(sequence, record);
	record->sent.spaced = sequence_chance(sequence, 3);
	for (uint64_t i = sequence_draw(sequence, SEQUENCE_MEMBERS); i-- > 0;) {
		size_t member = sequence_draw(sequence, SEQUENCE_MEMBERS);

		sequence_set(&record->sent, member,
		             1 + (uint32_t)sequence_draw(
					 sequence, member == MEMBER_TEXT ? 1000000 : SEQUENCE_VALUES - 1));
	}
}

static inline void sequence_merge(struct sequence *sequence, struct sequence_document *document,
                                  const struct sequence_record *record)
{
	struct sequence_document merged = *document;

	for (size_t i = 0; i < record->sent.members; i++)
		sequence_set(&merged, record->sent.order[i], record->sent.value[record->sent.order[i]]);
	merged.spaced = false;
	buffer_clear(&sequence->text);
	sequence_text(sequence, &merged, sequence_id(sequence, record->id), &sequence->text);
	if (sequence->text.len <= sequence->document_bytes_max)
		*document = merged;
}

static inline void sequence_fold(struct sequence *sequence, const struct sequence_record *record)
{
	struct sequence_document *document = &sequence->documents[record->id];
	enum op_kind kind = record->kind;

	if (record->state != RECORD_STATE_OPERATION)
		return;
	if (op_kind_is_barrier(kind)) {
		for (size_t i = 0; i < sequence->ids_len; i++)
			if (kind == OP_KIND_DELETE_ALL ||
			    sequence_filters[record->filter].matches(&sequence->documents[i]))
				sequence->documents[i].exists = false;
	} else if (kind == OP_KIND_DELETE) {
		document->exists = false;
	} else if (document->exists && (kind == OP_KIND_MERGE || kind == OP_KIND_MERGE_IF_EXISTS)) {
		sequence_merge(sequence, document, record);
	} else if (document->exists || kind == OP_KIND_PUT || kind == OP_KIND_MERGE) {
		struct insertion_key key = document->exists ? document->key : record->key;

		*document = record->sent;
		document->exists = true;
		document->key = key;
	}
}

/* Of one id: its stored text in `text`. */
static inline struct slice sequence_body(struct sequence *sequence, size_t id)
{
	buffer_clear(&sequence->text);
	sequence_text(sequence, &sequence->documents[id], sequence_id(sequence, id), &sequence->text);
	return buffer_slice(&sequence->text);
}

static inline struct hash128 sequence_digest(struct sequence *sequence, uint64_t *count, uint64_t *body_bytes)
{
	struct hash128 digest = {0, 0};
	struct buffer scratch;

	buffer_init(&scratch, 1 << 20);
	*count = *body_bytes = 0;
	for (size_t i = 0; i < sequence->ids_len; i++) {
		struct slice body;

		if (!sequence->documents[i].exists)
			continue;
		body = sequence_body(sequence, i);
		hash128_add(&digest, document_digest(SEQUENCE_INDEX, sequence_id(sequence, i), body,
		                                     sequence->documents[i].key, &scratch));
		*body_bytes += body.len;
		(*count)++;
	}
	buffer_deinit(&scratch);
	return digest;
}

/* The replica has received up to `to`. */
static inline void sequence_advance(struct sequence *sequence, int64_t to)
{
	uint64_t ignored[2];

	while (sequence->received < to)
		sequence_fold(sequence, sequence_record(sequence, sequence->received++));
	if (to % RANGE_SEAL != 0 || to == sequence->base ||
	    (sequence->seals_len > 0 && sequence->seals[sequence->seals_len - 1].offset >= to))
		return;
	CU_ASSERT_TRUE_FATAL(sequence->seals_len < sizeof sequence->seals / sizeof sequence->seals[0]);
	sequence->seals[sequence->seals_len++] =
		(struct sequence_seal){to, sequence_digest(sequence, &ignored[0], &ignored[1])};
}

/* It has lost what is at or above `to`. */
static inline void sequence_rewind(struct sequence *sequence, int64_t to)
{
	while (sequence->seals_len > 0 && sequence->seals[sequence->seals_len - 1].offset > to)
		sequence->seals_len--;
	memset(sequence->documents, 0, sizeof sequence->documents);
	for (sequence->received = sequence->base; sequence->received < to; sequence->received++)
		sequence_fold(sequence, sequence_record(sequence, sequence->received));
}

#endif
