/*
 * Settings: what the users of an index decide about its search, as
 * Meilisearch 1.50 has it.
 *
 * A struct settings is complete: what nobody set has its default. It is kept
 * as a record, canonical JSON that names its format and every setting; a
 * change makes a new record of the settings at hand and what a user sent, and
 * leaves the old ones as they are. Showing settings and sending what was shown
 * changes nothing.
 *
 *   record    {"format":1,"settings":{what GET /settings shows}}
 *   change    PATCH of the whole: an object with any of the names; PUT or
 *             PATCH of one setting: its value. `null` resets, and so does
 *             DELETE. typoTolerance, its minWordSizeForTypos, faceting and
 *             pagination are merged member by member, all else is replaced.
 *             Of a name that an object repeats the last one counts.
 *   normal    Sets (sortable, words, separators, dictionary, what typos are
 *             disabled on) are sorted bytewise, without repetitions. Lists of
 *             fields lose repetitions, and are ["*"] if `*` is among them.
 *             sortFacetValuesBy always has a `*`. Locales have three letters.
 *             Filterable attributes and ranking rules stay as sent.
 *
 * A refusal has Meilisearch's code and words, with the place of what is wrong:
 *
 *   invalid_settings_typo_tolerance
 *   Invalid value type at `.typoTolerance.enabled`: expected a boolean, but found a string: `"x"`
 *
 * Embedders, chat and foreign keys are known, and refused unless reset.
 *
 * Words are texts as sent: whoever uses them cuts and folds them, and makes
 * nothing of an empty one.
 *
 * Bounds below; one that is passed is refused with a text that names it. The
 * JSON that a user sends is as long as its receiver allows. Everything of a
 * struct settings lies in the arena it was read into; immutable, any thread.
 * Pure core. Failure: ERROR_MEMORY, or as said.
 */
#ifndef MILLRACE_SETTINGS_SETTINGS_H
#define MILLRACE_SETTINGS_SETTINGS_H

#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define SETTINGS_FORMAT 1
#define SETTINGS_RECORD_BYTES_MAX ((size_t)512 * 1024) /* one record of Kafka */
#define SETTINGS_ATTRIBUTES_MAX 1000 /* of one list of attributes or patterns, and of filterable rules */
#define SETTINGS_WORDS_MAX 50000     /* of one list of words, and of keys of synonyms */
#define SETTINGS_RULES_MAX 100       /* ranking rules */
#define SETTINGS_SORTS_MAX 8 /* of them, those that sort by a field; and of the criteria of a search */
#define SETTINGS_PATH_BYTES_MAX 1024 /* of an attribute or pattern */
#define SETTINGS_ECHO_BYTES_MAX 512  /* of what was sent, in a refusal */
#define SETTINGS_REFUSAL_BYTES_MAX 2048
#define SETTINGS_NOT_SEARCHED SIZE_MAX

struct settings_texts {
	const struct slice *list;
	size_t len;
};

/* What may be done with a field in filters and facets. */
struct settings_features {
	bool facet_search;
	bool equality;   /* =, !=, IN */
	bool comparison; /* <, <=, >, >=, TO, STARTS WITH */
};

/* A name, which covers what is nested in it, or patterns, which do not. */
struct settings_filterable {
	bool is_name;
	struct settings_texts patterns; /* of a name: one */
	struct settings_features features;
};

enum settings_rule_kind {
	SETTINGS_RULE_WORDS = 1,
	SETTINGS_RULE_TYPO,
	SETTINGS_RULE_PROXIMITY,
	SETTINGS_RULE_ATTRIBUTE, /* alone; or the two after it */
	SETTINGS_RULE_ATTRIBUTE_RANK,
	SETTINGS_RULE_WORD_POSITION,
	SETTINGS_RULE_SORT,
	SETTINGS_RULE_EXACTNESS,
	SETTINGS_RULE_ASC, /* these have a field */
	SETTINGS_RULE_DESC
};

struct settings_rule {
	enum settings_rule_kind kind;
	struct slice text; /* as sent */
	struct slice field;
};

/* One way: who searches for `text` finds these too. */
struct settings_synonym {
	struct slice text;
	struct settings_texts synonyms;
};

struct settings_facet_order {
	struct slice field; /* `*`: all that have none of their own */
	bool by_count;      /* else by the value's text */
};

struct settings_localized {
	struct settings_texts patterns;
	struct settings_texts locales; /* ISO 639-3 */
};

/* Characters of the shortest word that may have one typo, or two. */
struct settings_sizes {
	uint8_t one;
	uint8_t two; /* not less */
};

struct settings_typos {
	bool enabled;
	struct settings_sizes sizes;
	struct settings_texts words;      /* that may have none */
	struct settings_texts attributes; /* whose words may have none */
	bool not_on_numbers;
};

struct settings_facet_orders {
	const struct settings_facet_order *list; /* by field */
	size_t len;
};

