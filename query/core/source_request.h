/*
 * Source requests: the bodies of the routes that add a source to an index,
 * change or remove one, and rebuild an index from its sources.
 *
 * A source is written as in an index's record (source.h); its rules are read
 * here, so that a mistake in them is refused before a task is made of it.
 * That they fit the index is judged by the controller. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_SOURCE_REQUEST_H
#define MILLRACE_QUERY_CORE_SOURCE_REQUEST_H

#include "query/core/error_answer.h"
#include "shared/meta/task.h"

/* POST /indexes/{uid}/sources: all of `request` but nonce and time; task_request_deinit on success. `uid` is valid. */
int source_addition_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal);
/* PATCH /indexes/{uid}/sources/{name}: {"paused":…} or {"start_ms":…} or both. */
int source_update_from_body(struct slice body, struct slice uid, struct slice name,
                            struct task_request *request, struct error_answer *refusal);
/* DELETE /indexes/{uid}/sources/{name}. */
int source_deletion_of(struct slice uid, struct slice name, struct task_request *request,
                       struct error_answer *refusal);
/* POST /indexes/{uid}/rebuild: {"partitions","dedupWindow","sources":[…]}, each only if it is to be another one, and
 * {"acceptLoss":true}; task_request_deinit on success. */
int rebuild_request_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal);

#endif
