/* What the rules ask of documents that keep one term alone: of each list that stands for it, the places. */
#include "shard/core/search_single.h"

#include "shard/core/known_firsts.h"
#include "shard/core/known_lists.h"
#include "shard/core/posting_blocks.h"

#include <stdlib.h>

/* Documents of a list that are read in less time than one is sought; the same where their firsts are known. */
#define LIST_SPARE 8
#define KNOWN_SPARE 64
/* … of which so many take as long as one that is read. */
#define WATCH_KNOWN 8

/* A list, and where it is in the table. */
struct pass {
	struct single_table *table;
	const struct search_segment *segment;
	const struct postings *only; /* documents where it counts; NULL: all */
	bool exact;
	bool tolerant;
	size_t at;
};

/* What a document has by one list. */
struct seen {
	uint32_t attribute;
	uint32_t position;
	bool starts; /* the word as typed stands where the query begins */
	bool asks;   /* the lengths of its fields tell the type of exactness */
};

static void row_take(const struct pass *pass, struct single_row *row, const struct seen *seen)
{
	/* without a branch: half of them are better */
	row->attribute = (uint16_t)(seen->attribute < row->attribute ? seen->attribute : row->attribute);
	row->position = (uint8_t)(seen->position < row->position ? seen->position : row->position);
	if (!pass->exact)
		return;
	row->exactness = seen->starts ? SINGLE_START : SINGLE_NONE - 1;
	if (seen->asks)
		row->exactness |= SINGLE_ASKS;
}

static int type_take(struct single_table *table, struct single_row *row, uint64_t number,
                     struct places places, struct error *error)
{
	struct rank_fields fields = search_lengths_of(table->lengths, number);

	row->exactness = (uint8_t)(rank_single_type(table->plan, &places, fields) << RANK_EXACTNESS_SHIFT);
	if (!table->lengths->failed)
		return 0;
	*error = table->lengths->error;
	return error->code;
}

/* ---- lists that are much longer than the table ---- */

static int sought_take(const struct pass *pass, struct posting_cursor *cursor, struct error *error)
{
	struct single_table *table = pass->table;
	struct search *search = table->search;
	struct single_row *row = single_row_at(table, pass->at);
	struct places places = {search->places, 0};
	struct rank_single costs;
	struct seen seen;

	if (search_places_read(search, cursor, search->places, &places.len, error) != 0)
		return error->code;
	if (pass->only == NULL && search->some_fields &&
	    !search_places_count(search, places.ptr, places.len, pass->tolerant))
		return 0;
	if (table->finds_types)
		return type_take(table, row, table->numbers[pass->at], places, error);
	costs = rank_single_costs(table->plan, &places);
	seen = (struct seen){.attribute = costs.attribute, .position = costs.position, .asks = true};
	row_take(pass, row, &seen);
	return 0;
}

/* To the first document of the table at or above `number` of which something is wanted. */
static void pass_seek(struct pass *pass, uint64_t number)
{
	const struct single_table *table = pass->table;

	pass->at = search_numbers_seek(table->numbers, table->len, pass->at, number);
	while (table->finds_types && pass->at < table->len &&
	       !(table->rows[pass->at].exactness & SINGLE_ASKS))
		pass->at++;
}

static int list_seek(struct pass *pass, const struct posting_list *list, struct error *error)
{
	struct single_table *table = pass->table;
	struct posting_cursor cursor;
	uint64_t number;
	int rc;

	posting_cursor_init(&cursor, list);
	rc = posting_cursor_next(&cursor, &number, error);
	while (rc > 0) {
		if (watch_step(table->search->request->watch, 1, error) != 0)
			return error->code;
		pass_seek(pass, number);
		if (pass->at == table->len)
			return 0;
		if (table->numbers[pass->at] != number) {
			rc = posting_cursor_seek(&cursor, table->numbers[pass->at], &number, error);
			continue;
		}
		if ((pass->only == NULL || postings_contains(pass->only, number)) &&
		    sought_take(pass, &cursor, error) != 0)
			return error->code;
		rc = posting_cursor_next(&cursor, &number, error);
	}
	return rc;
}

/* ---- lists that are read whole ---- */

/* NULL if the table has none; the numbers asked for rise. */
static inline struct single_row *row_find(const struct single_table *table, size_t *at, uint64_t number)
{
	if (table->has_all)
		return number - table->first < table->rows_len ? &table->rows[number - table->first] : NULL;
	if (*at < table->len && table->numbers[*at] < number)
		*at = search_numbers_seek(table->numbers, table->len, *at + 1, number);
	return *at < table->len && table->numbers[*at] == number ? &table->rows[*at] : NULL;
}

/* A document by the first place of the word in each field. */
struct firsts {
	uint32_t attribute;
	uint32_t position;
	bool counts;
	bool is_once; /* in some field */
	size_t len;   /* of the places */
};

