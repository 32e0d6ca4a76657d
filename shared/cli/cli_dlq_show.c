/* `millrace dlq show`: one letter by its place, or the newest that pass a filter. */
#include "shared/cli/cli_dlq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A letter as the broker takes it, every byte of it escaped. */
#define JSON_BYTES_MAX (256U << 20)

/* Where a letter stands, ordered by time. */
struct place {
	int64_t time_ms;
	int32_t partition;
	int64_t offset;
};

/* The newest `size` letters that pass, oldest of them first. */
struct newest {
	const struct dlq_filter *filter;
	struct place *list;
	size_t len;
	size_t size;
};

/* What is printed, letter by letter. */
struct showing {
	const struct dlq_choice *choice;
	const char *topic;
	size_t shown;
};

/* ---- which ---- */

static bool is_older(const struct place *a, const struct place *b)
{
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms;
	return a->partition != b->partition ? a->partition < b->partition : a->offset < b->offset;
}

static int collect(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct newest *newest = context;
	const struct place place = {record->timestamp_ms, partition, record->offset};
	struct dlq_letter letter;
	size_t at;

	(void)error;
	dlq_letter_read(partition, record, &letter);
	if (!dlq_filter_accepts(newest->filter, &letter))
		return 0;
	if (newest->len == newest->size) {
		if (is_older(&place, &newest->list[0]))
			return 0;
		newest->len--;
		memmove(newest->list, newest->list + 1, newest->len * sizeof *newest->list);
	}
	for (at = newest->len; at > 0 && is_older(&place, &newest->list[at - 1]); at--)
		newest->list[at] = newest->list[at - 1];
	newest->list[at] = place;
	newest->len++;
	return 0;
}

/* ---- printing ---- */

static int print_raw(const struct dlq_letter *letter)
{
	struct slice value = letter->record->value;

	if (value.ptr == NULL)
		fprintf(stderr, "millrace dlq: the value is null\n");
	if (letter->truncated.ptr != NULL)
		fprintf(stderr, "millrace dlq: the value was cut: %zu bytes are left of %.*s\n", value.len,
		        SLICE_ARGS(letter->truncated));
	return value.len == 0 || fwrite(value.ptr, 1, value.len, stdout) == value.len ? 0 : -1;
}

static int print_json(const struct dlq_letter *letter)
{
	struct buffer json;
	int result = -1;

	buffer_init(&json, JSON_BYTES_MAX);
	dlq_letter_append(letter, &json);
	if (!buffer_failed(&json) && fwrite(json.ptr, 1, json.len, stdout) == json.len)
		result = 0;
	buffer_deinit(&json);
	return result;
}

static int print(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct showing *showing = context;
	struct dlq_letter letter;
	int result;

	dlq_letter_read(partition, record, &letter);
	if (showing->choice->raw) {
		result = print_raw(&letter);
	} else if (showing->choice->json) {
		fputs(showing->shown > 0 ? ",\n" : "", stdout);
		result = print_json(&letter);
	} else {
		fputs(showing->shown > 0 ? "\n" : "", stdout);
		result = dlq_letter_print(&letter, showing->topic);
	}
	showing->shown++;
	if (result != 0)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY,
		                 "%" PRId32 "@%" PRId64 " cannot be written: no memory, or no room",
		                 partition, record->offset);
	return 0;
}

/* ---- one, by its place ---- */

static int show_place(struct dlq *dlq, int32_t partition, int64_t offset, struct showing *showing,
                      struct error *error)
{
	const struct dlq_range range = {partition, offset, offset + 1};
	size_t shown = showing->shown;
	int rc = dlq_check_place(dlq, partition, offset, error);

	if (rc == 0)
		rc = dlq_read(dlq, &range, print, showing, error);
	if (rc != 0 || showing->shown > shown)
		return rc;
	if (offset < dlq->ends[partition].start) /* since we asked */
		return dlq_check_place(dlq, partition, offset, error);
	return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
	                 "%" PRId32 "@%" PRId64 " is no dead letter: Kafka has no record at that offset",
	                 partition, offset);
}

/* ---- several ---- */

static int show_newest(struct dlq *dlq, const struct dlq_choice *choice, struct showing *showing,
                       struct error *error)
{
	struct newest newest = {.filter = &choice->filter, .size = choice->limit};
	int rc;

	newest.list = calloc(newest.size, sizeof *newest.list);
	if (newest.list == NULL)
		return error_memory(error, newest.size * sizeof *newest.list);
	rc = dlq_read_all(dlq, collect, &newest, error);
	if (rc == 0 && newest.len == 0)
		rc = error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT, "%s has no dead letter%s%s%s%s",
		               dlq->topic, choice->filter.index == NULL ? "" : " of index ",
		               choice->filter.index == NULL ? "" : choice->filter.index,
		               choice->filter.code == NULL ? "" : " with code ",
		               choice->filter.code == NULL ? "" : choice->filter.code);
	for (size_t i = newest.len; rc == 0 && i > 0; i--)
		rc = show_place(dlq, newest.list[i - 1].partition, newest.list[i - 1].offset, showing, error);
	free(newest.list);
	return rc;
}

int dlq_show(struct dlq *dlq, const struct dlq_choice *choice)
{
	struct showing showing = {.choice = choice, .topic = dlq->topic};
	struct error error;
	int rc;

	if (choice->json)
		fputs("[", stdout);
	rc = choice->placed ? show_place(dlq, choice->partition, choice->offset, &showing, &error)
	                    : show_newest(dlq, choice, &showing, &error);
	if (choice->json)
		fputs("]\n", stdout);
	return rc == 0 ? 0 : cli_fail("dlq", "%s", error.text);
}
