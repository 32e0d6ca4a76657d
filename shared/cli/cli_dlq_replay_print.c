/* What became of the letters: how many, then each; or all of it as JSON. */
#include "shared/cli/cli_dlq_replay.h"

#include <inttypes.h>
#include <stdio.h>

static const struct cli_column columns[] = {
	{"DEAD LETTER", "letter", false},
	{"INDEX", "index", false},
	{"DOCUMENT ID", "document_id", false},
	{"CODE", "code", false},
	{"RESULT", "result", false},
	{"RECORD", "record", false},
	{"WHY", "why", false},
	{NULL, NULL, false},
};

static const char *result_name(const struct replay *replay, const struct replay_letter *letter)
{
	switch (letter->outcome) {
	case REPLAY_OUTCOME_READY:
		return replay->choice->dry_run ? "would be replayed" : "failed";
	case REPLAY_OUTCOME_REPLAYED:
		return "replayed";
	case REPLAY_OUTCOME_ALREADY:
		return "replayed before";
	case REPLAY_OUTCOME_REFUSED:
		return "refused";
	case REPLAY_OUTCOME_FAILED:
		break;
	}
	return "failed";
}

static bool is_well(const struct replay_letter *letter)
{
	return letter->outcome == REPLAY_OUTCOME_READY || letter->outcome == REPLAY_OUTCOME_REPLAYED;
}

static size_t count_well(const struct replay *replay)
{
	size_t well = 0;

	for (size_t i = 0; i < replay->len; i++)
		well += is_well(&replay->letters[i]);
	return well;
}

static void append_text(struct buffer *json, const char *name, struct slice text)
{
	buffer_printf(json, ",\"%s\":", name);
	if (text.ptr == NULL)
		buffer_append_string(json, "null");
	else
		json_append_string(json, text);
}

static void append_letter(struct buffer *json, const struct replay *replay,
                          const struct replay_letter *letter)
{
	buffer_printf(json, "{\"letter\":\"%" PRId32 "@%" PRId64 "\"", letter->partition, letter->offset);
	append_text(json, "index", letter->uid);
	append_text(json, "document_id", letter->id);
	append_text(json, "code", letter->code);
	append_text(json, "result", slice_string(result_name(replay, letter)));
	if (letter->place >= 0)
		buffer_printf(json, ",\"record\":\"%" PRId32 "@%" PRId64 "\"", letter->home, letter->place);
	else
		buffer_append_string(json, ",\"record\":null");
	append_text(json, "why", letter->why);
	buffer_append_string(json, "}");
}

/* The first `shown_max` of them. */
static void append_all(struct buffer *json, const struct replay *replay, size_t shown_max)
{
	size_t well = count_well(replay);

	buffer_append_string(json, "{\"topic\":");
	json_append_string(json, slice_string(replay->dlq->topic));
	buffer_printf(json,
	              ",\"dry_run\":%s,\"letters\":%zu,\"replayed\":%zu,\"not_replayed\":%zu,\"results\":[",
	              replay->choice->dry_run ? "true" : "false", replay->len,
	              replay->choice->dry_run ? 0 : well, replay->len - well);
	for (size_t i = 0; i < replay->len && i < shown_max; i++) {
		buffer_append_string(json, i == 0 ? "" : ",");
		append_letter(json, replay, &replay->letters[i]);
	}
	buffer_append_string(json, "]}");
}

static int print_table(const struct replay *replay, yyjson_val *all)
{
	size_t well = count_well(replay);

	printf("%zu of %zu dead letters %s, %zu not\n", well, replay->len,
	       replay->choice->dry_run ? "would be replayed" : "replayed", replay->len - well);
	if (replay->len > DLQ_SHOWN_MAX)
		printf("the first %d of them; -o json names all\n", DLQ_SHOWN_MAX);
	if (cli_print_table(columns, yyjson_obj_get(all, "results"), "") != 0)
		return cli_fail("dlq", "out of memory");
	if (well < replay->len)
		printf("\nA letter goes back as it was: where the record itself is at fault, `millrace dlq "
		       "show "
		       "PARTITION@OFFSET --raw`\ngives its value, to be mended and published anew.\n");
	return 0;
}

int replay_print(const struct replay *replay)
{
	yyjson_doc *doc = NULL;
	struct buffer text;
	struct error error;
	int result = 0;

	buffer_init(&text, (size_t)REPLAY_LETTERS_MAX * 8 * REPLAY_WHY_BYTES);
	append_all(&text, replay, replay->choice->json ? replay->len : DLQ_SHOWN_MAX);
	if (buffer_failed(&text))
		result = cli_fail("dlq", "out of memory");
	else if (replay->choice->json)
		printf("%.*s\n", SLICE_ARGS(buffer_slice(&text)));
	else if (json_parse_typed(buffer_slice(&text), &doc, &error) != 0)
		result = cli_fail("dlq", "%s", error.text);
	else
		result = print_table(replay, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	buffer_deinit(&text);
	return result == 0 && count_well(replay) < replay->len ? 1 : result;
}
