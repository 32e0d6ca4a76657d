/*
 * Rank: the ranking rules about words, as costs of one document.
 *
 * A path reads the query in a document: nodes (query.h) that stand there and
 * cover the terms kept, each term once. The document matches if there is a
 * path. Those that keep most words are where the rules begin; every rule
 * takes the least cost of the paths that the rules before it left, and leaves
 * those that have it. Documents compare by their costs, rule after rule; the
 * driver puts sorts between them.
 *
 * A plan is made once a search, immutable, read from any thread; it borrows
 * the query and what the request lists. A struct rank_work is scratch of one
 * thread, as large as the worst query needs: nothing is allocated, nothing
 * fails. A document costs paths × nodes and the places of each node, of
 * neighbours both together; a query of plain words that stand as such has
 * one path, and the worst RANK_PATHS_MAX.
 *
 * Specification: tests/oracle/rules.py, paths.py, ranking.py.
 */
#ifndef MILLRACE_SHARD_ENGINE_RANK_H
#define MILLRACE_SHARD_ENGINE_RANK_H

#include "shard/engine/place.h"
#include "shard/engine/query.h"

#define RANK_RULES_MAX 6
#define RANK_TYPOS_MAX 2
/* Ten terms, one of them given: no more sets of nodes cover it and as many others, each once. */
#define RANK_PATHS_MAX 1558
/* Fields of more words are never the query itself. */
#define RANK_FIELD_WORDS_MAX 30
#define RANK_UNSEARCHED UINT16_MAX
/* Of the coarser part in the cost of a rule of two (rank_outcome). */
#define RANK_ATTRIBUTE_SHIFT 7
#define RANK_EXACTNESS_SHIFT 4

enum rank_strategy {
	RANK_LAST, /* drops terms from the end; with phrases any that is none */
	RANK_ALL,
	RANK_FREQUENCY /* drops any term but the rarest; with phrases any that is none */
};

enum rank_rule {
	RANK_WORDS,
	RANK_TYPO,
	RANK_PROXIMITY,
	RANK_ATTRIBUTE_RANK,
	RANK_WORD_POSITION,
	RANK_ATTRIBUTE, /* RANK_ATTRIBUTE_RANK, then RANK_WORD_POSITION, as one rule */
	RANK_EXACTNESS
};

struct rank_request {
	const struct query *query; /* at least one term */
	enum rank_strategy strategy;
	uint8_t rarest;              /* RANK_FREQUENCY: the term that stays */
	const enum rank_rule *rules; /* each once, RANK_WORDS first; with RANK_ALL without it */
	size_t rules_len;
	const uint8_t *typos_allowed; /* of every node: 0 to RANK_TYPOS_MAX */
	uint16_t known;               /* a bit a term: some document of the index holds the word as typed */
	const uint16_t *weights;      /* by field: its entry among searchableAttributes, or RANK_UNSEARCHED */
	size_t weights_len;           /* fields beyond are not searched on */
	size_t entries;               /* of searchableAttributes, 1 to UINT16_MAX */
	bool by_attribute;            /* precision of proximity */
	bool costs_only;              /* the pairs of outcomes mean nothing */
};

/* A node as the rules see it. */
struct rank_node {
	uint32_t start; /* positions in the query */
	uint32_t end;
	uint16_t terms; /* a bit each */
	uint8_t first;
	uint8_t size; /* terms */
	uint8_t typos_allowed;
	bool is_phrase;
	bool is_asked; /* exactness looks for it as typed */
};

struct rank_plan {
	const struct query *query;
	const uint16_t *weights;
	size_t weights_len;
	uint32_t weight_max;
	bool by_attribute;
	bool keeps_all;  /* RANK_ALL */
	bool drops_last; /* only from the end */
	bool costs_only;
	uint16_t mandatory; /* terms, a bit each */
	size_t rules_len;
	enum rank_rule rules[RANK_RULES_MAX];
	uint32_t
		first_cost_max[2]; /* of the first rule's parts, over all paths of the query; RANK_ALL only */
	uint8_t nodes_at[QUERY_TERMS_MAX + 1]; /* by term, where its nodes begin */
	uint8_t single_at[QUERY_TERMS_MAX];    /* by term, the node that is it alone */
	uint32_t singles;                      /* those nodes, a bit each */
	struct rank_node nodes[QUERY_NODES_MAX];
};

/* What stands for a node at one number of typos, with all places in searchable fields, searched on or not; nothing if
 * `words` and `firsts` are empty. */
struct rank_class {
	struct places words; /* the word, what it begins, similar ones: each in a field that is searched on */
	struct places firsts; /* first words of phrases: phrase terms, synonyms (even of one word), splits */
	struct places lasts;  /* their last words */
};

struct rank_found_node {
	struct rank_class typos[RANK_TYPOS_MAX + 1];
	struct places exact;         /* of a node of one word: the typed word, also part of typos[0].words */
	const struct places *phrase; /* of a phrase that stands there: by word, stop words empty */
};

struct rank_field {
	uint16_t field;
	uint16_t words; /* 1 to RANK_FIELD_WORDS_MAX, stop words aside */
};

/* The short fields of the document at hand, in any order; asked for only where exactness depends on them, perhaps
 * several times. */
