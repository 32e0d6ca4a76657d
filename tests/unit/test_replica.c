/*
 * The replica against a plain model of its contract: random ranges
 * (overlapping, repeated, with gaps), merges, stores that end, fail or are cut
 * off by a crash, slices of compactions between them, reopenings; after every
 * step the state, every document, listings and searches equal what a fold of
 * the log gives, and those of a snapshot that was taken some steps ago what it
 * gave then. SEED=n runs one.
 */
#include "tests/unit/replica_asked.h"
#include "tests/unit/replica_model.h"

static struct words *query_words;
static unsigned compactions; /* begun */

/* A document that an answer must hold, in the order it must have. */
struct expected {
	struct slice id;
	const struct live *live;
	uint32_t cost; /* in the ranking */
};

static int expected_compare(const void *a, const void *b)
{
	const struct expected *left = a;
	const struct expected *right = b;

	if (left->cost != right->cost)
		return left->cost < right->cost ? -1 : 1;
	return insertion_key_compare(left->live->key, left->id, right->live->key, right->id);
}

static void check_page(struct expected *expected, size_t len, const struct document_page *page, size_t offset,
                       size_t limit)
{
	size_t rest = len > offset ? len - offset : 0;

	qsort(expected, len, sizeof *expected, expected_compare);
	CU_ASSERT_EQUAL_FATAL(page->total, len);
	CU_ASSERT_EQUAL_FATAL(page->count, rest < limit ? rest : limit);
	for (size_t i = 0; i < page->count; i++) {
		const struct expected *one = &expected[offset + i];

		CU_ASSERT_TRUE_FATAL(slice_equal(page->documents[i].id, one->id));
		CU_ASSERT_TRUE_FATAL(slice_equal(page->documents[i].body, one->live->entry->op.body));
	}
}

static void check_list(struct model *model, const struct snapshot *snapshot, const struct live live[IDS])
{
	struct expected expected[IDS];
	struct document_page page;
	struct document_page keys;
	struct arena arena;
	struct document_request request = {draw(model, 20), draw(model, 50), false, &arena};
	struct error error;
	size_t len = 0;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++)
		if (live[i].exists)
			expected[len++] = (struct expected){slice_string(model->ids[i]), &live[i], 0};
	CU_ASSERT_EQUAL_FATAL(snapshot_list(snapshot, &request, &page, &error), 0);
	check_page(expected, len, &page, (size_t)request.offset, request.limit);
	request.keys_only = true;
	CU_ASSERT_EQUAL_FATAL(snapshot_list(snapshot, &request, &keys, &error), 0);
	CU_ASSERT_EQUAL_FATAL(keys.count, page.count);
	for (size_t i = 0; i < keys.count; i++) {
		CU_ASSERT_TRUE_FATAL(slice_equal(keys.documents[i].id, page.documents[i].id));
		CU_ASSERT_EQUAL_FATAL(keys.documents[i].body.len, 0);
	}
	arena_deinit(&arena);
}

static void check_snapshot_gets(const struct model *model, const struct snapshot *snapshot,
                                const struct live live[IDS])
{
	struct arena arena;

	arena_init(&arena, 4096);
	for (size_t i = 0; i < IDS; i++) {
		struct document document;
		struct error error;
		int rc = snapshot_get(snapshot, slice_string(model->ids[i]), &arena, &document, &error);

		CU_ASSERT_EQUAL_FATAL(rc, live[i].exists ? 0 : ERROR_NOT_FOUND);
		if (rc == 0)
			CU_ASSERT_TRUE_FATAL(slice_equal(document.body, live[i].entry->op.body));
	}
	arena_deinit(&arena);
}

struct wish {
	char query[64];
	size_t words[2];
	size_t len;
	bool prefix;
	size_t known; /* words, from the first on, that some document has */
};

static struct wish wish_draw(struct model *model, const struct live live[IDS])
{
	struct wish wish = {.prefix = draw(model, 2) == 0, .len = 1 + draw(model, 2)};
	unsigned there = 0;

	for (size_t i = 0; i < IDS; i++)
		there |= live[i].exists ? live[i].entry->words : 0;
	for (size_t i = 0; i < wish.len; i++) {
		wish.words[i] = draw(model, VOCABULARY);
		strcat(wish.query, vocabulary[wish.words[i]][0]);
		if (i + 1 < wish.len || !wish.prefix)
			strcat(wish.query, " ");
		if (wish.known == i)
			wish.known += there >> wish.words[i] & 1;
	}
	return wish;
}

