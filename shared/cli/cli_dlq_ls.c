/* `millrace dlq ls`: the letters of each index and code, counted, with an example. */
#include "shared/base/hash.h"
#include "shared/cli/cli_dlq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES_MAX 256
#define REASON_CHARACTERS_MAX 80
#define REASON_BYTES_MAX (4 * REASON_CHARACTERS_MAX)

struct group_text {
	size_t len;
	bool absent;
	uint8_t bytes[RECORD_ID_BYTES_MAX + 1];
};

/* Letters of one index and code; the example is the newest. */
struct group {
	uint64_t hash; /* of index and code */
	struct group_text index;
	struct group_text code;
	uint64_t letters;
	int64_t first_ms; /* -1: none has a time */
	int64_t last_ms;
	int32_t partition;
	int64_t offset;
	struct group_text document_id;
	struct group_text reason;
};

struct groups {
	const struct dlq_filter *filter;
	struct group *list; /* DLQ_GROUPS_MAX */
	size_t len;
	uint64_t letters;
	uint64_t not_grouped; /* letters of further groups */
};

static const struct cli_column columns[] = {
	{"INDEX", "index", false},
	{"CODE", "code", false},
	{"LETTERS", "letters", true},
	{"FIRST", "first", false},
	{"LAST", "last", false},
	{"EXAMPLE", "example", false},
	{"DOCUMENT ID", "document_id", false},
	{"REASON", "reason", false},
	{NULL, NULL, false},
};

/* ---- grouping ---- */

static void text_set(struct group_text *text, struct slice bytes, size_t len_max)
{
	text->absent = bytes.ptr == NULL;
	text->len = bytes.len < len_max ? bytes.len : len_max;
	if (!text->absent)
		memcpy(text->bytes, bytes.ptr, text->len);
}

static struct slice text_slice(const struct group_text *text)
{
	return text->absent ? slice_of(NULL, 0) : slice_of(text->bytes, text->len);
}

static bool text_is(const struct group_text *text, struct slice bytes)
{
	if (text->absent || bytes.ptr == NULL)
		return text->absent && bytes.ptr == NULL;
	bytes.len = bytes.len < NAME_BYTES_MAX ? bytes.len : NAME_BYTES_MAX;
	return slice_equal(text_slice(text), bytes);
}

/* Bytes of the first REASON_CHARACTERS_MAX characters. */
static size_t reason_bytes(struct slice reason)
{
	size_t characters = 0;
	size_t at = 0;

	for (; at < reason.len && at < REASON_BYTES_MAX; at++) {
		characters += (reason.ptr[at] & 0xc0) != 0x80;
		if (characters > REASON_CHARACTERS_MAX)
			break;
	}
	return at;
}

/* The letter's group, made if it is the first of it; NULL if there are too many. */
static struct group *group_of(struct groups *groups, const struct dlq_letter *letter)
{
	uint64_t hash = hash64(letter->code, hash64(letter->index, 0));
	struct group *group;

	for (size_t i = 0; i < groups->len; i++) {
		group = &groups->list[i];
		if (group->hash == hash && text_is(&group->index, letter->index) &&
		    text_is(&group->code, letter->code))
			return group;
	}
	if (groups->len == DLQ_GROUPS_MAX)
		return NULL;
	group = &groups->list[groups->len++];
	*group = (struct group){.hash = hash, .first_ms = -1, .last_ms = -1};
	text_set(&group->index, letter->index, NAME_BYTES_MAX);
	text_set(&group->code, letter->code, NAME_BYTES_MAX);
	return group;
}

static int take(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct groups *groups = context;
	int64_t time_ms = record->timestamp_ms;
	struct dlq_letter letter;
	struct group *group;

	(void)error;
	dlq_letter_read(partition, record, &letter);
	if (!dlq_filter_accepts(groups->filter, &letter))
		return 0;
	groups->letters++;
	group = group_of(groups, &letter);
	if (group == NULL) {
		groups->not_grouped++;
		return 0;
	}
	group->letters++;
	if (time_ms >= 0 && (group->first_ms < 0 || time_ms < group->first_ms))
		group->first_ms = time_ms;
	if (time_ms < group->last_ms)
		return 0;
	group->last_ms = time_ms;
	group->partition = partition;
	group->offset = record->offset;
	text_set(&group->document_id, letter.document_id, RECORD_ID_BYTES_MAX);
	text_set(&group->reason, letter.reason, reason_bytes(letter.reason));
	return 0;
}

