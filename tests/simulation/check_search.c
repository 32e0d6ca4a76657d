/* What a replica lists and finds is what the fold has. */
#include "tests/simulation/sim.h"
#include "tests/simulation/sim_find.h"
#include "tests/unit/replica_reads.h"

#include <inttypes.h>

#define SEARCHES_MAX 6
#define PAGE_MAX 64

/* The fold at `received` in insertion order. */
static size_t fold_documents(const struct timeline *timeline, int64_t received,
                             const struct fold_document *documents[DOCUMENTS_MAX])
{
	const struct fold_point *point = timeline_point(timeline, received);
	size_t len = 0;

	for (size_t i = 0; i < DOCUMENTS_MAX; i++) {
		const struct fold_document *document = point->at[i];
		size_t at = len;

		if (document == NULL)
			continue;
		while (at > 0 && insertion_key_compare(document->key, document->id, documents[at - 1]->key,
		                                       documents[at - 1]->id) < 0) {
			documents[at] = documents[at - 1];
			at--;
		}
		documents[at] = document;
		len++;
	}
	return len;
}

static bool same_document(const struct document *document, const struct fold_document *expected)
{
	return slice_equal(document->id, expected->id) && slice_equal(document->body, expected->text) &&
	       document->key.timestamp_ms == expected->key.timestamp_ms &&
	       document->key.seq == expected->key.seq;
}

void check_listing(struct sim *sim, struct replica *replica, const struct timeline *timeline, uint32_t shard)
{
	const struct fold_document *expected[DOCUMENTS_MAX];
	struct document_page page;
	struct replica_status status;
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = PAGE_MAX, .arena = &arena};
	size_t len;

	replica_status(replica, &status);
	len = fold_documents(timeline, status.received, expected);
	arena_init(&arena, 4096);
	if (reads_list(replica, &request, &page, &error) != 0) {
		sim_violate(sim, "a listing succeeds", "shard %u: %s", shard, error.text);
	} else if (page.count != len || page.total != len) {
		sim_violate(sim, "state is the fold of the log up to received",
		            "shard %u at %lld: %zu documents listed, expected %zu", shard,
		            (long long)status.received, page.count, len);
	} else {
		for (size_t i = 0; i < len; i++)
			if (!same_document(&page.documents[i], expected[i]))
				sim_violate(sim, "state is the fold of the log up to received",
				            "shard %u at %lld: found %.*s at %lld/%u, expected %.*s at "
				            "%lld/%u (offset %lld)",
				            shard, (long long)status.received,
				            SLICE_ARGS(page.documents[i].body),
				            (long long)page.documents[i].key.timestamp_ms,
				            page.documents[i].key.seq, SLICE_ARGS(expected[i]->text),
				            (long long)expected[i]->key.timestamp_ms, expected[i]->key.seq,
				            (long long)expected[i]->entry->offset);
	}
	arena_deinit(&arena);
}

/* A search for the word that only this operation brings finds its document, or nothing if the fold lacks it. */
static void search_word(struct sim *sim, struct sim_replica *held, const struct log_entry *entry,
                        const struct fold_document *expected)
{
	struct document_page page;
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = 4, .arena = &arena};
	uint64_t hits = expected != NULL;

	arena_init(&arena, 2048);
	if (sim_find(held->replica, entry->word, &request, &page, &error) != 0)
		sim_violate(sim, "a search succeeds", "%s", error.text);
	else if (page.total != hits || page.count != hits)
		sim_violate(sim, "a search finds the documents of the fold, and no other",
		            "%s (offset %lld): %" PRIu64 " hits, expected %" PRIu64, entry->word,
		            (long long)entry->offset, page.total, hits);
	else if (hits == 1 && !same_document(&page.documents[0], expected))
		sim_violate(sim, "a search finds the documents of the fold, and no other",
		            "%s (offset %lld): another document", entry->word, (long long)entry->offset);
	arena_deinit(&arena);
}

static bool text_matches(const char *text, const char *query)
{
	size_t len = strlen(query);
	bool whole = len > 0 && query[len - 1] == ' ';

	len -= whole;
	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (word >= len && memcmp(text, query, len) == 0 && (!whole || word == len))
			return true;
		text += word;
		text += *text == ' ';
	}
	return len == 0;
}

/* A word that several documents have: all of them, in insertion order, and no other. */
static void search_several(struct sim *sim, struct sim_replica *held,
                           const struct fold_document *const expected[], size_t len)
{
	static const char *const queries[] = {"river ", "riv", "Resum\303\251", "mill ", "ston", ""};
	static const char *const folded[] = {"river ", "riv", "resume", "mill ", "ston", ""};
	uint32_t choice = dice_below(&sim->dice, 6);
	struct document_page page = {0};
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = PAGE_MAX, .arena = &arena};
	size_t hits = 0;
	bool same = true;

	arena_init(&arena, 4096);
	if (sim_find(held->replica, queries[choice], &request, &page, &error) != 0)
		sim_violate(sim, "a search succeeds", "%s", error.text);
	for (size_t i = 0; i < len; i++) {
		const struct member *text = fold_member(expected[i], MEMBER_TEXT);

		if (!text_matches(text == NULL ? "" : text->text, folded[choice]))
			continue;
		same = same && hits < page.count && same_document(&page.documents[hits], expected[i]);
		hits++;
	}
	if (!same || page.count != hits || page.total != hits)
		sim_violate(sim, "a search finds the documents of the fold, and no other",
		            "\"%s\": %zu hits, expected %zu", queries[choice], page.count, hits);
	arena_deinit(&arena);
}

static bool has_word(const struct fold_document *document, uint32_t number)
{
	const struct member *word = fold_member(document, MEMBER_WORD);

	return word != NULL && word->number == number;
}

void check_search(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	const struct timeline *timeline = sim_log_timeline(&sim->logs[shard], held->log_life);
	const struct fold_document *expected[DOCUMENTS_MAX];
	size_t len = fold_documents(timeline, held->received, expected);
	size_t place = timeline_place(timeline, held->received);

	tally_add(&sim->tally->searches, 1);
	search_several(sim, held, expected, len);
	for (int i = 0; i < SEARCHES_MAX && place > 0 && !sim->violated; i++) {
		const struct log_entry *entry = timeline->entries[dice_below(&sim->dice, (uint32_t)place)];
		const struct fold_document *found = NULL;

		for (size_t at = 0; at < len; at++)
			if (has_word(expected[at], entry->word_number))
				found = expected[at];
		if (entry->word_number > 0)
			search_word(sim, held, entry, found);
	}
}
