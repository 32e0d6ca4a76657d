/* How many words short fields have: a list of all documents, which few searches need much of. */
#include "shard/core/search_private.h"

#include "shard/core/words.h"

void search_lengths_begin(struct search_lengths *lengths, struct search *search,
                          const struct search_segment *segment)
{
	search_lengths_end(lengths);
	lengths->search = search;
	lengths->segment = segment;
	lengths->opened = lengths->begun = lengths->ended = lengths->failed = false;
	lengths->held = UINT64_MAX;
	lengths->run = (struct posting_run){0};
	lengths->fields_len = 0;
}

void search_lengths_end(struct search_lengths *lengths)
{
	if (lengths->in_blocks)
		terms_blocks_close(&lengths->blocks);
	lengths->in_blocks = false;
}

/* 1 if there is a list; nothing is read of it yet. */
static int list_of_disk(struct search_lengths *lengths)
{
	const struct wordlist *words = &lengths->segment->wordlist;
	struct section_reader *sections = words->sections;
	struct error *error = &lengths->error;
	struct wordlist_key room;
	struct posting_list list;
	struct term term;

	if (terms_find(sections, wordlist_key(words, slice_string(WORD_FIELD_LENGTH), &room), &term, error) !=
	    0)
		return error->code == ERROR_NOT_FOUND ? 0 : error->code;
	lengths->in_blocks = terms_blocks_open(&lengths->blocks, sections, &term, words->base);
	if (lengths->in_blocks && words->table != NULL)
		terms_blocks_use(&lengths->blocks, word_table_lengths(words->table));
	if (lengths->in_blocks)
		return 1;
	if (terms_list(sections, &term, words->base, &lengths->search->joined, &list, error) != 0)
		return error->code;
	posting_cursor_init(&lengths->cursor, &list);
	return 1;
}

static int list_open(struct search_lengths *lengths)
{
	struct lexicon lexicon;
	struct posting_list list;

	lengths->opened = true;
	if (lengths->segment->wordlist.sections != NULL)
		return list_of_disk(lengths);
	lexicon_init(&lexicon, &lengths->segment->wordlist, NULL, NULL);
	if (lexicon_find(&lexicon, slice_string(WORD_FIELD_LENGTH), &list, &lengths->error) <= 0)
		return 0;
	posting_cursor_init(&lengths->cursor, &list);
	return 1;
}

/* To the block that may have the document; what is in blocks is so short that it ends in them. */
static int run_find(struct search_lengths *lengths)
{
	struct posting_cursor *cursor = &lengths->cursor;
	uint64_t number;
	int rc = lengths->in_blocks
	                 ? terms_blocks_seek(&lengths->blocks, lengths->wanted, cursor, &lengths->error)
	                 : posting_cursor_next(cursor, &number, &lengths->error);

	while (rc > 0 && !lengths->in_blocks && cursor->block_last < lengths->wanted) {
		posting_run_take(&lengths->run, cursor);
		rc = posting_cursor_next(cursor, &number, &lengths->error);
	}
	if (rc > 0)
		posting_run_take(&lengths->run, cursor);
	lengths->is_read = false;
	return rc;
}

/* 1 if the document has fields. */
static int document_find(struct search_lengths *lengths)
{
	int rc = 1;

	if (!lengths->opened)
		rc = list_open(lengths);
	if (rc > 0 && !lengths->ended && (!lengths->begun || lengths->run.last < lengths->wanted))
		rc = run_find(lengths);
	lengths->begun = true;
	lengths->ended = lengths->ended || rc <= 0;
	if (lengths->ended)
		return rc < 0 ? rc : 0;
	if (lengths->run.number < lengths->wanted) {
		rc = posting_run_seek(&lengths->run, lengths->wanted, lengths->is_read, &lengths->error);
		lengths->is_read = false;
	}
	return rc < 0 ? rc : lengths->run.number == lengths->wanted;
}

/* Of the document at hand. */
static int fields_read(struct search_lengths *lengths)
{
	struct posting_run run = lengths->run;
	struct posting_group group = {0};

	do {
		posting_group_read(&run, &group);
		if (lengths->fields_len <= UINT8_MAX)
			lengths->fields[lengths->fields_len++] =
				(struct rank_field){(uint16_t)group.field, (uint16_t)group.first};
	} while (group.more);
	lengths->run = run;
	lengths->is_read = true;
	return run.places == NULL ? posting_run_end(&run, &lengths->error) : 0;
}

static size_t lengths_read(void *context, const struct rank_field **fields)
{
	struct search_lengths *lengths = context;
	int rc;

	*fields = lengths->fields;
	if (lengths->held == lengths->wanted || lengths->failed)
		return lengths->fields_len;
	lengths->held = lengths->wanted;
	lengths->fields_len = 0;
	rc = document_find(lengths);
	if (rc > 0)
		rc = fields_read(lengths);
	lengths->failed = rc < 0;
	return lengths->fields_len;
}

struct rank_fields search_lengths_of(struct search_lengths *lengths, uint64_t number)
{
	lengths->wanted = number;
	return (struct rank_fields){lengths_read, lengths};
}
