/*
 * Bare: what a machine can do at best with a corpus: the least that a store
 * with full-text search does, and nothing for safety.
 *
 * Every document is parsed and cut into words as the replica does it, and
 * inverted in memory with the places of the words; then bodies by number, ids
 * and postings by word go into an LMDB environment in one transaction, keys
 * rising, and are synced. No updates, deletions, digests, checksums, ranges,
 * nothing to search before the end.
 */
#ifndef MILLRACE_TESTS_BENCH_STORE_BARE_H
#define MILLRACE_TESTS_BENCH_STORE_BARE_H

#include "shard/core/fields.h"
#include "shard/core/words.h"
#include "shared/base/arena.h"
#include "shared/base/map.h"
#include "tests/bench/store_bed.h"

#define BARE_MAP_BYTES (8ULL << 30)

/* A word with its occurrences: varints of the document's distance to the one before, of field and position. */
struct bare_word {
	struct slice word;
	uint8_t *bytes;
	size_t len;
	size_t size;
	uint32_t document;
};

struct bare_id {
	struct slice id;
	uint32_t number;
};

struct bare {
	struct map map; /* word → place in `words` */
	struct arena arena;
	struct bare_word *words;
	size_t len;
	size_t size;
	uint32_t document;
};

static inline size_t varint_put(uint8_t *at, uint32_t value)
{
	size_t len = 0;

	for (; value >= 128; value >>= 7)
		at[len++] = (uint8_t)(value | 128);
	at[len++] = (uint8_t)value;
	return len;
}

static inline struct bare_word *bare_word_new(struct bare *bare, struct slice word)
{
	struct bare_word *made;

	if (bare->len == bare->size) {
		bare->size = bare->size == 0 ? 65536 : bare->size * 2;
		bare->words = realloc(bare->words, bare->size * sizeof bare->words[0]);
		if (bare->words == NULL)
			return NULL;
	}
	made = &bare->words[bare->len];
	*made = (struct bare_word){.document = 0};
	if (!arena_copy(&bare->arena, word, &made->word) || !map_put(&bare->map, made->word, bare->len))
		return NULL;
	bare->len++;
	return made;
}

static inline bool bare_add(void *context, struct slice word, struct place place)
{
	struct bare *bare = context;
	uint64_t *known;
	struct bare_word *entry;

	if (slice_equal(word, slice_string(WORD_FIELD_LENGTH))) /* which is for ranking */
		return true;
	known = map_get(&bare->map, word);
	entry = known != NULL ? &bare->words[*known] : bare_word_new(bare, word);
	if (entry == NULL)
		return false;
	if (entry->size - entry->len < 15) {
		entry->size = entry->size == 0 ? 32 : entry->size * 2;
		entry->bytes = realloc(entry->bytes, entry->size);
		if (entry->bytes == NULL)
			return false;
	}
	entry->len += varint_put(entry->bytes + entry->len, bare->document - entry->document);
	entry->len += varint_put(entry->bytes + entry->len, place.field);
	entry->len += varint_put(entry->bytes + entry->len, place.position);
	entry->document = bare->document;
	return true;
}

static inline int bare_word_compare(const void *a, const void *b)
{
	return slice_compare(((const struct bare_word *)a)->word, ((const struct bare_word *)b)->word);
}

static inline int bare_id_compare(const void *a, const void *b)
{
	return slice_compare(((const struct bare_id *)a)->id, ((const struct bare_id *)b)->id);
}

static inline void bare_must(int rc)
{
	if (rc != 0)
		fail("LMDB", mdb_strerror(rc));
}

static inline void bare_append(MDB_txn *txn, MDB_dbi table, struct slice key, struct slice value)
{
	MDB_val k = {key.len, (void *)(uintptr_t)key.ptr};
	MDB_val v = {value.len, (void *)(uintptr_t)value.ptr};

	bare_must(mdb_put(txn, table, &k, &v, MDB_APPEND));
}

static inline void bare_write_documents(const struct corpus *corpus, size_t documents, MDB_txn *txn)
{
	struct bare_id *ids = malloc(documents * sizeof ids[0]);
	MDB_dbi table;

	if (ids == NULL)
		fail("bare", "out of memory");
	bare_must(mdb_dbi_open(txn, "documents", MDB_CREATE, &table));
	for (size_t i = 0; i < documents; i++) {
		const struct corpus_line *line = &corpus->lines[i];
		const uint8_t *begin = line->id.ptr - 7; /* {"id":" */
		uint8_t key[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

		ids[i] = (struct bare_id){line->id, (uint32_t)i};
		bare_append(txn, table, slice_of(key, sizeof key),
		            slice_of(begin, (size_t)(line->rest.ptr + line->rest.len - begin)));
	}
	qsort(ids, documents, sizeof ids[0], bare_id_compare);
	bare_must(mdb_dbi_open(txn, "ids", MDB_CREATE, &table));
	for (size_t i = 0; i < documents; i++)
		bare_append(txn, table, ids[i].id, slice_of(&ids[i].number, sizeof ids[i].number));
	free(ids);
}

static inline void bare_write(struct bare *bare, const struct corpus *corpus, size_t documents,
                              const char *directory)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi table;

	bare_must(mdb_env_create(&env));
	bare_must(mdb_env_set_maxdbs(env, 4));
	bare_must(mdb_env_set_mapsize(env, BARE_MAP_BYTES));
	bare_must(mdb_env_open(env, directory, 0, 0600));
	bare_must(mdb_txn_begin(env, NULL, 0, &txn));
	bare_write_documents(corpus, documents, txn);
	qsort(bare->words, bare->len, sizeof bare->words[0], bare_word_compare);
	bare_must(mdb_dbi_open(txn, "postings", MDB_CREATE, &table));
	for (size_t i = 0; i < bare->len; i++)
		bare_append(txn, table, bare->words[i].word,
		            slice_of(bare->words[i].bytes, bare->words[i].len));
	bare_must(mdb_txn_commit(txn));
	mdb_env_close(env);
}

/* The first `documents` of the corpus, from their first byte until all is on disk. */
static inline struct clocks bare_store(const struct corpus *corpus, size_t documents, const char *directory)
{
	struct clocks from = read_clocks();
	struct words_sink sink = {.word = bare_add};
	struct words *words = words_new();
	struct fields *fields = fields_new();
	struct bare bare = {.len = 0};
	struct clocks spent;
	struct error error;

	map_init(&bare.map);
	arena_init(&bare.arena, 1 << 20);
	sink.context = &bare;
	if (words == NULL || fields == NULL)
		fail("bare", "out of memory");
	for (size_t i = 0; i < documents; i++) {
		const struct corpus_line *line = &corpus->lines[i];
		const uint8_t *begin = line->id.ptr - 7;
		struct slice body = slice_of(begin, (size_t)(line->rest.ptr + line->rest.len - begin));

		bare.document = (uint32_t)i;
		if (words_of_body(words, NULL, body, fields, &sink, &error) != 0)
			fail("bare", error.text);
	}
	bare_write(&bare, corpus, documents, directory);
	spent = clocks_since(&from);
	for (size_t i = 0; i < bare.len; i++)
		free(bare.words[i].bytes);
	free(bare.words);
	fields_free(fields);
	words_free(words);
	arena_deinit(&bare.arena);
	map_deinit(&bare.map);
	return spent;
}

#endif
