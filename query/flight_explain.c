/*
 * What a search that is explained is answered with:
 *
 *   {"indexUid":"books","index":"<id>","generation":1,"settings":7,
 *    "rounds":[{"reason":"search","settings":7,"group":…,"plan":[…],"shards":[…]}],
 *    "missing":[3],"error":null,"totalHits":60,"terms":2,"processingTimeMs":1.25}
 *
 * Rounds stand in their order; scatter.h says what is in one. Reasons: `search`,
 * the first; `snapshot` and `settings`, begun again because a node knew better
 * or was waited for; `known` and `rarest`, asked again with what all nodes know
 * of the words; `distinct` and `threshold`, with which hits count. `settings` is
 * null where nobody set any. `error` is what the search would have been refused
 * with; then `totalHits` is null.
 */
#include "query/flight_private.h"

#include "shared/json/json.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>

bool flight_note_round(struct flight *flight, const char *reason)
{
	struct flight_round *round = arena_alloc(&flight->arena, sizeof *round);

	if (round == NULL)
		return false;
	*round = (struct flight_round){flight->rounds, reason, flight->scatter, flight->settings.version};
	flight->rounds = round;
	return true;
}

const char *flight_why(struct flight *flight, const char *text)
{
	struct slice copy;

	if (!flight->request.explain || !arena_copy(&flight->arena, slice_of(text, strlen(text) + 1), &copy))
		return NULL;
	return (const char *)copy.ptr;
}

static void append_settings(struct buffer *body, int64_t version)
{
	buffer_append_string(body, ",\"settings\":");
	if (version >= 0)
		buffer_printf(body, "%" PRId64, version);
	else
		buffer_append_string(body, "null");
}

/* Turns the list around. */
static struct flight_round *in_order(struct flight_round *rounds)
{
	struct flight_round *first = NULL;

	while (rounds != NULL) {
		struct flight_round *before = rounds->next;

		rounds->next = first;
		first = rounds;
		rounds = before;
	}
	return first;
}

static void append_rounds(struct flight *flight, struct buffer *body)
{
	flight->rounds = in_order(flight->rounds);
	buffer_append_string(body, ",\"rounds\":[");
	for (const struct flight_round *round = flight->rounds; round != NULL; round = round->next) {
		buffer_printf(body, "%s{\"reason\":\"%s\"", round != flight->rounds ? "," : "",
		              round->reason);
		append_settings(body, round->version);
		buffer_put_u8(body, ',');
		scatter_append_explained(round->scatter, body);
		buffer_put_u8(body, '}');
	}
	buffer_put_u8(body, ']');
}

static void append_end(const struct flight *flight, const struct error_answer *refusal, struct buffer *body)
{
	int64_t took_us = clock_monotonic_us() - flight->started_us;

	buffer_append_string(body, ",\"missing\":");
	scatter_append_missing(flight->scatter, body);
	buffer_append_string(body, ",\"error\":");
	if (refusal != NULL) {
		error_answer_append(body, slice_string(refusal->code), slice_string(refusal->message));
		buffer_append_string(body, ",\"totalHits\":null");
	} else {
		buffer_printf(body, "null,\"totalHits\":%" PRId64,
		              flight->total >= 0 ? flight->total : flight->merge.total);
	}
	buffer_printf(body, ",\"terms\":%zu,\"processingTimeMs\":%" PRId64 ".%03d}", flight->merge.terms,
	              took_us / 1000, (int)(took_us % 1000));
}

void flight_explain(struct flight *flight)
{
	const struct index_record *index = flight->request.index;
	struct flight_outcome *outcome = &flight->outcome;
	struct buffer *body = &outcome->body;
	char id[17];

	index_id_print(index->id, id);
	buffer_clear(body);
	buffer_append_string(body, "{\"indexUid\":");
	json_append_string(body, slice_string(index->uid));
	buffer_printf(body, ",\"index\":\"%s\",\"generation\":%d", id, index->generation);
	append_settings(body, flight->settings.version);
	append_rounds(flight, body);
	append_end(flight, outcome->refusal, body);
	outcome->refusal = NULL;
	outcome->generation = index->generation;
	outcome->covered = flight->covered;
	outcome->covered_len = (size_t)index->partitions;
}
