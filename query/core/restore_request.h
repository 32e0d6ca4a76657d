/*
 * Restore request: the body of POST /indexes/{uid}/restore, as `millrace index
 * restore` sends it: {"index":"<id>","shards":[…]}, shards as in shared/meta/restore.h.
 * Whether they may be restored is judged by the controller. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_RESTORE_REQUEST_H
#define MILLRACE_QUERY_CORE_RESTORE_REQUEST_H

#include "query/core/error_answer.h"
#include "shared/meta/task.h"

/* All of `request` but nonce and time; task_request_deinit on success. `uid` is valid. */
int restore_request_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal);

#endif