struct settings_faceting {
	uint64_t values_max; /* of one facet */
	struct settings_facet_orders orders;
};

struct settings_pagination {
	uint64_t hits_max; /* at least 1 */
};

struct settings_cutoff {
	bool given;
	uint64_t ms;
};

struct settings_filterables {
	const struct settings_filterable *list; /* the first that matches counts */
	size_t len;
};

struct settings_rules {
	const struct settings_rule *list;
	size_t len;
};

struct settings_synonyms {
	const struct settings_synonym *list; /* by text */
	size_t len;
};

struct settings_localizeds {
	bool given;
	const struct settings_localized *list;
	size_t len;
};

struct settings {
	struct settings_texts displayed;  /* {"*"}: all */
	struct settings_texts searchable; /* {"*"}: all, alike */
	struct settings_filterables filterable;
	struct settings_texts sortable;
	struct settings_rules rules;
	struct settings_texts stop_words;
	struct settings_texts not_separators;
	struct settings_texts separators;
	struct settings_texts dictionary;
	struct settings_synonyms synonyms;
	struct slice distinct; /* NULL ptr: none */
	bool proximity_by_attribute;
	struct settings_typos typos;
	struct settings_faceting faceting;
	struct settings_pagination pagination;
	struct settings_cutoff cutoff;
	struct settings_localizeds localized;
	bool facet_search;
	bool prefix_search;
};

/* What nobody has set. */
const struct settings *settings_default(void);

/* ERROR_VERSION for another format, ERROR_FORMAT or ERROR_LIMIT for what is no record of this one: REJECT. */
int settings_parse(struct slice record, struct arena *arena, struct settings **settings, struct error *error);

/* What a change of a setting asks of replicas. */
enum settings_effect {
	SETTINGS_EFFECT_NONE = 1, /* looked at by each search */
	SETTINGS_EFFECT_VALUES,   /* names attributes whose values are kept */
	SETTINGS_EFFECT_WORDS     /* decides how texts are cut into words */
};

enum settings_method {
	SETTINGS_METHOD_PUT = 1,
	SETTINGS_METHOD_PATCH
};

/* One setting: /indexes/{uid}/settings/{path}, with GET, `method` and DELETE. */
struct settings_route {
	const char *path;
	const char *name; /* in the whole */
	enum settings_method method;
	const char *code; /* of a refusal */
	bool is_shown;    /* in the whole */
	enum settings_effect effect;
	const char *reason; /* of the effect */
};

/* All of them in the order of GET /settings; NULL behind the last. */
const struct settings_route *settings_route_at(size_t at);
/* By path; NULL if there is none. */
const struct settings_route *settings_route_find(struct slice path);

struct settings_request {
	const struct settings_route *route; /* NULL: all settings */
	bool reset;                         /* DELETE; else `body` counts */
	struct slice body;                  /* JSON */
};

struct settings_refusal {
	const char *code; /* static */
	size_t len;
	char text[SETTINGS_REFUSAL_BYTES_MAX]; /* NUL-terminated UTF-8; a longer one is cut */
};

/* Appends the record of the settings changed. ERROR_FORMAT or ERROR_LIMIT after filling `refusal`: `record` is as it
 * was. ERROR_MEMORY. */
int settings_change(const struct settings *now, const struct settings_request *request, struct buffer *record,
                    struct settings_refusal *refusal);
/* Appends the record of these. A failure is the buffer's. */
void settings_append_record(const struct settings *settings, struct buffer *record);
/* Appends what GET shows of one setting, or of all (NULL). A failure is the buffer's. */
void settings_show(const struct settings *settings, const struct settings_route *route, struct buffer *json);

struct settings_effects {
	bool values; /* `attributes` are others than before */
	bool words;  /* every text is to be cut anew */
	/* Paths whose values are wanted, each once, what needs them most first: distinct, ranking rules, sortable,
	 * filterable. Patterns name none. Borrowed from the new settings. */
	struct settings_texts attributes;
};

/* `arena` gets the list. */
int settings_effects(const struct settings *before, const struct settings *after, struct arena *arena,
                     struct settings_effects *effects, struct error *error);

/* A field covers itself and what is nested in it. */
bool settings_covers(struct slice field, struct slice path);
/* `*` stands at the beginning, the end, or both; anywhere else it is a character. */
bool settings_matches(struct slice pattern, struct slice path);
/* By the first rule that names the path; NULL: nothing may be done with it. */
const struct settings_features *settings_filterable(const struct settings *settings, struct slice path);
bool settings_is_sortable(const struct settings *settings, struct slice path);
/* The place of the path's entry among the searchable attributes, 0 the best; or SETTINGS_NOT_SEARCHED. */
size_t settings_weight(const struct settings *settings, struct slice path);
/* Whether the values of a facet are listed by count, else by text. */
bool settings_facet_by_count(const struct settings *settings, struct slice field);

#endif
