#include "shard/core/snapshot_filter_private.h"

#include "shard/core/words.h"

#include <stdlib.h>

static void verdict_init(struct verdict *verdict)
{
	*verdict = (struct verdict){.inverted = false};
}

static void verdict_deinit(struct verdict *verdict)
{
	postings_deinit(&verdict->sure);
	postings_deinit(&verdict->open);
}

int filtering_listed(struct filtering *filtering, size_t i, const struct postings **numbers,
                     struct error *error)
{
	struct postings *listed = &filtering->listed[i];

	*numbers = listed;
	return listed->len > 0
	               ? 0
	               : values_sources_listed(&filtering->sources, &filtering->reading, i, listed, error);
}

static int add_all(struct filtering *filtering, struct postings *numbers, struct error *error)
{
	const struct postings *listed;

	for (size_t i = 0; i < filtering->sources.len; i++) {
		if (filtering_listed(filtering, i, &listed, error) != 0)
			return error->code;
		postings_or(numbers, listed);
	}
	return 0;
}

/* ---- verdicts, in the first of the two; what is open decides nothing, and what is decided is not open ---- */

static void move(struct postings *to, struct postings *from)
{
	postings_deinit(to);
	*to = *from;
	postings_init(from);
}

/* Both as they are. */
static void verdict_meet(struct verdict *verdict, struct verdict *other)
{
	struct postings possible;

	postings_init(&possible);
	postings_share(&possible, &verdict->sure);
	postings_or(&possible, &verdict->open);
	postings_and(&verdict->sure, &other->sure);
	postings_or(&other->open, &other->sure);
	postings_and(&possible, &other->open);
	postings_and_not(&possible, &verdict->sure);
	move(&verdict->open, &possible);
}

static void verdict_join(struct verdict *verdict, const struct verdict *other)
{
	postings_or(&verdict->sure, &other->sure);
	postings_or(&verdict->open, &other->open);
	postings_and_not(&verdict->open, &verdict->sure);
}

/* The first without the second. */
static void verdict_subtract(struct verdict *verdict, const struct verdict *other)
{
	struct postings sure;

	postings_init(&sure);
	postings_share(&sure, &verdict->sure);
	postings_and_not(&sure, &other->sure);
	postings_or(&verdict->open, &sure);
	postings_and_not(&verdict->open, &other->sure);
	postings_and_not(&sure, &other->open);
	postings_and_not(&verdict->open, &sure);
	move(&verdict->sure, &sure);
}

static void verdict_swap(struct verdict *one, struct verdict *other)
{
	struct verdict kept = *one;

	*one = *other;
	*other = kept;
}

/* AND; by De Morgan where one is inverted, so that nothing is ever listed for it. */
static void verdict_and(struct verdict *verdict, struct verdict *other)
{
	if (verdict->inverted && other->inverted) {
		verdict_join(verdict, other);
		return;
	}
	if (verdict->inverted)
		verdict_swap(verdict, other);
	if (other->inverted)
		verdict_subtract(verdict, other);
	else
		verdict_meet(verdict, other);
}

/* A document that any further condition leaves out cannot come back. */
static bool verdict_is_none(const struct verdict *verdict)
{
	return !verdict->inverted && verdict->sure.len == 0 && verdict->open.len == 0;
}

static int tree_verdict(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                        struct error *error);

/* AND of the children, each of them inverted if `inverted`: then it is OR of them, inverted. */
static int children_verdict(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                            struct error *error)
{
	bool inverted = filter->kind == FILTER_KIND_OR;
	int rc = 0;

	/* everything */
	verdict->inverted = true;
	for (const struct filter *child = filter->children;
	     rc == 0 && child != NULL && !verdict_is_none(verdict); child = child->next) {
		struct verdict other;

		verdict_init(&other);
		rc = tree_verdict(filtering, child, &other, error);
		other.inverted = other.inverted != inverted;
		if (rc == 0)
			verdict_and(verdict, &other);
		verdict_deinit(&other);
	}
	verdict->inverted = verdict->inverted != inverted;
	return rc;
}

/* Into an empty verdict. As deep as the tree. */
static int tree_verdict(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                        struct error *error)
{
	int rc;

	switch (filter->kind) {
	case FILTER_KIND_AND:
	case FILTER_KIND_OR:
		return children_verdict(filtering, filter, verdict, error);
	case FILTER_KIND_NOT:
		rc = tree_verdict(filtering, filter->children, verdict, error);
		verdict->inverted = !verdict->inverted;
		return rc;
	default:
		return filtering_condition(filtering, filter, verdict, error);
	}
}