/* Where fields differ. */
static inline bool field_take(const struct pass *pass, size_t field, struct firsts *firsts)
{
	const struct search *search = pass->table->search;
	uint32_t weight;

	if (field >= search->fields_len || (search->fields[field] & SEARCH_HIDDEN))
		return false;
	weight = search->weights[field];
	if (weight < firsts->attribute)
		firsts->attribute = weight;
	if (weight != RANK_UNSEARCHED && !(pass->tolerant && (search->fields[field] & SEARCH_EXACT)))
		firsts->counts = true;
	return true;
}

/* The document that the run stands at, of which all is read. */
static inline struct firsts firsts_read(const struct pass *pass, struct posting_run *run,
                                        struct place *places, bool some_fields)
{
	struct firsts firsts = {pass->table->plan->weight_max, UINT16_MAX, !some_fields, false, 0};
	struct posting_group group = {0};
	uint64_t passed = 0;

	do {
		posting_group_read(run, &group);
		if (passed < SEARCH_PLACES_MAX && (!some_fields || field_take(pass, group.field, &firsts))) {
			places[firsts.len++] = (struct place){(uint16_t)group.field, (uint16_t)group.first};
			firsts.position = group.first < firsts.position ? group.first : firsts.position;
			firsts.is_once |= group.after == 0;
		}
		passed += 1U + group.after;
	} while (group.more);
	return firsts;
}

static void firsts_take(const struct pass *pass, struct single_row *row, const struct firsts *firsts)
{
	const struct single_table *table = pass->table;
	struct seen seen = {.attribute = firsts->attribute};

	seen.position = firsts->position < SINGLE_NEAR ? table->near[firsts->position]
	                                               : rank_single_position(firsts->position);
	seen.starts = firsts->position == 0 && table->plan->nodes[0].is_asked;
	/* a field that is the word has it once */
	seen.asks = seen.starts && firsts->is_once;
	row_take(pass, row, &seen);
}

static int run_take(struct pass *pass, struct posting_run run, struct error *error)
{
	const struct single_table table =
		*pass->table; /* which nothing changes that is written to its rows */
	struct place *places = table.search->places;
	size_t at = pass->at;

	do {
		struct firsts firsts = firsts_read(pass, &run, places, table.search->some_fields);
		struct single_row *row = row_find(&table, &at, run.number);

		if (row == NULL || !firsts.counts)
			continue;
		if (!table.finds_types)
			firsts_take(pass, row, &firsts);
		else if ((row->exactness & SINGLE_ASKS) &&
		         type_take(pass->table, row, run.number, (struct places){places, firsts.len},
		                   error) != 0)
			return error->code;
	} while (posting_run_next(&run));
	pass->at = at;
	return posting_run_end(&run, error);
}

static int list_read(struct pass *pass, const struct posting_list *list, struct error *error)
{
	struct posting_cursor cursor;
	struct posting_run run;
	uint64_t number;
	int rc;

	posting_cursor_init(&cursor, list);
	while ((rc = posting_cursor_next(&cursor, &number, error)) > 0) {
		posting_run_take(&run, &cursor);
		if (watch_step(pass->table->search->request->watch, run.left + 1, error) != 0 ||
		    run_take(pass, run, error) != 0)
			return error->code;
	}
	return rc;
}

/* ---- lists of which the first places are known ---- */

static void known_take(const struct pass *pass, const struct posting_list *list, const uint64_t *numbers)
{
	const struct single_table table = *pass->table;
	const uint8_t *firsts = list->blocks->firsts;
	bool is_asked = table.plan->nodes[0].is_asked;
	size_t at = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct single_row *row = row_find(&table, &at, numbers[i]);
		struct seen seen = {.attribute = table.plan->weight_max, .position = firsts[i] & FIRSTS_COST};

		seen.starts = seen.position == 0 && is_asked;
		seen.asks = seen.starts && (firsts[i] & FIRSTS_ONCE);
		if (row != NULL)
			row_take(pass, row, &seen);
	}
}

static int known_read(const struct pass *pass, const struct posting_list *list, struct error *error)
{
	size_t size = list->count * sizeof(uint64_t);
	uint64_t *numbers;

	if (watch_step(pass->table->search->request->watch, list->count / WATCH_KNOWN, error) != 0)
		return error->code;
	numbers = malloc(size);
	if (numbers == NULL)
		return error_memory(error, size);
	postings_list(list->blocks->numbers, numbers);
	known_take(pass, list, numbers);
	free(numbers);
	return 0;
}

/* Whether what is known of the list says all that is asked. */
static bool is_known(const struct pass *pass, const struct posting_list *list)
{
	const struct single_table *table = pass->table;
	const struct query_term *term = &table->search->request->query->terms[0];

	if (!table->reads_firsts || pass->only != NULL || list->blocks == NULL || table->search->some_fields)
		return false;
	/* types are kept for all searches, so the plan must be as any other's */
	return !table->finds_types || (table->plan->nodes[0].is_asked && term->start == term->end);
}

