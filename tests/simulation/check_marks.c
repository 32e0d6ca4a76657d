/*
 * What a replica tells beside its documents: the identities of the window and the highest origins, as of what it
 * has received, are those of the log.
 */
#include "tests/simulation/sim.h"

#include <inttypes.h>

/* What the pages of one replica held. */
struct told {
	int64_t received;
	size_t place; /* of the next entry whose identity has to be told */
	int64_t last; /* offset of the last identity */
	uint64_t origins;
};

bool check_page(struct sim *sim, struct replica *replica, int64_t from, struct buffer *page)
{
	struct error error;

	if (replica_marks(replica, from, page, &error) == 0)
		return true;
	sim_violate(sim, "a replica tells its marks", "%s", error.text);
	return false;
}

static void check_identity(struct sim *sim, const struct timeline *timeline, struct told *told,
                           const struct identity_entry *found)
{
	int64_t low = told->received - timeline->rules.window;
	size_t place = timeline_place(timeline, found->offset);
	const struct log_entry *entry = place < timeline->len ? timeline->entries[place] : NULL;

	if (entry == NULL || entry->offset != found->offset || !timeline_is_identified(timeline, entry) ||
	    !hash128_equal(entry->identity, found->identity.key) ||
	    entry->operation != found->identity.operation || found->offset <= told->last)
		sim_violate(sim, "identities told are those of the log", "as of %" PRId64 ": offset %" PRId64,
		            told->received, found->offset);
	for (; told->place < place; told->place++) {
		entry = timeline->entries[told->place];
		if (entry->offset >= low && timeline_is_identified(timeline, entry))
			sim_violate(sim, "identities of the window are all told",
			            "as of %" PRId64 ": offset %" PRId64 " is missing", told->received,
			            entry->offset);
	}
	told->place = place + 1;
	told->last = found->offset;
}

static void check_origin(struct sim *sim, const struct timeline *timeline, struct told *told,
                         const struct origin *found)
{
	const struct log_entry *highest =
		timeline_origin(timeline, timeline_place(timeline, told->received), found);

	told->origins++;
	if (highest == NULL || highest->origin.life != found->life ||
	    highest->origin.offset != found->offset || highest->origin.n != found->n)
		sim_violate(sim, "origins told are the highest of the log",
		            "as of %" PRId64 ": %.*s.%" PRIu32 "/%" PRId32 "/%" PRId64 ".%" PRIu32,
		            told->received, SLICE_ARGS(found->source), found->life, found->partition,
		            found->offset, found->n);
}

/* Those of the log below `received`. */
static uint64_t count_origins(const struct timeline *timeline, int64_t received)
{
	const struct log_entry *found[SOURCES];
	size_t place = timeline_place(timeline, received);
	uint64_t count = 0;

	for (size_t i = 0; i < place; i++) {
		const struct log_entry *entry = timeline->entries[i];
		size_t at = 0;

		if (entry->origin.source.ptr == NULL || entry->malformed || entry->verdict == VERDICT_SKIPPED)
			continue;
		while (at < count && (found[at]->origin.partition != entry->origin.partition ||
		                      !slice_equal(found[at]->origin.source, entry->origin.source)))
			at++;
		if (at == count && count < SOURCES)
			found[count++] = entry;
	}
	return count;
}

static int64_t check_one_page(struct sim *sim, const struct timeline *timeline, struct told *told,
                              struct slice frame)
{
	struct marks_page page;
	struct identity_entry entry;
	struct origin origin;
	struct error error;
	size_t at = 0;

	if (marks_open(&page, frame, &error) != 0) {
		sim_violate(sim, "pages of marks are well-formed", "%s", error.text);
		return -1;
	}
	if (page.received != told->received)
		sim_violate(sim, "marks are as of received", "%" PRId64 " instead of %" PRId64, page.received,
		            told->received);
	while (marks_page_origin(&page, &at, &origin))
		check_origin(sim, timeline, told, &origin);
	at = 0;
	while (marks_page_identity(&page, &at, &entry))
		check_identity(sim, timeline, told, &entry);
	return page.next;
}

void check_marks(struct sim *sim, struct replica *replica, const struct timeline *timeline)
{
	struct told told = {.last = -1};
	struct replica_status status;
	struct buffer page;
	int64_t next = 0;

	if (timeline->rules.contract == 1)
		return;
	replica_status(replica, &status);
	told.received = status.received;
	buffer_init(&page, MARKS_PAGE_BYTES_MAX);
	while (next != -1 && !sim->violated && check_page(sim, replica, next, &page)) {
		next = check_one_page(sim, timeline, &told, buffer_slice(&page));
		buffer_clear(&page);
	}
	buffer_deinit(&page);
	for (; told.place < timeline_place(timeline, told.received); told.place++) {
		const struct log_entry *entry = timeline->entries[told.place];

		if (entry->offset >= told.received - timeline->rules.window &&
		    timeline_is_identified(timeline, entry))
			sim_violate(sim, "identities of the window are all told",
			            "as of %" PRId64 ": offset %" PRId64 " is missing", told.received,
			            entry->offset);
	}
	if (!sim->violated && told.origins != count_origins(timeline, told.received))
		sim_violate(sim, "origins told are the highest of the log",
		            "as of %" PRId64 ": %" PRIu64 " instead of %" PRIu64, told.received, told.origins,
		            count_origins(timeline, told.received));
}