/* ---- bodies ---- */

static bool append_folded(void *context, struct slice text, struct buffer *folded)
{
	struct filtering *filtering = context;

	return text_fold(words_text(filtering->words), text, folded, filtering->error) == 0;
}

/* What is kept was JSON when it came. */
static int body_matches(struct filtering *filtering, const struct filter *filter, struct slice body,
                        bool *matches)
{
	struct filter_fold fold = {append_folded, filtering};
	struct error *error = filtering->error;
	yyjson_doc *doc;
	int rc;

	if (json_parse(body, JSON_DEPTH_MAX, &doc, error) != 0) {
		if (error->code == ERROR_MEMORY)
			return error->code;
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the body of a document is no JSON");
	}
	rc = filter_matches(filter, yyjson_doc_get_root(doc), &fold, matches, error);
	yyjson_doc_free(doc);
	return rc;
}

/* Adds those of the open documents that match, all of them live. */
static int add_matching(struct filtering *filtering, const struct filter *filter, const struct postings *open,
                        struct postings *numbers, struct error *error)
{
	struct located located;
	struct slice body;
	uint64_t number;
	bool matches;

	for (uint64_t from = 0; postings_next(open, from, &number); from = number + 1) {
		filtering->cost.bodies++;
		if (watch_step(filtering->cost.watch, WATCH_BODY, error) != 0 ||
		    reading_locate(&filtering->reading, number, &located, error) != 0 ||
		    located_body(&located, &body, error) != 0 ||
		    body_matches(filtering, filter, body, &matches) != 0)
			return error->code;
		if (matches)
			postings_add(numbers, number);
	}
	return 0;
}

/* The verdict on the tree as the set of documents that match. */
static int verdict_settle(struct filtering *filtering, const struct filter *filter, struct verdict *verdict,
                          struct postings *found, struct error *error)
{
	const struct postings *deleted = &filtering->snapshot->deleted;

	postings_and_not(&verdict->open, deleted);
	if (verdict->inverted) {
		if (add_all(filtering, found, error) != 0)
			return error->code;
		postings_and_not(found, &verdict->sure);
		postings_and_not(found, &verdict->open);
	} else {
		postings_or(found, &verdict->sure);
		postings_and_not(found, deleted);
	}
	return add_matching(filtering, filter, &verdict->open, found, error);
}

static int filtering_open(struct filtering *filtering, const struct snapshot *snapshot, struct words *words,
                          struct error *error)
{
	filtering->snapshot = snapshot;
	filtering->words = words;
	filtering->error = error;
	if (reading_open(&filtering->reading, snapshot, error) != 0 ||
	    values_sources_init(&filtering->sources, snapshot, filtering->reading.txn, error) != 0)
		return error->code;
	filtering->listed = calloc(filtering->sources.len + 1, sizeof *filtering->listed);
	return filtering->listed == NULL ? error_memory(error, sizeof *filtering->listed) : 0;
}

static void filtering_close(struct filtering *filtering)
{
	for (size_t i = 0; filtering->listed != NULL && i < filtering->sources.len; i++)
		postings_deinit(&filtering->listed[i]);
	free(filtering->listed);
	values_sources_deinit(&filtering->sources);
	reading_end(&filtering->reading);
}

int snapshot_filter(const struct snapshot *snapshot, struct words *words, const struct filter *filter,
                    struct postings *numbers, struct filter_cost *cost, struct error *error)
{
	struct filtering filtering = {.cost.watch = cost->watch};
	struct verdict verdict;
	struct postings found;
	int rc = filtering_open(&filtering, snapshot, words, error);

	verdict_init(&verdict);
	postings_init(&found);
	verdict.inverted = filter == NULL;
	if (rc == 0 && filter != NULL)
		rc = tree_verdict(&filtering, filter, &verdict, error);
	if (rc == 0)
		rc = verdict_settle(&filtering, filter, &verdict, &found, error);
	if (rc == 0)
		postings_or(numbers, &found);
	cost->keys += filtering.cost.keys;
	cost->bodies += filtering.cost.bodies;
	verdict_deinit(&verdict);
	postings_deinit(&found);
	filtering_close(&filtering);
	return rc;
}
