/*
 * Feeder world: a log, three replicas that are fed from it, and the fold that
 * each of them must be, told from the log alone: every record is judged by
 * looking back over the log itself, with nothing of the product but the
 * decoding of one record.
 */
#ifndef MILLRACE_TESTS_UNIT_FEEDER_WORLD_H
#define MILLRACE_TESTS_UNIT_FEEDER_WORLD_H

#include "tests/unit/feeder_judging.h"

#define REPLICAS 3
#define RECORDS 400
#define IDS 4
#define SOURCES 2
#define BASE (2 * WINDOW_LEAF - 200) /* a leaf ends within the log */

/* Too many for CUnit to count. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			(void)fprintf(stderr, "seed %u\n", world.seed); \
			CU_FAIL_FATAL(#condition); \
		} \
	} while (0)

/* ---- the log and its fold ---- */

struct entry {
	struct record record;
	struct record_header headers[2];
	char id[2];
	char value[16];
	char key[8];
	char origin_text[32];
	bool decodes;
	bool has_identity;
	bool skipped;
	int key_number; /* with the id the identity */
	int operation;  /* of the value */
	struct identity identity;
	struct origin origin; /* source NULL: none */
	bool applied;
	bool letter; /* the model expects one */
	bool acknowledged;
};

struct replica {
	struct incarnation incarnation;
	uint64_t session;
	int64_t received;
	int64_t stored;
	/* by offset - BASE: what it was told, whether as of `received` or not */
	bool told_identity[2 * RECORDS];
	bool told_origin[2 * RECORDS];
	bool told_skip[2 * RECORDS];
	/* what it was given: the offset of the operation that made each document, or -1; of deletes too */
	int64_t documents[2 * RECORDS + 1][IDS]; /* as of BASE + n, where a range ended there */
	int64_t now[IDS];
};

static struct {
	unsigned seed;
	uint64_t random;
	int64_t window;
	int64_t end;       /* of what the log shows so far */
	int64_t last;      /* of all that it will have */
	int64_t committed; /* offset, -1 none */
	int64_t now_ms;
	bool settling;
	uint64_t lives; /* incarnations, sessions, batch ids */
	struct entry entries[RECORDS];
	struct entry *at[2 * RECORDS]; /* by offset - BASE; NULL: a hole */
	int64_t skips[RECORDS];
	size_t skips_len;
	struct replica replicas[REPLICAS];
	uint64_t duplicates_seen;
	uint64_t fills_seen;
} world;

static inline uint32_t dice(uint32_t bound)
{
	world.random = world.random * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
	return (uint32_t)((world.random >> 33) % bound);
}

static inline bool chance(uint32_t percent)
{
	return dice(100) < percent;
}

static inline struct entry *entry_at(int64_t offset)
{
	return offset < BASE || offset >= world.last ? NULL : world.at[offset - BASE];
}

static inline void add_headers(struct entry *entry)
{
	size_t len = 0;

	if (entry->key[0] != '\0')
		entry->headers[len++] =
			(struct record_header){slice_string("idempotency-key"), slice_string(entry->key)};
	if (entry->origin_text[0] != '\0')
		entry->headers[len++] =
			(struct record_header){slice_string("origin"), slice_string(entry->origin_text)};
	entry->record.headers = entry->headers;
	entry->record.headers_len = len;
}

/* One record; origins mostly go on, and now and then a zombie repeats old ones. */
static inline void make_entry(struct entry *entry, int64_t offset, int64_t *position, uint32_t *life)
{
	uint32_t source = dice(SOURCES);

	*entry = (struct entry){.decodes = !chance(5), .skipped = chance(3)};
	entry->id[0] = (char)('a' + dice(IDS));
	entry->operation = (int)dice(3);
	if (entry->operation > 0)
		(void)snprintf(entry->value, sizeof entry->value, "{\"x\":%d%s", entry->operation,
		               entry->decodes ? "}" : "");
	entry->decodes = entry->decodes || entry->operation == 0;
	if (chance(60)) {
		entry->key_number = (int)dice(12);
		entry->has_identity = true;
		(void)snprintf(entry->key, sizeof entry->key, "k%d", entry->key_number);
	}
	if (chance(30)) {
		int64_t from = position[source];

		if (chance(2)) {
			life[source]++;
			position[source] = from = 0;
		} else if (chance(30)) {
			from -= dice(5) < from ? dice(5) : from;
		} else {
			position[source] += 1 + dice(2);
		}
		from = from < 0 ? 0 : from;
		entry->origin = (struct origin){.source = slice_string(source == 0 ? "s" : "t"),
		                                .life = life[source] - (life[source] > 0 && chance(5)),
		                                .offset = from};
		(void)snprintf(entry->origin_text, sizeof entry->origin_text, "%s.%u/0/%lld.0",
		               source == 0 ? "s" : "t", (unsigned)entry->origin.life, (long long)from);
	}
	entry->record = record_at(offset, entry->id, entry->operation > 0 ? entry->value : NULL);
	add_headers(entry);
}

