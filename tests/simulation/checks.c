/* The invariants. */
#include "shared/base/assert.h"
#include "tests/simulation/sim.h"

#include <inttypes.h>

#define SEARCHES_MAX 6
#define PAGE_MAX 64
#define FEEDER_SLACK_BYTES (96U * 1024) /* one record's memtable a shard, with its first blocks */

static bool is_orphan(const struct sim_replica *held, const struct sim_log *log)
{
	return held->log_life != log->life;
}

static void check_letters(struct sim *sim, struct sim_replica *held, const struct timeline *timeline,
                          uint32_t shard)
{
	while (held->letters_seen < timeline->len &&
	       timeline->entries[held->letters_seen]->offset < held->received) {
		const struct log_entry *entry = timeline->entries[held->letters_seen++];

		if (entry->refused && !entry->dead_lettered)
			sim_violate(sim, "nothing passes an unacknowledged dead letter",
			            "shard %u has received %lld, the record at %lld (%s) is not in the topic",
			            shard, (long long)held->received, (long long)entry->offset,
			            refusal_name(entry->refusal));
	}
}

static void check_watermarks(struct sim *sim, struct sim_replica *held, const struct replica_status *status,
                             uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];

	if (status->received < held->received)
		sim_violate(sim, "received never goes back in a session", "shard %u: %lld after %lld", shard,
		            (long long)status->received, (long long)held->received);
	if (status->stored > status->received || status->stored > held->stored_durable)
		sim_violate(sim, "stored is what is on disk",
		            "shard %u: stored %lld, received %lld, on disk %lld", shard,
		            (long long)status->stored, (long long)status->received,
		            (long long)held->stored_durable);
	if (is_orphan(held, log) && status->received != held->received)
		sim_violate(sim, "a replica of another log is not fed",
		            "shard %u: %lld after %lld, the log was replaced at %lld", shard,
		            (long long)status->received, (long long)held->received, (long long)log->cut);
	if (status->state == REPLICA_STATE_ACTIVE && status->received < held->level_floor)
		sim_violate(sim, "a replica that is not level is recovering",
		            "shard %u: active at %lld, the log ended at %lld when the session began", shard,
		            (long long)status->received, (long long)held->level_floor);
	if (status->applied != held->applied)
		sim_violate(sim, "an operation is applied once",
		            "shard %u: %" PRIu64 " operations applied, expected %" PRIu64, shard,
		            status->applied, held->applied);
}

void check_commit(struct sim *sim, uint32_t shard, int64_t offset)
{
	const struct sim_log *log = &sim->logs[shard];

	if (offset > log->stored_max)
		sim_violate(sim, "committed is at most stored", "shard %u: commits %lld, stored %lld", shard,
		            (long long)offset, (long long)log->stored_max);
}

/* The fold at `received`, computed anew, in insertion order. */
static size_t fold_documents(const struct sim_log *log, const struct timeline *timeline, int64_t received,
                             struct fold_document *documents)
{
	struct fold fold = {0};
	size_t place = timeline_place(timeline, received);
	size_t len = 0;

	for (size_t i = 0; i < place; i++)
		fold_apply(&fold, log->index_id, timeline->entries[i]);
	for (size_t i = 0; i < DOCUMENTS_MAX; i++) {
		struct fold_document *document = &fold.documents[i];
		size_t at = len;

		if (document->entry == NULL)
			continue;
		while (at > 0 && insertion_key_compare(document->key, document->entry->record.key,
		                                       documents[at - 1].key,
		                                       documents[at - 1].entry->record.key) < 0) {
			documents[at] = documents[at - 1];
			at--;
		}
		documents[at] = *document;
		len++;
	}
	return len;
}

static bool same_document(const struct document *document, const struct fold_document *expected)
{
	return slice_equal(document->id, expected->entry->record.key) &&
	       slice_equal(document->body, expected->entry->stored) &&
	       document->key.timestamp_ms == expected->key.timestamp_ms &&
	       document->key.seq == expected->key.seq;
}

/* All documents, one after the other, are those of the fold. */
static void compare_listing(struct sim *sim, struct replica *replica, const struct timeline *timeline,
                            uint32_t shard)
{
	struct fold_document expected[DOCUMENTS_MAX];
	struct document_page page;
	struct replica_status status;
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = PAGE_MAX, .stale_ok = true, .arena = &arena};
	size_t len;

	replica_status(replica, &status);
	len = fold_documents(&sim->logs[shard], timeline, status.received, expected);
	arena_init(&arena, 4096);
	if (replica_list(replica, &request, &page, &error) != 0) {
		sim_violate(sim, "a listing succeeds", "shard %u: %s", shard, error.text);
	} else if (page.count != len || page.total != len) {
		sim_violate(sim, "state is the fold of the log up to received",
		            "shard %u at %lld: %zu documents listed, expected %zu", shard,
		            (long long)status.received, page.count, len);
	} else {
		for (size_t i = 0; i < len; i++)
			if (!same_document(&page.documents[i], &expected[i]))
				sim_violate(sim, "state is the fold of the log up to received",
				            "shard %u at %lld: found %.*s at %lld/%u, expected %.*s at "
				            "%lld/%u (offset %lld)",
				            shard, (long long)status.received,
				            SLICE_ARGS(page.documents[i].body),
				            (long long)page.documents[i].key.timestamp_ms,
				            page.documents[i].key.seq, SLICE_ARGS(expected[i].entry->stored),
				            (long long)expected[i].key.timestamp_ms, expected[i].key.seq,
				            (long long)expected[i].entry->offset);
	}
	arena_deinit(&arena);
}

