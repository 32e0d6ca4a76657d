/*
 * Reading and showing settings: what its files share. settings.c has the table
 * of settings, settings_texts.c the kinds of values that are texts, numbers and
 * the like, settings_objects.c those that are merged member by member,
 * settings_lists.c lists of objects and synonyms, settings_refusal.c what is
 * said of a wrong one.
 *
 * A function that returns int returns 0, ERROR_MEMORY, or ERROR_FORMAT or
 * ERROR_LIMIT after filling the reading's refusal.
 */
#ifndef MILLRACE_SETTINGS_SETTINGS_PRIVATE_H
#define MILLRACE_SETTINGS_SETTINGS_PRIVATE_H

#include "shared/json/json.h"
#include "shared/settings/settings.h"

/* From the whole to the innermost value that is looked at: .filterableAttributes[0].features.filter.equality. */
#define SETTINGS_PLACES_MAX 8

/* For printf, with two ints. */
#define SETTINGS_SIZES_WRONG \
	"`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` " \
	"and `255`, and `twoTypos` should be greater or equals to `oneTypo` but found `oneTypo: %d` and " \
	"twoTypos: %d`."

/* Where a value stands in what was sent; NULL: it is what was sent. */
struct place {
	const struct place *above;
	struct slice key; /* NULL ptr: `at` of an array */
	size_t at;
};

struct reading {
	struct arena *arena;
	struct settings *settings; /* being made */
	struct settings_refusal *refusal;
	const char *code; /* of the setting at hand */
};

/* `member` is where the value goes. */
typedef int settings_read(struct reading *reading, const struct place *place, yyjson_val *value,
                          void *member);
typedef void settings_append(const void *member, struct buffer *json);

struct member {
	const char *name;
	size_t offset;
	size_t size;
	settings_read *read;
	settings_append *append;
};

struct shape {
	const struct member *members;
	size_t len;
	bool resets; /* they are of the reading's settings, and null resets one; else null is a value */
};

#define SETTINGS_MEMBER(object, member, name, kind) \
	{ \
		name, offsetof(object, member), sizeof(((object *)0)->member), settings_read_##kind, \
			settings_append_##kind \
	}

/* Whether the key is there again among the members that are left. A name that is known is seen that often at most. */
bool settings_is_repeated(yyjson_obj_iter rest, struct slice key);
/* Back to the default; `member` is of the reading's settings. */
void settings_reset(struct reading *reading, void *member, size_t size);
int settings_read_object(struct reading *reading, const struct place *place, yyjson_val *value,
                         const struct shape *shape, void *object);
void settings_append_object(const struct shape *shape, const void *object, struct buffer *json);

/* struct settings_texts: lists of fields, where `*` is all; sets of attributes and of words; patterns. */
settings_read settings_read_fields, settings_read_attribute_set, settings_read_word_set,
	settings_read_patterns;
settings_append settings_append_fields, settings_append_attribute_set, settings_append_word_set,
	settings_append_patterns;
/* Any texts, at most `max`. */
int settings_read_texts(struct reading *reading, const struct place *place, yyjson_val *value, size_t max,
                        struct settings_texts *texts);
/* A copy in the arena. */
int settings_take(struct reading *reading, struct slice text, struct slice *copy);

/* bool; struct slice; uint64_t, from 0 and from 1; bools as one of two names; what Millrace has not. */
settings_read settings_read_flag, settings_read_text, settings_read_count, settings_read_positive,
	settings_read_cutoff, settings_read_proximity, settings_read_prefix, settings_read_embedders,
	settings_read_unavailable;
settings_append settings_append_flag, settings_append_text, settings_append_count, settings_append_positive,
	settings_append_cutoff, settings_append_proximity, settings_append_prefix, settings_append_embedders,
	settings_append_foreign_keys, settings_append_chat;
/* One of two names; *second tells which. */
int settings_read_choice(struct reading *reading, const struct place *place, yyjson_val *value,
                         const char *const names[2], bool *second);

settings_read settings_read_typos, settings_read_faceting, settings_read_pagination, settings_read_filterable,
	settings_read_rules, settings_read_synonyms, settings_read_localized;
settings_append settings_append_typos, settings_append_faceting, settings_append_pagination,
	settings_append_filterable, settings_append_rules, settings_append_synonyms,
	settings_append_localized;

/* The members of an object by key, of one key the last. */
struct settings_entry {
	struct slice key;
	size_t at; /* among all members */
};
/* `*len` of them, in the arena. */
int settings_sort_members(struct reading *reading, yyjson_val *object, struct settings_entry **entries,
                          size_t *len);

/* Three letters for a code of two or three; NULL if there is no such locale. */
const char *settings_locale(struct slice code);
#define SETTINGS_LOCALE_NAMES_MAX 160
/* All codes, as a refusal lists them; how many. */
size_t settings_locale_names(const char *names[SETTINGS_LOCALE_NAMES_MAX]);

/* "Invalid value at `place`: …" */
int settings_refuse(struct reading *reading, const struct place *place, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* "Invalid value type at `place`: expected …, but found …" */
int settings_refuse_type(struct reading *reading, const struct place *place, const char *expected,
                         yyjson_val *value);
/* "Missing field `name` inside `place`" */
int settings_refuse_missing(struct reading *reading, const struct place *place, const char *name);

struct known_names {
	const char *const *list;
	size_t len;
};

/* "Unknown field `name` inside `place`: …" */
int settings_refuse_field(struct reading *reading, const struct place *place, struct slice name,
                          struct known_names known);
/* "Unknown value `name` at `place`: …" */
int settings_refuse_value(struct reading *reading, const struct place *place, struct slice name,
                          struct known_names known);
/* The text alone. */
int settings_refuse_whole(struct settings_refusal *refusal, const char *code, int result, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

#endif
