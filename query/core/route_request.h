/*
 * Route requests: the parameters of the routes that neither search nor read
 * documents.
 *
 * Each function reads one route's URL arguments or body by its table
 * (parameters.h) and gives plain values, defaults filled in. Strings live in
 * the caller's arena. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_ROUTE_REQUEST_H
#define MILLRACE_QUERY_CORE_ROUTE_REQUEST_H

#include "query/core/parameters.h"
#include "shared/meta/task.h"

#define ROUTE_LIMIT_DEFAULT 20

/* A page of a listing: of indexes, or of documents (documents_request.h). */
struct listing_request {
	uint64_t offset;
	uint64_t limit;
	/* Documents only: */
	bool has_fields;
	const struct slice *fields;
	size_t fields_len;
	bool vectors; /* each shows that it has none */
};

int listing_request_indexes(const struct argument *arguments, struct arena *arena,
                            struct listing_request *request, struct error_answer *refusal);
/* GET /stats and GET /indexes/{uid}/stats: nothing but defaults. */
int stats_request_check(const struct argument *arguments, struct arena *arena, struct error_answer *refusal);

/* POST /indexes of the admin listener: all of `request` but nonce and time. `partitions_default` and
 * partitioner murmur2 where the body says nothing; `id` as primary key. */
int index_request_from_body(struct slice body, int32_t partitions_default, struct arena *arena,
                            struct task_request *request, struct error_answer *refusal);
/* An index name from a path: invalid_index_uid if it can name nothing. */
int index_uid_check(struct slice uid, struct error_answer *refusal);
/* A task number from a path. */
int task_uid_parse(struct slice text, int64_t *task, struct error_answer *refusal);

#endif
