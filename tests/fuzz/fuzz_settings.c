/*
 * Settings: any text is a record or none, and a change or refused in valid
 * UTF-8; what was made is read again, and shown and sent again it is the same.
 */
#include "shared/base/assert.h"
#include "shared/json/json.h"
#include "shared/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A message goes into JSON as it is: json_append_string would replace what is not UTF-8. */
static void check_refusal(const struct settings_refusal *refusal)
{
	struct slice text = slice_of(refusal->text, refusal->len);
	struct buffer json;
	struct error error;
	yyjson_doc *doc;

	ASSERT(refusal->code != NULL && refusal->len > 0 && refusal->len < SETTINGS_REFUSAL_BYTES_MAX);
	buffer_init(&json, SIZE_MAX);
	json_append_string(&json, text);
	ASSERT(json_parse(buffer_slice(&json), 1, &doc, &error) == 0);
	ASSERT(slice_equal(json_string(yyjson_doc_get_root(doc)), text));
	yyjson_doc_free(doc);
	buffer_deinit(&json);
}

/* What is shown of all, sent to an index that has the defaults, makes the same. */
static void check_again(const struct settings *settings, struct slice record)
{
	struct settings_request request = {0};
	struct settings_refusal refusal;
	struct buffer shown;
	struct buffer again;

	buffer_init(&shown, SIZE_MAX);
	buffer_init(&again, SIZE_MAX);
	settings_show(settings, NULL, &shown);
	request.body = buffer_slice(&shown);
	ASSERT(settings_change(settings_default(), &request, &again, &refusal) == 0);
	ASSERT(slice_equal(buffer_slice(&again), record));
	buffer_deinit(&shown);
	buffer_deinit(&again);
}

static void check_record(struct slice record)
{
	struct settings_effects effects;
	struct settings *settings;
	struct buffer again;
	struct error error;
	struct arena arena;

	arena_init(&arena, 4096);
	buffer_init(&again, SIZE_MAX);
	if (settings_parse(record, &arena, &settings, &error) == 0) {
		settings_append_record(settings, &again);
		ASSERT(settings_effects(settings_default(), settings, &arena, &effects, &error) == 0);
		(void)settings_filterable(settings, record);
		(void)settings_is_sortable(settings, record);
		(void)settings_weight(settings, record);
		check_again(settings, buffer_slice(&again));
	}
	buffer_deinit(&again);
	arena_deinit(&arena);
}

/* The first line is the path of a setting, or empty for all; the rest is sent. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = len > 0 ? memchr(bytes, '\n', len) : NULL;
	size_t split = end != NULL ? (size_t)(end - bytes) : len;
	struct settings_request request = {.route = settings_route_find(slice_of(bytes, split))};
	struct settings_refusal refusal;
	struct buffer record;

	check_record(slice_of(bytes, len));
	if (end == NULL)
		return 0;
	request.body = slice_of(end + 1, len - split - 1);
	buffer_init(&record, SIZE_MAX);
	if (settings_change(settings_default(), &request, &record, &refusal) < 0)
		check_refusal(&refusal);
	else
		check_record(buffer_slice(&record));
	buffer_deinit(&record);
	return 0;
}