/* Whether the document has the words, and how many of them as they are: all but the last, perhaps. */
static bool match(const struct entry *entry, const struct wish *wish, uint32_t *exact)
{
	*exact = 0;
	for (size_t i = 0; i < wish->len; i++) {
		const char *word = vocabulary[wish->words[i]][1];
		bool begins = false;

		if (entry->words >> wish->words[i] & 1) {
			(*exact)++;
			continue;
		}
		for (size_t k = 0; k < VOCABULARY; k++)
			begins = begins || ((entry->words >> k & 1) &&
			                    strncmp(vocabulary[k][1], word, strlen(word)) == 0);
		if (!begins || !wish->prefix || i + 1 < wish->len)
			return false;
	}
	return true;
}

/* What exactness says: whether the known words are a field, or where one begins, which two are never, for words of
 * different strings are far apart; then how many are not as typed. */
static uint32_t cost_of(const struct entry *entry, const struct wish *wish, uint32_t exact)
{
	bool begins = wish->known == 1 && exact > 0 && entry->first == wish->words[0];
	uint32_t type = !begins ? 2 : entry->words_len > 1;

	return type << RANK_EXACTNESS_SHIFT | (uint32_t)(wish->len - exact);
}

static void check_found(struct expected *expected, size_t len, const struct asked_page *page, size_t limit)
{
	qsort(expected, len, sizeof *expected, expected_compare);
	CU_ASSERT_EQUAL_FATAL(page->total, len);
	CU_ASSERT_EQUAL_FATAL(page->len, len < limit ? len : limit);
	for (size_t i = 0; i < page->len; i++) {
		const struct asked_hit *hit = &page->hits[i];

		CU_ASSERT_TRUE_FATAL(slice_equal(hit->document.id, expected[i].id));
		CU_ASSERT_TRUE_FATAL(slice_equal(hit->document.body, expected[i].live->entry->op.body));
		CU_ASSERT_EQUAL_FATAL(hit->cost, expected[i].cost);
	}
}

static void check_search(struct model *model, struct snapshot *snapshot, const struct live live[IDS])
{
	struct expected expected[IDS];
	struct arena arena;
	struct asked_search asked = {.ranked = true, .limit = draw(model, 50), .arena = &arena};
	struct asked_page page;
	struct wish wish = wish_draw(model, live);
	struct error error;
	size_t len = 0;

	for (size_t i = 0; i < IDS; i++) {
		const struct entry *entry = live[i].entry;
		uint32_t exact;

		if (live[i].exists && match(entry, &wish, &exact))
			expected[len++] = (struct expected){slice_string(model->ids[i]), &live[i],
			                                    cost_of(entry, &wish, exact)};
	}
	asked.query = wish.query;
	arena_init(&arena, 4096);
	CU_ASSERT_EQUAL_FATAL(asked_snapshot(snapshot, query_words, &asked, &page, &error), 0);
	check_found(expected, len, &page, asked.limit);
	arena_deinit(&arena);
}

static void check_snapshot(struct model *model, struct snapshot *snapshot, const struct live live[IDS])
{
	check_snapshot_gets(model, snapshot, live);
	check_list(model, snapshot, live);
	for (int i = 0; i < 3; i++)
		check_search(model, snapshot, live);
}

static void check(struct model *model)
{
	struct snapshot *snapshot = replica_snapshot(model->replica);
	struct live live[IDS];

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	CU_ASSERT_EQUAL_FATAL(snapshot_received(snapshot), status_of(model).received);
	fold(model, status_of(model).received, live);
	check_state(model, live);
	check_snapshot(model, snapshot, live);
	if (model->kept != NULL && draw(model, 3) == 0) {
		fold(model, model->kept_at, live);
		check_snapshot(model, model->kept, live);
	}
	snapshot_release(snapshot);
}

/* Takes one, or lets it go. */
static void step_snapshot(struct model *model)
{
	if (model->kept != NULL) {
		snapshot_release(model->kept);
		model->kept = NULL;
		return;
	}
	model->kept = replica_snapshot(model->replica);
	model->kept_at = status_of(model).received;
}

static void step_receive(struct model *model)
{
	int64_t received = status_of(model).received;
	int64_t from = received - (int64_t)draw(model, 3) * (int64_t)draw(model, 10);
	int64_t to = received + (int64_t)draw(model, draw(model, 4) == 0 ? 40 : 6);
	struct range_answer answer;
	enum range_result expected = RANGE_RESULT_APPLIED;

	if (from < BASE)
		from = BASE;
	while (model->end < to)
		entry_make(model, model->end++);
	if (draw(model, 10) == 0)
		from = to = from - (from > BASE);
	if (to <= received)
		expected = RANGE_RESULT_ALREADY;
	CU_ASSERT_EQUAL_FATAL(send(model, from, to, -1, &answer), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, expected);
	CU_ASSERT_EQUAL_FATAL(answer.received, to > received ? to : received);
	if (draw(model, 8) != 0)
		return;
	entry_make(model, model->end++);
	entry_make(model, model->end++);
	received = answer.received;
	CU_ASSERT_EQUAL_FATAL(send(model, received + 1, received + 2, -1, &answer), 0);
	CU_ASSERT_EQUAL_FATAL(answer.result, RANGE_RESULT_GAP);
	CU_ASSERT_EQUAL_FATAL(answer.received, received);
	model->end = received > model->end - 2 ? received : model->end - 2;
}