/* ---- fields that are the word of a known list ---- */

/* All documents that ask find their type. */
static int types_read(const struct pass *pass, const struct posting_list *list, struct single_table *all,
                      struct error *error)
{
	struct pass reading = *pass;

	postings_list(list->blocks->numbers, all->numbers);
	for (size_t i = 0; i < all->len; i++)
		all->rows[i].exactness = list->blocks->firsts[i] == FIRSTS_ONCE ? SINGLE_ASKS : SINGLE_NONE;
	reading.table = all;
	reading.at = 0;
	return list_read(&reading, list, error);
}

/* Those whose type is the best. */
static int wholes_find(const struct pass *pass, const struct posting_list *list, struct postings *wholes,
                       struct error *error)
{
	struct single_table all = *pass->table;
	int rc = 0;

	all.has_all = false;
	all.len = all.rows_len = list->count;
	all.numbers = malloc(all.len * sizeof *all.numbers);
	all.rows = malloc(all.len * sizeof *all.rows);
	if (all.numbers == NULL || all.rows == NULL)
		rc = error_memory(error, all.len * (sizeof *all.numbers + sizeof *all.rows));
	if (rc == 0)
		rc = types_read(pass, list, &all, error);
	for (size_t i = 0; rc == 0 && i < all.len; i++)
		if (all.rows[i].exactness == 0)
			postings_add(wholes, all.numbers[i]);
	free(all.numbers);
	free(all.rows);
	return rc;
}

static void wholes_take(const struct pass *pass, const struct postings *wholes)
{
	const struct single_table *table = pass->table;
	size_t i = search_numbers_seek(table->numbers, table->len, 0, pass->segment->first);

	for (; i < table->len && table->numbers[i] < pass->segment->end; i++)
		if (table->rows[i].exactness & SINGLE_ASKS)
			table->rows[i].exactness =
				postings_contains(wholes, table->numbers[i]) ? 0 : SINGLE_START;
}

static int wholes_pass(const struct pass *pass, const struct posting_list *list, struct error *error)
{
	const struct postings *kept = known_list_wholes(list);
	struct postings wholes;
	int rc = 0;

	if (kept != NULL) {
		wholes_take(pass, kept);
		return 0;
	}
	postings_init(&wholes);
	rc = wholes_find(pass, list, &wholes, error);
	if (rc == 0) {
		kept = known_list_wholes_keep(list, &wholes);
		wholes_take(pass, kept != NULL ? kept : &wholes);
	}
	postings_deinit(&wholes);
	return rc;
}

static int list_pass(struct pass *pass, const struct posting_list *list, struct error *error)
{
	const struct single_table *table = pass->table;
	size_t wanted = table->finds_types ? table->asking : table->len;

	if (is_known(pass, list) && list->count / KNOWN_SPARE <= wanted)
		return table->finds_types ? wholes_pass(pass, list, error) : known_read(pass, list, error);
	if (table->reads_firsts && pass->only == NULL && list->count / LIST_SPARE <= wanted)
		return list_read(pass, list, error);
	return list_seek(pass, list, error);
}

static int words_pass(struct single_table *table, const struct search_segment *segment, struct error *error)
{
	search_lengths_begin(table->lengths, table->search, segment);
	for (size_t i = 0; i < segment->words.len; i++) {
		const struct search_word *word = &segment->words.ptr[i];
		struct pass pass = {
			.table = table, .segment = segment, .exact = word->exact, .tolerant = word->tolerant};

		if (word->node == 0 && word->typos == table->typos && (word->exact || !table->finds_types) &&
		    list_pass(&pass, &word->list, error) != 0)
			return error->code;
	}
	return 0;
}

/* By their first words. */
static int phrases_pass(struct single_table *table, const struct search_segment *segment, struct error *error)
{
	for (size_t i = 0; i < segment->phrases.len; i++) {
		const struct search_phrase *phrase = &segment->phrases.ptr[i];
		struct pass pass = {.table = table, .segment = segment, .only = &phrase->numbers};
		size_t first = 0;

		if (phrase->node != 0 || phrase->typos != table->typos)
			continue;
		while (phrase->lists[first].count == 0)
			first++;
		if (list_pass(&pass, &phrase->lists[first], error) != 0)
			return error->code;
	}
	return 0;
}

int search_single_fill(struct single_table *table, struct error *error)
{
	const struct search *search = table->search;
	int rc = 0;

	for (size_t i = 0; i < search->segments_len && rc == 0; i++) {
		rc = words_pass(table, &search->segments[i], error);
		if (rc == 0 && !table->finds_types)
			rc = phrases_pass(table, &search->segments[i], error);
	}
	return rc;
}
