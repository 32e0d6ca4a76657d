/* What the log held before a start: marks of the very replica that stands there, a page in flight a reader. */
#include "shared/base/assert.h"
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>
#include <stdio.h>

#define PAGE_TIMEOUT_MS 5000

static struct fed_fill *fill_of(const struct feeding *feeding, uint32_t reader)
{
	return &feeding->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)].fill;
}

void filling_init(struct feeding *feeding)
{
	for (size_t i = 0; i < FEEDING_PAGES_MAX; i++) {
		struct marks_answer *answer = &feeding->pages[i];

		answer->message.kind = MESSAGE_KIND_MARKS;
		answer->inbox = feeding->inbox;
		buffer_init(&answer->page, MARKS_PAGE_BYTES_MAX);
	}
}

void filling_deinit(struct feeding *feeding)
{
	for (size_t i = 0; i < FEEDING_PAGES_MAX; i++)
		buffer_deinit(&feeding->pages[i].page);
}

static void set_in_flight(struct feeding *feeding, struct marks_answer *answer, bool in_flight)
{
	answer->in_flight = in_flight;
	feeding->pages_in_flight += in_flight ? 1U : -1U;
	series_set(feeding->counters.pages_in_flight, feeding->pages_in_flight);
}

/* On the HTTP client's thread. */
static void page_answered(void *context, const struct http_answer *answer)
{
	struct marks_answer *marks = context;

	carrying_take_answer(answer, &marks->page, &marks->error);
	ASSERT(mailbox_put(marks->inbox, &marks->message));
}

/* The replica's own incarnation, as the feeder knows it. */
static bool incarnation_of(const struct feeding *feeding, uint32_t slot, uint32_t node,
                           struct incarnation *incarnation)
{
	struct feeder_replica_status replica;

	for (size_t i = 0; feeder_replica_status(feeding->feeder, slot, i, &replica); i++) {
		if (replica.node != node)
			continue;
		*incarnation = replica.incarnation;
		return true;
	}
	return false;
}

static int ask_page(struct feeding *feeding, uint32_t reader, struct marks_answer *answer,
                    struct error *error)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(reader)];
	const struct fed_fill *fill = fill_of(feeding, reader);
	const struct fed_node *node = &feeding->nodes[fill->node];
	struct incarnation incarnation;
	char text[33];
	char url[512];
	struct http_client_request request = {
		.method = "GET",
		.url = url,
		.node = node->id,
		.timeout_ms = PAGE_TIMEOUT_MS,
		.completion = page_answered,
		.context = answer,
	};

	if (node->url[0] == '\0' ||
	    !incarnation_of(feeding, FEEDER_READER_SLOT(reader), fill->node, &incarnation))
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY,
		                 "the topology has no node %s, which holds a replica", node->id);
	incarnation_print(incarnation, text);
	(void)snprintf(url, sizeof url,
	               "%s/marks?index=%016" PRIx64 "&partition=%" PRId32 "&incarnation=%s&received=%" PRId64
	               "&from=%" PRId64,
	               node->url, shard->index_id, shard->partition, text, fill->received, fill->from);
	return http_client_send(feeding->client, &request, error);
}

/* Says once that a reader's marks are not given, and once that it has them all. */
static void say(struct feeding *feeding, const struct marks_answer *answer, const struct marks_page *page)
{
	const struct fed_shard *shard = &feeding->fed[FEEDER_READER_SLOT(answer->fill.reader)];
	struct fed_fill *fill = fill_of(feeding, answer->fill.reader);

	if (page == NULL && !fill->failing)
		logline(LOG_LEVEL_WARN, "marks_not_given",
		        "index=%s partition=%" PRId32 " node=%s error=\"%s\"", shard->uid, shard->partition,
		        feeding->nodes[answer->node].id, answer->error.text);
	fill->failing = page == NULL;
	if (page == NULL)
		return;
	fill->identities += page->identities_len;
	fill->origins += page->origins_len;
	if (page->next >= 0)
		return;
	series_observe(feeding->counters.fill_seconds,
	               (double)(clock_monotonic_ms() - fill->begun_ms) / 1000);
	logline(LOG_LEVEL_INFO, "marks_taken",
	        "index=%s partition=%" PRId32 " node=%s received=%" PRId64 " identities=%" PRIu64
	        " origins=%" PRIu64 " ms=%" PRId64,
	        shard->uid, shard->partition, feeding->nodes[answer->node].id, page->received,
	        fill->identities, fill->origins, clock_monotonic_ms() - fill->begun_ms);
}

