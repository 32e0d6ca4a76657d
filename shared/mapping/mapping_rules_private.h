/*
 * Reading rules: what its files share. mapping_rules.c has the members that
 * are scalars and the whole, mapping_rules_fields.c the lists of fields,
 * mapping_rules_conditions.c those of conditions. Every function that returns
 * int returns 0 or fills the reader's error.
 */
#ifndef MILLRACE_MAPPING_MAPPING_RULES_PRIVATE_H
#define MILLRACE_MAPPING_MAPPING_RULES_PRIVATE_H

#include "shared/mapping/mapping_private.h"

#define MAPPING_SHOWN_MAX 64 /* bytes of a name or value in an error's text */

/* Rules being read. `path` is the member at hand, for errors. */
struct mapping_rules {
	struct mapping *mapping;
	struct arena *arena;
	struct error *error;
	struct buffer text; /* a canonical text being made */
	char path[160];
	bool key_given;
};

int mapping_rules_refuse(struct mapping_rules *rules, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int mapping_rules_refuse_memory(struct mapping_rules *rules);
/* What mapping_path_parse or mapping_id_parse said. */
int mapping_rules_refuse_path(struct mapping_rules *rules, const char *wrong);
void mapping_rules_set_path(struct mapping_rules *rules, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The length of `text` in an error's text. */
int mapping_rules_shown(struct slice text);

struct mapping_choice {
	const char *name;
	int value;
};

struct mapping_choices {
	const struct mapping_choice *items;
	size_t len;
};

int mapping_rules_choose(struct mapping_rules *rules, yyjson_val *value, struct mapping_choices choices,
                         int *chosen);
/* An array or object of 1 to MAPPING_LIST_MAX entries, for which the texts get room. */
int mapping_rules_begin_list(struct mapping_rules *rules, yyjson_val *value, bool is_object,
                             struct mapping_texts *texts);
/* Takes rules->text as an entry; no two may say the same. */
int mapping_rules_add_text(struct mapping_rules *rules, struct mapping_texts *texts);
/* A path as a JSON string, the one way to write it. */
void mapping_rules_append_path(struct buffer *buffer, const struct mapping_path *path);

/* Sorts them, and writes them between the brackets. */
void mapping_texts_append(struct buffer *buffer, struct mapping_texts *texts, char open, char close);

/* By the kind of list. */
int mapping_rules_read_fields(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list);
int mapping_rules_read_conditions(struct mapping_rules *rules, yyjson_val *value, enum mapping_list list);

/* The member that a list is in the rules. */
const char *mapping_list_name(enum mapping_list list);

#endif
