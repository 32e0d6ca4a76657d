/*
 * Filter value: what of a document the conditions of filter.h look at. Whoever
 * keeps values of documents to answer conditions from them takes them from
 * here, so that both find the same documents.
 *
 * Pure; nothing is kept between calls.
 */
#ifndef MILLRACE_FILTER_FILTER_VALUE_H
#define MILLRACE_FILTER_FILTER_VALUE_H

#include "shared/filter/filter.h"

struct filter_visitor {
	/* True: nothing else needs to be visited. */
	bool (*visit)(void *context, yyjson_val *value);
	void *context;
};

/* What `path` reaches in a document: EXISTS, NULL and EMPTY look at this. True if the visitor had enough. */
bool filter_reach(yyjson_val *document, struct slice path, const struct filter_visitor *visitor);
/* "", [] or {}. */
bool filter_value_is_empty(yyjson_val *reached);
/* The scalars that something reached is or, as an array at any depth, has; "" and null are none of them. */
bool filter_scalars(yyjson_val *reached, const struct filter_visitor *visitor);

/* What of a string or boolean is compared, in `scratch` or static. False when out of memory. */
bool filter_value_text(yyjson_val *value, const struct filter_fold *fold, struct buffer *scratch,
                       struct slice *text);
/* Whether a number, raw or not, is a finite double, and which; `scratch` has failed when out of memory. */
bool filter_value_number(yyjson_val *value, struct buffer *scratch, double *number);

#endif
