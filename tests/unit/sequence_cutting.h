/*
 * Sequence cutting: the rules by which the replica of a sequence cuts words,
 * as they come and go. Words that rules leave out are none that the sequence
 * looks up before all is cut anew; a verification cuts each segment by its own.
 */
#ifndef MILLRACE_TESTS_UNIT_SEQUENCE_CUTTING_H
#define MILLRACE_TESTS_UNIT_SEQUENCE_CUTTING_H

#include "tests/unit/sequence_check.h"

#include "shard/engine/text.h"

static const char *const sequence_stops[] = {"0", "5", "42"};
#define SEQUENCE_STOPS (sizeof sequence_stops / sizeof sequence_stops[0])

/* Into `words`, of SEQUENCE_STOPS. */
static inline struct text_settings cutting_of(unsigned stops, struct slice *words)
{
	struct text_settings settings = {.stop_words = words};

	for (size_t i = 0; i < SEQUENCE_STOPS; i++)
		if (stops & 1U << i)
			words[settings.stop_words_len++] = slice_string(sequence_stops[i]);
	return settings;
}

/* Those that were wanted last; too many at once wait. */
static inline void cutting_put(struct sequence *sequence)
{
	struct slice words[2][SEQUENCE_STOPS];
	struct text_settings in_force = cutting_of(sequence->stops, words[0]);
	struct text_settings coming = cutting_of(sequence->stops_coming, words[1]);
	struct error error = {0};
	int rc = replica_cutting_set(sequence->replica, &in_force, &coming, &error);

	CU_ASSERT_TRUE_FATAL(rc == 0 || (rc == ERROR_LIMIT && error.action == ERROR_ACTION_RETRY));
	sequence->cutting_waits = rc != 0;
}

static inline void step_cutting(struct sequence *sequence)
{
	if (sequence_chance(sequence, 2))
		sequence->stops = sequence->stops_coming;
	else
		sequence->stops = (unsigned)sequence_draw(sequence, 1U << SEQUENCE_STOPS);
	if (sequence_chance(sequence, 2))
		sequence->stops_coming = (unsigned)sequence_draw(sequence, 1U << SEQUENCE_STOPS);
	cutting_put(sequence);
}

/* Nothing is left that was cut by others. */
static inline void check_cutting(struct sequence *sequence)
{
	for (size_t i = 0; i < SEQUENCE_STOPS; i++) {
		struct arena arena;
		struct asked_search asked = {.query = sequence_stops[i], .limit = 1, .arena = &arena};
		struct asked_page page;
		struct error error;

		if ((sequence->stops & 1U << i) == 0) {
			check_search(sequence, NULL, sequence_stops[i], false);
			continue;
		}
		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(asked_replica(sequence->replica, &asked, &page, &error), 0);
		CU_ASSERT_EQUAL_FATAL(page.total, 0);
		arena_deinit(&arena);
	}
}

#endif
