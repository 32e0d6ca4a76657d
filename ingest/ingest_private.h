/* What ingest.c (life) and admin.c (HTTP) share, and nobody else. */
#ifndef MILLRACE_INGEST_INGEST_PRIVATE_H
#define MILLRACE_INGEST_INGEST_PRIVATE_H

#include "ingest/import.h"
#include "ingest/ingest.h"
#include "shared/feeding/feeding.h"
#include "shared/http/http_server.h"
#include "shared/runtime/mailbox.h"

#include <stdatomic.h>

struct ingest {
	const struct config *config;
	struct mailbox *visitors; /* struct http_request, for the engine's owner thread */
	struct http_server *server;
	_Atomic(struct feeding *) feeding; /* NULL until opened; the listener is there first */
	struct import *import;             /* the same */
};

int admin_start(struct ingest *ingest, struct error *error);
/* Answers what waits; on the engine's owner thread, or after it has ended. */
void admin_answer(void *ingest);

#endif
