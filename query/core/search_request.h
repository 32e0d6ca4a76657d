/*
 * Search request: what a client may ask of an index, as Meilisearch 1.50
 * names and checks it.
 *
 * This version obeys q, offset and limit. Every other parameter that 1.50
 * knows is recognised and type-checked; a value that changes nothing is
 * accepted, any other is refused (parameters.h). The names and their order in
 * "expected one of" are those of 1.50; a URL spells `hybrid` as
 * hybridEmbedder and hybridSemanticRatio and `personalize` as
 * personalizeUserContext, and has no `media`.
 *
 * matchingStrategy: what this version does is `all`; `last`, the default, is
 * accepted as every default is.
 *
 * Strings live in the caller's arena. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_SEARCH_REQUEST_H
#define MILLRACE_QUERY_CORE_SEARCH_REQUEST_H

#include "query/core/parameters.h"

#define SEARCH_LIMIT_DEFAULT 20

struct search_request {
	struct slice q;  /* "" if absent */
	uint64_t offset; /* as asked; answers echo it */
	uint64_t limit;
};

int search_request_from_body(struct slice body, struct arena *arena, struct search_request *request,
                             struct error_answer *refusal);
/* `arguments` ends with a NULL name. */
int search_request_from_url(const struct argument *arguments, struct arena *arena,
                            struct search_request *request, struct error_answer *refusal);

#endif