/* Newest first. */
static int compare(const void *left, const void *right)
{
	const struct group *a = left;
	const struct group *b = right;
	int order;

	if (a->last_ms != b->last_ms)
		return a->last_ms > b->last_ms ? -1 : 1;
	order = slice_compare(text_slice(&a->index), text_slice(&b->index));
	return order != 0 ? order : slice_compare(text_slice(&a->code), text_slice(&b->code));
}

/* ---- printing ---- */

static void append_text(struct buffer *json, const char *name, const struct group_text *text)
{
	buffer_printf(json, ",\"%s\":", name);
	if (text->absent)
		buffer_append_string(json, "null");
	else
		json_append_string(json, text_slice(text));
}

static void append_group(struct buffer *json, const struct group *group)
{
	buffer_printf(json, "{\"letters\":%" PRIu64, group->letters);
	append_text(json, "index", &group->index);
	append_text(json, "code", &group->code);
	buffer_append_string(json, ",\"first\":");
	dlq_append_time(json, group->first_ms);
	buffer_append_string(json, ",\"last\":");
	dlq_append_time(json, group->last_ms);
	buffer_printf(json, ",\"example\":\"%" PRId32 "@%" PRId64 "\"", group->partition, group->offset);
	append_text(json, "document_id", &group->document_id);
	append_text(json, "reason", &group->reason);
	buffer_append_string(json, "}");
}

static void append_groups(struct buffer *json, const struct groups *groups, const char *topic)
{
	buffer_append_string(json, "{\"topic\":");
	json_append_string(json, slice_string(topic));
	buffer_printf(json, ",\"letters\":%" PRIu64 ",\"not_grouped\":%" PRIu64 ",\"groups\":[",
	              groups->letters, groups->not_grouped);
	for (size_t i = 0; i < groups->len; i++) {
		if (i > 0)
			buffer_append_string(json, ",");
		append_group(json, &groups->list[i]);
	}
	buffer_append_string(json, "]}");
}

static int print_table(const struct groups *groups, yyjson_val *list, const char *topic)
{
	if (cli_print_table(columns, list, "no dead letters") != 0)
		return cli_fail("dlq", "out of memory");
	if (groups->len > 0)
		printf("\n%" PRIu64 " dead letters in %s; `millrace dlq show %" PRId32 "@%" PRId64
		       "` shows the newest,\n`millrace dlq replay --reason CODE` puts those back whose cause "
		       "is "
		       "gone\n",
		       groups->letters, topic, groups->list[0].partition, groups->list[0].offset);
	if (groups->not_grouped > 0)
		printf("%" PRIu64
		       " of them are in none of the %d groups that can be listed: name an --index or "
		       "a --code\n",
		       groups->not_grouped, DLQ_GROUPS_MAX);
	return 0;
}

static int print(const struct groups *groups, const char *topic, bool as_json)
{
	yyjson_doc *doc = NULL;
	struct buffer json;
	struct error error;
	int result;

	buffer_init(&json, CLI_ANSWER_BYTES_MAX);
	append_groups(&json, groups, topic);
	if (buffer_failed(&json))
		result = cli_fail("dlq", "out of memory");
	else if (json_parse_typed(buffer_slice(&json), &doc, &error) != 0)
		result = cli_fail("dlq", "%s", error.text);
	else if (as_json)
		result = cli_print_json("dlq", yyjson_doc_get_root(doc));
	else
		result = print_table(groups, yyjson_obj_get(yyjson_doc_get_root(doc), "groups"), topic);
	yyjson_doc_free(doc);
	buffer_deinit(&json);
	return result;
}

int dlq_list(struct dlq *dlq, const struct dlq_filter *filter, bool json)
{
	struct groups groups = {.filter = filter};
	struct error error;
	int result;

	groups.list = calloc(DLQ_GROUPS_MAX, sizeof *groups.list);
	if (groups.list == NULL)
		return cli_fail("dlq", "out of memory");
	if (dlq_read_all(dlq, take, &groups, &error) != 0) {
		result = cli_fail("dlq", "%s", error.text);
	} else {
		qsort(groups.list, groups.len, sizeof *groups.list, compare);
		result = print(&groups, dlq->topic, json);
	}
	free(groups.list);
	return result;
}