static inline void decode_entry(struct entry *entry)
{
	struct index_record index = judging_index(world.window);
	struct record_place place = {
		.rules = &index.rules, .partitions = 1, .primary_key = slice_string(index.primary_key)};
	struct refusal refusal;
	struct arena arena;
	struct op op;

	arena_init(&arena, 4096);
	CHECK((record_decode(&entry->record, &place, &arena, &op, &refusal) == RECORD_VERDICT_APPLY) ==
	      entry->decodes);
	if (entry->decodes && entry->has_identity)
		entry->identity = op.identity;
	arena_deinit(&arena);
}

static inline bool counts(const struct entry *entry)
{
	return entry != NULL && entry->decodes && !entry->skipped;
}

/* Was it imported before, as anything in the log before says? */
static inline bool imported_before(const struct entry *entry)
{
	const struct origin *mine = &entry->origin;

	for (int64_t offset = BASE; mine->source.ptr != NULL && offset < entry->record.offset; offset++) {
		const struct entry *other = entry_at(offset);

		if (!counts(other) || other->origin.source.ptr == NULL ||
		    !slice_equal(other->origin.source, mine->source))
			continue;
		if (other->origin.life > mine->life ||
		    (other->origin.life == mine->life && other->origin.offset >= mine->offset))
			return true;
	}
	return false;
}

static inline void judge_entry(struct entry *entry)
{
	int64_t from = entry->record.offset - world.window;

	entry->letter = entry->skipped || !entry->decodes;
	if (entry->letter || imported_before(entry))
		return;
	for (int64_t offset = entry->record.offset - 1;
	     entry->has_identity && offset >= from && offset >= BASE; offset--) {
		const struct entry *other = entry_at(offset);

		if (!counts(other) || !other->has_identity || other->key_number != entry->key_number ||
		    other->id[0] != entry->id[0])
			continue;
		entry->letter = other->operation != entry->operation;
		return;
	}
	entry->applied = true;
}

static inline void make_log(void)
{
	int64_t position[SOURCES] = {0};
	uint32_t life[SOURCES] = {0};
	int64_t offset = BASE;

	for (size_t i = 0; i < RECORDS; i++) {
		struct entry *entry = &world.entries[i];

		if (chance(10))
			offset++;
		make_entry(entry, offset, position, life);
		world.at[offset - BASE] = entry;
		world.last = offset + 1;
		decode_entry(entry);
		judge_entry(entry);
		if (entry->skipped)
			world.skips[world.skips_len++] = offset;
		offset++;
	}
}

/* ---- replicas ---- */

static inline void wipe(struct replica *replica)
{
	memset(replica, 0, sizeof *replica);
	replica->incarnation = (struct incarnation){{++world.lives, 1}};
	replica->session = ++world.lives;
	replica->received = replica->stored = BASE;
	for (int i = 0; i < IDS; i++)
		replica->now[i] = replica->documents[0][i] = -1;
}

static inline void crash(struct replica *replica)
{
	replica->session = ++world.lives;
	replica->received = replica->stored;
	memcpy(replica->now, replica->documents[replica->stored - BASE], sizeof replica->now);
}

/* The fold, from the model's verdicts; and everything else that a replica was to be told. */
static inline void check_replica(const struct replica *replica)
{
	int64_t now[IDS];

	for (int i = 0; i < IDS; i++)
		now[i] = -1;
	for (int64_t offset = BASE; offset < replica->received; offset++) {
		const struct entry *entry = entry_at(offset);
		size_t at = (size_t)(offset - BASE);

		if (entry == NULL) {
			CHECK(!replica->told_identity[at] && !replica->told_skip[at]);
			continue;
		}
		if (entry->applied)
			now[entry->id[0] - 'a'] = offset;
		CHECK(!entry->letter || entry->acknowledged);
		CHECK(replica->told_skip[at] == entry->skipped);
		CHECK(replica->told_identity[at] == (counts(entry) && entry->has_identity));
	}
	for (int i = 0; i < IDS; i++)
		CHECK(replica->now[i] == now[i]);
}

