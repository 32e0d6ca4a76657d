/*
 * `millrace index rebuild`: asks for a new generation of an index, and with
 * --wait until it has the name, showing what is still to be imported.
 */
#include "shared/cli/cli_index.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096
#define REBUILD_BYTES_MAX (1024U * 1024)
#define STEP_MS 500

static void append_member(struct buffer *body, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buffer_printf(body, ",\"%s\":", name);
	json_append_string(body, slice_string(value));
}

/* The configuration's sources of this index, if it has any: else they stay as they are recorded. */
static void append_sources(struct buffer *body, const struct config *config, const char *uid)
{
	const struct config_source *sources;
	size_t len = config_sources(config, &sources);
	bool first = true;

	for (size_t i = 0; i < len; i++) {
		const struct config_source *source = &sources[i];

		if (source->index == NULL || strcmp(source->index, uid) != 0)
			continue;
		buffer_append_string(body, first ? ",\"sources\":[{\"name\":" : ",{\"name\":");
		first = false;
		json_append_string(body, slice_string(source->name));
		append_member(body, "topic", source->topic);
		append_member(body, "pattern", source->pattern);
		append_member(body, "dead_letter_topic", source->dead_letter_topic);
		buffer_printf(body, ",\"rules\":%s}", source->rules);
	}
	buffer_append_string(body, first ? "" : "]");
}

/* The index as the gateway knows it now. */
struct view {
	bool found;
	bool rebuilding;
	char next[17]; /* the id of the generation in the making */
	int64_t generation;
	char paused[256]; /* a source that is; "" for none */
};

static void fill_view(struct view *view, yyjson_val *entry)
{
	yyjson_val *source;
	size_t at;
	size_t len;

	view->found = true;
	view->rebuilding = yyjson_obj_get(entry, "rebuilding") != NULL;
	(void)snprintf(view->next, sizeof view->next, "%s",
	               cli_text(yyjson_obj_get(entry, "rebuilding"), "id"));
	view->generation = cli_number(entry, "generation", 0);
	yyjson_arr_foreach(yyjson_obj_get(entry, "sources"), at, len, source)
	{
		if (cli_flag(source, "paused"))
			(void)snprintf(view->paused, sizeof view->paused, "%s", cli_text(source, "name"));
	}
}

static int look(struct cli *cli, const char *uid, struct view *view)
{
	struct cli_question question = {"GET", "/indexes?limit=4096", NULL, 200};
	yyjson_doc *answer;
	yyjson_val *entry;
	size_t at;
	size_t len;

	*view = (struct view){0};
	if (cli_ask(cli, &question, &answer) != 0)
		return 1;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(answer), "results"), at, len, entry)
	{
		if (strcmp(cli_text(entry, "uid"), uid) == 0)
			fill_view(view, entry);
	}
	yyjson_doc_free(answer);
	return 0;
}

/* What the controller in office says of the rebuild. */
struct progress {
	bool known;
	bool judged;
	bool accepts_loss;
	int64_t remaining;
	int64_t published;
	int64_t expired;
	int64_t unsourced;
};

static void fill_progress(struct progress *progress, yyjson_val *status, const char *id)
{
	yyjson_val *rebuild;
	size_t at;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(status, "rebuilds"), at, len, rebuild)
	{
		yyjson_val *lost = yyjson_obj_get(rebuild, "lost");

		if (strcmp(cli_text(rebuild, "id"), id) != 0)
			continue;
		*progress = (struct progress){
			.known = true,
			.judged = cli_flag(rebuild, "judged"),
			.accepts_loss = cli_flag(rebuild, "accepts_loss"),
			.remaining = cli_number(rebuild, "remaining", -1),
			.published = cli_number(lost, "published", 0),
			.expired = cli_number(lost, "expired", 0),
			.unsourced = cli_number(lost, "unsourced", 0),
		};
	}
}

/* Unknown while no controller answers: then nothing happens either. */
static void ask_controller(struct cli *cli, const char *base, const char *id, struct progress *progress)
{
	yyjson_doc *answer = cli_ask_status(cli, base);

	if (answer != NULL)
		fill_progress(progress, yyjson_doc_get_root(answer), id);
	yyjson_doc_free(answer);
}

static int ask_progress(struct cli *cli, const char *id, struct progress *progress)
{
	struct cli_question question = {"GET", "/status", NULL, 200};
	yyjson_val *controller;
	yyjson_doc *status;
	size_t at;
	size_t len;

	*progress = (struct progress){0};
	if (cli_ask(cli, &question, &status) != 0)
		return 1;
	yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(status), "controllers"), at, len, controller)
	{
		if (cli_flag(controller, "in_office"))
			ask_controller(cli, cli_text(controller, "url"), id, progress);
	}
	yyjson_doc_free(status);
	return 0;
}

