/*
 * Settings request: the routes of an index's settings, as Meilisearch answers
 * them.
 *
 * A change is checked against the settings in force, so that a mistake is
 * refused before a task is made of it; the controller makes the change, of
 * what is in force then. Bound: TASK_BODY_BYTES_MAX sent. Pure core.
 */
#ifndef MILLRACE_QUERY_CORE_SETTINGS_REQUEST_H
#define MILLRACE_QUERY_CORE_SETTINGS_REQUEST_H

#include "query/core/error_answer.h"
#include "shared/meta/task.h"
#include "shared/settings/settings.h"

/* Settings in force (NULL: nobody has set any): what GET shows of one of them, or of all (NULL). */
int settings_request_show(const struct settings_record *in_force, const struct settings_route *route,
                          struct buffer *json, struct error_answer *refusal);
/* PATCH, PUT and DELETE (`reset`; `body` counts for nothing then): all of `request` but uid, nonce and time;
 * task_request_deinit on success. */
int settings_request_change(const struct settings_record *in_force, const struct settings_request *wanted,
                            struct task_request *request, struct error_answer *refusal);
/* What was sent, as a member of all settings; a reset shows null. */
void settings_details_append(const struct task_request *request, struct buffer *details);

#endif