/* A job that ends, that is dropped, or that ran but whose end nobody saw (a crash). */
static void step_store(struct model *model, const char *directory)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	int64_t stored = status_of(model).stored;
	struct error error = {.code = 0};
	int rc = 0;

	if (job == NULL)
		return;
	CU_ASSERT_PTR_NULL_FATAL(replica_store_begin(model->replica));
	if (draw(model, 2) == 0)
		step_receive(model);
	if (draw(model, 5) == 0) {
		rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "not run");
	} else {
		rc = replica_store_run(job, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		check(model); /* in memory and on disk at once */
		step_receive(model);
		check(model);
	}
	replica_store_end(model->replica, job, rc, &error);
	if (rc == 0)
		CU_ASSERT_TRUE_FATAL(status_of(model).stored >= stored)
	else
		CU_ASSERT_EQUAL_FATAL(status_of(model).stored, stored);
	CU_ASSERT_EQUAL_FATAL(reads_verify(model->replica, &error), 0);
	if (draw(model, 4) == 0) {
		stored = status_of(model).stored;
		reopen(model, directory);
		CU_ASSERT_EQUAL_FATAL(status_of(model).received, stored);
	}
}

/* What there is, between two slices. */
static void store_now(struct model *model)
{
	struct replica_store_job *job = replica_store_begin(model->replica);
	struct error error = {.code = 0};

	if (job == NULL)
		return;
	CU_ASSERT_EQUAL_FATAL(replica_store_run(job, &error), 0);
	replica_store_end(model->replica, job, 0, &error);
}

/* A compaction in slices, with ranges and stores between them; it may be given up. */
static void step_compact(struct model *model, const char *directory)
{
	struct replica_compact_job *job;
	struct error error = {.code = 0};
	bool more = true;
	int rc = 0;

	replica_rest(model->replica, draw(model, 4) == 0);
	job = replica_compact_begin(model->replica);
	if (job == NULL)
		return;
	compactions++;
	CU_ASSERT_PTR_NULL_FATAL(replica_compact_begin(model->replica));
	while (more && rc == 0) {
		if (draw(model, 8) == 0) {
			rc = error_set(&error, ERROR_STORAGE, ERROR_ACTION_RETRY, "given up");
			break;
		}
		rc = replica_compact_run(job, 1 + draw(model, 60), &more, &error);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		step_receive(model);
		if (more && draw(model, 2) == 0)
			store_now(model);
		check(model);
	}
	replica_compact_end(model->replica, job, rc, &error);
	check(model);
	CU_ASSERT_EQUAL_FATAL(reads_verify(model->replica, &error), 0);
	if (draw(model, 8) == 0)
		reopen(model, directory);
}

static void model_run(uint64_t seed)
{
	struct model model = {.seed = seed, .end = BASE, .session = 1, .incarnation = {{5, seed + 1}}};
	char directory[32];

	snprintf(directory, sizeof directory, "model-%llu", (unsigned long long)seed);
	model.log = calloc(LOG_MAX, sizeof *model.log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model.log);
	ids_make(&model);
	reopen(&model, directory);
	while (model.end < BASE + LOG_MAX - 200) {
		uint64_t what = draw(&model, 12);

		if (what < 7)
			step_receive(&model);
		else if (what < 8)
			(void)replica_merge(model.replica);
		else if (what < 10)
			step_store(&model, directory);
		else if (what < 11)
			step_compact(&model, directory);
		else
			step_snapshot(&model);
		check(&model);
	}
	snapshot_release(model.kept);
	replica_close(model.replica);
	free(model.log);
}

static void test_model(void)
{
	const char *seed = getenv("SEED");

	query_words = words_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(query_words);
	for (uint64_t i = 1; seed == NULL && i <= 3; i++)
		model_run(i);
	if (seed != NULL)
		model_run(strtoull(seed, NULL, 10));
	CU_ASSERT_TRUE(compactions > 0);
	words_free(query_words);
}

int main(void)
{
	CU_TestInfo tests[] = {{"the model", test_model}, CU_TEST_INFO_NULL};

	return suite_run("replica", tests);
}