struct rank_fields {
	size_t (*read)(void *context, const struct rank_field **fields);
	void *context;
};

/* One document: borrowed during the call. */
struct rank_found {
	const struct rank_found_node *nodes; /* as many as the query has */
	struct rank_fields fields;
};

/* A part of the score: 1 ≤ rank ≤ highest; the last one of a score may be {0, 1}, below all there are. */
struct rank_pair {
	uint32_t rank;
	uint32_t highest;
};

/*
 * By rule: its cost, and two pairs, of which the second is {1, 1} for rules of
 * one part. RANK_ATTRIBUTE: cost of attributeRank × 128 + of wordPosition;
 * RANK_EXACTNESS: match type (0 exactMatch, 1 matchesStart, 2 noExactMatch)
 * × 16 + words not as typed. `_rankingScoreDetails`, beside the score:
 *   words      matchingWords = pairs[0].rank, maxMatchingWords = pairs[0].highest
 *   typo       typoCount = cost, maxTypoCount = pairs[0].highest − 1
 *   attribute  attributeRankingOrderScore, queryWordDistanceScore: rank_score of each pair alone
 *   exactness  matchType: pairs[0].rank, 1 noExactMatch, 2 matchesStart, 3 exactMatch; with noExactMatch
 *              matchingWords = pairs[1].rank − 1, maxMatchingWords = pairs[1].highest − 1
 */
struct rank_outcome {
	uint32_t costs[RANK_RULES_MAX];
	struct rank_pair pairs[RANK_RULES_MAX][2];
	uint16_t kept; /* terms, a bit each, of the first path left */
};

/* Costs of the first `len` rules of the plan: a document above them is not wanted; `len` is 0 if every one is. */
struct rank_bound {
	const uint32_t *costs;
	size_t len;
};

enum rank_verdict {
	RANK_NO_MATCH,
	RANK_WORSE, /* than the bound; nothing is said of the costs */
	RANK_MATCH
};

/* A node in the document, as far as the rules have narrowed it. */
struct rank_choice {
	const struct rank_class *classes[RANK_TYPOS_MAX + 1]; /* those left, by typos */
	uint8_t classes_len;
	uint8_t typos;   /* of the first class, those of an n-gram aside */
	bool as_typed;   /* nothing has ruled out that the word stands as typed */
	bool exact_only; /* and everything else is ruled out */
	struct rank_class exact;
};

struct rank_work {
	struct rank_choice choices[QUERY_NODES_MAX];
	uint32_t costs[QUERY_NODES_MAX];
	uint8_t edges[QUERY_NODES_MAX][QUERY_NGRAM_MAX]; /* by right node and size of the left one */
	size_t paths_len;
	uint32_t paths[RANK_PATHS_MAX]; /* nodes, a bit each */
};

/* What matching alone decides. */
struct rank_presence {
	uint32_t words; /* kept */
	uint32_t typos; /* least of all paths: the cost of RANK_TYPO after RANK_WORDS or first of all */
};

/* What `request` names must outlive the plan, but for the rules and the typos allowed. */
void rank_plan_init(struct rank_plan *plan, const struct rank_request *request);

/* False if the document does not match. `nodes`: by typos, a bit for each node that stands there so. */
bool rank_presence(const struct rank_plan *plan, const uint32_t nodes[RANK_TYPOS_MAX + 1],
                   struct rank_presence *presence);

/* The outcome is written only with RANK_MATCH. */
enum rank_verdict rank_document(const struct rank_plan *plan, const struct rank_found *found,
                                struct rank_bound bound, struct rank_work *work,
                                struct rank_outcome *outcome);

/* A query of which only the first term is kept, a word: its costs follow from its own places. */
struct rank_single {
	uint32_t attribute; /* RANK_ATTRIBUTE_RANK */
	uint32_t position;  /* RANK_WORD_POSITION */
};

/* Of all places of one word that stands for the term; of several words the least of each counts. */
struct rank_single rank_single_costs(const struct rank_plan *plan, const struct places *places);
/* The same of any term that is a word, for itself. */
struct rank_single rank_term_costs(const struct rank_plan *plan, size_t term, const struct places *places);
/* Whether RANK_PROXIMITY asks how near the term and the next one are, where both are kept by themselves. */
bool rank_terms_adjoin(const struct rank_plan *plan, size_t term);
/* What it says of two such terms where a word of each stands at these places; of several words the least counts. */
uint32_t rank_pair_cost(const struct rank_plan *plan, struct places left, struct places right);
/* `position` of a word whose first place in a field is there; the term is the query's first word. */
uint32_t rank_single_position(uint32_t position);
/* The match type of RANK_EXACTNESS, 0 to 2, where the word as typed stands at these places. */
uint32_t rank_single_type(const struct rank_plan *plan, const struct places *exact,
                          struct rank_fields fields);

/* `_rankingScore` of the pairs of rules in order, between 0 and 1; exact to the last bit. */
double rank_score(const struct rank_pair *pairs, size_t len);
/* The score that `_rankingScoreDetails` shows for a rule. */
double rank_rule_score(enum rank_rule rule, const struct rank_pair pairs[2]);

#endif