/* Hands an answer, or that there is none, to the feeder. */
static void report(struct feeding *feeding, struct marks_answer *answer)
{
	const struct fed_fill *fill = fill_of(feeding, answer->fill.reader);
	struct marks_page page;
	bool given = answer->error.code == 0 &&
	             marks_open(&page, buffer_slice(&answer->page), &answer->error) == 0;

	series_add(given ? feeding->counters.pages_given : feeding->counters.pages_missing, 1);
	if (fill->epoch == answer->fill.epoch && !answer->forgotten)
		say(feeding, answer, given ? &page : NULL);
	if (!answer->forgotten)
		feeder_filled(feeding->feeder, &answer->fill, given ? &page : NULL, feeding->now_ms);
	/* a page is large, and most of the time none is wanted */
	buffer_deinit(&answer->page);
	buffer_init(&answer->page, MARKS_PAGE_BYTES_MAX);
	set_in_flight(feeding, answer, false);
}

/* A free place, unless this reader has a page in flight. */
static struct marks_answer *place_for(struct feeding *feeding, uint32_t reader)
{
	struct marks_answer *free_place = NULL;

	for (size_t i = 0; i < FEEDING_PAGES_MAX; i++) {
		struct marks_answer *answer = &feeding->pages[i];

		if (answer->in_flight && answer->fill.reader == reader)
			return NULL;
		if (!answer->in_flight)
			free_place = answer;
	}
	return free_place;
}

static void send_wish(struct feeding *feeding, uint32_t reader)
{
	struct marks_answer *answer = place_for(feeding, reader);
	struct fed_fill *fill = fill_of(feeding, reader);

	if (answer == NULL || feeding->stopping)
		return;
	fill->wanted = false;
	set_in_flight(feeding, answer, true);
	answer->forgotten = false;
	answer->node = fill->node;
	answer->fill = (struct feeder_fill){FEEDER_READER_SLOT(reader), reader, fill->epoch};
	if (ask_page(feeding, reader, answer, &answer->error) != 0)
		report(feeding, answer);
}

void filling_ask(struct feeding *feeding, const struct feeder_action *action)
{
	struct fed_fill *fill = fill_of(feeding, action->reader);
	bool goes_on = fill->epoch == action->epoch && fill->received == action->received;

	fill->wanted = true;
	fill->epoch = action->epoch;
	fill->node = action->node;
	fill->received = action->received;
	fill->from = action->offset;
	if (!goes_on || action->offset == 0) {
		fill->begun_ms = feeding->now_ms;
		fill->identities = 0;
		fill->origins = 0;
	}
	send_wish(feeding, action->reader);
}

void filling_receive(struct feeding *feeding, struct marks_answer *answer)
{
	uint32_t readers = feeding->fed_len * FEEDER_LANES;

	ASSERT(answer->in_flight);
	report(feeding, answer);
	/* now that there is room; the first in turn first */
	feeding->fill_next++;
	for (uint32_t i = 0; i < readers; i++) {
		uint32_t reader = (feeding->fill_next + i) % readers;

		if (feeding->fed[FEEDER_READER_SLOT(reader)].used && fill_of(feeding, reader)->wanted)
			send_wish(feeding, reader);
	}
}

void filling_forget(struct feeding *feeding, uint32_t slot)
{
	for (size_t i = 0; i < FEEDING_PAGES_MAX; i++)
		if (feeding->pages[i].in_flight && feeding->pages[i].fill.slot == slot)
			feeding->pages[i].forgotten = true;
}