/* The digest first, which is cheap; where it differs, the documents, which say more. */
static void check_fold(struct sim *sim, struct replica *replica, const struct timeline *timeline,
                       uint32_t shard)
{
	struct replica_status status;
	struct fold_point point;

	replica_status(replica, &status);
	point = timeline_point(timeline, status.received);
	if (hash128_equal(point.digest, status.digest) && point.documents == status.documents &&
	    point.body_bytes == status.body_bytes)
		return;
	compare_listing(sim, replica, timeline, shard);
	sim_violate(sim, "state is the fold of the log up to received",
	            "shard %u at %lld: digest, documents or bytes differ", shard, (long long)status.received);
}

void check_content(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	if (!sim->violated)
		compare_listing(sim, held->replica, sim_log_timeline(&sim->logs[shard], held->log_life),
		                shard);
}

static void check_replica(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct timeline *timeline = sim_log_timeline(log, held->log_life);
	struct replica_status status;

	replica_status(held->replica, &status);
	if (status.state == REPLICA_STATE_STOPPED)
		sim_violate(sim, "an undamaged replica does not stop", "shard %u: %s", shard,
		            status.stop_reason);
	check_watermarks(sim, held, &status, shard);
	sim->hash = sim->hash * 31 + status.digest.low;
	if (status.received != held->received || held->letters_seen == 0) {
		held->received = status.received;
		check_letters(sim, held, timeline, shard);
	}
	check_fold(sim, held->replica, timeline, shard);
	if (status.memory_bytes > sim->swarm.node_memory_bytes + (2U << 20))
		sim_violate(sim, "memory is bounded", "shard %u: the replica holds %zu bytes", shard,
		            status.memory_bytes);
}

void check_all(struct sim *sim)
{
	for (uint32_t shard = 0; shard < sim->swarm.shards && !sim->violated; shard++) {
		struct sim_replica *held = &sim_home(sim, shard)->replicas[shard];

		if (held->replica != NULL)
			check_replica(sim, held, shard);
	}
	for (uint32_t i = 0; i < sim->swarm.ingests && !sim->violated; i++) {
		const struct sim_ingest *ingest = &sim->ingests[i];

		if (ingest->process.alive &&
		    feeder_memory_bytes(ingest->feeder) >
		            sim->swarm.feeder.memory_bytes_max + sim->swarm.shards * FEEDER_SLACK_BYTES)
			sim_violate(sim, "memory is bounded", "ingest %u holds %zu bytes", i,
			            feeder_memory_bytes(ingest->feeder));
	}
}

void check_stored(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	struct sim_log *log = &sim->logs[shard];
	struct replica_identity identity = {.cluster_id = "simulated",
	                                    .index_id = sim->index.id,
	                                    .generation = sim->index.generation,
	                                    .partition = (int32_t)shard,
	                                    .rules_digest = rules_digest(&sim->index.rules)};
	struct replica_status status;
	struct replica *replica;
	struct sim_disk copy;
	struct error error;
	struct kv *kv;

	held->commits_seen = held->disk.commits;
	sim_disk_copy(&copy, &held->disk);
	kv = sim_kv_open(&copy);
	if (replica_open(kv, &identity, 1, &replica, &error) != 0) {
		sim_violate(sim, "what is stored can be opened", "shard %u: %s", shard, error.text);
		kv_close(kv);
		sim_disk_deinit(&copy);
		return;
	}
	replica_status(replica, &status);
	if (status.received < held->stored_durable || status.received > held->received)
		sim_violate(sim, "stored never goes back, and never beyond received",
		            "shard %u: stored %lld after %lld, received %lld", shard,
		            (long long)status.received, (long long)held->stored_durable,
		            (long long)held->received);
	check_fold(sim, replica, sim_log_timeline(log, held->log_life), shard);
	compare_listing(sim, replica, sim_log_timeline(log, held->log_life), shard);
	if (!sim->violated && replica_verify(replica, &error) != 0)
		sim_violate(sim, "what is stored is whole", "shard %u: %s", shard, error.text);
	held->stored_durable = status.received;
	held->disk_log_life = held->log_life;
	if (status.received > log->stored_max)
		log->stored_max = status.received;
	replica_close(replica);
	sim_disk_deinit(&copy);
}

