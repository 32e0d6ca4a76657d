/* What the readers of bodies and of URLs share. */
#ifndef MILLRACE_QUERY_CORE_PARAMETERS_PRIVATE_H
#define MILLRACE_QUERY_CORE_PARAMETERS_PRIVATE_H

#include "query/core/parameters.h"

struct reading {
	const struct parameter_table *table;
	enum parameter_place place;
	const char *inside; /* BODY: the place of the object */
	const char *code;   /* of a name that it may not have, or lacks */
	struct arena *arena;
	struct parameter_value *values;
	struct error_answer *refusal;
	const struct parameter *unavailable; /* the first one that asks for what is not there */
};

int parameter_refuse_memory(struct reading *reading);
int parameter_refuse_name(struct reading *reading, struct slice name);
int parameter_refuse_strategy(struct reading *reading, const struct parameter *row, struct slice value);
int parameter_refuse_many(struct reading *reading, const struct parameter *row, size_t len);
int parameter_refuse_ratio(struct reading *reading, const struct parameter *row);

/* Position of the row, or the table's length. */
size_t parameter_find(const struct reading *reading, struct slice name);
bool parameter_is_strategy(struct slice value);
/* A number of digits, sign, point and exponent, from 0 to 1. */
bool parameter_ratio(struct slice text, double *ratio);
/* Whether Rust reads it as a float: infinity and NaN are some. */
bool parameter_is_float(struct slice text);

/* Into the arena. `text` never gets a NULL ptr, so that given and empty differ. */
int parameter_take_text(struct reading *reading, struct slice text, struct slice *taken);
/* The canonical JSON of a value whose other members are there, but for kinds that already have it. */
int parameter_take_json(struct reading *reading, const struct parameter *row, struct parameter_value *value);
/* Whether the value says anything, and may. */
void parameter_judge(struct reading *reading, const struct parameter *row, struct parameter_value *value);
/* After the last one. */
int parameter_refuse_unavailable(struct reading *reading);

#endif
