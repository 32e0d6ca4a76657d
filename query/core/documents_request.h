/*
 * Documents request: what GET /indexes/{uid}/documents and
 * POST /indexes/{uid}/documents/fetch may say.
 *
 *   offset, limit, fields, retrieveVectors, ids, filter, sort, useNetwork
 *
 * Without ids, filter and sort it is a listing. With any of them it is asked
 * of nodes as a search for documents: its `asked` has "documents":true, and
 * its hits are in order of `sort`, then of insertion. Fields are names; in a
 * URL a `*` among them means all of them, in a body it is a name that no
 * document has. An id is an integer or a text that document_id_is_valid.
 *
 * Everything lives in the caller's arena. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_DOCUMENTS_REQUEST_H
#define MILLRACE_QUERY_CORE_DOCUMENTS_REQUEST_H

#include "query/core/route_request.h"
#include "query/core/search_check.h"

struct documents_request {
	struct listing_request listing;
	bool is_search;
	struct search_request search; /* IS_SEARCH */
};

int documents_request_from_url(const struct argument *arguments, struct arena *arena,
                               struct documents_request *request, struct error_answer *refusal);
int documents_request_from_body(struct slice body, struct arena *arena, struct documents_request *request,
                                struct error_answer *refusal);
/* GET /indexes/{uid}/documents/{id}: fields and retrieveVectors. */
int documents_request_of_one(const struct argument *arguments, struct arena *arena,
                             struct listing_request *request, struct error_answer *refusal);
/* Whether the settings allow it. Refusals do not name the index: `check` has no uid. */
int documents_check(const struct search_check *check, const struct search_request *search);

#endif
