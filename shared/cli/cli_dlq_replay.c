/* `millrace dlq replay`: puts what could not be applied back into its index's log. */
#include "shared/cli/cli_dlq_replay.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FULL_WAIT_MS 20
#define DELIVERY_MS 60000
#define LETTERS_FIRST 1024

bool replay_refuse(struct replay *replay, struct replay_letter *letter, const char *format, ...)
{
	char text[REPLAY_WHY_BYTES];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (len >= (int)sizeof text)
		len = (int)sizeof text - 1;
	letter->outcome = REPLAY_OUTCOME_REFUSED;
	return arena_copy(&replay->texts, slice_of(text, (size_t)len), &letter->why);
}

/* ---- choosing ---- */

static bool reserve(struct replay *replay)
{
	size_t size = replay->size == 0 ? LETTERS_FIRST : 2 * replay->size;
	struct replay_letter *letters;

	if (replay->len < replay->size)
		return true;
	letters = realloc(replay->letters, size * sizeof *letters);
	if (letters == NULL)
		return false;
	replay->letters = letters;
	replay->size = size;
	return true;
}

static int choose(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct replay *replay = context;
	struct dlq_letter letter;
	struct arena arena;
	bool judged;

	dlq_letter_read(partition, record, &letter);
	if (!dlq_filter_accepts(&replay->choice->filter, &letter))
		return 0;
	if (replay->len == REPLAY_LETTERS_MAX)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "more than %d dead letters; choose fewer of them", REPLAY_LETTERS_MAX);
	if (!reserve(replay))
		return error_memory(error, LETTERS_FIRST * sizeof *replay->letters);
	arena_init(&arena, REPLAY_ARENA_BYTES);
	judged = replay_judge(replay, &letter, &arena, &replay->letters[replay->len]);
	arena_deinit(&arena);
	if (!judged)
		return error_memory(error, REPLAY_WHY_BYTES);
	replay->len++;
	return 0;
}

static int choose_all(struct replay *replay, struct error *error)
{
	int rc = dlq_read_chosen(replay->dlq, replay->choice, choose, replay, error);

	if (rc == 0 && replay->len == 0)
		rc = error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
		               "%s has no such dead letter; `millrace dlq ls` says what there is",
		               replay->dlq->topic);
	return rc;
}

/* ---- putting back ---- */

/* On the producer's thread: nobody else looks at the letter until that is closed. */
static void on_written(void *context, int64_t offset, const struct error *error)
{
	struct replay_letter *letter = context;

	letter->outcome = error == NULL ? REPLAY_OUTCOME_REPLAYED : REPLAY_OUTCOME_FAILED;
	letter->place = offset;
	if (error != NULL)
		letter->why = slice_string("Kafka did not take it");
}

/* A full queue empties itself. */
static int send_one(struct replay *replay, const struct log_message *message, struct error *error)
{
	int64_t end_ms = clock_monotonic_ms() + DELIVERY_MS;
	int rc;

	while ((rc = log_producer_send(replay->producer, message, error)) == ERROR_LIMIT &&
	       error->action == ERROR_ACTION_RETRY && clock_monotonic_ms() < end_ms)
		(void)poll(NULL, 0, FULL_WAIT_MS);
	return rc;
}

static int put_back(struct replay *replay, const struct dlq_letter *letter, struct replay_letter *chosen,
                    struct error *error)
{
	struct arena arena;
	struct record record;
	int rc;

	arena_init(&arena, REPLAY_ARENA_BYTES);
	if (!replay_rebuild(replay->dlq, letter, &arena, &record)) {
		rc = error_memory(error, REPLAY_ARENA_BYTES);
	} else {
		const struct log_message message = {.topic = chosen->index->topic,
		                                    .partition = chosen->home,
		                                    .key = record.key,
		                                    .value = record.value,
		                                    .headers = record.headers,
		                                    .headers_len = record.headers_len,
		                                    .completion = on_written,
		                                    .context = chosen};

		rc = send_one(replay, &message, error);
		if (rc == ERROR_LIMIT && error->action == ERROR_ACTION_REJECT)
			rc = replay_refuse(replay, chosen, "%s", error->text) ? 0 : error_memory(error, 1);
	}
	arena_deinit(&arena);
	return rc;
}

/* They come in the order in which they were chosen. */
static int take_again(void *context, int32_t partition, const struct record *record, struct error *error)
{
	struct replay *replay = context;
	struct replay_letter *chosen;
	struct dlq_letter letter;

	while (replay->at < replay->len && (replay->letters[replay->at].partition < partition ||
	                                    (replay->letters[replay->at].partition == partition &&
	                                     replay->letters[replay->at].offset < record->offset)))
		replay->at++;
	if (replay->at == replay->len)
		return 0;
	chosen = &replay->letters[replay->at];
	if (chosen->partition != partition || chosen->offset != record->offset)
		return 0;
	replay->at++;
	if (chosen->outcome != REPLAY_OUTCOME_READY)
		return 0;
	dlq_letter_read(partition, record, &letter);
	return put_back(replay, &letter, chosen, error);
}

static bool any_ready(const struct replay *replay)
{
	for (size_t i = 0; i < replay->len; i++)
		if (replay->letters[i].outcome == REPLAY_OUTCOME_READY)
			return true;
	return false;
}

static int put_all_back(struct replay *replay, struct error *error)
{
	int rc;

	if (replay->choice->dry_run || !any_ready(replay))
		return 0;
	rc = log_producer_open(replay->dlq->config, &replay->producer, error);
	if (rc == 0)
		rc = dlq_read_chosen(replay->dlq, replay->choice, take_again, replay, error);
	log_producer_close(replay->producer, DELIVERY_MS);
	for (size_t i = 0; i < replay->len; i++) {
		struct replay_letter *letter = &replay->letters[i];

		if (letter->outcome != REPLAY_OUTCOME_READY)
			continue;
		letter->outcome = REPLAY_OUTCOME_FAILED;
		letter->why =
			slice_string(rc == 0 ? "it has left the topic meanwhile" : "not tried any more");
	}
	return rc;
}

int dlq_replay(struct dlq *dlq, const struct dlq_choice *choice)
{
	struct replay replay = {.dlq = dlq, .choice = choice, .catalog = catalog_new()};
	struct error error;
	int result;
	int rc = replay.catalog == NULL ? error_memory(&error, sizeof(void *)) : 0;

	arena_init(&replay.texts, REPLAY_ARENA_BYTES);
	if (rc == 0)
		rc = dlq_read_meta(dlq->config, replay.catalog, &error);
	if (rc == 0)
		rc = choose_all(&replay, &error);
	if (rc == 0 && !choice->force)
		rc = replay_look(&replay, &error);
	if (rc != 0)
		replay.len = 0; /* nothing was put back: nothing to tell */
	if (rc == 0)
		rc = put_all_back(&replay, &error);
	result = replay.len == 0 ? 0 : replay_print(&replay);
	if (rc != 0)
		result = cli_fail("dlq", "%s", error.text);
	arena_deinit(&replay.texts);
	free(replay.letters);
	catalog_free(replay.catalog);
	return result;
}
