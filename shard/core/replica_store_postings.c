/* The index of a store job: numbers of a word that leave and that come, block by block. */
#include "shard/core/store_job.h"

/* Numbers of one word that leave and that come, both rising; walked block by block. */
struct change {
	const struct dictionary *const *parts; /* [0]: leaving */
	size_t parts_len;
	size_t *heads; /* at the word, or beyond it where the part lacks it */
	struct slice word;
	struct postings leaving;
	struct postings coming;
};

static int block_write(struct replica_store_job *job, struct change *change, uint64_t block,
                       struct error *error)
{
	struct stored_key key = stored_postings_key(change->word, block);
	struct slice value;
	bool known;

	postings_clear(&job->block);
	known = kv_get(job->txn, KV_TABLE_POSTINGS, stored_key_slice(&key), &value, error) == 0;
	if (!known && error->code != ERROR_NOT_FOUND)
		return error->code;
	if (known && postings_decode(&job->block, block, stored_key_slice(&key), value, error) != 0)
		return error->code;
	postings_and_not(&job->block, &change->leaving);
	postings_or_block(&job->block, &change->coming, block);
	buffer_clear(&job->scratch);
	if (postings_encode(&job->block, block, stored_key_slice(&key), &job->scratch)) {
		if (buffer_failed(&job->scratch))
			return error_memory(error, job->scratch.len);
		return kv_put(job->txn, KV_TABLE_POSTINGS, stored_key_slice(&key),
		              buffer_slice(&job->scratch), error);
	}
	return known ? kv_delete(job->txn, KV_TABLE_POSTINGS, stored_key_slice(&key), error) : 0;
}

/* Collects the word's numbers from every part that has it, and moves those heads on. */
static void change_collect(struct replica_store_job *job, struct change *change)
{
	postings_clear(&change->leaving);
	postings_clear(&change->coming);
	for (size_t i = 0; i < change->parts_len; i++) {
		struct dictionary_entry entry;

		if (change->heads[i] == dictionary_len(change->parts[i]))
			continue;
		entry = dictionary_at(change->parts[i], change->heads[i]);
		if (!slice_equal(entry.word, change->word))
			continue;
		change->heads[i]++;
		if (i == 0) {
			for (size_t k = 0; k < entry.numbers_len; k++)
				postings_add(&change->leaving,
				             job->leaving[entry.base + entry.numbers[k]].number);
			continue;
		}
		for (size_t k = 0; k < entry.numbers_len; k++)
			if (job_writes(job, entry.base + entry.numbers[k]))
				postings_add(&change->coming, entry.base + entry.numbers[k]);
	}
}

static int change_write(struct replica_store_job *job, struct change *change, struct error *error)
{
	size_t a = 0;
	size_t b = 0;
	uint64_t left;
	uint64_t right;

	for (;;) {
		bool has_left = postings_block_at(&change->leaving, a, &left);
		bool has_right = postings_block_at(&change->coming, b, &right);
		uint64_t block;

		if (!has_left && !has_right)
			return 0;
		block = !has_right || (has_left && left <= right) ? left : right;
		a += has_left && left == block;
		b += has_right && right == block;
		if (block_write(job, change, block, error) != 0)
			return error->code;
	}
}

static int parts_write(struct replica_store_job *job, const struct dictionary *leaving, bool coming,
                       struct error *error)
{
	const struct dictionary *parts[DICTIONARY_MERGE_MAX] = {leaving};
	size_t heads[DICTIONARY_MERGE_MAX] = {0};
	struct change change = {
		.parts = parts, .parts_len = coming ? job->segments_len + 1 : 1, .heads = heads};
	int rc = 0;

	for (size_t i = 0; i < job->segments_len; i++)
		parts[i + 1] = job->segments[i]->dictionary;
	postings_init(&change.leaving);
	postings_init(&change.coming);
	while (rc == 0 && dictionary_heads(parts, heads, change.parts_len, &change.word)) {
		change_collect(job, &change);
		rc = change_write(job, &change, error);
	}
	postings_deinit(&change.leaving);
	postings_deinit(&change.coming);
	return rc;
}

int postings_write(struct replica_store_job *job, bool coming, struct error *error)
{
	struct dictionary *leaving = dictionary_build(job->builder);
	int rc;

	if (leaving == NULL)
		return error_memory(error, job->leaving_len);
	rc = parts_write(job, leaving, coming, error);
	dictionary_free(leaving);
	return rc;
}