static inline void take_marks(struct replica *replica, const struct range *range)
{
	struct identity_entry identity;
	struct origin_entry origin;
	int64_t skipped;
	size_t at = 0;

	while (range_next_identity(range, &at, &identity)) {
		const struct entry *entry = entry_at(identity.offset);

		CHECK(entry != NULL && hash128_equal(entry->identity.key, identity.identity.key));
		CHECK(entry->identity.operation == identity.identity.operation);
		replica->told_identity[identity.offset - BASE] = true;
	}
	at = 0;
	while (range_next_skipped(range, &at, &skipped))
		replica->told_skip[skipped - BASE] = true;
	at = 0;
	while (range_next_origin(range, &at, &origin))
		replica->told_origin[origin.offset - BASE] = true;
}

static inline enum range_result receive(struct replica *replica, const struct range *range)
{
	struct error error;
	struct op op;
	size_t at = 0;

	if (!incarnation_equal(range->incarnation, replica->incarnation) ||
	    range->session != replica->session)
		return RANGE_RESULT_REFUSED;
	if (range->to <= replica->received)
		return RANGE_RESULT_ALREADY;
	if (range->from > replica->received)
		return RANGE_RESULT_GAP;
	if (!world.settling && chance(3))
		return RANGE_RESULT_BUSY;
	while (range_next(range, &at, &op, &error) == 1)
		if (op.offset >= replica->received)
			replica->now[op.id.ptr[0] - 'a'] = op.offset;
	take_marks(replica, range);
	replica->received = range->to;
	memcpy(replica->documents[range->to - BASE], replica->now, sizeof replica->now);
	check_replica(replica);
	if (chance(world.settling ? 100 : 30))
		replica->stored = replica->received;
	return RANGE_RESULT_APPLIED;
}

static inline struct range_answer answer_of_replica(const struct replica *replica, enum range_result result)
{
	struct range_answer answer = {
		.index_id = 77,
		.result = result,
		.incarnation = replica->incarnation,
		.session = replica->session,
		.received = replica->received,
		.stored = replica->stored,
		.anchor = {.offset = -1},
	};

	for (int64_t offset = BASE; offset < replica->received; offset++) {
		const struct entry *entry = entry_at(offset);

		if (entry == NULL)
			continue;
		answer.anchor =
			(struct anchor){offset, entry->record.timestamp_ms, record_checksum(&entry->record)};
		answer.has_identities = answer.has_identities || (replica->told_identity[offset - BASE] &&
		                                                  offset >= replica->received - world.window);
		answer.has_origins = answer.has_origins || replica->told_origin[offset - BASE];
	}
	return answer;
}

static inline void write_origins(struct marks_writer *writer, const struct replica *replica)
{
	struct origins *origins = origins_new();
	struct origin origin;
	struct error error;
	size_t at = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(origins);
	for (int64_t offset = BASE; offset < replica->received; offset++)
		if (replica->told_origin[offset - BASE])
			CHECK(origins_note(origins, &entry_at(offset)->origin, &error) == 0);
	while (origins_next(origins, &at, &origin))
		marks_add_origin(writer, &origin);
	origins_free(origins);
}

/* A page from `from` on; some begin lower than they need, as coarse chunks do. */
static inline void write_page(struct buffer *frame, const struct replica *replica, int64_t from)
{
	struct marks_writer writer;
	int64_t low = replica->received - world.window - (chance(50) ? 7 : 0);
	uint32_t left = 1 + dice(40);
	int64_t next = -1;

	marks_begin(&writer, frame, replica->incarnation, replica->received);
	if (from == 0)
		write_origins(&writer, replica);
	low = low < BASE ? BASE : low;
	for (int64_t offset = from > low ? from : low; offset < replica->received; offset++) {
		struct identity_entry entry = {.offset = offset};

		if (!replica->told_identity[offset - BASE])
			continue;
		if (left-- == 0) {
			next = offset;
			break;
		}
		entry.identity = entry_at(offset)->identity;
		marks_add_identity(&writer, &entry);
	}
	CHECK(marks_end(&writer, next));
}

#endif
