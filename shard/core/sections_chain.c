#include "shard/core/sections_private.h"

/* Sections without bytes have no chunks. */
static void section_settle(struct section_chain *chain)
{
	while (chain->section < SECTIONS && chain->at == chain->lengths[chain->section]) {
		chain->section++;
		chain->at = 0;
	}
}

void section_chain_begin(struct section_chain *chain, uint64_t segment, const uint64_t lengths[SECTIONS])
{
	*chain = (struct section_chain){.segment = segment};
	memcpy(chain->lengths, lengths, sizeof chain->lengths);
	section_settle(chain);
}

bool section_chain_is_whole(const struct section_chain *chain)
{
	return chain->section == SECTIONS;
}

static int refuse(const struct section_chain *chain, const char *what, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "segment %llu, section %s: %s",
	                 (unsigned long long)chain->segment,
	                 chain->section < SECTIONS ? section_names[chain->section] : "none", what);
}

static int run_next(struct section_chain *chain, struct slice key, struct slice value, struct error *error)
{
	size_t capacity = capacities[chain->section];
	uint64_t left = chain->lengths[chain->section] - chain->at;
	struct chunk_key due;
	struct chunk chunk;

	key_begin(&due, chain->segment, (enum section)chain->section);
	key_append_chunk(&due, (uint32_t)(chain->at / capacity));
	if (!slice_equal(key, key_slice(&due)))
		return refuse(chain, "another chunk than the next one", error);
	if (!section_chunk_cut(value, &chunk) || chunk.len != (left < capacity ? left : capacity))
		return refuse(chain, "a chunk has another length than its segment says", error);
	if (!section_pieces_check(&chunk, key, 0, pieces_of(chunk.len) - 1))
		return refuse(chain, "the checksum of a chunk does not match", error);
	chain->at += chunk.len;
	return 0;
}

/* The end of the chain has no bytes, and nothing else has none. */
static bool terms_follow(const struct section_chain *chain, const struct terms_chunk *terms, uint64_t at)
{
	bool is_end = slice_equal(terms->last, slice_of(word_end, sizeof word_end));

	return slice_equal(terms->before, slice_of(chain->word, chain->word_len)) &&
	       slice_compare(terms->last, terms->before) > 0 && is_end == (terms->payload.len == 0) &&
	       (is_end ? at == chain->lengths[SECTION_TERMS] : at < chain->lengths[SECTION_TERMS]);
}

static int terms_next(struct section_chain *chain, struct slice key, struct slice value, struct error *error)
{
	struct terms_chunk terms;
	struct chunk_key prefix;
	uint64_t at;

	key_begin(&prefix, chain->segment, SECTION_TERMS);
	if (!slice_starts_with(key, key_slice(&prefix)) || key.len == PREFIX_BYTES ||
	    key.len > PREFIX_BYTES + SECTION_WORD_BYTES_MAX)
		return refuse(chain, "another chunk than the next one", error);
	if (!section_terms_cut(key, value, &terms))
		return refuse(chain, "the checksum of a chunk does not match", error);
	at = chain->at + LINK_BYTES + terms.before.len + terms.payload.len;
	if (!terms_follow(chain, &terms, at))
		return refuse(chain, "another chunk than the next one", error);
	memcpy(chain->word, terms.last.ptr, terms.last.len);
	chain->word_len = terms.last.len;
	chain->at = at;
	return 0;
}

int section_chain_next(struct section_chain *chain, struct slice key, struct slice value, struct error *error)
{
	int rc;

	if (chain->section == SECTIONS)
		return refuse(chain, "a chunk behind the last one", error);
	rc = chain->section == SECTION_TERMS ? terms_next(chain, key, value, error)
	                                     : run_next(chain, key, value, error);
	if (rc != 0)
		return rc;
	chain->bytes += value.len;
	section_settle(chain);
	return 0;
}