/* The exit code if it cannot end by itself, else 0. */
static int tell(const struct index_options *options, const struct view *view, const struct progress *progress,
                bool *paused_told)
{
	int64_t lost = progress->published + progress->expired + progress->unsourced;

	if (progress->judged && lost > 0 && !progress->accepts_loss && !options->accept_loss)
		return cli_fail(
			"index",
			"%s would lose %" PRId64
			" records of its log that its sources do not bring back: %" PRId64
			" were published to it directly, %" PRId64
			" are not in the topics any more that they were imported from, %" PRId64
			" are from topics that no source reads any more. The present generation stays until "
			"`millrace index rebuild %s --accept-loss` gives them up, or `--cancel` the new one",
			options->uid, lost, progress->published, progress->expired, progress->unsourced,
			options->uid);
	if (view->paused[0] != 0 && progress->remaining > 0 && !*paused_told) {
		fprintf(stderr, "source %s is paused: the rebuild waits until it is resumed\n", view->paused);
		*paused_told = true;
	}
	if (progress->known && progress->remaining >= 0 && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%" PRId64 " records of its sources to be imported   ",
		        progress->remaining);
	return 0;
}

/* Until no generation of this index is in the making; the exit code. */
static int wait_for_name(struct cli *cli, const struct index_options *options, int64_t before)
{
	const char *uid = options->uid;
	bool paused_told = false;

	for (;;) {
		struct progress progress;
		struct view view;
		int result = look(cli, uid, &view);

		if (result != 0)
			return result;
		if (!view.rebuilding && isatty(STDERR_FILENO))
			fprintf(stderr, "\n");
		if (!view.found)
			return cli_fail("index", "%s was deleted meanwhile", uid);
		if (!view.rebuilding && view.generation == before)
			return cli_fail("index", "the rebuild of %s was cancelled", uid);
		if (!view.rebuilding) {
			printf("index %s: rebuilt, generation %" PRId64 "\n", uid, view.generation);
			return 0;
		}
		result = ask_progress(cli, view.next, &progress);
		if (result == 0)
			result = tell(options, &view, &progress, &paused_told);
		if (result != 0)
			return result;
		(void)poll(NULL, 0, STEP_MS);
	}
}

/* What is asked for; a generation in the making is only told to accept the loss. */
static void fill_body(struct buffer *body, const struct cli *cli, const struct index_options *options,
                      const struct view *view)
{
	bool accepts = options->accept_loss && view->rebuilding && options->partitions == 0 &&
	               options->dedup_window < 0;

	buffer_printf(body, "{\"acceptLoss\":%s", options->accept_loss ? "true" : "false");
	if (!accepts)
		append_sources(body, cli->config, options->uid);
	if (options->partitions != 0)
		buffer_printf(body, ",\"partitions\":%ld", options->partitions);
	if (options->dedup_window >= 0)
		buffer_printf(body, ",\"dedupWindow\":%ld", options->dedup_window);
	buffer_append_string(body, "}");
}

static int send_request(struct cli *cli, const struct index_options *options, const struct view *view)
{
	struct cli_question question = {.method = options->cancel ? "DELETE" : "POST", .expected = 202};
	const char *done = options->cancel ? "not rebuilt any more" : "being rebuilt";
	struct buffer body;
	struct buffer path;
	yyjson_doc *answer;
	int result = 1;

	buffer_init(&path, PATH_BYTES_MAX);
	buffer_init(&body, REBUILD_BYTES_MAX);
	cli_index_append_path(&path, options->uid, "/rebuild");
	if (!options->cancel)
		fill_body(&body, cli, options, view);
	question.path = (const char *)path.ptr;
	question.body = options->cancel ? NULL : &body;
	if (buffer_failed(&path) || buffer_failed(&body)) {
		result = cli_fail("index", "the uid or the rules are too long");
		buffer_deinit(&body);
	} else if (cli_ask(cli, &question, &answer) == 0) {
		result = cli_index_conclude(cli, options, answer, done);
	}
	buffer_deinit(&path);
	return result;
}

int cli_index_rebuild(struct cli *cli, const struct index_options *options)
{
	struct view view;
	int result;

	if (options->cancel &&
	    (options->accept_loss || options->partitions != 0 || options->dedup_window >= 0))
		return cli_fail("index", "--cancel takes no other option but --wait");
	result = look(cli, options->uid, &view);
	if (result == 0)
		result = send_request(cli, options, &view);
	if (result == 0 && options->wait && !options->cancel)
		result = wait_for_name(cli, options, view.generation);
	return result;
}
