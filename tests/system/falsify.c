/*
 * falsify ENVIRONMENT ID WORD OTHER: makes a stopped node's replica believe in
 * another document than the log has, as if it had always been so.
 *
 * In the body of the document ID, WORD becomes OTHER: the replica itself
 * receives and stores it, and then its watermark, anchor and seals are put back
 * to what they were. Nothing is damaged, so nothing the node could check by
 * itself says that anything is wrong. Prints the watermark of what is stored.
 */
#include "shard/core/stored.h"

#include "shared/base/arena.h"
#include "tests/unit/replica_reads.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX (1U << 20)

/* What the replica says of itself before. */
struct belief {
	struct replica_identity identity;
	struct mark mark;
	struct buffer seals; /* empty: none */
};

static void check(int rc, const struct error *error)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "falsify: %s\n", error->text);
	exit(1);
}

static void demand(bool true_one, const char *what)
{
	if (true_one)
		return;
	(void)fprintf(stderr, "falsify: %s\n", what);
	exit(1);
}

static void belief_read(struct kv *kv, struct belief *belief)
{
	struct stored_key state = stored_state_key();
	struct stored_key seals = stored_seals_key();
	struct kv_txn *txn;
	struct error error;
	struct slice value;

	buffer_init(&belief->seals, BYTES_MAX);
	check(kv_begin(kv, false, &txn, &error), &error);
	check(kv_get(txn, KV_TABLE_STATE, stored_key_slice(&state), &value, &error), &error);
	check(stored_state_decode(value, &belief->identity, &belief->mark, &error), &error);
	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&seals), &value, &error) == 0)
		buffer_append_slice(&belief->seals, value);
	kv_abort(txn);
}

/* The body of the document with the word replaced. */
static struct slice body_make(struct replica *replica, char **words, struct arena *arena)
{
	struct slice word = slice_string(words[1]);
	struct slice other = slice_string(words[2]);
	struct document document = {.body = {NULL, 0}};
	struct error error;
	uint8_t *body;
	size_t at = 0;

	check(reads_get(replica, slice_string(words[0]), arena, &document, &error), &error);
	while (at + word.len <= document.body.len &&
	       !slice_equal(slice_of(document.body.ptr + at, word.len), word))
		at++;
	demand(at + word.len <= document.body.len, "the document does not have the word");
	body = arena_alloc(arena, document.body.len + other.len);
	demand(body != NULL, "out of memory");
	memcpy(body, document.body.ptr, at);
	memcpy(body + at, other.ptr, other.len);
	memcpy(body + at + other.len, document.body.ptr + at + word.len, document.body.len - at - word.len);
	return slice_of(body, document.body.len - word.len + other.len);
}

/* One range of that document alone, through the real frame. */
static void receive(struct replica *replica, const struct belief *belief, struct slice id, struct slice body)
{
	const struct replica_identity *identity = &belief->identity;
	int64_t received = belief->mark.received;
	struct op op = {.offset = received, .kind = OP_KIND_PUT, .id = id, .body = body};
	struct range range = {.index_id = identity->index_id,
	                      .partition = identity->partition,
	                      .incarnation = identity->incarnation,
	                      .rules_digest = identity->rules_digest,
	                      .log_end = -1};
	struct memtable *memtable = memtable_new(received);
	struct range_answer answer;
	struct batch_writer writer;
	struct batch_reader reader;
	struct buffer frame;
	struct error error;

	demand(memtable != NULL && memtable_add(memtable, &op), "out of memory");
	buffer_init(&frame, BATCH_BYTES_MAX);
	batch_begin(&writer, &frame, 1);
	batch_add(&writer, &range, memtable);
	demand(batch_end(&writer), "out of memory");
	check(batch_open(&reader, buffer_slice(&frame), &error), &error);
	check(batch_next(&reader, &range, &error), &error);
	check(replica_receive(replica, &range, &answer, &error), &error);
	demand(answer.result == RANGE_RESULT_APPLIED, "the range was not applied");
	buffer_deinit(&frame);
	memtable_free(memtable);
}

static void store(struct replica *replica)
{
	struct replica_store_job *job = replica_store_begin(replica);
	struct error error;
	int rc;

	demand(job != NULL, "nothing to store");
	rc = replica_store_run(job, &error);
	replica_store_end(replica, job, rc, &error);
	check(rc, &error);
}

/* The content stays, and what says up to where goes back. */
static void belief_restore(struct kv *kv, const struct belief *belief)
{
	struct stored_key state = stored_state_key();
	struct stored_key seals = stored_seals_key();
	struct replica_identity identity;
	struct buffer value;
	struct mark mark;
	struct kv_txn *txn;
	struct error error;
	struct slice now;

	buffer_init(&value, BYTES_MAX);
	check(kv_begin(kv, true, &txn, &error), &error);
	check(kv_get(txn, KV_TABLE_STATE, stored_key_slice(&state), &now, &error), &error);
	check(stored_state_decode(now, &identity, &mark, &error), &error);
	mark.received = belief->mark.received;
	mark.anchor = belief->mark.anchor;
	stored_state_encode(&value, &identity, &mark);
	check(kv_put(txn, KV_TABLE_STATE, stored_key_slice(&state), buffer_slice(&value), &error), &error);
	if (belief->seals.len > 0)
		check(kv_put(txn, KV_TABLE_STATE, stored_key_slice(&seals), buffer_slice(&belief->seals),
		             &error),
		      &error);
	else
		(void)kv_delete(txn, KV_TABLE_STATE, stored_key_slice(&seals),
		                &error); /* maybe there is none */
	check(kv_commit(txn, &error), &error);
	buffer_deinit(&value);
}

int main(int argc, char **argv)
{
	struct belief belief;
	struct replica *replica;
	struct arena arena;
	struct error error;
	struct kv *kv;

	demand(argc == 5, "ENVIRONMENT ID WORD OTHER");
	arena_init(&arena, BYTES_MAX);
	check(kv_open(argv[1], &kv, &error), &error);
	belief_read(kv, &belief);
	belief.identity.document_bytes_max = BYTES_MAX;
	belief.identity.dedup_window = INT64_MAX; /* nothing that is kept is to go */
	check(replica_open(kv, &belief.identity, 1, &replica, &error), &error);
	receive(replica, &belief, slice_string(argv[2]), body_make(replica, argv + 2, &arena));
	store(replica);
	belief_restore(kv, &belief);
	replica_close(replica);
	arena_deinit(&arena);
	buffer_deinit(&belief.seals);
	(void)printf("%lld\n", (long long)belief.mark.received);
	return 0;
}