/* A search for the word that only this record has finds its document, or nothing if the fold lacks it. */
static void search_word(struct sim *sim, struct sim_replica *held, const struct log_entry *entry,
                        const struct fold_document *expected)
{
	struct document_page page;
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = 4, .stale_ok = true, .arena = &arena};
	uint64_t hits = expected != NULL;

	arena_init(&arena, 2048);
	if (replica_search(held->replica, slice_string(entry->word), &request, &page, &error) != 0)
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

static void search_stale(struct sim *sim, struct sim_replica *held, struct slice id, uint32_t shard)
{
	struct document document;
	struct error error;
	struct arena arena;
	int rc;

	arena_init(&arena, 1024);
	rc = replica_get(held->replica, id, false, &arena, &document, &error);
	arena_deinit(&arena);
	if (rc != ERROR_STATE && held->received < held->level_floor)
		sim_violate(sim, "a search is never answered unflagged by a replica that is not level",
		            "shard %u: received %lld, the log ended at %lld when the session began", shard,
		            (long long)held->received, (long long)held->level_floor);
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
static void search_several(struct sim *sim, struct sim_replica *held, const struct fold_document *expected,
                           size_t len)
{
	static const char *const queries[] = {"river ", "riv", "Resum\303\251", "mill ", "ston", ""};
	static const char *const folded[] = {"river ", "riv", "resume", "mill ", "ston", ""};
	uint32_t choice = dice_below(&sim->dice, 6);
	struct document_page page = {0};
	struct error error;
	struct arena arena;
	struct document_request request = {.limit = PAGE_MAX, .stale_ok = true, .arena = &arena};
	size_t hits = 0;
	bool same = true;

	arena_init(&arena, 4096);
	if (replica_search(held->replica, slice_string(queries[choice]), &request, &page, &error) != 0)
		sim_violate(sim, "a search succeeds", "%s", error.text);
	for (size_t i = 0; i < len; i++) {
		if (!text_matches(expected[i].entry->text, folded[choice]))
			continue;
		same = same && hits < page.count && same_document(&page.documents[hits], &expected[i]);
		hits++;
	}
	if (!same || page.count != hits || page.total != hits)
		sim_violate(sim, "a search finds the documents of the fold, and no other",
		            "\"%s\": %zu hits, expected %zu", queries[choice], page.count, hits);
	arena_deinit(&arena);
}

void check_search(struct sim *sim, struct sim_replica *held, uint32_t shard)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct timeline *timeline = sim_log_timeline(log, held->log_life);
	struct fold_document expected[DOCUMENTS_MAX];
	size_t len = fold_documents(log, timeline, held->received, expected);
	size_t place = timeline_place(timeline, held->received);

	tally_add(&sim->tally->searches, 1);
	search_stale(sim, held, log->ids[0], shard);
	search_several(sim, held, expected, len);
	for (int i = 0; i < SEARCHES_MAX && place > 0 && !sim->violated; i++) {
		const struct log_entry *entry = timeline->entries[dice_below(&sim->dice, (uint32_t)place)];
		const struct fold_document *found = NULL;

		for (size_t at = 0; at < len; at++)
			if (expected[at].entry == entry)
				found = &expected[at];
		if (!entry->refused && entry->kind == OP_KIND_PUT)
			search_word(sim, held, entry, found);
	}
}

static const struct feeder_status *owner_status(struct sim *sim, uint32_t shard, struct feeder_status *status)
{
	for (uint32_t i = 0; i < sim->swarm.ingests; i++) {
		struct sim_ingest *ingest = &sim->ingests[i];

		if (ingest->process.alive && ingest->added[shard] &&
		    feeder_shard_status(ingest->feeder, ingest->slots[shard], status))
			return status;
	}
	return NULL;
}

bool check_settled(struct sim *sim, uint32_t shard, char *why, size_t why_size)
{
	const struct sim_log *log = &sim->logs[shard];
	const struct sim_replica *held = &sim_home(sim, shard)->replicas[shard];
	struct feeder_status feeding;
	struct replica_status status;

	if (held->replica == NULL || owner_status(sim, shard, &feeding) == NULL) {
		(void)snprintf(why, why_size, "shard %u: no replica, or no owner", shard);
		return false;
	}
	replica_status(held->replica, &status);
	if (log->start > status.received || log->end < status.received || is_orphan(held, log)) {
		(void)snprintf(why, why_size, "shard %u: feeding must stop and has not", shard);
		return feeding.state == FEEDER_STATE_STOPPED && feeding.stop_reason[0] != '\0';
	}
	(void)snprintf(
		why, why_size,
		"shard %u: log end %lld, received %lld, stored %lld, committed %lld, state %d, feeder %d %s",
		shard, (long long)log->end, (long long)status.received, (long long)status.stored,
		(long long)log->committed, (int)status.state, (int)feeding.state, feeding.stop_reason);
	return status.received == log->end && status.stored == log->end && log->committed == log->end &&
	       status.state == REPLICA_STATE_ACTIVE;
}
